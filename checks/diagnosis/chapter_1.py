"""The likely causes of wrong answers of chapter 1: label ids to train ids, pixels of each class."""

from collections.abc import Sequence

import numpy as np

from checks.common import VOID

_LEARNED_LABELS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the train ids 0 ... 18."""
_ROAD = 7


def train_id(label_id: int) -> int:
    """The train id of a label id of Cityscapes."""
    return _LEARNED_LABELS.index(label_id) if label_id in _LEARNED_LABELS else VOID


def _replaced_in_turn(label_ids: Sequence[int]) -> dict[int, int]:
    """What comes of replacing one label after the other in the same array."""
    found = {}
    for start in range(34):
        value = start
        for label_id in label_ids:
            value = train_id(label_id) if value == label_id else value
        found[start] = value
    return found


def cause_of_train_ids(got: dict[int, int]) -> str | None:
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
    right = [label_id for label_id in _LEARNED_LABELS if got[label_id] == train_id(label_id)]
    if len(right) == len(_LEARNED_LABELS) and len({got[label_id] for label_id in void}) == 1:
        return (
            f"labels that are not learned become {got[void[0]]}; they must become 255, the ignore "
            "index: a table starts with 255 everywhere"
        )
    if len(right) == len(_LEARNED_LABELS) - 1 and got[_ROAD] != 0:
        return "road is lost: its train id 0 counts as false in `if label.train_id`"
    shifted = {got[label_id] - train_id(label_id) for label_id in _LEARNED_LABELS}
    if len(shifted) == 1 and shifted != {0}:
        return f"the train ids are {shifted.pop():+d} off: the first, of road, is 0"
    if len(right) == len(_LEARNED_LABELS):
        return "the learned labels are right; those that are not learned must all become 255"
    if sorted(got[label_id] for label_id in _LEARNED_LABELS) == [*range(len(_LEARNED_LABELS))]:
        return "the train ids are in another order than in the set: take label.train_id"
    return None


def by_class(targets: Sequence, num_classes: int) -> list[int]:
    """The pixels of each of the K classes, counted one by one."""
    flat = [i for target in targets for row in target for i in row]
    return [flat.count(k) for k in range(num_classes)]


def cause_of_counts(got: list[float], targets: Sequence, num_classes: int) -> str | None:
    """The mistake that counts so."""
    expected = by_class(targets, num_classes)
    void = sum(i == VOID for target in targets for row in target for i in row)
    each = [by_class([target], num_classes) for target in targets]
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
