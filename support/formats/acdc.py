"""ACDC: the folder of street scenes in fog, at night, in rain and in snow.

Source: Sakaridis, Dai and Van Gool, "ACDC: The Adverse Conditions Dataset with Correspondences for
Semantic Driving Scene Understanding" (ICCV 2021; acdc.vision.ee.ethz.ch); not the heart images of
the same name. 1,600 images train, 406 validate; the targets of the 2,000 test images are withheld.
Ids and classes are those of Cityscapes: 19 are learned and scored, the others are void. The
conditions are the "cities" here. The `*_ref` folders hold the same places on a clear day and are no
splits. The mistake that everybody makes: label ids and train ids lie side by side under nearly
the same name, and the wrong ones are read; here it is `labelIds`.

    rgb_anon/<condition>/<split>/<sequence>/<sequence>_frame_<frame>_rgb_anon.png      8-bit RGB
    gt/<condition>/<split>/<sequence>/<sequence>_frame_<frame>_gt_labelIds.png         label ids
"""

from support.formats.archives import ArchiveFolder
from support.formats.cityscapes import CITYSCAPES, CityscapesFolder


class AcdcFolder(ArchiveFolder):
    """A data folder in the layout of ACDC."""

    labels = CITYSCAPES
    image_kind = "PNG"
    cure = CityscapesFolder.cure
    endings = ("_rgb_anon", "_gt_labelIds")
    archives = ("rgb_anon_trainvaltest.zip", "gt_trainval.zip")
    city_level = 1

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`."""
        return f"rgb_anon/*/{split}/*/*_rgb_anon.png", f"gt/*/{split}/*/*_gt_labelIds.png"
