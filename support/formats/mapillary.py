"""Mapillary Vistas 1.2: streets of six continents, taken by many people with many cameras.

Source: Neuhold et al., "The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes"
(ICCV 2017), with the labels of the config.json in the archive. 18,000 images train, 2,000 validate,
5,000 test, whose labels are not published. 66 labels, 65 of which are learned and scored; 65
("Unlabeled") is ignored. The mistake that everybody makes: masks of version 2.0, which has 124
labels, read with the names of 1.2; today's archive holds both. A mask is a palette file, of which
the positions are the ids. Two layouts, {split} being training, validation or testing:

    {split}/images/<key>.jpg        {split}/labels/<key>.png         the archive of 1.2
                                    {split}/v1.2/labels/<key>.png    the archive of 2.0

A `config_v1.2.json` or `config.json` in the folder goes before the labels that are written here.
"""

import json
from functools import cached_property
from pathlib import Path

from support.formats.archives import ArchiveFolder
from support.formats.files import ID_MODES
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from utils import LabError

FOLDERS = {"train": "training", "val": "validation", "test": "testing"}
CONFIGS = ("config_v1.2.json", "config.json")

MAPILLARY = LabelSet(
    "Mapillary Vistas",
    (
        Label("Bird", 0, 0, "animal", (165, 42, 42)),
        Label("Ground Animal", 1, 1, "animal", (0, 192, 0)),
        Label("Curb", 2, 2, "construction", (196, 196, 196)),
        Label("Fence", 3, 3, "construction", (190, 153, 153)),
        Label("Guard Rail", 4, 4, "construction", (180, 165, 180)),
        Label("Barrier", 5, 5, "construction", (90, 120, 150)),
        Label("Wall", 6, 6, "construction", (102, 102, 156)),
        Label("Bike Lane", 7, 7, "construction", (128, 64, 255)),
        Label("Crosswalk - Plain", 8, 8, "construction", (140, 140, 200)),
        Label("Curb Cut", 9, 9, "construction", (170, 170, 170)),
        Label("Parking", 10, 10, "construction", (250, 170, 160)),
        Label("Pedestrian Area", 11, 11, "construction", (96, 96, 96)),
        Label("Rail Track", 12, 12, "construction", (230, 150, 140)),
        Label("Road", 13, 13, "construction", (128, 64, 128)),
        Label("Service Lane", 14, 14, "construction", (110, 110, 110)),
        Label("Sidewalk", 15, 15, "construction", (244, 35, 232)),
        Label("Bridge", 16, 16, "construction", (150, 100, 100)),
        Label("Building", 17, 17, "construction", (70, 70, 70)),
        Label("Tunnel", 18, 18, "construction", (150, 120, 90)),
        Label("Person", 19, 19, "human", (220, 20, 60)),
        Label("Bicyclist", 20, 20, "human", (255, 0, 0)),
        Label("Motorcyclist", 21, 21, "human", (255, 0, 100)),
        Label("Other Rider", 22, 22, "human", (255, 0, 200)),
        Label("Lane Marking - Crosswalk", 23, 23, "marking", (200, 128, 128)),
        Label("Lane Marking - General", 24, 24, "marking", (255, 255, 255)),
        Label("Mountain", 25, 25, "nature", (64, 170, 64)),
        Label("Sand", 26, 26, "nature", (230, 160, 50)),
        Label("Sky", 27, 27, "nature", (70, 130, 180)),
        Label("Snow", 28, 28, "nature", (190, 255, 255)),
        Label("Terrain", 29, 29, "nature", (152, 251, 152)),
        Label("Vegetation", 30, 30, "nature", (107, 142, 35)),
        Label("Water", 31, 31, "nature", (0, 170, 30)),
        Label("Banner", 32, 32, "object", (255, 255, 128)),
        Label("Bench", 33, 33, "object", (250, 0, 30)),
        Label("Bike Rack", 34, 34, "object", (100, 140, 180)),
        Label("Billboard", 35, 35, "object", (220, 220, 220)),
        Label("Catch Basin", 36, 36, "object", (220, 128, 128)),
        Label("CCTV Camera", 37, 37, "object", (222, 40, 40)),
        Label("Fire Hydrant", 38, 38, "object", (100, 170, 30)),
        Label("Junction Box", 39, 39, "object", (40, 40, 40)),
        Label("Mailbox", 40, 40, "object", (33, 33, 33)),
        Label("Manhole", 41, 41, "object", (100, 128, 160)),
        Label("Phone Booth", 42, 42, "object", (142, 0, 0)),
        Label("Pothole", 43, 43, "object", (70, 100, 150)),
        Label("Street Light", 44, 44, "object", (210, 170, 100)),
        Label("Pole", 45, 45, "object", (153, 153, 153)),
        Label("Traffic Sign Frame", 46, 46, "object", (128, 128, 128)),
        Label("Utility Pole", 47, 47, "object", (0, 0, 80)),
        Label("Traffic Light", 48, 48, "object", (250, 170, 30)),
        Label("Traffic Sign (Back)", 49, 49, "object", (192, 192, 192)),
        Label("Traffic Sign (Front)", 50, 50, "object", (220, 220, 0)),
        Label("Trash Can", 51, 51, "object", (140, 140, 20)),
        Label("Bicycle", 52, 52, "object", (119, 11, 32)),
        Label("Boat", 53, 53, "object", (150, 0, 255)),
        Label("Bus", 54, 54, "object", (0, 60, 100)),
        Label("Car", 55, 55, "object", (0, 0, 142)),
        Label("Caravan", 56, 56, "object", (0, 0, 90)),
        Label("Motorcycle", 57, 57, "object", (0, 0, 230)),
        Label("On Rails", 58, 58, "object", (0, 80, 100)),
        Label("Other Vehicle", 59, 59, "object", (128, 64, 64)),
        Label("Trailer", 60, 60, "object", (0, 0, 110)),
        Label("Truck", 61, 61, "object", (0, 0, 70)),
        Label("Wheeled Slow", 62, 62, "object", (0, 0, 192)),
        Label("Car Mount", 63, 63, "void", (32, 32, 32)),
        Label("Ego Vehicle", 64, 64, "void", (120, 10, 10)),
        Label("Unlabeled", 65, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class MapillaryFolder(ArchiveFolder):
    """A folder of Mapillary Vistas with the labels of version 1.2."""

    mask_modes = ID_MODES
    cure = "take the masks of version 1.2; those of 2.0 have other labels"
    archives = ("all of its archive", "all of its archive")

    @cached_property
    def labels(self) -> LabelSet:
        """What the masks hold: as the folder's own config says, or else the official labels."""
        configs = [self.root / name for name in CONFIGS if (self.root / name).is_file()]
        return read_config(configs[0]) if configs else MAPILLARY

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`."""
        folder = FOLDERS[split]
        newer = f"{folder}/v1.2/labels"
        masks = newer if (self.root / newer).is_dir() else f"{folder}/labels"
        return f"{folder}/images/*.jpg", f"{masks}/*.png"


def read_config(path: Path) -> LabelSet:
    """Reads the labels of a config file; a label's id is its place in the list.

    Raises:
        LabError: naming the file and what is wrong with it.
    """
    content = {"name": MAPILLARY.name, "classes": [], "ignore": []}
    try:
        for label_id, row in enumerate(json.loads(path.read_text(encoding="utf-8"))["labels"]):
            content["classes" if row["evaluate"] else "ignore"].append(
                {
                    "name": row["readable"],
                    "id": label_id,
                    "color": row["color"],
                    "category": row["name"].split("--")[0],
                }
            )
        return LabelSet.from_json(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(
            f"{path}: not a list of labels ({error}); put the file of the archive there, or none"
        ) from error
