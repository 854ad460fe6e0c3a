"""Further cases of chapter 5: class weights and losses."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.common import VOID, buffer_of, describe, make, near, numbers
from checks.diagnosis.chapter_5 import (
    FORMULAS,
    WEIGHTS,
    ByHand,
    Counted,
    Scored,
    a_batch,
    all_near,
    extreme_question,
    extreme_scored,
    gradient_question,
    loss_question,
    small_scored,
    weights_by_hand,
    weights_question,
)
from commands.companion.checking import wrong
from losses import FocalLoss, class_weights

# ---- 5.1 class weights ---------------------------------------------------------------------------

COUNTS = {
    "two decades": [600, 300, 90, 0, 10],
    "classes without pixels": [0, 0, 0, 700, 0, 250, 50, 0],
    "a rare class": [5_000_000_000, 400_000_000, 0, 3_000],
    "three classes": [7, 1, 2],
}


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_follow_the_formula(strategy: str, kind: str) -> None:
    """The weights of each strategy, for even, uneven and absent classes."""
    weights_question(class_weights, strategy).check(Counted(COUNTS[kind], strategy))


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_take_arrays_and_lists(strategy: str) -> None:
    """Counts may be a list or an array, which stays as it is."""
    counts = [40, 10, 0, 150]
    before = np.array(counts)
    expected = weights_by_hand(counts, FORMULAS[strategy])
    for pixels in (counts, before):
        got = class_weights(pixels, strategy).tolist()
        if not all_near(got, expected):
            given = f"{type(pixels).__name__} {counts}, {strategy}"
            wrong(given=given, expected=numbers(expected), got=numbers(got))
    if before.tolist() != counts:
        wrong(given="counts", expected="the counts as they were", got="they were changed in place")


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_class_weights_are_equal_without_weighting() -> None:
    """`none` gives 1 to each class that has pixels."""
    weights_question(class_weights, "inverse").check(Counted([30, 0, 10], "inverse"))
    got = class_weights(torch.tensor([30, 0, 10]), "none").tolist()
    if not all_near(got, [1.0, 0.0, 1.0]):
        wrong(given="pixels [30, 0, 10], none", expected="[1, 0, 1]", got=numbers(got))


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
def test_5_1_class_weights_by_effective_number(kind: str) -> None:
    """`effective` goes by (1 - β) / (1 - β^n), β from the total count."""
    counts = COUNTS[kind]
    weights_question(class_weights, "inverse").check(Counted(counts, "inverse"))
    log_beta = math.log1p(-1 / sum(counts))  # (1 - β) falls out in the scaling
    raw = [1 / -math.expm1(n * log_beta) if n else 0.0 for n in counts]
    mean = sum(raw) / sum(n > 0 for n in counts)
    expected = [each / mean for each in raw]
    got = class_weights(torch.tensor(counts), "effective").tolist()
    if not all_near(got, expected):
        given = f"pixels {counts}, effective: (1 - β) / (1 - β^n_k) with β = (N - 1) / N"
        wrong(given=given, expected=numbers(expected), got=numbers(got))


# ---- 5.2 and 5.3 the losses ----------------------------------------------------------------------


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


def value_of(number: str, x: Scored) -> float:
    """The loss of the student's class for TODO 5.2 or 5.3."""
    criterion = make(number, x.weights, x.gamma, x.void)
    return loss_and_gradient(criterion, x.logits, x.target, "a batch")[0]


def gradient_of(number: str, x: Scored) -> np.ndarray:
    """The gradient for the logits, of the student's class."""
    criterion = make(number, x.weights, x.gamma, x.void)
    return loss_and_gradient(criterion, x.logits, x.target, "a batch")[1]


def check_loss(number: str, x: Scored) -> None:
    """Compares the value with that computed by hand."""
    loss_question(lambda x: value_of(number, x), bool(x.weights), x.gamma).check(x)


def check_gradient(number: str, x: Scored) -> None:
    """Compares the gradient with the closed form, where the value is right."""
    if not near(value_of(number, x), ByHand(x).loss()):
        return
    gradient_question(lambda x: gradient_of(number, x), bool(x.weights), x.gamma).check(x)


def check_other_ignore_index(number: str, gamma: float) -> None:
    """The void value is what the constructor was given."""
    for void in (254, 4, 0):
        logits, target = a_batch(void=4 if void == 0 else void)
        if void == 0:
            target[target == 4] = 0
        check_loss(number, Scored(logits, target, WEIGHTS, gamma, void))


def check_target_types(number: str, gamma: float) -> None:
    """uint8 and int64 give the same, and nothing given is changed."""
    logits, target = a_batch(seed=3)
    criterion = make(number, WEIGHTS, gamma)
    for ids in (target, target.byte()):
        kept, kept_logits = ids.clone(), logits.clone()
        with torch.no_grad():
            criterion(logits, ids)
        if not torch.equal(ids, kept):
            likely = "target[target == 255] = … writes into the caller's tensor; work on a copy"
            got = f"void pixels became class {ids[kept == VOID].unique().tolist()}"
            wrong(given=ids.dtype, expected="the target as it was", got=got, likely=likely)
        if not torch.equal(logits, kept_logits):
            wrong(given=ids.dtype, expected="the logits as they were", got="changed in place")
        check_loss(number, Scored(logits, ids, WEIGHTS, gamma))


def check_thin_pictures(number: str, gamma: float) -> None:
    """Pictures of one row, of one column, of one pixel, and a single one."""
    for sizes in ((1, 3, 5), (3, 1, 4), (2, 5, 1), (1, 1, 1)):
        check_loss(number, Scored(*a_batch(sizes, seed=5), WEIGHTS, gamma))


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
        loss, gradient = loss_and_gradient(make(number, weights, gamma), logits, ids, given)
        largest = np.abs(gradient).max()
        if not (abs(loss) <= 1e-6 and largest <= 1e-6):
            likely = "0 / 0: the sum of the weights is 0 here; ratio() divides safely"
            likely = likely if math.isnan(loss) else None
            got = f"a loss of {loss:.4g}, gradients up to {largest:.4g}"
            wrong(given=given, expected="a loss of 0 and a gradient of 0", got=got, likely=likely)


def check_weights(number: str, gamma: float) -> None:
    """A class of weight 0, a common factor, and where the weights are kept."""
    logits, target = a_batch(seed=7)
    check_loss(number, Scored(logits, target, [0.0, 2.0, 0.5, 4.0], gamma))
    for factor in (8.0, 0.001, 1e-6):
        scaled = Scored(logits, target, [factor * each for each in WEIGHTS], gamma)
        got, expected = value_of(number, scaled), ByHand(scaled).loss()
        if abs(got - expected) > 1e-4 * expected:
            check_common_factor(number, gamma, factor)
            given = f"weights {WEIGHTS}, all times {factor:g}: a common factor falls out"
            wrong(given=given, expected=f"{expected:.6g}", got=f"{got:.6g}")
    criterion = make(number, WEIGHTS, gamma)
    held = [each.double() for each in criterion.buffers() if each.shape == (4,)]
    expected = torch.tensor(WEIGHTS).double()
    if not any(torch.allclose(each * expected[0], expected * each[0]) for each in held):
        got = f"buffers {[name for name, _ in criterion.named_buffers()]}"
        likely = "register_buffer, so that to(device) takes them along"
        wrong(given="the weights", expected="a registered buffer", got=got, likely=likely)
    if list(criterion.parameters()):
        wrong(given="the loss", expected="nothing to train", got="a parameter")


def check_common_factor(number: str, gamma: float, factor: float) -> None:
    """Fails with the smallest example in which a common factor of the weights matters."""
    for x in small_scored(True, gamma):
        got, expected = value_of(number, x._replace(weights=[factor, 3 * factor])), ByHand(x).loss()
        if abs(got - expected) > 1e-4 * expected:
            given = f"the smallest example that goes wrong: logits {x.logits.tolist()}, target "
            given += f"{x.target.tolist()}, weights [1, 3] times {factor:g}: the factor falls out"
            wrong(given=given, expected=f"{expected:.6g}", got=f"{got:.6g}")


def check_extremes(number: str, gamma: float) -> None:
    """Logits of ±1000: one pixel right, two wrong by far, one void."""
    for weights in (False, True):
        x = extreme_scored(weights, gamma, 0)
        extreme_question(lambda x: value_of(number, x), weights, gamma).check(x)
        gradient, expected = gradient_of(number, x), ByHand(x).gradient()
        if not near(value_of(number, x), ByHand(x).loss(), 1e-4):
            continue
        if not np.allclose(gradient, expected, rtol=0.01, atol=1e-3 * np.abs(expected).max()):
            given = "logits 1000, -1000 and 0; the gradient for the logits"
            likely = None if np.isfinite(gradient).all() else "log_softmax has a finite slope"
            wrong(given=given, expected=numbers(expected), got=numbers(gradient), likely=likely)
    scores = torch.tensor([[1000.0, 2.0], [-1000.0, 1.0], [0.0, 0.0]])  # (K, W)
    x = Scored(scores[None, :, None, :].contiguous(), torch.tensor([[[0, 2]]]), None, gamma)
    got, expected = value_of(number, x), ByHand(x).loss()
    if not abs(got - expected) <= 1e-4 * expected:
        alone = x._replace(logits=x.logits[..., 1:], target=x.target[..., 1:])
        is_fine = abs(value_of(number, alone) - ByHand(alone).loss()) < 1e-4
        likely = "one maximum was subtracted for all pixels; log_softmax takes each pixel's own"
        given = "a pixel with logits (1000, -1000, 0) of class 0 beside one with (2, 1, 0) of 2"
        likely = likely if is_fine else None
        wrong(given=given, expected=f"{expected:.6g}", got=f"{got:.6g}", likely=likely)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_without_weights_is_the_mean_over_the_valid_pixels() -> None:
    """Void pixels are in neither sum nor count of the mean."""
    check_loss("5.2", Scored(*a_batch()))


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("seed", [1, 2])
def test_5_2_loss_is_divided_by_the_sum_of_the_weights(seed: int) -> None:
    """Σ w·CE is divided by Σ w, not by the number of pixels."""
    check_loss("5.2", Scored(*a_batch(seed=seed), WEIGHTS))


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    check_other_ignore_index("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_takes_any_target_and_leaves_it_alone() -> None:
    """Targets may be uint8 or int64, and are not written into."""
    check_target_types("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_of_thin_pictures() -> None:
    """Pictures of one row, one column or one pixel have a loss too."""
    check_thin_pictures("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_exact_for_extreme_logits() -> None:
    """Large logits overflow nowhere: the loss is exact and finite."""
    check_extremes("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_2_gradient_is_softmax_minus_truth(weights: list[float] | None) -> None:
    """The gradient is softmax minus one-hot target, weighted."""
    check_gradient("5.2", Scored(*a_batch(seed=4), weights))


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_zero_where_nothing_counts() -> None:
    """With void or weightless pixels alone, loss and gradient are 0."""
    check_nothing_counted("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_weights_matter_by_their_ratios_alone() -> None:
    """Weights times a constant change nothing; the weights are a buffer."""
    check_weights("5.2", 0.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [2.0, 0.5, 1.0, 3.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_focal_loss_follows_the_formula(gamma: float, weights: list[float] | None) -> None:
    """Σ w·(1 - p)^γ·CE / Σ w, for several γ."""
    check_loss("5.3", Scored(*a_batch(), weights, gamma))


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_has_gamma_two_by_default() -> None:
    """Without gamma, γ is 2."""
    logits, target = a_batch(seed=2)
    for criterion, weights in (
        (FocalLoss(weights=buffer_of(WEIGHTS)), WEIGHTS),
        (FocalLoss(), None),
    ):
        expected = ByHand(Scored(logits, target, weights, 2.0)).loss()
        got = loss_and_gradient(criterion, logits, target, "no gamma, so γ = 2")[0]
        if abs(got - expected) > 1e-5 * expected:
            given = f"FocalLoss without gamma (2 by default), weights {weights}"
            wrong(given=given, expected=f"{expected:.6g}", got=f"{got:.6g}")


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_gamma_zero_is_the_weighted_cross_entropy(weights: list[float] | None) -> None:
    """γ = 0 gives loss and gradient of the weighted cross entropy."""
    check_loss("5.3", Scored(*a_batch(seed=8), weights))
    check_gradient("5.3", Scored(*a_batch(seed=8), weights))


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    check_other_ignore_index("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_takes_any_target_and_leaves_it_alone() -> None:
    """Targets may be uint8 or int64, and are not written into."""
    check_target_types("5.3", 1.5)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_of_thin_pictures() -> None:
    """Pictures of one row, one column or one pixel have a loss too."""
    check_thin_pictures("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_5_3_focal_loss_is_exact_for_extreme_logits(gamma: float) -> None:
    """Large logits overflow nowhere: the loss is exact and finite."""
    check_extremes("5.3", gamma)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize(("gamma", "weights"), [(2.0, None), (2.0, WEIGHTS), (0.5, WEIGHTS)])
def test_5_3_factor_takes_part_in_the_gradient(gamma: float, weights: list[float] | None) -> None:
    """(1 - p)^γ is differentiated too."""
    check_gradient("5.3", Scored(*a_batch(seed=9), weights, gamma))


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_is_zero_where_nothing_counts() -> None:
    """With void or weightless pixels alone, loss and gradient are 0."""
    check_nothing_counted("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_weights_matter_by_their_ratios_alone() -> None:
    """Weights times a constant change nothing; the weights are a buffer."""
    check_weights("5.3", 2.0)
