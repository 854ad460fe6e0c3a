"""The likely causes of wrong answers of chapter 5: class weights and losses."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from checks.common import VOID, describe, log_softmax_by_hand, near, numbers, pick
from checks.diagnosis.search import RAISES, Either, NoValue, Question

# ------------------------------------------------------------------ 5.1 class weights


class Counted(NamedTuple):
    """The pixels of each class, and a strategy."""

    counts: list[int]
    strategy: str


Formula = Callable[[float, float], float]
FORMULAS: dict[str, Formula] = {
    "inverse": lambda share, middle: 1 / share,
    "sqrt": lambda share, middle: 1 / math.sqrt(share),
    "median": lambda share, middle: middle / share,
}
IN_WORDS = {"inverse": "1 / f_k", "sqrt": "1 / √f_k", "median": "median(f) / f_k"}
_OTHER_FORMULAS: dict[str, Formula] = {
    "these are 1 / f_k": lambda share, middle: 1 / share,
    "these are 1 / √f_k": lambda share, middle: 1 / math.sqrt(share),
    "these grow with the share f_k: upside down": lambda share, middle: share,
    "these grow with √f_k: the root without 1 /": lambda share, middle: math.sqrt(share),
    "these are 1 / f_k², a square for a root": lambda share, middle: 1 / share**2,
    "these are f_k²": lambda share, middle: share**2,
    "these are 1 - f_k": lambda share, middle: 1 - share,
    "these are √(1 - f_k)": lambda share, middle: math.sqrt(1 - share),
    "these are -log f_k": lambda share, middle: -math.log(share),
    "these are √(-log f_k)": lambda share, middle: math.sqrt(-math.log(share)),
    "these are 1 / log(1.02 + f_k), another paper's": lambda s, m: 1 / math.log(1.02 + s),
    "these are exp(-f_k), a softmax of -f_k": lambda share, middle: math.exp(-share),
    "all the same: the share f_k of each class is missing": lambda share, middle: 1.0,
    "these are capped at 1": lambda share, middle: min(1.0, middle / share),
    "shares below the median are replaced by it": lambda share, middle: 1 / max(share, middle),
    "these are median(f) - f_k": lambda share, middle: middle - share,
    "these are |median(f) - f_k|": lambda share, middle: abs(middle - share),
}


def weights_by_hand(counts: list[int], formula: Formula) -> list[float]:
    """Class by class, in Python's own numbers, scaled to mean 1 over the classes with pixels."""
    total = sum(counts)
    shares = sorted(n / total for n in counts if n)
    half = len(shares) // 2
    middle = shares[half] if len(shares) % 2 else (shares[half - 1] + shares[half]) / 2
    raw = [formula(n / total, middle) if n else 0.0 for n in counts]
    mean = sum(raw) / len(shares) or 1.0
    return [each / mean for each in raw]


def _right_weights(x: Counted) -> list[float]:
    return weights_by_hand(x.counts, FORMULAS[x.strategy])


def all_near(values: list[float], expected: list[float], tolerance: float = 1e-4) -> bool:
    """Whether all are right but for rounding, each by its own size."""
    pairs = zip(values, expected, strict=True)
    return all(math.isfinite(a) and abs(a - b) <= tolerance * abs(b) for a, b in pairs)


def _mistakes_of_weights(x: Counted) -> dict[str, object]:
    """Likely cause → the weights that it gives, or a test of them."""
    wanted = _right_weights(x)
    shares = [n / sum(x.counts) for n in x.counts]
    places = sorted((k for k, n in enumerate(x.counts) if n), key=lambda k: -x.counts[k])
    power = 2 if x.strategy == "sqrt" else 1

    def is_cut_off(got: list[float]) -> bool:
        """From some class on, rarer ones all have the same weight; the others are in proportion."""
        top = max(got)
        below = [k for k in places if got[k] < 0.999 * top] or places[:1]
        scale = [got[k] / wanted[k] for k in below]
        rest = [k for k in places if k not in below]
        return max(scale) < 1.001 * min(scale) and all(
            got[k] <= 1.001 * wanted[k] * scale[0] for k in rest
        )

    def has_addend(got: list[float]) -> bool:
        """got ∝ 1 / (f + c), with one c > 0 that fits all classes; for sqrt of the squares."""
        if min(got[k] for k in places) <= 0:
            return False
        values = [got[k] ** power for k in places]
        first, last, ratio = shares[places[0]], shares[places[-1]], values[0] / values[-1]
        if all_near(got, wanted, 1e-3):
            return True  # too little to see
        if ratio > 0.9999:
            return False
        c = (last - ratio * first) / (ratio - 1)
        fits = [v * (shares[k] + c) for v, k in zip(values, places, strict=True)]
        return c > 0 and max(fits) < 1.01 * min(fits)

    def is_cut(got: list[float]) -> bool:
        return min(got[k] for k in places) > 0 and is_cut_off(got)

    found = {
        f"{name}; {x.strategy} is {IN_WORDS[x.strategy]}": weights_by_hand(x.counts, formula)
        for name, formula in _OTHER_FORMULAS.items()
    }
    return found | {
        "a weight is cut off: no weight is cut off, and no share": is_cut,
        "a number is added: nothing is added to the shares": has_addend,
    }


def _small_counts(strategy: str) -> Iterator[Counted]:
    """Two classes, then three, some without pixels; last a very rare one."""
    for counts in (
        [1, 1],
        [1, 3],
        [3, 1],
        [1, 4],
        [0, 1],
        [1, 0, 3],
        [1, 1, 2],
        [1, 4, 4],
        [1, 99],
    ):
        yield Counted(counts, strategy)


def weights_question(answer: Callable[[list[int], str], object], strategy: str) -> Question:
    """The weights of a strategy."""

    def value(x: Counted) -> object:
        got = answer(torch.tensor(x.counts), x.strategy)
        is_fine = isinstance(got, Tensor) and got.shape == (len(x.counts),)
        return got.tolist() if is_fine and got.dtype == torch.float32 else NoValue(describe(got))

    def more(seed: int) -> Counted:
        random = np.random.default_rng(seed)
        counts = (10 ** random.uniform(0, 5, 3 + seed % 4)).astype(int)
        counts[-1] *= seed % 2
        return Counted(counts.tolist(), strategy)

    def given(x: Counted) -> str:
        return f"pixels {x.counts}, {x.strategy} ({IN_WORDS[x.strategy]}, scaled to mean 1)"

    return Question(
        answer=value,
        right=_right_weights,
        mistakes=_mistakes_of_weights,
        more=more,
        small=lambda: _small_counts(strategy),
        given=given,
        shown=numbers,
        same=all_near,
    )


# ------------------------------------------------------------------ 5.2 and 5.3 the losses

WEIGHTS = [0.25, 2.0, 0.5, 4.0]


class Scored(NamedTuple):
    """Logits (B, K, H, W), a target (B, H, W), and the loss: weights, γ, ignore index."""

    logits: Tensor
    target: Tensor
    weights: list[float] | None = None
    gamma: float = 0.0
    void: int = VOID


def a_batch(
    sizes: tuple[int, int, int] = (2, 3, 5), num_classes: int = 4, void: int = VOID, seed: int = 1
) -> tuple[Tensor, Tensor]:
    """Logits (B, K, H, W) float32 and a target (B, H, W), with more void in one image."""
    random = np.random.default_rng(seed)
    batch, height, width = sizes
    logits = random.normal(0, 2, (batch, num_classes, height, width))
    target = random.integers(0, num_classes, sizes)
    is_void = random.random(sizes) < np.linspace(0.1, 0.5, batch)[:, None, None]
    is_void.flat[0], is_void.flat[-1] = False, sizes != (1, 1, 1)
    target[is_void] = void
    return torch.from_numpy(logits).float(), torch.from_numpy(target)


class ByHand:
    """Both losses pixel by pixel, and what the well-known mistakes would give instead."""

    def __init__(self, x: Scored) -> None:
        self.x, self.gamma = x, x.gamma
        self.logits, self.target = x.logits.double().numpy(), x.target.long().numpy()
        self.valid = self.target != x.void
        self.ids = np.where(self.valid, self.target, 0)
        self.class_weights = np.array(x.weights or [1.0] * self.logits.shape[1])
        self.all_weights = self.class_weights[self.ids]
        self.weights = self.all_weights * self.valid
        self.errors = -pick(log_softmax_by_hand(self.logits, 1), self.ids)
        self.pixels = self.focal(self.errors)

    def focal(self, errors: np.ndarray) -> np.ndarray:
        """(1 - p)^γ · CE for cross entropies."""
        return (-np.expm1(-errors)) ** self.gamma * errors

    def loss(self) -> float:
        """Σ w·(1 - p)^γ·CE / Σ w; 0 where nothing counts."""
        return self._mean(self.pixels) if self.weights.any() else 0.0

    def gradient(self, detached: bool = False) -> np.ndarray:
        """The slope of the loss for each logit, in closed form: (B, K, H, W)."""
        p, gamma = np.exp(-self.errors), self.gamma
        slope = (1 - p) ** gamma
        if gamma and not detached:
            with np.errstate(divide="ignore", invalid="ignore"):
                inner = gamma * (1 - p) ** (gamma - 1) * p * self.errors
            slope = slope + np.where(p < 1, inner, 0.0)
        softmax = np.exp(log_softmax_by_hand(self.logits, 1))
        is_true = np.arange(softmax.shape[1])[None, :, None, None] == self.ids[:, None]
        return (self.weights * slope)[:, None] * (softmax - is_true) / self.weights.sum()

    def _mean(self, pixels: np.ndarray) -> float:
        return float((self.weights * pixels).sum() / self.weights.sum())

    def mistakes(self) -> dict[str, object]:
        """Likely cause → the value that it gives."""
        with np.errstate(all="ignore"):
            found = self._of_the_mean() | self._of_the_pixels() | self._of_the_input()
            return (self._of_the_factor() if self.gamma else {}) | found

    def _of_the_input(self) -> dict[str, object]:
        """Mistakes that show with another ignore index, thin pictures or rounding alone."""
        wanted, x = self.loss(), self.x
        as_classes = ByHand(x._replace(void=VOID)) if self.target.max() < len(x.logits[0]) else self
        spread = (self.weights * np.squeeze(self.pixels)).sum() / self.weights.sum()
        is_hidden = x.void == VOID or bool(self.valid.all())
        return {
            "void is what ignore_index says, not always 255": wanted
            if is_hidden
            else Either((as_classes.loss(), RAISES)),
            "squeeze() drops every axis of length 1; use squeeze(1)": float(spread),
            "the numbers are rounded on the way: stay in float32": self._rounded(),
        }

    def _rounded(self) -> Either:
        """The loss with logits, probabilities or the result in half precision."""
        found: list[object] = []
        for dtype in (torch.float16, torch.bfloat16):
            low = self.x.logits.to(dtype).float()
            if not torch.equal(low, self.x.logits):
                found.append(ByHand(self.x._replace(logits=low)).loss())
            p = torch.from_numpy(np.exp(-self.errors)).float().to(dtype).double().numpy()
            found.append(self._mean((1 - p) ** self.gamma * self.errors))
            found.append(float(torch.tensor(self.loss()).to(dtype)))
        return Either(found)

    def _of_the_mean(self) -> dict[str, float]:
        w, pixels, valid = self.weights, self.pixels, self.valid
        weighted, guess = w * pixels, self.class_weights[self.logits.argmax(1)] * valid
        images = [a[v > 0].sum() / v.sum() for a, v in zip(weighted, w, strict=True) if v.any()]
        classes = [pixels[valid & (self.ids == k)] for k in range(len(self.class_weights))]
        per_class = [each.mean() for each in classes if each.size]
        every = self.all_weights
        last = self.focal(-log_softmax_by_hand(self.logits, 1)[:, -1])
        last_weights = self.class_weights[-1] * ~valid
        void_as_last = (weighted + last_weights * last).sum() / (w + last_weights).sum()
        return {
            "this is the mean over the valid pixels; divide by the sum of their weights": (
                weighted.sum() / valid.sum()
            ),
            "this is the mean over all pixels, void ones too; divide by the sum of the valid "
            "pixels' weights": weighted.mean(),
            "this is the sum over the pixels; divide by the sum of their weights": weighted.sum(),
            "this is the sum divided by the number of images": weighted.sum() / len(w),
            "the class weights do not take part": (pixels * valid).sum() / valid.sum(),
            "the class weights are in the denominator alone": (pixels * valid).sum() / w.sum(),
            "a pixel's weight goes by its true class, not by the predicted one": (
                (guess * pixels).sum() / guess.sum()
            ),
            "every pixel has its weight twice": (w * weighted).sum() / w.sum(),
            "the weights are squared": (w * weighted).sum() / (w * w).sum(),
            "this is divided by the sum of the K class weights; divide by that of the pixels' "
            "weights": weighted.sum() / self.class_weights.sum(),
            "void pixels are counted as class 0": (every * pixels).sum() / every.sum(),
            "void pixels are counted as class K - 1": void_as_last,
            "class 0 is left out; only void pixels are": (
                (weighted * (self.ids > 0)).sum() / (w * (self.ids > 0)).sum()
            ),
            "this is divided by the pixels' number times the mean of the K class weights; divide "
            "by the sum of the pixels' weights": (
                weighted.sum() / (valid.sum() * self.class_weights.mean())
            ),
            "void pixels are counted in the denominator": weighted.sum() / every.sum(),
            "void pixels are counted in the numerator": (every * pixels).sum() / w.sum(),
            "this is the mean of the images' means; add up over the whole batch first": (
                np.mean(images)
            ),
            "this is the mean of the classes' means": np.mean(per_class),
            "the sign is turned round": -self.loss(),
        }

    def _of_the_pixels(self) -> dict[str, float]:
        z, ids, num_classes = self.logits, self.ids, self.logits.shape[1]
        log_p = log_softmax_by_hand(z, 1)
        mixed = log_softmax_by_hand(z.reshape(-1, num_classes), 1)
        mixed = -np.take_along_axis(mixed, ids.reshape(-1, 1), 1).reshape(ids.shape)
        by_weight = log_softmax_by_hand(z * self.class_weights[None, :, None, None], 1)
        plus = np.log(self.class_weights)[None, :, None, None]
        sigmoid = np.logaddexp(0, -pick(z, ids))
        every = np.logaddexp(0, z).sum(1) - pick(z, ids)
        other = {
            f"the softmax is over axis {axis}; the classes are axis 1": (
                self.focal(-pick(log_softmax_by_hand(z, axis), ids))
            )
            for axis in (0, 2, 3)
        }
        other |= {
            "the logits were reshaped to (…, K) without permute: pixels and classes are mixed": (
                self.focal(mixed)
            ),
            "the softmax is taken twice; the cross entropy wants logits": (
                self.focal(-pick(log_softmax_by_hand(np.exp(log_p), 1), ids))
            ),
            "a sigmoid stands for the softmax": self.focal(sigmoid),
            "a sigmoid for each class stands for the softmax": every,
            "a mean over the classes' sigmoids stands for the softmax": every / num_classes,
            "the weights multiply the logits, not the cross entropy": (
                self.focal(-pick(by_weight, ids))
            ),
            "the weights multiply the probability inside the logarithm": (
                self.errors - pick(np.broadcast_to(plus, z.shape), ids)
            ),
            "this is 1 - p, without a logarithm": 1 - np.exp(-self.errors),
            "this is -p, without a logarithm": -np.exp(-self.errors),
            "this is -logit, without a softmax": -pick(z, ids),
            "the logarithm is not the natural one": self.pixels / math.log(2),
            "the logarithm is that of base 10": self.pixels / math.log(10),
            "the labels are smoothed": 0.9 * self.errors - 0.1 * log_p.mean(1),
            "all classes are added up, not the true one alone": -log_p.sum(1),
            "this is the predicted class's cross entropy; take the true class's": (
                self.focal(-log_p.max(1))
            ),
        }
        return {name: self._mean(pixels) for name, pixels in other.items()}

    def _of_the_factor(self) -> dict[str, float]:
        w, errors, gamma, valid = self.weights, self.errors, self.gamma, self.valid
        p = np.exp(-errors)
        log_p = log_softmax_by_hand(self.logits, 1)
        mean, plain = self._mean(errors), float(errors[valid].mean())
        weighted_p = np.exp(-w * errors)
        factor = (1 - p) ** gamma
        other = {
            "this is the cross entropy without the factor (1 - p_t)^γ": errors,
            "the factor is p_t^γ: easy pixels would count more; it is (1 - p_t)^γ": (
                p**gamma * errors
            ),
            "the factor is γ·(1 - p_t); γ is its power": gamma * (1 - p) * errors,
            "the factor is 1 - p_t^γ; it is (1 - p_t)^γ": (1 - p**gamma) * errors,
            "γ is 2 whatever is asked for": (1 - p) ** 2 * errors,
            "γ is 1 whatever is asked for": (1 - p) * errors,
            "p_t is taken from the weighted cross entropy; take it before the weights": (
                (1 - weighted_p) ** gamma * errors
            ),
            "the factor has the weight inside it": (w * (1 - p)) ** gamma * errors,
            "the factor goes by the predicted class's probability; p_t is the true class's": (
                (1 - np.exp(log_p.max(1))) ** gamma * errors
            ),
            "the factor stands without the cross entropy": factor,
            "the factor multiplies the probability, not its logarithm": -factor * p,
            "the factor is of the cross entropy, CE^γ; it is (1 - p_t)^γ": errors**gamma * errors,
            "the factor goes by the sigmoid of the logit; p_t is the softmax's": (
                (1 / (1 + np.exp(pick(self.logits, self.ids)))) ** gamma * errors
            ),
            "the factor goes by the logit; p_t is the softmax probability": (
                (1 - pick(self.logits, self.ids)) ** gamma * errors
            ),
            "the factor goes by log p_t; p_t = exp(-CE)": (1 + errors) ** gamma * errors,
            "the factor is taken for each class and averaged": (
                ((1 - np.exp(log_p)) ** gamma).mean(1) * errors
            ),
            "the factor's power is on the cross entropy too": ((1 - p) * errors) ** gamma,
        }
        found: dict[str, object] = {name: self._mean(pixels) for name, pixels in other.items()}
        mean_p = float((p * valid).sum() / valid.sum())
        powers = (math.exp(-mean), mean_p, math.exp(-plain))
        return found | {
            "the factor belongs to each pixel, before the sum: it was applied to the mean": Either(
                (1 - each) ** gamma * mean for each in powers
            ),
            "the denominator is Σ w, without the factor": (
                (w * self.pixels).sum() / (w * factor).sum()
            ),
        }


def more_scored(seed: int, weights: bool, gamma: float) -> Scored:
    """Random batches; some of thin pictures, or with another ignore index."""
    sizes = ((2, 2, 3), (1, 3, 1), (3, 4, 2), (2, 1, 5))[seed % 4]
    void = 254 if seed % 4 == 2 else VOID
    logits, target = a_batch(sizes, void=void, seed=100 + seed)
    return Scored(logits, target, WEIGHTS if weights else None, gamma, void)


def small_scored(weights: bool, gamma: float) -> Iterator[Scored]:
    """One pixel of two classes, two pixels, two images; small whole logits."""
    pair = [1.0, 3.0] if weights else None

    def made(logits: list, target: list, void: int = VOID) -> Scored:
        return Scored(torch.tensor(logits), torch.tensor(target), pair, gamma, void)

    scores = ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0])
    for (a, b), t in itertools.product(scores, (0, 1)):
        yield made([[[[a]], [[b]]]], [[[t]]])
    for void in (VOID, 1):
        for (a, b), (c, d) in itertools.product(scores, scores):
            for t, u in ((0, 1), (1, 0), (0, void), (void, 0)):
                yield made([[[[a, c]], [[b, d]]]], [[[t, u]]], void)
                yield made([[[[a], [c]], [[b], [d]]]], [[[t], [u]]], void)
                yield made([[[[a]], [[b]]], [[[c]], [[d]]]], [[[t]], [[u]]], void)


def loss_question(answer: Callable[[Scored], float], weights: bool, gamma: float) -> Question:
    """The value of a loss."""

    def given(x: Scored) -> str:
        text = f"logits {tuple(x.logits.shape)}, target {tuple(x.target.shape)}"
        if x.logits.numel() <= 8:
            text = f"logits {x.logits.tolist()}, target {x.target.tolist()}"
        text += f", weights {x.weights}" if x.weights else ", no weights"
        text += f", ignore_index={x.void}" * (x.void != VOID)
        return text + f", γ = {gamma:g}" * (gamma != 0)

    return Question(
        answer=answer,
        right=lambda x: ByHand(x).loss(),
        mistakes=lambda x: ByHand(x).mistakes(),
        more=lambda seed: more_scored(seed, weights, gamma),
        small=lambda: small_scored(weights, gamma),
        given=given,
        shown=lambda value: f"{value:.6g}",
        same=near,
    )


def gradient_question(
    answer: Callable[[Scored], np.ndarray], weights: bool, gamma: float
) -> Question:
    """The gradient of a loss for the logits, (B, K, H, W)."""

    def mistakes(x: Scored) -> dict[str, object]:
        hand = ByHand(x)
        wanted, outside = hand.gradient(), ~hand.valid[:, None]

        def has_void(got: np.ndarray) -> bool:
            return np.abs(got * outside).max() > 0 or not outside.any()

        return {
            "log(softmax) or a root has an infinite slope at 0; log_softmax has not": (
                lambda got: not np.isfinite(got).all() or same(got, wanted)
            ),
            "void pixels have a gradient; it must be 0 there": has_void,
            "the factor (1 - p_t)^γ is detached; it takes part in the gradient": hand.gradient(True)
            if gamma
            else None,
            "the gradient is 0 everywhere: the loss does not go back to the logits": 0 * wanted,
        }

    def same(got: np.ndarray, other: np.ndarray) -> bool:
        return np.allclose(got, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())

    question = loss_question(answer, weights, gamma)
    return replace(
        question,
        right=lambda x: ByHand(x).gradient(),
        mistakes=mistakes,
        given=lambda x: f"{question.given(x)}; the gradient for the logits",
        shown=numbers,
        same=same,
    )


def extreme_scored(weights: bool, gamma: float, seed: int) -> Scored:
    """Logits of some hundreds up to 1000: a pixel that is right, others wrong by far, one void."""
    size = float((1000, 300, 500, 800)[seed % 4])
    scores = torch.tensor([size, -size, 0.0])[None, :, None, None]
    logits = scores.expand(1, 3, 2, 2).contiguous()
    target = torch.tensor([[[0, 1], [2, VOID]]])
    return Scored(logits, target, [1.0, 2.0, 4.0] if weights else None, gamma)


def extreme_question(answer: Callable[[Scored], float], weights: bool, gamma: float) -> Question:
    """The value of a loss where the softmax is 0 or 1 in float32."""

    def mistakes(x: Scored) -> dict[str, object]:
        wanted, is_extreme = ByHand(x).loss(), bool(x.logits.abs().max() > 100)

        def is_infinite(got: float) -> bool:
            return not math.isfinite(got) if is_extreme else near(got, wanted, 1e-3)

        def is_bounded(got: float) -> bool:
            return 0 < got < 0.5 * wanted if is_extreme else near(got, wanted, 1e-3)

        return {
            "an infinite logarithm or exponential: log(softmax) is -inf where the softmax is 0, "
            "and exp(1000) is inf; log_softmax is exact": is_infinite,
            "a probability was kept away from 0, or the logits within bounds (clamp, or + ε); "
            "log_softmax is exact": is_bounded,
        } | ByHand(x).mistakes()

    def small() -> Iterator[Scored]:
        for scores, t in itertools.product(([1000.0, -1000.0], [0.0, -1000.0]), (0, 1)):
            logits = torch.tensor(scores)[None, :, None, None]
            pair = [1.0, 2.0] if weights else None
            yield Scored(logits, torch.tensor([[[t]]]), pair, gamma)

    return replace(
        loss_question(answer, weights, gamma),
        mistakes=mistakes,
        more=lambda seed: (
            extreme_scored(weights, gamma, seed) if seed % 2 else more_scored(seed, weights, gamma)
        ),
        small=small,
        same=lambda got, other: near(got, other, 1e-4),
    )
