"""The tests of the optional TODOs, to be read, as those of test_implementation.py."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.blocks import ASPP, ImagePooling
from zoo.losses import DiceLoss, TverskyLoss
from zoo.losses_region import LovaszLoss, lovasz_slopes
from zoo.mapping import sum_over_sources
from zoo.segformer import EfficientSelfAttention

# ---- 9.1 atrous spatial pyramid pooling ----------------------------------------------------------


def with_weights_of_one(module: nn.Module) -> nn.Module:
    """Every convolution adds up the pixels that it sees; batch normalisation changes nothing."""
    for name, parameter in module.named_parameters():
        nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
    return module.eval()


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_branches_see_a_bright_pixel_at_their_rates() -> None:
    aspp = with_weights_of_one(ASPP(cin=1, cout=1, rates=(1, 2)))
    aspp.project = nn.Identity()  # so that the result is what the branches saw
    seen = aspp(torch.tensor([[[[0.0, 0, 0, 7, 0, 0, 0]]]]))
    # the branches may stand in any order
    assert sorted(seen[0, :, 0].round().tolist()) == [
        [0, 0, 0, 7, 0, 0, 0],  # 1x1
        [0, 0, 7, 7, 7, 0, 0],  # 3x3 of rate 1
        [0, 7, 0, 7, 0, 7, 0],  # 3x3 of rate 2
        [1, 1, 1, 1, 1, 1, 1],  # the mean of the image
    ]


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_four_rates_make_six_branches_of_cout_channels() -> None:
    aspp = ASPP(cin=3, cout=2, rates=(1, 2, 3, 4)).eval()
    aspp.project = nn.Identity()
    assert aspp(torch.ones(1, 3, 5, 6)).shape == (1, 6 * 2, 5, 6)


@pytest.mark.todo("9.1", points=3, needs=[])
@pytest.mark.parametrize(("separable", "groups"), [(False, 1), (True, 4)])
def test_9_1_separable_3x3_convolutions_stay_within_a_channel(separable: bool, groups: int) -> None:
    aspp = ASPP(cin=4, cout=2, rates=(1, 2), separable=separable)
    convolutions = [each for each in aspp.modules() if isinstance(each, nn.Conv2d)]
    found = [each.groups for each in convolutions if each.kernel_size == (3, 3)]
    assert found == [groups, groups]  # none at all? only nn.ModuleList lets PyTorch find them


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_image_pooling_gives_each_image_its_own_mean() -> None:
    pooling = with_weights_of_one(ImagePooling(cin=1, cout=1))
    two_images = torch.tensor([[[[0.0, 2.0]]], [[[3.0, 5.0]]]])
    assert pooling(two_images).round().tolist() == [[[[1, 1]]], [[[4, 4]]]]


# ---- 9.2 efficient self-attention ----------------------------------------------------------------


def attention_with(
    channels: int, heads: int, reduction: int = 1, factors: tuple[int, ...] = (1, 1, 1, 1)
) -> EfficientSelfAttention:
    """The layers of queries, keys, values and output do nothing but multiply by the factors."""
    attention = EfficientSelfAttention(channels, heads, reduction)
    layers = attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj
    for layer, factor in zip(layers, factors, strict=True):
        layer.weight.data = factor * torch.eye(channels)
        layer.bias.data.zero_()
    return attention


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_softmax_of_query_times_key_weighs_the_values() -> None:
    attention = attention_with(channels=1, heads=1, factors=(1, 2, 3, 4))
    x = torch.tensor([[[[0.0], [1.0]]]])  # two positions: queries 0, 1; keys 0, 2; values 0, 3
    first, second = attention(x).flatten().tolist()
    assert first == pytest.approx(4 * (0 + 3) / 2)  # scores 0 and 0: the mean of the values
    # scores 0 and 2: the second value has the weight e² / (1 + e²) = 0.8808
    assert second == pytest.approx(4 * 0.8808 * 3, rel=1e-4)


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_scores_are_divided_by_root_d_of_one_head() -> None:
    attention = attention_with(channels=8, heads=2)  # so that d = 4
    x = torch.tensor([[[[0.0] * 8, [1.0] * 8]]])  # two positions
    second = attention(x)[0, 0, 1]
    # its scores in either head: 0 and 4 / √4 = 2
    torch.testing.assert_close(second, torch.full((8,), 0.8808), rtol=0, atol=1e-4)


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_heads_look_by_themselves() -> None:
    attention = attention_with(channels=2, heads=2)
    x = torch.tensor([[[[10.0, 10.0], [0.0, 20.0]]]])  # two positions, a channel for each head
    # a large query takes the largest value, a query of 0 the mean; a score of 400 needs a softmax,
    # as exp alone overflows
    assert attention(x).round().tolist() == [[[[10, 20], [5, 20]]]]


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_keys_and_values_come_from_the_reduced_x() -> None:
    attention = attention_with(channels=1, heads=1, reduction=2)
    nn.init.constant_(attention.reduction.layer_norm.bias, 3.0)  # the norm of one channel: the bias
    # so the reduced x is 3 at every position, whatever x is
    result = attention(torch.zeros(1, 4, 6, 1))
    torch.testing.assert_close(result, torch.full((1, 4, 6, 1), 3.0))


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_queries_keys_and_values_learn() -> None:
    attention = EfficientSelfAttention(channels=4, heads=2, reduction=1)
    attention(torch.rand(2, 4, 4, 4)).sum().backward()
    assert attention.q_proj.weight.grad is not None
    assert attention.k_proj.weight.grad is not None
    assert attention.v_proj.weight.grad is not None


# ---- 9.3 soft Dice and Tversky loss --------------------------------------------------------------


def two_classes(*p: float) -> torch.Tensor:
    """The logits (1, 2, 1, N) of N pixels that give class 0 these probabilities, class 1 1 - p."""
    q = [1 - each for each in p]
    return torch.tensor([[[p], [q]]]).log()


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_counts_probabilities() -> None:
    loss = DiceLoss()(two_classes(0.75, 0.25), torch.tensor([[[0, 1]]]))
    # of either class: TP = 0.75, FP = 0.25, FN = 0.25
    assert loss.item() == pytest.approx(1 - 0.75 / (0.75 + 0.25 / 2 + 0.25 / 2), abs=1e-5)


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize(("alpha", "beta", "expected"), [(1.0, 0.0, 0.3), (0.0, 1.0, 0.35)])
def test_9_3_alpha_is_for_fp_and_beta_for_fn(alpha: float, beta: float, expected: float) -> None:
    loss = TverskyLoss(alpha=alpha, beta=beta)(two_classes(0.9, 0.6), torch.tensor([[[0, 1]]]))
    # class 0: TP = 0.9, FP = 0.6, FN = 0.1; class 1: TP = 0.4, FP = 0.1, FN = 0.6
    # TP / (TP + FP) = 0.6 and 0.8; TP / (TP + FN) = 0.9 and 0.4
    assert loss.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_void_pixels_change_nothing() -> None:
    loss = DiceLoss()(two_classes(0.75, 0.25, 0.5), torch.tensor([[[0, 1, 255]]]))
    assert loss.item() == pytest.approx(0.25, abs=1e-5)
    assert DiceLoss()(two_classes(0.5), torch.tensor([[[255]]])).item() == 0.0


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_absent_class_is_left_out() -> None:
    loss = DiceLoss()(two_classes(0.5, 0.5), torch.tensor([[[0, 0]]]))
    # class 0: TP = 1, FP = 0, FN = 1; class 1 has no pixel
    assert loss.item() == pytest.approx(1 - 1 / (1 + 1 / 2), abs=1e-5)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_two_images_count_as_one() -> None:
    logits = torch.cat([two_classes(0.75), two_classes(0.25)])  # two images of one pixel
    loss = DiceLoss()(logits, torch.tensor([[[0]], [[1]]]))
    assert loss.item() == pytest.approx(0.25, abs=1e-5)  # as of one image of two pixels


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_class_weights_weigh_the_mean() -> None:
    criterion = TverskyLoss(torch.tensor([1.0, 3.0]), alpha=1.0, beta=0.0)
    loss = criterion(two_classes(0.9, 0.6), torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx((1 * 0.4 + 3 * 0.2) / (1 + 3), abs=1e-5)


# ---- 9.4 Lovász-Softmax --------------------------------------------------------------------------


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_slopes_are_what_one_minus_iou_grows_by() -> None:
    errors = torch.tensor([[[[0.2, 0.9, 0.5]], [[0.2, 0.9, 0.5]]]])  # of class 0, of class 1
    slopes = lovasz_slopes(errors, torch.tensor([[[0, 0, 1]]]))
    # wrong one by one, 0.9 first, then 0.5, then 0.2: the IoU of class 0 is 1, 1/2, 1/3, 0
    assert slopes[0, 0, 0].tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 6])
    # and that of class 1 is 1, 1/2, 0, 0
    assert slopes[0, 1, 0].tolist() == pytest.approx([0, 1 / 2, 1 / 2])


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_loss_is_the_mean_over_the_classes() -> None:
    loss = LovaszLoss()(two_classes(0.9, 0.5, 0.8), torch.tensor([[[1, 0, 0]]]))
    # errors 0.9, 0.5, 0.2; slopes of class 0: 1/3, 1/3, 1/3; of class 1: 1, 0, 0
    assert loss.item() == pytest.approx((1.6 / 3 + 0.9) / 2, abs=1e-5)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_hard_predictions_cost_one_minus_iou() -> None:
    prediction, target = torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 1]]])
    logits = 100.0 * F.one_hot(prediction).permute(0, 3, 1, 2)
    assert LovaszLoss()(logits, target).item() == pytest.approx(1 - (1 / 2 + 2 / 3) / 2, abs=1e-5)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_void_pixels_and_absent_classes_are_left_out() -> None:
    loss = LovaszLoss()(two_classes(0.5, 0.8, 0.1), torch.tensor([[[0, 0, 255]]]))
    assert loss.item() == pytest.approx((0.5 + 0.2) / 2, abs=1e-5)  # class 0's alone


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_class_weights_weigh_the_mean() -> None:
    criterion = LovaszLoss(torch.tensor([1.0, 3.0]))
    loss = criterion(two_classes(0.9, 0.5, 0.8), torch.tensor([[[1, 0, 0]]]))
    assert loss.item() == pytest.approx((1 * 1.6 / 3 + 3 * 0.9) / (1 + 3), abs=1e-5)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_errors_pass_the_slopes_back() -> None:
    logits = two_classes(0.5, 0.8).requires_grad_()
    LovaszLoss()(logits, torch.tensor([[[0, 0]]])).backward()
    # of p, which is 0.5 and 0.8: slope -1/2 each; of the logit: times p · (1 - p)
    assert logits.grad[0, 0, 0].tolist() == pytest.approx([-0.125, -0.08], abs=1e-5)


# ---- 10.1 probabilities summed over other classes ------------------------------------------------


def of_pixels(*pixels: list[float]) -> np.ndarray:
    """The probabilities (K, 1, N) of N pixels, each with those of its K classes."""
    return np.array(pixels, dtype=np.float32).T[:, None]


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_two_sources_together_beat_a_larger_one() -> None:
    cat_dog_car = of_pixels([0.3, 0.25, 0.45])
    sums = sum_over_sources(cat_dog_car, [0, 0, 1], num_targets=2)  # animal, vehicle
    assert sums[:, 0, 0].tolist() == pytest.approx([0.55, 0.45])


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_each_pixel_has_its_own_sums() -> None:
    sums = sum_over_sources(of_pixels([0.2, 0.3, 0.5], [0.6, 0.4, 0.0]), [1, 0, 1], num_targets=2)
    assert sums[:, 0].T.tolist() == [pytest.approx([0.3, 0.7]), pytest.approx([0.4, 0.6])]


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_minus_one_belongs_to_no_target() -> None:
    sums = sum_over_sources(of_pixels([0.2, 0.3, 0.5]), [0, -1, 1], num_targets=2)
    assert sums[:, 0, 0].tolist() == pytest.approx([0.2, 0.5])


@pytest.mark.todo("10.1", points=1, needs=[])
def test_10_1_target_without_a_source_has_zero() -> None:
    sums = sum_over_sources(of_pixels([0.2, 0.8]), [2, 0], num_targets=4)
    assert sums[:, 0, 0].tolist() == pytest.approx([0.8, 0.0, 0.2, 0.0])
