"""Reads the lab's files of a submission, a folder or a zip, without trusting any of it.

Only the files of the lab that have TODOs, the description of the edition and the quiz's answers are
read, each at most 1 MB; links are not followed, and nothing of a zip is ever written to disk. What
is wrong becomes a sentence.
"""

import os
import stat
import struct
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from commands.companion.edition import DAMAGED, EDITION
from commands.companion.markers import LAB_FILES
from commands.companion.quiz import KEPT
from utils import LabError

READ = (*LAB_FILES, EDITION, KEPT)
MAX_BYTES = 2**20
MAX_MEMBERS = 50_000
MAX_DIRECTORY_BYTES = 16 * 2**20
MAX_FOLDERS = 2_000
MAX_DEPTH = 6
PASSED_OVER = {".lab", ".git", ".venv", "venv", "site-packages", "__pycache__", "__MACOSX"}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (*DAMAGED, ValueError, struct.error, MemoryError, OverflowError, IndexError)


def read_files(path: Path, remarks: list[str]) -> dict[str, bytes]:
    """The files of the lab in a folder or zip: name → bytes.

    Raises:
        LabError: a sentence why there are none.
    """
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            raise LabError("is a symbolic link, which is not followed")
        if stat.S_ISDIR(mode):
            return read_folder(path, remarks)
        if stat.S_ISREG(mode) and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)):
            return read_zip(path, remarks)
    except LabError:
        raise
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise LabError(f"cannot be read ({reason})") from error
    raise LabError("is neither a folder nor a zip")


def read_folder(folder: Path, remarks: list[str]) -> dict[str, bytes]:
    """Reads the lab's files of a folder, or of the one zip in it; links are never followed."""
    places: dict[str, list[str]] = {}
    zips: list[Path] = []
    errors: list[OSError] = []
    walk = os.walk(folder, followlinks=False, onerror=errors.append)
    for count, (place, folders, files) in enumerate(walk):
        relative = Path(place).relative_to(folder)
        depth = len(relative.parts)
        folders[:] = sorted(each for each in folders if each not in PASSED_OVER)
        if depth >= MAX_DEPTH:
            folders.clear()
        if count >= MAX_FOLDERS:
            remarks.append(f"has more than {MAX_FOLDERS} folders; not all were searched")
            break
        for each in files:
            note_lab_file(PurePosixPath(relative.as_posix()) / each, places)
        zips += [Path(place) / each for each in files if each.lower().endswith(".zip")]
    if places:
        root = choose_root(places, remarks)
        read = {}
        for file in READ:
            with suppress(FileNotFoundError):
                data = read_regular(folder / root / file, file, remarks)
                if data is not None:
                    read[file] = data
        return read
    if len(zips) == 1:
        return read_zip(zips[0], remarks)
    if zips:
        raise LabError(f"holds {len(zips)} zips and no file of the lab: which one counts?")
    if errors:
        raise LabError(f"cannot be read ({errors[0].strerror})")
    raise LabError("holds no file of the lab")


def read_regular(path: Path, name: str, remarks: list[str]) -> bytes | None:
    """Reads a file that is no link, pipe or device, and not too long."""
    try:
        information = os.lstat(path)
        if stat.S_ISLNK(information.st_mode):
            remarks.append(f"{name} is a symbolic link, which is not followed")
            return None
        if "/" in name and stat.S_ISLNK(os.lstat(path.parent).st_mode):
            return None
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                remarks.append(f"{name} is not a file")
                return None
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        remarks.append(f"{name} cannot be read ({error.strerror})")
        return None
    if len(data) > MAX_BYTES:
        remarks.append(f"{name} is longer than 1 MB and was not read")
        return None
    return data


def note_lab_file(path: PurePosixPath, places: dict[str, list[str]]) -> None:
    """Adds a file to the folder that it would make a lab of, if it is called like one of its files.

    `zoo/losses.py` speaks for the folder that `zoo` is in, not for `zoo`.
    """
    for name in sorted(LAB_FILES, key=len, reverse=True):
        parts = PurePosixPath(name).parts
        if path.parts[-len(parts) :] == parts:
            places.setdefault(str(PurePosixPath(*path.parts[: -len(parts)])), []).append(name)
            return


def choose_root(places: dict[str, list[str]], remarks: list[str]) -> str:
    """The folder with the lab, of those that have some of its files: the topmost whole one."""

    def rank(place: str) -> tuple[bool, int, int, str]:
        return len(places[place]) < 3, len(PurePosixPath(place).parts), -len(places[place]), place

    root = min(places, key=rank)
    others = [place for place in places if place != root and len(places[place]) >= 3]
    if others:
        chosen = "the topmost folder" if root == "." else root
        remarks.append(f"holds {len(others) + 1} copies of the lab; graded is {chosen}")
    return root


def read_zip(path: Path, remarks: list[str]) -> dict[str, bytes]:
    """Reads the lab's files of a zip; nothing is unpacked."""
    require_small_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = safe_members(archive, remarks)
            places: dict[str, list[str]] = {}
            for member in members:
                if not PASSED_OVER & set(PurePosixPath(member).parent.parts):
                    note_lab_file(PurePosixPath(member), places)
            if not places:
                raise LabError("holds no file of the lab")
            root = PurePosixPath(choose_root(places, remarks))
            read = {}
            for file in READ:
                information = members.get(str(root / file))
                data = read_member(archive, information, file, remarks) if information else None
                if data is not None:
                    read[file] = data
            return read
    except LabError:
        raise
    except UNREADABLE as error:
        raise LabError(f"is a damaged zip ({str(error) or type(error).__name__})") from error


def require_small_directory(path: Path) -> None:
    """Raises `LabError` for a zip whose list of files would fill the memory."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 66_000))
        tail = file.read(66_000)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise LabError("is a damaged zip (it has no list of files)")
    count, length = struct.unpack("<HI", tail[end + 10 : end + 16])
    larger = tail.rfind(b"PK\x06\x06")
    if larger >= 0 and len(tail) >= larger + 56:
        wide = struct.unpack("<QQ", tail[larger + 32 : larger + 48])
        count, length = max(count % 65_535, wide[0]), max(length % 0xFFFFFFFF, wide[1])
    if count > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        raise LabError(f"is a zip of more than {MAX_MEMBERS} files, and was not read")


def safe_members(archive: zipfile.ZipFile, remarks: list[str]) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip: path → member; those that lead out of it, and links, are left out."""
    members = {}
    unsafe, links = 0, 0
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            unsafe += 1
        elif stat.S_ISLNK(member.external_attr >> 16):
            links += 1
        elif not name.endswith("/"):
            members[str(path)] = member
    if unsafe:
        remarks.append(f"{unsafe} paths in the zip lead out of it and were left out")
    if links:
        remarks.append(f"{links} symbolic links in the zip were left out")
    return members


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, remarks: list[str]
) -> bytes | None:
    """Unpacks one file of a zip into memory, up to the limit."""
    if member.flag_bits & 1:
        remarks.append(f"{name} is encrypted and was not read")
    elif member.compress_type not in METHODS:
        remarks.append(f"{name} is packed in an unusual way and was not read")
    else:
        try:
            with archive.open(member) as file:
                data = file.read(MAX_BYTES + 1)
        except UNREADABLE:
            remarks.append(f"{name} is damaged in the zip")
            return None
        if len(data) <= MAX_BYTES:
            return data
        remarks.append(f"{name} is longer than 1 MB and was not read")
    return None


def decode(data: bytes, file: str, remarks: list[str]) -> str:
    """The text of a file, in whatever way an editor wrote it."""
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = data.decode("utf-16")
            remarks.append(f"{file} is UTF-16, not UTF-8")
        else:
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        remarks.append(f"{file} is not UTF-8; read as Latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
