"""What is counted over a split: errors by image, pair, distance to an edge, size of region.

Everything is a sum of pixels over the whole set, divided once at the end; nothing is an average of
averages. Void pixels are in no count.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

EDGES = (1, 2, 4, 8, 16, 32)
"""Upper ends of the distances to a label edge, in pixels; what is farther is the last part."""
BOUNDARY_RATIO = 0.005
"""Width of the band of the boundary IoU, as a part of the image's diagonal."""
SIZES = {"small": 0.001, "medium": 0.01, "large": 1.0}
"""Upper ends of the sizes of a region, as a part of the image."""


@dataclass
class Counts:
    """Sums over the images of a split, for K classes.

    Attributes:
        confusion: (K, K), the targets' pixels by row, the predictions' by column.
        distance: (2, len(EDGES) + 1), pixels and errors by distance to the nearest label edge.
        boundary: (2, K), intersection and union of the bands inside the outlines.
        region: (2, K, 3), pixels and right ones by the size of the target's region.
        rows: one for each image: name, city, pixels, errors, summed negative log likelihood, and
            the codes (target * K + prediction) of its wrong pairs, the most pixels first.
    """

    num_classes: int
    confusion: np.ndarray = field(init=False)
    distance: np.ndarray = field(init=False)
    boundary: np.ndarray = field(init=False)
    region: np.ndarray = field(init=False)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        k = self.num_classes
        self.confusion = np.zeros((k, k), dtype=np.int64)
        self.distance = np.zeros((2, len(EDGES) + 1), dtype=np.int64)
        self.boundary = np.zeros((2, k), dtype=np.int64)
        self.region = np.zeros((2, k, len(SIZES)), dtype=np.int64)

    def add(
        self, target: np.ndarray, prediction: np.ndarray, likelihood: np.ndarray, ignore_index: int
    ) -> dict[str, Any]:
        """Counts an image; returns its row, without a name.

        Shape:
            target, prediction: (H, W) integers; likelihood: (H, W) float, the probability that the
            network gives to the target's class, anything at void pixels.
        """
        valid = target != ignore_index
        wrong = valid & (target != prediction)
        pairs = target[valid].astype(np.int64) * self.num_classes + prediction[valid]
        matrix = np.bincount(pairs, minlength=self.num_classes**2)
        self.confusion += matrix.reshape(self.num_classes, self.num_classes)
        parts = np.digitize(edge_distance(target)[valid], EDGES, right=True)
        for row, chosen in enumerate((parts, parts[wrong[valid]])):
            self.distance[row] += np.bincount(chosen, minlength=len(EDGES) + 1)
        self.boundary += boundary_counts(target, prediction, valid, self.num_classes)
        self.region += region_counts(target, wrong, self.num_classes, ignore_index)
        logs = -np.log(np.maximum(likelihood[valid], np.finfo(np.float32).tiny))
        codes, pixels = np.unique(pairs[wrong[valid]], return_counts=True)
        row = {
            "pixels": int(valid.sum()),
            "errors": int(wrong.sum()),
            "negative_log_likelihood": float(logs.sum(dtype=np.float64)),
            "pairs": codes[np.argsort(-pixels, kind="stable")],
        }
        self.rows.append(row)
        return row


def edge_distance(target: np.ndarray) -> np.ndarray:
    """How far each pixel is from the nearest pixel of another label, in pixels: (H, W) float32.

    A pixel that touches another label has 1; void counts as a label of its own. Infinite where the
    whole image is of one label.
    """
    edge = np.zeros(target.shape, dtype=bool)
    across, down = target[:, 1:] != target[:, :-1], target[1:] != target[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    if not edge.any():
        return np.full(target.shape, np.inf, dtype=np.float32)
    return 1 + cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def boundary_counts(
    target: np.ndarray, prediction: np.ndarray, valid: np.ndarray, num_classes: int
) -> np.ndarray:
    """Pixels of the boundary IoU: (2, K), intersection and union of the two bands of each class.

    Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
    section 4: the part of each mask that is nearer to its outline than 0.005 of the diagonal (here
    at least a pixel); the image's border is an outline too. Void is taken out of both masks before.
    """
    height, width = target.shape
    reach = max(1, round(BOUNDARY_RATIO * float(np.hypot(height, width))))
    counts = np.zeros((2, num_classes), dtype=np.int64)
    for k in np.union1d(target[valid], prediction[valid]):
        bands = [band((ids == k) & valid, reach) for ids in (target, prediction)]
        counts[:, k] = (bands[0] & bands[1]).sum(), (bands[0] | bands[1]).sum()
    return counts


def band(mask: np.ndarray, reach: int) -> np.ndarray:
    """The part of a mask within `reach` pixels of its outline: (H, W) bool."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=reach)
    return mask & ~inner[1:-1, 1:-1].astype(bool)


def region_counts(
    target: np.ndarray, wrong: np.ndarray, num_classes: int, ignore_index: int
) -> np.ndarray:
    """Pixels, and right ones, by the size of the connected region of the target: (2, K, 3)."""
    counts = np.zeros((2, num_classes, len(SIZES)), dtype=np.int64)
    limits = [share * target.size for share in SIZES.values()]
    for k in np.unique(target[target != ignore_index]):
        number, regions = cv2.connectedComponents((target == k).astype(np.uint8), connectivity=8)
        pixels = np.bincount(regions.ravel(), minlength=number)[1:]
        errors = np.bincount(regions[wrong], minlength=number)[1:]
        sizes = np.digitize(pixels, limits[:-1], right=True)
        for place in range(len(SIZES)):
            counts[0, k, place] += pixels[sizes == place].sum()
            counts[1, k, place] += (pixels - errors)[sizes == place].sum()
    return counts


def confused_pairs(confusion: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The confused pairs, the most pixels first: target, prediction, pixels and both shares."""
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    total, of_class = errors.sum(), confusion.sum(axis=1)
    pairs = []
    for place in np.argsort(-errors, axis=None, kind="stable"):
        i, j = divmod(int(place), len(names))
        if not errors[i, j]:
            break
        pairs.append(
            {
                "target": names[i],
                "prediction": names[j],
                "pixels": int(errors[i, j]),
                "share_of_target": float(errors[i, j] / of_class[i]),
                "share_of_errors": float(errors[i, j] / total),
            }
        )
    return pairs
