"""The frame of the pages that a teacher gets: one file each, for light and dark, wide and narrow.

The style follows that of a run's report (commands/report), which this room may not import.
"""

import html
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --ink: light-dark(#1a1c20, #e8eaee);
  --paper: light-dark(#fff, #16181c); --accent: light-dark(#0b5fa5, #7db8f0);
  --quiet: light-dark(#555a63, #a9afb9); --lit: light-dark(#ffe08a, #6b5200); }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 76rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
h1, h2, h3 { line-height: 1.25; } a { color: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
tbody th { font-weight: 500; min-width: 9rem; } .number { text-align: right; white-space: nowrap; }
.wide { overflow-x: auto; } .quiet { color: var(--quiet); } .lead { font-size: 1.1rem; }
pre { overflow-x: auto; background: var(--soft); padding: .6rem; margin: .4rem 0;
  font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: normal; tab-size: 4; }
td pre { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 14rem; margin: 0; }
mark { background: var(--lit); color: inherit; }
details { margin: .4rem 0; } summary { cursor: pointer; } svg { max-width: 100%; height: auto; }
.bar { display: inline-block; height: .7rem; background: var(--accent); vertical-align: baseline; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 0 1rem; } .pair > div { min-width: 0; }
@media (max-width: 34rem) { table { font-size: .85rem; } th, td { padding-right: .4rem; }
  tbody th { min-width: 5rem; } .bar { zoom: .6; } }
"""


def page(title: str, parts: Sequence[str], style: str = STYLE, heading: bool = True) -> str:
    """A whole page of some parts, each HTML; the title is its heading too, unless it has others."""
    body = [f"<h1>{escaped(title)}</h1>"] if heading else []
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style></head>\n<body>\n<main>\n"
        + "\n".join([*body, *filter(None, parts)])
        + "\n</main>\n</body></html>\n"
    )


def printable(text: str) -> str:
    """A text without what could disturb a terminal or a file."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def escaped(text: object) -> str:
    """Text whose signs are no HTML, without what could disturb a page."""
    return html.escape(printable(str(text)))


def section(title: str, body: str) -> str:
    """A heading and what belongs below it; nothing where there is nothing."""
    return f"<h2>{escaped(title)}</h2>\n{body}" if body else ""


def bullets(items: Sequence[str]) -> str:
    """A list; its items are HTML; nothing for none."""
    lines = "\n".join(f"<li>{item}</li>" for item in items)
    return f"<ul>\n{lines}\n</ul>" if items else ""


def folded(summary: str, body: str) -> str:
    """A part that opens on a click; `summary` and `body` are HTML."""
    return f"<details><summary>{summary}</summary>\n{body}\n</details>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are HTML, and the first of a row names it."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 submission", "2 submissions"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
