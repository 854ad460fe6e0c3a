"""Further cases of chapter 1: label ids to train ids, pixels of each class."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import data
from checks.common import in_words
from checks.diagnosis.chapter_1 import (
    LEAVES,
    MANY,
    LabelIds,
    Targets,
    counts_question,
    ids_question,
)
from commands.companion.checking import wrong
from support.formats.labels import LabelSet
from utils import LabError


def _check_ids(ids: np.ndarray, labels: LabelSet | None = None) -> None:
    """Encodes label ids and checks type, shape and values."""
    ids_question(data.encode_train_ids, labels).check(LabelIds(ids, labels))


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_every_label() -> None:
    """All 34 label ids, in any order, become the train ids of the table."""
    _check_ids((np.arange(34) * 5 % 34).astype(np.uint8))  # all 34, mixed


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_integer_types() -> None:
    """Label ids may come in any integer type; train ids are uint8."""
    names = ("uint8", "int64", "int32", "int8", "uint16", "int16", "uint32", "uint64")
    for name in names:
        _check_ids(np.array([[26, 7, 33], [0, 8, 26]], dtype=name))


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_any_shape() -> None:
    """The shape stays, also of one row, of many dimensions, and of a view."""
    flat = (np.arange(60) * 7 % 34).astype(np.uint8)
    for shape in ((60,), (4, 15), (15, 4), (2, 5, 6), (60, 1), (1, 1, 60), (3, 2, 5, 2)):
        _check_ids(flat.reshape(shape))
    _check_ids(flat.reshape(6, 10).T[::2])  # a view
    for label_id in (26, 0):
        _check_ids(np.full((3, 4), label_id, dtype=np.uint8))


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_new_array() -> None:
    """Each call makes a new array, and leaves the label ids as they are."""
    for name in ("uint8", "int64"):
        label_ids = np.array([[26, 7, 33], [0, 8, 26]], dtype=name)
        before = label_ids.copy()
        given = f"label ids (2, 3) {name}"
        result = data.encode_train_ids(label_ids)
        likely = "the answer writes into the array that it was given: make a new one"
        if not np.array_equal(label_ids, before):
            got = f"they are {label_ids.ravel().tolist()} afterwards"
            wrong(given=given, expected="they stay as they are", got=got, likely=likely)
        kept = np.array(result)
        if np.shares_memory(result, label_ids):
            wrong(given=given, expected="a new array", got="a view of the label ids", likely=likely)
        data.encode_train_ids(label_ids[::-1].copy())
        if not np.array_equal(result, kept):
            got = "the first result changes with the second call"
            wrong(given=f"{given}, twice", expected="a new array each time", got=got)


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_outside_the_table() -> None:
    """An id that is not in the table is an error that names it."""
    data.encode_train_ids(np.array([7], dtype=np.uint8))
    for label_ids in (
        np.array([[7, 34]], dtype=np.uint8),
        np.array([[255, 7]], dtype=np.uint8),
        np.array([[7], [-1]], dtype=np.int16),
        np.array([7, 70000], dtype=np.int64),
    ):
        outside = next(int(i) for i in label_ids.ravel() if not 0 <= i <= 33)
        given, expected = f"the label id {outside}", f"a LabError that names {outside}"
        try:
            got = in_words(data.encode_train_ids(label_ids))
        except LabError as error:
            if str(outside) in str(error):
                continue
            got = f"LabError: {error}"
        except (IndexError, ValueError, KeyError, OverflowError) as error:
            got = f"{type(error).__name__}: {error}"
        wrong(given=given, expected=expected, got=got, likely="the check of the ids is gone")


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_other_label_sets() -> None:
    """Tables of other label sets hold too: ids with gaps, and 256 of them."""
    _check_ids(np.array([0, 7, 263], dtype=np.uint16), LEAVES)
    _check_ids(np.arange(256).reshape(16, 16), MANY)


# ------------------------------------------------------------------ 1.2 pixels of each class


class _Targets(torch.utils.data.Dataset):
    """A data set of given targets; the photos are noise."""

    def __init__(self, targets: Sequence[np.ndarray | Tensor]) -> None:
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray | Tensor]:
        if not 0 <= index < len(self.targets):
            raise IndexError(index)
        target = self.targets[index]
        return np.full((*target.shape, 3), 1, dtype=np.uint8), target


_COUNTED = [[[0, 2, 2, 255], [2, 0, 255, 2]], [[3, 3, 0]], [[2], [255], [3], [2], [2]]]
"""Targets of three samples of different size; class 1 and class 4 do not occur."""


def _check_counts(targets: Sequence, num_classes: int, kind: str = "uint8") -> None:
    """Counts a data set and checks type, shape and values."""
    question = counts_question(lambda arrays, k: data.count_pixels(_Targets(arrays), k))
    question.check(Targets(targets, num_classes, kind))


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_adds_up_the_data_set() -> None:
    """The counts are those of all targets together, of whatever size."""
    _check_counts(_COUNTED, 5)
    _check_counts(_COUNTED[::-1], 5)
    _check_counts(_COUNTED[:1], 4)
    _check_counts([[[24, 19, 18], [24, 255, 0]]], 25)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_takes_every_kind_of_target() -> None:
    """Targets may be arrays or tensors, of several integer types."""
    for kind in ("uint8", "int64", "int32", "int16", "tensor uint8", "tensor int64"):
        _check_counts(_COUNTED, 5, kind)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_classes_that_do_not_occur() -> None:
    """A class without a pixel counts 0, and there are K counts."""
    _check_counts([[[0, 0]], [[2, 0]]], 4)
    _check_counts([[[2, 2]], [[0, 255]]], 21)
    _check_counts([[[3, 3, 3]]], 4)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_void_counts_for_no_class() -> None:
    """Pixels with 255 are in no count, even where all are void."""
    _check_counts([[[255, 255], [255, 255]]], 3)
    _check_counts([[[0, 1]], [[255, 255]], [[2, 1]]], 3)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_large_counts() -> None:
    """Counts beyond 2^24 are exact to the pixel."""
    large = [[1] * 700 for _ in range(100)]
    _check_counts([large, [[0, 2, 2]], large], 3)
    huge = np.broadcast_to(np.uint8(1), (4096, 4096))
    got = data.count_pixels(_Targets([huge, np.array([[0, 1]], dtype=np.uint8)]), 3).tolist()
    if got != [1, 2**24 + 1, 0]:
        too_few = "float32 cannot count beyond 2^24: count in int64 throughout"
        wrong(
            given="a target of 4096x4096 pixels of class 1, and a small one with one more",
            expected=[1, 2**24 + 1, 0],
            got=got,
            likely=too_few if got == [1, 2**24, 0] else None,
        )


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_wrong_ids_raise() -> None:
    """An id that is neither a class nor void is an error."""
    for wrong_id in (3, 4, 254):
        dataset = _Targets([np.array([[2, wrong_id]], dtype=np.uint8)])
        try:
            got = data.count_pixels(dataset, 3)
        except NotImplementedError:
            raise
        except Exception:
            continue
        wrong(
            given=f"a target with the id {wrong_id}, K = 3",
            expected="an error: it is neither a class (0 ... 2) nor void (255)",
            got=got.tolist() if isinstance(got, Tensor) else in_words(got),
            likely="the id is dropped in silence: read each target with read_class_ids",
        )
