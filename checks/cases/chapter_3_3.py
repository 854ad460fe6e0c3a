"""Further cases of TODO 3.3: the encoder."""

import functools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models
from checks.cases.unet_layers import check_layers, check_tensor, follow
from checks.cases.unet_values import (
    check_gradients,
    check_statistics_move,
    check_values,
    pool_2x2,
    relatives,
    unit,
)
from checks.common import kind_of, random_tensor, randomized
from checks.diagnosis.chapter_3 import LayerRecorder, as_array
from commands.companion.checking import wrong


def _encoder(
    cin: int, num_blocks: int, base: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, Sequence[object], LayerRecorder, Tensor, str]:
    given = f"UNetEncoder({cin}, {num_blocks}, {base}) and x {(2, cin, *size)}"
    encoder = randomized(models.UNetEncoder(cin, num_blocks, base), given)
    x = random_tensor(5, 2, cin, *size)
    output, recorder = follow(encoder, given, x, training=training)
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        wrong(given=given, expected="a pair (bottom, features)", got=kind_of(output))
    bottom, features = output
    if not isinstance(features, (list, tuple)):
        wrong(given=given, expected="features: a list of tensors", got=kind_of(features))
    return encoder, bottom, features, recorder, x, given


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_shapes() -> None:
    """features[i] has base * 2^i channels at 1/2^i of the size; the bottom comes below them."""
    for cin, n, base, (height, width) in (
        (3, 3, 2, (16, 32)),
        (2, 1, 5, (8, 4)),
        (4, 2, 3, (24, 8)),
        (1, 4, 1, (32, 64)),
        (2, 6, 1, (64, 128)),
    ):
        _, bottom, features, _, _, given = _encoder(cin, n, base, (height, width))
        shapes = [(2, base * 2**i, height >> i, width >> i) for i in range(n + 1)]
        found = [tuple(f.shape) if isinstance(f, Tensor) else kind_of(f) for f in features]
        if found != shapes[:n]:
            likely = None
            if found == shapes[:n][::-1]:
                likely = "the deepest features come first; the full resolution must"
            elif found == shapes and isinstance(bottom, Tensor) and bottom.shape == shapes[n]:
                likely = "the bottom stands among the features; only the blocks' belong there"
            elif len(found) > n:
                likely = f"there are {len(found)} features for {n} blocks"
            elif found == [(2, base * 2**i, height >> i + 1, width >> i + 1) for i in range(n)]:
                likely = "these are the features after the pooling"
            elif found == [(2, cin, height, width), *shapes[: n - 1]] and n > 1:
                likely = "these are what goes into the blocks; take what comes out of them"
            expected = (
                f"features {shapes[:n]}: of block i, base * 2^i channels at 1/2^i of the size"
            )
            wrong(given=given, expected=expected, got=found, likely=likely)
        deep = shapes[n]
        causes = {
            shapes[n - 1]: "this is what the last block gives before pooling",
            (2, deep[1] // 2, *deep[2:]): "the bottom doubles the channels of the last block",
            (*deep[:2], *shapes[n - 1][2:]): "the bottom takes what goes down (pooled), not the "
            "features that go across",
            (*deep[:2], deep[2] // 2, deep[3] // 2): "there is a pooling after the bottom",
        }
        check_tensor("bottom", bottom, deep, given, causes)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_widths_have_no_limit() -> None:
    """With 64 channels and 4 blocks, the bottom has 1024."""
    given = "UNetEncoder(3, 4, 64)"
    shapes = {tuple(each.shape) for each in models.UNetEncoder(3, 4, 64).parameters()}
    if (1024, 512, 3, 3) not in shapes:
        got = f"at most {max(shape[0] for shape in shapes)} channels"
        wrong(given=given, expected="a bottom from 512 to 64 * 2^4 = 1024 channels", got=got)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_cout() -> None:
    """`cout` says how many channels the bottom has."""
    cases = [((3, 3), 2), ((2, 1), 5), ((3, 1), 64)]
    built = [models.UNetEncoder(*sizes, base) for sizes, base in cases[:2]]
    built.append(models.UNetEncoder(3, 1))
    for (sizes, base), encoder in zip(cases, built, strict=True):
        given = f"UNetEncoder(cin={sizes[0]}, num_blocks={sizes[1]}, base_channels={base})"
        expected = base * 2 ** sizes[1]
        if not hasattr(encoder, "cout"):
            wrong(given=given, expected=f"cout = {expected}", got="no attribute cout")
        if encoder.cout != expected or not isinstance(encoder.cout, int):
            factors = {
                each.cout / (b * 2**n) for ((_, n), b), each in zip(cases, built, strict=True)
            }
            causes = {
                0.5: "these are the channels of the last block, not of the bottom",
                2.0: "this is twice the bottom's channels",
            }
            likely = causes.get(next(iter(factors))) if len(factors) == 1 else None
            got = f"cout = {encoder.cout!r}"
            wrong(given=given, expected=f"cout = {expected}", got=got, likely=likely)


def _encoder_weights(cin: int, n: int, base: int) -> list[tuple[int, ...]]:
    """The shapes of all weights of an encoder, in the order in which they run."""
    shapes = []
    for i in range(n):
        width = base * 2**i
        shapes += [(width, cin if i == 0 else width // 2, 3, 3), (width, width, 3, 3)]
    return [*shapes, (base * 2**n, base * 2 ** (n - 1), 3, 3)]


def _check_encoder(cin: int, n: int, base: int, size: tuple[int, int], training: bool) -> None:
    encoder, bottom, features, recorder, x, given = _encoder(cin, n, base, size, training)
    check_layers(recorder, encoder, _encoder_weights(cin, n, base), given)
    if training:
        check_statistics_move(recorder, given)

    def level(depth: int, **options: object) -> np.ndarray:
        """features[depth], or the bottom."""
        down = pool_2x2(level(depth - 1, **options)) if depth else as_array(x)
        down = unit(down, recorder, 2 * depth, **options)
        return down if depth == n else unit(down, recorder, 2 * depth + 1, **options)

    if len(features) != n:
        wrong(given=given, expected=f"{n} features", got=kind_of(features))
    levels = {f"features[{i}]": level(i, training=training) for i in range(n)}
    sources = [as_array(x), *map(pool_2x2, levels.values())]
    once = [unit(sources[i], recorder, 2 * i, training=training) for i in range(n)]
    steps = []
    for i in range(n):
        steps += [(f"block1 of block {i}", sources[i]), (f"block2 of block {i}", once[i])]
    steps.append(("the bottom", sources[n]))

    def known() -> dict[str, np.ndarray]:
        return relatives(levels) | {"x": as_array(x)}

    for i, (name, got) in enumerate(zip(levels, features, strict=True)):
        causes = {"these features are from block1": lambda i=i: once[i]}
        expect = functools.partial(level, i)
        check_values(name, got, expect, recorder, given, training, causes, steps, known)
    above = levels[f"features[{n - 1}]"]
    causes = {
        "the way down must take what the block pools": lambda: unit(
            above[:, :, ::2, ::2], recorder, 2 * n, training=training
        ),
        "this is average pooling": lambda: unit(
            pool_2x2(above, "mean"), recorder, 2 * n, training=training
        ),
    }
    expect = functools.partial(unit, sources[n], recorder, 2 * n)
    check_values("bottom", bottom, expect, recorder, given, training, causes, steps, known)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_values() -> None:
    """The features and the bottom are what the blocks make of x, one after the other."""
    _check_encoder(3, 3, 2, (8, 16), training=False)
    _check_encoder(2, 1, 5, (6, 4), training=False)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_training_mode() -> None:
    """The same in training mode."""
    _check_encoder(2, 2, 3, (12, 8), training=True)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_every_weight_learns() -> None:
    """Gradients of the bottom reach all weights; those of every feature reach the picture."""
    given = "UNetEncoder(3, 2, 4) and x (2, 3, 8, 12)"
    encoder = randomized(models.UNetEncoder(3, 2, 4), given)
    x = random_tensor(6, 2, 3, 8, 12)

    def outputs() -> dict[str, Tensor]:
        bottom, features = encoder(x)
        return {"bottom": bottom, "features[0]": features[0], "features[1]": features[1]}

    partial = ("features[0]", "features[1]")
    check_gradients(encoder, {"x": x}, outputs, given, partial)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_each_call_starts_afresh() -> None:
    """A second picture gets a list of its own, and the first one's stays."""
    given = "UNetEncoder(3, 2, 4) called twice"
    encoder = randomized(models.UNetEncoder(3, 2, 4), given).eval()
    with torch.no_grad():
        _, first = encoder(random_tensor(7, 1, 3, 8, 8))
        before = [each.clone() for each in first]
        _, second = encoder(random_tensor(8, 1, 3, 8, 8))
    if len(second) != 2 or len(first) != 2 or first is second:
        wrong(
            given=given,
            expected="2 features each time",
            got=f"{len(second)} the second time",
            likely="the list is kept in self and grows: make a new one in forward"
            if (isinstance(second, list) and len(second) > 2) or first is second
            else None,
        )
    if not all(torch.equal(a, b) for a, b in zip(first, before, strict=True)):
        wrong(given=given, expected="the first features stay", got="the second call changed them")
