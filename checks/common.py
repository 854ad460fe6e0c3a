"""What the cases of several chapters share: values in words, networks, data to try answers on."""

import math
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from commands.companion.checking import wrong
from losses import FocalLoss, WeightedCrossEntropy


def attempt(call: Callable[[], object], *, given: str, expected: str, likely: str) -> object:
    """Calls a student's code; if it raises, says what that probably comes from."""
    try:
        return call()
    except NotImplementedError:
        raise  # a TODO still to do
    except Exception as error:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        names = ("data.py", "metrics.py")
        place = next((f for f in frames if Path(f.filename).name in names), None)
        where = f" at {Path(place.filename).name}:{place.lineno}" if place else ""
        text = (str(error).strip().split("\n")[0] or "no message")[:200]
        got = f"{type(error).__name__}{where}: {text}"
        wrong(given=given, expected=expected, got=got, likely=likely)


def in_words(value: object) -> str:
    """A value's kind, shape and type in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} {value.dtype}"
    return f"a value of type {type(value).__name__}"


def few_of(values: Sequence[float], digits: int = 4) -> str:
    """Some numbers in short."""
    text = ", ".join(f"{value:.{digits}g}" for value in list(values)[:12])
    return f"[{text}{', ...' if len(values) > 12 else ''}]"


def random_tensor(seed: int, *shape: int) -> Tensor:
    """Normally distributed numbers, the same for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomized(module: object, given: str, seed: int = 0) -> nn.Module:
    """Gives a module random weights, and its batch normalisations random statistics."""
    if not isinstance(module, nn.Module):
        wrong(given=given, expected="an nn.Module", got=kind_of(module))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                draw *= 3 / (parameter[0].numel() ** 0.5)  # large enough for a ReLU6 to show
            else:  # biases, and the scales and shifts of batch normalisation: none close to 0
                draw = draw.sign() * (0.3 + 0.5 * torch.rand(draw.shape, generator=generator))
            parameter.copy_(draw)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.6 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.3 + 2 * torch.rand(buffer.shape, generator=generator))
    return module


def kind_of(value: object) -> str:
    """A few words about any value: a tensor's shape, or the type."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}: " + ", ".join(map(kind_of, value[:6]))
    return f"a value of type {type(value).__name__}"


def is_equal(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays agree but for rounding."""
    size = max(1.0, float(np.abs(expected).max())) if expected.size else 1.0
    return got.shape == expected.shape and bool(np.abs(got - expected).max() < 2e-4 * size)


VOID = 255


def near(value: float, expected: float, tolerance: float = 1e-5) -> bool:
    """Whether a number is right but for rounding; NaN and infinities never are."""
    return math.isfinite(value) and abs(value - expected) <= tolerance * max(1.0, abs(expected))


def recognise(value: float, mistakes: dict[str, float], tolerance: float = 1e-5) -> str | None:
    """Finds the mistake that gives this very value."""
    found = [name for name, each in mistakes.items() if near(value, each, tolerance)]
    return found[0] if found else None


def numbers(values: object) -> str:
    """A few numbers in short."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    text = ", ".join(f"{each:.4g}" for each in flat[:12])
    return f"[{text}{', …' if flat.size > 12 else ''}]"


def describe(value: object) -> str:
    """What kind of thing came."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    return f"{type(value).__name__} {str(value)[:60]}"


def log_softmax_by_hand(logits: np.ndarray, axis: int) -> np.ndarray:
    """In numpy, so without any gradient."""
    shifted = logits - logits.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def pick(channels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The true class's channel at each pixel: (B, K, H, W), (B, H, W) → (B, H, W)."""
    return np.take_along_axis(channels, ids[:, None], 1)[:, 0]


def buffer_of(weights: list[float] | None) -> Tensor | None:
    """Weights as the constructor takes them."""
    return None if weights is None else torch.tensor(weights)


def make(number: str, weights: list[float] | None, gamma: float, void: int = VOID) -> nn.Module:
    """The loss of TODO 5.2 or 5.3."""
    if number == "5.2":
        return WeightedCrossEntropy(buffer_of(weights), ignore_index=void)
    return FocalLoss(gamma, buffer_of(weights), ignore_index=void)


Batch = tuple[Tensor, Tensor]


class Elsewhere(Tensor):
    """Stands for a tensor on another device, until it is taken to the device asked for."""

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Every use of the tensor comes by here; it ends where it is taken to a device."""
        kwargs = kwargs or {}
        if func == Tensor.device.__get__:
            return torch.device("meta")
        name = getattr(func, "__name__", "")
        words = [*args[1:], *kwargs.values()]
        goes = any(isinstance(each, str | torch.device) for each in words)
        goes |= name == "to" and any(isinstance(each, Tensor) for each in words)
        if not goes and name not in ("cpu", "cuda"):
            return super().__torch_function__(func, types, args, kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            return result.as_subclass(Tensor) if isinstance(result, Tensor) else result


def elsewhere(batches: list[Batch]) -> list[Batch]:
    """The same batches, not yet on the device."""
    return [(i.as_subclass(Elsewhere), t.as_subclass(Elsewhere)) for i, t in batches]
