"""Gradients that are shortened before a step, for `--clip-norm`."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def clip_gradients(
    model: nn.Module, optimizer: Optimizer, scaler: torch.amp.GradScaler, norm: float
) -> None:
    """Has every step shorten gradients whose norm over all parameters is above `norm`.

    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013,
    algorithm 1). Gradients of a scaled loss are compared with the scaled norm where the optimiser
    divides them by the scale afterwards, as the fused ones do.
    """
    is_scaled = getattr(optimizer, "_step_supports_amp_scaling", False)

    def clip(*_: Any) -> None:
        scale = scaler.get_scale() if is_scaled else 1.0
        nn.utils.clip_grad_norm_(model.parameters(), norm * scale)

    optimizer.register_step_pre_hook(clip)
