"""What a platform's download holds: who handed in, and where the files of each lie.

A download is a zip or a folder that the teacher names; what is inside it is students' work and is
not trusted: a zip within it is never taken for a download, links are left out, no name from it
becomes a path. Of a zip, only files that may be submissions are unpacked, each into a folder of
its own with a number for a name.
"""

import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from commands.command_line import as_shown
from commands.companion.markers import LAB_FILES
from teacher.platforms import canvas, moodle
from teacher.platforms.people import Person
from teacher.reading import (
    MAX_BYTES,
    MAX_FOLDERS,
    PASSED_OVER,
    READ,
    UNREADABLE,
    require_small_directory,
    safe_members,
)
from teacher.submissions import ARCHIVES, holds_lab
from utils import LabError, shortened

LARGEST_ARCHIVE = 500 * 2**20
LARGEST_DOWNLOAD = 8 * 2**30
LARGEST_RATIO = 20
"""How many times its size a zip within a zip may grow; honest ones hardly grow at all."""
NAMES = {PurePosixPath(name).name for name in LAB_FILES}
READ_NAMES = {PurePosixPath(name).name for name in READ}
READERS = {"moodle": moodle.person_of, "canvas": canvas.person_of}


@dataclass(frozen=True)
class Member:
    """A file of a download that may be a submission, or a part of one.

    Attributes:
        inner: its path within the download, later within what the student handed in.
        time: when it was last changed, as far as the download knows.
        size: in bytes, as unpacked.
        packed: in bytes, as it lies there.
        source: the file itself, or its name in the zip; None for a folder that may be empty.
    """

    inner: PurePosixPath
    time: float
    size: int
    packed: int
    source: Path | zipfile.ZipInfo | None


@dataclass
class Attempt:
    """One submission of a person.

    Attributes:
        person: whose.
        order: later ones are greater.
        place: the folder or archive to read.
        remarks: sentences about it.
    """

    person: Person
    order: tuple[int, int, float, str]
    place: Path
    remarks: list[str] = field(default_factory=list)


def read_download(path: Path, position: int, scratch: Path) -> list[Attempt] | None:
    """Every submission in a download; None for a path that is something else.

    Args:
        path: what the teacher named.
        position: of the path among those named; a later download holds later submissions.
        scratch: a folder to unpack into.

    Raises:
        LabError: for a download that cannot be read.
    """
    if path.is_dir():
        if not names_people(path):
            return None
        return attempts_of(list(files_of(path)), None, position, scratch)
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None
    try:
        require_small_directory(path)
        with zipfile.ZipFile(path) as archive:
            return attempts_of(list(members_of(archive)), archive, position, scratch)
    except LabError as error:
        raise LabError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise LabError(f"{path}: is a damaged zip ({error}); download it again") from error


def read_parts(paths: list[Path], scratch: Path) -> list[Attempt] | None:
    """The submissions among paths that are named one by one, as the shell does for `download/*`."""
    files = []
    if not any(is_named(path.resolve().name) for path in paths):
        return None
    for path in paths:
        inner = PurePosixPath(path.resolve().name)
        if path.is_dir():
            files.append(folder_at(inner))
            files += [replace(each, inner=inner / each.inner) for each in files_of(path)]
        elif path.is_file():
            files.append(member_of(path, inner))
    return attempts_of(files, None, 0, scratch)


def is_named(name: str) -> bool:
    """Whether a platform names a submission so."""
    return any(read(name) is not None for read in READERS.values())


def names_people(folder: Path) -> bool:
    """Whether a folder looks like a download, or like one that was unpacked into a folder."""
    names = [] if holds_lab(folder) else os.listdir(folder)
    if len(names) == 1 and (folder / names[0]).is_dir() and not is_named(names[0]):
        names = os.listdir(folder / names[0])
    return any(map(is_named, names))


def folder_at(inner: PurePosixPath) -> Member:
    """A folder, which tells who handed something in although it may be empty."""
    return Member(inner, 0.0, 0, 0, None)


def member_of(path: Path, inner: PurePosixPath) -> Member:
    """A file of this machine as a part of a download."""
    status = os.lstat(path)
    return Member(inner, status.st_mtime, status.st_size, status.st_size, path)


def files_of(folder: Path) -> Iterator[Member]:
    """The files of a folder, none behind a link, and its upper folders."""
    for count, (place, folders, files) in enumerate(os.walk(folder, followlinks=False)):
        folders[:] = sorted(each for each in folders if is_searched(each))
        above = PurePosixPath(Path(place).relative_to(folder).as_posix())
        if len(above.parts) < 2:
            yield from (folder_at(above / each) for each in folders)
        if count >= 100 * MAX_FOLDERS:
            break
        for name in sorted(files):
            path = Path(place) / name
            with suppress(OSError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield member_of(path, above / name)


def members_of(archive: zipfile.ZipFile) -> Iterator[Member]:
    """The files of a zip that do not lead out of it."""
    for name, member in safe_members(archive, []).items():
        inner = PurePosixPath(name)
        if all(map(is_searched, inner.parts[:-1])):
            try:
                time = datetime(*member.date_time).timestamp()
            except (ValueError, OverflowError, OSError):
                time = 0.0
            yield Member(inner, time, member.file_size, member.compress_size, member)


def is_searched(folder: str) -> bool:
    """Whether a folder may hold files of a submission; `.lab` names the edition."""
    return folder == ".lab" or folder not in PASSED_OVER


def attempts_of(
    files: list[Member], archive: zipfile.ZipFile | None, position: int, scratch: Path
) -> list[Attempt] | None:
    """The submissions among the files of a download; None if no platform names files so.

    Raises:
        LabError: when some of it belongs to nobody.
    """
    people = people_of(files)
    if people is None and len({each.inner.parts[0] for each in files}) == 1:
        files = [each for each in files if len(each.inner.parts) > 1]
        files = [replace(each, inner=PurePosixPath(*each.inner.parts[1:])) for each in files]
        people = people_of(files)
    if people is None:
        return None
    handed: dict[str, tuple[Person, list[tuple[Person, Member]]]] = {}
    for member in files:
        top, *below = member.inner.parts
        if top not in people:
            continue
        person, own_name = people[top]
        own = handed.setdefault(person.id, (person, []))[1]
        rest = PurePosixPath(own_name or ".", *below)
        if own_name is not None and member.source is not None and is_of_interest(rest):
            own.append((person, replace(member, inner=rest)))
    unpacker = Unpacker(archive, scratch, position)
    attempts = [unpacker.attempts(person, own) for person, own in handed.values()]
    return [attempt for each in attempts for attempt in each]


def people_of(files: list[Member]) -> dict[str, tuple[Person, str | None]] | None:
    """Who each name at the top of a download belongs to; None if no platform names files so."""
    tops = {each.inner.parts[0] for each in files if is_work(each.inner)}
    for platform, read in READERS.items():
        people = {top: read(top) for top in {each.inner.parts[0] for each in files}}
        known = {top: found for top, found in people.items() if found is not None}
        if known and 2 * len(tops & set(known)) >= len(tops):
            if strangers := sorted(tops - set(known)):
                names = shortened([f"'{as_shown(name)}'" for name in strangers])
                line = f"not named as {platform.capitalize()} names submissions: {names}"
                raise LabError(f"{line}; take them out, or name them apart")
            return known
    return None


def is_work(inner: PurePosixPath) -> bool:
    """Whether a file of a download may be someone's work, and not an aside such as a list."""
    return not inner.parts[0].startswith(".") and (len(inner.parts) > 1 or is_of_interest(inner))


def is_of_interest(inner: PurePosixPath) -> bool:
    """Whether a file is an archive, or called like one of the lab's."""
    return inner.name in READ_NAMES or inner.suffix.lower() in ARCHIVES


class Unpacker:
    """Brings what people handed in into folders that can be read as submissions."""

    def __init__(self, archive: zipfile.ZipFile | None, scratch: Path, position: int) -> None:
        self.archive, self.scratch, self.position = archive, scratch, position
        self.left = LARGEST_DOWNLOAD

    def attempts(self, person: Person, own: list[tuple[Person, Member]]) -> list[Attempt]:
        """The submissions of one person: each archive, or else all files together."""
        loose = [each for each in own if each[1].inner.suffix.lower() not in ARCHIVES]
        archives = [each for each in own if each[1].inner.suffix.lower() in ARCHIVES]
        has_lab = any(each[1].inner.name in NAMES for each in loose)
        groups = [loose] if has_lab or not archives else [[each] for each in archives]
        attempts = []
        for group in groups:
            who = group[0][0] if group else person
            remarks = [who.doubt] if who.doubt else []
            if has_lab and archives:
                remarks.append("the archives beside its files were not read")
            place = self.place_of([member for _, member in group], remarks)
            time = max((member.time for _, member in group), default=0.0)
            number = int(who.prefix.rpartition("_")[2]) if who.platform == "canvas" and group else 0
            name = str(group[0][1].inner) if group else ""
            attempts.append(Attempt(who, (self.position, number, time, name), place, remarks))
        return attempts

    def place_of(self, members: list[Member], remarks: list[str]) -> Path:
        """Where the files of a submission lie; they are copied or unpacked if they must be."""
        is_archive = len(members) == 1 and members[0].inner.suffix.lower() in ARCHIVES
        if is_archive and isinstance(members[0].source, Path):
            return members[0].source
        folder = self.scratch / f"{self.position}-{len(os.listdir(self.scratch))}"
        folder.mkdir()
        for member in members:
            target = folder / place_in(member.inner)
            if not target.exists():
                self.fetch(member, target, remarks)
        return target if is_archive and target.exists() else folder

    def fetch(self, member: Member, target: Path, remarks: list[str]) -> None:
        """Copies one file; one that is too large, or grows like a bomb, is left out."""
        is_archive = target.suffix.lower() in ARCHIVES
        most = LARGEST_ARCHIVE if is_archive else MAX_BYTES + 1
        grows = member.size > 2**20 + LARGEST_RATIO * member.packed
        if is_archive and (member.size > min(most, self.left) or grows):
            remarks.append(f"{target.name} was left out: it is too large, or grows too much")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.opened(member) as source, target.open("wb") as copy:
                size = 0
                while size < most and (chunk := source.read(min(2**20, most - size))):
                    copy.write(chunk)
                    size += len(chunk)
            self.left -= size
        except UNREADABLE as error:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise LabError(f"no space left in {self.scratch}; free some") from error
            target.unlink(missing_ok=True)
            remarks.append(f"{target.name} cannot be read ({str(error) or type(error).__name__})")

    def opened(self, member: Member) -> IO[bytes]:
        """The file of a member, open for reading."""
        if isinstance(member.source, Path):
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            return os.fdopen(os.open(member.source, flags), "rb")
        return self.archive.open(member.source)


def place_in(inner: PurePosixPath) -> Path:
    """A path for a file within its folder: names of the lab as they are, all others as numbers."""
    known = {part for name in READ for part in PurePosixPath(name).parts}
    if inner.name not in known:
        return Path(f"submission{inner.suffix.lower()}")
    parts = (
        inner.parts[-2:] if inner.parts[-2:-1] and inner.parts[-2] in known else inner.parts[-1:]
    )
    depth = inner.parts[: -len(parts)]
    return Path(*(f"d{zlib.crc32(part.encode(errors='replace'))}" for part in depth), *parts)
