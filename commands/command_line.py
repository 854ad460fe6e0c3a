"""The frame of every command: its parser, the types of its arguments, `error: …`, exit codes.

For main.py, job.py, lab.py and the teacher's tools. Only Python's standard library is imported at
the top: `--help` answers at once, and job.py runs with a login node's own Python.
"""

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

LARGEST = 2**31 - 1


class CommandLine(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Prints the line and exits."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def whole(text: str, least: int = 1, most: int = LARGEST) -> int:
    """An argparse type: a whole number between `least` and `most`."""
    wanted = f"a whole number, {least} or more"
    if most < LARGEST:
        wanted += f" and at most {most}"
    return int(_number(text, int, least, wanted, most))


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    return _number(text, float, math.nextafter(0, 1), "a number above 0")


def non_negative(text: str) -> float:
    """An argparse type: a finite number, 0 or more."""
    return _number(text, float, 0, "a number, 0 or more")


def below_one(text: str) -> float:
    """An argparse type: a number, 0 or more and below 1."""
    return _number(text, float, 0, "a number, 0 or more and below 1", math.nextafter(1, 0))


def _number(
    text: str, kind: type, least: float, wanted: str, most: float = sys.float_info.max
) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value


def accept_any_console() -> None:
    """Has stdout and stderr replace what they cannot encode, as an arrow in ASCII or cp1252."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parses the arguments, calls `args.run(args)`, and turns errors into one line on stderr.

    Args:
        parser: its commands set `run`.
        argv: the arguments; those of the process by default.

    Returns:
        The exit code: the command's own, 2 for an error, 130 after Ctrl-C.
    """
    accept_any_console()
    args = parser.parse_args(argv)
    from utils import LabError, python_command  # late: job.py's Python may have no numpy

    try:
        code = args.run(args) or 0
        sys.stdout.flush()
        return code
    except LabError as error:
        line = error.line
    except MemoryError as error:
        line = f"out of memory ({error}); lower --batch-size or --img-size"
    except NotImplementedError as error:  # in the student edition
        unsolved = re.search(r"TODO (\d+\.\d+)", str(error))
        if unsolved is None:
            raise
        line = f"{unsolved[0]} is still to do; see: {python_command()} lab.py hint {unsolved[1]}"
    except RuntimeError as error:  # how torch says it, on the GPU and on the CPU
        if re.search("DataLoader worker .*(killed|exited)", str(error)):
            line = "a process that loads images was killed (memory?); lower --num-workers"
        elif re.search("out of memory|can't allocate memory|bad_alloc", str(error)):
            line = "out of memory; lower --batch-size, --img-size or --base-channels"
        else:
            raise
    except BrokenPipeError:  # what reads our output has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        line = f"{error.filename or 'a file'}: {error.strerror or error}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"error: {line}", file=sys.stderr)
    return 2
