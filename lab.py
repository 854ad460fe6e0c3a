"""The student's companion: how far you are, what to mend first, a hint, and a newer edition.

    python lab.py                    every TODO and its state, as far as it is known
    python lab.py check [3.2 | 3]    run the tests: of everything, of a TODO, of a chapter
    python lab.py hint 3.2           one step further at each call
    python lab.py watch [3.2]        check again whenever a file is saved
    python lab.py reset 3.2          put a TODO back to what it was, with a backup
    python lab.py update NEW         carry your answers into a newer edition

It keeps what it knows in `.lab/`. The tests run in processes of their own: this one imports no
torch, and starts at once.
"""

import argparse
import importlib.util
import json
import os
import sys
import textwrap
import time
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from commands.command_line import CommandLine, run_command
from commands.companion.markers import LAB_FILES
from commands.companion.runner import (
    BLOCKED,
    CHANGED,
    DONE,
    TO_DO,
    UNKNOWN,
    WRONG,
    Lab,
    find_syntax_errors,
    is_solved_lab,
    require_edition,
    reset,
    write_json,
)
from commands.companion.todos import BY_NUMBER, CHAPTERS, TODOS, Todo
from commands.companion.update import apply_update, describe, plan_update, read_new_edition
from commands.companion.verdicts import TESTS, Finding, Runner, run_todos
from utils import LabError, python_command

HERE = Path(__file__).resolve().parent
HINTS = ".lab/hints.json"
POLL_SECONDS = 0.5
WIDTH = 88
COLORS = {DONE: "32", WRONG: "31", TO_DO: "2", BLOCKED: "33", "title": "1"}
OTHER_COLOR = "33"


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    if os.name == "nt" and uses_colors():
        os.system("")  # old consoles show colours only after this
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands; without one it shows the progress."""
    parser = CommandLine(
        prog="lab.py",
        description="The companion of the lab: progress, tests, hints, updates.",
        epilog="Begin with: python lab.py hint 1.1",
    )
    parser.set_defaults(run=progress)
    commands = parser.add_subparsers(metavar="{progress,check,hint,watch,reset,update}")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text}.")
        command.set_defaults(run=run)
        return command

    add("progress", progress, "show every TODO and its state; runs nothing")
    which = "number of a TODO, as 3.2, or of a chapter, as 3 (default: everything)"
    add("check", check, "run the tests and show the first thing to mend").add_argument(
        "which", nargs="*", metavar="TODO", help=which
    )
    add("hint", hint, "what a TODO asks, and one more hint at each call").add_argument(
        "number", metavar="TODO", help="number of a TODO, as 3.2"
    )
    add("watch", watch, "test the TODO at work whenever a file is saved").add_argument(
        "number", nargs="?", metavar="TODO", help="number of a TODO (default: where you write)"
    )
    add("reset", reset_command, "put a TODO back to what it was; keeps a backup").add_argument(
        "what", metavar="TODO", help="number of a TODO, or name of a file to put back as a whole"
    )
    command = add("update", update, "install a newer edition; keeps your answers and a backup")
    command.add_argument("edition", type=Path, metavar="NEW", help="its folder or zip file")
    command.add_argument(
        "--yes", action="store_true", help="go on without asking (default: ask first)"
    )
    return parser


# ------------------------------------------------------------------ progress


def open_lab() -> Lab:
    """The student's folder.

    Raises:
        LabError: in the solved lab.
    """
    if is_solved_lab(HERE):
        raise LabError(
            "this is the solved lab; build a student edition of it with "
            "`python -m teacher build DIR`, or run `python lab.py check`"
        )
    return Lab(HERE)


def progress(args: argparse.Namespace) -> int:
    """The command `progress`, and what happens without one."""
    lab = open_lab()
    states = lab.states()
    for chapter, title in CHAPTERS.items():
        todos = [todo for todo in lab.todos if todo.chapter == chapter]
        if todos:
            optional = ", optional" if all(todo.is_optional for todo in todos) else ""
            print(paint(f"{chapter}  {title}{optional}", "title"))
        for todo in todos:
            points = f"{todo.points} point{'s' if todo.points > 1 else ' '}"
            state = states[todo.number]
            print(f"   {todo.number}  {todo.title:<42} {points}  {paint(state, state)}")
    print()
    print(total(lab, states))
    for fault in lab.faults:
        print(paint(fault, WRONG))
    if not lab.results():
        print(f"nothing has been checked yet: {command('check')}")
    elif set(states.values()) - {DONE, WRONG, TO_DO, BLOCKED}:
        print(f"some of it is not up to date: {command('check')}")
    if todo := next_todo(lab, states):
        print(f"next: {name_of(todo)} ({places(lab, todo)}): {command('hint', todo.number)}")
    return 0


def total(lab: Lab, states: dict[str, str]) -> str:
    """The sums in one line: of the TODOs, and apart from them of the optional ones."""
    sums = []
    for is_optional, what, kind in (
        (False, "TODOs done", "points"),
        (True, "optional ones", "extra points"),
    ):
        todos = [todo for todo in lab.todos if todo.is_optional == is_optional]
        done = [todo for todo in todos if states[todo.number] == DONE]
        points, most = sum(todo.points for todo in done), sum(todo.points for todo in todos)
        if todos or not is_optional:
            sums.append(f"{len(done)} of {len(todos)} {what}, {points} of {most} {kind}")
    return "; and ".join(sums)


def name_of(todo: Todo) -> str:
    """A TODO as it is spoken of."""
    return f"{'optional ' * todo.is_optional}TODO {todo.number}"


def next_todo(lab: Lab, states: dict[str, str]) -> Todo | None:
    """The TODO to work on: the first wrong one, else the first that is not done."""
    for wanted in ((WRONG,), (TO_DO,), set(states.values()) - {DONE}):
        for todo in lab.todos:
            if states[todo.number] in wanted:
                return todo
    return None


def places(lab: Lab, todo: Todo) -> str:
    """Where a TODO's regions stand, as "models.py:118 and 140"."""
    regions = lab.regions(todo.number)
    lines = " and ".join(str(region.start) for region in regions)
    return f"{regions[0].file}:{lines}" if regions else todo.file


def command(*words: str) -> str:
    """How the companion is called from the shell."""
    return " ".join((python_command(), "lab.py", *words))


def paint(text: str, state: str) -> str:
    """A text in the colour of a state, on a terminal."""
    return f"\033[{COLORS.get(state, OTHER_COLOR)}m{text}\033[0m" if uses_colors() else text


def uses_colors() -> bool:
    """Whether the output is a terminal whose user has nothing against colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


# ------------------------------------------------------------------ check


def check(args: argparse.Namespace) -> int:
    """The command `check`: exit code 0 only when everything that was asked for passes.

    An optional TODO that nobody named may stay open.
    """
    solved = is_solved_lab(HERE)
    lab = Lab(HERE)
    numbers = select(TODOS if solved else lab.todos, args.which)
    may_stay_open = set() if args.which else {n for n in numbers if BY_NUMBER[n].is_optional}
    return 0 if run_check(lab, numbers, None, not solved, may_stay_open) else 1


def select(todos: tuple[Todo, ...] | list[Todo], which: list[str]) -> list[str]:
    """The numbers of the TODOs that are meant, in order; all for none.

    Raises:
        LabError: for one that there is not.
    """
    found: set[str] = set()
    for word in which:
        wanted = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        numbers = {t.number for t in todos if wanted in (t.number, str(t.chapter))}
        if not numbers:
            there = " ".join(todo.number for todo in todos) or "none: the markers are missing"
            raise LabError(f"no TODO {word} in this edition; there are {there}")
        found |= numbers
    return [todo.number for todo in todos if todo.number in found or not which]


def run_check(
    lab: Lab,
    numbers: list[str],
    ready: Runner | None,
    keep: bool = True,
    may_stay_open: Container[str] = (),
) -> bool:
    """Tests some TODOs, shows what to mend first and the short table; whether all pass."""
    if importlib.util.find_spec("pytest") is None:
        raise LabError("pytest is not installed: pip install -r requirements.txt")
    if not any(lab.folder.glob(TESTS)):
        raise LabError("test_implementation.py is missing; copy it from your edition")
    errors = find_syntax_errors(lab.folder)
    if errors:
        print(paint("not Python yet, so nothing was tested:", WRONG))
        print("\n".join(errors))
        return False
    start = time.monotonic()
    findings, problem = run_todos(lab.folder, numbers, ready)
    for number, fault in lab.damaged().items() if keep else ():
        if number in findings:
            message = f"TODO {number} ({BY_NUMBER[number].title}) cannot be found\n{fault}"
            findings[number] = replace(findings[number], verdict=WRONG, message=message)
    if keep:
        lab.remember(findings)
    if problem:
        print(paint("the tests could not run:", WRONG))
        print(problem)
    untested = [number for number in numbers if number not in findings]
    if untested and not problem:
        print(paint(f"no test was found of TODO {', '.join(untested)}", WRONG))
    show_first(lab, findings)
    for remark in lab.changed_outside() if keep else ():
        print(f"note: {remark}")
    show_table(lab, numbers, findings, keep)
    print(f"{time.monotonic() - start:.1f} s")
    fine = {
        number
        for number, each in findings.items()
        if each.verdict == "passed" or (each.verdict == TO_DO and number in may_stay_open)
    }
    return bool(numbers) and fine >= set(numbers)


def show_first(lab: Lab, findings: dict[str, Finding]) -> None:
    """Shows the first thing to mend: what is wrong comes before what is still to do."""
    for verdict in (WRONG, TO_DO, BLOCKED):
        for todo in TODOS:
            finding = findings.get(todo.number)
            if finding is None or finding.verdict != verdict:
                continue
            first, *rest = finding.message.split("\n")
            print(paint(first, verdict))
            print("\n".join(rest) + "\n" * bool(rest), end="")
            if verdict == TO_DO:
                print(wrap(todo.statement))
            if verdict == WRONG:
                others = f" and {finding.failed - 1} more" if finding.failed > 1 else ""
                print(f"test: {finding.test}{others}; your code: {places(lab, todo)}")
            if finding.output.strip():
                print("printed: " + finding.output.strip())
            print(f"more: {command('hint', todo.number)}")
            print()
            return


def show_table(lab: Lab, numbers: list[str], findings: dict[str, Finding], keep: bool) -> None:
    """A line for each chapter that was tested, and the sums of everything."""
    found = {n: finding.verdict for n, finding in findings.items()}
    found = {n: DONE if verdict == "passed" else verdict for n, verdict in found.items()}
    for chapter, title in CHAPTERS.items():
        shown = [n for n in numbers if BY_NUMBER[n].chapter == chapter]
        states = [(n, found.get(n, "not tested")) for n in shown]
        if states:
            cells = "   ".join(f"{n} {paint(state, state)}" for n, state in states)
            print(f"{chapter}  {title:<14} {cells}")
    if keep:
        print(total(lab, lab.states()), end=", ")


def wrap(text: str, first: str = "") -> str:
    """A paragraph in lines that fit a terminal."""
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


# ------------------------------------------------------------------ hint


def hint(args: argparse.Namespace) -> int:
    """The command `hint`: the statement and the hints so far, one more at each call."""
    lab = open_lab()
    todo = find_todo(lab, args.number)
    try:
        given = dict(json.loads((HERE / HINTS).read_text(encoding="utf-8")))
        before = int(given.get(todo.number, 0))
    except (OSError, ValueError, TypeError):
        given, before = {}, 0
    count = len(todo.hints)
    now = min(max(before, 0) + 1, count)
    print(paint(f"{name_of(todo)}  {todo.title}  ({places(lab, todo)})", "title"))
    print(wrap(todo.statement))
    for number, text in enumerate(todo.hints[:now], start=1):
        print()
        print(wrap(text, f"hint {number} of {count}: "))
    print()
    if before >= count:
        print("these are all the hints")
    elif now < count:
        print(f"one more: {command('hint', todo.number)}")
    write_json(HERE / HINTS, given | {todo.number: now})
    return 0


def find_todo(lab: Lab, number: str) -> Todo:
    """The one TODO of that number.

    Raises:
        LabError: when there is none, or it is a chapter's number.
    """
    numbers = select(lab.todos, [number])
    if number.isdigit():
        raise LabError(f"{number} is a chapter; one of {' '.join(numbers)}, please")
    return BY_NUMBER[numbers[0]]


# ------------------------------------------------------------------ watch


def watch(args: argparse.Namespace) -> int:
    """The command `watch`: tests the TODO at work after each save, until Ctrl-C."""
    lab = open_lab()
    only = find_todo(lab, args.number).number if args.number else None
    print("watching your files; Ctrl-C ends it")
    seen, known = stamps(), {}
    number = only or at_work(lab, known, None)
    ready = Runner(HERE)
    try:
        while True:
            if number is not None:
                print(f"\n{time.strftime('%H:%M:%S')}  TODO {number}")
                number = check_watched(lab, number, ready)
                if ready.process.poll() is not None:  # it has been used
                    ready = Runner(HERE, ready=True)
            if number is None:
                print("everything is solved")
            sys.stdout.flush()
            seen = wait_for_save(seen)
            lab = Lab(HERE)
            number = only or at_work(lab, known, number)
    finally:
        ready.close()


def check_watched(lab: Lab, number: str, ready: Runner) -> str | None:
    """Tests one TODO; returns the number to go on with, None when everything is solved."""
    try:
        passed = run_check(lab, [number], ready)
    except LabError as error:
        print(f"error: {error.line}")
        return number
    if not passed:
        return number
    following = next_todo(lab, lab.states())
    if following is None:
        return None
    print(f"\nTODO {number} is done. Next: {name_of(following)} ({places(lab, following)})")
    print(wrap(following.statement))
    return following.number


def at_work(lab: Lab, known: dict[str, str], number: str | None) -> str | None:
    """The TODO whose answer changed; else the last one, else the first that is not done.

    Args:
        lab: the files as they are now.
        known: number → fingerprint of each answer when it was last seen; brought up to date.
        number: of the TODO tested last, None when there was none.
    """
    answers = {t.number: lab.fingerprint([t.number]) for t in lab.todos if lab.regions(t.number)}
    changed = [each for each in answers if known.get(each, answers[each]) != answers[each]]
    known |= answers
    if changed:
        return changed[0]
    if number is not None:
        return number
    states = lab.states()
    written = [each for each in answers if states[each] in (CHANGED, UNKNOWN)]
    following = next_todo(lab, states)
    return written[0] if written else following.number if following else None


def stamps() -> dict[Path, tuple[int, int]]:
    """Path → time and size of the files that the tests depend on, as far as they can be seen."""
    found = {}
    for path in [*(HERE / name for name in LAB_FILES), *HERE.glob(TESTS)]:
        try:
            info = path.stat()
        except OSError:  # an editor is just exchanging it
            continue
        found[path] = info.st_mtime_ns, info.st_size
    return found


def wait_for_save(seen: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
    """Returns the new stamps after a file has changed and has come to rest."""
    while stamps() == seen:
        time.sleep(POLL_SECONDS)
    now = stamps()
    while True:
        time.sleep(POLL_SECONDS / 5)
        if (later := stamps()) == now:
            return now
        now = later


# ------------------------------------------------------------------ reset and update


def reset_command(args: argparse.Namespace) -> int:
    """The command `reset`."""
    lab = open_lab()
    what = args.what
    if what not in require_edition(HERE).files:
        what = find_todo(lab, what).number
    backups = reset(HERE, what)
    for name, backup in backups.items():
        print(f"{name} as it was is kept as {backup.relative_to(HERE)}")
    print(f"{what} is {'back to what' if backups else 'as'} you were given")
    return 0


def update(args: argparse.Namespace) -> int:
    """The command `update`: shows what will change, asks, makes a backup, installs."""
    open_lab()
    if args.edition.resolve() == HERE:
        raise LabError("that is this folder; give the folder or the zip of a newer edition")
    plan = plan_update(HERE, *read_new_edition(args.edition))
    if plan.is_empty:
        print(f"this is edition {plan.new.version} already")
        return 0
    print("\n".join(describe(plan)))
    if not args.yes:
        if not sys.stdin.isatty():
            raise LabError("nothing was changed; to go on, say so with --yes")
        if input("go on? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return 0
    backup, left_out, copies = apply_update(HERE, plan)
    print(f"everything as it was is kept in {backup.relative_to(HERE)}")
    if left_out:
        print(f"  except what is large and was not touched: {', '.join(left_out)}")
    for copy in copies:
        print(f"your version is kept as {copy.relative_to(HERE)}")
    print(f"this is edition {plan.new.version} now; see how far you are: {command('check')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
