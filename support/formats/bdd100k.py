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

from support.formats.archives import ArchiveFolder
from support.formats.cityscapes import CITYSCAPES
from support.formats.labels import IGNORE_INDEX, Label, LabelSet

BDD100K = LabelSet(
    "BDD100K",
    (
        *(label._replace(id=label.train_id) for label in CITYSCAPES.classes),
        Label("unknown", 255, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class Bdd100kFolder(ArchiveFolder):
    """A data folder of BDD100K's semantic segmentation."""

    labels = BDD100K
    image_kind = "JPEG"
    cure = "save train ids of Cityscapes, such as 0 for road, and 255 for void"
    endings = ("", "_train_id")
    archives = ("BDD100K's 10K images", "BDD100K's semantic segmentation labels")

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`."""
        return f"images/10k/{split}/*.jpg", f"labels/sem_seg/masks/{split}/*.png"
