"""What is wrong with masks, with their images, or with a folder, in words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from support.formats.cityscapes import FINE, IMAGE_FOLDER, IMAGE_SUFFIX
from support.formats.files import REMOVE_TAG, Sample
from support.formats.labels import LabelSet
from utils import LabError, orientation_of, shortened

MANY_VALUES = 20
"""Unknown ids or colours in a mask, above which it was probably saved with smoothing."""


def turned_or_other_size(
    image_path: Path, image: Image.Image, mask: Path, size: tuple[int, int]
) -> str:
    """What is wrong with an image, opened, beside a mask of `size` (height, width); or nothing.

    The mask lies as the image is stored or as a viewer shows it, which its size tells where the
    image's orientation tag turns by 90°. Where it cannot tell, the tag is a fault.
    """
    stored = image.height, image.width
    tag = orientation_of(image)
    upright = stored[::-1] if tag >= 5 and image.format != "TIFF" else stored
    if size not in (stored, upright):
        as_text = "{1}x{0}".format
        shown = f" ({as_text(*upright)} upright)" if upright != stored else ""
        return (
            f"{mask}: the target is {as_text(*size)}, its image {image_path.name} "
            f"{as_text(*stored)}{shown}; save both at one size"
        )
    if tag != 1 and upright == stored and (image.format != "TIFF" or tag < 5 or size[0] == size[1]):
        return (
            f"{image_path}: has the orientation tag {tag}, and nothing tells whether its target "
            f"lies as the image is stored or as it is shown; {REMOVE_TAG}"
        )
    return ""


def require_mask_kind(mask: Image.Image, path: Path) -> None:
    """Raises `LabError` unless an opened mask is a PNG file, whose numbers are as they were."""
    if mask.format != "PNG":
        cure = "; save the mask as PNG"
        if mask.format == "JPEG":
            cure = ", which changes numbers and blurs borders; export the mask anew as PNG"
        raise LabError(f"{path}: not a PNG file, but {mask.format}{cure}")


def not_grey(mask: Path, mode: str) -> str:
    """That a mask is of a mode of Pillow's in which no ids are read."""
    what = "with an alpha channel" if mode == "LA" else "a colour map?"
    return f"{mask}: a target must be a grey PNG of label ids; this one is of mode {mode} ({what})"


def without_partner(
    read: Sequence[dict[Sample, Path]], others: Sequence[dict[Sample, Path]], label_suffix: str
) -> dict[Sample, str]:
    """One line for each sample of Cityscapes' layout without image or target.

    Args:
        read: the files of the images, and those of the targets.
        others: likewise, files that are not read.
        label_suffix: how the names of the targets end.
    """
    faults = {}
    lacking = (
        ("target without its image", IMAGE_SUFFIX, "the image", others[0]),
        ("image without its target", label_suffix, "label ids", others[1]),
    )
    for sample in {*read[0], *read[1], *others[0], *others[1]}:
        image, label = (files.get(sample) for files in read)
        if image and label:
            continue
        lacks_target = bool(image or not (label or sample in others[0]))
        what, suffix, kind, unread = lacking[lacks_target]
        cure = f"the lab reads *{suffix} alone; save {kind} as a PNG of that name"
        found, other = image or label, unread.get(sample)
        hint = f" (there is {other.name}, but {cure})" if other else ""
        faults[sample] = f"{found}: {what}{hint}" if found else f"{other}: {cure}"
    return faults


def unknown_ids(label_ids: np.ndarray, labels: LabelSet) -> str:
    """Which of the ids (any shape, any integer dtype) are not in the set, in how many pixels."""
    known = labels.is_label
    found, pixels = np.unique(label_ids, return_counts=True)
    unknown = [
        f"{label_id} in {count:,} pixel{'s' * (count > 1)}"
        for label_id, count in zip(found.tolist(), pixels.tolist(), strict=True)
        if not (0 <= label_id < len(known) and known[label_id])
    ]
    there = np.flatnonzero(known).tolist()
    if there == [*range(there[0], there[-1] + 1)]:
        there = [f"{there[0]} ... {there[-1]}"]
    many = len(unknown) > MANY_VALUES
    return (
        f"label ids outside the set {labels.name}, which has {shortened(there)}: "
        f"{shortened(unknown)}{' (saved with smoothing?)' if many else ''}"
    )


def lines_about(
    where: str, number: int, found: Sequence[str], is_void: bool, labels: LabelSet
) -> list[str]:
    """The lines of `suspicious_labels`, once it is known what is wrong.

    Args:
        where: the split.
        number: how many targets of it were read.
        found: the places of those that look like train ids.
        is_void: whether no pixel of any has a class.
        labels: the set of the data folder.
    """
    lines = []
    if found:
        lines.append(
            f"warning: {where}: {len(found)} of the {number} targets read look like train ids, not "
            f"label ids (none above {len(labels) - 1}, most pixels void), first {found[0]}; "
            f"{labels.cure}"
        )
    if is_void:
        lines.append(
            f"warning: {where}: every pixel of the {number} targets read is void, so that nothing "
            f"can be learned or scored; take other images, or {labels.cure} (a benchmark often "
            "keeps the labels of its test split to itself)"
        )
    return lines


def not_in_layout(root: Path, has_images: bool, has_labels: bool) -> str:
    """What a folder that was taken for one of Cityscapes lacks, and what it has instead."""
    folders = (IMAGE_FOLDER, has_images), (FINE, has_labels)
    missing = [f"{name}/<split>/<city>/" for name, is_there in folders if not is_there]
    what = f"is not in the Cityscapes layout: no {missing[0]} in it or one folder below"
    if len(missing) == 2:
        what = "is no data folder that the lab knows: your own has images/ and masks/, "
        what += f"Cityscapes {' and '.join(missing)}"
    there = shortened(sorted(path.name for path in root.iterdir()))
    return f"{root} {what}; what is there: {there}"
