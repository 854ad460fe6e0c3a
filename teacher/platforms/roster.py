"""A list of all students, to tell who has not handed in.

Any CSV file, or a text file with a name on each line: a student is found by number, account or
name, in whatever column these stand.
"""

from itertools import pairwise

from teacher.platforms.people import name_key
from teacher.platforms.table import Table
from teacher.reports import Mark

HEADERS = {
    *("name", "names", "student", "students", "id", "email", "username", "login", "identifier"),
    *("first", "last", "firstname", "lastname", "surname", "vorname", "nachname", "teilnehmer"),
    *("matrikelnummer", "nom", "prénom", "nombre", "apellido", "apellidos", "cognome"),
}


def missing_from(table: Table, marks: list[Mark]) -> tuple[list[str], int]:
    """The students of a roster without a submission, and how many students it has."""
    rows = [table.texts(number) for number in range(len(table.rows))]
    keys = {mark.id for mark in marks if mark.id} | {m.submission.casefold() for m in marks}
    names = {name_key(mark.submission) for mark in marks}
    if rows and not is_there(rows[0], keys, names) and is_header(rows):
        rows = rows[1:]
    absent = [cells for cells in rows if not is_there(cells, keys, names)]
    return [", ".join(filter(None, cells[:4])) for cells in absent], len(rows)


def is_there(cells: list[str], keys: set[str], names: set[tuple[str, ...]]) -> bool:
    """Whether a student of the roster has handed in."""
    if any(cell and (cell in keys or cell.casefold() in keys) for cell in cells):
        return True
    accounts = [cell.partition("@")[0].casefold() for cell in cells if "@" in cell]
    pairs = [f"{first} {second}" for first, second in pairwise(cells)]
    spellings = {name_key(text) for text in (*cells, *pairs) if text}
    return bool(spellings & names) or any(account in keys for account in accounts)


def is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: by its words, or by digits and @ below it alone."""
    words = {word for cell in rows[0] for word in cell.casefold().replace("_", " ").split()}
    if words & HEADERS:
        return True
    telling = [number for number, cell in enumerate(rows[0]) if not has_number(cell)]
    below = [cells for cells in rows[1:] if len(cells) == len(rows[0])]
    return bool(below) and any(all(has_number(cells[n]) for cells in below) for n in telling)


def has_number(cell: str) -> bool:
    """Whether a cell is a number or an address rather than words."""
    return "@" in cell or any(letter.isdigit() for letter in cell)
