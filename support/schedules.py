"""Optimisers, and learning-rate schedules as a factor of the initial rate for each step.

Every schedule is a function of the step alone and is stepped once after each optimiser step, not
once an epoch. Sources: Loshchilov and Hutter, "SGDR" (ICLR 2017, equation 5) for the cosine; Chen
et al., "DeepLab" (PAMI 2018, section 4.1) for the polynomial with power 0.9; Goyal et al.,
"Accurate, Large Minibatch SGD" (2017, section 2.2) for the linear warm-up.
"""

import math
from collections.abc import Callable
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from utils import LabError

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": partial(SGD, momentum=0.9),
}


def build_optimizer(name: str, model: nn.Module, lr: float, weight_decay: float) -> Optimizer:
    """Builds an optimiser over a model's parameters; fused, one kernel for all of them.

    Args:
        name: a key of `OPTIMIZERS`; `sgd` has momentum 0.9.
        model: already on its device.
        lr: the initial learning rate.
        weight_decay: decoupled from the gradient in `adamw`, an L2 penalty in the others.

    Raises:
        LabError: for a name that is not there.
    """
    if name not in OPTIMIZERS:
        raise LabError(f"unknown optimizer {name!r}; there are: {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


WARM_UP = 0.05
"""The share of the horizon in which the rate rises linearly."""


def constant(progress: float) -> float:
    """No decay."""
    return 1.0


def poly(progress: float) -> float:
    """(1 - progress)^0.9."""
    return (1.0 - progress) ** 0.9


def cosine(progress: float) -> float:
    """Half a cosine wave from 1 down to 0."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SCHEDULERS: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "poly": poly,
    "cosine": cosine,
}


def build_scheduler(name: str, optimizer: Optimizer, horizon: int) -> LambdaLR:
    """Builds a schedule to be stepped after every optimiser step.

    Args:
        name: a key of `SCHEDULERS`.
        optimizer: its rates are multiplied.
        horizon: the number of steps until the decay ends; the rate then stays where it is.

    Raises:
        LabError: for a name that is not there.
    """
    if name not in SCHEDULERS:
        raise LabError(f"unknown scheduler {name!r}; there are: {', '.join(SCHEDULERS)}")
    decay = SCHEDULERS[name]
    warm_up_steps = round(WARM_UP * horizon) if name != "constant" else 0

    def factor(step: int) -> float:
        if step < warm_up_steps:
            return (step + 1) / (warm_up_steps + 1)
        return decay(min(1.0, (step - warm_up_steps) / max(1, horizon - warm_up_steps)))

    return LambdaLR(optimizer, factor)
