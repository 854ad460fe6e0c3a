"""What is compared: runs read from their folders, repeats grouped into settings, and their scores.

Runs whose arguments agree but for the seed are repeats of one setting. A score is the mean over
the finished repeats with the sample standard deviation (n - 1). Nothing here needs torch.
"""

import json
import math
import shlex
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands.command_line import as_shown
from commands.command_line.run_folder import read_config, read_cost, read_history
from utils import LabError

METRICS = {"macro_f1": "macro F1", "mean_iou": "mean IoU"}
CLASS_SCORES = {"macro_f1": "f1", "mean_iou": "iou"}
CLASS_TITLES = {"f1": "F1", "iou": "IoU"}
COSTS = {
    "learning": ("parameters learned", ",.0f"),
    "epoch_seconds": ("s an epoch", ".1f"),
    "gibibytes": ("GiB", ".2f"),
}
"""What cost.json says, with title and format; seconds and memory are those of the machine."""
NO_SETTING = (
    "seed",
    "name",
    "logdir",
    "device",
    "num_workers",
    "resume",
    "auto_resume",
    "dry_run",
    "save_minutes",
    "datadir",
)
"""Arguments in which repeats may differ; the data count by their fingerprint, not their place."""
RAREST = 5
MOST_IN_FIGURES = 20
FEW = 6
"""Up to so many settings share a plot and are named in columns and notes, not numbered."""


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder says: its arguments, its epochs, and the classes of its best epoch."""

    folder: Path
    arguments: dict[str, Any]
    config: dict[str, Any]
    history: list[dict[str, float]]
    metrics: dict[str, Any] | None
    is_finished: bool
    cost: dict[str, float | None]

    @property
    def best(self) -> dict[str, float] | None:
        """The epoch whose weights are kept: the first of the highest validation macro F1."""
        return max(self.history, key=lambda row: row["val_macro_f1"], default=None)

    @property
    def horizon(self) -> int | None:
        """The steps over which the learning rate falls; resumed to more epochs, it keeps them."""
        return self.config.get("resolved", {}).get("horizon")

    @property
    def data(self) -> tuple[str, str]:
        """The fingerprints of the training and of the validation images."""
        training, validation = self.config["data_fingerprint"].split()
        return training, validation

    @property
    def labelled(self) -> int | None:
        """The pixels of the training targets that are not void; None if nobody counted."""
        return self.config.get("labelled_pixels")

    @property
    def classes(self) -> list[str]:
        """The names of the classes that the run learned."""
        return [row["name"] for row in self.config["labels"]["classes"]]

    def command(self) -> str:
        """The command line that made the run, put together from its arguments if need be."""
        typed = self.config.get("command")
        if isinstance(typed, str) and typed and "--resume" not in typed.splitlines()[0]:
            return typed
        words = ["python", "main.py", "train"]
        for key, value in self.arguments.items():
            if value is None or value is False:
                continue
            values = value if isinstance(value, list) else [] if value is True else [value]
            words += [f"--{key.replace('_', '-')}", *map(str, values)]
        return shlex.join(words)


@dataclass(frozen=True)
class Score:
    """A score over repeats, with its sample standard deviation (None for fewer than two)."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        """The mean; None without any value."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The square root of the squared differences' sum over n - 1."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def text(self, digits: int = 4) -> str:
        """Such as `0.5123 ± 0.0102`; a dash for what there is not."""
        if self.mean is None:
            return "–"
        spread = "–" if self.deviation is None else f"{self.deviation:.{digits}f}"
        return f"{self.mean:.{digits}f} ± {spread}"


@dataclass
class Setting:
    """Runs that differ in their seed alone; its number is its place in the table."""

    runs: list[RunRecord]
    name: str = ""
    number: int = 0
    compares: bool = True

    @property
    def title(self) -> str:
        """The name, marked where the scores do not compare with the baseline's."""
        return self.name if self.compares else f"† {self.name}"

    @property
    def finished(self) -> list[RunRecord]:
        """The runs that count."""
        return [run for run in self.runs if run.is_finished]

    def score(self, metric: str) -> Score:
        """The metric of the kept weights, over the finished runs."""
        return Score(tuple(run.best[f"val_{metric}"] for run in self.finished))

    def class_score(self, names: Sequence[str], key: str) -> Score:
        """The mean F1 or IoU over some classes, over the finished runs that have metrics.json."""
        means = []
        for run in self.finished:
            classes = run.metrics["classes"] if run.metrics else {}
            found = [classes[name][key] for name in names if name in classes]
            found = [value for value in found if value is not None]
            means += [statistics.fmean(found)] if found else []
        return Score(tuple(means))

    def cost(self, key: str) -> float | None:
        """The mean of one of `COSTS` over the finished runs that say it."""
        values = [run.cost.get(key) for run in self.finished]
        return Score(tuple(value for value in values if value is not None)).mean

    def lengths(self) -> str:
        """The epochs and steps of the finished runs, such as `11 epochs, 1100 steps`."""
        ends = [run.history[-1] for run in self.finished]
        return ", ".join(
            f"{range_in_words(row[key] for row in ends)} {key}s" for key in ("epoch", "step")
        )


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables and the figures show, the settings from best to worst."""

    settings: list[Setting]
    baseline: Setting
    metric: str
    class_rows: list[tuple[str, tuple[str, ...]]]
    pixels: dict[str, int]

    @property
    def runs(self) -> list[RunRecord]:
        """Every run, by setting."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def key(self) -> str:
        """The score per class that belongs to the metric."""
        return CLASS_SCORES[self.metric]

    def refer(self, settings: Iterable[Setting]) -> str:
        """Settings in a sentence: by name, or by their number in the table where it is long."""
        chosen = sorted(settings, key=lambda setting: setting.number)
        if len(self.settings) <= FEW:
            return "; ".join(setting.name for setting in chosen)
        return ", ".join(f"#{setting.number}" for setting in chosen)

    def difference(self, setting: Setting, names: Sequence[str], key: str) -> float | None:
        """How much higher a setting's class score is than the baseline's, if they compare."""
        ours, base = (each.class_score(names, key).mean for each in (setting, self.baseline))
        if setting is self.baseline or not setting.compares or ours is None or base is None:
            return None
        return ours - base


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The folders of runs among paths and directly below them, each once, in the given order.

    The folder of an earlier comparison is passed over, so that `runs/*` can be given again.

    Raises:
        LabError: for a path that neither is nor holds a run.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        children = sorted(path.iterdir()) if path.is_dir() else []
        inside = [child for child in children if (child / "config.json").is_file()]
        if (path / "config.json").is_file():
            if inside:
                raise LabError(
                    f"{path} is a run, and {len(inside)} runs lie in it; name those that you mean, "
                    "or move it elsewhere"
                )
            inside = [path]
        if not inside and not (path / "compare.md").is_file():
            what = "no config.json in it or in a folder in it" if path.is_dir() else "no folder"
            raise LabError(f"{path}: not a run ({what}); give folders of runs, such as runs/NAME")
        for folder in inside:
            found.setdefault(folder.resolve(), folder)
    if not found:
        raise LabError("no run to compare; give folders of runs, such as runs/NAME")
    return list(found.values())


def require_same_classes(runs: Sequence[RunRecord]) -> None:
    """Raises `LabError` when runs have learned different classes: their scores do not compare."""
    sets: dict[str, list[RunRecord]] = {}
    for run in runs:
        sets.setdefault(", ".join(run.classes), []).append(run)
    if len(sets) > 1:
        found = (
            f"{len(each[0].classes)} of {each[0].config['labels']['name']} in "
            f"{', '.join(as_shown(str(run.folder)) for run in each)}"
            for each in sets.values()
        )
        raise LabError(
            f"runs that learned different classes do not compare ({'; '.join(found)}); name runs "
            "of one data set"
        )


def read_run(folder: Path, defaults: Mapping[str, Any]) -> RunRecord:
    """Reads a run's folder.

    Raises:
        LabError: naming the file that is damaged.
    """
    try:
        config, history, cost = read_config(folder), read_history(folder), read_cost(folder)
    except ValueError as error:
        raise LabError(str(error)) from error
    is_finished = (folder / "summary.txt").is_file()
    if is_finished and not history:
        path = folder / "history.csv"
        raise LabError(f"{path}: missing or empty, though summary.txt says the run ended")
    return RunRecord(
        folder=folder,
        arguments={**defaults, **config["arguments"]},
        config=config,
        history=history,
        metrics=read_metrics(folder / "metrics.json"),
        is_finished=is_finished,
        cost=cost,
    )


def read_metrics(path: Path) -> dict[str, Any] | None:
    """The scores of `metrics.json`; None where there is none, or nothing was scored.

    Raises:
        LabError: for a damaged file.
    """
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if metrics["macro_f1"] is None:  # of a split without a labelled pixel
            return None
        values = [metrics["macro_f1"]]
        for row in metrics["classes"].values():
            values += [row["pixels"], *(row[key] for key in CLASS_TITLES if row[key] is not None)]
        if not all(math.isfinite(value) for value in values):
            raise ValueError("not a number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabError(f"{path}: damaged, or not of this lab; leave its run out") from error
    return metrics


def make_comparison(runs: Sequence[RunRecord], metric: str) -> Comparison:
    """Groups runs into settings, names and sorts them, and chooses the baseline."""
    settings = group_runs(runs)
    name_settings(settings)
    candidates = [each for each in settings if any(run.metrics for run in each.finished)]
    candidates += [each for each in settings if each.finished] + settings
    baseline = candidates[0]
    for setting in settings:
        setting.compares = setting.runs[0].data[1] == baseline.runs[0].data[1]
    described = [run.metrics["classes"] for run in baseline.finished if run.metrics]
    pixels = {name: row["pixels"] for name, row in described[0].items()} if described else {}
    present = sorted((name for name in pixels if pixels[name]), key=lambda name: pixels[name])
    rows = [(name, (name,)) for name in present]
    if present:
        rarest = tuple(present[:RAREST])
        rows.insert(0, (f"mean of the {len(rarest)} rarest", rarest))
        rows.append((f"mean of these {len(present)}", tuple(present)))

    def order(setting: Setting) -> tuple[bool, float, str]:
        mean = setting.score(metric).mean
        return mean is None, -(mean or 0.0), setting.name

    settings.sort(key=order)
    for number, setting in enumerate(settings, start=1):
        setting.number = number
    return Comparison(settings, baseline, metric, rows, pixels)


def group_runs(runs: Sequence[RunRecord]) -> list[Setting]:
    """Runs of equal data and arguments, those of `NO_SETTING` aside, in the given order."""
    settings: dict[str, Setting] = {}
    for run in runs:
        arguments = {
            key: value
            for key, value in run.arguments.items()
            if key not in NO_SETTING and value is not None
        }
        key = json.dumps([run.data, run.horizon, arguments], sort_keys=True)
        settings.setdefault(key, Setting([])).runs.append(run)
    return list(settings.values())


def differing_arguments(settings: Sequence[Setting]) -> list[str]:
    """The arguments in which settings differ, in the order of the command line."""
    keys = dict.fromkeys(key for setting in settings for key in setting.runs[0].arguments)
    seen = {
        key: {json.dumps(setting.runs[0].arguments.get(key)) for setting in settings}
        for key in keys
        if key not in NO_SETTING
    }
    return [key for key in seen if len(seen[key]) > 1]


def name_settings(settings: Sequence[Setting]) -> None:
    """Names each setting by what tells it from the others, such as `loss=focal, gamma=2`."""
    keys = differing_arguments(settings) or ["model", "loss"]
    keys.sort(key=lambda key: key not in ("model", "loss"))
    for setting in settings:
        values = {key: setting.runs[0].arguments.get(key) for key in keys}
        given = {key: value for key, value in values.items() if value not in (None, "none")}
        pairs = (f"{key}={value_in_words(value)}" for key, value in (given or values).items())
        setting.name = ", ".join(pairs)
    if len({setting.runs[0].data for setting in settings}) > 1:
        _tell_apart(settings, lambda setting: f", data={_data_name(setting)}")
    if len({setting.runs[0].horizon for setting in settings}) > 1:
        _tell_apart(settings, lambda setting: f", schedule over {setting.runs[0].horizon} steps")
    numbers = {id(setting): number for number, setting in enumerate(settings, start=1)}
    _tell_apart(settings, lambda setting: f" ({numbers[id(setting)]})")


def _tell_apart(settings: Sequence[Setting], addition: Callable[[Setting], str]) -> None:
    names = [setting.name for setting in settings]
    for setting in settings:
        if names.count(setting.name) > 1:
            setting.name += addition(setting)


def _data_name(setting: Setting) -> str:
    run = setting.runs[0]
    place = as_shown(Path(run.arguments.get("datadir") or "toy").name)
    return f"{place}:{'+'.join(part[:6] for part in dict.fromkeys(run.data))}"


def value_in_words(value: Any) -> str:
    """An argument's value in a name: short, and different for different values."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if not isinstance(value, list):
        return as_shown(str(value))
    if all(isinstance(each, int) for each in value):
        return "x".join(map(str, value))
    more = [f"{len(value) - 2} more"] if len(value) > 3 else value[2:]
    return as_shown(" + ".join(map(str, [*value[:2], *more])))


def range_in_words(values: Iterable[float]) -> str:
    """The least and the greatest of whole numbers, such as `8–11`."""
    found = sorted({round(value) for value in values})
    return "–".join(str(value) for value in dict.fromkeys([found[0], found[-1]]))


def percent(share: float) -> str:
    """A share with two digits, such as 0.97, and 100 for all."""
    return f"{share:.2g}" if share < 99.5 else "100"
