"""The likely causes of wrong answers of chapter 7: deployment."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------ chapter 7: helpers

MEAN, STD = (0.2, 0.5, 0.7), (0.25, 0.15, 0.4)
"""Not those of any data set: a network's file says by which it was trained."""


# ------------------------------------------------------------------ 7.2

#
# Tiny networks that read something out: class k means that a value of the network's input is about
# the k-th of a row of levels. So the labels tell what the network was given, and where.
LEVELS = 120  # cv2.resize takes at most 128 channels


def wrong_normalisations(color: np.ndarray) -> dict[str, np.ndarray]:
    """Likely cause → what the network gets of a colour (R, G, B) in 0 ... 1."""
    mean, std = np.array(MEAN), np.array(STD)
    imagenet = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return {
        "the photo is read as BGR; it is RGB": (color[::-1] - mean) / std,
        "mean and std are in the order of BGR": (color - mean[::-1]) / std[::-1],
        "mean and std are swapped": (color - std) / mean,
        "the photo is not divided by 255: mean and std are for 0 ... 1": (255 * color - mean) / std,
        "the photo is divided by 255 twice": (color / 255 - mean) / std,
        "normalised twice": ((color - mean) / std - mean) / std,
        "these are ImageNet's mean and std; take the file's, self.mean and self.std": (
            (color - imagenet[0]) / imagenet[1]
        ),
        "mean and std are missing": color,
        "the division by std is missing": color - mean,
        "the mean is not subtracted": color / std,
        "the mean alone is divided by std: the difference needs parentheses": color - mean / std,
        "multiplied by std instead of divided": (color - mean) * std,
        "the variance, std squared, is used": (color - mean) / std**2,
        "divided by 256, not by 255": (color * 255 / 256 - mean) / std,
        "scaled to -1 ... 1": 2 * color - 1,
    }


class Reader(NamedTuple):
    """How a network that reads a value makes a class of it: (value - low) / step, rounded."""

    low: float
    step: float

    def label(self, value: np.ndarray | float) -> np.ndarray:
        """The class that the value gives, not rounded."""
        return np.clip((np.asarray(value) - self.low) / self.step, 0, LEVELS - 1)


PIXELS = Reader(-3.0, 0.06)
Size = tuple[int, int]
"""Height and width."""


def _resized(photo_size: Size, size: Size) -> list[int]:
    """A photo's size at the area of the training size."""
    scale = (size[0] * size[1] / (photo_size[0] * photo_size[1])) ** 0.5
    return [round(each * scale) for each in photo_size]


def padded_size(photo_size: Size, size: Size, stride: int) -> Size:
    """What the network sees of a photo."""
    height, width = _resized(photo_size, size)
    return height + -height % stride, width + -width % stride


def wrong_sizes(photo_size: Size, size: Size, stride: int) -> dict[str, list[Size]]:
    """Likely cause → the sizes that the network sees then."""
    height, width = _resized(photo_size, size)
    right = padded_size(photo_size, size, stride)

    def padded(lengths: Size) -> Size:
        return tuple(each + -each % stride for each in lengths)

    return {
        "the padding to multiples of the stride is missing": [(height, width)],
        "the photo is not resized": [photo_size, padded(photo_size)],
        "resized to the training size itself, so that the photo's aspect is lost": [
            size,
            padded(size),
        ],
        "height and width are swapped: cv2.resize takes (width, height), and transpose(2, 0, 1) "
        "keeps rows before columns": [right[::-1]],
        "the width is not padded": [(right[0], width)],
        "the height is not padded": [(height, right[1])],
        "the padding of height and width is swapped": [
            (height + -width % stride, width + -height % stride)
        ],
        "cut to multiples of the stride": [(height - height % stride, width - width % stride)],
        "padded by the remainder; what is missing is -height % stride": [
            (height + height % stride, width + width % stride)
        ],
        "padded by a whole stride where none is missing": [
            tuple(each + stride - each % stride for each in (height, width))
        ],
    }


def cause_of_place(labels: np.ndarray, photo: np.ndarray, channel: int, stride: int) -> str | None:
    """Recognises pixels that are moved, mixed or scaled."""
    height, width = labels.shape
    below, right = -height % stride, -width % stride
    values = (photo / 255 - MEAN) / STD

    def is_near(expected: np.ndarray, share: float = 0.9) -> bool:
        if expected.shape != labels.shape:
            return False
        return float((np.abs(labels - PIXELS.label(expected)) <= 1.5).mean()) >= share

    def shown(padded: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        return padded[rows, columns][:height, :width]

    one = values[..., channel]
    mixed = values.reshape(3, height, width)[channel]
    padded = {
        mode: np.pad(values, ((0, below), (0, right), (0, 0)), mode=mode)
        for mode in ("edge", "constant", "reflect")
    }
    remixed = [p.reshape(3, *p.shape[:2])[channel][:height, :width] for p in padded.values()]
    enlarged = [_bilinear(p[..., channel], (height, width)) for p in padded.values()]
    enlarged += [_nearest(p[..., channel], (height, width)) for p in padded.values()]
    large = _bilinear(one, padded["edge"].shape[:2])
    sized = _bilinear(large, (height, width)), large[:height, :width]
    moved = np.pad(one, ((below, 0), (right, 0)), mode="edge")
    causes = {
        "reshape mixes the pixels; the channels move to the front by transpose(2, 0, 1)": any(
            is_near(m) for m in [mixed, *remixed]
        ),
        "the padding stands above and on the left, but is cropped below and right": (
            below + right > 0 and is_near(shown(moved, slice(None), slice(None)))
        ),
        "the padding is not cropped off before the logits are resized": below + right > 0
        and any(is_near(e, 0.6) for e in enlarged),
        "the photo is resized to multiples of the stride; pad it": below + right > 0
        and any(is_near(each, 0.7) for each in sized),
        "upside down": is_near(one[::-1]),
        "left and right are exchanged": is_near(one[:, ::-1]),
        "rows and columns are exchanged": is_near(one.T),
    }
    found = [cause for cause, holds in causes.items() if holds]
    if found:
        return found[0]
    return None


def _bilinear(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w) at another size."""
    tensor = torch.from_numpy(picture)[None, None]
    return F.interpolate(tensor, size, mode="bilinear")[0, 0].numpy()


def _nearest(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w) at another size, by nearest neighbours."""
    rows = np.arange(size[0]) * picture.shape[0] // size[0]
    columns = np.arange(size[1]) * picture.shape[1] // size[1]
    return picture[rows][:, columns]


def cause_of_slope(
    labels: np.ndarray,
    channel: int,
    photo_size: tuple[int, int],
    size: tuple[int, int],
    stride: int,
) -> str | None:
    """Compares where things are with where they would be after some mistakes."""
    value = (PIXELS.low + labels * PIXELS.step) * STD[channel] + MEAN[channel]
    axis = 1 if channel == 0 else 0
    along = np.median((value * 255 - 20) / 200, axis=1 - axis)  # 0 ... 1, where things come from
    length = len(along)
    ideal = (np.arange(length) + 0.5) / length
    inner = (ideal > 0.15) & (ideal < 0.75)
    slope = float(np.polyfit(ideal[inner], along[inner], 1)[0])
    scale = (size[0] * size[1] / (photo_size[0] * photo_size[1])) ** 0.5
    small = [max(1, round(each * scale)) for each in photo_size]
    padded = [each + -each % stride for each in small]
    if slope < -0.5:
        return "the picture is turned over"
    if abs(along[inner] - ideal[inner]).max() < 0.05:
        return "the borders of the picture are wrong: is too much cropped, or the wrong side?"
    if small[axis] != padded[axis] and abs(slope - padded[axis] / small[axis]) < 0.06:
        return "the padding is not cropped off before the logits are enlarged"
    swapped = min(small) / small[1 - axis]
    if small[0] != small[1] and abs(slope - swapped) < 0.06 and swapped < 0.97:
        return "width and height are swapped in resize: cv2.resize takes (width, height)"
    return None
