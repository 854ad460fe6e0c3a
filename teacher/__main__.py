"""The teacher's commands: python -m teacher build | verify | grade, and what else is below."""

import argparse
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path

from commands.command_line import CommandLine, positive, run_command, whole
from commands.companion.quiz import TITLES
from commands.companion.todos import BY_NUMBER, CHAPTERS
from teacher.book.command import add_book, add_notebooks
from teacher.build import build
from teacher.exam.sheets import write_exam
from teacher.grade import Grading, Limits, summary
from teacher.handout.classroom50 import build_classroom50, write_result
from teacher.handout.gradescope import build_gradescope
from teacher.platforms.handed_in import HandedIn, collect
from teacher.platforms.handing_back import hand_back, read_sheet
from teacher.platforms.roster import read_roster
from teacher.platforms.table import read_table
from teacher.platforms.worksheet import Wishes
from teacher.pretrain import PRETRAINED, pretrain
from teacher.report.command import add_report
from teacher.reports import not_graded, write_gradescope
from teacher.similar.command import add_similar
from teacher.submissions import the_submission
from teacher.verify import default_workers, verify
from utils import LabError


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = CommandLine(
        prog="teacher",
        description="Builds the student edition, grades it, and proves its tests.",
        epilog="The guide, in the order of a course: teacher/README.md",
    )
    commands = parser.add_subparsers(
        required=True,
        metavar="{build,grade,report,similar,exam,verify,notebooks,book,pretrain}",
    )
    command = commands.add_parser("build", help="write the student edition")
    command.set_defaults(run=build_command)
    command.add_argument(
        "target", nargs="?", type=Path, metavar="DIR", help="a new folder for the edition"
    )
    command.add_argument(
        "--classroom50",
        type=Path,
        metavar="DIR",
        help="write autograder.py, lab.zip and tests.json for Classroom 50 into a new folder",
    )
    command.add_argument(
        "--gradescope-zip", type=Path, metavar="FILE", help="write the autograder for Gradescope"
    )
    add_todos(command)
    add_grade(commands.add_parser("grade", help="grade submissions"))
    add_report(commands.add_parser("report", help="a graded class on one page"))
    add_similar(commands.add_parser("similar", help="compare the answers of a class"))
    add_exam(commands.add_parser("exam", help="write an exam sheet for each student, and the key"))
    command = commands.add_parser(
        "verify", help="prove that the tests find wrong answers", description=verify.__doc__
    )
    command.set_defaults(run=verify_command)
    add_todos(command)
    add_workers(command)
    add_notebooks(commands.add_parser("notebooks", help="run the notebooks on the toy streets"))
    add_book(commands.add_parser("book", help="text and notebooks as one site"))
    command = commands.add_parser("pretrain", help="train the network that students get")
    command.set_defaults(run=pretrain_command)
    return parser


def add_grade(command: argparse.ArgumentParser) -> None:
    """Adds what the grader can be told."""
    command.set_defaults(run=grade_command)
    command.add_argument(
        "submissions",
        nargs="+",
        type=Path,
        metavar="SUBMISSION",
        help="folders or zips, or folders full of these",
    )
    command.add_argument("--output", type=Path, metavar="FILE", help="the marks, as CSV")
    command.add_argument(
        "--gradescope", type=Path, metavar="DIR", help="write results.json of one submission there"
    )
    command.add_argument(
        "--classroom50", type=Path, metavar="FILE", help="write the result of one checkout there"
    )
    add_platforms(command)
    command.add_argument(
        "--seconds",
        type=positive,
        default=30.0,
        metavar="S",
        help="time for the tests of a TODO; twice that for the export (default: %(default)s)",
    )
    command.add_argument(
        "--megabytes",
        type=whole,
        default=3000,
        metavar="MB",
        help="memory for the tests of a TODO (default: %(default)s)",
    )
    command.add_argument(
        "--partial",
        action="store_true",
        help="a part of the points for a wrong answer that passes some of the tests",
    )
    add_todos(command)
    add_workers(command)


def add_exam(command: argparse.ArgumentParser) -> None:
    """Adds what an exam is made of."""
    command.set_defaults(run=exam_command)
    command.add_argument(
        "--roster",
        type=Path,
        required=True,
        metavar="FILE",
        help="Moodle's worksheet, Canvas' gradebook, or a CSV file with names",
    )
    command.add_argument(
        "--output", type=Path, default=Path("exam"), metavar="DIR", help="default: %(default)s"
    )
    command.add_argument(
        "--chapters",
        nargs="+",
        type=partial(whole, most=max(TITLES)),
        default=sorted(TITLES),
        metavar="N",
        help="chapters that are asked about (default: all)",
    )
    command.add_argument(
        "--questions", type=whole, default=6, metavar="N", help="how many (default: %(default)s)"
    )
    command.add_argument(
        "--seed",
        type=partial(whole, least=0),
        default=0,
        metavar="N",
        help="chooses questions and numbers (default: %(default)s)",
    )


def add_platforms(command: argparse.ArgumentParser) -> None:
    """Adds what goes back to a learning platform."""
    group = command.add_argument_group("Moodle and Canvas")
    group.add_argument(
        "--fill",
        type=Path,
        metavar="FILE.csv",
        help="write Moodle's grading worksheet or Canvas' gradebook, filled, beside this one",
    )
    group.add_argument("--again", action="store_true", help="replace marks that it has already")
    group.add_argument("--assignment", metavar="TITLE", help="which column of Canvas' gradebook")
    group.add_argument(
        "--feedback", type=Path, metavar="FILE.zip", help="write the reports for the platform"
    )
    group.add_argument(
        "--roster", type=Path, metavar="FILE", help="all students: say who has not handed in"
    )
    group.add_argument(
        "--deadline",
        type=moment,
        metavar="TIME",
        help="count days after it (2026-06-30, or '2026-06-30 18:00'); needs Moodle's --fill",
    )
    group.add_argument(
        "--best",
        action="store_true",
        help="of several submissions of a student the best counts, not the latest",
    )


def moment(text: str) -> datetime:
    """An argparse type: a day, which means its end, or a day with a time."""
    try:
        time_of_day = " 23:59" if len(text) == len("2026-06-30") else ""
        return datetime.fromisoformat(text + time_of_day).replace(tzinfo=None)
    except ValueError as error:
        wanted = "a day such as 2026-06-30, or '2026-06-30 18:00'"
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}") from error


def add_todos(parser: argparse.ArgumentParser) -> None:
    """Adds the choice of TODOs."""
    parser.add_argument(
        "--todos", nargs="+", metavar="N", help="chapters or TODOs, such as 3 or 4.1 (default: all)"
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Adds the number of processes."""
    parser.add_argument(
        "--workers",
        type=whole,
        default=default_workers(),
        metavar="N",
        help="processes at a time (default: %(default)s)",
    )


def chosen(words: list[str] | None) -> list[str]:
    """The numbers of the TODOs that chapters and numbers on the command line mean.

    Raises:
        LabError: for one that is not there.
    """
    if words is None:
        return list(BY_NUMBER)
    for word in words:
        if word not in BY_NUMBER and word not in map(str, CHAPTERS):
            raise LabError(f"--todos {word}: there is no such chapter or TODO")
    return [n for n in BY_NUMBER if n in words or n.split(".")[0] in words]


def build_command(args: argparse.Namespace) -> int:
    """Writes the student edition or an autograder, and says what comes next."""
    if args.target is None and args.classroom50 is None and args.gradescope_zip is None:
        raise LabError(
            "say what to write: a new folder, --classroom50 DIR or --gradescope-zip FILE"
        )
    numbers = chosen(args.todos)
    if args.target is not None:
        files = build(args.target, numbers)
        optional = sum(BY_NUMBER[number].is_optional for number in numbers)
        more = f" and {optional} optional ones" if optional else ""
        print(f"{args.target}: {len(files)} files, {len(numbers) - optional} TODOs{more} to do")
        print("next: open its README.md; before handing it out, python -m teacher verify")
    if args.classroom50 is not None:
        autograder, lab, tests = build_classroom50(args.classroom50, numbers)
        print(f"{autograder}, {lab.name}: for marks; {lab.name} has the solutions")
        print(f"{tests}: for feedback alone, without solutions")
        print("next: teacher/README.md, Classroom 50, says which to use, and where they go")
    if args.gradescope_zip is not None:
        count = build_gradescope(args.gradescope_zip)
        print(f"{args.gradescope_zip}: {count} files; next: upload it as the autograder")
    return 0


def verify_command(args: argparse.Namespace) -> int:
    """Prints what is wrong with the tests; 1 if anything is."""
    faults = verify(chosen(args.todos), args.workers)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "the tests are proved: no faults")
    return 1 if faults else 0


def grade_command(args: argparse.Namespace) -> int:
    """Grades submissions, and says where the marks are."""
    is_single = args.gradescope is not None or args.classroom50 is not None
    if args.output is None and not is_single:
        raise LabError(
            "say where the marks go: --output marks.csv, --gradescope DIR or --classroom50 FILE"
        )
    start, numbers, wishes = time.monotonic(), chosen(args.todos), wishes_of(args)
    limits = Limits(args.seconds, args.megabytes)
    if args.gradescope is not None:
        write_gradescope(
            args.gradescope, not_graded(numbers, "the grading did not come to its end")
        )
    with tempfile.TemporaryDirectory(prefix="handed-in-", ignore_cleanup_errors=True) as scratch:
        if is_single:
            handed = HandedIn([the_submission(args.submissions)])
        else:
            handed = collect(args.submissions, Path(scratch).resolve(), wishes)
        marks = Grading(handed, args.output, numbers, limits, args.partial).run(args.workers)
    if args.gradescope is not None:
        write_gradescope(args.gradescope, marks[0])
    if args.classroom50 is not None:
        write_result(args.classroom50, marks[0])
    print(summary(marks, time.monotonic() - start))
    if args.output is not None:
        print(f"{args.output}: the marks; {args.output.parent / 'reports'}: a report for each")
    for line in hand_back(marks, handed, wishes, args.output):
        print(line)
    return 0


def exam_command(args: argparse.Namespace) -> int:
    """Writes the sheets and the key, and says what comes next."""
    students = read_roster(args.roster)
    numbers = write_exam(students, args.output, args.chapters, args.questions, args.seed)
    print(f"{args.output / 'sheets.html'}: {len(students)} sheets of {len(numbers)} questions")
    print(f"{args.output / 'key.html'}: the answers, and what wrong ones come of")
    print("next: open both in a browser and print them")
    return 0


def wishes_of(args: argparse.Namespace) -> Wishes:
    """What the teacher wants back; the files for it are read before the grading begins."""
    if args.gradescope is not None or args.classroom50 is not None:
        wishes = ("fill", "feedback", "roster", "deadline", "best")
        named = [name for name in wishes if getattr(args, name)]
        if named:
            raise LabError(f"--{named[0]} is for many submissions, with --output")
    given = {path.resolve() for path in (*args.submissions, args.fill, args.roster) if path}
    for path in (args.output, args.feedback):
        if path is not None and path.resolve() in given:
            raise LabError(f"{path}: is one of the files that you give; choose a new name")
    if args.classroom50 is not None and args.partial:
        raise LabError("--partial gives parts of points; Classroom 50 takes whole ones alone")
    if args.again and args.fill is None:
        raise LabError("--again is about the marks of --fill")
    if args.assignment and args.fill is None:
        raise LabError("--assignment is a column of the gradebook that --fill names")
    sheet = read_sheet(args.fill, args.assignment) if args.fill else None
    roster = read_table(args.roster) if args.roster else None
    return Wishes(sheet, args.again, args.feedback, roster, args.deadline, args.best)


def pretrain_command(args: argparse.Namespace) -> int:
    """Trains the small network of the student edition, and says how good it is."""
    print(f"{pretrain()}\n{PRETRAINED} is in the next edition")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(build_parser()))
