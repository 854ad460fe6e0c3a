"""An edition: what `.lab/edition.json` says of it, and reading a newer one from a folder or a zip.

The description is written when the edition is built: its version, the text of the lab files as they
were handed out, and the SHA-256 of every file. By it the companion tells what the student has
written, puts a region back, and carries the answers into a newer edition.
"""

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from commands.companion.markers import parts_of
from utils import LabError

EDITION = ".lab/edition.json"
LARGEST_EDITION = 512 * 2**20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Edition:
    """What `.lab/edition.json` says.

    Attributes:
        version: of the edition.
        files: name → full text of each lab file as it was handed out.
        hashes: relative path with slashes → SHA-256 of each file's bytes.
        data: the bytes of the description itself.
    """

    version: str
    files: dict[str, str]
    hashes: dict[str, str]
    data: bytes = b""


def parse_edition(data: bytes, source: str) -> Edition:
    """Reads an edition's description.

    Raises:
        LabError: when it is not one, or names a place outside its folder.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
        files, hashes = dict(content["files"]), dict(content["hashes"])
        edition = Edition(str(content["version"]), files, hashes, data)
        texts = [*files.values(), *hashes.values()]
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{source}: not a student edition ({EDITION} is damaged)") from error
    if not all(isinstance(text, str) for text in texts):
        raise LabError(f"{source}: not a student edition ({EDITION} is damaged)")
    for name in [*edition.files, *edition.hashes]:
        require_inside(name, source)
    return edition


def require_inside(name: str, source: str) -> None:
    """Raises `LabError` for a path that could lead out of a folder, on any system."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or set(name) & set('\\:\0<>|?*"'):
        raise LabError(f"{source}: not a student edition (it holds the path {name[:100]!r})")


def read_edition(lab: Path) -> Edition | None:
    """The description of the edition in a folder, None when it has none."""
    path = lab / EDITION
    return parse_edition(path.read_bytes(), str(path)) if path.is_file() else None


def require_edition(lab: Path) -> Edition:
    """The description of the edition in a folder.

    Raises:
        LabError: when it is missing.
    """
    edition = read_edition(lab)
    if edition is None:
        raise LabError(f"{EDITION} is missing; copy it from the edition that you were given")
    return edition


# ------------------------------------------------------------------ reading the newer edition


def read_new_edition(path: Path) -> tuple[Edition, dict[str, bytes]]:
    """Reads an edition from a folder or a zip: its description, and path → bytes of every file.

    Raises:
        LabError: when it is not a whole student edition, or not a safe archive.
    """
    if path.is_dir():
        read = folder_reader(path)
    elif path.is_file():
        read = zip_reader(path)
    else:
        raise LabError(f"{path}: no such folder or zip file")
    edition = parse_edition(read(EDITION), str(path))
    contents = {}
    for name, digest in edition.hashes.items():
        if PurePosixPath(name).parts[0] not in (".lab", ".git", ".venv"):
            contents[name] = read(name)
            if not is_same(contents[name], digest):
                raise LabError(f"{path}: {name} is not as it was built; get the edition again")
    if not edition.files or not set(edition.files) <= set(contents):
        raise LabError(f"{path}: not a student edition ({EDITION} does not name its files)")
    parts_of(edition.files)
    return edition, contents


def folder_reader(folder: Path) -> Callable[[str], bytes]:
    """A function that reads a file of an edition's folder by its relative path."""
    roots = [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]
    root = next((each for each in roots if (each / EDITION).is_file()), None)
    if root is None:
        raise LabError(f"{folder}: not a student edition ({EDITION} is missing)")

    def read(name: str) -> bytes:
        path = root / name
        if any(each.is_symlink() for each in (path, *path.parents) if root in each.parents):
            raise LabError(f"{folder}: {name} is a link; get the edition again")
        if not path.is_file():
            raise LabError(f"{folder}: {name} is missing; get the edition again")
        return path.read_bytes()

    return read


def zip_reader(archive: Path) -> Callable[[str], bytes]:
    """A function that reads a file of a zipped edition by its relative path."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = {entry.filename: entry for entry in file.infolist()}
    except DAMAGED as error:
        raise LabError(f"{archive}: not a zip file, or a damaged one") from error
    for name, entry in entries.items():
        outside = name.startswith("/") or ".." in name.split("/") or set(name) & set("\\:\0")
        if outside or stat.S_ISLNK(entry.external_attr >> 16):
            raise LabError(f"{archive}: not a safe zip file (it holds {name[:100]!r})")
    if sum(entry.file_size for entry in entries.values()) > LARGEST_EDITION:
        raise LabError(f"{archive}: more than {LARGEST_EDITION >> 20} MiB; not a student edition")
    found = [name for name in entries if name.endswith(EDITION) and name.count("/") <= 2]
    root = min((name.removesuffix(EDITION) for name in found), key=len, default=None)
    if root is None or (root and not root.endswith("/")):
        raise LabError(f"{archive}: not a student edition ({EDITION} is missing)")

    def read(name: str) -> bytes:
        if root + name not in entries:
            raise LabError(f"{archive}: {name} is missing; get the edition again")
        try:
            with zipfile.ZipFile(archive) as file:
                return file.read(root + name)
        except DAMAGED as error:
            raise LabError(f"{archive}: {name} is damaged; get the edition again") from error

    return read


def is_same(data: bytes, digest: str | None) -> bool:
    """Whether bytes have a SHA-256, as they are or with plain line ends and no byte order mark."""
    plain = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return digest in (hashlib.sha256(data).hexdigest(), hashlib.sha256(plain).hexdigest())
