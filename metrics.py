"""The confusion matrix, and every score that is computed from it.

Counts first, score second: the matrix adds up over the whole evaluated set, and a score is computed
once at its end. The mean of the scores of batches is something else, and wrong: a class with three
pixels in one batch would weigh as much there as with three thousand in the next.

Sources: Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective" (IJCV
2015) for the intersection over union; Opitz and Burst, "Macro F1 and Macro F1" (arXiv 1911.03347),
who tell two scores of that name apart: ours is the mean of the classes' F1, not the F1 of the mean
precision and recall. Classes that occur neither in the target nor in a prediction are left out of
every mean, as torchmetrics does.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ConfusionMatrix:
    """Counts how often each class was taken for each other one.

    Args:
        num_classes: K.
        ignore_index: pixels whose *target* is this are not counted, whatever was predicted there.

    Attributes:
        matrix: (K, K) int64; matrix[t, p] counts the pixels of true class t predicted as p. It
            lies on the device of the updates.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forgets all counts."""
        self.matrix = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Shape:
            predictions: (B, H, W) class ids, target: (B, H, W) class ids or the ignore index; each
            uint8 or int64.

        Raises:
            ValueError: when the shapes differ, or a counted pixel holds an id outside 0 ... K-1.
        """
        if predictions.shape != target.shape:
            raise ValueError(
                f"predictions {tuple(predictions.shape)} and target {tuple(target.shape)} differ "
                "in shape; logits need argmax(dim=1) first"
            )
        truth, guess = target.long(), predictions.long()
        self._require_class_ids(truth, guess)
        # TODO 4.1: count the pairs (true class, predicted class) of the pixels that are not void.
        # <solution 4.1>
        valid = truth != self.ignore_index
        pairs = truth[valid] * self.num_classes + guess[valid]  # the matrix's entries, row by row
        counts = torch.bincount(pairs, minlength=self.num_classes**2)
        counts = counts.view(self.num_classes, self.num_classes)
        # <student>
        # counts = ...  # (K, K) int64, rows = truth, of this batch alone
        # </solution 4.1>
        self.matrix = self.matrix.to(counts.device) + counts

    def _require_class_ids(self, truth: Tensor, guess: Tensor) -> None:
        """Raises `ValueError` when a counted pixel holds an id outside 0 ... K-1."""
        outside = (truth < 0) | (truth >= self.num_classes)
        outside |= (guess < 0) | (guess >= self.num_classes)
        if (outside & (truth != self.ignore_index)).any():
            raise ValueError(f"class ids must be 0 ... {self.num_classes - 1}")


class LossMeter:
    """The mean loss of an epoch: the sum of the numerators over the sum of the denominators.

    Args:
        add_up: adds a tensor up over the processes that train together; by default there is one.
    """

    def __init__(self, add_up: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> None:
        self.add_up = add_up
        self.numerator = self.denominator = 0.0
        self._pending: list[Tensor] = []

    def add(self, loss: Tensor, denominator: Tensor) -> None:
        """Counts a batch by its loss and what that was divided by; does not wait for the device."""
        denominator = denominator.to(loss.device, torch.float32)
        self._pending.append(torch.stack((loss.detach().float() * denominator, denominator)))

    def settle(self) -> None:
        """Adds up what is pending, in the order in which it came."""
        if self._pending:
            for numerator, denominator in torch.stack(self._pending).cpu().tolist():
                self.numerator += numerator
                self.denominator += denominator
            self._pending.clear()

    def sums(self) -> Tensor:
        """Returns numerator and denominator, (2,) float64, of what is settled."""
        return torch.tensor([self.numerator, self.denominator], dtype=torch.float64)

    def mean(self) -> float:
        """Returns the mean loss so far, of all processes; 0.0 when nothing was counted."""
        self.settle()
        numerator, denominator = self.add_up(self.sums()).tolist()
        return numerator / denominator if denominator else 0.0


def loss_denominator(criterion: nn.Module, target: Tensor, ignore_index: int) -> Tensor:
    """What the criterion divided by: Σ w if it says so, else the number of valid pixels."""
    if hasattr(criterion, "denominator"):
        return criterion.denominator(target)
    return (target != ignore_index).sum()


def f1_per_class(matrix: Tensor) -> Tensor:
    """2 TP / (2 TP + FP + FN) of each class.

    Shape:
        (K, K) counts, rows = target → (K,) float64; NaN for a class neither in the target nor
        predicted, 0 for one only predicted.
    """
    true_positives, truth, predicted = _totals(matrix)
    # TODO 4.2a: false negatives are truth - true positives; NaN for a class that occurs nowhere.
    # <solution 4.2a>
    f1 = 2 * true_positives / (truth + predicted)  # 0 / 0 = NaN
    # <student>
    # f1 = ...  # (K,) float64
    # </solution 4.2a>
    return f1


def iou_per_class(matrix: Tensor) -> Tensor:
    """Intersection over union, TP / (TP + FP + FN), of each class.

    Shape:
        (K, K) counts, rows = target → (K,) float64, with NaN and 0 as in `f1_per_class`.
    """
    true_positives, truth, predicted = _totals(matrix)
    # TODO 4.3a: what both have over what either has; NaN for a class that occurs nowhere.
    # <solution 4.3a>
    iou = true_positives / (truth + predicted - true_positives)
    # <student>
    # iou = ...  # (K,) float64
    # </solution 4.3a>
    return iou


def macro_f1(matrix: Tensor) -> float:
    """The mean of `f1_per_class` over the classes not NaN; 0.0 when nothing was counted."""
    # TODO 4.2b: every class counts alike, however rare; a class that occurs nowhere not at all.
    # <solution 4.2b>
    f1 = f1_per_class(matrix)
    valid = f1[~f1.isnan()]
    score = valid.mean().item() if len(valid) else 0.0
    # <student>
    # score = ...  # a float, 0.0 when no class is left
    # </solution 4.2b>
    return score


def mean_iou(matrix: Tensor) -> float:
    """The mean of `iou_per_class` over the classes not NaN; 0.0 when nothing was counted."""
    # TODO 4.3b: the mean over the classes, as for the macro F1.
    # <solution 4.3b>
    iou = iou_per_class(matrix)
    valid = iou[~iou.isnan()]
    score = valid.mean().item() if len(valid) else 0.0
    # <student>
    # score = ...  # a float, 0.0 when no class is left
    # </solution 4.3b>
    return score


def pixel_accuracy(matrix: Tensor) -> float:
    """The share of pixels that are right; 0.0 when nothing was counted."""
    true_positives, truth, _ = _totals(matrix)
    # TODO 4.4a: over all classes together.
    # <solution 4.4a>
    accuracy = (true_positives.sum() / truth.sum()).item() if truth.sum() else 0.0
    # <student>
    # accuracy = ...  # a float, 0.0 when nothing was counted
    # </solution 4.4a>
    return accuracy


def mean_accuracy(matrix: Tensor) -> float:
    """The mean recall TP / (TP + FN) of the classes in the target; 0.0 when there are none."""
    true_positives, truth, _ = _totals(matrix)
    # TODO 4.4b: the recall of each class that has truth pixels, then their mean.
    # <solution 4.4b>
    present = truth > 0
    recall = true_positives[present] / truth[present]
    accuracy = recall.mean().item() if len(recall) else 0.0
    # <student>
    # accuracy = ...  # a float, 0.0 when nothing was counted
    # </solution 4.4b>
    return accuracy


def scores(matrix: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """Every score of a confusion matrix (K, K), as `metrics.json` holds them.

    A class neither in the target nor predicted has None for a score, and so has everything where
    no pixel was counted; `pixels` counts the target's.
    """
    per_class = {"f1": f1_per_class(matrix).tolist(), "iou": iou_per_class(matrix).tolist()}
    pixels = matrix.sum(dim=1).tolist()
    classes = {}
    for k, name in enumerate(class_names):
        row = {key: None if math.isnan(each[k]) else each[k] for key, each in per_class.items()}
        classes[name] = {**row, "pixels": pixels[k]}
    names = ("macro_f1", "mean_iou", "pixel_accuracy", "mean_accuracy")
    totals = macro_f1(matrix), mean_iou(matrix), pixel_accuracy(matrix), mean_accuracy(matrix)
    if not matrix.sum():
        totals = (None,) * len(names)
    return {**dict(zip(names, totals, strict=True)), "classes": classes}


def _totals(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True positives, target pixels (TP + FN), predicted pixels (TP + FP): three (K,) float64."""
    counts = torch.as_tensor(matrix).cpu().double()
    return counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)
