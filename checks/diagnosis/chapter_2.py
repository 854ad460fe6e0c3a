"""The likely causes of wrong answers of chapter 2: augmentation."""

from collections.abc import Callable, Sequence

import numpy as np

import data

BRIGHT, DARK = 3, 17


def pixel_values(image: np.ndarray) -> np.ndarray:
    """Takes the normalisation back: (3, H, W), 0 ... 255."""
    return 255 * (image * _column(data.STD) + _column(data.MEAN))


def _column(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None, None]


def agreement(image: np.ndarray, mask: np.ndarray) -> float | None:
    """The share of pixels that are bright where the target says bright, and dark where dark.

    An image turned into its negative agrees as well. None if (nearly) all is of one kind.
    """
    bright, dark = mask == BRIGHT, mask == DARK
    known = bright | dark
    if min(bright.sum(), dark.sum()) < 0.03 * mask.size:
        return None
    light = pixel_values(image).mean(axis=0)
    threshold = (light[bright].mean() + light[dark].mean()) / 2
    share = float(((light > threshold) == bright)[known].mean())
    return max(share, 1 - share)


def cause_of_disagreement(image: np.ndarray, mask: np.ndarray) -> str | None:
    """The mistake that moves the mask against its image so."""
    flips = {
        "horizontally": image[:, :, ::-1],
        "vertically": image[:, ::-1],
        "both ways": image[:, ::-1, ::-1],
    }
    for how, flipped in flips.items():
        if (agreement(flipped, mask) or 0) > 0.9:
            return f"only one of image and mask is flipped ({how}): both need the same geometry"
    return None


def cause_of_ids(ids: set[int], allowed: set[int], is_flat_right: bool) -> str | None:
    """Why a target has ids that were not in it; `is_flat_right`: one of a single id keeps it."""
    strange = ids - allowed
    if len(strange) > 1 and is_flat_right:
        return (
            "ids are mixed where areas meet, as colours are: a mask is resized with the nearest "
            "neighbour"
        )
    if 0 in strange:
        return "0 is a class, road: where the image does not reach, the mask is 255 (fill_mask)"
    return None


def cause_of_range(found: dict[float, np.ndarray]) -> str | None:
    """The normalisation that gives these values; keys are grey values in 0 ... 1."""
    for cause, formula in other_normalisations().items():
        if all(
            np.abs(formula(np.full(3, x)) - got).max() < 0.06 + 0.001 * np.abs(got).max()
            for x, got in found.items()
        ):
            return cause
    return None


def other_normalisations() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Cause → formula for an RGB colour in 0 ... 1."""
    mean, std = np.array(data.MEAN), np.array(data.STD)
    return {
        "the normalisation is missing: these are 0 ... 1": lambda x: x,
        "the normalisation is missing: these are 0 ... 255": lambda x: 255 * x,
        "MEAN is in the order B, G, R": lambda x: (x - mean[::-1]) / std,
        "MEAN and STD are in the order B, G, R": lambda x: (x - mean[::-1]) / std[::-1],
        "STD is in the order B, G, R": lambda x: (x - mean) / std[::-1],
        "the image is in BGR order; it must stay RGB": lambda x: (x[::-1] - mean) / std,
        "the image and its normalisation are in BGR order": lambda x: ((x - mean) / std)[::-1],
        "not divided by 255: MEAN and STD are for values in 0 ... 1 (max_pixel_value=255)": (
            lambda x: (255 * x - mean) / std
        ),
        "divided by 255 twice": lambda x: (x / 255 - mean) / std,
        "normalised twice": lambda x: (((x - mean) / std) / 255 - mean) / std,
        "MEAN and STD are swapped": lambda x: (x - std) / mean,
        "the mean is subtracted, but nothing divided by STD": lambda x: x - mean,
        "divided by STD, but MEAN is not subtracted": lambda x: x / std,
        "these are -1 ... 1, of mean and deviation 0.5: take MEAN and STD": lambda x: 2 * x - 1,
        "divided by the variance; STD is the deviation": lambda x: (x - mean) / std**2,
        "multiplied by STD instead of divided": lambda x: (x - mean) * std,
        "MEAN is added instead of subtracted": lambda x: (x + mean) / std,
    }
