"""Tables as Markdown that also reads as plain text."""

from collections.abc import Sequence


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[escaped(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def escaped(text: str, keep: str = "") -> str:
    """Text whose signs are no Markdown, those in `keep` aside."""
    for sign in "\\|*`<":
        text = text if sign in keep else text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
