"""The likely causes of wrong answers of chapter 1: label ids to train ids, pixels of each class."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from checks.common import VOID, in_words
from checks.diagnosis.search import RAISES, Either, NoValue, Question
from support.formats.labels import LabelSet

# ------------------------------------------------------------------ 1.1 label ids to train ids

_LEARNED_LABELS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the train ids 0 ... 18 of Cityscapes."""
LEAVES = LabelSet.from_json(
    {"classes": [{"name": "soil", "id": 263}, {"name": "leaf", "id": 7}], "ignore": [0]}
)
_ORDER = np.random.default_rng(8).permutation(256)
MANY = LabelSet.from_json(
    {
        "classes": [{"name": f"class {i}", "id": int(i)} for i in _ORDER[:240]],
        "ignore": _ORDER[240:].tolist(),
    }
)
"""240 classes in any order; the ids reach from 0 to 255."""


class LabelIds(NamedTuple):
    """Label ids of any shape, and their set: Cityscapes', two kinds of leaves, or 240 classes."""

    ids: np.ndarray
    labels: LabelSet | None = None


def _table(labels: LabelSet | None) -> dict[int, int]:
    """Label id → train id."""
    if labels is not None:
        return {label.id: label.train_id for label in labels.labels}
    learned = {label_id: k for k, label_id in enumerate(_LEARNED_LABELS)}
    return dict.fromkeys(range(34), VOID) | learned


def _looked_up(x: LabelIds, table: Callable[[int], int]) -> np.ndarray:
    return np.array([table(int(i)) for i in x.ids.ravel()]).reshape(x.ids.shape)


def _in_turn(table: dict[int, int], order: Sequence[int]) -> dict[int, int]:
    """What comes of replacing one label after the other in the same array."""
    found = {}
    for start in table:
        value = start
        for label_id in order:
            value = table[label_id] if value == label_id else value
        found[start] = value
    return found


def _mistakes_of_ids(x: LabelIds) -> dict[str, object]:
    """Likely cause → the train ids that it gives, or a test of them."""
    table, city = _table(x.labels), _table(None)
    wanted = _looked_up(x, table.__getitem__)
    places = {i: k for k, i in enumerate(table)}
    cut = {i % 256: k for i, k in table.items()}
    learned = [i for i, k in table.items() if k != VOID]
    void = [i for i, k in table.items() if k == VOID]
    is_learned = wanted != VOID
    inverse = {k: i for i, k in table.items() if k != VOID}
    orders = (sorted(learned) + void, sorted(table, reverse=True), sorted(table))
    ranks = np.unique(x.ids, return_inverse=True)[1].reshape(x.ids.shape)

    def all_learned_right(got: np.ndarray) -> bool:
        return np.array_equal(got[is_learned], wanted[is_learned])

    def has_one_other(got: np.ndarray) -> bool:
        others = set(got[~is_learned].tolist())
        return all_learned_right(got) and len(others) <= 1

    def is_shifted(got: np.ndarray) -> bool:
        shifts = set((got[is_learned].astype(int) - wanted[is_learned]).tolist())
        return len(shifts) <= 1 and shifts != {0}

    def lost_the_first(got: np.ndarray) -> bool:
        rest = is_learned & (wanted != 0)
        return np.array_equal(got[rest], wanted[rest]) and not (got[wanted == 0] == 0).any()

    def is_in_another_order(got: np.ndarray) -> bool:
        pairs = set(zip(wanted[is_learned].tolist(), got[is_learned].tolist(), strict=True))
        images = {image for _, image in pairs}
        is_one_to_one = len(pairs) == len(images) == len({k for k, _ in pairs})
        return is_one_to_one and images <= set(table.values()) - {VOID}

    def if_fine(is_fine: bool) -> object:
        return wanted if is_fine else RAISES

    is_other, largest = x.labels is not None, int(x.ids.max())
    of_kinds = {
        "the table is too short: ids 0 ... n need n + 1 places": wanted
        if largest < max(table)
        else NoValue("IndexError"),
        "label ids may come in any integer type": if_fine(x.ids.dtype == np.uint8),
        "torch takes uint8 for a mask, not for an index: .long()": wanted
        if x.ids.dtype != np.uint8
        else NoValue("IndexError"),
        "any shape must be possible, not (H, W) alone": if_fine(x.ids.ndim == 2),
    }
    of_sets = {
        "take the rows of the set that is given, not Cityscapes'": Either(
            (_looked_up(x, lambda i: city.get(i, VOID)), if_fine(largest < len(city)))
        ),
        "ids may be larger than 255: they are cut to bytes": Either(
            (_looked_up(x, lambda i: cut[i % 256]), if_fine(largest < 256))
        ),
        "ids have gaps: label.id is the place in the table, not the place in the set": Either(
            (_looked_up(x, lambda i: places.get(i, VOID)), if_fine(largest < len(table)))
        ),
    }
    return (of_sets if is_other else of_kinds) | {
        "these are the label ids, unchanged": x.ids.astype(np.int64),
        "these are the ranks among the ids that occur here; ask the set": ranks,
        "the table is the wrong way round: these are the label ids of train ids": _looked_up(
            x, lambda i: inverse.get(i, VOID)
        ),
        "ids are replaced one after the other in the same array: what was replaced once is "
        "replaced again (7 becomes 0, then 0 becomes 255); read the old ids, write the new": (
            Either(_looked_up(x, _in_turn(table, order).__getitem__) for order in orders)
        ),
        "road, train id 0, is lost: for example, 0 is false in `if label.train_id`": lost_the_first,
        "labels that are not learned become another number; they must become 255, the ignore "
        "index: a table starts with 255 everywhere": has_one_other,
        "the train ids are +1 off: the first, of road, is 0": lambda got: (
            is_shifted(got) and (got[is_learned] == wanted[is_learned] + 1).all()
        ),
        "the train ids are all off by the same number: the first, of road, is 0": is_shifted,
        "the learned labels are right; those that are not learned must all become 255": (
            all_learned_right
        ),
        "the train ids are in another order than in the set: take label.train_id": (
            is_in_another_order
        ),
    }


def _small_ids() -> Iterator[LabelIds]:
    """One id, in every type; two ids; a column; then the other sets."""
    for label_id in range(34):
        yield LabelIds(np.array([label_id], dtype=np.uint8))
    for name in ("int64", "int32", "int8", "uint16", "int16", "uint32", "uint64"):
        yield LabelIds(np.array([7], dtype=name))
    for first, second in ((0, 7), (7, 0), (7, 7), (7, 8), (8, 7), (0, 0)):
        yield LabelIds(np.array([first, second], dtype=np.uint8))
        yield LabelIds(np.array([[first], [second]], dtype=np.uint8))
    for label_id in (0, 7, 263):
        yield LabelIds(np.array([label_id]), LEAVES)
    for label_id in range(256):
        yield LabelIds(np.array([label_id]), MANY)


def _more_ids(seed: int, labels: LabelSet | None) -> LabelIds:
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(2, 6, 1 + seed // 3))
    if labels is not None and seed % 2:
        shape = (1,)  # an id that many mistakes get right
    kind = "int64" if labels is LEAVES else ("uint8", "int64", "int16")[seed % 3]
    return LabelIds(random.choice(list(_table(labels)), shape).astype(kind), labels)


def ids_question(answer: Callable[..., object], labels: LabelSet | None = None) -> Question:
    """The train ids of label ids of a set."""

    def value(x: LabelIds) -> object:
        got = answer(x.ids.copy(), *[x.labels] * (x.labels is not None))
        if not isinstance(got, np.ndarray):
            cause = "the train ids are a numpy array, as the label ids are"
            return NoValue.because(in_words(got), cause)
        if got.shape != x.ids.shape:
            return NoValue.because(in_words(got), "the shape of the label ids must be kept")
        return got

    def given(x: LabelIds) -> str:
        text = f"label ids {x.ids.tolist()}" if x.ids.size <= 12 else f"label ids {x.ids.shape}"
        names = {id(None): "", id(LEAVES): "soil 263, leaf 7, ignored 0"}
        name = names.get(id(x.labels), "240 classes, ids 0 ... 255 in any order")
        return f"{text} {x.ids.dtype}" + f"; another set: {name}" * bool(name)

    def shown(ids: np.ndarray) -> str:
        return f"{ids.tolist() if ids.size <= 12 else ids.ravel()[:12].tolist()}, {ids.dtype}"

    def same(got: np.ndarray, other: np.ndarray) -> bool:
        is_right = other.dtype == np.uint8
        return np.array_equal(got, other) and (got.dtype == np.uint8 or not is_right)

    def mistakes(x: LabelIds) -> dict[str, object]:
        wanted = _looked_up(x, _table(x.labels).__getitem__)
        kind = "the table decides the type of what is taken from it: dtype=np.uint8"
        return {kind: lambda got: np.array_equal(got.astype(np.uint8), wanted)} | _mistakes_of_ids(
            x
        )

    return Question(
        answer=value,
        right=lambda x: _looked_up(x, _table(x.labels).__getitem__).astype(np.uint8),
        mistakes=mistakes,
        more=lambda seed: _more_ids(seed, labels),
        small=_small_ids,
        given=given,
        shown=shown,
        same=same,
    )


# ------------------------------------------------------------------ 1.2 pixels of each class

Target = Sequence[Sequence[int]]


class Targets(NamedTuple):
    """The targets of a data set, K, and how a target comes: "uint8" or "tensor int64"."""

    targets: Sequence[Target]
    num_classes: int
    kind: str = "uint8"

    def arrays(self) -> list[np.ndarray | Tensor]:
        """The targets as the data set gives them."""
        dtype = np.dtype(self.kind.split()[-1])
        found = [np.array(target).astype(dtype) for target in self.targets]
        return [torch.from_numpy(each) for each in found] if "tensor" in self.kind else found


def _by_class(targets: Sequence[Target], num_classes: int) -> np.ndarray:
    """The pixels of each of the K classes, counted one by one."""
    flat = [i for target in targets for row in target for i in row]
    return np.array([flat.count(k) for k in range(num_classes)])


def _mistakes_of_counts(x: Targets) -> dict[str, object]:
    """Likely cause → the counts that it gives."""
    expected = _by_class(x.targets, x.num_classes)
    each = [_by_class([target], x.num_classes) for target in x.targets]
    flat = [[i for row in target for i in row] for target in x.targets]
    void = sum(ids.count(VOID) for ids in flat)
    first = np.eye(x.num_classes, dtype=int)[0]
    sizes = {np.shape(target) for target in x.targets}
    is_last_there = all(counts[-1] for counts in each)
    spread = sum(n.max() if (n > 0).sum() == 1 and n[0] else n for n in each)
    found = {
        "these are the counts of the last sample alone: add them up": each[-1],
        "these are the counts of the first sample alone: go over the whole data set": each[0],
        "the last sample is missing": expected - each[-1],
        "the first sample is missing": expected - each[0],
        "void pixels are counted as class 0; they count for no class": expected + void * first,
        "void pixels are counted as the last class; they count for no class": (
            expected + void * first[::-1]
        ),
        "void pixels (255) must be out before counting": RAISES if void else expected,
        "bincount needs minlength=K, so that every sample gives K counts": expected
        if is_last_there
        else RAISES,
        "samples may differ in size: they cannot be stacked": RAISES
        if len(sizes) > 1
        else expected,
        "these are the images in which a class occurs, not its pixels": sum(n > 0 for n in each),
        "these are shares; the counts are wanted": expected / max(expected.sum(), 1),
        "these are means over the samples: add up, don't average": expected / len(each),
        "these are the counts modulo 256: uint8 overflows": expected % 256,
        "these are the counts modulo 65536: 16 bits overflow": ((expected + 2**15) % 2**16 - 2**15),
        "these are the sums of the ids; the pixels are wanted": expected * np.arange(x.num_classes),
        "what was counted so far is added again with each sample": sum(
            n * 2 ** (len(each) - 1 - i) for i, n in enumerate(each)
        ),
        "counts of too few entries are added to all classes: bincount needs minlength=K": spread,
    }
    found["the last class is left out"] = np.append(expected[:-1], 0)
    for k in range(x.num_classes):
        without = np.where(np.arange(x.num_classes) == k, 0, expected)
        found[f"class {k} is left out"] = without
    return found


def _small_targets() -> Iterator[Targets]:
    """One pixel, two pixels, two targets; of two classes and void."""
    ids = (0, 1, VOID)
    for a in ids:
        yield Targets([[[a]]], 3)
    for a in ids:
        for b in ids:
            yield Targets([[[a, b]]], 2)
            yield Targets([[[a], [b]]], 2)
            yield Targets([[[a]], [[b]]], 2)
    for kind in ("int64", "int32", "int16", "tensor uint8", "tensor int64"):
        yield Targets([[[0, 1, 1]]], 2, kind)
    yield Targets([[[0]], [[1, 1]]], 2)
    yield Targets([[[0] * 300]], 2)


def _more_targets(seed: int) -> Targets:
    random = np.random.default_rng(seed)
    num_classes = int(random.integers(3, 6))
    targets = []
    for i in range(1 + seed % 3):
        size = (2, 3 + i) if seed % 2 else (2, 3)
        target = random.integers(0, num_classes, size)
        target[random.random(size) < 0.2] = VOID
        targets.append(target.tolist())
    if seed == 5:
        targets.append([[1] * 70_000])
    return Targets(targets, num_classes, ("uint8", "tensor int64")[seed % 2])


def counts_question(answer: Callable[[list, int], object]) -> Question:
    """The pixels of each class of a data set."""

    def value(x: Targets) -> object:
        got = answer(x.arrays(), x.num_classes)
        cause = None
        if isinstance(got, Tensor) and got.shape == (x.num_classes,):
            return got.numpy()
        length = len(got) if isinstance(got, Tensor) and got.dim() == 1 else 0
        classes = [i for target in x.targets for row in target for i in row if i != VOID]
        if length in (x.num_classes + 1, 256):
            cause = "there are more counts than classes: void is no class"
        elif 0 < length == max(classes, default=0) + 1 < x.num_classes:
            cause = "a class that does not occur has the count 0: bincount needs minlength=K"
        return NoValue.because(in_words(got), cause)

    def given(x: Targets) -> str:
        words = [
            str(target) if np.size(target) <= 16 else f"one of {np.size(target)} pixels"
            for target in x.targets
        ]
        kind = f"; each is a {x.kind}" if "tensor" in x.kind else f"; {x.kind}"
        return f"targets {', '.join(words)}, K = {x.num_classes}{kind}"

    def same(got: np.ndarray, other: np.ndarray) -> bool:
        if other.dtype == np.int64:
            return got.dtype == np.int64 and np.array_equal(got, other)
        return np.allclose(got, other, rtol=1e-5, atol=0)

    def mistakes(x: Targets) -> dict[str, object]:
        expected = _by_class(x.targets, x.num_classes)
        found = {
            cause: np.asarray(value, dtype=float) if isinstance(value, np.ndarray) else value
            for cause, value in _mistakes_of_counts(x).items()
        }
        return {
            "counts are whole numbers: dtype=torch.int64": (
                lambda got: got.dtype != np.int64 and np.array_equal(got, expected)
            )
        } | found

    return Question(
        answer=value,
        right=lambda x: _by_class(x.targets, x.num_classes),
        mistakes=mistakes,
        more=_more_targets,
        small=_small_targets,
        given=given,
        shown=lambda counts: f"{counts.tolist()}, a tensor ({len(counts)},) {counts.dtype}",
        same=same,
    )
