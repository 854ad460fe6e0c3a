"""The figures of the lab text, each made from the lab's own code and data.

    python -m subject.figures                              all that need no training
    python -m subject.figures results runs/a runs/b        the curves of your own runs

Nothing here is typed in by hand but Cityscapes' published class shares: shapes are read from the
real model by hooks, counts come from the toy streets, and weights, curves and scores from the
lab's own functions.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures go to files, also where there is no screen

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator
from PIL import Image
from torch import Tensor, nn

from commands.command_line import run_command
from data import (
    MEAN,
    STD,
    SegmentationDataset,
    count_pixels,
    encode_train_ids,
    resolve_datadir,
    seed_transform,
    train_transforms,
)
from losses import class_weights
from metrics import ConfusionMatrix, macro_f1, pixel_accuracy
from models import UNet
from support.formats.cityscapes import CITYSCAPES
from support.formats.labels import IGNORE_INDEX
from support.formats.sparse import hide
from support.plots import to_picture
from toycity import render_scene
from toycity.coarse import draw_coarsely
from utils import LabError, atomic_path, colorize

FOLDER = Path(__file__).resolve().parent / "figures"

CITYSCAPES_SHARES = {
    "road": 36.9,
    "sidewalk": 6.1,
    "building": 22.8,
    "wall": 0.66,
    "fence": 0.88,
    "pole": 1.23,
    "traffic light": 0.21,
    "traffic sign": 0.55,
    "vegetation": 15.9,
    "terrain": 1.16,
    "sky": 4.0,
    "person": 1.22,
    "rider": 0.14,
    "car": 7.0,
    "truck": 0.27,
    "bus": 0.24,
    "train": 0.23,
    "motorcycle": 0.10,
    "bicycle": 0.41,
}
"""Percent of the labelled pixels in the fine annotations of the train split; rounded.

The distribution is that of Cordts et al. (CVPR 2016, section 2), who plot the counts per class.
"""

BLUE, ORANGE, GREEN, RED, GREY, LIGHT = (
    "#2f6fb0", "#e08a2e", "#3c9a5f", "#c0504d", "#8a8a8a", "#dbe6f2",
)  # fmt: skip
STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "figure.dpi": 120,
}
RAREST = 5
FOCAL_GAMMAS = (0, 0.5, 1, 2, 5)


# ------------------------------------------------------------------------- numbers for the figures


@cache
def toy_split(split: str) -> SegmentationDataset:
    """A split of the toy streets, which are made when they are missing."""
    return SegmentationDataset(resolve_datadir(None), split)


@cache
def toy_counts(split: str) -> Tensor:
    """Pixels of each class in a split of the toy streets, (K,) int64."""
    return count_pixels(toy_split(split).targets(), len(CITYSCAPES))


def tensor_shapes(model: nn.Module, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Runs an image of zeros through the model and notes (C, H, W) of every module's output.

    Returns:
        The dotted name of a module → the shape of its output, its first one where there are two.
    """
    shapes: dict[str, tuple[int, ...]] = {"": (3, *size)}

    def note(name: str) -> Callable[[nn.Module, tuple, Tensor | tuple], None]:
        def hook(module: nn.Module, inputs: tuple, output: Tensor | tuple) -> None:
            first = output if isinstance(output, Tensor) else output[0]
            shapes[name] = tuple(first.shape[1:])

        return hook

    hooks = [m.register_forward_hook(note(name)) for name, m in model.named_modules() if name]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, *size))
    for hook in hooks:
        hook.remove()
    return shapes


def commonest_per_position() -> Tensor:
    """The class that is commonest at each position over the toy training scenes, (H, W) int64."""
    dataset = toy_split("train")
    counts = torch.zeros(len(CITYSCAPES), *dataset.sizes[0], dtype=torch.int64)
    for index in range(len(dataset)):
        target = torch.from_numpy(dataset.read_train_ids(index)).long()[None]  # (1, H, W)
        valid = target != IGNORE_INDEX
        counts.scatter_add_(0, torch.where(valid, target, 0), valid.long())
    return counts.argmax(dim=0)


@cache
def predictor_scores() -> dict[str, tuple[float, float]]:
    """Pixel accuracy and macro F1 of predictors that learned nothing, on the toy validation."""
    dataset, num_classes = toy_split("val"), len(CITYSCAPES)
    position, rare = commonest_per_position(), toy_counts("train").argsort()[:RAREST]
    generator = torch.Generator().manual_seed(0)
    predictors: dict[str, Callable[[Tensor], Tensor]] = {
        "a random class": lambda truth: torch.randint(
            num_classes, truth.shape, generator=generator
        ),
        "always road": torch.zeros_like,
        "commonest class\nof each position": lambda truth: position,
        "the target, but road for\nthe five rarest classes": lambda truth: torch.where(
            torch.isin(truth, rare), 0, truth
        ),
    }
    matrices = {name: ConfusionMatrix(num_classes, IGNORE_INDEX) for name in predictors}
    for index in range(len(dataset)):
        truth = torch.from_numpy(dataset.read_train_ids(index)).long()
        for name, predict in predictors.items():
            matrices[name].update(predict(truth)[None], truth[None])
    return {name: (pixel_accuracy(m.matrix), macro_f1(m.matrix)) for name, m in matrices.items()}


# ------------------------------------------------------------------------------- figure 1: the UNet

TOP_HEIGHT, SHRINK, LEVEL_GAP = 1.25, 0.72, 0.55
"""How high a tensor of full resolution is drawn, what each level below keeps of it, and the gap."""

UP_PARTS = ("upconv", "convblock.0", "convblock.1")

Shapes = dict[str, tuple[int, ...]]


class Diagram:
    """A drawing of tensors as boxes: their width goes by the channels, their height by the level.

    Args:
        axes: to draw on.
        full_height: of the image in pixels, at level 0.
    """

    def __init__(self, axes: Axes, full_height: int) -> None:
        self.axes, self.full_height = axes, full_height

    def height(self, level: int) -> float:
        """How high the boxes of a level are."""
        return TOP_HEIGHT * SHRINK**level

    def y(self, level: int) -> float:
        """The middle of the boxes of a level."""
        above = sum(self.height(j) + LEVEL_GAP for j in range(level))
        return -above - (self.height(level) - self.height(0)) / 2

    def level(self, shape: tuple[int, ...]) -> int:
        """How often a tensor has been halved."""
        return round(np.log2(self.full_height / shape[1]))

    def width(self, shape: tuple[int, ...]) -> float:
        """How wide the box of a tensor is."""
        return 0.05 + 0.045 * shape[0] ** 0.55

    def box(self, x: float, shape: tuple[int, ...], color: str, label: str | None = None) -> float:
        """Draws a tensor from x on, its channels above it; returns its right edge."""
        level, width = self.level(shape), self.width(shape)
        y, height = self.y(level), self.height(level)
        corner = (x, y - height / 2)
        self.axes.add_patch(Rectangle(corner, width, height, fc=color, ec="#33475b"))
        text = str(shape[0]) if label is None else label
        place = (x + width / 2, y + height / 2 + 0.05)
        self.axes.text(*place, text, ha="center", va="bottom", fontsize=9)
        return x + width

    def row(self, x: float, tensors: Sequence[tuple[tuple[int, ...], str]]) -> float:
        """Draws tensors, joined by convolutions, the first from x on; returns the right edge."""
        right = x
        for position, (shape, color) in enumerate(tensors):
            if position:
                y = self.y(self.level(shape))
                self.arrow((right + 0.03, y), (right + 0.29, y), BLUE)
                right += 0.32
            right = self.box(right, shape, color)
        return right

    def arrow(self, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
        """Draws an arrow between two points."""
        style = {"linestyle": "--" if color == GREY else "-", "color": color, "lw": 1.4}
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0, **style
            )
        )

    def down(self, x: float, level: int) -> None:
        """Draws the pooling between a level and the next."""
        start = self.y(level) - self.height(level) / 2 - 0.02
        self.arrow((x, start), (x, self.y(level + 1) + self.height(level + 1) / 2 + 0.24), RED)

    def up(self, x: float, level: int) -> None:
        """Draws the upsampling to a level from the one below, past the number of its channels."""
        start = self.y(level + 1) + self.height(level + 1) / 2 + 0.24
        self.arrow((x, start), (x, self.y(level) - self.height(level) / 2 - 0.02), GREEN)

    def size(self, x: float, shape: tuple[int, ...]) -> None:
        """Writes height and width of a level, ending at x."""
        text, y = f"{shape[1]} × {shape[2]}", self.y(self.level(shape))
        self.axes.text(x - 0.1, y, text, ha="right", va="center", color="#555555")


def figure_unet() -> Figure:
    """The UNet of the defaults as it is: channels and sizes read off the model at 128x256."""
    blocks, size = 4, (128, 256)
    shapes = tensor_shapes(UNet(len(CITYSCAPES), blocks, 16), size)
    figure, axes = plt.subplots(figsize=(11, 6.8))
    diagram = Diagram(axes, size[0])
    across, x = draw_encoder(diagram, shapes, blocks)
    right = draw_decoder(diagram, shapes, across, x)
    meanings = {
        BLUE: "3×3 convolution, ReLU, batch normalisation",
        RED: "2×2 max pooling",
        GREEN: "upsampling ×2 and 3×3 convolution",
        GREY: "copy and concatenate",
        ORANGE: "1×1 convolution",
    }
    for color, text in meanings.items():
        axes.plot([], [], color=color, ls="--" if color == GREY else "-", label=text, lw=2)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), fontsize=10, ncols=3)
    axes.set(xlim=(-0.95, right + 0.1), ylim=(diagram.y(blocks) - 0.3, 0.9))
    axes.set_axis_off()
    return figure


def draw_encoder(diagram: Diagram, shapes: Shapes, blocks: int) -> tuple[list[float], float]:
    """Draws the way down and the bottom.

    Returns:
        The right edge of each level's features, and the middle of the last box of the bottom.
    """
    x, inside, across = 0.0, shapes[""], []
    for level in range(blocks):
        name = f"encoder.blocks.{level}"
        tensors = [(inside, "white"), *((shapes[f"{name}.block{k}"], LIGHT) for k in (1, 2))]
        diagram.size(x, inside)
        across.append(diagram.row(x, tensors))
        inside = shapes[name]  # the pooled output
        middle = across[-1] - diagram.width(tensors[-1][0]) / 2
        diagram.down(middle, level)
        x = middle - diagram.width(inside) / 2
    diagram.size(x, inside)
    bottoms = [(shapes[name], LIGHT) for name in ("encoder.bottom", "decoder.bottom")]
    right = diagram.row(x, [(inside, "white"), *bottoms])
    return across, right - diagram.width(bottoms[-1][0]) / 2


def draw_decoder(diagram: Diagram, shapes: Shapes, across: list[float], middle: float) -> float:
    """Draws the way up, from the middle of the bottom's last box; returns the right edge."""
    right = middle
    for position, level in enumerate(reversed(range(len(across)))):
        up, *convolved = (shapes[f"decoder.blocks.{position}.{part}"] for part in UP_PARTS)
        y, width = diagram.y(level), diagram.width(up)
        left = middle - width / 2 - width  # what comes across stands to the left of what comes up
        diagram.box(left, up, "#eeeeee", "")
        diagram.arrow((across[level] + 0.03, y), (left - 0.03, y), GREY)
        diagram.up(middle, level)
        above = y + diagram.height(level) / 2 + 0.05
        diagram.axes.text(
            left + width, above, f"{up[0]} + {up[0]}", ha="center", va="bottom", fontsize=9
        )
        diagram.box(left + width, up, "#d5ecd9", "")
        diagram.arrow((left + 2 * width + 0.03, y), (left + 2 * width + 0.37, y), BLUE)
        right = diagram.row(left + 2 * width + 0.4, [(shape, LIGHT) for shape in convolved])
        middle = right - diagram.width(convolved[-1]) / 2
    y, logits = diagram.y(0), shapes["decoder.head"]
    diagram.arrow((right + 0.03, y), (right + 0.29, y), ORANGE)
    end = diagram.box(right + 0.32, logits, "#f6dfc3")
    below = y - diagram.height(0) / 2 - 0.07
    diagram.axes.text((right + 0.32 + end) / 2, below, "logits", ha="center", va="top")
    return end


# ----------------------------------------------------------------------------------- other figures


def figure_classes() -> Figure:
    """The share of each class, commonest first: toy streets beside Cityscapes, log axis."""
    order = np.argsort(list(CITYSCAPES_SHARES.values()))
    counts = toy_counts("train").double().numpy()
    panels = {
        "Cityscapes, train": np.array([CITYSCAPES_SHARES[name] for name in CITYSCAPES.names]),
        f"toy streets, train ({len(toy_split('train'))} scenes)": 100 * counts / counts.sum(),
    }
    figure, both = plt.subplots(1, 2, figsize=(10.5, 5.6), sharey=True, layout="constrained")
    for axes, (title, shares) in zip(both, panels.items(), strict=True):
        axes.barh(
            range(len(order)),
            shares[order],
            color=CITYSCAPES.palette[order] / 255,
            edgecolor="#555555",
            lw=0.5,
        )
        for y, share in enumerate(shares[order]):
            digits = 2 if share < 1.5 else 1
            axes.text(share * 1.1, y, f"{share:.{digits}f}", va="center", fontsize=9)
        axes.set_xscale("log")
        axes.set(title=title, xlim=(0.05, 90), xlabel="percent of the labelled pixels (log axis)")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.grid(axis="y", visible=False)
        axes.set_yticks(range(len(order)), [CITYSCAPES.names[k] for k in order])
    return figure


def figure_focal() -> Figure:
    """The focal loss of one pixel over the probability of its true class."""
    p = np.linspace(0.002, 1, 500)
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(FOCAL_GAMMAS)))
    for gamma, color in zip(FOCAL_GAMMAS, colors, strict=True):
        name = "γ = 0 (cross entropy)" if gamma == 0 else f"γ = {gamma:g}"
        axes.plot(p, (1 - p) ** gamma * -np.log(p), color=color, label=name, lw=2)
    axes.axvspan(0.6, 1, color="#f2f2f2", zorder=0)
    axes.text(0.8, 3.0, "well classified", ha="center", color="#666666")
    axes.set(xlim=(0, 1), ylim=(0, 5), ylabel=r"loss of the pixel, $-(1-p_t)^\gamma\,\log p_t$")
    axes.set_xlabel("$p_t$, the probability of the true class")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 1))
    return figure


def figure_augmentations() -> Figure:
    """One toy street as it is, and as four epochs of training show it; targets below."""
    dataset, index, size = toy_split("train"), 4, (128, 256)
    transform = train_transforms(size)
    image, target = dataset[index]
    versions = [("as it is", image, target.numpy())]
    for epoch in range(4):
        torch.manual_seed(epoch)
        seed_transform(transform)
        result = transform(image=image, mask=target.numpy().astype(np.uint8))
        versions.append((f"epoch {epoch}", to_picture(result["image"], MEAN, STD), result["mask"]))
    figure, grid = plt.subplots(2, 5, figsize=(12, 2.75), layout="constrained")
    for (title, picture, mask), column in zip(versions, grid.T, strict=True):
        column[0].set_title(title)
        column[0].imshow(picture)
        column[1].imshow(colorize(np.asarray(mask), CITYSCAPES.palette), interpolation="nearest")
        for axes in column:
            axes.set_axis_off()
    return figure


def figure_coarse_labels() -> Figure:
    """A toy street, its fine labels, its coarse ones, and what half labels and scribbles show."""
    image, label_ids = render_scene("ahornau", seed=0, index=1)
    fine = encode_train_ids(label_ids, CITYSCAPES)
    targets = {"fine": fine, "coarse": encode_train_ids(draw_coarsely(label_ids), CITYSCAPES)}
    targets |= {kind: hide(fine, kind, "ahornau_1", IGNORE_INDEX) for kind in ("half", "scribbles")}
    pictures = {"image": image}
    pictures |= {name: colorize(each, CITYSCAPES.palette) for name, each in targets.items()}
    figure, row = plt.subplots(1, 5, figsize=(12, 1.6), layout="constrained")
    for axes, (title, picture) in zip(row, pictures.items(), strict=True):
        axes.set_title(title)
        axes.imshow(picture, interpolation="nearest")
        axes.set_axis_off()
    return figure


def figure_weights() -> Figure:
    """The class weights of every strategy on the toy streets, rarest class to the right."""
    counts = toy_counts("train")
    order = counts.argsort(descending=True)
    gentle = 1 - 10 / counts.max().item()
    lines = {
        "inverse, and median": (class_weights(counts, "inverse"), RED, "o"),
        "effective, β = 1 − 1 / all pixels": (class_weights(counts, "effective"), ORANGE, "x"),
        "sqrt": (class_weights(counts, "sqrt"), BLUE, "s"),
        "effective, β = 1 − 10 / road's pixels": (
            class_weights(counts, "effective", gentle), GREEN, "^",
        ),
        "none": (class_weights(counts, "none"), GREY, "."),
    }  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 4.8), layout="constrained")
    for name, (weights, color, marker) in lines.items():
        axes.plot(weights[order], marker=marker, color=color, label=name, lw=1.2, ms=6)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set(ylabel="weight (log axis; mean 1)")
    axes.set_xticks(
        range(len(order)), [CITYSCAPES.names[k] for k in order], rotation=45, ha="right"
    )
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower right")
    return figure


def figure_predictors() -> Figure:
    """Pixel accuracy against macro F1 of predictors that look at no image."""
    scores = predictor_scores()
    figure, axes = plt.subplots(figsize=(8.2, 3.9), layout="constrained")
    y = np.arange(len(scores))[::-1]
    for shift, color, name, part in (
        (0.19, GREY, "pixel accuracy", 0),
        (-0.19, BLUE, "macro F1", 1),
    ):
        values = [pair[part] for pair in scores.values()]
        axes.barh(y + shift, values, height=0.36, color=color, label=name)
        for position, value in zip(y, values, strict=True):
            axes.text(value + 0.01, position + shift, f"{value:.3f}", va="center", fontsize=10)
    axes.set_yticks(y, scores)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", visible=False)
    axes.set(xlim=(0, 1.1), xlabel="score on the toy validation split")
    axes.legend(loc="upper right")
    return figure


def figure_results(runs: Sequence[Path]) -> Figure:
    """The curves of trained runs, from their history.csv: losses, and the validation macro F1."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    colors = plt.get_cmap("tab10").colors
    for position, run in enumerate(runs):
        history, color = read_history(run), colors[position % len(colors)]
        left.plot(history["step"], history["train_loss"], color=color, ls="--", marker=".")
        left.plot(history["step"], history["val_loss"], color=color, marker=".", label=run.name)
        right.plot(history["step"], history["val_macro_f1"], color=color, marker=".")
    left.set(title="loss: validation (solid), training (dashed)", xlabel="step", ylim=(0, None))
    right.set(title="macro F1 on the validation split", xlabel="step", ylim=(0, 1))
    left.legend(loc="upper right")
    return figure


def read_history(run: Path) -> dict[str, list[float]]:
    """The columns of a run's history.csv.

    Raises:
        LabError: when there is none, or it is not one of this lab.
    """
    try:
        with (run / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {key: [float(row[key]) for row in rows] for key in rows[0]}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise LabError(f"{run}: no run with a readable history.csv") from error


FIGURES: dict[str, Callable[[], Figure]] = {
    "unet": figure_unet,
    "classes": figure_classes,
    "focal": figure_focal,
    "augmentations": figure_augmentations,
    "coarse_labels": figure_coarse_labels,
    "weights": figure_weights,
    "predictors": figure_predictors,
}


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG of 256 colours, which keeps it small."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.1)
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        picture.save(temporary, optimize=True)


def build_parser() -> argparse.ArgumentParser:
    """The parser: which figures, and the runs of the results."""
    parser = argparse.ArgumentParser(prog="subject.figures", description="Draws the figures.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"any of {', '.join(FIGURES)} (all of these), or: results RUN …",
    )
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="DIR", help="where to")
    parser.set_defaults(run=draw)
    return parser


@plt.rc_context(STYLE)
def draw(args: argparse.Namespace) -> int:
    """Draws what was asked for.

    Raises:
        LabError: for a name that is not there, or results without runs.
    """
    names = args.names or list(FIGURES)
    if names[0] == "results":
        if len(names) == 1:
            raise LabError("results needs the folders of runs: results runs/a runs/b")
        chosen = {"results": lambda: figure_results([Path(name) for name in names[1:]])}
    else:
        unknown = [name for name in names if name not in FIGURES]
        if unknown:
            raise LabError(f"no figure {unknown[0]!r}; there are: {', '.join(FIGURES)}, results")
        chosen = {name: FIGURES[name] for name in names}
    for name, make in chosen.items():
        path = args.output / f"{name}.png"
        save(make(), path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(build_parser()))
