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
from pathlib import Path

from support.formats.archives import ArchiveFolder, listed, read_names
from support.formats.files import Listing
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.listing import split_off
from utils import LabError

OXFORD_PETS = LabelSet(
    "Oxford-IIIT Pet",
    (
        Label("pet", 1, 0, "", (255, 165, 0)),
        Label("background", 2, 1, "", (70, 130, 180)),
        Label("border", 3, IGNORE_INDEX, "void", (0, 0, 0)),
    ),
)


class OxfordPetsFolder(ArchiveFolder):
    """A data folder in the layout of Oxford-IIIT Pet."""

    labels = OXFORD_PETS
    cure = "save 1 for the pet, 2 for the background, 3 for the border between them"
    archives = ("images.tar.gz", "annotations.tar.gz")

    def patterns(self, split: str) -> tuple[str, str]:
        """As `ArchiveFolder.patterns`; all splits lie in one place."""
        return "images/*.jpg", "annotations/trimaps/*.png"

    def splits(self) -> list[str]:
        """As `ArchiveFolder.splits`; `LabError` also for a list that is missing."""
        for path in map(self._list_of, self.known_splits):
            if not path.is_file():
                raise LabError(f"{path} is missing; unpack {self.archives[1]} in {self.root}")
        return super().splits()

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        names = read_names(self._list_of(split))
        if split != "test":
            train, val = split_off(names, self.reading.val_share)
            names = val if split == "val" else train
        return listed(super().list_files(split, cities), names, self._list_of(split))

    def _list_of(self, split: str) -> Path:
        """The official list from which a split is taken."""
        return self.root / "annotations" / ("test.txt" if split == "test" else "trainval.txt")
