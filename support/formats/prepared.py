"""Prepared copies of a data folder: chosen cities, downsized once, read from memory-mapped arrays.

Decoding a 2048x1024 PNG pair takes far longer than a training step of a small network on it. A
prepared copy holds, per split, the images and the official label ids (void included) at one size in
two uncompressed `.npy` files; reading a sample costs a copy of its bytes. A manifest, written last,
names the samples. `cityscapes.open_split` opens such a copy too.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from support.formats.cityscapes import MANIFEST_NAME, Sample, require_known, select
from utils import LabError

FORMAT_VERSION = 1


class PreparedArrays:
    """The chosen samples of one split of a prepared copy, mapped into memory when first read.

    Each process maps the arrays for itself, so that an object can be sent to a loader's worker.

    Raises:
        LabError: a damaged copy; an unknown split or city; a limit below 1.
    """

    def __init__(
        self, root: Path, split: str, cities: Sequence[str] | None, limit: int | None
    ) -> None:
        manifest = read_manifest(root)
        require_known("split", [split], sorted(manifest["splits"]), str(root))
        rows = {Sample(*names): row for row, names in enumerate(manifest["splits"][split])}
        known = sorted({sample.city for sample in rows})
        require_known("city", cities or [], known, f"split {split!r} of {root}")
        self.root, self.split = root, split
        self.samples = select([s for s in rows if cities is None or s.city in cities], limit)
        if not self.samples:
            raise LabError(f"split {split!r} of {root} holds no sample")
        self.cities = sorted({sample.city for sample in self.samples})
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
            images = _map_array(folder / "images.npy", (*self._shape, 3))
            self._arrays = images, _map_array(folder / "label_ids.npy", self._shape)
        return self._arrays

    def place(self, index: int) -> str:
        """Names the target of a sample in an error."""
        return f"{self.root / self.split / 'label_ids.npy'}: {self.samples[index].name}"

    def read_image(self, index: int) -> np.ndarray:
        """Copies an image, (H, W, 3) uint8 RGB."""
        return np.array(self._open()[0][self._rows[index]])

    def read_label_ids(self, index: int) -> np.ndarray:
        """Copies a target, (H, W) uint8 label ids."""
        return np.array(self._open()[1][self._rows[index]])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the manifest, in hexadecimal."""
        digest = hashlib.sha256(json.dumps([self.split, self.samples]).encode())
        digest.update((self.root / MANIFEST_NAME).read_bytes())
        return digest.hexdigest()


def read_manifest(root: Path) -> dict:
    """Reads what a prepared copy holds: `size` (height, width) and `splits` -> names of samples.

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
            return manifest
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{path}: damaged ({error}); prepare the data again") from error
    raise LabError(f"{path}: version {version}, this lab reads {FORMAT_VERSION}; prepare again")


def _map_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise LabError(f"{path}: damaged or missing; prepare the data again") from error
    if array.shape != shape or array.dtype != np.uint8:
        raise LabError(f"{path}: does not fit its {MANIFEST_NAME}; prepare the data again")
    return array
