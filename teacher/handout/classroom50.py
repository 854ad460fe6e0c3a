"""What CS50's Classroom 50 takes: an autograder, tests for feedback, and the result of a grading.

Source: its wiki, https://github.com/foundation50/classroom50/wiki, pages "Advanced Autograding"
(the bundle, `result.json` of schema `classroom50/result/v1`) and "Autograding Basics" (the list
that `gh teacher assignment add --tests` takes), and the checks of its runner.py, August 2026. The
runner fills in `owner`, `assignment_type` and `datetime` itself. Scores are whole numbers, and no
score is above its maximum: points of optional TODOs are told in a field of their own.
"""

import os
import textwrap
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from commands.companion.todos import BY_NUMBER
from teacher.catalogue import TEACHER
from teacher.handout.solved_lab import files_to_grade, write_bytes, zip_of
from teacher.reports import Mark, TodoMark, as_text, is_optional
from utils import LabError, write_json, write_text

SCHEMA = "classroom50/result/v1"
INSTALL = (
    "python3 -m pip install -q -r requirements.txt "
    "--extra-index-url https://download.pytorch.org/whl/cpu"
)
INSTALL_SECONDS, TEST_SECONDS = 600, 120
LONGEST_BODY = 60_000


def build_classroom50(folder: Path, numbers: list[str]) -> list[Path]:
    """Writes autograder.py, lab.zip and tests.json into a new folder; returns them.

    Args:
        folder: where they go; new or empty.
        numbers: of the TODOs that are to do.

    Raises:
        LabError: when the folder is not empty or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"{folder}: is there already; choose a new folder")
    program = (TEACHER / "handout" / "autograder.py").read_text(encoding="utf-8")
    lab = zip_of({name: path.read_bytes() for name, path in files_to_grade().items()})
    paths = [folder / name for name in ("autograder.py", "lab.zip", "tests.json")]
    write_text(paths[0], program)
    write_bytes(paths[1], lab)
    write_json(paths[2], declarative_tests(numbers))
    return paths


def declarative_tests(numbers: list[str]) -> list[dict]:
    """The tests for feedback alone: the set-up, then each TODO by the student's own copy."""
    setup = {"name": "setup", "type": "run", "run": INSTALL, "points": 0}
    tests = [setup | {"timeout": INSTALL_SECONDS}]
    for number in numbers:
        if not is_optional(number):
            todo = BY_NUMBER[number]
            run = f"python3 lab.py check {number}"
            test = {"name": name_of(number), "type": "run", "run": run, "points": todo.points}
            tests.append(test | {"timeout": TEST_SECONDS})
    return tests


def name_of(number: str) -> str:
    """What the test of a TODO is called."""
    return f"TODO {number}: {BY_NUMBER[number].title}"


def result_of(mark: Mark, variables: Mapping[str, str], now: datetime) -> dict:
    """The result of a submission.

    Args:
        mark: what it earned.
        variables: the runner's, by which it knows the submission again; away from it, stand-ins.
        now: the time of grading, in UTC.
    """
    tests = [
        {
            "test-name": name_of(todo.number),
            "passed": todo.verdict == "passed",
            "score": 0 if is_optional(todo.number) else todo.points,
            "max-score": 0 if is_optional(todo.number) else BY_NUMBER[todo.number].points,
        }
        | ({"extra-points": todo.points} if is_optional(todo.number) else {})
        for todo in mark.todos
        if counts(todo)
    ]
    commit = variables.get("COMMIT_URL") or "unknown"
    return {
        "schema": SCHEMA,
        "classroom": variables.get("CLASSROOM") or "unknown",
        "assignment": variables.get("ASSIGNMENT") or "unknown",
        "submission": variables.get("SUBMISSION_TAG") or "submit/unknown",
        "commit": commit,
        "release": variables.get("RELEASE_URL") or "unknown",
        "review": variables.get("REVIEW_URL") or commit,
        "datetime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": mark.total,
        "max-score": mark.highest,
        "tests": tests,
    }


def counts(todo: TodoMark) -> bool:
    """Whether a TODO is told: an optional one that is not solved would make all of it "failed"."""
    return not is_optional(todo.number) or todo.verdict == "passed"


def write_result(path: Path, mark: Mark) -> None:
    """Writes the result, and beside it the page that the student sees, `release-body.md`."""
    write_text(path.with_name("release-body.md"), as_markdown(mark))
    write_json(path, result_of(mark, os.environ, datetime.now(timezone.utc)))


def as_markdown(mark: Mark) -> str:
    """The report of a submission as a block of code, in which nothing is Markdown or HTML."""
    text = textwrap.indent(as_text(mark), "    ")
    return text if len(text) <= LONGEST_BODY else f"{text[:LONGEST_BODY]}\n\n(cut)\n"
