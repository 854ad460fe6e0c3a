"""Who handed in, as a platform names people, and how two spellings of a name are compared."""

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A student as a download names them.

    Attributes:
        platform: "moodle" or "canvas".
        id: by which the platform's worksheet names the same student.
        name: as well as it is known.
        prefix: what the name of a feedback file must begin with to reach them.
        is_late: whether the platform says so itself.
        doubt: a sentence when it is not certain who it is; "" otherwise.
    """

    platform: str
    id: str
    name: str
    prefix: str
    is_late: bool = False
    doubt: str = ""


def name_key(name: str) -> tuple[str, ...]:
    """The words of a name in a fixed order: "Berg, Anna" and "anna_berg" are the same."""
    name = unicodedata.normalize("NFKC", name).casefold().replace("_", " ")
    return tuple(sorted(re.findall(r"\w+", name)))
