"""Further cases of TODO 9.4: the Lovász loss."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.cases.region_losses import check_edges, check_loss
from checks.common import VOID, describe, near
from checks.diagnosis.chapter_9 import (
    WEIGHTS,
    Errors,
    LovaszByHand,
    Pixels,
    a_batch,
    slopes_question,
)
from commands.companion.checking import wrong
from zoo.losses_region import LovaszLoss, lovasz_slopes


def lovasz(x: Pixels) -> nn.Module:
    """The student's Lovász loss."""
    return LovaszLoss(x.class_weights(), ignore_index=x.void)


def slopes_of(x: Errors) -> np.ndarray:
    """The student's slopes of one class, of a picture of one row."""
    errors, is_class = x.arrays()
    maps = torch.from_numpy(np.stack([1 - errors, errors]))[None, :, None]  # (1, 2, 1, N)
    ids = torch.from_numpy(is_class.astype(np.int64))[None, None]
    result = lovasz_slopes(maps, ids)
    if not isinstance(result, Tensor) or result.shape != maps.shape:
        wrong(given="a picture", expected=f"a tensor {tuple(maps.shape)}", got=describe(result))
    return result[0, 1, 0].numpy()


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_slopes_are_what_each_pixel_adds() -> None:
    """The slope of an error is what it adds to the Jaccard loss."""
    random = np.random.default_rng(0)
    some = random.permutation(12) / 12 + 0.01, random.integers(0, 2, 12)
    for errors, flags in (
        ([0.2, 0.9, 0.5, 0.7, 0.1], [1, 0, 1, 0, 0]),
        ([0.3, 0.4, 0.8], [1, 1, 1]),
        (some[0].tolist(), some[1].tolist()),
    ):
        slopes_question(slopes_of).check(Errors(errors, flags))


@pytest.mark.todo("9.4", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", [1, 2])
def test_9_4_lovasz_loss_follows_the_formula(weights: list[float] | None, seed: int) -> None:
    """Loss and gradient of the Lovász loss, with class weights and without."""
    check_loss(lovasz, Pixels(*a_batch(seed=seed), weights), LovaszByHand)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_hard_predictions_cost_one_minus_iou() -> None:
    """For certain predictions the loss is 1 - mean IoU."""
    target = torch.tensor([[[0, 0, 0, 1, 1, VOID]]])
    guess = torch.tensor([[[0, 0, 1, 1, 0, 1]]])
    logits = 1000.0 * nn.functional.one_hot(guess, 3).permute(0, 3, 1, 2).double()
    expected, given = 1 - (2 / 4 + 1 / 3) / 2, "certain logits, IoU 2/4 and 1/3, class 2 absent"
    value = LovaszLoss()(logits, target).item()
    if not near(value, expected):
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}")


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    for void in (0, 7):
        check_loss(lovasz, Pixels(*a_batch(seed=4, void=void), None, void), LovaszByHand)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_at_its_edges() -> None:
    """All void gives 0; logits of ±1000 and uint8 targets are no trouble."""
    check_edges(LovaszLoss, "Lovász")
