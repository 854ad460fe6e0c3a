"""What commands read of a run's folder: its config.json and its history.csv."""

import csv
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

SCORED_COLUMNS = ("epoch", "step", "val_macro_f1", "val_mean_iou")
"""Columns of `history.csv` that have a finite number in every row."""
COST_KEYS = ("parameters", "learning", "seconds", "epoch_seconds", "gibibytes")


def read_config(folder: Path) -> dict[str, Any]:
    """A run's `config.json`: its arguments, the fingerprints and labels of its data, versions.

    Raises:
        ValueError: one line, when the file is missing, damaged, or not of this lab.
    """
    path = folder / "config.json"
    with _one_line_about(path):
        config = json.loads(path.read_text(encoding="utf-8"))
        parts = [config["arguments"], config.get("versions", {}), config.get("resolved", {})]
        names = [config["labels"]["name"], *(row["name"] for row in config["labels"]["classes"])]
        is_right = len(config["data_fingerprint"].split()) == 2  # of training and validation
        is_right = is_right and all(isinstance(part, dict) for part in parts)
        if not is_right or not all(isinstance(name, str) for name in names):
            raise ValueError
    return config


def read_history(folder: Path) -> list[dict[str, float]]:
    """A run's `history.csv`: a row per epoch, column → number; no rows before the first epoch ends.

    An empty cell is NaN.

    Raises:
        ValueError: one line, when the file is damaged, or not of this lab.
    """
    path = folder / "history.csv"
    with _one_line_about(path):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [
            {key: math.nan if row[key] == "" else float(row[key]) for key in row}
            for row in csv.DictReader(lines)
        ]
        is_finite = all(math.isfinite(row[key]) for row in rows for key in SCORED_COLUMNS)
        if not is_finite or any(row["epoch"] >= after["epoch"] for row, after in pairwise(rows)):
            raise ValueError
    return rows


def read_cost(folder: Path) -> dict[str, float | None]:
    """A run's `cost.json`, None for what was not known; nothing where the run has not ended.

    Raises:
        ValueError: one line, when the file is damaged, or not of this lab.
    """
    path = folder / "cost.json"
    if not path.is_file():
        return {}
    with _one_line_about(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        values = {key: found[key] for key in COST_KEYS}
        if not all(value is None or 0 <= float(value) < math.inf for value in values.values()):
            raise ValueError
    return values


@contextmanager
def _one_line_about(path: Path) -> Iterator[None]:
    """Turns whatever reading a run's file may raise into a `ValueError` of one line."""
    kinds = OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or "damaged, or not of this lab"
        raise ValueError(
            f"{path}: no readable {path.name} ({reason}); choose another run, or leave this one out"
        ) from error
