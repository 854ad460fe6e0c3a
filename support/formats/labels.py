"""A label set as data: the names, ids and colours of what the masks of a data folder hold.

A *label id* is what a mask stores for a pixel; a *train id* (0 ... K-1) is what a network learns.
Labels of which nothing is learned have the ignore index for a train id. Every data folder has one
set, and what is made of it (run, checkpoint, `model.onnx`, report) carries it along. As JSON a set
is what `classes.json` in a folder of one's own holds:

    {"name": "leaves", "classes": [{"name": "leaf", "id": 1, "color": [0, 128, 0]}, ...],
     "ignore": [0, 255]}

Where a layout leaves a choice, a `Reading` says how the folder is to be read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from utils import LabError

IGNORE_INDEX = 255


class Label(NamedTuple):
    """One row of a set: `color` is (red, green, blue), each 0 ... 255."""

    name: str
    id: int
    train_id: int
    category: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The labels of a data set, K of which are learned.

    Args:
        name: of the set.
        labels: its rows; the train ids are 0 ... K-1, or `ignore_index` for what is not learned.
        ignore_index: the target value of void pixels; 255 everywhere in the lab.
    """

    name: str
    labels: tuple[Label, ...]
    ignore_index: int = IGNORE_INDEX

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def classes(self) -> tuple[Label, ...]:
        """The K labels that are learned and scored, in the order of their train ids."""
        learned = (label for label in self.labels if label.train_id != self.ignore_index)
        return tuple(sorted(learned, key=lambda label: label.train_id))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return tuple(label.name for label in self.classes)

    @property
    def palette(self) -> np.ndarray:
        """The colour of each train id, (K, 3) uint8 RGB."""
        return np.array([label.color for label in self.classes], dtype=np.uint8)

    @cached_property
    def is_label(self) -> np.ndarray:
        """Whether an id is one of the set's, (largest id + 1,) bool."""
        return self._has_id(self.labels)

    @cached_property
    def is_class(self) -> np.ndarray:
        """Whether an id is that of a class, (largest id + 1,) bool."""
        return self._has_id(self.classes)

    @property
    def cure(self) -> str:
        """What to do where masks seem to hold something else."""
        first = self.classes[0]
        return f"save label ids of the set {self.name}, such as {first.id} for {first.name}"

    @property
    def id_type(self) -> type:
        """The smallest numpy type of the ids: uint8 or uint16."""
        return np.uint8 if len(self.is_label) <= 256 else np.uint16

    def _has_id(self, labels: Sequence[Label]) -> np.ndarray:
        table = np.zeros(max(label.id for label in self.labels) + 1, dtype=bool)
        table[[label.id for label in labels]] = True
        return table

    def require_known(self, label_ids: np.ndarray) -> None:
        """Raises `LabError` naming ids (any shape, any integer dtype) that are not in the set."""
        if not np.issubdtype(label_ids.dtype, np.integer):
            raise LabError(f"label ids must be whole numbers, not {label_ids.dtype}")
        known, size = self.is_label, label_ids.size
        is_inside = size == 0 or (label_ids.min() >= 0 and label_ids.max() < len(known))
        if is_inside and (known.all() or known.take(label_ids).all()):
            return
        from support.formats.faults import unknown_ids  # late: most masks keep to their set

        raise LabError(unknown_ids(label_ids, self))

    def decode(self, train_ids: np.ndarray) -> np.ndarray:
        """Turns train ids, of any shape, back into label ids, as predictions are handed in.

        The ignore index becomes the first id that is ignored, or 0 in a set that ignores none.
        """
        void = (label.id for label in self.labels if label.train_id == self.ignore_index)
        table = np.full(256, next(void, 0), dtype=self.id_type)
        for label in self.classes:
            table[label.train_id] = label.id
        return table[train_ids]

    def count(self, label_ids: np.ndarray) -> np.ndarray:
        """Counts the pixels of each label id: (H, W) → (largest id + 1,), or longer."""
        return np.bincount(label_ids.ravel(), minlength=len(self.is_label))

    def has_class(self, counts: np.ndarray) -> bool:
        """Whether pixels per label id, as from `count`, have one of which to learn."""
        return bool(counts[: len(self.is_class)][self.is_class].any())

    def about_classes(self) -> dict[str, Any]:
        """What a model file says of its classes: `classes` (names), `palette` and `label_ids`."""
        ids = [label.id for label in self.classes]
        return {"classes": list(self.names), "palette": self.palette.tolist(), "label_ids": ids}

    def to_json(self) -> dict[str, Any]:
        """The set as plain lists and dicts; `from_json` reads it."""

        def rows(labels: Iterable[Label]) -> list[dict[str, Any]]:
            return [
                {"name": name, "id": label_id, "color": list(color), "category": category}
                for name, label_id, _, category, color in labels
            ]

        void = (label for label in self.labels if label.train_id == self.ignore_index)
        return {"name": self.name, "classes": rows(self.classes), "ignore": rows(void)}

    @classmethod
    def from_json(cls, content: object, name: str = "classes") -> "LabelSet":
        """Reads a set from what JSON holds, as `support/formats/classes.py` says.

        Raises:
            ClassesError: saying what is wrong.
        """
        from support.formats.classes import parse_classes  # late: Cityscapes does without

        name, labels = parse_classes(content, name)
        return cls(name, labels)


def look_like_train_ids(counts: np.ndarray, labels: LabelSet) -> bool:
    """Whether a target is more likely one of train ids, with 0 for void, than one of label ids.

    Train ids end at K - 1, and read as label ids most of them are void: in Cityscapes 1 is "ego
    vehicle" instead of sidewalk, 10 "rail track" instead of sky. In a real target such labels are
    rare, and what is merely unlabelled has the first ignored id. `counts` are as from
    `LabelSet.count`.
    """
    if counts[len(labels) :].any() or not counts.any():
        return False
    is_void = ~labels.is_class[: len(counts)]
    void, total = counts[: len(is_void)][is_void], counts.sum()
    return total / 2 <= void.sum() < total and void[1:].sum() >= total / 4


def suspicious_labels(
    where: str, counts: Mapping[str, np.ndarray], labels: LabelSet, has_train_ids: bool = True
) -> list[str]:
    """The lines to print on targets that can be read and yet are probably wrong.

    Args:
        where: the split, for the text.
        counts: for each target that was read, by its place: its pixels per label id.
        labels: the set of the data folder.
        has_train_ids: whether there are files of train ids that may have been taken instead.
    """
    found = [place for place, pixels in counts.items() if look_like_train_ids(pixels, labels)]
    is_void = bool(counts) and not any(map(labels.has_class, counts.values()))
    if not (found and has_train_ids) and not is_void:
        return []
    from support.formats.faults import lines_about  # late: mostly there is nothing to say

    return lines_about(where, len(counts), found * has_train_ids, is_void, labels)


# -------------------------------------------------------------------- how a folder is read

VAL_SHARE = 0.2
"""Which part of the images validates where a folder has no split for it."""


class Reading(NamedTuple):
    """The choices; what a layout does not offer does not matter to it.

    Attributes:
        val_share: which part of the images validates where the folder itself does not say.
        with_background: whether what a set counts as background is learned as a class.
        fold: which of the official divisions, from 1 on; None for the first.
        labels: "fine", or "coarse" for the coarse labels of what trains.
        allow_shared_areas: whether training and validation may show the same rooms.
    """

    val_share: float = VAL_SHARE
    with_background: bool = False
    fold: int | None = None
    labels: str = "fine"
    allow_shared_areas: bool = False

    @classmethod
    def from_json(cls, values: object) -> "Reading":
        """Reads what `_asdict` gives, as manifests and model files keep it.

        Raises:
            ValueError: for anything else.
        """
        fault = ValueError(f"not a way to read a folder: {str(values)[:60]}")
        if not isinstance(values, dict) or not values.keys() <= set(cls._fields):
            raise fault
        reading = cls(**values)
        kinds = (float, bool, (int, type(None)), str, bool)
        if not all(map(isinstance, reading, kinds)) or not 0 < reading.val_share < 1:
            raise fault
        return reading


LABEL_KINDS = ("fine", "coarse")
USUAL = Reading()


def reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen among the options of a command, as the fields of a `Reading`."""
    chosen = {field: options.get(field) for field in Reading._fields}
    return {field: value for field, value in chosen.items() if value not in (None, False)}
