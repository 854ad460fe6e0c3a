"""How a test tells a student what is wrong: what was given, expected, got, and the likely cause."""

from importlib import import_module
from typing import Any, NoReturn


class WrongAnswer(AssertionError):  # noqa: N818
    """A test's verdict in the field's words; its text is all that the student sees."""


class WhenUsed:
    """A module that is imported when something in it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for marks of its own
            raise AttributeError(name)
        return getattr(import_module(self._name), name)


def wrong(*, given: object, expected: object, got: object, likely: str | None = None) -> NoReturn:
    """Fails the test that calls it.

    Args:
        given: what the student's code was called with.
        expected: what would be right.
        got: what came instead.
        likely: the cause, where the wrong value can be recognised.

    Raises:
        WrongAnswer: always.
    """
    lines = [f"given:    {given}", f"expected: {expected}", f"got:      {got}"]
    if likely is not None:
        lines.append(f"likely:   {likely}")
    raise WrongAnswer("\n".join(lines))
