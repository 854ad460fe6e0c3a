"""Class weights, the weighted cross entropy and the focal loss, from their formulas.

Every loss is a ratio of sums over the valid pixels, numerator / denominator with the denominator
Σ w: the sum of the pixels' class weights, and their plain number without weights. So a constant
factor on all weights changes nothing, void pixels change nothing, and the loss of a whole epoch is
the sum of its numerators over the sum of its denominators. Logits are taken to float32 (float64
stays), so that autocast does not round the logarithms.

Sources: Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels" (ICCV 2015) for
median frequency balancing; Cui et al., "Class-Balanced Loss Based on Effective Number of Samples"
(CVPR 2019, eq. 2); Lin et al., "Focal Loss for Dense Object Detection" (ICCV 2017, eq. 5).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from utils import LabError, require_known

DEFAULT_GAMMA = 2.0
"""Of the focal loss (Lin et al.)."""
CLASS_WEIGHTS = ("none", "inverse", "sqrt", "median", "effective")


def class_weights(
    pixel_counts: Tensor | np.ndarray | list[int], strategy: str, beta: float | None = None
) -> Tensor:
    """Weights that make rare classes count more, from how many pixels each class has.

    With n_k pixels of class k, a share f_k of them all: `none` 1; `inverse` 1 / f_k; `sqrt`
    1 / √f_k; `median` median(f) / f_k; `effective` (1 - β) / (1 - β^n_k). The result is scaled to
    mean 1 over the classes that have pixels; those that have none get 0.

    After that scaling `median` equals `inverse`: the two differ by a constant factor alone. (In the
    paper they differ, as its f_k is taken over the images that show class k only.) With its default
    β, `effective` comes near to `inverse` too, except for very frequent classes; a smaller β, such
    as 1 - 1 / 1000 of the commonest class's pixels, leads from there towards `none`.

    Args:
        pixel_counts: (K,) pixels of each class, none negative.
        strategy: one of `CLASS_WEIGHTS`.
        beta: for `effective`, between 0 and 1; (N - 1) / N with the total count N by default.

    Returns:
        (K,) float32.

    Raises:
        LabError: for an unknown strategy, counts that are not counts, or no pixel at all.
    """
    counts = torch.as_tensor(np.asarray(pixel_counts), dtype=torch.float64)
    require_known("class weights", [strategy], CLASS_WEIGHTS)
    if counts.ndim != 1 or not torch.isfinite(counts).all() or (counts < 0).any():
        raise LabError("pixel counts must be one number ≥ 0 for each class")
    if counts.sum() == 0:
        raise LabError("class weights need at least one labelled pixel; every one is void")
    if beta is not None and not 0 < beta < 1:
        raise LabError(f"beta must lie between 0 and 1, not {beta}")
    present = counts > 0
    weights = torch.zeros_like(counts)
    weights[present] = _raw_weights(counts[present], strategy, beta)
    return (weights / weights[present].mean()).float()


def _raw_weights(counts: Tensor, strategy: str, beta: float | None) -> Tensor:
    """The formula of one strategy for classes that have pixels, before scaling: (P,) float64."""
    total = counts.sum()
    shares = counts / total
    if strategy == "none":
        return torch.ones_like(counts)
    if strategy == "effective":
        # β is so near to 1 that only logarithms keep the digits of 1 - β^n
        log_beta = torch.log1p(-1 / total) if beta is None else torch.tensor(beta).double().log()
        return -torch.expm1(log_beta) / -torch.expm1(counts * log_beta)
    # TODO 5.1: the formulas of `inverse`, `sqrt` and `median`, from the shares f_k.
    # <solution 5.1>
    if strategy == "inverse":
        weights = 1 / shares
    elif strategy == "sqrt":
        weights = shares.rsqrt()
    else:  # median
        weights = shares.quantile(0.5) / shares
    # <student>
    # if strategy == "inverse":
    #     weights = ...
    # elif strategy == "sqrt":
    #     weights = ...
    # else:  # median
    #     weights = ...
    # </solution 5.1>
    return weights


class WeightedCrossEntropy(nn.Module):
    """Σ w·CE / Σ w over the valid pixels, w the weight of the pixel's true class.

    Args:
        weights: (K,) float, or None for weights of 1.
        ignore_index: the target value of void pixels.
    """

    def __init__(self, weights: Tensor | None = None, ignore_index: int = 255) -> None:
        super().__init__()
        self.register_buffer("weights", None if weights is None else weights.float())
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar; 0 with zero gradients where Σ w is 0.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits = at_least_float32(logits)
        weights = pixel_weights(target, self.weights, self.ignore_index)  # (B, H, W), 0 if void
        weights = weights.to(logits.dtype)
        # TODO 5.2: -log of the true class's softmax; its weighted mean, by `ratio` safe at Σ w = 0.
        # <solution 5.2>
        class_ids = torch.where(target == self.ignore_index, 0, target.long())
        log_probabilities = F.log_softmax(logits, dim=1)  # (B, K, H, W), safe at any scale
        log_p_true = log_probabilities.gather(1, class_ids.unsqueeze(1)).squeeze(1)  # (B, H, W)
        loss = ratio((weights * -log_p_true).sum(), weights.sum())
        # <student>
        # loss = ...  # a scalar
        # </solution 5.2>
        return loss

    def denominator(self, target: Tensor) -> Tensor:
        """Returns Σ w, the scalar that the loss of this target is divided by."""
        return pixel_weights(target, self.weights, self.ignore_index).sum()


class FocalLoss(WeightedCrossEntropy):
    """Σ w·(1 - p_t)^γ·CE / Σ w: pixels that are already right count less.

    p_t is the softmax probability of the true class, without weights, and the factor takes part in
    the gradient. γ = 0 is the weighted cross entropy. The paper has one sigmoid per class and
    divides by the number of anchors given an object; here there is one softmax, divided by Σ w.
    (The multi-class focal loss of segmentation-models-pytorch has the sigmoids, one against rest.)

    Args:
        gamma: γ ≥ 0.
        weights: as of the cross entropy; the paper's α.
        ignore_index: likewise.

    Raises:
        LabError: for a negative γ.
    """

    def __init__(
        self, gamma: float = DEFAULT_GAMMA, weights: Tensor | None = None, ignore_index: int = 255
    ) -> None:
        super().__init__(weights, ignore_index)
        if not gamma >= 0:
            raise LabError(f"the focal loss needs gamma ≥ 0, not {gamma}")
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar; 0 with zero gradients where Σ w is 0.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits = at_least_float32(logits)
        weights = pixel_weights(target, self.weights, self.ignore_index)  # (B, H, W), 0 if void
        weights = weights.to(logits.dtype)
        # TODO 5.3: as the cross entropy, each pixel times (1 - p_t)^γ; p_t knows no weights.
        # <solution 5.3>
        class_ids = torch.where(target == self.ignore_index, 0, target.long())
        log_probabilities = F.log_softmax(logits, dim=1)  # (B, K, H, W), safe at any scale
        cross_entropy = -log_probabilities.gather(1, class_ids.unsqueeze(1)).squeeze(1)
        # 1 - p_t = -expm1(-CE); above 0, as the slope of x^γ is infinite there for γ < 1
        miss = -torch.expm1(-cross_entropy)
        factor = miss.clamp(min=torch.finfo(miss.dtype).tiny).pow(self.gamma)
        loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
        # <student>
        # loss = ...  # a scalar
        # </solution 5.3>
        return loss


def pixel_weights(target: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    """The weight of each pixel by its true class: 0 where it is void, 1 without weights.

    Shape:
        target: (B, H, W) uint8 or int64, weights: (K,) → (B, H, W) float32.
    """
    valid = target != ignore_index
    if weights is None:
        return valid.float()
    return torch.where(valid, weights[torch.where(valid, target.long(), 0)], 0.0)


def at_least_float32(logits: Tensor) -> Tensor:
    """Takes the logits of autocast's half precision to float32; float64 stays."""
    return logits if logits.dtype == torch.float64 else logits.float()


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 with zero gradients where nothing was counted."""
    return numerator / torch.where(denominator > 0, denominator, 1.0)


PLAIN = ("ce", "rmi")
"""Losses that take no class weights; `wce` and `wrmi` are the same ones with weights."""
WEIGHTED = ("wce", "wrmi")
"""Losses that weigh the classes unless told otherwise."""
LOSSES: dict[str, Callable[..., nn.Module]] = {
    "ce": WeightedCrossEntropy,
    "wce": WeightedCrossEntropy,
    "focal": FocalLoss,
    **zoo.LOSSES,
}


def loss_options(name: str, strategy: str | None, gamma: float | None) -> dict[str, Any]:
    """The `class_weights` and the `gamma` that a loss takes when none are given.

    Raises:
        LabError: for options that the loss does not take.
    """
    if name in PLAIN and strategy not in (None, "none"):
        raise LabError(f"--loss {name} takes no --class-weights; use --loss w{name}")
    if name != "focal" and gamma is not None:
        raise LabError(f"--gamma belongs to --loss focal, not to {name}")
    if name == "focal" and gamma is None:
        gamma = DEFAULT_GAMMA
    return {"class_weights": strategy or ("sqrt" if name in WEIGHTED else "none"), "gamma": gamma}


def build_loss(
    name: str, weights: Tensor | None = None, gamma: float = DEFAULT_GAMMA, ignore_index: int = 255
) -> nn.Module:
    """Builds a loss by its name in `LOSSES`; `weights` are (K,), as from `class_weights`.

    Raises:
        LabError: for a name that is not there, or weights given to `ce` or `rmi`.
    """
    require_known("loss", [name], LOSSES)
    if name in PLAIN and weights is not None:
        raise LabError(f"the loss {name} takes no class weights; use w{name}, or leave them out")
    if name == "focal":
        return FocalLoss(gamma, weights, ignore_index)
    return LOSSES[name](weights, ignore_index)
