"""The likely causes of wrong answers of chapter 4: metrics."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from checks.common import VOID

# ------------------------------------------------------------------ 4.1 confusion matrix

Ids = Sequence[Sequence[Sequence[int]]]


def pairs_of(truth: Ids, guess: Ids, num_classes: int, void: int = VOID) -> list[list[int]]:
    """Counts pixel by pixel."""
    matrix = [[0] * num_classes for _ in range(num_classes)]
    for image, guesses in zip(truth, guess, strict=True):
        for row, guessed in zip(image, guesses, strict=True):
            for t, p in zip(row, guessed, strict=True):
                if t != void:
                    matrix[t][p] += 1
    return matrix


def cause_of_matrix(
    got: list[list[float]], truth: Ids, guess: Ids, num_classes: int, void: int = VOID
) -> str | None:
    """The mistake that makes this matrix of one batch."""
    expected = np.array(pairs_of(truth, guess, num_classes, void), dtype=np.float64)
    t, p = np.array(truth).ravel(), np.array(guess).ravel()
    pixels = list(zip(t.tolist(), p.tolist(), strict=True))
    if void != VOID and np.array_equal(got, pairs_of(truth, guess, num_classes, VOID)):
        return f"ignore_index={void} is not asked: void is what self.ignore_index says"

    def count(kept: list[tuple[int, int]]) -> np.ndarray:
        matrix = np.zeros((num_classes, num_classes))
        for row, column in kept:
            if 0 <= row < num_classes and 0 <= column < num_classes:
                matrix[row, column] += 1
        return matrix

    last = num_classes - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mistakes = {
            "rows and columns are swapped: rows are the truth, columns the predictions": expected.T,
            "each pair is counted once at most: `+= 1` at indices that repeat adds only once": (
                expected > 0
            ),
            "void pixels are counted as class 0": count(
                [(0 if a == void else a, b) for a, b in pixels]
            ),
            "void pixels are counted as the last class": count(
                [(last if a == void else a, b) for a, b in pixels]
            ),
            "void goes by the target alone, not by the prediction": count(
                [(a, b) for a, b in pixels if b != void and a != void]
            ),
            "only the first image of the batch is counted": count(
                pixels[: len(pixels) // len(truth)]
            ),
            "only the last image of the batch is counted": count(
                pixels[-len(pixels) // len(truth) :]
            ),
            "only the pixels that are right are counted": np.diag(np.diag(expected)),
            "only the pixels that are wrong are counted": expected - np.diag(np.diag(expected)),
            "this is the truth against itself": np.diag(expected.sum(axis=1)),
            "this is the prediction against itself": np.diag(expected.sum(axis=0)),
            "the rows are divided by their sums; counts are wanted": expected
            / expected.sum(axis=1, keepdims=True),
            "this is divided by the number of images; counts are wanted": expected / len(truth),
            "this is divided by the number of pixels; counts are wanted": expected / expected.sum(),
            "void goes by the target, not by the prediction": count(
                [(a, b) for a, b in pixels if b != void]
            ),
            "class 0 is left out as if it were void": count([(a, b) for a, b in pixels if a > 0]),
        }
    for cause, matrix in mistakes.items():
        wanted = np.nan_to_num(matrix)
        if not np.array_equal(wanted, expected) and np.allclose(got, wanted, rtol=1e-4):
            return cause
    if np.array_equal(np.sum(got), 2 * expected.sum()):
        return "every pixel is counted twice"
    return None


class Class(NamedTuple):
    """The counts of one class: true positives, false positives, false negatives."""

    tp: int
    fp: int
    fn: int


def classes_of(matrix: list[list[int]]) -> list[Class]:
    """The counts of each class of a matrix."""
    n = range(len(matrix))
    return [
        Class(
            matrix[k][k],
            sum(matrix[t][k] for t in n if t != k),
            sum(matrix[k][p] for p in n if p != k),
        )
        for k in n
    ]


def _over(numerator: int, denominator: int) -> Fraction | None:
    """A fraction; None for 0 / 0."""
    return Fraction(numerator, denominator) if denominator else None


def _precision(c: Class) -> Fraction | None:
    return _over(c.tp, c.tp + c.fp)


def recall_of(c: Class) -> Fraction | None:
    """TP / (TP + FN), None for 0 / 0."""
    return _over(c.tp, c.tp + c.fn)


def f1(c: Class) -> Fraction | None:
    """2 TP / (2 TP + FP + FN), None for 0 / 0."""
    return _over(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def iou(c: Class) -> Fraction | None:
    """TP / (TP + FP + FN), None for 0 / 0."""
    return _over(c.tp, c.tp + c.fp + c.fn)


def average(values: Sequence[Fraction | None]) -> float:
    """The mean of those that are not None; 0 if there is none."""
    found = [value for value in values if value is not None]
    return float(sum(found) / len(found)) if found else 0.0


_PER_CLASS: dict[str, Callable[[Class], Fraction | None]] = {
    "these are F1, not IoU: in the union, what both have counts once": f1,
    "these are IoU, not F1: F1 counts the true positives twice": iou,
    "these are the precisions TP / (TP + FP)": _precision,
    "these are the recalls TP / (TP + FN)": recall_of,
    "TP over truth + predicted: the factor 2 is missing": lambda c: _over(
        c.tp, 2 * c.tp + c.fp + c.fn
    ),
    "truth and predicted include TP already: 2 TP is in the denominator twice": lambda c: _over(
        2 * c.tp, 4 * c.tp + c.fp + c.fn
    ),
    "2 TP / (TP + FP + FN): the denominator needs 2 TP as well": lambda c: _over(
        2 * c.tp, c.tp + c.fp + c.fn
    ),
    "truth and predicted include TP already: TP is in the denominator three times": (
        lambda c: _over(c.tp, 3 * c.tp + c.fp + c.fn)
    ),
    "TP over FP + FN: TP belongs into the union too": lambda c: _over(c.tp, c.fp + c.fn),
    "2 TP over FP + FN: 2 TP belongs into the denominator too": lambda c: _over(
        2 * c.tp, c.fp + c.fn
    ),
    "precision times recall over their sum: the factor 2 is missing": lambda c: _over(
        c.tp, 2 * c.tp + c.fp + c.fn
    ),
    "the mean of precision and recall; F1 is their harmonic mean": lambda c: (
        None
        if _precision(c) is None or recall_of(c) is None
        else (_precision(c) + recall_of(c)) / 2
    ),
}


def cause_per_class(
    got: list[float], matrix: list[list[int]], right: Callable[[Class], Fraction | None]
) -> str | None:
    """The mistake that gives these scores of the classes."""
    classes = classes_of(matrix)
    wanted = [right(c) for c in classes]
    pairs = list(zip(got, wanted, classes, strict=True))
    absent = [value for value, want, _ in pairs if want is None]
    rest = [each for each in pairs if each[1] is not None]
    off = [each for each in rest if math.isnan(each[0]) or abs(each[0] - float(each[1])) > 1e-9]
    if absent and not all(math.isnan(value) for value in absent):
        if any(abs(value - float(want)) > 1e-13 for value, want, _ in rest) and not off:
            return "a small number is added to a denominator: 0 / 0 must stay NaN"
        if not off:
            return (
                f"a class that occurs nowhere has no score: NaN (0 / 0), not {absent[0]:g}; it "
                "would take part in the mean"
            )
        if all(abs(value - float(want)) < 1e-3 for value, want, _ in rest):
            return "a small number is added to a denominator: 0 / 0 must stay NaN"
    if off and all(c.tp == 0 for _, _, c in off) and all(math.isnan(v) for v, _, _ in off):
        return (
            "NaN for a class without a single right pixel: only predicted, or never found, it has "
            "the score 0 (precision * recall / their sum is 0 / 0 there)"
        )
    if off and all(c.tp == 0 for _, _, c in off):
        return "a class without a single right pixel has the score 0"
    for cause, formula in _PER_CLASS.items():
        if formula is right:
            continue
        values = [formula(c) for c in classes]
        if all(
            value is None or (not math.isnan(x) and abs(x - float(value)) <= 1e-6)
            for x, value in zip(got, values, strict=True)
        ):
            return cause
    if all(abs(value - float(want)) < 1e-5 for value, want, _ in rest):
        return "rounded: float32 holds 7 digits, and counts are larger; compute in float64"
    return None


def wrong_means(
    matrix: list[list[int]], per_class: Callable[[Class], Fraction | None]
) -> dict[str, float | None]:
    """The numbers that mistaken means of the classes' scores give."""
    classes = classes_of(matrix)
    scores = [per_class(c) for c in classes]
    total = sum(map(sum, matrix))
    trace = sum(c.tp for c in classes)
    errors = total - trace

    def weighted(weights: list[int]) -> float | None:
        pairs = zip(scores, weights, strict=True)
        return float(sum((s or 0) * w for s, w in pairs) / sum(weights)) if total else None

    def some(keep: Callable[[Class], bool]) -> float:
        return average([s for s, c in zip(scores, classes, strict=True) if keep(c)])

    found = sorted(s for s in scores if s is not None)
    precision, recall = (average([f(c) for c in classes]) for f in (_precision, recall_of))
    of_means = 2 * precision * recall / (precision + recall) if trace else 0.0
    zeros = [[f(c) or Fraction(0) for c in classes] for f in (_precision, recall_of)]
    p0, r0 = (average(each) for each in zeros)
    return {
        "a class that occurs nowhere counts as 0 here; leave it out of the mean": average(
            [s or Fraction(0) for s in scores]
        ),
        "a class that occurs nowhere counts as 1 here; leave it out of the mean": average(
            [Fraction(1) if s is None else s for s in scores]
        ),
        "a class that is only predicted is left out; its score is 0": some(
            lambda c: c.tp + c.fn > 0
        ),
        "a class that is never predicted is left out; its score is 0": some(
            lambda c: c.tp + c.fp > 0
        ),
        "classes with the score 0 are left out; only those without a score are": some(
            lambda c: c.tp > 0
        ),
        "this is the micro average, TP, FP and FN added up first: every class counts alike": (
            trace / total
        ),
        "this is the micro average: TP, FP and FN added up first; every class counts alike": (
            trace / (trace + 2 * errors)
        ),
        "the classes are weighted by their pixels; every class counts alike": weighted(
            [c.tp + c.fn for c in classes]
        ),
        "the classes are weighted by their predictions; every class counts alike": weighted(
            [c.tp + c.fp for c in classes]
        ),
        "this is the F1 of the mean precision and the mean recall; take the mean of the F1": (
            of_means
        ),
        "this is the F1 of the mean precision and the mean recall: take the mean of the F1": (
            2 * p0 * r0 / (p0 + r0) if trace else 0.0
        ),
        "this is the mean precision": precision,
        "this is the mean recall": recall,
        "this is the mean IoU, not the mean F1": average([iou(c) for c in classes]),
        "this is the mean F1, not the mean IoU": average([f1(c) for c in classes]),
        "this is the sum; the mean is wanted": float(sum(found)),
        "in percent; a share of 0 ... 1 is wanted": 100 * average(scores),
        "this is 1 minus the score, an error": 1 - average(scores),
        "this is the median; the mean is wanted": float(found[(len(found) - 1) // 2]),
        "this is the best class": float(found[-1]),
        "this is the worst class": float(found[0]),
        "class 0 is left out": average(scores[1:]),
        "the last class is left out": average(scores[:-1]),
    }


def right_share(matrix: list[list[int]]) -> float:
    """The share of pixels that are right."""
    total = sum(map(sum, matrix))
    return float(Fraction(sum(c.tp for c in classes_of(matrix)), total))


def wrong_accuracies(matrix: list[list[int]]) -> dict[str, float | None]:
    """The numbers that mistaken accuracies give."""
    classes = classes_of(matrix)
    recalls = [recall_of(c) for c in classes]
    total = sum(map(sum, matrix))
    num_classes = len(classes)
    return {
        "this is the mean recall of the classes": average(recalls),
        "this is the share of all pixels that are right": right_share(matrix),
        "this is the mean precision TP / (TP + FP): divide by the truth, the sums of the rows": (
            average([_precision(c) for c in classes])
        ),
        "classes without truth pixels count as 0; leave them out": average(
            [r or Fraction(0) for r in recalls]
        ),
        "classes without truth pixels count as 1; leave them out": average(
            [Fraction(1) if r is None else r for r in recalls]
        ),
        "classes that are only predicted count as 0; only those with truth pixels count": average(
            [
                Fraction(0) if r is None and c.fp else r
                for r, c in zip(recalls, classes, strict=True)
            ]
        ),
        "classes that are never predicted are left out; their recall is 0": average(
            [r for r, c in zip(recalls, classes, strict=True) if c.tp + c.fp]
        ),
        "classes without a right pixel are left out; their recall is 0": average(
            [r for r, c in zip(recalls, classes, strict=True) if c.tp]
        ),
        "true negatives count as right here (TP + TN over all), class by class": average(
            [Fraction(total - c.fp - c.fn, total) for c in classes]
        ),
        "this is the share of the pixels that are wrong": 1 - right_share(matrix),
        "divided by the number of entries of the matrix, not of pixels": (
            sum(c.tp for c in classes) / num_classes**2
        ),
        "this is the mean of the diagonal: divide by the pixels": (
            sum(c.tp for c in classes) / num_classes
        ),
        "the shares of all pixels are averaged over the classes: divide once, by all pixels": (
            right_share(matrix) / num_classes
        ),
        "this is a sum over the classes; the mean is wanted": float(
            sum(r for r in recalls if r is not None)
        ),
        "this is TP / (TP + FP + FN) over all classes": float(
            Fraction(sum(c.tp for c in classes), sum(c.tp + c.fp + c.fn for c in classes))
        ),
        "this is the number of right pixels, not their share": float(sum(c.tp for c in classes)),
        "in percent; a share of 0 ... 1 is wanted": 100 * right_share(matrix),
        "these are percent; a share of 0 ... 1 is wanted": 100 * average(recalls),
        "this is the mean F1": average([f1(c) for c in classes]),
        "this is the mean IoU": average([iou(c) for c in classes]),
    }
