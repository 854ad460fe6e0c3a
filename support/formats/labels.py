"""The official Cityscapes label table: every name, id, train id, category and colour.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding" (CVPR 2016,
section 2.2), with the values that the authors publish in `cityscapesscripts` (helpers/labels.py).
A *label id* (0 ... 33) is what the `_labelIds.png` files hold; a *train id* (0 ... 18) is what a
network learns. Labels that the benchmark leaves out have train id 255, the ignore index. The
official list also has "license plate" with id -1, which no 8-bit file can hold: left out here.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

IGNORE_INDEX = 255


class Label(NamedTuple):
    """One row of the table: `color` is (red, green, blue), each 0 ... 255."""

    name: str
    id: int
    train_id: int
    category: str
    color: tuple[int, int, int]


LABELS = (
    Label("unlabeled", 0, 255, "void", (0, 0, 0)),
    Label("ego vehicle", 1, 255, "void", (0, 0, 0)),
    Label("rectification border", 2, 255, "void", (0, 0, 0)),
    Label("out of roi", 3, 255, "void", (0, 0, 0)),
    Label("static", 4, 255, "void", (0, 0, 0)),
    Label("dynamic", 5, 255, "void", (111, 74, 0)),
    Label("ground", 6, 255, "void", (81, 0, 81)),
    Label("road", 7, 0, "flat", (128, 64, 128)),
    Label("sidewalk", 8, 1, "flat", (244, 35, 232)),
    Label("parking", 9, 255, "flat", (250, 170, 160)),
    Label("rail track", 10, 255, "flat", (230, 150, 140)),
    Label("building", 11, 2, "construction", (70, 70, 70)),
    Label("wall", 12, 3, "construction", (102, 102, 156)),
    Label("fence", 13, 4, "construction", (190, 153, 153)),
    Label("guard rail", 14, 255, "construction", (180, 165, 180)),
    Label("bridge", 15, 255, "construction", (150, 100, 100)),
    Label("tunnel", 16, 255, "construction", (150, 120, 90)),
    Label("pole", 17, 5, "object", (153, 153, 153)),
    Label("polegroup", 18, 255, "object", (153, 153, 153)),
    Label("traffic light", 19, 6, "object", (250, 170, 30)),
    Label("traffic sign", 20, 7, "object", (220, 220, 0)),
    Label("vegetation", 21, 8, "nature", (107, 142, 35)),
    Label("terrain", 22, 9, "nature", (152, 251, 152)),
    Label("sky", 23, 10, "sky", (70, 130, 180)),
    Label("person", 24, 11, "human", (220, 20, 60)),
    Label("rider", 25, 12, "human", (255, 0, 0)),
    Label("car", 26, 13, "vehicle", (0, 0, 142)),
    Label("truck", 27, 14, "vehicle", (0, 0, 70)),
    Label("bus", 28, 15, "vehicle", (0, 60, 100)),
    Label("caravan", 29, 255, "vehicle", (0, 0, 90)),
    Label("trailer", 30, 255, "vehicle", (0, 0, 110)),
    Label("train", 31, 16, "vehicle", (0, 80, 100)),
    Label("motorcycle", 32, 17, "vehicle", (0, 0, 230)),
    Label("bicycle", 33, 18, "vehicle", (119, 11, 32)),
)

TRAIN_CLASSES = tuple(label for label in LABELS if label.train_id != IGNORE_INDEX)
"""The 19 labels that are learned and scored, in the order of their train ids."""

CLASS_NAMES = tuple(label.name for label in TRAIN_CLASSES)

PALETTE = np.array([label.color for label in TRAIN_CLASSES], dtype=np.uint8)
"""The official colour of each train id, (19, 3) uint8 RGB."""

LABEL_PALETTE = np.array([label.color for label in LABELS], dtype=np.uint8)
"""The official colour of each label id, (34, 3) uint8 RGB."""

SAVE_LABEL_IDS = "save label ids, such as 7 for road (see support/formats/labels.py)"

IS_VOID = np.array([label.train_id == IGNORE_INDEX for label in LABELS])
"""Whether nothing is learned from a label id, (34,) bool."""


def decode_label_ids(train_ids: np.ndarray) -> np.ndarray:
    """Turns train ids back into official label ids; the ignore index becomes 0 (unlabeled).

    This is the way back of `data.encode_train_ids`, needed to submit predictions; uint8 of any
    shape.
    """
    table = np.zeros(256, dtype=np.uint8)
    for label in TRAIN_CLASSES:
        table[label.train_id] = label.id
    return table[train_ids]


def count_label_ids(label_ids: np.ndarray) -> np.ndarray:
    """Counts the pixels of each label id: (H, W) uint8 → (34,), or longer for unknown ids."""
    return np.bincount(label_ids.ravel(), minlength=len(LABELS))


def look_like_train_ids(counts: np.ndarray) -> bool:
    """Whether a target is more likely one of train ids, with 0 for void, than one of label ids.

    Train ids end at 18, and read as label ids most of them are void: 1 is "ego vehicle" instead of
    sidewalk, 10 "rail track" instead of sky. In a real target such labels are rare, and what is
    merely unlabelled has id 0.

    Args:
        counts: pixels per label id, as `count_label_ids` returns them.
    """
    if counts[len(TRAIN_CLASSES) :].any() or not counts.any():
        return False
    void = counts[: len(LABELS)][IS_VOID]
    total = counts.sum()
    return total / 2 <= void.sum() < total and void[1:].sum() >= total / 4


def suspicious_labels(where: str, counts: Mapping[str, np.ndarray]) -> list[str]:
    """The lines to print on targets that can be read and yet are probably wrong.

    Args:
        where: the split, for the text.
        counts: for each target that was read, by its place: its pixels per label id.
    """
    lines = []
    found = [place for place, pixels in counts.items() if look_like_train_ids(pixels)]
    if found:
        lines.append(
            f"warning: {where}: {len(found)} of the {len(counts)} targets read look like train "
            f"ids, not label ids (none above {len(TRAIN_CLASSES) - 1}, most pixels void), first "
            f"{found[0]}; {SAVE_LABEL_IDS}"
        )
    if counts and not any(map(has_label, counts.values())):
        lines.append(f"warning: {all_void(where, len(counts))}")
    return lines


def has_label(counts: np.ndarray) -> bool:
    """Whether pixels per label id, as from `count_label_ids`, have one of which to learn."""
    return bool(counts[: len(LABELS)][~IS_VOID].any())


def all_void(where: str, number: int) -> str:
    """What to say where every pixel of so many targets is void."""
    return (
        f"{where}: every pixel of the {number} targets read is void, so that nothing can be "
        f"learned or scored; take other images, or {SAVE_LABEL_IDS} (Cityscapes keeps the labels "
        "of its test split to itself)"
    )
