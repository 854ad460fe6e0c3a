"""Further cases of chapter 10: labels."""

import numpy as np
import pytest

from checks.diagnosis.chapter_10 import Sources, random_sources, sources_question
from commands.companion.checking import wrong
from zoo.mapping import sum_over_sources


def answered(x: Sources) -> object:
    """The student's sums."""
    return sum_over_sources(x.probabilities, x.target_of, x.num_targets)


@pytest.mark.todo("10.1", points=1, needs=[])
@pytest.mark.parametrize("seed", range(6))
def test_10_1_sums_of_many_sources(seed: int) -> None:
    """Random sources, one of them none's, and a target that has none."""
    sources_question(answered).check(random_sources(100 + seed))


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_sources_of_no_target_alone() -> None:
    """Every source belongs to none: all sums are 0."""
    probabilities = np.full((3, 2, 2), 1 / 3)
    sources_question(answered).check(Sources(probabilities, [-1, -1, -1], 2))


@pytest.mark.todo("10.1", points=1, needs=[])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_10_1_the_type_stays(kind: type) -> None:
    """float32 in, float32 out."""
    x = random_sources(7)
    given = f"probabilities of {np.dtype(kind)}"
    result = sum_over_sources(x.probabilities.astype(kind), x.target_of, x.num_targets)
    if getattr(result, "dtype", None) != kind:
        got = f"{getattr(result, 'dtype', type(result).__name__)}"
        likely = "the sums have the type of the probabilities: dtype=probabilities.dtype"
        if getattr(result, "dtype", None) == np.float64:
            likely = "np.zeros makes float64 unless told otherwise: dtype=probabilities.dtype"
        wrong(given=given, expected=f"sums of {np.dtype(kind)}", got=got, likely=likely)


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_the_probabilities_stay() -> None:
    """What was given may be used by others."""
    x = random_sources(8)
    before = x.probabilities.copy()
    sum_over_sources(x.probabilities, x.target_of, x.num_targets)
    if not np.array_equal(x.probabilities, before):
        likely = "your code writes into what it was given; make a new array (np.zeros, copy)"
        wrong(given="probabilities", expected="unchanged", got="other values", likely=likely)


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_wide_photos_and_many_classes() -> None:
    """150 sources, 19 targets, a picture that is wider than high."""
    random = np.random.default_rng(0)
    probabilities = random.random((150, 3, 40))
    target_of = random.integers(-1, 19, 150).tolist()
    x = Sources(probabilities / probabilities.sum(axis=0), target_of, 19)
    sources_question(answered).check(x)
