"""What `train` does to a new network that is not to learn all from random weights."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

import zoo
from support.engine.weights import fix_batch_norm, freeze, load_weights


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
