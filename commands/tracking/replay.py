"""A run's folder, finished or not, told to a store as if it had listened to the training."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from commands.command_line import as_shown
from commands.command_line.run_folder import read_config, read_history
from commands.tracking.records import Record, digest, record_of
from commands.tracking.store import PICTURE, Addition, Store
from commands.tracking.to_mlflow import MlflowStore
from commands.tracking.to_trackio import TrackioStore
from commands.tracking.to_wandb import WandbStore
from utils import LabError, python_command, read_image, shortened

FILES = (
    "config.json", "history.csv", "metrics.json", "summary.txt", "report.html", PICTURE,
    "model.onnx",
)  # fmt: skip
NEEDS = {
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""By store: the packages that it takes, all in requirements-track.txt."""


STORES: dict[str, Callable[[Path], Store]] = {
    "mlflow": MlflowStore,
    "trackio": TrackioStore,
    "wandb": WandbStore,
}
"""Each imports its library when it is opened."""


@dataclass(frozen=True)
class TrackedRun:
    """What a run's folder holds for a store.

    Attributes:
        name: of the folder.
        config: its arguments, its data, its commit.
        rows: (optimiser step, tag → finite number) of each epoch.
        digests: of each epoch, with all its numbers.
        scores: of the best weights; empty while the run goes on.
        files: those that are there.
        is_finished: whether it has ended.
    """

    name: str
    config: dict[str, Any]
    rows: list[tuple[int, dict[str, float]]]
    digests: list[str]
    scores: dict[str, float]
    files: list[Path]
    is_finished: bool


def track_runs(runs: Sequence[Path], to: str, store: Path | None = None) -> None:
    """Gives a store what it does not have of some runs, and says what that was.

    Args:
        runs: their folders, or folders full of them.
        to: one of `STORES`.
        store: the store's folder; `tracking/NAME` if None.

    Raises:
        LabError: for a package that is missing, a run that is none, a store that cannot be written.
    """
    require_packages(to)
    read = [read_run(run) for run in folders_of(runs)]
    folder = store or Path("tracking") / to
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = STORES[to](folder)
        bar = tqdm(read, "tracking", unit="run", leave=False, disable=len(read) == 1)
        lines = [track_run(run, folder, opened) for run in bar]
    except (LabError, OSError):
        raise
    except Exception as error:  # each of the libraries raises kinds of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LabError(f"{folder}: no store that {to} can use ({reason}); name another") from error
    print("\n".join(map(as_shown, lines)))
    print(f"the store is {as_shown(str(folder))}; look at it with:\n  {opened.look}")


def require_packages(to: str) -> None:
    """Raises `LabError` when a package that a store needs is not installed."""
    for name in NEEDS[to]:
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of that name is no package
            raise LabError(
                f"{name} is not installed; type: "
                f"{python_command()} -m pip install -r requirements-track.txt"
            )


def folders_of(paths: Sequence[Path]) -> list[Path]:
    """The runs among paths and directly below them; those of `main.py compare` are passed over."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(each for each in path.glob("*") if (each / "config.json").is_file())
        if (path / "config.json").is_file() or not (inside or (path / "compare.md").is_file()):
            found.append(path)
        else:
            found += inside
    return found


def read_run(folder: Path) -> TrackedRun:
    """Reads a run's folder.

    Raises:
        LabError: when it is none, or is damaged.
    """
    try:
        config, history = read_config(folder), read_history(folder)
    except ValueError as error:
        raise LabError(str(error)) from error
    facts = {"data_fingerprint": config["data_fingerprint"], "classes": config["labels"]["name"]}
    facts |= {"git_commit": config.get("git_commit"), "command": config.get("command")}
    arguments = {
        key: as_shown(value) if isinstance(value, str) else value
        for key, value in {**config["arguments"], **facts}.items()
    }
    files = [folder / name for name in FILES if (folder / name).is_file()]
    if folder / PICTURE in files:
        read_image(folder / PICTURE)  # a damaged one would end some stores in the middle
    return TrackedRun(
        name=as_shown(folder.resolve().name),
        config=arguments,
        rows=[(int(row["step"]), tags_of(row)) for row in history],
        digests=[digest({key: repr(value) for key, value in row.items()}) for row in history],
        scores=read_scores(folder / "metrics.json"),
        files=files,
        is_finished=(folder / "summary.txt").is_file(),
    )


def tags_of(row: Mapping[str, float]) -> dict[str, float]:
    """The numbers of an epoch under the names that TensorBoard has; what is no number is left out.

    >>> tags_of({"epoch": 1.0, "step": 4.0, "val_loss": 0.5, "train_loss": math.nan})
    {'epoch': 1.0, 'epoch/val_loss': 0.5}
    """
    tags = {key if key == "epoch" else f"epoch/{key}": value for key, value in row.items()}
    return {tag: v for tag, v in tags.items() if tag != "epoch/step" and math.isfinite(v)}


def read_scores(path: Path) -> dict[str, float]:
    """The scores of the best weights, of a `metrics.json`, by tag; none where there is no file.

    Raises:
        LabError: for a damaged file.
    """
    if not path.is_file():
        return {}
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found = {f"best/val_{key}": metrics[key] for key in ("macro_f1", "mean_iou")}
        for name, row in metrics["classes"].items():
            name = name.replace("/", "_")  # which would make a group of it
            found |= {f"f1/{name}": row["f1"], f"iou/{name}": row["iou"]}
        return {tag: float(value) for tag, value in found.items() if value is not None}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabError(f"{path}: damaged, or not of this lab; leave its run out") from error


def track_run(run: TrackedRun, folder: Path, store: Store) -> str:
    """Gives a store what it does not have of a run; returns what that was, in words."""
    if not run.rows:
        return f"{run.name}: no epoch has ended yet; track it later"
    record = record_of(folder, store, run.name, run.digests)
    addition, after = news(run, record)
    called = run.name if record.name == run.name else f"{run.name} (there called {record.name})"
    if not addition.rows and not addition.files:
        return f"{called}: nothing new; its {len(record.rows)} epochs are there"
    after.write(folder, is_whole=False)
    store.add(addition)
    after.write(folder, is_whole=True)
    epochs, what = len(addition.rows), [path.name for path in addition.files]
    parts = [f"{epochs} epoch{'s' * (epochs != 1)}"] if epochs else []
    return f"{called}: added {' and '.join([*parts, *([shortened(what)] if what else [])])}"


def news(run: TrackedRun, record: Record) -> tuple[Addition, Record]:
    """What a store does not have of a run, and the record when it has.

    A copy that is behind what the store knows brings nothing, not even its older files.
    """
    known = len(record.rows)
    is_behind = len(run.digests) < known
    files = {} if is_behind else {path.name: digest(path.read_bytes()) for path in run.files}
    new = [
        path for path in run.files if files.get(path.name, "") != record.files.get(path.name, "")
    ]
    addition = Addition(
        key=record.key,
        name=record.name,
        is_new=known == 0,
        is_finished=run.is_finished,
        config=run.config,
        rows=run.rows[known:],
        scores=run.scores if any(path.name == "metrics.json" for path in new) else {},
        files=[] if is_behind else new,
        step=run.rows[-1][0],
    )
    rows = record.rows if is_behind else run.digests
    return addition, replace(record, rows=rows, files=record.files | files)
