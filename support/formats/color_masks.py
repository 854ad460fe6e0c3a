"""Masks that hold colours instead of ids: every colour must be one of the set's, exactly.

No tolerance, no nearest colour: a pixel between two colours is a pixel between two classes, and
what lies there is for the person who drew it to say.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from support.formats.faults import MANY_VALUES
from support.formats.files import COLOR_MODES, require_upright
from support.formats.labels import LabelSet
from utils import LabError, opened_image

TINY_SHARE = 0.01
"""More unknown colours than these, each of fewer pixels, look like the blends of smoothed edges."""


def read_color_mask(path: Path, labels: LabelSet, unknown_id: int | None = None) -> np.ndarray:
    """Reads an RGB PNG and turns each colour into the id of the first label that has it.

    Args:
        path: the file; it may have an alpha channel in which no pixel is transparent.
        labels: the set.
        unknown_id: the id of colours that no label has; None refuses them.

    Returns:
        The ids, (H, W) unsigned.

    Raises:
        LabError: when the file is unreadable, not an RGB PNG, transparent, or has unknown colours.
    """
    with opened_image(path, "PNG") as image:
        if image.mode not in COLOR_MODES:
            raise LabError(
                f"{path}: a colour mask must be an RGB PNG; this one is of mode {image.mode}"
            )
        require_opaque(image, path)
        rgb = np.array(image)[..., :3]
        require_upright(image, path)
    packed = _pack(rgb)
    colors, first = np.unique(_pack(_colors_of(labels)), return_index=True)
    rank = np.searchsorted(colors[1:], packed, side="right")  # (H, W), the last that is not larger
    is_known = colors[rank] == packed
    if unknown_id is None and not is_known.all():
        raise LabError(f"{path}: {_unknown_in_words(rgb, labels)}")
    ids = np.array([label.id for label in labels.labels], dtype=labels.id_type)[first]
    return np.where(is_known, ids[rank], labels.id_type(unknown_id or 0))


def require_opaque(mask: Image.Image, path: Path) -> None:
    """Raises `LabError` for a mask with transparent pixels: their colour is not what one sees."""
    if mask.mode == "RGBA" and (number := int((np.asarray(mask)[..., 3] < 255).sum())):
        raise LabError(f"{path}: has {number:,} transparent pixels; export it without transparency")


def unknown_colors(rgb: np.ndarray, labels: LabelSet) -> list[tuple[tuple[int, int, int], int]]:
    """Lists the colours that no label has, each with its number of pixels, the most frequent first.

    Shape:
        rgb: (H, W, 3) uint8.
    """
    found, counts = np.unique(_pack(rgb), return_counts=True)
    is_unknown = ~np.isin(found, _pack(_colors_of(labels)))
    rows = sorted(zip(-counts[is_unknown], found[is_unknown], strict=True))
    return [((int(c >> 16), int(c >> 8 & 255), int(c & 255)), int(-count)) for count, c in rows]


def _unknown_in_words(rgb: np.ndarray, labels: LabelSet) -> str:
    unknown = unknown_colors(rgb, labels)
    color, count = unknown[0]
    distances = np.square(_colors_of(labels).astype(int) - color).sum(axis=1)
    nearest = labels.labels[int(distances.argmin())]
    line = (
        f"the colour {color} (pixels: {count:,}) is not one of the set {labels.name}; the nearest "
        f"is {nearest.color} {nearest.name}"
    )
    line += "; mend the mask, or give the colour to a row of the set"
    if len(unknown) > 1:
        line += f"; further unknown colours: {len(unknown) - 1:,}"
    if len(unknown) > MANY_VALUES and count < TINY_SHARE * rgb[..., 0].size:
        line += "; anti-aliased edges? export without smoothing"
    return line


def _colors_of(labels: LabelSet) -> np.ndarray:
    """The colour of each row, (rows, 3) uint8."""
    return np.array([label.color for label in labels.labels], dtype=np.uint8)


def _pack(rgb: np.ndarray) -> np.ndarray:
    """Packs colours into 24 bits, (..., 3) uint8 → (...) uint32."""
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue
