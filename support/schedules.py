"""Learning-rate schedules, as a factor of the initial rate for each optimiser step.

Every schedule is a function of the step alone and is stepped once after each optimiser step, not
once an epoch. Sources: Loshchilov and Hutter, "SGDR" (ICLR 2017, equation 5) for the cosine; Chen
et al., "DeepLab" (PAMI 2018, section 4.1) for the polynomial with power 0.9; Goyal et al.,
"Accurate, Large Minibatch SGD" (2017, section 2.2) for the linear warm-up.
"""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from utils import LabError

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
