"""Further cases of chapter 1: label ids to train ids, pixels of each class."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import data
from checks.common import attempt, in_words
from checks.diagnosis.chapter_1 import by_class, cause_of_counts, cause_of_train_ids, train_id
from commands.companion.checking import wrong
from support.formats.labels import LabelSet
from utils import LabError


def _check_train_ids(label_ids: np.ndarray, given: str, likely: str) -> np.ndarray:
    """Encodes label ids and checks type, shape and values."""
    expected = np.array([train_id(int(i)) for i in label_ids.ravel()]).reshape(label_ids.shape)
    got = attempt(
        lambda: data.encode_train_ids(label_ids),
        given=given,
        expected=f"an array {expected.shape} uint8",
        likely=likely,
    )
    if not isinstance(got, np.ndarray) or got.dtype != np.uint8 or got.shape != expected.shape:
        cause = None
        if not isinstance(got, np.ndarray):
            cause = "the train ids are a numpy array, as the label ids are"
        elif got.shape != expected.shape:
            cause = "the shape of the label ids must be kept"
        else:
            cause = "the table decides the type of what is taken from it: dtype=np.uint8"
        wrong(
            given=given,
            expected=f"an array {expected.shape} uint8",
            got=in_words(got),
            likely=cause,
        )
    if not np.array_equal(got, expected):
        i = np.flatnonzero(got.ravel() != expected.ravel())[0]
        wrong(
            given=given,
            expected=f"label id {label_ids.ravel()[i]} becomes {expected.ravel()[i]}",
            got=got.ravel()[i],
            likely=likely,
        )
    return got


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_every_label() -> None:
    label_ids = (np.arange(34) * 5 % 34).astype(np.uint8)  # all 34, mixed
    given = "the label ids 0 ... 33, each once, uint8"
    result = np.asarray(data.encode_train_ids(label_ids.copy()))
    if result.shape != (34,):
        wrong(given=given, expected="an array (34,) uint8", got=in_words(result))
    got = {int(label_id): int(value) for label_id, value in zip(label_ids, result, strict=True)}
    expected = {label_id: train_id(label_id) for label_id in range(34)}
    if got != expected:
        first = min(label_id for label_id in range(34) if got[label_id] != expected[label_id])
        wrong(
            given=given,
            expected=f"label id {first} becomes {expected[first]}",
            got=f"{got[first]}; {sum(got[i] != expected[i] for i in got)} of 34 are wrong",
            likely=cause_of_train_ids(got),
        )


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_integer_types() -> None:
    names = ("uint8", "int64", "int32", "int8", "uint16", "int16", "uint32", "uint64")
    for name in names:
        label_ids = np.array([[26, 7, 33], [0, 8, 26]], dtype=name)
        likely = "label ids may come in any integer type; the train ids are uint8"
        _check_train_ids(label_ids, f"label ids (2, 3) {name}", likely)


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_any_shape() -> None:
    flat = (np.arange(60) * 7 % 34).astype(np.uint8)
    for shape in ((60,), (4, 15), (15, 4), (2, 5, 6), (60, 1), (1, 1, 60), (3, 2, 5, 2)):
        _check_train_ids(flat.reshape(shape), f"label ids {shape}", "any shape must be possible")
    view = flat.reshape(6, 10).T[::2]
    _check_train_ids(view, "a transposed view (5, 6) of label ids", "positions are mixed up")
    few = np.full((3, 4), 26, dtype=np.uint8)
    likely = "few of the ids occur here: the table must have all entries nevertheless"
    _check_train_ids(few, "label ids (3, 4), all of them 26", likely)
    _check_train_ids(few - 26, "label ids (3, 4), all of them 0", likely)


@pytest.mark.todo("1.1", points=2, needs=[])
def test_1_1_new_array() -> None:
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
def test_1_1_another_label_set() -> None:
    classes = [{"name": "soil", "id": 263}, {"name": "leaf", "id": 7}]
    leaves = LabelSet.from_json({"classes": classes, "ignore": [0]})
    given = (
        "a set of two classes, soil with id 263 and leaf with id 7; 0 is ignored; ids [0, 7, 263]"
    )
    likely = (
        "take the rows of the set that is given, not Cityscapes', and label.id for the place in "
        "the table: ids have gaps and may be larger than 255"
    )
    ids, expected = np.array([0, 7, 263], dtype=np.uint16), [255, 1, 0]
    asked = {"given": given, "expected": expected, "likely": likely}
    got = np.asarray(attempt(lambda: data.encode_train_ids(ids, leaves), **asked)).tolist()
    if got != expected:
        wrong(**asked, got=got)


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


def _count(targets: Sequence, num_classes: int, given: str, make: Callable) -> None:
    """Counts a data set and checks type, shape and values."""
    arrays = [make(np.array(target)) for target in targets]
    expected = by_class(targets, num_classes)
    got = attempt(
        lambda: data.count_pixels(_Targets(arrays), num_classes),
        given=given,
        expected=expected,
        likely=f"every sample must give {num_classes} counts, whatever ids occur in it (minlength)"
        ", and void pixels (255) must be out before counting, and samples may "
        "differ in size",
    )
    if not isinstance(got, Tensor) or got.dtype != torch.int64 or got.shape != (num_classes,):
        cause = None
        if isinstance(got, Tensor) and got.shape == (num_classes,):
            cause = cause_of_counts(got.tolist(), targets, num_classes)
            cause = cause or "counts are whole numbers: dtype=torch.int64"
        elif isinstance(got, Tensor) and got.dim() == 1 and len(got) > num_classes:
            cause = "void pixels (255) are counted, or a class too many"
        elif isinstance(got, Tensor) and got.dim() == 1:
            cause = "a class that does not occur has the count 0: bincount needs minlength=K"
        shape = f"a tensor ({num_classes},) int64"
        wrong(given=given, expected=shape, got=in_words(got), likely=cause)
    if got.tolist() != expected:
        cause = cause_of_counts(got.tolist(), targets, num_classes)
        wrong(given=given, expected=expected, got=got.tolist(), likely=cause)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_adds_up_the_data_set() -> None:
    given = "three targets of different size with void pixels, K = 5"
    _count(_COUNTED, 5, given, lambda target: target.astype(np.uint8))
    _count(_COUNTED[::-1], 5, given, lambda target: target.astype(np.uint8))
    _count(_COUNTED[:1], 4, "one target with void pixels, K = 4", lambda t: t.astype(np.uint8))
    many = [[[24, 19, 18], [24, 255, 0]]]
    _count(many, 25, "a target with class 24, K = 25", lambda target: target.astype(np.uint8))


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_takes_every_kind_of_target() -> None:
    for name in ("uint8", "int64", "int32", "int16"):
        dtype = np.dtype(name)
        _count(_COUNTED, 5, f"targets that are arrays {name}", lambda t, d=dtype: t.astype(d))
        if name in ("uint8", "int64"):
            kind = f"targets that are tensors {name}"
            _count(_COUNTED, 5, kind, lambda t, d=dtype: torch.from_numpy(t.astype(d)))


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_classes_that_do_not_occur() -> None:
    def make(target: np.ndarray) -> np.ndarray:
        return target.astype(np.uint8)

    _count([[[0, 0]], [[2, 0]]], 4, "two targets, one with class 0 alone, K = 4", make)
    _count([[[2, 2]], [[0, 255]]], 21, "two targets with the classes 0 and 2, K = 21", make)
    _count([[[3, 3, 3]]], 4, "a target with class 3 alone, K = 4", make)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_void_counts_for_no_class() -> None:
    def make(target: np.ndarray) -> np.ndarray:
        return target.astype(np.uint8)

    _count([[[255, 255], [255, 255]]], 3, "a target that is void everywhere, K = 3", make)
    given = "three targets, the second void everywhere, K = 3"
    _count([[[0, 1]], [[255, 255]], [[2, 1]]], 3, given, make)


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_large_counts() -> None:
    large = [[1] * 700 for _ in range(100)]
    given = "two targets (100, 700) of class 1 alone and a small one, K = 3"
    _count([large, [[0, 2, 2]], large], 3, given, lambda target: target.astype(np.uint8))
    huge = np.broadcast_to(np.uint8(1), (4096, 4096))
    got = data.count_pixels(_Targets([huge, np.array([[0, 1]], dtype=np.uint8)]), 3).tolist()
    if got != [1, 2**24 + 1, 0]:
        wrong(
            given="a target of 4096x4096 pixels of class 1, and a small one with one more",
            expected=[1, 2**24 + 1, 0],
            got=got,
            likely="float32 cannot count beyond 2^24: count in int64 throughout",
        )


@pytest.mark.todo("1.2", points=2, needs=[])
def test_1_2_wrong_ids_raise() -> None:
    for wrong_id in (3, 4, 254):
        dataset = _Targets([np.array([[0, 1]]), np.array([[2, wrong_id]], dtype=np.uint8)])
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
