"""The process that makes questions: number and seed of each on stdin, they on stdout, as JSON."""

import json
import sys
from dataclasses import asdict
from importlib import import_module

from teacher.exam.questions.question import draw_question

LETTERS = "abcde"


def makers() -> dict[str, object]:
    """Number, such as 4a → the function that makes the question."""
    found = {}
    for chapter in range(1, 11):
        module = import_module(f"teacher.exam.questions.chapter_{chapter}")
        for letter, make in zip(LETTERS, module.QUESTIONS, strict=True):
            found[f"{chapter}{letter}"] = make
    return found


def main() -> None:
    """Answers one request."""
    make = makers()
    made = []
    for number, seed in json.load(sys.stdin):
        question = draw_question(make[number], seed)
        made.append({"number": number, **asdict(question), "steps": question.steps})
    json.dump(made, sys.stdout, default=float)


if __name__ == "__main__":
    main()
