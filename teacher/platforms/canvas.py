"""Canvas: the names in a download of submissions, and the export of the gradebook.

Source: Canvas' own code, https://github.com/instructure/canvas-lms. Names of files,
`lastfirst[_LATE]_USER_ATTACHMENT_file`, and `anon_ID_ATTACHMENT_file` where the marking is
anonymous: lib/content_zipper.rb; a file that is sent back needs the same beginning, with the
number of a file that the student has handed in. The gradebook: lib/gradebook_exporter.rb and
lib/gradebook_importer.rb (the names of its first columns and "Points Possible" are English
everywhere; decimal comma and `;` where the teacher's language has them; no column for feedback).
"""

import re

from teacher.platforms.people import Person
from teacher.platforms.table import Table
from teacher.platforms.worksheet import NUMBER, Row, Worksheet
from utils import LabError, shortened

NAME = re.compile(r"(\w*?)(_LATE)?_(\d+)_(\d+)_(.+)")
ANONYMOUS = re.compile(r"anon(_LATE)?_([A-Za-z0-9]+)_(\d+)_(.+)")
TEXT = re.compile(r"(\w*?)(_LATE)?_(\d+)_(?:text|link)\.html")
TITLE = re.compile(r"(.*) \((\d+)\)", re.DOTALL)
TEST_STUDENT = (["Student, Test"], ["Student", "Test"])
RESUBMITTED = re.compile(r"-\d+(\.py)$")


def person_of(top: str) -> tuple[Person, str | None] | None:
    """Who a file of a download belongs to, and the file's own name; None for a text or a link.

    Canvas adds `-1`, `-2`, … to the name of a file that was handed in again.
    """
    if match := ANONYMOUS.fullmatch(top):
        prefix = top[: match.start(4) - 1]
        person = Person("canvas", match[2], f"anonymous {match[2]}", prefix, bool(match[1]))
        return person, RESUBMITTED.sub(r"\1", match[4])
    if match := NAME.fullmatch(top):
        prefix = top[: match.start(5) - 1]
        doubt = ""
        if re.match(r"\d+_", match[5]):  # a name that ends in a number would shift all others
            doubt = f"its name has several numbers ({top}); taken as the user {match[3]}"
        person = Person("canvas", match[3], match[1] or match[3], prefix, bool(match[2]), doubt)
        return person, RESUBMITTED.sub(r"\1", match[5])
    if match := TEXT.fullmatch(top):
        return Person("canvas", match[3], match[1] or match[3], "", bool(match[2])), None
    return None


def read_gradebook(table: Table, assignment: str | None) -> Worksheet | None:
    """Canvas' export of the gradebook; None for a table that is something else.

    Args:
        table: the file.
        assignment: title or number of the assignment; None where there is only one.

    Raises:
        LabError: when it is not clear which assignment is meant.
    """
    students = students_of(table)
    if students is None:
        return None
    points = points_row(table)
    if points is None or "Section" not in table.texts(0):
        raise LabError(f"{table.path}: has no row 'Points Possible'; export the gradebook again")
    column = assignment_column(table, points, assignment)
    highest = table.texts(points)[column]
    rows = [
        Row(row, number, name, highest)
        for row, number, name in students
        if len(table.rows[row]) > column
    ]
    return Worksheet("canvas", table, rows, column, None, table.texts(0)[column])


def students_of(table: Table) -> list[tuple[int, str, str]] | None:
    """Row, number and name of each student of a gradebook; None for a table that is none.

    Canvas' own test student is left out.
    """
    heads = table.texts(0)
    names = 2 if heads[:2] == ["LastName", "FirstName"] else 1
    if (names == 1 and heads[0] != "Student") or heads[names : names + 1] != ["ID"]:
        return None
    found = []
    for row in range((points_row(table) or 0) + 1, len(table.rows)):
        cells = table.texts(row)
        if len(cells) > names and cells[names].isdecimal() and cells[:names] not in TEST_STUDENT:
            name = " ".join(reversed(cells[:names])) if names == 2 else cells[0]
            found.append((row, cells[names], name))
    return found


def points_row(table: Table) -> int | None:
    """The row that says how many points there are."""
    numbers = range(1, len(table.rows))
    return next((n for n in numbers if table.texts(n)[0] == "Points Possible"), None)


def assignment_column(table: Table, points: int, assignment: str | None) -> int:
    """The column of an assignment: `Title (number)` with a number of points."""
    heads, most = table.texts(0), table.texts(points)
    first = heads.index("Section") + 1
    found = {
        n: TITLE.fullmatch(heads[n])
        for n in range(first, min(len(heads), len(most)))
        if TITLE.fullmatch(heads[n]) and NUMBER.fullmatch(most[n])
    }
    titles = shortened([f"'{heads[n]}'" for n in found])
    if assignment is not None:
        wanted = assignment.casefold()
        found = {
            n: m for n, m in found.items() if wanted in (m[0].casefold(), m[1].casefold(), m[2])
        }
    if len(found) == 1:
        return next(iter(found))
    why = "which assignment is it?"
    if assignment is not None:
        is_there = f"is the title of {len(found)}" if found else "is not one of them"
        why = f"'{assignment}' {is_there};"
    raise LabError(f"{table.path}: {why} --assignment one of: {titles or 'there is none'}")
