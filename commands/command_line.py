"""The frame of every command: its parser, the types of its arguments, `error: …`, exit codes.

For main.py, job.py, lab.py and the teacher's tools, with the two readers of a run's folder that
several commands need. Only the standard library is imported at the top: `--help` answers at once,
and job.py runs with a login node's own Python.
"""

import argparse
import csv
import errno
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

LARGEST = 2**31 - 1
SCORED_COLUMNS = ("epoch", "step", "val_macro_f1", "val_mean_iou")
"""Columns of `history.csv` that have a finite number in every row."""


class CommandLine(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line and exit code 2.

    Args:
        describe: adds the arguments when the parser is used, so that a command which is not called
            imports nothing; None where they are added at once.
    """

    def __init__(
        self, *words: Any, describe: Callable[["CommandLine"], None] | None = None, **options: Any
    ) -> None:
        super().__init__(*words, **options)
        self.describe = describe

    def parse_known_args(self, *words: Any) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does, with the arguments described."""
        describe, self.describe = self.describe, None
        if describe is not None:
            describe(self)
        return super().parse_known_args(*words)

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


def fraction(text: str) -> float:
    """An argparse type: a number above 0 and below 1."""
    least, most = math.nextafter(0, 1), math.nextafter(1, 0)
    return _number(text, float, least, "a number above 0 and below 1", most)


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


def plain_path(text: str) -> str:
    """An argparse type: a path in UTF-8, as TensorBoard needs it where it writes."""
    if as_shown(text) != text:
        raise argparse.ArgumentTypeError(f"'{text}' is not in UTF-8; choose another folder")
    return text


def folder_name(text: str) -> str:
    """An argparse type: the name of one folder, not a path."""
    if Path(text).name != text or text in ("", ".", "..") or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{as_shown(text)!r} must be a plain folder name; --logdir says where it lies"
        )
    return text


def as_shown(text: str) -> str:
    """A text for people: the byte of a file name that is not UTF-8 is an escape, `\\xe9`."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:x}", text)


class LastingStream:
    """A standard stream that outlives its reader, such as `head` or a terminal that hung up.

    What nobody can read any more is dropped, and the work goes on; `error` is another reason, such
    as a full disk. A character that the encoding lacks becomes `?`.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        self.error: OSError | None = None
        if hasattr(self.stream, "reconfigure"):
            self.stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes a text; returns its length."""
        self._attempt(self.stream.write, as_shown(text))
        return len(text)

    def flush(self) -> None:
        """Passes on what is buffered."""
        self._attempt(self.stream.flush)

    def _attempt(self, write: Callable[..., object], *words: str) -> None:
        try:
            write(*words)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO, errno.EINVAL):  # as Windows has it
                self.error = error
            with suppress(OSError):  # what is still buffered must go somewhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


@contextmanager
def lasting_output() -> Iterator[LastingStream]:
    """Makes stdout and stderr outlive their readers; yields stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed by `>&-`: the next file to be opened must not take its place
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(LastingStream, before)
    try:
        yield sys.stdout
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parses the arguments, calls `args.run(args)`, and turns errors into one line on stderr.

    An error that the user can fix is a ValueError with a `line`, as `utils.LabError` is.

    Returns:
        The exit code: the command's own, 2 for an error, 130 after Ctrl-C.
    """
    with lasting_output() as output:
        code, line = _run(parser.parse_args(argv))
        output.flush()
        if output.error is not None and not line:
            code, line = 2, f"error: the output could not be written: {output.error.strerror}"
        if line:
            print(line, file=sys.stderr)
    return code


def _run(args: argparse.Namespace) -> tuple[int, str]:
    """Runs a command; returns its exit code, and the line for stderr, empty for none."""
    try:
        return args.run(args) or 0, ""
    except (ValueError, RuntimeError) as error:  # RuntimeError: a TODO to do, or what torch says
        line = getattr(error, "line", None) or _advice(str(error))
        if line is None:
            raise
    except MemoryError as error:
        line = f"out of memory ({error}); lower --batch-size or --img-size"
    except OSError as error:
        reason = error.strerror or (str(error).splitlines() or ["cannot be used"])[-1]
        line = _advice(reason) or f"{error.filename or 'a file'}: {reason}"
    except KeyboardInterrupt:
        return 130, "interrupted"
    return 2, f"error: {line}"


def _advice(text: str) -> str | None:
    from commands.advice import line_about  # late: only when something went wrong

    return line_about(text)


# --------------------------------------------------------- what commands read of a run's folder


def read_config(folder: Path) -> dict[str, Any]:
    """A run's `config.json`: its arguments, the fingerprints and labels of its data, versions.

    Raises:
        ValueError: one line, when the file is missing, damaged, or not of this lab.
    """
    path = folder / "config.json"
    with _one_line_about(path):
        config = json.loads(path.read_text(encoding="utf-8"))
        parts = [config["arguments"], config.get("versions", {}), config.get("resolved", {})]
        names = [config["labels"]["name"], *(row["name"] for row in config["labels"]["classes"])]
        is_right = len(config["data_fingerprint"].split()) == 2  # of training and validation
        is_right = is_right and all(isinstance(part, dict) for part in parts)
        if not is_right or not all(isinstance(name, str) for name in names):
            raise ValueError
    return config


def read_history(folder: Path) -> list[dict[str, float]]:
    """A run's `history.csv`: a row per epoch, column → number; no rows before the first epoch ends.

    Raises:
        ValueError: one line, when the file is damaged, or not of this lab.
    """
    path = folder / "history.csv"
    with _one_line_about(path):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [{key: float(row[key]) for key in row} for row in csv.DictReader(lines)]
        is_finite = all(math.isfinite(row[key]) for row in rows for key in SCORED_COLUMNS)
        if not is_finite or any(row["epoch"] >= after["epoch"] for row, after in pairwise(rows)):
            raise ValueError
    return rows


@contextmanager
def _one_line_about(path: Path) -> Iterator[None]:
    """Turns whatever reading a run's file may raise into a `ValueError` of one line."""
    kinds = OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or "damaged, or not of this lab"
        raise ValueError(
            f"{path}: no readable {path.name} ({reason}); choose another run, or leave this one out"
        ) from error
