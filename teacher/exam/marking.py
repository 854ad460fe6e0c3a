"""The quiz of a submission, checked again: by the numbers given, and by the solved functions."""

from collections.abc import Iterable, Mapping

from commands.companion.quiz import (
    Answers,
    all_numbers,
    digest_of,
    plain_name,
    steps_near,
    variant_of,
)
from teacher.exam.pool import VARIANTS, quiz_questions
from teacher.reports import Mark
from utils import LabError


def mark_quizzes(
    marks: Iterable[Mark], kept: Mapping[str, bytes], students: Mapping[str, str]
) -> list[Mark]:
    """Fills in what each submission has right in the quiz.

    Reports go to students, so that none names another one; `quiz_name` tells the teacher.

    Args:
        marks: of the submissions.
        kept: name of a submission → the bytes of its `.lab/quiz.json`.
        students: name of a submission → its student, where one has several.

    Returns:
        The marks that have a quiz now.
    """
    marked = [mark for mark in marks if mark.submission in kept]
    takers: dict[str, set[str]] = {}
    for mark in marked:
        try:
            answers = Answers.parse(kept[mark.submission])
            mark.quiz, mark.quiz_remarks = check_answers(answers)
        except LabError as error:
            mark.quiz_remarks = [error.line.partition(";")[0]]
            continue
        mark.quiz_name = answers.name
        mark.quiz_remarks.insert(0, f"taken as {answers.name}")
        student = students.get(mark.submission, mark.submission)
        takers.setdefault(plain_name(answers.name), set()).add(student)
    for mark in marked:
        if len(takers.get(plain_name(mark.quiz_name), ())) > 1:
            mark.quiz_remarks.append("another student's submission has the same name for the quiz")
    return marked


def check_answers(answers: Answers) -> tuple[dict[str, int], list[str]]:
    """Which answers are right.

    Returns:
        Number → tries, of the questions whose last answer is right; and remarks.
    """
    right, strange = {}, []
    for number in all_numbers():
        digest, tries = answers.given.get(number, ("", []))
        if not tries:
            continue
        draw = quiz_questions()[number][variant_of(answers.name, number, VARIANTS)]
        if digest != digest_of(draw["text"], draw["table"]):
            strange.append(number)
        elif draw["steps"][0] in steps_near(tries[-1], draw["decimals"]):
            right[number] = len(tries)
    remarks = []
    if strange:
        what = "other numbers than this name has: another edition's, or another student's"
        remarks.append(f"not counted, {', '.join(strange)}: {what}")
    unknown = sorted(set(answers.given) - set(all_numbers()))
    if unknown:
        remarks.append(f"{len(unknown)} answers to questions that there are not")
    return right, remarks
