"""Weights from elsewhere, for fine-tuning; and batch normalisation that stays as it is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from support.engine.folder import load_checkpoint
from utils import LabError

MOST_NAMED = 12
LEAST_FRACTION = 0.01
"""Of a model's numbers: where not even these fit, the file is of another model."""
WRAPPINGS = ("average", "model", "state_dict")
"""Under which key a checkpoint holds its weights: last.pt's average, ours, and the usual one."""


def load_weights(
    model: nn.Module,
    path: Path,
    translate: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda state: state,
    classes: Sequence[str] = (),
) -> list[str]:
    """Takes over the weights of a checkpoint, as far as names and shapes agree.

    Args:
        model: its weights are changed.
        path: a best.pt or last.pt, the folder of a run, or a state dict.
        translate: gives the tensors of another implementation our names.
        classes: the names of the model's classes, to compare with those of a best.pt.

    Returns:
        Lines that say how many tensors were taken, and which were not.

    Raises:
        LabError: when the file cannot be read, next to nothing in it fits, or a weight is not a
            number.
    """
    path = path / "best.pt" if path.is_dir() else path
    stored = read_stored(path)
    before = classes_of(stored) or classes
    found = translate(unwrapped(stored, path))
    own = model.state_dict()
    fits = {key: v for key, v in found.items() if key in own and v.shape == own[key].shape}
    numbers = sum(value.numel() for value in fits.values() if value.is_floating_point())
    if numbers < LEAST_FRACTION * sum(each.numel() for each in model.parameters()):
        raise LabError(
            f"{path}: {len(fits)} of its {len(found)} tensors fit this model, next to nothing; is "
            "it another model, or one of other --base-channels?"
        )
    wrong = [key for key, value in fits.items() if not value.isfinite().all()]
    if wrong:
        raise LabError(f"{path}: holds weights that are not numbers ({wrong[0]}); choose another")
    model.load_state_dict(fits, strict=False)
    return [
        f"{path}: {len(fits)} of the model's {len(own)} tensors taken over",
        *mismatches(own, found),
        *other_classes(before, classes),
    ]


def read_stored(path: Path) -> object:
    """What a file of PyTorch's, or of safetensors, holds.

    Raises:
        LabError: when it cannot be read.
    """
    if path.suffix != ".safetensors":
        return load_checkpoint(path)
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise LabError(f"{path}: to read it, type: pip install safetensors") from error
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise LabError(f"{path}: not a readable safetensors file") from error


def unwrapped(stored: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name, whatever a training program has put around them.

    Raises:
        LabError: where there are none.
    """
    for key in WRAPPINGS:
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    pairs = stored.items() if isinstance(stored, dict) else [(None, None)]
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in pairs):
        raise LabError(f"{path}: holds no weights; give a best.pt, a last.pt or a state dict")
    return {key.removeprefix("module."): value for key, value in stored.items()}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights, by name; `LabError` where there are none."""
    return unwrapped(read_stored(path), path)


def classes_of(checkpoint: object) -> list[str]:
    """The names of the classes of a best.pt or a last.pt; none for another file."""
    found = checkpoint if isinstance(checkpoint, dict) else {}
    if isinstance(found.get("classes"), list):
        return list(map(str, found["classes"]))
    try:
        return [row["name"] for row in found["labels"]["classes"]]
    except (KeyError, TypeError):
        return []


def other_classes(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """A line on the last layer where a file's classes are not the model's."""
    if len(before) != len(now):
        return [f"  the last layer begins anew: {len(before)} classes there, {len(now)} here"]
    differ = [
        f"{old} there, {new} here" for old, new in zip(before, now, strict=True) if old != new
    ]
    return [f"  the last layer has learned other classes: {differ[0]}"] if differ else []


def mismatches(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """A line for each kind of tensor that was not taken over; none where everything fits."""
    other_shape = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in found and found[key].shape != own[key].shape
    ]
    kinds = {
        "of another shape": other_shape,
        "missing in the file, left as drawn": [key for key in own if key not in found],
        "without a place in the model": [key for key in found if key not in own],
    }
    lines = []
    for kind, names in kinds.items():
        if names:
            lines.append(f"  {len(names)} {kind}: {', '.join(names_in_short(names))}")
    return lines


def names_in_short(names: Sequence[str]) -> list[str]:
    """Each name, or where they are many each module with the number of its tensors."""
    if len(names) <= MOST_NAMED:
        return list(names)
    modules = Counter(".".join(name.split()[0].split(".")[:-1][:2]) for name in names)
    return [f"{module}.* ({count})" for module, count in modules.items()]


class FixedBatchNorm(nn.BatchNorm2d):
    """A batch normalisation that keeps its running statistics in training mode too."""

    def train(self, mode: bool = True) -> "FixedBatchNorm":
        """Stays in evaluation mode, whatever `mode` says."""
        return super().train(False)


def fix_batch_norm(model: nn.Module, only_frozen: bool = False) -> None:
    """Has every batch normalisation, or those that do not learn, keep its running statistics."""
    for module in model.modules():
        for name, child in module.named_children():
            is_meant = isinstance(child, nn.BatchNorm2d | nn.SyncBatchNorm)
            if is_meant and not (only_frozen and child.weight.requires_grad):
                fixed = FixedBatchNorm(child.num_features, child.eps, child.momentum)
                fixed.to(child.weight)
                fixed.load_state_dict(child.state_dict())
                fixed.requires_grad_(child.weight.requires_grad)
                setattr(module, name, fixed.eval())


def freeze(model: nn.Module, part: str, num_classes: int) -> None:
    """Leaves only a part of a model to learn; what is frozen stays as it is, to the bit.

    Args:
        model: says by `head_parameters` what its head is.
        part: `last` for the 1x1 convolutions that score the classes, `head`, or `all`.
        num_classes: K.
    """
    if part == "all":
        return
    learning = {id(parameter) for parameter in model.head_parameters()}
    if part == "last":
        scoring = (each for each in model.modules() if is_scoring(each, num_classes))
        learning &= {id(parameter) for each in scoring for parameter in each.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learning)
    fix_batch_norm(model, only_frozen=True)


def with_slower_backbone(
    model: nn.Module, learning: Sequence[nn.Parameter], optimizer: str, lr: float
) -> list[dict[str, Any]]:
    """The parameters that learn in two groups: those of the head, and all others with rate `lr`.

    Raises:
        LabError: for an optimiser that has groups of its own.
    """
    if optimizer == "muon":
        raise LabError("--backbone-lr-factor goes with adam, adamw and sgd; say --optimizer adamw")
    head = {id(each) for each in model.head_parameters()}
    in_head = [each for each in learning if id(each) in head]
    others = [each for each in learning if id(each) not in head]
    return [{"params": in_head}, {"params": others, "lr": lr}]


def is_scoring(module: nn.Module, num_classes: int) -> bool:
    """Whether a layer gives the logits of the K classes."""
    is_pointwise = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    return is_pointwise and module.out_channels == num_classes and module.bias is not None
