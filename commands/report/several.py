"""The page of several runs: a table that sorts, and the figures of the comparison."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from commands.command_line.run_folder import read_config, read_history
from commands.report.page import escaped, number, page, picture, section, table
from commands.report.run import REPORT
from utils import write_text

FIGURES = {
    "curves.png": "Curves",
    "bars.png": "Scores",
    "classes.png": "Class by class",
    "labels.png": "What labels are worth",
}
SHOWN = ("model", "loss", "optimizer", "lr", "seed")


def write_comparison(folders: Sequence[Path], output: Path) -> Path:
    """Writes `compare.html` beside the figures of a comparison; returns its path.

    Args:
        folders: of the runs, which have been read before.
        output: the folder of the comparison, with its figures.
    """
    header = ["run", *SHOWN, "macro F1", "mean IoU", "best epoch", "epochs", "steps"]
    parts = [section("Runs", table(header, [row_of(folder) for folder in folders]))]
    links = [link_to(folder, output) for folder in folders if (folder / REPORT).is_file()]
    parts.append(section("Their own pages", f"<p>{', '.join(links)}</p>" if links else ""))
    parts += [section(title, picture(output / name, title)) for name, title in FIGURES.items()]
    path = output / "compare.html"
    write_text(path, page(f"Comparison of {len(folders)} runs", parts))
    return path


def row_of(folder: Path) -> list[object]:
    """A run's row: what it was asked for, and its best epoch so far."""
    arguments, history = read_config(folder)["arguments"], read_history(folder)
    best = max(history, key=lambda row: row["val_macro_f1"], default=None)
    scores = [best and best["val_macro_f1"], best and best["val_mean_iou"]]
    return [
        folder.name,
        *(arguments.get(key) for key in SHOWN),
        *map(number, scores),
        f"{best['epoch']:.0f}" if best else "–",
        f"{history[-1]['epoch']:.0f}" if history else "–",
        f"{history[-1]['step']:.0f}" if history else "–",
    ]


def link_to(folder: Path, output: Path) -> str:
    """A link from the comparison to a run's own page."""
    place = Path(os.path.relpath(folder / REPORT, output)).as_posix()
    return f'<a href="{quote(os.fsencode(place))}">{escaped(folder.name)}</a>'
