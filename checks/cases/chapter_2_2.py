"""Further cases of TODO 2.2: transforms for evaluation."""

import math
from collections.abc import Callable

import numpy as np
import pytest

import data
from checks.cases.samples import (
    SOURCE,
    Sample,
    apply_to,
    checked,
    flat_sample,
    pattern_sample,
    set_seed,
)
from checks.common import VOID, few_of
from checks.diagnosis.chapter_2 import DARK, cause_of_ids, other_normalisations, pixel_values
from commands.companion.checking import wrong


def _evaluated(
    sample: Sample, size: tuple[int, int], given: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One sample through the pipeline of evaluation."""
    given = given or f"an image {sample.image.shape[:2]}, eval_transforms({size})"
    transform = data.eval_transforms(size)
    set_seed(transform, 3)
    return checked(*apply_to(transform, sample, given), size, given)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_size_and_types() -> None:
    """Any image comes out in the size that was asked for, in float32 and uint8."""
    for source in (SOURCE, (50, 40), (20, 30), (37, 91)):
        for size in ((72, 104), (40, 30)):
            _evaluated(flat_sample((10, 20, 30), source), size)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_nothing_is_random() -> None:
    """The same image gives the same result, whatever the random state."""
    size = (40, 64)
    transform, given = data.eval_transforms(size), f"one image 40 times, eval_transforms({size})"
    results = set()
    for seed in range(40):
        set_seed(transform, seed, elsewhere=seed)
        image, mask = apply_to(transform, pattern_sample(), given)
        results.add((image.tobytes(), mask.tobytes()))
    again = apply_to(data.eval_transforms(size), pattern_sample(), given)
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
    seen = [_evaluated(flat_sample(color), (40, 64))[0].astype(np.float64) for color in colors]

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
    sample = Sample(
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
    image, _ = _evaluated(flat_sample(color), size)
    return bool(np.abs(pixel_values(image) - color[:, None, None]).max() < 1)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_shows_the_whole_image() -> None:
    """The image is resized as a whole: not cut, padded, flipped or turned."""
    height, width = 60, 120
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(width) * 2  # red grows to the right, green downwards
    ramp[:, :, 1] = np.arange(height)[:, None] * 4
    sample = Sample(ramp, np.zeros((height, width), dtype=np.uint8))
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
    sample = Sample(np.full((height, width, 3), 90, dtype=np.uint8), mask)
    allowed = {2, 9, 18, VOID}
    for size in ((52, 84), (32, 100), (130, 170)):
        given = f"a mask {(height, width)} with the ids 2, 9, 18 and 255, eval_transforms({size})"
        _, got = _evaluated(sample, size, given)
        is_flat = set(np.unique(_evaluated(flat_sample((90, 90, 90)), size)[1])) == {DARK}
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
            rows = (np.arange(size[0]) * scale_y).astype(int)
            columns = (np.arange(size[1]) * scale_x).astype(int)
            flips = [other[rows][:, columns] for other in (mask[:, ::-1], mask[::-1])]
            is_flipped = any((flip == got).mean() > 0.9 for flip in flips)
            wrong(
                given=given,
                expected="each id where it was: resized with the image, by the same geometry",
                got=f"{off} of {got.size} pixels have an id that is not near by in the mask",
                likely="the mask is flipped" if is_flipped else None,
            )
