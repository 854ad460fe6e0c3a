"""The student's companion: how far you are, what to fix first, a hint, and a newer edition.

    python lab.py                    every TODO and its state, as far as it is known
    python lab.py check [3.2 | 3]    run the tests: of everything, of a TODO, of a chapter
    python lab.py hint 3.2           one step further at each call
    python lab.py show 3.2           what is asked, its tests, and where the answer stands
    python lab.py watch [3.2]        check again whenever a file is saved
    python lab.py quiz 4             questions with your own numbers, about a chapter
    python lab.py reset 3.2          put a TODO back to what it was, with a backup
    python lab.py update NEW         carry your answers into a newer edition

It keeps what it knows in `.lab/`. The tests run in processes of their own: this one imports no
torch, and starts at once.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from commands.command_line import CommandLine, run_command
from commands.companion.edition import read_new_edition, require_edition
from commands.companion.folder import Lab, is_solved_lab, reset
from commands.companion.markers import todo_of
from commands.companion.quizzing import quiz
from commands.companion.report import (
    as_markdown,
    command,
    name_of,
    paint,
    show_next,
    show_progress,
    uses_colors,
    wrap,
)
from commands.companion.showing import in_colors, tests_of
from commands.companion.todos import BY_NUMBER, TODOS, Todo
from commands.companion.update import apply_update, describe, plan_update
from commands.companion.verdicts import BLOCKED, DONE, TO_DO
from commands.companion.watch import check, watch
from utils import LabError

HERE = Path(__file__).resolve().parent
NEGATIVE = re.compile(r"^(-\d+),(\d+)$")
"""A negative answer with a decimal comma, which argparse would take for an option."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    if os.name == "nt" and uses_colors():
        os.system("")  # old consoles show colours only after this
    words = sys.argv[1:] if argv is None else argv
    return run_command(build_parser(), [NEGATIVE.sub(r"\1.\2", word) for word in words])


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands; without one it shows the progress."""
    parser = CommandLine(
        prog="lab.py",
        description="The companion of the lab: progress, tests, hints, a quiz, updates.",
        epilog="Begin with: python lab.py hint 1.1",
    )
    parser.set_defaults(run=progress_command, markdown=False)
    commands = parser.add_subparsers(metavar="{progress,check,hint,show,watch,quiz,reset,update}")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text}.")
        added.set_defaults(run=run)
        return added

    add("progress", progress_command, "show every TODO and its state; runs nothing").add_argument(
        "--markdown", action="store_true", help="as a Markdown table (default: for a terminal)"
    )
    added = add("check", check_command, "run the tests and show the first thing to fix")
    which = "number of a TODO, as 3.2, or of a chapter, as 3 (default: everything)"
    added.add_argument("which", nargs="*", metavar="TODO", help=which)
    added.add_argument(
        "--allow-todo",
        action="store_true",
        help="exit code 0 unless something is wrong (default: only when everything is done)",
    )
    add("hint", hint_command, "what a TODO asks, and one more hint at each call").add_argument(
        "number", metavar="TODO", help="number of a TODO, as 3.2"
    )
    add(
        "show", show_command, "what a TODO asks, its tests, and the place of the answer"
    ).add_argument("number", metavar="TODO", help="number of a TODO, as 3.2")
    add("watch", watch_command, "test the TODO at work whenever a file is saved").add_argument(
        "number", nargs="?", metavar="TODO", help="number of a TODO (default: where you write)"
    )
    add_quiz(add("quiz", quiz_command, "questions with numbers drawn from your name"))
    add("reset", reset_command, "put a TODO back to what it was; keeps a backup").add_argument(
        "what", metavar="TODO", help="number of a TODO, or name of a file to put back as a whole"
    )
    added = add("update", update_command, "install a newer edition; keeps answers and a backup")
    added.add_argument("edition", type=Path, metavar="NEW", help="its folder or zip file")
    added.add_argument("--yes", action="store_true", help="go on without asking (default: ask)")
    return parser


def add_quiz(added: argparse.ArgumentParser) -> None:
    """Adds what the quiz can be told."""
    what = "as 4, or a question, as 4a (default: how far you are)"
    added.add_argument("what", nargs="?", metavar="CHAPTER", help=what)
    added.add_argument("answer", nargs="?", metavar="ANSWER", help="to the one question, as 0,667")
    added.add_argument("--name", help="yours, as your course knows it (default: the one before)")


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


def select(todos: tuple[Todo, ...] | list[Todo], which: list[str]) -> list[str]:
    """The numbers of the TODOs that are meant, in order; all for none.

    Raises:
        LabError: for one that there is not.
    """
    found: set[str] = set()
    for word in which:
        numbers = {t.number for t in todos if todo_of(word) in (t.number, str(t.chapter))}
        if not numbers:
            there = " ".join(todo.number for todo in todos) or "none: the markers are missing"
            raise LabError(f"no TODO {word} in this edition; there are {there}")
        found |= numbers
    return [todo.number for todo in todos if todo.number in found or not which]


def find_todo(lab: Lab, number: str) -> Todo:
    """The one TODO of that number.

    Raises:
        LabError: when there is none, or it is a chapter's number.
    """
    numbers = select(lab.todos, [number])
    if number.isdigit():
        raise LabError(f"{number} is a chapter; one of {' '.join(numbers)}, please")
    return BY_NUMBER[numbers[0]]


def progress_command(args: argparse.Namespace) -> None:
    """The command `progress`, and what happens without one."""
    lab = open_lab()
    if args.markdown:
        print(as_markdown(lab))
    else:
        show_progress(lab)


def check_command(args: argparse.Namespace) -> int:
    """The command `check`: exit code 0 only when everything that was asked for passes.

    An optional TODO that nobody named may stay open; with `--allow-todo` any may.
    """
    solved = is_solved_lab(HERE)
    lab = Lab(HERE)
    numbers = select(TODOS if solved else lab.todos, args.which)
    states = check(lab, numbers, keep=not solved)

    def is_fine(number: str) -> bool:
        may_stay = BY_NUMBER[number].is_optional and not args.which
        fine = {DONE} | ({TO_DO, BLOCKED} if args.allow_todo else {TO_DO} if may_stay else set())
        return states.get(number) in fine

    if not solved and states and set(states.values()) == {DONE}:
        show_next(lab)
    return 0 if numbers and all(map(is_fine, numbers)) else 1


def hint_command(args: argparse.Namespace) -> None:
    """The command `hint`: the statement and the hints so far, one more at each call."""
    lab = open_lab()
    todo = find_todo(lab, args.number)
    shown, were_all = lab.next_hints(todo)
    print(paint(f"{name_of(todo)}  {todo.title}  ({lab.places(todo)})", "title"))
    print(wrap(todo.statement))
    for number, text in enumerate(todo.hints[:shown], start=1):
        print()
        print(wrap(text, f"hint {number} of {len(todo.hints)}: "))
    print()
    if were_all:
        print("these are all the hints")
    elif shown < len(todo.hints):
        print(f"one more: {command('hint', todo.number)}")


def show_command(args: argparse.Namespace) -> None:
    """The command `show`: the statement and the tests of a TODO."""
    lab = open_lab()
    todo = find_todo(lab, args.number)
    print(paint(f"{name_of(todo)}  {todo.title}  ({lab.places(todo)})", "title"))
    print(wrap(todo.statement))
    print(f"\n{in_colors(tests_of(HERE, todo.number))}\n")
    print(f"your answer stands in {lab.places(todo)}; test it: {command('check', todo.number)}")


def watch_command(args: argparse.Namespace) -> None:
    """The command `watch`: tests the TODO at work after each save, until Ctrl-C."""
    lab = open_lab()
    only = find_todo(lab, args.number).number if args.number else None
    print("watching your files; Ctrl-C ends it")
    watch(HERE, only)


def quiz_command(args: argparse.Namespace) -> None:
    """The command `quiz`: questions about a chapter, answered on the terminal or one by one."""
    open_lab()
    quiz(HERE, args.what, args.answer, args.name)


def reset_command(args: argparse.Namespace) -> None:
    """The command `reset`."""
    lab = open_lab()
    what = args.what
    if what not in require_edition(HERE).files:
        what = find_todo(lab, what).number
    backups = reset(HERE, what)
    for name, backup in backups.items():
        print(f"{name} as it was is kept as {backup.relative_to(HERE)}")
    print(f"{what} is {'back to what' if backups else 'as'} you were given")


def update_command(args: argparse.Namespace) -> None:
    """The command `update`: shows what will change, asks, makes a backup, installs."""
    open_lab()
    if args.edition.resolve() == HERE:
        raise LabError("that is this folder; give the folder or the zip of a newer edition")
    plan = plan_update(HERE, *read_new_edition(args.edition))
    if plan.is_empty:
        print(f"this is edition {plan.new.version} already")
        return
    print("\n".join(describe(plan)))
    if not args.yes:
        if not sys.stdin.isatty():
            raise LabError("nothing was changed; to go on, say so with --yes")
        if input("go on? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return
    backup, left_out, copies = apply_update(HERE, plan)
    print(f"everything as it was is kept in {backup.relative_to(HERE)}")
    if left_out:
        print(f"  except what is large and was not touched: {', '.join(left_out)}")
    for copy in copies:
        print(f"your version is kept as {copy.relative_to(HERE)}")
    print(f"this is edition {plan.new.version} now; see how far you are: {command('check')}")


if __name__ == "__main__":
    sys.exit(main())
