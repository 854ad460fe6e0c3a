"""The teacher's commands: python -m teacher build | verify | grade."""

import argparse
import sys
from pathlib import Path

from support.todos import BY_NUMBER, CHAPTERS
from teacher.build import build
from teacher.pretrain import PRETRAINED, pretrain
from teacher.verify import default_workers, verify
from utils import CommandLine, LabError, run_command, whole


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = CommandLine(
        prog="teacher", description="Builds, proves and grades the student edition."
    )
    commands = parser.add_subparsers(required=True, metavar="{build,verify,pretrain}")
    command = commands.add_parser("build", help="write the student edition")
    command.set_defaults(run=build_command)
    command.add_argument("target", type=Path, metavar="DIR", help="a new folder")
    add_todos(command)
    command = commands.add_parser("verify", help="prove the tests", description=verify.__doc__)
    command.set_defaults(run=verify_command)
    add_todos(command)
    add_workers(command)
    command = commands.add_parser("pretrain", help="train the network that students get")
    command.set_defaults(run=pretrain_command)
    return parser


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
    """Writes the student edition, and says what comes next."""
    numbers = chosen(args.todos)
    files = build(args.target, numbers)
    print(f"{args.target}: {len(files)} files, {len(numbers)} TODOs to do")
    print("next: open its README.md; before handing it out, python -m teacher verify")
    return 0


def verify_command(args: argparse.Namespace) -> int:
    """Prints what is wrong with the tests; 1 if anything is."""
    faults = verify(chosen(args.todos), args.workers)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "the tests are proved: no faults")
    return 1 if faults else 0


def pretrain_command(args: argparse.Namespace) -> int:
    """Trains the small network of the student edition, and says how good it is."""
    print(f"{pretrain()}\n{PRETRAINED} is in the next edition")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(build_parser().parse_args()))
