"""Further cases of chapter 4: metrics."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

import metrics
from checks.common import VOID, attempt, in_words
from checks.diagnosis.chapter_4 import (
    CORNERS,
    SMALLEST,
    Batches,
    Ids,
    Matrix,
    average,
    classes_of,
    f1,
    iou,
    matrix_question,
    per_class_question,
    recall_of,
    right_share,
    score_question,
    wrong_accuracies,
    wrong_means,
)
from commands.companion.checking import wrong

_TRUTH = [[[0, 0, 0, 2], [2, 255, 1, 0]], [[0, 2, 255, 0], [0, 2, 0, 255]]]
_GUESS = [[[0, 0, 1, 2], [0, 2, 2, 1]], [[0, 2, 0, 2], [0, 2, 1, 1]]]
"""A batch (2, 2, 4) of three classes; class 1 is never right, many pairs occur several times."""
_OTHER = [[[1, 1, 0]]], [[[1, 2, 2]]]
"""Truth and predictions of another batch."""


def _ids(values: object, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def _updated(x: Batches) -> object:
    """The matrix after all updates."""
    confusion = metrics.ConfusionMatrix(x.num_classes, x.void)
    for truth, guess in x.batches:
        confusion.update(_ids(guess, x.dtypes[1]), _ids(truth, x.dtypes[0]))
    return confusion.matrix


_MATRIX_4_1 = matrix_question(_updated)


def _check_batch(truth: Ids, guess: Ids, num_classes: int, void: int = VOID) -> None:
    _MATRIX_4_1.check(Batches([(truth, guess)], num_classes, void))


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_rows_are_truth() -> None:
    """Rows are the target's classes, columns the predicted ones."""
    _check_batch([[[0, 1, 1, 2, 2, 2]]], [[[1, 1, 1, 2, 0, 0]]], 3)
    _check_batch([[[3, 3, 1]], [[0, 3, 2]]], [[[0, 1, 1]], [[3, 0, 2]]], 4)
    _check_batch([[[1, 0, 1], [0, 0, 0]]], [[[1, 1, 1], [0, 1, 1]]], 2)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_void_goes_by_the_target() -> None:
    """A pixel is left out by its target, whatever is predicted there."""
    _check_batch(_TRUTH, _GUESS, 3)
    _check_batch([[[255, 0, 255, 1]]], [[[255, 0, 7, 0]]], 2)
    _check_batch([[[255, 255]]], [[[0, 1]]], 2)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_other_ignore_index() -> None:
    """The ignore index may be any number, also that of a class."""
    for void in (1, 0, 2, -1, 99):
        truth = [[[0, 2, 2, 0], [1, 0, 2, 1]]]
        if void in (-1, 99):
            truth[0][1] = [1, void, 2, void]
        _check_batch(truth, [[[0, 2, 1, 1], [1, 2, 0, 0]]], 3, void)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_classes_that_do_not_occur() -> None:
    """The matrix is (K, K) although most classes do not occur."""
    for t, p, num_classes in ((0, 0, 3), (1, 0, 5), (0, 4, 5), (20, 20, 21)):
        _check_batch([[[t, t]]], [[[p, p]]], num_classes)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_adds_batches_up() -> None:
    """The matrix counts all batches, and none is a matrix of zeros."""
    _MATRIX_4_1.check(Batches([], 3))
    _MATRIX_4_1.check(Batches([(_TRUTH, _GUESS), _OTHER], 3))
    _check_batch([[[0] * 5037 + [1] * 2]], [[[0] * 5039]], 2)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_reset_begins_anew() -> None:
    """After reset() only later batches are counted."""
    confusion = metrics.ConfusionMatrix(3)
    confusion.update(_ids(_GUESS), _ids(_TRUTH))
    confusion.reset()
    given, nothing = "two batches, reset() after the first", [[0] * 3 for _ in range(3)]
    if confusion.matrix.tolist() != nothing:
        got = f"{confusion.matrix.tolist()} after reset()"
        wrong(given=given, expected=nothing, got=got)
    confusion.update(_ids(_OTHER[1]), _ids(_OTHER[0]))
    expected = [[0, 0, 1], [0, 1, 1], [0, 0, 0]]
    if confusion.matrix.tolist() != expected:
        wrong(given=given, expected=f"rows {expected}", got=f"rows {confusion.matrix.tolist()}")


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_counts_beyond_float32() -> None:
    """Counts beyond 2^24 are exact to the pixel."""
    confusion = metrics.ConfusionMatrix(3)
    confusion.update(_ids(_OTHER[1]), _ids(_OTHER[0]))
    confusion.matrix[0, 0] = 2**24
    if int(confusion.matrix[0, 0]) != 2**24:
        return  # it is a copy of the matrix, not the matrix itself
    confusion.update(_ids([[[0]]]), _ids([[[0]]]))
    got, expected = int(confusion.matrix[0, 0]), 2**24 + 1
    if got != expected:
        given = "a matrix with 2^24 pixels of class 0, right, then one more of them"
        too_few = "float32 cannot count beyond 2^24: int64 throughout"
        rest = confusion.matrix.tolist()[0][1:] + confusion.matrix.tolist()[1]
        likely = too_few if got == 2**24 and rest == [0, 1, 0, 1, 1] else None
        wrong(given=given, expected=f"{expected} at [0, 0]", got=got, likely=likely)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_id_types() -> None:
    """Target and predictions may each be uint8 or int64."""
    batch = [[[199, 198, 3, 255, 3]]], [[[199, 199, 3, 0, 150]]]
    for first in (torch.uint8, torch.int64):
        for second in (torch.uint8, torch.int64):
            _MATRIX_4_1.check(Batches([batch], 200, VOID, (first, second)))


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_inputs_stay() -> None:
    """Target and predictions are not written into."""
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
_NEVER_PREDICTED = [[6, 2, 0], [1, 9, 0], [3, 4, 0]]
_LARGE = [[987_654_321_987, 16_777_217], [33_554_433, 123_456_789]]
_ALONE = [[7, 0, 0], [0, 0, 0], [0, 0, 0]]  # a single class has a score
_ONE_PIXEL = [[9, 2, 0], [0, 1, 0], [1, 0, 0]]  # classes of a single pixel
_NEVER_RIGHT = [[0, 3, 1], [2, 0, 0], [0, 0, 0]]
_MATRICES = (
    CORNERS,
    _PLAIN,
    _NEVER_PREDICTED,
    _LARGE,
    _ALONE,
    _ONE_PIXEL,
    SMALLEST,
    [[1, 0], [0, 0]],
)


def _check_stays(name: str, score: Callable[[Tensor], object]) -> None:
    """Checks that the matrix is not written into."""
    matrix = torch.tensor(CORNERS)
    score(matrix)
    if matrix.tolist() != CORNERS:
        given = f"{name} of the matrix {CORNERS}"
        wrong(given=given, expected="the matrix stays", got=f"{matrix.tolist()}")


def _check_per_class(name: str, score: Callable[[Tensor], Tensor], right: Callable) -> None:
    """Checks the scores of the classes of all matrices."""
    question = per_class_question(name, score, right)
    for matrix in _MATRICES:
        question.check(matrix)
    _check_stays(name, score)


def _check_score(
    name: str,
    score: Callable[[Tensor], float],
    right: Callable[[Matrix], float],
    mistakes: Callable[[Matrix], dict],
    matrices: Sequence[Matrix] = _MATRICES,
    tolerance: float = 1e-11,
) -> None:
    """Checks one number of several matrices."""
    question = score_question(name, score, right, mistakes, tolerance)
    for matrix in matrices:
        question.check(matrix)
    _check_stays(name, score)


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
            likely = likely if got != got else None
            wrong(given=given, expected="0.0, a Python float", got=shown, likely=likely)


# ------------------------------------------------------------------ 4.2 F1 and macro F1


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_f1_of_each_class() -> None:
    """2 TP / (2 TP + FP + FN) of each class; NaN for one that occurs nowhere."""
    _check_per_class("f1_per_class", metrics.f1_per_class, f1)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1() -> None:
    """The mean F1 of the classes that occur."""

    def right(matrix: Matrix) -> float:
        return average([f1(c) for c in classes_of(matrix)])

    def mistakes(matrix: Matrix) -> dict[str, float | None]:
        return wrong_means(matrix, f1)

    _check_score("macro_f1", metrics.macro_f1, right, mistakes)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_is_a_float() -> None:
    """Macro F1 is a Python float, and 0.0 where nothing was counted."""
    _check_floats("macro_f1", metrics.macro_f1)


# ------------------------------------------------------------------ 4.3 IoU and mean IoU


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_iou_of_each_class() -> None:
    """TP / (TP + FP + FN) of each class; NaN for one that occurs nowhere."""
    _check_per_class("iou_per_class", metrics.iou_per_class, iou)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou() -> None:
    """The mean IoU of the classes that occur."""

    def right(matrix: Matrix) -> float:
        return average([iou(c) for c in classes_of(matrix)])

    def mistakes(matrix: Matrix) -> dict[str, float | None]:
        return wrong_means(matrix, iou)

    _check_score("mean_iou", metrics.mean_iou, right, mistakes)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_is_a_float() -> None:
    """Mean IoU is a Python float, and 0.0 where nothing was counted."""
    _check_floats("mean_iou", metrics.mean_iou)


# ------------------------------------------------------------------ 4.4 accuracies


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_pixel_accuracy() -> None:
    """The share of the counted pixels that are right."""
    matrices = (*_MATRICES, _NEVER_RIGHT)
    score = metrics.pixel_accuracy
    _check_score("pixel_accuracy", score, right_share, wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_mean_accuracy() -> None:
    """The mean recall of the classes that have target pixels."""

    def right(matrix: Matrix) -> float:
        return average([recall_of(c) for c in classes_of(matrix)])

    matrices = (*_MATRICES, _NEVER_RIGHT)
    _check_score("mean_accuracy", metrics.mean_accuracy, right, wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_accuracies_are_floats() -> None:
    """Both are Python floats, and 0.0 where nothing was counted."""
    _check_floats("pixel_accuracy", metrics.pixel_accuracy)
    _check_floats("mean_accuracy", metrics.mean_accuracy)
