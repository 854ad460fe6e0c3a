"""The tests of the TODOs, to be read: `pytest test_implementation.py` or `python lab.py check 3.2`.

Each test is a small example with numbers that can be checked by hand, in the order of the TODOs:
copy one into a Python prompt and play with it. `python lab.py show 3.2` prints those of a TODO. The
many further cases, which `check` runs after them, are in checks/cases.
"""

import functools
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from commands.companion.checking import WhenUsed
from support.formats.labels import Label, LabelSet
from utils import LabError

# Each is imported when one of its functions is used: a TODO's tests wait for no other's libraries.
data = WhenUsed("data")
deploy = WhenUsed("deploy")
losses = WhenUsed("losses")
metrics = WhenUsed("metrics")
models = WhenUsed("models")
training = WhenUsed("training")
onnxruntime = WhenUsed("onnxruntime")

# ---- 1.1 label ids to train ids ------------------------------------------------------------------
# What Cityscapes' ids mean: the table in support/formats/cityscapes.py.


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_road_becomes_zero() -> None:
    assert data.encode_train_ids(np.array([7])).tolist() == [0]


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_each_class_becomes_its_train_id() -> None:
    road, sidewalk, building, car = 7, 8, 11, 26
    label_ids = np.array([road, sidewalk, building, car])
    assert data.encode_train_ids(label_ids).tolist() == [0, 1, 2, 13]


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_what_is_not_learned_becomes_255() -> None:
    unlabeled, ego_vehicle, parking, caravan = 0, 1, 9, 29
    label_ids = np.array([unlabeled, ego_vehicle, parking, caravan])
    assert data.encode_train_ids(label_ids).tolist() == [255, 255, 255, 255]


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_any_shape_is_kept() -> None:
    assert data.encode_train_ids(np.array([[7, 8, 0]])).tolist() == [[0, 1, 255]]
    assert data.encode_train_ids(np.array([[[7]], [[8]]])).tolist() == [[[0]], [[1]]]


@pytest.mark.todo("1.1", points=2, needs=[])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_1_1_result_is_a_new_uint8_array(dtype: type) -> None:
    label_ids = np.array([7, 8], dtype=dtype)
    train_ids = data.encode_train_ids(label_ids)
    assert isinstance(train_ids, np.ndarray) and train_ids.dtype == np.uint8
    assert label_ids.tolist() == [7, 8]  # the input stays


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_other_sets_have_gaps_and_large_ids() -> None:
    sky = Label("sky", id=0, train_id=255, category="", color=(0, 0, 0))
    leaf = Label("leaf", id=7, train_id=1, category="", color=(0, 128, 0))
    stem = Label("stem", id=263, train_id=0, category="", color=(128, 64, 0))
    plants = LabelSet("plants", labels=(sky, leaf, stem))
    assert data.encode_train_ids(np.array([0, 7, 263]), plants).tolist() == [255, 1, 0]


# ---- 1.2 pixels of each class --------------------------------------------------------------------
# A data set gives (image, target) by index, as a list does. Counting needs no image: here, None.


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_counts_pixels_not_images() -> None:
    target = np.array([[0, 1, 1], [0, 1, 1]])
    assert data.count_pixels([(None, target)], num_classes=2).tolist() == [2, 4]


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_absent_classes_have_zero_pixels() -> None:
    target = np.array([[1, 1, 1]])
    assert data.count_pixels([(None, target)], num_classes=4).tolist() == [0, 3, 0, 0]


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_void_counts_for_no_class() -> None:
    target = np.array([[0, 255], [1, 255]])
    assert data.count_pixels([(None, target)], num_classes=2).tolist() == [1, 1]


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_all_targets_are_added_up_whatever_their_size() -> None:
    first, second, third = np.array([[255, 255]]), np.array([[0]]), np.array([[0, 1, 1]])
    dataset = [(None, first), (None, second), (None, third)]
    assert data.count_pixels(dataset, num_classes=2).tolist() == [2, 2]


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_result_is_an_int64_tensor() -> None:
    many_pixels = np.zeros((300, 300), np.uint8)  # more than 8 or 16 bits can count
    counts = data.count_pixels([(None, many_pixels)], num_classes=2)
    assert isinstance(counts, torch.Tensor) and counts.dtype == torch.int64
    assert counts.tolist() == [90_000, 0]


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_read_class_ids_reports_ids_of_no_class() -> None:
    with pytest.raises(LabError):
        data.count_pixels([(None, np.array([[0, 7]]))], num_classes=2)


# ---- 2.1 transforms for training -----------------------------------------------------------------
# What is random is drawn 20 times. A flip in half the draws fails to show once in 500,000 tests.


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_every_draw_gives_tensors_of_the_size_asked() -> None:
    image, mask = np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8)
    transform = data.train_transforms((32, 64))  # height, width
    draws = [transform(image=image, mask=mask) for _ in range(20)]
    assert {draw["image"].shape for draw in draws} == {(3, 32, 64)}
    assert {draw["image"].dtype for draw in draws} == {torch.float32}
    assert {draw["mask"].shape for draw in draws} == {(32, 64)}
    assert {draw["mask"].dtype for draw in draws} == {torch.uint8}


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_geometry_differs_between_draws() -> None:
    image, mask = np.zeros((64, 128, 3), np.uint8), np.zeros((64, 128), np.uint8)
    mask[:32, :64] = 1  # the upper left quarter
    transform = data.train_transforms((32, 64))
    data.seed_transform(transform)  # the same draws each time
    masks = [transform(image=image, mask=mask)["mask"].tolist() for _ in range(64)]
    assert len({str(mask) for mask in masks}) > 1


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_follows_the_image() -> None:
    stripes = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], 8)  # each is 8 pixels wide; a flip swaps 0 and 1
    mask = np.tile(stripes, (32, 1)).astype(np.uint8)
    image = np.stack([255 * mask] * 3, axis=2)  # white where the mask is 1, else black
    transform = data.train_transforms((32, 64))
    for _ in range(20):
        result = transform(image=image, mask=mask)
        red, mask_now = result["image"][0], result["mask"]
        agrees = (red > red.mean()) == (mask_now == 1)
        assert agrees[mask_now != 255].float().mean() > 0.5  # not all: edges may blur


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_ids_are_never_mixed() -> None:
    image, mask = np.zeros((64, 128, 3), np.uint8), np.ones((64, 128), np.uint8)
    mask[:, ::3] = 255  # every third column is void; between it and a 1 would be 128
    transform = data.train_transforms((32, 64))
    masks = [transform(image=image, mask=mask)["mask"] for _ in range(20)]
    assert set(torch.stack(masks).unique().tolist()) <= {0, 1, 255}  # 0 is for the next test


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_is_255_where_there_is_no_image() -> None:
    image, mask = np.zeros((64, 128, 3), np.uint8), np.ones((64, 128), np.uint8)
    transform = data.train_transforms((32, 64))
    masks = [transform(image=image, mask=mask)["mask"] for _ in range(20)]
    assert set(torch.stack(masks).unique().tolist()) <= {1, 255}  # 0 would be the class road


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_image_is_normalised() -> None:
    image, mask = np.zeros((64, 128, 3), np.uint8), np.zeros((64, 128), np.uint8)
    image[:, 64:] = (255, 0, 0)  # black on the left, red on the right
    transform = data.train_transforms((32, 64))
    images = [transform(image=image, mask=mask)["image"] for _ in range(20)]
    red, green, blue = torch.stack(images, dim=1)
    # normalised, 0 is -MEAN / STD: -2.118, -2.036, -1.804; and 255 red is (1 - MEAN) / STD: 2.249
    assert -2.12 < red.min() < -1.5 and -1 < red.max() < 2.25  # random colours lie in between
    assert -2.04 < green.min() < -1.5
    assert -1.81 < blue.min() < -1.5


# ---- 2.2 transforms for evaluation ---------------------------------------------------------------


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_gives_tensors_of_the_size_asked() -> None:
    image, mask = np.zeros((4, 8, 3), np.uint8), np.zeros((4, 8), np.uint8)
    result = data.eval_transforms((2, 3))(image=image, mask=mask)  # height, width
    assert result["image"].shape == (3, 2, 3) and result["image"].dtype == torch.float32
    assert result["mask"].shape == (2, 3) and result["mask"].dtype == torch.uint8


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_a_red_pixel_is_normalised() -> None:
    image, mask = np.uint8([[[255, 0, 0]]]), np.uint8([[0]])
    red, green, blue = (
        data.eval_transforms((1, 1))(image=image, mask=mask)["image"].flatten().tolist()
    )
    assert red == pytest.approx((1 - 0.485) / 0.229, abs=1e-3)  # MEAN[0], STD[0]
    assert green == pytest.approx((0 - 0.456) / 0.224, abs=1e-3)
    assert blue == pytest.approx((0 - 0.406) / 0.225, abs=1e-3)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_at_its_own_size_nothing_changes_place() -> None:
    mask = np.uint8([[0, 1], [18, 255]])
    image = np.uint8([[[0] * 3, [255] * 3], [[0] * 3, [0] * 3]])  # white at the upper right
    result = data.eval_transforms((2, 2))(image=image, mask=mask)
    assert result["mask"].tolist() == [[0, 1], [18, 255]]
    black, white = (0 - 0.485) / 0.229, (1 - 0.485) / 0.229
    red = result["image"][0].flatten().tolist()
    assert red == pytest.approx([black, white, black, black], abs=1e-3)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_shrinking_cuts_nothing_off() -> None:
    image, mask = np.zeros((1, 8, 3), np.uint8), np.uint8([[1, 1, 2, 2, 3, 3, 4, 4]])
    result = data.eval_transforms((1, 4))(image=image, mask=mask)
    assert result["mask"].tolist() == [[1, 2, 3, 4]]


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_mask_ids_are_never_mixed() -> None:
    image, mask = np.zeros((1, 2, 3), np.uint8), np.uint8([[0, 18]])
    result = data.eval_transforms((1, 4))(image=image, mask=mask)
    assert result["mask"].tolist() == [[0, 0, 18, 18]]  # in between, 5 and 14 would be wrong


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_nothing_is_random() -> None:
    image, mask = np.uint8([[[200, 100, 50], [90, 60, 30]]]), np.uint8([[0, 1]])
    transform = data.eval_transforms((1, 2))
    draws = [transform(image=image, mask=mask) for _ in range(20)]
    assert all(torch.equal(draw["image"], draws[0]["image"]) for draw in draws)
    assert all(torch.equal(draw["mask"], draws[0]["mask"]) for draw in draws)


def set_weights(module: nn.Module, value: float) -> None:
    """Sets all weights of all convolutions. Their biases stay: inputs of 1000 make them small."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            nn.init.constant_(parameter, value)


def kernels(module: nn.Module) -> list[tuple[int, ...]]:
    """The shapes of the weights that are trained, (cout, cin, 3, 3) for a 3x3 convolution."""
    weights = [each for each in module.parameters() if each.dim() == 4 and each.requires_grad]
    return sorted(tuple(weight.shape) for weight in weights)


def count_norms(module: nn.Module) -> int:
    """How many batch normalisations there are: each keeps its own running mean."""
    return sum(name.endswith("running_mean") for name, _ in module.named_buffers())


# ---- 3.1 convolution, ReLU, batch normalisation ----------------------------------------------


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_keeps_the_size_and_changes_the_channels() -> None:
    assert models.conv_relu_norm(3, 5)(torch.rand(2, 3, 4, 6)).shape == (2, 5, 4, 6)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_has_one_3x3_convolution() -> None:
    assert kernels(models.conv_relu_norm(3, 5)) == [(5, 3, 3, 3)]
    assert kernels(models.conv_relu_norm(4, 4)) == [(4, 4, 3, 3)]


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_zeros_surround_the_image() -> None:
    layers = models.conv_relu_norm(1, 1).eval()
    set_weights(layers, 1)
    # a corner sees 4 pixels, the middle all 9; a norm that has seen nothing changes nothing
    sums = layers(torch.full((1, 1, 3, 3), 1000.0))[0, 0] / 1000
    assert sums.round().tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_relu_makes_negative_sums_zero() -> None:
    layers = models.conv_relu_norm(1, 1).eval()
    set_weights(layers, -1)
    assert layers(torch.full((1, 1, 1, 2), 1000.0)).tolist() == [[[[0, 0]]]]


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_norm_comes_last() -> None:
    layers = models.conv_relu_norm(1, 1).train()
    set_weights(layers, 1)
    # the sums are 0, 0, 1000, 1000: mean 500, standard deviation 500
    normalised = layers(torch.tensor([[[[0.0, 0.0, 0.0, 1000.0]]]]))
    assert normalised.flatten().tolist() == pytest.approx([-1, -1, 1, 1], abs=1e-3)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_training_changes_what_evaluation_gives() -> None:
    layers, x = models.conv_relu_norm(3, 5), torch.rand(2, 3, 4, 4)
    before = layers.eval()(x)
    layers.train()(x)  # moves the running mean and variance
    assert not torch.allclose(layers.eval()(x), before)


# ---- 3.2 encoder block -----------------------------------------------------------------------


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_pooled_has_half_the_size_of_features() -> None:
    pooled, features = models.UNetConvBlock(3, 5)(torch.rand(2, 3, 4, 6))
    assert pooled.shape == (2, 5, 2, 3)
    assert features.shape == (2, 5, 4, 6)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_pooled_is_the_maximum_of_the_features() -> None:
    pooled, features = models.UNetConvBlock(3, 5)(torch.rand(2, 3, 8, 8))
    assert torch.equal(pooled, F.max_pool2d(features, 2))


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_has_two_convolutions_with_norms() -> None:
    block = models.UNetConvBlock(3, 5)
    assert kernels(block) == [(5, 3, 3, 3), (5, 5, 3, 3)]
    assert count_norms(block) == 2


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_values_by_hand() -> None:
    block = models.UNetConvBlock(1, 1).eval()
    set_weights(block, 1)
    x = torch.tensor([[[[-1000.0, 0.0, 0.0, 1000.0], [0.0, 0.0, 0.0, 0.0]]]])
    pooled, features = block(x)
    # first sums: -1 -1 1 1 in both rows, after the ReLU 0 0 1 1; second sums: 0 2 4 4
    assert (features[0, 0] / 1000).round().tolist() == [[0, 2, 4, 4], [0, 2, 4, 4]]
    assert (pooled[0, 0] / 1000).round().tolist() == [[2, 4]]


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_features_end_with_relu_then_norm() -> None:
    block, x = models.UNetConvBlock(3, 5), torch.randn(2, 3, 8, 8)
    assert block.eval()(x)[1].min() >= 0  # a new norm leaves the signs that the ReLU gave
    means = block.train()(x)[1].mean(dim=(0, 2, 3))
    assert torch.allclose(means, torch.zeros(5), atol=1e-4)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_gradients_flow_through_both() -> None:
    block = models.UNetConvBlock(3, 5)
    pooled, features = block(torch.rand(2, 3, 4, 4, requires_grad=True))
    assert pooled.requires_grad and features.requires_grad
    pooled.sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


# ---- 3.3 encoder -----------------------------------------------------------------------------


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_sizes_halve_and_channels_double() -> None:
    bottom, features = models.UNetEncoder(3, num_blocks=2, base_channels=4)(torch.rand(2, 3, 8, 12))
    assert [each.shape for each in features] == [(2, 4, 8, 12), (2, 8, 4, 6)]
    assert bottom.shape == (2, 16, 2, 3)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_cout_is_the_channels_of_the_bottom() -> None:
    assert models.UNetEncoder(3, num_blocks=2, base_channels=4).cout == 16


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_pytorch_knows_all_blocks() -> None:
    encoder = models.UNetEncoder(1, num_blocks=2, base_channels=4)
    blocks = [(4, 1, 3, 3), (4, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3)]
    assert kernels(encoder) == [*blocks, (16, 8, 3, 3)]
    assert count_norms(encoder) == 5


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_bottom_takes_what_is_pooled() -> None:
    encoder = models.UNetEncoder(1, num_blocks=1, base_channels=1).eval()
    set_weights(encoder, 1)
    x = torch.tensor([[[[-1000.0, 0.0, 0.0, 1000.0], [0.0, 0.0, 0.0, 0.0]]]])
    bottom, features = encoder(x)
    assert (features[0][0, 0] / 1000).round().tolist() == [[0, 2, 4, 4], [0, 2, 4, 4]]
    assert (bottom[0] / 1000).round().tolist() == [[[6, 6]], [[6, 6]]]  # pooled: 2, 4


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_bottom_ends_with_relu_then_norm() -> None:
    encoder, x = models.UNetEncoder(3, num_blocks=1, base_channels=4), torch.randn(2, 3, 8, 8)
    assert encoder.eval()(x)[0].min() >= 0
    means = encoder.train()(x)[0].mean(dim=(0, 2, 3))
    assert torch.allclose(means, torch.zeros(8), atol=1e-4)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_gradients_flow_and_each_call_starts_a_new_list() -> None:
    encoder, x = models.UNetEncoder(3, num_blocks=2, base_channels=4), torch.rand(2, 3, 8, 8)
    encoder(x)
    bottom, features = encoder(x)
    assert [each.requires_grad for each in features] == [True, True]
    bottom.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


# ---- 3.4 decoder block -----------------------------------------------------------------------


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_gives_the_shape_of_the_encoder_features() -> None:
    below, across = torch.rand(2, 8, 3, 5), torch.rand(2, 4, 6, 10)
    assert models.UNetUpConvBlock(8, 4)(below, across).shape == (2, 4, 6, 10)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_has_three_convolutions_and_no_learned_upsampling() -> None:
    block = models.UNetUpConvBlock(8, 4)  # upconv: 8 to 4; convblock: 4 + 4 to 4, and 4 to 4
    assert kernels(block) == [(4, 4, 3, 3), (4, 8, 3, 3), (4, 8, 3, 3)]
    assert count_norms(block) == 3


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
@pytest.mark.parametrize(("below", "expected"), [(1000.0, 160), (-1000.0, 32)])
def test_3_4_values_by_hand(below: float, expected: int) -> None:
    block = models.UNetUpConvBlock(2, 1).eval()
    set_weights(block, 1)
    out = block(torch.full((1, 2, 1, 1), below), torch.full((1, 1, 2, 2), 2000.0))
    # up: 4 pixels x 2 channels = 8; joined: 4 x (8 + 2) = 40; last: 4 x 40 = 160
    # from -1000, the ReLU of the way up makes 0: 4 x (0 + 2) = 8, and 4 x 8 = 32
    assert (out / 1000).round().tolist() == [[[[expected, expected], [expected, expected]]]]


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_what_is_at_the_top_stays_at_the_top() -> None:
    block = models.UNetUpConvBlock(2, 1).eval()
    set_weights(block, 1)
    below = torch.zeros(1, 2, 8, 1)
    below[:, :, 0] = 1000
    out = block(below, torch.zeros(1, 1, 16, 2))
    assert out[0, 0, 0].min() > 1000 > out[0, 0, 8:].max()


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_ends_with_relu_then_norm() -> None:
    block = models.UNetUpConvBlock(8, 4)
    below, across = torch.randn(2, 8, 4, 4), torch.randn(2, 4, 8, 8)
    assert block.eval()(below, across).min() >= 0
    means = block.train()(below, across).mean(dim=(0, 2, 3))
    assert torch.allclose(means, torch.zeros(4), atol=1e-4)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_each_image_depends_on_its_own_two_inputs() -> None:
    block = models.UNetUpConvBlock(2, 1).eval()
    set_weights(block, 1)
    below = torch.ones(2, 2, 1, 1, requires_grad=True)
    across = torch.ones(2, 1, 2, 2, requires_grad=True)
    first = block(below, across)[0].sum()  # of the first image alone
    to_below, to_across = torch.autograd.grad(first, [below, across])
    assert to_below[0].any() and to_across[0].any()
    assert not to_below[1].any() and not to_across[1].any()


# ---- 3.5 decoder -----------------------------------------------------------------------------


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_deepest_features_come_first() -> None:
    features = [torch.rand(2, 2, 8, 12), torch.rand(2, 4, 4, 6)]  # full resolution first
    decoder = models.UNetDecoder(8, num_blocks=2, num_classes=5)
    assert decoder(torch.rand(2, 8, 2, 3), features).shape == (2, 5, 8, 12)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_has_a_bottom_an_up_block_and_a_1x1_head() -> None:
    decoder = models.UNetDecoder(4, num_blocks=1, num_classes=3)
    up = [(2, 2, 3, 3), (2, 4, 3, 3), (2, 4, 3, 3)]
    assert kernels(decoder) == [*up, (3, 2, 1, 1), (4, 4, 3, 3)]
    assert count_norms(decoder) == 4  # the head has none


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_logits_by_hand() -> None:
    decoder = models.UNetDecoder(2, num_blocks=1, num_classes=2).eval()
    set_weights(decoder, 1)
    logits = decoder(torch.full((1, 2, 1, 1), 1000.0), [torch.full((1, 1, 2, 2), 4000.0)])
    # bottom: 2 channels = 2; up: 4 x 2 x 2 = 16; joined: 4 x (16 + 4) = 80; last: 4 x 80 = 320
    assert (logits[0] / 1000).round().tolist() == [[[320, 320], [320, 320]]] * 2


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_no_activation_before_or_after_the_head() -> None:
    decoder = models.UNetDecoder(4, num_blocks=1, num_classes=3).train()
    set_weights(decoder, 1000)
    logits = decoder(torch.randn(2, 4, 4, 4), [torch.randn(2, 2, 8, 8)])
    # the last norm gives mean 0, which the head keeps, up to its bias; a ReLU would raise it
    assert logits.mean(dim=(0, 2, 3)).abs().max() < 10


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_each_image_depends_on_its_own_inputs() -> None:
    decoder = models.UNetDecoder(2, num_blocks=1, num_classes=3).eval()
    set_weights(decoder, 1)
    bottom = torch.ones(2, 2, 1, 1, requires_grad=True)
    across = torch.ones(2, 1, 2, 2, requires_grad=True)
    first = decoder(bottom, [across])[0].sum()  # of the first image alone
    to_bottom, to_across = torch.autograd.grad(first, [bottom, across])
    assert to_bottom[0].any() and to_across[0].any()
    assert not to_bottom[1].any() and not to_across[1].any()


# ---- 4.1 confusion matrix ------------------------------------------------------------------------


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_rows_are_target_and_columns_prediction() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=3)
    predictions = torch.tensor([[[0, 0], [2, 2]]])  # one image of 2x2 pixels
    target = torch.tensor([[[0, 1], [2, 2]]])
    confusion.update(predictions, target)
    assert confusion.matrix.tolist() == [
        [1, 0, 0],
        [1, 0, 0],  # one pixel of class 1, predicted as class 0
        [0, 0, 2],
    ]


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_matrix_is_k_by_k_int64_whatever_classes_occur() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=3)
    confusion.update(predictions=torch.tensor([[[1]]]), target=torch.tensor([[[0]]]))
    assert confusion.matrix.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert confusion.matrix.dtype == torch.int64


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_void_pixels_are_not_counted() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=2, ignore_index=255)
    target = torch.tensor([[[0, 255, 1]]])
    confusion.update(torch.tensor([[[0, 1, 1]]]), target)
    assert confusion.matrix.tolist() == [[1, 0], [0, 1]]
    assert target.tolist() == [[[0, 255, 1]]]  # the caller still needs it


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_only_the_target_decides_what_is_ignored() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=2, ignore_index=0)
    predictions = torch.tensor([[[1, 0, 1]]])  # this 0 counts: its target is 1
    target = torch.tensor([[[0, 1, 1]]])
    confusion.update(predictions, target)
    assert confusion.matrix.tolist() == [[0, 0], [1, 1]]


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_images_and_batches_add_up() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=2)
    two_images = torch.tensor([[[0]], [[1]]])
    confusion.update(two_images, two_images)
    confusion.update(two_images, two_images)
    assert confusion.matrix.tolist() == [[2, 0], [0, 2]]


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_class_ids_may_be_bytes() -> None:
    confusion = metrics.ConfusionMatrix(num_classes=19)
    pixel = torch.tensor([[[18]]], dtype=torch.uint8)
    confusion.update(pixel, pixel)
    assert confusion.matrix[18, 18] == 1  # 18 * 19 + 18 = 360 does not fit into a byte


# ---- 4.2 F1 and macro F1 -------------------------------------------------------------------------


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_f1_is_2_tp_over_2_tp_plus_fp_plus_fn() -> None:
    f1 = metrics.f1_per_class(torch.tensor([[3, 2], [0, 1]]))
    # class 0: TP 3, FP 0, FN 2; class 1: TP 1, FP 2, FN 0
    assert f1.tolist() == pytest.approx([6 / 8, 2 / 4])
    assert f1.dtype == torch.float64


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_class_that_is_only_predicted_scores_0() -> None:
    f1 = metrics.f1_per_class(torch.tensor([[1, 1], [0, 0]]))
    assert f1.tolist() == pytest.approx([2 / 3, 0])


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_class_that_occurs_nowhere_is_nan() -> None:
    f1 = metrics.f1_per_class(torch.tensor([[1, 0], [0, 0]]))
    assert f1.tolist() == pytest.approx([1, math.nan], nan_ok=True)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_counts_every_class_alike() -> None:
    score = metrics.macro_f1(torch.tensor([[3, 2], [0, 1]]))
    assert score == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert isinstance(score, float)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_leaves_out_nan_but_not_0() -> None:
    counts = [
        [2, 1, 0, 0],  # 4 / 6
        [0, 0, 0, 0],  # only predicted: 0
        [1, 0, 0, 0],  # never predicted: 0
        [0, 0, 0, 0],  # nowhere: NaN
    ]
    assert metrics.macro_f1(torch.tensor(counts)) == pytest.approx((4 / 6 + 0 + 0) / 3)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_of_nothing_is_0() -> None:
    assert metrics.macro_f1(torch.tensor([[0, 0], [0, 0]])) == 0.0


# ---- 4.3 IoU and mean IoU ------------------------------------------------------------------------


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_iou_is_tp_over_tp_plus_fp_plus_fn() -> None:
    iou = metrics.iou_per_class(torch.tensor([[3, 2], [0, 1]]))
    # class 0: TP 3, FP 0, FN 2; class 1: TP 1, FP 2, FN 0
    assert iou.tolist() == pytest.approx([3 / 5, 1 / 3])
    assert iou.dtype == torch.float64


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_only_predicted_scores_0_and_nowhere_is_nan() -> None:
    iou = metrics.iou_per_class(torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert iou.tolist() == pytest.approx([1 / 2, 0, math.nan], nan_ok=True)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_counts_every_class_alike() -> None:
    score = metrics.mean_iou(torch.tensor([[3, 2], [0, 1]]))
    assert score == pytest.approx((3 / 5 + 1 / 3) / 2)
    assert isinstance(score, float)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_leaves_out_nan_but_not_0() -> None:
    score = metrics.mean_iou(torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert score == pytest.approx((1 / 2 + 0) / 2)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_of_nothing_is_0() -> None:
    assert metrics.mean_iou(torch.tensor([[0, 0], [0, 0]])) == 0.0


# ---- 4.4 pixel accuracy and mean accuracy --------------------------------------------------------


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_pixel_accuracy_is_the_share_of_right_pixels() -> None:
    accuracy = metrics.pixel_accuracy(torch.tensor([[2, 2, 0], [0, 1, 0], [0, 0, 1]]))
    assert accuracy == pytest.approx(4 / 6)
    assert isinstance(accuracy, float)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_mean_accuracy_is_the_mean_recall() -> None:
    accuracy = metrics.mean_accuracy(torch.tensor([[2, 2, 0], [0, 1, 0], [0, 0, 1]]))
    assert accuracy == pytest.approx((2 / 4 + 1 / 1 + 1 / 1) / 3)
    assert isinstance(accuracy, float)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_mean_accuracy_leaves_out_classes_without_target_pixels() -> None:
    # class 1 is only predicted, class 2 occurs nowhere
    accuracy = metrics.mean_accuracy(torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert accuracy == pytest.approx(1 / 2)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_class_that_is_never_right_has_recall_0() -> None:
    assert metrics.mean_accuracy(torch.tensor([[1, 0], [1, 0]])) == pytest.approx((1 + 0) / 2)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_both_accuracies_of_a_perfect_prediction_are_1() -> None:
    perfect = torch.tensor([[1, 0], [0, 1]])
    assert metrics.pixel_accuracy(perfect) == 1.0
    assert metrics.mean_accuracy(perfect) == 1.0


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_both_accuracies_of_nothing_are_0() -> None:
    nothing = torch.tensor([[0, 0], [0, 0]])
    assert metrics.pixel_accuracy(nothing) == 0.0
    assert metrics.mean_accuracy(nothing) == 0.0
    assert isinstance(metrics.pixel_accuracy(nothing), float)
    assert isinstance(metrics.mean_accuracy(nothing), float)


# ---- 5.1 class weights ---------------------------------------------------------------------------


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_inverse_goes_by_1_over_the_share() -> None:
    weights = losses.class_weights([2, 3, 6], "inverse")
    assert weights.tolist() == pytest.approx([1.5, 1, 0.5])  # 1/2 : 1/3 : 1/6, scaled to mean 1


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_sqrt_goes_by_1_over_the_root_of_the_share() -> None:
    weights = losses.class_weights([4, 9, 36], "sqrt")
    assert weights.tolist() == pytest.approx([1.5, 1, 0.5])  # 1/2 : 1/3 : 1/6, scaled to mean 1


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_median_equals_inverse_once_scaled() -> None:
    weights = losses.class_weights([2, 3, 6], "median")
    assert weights.tolist() == pytest.approx([1.5, 1, 0.5])


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_weight_of_a_rare_class_is_not_capped() -> None:
    weights = losses.class_weights([1, 999], "inverse")
    assert weights.tolist() == pytest.approx([1.998, 0.002])  # 999 : 1, scaled to mean 1


# ---- 5.2 weighted cross entropy ------------------------------------------------------------------


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_one_pixel_costs_minus_log_of_its_probability() -> None:
    logits = torch.tensor([3.0, 1.0]).log().view(1, 2, 1, 1)  # their softmax is 3/4, 1/4
    loss = losses.WeightedCrossEntropy()(logits, target=torch.tensor([[[1]]]))
    assert loss.item() == pytest.approx(-math.log(1 / 4))


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_without_weights_it_is_the_cross_entropy_of_pytorch() -> None:
    first = [[[1.0, 0.0]], [[2.0, 5.0]]]  # (K, H, W): two classes, one row of two pixels
    second = [[[0.0, 3.0]], [[4.0, 1.0]]]
    logits = torch.tensor([first, second])
    target = torch.tensor([[[1, 0]], [[0, 255]]])
    loss = losses.WeightedCrossEntropy()(logits, target)
    expected = F.cross_entropy(logits, target, ignore_index=255)
    assert loss.item() == pytest.approx(expected.item())


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("weights", [[1.0, 3.0], [0.1, 0.3]])  # a common factor cancels out
def test_5_2_divides_by_the_weights_of_the_pixels(weights: list[float]) -> None:
    logits = torch.tensor([[[[1.0, 1.0, 3.0]], [[1.0, 1.0, 1.0]]]]).log()
    target = torch.tensor([[[0, 0, 1]]])  # probabilities of the true class: 1/2, 1/2, 1/4
    loss = losses.WeightedCrossEntropy(torch.tensor(weights))(logits, target)
    expected = (1 * math.log(2) + 1 * math.log(2) + 3 * math.log(4)) / (1 + 1 + 3)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("void", [255, 7])
def test_5_2_void_pixels_change_nothing(void: int) -> None:
    logits = torch.tensor([[[[1.0, 1.0]], [[1.0, 3.0]]]]).log()
    target = torch.tensor([[[0, void]]])
    loss = losses.WeightedCrossEntropy(ignore_index=void)(logits, target)
    assert loss.item() == pytest.approx(math.log(2))
    assert target.tolist() == [[[0, void]]]  # the caller still needs it


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("only_pixel", [255, 0])  # void, or of a class that weighs 0
def test_5_2_nothing_counted_is_0_with_zero_gradients(only_pixel: int) -> None:
    logits = torch.tensor([[[[1.0]], [[2.0]]]], requires_grad=True)
    criterion = losses.WeightedCrossEntropy(weights=torch.tensor([0.0, 1.0]))
    loss = criterion(logits, torch.tensor([[[only_pixel]]]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.tolist() == [[[[0]], [[0]]]]


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_is_right_at_logits_of_1000() -> None:
    logits = torch.tensor([[[[1000.0, 0.0]], [[-1000.0, 0.0]]]])
    loss = losses.WeightedCrossEntropy()(logits, target=torch.tensor([[[1, 0]]]))
    assert loss.item() == pytest.approx((2000 + math.log(2)) / 2)


# ---- 5.3 focal loss ------------------------------------------------------------------------------


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_5_3_factor_is_1_minus_p_to_the_power_of_gamma(gamma: float) -> None:
    logits = torch.tensor([2.0, 1.0]).log().view(1, 2, 1, 1)  # their softmax is 2/3, 1/3
    loss = losses.FocalLoss(gamma)(logits, target=torch.tensor([[[1]]]))
    assert loss.item() == pytest.approx((1 - 1 / 3) ** gamma * math.log(3))


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_gamma_0_is_the_weighted_cross_entropy() -> None:
    first = [[[1.0, 0.0]], [[2.0, 5.0]]]  # (K, H, W): two classes, one row of two pixels
    second = [[[0.0, 3.0]], [[4.0, 1.0]]]
    logits = torch.tensor([first, second])
    target = torch.tensor([[[1, 0]], [[0, 255]]])
    weights = torch.tensor([1.0, 3.0])
    loss = losses.FocalLoss(0.0, weights)(logits, target)
    assert torch.allclose(loss, F.cross_entropy(logits, target, weights, ignore_index=255))


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_weights_multiply_the_loss_but_not_the_probability() -> None:
    logits = torch.tensor([[[[1.0, 3.0]], [[1.0, 1.0]]]]).log()
    target = torch.tensor([[[0, 1]]])  # probabilities of the true class: 1/2, 1/4
    loss = losses.FocalLoss(1.0, weights=torch.tensor([1.0, 3.0]))(logits, target)
    expected = (1 * 1 / 2 * math.log(2) + 3 * 3 / 4 * math.log(4)) / (1 + 3)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_factor_takes_part_in_the_gradient() -> None:
    logits = torch.tensor([[[[0.0]], [[0.0]]]], requires_grad=True)
    losses.FocalLoss(1.0)(logits, target=torch.tensor([[[0]]])).backward()
    # (1 - p) * -log p has the slope log p - (1 - p) / p = -(log 2 + 1) at p = 1/2; and the
    # softmax has the slopes p (1 - p) = 1/4 and -1/4
    slope = (math.log(2) + 1) / 4
    assert logits.grad.flatten().tolist() == pytest.approx([-slope, slope])


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_nothing_but_void_is_0_with_zero_gradients() -> None:
    logits = torch.tensor([[[[1.0]], [[2.0]]]], requires_grad=True)
    target = torch.tensor([[[255]]])
    loss = losses.FocalLoss()(logits, target)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.tolist() == [[[[0]], [[0]]]]
    assert target.tolist() == [[[255]]]  # the caller still needs it


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_is_right_at_logits_of_1000() -> None:
    logits = torch.tensor([[[[1000.0]], [[-1000.0]]]])
    loss = losses.FocalLoss()(logits, target=torch.tensor([[[1]]]))
    assert loss.item() == pytest.approx(2000)  # the factor is 1: the pixel is all wrong


# ---- 6.1 one epoch of training -------------------------------------------------------------------


class SquaredLoss(nn.Module):
    """Simpler than cross entropy: the mean of the squared logits, whatever the target."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits.square().mean()


def one_weight() -> nn.Conv2d:
    """A network with a single weight w = 1; the logit of a pixel is w times the pixel."""
    model = nn.Conv2d(1, 1, kernel_size=1, bias=False)
    nn.init.ones_(model.weight)
    return model


def batch(pixels: list[float], target: list[int]) -> tuple[Tensor, Tensor]:
    """Of one image that is a row of pixels: (1, 1, 1, W) and its target (1, 1, W)."""
    return torch.tensor([[[pixels]]]), torch.tensor([[target]])


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_each_batch_makes_one_step_with_its_own_gradients() -> None:
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    loader = [batch([1.0], [0]), batch([1.0], [0])]
    loss = training.train_one_epoch(model, loader, SquaredLoss(), optimizer, "cpu")
    # the loss w² has the gradient 2w, so a step halves w: w - 0.25 * 2w = w / 2
    assert model.weight.item() == pytest.approx(1 / 2 / 2)
    assert loss == pytest.approx((1 + 0.25) / 2)  # w² before each step: w was 1, then 0.5


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_layers_are_in_training_mode() -> None:
    norm = nn.BatchNorm2d(1)
    model = nn.Sequential(norm).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    loader = [batch([1.0, 3.0], [0, 0]), batch([1.0, 3.0], [0, 0])]
    training.train_one_epoch(model, loader, SquaredLoss(), optimizer, "cpu")
    assert norm.num_batches_tracked == 2  # it counts batches in training mode only


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_scheduler_steps_after_each_step_of_the_optimizer() -> None:
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    loader = [batch([1.0], [0]), batch([1.0], [0])]
    training.train_one_epoch(model, loader, SquaredLoss(), optimizer, "cpu", scheduler=scheduler)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25 / 2 / 2)
    # the first step with the rate 0.25: w = 0.5; the second with 0.125: 0.5 - 0.125 * 2 * 0.5
    assert model.weight.item() == pytest.approx(0.375)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_losses_weigh_by_the_pixels_that_are_not_void() -> None:
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    three_pixels = batch([1.0, 1.0, 1.0], [0, 0, 0])  # loss 1
    one_pixel = batch([2.0, 2.0, 2.0], [0, 9, 9])  # loss 4; here 9 is void
    loader = [three_pixels, one_pixel]
    loss = training.train_one_epoch(model, loader, SquaredLoss(), optimizer, "cpu", ignore_index=9)
    assert loss == pytest.approx((3 * 1 + 1 * 4) / 4)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_losses_weigh_by_the_denominator_of_the_criterion() -> None:
    model, criterion = one_weight(), SquaredLoss()
    criterion.denominator = lambda target: target.sum()  # e.g. class weights: 5, then 1
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    loader = [batch([1.0], [5]), batch([2.0], [1])]  # losses 1 and 4
    loss = training.train_one_epoch(model, loader, criterion, optimizer, "cpu")
    assert loss == pytest.approx((5 * 1 + 1 * 4) / (5 + 1))


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_after_step_gets_the_number_of_images() -> None:
    model, calls = one_weight(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    two_images = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, dtype=torch.int64)
    loader = [two_images, batch([1.0], [0])]

    def note(images: int) -> None:
        calls.append((images, model.weight.item()))

    training.train_one_epoch(model, loader, SquaredLoss(), optimizer, "cpu", after_step=note)
    assert calls == [(2, 0.5), (1, 0.25)]  # each step has halved the weight by then


# ---- 6.2 evaluation ------------------------------------------------------------------------------


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_matrix_counts_the_largest_logits_of_all_batches() -> None:
    logits = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # both pixels: class 1
    other = torch.tensor([[[[6.0, 6.0]], [[5.0, 5.0]]]])  # both pixels: class 0
    loader = [(logits, torch.tensor([[[0, 0]]])), (other, torch.tensor([[[0, 255]]]))]
    model = nn.Identity()  # its logits are the image
    _, matrix = training.evaluate(model, loader, SquaredLoss(), "cpu", num_classes=2)
    assert matrix.tolist() == [[1, 2], [0, 0]]  # row: target, column: prediction; void not counted


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_losses_weigh_by_the_pixels_that_are_not_void() -> None:
    three_pixels = batch([1.0, 1.0, 1.0], [0, 0, 0])  # loss 1
    one_pixel = batch([2.0, 2.0, 2.0], [0, 9, 9])  # loss 4; here 9 is void
    loader = [three_pixels, one_pixel]
    loss, _ = training.evaluate(
        one_weight(), loader, SquaredLoss(), "cpu", num_classes=1, ignore_index=9
    )
    assert loss == pytest.approx((3 * 1 + 1 * 4) / 4)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_layers_are_in_evaluation_mode() -> None:
    # In evaluation mode, neither changes a pixel. In training mode, this dropout makes all of them
    # 0, and batch normalisation makes -1 and 1 of 1 and 3.
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(p=1.0)).train()
    loss, _ = training.evaluate(
        model, [batch([1.0, 3.0], [0, 0])], SquaredLoss(), "cpu", num_classes=1
    )
    assert loss == pytest.approx((1 + 9) / 2, rel=1e-4)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
@pytest.mark.parametrize("was_training", [True, False])
def test_6_2_model_gets_its_mode_back(was_training: bool) -> None:
    model = nn.Sequential(nn.Dropout()).train(was_training)
    training.evaluate(model, [batch([1.0], [0])], SquaredLoss(), "cpu", num_classes=1)
    assert model.training is was_training
    assert model[0].training is was_training


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_nothing_of_the_model_changes() -> None:
    norm = nn.BatchNorm2d(1)
    norm.weight.grad = torch.tensor([7.0])  # left from training
    training.evaluate(norm, [batch([1.0, 3.0], [0, 0])], SquaredLoss(), "cpu", num_classes=1)
    assert norm.running_mean.item() == 0  # it learned nothing from these images
    assert norm.weight.item() == 1
    assert norm.weight.grad == 7
    assert norm.weight.requires_grad


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_logits_are_computed_without_gradients() -> None:
    model, found = nn.Sequential(one_weight()), []
    # called with the logits of the layer
    model[0].register_forward_hook(lambda layer, images, y: found.append(y.requires_grad))
    training.evaluate(model, [batch([1.0], [0])], SquaredLoss(), "cpu", num_classes=1)
    assert found == [False]
    assert torch.is_grad_enabled()  # on again, for the next epoch of training


# ---- 7.1 ONNX export -----------------------------------------------------------------------------


class AddsOne(nn.Module):
    """In evaluation mode. In training mode, it adds 2."""

    stride = 1

    def forward(self, x: Tensor) -> Tensor:
        return x + 2 if self.training else x + 1


NETWORK = AddsOne().train()


@functools.cache  # an export takes some seconds
def exported() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        deploy.write_onnx(NETWORK, path, metadata={})
        return onnxruntime.InferenceSession(path.read_bytes())


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_input_is_called_image_and_output_logits() -> None:
    assert [each.name for each in exported().get_inputs()] == ["image"]
    assert [each.name for each in exported().get_outputs()] == ["logits"]


@pytest.mark.todo("7.1", points=2, needs=[])
@pytest.mark.parametrize("shape", [(1, 3, 8, 4), (5, 3, 2, 6)])
def test_7_1_batch_height_and_width_are_dynamic(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, dtype=np.float32)
    (logits,) = exported().run(["logits"], {"image": image})
    assert logits.shape == shape  # here with as many classes as colours


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_file_computes_logits_in_evaluation_mode() -> None:
    image = np.full((1, 3, 2, 2), 5.0, dtype=np.float32)
    (logits,) = exported().run(["logits"], {"image": image})
    assert logits == pytest.approx(np.full((1, 3, 2, 2), 6.0))  # 7: it is in training mode


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_model_itself_stays_in_training_mode() -> None:
    exported()
    assert NETWORK.training  # `network` is a copy of it: only that goes to evaluation mode


# ---- 7.2 a single photo --------------------------------------------------------------------------


def segmenter(
    size: tuple[int, int], stride: int, mean: tuple = (0, 0, 0), std: tuple = (1, 1, 1)
) -> "deploy.Segmenter":
    """Of a network that was trained on images of this size, (height, width)."""
    numbers = {"size": size, "stride": stride, "mean": mean, "std": std}
    return deploy.Segmenter({"classes": ["road"], "palette": [[0, 0, 0]], **numbers})


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_each_colour_is_normalised_after_division_by_255() -> None:
    reader = segmenter(size=(1, 1), stride=1, mean=(0, 0.5, 1), std=(0.1, 0.4, 0.5))
    photo = np.array([[[51, 255, 0]]], dtype=np.uint8)  # 0.2, 1 and 0 in 0 ... 1
    network_input = reader.preprocess(photo)
    # (0.2 - 0) / 0.1, (1 - 0.5) / 0.4, (0 - 1) / 0.5
    assert network_input.flatten() == pytest.approx([2, 1.25, -2], rel=1e-5)
    assert network_input.dtype == np.float32


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_channels_come_first() -> None:
    photo = np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)  # a red pixel, a green one
    network_input = segmenter(size=(1, 2), stride=1).preprocess(photo)
    red, green, blue = [[1, 0]], [[0, 1]], [[0, 0]]
    assert network_input == pytest.approx(np.array([red, green, blue]))


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_photo_is_resized_to_height_and_width() -> None:
    photo = np.full((2, 8, 3), 255, dtype=np.uint8)
    network_input = segmenter(size=(2, 2), stride=1).preprocess(photo)
    # the pixels of the training, 4, in the photo's aspect: 1 x 4
    assert network_input == pytest.approx(np.ones((3, 1, 4)))


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_padding_is_below_and_on_the_right() -> None:
    photo = np.full((3, 5, 3), 255, dtype=np.uint8)
    photo[0, 0] = photo[2, 4] = 0  # the corners of the photo
    network_input = segmenter(size=(3, 5), stride=4).preprocess(photo)
    assert network_input.shape == (3, 4, 8)  # the next multiples of 4
    assert network_input[0, :3, :5] == pytest.approx(photo[:, :, 0] / 255)


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_padding_is_cropped_off_the_logits() -> None:
    logits = np.zeros((3, 4, 4), dtype=np.float32)  # of a photo of 4 x 2: it was 2 x 1, then padded
    logits[1] = 20  # the padding: class 1
    logits[:, 0, 0] = 0, 0, 9  # the upper pixel: class 2
    logits[:, 1, 0] = 9, 0, 0  # the lower one: class 0
    train_ids = segmenter(size=(1, 2), stride=4).postprocess(logits, (4, 2))
    assert train_ids.tolist() == [[2, 2], [2, 2], [0, 0], [0, 0]]
    assert train_ids.dtype == np.uint8


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_logits_are_enlarged_not_classes() -> None:
    logits = np.array([[[0, 0]], [[-1, 9]]], dtype=np.float32)  # two pixels: classes 0 and 1
    train_ids = segmenter(size=(1, 2), stride=1).postprocess(logits, (2, 4))
    # enlarged, the logits of class 1 are -1, 1.5, 6.5, 9 in either row; those of class 0 stay 0
    assert train_ids.tolist() == [[0, 1, 1, 1], [0, 1, 1, 1]]
