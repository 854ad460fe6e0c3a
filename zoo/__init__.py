"""The zoo: the field's architectures and losses, one readable file each.

Here stands only which file holds which model, and the names of the losses. A file is imported when
one of its models or losses is built, so that the UNet need not wait for the libraries of others.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from torch import Tensor, nn

FILES: dict[str, tuple[str, ...]] = {
    "my_fcn": ("my_fcn",),
    "fcn": ("fcn_resnet18", "fcn_resnet34", "fcn_resnet50", "fcn_resnet101", "fcn_resnet152"),
    "deeplabv3": ("deeplabv3_resnet50", "deeplabv3_resnet101"),
    "deeplabv3plus": ("deeplabv3plus_resnet50", "deeplabv3plus_resnet101"),
    "segformer": tuple(f"segformer_b{size}" for size in range(6)),
    "hrnet": ("hrnet_w18", "hrnet_w48"),
    "hrnet_ocr": ("hrnet_ocr_w48", "hrnet_ocr_aspp_w48"),
    "hrnet_ocr_ms": ("hrnet_ocr_ms_w48",),
}
LOSS_NAMES = ("topk", "dice", "dice_ce", "dice_topk", "tversky", "lovasz", "mcc", "rmi", "wrmi")


def _build(file: str, name: str, num_classes: int, **options: object) -> nn.Module:
    return import_module(f"zoo.{file}").MODELS[name](num_classes, **options)


def _build_loss(name: str, *values: object, **options: object) -> nn.Module:
    return import_module("zoo.losses").LOSSES[name](*values, **options)


MODELS: dict[str, Callable[..., nn.Module]] = {
    name: partial(_build, file, name) for file, names in FILES.items() for name in names
}
LOSSES: dict[str, Callable[..., nn.Module]] = {
    name: partial(_build_loss, name) for name in LOSS_NAMES
}


def with_auxiliary(
    criterion: nn.Module, model: nn.Module, aux_weights: Sequence[float] | None = None
) -> nn.Module:
    """Wraps a criterion for a model with auxiliary heads; for any other it stays as it is.

    The model says by `aux_count` how many it has, `aux_weights` has one for each; by default the
    weights are the model's own.
    """
    if aux_weights is None and not getattr(model, "aux_count", 0):
        return criterion
    return import_module("zoo.auxiliary").with_auxiliary(criterion, model, aux_weights)


def translate(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gives the keys of a published state dict of model `name` our names, where they have one."""
    file = next(file for file, names in FILES.items() if name in names)
    return import_module(f"zoo.{file}").translate(state)
