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
import shlex
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from support.formats.labels import IGNORE_INDEX, LABELS
from utils import LabError, check_pixels, python_command, read_image

IMAGE_FOLDER = "leftImg8bit"
LABEL_FOLDER = "gtFine"
IMAGE_SUFFIX = "_leftImg8bit.png"
LABEL_SUFFIX = "_gtFine_labelIds.png"
TRAIN_ID_SUFFIX = "_gtFine_labelTrainIds.png"


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


def png_size(path: Path) -> tuple[int, int]:
    """Reads (height, width) from the first bytes of a PNG, without decoding it.

    Raises:
        LabError: when the file cannot be read or is not a PNG.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(24)
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror})") from error
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise LabError(f"{path}: {'not a PNG file' if head else 'an empty file'}")
    width, height = struct.unpack(">II", head[16:24])
    return height, width


def read_label_ids(path: Path) -> np.ndarray:
    """Reads a `_labelIds.png`; only 8-bit grey files hold ids that can be taken as they are.

    Palette files are refused: their numbers depend on the program that chose the palette. The
    result, (H, W) uint8, is not checked against the table.

    Raises:
        LabError: when the file is unreadable, truncated, of another kind or absurdly large.
    """
    height, width = png_size(path)
    check_pixels(width, height, path)
    try:
        with Image.open(path) as image:
            if image.mode != "L":
                raise LabError(
                    f"{path}: a target must be an 8-bit grey PNG of label ids; this one is of "
                    f"mode {image.mode} (a colour map?)"
                )
            return np.array(image)
    except LabError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabError(f"{path}: not a readable image ({reason})") from error


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
    """The files of one split, by sample; `train_ids` are those that are often taken for targets."""

    cities: list[str]
    images: dict[Sample, Path]
    labels: dict[Sample, Path]
    train_ids: dict[Sample, Path]


def list_files(root: Path, split: str, cities: Sequence[str] | None) -> Listing:
    """Lists the files of a split; `cities` limits the files and not the names of the cities."""
    images = _subfolders(_split_folders(root, IMAGE_FOLDER).get(split, root / IMAGE_FOLDER / split))
    labels = _subfolders(_split_folders(root, LABEL_FOLDER).get(split, root / LABEL_FOLDER / split))

    def files(folders: list[Path], suffix: str) -> dict[Sample, Path]:
        return {
            Sample(folder.name, path.name.removesuffix(suffix)): path
            for folder in folders
            if cities is None or folder.name in cities
            for path in folder.iterdir()
            if path.name.endswith(suffix) and not path.name.startswith(".")
        }

    return Listing(
        sorted({folder.name for folder in images + labels}),
        files(images, IMAGE_SUFFIX),
        files(labels, LABEL_SUFFIX),
        files(labels, TRAIN_ID_SUFFIX),
    )


# ----------------------------------------------------------------------------------------- faults


def pair_faults(listing: Listing, samples: Sequence[Sample]) -> list[str]:
    """One line for each sample that has only an image or only a target."""
    faults = []
    for sample in samples:
        if sample not in listing.labels:
            hint = ""
            if sample in listing.train_ids:
                hint = f" (there is a {TRAIN_ID_SUFFIX}, but the lab reads {LABEL_SUFFIX})"
            faults.append(f"{listing.images[sample]}: image without its target{hint}")
        elif sample not in listing.images:
            faults.append(f"{listing.labels[sample]}: target without its image")
    return faults


def size_fault(
    label: Path, label_size: tuple[int, int], image: Path, image_size: tuple[int, int]
) -> str:
    """What is wrong when a target is not as large, (height, width), as its image; else nothing."""
    if label_size == image_size:
        return ""
    label_text, image_text = (f"{width}x{height}" for height, width in (label_size, image_size))
    return f"{label}: the target is {label_text}, its image {image.name} {image_text}"


# ------------------------------------------------------------------------------- one opened split


class CityscapesFiles:
    """The chosen image and target files of one split.

    Pairs and sizes are checked at construction, reading only the heads of the files; faults of
    cities that were not chosen do not matter.

    Raises:
        LabError: a folder that is missing, empty or of another layout; an unknown split or city; a
            limit below 1; an image without its target or the reverse; sizes that differ.
    """

    def __init__(
        self, root: Path, split: str, cities: Sequence[str] | None, limit: int | None
    ) -> None:
        require_known("split", [split], list_splits(root), str(root))
        listing = list_files(root, split, cities)
        require_known("city", cities or [], listing.cities, f"split {split!r} of {root}")
        self.root, self.split = root, split
        self.samples = select(list(listing.images.keys() | listing.labels.keys()), limit)
        if not self.samples:
            raise LabError(f"split {split!r} of {root} holds no <city>/*{IMAGE_SUFFIX}")
        faults = pair_faults(listing, self.samples)
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise LabError(
                f"{faults[0]}{more}; `{python_command()} main.py check --datadir "
                f"{shlex.quote(str(root))}` lists every fault"
            )
        self.cities = sorted({sample.city for sample in self.samples})
        self._images = [listing.images[sample] for sample in self.samples]
        self._labels = [listing.labels[sample] for sample in self.samples]
        self.sizes = [png_size(path) for path in self._labels]
        for image, label, size in zip(self._images, self._labels, self.sizes, strict=True):
            fault = size_fault(label, size, image, png_size(image))
            if fault:
                raise LabError(fault)

    def place(self, index: int) -> str:
        """Names the target of a sample in an error."""
        return str(self._labels[index])

    def read_image(self, index: int) -> np.ndarray:
        """Reads an image, (H, W, 3) uint8 RGB."""
        return read_image(self._images[index])

    def read_label_ids(self, index: int) -> np.ndarray:
        """Reads a target, (H, W) uint8 label ids."""
        return read_label_ids(self._labels[index])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the sizes of the files, in hexadecimal."""
        digest = hashlib.sha256(self.split.encode("utf-8", "surrogatepass"))
        for sample, image, label in zip(self.samples, self._images, self._labels, strict=True):
            entry = [*sample, image.stat().st_size, label.stat().st_size]
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()
