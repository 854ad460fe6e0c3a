"""A CSV file whose cells can be exchanged while every other byte stays as it is.

Python's `csv` reads and writes such files, but loses what a platform may insist on: byte order
mark, line ends, which cells were quoted. So the cells are found here with their places (RFC 4180,
section 2; delimiters `,` `;` and tab; `sep=;` in the first line as Excel writes it).
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils import LabError

LARGEST = 20 * 2**20
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Cell:
    """One cell: its text without quotes, and the span of its characters in the file."""

    text: str
    start: int
    end: int
    is_quoted: bool


@dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
        path: where it lies.
        text: all of it, with byte order mark and line ends.
        encoding: by which the text becomes the same bytes again.
        delimiter: between its cells.
        rows: its cells; lines without any text are left out.
    """

    path: Path
    text: str
    encoding: str
    delimiter: str
    rows: list[list[Cell]]

    def texts(self, row: int) -> list[str]:
        """The texts of a row, without white space around."""
        return [cell.text.strip() for cell in self.rows[row]]

    def replaced(self, changes: dict[tuple[int, int], str]) -> bytes:
        """The file with other texts in some cells: (row, column) → text."""
        text = self.text
        for (row, column), new in sorted(changes.items(), reverse=True):
            cell = self.rows[row][column]
            special = {self.delimiter, '"', "\r", "\n"}
            if cell.is_quoted or special & set(new) or new != new.strip():
                new = '"' + new.replace('"', '""') + '"'
            text = text[: cell.start] + new + text[cell.end :]
        return text.encode(self.encoding)


def read_table(path: Path) -> Table:
    """Reads a CSV file.

    Raises:
        LabError: when it cannot be read, is too large, or is no table.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise LabError(f"{path}: larger than 20 MB; is it a CSV file?")
        data = path.read_bytes()
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror}); give a CSV file") from error
    encoding = encoding_of(data)
    text = data.decode(encoding)
    if "\0" in text or data.startswith(b"PK\x03\x04"):
        raise LabError(f"{path}: not a CSV file; a spreadsheet must be saved as CSV first")
    start = 1 if text.startswith("\ufeff") else 0
    if text[start : start + 4] == "sep=" and text[start + 4 : start + 5] in DELIMITERS:
        delimiter = text[start + 4]
        start = text.index("\n", start) + 1 if "\n" in text else len(text)
    else:
        first = {each: cells_of(text, start, each, most=1) for each in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda each: sum(map(len, first[each])))
    rows = cells_of(text, start, delimiter)
    if not rows:
        raise LabError(f"{path}: is empty; download it again")
    return Table(path, text, encoding, delimiter, rows)


def encoding_of(data: bytes) -> str:
    """An encoding that gives the same bytes back; a byte order mark stays a character."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark) and len(data) % 2 == 0:
            return encoding
    for encoding in ("utf-8", "cp1252"):  # the second as spreadsheets on Windows write it
        with suppress(UnicodeDecodeError):
            data.decode(encoding)
            return encoding
    return "latin-1"


def cells_of(text: str, start: int, delimiter: str, most: int | None = None) -> list[list[Cell]]:
    """All cells from a place on, row by row, at most so many rows."""
    rows: list[list[Cell]] = []
    row: list[Cell] = []
    place = start
    while place <= len(text):
        cell = cell_at(text, place, delimiter)
        row.append(cell)
        place = cell.end + 1
        if text[cell.end : cell.end + 1] == delimiter:
            continue
        if any(each.text.strip() for each in row):
            rows.append(row)
            if len(rows) == most:
                break
        row = []
        if place >= len(text):
            break
    return rows


def cell_at(text: str, start: int, delimiter: str) -> Cell:
    """The cell that begins at a place; it ends before a delimiter, a line end, or the end."""
    if text[start : start + 1] == '"':
        end = start + 1
        while True:
            close = text.find('"', end)
            if close < 0:
                break
            if text[close + 1 : close + 2] != '"':
                after = text[close + 1 : close + 2]
                if after in ("", delimiter, "\r", "\n"):
                    content = text[start + 1 : close].replace('""', '"')
                    return Cell(content, start, close + 1, True)
                break
            end = close + 2
    end = start
    while end < len(text) and text[end] not in (delimiter, "\r", "\n"):
        end += 1
    return Cell(text[start:end], start, end, False)
