"""Further cases of chapter 5: class weights and losses."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.common import (
    VOID,
    buffer_of,
    describe,
    log_softmax_by_hand,
    make,
    near,
    numbers,
    pick,
    recognise,
)
from checks.diagnosis.chapter_5 import FORMULAS, all_near, likely_weights, weights_by_hand
from commands.companion.checking import wrong
from losses import FocalLoss, WeightedCrossEntropy, class_weights

# ---- 5.1 class weights ---------------------------------------------------------------------------

COUNTS = {
    "two decades": [600, 300, 90, 0, 10],
    "classes without pixels": [0, 0, 0, 700, 0, 250, 50, 0],
    "a rare class": [5_000_000_000, 400_000_000, 0, 3_000],
    "three classes": [7, 1, 2],
}


def check_class_weights(counts: object, plain: list[int], strategy: str, given: str) -> None:
    """Compares weights with those made by hand."""
    weights = class_weights(counts, strategy)
    given = f"{given}, {strategy}"
    if not isinstance(weights, Tensor) or weights.shape != (len(plain),):
        wrong(given=given, expected=f"a tensor ({len(plain)},)", got=describe(weights))
    if weights.dtype != torch.float32:
        wrong(given=given, expected="float32", got=weights.dtype)
    expected, got = weights_by_hand(plain, FORMULAS[strategy]), weights.tolist()
    if not all_near(got, expected, 1e-4):
        likely = likely_weights(got, plain, strategy)
        wrong(given=given, expected=numbers(expected), got=numbers(got), likely=likely)


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_follow_the_formula(strategy: str, kind: str) -> None:
    counts = COUNTS[kind]
    check_class_weights(torch.tensor(counts), counts, strategy, f"pixels {counts}")


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_take_arrays_and_lists(strategy: str) -> None:
    counts = [40, 10, 0, 150]
    before = np.array(counts)
    for given in (counts, before, torch.tensor(counts)):
        check_class_weights(given, [40, 10, 0, 150], strategy, f"{type(given).__name__} {counts}")
    if before.tolist() != [40, 10, 0, 150]:
        wrong(given="counts", expected="the counts as they were", got="they were changed in place")


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_class_weights_are_equal_without_weighting() -> None:
    check_class_weights(torch.tensor([30, 0, 10]), [30, 0, 10], "inverse", "pixels [30, 0, 10]")
    got = class_weights(torch.tensor([30, 0, 10]), "none").tolist()
    if not all_near(got, [1.0, 0.0, 1.0], 1e-5):
        wrong(given="pixels [30, 0, 10], none", expected="[1, 0, 1]", got=numbers(got))


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
def test_5_1_class_weights_by_effective_number(kind: str) -> None:
    counts = COUNTS[kind]
    check_class_weights(torch.tensor(counts), counts, "inverse", f"pixels {counts}")
    log_beta = math.log1p(-1 / sum(counts))  # (1 - β) falls out in the scaling
    raw = [1 / -math.expm1(n * log_beta) if n else 0.0 for n in counts]
    mean = sum(raw) / sum(n > 0 for n in counts)
    expected = [each / mean for each in raw]
    got = class_weights(torch.tensor(counts), "effective").tolist()
    if not all_near(got, expected, 1e-4):
        likely = "(1 - β) / (1 - β^n_k) with β = (N - 1) / N needs double precision"
        given = f"pixels {counts}, effective"
        wrong(given=given, expected=numbers(expected), got=numbers(got), likely=likely)


# ---- 5.2 and 5.3 the losses ----------------------------------------------------------------------

WEIGHTS = [0.25, 2.0, 0.5, 4.0]


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

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        weights: list[float] | None,
        gamma: float = 0.0,
        void: int = VOID,
    ) -> None:
        self.logits, self.target, self.gamma = logits.double().numpy(), target.long().numpy(), gamma
        self.valid = self.target != void
        self.ids = np.where(self.valid, self.target, 0)
        self.class_weights = np.array(weights or [1.0] * self.logits.shape[1])
        self.all_weights = self.class_weights[self.ids]
        self.weights = self.all_weights * self.valid
        self.errors = -pick(log_softmax_by_hand(self.logits, 1), self.ids)
        self.pixels = self.focal(self.errors)

    def focal(self, errors: np.ndarray) -> np.ndarray:
        """(1 - p)^γ · CE for cross entropies."""
        return (-np.expm1(-errors)) ** self.gamma * errors

    def loss(self) -> float:
        """Σ w·(1 - p)^γ·CE / Σ w."""
        return self._mean(self.pixels)

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

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        with np.errstate(all="ignore"):
            found = self._of_the_mean() | self._of_the_pixels()
            return (self._of_the_factor() if self.gamma else {}) | found

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
        found = {name: self._mean(pixels) for name, pixels in other.items()}
        done = "the factor belongs to each pixel, before the sum: it was applied to the mean"
        mean_p = float((p * valid).sum() / valid.sum())
        found |= {
            done: (1 - math.exp(-mean)) ** gamma * mean,
            done + " (of 1 - p_t)": (1 - mean_p) ** gamma * mean,
            done + " without weights": (1 - math.exp(-plain)) ** gamma * mean,
            "the denominator is Σ w, without the factor": (
                (w * self.pixels).sum() / (w * factor).sum()
            ),
        }
        return found


def loss_and_gradient(
    criterion: nn.Module, logits: Tensor, target: Tensor, given: str
) -> tuple[float, np.ndarray]:
    """The loss as a number, and its gradient for the logits, which were not touched before."""
    leaf = logits.detach().clone().requires_grad_()
    loss = criterion(leaf, target)
    expected = "a scalar tensor, from which backward() goes back to the logits"
    if not isinstance(loss, Tensor):
        likely = "a loss that is no tensor has no gradient; leave .item() and float() out"
        wrong(given=given, expected=expected, got=describe(loss), likely=likely)
    if loss.shape != ():
        likely = "divide one sum by another: one number for the whole batch"
        wrong(given=given, expected=expected, got=describe(loss), likely=likely)
    if loss.requires_grad:
        loss.backward()
    if leaf.grad is None:
        likely = "the loss is cut off from the logits: detach(), no_grad(), numpy, a new tensor"
        got = f"{loss.item():.4g} without a gradient"
        wrong(given=given, expected=expected, got=got, likely=likely)
    return loss.item(), leaf.grad.double().numpy()


def check_loss(
    criterion: nn.Module,
    logits: Tensor,
    target: Tensor,
    hand: ByHand,
    given: str,
    otherwise: str | None = None,
) -> None:
    """Compares the value with that computed by hand; `otherwise` is the last guess at a cause."""
    value, _ = loss_and_gradient(criterion, logits, target, given)
    expected = hand.loss()
    if not near(value, expected):
        likely = recognise(value, hand.mistakes())
        if likely is None and not math.isfinite(value):
            likely = "a logarithm of 0, or 0 / 0"
        if likely is None and near(value, expected, 2e-3):
            likely = "the numbers are rounded on the way: stay in float32"
        likely = likely or otherwise
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}", likely=likely)


def check_gradient(
    criterion: nn.Module,
    logits: Tensor,
    target: Tensor,
    hand: ByHand,
    given: str,
    tolerance: float = 1e-4,
) -> None:
    """Compares the gradient with the closed form."""
    _, gradient = loss_and_gradient(criterion, logits, target, given)
    expected = hand.gradient()
    given, size = f"{given}; the gradient for the logits", np.abs(expected).max()
    if np.allclose(gradient, expected, rtol=tolerance, atol=0.1 * tolerance * size):
        return
    likely = None
    if not np.isfinite(gradient).all():
        likely = "log(softmax) or a root has an infinite slope at 0; log_softmax has not"
    elif np.abs(gradient * ~hand.valid[:, None]).max() > 0:
        likely = "void pixels have a gradient; it must be 0 there"
    elif np.allclose(gradient, hand.gradient(detached=True), rtol=1e-4, atol=1e-6 * size):
        likely = "the factor (1 - p_t)^γ is detached; it takes part in the gradient"
    elif np.allclose(gradient, 0):
        likely = "the gradient is 0 everywhere: the loss does not go back to the logits"
    worst = np.unravel_index(np.abs(gradient - expected).argmax(), expected.shape)
    where = "at (image, class, row, column) " + str(tuple(int(i) for i in worst))
    wrong(
        given=given,
        expected=f"{expected[worst]:.6g} {where}",
        got=f"{gradient[worst]:.6g}",
        likely=likely,
    )


def check_other_ignore_index(number: str, gamma: float) -> None:
    """The void value is what the constructor was given."""
    for void in (254, 4, 0):
        logits, target = a_batch(void=4 if void == 0 else void)
        if void == 0:
            target[target == 4] = 0
        hand = ByHand(logits, target, WEIGHTS, gamma, void)
        given = f"ignore_index={void}, weights {WEIGHTS}"
        otherwise = f"void is what ignore_index says, {void} here, not always 255"
        check_loss(make(number, WEIGHTS, gamma, void), logits, target, hand, given, otherwise)


def check_target_types(number: str, gamma: float) -> None:
    """uint8 and int64 give the same, and nothing given is changed."""
    logits, target = a_batch(seed=3)
    hand = ByHand(logits, target, WEIGHTS, gamma)
    criterion = make(number, WEIGHTS, gamma)
    for ids in (target, target.byte()):
        kept, kept_logits = ids.clone(), logits.clone()
        check_loss(criterion, logits, ids, hand, f"target of {ids.dtype}")
        with torch.no_grad():
            criterion(logits, ids)
        if not torch.equal(ids, kept):
            likely = "target[target == 255] = … writes into the caller's tensor; work on a copy"
            got = f"void pixels became class {ids[kept == VOID].unique().tolist()}"
            wrong(given=ids.dtype, expected="the target as it was", got=got, likely=likely)
        if not torch.equal(logits, kept_logits):
            wrong(given=ids.dtype, expected="the logits as they were", got="changed in place")


def check_thin_pictures(number: str, gamma: float) -> None:
    """Pictures of one row, of one column, of one pixel, and a single one."""
    for sizes in ((1, 3, 5), (3, 1, 4), (2, 5, 1), (1, 1, 1)):
        logits, target = a_batch(sizes, seed=5)
        hand = ByHand(logits, target, WEIGHTS, gamma)
        given = f"logits {tuple(logits.shape)}, target {sizes}"
        value, _ = loss_and_gradient(make(number, WEIGHTS, gamma), logits, target, given)
        if not near(value, hand.loss()):
            spread = (hand.weights * np.squeeze(hand.pixels)).sum() / hand.weights.sum()
            mistakes = {"squeeze() drops every axis of length 1; use squeeze(1)": float(spread)}
            likely = recognise(value, mistakes | hand.mistakes())
            wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)


def check_nothing_counted(number: str, gamma: float) -> None:
    """Only void pixels, or only pixels of weight 0: the loss is 0, the gradient too."""
    logits, target = a_batch(seed=6)
    weightless = torch.where(target == VOID, VOID, 0)
    cases = {
        "only void pixels": (torch.full_like(target, VOID), None),
        "only void pixels, and weights": (torch.full_like(target, VOID), WEIGHTS),
        "only pixels of a class of weight 0": (weightless, [0.0, 1.0, 2.0, 3.0]),
    }
    for given, (ids, weights) in cases.items():
        expected = "a loss of 0 and a gradient of 0"
        loss, gradient = loss_and_gradient(make(number, weights, gamma), logits, ids, given)
        likely = None
        if not math.isfinite(loss) or not np.isfinite(gradient).all():
            likely = "0 / 0: the sum of the weights is 0 here; ratio() divides safely"
        elif abs(loss) > 1e-6 and (ids == VOID).all():
            likely = "void pixels are counted as a class"
        if likely or abs(loss) > 1e-6 or np.abs(gradient).max() > 1e-6:
            got = f"a loss of {loss:.4g}, gradients up to {np.abs(gradient).max():.4g}"
            wrong(given=given, expected=expected, got=got, likely=likely)


def check_weights(number: str, gamma: float) -> None:
    """A class of weight 0, a common factor, and where the weights are kept."""
    logits, target = a_batch(seed=7)
    weights = [0.0, 2.0, 0.5, 4.0]
    hand = ByHand(logits, target, weights, gamma)
    check_loss(make(number, weights, gamma), logits, target, hand, f"weights {weights}")
    hand = ByHand(logits, target, WEIGHTS, gamma)
    for factor in (8.0, 0.001, 1e-6):
        scaled = [factor * each for each in WEIGHTS]
        value, _ = loss_and_gradient(make(number, scaled, gamma), logits, target, "weights")
        if not near(value, hand.loss(), 1e-4):
            likely = recognise(value, ByHand(logits, target, scaled, gamma).mistakes())
            likely = likely or "a common factor of the weights falls out only if Σ w divides"
            given = f"weights {WEIGHTS}, all times {factor:g}"
            wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)
    criterion = make(number, WEIGHTS, gamma)
    held = [each.double() for each in criterion.buffers() if each.shape == (4,)]
    expected = torch.tensor(WEIGHTS).double()
    if not any(torch.allclose(each * expected[0], expected * each[0]) for each in held):
        got = f"buffers {[name for name, _ in criterion.named_buffers()]}"
        likely = "register_buffer, so that to(device) takes them along"
        wrong(given="the weights", expected="a registered buffer", got=got, likely=likely)
    if list(criterion.parameters()):
        wrong(given="the loss", expected="nothing to train", got="a parameter")


def check_extremes(number: str, gamma: float) -> None:
    """Logits of ±1000: one pixel right, two wrong by far, one void."""
    scores = torch.tensor([1000.0, -1000.0, 0.0])
    target = torch.tensor([[[0, 1], [2, VOID]]])
    logits = scores[None, :, None, None].expand(1, 3, 2, 2).contiguous()
    for weights in (None, [1.0, 2.0, 4.0]):
        hand = ByHand(logits, target, weights, gamma)
        given = f"logits 1000, -1000 and 0, weights {weights}"
        criterion = make(number, weights, gamma)
        value, gradient = loss_and_gradient(criterion, logits, target, given)
        likely = None
        if not math.isfinite(value):
            likely = "log(softmax) is -inf where the softmax is 0; log_softmax is not"
        elif 0 < value < 0.5 * hand.loss():
            likely = "a probability was kept away from 0 (clamp, or + ε); log_softmax is exact"
        elif not np.isfinite(gradient).all():
            likely = "the gradient is not finite; log_softmax's is"
        if likely or not near(value, hand.loss(), 1e-4):
            likely = likely or recognise(value, hand.mistakes())
            expected = f"{hand.loss():.6g}, and a finite gradient"
            wrong(given=given, expected=expected, got=f"{value:.6g}", likely=likely)
        check_gradient(criterion, logits, target, hand, given, tolerance=0.01)
    scores = torch.tensor([[1000.0, 2.0], [-1000.0, 1.0], [0.0, 0.0]])  # (K, W)
    logits, target = scores[None, :, None, :].contiguous(), torch.tensor([[[0, 2]]])
    hand = ByHand(logits, target, None, gamma)
    given = "a pixel with logits (1000, -1000, 0) beside one with (2, 1, 0)"
    value, _ = loss_and_gradient(make(number, None, gamma), logits, target, given)
    if not near(value, hand.loss(), 1e-4):
        likely = "one maximum was subtracted for all pixels; log_softmax takes each pixel's own"
        wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_without_weights_is_the_mean_over_the_valid_pixels() -> None:
    logits, target = a_batch()
    hand = ByHand(logits, target, None)
    check_loss(WeightedCrossEntropy(), logits, target, hand, "no weights")


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("seed", [1, 2])
def test_5_2_loss_is_divided_by_the_sum_of_the_weights(seed: int) -> None:
    logits, target = a_batch(seed=seed)
    hand = ByHand(logits, target, WEIGHTS)
    check_loss(make("5.2", WEIGHTS, 0.0), logits, target, hand, f"weights {WEIGHTS}")


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    check_other_ignore_index("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_takes_any_target_and_leaves_it_alone() -> None:
    check_target_types("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_of_thin_pictures() -> None:
    check_thin_pictures("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_exact_for_extreme_logits() -> None:
    check_extremes("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_2_gradient_is_softmax_minus_truth(weights: list[float] | None) -> None:
    logits, target = a_batch(seed=4)
    hand = ByHand(logits, target, weights)
    check_gradient(make("5.2", weights, 0.0), logits, target, hand, f"weights {weights}")


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_zero_where_nothing_counts() -> None:
    check_nothing_counted("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_weights_matter_by_their_ratios_alone() -> None:
    check_weights("5.2", 0.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [2.0, 0.5, 1.0, 3.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_focal_loss_follows_the_formula(gamma: float, weights: list[float] | None) -> None:
    logits, target = a_batch()
    hand = ByHand(logits, target, weights, gamma)
    given = f"γ = {gamma:g}, weights {weights}"
    check_loss(make("5.3", weights, gamma), logits, target, hand, given)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_has_gamma_two_by_default() -> None:
    logits, target = a_batch(seed=2)
    hand = ByHand(logits, target, WEIGHTS, 2.0)
    check_loss(FocalLoss(weights=buffer_of(WEIGHTS)), logits, target, hand, "no gamma, so γ = 2")
    check_loss(FocalLoss(), logits, target, ByHand(logits, target, None, 2.0), "FocalLoss()")


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_gamma_zero_is_the_weighted_cross_entropy(weights: list[float] | None) -> None:
    logits, target = a_batch(seed=8)
    hand, criterion = ByHand(logits, target, weights, 0.0), make("5.3", weights, 0.0)
    check_loss(criterion, logits, target, hand, f"γ = 0, weights {weights}")
    check_gradient(criterion, logits, target, hand, f"γ = 0, weights {weights}")


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    check_other_ignore_index("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_takes_any_target_and_leaves_it_alone() -> None:
    check_target_types("5.3", 1.5)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_of_thin_pictures() -> None:
    check_thin_pictures("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_5_3_focal_loss_is_exact_for_extreme_logits(gamma: float) -> None:
    check_extremes("5.3", gamma)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize(("gamma", "weights"), [(2.0, None), (2.0, WEIGHTS), (0.5, WEIGHTS)])
def test_5_3_factor_takes_part_in_the_gradient(gamma: float, weights: list[float] | None) -> None:
    logits, target = a_batch(seed=9)
    hand = ByHand(logits, target, weights, gamma)
    given = f"γ = {gamma:g}, weights {weights}"
    check_gradient(make("5.3", weights, gamma), logits, target, hand, given)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_is_zero_where_nothing_counts() -> None:
    check_nothing_counted("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_weights_matter_by_their_ratios_alone() -> None:
    check_weights("5.3", 2.0)
