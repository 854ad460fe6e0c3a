"""Pictures of samples, class distributions and confusion matrices, as arrays.

Each function returns (H, W, 3) uint8 RGB, so that a picture can go to a file (`utils.save_image`)
and to TensorBoard alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.utils.data import Dataset

from utils import VOID_COLOR, add_legend, colorize, cut, resize_image

GAP = 8
TEXT_SIZE = 15
CELL_WIDTH = 400  # in a grid of pictures, about
PANEL_SAMPLES = 4
MOST_CLASSES = 30  # in a confusion matrix, or named below a panel whether they occur or not
NAME_LENGTH = 24  # beside a confusion matrix, in characters


def sample_panel(
    rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    class_names: Sequence[str],
    palette: np.ndarray,
) -> np.ndarray:
    """Puts images beside their target and prediction, with a legend; void is black.

    Of more than `MOST_CLASSES`, the legend names those alone that occur.

    Args:
        rows: per sample, image (H, W, 3) uint8 RGB, target and prediction (H, W) class ids.
        palette: (K, 3) uint8 RGB.
    """
    pictures = [
        [image, colorize(target, palette), colorize(prediction, palette)]
        for image, target, prediction in rows
    ]
    grid = picture_grid(pictures, ("image", "target", "prediction"))
    occurs = np.full(256, len(class_names) <= MOST_CLASSES)
    for _, target, prediction in rows:
        occurs[target] = occurs[prediction] = True
    named = np.flatnonzero(occurs[: len(class_names)])
    colors = [tuple(palette[k].tolist()) for k in named]
    void = {VOID_COLOR: " or void"}  # a black class and void look alike
    names = [class_names[k] + void.get(color, "") for k, color in zip(named, colors, strict=True)]
    if VOID_COLOR not in colors:
        names, colors = [*names, "void"], [*colors, VOID_COLOR]
    return add_legend(grid, names, colors)


class Panels:
    """Paints image | target | prediction for a few validation samples, the same ones every time.

    Args:
        val_set: items are (image (3, H, W) float32, target (H, W) int64).
        about_model: `classes` and `palette`, and the `mean` and `std` of the images, as `best.pt`
            and `model.onnx` have them.
    """

    def __init__(self, val_set: Dataset, about_model: Mapping[str, Any]) -> None:
        positions = np.linspace(0, len(val_set) - 1, min(PANEL_SAMPLES, len(val_set)))
        samples = [val_set[round(position)] for position in positions]
        self.images = torch.stack([image for image, _ in samples])  # (S, 3, H, W)
        self.targets = [target.numpy().astype(np.uint8) for _, target in samples]
        mean, std = about_model["mean"], about_model["std"]
        self.pictures = [to_picture(image, mean, std) for image in self.images]  # (H, W, 3)
        self.class_names = about_model["classes"]
        self.palette = np.array(about_model["palette"], dtype=np.uint8)  # (K, 3)

    @torch.no_grad()
    def paint(self, model: nn.Module, device: torch.device) -> np.ndarray:
        """Returns the panel, (H', W', 3) uint8, of what a model in evaluation mode predicts."""
        images = self.images.to(device, memory_format=torch.channels_last)
        predictions = model(images).argmax(dim=1).byte().cpu().numpy()  # (S, H, W)
        rows = list(zip(self.pictures, self.targets, predictions, strict=True))
        return sample_panel(rows, self.class_names, self.palette)


def to_picture(
    image: torch.Tensor | np.ndarray, mean: Sequence[float], std: Sequence[float]
) -> np.ndarray:
    """Undoes the normalisation of an image: (3, H, W) float32 becomes (H, W, 3) uint8 RGB."""
    values = np.asarray(image).transpose(1, 2, 0) * np.float32(std) + np.float32(mean)
    return (255 * values).round().clip(0, 255).astype(np.uint8)


def picture_grid(
    rows: Sequence[Sequence[np.ndarray]],
    column_titles: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """Arranges pictures in a grid of equal cells.

    Small pictures are enlarged by a whole factor, so that single pixels stay visible; large ones
    are reduced to fit. A picture smaller than its cell stands in the middle.

    Args:
        rows: pictures (H, W, 3) uint8 RGB; sizes and the number per row may differ.
        captions: above each picture, as many as there are pictures.
    """
    scale, width, height = _fit(rows)
    text_size = int(np.clip(width // 22, TEXT_SIZE, 2 * TEXT_SIZE))
    text_height = round(1.8 * text_size)
    top = text_height if column_titles else GAP
    step = width + GAP, height + (text_height if captions else GAP)
    columns = max(len(row) for row in rows)
    canvas_size = columns * step[0] + GAP, top + len(rows) * step[1] + GAP
    canvas = Image.new("RGB", canvas_size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(text_size)
    for column, title in enumerate(column_titles or ()):
        center = GAP + column * step[0] + width / 2
        draw.text((center, top / 2), title, fill="black", font=font, anchor="mm")
    for row_number, row in enumerate(rows):
        for column, picture in enumerate(row):
            left, y = GAP + column * step[0], top + row_number * step[1]
            if captions:
                text, place = captions[row_number][column], (left + width / 2, y + text_height / 2)
                draw.text(place, text, fill="black", font=font, anchor="mm")
                y += text_height
            small = Image.fromarray(_rescale(picture, scale))
            inset = (width - small.width) // 2, (height - small.height) // 2
            canvas.paste(small, (left + inset[0], y + inset[1]))
    return np.array(canvas)


def _fit(rows: Sequence[Sequence[np.ndarray]]) -> tuple[float, int, int]:
    """The scale of all pictures, and the (width, height) of a cell that holds any of them."""
    widest = max(picture.shape[1] for row in rows for picture in row)
    highest = max(picture.shape[0] for row in rows for picture in row)
    factor = max(1, round(CELL_WIDTH / widest))
    scale = float(factor) if factor > 1 else min(1.0, 2 * CELL_WIDTH / widest)
    return scale, max(1, round(widest * scale)), max(1, round(highest * scale))


def _rescale(picture: np.ndarray, scale: float) -> np.ndarray:
    """Repeats pixels a whole number of times, or reduces as everywhere in the lab."""
    if scale >= 1:
        return picture.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    height, width = picture.shape[:2]
    return resize_image(picture, (max(1, round(height * scale)), max(1, round(width * scale))))


def confusion_picture(matrix: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Draws a confusion matrix, each row in percent of the true pixels of its class.

    Of more than `MOST_CLASSES`, it shows those with the most wrong pixels.

    Args:
        matrix: (K, K) pixels, rows = target, columns = prediction. Rows without pixels are grey.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    totals = matrix.sum(axis=1)
    wrong = totals + matrix.sum(axis=0) - 2 * matrix.diagonal()
    shown = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    percent = 100 * matrix[np.ix_(shown, shown)] / np.maximum(totals[shown], 1)[:, None]
    percent[totals[shown] == 0] = np.nan
    side = 3.2 + 0.36 * len(shown)
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(percent, colormaps["Blues"].with_extremes(bad="lightgrey"), vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            ink = "white" if value > 50 else "black"
            axes.text(column, row, f"{value:.0f}", color=ink, ha="center", va="center")
    names = [cut(class_names[k], NAME_LENGTH) for k in shown]
    axes.set_xticks(range(len(shown)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    is_part = len(shown) < len(matrix)
    title = f"{len(shown)} of {len(matrix)} classes: those with the most wrong pixels"
    axes.set(xlabel="prediction (%)", ylabel="target", title=title if is_part else "")
    return figure_picture(figure)


def figure_picture(figure: Figure) -> np.ndarray:
    """Draws a figure of matplotlib, without a window: (H, W, 3) uint8 RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
