"""The marker syntax of the TODOs, and all that is done with it: read, empty, graft, carry over.

In the solved lab a region holds the solution and, as comments, what the student starts from:

    # <solution 3.1a>
    features = self.block2(self.block1(x))
    # <student>
    # features = ...  # (B, cout, H, W)
    # </solution 3.1a>

In the student edition the same region stands between `# <answer 3.1a>` and `# </answer 3.1a>`.
The number is `chapter.todo`, the letter tells the parts of one TODO apart. This is the only place
that knows the syntax: the edition, the companion and the grader all use it.
"""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from utils import LabError

LAB_FILES = (
    *("data.py", "models.py", "metrics.py", "losses.py", "training.py", "deploy.py"),
    *("zoo/blocks.py", "zoo/segformer.py", "zoo/losses.py", "zoo/losses_region.py"),
    "zoo/mapping.py",
)
"""The files that have regions, in the order of the chapters; those of the zoo are optional."""

PART = re.compile(r"[1-9]\d*\.[1-9]\d*[a-z]?")
MARKER = re.compile(r"^[ \t]*# ?<(/?)(solution|answer) +([^>\s]+) *> *$")
LOOKS_LIKE_MARKER = re.compile(r"^\s*#\s*<\s*/?\s*(solution|answer|student)\b", re.IGNORECASE)
STUDENT = re.compile(r"^[ \t]*# ?<student> *$")
TO_DELETE = "delete this line"


@dataclass(frozen=True)
class Region:
    """One marked place of a file.

    Attributes:
        part: such as "3.1a", or "1.1" for a TODO of one place.
        file: name of the file.
        start: line of the opening marker, counted from 1.
        end: line of the closing marker.
        indent: white space before the opening marker.
        code: the lines of the solution, or of the student's answer, with their indent.
        skeleton: what the student starts from, without `# ` and indent; empty in an edition.
    """

    part: str
    file: str
    start: int
    end: int
    indent: str
    code: tuple[str, ...]
    skeleton: tuple[str, ...] = ()

    @property
    def todo(self) -> str:
        """The number without the letter of the part."""
        return todo_of(self.part)

    @property
    def is_open(self) -> bool:
        """Whether nothing has been written yet: the line to delete still stands."""
        return any(
            line.strip().startswith("raise NotImplementedError") and TO_DELETE in line
            for line in self.code
        )

    def answer(self) -> str:
        """The code without the indent of its first statement, ending with a newline.

        Comments may stand further to the left than that, and lines inside brackets and strings too.
        """
        lines = [_expand_indent(line) for line in self.code]
        code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        indent = code[0][: len(code[0]) - len(code[0].lstrip())] if code else ""
        stripped = []
        for line in lines:
            is_left = not line.startswith(indent)
            if not is_left:
                line = line[len(indent) :]
            elif not line.strip() or line.lstrip().startswith("#"):
                line = line.lstrip()
            stripped.append(line.rstrip("\n\f\v"))
        return "\n".join(stripped).strip("\n") + "\n"


def todo_of(part: str) -> str:
    """The number of the TODO that a part belongs to: "3.1" for "3.1a"."""
    return part.rstrip("abcdefghijklmnopqrstuvwxyz")


def _expand_indent(line: str) -> str:
    """A line with spaces for the tabs before its first letter."""
    body = line.lstrip(" \t\f\v")
    return line[: len(line) - len(body)].replace("\f", "").expandtabs(4) + body


def read_source(path: Path) -> str:
    """Reads a Python file as it may come from any editor: with a BOM, CRLF or CR.

    Raises:
        LabError: when it is missing or not UTF-8 text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LabError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_solutions(text: str, file: str) -> list[Region]:
    """Finds the regions of a solved file.

    Raises:
        LabError: naming file and line, for a marker that is malformed, nested, doubled or not
            closed, a region without a skeleton, outside a function, or that cuts a statement.
    """
    regions = [_split_skeleton(region) for region in _parse(text, file, "solution")]
    _require_whole_statements(text, file, regions)
    return regions


def parse_answers(text: str, file: str) -> list[Region]:
    """Finds the regions of a file of the student edition.

    Raises:
        LabError: naming file and line, for a marker that is malformed, nested, doubled or not
            closed. The Python between the markers may be anything.
    """
    return _parse(text, file, "answer")


def _parse(text: str, file: str, word: str) -> list[Region]:
    lines = text.split("\n")
    regions: list[Region] = []
    opened: tuple[str, int, str] | None = None  # part, line, indent
    for number, line in enumerate(lines, start=1):
        if not LOOKS_LIKE_MARKER.match(line) or (word == "solution" and STUDENT.match(line)):
            continue
        place = f"{file}:{number}"
        match = MARKER.match(line)
        if match is None or match[2] != word or not PART.fullmatch(match[3]):
            raise LabError(f"{place}: malformed marker {line.strip()!r}")
        part = match[3]
        if match[1]:
            if opened is None or opened[0] != part:
                raise LabError(f"{place}: {part} is closed here but was not opened")
            code = tuple(lines[opened[1] : number - 1])
            regions.append(Region(part, file, opened[1], number, opened[2], code))
            opened = None
        elif opened is not None:
            raise LabError(f"{place}: {part} opens inside {opened[0]} (line {opened[1]})")
        elif any(region.part == part for region in regions):
            raise LabError(f"{place}: {part} occurs twice")
        else:
            opened = part, number, line[: len(line) - len(line.lstrip())]
    if opened is not None:
        raise LabError(f"{file}:{opened[1]}: {opened[0]} is never closed")
    return regions


def _split_skeleton(region: Region) -> Region:
    """Tells the solution of a region from the comments after `# <student>`."""
    place = f"{region.file}:{region.start}"
    dividers = [index for index, line in enumerate(region.code) if STUDENT.match(line)]
    if len(dividers) != 1:
        raise LabError(f"{place}: {region.part} needs one `# <student>`, not {len(dividers)}")
    code, after = region.code[: dividers[0]], region.code[dividers[0] + 1 :]
    if not any(line.strip() and not line.strip().startswith("#") for line in code):
        raise LabError(f"{place}: {region.part} has no solution")
    skeleton = []
    for line in after:
        rest = line.removeprefix(region.indent)
        if not line.startswith(region.indent) or not (rest == "#" or rest.startswith("# ")):
            raise LabError(f"{place}: {region.part} has {line.strip()!r} after <student>")
        skeleton.append(rest[2:])
    return Region(
        region.part, region.file, region.start, region.end, region.indent, code, tuple(skeleton)
    )


def _require_whole_statements(text: str, file: str, regions: list[Region]) -> None:
    """Raises `LabError` for a region that is not made of whole statements of one function."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise LabError(f"{file}:{error.lineno}: not valid Python ({error.msg})") from error
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    for region in regions:
        around = [node for node in statements if node.lineno < region.start < node.end_lineno]
        inside = [node for node in statements if region.start < node.lineno < region.end]
        cut = [node for node in around if not hasattr(node, "body")]
        cut += [node for node in inside if node.end_lineno > region.end]
        cut += [node for node in around[1:] if _holds_some(node, inside)]
        if cut:
            raise LabError(
                f"{file}:{region.start}: {region.part} cuts the statement at line {cut[0].lineno}"
            )
        if not any(isinstance(node, ast.FunctionDef) for node in around):
            raise LabError(f"{file}:{region.start}: {region.part} stands outside a function")


def _holds_some(node: ast.stmt, inside: list[ast.stmt]) -> bool:
    """Whether a statement that begins before a region has some of its statements, but not all."""
    held = [each for each in inside if each.lineno <= node.end_lineno]
    return 0 < len(held) < len(inside)


def to_edition(text: str, file: str, open_todos: set[str]) -> str:
    """Makes the student's file of a solved one.

    Args:
        text: of the solved file.
        file: its name.
        open_todos: numbers of the TODOs to empty; the others stay solved, without markers.

    Raises:
        LabError: as `parse_solutions`.
    """

    def student_lines(region: Region) -> list[str]:
        if region.todo not in open_todos:
            return list(region.code)
        start = f'raise NotImplementedError("TODO {region.part}")  # {TO_DELETE}'
        return _marked(region, [start, *region.skeleton])

    return _replace(text, parse_solutions(text, file), student_lines)


def graft(text: str, file: str, answers: dict[str, str]) -> str:
    """Puts answers in the place of solutions; regions without an answer keep theirs.

    Args:
        text: of the solved file.
        file: its name.
        answers: part → code without indent.

    Raises:
        LabError: as `parse_solutions`.
    """

    def lines(region: Region) -> list[str]:
        if region.part not in answers:
            return list(region.code)
        code = answers[region.part].strip("\n").split("\n")
        if not any(line.strip() and not line.strip().startswith("#") for line in code):
            code.append("pass")
        return _marked(region, code)

    return _replace(text, parse_solutions(text, file), lines)


def splice(text: str, file: str, regions: Iterable[Region]) -> str:
    """Puts regions, such as they stand in another file, in the place of those of the same part."""
    others = {region.part: region for region in regions}
    lines = text.split("\n")
    for region in reversed(parse_answers(text, file)):
        if region.part in others:
            other = others[region.part]
            code = list(other.code)
            if other.indent != region.indent:
                answer = other.answer().rstrip("\n").split("\n")
                code = [region.indent + line if line else "" for line in answer]
            lines[region.start : region.end - 1] = code
    return "\n".join(lines)


def parts_of(files: dict[str, str]) -> dict[str, Region]:
    """Part → region, of the texts of an edition's files.

    Raises:
        LabError: naming file and line, for malformed markers.
    """
    parts: dict[str, Region] = {}
    for name, text in files.items():
        for region in parse_answers(text, name):
            if region.part in parts:
                other = parts[region.part]
                raise LabError(
                    f"{name}:{region.start}: {region.part} stands in {other.file}:{other.start} too"
                )
            parts[region.part] = region
    return parts


def without_answers(text: str, file: str) -> list[str]:
    """The lines of a student's file outside its regions, for comparing them with the edition's."""
    emptied = _replace(text, parse_answers(text, file), lambda region: [f"<{region.part}>"])
    return [line.rstrip() for line in emptied.rstrip().split("\n")]


def _marked(region: Region, code: list[str]) -> list[str]:
    """The code at the region's indent between the markers of an answer."""
    lines = [f"# <answer {region.part}>", *code, f"# </answer {region.part}>"]
    return [region.indent + line if line.strip() else "" for line in lines]


def _replace(text: str, regions: list[Region], lines_of: Callable[[Region], list[str]]) -> str:
    """Exchanges every region, markers included, for `lines_of(region)`."""
    lines = text.split("\n")
    for region in reversed(regions):
        lines[region.start - 1 : region.end] = lines_of(region)
    return "\n".join(lines)
