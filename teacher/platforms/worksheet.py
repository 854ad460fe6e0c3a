"""A platform's list of students with a place for each mark: found, filled, written beside.

A mark is never written over another one unless the teacher says so, and the teacher's own file is
never touched: the filled one lies beside it.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from teacher.page import counted
from teacher.platforms.people import name_key
from teacher.platforms.table import Table
from teacher.reports import Mark, is_optional
from utils import LabError, atomic_path

NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Row:
    """A student of a worksheet.

    Attributes:
        number: of the row in the table.
        id: as the platform's download has it.
        name: the student's; "" where the marking is anonymous.
        highest: the cell with the points that there are to earn.
        submitted: when, if the worksheet knows.
    """

    number: int
    id: str
    name: str
    highest: str
    submitted: datetime | None = None


@dataclass(frozen=True)
class Worksheet:
    """Where the marks of a platform go.

    Attributes:
        platform: "moodle" or "canvas".
        table: the file.
        rows: its students.
        grade: column of the mark.
        feedback: column of the words to it; None where there is none.
        column_name: what the column of the mark is called.
        has_times: whether it says when each submission came, in dates that could be read.
    """

    platform: str
    table: Table
    rows: list[Row]
    grade: int
    feedback: int | None
    column_name: str
    has_times: bool = False

    def cell(self, row: Row, column: int) -> str:
        """The text of a student's cell."""
        return self.table.rows[row.number][column].text.strip()

    def row_of(self, mark: Mark) -> Row | None:
        """The row of a mark: by its id, or by a name that only one student has."""
        if mark.platform == self.platform and mark.id:
            return next((row for row in self.rows if row.id == mark.id), None)
        if mark.platform:
            return None
        key = name_key(mark.submission)
        found = [row for row in self.rows if row.name and name_key(row.name) == key]
        return found[0] if len(found) == 1 else None


@dataclass
class Wishes:
    """What the teacher wants back.

    Attributes:
        sheet: the platform's worksheet, to be filled.
        again: whether marks that are there already are replaced.
        feedback: the zip of feedback to write.
        roster: all students.
        deadline: after which submissions are late.
        best: whether the best submission of a student counts, not the latest.
    """

    sheet: Worksheet | None = None
    again: bool = False
    feedback: Path | None = None
    roster: Table | None = None
    deadline: datetime | None = None
    best: bool = False


@dataclass
class Filled:
    """What filling a worksheet came to.

    Attributes:
        path: of the filled file.
        written: how many marks were written.
        kept: names of those that had another mark already.
        strangers: submissions whose row was not found.
        missing: names of those without a submission.
        scale: the points of the worksheet and ours where they differ; "" otherwise.
    """

    path: Path
    written: int = 0
    kept: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    scale: str = ""


def fill(sheet: Worksheet, marks: list[Mark], again: bool) -> Filled:
    """Writes the filled worksheet beside the one it was read from.

    Args:
        sheet: the worksheet.
        marks: one for each student.
        again: whether marks that are there already are replaced.
    """
    path = sheet.table.path
    filled = Filled(path.with_name(f"{path.stem}-filled{path.suffix}"))
    changes: dict[tuple[int, int], str] = {}
    found = {}
    for mark in marks:
        row = sheet.row_of(mark)
        if row is None or row.number in found:
            filled.strangers.append(mark.submission)
            continue
        found[row.number] = row
        name = row.name or mark.submission
        grade = grade_in(sheet, row, mark)
        before = sheet.cell(row, sheet.grade)
        if before == "N/A" or (before not in ("", "-") and before != grade and not again):
            filled.kept.append(f"{name} ({before})")
            continue
        filled.written += 1
        if before != grade:
            changes[row.number, sheet.grade] = grade
        if sheet.feedback is not None and (again or not sheet.cell(row, sheet.feedback)):
            changes[row.number, sheet.feedback] = in_words(mark)
        if to_decimal(row.highest) != mark.highest:
            filled.scale = f"{mark.highest} points here are {row.highest} there"
    filled.missing = [row.name or row.id for row in sheet.rows if row.number not in found]
    with atomic_path(filled.path) as temporary:
        temporary.write_bytes(sheet.table.replaced(changes))
    return filled


def grade_in(sheet: Worksheet, row: Row, mark: Mark) -> str:
    """A mark as the worksheet writes numbers: scaled to its points, with its decimals."""
    highest = to_decimal(row.highest)
    value = Decimal(str(mark.total)) * highest / max(mark.highest, 1)
    cells = [row.highest, *(sheet.cell(each, sheet.grade) for each in sheet.rows)]
    decimals = next((cell for cell in cells if re.fullmatch(r"\d+[.,]\d+", cell)), "")
    places = len(re.split("[.,]", decimals)[1]) if decimals else 0
    if value != value.quantize(Decimal(1).scaleb(-places)):
        places = max(places, 2)
    text = str(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
    has_comma = "," in decimals or (not decimals and sheet.table.delimiter == ";")
    return text.replace(".", ",") if has_comma else text


def in_words(mark: Mark) -> str:
    """The feedback in one line: plain letters, beginning with a digit, so never a formula."""
    parts = [f"{mark.sums}."]
    if mark.late_days:
        parts.append(f"Late by {counted(mark.late_days, 'day')}.")
    for verdict in ("wrong", "stopped", "unreadable", "to do"):
        own = [t.number for t in mark.todos if t.verdict == verdict and not is_optional(t.number)]
        if own:
            parts.append(f"{verdict.capitalize()}: {', '.join(own)}.")
    return " ".join(parts)


def to_decimal(text: str) -> Decimal:
    """A number with a decimal point or comma.

    Raises:
        LabError: when it is none.
    """
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation as error:
        raise LabError(f"{text!r} is not a number of points; download the file again") from error
