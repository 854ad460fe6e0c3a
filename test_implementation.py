"""The tests of the TODOs: `pytest test_implementation.py`, or `python lab.py check 3.2`.

One group for each TODO, named after it (`test_3_2_...`). A test that fails says what was given,
what was expected, what came, and where the value can be recognised, the likely cause. The
expectations are worked out by hand, in plain Python or in numpy, never with the code that they
judge.
"""

import functools
import inspect
import json
import math
import random
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import data
import deploy
import metrics
import models
from commands.companion.checking import wrong
from losses import FocalLoss, WeightedCrossEntropy, class_weights
from metrics import LossMeter
from support.formats.labels import LabelSet
from training import evaluate, train_one_epoch
from utils import LabError

# ------------------------------------------------------------------ helpers of chapters 1, 2, 4


def _try(call: Callable[[], object], *, given: str, expected: str, likely: str) -> object:
    """Calls a student's code; if it raises, says what that probably comes from."""
    try:
        return call()
    except NotImplementedError:
        raise  # a TODO still to do
    except Exception as error:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        names = ("data.py", "metrics.py")
        place = next((f for f in frames if Path(f.filename).name in names), None)
        where = f" at {Path(place.filename).name}:{place.lineno}" if place else ""
        text = (str(error).strip().split("\n")[0] or "no message")[:200]
        got = f"{type(error).__name__}{where}: {text}"
        wrong(given=given, expected=expected, got=got, likely=likely)


def _what(value: object) -> str:
    """A value's kind, shape and type in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} {value.dtype}"
    return f"a value of type {type(value).__name__}"


def _few(values: Sequence[float], digits: int = 4) -> str:
    """Some numbers in short."""
    text = ", ".join(f"{value:.{digits}g}" for value in list(values)[:12])
    return f"[{text}{', ...' if len(values) > 12 else ''}]"


# ------------------------------------------------------------------ 1.1 label ids to train ids

_VOID = 255
_LEARNED_LABELS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the train ids 0 ... 18."""
_ROAD = 7


def _train_id(label_id: int) -> int:
    return _LEARNED_LABELS.index(label_id) if label_id in _LEARNED_LABELS else _VOID


def _replaced_in_turn(label_ids: Sequence[int]) -> dict[int, int]:
    """What comes of replacing one label after the other in the same array."""
    found = {}
    for start in range(34):
        value = start
        for label_id in label_ids:
            value = _train_id(label_id) if value == label_id else value
        found[start] = value
    return found


def _cause_of_train_ids(got: dict[int, int]) -> str | None:
    """The mistake that turns the label ids into these numbers."""
    void = [label_id for label_id in range(34) if label_id not in _LEARNED_LABELS]
    if all(got[label_id] == label_id for label_id in got):
        return "these are the label ids, unchanged"
    if all(got[i] == label_id for i, label_id in enumerate(_LEARNED_LABELS)):
        return "the table is the wrong way round: these are the label ids of train ids"
    learned_first = _replaced_in_turn([*_LEARNED_LABELS, *void])
    in_turn = [learned_first, _replaced_in_turn(range(33, -1, -1))]
    if got in in_turn:
        return (
            "ids are replaced one after the other in the same array: what was replaced once is "
            "replaced again (7 becomes 0, then 0 becomes 255); read the old ids, write the new"
        )
    right = [label_id for label_id in _LEARNED_LABELS if got[label_id] == _train_id(label_id)]
    if len(right) == len(_LEARNED_LABELS) and len({got[label_id] for label_id in void}) == 1:
        return (
            f"labels that are not learned become {got[void[0]]}; they must become 255, the ignore "
            "index: a table starts with 255 everywhere"
        )
    if len(right) == len(_LEARNED_LABELS) - 1 and got[_ROAD] != 0:
        return "road is lost: its train id 0 counts as false in `if label.train_id`"
    shifted = {got[label_id] - _train_id(label_id) for label_id in _LEARNED_LABELS}
    if len(shifted) == 1 and shifted != {0}:
        return f"the train ids are {shifted.pop():+d} off: the first, of road, is 0"
    if len(right) == len(_LEARNED_LABELS):
        return "the learned labels are right; those that are not learned must all become 255"
    if sorted(got[label_id] for label_id in _LEARNED_LABELS) == [*range(len(_LEARNED_LABELS))]:
        return "the train ids are in another order than in the set: take label.train_id"
    return None


def _check_train_ids(label_ids: np.ndarray, given: str, likely: str) -> np.ndarray:
    """Encodes label ids and checks type, shape and values."""
    expected = np.array([_train_id(int(i)) for i in label_ids.ravel()]).reshape(label_ids.shape)
    got = _try(
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
            given=given, expected=f"an array {expected.shape} uint8", got=_what(got), likely=cause
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
        wrong(given=given, expected="an array (34,) uint8", got=_what(result))
    got = {int(label_id): int(value) for label_id, value in zip(label_ids, result, strict=True)}
    expected = {label_id: _train_id(label_id) for label_id in range(34)}
    if got != expected:
        first = min(label_id for label_id in range(34) if got[label_id] != expected[label_id])
        wrong(
            given=given,
            expected=f"label id {first} becomes {expected[first]}",
            got=f"{got[first]}; {sum(got[i] != expected[i] for i in got)} of 34 are wrong",
            likely=_cause_of_train_ids(got),
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
            got = _what(data.encode_train_ids(label_ids))
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
    got = np.asarray(_try(lambda: data.encode_train_ids(ids, leaves), **asked)).tolist()
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


def _by_class(targets: Sequence, num_classes: int) -> list[int]:
    flat = [i for target in targets for row in target for i in row]
    return [flat.count(k) for k in range(num_classes)]


def _cause_of_counts(got: list[float], targets: Sequence, num_classes: int) -> str | None:
    """The mistake that counts so."""
    expected = _by_class(targets, num_classes)
    void = sum(i == _VOID for target in targets for row in target for i in row)
    each = [_by_class([target], num_classes) for target in targets]
    total = sum(expected)

    def add(k: int) -> list[int]:
        return [n + void * (i == k) for i, n in enumerate(expected)]

    mistakes = {
        "void pixels are counted as class 0; they count for no class": add(0),
        "void pixels are counted as the last class; they count for no class": add(num_classes - 1),
        "these are the counts of the last sample alone: add them up": each[-1],
        "these are the counts of the first sample alone: go over the whole data set": each[0],
        "the last sample is missing": [n - m for n, m in zip(expected, each[-1], strict=True)],
        "the first sample is missing": [n - m for n, m in zip(expected, each[0], strict=True)],
        "these are the images in which a class occurs, not its pixels": [
            sum(counts[k] > 0 for counts in each) for k in range(num_classes)
        ],
        "these are shares; the counts are wanted": [n / max(total, 1) for n in expected],
        "these are means over the samples: add up, don't average": [
            n / len(targets) for n in expected
        ],
        "these are the counts modulo 256: uint8 overflows": [n % 256 for n in expected],
        "these are the counts modulo 65536: 16 bits overflow": [
            (n + 2**15) % 2**16 - 2**15 for n in expected
        ],
    }
    for k in range(num_classes):
        without = [n * (i != k) for i, n in enumerate(expected)]
        mistakes.setdefault(f"class {k} is left out", without)
    for cause, values in mistakes.items():
        same = len(got) == num_classes and np.allclose(got, values, rtol=1e-5, atol=0)
        if same and not np.allclose(values, expected, rtol=1e-5, atol=0):
            return cause
    spread = [[sum(c) if sum(x > 0 for x in c) == 1 and c[0] else n for n in c] for c in each]
    if got == [sum(column) for column in zip(*spread, strict=True)]:
        return "counts of too few entries are added to all classes: bincount needs minlength=K"
    return None


def _count(targets: Sequence, num_classes: int, given: str, make: Callable) -> None:
    """Counts a data set and checks type, shape and values."""
    arrays = [make(np.array(target)) for target in targets]
    expected = _by_class(targets, num_classes)
    got = _try(
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
            cause = _cause_of_counts(got.tolist(), targets, num_classes)
            cause = cause or "counts are whole numbers: dtype=torch.int64"
        elif isinstance(got, Tensor) and got.dim() == 1 and len(got) > num_classes:
            cause = "void pixels (255) are counted, or a class too many"
        elif isinstance(got, Tensor) and got.dim() == 1:
            cause = "a class that does not occur has the count 0: bincount needs minlength=K"
        shape = f"a tensor ({num_classes},) int64"
        wrong(given=given, expected=shape, got=_what(got), likely=cause)
    if got.tolist() != expected:
        cause = _cause_of_counts(got.tolist(), targets, num_classes)
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
            got=got.tolist() if isinstance(got, Tensor) else _what(got),
            likely="the id is dropped in silence: read each target with read_class_ids",
        )


# ------------------------------------------------------------------ chapter 2: helpers
#
# The tests look at the pictures that a pipeline makes. Photo and target show the same irregular
# pattern of blocks, bright and dark, so that each can be read off the other.

_SOURCE = (120, 200)
_TARGET = (72, 104)
_BRIGHT, _DARK = 3, 17
_DRAWS = 64
_BLOCK = (15, 20)


class _Sample(NamedTuple):
    """A photo (H, W, 3) uint8 and its target (H, W) uint8."""

    image: np.ndarray
    mask: np.ndarray


def _bits(rows: int, columns: int) -> np.ndarray:
    """An irregular pattern of 0 and 1."""
    return np.random.default_rng(11).integers(0, 2, (rows, columns))


def _pattern(void: bool = False) -> _Sample:
    """Blocks, bright or dark; with void, a third of the target is 255."""
    height, width = _SOURCE
    bits = np.kron(_bits(height // _BLOCK[0], width // _BLOCK[1]), np.ones(_BLOCK, dtype=int))
    colors = np.array([(70, 60, 80), (190, 200, 180)], dtype=np.uint8)
    ids = np.array([_DARK, _BRIGHT], dtype=np.uint8)
    mask = ids[bits]
    if void:
        mask[30:75, 20:180] = _VOID
        mask[33:60, 40:95] = _BRIGHT
    return _Sample(colors[bits], mask)


def _flat(color: Sequence[int], size: tuple[int, int] = _SOURCE, label: int = _DARK) -> _Sample:
    image = np.empty((*size, 3), dtype=np.uint8)
    image[:] = color
    return _Sample(image, np.full(size, label, dtype=np.uint8))


def _seed(transform: object, seed: int, elsewhere: int = 0) -> None:
    """Seeds a pipeline as the data set does; all other generators get `elsewhere`."""
    random.seed(elsewhere)
    np.random.seed(elsewhere)
    torch.manual_seed(elsewhere)
    if hasattr(transform, "set_random_state"):
        generator = np.random.default_rng(seed)
        transform.set_random_state(generator, random.Random(seed))


def _apply(transform: Callable, sample: _Sample, given: str) -> tuple[np.ndarray, np.ndarray]:
    """Transforms a copy of a sample: image and mask as arrays."""
    if not callable(transform):
        wrong(given=given, expected="a pipeline that can be called", got=_what(transform))
    result = transform(image=sample.image.copy(), mask=sample.mask.copy())
    if not hasattr(result, "keys") or not {"image", "mask"} <= set(result.keys()):
        wrong(given=given, expected="a dict with image and mask", got=_what(result))
    return np.asarray(result["image"]), np.asarray(result["mask"])


def _draws(
    sample: _Sample, size: tuple[int, int] = _TARGET, count: int = _DRAWS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws of the training pipeline."""
    given = f"a photo {sample.image.shape[:2]}, train_transforms({size})"
    transform = data.train_transforms(size)
    _seed(transform, 1)
    for _ in range(count):
        yield _checked(*_apply(transform, sample, given), size, given)


def _checked(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], given: str
) -> tuple[np.ndarray, np.ndarray]:
    """Checks sizes and types, which the other tests presuppose."""
    expected = f"image (3, {size[0]}, {size[1]}) float32, mask {size} of an integer type"
    got = f"image {image.shape} {image.dtype}, mask {mask.shape} {mask.dtype}"
    integer = np.issubdtype(mask.dtype, np.integer)
    sizes = image.shape == (3, *size) and mask.shape == size
    if sizes and image.dtype == np.float32 and integer:
        return image, mask
    height, width = size
    likely = None
    if image.shape in ((*size, 3), (width, height, 3)):
        likely = "the channels come last: ToTensorV2 is missing, which makes (3, H, W) of (H, W, 3)"
    elif image.shape == (3, width, height):
        likely = "height and width are swapped; size is (height, width)"
    elif image.shape == (3, *size) and mask.shape != size:
        likely = "the mask must be changed with the photo and stay (H, W), one id per pixel"
    elif image.shape[:1] == (3,) and not sizes:
        likely = "the size differs from what was asked: resize, or pad and crop after a scale"
    elif image.dtype == np.uint8:
        likely = "bytes 0 ... 255: the normalisation is missing"
    elif image.dtype != np.float32:
        likely = "the network computes in float32"
    elif not integer:
        likely = "class ids are whole numbers: nothing may be computed with them"
    wrong(given=given, expected=expected, got=got, likely=likely)


def _values(image: np.ndarray) -> np.ndarray:
    """Takes the normalisation back: (3, H, W), 0 ... 255."""
    return 255 * (image * _column(data.STD) + _column(data.MEAN))


def _column(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None, None]


def _agreement(image: np.ndarray, mask: np.ndarray) -> float | None:
    """The share of pixels that are bright where the target says bright, and dark where dark.

    A photo turned into its negative agrees as well. None if (nearly) all is of one kind.
    """
    bright, dark = mask == _BRIGHT, mask == _DARK
    known = bright | dark
    if min(bright.sum(), dark.sum()) < 0.03 * mask.size:
        return None
    light = _values(image).mean(axis=0)
    threshold = (light[bright].mean() + light[dark].mean()) / 2
    share = float(((light > threshold) == bright)[known].mean())
    return max(share, 1 - share)


def _cause_of_disagreement(image: np.ndarray, mask: np.ndarray) -> str | None:
    flips = {
        "horizontally": image[:, :, ::-1],
        "vertically": image[:, ::-1],
        "both ways": image[:, ::-1, ::-1],
    }
    for how, flipped in flips.items():
        if (_agreement(flipped, mask) or 0) > 0.9:
            return f"only one of photo and mask is flipped ({how}): both need the same geometry"
    return None


def _cause_of_ids(ids: set[int], allowed: set[int]) -> str | None:
    """Why a target has ids that were not in it."""
    strange = ids - allowed
    if len(strange) > 1:
        return (
            "ids are mixed where areas meet, as colours are: a mask is resized with the nearest "
            "neighbour"
        )
    if 0 in strange:
        return "0 is a class, road: where the photo does not reach, the mask is 255 (fill_mask)"
    return None


# ------------------------------------------------------------------ 2.1 transforms for training


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_size_and_types() -> None:
    for size in ((72, 104), (40, 30), (33, 64)):
        for image, mask in _draws(_pattern(), size, 24):
            assert image.shape[1:] == mask.shape


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_follows_the_photo() -> None:
    found = []
    for image, mask in _draws(_pattern()):
        share = _agreement(image, mask)
        if share is not None:
            found.append((share, image, mask))
    if not found:
        wrong(
            given=f"{_DRAWS} draws of a photo of bright and dark blocks and their mask",
            expected="masks with both classes",
            got="masks with one class, or void, nearly everywhere",
        )
    mean = float(np.mean([share for share, _, _ in found]))
    if mean < 0.93:
        bad = sorted((each for each in found if each[0] < 0.9), key=lambda each: each[0])
        causes = [_cause_of_disagreement(image, mask) for _, image, mask in bad[:30]]
        named = [cause for cause in causes if cause]
        likely = "photo and mask do not undergo the same geometry: give both to one pipeline"
        if named and len(named) >= len(causes) / 2:
            likely = max(set(named), key=named.count)
        wrong(
            given=f"{_DRAWS} draws of a photo of bright and dark blocks and their mask",
            expected="the mask has each block where the photo has it (in more than 93 % of pixels)",
            got=f"{mean:.0%} of the pixels fit; {len(bad)} of {len(found)} draws do not",
            likely=likely,
        )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_mask_keeps_its_ids() -> None:
    void, seen, all_ids = [], set(), set()
    for _, mask in _draws(_pattern()):
        all_ids |= set(np.unique(mask).tolist())
        void.append(float((mask == _VOID).mean()))
    sample = _pattern(void=True)
    for _, mask in _draws(sample):
        seen |= set(np.unique(mask).tolist())
    for ids, given in ((all_ids, "no void pixel"), (seen, "void pixels")):
        allowed = {_BRIGHT, _DARK, _VOID}
        if not ids <= allowed:
            strange = sorted(ids - allowed)
            wrong(
                given=f"a mask with the ids {_BRIGHT} and {_DARK} and {given}, {_DRAWS} draws",
                expected="no other id but 255",
                got=f"{len(strange)} other: {_few(strange)}",
                likely=_cause_of_ids(ids, allowed),
            )
    if np.mean(void) > 0.5:
        wrong(
            given="a mask without void pixels",
            expected="255 only where the photo does not reach",
            got=f"{np.mean(void):.0%} of the pixels are 255",
        )
    if _VOID not in seen or {_BRIGHT, _DARK} - seen:
        wrong(
            given=f"a mask with the ids {_BRIGHT}, {_DARK} and 255",
            expected="all three ids",
            got=sorted(seen),
        )
    for _, mask in _draws(_flat((90, 90, 90), label=_VOID), count=24):
        if (mask != _VOID).any():
            wrong(given="a mask of 255 alone", expected="255 alone", got=np.unique(mask).tolist())


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_geometry_is_drawn() -> None:
    sample = _pattern()
    masks = [mask for _, mask in _draws(sample)]
    given = f"{_DRAWS} draws of one sample"
    expected = "masks that differ: at random flipped, scaled, cropped, ..."
    if len({mask.tobytes() for mask in masks}) == 1:
        wrong(
            given=given,
            expected=expected,
            got="the same mask each time",
            likely="there is no change of geometry, or it is not random (p=1 flips always, p=0 "
            "never; what is drawn outside the pipeline is drawn once for all)",
        )
    first = masks[0]
    moved = max(float((~_is_near(first, mask)).mean()) for mask in masks)
    if moved < 0.01:
        wrong(
            given=given,
            expected=expected,
            got="the same mask each time, but for rounding at the borders of areas",
            likely="the change of geometry is undone: a resize after a random scale brings "
            "everything back to where it was; pad and crop instead",
        )


def _is_near(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether each id of a mask occurs in another one at most two pixels away."""
    height, width = mask.shape
    padded = np.pad(other, 2, mode="edge")
    found = [padded[y : y + height, x : x + width] == mask for y in range(5) for x in range(5)]
    return np.logical_or.reduce(found)


def _interior(mask: np.ndarray, label: int) -> np.ndarray:
    """The pixels of a class that are more than two pixels away from any other id."""
    own = np.pad(mask == label, 2)
    height, width = mask.shape
    shifts = [own[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    return np.logical_and.reduce(shifts)


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_photo_is_normalised() -> None:
    black, white = [], []
    for found, value in ((black, 0), (white, 255)):
        for image, mask in _draws(_flat((value,) * 3)):
            inside = _interior(mask, _DARK)
            if inside.any():
                found.append(np.median(image[:, inside], axis=1))
    mean, std = np.array(data.MEAN), np.array(data.STD)
    low, high = -mean / std, (1 - mean) / std
    darkest, brightest = np.min(black, axis=0), np.max(white, axis=0)
    given = f"{_DRAWS} draws of a black photo and {_DRAWS} of a white one"
    expected = f"from {_few(low)} (black) to {_few(high)} (white): (x / 255 - MEAN) / STD"
    if max(np.abs(darkest - low).max(), np.abs(brightest - high).max()) > 0.12:
        ranges = {0.0: darkest, 1.0: brightest}
        got = f"from {_few(darkest)} to {_few(brightest)}"
        wrong(given=given, expected=expected, got=got, likely=_cause_of_range(ranges))
    if np.max(black, axis=0).max() > (0.45 - mean.max()) / std.max() + 0.05:
        wrong(
            given=given,
            expected=f"{_few(low)} for black, a little more where it is drawn brighter",
            got=f"up to {_few(np.max(black, axis=0))}",
            likely="the colours are changed after the normalisation, which cuts off what is "
            "below 0: change them before",
        )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_photo_is_rgb() -> None:
    for color in ((230, 60, 20), (20, 90, 230)):
        centres = []
        for image, mask in _draws(_flat(color)):
            inside = _interior(mask, _DARK)
            if inside.any():
                centres.append(np.median(_values(image)[:, inside], axis=1))
        red, _, blue = np.median(centres, axis=0)
        if (red - blue) * (color[0] - color[2]) < 0:
            wrong(
                given=f"{_DRAWS} draws of a photo of the colour (R, G, B) = {color}",
                expected="channel 0 red, channel 2 blue",
                got=f"channel 0 is {red:.0f} and channel 2 is {blue:.0f}, of 255",
                likely="the channels are in BGR order; photos are RGB all the way",
            )


@pytest.mark.todo("2.1", points=3, needs=[])
def test_2_1_draws_follow_the_seed() -> None:
    results = []
    for elsewhere in (0, 77):
        transform = data.train_transforms(_TARGET)
        _seed(transform, 5, elsewhere)
        results.append([_apply(transform, _pattern(), "a photo") for _ in range(12)])
    same = [
        np.array_equal(image, other) and np.array_equal(mask, other_mask)
        for (image, mask), (other, other_mask) in zip(*results, strict=True)
    ]
    if not all(same):
        wrong(
            given="the same pipeline built twice, with the same random state",
            expected="the same 12 draws",
            got=f"{same.count(False)} of 12 differ",
            likely="a change is drawn by a generator that is not the pipeline's own, so that the "
            "same command would not give the same training again",
        )


def _cause_of_range(found: dict[float, np.ndarray]) -> str | None:
    """The normalisation that gives these values; keys are grey values in 0 ... 1."""
    for cause, formula in _other_normalisations().items():
        if all(
            np.abs(formula(np.full(3, x)) - got).max() < 0.06 + 0.001 * np.abs(got).max()
            for x, got in found.items()
        ):
            return cause
    return None


def _other_normalisations() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Cause → formula for an RGB colour in 0 ... 1."""
    mean, std = np.array(data.MEAN), np.array(data.STD)
    return {
        "the normalisation is missing: these are 0 ... 1": lambda x: x,
        "the normalisation is missing: these are 0 ... 255": lambda x: 255 * x,
        "MEAN is in the order B, G, R": lambda x: (x - mean[::-1]) / std,
        "MEAN and STD are in the order B, G, R": lambda x: (x - mean[::-1]) / std[::-1],
        "STD is in the order B, G, R": lambda x: (x - mean) / std[::-1],
        "the photo is in BGR order; it must stay RGB": lambda x: (x[::-1] - mean) / std,
        "the photo and its normalisation are in BGR order": lambda x: ((x - mean) / std)[::-1],
        "not divided by 255: MEAN and STD are for values in 0 ... 1 (max_pixel_value=255)": (
            lambda x: (255 * x - mean) / std
        ),
        "divided by 255 twice": lambda x: (x / 255 - mean) / std,
        "normalised twice": lambda x: (((x - mean) / std) / 255 - mean) / std,
        "MEAN and STD are swapped": lambda x: (x - std) / mean,
        "the mean is subtracted, but nothing divided by STD": lambda x: x - mean,
        "divided by STD, but MEAN is not subtracted": lambda x: x / std,
        "these are -1 ... 1, of mean and deviation 0.5: take MEAN and STD": lambda x: 2 * x - 1,
        "divided by the variance; STD is the deviation": lambda x: (x - mean) / std**2,
        "multiplied by STD instead of divided": lambda x: (x - mean) * std,
        "MEAN is added instead of subtracted": lambda x: (x + mean) / std,
    }


# ------------------------------------------------------------------ 2.2 transforms for evaluation


def _evaluated(
    sample: _Sample, size: tuple[int, int], given: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One sample through the pipeline of evaluation."""
    given = given or f"a photo {sample.image.shape[:2]}, eval_transforms({size})"
    transform = data.eval_transforms(size)
    _seed(transform, 3)
    return _checked(*_apply(transform, sample, given), size, given)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_size_and_types() -> None:
    for source in (_SOURCE, (50, 40), (20, 30), (37, 91)):
        for size in ((72, 104), (40, 30)):
            _evaluated(_flat((10, 20, 30), source), size)


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_nothing_is_random() -> None:
    size = (40, 64)
    transform, given = data.eval_transforms(size), f"one photo 40 times, eval_transforms({size})"
    results = set()
    for seed in range(40):
        _seed(transform, seed, elsewhere=seed)
        image, mask = _apply(transform, _pattern(), given)
        results.add((image.tobytes(), mask.tobytes()))
    again = _apply(data.eval_transforms(size), _pattern(), given)
    results.add((again[0].tobytes(), again[1].tobytes()))
    if len(results) > 1:
        wrong(
            given=given,
            expected="the same image and mask each time",
            got=f"{len(results)} different results",
            likely="there is a random change: a score must not depend on luck",
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_photo_is_normalised() -> None:
    mean, std = np.array(data.MEAN), np.array(data.STD)
    for color in ((200, 60, 20), (0, 0, 0), (255, 255, 255), (15, 90, 240)):
        given = f"a photo of the colour (R, G, B) = {color}"
        image, _ = _evaluated(_flat(color), (40, 64))
        expected = (np.array(color) / 255 - mean) / std
        got = image.astype(np.float64).reshape(3, -1)
        if np.abs(got - expected[:, None]).max() <= 2e-3:
            continue
        likely = None
        for cause, formula in _other_normalisations().items():
            values = formula(np.array(color) / 255)[:, None]
            if np.abs(got - values).max() < 1e-2 + 1e-3 * np.abs(values).max():
                likely = cause
                break
        if likely is None and np.ptp(got, axis=1).max() > 0.01:
            likely = "one colour became several: is something padded?"
        wrong(
            given=given,
            expected=f"{_few(expected)} everywhere: (x / 255 - MEAN) / STD",
            got=_few(np.median(got, axis=1)),
            likely=likely,
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_size_kept_is_exact() -> None:
    generator = np.random.default_rng(5)
    size = (24, 36)
    sample = _Sample(
        generator.integers(0, 256, (*size, 3)).astype(np.uint8),
        generator.choice([0, 7, 18, 255], size).astype(np.uint8),
    )
    given = f"a photo {size}, eval_transforms({size}): nothing to resize"
    image, mask = _evaluated(sample, size, given)
    if not np.array_equal(mask, sample.mask):
        same = float((mask == sample.mask).mean())
        flips = (sample.mask[:, ::-1], sample.mask[::-1], sample.mask[::-1, ::-1])
        likely = "the mask is flipped" if any(np.array_equal(mask, f) for f in flips) else None
        got = f"{same:.0%} of the ids are as before"
        wrong(given=given, expected="the mask as it is", got=got, likely=likely)
    expected = sample.image.transpose(2, 0, 1)
    error = float(np.abs(_values(image) - expected).max())
    if error > 0.3:
        wrong(
            given=given,
            expected="the colours as they are, normalised",
            got=f"colours that are up to {error:.0f} of 255 off",
            likely="something else is done than to resize and normalise",
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_shows_the_whole_photo() -> None:
    height, width = 60, 120
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(width) * 2  # red grows to the right, green downwards
    ramp[:, :, 1] = np.arange(height)[:, None] * 4
    sample = _Sample(ramp, np.zeros((height, width), dtype=np.uint8))
    for size in ((36, 44), (32, 96), (90, 150)):
        given = f"a photo {(height, width)} of two ramps, eval_transforms({size})"
        image, _ = _evaluated(sample, size, given)
        values = _values(image)
        x, y = values[0] / 2, values[1] / 4
        scale_y, scale_x = height / size[0], width / size[1]
        right_x = ((np.arange(size[1]) + 0.5) * scale_x - 0.5).clip(0, width - 1)
        right_y = ((np.arange(size[0]) + 0.5) * scale_y - 0.5).clip(0, height - 1)
        off_x = np.abs(x - right_x[None]).max()
        off_y = np.abs(y - right_y[:, None]).max()
        if off_x <= scale_x / 2 + 1.2 and off_y <= scale_y / 2 + 1.2:
            continue
        spans = (x[0, 0], x[0, -1], y[0, 0], y[-1, 0])
        likely = "a part is cut off: resize the whole photo instead of cropping"
        if spans[0] > spans[1] + 5 or spans[2] > spans[3] + 5:
            likely = "the photo is flipped"
        elif np.abs(y[:, 0] - y[-1, 0]).max() < 3 and np.abs(y[:, -1] - y[0, -1]).max() < 3:
            likely = "rows and columns are exchanged"
        elif (np.abs(np.diff(x[len(x) // 2])) < 1e-4).sum() > 6 or (
            np.abs(np.diff(y[:, y.shape[1] // 2])) < 1e-4
        ).sum() > 6:
            likely = "there are borders without photo: resize to the size, do not pad"
        wrong(
            given=given,
            expected=f"columns 0 ... {width - 1} and rows 0 ... {height - 1} of the photo",
            got=f"columns {spans[0]:.0f} ... {spans[1]:.0f}, rows {spans[2]:.0f} ... "
            f"{spans[3]:.0f}",
            likely=likely,
        )


@pytest.mark.todo("2.2", points=1, needs=[])
def test_2_2_mask_keeps_its_ids() -> None:
    height, width = 90, 150
    blocks = np.random.default_rng(4).choice([2, 9, 18, 255], (10, 15)).astype(np.uint8)
    mask = np.kron(blocks, np.ones((9, 10), dtype=np.uint8))
    sample = _Sample(np.full((height, width, 3), 90, dtype=np.uint8), mask)
    allowed = {2, 9, 18, _VOID}
    for size in ((52, 84), (32, 100), (130, 170)):
        given = f"a mask {(height, width)} with the ids 2, 9, 18 and 255, eval_transforms({size})"
        _, got = _evaluated(sample, size, given)
        ids = set(np.unique(got).tolist())
        if not ids <= allowed:
            strange = sorted(ids - allowed)
            wrong(
                given=given,
                expected="no other ids",
                got=f"{len(strange)} other: {_few(strange)}",
                likely=_cause_of_ids(ids, allowed),
            )
        scale_y, scale_x = height / size[0], width / size[1]
        off = 0
        for i in range(size[0]):
            top, bottom = math.floor((i - 0.6) * scale_y), math.ceil((i + 1.6) * scale_y)
            for j in range(size[1]):
                left, right = math.floor((j - 0.6) * scale_x), math.ceil((j + 1.6) * scale_x)
                near_by = mask[max(top, 0) : bottom, max(left, 0) : right]
                off += not (near_by == got[i, j]).any()
        if off:
            likely = "the mask must be resized with the photo, with the same geometry"
            for how, other in (("flipped", mask[:, ::-1]), ("flipped", mask[::-1])):
                rows = (np.arange(size[0]) * scale_y).astype(int)
                columns = (np.arange(size[1]) * scale_x).astype(int)
                if (other[rows][:, columns] == got).mean() > 0.9:
                    likely = f"the mask is {how}"
            wrong(
                given=given,
                expected="each id where it was",
                got=f"{off} of {got.size} pixels have an id that is not near by in the mask",
                likely=likely,
            )


# ------------------------------------------------------------------ chapter 3: helpers
#
# The tests go by what a network computes, however it is written: they note the convolutions and
# batch normalisations in the order in which they run, give all of them random weights and
# statistics, and compute the output again from these with numpy.


class _Conv(NamedTuple):
    """A convolution that ran: its parameters, their values, and what went into it."""

    parameter: Tensor
    weight: np.ndarray
    bias: np.ndarray | None
    x: np.ndarray


class _Norm(NamedTuple):
    """A batch normalisation that ran: its statistics, their values, scale, shift and epsilon."""

    statistics: tuple[Tensor | None, Tensor | None]
    mean: np.ndarray | None
    variance: np.ndarray | None
    scale: np.ndarray | None
    shift: np.ndarray | None
    epsilon: float


class _LayerRecorder(TorchFunctionMode):
    """Notes which functions of PyTorch run, and the values of the layers with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convs: list[_Conv] = []
        self.norms: list[_Norm] = []
        self.transposed: list[tuple[int, ...]] = []
        self.calls: list[str] = []

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        self.calls.append(name)

        def argument(position: int, key: str, default: object = None) -> object:
            return args[position] if position < len(args) else kwargs.get(key, default)

        if name == "conv2d":
            weight, x, bias = argument(1, "weight"), argument(0, "input"), argument(2, "bias")
            if _is_learned(weight) or argument(6, "groups", 1) == 1:
                before = _array(x)
                if argument(4, "padding", 0) in (0, (0, 0)) and weight.shape[-1] == 3:
                    before = _without_zero_border(before)
                self.convs.append(_Conv(weight, _array(weight), _array(bias), before))
        elif name == "conv_transpose2d" and _is_learned(argument(1, "weight")):
            self.transposed.append(tuple(argument(1, "weight").shape))
        elif name == "batch_norm":
            order = ("running_mean", "running_var", "weight", "bias")
            if func is torch.batch_norm:
                order = ("weight", "bias", "running_mean", "running_var")
            found = {key: argument(i + 1, key) for i, key in enumerate(order)}
            mean, variance = found["running_mean"], found["running_var"]
            values = [_array(found[key]) for key in ("weight", "bias")]
            epsilon = argument(7, "eps", 1e-5)
            statistics = _array(mean), _array(variance)
            self.norms.append(_Norm((mean, variance), *statistics, *values, epsilon))
        return func(*args, **kwargs)


def _without_zero_border(x: np.ndarray) -> np.ndarray:
    """Takes off the zeros that a layer of its own has padded a picture with."""
    border = [x[..., 0, :], x[..., -1, :], x[..., :, 0], x[..., :, -1]]
    if min(x.shape[2:]) > 2 and not any(each.any() for each in border):
        return x[..., 1:-1, 1:-1]
    return x


def _is_learned(weight: Tensor) -> bool:
    return isinstance(weight, nn.Parameter) or weight.requires_grad


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().double().cpu().numpy().copy()


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _randomized(module: object, given: str, seed: int = 0) -> nn.Module:
    """Gives a module random weights, and its batch normalisations random statistics."""
    if not isinstance(module, nn.Module):
        wrong(given=given, expected="an nn.Module", got=_kind(module))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                draw *= 3 / (parameter[0].numel() ** 0.5)  # large enough for a ReLU6 to show
            else:  # biases, and the scales and shifts of batch normalisation: none close to 0
                draw = draw.sign() * (0.3 + 0.5 * torch.rand(draw.shape, generator=generator))
            parameter.copy_(draw)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.6 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.3 + 2 * torch.rand(buffer.shape, generator=generator))
    return module


def _kind(value: object) -> str:
    """A few words about any value: a tensor's shape, or the type."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}: " + ", ".join(map(_kind, value[:6]))
    return f"a value of type {type(value).__name__}"


def _follow(
    module: nn.Module, given: str, *inputs: Tensor | list[Tensor], training: bool = False
) -> tuple[object, _LayerRecorder]:
    """Calls a module on copies of the inputs and returns its output and what ran."""
    copies = [[t.clone() for t in x] if isinstance(x, list) else x.clone() for x in inputs]
    originals = [t for x in inputs for t in (x if isinstance(x, list) else [x])]
    held = [t for x in copies for t in (x if isinstance(x, list) else [x])]
    module.train(training)
    with torch.no_grad(), _LayerRecorder() as recorder:
        output = module(*copies)
    for original, copy in zip(originals, held, strict=True):
        if not torch.equal(original, copy):
            wrong(
                given=given,
                expected="the tensors that are given stay as they are",
                got=f"the input {tuple(original.shape)} has other values afterwards",
                likely="an operation changes its input in place (+=, relu_, inplace=True)",
            )
    return output, recorder


def _check_tensor(
    name: str,
    got: object,
    shape: Sequence[int],
    given: str,
    causes: dict[tuple[int, ...], str] | None = None,
) -> None:
    """Fails unless `got` is a tensor of this shape; `causes` explains other shapes."""
    if not isinstance(got, Tensor):
        wrong(given=given, expected=f"{name}: a tensor {tuple(shape)}", got=_kind(got))
    if tuple(got.shape) != tuple(shape):
        wrong(
            given=given,
            expected=f"{name} of shape {tuple(shape)}",
            got=tuple(got.shape),
            likely=(causes or {}).get(tuple(got.shape)),
        )


def _check_layers(
    recorder: _LayerRecorder, module: nn.Module, shapes: list[tuple[int, ...]], given: str
) -> None:
    """Fails unless these convolutions ran, each its own and registered, with norms between.

    Args:
        recorder: of one forward pass.
        module: that ran.
        shapes: of the weights, (cout, cin, rows, columns), in the order of execution.
        given: for the message.
    """
    units = sum(shape[2] == 3 for shape in shapes)
    found = [conv.weight.shape for conv in recorder.convs]
    if recorder.transposed:
        wrong(
            given=given,
            expected="no weights in the upsampling",
            got=f"a transposed convolution with weights {recorder.transposed[0]}",
            likely="the upsampling is learned; here it is fixed: nn.Upsample or F.interpolate",
        )
    if len(found) != len(shapes):
        wrong(
            given=given,
            expected=f"{len(shapes)} convolutions run",
            got=f"{len(found)}, with weights {[tuple(map(int, shape)) for shape in found][:12]}",
            likely=_cause_of_count(len(found), len(shapes)),
        )
    for position, (got, shape) in enumerate(zip(found, shapes, strict=True), start=1):
        if got != shape:
            wrong(
                given=given,
                expected=f"convolution {position} of {len(shapes)} has weights {shape} "
                "(cout, cin, rows, columns)",
                got=tuple(map(int, got)),
                likely=_cause_of_weights(got, shape),
            )
    _check_norm_count(recorder, units, given)
    own = {id(parameter) for parameter in module.parameters()}
    weights = [id(conv.parameter) for conv in recorder.convs]
    if len(set(weights)) < len(weights):
        position = next(i for i, w in enumerate(weights) if w in weights[:i])
        wrong(
            given=given,
            expected="every convolution has its own weights",
            got=f"convolution {position + 1} has those of number "
            f"{weights.index(weights[position]) + 1}",
            likely="one module is used twice: make a new one for each place",
        )
    norms = [id(norm.statistics[0]) for norm in recorder.norms if norm.statistics[0] is not None]
    if len(set(norms)) < len(norms):
        wrong(
            given=given,
            expected="every batch normalisation has its own statistics",
            got="one batch normalisation runs in several places",
            likely="one nn.BatchNorm2d is used twice: make a new one for each place",
        )
    hidden = [i for i, weight in enumerate(weights, start=1) if weight not in own]
    buffers = {id(buffer) for buffer in module.buffers()}
    lost = [
        n for n in recorder.norms for s in n.statistics if s is not None and id(s) not in buffers
    ]
    if hidden or lost:
        what = f"convolution {hidden[0]}" if hidden else "a batch normalisation"
        wrong(
            given=given,
            expected="all weights are in parameters(), so that they are trained, moved and saved",
            got=f"{what} runs, but the module does not know it",
            likely="modules in a plain list or tuple are invisible to PyTorch: use nn.ModuleList",
        )


def _cause_of_count(found: int, wanted: int) -> str:
    if found == 0:
        return "the layers are built but not used in forward, or are not nn.Conv2d"
    if found < wanted:
        return "a convolution is missing: was a block left out, or built but not used?"
    return "there is one convolution too many, or a block runs twice"


def _cause_of_weights(got: tuple[int, ...], shape: tuple[int, ...]) -> str | None:
    if got[2:] != shape[2:]:
        return f"the kernel is {got[2]}x{got[3]} instead of {shape[2]}x{shape[3]}"
    if got[:2] == shape[1::-1]:
        return "cin and cout are swapped"
    if got[0] == shape[0] and shape[1] == 2 * shape[0] and got[1] == shape[0]:
        return "it takes half the channels: both sources must be concatenated, not added"
    if got[0] == shape[0] and got[1] == shape[0] * 3:
        return "something is concatenated twice"
    if got[0] == shape[0] and got[1] > 0 and shape[1] % got[1] == 0 and shape[0] % got[1] == 0:
        return "is it a grouped convolution, or does it take the wrong number of channels?"
    return "these are the wrong numbers of channels: do they follow the arguments?"


def _check_norm_count(recorder: _LayerRecorder, units: int, given: str) -> None:
    """Fails unless `units` batch normalisations ran."""
    channels = [len(next((v for v in n[1:5] if v is not None), ())) for n in recorder.norms]
    wanted = [len(conv.weight) for conv in recorder.convs][:units]
    if len(recorder.norms) == units and channels in (wanted, [0] * units):
        return
    if len(recorder.norms) == units:
        wrong(
            given=given,
            expected=f"batch normalisations of {wanted} channels",
            got=channels,
            likely="the order is wrong: batch normalisation comes last, after the convolution",
        )
    others = [c for c in recorder.calls if c in ("instance_norm", "group_norm", "layer_norm")]
    if others:
        likely = f"your code uses {others[0]}; batch normalisation is nn.BatchNorm2d"
    elif len(recorder.norms) < units:
        likely = "batch normalisation is missing after a convolution"
    else:
        likely = "there is one batch normalisation too many"
    expected = f"{units} batch normalisations run"
    wrong(given=given, expected=expected, got=len(recorder.norms), likely=likely)


def _filter(x: np.ndarray, conv: _Conv, padding: str) -> np.ndarray:
    """What a convolution makes of x, (B, C, H, W)."""
    height, width = x.shape[2:]
    rows, columns = conv.weight.shape[2:]
    border = (0, 0), (0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)
    padded = np.pad(x, border, mode=padding)
    out = np.zeros((len(x), len(conv.weight), height, width))
    for r in range(rows):
        for c in range(columns):
            window = padded[:, :, r : r + height, c : c + width]
            out += np.einsum("oi,bihw->bohw", conv.weight[:, :, r, c], window)
    return out if conv.bias is None else out + conv.bias[:, None, None]


def _normalize(x: np.ndarray, norm: _Norm, training: bool) -> np.ndarray:
    """What a batch normalisation makes of x, (B, C, H, W)."""
    mean, variance = norm.mean, norm.variance
    if training or mean is None:
        mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    scale = 1 if norm.scale is None else norm.scale[:, None, None]
    shift = 0 if norm.shift is None else norm.shift[:, None, None]
    centred = x - mean[:, None, None]
    return centred / np.sqrt(variance[:, None, None] + norm.epsilon) * scale + shift


def _unit(
    x: np.ndarray,
    recorder: _LayerRecorder,
    index: int,
    steps: str = "CRN",
    padding: str = "constant",
    training: bool = False,
) -> np.ndarray:
    """What convolution `index` and its normalisation make of x; `steps` is their order."""
    for step in steps:
        if step == "C":
            x = _filter(x, recorder.convs[index], padding)
        elif step == "R":
            x = np.maximum(x, 0)
        elif step == "N":
            x = _normalize(x, recorder.norms[index], training)
    return x


_VARIANTS = {
    "batch normalisation stands before the ReLU; here it comes after it": {"steps": "CNR"},
    "the ReLU is missing": {"steps": "CN"},
    "batch normalisation runs but is not used": {"steps": "CR"},
    "the order is wrong: first the convolution, then ReLU, then batch normalisation": {
        "steps": "NCR"
    },
    "the order is wrong: ReLU comes after the convolution, not before": {"steps": "RCN"},
    "the order is wrong: batch normalisation comes last, not first": {"steps": "NRC"},
    "there is a second ReLU after batch normalisation": {"steps": "CRNR"},
    "the padding is not of zeros but reflected": {"padding": "reflect"},
    "the padding is not of zeros but repeats the border": {"padding": "edge"},
    "the padding is not of zeros but circular": {"padding": "wrap"},
}


def _variant(matches: Callable[..., bool]) -> str | None:
    """The first mistake of `_VARIANTS` with whose options `matches` returns True."""
    for cause, options in _VARIANTS.items():
        with suppress(ValueError):  # the order of the layers does not fit the channels
            if matches(**options):
                return cause
    return None


def _same(got: np.ndarray, expected: np.ndarray) -> bool:
    size = max(1.0, float(np.abs(expected).max())) if expected.size else 1.0
    return got.shape == expected.shape and bool(np.abs(got - expected).max() < 2e-4 * size)


def _check_values(
    name: str,
    got: object,
    expect: Callable[..., np.ndarray],
    recorder: _LayerRecorder,
    given: str,
    training: bool = False,
    causes: dict[str, Callable[[], np.ndarray]] | None = None,
) -> None:
    """Fails unless `got` has the values of `expect()`, and says which mistake gives those it has.

    Args:
        name: of what is compared.
        got: a tensor.
        expect: computes the values; takes the options of `_unit`.
        recorder: of the forward pass.
        given: for the message.
        training: whether the module was in training mode.
        causes: sentences and what they would give.
    """
    expected = expect(training=training)
    _check_tensor(name, got, expected.shape, given)
    values = _array(got)
    if _same(values, expected):
        return
    likely = None
    for cause, compute in (causes or {}).items():
        if likely is None and _same(values, compute()):
            likely = cause
    if likely is None:
        likely = _variant(lambda **options: _same(values, expect(training=training, **options)))
    if likely is None and _same(values, expect(training=not training)):
        likely = (
            "in training mode batch normalisation must go by the batch, not by its running mean"
            if training
            else "in evaluation mode batch normalisation must go by its running mean and variance"
        )
    if likely is None and _same(values, np.maximum(expected, 0)):
        likely = "there is a second ReLU after batch normalisation"
    place = np.unravel_index(np.nanargmax(np.abs(values - expected)), expected.shape)
    where = f"{name}[{', '.join(str(int(i)) for i in place)}]"
    wrong(
        given=given + (", in training mode" if training else ", in evaluation mode"),
        expected=f"{where} = {expected[place]:.4f}, computed from your weights",
        got=f"{values[place]:.4f}",
        likely=likely or _cause_in_calls(recorder),
    )


_STRANGE_CALLS = {
    *("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "avg_pool2d"),
    *("leaky_relu", "relu6", "prelu", "elu", "selu", "gelu", "silu", "mish", "softplus"),
    *("sigmoid", "tanh", "hardtanh", "hardswish", "softmax", "log_softmax"),
}


def _cause_in_calls(recorder: _LayerRecorder) -> str | None:
    """Names a function that ran and has no place here."""
    found = [call for call in recorder.calls if call.rstrip("_") in _STRANGE_CALLS]
    return f"your code calls {found[0].rstrip('_')}, which has no place here" if found else None


def _check_statistics_move(recorder: _LayerRecorder, given: str) -> None:
    """Fails unless every batch normalisation keeps running statistics and moved them."""
    for norm in recorder.norms:
        mean, _ = norm.statistics
        if mean is None or _same(_array(mean), norm.mean):
            wrong(
                given=f"{given}, in training mode",
                expected="batch normalisation learns the mean and variance for evaluation",
                got="no running mean" if mean is None else "a running mean that does not move",
                likely="nn.BatchNorm2d as it is: no track_running_stats=False, momentum or eval()",
            )


def _check_gradients(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Callable[[], dict[str, Tensor]],
    given: str,
    partial: Sequence[str] = (),
) -> None:
    """Fails unless the gradient of each output reaches every input and parameter.

    Args:
        module: the module.
        inputs: name → tensor.
        outputs: calls the module; name → tensor.
        given: for the message.
        partial: outputs that some parameters don't reach; only inputs are looked at.
    """
    module.eval()
    parameters = dict(module.named_parameters())
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            wrong(
                given=given,
                expected="all weights are trained",
                got=f"{name} has requires_grad=False",
            )
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    for number, (name, output) in enumerate(outputs().items()):
        if not output.requires_grad:
            wrong(
                given=given,
                expected=f"the gradient of {name} reaches weights and inputs",
                got=f"{name} has no gradient at all",
                likely="the way is cut: detach(), .data, torch.no_grad() or numpy",
            )
        wanted = inputs if name in partial else {**inputs, **parameters}
        weighted = (output * _random(100 + number, *output.shape)).sum()
        gradients = torch.autograd.grad(
            weighted, list(wanted.values()), retain_graph=True, allow_unused=True
        )
        for source, gradient in zip(wanted, gradients, strict=True):
            if gradient is None or not gradient.abs().sum() > 0:
                wrong(
                    given=given,
                    expected=f"the gradient of {name} reaches {source}",
                    got="it does not",
                    likely="the way is cut: detach(), .data or torch.no_grad()"
                    if source in inputs
                    else "it was built but is not used, or the way to it is cut (detach, no_grad)",
                )


def _pooled(x: np.ndarray, how: str = "max") -> np.ndarray:
    """2x2 pooling of (B, C, H, W)."""
    batch, channels, height, width = x.shape
    windows = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return getattr(windows, how)(axis=(3, 5))


# ------------------------------------------------------------------ 3.1


def _layers_of_3_1(
    training: bool, cin: int = 3, cout: int = 5
) -> tuple[nn.Module, object, _LayerRecorder, Tensor, str]:
    given = f"conv_relu_norm({cin}, {cout}) and x (2, {cin}, 6, 9)"
    module = _randomized(models.conv_relu_norm(cin, cout), given)
    x = _random(1, 2, cin, 6, 9)
    output, recorder = _follow(module, given, x, training=training)
    return module, output, recorder, x, given


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_height_and_width_stay() -> None:
    """The output has cout channels and the size of the input."""
    for cin, cout, size in ((3, 5, (6, 9)), (4, 2, (7, 5)), (1, 6, (4, 8))):
        given = f"conv_relu_norm({cin}, {cout}) and x {(2, cin, *size)}"
        module = _randomized(models.conv_relu_norm(cin, cout), given)
        output, _ = _follow(module, given, _random(0, 2, cin, *size))
        causes = {
            (2, cout, size[0] - 2, size[1] - 2): "without padding=1 a 3x3 convolution loses a "
            "pixel on each side",
            (2, cout, size[0] + 2, size[1] + 2): "padding=1 is enough for a 3x3 convolution",
            (2, cout, (size[0] + 1) // 2, (size[1] + 1) // 2): "the convolution has a stride of 2",
            (2, cout, size[0] // 2, size[1] // 2): "there is a pooling, which has no place here",
            (2, cin, *size): "the convolution must change the channels from cin to cout",
        }
        _check_tensor("the output", output, (2, cout, *size), given, causes)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_layers_and_their_order() -> None:
    """A 3x3 convolution, ReLU and batch normalisation, in evaluation mode."""
    module, output, recorder, x, given = _layers_of_3_1(training=False)
    _check_layers(recorder, module, [(5, 3, 3, 3)], given)
    expect = functools.partial(_unit, _array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
@pytest.mark.parametrize(("cin", "cout"), [(4, 4), (12, 6), (16, 16)])
def test_3_1_other_channels(cin: int, cout: int) -> None:
    """The same three layers when the channels stay as many, and for more of them."""
    module, output, recorder, x, given = _layers_of_3_1(False, cin, cout)
    _check_layers(recorder, module, [(cout, cin, 3, 3)], given)
    expect = functools.partial(_unit, _array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_training_mode() -> None:
    """In training mode batch normalisation goes by the batch, and learns from it."""
    module, output, recorder, x, given = _layers_of_3_1(training=True)
    _check_layers(recorder, module, [(5, 3, 3, 3)], given)
    _check_statistics_move(recorder, given)
    expect = functools.partial(_unit, _array(x), recorder, 0)
    _check_values("output", output, expect, recorder, given, training=True)


@pytest.mark.todo("3.1", points=1, needs=[])
def test_3_1_every_weight_learns() -> None:
    """Gradients reach the input and all weights, and each call makes new ones."""
    given = "conv_relu_norm(3, 5) and x (2, 3, 6, 9)"
    module = _randomized(models.conv_relu_norm(3, 5), given)
    x = _random(2, 2, 3, 6, 9)
    _check_gradients(module, {"x": x}, lambda: {"the output": module(x)}, given)
    other = models.conv_relu_norm(3, 5)
    shared = {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}
    if shared:
        wrong(
            given="conv_relu_norm(3, 5) called twice",
            expected="two modules with weights of their own",
            got="the same weights",
        )


# ------------------------------------------------------------------ 3.2


def _conv_block(
    cin: int, cout: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, object, _LayerRecorder, Tensor, str]:
    given = f"UNetConvBlock({cin}, {cout}) and x {(2, cin, *size)}"
    block = _randomized(models.UNetConvBlock(cin, cout), given)
    x = _random(3, 2, cin, *size)
    output, recorder = _follow(block, given, x, training=training)
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        wrong(given=given, expected="a pair (pooled, features)", got=_kind(output))
    return block, output[0], output[1], recorder, x, given


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_shapes() -> None:
    """Pooled has half the size, the features the full one; both have cout channels."""
    for cin, cout, (height, width) in ((3, 5, (8, 12)), (6, 4, (6, 10)), (4, 4, (10, 4))):
        _, pooled, features, _, _, given = _conv_block(cin, cout, (height, width))
        full, half = (2, cout, height, width), (2, cout, height // 2, width // 2)
        if isinstance(pooled, Tensor) and isinstance(features, Tensor):
            found = tuple(pooled.shape), tuple(features.shape)
            if found == (full, half):
                wrong(
                    given=given,
                    expected=f"(pooled {half}, features {full})",
                    got=f"{full}, {half}",
                    likely="the two are swapped: features are taken before the pooling",
                )
        causes = {
            half: "these are the features after the pooling; take them before it",
            (2, cout, height - 4, width - 4): "a convolution lacks its padding",
        }
        _check_tensor("features", features, full, given, causes)
        causes = {
            full: "this is not pooled",
            (2, cout, height - 1, width - 1): "the pooling has a stride of 1; it must be 2",
            (2, cout, height // 4, width // 4): "pooled twice, or by 4x4",
        }
        _check_tensor("pooled", pooled, half, given, causes)


def _check_conv_block(training: bool) -> None:
    block, pooled, features, recorder, x, given = _conv_block(3, 5, (6, 10), training)
    _check_layers(recorder, block, [(5, 3, 3, 3), (5, 5, 3, 3)], given)
    if training:
        _check_statistics_move(recorder, given)

    def first(**options: object) -> np.ndarray:
        return _unit(_array(x), recorder, 0, **options)

    def second(**options: object) -> np.ndarray:
        return _unit(first(**options), recorder, 1, **options)

    def pool(**options: object) -> np.ndarray:
        return _pooled(second(**options))

    causes = {
        "these features are from block1; both convolutions come before": lambda: first(
            training=training
        ),
        "something is added to the features (a residual connection)": lambda: (
            first(training=training) + second(training=training)
        ),
        "the first ReLU is missing": lambda: _unit(
            first(training=training, steps="CN"), recorder, 1, training=training
        ),
        "these are the pooled features enlarged again; take them before the pooling": lambda: (
            pool(training=training).repeat(2, axis=2).repeat(2, axis=3)
        ),
    }
    _check_values("features", features, second, recorder, given, training, causes)
    full = second(training=training)
    causes = {
        "this is average pooling; max pooling keeps the strongest answer": lambda: _pooled(
            full, "mean"
        ),
        "this is every second pixel, not the maximum of 2x2": lambda: full[:, :, ::2, ::2],
        "this is the minimum of 2x2": lambda: _pooled(full, "min"),
        "the pooling is applied to block1's output": lambda: _pooled(first(training=training)),
    }
    _check_values("pooled", pooled, pool, recorder, given, training, causes)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_values() -> None:
    """Both outputs are what two convolutions and a max pooling make of x."""
    _check_conv_block(training=False)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_training_mode() -> None:
    """The same in training mode, where batch normalisation goes by the batch."""
    _check_conv_block(training=True)


@pytest.mark.todo("3.2", points=2, needs=["3.1"])
def test_3_2_every_weight_learns() -> None:
    """Gradients of either output reach the input and all weights."""
    given = "UNetConvBlock(3, 5) and x (2, 3, 6, 10)"
    block = _randomized(models.UNetConvBlock(3, 5), given)
    x = _random(4, 2, 3, 6, 10)
    _check_gradients(
        block, {"x": x}, lambda: dict(zip(("pooled", "features"), block(x), strict=True)), given
    )


# ------------------------------------------------------------------ 3.3


def _encoder(
    cin: int, num_blocks: int, base: int, size: tuple[int, int], training: bool = False
) -> tuple[nn.Module, object, Sequence[object], _LayerRecorder, Tensor, str]:
    given = f"UNetEncoder({cin}, {num_blocks}, {base}) and x {(2, cin, *size)}"
    encoder = _randomized(models.UNetEncoder(cin, num_blocks, base), given)
    x = _random(5, 2, cin, *size)
    output, recorder = _follow(encoder, given, x, training=training)
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        wrong(given=given, expected="a pair (bottom, features)", got=_kind(output))
    bottom, features = output
    if not isinstance(features, (list, tuple)):
        wrong(given=given, expected="features: a list of tensors", got=_kind(features))
    return encoder, bottom, features, recorder, x, given


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_shapes() -> None:
    """features[i] has base * 2^i channels at 1/2^i of the size; the bottom comes below them."""
    for cin, n, base, (height, width) in (
        (3, 3, 2, (16, 32)),
        (2, 1, 5, (8, 4)),
        (4, 2, 3, (24, 8)),
        (1, 4, 1, (32, 64)),
        (2, 6, 1, (64, 128)),
    ):
        _, bottom, features, _, _, given = _encoder(cin, n, base, (height, width))
        shapes = [(2, base * 2**i, height >> i, width >> i) for i in range(n + 1)]
        found = [tuple(f.shape) if isinstance(f, Tensor) else _kind(f) for f in features]
        if found != shapes[:n]:
            likely = None
            if found == shapes[:n][::-1]:
                likely = "the deepest features come first; the full resolution must"
            elif found == shapes and isinstance(bottom, Tensor) and bottom.shape == shapes[n]:
                likely = "the bottom stands among the features; only the blocks' belong there"
            elif len(found) > n:
                likely = f"there are {len(found)} features for {n} blocks"
            elif found == [(2, base * 2**i, height >> i + 1, width >> i + 1) for i in range(n)]:
                likely = "these are the features after the pooling"
            elif len(found) == n and found != shapes[:n]:
                likely = "block i must give base * 2^i channels at 1/2^i of the size"
            elif len(found) < n:
                likely = "every block has features that go across"
            wrong(given=given, expected=f"features {shapes[:n]}", got=found, likely=likely)
        deep = shapes[n]
        causes = {
            shapes[n - 1]: "this is what the last block gives before pooling",
            (2, deep[1] // 2, *deep[2:]): "the bottom doubles the channels of the last block",
            (*deep[:2], *shapes[n - 1][2:]): "the bottom takes what goes down (pooled), not the "
            "features that go across",
            (*deep[:2], deep[2] // 2, deep[3] // 2): "there is a pooling after the bottom",
        }
        _check_tensor("bottom", bottom, deep, given, causes)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_cout() -> None:
    """`cout` says how many channels the bottom has."""
    for cin, n, base in ((3, 3, 2), (2, 1, 5), (3, 1, None)):
        options = {} if base is None else {"base_channels": base}
        encoder = models.UNetEncoder(cin, n, **options)
        base = 64 if base is None else base
        given = f"UNetEncoder(cin={cin}, num_blocks={n}, base_channels={base})"
        expected = base * 2**n
        if not hasattr(encoder, "cout"):
            wrong(given=given, expected=f"cout = {expected}", got="no attribute cout")
        if encoder.cout != expected or not isinstance(encoder.cout, int):
            causes = {
                base * 2 ** (n - 1): "these are the channels of the last block, not of the bottom",
                base * 2 ** (n + 1): "this is twice the bottom's channels",
                base: "these are the channels of the first block",
            }
            likely = causes.get(encoder.cout) if isinstance(encoder.cout, int) else None
            got = f"cout = {encoder.cout!r}"
            wrong(given=given, expected=f"cout = {expected}", got=got, likely=likely)


def _check_encoder(cin: int, n: int, base: int, size: tuple[int, int], training: bool) -> None:
    encoder, bottom, features, recorder, x, given = _encoder(cin, n, base, size, training)
    shapes = []
    for i in range(n):
        width = base * 2**i
        shapes += [(width, cin if i == 0 else width // 2, 3, 3), (width, width, 3, 3)]
    shapes.append((base * 2**n, base * 2 ** (n - 1), 3, 3))
    _check_layers(recorder, encoder, shapes, given)
    if training:
        _check_statistics_move(recorder, given)

    def level(depth: int, **options: object) -> np.ndarray:
        """features[depth], or the bottom."""
        down = _pooled(level(depth - 1, **options)) if depth else _array(x)
        down = _unit(down, recorder, 2 * depth, **options)
        return down if depth == n else _unit(down, recorder, 2 * depth + 1, **options)

    if len(features) != n:
        wrong(given=given, expected=f"{n} features", got=_kind(features))
    for i, got in enumerate(features):
        causes = {
            "these features are from block1": lambda i=i: _unit(
                _pooled(level(i - 1, training=training)) if i else _array(x),
                recorder,
                2 * i,
                training=training,
            )
        }
        expect = functools.partial(level, i)
        _check_values(f"features[{i}]", got, expect, recorder, given, training, causes)
    above = level(n - 1, training=training)
    causes = {
        "the way down must take what the block pools": lambda: _unit(
            above[:, :, ::2, ::2], recorder, 2 * n, training=training
        ),
        "this is average pooling": lambda: _unit(
            _pooled(above, "mean"), recorder, 2 * n, training=training
        ),
    }
    expect = functools.partial(_unit, _pooled(above), recorder, 2 * n)
    _check_values("bottom", bottom, expect, recorder, given, training, causes)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_values() -> None:
    """The features and the bottom are what the blocks make of x, one after the other."""
    _check_encoder(3, 3, 2, (8, 16), training=False)
    _check_encoder(2, 1, 5, (6, 4), training=False)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_training_mode() -> None:
    """The same in training mode."""
    _check_encoder(2, 2, 3, (12, 8), training=True)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_every_weight_learns() -> None:
    """Gradients of the bottom reach all weights; those of every feature reach the picture."""
    given = "UNetEncoder(3, 2, 4) and x (2, 3, 8, 12)"
    encoder = _randomized(models.UNetEncoder(3, 2, 4), given)
    x = _random(6, 2, 3, 8, 12)

    def outputs() -> dict[str, Tensor]:
        bottom, features = encoder(x)
        return {"bottom": bottom, "features[0]": features[0], "features[1]": features[1]}

    partial = ("features[0]", "features[1]")
    _check_gradients(encoder, {"x": x}, outputs, given, partial)


@pytest.mark.todo("3.3", points=2, needs=["3.1", "3.2"])
def test_3_3_each_call_starts_afresh() -> None:
    """A second picture gets a list of its own, and the first one's stays."""
    given = "UNetEncoder(3, 2, 4) called twice"
    encoder = _randomized(models.UNetEncoder(3, 2, 4), given).eval()
    with torch.no_grad():
        _, first = encoder(_random(7, 1, 3, 8, 8))
        before = [each.clone() for each in first]
        _, second = encoder(_random(8, 1, 3, 8, 8))
    if len(second) != 2 or len(first) != 2 or first is second:
        wrong(
            given=given,
            expected="2 features each time",
            got=f"{len(second)} the second time",
            likely="the list is kept in self and grows: make a new one in forward",
        )
    if not all(torch.equal(a, b) for a, b in zip(first, before, strict=True)):
        wrong(given=given, expected="the first features stay", got="the second call changed them")


# ------------------------------------------------------------------ 3.4


def _is_enlarged(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether each 2x2 pixels of `large` lie about where one pixel of x is, whatever the method."""
    if large.shape != (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]):
        return False
    mean = _pooled(large, "mean")
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = x.shape[2:]
    near = np.stack(
        [around[:, :, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    )
    low, high = near.min(axis=0), near.max(axis=0)
    margin = 0.4 * (high - low) + 1e-5
    is_near = (mean > low - margin) & (mean < high + margin)
    return bool(is_near.all()) and float((mean * x).sum()) > 0.35 * float((x * x).sum())


def _is_interpolated(x: np.ndarray, large: np.ndarray) -> bool:
    """Whether `large` is x at twice the size, exactly, by one of PyTorch's methods."""
    methods = [{"mode": "nearest"}]
    methods += [
        {"mode": mode, "align_corners": aligned}
        for mode in ("bilinear", "bicubic")
        for aligned in (False, True)
    ]
    size = 2 * x.shape[2], 2 * x.shape[3]
    made = (F.interpolate(torch.from_numpy(x), size, **method).numpy() for method in methods)
    return any(_same(large, each) for each in made)


def _check_enlarged(x: np.ndarray, large: np.ndarray, given: str) -> None:
    """Fails unless `large` is x at twice the size."""
    if _is_interpolated(x, large) or _is_enlarged(x, large):
        return
    height, width = x.shape[2:]
    causes = {
        (height, width): "the convolution comes before the upsampling, or nothing is upsampled",
        (4 * height, 4 * width): "the upsampling is by 4, or is done twice",
    }
    likely = causes.get(large.shape[2:])
    if large.shape[2:] == (2 * height, 2 * width):
        likely = "the upsampling does not keep the picture: use nn.Upsample or F.interpolate"
    wrong(
        given=given,
        expected="the first convolution gets x at twice the size, "
        f"{(*x.shape[:2], 2 * height, 2 * width)}",
        got=tuple(map(int, large.shape)),
        likely=likely,
    )


def _check_joined(got: np.ndarray, below: np.ndarray, across: np.ndarray, given: str) -> None:
    """Fails unless `got` is both, concatenated along the channels, in either order."""
    if any(_same(got, np.concatenate(pair, 1)) for pair in ((below, across), (across, below))):
        return
    half = got.shape[1] // 2
    parts = got[:, :half], got[:, half:]
    causes = {
        "the upsampled features are concatenated twice": all(_same(p, below) for p in parts),
        "the encoder's features are concatenated twice": all(_same(p, across) for p in parts),
        "the samples of the batch are mixed up": any(_same(p, across[::-1]) for p in parts)
        or any(_same(p, below[::-1]) for p in parts),
        "the encoder's features are changed on the way": any(_same(p, below) for p in parts),
        "what comes from below is not upsampled x after convolution, ReLU and batch "
        "normalisation": any(_same(p, across) for p in parts),
    }
    wrong(
        given=given,
        expected="the next convolution gets what comes from below and the encoder's features, "
        f"concatenated: {(len(below), 2 * below.shape[1], *below.shape[2:])}",
        got=f"{tuple(map(int, got.shape))} with other values",
        likely=next((cause for cause, holds in causes.items() if holds), None),
    )


def _up_block(
    cout: int, size: tuple[int, int], training: bool = False, batch: int = 2
) -> tuple[nn.Module, object, _LayerRecorder, Tensor, Tensor, str]:
    height, width = size
    x = _random(9, batch, 2 * cout, height, width)
    across = _random(10, batch, cout, 2 * height, 2 * width)
    given = (
        f"UNetUpConvBlock({2 * cout}, {cout}), x {tuple(x.shape)} and encoder_features "
        f"{tuple(across.shape)}"
    )
    block = _randomized(models.UNetUpConvBlock(2 * cout, cout), given)
    output, recorder = _follow(block, given, x, across, training=training)
    return block, output, recorder, x, across, given


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_shapes() -> None:
    """The output has the encoder features' shape."""
    for cout, (height, width) in ((3, (4, 6)), (5, (3, 2)), (2, (5, 7))):
        _, output, _, _, _, given = _up_block(cout, (height, width), batch=3)
        causes = {
            (3, 2 * cout, 2 * height, 2 * width): "the convolutions must bring the channels "
            "back to cout",
            (3, cout, height, width): "nothing is upsampled",
            (3, cout, 4 * height, 4 * width): "the upsampling is by 4",
            (6, cout, 2 * height, 2 * width): "concatenated along the batch (dim=0); the "
            "channels are dim=1",
            (3, cout, 4 * height, 2 * width): "concatenated along the height; channels are dim=1",
            (3, cout, 2 * height, 4 * width): "concatenated along the width; channels are dim=1",
        }
        _check_tensor("the output", output, (3, cout, 2 * height, 2 * width), given, causes)


def _check_up_block(training: bool) -> None:
    block, output, recorder, x, across, given = _up_block(3, (4, 6), training)
    _check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    if training:
        _check_statistics_move(recorder, given)
    large, joined = (recorder.convs[i].x for i in (0, 1))
    _check_enlarged(_array(x), large, given)
    _check_first_unit(joined, large, _array(across), recorder, given, training)

    def expect(**options: object) -> np.ndarray:
        return _unit(_unit(joined, recorder, 1, **options), recorder, 2, **options)

    causes = {
        "something is added to the output (a residual connection)": lambda: (
            expect(training=training) + _array(across)
        ),
        "the last ReLU is missing": lambda: _unit(
            _unit(joined, recorder, 1, training=training),
            recorder,
            2,
            training=training,
            steps="CN",
        ),
    }
    _check_values("output", output, expect, recorder, given, training, causes)


def _check_first_unit(
    joined: np.ndarray,
    large: np.ndarray,
    across: np.ndarray,
    recorder: _LayerRecorder,
    given: str,
    training: bool,
    index: int = 0,
) -> None:
    """Fails unless `joined` holds `across` and the upsampled x after its conv, ReLU and norm."""
    below = _unit(large, recorder, index, training=training)
    wanted = len(below), 2 * below.shape[1], *below.shape[2:]
    if joined.shape == wanted:
        half = joined.shape[1] // 2
        parts = joined[:, :half], joined[:, half:]

        def is_part(**options: object) -> bool:
            other = _unit(large, recorder, index, training=training, **options)
            return not _same(other, below) and any(_same(part, other) for part in parts)

        cause = _variant(is_part)
        if cause is not None:
            wrong(
                given=given,
                expected="upsampled x goes through convolution, ReLU and batch normalisation",
                got="other values",
                likely=cause,
            )
    _check_joined(joined, below, across, given)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_values() -> None:
    """Upsampling, convolution, concatenation, two convolutions."""
    _check_up_block(training=False)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_training_mode() -> None:
    """The same in training mode."""
    _check_up_block(training=True)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_upsampling_keeps_the_picture() -> None:
    """A constant stays constant and a slope a slope, whatever the interpolation."""
    cout, height, width = 3, 5, 4
    rows, columns = torch.arange(float(height))[:, None], torch.arange(float(width))
    slopes = ((0, 0), (1, 0), (0, 1), (-1, 2), (2, 1), (0.5, -1))
    x = torch.stack([3 + a * rows + b * columns for a, b in slopes])[None]  # (1, 6, 5, 4)
    given = "UNetUpConvBlock(6, 3), and x whose channels are a constant and slopes"
    block = _randomized(models.UNetUpConvBlock(2 * cout, cout), given)
    across = _random(11, 1, cout, 2 * height, 2 * width)
    _, recorder = _follow(block, given, x, across)
    if recorder.convs and recorder.convs[0].x.shape == (1, 6, 2 * height, 2 * width):
        large, expected = recorder.convs[0].x, _array(x)
        off = np.abs(_pooled(large, "mean") - expected).max(axis=(0, 2, 3))
        allowed = np.array([0.35 * (abs(a) + abs(b)) + 1e-4 for a, b in slopes])
        is_flat = np.ptp(large[0, 0]) < 1e-4
        if is_flat and (off <= allowed).all():
            return
        channel = int(np.argmax(off - allowed))
        wrong(
            given=given,
            expected=f"upsampled x, each 2x2 pixels about {expected[0, channel, :2, :2].tolist()}",
            got=np.round(_pooled(large, "mean")[0, channel, :2, :2], 2).tolist(),
            likely="the upsampling puts pixels in the wrong place, or zeros between them",
        )
    _check_layers(recorder, block, [(3, 6, 3, 3), (3, 6, 3, 3), (3, 3, 3, 3)], given)
    _check_enlarged(_array(x), recorder.convs[0].x, given)


@pytest.mark.todo("3.4", points=2, needs=["3.1"])
def test_3_4_every_weight_learns() -> None:
    """Gradients reach both inputs and all weights."""
    given = "UNetUpConvBlock(6, 3), x (2, 6, 4, 6) and encoder_features (2, 3, 8, 12)"
    block = _randomized(models.UNetUpConvBlock(6, 3), given)
    x, across = _random(12, 2, 6, 4, 6), _random(13, 2, 3, 8, 12)
    inputs = {"x": x, "encoder_features": across}
    _check_gradients(block, inputs, lambda: {"the output": block(x, across)}, given)


# ------------------------------------------------------------------ 3.5


def _decoder_inputs(
    cin: int, n: int, size: tuple[int, int], batch: int = 2
) -> tuple[Tensor, list[Tensor]]:
    height, width = size
    features = [
        _random(20 + i, batch, cin >> (n - i), height << (n - i), width << (n - i))
        for i in range(n)
    ]
    return _random(19, batch, cin, height, width), features


def _decoder(
    cin: int, n: int, classes: int, size: tuple[int, int], training: bool = False, batch: int = 2
) -> tuple[nn.Module, object, _LayerRecorder, Tensor, list[Tensor], str]:
    bottom, features = _decoder_inputs(cin, n, size, batch)
    given = (
        f"UNetDecoder({cin}, {n}, {classes}), bottom {tuple(bottom.shape)} and "
        f"features {[tuple(each.shape) for each in features]}"
    )
    decoder = _randomized(models.UNetDecoder(cin, n, classes), given)
    try:
        output, recorder = _follow(decoder, given, bottom, features, training=training)
    except RuntimeError as error:
        if n == 1 or not _takes(decoder, bottom, features[::-1]):
            raise
        wrong(
            given=given,
            expected="the first block up takes the deepest features, features[-1]",
            got=str(error).split("\n")[0][:200],
            likely="the features are not reversed: the encoder lists the full resolution first",
        )
    return decoder, output, recorder, bottom, features, given


def _takes(decoder: nn.Module, bottom: Tensor, features: list[Tensor]) -> bool:
    try:
        with torch.no_grad():
            decoder(bottom.clone(), [each.clone() for each in features])
    except RuntimeError:
        return False
    return True


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_shapes() -> None:
    """K logits for every pixel of the full resolution."""
    for cin, n, classes, (height, width) in (
        (12, 2, 5, (2, 3)),
        (6, 1, 4, (3, 5)),
        (8, 3, 7, (2, 1)),
        (16, 4, 2, (1, 2)),
        (64, 6, 3, (2, 1)),
    ):
        _, output, _, _, _, given = _decoder(cin, n, classes, (height, width), batch=3)
        full = height << n, width << n
        causes = {
            (3, *full): "this is one value per pixel, as after argmax; the logits have K",
            (3, cin >> n, *full): "the last convolution to num_classes is missing",
            (3, classes, full[0] // 2, full[1] // 2): "one block up is missing",
            (3, classes, height, width): "nothing is upsampled",
        }
        _check_tensor("logits", output, (3, classes, *full), given, causes)


def _decoder_weights(cin: int, n: int, classes: int) -> list[tuple[int, ...]]:
    shapes = [(cin, cin, 3, 3)]
    for i in range(n):
        wide, narrow = cin >> i, cin >> (i + 1)
        shapes += [(narrow, wide, 3, 3), (narrow, wide, 3, 3), (narrow, narrow, 3, 3)]
    return [*shapes, (classes, cin >> n, 1, 1)]


def _check_decoder(cin: int, n: int, classes: int, size: tuple[int, int], training: bool) -> None:
    decoder, output, recorder, bottom, features, given = _decoder(cin, n, classes, size, training)
    shapes = _decoder_weights(cin, n, classes)
    if len(recorder.convs) == len(shapes) - 1 and recorder.convs[0].weight.shape == shapes[1]:
        wrong(
            given=given,
            expected=f"{len(shapes)} convolutions run",
            got=len(recorder.convs),
            likely="the decoder's bottom, which keeps the channels, is missing",
        )
    _check_layers(recorder, decoder, shapes, given)
    if training:
        _check_statistics_move(recorder, given)
    for i in range(n):
        first = 1 + 3 * i
        large, joined = recorder.convs[first].x, recorder.convs[first + 1].x
        below = _last_of_level(recorder, i, _array(bottom), training)
        where = f"{given}; block {i} of the decoder"
        if large.shape[2:] == (2 * below.shape[2], 2 * below.shape[3]):
            _check_level(large, below, i, recorder, _array(bottom), where, training)
        _check_enlarged(below, large, where)
        across = _array(features[n - 1 - i])
        _check_first_unit(joined, large, across, recorder, where, training, first)
    _check_logits(output, recorder, _array(bottom), n, given, training)


def _last_of_level(
    recorder: _LayerRecorder, i: int, bottom: np.ndarray, training: bool, **options: object
) -> np.ndarray:
    """What goes into up block i: the decoder's bottom, or what block i - 1 gives."""
    options = {"training": training, **options}
    if i == 0:
        return _unit(bottom, recorder, 0, **options)
    joined = recorder.convs[3 * i - 1].x
    return _unit(_unit(joined, recorder, 3 * i - 1, **options), recorder, 3 * i, **options)


def _check_level(
    large: np.ndarray,
    below: np.ndarray,
    i: int,
    recorder: _LayerRecorder,
    bottom: np.ndarray,
    given: str,
    training: bool,
) -> None:
    """Fails with the cause if the enlarged maps come from units that are built otherwise."""
    if _is_interpolated(below, large):
        return
    likely = _variant(
        lambda **options: _is_interpolated(
            _last_of_level(recorder, i, bottom, training, **options), large
        )
    )
    if likely is None and _is_enlarged(below, large) and _correlation(below, large) > 0.93:
        return  # an interpolation of another kind
    wrong(
        given=given,
        expected="the output of the block before it, upsampled"
        if i
        else "the decoder's bottom (convolution, ReLU, batch normalisation), upsampled",
        got="other values",
        likely=likely or _cause_in_calls(recorder),
    )


def _correlation(x: np.ndarray, large: np.ndarray) -> float:
    """How well the 2x2 means of `large` follow x, at most 1."""
    return float(np.corrcoef(_pooled(large, "mean").ravel(), x.ravel())[0, 1])


def _check_logits(
    output: object,
    recorder: _LayerRecorder,
    bottom: np.ndarray,
    n: int,
    given: str,
    training: bool,
) -> None:
    """Fails unless the output is what the last convolution makes of the last block's output."""

    def expect(**options: object) -> np.ndarray:
        options = {"training": training, **options}
        last = _last_of_level(recorder, n, bottom, **options)
        return _unit(last, recorder, 3 * n + 1, steps="C")

    logits = expect()
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = shifted / shifted.sum(axis=1, keepdims=True)
    causes = {
        "there is a softmax at the end; the loss expects logits": lambda: softmax,
        "there is a softmax at the end (log_softmax); the loss expects logits": lambda: np.log(
            softmax
        ),
        "there is a sigmoid at the end; the loss expects logits": lambda: 1 / (1 + np.exp(-logits)),
        "there is a ReLU at the end; logits may be negative": lambda: np.maximum(logits, 0),
        "there is a second ReLU before the last convolution": lambda: _unit(
            np.maximum(_last_of_level(recorder, n, bottom, training), 0),
            recorder,
            3 * n + 1,
            steps="C",
        ),
        "there is a tanh at the end; the loss expects logits": lambda: np.tanh(logits),
    }
    _check_values("logits", output, expect, recorder, given, training, causes)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_values() -> None:
    """Bottom, up blocks with the features of their size, last convolution; no softmax."""
    _check_decoder(12, 2, 5, (4, 3), training=False)
    _check_decoder(6, 1, 4, (3, 5), training=False)
    _check_decoder(8, 3, 7, (2, 3), training=False)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_training_mode() -> None:
    """The same in training mode."""
    _check_decoder(8, 2, 3, (3, 4), training=True)


@pytest.mark.todo("3.5", points=2, needs=["3.1", "3.4"])
def test_3_5_every_weight_learns() -> None:
    """Gradients reach the bottom, every feature and all weights."""
    given = "UNetDecoder(12, 2, 5)"
    decoder = _randomized(models.UNetDecoder(12, 2, 5), given)
    bottom, features = _decoder_inputs(12, 2, (2, 3))
    inputs = {"bottom": bottom, "features[0]": features[0], "features[1]": features[1]}
    _check_gradients(decoder, inputs, lambda: {"logits": decoder(bottom, list(features))}, given)


# ------------------------------------------------------------------ 4.1 confusion matrix

_Ids = Sequence[Sequence[Sequence[int]]]

_TRUTH = [[[0, 0, 0, 2], [2, 255, 1, 0]], [[0, 2, 255, 0], [0, 2, 0, 255]]]
_GUESS = [[[0, 0, 1, 2], [0, 2, 2, 1]], [[0, 2, 0, 2], [0, 2, 1, 1]]]
"""A batch (2, 2, 4) of three classes; class 1 is never right, many pairs occur several times."""


def _pairs(truth: _Ids, guess: _Ids, num_classes: int, void: int = _VOID) -> list[list[int]]:
    """Counts pixel by pixel."""
    matrix = [[0] * num_classes for _ in range(num_classes)]
    for image, guesses in zip(truth, guess, strict=True):
        for row, guessed in zip(image, guesses, strict=True):
            for t, p in zip(row, guessed, strict=True):
                if t != void:
                    matrix[t][p] += 1
    return matrix


def _cause_of_matrix(
    got: list[list[float]], truth: _Ids, guess: _Ids, num_classes: int, void: int = _VOID
) -> str | None:
    """The mistake that makes this matrix of one batch."""
    expected = np.array(_pairs(truth, guess, num_classes, void), dtype=np.float64)
    t, p = np.array(truth).ravel(), np.array(guess).ravel()
    pixels = list(zip(t.tolist(), p.tolist(), strict=True))
    if void != _VOID and np.array_equal(got, _pairs(truth, guess, num_classes, _VOID)):
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


def _ids(values: object, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def _check_matrix(
    matrix: object, expected: list[list[int]], given: str, cause: Callable[[list], str | None]
) -> None:
    """Checks the type, shape and values of a confusion matrix."""
    num_classes = len(expected)
    if not isinstance(matrix, Tensor) or matrix.shape != (num_classes, num_classes):
        shape = f"a tensor ({num_classes}, {num_classes}) int64"
        wrong(given=given, expected=shape, got=_what(matrix))
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
    truth: _Ids, guess: _Ids, num_classes: int, void: int = _VOID, likely: str = ""
) -> metrics.ConfusionMatrix:
    """A matrix of one batch."""
    confusion = metrics.ConfusionMatrix(num_classes, void)
    void_pixels = sum(i == void for image in truth for row in image for i in row)
    _try(
        lambda: confusion.update(_ids(guess), _ids(truth)),
        given=f"truth {truth}, predictions {guess}, K = {num_classes}",
        expected=f"rows {_pairs(truth, guess, num_classes, void)}",
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
        expected = _pairs(truth, guess, num_classes)
        given = f"truth {truth}, predictions {guess}, K = {num_classes}"

        def cause(got: list, args: tuple = (truth, guess, num_classes)) -> str | None:
            return _cause_of_matrix(got, *args)

        _check_matrix(confusion.matrix, expected, given, cause)


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_void_goes_by_the_target() -> None:
    expected = _pairs(_TRUTH, _GUESS, 3)
    given = f"truth {_TRUTH}, predictions {_GUESS}, K = 3"
    confusion = _updated(_TRUTH, _GUESS, 3)
    _check_matrix(
        confusion.matrix, expected, given, lambda got: _cause_of_matrix(got, _TRUTH, _GUESS, 3)
    )
    truth, guess = [[[255, 0, 255, 1]]], [[[255, 0, 7, 0]]]
    confusion = _updated(truth, guess, 2)
    _check_matrix(
        confusion.matrix,
        [[1, 0], [1, 0]],
        f"truth {truth}, predictions {guess}, K = 2",
        lambda got: _cause_of_matrix(got, truth, guess, 2),
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
        expected = _pairs(truth, guess, 3, void)
        confusion = _updated(
            truth, guess, 3, void, "void is what self.ignore_index says, here not 255"
        )

        def cause(got: list, args: tuple = (truth, guess, 3, void)) -> str | None:
            return _cause_of_matrix(got, *args)

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
            lambda got, t=t, p=p, k=num_classes: _cause_of_matrix(got, [[[t, t]]], [[[p, p]]], k),
        )


@pytest.mark.todo("4.1", points=2, needs=[])
def test_4_1_adds_batches_up() -> None:
    other = [[[1, 1, 0]]], [[[1, 2, 2]]]  # truth, predictions
    confusion = metrics.ConfusionMatrix(3)
    nothing = [[0] * 3 for _ in range(3)]
    _check_matrix(confusion.matrix, nothing, "a new ConfusionMatrix(3)", lambda got: None)
    first, second = np.array(_pairs(_TRUTH, _GUESS, 3)), np.array(_pairs(*other, 3))
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
            _try(
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


class _Class(NamedTuple):
    """The counts of one class: true positives, false positives, false negatives."""

    tp: int
    fp: int
    fn: int


def _classes(matrix: list[list[int]]) -> list[_Class]:
    n = range(len(matrix))
    return [
        _Class(
            matrix[k][k],
            sum(matrix[t][k] for t in n if t != k),
            sum(matrix[k][p] for p in n if p != k),
        )
        for k in n
    ]


def _over(numerator: int, denominator: int) -> Fraction | None:
    """A fraction; None for 0 / 0."""
    return Fraction(numerator, denominator) if denominator else None


def _precision(c: _Class) -> Fraction | None:
    return _over(c.tp, c.tp + c.fp)


def _recall(c: _Class) -> Fraction | None:
    return _over(c.tp, c.tp + c.fn)


def _f1(c: _Class) -> Fraction | None:
    return _over(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def _iou(c: _Class) -> Fraction | None:
    return _over(c.tp, c.tp + c.fp + c.fn)


def _average(values: Sequence[Fraction | None]) -> float:
    """The mean of those that are not None; 0 if there is none."""
    found = [value for value in values if value is not None]
    return float(sum(found) / len(found)) if found else 0.0


_PER_CLASS: dict[str, Callable[[_Class], Fraction | None]] = {
    "these are F1, not IoU: in the union, what both have counts once": _f1,
    "these are IoU, not F1: F1 counts the true positives twice": _iou,
    "these are the precisions TP / (TP + FP)": _precision,
    "these are the recalls TP / (TP + FN)": _recall,
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
        None if _precision(c) is None or _recall(c) is None else (_precision(c) + _recall(c)) / 2
    ),
}


def _matches(got: Sequence[float], wanted: Sequence[Fraction | None], tolerance: float) -> bool:
    """Whether two rows of scores are equal, NaN where there is None."""
    return len(got) == len(wanted) and all(
        math.isnan(value) if want is None else abs(value - float(want)) <= tolerance
        for value, want in zip(got, wanted, strict=True)
    )


def _cause_per_class(
    got: list[float], matrix: list[list[int]], right: Callable[[_Class], Fraction | None]
) -> str | None:
    """The mistake that gives these scores of the classes."""
    classes = _classes(matrix)
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


def _check_per_class(
    name: str, score: Callable[[Tensor], Tensor], right: Callable[[_Class], Fraction | None]
) -> None:
    """Checks the scores of the classes of all matrices."""
    for matrix in _MATRICES:
        wanted = [right(c) for c in _classes(matrix)]
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
            wrong(given=given, expected=shape, got=_what(got), likely=likely)
        if not _matches(got.tolist(), wanted, 1e-11):
            digits = 4 if _few(got.tolist()) != _few(shown) else 14
            wrong(
                given=given,
                expected=_few(shown, digits),
                got=_few(got.tolist(), digits),
                likely=_cause_per_class(got.tolist(), matrix, right),
            )
        if got.dtype != torch.float64:
            wrong(given=given, expected="float64", got=_what(got), likely="counts are large")


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
            wrong(given=given, expected=f"{expected:.6f}", got=_what(got), likely="one number")
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
        wrong(given=given, expected="a Python float", got=_what(got), likely=likely)
    for num_classes in (3, 1, 21):
        given = f"{name} of a matrix ({num_classes}, {num_classes}) of zeros: nothing was counted"
        got = _try(
            lambda k=num_classes: score(torch.zeros(k, k, dtype=torch.int64)),
            given=given,
            expected="0.0",
            likely="0 / 0: ask first whether anything is left",
        )
        if not isinstance(got, float) or got != 0.0:
            likely = "a mean of nothing is NaN, and so is 0 / 0: ask first whether anything is left"
            shown = got if isinstance(got, float) else _what(got)
            wrong(given=given, expected="0.0, a Python float", got=shown, likely=likely)


def _wrong_means(
    matrix: list[list[int]], per_class: Callable[[_Class], Fraction | None]
) -> dict[str, float | None]:
    """The numbers that mistaken means of the classes' scores give."""
    classes = _classes(matrix)
    scores = [per_class(c) for c in classes]
    total = sum(map(sum, matrix))
    trace = sum(c.tp for c in classes)
    errors = total - trace

    def weighted(weights: list[int]) -> float | None:
        pairs = zip(scores, weights, strict=True)
        return float(sum((s or 0) * w for s, w in pairs) / sum(weights)) if total else None

    def some(keep: Callable[[_Class], bool]) -> float:
        return _average([s for s, c in zip(scores, classes, strict=True) if keep(c)])

    found = sorted(s for s in scores if s is not None)
    precision, recall = (_average([f(c) for c in classes]) for f in (_precision, _recall))
    of_means = 2 * precision * recall / (precision + recall) if trace else 0.0
    zeros = [[f(c) or Fraction(0) for c in classes] for f in (_precision, _recall)]
    p0, r0 = (_average(each) for each in zeros)
    return {
        "a class that occurs nowhere counts as 0 here; leave it out of the mean": _average(
            [s or Fraction(0) for s in scores]
        ),
        "a class that occurs nowhere counts as 1 here; leave it out of the mean": _average(
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
        "this is the mean IoU, not the mean F1": _average([_iou(c) for c in classes]),
        "this is the mean F1, not the mean IoU": _average([_f1(c) for c in classes]),
        "this is the sum; the mean is wanted": float(sum(found)),
        "in percent; a share of 0 ... 1 is wanted": 100 * _average(scores),
        "this is 1 minus the score, an error": 1 - _average(scores),
        "this is the median; the mean is wanted": float(found[(len(found) - 1) // 2]),
        "this is the best class": float(found[-1]),
        "this is the worst class": float(found[0]),
        "class 0 is left out": _average(scores[1:]),
        "the last class is left out": _average(scores[:-1]),
    }


# ------------------------------------------------------------------ 4.2 F1 and macro F1


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_f1_of_each_class() -> None:
    _check_per_class("f1_per_class", metrics.f1_per_class, _f1)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1() -> None:
    def right(matrix: list[list[int]]) -> float:
        return _average([_f1(c) for c in _classes(matrix)])

    def mistakes(matrix: list[list[int]]) -> dict[str, float | None]:
        return _wrong_means(matrix, _f1)

    _check_score("macro_f1", metrics.macro_f1, right, mistakes)


@pytest.mark.todo("4.2", points=2, needs=[])
def test_4_2_macro_f1_is_a_float() -> None:
    _check_floats("macro_f1", metrics.macro_f1)


# ------------------------------------------------------------------ 4.3 IoU and mean IoU


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_iou_of_each_class() -> None:
    _check_per_class("iou_per_class", metrics.iou_per_class, _iou)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou() -> None:
    def right(matrix: list[list[int]]) -> float:
        return _average([_iou(c) for c in _classes(matrix)])

    def mistakes(matrix: list[list[int]]) -> dict[str, float | None]:
        return _wrong_means(matrix, _iou)

    _check_score("mean_iou", metrics.mean_iou, right, mistakes)


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_mean_iou_is_a_float() -> None:
    _check_floats("mean_iou", metrics.mean_iou)


# ------------------------------------------------------------------ 4.4 accuracies

_NEVER_RIGHT = [[0, 3, 1], [2, 0, 0], [0, 0, 0]]


def _right_share(matrix: list[list[int]]) -> float:
    total = sum(map(sum, matrix))
    return float(Fraction(sum(c.tp for c in _classes(matrix)), total))


def _wrong_accuracies(matrix: list[list[int]]) -> dict[str, float | None]:
    """The numbers that mistaken accuracies give."""
    classes = _classes(matrix)
    recalls = [_recall(c) for c in classes]
    total = sum(map(sum, matrix))
    num_classes = len(classes)
    return {
        "this is the mean recall of the classes": _average(recalls),
        "this is the share of all pixels that are right": _right_share(matrix),
        "this is the mean precision TP / (TP + FP): divide by the truth, the sums of the rows": (
            _average([_precision(c) for c in classes])
        ),
        "classes without truth pixels count as 0; leave them out": _average(
            [r or Fraction(0) for r in recalls]
        ),
        "classes without truth pixels count as 1; leave them out": _average(
            [Fraction(1) if r is None else r for r in recalls]
        ),
        "classes that are only predicted count as 0; only those with truth pixels count": _average(
            [
                Fraction(0) if r is None and c.fp else r
                for r, c in zip(recalls, classes, strict=True)
            ]
        ),
        "classes that are never predicted are left out; their recall is 0": _average(
            [r for r, c in zip(recalls, classes, strict=True) if c.tp + c.fp]
        ),
        "classes without a right pixel are left out; their recall is 0": _average(
            [r for r, c in zip(recalls, classes, strict=True) if c.tp]
        ),
        "true negatives count as right here (TP + TN over all), class by class": _average(
            [Fraction(total - c.fp - c.fn, total) for c in classes]
        ),
        "this is the share of the pixels that are wrong": 1 - _right_share(matrix),
        "divided by the number of entries of the matrix, not of pixels": (
            sum(c.tp for c in classes) / num_classes**2
        ),
        "this is the mean of the diagonal: divide by the pixels": (
            sum(c.tp for c in classes) / num_classes
        ),
        "the shares of all pixels are averaged over the classes: divide once, by all pixels": (
            _right_share(matrix) / num_classes
        ),
        "this is a sum over the classes; the mean is wanted": float(
            sum(r for r in recalls if r is not None)
        ),
        "this is TP / (TP + FP + FN) over all classes": float(
            Fraction(sum(c.tp for c in classes), sum(c.tp + c.fp + c.fn for c in classes))
        ),
        "this is the number of right pixels, not their share": float(sum(c.tp for c in classes)),
        "in percent; a share of 0 ... 1 is wanted": 100 * _right_share(matrix),
        "these are percent; a share of 0 ... 1 is wanted": 100 * _average(recalls),
        "this is the mean F1": _average([_f1(c) for c in classes]),
        "this is the mean IoU": _average([_iou(c) for c in classes]),
    }


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_pixel_accuracy() -> None:
    matrices = (*_MATRICES, _NEVER_RIGHT)
    score = metrics.pixel_accuracy
    _check_score("pixel_accuracy", score, _right_share, _wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_mean_accuracy() -> None:
    def right(matrix: list[list[int]]) -> float:
        return _average([_recall(c) for c in _classes(matrix)])

    matrices = (*_MATRICES, _NEVER_RIGHT)
    _check_score("mean_accuracy", metrics.mean_accuracy, right, _wrong_accuracies, matrices, 3e-7)


@pytest.mark.todo("4.4", points=1, needs=[])
def test_4_4_accuracies_are_floats() -> None:
    _check_floats("pixel_accuracy", metrics.pixel_accuracy)
    _check_floats("mean_accuracy", metrics.mean_accuracy)


VOID = 255


def near(value: float, expected: float, tolerance: float = 1e-5) -> bool:
    """Whether a number is right but for rounding; NaN and infinities never are."""
    return math.isfinite(value) and abs(value - expected) <= tolerance * max(1.0, abs(expected))


def all_near(values: list[float], expected: list[float], tolerance: float) -> bool:
    """Whether all are right but for rounding, each by its own size."""
    pairs = zip(values, expected, strict=True)
    return all(math.isfinite(a) and abs(a - b) <= tolerance * abs(b) for a, b in pairs)


def recognise(value: float, mistakes: dict[str, float], tolerance: float = 1e-5) -> str | None:
    """Finds the mistake that gives this very value."""
    found = [name for name, each in mistakes.items() if near(value, each, tolerance)]
    return found[0] if found else None


def numbers(values: object) -> str:
    """A few numbers in short."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    text = ", ".join(f"{each:.4g}" for each in flat[:12])
    return f"[{text}{', …' if flat.size > 12 else ''}]"


# ---- 5.1 class weights ---------------------------------------------------------------------------

COUNTS = {
    "two decades": [600, 300, 90, 0, 10],
    "classes without pixels": [0, 0, 0, 700, 0, 250, 50, 0],
    "a rare class": [5_000_000_000, 400_000_000, 0, 3_000],
    "three classes": [7, 1, 2],
}
FORMULAS: dict[str, Callable[[float, float], float]] = {
    "inverse": lambda share, middle: 1 / share,
    "sqrt": lambda share, middle: 1 / math.sqrt(share),
    "median": lambda share, middle: middle / share,
}
IN_WORDS = {"inverse": "1 / f_k", "sqrt": "1 / √f_k", "median": "median(f) / f_k"}
OTHER_FORMULAS: dict[str, Callable[[float, float], float]] = {
    "these are 1 / f_k": lambda share, middle: 1 / share,
    "these are 1 / √f_k": lambda share, middle: 1 / math.sqrt(share),
    "these grow with the share f_k: upside down": lambda share, middle: share,
    "these grow with √f_k: the root without 1 /": lambda share, middle: math.sqrt(share),
    "these are 1 / f_k², a square for a root": lambda share, middle: 1 / share**2,
    "these are f_k²": lambda share, middle: share**2,
    "these are 1 - f_k": lambda share, middle: 1 - share,
    "these are √(1 - f_k)": lambda share, middle: math.sqrt(1 - share),
    "these are -log f_k": lambda share, middle: -math.log(share),
    "these are 1 / log(1.02 + f_k), another paper's": lambda s, m: 1 / math.log(1.02 + s),
    "these are exp(-f_k), a softmax of -f_k": lambda share, middle: math.exp(-share),
    "all the same: the share f_k of each class is missing": lambda share, middle: 1.0,
    "these are capped at 1": lambda share, middle: min(1.0, middle / share),
    "these are median(f) - f_k": lambda share, middle: middle - share,
    "these are |median(f) - f_k|": lambda share, middle: abs(middle - share),
}


def weights_by_hand(
    counts: list[int], formula: Callable[[float, float], float], scale: str = "mean"
) -> list[float]:
    """Class by class, in Python's own numbers; `scale` is "mean", "sum", "all" or "no"."""
    total = sum(counts)
    shares = sorted(n / total for n in counts if n)
    half = len(shares) // 2
    middle = shares[half] if len(shares) % 2 else (shares[half - 1] + shares[half]) / 2
    raw = [formula(n / total, middle) if n else 0.0 for n in counts]
    divisors = {"mean": sum(raw) / len(shares), "sum": sum(raw), "all": sum(raw) / len(raw)}
    divisor = divisors.get(scale, 1.0) or 1.0
    return [each / divisor for each in raw]


def likely_weights(got: list[float], counts: list[int], strategy: str) -> str | None:
    """Finds the formula, or the scaling, that gives these weights."""

    def same(other: list[float]) -> bool:
        return all_near(got, other, 1e-3)

    formula = FORMULAS[strategy]
    if any(not math.isfinite(each) for each in got):
        return "a division by 0: leave out the classes without pixels, also before the median"
    for name, other in OTHER_FORMULAS.items():
        if same(weights_by_hand(counts, other)):
            return f"{name}; {strategy} is {IN_WORDS[strategy]}"
    scales = {
        "sum": "scaled to sum 1; scale to mean 1",
        "all": "the mean is 1 over all classes; take it over those that have pixels",
        "no": "not scaled to mean 1",
    }
    for scale, text in scales.items():
        if same(weights_by_hand(counts, formula, scale)):
            return text
    if any(each and not n for each, n in zip(got, counts, strict=True)):
        return "a class without pixels must get the weight 0"
    present = [(n, each) for n, each in zip(counts, got, strict=True) if n]
    rarest, commonest = min(present), max(present)
    expected = weights_by_hand(counts, formula)
    ratio = max(expected) / min(each for each in expected if each)
    if 0 < rarest[1] < 0.95 * ratio * commonest[1]:
        return (
            "the rarest class weighs too little against the commonest: nothing is added to the "
            f"shares, and no weight is cut off; {strategy} is {IN_WORDS[strategy]}"
        )
    return f"{strategy} is {IN_WORDS[strategy]}, for each class on its own"


def check_class_weights(counts: object, plain: list[int], strategy: str, given: str) -> None:
    """Compares weights with those made by hand."""
    weights = class_weights(counts, strategy)
    given = f"{given}, {strategy}"
    if not isinstance(weights, Tensor) or weights.shape != (len(plain),):
        wrong(given=given, expected=f"a tensor ({len(plain)},)", got=describe(weights))
    if weights.dtype != torch.float32:
        wrong(given=given, expected="float32", got=weights.dtype)
    expected, got = weights_by_hand(plain, FORMULAS[strategy]), weights.tolist()
    if not all_near(got, expected, 1e-4):
        likely = likely_weights(got, plain, strategy)
        wrong(given=given, expected=numbers(expected), got=numbers(got), likely=likely)


def describe(value: object) -> str:
    """What kind of thing came."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    return f"{type(value).__name__} {str(value)[:60]}"


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_follow_the_formula(strategy: str, kind: str) -> None:
    counts = COUNTS[kind]
    check_class_weights(torch.tensor(counts), counts, strategy, f"pixels {counts}")


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("strategy", FORMULAS)
def test_5_1_class_weights_take_arrays_and_lists(strategy: str) -> None:
    counts = [40, 10, 0, 150]
    before = np.array(counts)
    for given in (counts, before, torch.tensor(counts)):
        check_class_weights(given, [40, 10, 0, 150], strategy, f"{type(given).__name__} {counts}")
    if before.tolist() != [40, 10, 0, 150]:
        wrong(given="counts", expected="the counts as they were", got="they were changed in place")


@pytest.mark.todo("5.1", points=2, needs=[])
def test_5_1_class_weights_are_equal_without_weighting() -> None:
    check_class_weights(torch.tensor([30, 0, 10]), [30, 0, 10], "inverse", "pixels [30, 0, 10]")
    got = class_weights(torch.tensor([30, 0, 10]), "none").tolist()
    if not all_near(got, [1.0, 0.0, 1.0], 1e-5):
        wrong(given="pixels [30, 0, 10], none", expected="[1, 0, 1]", got=numbers(got))


@pytest.mark.todo("5.1", points=2, needs=[])
@pytest.mark.parametrize("kind", COUNTS)
def test_5_1_class_weights_by_effective_number(kind: str) -> None:
    counts = COUNTS[kind]
    check_class_weights(torch.tensor(counts), counts, "inverse", f"pixels {counts}")
    log_beta = math.log1p(-1 / sum(counts))  # (1 - β) falls out in the scaling
    raw = [1 / -math.expm1(n * log_beta) if n else 0.0 for n in counts]
    mean = sum(raw) / sum(n > 0 for n in counts)
    expected = [each / mean for each in raw]
    got = class_weights(torch.tensor(counts), "effective").tolist()
    if not all_near(got, expected, 1e-4):
        likely = "(1 - β) / (1 - β^n_k) with β = (N - 1) / N needs double precision"
        given = f"pixels {counts}, effective"
        wrong(given=given, expected=numbers(expected), got=numbers(got), likely=likely)


# ---- 5.2 and 5.3 the losses ----------------------------------------------------------------------

WEIGHTS = [0.25, 2.0, 0.5, 4.0]


def a_batch(
    sizes: tuple[int, int, int] = (2, 3, 5), num_classes: int = 4, void: int = VOID, seed: int = 1
) -> tuple[Tensor, Tensor]:
    """Logits (B, K, H, W) float32 and a target (B, H, W), with more void in one image."""
    random = np.random.default_rng(seed)
    batch, height, width = sizes
    logits = random.normal(0, 2, (batch, num_classes, height, width))
    target = random.integers(0, num_classes, sizes)
    is_void = random.random(sizes) < np.linspace(0.1, 0.5, batch)[:, None, None]
    is_void.flat[0], is_void.flat[-1] = False, sizes != (1, 1, 1)
    target[is_void] = void
    return torch.from_numpy(logits).float(), torch.from_numpy(target)


def log_softmax_by_hand(logits: np.ndarray, axis: int) -> np.ndarray:
    """In numpy, so without any gradient."""
    shifted = logits - logits.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def pick(channels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The true class's channel at each pixel: (B, K, H, W), (B, H, W) → (B, H, W)."""
    return np.take_along_axis(channels, ids[:, None], 1)[:, 0]


class ByHand:
    """Both losses pixel by pixel, and what the well-known mistakes would give instead."""

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        weights: list[float] | None,
        gamma: float = 0.0,
        void: int = VOID,
    ) -> None:
        self.logits, self.target, self.gamma = logits.double().numpy(), target.long().numpy(), gamma
        self.valid = self.target != void
        self.ids = np.where(self.valid, self.target, 0)
        self.class_weights = np.array(weights or [1.0] * self.logits.shape[1])
        self.all_weights = self.class_weights[self.ids]
        self.weights = self.all_weights * self.valid
        self.errors = -pick(log_softmax_by_hand(self.logits, 1), self.ids)
        self.pixels = self.focal(self.errors)

    def focal(self, errors: np.ndarray) -> np.ndarray:
        """(1 - p)^γ · CE for cross entropies."""
        return (-np.expm1(-errors)) ** self.gamma * errors

    def loss(self) -> float:
        """Σ w·(1 - p)^γ·CE / Σ w."""
        return self._mean(self.pixels)

    def gradient(self, detached: bool = False) -> np.ndarray:
        """The slope of the loss for each logit, in closed form: (B, K, H, W)."""
        p, gamma = np.exp(-self.errors), self.gamma
        slope = (1 - p) ** gamma
        if gamma and not detached:
            with np.errstate(divide="ignore", invalid="ignore"):
                inner = gamma * (1 - p) ** (gamma - 1) * p * self.errors
            slope = slope + np.where(p < 1, inner, 0.0)
        softmax = np.exp(log_softmax_by_hand(self.logits, 1))
        is_true = np.arange(softmax.shape[1])[None, :, None, None] == self.ids[:, None]
        return (self.weights * slope)[:, None] * (softmax - is_true) / self.weights.sum()

    def _mean(self, pixels: np.ndarray) -> float:
        return float((self.weights * pixels).sum() / self.weights.sum())

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        with np.errstate(all="ignore"):
            found = self._of_the_mean() | self._of_the_pixels()
            return (self._of_the_factor() if self.gamma else {}) | found

    def _of_the_mean(self) -> dict[str, float]:
        w, pixels, valid = self.weights, self.pixels, self.valid
        weighted, guess = w * pixels, self.class_weights[self.logits.argmax(1)] * valid
        images = [a[v > 0].sum() / v.sum() for a, v in zip(weighted, w, strict=True) if v.any()]
        classes = [pixels[valid & (self.ids == k)] for k in range(len(self.class_weights))]
        per_class = [each.mean() for each in classes if each.size]
        every = self.all_weights
        last = self.focal(-log_softmax_by_hand(self.logits, 1)[:, -1])
        last_weights = self.class_weights[-1] * ~valid
        void_as_last = (weighted + last_weights * last).sum() / (w + last_weights).sum()
        return {
            "this is the mean over the valid pixels; divide by the sum of their weights": (
                weighted.sum() / valid.sum()
            ),
            "this is the mean over all pixels, void ones too; divide by the sum of the valid "
            "pixels' weights": weighted.mean(),
            "this is the sum over the pixels; divide by the sum of their weights": weighted.sum(),
            "this is the sum divided by the number of images": weighted.sum() / len(w),
            "the class weights do not take part": (pixels * valid).sum() / valid.sum(),
            "the class weights are in the denominator alone": (pixels * valid).sum() / w.sum(),
            "a pixel's weight goes by its true class, not by the predicted one": (
                (guess * pixels).sum() / guess.sum()
            ),
            "every pixel has its weight twice": (w * weighted).sum() / w.sum(),
            "the weights are squared": (w * weighted).sum() / (w * w).sum(),
            "this is divided by the sum of the K class weights; divide by that of the pixels' "
            "weights": weighted.sum() / self.class_weights.sum(),
            "void pixels are counted as class 0": (every * pixels).sum() / every.sum(),
            "void pixels are counted as class K - 1": void_as_last,
            "class 0 is left out; only void pixels are": (
                (weighted * (self.ids > 0)).sum() / (w * (self.ids > 0)).sum()
            ),
            "this is divided by the pixels' number times the mean of the K class weights; divide "
            "by the sum of the pixels' weights": (
                weighted.sum() / (valid.sum() * self.class_weights.mean())
            ),
            "void pixels are counted in the denominator": weighted.sum() / every.sum(),
            "void pixels are counted in the numerator": (every * pixels).sum() / w.sum(),
            "this is the mean of the images' means; add up over the whole batch first": (
                np.mean(images)
            ),
            "this is the mean of the classes' means": np.mean(per_class),
            "the sign is turned round": -self.loss(),
        }

    def _of_the_pixels(self) -> dict[str, float]:
        z, ids, num_classes = self.logits, self.ids, self.logits.shape[1]
        log_p = log_softmax_by_hand(z, 1)
        mixed = log_softmax_by_hand(z.reshape(-1, num_classes), 1)
        mixed = -np.take_along_axis(mixed, ids.reshape(-1, 1), 1).reshape(ids.shape)
        by_weight = log_softmax_by_hand(z * self.class_weights[None, :, None, None], 1)
        plus = np.log(self.class_weights)[None, :, None, None]
        sigmoid = np.logaddexp(0, -pick(z, ids))
        every = np.logaddexp(0, z).sum(1) - pick(z, ids)
        other = {
            f"the softmax is over axis {axis}; the classes are axis 1": (
                self.focal(-pick(log_softmax_by_hand(z, axis), ids))
            )
            for axis in (0, 2, 3)
        }
        other |= {
            "the logits were reshaped to (…, K) without permute: pixels and classes are mixed": (
                self.focal(mixed)
            ),
            "the softmax is taken twice; the cross entropy wants logits": (
                self.focal(-pick(log_softmax_by_hand(np.exp(log_p), 1), ids))
            ),
            "a sigmoid stands for the softmax": self.focal(sigmoid),
            "a sigmoid for each class stands for the softmax": every,
            "a mean over the classes' sigmoids stands for the softmax": every / num_classes,
            "the weights multiply the logits, not the cross entropy": (
                self.focal(-pick(by_weight, ids))
            ),
            "the weights multiply the probability inside the logarithm": (
                self.errors - pick(np.broadcast_to(plus, z.shape), ids)
            ),
            "this is 1 - p, without a logarithm": 1 - np.exp(-self.errors),
            "this is -p, without a logarithm": -np.exp(-self.errors),
            "this is -logit, without a softmax": -pick(z, ids),
            "the logarithm is not the natural one": self.pixels / math.log(2),
            "the logarithm is that of base 10": self.pixels / math.log(10),
            "the labels are smoothed": 0.9 * self.errors - 0.1 * log_p.mean(1),
            "all classes are added up, not the true one alone": -log_p.sum(1),
            "this is the predicted class's cross entropy; take the true class's": (
                self.focal(-log_p.max(1))
            ),
        }
        return {name: self._mean(pixels) for name, pixels in other.items()}

    def _of_the_factor(self) -> dict[str, float]:
        w, errors, gamma, valid = self.weights, self.errors, self.gamma, self.valid
        p = np.exp(-errors)
        log_p = log_softmax_by_hand(self.logits, 1)
        mean, plain = self._mean(errors), float(errors[valid].mean())
        weighted_p = np.exp(-w * errors)
        factor = (1 - p) ** gamma
        other = {
            "this is the cross entropy without the factor (1 - p_t)^γ": errors,
            "the factor is p_t^γ: easy pixels would count more; it is (1 - p_t)^γ": (
                p**gamma * errors
            ),
            "the factor is γ·(1 - p_t); γ is its power": gamma * (1 - p) * errors,
            "the factor is 1 - p_t^γ; it is (1 - p_t)^γ": (1 - p**gamma) * errors,
            "γ is 2 whatever is asked for": (1 - p) ** 2 * errors,
            "γ is 1 whatever is asked for": (1 - p) * errors,
            "p_t is taken from the weighted cross entropy; take it before the weights": (
                (1 - weighted_p) ** gamma * errors
            ),
            "the factor has the weight inside it": (w * (1 - p)) ** gamma * errors,
            "the factor goes by the predicted class's probability; p_t is the true class's": (
                (1 - np.exp(log_p.max(1))) ** gamma * errors
            ),
            "the factor stands without the cross entropy": factor,
            "the factor multiplies the probability, not its logarithm": -factor * p,
            "the factor is of the cross entropy, CE^γ; it is (1 - p_t)^γ": errors**gamma * errors,
            "the factor goes by the sigmoid of the logit; p_t is the softmax's": (
                (1 / (1 + np.exp(pick(self.logits, self.ids)))) ** gamma * errors
            ),
            "the factor goes by the logit; p_t is the softmax probability": (
                (1 - pick(self.logits, self.ids)) ** gamma * errors
            ),
            "the factor goes by log p_t; p_t = exp(-CE)": (1 + errors) ** gamma * errors,
            "the factor is taken for each class and averaged": (
                ((1 - np.exp(log_p)) ** gamma).mean(1) * errors
            ),
            "the factor's power is on the cross entropy too": ((1 - p) * errors) ** gamma,
        }
        found = {name: self._mean(pixels) for name, pixels in other.items()}
        done = "the factor belongs to each pixel, before the sum: it was applied to the mean"
        mean_p = float((p * valid).sum() / valid.sum())
        found |= {
            done: (1 - math.exp(-mean)) ** gamma * mean,
            done + " (of 1 - p_t)": (1 - mean_p) ** gamma * mean,
            done + " without weights": (1 - math.exp(-plain)) ** gamma * mean,
            "the denominator is Σ w, without the factor": (
                (w * self.pixels).sum() / (w * factor).sum()
            ),
        }
        return found


def loss_and_gradient(
    criterion: nn.Module, logits: Tensor, target: Tensor, given: str
) -> tuple[float, np.ndarray]:
    """The loss as a number, and its gradient for the logits, which were not touched before."""
    leaf = logits.detach().clone().requires_grad_()
    loss = criterion(leaf, target)
    expected = "a scalar tensor, from which backward() goes back to the logits"
    if not isinstance(loss, Tensor):
        likely = "a loss that is no tensor has no gradient; leave .item() and float() out"
        wrong(given=given, expected=expected, got=describe(loss), likely=likely)
    if loss.shape != ():
        likely = "divide one sum by another: one number for the whole batch"
        wrong(given=given, expected=expected, got=describe(loss), likely=likely)
    if loss.requires_grad:
        loss.backward()
    if leaf.grad is None:
        likely = "the loss is cut off from the logits: detach(), no_grad(), numpy, a new tensor"
        got = f"{loss.item():.4g} without a gradient"
        wrong(given=given, expected=expected, got=got, likely=likely)
    return loss.item(), leaf.grad.double().numpy()


def check_loss(
    criterion: nn.Module,
    logits: Tensor,
    target: Tensor,
    hand: ByHand,
    given: str,
    otherwise: str | None = None,
) -> None:
    """Compares the value with that computed by hand; `otherwise` is the last guess at a cause."""
    value, _ = loss_and_gradient(criterion, logits, target, given)
    expected = hand.loss()
    if not near(value, expected):
        likely = recognise(value, hand.mistakes())
        if likely is None and not math.isfinite(value):
            likely = "a logarithm of 0, or 0 / 0"
        if likely is None and near(value, expected, 2e-3):
            likely = "the numbers are rounded on the way: stay in float32"
        likely = likely or otherwise
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}", likely=likely)


def check_gradient(
    criterion: nn.Module,
    logits: Tensor,
    target: Tensor,
    hand: ByHand,
    given: str,
    tolerance: float = 1e-4,
) -> None:
    """Compares the gradient with the closed form."""
    _, gradient = loss_and_gradient(criterion, logits, target, given)
    expected = hand.gradient()
    given, size = f"{given}; the gradient for the logits", np.abs(expected).max()
    if np.allclose(gradient, expected, rtol=tolerance, atol=0.1 * tolerance * size):
        return
    likely = None
    if not np.isfinite(gradient).all():
        likely = "log(softmax) or a root has an infinite slope at 0; log_softmax has not"
    elif np.abs(gradient * ~hand.valid[:, None]).max() > 0:
        likely = "void pixels have a gradient; it must be 0 there"
    elif np.allclose(gradient, hand.gradient(detached=True), rtol=1e-4, atol=1e-6 * size):
        likely = "the factor (1 - p_t)^γ is detached; it takes part in the gradient"
    elif np.allclose(gradient, 0):
        likely = "the gradient is 0 everywhere: the loss does not go back to the logits"
    worst = np.unravel_index(np.abs(gradient - expected).argmax(), expected.shape)
    where = "at (image, class, row, column) " + str(tuple(int(i) for i in worst))
    wrong(
        given=given,
        expected=f"{expected[worst]:.6g} {where}",
        got=f"{gradient[worst]:.6g}",
        likely=likely,
    )


def buffer_of(weights: list[float] | None) -> Tensor | None:
    """Weights as the constructor takes them."""
    return None if weights is None else torch.tensor(weights)


def make(number: str, weights: list[float] | None, gamma: float, void: int = VOID) -> nn.Module:
    """The loss of TODO 5.2 or 5.3."""
    if number == "5.2":
        return WeightedCrossEntropy(buffer_of(weights), ignore_index=void)
    return FocalLoss(gamma, buffer_of(weights), ignore_index=void)


def check_other_ignore_index(number: str, gamma: float) -> None:
    """The void value is what the constructor was given."""
    for void in (254, 4, 0):
        logits, target = a_batch(void=4 if void == 0 else void)
        if void == 0:
            target[target == 4] = 0
        hand = ByHand(logits, target, WEIGHTS, gamma, void)
        given = f"ignore_index={void}, weights {WEIGHTS}"
        otherwise = f"void is what ignore_index says, {void} here, not always 255"
        check_loss(make(number, WEIGHTS, gamma, void), logits, target, hand, given, otherwise)


def check_target_types(number: str, gamma: float) -> None:
    """uint8 and int64 give the same, and nothing given is changed."""
    logits, target = a_batch(seed=3)
    hand = ByHand(logits, target, WEIGHTS, gamma)
    criterion = make(number, WEIGHTS, gamma)
    for ids in (target, target.byte()):
        kept, kept_logits = ids.clone(), logits.clone()
        check_loss(criterion, logits, ids, hand, f"target of {ids.dtype}")
        with torch.no_grad():
            criterion(logits, ids)
        if not torch.equal(ids, kept):
            likely = "target[target == 255] = … writes into the caller's tensor; work on a copy"
            got = f"void pixels became class {ids[kept == VOID].unique().tolist()}"
            wrong(given=ids.dtype, expected="the target as it was", got=got, likely=likely)
        if not torch.equal(logits, kept_logits):
            wrong(given=ids.dtype, expected="the logits as they were", got="changed in place")


def check_thin_pictures(number: str, gamma: float) -> None:
    """Pictures of one row, of one column, of one pixel, and a single one."""
    for sizes in ((1, 3, 5), (3, 1, 4), (2, 5, 1), (1, 1, 1)):
        logits, target = a_batch(sizes, seed=5)
        hand = ByHand(logits, target, WEIGHTS, gamma)
        given = f"logits {tuple(logits.shape)}, target {sizes}"
        value, _ = loss_and_gradient(make(number, WEIGHTS, gamma), logits, target, given)
        if not near(value, hand.loss()):
            spread = (hand.weights * np.squeeze(hand.pixels)).sum() / hand.weights.sum()
            mistakes = {"squeeze() drops every axis of length 1; use squeeze(1)": float(spread)}
            likely = recognise(value, mistakes | hand.mistakes())
            wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)


def check_nothing_counted(number: str, gamma: float) -> None:
    """Only void pixels, or only pixels of weight 0: the loss is 0, the gradient too."""
    logits, target = a_batch(seed=6)
    weightless = torch.where(target == VOID, VOID, 0)
    cases = {
        "only void pixels": (torch.full_like(target, VOID), None),
        "only void pixels, and weights": (torch.full_like(target, VOID), WEIGHTS),
        "only pixels of a class of weight 0": (weightless, [0.0, 1.0, 2.0, 3.0]),
    }
    for given, (ids, weights) in cases.items():
        expected = "a loss of 0 and a gradient of 0"
        loss, gradient = loss_and_gradient(make(number, weights, gamma), logits, ids, given)
        likely = None
        if not math.isfinite(loss) or not np.isfinite(gradient).all():
            likely = "0 / 0: the sum of the weights is 0 here; ratio() divides safely"
        elif abs(loss) > 1e-6 and (ids == VOID).all():
            likely = "void pixels are counted as a class"
        if likely or abs(loss) > 1e-6 or np.abs(gradient).max() > 1e-6:
            got = f"a loss of {loss:.4g}, gradients up to {np.abs(gradient).max():.4g}"
            wrong(given=given, expected=expected, got=got, likely=likely)


def check_weights(number: str, gamma: float) -> None:
    """A class of weight 0, a common factor, and where the weights are kept."""
    logits, target = a_batch(seed=7)
    weights = [0.0, 2.0, 0.5, 4.0]
    hand = ByHand(logits, target, weights, gamma)
    check_loss(make(number, weights, gamma), logits, target, hand, f"weights {weights}")
    hand = ByHand(logits, target, WEIGHTS, gamma)
    for factor in (8.0, 0.001, 1e-6):
        scaled = [factor * each for each in WEIGHTS]
        value, _ = loss_and_gradient(make(number, scaled, gamma), logits, target, "weights")
        if not near(value, hand.loss(), 1e-4):
            likely = recognise(value, ByHand(logits, target, scaled, gamma).mistakes())
            likely = likely or "a common factor of the weights falls out only if Σ w divides"
            given = f"weights {WEIGHTS}, all times {factor:g}"
            wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)
    criterion = make(number, WEIGHTS, gamma)
    held = [each.double() for each in criterion.buffers() if each.shape == (4,)]
    expected = torch.tensor(WEIGHTS).double()
    if not any(torch.allclose(each * expected[0], expected * each[0]) for each in held):
        got = f"buffers {[name for name, _ in criterion.named_buffers()]}"
        likely = "register_buffer, so that to(device) takes them along"
        wrong(given="the weights", expected="a registered buffer", got=got, likely=likely)
    if list(criterion.parameters()):
        wrong(given="the loss", expected="nothing to train", got="a parameter")


def check_extremes(number: str, gamma: float) -> None:
    """Logits of ±1000: one pixel right, two wrong by far, one void."""
    scores = torch.tensor([1000.0, -1000.0, 0.0])
    target = torch.tensor([[[0, 1], [2, VOID]]])
    logits = scores[None, :, None, None].expand(1, 3, 2, 2).contiguous()
    for weights in (None, [1.0, 2.0, 4.0]):
        hand = ByHand(logits, target, weights, gamma)
        given = f"logits 1000, -1000 and 0, weights {weights}"
        criterion = make(number, weights, gamma)
        value, gradient = loss_and_gradient(criterion, logits, target, given)
        likely = None
        if not math.isfinite(value):
            likely = "log(softmax) is -inf where the softmax is 0; log_softmax is not"
        elif 0 < value < 0.5 * hand.loss():
            likely = "a probability was kept away from 0 (clamp, or + ε); log_softmax is exact"
        elif not np.isfinite(gradient).all():
            likely = "the gradient is not finite; log_softmax's is"
        if likely or not near(value, hand.loss(), 1e-4):
            likely = likely or recognise(value, hand.mistakes())
            expected = f"{hand.loss():.6g}, and a finite gradient"
            wrong(given=given, expected=expected, got=f"{value:.6g}", likely=likely)
        check_gradient(criterion, logits, target, hand, given, tolerance=0.01)
    scores = torch.tensor([[1000.0, 2.0], [-1000.0, 1.0], [0.0, 0.0]])  # (K, W)
    logits, target = scores[None, :, None, :].contiguous(), torch.tensor([[[0, 2]]])
    hand = ByHand(logits, target, None, gamma)
    given = "a pixel with logits (1000, -1000, 0) beside one with (2, 1, 0)"
    value, _ = loss_and_gradient(make(number, None, gamma), logits, target, given)
    if not near(value, hand.loss(), 1e-4):
        likely = "one maximum was subtracted for all pixels; log_softmax takes each pixel's own"
        wrong(given=given, expected=f"{hand.loss():.6g}", got=f"{value:.6g}", likely=likely)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_without_weights_is_the_mean_over_the_valid_pixels() -> None:
    logits, target = a_batch()
    hand = ByHand(logits, target, None)
    check_loss(WeightedCrossEntropy(), logits, target, hand, "no weights")


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("seed", [1, 2])
def test_5_2_loss_is_divided_by_the_sum_of_the_weights(seed: int) -> None:
    logits, target = a_batch(seed=seed)
    hand = ByHand(logits, target, WEIGHTS)
    check_loss(make("5.2", WEIGHTS, 0.0), logits, target, hand, f"weights {WEIGHTS}")


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    check_other_ignore_index("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_takes_any_target_and_leaves_it_alone() -> None:
    check_target_types("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_of_thin_pictures() -> None:
    check_thin_pictures("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_exact_for_extreme_logits() -> None:
    check_extremes("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_2_gradient_is_softmax_minus_truth(weights: list[float] | None) -> None:
    logits, target = a_batch(seed=4)
    hand = ByHand(logits, target, weights)
    check_gradient(make("5.2", weights, 0.0), logits, target, hand, f"weights {weights}")


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_loss_is_zero_where_nothing_counts() -> None:
    check_nothing_counted("5.2", 0.0)


@pytest.mark.todo("5.2", points=3, needs=[])
def test_5_2_weights_matter_by_their_ratios_alone() -> None:
    check_weights("5.2", 0.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [2.0, 0.5, 1.0, 3.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_focal_loss_follows_the_formula(gamma: float, weights: list[float] | None) -> None:
    logits, target = a_batch()
    hand = ByHand(logits, target, weights, gamma)
    given = f"γ = {gamma:g}, weights {weights}"
    check_loss(make("5.3", weights, gamma), logits, target, hand, given)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_has_gamma_two_by_default() -> None:
    logits, target = a_batch(seed=2)
    hand = ByHand(logits, target, WEIGHTS, 2.0)
    check_loss(FocalLoss(weights=buffer_of(WEIGHTS)), logits, target, hand, "no gamma, so γ = 2")
    check_loss(FocalLoss(), logits, target, ByHand(logits, target, None, 2.0), "FocalLoss()")


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_5_3_gamma_zero_is_the_weighted_cross_entropy(weights: list[float] | None) -> None:
    logits, target = a_batch(seed=8)
    hand, criterion = ByHand(logits, target, weights, 0.0), make("5.3", weights, 0.0)
    check_loss(criterion, logits, target, hand, f"γ = 0, weights {weights}")
    check_gradient(criterion, logits, target, hand, f"γ = 0, weights {weights}")


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    check_other_ignore_index("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_takes_any_target_and_leaves_it_alone() -> None:
    check_target_types("5.3", 1.5)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_of_thin_pictures() -> None:
    check_thin_pictures("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_5_3_focal_loss_is_exact_for_extreme_logits(gamma: float) -> None:
    check_extremes("5.3", gamma)


@pytest.mark.todo("5.3", points=3, needs=[])
@pytest.mark.parametrize(("gamma", "weights"), [(2.0, None), (2.0, WEIGHTS), (0.5, WEIGHTS)])
def test_5_3_factor_takes_part_in_the_gradient(gamma: float, weights: list[float] | None) -> None:
    logits, target = a_batch(seed=9)
    hand = ByHand(logits, target, weights, gamma)
    given = f"γ = {gamma:g}, weights {weights}"
    check_gradient(make("5.3", weights, gamma), logits, target, hand, given)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_focal_loss_is_zero_where_nothing_counts() -> None:
    check_nothing_counted("5.3", 2.0)


@pytest.mark.todo("5.3", points=3, needs=[])
def test_5_3_weights_matter_by_their_ratios_alone() -> None:
    check_weights("5.3", 2.0)


# ---- 6.1 and 6.2 training and evaluation ---------------------------------------------------------

CHANNELS, CLASSES = 3, 4
RATE, MOMENTUM = 0.2, 0.9
Batch = tuple[Tensor, Tensor]


def make_batches(void: int = VOID) -> list[Batch]:
    """Batches of 3, 1 and 2 images, with unequal sizes and unequal shares of void."""
    random = np.random.default_rng(11)
    batches = []
    for images, height, width, share in ((3, 4, 5, 0.1), (1, 4, 5, 0.8), (2, 2, 3, 0.5)):
        pictures = random.normal(0.3, 1.5, (images, CHANNELS, height, width))
        target = random.integers(0, CLASSES, (images, height, width))
        is_void = random.random(target.shape) < share
        is_void.flat[:2] = False, True
        target[is_void] = void
        batches.append((torch.from_numpy(pictures).float(), torch.from_numpy(target)))
    return batches


def start_weight() -> np.ndarray:
    """The weights (K, C) that every model here begins with."""
    return np.random.default_rng(12).normal(0, 0.7, (CLASSES, CHANNELS)).astype(np.float32)


class Pixelwise(nn.Module):
    """A 1×1 convolution without bias: logits that numpy can compute too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CLASSES, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(start_weight())[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, K, H, W)."""
        return self.conv(images)

    def weight(self) -> np.ndarray:
        """(K, C)."""
        return self.conv.weight.detach().double().numpy()[:, :, 0, 0]


class Log(list):
    """What happened during the forward passes; copies of a model write into the same one."""

    def __deepcopy__(self, memo: dict) -> "Log":
        return self


class Watched(nn.Module):
    """Has what behaves differently in training, and notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.pixelwise, self.log = Pixelwise(), Log()
        self.rest = nn.Sequential(nn.BatchNorm2d(CLASSES), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, K, H, W)."""
        logits = self.rest(self.pixelwise(images))
        modes = {each.training for each in self.modules()}
        self.log.append((modes, logits.requires_grad, logits.detach().clone()))
        return logits


class WeightedChannel(nn.Module):
    """No real loss: the true class's weighted mean of the first logit, divided by Σ w."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([0.5, 4.0, 1.0, 0.125]))
        self.ignore_index = VOID

    def pixel_weights(self, target: Tensor) -> Tensor:
        """(B, H, W), 0 for void."""
        return torch.cat((self.weights, torch.zeros(252)))[target.long()]

    def denominator(self, target: Tensor) -> Tensor:
        """Σ w."""
        return self.pixel_weights(target).sum()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Σ w·logit / Σ w, 0 where nothing counts."""
        weights = self.pixel_weights(target)
        return (weights * logits[:, 0]).sum() / weights.sum().clamp(min=1e-6)


def step_by_hand(
    weight: np.ndarray, images: Tensor, target: Tensor, void: int = VOID
) -> tuple[float, np.ndarray, int]:
    """The mean cross entropy of a batch, its slope for the weights (K, C), and its pixels."""
    pixels = images.double().numpy().transpose(0, 2, 3, 1).reshape(-1, CHANNELS)
    truth = target.numpy().ravel()
    pixels, truth = pixels[truth != void], truth[truth != void]
    log_p = log_softmax_by_hand(pixels @ weight.T, 1)
    excess = np.exp(log_p) - np.eye(CLASSES)[truth]
    loss = -log_p[np.arange(len(truth)), truth].mean()
    return float(loss), excess.T @ pixels / len(truth), len(truth)


def weights_after(batches: list[Batch], rates: list[float], mistake: str = "") -> np.ndarray:
    """The weights after an epoch of descent with momentum, as it should be, or with a mistake."""
    weight, velocity, kept = start_weight().astype(np.float64), 0.0, 0.0
    for (images, target), rate in zip(batches, rates, strict=True):
        _, slope, _ = step_by_hand(weight, images, target)
        if mistake == "accumulate":
            kept = slope = kept + slope
        elif mistake == "share":
            slope = slope / len(batches)
        elif mistake == "clip":
            slope = slope * min(1.0, 1.0 / np.linalg.norm(slope))
        for _ in range(2 if mistake == "twice" else 1):
            velocity = MOMENTUM * velocity + slope
            weight = weight - rate * velocity
    return weight


def one_step_for_all(batches: list[Batch], mean: bool) -> np.ndarray:
    """The weights after one step by the gradients of all batches."""
    weight = start_weight().astype(np.float64)
    slopes = [step_by_hand(weight, *batch)[1] for batch in batches]
    return weight - RATE * sum(slopes) / (len(batches) if mean else 1)


def mistakes_of_training(batches: list[Batch]) -> dict[str, np.ndarray]:
    """Likely cause → the weights that it leaves behind."""
    rates = [RATE] * len(batches)
    return {
        "the weights are as before: no step(), or zero_grad() between backward() and step()": (
            start_weight()
        ),
        "gradients add up from batch to batch: zero_grad() is missing": (
            weights_after(batches, rates, "accumulate")
        ),
        "one step for all batches; make a step after every batch": one_step_for_all(batches, False),
        "one step for the mean of all batches; make a step after every batch": (
            one_step_for_all(batches, True)
        ),
        "only the last batch was learned": weights_after(batches[-1:], [RATE]),
        "only the first batch was learned": weights_after(batches[:1], [RATE]),
        "the last batch was left out, or step() comes before backward()": weights_after(
            batches[:-1], rates[1:]
        ),
        "the first batch was left out": weights_after(batches[1:], rates[1:]),
        "the loss was divided by the number of batches before backward()": (
            weights_after(batches, rates, "share")
        ),
        "two steps for each batch": weights_after(batches, rates, "twice"),
        "the loader was run through twice": weights_after(batches * 2, rates * 2),
        "the loss was made larger, not smaller: its sign": (
            weights_after(batches, [-each for each in rates])
        ),
        "the gradients were clipped": weights_after(batches, rates, "clip"),
    }


def has_parameter(function: Callable, name: str) -> bool:
    """Whether a function has this option; answers may replace functions by simpler ones."""
    return name in inspect.signature(function).parameters


def sgd(model: nn.Module, rate: float = RATE, momentum: float = MOMENTUM) -> torch.optim.Optimizer:
    """Descent over all parameters."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)


def cross_entropy(void: int = VOID) -> nn.Module:
    """PyTorch's own loss."""
    return nn.CrossEntropyLoss(ignore_index=void)


def check_weight(got: np.ndarray, expected: np.ndarray, mistakes: dict, given: str) -> None:
    """Compares trained weights with those trained by hand."""
    if np.allclose(got, expected, rtol=1e-3, atol=1e-4):
        return
    found = [
        each for each, value in mistakes.items() if np.allclose(got, value, rtol=1e-3, atol=1e-4)
    ]
    likely = found[0] if found else None
    wrong(
        given=given,
        expected=f"weights {numbers(expected[0])} for class 0",
        got=numbers(got[0]),
        likely=likely,
    )


def check_mean_loss(
    value: object, losses: list[float], counts: list[float], mistakes: dict[str, float], given: str
) -> None:
    """Compares the mean loss with the sum of numerators over the sum of denominators."""
    if not isinstance(value, float):
        likely = "leave the graph and the tensor behind: .item(), or the meter's mean()"
        wrong(given=given, expected="a float", got=describe(value), likely=likely)
    expected = float(np.dot(losses, counts) / sum(counts))
    if near(value, expected, 1e-4):
        return
    mistakes = {
        **mistakes,
        "this is the mean of the batches' losses; each weighs by its denominator": np.mean(losses),
        "this is the last batch's loss": losses[-1],
        "this is the first batch's loss": losses[0],
        "this is the sum of the batches' losses": sum(losses),
        "this is the sum of the losses of all pixels; divide by their number": (
            np.dot(losses, counts)
        ),
        "nothing was counted: each batch goes to the meter": 0.0,
        "the last batch is missing": np.dot(losses[:-1], counts[:-1]) / sum(counts[:-1]),
        "the first batch is missing": np.dot(losses[1:], counts[1:]) / sum(counts[1:]),
    }
    likely = recognise(value, mistakes, 1e-4)
    if likely is None and not math.isfinite(value):
        likely = "0 / 0: nothing was counted, or the loss is no number"
    given = f"{given}, their losses {numbers(losses)} with denominators {numbers(counts)}"
    wrong(given=given, expected=f"{expected:.5g}", got=f"{value:.5g}", likely=likely)


def mistakes_of_mean(
    batches: list[Batch], losses: list[float], is_weighted: bool = False
) -> dict[str, float]:
    """Likely cause → the mean loss that it gives."""
    images = [len(target) for _, target in batches]
    pixels = [target.numel() for _, target in batches]
    valid = [float((target != VOID).sum()) for _, target in batches]
    found = {
        "the batches weigh by their images; each weighs by its denominator": (
            np.dot(losses, images) / sum(images)
        ),
        "the batches weigh by all their pixels, void ones too; each weighs by its denominator": (
            np.dot(losses, pixels) / sum(pixels)
        ),
        "the sum over the batches is divided by the number of images": sum(losses) / sum(images),
    }
    if is_weighted:
        found["the batches weigh by their valid pixels; with class weights it is by Σ w"] = np.dot(
            losses, valid
        ) / sum(valid)
    return found


class Elsewhere(Tensor):
    """Stands for a tensor on another device, until it is taken to the device asked for."""

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Every use of the tensor comes by here; it ends where it is taken to a device."""
        kwargs = kwargs or {}
        if func == Tensor.device.__get__:
            return torch.device("meta")
        name = getattr(func, "__name__", "")
        words = [*args[1:], *kwargs.values()]
        goes = any(isinstance(each, str | torch.device) for each in words)
        goes |= name == "to" and any(isinstance(each, Tensor) for each in words)
        if not goes and name not in ("cpu", "cuda"):
            return super().__torch_function__(func, types, args, kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            return result.as_subclass(Tensor) if isinstance(result, Tensor) else result


class OnDevice(nn.Module):
    """Refuses what is still elsewhere: a model of images, or a loss of logits and target."""

    def __init__(self, inner: nn.Module, words: str) -> None:
        super().__init__()
        self.inner, self.words = inner, words

    def forward(self, *inputs: Tensor) -> Tensor:
        """As the inner module."""
        if any(isinstance(each, Elsewhere) for each in inputs):
            wrong(
                given="batches that do not lie on the device",
                expected=f"{self.words} taken to the device first",
                got=f"{self.words} as the loader gave them",
                likely="images, target = to_device(images, target, device)",
            )
        return self.inner(*inputs)


def elsewhere(batches: list[Batch]) -> list[Batch]:
    """The same batches, not yet on the device."""
    return [(i.as_subclass(Elsewhere), t.as_subclass(Elsewhere)) for i, t in batches]


class Noted(nn.Module):
    """A loss that notes the logits that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.log = cross_entropy(), Log()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The cross entropy."""
        self.log.append(logits.detach().clone())
        return self.inner(logits, target)


def check_raw_logits(model: Watched, criterion: Noted, num_batches: int) -> None:
    """The loss was given what the model gave, batch by batch."""
    given = f"{num_batches} batches"
    if len(model.log) != num_batches or len(criterion.log) < num_batches:
        got = f"{len(model.log)} forward passes, {len(criterion.log)} losses"
        wrong(given=given, expected=f"{num_batches} of each", got=got)
    for (_, _, logits), seen in zip(model.log, criterion.log, strict=False):
        if logits.shape == seen.shape and torch.allclose(logits, seen.float(), atol=1e-5):
            continue
        likely = None
        if torch.allclose(seen.float(), logits.softmax(1), atol=1e-5):
            likely = "these are probabilities: the loss has its own softmax, give it the logits"
        elif torch.allclose(seen.float(), logits.log_softmax(1), atol=1e-5):
            likely = "these are log-probabilities: the loss has its own softmax; give it the logits"
        elif torch.allclose(seen.float(), logits.sigmoid(), atol=1e-5):
            likely = "these are sigmoids: the loss has its own softmax, give it the logits"
        expected = f"criterion(logits, target) with logits {numbers(logits.flatten()[:4])}"
        wrong(given=given, expected=expected, got=numbers(seen.flatten()[:4]), likely=likely)


def once(batches: list[Batch]) -> Iterator[Batch]:
    """A loader that can be run through once, and has no length, as in `fit`."""
    yield from batches


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_every_batch_makes_a_step_of_its_own() -> None:
    model, batches = Pixelwise(), make_batches()
    train_one_epoch(model, batches, cross_entropy(), sgd(model), "cpu")
    expected = weights_after(batches, [RATE] * 3)
    given = "three batches, SGD with momentum"
    check_weight(model.weight(), expected, mistakes_of_training(batches), given)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_every_parameter_forgets_the_batch_before() -> None:
    torch.manual_seed(5)
    layers = nn.Conv2d(CHANNELS, 5, 1), nn.Tanh(), nn.Conv2d(5, CLASSES, 1)
    model, batches = nn.Sequential(*layers), make_batches()
    names = [name for name, _ in model.named_parameters()]
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    for images, target in batches:
        values = dict(zip(names, (each.requires_grad_() for each in expected), strict=True))
        logits = torch.func.functional_call(model, values, (images,))
        slopes = torch.autograd.grad(cross_entropy()(logits, target), list(values.values()))
        expected = [(a - RATE * b).detach() for a, b in zip(expected, slopes, strict=True)]
    train_one_epoch(model, batches, cross_entropy(), sgd(model, momentum=0.0), "cpu")
    for name, got, wanted in zip(names, model.parameters(), expected, strict=True):
        if not torch.allclose(got, wanted, atol=1e-4):
            wrong(
                given="three batches, a model of two layers with biases",
                expected=f"{name} becomes {numbers(wanted.flatten()[:4])}",
                got=numbers(got.detach().flatten()[:4]),
                likely="gradients of earlier batches are left in some parameters: "
                "optimizer.zero_grad() clears them all",
            )


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_epochs_go_on_from_each_other() -> None:
    model, batches = Pixelwise(), make_batches()
    optimizer = sgd(model)
    for _ in range(2):
        train_one_epoch(model, once(batches), cross_entropy(), optimizer, torch.device("cpu"))
    expected = weights_after(batches * 2, [RATE] * 6)
    mistakes = {
        "gradients add up from batch to batch: zero_grad() is missing": (
            weights_after(batches * 2, [RATE] * 6, "accumulate")
        ),
    }
    check_weight(model.weight(), expected, mistakes, "two epochs of three batches")


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_mean_loss_weighs_the_batches_by_their_valid_pixels() -> None:
    for options in ({}, {"ignore_index": 254}):
        if options and not has_parameter(train_one_epoch, "ignore_index"):
            continue
        void = options.get("ignore_index", VOID)
        model, batches = Pixelwise(), make_batches(void)
        optimizer, weight = sgd(model, 0.1, 0.0), start_weight().astype(np.float64)
        value = train_one_epoch(
            model, once(batches), cross_entropy(void), optimizer, "cpu", **options
        )
        losses, counts = [], []
        for images, target in batches:
            loss, slope, count = step_by_hand(weight, images, target, void)
            weight = weight - 0.1 * slope
            losses.append(loss)
            counts.append(count)
        after = [step_by_hand(weight, *batch, void)[0] for batch in batches]
        mistakes = mistakes_of_mean(batches, losses)
        again = "this is the loss after the epoch; add up each batch's loss as it is trained on"
        mistakes[again] = np.dot(after, counts) / sum(counts)
        given = f"batches of 3, 1 and 2 images, {void} void"
        check_mean_loss(value, losses, counts, mistakes, given)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_mean_loss_weighs_by_the_denominators_of_a_weighted_loss() -> None:
    check_weighted_mean(
        lambda model, batches, criterion: train_one_epoch(
            model, batches, criterion, sgd(model, 0.0, 0.0), "cpu"
        )
    )


def check_weighted_mean(run: Callable[..., object]) -> None:
    """The mean loss with class weights, and with a batch that is void altogether."""
    images, target = make_batches()[0]
    batches = [*make_batches(), (images, torch.full_like(target, VOID))]
    criterion, weight = WeightedChannel(), start_weight().astype(np.float64)
    losses, counts = [], []
    for images, target in batches:
        weights = np.array([0.5, 4.0, 1.0, 0.125, *[0.0] * 252])[target.numpy()]
        first = np.einsum("bchw,c->bhw", images.double().numpy(), weight[0])
        counts.append(float(weights.sum()))
        losses.append(float((weights * first).sum() / max(counts[-1], 1e-6)))
    value = run(Pixelwise(), once(batches), criterion)
    mistakes = mistakes_of_mean(batches, losses, is_weighted=True)
    given = "a loss with class weights, the last batch all void"
    check_mean_loss(value, losses, counts, mistakes, given)


@pytest.mark.todo("6.1", points=3, needs=[])
@pytest.mark.parametrize("mode", [True, False])
def test_6_1_model_trains_in_training_mode(mode: bool) -> None:
    model = Watched().train(mode)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    train_one_epoch(model, make_batches(), cross_entropy(), sgd(model, 0.01), "cpu")
    given = f"a model in {'training' if mode else 'evaluation'} mode"
    for number, (modes, _, _) in enumerate(model.log):
        if modes != {True}:
            got = "evaluation mode" if modes == {False} else "training mode for some layers only"
            likely = "model.train() before the first batch, and no model.eval()"
            where = f"training mode in all layers at batch {number}"
            wrong(given=given, expected=where, got=got, likely=likely)
    moved = not torch.equal(state["rest.0.running_mean"], model.rest[0].running_mean)
    if len(model.log) != 3 or not moved:
        expected = "a forward pass per batch, which the batch normalisation follows"
        wrong(given=given, expected=expected, got=f"{len(model.log)} passes, statistics {moved}")


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_loss_is_given_the_logits() -> None:
    model, criterion, batches = Watched(), Noted(), make_batches()
    train_one_epoch(model, batches, criterion, sgd(model, 0.01), "cpu")
    check_raw_logits(model, criterion, len(batches))


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_batches_are_taken_to_the_device() -> None:
    model = OnDevice(Pixelwise(), "images")
    criterion = OnDevice(cross_entropy(), "the target")
    optimizer = sgd(model)
    train_one_epoch(model, elsewhere(make_batches()), criterion, optimizer, torch.device("cpu"))


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_schedule_goes_on_after_every_step() -> None:
    model, batches = Pixelwise(), make_batches()
    optimizer = sgd(model)
    options = {}
    factors = [1.0, 0.5, 0.1, 0.0]
    if has_parameter(train_one_epoch, "scheduler"):
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[min(step, 3)])
        options["scheduler"] = schedule
    else:
        factors = [1.0] * 4
    train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    rates = [RATE * each for each in factors]
    mistakes = {
        "the learning rate never changed: the scheduler was not stepped after each batch": (
            weights_after(batches, [RATE] * 3)
        ),
        "the scheduler was stepped before the optimiser": weights_after(batches, rates[1:]),
        "the scheduler was stepped twice": (weights_after(batches, [rates[0], rates[2], rates[3]])),
        "the weights are as before: no step(), or zero_grad() between backward() and step()": (
            start_weight()
        ),
    }
    given = f"learning rates {numbers(rates)} by the scheduler"
    check_weight(model.weight(), weights_after(batches, rates[:3]), mistakes, given)
    if options and schedule.last_epoch != 3:
        likely = "step it once after every step of the optimiser"
        got = f"{schedule.last_epoch}"
        wrong(given="3 batches", expected="3 steps of the scheduler", got=got, likely=likely)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_scaled_losses_give_the_same_step() -> None:
    model, batches = Pixelwise(), make_batches()
    optimizer, options = sgd(model), {}
    if has_parameter(train_one_epoch, "scaler"):
        options["scaler"] = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=1)
    train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    expected = weights_after(batches, [RATE] * 3)
    if np.abs(model.weight() - start_weight()).max() > 20:
        likely = "the gradients are still scaled: scaler.step(optimizer), not optimizer.step()"
        got = numbers(model.weight()[0])
        given = "a scaler of 256"
        wrong(given=given, expected=numbers(expected[0]), got=got, likely=likely)
    check_weight(model.weight(), expected, mistakes_of_training(batches), "a scaler of 256")


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_meter_goes_on_counting() -> None:
    model, batches = Pixelwise(), make_batches()
    weight = start_weight().astype(np.float64)
    parts = [step_by_hand(weight, images, target) for images, target in batches]
    losses, counts = [part[0] for part in parts], [float(part[2]) for part in parts]
    options = {}
    if has_parameter(train_one_epoch, "meter"):
        meter = options["meter"] = LossMeter()
        meter.add(torch.tensor(7.0), torch.tensor(40))
        losses, counts = [7.0, *losses], [40.0, *counts]
    optimizer = sgd(model, 0.0, 0.0)
    value = train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    here = float(np.dot(losses[1:], counts[1:]) / sum(counts[1:]))
    words = "this leaves out what the meter had counted before; count with the meter given"
    given = "a meter that has counted 40 pixels of loss 7" if options else "three batches"
    check_mean_loss(value, losses, counts, {words: here} if options else {}, given)
    if options and not near(meter.mean(), value, 1e-4):
        likely = "an interrupted epoch goes on with this meter: meter.add for every batch"
        got = f"{meter.mean():.5g}"
        wrong(given=given, expected=f"its mean is {value:.5g}", got=got, likely=likely)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_after_step_is_called_after_every_step() -> None:
    model, batches = Pixelwise(), make_batches()
    calls, options, meter = [], {}, LossMeter()

    def after_step(images: int) -> None:
        meter.settle()
        calls.append((images, model.weight().copy(), meter.denominator))

    if has_parameter(train_one_epoch, "after_step"):
        options["after_step"] = after_step
    if has_parameter(train_one_epoch, "meter"):
        options["meter"] = meter
    train_one_epoch(model, batches, cross_entropy(), sgd(model), "cpu", **options)
    weights = [weights_after(batches[:n], [RATE] * n) for n in range(4)]
    check_weight(model.weight(), weights[-1], mistakes_of_training(batches), "three batches")
    if "after_step" not in options:
        return
    given, got = "batches of 3, 1 and 2 images", [images for images, _, _ in calls]
    if got != [3, 1, 2]:
        likely = "after_step(len(images)) at the end of every batch"
        wrong(given=given, expected="after_step with 3, 1, 2", got=got, likely=likely)
    for number, (_, weight, _) in enumerate(calls):
        if not np.allclose(weight, weights[number + 1], atol=1e-3):
            likely = "after_step comes after the optimiser's step: a run may be stopped there"
            where = f"after_step of batch {number}"
            wrong(given=where, expected="weights after it", got="other weights", likely=likely)
    counted = np.cumsum([float((target != VOID).sum()) for _, target in batches]).tolist()
    if "meter" in options and [each for _, _, each in calls] != counted:
        likely = "meter.add comes before after_step: a run may be stopped there"
        got = [each for _, _, each in calls]
        wrong(given=given, expected=f"{counted} pixels counted then", got=got, likely=likely)


def run_evaluate(
    model: nn.Module, batches: object, criterion: nn.Module, **options: object
) -> tuple[float, Tensor]:
    """What `evaluate` returns, after a look at whether it is a loss and a matrix."""
    was_enabled = torch.is_grad_enabled()
    try:
        result = evaluate(model, batches, criterion, torch.device("cpu"), CLASSES, **options)
        is_enabled = torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(was_enabled)
    given = "three batches"
    if is_enabled is not was_enabled:
        likely = "set_grad_enabled(False) stays; `with torch.no_grad():` ends with its block"
        expected, got = "gradients possible again afterwards", "they stay switched off"
        wrong(given=given, expected=expected, got=got, likely=likely)
    expected = "(mean loss, confusion matrix)"
    if not isinstance(result, tuple) or len(result) != 2:
        wrong(given=given, expected=expected, got=describe(result))
    if isinstance(result[1], float):
        wrong(given=given, expected=expected, got="(matrix, loss)", likely="the order is swapped")
    return result


def matrix_by_hand(batches: list[Batch]) -> np.ndarray:
    """Pixel by pixel: rows are the truth."""
    weight, matrix = start_weight().astype(np.float64), np.zeros((CLASSES, CLASSES), np.int64)
    for images, target in batches:
        scores = np.einsum("bchw,kc->bhwk", images.double().numpy(), weight)
        for truth, guess in zip(target.numpy().ravel(), scores.argmax(-1).ravel(), strict=True):
            if truth != VOID:
                matrix[truth, guess] += 1
    return matrix


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_confusion_matrix_of_the_whole_set() -> None:
    batches = make_batches()
    for loader in (batches, once(batches)):
        _, matrix = run_evaluate(Pixelwise(), loader, cross_entropy())
        expected = matrix_by_hand(batches)
        if not isinstance(matrix, Tensor) or matrix.shape != expected.shape:
            wrong(given="K = 4", expected="a tensor (4, 4)", got=describe(matrix))
        got = matrix.cpu().numpy()
        if np.array_equal(got, expected) and not matrix.dtype.is_floating_point:
            continue
        guesses = {
            "rows and columns are swapped: update(predictions, target)": expected.T,
            "nothing was counted: confusion.update for every batch": np.zeros_like(expected),
            "the matrix is divided; it holds counts": expected / expected.sum(),
            "each row is divided by its sum; the matrix holds counts": (
                expected / expected.sum(1, keepdims=True)
            ),
            "the matrix was averaged over the batches; it adds up": expected / len(batches),
            "the prediction is the target itself: logits.argmax(dim=1)": np.diag(expected.sum(1)),
            "every batch was counted twice": 2 * expected,
        }
        parts = [matrix_by_hand([batch]) for batch in batches]
        guesses["only the last batch was counted; the matrix adds up"] = parts[-1]
        guesses["only the first batch was counted; the matrix adds up"] = parts[0]
        guesses["the last batch is missing"] = parts[0] + parts[1]
        found = [text for text, value in guesses.items() if np.allclose(got, value)]
        given = "three batches; rows are the truth"
        likely = found[0] if found else None
        if got.sum() == expected.sum() and np.array_equal(got.sum(1), expected.sum(1)):
            likely = likely or "the predictions are wrong: the class of the largest logit, dim=1"
        if got.sum() == sum(target.numel() for _, target in batches):
            likely = likely or "void pixels are counted"
        if np.array_equal(got, expected):
            likely = "the matrix holds counts, int64"
        wrong(given=given, expected=expected.tolist(), got=matrix.tolist(), likely=likely)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_mean_loss_weighs_the_batches_by_their_valid_pixels() -> None:
    for options in ({}, {"ignore_index": 254}):
        if options and not has_parameter(evaluate, "ignore_index"):
            continue
        void = options.get("ignore_index", VOID)
        batches, weight = make_batches(void), start_weight().astype(np.float64)
        parts = [step_by_hand(weight, *batch, void) for batch in batches]
        losses, counts = [part[0] for part in parts], [part[2] for part in parts]
        value, _ = run_evaluate(Pixelwise(), once(batches), cross_entropy(void), **options)
        given = f"batches of 3, 1 and 2 images, {void} void"
        check_mean_loss(value, losses, counts, mistakes_of_mean(batches, losses), given)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_mean_loss_weighs_by_the_denominators_of_a_weighted_loss() -> None:
    check_weighted_mean(lambda model, batches, loss: run_evaluate(model, batches, loss)[0])


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
@pytest.mark.parametrize("mode", [True, False])
def test_6_2_model_is_judged_in_evaluation_mode_and_gets_its_mode_back(mode: bool) -> None:
    model = Watched().train(mode)
    run_evaluate(model, make_batches(), cross_entropy())
    given = f"a model in {'training' if mode else 'evaluation'} mode"
    for number, (modes, _, _) in enumerate(model.log):
        if modes != {False}:
            got = "training mode" if modes == {True} else "training mode for some layers"
            likely = "model.eval() before the first batch: no dropout, and statistics that stand"
            where = f"evaluation mode in all layers at batch {number}"
            wrong(given=given, expected=where, got=got, likely=likely)
    modes = {each.training for each in model.modules()}
    if modes != {mode}:
        got = "evaluation mode" if mode else "training mode"
        likely = "was_training = model.training; model.eval(); ...; model.train(was_training)"
        wrong(given=given, expected="that mode afterwards", got=got, likely=likely)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
@pytest.mark.parametrize("mode", [True, False])
def test_6_2_nothing_of_the_model_changes(mode: bool) -> None:
    model, batches = Watched().train(mode), make_batches()
    model.rest[0].running_mean.fill_(0.3)
    model.rest[0].running_var.fill_(1.7)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    run_evaluate(model, batches, cross_entropy())
    given, expected = f"a model, training mode {mode}", "the same model afterwards"
    for key, value in model.state_dict().items():
        if not torch.equal(value, state[key]):
            name = key.removeprefix("pixelwise.").removeprefix("rest.0.")
            likely = "only training steps change weights"
            if "running" in key or "batches" in key:
                likely = "the batch normalisation learned from the validation pictures: eval()"
            wrong(given=given, expected=expected, got=f"{name} has changed", likely=likely)
    for parameter in model.parameters():
        likely = "evaluation needs no backward(), no zero_grad() and no requires_grad_()"
        if not parameter.requires_grad:
            got = "parameters that can no longer be trained"
            wrong(given=given, expected=expected, got=got, likely=likely)
        if parameter.grad is None or not torch.equal(
            parameter.grad, torch.full_like(parameter, 0.25)
        ):
            got = "other gradients in the parameters"
            wrong(given=given, expected=expected, got=got, likely=likely)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_no_gradients_are_recorded() -> None:
    model = Watched()
    _, matrix = run_evaluate(model, make_batches(), cross_entropy())
    for number, (_, has_gradient, _) in enumerate(model.log):
        if has_gradient:
            likely = "with torch.no_grad(): around the forward pass; else memory is spent for it"
            got = "logits with a graph"
            wrong(given=f"batch {number}", expected="no graph of gradients", got=got, likely=likely)
    if len(model.log) != 3 or matrix.requires_grad:
        wrong(given="3 batches", expected="3 forward passes", got=len(model.log))


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_loss_is_given_the_logits() -> None:
    model, criterion, batches = Watched(), Noted(), make_batches()
    run_evaluate(model, batches, criterion)
    check_raw_logits(model, criterion, len(batches))


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_evaluations_do_not_know_of_each_other() -> None:
    model, batches = Pixelwise(), make_batches()
    first = run_evaluate(model, batches, cross_entropy())
    second = run_evaluate(model, batches, cross_entropy())
    if not near(second[0], first[0]) or not torch.equal(first[1], second[1]):
        expected = f"loss {first[0]:.5g}, {int(first[1].sum())} pixels, twice"
        got = f"then loss {second[0]:.5g}, {int(second[1].sum())} pixels"
        wrong(given="the same set twice", expected=expected, got=got)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_batches_are_taken_to_the_device() -> None:
    model = OnDevice(Pixelwise(), "images")
    criterion = OnDevice(cross_entropy(), "the target")
    evaluate(model, elsewhere(make_batches()), criterion, torch.device("cpu"), CLASSES)


# ------------------------------------------------------------------ chapter 7: helpers

_MEAN, _STD = (0.2, 0.5, 0.7), (0.25, 0.15, 0.4)
"""Not those of any data set: a network's file says by which it was trained."""


def _metadata(num_classes: int) -> dict[str, object]:
    return {
        "classes": [f"class {k}" for k in range(num_classes)],
        "palette": [[k, 255 - k, 7] for k in range(num_classes)],
        "mean": list(_MEAN),
        "std": list(_STD),
    }


class _HalvesInTraining(nn.Module):
    """Behaves otherwise in training mode, as networks with auxiliary heads or random depth do.

    Batch normalisation and dropout alone would not show the mode: the exporter translates them as
    in evaluation, whatever the mode.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        return 0.5 * x if self.training else x


class _TinyNetwork(nn.Module):
    """A network with everything that an export can get wrong, and a stride of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stride = 4
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.halves = _HalvesInTraining()
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 5, H, W)."""
        small = F.avg_pool2d(self.dropout(self.halves(self.norm(self.first(x).relu()))), 4)
        return self.last(F.interpolate(small, x.shape[-2:], mode="bilinear"))


class _Export(NamedTuple):
    """What one export gave: the file's bytes and its neighbours, and the model before and after."""

    content: bytes
    files: list[str]
    modes: tuple[dict[str, bool], dict[str, bool]]
    states: tuple[dict[str, Tensor], dict[str, Tensor]]
    model: nn.Module


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name or "model": module.training for name, module in model.named_modules()}


@functools.lru_cache(maxsize=1)
def _try_export() -> _Export | Exception:
    """Exports the tiny network, once for all tests, with the lab's own check switched off."""
    model = _randomized(_TinyNetwork(), "", seed=3).train()
    model.dropout.eval()
    modes = _modes(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        if hasattr(deploy, "check_export"):
            patch.setattr(deploy, "check_export", lambda *args, **options: None)
        path = Path(scratch) / "model.onnx"
        try:
            deploy.export_onnx(model, path, (16, 24), _metadata(5))
            content = path.read_bytes()
        except Exception as error:  # it is raised again in each test
            return error
        files = sorted(each.name for each in Path(scratch).iterdir())
    after = {name: value.clone() for name, value in model.state_dict().items()}
    return _Export(content, files, (modes, _modes(model)), (state, after), model)


def _export() -> _Export:
    """The one export, or the error that it ended with."""
    result = _try_export()
    if isinstance(result, Exception):
        raise result
    return result


def _open(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


_EXPORTED = "a network in training mode, exported"


# ------------------------------------------------------------------ 7.1


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_names_and_dynamic_sizes() -> None:
    """image and logits, float32; batch, height and width may be anything."""
    session = _open(_export().content)
    for kind, values, name in (
        ("input", session.get_inputs(), "image"),
        ("output", session.get_outputs(), "logits"),
    ):
        names = [value.name for value in values]
        if names != [name]:
            swapped = names in (["image"], ["logits"])
            wrong(
                given=_EXPORTED,
                expected=f"one {kind}, called {name}",
                got=names,
                likely="the names are swapped" if swapped else f"{kind}_names=[{name!r}]",
            )
        shape = values[0].shape
        fixed = {
            what: shape[axis]
            for axis, what in ((0, "batch"), (2, "height"), (3, "width"))
            if len(shape) == 4 and isinstance(shape[axis], int)
        }
        if len(shape) != 4 or fixed:
            wrong(
                given=_EXPORTED,
                expected=f"{name} [batch, {3 if name == 'image' else 5}, height, width]",
                got=f"{name} {shape}",
                likely=f"fixed {' and '.join(fixed)}: all of axes 0, 2 and 3 stand in "
                "dynamic_shapes"
                if fixed
                else "there is an axis too many or too few: was argmax added to the network?",
            )
        if values[0].type != "tensor(float)":
            wrong(given=_EXPORTED, expected=f"{name} of float32", got=values[0].type)


def _run_export(shape: tuple[int, int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and what the exported network makes of it."""
    session = _open(_export().content)
    image = _random(seed, *shape).numpy() * 2 + 0.7
    try:
        name = session.get_inputs()[0].name
        return image, session.run(None, {name: image})[0]
    except Exception as error:  # onnxruntime's own errors have no other common base class
        wrong(
            given=f"{_EXPORTED}, then run on images {shape}",
            expected="it runs on any batch and size",
            got=str(error).split("\n")[0][:200],
            likely="a fixed batch or size: axes 0, 2 and 3 must stand in dynamic_shapes",
        )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_agrees_with_pytorch() -> None:
    """The file gives PyTorch's logits of evaluation mode, for other batches and sizes too."""
    model = _export().model
    for shape in ((1, 3, 8, 20), (3, 3, 12, 4), (2, 3, 8, 12), (2, 3, 24, 16)):
        image, got = _run_export(shape, seed=sum(shape))
        given = f"{_EXPORTED}, then run on images {shape}"
        with torch.no_grad():
            x = torch.from_numpy(image)
            expected = model.eval()(x).numpy()
            shifted = np.exp(expected - expected.max(axis=1, keepdims=True))
            softmax = shifted / shifted.sum(axis=1, keepdims=True)
            causes = {
                "a softmax was added; the file gives logits": softmax,
                "a softmax was added (its logarithm); the file gives logits": np.log(softmax),
                "a sigmoid was added; the file gives logits": 1 / (1 + np.exp(-expected)),
            }
        if got.shape != expected.shape:
            likely = "fixed sizes" if got.ndim == 4 else "argmax was added: the file gives logits"
            wrong(given=given, expected=expected.shape, got=got.shape, likely=likely)
        difference = float(np.abs(got - expected).max())
        if not difference < 1e-3:
            found = [cause for cause, values in causes.items() if _same(got, values)]
            wrong(
                given=given,
                expected="PyTorch's logits in evaluation mode",
                got=f"logits that differ by up to {difference:.2g}",
                likely=found[0]
                if found
                else "exported in training mode: call eval() on the network first",
            )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_model_stays_as_it_was() -> None:
    """The export changes neither the model's weights nor its mode."""
    export = _export()
    before, after = export.modes
    if before != after:
        name = next(name for name in before if before[name] != after.get(name))
        wrong(
            given="a model in training mode, its dropout in evaluation mode",
            expected="each part is in the same mode after the export",
            got=f"{name}: training={before[name]} before, {after.get(name)} after",
            likely="eval() was called on the model itself, not on the copy `network`",
        )
    for name, value in export.states[0].items():
        if not torch.equal(value, export.states[1][name]):
            wrong(
                given=_EXPORTED,
                expected="the model's weights and statistics stay as they are",
                got=f"{name} has changed",
                likely="the model itself ran in training mode",
            )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_one_file_with_metadata() -> None:
    """The file holds the weights and the metadata, and is alone."""
    export = _export()
    if export.files != ["model.onnx"]:
        wrong(
            given=_EXPORTED,
            expected="one file, model.onnx",
            got=export.files,
            likely="the weights went into a file of their own (external_data)",
        )
    found = _open(export.content).get_modelmeta().custom_metadata_map
    expected = {**_metadata(5), "size": [16, 24], "stride": 4, "format_version": 1}
    for key, value in expected.items():
        text = found.get(key)
        if text is None or json.loads(text) != value:
            wrong(given=_EXPORTED, expected=f"metadata {key} = {value}", got=text)


# ------------------------------------------------------------------ 7.2
#
# Tiny networks that read something out: class k means that a value of the network's input is about
# the k-th of a row of levels. So the labels tell what the network was given, and where.

_LEVELS = 120  # cv2.resize takes at most 128 channels


class _Reader(NamedTuple):
    """How a network that reads a value makes a class of it: (value - low) / step, rounded."""

    low: float
    step: float

    def label(self, value: np.ndarray | float) -> np.ndarray:
        """The class that the value gives, not rounded."""
        return np.clip((np.asarray(value) - self.low) / self.step, 0, _LEVELS - 1)


_PIXELS = _Reader(-3.0, 0.06)
_SIZES = _Reader(1.0, 1.0)


def _read_out(graph_input: str, reader: _Reader) -> tuple[list[onnx.NodeProto], list]:
    """Nodes that turn (B, 1, H, W) values into logits whose argmax is the reader's class.

    -(v - t)² = 2 t v - t² - v²: the last term is the same for every class, so the logits of the
    levels t are a 1x1 convolution.
    """
    levels = reader.low + reader.step * np.arange(_LEVELS)
    weights = np.float32(2 * levels)[:, None, None, None]
    nodes = [helper.make_node("Conv", [graph_input, "weights", "bias"], ["logits"])]
    arrays = {"weights": weights, "bias": np.float32(-(levels**2))}
    return nodes, [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _segmenter(
    folder: Path,
    nodes: list[onnx.NodeProto],
    arrays: list,
    size: tuple[int, int],
    stride: int,
    num_classes: int = _LEVELS,
) -> deploy.OnnxSegmenter:
    """Writes a network in the format of this lab's model.onnx and opens it."""
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["batch", 3, "height", "width"]
    )
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["batch", num_classes, "height", "width"]
    )
    graph = helper.make_graph(nodes, "reader", [image], [logits], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    values = {**_metadata(num_classes), "size": list(size), "stride": stride, "format_version": 1}
    helper.set_model_props(model, {key: json.dumps(value) for key, value in values.items()})
    path = folder / f"reader{len(list(folder.iterdir()))}.onnx"
    onnx.save(model, path)
    return deploy.OnnxSegmenter(path)


def _channel_reader(
    folder: Path, channel: int, size: tuple[int, int], stride: int, reader: _Reader = _PIXELS
) -> deploy.OnnxSegmenter:
    """A network whose classes are the levels of one channel of its input."""
    pick = np.zeros((1, 3, 1, 1), dtype=np.float32)
    pick[0, channel] = 1
    nodes, arrays = _read_out("one", reader)
    nodes = [helper.make_node("Conv", ["image", "pick"], ["one"]), *nodes]
    arrays = [*arrays, numpy_helper.from_array(pick, "pick")]
    return _segmenter(folder, nodes, arrays, size, stride)


def _size_reader(
    folder: Path, axis: int, size: tuple[int, int], stride: int
) -> deploy.OnnxSegmenter:
    """A network whose class is the height (axis 2) or the width (axis 3) of its input."""
    nodes, arrays = _read_out("everywhere", _SIZES)
    nodes = [
        helper.make_node("Conv", ["image", "nothing"], ["zeros"]),
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Gather", ["shape", "axis"], ["whole"], axis=0),
        helper.make_node("Cast", ["whole"], ["length"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["zeros", "length"], ["everywhere"]),
        *nodes,
    ]
    nothing = np.zeros((1, 3, 1, 1), dtype=np.float32)
    arrays = [
        *arrays,
        numpy_helper.from_array(nothing, "nothing"),
        numpy_helper.from_array(np.array(axis, dtype=np.int64), "axis"),
    ]
    return _segmenter(folder, nodes, arrays, size, stride)


def _predict(segmenter: deploy.OnnxSegmenter, photo: np.ndarray, given: str) -> np.ndarray:
    """Segments a photo and checks what every answer must have: type, shape, range."""
    copy = photo.copy()
    try:
        labels = segmenter.predict(copy)
    except Exception as error:
        _explain_crash(error, given)
        raise
    if not isinstance(labels, np.ndarray):
        wrong(given=given, expected="a numpy array of uint8", got=_kind(labels))
    if labels.shape != photo.shape[:2]:
        swapped = labels.shape == photo.shape[1::-1]
        likely = "height and width are swapped" if swapped else None
        if labels.ndim == 2 and not swapped:
            likely = "the result must have the photo's own size"
        wrong(given=given, expected=f"train ids {photo.shape[:2]}", got=labels.shape, likely=likely)
    if labels.dtype != np.uint8:
        wrong(given=given, expected="uint8", got=labels.dtype, likely="add .astype(np.uint8)")
    if not np.array_equal(copy, photo):
        wrong(given=given, expected="the photo stays as it is", got="other values afterwards")
    return labels


def _explain_crash(error: BaseException | None, given: str) -> None:
    """Fails with the cause where onnxruntime's error tells it."""
    while error is not None:
        text = str(error)
        if "tensor(" in text and "expected: (tensor(float))" in text:
            kind = text.split("tensor(")[1].split(")")[0]
            wrong(
                given=given,
                expected="the network's input is float32",
                got={"double": "float64"}.get(kind, kind),
                likely="divide by np.float32(255), or end with .astype(np.float32)",
            )
        if "Got invalid dimensions" in text or "Invalid rank" in text:
            wrong(
                given=given,
                expected="the network's input is (batch, 3, height, width)",
                got=text.split("\n")[0][:200],
                likely="the channels must come first: transpose(2, 0, 1)",
            )
        error = error.__cause__ or error.__context__


def _normalised(photo: np.ndarray, channel: int) -> np.ndarray:
    return (photo[..., channel] / 255 - _MEAN[channel]) / _STD[channel]


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_normalisation_and_colours(tmp_path: Path) -> None:
    """Each channel is (value / 255 - mean) / std, in the order red, green, blue."""
    color = (90, 140, 215)
    photo = np.empty((8, 12, 3), dtype=np.uint8)
    photo[:] = color
    for channel in range(3):
        value, mean, std = color[channel] / 255, _MEAN[channel], _STD[channel]
        given = f"a photo of the one colour RGB {color}, mean {_MEAN}, std {_STD}"
        labels = _predict(_channel_reader(tmp_path, channel, (8, 12), 4), photo, given)
        got = int(np.median(labels))
        if abs(got - _PIXELS.label((value - mean) / std)) <= 1.01:
            continue
        imagenet = ((0.485, 0.456, 0.406)[channel], (0.229, 0.224, 0.225)[channel])
        other = 2 - channel
        causes = {
            "the photo is read as BGR; it is RGB": (color[other] / 255 - mean) / std,
            "mean and std are in the order of BGR": (value - _MEAN[other]) / _STD[other],
            "mean and std are swapped": (value - std) / mean,
            "the photo is not divided by 255: mean and std are for 0 ... 1": (color[channel] - mean)
            / std,
            "the photo is divided by 255 twice": (value / 255 - mean) / std,
            "normalised twice": ((value - mean) / std - mean) / std,
            "these are ImageNet's mean and std; take the file's, self.mean and self.std": (
                value - imagenet[0]
            )
            / imagenet[1],
            "mean and std are missing": value,
            "the division by std is missing": value - mean,
            "the mean is not subtracted": value / std,
            "multiplied by std instead of divided": (value - mean) * std,
            "the variance, std squared, is used": (value - mean) / std**2,
            "divided by 256, not by 255": (color[channel] / 256 - mean) / std,
            "scaled to -1 ... 1": 2 * value - 1,
        }
        found = [c for c, v in causes.items() if abs(got - _PIXELS.label(v)) <= 1.01]
        wrong(
            given=given,
            expected=f"the network gets {(value - mean) / std:.2f} in channel {channel}",
            got=f"about {_PIXELS.low + got * _PIXELS.step:.2f}"
            + (" or beyond" if got in (0, _LEVELS - 1) else ""),
            likely=found[0] if found else None,
        )


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_white_is_one(tmp_path: Path) -> None:
    """255 becomes exactly 1 before the normalisation."""
    white = (1 - _MEAN[0]) / _STD[0]
    fine = _Reader(white - 0.06, 0.001)
    photo = np.full((8, 12, 3), 255, dtype=np.uint8)
    given = f"a white photo, mean {_MEAN}, std {_STD}"
    labels = _predict(_channel_reader(tmp_path, 0, (8, 12), 4, fine), photo, given)
    got = fine.low + int(np.median(labels)) * fine.step
    if abs(got - white) > 0.0021:
        wrong(
            given=given,
            expected=f"the network gets {white:.4f} in channel 0",
            got=f"about {got:.4f}",
            likely="divided by 256, not by 255",
        )


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_every_pixel_in_its_place(tmp_path: Path) -> None:
    """At the training size nothing is resized: each pixel's class is exactly its own."""
    random = np.random.default_rng(1)
    for height, width, stride in ((12, 20, 4), (13, 22, 8), (21, 10, 8)):
        photo = random.integers(40, 215, (height, width, 3), dtype=np.uint8)
        for channel in (0, 2):
            given = f"a photo {photo.shape} of noise, training size {(height, width)}, stride "
            given += f"{stride}, so that nothing is resized"
            segmenter = _channel_reader(tmp_path, channel, (height, width), stride)
            labels = _predict(segmenter, photo, given)
            level = _PIXELS.label(_normalised(photo, channel))
            if np.abs(labels - level).max() <= 1.01:
                continue
            row, column = np.argwhere(np.abs(labels - level) > 1.01)[0]
            wrong(
                given=given,
                expected=f"pixel ({row}, {column}) gets class {level[row, column]:.0f}, by its "
                "own value",
                got=int(labels[row, column]),
                likely=_cause_of_place(labels, photo, channel, stride),
            )


def _cause_of_place(labels: np.ndarray, photo: np.ndarray, channel: int, stride: int) -> str | None:
    """Recognises pixels that are moved, mixed or scaled."""
    height, width = labels.shape
    below, right = -height % stride, -width % stride
    values = (photo / 255 - _MEAN) / _STD

    def is_near(expected: np.ndarray, share: float = 0.9) -> bool:
        if expected.shape != labels.shape:
            return False
        return float((np.abs(labels - _PIXELS.label(expected)) <= 1.5).mean()) >= share

    def shown(padded: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        return padded[rows, columns][:height, :width]

    one = values[..., channel]
    mixed = values.reshape(3, height, width)[channel]
    padded = {
        mode: np.pad(values, ((0, below), (0, right), (0, 0)), mode=mode)
        for mode in ("edge", "constant", "reflect")
    }
    remixed = [p.reshape(3, *p.shape[:2])[channel][:height, :width] for p in padded.values()]
    enlarged = [_bilinear(p[..., channel], (height, width)) for p in padded.values()]
    enlarged += [_nearest(p[..., channel], (height, width)) for p in padded.values()]
    moved = np.pad(one, ((below, 0), (right, 0)), mode="edge")
    causes = {
        "reshape mixes the pixels; the channels move to the front by transpose(2, 0, 1)": any(
            is_near(m) for m in [mixed, *remixed]
        ),
        "the padding stands above and on the left, but is cropped below and right": (
            below + right > 0 and is_near(shown(moved, slice(None), slice(None)))
        ),
        "the padding is not cropped off before the logits are resized": below + right > 0
        and any(is_near(e, 0.6) for e in enlarged),
        "upside down": is_near(one[::-1]),
        "left and right are exchanged": is_near(one[:, ::-1]),
        "rows and columns are exchanged": is_near(one.T),
    }
    found = [cause for cause, holds in causes.items() if holds]
    if found:
        return found[0]
    if below + right:
        return (
            "is the photo resized to multiples of the stride instead of padded, or badly cropped?"
        )
    return None


def _bilinear(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w) at another size."""
    tensor = torch.from_numpy(picture)[None, None]
    return F.interpolate(tensor, size, mode="bilinear")[0, 0].numpy()


def _nearest(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w) at another size, by nearest neighbours."""
    rows = np.arange(size[0]) * picture.shape[0] // size[0]
    columns = np.arange(size[1]) * picture.shape[1] // size[1]
    return picture[rows][:, columns]


def _slopes(height: int, width: int) -> np.ndarray:
    """A photo that grows redder from left to right and bluer from top to bottom."""
    photo = np.full((height, width, 3), 127, dtype=np.uint8)
    photo[..., 0] = np.round(20 + 200 * (np.arange(width) + 0.5) / width)
    photo[..., 2] = np.round(20 + 200 * (np.arange(height) + 0.5) / height)[:, None]
    return photo


@pytest.mark.todo("7.2", points=3, needs=[])
@pytest.mark.parametrize(
    ("photo_size", "size", "stride"),
    [
        ((60, 90), (20, 32), 8),
        ((75, 41), (24, 40), 16),
        ((11, 17), (30, 44), 8),
        ((64, 64), (16, 48), 1),
    ],
)
def test_7_2_photos_of_any_size(
    tmp_path: Path, photo_size: tuple[int, int], size: tuple[int, int], stride: int
) -> None:
    """Larger, smaller and other shapes than in training: things stay where they are."""
    height, width = photo_size
    photo = _slopes(height, width)
    given = f"a photo {photo.shape} that is redder to the right and bluer below; training size "
    given += f"{size}, stride {stride}"
    for channel, axis in ((0, 1), (2, 0)):
        labels = _predict(_channel_reader(tmp_path, channel, size, stride), photo, given)
        level = _PIXELS.label(_normalised(photo, channel))
        per_pixel = 200 / 255 / _STD[channel] / _PIXELS.step / photo_size[axis]
        coarse = (photo_size[0] * photo_size[1] / (size[0] * size[1])) ** 0.5
        allowed = 2 + 1.2 * per_pixel * max(1.0, coarse)
        off = np.abs(labels - level)
        if off.max() <= allowed:
            continue
        row, column = np.unravel_index(np.argmax(off), off.shape)
        wrong(
            given=given,
            expected=f"pixel ({row}, {column}) gets about class {level[row, column]:.0f}",
            got=int(labels[row, column]),
            likely=_cause_of_slope(labels, channel, photo_size, size, stride),
        )


def _cause_of_slope(
    labels: np.ndarray,
    channel: int,
    photo_size: tuple[int, int],
    size: tuple[int, int],
    stride: int,
) -> str | None:
    """Compares where things are with where they would be after some mistakes."""
    value = (_PIXELS.low + labels * _PIXELS.step) * _STD[channel] + _MEAN[channel]
    axis = 1 if channel == 0 else 0
    along = np.median((value * 255 - 20) / 200, axis=1 - axis)  # 0 ... 1, where things come from
    length = len(along)
    ideal = (np.arange(length) + 0.5) / length
    inner = (ideal > 0.15) & (ideal < 0.75)
    slope = float(np.polyfit(ideal[inner], along[inner], 1)[0])
    scale = (size[0] * size[1] / (photo_size[0] * photo_size[1])) ** 0.5
    small = [max(1, round(each * scale)) for each in photo_size]
    padded = [each + -each % stride for each in small]
    if slope < -0.5:
        return "the picture is turned over"
    if abs(along[inner] - ideal[inner]).max() < 0.05:
        return "the borders of the picture are wrong: is too much cropped, or the wrong side?"
    if small[axis] != padded[axis] and abs(slope - padded[axis] / small[axis]) < 0.06:
        return "the padding is not cropped off before the logits are enlarged"
    swapped = min(small) / small[1 - axis]
    if small[0] != small[1] and abs(slope - swapped) < 0.06 and swapped < 0.97:
        return "width and height are swapped in resize: cv2.resize takes (width, height)"
    if slope > 1.03:
        return "more than the picture is enlarged: crop the padding off the logits first"
    return "width and height are swapped in resize, or the crop is at another scale than the logits"


@pytest.mark.todo("7.2", points=3, needs=[])
@pytest.mark.parametrize(
    ("photo_size", "size", "stride"),
    [((90, 60), (40, 40), 8), ((50, 200), (48, 64), 16), ((10, 16), (33, 52), 4)],
)
def test_7_2_size_that_the_network_sees(
    tmp_path: Path, photo_size: tuple[int, int], size: tuple[int, int], stride: int
) -> None:
    """About the training size, in the photo's aspect, padded to multiples of the stride."""
    photo = np.full((*photo_size, 3), 99, dtype=np.uint8)
    given = f"a photo {photo.shape}, training size {size}, stride {stride}"
    seen = []
    for axis in (2, 3):
        labels = _predict(_size_reader(tmp_path, axis, size, stride), photo, given)
        seen.append(int(np.median(labels)) + 1)
    scale = (size[0] * size[1] / (photo_size[0] * photo_size[1])) ** 0.5
    small = [round(each * scale) for each in photo_size]
    expected = [each + -each % stride for each in small]
    if seen == expected:
        return
    got = f"{seen[0]}x{seen[1]} (height x width)"
    causes = {
        tuple(small): "the padding to multiples of the stride is missing",
        tuple(photo_size): "the photo is not resized",
        tuple(size): "resized to the training size itself, so that the photo's aspect is lost",
        tuple(each + -each % stride for each in size): "resized to the training size itself, so "
        "that the photo's aspect is lost",
        tuple(each + -each % stride for each in photo_size): "the photo is not resized",
        tuple(expected[::-1]): "height and width are swapped: cv2.resize takes (width, height), "
        "and transpose(2, 0, 1) keeps rows before columns",
        (expected[0], small[1]): "the width is not padded",
        (small[0], expected[1]): "the height is not padded",
        (small[0] + -small[1] % stride, small[1] + -small[0] % stride): "the padding of height "
        "and width is swapped",
        tuple(each - each % stride for each in small): "cut to multiples of the stride",
        tuple(each + each % stride for each in small): "padded by the remainder; what is missing "
        "is -height % stride",
    }
    likely = causes.get(tuple(seen))
    is_divisible = all(each % stride == 0 for each in seen)
    aspect = (seen[0] / seen[1]) / (photo_size[0] / photo_size[1])
    tolerance = 1.15 * (1 + stride / min(seen))
    has_aspect = 1 / tolerance < aspect < tolerance
    area = seen[0] * seen[1] / (size[0] * size[1])
    if likely is None and is_divisible and has_aspect and 0.3 < area < 4:
        return
    expected_text = f"about {expected[0]}x{expected[1]}: the training's area, the photo's aspect, "
    wrong(given=given, expected=expected_text + "multiples of the stride", got=got, likely=likely)


def _two_classes(tmp_path: Path, size: tuple[int, int]) -> deploy.OnnxSegmenter:
    """Logits 0 and 30 v - 10, where v is -1 on dark and 1 / 1.5 on bright pixels (red only)."""
    weights = np.zeros((2, 3, 1, 1), dtype=np.float32)
    weights[1, 0] = 30
    arrays = {"weights": weights, "bias": np.float32([0, -10])}
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["logits"])]
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return _segmenter(tmp_path, nodes, tensors, size, 1, num_classes=2)


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_logits_are_enlarged_not_labels(tmp_path: Path) -> None:
    """The border between two classes lies where their enlarged logits cross."""
    zoom, size = 16, (6, 8)
    photo = np.zeros((size[0] * zoom, size[1] * zoom, 3), dtype=np.uint8)
    bright = round(255 * (_MEAN[0] + 2 / 3 * _STD[0]))  # normalised 0.67: 10 for class 1
    dark = round(255 * (_MEAN[0] - 0.5 * _STD[0]))  # -0.5: -25
    middle = photo.shape[1] // 2
    photo[:, :middle, 0], photo[:, middle:, 0] = dark, bright
    given = f"a photo {photo.shape}, left half class 0 (logits 0, -25), right half class 1 "
    given += f"(logits 0, 10), training size {size}"
    labels = _predict(_two_classes(tmp_path, size), photo, given)
    rows = labels[zoom:-zoom].astype(int)
    borders = (rows == 0).sum(axis=1)
    # Linear between the centres of two pixels, 16 apart: -25 + 35 t = 0 at t = 0.71, which is
    # 3.4 pixels right of the middle; a cubic curve crosses a little earlier.
    if ((rows[:, 1:] >= rows[:, :-1]).all()) and (abs(borders - middle - 3.5) <= 2.2).all():
        return
    got = float(np.median(borders)) - middle
    if (rows[:, 1:] < rows[:, :-1]).any():
        likely = "the classes are not one left and one right: is argmax taken over the classes?"
    elif abs(got) < 1.3:
        likely = "the labels are resized, or probabilities, or logits by nearest neighbour: "
        likely += "enlarge the logits, then take the argmax"
    else:
        likely = None
    wrong(
        given=given,
        expected="the border lies 3 to 4 pixels right of the middle, where the logits cross",
        got=f"{got:+.0f} pixels",
        likely=likely,
    )


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_network_that_looks_around(tmp_path: Path) -> None:
    """A network with a real stride runs on odd sizes, and answers about the right place."""
    stride, size = 8, (29, 51)
    nodes, arrays = _read_out("large", _PIXELS)
    pick = np.zeros((1, 3, 1, 1), dtype=np.float32)
    pick[0, 0] = 1
    nodes = [
        helper.make_node("Conv", ["image", "pick"], ["one"]),
        helper.make_node(
            "AveragePool", ["one"], ["small"], kernel_shape=[stride, stride], strides=[stride] * 2
        ),
        helper.make_node("Resize", ["small", "", "scales"], ["large"], mode="nearest"),
        *nodes,
    ]
    arrays += [
        numpy_helper.from_array(pick, "pick"),
        numpy_helper.from_array(np.float32([1, 1, stride, stride]), "scales"),
    ]
    segmenter = _segmenter(tmp_path, nodes, arrays, size, stride)
    photo = _slopes(*size)
    given = f"a photo {photo.shape} at the training size, a network of stride {stride}"
    try:
        labels = _predict(segmenter, photo, given)
    except LabError as error:
        wrong(
            given=given,
            expected="the network gets a height and width that divide by its stride",
            got=str(error)[:200],
            likely="the padding to multiples of the stride is missing",
        )
    level = _PIXELS.label(_normalised(photo, 0))
    inside = np.abs(labels - level)[:24, :48]
    allowed = 200 / 255 / _STD[0] / _PIXELS.step / size[1] * stride
    if inside.max() > allowed:
        row, column = np.unravel_index(np.argmax(inside), inside.shape)
        wrong(
            given=given,
            expected=f"pixel ({row}, {column}) gets about class {level[row, column]:.0f}",
            got=int(labels[row, column]),
            likely=_cause_of_slope(labels, 0, size, size, stride),
        )
