"""The list of all students: for the sheets of an exam, and to tell who has not handed in.

Moodle's grading worksheet and Canvas' gradebook are known by what stands in them. For an exam any
other list must name its columns; to tell who is missing, a student is found by number, account or
name, in whatever column these stand.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from commands.companion.quiz import plain_name
from teacher.platforms.canvas import students_of
from teacher.platforms.moodle import read_worksheet
from teacher.platforms.people import name_key
from teacher.platforms.table import Table, read_table
from teacher.reports import Mark
from utils import LabError

NAMES = ("name", "full name", "student", "vollständiger name", "names", "students")
FIRST = ("first name", "firstname", "vorname")
LAST = ("last name", "lastname", "surname", "nachname")
IDS = ("id", "student id", "id number", "matrikelnummer", "id-nummer")
HEADERS = {
    *(word for heading in (*NAMES, *FIRST, *LAST, *IDS) for word in heading.split()),
    *("email", "username", "login", "identifier", "teilnehmer"),
    *("nom", "prénom", "nombre", "apellido", "apellidos", "cognome"),
}
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

    It is a platform's, or its first line names the columns: `name`, or `first name` and `last
    name` (or in German), and `id` where there is one. Commas, semicolons or tabulators between
    them. A file of one column without such a line is a list of names.

    Raises:
        LabError: when it cannot be read, has no student, or has one twice.
    """
    table = read_table(path)
    students = platform_students(table)[1] or listed_students(table)
    check(students, path)
    return students


def platform_students(table: Table) -> tuple[str, list[Student]]:
    """A platform and the students of its list; "" and none for a table that is something else."""
    with suppress(LabError):  # of no use for marks, and perhaps a list all the same
        if sheet := read_worksheet(table):
            return "moodle", [Student(row.name, row.id) for row in sheet.rows]
    return "canvas", [Student(name, number) for _, number, name in students_of(table) or []]


def listed_students(table: Table) -> list[Student]:
    """The students of a list with the names of its columns.

    Raises:
        LabError: when these are missing.
    """
    rows = [table.texts(number) for number in range(len(table.rows))]
    head = [cell.casefold() for cell in rows[0]]
    both = find(head, FIRST) + find(head, LAST)
    columns = find(head, NAMES) or (both if len(both) == 2 else [])
    if not columns and max(map(len, rows)) > 1:
        raise LabError(
            f"{table.path}: its first line must name the columns: name (or first name, last name), "
            "id"
        )
    first = 1 if columns else 0
    columns = columns or [0]
    ids = find(head, IDS)
    students = []
    for row in rows[first:]:
        cells = [row[i] if i < len(row) else "" for i in (*columns, *ids)]
        name = " ".join(" ".join(cells[: len(columns)]).split())[:LONGEST]
        students.append(Student(name, cells[-1][:LONGEST] if ids else ""))
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


# ------------------------------------------------------------------ who has not handed in


def missing_from(table: Table, marks: list[Mark]) -> tuple[list[str], int]:
    """The students of a roster without a submission, and how many students it has.

    Of several with one name, of whom some have handed in, all are named where no number tells.
    """
    platform, students = platform_students(table)
    if students:
        rows = [[student.name, student.number] for student in students]
        ids = {mark.id for mark in marks if mark.platform == platform}
        marks = [mark for mark in marks if mark.platform != platform]
    else:
        rows = [table.texts(number) for number in range(len(table.rows))]
        ids = {mark.id for mark in marks if mark.id}
    names = Counter(name_key(plain(mark)) for mark in marks)
    if not students and not is_there(rows[0], ids, names) and is_header(rows):
        rows = rows[1:]
    others = [cells for cells in rows if not ids & set(cells)]
    wanted = Counter(name for cells in others for name in spellings(cells))
    absent = [
        cells
        for cells in others
        if not any(name in names and names[name] >= wanted[name] for name in spellings(cells))
    ]
    return [", ".join(filter(None, cells[:4])) for cells in absent], len(rows)


def plain(mark: Mark) -> str:
    """A student's name without the number that tells apart those of one name."""
    return mark.submission.removesuffix(f" ({mark.id})")


def is_there(cells: list[str], ids: set[str], names: Counter[tuple[str, ...]]) -> bool:
    """Whether a line of the roster may be a student who has handed in."""
    return bool(ids & set(cells)) or any(name in names for name in spellings(cells))


def spellings(cells: list[str]) -> set[tuple[str, ...]]:
    """The names that a line of the roster may have, and the accounts of its addresses."""
    accounts = [cell.partition("@")[0] for cell in cells if "@" in cell]
    pairs = [f"{first} {second}" for first, second in pairwise(cells)]
    return {name_key(text) for text in (*cells, *accounts, *pairs) if text}


def is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: by its words, or by a column of numbers below.

    Less than half of that column may be empty, as for students without an address. In doubt it is a
    student: a heading among those who are missing is seen, a student who is left out is not.
    """
    words = {word for cell in rows[0] for word in cell.casefold().replace("_", " ").split()}
    if words & HEADERS:
        return True
    telling = [number for number, cell in enumerate(rows[0]) if cell and not is_number(cell)]
    same = [cells for cells in rows[1:] if len(cells) == len(rows[0])]
    below = [[cells[number] for cells in same if cells[number]] for number in telling]
    return any(2 * len(column) > len(same) and all(map(is_number, column)) for column in below)


def is_number(cell: str) -> bool:
    """Whether a cell is an address or a number: `ab12` and `12 34` are, `group 2` is not."""
    return "@" in cell or all(any(map(str.isdigit, word)) for word in cell.split())
