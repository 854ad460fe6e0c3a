"""What the companion prints: the progress, what to fix first, a table of states, in colours."""

import os
import sys
import textwrap

from commands.companion.folder import Lab
from commands.companion.todos import BY_NUMBER, CHAPTERS, TODOS, Todo
from commands.companion.verdicts import BLOCKED, DONE, TO_DO, WRONG, Finding
from utils import python_command

WIDTH = 88
COLORS = {DONE: "32", WRONG: "31", TO_DO: "2", BLOCKED: "33", "title": "1"}
OTHER_COLOR = "33"


def show_progress(lab: Lab) -> None:
    """Every TODO and its state, the sums, and what comes next."""
    states = lab.states()
    for chapter, title in CHAPTERS.items():
        todos = [todo for todo in lab.todos if todo.chapter == chapter]
        if todos:
            optional = ", optional" if all(todo.is_optional for todo in todos) else ""
            print(paint(f"{chapter}  {title}{optional}", "title"))
        for todo in todos:
            points = f"{todo.points} point{'s' if todo.points > 1 else ' '}"
            state = states[todo.number]
            print(f"   {todo.number}  {todo.title:<42} {points}  {paint(state, state)}")
    print()
    print(sums(lab))
    for fault in lab.faults:
        print(paint(fault, WRONG))
    if not lab.results():
        print(f"nothing has been checked yet: {command('check')}")
    elif set(states.values()) - {DONE, WRONG, TO_DO, BLOCKED}:
        print(f"some of it is not up to date: {command('check')}")
    show_next(lab)


def show_next(lab: Lab) -> None:
    """The TODO to work on next, if one is left."""
    if todo := lab.next_todo():
        print(f"next: {name_of(todo)} ({lab.places(todo)}): {command('hint', todo.number)}")


def as_markdown(lab: Lab) -> str:
    """The table of the TODOs and the sums, as Markdown."""
    states = lab.states()
    rows = [
        f"| {name_of(todo)} | {todo.title} | {todo.points} | {states[todo.number]} |"
        for todo in lab.todos
    ]
    head = ["| | | points | state |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, "", sums(lab), *lab.faults])


def show_first(lab: Lab, findings: dict[str, Finding]) -> None:
    """Shows the first thing to fix: what is wrong comes before what is still to do."""
    for state in (WRONG, TO_DO, BLOCKED):
        for todo in TODOS:
            finding = findings.get(todo.number)
            if finding is None or finding.state != state:
                continue
            first, *rest = finding.message.split("\n")
            print(paint(first, state))
            print("\n".join(rest) + "\n" * bool(rest), end="")
            if state == TO_DO:
                print(wrap(todo.statement))
            if state == WRONG:
                others = f" and {finding.failed - 1} more fail" if finding.failed > 1 else ""
                print(f"test: {finding.test}{others}; your code: {lab.places(todo)}")
            if finding.output.strip():
                print("printed: " + finding.output.strip())
            print(f"more: {command('hint', todo.number)}")
            print()
            return


def show_states(numbers: list[str], findings: dict[str, Finding]) -> None:
    """A line for each chapter that was tested."""
    for chapter, title in CHAPTERS.items():
        shown = [number for number in numbers if BY_NUMBER[number].chapter == chapter]
        states = [(n, findings[n].state if n in findings else "not tested") for n in shown]
        if states:
            cells = "   ".join(f"{number} {paint(state, state)}" for number, state in states)
            print(f"{chapter:>2}  {title:<20}  {cells}")


def sums(lab: Lab) -> str:
    """What is done, in one line: of the TODOs, and apart from them of the optional ones."""
    states, parts = lab.states(), []
    for is_optional, what, kind in (
        (False, "TODOs done", "points"),
        (True, "optional ones", "extra points"),
    ):
        todos = [todo for todo in lab.todos if todo.is_optional == is_optional]
        done = [todo for todo in todos if states[todo.number] == DONE]
        points, most = sum(todo.points for todo in done), sum(todo.points for todo in todos)
        if todos or not is_optional:
            parts.append(f"{len(done)} of {len(todos)} {what}, {points} of {most} {kind}")
    return "; and ".join(parts)


def name_of(todo: Todo) -> str:
    """A TODO as it is spoken of."""
    return f"{'optional ' * todo.is_optional}TODO {todo.number}"


def command(*words: str) -> str:
    """How the companion is called from the shell."""
    return " ".join((python_command(), "lab.py", *words))


def wrap(text: str, first: str = "") -> str:
    """A paragraph in lines that fit a terminal."""
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def paint(text: str, state: str) -> str:
    """A text in the colour of a state, on a terminal."""
    return f"\033[{COLORS.get(state, OTHER_COLOR)}m{text}\033[0m" if uses_colors() else text


def uses_colors() -> bool:
    """Whether the output is a terminal whose user has nothing against colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
