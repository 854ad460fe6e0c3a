"""Further cases of chapter 4: metrics."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

import metrics
from checks.common import VOID, attempt, few_of, in_words
from checks.diagnosis.chapter_4 import (
    Class,
    Ids,
    average,
    cause_of_matrix,
    cause_per_class,
    classes_of,
    f1,
    iou,
    pairs_of,
    recall_of,
    right_share,
    wrong_accuracies,
    wrong_means,
)
from commands.companion.checking import wrong

_TRUTH = [[[0, 0, 0, 2], [2, 255, 1, 0]], [[0, 2, 255, 0], [0, 2, 0, 255]]]
_GUESS = [[[0, 0, 1, 2], [0, 2, 2, 1]], [[0, 2, 0, 2], [0, 2, 1, 1]]]
"""A batch (2, 2, 4) of three classes; class 1 is never right, many pairs occur several times."""


def _ids(values: object, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def _check_matrix(
    matrix: object, expected: list[list[int]], given: str, cause: Callable[[list], str | None]
) -> None:
    """Checks the type, shape and values of a confusion matrix."""
    num_classes = len(expected)
    if not isinstance(matrix, Tensor) or matrix.shape != (num_classes, num_classes):
        shape = f"a tensor ({num_classes}, {num_classes}) int64"
        wrong(given=given, expected=shape, got=in_words(matrix))
    got = matrix.tolist()
    if matrix.dtype != torch.int64:
        likely = cause(got) or "counts are whole numbers, int64"
        wrong(
            given=given,
            expected=f"{expected}, int64",
            got=f"{got}, {str(matrix.dtype).removeprefix('torch.')}",
            likely=likely,
        )
    if got != expected:
        wrong(given=given, expected=f"rows {expected}", got=f"rows {got}", likely=cause(got))


def _updated(
    truth: Ids, guess: Ids, num_classes: int, void: int = VOID, likely: str = ""
) -> metrics.ConfusionMatrix:
    """A matrix of one batch."""
    confusion = metrics.ConfusionMatrix(num_classes, void)
    void_pixels = sum(i == void for image in truth for row in image for i in row)
    attempt(
        lambda: confusion.update(_ids(guess), _ids(truth)),
        given=f"truth {truth}, predictions {guess}, K = {num_classes}",
        expected=f"rows {pairs_of(truth, guess, num_classes, void)}",
        likely=likely
        or (
            f"void pixels ({void}) must be out, by their target, before counting"
            if void_pixels
            else "bincount needs minlength=K * K to give every pair a place"
        ),
    )
    return confusion


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_rows_are_truth() -> None:
    for truth, guess, num_classes in (
        ([[[0, 1, 1, 2, 2, 2]]], [[[1, 1, 1, 2, 0, 0]]], 3),
        ([[[3, 3, 1]], [[0, 3, 2]]], [[[0, 1, 1]], [[3, 0, 2]]], 4),
        ([[[1, 0, 1], [0, 0, 0]]], [[[1, 1, 1], [0, 1, 1]]], 2),
    ):
        confusion = _updated(truth, guess, num_classes)
        expected = pairs_of(truth, guess, num_classes)
        given = f"truth {truth}, predictions {guess}, K = {num_classes}"

        def cause(got: list, args: tuple = (truth, guess, num_classes)) -> str | None:
            return cause_of_matrix(got, *args)

        _check_matrix(confusion.matrix, expected, given, cause)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_void_goes_by_the_target() -> None:
    expected = pairs_of(_TRUTH, _GUESS, 3)
    given = f"truth {_TRUTH}, predictions {_GUESS}, K = 3"
    confusion = _updated(_TRUTH, _GUESS, 3)
    _check_matrix(
        confusion.matrix, expected, given, lambda got: cause_of_matrix(got, _TRUTH, _GUESS, 3)
    )
    truth, guess = [[[255, 0, 255, 1]]], [[[255, 0, 7, 0]]]
    confusion = _updated(truth, guess, 2)
    _check_matrix(
        confusion.matrix,
        [[1, 0], [1, 0]],
        f"truth {truth}, predictions {guess}, K = 2",
        lambda got: cause_of_matrix(got, truth, guess, 2),
    )
    confusion = _updated([[[255, 255]]], [[[0, 1]]], 2)
    _check_matrix(
        confusion.matrix,
        [[0, 0], [0, 0]],
        "a target that is void everywhere, K = 2",
        lambda got: "void pixels (255) are counted",
    )


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_other_ignore_index() -> None:
    for void in (1, 0, 2, -1, 99):
        truth = [[[0, 2, 2, 0], [1, 0, 2, 1]]]
        guess = [[[0, 2, 1, 1], [1, 2, 0, 0]]]
        if void in (-1, 99):
            truth[0][1] = [1, void, 2, void]
        expected = pairs_of(truth, guess, 3, void)
        confusion = _updated(
            truth, guess, 3, void, "void is what self.ignore_index says, here not 255"
        )

        def cause(got: list, args: tuple = (truth, guess, 3, void)) -> str | None:
            return cause_of_matrix(got, *args)

        given = f"truth {truth}, predictions {guess}, K = 3, ignore_index={void}"
        _check_matrix(confusion.matrix, expected, given, cause)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_classes_that_do_not_occur() -> None:
    for t, p, num_classes in ((0, 0, 3), (1, 0, 5), (0, 4, 5), (20, 20, 21)):
        expected = [[0] * num_classes for _ in range(num_classes)]
        expected[t][p] = 2
        confusion = _updated([[[t, t]]], [[[p, p]]], num_classes)
        given = f"two pixels of class {t}, predicted as {p}, K = {num_classes}"
        _check_matrix(
            confusion.matrix,
            expected,
            given,
            lambda got, t=t, p=p, k=num_classes: cause_of_matrix(got, [[[t, t]]], [[[p, p]]], k),
        )


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_adds_batches_up() -> None:
    other = [[[1, 1, 0]]], [[[1, 2, 2]]]  # truth, predictions
    confusion = metrics.ConfusionMatrix(3)
    nothing = [[0] * 3 for _ in range(3)]
    _check_matrix(confusion.matrix, nothing, "a new ConfusionMatrix(3)", lambda got: None)
    first, second = np.array(pairs_of(_TRUTH, _GUESS, 3)), np.array(pairs_of(*other, 3))
    sums = {
        "these are the counts of the last batch alone": second,
        "the counts so far are added again: `counts` is of this batch alone": 2 * first + second,
        "rows and columns are swapped: rows are the truth": (first + second).T,
    }

    def cause(got: list) -> str | None:
        return next((name for name, each in sums.items() if np.array_equal(got, each)), None)

    confusion.update(_ids(_GUESS), _ids(_TRUTH))
    confusion.update(_ids(other[1]), _ids(other[0]))
    given = "two batches of unequal size, one after the other"
    _check_matrix(confusion.matrix, (first + second).tolist(), given, cause)
    confusion.reset()
    _check_matrix(confusion.matrix, nothing, "two batches, then reset()", lambda got: None)
    confusion.update(_ids(other[1]), _ids(other[0]))
    _check_matrix(confusion.matrix, second.tolist(), "reset(), then a batch", cause)
    confusion = metrics.ConfusionMatrix(2)
    confusion.update(_ids([[[0] * 5039]]), _ids([[[0] * 5037 + [1] * 2]]))
    cause_of_few = "half precision cannot count beyond 2048: int64 throughout"
    given = "5037 pixels of class 0 that are right, and 2 of class 1 taken for it"
    _check_matrix(confusion.matrix, [[5037, 0], [2, 0]], given, lambda got: cause_of_few)
    confusion = metrics.ConfusionMatrix(3)
    confusion.update(_ids(other[1]), _ids(other[0]))
    confusion.matrix[0, 0] = 2**24
    if int(confusion.matrix[0, 0]) == 2**24:  # it is the matrix itself, not a copy of it
        confusion.update(_ids([[[0]]]), _ids([[[0]]]))
        large = second.copy()
        large[0, 0] = 2**24 + 1
        given = "a matrix with 2^24 pixels already, then one more of class 0, right"
        too_few = "these counts are too large for the type in between: int64 throughout"
        _check_matrix(confusion.matrix, large.tolist(), given, lambda got: too_few)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_id_types() -> None:
    truth, guess = [[[199, 198, 3, 255, 3]]], [[[199, 199, 3, 0, 150]]]
    pairs = {(199, 199), (198, 199), (3, 3), (3, 150)}
    for first in (torch.uint8, torch.int64):
        for second in (torch.uint8, torch.int64):
            confusion = metrics.ConfusionMatrix(200)
            given = f"predictions {first}, target {second}, K = 200".replace("torch.", "")
            attempt(
                lambda c=confusion, a=first, b=second: c.update(_ids(guess, a), _ids(truth, b)),
                given=given,
                expected="the same counts for every type",
                likely="ids may be uint8 or int64",
            )
            matrix = confusion.matrix
            found = {tuple(pair) for pair in matrix.nonzero().tolist()}
            if found != pairs or matrix.dtype != torch.int64 or matrix.sum() != 4:
                swapped = found == {(p, t) for t, p in pairs}
                overflows = "t * K + p is more than 255 here: uint8 cannot hold it"
                wrong(
                    given=given,
                    expected=f"one pixel at each (truth, prediction) of {sorted(pairs)}, int64",
                    got=f"{sorted(found)[:8]}, {str(matrix.dtype).removeprefix('torch.')}",
                    likely="rows and columns are swapped: rows are the truth"
                    if swapped
                    else overflows
                    if torch.uint8 in (first, second) and found != pairs
                    else None,
                )


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_inputs_stay() -> None:
    for dtype in (torch.int64, torch.uint8):
        truth, guess = _ids(_TRUTH, dtype), _ids(_GUESS, dtype)
        metrics.ConfusionMatrix(3).update(guess, truth)
        for name, now, before in (("target", truth, _TRUTH), ("predictions", guess, _GUESS)):
            if now.tolist() != before:
                wrong(
                    given=f"target and predictions {str(dtype).removeprefix('torch.')}",
                    expected=f"the {name} stay as they are",
                    got=f"{name} {now.tolist()} after the update",
                    likely="the update writes into the tensors that it was given",
                )


# ------------------------------------------------------------------ 4.2 to 4.4: helpers

#
# Matrices are given by hand; every expectation is a fraction of whole numbers.
_PLAIN = [[50, 10, 0], [5, 20, 5], [0, 2, 8]]
_CORNERS = [
    [40, 3, 0, 6, 1],
    [7, 5, 0, 0, 2],
    [0, 0, 0, 0, 0],  # neither in the truth nor predicted
    [0, 0, 0, 0, 0],  # only predicted
    [2, 9, 0, 0, 0],  # predicted, but never rightly
]
_NEVER_PREDICTED = [[6, 2, 0], [1, 9, 0], [3, 4, 0]]
_LARGE = [[987_654_321_987, 16_777_217], [33_554_433, 123_456_789]]
_ALONE = [[7, 0, 0], [0, 0, 0], [0, 0, 0]]  # a single class has a score
_ONE_PIXEL = [[9, 2, 0], [0, 1, 0], [1, 0, 0]]  # classes of a single pixel
_SMALLEST = [[1, 0], [0, 0]]  # here even a tiny ε in a denominator shows
_MATRICES = (_CORNERS, _PLAIN, _NEVER_PREDICTED, _LARGE, _ALONE, _ONE_PIXEL, _SMALLEST)


def _matches(got: Sequence[float], wanted: Sequence[Fraction | None], tolerance: float) -> bool:
    """Whether two rows of scores are equal, NaN where there is None."""
    return len(got) == len(wanted) and all(
        math.isnan(value) if want is None else abs(value - float(want)) <= tolerance
        for value, want in zip(got, wanted, strict=True)
    )


def _check_per_class(
    name: str, score: Callable[[Tensor], Tensor], right: Callable[[Class], Fraction | None]
) -> None:
    """Checks the scores of the classes of all matrices."""
    for matrix in _MATRICES:
        wanted = [right(c) for c in classes_of(matrix)]
        shown = [math.nan if value is None else float(value) for value in wanted]
        given, given_matrix = f"{name} of the matrix {matrix}", torch.tensor(matrix)
        got = score(given_matrix)
        if given_matrix.tolist() != matrix:
            wrong(given=given, expected="the matrix stays", got=f"{given_matrix.tolist()}")
        if not isinstance(got, Tensor) or got.shape != (len(matrix),):
            likely = (
                "a score for each class, the absent ones too" if hasattr(got, "shape") else None
            )
            shape = f"a tensor ({len(matrix)},) float64"
            wrong(given=given, expected=shape, got=in_words(got), likely=likely)
        if not _matches(got.tolist(), wanted, 1e-11):
            digits = 4 if few_of(got.tolist()) != few_of(shown) else 14
            wrong(
                given=given,
                expected=few_of(shown, digits),
                got=few_of(got.tolist(), digits),
                likely=cause_per_class(got.tolist(), matrix, right),
            )
        if got.dtype != torch.float64:
            wrong(given=given, expected="float64", got=in_words(got), likely="counts are large")


def _check_score(
    name: str,
    score: Callable[[Tensor], float],
    right: Callable[[list[list[int]]], float],
    mistakes: Callable[[list[list[int]]], dict[str, float | None]],
    matrices: Sequence[list[list[int]]] = _MATRICES,
    tolerance: float = 1e-11,
) -> None:
    """Checks one number of several matrices."""
    for matrix in matrices:
        given, given_matrix = f"{name} of the matrix {matrix}", torch.tensor(matrix)
        expected = right(matrix)
        got = score(given_matrix)
        if given_matrix.tolist() != matrix:
            wrong(given=given, expected="the matrix stays", got=f"{given_matrix.tolist()}")
        if isinstance(got, Tensor) and got.dim():
            wrong(given=given, expected=f"{expected:.6f}", got=in_words(got), likely="one number")
        value = float(got)
        if not abs(value - expected) <= tolerance:
            likely = None
            if math.isnan(value):
                likely = "the mean of a NaN is NaN: leave the classes without a score out"
            for cause, other in mistakes(matrix).items():
                if other is not None and abs(value - other) <= 1e-7 and other != expected:
                    likely = cause
                    break
            digits = 6 if f"{value:.6g}" != f"{expected:.6g}" else 15
            if likely is None and any(value == round(expected, n) for n in (2, 3, 4)):
                likely = "rounded: rounding is for printing"
            if likely is None and abs(value - expected) < 1e-5:
                likely = "rounded: compute in float64, and add nothing to a denominator"
            wrong(
                given=given,
                expected=f"{expected:.{digits}g}",
                got=f"{value:.{digits}g}",
                likely=likely,
            )


def _check_floats(name: str, score: Callable[[Tensor], float]) -> None:
    """Checks that a score is a Python float, and 0.0 when nothing was counted."""
    given = f"{name} of the matrix {_PLAIN}"
    got = score(torch.tensor(_PLAIN))
    if not isinstance(got, float):
        likely = "`.item()` makes a number of a tensor" if isinstance(got, Tensor) else None
        wrong(given=given, expected="a Python float", got=in_words(got), likely=likely)
    for num_classes in (3, 1, 21):
        given = f"{name} of a matrix ({num_classes}, {num_classes}) of zeros: nothing was counted"
        got = attempt(
            lambda k=num_classes: score(torch.zeros(k, k, dtype=torch.int64)),
            given=given,
            expected="0.0",
            likely="0 / 0: ask first whether anything is left",
        )
        if not isinstance(got, float) or got != 0.0:
            likely = "a mean of nothing is NaN, and so is 0 / 0: ask first whether anything is left"
            shown = got if isinstance(got, float) else in_words(got)
            wrong(given=given, expected="0.0, a Python float", got=shown, likely=likely)


# ------------------------------------------------------------------ 4.2 F1 and macro F1


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_f1_of_each_class() -> None:
    _check_per_class("f1_per_class", metrics.f1_per_class, f1)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1() -> None:
    def right(matrix: list[list[int]]) -> float:
        return average([f1(c) for c in classes_of(matrix)])

    def mistakes(matrix: list[list[int]]) -> dict[str, float | None]:
        return wrong_means(matrix, f1)

    _check_score("macro_f1", metrics.macro_f1, right, mistakes)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_is_a_float() -> None:
    _check_floats("macro_f1", metrics.macro_f1)


# ------------------------------------------------------------------ 4.3 IoU and mean IoU


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_iou_of_each_class() -> None:
    _check_per_class("iou_per_class", metrics.iou_per_class, iou)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou() -> None:
    def right(matrix: list[list[int]]) -> float:
        return average([iou(c) for c in classes_of(matrix)])

    def mistakes(matrix: list[list[int]]) -> dict[str, float | None]:
        return wrong_means(matrix, iou)

    _check_score("mean_iou", metrics.mean_iou, right, mistakes)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_is_a_float() -> None:
    _check_floats("mean_iou", metrics.mean_iou)


# ------------------------------------------------------------------ 4.4 accuracies

_NEVER_RIGHT = [[0, 3, 1], [2, 0, 0], [0, 0, 0]]


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_pixel_accuracy() -> None:
    matrices = (*_MATRICES, _NEVER_RIGHT)
    score = metrics.pixel_accuracy
    _check_score("pixel_accuracy", score, right_share, wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_mean_accuracy() -> None:
    def right(matrix: list[list[int]]) -> float:
        return average([recall_of(c) for c in classes_of(matrix)])

    matrices = (*_MATRICES, _NEVER_RIGHT)
    _check_score("mean_accuracy", metrics.mean_accuracy, right, wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_accuracies_are_floats() -> None:
    _check_floats("pixel_accuracy", metrics.pixel_accuracy)
    _check_floats("mean_accuracy", metrics.mean_accuracy)
