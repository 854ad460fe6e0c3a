"""What `prepare` writes: chosen cities of a data folder, downsized once, whole or not at all.

The layout is read by `support/formats/prepared.py`. Several splits of a folder, however they lie on
the disk, are opened here too; `check` needs that as well.
"""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from tqdm import tqdm

from support.formats.files import MANIFEST_NAME, DataFolder, PairedFiles
from support.formats.prepared import FORMAT_VERSION, PreparedArrays
from utils import LabError, require_known, resize_image, resize_labels

Source = PairedFiles | PreparedArrays
"""One opened split."""

READ_AHEAD = 64
"""Samples that are handed to the reading threads at a time; it bounds the memory."""


def open_splits(
    folder: DataFolder,
    splits: Sequence[str] | None,
    cities: Sequence[str] | None,
    limit: int | None,
) -> list[Source]:
    """Opens several splits (None: all), each with those of the cities that it has.

    A split that has none of the cities is left out; the limit holds for each split.

    Raises:
        LabError: as `DataFolder.open`, and for a city that is in no split.
    """
    require_known("split", splits or [], folder.splits(), str(folder.root))
    there = {split: folder.own_cities(split) for split in splits or folder.splits()}
    known = sorted({city for names in there.values() for city in names})
    require_known("city", cities or [], known, str(folder.root))
    if not cities:
        return [folder.open(split, None, limit) for split in there]
    wanted = [(split, [city for city in there[split] if city in cities]) for split in there]
    return [folder.open(split, chosen, limit) for split, chosen in wanted if chosen]


def read_known_ids(source: Source, index: int) -> np.ndarray:
    """Reads a target, (H, W) unsigned, and checks that its label ids are in the set.

    Raises:
        LabError: naming the target and the unknown ids.
    """
    label_ids = source.read_label_ids(index)
    try:
        source.labels.require_known(label_ids)
    except LabError as error:
        raise source.folder.blame(source.place(index), error) from error
    return label_ids


def may_validate(source: Source) -> bool:
    """Whether a network may be scored on a split."""
    try:
        source.folder.require_fair(source)
    except LabError:
        return False
    return True


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Has SIGTERM and SIGHUP (a closed terminal) clean up as Ctrl-C does, unless ignored."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name, signal.SIGTERM) for name in ("SIGTERM", "SIGHUP")]
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except SystemExit:
        print("interrupted", file=sys.stderr)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@ended_in_order()
def prepare(sources: Sequence[Source], output: Path, size: tuple[int, int]) -> None:
    """Writes a prepared copy of the given splits, whole or not at all, with a progress bar.

    Args:
        sources: one opened split each.
        output: the folder to make; it must not exist, or be empty.
        size: (height, width) of the copy, in pixels.

    Raises:
        LabError: when the folder is in use, cannot be written, or would not fit on the disk, and
            for faults of the data.
    """
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
            "labels": sources[0].labels.to_json(),
            "reading": sources[0].folder.reading._asdict(),
            "splits": {source.split: source.samples for source in sources},
            "unscored": [source.split for source in sources if not may_validate(source)],
        }
        (partial / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if output.exists():
            output.rmdir()  # Windows does not rename onto a folder, not even onto an empty one
        partial.rename(output)
    except OSError as error:
        raise LabError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def prepared_bytes(sources: Sequence[Source], size: tuple[int, int]) -> int:
    """How many bytes the arrays of a prepared copy take."""
    bytes_per_pixel = 3 + np.dtype(sources[0].labels.id_type).itemsize
    return sum(len(source.samples) for source in sources) * size[0] * size[1] * bytes_per_pixel


def _write_split(source: Source, folder: Path, size: tuple[int, int]) -> None:
    """Writes `images.npy` and `label_ids.npy` as one stream each.

    A plain stream says when the disk is full; a file mapped into memory would end the process.
    """
    folder.mkdir()
    count = len(source.samples)
    with open(folder / "images.npy", "wb") as images, open(folder / "label_ids.npy", "wb") as ids:
        id_type = np.dtype(source.labels.id_type)
        for file, shape, kind in (
            (images, (count, *size, 3), np.dtype(np.uint8)),
            (ids, (count, *size), id_type),
        ):
            header = {"descr": kind.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
        pairs = _read_resized(source, size)
        for image, label_ids in tqdm(pairs, f"prepare {source.split}", count, unit="pair"):
            images.write(image.tobytes())
            ids.write(label_ids.astype(id_type).tobytes())


def _read_resized(source: Source, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads, checks and resizes every sample of a split, in order, in a few threads."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        label_ids = read_known_ids(source, index)
        return resize_image(source.read_image(index), size), resize_labels(label_ids, size)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(source.samples), READ_AHEAD):
            yield from pool.map(read, range(start, min(start + READ_AHEAD, len(source.samples))))
