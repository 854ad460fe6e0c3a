"""The student's folder: what is written there, what the last tests said of it; and reset.

Nothing that a student wrote is ever overwritten without a copy.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

from commands.companion.edition import read_edition, require_edition
from commands.companion.markers import (
    LAB_FILES,
    Region,
    parse_answers,
    parse_solutions,
    parts_of,
    read_source,
    splice,
    without_answers,
)
from commands.companion.todos import TODOS, Todo, all_needs
from commands.companion.verdicts import DONE, TO_DO, WRONG, Finding
from utils import LabError, atomic_path, write_json

RESULTS = ".lab/results.json"
HINTS = ".lab/hints.json"
BACKUPS = ".lab/backups"
CHANGED, STALE, UNKNOWN = "changed, not checked yet", "check again", "not checked yet"
LOST = "its markers are missing"


def is_solved_lab(lab: Path) -> bool:
    """Whether the files have solutions between their markers."""
    for name in LAB_FILES:
        with suppress(LabError):
            if parse_solutions(read_source(lab / name), name):
                return True
    return False


class Lab:
    """A student's folder as it is now.

    Attributes:
        folder: where it is.
        edition: its description, None when that is missing.
        parts: part → region of the files whose markers are whole.
        faults: a line for each file that is missing or whose markers are not whole.
        todos: those that are the student's to solve, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.edition = read_edition(folder)
        self.parts: dict[str, Region] = {}
        self.faults: list[str] = []
        for name in LAB_FILES:
            try:
                self.parts |= parts_of({name: read_source(folder / name)})
            except LabError as error:
                self.faults.append(error.line)
        handed_out = parts_of(self.edition.files) if self.edition else {}
        numbers = {region.todo for region in (*handed_out.values(), *self.parts.values())}
        self.wanted = {part: region.todo for part, region in handed_out.items()}
        self.todos = [todo for todo in TODOS if todo.number in numbers]

    def regions(self, number: str) -> list[Region]:
        """The parts of a TODO."""
        return [region for region in self.parts.values() if region.todo == number]

    def places(self, todo: Todo) -> str:
        """Where a TODO's regions stand, as "models.py:118 and 140"."""
        regions = self.regions(todo.number)
        lines = " and ".join(str(region.start) for region in regions)
        return f"{regions[0].file}:{lines}" if regions else todo.file

    def damaged(self) -> dict[str, str]:
        """Number → what to fix, for the TODOs whose markers are not there exactly once."""
        found: dict[str, str] = {}
        for name, text in self.edition.files.items() if self.edition else ():
            handed_out = parse_answers(text, name)
            if {region.part for region in handed_out} <= set(self.parts):
                continue
            with suppress(LabError):
                lines = [line.strip() for line in read_source(self.folder / name).split("\n")]
                for region in handed_out:
                    for marker in (f"# <answer {region.part}>", f"# </answer {region.part}>"):
                        if lines.count(marker) != 1:
                            what = "is missing: put it back" if marker not in lines else "is twice"
                            found.setdefault(region.todo, f"{name}: the line `{marker}` {what}")
            if not any(region.todo in found for region in handed_out):
                fault = next((each for each in self.faults if each.startswith(name)), name)
                found |= {region.todo: f"the markers are damaged: {fault}" for region in handed_out}
        return found

    def changed_outside(self) -> list[str]:
        """A line for each lab file that differs from the edition outside the answers."""
        remarks = []
        for name, text in self.edition.files.items() if self.edition else ():
            with suppress(LabError):
                before = without_answers(text, name)
                after = without_answers(read_source(self.folder / name), name)
                blocks = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
                changes = [block for block in blocks if block[0] != "equal"]
                if changes:
                    _, start, end, first, last = changes[0]
                    line = (after[first:last] or before[start:end])[0]
                    remarks.append(
                        f"{name} was changed outside the answers, at `{line.strip()[:60]}`: "
                        "what stands there is not graded"
                    )
        return remarks

    def fingerprint(self, numbers: Iterable[str]) -> str:
        """Changes when an answer to one of the TODOs does, not with white space around it."""
        found = [region for number in sorted(numbers) for region in self.regions(number)]
        texts = [f"{region.part}\n{region.answer()}" for region in found]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def states(self) -> dict[str, str]:
        """Number → state of each TODO, from what is written there and the last results."""
        results = self.results()
        return {todo.number: self._state(todo, results.get(todo.number)) for todo in self.todos}

    def _state(self, todo: Todo, result: dict | None) -> str:
        regions = self.regions(todo.number)
        missing = {part for part, number in self.wanted.items() if number == todo.number}
        if missing - {region.part for region in regions} or not regions:
            return LOST
        if any(region.is_open for region in regions):
            return TO_DO
        if result is None:
            return UNKNOWN
        if result["answer"] != self.fingerprint([todo.number]):
            return CHANGED
        if result["state"] != DONE and result["needs"] != self.fingerprint(all_needs(todo.number)):
            return STALE
        return result["state"]

    def next_todo(self) -> Todo | None:
        """The TODO to work on: the first wrong one, else the first that is not done."""
        states = self.states()
        for wanted in ({WRONG}, {TO_DO}, set(states.values()) - {DONE}):
            for todo in self.todos:
                if states[todo.number] in wanted:
                    return todo
        return None

    def results(self) -> dict[str, dict]:
        """The last results, number → state, message and fingerprints; empty when none are known."""
        try:
            results = json.loads((self.folder / RESULTS).read_text(encoding="utf-8"))["todos"]
            keys = {"state", "answer", "needs"}
            return {number: each for number, each in results.items() if keys <= set(each)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def remember(self, findings: dict[str, Finding]) -> None:
        """Keeps findings about the answers as they are in this object."""
        results = self.results()
        for number, finding in findings.items():
            results[number] = {
                "state": finding.state,
                "message": finding.message,
                "answer": self.fingerprint([number]),
                "needs": self.fingerprint(all_needs(number)),
            }
        write_json(self.folder / RESULTS, {"todos": results})

    def next_hints(self, todo: Todo) -> tuple[int, bool]:
        """Gives one more hint of a TODO.

        Returns:
            How many are given now, and whether all of them had been given before.
        """
        path, count = self.folder / HINTS, len(todo.hints)
        try:
            given = dict(json.loads(path.read_text(encoding="utf-8")))
            before = min(max(int(given.get(todo.number, 0)), 0), count)
        except (OSError, ValueError, TypeError):
            given, before = {}, 0
        now = min(before + 1, count)
        write_json(path, given | {todo.number: now})
        return now, before == count


def find_syntax_errors(lab: Path) -> list[str]:
    """Each lab file that is not valid Python, as "models.py:12: expected ':'"."""
    errors = []
    for name in LAB_FILES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile((lab / name).read_bytes(), name, "exec", dont_inherit=True)
        except SyntaxError as error:
            errors.append(f"{name}:{error.lineno or 1}: {error.msg}")
        except (ValueError, RecursionError, MemoryError) as error:
            errors.append(f"{name}:1: {error}")
        except FileNotFoundError:
            errors.append(f"{name}: the file is missing")
    return errors


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def encode_as(text: str, path: Path) -> bytes:
    """A text with the line ends and the byte order mark that a file has now."""
    now = path.read_bytes() if path.is_file() else b""
    if b"\r\n" in now:
        text = text.replace("\n", "\r\n")
    return b"\xef\xbb\xbf" * now.startswith(b"\xef\xbb\xbf") + text.encode()


def free_path(path: Path) -> Path:
    """The path itself, or with the first number behind it that is not taken."""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def timestamp() -> str:
    """Now, for the name of a backup."""
    return time.strftime("%Y%m%d-%H%M%S")


def reset(lab: Path, what: str) -> dict[str, Path]:
    """Puts all parts of a TODO, or a whole file, back to what was handed out.

    Args:
        lab: the student's folder.
        what: number of a TODO, or name of a lab file.

    Returns:
        The name of each file that changed → its backup.

    Raises:
        LabError: when a marker is missing or malformed; nothing is changed then.
    """
    handed_out = require_edition(lab).files
    texts = {what: handed_out[what]} if what in handed_out else reset_texts(lab, handed_out, what)
    backups = {}
    for name, text in texts.items():
        path = lab / name
        if path.is_file():
            if path.read_bytes() == encode_as(text, path):
                continue
            backups[name] = free_path(lab / BACKUPS / f"{name}.{timestamp()}")
            write_bytes(backups[name], path.read_bytes())
        write_bytes(path, encode_as(text, path))
    return backups


def reset_texts(lab: Path, handed_out: dict[str, str], number: str) -> dict[str, str]:
    """Name → text of the files that a TODO is in, with its parts as they were handed out."""
    originals = [region for region in parts_of(handed_out).values() if region.todo == number]
    texts = {}
    for name in sorted({region.file for region in originals}):
        regions = [region for region in originals if region.file == name]
        text = read_source(lab / name)
        present = {region.part for region in parse_answers(text, name)}
        for region in regions:
            if region.part not in present:
                raise LabError(
                    f"{name}: the markers of {region.part} are missing; "
                    f"`python lab.py reset {name}` puts the whole file back"
                )
        texts[name] = splice(text, name, regions)
    return texts
