"""The page of one run: what it scored, how it got there, what it confuses, how it was made."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.command_line.run_folder import read_config, read_cost, read_history
from commands.report.curves import curves
from commands.report.page import escaped, number, page, picture, section, table
from utils import LabError, write_text

REPORT = "report.html"
MOST_IN_MATRIX = 40
"""Classes up to which the confusion matrix is shown as a whole."""
MOST_PAIRS = 12


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run's folder; returns its path.

    Raises:
        LabError: when the folder holds no finished run.
    """
    try:
        config, history = read_config(folder), read_history(folder)
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        summary = (folder / "summary.txt").read_text(encoding="utf-8")
        cost = read_cost(folder)
    except (OSError, ValueError) as error:
        raise LabError(f"{folder}: no finished run to report ({error})") from error
    parts = [
        f"<p>{'<br>'.join(map(escaped, summary.strip().splitlines()))}</p>",
        section("Curves", curve_part(history)),
        section("What it sees", picture(folder / "samples.png", "image, target and prediction")),
        section("Scores by class", class_table(metrics["classes"])),
        section("What is taken for what", confusion_part(metrics)),
        section("How it was made", making_part(config, cost)),
    ]
    path = folder / REPORT
    write_text(path, page(f"Run {folder.resolve().name}", parts))
    return path


def curve_part(history: Sequence[dict[str, float]]) -> str:
    """The losses and the scores over the epochs."""
    names = {"train_loss": "training", "val_loss": "validation"}
    losses = {
        name: [(row["epoch"], row[key]) for row in history if row.get(key) == row.get(key)]
        for key, name in names.items()
    }
    keys = {"val_macro_f1": "macro F1", "val_mean_iou": "mean IoU"}
    scores = {name: [(row["epoch"], row[key]) for row in history] for key, name in keys.items()}
    drawn = (curves("validation score", scores, 0.0), curves("loss", losses))
    return f'<div class="row">{"".join(f"<div>{each}</div>" for each in drawn)}</div>'


def class_table(classes: dict[str, dict[str, Any]]) -> str:
    """A row per class, sortable: F1, IoU, its pixels and its share of them."""
    total = sum(row["pixels"] for row in classes.values()) or 1
    rows = [
        [
            name,
            number(row["f1"]),
            number(row["iou"]),
            f"{row['pixels']:,}",
            f"{100 * row['pixels'] / total:.2f}",
        ]
        for name, row in classes.items()
    ]
    return table(["class", "F1", "IoU", "pixels", "% of the pixels"], rows)


def confusion_part(metrics: dict[str, Any]) -> str:
    """The most confused pairs in words, and the matrix where it is not too large."""
    matrix, names = metrics.get("confusion_matrix"), list(metrics["classes"])
    if not matrix or not any(map(sum, matrix)):
        return ""
    errors = sum(sum(row) for row in matrix) - sum(row[k] for k, row in enumerate(matrix))
    found = sorted(
        ((matrix[i][j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j),
        reverse=True,
    )
    rows = [
        [
            f"{names[i]} taken for {names[j]}",
            f"{count:,}",
            f"{100 * count / sum(matrix[i]):.1f}",
            f"{100 * count / errors:.1f}",
        ]
        for count, i, j in found[:MOST_PAIRS]
        if count
    ]
    text = table(["pair", "pixels", "% of the class", "% of all errors"], rows)
    if len(names) > MOST_IN_MATRIX:
        return text
    return f"{text}<p>Rows: the target. Columns: the prediction, in % of the row.</p>" + heat_map(
        matrix, names
    )


def heat_map(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The confusion matrix as a table, each cell in % of its row and the darker, the more."""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in names)
    lines = []
    for name, row in zip(names, matrix, strict=True):
        total, cells = sum(row), []
        for other, count in zip(names, row, strict=True):
            share = count / total if total else 0.0
            title = escaped(f"{name} taken for {other}: {count:,} pixels")
            text = f"{100 * share:.0f}" if share >= 0.005 else ""
            cells.append(
                f'<td title="{title}" style="background:rgb(0 114 178/{share:.2f})">{text}</td>'
            )
        lines.append(f'<tr><th scope="row">{escaped(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def making_part(config: dict[str, Any], cost: dict[str, float | None]) -> str:
    """The command, the code, the data, the machine, and what the run took."""
    resolved, versions = config.get("resolved", {}), config.get("versions", {})
    labelled = config.get("labelled_pixels")
    parameters = "{learning:,} of {parameters:,}".format(**cost) if cost else "not recorded"
    facts = [
        [
            "data",
            f"{config['labels']['name']}, {config['arguments'].get('datadir') or 'toy streets'}",
        ],
        ["training took", duration(cost.get("seconds"))],
        ["memory, at most", f"{number(cost.get('gibibytes'), 2)} GiB"],
        ["parameters that learned", parameters],
        ["labelled pixels", "not counted" if labelled is None else f"{labelled:,}"],
        ["code", config.get("git_commit") or "not in a repository"],
        ["device", f"{resolved.get('device')}, {resolved.get('precision')}"],
        *([name, text] for name, text in versions.items()),
    ]
    command = f"<pre>{escaped(config.get('command') or '')}</pre>"
    return command + table(["", ""], facts, kind="plain")


def duration(seconds: float | None) -> str:
    """Seconds in words, as "7 s", "12 min 5 s" or "3 h 20 min"."""
    if seconds is None:
        return "not recorded"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
