"""The list of students: a CSV with a name for each line, and an id where there is one."""

from dataclasses import dataclass
from pathlib import Path

from commands.companion.quiz import plain_name
from teacher.platforms.table import read_table
from utils import LabError

NAMES = ("name", "full name", "student", "vollständiger name")
FIRST = ("first name", "firstname", "vorname")
LAST = ("last name", "lastname", "surname", "nachname")
IDS = ("id", "student id", "id number", "matrikelnummer", "id-nummer")
MOST_STUDENTS, LONGEST = 5000, 200


@dataclass(frozen=True)
class Student:
    """One line of the list."""

    name: str
    number: str = ""

    @property
    def key(self) -> str:
        """What the student's numbers are drawn from."""
        return f"{plain_name(self.name)}|{self.number}"


def read_roster(path: Path) -> list[Student]:
    """Reads the list of students, in its own order.

    The first line names the columns: `name`, or `first name` and `last name` (or in German), and
    `id` where there is one. Commas, semicolons or tabulators between them. A file of one column
    without such a line is a list of names.

    Raises:
        LabError: when it cannot be read, has no student, or has one twice.
    """
    table = read_table(path)
    rows = [table.texts(number) for number in range(len(table.rows))]
    head = [cell.casefold() for cell in rows[0]]
    both = find(head, FIRST) + find(head, LAST)
    columns = find(head, NAMES) or (both if len(both) == 2 else [])
    if not columns and max(map(len, rows)) > 1:
        raise LabError(
            f"{path}: its first line must name the columns: name (or first name, last name), id"
        )
    first = 1 if columns else 0
    columns = columns or [0]
    ids = find(head, IDS)
    students = []
    for row in rows[first:]:
        cells = [row[i] if i < len(row) else "" for i in (*columns, *ids)]
        name = " ".join(" ".join(cells[: len(columns)]).split())[:LONGEST]
        students.append(Student(name, cells[-1][:LONGEST] if ids else ""))
    check(students, path)
    return students


def find(head: list[str], names: tuple[str, ...]) -> list[int]:
    """The position of the first column with one of these headings, in a list; empty for none."""
    return next(([head.index(name)] for name in names if name in head), [])


def check(students: list[Student], path: Path) -> None:
    """Raises `LabError` for no student, too many, one without a name, or one that comes twice."""
    if not students:
        raise LabError(f"{path}: there is no student in it")
    if len(students) > MOST_STUDENTS:
        raise LabError(f"{path}: more than {MOST_STUDENTS} students")
    seen: set[str] = set()
    for student in students:
        if not student.name:
            raise LabError(f"{path}: a line has no name (id {student.number or 'none'})")
        if student.key in seen:
            raise LabError(f"{path}: {student.name} is there twice; tell them apart by an id")
        seen.add(student.key)
