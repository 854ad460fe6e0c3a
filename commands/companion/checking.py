"""How a test tells a student what is wrong: what was given, expected, got, and the likely cause."""

from typing import NoReturn


class WrongAnswer(AssertionError):  # noqa: N818
    """A test's verdict in the field's words; its text is all that the student sees."""


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
