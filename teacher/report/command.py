"""The command: python -m teacher report MARKS."""

import argparse
from pathlib import Path

from teacher.page import counted
from teacher.report.records import read_graded
from teacher.report.show import class_page
from utils import write_text

PAGE = "class.html"


def add_report(command: argparse.ArgumentParser) -> None:
    """Adds what the report can be told."""
    command.set_defaults(run=report_command)
    command.add_argument(
        "marks", type=Path, metavar="MARKS", help="the table that grade wrote, or its folder"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help=f"the page (default: {PAGE} beside the table)"
    )


def report_command(args: argparse.Namespace) -> int:
    """Writes the page of a class, and says where it is."""
    graded = read_graded(args.marks)
    output = args.output or graded.table.with_name(PAGE)
    write_text(output, class_page(graded))
    print(f"{output}: {counted(len(graded.marks), 'submission')} at a glance")
    if graded.missing:
        print(f"{len(graded.missing)} are not in it: their record is missing; grade again")
    print("next: read the answers there that no cause was named for")
    return 0
