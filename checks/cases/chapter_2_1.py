"""Further cases of TODO 2.1: transforms for training."""

from collections.abc import Iterator

import numpy as np
import pytest

import data
from checks.cases.samples import Sample, apply_to, checked, flat_sample, pattern_sample, set_seed
from checks.common import VOID, few_of
from checks.diagnosis.chapter_2 import (
    BRIGHT,
    DARK,
    agreement,
    cause_of_disagreement,
    cause_of_ids,
    cause_of_range,
    pixel_values,
)
from commands.companion.checking import wrong

_TARGET = (72, 104)


_DRAWS = 64


def _draws(
    sample: Sample, size: tuple[int, int] = _TARGET, count: int = _DRAWS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws of the training pipeline."""
    given = f"an image {sample.image.shape[:2]}, train_transforms({size})"
    transform = data.train_transforms(size)
    set_seed(transform, 1)
    for _ in range(count):
        yield checked(*apply_to(transform, sample, given), size, given)


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_size_and_types() -> None:
    """Image and mask have the size that was asked for, in float32 and uint8."""
    for size in ((72, 104), (40, 30), (33, 64)):
        for image, mask in _draws(pattern_sample(), size, 24):
            assert image.shape[1:] == mask.shape


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_follows_the_image() -> None:
    """Image and mask undergo the same geometry."""
    found = []
    for image, mask in _draws(pattern_sample()):
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
    for _, mask in _draws(pattern_sample()):
        all_ids |= set(np.unique(mask).tolist())
        void.append(float((mask == VOID).mean()))
    sample = pattern_sample(void=True)
    for _, mask in _draws(sample):
        seen |= set(np.unique(mask).tolist())
    flat = {i for _, mask in _draws(flat_sample((90, 90, 90))) for i in np.unique(mask).tolist()}
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
    for _, mask in _draws(flat_sample((90, 90, 90), label=VOID), count=24):
        if (mask != VOID).any():
            wrong(given="a mask of 255 alone", expected="255 alone", got=np.unique(mask).tolist())


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_geometry_is_drawn() -> None:
    """What moves the mask is drawn anew for each sample."""
    sample = pattern_sample()
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
        for image, mask in _draws(flat_sample((value,) * 3)):
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
        for image, mask in _draws(flat_sample(color)):
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
        set_seed(transform, 5, elsewhere)
        results.append([apply_to(transform, pattern_sample(), "an image") for _ in range(12)])
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
