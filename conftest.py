"""What pytest says about the TODOs: to do, blocked by another one, or wrong and why.

It concerns the tests marked `@pytest.mark.todo("3.2", points=2, needs=["3.1"])` alone. Each report
of theirs gets `todo`, `verdict` ("passed", "wrong", "to do" or "blocked") and `message`, by which
the companion and the grader go.
"""

import os
import re
import sys
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from commands.companion.checking import WrongAnswer
from commands.companion.markers import LAB_FILES, TO_DELETE, parse_answers, read_source
from commands.companion.todos import BY_NUMBER, TODOS, all_needs
from utils import LabError

LAB = Path(__file__).resolve().parent
UNSOLVED = re.compile(r"TODO (\d+\.\d+)[a-z]?")
DOTS = re.compile(r"(=|\(|(?<![\w)\]])\[|^)\s*\.\.\.\s*([,)\]#]|$)")
LIKELY = {
    "index 255 is out of bounds": "255 is void, not a class: it cannot be an index",
    "Expected Long|scalar type Long": "targets may be uint8; where ids are needed, target.long()",
    "Sizes of tensors must match except in dimension 0": "torch.cat joins along the batch unless "
    "told otherwise; the channels are dim=1",
}
"""What PyTorch says → what a student has usually done."""

NOISE = ("+ ", "Use -v", "comparison failed", "Max ", "Obtained:", "Expected:")
"""Beginnings of lines in which pytest says once more what the line above says."""
COLORS = re.compile(r"\033\[[0-9;]*m")
TEST_FILES = ("test_implementation", "chapter_")
MOST_LINES, MOST_CHARACTERS = 4, 300
"""Of what pytest says of an assertion."""
FAILED = pytest.StashKey[set]()


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and sees to it that a message is the same here and on a server."""
    config.addinivalue_line(
        "markers",
        "todo(number, points, needs): a test of one TODO; see commands/companion/todos.py",
    )
    config.stash[FAILED] = set()
    for name in ("CI", "BUILD_NUMBER"):  # where one is set, pytest shows differences in full
        os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> pytest.TestReport | None:
    """Makes the report of a TODO's test, without the traceback that its reader does not need."""
    marker = item.get_closest_marker("todo")
    if marker is None or (call.excinfo is None and call.when != "call"):
        return None
    number, verdict, message = marker.args[0], "passed", ""
    if call.excinfo is not None:
        verdict, message = explain(call.excinfo.value, number)
        message += dots_left(number) if verdict == "wrong" else ""
        failed = item.config.stash[FAILED]
        broken = sorted(all_needs(number) & failed)
        if verdict == "wrong":
            failed.add(number)
            if broken:
                message += f"\nnote: it builds upon TODO {broken[0]}, which is wrong too"
    # pytest's own representation parses this long file again for every failure
    item.repr_failure = lambda excinfo: message
    report = pytest.TestReport.from_item_and_call(item, call)
    report.outcome = "passed" if verdict == "passed" else "failed"
    report.longrepr = message or None
    report.todo, report.verdict, report.message = number, verdict, message
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The same random numbers of torch each time: they make no answer right by luck, nor wrong."""
    if item.get_closest_marker("todo") and "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Switches gradients on again: an answer that leaves them off costs its own TODO alone."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_grad_enabled(True)


def explain(error: BaseException, number: str) -> tuple[str, str]:
    """The verdict and the message for a failed test of TODO `number`."""
    todo = BY_NUMBER[number]
    title = f"TODO {number} ({todo.title}{', optional' * todo.is_optional})"
    unsolved = find_unsolved(error)
    if unsolved is not None:
        other, place = unsolved
        if other == number and has_answer(number):
            return (
                "to do",
                f"{title}: there is an answer, but {place} still raises: delete that line",
            )
        if other == number:
            return "to do", f"{title} is still to do: {place}"
        return "blocked", f"BLOCKED by TODO {other} ({place})"
    if isinstance(error, WrongAnswer):
        return "wrong", f"{title} is wrong\n{error}"
    place = place_in_lab(error)
    if isinstance(error, AssertionError) and place is None:
        return "wrong", f"{title} is wrong: {failed_line(error)}"
    text = said(error)
    caller = place_in_lab(error, {todo.file})
    where = f" at {place}" if place else ""
    where += f", called from {caller}" if caller and caller != place else ""
    likely = next((f"\nlikely:   {c}" for words, c in LIKELY.items() if re.search(words, text)), "")
    raised = f"{title} is wrong: your code raised {type(error).__name__}{where}"
    return "wrong", f"{raised}\n{text}{likely}"


def said(error: BaseException) -> str:
    """What an exception says, in one line; with where it came from, if that says more."""
    lines = [" ".join(line.split()) for line in COLORS.sub("", str(error)).strip().split("\n")]
    text = "; ".join(line for line in lines[:3] if line)[:MOST_CHARACTERS] or "no message"
    if error.__cause__ is not None:
        text += f" ({type(error.__cause__).__name__}: {said(error.__cause__)})"
    return text


def failed_line(error: AssertionError) -> str:
    """The test whose assertion failed, that line, and the values that pytest saw in it."""
    frames = traceback.extract_tb(error.__traceback__)
    of_tests = [each for each in frames if Path(each.filename).name.startswith(TEST_FILES)]
    frame = (of_tests or frames)[-1]  # not that of assert_close and the like
    seen = [line.rstrip()[:MOST_CHARACTERS] for line in str(error).split("\n") if line.strip()]
    seen = [line for line in seen if not line.lstrip().startswith(NOISE)]
    return "\n".join([frame.name, f"  {frame.line}", *(f"  {line}" for line in seen[:MOST_LINES])])


def answer_lines(number: str) -> list[tuple[int, str]]:
    """The student's lines of code for a TODO with their line numbers; none in the solved lab."""
    file = BY_NUMBER[number].file
    try:
        regions = parse_answers(read_source(LAB / file), file)
    except LabError:
        return []
    return [
        (region.start + position, line)
        for region in regions
        if region.todo == number
        for position, line in enumerate(region.code, start=1)
        if line.strip() and not line.strip().startswith("#") and TO_DELETE not in line
    ]


def has_answer(number: str) -> bool:
    """Whether something has been written in the place of the skeleton's dots."""
    lines = answer_lines(number)
    return bool(lines) and not any(DOTS.search(line) for _, line in lines)


def dots_left(number: str) -> str:
    """A note on dots of the skeleton that still stand in an answer, or nothing."""
    found = [line_number for line_number, line in answer_lines(number) if DOTS.search(line)]
    if not found:
        return ""
    return f"\nnote: {BY_NUMBER[number].file}:{found[0]} still has `...`: replace the dots"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it came from."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def find_unsolved(error: BaseException) -> tuple[str, str] | None:
    """The TODO at whose line to delete the test ended, and that place."""
    for each in chain(error):
        match = UNSOLVED.match(str(each)) if isinstance(each, NotImplementedError) else None
        if match:
            return match[1], place_in_lab(each) or BY_NUMBER[match[1]].file
    return None


def place_in_lab(error: BaseException, files: Collection[str] = LAB_FILES) -> str | None:
    """The innermost line of the student's files in a traceback, as "models.py:118"."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        name = path.relative_to(LAB).as_posix() if path.is_relative_to(LAB) else ""
        if name in files:
            return f"{name}:{frame.lineno}"
    return None


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Shows a blocked or empty TODO under its own name."""
    verdict = getattr(report, "verdict", None)
    if verdict == "blocked":
        return "blocked", "B", report.message
    if verdict == "to do":
        return "to do", "T", "TO DO"
    return None


def pytest_terminal_summary(terminalreporter: object) -> None:
    """Ends with what to fix first, and the count of the TODOs."""
    verdicts: dict[str, list[tuple[str, str]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "verdict"):
                verdicts.setdefault(report.todo, []).append((report.verdict, report.message))
    if not verdicts:
        return
    solved = {n for n, found in verdicts.items() if all(v == "passed" for v, _ in found)}
    line = terminalreporter.write_line
    unsolved = {}
    for todo in TODOS:
        problems = [each for each in verdicts.get(todo.number, []) if each[0] != "passed"]
        if problems:
            unsolved[todo.number] = min(problems, key=lambda each: each[0] == "blocked")
    for number, (verdict, message) in unsolved.items():
        first_line = message.split("\n")[0]
        line(f"TODO {number} is {first_line}" if verdict == "blocked" else first_line)
    if unsolved:
        number, (verdict, message) = next(iter(unsolved.items()))
        line(f"\nfirst: {BY_NUMBER[number].statement if verdict == 'to do' else message}")
        line(f"more: python lab.py hint {number}\n")
    line(count(solved, set(verdicts)))


def count(solved: set[str], tested: set[str]) -> str:
    """How many TODOs are solved, in words; the optional ones apart."""
    optional = {number for number in tested if BY_NUMBER[number].is_optional}
    sums = []
    if tested - optional or not optional:
        sums.append(f"{len(solved - optional)} of {len(tested - optional)} TODOs")
    if optional:
        sums.append(f"{len(solved & optional)} of {len(optional)} optional ones")
    return f"{' and '.join(sums)} are solved"
