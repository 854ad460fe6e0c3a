"""What the formats share in listing their files: names, pairs, parts of a split."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from support.formats.files import Listing, Sample
from utils import LabError

MOST_NEAREST = 20
"""For so many faults the nearest name is looked for; it takes a while among thousands."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a name, in upper or lower case, if one is."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def paired(images: dict[Sample, Path], masks: dict[Sample, Path]) -> Listing:
    """The listing of files by sample; those without a partner are faults."""
    cities = {sample.city for sample in [*images, *masks]} - {""}
    return Listing(sorted(cities), images, masks, unpaired(images, masks))


def unpaired(images: Mapping[Sample, Path], masks: Mapping[Sample, Path]) -> dict[Sample, str]:
    """One line for each image without a mask and each mask without an image."""
    faults = {}
    for found, others, what in (
        (images, masks, "image without its mask"),
        (masks, images, "mask without its image"),
    ):
        lonely = {sample.name: path.name for sample, path in others.items() if sample not in found}
        for number, sample in enumerate(sorted(found.keys() - others.keys())):
            near = nearest(sample.name, lonely) if number < MOST_NEAREST else None
            hint = f" (the nearest name is {lonely[near]})" if near else ""
            faults[sample] = f"{found[sample]}: {what}{hint}; add it, rename it, or delete this"
    return faults


def restricted(listing: Listing, samples: Iterable[Sample]) -> Listing:
    """The part of a listing that belongs to some samples."""
    chosen = set(samples)
    cities = sorted({sample.city for sample in chosen} - {""})
    parts = ({s: part[s] for s in part if s in chosen} for part in listing[1:])
    return Listing(cities, *parts)


def of_cities(listing: Listing, cities: Sequence[str] | None) -> Listing:
    """The part of a listing that belongs to some cities, None for all; it still names all."""
    if cities is None:
        return listing
    chosen = restricted(listing, (sample for sample in listing.samples if sample.city in cities))
    return chosen._replace(cities=listing.cities)


def split_off(samples: Iterable[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """Divides samples by their names: (those that train, those that validate), each sorted.

    A sample validates when the SHA-256 of its city and name, as a fraction of 1, is below `share`:
    it stays where it is when others are added. Should either part be empty, it gets the sample that
    is nearest to it; a lone sample validates.

    Raises:
        LabError: when the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise LabError(f"the share that validates must lie between 0 and 1, not be {share}")
    digests = {sample: hashlib.sha256(json.dumps(sample).encode()).digest() for sample in samples}
    ordered = sorted(digests, key=digests.__getitem__)
    number = sum(int.from_bytes(digest, "big") < share * 2**256 for digest in digests.values())
    number = min(max(number, 1), max(len(ordered) - 1, 1))
    return sorted(ordered[number:]), sorted(ordered[:number])
