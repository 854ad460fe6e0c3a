"""Further cases of TODO 3.4: a block of the decoder."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models
from checks.cases.unet_layers import check_layers, check_tensor, follow
from checks.cases.unet_upsampling import cause_of_upsampling, check_enlarged, check_first_unit
from checks.cases.unet_values import (
    check_gradients,
    check_statistics_move,
    check_values,
    pool_2x2,
    unit,
)
from checks.common import random_tensor, randomized
from checks.diagnosis.chapter_3 import LayerRecorder, as_array
from commands.companion.checking import wrong


def _up_block(
    cout: int, size: tuple[int, int], training: bool = False, batch: int = 2
) -> tuple[nn.Module, object, LayerRecorder, Tensor, Tensor, str]:
    height, width = size
    x = random_tensor(9, batch, 2 * cout, height, width)
    across = random_tensor(10, batch, cout, 2 * height, 2 * width)
    given = (
        f"UNetUpConvBlock({2 * cout}, {cout}), x {tuple(x.shape)} and encoder_features "
        f"{tuple(across.shape)}"
    )
    block = randomized(models.UNetUpConvBlock(2 * cout, cout), given)
    output, recorder = follow(block, given, x, across, training=training)
    return block, output, recorder, x, across, given


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_shapes() -> None:
    """The output has the encoder features' shape."""
    for cout, (height, width) in ((3, (4, 6)), (5, (3, 2)), (2, (5, 7))):
        _, output, _, _, _, given = _up_block(cout, (height, width), batch=3)
        causes = {
            (3, 2 * cout, 2 * height, 2 * width): "the convolutions must bring the channels "
            "back to cout",
            (3, cout, height, width): "nothing is upsampled",
            (3, cout, 4 * height, 4 * width): "the upsampling is by 4",
            (6, cout, 2 * height, 2 * width): "concatenated along the batch (dim=0); the "
            "channels are dim=1",
            (3, cout, 4 * height, 2 * width): "concatenated along the height; channels are dim=1",
            (3, cout, 2 * height, 4 * width): "concatenated along the width; channels are dim=1",
        }
        check_tensor("the output", output, (3, cout, 2 * height, 2 * width), given, causes)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_type_of_the_input() -> None:
    """In double precision the block computes in double precision throughout."""
    block = models.UNetUpConvBlock(6, 3).double().eval()
    x, across = random_tensor(14, 1, 6, 2, 3).double(), random_tensor(15, 1, 3, 4, 6).double()
    with LayerRecorder() as recorder, torch.no_grad():
        output = block(x, across)
    if output.dtype != torch.float64 or not recorder.convs:
        wrong(given="UNetUpConvBlock(6, 3).double()", expected="float64", got=output.dtype)


def _check_up_block(training: bool) -> None:
    block, output, recorder, x, across, given = _up_block(3, (4, 6), training)
    check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    if training:
        check_statistics_move(recorder, given)
    large, joined = (recorder.convs[i].x for i in (0, 1))
    check_enlarged(as_array(x), large, given)
    check_first_unit(joined, large, as_array(across), recorder, given, training)

    def expect(**options: object) -> np.ndarray:
        return unit(unit(joined, recorder, 1, **options), recorder, 2, **options)

    causes = {
        "something is added to the output (a residual connection)": lambda: (
            expect(training=training) + as_array(across)
        ),
        "the last ReLU is missing": lambda: unit(
            unit(joined, recorder, 1, training=training),
            recorder,
            2,
            training=training,
            steps="CN",
        ),
    }
    check_values("output", output, expect, recorder, given, training, causes)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_values() -> None:
    """Upsampling, convolution, concatenation, two convolutions."""
    _check_up_block(training=False)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_training_mode() -> None:
    """The same in training mode."""
    _check_up_block(training=True)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_upsampling_keeps_the_picture() -> None:
    """A constant stays constant and a slope a slope, whatever the interpolation."""
    cout, height, width = 3, 5, 4
    rows, columns = torch.arange(float(height))[:, None], torch.arange(float(width))
    slopes = ((0, 0), (1, 0), (0, 1), (-1, 2), (2, 1), (0.5, -1))
    x = torch.stack([3 + a * rows + b * columns for a, b in slopes])[None]  # (1, 6, 5, 4)
    given = "UNetUpConvBlock(6, 3), and x whose channels are a constant and slopes"
    block = randomized(models.UNetUpConvBlock(2 * cout, cout), given)
    across = random_tensor(11, 1, cout, 2 * height, 2 * width)
    _, recorder = follow(block, given, x, across)
    if recorder.convs and recorder.convs[0].x.shape == (1, 6, 2 * height, 2 * width):
        large, expected = recorder.convs[0].x, as_array(x)
        off = np.abs(pool_2x2(large, "mean") - expected).max(axis=(0, 2, 3))
        allowed = np.array([0.35 * (abs(a) + abs(b)) + 1e-4 for a, b in slopes])
        is_flat = np.ptp(large[0, 0]) < 1e-4
        if is_flat and (off <= allowed).all():
            return
        channel = int(np.argmax(off - allowed))
        wrong(
            given=given,
            expected=f"upsampled x, each 2x2 pixels about {expected[0, channel, :2, :2].tolist()}",
            got=np.round(pool_2x2(large, "mean")[0, channel, :2, :2], 2).tolist(),
            likely=cause_of_upsampling(expected, large),
        )
    check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    check_enlarged(as_array(x), recorder.convs[0].x, given)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_every_weight_learns() -> None:
    """Gradients reach both inputs and all weights."""
    given = "UNetUpConvBlock(6, 3), x (2, 6, 4, 6) and encoder_features (2, 3, 8, 12)"
    block = randomized(models.UNetUpConvBlock(6, 3), given)
    x, across = random_tensor(12, 2, 6, 4, 6), random_tensor(13, 2, 3, 8, 12)
    inputs = {"x": x, "encoder_features": across}
    check_gradients(block, inputs, lambda: {"the output": block(x, across)}, given)
