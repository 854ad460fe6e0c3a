"""The figures of the zoo's three ideas: atrous pyramid, mix transformer, high-resolution fusion.

    python -m subject.zoo_figures                          all three
    python -m subject.zoo_figures mix_transformer          one of them

Shapes are read off the real networks by hooks, and what a convolution sees off its gradients.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn

from commands.command_line import run_command
from subject.figures import BLUE, FOLDER, GREEN, GREY, LIGHT, ORANGE, RED, STYLE, save, toy_split
from support.formats.cityscapes import CITYSCAPES
from utils import LabError
from zoo.blocks import ASPP
from zoo.hrnet import HRNet
from zoo.segformer import HEADS, PATCH_SIZES, REDUCTIONS, STRIDES, SegFormer

SIZE = (512, 1024)  # of the image in all three figures
SCENE = 4
ASPP_STRIDE = 8
BRANCH_COLORS = (RED, BLUE, GREEN, ORANGE, GREY)

Shapes = dict[str, list[tuple[int, ...]]]


# ------------------------------------------------------------------------- numbers for the figures


def toy_picture() -> np.ndarray:
    """A toy street enlarged to `SIZE`: (H, W, 3) uint8."""
    image, _ = toy_split("train")[SCENE]
    return cv2.resize(np.asarray(image), SIZE[::-1], interpolation=cv2.INTER_NEAREST)


def all_shapes(model: nn.Module) -> Shapes:
    """The shapes, without the batch, of each module's outputs for an image of `SIZE`."""
    shapes: Shapes = {}

    def note(name: str) -> Callable[[nn.Module, tuple, Tensor | list[Tensor]], None]:
        def hook(module: nn.Module, inputs: tuple, output: Tensor | list[Tensor]) -> None:
            tensors = [output] if isinstance(output, Tensor) else output
            shapes[name] = [tuple(tensor.shape[1:]) for tensor in tensors]

        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(note(name))
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, *SIZE, device="meta"))
    return shapes


def seen_positions(branch: nn.Module, position: tuple[int, int]) -> np.ndarray:
    """The positions of the features that a branch's output at one position depends on.

    Returns:
        (H, W) bool: where the gradient is not zero, all weights being one.
    """
    for parameter in branch.parameters():
        nn.init.ones_(parameter)
    size = [side // ASPP_STRIDE for side in SIZE]
    features = torch.ones(1, 1, *size, requires_grad=True)
    branch.eval()(features)[0, 0, position[0], position[1]].backward()
    return (features.grad[0, 0] != 0).numpy()


# ------------------------------------------------------------------------- figure 1: atrous pyramid


def figure_atrous_pyramid() -> Figure:
    """What each branch of the pyramid sees from one position, on the features of stride 8."""
    position = (32, 64)
    branches = ASPP(1, 1).convs
    seen = [seen_positions(branch, position) for branch in branches]
    figure, grid = plt.subplots(2, 3, figsize=(11, 4.5), layout="constrained")
    for axes, branch, mask, color in zip(grid.flat, branches, seen, BRANCH_COLORS, strict=False):
        show_faded_street(axes)
        mark_positions(axes, mask, color)
        axes.set_title(branch_name(branch, int(mask.sum())))
    last = grid.flat[-1]
    show_faded_street(last)
    for mask, color in list(zip(seen, BRANCH_COLORS, strict=True))[-2::-1]:
        mark_positions(last, mask, color)
    last.set_title("together: the five are concatenated")
    return figure


def show_faded_street(axes: Axes) -> None:
    """A toy street in 32 pale greys, which leave the figure's 256 colours to what is marked."""
    grey = toy_picture().mean(axis=2) // 8 / 31
    axes.imshow(0.5 * grey + 0.5, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()


def mark_positions(axes: Axes, mask: np.ndarray, color: str) -> None:
    """Marks positions of the features; a mark is larger than the position, to be seen."""
    if mask.all():
        axes.add_patch(Rectangle((0, 0), SIZE[1], SIZE[0], fc=color, alpha=0.35))
        return
    side = 4 * ASPP_STRIDE
    for y, x in np.argwhere(mask):
        corner = ((x + 0.5) * ASPP_STRIDE - side / 2, (y + 0.5) * ASPP_STRIDE - side / 2)
        axes.add_patch(Rectangle(corner, side, side, fc=color, ec="white", lw=0.5))


def branch_name(branch: nn.Module, seen: int) -> str:
    """The title of a branch, from its first layer and the number of positions that it sees."""
    if isinstance(branch[0], nn.AdaptiveAvgPool2d):
        return "mean of the whole image"
    kernel, rate = branch[0].kernel_size[0], branch[0].dilation[0]
    name = f"{kernel}×{kernel} convolution" + (f", rate {rate}" if kernel > 1 else "")
    outside = kernel**2 - seen
    return name + (f" ({outside} taps outside)" if outside else "")


# ------------------------------------------------------------------------ figure 2: mix transformer


def figure_mix_transformer() -> Figure:
    """SegFormer B0: the stages and the head above; patches, keys and the saving below."""
    with torch.device("meta"):
        shapes = all_shapes(SegFormer(len(CITYSCAPES)))
    stages = [shapes[f"segformer.stages.{index}"][0] for index in range(len(STRIDES))]
    figure = plt.figure(figsize=(11, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    draw_segformer(above.subplots(), stages, shapes)
    patches, keys, pairs = below.subplots(1, 3, width_ratios=(0.75, 1.4, 1))
    draw_patches(patches)
    draw_keys(keys, stages[0])
    draw_pairs(pairs, stages)
    return figure


def draw_segformer(axes: Axes, stages: list[tuple[int, ...]], shapes: Shapes) -> None:
    """The image, the four stages, and the head, as boxes whose height goes by the stride."""
    draw_box(axes, 0, 2.0, "white", "3", f"{SIZE[0]} × {SIZE[1]}\nimage")
    fused, logits = shapes["decode_head.linear_fuse"][0], shapes["decode_head.classifier"][0]
    joined, x = 9.3, 0.0
    for index, (height, width, channels) in enumerate(stages):
        x, size = 2.0 * (index + 1), 1.5 * 0.72**index
        draw_arrow(axes, (x - 1.6, 0), (x - 0.06, 0), BLUE)
        projected = shapes[f"decode_head.linear_projections.{index}"][0][-1]
        draw_box(axes, x, size, LIGHT, str(channels), f"{height} × {width}\nstage {index + 1}")
        level = 1.25 + 0.22 * index  # of the line to the head, above the boxes
        axes.plot([x + 0.2, x + 0.2], [size / 2 + 0.22, level], color=GREEN, lw=1.4)
        axes.plot([x + 0.2, joined + 0.1 * index], [level, level], color=GREEN, lw=1.4)
        axes.text(x + 0.28, level + 0.03, f"linear: {channels} → {projected}", fontsize=8.5)
        end = (joined + 0.1 * index, 0.77)
        draw_arrow(axes, (joined + 0.1 * index, level), end, GREEN)
    draw_box(axes, joined - 0.05, 1.5, "#d5ecd9", "", f"{stages[0][0]} × {stages[0][1]}\njoined")
    axes.text(
        joined + 0.15, 0, f"{len(stages)} × {projected}", rotation=90, ha="center", va="center"
    )
    for x, tensor, color, name in (
        (10.5, fused, "#d5ecd9", "fused"),
        (11.7, logits, "#f6dfc3", "logits, then ×4"),
    ):
        draw_arrow(axes, (x - 0.74, 0), (x - 0.06, 0), ORANGE)
        draw_box(axes, x, 1.5, color, str(tensor[0]), f"{tensor[1]} × {tensor[2]}\n{name}")
    axes.set(xlim=(-0.5, 12.7), ylim=(-1.6, 2.2))
    axes.set_axis_off()


def draw_box(axes: Axes, x: float, height: float, color: str, top: str, below: str) -> None:
    """A tensor: its channels above, its size and name below."""
    axes.add_patch(Rectangle((x, -height / 2), 0.4, height, fc=color, ec="#33475b"))
    axes.text(x + 0.2, height / 2 + 0.05, top, ha="center", va="bottom", fontsize=9)
    place = (x + 0.2, -height / 2 - 0.08)
    axes.text(*place, below, ha="center", va="top", fontsize=9, color="#555555")


def draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str
) -> None:
    """An arrow between two points."""
    options = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color=color, lw=1.4, **options))


def draw_patches(axes: Axes) -> None:
    """Neighbouring patches of the first embedding, on a corner of the street."""
    size, stride = PATCH_SIZES[0], STRIDES[0]
    axes.imshow(0.6 * toy_split("train")[SCENE][0][44:59, 54:69] / 255 + 0.4)
    for index, color in enumerate((RED, BLUE, GREEN)):
        corner = (1.5 + stride * (index % 2), 1.5 + stride * (index // 2))
        axes.add_patch(Rectangle(corner, size, size, fill=False, ec=color, lw=2.5))
    axes.set_title(f"patches of {size}×{size} pixels,\none every {stride}: they overlap")
    axes.set_axis_off()


def draw_keys(axes: Axes, shape: tuple[int, ...]) -> None:
    """The keys of the first stage as cells of the image, and one query."""
    height, width, _ = shape
    side, query = STRIDES[0] * REDUCTIONS[0], (44, 150)
    show_faded_street(axes)
    for x in range(0, SIZE[1] + 1, side):
        axes.plot([x, x], [0, SIZE[0]], color=BLUE, lw=0.6)
    for y in range(0, SIZE[0] + 1, side):
        axes.plot([0, SIZE[1]], [y, y], color=BLUE, lw=0.6)
    corner = [STRIDES[0] * place for place in reversed(query)]
    axes.add_patch(Rectangle(corner, 4 * STRIDES[0], 4 * STRIDES[0], fc=RED, ec="white", lw=0.5))
    keys = (height // REDUCTIONS[0]) * (width // REDUCTIONS[0])
    axes.set_title(
        f"stage 1: each of {height * width:,} queries (one in red)\n"
        f"meets {keys} keys (cells of {side}×{side} pixels)"
    )


def draw_pairs(axes: Axes, stages: list[tuple[int, ...]]) -> None:
    """How many numbers the attention maps of a block hold, without the reduction and with it."""
    positions = np.array([height * width for height, width, _ in stages])
    full = positions**2 * np.array(HEADS)
    places = np.arange(len(stages))
    reduced = full / np.array(REDUCTIONS) ** 2
    axes.bar(places - 0.2, full, width=0.38, color=GREY, label="every position a key")
    axes.bar(places + 0.2, reduced, width=0.38, color=BLUE, label="reduced keys")
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{k + 1}\nR = {ratio}" for k, ratio in enumerate(REDUCTIONS)])
    axes.set(title="numbers in a block's\nattention maps (log axis)", xlabel="stage")
    axes.set_ylim(1e5, 3e10)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper right", fontsize=9)


# ----------------------------------------------------------------- figure 3: high-resolution fusion

ROW_HEIGHTS = (1.1, 0.8, 0.58, 0.42)
ROW_PLACES = (0.0, -1.65, -3.0, -4.1)
COLUMN, WITHIN = 3.2, 1.9
"""From one stage to the next, and within a stage from before the exchange to after it."""


def figure_high_resolution_fusion() -> Figure:
    """HRNet of width 18: the streams of every stage, and how each one hears all of them."""
    with torch.device("meta"):
        model = HRNet(len(CITYSCAPES), width=18)
    shapes = all_shapes(model)
    figure, axes = plt.subplots(figsize=(11, 6.2))
    columns = [("layer1", "stage 1", 1)]
    columns += [(f"stage{k}.0", f"stage {k}", len(getattr(model, f"stage{k}"))) for k in (2, 3, 4)]
    for index, (name, title, repeats) in enumerate(columns):
        x = COLUMN * index
        draw_streams(axes, x, shapes[name], index == 0)
        if index:
            title += f"\n{repeats} × (blocks, exchange)"
            draw_transition(axes, x, len(shapes[name]))
        axes.text(x + WITHIN * (0.5 if index else 1), 0.95, title, ha="center", va="bottom")
    draw_joined(axes, x + WITHIN, shapes["stage4"], shapes["last_layer"][0])
    for color, text in {
        BLUE: "the stream itself",
        RED: "down: 3×3 convolutions of stride 2",
        GREEN: "up: 1×1 convolution, then bilinear",
        GREY: "bilinear, concatenated",
    }.items():
        axes.plot([], [], color=color, label=text, lw=2)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4, fontsize=9.5)
    axes.set(xlim=(1.0, 14.2), ylim=(-4.75, 1.6))
    axes.set_axis_off()
    return figure


def stream_color(source: int, target: int) -> str:
    """The colour of the way from a stream to another."""
    return BLUE if source == target else RED if target > source else GREEN


def draw_streams(axes: Axes, x: float, streams: Sequence[tuple[int, ...]], is_first: bool) -> None:
    """A stage: its streams, every one going to every one, and its streams again."""
    for row, (channels, height, width) in enumerate(streams):
        begin = x + WITHIN if is_first else x
        if row == len(streams) - 1:  # this stream's first box
            below = ROW_PLACES[row] - ROW_HEIGHTS[row] / 2 - 0.08
            place = (begin + 0.16, below)
            axes.text(*place, f"{height} × {width}", ha="right", va="top", color="#555555")
        draw_stream(axes, begin, row, channels)
        if is_first:
            continue
        draw_stream(axes, x + WITHIN, row, channels)
        for target in range(len(streams)):
            start, end = (x + 0.2, ROW_PLACES[row]), (x + WITHIN - 0.2, ROW_PLACES[target])
            draw_arrow(axes, start, end, stream_color(row, target))


def draw_stream(axes: Axes, x: float, row: int, channels: int) -> None:
    """A stream as a box, its channels above."""
    y, height = ROW_PLACES[row], ROW_HEIGHTS[row]
    axes.add_patch(Rectangle((x - 0.16, y - height / 2), 0.32, height, fc=LIGHT, ec="#33475b"))
    axes.text(x, y + height / 2 + 0.04, str(channels), ha="center", va="bottom", fontsize=9)


def draw_transition(axes: Axes, x: float, count: int) -> None:
    """From the stage before: its streams go on, and the last also gives a new, smaller one."""
    before = x - COLUMN + WITHIN
    for row in range(count):
        source = min(row, count - 2)
        start, end = (before + 0.2, ROW_PLACES[source]), (x - 0.2, ROW_PLACES[row])
        draw_arrow(axes, start, end, stream_color(source, row))


def draw_joined(
    axes: Axes, x: float, streams: Sequence[tuple[int, ...]], logits: tuple[int, ...]
) -> None:
    """All streams enlarged to the first and concatenated; the logits."""
    joined = x + 1.3
    for row in range(len(streams)):
        draw_arrow(axes, (x + 0.2, ROW_PLACES[row]), (joined - 0.2, 0), GREY)
    draw_stream(axes, joined, 0, sum(channels for channels, _, _ in streams))
    draw_arrow(axes, (joined + 0.2, 0), (joined + 0.66, 0), ORANGE)
    draw_stream(axes, joined + 0.85, 0, logits[0])
    axes.text(joined + 0.85, -0.6, "logits,\nthen ×4", ha="center", va="top", fontsize=9)


FIGURES: dict[str, Callable[[], Figure]] = {
    "atrous_pyramid": figure_atrous_pyramid,
    "mix_transformer": figure_mix_transformer,
    "high_resolution_fusion": figure_high_resolution_fusion,
}


def build_parser() -> argparse.ArgumentParser:
    """The parser: which figures."""
    parser = argparse.ArgumentParser(prog="subject.zoo_figures", description="Draws the figures.")
    text = f"any of {', '.join(FIGURES)} (all of these)"
    parser.add_argument("names", nargs="*", metavar="NAME", help=text)
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="DIR", help="where to")
    parser.set_defaults(run=draw)
    return parser


@plt.rc_context(STYLE)
def draw(args: argparse.Namespace) -> int:
    """Draws what was asked for.

    Raises:
        LabError: for a name that is not there.
    """
    for name in args.names or FIGURES:
        if name not in FIGURES:
            raise LabError(f"no figure {name!r}; there are: {', '.join(FIGURES)}")
        path = args.output / f"{name}.png"
        save(FIGURES[name](), path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(build_parser()))
