"""Further cases of TODO 3.1: convolution, ReLU, batch normalisation."""

import functools

import pytest
from torch import Tensor, nn

import models
from checks.cases.unet_layers import check_layers, check_tensor, follow
from checks.cases.unet_values import check_gradients, check_statistics_move, check_values, unit
from checks.common import random_tensor, randomized
from checks.diagnosis.chapter_3 import LayerRecorder, as_array
from commands.companion.checking import wrong


def _layers_of_3_1(
    training: bool, cin: int = 3, cout: int = 5
) -> tuple[nn.Module, object, LayerRecorder, Tensor, str]:
    given = f"conv_relu_norm({cin}, {cout}) and x (2, {cin}, 6, 9)"
    module = randomized(models.conv_relu_norm(cin, cout), given)
    x = random_tensor(1, 2, cin, 6, 9)
    output, recorder = follow(module, given, x, training=training)
    return module, output, recorder, x, given


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_height_and_width_stay() -> None:
    """The output has cout channels and the size of the input."""
    for cin, cout, size in ((3, 5, (6, 9)), (4, 2, (7, 5)), (1, 6, (4, 8))):
        given = f"conv_relu_norm({cin}, {cout}) and x {(2, cin, *size)}"
        module = randomized(models.conv_relu_norm(cin, cout), given)
        output, _ = follow(module, given, random_tensor(0, 2, cin, *size))
        causes = {
            (2, cout, size[0] - 2, size[1] - 2): "without padding=1 a 3x3 convolution loses a "
            "pixel on each side",
            (2, cout, size[0] + 2, size[1] + 2): "padding=1 is enough for a 3x3 convolution",
            (2, cout, (size[0] + 1) // 2, (size[1] + 1) // 2): "the convolution has a stride of 2",
            (2, cout, size[0] // 2, size[1] // 2): "there is a pooling, which has no place here",
            (2, cin, *size): "the convolution must change the channels from cin to cout",
        }
        check_tensor("the output", output, (2, cout, *size), given, causes)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_layers_and_their_order() -> None:
    """A 3x3 convolution, ReLU and batch normalisation, in evaluation mode."""
    module, output, recorder, x, given = _layers_of_3_1(training=False)
    check_layers(recorder, module, [(5, 3, 3, 3)], given)
    expect = functools.partial(unit, as_array(x), recorder, 0)
    check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
@pytest.mark.parametrize(("cin", "cout"), [(4, 4), (12, 6), (16, 16)])
def test_3_1_other_channels(cin: int, cout: int) -> None:
    """The same three layers when the channels stay as many, and for more of them."""
    module, output, recorder, x, given = _layers_of_3_1(False, cin, cout)
    check_layers(recorder, module, [(cout, cin, 3, 3)], given)
    expect = functools.partial(unit, as_array(x), recorder, 0)
    check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_training_mode() -> None:
    """In training mode batch normalisation goes by the batch, and learns from it."""
    module, output, recorder, x, given = _layers_of_3_1(training=True)
    check_layers(recorder, module, [(5, 3, 3, 3)], given)
    check_statistics_move(recorder, given)
    expect = functools.partial(unit, as_array(x), recorder, 0)
    check_values("output", output, expect, recorder, given, training=True)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_every_weight_learns() -> None:
    """Gradients reach the input and all weights, and each call makes new ones."""
    given = "conv_relu_norm(3, 5) and x (2, 3, 6, 9)"
    module = randomized(models.conv_relu_norm(3, 5), given)
    x = random_tensor(2, 2, 3, 6, 9)
    check_gradients(module, {"x": x}, lambda: {"the output": module(x)}, given)
    other = models.conv_relu_norm(3, 5)
    shared = {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}
    if shared:
        wrong(
            given="conv_relu_norm(3, 5) called twice",
            expected="two modules with weights of their own",
            got="the same weights",
        )
