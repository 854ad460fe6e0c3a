"""The written exam: a sheet of paper for each student, and the key, as pages to print.

The questions are the quiz's, the same ones for everybody, with numbers from another seed: what a
student has seen in the quiz does not come again. Each page is self-contained; "print" in a browser
makes paper or a PDF of it.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.companion.quiz import LETTERS, TITLES, all_numbers
from commands.companion.quizzing import precision
from teacher.exam.pool import make_questions
from teacher.page import escaped, page
from teacher.platforms.roster import Student
from utils import LabError, write_text

STYLE = """
:root { color-scheme: light dark; --line: #8888; }
body { font: 11pt/1.4 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .2rem; }
.who { display: flex; flex-wrap: wrap; gap: .3rem 2rem; margin: .4rem 0 1rem; }
.student { border-bottom: 2px solid var(--line); margin-bottom: 3rem; padding-bottom: 1rem; }
.question { margin: 1.1rem 0; break-inside: avoid; } .question p { margin: .2rem 0; }
.wide { overflow-x: auto; } .exact { font-size: .85em; opacity: .8; }
table { border-collapse: collapse; margin: .4rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .1rem .6rem; border: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
.space { height: 3.4cm; border: 1px dotted var(--line); margin: .4rem 0; }
.answer { border-bottom: 1px solid; display: inline-block; min-width: 9rem; }
@page { size: A4; margin: 14mm; }
@media print {
  :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 9.5pt; }
  .question { margin: .7rem 0; } .space { height: 2.9cm; }
  .student { break-after: page; border: 0; margin: 0; padding: 0; }
  .student:last-of-type { break-after: auto; } thead { display: table-header-group; }
  tr { break-inside: avoid; } .screen { display: none; }
}
"""


def write_exam(
    students: Sequence[Student], folder: Path, chapters: Sequence[int], count: int, seed: int
) -> list[str]:
    """Writes `sheets.html` and `key.html`.

    Args:
        students: one sheet for each, in this order.
        folder: where they go; it must not have them.
        chapters: whose questions are asked.
        count: how many.
        seed: chooses the questions and all numbers.

    Returns:
        The numbers of the questions.

    Raises:
        LabError: when there are sheets already, or fewer questions than asked for.
    """
    sheets, key = folder / "sheets.html", folder / "key.html"
    for path in (sheets, key):
        if path.exists():
            raise LabError(f"{path}: is there already; choose another --output")
    numbers = choose(chapters, count, seed)
    wanted = [(n, f"exam {seed} {student.key} {n}") for student in students for n in numbers]
    made = make_questions(wanted)
    size = len(numbers)
    by_student = [made[i * size : (i + 1) * size] for i in range(len(students))]
    pairs = list(zip(students, by_student, strict=True))
    parts = [sheet(student, asked) for student, asked in pairs]
    note = (
        "<p>For the teacher alone. The numbers in brackets come of the mistakes A, B … of the "
        f"question. Made with --seed {seed}: the same seed and list make the same sheets.</p>"
    )
    write_text(key, page("Key", [note, *key_tables(pairs)], STYLE))
    try:
        write_text(sheets, page("Exam", parts, STYLE, heading=False))
    except BaseException:
        key.unlink()
        raise
    return numbers


def choose(chapters: Sequence[int], count: int, seed: int) -> list[str]:
    """The questions of an exam, spread over the chapters, in their order.

    Raises:
        LabError: when there are too few.
    """
    numbers = all_numbers(set(chapters))
    if count > len(numbers):
        raise LabError(f"--questions {count}: these chapters have {len(numbers)}")
    draw = random.Random(f"exam {seed}").random

    def shuffled(items: Sequence[Any]) -> list[Any]:
        return sorted(items, key=lambda item: draw())

    columns = {chapter: shuffled(LETTERS) for chapter in sorted(set(chapters))}
    rounds = [f"{c}{columns[c][i]}" for i in range(len(LETTERS)) for c in shuffled(list(columns))]
    chosen = set(rounds[:count])
    return [number for number in numbers if number in chosen]


# ------------------------------------------------------------------ the pages


def sheet(student: Student, questions: Sequence[dict]) -> str:
    """The pages of one student."""
    who = f"<b>{escaped(student.name)}</b>"
    who += f"<span>{escaped(student.number)}</span>" if student.number else ""
    parts = [
        '<section class="student"><h1>Semantic segmentation</h1>',
        f'<div class="who">{who}<span>Date: <span class="answer"></span></span></div>',
        "<p>Write down how you get to each number: the way counts as well. The numbers are drawn "
        "for you alone.</p>",
    ]
    for position, question in enumerate(questions, start=1):
        unit = escaped(question["unit"])
        parts.append(
            f'<div class="question"><h2>{position}. {escaped(title_of(question))}</h2>'
            f"<p>{escaped(question['text'])}</p>{table(question['table'])}"
            f'<p class="exact">({escaped(precision(question["decimals"], question["unit"]))})</p>'
            f'<div class="space"></div><p>Answer: <span class="answer"></span> {unit}</p></div>'
        )
    return "\n".join([*parts, "</section>"])


def title_of(question: dict) -> str:
    """The chapter that a question is about."""
    return TITLES[int(question["number"][:-1])]


def table(rows: Sequence[Sequence[Any]]) -> str:
    """A table of a question; nothing for none."""
    if not rows:
        return ""
    head, *body = rows
    cells = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in head)
    top = f"<thead><tr>{cells}</tr></thead>" if any(cell != "" for cell in head) else ""
    lines = ["".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in body]
    lines = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{top}<tbody>{lines}</tbody></table></div>'


def key_tables(pairs: Sequence[tuple[Student, Sequence[dict]]]) -> list[str]:
    """All answers of each student; then for each question its way, its mistakes, their numbers."""
    size = len(pairs[0][1])
    answers = [
        [student.name, student.number, *(in_decimals(each, each["steps"][0]) for each in own)]
        for student, own in pairs
    ]
    parts = [table([["name", "id", *range(1, size + 1)], *answers])]
    for position, first in enumerate(pairs[0][1]):
        letters = "ABCDEFG"[: len(first["mistakes"])]
        reasons = "".join(
            f"<li>{letter}: {escaped(reason)}</li>"
            for letter, reason in zip(letters, first["mistakes"], strict=True)
        )
        rows = []
        for student, questions in pairs:
            own = questions[position]
            right, *wrong = [in_decimals(own, steps) for steps in own["steps"]]
            rows.append([student.name, student.number, right, *[f"({each})" for each in wrong]])
        parts.append(
            f"<h2>{position + 1}. {escaped(title_of(first))} ({first['number']})</h2>"
            f"<p>{escaped(first['why'])} Answer: "
            f"{escaped(precision(first['decimals'], first['unit']))}.</p>"
            f"<ul>{reasons}</ul>{table([['name', 'id', 'answer', *letters], *rows])}"
        )
    return parts


def in_decimals(question: dict, steps: int) -> str:
    """A number with the decimals that its question asks for."""
    decimals = question["decimals"] or 0
    return f"{steps / 10**decimals:.{decimals}f}"
