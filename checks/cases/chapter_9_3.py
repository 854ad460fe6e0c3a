"""Further cases of TODO 9.3: the losses of Dice and Tversky."""

import pytest
import torch
from torch import nn

from checks.cases.region_losses import check_edges, check_loss
from checks.common import VOID
from checks.diagnosis.chapter_9 import WEIGHTS, Pixels, TverskyByHand, a_batch
from zoo.losses import DiceLoss, TverskyLoss


def dice(x: Pixels) -> nn.Module:
    """The student's Dice loss."""
    return DiceLoss(x.class_weights(), ignore_index=x.void)


def tversky(x: Pixels) -> nn.Module:
    """The student's Tversky loss."""
    return TverskyLoss(x.class_weights(), alpha=x.alpha, beta=x.beta, ignore_index=x.void)


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", [1, 2])
def test_9_3_dice_loss_follows_the_formula(weights: list[float] | None, seed: int) -> None:
    """Loss and gradient of the Dice loss, with class weights and without."""
    check_loss(dice, Pixels(*a_batch(seed=seed), weights), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (2.0, 0.5), (0.0, 1.0)])
def test_9_3_alpha_is_for_too_much_and_beta_for_missed(alpha: float, beta: float) -> None:
    """alpha weighs false positives, beta false negatives."""
    check_loss(tversky, Pixels(*a_batch(seed=3), None, VOID, alpha, beta), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    for void in (0, 7):
        check_loss(dice, Pixels(*a_batch(seed=4, void=void), None, void), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_at_its_edges() -> None:
    """All void gives 0; logits of ±1000 and uint8 targets are no trouble."""
    check_edges(DiceLoss, "Dice")


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_of_small_classes_is_not_smoothed() -> None:
    """A class of one pixel has its own ratio: no constant is added."""
    logits = torch.tensor([0.0, 3.0, -2.0]).double().view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    target = torch.tensor([[[0, VOID], [VOID, VOID]]])
    check_loss(dice, Pixels(logits, target), TverskyByHand)
