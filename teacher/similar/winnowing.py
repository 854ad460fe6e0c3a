"""Fingerprints of an answer: some of its passages, the same ones wherever the passage stands.

Winnowing: of every WINDOW passages of LENGTH tokens that follow one another, the one with the
smallest hash is kept, the last of equals. So two answers that share LENGTH + WINDOW - 1 tokens in a
row share a fingerprint for certain. Deviation from the paper: passages that weigh nothing are left
out first, so that they cannot stand in the way of others.
"""

from collections.abc import Collection, Sequence
from hashlib import blake2b

LENGTH = 10
"""Tokens of a passage: a short line."""
WINDOW = 4


def passages(words: Sequence[str]) -> list[int]:
    """The hash of every passage of LENGTH tokens, in order; the same on every machine."""
    joined = ["\0".join(words[i : i + LENGTH]) for i in range(len(words) - LENGTH + 1)]
    return [
        int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        for text in joined
    ]


def winnow(hashes: Sequence[int], weightless: Collection[int]) -> dict[int, list[int]]:
    """The fingerprints: hash → where its passages begin.

    Args:
        hashes: of every passage, in order.
        weightless: hashes that are never kept.
    """
    kept: dict[int, list[int]] = {}
    last = -1
    for begin in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))):
        window = range(begin, min(begin + WINDOW, len(hashes)))
        own = [place for place in window if hashes[place] not in weightless]
        if own:
            smallest = min(own, key=lambda place: (hashes[place], -place))
            if smallest != last:
                kept.setdefault(hashes[smallest], []).append(smallest)
                last = smallest
    return kept


def covered(places: Collection[int]) -> set[int]:
    """The tokens that are part of the passages that begin at some places."""
    return {place + step for place in places for step in range(LENGTH)}
