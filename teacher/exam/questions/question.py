"""A question with drawn numbers: its text, its answer, and the mistakes that give other numbers.

A draw is kept only if it is well posed: the answer is not near a rounding tie, and no number is
within reach of both the answer and a mistake, or of two mistakes. All draws come from
`random.random()` alone, whose sequence Python promises for a seed in all its versions: the teacher
who grades gets the same numbers as the one who built.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

ATTEMPTS = 2000
TIE = 0.05
"""How near to a half, in steps of the last decimal, an answer may not lie."""


@dataclass(frozen=True)
class Question:
    """One question with its numbers.

    Attributes:
        text: what is asked.
        answer: the right number.
        why: the way to it, the same for all numbers.
        mistakes: what went wrong → the number that comes of it; the same keys for all numbers.
        decimals: of the answer, the last of which may differ by 1; None for an exact whole number.
        unit: such as "%"; "" for none.
        table: rows of cells, the first one of headings; empty for no table.
    """

    text: str
    answer: float
    why: str
    mistakes: dict[str, float]
    decimals: int | None = 3
    unit: str = ""
    table: Sequence[Sequence[Any]] = field(default=())

    @property
    def steps(self) -> list[int]:
        """Answer and mistakes as multiples of the last decimal."""
        return [round(self.scaled(each)) for each in (self.answer, *self.mistakes.values())]

    def scaled(self, value: float) -> float:
        """A value in units of the last decimal."""
        return float(value) * 10 ** (self.decimals or 0)

    @property
    def is_well_posed(self) -> bool:
        """Whether one number alone is right, and each mistake can be told from it."""
        if not all(map(math.isfinite, (self.answer, *self.mistakes.values()))):
            return False
        answer = self.scaled(self.answer)
        is_tie = abs(answer - math.floor(answer) - 0.5) < TIE
        if is_tie if self.decimals is not None else answer != round(answer):
            return False
        apart = 0 if self.decimals is None else 2  # the reach of both
        steps = sorted(self.steps)
        return all(b - a > apart for a, b in pairwise(steps))


class Draw:
    """Numbers from a seed, in any Python the same."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random

    def whole(self, least: int, most: int, step: int = 1) -> int:
        """A whole number between both, included, of which `least` is one."""
        return least + step * int(self.random() * ((most - least) // step + 1))

    def number(self, least: float, most: float, decimals: int) -> float:
        """A number with some decimals."""
        scale = 10**decimals
        return self.whole(round(least * scale), round(most * scale)) / scale

    def pick(self, values: Sequence[Any]) -> Any:
        """One of them."""
        return values[self.whole(0, len(values) - 1)]


def draw_question(make: Callable[[Draw], Question], seed: str) -> Question:
    """The first well-posed question that a seed leads to.

    Raises:
        RuntimeError: when none comes, a fault of the question's maker.
    """
    draw = Draw(seed)
    for _ in range(ATTEMPTS):
        question = make(draw)
        if question.is_well_posed:
            return question
    raise RuntimeError(f"{make.__module__}.{make.__name__}: no well-posed draw")
