"""A folder of one's own: images, masks, and the classes that they show.

    FOLDER/images/train/*.jpg|png|...   FOLDER/masks/train/*.png     likewise val and test
    FOLDER/classes.json                                              see support/formats/classes.py

Sub-folders of a split are its "cities". Without folders for the splits, `train.txt` and `val.txt`
may list the names; where neither says what validates, a share of the images does, chosen by their
names. A mask has the name of its image, or that and `_mask`, `_gt` or `_labelIds`. It is a PNG of
one channel with label ids, of a palette (the position is the id, never the colour), or in exactly
the colours of `classes.json`. The mistake that everybody makes: masks saved as JPEG, or resized
with smoothing, whose borders hold values that no class has.
"""

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from support.formats.classes import (
    CLASSES_NAME,
    ClassesError,
    read_classes,
    require_distinct_colors,
)
from support.formats.color_masks import read_color_mask
from support.formats.faults import require_mask_kind
from support.formats.files import (
    COLOR_MODES,
    ID_MODES,
    DataFolder,
    Listing,
    Sample,
    read_grey_ids,
    subfolders,
)
from support.formats.labels import USUAL, Reading
from support.formats.listing import MOST_NEAREST, nearest, of_cities, paired, restricted, split_off
from support.formats.survey import set_of_ids, survey_masks
from utils import LabError, opened_image, python_command, shortened

SPLITS = ("train", "val", "test")
MASK_ENDINGS = ("_mask", "_gt", "_labelIds")
MISNAMED = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
"""Folders of these names, in upper or lower case, are no cities."""
IMAGE_SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg")
IMAGE_SUFFIXES += (".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp")
"""What counts as an image or a mask by its name; other files are passed over."""


class ImageFolder(DataFolder):
    """A folder with `images/` and `masks/`.

    Raises:
        ClassesError: when `classes.json` is broken, or missing where masks hold colours.
        LabError: when folders lie beside those of the splits.
    """

    has_train_ids = False
    cure = f'name each in {CLASSES_NAME}, as a class or under "ignore", or mend the mask'

    def __init__(self, root: Path, reading: Reading = USUAL) -> None:
        super().__init__(root, reading)
        self.faults: list[str] = []
        self.remarks: list[str] = []
        self._listings = self._list_splits()
        if not self.faults and not any(each.samples for each in self._listings.values()):
            raise LabError(
                f"{root}: no image below images/ and no mask below masks/; they are called "
                "images/NAME.jpg (or .png, ...) and masks/NAME.png"
            )
        if (root / CLASSES_NAME).is_file():
            self.labels, self.painted = read_classes(root)
            return
        masks = [path for each in self._listings.values() for path in each.masks.values()]
        survey = survey_masks(sorted(masks), with_colors=False)
        self.labels, faults = set_of_ids(survey, root)
        self.faults += faults
        self.remarks += [
            f"note: {root} has no {CLASSES_NAME}: the {len(self.labels)} ids in its masks are the "
            f"classes, {shortened(self.labels.names)}; `{python_command()} main.py classes "
            f"{shlex.quote(str(root))}` drafts one to give them names"
        ]

    def splits(self) -> list[str]:
        """As `DataFolder.splits`."""
        return sorted(self._listings)

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        return of_cities(self._listings[split], cities)

    def read_label_ids(self, path: Path) -> np.ndarray:
        """As `DataFolder.read_label_ids`; a mask of colours is read by those of the set."""
        with opened_image(path) as mask:
            require_mask_kind(mask, path)
            mode = mask.mode
        if mode in COLOR_MODES:
            return self._read_colors(path)
        return read_grey_ids(path, ID_MODES)

    def _read_colors(self, path: Path) -> np.ndarray:
        """Reads a mask of colours, by those that `classes.json` gives."""
        written = self.painted.names if self.painted else ()
        if missing := [name for name in self.labels.names if name not in written]:
            raise LabError(
                f"{path}: holds colours, and {CLASSES_NAME} gives none to {shortened(missing)}; "
                'add the "color" that they have in the masks, or save this mask as ids'
            )
        try:
            require_distinct_colors(self.painted)
        except ClassesError as error:
            raise LabError(f"{self.root / CLASSES_NAME}: {error}") from error
        return read_color_mask(path, self.painted)

    def _list_splits(self) -> dict[str, Listing]:
        """The files of every split; what validates is split off where nothing says so."""
        images, masks = self.root / "images", self.root / "masks"
        folders = sorted({path.name for layer in (images, masks) for path in subfolders(layer)})
        splits = [name for name in SPLITS if name in folders]
        lists = [name for name in SPLITS if (self.root / f"{name}.txt").is_file()]
        others = [name for name in folders if name not in SPLITS]
        if misnamed := others if splits else [name for name in others if name.lower() in MISNAMED]:
            raise LabError(
                f"{images}: {shortened(misnamed)}: the folders of splits are called "
                f"{', '.join(SPLITS)}; rename the folder, or move it into one of them"
            )
        if splits:
            if not files_below(masks / "test") and len(splits) > 1:
                splits = [name for name in splits if name != "test"]  # whose masks are withheld
            found = {name: pair_up(images / name, masks / name) for name in splits}
            beside = [path for layer in (images, masks) for path in loose_files(layer)]
            beside += [self.root / f"{name}.txt" for name in lists]
            self.faults += [
                f"{path}: is not read, as there are folders for {shortened(splits)}; move it into "
                "one of them, or delete it"
                for path in beside
            ]
        else:
            found = self._by_lists(lists, pair_up(images, masks))
        if "val" not in found and "train" in found and found["train"].samples:
            whole = found["train"]
            parts = split_off(whole.samples, self.reading.val_share)
            found["train"], found["val"] = (restricted(whole, part) for part in parts)
        return found

    def _by_lists(self, lists: Sequence[str], whole: Listing) -> dict[str, Listing]:
        """Divides files by the lists of their names; those that none names train, if none says."""
        names = {name: self._names_in(name, whole) for name in lists}
        listed = [sample for samples in names.values() for sample in samples]
        for sample, number in Counter(listed).items():
            if number > 1:
                where = " and ".join(f"{name}.txt" for name in lists if sample in names[name])
                self.faults.append(
                    f"{self.root}: {where} name {sample.name} {number} times; keep one of them"
                )
        rest = sorted(set(whole.samples).difference(listed))
        if "train" not in names:
            names["train"] = rest
        elif rest:
            self.remarks.append(
                f"note: {self.root}: on no list, and so not read: {len(rest)} of "
                f"{len(whole.samples)} images, such as {rest[0].name}"
            )
        return {name: restricted(whole, samples) for name, samples in names.items()}

    def _names_in(self, split: str, whole: Listing) -> set[Sample]:
        """The samples that a list such as `train.txt` names; unknown names become faults."""
        path, known = self.root / f"{split}.txt", {sample.name: sample for sample in whole.samples}
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            self.faults.append(f"{path}: not a text in UTF-8; save it as that")
            return set()
        found = set()
        for line in filter(None, map(str.strip, lines)):
            name = line.removeprefix("./").removeprefix("images/")
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                name = name.removesuffix(Path(name).suffix)
            if name in known:
                found.add(known[name])
                continue
            near = nearest(name, known) if len(self.faults) < MOST_NEAREST else None
            hint = f"the nearest is {near}; " if near else ""
            self.faults.append(
                f"{path}: {line} is no image of {self.root / 'images'}; {hint}mend the list"
            )
        return found


def loose_files(folder: Path) -> list[Path]:
    """The image files that lie directly in a folder, sorted."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.is_file() and is_image_name(path)]


def is_image_name(path: Path) -> bool:
    """Whether a name is that of an image or a mask, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def pair_up(images: Path, masks: Path) -> Listing:
    """Lists the images and the masks below two folders, by the names that they share."""
    faults: dict[Sample, str] = {}
    found = _by_name(images, faults)
    pairs = {}
    for sample, path in _by_name(masks, faults).items():
        short = next((e for e in MASK_ENDINGS if sample.name.endswith(e)), "")
        shorter = sample._replace(name=sample.name.removesuffix(short))
        own = shorter if sample not in found and shorter in found else sample
        if own in pairs:
            faults[own] = f"{path}: a second mask, beside {pairs[own].name}; keep one of them"
        pairs[own] = path
    listing = paired(found, pairs)
    return listing._replace(faults=listing.faults | faults)


def files_below(folder: Path) -> list[Path]:
    """The image files below a folder, sorted; links are followed, hidden folders are not."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [name for name in folders if name[0] != "." and real not in seen]
        names = [] if real in seen else names
        seen.add(real)
        found += [path for name in names if is_image_name(path := Path(place, name))]
    return sorted(path for path in found if path.is_file())


def _by_name(folder: Path, faults: dict[Sample, str]) -> dict[Sample, Path]:
    """The image files below a folder; the name of a sample is its path without the suffix."""
    found: dict[Sample, Path] = {}
    for path in files_below(folder):
        inside = path.relative_to(folder)
        city = inside.parent.as_posix()
        sample = Sample("" if city == "." else city, inside.with_suffix("").as_posix())
        if sample in found:
            other = found[sample].name
            faults[sample] = f"{path}: has the name of {other}; rename or delete one of them"
        found[sample] = path
    return found
