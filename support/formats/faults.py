"""What is wrong with a pair of files, in words."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from support.formats.cityscapes import IMAGE_SUFFIX
from support.formats.files import REMOVE_TAG, Sample
from utils import orientation_of


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
