"""The commands: python -m teacher notebooks, python -m teacher book."""

import argparse
from pathlib import Path

from commands.command_line import whole
from teacher.book.site import make_book
from teacher.notebooks import NOTEBOOKS, write_notebooks


def add_notebooks(command: argparse.ArgumentParser) -> None:
    """Adds where the notebooks go, and which."""
    command.set_defaults(run=notebooks_command)
    command.add_argument(
        "--output",
        type=Path,
        default=NOTEBOOKS,
        metavar="DIR",
        help="where the .ipynb go (default: beside their scripts)",
    )
    command.add_argument("--only", type=whole, metavar="N", help="the chapter's notebook alone")


def add_book(command: argparse.ArgumentParser) -> None:
    """Adds where the book goes."""
    command.set_defaults(run=book_command)
    command.add_argument(
        "--output",
        type=Path,
        default=Path("book"),
        metavar="DIR",
        help="a new folder, or an older book (default: %(default)s)",
    )


def notebooks_command(args: argparse.Namespace) -> int:
    """Runs the notebooks, and says where they are."""
    for path in write_notebooks(args.output, args.only):
        print(path)
    print("next: python -m teacher book")
    return 0


def book_command(args: argparse.Namespace) -> int:
    """Builds the book, and says where it begins."""
    print(f"{args.output}: {make_book(args.output)} pages")
    print(f"next: open {args.output / 'index.html'} in a browser")
    return 0
