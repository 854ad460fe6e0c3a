"""A data folder that is whole or absent, whatever happens to the process that makes it.

The set is written into a hidden sibling folder. `toycity.json`, the marker, is written last, and
then the sibling is renamed; no reader ever sees half a set under the real name. A lock lets one
process at a time make a set; it dies with its process, so everything hidden that is found while
holding it is the leftover of a process that was killed.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toycity.cities import CITIES, EXTRA, SPLITS

MARKER = "toycity.json"
IMAGES, FINE, COARSE = "leftImg8bit", "gtFine", "gtCoarse"
LAYOUT = {IMAGES: "leftImg8bit.png", FINE: "gtFine_labelIds.png", COARSE: "gtCoarse_labelIds.png"}
"""What each layer's files end with."""

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


def read_marker(root: Path) -> dict | None:
    """The marker of a data folder, or None when there is none, or it is damaged."""
    try:
        marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


def holds_all_files(root: Path, counts: dict[str, int]) -> bool:
    """Whether each split has as many pictures and as many label files as it should."""
    has_extra = counts.get(EXTRA, 0) > 0
    for split in (*SPLITS, EXTRA):
        for kind, ending in LAYOUT.items():
            is_wanted = kind != FINE or split != EXTRA
            is_wanted &= kind != COARSE or (has_extra and split in ("train", EXTRA))
            found = sum(1 for _ in (root / kind / split).glob(f"*/*_{ending}"))
            if found != is_wanted * counts.get(split, 0):
                return False
    return True


def is_ours(root: Path) -> bool:
    """Whether a folder may be replaced: it has a marker, or nothing in it but toy cities."""
    if (root / MARKER).is_file():
        return True
    names = {city.name for city in CITIES}
    for entry in root.iterdir():
        if entry.name not in LAYOUT or not entry.is_dir():
            return False
        if any(city.name not in names for city in entry.glob("*/*")):
            return False
    return True


@contextmanager
def turn(root: Path) -> Iterator[bool]:
    """Waits until no other process makes `root`, and keeps others waiting during the block.

    Yields:
        True, or False on a file system without locks, where nobody waits for anybody.
    """
    path = root.parent / f".{root.name}.lock"
    while True:
        file = open(path, "a")  # noqa: SIM115  (held during the block)
        is_locked = _try_lock(file.fileno())
        if is_locked is None or (is_locked and _is_file_at(file.fileno(), path)):
            break
        file.close()
        time.sleep(0.1)
    try:
        yield bool(is_locked)
    finally:
        with suppress(OSError):
            path.unlink()  # Windows refuses while it is open
        file.close()
        with suppress(OSError):
            path.unlink()


def _try_lock(descriptor: int) -> bool | None:
    """Locks an open file for this process; False when another has it, None without locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_file_at(descriptor: int, path: Path) -> bool:
    """Whether a path still names the open file; its last owner may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def new_sibling(root: Path, purpose: str) -> Path:
    """A free hidden name beside `root`: for a set in the making, or one that is replaced."""
    return root.parent / f".{root.name}.{purpose}-{uuid.uuid4().hex[:8]}"


def remove_leftovers(root: Path) -> None:
    """Removes what killed processes left beside `root`; only while holding the turn."""
    for purpose in ("partial", "stale"):
        for leftover in root.parent.glob(f".{root.name}.{purpose}-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def put_in_place(fresh: Path, root: Path) -> None:
    """Renames a finished set to its real name; the old set goes once the new one stands."""
    stale = None
    if root.exists():
        stale = new_sibling(root, "stale")
        os.replace(root, stale)
    try:
        os.replace(fresh, root)
    except OSError:
        if stale is not None and not root.exists():
            os.replace(stale, root)
            stale = None
        raise
    finally:
        if stale is not None:
            shutil.rmtree(stale, ignore_errors=True)
