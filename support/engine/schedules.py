"""Optimisers, and learning-rate schedules as a factor of the initial rate for each step.

Every schedule is stepped once after each optimiser step, not once an epoch, and is a function of
the step alone; only `plateau` also hears the validation score of each epoch. Sources: Loshchilov
and Hutter, "SGDR" (ICLR 2017, equation 5) for the cosine; Chen et al., "DeepLab" (PAMI 2018,
section 4.1) for the polynomial with power 0.9; Goyal et al., "Accurate, Large Minibatch SGD" (2017,
section 2.2) for the linear warm-up; Touvron et al., "Fixing the train-test resolution discrepancy"
(NeurIPS 2019) and Tan and Le, "EfficientNetV2" (ICML 2021, section 4) for small images first.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from utils import LabError, require_known

MUON_RATE, MUON_MOMENTUM = 10.0, 0.8
"""How many times the rate of all else the convolutions of `Muon` have, and what it keeps."""


class Muon(AdamW):
    """AdamW, but convolutions over neighbours step along their orthogonalised momentum.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with
    Nesterov's momentum. Not `fused`: a scaled loss is unscaled before the step.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        params = list(params)
        wide = [each for each in params if each.ndim == 4 and each[0, 0].numel() > 1]
        rest = [each for each in params if not any(each is other for other in wide)]
        groups = [{"params": rest}, {"params": wide, "lr": MUON_RATE * lr}]
        super().__init__(groups, lr, weight_decay=weight_decay, foreach=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Makes a step; the gradients of the convolutions are used up."""
        group = self.param_groups[1]
        for weight in (each for each in group["params"] if each.grad is not None):
            state = self.state[weight]
            if not state:  # AdamW wants a step to be there when a state is loaded
                state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(weight)}
            momentum = state["momentum"].mul_(MUON_MOMENTUM).add_(weight.grad)
            ahead = weight.grad.add(momentum, alpha=MUON_MOMENTUM).movedim(1, -1)  # as in memory
            direction = orthogonal(ahead.flatten(1)).view_as(ahead).movedim(-1, 1)
            weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
            weight.grad = None
        return super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of the matrix U S Vᵀ, (M, N) float32: large singular values become about 1.

    Four steps of the Newton-Schulz iteration with Muon's coefficients. They are polynomials in
    G = X Xᵀ, so that they are multiplied there, where the matrices are small, and with X at the
    end. G's largest absolute row sum bounds its eigenvalues (Horn and Johnson, "Matrix Analysis",
    theorem 5.6.9), in wide layers closer than X's Frobenius norm: that saves Muon's fifth step.
    """
    x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    gram = x @ x.mT
    bound = gram.abs().sum(dim=1).max() + 1e-14
    gram, product = gram / bound, bound.rsqrt()
    for step in range(4):
        factor = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        factor.diagonal().add_(3.4445)
        product = factor @ product if step else factor * product
        gram = factor @ gram @ factor
    return (product @ x).mT if matrix.shape[0] > matrix.shape[1] else product @ x


OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": partial(SGD, momentum=0.9), "muon": Muon}


def build_optimizer(
    name: str, model: nn.Module, lr: float, weight_decay: float, backbone_factor: float = 1.0
) -> Optimizer:
    """Builds an optimiser over what learns in a model.

    Args:
        name: a key of `OPTIMIZERS`.
        weight_decay: decoupled from the gradient in `adamw`, an L2 penalty in the others.
        backbone_factor: how many times the head's rate the rest of the model has.

    Raises:
        LabError: for a name that is not there, or a factor that it does not take.
    """
    require_known("optimizer", [name], OPTIMIZERS)
    options = {"lr": lr, "weight_decay": weight_decay}
    if name != "muon":
        options["fused"] = True  # one kernel for all
    params = [each for each in model.parameters() if each.requires_grad]
    if backbone_factor != 1.0:
        from support.engine.weights import with_slower_backbone  # late: mostly all learn alike

        params = with_slower_backbone(model, params, name, backbone_factor * lr)
    return OPTIMIZERS[name](params, **options)


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
        warm_up: the fraction of the horizon in which the rate rises linearly; by default
            `WARM_UP`, and none where the rate is constant.
        small_share: the fraction of the horizon, at its beginning, with images of half the size.

    Raises:
        LabError: for a name that is not there, or a warm-up outside 0 ≤ x < 1.
    """

    def __init__(
        self,
        name: str,
        optimizer: Optimizer,
        horizon: int,
        warm_up: float | None = None,
        small_share: float = 0.0,
    ) -> None:
        require_known("scheduler", [name], SCHEDULERS)
        if warm_up is None:
            warm_up = 0.0 if name == "constant" else WARM_UP
        if not 0 <= warm_up < 1:
            raise LabError(f"the warm-up is a fraction of the steps, 0 ≤ x < 1, not {warm_up}")
        self.name = name
        self.horizon, self.warm_up_steps = horizon, round(warm_up * horizon)
        self.small_steps = int(small_share * horizon)
        self.reduction, self.best_score, self.waited = 1.0, -math.inf, 0
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """The factor of the initial rate at a step."""
        if step < self.warm_up_steps:
            return (step + 1) / (self.warm_up_steps + 1)
        start = self.cost(self.warm_up_steps)
        progress = (self.cost(step) - start) / max(1, self.cost(self.horizon) - start)
        return self.reduction * SCHEDULERS[self.name](min(1.0, progress))

    def cost(self, step: int) -> float:
        """What the steps before this one cost: one each, or a quarter where images are small."""
        return step - 0.75 * min(step, self.small_steps)

    @property
    def is_small(self) -> bool:
        """Whether the next step is one with images of half the size."""
        return self.last_epoch < self.small_steps

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
