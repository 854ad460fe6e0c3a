"""The zoo's losses: one convention for all of them, and each against its reference or a loop."""

import math

import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp_losses
import torch
import torch.nn.functional as F
import torchmetrics.functional.classification as torchmetrics

import losses
import zoo
from utils import LabError
from zoo.losses import LOSSES as ZOO
from zoo.losses import (
    DiceCrossEntropyLoss,
    DiceLoss,
    DiceTopKLoss,
    LovaszLoss,
    MatthewsLoss,
    RegionMutualInformationLoss,
    TopKLoss,
    TverskyLoss,
)

ALL = {**losses.LOSSES, **ZOO}
NAMES = tuple(ALL)
ZOO_NAMES = ("topk", "dice", "dice_ce", "dice_topk", "tversky", "lovasz", "mcc", "rmi", "wrmi")
REGIONAL = ("rmi", "wrmi")  # image by image, and not 0 for the truth itself
WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.5, 0.8])

each_loss = pytest.mark.parametrize("name", NAMES)
with_and_without_weights = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])


def a_batch(seed=0, size=(21, 26), dtype=torch.float64):
    """Logits and a target in which class 3 is absent and a third is void, whole cells too."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 5, *size, generator=generator, dtype=dtype)
    coarse = torch.randint(4, (2, 1, -(-size[0] // 5), -(-size[1] // 5)), generator=generator)
    target = F.interpolate(coarse.float(), scale_factor=5)[:, 0, : size[0], : size[1]].long()
    target[target == 3] = 4
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    target[0, :9, :10] = 255
    return logits, target


def value_and_gradient(criterion, logits, target):
    logits = logits.detach().clone().requires_grad_()
    loss = criterion(logits, target)
    assert loss.shape == ()
    loss.backward()
    return loss.detach(), logits.grad


def pixels(logits, target):
    """(softmax (K,), class) of each valid pixel."""
    probabilities = logits.softmax(dim=1).permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    return [
        (p, k) for p, k in zip(probabilities, target.flatten().tolist(), strict=True) if k != 255
    ]


def one_class_mean(class_losses, target, weights):
    """Σ w·loss / Σ w over the classes in the target."""
    present = [k for k in target.unique().tolist() if k != 255]
    weights = torch.ones(len(class_losses)) if weights is None else weights
    total = sum(weights[k].double() for k in present)
    return sum(weights[k].double() * class_losses[k] for k in present) / total


# ---- the convention ----


@each_loss
@with_and_without_weights
def test_losses_ignore_void_in_value_and_gradient(name, weights):
    logits, target = a_batch()
    criterion = ALL[name](weights=weights)
    void = (target == 255).unsqueeze(1).expand_as(logits)
    expected, expected_gradient = value_and_gradient(criterion, logits, target)
    assert expected_gradient[void].abs().sum() == 0
    assert (expected_gradient[~void] != 0).any()
    signs = torch.tensor([1, -1, 1, -1, 0]).view(1, 5, 1, 1)
    for other in (1e4 * signs, 50.0, -1000.0):
        loss, gradient = value_and_gradient(criterion, logits.where(~void, other), target)
        assert torch.equal(loss, expected) and torch.equal(gradient, expected_gradient)


@each_loss
@with_and_without_weights
def test_losses_do_not_change_when_void_is_added(name, weights):
    logits, target = a_batch(size=(20, 24))
    criterion = ALL[name](weights=weights)
    expected, expected_gradient = value_and_gradient(criterion, logits, target)
    border = [F.pad(x, (0, 8, 0, 4), value=y) for x, y in ((logits, 7.0), (target, 255))]
    image = [
        torch.cat([x, y.expand_as(x[:1])])
        for x, y in ((logits, torch.tensor(7.0)), (target, torch.tensor(255)))
    ]
    for more_logits, more_target in (border, image):
        loss, gradient = value_and_gradient(criterion, more_logits, more_target)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        assert torch.allclose(gradient[:2, :, :20, :24], expected_gradient, rtol=1e-9, atol=1e-14)


@each_loss
@with_and_without_weights
def test_losses_leave_absent_classes_out(name, weights):
    logits, target = a_batch()
    expected = ALL[name](weights=weights)(logits, target).item()
    impossible = torch.full_like(logits[:, :1], -1000)
    more_weights = None if weights is None else torch.cat([weights, torch.tensor([100.0])])
    loss = ALL[name](weights=more_weights)(torch.cat([logits, impossible], dim=1), target)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    if weights is not None:
        weights = weights.clone()
        weights[3] = 100  # the absent class
        assert ALL[name](weights=weights)(logits, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REGIONAL])
@with_and_without_weights
def test_losses_take_the_batch_for_one_set_of_pixels(name, weights):
    logits, target = a_batch()
    criterion = ALL[name](weights=weights)
    order = torch.randperm(target.numel(), generator=torch.Generator().manual_seed(1))
    flat_logits = logits.transpose(0, 1).flatten(1)[:, order].view(1, 5, 1, -1)
    flat_target = target.flatten()[order].view(1, 1, -1)
    assert criterion(flat_logits, flat_target).item() == pytest.approx(
        criterion(logits, target).item(), rel=1e-12
    )


@each_loss
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_losses_do_not_change_when_all_weights_are_multiplied(name, factor):
    logits, target = a_batch()
    plain, scaled = ALL[name](weights=WEIGHTS), ALL[name](weights=factor * WEIGHTS)
    expected, expected_gradient = value_and_gradient(plain, logits, target)
    loss, gradient = value_and_gradient(scaled, logits, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-9)
    ones = ALL[name](weights=torch.full((5,), factor))(logits, target)
    without = ALL[name]()(logits, target)
    assert ones.item() == pytest.approx(without.item(), rel=1e-5)
    assert abs(expected.item() - without.item()) > 1e-3  # the weights count


@each_loss
@with_and_without_weights
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_float32_inside_under_autocast(name, weights, dtype):
    logits, target = a_batch(dtype=torch.float32)
    criterion = ALL[name](weights=weights)
    half = logits.to(dtype).requires_grad_()
    expected = criterion(half.detach().float(), target)
    with torch.autocast("cpu", dtype):
        loss = criterion(half, target)
        loss_of_float32 = criterion(half.detach().float(), target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected) and torch.equal(loss_of_float32, expected)
    loss.backward()
    assert half.grad.dtype == dtype and torch.isfinite(half.grad).all()


@each_loss
def test_losses_in_float32_are_near_those_in_float64(name):
    logits, target = a_batch()
    expected, expected_gradient = value_and_gradient(ALL[name](), logits, target)
    loss, gradient = value_and_gradient(ALL[name](), logits.float(), target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient.double(), expected_gradient, rtol=1e-3, atol=1e-7)


@each_loss
@with_and_without_weights
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_are_finite_at_a_thousand(name, weights, dtype):
    generator = torch.Generator().manual_seed(0)
    logits, target = a_batch(dtype=dtype)
    criterion = ALL[name](weights=weights)
    at_random = torch.randint(-1, 2, logits.shape, generator=generator)
    truth = F.one_hot(target.where(target != 255, 0), 5).permute(0, 3, 1, 2)
    everywhere_one = torch.tensor([0, 0, 1, 0, 0]).view(1, 5, 1, 1).expand_as(logits)
    for signs in (at_random, 2 * truth - 1, 1 - 2 * truth, everywhere_one):
        loss, gradient = value_and_gradient(criterion, 1000 * signs.to(dtype), target)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


@each_loss
@with_and_without_weights
def test_losses_of_nothing_are_zero_with_zero_gradients(name, weights):
    logits, target = a_batch(dtype=torch.float32)
    void = torch.full_like(target, 255)
    loss, gradient = value_and_gradient(ALL[name](weights=weights), logits, void)
    assert loss.item() == 0 and torch.equal(gradient, torch.zeros_like(logits))


@each_loss
def test_losses_of_weightless_pixels_are_zero_with_zero_gradients(name):
    logits, target = a_batch(dtype=torch.float32)
    criterion = ALL[name](weights=torch.tensor([0.0, 1, 1, 1, 1]))
    loss, gradient = value_and_gradient(criterion, logits, torch.zeros_like(target))
    assert loss.item() == 0 and torch.equal(gradient, torch.zeros_like(logits))


@each_loss
@with_and_without_weights
def test_losses_fall_as_the_prediction_gets_better(name, weights):
    noise, target = a_batch()
    truth = 2 * F.one_hot(target.where(target != 255, 0), 5).permute(0, 3, 1, 2).double() - 1
    criterion = ALL[name](weights=weights)
    values = [criterion(noise + scale * truth, target).item() for scale in (-2, 0, 1, 4, 9, 15)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 6
    assert 0 <= values[-1] < (0.1 if name in REGIONAL else 1e-3) * values[0]


@each_loss
@with_and_without_weights
def test_losses_fall_along_their_gradient(name, weights):
    logits, target = a_batch(dtype=torch.float32)
    criterion = ALL[name](weights=weights)
    loss, gradient = value_and_gradient(criterion, logits, target)
    step = 1e-2 * gradient / gradient.norm()
    assert criterion(logits - step, target) < loss


@each_loss
@with_and_without_weights
def test_losses_pass_gradcheck(name, weights):
    logits, target = a_batch(size=(9, 11))
    logits, target = logits[1:, :3].clone().requires_grad_(), target[1:]
    target = torch.where(target == 4, 1, target)
    criterion = ALL[name](weights=None if weights is None else weights[:3])
    assert torch.autograd.gradcheck(lambda x: criterion(x, target), (logits,), atol=1e-7)


@each_loss
@with_and_without_weights
def test_losses_take_uint8_as_int64(name, weights):
    logits, target = a_batch()
    criterion = ALL[name](weights=weights)
    before = target.clone()
    expected = value_and_gradient(criterion, logits, target)
    result = value_and_gradient(criterion, logits, target.to(torch.uint8))
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))
    assert torch.equal(target, before)


@each_loss
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (12, 13), (37, 5)])
def test_losses_take_a_batch_of_one_at_any_size(name, size):
    logits, target = a_batch(size=size)
    for valid in (target[1:], torch.full_like(target[1:], 2)):
        loss, gradient = value_and_gradient(ALL[name](weights=WEIGHTS), logits[1:], valid)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


@each_loss
def test_losses_take_layouts_that_are_not_contiguous(name):
    logits, target = a_batch()
    expected = ALL[name]()(logits, target).item()
    channels_last = logits.contiguous(memory_format=torch.channels_last)
    turned = target.mT.contiguous().mT
    assert ALL[name]()(channels_last, turned).item() == pytest.approx(expected, rel=1e-12)


@each_loss
@pytest.mark.parametrize("ignore_index", [-100, 3, 254])
def test_losses_take_any_ignore_index(name, ignore_index):
    logits, target = a_batch()
    criterion = ALL[name](weights=WEIGHTS, ignore_index=ignore_index)
    expected = value_and_gradient(ALL[name](weights=WEIGHTS), logits, target)
    result = value_and_gradient(criterion, logits, target.where(target != 255, ignore_index))
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@each_loss
@pytest.mark.parametrize("wrong", [5, 33, -1])
def test_losses_refuse_ids_of_no_class(name, wrong):
    """As label ids in the place of train ids would be: they are not silently left out."""
    logits, target = a_batch()
    target[1, 4, 5] = wrong
    with pytest.raises((IndexError, RuntimeError), match=f"{wrong} is out of bounds"):
        ALL[name]()(logits, target)


@each_loss
def test_losses_of_nan_are_nan_and_no_error(name):
    logits, target = a_batch()
    assert torch.isnan(ALL[name]()(torch.full_like(logits, math.nan), target))


@each_loss
def test_losses_have_their_weights_as_the_only_state(name):
    criterion = ALL[name](weights=WEIGHTS)
    assert list(criterion.state_dict()) == ["weights"] and not list(criterion.parameters())
    assert list(ALL[name]().state_dict()) == []


def test_registry_has_the_names_of_the_losses():
    assert tuple(ZOO) == tuple(zoo.LOSSES) == ZOO_NAMES


@pytest.mark.parametrize("name", ["ce", "wce", "focal", "topk"])
def test_pixel_losses_tell_their_denominator(name):
    _, target = a_batch()
    for weights, expected in (
        (None, (target != 255).sum()),
        (WEIGHTS, WEIGHTS[target[target != 255]].sum()),
    ):
        denominator = ALL[name](weights=weights).denominator(target)
        assert denominator.item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: TopKLoss(percent=0), "100 %"),
        (lambda: TopKLoss(percent=101), "100 %"),
        (lambda: DiceTopKLoss(percent=math.nan), "100 %"),
        (lambda: DiceCrossEntropyLoss(pixel_factor=-1), "factor"),
        (lambda: TverskyLoss(alpha=-0.1), "alpha"),
        (lambda: TverskyLoss(alpha=0, beta=0), "beta"),
        (lambda: RegionMutualInformationLoss(radius=0), "radius"),
        (lambda: RegionMutualInformationLoss(downsample=0), "downsample"),
        (lambda: RegionMutualInformationLoss(share=1.5), "share"),
    ],
)
def test_losses_reject_options_out_of_range(call, word):
    with pytest.raises(LabError, match=word):
        call()


# ---- the hardest pixels ----


@with_and_without_weights
@pytest.mark.parametrize("percent", [0.01, 3.7, 10, 60, 99.9, 100])
def test_topk_equals_a_loop_over_the_sorted_pixels(weights, percent):
    logits, target = a_batch()
    logits[:, 0] -= 8  # the hardest pixels are light ones
    w = torch.ones(5) if weights is None else weights
    ranked = sorted(((-p[k].log(), w[k].double()) for p, k in pixels(logits, target)), reverse=True)
    budget = percent / 100 * sum(weight for _, weight in ranked)
    left, numerator = budget, 0.0
    for cross_entropy, weight in ranked:
        counted = min(weight, left)
        numerator += counted * cross_entropy
        left = left - counted
    loss = TopKLoss(weights, percent=percent)(logits, target)
    assert loss.item() == pytest.approx((numerator / budget).item(), rel=1e-6)


def test_topk_of_whole_pixels_is_the_mean_of_the_largest():
    logits, target = a_batch()
    cross_entropy = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    valid = (target != 255).sum().item()
    expected = cross_entropy.flatten().topk(valid // 4).values.mean()
    percent = 100 * (valid // 4) / valid
    assert TopKLoss(percent=percent)(logits, target).item() == pytest.approx(expected.item())


@with_and_without_weights
def test_topk_of_all_pixels_is_pytorchs_cross_entropy(weights):
    logits, target = a_batch()
    weight = None if weights is None else weights.double()
    expected = F.cross_entropy(logits, target, weight=weight, ignore_index=255)
    for percent in (100, 100 - 1e-9):
        loss = TopKLoss(weights, percent=percent)(logits, target)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-7)


# ---- Dice and Tversky ----


@with_and_without_weights
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1, 1), (1, 0)])
def test_tversky_equals_segmentation_models_and_a_loop(weights, alpha, beta):
    logits, target = a_batch()
    loss = TverskyLoss(weights, alpha=alpha, beta=beta)(logits, target).item()
    options = {"ignore_index": 255, "alpha": alpha, "beta": beta}
    if weights is not None:
        options["class_weights"] = weights.double()
    oracle = smp_losses.TverskyLoss("multiclass", classes=[0, 1, 2, 4], **options)
    assert loss == pytest.approx(oracle(logits, target).item(), rel=1e-7)  # weights in float32
    right, too_much, missed = torch.zeros(3, 5, dtype=torch.float64)
    for p, k in pixels(logits, target):
        right[k] += p[k]
        missed[k] += 1 - p[k]
        too_much += p
        too_much[k] -= p[k]
    class_losses = 1 - right / (right + alpha * too_much + beta * missed)
    expected = one_class_mean(class_losses, target, weights)
    assert loss == pytest.approx(expected.item(), rel=1e-10)


@with_and_without_weights
def test_dice_equals_segmentation_models(weights):
    logits, target = a_batch()
    options = {} if weights is None else {"class_weights": weights.double()}
    oracle = smp_losses.DiceLoss("multiclass", classes=[0, 1, 2, 4], ignore_index=255, **options)
    loss = DiceLoss(weights)(logits, target)
    assert loss.item() == pytest.approx(oracle(logits, target).item(), rel=1e-7)
    assert torch.equal(loss, TverskyLoss(weights, alpha=0.5, beta=0.5)(logits, target))


MONAI = {"softmax": True, "to_onehot_y": True, "batch": True, "smooth_nr": 0, "smooth_dr": 0}


def all_present():
    logits, target = a_batch()
    return logits, torch.where(target == 255, 3, target)


def test_dice_and_tversky_equal_monai():
    logits, target = all_present()
    for ours, oracle in (
        (DiceLoss(), monai.losses.DiceLoss(**MONAI)),
        (TverskyLoss(), monai.losses.TverskyLoss(alpha=0.3, beta=0.7, **MONAI)),
        (DiceCrossEntropyLoss(), monai.losses.DiceCELoss(**MONAI)),
        (DiceCrossEntropyLoss(pixel_factor=2.5), monai.losses.DiceCELoss(lambda_ce=2.5, **MONAI)),
    ):
        expected = oracle(logits, target.unsqueeze(1)).item()
        assert ours(logits, target).item() == pytest.approx(expected, rel=1e-10)


@with_and_without_weights
def test_dice_sums_are_the_sums_of_their_parts(weights):
    logits, target = a_batch()
    dice = DiceLoss(weights)(logits, target)
    cross_entropy = losses.WeightedCrossEntropy(weights)(logits, target)
    hardest = TopKLoss(weights, percent=10)(logits, target)
    assert DiceCrossEntropyLoss(weights)(logits, target).item() == pytest.approx(
        (dice + cross_entropy).item()
    )
    assert DiceTopKLoss(weights)(logits, target).item() == pytest.approx((dice + hardest).item())


def test_dice_keeps_the_digits_of_a_nearly_right_prediction():
    _, target = a_batch()
    truth = F.one_hot(target.where(target != 255, 0), 5).permute(0, 3, 1, 2).float()
    expected = DiceLoss()(12 * truth.double(), target).item()
    assert 0 < expected < 1e-4
    assert DiceLoss()(12 * truth, target).item() == pytest.approx(expected, rel=1e-2)


# ---- Lovász ----


@with_and_without_weights
def test_lovasz_equals_a_loop_over_growing_sets_of_wrong_pixels(weights):
    logits, target = a_batch(size=(9, 10))
    valid = pixels(logits, target)
    class_losses = [0.0] * 5
    for k in {k for _, k in valid}:
        truth = {i for i, (_, j) in enumerate(valid) if j == k}
        errors = [abs(int(j == k) - p[k]) for p, j in valid]
        wrong, before = set(), 0.0
        for i in sorted(range(len(valid)), key=lambda i: -errors[i]):
            wrong.add(i)
            jaccard_loss = 1 - len(truth - wrong) / len(truth | wrong)
            class_losses[k] += errors[i] * (jaccard_loss - before)
            before = jaccard_loss
    expected = one_class_mean(class_losses, target, weights)
    loss = LovaszLoss(weights)(logits, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)


def test_lovasz_equals_segmentation_models_with_its_gradient():
    logits, target = a_batch(dtype=torch.float32)  # the oracle knows nothing else
    oracle = smp_losses.LovaszLoss("multiclass", ignore_index=255)
    expected, expected_gradient = value_and_gradient(oracle, logits, target)
    loss, gradient = value_and_gradient(LovaszLoss(), logits, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-7)


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    logits, target = a_batch()
    matrix = torch.zeros(5, 5, dtype=torch.int64)
    for p, k in pixels(logits, target):
        matrix[k, p.argmax()] += 1
    iou = matrix.diag() / (matrix.sum(0) + matrix.sum(1) - matrix.diag())
    hard = 1000 * F.one_hot(logits.argmax(dim=1), 5).permute(0, 3, 1, 2).double()
    expected = one_class_mean(1 - iou, target, None)
    assert LovaszLoss()(hard, target).item() == pytest.approx(expected.item(), rel=1e-6)


# ---- Matthews ----


@with_and_without_weights
def test_matthews_equals_gorodkins_formula_on_the_soft_matrix(weights):
    logits, target = a_batch()
    matrix = torch.zeros(5, 5, dtype=torch.float64)
    for p, k in pixels(logits, target):
        matrix[k] += (1 if weights is None else weights[k].double()) * p
    total, actual, predicted = matrix.sum(), matrix.sum(dim=1), matrix.sum(dim=0)
    numerator = total * matrix.trace() - actual @ predicted
    squares = (total**2 - predicted @ predicted) * (total**2 - actual @ actual)
    expected = 1 - numerator / squares.sqrt()
    assert MatthewsLoss(weights)(logits, target).item() == pytest.approx(expected.item(), rel=1e-9)


def test_matthews_of_hard_predictions_equals_torchmetrics():
    logits, target = a_batch()
    hard = 1000 * F.one_hot(logits.argmax(dim=1), 5).permute(0, 3, 1, 2).double()
    expected = torchmetrics.multiclass_matthews_corrcoef(
        logits.argmax(dim=1), target, num_classes=5, ignore_index=255
    )
    assert MatthewsLoss()(hard, target).item() == pytest.approx(1 - expected.item(), abs=1e-6)


def test_matthews_of_two_classes_equals_segmentation_models_and_monai():
    logits, target = all_present()
    logits, target = logits[:, :2], (target > 1).long()
    loss = MatthewsLoss()(logits, target).item()
    oracle = smp_losses.MCCLoss(eps=0)
    assert loss == pytest.approx(oracle(logits.softmax(dim=1)[:, 1], target).item(), rel=1e-9)
    options = {**MONAI, "smooth_nr": 0.0, "smooth_dr": 0.0}
    oracle = monai.losses.MCCLoss(**options)
    assert loss == pytest.approx(oracle(logits, target.unsqueeze(1)).item(), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matthews_of_one_class_in_the_truth_is_one_without_gradient(dtype):
    logits, target = a_batch(dtype=dtype)
    one = torch.where(target == 255, 255, 2)
    loss, gradient = value_and_gradient(MatthewsLoss(), logits, one)
    assert loss.item() == pytest.approx(1, abs=1e-5)
    assert gradient.abs().max() < 1e-6


# ---- region mutual information ----


def cell_mean(values, valid, i, j, side):
    """The mean of the valid pixels of cell (i, j), or None."""
    rows, columns = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
    chosen = values[rows, columns][valid[rows, columns]]
    return chosen.mean() if len(chosen) else None


def region_vectors(values, valid, radius, side):
    """(N, radius²): the cells of each region that has no void cell."""
    height, width = (-(-length // side) for length in values.shape)
    cells = [[cell_mean(values, valid, i, j, side) for j in range(width)] for i in range(height)]
    found = []
    for top in range(height - radius + 1):
        for left in range(width - radius + 1):
            region = [cells[top + i][left + j] for i in range(radius) for j in range(radius)]
            if all(cell is not None for cell in region):
                found.append(torch.stack(region))
    return torch.stack(found) if found else torch.zeros(1, radius**2, dtype=values.dtype)


def entropy_after_prediction(truth, prediction, diagonal=5e-4):
    """½ log det(Σ_y - Cov(y, p) Σ_p⁻¹ Cov(y, p)ᵀ) / radius², over that of the diagonal alone."""
    y, p = truth - truth.mean(dim=0), prediction - prediction.mean(dim=0)
    identity = torch.eye(y.shape[1], dtype=y.dtype)
    inverse = torch.linalg.inv(p.T @ p + diagonal * identity)
    unknown = y.T @ y - (y.T @ p) @ inverse @ (y.T @ p).T
    return 0.5 * torch.logdet(unknown / diagonal + identity) / y.shape[1]


@with_and_without_weights
@pytest.mark.parametrize(("radius", "downsample"), [(3, 4), (3, 1), (2, 3), (1, 2)])
def test_rmi_equals_a_loop_over_images_classes_and_regions(weights, radius, downsample):
    logits, target = a_batch()
    w = torch.ones(5) if weights is None else weights
    w = w.double()
    present = [0, 1, 2, 4]
    expected = 0.0
    for image, ids in zip(logits.sigmoid(), target, strict=True):
        for k in present:
            truth, prediction = (
                region_vectors(values, ids != 255, radius, downsample)
                for values in ((ids == k).double(), image[k])
            )
            expected += w[k] / w[present].mean() * entropy_after_prediction(truth, prediction) / 2
    options = {"radius": radius, "downsample": downsample}
    loss = RegionMutualInformationLoss(weights, share=0, **options)(logits, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-7)


@with_and_without_weights
def test_rmi_adds_the_binary_cross_entropy_of_all_classes(weights):
    logits, target = a_batch()
    w = torch.ones(5) if weights is None else weights
    valid = target != 255
    truth = F.one_hot(target[valid], 5).double()
    flat = logits.permute(0, 2, 3, 1)[valid]
    per_pixel = F.binary_cross_entropy_with_logits(flat, truth, reduction="none").sum(dim=1)
    pixel_weights = w.double()[target[valid]]
    expected = (pixel_weights * per_pixel).sum() / pixel_weights.sum()
    bce = RegionMutualInformationLoss(weights, share=1)(logits, target).item()
    assert bce == pytest.approx(expected.item(), rel=1e-10)
    rmi = RegionMutualInformationLoss(weights, share=0)(logits, target).item()
    both = RegionMutualInformationLoss(weights)(logits, target).item()
    assert both == pytest.approx(0.5 * bce + 0.5 * rmi, rel=1e-10)


def test_rmi_knows_the_same_of_a_prediction_and_its_negative():
    logits, target = a_batch()
    criterion = RegionMutualInformationLoss(share=0)
    assert criterion(-logits, target).item() == pytest.approx(criterion(logits, target).item())


def test_rmi_of_a_picture_without_a_region_is_its_binary_cross_entropy():
    logits, target = a_batch(size=(8, 30))
    bce = RegionMutualInformationLoss(share=1)(logits, target)
    both = RegionMutualInformationLoss(share=0.25)(logits, target)
    assert both.item() == pytest.approx(0.25 * bce.item(), rel=1e-10)


@pytest.mark.parametrize("pixels", [1, 4, 20])
def test_mcc_of_a_perfect_prediction_of_a_rare_class_is_zero(pixels):
    target = torch.zeros(1, 64, 128, dtype=torch.int64)
    target[0, 0, :pixels] = 1
    logits = 100.0 * torch.nn.functional.one_hot(target, 2).permute(0, 3, 1, 2)
    assert losses.build_loss("mcc")(logits, target).item() == pytest.approx(0.0, abs=1e-6)
