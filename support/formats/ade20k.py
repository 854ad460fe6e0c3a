"""ADE20K as the scene parsing benchmark has it: scenes of all kinds, 150 classes.

Source: Zhou et al., "Scene Parsing through ADE20K Dataset" (CVPR 2017), with the names, colours and
the division into stuff and objects that the authors publish (github.com/CSAILVision/sceneparsing:
objectInfo150, color150). 20,210 images train, 2,000 validate. Of the ids 0 ... 150, 0 (other
objects) is ignored. The mistake that everybody makes: 0 as a 151st class, or ignored without moving
1 ... 150 down to the train ids 0 ... 149. Road and skyscraper have one colour. The layout is that
of ADEChallengeData2016.zip:

    images/{training,validation}/<name>.jpg         annotations/{training,validation}/<name>.png
"""

from collections.abc import Sequence

from support.formats.files import DataFolder, Listing
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import by_stem, paired
from utils import LabError

FOLDERS = {"train": "training", "val": "validation"}

ADE20K = LabelSet(
    "ADE20K",
    (
        Label("other objects", 0, IGNORE_INDEX, "void", (0, 0, 0)),
        Label("wall", 1, 0, "stuff", (120, 120, 120)),
        Label("building", 2, 1, "stuff", (180, 120, 120)),
        Label("sky", 3, 2, "stuff", (6, 230, 230)),
        Label("floor", 4, 3, "stuff", (80, 50, 50)),
        Label("tree", 5, 4, "object", (4, 200, 3)),
        Label("ceiling", 6, 5, "stuff", (120, 120, 80)),
        Label("road", 7, 6, "stuff", (140, 140, 140)),
        Label("bed", 8, 7, "object", (204, 5, 255)),
        Label("windowpane", 9, 8, "object", (230, 230, 230)),
        Label("grass", 10, 9, "stuff", (4, 250, 7)),
        Label("cabinet", 11, 10, "object", (224, 5, 255)),
        Label("sidewalk", 12, 11, "stuff", (235, 255, 7)),
        Label("person", 13, 12, "object", (150, 5, 61)),
        Label("earth", 14, 13, "stuff", (120, 120, 70)),
        Label("door", 15, 14, "object", (8, 255, 51)),
        Label("table", 16, 15, "object", (255, 6, 82)),
        Label("mountain", 17, 16, "stuff", (143, 255, 140)),
        Label("plant", 18, 17, "object", (204, 255, 4)),
        Label("curtain", 19, 18, "object", (255, 51, 7)),
        Label("chair", 20, 19, "object", (204, 70, 3)),
        Label("car", 21, 20, "object", (0, 102, 200)),
        Label("water", 22, 21, "stuff", (61, 230, 250)),
        Label("painting", 23, 22, "object", (255, 6, 51)),
        Label("sofa", 24, 23, "object", (11, 102, 255)),
        Label("shelf", 25, 24, "object", (255, 7, 71)),
        Label("house", 26, 25, "stuff", (255, 9, 224)),
        Label("sea", 27, 26, "stuff", (9, 7, 230)),
        Label("mirror", 28, 27, "object", (220, 220, 220)),
        Label("rug", 29, 28, "stuff", (255, 9, 92)),
        Label("field", 30, 29, "stuff", (112, 9, 255)),
        Label("armchair", 31, 30, "object", (8, 255, 214)),
        Label("seat", 32, 31, "object", (7, 255, 224)),
        Label("fence", 33, 32, "object", (255, 184, 6)),
        Label("desk", 34, 33, "object", (10, 255, 71)),
        Label("rock", 35, 34, "object", (255, 41, 10)),
        Label("wardrobe", 36, 35, "object", (7, 255, 255)),
        Label("lamp", 37, 36, "object", (224, 255, 8)),
        Label("bathtub", 38, 37, "object", (102, 8, 255)),
        Label("railing", 39, 38, "object", (255, 61, 6)),
        Label("cushion", 40, 39, "object", (255, 194, 7)),
        Label("base", 41, 40, "object", (255, 122, 8)),
        Label("box", 42, 41, "object", (0, 255, 20)),
        Label("column", 43, 42, "object", (255, 8, 41)),
        Label("signboard", 44, 43, "object", (255, 5, 153)),
        Label("chest of drawers", 45, 44, "object", (6, 51, 255)),
        Label("counter", 46, 45, "object", (235, 12, 255)),
        Label("sand", 47, 46, "stuff", (160, 150, 20)),
        Label("sink", 48, 47, "object", (0, 163, 255)),
        Label("skyscraper", 49, 48, "stuff", (140, 140, 140)),
        Label("fireplace", 50, 49, "object", (250, 10, 15)),
        Label("refrigerator", 51, 50, "object", (20, 255, 0)),
        Label("grandstand", 52, 51, "stuff", (31, 255, 0)),
        Label("path", 53, 52, "stuff", (255, 31, 0)),
        Label("stairs", 54, 53, "object", (255, 224, 0)),
        Label("runway", 55, 54, "stuff", (153, 255, 0)),
        Label("case", 56, 55, "object", (0, 0, 255)),
        Label("pool table", 57, 56, "object", (255, 71, 0)),
        Label("pillow", 58, 57, "object", (0, 235, 255)),
        Label("screen door", 59, 58, "object", (0, 173, 255)),
        Label("stairway", 60, 59, "stuff", (31, 0, 255)),
        Label("river", 61, 60, "stuff", (11, 200, 200)),
        Label("bridge", 62, 61, "stuff", (255, 82, 0)),
        Label("bookcase", 63, 62, "object", (0, 255, 245)),
        Label("blind", 64, 63, "object", (0, 61, 255)),
        Label("coffee table", 65, 64, "object", (0, 255, 112)),
        Label("toilet", 66, 65, "object", (0, 255, 133)),
        Label("flower", 67, 66, "object", (255, 0, 0)),
        Label("book", 68, 67, "object", (255, 163, 0)),
        Label("hill", 69, 68, "stuff", (255, 102, 0)),
        Label("bench", 70, 69, "object", (194, 255, 0)),
        Label("countertop", 71, 70, "object", (0, 143, 255)),
        Label("stove", 72, 71, "object", (51, 255, 0)),
        Label("palm", 73, 72, "object", (0, 82, 255)),
        Label("kitchen island", 74, 73, "object", (0, 255, 41)),
        Label("computer", 75, 74, "object", (0, 255, 173)),
        Label("swivel chair", 76, 75, "object", (10, 0, 255)),
        Label("boat", 77, 76, "object", (173, 255, 0)),
        Label("bar", 78, 77, "object", (0, 255, 153)),
        Label("arcade machine", 79, 78, "object", (255, 92, 0)),
        Label("hovel", 80, 79, "stuff", (255, 0, 255)),
        Label("bus", 81, 80, "object", (255, 0, 245)),
        Label("towel", 82, 81, "object", (255, 0, 102)),
        Label("light", 83, 82, "object", (255, 173, 0)),
        Label("truck", 84, 83, "object", (255, 0, 20)),
        Label("tower", 85, 84, "stuff", (255, 184, 184)),
        Label("chandelier", 86, 85, "object", (0, 31, 255)),
        Label("awning", 87, 86, "object", (0, 255, 61)),
        Label("streetlight", 88, 87, "object", (0, 71, 255)),
        Label("booth", 89, 88, "object", (255, 0, 204)),
        Label("television", 90, 89, "object", (0, 255, 194)),
        Label("airplane", 91, 90, "object", (0, 255, 82)),
        Label("dirt track", 92, 91, "stuff", (0, 10, 255)),
        Label("apparel", 93, 92, "object", (0, 112, 255)),
        Label("pole", 94, 93, "object", (51, 0, 255)),
        Label("land", 95, 94, "stuff", (0, 194, 255)),
        Label("bannister", 96, 95, "object", (0, 122, 255)),
        Label("escalator", 97, 96, "stuff", (0, 255, 163)),
        Label("ottoman", 98, 97, "object", (255, 153, 0)),
        Label("bottle", 99, 98, "object", (0, 255, 10)),
        Label("buffet", 100, 99, "object", (255, 112, 0)),
        Label("poster", 101, 100, "object", (143, 255, 0)),
        Label("stage", 102, 101, "stuff", (82, 0, 255)),
        Label("van", 103, 102, "object", (163, 255, 0)),
        Label("ship", 104, 103, "object", (255, 235, 0)),
        Label("fountain", 105, 104, "object", (8, 184, 170)),
        Label("conveyer belt", 106, 105, "stuff", (133, 0, 255)),
        Label("canopy", 107, 106, "object", (0, 255, 92)),
        Label("washer", 108, 107, "object", (184, 0, 255)),
        Label("plaything", 109, 108, "object", (255, 0, 31)),
        Label("swimming pool", 110, 109, "stuff", (0, 184, 255)),
        Label("stool", 111, 110, "object", (0, 214, 255)),
        Label("barrel", 112, 111, "object", (255, 0, 112)),
        Label("basket", 113, 112, "object", (92, 255, 0)),
        Label("waterfall", 114, 113, "stuff", (0, 224, 255)),
        Label("tent", 115, 114, "object", (112, 224, 255)),
        Label("bag", 116, 115, "object", (70, 184, 160)),
        Label("minibike", 117, 116, "object", (163, 0, 255)),
        Label("cradle", 118, 117, "object", (153, 0, 255)),
        Label("oven", 119, 118, "object", (71, 255, 0)),
        Label("ball", 120, 119, "object", (255, 0, 163)),
        Label("food", 121, 120, "object", (255, 204, 0)),
        Label("step", 122, 121, "object", (255, 0, 143)),
        Label("tank", 123, 122, "object", (0, 255, 235)),
        Label("trade name", 124, 123, "object", (133, 255, 0)),
        Label("microwave", 125, 124, "object", (255, 0, 235)),
        Label("pot", 126, 125, "object", (245, 0, 255)),
        Label("animal", 127, 126, "object", (255, 0, 122)),
        Label("bicycle", 128, 127, "object", (255, 245, 0)),
        Label("lake", 129, 128, "stuff", (10, 190, 212)),
        Label("dishwasher", 130, 129, "object", (214, 255, 0)),
        Label("screen", 131, 130, "object", (0, 204, 255)),
        Label("blanket", 132, 131, "object", (20, 0, 255)),
        Label("sculpture", 133, 132, "object", (255, 255, 0)),
        Label("hood", 134, 133, "object", (0, 153, 255)),
        Label("sconce", 135, 134, "object", (0, 41, 255)),
        Label("vase", 136, 135, "object", (0, 255, 204)),
        Label("traffic light", 137, 136, "object", (41, 0, 255)),
        Label("tray", 138, 137, "object", (41, 255, 0)),
        Label("ashcan", 139, 138, "object", (173, 0, 255)),
        Label("fan", 140, 139, "object", (0, 245, 255)),
        Label("pier", 141, 140, "stuff", (71, 0, 255)),
        Label("crt screen", 142, 141, "object", (122, 0, 255)),
        Label("plate", 143, 142, "object", (0, 255, 184)),
        Label("monitor", 144, 143, "object", (0, 92, 255)),
        Label("bulletin board", 145, 144, "object", (184, 255, 0)),
        Label("shower", 146, 145, "object", (0, 133, 255)),
        Label("radiator", 147, 146, "object", (255, 214, 0)),
        Label("glass", 148, 147, "object", (25, 194, 194)),
        Label("clock", 149, 148, "object", (102, 255, 0)),
        Label("flag", 150, 149, "object", (92, 0, 255)),
    ),
)


class Ade20kFolder(DataFolder):
    """A folder of the scene parsing benchmark."""

    labels = ADE20K

    def splits(self) -> list[str]:
        """As `DataFolder.splits`.

        Raises:
            LabError: when the images or the masks of a split are missing.
        """
        for layer in ("images", "annotations"):
            for folder in FOLDERS.values():
                if not (self.root / layer / folder).is_dir():
                    raise LabError(
                        f"{self.root}: ADE20K without {layer}/{folder}/; unpack all of "
                        "ADEChallengeData2016.zip there"
                    )
        return sorted(FOLDERS)

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        images = by_stem(self.root / "images" / FOLDERS[split], "*.jpg")
        return paired(images, by_stem(self.root / "annotations" / FOLDERS[split], "*.png"))
