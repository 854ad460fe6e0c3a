"""How a cause is found: it must explain the answer on further inputs too, or none is named.

A list of known mistakes is never complete, and two mistakes can agree on one input. So a cause is
named only if it gives what the answer gives on several inputs more. With it or without, the message
shows the smallest input that the answer gets wrong, small enough to work it out by hand.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from commands.companion.checking import WrongAnswer, wrong
from commands.companion.verdicts import SMALLEST

FURTHER = 8
"""Inputs on which a cause must hold, besides the first."""
WRITES = (
    "your code writes into what it was given, and what comes after sees the changed values; make a "
    "new tensor (clone, torch.where)"
)


class NoValue(str):
    """What came in place of a value, in words: an exception, or another type or shape.

    `because` has the cause with it, where the type or shape tells it.
    """

    cause: str | None = None

    @classmethod
    def because(cls, text: str, cause: str | None) -> "NoValue":
        """With its cause."""
        value = cls(text)
        value.cause = cause
        return value


class Either(tuple):
    """Several values that one mistake has, as it is written in several ways."""

    __slots__ = ()


RAISES = NoValue("an exception")


@dataclass(frozen=True)
class Question:
    """A function that a TODO asks for; its inputs are of any type X, its values of any type Y.

    Attributes:
        answer: the student's, X → Y, or a `NoValue`.
        right: the right one, X → Y.
        mistakes: X → what well-known mistakes make of it: cause → a value, a test of the value
            (Y → bool), `Either` of several, `RAISES` or `NoValue("IndexError")`, or None where
            nothing can be said.
        more: seed → a further input.
        small: inputs, the smallest first.
        given: an input in words.
        shown: a value in words.
        same: whether two values agree but for rounding.
    """

    answer: Callable[[Any], Any]
    right: Callable[[Any], Any]
    mistakes: Callable[[Any], Mapping[str, Any]]
    more: Callable[[int], Any]
    small: Callable[[], Iterable[Any]]
    given: Callable[[Any], str]
    shown: Callable[[Any], str]
    same: Callable[[Any, Any], bool]

    def check(self, x: Any) -> None:
        """Fails, with the smallest example and the cause if it is found, unless x is right."""
        if self._is_right(x):
            return
        cause = self._cause(x)
        wrong_ones = (each for each in self.small() if not self._is_right(each))
        smaller = next((each for each in wrong_ones if self._fits(cause, each)), None)
        x = x if smaller is None else smaller
        value = self._value(x)
        expected, got = self.shown(self.right(x)), self._shown(value)
        if cause is None and isinstance(value, NoValue):
            cause = value.cause
        if got == expected:
            got += ", but for the last digits"
        given = SMALLEST * (smaller is not None) + self.given(x)
        wrong(given=given, expected=expected, got=got, likely=cause)

    def _value(self, x: Any) -> Any:
        return self._answered(copy.deepcopy(x))

    def _answered(self, x: Any) -> Any:
        try:
            return self.answer(x)
        except (NotImplementedError, WrongAnswer):
            raise  # a TODO still to do, or a cause that is plain
        except Exception as error:
            text = str(error).strip().split("\n")[0][:200] or "no message"
            return NoValue(f"{type(error).__name__}: {text}")

    def _is_right_for_what_it_made(self, x: Any) -> bool:
        """Whether the value is that of the input as the answer leaves it."""
        made = copy.deepcopy(x)
        value = self._answered(made)
        try:
            return not isinstance(value, NoValue) and self.same(value, self.right(made))
        except Exception:  # what the answer has made of it is no input
            return False

    def _is_right(self, x: Any) -> bool:
        value = self._value(x)
        return not isinstance(value, NoValue) and self.same(value, self.right(x))

    def _shown(self, value: Any) -> str:
        return str(value) if isinstance(value, NoValue) else self.shown(value)

    def _cause(self, first: Any) -> str | None:
        """The first known mistake that explains the values of this input and of further ones."""
        held = [name for name, mistake in self.mistakes(first).items() if mistake is not None]
        has_value = False  # an answer that always raises tells nothing of why
        inputs = [first, *map(self.more, range(FURTHER))]
        for x in inputs:
            if held:
                value, found = self._value(x), self.mistakes(x)
                has_value |= not isinstance(value, NoValue)
                held = [name for name in held if self._explains(found.get(name), value)]
        if held and has_value:
            return held[0]
        return WRITES if all(map(self._is_right_for_what_it_made, inputs)) else None

    def _fits(self, cause: str | None, x: Any) -> bool:
        return cause is None or self._explains(self.mistakes(x).get(cause), self._value(x))

    def _explains(self, mistake: Any, value: Any) -> bool:
        if mistake is None:
            return True
        if isinstance(mistake, Either):
            return any(self._explains(each, value) for each in mistake)
        if isinstance(mistake, NoValue):
            is_kind = mistake == RAISES or str(value).startswith(mistake)
            return isinstance(value, NoValue) and is_kind
        if isinstance(value, NoValue):
            return False
        return bool(mistake(value)) if callable(mistake) else self.same(value, mistake)
