"""The command: python -m teacher similar FOLDER."""

import argparse
from pathlib import Path

from commands.companion.todos import BY_NUMBER
from teacher.similar.gather import compare_class
from teacher.similar.show import likeness_page, what_was_found
from utils import write_text

PAGE = Path("similar.html")


def add_similar(command: argparse.ArgumentParser) -> None:
    """Adds what the comparison can be told."""
    command.set_defaults(run=similar_command)
    command.add_argument(
        "submissions", type=Path, metavar="FOLDER", help="folder of the submissions, or a zip"
    )
    command.add_argument(
        "--archive", type=Path, metavar="FOLDER", help="submissions of an older class"
    )
    command.add_argument(
        "--anonymous", action="store_true", help="numbers for names; comments are left out"
    )
    command.add_argument(
        "--output", type=Path, default=PAGE, metavar="FILE", help="the page (default: %(default)s)"
    )


def similar_command(args: argparse.Namespace) -> int:
    """Writes the page of likeness, and says where it is."""
    comparison = compare_class(args.submissions, args.archive, list(BY_NUMBER))
    write_text(args.output, likeness_page(comparison, args.anonymous))
    print(f"{args.output}: {what_was_found(comparison)}")
    print("next: open it, and read both answers of a pair: likeness is no proof")
    return 0
