"""Samples for the transforms of chapter 2, and what comes out of a pipeline.

Photo and target show the same irregular pattern of blocks, bright and dark, so that each can be
read off the other.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from checks.common import VOID, in_words
from checks.diagnosis.chapter_2 import BRIGHT, DARK
from commands.companion.checking import wrong

SOURCE = (120, 200)
_BLOCK = (15, 20)


class Sample(NamedTuple):
    """An image (H, W, 3) uint8 and its target (H, W) uint8."""

    image: np.ndarray
    mask: np.ndarray


def _bits(rows: int, columns: int) -> np.ndarray:
    """An irregular pattern of 0 and 1."""
    return np.random.default_rng(11).integers(0, 2, (rows, columns))


def pattern_sample(void: bool = False) -> Sample:
    """Blocks, bright or dark; with void, a third of the target is 255."""
    height, width = SOURCE
    bits = np.kron(_bits(height // _BLOCK[0], width // _BLOCK[1]), np.ones(_BLOCK, dtype=int))
    colors = np.array([(70, 60, 80), (190, 200, 180)], dtype=np.uint8)
    ids = np.array([DARK, BRIGHT], dtype=np.uint8)
    mask = ids[bits]
    if void:
        mask[30:75, 20:180] = VOID
        mask[33:60, 40:95] = BRIGHT
    return Sample(colors[bits], mask)


def flat_sample(color: Sequence[int], size: tuple[int, int] = SOURCE, label: int = DARK) -> Sample:
    """A sample of one colour and one label."""
    image = np.empty((*size, 3), dtype=np.uint8)
    image[:] = color
    return Sample(image, np.full(size, label, dtype=np.uint8))


def set_seed(transform: object, seed: int, elsewhere: int = 0) -> None:
    """Seeds a pipeline as the data set does; all other generators get `elsewhere`."""
    random.seed(elsewhere)
    np.random.seed(elsewhere)
    torch.manual_seed(elsewhere)
    if hasattr(transform, "set_random_state"):
        generator = np.random.default_rng(seed)
        transform.set_random_state(generator, random.Random(seed))


def apply_to(transform: Callable, sample: Sample, given: str) -> tuple[np.ndarray, np.ndarray]:
    """Transforms a copy of a sample: image and mask as arrays."""
    if not callable(transform):
        wrong(given=given, expected="a pipeline that can be called", got=in_words(transform))
    result = transform(image=sample.image.copy(), mask=sample.mask.copy())
    if not hasattr(result, "keys") or not {"image", "mask"} <= set(result.keys()):
        wrong(given=given, expected="a dict with image and mask", got=in_words(result))
    return np.asarray(result["image"]), np.asarray(result["mask"])


def checked(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], given: str
) -> tuple[np.ndarray, np.ndarray]:
    """Checks sizes and types, which the other tests presuppose."""
    expected = f"image (3, {size[0]}, {size[1]}) float32, mask {size} uint8"
    got = f"image {image.shape} {image.dtype}, mask {mask.shape} {mask.dtype}"
    integer = np.issubdtype(mask.dtype, np.integer)
    sizes = image.shape == (3, *size) and mask.shape == size
    if sizes and image.dtype == np.float32 and mask.dtype == np.uint8:
        return image, mask
    height, width = size
    likely = None
    if image.shape in ((*size, 3), (width, height, 3)):
        likely = (
            "the channels come last: A.ToTensorV2 is missing, which makes (3, H, W) of (H, W, 3)"
        )
    elif image.shape == (3, width, height):
        likely = "height and width are swapped; size is (height, width)"
    elif image.shape == (3, *size) and mask.shape != size:
        likely = "the mask must be changed with the image and stay (H, W), one id per pixel"
    elif image.shape[:1] == (3,) and not sizes:
        likely = "the size differs from what was asked: resize, or pad and crop after a scale"
    elif image.dtype == np.uint8:
        likely = "bytes 0 ... 255: the normalisation is missing"
    elif image.dtype == np.float32 and integer:
        likely = "the mask keeps its type, uint8: the loss makes int64 of it"
    elif image.dtype == np.float32:
        likely = "class ids are whole numbers: nothing may be computed with them"
    wrong(given=given, expected=expected, got=got, likely=likely)
