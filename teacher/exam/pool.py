"""Questions made by the solved lab, in a process of its own; and the pool of the student edition.

The pool has some dozens of draws of each question. It says which numbers are right, or come of a
known mistake, by a hash: a glance does not give them away. It is no wall, as a loop over the
possible numbers finds them; what is kept of the answers is checked again by `teacher grade`.
"""

import gzip
import json
import os
import subprocess
import sys
from functools import lru_cache

from commands.companion.quiz import all_numbers, tag_of
from teacher.catalogue import LAB
from utils import LabError

VARIANTS = 40
MODULE = "teacher.exam.questions"


def make_questions(wanted: list[tuple[str, str]]) -> list[dict]:
    """Draws questions by the solved functions.

    Args:
        wanted: number and seed of each.

    Returns:
        For each a dict of the fields of `question.Question`, its number, and its `steps`.

    Raises:
        LabError: when the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", MODULE],
        cwd=LAB,
        input=json.dumps(wanted),
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LabError(f"the questions cannot be made ({last}); install requirements.txt")
    return json.loads(done.stdout)


@lru_cache(maxsize=1)
def quiz_questions() -> dict[str, list[dict]]:
    """Number → its draws, those of the quiz."""
    wanted = [(n, f"quiz {n} {variant}") for n in all_numbers() for variant in range(VARIANTS)]
    found: dict[str, list[dict]] = {}
    for question in make_questions(wanted):
        found.setdefault(question["number"], []).append(question)
    return found


def pool_bytes() -> bytes:
    """The file of the student edition that has the quiz."""
    questions = {}
    for number, draws in quiz_questions().items():
        first = draws[0]
        variants = [
            {
                "text": draw["text"],
                "table": draw["table"],
                "tags": [tag_of(number, i, step) for step in draw["steps"]],
            }
            for i, draw in enumerate(draws)
        ]
        questions[number] = {
            "decimals": first["decimals"],
            "unit": first["unit"],
            "reasons": [first["why"], *first["mistakes"]],
            "variants": variants,
        }
    content = json.dumps({"questions": questions}, sort_keys=True).encode()
    return gzip.compress(content, mtime=0)
