"""Labels of which only a part is drawn: half of each image, some rows, points, or scribbles.

What is visible follows from the image's name alone (scribbles: and from its labels, which they
run inside of), so that it is the same in every epoch, run and process, as if an annotator had
stopped there. All else is void. Points and scribbles follow Bearman et al. 2016, "What's the Point:
Semantic Segmentation with Point Supervision", and Lin et al. 2016, "ScribbleSup"; here they are
drawn at random, not by annotators.
"""

import zlib

import cv2
import numpy as np

from utils import resize_labels

SCRIBBLE_CORNERS = 4
SCRIBBLE_WIDTH = 0.015
"""Of the height of the image."""


def hide(
    train_ids: np.ndarray,
    kind: str,
    name: str,
    ignore_index: int,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Makes void of all but the visible part.

    Args:
        train_ids: (H, W) uint8, a target at its own size.
        kind: `half` (the left or the right one), `rows:N`, `points:N` or `scribbles`.
        name: of the image.
        ignore_index: what void pixels have.
        size: (height, width) that the network sees: its rows and pixels are those of `rows` and
            `points`, which would be lost on the way there if they were the target's own; None for
            the target's own size.

    Returns:
        (H, W) uint8.
    """
    random = np.random.default_rng(zlib.crc32(name.encode("utf-8", "surrogatepass")))
    if kind == "scribbles":
        visible = scribbles(train_ids, random, ignore_index)
    else:
        own = train_ids.shape
        grid = tuple(map(min, size or own, own))
        visible = visible_part(grid, kind, random)
        visible = resize_labels(visible.astype(np.uint8), train_ids.shape) > 0
    return np.where(visible, train_ids, np.uint8(ignore_index))


def visible_part(size: tuple[int, int], kind: str, random: np.random.Generator) -> np.ndarray:
    """Where a target of `size` (H, W) is visible, (H, W) bool; for all kinds but scribbles."""
    height, width = size
    visible = np.zeros(size, dtype=bool)
    what, _, number = kind.partition(":")
    if what == "half":
        middle = (width + 1) // 2
        visible[:, slice(middle) if random.random() < 0.5 else slice(width - middle, None)] = True
    elif what == "rows":
        visible[random.permutation(height)[: int(number)]] = True
    else:
        visible.flat[random.choice(height * width, min(int(number), height * width), False)] = True
    return visible


def scribbles(train_ids: np.ndarray, random: np.random.Generator, ignore_index: int) -> np.ndarray:
    """A line through each class, where it does not leave the class: (H, W) bool."""
    visible = np.zeros(train_ids.shape, dtype=bool)
    thickness = max(1, round(SCRIBBLE_WIDTH * train_ids.shape[0]))
    for train_id in np.unique(train_ids[train_ids != ignore_index]):
        rows, columns = np.nonzero(train_ids == train_id)
        corners = np.sort(random.integers(len(rows), size=SCRIBBLE_CORNERS))
        points = np.stack([columns[corners], rows[corners]], axis=1).astype(np.int32)
        line = cv2.polylines(np.zeros_like(train_ids), [points], False, 1, thickness)
        visible |= (line > 0) & (train_ids == train_id)
    return visible
