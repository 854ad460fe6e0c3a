"""The likely causes of wrong answers of chapter 10: labels."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from checks.diagnosis.search import Either, NoValue, Question


class Sources(NamedTuple):
    """An input of TODO 10.1: probabilities (K, H, W), the target of each source, and T."""

    probabilities: np.ndarray
    target_of: list[int]
    num_targets: int

    def parts(self) -> list[np.ndarray]:
        """The sources of each target, (n, H, W) each."""
        places = np.array(self.target_of)
        return [self.probabilities[places == target] for target in range(self.num_targets)]

    def sums(self) -> np.ndarray:
        """What is asked for, (T, H, W)."""
        return np.stack([part.sum(axis=0) for part in self.parts()])

    def made_by(self, combine: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The targets' sources combined in another way, (T, H, W); 0 without any."""
        empty = np.zeros_like(self.probabilities[0])
        return np.stack([combine(part) if len(part) else empty for part in self.parts()])


def random_sources(seed: int) -> Sources:
    """Three to seven sources, one of them none's, one target without a source."""
    random = np.random.default_rng(seed)
    count, targets = int(random.integers(3, 8)), int(random.integers(2, 5))
    target_of = random.integers(0, targets, count)
    target_of[target_of == random.integers(targets)] = (target_of[0] + 1) % targets
    target_of[int(random.integers(count))] = -1
    raw = random.random((count, 2, 3))
    return Sources(raw / raw.sum(axis=0), target_of.tolist(), targets)


def small_sources() -> Iterable[Sources]:
    """One pixel, the fewest sources first."""
    for values, target_of, targets in (
        ([1.0], [0], 1),
        ([1.0, 0.0], [0, 1], 2),
        ([0.5, 0.5], [0, 0], 1),
        ([0.5, 0.5], [0, -1], 1),
        ([0.5, 0.5], [1, 0], 2),
        ([1.0], [0], 2),
        ([0.25, 0.25, 0.5], [0, 0, 1], 2),
        ([0.25, 0.25, 0.5], [0, 0, -1], 2),
    ):
        yield Sources(np.array(values).reshape(-1, 1, 1), target_of, targets)


def mistakes(x: Sources) -> dict[str, object]:
    """Likely cause → what it makes of an input."""
    last, winner = np.zeros_like(x.sums()), np.zeros_like(x.sums())
    with_none = x.sums()
    best = x.probabilities.argmax(axis=0)
    for source, target in enumerate(x.target_of):
        if target >= 0:
            last[target] = x.probabilities[source]
            winner[target] += np.where(best == source, 1.0, 0.0)
        else:
            with_none[-1] += x.probabilities[source]
    total = x.sums().sum(axis=0, keepdims=True)
    scaled = np.divide(x.sums(), total, out=np.zeros_like(x.sums()), where=total > 0)
    means = x.made_by(lambda part: part.mean(axis=0))
    return {
        "only the last source of each target counts: `sums[target_of] += ...` overwrites": last,
        "-1 is the last place in numpy; a source of -1 belongs to no target": with_none,
        "the largest source is taken; the probabilities of all are added": x.made_by(
            lambda part: part.max(axis=0)
        ),
        "this is the mean of the sources; a target of more of them is more probable": means,
        "the argmax comes first here; add the probabilities before anything is decided": Either(
            (winner, winner * x.probabilities.max(axis=0))
        ),
        "divided by the sum: the sources of -1 keep their share": scaled,
        "the probabilities are multiplied; one of several things: they are added": x.made_by(
            lambda part: part.prod(axis=0)
        ),
    }


def sources_question(answer: Callable[[Sources], object]) -> Question:
    """The question of TODO 10.1."""

    def same(value: np.ndarray, expected: np.ndarray) -> bool:
        return value.shape == expected.shape and bool(np.abs(value - expected).max() < 1e-5)

    def shown(value: np.ndarray) -> str:
        if value.size > 24:
            return f"an array {value.shape} that begins with {value.ravel()[:6].round(4).tolist()}"
        return f"{value.round(6).tolist()}"

    return Question(
        answer=lambda x: as_array(answer(x), x),
        right=Sources.sums,
        mistakes=mistakes,
        more=random_sources,
        small=small_sources,
        given=lambda x: (
            f"probabilities {shown(x.probabilities)}, target_of {x.target_of}, "
            f"num_targets {x.num_targets}"
        ),
        shown=shown,
        same=same,
    )


def as_array(value: object, x: Sources) -> object:
    """The answer as an array, or what came in its place."""
    if not isinstance(value, np.ndarray):
        return NoValue(f"a value of type {type(value).__name__}")
    wanted = (x.num_targets, *x.probabilities.shape[1:])
    if value.shape != wanted:
        cause = None
        if value.shape == wanted[1:]:
            cause = "the class is decided here already; the sums of all targets are asked for"
        return NoValue.because(f"an array {value.shape}, not {wanted}", cause)
    return value.astype(np.float64)
