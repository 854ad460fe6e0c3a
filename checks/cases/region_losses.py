"""Value, gradient and edges of a loss over regions: what the cases of 9.3 and 9.4 share."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from checks.common import VOID, describe
from checks.diagnosis.chapter_9 import Pixels, a_batch, few, pixels_question, same
from commands.companion.checking import wrong


def numeric_gradient(loss_of: Callable[[np.ndarray], float], logits: np.ndarray) -> np.ndarray:
    """By central differences."""
    gradient, step = np.zeros_like(logits), 1e-6
    for place in np.ndindex(logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        gradient[place] = (loss_of(moved[0]) - loss_of(moved[1])) / (2 * step)
    return gradient


A_SCALAR = "a scalar tensor, from which backward() goes back to the logits"


def scalar_of(criterion: nn.Module, logits: Tensor, target: Tensor, given: str) -> Tensor:
    """The loss, when it is a tensor of one number."""
    loss = criterion(logits, target)
    if not isinstance(loss, Tensor):
        likely = "item(), float() and numpy() cut it off from the logits: keep the tensor"
        wrong(given=given, expected=A_SCALAR, got=describe(loss), likely=likely)
    if loss.shape != ():
        likely = "one number for the whole batch: the mean over the classes is missing"
        wrong(given=given, expected=A_SCALAR, got=describe(loss), likely=likely)
    return loss


def value_and_gradient(
    criterion: nn.Module, logits: Tensor, target: Tensor, given: str
) -> tuple[float, np.ndarray]:
    """The loss as a number, and its gradient for the logits."""
    leaf = logits.detach().clone().requires_grad_()
    loss = scalar_of(criterion, leaf, target, given)
    if loss.requires_grad:
        loss.backward()
    if leaf.grad is None:
        likely = "the loss is cut off from the logits: detach(), argmax, no_grad(), a new tensor"
        got = f"{loss.item():.4g} without a gradient"
        wrong(given=given, expected=A_SCALAR, got=got, likely=likely)
    return loss.item(), leaf.grad.double().numpy()


def check_loss(criterion_of: Callable[[Pixels], nn.Module], x: Pixels, kind: type) -> None:
    """Compares value and gradient with those worked out by hand."""

    def value(x: Pixels) -> float:
        return scalar_of(criterion_of(x), x.logits.clone(), x.target, "a batch").item()

    pixels_question(value, kind, x).check(x)
    given = pixels_question(value, kind, x).given(x)
    hand, criterion = x.by_hand(kind), criterion_of(x)
    _, gradient = value_and_gradient(criterion, x.logits, x.target, given)
    if np.abs(gradient * ~hand.valid[:, None]).max() > 0:
        likely = "void pixels have a gradient: they must change nothing"
        wrong(given=given, expected="0 at void pixels", got="a gradient", likely=likely)
    numeric = numeric_gradient(
        lambda z: x._replace(logits=torch.from_numpy(z)).by_hand(kind).loss(), x.logits.numpy()
    )
    if not same(gradient, numeric, 1e-3):
        likely = "a part of it is detached, or not made of the probabilities"
        likely = likely if np.isfinite(gradient).all() else None
        got = few(gradient)
        wrong(given=f"{given}; the gradient", expected=few(numeric), got=got, likely=likely)


def check_edges(make: Callable[[], nn.Module], what: str) -> None:
    """All void, logits without bounds, half precision, another ignore index."""
    criterion = make()
    logits, target = a_batch()
    given = f"{what}, all pixels void"
    value, gradient = value_and_gradient(criterion, logits, torch.full_like(target, VOID), given)
    if value != 0 or np.abs(gradient).max() > 0 or not np.isfinite(gradient).all():
        likely = "0 / 0: `ratio` divides safely"
        if math.isfinite(value):
            likely = "no class is present, so the mean over the present ones has nothing to add up"
        got = f"{value:.4g} with a gradient up to {np.abs(gradient).max():.4g}"
        wrong(given=given, expected="0 with zero gradients", got=got, likely=likely)
    given = f"{what}, logits of ±1000"
    value, gradient = value_and_gradient(criterion, 1000 * logits.sign(), target, given)
    if not math.isfinite(value) or not np.isfinite(gradient).all():
        wrong(given=given, expected="finite numbers", got=f"{value:.4g}, or nan in the gradient")
    given = f"{what}, uint8 target"
    results = [criterion(logits, each).item() for each in (target, target.to(torch.uint8))]
    if results[0] != results[1]:
        wrong(given=given, expected=f"{results[0]:.6g} as for int64", got=f"{results[1]:.6g}")
