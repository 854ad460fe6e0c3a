"""Reads the catalogue of answers: the misconceptions, which must fail, and the alternatives.

A file per TODO, blocks like these, in the marker syntax of the student edition:

    # wrong: features_after_pooling          (or, among the alternatives, `# right: name`)
    # says: after the pooling                (what a message must contain)
    # unlisted: pooling | the features       (instead: a cause that the diagnosis does not know;
                                              one that is named must contain one of these)
    # <answer 3.2b>
    ...
    # </answer 3.2b>
"""

import re
from dataclasses import dataclass
from pathlib import Path

from commands.companion.markers import (
    LAB_FILES,
    graft,
    parse_answers,
    parse_solutions,
    read_source,
    todo_of,
)
from commands.companion.todos import BY_NUMBER, TODOS
from utils import LabError

TEACHER = Path(__file__).resolve().parent
LAB = TEACHER.parent
HEAD = re.compile(r"^# (wrong|right): (\S+)\n(?:# (says|unlisted): (.+)\n)?", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """One answer of the catalogue.

    Attributes:
        todo: its number.
        name: what it is called.
        says: what a failing test's message must contain, or None.
        unlisted: what a cause must contain, one of these, if any is named; or None.
        parts: part → code.
    """

    todo: str
    name: str
    says: str | None
    unlisted: tuple[str, ...] | None
    parts: dict[str, str]


def read_answers(kind: str) -> list[Answer]:
    """Reads all "misconceptions" or all "alternatives".

    Raises:
        LabError: for a file or block that is not as described above.
    """
    answers = []
    for todo in TODOS:
        path = TEACHER / kind / f"{todo.number}.py"
        if path.is_file():
            answers += _read_file(path, todo.number, kind)
    return answers


def _read_file(path: Path, number: str, kind: str) -> list[Answer]:
    """Reads one file of the catalogue."""
    text = read_source(path)
    heads = list(HEAD.finditer(text))
    wanted = "wrong" if kind == "misconceptions" else "right"
    answers = []
    for position, head in enumerate(heads):
        end = heads[position + 1].start() if position + 1 < len(heads) else len(text)
        place = f"{kind}/{path.name}: {head[2]}"
        regions = parse_answers(text[head.end() : end], place)
        if head[1] != wanted or (wanted == "wrong") != (head[3] is not None):
            then = "then `# says:` or `# unlisted:` if wrong"
            raise LabError(f"{place}: must begin with `# {wanted}: name`, {then}")
        if not regions or any(region.todo != number for region in regions):
            raise LabError(f"{place}: has no answer, or one of another TODO")
        parts = {region.part: region.answer() for region in regions}
        says = head[4] if head[3] == "says" else None
        words = tuple(head[4].split(" | ")) if head[3] == "unlisted" else None
        answers.append(Answer(number, head[2], says, words, parts))
    names = [answer.name for answer in answers]
    if len(set(names)) < len(names):
        raise LabError(f"{kind}/{path.name}: two answers have one name")
    return answers


def solved_texts() -> dict[str, str]:
    """The solved files of the lab: name → text."""
    return {name: read_source(LAB / name) for name in LAB_FILES}


def all_parts() -> dict[str, str]:
    """Every part of every TODO and its file, after checking that data and markers agree.

    Raises:
        LabError: for markers that are malformed, unknown, missing, or in another file.
    """
    found: dict[str, str] = {}
    for name, text in solved_texts().items():
        for region in parse_solutions(text, name):
            if region.part in found:
                raise LabError(
                    f"{name}:{region.start}: {region.part} is in {found[region.part]} too"
                )
            if region.todo not in BY_NUMBER or BY_NUMBER[region.todo].file != name:
                raise LabError(f"{name}:{region.start}: todos.py has no {region.part} here")
            found[region.part] = name
    for todo in TODOS:
        if not any(todo_of(part) == todo.number for part in found):
            raise LabError(f"{todo.file}: TODO {todo.number} has no region")
    return found


def grafted(parts: dict[str, str], solved: dict[str, str]) -> dict[str, str]:
    """The files of the lab that change when answers take the place of solutions: name → text."""
    files = {part: BY_NUMBER[todo_of(part)].file for part in parts}
    return {
        name: graft(
            solved[name], name, {part: code for part, code in parts.items() if files[part] == name}
        )
        for name in set(files.values())
    }
