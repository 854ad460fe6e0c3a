"""A made class: submissions put together from the catalogue's right and wrong answers.

    python tests/made_class.py FOLDER 60

writes one for 60 students, to look at the pages that the teacher's tools make of it. The third and
the fourth student of every twenty have the answers of the second, with other names and numbers.
"""

import random
import re
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from commands.command_line import run_command
from commands.companion.markers import Region, parse_solutions, splice, to_edition
from commands.companion.todos import TODOS
from teacher.__main__ import build_parser
from teacher.catalogue import read_answers, solved_texts
from teacher.grade import Grading, Limits
from teacher.platforms.handed_in import HandedIn
from teacher.reports import Mark
from teacher.submissions import find_submissions

RENAMED = {"valid": "kept", "index": "place", "k": "number", "total": "whole", "values": "found"}
NAMES = ("Ada", "Bo", "Çelik", "Dürr", "Eva Lu", "Fynn", "Gül", "Håkon", "Ines", "Jörg")


def editions() -> tuple[dict[str, str], dict[str, str]]:
    """The empty files of the edition, and the solved answers: part → code."""
    solved = solved_texts()
    every = {todo.number for todo in TODOS}
    empty = {name: to_edition(text, name, every) for name, text in solved.items()}
    regions = [each for name, text in solved.items() for each in parse_solutions(text, name)]
    return empty, {region.part: region.answer() for region in regions}


def files_with(empty: dict[str, str], answers: dict[str, str]) -> dict[str, str]:
    """The files of a student who has written some answers."""
    regions = [
        Region(part, "", 0, 0, "", tuple(code.strip("\n").split("\n")))
        for part, code in answers.items()
    ]
    return {name: splice(text, name, regions) for name, text in empty.items()}


def grade(
    paths: list[Path],
    output: Path | None,
    numbers: list[str],
    workers: int,
    limits: Limits,
    is_partial: bool = False,
) -> list[Mark]:
    """Grades the submissions that lie at some paths."""
    handed = HandedIn(find_submissions(paths))
    return Grading(handed, output, numbers, limits, is_partial).run(workers)


def teacher(*words: object) -> int:
    """Runs a command of the teacher's; returns its exit code."""
    return run_command(build_parser(), [str(word) for word in words])


def renamed(code: str) -> str:
    """An answer under other names."""
    return re.sub(r"\b[a-z_]\w*\b", lambda name: RENAMED.get(name[0], name[0]), code)


def answers_of(chance: random.Random, solved: dict[str, str]) -> dict[str, str]:
    """A student's answers: most right, some wrong, the last ones perhaps not written."""
    right, wrong = read_answers("alternatives"), read_answers("misconceptions")
    last = chance.randrange(12, 2 * len(TODOS))
    answers = {}
    for place, todo in enumerate(TODOS):
        own = {part: code for part, code in solved.items() if part.rstrip("abc") == todo.number}
        drawn = chance.random()
        if drawn > 0.3:
            kinds = right if drawn > 0.55 else wrong
            own |= chance.choice([each for each in kinds if each.todo == todo.number]).parts
        if place <= last:
            answers |= own
    return answers


def make_class(folder: Path, count: int) -> None:
    """Writes submissions of made students, folders and zips, the same ones each time."""
    empty, solved = editions()
    chance = random.Random(0)
    source: dict[str, str] = {}
    for number in range(count):
        answers = answers_of(chance, solved)
        if number % 20 == 1:
            source = answers
        if number % 20 in (2, 3):
            answers = {part: renamed(code) for part, code in source.items()}
        name = f"{NAMES[number % len(NAMES)]} {number + 1:03}"
        files = files_with(empty, answers)
        if number % 20 == 9:
            files["metrics.py"] = files["metrics.py"].replace("# </answer 4.2a>", "")
        if number % 3:
            for file, text in files.items():
                path = folder / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for file, text in files.items():
                    archive.writestr(f"lab/{file}", text)


if __name__ == "__main__":
    make_class(Path(sys.argv[1]), int(sys.argv[2]))
