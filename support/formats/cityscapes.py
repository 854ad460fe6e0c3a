"""Folders in the Cityscapes layout: finding, pairing and reading their files.

The layout is that of the official archives (Cordts et al., CVPR 2016; www.cityscapes-dataset.com):

    leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png      8-bit RGB
    gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png       8-bit grey, label ids

Both folders may also lie one level deeper, as when each archive was unpacked into a folder of its
own name (`gtFine_trainvaltest/gtFine`), or else in any one folder, but not in one of several: which
of them is meant is for the user to say. Whatever a user can get wrong raises `LabError` with one
line.
"""

import hashlib
import itertools
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from support.formats.labels import IGNORE_INDEX, LABELS
from utils import LabError, opened_image, orientation_of, python_command, to_rgb

if TYPE_CHECKING:
    from support.formats.prepared import PreparedArrays

MANIFEST_NAME = "prepared.json"
"""The file by which a prepared copy is known."""
IMAGE_FOLDER = "leftImg8bit"
LABEL_FOLDER = "gtFine"
IMAGE_SUFFIX = "_leftImg8bit.png"
LABEL_SUFFIX = "_gtFine_labelIds.png"
OTHER_IMAGE = r"(?is)(.+)_leftImg8bit\.\w+"
OTHER_LABEL = r"(?is)(.+)_gtFine_label(?:Train)?Ids\.\w+"
"""Names that are often taken for an image or a target of this layout, and are not read."""

SCALED_BY = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the numbers of a grey PNG with, by how they are stored."""
REMOVE_TAG = "remove the tag (`exiftool -Orientation= FILE`), or turn both files upright"


class Sample(NamedTuple):
    """One image and its target: `name` is `<city>_<sequence>_<frame>`, without folder or suffix."""

    city: str
    name: str


# ---------------------------------------------------------------------------------- reading files


def require_label_ids(label_ids: np.ndarray) -> None:
    """Raises `LabError` naming ids (any shape, any integer dtype) outside the official table."""
    if not np.issubdtype(label_ids.dtype, np.integer):
        raise LabError(f"label ids must be whole numbers, not {label_ids.dtype}")
    last = len(LABELS) - 1
    if label_ids.size == 0 or (label_ids.min() >= 0 and label_ids.max() <= last):
        return
    unknown = np.unique(label_ids[(label_ids < 0) | (label_ids > last)])
    names = ", ".join(str(label_id) for label_id in unknown[:8])
    more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
    hint = " (255 suggests a labelTrainIds file)" if IGNORE_INDEX in unknown else ""
    raise LabError(f"label ids outside the table, which has 0 ... {last}: {names}{more}{hint}")


def read_label_ids(path: Path) -> np.ndarray:
    """Reads a `_labelIds.png`: its numbers as they are stored, whatever the bits of a pixel.

    Pillow scales the 2 or 4 bits of a small grey file up to 255; here that is undone. Palette files
    are refused: their numbers depend on the program that chose the palette. The result, (H, W)
    uint8, or uint16 where an id needs it, is not checked against the table.

    Raises:
        LabError: when the file is unreadable, truncated, of another kind or absurdly large.
    """
    with opened_image(path, "PNG") as image:
        if image.mode not in ("1", "L", "I", "I;16"):
            raise LabError(
                f"{path}: a target must be a grey PNG of label ids; this one is of mode "
                f"{image.mode} (a colour map?)"
            )
        tiles = image.tile
        ids = np.array(image)
        if orientation_of(image) != 1:
            raise LabError(f"{path}: a target must have no orientation tag; {REMOVE_TAG}")
    ids = ids // SCALED_BY.get(tiles[0].args, 1)
    return ids.astype(np.uint8) if ids.max(initial=0) < 256 else ids


def pair_fault(image_path: Path, image: Image.Image, label: Path, size: tuple[int, int]) -> str:
    """What is wrong with an image, opened, beside a target of `size` (height, width); or nothing.

    The target lies as the image is stored or as a viewer shows it, which its size tells where the
    image's orientation tag turns by 90°. Where it cannot tell, the tag is a fault.
    """
    stored = image.height, image.width
    tag = orientation_of(image)
    upright = stored[::-1] if tag >= 5 else stored
    if size not in (stored, upright):
        as_text = "{1}x{0}".format
        shown = f" ({as_text(*upright)} upright)" if upright != stored else ""
        return (
            f"{label}: the target is {as_text(*size)}, its image {image_path.name} "
            f"{as_text(*stored)}{shown}"
        )
    if tag != 1 and upright == stored:
        return (
            f"{image_path}: has the orientation tag {tag}, and nothing tells whether its target "
            f"lies as the image is stored or as it is shown; {REMOVE_TAG}"
        )
    return ""


def read_paired_image(path: Path, label: Path, size: tuple[int, int]) -> np.ndarray:
    """Reads an image, (H, W, 3) uint8 RGB, as its target of `size` (height, width) lies.

    Raises:
        LabError: as `opened_image`, and with what `pair_fault` says.
    """
    with opened_image(path, "PNG") as image:
        image.load()  # an orientation tag may stand behind the pixels
        if fault := pair_fault(path, image, label, size):
            raise LabError(fault)
        is_turned = (image.height, image.width) != size
        return np.array(to_rgb(ImageOps.exif_transpose(image) if is_turned else image))


# ---------------------------------------------------------------------------- finding the samples


def require_folder(root: Path) -> None:
    """Raises `LabError` when a data folder is missing, a file, or empty."""
    if not root.exists():
        raise LabError(f"the data folder {root} does not exist")
    if not root.is_dir():
        raise LabError(f"{root} is a file, not a data folder")
    if not any(root.iterdir()):
        raise LabError(
            f"the data folder {root} is empty; {IMAGE_FOLDER}/ and {LABEL_FOLDER}/ belong in it, "
            "as they come out of the Cityscapes archives"
        )


def require_known(kind: str, wanted: Sequence[str], known: Sequence[str], where: str) -> None:
    """Raises `LabError` with the known names when a wanted one is not among them."""
    for name in wanted:
        if name not in known:
            there = ", ".join(known) or "none"
            raise LabError(f"unknown {kind} {name!r} in {where}; there are: {there}")


def list_splits(root: Path) -> list[str]:
    """Names the splits of a folder in the Cityscapes layout, sorted.

    Raises:
        LabError: when the folder is missing, empty, of another layout, or holds several data sets.
    """
    require_folder(root)
    images, labels = _split_folders(root, IMAGE_FOLDER), _split_folders(root, LABEL_FOLDER)
    if images and labels:
        return sorted(images.keys() | labels.keys())
    layers = ((IMAGE_FOLDER, images), (LABEL_FOLDER, labels))
    missing = " and no ".join(f"{name}/<split>/<city>/" for name, found in layers if not found)
    there = sorted(path.name for path in root.iterdir())
    raise LabError(
        f"{root} is not in the Cityscapes layout: no {missing} in it or one folder below; "
        f"what is there: {', '.join(there[:8])}{', ...' if len(there) > 8 else ''}"
    )


def select(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """Keeps at most `limit` samples, drawn evenly from the cities, sorted by city and name.

    The first sample of every city comes first, then every city's second, and so on: a small limit
    still shows many cities, and a larger one contains the smaller.

    Raises:
        LabError: when the limit is not positive.
    """
    ordered = sorted(samples)
    if limit is None:
        return ordered
    if limit < 1:
        raise LabError(f"the limit must be at least 1 image, not {limit}")
    cities = itertools.groupby(ordered, key=lambda sample: sample.city)
    ranked = [pair for _, city_samples in cities for pair in enumerate(city_samples)]
    return sorted(sample for _, sample in sorted(ranked)[:limit])


def _split_folders(root: Path, layer: str) -> dict[str, Path]:
    """Maps each split to its folder of one layer.

    Folders that the archives make come first, the nearest to the root before all, and each may
    hold some of the splits; without any, a folder of another name may hold the layer.

    Raises:
        LabError: when several folders of other names do.
    """
    archives = (root / layer, root / layer / layer, *sorted(root.glob(f"{layer}_*/{layer}")))
    found: dict[str, Path] = {}
    for folder in archives:
        for name, split in _splits_in(folder).items():
            found.setdefault(name, split)
    if found:
        return found
    others = [folder for folder in sorted(root.glob(f"*/{layer}")) if _splits_in(folder)]
    if len(others) > 1:
        places = ", ".join(str(folder.parent) for folder in others[:8])
        more = ", ..." if len(others) > 8 else ""
        raise LabError(f"several folders in {root} hold {layer}/: {places}{more}; name one of them")
    return _splits_in(others[0]) if others else {}


def _splits_in(folder: Path) -> dict[str, Path]:
    """The splits in a folder of one layer; a second `leftImg8bit` in the first is none."""
    return {split.name: split for split in _subfolders(folder) if split.name != folder.name}


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in paths if path.is_dir())


class Listing(NamedTuple):
    """The files of one split, by sample; `others` are not read, such as one that ends in `.jpg`."""

    cities: list[str]
    images: dict[Sample, Path]
    labels: dict[Sample, Path]
    other_images: dict[Sample, Path]
    other_labels: dict[Sample, Path]

    @property
    def samples(self) -> list[Sample]:
        """Every sample of which there is an image or a target, whether or not it can be read."""
        return sorted({sample for files in self[1:] for sample in files})


def list_files(root: Path, split: str, cities: Sequence[str] | None) -> Listing:
    """Lists the files of a split; `cities` limits the files and not the names of the cities."""
    images = _subfolders(_split_folders(root, IMAGE_FOLDER).get(split, root / IMAGE_FOLDER / split))
    labels = _subfolders(_split_folders(root, LABEL_FOLDER).get(split, root / LABEL_FOLDER / split))

    def files(folders: list[Path], pattern: str) -> dict[Sample, Path]:
        return {
            Sample(folder.name, found[1]): path
            for folder in folders
            if cities is None or folder.name in cities
            for path in folder.iterdir()
            if (found := re.fullmatch(pattern, path.name)) and not path.name.startswith(".")
        }

    return Listing(
        sorted({folder.name for folder in images + labels}),
        files(images, f"(?s)(.+){re.escape(IMAGE_SUFFIX)}"),
        files(labels, f"(?s)(.+){re.escape(LABEL_SUFFIX)}"),
        files(images, OTHER_IMAGE),
        files(labels, OTHER_LABEL),
    )


# ----------------------------------------------------------------------------------------- faults


def pair_faults(listing: Listing) -> dict[Sample, str]:
    """One line for each sample of which the image or the target is missing or cannot be read."""
    faults = {}
    for sample in listing.samples:
        image, label = listing.images.get(sample), listing.labels.get(sample)
        other_image, other_label = (others.get(sample) for others in listing[3:])
        if image and label:
            continue
        what, other = "target without its image", other_image
        cure = f"the lab reads *{IMAGE_SUFFIX} alone; save the image as a PNG of that name"
        if image or not (label or other_image):
            what, other = "image without its target", other_label
            cure = f"the lab reads *{LABEL_SUFFIX} alone; save label ids as a PNG of that name"
        if image or label:
            note = f" (there is {other.name}, but {cure})" if other else ""
            faults[sample] = f"{image or label}: {what}{note}"
        else:
            faults[sample] = f"{other}: {cure}"
    return faults


# ------------------------------------------------------------------------------- one opened split


class CityscapesFiles:
    """The chosen image and target files of one split.

    Pairs and sizes are checked at construction by the heads of the files, and by all of a file that
    seems wrong; faults of cities that were not chosen do not matter.

    Raises:
        LabError: for a folder of another layout, an unknown split or city, a limit below 1, and
            for files that are missing, unreadable, of another size, or turned nobody knows how.
    """

    def __init__(
        self, root: Path, split: str, cities: Sequence[str] | None, limit: int | None
    ) -> None:
        require_known("split", [split], list_splits(root), str(root))
        listing = list_files(root, split, cities)
        require_known("city", cities or [], listing.cities, f"split {split!r} of {root}")
        self.root, self.split = root, split
        self.samples = select(listing.samples, limit)
        if not self.samples:
            raise LabError(f"split {split!r} of {root} holds no <city>/*{IMAGE_SUFFIX}")
        unpaired = pair_faults(listing)
        faults = [unpaired[sample] for sample in self.samples if sample in unpaired]
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise LabError(
                f"{faults[0]}{more}; `{python_command()} main.py check --datadir "
                f"{shlex.quote(str(root))}` lists every fault"
            )
        self.cities = sorted({sample.city for sample in self.samples})
        self._images = [listing.images[sample] for sample in self.samples]
        self._labels = [listing.labels[sample] for sample in self.samples]
        self.sizes = []
        for path, label in zip(self._images, self._labels, strict=True):
            with opened_image(label, "PNG") as target, opened_image(path, "PNG") as image:
                size = target.height, target.width
                seems_wrong = pair_fault(path, image, label, size)
            if seems_wrong:  # by the file's head; an orientation tag at its end may explain it
                read_paired_image(path, label, size)
            self.sizes.append(size)

    def place(self, index: int) -> str:
        """Names the target of a sample in an error."""
        return str(self._labels[index])

    def read_image(self, index: int) -> np.ndarray:
        """Reads an image, (H, W, 3) uint8 RGB, as its target lies."""
        return read_paired_image(self._images[index], self._labels[index], self.sizes[index])

    def read_label_ids(self, index: int) -> np.ndarray:
        """Reads a target, (H, W) label ids."""
        return read_label_ids(self._labels[index])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the sizes of the files, in hexadecimal."""
        digest = hashlib.sha256(self.split.encode("utf-8", "surrogatepass"))
        for sample, image, label in zip(self.samples, self._images, self._labels, strict=True):
            entry = [*sample, image.stat().st_size, label.stat().st_size]
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()


# ------------------------------------------------------------------------------ any data folder


def is_prepared(root: Path) -> bool:
    """Whether a data folder is a prepared copy."""
    return (root / MANIFEST_NAME).is_file()


def open_split(
    root: str | Path, split: str, cities: Sequence[str] | None = None, limit: int | None = None
) -> "CityscapesFiles | PreparedArrays":
    """Opens a split of a data folder, as downloaded or prepared; None is all cities, all images.

    Raises:
        LabError: as `CityscapesFiles` and `PreparedArrays` say.
    """
    root = Path(root)
    require_folder(root)
    if not is_prepared(root):
        return CityscapesFiles(root, split, cities, limit)
    from support.formats.prepared import PreparedArrays  # late: it stands on this module

    return PreparedArrays(root, split, cities, limit)
