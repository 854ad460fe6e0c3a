"""Which layers a part of the UNet runs, with which weights: what the cases of chapter 3 share."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from checks.common import kind_of
from checks.diagnosis.chapter_3 import (
    LayerRecorder,
    cause_of_count,
    cause_of_weights,
    has_plain_list,
)
from commands.companion.checking import wrong


def follow(
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


def check_tensor(
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


def check_layers(
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
    if recorder.transposed:
        wrong(
            given=given,
            expected="no weights in the upsampling",
            got=f"a transposed convolution with weights {recorder.transposed[0]}",
            likely="the upsampling is learned; here it is fixed: nn.Upsample or F.interpolate"
            if units > 1
            else "a transposed convolution; this one is nn.Conv2d",
        )
    _check_weight_shapes(recorder, module, shapes, given)
    _check_norm_count(recorder, units, given)
    _check_nothing_is_shared(recorder, given)
    _check_all_is_registered(recorder, module, given)


def _check_weight_shapes(
    recorder: LayerRecorder, module: nn.Module, shapes: list[tuple[int, ...]], given: str
) -> None:
    """Fails unless as many convolutions ran as there are shapes, with weights of these."""
    found = [conv.weight.shape for conv in recorder.convs]
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


def _check_nothing_is_shared(recorder: LayerRecorder, given: str) -> None:
    """Fails where one convolution or one batch normalisation ran in two places."""
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


def _check_all_is_registered(recorder: LayerRecorder, module: nn.Module, given: str) -> None:
    """Fails unless the module knows the weights and statistics of all that ran."""
    own = {id(parameter) for parameter in module.parameters()}
    hidden = [i for i, conv in enumerate(recorder.convs, start=1) if id(conv.parameter) not in own]
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
