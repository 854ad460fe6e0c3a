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


class Reader(NamedTuple):
    """How a network that reads a value makes a class of it: (value - low) / step, rounded."""

    low: float
    step: float

    def label(self, value: np.ndarray | float) -> np.ndarray:
        """The class that the value gives, not rounded."""
        return np.clip((np.asarray(value) - self.low) / self.step, 0, LEVELS - 1)


PIXELS = Reader(-3.0, 0.06)


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
        "upside down": is_near(one[::-1]),
        "left and right are exchanged": is_near(one[:, ::-1]),
        "rows and columns are exchanged": is_near(one.T),
    }
    found = [cause for cause, holds in causes.items() if holds]
    if found:
        return found[0]
    if below + right:
        return (
            "is the photo resized to multiples of the stride instead of padded, or badly cropped?"
        )
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
    if slope > 1.03:
        return "more than the picture is enlarged: crop the padding off the logits first"
    return "width and height are swapped in resize, or the crop is at another scale than the logits"
