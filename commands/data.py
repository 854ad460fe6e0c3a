"""The commands that look at a data folder: show, stats, augment, check, prepare.

`show`, `check` and `prepare` read official label ids and need none of the lab's own code; `stats`
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
from albumentations.pytorch import ToTensorV2
from PIL import Image, ImageDraw

from commands.audit import audit_files, audit_prepared
from commands.prepare import open_splits, prepare, prepared_bytes, read_known_ids
from data import (
    MEAN,
    STD,
    CityscapesDataset,
    count_pixels,
    resolve_datadir,
    seed_transform,
    train_transforms,
    training_size,
)
from support.engine.loading import SeededSamples
from support.formats.cityscapes import is_prepared, open_split
from support.formats.labels import (
    CLASS_NAMES,
    LABEL_PALETTE,
    LABELS,
    PALETTE,
    suspicious_labels,
)
from support.plots import (
    BACKGROUND,
    GAP,
    GRID_COLOR,
    picture_grid,
    text_font,
    text_width,
    to_picture,
)
from utils import (
    VOID_COLOR,
    LabError,
    add_legend,
    colorize,
    overlay,
    python_command,
    resize_image,
    resize_labels,
    save_image,
)

STRONGEST_OF = 8
"""How many draws of a change of colours `augment` makes to show the strongest."""


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
    samples: int,
    output: Path,
) -> None:
    """Puts images beside their official labels, drawn evenly from the split."""
    source = open_split(resolve_datadir(datadir), split, cities, limit)
    count = min(samples, len(source.samples))
    rows, present = [], set()
    for index in np.linspace(0, len(source.samples) - 1, count).round().astype(int):
        image, label_ids = source.read_image(index), read_known_ids(source, index)
        colors = colorize(label_ids, LABEL_PALETTE)
        rows.append([image, colors, overlay(image, colors)])
        present |= set(np.unique(label_ids).tolist())
        print(f"{source.samples[index].name}: {len(np.unique(label_ids))} labels")
    legend = legend_of(present)
    picture = picture_grid(rows, ("image", "labels", "overlay"))
    save_image(output, add_legend(picture, list(legend.values()), list(legend)))
    print(f"{count} of {len(source.samples)} samples are drawn in {output}")
    print(next_step("stats", datadir))


def legend_of(label_ids: Collection[int]) -> dict[tuple[int, int, int], str]:
    """Names each colour of a picture once, in the order of the table; black is void."""
    names: dict[tuple[int, int, int], list[str]] = {}
    for label in LABELS:
        if label.id in label_ids:
            names.setdefault(label.color, []).append(label.name)
    return {
        color: "void" if color == VOID_COLOR else ", ".join(found) for color, found in names.items()
    }


def stats(
    datadir: Path | None, split: str, cities: Sequence[str] | None, limit: int | None, output: Path
) -> None:
    """Counts the pixels of every class: a table, and a plot with a logarithmic axis."""
    dataset = CityscapesDataset(resolve_datadir(datadir), split, cities, limit)
    counts = count_pixels(dataset.targets("count"), len(CLASS_NAMES)).numpy()
    labelled, total = counts.sum(), sum(height * width for height, width in dataset.sizes)
    print(f"{'class':<16}{'pixels':>14}{'share':>10}")
    for k in np.argsort(-counts, kind="stable"):
        print(f"{CLASS_NAMES[k]:<16}{counts[k]:>14,}{counts[k] / max(labelled, 1):>10.3%}")
    void = 1 - labelled / total
    print(f"{'void':<16}{total - labelled:>14,}{void:>10.3%} of all pixels, not learned")
    title = f"{split}: {len(dataset)} images; {void:.1%} of all pixels are void"
    save_image(output, class_distribution(counts, CLASS_NAMES, PALETTE, title))
    print(f"the shares in {len(dataset)} images are drawn in {output}")
    print(next_step("augment", datadir))


def class_distribution(
    counts: np.ndarray, class_names: Sequence[str], palette: np.ndarray, title: str = ""
) -> np.ndarray:
    """Draws the share of each class among the labelled pixels, commonest first, on a log axis.

    Args:
        counts: (K,) pixels per class.
        class_names: the K names.
        palette: (K, 3) uint8 RGB.
        title: above the plot.
    """
    shares = np.asarray(counts, dtype=np.float64)
    shares = 100 * shares / max(shares.sum(), 1)
    lowest = int(np.floor(np.log10(shares[shares > 0].min(initial=1.0) * 0.999)))
    font, name_width = text_font(), text_width(class_names)
    left, top, row_height, decade = name_width + 2 * GAP, 40, 28, 640 // (2 - lowest)
    bottom = top + row_height * len(shares)
    canvas = Image.new("RGB", (left + 640 + 80, bottom + 60), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((left, top / 2), title, fill="black", font=font, anchor="lm")
    for power in range(lowest, 3):
        x = left + (power - lowest) * decade
        draw.line((x, top, x, bottom), fill=GRID_COLOR)
        draw.text((x, bottom + 16), f"{10.0**power:g} %", fill="black", font=font, anchor="mm")
    for row, k in enumerate(np.argsort(-shares, kind="stable")):
        y = top + row * row_height
        middle, end = y + row_height / 2, left
        draw.text((left - GAP, middle), class_names[k], fill="black", font=font, anchor="rm")
        if shares[k] > 0:
            end += round((np.log10(shares[k]) - lowest) * decade)
            color = tuple(int(value) for value in palette[k])
            draw.rectangle((left, y + 3, end, y + row_height - 4), fill=color, outline="black")
        text = f"{shares[k]:.3g} %" if shares[k] > 0 else "absent"
        draw.text((end + GAP, middle), text, fill="black", font=font, anchor="lm")
    caption = "share of the labelled pixels (logarithmic)"
    draw.text((left + 320, bottom + 42), caption, fill="black", font=font, anchor="mm")
    return np.array(canvas)


def augment(
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
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
    dataset = CityscapesDataset(root, split, cities, None, train_transforms(size))
    if not 0 <= index < len(dataset):
        raise LabError(f"--index {index}: the samples are 0 ... {len(dataset) - 1}")
    image = resize_image(dataset.source.read_image(index), size)
    mask = resize_labels(dataset.read_train_ids(index), size)
    versions = [("resized only", image, mask)]
    for name, change in single_changes(dataset.transform):
        versions.append((name, *strongest_draw(change, image, mask, seed)))
    for draw in range(draws):
        changed, target = SeededSamples(dataset, seed)[draw, index]
        versions.append((f"all, epoch {draw}", to_picture(changed, MEAN, STD), target.numpy()))
    pictures = [np.vstack([x, colorize(mask, PALETTE)]) for _, x, mask in versions]
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
        if not isinstance(change, A.Resize | A.Normalize | ToTensorV2):
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


def check(datadir: Path | None, split: str | None, cities: Sequence[str] | None) -> int:
    """Reads every file of a data folder; names all faults in one go, and what looks wrong.

    Returns:
        The exit code: 1 when there is a fault; warnings alone leave it at 0.
    """
    root, splits = resolve_datadir(datadir), [split] if split else None
    read_all = audit_prepared if is_prepared(root) else audit_files
    count, faults, counts = read_all(root, splits, cities)
    warnings = []
    for name, pixels in counts.items():
        warnings += suspicious_labels(f"split {name!r} of {root}", pixels)
    print(*faults, *warnings, sep="\n", end="\n" if faults or warnings else "")
    also = f", {counted(len(warnings), 'warning')}" if warnings else ""
    if faults:
        found = counted(len(faults), "fault")
        print(f"{found} in {root} ({count} pairs read){also}: fix or delete these")
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
    size: tuple[int, int],
    output: Path,
) -> None:
    """Writes a downsized copy of chosen cities, which is a data folder of its own."""
    sources = open_splits(resolve_datadir(datadir), splits, cities, limit)
    prepare(sources, output, size)
    for source in sources:
        print(f"{source.split}: {len(source.samples)} images of {', '.join(source.cities)}")
    megabytes = prepared_bytes(sources, size) / 1e6
    print(f"they are in {output}, {size[1]}x{size[0]} pixels each, {megabytes:.1f} MB in all")
    print(train_step(output, size))


COMMANDS: dict[str, Callable[..., int | None]] = {
    "show": show,
    "stats": stats,
    "augment": augment,
    "check": check,
    "prepare": prepare_copy,
}
