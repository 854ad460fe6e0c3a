"""What `check` reads: every file of a data folder, in one pass, as downloaded or prepared."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from commands.prepare import open_splits, read_known_ids
from support.formats.cityscapes import (
    list_files,
    list_splits,
    pair_faults,
    read_label_ids,
    read_paired_image,
    require_known,
    require_label_ids,
)
from support.formats.labels import count_label_ids
from utils import LabError, read_image

Counts = dict[str, dict[str, np.ndarray]]
"""By split and by the place of a target without faults: its pixels per label id."""


def audit_files(
    root: Path, splits: Sequence[str] | None, cities: Sequence[str] | None
) -> tuple[int, list[str], Counts]:
    """Reads every file of a folder in the Cityscapes layout, with a progress bar.

    Args:
        root: the data folder.
        splits: the splits to read; None reads all.
        cities: the cities to read; None reads all.

    Returns:
        How many pairs were read; one line per fault: a missing image or target, a file that is
        unreadable, truncated or of the wrong kind, sizes that differ, ids outside the table; and
        the pixels of the targets.

    Raises:
        LabError: as `list_splits`, and for a split or a city that does not exist.
    """
    known_splits = list_splits(root)
    require_known("split", splits or [], known_splits, str(root))
    listings = {split: list_files(root, split, cities) for split in splits or known_splits}
    known_cities = sorted({city for listing in listings.values() for city in listing.cities})
    require_known("city", cities or [], known_cities, str(root))
    faults, pairs, counts = [], [], {split: {} for split in listings}
    for split, listing in listings.items():
        faults += pair_faults(listing).values()
        for sample in sorted(listing.images.keys() & listing.labels.keys()):
            pairs.append((split, listing.images[sample], listing.labels[sample]))
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        results = pool.map(lambda pair: audit_pair(*pair[1:]), pairs)
        results = tqdm(results, "check", len(pairs), unit="pair")
        for (split, _, label), (found, pixels) in zip(pairs, results, strict=True):
            faults += found
            if pixels is not None:
                counts[split][str(label)] = pixels
    return len(pairs), faults, counts


def audit_pair(image_path: Path, label_path: Path) -> tuple[list[str], np.ndarray | None]:
    """Reads an image and its target.

    Returns:
        One line for each fault, and the target's pixels per label id; None when it has a fault.
    """
    faults, size, counts = [], None, None
    try:
        label_ids = read_label_ids(label_path)
        size = label_ids.shape
        require_label_ids(label_ids)
        counts = count_label_ids(label_ids)
    except LabError as error:
        faults.append(f"{label_path}: {error}" if size else str(error))
    try:
        if size:
            read_paired_image(image_path, label_path, size)
        else:
            read_image(image_path)
    except LabError as error:
        faults.append(str(error))
    return faults, counts


def audit_prepared(
    root: Path, splits: Sequence[str] | None, cities: Sequence[str] | None
) -> tuple[int, list[str], Counts]:
    """As `audit_files`, for a prepared copy: its images cannot be wrong."""
    sources = open_splits(root, splits, cities, None)
    faults, counts = [], {source.split: {} for source in sources}
    for source in sources:
        for index in tqdm(range(len(source.samples)), f"check {source.split}", unit="pair"):
            try:
                pixels = count_label_ids(read_known_ids(source, index))
                counts[source.split][source.place(index)] = pixels
            except LabError as error:
                faults.append(str(error))
    return sum(len(source.samples) for source in sources), faults, counts
