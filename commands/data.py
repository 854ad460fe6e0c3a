"""The commands that look at a data folder: show, stats, augment, check, prepare, classes.

`show`, `check`, `prepare` and `classes` read label ids and need none of the lab's own code; `stats`
and `augment` show what data.py does with a sample.
"""

import copy
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import torch
from matplotlib.figure import Figure

from commands.audit import audit_files, audit_prepared, class_remarks
from commands.classes import draft_classes
from commands.command_line import as_shown
from commands.command_line.advice import training_size
from commands.prepare import open_splits, prepare, prepared_bytes, read_known_ids
from data import (
    MEAN,
    STD,
    SegmentationDataset,
    count_pixels,
    resolve_datadir,
    seed_transform,
    train_transforms,
)
from support.engine.loading import SeededSamples
from support.formats.classes import ClassesError
from support.formats.files import is_prepared, open_folder, open_source
from support.formats.labels import LabelSet, Reading, suspicious_labels
from support.formats.published import published_shares
from support.plots import (
    figure_picture,
    picture_grid,
    to_picture,
)
from utils import (
    VOID_COLOR,
    LabError,
    add_legend,
    colorize,
    cut,
    overlay,
    python_command,
    resize_image,
    resize_labels,
    save_image,
)

STRONGEST_OF = 8
"""How many draws of a change of colours `augment` makes to show the strongest."""

MOST_BARS = 60
"""How many classes a distribution shows one by one."""


def next_step(command: str, datadir: Path | None) -> str:
    """The line that ends a command: what to type next, on the same data."""
    folder = f" --datadir {shlex.quote(str(datadir))}" if datadir else ""
    return f"next: {python_command()} main.py {command}{folder}"


def train_step(datadir: Path | None, size: tuple[int, int]) -> str:
    """As `next_step`, for the training: with a size that keeps the aspect of the data.

    Args:
        datadir: the data folder that was asked for.
        size: (height, width) of its images, in pixels.
    """
    line = next_step("train", datadir)
    if datadir is not None and is_prepared(datadir):
        return f"{line} --img-size {size[0]} {size[1]}"
    if abs(size[1] / size[0] - 2) < 0.05:  # that of the training's own default
        return line
    height, width = training_size(size)
    return f"{line} --img-size {height} {width}"


def show(
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    limit: int | None,
    reading: Reading,
    samples: int,
    output: Path,
) -> None:
    """Puts images beside their labels, drawn evenly from the split."""
    source = open_source(resolve_datadir(datadir), split, cities, limit, reading)
    labels = source.labels
    print(*source.folder.remarks, sep="\n", end="\n" if source.folder.remarks else "")
    count = min(samples, len(source.samples))
    rows, present = [], set()
    for index in np.linspace(0, len(source.samples) - 1, count).round().astype(int):
        image, label_ids = source.read_image(index), read_known_ids(source, index)
        colors = colors_of(labels)[label_ids]
        rows.append([image, colors, overlay(image, colors)])
        present |= set(np.unique(label_ids).tolist())
        print(f"{source.samples[index].name}: {len(np.unique(label_ids))} labels")
    legend = legend_of(labels, present)
    picture = picture_grid(rows, ("image", "labels", "overlay"))
    save_image(output, add_legend(picture, list(legend.values()), list(legend)))
    print(f"{count} of {len(source.samples)} samples are drawn in {output}")
    print(next_step("stats", datadir))


def colors_of(labels: LabelSet) -> np.ndarray:
    """The colour of each id, (largest id + 1, 3) uint8 RGB; black for one that is not known."""
    table = np.zeros((len(labels.is_label), 3), dtype=np.uint8)
    for label in labels.labels:
        table[label.id] = label.color
    return table


def legend_of(labels: LabelSet, label_ids: Collection[int]) -> dict[tuple[int, int, int], str]:
    """Names each colour of a picture once, in the order of the classes; black void is "void"."""
    names: dict[tuple[int, int, int], list[str]] = {}
    for label in sorted(labels.labels, key=lambda label: label.train_id):
        if label.id in label_ids:
            is_black_void = label.train_id == labels.ignore_index and label.color == VOID_COLOR
            names.setdefault(label.color, []).append("void" if is_black_void else label.name)
    return {color: ", ".join(dict.fromkeys(found)) for color, found in names.items()}


def stats(
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    limit: int | None,
    reading: Reading,
    output: Path,
) -> None:
    """Counts the pixels of every class: a table, and a plot with a logarithmic axis."""
    root = resolve_datadir(datadir)
    dataset = SegmentationDataset(root, split, cities, limit, reading=reading)
    names, palette = dataset.labels.names, dataset.labels.palette
    counts = count_pixels(dataset.targets("count"), len(names)).numpy()
    labelled, total = counts.sum(), sum(height * width for height, width in dataset.sizes)
    width = max([16, *(len(cut(name)) + 1 for name in names)])
    published = published_shares(dataset.labels)
    beside = f"{'published':>11}" if published else ""
    print(f"{'class':<{width}}{'pixels':>14}{'share':>10}{beside}")
    for k in np.argsort(-counts, kind="stable"):
        known = f"{published[names[k]]:>11.2%}" if names[k] in published else ""
        share = counts[k] / max(labelled, 1)
        print(f"{cut(names[k]):<{width}}{counts[k]:>14,}{share:>10.3%}{known}")
    void = 1 - labelled / total
    print(f"{'void':<{width}}{total - labelled:>14,}{void:>10.3%} of all pixels, not learned")
    if published:
        print("published: of the whole data set, counted as support/formats/published.py says")
    title = f"{as_shown(split)}: {len(dataset)} images; {void:.1%} of all pixels are void"
    save_image(output, class_distribution(counts, names, palette, title))
    print(f"the shares in {len(dataset)} images are drawn in {output}")
    print(next_step("augment", datadir))


def class_distribution(
    counts: np.ndarray, class_names: Sequence[str], palette: np.ndarray, title: str = ""
) -> np.ndarray:
    """Draws the share of each class among the labelled pixels, commonest first, on a log axis.

    Of more than `MOST_BARS` classes, the others are counted in the line below.

    Args:
        counts: (K,) pixels per class.
        class_names: the K names.
        palette: (K, 3) uint8 RGB.
        title: above the plot.
    """
    shares = 100 * np.asarray(counts, dtype=np.float64) / max(np.sum(counts), 1)
    shown, others = np.split(np.argsort(-shares, kind="stable"), [MOST_BARS])
    lowest = 10 ** np.floor(np.log10(shares[shown][shares[shown] > 0].min(initial=1.0) * 0.999))
    rows = range(len(shown))
    figure = Figure((9, 1.4 + 0.26 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.barh(rows, shares[shown], color=palette[shown] / 255, edgecolor="black", linewidth=0.8)
    for row, k in zip(rows, shown, strict=True):
        text = f"{shares[k]:.3g} %" if shares[k] > 0 else "absent"
        axes.text(1.1 * max(shares[k], lowest), row, text, va="center")
    axes.set_yticks(rows, [cut(class_names[k]) for k in shown], parse_math=False)
    caption = "share of the labelled pixels in % (logarithmic)"
    if len(others):
        caption += f"; {len(others)} more classes, {(shares[others] == 0).sum()} of them absent"
    axes.set_xlim(lowest, 300)
    axes.set_xscale("log")
    axes.set(title=title, xlabel=caption)
    axes.set_ylim(len(shown) - 0.4, -0.6)  # the commonest above
    axes.grid(axis="x", alpha=0.4)
    axes.set_axisbelow(True)
    return figure_picture(figure)


def augment(
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    reading: Reading,
    size: tuple[int, int],
    index: int,
    draws: int,
    seed: int,
    output: Path,
) -> None:
    """Draws one sample, each random change of training alone, and draws of all together.

    Each image stands above its target: no tint may hide what happens to the colours.
    """
    root = resolve_datadir(datadir)
    dataset = SegmentationDataset(root, split, cities, None, train_transforms(size), reading)
    if not 0 <= index < len(dataset):
        raise LabError(f"--index {index}: the samples are 0 ... {len(dataset) - 1}")
    image, palette = resize_image(dataset.source.read_image(index), size), dataset.labels.palette
    mask = resize_labels(dataset.read_train_ids(index), size)
    versions = [("resized only", image, mask)]
    for name, change in single_changes(dataset.transform):
        versions.append((name, *strongest_draw(change, image, mask, seed)))
    for draw in range(draws):
        changed, target = SeededSamples(dataset, seed)[draw, index]
        versions.append((f"all, epoch {draw}", to_picture(changed, MEAN, STD), target.numpy()))
    pictures = [np.vstack([x, colorize(mask, palette)]) for _, x, mask in versions]
    captions = [name for name, _, _ in versions]
    rows = [slice(start, start + 3) for start in range(0, len(versions), 3)]
    grid = picture_grid([pictures[row] for row in rows], None, [captions[row] for row in rows])
    save_image(output, grid)
    print(f"{len(versions)} versions of {dataset.pairs[index].name} are in {output}")
    print(train_step(datadir, dataset.sizes[index]))


def strongest_draw(
    change: Callable[..., dict], image: np.ndarray, mask: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """One change applied: the first draw, or of colours alone, where little shows, the strongest.

    Shape:
        image: (H, W, 3) uint8, mask: (H, W) uint8 → the same.
    """
    draws = []
    for draw in range(STRONGEST_OF):
        torch.manual_seed(seed + draw)
        seed_transform(change)
        draws.append(change(image=image, mask=mask))
    result = draws[0]
    if all(np.array_equal(x["mask"], mask) for x in draws):
        result = max(draws, key=lambda x: cv2.norm(x["image"], image))
    return result["image"], result["mask"]


def single_changes(pipeline: Callable[..., dict]) -> list[tuple[str, A.Compose]]:
    """Takes the random changes out of a pipeline, each named and applied for certain."""
    found = []
    for change in pipeline.transforms if isinstance(pipeline, A.BaseCompose) else []:
        if not isinstance(change, A.Resize | A.Normalize | A.ToTensorV2):
            change = copy.deepcopy(change)
            change.p = 1.0
            parts = change.transforms if isinstance(change, A.BaseCompose) else [change]
            name = ", ".join(readable_name(part) for part in parts)
            found.append((name, A.Compose([change])))
    return found


def readable_name(change: A.BasicTransform | A.BaseCompose) -> str:
    """Names a change for a caption: `RandomScale` becomes `scale`."""
    name = type(change).__name__.removeprefix("Random").removesuffix("IfNeeded")
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()


def check(
    datadir: Path | None, split: str | None, cities: Sequence[str] | None, reading: Reading
) -> int:
    """Reads every file of a data folder; names all faults in one go, and what looks wrong.

    Returns:
        The exit code: 1 when there is a fault; warnings alone leave it at 0.
    """
    root, splits = resolve_datadir(datadir), [split] if split else None
    read_all = audit_prepared if is_prepared(root) else audit_files
    try:
        folder = open_folder(root, reading)
        count, faults, warnings, counts = read_all(folder, splits, cities)
        warnings += folder.remarks
    except ClassesError as error:  # without its classes, no mask can be read
        count, faults, warnings, counts = 0, [str(error)], [], {}
    if split is cities is None and not faults:
        absent = [name for name in ("train", "val") if not counts.get(name)]
        warnings += [
            f"warning: {root} has nothing for {each!r}; training needs it" for each in absent
        ]
    for name, pixels in counts.items():
        where = f"split {name!r} of {root}"
        suspicious = suspicious_labels(where, pixels, folder.labels, folder.has_train_ids)
        if cities is None and not suspicious:
            warnings += class_remarks(where, list(pixels.values()), folder.labels)
        warnings += suspicious
    print(*faults, *warnings, sep="\n", end="\n" if faults or warnings else "")
    also = f", {counted(len(warnings), 'warning')}" if warnings else ""
    if faults:
        found = counted(len(faults), "fault")
        print(f"{found} in {root} ({count} pairs read){also}: mend these, then check again")
        return 1
    print(f"no fault in {root} ({count} pairs read){also}")
    print(next_step("show", datadir))
    return 0


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 fault", "2 faults"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def prepare_copy(
    datadir: Path | None,
    splits: Sequence[str] | None,
    cities: Sequence[str] | None,
    limit: int | None,
    reading: Reading,
    size: tuple[int, int],
    output: Path,
) -> None:
    """Writes a downsized copy of chosen cities, which is a data folder of its own."""
    folder = open_folder(resolve_datadir(datadir), reading)
    sources = open_splits(folder, splits, cities, limit)
    prepare(sources, output, size)
    for source in sources:
        where = f" of {', '.join(source.cities)}" if source.cities else ""
        print(f"{source.split}: {len(source.samples)} images{where}")
    megabytes = prepared_bytes(sources, size) / 1e6
    print(f"they are in {output}, {size[1]}x{size[0]} pixels each, {megabytes:.1f} MB in all")
    print(train_step(output, size))


COMMANDS: dict[str, Callable[..., int | None]] = {
    "show": show,
    "stats": stats,
    "augment": augment,
    "check": check,
    "prepare": prepare_copy,
    "classes": draft_classes,
}
