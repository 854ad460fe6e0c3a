"""The likely causes of wrong answers of chapter 3: the UNet."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from checks.common import is_equal

# ------------------------------------------------------------------ chapter 3: helpers


#
# The tests go by what a network computes, however it is written: they note the convolutions and
# batch normalisations in the order in which they run, give all of them random weights and
# statistics, and compute the output again from these with numpy.
class Conv(NamedTuple):
    """A convolution that ran: its parameters, their values, and what went into it."""

    parameter: Tensor
    weight: np.ndarray
    bias: np.ndarray | None
    x: np.ndarray


class Norm(NamedTuple):
    """A batch normalisation that ran: its statistics, their values, scale, shift and epsilon."""

    statistics: tuple[Tensor | None, Tensor | None]
    mean: np.ndarray | None
    variance: np.ndarray | None
    scale: np.ndarray | None
    shift: np.ndarray | None
    epsilon: float


class LayerRecorder(TorchFunctionMode):
    """Notes which functions of PyTorch run, and the values of the layers with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convs: list[Conv] = []
        self.norms: list[Norm] = []
        self.transposed: list[tuple[int, ...]] = []
        self.calls: list[str] = []

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        self.calls.append(name)

        def argument(position: int, key: str, default: object = None) -> object:
            return args[position] if position < len(args) else kwargs.get(key, default)

        if name == "conv2d":
            weight, x, bias = argument(1, "weight"), argument(0, "input"), argument(2, "bias")
            if _is_learned(weight) or argument(6, "groups", 1) == 1:
                before = as_array(x)
                if argument(4, "padding", 0) in (0, (0, 0)) and weight.shape[-1] == 3:
                    before = _without_zero_border(before)
                self.convs.append(Conv(weight, as_array(weight), as_array(bias), before))
        elif name == "conv_transpose2d" and _is_learned(argument(1, "weight")):
            self.transposed.append(tuple(argument(1, "weight").shape))
        elif name == "batch_norm":
            order = ("running_mean", "running_var", "weight", "bias")
            if func is torch.batch_norm:
                order = ("weight", "bias", "running_mean", "running_var")
            found = {key: argument(i + 1, key) for i, key in enumerate(order)}
            mean, variance = found["running_mean"], found["running_var"]
            values = [as_array(found[key]) for key in ("weight", "bias")]
            epsilon = argument(7, "eps", 1e-5)
            statistics = as_array(mean), as_array(variance)
            self.norms.append(Norm((mean, variance), *statistics, *values, epsilon))
        return func(*args, **kwargs)


def _without_zero_border(x: np.ndarray) -> np.ndarray:
    """Takes off the zeros that a layer of its own has padded a picture with."""
    border = [x[..., 0, :], x[..., -1, :], x[..., :, 0], x[..., :, -1]]
    if min(x.shape[2:]) > 2 and not any(each.any() for each in border):
        return x[..., 1:-1, 1:-1]
    return x


def _is_learned(weight: Tensor) -> bool:
    return isinstance(weight, nn.Parameter) or weight.requires_grad


def as_array(tensor: Tensor | None) -> np.ndarray | None:
    """A tensor as float64."""
    return None if tensor is None else tensor.detach().double().cpu().numpy().copy()


def cause_of_count(recorder: LayerRecorder, module: nn.Module, wanted: int) -> str | None:
    """What a wrong number of convolutions comes from."""
    weights = [id(conv.parameter) for conv in recorder.convs]
    built = {id(each) for each in module.parameters() if each.dim() == 4}
    if any(isinstance(each, nn.Linear) for each in module.modules()):
        return "there is an nn.Linear; at every pixel, that is nn.Conv2d with kernel_size=1"
    if len(weights) < wanted:
        is_unused = bool(built - set(weights))
        return (
            "a convolution is built but not used in forward"
            if is_unused
            else "a convolution is missing"
        )
    if len(set(weights)) < len(weights):
        return "a block runs twice"
    return "there is one convolution too many" if len(weights) == wanted + 1 else None


def has_plain_list(module: nn.Module) -> bool:
    """Whether a module keeps others in a list, tuple or dict of Python."""
    for each in module.modules():
        for name, value in vars(each).items():
            inner = value.values() if isinstance(value, dict) else value
            is_plain = isinstance(value, list | tuple | dict) and not name.startswith("_")
            if is_plain and any(isinstance(layer, nn.Module) for layer in inner):
                return True
    return False


def first_difference(
    recorder: LayerRecorder, steps: Sequence[tuple[str, np.ndarray]], name: str
) -> str:
    """The first convolution into which goes something else than it should."""
    for conv, (step, expected) in zip(recorder.convs, steps, strict=False):
        if not is_equal(conv.x, expected):
            return f"the first step that differs: what goes into {step}"
    return f"what goes into each convolution is right; what comes out as {name} is not"


def cause_of_weights(got: tuple[int, ...], shape: tuple[int, ...]) -> str | None:
    """The mistake that gives weights of these shapes."""
    if got[2:] != shape[2:]:
        return f"the kernel is {got[2]}x{got[3]} instead of {shape[2]}x{shape[3]}"
    if got[:2] == shape[1::-1]:
        return "cin and cout are swapped"
    if got[0] == shape[0] and shape[1] == 2 * shape[0] and got[1] == shape[0]:
        return "it takes half the channels: both sources must be concatenated"
    if got[0] == shape[0] and got[1] == shape[0] * 3:
        return "something is concatenated twice"
    return None


_VARIANTS = {
    "batch normalisation stands before the ReLU; here it comes after it": {"steps": "CNR"},
    "the ReLU is missing": {"steps": "CN"},
    "batch normalisation runs but is not used": {"steps": "CR"},
    "the order is wrong: first the convolution, then ReLU, then batch normalisation": {
        "steps": "NCR"
    },
    "the order is wrong: ReLU comes after the convolution, not before": {"steps": "RCN"},
    "the order is wrong: batch normalisation comes last, not first": {"steps": "NRC"},
    "there is a second ReLU after batch normalisation": {"steps": "CRNR"},
    "the padding is not of zeros but reflected": {"padding": "reflect"},
    "the padding is not of zeros but repeats the border": {"padding": "edge"},
    "the padding is not of zeros but circular": {"padding": "wrap"},
}


def variant(matches: Callable[..., bool]) -> str | None:
    """The first mistake of `_VARIANTS` with whose options `matches` returns True."""
    for cause, options in _VARIANTS.items():
        with suppress(ValueError):  # the order of the layers does not fit the channels
            if matches(**options):
                return cause
    return None


_STRANGE_CALLS = {
    *("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "avg_pool2d"),
    *("leaky_relu", "relu6", "prelu", "elu", "selu", "gelu", "silu", "mish", "softplus"),
    *("sigmoid", "tanh", "hardtanh", "hardswish", "softmax", "log_softmax"),
}


def cause_in_calls(recorder: LayerRecorder) -> str | None:
    """Names a function that ran and has no place here."""
    found = [call for call in recorder.calls if call.rstrip("_") in _STRANGE_CALLS]
    return f"your code calls {found[0].rstrip('_')}, which has no place here" if found else None
