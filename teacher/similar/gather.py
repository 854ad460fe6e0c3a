"""Gathers the answers of a class, and what is known of each TODO and weighs nothing."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from commands.companion.markers import parse_answers, parse_solutions, to_edition, todo_of
from commands.companion.todos import BY_NUMBER
from teacher.catalogue import read_answers, solved_texts
from teacher.platforms.handed_in import find
from teacher.platforms.worksheet import Wishes
from teacher.similar.compare import LEAST_OWN, Answer, Author, Likeness, alike
from teacher.submissions import Submission, read_submission
from utils import LabError


@dataclass
class Pair:
    """Two authors and the answers that they have much in common, by TODO."""

    authors: tuple[Author, Author]
    found: list[Likeness] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """How many own tokens are in common, over all TODOs."""
        return sum(each.tokens for each in self.found)


@dataclass
class Comparison:
    """What came of comparing a class.

    Attributes:
        authors: whose answers were read; the class first, then the older one.
        pairs: the most alike first.
        counts: TODO → answers that were written, and those of them with enough of their own.
        remarks: author and sentence: what could not be read.
    """

    authors: list[Author]
    pairs: list[Pair]
    counts: dict[str, tuple[int, int]]
    remarks: list[tuple[Author, str]]


def compare_class(folder: Path, archive: Path | None, numbers: Sequence[str]) -> Comparison:
    """Compares all answers of a class, among each other and with those of an older one.

    Args:
        folder: of the submissions, or a download of Moodle or Canvas.
        archive: of the older class.
        numbers: of the TODOs.

    Raises:
        LabError: for a folder that is not there, or has no answer.
    """
    if archive is not None and archive.resolve() == folder.resolve():
        raise LabError(f"--archive {archive}: is the folder that is to be compared")
    answers: dict[str, list[Answer]] = {number: [] for number in numbers}
    authors, remarks = read_answers_of(folder, False, answers)
    if archive is None and len(authors) == 1:
        raise LabError(f"{folder}: is one submission alone; a zip of many must be unpacked first")
    if archive is not None:
        older, more = read_answers_of(archive, True, answers)
        authors, remarks = authors + older, remarks + more
        require_other_class(answers, authors, archive)
    known = known_codes()
    pairs: dict[tuple[Author, Author], Pair] = {}
    for number in tqdm(numbers, "compare", disable=None):
        for likeness in alike(number, answers[number], known[number]):
            first, second = (answer.author for answer in likeness.answers)
            pairs.setdefault((first, second), Pair((first, second))).found.append(likeness)
    order = sorted(
        pairs.values(),
        key=lambda pair: (-pair.tokens, [(each.is_archived, each.name) for each in pair.authors]),
    )
    counts = {
        number: (len(each), sum(len(answer.own) >= LEAST_OWN for answer in each))
        for number, each in answers.items()
    }
    return Comparison(authors, order, counts, remarks)


def read_answers_of(
    source: Path, is_old: bool, answers: dict[str, list[Answer]]
) -> tuple[list[Author], list[tuple[Author, str]]]:
    """Adds a class, student by student: a folder of submissions, or a platform's download.

    Returns:
        The authors, and what could not be read.

    Raises:
        LabError: when there is no answer.
    """
    authors, remarks, count = [], [], 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in tqdm(find([source], Path(scratch), Wishes()).found, "read", disable=None):
            author, submission = Author(name, is_old), read_submission(name, path, None)
            authors.append(author)
            texts = (*submission.remarks, *submission.faults.values())
            remarks += [(author, text) for text in texts]
            for number, own in answers.items():
                if code := code_of(submission, number):
                    own.append(Answer(author, code))
                    count += 1
    if not count:
        raise LabError(f"{source}: holds no answer to compare; is it the folder of a class?")
    return authors, remarks


def require_other_class(
    answers: dict[str, list[Answer]], authors: Sequence[Author], archive: Path
) -> None:
    """Raises `LabError` when most of the class is in the archive too, to the letter."""
    written: dict[Author, list[tuple[str, str]]] = {author: [] for author in authors}
    for number, each in answers.items():
        for answer in each:
            written[answer.author].append((number, answer.code))
    mine = [author for author in authors if not author.is_archived and written[author]]
    same = [each for each in mine if written.get(Author(each.name, True)) == written[each]]
    if 2 * len(same) > len(mine):
        raise LabError(
            f"--archive {archive}: has {len(same)} of {len(mine)} submissions to the letter; "
            "is it the same class?"
        )


def code_of(submission: Submission, number: str) -> str:
    """An answer with all its parts; "" where none has been written, or it cannot be told."""
    parts = [part for part in submission.parts if todo_of(part) == number]
    is_open = all(part in submission.is_open for part in parts)
    return "" if is_open or number in submission.faults else submission.code_of(number)


def known_codes() -> dict[str, list[str]]:
    """TODO → pieces of code that weigh nothing: solution, alternatives, what students start from.

    Each part is there alone, and the solution as a whole too: passages may cross a border.
    """
    parts: dict[str, dict[str, list[str]]] = {number: {} for number in BY_NUMBER}
    for file, text in solved_texts().items():
        edition = parse_answers(to_edition(text, file, set(BY_NUMBER)), file)
        for region in (*parse_solutions(text, file), *edition):
            parts[region.todo].setdefault(region.part, []).append(region.answer())
    known = {}
    for number, own in parts.items():
        codes = [code for each in own.values() for code in each]
        known[number] = [*codes, "\n".join(each[0] for _, each in sorted(own.items()))]
    for answer in read_answers("alternatives"):
        known[answer.todo] += [*answer.parts.values()]
    return known
