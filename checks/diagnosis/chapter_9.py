"""The likely causes of wrong answers of chapter 9: the optional TODOs of the zoo."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from checks.common import VOID, near
from checks.diagnosis.chapter_5 import small_scored
from checks.diagnosis.search import Question


def few(values: object) -> str:
    """A few numbers in short."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return f"[{', '.join(f'{each:.4g}' for each in flat[:8])}{', …' if flat.size > 8 else ''}]"


# ------------------------------------------------------------------ 9.1 atrous pyramid

RATES = (2, 3, 5)
SIDE = 23
MIDDLE = SIDE // 2
Taps = frozenset[tuple[int, int]]


def cause_of_shape(seen: Tensor, expected: tuple[int, ...], cout: int) -> str | None:
    """The mistake that gives another shape."""
    if not isinstance(seen, Tensor) or seen.ndim != 4:
        return None
    branches = expected[1] // cout
    if len(seen) == branches * expected[0]:
        return "torch.cat joins along the batch unless told otherwise; the channels are dim=1"
    if seen.shape[2:] != expected[2:]:
        return "the branches change the size: a 3x3 convolution of rate r needs padding = r"
    if seen.shape[1] == cout:
        return "what the branches saw is added up; it stands side by side: torch.cat"
    if seen.shape[1] % cout == 0:
        return (
            f"there are {seen.shape[1] // cout} branches for {branches}: one of 1x1, one for each "
            "rate, and one that sees the image as a whole"
        )
    return None


def grid(rate: int) -> Taps:
    """Where a 3x3 convolution of this rate sees the middle."""
    return frozenset(itertools.product((-rate, 0, rate), repeat=2))


def square(radius: int) -> Taps:
    """All pixels up to this far."""
    return frozenset(itertools.product(range(-radius, radius + 1), repeat=2))


EVERYWHERE = square(MIDDLE)


def _sum_of(first: Taps, second: Taps) -> Taps:
    """Where two convolutions, one after the other, see the middle."""
    sums = {(a + c, b + d) for a, b in first for c, d in second}
    return frozenset(each for each in sums if max(map(abs, each)) <= MIDDLE)


def cause_of_taps(taps: list[Taps]) -> str | None:
    """The mistake by which the branches see these places."""
    wanted = [grid(0), *(grid(rate) for rate in RATES), EVERYWHERE]
    if sum(each == grid(1) for each in taps) == len(RATES):
        return "the rates are ignored: the taps of every 3x3 convolution lie side by side"
    if any(square(rate) in taps for rate in RATES):
        return "a rate is taken for the kernel's size; it is the distance of a 3x3 kernel's taps"
    if taps.count(grid(0)) == 1 + len(RATES):
        return "the rates are other ones than `rates` says: 12, 24, 36 whatever is asked for?"
    for rate in RATES:
        if taps.count(grid(rate)) == len(RATES):
            return f"all 3x3 branches have the rate {rate}: one for each of the rates"
    if EVERYWHERE not in taps:
        return "no branch sees the image as a whole: its mean, the same at every pixel"
    if grid(0) not in taps:
        return "the 1x1 branch is missing, which sees each pixel by itself"
    strange = [each for each in taps if each not in wanted]
    if any(each == _sum_of(a, b) for each in strange for a in wanted[:-1] for b in wanted[:-1]):
        return "a branch was given what another one made; each of them sees x"
    return None if strange else "a branch is there twice, and another one is missing"


# ------------------------------------------------------------------ 9.2 efficient self-attention


def softmax(scores: np.ndarray, axis: int) -> np.ndarray:
    """In numpy."""
    shifted = np.exp(scores - scores.max(axis, keepdims=True))
    return shifted / shifted.sum(axis, keepdims=True)


def same(got: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether all numbers are right but for rounding, by the size of the largest."""
    size = float(np.abs(expected).max(initial=1e-30))
    return got.shape == expected.shape and bool(np.all(np.abs(got - expected) <= tolerance * size))


class AttentionByHand:
    """softmax(Q Kᵀ / √d) V, and what the well-known mistakes give instead."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.module, self.heads, self.shape = module, module.heads, tuple(x.shape)
        self.depth = x.shape[-1] // module.heads
        with torch.no_grad():
            self.x, self.reduced = x.numpy(), module.reduction(x).numpy()
        self.query = self.project("q_proj", self.x)
        self.key, self.value = (self.project(n, self.reduced) for n in ("k_proj", "v_proj"))

    def project(self, name: str, x: np.ndarray) -> np.ndarray:
        """A linear layer of the module: (B, ..., C) → (B, N, C)."""
        layer = getattr(self.module, name)
        weight, bias = (each.detach().numpy() for each in (layer.weight, layer.bias))
        return x.reshape(len(x), -1, x.shape[-1]) @ weight.T + bias

    def split(self, x: np.ndarray, heads: int) -> np.ndarray:
        """(B, N, C) → (B, heads, N, d)."""
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    def cut(self, x: np.ndarray, heads: int) -> np.ndarray:
        """The same shape by a reshape alone, which mixes positions and channels."""
        return x.reshape(len(x), heads, x.shape[1], -1)

    def interleave(self, x: np.ndarray, heads: int) -> np.ndarray:
        """The same shape, a head taking every `heads`-th channel."""
        return np.moveaxis(x.reshape(*x.shape[:2], -1, heads), 3, 1)

    def attended(
        self,
        key: np.ndarray,
        value: np.ndarray,
        scale: float | None = None,
        weigh: Callable[[np.ndarray], np.ndarray] = lambda scores: softmax(scores, -1),
        split: Callable[[np.ndarray, int], np.ndarray] | None = None,
        heads: int | None = None,
    ) -> np.ndarray:
        """The heads' results: (B, heads, N, d)."""
        split, heads = split or self.split, heads or self.heads
        query, key, value = (split(each, heads) for each in (self.query, key, value))
        scale = scale or math.sqrt(query.shape[-1])
        return weigh(query @ key.swapaxes(-1, -2) / scale) @ value

    def joined(self, attended: np.ndarray) -> np.ndarray:
        """(B, heads, N, d) → what the last layer makes of it, (B, H, W, C)."""
        return self.out(attended.swapaxes(1, 2).reshape(self.shape))

    def out(self, joined: np.ndarray) -> np.ndarray:
        """The last linear layer."""
        return self.project("o_proj", joined).reshape(self.shape)

    def result(self) -> np.ndarray:
        """What is right."""
        return self.joined(self.attended(self.key, self.value))

    def mistakes(self) -> dict[str, np.ndarray]:
        """Likely cause → the result that it gives."""
        key, value, joined, attended = self.key, self.value, self.joined, self.attended
        everywhere = [self.project(name, self.x) for name in ("k_proj", "v_proj")]
        channels, positions = self.shape[-1], key.shape[1]
        whole = attended(key, value)
        causal = np.tril(np.ones((self.query.shape[1], positions), bool))
        found = {
            "keys and values are taken from x itself: the sequence is not reduced": (
                joined(attended(*everywhere))
            ),
            "the scores are divided by the root of all C channels; a head has d = C / heads": (
                joined(attended(key, value, math.sqrt(channels)))
            ),
            "the scores are divided by d, or by its root twice; once by its root": joined(
                attended(key, value, self.depth)
            ),
            "the scores are divided by C; by the root of d": joined(attended(key, value, channels)),
            "the scores are not divided by √d": joined(attended(key, value, 1.0)),
            "the scores are multiplied by √d; divide": (
                joined(attended(key, value, 1 / math.sqrt(self.depth)))
            ),
            "the scores are divided by √heads; by the root of d = C / heads": (
                joined(attended(key, value, math.sqrt(self.heads)))
            ),
            "the scores are divided by the root of the number of positions": (
                joined(attended(key, value, math.sqrt(positions)))
            ),
            "the softmax is over the queries; each query's weights for the keys add up to 1": (
                joined(attended(key, value, weigh=lambda s: softmax(s, -2)))
            ),
            "the softmax is over the heads; over the keys": (
                joined(attended(key, value, weigh=lambda s: softmax(s, 1)))
            ),
            "the softmax is divided by √d; the scores are, before it": joined(
                attended(key, value, 1.0) / math.sqrt(self.depth)
            ),
            "there is no softmax": joined(attended(key, value, weigh=lambda s: s)),
            "a sigmoid stands for the softmax": (
                joined(attended(key, value, weigh=lambda s: 1 / (1 + np.exp(-s))))
            ),
            "heads and positions are mixed up by a reshape: transpose(1, 2) the result before it": (
                self.out(whole.reshape(self.shape))
            ),
            "heads and positions are mixed up by a reshape to (B, heads, N, d): self.split_heads": (
                joined(attended(key, value, split=self.cut))
            ),
            "the heads take every so many-th channel: self.split_heads takes d in a row": (
                joined(attended(key, value, split=self.interleave))
            ),
            "there is one head for all channels: self.split_heads": (
                joined(attended(key, value, heads=1))
            ),
            "keys and values are exchanged": joined(attended(value, key)),
            "the values are the keys": joined(attended(key, key)),
            "the keys are made by q_proj": (
                joined(attended(self.project("q_proj", self.reduced), value))
            ),
            "o_proj is applied twice: the line below does it": (self.out(joined(whole))),
            "x is added: the block around the attention does that": (
                self.out(whole.swapaxes(1, 2).reshape(self.shape) + self.x)
            ),
            "positions are hidden from those before them; every query sees all keys": (
                joined(
                    attended(key, value, weigh=lambda s: softmax(np.where(causal, s, -1e30), -1))
                )
            ),
        }
        mixed = whole.swapaxes(2, 3).reshape(self.shape)
        found["positions and channels are exchanged before the last reshape"] = self.out(mixed)
        return found


class Features(NamedTuple):
    """Features (B, H, W, C) and the attention for them; `is_plain` makes all weights 1 and 0."""

    channels: int
    heads: int
    reduction: int
    size: tuple[int, int]
    seed: int = 0
    is_plain: bool = False

    def values(self) -> Tensor:
        """Random ones; zeros and ones where it is plain."""
        generator = torch.Generator().manual_seed(self.seed)
        if self.is_plain:
            shape = 1, *self.size, self.channels
            return torch.randint(0, 2, shape, generator=generator).double()
        shape = 2, *self.size, self.channels
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def module(self, build: Callable[..., nn.Module]) -> nn.Module:
        """An attention with random weights; where it is plain, q = k = v = x."""
        module = build(self.channels, self.heads, self.reduction, self.seed)
        if self.is_plain:
            for name, parameter in module.named_parameters():
                is_weight = name.endswith("weight") and parameter.dim() == 2
                parameter.data = torch.zeros_like(parameter)
                if is_weight:
                    parameter.data = torch.eye(self.channels, dtype=parameter.dtype)
        return module

    def given(self) -> str:
        """In words."""
        text = f"features {(2, *self.size, self.channels)}"
        if self.is_plain:
            text = f"features {self.values().tolist()}, so that queries = keys = values = x"
        return f"{text}, {self.heads} heads, R = {self.reduction}"


def attention_question(
    answer: Callable[[Features], np.ndarray], build: Callable[..., nn.Module]
) -> Question:
    """What attention makes of features."""

    def by_hand(x: Features) -> AttentionByHand:
        return AttentionByHand(x.module(build), x.values())

    def more(seed: int) -> Features:
        channels, heads = ((6, 3), (8, 2), (4, 4), (9, 3))[seed % 4]
        return Features(channels, heads, 1 + seed % 2, (4, 2 + 2 * (seed % 3)), seed + 1)

    def small() -> Iterator[Features]:
        for channels, heads in ((1, 1), (2, 1), (4, 2)):
            for seed in range(4):
                yield Features(channels, heads, 1, (1, 2), seed, is_plain=True)

    return Question(
        answer=answer,
        right=lambda x: by_hand(x).result(),
        mistakes=lambda x: by_hand(x).mistakes(),
        more=more,
        small=small,
        given=Features.given,
        shown=few,
        same=lambda got, other: same(got, other, 1e-4),
    )


# ------------------------------------------------------------------ 9.3 and 9.4 the losses


def jaccard_losses(is_class: np.ndarray) -> np.ndarray:
    """1 - IoU with the first i of the sorted pixels wrong, for i = 0 ... N, from counting."""
    size = int(is_class.sum())
    found = []
    for i in range(len(is_class) + 1):
        missed = int(is_class[:i].sum())
        union = size + i - missed
        found.append(1 - (size - missed) / union if union else math.nan)
    return np.array(found)


def wrong_slopes(errors: np.ndarray, is_class: np.ndarray) -> dict[str, np.ndarray]:
    """Likely cause → the slopes that it gives."""
    order = np.argsort(-errors, kind="stable")
    back, rising = np.argsort(order), order[::-1]
    losses = jaccard_losses(is_class[order])
    steps = np.diff(losses)
    up = np.empty(len(errors))
    up[rising] = np.diff(jaccard_losses(is_class[rising]))
    others = np.diff(jaccard_losses(~is_class[order]))
    shifted = np.append(np.diff(losses[1:]), 0.0)
    late = np.concatenate([[0.0], np.diff(losses[1:])])
    size, count = is_class.sum(), np.arange(1, len(errors) + 1)
    found = is_class[order].cumsum()
    no_union = np.diff(np.concatenate([[0.0], found / size]))
    all_union = np.diff(np.concatenate([[0.0], 1 - (size - found) / (size + count)]))
    union_of_all = np.diff(np.concatenate([[0.0], 1 - (size - found) / len(errors)]))
    from_zero = np.append(1 - (size - found) / (size + count - 1 - found), 0.0)[:-1]
    from_zero = np.diff(np.concatenate([[0.0], from_zero]))
    dice = np.diff(np.concatenate([[0.0], 1 - 2 * (size - found) / (2 * size - 2 * found + count)]))
    return {
        "the errors are sorted from the smallest up; the largest comes first": up,
        "the errors are not sorted: the slopes go from the largest error down": (
            np.diff(jaccard_losses(is_class))
        ),
        "the slopes stand in the order of sorting: each belongs to the pixel of its error": steps,
        "the slopes go to the wrong pixels: pixel order[i] gets the i-th (scatter, not gather)": (
            steps[order]
        ),
        "these are the values of 1 - IoU; the slope is by how much it grows at each pixel": (
            losses[1:][back]
        ),
        "these are the values of IoU; the slope is by how much 1 - IoU grows at each pixel": (
            1 - losses[1:][back]
        ),
        "the sign is turned round: 1 - IoU grows when a pixel turns wrong": -steps[back],
        "the first slope is lost: 1 - IoU begins at 0, with nothing wrong": late[back],
        "the slopes are one pixel late: the i-th is loss i minus loss i - 1": shifted[back],
        "the first slope is the only one that is right: the others are values, not differences": (
            np.concatenate([losses[1:2], losses[2:] - losses[1]])[back]
        ),
        "class and not class are exchanged": others[back],
        "the union stays the size of the class; each false alarm makes it larger": no_union[back],
        "the union grows with every pixel; a missed one is in it already": all_union[back],
        "the union holds every pixel from the start; those of other classes join when wrong": (
            union_of_all[back]
        ),
        "the union counts the pixels from 0: with the first one wrong, i is 1": from_zero[back],
        "these are the differences of 1 - Dice; the IoU is wanted": dice[back],
        "the slopes are divided by the number of pixels": steps[back] / len(errors),
        "all pixels count the same": np.full(len(errors), 1 / len(errors)),
        "all slopes are 1": np.ones(len(errors)),
    }


WEIGHTS = [0.5, 3.0, 1.0, 0.25, 2.0]


def a_batch(
    sizes: tuple[int, int, int] = (2, 3, 5), num_classes: int = 5, seed: int = 1, void: int = VOID
) -> tuple[Tensor, Tensor]:
    """Logits and target; the last class but one is absent, and much of the second image is void."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (sizes[0], num_classes, *sizes[1:]))
    target = random.integers(0, num_classes - 1, sizes)
    target[target == num_classes - 2] = num_classes - 1
    is_void = random.random(sizes) < np.linspace(0.1, 0.5, sizes[0])[:, None, None]
    target[is_void] = void
    target.flat[:3] = [0, 1, num_classes - 1]
    return torch.from_numpy(logits), torch.from_numpy(target)


class LossByHand:
    """What Dice, Tversky and Lovász losses share, in numpy."""

    def __init__(
        self, logits: np.ndarray, target: Tensor, weights: list[float] | None, void: int = VOID
    ) -> None:
        self.p = softmax(logits, 1)
        self.ids = target.long().numpy()
        self.valid = self.ids != void
        self.num_classes = logits.shape[1]
        classes = np.arange(self.num_classes)[None, :, None, None]
        self.truth = (classes == self.ids[:, None]) & self.valid[:, None]
        self.present = self.truth.any((0, 2, 3))
        self.weights = np.array(weights or [1.0] * self.num_classes)

    def mean(self, values: np.ndarray) -> float:
        """Σ w·value / Σ w over the present classes."""
        w = self.weights * self.present
        return float((w * np.where(self.present, values, 0)).sum() / w.sum()) if w.any() else 0.0

    def wrong_means(self, values: np.ndarray, absent: float) -> dict[str, float]:
        """The mistakes of the mean over the classes; `absent` is the value of an absent class."""
        w, here = self.weights, self.present
        shown = values[here]
        with_absent = np.where(here, values, absent)
        return {
            "the class weights take no part": shown.mean(),
            "the weighted losses are divided by the number of classes; by the sum of weights": (
                (w * values)[here].sum() / here.sum()
            ),
            "absent classes count as perfect: the mean is over the present ones": (
                (w * values)[here].sum() / w.sum()
            ),
            "absent classes count as missed altogether: the mean is over the present ones": (
                (w * np.where(here, values, 1)).sum() / w.sum()
            ),
            "absent classes are in the mean; it is over the present ones": (
                (w * with_absent).sum() / w.sum()
            ),
            "the class weights take no part, and absent classes are in the mean": (
                with_absent.mean()
            ),
            "the classes' losses are added up; their mean is wanted": (w * values)[here].sum(),
            "class 0 is left out of the mean": (
                (w * values)[1:][here[1:]].sum() / max(w[1:][here[1:]].sum(), 1e-30)
            ),
        }


class TverskyByHand(LossByHand):
    """1 - TP / (TP + α·FP + β·FN); α = β = ½ is Dice."""

    def __init__(self, *arguments: object, alpha: float = 0.5, beta: float = 0.5) -> None:
        super().__init__(*arguments)
        self.alpha, self.beta = alpha, beta

    def counts(self, p: np.ndarray, axes: tuple[int, ...] = (0, 2, 3)) -> tuple[np.ndarray, ...]:
        """TP, FP and FN, soft."""
        valid = self.valid[:, None]
        hits = (p * self.truth).sum(axes)
        return hits, (p * valid * ~self.truth).sum(axes), self.truth.sum(axes) - hits

    def index(
        self, counts: tuple[np.ndarray, ...], alpha: float, beta: float, smooth: float = 0.0
    ) -> np.ndarray:
        """TP / (TP + α·FP + β·FN), 0 for 0 / 0."""
        hits, too_much, missed = counts
        below = hits + alpha * too_much + beta * missed + smooth
        return (hits + smooth) / np.where(below > 0, below, 1)

    def loss(self) -> float:
        """What is right."""
        return self.mean(1 - self.index(self.counts(self.p), self.alpha, self.beta))

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        alpha, beta = self.alpha, self.beta
        hits, too_much, missed = counts = self.counts(self.p)
        every, size = self.p.sum((0, 2, 3)), self.truth.sum((0, 2, 3))
        everywhere = self.valid.sum()
        valid_p, valid_squares = hits + too_much, (self.p**2 * self.valid[:, None]).sum((0, 2, 3))
        best = self.p.argmax(1)[:, None] == np.arange(self.num_classes)[None, :, None, None]
        right = 1 - self.index(counts, alpha, beta)
        images = self.counts(self.p, (2, 3))
        by_image = 1 - self.index(images, alpha, beta)
        shown = self.truth.any((2, 3))
        per_image = [self._mean_of(a, b) for a, b in zip(by_image, shown, strict=True) if b.any()]
        with np.errstate(all="ignore"):
            values = {
                "void pixels are counted in FP: what is predicted there must change nothing": (
                    1 - self.index((hits, every - hits, missed), alpha, beta)
                ),
                "α and β are ignored: this is Dice": 1 - self.index(counts, 0.5, 0.5),
                "α and β are exchanged: α is for FP, β for FN": 1 - self.index(counts, beta, alpha),
                "this is the IoU's, with FP and FN in full": 1 - self.index(counts, 1, 1),
                "the probabilities are squared in the denominator (V-Net); plain sums": (
                    1 - 2 * hits / (valid_squares + size)
                ),
                "the factor 2 is missing: TP / (2 TP + FP + FN)": 1 - hits / (valid_p + size),
                "2 TP is missing in the denominator": 1 - 2 * hits / (too_much + missed),
                "TP is missing in the denominator": (1 - hits / (alpha * too_much + beta * missed)),
                "TP counts twice in the denominator: Σ p and Σ target have it already": (
                    1 - 2 * hits / (2 * hits + valid_p + size)
                ),
                "smoothing changes the value: 1 is added above and below": (
                    1 - self.index(counts, alpha, beta, 1.0)
                ),
                "smoothing changes the value: 1 is added above and below (of 2 TP)": (
                    1 - (2 * hits + 1) / (valid_p + size + 1)
                ),
                "smoothing changes the value: 1 is added below": 1
                - 2 * hits / (valid_p + size + 1),
                "this is the index; the loss is 1 - index": 1 - right,
                "the sign is turned round; the loss is 1 - index": right - 1,
                "the loss is -log of the index; 1 - index": -np.log(1 - right),
                "FP is Σ 1 - p over the other pixels; it is the p that they give to the class": (
                    1 - self.index((hits, (everywhere - size) - too_much, missed), alpha, beta)
                ),
                "FN is Σ 1 - p over all valid pixels; only those of the class can be missed": (
                    1 - self.index((hits, too_much, everywhere - valid_p), alpha, beta)
                ),
                "TP counts twice, but α and β stay as they are: Dice's α and β are ½ already": (
                    1 - 2 * hits / (2 * hits + alpha * too_much + beta * missed)
                ),
                "predictions are counted hard, by argmax: no gradient; the counts are soft": (
                    1 - self.index(self.counts(best.astype(float)), alpha, beta)
                ),
                "counted by means over the images, then one ratio for each class and image": (
                    by_image.mean(0)
                ),
            }
        found = {cause: self.mean(each) for cause, each in values.items()}
        sums = tuple(each.sum() for each in counts)
        images_cause = (
            "this is the mean of the images' losses: add up over the whole batch first, then divide"
        )
        found |= {
            images_cause: float(np.mean(per_image)),
            f"{images_cause} (absent classes left out image by image)": (
                float(by_image[shown].mean())
            ),
            f"{images_cause} (absent classes with them)": float(by_image.mean()),
            "all classes are counted together: each class has a ratio of its own": (
                float(1 - self.index(tuple(map(np.asarray, sums)), alpha, beta))
            ),
        }
        return found | self.wrong_means(right, 1.0)

    def _mean_of(self, values: np.ndarray, shown: np.ndarray) -> float:
        """Of one image."""
        w = self.weights * shown
        return float((w * values).sum() / w.sum())


class LovaszByHand(LossByHand):
    """Σ error·slope of each class, the slopes from the definition."""

    def loss(self) -> float:
        """What is right."""
        return self.mean(np.array([self.of_class(k) for k in range(self.num_classes)]))

    def errors(self, k: int) -> np.ndarray:
        """|truth - p| of the valid pixels of the batch, in a row."""
        return np.abs(self.truth[:, k] - self.p[:, k])[self.valid]

    def of_class(self, k: int, errors: np.ndarray | None = None) -> float:
        """The loss of one class."""
        if not self.present[k]:
            return 0.0
        errors = self.errors(k) if errors is None else errors
        return float((errors * slopes_by_hand(errors, self.truth[:, k][self.valid])).sum())

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        classes = range(self.num_classes)
        right = np.array([self.of_class(k) for k in classes])
        sizes = np.full(self.num_classes, self.valid.sum())
        plain = np.array([self.errors(k).sum() for k in classes])
        p = np.moveaxis(self.p, 1, 0)[:, self.valid]
        truth = np.moveaxis(self.truth, 1, 0)[:, self.valid]
        hard = p.argmax(0)[None] == np.arange(self.num_classes)[:, None]
        own = [slopes_by_hand(self.errors(k), truth[k]) for k in classes if self.present[k]]
        slopes = np.zeros_like(p)
        slopes[self.present] = own

        def with_slopes(errors: np.ndarray) -> np.ndarray:
            return (errors * slopes).sum(1)

        values = {
            "this is divided by the number of pixels: the slopes add up to 1 already": right
            / sizes,
            "this is a mean over all pixels: the slopes add up to 1 already": right / self.ids.size,
            "the slopes take no part: this is the mean error": plain / sizes,
            "the slopes take no part: these are the errors added up": plain,
            "the errors are 1 - p everywhere; p where the target is another class": (
                with_slopes(1 - p)
            ),
            "the errors are p everywhere; 1 - p where the target is this class": with_slopes(p),
            "the errors have a sign, target - p: take what is wrong, |target - p|": (
                with_slopes(truth - p)
            ),
            "the errors have a sign, p - target: take what is wrong, |target - p|": (
                with_slopes(p - truth)
            ),
            "the errors are sorted by target - p, with its sign; take |target - p|": np.array(
                [self.of_class(k, (self.truth[:, k] - self.p[:, k])[self.valid]) for k in classes]
            ),
            "the errors are sorted by p - target, with its sign; take |target - p|": np.array(
                [self.of_class(k, (self.p[:, k] - self.truth[:, k])[self.valid]) for k in classes]
            ),
            "the errors are squared": with_slopes((truth - p) ** 2),
            "the errors are cross entropies; they are |truth - p|": (
                with_slopes(-np.log(np.where(truth, p, 1 - p)))
            ),
            "predictions are taken hard, by argmax: no gradient": np.array(
                [self.of_class(k, (hard[k] != truth[k]).astype(float)) for k in classes]
            ),
            "this is 1 - the loss": 1 - right,
            "the sign is turned round": -right,
        }
        found = {cause: self.mean(each) for cause, each in values.items()}
        return found | self.wrong_means(right, 0.0)


def slopes_by_hand(errors: np.ndarray, is_class: np.ndarray) -> np.ndarray:
    """What each pixel adds to 1 - IoU, in the order of the errors."""
    order = np.argsort(-errors, kind="stable")
    slopes = np.empty(len(errors))
    slopes[order] = np.diff(jaccard_losses(is_class[order]))
    return slopes


class Pixels(NamedTuple):
    """Logits (B, K, H, W), a target (B, H, W), and the loss: weights, ignore index, α and β."""

    logits: Tensor
    target: Tensor
    weights: list[float] | None = None
    void: int = VOID
    alpha: float = 0.5
    beta: float = 0.5

    def class_weights(self) -> Tensor | None:
        """As the losses take them."""
        return None if self.weights is None else torch.tensor(self.weights)

    def by_hand(self, kind: type) -> LossByHand:
        """The loss of a kind, in numpy."""
        options = {"alpha": self.alpha, "beta": self.beta} if kind is TverskyByHand else {}
        return kind(self.logits.numpy(), self.target, self.weights, self.void, **options)


def pixels_question(answer: Callable[[Pixels], float], kind: type, like: Pixels) -> Question:
    """The value of a loss, with the weights, α and β of `like`."""

    def more(seed: int) -> Pixels:
        void = 7 if seed % 4 == 3 else VOID
        sizes = ((2, 3, 4), (1, 2, 5), (3, 2, 3))[seed % 3]
        logits, target = a_batch(sizes, seed=50 + seed, void=void)
        x = like._replace(logits=logits, target=target, void=void)
        if like.alpha == like.beta == 0.5:
            return x
        alpha, beta = ((0.3, 0.7), (2.0, 0.5), (0.8, 0.6))[seed % 3]
        return x._replace(alpha=alpha, beta=beta)

    def small() -> Iterator[Pixels]:
        for x in small_scored(like.weights is not None, 0.0):
            yield like._replace(
                logits=x.logits.double(), target=x.target, weights=x.weights, void=x.void
            )

    def given(x: Pixels) -> str:
        text = f"logits {tuple(x.logits.shape)}, target {tuple(x.target.shape)}"
        if x.logits.numel() <= 8:
            text = f"logits {x.logits.tolist()}, target {x.target.tolist()}"
        text += f", weights {x.weights}" if x.weights else ", no weights"
        text += f", ignore_index={x.void}" * (x.void != VOID)
        is_dice = x.alpha == x.beta == 0.5
        return text if is_dice else f"{text}, α = {x.alpha}, β = {x.beta}"

    def mistakes(x: Pixels) -> dict[str, object]:
        broken = (
            "0 / 0, or a logarithm of 0: an absent class has nothing to divide by; `ratio` divides "
            "safely, and no logarithm is taken"
        )
        return x.by_hand(kind).mistakes() | {broken: lambda got: not math.isfinite(got)}

    return Question(
        answer=answer,
        right=lambda x: x.by_hand(kind).loss(),
        mistakes=mistakes,
        more=more,
        small=small,
        given=given,
        shown=lambda value: f"{value:.6g}",
        same=near,
    )


class Errors(NamedTuple):
    """The errors of the pixels of one class, and where the truth has that class."""

    errors: list[float]
    is_class: list[int]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) float64 and (N,) bool."""
        return np.array(self.errors), np.array(self.is_class, dtype=bool)


def slopes_question(answer: Callable[[Errors], np.ndarray]) -> Question:
    """What each pixel adds to 1 - IoU."""

    def more(seed: int) -> Errors:
        random = np.random.default_rng(seed)
        size = 4 + seed
        flags = random.integers(0, 2, size)
        flags[0] = 1
        return Errors((random.permutation(size) / size + 0.01).tolist(), flags.tolist())

    def small() -> Iterator[Errors]:
        for size in (1, 2, 3):
            for errors in itertools.permutations((0.2, 0.5, 0.9)[:size]):
                for flags in itertools.product((1, 0), repeat=size):
                    if any(flags):
                        yield Errors(list(errors), list(flags))

    return Question(
        answer=answer,
        right=lambda x: slopes_by_hand(*x.arrays()),
        mistakes=lambda x: wrong_slopes(*x.arrays()),
        more=more,
        small=small,
        given=lambda x: f"errors {few(x.errors)} of one class, which the truth has at {x.is_class}",
        shown=few,
        same=same,
    )
