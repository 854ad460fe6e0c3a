"""Pictures of samples, class distributions and confusion matrices, as arrays.

Each function returns (H, W, 3) uint8 RGB, so that a picture can go to a file (`utils.save_image`)
and to TensorBoard alike. All are drawn with Pillow: at the end of every epoch, milliseconds count.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils import VOID_COLOR, add_legend, colorize

if TYPE_CHECKING:
    import torch

GAP = 8
TEXT_SIZE = 15
BACKGROUND = (255, 255, 255)
GRID_COLOR = (222, 222, 222)
DARK_BLUE = (8, 70, 150)
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


def to_picture(
    image: "torch.Tensor | np.ndarray", mean: Sequence[float], std: Sequence[float]
) -> np.ndarray:
    """Undoes the normalisation of a photo: (3, H, W) float32 becomes (H, W, 3) uint8 RGB."""
    values = np.asarray(image).transpose(1, 2, 0) * np.float32(std) + np.float32(mean)
    return (255 * values).round().clip(0, 255).astype(np.uint8)


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
    scale, width, height = _fit(rows, cell_width)
    text_size = int(np.clip(width // 22, TEXT_SIZE, 2 * TEXT_SIZE))
    text_height = round(1.8 * text_size)
    top = text_height if column_titles else GAP
    step = width + GAP, height + (text_height if captions else GAP)
    columns = max(len(row) for row in rows)
    canvas_size = columns * step[0] + GAP, top + len(rows) * step[1] + GAP
    canvas = Image.new("RGB", canvas_size, BACKGROUND)
    draw, font = ImageDraw.Draw(canvas), _font(text_size)
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
            small = _rescale(picture, scale)
            inset = (width - small.width) // 2, (height - small.height) // 2
            canvas.paste(small, (left + inset[0], y + inset[1]))
    return np.array(canvas)


def _fit(rows: Sequence[Sequence[np.ndarray]], cell_width: int) -> tuple[float, int, int]:
    """The scale of all pictures, and the (width, height) of a cell that holds any of them."""
    widest = max(picture.shape[1] for row in rows for picture in row)
    highest = max(picture.shape[0] for row in rows for picture in row)
    factor = max(1, round(cell_width / widest))
    scale = float(factor) if factor > 1 else min(1.0, 2 * cell_width / widest)
    return scale, max(1, round(widest * scale)), max(1, round(highest * scale))


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
    shares = np.asarray(counts, dtype=np.float64)
    shares = 100 * shares / max(shares.sum(), 1)
    lowest = int(np.floor(np.log10(shares[shares > 0].min(initial=1.0) * 0.999)))
    font, name_width = _font(), _text_width(class_names)
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


def confusion_picture(matrix: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Draws a confusion matrix, each row in percent of the true pixels of its class.

    Args:
        matrix: (K, K) pixels, rows = truth, columns = prediction. Rows without pixels are grey.
        class_names: the K names.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    totals = matrix.sum(axis=1)
    cell, font = 36, _font()
    left = top = _text_width(class_names) + 2 * GAP + 24
    side = cell * len(matrix)
    canvas = Image.new("RGB", (left + side + GAP, top + side + GAP), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((left + side / 2, 14), "prediction (%)", fill="black", font=font, anchor="mm")
    _draw_upright(canvas, "truth", 14, top + side // 2)
    for k, name in enumerate(class_names):
        middle = top + k * cell + cell // 2
        draw.text((left - GAP, middle), name, fill="black", font=font, anchor="rm")
        width = _text_width([name])
        _draw_upright(canvas, name, left + k * cell + cell // 2, top - GAP - width // 2)
    for row, column in np.ndindex(matrix.shape):
        x, y = left + column * cell, top + row * cell
        share = matrix[row, column] / totals[row] if totals[row] else 0.0
        color = _mix(BACKGROUND, DARK_BLUE, share) if totals[row] else GRID_COLOR
        draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=color)
        if share >= 0.005:
            ink = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f}"
            draw.text((x + cell / 2, y + cell / 2), text, fill=ink, font=font, anchor="mm")
    return np.array(canvas)


def _font(size: int = TEXT_SIZE) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _text_width(texts: Sequence[str]) -> int:
    font = _font()
    return round(max(font.getlength(text) for text in texts))


def _mix(first: tuple, second: tuple, share: float) -> tuple[int, ...]:
    """A colour between two: share 0 gives the first, 1 the second."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def _draw_upright(canvas: Image.Image, text: str, x: int, y: int) -> None:
    """Writes a text turned by 90 degrees, centred at (x, y)."""
    width, height = _text_width([text]) + 2, round(1.4 * TEXT_SIZE)
    strip = Image.new("RGB", (width, height), BACKGROUND)
    place = (width / 2, height / 2)
    ImageDraw.Draw(strip).text(place, text, fill="black", font=_font(), anchor="mm")
    canvas.paste(strip.rotate(90, expand=True), (x - height // 2, y - width // 2))
