"""A comparison in figures: curves, bars, the differences class by class, the worth of labels.

They are made without pyplot, whose state belongs to the caller.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from commands.comparison.beside import Beside
from commands.comparison.runs import (
    CLASS_TITLES,
    FEW,
    METRICS,
    MOST_IN_FIGURES,
    Comparison,
    Score,
    Setting,
    percent,
)
from utils import atomic_path, cut

NAME_WIDTH = 44
PANEL_WIDTH = 32
PANEL_COLUMNS = 4
MOST_CLASSES = 30
MARKERS = "osD^v<>"
"""Of the scores of others."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, "Color Universal Design" (2008), without the yellow that is pale on white."""


def shown_in_figures(comparison: Comparison) -> list[Setting]:
    """The best settings, and the baseline behind them where it is not among them."""
    shown, others = comparison.settings[:MOST_IN_FIGURES], comparison.settings[MOST_IN_FIGURES:]
    return shown + [setting for setting in others if setting is comparison.baseline]


def write_figures(folder: Path, comparison: Comparison, beside: Beside | None = None) -> list[str]:
    """Draws what can be drawn and removes what an earlier comparison left; returns the names."""
    shown = shown_in_figures(comparison)
    figures = {
        "curves.png": draw_curves(comparison, shown),
        "bars.png": draw_bars(comparison, shown),
        "classes.png": draw_classes(comparison, shown),
        "labels.png": draw_labels(comparison, shown, beside),
    }
    for name, figure in figures.items():
        if figure is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with atomic_path(folder / name) as temporary:  # no version in the file: equal bytes
            figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})
    return [name for name, figure in figures.items() if figure is not None]


def label(comparison: Comparison, setting: Setting, width: int = NAME_WIDTH) -> str:
    """The title of a setting, on several lines, with its number where there are many."""
    many = len(comparison.settings) > FEW
    return _label(f"#{setting.number} {setting.title}" if many else setting.title, width)


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
        labels = [label(comparison, setting) for setting in shown]
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
            axes.set_title(label(comparison, setting, PANEL_WIDTH), fontsize=9, loc="left")
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
    labels = [label(comparison, setting) for _, setting in finished]
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
    rarest = comparison.class_rows[0][1]
    settings = [baseline]
    settings += [each for each in shown if comparison.difference(each, rarest, key) is not None]
    class_rows = class_rows_to_draw(comparison, settings)
    columns = [names for _, names in class_rows]
    changes = np.array(
        [[comparison.difference(each, names, key) for names in columns] for each in settings],
        dtype=float,
    )
    labels = [label(comparison, setting) for setting in settings]
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
    axes.set_xticks(range(len(columns)), _class_labels(comparison, class_rows), **slanted)
    figure.suptitle(_class_title(comparison, len(class_rows)), fontsize=10)
    _plain(axes, None)
    for place in (0.5, len(columns) - 1.5):
        axes.axvline(place, color="white", linewidth=5)
    axes.axhline(0.5, color="white", linewidth=5)
    return figure


def draw_labels(
    comparison: Comparison, shown: Sequence[Setting], beside: Beside | None = None
) -> Figure | None:
    """Both scores over the labelled pixels; None where these do not differ or were not counted.

    Where scores of others stand, the axes are logarithmic: their data may be far larger.
    """
    counts = {id(each): each.runs[0].labelled for each in shown if each.finished}
    if None in counts.values() or len(set(counts.values())) < 2:
        return None
    others = beside.rows if beside else ()
    is_wide = any(score is not None for row in others for score in row.scores.values())
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, (metric, title) in zip(panels, METRICS.items(), strict=True):
        for place, setting in enumerate(shown):
            if id(setting) not in counts:
                continue
            score, labelled = setting.score(metric), counts[id(setting)] / 1e6
            style = {"color": _color(place), "marker": "o", "capsize": 4}
            axes.errorbar(labelled, score.mean, yerr=score.deviation, **style)
        for place, row in enumerate(others):
            if row.scores[metric] is not None:
                axes.plot(row.labelled / 1e6, row.scores[metric], **_hollow(place))
        if is_wide:
            axes.set_xscale("log")
            axes.xaxis.set(major_locator=LogLocator(subs=(1, 3)), major_formatter="{x:g}")
            axes.xaxis.set_minor_formatter("")
        else:
            axes.set_xlim(left=0)
        axes.set_xlabel("labelled pixels of the training images, millions")
        axes.set_ylabel(f"validation {title}")
        _plain(axes, "both")
    handles = [
        Line2D([], [], marker="o", color=_color(place), label=label(comparison, setting))
        for place, setting in enumerate(shown)
        if id(setting) in counts
    ] + _beside_handles(beside)
    figure.legend(handles=handles, loc="outside right upper", fontsize=9, frameon=False)
    return figure


def _beside_handles(beside: Beside | None) -> list[Line2D]:
    """What the legend says of the scores of others."""
    if not beside:
        return []
    title = _label(beside.title, PANEL_WIDTH, most=5)
    handles = [Line2D([], [], linestyle="none", label=name) for name in ("", title)]
    for place, other in enumerate(beside.rows):
        handles.append(Line2D([], [], **_hollow(place), label=_label(other.setting)))
    return handles


def _hollow(place: int) -> dict[str, str]:
    """How the markers of others look."""
    marker = MARKERS[place % len(MARKERS)]
    return {"marker": marker, "color": "black", "fillstyle": "none", "linestyle": "none"}


def class_rows_to_draw(
    comparison: Comparison, settings: Sequence[Setting]
) -> list[tuple[str, tuple[str, ...]]]:
    """The two means, and between them at most `MOST_CLASSES`: those that differ most."""
    first, *classes, last = comparison.class_rows

    def largest(row: tuple[str, tuple[str, ...]]) -> float:
        changes = (comparison.difference(each, row[1], comparison.key) for each in settings)
        return max(abs(change or 0.0) for change in changes)

    chosen = sorted(classes, key=largest, reverse=True)[:MOST_CLASSES]
    return [first, *(row for row in classes if row in chosen), last]


def _class_title(comparison: Comparison, drawn: int) -> str:
    title = (
        f"{CLASS_TITLES[comparison.key]} x 100 per class, from rare to frequent (share of the "
        "pixels)\ntop row: the baseline; below: difference to it, blue better, red worse"
    )
    rows = len(comparison.class_rows)
    more = f"\n{drawn - 2} of {rows - 2} classes: those that differ most, else the rarest"
    return title + more if drawn < rows else title


def _class_labels(
    comparison: Comparison, class_rows: Sequence[tuple[str, tuple[str, ...]]]
) -> list[str]:
    total, labels = sum(comparison.pixels.values()), []
    for label, names in class_rows:
        share = 100 * sum(comparison.pixels[name] for name in names) / total
        labels.append(_label(f"{cut(label, 30)} ({percent(share)} %)", most=1))
    return labels


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
