"""What `check` reads: every file of a data folder, in one pass, as downloaded or prepared."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from commands.prepare import open_splits, read_known_ids
from support.formats.files import DataFolder, read_paired_image
from support.formats.labels import LabelSet
from utils import LabError, opened_image, read_image, require_known, shortened

Counts = dict[str, dict[str, np.ndarray]]
"""By split and by the place of a target without faults: its pixels per label id."""
RARE = 0.001
"""Below this share of the labelled pixels, a class is hardly learned."""


class Pair(NamedTuple):
    """What is found in an image and its mask; `counts` is None when the mask has a fault."""

    faults: list[str]
    counts: np.ndarray | None
    content: str
    """A hash of the image's pixels; empty when it cannot be read."""
    palette: list[int] | None
    """Red, green, blue of id 0, of id 1, ...; None for a mask without a palette."""


class Audit(NamedTuple):
    """What is found in a data folder; faults and warnings are lines to print."""

    pairs: int
    faults: list[str]
    warnings: list[str]
    counts: Counts


def audit_files(
    folder: DataFolder, splits: Sequence[str] | None, cities: Sequence[str] | None
) -> Audit:
    """Reads every file of a data folder, with a progress bar.

    Args:
        folder: of any layout, but not prepared.
        splits: the splits to read; None reads all.
        cities: the cities to read; None reads all.

    Returns:
        Faults are a missing image or mask, a file that is unreadable, truncated or of the wrong
        kind, sizes that differ, ids outside the set, and an image that two splits hold.

    Raises:
        LabError: as `DataFolder.splits`, and for a split or a city that does not exist.
    """
    known_splits, root = folder.splits(), str(folder.root)
    require_known("split", splits or [], known_splits, root)
    listings = {}
    for split in splits or known_splits:
        own = folder.own_cities(split) if cities else ()
        chosen = [city for city in cities if city in own] if cities else None
        listings[split] = folder.list_files(split, chosen)
    known_cities = sorted({city for listing in listings.values() for city in listing.cities})
    require_known("city", cities or [], known_cities, root)
    faults, pairs, counts = list(folder.faults), [], {split: {} for split in listings}
    for split, listing in listings.items():
        faults += listing.faults.values()
        for sample in sorted(listing.images.keys() & listing.masks.keys()):
            if sample not in listing.faults:
                pairs.append((split, listing.images[sample], listing.masks[sample]))
    seen: dict[str, tuple[str, Path]] = {}
    colors: dict[int, tuple[Path, list[int]]] = {}
    warnings = []
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        results = pool.map(lambda pair: audit_pair(folder, *pair[1:]), pairs)
        results = tqdm(results, "check", len(pairs), unit="pair")
        for (split, image, mask), found in zip(pairs, results, strict=True):
            faults += found.faults
            if found.counts is not None:
                counts[split][str(mask)] = found.counts
            if found.palette and found.counts is not None and not warnings:
                warnings += palette_warnings(colors, mask, found)
            other, twin = seen.setdefault(found.content, (split, image))
            if found.content and other != split:
                faults.append(
                    f"{image}: the same image, pixel by pixel, as {twin}: split {split!r} would "
                    f"score what split {other!r} has shown; keep it in one of them"
                )
    return Audit(len(pairs), list(dict.fromkeys(faults)), warnings, counts)


def audit_pair(folder: DataFolder, image_path: Path, mask_path: Path) -> Pair:
    """Reads an image and its mask."""
    faults, size, counts, content, palette = [], None, None, "", None
    try:
        if mask_path.suffix != ".mat":
            with opened_image(mask_path) as mask:
                palette = mask.getpalette()
        label_ids = folder.read_label_ids(mask_path)
        size = label_ids.shape
        folder.labels.require_known(label_ids)
        counts = folder.labels.count(label_ids)
    except LabError as error:
        faults.append(str(folder.blame(mask_path, error) if size else error))
    try:
        if size:
            image = read_paired_image(image_path, mask_path, size, folder.image_kind)
        else:
            image = read_image(image_path)
        content = hashlib.sha256(image.tobytes() + str(image.shape).encode()).hexdigest()
    except LabError as error:
        faults.append(str(error))
    return Pair(faults, counts, content, palette)


def palette_warnings(
    colors: dict[int, tuple[Path, list[int]]], mask: Path, found: Pair
) -> list[str]:
    """A line where a mask gives an id another colour than the masks before it, in `colors`."""
    for label_id in np.flatnonzero(found.counts).tolist():
        color = found.palette[3 * label_id : 3 * label_id + 3]
        other, before = colors.setdefault(label_id, (mask, color))
        if color != before:
            return [
                f"warning: {mask}: the palette has the colour {color} for {label_id}, that of "
                f"{other} {before}: does {label_id} mean one class in both? Programs that choose a "
                "palette for each file number the colours anew"
            ]
    return []


def audit_prepared(
    folder: DataFolder, splits: Sequence[str] | None, cities: Sequence[str] | None
) -> Audit:
    """As `audit_files`, for a prepared copy: its images cannot be wrong."""
    sources = open_splits(folder, splits, cities, None)
    faults, counts = [], {source.split: {} for source in sources}
    for source in sources:
        for index in tqdm(range(len(source.samples)), f"check {source.split}", unit="pair"):
            try:
                pixels = source.labels.count(read_known_ids(source, index))
                counts[source.split][source.place(index)] = pixels
            except LabError as error:
                faults.append(str(error))
    return Audit(sum(len(source.samples) for source in sources), faults, [], counts)


def class_remarks(where: str, counts: Sequence[np.ndarray], labels: LabelSet) -> list[str]:
    """Lines on classes that the masks of a split never hold, or hardly ever.

    Args:
        where: the split, for the text.
        counts: for each mask its pixels per label id.
        labels: the set of the data folder.
    """
    pixels = sum(counts, start=np.zeros(len(labels.is_label), dtype=np.int64))
    shares = {label.name: pixels[label.id] for label in labels.classes}
    total = sum(shares.values())
    if not total:
        return []
    absent = [name for name, number in shares.items() if not number]
    rare = [f"{name} {n / total:.2%}" for name, n in shares.items() if 0 < n < RARE * total]
    lines = []
    if absent:
        lines.append(f"warning: {where}: no pixel of {shortened(absent)}")
    if rare:
        lines.append(f"warning: {where}: less than 0.1% of the pixels is {shortened(rare)}")
    return lines
