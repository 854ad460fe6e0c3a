"""Reads what students hand in, folders or zips, without trusting any of it.

Only the files of the lab that have TODOs and the description of the edition are read, each at most
1 MB, and nothing of a zip is ever written to disk. Whatever is wrong with a submission becomes a
sentence.
"""

import json
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from commands.companion.markers import (
    LAB_FILES,
    LOOKS_LIKE_MARKER,
    MARKER,
    PART,
    Region,
    parse_answers,
    to_edition,
)
from commands.companion.todos import TODOS
from utils import LabError

RECORD = ".lab/edition.json"
ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"}
"""Only zips are read; the others get a sentence, and not silence."""
MAX_BYTES = 2**20
MAX_MEMBERS = 50_000
MAX_DIRECTORY_BYTES = 16 * 2**20
MAX_FOLDERS = 2_000
MAX_DEPTH = 6
REQUIRED_FILES = tuple(dict.fromkeys(t.file for t in TODOS if not t.is_optional))
PASSED_OVER = {".lab", ".git", ".venv", "venv", "site-packages", "__pycache__", "__MACOSX"}
SUSPICIOUS = re.compile(r"_getframe|currentframe|f_back|f_locals|\bgc\b|\bctypes\b|\b_pytest\b")
"""Words by which code under test could look into the tests; no honest answer needs them."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)
DAMAGED += (ValueError, struct.error, MemoryError, OverflowError, IndexError)


@dataclass
class Submission:
    """What one student handed in.

    Attributes:
        name: of the student: the folder's or zip's.
        parts: part → code without indent.
        lines: part → line of the student's file that comes before the code.
        faults: TODO → a sentence why its answer cannot be read.
        remarks: sentences about the submission as a whole.
        is_open: parts where nothing has been written.
    """

    name: str
    parts: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    is_open: set[str] = field(default_factory=set)


# ------------------------------------------------------------------ which submissions there are


def find_submissions(paths: Iterable[Path]) -> list[tuple[str, Path]]:
    """The name and place of every submission, sorted by name; names are distinct.

    A folder without a file of the lab holds submissions, unless it is one of several that were
    named and holds a single folder.

    Raises:
        LabError: for a path that does not exist, or when there is no submission at all.
    """
    paths = list(paths)
    found: list[Path] = []
    for path in paths:
        if not os.path.lexists(path):
            raise LabError(f"{path}: no such folder or zip")
        path = path.resolve()  # what the teacher names may be a link; what is inside may not
        inside = entries_of(path) if path.is_dir() and not holds_lab(path) else []
        if inside and not (len(paths) > 1 and len(inside) == 1):
            found += inside
        else:
            found.append(path)
    if not found:
        raise LabError("there are no submissions")
    named = sorted((name_of(path), str(path), path) for path in found)
    names: dict[str, int] = {}
    result = []
    for name, _, path in named:
        key, count = name, 1
        while key.casefold() in names:
            count += 1
            key = f"{name} ({count})"
        names[key.casefold()] = 1
        result.append((key, path))
    return result


def holds_lab(folder: Path) -> bool:
    """Whether a folder has a file of the lab, or the description of an edition."""
    return any(os.path.lexists(folder / name) for name in (*LAB_FILES, RECORD))


def entries_of(folder: Path) -> list[Path]:
    """The folders and archives in a folder; those that tools make are left out."""
    with suppress(OSError):
        return sorted(
            path
            for path in folder.iterdir()
            if (path.is_symlink() or path.is_dir() or path.suffix.lower() in ARCHIVES)
            and path.name not in PASSED_OVER
        )
    return []


def name_of(path: Path) -> str:
    """What a submission is called: printable, composed, without the ending of a zip."""
    name = path.name
    if path.suffix.lower() == ".zip" and not path.is_dir():
        name = path.stem
    name = name.encode("utf-8", "replace").decode("utf-8")  # names of files may be any bytes
    name = unicodedata.normalize("NFC", name)
    name = "".join(letter if letter.isprintable() else "_" for letter in name).strip()
    return name[:150] or "unnamed"


# ------------------------------------------------------------------ their files


def read_submission(name: str, path: Path, solved: dict[str, str]) -> Submission:
    """Reads a submission; what is wrong with it is in its faults and remarks.

    Args:
        name: what to call it.
        path: folder or zip.
        solved: name → text of the lab's solved files.
    """
    submission = Submission(name)
    try:
        files = read_files(path, submission.remarks)
    except LabError as error:
        submission.remarks.append(str(error))
        files = {}
    texts = {}
    for file in LAB_FILES:
        if file in files:
            texts[file] = decode(files[file], file, submission.remarks)
    if files:
        missing = [file for file in REQUIRED_FILES if file not in files]
        if missing:
            submission.remarks.append(f"missing: {', '.join(missing)}")
    for file, text in texts.items():
        read_answers_of(submission, file, text)
    for part, code in submission.parts.items():
        if word := SUSPICIOUS.search(code):
            submission.remarks.append(f"read {part} yourself: it has {word[0]}")
    report_changes(submission, texts, files.get(RECORD), solved)
    return submission


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
    except DAMAGED as error:
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
        for file in (*LAB_FILES, RECORD):
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
            for file in (*LAB_FILES, RECORD):
                information = members.get(str(root / file))
                data = read_member(archive, information, file, remarks) if information else None
                if data is not None:
                    read[file] = data
            return read
    except LabError:
        raise
    except DAMAGED as error:
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
        except DAMAGED:
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


# ------------------------------------------------------------------ their answers


def read_answers_of(submission: Submission, file: str, text: str) -> None:
    """Adds the answers of one file to a submission."""
    try:
        regions = parse_answers(text, file)
    except LabError as error:
        submission.remarks.append(f"its markers are damaged: {error}"[:300])
        regions, faults = parse_leniently(text, file)
        submission.faults |= faults
    for region in regions:
        submission.parts[region.part] = region.answer()
        submission.lines[region.part] = region.start
        if is_untouched(region):
            submission.is_open.add(region.part)


def parse_leniently(text: str, file: str) -> tuple[list[Region], dict[str, str]]:
    """Finds the regions of a file whose markers are damaged, as far as they can be told.

    Returns:
        The regions that are opened and closed exactly once with no other marker in between, and
        TODO → why one of its places is not.
    """
    lines = text.split("\n")
    marks: list[tuple[int, bool, str]] = []  # line, whether it closes, part ("" if malformed)
    for number, line in enumerate(lines, start=1):
        if LOOKS_LIKE_MARKER.match(line):
            match = MARKER.match(line)
            is_good = match is not None and match[2] == "answer" and PART.fullmatch(match[3])
            marks.append((number, bool(match and match[1]), match[3] if is_good else ""))
    regions, faults = [], {}
    for part in dict.fromkeys(part for _, _, part in marks if part):
        own = [position for position, mark in enumerate(marks) if mark[2] == part]
        closes = [marks[position][1] for position in own]
        if closes == [False, True] and own[1] == own[0] + 1:
            start, end = marks[own[0]][0], marks[own[1]][0]
            indent = lines[start - 1][: len(lines[start - 1]) - len(lines[start - 1].lstrip())]
            code = tuple(lines[start : end - 1])
            regions.append(Region(part, file, start, end, indent, code))
            continue
        if closes.count(False) > 1 or closes.count(True) > 1:
            why = "is there twice"
        elif True not in closes:
            why = "is never closed"
        elif False not in closes:
            why = "is closed, but never opened"
        else:
            why = "has another marker inside"
        todo = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        faults[todo] = f"unreadable: the region {part} {why} ({file}:{marks[own[0]][0]})"
    return regions, faults


def is_untouched(region: Region) -> bool:
    """Whether the first statement of a region is still the line to delete."""
    code = [line.strip() for line in region.code]
    code = [line for line in code if line and not line.startswith("#")]
    return region.is_open and bool(code) and code[0].startswith("raise NotImplementedError")


# ------------------------------------------------------------------ outside the regions


def report_changes(
    submission: Submission, texts: dict[str, str], record: bytes | None, solved: dict[str, str]
) -> None:
    """Remarks on what differs from the edition outside the regions; it counts for nothing."""
    todos, handed_out = read_record(record)
    for file, text in texts.items():
        mine = outside(text, file)
        if mine is None:
            continue
        numbers = todos or {region.todo for region in parse_answers(text, file)}
        ours = outside(to_edition(solved[file], file, numbers), file) or []
        theirs = outside(handed_out.get(file, ""), file) or []
        content = [line for _, line in mine]
        if content == [line for _, line in ours]:
            continue
        if content == [line for _, line in theirs]:
            submission.remarks.append(f"{file} is of another edition")
            continue
        known = {line for _, line in theirs or ours}
        changed = [number for number, line in mine if line not in known]
        place = f":{changed[0]}" if changed else ""
        submission.remarks.append(f"{file}{place} was changed outside the TODOs; not counted")


def read_record(record: bytes | None) -> tuple[set[str], dict[str, str]]:
    """The open TODOs and the texts of the edition that a submission says it comes from."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found = json.loads(record.decode("utf-8"))
        todos = {str(number) for number in found["todos"] if re.fullmatch(r"\d+\.\d+", number)}
        files = {str(name): str(text) for name, text in found["files"].items()}
        return todos, files
    return set(), {}


def outside(text: str, file: str) -> list[tuple[int, str]] | None:
    """The lines of a file outside its regions with their numbers; None if it cannot be told."""
    try:
        regions = parse_answers(text, file)
    except LabError:
        return None
    inside = {n for region in regions for n in range(region.start + 1, region.end)}
    lines = enumerate(text.rstrip().split("\n"), start=1)
    return [(n, line.strip()) for n, line in lines if n not in inside and line.strip()]
