"""The zoo: the field's architectures and losses, one readable file each.

Here stands only which file holds which model. A file is imported when one of its models is built,
so that the UNet need not wait for the libraries of the others.
"""

from collections.abc import Callable
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


def _build(file: str, name: str, num_classes: int, **options: object) -> nn.Module:
    """Builds a model of one of the files."""
    return import_module(f"zoo.{file}").MODELS[name](num_classes, **options)


MODELS: dict[str, Callable[..., nn.Module]] = {
    name: partial(_build, file, name) for file, names in FILES.items() for name in names
}


def translate(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gives the keys of the reference implementation's state dict our names.

    Args:
        name: of the model, a key of `MODELS`.
        state: as published; keys without a place are kept as they are.
    """
    file = next(file for file, names in FILES.items() if name in names)
    return import_module(f"zoo.{file}").translate(state)
