"""Further losses of the field, one convention for all: Dice, Tversky, top-k, and their sums.

The convention, which `ce`, `wce` and `focal` keep as well:

- Void pixels change nothing: neither the value nor any gradient, whatever their (finite) logits.
- Classes that have no valid pixel in the batch are left out of means over classes. (In Dice,
  predicting them costs through the true classes, which lose that probability.)
- Reduction: to one scalar, over the whole batch, as if its images were one. Losses of pixels are
  Σ w·loss / Σ w with w the weight of the pixel's true class, which `denominator` tells; losses of
  classes are Σ w·loss / Σ w over the present ones, and an epoch's mean weighs its batches by their
  valid pixels. Only RMI goes image by image.
- A constant factor on all class weights changes nothing.
- Logits are taken to float32 (float64 stays), and nothing inside is rounded by autocast.
- Where nothing is counted (all void, or weightless) the loss is 0 with zero gradients.

Sources: Salehi et al., "Tversky Loss Function for Image Segmentation Using 3D Fully Convolutional
Deep Networks" (MLMI 2017, equation 4); Milletari et al., "V-Net" (3DV 2016, section 3) for Dice;
Wu et al., "Bridging Category-level and Instance-level Semantic Image Segmentation" (2016, section
3.2) for the hardest pixels; Isensee et al., "nnU-Net" (Nature Methods 2021) for the sums.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from utils import LabError
from zoo.losses_region import (
    LovaszLoss,
    MatthewsLoss,
    RegionMutualInformationLoss,
    SegmentationLoss,
    class_counts,
    mean_over_classes,
    one_hot,
    pixel_weights,
    ratio,
)


class TopKLoss(SegmentationLoss):
    """The mean cross entropy of the hardest k % of the valid pixels of the batch.

    With weights, of the hardest k % of their weight: Σ q·CE / Σ q, where q is the pixel's w from
    the largest CE down until Σ q reaches k % of Σ w, and the last pixel counts in part. So the loss
    is continuous, a weight of 2 is a pixel twice, and k = 100 is the weighted cross entropy. (The
    one of nnU-Net rounds to whole pixels.)

    Args:
        weights: (K,) float, or None.
        ignore_index: the target value of void pixels.
        percent: k, above 0 and up to 100.

    Raises:
        LabError: for a percentage out of range.
    """

    def __init__(
        self, weights: Tensor | None = None, ignore_index: int = 255, *, percent: float = 10.0
    ) -> None:
        super().__init__(weights, ignore_index)
        self.percent = checked_percent(percent)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        return hardest_cross_entropy(*self.prepare(logits, target), self.weights, self.percent)

    def denominator(self, target: Tensor) -> Tensor:
        """Returns Σ w, the scalar that the loss of this target is divided by, but for k %."""
        _, class_ids = self.prepare(target, target)
        return pixel_weights(class_ids, self.weights, torch.float32).sum()


class TverskyLoss(SegmentationLoss):
    """1 - TP / (TP + α·FP + β·FN) of each class with soft counts, their mean over the classes.

    With p the softmax, TP = Σ p over the pixels of the class, FP = Σ p over the others, FN = Σ 1-p
    over those of the class. α < β makes what is missed cost more than what is too much. Equals that
    of segmentation-models-pytorch with `classes` = the present ones (it would else divide by all K)
    and MONAI's with `batch=True`, no smoothing and all classes present.

    Args:
        weights: (K,) float, or None.
        ignore_index: the target value of void pixels.
        alpha: α ≥ 0; the paper's best by default.
        beta: β ≥ 0, not 0 together with α; the paper's best by default.

    Raises:
        LabError: for α or β out of range.
    """

    def __init__(
        self,
        weights: Tensor | None = None,
        ignore_index: int = 255,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
    ) -> None:
        super().__init__(weights, ignore_index)
        if not (alpha >= 0 and beta >= 0 and 0 < alpha + beta < math.inf):
            raise LabError(f"the Tversky loss needs alpha and beta ≥ 0, not {alpha} and {beta}")
        self.alpha, self.beta = alpha, beta

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar in 0 ... 1.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        return tversky(*self.prepare(logits, target), self.weights, self.alpha, self.beta)


class DiceLoss(SegmentationLoss):
    """1 - 2·TP / (2·TP + FP + FN) of each class: the Tversky loss of α = β = ½, with its oracles.

    The soft counts are plain sums of p (V-Net has p² in the denominator), without smoothing.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar in 0 ... 1.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        return tversky(*self.prepare(logits, target), self.weights, 0.5, 0.5)


class DiceCrossEntropyLoss(SegmentationLoss):
    """Dice + λ·cross entropy, both with the class weights.

    With λ = 1 it equals MONAI's `DiceCELoss`, under the conditions of the Tversky loss.

    Args:
        weights: (K,) float, or None.
        ignore_index: the target value of void pixels.
        pixel_factor: λ ≥ 0.
        percent: the cross entropy is that of the hardest so many % of the pixels.

    Raises:
        LabError: for an option out of range.
    """

    def __init__(
        self,
        weights: Tensor | None = None,
        ignore_index: int = 255,
        *,
        pixel_factor: float = 1.0,
        percent: float = 100.0,
    ) -> None:
        super().__init__(weights, ignore_index)
        if not 0 <= pixel_factor < math.inf:
            raise LabError(f"the cross entropy's factor must be ≥ 0, not {pixel_factor}")
        self.pixel_factor = pixel_factor
        self.percent = checked_percent(percent)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits, class_ids = self.prepare(logits, target)
        dice = tversky(logits, class_ids, self.weights, 0.5, 0.5)
        hardest = hardest_cross_entropy(logits, class_ids, self.weights, self.percent)
        return dice + self.pixel_factor * hardest


class DiceTopKLoss(DiceCrossEntropyLoss):
    """Dice + λ·cross entropy of the hardest k %, both with the class weights, as in nnU-Net.

    Args:
        weights: (K,) float, or None.
        ignore_index: the target value of void pixels.
        pixel_factor: λ ≥ 0.
        percent: k, above 0 and up to 100.
    """

    def __init__(
        self,
        weights: Tensor | None = None,
        ignore_index: int = 255,
        *,
        pixel_factor: float = 1.0,
        percent: float = 10.0,
    ) -> None:
        super().__init__(weights, ignore_index, pixel_factor=pixel_factor, percent=percent)


def checked_percent(percent: float) -> float:
    """The percentage of pixels as it was given.

    Raises:
        LabError: when it is not above 0 and up to 100.
    """
    if not 0 < percent <= 100:
        raise LabError(f"the hardest pixels must be above 0 and up to 100 %, not {percent}")
    return percent


def hardest_cross_entropy(
    logits: Tensor, class_ids: Tensor, class_weights: Tensor | None, percent: float
) -> Tensor:
    """Σ q·CE / Σ q over the pixels of largest cross entropy that hold `percent` of all weight.

    Shape:
        logits: (B, K, H, W) float, class_ids: (B, H, W) int64, class_weights: (K,) → ().
    """
    weights = pixel_weights(class_ids, class_weights, logits.dtype).flatten()
    cross_entropy = F.cross_entropy(logits, class_ids, ignore_index=-1, reduction="none").flatten()
    if percent == 100:
        return ratio((weights * cross_entropy).sum(), weights.sum())
    budget = percent / 100 * weights.sum()
    # without class weights no more than k % of the pixels can hold k % of the weight
    enough = weights.numel() * (percent / 100 if class_weights is None else 1)
    hardest, order = cross_entropy.topk(math.ceil(enough))
    weights = weights[order]
    before = weights.cumsum(dim=0) - weights  # the weight of all harder pixels
    counted = (budget - before).clamp(min=0).minimum(weights)
    return ratio((counted * hardest).sum(), budget)


def tversky(
    logits: Tensor, class_ids: Tensor, class_weights: Tensor | None, alpha: float, beta: float
) -> Tensor:
    """The mean over the present classes of 1 - TP / (TP + α·FP + β·FN), with soft counts.

    Shape:
        logits: (B, K, H, W) float, class_ids: (B, H, W) int64, class_weights: (K,) → ().
    """
    probabilities = logits.softmax(dim=1)
    truth, valid = one_hot(class_ids, logits.shape[1]), (class_ids >= 0).unsqueeze(1)
    counts = class_counts(class_ids, logits.shape[1])  # (K,)
    # TODO 9.3: TP, FP and FN of each class over the whole batch, soft; the mean of 1 - index.
    # <solution 9.3>
    hits = (probabilities * truth).sum(dim=(0, 2, 3))
    too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
    index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
    loss = mean_over_classes(1 - index, counts, class_weights)
    # <student>
    # loss = ...  # a scalar
    # </solution 9.3>
    return loss


LOSSES = {
    "topk": TopKLoss,
    "dice": DiceLoss,
    "dice_ce": DiceCrossEntropyLoss,
    "dice_topk": DiceTopKLoss,
    "tversky": TverskyLoss,
    "lovasz": LovaszLoss,
    "mcc": MatthewsLoss,
    "rmi": RegionMutualInformationLoss,
    "wrmi": RegionMutualInformationLoss,
}
