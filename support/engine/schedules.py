"""Optimisers, and learning-rate schedules as a factor of the initial rate for each step.

Every schedule is stepped once after each optimiser step, not once an epoch, and is a function of
the step alone; only `plateau` also hears the validation score of each epoch. Sources: Loshchilov
and Hutter, "SGDR" (ICLR 2017, equation 5) for the cosine; Chen et al., "DeepLab" (PAMI 2018,
section 4.1) for the polynomial with power 0.9; Goyal et al., "Accurate, Large Minibatch SGD" (2017,
section 2.2) for the linear warm-up.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from utils import LabError

OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": partial(SGD, momentum=0.9)}


def build_optimizer(name: str, model: nn.Module, lr: float, weight_decay: float) -> Optimizer:
    """Builds an optimiser over a model's parameters; fused, one kernel for all of them.

    Args:
        name: a key of `OPTIMIZERS`.
        weight_decay: decoupled from the gradient in `adamw`, an L2 penalty in the others.

    Raises:
        LabError: for a name that is not there.
    """
    if name not in OPTIMIZERS:
        raise LabError(f"unknown optimizer {name!r}; there are: {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


WARM_UP = 0.05
"""The fraction of the horizon in which the rate rises linearly, unless told otherwise."""
LAST_FRACTION = 0.01
"""What the exponential schedule leaves of the rate at the horizon."""
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.3, 3
"""The plateau's reduction, and the evaluations without a better score that it waits for."""


SCHEDULERS: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "poly": lambda progress: (1.0 - progress) ** 0.9,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "exponential": lambda progress: LAST_FRACTION**progress,  # the same factor in every step
    "plateau": lambda progress: 1.0,  # falls by the score instead
}
"""The factor of the rate by the progress after the warm-up, 0 ... 1."""


class Schedule(LambdaLR):
    """A warm-up, then a decay by the step; `plateau` falls by the validation score besides.

    Its whole state, the horizon included, is in `state_dict()`: a resumed run goes on with the same
    rates, also when it is given more steps and its rate has not ended at 0.

    Args:
        name: a key of `SCHEDULERS`.
        optimizer: its rates are multiplied.
        horizon: the number of steps until the decay ends; the rate then stays where it is.
        warm_up: the fraction of the horizon in which the rate rises linearly.
    """

    def __init__(self, name: str, optimizer: Optimizer, horizon: int, warm_up: float) -> None:
        self.name = name
        self.horizon, self.warm_up_steps = horizon, round(warm_up * horizon)
        self.reduction, self.best_score, self.waited = 1.0, -math.inf, 0
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """The factor of the initial rate at a step."""
        if step < self.warm_up_steps:
            return (step + 1) / (self.warm_up_steps + 1)
        progress = (step - self.warm_up_steps) / max(1, self.horizon - self.warm_up_steps)
        return self.reduction * SCHEDULERS[self.name](min(1.0, progress))

    def hear_score(self, score: float) -> None:
        """Tells the schedule the score of an epoch, of which higher is better."""
        if self.name != "plateau":
            return
        self.waited = 0 if score > self.best_score else self.waited + 1
        self.best_score = max(score, self.best_score)
        if self.waited > PLATEAU_PATIENCE:
            self.reduction, self.waited = self.reduction * PLATEAU_FACTOR, 0
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * self.factor(self.last_epoch)

    def last_rate(self) -> float:
        """The learning rate at which the schedule ends."""
        return self.base_lrs[0] * self.factor(self.horizon)


def build_scheduler(
    name: str, optimizer: Optimizer, horizon: int, warm_up: float | None = None
) -> Schedule:
    """Builds a `Schedule`, to be stepped after every optimiser step.

    Args:
        warm_up: as in `Schedule`; `WARM_UP` by default, none where the rate is constant.

    Raises:
        LabError: for a name that is not there, or a warm-up outside 0 ≤ x < 1.
    """
    if name not in SCHEDULERS:
        raise LabError(f"unknown scheduler {name!r}; there are: {', '.join(SCHEDULERS)}")
    if warm_up is None:
        warm_up = 0.0 if name == "constant" else WARM_UP
    if not 0 <= warm_up < 1:
        raise LabError(
            f"the warm-up is a fraction of the steps, 0 or more and below 1, not {warm_up}"
        )
    return Schedule(name, optimizer, horizon, warm_up)


def clip_gradients(
    model: nn.Module, optimizer: Optimizer, scaler: torch.amp.GradScaler, norm: float
) -> None:
    """Has every step shorten gradients whose norm over all parameters is above `norm`.

    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013,
    algorithm 1). Gradients of a scaled loss are compared with the scaled norm: the fused optimisers
    divide them by the scale afterwards.
    """

    def clip(*_: Any) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), norm * scaler.get_scale())

    optimizer.register_step_pre_hook(clip)
