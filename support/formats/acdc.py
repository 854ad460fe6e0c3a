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

from collections.abc import Sequence
from pathlib import Path

from support.formats.cityscapes import CITYSCAPES
from support.formats.files import DataFolder, Listing, Sample, subfolders
from support.formats.listing import unpaired
from utils import LabError

IMAGES = ("rgb_anon", "_rgb_anon.png")
MASKS = ("gt", "_gt_labelIds.png")
ARCHIVES = {IMAGES: "rgb_anon_trainvaltest.zip", MASKS: "gt_trainval.zip"}
SPLITS = ("test", "train", "val")


class AcdcFolder(DataFolder):
    """A data folder in the layout of ACDC."""

    labels = CITYSCAPES
    image_kind = "PNG"

    def splits(self) -> list[str]:
        """As `DataFolder.splits`; the test is one when its targets are there.

        Raises:
            LabError: when there are no images, or no targets.
        """
        found = {
            layer: {split for split in SPLITS if self._files(layer, split)} for layer in ARCHIVES
        }
        for (folder, suffix), archive in ARCHIVES.items():
            if not found[folder, suffix]:
                pattern = f"{folder}/<condition>/<split>/<sequence>/*{suffix}"
                raise LabError(f"{self.root} holds no {pattern}; unpack {archive} there")
        return sorted((found[IMAGES] - {"test"}) | found[MASKS])

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`; the cities are the conditions."""
        images, masks = (self._files(layer, split, cities) for layer in ARCHIVES)
        conditions = {
            folder.name
            for layer, _ in ARCHIVES
            for folder in subfolders(self.root / layer)
            if (folder / split).is_dir()
        }
        return Listing(sorted(conditions), images, masks, unpaired(images, masks))

    def _files(
        self, layer: tuple[str, str], split: str, cities: Sequence[str] | None = None
    ) -> dict[Sample, Path]:
        """The files of a split in one layer (folder, suffix) by sample, but for hidden ones."""
        folder, suffix = layer
        return {
            Sample(condition.name, path.name.removesuffix(suffix)): path
            for condition in subfolders(self.root / folder)
            if cities is None or condition.name in cities
            for sequence in subfolders(condition / split)
            for path in sequence.glob(f"*{suffix}")
            if not path.name.startswith(".")
        }
