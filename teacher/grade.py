"""Grades submissions: each answer in the solved lab, by our tests, in a process of its own.

All tests of a TODO must pass for its points. Only the regions count: what else a student changed is
reported. A submission that is done is written down with a hash of its answers and of the lab, so
that a grading which was interrupted goes on where it stood, and gives the same marks.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tqdm import tqdm

from commands.companion.markers import graft, todo_of
from commands.companion.todos import BY_NUMBER
from commands.companion.verdicts import sum_up
from teacher.catalogue import LAB, all_parts, solved_texts
from teacher.exam.marking import mark_quizzes
from teacher.handout.classroom50 import write_result
from teacher.partial import passed_tests, points_for
from teacher.platforms.handed_in import HandedIn
from teacher.reports import (
    MAX_MESSAGE,
    Mark,
    TodoMark,
    file_name,
    write_gradescope,
    write_marks,
    write_reports,
)
from teacher.sandbox import NEEDED, Job, Outcome, run_jobs
from teacher.submissions import Submission, find_submissions, name_of, read_submission
from utils import LabError, write_json

EXPORT, EXPORT_FACTOR = "7.1", 2
"""The TODO whose tests take seconds, and how much more time it has."""
RECORD = 2
"""The version of what is written down of a submission; older ones are graded again."""
MAX_ANSWER = 20_000
PLACE = re.compile(r"syntax error in (\d+\.\d+[a-z]?), line (\d+)")


@dataclass
class Limits:
    """What the tests of one TODO may take."""

    seconds: float = 30.0
    megabytes: int = 3000


@dataclass
class Task:
    """A submission under way: its marks so far, and how many TODOs are still tested."""

    submission: Submission
    mark: Mark
    digest: str
    waiting: set[str] = field(default_factory=set)


def grade(
    paths: list[Path],
    out: Path | None,
    numbers: list[str],
    workers: int,
    limits: Limits,
    gradescope: Path | None = None,
    classroom50: Path | None = None,
    handed: HandedIn | None = None,
    is_partial: bool = False,
) -> list[Mark]:
    """Grades submissions, folders or zips or folders of these, and writes the marks.

    Args:
        paths: of the submissions.
        out: the CSV; beside it come `reports/` and the folder of what is done; None for neither.
        numbers: of the TODOs to grade.
        workers: processes at a time.
        limits: of each process.
        gradescope: folder for results.json, of the one submission that the path is.
        classroom50: file for its result, likewise.
        handed: what was found in the paths already; None to look for submissions there.
        is_partial: whether an answer that passes some of its tests has a part of the points.

    Returns:
        The marks, by name.

    Raises:
        LabError: for paths that are not there, or files that cannot be written.
    """
    if gradescope is not None:
        write_gradescope(gradescope, None, numbers, "the grading did not come to its end")
    if gradescope is not None or classroom50 is not None:
        handed = HandedIn(the_submission(paths))
    elif handed is None:
        handed = HandedIn(find_submissions(paths))
    grading = Grading(out, numbers, limits, handed, is_partial)
    marks = handed.chosen(grading.run(workers))
    if out is not None:
        grading.keep_chosen(marks)
        write_marks(out, marks, numbers)
    if gradescope is not None:
        write_gradescope(gradescope, marks[0], numbers, "")
    if classroom50 is not None:
        write_result(classroom50, marks[0])
    return marks


def the_submission(paths: list[Path]) -> list[tuple[str, Path]]:
    """Name and place of the one submission that is given, whatever lies in it.

    Raises:
        LabError: when several are given, or none is there.
    """
    if len(paths) != 1:
        raise LabError(f"--gradescope and --classroom50 are for one submission, not {len(paths)}")
    if not paths[0].exists():
        raise LabError(f"{paths[0]}: no such folder or zip")
    path = paths[0].resolve()
    return [(name_of(path), path)]


class Grading:
    """The state of a grading: what is under way, and what is done."""

    def __init__(
        self,
        out: Path | None,
        numbers: list[str],
        limits: Limits,
        handed: HandedIn,
        is_partial: bool,
    ) -> None:
        self.out, self.numbers, self.limits, self.handed = out, numbers, limits, handed
        self.is_partial = is_partial
        self.solved, self.places = solved_texts(), all_parts()
        self.lab = digest_of_lab()
        self.tasks: dict[str, Task] = {}
        self.marks: list[Mark] = []
        self.names: dict[str, str] = {}
        self.quizzes: dict[str, bytes] = {}
        self.bar: tqdm | None = None

    def run(self, workers: int) -> list[Mark]:
        """Grades all that was handed in."""
        limits, count = self.limits, len(self.handed.found) * len(self.numbers)
        tqdm.monitor_interval = 0  # its thread would be forked with the rest
        with tqdm(None, "grade", count, unit="TODO", disable=None) as self.bar:
            for outcome in run_jobs(self.jobs(), workers, limits.seconds, limits.megabytes):
                self.take(outcome)
        return self.final_marks()

    def jobs(self) -> Iterator[Job]:
        """Reads one submission after the other, and yields what is to be tested of it."""
        for name, path in self.handed.found:
            submission = read_submission(name, path, self.solved)
            if submission.quiz:
                self.quizzes[name] = submission.quiz
            submission.remarks[:0] = self.handed.remarks.get(name, [])
            task = Task(submission, Mark(name, submission.remarks), self.digest(submission))
            self.tasks[name] = task
            done = self.recorded(task)
            if done is not None:
                task.mark = done
                self.advance(len(self.numbers))
                self.finish(task)
                continue
            jobs = []
            for number in self.numbers:
                untested = self.mark_untested(submission, number)
                if untested is None:
                    parts = self.parts_of(submission, number)
                    file = BY_NUMBER[number].file
                    files = {file: graft(self.solved[file], file, parts)}
                    factor = EXPORT_FACTOR if number == EXPORT else 1
                    jobs.append(Job(f"{number} {name}", files, (number,), factor))
                    task.waiting.add(number)
                else:
                    task.mark.todos.append(untested)
                    self.advance(1)
            if not jobs:
                self.finish(task)
            yield from jobs

    def parts_of(self, submission: Submission, number: str) -> dict[str, str]:
        """The parts of a TODO that a submission has."""
        own = [part for part in self.places if todo_of(part) == number]
        return {part: submission.parts[part] for part in own if part in submission.parts}

    def mark_untested(self, submission: Submission, number: str) -> TodoMark | None:
        """The mark of a TODO that need not be tested; None for one that must be."""
        if number in submission.faults:
            return TodoMark(number, 0, "unreadable", submission.faults[number])
        own = [part for part in self.places if todo_of(part) == number]
        missing = [part for part in own if part not in submission.parts]
        if missing == own and BY_NUMBER[number].is_optional:
            return TodoMark(number, 0, "to do", f"optional TODO {number} was not submitted")
        if missing:
            where = f"{self.places[missing[0]]} has no region {missing[0]}"
            return TodoMark(number, 0, "unreadable", f"missing: {where}")
        if set(own) <= submission.is_open:
            return TodoMark(number, 0, "to do", f"TODO {number} is still to do")
        return None

    def take(self, outcome: Outcome) -> None:
        """Notes what came of a job; writes a submission down when it was its last."""
        number, _, name = outcome.job.name.partition(" ")
        task = self.tasks[name]
        task.waiting.discard(number)
        todo = mark_tested(outcome, number, task.submission)
        if todo.verdict != "passed":
            todo.answer = task.submission.code_of(number)[:MAX_ANSWER]
            if self.is_partial and todo.verdict == "wrong":
                grant_part(todo, outcome)
        task.mark.todos.append(todo)
        task.mark.seconds += outcome.seconds
        self.advance(1)
        if not task.waiting:
            self.finish(task)

    def finish(self, task: Task) -> None:
        """Writes down what is done: its record, its reports, and the CSV so far."""
        mark = task.mark
        self.handed.label(mark)
        mark.todos.sort(key=lambda todo: self.numbers.index(todo.number))
        self.marks.append(mark)
        del self.tasks[mark.submission]
        if self.out is not None:
            self.keep(mark, task.digest)
            write_marks(self.out, self.marks, self.numbers)

    def keep(self, mark: Mark, digest: str) -> None:
        """Writes the record and the reports of a mark."""
        write_json(self.record_of(mark.submission), {"digest": digest, "mark": mark.to_json()})
        name = file_name(mark.submission)
        while name.casefold() in {each.casefold() for each in self.names.values()}:
            name += "_"
        self.names[mark.submission] = name
        self.report(mark)

    def keep_chosen(self, marks: list[Mark]) -> None:
        """Writes those down that are called otherwise than what was graded: the best of several."""
        for mark in marks:
            if mark.submission not in self.names:
                self.keep(mark, "")

    def final_marks(self) -> list[Mark]:
        """The marks by name, with the quizzes checked, and these in the reports too."""
        for mark in mark_quizzes(self.marks, self.quizzes, self.handed.students):
            self.report(mark)
        return sorted(self.marks, key=lambda mark: mark.submission)

    def report(self, mark: Mark) -> None:
        """Writes the reports of a submission, if there are to be any."""
        if self.out is not None:
            write_reports(self.out.parent / "reports", self.names[mark.submission], mark)

    def advance(self, steps: int) -> None:
        """Moves the progress bar on."""
        if self.bar is not None:
            self.bar.update(steps)

    def digest(self, submission: Submission) -> str:
        """A hash of all that a mark depends on."""
        content = [RECORD, self.is_partial, self.lab, self.numbers]
        content += [self.limits.seconds, self.limits.megabytes]
        content += [submission.remarks, sorted(submission.is_open)]
        content += [submission.parts, submission.faults, submission.lines]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    def record_of(self, name: str) -> Path:
        """The file that says that a submission is done.

        Of a download, by the number there: a worksheet may know the student by another name.
        """
        if person := self.handed.people.get(name):
            attempt = name.removeprefix(self.handed.students.get(name, name))
            name = f"{person.platform} {person.id}{attempt}"
        key = hashlib.sha256(name.encode()).hexdigest()[:8]
        return self.out.with_name(f"{self.out.name}.parts") / f"{file_name(name)[:60]}-{key}.json"

    def recorded(self, task: Task) -> Mark | None:
        """The mark of a submission that was done before, with the same answers and tests."""
        if self.out is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            text = self.record_of(task.submission.name).read_text(encoding="utf-8")
            content = json.loads(text)
            if content["digest"] == task.digest:
                return Mark.from_json(content["mark"] | {"submission": task.submission.name})
        return None


def mark_tested(outcome: Outcome, number: str, submission: Submission) -> TodoMark:
    """The mark of a TODO from what its tests said."""
    if outcome.passed(number):
        return TodoMark(number, BY_NUMBER[number].points, "passed")
    if outcome.trouble:
        message = PLACE.sub(lambda match: place_of(match, submission), outcome.trouble)
        verdict = "wrong" if "syntax error" in message else "stopped"
        return TodoMark(number, 0, verdict, f"TODO {number}: {message}")
    failures = [result for result in outcome.results if result.verdict != "passed"]
    text = f"TODO {number} has no test"
    if failures:
        text = sum_up([vars(result) for result in failures]).message[:MAX_MESSAGE]
    is_open = failures and all(result.verdict == "to do" for result in failures)
    return TodoMark(number, 0, "to do" if is_open else "wrong", text)


def grant_part(todo: TodoMark, outcome: Outcome) -> None:
    """Gives a wrong answer the part of the points that its tests earn, and says so."""
    passed, tests = passed_tests(outcome, todo.number)
    todo.points = points_for(passed, tests, BY_NUMBER[todo.number].points)
    todo.message += f"\n{passed} of {tests} tests pass"


def place_of(match: re.Match, submission: Submission) -> str:
    """A line of an answer as a line of the student's file."""
    line = submission.lines.get(match[1], 0) + int(match[2])
    return f"syntax error in {match[1]} ({BY_NUMBER[todo_of(match[1])].file}:{line})"


def digest_of_lab() -> str:
    """A hash of the solved lab, its tests, and the versions that they run with."""
    paths = [LAB / name for name in NEEDED] + sorted(LAB.glob("test_implementation*.py"))
    files = [each for path in paths for each in ([path] if path.is_file() else path.rglob("*.py"))]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)]
    versions = [sys.version]
    for name in ("torch", "numpy", "pytest"):
        with suppress(PackageNotFoundError):
            versions.append(version(name))
    return hashlib.sha256(json.dumps([sums, versions]).encode()).hexdigest()


def summary(marks: list[Mark], seconds: float) -> str:
    """What to print at the end."""
    count = f"{len(marks)} submission{'' if len(marks) == 1 else 's'}"
    noted = sum(bool(mark.remarks) for mark in marks)
    mean = sum(mark.total for mark in marks) / max(len(marks), 1)
    highest = marks[0].highest if marks else 0
    extra = sum(mark.extra for mark in marks) / max(len(marks), 1)
    extra = f" and {extra:.1f} extra ones" if extra else ""
    return (
        f"{count} in {seconds:.0f} s: on average {mean:.1f} of {highest} points{extra}, "
        f"{noted} with remarks"
    )
