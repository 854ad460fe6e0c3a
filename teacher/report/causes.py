"""What went wrong in a class: for each TODO how many passed, and why the others did not.

A wrong answer has a cause where the tests name one (the line `likely:` of the message), or where
Python does (the error that the code raises, or its syntax). The others got no diagnosis: a teacher
reads them.
"""

import re
from dataclasses import dataclass, field

from commands.companion.todos import BY_NUMBER
from teacher.reports import Mark, TodoMark

LIKELY = "\nlikely: "
RAISED = re.compile(r"is wrong: your code raised (\w+)[^\n]*\n([^\n]*)")
STOPPED = re.compile(r"TODO [\d.]+: (.*)", re.DOTALL)
PLACE = re.compile(r"(, line \d+| at [\w/]+\.py:\d+| \([\w/]+\.py:\d+\))")
SHARE = re.compile(r"\n\d+ of \d+ tests pass$")
MOST_WORDS = 200
PASSED, WRONG, TO_DO = "passed", "wrong", "to do"


@dataclass
class Unexplained:
    """Answers with the same message, none of which names a cause.

    Attributes:
        message: of the tests.
        answers: code → who wrote it so.
    """

    message: str
    answers: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many submissions have this message."""
        return sum(len(names) for names in self.answers.values())


@dataclass
class Row:
    """What the class did in one TODO.

    Attributes:
        number: of the TODO.
        verdicts: verdict → who got it.
        causes: cause → whose answer has it; the most frequent first.
        unexplained: answers that no diagnosis explains; the most frequent message first.
    """

    number: str
    verdicts: dict[str, list[str]] = field(default_factory=dict)
    causes: dict[str, list[str]] = field(default_factory=dict)
    unexplained: list[Unexplained] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """How many answers passed."""
        return len(self.verdicts.get(PASSED, []))


def rows_of(marks: list[Mark]) -> list[Row]:
    """A row for each TODO that was graded, in their order."""
    graded = {todo.number for mark in marks for todo in mark.todos}
    return [row_of(number, marks) for number in BY_NUMBER if number in graded]


def row_of(number: str, marks: list[Mark]) -> Row:
    """Counts one TODO."""
    row = Row(number)
    unexplained: dict[str, Unexplained] = {}
    own = ((mark, todo) for mark in marks for todo in mark.todos if todo.number == number)
    for mark, todo in own:
        name = mark.submission
        row.verdicts.setdefault(todo.verdict, []).append(name)
        if todo.verdict in (PASSED, TO_DO):
            continue
        cause = cause_of(todo)
        if cause is not None:
            row.causes.setdefault(cause, []).append(name)
            continue
        message = SHARE.sub("", todo.message)
        group = unexplained.setdefault(message, Unexplained(message))
        group.answers.setdefault(todo.answer, []).append(name)
    row.causes = dict(sorted(row.causes.items(), key=lambda each: (-len(each[1]), each[0])))
    row.unexplained = sorted(unexplained.values(), key=lambda each: (-each.count, each.message))
    return row


def cause_of(todo: TodoMark) -> str | None:
    """Why an answer failed, in words that are the same for all to whom it happened; or None."""
    _, likely, rest = todo.message.partition(LIKELY)
    if likely:
        return rest.partition("\n")[0].strip()[:MOST_WORDS]
    if raised := RAISED.search(todo.message):
        return f"raises {raised[1]}: {raised[2]}"[:MOST_WORDS]
    if todo.verdict == WRONG and "syntax error" not in todo.message:
        return None
    stopped = STOPPED.fullmatch(todo.message)
    sentence = PLACE.sub("", stopped[1] if stopped else todo.message)
    return sentence.partition("\n")[0][:MOST_WORDS]
