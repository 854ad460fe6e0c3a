"""What goes back after a grading: the filled worksheet, the zip of feedback, who is missing."""

import zipfile
from pathlib import Path

from teacher.page import counted, printable
from teacher.platforms.canvas import read_gradebook
from teacher.platforms.handed_in import HandedIn
from teacher.platforms.moodle import read_worksheet
from teacher.platforms.people import Person
from teacher.platforms.roster import missing_from
from teacher.platforms.table import read_table
from teacher.platforms.worksheet import Wishes, Worksheet, fill
from teacher.reports import Mark, as_html, harmless
from utils import LabError, atomic_path, shortened, write_csv

REPORT = "feedback.html"


def read_sheet(path: Path, assignment: str | None = None) -> Worksheet:
    """Moodle's worksheet or Canvas' gradebook.

    Raises:
        LabError: when it is neither, or cannot be filled.
    """
    table = read_table(path)
    sheet = read_gradebook(table, assignment) or read_worksheet(table)
    if sheet is None:
        raise LabError(
            f"{path}: neither Moodle's grading worksheet nor Canvas' gradebook; "
            "download it there, and give it as it is"
        )
    if not sheet.rows:
        raise LabError(f"{path}: has no students; download it again")
    return sheet


def hand_back(marks: list[Mark], handed: HandedIn, wishes: Wishes, out: Path | None) -> list[str]:
    """Writes what was asked for; returns sentences for the teacher."""
    said = []
    if wishes.sheet is not None:
        said += fill_sheet(wishes.sheet, marks, wishes.again)
    if wishes.feedback is not None:
        count = write_feedback(wishes.feedback, marks, handed, wishes.sheet)
        reached = counted(count, "student")
        said.append(f"{wishes.feedback}: feedback for {reached}, to be uploaded")
        if count < len(marks):
            rest = counted(len(marks) - count, "submission")
            said.append(f"no feedback for {rest}: under no name that the platform knows")
    if wishes.roster is not None:
        absent, count = missing_from(wishes.roster, marks)
        said.append(
            f"{len(absent)} of {count} have not handed in: {shortened(absent) or 'all did'}"
        )
        if out is not None:
            path = out.with_name("missing.csv")
            write_csv(path, ["missing"], [{"missing": harmless(name)} for name in absent])
            said.append(f"{path}: who they are")
    return [printable(line) for line in said]


def fill_sheet(sheet: Worksheet, marks: list[Mark], again: bool) -> list[str]:
    """Fills the worksheet; returns what to say about it."""
    filled = fill(sheet, marks, again)
    said = [f"{filled.path}: {counted(filled.written, 'mark')} in the column '{sheet.column_name}'"]
    if filled.scale:
        said.append(f"scaled: {filled.scale}")
    if filled.kept:
        kept = shortened(filled.kept)
        said.append(f"{len(filled.kept)} have a mark already, kept (--again replaces): {kept}")
    if filled.strangers:
        names = shortened(filled.strangers)
        said.append(f"{counted(len(filled.strangers), 'submission')} in no row of it: {names}")
    if filled.missing:
        names = shortened(filled.missing)
        said.append(f"{len(filled.missing)} of {len(sheet.rows)} students did not hand in: {names}")
    return said


def write_feedback(path: Path, marks: list[Mark], handed: HandedIn, sheet: Worksheet | None) -> int:
    """Writes the zip that the platform maps back to its students; returns how many it reaches."""
    count = 0
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for mark in marks:
            person = handed.people.get(mark.submission) or person_in(sheet, mark)
            if person is not None and person.prefix:
                name = f"{person.prefix}{'/' if person.platform == 'moodle' else '_'}{REPORT}"
                entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
                archive.writestr(entry, as_html(mark).encode(), zipfile.ZIP_DEFLATED)
                count += 1
    return count


def person_in(sheet: Worksheet | None, mark: Mark) -> Person | None:
    """The student of a mark by Moodle's worksheet, for submissions that came another way."""
    row = sheet.row_of(mark) if sheet is not None and sheet.platform == "moodle" else None
    if row is None:
        return None
    name = "".join(c if c.isalnum() or c in " .-" else " " for c in row.name)
    return Person("moodle", row.id, row.name, f"{name}_{row.id}_assignsubmission_file")
