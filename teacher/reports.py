"""What a grading writes: the CSV, a report for each student as text and HTML, Gradescope's file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from commands.companion.quiz import TITLES, all_numbers
from commands.companion.todos import BY_NUMBER
from teacher.page import bullets, escaped, page, printable, section, table
from utils import write_csv, write_json

COLUMNS = ("submission", "total", "max", "remarks")
MAX_MESSAGE = 6_000
OPTIONAL = "Optional TODOs, for extra points"


@dataclass
class TodoMark:
    """What a TODO earned, and what its tests said.

    Attributes:
        number: of the TODO.
        points: all of them or 0; with partial credit a part of them too.
        verdict: "passed", "wrong", "to do", "unreadable" or "stopped".
        message: what the student would have seen; "" if all is well.
        answer: the student's code, if it was tested and did not pass.
    """

    number: str
    points: float
    verdict: str
    message: str = ""
    answer: str = ""


@dataclass
class Mark:
    """What a submission earned.

    Attributes:
        submission: name of the student, or of the folder or zip.
        remarks: sentences about it.
        todos: the mark of each TODO.
        seconds: that the tests took.
        quiz: number → tries, of the quiz's questions that are right; they give no points.
        quiz_remarks: sentences about the quiz; none where it was not taken.
        quiz_name: under which it was taken.
        platform: "moodle" or "canvas" where a download of one names the student.
        id: the student's there.
        late_days: days after the deadline, where one was given and the time is known.
    """

    submission: str
    remarks: list[str] = field(default_factory=list)
    todos: list[TodoMark] = field(default_factory=list)
    seconds: float = 0.0
    quiz: dict[str, int] = field(default_factory=dict)
    quiz_remarks: list[str] = field(default_factory=list)
    quiz_name: str = ""
    platform: str = ""
    id: str = ""
    late_days: int | None = None

    @property
    def total(self) -> float:
        """The points of all TODOs but the optional ones."""
        return add_up(todo.points for todo in self.todos if not is_optional(todo.number))

    @property
    def extra(self) -> float:
        """The points of the optional TODOs."""
        return add_up(todo.points for todo in self.todos if is_optional(todo.number))

    @property
    def highest(self) -> int:
        """The points that there are to earn, extra ones apart."""
        numbers = [todo.number for todo in self.todos if not is_optional(todo.number)]
        return sum(BY_NUMBER[number].points for number in numbers)

    @property
    def sums(self) -> str:
        """What was earned, in words."""
        extra = f" and {self.extra} extra" if self.extra else ""
        return f"{self.total} of {self.highest} points{extra}"

    @classmethod
    def from_json(cls, values: dict) -> "Mark":
        """The mark of what `asdict` gave.

        Raises:
            KeyError or TypeError: when it is something else.
        """
        return cls(**values | {"todos": [TodoMark(**todo) for todo in values["todos"]]})


def add_up(points: Iterable[float]) -> float:
    """The sum of points to two digits; a whole number where it is one."""
    total = round(sum(points), 2)
    return int(total) if total == int(total) else total


def is_optional(number: str) -> bool:
    """Whether the points of a TODO are extra."""
    return BY_NUMBER[number].is_optional


def write_marks(path: Path, marks: list[Mark], numbers: list[str]) -> None:
    """Writes a row for each submission, by name; the file is whole at any time.

    The optional TODOs stand at the end, after the sum of their points, `extra`; behind them how
    many questions of the quiz are right and under which name, where anybody has taken it, and what
    a learning platform knows of the student.
    """
    quiz = ["quiz", "quiz_name"] * any(mark.quiz_remarks for mark in marks)
    known = [
        name
        for name in ("platform", "id", "late_days")
        if any(getattr(mark, name) not in ("", None) for mark in marks)
    ]
    optional = [number for number in numbers if is_optional(number)]
    required = [number for number in numbers if not is_optional(number)]
    rows = []
    for mark in sorted(marks, key=lambda mark: mark.submission):
        points = {todo.number: todo.points for todo in mark.todos}
        remarks = harmless("; ".join(mark.remarks))
        cells = harmless(mark.submission), mark.total, mark.highest, remarks
        row = dict(zip(COLUMNS, cells, strict=True)) | {n: points.get(n, 0) for n in numbers}
        row |= {"extra": mark.extra} if optional else {}
        row |= {"quiz": len(mark.quiz), "quiz_name": harmless(mark.quiz_name)} if quiz else {}
        rows.append(row | {name: getattr(mark, name) for name in known})
    extra = ["extra", *optional] if optional else []
    write_csv(path, [*COLUMNS, *required, *extra, *quiz, *known], rows)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    cell = printable(cell).replace("\n", " ")
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@")) else cell


def file_name(submission: str) -> str:
    """A name for files that every system takes."""
    name = re.sub(r"[^\w .()-]", "_", submission).strip(" .")[:100]
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE)
    return f"_{name}" if reserved or not name or name.startswith("-") else name


def as_text(mark: Mark) -> str:
    """The report of a student to read anywhere."""
    lines = [f"{mark.submission}: {mark.sums}", ""]
    lines += [f"note: {remark}" for remark in mark.remarks]
    lines += [""] if mark.remarks else []
    for todo in mark.todos:
        facts = BY_NUMBER[todo.number]
        if facts.is_optional and f"{OPTIONAL}:" not in lines:
            lines += ["", f"{OPTIONAL}:"]
        lines.append(
            f"TODO {todo.number:<4} {todo.points}/{facts.points}  {todo.verdict:<10} {facts.title}"
        )
        lines += [f"    {line}" for line in todo.message.splitlines()]
    lines += ["", *quiz_lines(mark)] if mark.quiz_remarks else []
    return printable("\n".join(lines) + "\n")


def as_html(mark: Mark) -> str:
    """The report of a student for a browser."""
    required = [todo for todo in mark.todos if not is_optional(todo.number)]
    optional = [todo for todo in mark.todos if is_optional(todo.number)]
    lines = escaped("\n".join(quiz_lines(mark)))
    parts = [
        f'<p class="lead">{mark.sums}</p>',
        bullets([*map(escaped, mark.remarks)]),
        todo_table(required),
        section(OPTIONAL, todo_table(optional)),
        f"<pre>{lines}</pre>" if lines else "",
    ]
    return page(mark.submission, parts)


def todo_table(todos: list[TodoMark]) -> str:
    """A line for each TODO; nothing for none."""
    rows = [
        (
            f"{todo.number} {escaped(BY_NUMBER[todo.number].title)}",
            f"{todo.points} of {BY_NUMBER[todo.number].points}",
            escaped(todo.verdict),
            f"<pre>{escaped(todo.message)}</pre>" if todo.message else "",
        )
        for todo in todos
    ]
    return table(("TODO", "points", "", "why"), rows) if rows else ""


def quiz_lines(mark: Mark) -> list[str]:
    """The part of a report on the quiz; empty without one."""
    if not mark.quiz_remarks:
        return []
    lines = [f"Quiz: {len(mark.quiz)} of {len(all_numbers())} right"]
    lines += [f"    {remark}" for remark in mark.quiz_remarks]
    for chapter, title in sorted(TITLES.items()):
        own = [number for number in all_numbers([chapter]) if number in mark.quiz]
        if own:
            tries = [f"{n} at try {mark.quiz[n]}" for n in own]
            lines.append(f"    {chapter:>2} {title}: {', '.join(tries)}")
    return lines


def not_graded(numbers: list[str], trouble: str) -> Mark:
    """The mark of these TODOs as long as there is no other: no point, and a sentence why."""
    return Mark("", [trouble], [TodoMark(number, 0, "not graded") for number in numbers])


def write_gradescope(folder: Path, mark: Mark) -> None:
    """Writes Gradescope's results.json into a folder."""
    tests = [
        {
            "name": f"{'optional ' * is_optional(todo.number)}TODO {todo.number}: "
            f"{BY_NUMBER[todo.number].title}",
            "number": todo.number,
            "score": todo.points,
            "max_score": BY_NUMBER[todo.number].points,
            "output": printable(todo.message),
            "status": "passed" if todo.verdict == "passed" else "failed",
            "visibility": "visible",
        }
        for todo in mark.todos
    ]
    results = {
        "score": mark.total + mark.extra,
        "output": printable("\n".join([*mark.remarks, *quiz_lines(mark)])),
        "execution_time": round(mark.seconds, 1),
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    write_json(folder / "results.json", results)
