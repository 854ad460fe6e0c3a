"""The frame of a page: its head, its style for light and dark, tables that sort, numbers in words.

Everything is inside the one file: style, script, pictures. Standard library only.
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --ink: light-dark(#1a1c20, #e8eaee);
  --paper: light-dark(#fff, #16181c); --accent: light-dark(#0b5fa5, #7db8f0); }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  cursor: pointer; padding: 0; }
th button:hover { color: var(--accent); } th[aria-sort] button { text-decoration: underline; }
[aria-pressed="true"] { background: var(--accent); color: var(--paper); }
.wide { overflow-x: auto; } img, svg { max-width: 100%; height: auto; }
.wide img { min-width: 40rem; }
pre { overflow-x: auto; background: var(--soft); padding: .6rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
.matrix td { padding: .15rem .35rem; font-size: .75rem; min-width: 1.6rem; }
.matrix th { font-size: .75rem; font-weight: 500; text-align: left; }
.matrix thead th { writing-mode: vertical-rl; padding: .6rem .15rem; }
"""
SORTING = """
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => { const text = row.cells[column].textContent.trim();
        const number = Number(text.replace(/,/g, "") || NaN);
        return isNaN(number) ? text : number; };
      const rows = [...table.tBodies[0].rows];
      const isNumber = row => typeof key(row) === "number";
      rows.sort((a, b) => { const [x, y] = [key(a), key(b)];
        return isNumber(b) - isNumber(a) || (x > y ? 1 : x < y ? -1 : 0) * (down ? -1 : 1); });
      table.tBodies[0].append(...rows);
    };
  });
}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page of some parts, each HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f"<h1>{escaped(title)}</h1>\n" + "\n".join(parts) + f"\n<script>{SORTING}</script>\n"
        "</body></html>\n"
    )


def escaped(text: object) -> str:
    """Text whose signs are no HTML; bytes that are no UTF-8 are shown as such."""
    plain = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return html.escape(plain)


def section(title: str, body: str) -> str:
    """A heading and what belongs below it; nothing where there is nothing."""
    return f"<h2>{escaped(title)}</h2>\n{body}" if body else ""


def table(header: Sequence[str], rows: Sequence[Sequence[object]], kind: str = "sortable") -> str:
    """A table; clicking on a heading sorts it."""
    head = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in header)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def picture(path: Path, text: str) -> str:
    """A PNG inside the page, which scrolls on a phone; nothing where there is none."""
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    image = f'<img alt="{escaped(text)}" src="data:image/png;base64,{data}">'
    return f'<div class="wide">{image}</div>'


def number(value: float | None, digits: int = 4) -> str:
    """A score with some digits; a dash where nothing was scored."""
    return "–" if value is None else f"{value:.{digits}f}"
