"""Data sets as their archives lay them out: every image and mask of a split has its fixed place."""

from collections.abc import Sequence
from pathlib import Path

from support.formats.files import DataFolder, Listing, Sample
from support.formats.listing import of_cities, paired, restricted
from utils import LabError


class ArchiveFolder(DataFolder):
    """A data folder that keeps to `patterns`; the formats of such archives inherit from it.

    Attributes:
        known_splits: the splits that there may be; `test` is one where there are masks of it.
        endings: what the stem of an image, and that of a mask, has behind the sample's name.
        archives: what to unpack where images, and where masks are missing.
        city_level: which of the folders in a file's path is its city, counted from 0; or None.
    """

    known_splits: Sequence[str] = ("train", "val", "test")
    endings = ("", "")
    archives: tuple[str, str]
    city_level: int | None = None

    def patterns(self, split: str) -> tuple[str, str]:
        """Where the images and the masks of a split lie, as patterns below `base`."""
        raise NotImplementedError

    @property
    def base(self) -> Path:
        """The folder that the patterns begin with."""
        return self.root

    def splits(self) -> list[str]:
        """As `DataFolder.splits`.

        Raises:
            LabError: when there are images without any mask, or masks without any image.
        """
        found = {split: [*map(bool, self.files(split))] for split in self.known_splits}
        if not found.get("test", [True, True])[1]:
            del found["test"]  # its masks are withheld
        is_empty = not any(map(any, found.values()))
        for split, there in found.items():
            for has, place, archive in zip(there, self.patterns(split), self.archives, strict=True):
                if not has and (any(there) or is_empty):
                    raise LabError(f"{self.base} holds no {place}; unpack {archive} there")
        return sorted(split for split, there in found.items() if any(there))

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`."""
        return of_cities(paired(*self.files(split)), cities)

    def files(self, split: str) -> list[dict[Sample, Path]]:
        """The images and the masks of a split by sample, but for hidden files."""
        found = []
        for pattern, ending in zip(self.patterns(split), self.endings, strict=True):
            samples = {}
            for path in sorted(self.base.glob(pattern)):
                parts = path.relative_to(self.base).parts
                city = "" if self.city_level is None else parts[self.city_level]
                if not any(part.startswith(".") for part in parts):
                    samples[Sample(city, path.stem.removesuffix(ending))] = path
            found.append(samples)
        return found


def read_names(path: Path) -> list[Sample]:
    """The samples that a list such as `train.txt` names: the first word of every line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [Sample("", line.split()[0]) for line in lines if line.strip()]


def listed(whole: Listing, names: Sequence[Sample], path: Path) -> Listing:
    """The part of a listing that the list `path` names; what it names and is not there, a fault."""
    missing = {
        sample: f"{path}: names {sample.name}, which has neither an image nor a mask; unpack the "
        "archives again"
        for sample in set(names).difference(whole.samples)
    }
    return restricted(whole._replace(faults=whole.faults | missing), names)
