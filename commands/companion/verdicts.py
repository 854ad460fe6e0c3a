"""The tests in a process of their own, and what they say about each TODO, as JSON lines.

Both ends of one wire. A `Runner` starts this module in a process of its own, which waits for the
numbers of TODOs on its standard input, so that `watch` can have one ready that has imported torch
already, and then runs pytest with this module as a plugin. The plugin writes a line for each thing
that happens into the file that LAB_VERDICTS names. A test that never ends, or that ends Python
itself, costs its own TODO only: the others are tested again without it.
"""

import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.companion.markers import LAB_FILES

if TYPE_CHECKING:
    import pytest

MODULE = "commands.companion.verdicts"
VERDICTS_FILE = "LAB_VERDICTS"
WANTED = "LAB_TODOS"
TESTS, CASES = "test_implementation*.py", "checks/cases/chapter_*.py"
"""The short tests that a student reads, and the further cases that run after them."""
ZOO_CHAPTER = "9"
TEST_SECONDS = 60
START_SECONDS = 300
OUTPUT_CHARACTERS = 1500
SMALLEST = "the smallest example that goes wrong: "
SHORT = 400
"""Characters of a message whose numbers can be followed without help."""
PYTEST_ENDS = (0, 1, 5)
"""Its exit codes for: all passed, some failed, none found. The others are accidents."""
IMPORTED_LATE = ("onnxscript",)
"""What torch.onnx.export imports when it is called: a second or more."""
DONE, WRONG, TO_DO, BLOCKED = "done", "wrong", "to do", "blocked"
"""The states of a TODO after its tests. Those of a test are conftest.py's, with "passed"."""

# ------------------------------------------------------------------ the plugin


def write(kind: str, **values: Any) -> None:
    """Adds a line to the file of verdicts, if there is to be one."""
    if VERDICTS_FILE in os.environ:
        with open(os.environ[VERDICTS_FILE], "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")


def pytest_collection_modifyitems(config: "pytest.Config", items: list["pytest.Item"]) -> None:
    """Keeps the tests of the wanted TODOs, all of them when none is named."""
    wanted = set(filter(None, os.environ.get(WANTED, "").split(",")))
    numbers = {item: todo_of(item) for item in items}
    kept = [item for item in items if numbers[item] in wanted or (numbers[item] and not wanted)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept
    write("plan", tests=[[numbers[item], item.nodeid] for item in items])


def todo_of(item: "pytest.Item") -> str | None:
    """The number of the TODO that a test belongs to."""
    marker = item.get_closest_marker("todo")
    return str(marker.args[0]) if marker and marker.args else None


def pytest_runtest_protocol(item: "pytest.Item") -> None:
    """Says which test begins, so that one that never ends has a name."""
    write("start", todo=todo_of(item), test=item.nodeid)


def pytest_runtest_logreport(report: "pytest.TestReport") -> None:
    """Writes a verdict down. A test that was skipped has shown nothing."""
    if not hasattr(report, "verdict"):
        return
    verdict, message = report.verdict, report.message
    if report.skipped:
        verdict, message = "wrong", f"TODO {report.todo}: its test {report.nodeid} was skipped"
    write(
        "verdict",
        todo=report.todo,
        test=report.nodeid,
        verdict=verdict,
        message=message,
        output=report.capstdout[-OUTPUT_CHARACTERS:],
    )


def pytest_exception_interact(
    call: "pytest.CallInfo", report: "pytest.CollectReport | pytest.TestReport"
) -> None:
    """Tells why a file of tests could not be imported."""
    if report.when == "collect":
        write("problem", message=describe(call.excinfo.value))


def pytest_internalerror(excinfo: "pytest.ExceptionInfo") -> None:
    """Tells why pytest itself stopped, as after sys.exit() in a file of the lab."""
    write("problem", message=describe(excinfo.value))


def pytest_sessionfinish(exitstatus: int) -> None:
    """Says that pytest came to its end."""
    write("end", status=int(exitstatus))


def test_files(lab: Path, numbers: Iterable[str] = ()) -> list[str]:
    """The files with tests of some TODOs, of all when none is named: first those to read."""
    chapters = {number.split(".")[0] for number in numbers}

    def is_wanted(path: Path) -> bool:
        is_zoo = path.stem.endswith("zoo")
        own = {path.stem.split("_")[1]}  # chapter_3_2
        if path.parent == lab:
            own = {ZOO_CHAPTER} if is_zoo else chapters - {ZOO_CHAPTER}
        return not chapters or bool(own & chapters)

    paths = [*sorted(lab.glob(TESTS)), *sorted(lab.glob(CASES))]
    return [path.relative_to(lab).as_posix() for path in paths if is_wanted(path)]


def describe(error: BaseException) -> str:
    """An error outside the tests in one line, with the innermost line of the lab's files."""
    error = error.__cause__ or error
    text = (str(error).strip().split("\n")[0] or "no message")[:300]
    text = f"{type(error).__name__}: {text}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: {error.msg}"
    here = Path.cwd().resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        is_ours = path.is_relative_to(here) and here / ".venv" not in path.parents
        if is_ours and path != Path(__file__).resolve():
            return f"{path.relative_to(here).as_posix()}:{frame.lineno}: {text}"
    return text


def import_libraries(lab: Path) -> None:
    """Imports what the lab's files and tests import from elsewhere, but none of the lab's own."""
    sources = list(lab.glob("*.py"))
    local = {path.stem for path in sources} | {path.name for path in lab.iterdir()}
    names: set[str] = set(IMPORTED_LATE)
    for path in sources:
        with suppress(SyntaxError, ValueError, OSError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module)
    for name in sorted(names):
        if name.split(".")[0] not in local:
            with suppress(Exception):
                importlib.import_module(name)


def forget_compiled(lab: Path) -> None:
    """Removes Python's copies of the lab's files.

    They go by second and size alone: after two quick saves, the first would be tested again.
    """
    for name in LAB_FILES:
        file = lab / name
        for path in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            with suppress(OSError):
                path.unlink()


def main(argv: list[str]) -> int:
    """Waits for a line that names the TODOs, and runs their tests."""
    lab = Path.cwd()
    if "--ready" in argv:
        import_libraries(lab)
    line = sys.stdin.readline()
    if not line:
        return 0
    import pytest

    forget_compiled(lab)
    os.environ[WANTED] = line.strip()
    numbers = [number for number in line.strip().split(",") if number]
    options = ["-q", "--tb=no", "--continue-on-collection-errors", "-o", "addopts="]
    options += ["-p", "no:cacheprovider", "-p", MODULE]
    options += [f"--rootdir={lab}", f"--confcutdir={lab}"]
    return pytest.main([*options, *test_files(lab, numbers)])


# ------------------------------------------------------------------ the companion's end


@dataclass(frozen=True)
class Finding:
    """What the tests say about one TODO.

    Attributes:
        state: "done", "wrong", "to do" or "blocked".
        message: why, as conftest.py says it; empty for "done".
        test: name of the test with that message.
        output: the last of what the student's code printed in it.
        failed: number of its tests that don't pass.
    """

    state: str
    message: str = ""
    test: str = ""
    output: str = ""
    failed: int = 0


class Runner:
    """One process for one run of the tests.

    Args:
        lab: folder of the lab's files.
        ready: import the libraries now, for a run that comes later.
    """

    def __init__(self, lab: Path, ready: bool = False) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
        self.verdicts = Path(self.folder.name) / "verdicts.jsonl"
        self.verdicts.touch()
        self.log = Path(self.folder.name) / "output.txt"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", MODULE, *["--ready"] * ready],
                cwd=lab,
                env=environment(self.verdicts),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, whatever it does, and removes its files."""
        self.process.kill()
        with suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def run(self, numbers: Iterable[str], seconds: float) -> tuple[list[dict], bool]:
        """Runs the tests of some TODOs.

        Args:
            numbers: of the TODOs.
            seconds: how long one test may take.

        Returns:
            The lines of the plugin, and whether a test took longer than that.
        """
        with suppress(OSError):  # it has died already; its log says why
            self.process.stdin.write(f"{','.join(numbers)}\n".encode())
            self.process.stdin.close()
        size, since, limit = 0, time.monotonic(), START_SECONDS
        while self.process.poll() is None:
            if self.verdicts.stat().st_size != size:
                size, since = self.verdicts.stat().st_size, time.monotonic()
                if any(line["kind"] == "start" for line in self.lines()):  # imports take longer
                    limit = max(seconds, 1)
            elif time.monotonic() - since > limit:
                return self.lines(), True
            time.sleep(0.03)
        return self.lines(), False

    def lines(self) -> list[dict]:
        """What the plugin has written so far; a line half written is left out."""
        text = self.verdicts.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def last_words(self) -> str:
        """The last line that the process printed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        return lines[-1][:300] or f"exit code {self.process.returncode}"


def environment(verdicts: Path) -> dict[str, str]:
    """The variables of a test process: one thread, for small tensors the fastest; no plugins."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        variables.setdefault(name, "1")
    return variables | {
        VERDICTS_FILE: str(verdicts),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def run_todos(
    lab: Path, numbers: Iterable[str], ready: Runner | None = None, seconds: float = TEST_SECONDS
) -> tuple[dict[str, Finding], str]:
    """Tests some TODOs.

    Args:
        lab: folder of the lab's files.
        numbers: of the TODOs.
        ready: a process that waits already; it is used up.
        seconds: how long one test may take.

    Returns:
        Number → finding, and what kept tests from running, or "".
    """
    findings: dict[str, Finding] = {}
    left = list(numbers)
    while left:
        with ready or Runner(lab) as runner:
            lines, too_long = runner.run(left, seconds)
            code, last_words = runner.process.poll(), runner.last_words()
        ready = None
        problems = [line["message"] for line in lines if line["kind"] == "problem"]
        findings |= findings_of(lines, left)
        ended = [line["status"] for line in lines if line["kind"] == "end"]
        if ended:
            normal = ended[-1] in PYTEST_ENDS
            return findings, problems[0] if problems else "" if normal else last_words
        started = [line for line in lines if line["kind"] == "start"]
        if not started:
            slow = f"nothing happened for {START_SECONDS} s" if too_long else last_words
            return findings, problems[0] if problems else f"the tests did not start: {slow}"
        number, test = started[-1]["todo"], started[-1]["test"].split("::")[-1]
        why = f"took longer than {seconds:g} s: a loop without end?"
        if not too_long:
            why = f"ended Python itself (exit code {code})"
        findings[number] = Finding(WRONG, f"TODO {number}: {test} {why}", test, failed=1)
        left = [each for each in left if each not in findings]
    return findings, ""


def findings_of(lines: list[dict], numbers: Iterable[str]) -> dict[str, Finding]:
    """The findings about those TODOs whose tests have all ended."""
    findings = {}
    planned = [test for line in lines if line["kind"] == "plan" for test in line["tests"]]
    for number in numbers:
        verdicts = [each for each in lines if each["kind"] == "verdict" and each["todo"] == number]
        tests = {test for todo, test in planned if todo == number}
        if tests and tests == {each["test"] for each in verdicts}:
            findings[number] = sum_up(verdicts)
    return findings


def sum_up(verdicts: list[dict]) -> Finding:
    """One finding of the verdicts of all tests of a TODO: the worst counts.

    The message is that of the first test that fails, with what a further case says of it: one that
    names the cause, else one with the smallest example, else one that is short.
    """
    states = {"wrong": WRONG, "to do": TO_DO, "blocked": BLOCKED, "passed": DONE}  # worst first
    worst = min(verdicts, key=lambda each: list(states).index(each["verdict"]))
    failed = len({each["test"] for each in verdicts if each["verdict"] != "passed"})
    test, message = worst["test"].split("::")[-1], worst["message"]
    alike = [each["message"] for each in verdicts if each["verdict"] == worst["verdict"]]
    told = [text for text in alike if "\nexpected: " in text]
    by_worth = (
        lambda text: "\nlikely: " in text,
        lambda text: SMALLEST in text,
        lambda text: len(text) <= SHORT,
    )
    if worst["verdict"] == "wrong":
        found = (text for is_worth in by_worth for text in told if is_worth(text))
        best = next(found, "")
        if "\nexpected: " in message:
            message = best or message
        elif best:
            message += "\n" + best.partition("\n")[2]
    return Finding(states[worst["verdict"]], message, test, worst.get("output", ""), failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
