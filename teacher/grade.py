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
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tqdm import tqdm

from commands.companion.markers import graft, todo_of
from commands.companion.todos import BY_NUMBER
from commands.companion.verdicts import sum_up
from teacher.catalogue import LAB, all_parts, solved_texts
from teacher.exam.marking import mark_quizzes
from teacher.page import counted
from teacher.partial import passed_tests, points_for
from teacher.platforms.handed_in import HandedIn
from teacher.reports import MAX_MESSAGE, Mark, TodoMark, as_html, as_text, file_name, write_marks
from teacher.sandbox import NEEDED, Job, Outcome, run_jobs
from teacher.submissions import Submission, read_submission
from utils import write_json, write_text

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


class Grading:
    """A grading: what is under way, and what is done.

    Args:
        handed: the submissions.
        output: the CSV; beside it come `reports/` and the folder of what is done; None for none.
        numbers: of the TODOs to grade.
        limits: of each process.
        is_partial: whether an answer that passes some of its tests has a part of the points.
    """

    def __init__(
        self,
        handed: HandedIn,
        output: Path | None,
        numbers: list[str],
        limits: Limits,
        is_partial: bool = False,
    ) -> None:
        self.handed, self.output, self.numbers, self.limits = handed, output, numbers, limits
        self.is_partial = is_partial
        self.solved, self.places = solved_texts(), all_parts()
        self.lab = digest_of_lab()
        self.under_way: dict[str, tuple[Submission, Mark]] = {}
        self.marks: list[Mark] = []
        self.digests: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.quizzes: dict[str, bytes] = {}

    def run(self, workers: int) -> list[Mark]:
        """Grades all that was handed in, so many TODOs at a time; returns the marks by name.

        Raises:
            LabError: for files that cannot be written.
        """
        limits, count = self.limits, len(self.handed.found) * len(self.numbers)
        tqdm.monitor_interval = 0  # its thread would be forked with the rest
        with tqdm(None, "grade", count, unit="TODO", disable=None) as self.bar:
            for outcome in run_jobs(self.jobs(), workers, limits.seconds, limits.megabytes):
                self.take(outcome)
        for mark in mark_quizzes(self.marks, self.quizzes, self.handed.students):
            self.keep(mark)
        marks = self.handed.chosen(self.marks)
        for mark in marks:
            if mark.submission not in self.names:  # the best of several is called otherwise
                self.keep(mark)
        if self.output is not None:
            write_marks(self.output, marks, self.numbers)
        return marks

    def jobs(self) -> Iterator[Job]:
        """Reads one submission after the other, and yields what is to be tested of it."""
        for name, path in self.handed.found:
            submission = read_submission(name, path, self.solved)
            if submission.quiz:
                self.quizzes[name] = submission.quiz
            submission.remarks[:0] = self.handed.remarks.get(name, [])
            self.digests[name] = self.digest(submission)
            recorded = self.recorded(name)
            mark = recorded or Mark(name, submission.remarks)
            jobs = [] if recorded else list(self.jobs_of(submission, mark))
            self.bar.update(len(self.numbers) - len(jobs))
            self.under_way[name] = submission, mark
            if not jobs:
                self.finish(mark)
            yield from jobs

    def jobs_of(self, submission: Submission, mark: Mark) -> Iterator[Job]:
        """What is to be tested of a submission; the TODOs that need no test are marked."""
        for number in self.numbers:
            own = [part for part in self.places if todo_of(part) == number]
            untested = self.mark_untested(submission, number, own)
            if untested is not None:
                mark.todos.append(untested)
                continue
            parts = {part: submission.parts[part] for part in own}
            file = BY_NUMBER[number].file
            files = {file: graft(self.solved[file], file, parts)}
            factor = EXPORT_FACTOR if number == EXPORT else 1
            yield Job(f"{number} {submission.name}", files, (number,), factor)

    def mark_untested(self, submission: Submission, number: str, own: list[str]) -> TodoMark | None:
        """The mark of a TODO, of these parts, that need not be tested; None for one that must."""
        if number in submission.faults:
            return TodoMark(number, 0, "unreadable", submission.faults[number])
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
        submission, mark = self.under_way[name]
        todo = mark_tested(outcome, number, submission)
        if todo.verdict != "passed":
            todo.answer = submission.code_of(number)[:MAX_ANSWER]
            if self.is_partial and todo.verdict == "wrong":
                grant_part(todo, outcome)
        mark.todos.append(todo)
        mark.seconds += outcome.seconds
        self.bar.update(1)
        if len(mark.todos) == len(self.numbers):
            self.finish(mark)

    def finish(self, mark: Mark) -> None:
        """Writes down what is done: its record, its reports, and the CSV so far."""
        self.handed.label(mark)
        mark.todos.sort(key=lambda todo: self.numbers.index(todo.number))
        self.marks.append(mark)
        del self.under_way[mark.submission]
        self.keep(mark)
        if self.output is not None:
            write_marks(self.output, self.marks, self.numbers)

    def keep(self, mark: Mark) -> None:
        """Writes the record and the reports of a mark, if there are to be any."""
        if self.output is None:
            return
        digest = self.digests.get(mark.submission, "")
        write_json(self.record_of(mark.submission), {"digest": digest, "mark": asdict(mark)})
        if mark.submission not in self.names:
            name, taken = file_name(mark.submission), {n.casefold() for n in self.names.values()}
            while name.casefold() in taken:
                name += "_"
            self.names[mark.submission] = name
        report = self.output.parent / "reports" / self.names[mark.submission]
        write_text(report.with_name(f"{report.name}.txt"), as_text(mark))
        write_text(report.with_name(f"{report.name}.html"), as_html(mark))

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
        return (
            self.output.with_name(f"{self.output.name}.parts")
            / f"{file_name(name)[:60]}-{key}.json"
        )

    def recorded(self, name: str) -> Mark | None:
        """The mark of a submission that was done before, with the same answers and tests.

        What it says of the quiz is left out: that is checked again each time.
        """
        if self.output is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self.record_of(name).read_text(encoding="utf-8"))
            if content["digest"] == self.digests[name]:
                no_quiz = {"quiz": {}, "quiz_remarks": [], "quiz_name": ""}
                return Mark.from_json(content["mark"] | no_quiz | {"submission": name})
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
    noted = sum(bool(mark.remarks) for mark in marks)
    mean = sum(mark.total for mark in marks) / len(marks)
    extra = sum(mark.extra for mark in marks) / len(marks)
    extra = f" and {extra:.1f} extra ones" if extra else ""
    return (
        f"{counted(len(marks), 'submission')} in {seconds:.0f} s: on average {mean:.1f} of "
        f"{marks[0].highest} points{extra}, {noted} with remarks"
    )
