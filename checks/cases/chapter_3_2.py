"""Further cases of TODO 3.2: a block of the encoder."""

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor, nn

import models
from checks.cases.unet_layers import check_layers, check_tensor, follow
from checks.cases.unet_values import (
    check_gradients,
    check_statistics_move,
    check_values,
    pool_2x2,
    unit,
)
from checks.common import kind_of, random_tensor, randomized
from checks.diagnosis.chapter_3 import LayerRecorder, as_array
from commands.companion.checking import wrong


def _conv_block(
    cin: int, cout: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, object, LayerRecorder, Tensor, str]:
    given = f"UNetConvBlock({cin}, {cout}) and x {(2, cin, *size)}"
    block = randomized(models.UNetConvBlock(cin, cout), given)
    x = random_tensor(3, 2, cin, *size)
    output, recorder = follow(block, given, x, training=training)
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        wrong(given=given, expected="a pair (pooled, features)", got=kind_of(output))
    return block, output[0], output[1], recorder, x, given


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_shapes() -> None:
    """Pooled has half the size, the features the full one; both have cout channels."""
    for cin, cout, (height, width) in ((3, 5, (8, 12)), (6, 4, (6, 10)), (4, 4, (10, 4))):
        _, pooled, features, recorder, _, given = _conv_block(cin, cout, (height, width))
        full, half = (2, cout, height, width), (2, cout, height // 2, width // 2)
        if isinstance(pooled, Tensor) and isinstance(features, Tensor):
            found = tuple(pooled.shape), tuple(features.shape)
            if found == (full, half):
                wrong(
                    given=given,
                    expected=f"(pooled {half}, features {full})",
                    got=f"{full}, {half}",
                    likely="the two are swapped: features are taken before the pooling",
                )
        is_small = bool(recorder.convs) and recorder.convs[0].x.shape[2:] == half[2:]
        causes = {
            half: "the picture is pooled before the convolutions; it is pooled after them"
            if is_small
            else "these are the features after the pooling; take them before it",
            (2, cout, height - 4, width - 4): "a convolution lacks its padding",
        }
        check_tensor("features", features, full, given, causes)
        causes = {
            full: "this is not pooled",
            (2, cout, height - 1, width - 1): "the pooling has a stride of 1; it must be 2",
            (2, cout, height // 4, width // 4): "pooled twice, or by 4x4",
        }
        check_tensor("pooled", pooled, half, given, causes)


def _check_conv_block(training: bool) -> None:
    block, pooled, features, recorder, x, given = _conv_block(3, 5, (6, 10), training)
    check_layers(recorder, block, [(5, 3, 3, 3), (5, 5, 3, 3)], given)
    if training:
        check_statistics_move(recorder, given)

    def first(**options: object) -> np.ndarray:
        return unit(as_array(x), recorder, 0, **options)

    def second(**options: object) -> np.ndarray:
        return unit(first(**options), recorder, 1, **options)

    def pool(**options: object) -> np.ndarray:
        return pool_2x2(second(**options))

    causes = {
        "these features are from block1; they come from block2": lambda: first(training=training),
        "something is added to the features (a residual connection)": lambda: (
            first(training=training) + second(training=training)
        ),
        "the first ReLU is missing": lambda: unit(
            first(training=training, steps="CN"), recorder, 1, training=training
        ),
        "these are the pooled features enlarged again; take them before the pooling": lambda: (
            pool(training=training).repeat(2, axis=2).repeat(2, axis=3)
        ),
    }
    steps = [("block1", as_array(x)), ("block2", first(training=training))]

    def known() -> dict[str, np.ndarray]:
        return {"x": as_array(x), "x, pooled": pool_2x2(as_array(x))}

    check_values("features", features, second, recorder, given, training, causes, steps, known)
    causes = _wrong_poolings(first(training=training), second(training=training))
    check_values("pooled", pooled, pool, recorder, given, training, causes, steps, known)


def _wrong_poolings(first: np.ndarray, second: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """What else may be made of the outputs of block1 and block2, by mistake."""
    return {
        "this is average pooling; max pooling keeps the strongest answer": lambda: pool_2x2(
            second, "mean"
        ),
        "this is every second pixel, not the maximum of 2x2": lambda: second[:, :, ::2, ::2],
        "this is the minimum of 2x2": lambda: pool_2x2(second, "min"),
        "the pooling is applied to block1's output": lambda: pool_2x2(first),
    }


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_values() -> None:
    """Both outputs are what two convolutions and a max pooling make of x."""
    _check_conv_block(training=False)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_training_mode() -> None:
    """The same in training mode, where batch normalisation goes by the batch."""
    _check_conv_block(training=True)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_every_weight_learns() -> None:
    """Gradients of either output reach the input and all weights."""
    given = "UNetConvBlock(3, 5) and x (2, 3, 6, 10)"
    block = randomized(models.UNetConvBlock(3, 5), given)
    x = random_tensor(4, 2, 3, 6, 10)
    check_gradients(
        block, {"x": x}, lambda: dict(zip(("pooled", "features"), block(x), strict=True)), given
    )
