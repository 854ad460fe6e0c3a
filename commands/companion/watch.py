"""Some TODOs tested now, or the one at work after each save, and what came of it shown."""

import importlib.util
import sys
import time
from dataclasses import replace
from pathlib import Path

from commands.companion.folder import CHANGED, UNKNOWN, Lab, find_syntax_errors
from commands.companion.markers import LAB_FILES
from commands.companion.report import name_of, paint, show_first, show_states, sums, wrap
from commands.companion.todos import BY_NUMBER
from commands.companion.verdicts import DONE, TESTS, WRONG, Runner, run_todos, test_files
from utils import LabError

POLL_SECONDS = 0.5


def check(
    lab: Lab, numbers: list[str], ready: Runner | None = None, keep: bool = True
) -> dict[str, str]:
    """Tests some TODOs, and shows what to fix first and the short table.

    Args:
        lab: the files as they are now.
        numbers: of the TODOs.
        ready: a process that waits already; it is used up.
        keep: remember what the tests said; not in the solved lab.

    Returns:
        Number → state of every TODO whose tests ran to their end.
    """
    if importlib.util.find_spec("pytest") is None:
        raise LabError("pytest is not installed: pip install -r requirements.txt")
    if not any(lab.folder.glob(TESTS)):
        raise LabError("test_implementation.py is missing; copy it from your edition")
    if errors := find_syntax_errors(lab.folder):
        print(paint("not Python yet, so nothing was tested:", WRONG), *errors, sep="\n")
        return {}
    start = time.monotonic()
    findings, problem = run_todos(lab.folder, numbers, ready)
    for number, fault in lab.damaged().items() if keep else ():
        if number in findings:
            message = f"TODO {number} ({BY_NUMBER[number].title}) cannot be found\n{fault}"
            findings[number] = replace(findings[number], state=WRONG, message=message)
    if keep:
        lab.remember(findings)
    if problem:
        print(paint("the tests could not run:", WRONG), problem, sep="\n")
    elif untested := [number for number in numbers if number not in findings]:
        print(paint(f"no test was found of TODO {', '.join(untested)}", WRONG))
    show_first(lab, findings)
    for remark in lab.changed_outside() if keep else ():
        print(f"note: {remark}")
    show_states(numbers, findings)
    print(f"{sums(lab)}, " * keep + f"{time.monotonic() - start:.1f} s")
    return {number: finding.state for number, finding in findings.items()}


def watch(folder: Path, only: str | None) -> None:
    """Tests the TODO at work after each save, without end.

    Args:
        folder: the student's.
        only: number of the one TODO to test, None for the one whose answer changed last.
    """
    lab, seen, known = Lab(folder), stamps(folder), {}
    number = only or at_work(lab, known, None)
    ready = Runner(folder)
    try:
        while True:
            if number is not None:
                print(f"\n{time.strftime('%H:%M:%S')}  TODO {number}")
                number = check_watched(lab, number, ready)
                if ready.process.poll() is not None:  # it has been used
                    ready = Runner(folder, ready=True)
            if number is None:
                print("everything is solved")
            sys.stdout.flush()
            seen = wait_for_save(folder, seen)
            lab = Lab(folder)
            number = only or at_work(lab, known, number)
    finally:
        ready.close()


def check_watched(lab: Lab, number: str, ready: Runner) -> str | None:
    """Tests one TODO; returns the number to go on with, None when everything is solved."""
    try:
        state = check(lab, [number], ready).get(number)
    except LabError as error:
        print(f"error: {error.line}")
        return number
    if state != DONE:
        return number
    following = lab.next_todo()
    if following is None:
        return None
    print(f"\nTODO {number} is done. Next: {name_of(following)} ({lab.places(following)})")
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
    following = lab.next_todo()
    return written[0] if written else following.number if following else None


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Path → time and size of the files that the tests depend on, as far as they can be seen."""
    found = {}
    for path in (folder / name for name in [*LAB_FILES, *test_files(folder)]):
        try:
            info = path.stat()
        except OSError:  # an editor is just exchanging it
            continue
        found[path] = info.st_mtime_ns, info.st_size
    return found


def wait_for_save(folder: Path, seen: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
    """Returns the new stamps after a file has changed and has come to rest."""
    while stamps(folder) == seen:
        time.sleep(POLL_SECONDS)
    now = stamps(folder)
    while True:
        time.sleep(POLL_SECONDS / 5)
        if (later := stamps(folder)) == now:
            return now
        now = later
