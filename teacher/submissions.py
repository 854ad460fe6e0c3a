"""What students submit: which submissions there are, and the answers in each.

Whatever is wrong with a submission becomes a sentence. Their files come from reading.py.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from commands.companion.edition import EDITION
from commands.companion.markers import (
    LAB_FILES,
    LOOKS_LIKE_MARKER,
    MARKER,
    PART,
    Region,
    parse_answers,
    to_edition,
    todo_of,
)
from commands.companion.quiz import KEPT
from commands.companion.todos import TODOS
from teacher.reading import PASSED_OVER, decode, read_files
from utils import LabError

ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"}
"""Only zips are read; the others get a sentence, and not silence."""
REQUIRED_FILES = tuple(dict.fromkeys(t.file for t in TODOS if not t.is_optional))
SUSPICIOUS = re.compile(r"_getframe|currentframe|f_back|f_locals|\bgc\b|\bctypes\b|\b_pytest\b")
"""Words by which code under test could look into the tests; no honest answer needs them."""


@dataclass
class Submission:
    """What one student submitted.

    Attributes:
        name: of the student: the folder's or zip's.
        parts: part → code without indent.
        lines: part → line of the student's file that comes before the code.
        faults: TODO → a sentence why its answer cannot be read.
        remarks: sentences about the submission as a whole.
        is_open: parts where nothing has been written.
        quiz: the bytes of the quiz's answers, none where it was not taken.
    """

    name: str
    parts: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    is_open: set[str] = field(default_factory=set)
    quiz: bytes = b""

    def code_of(self, number: str) -> str:
        """The answer to a TODO, each of several parts under its number; "" for none."""
        own = [part for part in sorted(self.parts) if todo_of(part) == number]
        if len(own) == 1:
            return self.parts[own[0]]
        return "\n".join(f"# {part}\n{self.parts[part]}" for part in own)


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


def the_submission(paths: list[Path]) -> tuple[str, Path]:
    """Name and place of the one submission that is given, whatever lies in it.

    Raises:
        LabError: when several are given, or none is there.
    """
    if len(paths) != 1:
        raise LabError(f"--gradescope and --classroom50 are for one submission, not {len(paths)}")
    if not paths[0].exists():
        raise LabError(f"{paths[0]}: no such folder or zip")
    path = paths[0].resolve()
    return name_of(path), path


def holds_lab(folder: Path) -> bool:
    """Whether a folder has a file of the lab, or the description of an edition."""
    return any(os.path.lexists(folder / name) for name in (*LAB_FILES, EDITION))


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
    return plain_text(name)


def plain_text(name: str) -> str:
    """A name for lists and files: printable, composed, not too long."""
    composed = unicodedata.normalize("NFC", name)
    letters = "".join(letter if letter.isprintable() else "_" for letter in composed)
    return letters.strip()[:150] or "unnamed"


# ------------------------------------------------------------------ their files


def read_submission(name: str, path: Path, solved: dict[str, str] | None) -> Submission:
    """Reads a submission; what is wrong with it is in its faults and remarks.

    Args:
        name: what to call it.
        path: folder or zip.
        solved: name → text of the lab's solved files; None if what was changed outside the answers
            does not matter.
    """
    submission = Submission(name)
    try:
        files = read_files(path, submission.remarks)
    except LabError as error:
        submission.remarks.append(str(error))
        files = {}
    submission.quiz = files.get(KEPT, b"")
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
    if solved is not None:
        report_changes(submission, texts, files.get(EDITION), solved)
    return submission


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
        faults[todo_of(part)] = f"unreadable: the region {part} {why} ({file}:{marks[own[0]][0]})"
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
