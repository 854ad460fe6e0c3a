"""Pascal VOC 2012: photos with 20 kinds of objects on a background.

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (IJCV
2015), with the names, groups and colour map of the development kit (host.robots.ox.ac.uk/pascal/
VOC/voc2012). 1,464 images train, 1,449 validate; the masks of the 1,456 test images are not
published. 21 classes with the background, which is learned; 255, the border of an object and what
is too difficult, is ignored. The mistake that everybody makes: masks opened as RGB or grey. They
are palette files, of which the positions are the ids and the colours are only for the eye.

    JPEGImages/<name>.jpg  SegmentationClass/<name>.png  ImageSets/Segmentation/<split>.txt

The folder may also be `VOC2012/` or `VOCdevkit/VOC2012/` in the one that is named.
"""

from collections.abc import Sequence
from pathlib import Path

from support.formats.archives import ArchiveFolder, listed, read_names
from support.formats.files import ID_MODES, Listing
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from utils import LabError

PASCAL_VOC = LabelSet(
    "Pascal VOC",
    (
        Label("background", 0, 0, "", (0, 0, 0)),
        Label("aeroplane", 1, 1, "vehicle", (128, 0, 0)),
        Label("bicycle", 2, 2, "vehicle", (0, 128, 0)),
        Label("bird", 3, 3, "animal", (128, 128, 0)),
        Label("boat", 4, 4, "vehicle", (0, 0, 128)),
        Label("bottle", 5, 5, "indoor", (128, 0, 128)),
        Label("bus", 6, 6, "vehicle", (0, 128, 128)),
        Label("car", 7, 7, "vehicle", (128, 128, 128)),
        Label("cat", 8, 8, "animal", (64, 0, 0)),
        Label("chair", 9, 9, "indoor", (192, 0, 0)),
        Label("cow", 10, 10, "animal", (64, 128, 0)),
        Label("diningtable", 11, 11, "indoor", (192, 128, 0)),
        Label("dog", 12, 12, "animal", (64, 0, 128)),
        Label("horse", 13, 13, "animal", (192, 0, 128)),
        Label("motorbike", 14, 14, "vehicle", (64, 128, 128)),
        Label("person", 15, 15, "person", (192, 128, 128)),
        Label("pottedplant", 16, 16, "indoor", (0, 64, 0)),
        Label("sheep", 17, 17, "animal", (128, 64, 0)),
        Label("sofa", 18, 18, "indoor", (0, 192, 0)),
        Label("train", 19, 19, "vehicle", (128, 192, 0)),
        Label("tvmonitor", 20, 20, "indoor", (0, 64, 128)),
        Label("void", 255, IGNORE_INDEX, "void", (224, 224, 192)),
    ),
)


class PascalVocFolder(ArchiveFolder):
    """A folder of Pascal VOC 2012."""

    labels = PASCAL_VOC
    mask_modes = ID_MODES
    archives = ("VOCtrainval_11-May-2012.tar", "VOCtrainval_11-May-2012.tar")

    @property
    def base(self) -> Path:
        """The folder that holds the images, the masks and the lists."""
        places = (self.root, self.root / "VOC2012", self.root / "VOCdevkit" / "VOC2012")
        return next((path for path in places if (path / "JPEGImages").is_dir()), self.root)

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; all splits lie in one place."""
        return "JPEGImages/*.jpg", "SegmentationClass/*.png"

    def splits(self) -> list[str]:
        """As `ArchiveFolder.splits`; `LabError` also for a list that is missing."""
        for path in map(self._list_of, ("train", "val")):
            if not path.is_file():
                raise LabError(f"{path} is missing; unpack all of {self.archives[0]} again")
        super().splits()
        has_test = self._list_of("test").is_file() and self.list_files("test").masks
        return ["test", "train", "val"] if has_test else ["train", "val"]

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        path = self._list_of(split)
        return listed(super().list_files(split, cities), read_names(path), path)

    def _list_of(self, split: str) -> Path:
        return self.base / "ImageSets" / "Segmentation" / f"{split}.txt"
