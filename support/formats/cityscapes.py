"""Cityscapes: its official labels, and folders in its layout.

Source of both: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding" (CVPR
2016, section 2.2; www.cityscapes-dataset.com), with the labels that the authors publish in
`cityscapesscripts` (helpers/labels.py): 34 ids, 19 of which are learned and scored; the others have
train id 255. (The list also has "license plate" with id -1, which no 8-bit file can hold: left out
here.) 2,975 images train, 500 validate, 1,525 test, whose published targets are void. The mistake
that everybody makes: files of train ids where label ids belong. The layout is that of the archives:

    leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png      8-bit RGB
    gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png       8-bit grey, label ids

    gtCoarse/<split>/<city>/<city>_<sequence>_<frame>_gtCoarse_labelIds.png   likewise, coarse

A further 19,998 images, the split `train_extra`, have coarse labels alone, polygons inside the
objects; `train` and `val` have both, of which the fine ones are read unless the coarse are asked
for. One of those images is broken in the archive (`BROKEN`), and is left out by its name.

Both folders may also lie one level deeper, as when each archive was unpacked into a folder of its
own name (`gtFine_trainvaltest/gtFine`), or else in any one folder, but not in one of several: which
of them is meant is for the user to say.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from support.formats.files import DataFolder, Listing, PairedFiles, Sample, subfolders
from support.formats.labels import Label, LabelSet
from utils import LabError, shortened

IMAGE_FOLDER = "leftImg8bit"
FINE, COARSE = "gtFine", "gtCoarse"
IMAGE_SUFFIX = "_leftImg8bit.png"
OTHER_IMAGE = r"(?is)(.+)_leftImg8bit\.\w+"
OTHER_LABEL = r"(?is)(.+)_{}_label(?:Train)?Ids\.\w+"
"""Names that are often taken for an image or a target of this layout, and are not read."""

BROKEN = Sample("troisdorf", "troisdorf_000000_000073")
"""The image of `train_extra` of which the archive holds garbage."""

CITYSCAPES = LabelSet(
    "Cityscapes",
    (
        Label("unlabeled", 0, 255, "void", (0, 0, 0)),
        Label("ego vehicle", 1, 255, "void", (0, 0, 0)),
        Label("rectification border", 2, 255, "void", (0, 0, 0)),
        Label("out of roi", 3, 255, "void", (0, 0, 0)),
        Label("static", 4, 255, "void", (0, 0, 0)),
        Label("dynamic", 5, 255, "void", (111, 74, 0)),
        Label("ground", 6, 255, "void", (81, 0, 81)),
        Label("road", 7, 0, "flat", (128, 64, 128)),
        Label("sidewalk", 8, 1, "flat", (244, 35, 232)),
        Label("parking", 9, 255, "flat", (250, 170, 160)),
        Label("rail track", 10, 255, "flat", (230, 150, 140)),
        Label("building", 11, 2, "construction", (70, 70, 70)),
        Label("wall", 12, 3, "construction", (102, 102, 156)),
        Label("fence", 13, 4, "construction", (190, 153, 153)),
        Label("guard rail", 14, 255, "construction", (180, 165, 180)),
        Label("bridge", 15, 255, "construction", (150, 100, 100)),
        Label("tunnel", 16, 255, "construction", (150, 120, 90)),
        Label("pole", 17, 5, "object", (153, 153, 153)),
        Label("polegroup", 18, 255, "object", (153, 153, 153)),
        Label("traffic light", 19, 6, "object", (250, 170, 30)),
        Label("traffic sign", 20, 7, "object", (220, 220, 0)),
        Label("vegetation", 21, 8, "nature", (107, 142, 35)),
        Label("terrain", 22, 9, "nature", (152, 251, 152)),
        Label("sky", 23, 10, "sky", (70, 130, 180)),
        Label("person", 24, 11, "human", (220, 20, 60)),
        Label("rider", 25, 12, "human", (255, 0, 0)),
        Label("car", 26, 13, "vehicle", (0, 0, 142)),
        Label("truck", 27, 14, "vehicle", (0, 0, 70)),
        Label("bus", 28, 15, "vehicle", (0, 60, 100)),
        Label("caravan", 29, 255, "vehicle", (0, 0, 90)),
        Label("trailer", 30, 255, "vehicle", (0, 0, 110)),
        Label("train", 31, 16, "vehicle", (0, 80, 100)),
        Label("motorcycle", 32, 17, "vehicle", (0, 0, 230)),
        Label("bicycle", 33, 18, "vehicle", (119, 11, 32)),
    ),
)


class CityscapesFolder(DataFolder):
    """A data folder in the Cityscapes layout."""

    labels = CITYSCAPES
    image_kind = "PNG"
    holds = f"<city>/*{IMAGE_SUFFIX}"
    cure = "save label ids, such as 7 for road (255 suggests a labelTrainIds file)"

    def splits(self) -> list[str]:
        """As `DataFolder.splits`.

        Raises:
            LabError: when the folder is of another layout, or holds several data sets.
        """
        root = self.root
        images, fine, coarse = (_split_folders(root, each) for each in (IMAGE_FOLDER, FINE, COARSE))
        if images and (fine or coarse):
            # gtCoarse.zip has a split whose images are an archive of their own
            return sorted(images.keys() | fine.keys() | (coarse.keys() & images.keys()))
        from support.formats.faults import not_in_layout  # late: most folders keep to one

        raise LabError(not_in_layout(root, bool(images), bool(fine or coarse)))

    @property
    def remarks(self) -> list[str]:
        """As `DataFolder.remarks`: whether the folder has the image that is left out."""
        folder = _split_folders(self.root, IMAGE_FOLDER).get("train_extra", self.root)
        path = folder / BROKEN.city / f"{BROKEN.name}{IMAGE_SUFFIX}"
        if not path.exists():
            return []
        return [f"note: {path} is left out: the archive holds garbage in its place"]

    def label_layer(self, split: str) -> str:
        """Which labels are read: fine ones first; `LabError` if wanted coarse ones are missing."""
        fine, coarse = (split in _split_folders(self.root, layer) for layer in (FINE, COARSE))
        is_chosen = self.reading.labels == "coarse" and split.startswith("train")
        if is_chosen and not coarse:
            raise LabError(f"{self.root} holds no {COARSE}/{split}/; unpack gtCoarse.zip there")
        return COARSE if coarse and (is_chosen or not fine) else FINE

    def require_fair(self, val: PairedFiles, train: Sequence[str] = ()) -> None:
        """As `DataFolder.require_fair`: coarse labels do not validate."""
        for split in val.split.split("+"):
            if not split.startswith("train") and self.label_layer(split) == COARSE:
                raise LabError(f"{self.root}: coarse labels do not validate; add gtFine/{split}/")

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        layers = (IMAGE_FOLDER, layer := self.label_layer(split))
        suffix = f"_{layer}_labelIds.png"
        images, labels = (
            subfolders(_split_folders(self.root, layer).get(split, self.root / layer / split))
            for layer in layers
        )

        def files(folders: list[Path], pattern: str) -> dict[Sample, Path]:
            return {
                Sample(folder.name, found[1]): path
                for folder in folders
                if cities is None or folder.name in cities
                for path in folder.iterdir()
                if (found := re.fullmatch(pattern, path.name)) and not path.name.startswith(".")
            }

        read = files(images, f"(?s)(.+){IMAGE_SUFFIX}"), files(labels, f"(?s)(.+){suffix}")
        others = files(images, OTHER_IMAGE), files(labels, OTHER_LABEL.format(layer))
        for found in (*read, *others):
            found.pop(BROKEN, None)
        names = {folder.name for folder in images + labels}
        if read[0].keys() == read[1].keys() and read[0].keys() >= {*others[0], *others[1]}:
            return Listing(sorted(names), *read, {})
        from support.formats.faults import without_partner  # late: most files have one

        return Listing(sorted(names), *read, without_partner(read, others, suffix))


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
        places = shortened([folder.parent for folder in others])
        raise LabError(f"several folders in {root} hold {layer}/: {places}; name one of them")
    return _splits_in(others[0]) if others else {}


def _splits_in(folder: Path) -> dict[str, Path]:
    """The splits in a folder of one layer; a second `leftImg8bit` in the first is none."""
    return {split.name: split for split in subfolders(folder) if split.name != folder.name}
