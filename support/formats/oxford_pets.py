"""Oxford-IIIT Pet: the folder of cats and dogs with their trimaps.

Source: Parkhi et al., "Cats and Dogs" (CVPR 2012; www.robots.ox.ac.uk/~vgg/data/pets). The official
lists name 3,680 images to train and validate, which `split_off` divides, and 3,669 to test; images
on neither list are not read. A trimap says 1 for the pet, 2 for the background and 3 for "not
classified", which is ignored: 2 classes. The mistake that everybody makes: that border is learned
and scored as a third class. The archive's hidden files, such as `._Abyssinian_100.png`, are no
trimaps, and some of its images are damaged or of another kind than their name says.

    images/<name>.jpg
    annotations/trimaps/<name>.png                     8-bit grey, 1 ... 3
    annotations/trainval.txt, annotations/test.txt     lines such as `Abyssinian_100 1 1 1`
"""

from collections.abc import Sequence

from support.formats.files import DataFolder, Listing, Sample
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import by_stem, paired, restricted, split_off
from utils import LabError

IMAGES, MASKS = "images/*.jpg", "annotations/trimaps/*.png"
ARCHIVES = {IMAGES: "images.tar.gz", MASKS: "annotations.tar.gz"}
LISTS = {"train": "trainval.txt", "val": "trainval.txt", "test": "test.txt"}

OXFORD_PETS = LabelSet(
    "Oxford-IIIT Pet",
    (
        Label("pet", 1, 0, "", (255, 165, 0)),
        Label("background", 2, 1, "", (70, 130, 180)),
        Label("border", 3, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class OxfordPetsFolder(DataFolder):
    """A data folder in the layout of Oxford-IIIT Pet."""

    labels = OXFORD_PETS
    cure = "save 1 for the pet, 2 for the background, 3 for the border between them"

    def splits(self) -> list[str]:
        """As `DataFolder.splits`.

        Raises:
            LabError: when there are no images, no trimaps or no lists of the splits.
        """
        for pattern, archive in ARCHIVES.items():
            if not by_stem(self.root, pattern):
                raise LabError(f"{self.root} holds no {pattern}; unpack {archive} there")
        for split in LISTS:
            self._listed(split)
        return sorted(LISTS)

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`; there are no cities.

        Raises:
            LabError: when the list of the split is missing.
        """
        whole = paired(*(by_stem(self.root, pattern) for pattern in (IMAGES, MASKS)))
        chosen = self._chosen(split)
        missing = {
            sample: f"{self.root / 'annotations' / LISTS[split]}: names {sample.name}, which has "
            "neither an image nor a trimap; unpack both archives again"
            for sample in chosen.difference(whole.samples)
        }
        return restricted(whole._replace(faults=whole.faults | missing), chosen)

    def _chosen(self, split: str) -> set[Sample]:
        """The samples of a split."""
        listed = self._listed(split)
        if split == "test":
            return set(listed)
        train, val = split_off(listed, self.val_share)
        return set(val if split == "val" else train)

    def _listed(self, split: str) -> list[Sample]:
        """The samples on the official list from which a split is taken."""
        path = self.root / "annotations" / LISTS[split]
        if not path.is_file():
            raise LabError(f"{path} is missing; unpack {ARCHIVES[MASKS]} in {self.root}")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [Sample("", line.split()[0]) for line in lines if line.strip()]
