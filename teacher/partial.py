"""Partial credit for those who want it: the share of a TODO's tests that an answer passes.

The tests that count are the short ones of test_implementation.py, which students can read, each for
one property, and all further cases together as one more. Were every case a test, a property with
twenty cases would weigh as much as twenty; were the short ones alone to count, an answer that the
cases prove wrong could have all points.
"""

from teacher.reports import add_up
from teacher.sandbox import Outcome

SHORT = "test_implementation"
"""What the files of the short tests begin with."""
CASES = "further cases"


def passed_tests(outcome: Outcome, number: str) -> tuple[int, int]:
    """How many tests of a TODO passed, and how many there are.

    A test with several inputs is one test. Of an answer that was stopped, nothing is believed.
    """
    verdicts: dict[str, set[str]] = {}
    for result in outcome.results:
        if result.todo == number:
            is_short = result.test.startswith(SHORT)
            test = result.test.partition("[")[0] if is_short else CASES
            verdicts.setdefault(test, set()).add(result.verdict)
    if outcome.trouble is not None:
        return 0, len(verdicts)
    return sum(each == {"passed"} for each in verdicts.values()), len(verdicts)


def points_for(passed: int, tests: int, points: int) -> float:
    """The part of the points of a TODO that some of its tests earn, to two digits."""
    return add_up([points * passed / tests]) if tests else 0
