"""Class weights and losses: closed forms, PyTorch as an oracle, and the edges of float32."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zoo
from losses import (
    CLASS_WEIGHTS,
    LOSSES,
    FocalLoss,
    WeightedCrossEntropy,
    build_loss,
    class_weights,
)
from utils import LabError

COUNTS = torch.tensor([600, 300, 90, 0, 10])


def a_batch(seed=0, num_classes=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, num_classes, 6, 7, generator=generator, dtype=dtype)
    target = torch.randint(num_classes, (2, 6, 7), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.3] = 255
    return logits, target


def all_losses(weights=None):
    return [
        WeightedCrossEntropy(weights),
        FocalLoss(2.0, weights),
        FocalLoss(0.5, weights),
        FocalLoss(0.0, weights),
    ]


def focal_pixel_by_pixel(logits, target, weights, gamma):
    """Lin et al., equation 5, one pixel after the other, on the softmax."""
    numerator, denominator = 0.0, 0.0
    for b in range(target.shape[0]):
        for i in range(target.shape[1]):
            for j in range(target.shape[2]):
                k = target[b, i, j].item()
                if k != 255:
                    p = torch.softmax(logits[b, :, i, j], dim=0)[k]
                    numerator = numerator - weights[k] * (1 - p) ** gamma * torch.log(p)
                    denominator = denominator + weights[k]
    return numerator / denominator


@pytest.mark.parametrize("strategy", CLASS_WEIGHTS)
def test_class_weights_have_mean_one_over_present_classes(strategy):
    weights = class_weights(COUNTS, strategy)
    assert weights.shape == (5,) and weights.dtype == torch.float32
    assert weights[3] == 0
    assert weights[COUNTS > 0].mean().item() == pytest.approx(1.0, abs=1e-6)
    assert weights[4] >= weights[2] >= weights[1] >= weights[0] > 0


@pytest.mark.parametrize(
    ("strategy", "ratio"), [("none", 1), ("inverse", 60), ("sqrt", 60**0.5), ("median", 60)]
)
def test_class_weights_ratio_follows_the_formula(strategy, ratio):
    weights = class_weights(COUNTS, strategy)
    assert (weights[4] / weights[0]).item() == pytest.approx(ratio, rel=1e-5)


def test_class_weights_effective_number_equals_the_paper():
    beta = 0.999
    raw = (1 - beta) / (1 - beta ** np.array([600.0, 300.0, 90.0, 10.0]))
    expected = raw / raw.mean()
    assert np.allclose(class_weights([600, 300, 90, 10], "effective", beta), expected, rtol=1e-5)
    total = 1000.0
    beta = (total - 1) / total
    raw = (1 - beta) / (1 - beta ** np.array([600.0, 300.0, 90.0, 10.0]))
    assert np.allclose(class_weights([600, 300, 90, 10], "effective"), raw / raw.mean(), rtol=1e-5)


def test_class_weights_effective_number_keeps_its_digits_for_billions_of_pixels():
    counts = np.array([6_000_000_000, 30_000_000, 1_000])
    weights = class_weights(counts, "effective")
    assert torch.isfinite(weights).all() and weights[2] > weights[1] > weights[0] > 0


def test_class_weights_take_arrays_and_lists():
    for counts in ([1, 2], np.array([1, 2]), torch.tensor([1, 2])):
        assert torch.equal(class_weights(counts, "inverse"), class_weights([1, 2], "inverse"))


@pytest.mark.parametrize(
    ("counts", "strategy", "beta", "word"),
    [
        ([1, 2], "square", None, "inverse"),
        ([0, 0], "inverse", None, "void"),
        ([-1, 2], "inverse", None, "≥ 0"),
        ([[1, 2]], "inverse", None, "each class"),
        ([1, 2], "effective", 1.0, "beta"),
    ],
)
def test_class_weights_reject_what_cannot_be(counts, strategy, beta, word):
    with pytest.raises(LabError, match=word):
        class_weights(counts, strategy, beta)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.2, 1.0, 3.0, 0.0, 0.8])])
@pytest.mark.parametrize("seed", range(3))
def test_weighted_cross_entropy_equals_pytorch(weights, seed):
    logits, target = a_batch(seed)
    weight = None if weights is None else weights.double()
    expected = F.cross_entropy(logits, target, weight=weight, ignore_index=255)
    assert WeightedCrossEntropy(weights)(logits, target).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_equals_the_formula_with_its_gradient(gamma):
    weights = torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])
    logits, target = a_batch()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = FocalLoss(gamma, weights)(ours, target)
    expected = focal_pixel_by_pixel(theirs, target, weights.double(), gamma)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    loss.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-7, atol=1e-12)


def test_focal_with_gamma_zero_is_the_weighted_cross_entropy():
    weights = torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])
    logits, target = a_batch(dtype=torch.float32)
    assert torch.equal(
        FocalLoss(0.0, weights)(logits, target), WeightedCrossEntropy(weights)(logits, target)
    )


@pytest.mark.parametrize("criterion", all_losses(torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])))
def test_losses_pass_gradcheck(criterion):
    logits, target = a_batch()
    logits = logits[:, :, :2, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: criterion(x, target[:, :2, :2]), (logits,))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_losses_do_not_change_when_all_weights_are_multiplied(factor):
    weights = torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])
    logits, target = a_batch()
    for plain, scaled in zip(all_losses(weights), all_losses(factor * weights), strict=True):
        assert plain(logits, target).item() == pytest.approx(
            scaled(logits, target).item(), rel=1e-5
        )


@pytest.mark.parametrize("criterion", all_losses(torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])))
def test_losses_ignore_void_in_value_and_gradient(criterion):
    logits, target = a_batch()
    other = torch.where((target == 255).unsqueeze(1), 50.0, logits).requires_grad_()
    loss = criterion(other, target)
    assert loss.item() == pytest.approx(criterion(logits, target).item(), rel=1e-12)
    loss.backward()
    void = (target == 255).unsqueeze(1).expand_as(other)
    assert other.grad[void].abs().sum() == 0 and other.grad[~void].abs().sum() > 0


@pytest.mark.parametrize("criterion", [*all_losses(), *all_losses(torch.tensor([0.0, 1, 1, 1, 1]))])
def test_losses_of_nothing_are_zero_with_zero_gradients(criterion):
    logits, target = a_batch(dtype=torch.float32)
    nothing = 255 if criterion.weights is None else 0
    logits.requires_grad_()
    loss = criterion(logits, torch.full_like(target, nothing))
    loss.backward()
    assert loss.item() == 0 and torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("criterion", all_losses())
def test_losses_are_finite_at_a_thousand(criterion):
    logits = (
        torch.tensor([1000.0, -1000.0, 0.0]).view(1, 3, 1, 1).repeat(1, 1, 1, 3).requires_grad_()
    )
    target = torch.tensor([[[0, 1, 2]]])
    loss = criterion(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx((0 + 2000 + 1000) / 3)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("criterion", all_losses())
def test_losses_take_uint8_targets_and_bfloat16_logits(criterion):
    logits, target = a_batch(dtype=torch.float32)
    half = logits.bfloat16()
    expected = criterion(half.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        loss = criterion(half, target.to(torch.uint8))
    assert loss.dtype == torch.float32 and torch.equal(loss, expected)


@pytest.mark.parametrize("criterion", all_losses())
def test_losses_fall_as_the_prediction_gets_better(criterion):
    _, target = a_batch()
    truth = F.one_hot(target.where(target != 255, 0), 5).permute(0, 3, 1, 2).double()
    values = [criterion(scale * truth, target).item() for scale in (-2, 0, 1, 4, 9)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 5


@pytest.mark.parametrize("criterion", all_losses(torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])))
def test_losses_of_batches_join_to_that_of_the_whole(criterion):
    logits, target = a_batch()
    parts = [
        (criterion(x, t), criterion.denominator(t))
        for x, t in zip(logits.split(1), target.split(1), strict=True)
    ]
    joined = sum(loss * weight for loss, weight in parts) / sum(weight for _, weight in parts)
    assert joined.item() == pytest.approx(criterion(logits, target).item(), rel=1e-6)


def test_weights_are_buffers_and_the_ignore_index_is_free():
    criterion = WeightedCrossEntropy(torch.ones(5))
    assert [name for name, _ in criterion.named_buffers()] == ["weights"]
    logits, target = a_batch()
    other = torch.where(target == 255, -100, target)
    a, b = (
        WeightedCrossEntropy(ignore_index=-100)(logits, other),
        WeightedCrossEntropy()(logits, target),
    )
    assert torch.equal(a, b)


def test_build_loss_gives_each_name_its_loss():
    assert set(LOSSES) == {"ce", "wce", "focal", *zoo.LOSSES}
    assert all(isinstance(build_loss(name), nn.Module) for name in LOSSES)
    focal = build_loss("focal", torch.ones(3), gamma=1.5)
    assert isinstance(focal, FocalLoss) and focal.gamma == 1.5
    assert build_loss("wce", torch.ones(3)).weights.tolist() == [1, 1, 1]


def test_the_zoos_losses_are_imported_when_one_is_built():
    script = (
        "import sys, losses\n"
        "losses.build_loss('focal')\nassert 'zoo.losses' not in sys.modules\n"
        "losses.build_loss('dice')\nassert 'zoo.losses' in sys.modules\n"
    )
    lab = Path(zoo.__file__).parent.parent
    subprocess.run([sys.executable, "-c", script], cwd=lab, check=True)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: build_loss("huber"), "ce, wce, focal"),
        (lambda: build_loss("ce", torch.ones(3)), "no class weights; use wce"),
        (lambda: build_loss("rmi", torch.ones(3)), "no class weights; use wrmi"),
        (lambda: FocalLoss(-1.0), "gamma"),
    ],
)
def test_build_loss_says_what_is_wrong(call, word):
    with pytest.raises(LabError, match=word):
        call()
