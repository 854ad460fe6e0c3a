"""Further cases of TODO 3.5: the decoder."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models
from checks.cases.unet_layers import check_layers, check_tensor, follow
from checks.cases.unet_upsampling import (
    check_enlarged,
    check_first_unit,
    is_enlarged,
    is_interpolated,
)
from checks.cases.unet_values import (
    check_gradients,
    check_statistics_move,
    check_values,
    pool_2x2,
    relatives,
    unit,
)
from checks.common import random_tensor, randomized
from checks.diagnosis.chapter_3 import LayerRecorder, as_array, cause_in_calls, variant
from commands.companion.checking import wrong


def _decoder_inputs(
    cin: int, n: int, size: tuple[int, int], batch: int = 2
) -> tuple[Tensor, list[Tensor]]:
    height, width = size
    features = [
        random_tensor(20 + i, batch, cin >> (n - i), height << (n - i), width << (n - i))
        for i in range(n)
    ]
    return random_tensor(19, batch, cin, height, width), features


def _decoder(
    cin: int, n: int, classes: int, size: tuple[int, int], training: bool = False, batch: int = 2
) -> tuple[nn.Module, object, LayerRecorder, Tensor, list[Tensor], str]:
    bottom, features = _decoder_inputs(cin, n, size, batch)
    given = (
        f"UNetDecoder({cin}, {n}, {classes}), bottom {tuple(bottom.shape)} and "
        f"features {[tuple(each.shape) for each in features]}"
    )
    decoder = randomized(models.UNetDecoder(cin, n, classes), given)
    try:
        output, recorder = follow(decoder, given, bottom, features, training=training)
    except RuntimeError as error:
        deep, three = models.UNetDecoder(8, 3, 2), _decoder_inputs(8, 3, (2, 2))
        is_reversed = _takes(deep, three[0], three[1][::-1])
        if n == 1 or not is_reversed or not _takes(decoder, bottom, features[::-1]):
            raise
        wrong(
            given=given,
            expected="the first block up takes the deepest features, features[-1]",
            got=str(error).split("\n")[0][:200],
            likely="the features are not reversed: the encoder lists the full resolution first",
        )
    return decoder, output, recorder, bottom, features, given


def _takes(decoder: nn.Module, bottom: Tensor, features: list[Tensor]) -> bool:
    try:
        with torch.no_grad():
            decoder(bottom.clone(), [each.clone() for each in features])
    except RuntimeError:
        return False
    return True


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_shapes() -> None:
    """K logits for every pixel of the full resolution."""
    for cin, n, classes, (height, width) in (
        (12, 2, 5, (2, 3)),
        (6, 1, 4, (3, 5)),
        (8, 3, 7, (2, 1)),
        (16, 4, 2, (1, 2)),
        (64, 6, 3, (2, 1)),
    ):
        _, output, _, _, _, given = _decoder(cin, n, classes, (height, width), batch=3)
        full = height << n, width << n
        causes = {
            (3, *full): "this is one value per pixel, as after argmax; the logits have K",
            (3, cin >> n, *full): "the last convolution to num_classes is missing",
            (3, classes, full[0] // 2, full[1] // 2): "one block up is missing",
            (3, classes, height, width): "nothing is upsampled",
        }
        check_tensor("logits", output, (3, classes, *full), given, causes)


def _decoder_weights(cin: int, n: int, classes: int) -> list[tuple[int, ...]]:
    shapes = [(cin, cin, 3, 3)]
    for i in range(n):
        wide, narrow = cin >> i, cin >> (i + 1)
        shapes += [(narrow, wide, 3, 3), (narrow, wide, 3, 3), (narrow, narrow, 3, 3)]
    return [*shapes, (classes, cin >> n, 1, 1)]


def _check_decoder(cin: int, n: int, classes: int, size: tuple[int, int], training: bool) -> None:
    decoder, output, recorder, bottom, features, given = _decoder(cin, n, classes, size, training)
    shapes = _decoder_weights(cin, n, classes)
    if len(recorder.convs) == len(shapes) - 1 and recorder.convs[0].weight.shape == shapes[1]:
        wrong(
            given=given,
            expected=f"{len(shapes)} convolutions run",
            got=len(recorder.convs),
            likely="the decoder's bottom, which keeps the channels, is missing",
        )
    check_layers(recorder, decoder, shapes, given)
    if training:
        check_statistics_move(recorder, given)
    maps = {f"features[{i}]": as_array(each) for i, each in enumerate(features)}
    for i in range(n):
        first = 1 + 3 * i
        large, joined = recorder.convs[first].x, recorder.convs[first + 1].x
        below = _last_of_level(recorder, i, as_array(bottom), training)
        where = f"{given}; block {i} of the decoder"
        if large.shape[2:] == (2 * below.shape[2], 2 * below.shape[3]):
            _check_level(large, below, i, recorder, as_array(bottom), where, training)
        check_enlarged(below, large, where)
        across = as_array(features[n - 1 - i])
        known = functools.partial(relatives, maps)
        check_first_unit(joined, large, across, recorder, where, training, first, known)
    _check_logits(output, recorder, as_array(bottom), n, given, training)


def _last_of_level(
    recorder: LayerRecorder, i: int, bottom: np.ndarray, training: bool, **options: object
) -> np.ndarray:
    """What goes into up block i: the decoder's bottom, or what block i - 1 gives."""
    options = {"training": training, **options}
    if i == 0:
        return unit(bottom, recorder, 0, **options)
    joined = recorder.convs[3 * i - 1].x
    return unit(unit(joined, recorder, 3 * i - 1, **options), recorder, 3 * i, **options)


def _check_level(
    large: np.ndarray,
    below: np.ndarray,
    i: int,
    recorder: LayerRecorder,
    bottom: np.ndarray,
    given: str,
    training: bool,
) -> None:
    """Fails with the cause if the enlarged maps come from units that are built otherwise."""
    if is_interpolated(below, large):
        return
    likely = variant(
        lambda **options: is_interpolated(
            _last_of_level(recorder, i, bottom, training, **options), large
        )
    )
    if likely is None and is_enlarged(below, large) and _correlation(below, large) > 0.93:
        return  # an interpolation of another kind
    wrong(
        given=given,
        expected="the output of the block before it, upsampled"
        if i
        else "the decoder's bottom (convolution, ReLU, batch normalisation), upsampled",
        got="other values",
        likely=likely or cause_in_calls(recorder),
    )


def _correlation(x: np.ndarray, large: np.ndarray) -> float:
    """How well the 2x2 means of `large` follow x, at most 1."""
    return float(np.corrcoef(pool_2x2(large, "mean").ravel(), x.ravel())[0, 1])


def _check_logits(
    output: object,
    recorder: LayerRecorder,
    bottom: np.ndarray,
    n: int,
    given: str,
    training: bool,
) -> None:
    """Fails unless the output is what the last convolution makes of the last block's output."""

    def expect(**options: object) -> np.ndarray:
        options = {"training": training, **options}
        last = _last_of_level(recorder, n, bottom, **options)
        return unit(last, recorder, 3 * n + 1, steps="C")

    logits = expect()
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = shifted / shifted.sum(axis=1, keepdims=True)
    causes = {
        "there is a softmax at the end; the loss expects logits": lambda: softmax,
        "there is a softmax at the end (log_softmax); the loss expects logits": lambda: np.log(
            softmax
        ),
        "there is a sigmoid at the end; the loss expects logits": lambda: 1 / (1 + np.exp(-logits)),
        "there is a ReLU at the end; logits may be negative": lambda: np.maximum(logits, 0),
        "there is a second ReLU before the last convolution": lambda: unit(
            np.maximum(_last_of_level(recorder, n, bottom, training), 0),
            recorder,
            3 * n + 1,
            steps="C",
        ),
        "there is a tanh at the end; the loss expects logits": lambda: np.tanh(logits),
    }
    check_values("logits", output, expect, recorder, given, training, causes)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_values() -> None:
    """Bottom, up blocks with the features of their size, last convolution; no softmax."""
    _check_decoder(12, 2, 5, (4, 3), training=False)
    _check_decoder(6, 1, 4, (3, 5), training=False)
    _check_decoder(8, 3, 7, (2, 3), training=False)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_training_mode() -> None:
    """The same in training mode."""
    _check_decoder(8, 2, 3, (3, 4), training=True)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_every_weight_learns() -> None:
    """Gradients reach the bottom, every feature and all weights."""
    given = "UNetDecoder(12, 2, 5)"
    decoder = randomized(models.UNetDecoder(12, 2, 5), given)
    bottom, features = _decoder_inputs(12, 2, (2, 3))
    inputs = {"bottom": bottom, "features[0]": features[0], "features[1]": features[1]}
    check_gradients(decoder, inputs, lambda: {"logits": decoder(bottom, list(features))}, given)
