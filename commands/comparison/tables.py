"""A comparison in words and numbers: Markdown, CSV, and what does not compare, in sentences.

What does not compare, such as other data, other code, or a run that has not ended, is said beside
the scores.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from commands.comparison.beside import read_beside
from commands.comparison.chains import named_sources
from commands.comparison.figures import write_figures
from commands.comparison.markdown import escaped, table_lines
from commands.comparison.runs import (
    CLASS_TITLES,
    COSTS,
    FEW,
    METRICS,
    MOST_IN_FIGURES,
    Comparison,
    RunRecord,
    Score,
    Setting,
    differing_arguments,
    find_runs,
    make_comparison,
    percent,
    range_in_words,
    read_run,
    require_same_classes,
    value_in_words,
)
from utils import LabError, cut, write_csv, write_text

LABELS = {"sparse", "limit_train", "split_train"}
NO_LABELS = (
    "labels.png is not drawn: the finished runs have the same number of labelled pixels, or it was "
    "not counted for all (of whole targets, with class weights only)."
)


def compare_runs(
    paths: Sequence[str | Path],
    output: str | Path | None = None,
    metric: str = "macro_f1",
    defaults: Mapping[str, Any] | None = None,
    beside: Path | None = None,
) -> str:
    """Compares runs, and writes tables and figures.

    Args:
        paths: folders of runs, or folders in which runs lie. The first run's setting is the
            baseline to which the classes are compared.
        output: the folder for the files; by default `comparison` beside the runs.
        metric: `macro_f1` or `mean_iou`, by which settings are sorted and drawn.
        defaults: what an argument was for a run of a version that did not have it yet.
        beside: a file with the scores of others, see `beside.py`.

    Returns:
        The table and the notes as Markdown, and where the files are.

    Raises:
        LabError: for a folder that is no run, a damaged file, or runs without a single epoch.
    """
    if metric not in METRICS:
        raise LabError(f"--metric {metric}: choose one of {', '.join(METRICS)}")
    others = read_beside(beside) if beside else None
    runs = named_sources([read_run(folder, defaults or {}) for folder in find_runs(paths)])
    require_same_classes(runs)
    if not any(run.history for run in runs):
        raise LabError(f"no epoch in the history.csv of any of the {len(runs)} runs; wait for one")
    comparison = make_comparison(runs, metric)
    folder = Path(output) if output else runs[0].folder.parent / "comparison"
    written, drawn = write_tables(folder, comparison), write_figures(folder, comparison, others)
    found = notes(comparison)
    found += [] if "labels.png" in drawn else labels_notes(comparison, beside)
    head = head_lines(comparison, found) + (others.lines() if others else [])
    text = [f"# Comparison of {len(runs)} runs", "", *head, *body_lines(comparison, drawn)]
    write_text(folder / "compare.md", "\n".join(text) + "\n")
    files = ", ".join(["compare.md", *written, *drawn])
    return "\n".join([*head, f"the comparison is in {folder}: {files}"])


def run_name(run: RunRecord, runs: Sequence[RunRecord]) -> str:
    """A run's folder: its name alone where no other run has it too."""
    alike = [each for each in runs if each.folder.name == run.folder.name]
    return run.folder.name if len(alike) == 1 and run.folder.name else str(run.folder)


def _named(runs: Sequence[RunRecord], everyone: Sequence[RunRecord]) -> str:
    return _listed([run_name(run, everyone) for run in runs], 3)


def _listed(names: Sequence[str], most: int) -> str:
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
            f"epoch, or evaluated at another size): {_named(unlike, runs)}."
        )
    absent = [name for name, count in comparison.pixels.items() if not count]
    if absent:
        found.append(
            "Not in the validation images, so not among the classes: "
            f"{_listed([*map(cut, absent)], 8)}."
        )
    if len(comparison.settings) > MOST_IN_FIGURES:
        found.append(f"The figures show the best {MOST_IN_FIGURES} settings and the baseline.")
    return found


def labels_notes(comparison: Comparison, beside: Path | None) -> list[str]:
    """Why scores are not drawn over the labelled pixels, if anybody may look for that."""
    finished = [setting for setting in comparison.settings if setting.finished]
    is_wanted = beside or not LABELS.isdisjoint(differing_arguments(finished))
    return [NO_LABELS] if is_wanted else []


def _short_commit(commit: str | None) -> str:
    names = []
    for each in (commit or "unknown").split(", then "):  # resumed with other code
        name, _, changes = each.partition("+")
        names.append(name[:10] + (" with uncommitted changes" if changes else ""))
    return ", then ".join(names)


def _difference_note(
    what: str, value: Callable[[RunRecord], Any], runs: Sequence[RunRecord]
) -> list[str]:
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(str(value(run) or "unknown"), []).append(run)
    if len(groups) < 2:
        return []
    parts = (f"{each} ({_named(members, runs)})" for each, members in groups.items())
    return [f"{what}: {'; '.join(parts)}."]


def head_lines(comparison: Comparison, found: Sequence[str]) -> list[str]:
    """The table of the settings, the notes found and the unfinished runs, as Markdown."""
    header = ["#", "setting", "runs", *METRICS.values(), "epochs"]
    rare = comparison.class_rows[0] if comparison.class_rows else None
    if rare:
        header.insert(5, f"{CLASS_TITLES[comparison.key]}, {rare[0]}")
    costs = [key for key in COSTS if any(each.cost(key) for each in comparison.settings)]
    header += [COSTS[key][0] for key in costs]
    rows = []
    for setting in comparison.settings:
        waiting = len(setting.runs) - len(setting.finished)
        count = f"{len(setting.finished)}" + (f" (+ {waiting} unfinished)" if waiting else "")
        scores = [setting.score(metric).text() for metric in METRICS]
        if rare:
            scores.append(_with_difference(comparison, setting, rare[1], comparison.key, 4))
        ends = [run.history[-1]["epoch"] for run in setting.finished]
        rows.append(
            [
                str(setting.number),
                setting.title,
                count,
                *scores,
                range_in_words(ends) if ends else "–",
                *(cost_text(setting, key) for key in costs),
            ]
        )
    lines = [*table_lines(header, rows), "", explanation(comparison), ""]
    if found:
        lines += ["What does not compare, or only with care:", ""]
        lines += [f"- {escaped(note, keep='*')}" for note in found] + [""]
    return lines + unfinished_lines(comparison)


def cost_text(setting: Setting, key: str) -> str:
    """One of `COSTS` of a setting, in its format."""
    value = setting.cost(key)
    return "–" if value is None else format(value, COSTS[key][1])


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
            f" The rarest classes are {', '.join(map(cut, names))}, {percent(share)} % of the "
            "labelled validation pixels; in brackets the difference to the baseline, "
            f"{comparison.refer([comparison.baseline])}. A difference smaller than the deviations "
            "may be chance."
        )
    return escaped(text)


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
    return [*table_lines(header, rows), "", "Unfinished runs are in no mean and no bar.", ""]


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
    lines += [*table_lines(header, rows), "", "## Commands", ""]
    for setting in comparison.settings:
        commands = [textwrap.indent(run.command(), "    ") for run in setting.runs]
        lines += [escaped(setting.title), "", *commands, ""]
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
        rows.append([cut(label), percent(share), *scores])
    return table_lines(["class", "pixels in %", *titles], rows)


def _with_difference(
    comparison: Comparison, setting: Setting, names: Sequence[str], key: str, digits: int
) -> str:
    difference = comparison.difference(setting, names, key)
    change = "" if difference is None else f" ({difference:+.{digits}f})"
    return setting.class_score(names, key).text(digits) + change


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
        row |= {key: setting.cost(key) for key in COSTS}
        row["same_validation_data"] = setting.compares
        row |= {key: value_in_words(setting.runs[0].arguments.get(key)) for key in differing}
        settings.append(row)
        runs += [{"setting": setting.name, **_run_row(run)} for run in setting.runs]
        classes += _class_rows(comparison, setting)
    tables = {"compare.csv": settings, "compare_runs.csv": runs, "compare_classes.csv": classes}
    for name, rows in tables.items():
        if rows:
            write_csv(folder / name, list(rows[0]), rows)
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier comparison
    return [name for name, rows in tables.items() if rows]


def _columns(name: str, score: Score) -> dict[str, float | None]:
    return {f"{name}_mean": score.mean, f"{name}_deviation": score.deviation}


def _run_row(run: RunRecord) -> dict[str, Any]:
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
        **{key: run.cost.get(key) for key in COSTS},
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
