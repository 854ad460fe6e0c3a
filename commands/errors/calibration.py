"""Whether a network's confidence is justified, and the one temperature that mends it.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (ICML): the expected calibration error
(section 2, equation 5) over 15 bins of equal width, and temperature scaling (section 4.2), which
divides all logits by one number and so changes no prediction. The temperature is fitted on one half
of the cities, and judged on the other.
"""

from collections.abc import Iterable, Sequence

import numpy as np

BINS = 15
MOST_PIXELS = 200_000
"""Of each half, drawn evenly; more would not move the temperature's third digit."""
LOWEST, HIGHEST, ROUNDS = 0.05, 20.0, 60


class Reliability:
    """Counts confidence against rightness, over any number of pixels."""

    def __init__(self) -> None:
        self.pixels = np.zeros(BINS, dtype=np.int64)
        self.right = np.zeros(BINS, dtype=np.int64)
        self.confidence = np.zeros(BINS)

    def add(self, confidence: np.ndarray, is_right: np.ndarray) -> None:
        """Adds pixels: the probability of the predicted class, and whether it is the target's."""
        places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.pixels += np.bincount(places, minlength=BINS)
        self.right += np.bincount(places[is_right], minlength=BINS)
        self.confidence += np.bincount(places, weights=confidence, minlength=BINS)

    def expected_error(self) -> float:
        """The expected calibration error: mean of |rightness - confidence| over the pixels."""
        total = self.pixels.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else 0.0

    def bins(self) -> list[dict[str, float]]:
        """Mean confidence, share of right pixels and number, of every bin that has pixels."""
        return [
            {"confidence": c / n, "right": int(r) / n, "pixels": int(n)}
            for c, r, n in zip(self.confidence, self.right, self.pixels, strict=True)
            if n
        ]


class Sample:
    """Log probabilities of some pixels of one half, (N, K), and their targets, (N,)."""

    def __init__(self) -> None:
        self.logs: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def add(
        self, probabilities: Iterable[np.ndarray], target: np.ndarray, valid: np.ndarray, most: int
    ) -> None:
        """Takes at most so many pixels of an image, evenly: K times (H, W), (H, W), (H, W) bool."""
        places = np.flatnonzero(valid)
        places = places[:: max(1, -(-len(places) // max(1, most)))]
        chosen = np.stack([plane.ravel()[places] for plane in probabilities], axis=1)
        self.logs.append(np.log(np.maximum(chosen, np.finfo(np.float32).tiny)))
        self.targets.append(target.ravel()[places])

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """All of it: (N, K), (N,)."""
        return np.concatenate(self.logs), np.concatenate(self.targets).astype(np.int64)


def scaled(logs: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities at another temperature, (N, K); those of the logits divided by it."""
    divided = logs / temperature
    highest = divided.max(axis=1, keepdims=True)
    return divided - highest - np.log(np.exp(divided - highest).sum(axis=1, keepdims=True))


def mean_loss(logs: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    """The mean negative log likelihood at a temperature."""
    return float(-scaled(logs, temperature)[np.arange(len(targets)), targets].mean())


def fit_temperature(logs: np.ndarray, targets: np.ndarray) -> float:
    """The temperature of the lowest loss, by golden section over its logarithm."""
    low, high = np.log(LOWEST), np.log(HIGHEST)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(ROUNDS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if mean_loss(logs, targets, np.exp(left)) < mean_loss(logs, targets, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def judged(logs: np.ndarray, targets: np.ndarray, temperature: float) -> dict[str, float]:
    """Loss and expected calibration error at a temperature."""
    at = scaled(logs, temperature)
    reliability = Reliability()
    reliability.add(np.exp(at.max(axis=1)), at.argmax(axis=1) == targets)
    return {
        "negative_log_likelihood": mean_loss(logs, targets, temperature),
        "expected_calibration_error": reliability.expected_error(),
    }


def halves(cities: Sequence[str]) -> list[int]:
    """0 or 1 for each image: half of the cities each; of one city alone, every other image."""
    names = sorted(set(cities))
    if len(names) < 2:
        return [place % 2 for place in range(len(cities))]
    return [names.index(city) % 2 for city in cities]
