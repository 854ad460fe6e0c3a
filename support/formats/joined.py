"""Several splits of a data folder as one, such as `train+train_extra`."""

import hashlib
from collections.abc import Sequence

import numpy as np

from support.formats.files import DataFolder, select
from utils import LabError, require_known


class JoinedSplits:
    """The samples of several splits, with the interface of one.

    Args:
        folder: the data folder.
        splits: their names, joined by "+".
        cities: the cities to take, each in at least one of the splits; None for all.
        limit: how many images to take of all together, drawn evenly from the cities; None for all.

    Raises:
        LabError: as the splits do, for one that is named twice, and for a sample that two hold.
    """

    def __init__(
        self, folder: DataFolder, splits: str, cities: Sequence[str] | None, limit: int | None
    ) -> None:
        names = splits.split("+")
        if len(set(names)) < len(names):
            raise LabError(f"the splits {', '.join(names)} name one twice")
        require_known("split", names, folder.splits(), str(folder.root))
        there = {name: folder.cities(name) for name in names}
        known = sorted({city for found in there.values() for city in found})
        require_known("city", cities or [], known, f"the splits {splits!r} of {folder.root}")
        parts = [  # as many of each are enough: among all samples none is drawn earlier
            folder.open(name, cities and [city for city in cities if city in there[name]], limit)
            for name in names
            if not cities or set(cities) & set(there[name])
        ]
        found = [(part, i) for part in parts for i in range(len(part.samples))]
        places = {part.samples[i]: (part, i) for part, i in found}
        if len(places) < len(found):
            twice = next(s for k, p in enumerate(parts) for s in p.samples if places[s][0] is not p)
            raise LabError(f"{folder.root}: the splits {', '.join(names)} share {twice.name}")
        self.folder, self.root, self.split, self.labels = folder, folder.root, splits, folder.labels
        self.samples = select(list(places), limit)
        self.cities = sorted({sample.city for sample in self.samples} - {""})
        self._places = [places[sample] for sample in self.samples]
        self.sizes = [part.sizes[i] for part, i in self._places]

    def place(self, index: int) -> str:
        """Names the mask of a sample in an error."""
        part, i = self._places[index]
        return part.place(i)

    def read_image(self, index: int) -> np.ndarray:
        """Reads an image, (H, W, 3) uint8 RGB."""
        part, i = self._places[index]
        return part.read_image(i)

    def read_label_ids(self, index: int) -> np.ndarray:
        """Reads a mask, (H, W) label ids."""
        part, i = self._places[index]
        return part.read_label_ids(i)

    def fingerprint(self) -> str:
        """A SHA-256 over those of the splits and the names, in hexadecimal."""
        parts = dict.fromkeys(part for part, _ in self._places)
        words = [part.fingerprint() for part in parts] + [repr(self.samples)]
        return hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()
