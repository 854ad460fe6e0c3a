"""The likely causes of wrong answers of chapter 4: metrics."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from checks.common import VOID, few_of, in_words
from checks.diagnosis.search import RAISES, Either, NoValue, Question

# ------------------------------------------------------------------ 4.1 confusion matrix

Ids = Sequence[Sequence[Sequence[int]]]
Pair = tuple[int, int]


class Batches(NamedTuple):
    """What a confusion matrix of K classes is updated with, one (truth, prediction) at a time."""

    batches: Sequence[tuple[Ids, Ids]]
    num_classes: int
    void: int = VOID
    dtypes: tuple[torch.dtype, torch.dtype] = (torch.int64, torch.int64)

    def images(self) -> Iterator[list[list[Pair]]]:
        """The (truth, prediction) of each pixel, image by image, for each batch."""
        for truth, guess in self.batches:
            flat = zip(map(_flat, truth), map(_flat, guess), strict=True)
            yield [list(zip(t, p, strict=True)) for t, p in flat]


def _flat(image: Sequence[Sequence[int]]) -> list[int]:
    return [each for row in image for each in row]


def counted(x: Batches, place: Callable[[int, int], Pair | None] = lambda t, p: (t, p)) -> list:
    """The matrix of each batch, pixel by pixel; `place` says where a valid pixel is counted."""
    found = []
    for images in x.images():
        matrix = np.zeros((x.num_classes, x.num_classes))
        for t, p in itertools.chain.from_iterable(images):
            at = place(t, p)
            if at is not None and all(0 <= i < x.num_classes for i in at):
                matrix[at] += 1
        found.append(matrix)
    return found


def matrix_of(x: Batches) -> np.ndarray:
    """The right matrix, int64."""
    start = np.zeros((x.num_classes, x.num_classes))
    return sum(counted(x, lambda t, p: None if t == x.void else (t, p)), start).astype(int)


def _mistakes_of_matrix(x: Batches) -> dict[str, object]:
    """Likely cause → the matrix that it gives."""
    void, last = x.void, x.num_classes - 1
    each = counted(x, lambda t, p: None if t == void else (t, p))
    expected, images = sum(each), list(x.images())
    pairs = [pair for batch in images for image in batch for pair in image]
    has_void, is_other = any(t == void for t, _ in pairs), void != VOID

    def put(place: Callable[[int, int], Pair | None]) -> np.ndarray:
        return sum(counted(x, lambda t, p: None if t == void else place(t, p)))

    def of_image(index: int) -> np.ndarray:
        kept = [([truth[index]], [guess[index]]) for truth, guess in x.batches]
        return matrix_of(x._replace(batches=kept))

    def put_void(row: int) -> np.ndarray:
        return sum(counted(x, lambda t, p: (row if t == void else t, p)))

    def overflown(t: int, p: int) -> Pair:
        index = t * x.num_classes % 256 + p
        return divmod(index if torch.int64 in x.dtypes else index % 256, x.num_classes)

    def is_whole(matrix: Tensor) -> bool:
        return matrix.dtype != torch.int64 and np.array_equal(matrix.tolist(), expected)

    kept = sum(counted(x, lambda t, p: None if t == VOID else (t, p)))
    masked_by_guess = sum(counted(x, lambda t, p: None if p == void else (t, p)))
    doubled = np.zeros_like(expected)
    for matrix in each:
        doubled = 2 * doubled + matrix
    all_there = all(matrix[last, last] for matrix in each)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sum(np.nan_to_num(m / m.sum(axis=1, keepdims=True)) for m in each)
        share = sum(np.nan_to_num(m / m.sum()) for m in each)
    is_byte = x.dtypes[0] == torch.uint8
    return {
        "counts are whole numbers: int64 throughout": is_whole,
        "rows and columns are swapped: rows are the target, columns the predictions": expected.T,
        "these are the counts of the last batch alone": each[-1],
        "the counts so far are added again: `counts` is of this batch alone": doubled,
        "every pixel is counted twice": Either((2 * expected, 2 * each[-1])),
        "each pair is counted once at most: `+= 1` at indices that repeat adds only once": Either(
            (sum(matrix > 0 for matrix in each), np.where(expected > 0, 1, 0))
        ),
        "ignore_index is not asked: void is what self.ignore_index says": Either((kept, RAISES))
        if is_other and has_void
        else expected,
        "void goes by the target, not by the prediction": masked_by_guess,
        "void goes by the target alone, not by the prediction": put(
            lambda t, p: None if p == void else (t, p)
        ),
        "void pixels are counted as class 0": Either((put_void(0), put_void(void))),
        "void pixels are counted as the last class": Either((put_void(last), put_void(void))),
        "void pixels must be out of target and predictions, by their target, before counting": (
            Either((put_void(void), RAISES)) if has_void else expected
        ),
        "bincount needs minlength=K * K to give every pair a place": expected
        if all_there
        else RAISES,
        "only the first image of the batch is counted": of_image(0),
        "only the last image of the batch is counted": of_image(-1),
        "only the pixels that are right are counted": put(lambda t, p: (t, p) if t == p else None),
        "only the pixels that are wrong are counted": put(lambda t, p: (t, p) if t != p else None),
        "this is the target against itself": put(lambda t, p: (t, t)),
        "this is the prediction against itself": put(lambda t, p: (p, p)),
        "the rows are divided by their sums; counts are wanted": shares,
        "this is divided by the number of images; counts are wanted": sum(
            matrix / len(batch) for matrix, batch in zip(each, images, strict=True)
        ),
        "this is divided by the number of pixels; counts are wanted": share,
        "class 0 is left out as if it were void": put(lambda t, p: (t, p) if t else None),
        "t * K + p is more than 255 here: uint8 cannot hold it": Either((put(overflown), RAISES))
        if is_byte
        else expected,
        "half precision cannot count so far: int64 throughout": Either(
            sum(_rounded(matrix, dtype) for matrix in each)
            for dtype in (torch.float16, torch.bfloat16)
        ),
    }


def _rounded(matrix: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    return torch.from_numpy(matrix).to(dtype).double().numpy()


def _same_matrix(got: Tensor, wanted: np.ndarray) -> bool:
    if wanted.dtype == int and got.dtype != torch.int64:
        return False
    return np.allclose(got.tolist(), wanted, rtol=1e-4, atol=0)


def _shown_matrix(matrix: Tensor | np.ndarray) -> str:
    if isinstance(matrix, Tensor):
        other = "" if matrix.dtype == torch.int64 else f", {matrix.dtype}".replace("torch.", "")
        values = matrix.tolist()
    else:
        values, other = matrix.astype(int).tolist(), ""
    if len(values) <= 6:
        return f"matrix {values}{other}"
    places = [(t, p, n) for t, row in enumerate(values) for p, n in enumerate(row) if n]
    return "zeros but for " + ", ".join(f"[{t}, {p}] = {n}" for t, p, n in places[:6]) + other


def _given_matrix(x: Batches) -> str:
    def shown(ids: Ids) -> str:
        text = str(ids)
        return text if len(text) <= 150 else f"{text[:40]} … ({len(_flat(ids[0]))} pixels)"

    batches = [f"target {shown(truth)}, predictions {shown(guess)}" for truth, guess in x.batches]
    kinds = [str(dtype).removeprefix("torch.") for dtype in x.dtypes]
    other = f", ignore_index={x.void}" * (x.void != VOID)
    if kinds != ["int64", "int64"]:
        other += f"; target {kinds[0]}, predictions {kinds[1]}"
    return "; then ".join(batches) + f", K = {x.num_classes}{other}"


def _small_batches() -> Iterator[Batches]:
    """One pixel, two pixels, two images, two batches; then more classes and other types."""
    for void in (VOID, 1):
        ones = [([t], [p]) for t, p in itertools.product((0, 1, void), (0, 1))]
        for t, p in ones:
            yield Batches([([[t]], [[p]])], 2, void)
        for (t, p), (u, q) in itertools.product(ones, ones):
            yield Batches([([[t + u]], [[p + q]])], 2, void)
            yield Batches([([[t], [u]], [[p], [q]])], 2, void)
            yield Batches(
                [
                    (
                        [
                            [t],
                        ],
                        [[p]],
                    ),
                    ([[u]], [[q]]),
                ],
                2,
                void,
            )
            yield Batches([([[t, u]], [[p, q]])], 2, void)
    yield Batches([([[[0, 1], [0, 0]]], [[[0, 1], [0, 0]]])], 2)
    for t, p in itertools.product(range(3), range(3)):
        yield Batches([([[[t]]], [[[p]]])], 3)
    for first, second in itertools.product((torch.uint8, torch.int64), repeat=2):
        for t, p in ((0, 0), (0, 19), (19, 0), (19, 19)):
            yield Batches([([[[t]]], [[[p]]])], 20, VOID, (first, second))


def _more_batches(seed: int) -> Batches:
    """Random ids; every fourth is of uint8 and many classes, or has thousands of pixels.

    One is without void pixels.
    """
    random = np.random.default_rng(seed)
    num_classes = 30 if seed % 4 == 2 else int(random.integers(2, 5))
    void = 1 if seed % 4 == 1 else VOID
    batches = []
    for _ in range(1 + seed % 2):
        size = (2, 1, 2500) if seed % 4 == 3 else (2, 2, 4)
        truth, guess = random.integers(0, num_classes, (2, *size))
        if seed % 4 == 3:
            truth[:] = guess[:] = 0
        if seed != 4:
            truth.reshape(-1)[random.integers(0, truth.size, 3)] = void
        batches.append((truth.tolist(), guess.tolist()))
    dtype = torch.uint8 if seed % 4 == 2 else torch.int64
    return Batches(batches, num_classes, void, (dtype, dtype))


def matrix_question(answer: Callable[[Batches], object]) -> Question:
    """The confusion matrix after some updates."""

    def value(x: Batches) -> object:
        matrix = answer(x)
        size = x.num_classes, x.num_classes
        is_fine = isinstance(matrix, Tensor) and matrix.shape == size
        return matrix if is_fine else NoValue(in_words(matrix))

    return Question(
        answer=value,
        right=matrix_of,
        mistakes=_mistakes_of_matrix,
        more=_more_batches,
        small=_small_batches,
        given=_given_matrix,
        shown=_shown_matrix,
        same=_same_matrix,
    )


# ------------------------------------------------------------------ 4.2 to 4.4: of a matrix

Matrix = list[list[int]]

CORNERS = [
    [40, 3, 0, 6, 1],
    [7, 5, 0, 0, 2],
    [0, 0, 0, 0, 0],  # neither in the truth nor predicted
    [0, 0, 0, 0, 0],  # only predicted
    [2, 9, 0, 0, 0],  # predicted, but never rightly
]
SMALLEST = [[1, 1, 0], [0, 0, 0], [0, 0, 0]]  # here even a tiny ε in a denominator shows


class Class(NamedTuple):
    """The counts of one class: true positives, false positives, false negatives."""

    tp: int
    fp: int
    fn: int


def classes_of(matrix: Matrix) -> list[Class]:
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


def _mean_of_both(c: Class) -> Fraction | None:
    both = _precision(c), recall_of(c)
    return None if None in both else sum(both) / 2


PerClass = Callable[[Class], Fraction | None]
_PER_CLASS: dict[str, PerClass] = {
    "these are F1, not IoU: in the union, what both have counts once": f1,
    "these are IoU, not F1: F1 counts the true positives twice": iou,
    "these are the precisions TP / (TP + FP)": _precision,
    "these are the recalls TP / (TP + FN)": recall_of,
    "TP over target + predicted: the factor 2 is missing": lambda c: _over(
        c.tp, 2 * c.tp + c.fp + c.fn
    ),
    "both sums include TP already: 2 TP is in the denominator twice": lambda c: _over(
        2 * c.tp, 4 * c.tp + c.fp + c.fn
    ),
    "2 TP / (TP + FP + FN): the denominator needs 2 TP as well": lambda c: _over(
        2 * c.tp, c.tp + c.fp + c.fn
    ),
    "both sums include TP already: TP is in the denominator three times": (
        lambda c: _over(c.tp, 3 * c.tp + c.fp + c.fn)
    ),
    "TP over FP + FN: TP belongs into the union too": lambda c: _over(c.tp, c.fp + c.fn),
    "2 TP over FP + FN: 2 TP belongs into the denominator too": lambda c: _over(
        2 * c.tp, c.fp + c.fn
    ),
    "the mean of precision and recall; F1 is their harmonic mean": _mean_of_both,
}


def _mistakes_per_class(matrix: Matrix, right: PerClass) -> dict[str, object]:
    """Likely cause → a test of the classes' scores."""
    classes = classes_of(matrix)
    wanted = [right(c) for c in classes]
    present = [k for k, want in enumerate(wanted) if want is not None]
    absent = [k for k, want in enumerate(wanted) if want is None]

    def near(got: list[float], most: float, where: Sequence[int] = present) -> bool:
        return all(abs(got[k] - float(wanted[k])) <= most for k in where)

    def filled(got: list[float]) -> bool:
        return not any(math.isnan(got[k]) for k in absent)

    def gives(formula: PerClass) -> Callable[[list[float]], bool]:
        values = [(k, formula(c)) for k, c in enumerate(classes)]
        return lambda got: all(v is None or abs(got[k] - float(v)) <= 1e-6 for k, v in values)

    found = [k for k in present if classes[k].tp]
    missed = [k for k in present if not classes[k].tp]
    is_small = matrix == SMALLEST
    tests = {
        "a small number is added to a denominator: 0 / 0 must stay NaN": (
            lambda got: filled(got) and near(got, 1e-3) and not (is_small and near(got, 1e-16))
        ),
        "a class that occurs nowhere has no score: NaN (0 / 0); a number would take part in the "
        "mean": lambda got: filled(got) and near(got, 1e-11),
        "NaN for a class without a single right pixel: only predicted, or never found, it has the "
        "score 0 (precision * recall / their sum is 0 / 0 there)": (
            lambda got: all(math.isnan(got[k]) for k in missed) and near(got, 1e-9, found)
        ),
        "a class without a single right pixel has the score 0": (
            lambda got: near(got, 1e-9, found) and all(math.isnan(got[k]) for k in absent)
        ),
        "rounded: float32 holds 7 digits, and counts are larger; compute in float64": (
            lambda got: near(got, 1e-5) and all(math.isnan(got[k]) for k in absent)
        ),
    }
    return tests | {cause: gives(f) for cause, f in _PER_CLASS.items() if f is not right}


def wrong_means(matrix: Matrix, per_class: PerClass) -> dict[str, float | None]:
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
            Either((trace / total, trace / (trace + 2 * errors)))
        ),
        "the classes are weighted by their pixels; every class counts alike": weighted(
            [c.tp + c.fn for c in classes]
        ),
        "the classes are weighted by their predictions; every class counts alike": weighted(
            [c.tp + c.fp for c in classes]
        ),
        "this is the F1 of the mean precision and the mean recall; take the mean of the F1": (
            Either((of_means, 2 * p0 * r0 / (p0 + r0) if trace else 0.0))
        ),
        "this is the mean precision": precision,
        "this is the mean recall": recall,
        "this is the mean IoU, not the mean F1": None
        if per_class is iou
        else average([iou(c) for c in classes]),
        "this is the mean F1, not the mean IoU": None
        if per_class is f1
        else average([f1(c) for c in classes]),
        "this is the sum; the mean is wanted": float(sum(found)),
        "in percent; a share of 0 ... 1 is wanted": 100 * average(scores),
        "this is 1 minus the score, an error": 1 - average(scores),
        "this is the median; the mean is wanted": float(found[(len(found) - 1) // 2]),
        "this is the best class": float(found[-1]),
        "this is the worst class": float(found[0]),
        "class 0 is left out": average(scores[1:]),
        "the last class is left out": average(scores[:-1]),
    }


def right_share(matrix: Matrix) -> float:
    """The share of pixels that are right."""
    total = sum(map(sum, matrix))
    return float(Fraction(sum(c.tp for c in classes_of(matrix)), total))


def wrong_accuracies(matrix: Matrix) -> dict[str, float | None]:
    """The numbers that mistaken accuracies give."""
    classes = classes_of(matrix)
    recalls = [recall_of(c) for c in classes]
    total = sum(map(sum, matrix))
    num_classes = len(classes)
    return {
        "this is the mean recall of the classes": average(recalls),
        "this is the share of all pixels that are right": right_share(matrix),
        "this is the mean precision TP / (TP + FP): divide by the sums of the rows": (
            average([_precision(c) for c in classes])
        ),
        "classes without target pixels count as 0; leave them out": average(
            [r or Fraction(0) for r in recalls]
        ),
        "classes without target pixels count as 1; leave them out": average(
            [Fraction(1) if r is None else r for r in recalls]
        ),
        "classes that are only predicted count as 0; only those with target pixels count": average(
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
        "in percent; a share of 0 ... 1 is wanted": Either(
            (100 * right_share(matrix), 100 * average(recalls))
        ),
        "this is the mean F1": average([f1(c) for c in classes]),
        "this is the mean IoU": average([iou(c) for c in classes]),
    }


def _small_matrices() -> Iterator[Matrix]:
    """Of one class, then of two and three with few pixels; then larger ones."""
    yield [[1]]
    for most in (1, 2):
        entries = itertools.product(range(most + 1), repeat=4)
        for a, b, c, d in sorted(entries, key=sum)[1:]:
            yield [[a, b], [c, d]]
    cells = list(itertools.product(range(3), range(3)))
    for count in (1, 2, 3):
        for chosen in itertools.combinations(cells, count):
            yield [[int((t, p) in chosen) for p in range(3)] for t in range(3)]


def _more_matrices(seed: int) -> Matrix:
    """Random counts, many of them 0; the first two have what is special."""
    if seed < 2:
        return (SMALLEST, CORNERS)[seed]
    random = np.random.default_rng(seed)
    num_classes = 2 + seed % 4
    matrix = random.integers(0, 30, (num_classes, num_classes))
    matrix *= random.random(matrix.shape) < 0.6
    matrix[0, 0] += 1
    if seed % 2:
        absent = int(random.integers(1, num_classes))
        matrix[absent] = 0  # not in the truth
        matrix[:, absent] *= seed % 4 == 1
    return matrix.tolist()


def _given_of(name: str) -> Callable[[Matrix], str]:
    return lambda matrix: f"{name} of the matrix {matrix}"


def per_class_question(name: str, score: Callable[[Tensor], Tensor], right: PerClass) -> Question:
    """The scores of the K classes of a matrix."""

    def value(matrix: Matrix) -> object:
        got = score(torch.tensor(matrix))
        is_fine = isinstance(got, Tensor) and got.shape == (len(matrix),)
        if not is_fine or got.dtype != torch.float64:
            return NoValue(in_words(got))
        return got.tolist()

    def wanted(matrix: Matrix) -> list[float]:
        scores = map(right, classes_of(matrix))
        return [math.nan if each is None else float(each) for each in scores]

    def same(got: list[float], other: list[float]) -> bool:
        return np.allclose(got, other, rtol=0, atol=1e-11, equal_nan=True)

    return Question(
        answer=value,
        right=wanted,
        mistakes=lambda matrix: _mistakes_per_class(matrix, right),
        more=_more_matrices,
        small=_small_matrices,
        given=_given_of(name),
        shown=lambda scores: f"{few_of(scores, 6)}, a score for each class, float64",
        same=same,
    )


def score_question(
    name: str,
    score: Callable[[Tensor], float],
    right: Callable[[Matrix], float],
    mistakes: Callable[[Matrix], dict[str, Any]],
    tolerance: float,
) -> Question:
    """One number of a matrix."""

    def value(matrix: Matrix) -> object:
        got = score(torch.tensor(matrix))
        return NoValue(in_words(got)) if isinstance(got, Tensor) and got.dim() else float(got)

    def all_mistakes(matrix: Matrix) -> dict[str, Any]:
        wanted = right(matrix)
        rounded = [round(wanted, n) for n in (2, 3, 4)]
        return mistakes(matrix) | {
            "the mean of a NaN is NaN: leave the classes without a score out": (
                lambda got: math.isnan(got) or abs(got - wanted) <= tolerance
            ),
            "rounded: rounding is for printing": lambda got: any(
                abs(got - each) < 1e-9 for each in rounded
            ),
            "rounded: compute in float64, and add nothing to a denominator": (
                lambda got: abs(got - wanted) < 1e-5
            ),
        }

    return Question(
        answer=value,
        right=right,
        mistakes=all_mistakes,
        more=_more_matrices,
        small=_small_matrices,
        given=_given_of(name),
        shown=lambda number: f"{number:.9g}",
        same=lambda got, other: abs(got - other) <= tolerance,
    )
