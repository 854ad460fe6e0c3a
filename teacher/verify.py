"""Proves the tests: what is right passes, what is wrong fails for the reason that it is wrong.

Five proofs (the sixth, of the built edition, is in tests/test_teacher.py): the solved lab passes
all; with one TODO empty exactly its tests fail, others pass or are blocked by it; every
misconception fails a test of its own TODO, with the message that names it, and (the first ones of
each TODO) no test of a TODO that does not build upon it; every alternative passes; no solution is
left in an edition.

Some misconceptions are not on the diagnosis' list: they show what happens to the next one that
nobody has thought of. They must not get a wrong cause; how many get a cause, or an example that can
be followed by hand, is printed.
"""

import os
from collections import Counter

from tqdm import tqdm

from commands.companion.markers import parse_solutions, to_edition
from commands.companion.todos import BY_NUMBER, TODOS, all_needs
from commands.companion.verdicts import SMALLEST, sum_up
from teacher.catalogue import Answer, all_parts, grafted, read_answers, solved_texts
from teacher.sandbox import Job, Outcome, run_jobs

SLOW = ("1.2", "7.1")
"""Their tests count millions of pixels and export: they run only where an answer can matter."""

SECONDS = 120.0
NEIGHBOURS = 8
"""So many wrong answers of each TODO also meet the tests of those near it; the others its own."""


def verify(numbers: list[str], workers: int) -> list[str]:
    """Runs all proofs for some TODOs.

    Args:
        numbers: of the TODOs whose answers to try.
        workers: processes at a time.

    Returns:
        What is wrong, a line each.
    """
    all_parts()
    solved = solved_texts()
    every = tuple(todo.number for todo in TODOS)
    shares: dict[str, Counter] = {"listed": Counter(), "unlisted": Counter()}
    checks = {"solved": (Job("solved", {}, every), lambda outcome: _passes(outcome, every))}
    for number in numbers:
        job = Job(f"empty {number}", _emptied(number, solved), affected(number))
        checks[job.name] = job, lambda outcome, number=number: _isolates(outcome, number)
    seen: Counter = Counter()
    for answer in read_answers("misconceptions"):
        if answer.todo in numbers:
            name = f"{answer.todo} {answer.name}"
            seen[answer.todo] += 1
            tests = affected(answer.todo) if seen[answer.todo] <= NEIGHBOURS else (answer.todo,)
            job = Job(name, grafted(answer.parts, solved), tests)
            count = shares["listed" if answer.unlisted is None else "unlisted"]
            checks[name] = job, lambda o, a=answer, count=count: _exposes(o, a, count)
    for answer in read_answers("alternatives"):
        if answer.todo in numbers:
            name, tests = f"right {answer.todo} {answer.name}", affected(answer.todo)
            job = Job(name, grafted(answer.parts, solved), tests)
            checks[name] = job, lambda outcome, tests=tests: _passes(outcome, tests)
    faults = leaks(solved)
    jobs = [job for job, _ in checks.values()]
    outcomes = run_jobs(jobs, workers, SECONDS)
    for outcome in tqdm(outcomes, "verify", len(jobs), disable=None):
        _, check = checks[outcome.job.name]
        faults += [f"{outcome.job.name}: {fault}" for fault in check(outcome)]
    for kind, count in shares.items():
        if count:
            parts = ", ".join(f"{number} {what}" for what, number in count.most_common())
            print(f"{kind} misconceptions: {count.total()}, of which {parts}")
    return faults


def affected(number: str) -> tuple[str, ...]:
    """The TODOs whose tests a change in one TODO can matter to: of its file, and that need it.

    The tests of the others run none of its code. Slow tests run for their own answers alone.
    """
    file = BY_NUMBER[number].file
    near = [todo.number for todo in TODOS if todo.file == file or number in all_needs(todo.number)]
    return tuple(each for each in near if each == number or each not in SLOW)


def default_workers() -> int:
    """As many processes at a time as there are cores."""
    return max(1, os.cpu_count() or 1)


def _emptied(number: str, solved: dict[str, str]) -> dict[str, str]:
    """The file of a TODO as in the student edition, all others solved."""
    name = BY_NUMBER[number].file
    return {name: to_edition(solved[name], name, {number})}


def _passes(outcome: Outcome, numbers: tuple[str, ...]) -> list[str]:
    """Every test of these TODOs passes, and each TODO has one."""
    if outcome.trouble:
        return [outcome.trouble]
    faults = [f"{r.test}: {r.message}" for r in outcome.results if r.verdict != "passed"]
    tested = {result.todo for result in outcome.results}
    return faults + [f"TODO {number} has no test" for number in numbers if number not in tested]


def _isolates(outcome: Outcome, number: str) -> list[str]:
    """The tests of the empty TODO say so; the others pass, or are blocked by it and need it."""
    if outcome.trouble:
        return [outcome.trouble]
    faults = []
    for result in outcome.results:
        if result.todo == number:
            is_right = result.verdict == "to do"
        elif result.verdict == "blocked":
            is_right = number in all_needs(result.todo) and f"TODO {number}" in result.message
        else:
            is_right = result.verdict == "passed"
        if not is_right:
            faults.append(f"{result.test} is {result.verdict}: {result.message}")
    return faults


def _exposes(outcome: Outcome, answer: Answer, count: Counter) -> list[str]:
    """A test of its own TODO fails and names it; TODOs that do not build upon it pass."""
    if outcome.trouble:
        return [outcome.trouble]
    own = [r for r in outcome.results if r.todo == answer.todo and r.verdict == "wrong"]
    faults = []
    if not own:
        faults.append("passes all tests of its TODO")
    else:
        shown = sum_up([vars(result) for result in own]).message
        count[help_in(shown)] += 1
        faults += misleads(shown, answer)
    for result in outcome.results:
        unrelated = result.todo != answer.todo and answer.todo not in all_needs(result.todo)
        if unrelated and result.verdict != "passed":
            faults.append(f"{result.test}, of another TODO, is {result.verdict}: {result.message}")
    return faults


def help_in(message: str) -> str:
    """What helps in a message: the cause, or an example that can be followed by hand.

    Such is the smallest input that goes wrong, or the line of a short test with its values.
    """
    if "\nlikely: " in message:
        return "name the cause"
    has_line = " is wrong: test_" in message and "\n  assert False" not in message
    is_example = SMALLEST in message or has_line
    return "show a small example" if is_example else "show numbers alone"


def misleads(message: str, answer: Answer) -> list[str]:
    """What is wrong with the message that a student sees of a wrong answer."""
    if answer.unlisted is None:
        is_there = answer.says in message
        return [] if is_there else [f"the message does not say {answer.says!r}: {message}"]
    likely = message.partition("\nlikely: ")[2].partition("\n")[0].strip()
    if not likely or any(words in likely for words in answer.unlisted):
        return []
    return [f"names a cause that is not it: {likely}"]


def leaks(solved: dict[str, str]) -> list[str]:
    """The lines of solutions that the empty edition still has in the same file."""
    faults = []
    every = {todo.number for todo in TODOS}
    for name, text in solved.items():
        edition = to_edition(text, name, every)
        lines = {line.strip() for line in edition.split("\n")}
        for region in parse_solutions(text, name):
            given = {line.strip() for line in region.skeleton}
            for line in region.code:
                code = line.strip()
                if is_telling(code) and code in lines and code not in given:
                    faults.append(f"{name}: the edition has {code!r}, a line of {region.part}")
    return faults


def is_telling(code: str) -> bool:
    """Whether a line of code gives something away: not a bracket, a comment or a mere `else:`."""
    return len(code) > 12 and not code.startswith("#") and any(c in code for c in "=(")
