"""What `train` does where a network is not to learn all from random weights."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

import zoo
from commands.train import DEFAULT_SIZES
from support.engine.weights import fix_batch_norm, freeze, load_weights
from utils import LabError


def require_one_source(options: dict[str, Any]) -> None:
    """Raises `LabError` where weights come from two places, or from one that the model has not."""
    model = options["model"]
    if sum(map(bool, (options["pretrained"], options["weights"], options["finetune_from"]))) > 1:
        raise LabError("--pretrained, --weights and --finetune-from exclude each other: choose one")
    if options["pretrained"] and "resnet" not in model:
        raise LabError(f"--pretrained is for models on a ResNet, not for {model}; see --weights")
    if options["weights"] and model in DEFAULT_SIZES:
        raise LabError(
            f"--weights is for models with a reference; for a {model} use --finetune-from"
        )


def prepare(
    model: nn.Module, options: Namespace, classes: Sequence[str], is_new: bool
) -> list[str]:
    """Takes over weights from elsewhere, and leaves only a part of the network to learn.

    Args:
        model: is changed.
        options: of `train`.
        classes: the names of its K classes.
        is_new: whether the run begins here; a resumed one has its own weights.

    Returns:
        Lines to print.

    Raises:
        LabError: as `load_weights`.
    """
    file, lines = options.weights or options.finetune_from, []
    if is_new and file:
        names = [partial(zoo.translate, options.model)] if options.weights else []
        lines += load_weights(model, Path(file), *names, classes=classes)
    freeze(model, options.train, len(classes))
    if options.train != "all" and is_new and not (options.pretrained or file):
        part = options.train
        lines.append(f"note: --train {part} of random weights; what is frozen stays random")
    if options.fix_batchnorm:
        fix_batch_norm(model)
    return lines
