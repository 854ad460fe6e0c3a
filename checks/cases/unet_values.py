"""What the layers of a part of the UNet compute, in numpy: what the cases of chapter 3 share."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from checks.cases.unet_layers import check_tensor
from checks.common import is_equal, random_tensor
from checks.diagnosis.chapter_3 import (
    Conv,
    LayerRecorder,
    Norm,
    as_array,
    cause_in_calls,
    first_difference,
    variant,
)
from commands.companion.checking import wrong


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


def unit(
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


def check_values(
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
        expect: computes the values; takes the options of `unit`.
        recorder: of the forward pass.
        given: for the message.
        training: whether the module was in training mode.
        causes: sentences and what they would give.
        steps: what should go into each convolution, in their order, with its name.
        known: makes other arrays that it may be, by name.
    """
    expected = expect(training=training)
    check_tensor(name, got, expected.shape, given)
    values = as_array(got)
    if is_equal(values, expected):
        return
    place = np.unravel_index(np.nanargmax(np.abs(values - expected)), expected.shape)
    where = f"{name}[{', '.join(str(int(i)) for i in place)}]"
    wrong(
        given=given + (", in training mode" if training else ", in evaluation mode"),
        expected=f"{where} = {expected[place]:.4f}, computed from your weights",
        got=f"{values[place]:.4f}; {first_difference(recorder, steps, name)}",
        likely=_cause_of_values(values, expect, training, causes or {}, known)
        or cause_in_calls(recorder),
    )


def _cause_of_values(
    values: np.ndarray,
    expect: Callable[..., np.ndarray],
    training: bool,
    causes: dict[str, Callable[[], np.ndarray]],
    known: Callable[[], dict[str, np.ndarray]],
) -> str | None:
    """The mistake that gives these very values: one of `causes`, or a usual one."""
    for cause, compute in causes.items():
        if is_equal(values, compute()):
            return cause
    likely = variant(lambda **options: is_equal(values, expect(training=training, **options)))
    if likely is not None:
        return likely
    if is_equal(values, expect(training=not training)):
        if training:
            return (
                "in training mode batch normalisation must go by the batch, not by its running mean"
            )
        return "in evaluation mode batch normalisation must go by its running mean and variance"
    if is_equal(values, np.maximum(expect(training=training), 0)):
        return "there is a second ReLU after batch normalisation"
    return next((f"this is {what}" for what, x in known().items() if is_equal(values, x)), None)


def check_statistics_move(recorder: LayerRecorder, given: str) -> None:
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


def check_gradients(
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
    _check_all_are_trained(parameters, given)
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    with LayerRecorder() as recorder:
        found = outputs()
    ran = {id(conv.parameter) for conv in recorder.convs}
    for number, (name, output) in enumerate(found.items()):
        if not output.requires_grad:
            expected = f"the gradient of {name} reaches weights and inputs"
            got = f"{name} has no gradient at all"
            likely = "the way is cut: detach(), .data, torch.no_grad() or numpy"
            wrong(given=given, expected=expected, got=got, likely=likely)
        wanted = inputs if name in partial else {**inputs, **parameters}
        weighted = (output * random_tensor(100 + number, *output.shape)).sum()
        source = _unreached(weighted, wanted)
        if source is not None:
            is_conv = source.endswith("weight") and wanted[source].dim() == 4
            is_unused = is_conv and id(wanted[source]) not in ran
            expected = f"the gradient of {name} reaches {source}: no detach(), .data or "
            expected += "torch.no_grad() between them"
            likely = "it was built but is not used" if is_unused else None
            wrong(given=given, expected=expected, got="it does not", likely=likely)


def _check_all_are_trained(parameters: dict[str, Tensor], given: str) -> None:
    """Fails where a parameter is kept from learning."""
    fixed = [name for name, each in parameters.items() if not each.requires_grad]
    if fixed:
        got = f"{fixed[0]} has requires_grad=False"
        wrong(given=given, expected="all weights are trained", got=got)


def _unreached(value: Tensor, wanted: dict[str, Tensor]) -> str | None:
    """The first of these tensors that the gradient of a value does not reach."""
    tensors = list(wanted.values())
    gradients = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True)
    pairs = zip(wanted, gradients, strict=True)
    return next((name for name, g in pairs if g is None or not g.abs().sum() > 0), None)


def pool_2x2(x: np.ndarray, how: str = "max") -> np.ndarray:
    """2x2 pooling of (B, C, H, W)."""
    batch, channels, height, width = x.shape
    windows = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return getattr(windows, how)(axis=(3, 5))


def relatives(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by name, and what is made of each by pooling, repeating channels and enlarging."""
    made = dict(found)
    for name, x in found.items():
        pooled, words = x, name
        for _ in range(3):
            if pooled.shape[2] % 2 or pooled.shape[3] % 2:
                break
            pooled, words = pool_2x2(pooled), f"{words}, pooled"
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
