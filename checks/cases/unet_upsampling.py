"""The way up in the UNet: what the cases of TODOs 3.4 and 3.5 share."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from checks.cases.unet_values import pool_2x2, unit
from checks.common import is_equal
from checks.diagnosis.chapter_3 import LayerRecorder, variant
from commands.companion.checking import wrong


def is_enlarged(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether each 2x2 pixels of `large` lie about where one pixel of x is, whatever the method."""
    if large.shape != (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]):
        return False
    mean = pool_2x2(large, "mean")
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = x.shape[2:]
    near = np.stack(
        [around[:, :, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    )
    low, high = near.min(axis=0), near.max(axis=0)
    margin = 0.4 * (high - low) + 1e-5
    is_near = (mean > low - margin) & (mean < high + margin)
    return bool(is_near.all()) and float((mean * x).sum()) > 0.35 * float((x * x).sum())


def is_interpolated(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether `large` is x at twice the size, exactly, by one of PyTorch's methods."""
    methods = [{"mode": "nearest"}]
    methods += [
        {"mode": mode, "align_corners": aligned}
        for mode in ("bilinear", "bicubic")
        for aligned in (False, True)
    ]
    size = 2 * x.shape[2], 2 * x.shape[3]
    made = (F.interpolate(torch.from_numpy(x), size, **method).numpy() for method in methods)
    return any(is_equal(large, each) for each in made)


def cause_of_upsampling(x: np.ndarray, large: np.ndarray) -> str | None:
    """What `large`, of twice the size, is instead of x enlarged."""
    if is_interpolated(np.maximum(x, 0), large):
        return "a ReLU stands before the upsampling"
    if (large == 0).mean() > 0.6:
        return "the upsampling does not keep the picture: zeros stand between the pixels"
    if is_equal(np.sort(large.ravel()), np.sort(x.repeat(4).ravel())):
        return "the upsampling does not keep the picture: pixels are in the wrong place"
    return None


def check_enlarged(x: np.ndarray, large: np.ndarray, given: str) -> None:
    """Fails unless `large` is x at twice the size."""
    if is_interpolated(x, large) or is_enlarged(x, large):
        return
    height, width = x.shape[2:]
    causes = {
        (height, width): "the convolution comes before the upsampling, or nothing is upsampled",
        (4 * height, 4 * width): "the upsampling is by 4, or is done twice",
    }
    likely = causes.get(large.shape[2:])
    if large.shape[2:] == (2 * height, 2 * width):
        likely = cause_of_upsampling(x, large)
    wrong(
        given=given,
        expected="the first convolution gets x at twice the size, "
        f"{(*x.shape[:2], 2 * height, 2 * width)}",
        got=tuple(map(int, large.shape)),
        likely=likely,
    )


def _check_joined(
    got: np.ndarray,
    below: np.ndarray,
    across: np.ndarray,
    given: str,
    known: Callable[[], dict[str, np.ndarray]],
) -> None:
    """Fails unless `got` is both, concatenated along the channels, in either order.

    `known` makes other arrays that may stand there by mistake, by name.
    """
    if any(is_equal(got, np.concatenate(pair, 1)) for pair in ((below, across), (across, below))):
        return
    half = got.shape[1] // 2
    parts = got[:, :half], got[:, half:]
    causes = {
        "the upsampled features are concatenated twice": all(is_equal(p, below) for p in parts),
        "the encoder's features are concatenated twice": all(is_equal(p, across) for p in parts),
        "the samples of the batch are mixed up": any(is_equal(p, across[::-1]) for p in parts)
        or any(is_equal(p, below[::-1]) for p in parts),
    }
    even, odd = got[:, ::2], got[:, 1::2]
    causes["the channels of both alternate; torch.cat puts one behind the other"] = any(
        is_equal(even, a) and is_equal(odd, b) for a, b in ((below, across), (across, below))
    )
    for name, other in known().items():
        causes[f"{name} stands there instead"] = any(is_equal(p, other) for p in parts)
    sources = {"what comes from below": below, "the encoder's features": across}
    for name, source in sources.items():
        cause = f"one half is {name}, as it should be; the other half is something else"
        causes[cause] = any(is_equal(p, source) for p in parts)
    wrong(
        given=given,
        expected="the next convolution gets what comes from below and the encoder's features, "
        f"concatenated: {(len(below), 2 * below.shape[1], *below.shape[2:])}",
        got=f"{tuple(map(int, got.shape))} with other values",
        likely=next((cause for cause, holds in causes.items() if holds), None),
    )


def check_first_unit(
    joined: np.ndarray,
    large: np.ndarray,
    across: np.ndarray,
    recorder: LayerRecorder,
    given: str,
    training: bool,
    index: int = 0,
    known: Callable[[], dict[str, np.ndarray]] = dict,
) -> None:
    """Fails unless `joined` holds `across` and the upsampled x after its conv, ReLU and norm."""
    below = unit(large, recorder, index, training=training)
    wanted = len(below), 2 * below.shape[1], *below.shape[2:]
    if joined.shape == wanted:
        half = joined.shape[1] // 2
        parts = joined[:, :half], joined[:, half:]

        def is_part(**options: object) -> bool:
            other = unit(large, recorder, index, training=training, **options)
            return not is_equal(other, below) and any(is_equal(part, other) for part in parts)

        cause = variant(is_part)
        if cause is not None:
            wrong(
                given=given,
                expected="upsampled x goes through convolution, ReLU and batch normalisation",
                got="other values",
                likely=cause,
            )
    _check_joined(joined, below, across, given, known)
