"""Who handed in what: downloads of platforms and other submissions, one for each student.

Of several submissions of a student the latest counts: the one of the download that was named last,
within it the one with the larger number (Canvas) or the later date. With `best`, all are graded.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from commands.command_line import as_shown
from teacher.platforms.dates import days_late
from teacher.platforms.downloads import Attempt, read_download, read_parts
from teacher.platforms.people import Person, name_key
from teacher.platforms.worksheet import Row, Wishes, Worksheet
from teacher.reports import Mark
from teacher.submissions import find_submissions, plain_text
from utils import LabError


@dataclass
class HandedIn:
    """What is to be graded.

    Attributes:
        found: name and place of each submission, by name.
        people: name → the student as the platform names them.
        remarks: name → sentences about the submission.
        students: name → the student's name, where several submissions are graded.
        late: name → days after the deadline.
    """

    found: list[tuple[str, Path]]
    people: dict[str, Person] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    students: dict[str, str] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)

    def label(self, mark: Mark) -> None:
        """Writes into a mark who handed it in, and how late."""
        person = self.people.get(mark.submission)
        if person is not None:
            mark.platform, mark.id = person.platform, person.id
        mark.late_days = self.late.get(mark.submission)

    def chosen(self, marks: list[Mark]) -> list[Mark]:
        """One mark for each student: where several were graded, the best; the later of equals."""
        best: dict[str, Mark] = {}
        counts = Counter(self.students.get(mark.submission) for mark in marks)
        for mark in sorted(marks, key=lambda mark: mark.submission):
            name = self.students.get(mark.submission, mark.submission)
            worth = mark.total, mark.extra
            if name not in best or worth >= (best[name].total, best[name].extra):
                best[name] = mark
        for name, mark in best.items():
            if name != mark.submission:
                mark.remarks.append(f"the best of {counts[name]} submissions: {mark.submission}")
                self.people[name] = self.people[mark.submission]
                mark.submission = name
        return sorted(best.values(), key=lambda mark: mark.submission)


def collect(paths: list[Path], scratch: Path, wishes: Wishes) -> HandedIn:
    """Finds what was handed in, and when.

    Paths are downloads only if all of them are: a student's zip among others, named so, is none.

    Args:
        paths: downloads, or submissions and folders of these.
        scratch: a folder to unpack into.
        wishes: what the teacher wants; the worksheet knows the real names.

    Raises:
        LabError: when there is nothing, something cannot be read, or a wish cannot be met.
    """
    handed = find(paths, scratch, wishes)
    if wishes.sheet is not None:
        require_same_course(handed, wishes.sheet)
    if wishes.deadline is not None:
        note_lateness(handed, wishes.sheet, wishes.deadline)
    if wishes.feedback is not None and not handed.people and wishes.sheet is None:
        raise LabError("--feedback is for a download of Moodle or Canvas, or together with --fill")
    return handed


def find(paths: list[Path], scratch: Path, wishes: Wishes) -> HandedIn:
    """Downloads of platforms, or else submissions as they lie there."""
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise LabError(f"{path}: no such folder or zip")
    attempts: list[Attempt] | None = read_parts(paths, scratch)
    if attempts is None:
        attempts = []
        for position, path in enumerate(paths):
            own = read_download(path, position, scratch)
            if own is None:
                return HandedIn(find_submissions(paths))
            attempts += own
    return one_for_each(attempts, wishes.best, wishes.sheet)


def one_for_each(attempts: list[Attempt], best: bool, sheet: Worksheet | None) -> HandedIn:
    """Names the students, and takes the submissions that count."""
    own: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.order):
        own.setdefault((attempt.person.platform, attempt.person.id), []).append(attempt)
    names = student_names([each[-1].person for each in own.values()], sheet)
    handed = HandedIn([])
    for key, each in own.items():
        counted = each if best else each[-1:]
        for number, attempt in enumerate(counted, start=1):
            name = names[key]
            if len(counted) > 1:
                name = f"{name}, submission {number:02}"
                handed.students[name] = names[key]
            remarks = list(attempt.remarks)
            if attempt.person.is_late:
                remarks.append(f"late, says {attempt.person.platform.capitalize()}")
            if len(each) > len(counted):
                remarks.append(f"the latest of {len(each)} submissions")
            handed.found.append((name, attempt.place))
            handed.people[name], handed.remarks[name] = attempt.person, remarks
    handed.found.sort(key=lambda each: each[0])
    return handed


def student_names(people: list[Person], sheet: Worksheet | None) -> dict[tuple[str, str], str]:
    """Each student's name, with their number where two have the same."""
    known = {}
    if sheet is not None:
        known = {(sheet.platform, row.id): row.name for row in sheet.rows if row.name}
    names = {}
    for person in people:
        key = person.platform, person.id
        names[key] = plain_text(known.get(key) or person.name or person.id)
    counts = Counter(name.casefold() for name in names.values())
    return {
        key: f"{name} ({key[1]})" if counts[name.casefold()] > 1 else name
        for key, name in names.items()
    }


def note_lateness(handed: HandedIn, sheet: Worksheet | None, deadline: datetime) -> None:
    """Notes how many days after the deadline each student handed in.

    Raises:
        LabError: when nothing says when they did.
    """
    if sheet is None or not sheet.has_times:
        raise LabError(
            "--deadline: only Moodle's worksheet says when each student handed in "
            "(in English, German or another language of the guide); give it with --fill"
        )
    for name, _ in handed.found:
        row = row_of(handed, name, sheet)
        if row is not None and row.submitted is not None:
            handed.late[name] = days_late(row.submitted, deadline)


def row_of(handed: HandedIn, name: str, sheet: Worksheet) -> Row | None:
    """The row of a submission in a worksheet."""
    mark = Mark(name)
    handed.label(mark)
    return sheet.row_of(mark)


def require_same_course(handed: HandedIn, sheet: Worksheet) -> None:
    """Checks that a worksheet is about these submissions.

    Numbers alone do not tell: those of another course, or of another Moodle, may be the same.

    Raises:
        LabError: when no submission has a row in it, or most of them have one with another name.
    """
    path = sheet.table.path
    rows = {name: row_of(handed, name, sheet) for name, _ in handed.found}
    if not any(rows.values()):
        raise LabError(f"{path}: has no row for any submission; is it of another assignment?")
    people = [(handed.people[n], row) for n, row in rows.items() if row and n in handed.people]
    named = [(p.name, row.name) for p, row in people if row.name and p.name != p.id]
    others = [pair for pair in named if not have_common_word(*pair)]
    is_anonymous = len({name for name, _ in named}) == 1  # "Participant", in any language
    if 2 * len(others) > len(named) and not is_anonymous:
        name, there = map(as_shown, others[0])
        raise LabError(
            f"{path}: with the same number, '{name}' is '{there}' there, and {len(others)} of "
            f"{len(named)} likewise; is it of another course?"
        )


def have_common_word(name: str, other: str) -> bool:
    """Whether two names have a word in common; Canvas' downloads have no blanks between words."""
    words, others = name_key(name), name_key(other)
    if set(words) & set(others) or sorted("".join(words)) == sorted("".join(others)):
        return True
    return any(len(word) > 2 and word in "".join(words) for word in others)
