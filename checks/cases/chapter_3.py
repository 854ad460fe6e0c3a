"""Further cases of chapter 3: the UNet."""

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from checks.common import (
    is_equal,
    kind_of,
    random_tensor,
    randomized,
)
from checks.diagnosis.chapter_3 import (
    Conv,
    LayerRecorder,
    Norm,
    as_array,
    cause_in_calls,
    cause_of_count,
    cause_of_weights,
    first_difference,
    has_plain_list,
    variant,
)
from commands.companion.checking import wrong


def _follow(
    module: nn.Module, given: str, *inputs: Tensor | list[Tensor], training: bool = False
) -> tuple[object, LayerRecorder]:
    """Calls a module on copies of the inputs and returns its output and what ran."""
    copies = [[t.clone() for t in x] if isinstance(x, list) else x.clone() for x in inputs]
    originals = [t for x in inputs for t in (x if isinstance(x, list) else [x])]
    held = [t for x in copies for t in (x if isinstance(x, list) else [x])]
    module.train(training)
    with torch.no_grad(), LayerRecorder() as recorder:
        try:
            output = module(*copies)
        except RuntimeError as error:
            _explain_channels(error, given, originals)
            raise
    for original, copy in zip(originals, held, strict=True):
        if not torch.equal(original, copy):
            wrong(
                given=given,
                expected="the tensors that are given stay as they are",
                got=f"the input {tuple(original.shape)} has other values afterwards",
                likely="an operation changes its input in place (+=, relu_, inplace=True)",
            )
    return output, recorder


def _explain_channels(error: RuntimeError, given: str, inputs: list[Tensor]) -> None:
    """Fails with the cause where a convolution's input shows along which axis it was joined."""
    found = re.search(
        r"expected input\[([\d, ]+)\] to have (\d+) channels, but got (\d+)", str(error)
    )
    if found is None:
        return
    shape = [int(each) for each in found[1].split(",")]
    sizes = {tuple(each.shape[2:]) for each in inputs}
    sizes |= {(2 * height, 2 * width) for height, width in sizes}
    causes = {
        "joined along the batch (dim=0); the channels are dim=1": (
            shape[0] == 2 * len(inputs[0]) and tuple(shape[2:]) in sizes
        ),
        "joined along the height (dim=2); the channels are dim=1": (
            (shape[2] // 2, shape[3]) in sizes and tuple(shape[2:]) not in sizes
        ),
        "joined along the width (dim=3); the channels are dim=1": (
            (shape[2], shape[3] // 2) in sizes and tuple(shape[2:]) not in sizes
        ),
    }
    wrong(
        given=given,
        expected=f"a convolution for {found[2]} channels gets as many",
        got=f"a tensor {tuple(shape)}: {found[3]} channels",
        likely=next((cause for cause, holds in causes.items() if holds), None),
    )


def _check_tensor(
    name: str,
    got: object,
    shape: Sequence[int],
    given: str,
    causes: dict[tuple[int, ...], str] | None = None,
) -> None:
    """Fails unless `got` is a tensor of this shape; `causes` explains other shapes."""
    if not isinstance(got, Tensor):
        wrong(given=given, expected=f"{name}: a tensor {tuple(shape)}", got=kind_of(got))
    if tuple(got.shape) != tuple(shape):
        wrong(
            given=given,
            expected=f"{name} of shape {tuple(shape)}",
            got=tuple(got.shape),
            likely=(causes or {}).get(tuple(got.shape)),
        )


def _check_layers(
    recorder: LayerRecorder, module: nn.Module, shapes: list[tuple[int, ...]], given: str
) -> None:
    """Fails unless these convolutions ran, each its own and registered, with norms between.

    Args:
        recorder: of one forward pass.
        module: that ran.
        shapes: of the weights, (cout, cin, rows, columns), in the order of execution.
        given: for the message.
    """
    units = sum(shape[2] == 3 for shape in shapes)
    found = [conv.weight.shape for conv in recorder.convs]
    if recorder.transposed:
        wrong(
            given=given,
            expected="no weights in the upsampling",
            got=f"a transposed convolution with weights {recorder.transposed[0]}",
            likely="the upsampling is learned; here it is fixed: nn.Upsample or F.interpolate"
            if units > 1
            else "a transposed convolution; this one is nn.Conv2d",
        )
    if len(found) != len(shapes):
        wrong(
            given=given,
            expected=f"{len(shapes)} convolutions run",
            got=f"{len(found)}, with weights {[tuple(map(int, shape)) for shape in found][:12]}",
            likely=cause_of_count(recorder, module, len(shapes)),
        )
    for position, (got, shape) in enumerate(zip(found, shapes, strict=True), start=1):
        if got != shape:
            wrong(
                given=given,
                expected=f"convolution {position} of {len(shapes)} has weights {shape} "
                "(cout, cin, rows, columns)",
                got=tuple(map(int, got)),
                likely=cause_of_weights(got, shape),
            )
    _check_norm_count(recorder, units, given)
    own = {id(parameter) for parameter in module.parameters()}
    weights = [id(conv.parameter) for conv in recorder.convs]
    if len(set(weights)) < len(weights):
        position = next(i for i, w in enumerate(weights) if w in weights[:i])
        wrong(
            given=given,
            expected="every convolution has its own weights",
            got=f"convolution {position + 1} has those of number "
            f"{weights.index(weights[position]) + 1}",
            likely="one module is used twice: make a new one for each place",
        )
    norms = [id(norm.statistics[0]) for norm in recorder.norms if norm.statistics[0] is not None]
    if len(set(norms)) < len(norms):
        wrong(
            given=given,
            expected="every batch normalisation has its own statistics",
            got="one batch normalisation runs in several places",
            likely="one nn.BatchNorm2d is used twice: make a new one for each place",
        )
    hidden = [i for i, weight in enumerate(weights, start=1) if weight not in own]
    buffers = {id(buffer) for buffer in module.buffers()}
    lost = [
        n for n in recorder.norms for s in n.statistics if s is not None and id(s) not in buffers
    ]
    if hidden or lost:
        what = f"convolution {hidden[0]}" if hidden else "a batch normalisation"
        wrong(
            given=given,
            expected="all weights are in parameters(), so that they are trained, moved and saved",
            got=f"{what} runs, but the module does not know it",
            likely="modules in a plain list or tuple are invisible to PyTorch: use nn.ModuleList"
            if has_plain_list(module)
            else None,
        )


def _check_norm_count(recorder: LayerRecorder, units: int, given: str) -> None:
    """Fails unless `units` batch normalisations ran."""
    if any(norm.scale is None or norm.shift is None for norm in recorder.norms):
        wrong(
            given=given,
            expected="batch normalisation scales and shifts by two learned numbers per channel",
            got="one that does not",
            likely="nn.BatchNorm2d as it is: no affine=False",
        )
    channels = [len(next((v for v in n[1:5] if v is not None), ())) for n in recorder.norms]
    wanted = [len(conv.weight) for conv in recorder.convs][:units]
    if len(recorder.norms) == units and channels in (wanted, [0] * units):
        return
    if len(recorder.norms) == units:
        wrong(
            given=given,
            expected=f"batch normalisations of {wanted} channels",
            got=channels,
            likely="the order is wrong: batch normalisation comes last, after the convolution",
        )
    others = [c for c in recorder.calls if c in ("instance_norm", "group_norm", "layer_norm")]
    if others:
        likely = f"your code uses {others[0]}; batch normalisation is nn.BatchNorm2d"
    elif len(recorder.norms) < units:
        likely = "batch normalisation is missing after a convolution"
    else:
        likely = "there is one batch normalisation too many"
    expected = f"{units} batch normalisations run"
    wrong(given=given, expected=expected, got=len(recorder.norms), likely=likely)


def _filter(x: np.ndarray, conv: Conv, padding: str) -> np.ndarray:
    """What a convolution makes of x, (B, C, H, W)."""
    height, width = x.shape[2:]
    rows, columns = conv.weight.shape[2:]
    border = (0, 0), (0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)
    padded = np.pad(x, border, mode=padding)
    out = np.zeros((len(x), len(conv.weight), height, width))
    for r in range(rows):
        for c in range(columns):
            window = padded[:, :, r : r + height, c : c + width]
            out += np.einsum("oi,bihw->bohw", conv.weight[:, :, r, c], window)
    return out if conv.bias is None else out + conv.bias[:, None, None]


def _normalize(x: np.ndarray, norm: Norm, training: bool) -> np.ndarray:
    """What a batch normalisation makes of x, (B, C, H, W)."""
    mean, variance = norm.mean, norm.variance
    if training or mean is None:
        mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    scale = 1 if norm.scale is None else norm.scale[:, None, None]
    shift = 0 if norm.shift is None else norm.shift[:, None, None]
    centred = x - mean[:, None, None]
    return centred / np.sqrt(variance[:, None, None] + norm.epsilon) * scale + shift


def _unit(
    x: np.ndarray,
    recorder: LayerRecorder,
    index: int,
    steps: str = "CRN",
    padding: str = "constant",
    training: bool = False,
) -> np.ndarray:
    """What convolution `index` and its normalisation make of x; `steps` is their order."""
    for step in steps:
        if step == "C":
            x = _filter(x, recorder.convs[index], padding)
        elif step == "R":
            x = np.maximum(x, 0)
        elif step == "N":
            x = _normalize(x, recorder.norms[index], training)
    return x


def _check_values(
    name: str,
    got: object,
    expect: Callable[..., np.ndarray],
    recorder: LayerRecorder,
    given: str,
    training: bool = False,
    causes: dict[str, Callable[[], np.ndarray]] | None = None,
    steps: Sequence[tuple[str, np.ndarray]] = (),
    known: Callable[[], dict[str, np.ndarray]] = dict,
) -> None:
    """Fails unless `got` has the values of `expect()`, and says which mistake gives those it has.

    Args:
        name: of what is compared.
        got: a tensor.
        expect: computes the values; takes the options of `_unit`.
        recorder: of the forward pass.
        given: for the message.
        training: whether the module was in training mode.
        causes: sentences and what they would give.
        steps: what should go into each convolution, in their order, with its name.
        known: makes other arrays that it may be, by name.
    """
    expected = expect(training=training)
    _check_tensor(name, got, expected.shape, given)
    values = as_array(got)
    if is_equal(values, expected):
        return
    likely = None
    for cause, compute in (causes or {}).items():
        if likely is None and is_equal(values, compute()):
            likely = cause
    if likely is None:
        likely = variant(lambda **options: is_equal(values, expect(training=training, **options)))
    if likely is None and is_equal(values, expect(training=not training)):
        likely = (
            "in training mode batch normalisation must go by the batch, not by its running mean"
            if training
            else "in evaluation mode batch normalisation must go by its running mean and variance"
        )
    if likely is None and is_equal(values, np.maximum(expected, 0)):
        likely = "there is a second ReLU after batch normalisation"
    if likely is None:
        likely = next(
            (f"this is {what}" for what, x in known().items() if is_equal(values, x)), None
        )
    place = np.unravel_index(np.nanargmax(np.abs(values - expected)), expected.shape)
    where = f"{name}[{', '.join(str(int(i)) for i in place)}]"
    wrong(
        given=given + (", in training mode" if training else ", in evaluation mode"),
        expected=f"{where} = {expected[place]:.4f}, computed from your weights",
        got=f"{values[place]:.4f}; {first_difference(recorder, steps, name)}",
        likely=likely or cause_in_calls(recorder),
    )


def _check_statistics_move(recorder: LayerRecorder, given: str) -> None:
    """Fails unless every batch normalisation keeps running statistics and moved them."""
    for norm in recorder.norms:
        mean, _ = norm.statistics
        if mean is None or is_equal(as_array(mean), norm.mean):
            wrong(
                given=f"{given}, in training mode",
                expected="batch normalisation learns the mean and variance for evaluation",
                got="no running mean" if mean is None else "a running mean that does not move",
                likely="nn.BatchNorm2d as it is: no track_running_stats=False, momentum or eval()",
            )


def _check_gradients(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Callable[[], dict[str, Tensor]],
    given: str,
    partial: Sequence[str] = (),
) -> None:
    """Fails unless the gradient of each output reaches every input and parameter.

    Args:
        module: the module.
        inputs: name → tensor.
        outputs: calls the module; name → tensor.
        given: for the message.
        partial: outputs that some parameters don't reach; only inputs are looked at.
    """
    module.eval()
    parameters = dict(module.named_parameters())
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            wrong(
                given=given,
                expected="all weights are trained",
                got=f"{name} has requires_grad=False",
            )
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    with LayerRecorder() as recorder:
        found = outputs()
    ran = {id(conv.parameter) for conv in recorder.convs}
    for number, (name, output) in enumerate(found.items()):
        if not output.requires_grad:
            wrong(
                given=given,
                expected=f"the gradient of {name} reaches weights and inputs",
                got=f"{name} has no gradient at all",
                likely="the way is cut: detach(), .data, torch.no_grad() or numpy",
            )
        wanted = inputs if name in partial else {**inputs, **parameters}
        weighted = (output * random_tensor(100 + number, *output.shape)).sum()
        gradients = torch.autograd.grad(
            weighted, list(wanted.values()), retain_graph=True, allow_unused=True
        )
        for source, gradient in zip(wanted, gradients, strict=True):
            if gradient is None or not gradient.abs().sum() > 0:
                is_unused = source.endswith("weight") and wanted[source].dim() == 4
                is_unused = is_unused and id(wanted[source]) not in ran
                wrong(
                    given=given,
                    expected=f"the gradient of {name} reaches {source}: no detach(), .data or "
                    "torch.no_grad() between them",
                    got="it does not",
                    likely="it was built but is not used" if is_unused else None,
                )


def _pooled(x: np.ndarray, how: str = "max") -> np.ndarray:
    """2x2 pooling of (B, C, H, W)."""
    batch, channels, height, width = x.shape
    windows = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return getattr(windows, how)(axis=(3, 5))


def _relatives(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by name, and what is made of each by pooling, repeating channels and enlarging."""
    made = dict(found)
    for name, x in found.items():
        pooled, words = x, name
        for _ in range(3):
            if pooled.shape[2] % 2 or pooled.shape[3] % 2:
                break
            pooled, words = _pooled(pooled), f"{words}, pooled"
            made[words] = pooled
            for times in (2, 4, 8):
                made[f"{words}, its channels {times} times"] = np.tile(pooled, (1, times, 1, 1))
                repeated = pooled.repeat(times, axis=1)
                made[f"{words}, each channel {times} times"] = repeated
            if pooled.shape[2] * 2 == x.shape[2]:
                enlarged = pooled.repeat(2, axis=2).repeat(2, axis=3)
                made[f"{name}, pooled and enlarged again"] = enlarged
        made[f"{name}, the samples of the batch mixed up"] = x[::-1]
    return made


# ------------------------------------------------------------------ 3.1


def _layers_of_3_1(
    training: bool, cin: int = 3, cout: int = 5
) -> tuple[nn.Module, object, LayerRecorder, Tensor, str]:
    given = f"conv_relu_norm({cin}, {cout}) and x (2, {cin}, 6, 9)"
    module = randomized(models.conv_relu_norm(cin, cout), given)
    x = random_tensor(1, 2, cin, 6, 9)
    output, recorder = _follow(module, given, x, training=training)
    return module, output, recorder, x, given


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_height_and_width_stay() -> None:
    """The output has cout channels and the size of the input."""
    for cin, cout, size in ((3, 5, (6, 9)), (4, 2, (7, 5)), (1, 6, (4, 8))):
        given = f"conv_relu_norm({cin}, {cout}) and x {(2, cin, *size)}"
        module = randomized(models.conv_relu_norm(cin, cout), given)
        output, _ = _follow(module, given, random_tensor(0, 2, cin, *size))
        causes = {
            (2, cout, size[0] - 2, size[1] - 2): "without padding=1 a 3x3 convolution loses a "
            "pixel on each side",
            (2, cout, size[0] + 2, size[1] + 2): "padding=1 is enough for a 3x3 convolution",
            (2, cout, (size[0] + 1) // 2, (size[1] + 1) // 2): "the convolution has a stride of 2",
            (2, cout, size[0] // 2, size[1] // 2): "there is a pooling, which has no place here",
            (2, cin, *size): "the convolution must change the channels from cin to cout",
        }
        _check_tensor("the output", output, (2, cout, *size), given, causes)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_layers_and_their_order() -> None:
    """A 3x3 convolution, ReLU and batch normalisation, in evaluation mode."""
    module, output, recorder, x, given = _layers_of_3_1(training=False)
    _check_layers(recorder, module, [(5, 3, 3, 3)], given)
    expect = functools.partial(_unit, as_array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
@pytest.mark.parametrize(("cin", "cout"), [(4, 4), (12, 6), (16, 16)])
def test_3_1_other_channels(cin: int, cout: int) -> None:
    """The same three layers when the channels stay as many, and for more of them."""
    module, output, recorder, x, given = _layers_of_3_1(False, cin, cout)
    _check_layers(recorder, module, [(cout, cin, 3, 3)], given)
    expect = functools.partial(_unit, as_array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_training_mode() -> None:
    """In training mode batch normalisation goes by the batch, and learns from it."""
    module, output, recorder, x, given = _layers_of_3_1(training=True)
    _check_layers(recorder, module, [(5, 3, 3, 3)], given)
    _check_statistics_move(recorder, given)
    expect = functools.partial(_unit, as_array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given, training=True)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_every_weight_learns() -> None:
    """Gradients reach the input and all weights, and each call makes new ones."""
    given = "conv_relu_norm(3, 5) and x (2, 3, 6, 9)"
    module = randomized(models.conv_relu_norm(3, 5), given)
    x = random_tensor(2, 2, 3, 6, 9)
    _check_gradients(module, {"x": x}, lambda: {"the output": module(x)}, given)
    other = models.conv_relu_norm(3, 5)
    shared = {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}
    if shared:
        wrong(
            given="conv_relu_norm(3, 5) called twice",
            expected="two modules with weights of their own",
            got="the same weights",
        )


# ------------------------------------------------------------------ 3.2


def _conv_block(
    cin: int, cout: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, object, LayerRecorder, Tensor, str]:
    given = f"UNetConvBlock({cin}, {cout}) and x {(2, cin, *size)}"
    block = randomized(models.UNetConvBlock(cin, cout), given)
    x = random_tensor(3, 2, cin, *size)
    output, recorder = _follow(block, given, x, training=training)
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
        _check_tensor("features", features, full, given, causes)
        causes = {
            full: "this is not pooled",
            (2, cout, height - 1, width - 1): "the pooling has a stride of 1; it must be 2",
            (2, cout, height // 4, width // 4): "pooled twice, or by 4x4",
        }
        _check_tensor("pooled", pooled, half, given, causes)


def _check_conv_block(training: bool) -> None:
    block, pooled, features, recorder, x, given = _conv_block(3, 5, (6, 10), training)
    _check_layers(recorder, block, [(5, 3, 3, 3), (5, 5, 3, 3)], given)
    if training:
        _check_statistics_move(recorder, given)

    def first(**options: object) -> np.ndarray:
        return _unit(as_array(x), recorder, 0, **options)

    def second(**options: object) -> np.ndarray:
        return _unit(first(**options), recorder, 1, **options)

    def pool(**options: object) -> np.ndarray:
        return _pooled(second(**options))

    causes = {
        "these features are from block1; they come from block2": lambda: first(training=training),
        "something is added to the features (a residual connection)": lambda: (
            first(training=training) + second(training=training)
        ),
        "the first ReLU is missing": lambda: _unit(
            first(training=training, steps="CN"), recorder, 1, training=training
        ),
        "these are the pooled features enlarged again; take them before the pooling": lambda: (
            pool(training=training).repeat(2, axis=2).repeat(2, axis=3)
        ),
    }
    steps = [("block1", as_array(x)), ("block2", first(training=training))]

    def known() -> dict[str, np.ndarray]:
        return {"x": as_array(x), "x, pooled": _pooled(as_array(x))}

    _check_values("features", features, second, recorder, given, training, causes, steps, known)
    full = second(training=training)
    causes = {
        "this is average pooling; max pooling keeps the strongest answer": lambda: _pooled(
            full, "mean"
        ),
        "this is every second pixel, not the maximum of 2x2": lambda: full[:, :, ::2, ::2],
        "this is the minimum of 2x2": lambda: _pooled(full, "min"),
        "the pooling is applied to block1's output": lambda: _pooled(first(training=training)),
    }
    _check_values("pooled", pooled, pool, recorder, given, training, causes, steps, known)


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
    _check_gradients(
        block, {"x": x}, lambda: dict(zip(("pooled", "features"), block(x), strict=True)), given
    )


# ------------------------------------------------------------------ 3.3


def _encoder(
    cin: int, num_blocks: int, base: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, Sequence[object], LayerRecorder, Tensor, str]:
    given = f"UNetEncoder({cin}, {num_blocks}, {base}) and x {(2, cin, *size)}"
    encoder = randomized(models.UNetEncoder(cin, num_blocks, base), given)
    x = random_tensor(5, 2, cin, *size)
    output, recorder = _follow(encoder, given, x, training=training)
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
        _check_tensor("bottom", bottom, deep, given, causes)


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


def _check_encoder(cin: int, n: int, base: int, size: tuple[int, int], training: bool) -> None:
    encoder, bottom, features, recorder, x, given = _encoder(cin, n, base, size, training)
    shapes = []
    for i in range(n):
        width = base * 2**i
        shapes += [(width, cin if i == 0 else width // 2, 3, 3), (width, width, 3, 3)]
    shapes.append((base * 2**n, base * 2 ** (n - 1), 3, 3))
    _check_layers(recorder, encoder, shapes, given)
    if training:
        _check_statistics_move(recorder, given)

    def level(depth: int, **options: object) -> np.ndarray:
        """features[depth], or the bottom."""
        down = _pooled(level(depth - 1, **options)) if depth else as_array(x)
        down = _unit(down, recorder, 2 * depth, **options)
        return down if depth == n else _unit(down, recorder, 2 * depth + 1, **options)

    if len(features) != n:
        wrong(given=given, expected=f"{n} features", got=kind_of(features))
    steps = []
    for i in range(n + 1):
        source = _pooled(level(i - 1, training=training)) if i else as_array(x)
        steps.append((f"block1 of block {i}" if i < n else "the bottom", source))
        if i < n:
            once = _unit(source, recorder, 2 * i, training=training)
            steps.append((f"block2 of block {i}", once))

    def known() -> dict[str, np.ndarray]:
        levels = {f"features[{i}]": level(i, training=training) for i in range(n)}
        return _relatives(levels) | {"x": as_array(x)}

    for i, got in enumerate(features):
        causes = {
            "these features are from block1": lambda i=i: _unit(
                _pooled(level(i - 1, training=training)) if i else as_array(x),
                recorder,
                2 * i,
                training=training,
            )
        }
        expect = functools.partial(level, i)
        name = f"features[{i}]"
        _check_values(name, got, expect, recorder, given, training, causes, steps, known)
    above = level(n - 1, training=training)
    causes = {
        "the way down must take what the block pools": lambda: _unit(
            above[:, :, ::2, ::2], recorder, 2 * n, training=training
        ),
        "this is average pooling": lambda: _unit(
            _pooled(above, "mean"), recorder, 2 * n, training=training
        ),
    }
    expect = functools.partial(_unit, _pooled(above), recorder, 2 * n)
    _check_values("bottom", bottom, expect, recorder, given, training, causes, steps, known)


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
    _check_gradients(encoder, {"x": x}, outputs, given, partial)


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


# ------------------------------------------------------------------ 3.4


def _is_enlarged(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether each 2x2 pixels of `large` lie about where one pixel of x is, whatever the method."""
    if large.shape != (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]):
        return False
    mean = _pooled(large, "mean")
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = x.shape[2:]
    near = np.stack(
        [around[:, :, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    )
    low, high = near.min(axis=0), near.max(axis=0)
    margin = 0.4 * (high - low) + 1e-5
    is_near = (mean > low - margin) & (mean < high + margin)
    return bool(is_near.all()) and float((mean * x).sum()) > 0.35 * float((x * x).sum())


def _is_interpolated(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether `large` is x at twice the size, exactly, by one of PyTorch's methods."""
    methods = [{"mode": "nearest"}]
    methods += [
        {"mode": mode, "align_corners": aligned}
        for mode in ("bilinear", "bicubic")
        for aligned in (False, True)
    ]
    size = 2 * x.shape[2], 2 * x.shape[3]
    made = (F.interpolate(torch.from_numpy(x), size, **method).numpy() for method in methods)
    return any(is_equal(large, each) for each in made)


def _cause_of_upsampling(x: np.ndarray, large: np.ndarray) -> str | None:
    """What `large`, of twice the size, is instead of x enlarged."""
    if _is_interpolated(np.maximum(x, 0), large):
        return "a ReLU stands before the upsampling"
    if (large == 0).mean() > 0.6:
        return "the upsampling does not keep the picture: zeros stand between the pixels"
    if is_equal(np.sort(large.ravel()), np.sort(x.repeat(4).ravel())):
        return "the upsampling does not keep the picture: pixels are in the wrong place"
    return None


def _check_enlarged(x: np.ndarray, large: np.ndarray, given: str) -> None:
    """Fails unless `large` is x at twice the size."""
    if _is_interpolated(x, large) or _is_enlarged(x, large):
        return
    height, width = x.shape[2:]
    causes = {
        (height, width): "the convolution comes before the upsampling, or nothing is upsampled",
        (4 * height, 4 * width): "the upsampling is by 4, or is done twice",
    }
    likely = causes.get(large.shape[2:])
    if large.shape[2:] == (2 * height, 2 * width):
        likely = _cause_of_upsampling(x, large)
    wrong(
        given=given,
        expected="the first convolution gets x at twice the size, "
        f"{(*x.shape[:2], 2 * height, 2 * width)}",
        got=tuple(map(int, large.shape)),
        likely=likely,
    )


def _check_joined(
    got: np.ndarray,
    below: np.ndarray,
    across: np.ndarray,
    given: str,
    known: Callable[[], dict[str, np.ndarray]],
) -> None:
    """Fails unless `got` is both, concatenated along the channels, in either order.

    `known` makes other arrays that may stand there by mistake, by name.
    """
    if any(is_equal(got, np.concatenate(pair, 1)) for pair in ((below, across), (across, below))):
        return
    half = got.shape[1] // 2
    parts = got[:, :half], got[:, half:]
    causes = {
        "the upsampled features are concatenated twice": all(is_equal(p, below) for p in parts),
        "the encoder's features are concatenated twice": all(is_equal(p, across) for p in parts),
        "the samples of the batch are mixed up": any(is_equal(p, across[::-1]) for p in parts)
        or any(is_equal(p, below[::-1]) for p in parts),
    }
    even, odd = got[:, ::2], got[:, 1::2]
    causes["the channels of both alternate; torch.cat puts one behind the other"] = any(
        is_equal(even, a) and is_equal(odd, b) for a, b in ((below, across), (across, below))
    )
    for name, other in known().items():
        causes[f"{name} stands there instead"] = any(is_equal(p, other) for p in parts)
    sources = {"what comes from below": below, "the encoder's features": across}
    for name, source in sources.items():
        cause = f"one half is {name}, as it should be; the other half is something else"
        causes[cause] = any(is_equal(p, source) for p in parts)
    wrong(
        given=given,
        expected="the next convolution gets what comes from below and the encoder's features, "
        f"concatenated: {(len(below), 2 * below.shape[1], *below.shape[2:])}",
        got=f"{tuple(map(int, got.shape))} with other values",
        likely=next((cause for cause, holds in causes.items() if holds), None),
    )


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
    output, recorder = _follow(block, given, x, across, training=training)
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
        _check_tensor("the output", output, (3, cout, 2 * height, 2 * width), given, causes)


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
    _check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    if training:
        _check_statistics_move(recorder, given)
    large, joined = (recorder.convs[i].x for i in (0, 1))
    _check_enlarged(as_array(x), large, given)
    _check_first_unit(joined, large, as_array(across), recorder, given, training)

    def expect(**options: object) -> np.ndarray:
        return _unit(_unit(joined, recorder, 1, **options), recorder, 2, **options)

    causes = {
        "something is added to the output (a residual connection)": lambda: (
            expect(training=training) + as_array(across)
        ),
        "the last ReLU is missing": lambda: _unit(
            _unit(joined, recorder, 1, training=training),
            recorder,
            2,
            training=training,
            steps="CN",
        ),
    }
    _check_values("output", output, expect, recorder, given, training, causes)


def _check_first_unit(
    joined: np.ndarray,
    large: np.ndarray,
    across: np.ndarray,
    recorder: LayerRecorder,
    given: str,
    training: bool,
    index: int = 0,
    known: Callable[[], dict[str, np.ndarray]] = dict,
) -> None:
    """Fails unless `joined` holds `across` and the upsampled x after its conv, ReLU and norm."""
    below = _unit(large, recorder, index, training=training)
    wanted = len(below), 2 * below.shape[1], *below.shape[2:]
    if joined.shape == wanted:
        half = joined.shape[1] // 2
        parts = joined[:, :half], joined[:, half:]

        def is_part(**options: object) -> bool:
            other = _unit(large, recorder, index, training=training, **options)
            return not is_equal(other, below) and any(is_equal(part, other) for part in parts)

        cause = variant(is_part)
        if cause is not None:
            wrong(
                given=given,
                expected="upsampled x goes through convolution, ReLU and batch normalisation",
                got="other values",
                likely=cause,
            )
    _check_joined(joined, below, across, given, known)


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
    _, recorder = _follow(block, given, x, across)
    if recorder.convs and recorder.convs[0].x.shape == (1, 6, 2 * height, 2 * width):
        large, expected = recorder.convs[0].x, as_array(x)
        off = np.abs(_pooled(large, "mean") - expected).max(axis=(0, 2, 3))
        allowed = np.array([0.35 * (abs(a) + abs(b)) + 1e-4 for a, b in slopes])
        is_flat = np.ptp(large[0, 0]) < 1e-4
        if is_flat and (off <= allowed).all():
            return
        channel = int(np.argmax(off - allowed))
        wrong(
            given=given,
            expected=f"upsampled x, each 2x2 pixels about {expected[0, channel, :2, :2].tolist()}",
            got=np.round(_pooled(large, "mean")[0, channel, :2, :2], 2).tolist(),
            likely=_cause_of_upsampling(expected, large),
        )
    _check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    _check_enlarged(as_array(x), recorder.convs[0].x, given)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_every_weight_learns() -> None:
    """Gradients reach both inputs and all weights."""
    given = "UNetUpConvBlock(6, 3), x (2, 6, 4, 6) and encoder_features (2, 3, 8, 12)"
    block = randomized(models.UNetUpConvBlock(6, 3), given)
    x, across = random_tensor(12, 2, 6, 4, 6), random_tensor(13, 2, 3, 8, 12)
    inputs = {"x": x, "encoder_features": across}
    _check_gradients(block, inputs, lambda: {"the output": block(x, across)}, given)


# ------------------------------------------------------------------ 3.5


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
        output, recorder = _follow(decoder, given, bottom, features, training=training)
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
        _check_tensor("logits", output, (3, classes, *full), given, causes)


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
    _check_layers(recorder, decoder, shapes, given)
    if training:
        _check_statistics_move(recorder, given)
    maps = {f"features[{i}]": as_array(each) for i, each in enumerate(features)}
    for i in range(n):
        first = 1 + 3 * i
        large, joined = recorder.convs[first].x, recorder.convs[first + 1].x
        below = _last_of_level(recorder, i, as_array(bottom), training)
        where = f"{given}; block {i} of the decoder"
        if large.shape[2:] == (2 * below.shape[2], 2 * below.shape[3]):
            _check_level(large, below, i, recorder, as_array(bottom), where, training)
        _check_enlarged(below, large, where)
        across = as_array(features[n - 1 - i])
        known = functools.partial(_relatives, maps)
        _check_first_unit(joined, large, across, recorder, where, training, first, known)
    _check_logits(output, recorder, as_array(bottom), n, given, training)


def _last_of_level(
    recorder: LayerRecorder, i: int, bottom: np.ndarray, training: bool, **options: object
) -> np.ndarray:
    """What goes into up block i: the decoder's bottom, or what block i - 1 gives."""
    options = {"training": training, **options}
    if i == 0:
        return _unit(bottom, recorder, 0, **options)
    joined = recorder.convs[3 * i - 1].x
    return _unit(_unit(joined, recorder, 3 * i - 1, **options), recorder, 3 * i, **options)


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
    if _is_interpolated(below, large):
        return
    likely = variant(
        lambda **options: _is_interpolated(
            _last_of_level(recorder, i, bottom, training, **options), large
        )
    )
    if likely is None and _is_enlarged(below, large) and _correlation(below, large) > 0.93:
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
    return float(np.corrcoef(_pooled(large, "mean").ravel(), x.ravel())[0, 1])


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
        return _unit(last, recorder, 3 * n + 1, steps="C")

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
        "there is a second ReLU before the last convolution": lambda: _unit(
            np.maximum(_last_of_level(recorder, n, bottom, training), 0),
            recorder,
            3 * n + 1,
            steps="C",
        ),
        "there is a tanh at the end; the loss expects logits": lambda: np.tanh(logits),
    }
    _check_values("logits", output, expect, recorder, given, training, causes)


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
    _check_gradients(decoder, inputs, lambda: {"logits": decoder(bottom, list(features))}, given)
