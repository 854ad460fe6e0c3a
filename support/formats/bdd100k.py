"""BDD100K: the folder of its 10K images for semantic segmentation.

Source: Yu et al., "BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning" (CVPR
2020; doc.bdd100k.com). 7,000 of the 10K images, which are no part of the 100K, train and 1,000
validate; the targets of the 2,000 test images are withheld. The 19 classes are those of Cityscapes,
255 is void. The mistake that everybody makes: the masks are read as label ids, be it Cityscapes'
(road 7, car 26) or those of BDD100K's own table (car 35), but hold *train ids* (road 0, car 13).

    images/10k/<split>/<name>.jpg                   8-bit RGB
    labels/sem_seg/masks/<split>/<name>.png         8-bit grey, train ids

In the first release a mask is named <name>_train_id.png; that name is read as well.
"""

from collections.abc import Sequence
from pathlib import Path

from support.formats.cityscapes import CITYSCAPES
from support.formats.files import DataFolder, Listing, Sample
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import by_stem, paired
from utils import LabError

IMAGES = "images/10k/{split}/*.jpg"
MASKS = "labels/sem_seg/masks/{split}/*.png"
ARCHIVES = {IMAGES: "10K images", MASKS: "semantic segmentation labels"}
OLD_SUFFIX = "_train_id"
SPLITS = ("test", "train", "val")

BDD100K = LabelSet(
    "BDD100K",
    (
        *(label._replace(id=label.train_id) for label in CITYSCAPES.classes),
        Label("unknown", 255, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class Bdd100kFolder(DataFolder):
    """A data folder of BDD100K's semantic segmentation."""

    labels = BDD100K
    image_kind = "JPEG"
    cure = "save train ids of Cityscapes, such as 0 for road, and 255 for void"

    def splits(self) -> list[str]:
        """As `DataFolder.splits`; the test is one when its targets are there.

        Raises:
            LabError: when there are no images, or no targets.
        """
        found = {
            pattern: {split for split in SPLITS if self._files(pattern, split)}
            for pattern in ARCHIVES
        }
        for pattern, archive in ARCHIVES.items():
            if not found[pattern]:
                place = pattern.format(split="<split>")
                raise LabError(f"{self.root} holds no {place}; unpack BDD100K's {archive} there")
        return sorted((found[IMAGES] - {"test"}) | found[MASKS])

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`; there are no cities."""
        return paired(self._files(IMAGES, split), self._files(MASKS, split))

    def _files(self, pattern: str, split: str) -> dict[Sample, Path]:
        return by_stem(self.root, pattern.format(split=split), OLD_SUFFIX)
