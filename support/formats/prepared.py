"""Prepared copies of a data folder: chosen cities, downsized once, read from memory-mapped arrays.

Decoding a 2048x1024 PNG pair takes far longer than a training step of a small network on it. A
prepared copy holds, per split, the images and the label ids (void included) at one size in two
uncompressed `.npy` files; reading a sample costs a copy of its bytes. A manifest, written last,
names the samples and holds the label set.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from support.formats.files import MANIFEST_NAME, DataFolder, Listing, PairedFiles, Sample, select
from support.formats.labels import USUAL, LabelSet, Reading
from support.formats.stanford import NAME as WITH_FOLDS
from utils import LabError, require_known

FORMAT_VERSION = 3


class PreparedFolder(DataFolder):
    """A prepared copy, as a data folder of its own.

    Attributes:
        manifest: what it holds, see `read_manifest`.
        reading: that of the folder that was prepared.
    """

    cure = "prepare the data again"

    def __init__(self, root: Path, reading: Reading = USUAL) -> None:
        manifest = read_manifest(root)
        own = Reading.from_json(manifest["reading"])
        labels = LabelSet.from_json(manifest["labels"])
        has_folds = labels.name == WITH_FOLDS
        if reading.fold and not has_folds:
            raise LabError(
                f"--fold {reading.fold} is for {WITH_FOLDS}, and {root} is a copy of "
                f"{labels.name}; leave out --fold"
            )
        own = own if has_folds else own._replace(fold=None)
        known = own._replace(fold=own.fold or 1)
        for field, wanted, usual, is_so in zip(Reading._fields, reading, USUAL, known, strict=True):
            if wanted not in (usual, is_so):
                raise LabError(
                    f"{root} was prepared with {flag_of(field, is_so)}, not with "
                    f"{flag_of(field, wanted)}; prepare the data anew"
                )
        super().__init__(root, own)
        self.manifest, self.labels = manifest, labels

    def splits(self) -> list[str]:
        """As `DataFolder.splits`."""
        return sorted(self.manifest["splits"])

    def list_files(self, split: str, cities: Sequence[str] | None = None) -> Listing:
        """As `DataFolder.list_files`, but that a sample has no files of its own."""
        found = [Sample(*names) for names in self.manifest["splits"][split]]
        return Listing(sorted({sample.city for sample in found} - {""}), {}, {}, {})

    def require_fair(self, val: PairedFiles, train: Sequence[str] = ()) -> None:
        """As `DataFolder.require_fair`: labels that did not validate do not in a copy either."""
        for split in val.split.split("+"):
            if split in self.manifest["unscored"]:
                raise LabError(
                    f"{self.root}: split {split!r} was prepared from labels that do not validate, "
                    "coarse ones; prepare the data anew, with fine ones"
                )

    def open(self, split: str, cities: Sequence[str] | None, limit: int | None) -> "PreparedArrays":
        """Opens a split; None takes all cities, all images."""
        return PreparedArrays(self, split, cities, limit)


def flag_of(field: str, value: object) -> str:
    """A choice of a `Reading` as it is typed."""
    flag = f"--{field.replace('_', '-')}"
    return f"{flag} {value}" if not isinstance(value, bool) else flag if value else f"no {flag}"


class PreparedArrays:
    """The chosen samples of one split of a prepared copy, mapped into memory when first read.

    Each process maps the arrays for itself, so that an object can be sent to a loader's worker.

    Raises:
        LabError: a damaged copy; an unknown split or city; a limit below 1.
    """

    def __init__(
        self,
        folder: PreparedFolder,
        split: str,
        cities: Sequence[str] | None,
        limit: int | None,
    ) -> None:
        root, manifest = folder.root, folder.manifest
        require_known("split", [split], folder.splits(), str(root))
        rows = {Sample(*names): row for row, names in enumerate(manifest["splits"][split])}
        known = sorted({sample.city for sample in rows})
        require_known("city", cities or [], known, f"split {split!r} of {root}")
        self.folder, self.root, self.split, self.labels = folder, root, split, folder.labels
        self.samples = select([s for s in rows if cities is None or s.city in cities], limit)
        if not self.samples:
            raise LabError(f"split {split!r} of {root} holds no sample")
        self.cities = sorted({sample.city for sample in self.samples} - {""})
        self.sizes = [tuple(manifest["size"])] * len(self.samples)
        self._rows = [rows[sample] for sample in self.samples]
        self._shape = (len(rows), *manifest["size"])
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None
        self._open()  # a damaged array is found now and not in the middle of a training

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_arrays": None}

    def _open(self) -> tuple[np.ndarray, np.ndarray]:
        if self._arrays is None:
            folder = self.root / self.split
            images = _map_array(folder / "images.npy", (*self._shape, 3), np.uint8)
            id_type = self.labels.id_type
            self._arrays = images, _map_array(folder / "label_ids.npy", self._shape, id_type)
        return self._arrays

    def place(self, index: int) -> str:
        """Names the target of a sample in an error."""
        return f"{self.root / self.split / 'label_ids.npy'}: {self.samples[index].name}"

    def read_image(self, index: int) -> np.ndarray:
        """Copies an image, (H, W, 3) uint8 RGB."""
        return np.array(self._open()[0][self._rows[index]])

    def read_label_ids(self, index: int) -> np.ndarray:
        """Copies a target, (H, W) label ids."""
        return np.array(self._open()[1][self._rows[index]])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the manifest, in hexadecimal."""
        digest = hashlib.sha256(json.dumps([self.split, self.samples]).encode())
        digest.update((self.root / MANIFEST_NAME).read_bytes())
        return digest.hexdigest()


def read_manifest(root: Path) -> dict:
    """Reads a manifest: `size` (height, width), `splits` -> names of samples, `labels`, `unscored`.

    Raises:
        LabError: when it is damaged or of another version.
    """
    path = root / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format_version"]
        if version == FORMAT_VERSION:
            height, width = manifest["size"]
            samples = [pair for pairs in manifest["splits"].values() for pair in pairs]
            if not all(isinstance(side, int) for side in (height, width)):
                raise ValueError("its size is not two whole numbers")
            if not all(isinstance(part, str) for city, name in samples for part in (city, name)):
                raise ValueError("its samples are not pairs of names")
            if not isinstance(manifest.setdefault("unscored", []), list):
                raise ValueError("its unscored splits are not a list")
            LabelSet.from_json(manifest["labels"])
            Reading.from_json(manifest["reading"])
            return manifest
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{path}: damaged ({error}); prepare the data again") from error
    raise LabError(f"{path}: version {version}, this lab reads {FORMAT_VERSION}; prepare again")


def _map_array(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise LabError(f"{path}: damaged or missing; prepare the data again") from error
    if array.shape != shape or array.dtype != kind:
        raise LabError(f"{path}: does not fit its {MANIFEST_NAME}; prepare the data again")
    return array
