"""Pictures of samples, class distributions and confusion matrices, as arrays.

Each function returns (H, W, 3) uint8 RGB, so that a picture can go to a file (`utils.save_image`)
and to TensorBoard alike. Matplotlib is used without its global state and without a display.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from utils import VOID_COLOR, add_legend, colorize

GAP = 8
TEXT_SIZE = 15
BACKGROUND = (255, 255, 255)
SAMPLE_TITLES = ("image", "truth", "prediction")


def sample_panel(
    rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    class_names: Sequence[str],
    palette: np.ndarray,
    column_titles: Sequence[str] = SAMPLE_TITLES,
) -> np.ndarray:
    """Puts photos beside their truth and prediction, with a legend; void is black.

    Args:
        rows: per sample, image (H, W, 3) uint8 RGB, truth and prediction (H, W) class ids.
        class_names: the K names.
        palette: (K, 3) uint8 RGB.
        column_titles: what stands above the three columns.
    """
    pictures = [
        [image, colorize(truth, palette), colorize(prediction, palette)]
        for image, truth, prediction in rows
    ]
    grid = picture_grid(pictures, column_titles)
    colors = np.vstack([palette, np.array([VOID_COLOR], dtype=np.uint8)])
    return add_legend(grid, [*class_names, "void"], colors)


def picture_grid(
    rows: Sequence[Sequence[np.ndarray]],
    column_titles: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
    cell_width: int = 400,
) -> np.ndarray:
    """Arranges pictures in a grid of equal cells.

    Small pictures are enlarged by a whole factor, so that single pixels stay visible; large ones
    are reduced to fit. A picture smaller than its cell stands in the middle.

    Args:
        rows: pictures (H, W, 3) uint8 RGB; sizes and the number per row may differ.
        column_titles: above the columns.
        captions: above each picture, as many as there are pictures.
        cell_width: about how wide a cell becomes, in pixels.
    """
    widest = max(picture.shape[1] for row in rows for picture in row)
    highest = max(picture.shape[0] for row in rows for picture in row)
    factor = max(1, round(cell_width / widest))
    scale = float(factor) if factor > 1 else min(1.0, 2 * cell_width / widest)
    width, height = max(1, round(widest * scale)), max(1, round(highest * scale))
    text_height = round(1.8 * TEXT_SIZE)
    top = text_height if column_titles else GAP
    step_y = height + (text_height if captions else GAP)
    columns = max(len(row) for row in rows)
    canvas = Image.new(
        "RGB", (columns * (width + GAP) + GAP, top + len(rows) * step_y + GAP), BACKGROUND
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(TEXT_SIZE)
    for column, title in enumerate(column_titles or ()):
        center = GAP + column * (width + GAP) + width / 2
        draw.text((center, top / 2), title, fill="black", font=font, anchor="mm")
    for row_number, row in enumerate(rows):
        for column, picture in enumerate(row):
            left, y = GAP + column * (width + GAP), top + row_number * step_y
            if captions:
                text = captions[row_number][column]
                place = (left + width / 2, y + text_height / 2)
                draw.text(place, text, fill="black", font=font, anchor="mm")
                y += text_height
            small = _rescale(picture, scale)
            inset = ((width - small.width) // 2, (height - small.height) // 2)
            canvas.paste(small, (left + inset[0], y + inset[1]))
    return np.array(canvas)


def _rescale(picture: np.ndarray, scale: float) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX)


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
    counts = np.asarray(counts, dtype=np.float64)
    shares = 100 * counts / max(counts.sum(), 1)
    order = np.argsort(-shares, kind="stable")
    present = shares[shares > 0]
    left = 10 ** np.floor(np.log10(present.min()) - 0.3) if present.size else 0.01
    figure = Figure(figsize=(9, 0.8 + 0.32 * len(counts)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    positions = np.arange(len(counts))
    # On a log axis a bar begins at the axis' left end; an absent class gets no bar at all.
    widths = np.where(shares > 0, shares - left, 0)[order]
    axes.barh(
        positions,
        widths,
        left=left,
        color=np.asarray(palette)[order] / 255,
        edgecolor="0.3",
        lw=0.5,
    )
    for position, share in zip(positions, shares[order], strict=True):
        text = f"{share:.3g} %" if share > 0 else "absent"
        axes.text(max(share, left) * 1.08, position, text, va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(left, 300)
    axes.xaxis.set_major_formatter("{x:g} %")
    axes.set_yticks(positions, [class_names[k] for k in order])
    axes.invert_yaxis()
    axes.set_xlabel("share of the labelled pixels (logarithmic)")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return _render(figure)


def confusion_picture(matrix: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Draws a confusion matrix, each row in percent of the true pixels of its class.

    Args:
        matrix: (K, K) pixels, rows = truth, columns = prediction.
        class_names: the K names.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    totals = matrix.sum(axis=1, keepdims=True)
    percent = np.divide(100 * matrix, totals, out=np.full_like(matrix, np.nan), where=totals > 0)
    count = len(class_names)
    side = 3.0 + 0.42 * count
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("0.9")  # rows of absent classes
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(np.nan_to_num(percent) >= 0.5), strict=True):
        value = percent[row, column]
        color = "white" if value > 55 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=9, color=color)
    _label_axes(axes, class_names, totals[:, 0] > 0)
    return _render(figure)


def _label_axes(axes: Axes, class_names: Sequence[str], is_present: np.ndarray) -> None:
    ticks = np.arange(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=60, ha="right", rotation_mode="anchor")
    rows = [
        name if there else f"{name} (absent)"
        for name, there in zip(class_names, is_present, strict=True)
    ]
    axes.set_yticks(ticks, rows)
    axes.set_xticks(ticks - 0.5, minor=True)
    axes.set_yticks(ticks - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=0.8)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_title("confusion: percent of each true class")


def _render(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
