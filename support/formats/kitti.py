"""KITTI: the folder of its benchmark for semantic segmentation.

Source: Alhaija et al., "Augmented Reality Meets Computer Vision: Efficient Data Generation for
Urban Driving Scenes" (IJCV 2018), with the images of KITTI's stereo benchmark of 2015; the archive
is `data_semantics.zip` of www.cvlibs.net/datasets/kitti/eval_semseg.php. 200 images have targets,
the 200 of the test have none. There is no split for the validation: `split_off` makes one. Ids and
metrics are those of Cityscapes: 19 classes are learned and scored, the other ids are void. Its
"license plate" has the id -1, which a target of 8 bits can only hold as 255: void too. The mistake
that everybody makes: the ids are taken for classes, and a network learns 34 of them.

    training/image_2/<scene>_10.png       8-bit RGB
    training/semantic/<scene>_10.png      8-bit grey, label ids
    testing/image_2/<scene>_10.png        not read
"""

from collections.abc import Sequence

from support.formats.archives import ArchiveFolder
from support.formats.cityscapes import CITYSCAPES
from support.formats.files import Listing
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import restricted, split_off

KITTI = LabelSet(
    "KITTI",
    (*CITYSCAPES.labels, Label("license plate", 255, IGNORE_INDEX, "vehicle", (0, 0, 142))),
)


class KittiFolder(ArchiveFolder):
    """A data folder of KITTI's semantic segmentation."""

    labels = KITTI
    image_kind = "PNG"
    known_splits = ("train", "val")
    archives = ("data_semantics.zip", "data_semantics.zip")

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; both splits lie in one place."""
        return "training/image_2/*.png", "training/semantic/*.png"

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        whole = super().list_files(split, cities)
        train, val = split_off(whole.samples, self.reading.val_share)
        return restricted(whole, val if split == "val" else train)
