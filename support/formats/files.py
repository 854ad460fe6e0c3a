"""Pairs of an image and a mask on the disk, whatever their layout: finding, choosing, reading.

Each layout is one file of this room with a class that inherits from `DataFolder`: it knows which
splits a folder has, which files belong together, what the masks hold (its `LabelSet`) and how label
ids are read from one. `open_folder` recognises a folder by what lies in it, `open_source` opens one
of its splits. Whatever a user can get wrong raises `LabError` with one line.
"""

import hashlib
import itertools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from support.formats.labels import USUAL, LabelSet, Reading
from utils import LabError, opened_image, orientation_of, python_command, require_known, to_rgb

MANIFEST_NAME = "prepared.json"
"""The file by which a prepared copy is known."""
SCALED_BY = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the numbers of a small grey PNG with, by how they are stored."""
GREY_MODES = ("1", "L", "I", "I;16")
ID_MODES = (*GREY_MODES, "P")
"""Pillow's modes of masks whose numbers are ids: grey, and with positions of a palette."""
COLOR_MODES = ("RGB", "RGBA")
REMOVE_TAG = "remove the tag (`exiftool -Orientation= FILE`), or turn both files upright"


class Sample(NamedTuple):
    """One image and its mask: `name` is unique in its split; `city` is the sub-folder, or ""."""

    city: str
    name: str


class Listing(NamedTuple):
    """The files of one split, by sample; a sample with a fault, in one line, is not read."""

    cities: list[str]
    images: dict[Sample, Path]
    masks: dict[Sample, Path]
    faults: dict[Sample, str]

    @property
    def samples(self) -> list[Sample]:
        """Every sample of which there is a file, whether or not it can be read."""
        return sorted({*self.images, *self.masks, *self.faults})


class DataFolder:
    """A data folder of one layout; the formats inherit from it.

    Args:
        reading: how it is to be read where it leaves a choice.

    Attributes:
        labels: what the masks hold.
        image_kind: such as PNG; None where any kind of image will do.
        holds: what a split without a sample is said to lack.
        mask_modes: Pillow's modes of masks that are read as ids.
        painted: by these rows masks of colours are read; None for all.
        has_train_ids: whether files of train ids may have been taken for masks.
        cure: what to do where a mask holds another id than the set's.
        remarks: lines to print before the folder is used.
        faults: lines on what is wrong with the folder itself, beside its samples.
    """

    labels: LabelSet
    remarks: Sequence[str] = ()
    faults: Sequence[str] = ()
    image_kind: str | None = None
    holds = "image with a mask"
    mask_modes: Sequence[str] = GREY_MODES
    painted: LabelSet | None = None
    has_train_ids = True
    cure = "save the label ids of this data set"

    def __init__(self, root: Path, reading: Reading = USUAL) -> None:
        self.root, self.reading = root, reading

    def splits(self) -> list[str]:
        """Names the splits, sorted; `LabError` when the folder does not keep to its layout."""
        raise NotImplementedError

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """Lists the files of a split; `cities` limits the files and not the names of the cities."""
        raise NotImplementedError

    def read_label_ids(self, path: Path) -> np.ndarray:
        """Reads a mask, (H, W) unsigned; whether its ids are in the set is not checked."""
        return read_grey_ids(path, self.mask_modes)

    def mask_head(self, path: Path) -> tuple[tuple[int, int], bool]:
        """The size (height, width) of a mask, and whether it holds colours; reads its head."""
        with opened_image(path) as mask:
            if mask.format != "PNG":
                from support.formats.faults import require_mask_kind  # late: most masks are

                require_mask_kind(mask, path)
            return (mask.height, mask.width), mask.mode in COLOR_MODES

    def cities(self, split: str) -> list[str]:
        """Names the cities of a split, sorted."""
        return self.list_files(split, ()).cities

    own_cities = cities  # fewer where `list_files` takes any city for any split

    def open(self, split: str, cities: Sequence[str] | None, limit: int | None) -> "PairedFiles":
        """Opens a split; None takes all cities, all images."""
        if self.faults:
            raise LabError(self.faults[0])
        return PairedFiles(self, split, cities, limit)

    def require_fair(self, val: "PairedFiles", train: Sequence[str] = ()) -> None:
        """Raises `LabError` where a split must not validate, or not beside cities that train."""

    def blame(self, place: str | Path, error: LabError) -> LabError:
        """Makes the line to show of what `LabelSet.require_known` says of a mask."""
        return LabError(f"{place}: {error}; {self.cure}")


class PairedFiles:
    """The chosen image and mask files of one split.

    Pairs and sizes are checked at construction by the heads of the files, and by all of a file that
    seems wrong; faults of cities that were not chosen do not matter. A `limit` draws evenly from
    the cities.

    Raises:
        LabError: for an unknown split or city, a limit below 1, and for files that are missing,
            unreadable, of another size, or turned nobody knows how.
    """

    def __init__(
        self, folder: DataFolder, split: str, cities: Sequence[str] | None, limit: int | None
    ) -> None:
        root = folder.root
        require_known("split", [split], folder.splits(), str(root))
        listing = folder.list_files(split, cities)
        require_known("city", cities or [], listing.cities, f"split {split!r} of {root}")
        self.folder, self.root, self.split, self.labels = folder, root, split, folder.labels
        self.samples = select(listing.samples, limit)
        if not self.samples:
            raise LabError(f"split {split!r} of {root} holds no {folder.holds}")
        faults = [listing.faults[sample] for sample in self.samples if sample in listing.faults]
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise LabError(
                f"{faults[0]}{more}; `{python_command()} main.py check --datadir "
                f"{shlex.quote(str(root))}` lists every fault"
            )
        self.cities = sorted({sample.city for sample in self.samples} - {""})
        self._images = [listing.images[sample] for sample in self.samples]
        self._masks = [listing.masks[sample] for sample in self.samples]
        self.sizes, self.has_colors = [], False
        for path, mask in zip(self._images, self._masks, strict=True):
            size, has_colors = folder.mask_head(mask)
            self.has_colors |= has_colors
            with opened_image(path, folder.image_kind) as image:
                seems_wrong = pair_fault(path, image, mask, size)
            if seems_wrong:  # by the file's head; an orientation tag at its end may explain it
                read_paired_image(path, mask, size, folder.image_kind)
            self.sizes.append(size)

    def place(self, index: int) -> str:
        """Names the mask of a sample in an error."""
        return str(self._masks[index])

    def read_image(self, index: int) -> np.ndarray:
        """Reads an image, (H, W, 3) uint8 RGB, as its mask lies."""
        return read_paired_image(
            self._images[index], self._masks[index], self.sizes[index], self.folder.image_kind
        )

    def read_label_ids(self, index: int) -> np.ndarray:
        """Reads a mask, (H, W) label ids."""
        return self.folder.read_label_ids(self._masks[index])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the sizes of the files, in hexadecimal."""
        digest = hashlib.sha256(self.split.encode("utf-8", "surrogatepass"))
        for sample, image, mask in zip(self.samples, self._images, self._masks, strict=True):
            entry = [*sample, image.stat().st_size, mask.stat().st_size]
            digest.update(json.dumps(entry).encode())
        if self.has_colors:  # what a mask means then depends on them
            rows = (self.folder.painted or self.labels).labels
            digest.update(json.dumps([(row.id, row.train_id, row.color) for row in rows]).encode())
        return digest.hexdigest()


# ---------------------------------------------------------------------------- finding the samples


def open_folder(root: str | Path, reading: Reading = USUAL) -> DataFolder:
    """Recognises a data folder by what it holds.

    Raises:
        LabError: when it is missing, a file, empty, or its `classes.json` is broken.
    """
    root = Path(root)
    require_folder(root)

    def has(*names: str) -> bool:
        return all((root / name).exists() for name in names)

    # Each format is imported when it is needed.
    if is_prepared(root):
        from support.formats.prepared import PreparedFolder as Layout
    elif has("images/10k", "labels/sem_seg"):
        from support.formats.bdd100k import Bdd100kFolder as Layout
    elif has("images/training", "annotations/training"):
        from support.formats.ade20k import Ade20kFolder as Layout
    elif has("images", "annotations/trimaps"):
        from support.formats.oxford_pets import OxfordPetsFolder as Layout
    elif has("images", "masks"):
        from support.formats.image_folder import ImageFolder as Layout
    elif has_context(root):
        from support.formats.pascal_context import PascalContextFolder as Layout
    elif has("assets") and any(root.glob("area_*/data")):
        from support.formats.stanford import StanfordFolder as Layout
    elif has("JPEGImages") or has("VOC2012/JPEGImages") or has("VOCdevkit/VOC2012/JPEGImages"):
        from support.formats.pascal_voc import PascalVocFolder as Layout
    elif has("701_StillsRaw_full") or has("train", "trainannot"):
        from support.formats.camvid import CamVidFolder as Layout
    elif has("training/images") and (has("training/labels") or has("training/v1.2/labels")):
        from support.formats.mapillary import MapillaryFolder as Layout
    elif has("training/image_2", "training/semantic"):
        from support.formats.kitti import KittiFolder as Layout
    elif has("rgb_anon", "gt"):
        from support.formats.acdc import AcdcFolder as Layout
    else:
        from support.formats.cityscapes import CityscapesFolder as Layout
    return Layout(root, reading)


def has_context(root: Path) -> bool:
    """Whether a folder holds the masks of Pascal Context, in it or in VOC 2010's own below."""
    places = (root, root / "VOC2010", root / "VOCdevkit/VOC2010")
    return any((p / m).is_dir() for p in places for m in ("trainval", "SegmentationClassContext"))


def is_prepared(root: Path) -> bool:
    """Whether a data folder is a prepared copy."""
    return (root / MANIFEST_NAME).is_file()


def open_source(
    root: str | Path | DataFolder,
    split: str,
    cities: Sequence[str] | None = None,
    limit: int | None = None,
    reading: Reading = USUAL,
) -> PairedFiles:
    """Opens a split of a data folder, which may be open; None is all cities, all images.

    Several splits, joined by "+", are opened as one.

    Raises:
        LabError: as `open_folder` and `PairedFiles` say.
    """
    folder = root if isinstance(root, DataFolder) else open_folder(root, reading)
    if "+" in split:
        from support.formats.joined import JoinedSplits  # late: mostly one split is enough

        return JoinedSplits(folder, split, cities, limit)
    return folder.open(split, cities, limit)


def require_folder(root: Path) -> None:
    """Raises `LabError` when a data folder is missing, a file, or empty."""
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise LabError(f"the data folder {root} {what}")
    if not any(root.iterdir()):
        raise LabError(
            f"the data folder {root} is empty; images/ and masks/ belong in it, or a data set as "
            "it comes out of its archives"
        )


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, but for hidden ones; none where there is no folder."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.is_dir() and not path.name.startswith("."))


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


# ---------------------------------------------------------------------------------- reading files


def read_grey_ids(path: Path, modes: Sequence[str] = GREY_MODES) -> np.ndarray:
    """Reads a PNG of one channel: its numbers as they are stored, whatever the bits of a pixel.

    Pillow scales the 2 or 4 bits of a small grey file up to 255; here that is undone. In a palette
    file (mode P) the numbers are the palette's positions, never its colours. The ids are (H, W)
    uint8, or uint16 where one needs it.

    Raises:
        LabError: when the file is unreadable, truncated, absurdly large, or of none of the `modes`.
    """
    with opened_image(path) as image:
        if image.format != "PNG" or image.mode not in modes:
            from support.formats.faults import not_grey, require_mask_kind  # late: most masks are

            require_mask_kind(image, path)
            raise LabError(not_grey(path, image.mode))
        tiles = image.tile
        ids = np.array(image)
        require_upright(image, path)
    ids = ids // SCALED_BY.get(tiles[0].args, 1)
    return ids.astype(np.uint8) if ids.max(initial=0) < 256 else ids.astype(np.uint16)


def require_upright(mask: Image.Image, path: Path) -> None:
    """Raises `LabError` when a mask, whose pixels are decoded, has an orientation tag."""
    if orientation_of(mask) != 1:
        raise LabError(f"{path}: a target must have no orientation tag; {REMOVE_TAG}")


def pair_fault(path: Path, image: Image.Image, mask: Path, size: tuple[int, int]) -> str:
    """What is wrong with an image, opened, beside a mask of `size` (height, width); or nothing."""
    if (image.height, image.width) == size and orientation_of(image) == 1:
        return ""
    from support.formats.faults import turned_or_other_size  # late: most pairs are in order

    return turned_or_other_size(path, image, mask, size)


def read_paired_image(
    path: Path, mask: Path, size: tuple[int, int], kind: str | None = None
) -> np.ndarray:
    """Reads an image, (H, W, 3) uint8 RGB, as its mask of `size` (height, width) lies.

    Raises:
        LabError: as `opened_image`, and with what `pair_fault` says.
    """
    with opened_image(path, kind) as image:
        if image.format == "PNG":
            image.load()  # an orientation tag may stand behind the pixels
        if fault := pair_fault(path, image, mask, size):
            raise LabError(fault)
        is_turned = (image.height, image.width) != size
        return np.array(to_rgb(ImageOps.exif_transpose(image) if is_turned else image))
