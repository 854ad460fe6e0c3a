"""Stanford 2D-3D-S: the rooms of six areas of a campus, rendered from scans.

Source: Armeni et al., "Joint 2D-3D-Semantic Data for Indoor Scene Understanding" (arXiv 1702.01105,
2017; github.com/alexsax/2D-3D-Semantics). 70,496 images of 1080x1080. A mask holds no classes: the
three bytes of a pixel are one number, R * 65536 + G * 256 + B, the place of an object in the list
`semantic_labels.json` of 9,816 names such as `chair_3_office_12_4`. 13 classes; `<UNK>` is ignored,
or learned as a 14th, the first, where the background is. What is past the end of the list, such as
0x0D0D0D, is where the scan has nothing: void. The mistake that everybody makes: the number is
computed in 8 bits, where it overflows, and every object is one of the first 256.

    assets/semantic_labels.json
    area_<a>/data/rgb/camera_<id>_<room>_<n>_frame_<m>_domain_rgb.png
    area_<a>/data/semantic/camera_<id>_<room>_<n>_frame_<m>_domain_semantic.png

The areas are the "cities". Three official divisions (`fold`) say which of them validate; whoever
names cities chooses areas instead. The areas 5a and 5b show the same rooms, and are one.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from support.formats.archives import ArchiveFolder
from support.formats.colors import distinct_colors
from support.formats.files import Listing, PairedFiles
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import of_cities
from utils import LabError, opened_image

NAME = "Stanford 2D-3D-S"
NAMES = ("beam", "board", "bookcase", "ceiling", "chair", "clutter", "column", "door", "floor")
NAMES += ("sofa", "table", "wall", "window")
UNKNOWN, MISSING = "<UNK>", 255
"""What the list calls an object without a class; the id of pixels that no object has."""
FOLDS = (("area_5a", "area_5b"), ("area_2", "area_4"), ("area_1", "area_3", "area_6"))
"""The areas that validate; all others train."""


def stanford_labels(with_background: bool) -> LabelSet:
    """The set of 13 classes, or of 14 with `<UNK>`."""
    first = int(with_background)
    rows = [Label(UNKNOWN, 0, 0 if with_background else IGNORE_INDEX, "void", (0, 0, 0))]
    colors = distinct_colors(len(NAMES))
    for k, (name, color) in enumerate(zip(NAMES, colors, strict=True)):
        rows.append(Label(name, k + 1, k + first, "room", color))
    rows.append(Label("missing", MISSING, IGNORE_INDEX, "void", (64, 64, 64)))
    return LabelSet(NAME, tuple(rows))


def room_of(area: str) -> str:
    """The part of the campus that an area shows; 5a and 5b are one."""
    return area.rstrip("ab")


class StanfordFolder(ArchiveFolder):
    """A folder of Stanford 2D-3D-S."""

    known_splits = ("train", "val")
    image_kind = "PNG"
    endings = ("_domain_rgb", "_domain_semantic")
    archives = ("area_*_no_xyz.tar", "area_*_no_xyz.tar")
    city_level = 0

    @cached_property
    def labels(self) -> LabelSet:
        """What the masks hold."""
        return stanford_labels(self.reading.with_background)

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; all areas, of which `list_files` takes those of a split."""
        return "area_*/data/rgb/*_domain_rgb.png", "area_*/data/semantic/*_domain_semantic.png"

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`: the areas that are named, or those of the fold."""
        fold = self.reading.fold or 1
        if fold > len(FOLDS):
            raise LabError(f"--fold {fold}: {self.labels.name} has the folds 1, 2 and 3")
        whole = super().list_files(split, cities)
        if cities is not None:
            return whole
        held_out = FOLDS[fold - 1]
        chosen = [area for area in whole.cities if (area in held_out) == (split == "val")]
        return of_cities(whole, chosen)

    def own_cities(self, split: str) -> list[str]:
        """As `DataFolder.own_cities`: those of the fold."""
        return sorted({sample.city for sample in self.list_files(split).samples})

    def require_fair(self, val: PairedFiles, train: Sequence[str] = ()) -> None:
        """As `DataFolder.require_fair`: areas that train and validate show other rooms."""
        shared = sorted({room_of(area) for area in train} & {room_of(area) for area in val.cities})
        if shared and not self.reading.allow_shared_areas:
            both = sorted({area for area in (*train, *val.cities) if room_of(area) in shared})
            raise LabError(
                f"{', '.join(both)} both train and validate, and show the same rooms: the score "
                "would be of rooms that the network has seen; choose other --cities-train and "
                "--cities-val, or say --allow-shared-areas"
            )

    def read_label_ids(self, path: Path) -> np.ndarray:
        """As `DataFolder.read_label_ids`; places in the list become classes."""
        with opened_image(path, "PNG") as image:
            if image.mode != "RGB":
                raise LabError(
                    f"{path}: a mask must be an RGB PNG, whose bytes are numbers of objects; this "
                    f"one is of mode {image.mode}"
                )
            red, green, blue = np.moveaxis(np.array(image).astype(np.int64), 2, 0)
        return self._class_of[np.minimum(red << 16 | green << 8 | blue, len(self._class_of) - 1)]

    @cached_property
    def _class_of(self) -> np.ndarray:
        """The label id of each place in the list, (places + 1,) uint8; behind it, `MISSING`."""
        path = self.root / "assets" / "semantic_labels.json"
        ids = {label.name: label.id for label in self.labels.labels}
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(names, list):
                raise TypeError("no list")
            return np.array([*(ids[name.split("_")[0]] for name in names), MISSING], dtype=np.uint8)
        except FileNotFoundError as error:
            raise LabError(f"{path} is missing; take it from the data set's repository") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(
                f"{path}: not the list of objects ({type(error).__name__}: {error}); take it from "
                "the data set's repository again"
            ) from error
