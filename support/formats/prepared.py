"""Prepared copies of a data folder: chosen cities, downsized once, read from memory-mapped arrays.

Decoding a 2048x1024 PNG pair takes far longer than a training step of a small network on it. A
prepared copy holds, per split, the photos and the official label ids (void included) at one size in
two uncompressed `.npy` files; reading a sample costs a copy of its bytes. A manifest, written last,
names the samples. `open_split` takes such a copy and a folder in the Cityscapes layout alike.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from support.formats.cityscapes import (
    CityscapesFiles,
    Sample,
    audit,
    list_file_cities,
    list_splits,
    require_folder,
    require_known,
    require_label_ids,
    select,
)
from utils import LabError

MANIFEST_NAME = "prepared.json"
FORMAT_VERSION = 1
READ_AHEAD = 64
"""Samples that are handed to the reading threads at a time; it bounds the memory."""


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

    def image_path(self, index: int) -> None:
        """A prepared sample has no file of its own."""

    def place(self, index: int) -> str:
        """Names the target of a sample in an error."""
        return f"{self.root / self.split / 'label_ids.npy'}: {self.samples[index].name}"

    def read_image(self, index: int) -> np.ndarray:
        """Copies a photo, (H, W, 3) uint8 RGB."""
        return np.array(self._open()[0][self._rows[index]])

    def read_label_ids(self, index: int) -> np.ndarray:
        """Copies a target, (H, W) uint8 label ids."""
        return np.array(self._open()[1][self._rows[index]])

    def fingerprint(self) -> str:
        """A SHA-256 over the split, the names and the manifest, in hexadecimal."""
        digest = hashlib.sha256(json.dumps([self.split, self.samples]).encode())
        digest.update((self.root / MANIFEST_NAME).read_bytes())
        return digest.hexdigest()


def is_prepared(root: Path) -> bool:
    """Whether a data folder is a prepared copy."""
    return (root / MANIFEST_NAME).is_file()


def open_split(
    root: str | Path,
    split: str,
    cities: Sequence[str] | None = None,
    limit: int | None = None,
) -> CityscapesFiles | PreparedArrays:
    """Opens one split of a data folder, as downloaded or prepared.

    Args:
        root: the data folder.
        split: `train`, `val`, ... as the folders are called.
        cities: the cities to keep; None keeps all.
        limit: how many images to keep, at least 1, see `select`; None keeps all.

    Raises:
        LabError: a folder that is missing, empty or of another layout; an unknown split or city;
            a limit below 1; an image without its target or the reverse; sizes that differ.
    """
    root = Path(root)
    require_folder(root)
    kind = PreparedArrays if is_prepared(root) else CityscapesFiles
    return kind(root, split, cities, limit)


def find_splits(root: Path) -> list[str]:
    """Names the splits of a data folder, as downloaded or prepared, sorted.

    Raises:
        LabError: when the folder is missing, empty, or of another layout.
    """
    return sorted(read_manifest(root)["splits"]) if is_prepared(root) else list_splits(root)


def open_splits(
    root: Path, splits: Sequence[str] | None, cities: Sequence[str] | None, limit: int | None
) -> list[CityscapesFiles | PreparedArrays]:
    """Opens several splits (None: all), each with those of the cities that it has.

    A split that has none of the cities is left out; the limit holds for each split.

    Raises:
        LabError: as `open_split`, and for a city that is in no split.
    """
    chosen = splits or find_splits(root)
    there = {split: list_cities(root, split) for split in chosen}
    known = sorted({city for names in there.values() for city in names})
    require_known("city", cities or [], known, str(root))
    wanted = {split: [c for c in there[split] if cities is None or c in cities] for split in chosen}
    return [open_split(root, split, wanted[split], limit) for split in chosen if wanted[split]]


def list_cities(root: Path, split: str) -> list[str]:
    """Names the cities of one split of a data folder, as downloaded or prepared, sorted.

    Raises:
        LabError: as `find_splits`, and for an unknown split.
    """
    require_known("split", [split], find_splits(root), str(root))
    if is_prepared(root):
        return sorted({city for city, _ in read_manifest(root)["splits"][split]})
    return list_file_cities(root, split)


def audit_folder(
    root: Path, splits: Sequence[str] | None, cities: Sequence[str] | None
) -> tuple[int, list[str]]:
    """Reads everything in a data folder, as downloaded or prepared; see `cityscapes.audit`."""
    if not is_prepared(root):
        return audit(root, splits, cities)
    count, faults = 0, []
    for source in open_splits(root, splits, cities, None):
        for index in tqdm(range(len(source.samples)), f"check {source.split}", unit="pair"):
            try:
                require_label_ids(source.read_label_ids(index))
            except LabError as error:
                faults.append(f"{source.place(index)}: {error}")
        count += len(source.samples)
    return count, faults


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


# -------------------------------------------------------------------------------------- preparing


def resize_pair(
    image: np.ndarray, label_ids: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resizes a photo and its target as `data.eval_transforms` does.

    Args:
        image: (H, W, 3) uint8.
        label_ids: (H, W) uint8.
        size: (height, width) to give, in pixels.

    Returns:
        The photo, averaged over areas when it shrinks, and the target by nearest neighbour.
    """
    height, width = size
    shrinks = height < image.shape[0] or width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return (
        cv2.resize(image, (width, height), interpolation=method),
        cv2.resize(label_ids, (width, height), interpolation=cv2.INTER_NEAREST_EXACT),
    )


def prepare(
    sources: Sequence[CityscapesFiles | PreparedArrays], output: Path, size: tuple[int, int]
) -> None:
    """Writes a prepared copy of the given splits, whole or not at all, with a progress bar.

    Args:
        sources: one opened split each.
        output: the folder to make; it must not exist, or be empty.
        size: (height, width) of the copy, in pixels.

    Raises:
        LabError: when the folder is in use, cannot be written, or would not fit on the disk, when
            a size is below 1, and for faults of the data.
    """
    if min(size) < 1:
        raise LabError(f"the size must be at least 1 1 pixels, not {size[0]} {size[1]}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise LabError(f"{output} exists already; choose another --output, or delete it first")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        needed, free = prepared_bytes(sources, size) / 1e9, shutil.disk_usage(partial).free / 1e9
        if needed > free:
            raise LabError(f"{output} needs {needed:.1f} GB, but {free:.1f} are free")
        for source in sources:
            _write_split(source, partial / source.split, size)
        manifest = {
            "format_version": FORMAT_VERSION,
            "size": list(size),
            "source": str(sources[0].root),
            "splits": {source.split: source.samples for source in sources},
        }
        (partial / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if output.exists():
            output.rmdir()  # Windows does not rename onto a folder, not even onto an empty one
        partial.rename(output)
    except OSError as error:
        raise LabError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def prepared_bytes(
    sources: Sequence[CityscapesFiles | PreparedArrays], size: tuple[int, int]
) -> int:
    """How many bytes the arrays of a prepared copy take."""
    return sum(len(source.samples) for source in sources) * size[0] * size[1] * 4


def _write_split(
    source: CityscapesFiles | PreparedArrays, folder: Path, size: tuple[int, int]
) -> None:
    """Writes `images.npy` and `label_ids.npy` as one stream each.

    A plain stream says when the disk is full; a file mapped into memory would end the process.
    """
    folder.mkdir()
    count = len(source.samples)
    with open(folder / "images.npy", "wb") as images, open(folder / "label_ids.npy", "wb") as ids:
        for file, shape in ((images, (count, *size, 3)), (ids, (count, *size))):
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
        pairs = _read_resized(source, size)
        for image, label_ids in tqdm(pairs, f"prepare {source.split}", count, unit="pair"):
            images.write(image.tobytes())
            ids.write(label_ids.tobytes())


def _read_resized(
    source: CityscapesFiles | PreparedArrays, size: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads, checks and resizes every sample of a split, in order, in a few threads."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        label_ids = source.read_label_ids(index)
        try:
            require_label_ids(label_ids)
        except LabError as error:
            raise LabError(f"{source.place(index)}: {error}") from error
        return resize_pair(source.read_image(index), label_ids, size)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(source.samples), READ_AHEAD):
            yield from pool.map(read, range(start, min(start + READ_AHEAD, len(source.samples))))
