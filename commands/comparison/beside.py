"""The scores of others beside those of our runs: a table that is read, drawn and printed.

The file has a first line `# …` that says whose scores they are, the names of the columns, and then
a row for each of their settings, tabulators between:

    # published, one seed each; other images
    setting<TAB>labelled_pixels<TAB>macro_f1<TAB>mean_iou
    2,475 whole images<TAB>506880000<TAB><TAB>0.249

A score that is not known stays empty. They were measured on other images or by other programs, so
that they are a scale to read ours by, and no competitors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from commands.comparison.markdown import escaped, table_lines
from commands.comparison.runs import METRICS
from utils import LabError

COLUMNS = ("setting", "labelled_pixels", *METRICS)


class Other(NamedTuple):
    """One setting of others; `scores` by metric, None for one that is not known."""

    setting: str
    labelled: float
    scores: dict[str, float | None]


class Beside(NamedTuple):
    """What a file holds: whose scores they are, and its rows."""

    title: str
    rows: Sequence[Other]

    def lines(self) -> list[str]:
        """The table as Markdown."""
        rows = [
            [
                row.setting,
                f"{row.labelled / 1e6:,.2f} million",
                *("–" if score is None else f"{score:.3f}" for score in row.scores.values()),
            ]
            for row in self.rows
        ]
        header = ["beside ours", "labelled pixels", *METRICS.values()]
        return [f"Not measured here: {escaped(self.title)}", "", *table_lines(header, rows), ""]


def read_beside(path: Path) -> Beside:
    """Reads a file of others' scores.

    Raises:
        LabError: for a file that is none, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: no table of scores that can be read") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    titles = [line.lstrip("# ").strip() for _, line in numbered if line.startswith("#")]
    head, *body = [(n, line.split("\t")) for n, line in numbered if line[0] != "#"] or [(1, [])]
    if tuple(head[1]) != COLUMNS or not body or not titles or not titles[0]:
        raise LabError(
            f"{path}: write a line `# whose scores`, the columns {', '.join(COLUMNS)} with "
            "tabulators between, and a row for each setting"
        )
    return Beside(titles[0], [read_row(f"{path}, line {n}", words) for n, words in body])


def read_row(where: str, words: Sequence[str]) -> Other:
    """One row; `where` names it in an error."""
    if len(words) != len(COLUMNS) or not words[0].strip():
        raise LabError(f"{where}: needs {', '.join(COLUMNS)}, with tabulators between")
    try:
        pixels, *scores = [float(word) if word.strip() else None for word in words[1:]]
    except ValueError as error:
        raise LabError(f"{where}: {error}; write numbers, or nothing for a score") from error
    if pixels is None or not 0 < pixels < 1e18:
        raise LabError(f"{where}: labelled_pixels must be a positive number")
    if not all(score is None or 0 <= score <= 1 for score in scores):
        raise LabError(f"{where}: scores lie between 0 and 1, 0.249 and not 24.9")
    return Other(words[0].strip(), pixels, dict(zip(METRICS, scores, strict=True)))
