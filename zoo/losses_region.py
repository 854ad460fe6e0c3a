"""Losses of whole regions (Lovász, Matthews, region mutual information), and what all losses share.

They keep the convention that stands in `zoo.losses`. Sources: Berman et al., "The Lovász-Softmax
Loss" (CVPR 2018, section 3 and algorithm 1); Gorodkin, "Comparing Two K-Category Assignments by a
K-Category Correlation Coefficient" (2004, equation 8); Zhao et al., "Region Mutual Information Loss
for Semantic Segmentation" (NeurIPS 2019, section 3).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils import LabError


class SegmentationLoss(nn.Module):
    """What every loss of the zoo begins with.

    Args:
        weights: (K,) float, none negative, or None for weights of 1.
        ignore_index: the target value of void pixels.
    """

    def __init__(self, weights: Tensor | None = None, ignore_index: int = 255) -> None:
        super().__init__()
        self.register_buffer("weights", None if weights is None else weights.float())
        self.ignore_index = ignore_index

    def prepare(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Takes the logits of half precision to float32, and void pixels to the class -1.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 →
            (B, K, H, W) float32 or float64, (B, H, W) int64; on the CPU, IndexError below 0.
        """
        class_ids = target.long()
        is_void = class_ids == self.ignore_index
        if class_ids.device.type == "cpu" and ((class_ids < 0) & ~is_void).any():
            raise IndexError(f"target {int(class_ids.min())} is out of bounds: no class, not void")
        class_ids = class_ids.masked_fill(is_void, -1)
        return logits if logits.dtype == torch.float64 else logits.float(), class_ids


class LovaszLoss(SegmentationLoss):
    """Lovász-Softmax: the convex extension of 1 - IoU to soft errors, averaged over the classes.

    A class's errors are |truth - p|. Sorted from the largest down, each is multiplied by what 1 -
    IoU grows by when its pixel turns wrong after all those before it. With hard predictions the
    loss is 1 - IoU itself. Equals that of segmentation-models-pytorch ("multiclass").
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar in 0 ... 1.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits, class_ids = self.prepare(logits, target)
        probabilities = logits.softmax(dim=1)
        truth = one_hot(class_ids, logits.shape[1])
        counts = class_counts(class_ids, logits.shape[1])
        # TODO 9.4a: errors |truth - p|, times their slopes, added up; the mean over the classes.
        # <solution 9.4a>
        errors = torch.where(truth, 1 - probabilities, probabilities)
        slopes = lovasz_slopes(errors.detach(), class_ids)
        loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
        # <student>
        # errors = ...  # (B, K, H, W)
        # slopes = lovasz_slopes(errors.detach(), class_ids)
        # loss = ...  # a scalar
        # </solution 9.4a>
        return loss


def lovasz_slopes(errors: Tensor, class_ids: Tensor) -> Tensor:
    """What the Lovász extension multiplies each error by; 0 for void pixels and absent classes.

    It is constant between two changes of the errors' order, so that it is the gradient too: nothing
    of the sorting has to be kept for the way back.

    Shape:
        errors: (B, K, H, W) float, class_ids: (B, H, W) int64 → (B, K, H, W) float.
    """
    slopes = torch.zeros_like(errors)
    valid = class_ids >= 0
    valid_ids = class_ids[valid]
    for k in valid_ids.bincount().nonzero().flatten().tolist():
        errors_k, is_k = errors[:, k][valid], valid_ids == k  # (N,) for N valid pixels
        # TODO 9.4b: from the largest error down, what each pixel adds to 1 - IoU by being wrong.
        # <solution 9.4b>
        order = errors_k.argsort(descending=True)
        is_class = is_k[order]
        found = is_class.cumsum(dim=0)
        size = found[-1]
        # with the first i pixels wrong, IoU = intersection / union; the i-th either takes one off
        # the intersection or adds one to the union
        intersection = (size - found).to(errors.dtype)
        union = size + torch.arange(1, len(order) + 1, device=order.device) - found
        union = union.to(errors.dtype)
        step = torch.where(is_class, 1 / union, intersection / (union * (union - 1)))
        slopes_k = torch.empty_like(step).scatter_(0, order, step)
        # <student>
        # slopes_k = ...  # (N,), in the order of errors_k
        # </solution 9.4b>
        slopes[:, k][valid] = slopes_k
    return slopes


class MatthewsLoss(SegmentationLoss):
    """1 - R_K, Matthews' correlation of all classes at once, from the soft confusion matrix.

    Gorodkin's R_K, as torchmetrics has it for classes, the class weights being weights of the
    pixels. For two classes it equals the loss of segmentation-models-pytorch, which is binary only;
    MONAI's is the mean of K losses, each class against the rest. Where the target is of one class
    alone, R_K is 0 / 0 and taken for 0: the loss is 1, without a gradient.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar in 0 ... 2.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits, class_ids = self.prepare(logits, target)
        weights = pixel_weights(class_ids, self.weights, logits.dtype)  # (B, H, W)
        weighted = weights.unsqueeze(1) * logits.softmax(dim=1)  # (B, K, H, W)
        truth = one_hot(class_ids, logits.shape[1])
        total = exact_sums(weights.unsqueeze(1))  # (1,)
        right = ratio(exact_sums(torch.where(truth, weighted, 0)), total)  # (K,) shares
        actual = ratio(exact_sums(weights.unsqueeze(1) * truth), total)
        predicted = ratio(exact_sums(weighted), total)
        covariance = (right - predicted * actual).sum()
        variances = (predicted * (1 - predicted)).sum() * (actual * (1 - actual)).sum()
        deviations = (variances.clamp(min=0) + torch.finfo(variances.dtype).eps).sqrt()
        return ((total > 0).sum() - covariance / deviations).to(logits)


class RegionMutualInformationLoss(SegmentationLoss):
    """λ·BCE + (1 - λ)·RMI: what the prediction in a small region leaves open of the target there.

    Target and sigmoid probabilities, averaged over cells of `downsample`² pixels, give for each
    region of radius² cells a vector each. Taken for Gaussian, the target's keeps, once the
    prediction's is known, the entropy ½ log det(joint covariance) - ½ log det(covariance of the
    prediction); less of it is more mutual information. BCE is Σ w·Σ_k BCE_k / Σ w. RMI is that
    entropy over radius², summed over the classes as the paper's BCE is too, with weights scaled to
    mean 1 over the present ones, and averaged over the images that have valid pixels.

    Differs from the official implementation, whose gradients it has without void pixels, in this:
    entropies count from that of the diagonal alone, a constant, so that an absent class has 0 (and
    the target itself, predicted, up to ½ log 2); cells begin at the image's corner, unpadded, and
    average their valid pixels; a region counts when each of its cells has one; BCE is divided by
    the pixels, not one more. As there, covariances are sums, in float64. RMI alone cannot tell a
    prediction from its negative; BCE can.

    Args:
        weights: (K,) float, or None.
        ignore_index: the target value of void pixels.
        radius: the side of a region, in cells.
        downsample: the side of a cell, in pixels.
        share: λ in 0 ... 1, the part of BCE.

    Raises:
        LabError: for an option out of range.
    """

    def __init__(
        self,
        weights: Tensor | None = None,
        ignore_index: int = 255,
        *,
        radius: int = 3,
        downsample: int = 4,
        share: float = 0.5,
    ) -> None:
        super().__init__(weights, ignore_index)
        if radius < 1 or downsample < 1 or not 0 <= share <= 1:
            raise LabError("the RMI loss needs radius and downsample ≥ 1, and a share in 0 ... 1")
        self.radius, self.downsample, self.share = radius, downsample, share

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar ≥ 0.

        Shape:
            logits: (B, K, H, W) float, target: (B, H, W) uint8 or int64 → ().
        """
        logits, class_ids = self.prepare(logits, target)
        truth = one_hot(class_ids, logits.shape[1])
        weights = pixel_weights(class_ids, self.weights, logits.dtype)  # (B, H, W)
        cross_entropy = F.softplus(torch.where(truth, -logits, logits)).sum(dim=1)  # BCE of all k
        cross_entropy = ratio((weights * cross_entropy).sum(), weights.sum())
        entropies = self.entropies(logits.sigmoid(), truth.to(logits.dtype), class_ids >= 0)
        images = (class_ids >= 0).flatten(1).any(dim=1).sum()
        entropies = ratio(entropies.to(logits).sum(dim=0), images)  # (K,)
        counts = class_counts(class_ids, logits.shape[1])
        information = (counts > 0).sum() * mean_over_classes(entropies, counts, self.weights)
        return self.share * cross_entropy + (1 - self.share) * information

    def entropies(self, probabilities: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The entropy of the target's regions given the prediction's, over radius².

        Shape:
            probabilities, truth: (B, K, H, W) float, valid: (B, H, W) bool → (B, K) float64,
            0 for a class that the image does not show.
        """
        valid = valid.unsqueeze(1).to(truth.dtype)
        filled = self.cell_means(valid)  # (B, 1, h, w): the valid share of each cell
        counts = self.regions((filled > 0).to(filled.dtype)).prod(
            dim=2, keepdim=True
        )  # (B, 1, 1, N)
        size = self.radius**2
        predicted, actual = (
            self.regions(ratio(self.cell_means(maps), filled))
            for maps in (probabilities * valid, truth)
        )
        vectors = torch.cat([predicted, actual], dim=2) * counts  # (B, K, 2 · size, N)
        sums = vectors.sum(dim=3, keepdim=True)
        covariance = vectors @ vectors.mT - ratio(sums @ sums.mT, counts.sum(dim=3, keepdim=True))
        diagonal = 5e-4  # the paper's, which keeps the determinants away from 0
        covariance = covariance + diagonal * torch.eye(2 * size).to(covariance)
        unknown = log_det(covariance) - log_det(covariance[..., :size, :size])  # (B, K)
        is_shown = truth.flatten(2).any(dim=2).to(unknown.device)
        return torch.where(is_shown, (unknown / size - math.log(diagonal)) / 2, 0)

    def cell_means(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, h, w), the mean of each cell; those at the end may be smaller."""
        return F.avg_pool2d(maps, self.downsample, ceil_mode=True)

    def regions(self, cells: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, radius², N) float64, the cells of each region."""
        if cells.device.type == "mps":  # knows no float64
            cells = cells.cpu()
        missing = [max(0, self.radius - length) for length in cells.shape[:-3:-1]]
        cells = F.pad(cells.double(), (0, missing[0], 0, missing[1]))
        return F.unfold(cells, self.radius).unflatten(1, (cells.shape[1], -1))


def exact_sums(maps: Tensor) -> Tensor:
    """(B, C, H, W) → (C,) float64: a rare class's variance is lost in float32 beside 1e-7."""
    maps = maps.cpu() if maps.device.type == "mps" else maps  # knows no float64
    return maps.sum(dim=(0, 2, 3), dtype=torch.float64)


def log_det(matrices: Tensor) -> Tensor:
    """log det of symmetric positive definite (..., N, N) → (...); of NaN it is NaN, no error."""
    factors, _ = torch.linalg.cholesky_ex(matrices)
    return 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)


def one_hot(class_ids: Tensor, num_classes: int) -> Tensor:
    """Which class each pixel is of, void pixels of none: (B, H, W) int64 → (B, K, H, W) bool.

    Raises:
        IndexError: on the CPU, for an id of no class, as PyTorch's cross entropy does.
    """
    if class_ids.device.type == "cpu" and (class_ids >= num_classes).any():
        raise IndexError(f"target {int(class_ids.max())} is out of bounds: label, not train ids?")
    classes = torch.arange(num_classes, device=class_ids.device)
    return class_ids.unsqueeze(1) == classes.view(1, -1, 1, 1)


def pixel_weights(class_ids: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weight of each pixel by its true class: 0 where it is void, 1 without weights.

    Shape:
        class_ids: (B, H, W) int64, weights: (K,) → (B, H, W).
    """
    valid = class_ids >= 0
    if weights is None:
        return valid.to(dtype)
    return torch.where(valid, weights.to(dtype)[class_ids.clamp(min=0)], 0)


def class_counts(class_ids: Tensor, num_classes: int) -> Tensor:
    """How many pixels each class has.

    Shape:
        class_ids: (B, H, W) int64, -1 for void pixels → (K,) int64.
    """
    return (class_ids.flatten() + 1).bincount(minlength=num_classes + 1)[1 : num_classes + 1]


def mean_over_classes(values: Tensor, counts: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w·value / Σ w over the classes that have pixels.

    Shape:
        values: (K,), counts: (K,) int64, weights: (K,) → ().
    """
    present = (counts > 0).to(values.dtype)
    if weights is not None:
        present = present * weights.to(values.dtype)
    return ratio((present * values).sum(), present.sum())


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 with zero gradients where nothing was counted."""
    return numerator / torch.where(denominator > 0, denominator, 1)
