"""The quiz: five questions for each chapter, their numbers drawn from the student's name.

`quiz.json.gz`, which the teacher's build makes with the solved functions, has some dozens of draws
of each question; a hash of the name chooses one. Instead of the right number and those of known
mistakes the file has a hash of each, so that a glance gives nothing away. That is no wall. What
was answered is kept in `.lab/quiz.json`: the numbers as they were given, and no verdict, so that
there is nothing to forge.
"""

import gzip
import hashlib
import json
import math
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands.companion.todos import CHAPTERS
from utils import LabError, write_json

POOL = "commands/companion/quiz.json.gz"
KEPT = ".lab/quiz.json"
CURE = "copy it from the edition that you were given"
LETTERS = "abcde"
TITLES = {**CHAPTERS, 8: "Slurm"}
TAG_DIGITS = 12
LARGEST = 1e15
LONGEST_NAME = 100
MOST_TRIES = 100
TOO_MUCH = (RecursionError, OverflowError)
"""What JSON raises that is nested without end, and a float that is made of an endless number."""


@dataclass(frozen=True)
class Question:
    """A question with a student's numbers.

    Attributes:
        number: chapter and letter, as 4a.
        text: what is asked.
        table: rows of cells, the first one of headings; may be empty.
        unit: of the answer, "" for none.
        decimals: of the answer, of which the last may differ by 1; None for a whole number.
        reasons: why it is so, then a sentence for each known mistake.
        tags: a hash for the number that belongs to each of the reasons.
        variant: which of the draws it is.
    """

    number: str
    text: str
    table: list[list[Any]]
    unit: str
    decimals: int | None
    reasons: list[str]
    tags: list[str]
    variant: int

    @property
    def digest(self) -> str:
        """A hash of what is asked, by which a later edition knows that it is the same."""
        return digest_of(self.text, self.table)

    def recognise(self, value: float) -> int | None:
        """0 for a right answer, the position of its reason for a known mistake, else None."""
        near = {tag_of(self.number, self.variant, n) for n in steps_near(value, self.decimals)}
        return next((i for i, tag in enumerate(self.tags) if tag in near), None)

    def is_right(self, value: float) -> bool:
        """Whether an answer is right."""
        return self.recognise(value) == 0


# ------------------------------------------------------------------ the numbers


def all_numbers(chapters: Iterable[int] = ()) -> list[str]:
    """The numbers of all questions, or of those of some chapters, in order."""
    return [f"{each}{letter}" for each in sorted(chapters or TITLES) for letter in LETTERS]


def variant_of(name: str, number: str, variants: int) -> int:
    """Which of the draws of a question a name gets."""
    return int(hash_of("variant", plain_name(name), number), 16) % variants


def plain_name(name: str) -> str:
    """A name as it is compared: composed, in small letters, with single blanks."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def tag_of(number: str, variant: int, steps: int) -> str:
    """The hash that stands for a number: `steps` units of the last decimal."""
    return hash_of("tag", number, variant, steps)[:TAG_DIGITS]


def digest_of(text: str, table: list[list[Any]]) -> str:
    """A hash of a question with its numbers."""
    return hash_of("question", text, json.dumps(table))[:TAG_DIGITS]


def hash_of(*words: object) -> str:
    """SHA-256 of some words, in hexadecimal digits."""
    return hashlib.sha256("|".join(map(str, words)).encode("utf-8", "replace")).hexdigest()


def steps_near(value: float, decimals: int | None) -> list[int]:
    """The numbers, in units of the last decimal, from which a value is at most one unit away.

    For a whole number (None) these are the value alone.

    >>> steps_near(0.667, 2), steps_near(7.0, None), steps_near(7.5, None)
    ([66, 67], [7], [])
    """
    reach = 1 if decimals is not None else 0
    scaled = value * 10 ** (decimals or 0)
    first, slack = math.floor(scaled) - 1, reach + 1e-6
    return [n for n in range(first, first + 4) if abs(scaled - n) <= slack]


def parse_number(text: str, unit: str = "") -> float:
    """A number as people write it: decimal comma or point, blanks, a minus sign, its unit.

    Several equal commas or points are those of thousands.

    Raises:
        LabError: for what is no number.
    """
    plain = unicodedata.normalize("NFKC", text).strip().replace("−", "-")
    plain = plain.removesuffix(unit).strip() if unit else plain
    plain = "".join(plain.split()).replace("'", "").replace("’", "")
    if plain.count(",") > 1 or plain.count(".") > 1:
        thousands = "," if plain.count(",") > 1 else "."
        plain = plain.replace(thousands, "")
    elif "," in plain and "." in plain:  # the last of the two is the decimal one
        plain = plain.replace("," if plain.rfind(",") < plain.rfind(".") else ".", "")
    try:
        value = float(plain.replace(",", "."))
    except ValueError:
        value = math.nan
    if not abs(value) < LARGEST:
        raise LabError(f"{text[:40]!r} is no number; write it as 0.667 or 0,667")
    return value


# ------------------------------------------------------------------ the files


def read_pool(lab: Path) -> dict[str, dict]:
    """The questions of an edition: number → decimals, unit, reasons and variants.

    Raises:
        LabError: when there are none, or the file is damaged.
    """
    try:
        content = json.loads(gzip.decompress((lab / POOL).read_bytes()))["questions"]
        return {number: content[number] for number in all_numbers()}
    except FileNotFoundError as error:
        raise LabError(f"{POOL} is missing; {CURE}") from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{POOL} is damaged; {CURE}") from error


def question_for(pool: dict[str, dict], name: str, number: str) -> Question:
    """A question with the numbers of a name."""
    shared = pool[number]
    variant = variant_of(name, number, len(shared["variants"]))
    own = shared["variants"][variant]
    rest = {key: shared[key] for key in ("unit", "decimals", "reasons")}
    return Question(number, own["text"], own["table"], tags=own["tags"], variant=variant, **rest)


@dataclass
class Answers:
    """What a student has answered, as `.lab/quiz.json` keeps it.

    Attributes:
        name: of the student, "" before it is known.
        given: number → question's digest, and the numbers given, the first one first.
    """

    name: str = ""
    given: dict[str, tuple[str, list[float]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> "Answers":
        """Reads the file's bytes.

        Raises:
            LabError: when they are damaged.
        """
        try:
            content = json.loads(data.decode("utf-8-sig"))
            given = {}
            for number, entry in content["answers"].items():
                tries = [float(each) for each in entry["tries"]]
                if not all(abs(each) < LARGEST for each in tries) or len(tries) > MOST_TRIES:
                    raise ValueError(number)
                given[str(number)] = (str(entry["question"]), tries)
            name = valid_name(content["name"])
        except (ValueError, KeyError, TypeError, AttributeError, *TOO_MUCH) as error:
            raise LabError(
                f"{KEPT} is damaged; restore it, or delete it to begin the quiz anew"
            ) from error
        return cls(name, given)

    @classmethod
    def read(cls, lab: Path) -> "Answers":
        """The answers in a student's folder; none where nothing was answered.

        Raises:
            LabError: when the file is damaged.
        """
        path = lab / KEPT
        return cls.parse(path.read_bytes()) if path.is_file() else cls()

    def tries(self, question: Question) -> list[float]:
        """The numbers given to a question; none when an earlier edition asked something else."""
        digest, tries = self.given.get(question.number, ("", []))
        return tries if digest == question.digest else []

    def add(self, lab: Path, question: Question, value: float) -> None:
        """Adds an answer, and keeps all of them on disk.

        Raises:
            LabError: after too many tries.
        """
        tries = self.tries(question)
        if len(tries) >= MOST_TRIES:
            raise LabError(f"question {question.number}: {MOST_TRIES} tries; ask your teacher")
        self.given[question.number] = (question.digest, [*tries, value])
        self.write(lab)

    def write(self, lab: Path) -> None:
        """Keeps name and answers on disk."""
        answers = {n: {"question": d, "tries": t} for n, (d, t) in sorted(self.given.items())}
        write_json(lab / KEPT, {"name": self.name, "answers": answers})


def valid_name(name: object) -> str:
    """A name that numbers can be drawn from.

    Raises:
        LabError: for what is no name.
    """
    plain = " ".join(str(name).split())
    if not isinstance(name, str) or not plain or not plain.isprintable():
        raise LabError("say your name as your course knows it: --name 'Ada Lovelace'")
    return plain[:LONGEST_NAME]
