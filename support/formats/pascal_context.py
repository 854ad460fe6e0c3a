"""Pascal Context: every pixel of the photos of Pascal VOC 2010, things and stuff.

Source: Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the
Wild" (CVPR 2014; www.cs.stanford.edu/~roozbeh/pascal-context). 4,998 images train, 5,105 validate.
Of the 459 labels 59 are common: these are learned, and everything else is background, ignored, or
learned as a 60th class, the first. The classes stand in the order of their sorted ids, as in
mmsegmentation; the authors' own list has another. The mistake that everybody makes: scores over 59
and over 60 classes are compared. A mask is a MATLAB file, whose `LabelMap` (H, W) holds the labels
0 ... 459, or the PNG that a toolkit has made of it, with places in the list of 60.

    JPEGImages/<name>.jpg        trainval/<name>.mat  or  SegmentationClassContext/<name>.png
    ImageSets/SegmentationContext/<split>.txt         where a toolkit has made them, else
    ImageSets/Main/<split>.txt                        whose images with labels count

The folder may also be `VOC2010/` or `VOCdevkit/VOC2010/` in the one that is named.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat

from support.formats.archives import ArchiveFolder, listed, read_names
from support.formats.colors import distinct_colors
from support.formats.files import Listing
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import restricted
from utils import LabError

CLASSES = {
    0: "background", 2: "aeroplane", 9: "bag", 18: "bed", 19: "bedclothes", 22: "bench",
    23: "bicycle", 25: "bird", 31: "boat", 33: "book", 34: "bottle", 44: "building", 45: "bus",
    46: "cabinet", 59: "car", 65: "cat", 68: "ceiling", 72: "chair", 80: "cloth", 85: "computer",
    98: "cow", 104: "cup", 105: "curtain", 113: "dog", 115: "door", 144: "fence", 158: "floor",
    159: "flower", 162: "food", 187: "grass", 189: "ground", 207: "horse", 220: "keyboard",
    232: "light", 258: "motorbike", 259: "mountain", 260: "mouse", 284: "person", 295: "plate",
    296: "platform", 308: "pottedplant", 324: "road", 326: "rock", 347: "sheep", 349: "shelves",
    354: "sidewalk", 355: "sign", 360: "sky", 366: "snow", 368: "sofa", 397: "table", 415: "track",
    416: "train", 420: "tree", 424: "truck", 427: "tvmonitor", 440: "wall", 445: "water",
    454: "window", 458: "wood",
}  # fmt: skip
"""The label of each class in the files; every other of the 460 is background."""
LARGEST_ID = 459


def context_labels(with_background: bool) -> LabelSet:
    """The set of 59 classes, or of 60 with the background."""
    first = int(with_background)
    colors = iter(distinct_colors(len(CLASSES) - 1))
    rows = [Label("background", 0, 0 if with_background else IGNORE_INDEX, "void", (0, 0, 0))]
    for k, (label_id, name) in enumerate([*CLASSES.items()][1:]):
        rows.append(Label(name, label_id, k + first, "", next(colors)))
    return LabelSet("Pascal Context", tuple(rows))


class PascalContextFolder(ArchiveFolder):
    """A folder of Pascal Context."""

    known_splits = ("train", "val")
    archives = ("VOCtrainval_03-May-2010.tar", "trainval.tar.gz of Pascal Context")

    @property
    def base(self) -> Path:
        """The folder that holds the images, the masks and the lists."""
        places = (self.root, self.root / "VOC2010", self.root / "VOCdevkit" / "VOC2010")
        return next((path for path in places if (path / "JPEGImages").is_dir()), self.root)

    @cached_property
    def labels(self) -> LabelSet:
        """What the masks hold."""
        return context_labels(self.reading.with_background)

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; both splits lie in one place."""
        has_arrays = (self.base / "trainval").is_dir()
        masks = "trainval/*.mat" if has_arrays else "SegmentationClassContext/*.png"
        return "JPEGImages/*.jpg", masks

    def splits(self) -> list[str]:
        """As `ArchiveFolder.splits`; `LabError` also for a list that is missing."""
        for path in map(self._list_of, self.known_splits):
            if not path.is_file():
                raise LabError(f"{path} is missing; unpack all of {self.archives[0]} again")
        return super().splits()

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`; of the long lists of VOC, the images with labels."""
        whole, path = super().list_files(split, cities), self._list_of(split)
        names = read_names(path)
        if path.parent.name == "Main":
            names = [sample for sample in names if sample in whole.masks]
            return restricted(whole, names)
        return listed(whole, names, path)

    def mask_head(self, path: Path) -> tuple[tuple[int, int], bool]:
        """As `DataFolder.mask_head`."""
        if path.suffix != ".mat":
            return super().mask_head(path)
        try:
            return next(shape for name, shape, _ in whosmat(path) if name == "LabelMap"), False
        except Exception as error:  # scipy's errors have no other common base class
            raise LabError(f"{path}: no MATLAB file with a LabelMap; unpack it again") from error

    def read_label_ids(self, path: Path) -> np.ndarray:
        """As `DataFolder.read_label_ids`; labels that are no class become the background's 0."""
        if path.suffix != ".mat":
            places = super().read_label_ids(path)
            if places.max(initial=0) >= len(CLASSES):
                raise LabError(
                    f"{path}: holds {places.max()}, and places in the list of 60 end at 59"
                )
            return np.array([*CLASSES], dtype=np.uint16)[places]
        try:
            labels = loadmat(path)["LabelMap"]
        except Exception as error:  # as above
            raise LabError(f"{path}: no MATLAB file with a LabelMap; unpack it again") from error
        if labels.ndim != 2 or labels.min(initial=0) < 0 or labels.max(initial=0) > LARGEST_ID:
            raise LabError(f"{path}: its LabelMap is not (H, W) of 0 ... {LARGEST_ID}")
        is_class = np.isin(labels, [*CLASSES])
        return np.where(is_class, labels, 0).astype(np.uint16)

    def _list_of(self, split: str) -> Path:
        folder = self.base / "ImageSets" / "SegmentationContext"
        folder = folder if (folder / f"{split}.txt").is_file() else folder.with_name("Main")
        return folder / f"{split}.txt"
