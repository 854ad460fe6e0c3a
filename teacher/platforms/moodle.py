"""Moodle's assignments: the names in a download, and the offline grading worksheet.

Source: Moodle's own code, https://github.com/moodle/moodle. The names of files and folders,
`NAME_ID_assignsubmission_file` with or without `_` at the end, and what is read back from a zip of
feedback: mod/assign/feedback/file/importziplib.php (it takes the second part between underscores as
the student's number in this assignment). The columns of the worksheet and their order:
mod/assign/gradingtable.php; how it is read back: mod/assign/feedback/offline/importgradeslib.php.

The worksheet's headers are in the teacher's language, so no word of them is read. Columns are found
by what stands in them: the first holds a word and the student's number; the points that there are
to earn are the same number in every row, and the mark stands before them; dates stand behind, in
the order submitted, graded; a column behind those is the feedback.
"""

import re

from teacher.platforms.dates import parse_date
from teacher.platforms.people import Person
from teacher.platforms.table import Table
from teacher.platforms.worksheet import NUMBER, Row, Worksheet
from utils import LabError

NAME = re.compile(r"([^_]*)_(\d+)_assignsubmission_([a-z]+)(?:_(.*))?")
IDENTIFIER = re.compile(r"\D*?(\d+)")
LOOKS_LIKE_DATE = re.compile(r"-|.*\d{4}.*\d{1,2}[:.h]\d{2}.*|\d{4}-\d\d-\d\d.*")


def person_of(top: str) -> tuple[Person, str | None] | None:
    """Who a file or folder at the top of a download belongs to, and the file's own name.

    That name is "" for a folder, and None for what is no file: `assignsubmission_onlinetext`.
    """
    match = NAME.fullmatch(top)
    if match is None:
        return None
    prefix = f"{match[1]}_{match[2]}_assignsubmission_file"
    person = Person("moodle", match[2].lstrip("0") or "0", match[1].strip(), prefix)
    return person, (match[4] or "") if match[3] == "file" else None


def read_worksheet(table: Table) -> Worksheet | None:
    """Moodle's offline grading worksheet; None for a table that is something else.

    Raises:
        LabError: for a worksheet that cannot be filled: of a scale, or with cut rows.
    """
    numbers = range(1, len(table.rows))
    width = len(table.rows[0])
    ids = [IDENTIFIER.fullmatch(table.texts(number)[0]) for number in numbers]
    if not ids or not all(ids) or width < 5 or len({match[1] for match in ids}) < len(ids):
        return None
    if IDENTIFIER.fullmatch(table.texts(0)[0]):
        return None
    if any(len(table.rows[number]) != width for number in numbers):
        raise LabError(f"{table.path}: not every row has {width} cells; download it again")
    texts = [table.texts(number) for number in numbers]
    columns = [list(column) for column in zip(*texts, strict=True)]
    grade = grade_column(columns)
    if grade is None:
        raise LabError(
            f"{table.path}: no column with marks and one with the most points behind it; "
            "is the assignment graded with points, not with a scale?"
        )
    behind = range(grade + 2, width)
    dates = [n for n in behind if all(LOOKS_LIKE_DATE.fullmatch(text) for text in columns[n])]
    feedback = dates[-1] + 1 if dates and dates[-1] + 1 < width else None
    submitted = columns[dates[0]] if len(dates) > 1 else ["-"] * len(texts)
    times = [parse_date(text) for text in submitted]
    unread = [text for time, text in zip(times, submitted, strict=True) if time is None]
    has_times = len(dates) > 1 and set(unread) <= {"-", ""}
    rows = [
        Row(number, match[1].lstrip("0") or "0", name_of(cells, grade), cells[grade + 1], time)
        for number, match, cells, time in zip(numbers, ids, texts, times, strict=True)
    ]
    name = table.texts(0)[grade]
    return Worksheet("moodle", table, rows, grade, feedback, name, has_times)


def grade_column(columns: list[list[str]]) -> int | None:
    """The column of the marks: empty or at most the same number that stands behind in all rows."""
    for column in reversed(range(1, len(columns) - 2)):
        highest = set(columns[column + 1])
        is_most = len(highest) == 1 and all(NUMBER.fullmatch(text) for text in highest)
        marks = [text for text in columns[column] if text not in ("", "-")]
        follows = all(text and not NUMBER.fullmatch(text) for text in columns[column + 2])
        if is_most and follows and all(NUMBER.fullmatch(text) for text in marks):
            return column
    return None


def name_of(cells: list[str], grade: int) -> str:
    """The student's name; in anonymous marking the column after the number is the status."""
    return cells[1] if grade > 2 else ""
