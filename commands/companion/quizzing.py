"""The quiz on the terminal: questions in turn, a reason for a wrong number, and how far one is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.companion.quiz import (
    KEPT,
    TITLES,
    Answers,
    Question,
    all_numbers,
    parse_number,
    plain_name,
    question_for,
    read_pool,
    valid_name,
)
from commands.companion.report import command, paint, wrap
from commands.companion.verdicts import DONE, WRONG
from utils import LabError

ASK = "your answer (Enter: later): "


def quiz(lab: Path, what: str | None, answer: str | None, name: str | None) -> None:
    """Asks the questions of a chapter, takes one answer, or shows how far the student is.

    Args:
        lab: the student's folder.
        what: number of a chapter, or of a question such as 4a; None for the state of all.
        answer: to that one question.
        name: of the student; asked for when it is not known.

    Raises:
        LabError: for a question or a name that there is not, or an answer that is no number.
    """
    pool, answers = read_pool(lab), Answers.read(lab)
    numbers = [n for n in all_numbers() if what in (None, n, n[:-1])]
    if not numbers:
        raise LabError(f"no question {what}; say a chapter, 1 to 10, or a question such as 4a")
    if answer is not None and numbers != [what]:
        raise LabError("an answer belongs to one question, such as: quiz 4a 0.667")
    set_name(lab, answers, name)
    questions = [question_for(pool, answers.name, number) for number in numbers]
    if what is None:
        show_overview(questions, answers)
    elif answer is not None:
        take_answer(lab, answers, questions[0], answer)
    elif sys.stdin.isatty():
        ask_in_turn(lab, answers, questions)
    else:
        for question in questions:
            show_question(question, answers)
        print(f"answer one by one, such as: {command('quiz', numbers[0], '0.667')}")


def set_name(lab: Path, answers: Answers, name: str | None) -> None:
    """Takes the name from the command line or the terminal, where it is not known yet.

    Raises:
        LabError: when there is none, or answers were given under another.
    """
    if name is not None and answers.given and plain_name(name) != plain_name(answers.name):
        raise LabError(
            f"the quiz was begun as {answers.name}, with other numbers; "
            f"to begin anew with yours, delete {KEPT}"
        )
    if name is None and not answers.name and sys.stdin.isatty():
        name = read_line("your name, as your course knows it: ")
    if name is not None or not answers.name:
        answers.name = valid_name(name or "")
        answers.write(lab)


def ask_in_turn(lab: Path, answers: Answers, questions: list[Question]) -> None:
    """Asks every question that is not right yet, until it is or the line stays empty."""
    for question in questions:
        show_question(question, answers)
        while not is_right(question, answers):
            text = read_line(ASK)
            if not text:
                break
            try:
                take_answer(lab, answers, question, text)
            except LabError as error:
                print(error.line)
        print()
    right = sum(is_right(question, answers) for question in questions)
    print(f"{right} of {len(questions)} right; kept in {KEPT}. All chapters: {command('quiz')}")


def take_answer(lab: Path, answers: Answers, question: Question, text: str) -> None:
    """Keeps an answer and says what is to be said about it."""
    value = parse_number(text, question.unit)
    if question.decimals is None and value != int(value):
        raise LabError(f"question {question.number} asks for a whole number, without separators")
    answers.add(lab, question, value)
    found = question.recognise(value)
    if found == 0:
        print(paint("right. ", DONE) + question.reasons[0])
    elif found is not None:
        print(paint("not right: ", WRONG) + question.reasons[found])
    else:
        print(paint("not right", WRONG) + ", and none of the usual mistakes; write the steps down")


def is_right(question: Question, answers: Answers) -> bool:
    """Whether the last answer to a question is right."""
    tries = answers.tries(question)
    return bool(tries) and question.is_right(tries[-1])


def show_question(question: Question, answers: Answers) -> None:
    """Prints a question, its table, and how exact the answer must be."""
    print(f"{paint(question.number, 'title')}  {state_of(question, answers)}")
    print(wrap(question.text))
    if question.table:
        print("\n" + as_columns(question.table) + "\n")
    print(f"({precision(question.decimals, question.unit)})")


def precision(decimals: int | None, unit: str) -> str:
    """How exact an answer must be."""
    what = f" in {unit}" if unit else ""
    if decimals is None:
        return f"a whole number{what}, exactly"
    if decimals == 0:
        return f"to the nearest whole number{what}; 1 more or less is right too"
    last = f"0.{'0' * (decimals - 1)}1"
    places = "one decimal" if decimals == 1 else f"{decimals} decimals"
    return f"to {places}{what}; {last} more or less is right too"


def state_of(question: Question, answers: Answers) -> str:
    """What has become of a question so far."""
    tries = answers.tries(question)
    if not tries:
        return "open"
    count = f"{len(tries)} {'tries' if len(tries) > 1 else 'try'}"
    return paint(f"right, {count}", DONE) if question.is_right(tries[-1]) else f"not yet, {count}"


def as_columns(table: Sequence[Sequence[Any]]) -> str:
    """A table for the terminal, its numbers aligned to the right."""
    rows = [[str(cell) for cell in row] for row in table if any(cell != "" for cell in row)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "    "
        + "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def show_overview(questions: list[Question], answers: Answers) -> None:
    """A line for each chapter."""
    print(f"the quiz of {answers.name}")
    for chapter, title in sorted(TITLES.items()):
        own = [question for question in questions if question.number[:-1] == str(chapter)]
        right = sum(is_right(question, answers) for question in own)
        cells = "  ".join(question.number[-1] for question in own if is_right(question, answers))
        print(f"{chapter:>2}  {title:<22} {right} of {len(own)} right  {cells}".rstrip())
    print(f"one chapter: {command('quiz', '4')}")


def read_line(prompt: str) -> str:
    """A line from the terminal; empty when there is none any more."""
    try:
        return input(prompt).strip()
    except EOFError:
        print()
        return ""
