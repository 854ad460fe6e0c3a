"""Compares the answers of a class, TODO by TODO, among each other and with an older class.

Passages that the official solution has, one of the alternatives or what students start from, or
that a fifth of a class has (of at least FEWEST), weigh nothing. What is left of an answer is its
own. An answer with less than LEAST_OWN tokens of its own, such as one of a line or two, is neither
like another one nor unlike it, and is not compared.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

from teacher.similar.tokens import Token, tokens_of
from teacher.similar.winnowing import covered, passages, winnow

FIFTH, FEWEST = 5, 5
LEAST_OWN = 25
LEAST_COMMON = 15
"""Own tokens in common of a pair that is shown. What is an answer's own may be nobody's in the
other one, where known passages stand around it."""
LEAST_SHARE = 0.5
"""How much of its own an answer must have in common with another one to be shown."""


@dataclass(frozen=True)
class Author:
    """A submission: its name, and whether it is of an older class."""

    name: str
    is_archived: bool = False


@dataclass
class Answer:
    """An author's answer to one TODO.

    Attributes:
        author: who.
        code: of all its parts.
        tokens: of the code.
        hashes: of its passages.
        own: the tokens that no weightless passage holds.
        prints: its fingerprints, as `winnow` gives them.
    """

    author: Author
    code: str
    tokens: list[Token] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    prints: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = tokens_of(self.code)
        self.hashes = passages([token.text for token in self.tokens])


@dataclass(frozen=True)
class Likeness:
    """Two answers to a TODO that have much in common.

    Attributes:
        number: of the TODO.
        answers: the two.
        lit: of each, the tokens that are in passages of both.
    """

    number: str
    answers: tuple[Answer, Answer]
    lit: tuple[frozenset[int], frozenset[int]]

    @property
    def tokens(self) -> int:
        """How many own tokens are in common, of the answer that has fewer."""
        return min(len(lit & a.own) for a, lit in zip(self.answers, self.lit, strict=True))

    @property
    def shares(self) -> tuple[float, float]:
        """Which share of each answer's own tokens is in common."""
        first, second = (
            len(lit & answer.own) / len(answer.own)
            for answer, lit in zip(self.answers, self.lit, strict=True)
        )
        return first, second


def alike(number: str, answers: list[Answer], known: Iterable[str]) -> list[Likeness]:
    """The pairs of answers to one TODO that have much in common.

    Args:
        number: of the TODO.
        answers: of all authors, the older ones too.
        known: the codes whose passages weigh nothing.
    """
    weightless = common(answers)
    for code in known:
        weightless.update(passages([token.text for token in tokens_of(code)]))
    owners: dict[int, list[int]] = {}
    for place, answer in enumerate(answers):
        usual = covered([i for i, value in enumerate(answer.hashes) if value in weightless])
        answer.own = set(range(len(answer.tokens))) - usual
        if len(answer.own) >= LEAST_OWN:
            answer.prints = winnow(answer.hashes, weightless)
            for value in answer.prints:
                owners.setdefault(value, []).append(place)
    pairs = {pair for places in owners.values() for pair in combinations(places, 2)}
    found = (likeness(number, answers[i], answers[j]) for i, j in sorted(pairs))
    return [each for each in found if each is not None]


def common(answers: list[Answer]) -> set[int]:
    """The passages that a fifth of the class has, or of the older class."""
    usual: set[int] = set()
    for is_archived in (False, True):
        own = [set(each.hashes) for each in answers if each.author.is_archived == is_archived]
        most = max(len(own) / FIFTH, FEWEST)
        counts = Counter(value for hashes in own for value in hashes)
        usual |= {value for value, count in counts.items() if count >= most}
    return usual


def likeness(number: str, first: Answer, second: Answer) -> Likeness | None:
    """What two answers have in common, if it is much and one of them is of the class."""
    if first.author.is_archived and second.author.is_archived:
        return None
    shared = first.prints.keys() & second.prints.keys()
    starts = ([place for value in shared for place in a.prints[value]] for a in (first, second))
    one, two = (frozenset(covered(places)) for places in starts)
    found = Likeness(number, (first, second), (one, two))
    return found if max(found.shares) >= LEAST_SHARE and found.tokens >= LEAST_COMMON else None
