"""Comparing runs: one table, three figures and the commands that made them, for a report.

Runs whose arguments agree but for the seed are repeats of one setting. A score is the mean over
the finished repeats with the sample standard deviation (n - 1); what does not compare, such as
other data, other code, or a run that has not ended, is said beside the scores. Nothing here needs
torch. Figures are made without pyplot, whose state belongs to the caller.
"""

import csv
import io
import json
import math
import shlex
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils import LabError, atomic_path

METRICS = {"macro_f1": "macro F1", "mean_iou": "mean IoU"}
CLASS_SCORES = {"macro_f1": "f1", "mean_iou": "iou"}
CLASS_TITLES = {"f1": "F1", "iou": "IoU"}
NUMBERS_NEEDED = ("epoch", "step", "val_macro_f1", "val_mean_iou")
NO_SETTING = (
    "seed",
    "name",
    "logdir",
    "device",
    "num_workers",
    "resume",
    "auto_resume",
    "dry_run",
    "max_minutes",
    "save_minutes",
    "datadir",
)
"""Arguments in which repeats may differ; the data count by their fingerprint, not their place."""

RAREST = 5
MOST_IN_FIGURES = 20
FEW = 6
"""Up to so many settings share a plot and are named in columns and notes, not numbered."""

NAME_WIDTH = 44
PANEL_WIDTH = 32
PANEL_COLUMNS = 4
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, "Color Universal Design" (2008), without the yellow that is pale on white."""


@dataclass(frozen=True)
class Run:
    """What a run's folder says: its arguments, its epochs, and the classes of its best epoch."""

    folder: Path
    arguments: dict[str, Any]
    config: dict[str, Any]
    history: list[dict[str, float]]
    metrics: dict[str, Any] | None
    is_finished: bool

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
        parts = str(self.config["data_fingerprint"]).split()
        return (parts[0], parts[1]) if len(parts) == 2 else (" ".join(parts), " ".join(parts))

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

    runs: list[Run]
    name: str = ""
    number: int = 0
    compares: bool = True

    @property
    def title(self) -> str:
        """The name, marked where the scores do not compare with the baseline's."""
        return self.name if self.compares else f"† {self.name}"

    @property
    def finished(self) -> list[Run]:
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

    def lengths(self) -> str:
        """The epochs and steps of the finished runs, such as `11 epochs, 1100 steps`."""
        ends = [run.history[-1] for run in self.finished]
        return ", ".join(f"{_range(row[key] for row in ends)} {key}s" for key in ("epoch", "step"))


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables and the figures show, the settings from best to worst."""

    settings: list[Setting]
    baseline: Setting
    metric: str
    class_rows: list[tuple[str, tuple[str, ...]]]
    pixels: dict[str, int]

    @property
    def runs(self) -> list[Run]:
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

    def label(self, setting: Setting, width: int = NAME_WIDTH) -> str:
        """The title in a figure, on several lines, with its number where there are many."""
        many = len(self.settings) > FEW
        return _label(f"#{setting.number} {setting.title}" if many else setting.title, width)

    def difference(self, setting: Setting, names: Sequence[str], key: str) -> float | None:
        """How much higher a setting's class score is than the baseline's, if they compare."""
        ours, base = (each.class_score(names, key).mean for each in (setting, self.baseline))
        if setting is self.baseline or not setting.compares or ours is None or base is None:
            return None
        return ours - base


def compare_runs(
    paths: Sequence[str | Path],
    output: str | Path | None = None,
    metric: str = "macro_f1",
    defaults: Mapping[str, Any] | None = None,
) -> str:
    """Compares runs, and writes tables and figures.

    Args:
        paths: folders of runs, or folders in which runs lie. The first run's setting is the
            baseline to which the classes are compared.
        output: the folder for the files; by default `comparison` beside the runs.
        metric: `macro_f1` or `mean_iou`, by which settings are sorted and drawn.
        defaults: what an argument was for a run of a version that did not have it yet.

    Returns:
        The table and the notes as Markdown, and where the files are.

    Raises:
        LabError: for a folder that is no run, a damaged file, or runs without a single epoch.
    """
    if metric not in METRICS:
        raise LabError(f"--metric {metric}: choose one of {', '.join(METRICS)}")
    runs = [read_run(folder, defaults or {}) for folder in find_runs(paths)]
    if not any(run.history for run in runs):
        raise LabError(f"no epoch in the history.csv of any of the {len(runs)} runs; wait for one")
    comparison = make_comparison(runs, metric)
    folder = Path(output) if output else runs[0].folder.parent / "comparison"
    written, drawn = write_tables(folder, comparison), write_figures(folder, comparison)
    head = head_lines(comparison)
    text = [f"# Comparison of {len(runs)} runs", "", *head, *body_lines(comparison, drawn)]
    _write(folder / "compare.md", "\n".join(text) + "\n")
    files = ", ".join(["compare.md", *written, *drawn])
    return "\n".join([*head, f"the comparison is in {folder}: {files}"])


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The folders of runs among paths and directly below them, each once, in the given order.

    The folder of an earlier comparison is passed over, so that `runs/*` can be given again.

    Raises:
        LabError: for a path that neither is nor holds a run.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        inside = [path] if (path / "config.json").is_file() else []
        if not inside and path.is_dir():
            children = sorted(path.iterdir())
            inside = [child for child in children if (child / "config.json").is_file()]
        if not inside and not (path / "compare.md").is_file():
            what = "no config.json in it or in a folder in it" if path.is_dir() else "no folder"
            raise LabError(f"{path}: not a run ({what}); give folders of runs, such as runs/NAME")
        for folder in inside:
            found.setdefault(folder.resolve(), folder)
    if not found:
        raise LabError("no run to compare; give folders of runs, such as runs/NAME")
    return list(found.values())


def read_run(folder: Path, defaults: Mapping[str, Any]) -> Run:
    """Reads a run's folder.

    Raises:
        LabError: naming the file that is damaged.
    """
    config = _read_json(folder / "config.json", _check_config)
    history_path, metrics_path = folder / "history.csv", folder / "metrics.json"
    history = read_history(history_path) if history_path.is_file() else []
    is_finished = (folder / "summary.txt").is_file()
    if is_finished and not history:
        raise LabError(f"{history_path}: missing or empty, though summary.txt says the run ended")
    return Run(
        folder=folder,
        arguments={**defaults, **config["arguments"]},
        config=config,
        history=history,
        metrics=_read_json(metrics_path, _check_metrics) if metrics_path.is_file() else None,
        is_finished=is_finished,
    )


def _read_json(path: Path, check: Callable[[Any], object]) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check(content)
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabError(f"{path}: damaged, or not of this lab; leave its run out") from error
    return content


def _check_config(config: Any) -> None:
    """Raises one of Python's own errors for what is no config.json."""
    config["data_fingerprint"].split()
    for part in (config["arguments"], config.get("versions", {}), config.get("resolved", {})):
        part.items()


def _check_metrics(metrics: Any) -> None:
    """Raises one of Python's own errors for what is no metrics.json."""
    values = [metrics["macro_f1"]]
    for row in metrics["classes"].values():
        values += [row["pixels"], *(row[key] for key in CLASS_TITLES if row[key] is not None)]
    if not all(math.isfinite(value) for value in values):
        raise ValueError("not a number")


def read_history(path: Path) -> list[dict[str, float]]:
    """The epochs of `history.csv`: number, step and the two validation scores.

    Raises:
        LabError: for a file that is damaged, or whose epochs do not follow each other.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {key: float(row[key]) for key in NUMBERS_NEEDED} for row in csv.DictReader(file)
            ]
        if not all(math.isfinite(value) for row in rows for value in row.values()):
            raise ValueError("not a number")
        if any(after["epoch"] <= before["epoch"] for before, after in pairwise(rows)):
            raise ValueError("epochs out of order")
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        reason = str(error) if "epochs" in str(error) else "damaged, or not of this lab"
        raise LabError(f"{path}: {reason}; leave its run out") from error
    return rows


def make_comparison(runs: Sequence[Run], metric: str) -> Comparison:
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


def group_runs(runs: Sequence[Run]) -> list[Setting]:
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
        pairs = (f"{key}={_value(value)}" for key, value in (given or values).items())
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
    place = Path(run.arguments.get("datadir") or "toy").name
    return f"{place}:{'+'.join(part[:6] for part in dict.fromkeys(run.data))}"


def _value(value: Any) -> str:
    """An argument's value in a name: short, and different for different values."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if not isinstance(value, list):
        return str(value)
    if all(isinstance(each, int) for each in value):
        return "x".join(map(str, value))
    more = [f"{len(value) - 2} more"] if len(value) > 3 else value[2:]
    return " + ".join(map(str, [*value[:2], *more]))


def _range(values: Iterable[float]) -> str:
    """The least and the greatest of whole numbers, such as `8–11`."""
    found = sorted({round(value) for value in values})
    return "–".join(str(value) for value in dict.fromkeys([found[0], found[-1]]))


def run_name(run: Run, runs: Sequence[Run]) -> str:
    """A run's folder: its name alone where no other run has it too."""
    alike = [each for each in runs if each.folder.name == run.folder.name]
    return run.folder.name if len(alike) == 1 and run.folder.name else str(run.folder)


def _named(runs: Sequence[Run], everyone: Sequence[Run], most: int = 3) -> str:
    names = [run_name(run, everyone) for run in runs]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def notes(comparison: Comparison) -> list[str]:
    """What does not compare, or only with care, a sentence each."""
    settings, runs = comparison.settings, comparison.runs
    found = [*data_notes(comparison)]
    for what, value in (
        ("Different code (git commit)", lambda run: _short_commit(run.config.get("git_commit"))),
        ("Different PyTorch", lambda run: run.config.get("versions", {}).get("torch")),
        ("Different precision", lambda run: run.config.get("resolved", {}).get("precision")),
        ("Different processes", lambda run: run.config.get("resolved", {}).get("processes")),
    ):
        found += _difference_note(what, value, runs)
    inexact = [run for run in runs if "+" in str(run.config.get("git_commit") or "+")]
    if inexact:
        found.append(
            "The exact code is not known (uncommitted changes, or no git): "
            f"{_named(inexact, runs)}."
        )
    lengths: dict[str, list[Setting]] = {}
    for setting in settings:
        if setting.finished:
            lengths.setdefault(setting.lengths(), []).append(setting)
    if len(lengths) > 1 or any("–" in length for length in lengths):
        parts = (f"{length} ({comparison.refer(each)})" for length, each in lengths.items())
        found.append(f"Trained for different lengths: {'; '.join(parts)}.")
    single = [setting for setting in settings if len(setting.finished) == 1]
    if single:
        found.append(
            f"One finished run only, so no deviation (–): {comparison.refer(single)}. A difference "
            "between single runs may be chance."
        )
    for setting in settings:
        seeds = [run.arguments.get("seed") for run in setting.finished]
        if len(set(seeds)) < len(seeds):
            names = _named(setting.finished, runs)
            found.append(
                f"Not independent repeats, as seeds occur twice: {names} (seeds "
                f"{', '.join(map(str, seeds))}). Their deviation is too small."
            )
    return found + class_notes(comparison)


def data_notes(comparison: Comparison) -> list[str]:
    """Where runs were validated or trained on other images than the baseline."""
    found, first = [], comparison.baseline.runs[0].data
    base = f"{comparison.refer([comparison.baseline])}, the baseline"
    others = [setting for setting in comparison.settings if not setting.compares]
    if others:
        found.append(
            f"**Validated on other images** (marked †): {comparison.refer(others)}. Their scores "
            f"do not compare with those of {base}."
        )
    others = [each for each in comparison.settings if each.runs[0].data[0] != first[0]]
    if others:
        found.append(f"**Trained on other images** than {base}: {comparison.refer(others)}.")
    return found


def class_notes(comparison: Comparison) -> list[str]:
    """What the scores per class leave out or do not agree with."""
    found, runs = [], comparison.runs
    without = [run for run in runs if run.is_finished and run.metrics is None]
    if without:
        found.append(f"No metrics.json, so not in the scores per class: {_named(without, runs)}.")
    unlike = [
        run
        for run in runs
        if run.is_finished
        and run.metrics
        and abs(run.metrics["macro_f1"] - run.best["val_macro_f1"]) > 5e-4
    ]
    if unlike:
        found.append(
            "metrics.json and the best epoch of history.csv have different macro F1 (another "
            f"epoch, or judged at another size): {_named(unlike, runs)}."
        )
    absent = [name for name, count in comparison.pixels.items() if not count]
    if absent:
        found.append(
            f"Not in the validation images, so not among the classes: {', '.join(absent)}."
        )
    if len(comparison.settings) > MOST_IN_FIGURES:
        found.append(f"The figures show the best {MOST_IN_FIGURES} settings and the baseline.")
    return found


def _short_commit(commit: str | None) -> str:
    name, _, changes = (commit or "unknown").partition("+")
    return name[:10] + (" with uncommitted changes" if changes else "")


def _difference_note(what: str, value: Callable[[Run], Any], runs: Sequence[Run]) -> list[str]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(str(value(run) or "unknown"), []).append(run)
    if len(groups) < 2:
        return []
    parts = (f"{each} ({_named(members, runs)})" for each, members in groups.items())
    return [f"{what}: {'; '.join(parts)}."]


def head_lines(comparison: Comparison) -> list[str]:
    """The table of the settings, the notes and the unfinished runs, as Markdown."""
    header = ["#", "setting", "runs", *METRICS.values(), "epochs"]
    rare = comparison.class_rows[0] if comparison.class_rows else None
    if rare:
        header.insert(5, f"{CLASS_TITLES[comparison.key]}, {rare[0]}")
    rows = []
    for setting in comparison.settings:
        waiting = len(setting.runs) - len(setting.finished)
        count = f"{len(setting.finished)}" + (f" (+ {waiting} unfinished)" if waiting else "")
        scores = [setting.score(metric).text() for metric in METRICS]
        if rare:
            scores.append(_with_difference(comparison, setting, rare[1], comparison.key, 4))
        ends = [run.history[-1]["epoch"] for run in setting.finished]
        rows.append(
            [str(setting.number), setting.title, count, *scores, _range(ends) if ends else "–"]
        )
    lines = [*_table(header, rows), "", explanation(comparison), ""]
    found = notes(comparison)
    if found:
        lines += ["What does not compare, or only with care:", ""]
        lines += [f"- {_escape(note, keep='*')}" for note in found] + [""]
    return lines + unfinished_lines(comparison)


def explanation(comparison: Comparison) -> str:
    """How the scores are to be read."""
    text = (
        "Validation scores of the epoch whose weights are kept (the best macro F1), mean ± sample "
        "standard deviation over the finished runs; chosen and measured on the same images, so "
        "slightly too good."
    )
    if comparison.class_rows:
        _, names = comparison.class_rows[0]
        share = 100 * sum(comparison.pixels[name] for name in names)
        share /= sum(comparison.pixels.values())
        text += (
            f" The rarest classes are {', '.join(names)}, {_percent(share)} % of the labelled "
            "validation pixels; in brackets the difference to the baseline, "
            f"{comparison.refer([comparison.baseline])}. A difference smaller than the deviations "
            "may be chance."
        )
    return _escape(text)


def unfinished_lines(comparison: Comparison) -> list[str]:
    """The runs that have not ended, with how far they came; nothing if there are none."""
    runs = [run for run in comparison.runs if not run.is_finished]
    if not runs:
        return []
    names = {id(run): each.title for each in comparison.settings for run in each.runs}
    rows = []
    for run in runs:
        last, title = run.history[-1] if run.history else None, f"val_{comparison.metric}"
        scores = [f"{row[title]:.4f}" for row in (last, run.best)] if last else ["–", "–"]
        epoch = f"{last['epoch']:.0f}" if last else "none yet"
        rows.append([run_name(run, comparison.runs), names[id(run)], epoch, *scores])
    name = METRICS[comparison.metric]
    header = ["unfinished run", "setting", "last epoch", f"{name} then", f"best {name} so far"]
    return [*_table(header, rows), "", "Unfinished runs are in no mean and no bar.", ""]


def body_lines(comparison: Comparison, drawn: Sequence[str]) -> list[str]:
    """The figures, the tables per class, and each run with its command, as Markdown."""
    lines = [line for name in drawn for line in (f"![{name[:-4]}]({name})", "")]
    for key, title in CLASS_TITLES.items() if comparison.class_rows else ():
        lines += [f"## {title} per class, from rare to frequent", ""]
        lines += [*class_table(comparison, key), ""]
    lines += ["## Runs", ""]
    header = ["run", "setting", "seed", "best epoch", *METRICS.values()]
    rows = []
    for setting in comparison.settings:
        for run in setting.runs:
            name = run_name(run, comparison.runs) + ("" if run.is_finished else " (unfinished)")
            best = run.best
            scores = [f"{best[f'val_{metric}']:.4f}" for metric in METRICS] if best else ["–", "–"]
            epoch = f"{best['epoch']:.0f}" if best else "–"
            rows.append([name, setting.title, str(run.arguments.get("seed")), epoch, *scores])
    lines += [*_table(header, rows), "", "## Commands", ""]
    for setting in comparison.settings:
        commands = [textwrap.indent(run.command(), "    ") for run in setting.runs]
        lines += [_escape(setting.title), "", *commands, ""]
    return lines[:-1]


def class_table(comparison: Comparison, key: str) -> list[str]:
    """A row per class with its share of the pixels, a column per setting, as Markdown."""
    settings = comparison.settings
    titles = [setting.title for setting in settings]
    if len(settings) > FEW:
        titles = [f"#{setting.number}" for setting in settings]
    total, rows = sum(comparison.pixels.values()), []
    for label, names in comparison.class_rows:
        share = 100 * sum(comparison.pixels[name] for name in names) / total
        scores = [_with_difference(comparison, each, names, key, 3) for each in settings]
        rows.append([label, _percent(share), *scores])
    return _table(["class", "pixels in %", *titles], rows)


def _percent(share: float) -> str:
    """A share with two digits, such as 0.97, and 100 for all."""
    return f"{share:.2g}" if share < 99.5 else "100"


def _with_difference(
    comparison: Comparison, setting: Setting, names: Sequence[str], key: str, digits: int
) -> str:
    difference = comparison.difference(setting, names, key)
    change = "" if difference is None else f" ({difference:+.{digits}f})"
    return setting.class_score(names, key).text(digits) + change


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[_escape(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _escape(text: str, keep: str = "") -> str:
    """Text whose signs are no Markdown, those in `keep` aside."""
    for sign in "\\|*`<":
        text = text if sign in keep else text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def write_tables(folder: Path, comparison: Comparison) -> list[str]:
    """Writes a row per setting, per run, and per setting and class, as CSV; returns the names."""
    differing = differing_arguments(comparison.settings)
    settings, runs, classes = [], [], []
    for setting in comparison.settings:
        row = {"setting": setting.name, "runs": len(setting.finished)}
        row["unfinished"] = len(setting.runs) - len(setting.finished)
        for metric in METRICS:
            row |= _columns(metric, setting.score(metric))
        if comparison.class_rows:
            score = setting.class_score(comparison.class_rows[0][1], comparison.key)
            row |= _columns(f"rarest_{comparison.key}", score)
        row["same_validation_data"] = setting.compares
        row |= {key: _value(setting.runs[0].arguments.get(key)) for key in differing}
        settings.append(row)
        runs += [{"setting": setting.name, **_run_row(run)} for run in setting.runs]
        classes += _class_rows(comparison, setting)
    tables = {"compare.csv": settings, "compare_runs.csv": runs, "compare_classes.csv": classes}
    for name, rows in tables.items():
        if rows:
            _write_csv(folder / name, rows)
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier comparison
    return [name for name, rows in tables.items() if rows]


def _columns(name: str, score: Score) -> dict[str, float | None]:
    return {f"{name}_mean": score.mean, f"{name}_deviation": score.deviation}


def _run_row(run: Run) -> dict[str, Any]:
    best, last = run.best or {}, run.history[-1] if run.history else {}
    return {
        "run": str(run.folder),
        "seed": run.arguments.get("seed"),
        "finished": run.is_finished,
        "best_epoch": _whole(best.get("epoch")),
        **{metric: best.get(f"val_{metric}") for metric in METRICS},
        "last_epoch": _whole(last.get("epoch")),
        "last_step": _whole(last.get("step")),
        **{f"last_{metric}": last.get(f"val_{metric}") for metric in METRICS},
        "training_data": run.data[0],
        "validation_data": run.data[1],
        "git_commit": run.config.get("git_commit"),
        "command": run.command(),
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _class_rows(comparison: Comparison, setting: Setting) -> list[dict[str, Any]]:
    rows = []
    for label, names in comparison.class_rows:
        row = {"setting": setting.name, "class": label}
        row["pixels"] = sum(comparison.pixels[name] for name in names)
        for key in CLASS_TITLES:
            row |= _columns(key, setting.class_score(names, key))
            row[f"{key}_difference"] = comparison.difference(setting, names, key)
        rows.append(row)
    return rows


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def shown_in_figures(comparison: Comparison) -> list[Setting]:
    """The best settings, and the baseline behind them where it is not among them."""
    shown, others = comparison.settings[:MOST_IN_FIGURES], comparison.settings[MOST_IN_FIGURES:]
    return shown + [setting for setting in others if setting is comparison.baseline]


def write_figures(folder: Path, comparison: Comparison) -> list[str]:
    """Draws what can be drawn and removes what an earlier comparison left; returns the names."""
    shown = shown_in_figures(comparison)
    figures = {
        "curves.png": draw_curves(comparison, shown),
        "bars.png": draw_bars(comparison, shown),
        "classes.png": draw_classes(comparison, shown),
    }
    for name, figure in figures.items():
        if figure is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with atomic_path(folder / name) as temporary:  # no version in the file: equal bytes
            figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})
    return [name for name, figure in figures.items() if figure is not None]


def _label(text: str, width: int = NAME_WIDTH, most: int = 3) -> str:
    """A name on several lines, cut where it is too long, its dollars no formula."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][: width - 1] + "…"]
    return "\n".join(lines).replace("$", r"\$")


def _color(position: int) -> str:
    return COLORS[position % len(COLORS)]


def draw_curves(comparison: Comparison, shown: Sequence[Setting]) -> Figure:
    """The validation score by epoch, in one plot or, for many settings, in a panel for each."""
    figure = Figure(layout="constrained")
    if len(shown) <= FEW:
        figure.set_size_inches(11, 4.8)
        axes = figure.add_subplot()
        handles = [Line2D([], [], linewidth=2, color=_color(place)) for place in range(len(shown))]
        labels = [comparison.label(setting) for setting in shown]
        for place, setting in enumerate(shown):
            draw_setting(axes, setting, comparison.metric, _color(place))
        figure.legend(handles, labels, loc="outside right upper", fontsize=9, frameon=False)
        every_axes = [axes]
    else:
        rows = -(-len(shown) // PANEL_COLUMNS)
        figure.set_size_inches(3.4 * PANEL_COLUMNS, 2.6 * rows)
        grid = figure.subplots(rows, PANEL_COLUMNS, sharex=True, sharey=True, squeeze=False)
        every_axes = list(grid.flat)[: len(shown)]
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_axis_off()
        for place, (axes, setting) in enumerate(zip(every_axes, shown, strict=True)):
            for other in shown:
                axes.plot(*mean_curve(other, comparison.metric)[:2], color="#cccccc", linewidth=0.7)
            draw_setting(axes, setting, comparison.metric, _color(place))
            axes.set_title(comparison.label(setting, PANEL_WIDTH), fontsize=9, loc="left")
    for axes in every_axes:
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.set_tick_params(labelbottom=True)
        _plain(axes, "both")
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(f"validation {METRICS[comparison.metric]}", fontsize=10)
    return figure


def mean_curve(setting: Setting, metric: str) -> tuple[list[float], np.ndarray, np.ndarray]:
    """The epochs that every finished run has, with the scores' means and deviations."""
    curves = [
        {row["epoch"]: row[f"val_{metric}"] for row in run.history} for run in setting.finished
    ]
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    scores = [Score(tuple(curve[epoch] for curve in curves)) for epoch in epochs]
    spread = np.array([score.deviation or 0.0 for score in scores])
    return epochs, np.array([score.mean for score in scores]), spread


def draw_setting(axes: Axes, setting: Setting, metric: str, color: str) -> None:
    """Draws the mean with a band of the deviation; unfinished runs are thin, with a cross."""
    for run in setting.runs:
        if run.history and not run.is_finished:
            epochs, scores = zip(
                *((row["epoch"], row[f"val_{metric}"]) for row in run.history), strict=True
            )
            axes.plot(epochs, scores, color=color, linewidth=0.8, marker="x", markevery=[-1])
    epochs, mean, spread = mean_curve(setting, metric)
    axes.plot(epochs, mean, color=color, linewidth=1.8, marker=".", markersize=5)
    axes.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)


def draw_bars(comparison: Comparison, shown: Sequence[Setting]) -> Figure | None:
    """The score per setting with its deviation, a dot per run; None without a finished run."""
    finished = [(place, each) for place, each in enumerate(shown) if each.finished]
    if not finished:
        return None
    labels = [comparison.label(setting) for _, setting in finished]
    heights = [0.3 + 0.16 * (label.count("\n") + 1) for label in labels]
    figure = Figure(figsize=(10, 0.9 + sum(heights)), layout="constrained")
    axes = figure.add_subplot()
    places = np.cumsum(heights) - np.array(heights) / 2
    highest = 0.0
    for place, (position, setting) in zip(places, finished, strict=True):
        score = setting.score(comparison.metric)
        spread = score.deviation or 0.0
        end = max(score.mean + spread, *score.values)
        axes.barh(place, score.mean, height=0.3, color=_color(position), alpha=0.75)
        axes.scatter(score.values, [place] * len(score.values), s=9, color="black", zorder=3)
        if spread:
            axes.errorbar(score.mean, place, xerr=spread, color="black", capsize=4, linewidth=1.2)
        text = f"{score.text(3)}  (n={len(score.values)})"
        axes.annotate(text, (end, place), (7, 0), textcoords="offset points", va="center", size=9)
        highest = max(highest, end)
    axes.set_xlim(0, max(1.3 * highest, 1e-3))
    axes.set_ylim(sum(heights), 0)
    axes.set_yticks(places, labels, fontsize=9)
    axes.set_xlabel(f"validation {METRICS[comparison.metric]}")
    _plain(axes, "x")
    return figure


def draw_classes(comparison: Comparison, shown: Sequence[Setting]) -> Figure | None:
    """A map of classes from rare to frequent: the baseline's scores, and differences to them.

    Blue is better and red is worse than the baseline. None without scores per class.
    """
    if not comparison.class_rows:
        return None
    baseline, key = comparison.baseline, comparison.key
    columns = [names for _, names in comparison.class_rows]
    settings = [baseline]
    settings += [each for each in shown if comparison.difference(each, columns[0], key) is not None]
    changes = np.array(
        [[comparison.difference(each, names, key) for names in columns] for each in settings],
        dtype=float,
    )
    labels = [comparison.label(setting) for setting in settings]
    labels[0] = f"baseline: {labels[0]}"
    rows = [max(0.32, 0.17 * (label.count("\n") + 1)) for label in labels]
    size = 4.0 + 0.5 * len(columns), 2.6 + max(rows) * len(settings)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    limit = 100 * max(np.nanmax(np.abs(changes), initial=0.0), 0.01)
    colors = matplotlib.colormaps["RdBu"].with_extremes(bad="#eeeeee")
    axes.imshow(100 * changes, cmap=colors, vmin=-limit, vmax=limit, aspect="auto")
    _write_cells(axes, 100 * changes, [baseline.class_score(names, key) for names in columns])
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor", "fontsize": 9}
    axes.set_xticks(range(len(columns)), _class_labels(comparison), **slanted)
    figure.suptitle(
        f"{CLASS_TITLES[key]} x 100 per class, from rare to frequent (share of the pixels)\n"
        "top row: the baseline; below: difference to it, blue better, red worse",
        fontsize=10,
    )
    _plain(axes, None)
    for place in (0.5, len(columns) - 1.5):
        axes.axvline(place, color="white", linewidth=5)
    axes.axhline(0.5, color="white", linewidth=5)
    return figure


def _class_labels(comparison: Comparison) -> list[str]:
    total = sum(comparison.pixels.values())
    shares = [
        100 * sum(comparison.pixels[name] for name in names) / total
        for _, names in comparison.class_rows
    ]
    pairs = zip(comparison.class_rows, shares, strict=True)
    return [_label(f"{label} ({_percent(share)} %)", most=1) for (label, _), share in pairs]


def _write_cells(axes: Axes, changes: np.ndarray, base: Sequence[Score]) -> None:
    """Writes the baseline's scores into the first row and differences into the others."""
    limit = np.nanmax(np.abs(changes), initial=1.0)
    for (row, column), change in np.ndenumerate(changes):
        value = base[column].mean
        text = "–" if value is None else f"{100 * value:.1f}"
        if row:
            text = "–" if np.isnan(change) else f"{change:+.1f}"
        color = "white" if abs(change) > 0.65 * limit else "black"
        axes.text(column, row, text, ha="center", va="center", size=8, color=color)


def _plain(axes: Axes, grid: str | None) -> None:
    """Takes the frame away, and draws thin lines behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color="#dddddd", linewidth=0.7)
    else:
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
