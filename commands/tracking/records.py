"""What a store was given of each run: a small file per run, in the store's own folder.

A run is known by its epochs, not by its name or place: a copied or moved folder is the same run, a
second run of the same name another one, and a store that was deleted knows nothing any more.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from commands.tracking.store import Store
from utils import LabError, write_json

FOLDER = "tracked"
KEY = re.compile("[0-9a-f]{8}")


@dataclass(frozen=True)
class Record:
    """What a store was given of a run.

    Attributes:
        key: of the run in the store, eight hexadecimal digits.
        name: of the run in the store.
        rows: a digest of each epoch.
        files: a digest of each file, by its name.
        is_whole: false while it is being given, and for good when that was interrupted.
    """

    key: str
    name: str
    rows: list[str]
    files: dict[str, str]
    is_whole: bool

    def is_of(self, rows: Sequence[str]) -> bool:
        """Whether this is the run of these epochs, which may have gone on since, or be a copy."""
        common = min(len(rows), len(self.rows))
        return common > 0 and list(rows[:common]) == self.rows[:common]

    def write(self, store: Path, is_whole: bool) -> None:
        """Writes it into a store's folder."""
        content = asdict(replace(self, is_whole=is_whole))
        write_json(store / FOLDER / f"{self.key}.json", content)


def read_records(folder: Path) -> list[Record]:
    """The records in a store's folder.

    Raises:
        LabError: when one is damaged.
    """
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
            is_right = isinstance(record.rows, list) and isinstance(record.files, dict)
            # The key says what may be deleted: it must be one, and this file's.
            if not is_right or path.stem != record.key or not KEY.fullmatch(record.key):
                raise ValueError
        except (ValueError, TypeError) as error:
            raise LabError(
                f"{path}: damaged; delete it, and its run in the store, and track that again"
            ) from error
        found.append(record)
    return found


def record_of(folder: Path, store: Store, name: str, rows: Sequence[str]) -> Record:
    """The record of a run, an empty one if the store has nothing of it, or only a part.

    Args:
        folder: of the store.
        store: which is asked whether the run is still there.
        name: of the run's folder; a name that is taken gets a number.
        rows: the digest of each of the run's epochs, at least one.
    """
    known = []
    for record in read_records(folder):
        if not record.is_whole:
            store.drop(record.key, record.name)
        if record.is_whole and store.has(record.key, record.name):
            known.append(record)
        else:
            (folder / FOLDER / f"{record.key}.json").unlink()
    found = next((record for record in known if record.is_of(rows)), None)
    if found is not None:
        return found
    taken, free, number = {record.name for record in known}, name, 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return Record(digest([rows[0], free])[:8], free, [], {}, is_whole=False)


def digest(content: Sequence[object] | Mapping[str, object] | bytes) -> str:
    """A fingerprint of a file's bytes, or of what JSON can hold."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return hashlib.sha256(data).hexdigest()[:16]
