"""Further cases of chapter 2: augmentation."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch

import data
from checks.common import VOID, few_of, in_words
from checks.diagnosis.chapter_2 import (
    BRIGHT,
    DARK,
    agreement,
    cause_of_disagreement,
    cause_of_ids,
    cause_of_range,
    other_normalisations,
    pixel_values,
)
from commands.companion.checking import wrong

# ------------------------------------------------------------------ chapter 2: helpers

#
# The tests look at the pictures that a pipeline makes. Photo and target show the same irregular
# pattern of blocks, bright and dark, so that each can be read off the other.
_SOURCE = (120, 200)
_TARGET = (72, 104)
_DRAWS = 64
_BLOCK = (15, 20)


class _Sample(NamedTuple):
    """An image (H, W, 3) uint8 and its target (H, W) uint8."""

    image: np.ndarray
    mask: np.ndarray


def _bits(rows: int, columns: int) -> np.ndarray:
    """An irregular pattern of 0 and 1."""
    return np.random.default_rng(11).integers(0, 2, (rows, columns))


def _pattern(void: bool = False) -> _Sample:
    """Blocks, bright or dark; with void, a third of the target is 255."""
    height, width = _SOURCE
    bits = np.kron(_bits(height // _BLOCK[0], width // _BLOCK[1]), np.ones(_BLOCK, dtype=int))
    colors = np.array([(70, 60, 80), (190, 200, 180)], dtype=np.uint8)
    ids = np.array([DARK, BRIGHT], dtype=np.uint8)
    mask = ids[bits]
    if void:
        mask[30:75, 20:180] = VOID
        mask[33:60, 40:95] = BRIGHT
    return _Sample(colors[bits], mask)


def _flat(color: Sequence[int], size: tuple[int, int] = _SOURCE, label: int = DARK) -> _Sample:
    image = np.empty((*size, 3), dtype=np.uint8)
    image[:] = color
    return _Sample(image, np.full(size, label, dtype=np.uint8))


def _seed(transform: object, seed: int, elsewhere: int = 0) -> None:
    """Seeds a pipeline as the data set does; all other generators get `elsewhere`."""
    random.seed(elsewhere)
    np.random.seed(elsewhere)
    torch.manual_seed(elsewhere)
    if hasattr(transform, "set_random_state"):
        generator = np.random.default_rng(seed)
        transform.set_random_state(generator, random.Random(seed))


def _apply(transform: Callable, sample: _Sample, given: str) -> tuple[np.ndarray, np.ndarray]:
    """Transforms a copy of a sample: image and mask as arrays."""
    if not callable(transform):
        wrong(given=given, expected="a pipeline that can be called", got=in_words(transform))
    result = transform(image=sample.image.copy(), mask=sample.mask.copy())
    if not hasattr(result, "keys") or not {"image", "mask"} <= set(result.keys()):
        wrong(given=given, expected="a dict with image and mask", got=in_words(result))
    return np.asarray(result["image"]), np.asarray(result["mask"])


def _draws(
    sample: _Sample, size: tuple[int, int] = _TARGET, count: int = _DRAWS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws of the training pipeline."""
    given = f"an image {sample.image.shape[:2]}, train_transforms({size})"
    transform = data.train_transforms(size)
    _seed(transform, 1)
    for _ in range(count):
        yield _checked(*_apply(transform, sample, given), size, given)


def _checked(
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


# ------------------------------------------------------------------ 2.1 transforms for training


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_size_and_types() -> None:
    """Image and mask have the size that was asked for, in float32 and uint8."""
    for size in ((72, 104), (40, 30), (33, 64)):
        for image, mask in _draws(_pattern(), size, 24):
            assert image.shape[1:] == mask.shape


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_follows_the_image() -> None:
    """Image and mask undergo the same geometry."""
    found = []
    for image, mask in _draws(_pattern()):
        share = agreement(image, mask)
        if share is not None:
            found.append((share, image, mask))
    if not found:
        wrong(
            given=f"{_DRAWS} draws of an image of bright and dark blocks and their mask",
            expected="masks with both classes",
            got="masks with one class, or void, nearly everywhere",
        )
    mean = float(np.mean([share for share, _, _ in found]))
    if mean < 0.93:
        bad = sorted((each for each in found if each[0] < 0.9), key=lambda each: each[0])
        causes = [cause_of_disagreement(image, mask) for _, image, mask in bad[:30]]
        named = [cause for cause in causes if cause]
        likely = "image and mask do not undergo the same geometry: give both to one pipeline"
        likely = likely if len(bad) >= len(found) / 4 else None
        if named and len(named) >= len(causes) / 2:
            likely = max(set(named), key=named.count)
        wrong(
            given=f"{_DRAWS} draws of an image of bright and dark blocks and their mask",
            expected="the mask has each block where the image has it (in more than 93 % of pixels)",
            got=f"{mean:.0%} of the pixels fit; {len(bad)} of {len(found)} draws do not",
            likely=likely,
        )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_keeps_its_ids() -> None:
    """No id is made up between two others; 255 stays void."""
    void, seen, all_ids = [], set(), set()
    for _, mask in _draws(_pattern()):
        all_ids |= set(np.unique(mask).tolist())
        void.append(float((mask == VOID).mean()))
    sample = _pattern(void=True)
    for _, mask in _draws(sample):
        seen |= set(np.unique(mask).tolist())
    flat = {i for _, mask in _draws(_flat((90, 90, 90))) for i in np.unique(mask).tolist()}
    for ids, given in ((all_ids, "no void pixel"), (seen, "void pixels")):
        allowed = {BRIGHT, DARK, VOID}
        if not ids <= allowed:
            strange = sorted(ids - allowed)
            wrong(
                given=f"a mask with the ids {BRIGHT} and {DARK} and {given}, {_DRAWS} draws",
                expected="no other id but 255",
                got=f"{len(strange)} other: {few_of(strange)}",
                likely=cause_of_ids(ids, allowed, flat <= {DARK, VOID}),
            )
    if np.mean(void) > 0.5:
        wrong(
            given="a mask without void pixels",
            expected="255 only where the image does not reach",
            got=f"{np.mean(void):.0%} of the pixels are 255",
        )
    if VOID not in seen or {BRIGHT, DARK} - seen:
        wrong(
            given=f"a mask with the ids {BRIGHT}, {DARK} and 255",
            expected="all three ids",
            got=sorted(seen),
        )
    for _, mask in _draws(_flat((90, 90, 90), label=VOID), count=24):
        if (mask != VOID).any():
            wrong(given="a mask of 255 alone", expected="255 alone", got=np.unique(mask).tolist())


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_geometry_is_drawn() -> None:
    """What moves the mask is drawn anew for each sample."""
    sample = _pattern()
    masks = [mask for _, mask in _draws(sample)]
    given = f"{_DRAWS} draws of one sample"
    expected = "masks that differ: at random flipped, scaled, cropped, ..."
    if len({mask.tobytes() for mask in masks}) == 1:
        wrong(
            given=given,
            expected=expected,
            got="the same mask each time",
            likely="there is no change of geometry, or it is not random (p=1 flips always, p=0 "
            "never; what is drawn outside the pipeline is drawn once for all)",
        )
    first = masks[0]
    moved = max(float((~_is_near(first, mask)).mean()) for mask in masks)
    if moved < 0.01:
        likely = "the change of geometry is undone: a resize after a random scale brings "
        likely += "everything back to where it was; pad and crop instead"
        wrong(
            given=given,
            expected=expected,
            got="nothing moves by more than two pixels",
            likely=likely if _is_scaled_back() else None,
        )


def _is_scaled_back() -> bool:
    """Whether a pipeline resizes after a random scale."""
    parts = getattr(data.train_transforms((8, 8)), "transforms", ())
    names = [type(part).__name__ for part in parts]
    return "RandomScale" in names and "Resize" in names[names.index("RandomScale") :]


def _is_near(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether each id of a mask occurs in another one at most two pixels away."""
    height, width = mask.shape
    padded = np.pad(other, 2, mode="edge")
    found = [padded[y : y + height, x : x + width] == mask for y in range(5) for x in range(5)]
    return np.logical_or.reduce(found)


def _interior(mask: np.ndarray, label: int) -> np.ndarray:
    """The pixels of a class that are more than two pixels away from any other id."""
    own = np.pad(mask == label, 2)
    height, width = mask.shape
    shifts = [own[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    return np.logical_and.reduce(shifts)


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_image_is_normalised() -> None:
    """Black and white become what mean and standard deviation make of them."""
    black, white = [], []
    for found, value in ((black, 0), (white, 255)):
        for image, mask in _draws(_flat((value,) * 3)):
            inside = _interior(mask, DARK)
            if inside.any():
                found.append(np.median(image[:, inside], axis=1))
    mean, std = np.array(data.MEAN), np.array(data.STD)
    low, high = -mean / std, (1 - mean) / std
    darkest, brightest = np.min(black, axis=0), np.max(white, axis=0)
    given = f"{_DRAWS} draws of a black image and {_DRAWS} of a white one"
    expected = f"from {few_of(low)} (black) to {few_of(high)} (white): (x / 255 - MEAN) / STD"
    if max(np.abs(darkest - low).max(), np.abs(brightest - high).max()) > 0.12:
        ranges = {0.0: darkest, 1.0: brightest}
        got = f"from {few_of(darkest)} to {few_of(brightest)}"
        wrong(given=given, expected=expected, got=got, likely=cause_of_range(ranges))
    if np.max(black, axis=0).max() > (0.45 - mean.max()) / std.max() + 0.05:
        wrong(
            given=given,
            expected=f"{few_of(low)} for black, a little more where it is drawn brighter",
            got=f"up to {few_of(np.max(black, axis=0))}",
            likely="the colours are changed after the normalisation, which cuts off what is "
            "below 0: change them before"
            if any(np.abs(each).max() < 1e-6 for each in black)
            else None,
        )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_image_is_rgb() -> None:
    """The first channel is red, the last one blue."""
    for color in ((230, 60, 20), (20, 90, 230)):
        centres = []
        for image, mask in _draws(_flat(color)):
            inside = _interior(mask, DARK)
            if inside.any():
                centres.append(np.median(pixel_values(image)[:, inside], axis=1))
        red, _, blue = np.median(centres, axis=0)
        if (red - blue) * (color[0] - color[2]) < 0:
            wrong(
                given=f"{_DRAWS} draws of an image of the colour (R, G, B) = {color}",
                expected="channel 0 red, channel 2 blue",
                got=f"channel 0 is {red:.0f} and channel 2 is {blue:.0f}, of 255",
                likely="the channels are in BGR order; images are RGB all the way"
                if abs(red - color[2]) < 60 and abs(blue - color[0]) < 60
                else None,
            )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_draws_follow_the_seed() -> None:
    """The same seed gives the same draws again."""
    results = []
    for elsewhere in (0, 77):
        transform = data.train_transforms(_TARGET)
        _seed(transform, 5, elsewhere)
        results.append([_apply(transform, _pattern(), "an image") for _ in range(12)])
    same = [
        np.array_equal(image, other) and np.array_equal(mask, other_mask)
        for (image, mask), (other, other_mask) in zip(*results, strict=True)
    ]
    if not all(same):
        wrong(
            given="the same pipeline built twice, with the same random state",
            expected="the same 12 draws",
            got=f"{same.count(False)} of 12 differ",
            likely="a change is drawn by a generator that is not the pipeline's own, so that the "
            "same command would not give the same training again"
            if hasattr(transform, "set_random_state")
            else "a function around the pipeline hides its generator: return the A.Compose itself",
        )


# ------------------------------------------------------------------ 2.2 transforms for evaluation


def _evaluated(
    sample: _Sample, size: tuple[int, int], given: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One sample through the pipeline of evaluation."""
    given = given or f"an image {sample.image.shape[:2]}, eval_transforms({size})"
    transform = data.eval_transforms(size)
    _seed(transform, 3)
    return _checked(*_apply(transform, sample, given), size, given)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_size_and_types() -> None:
    """Any image comes out in the size that was asked for, in float32 and uint8."""
    for source in (_SOURCE, (50, 40), (20, 30), (37, 91)):
        for size in ((72, 104), (40, 30)):
            _evaluated(_flat((10, 20, 30), source), size)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_nothing_is_random() -> None:
    """The same image gives the same result, whatever the random state."""
    size = (40, 64)
    transform, given = data.eval_transforms(size), f"one image 40 times, eval_transforms({size})"
    results = set()
    for seed in range(40):
        _seed(transform, seed, elsewhere=seed)
        image, mask = _apply(transform, _pattern(), given)
        results.add((image.tobytes(), mask.tobytes()))
    again = _apply(data.eval_transforms(size), _pattern(), given)
    results.add((again[0].tobytes(), again[1].tobytes()))
    if len(results) > 1:
        wrong(
            given=given,
            expected="the same image and mask each time",
            got=f"{len(results)} different results",
            likely="there is a random change: a score must not depend on luck",
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_image_is_normalised() -> None:
    """Each colour is (x / 255 - mean) / std, at every pixel."""
    mean, std = np.array(data.MEAN), np.array(data.STD)
    colors = [np.array(each) for each in ((200, 60, 20), (0, 0, 0), (255, 255, 255), (15, 90, 240))]
    seen = [_evaluated(_flat(color), (40, 64))[0].astype(np.float64) for color in colors]

    def holds(formula: Callable[[np.ndarray], np.ndarray], most: float) -> list[bool]:
        values = [formula(color / 255)[:, None, None] for color in colors]
        return [
            np.abs(image - value).max() <= most + 1e-3 * np.abs(value).max()
            for image, value in zip(seen, values, strict=True)
        ]

    is_right = holds(lambda x: (x - mean) / std, 1e-3)
    if all(is_right):
        return
    color, image = next(
        each
        for each, right in zip(zip(colors, seen, strict=True), is_right, strict=True)
        if not right
    )
    named = (cause for cause, f in other_normalisations().items() if all(holds(f, 1e-2)))
    got = few_of(np.median(image.reshape(3, -1), axis=1))
    if np.ptp(image.reshape(3, -1), axis=1).max() > 0.01:
        got += " in the middle; one colour became several"
    wrong(
        given=f"an image of the colour (R, G, B) = {color.tolist()}",
        expected=f"{few_of((color / 255 - mean) / std)} everywhere: (x / 255 - MEAN) / STD",
        got=got,
        likely=next(named, None),
    )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_size_kept_is_exact() -> None:
    """At its own size, an image is normalised, and nothing else is done."""
    generator = np.random.default_rng(5)
    size = (24, 36)
    sample = _Sample(
        generator.integers(0, 256, (*size, 3)).astype(np.uint8),
        generator.choice([0, 7, 18, 255], size).astype(np.uint8),
    )
    given = f"an image {size}, eval_transforms({size}): nothing to resize"
    image, mask = _evaluated(sample, size, given)
    if not np.array_equal(mask, sample.mask):
        same = float((mask == sample.mask).mean())
        flips = (sample.mask[:, ::-1], sample.mask[::-1], sample.mask[::-1, ::-1])
        likely = "the mask is flipped" if any(np.array_equal(mask, f) for f in flips) else None
        images = (sample.image[:, ::-1], sample.image[::-1], sample.image[::-1, ::-1])
        colors = np.moveaxis(pixel_values(image), 0, 2)
        if likely and any(np.abs(colors - image).max() < 1 for image in images):
            likely = "image and mask are flipped"
        got = f"{same:.0%} of the ids are as before"
        wrong(given=given, expected="the mask as it is", got=got, likely=likely)
    expected = sample.image.transpose(2, 0, 1)
    error = float(np.abs(pixel_values(image) - expected).max())
    if error > 0.3:
        wrong(
            given=given,
            expected="the colours as they are, normalised, and nothing else is done",
            got=f"colours that are up to {error:.0f} of 255 off",
        )


def _has_right_colors(size: tuple[int, int]) -> bool:
    """Whether one colour is normalised as it should be."""
    color = np.array([200, 60, 20])
    image, _ = _evaluated(_flat(color), size)
    return bool(np.abs(pixel_values(image) - color[:, None, None]).max() < 1)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_shows_the_whole_image() -> None:
    """The image is resized as a whole: not cut, padded, flipped or turned."""
    height, width = 60, 120
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(width) * 2  # red grows to the right, green downwards
    ramp[:, :, 1] = np.arange(height)[:, None] * 4
    sample = _Sample(ramp, np.zeros((height, width), dtype=np.uint8))
    for size in ((36, 44), (32, 96), (90, 150)):
        given = f"an image {(height, width)} of two ramps, eval_transforms({size})"
        image, _ = _evaluated(sample, size, given)
        values = pixel_values(image)
        x, y = values[0] / 2, values[1] / 4
        scale_y, scale_x = height / size[0], width / size[1]
        right_x = ((np.arange(size[1]) + 0.5) * scale_x - 0.5).clip(0, width - 1)
        right_y = ((np.arange(size[0]) + 0.5) * scale_y - 0.5).clip(0, height - 1)
        off_x = np.abs(x - right_x[None]).max()
        off_y = np.abs(y - right_y[:, None]).max()
        if off_x <= scale_x / 2 + 1.2 and off_y <= scale_y / 2 + 1.2:
            continue
        spans = (x[0, 0], x[0, -1], y[0, 0], y[-1, 0])
        is_cut = x.min() > 3 or x.max() < width - 4 or y.min() > 3 or y.max() < height - 4
        likely = "a part is cut off: resize the whole image instead of cropping" if is_cut else None
        if spans[0] > spans[1] + 5 or spans[2] > spans[3] + 5:
            likely = "the image is flipped"
        elif np.abs(y[:, 0] - y[-1, 0]).max() < 3 and np.abs(y[:, -1] - y[0, -1]).max() < 3:
            likely = "rows and columns are exchanged"
        elif (np.abs(np.diff(x[len(x) // 2])) < 1e-4).sum() > 6 or (
            np.abs(np.diff(y[:, y.shape[1] // 2])) < 1e-4
        ).sum() > 6:
            likely = "there are borders without image: resize to the size, do not pad"
        if not _has_right_colors(size):
            likely = None  # the places were read off the colours
        wrong(
            given=given,
            expected=f"columns 0 ... {width - 1} and rows 0 ... {height - 1} of the image",
            got=f"columns {spans[0]:.0f} ... {spans[1]:.0f}, rows {spans[2]:.0f} ... "
            f"{spans[3]:.0f}",
            likely=likely,
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_mask_keeps_its_ids() -> None:
    """Each id stays where it was in the image, and none is made up."""
    height, width = 90, 150
    blocks = np.random.default_rng(4).choice([2, 9, 18, 255], (10, 15)).astype(np.uint8)
    mask = np.kron(blocks, np.ones((9, 10), dtype=np.uint8))
    sample = _Sample(np.full((height, width, 3), 90, dtype=np.uint8), mask)
    allowed = {2, 9, 18, VOID}
    for size in ((52, 84), (32, 100), (130, 170)):
        given = f"a mask {(height, width)} with the ids 2, 9, 18 and 255, eval_transforms({size})"
        _, got = _evaluated(sample, size, given)
        is_flat = set(np.unique(_evaluated(_flat((90, 90, 90)), size)[1])) == {DARK}
        ids = set(np.unique(got).tolist())
        if not ids <= allowed:
            strange = sorted(ids - allowed)
            wrong(
                given=given,
                expected="no other ids",
                got=f"{len(strange)} other: {few_of(strange)}",
                likely=cause_of_ids(ids, allowed, is_flat),
            )
        scale_y, scale_x = height / size[0], width / size[1]
        off = 0
        for i in range(size[0]):
            top, bottom = math.floor((i - 0.6) * scale_y), math.ceil((i + 1.6) * scale_y)
            for j in range(size[1]):
                left, right = math.floor((j - 0.6) * scale_x), math.ceil((j + 1.6) * scale_x)
                near_by = mask[max(top, 0) : bottom, max(left, 0) : right]
                off += not (near_by == got[i, j]).any()
        if off:
            likely = None
            for how, other in (("flipped", mask[:, ::-1]), ("flipped", mask[::-1])):
                rows = (np.arange(size[0]) * scale_y).astype(int)
                columns = (np.arange(size[1]) * scale_x).astype(int)
                if (other[rows][:, columns] == got).mean() > 0.9:
                    likely = f"the mask is {how}"
            wrong(
                given=given,
                expected="each id where it was: resized with the image, by the same geometry",
                got=f"{off} of {got.size} pixels have an id that is not near by in the mask",
                likely=likely,
            )
