"""Reads what `teacher grade` has written down: the marks of every submission of its table."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from commands.companion.quiz import all_numbers
from commands.companion.todos import BY_NUMBER
from teacher.platforms.table import read_table
from teacher.reports import Mark, harmless
from utils import LabError

PARTS = ".parts"
HEAD = "submission"


@dataclass
class Graded:
    """The marks of a class.

    Attributes:
        table: the CSV of the grading.
        marks: of its submissions, by name.
        missing: names in the table whose record is not there, or damaged.
    """

    table: Path
    marks: list[Mark] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def read_graded(path: Path) -> Graded:
    """Reads a grading.

    Args:
        path: the table that `teacher grade --output` wrote, or its folder.

    Raises:
        LabError: where there is no grading, or more than one.
    """
    table = find_table(path)
    names = read_names(table)
    found: dict[str, Mark] = {}
    for record in sorted(table.with_name(table.name + PARTS).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            mark = Mark.from_json(json.loads(record.read_text(encoding="utf-8"))["mark"])
            found[harmless(mark.submission)] = checked(mark)
    marks = [found[name] for name in names if name in found]
    if not marks:
        raise LabError(f"{table}: no record of its submissions is readable; grade again")
    return Graded(table, marks, [name for name in names if name not in found])


def find_table(path: Path) -> Path:
    """The table of a grading.

    Raises:
        LabError: where there is none, or more than one.
    """
    if path.is_dir():
        tables = sorted(each.with_name(each.stem) for each in path.glob(f"*{PARTS}"))
        tables = [each for each in tables if each.is_file()]
        if len(tables) > 1:
            names = ", ".join(each.name for each in tables)
            raise LabError(f"{path} holds several gradings ({names}); name the table")
        if tables:
            return tables[0]
    elif path.is_file() and path.with_name(path.name + PARTS).is_dir():
        return path
    elif not path.exists():
        raise LabError(f"{path}: no such folder or table of marks")
    hint = "python -m teacher grade SUBMISSIONS --output marks/marks.csv"
    raise LabError(f"{path}: holds no grading; first {hint}")


def read_names(table: Path) -> list[str]:
    """The submissions of a table, whatever separator a spreadsheet saved it with.

    Raises:
        LabError: for a table that cannot be read, or has no such column.
    """
    first, *rows = read_table(table).rows
    if first[0].text != HEAD:
        raise LabError(f"{table}: its first column is not {HEAD!r}; grade again to restore it")
    return list(dict.fromkeys(row[0].text for row in rows if row[0].text))


def checked(mark: Mark) -> Mark:
    """The mark itself.

    Raises:
        ValueError: for one that is not as a grading writes it.
    """
    texts = [mark.submission, mark.quiz_name, *mark.remarks, *mark.quiz_remarks]
    for todo in mark.todos:
        texts += [todo.verdict, todo.message, todo.answer]
        if todo.number not in BY_NUMBER or not isinstance(todo.points, int | float):
            raise ValueError("not a record of a grading")
    if not all(isinstance(text, str) for text in texts) or set(mark.quiz) - set(all_numbers()):
        raise ValueError("not a record of a grading")
    return mark
