"""The frame of every command: its parser, the types of its arguments, `error: …`, exit codes.

For main.py, job.py, lab.py and the teacher's tools; `run_folder` beside it reads what several
commands need of a run. Only the standard library is imported at the top: `--help` answers at once,
and job.py runs with a login node's own Python.
"""

import argparse
import errno
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

LARGEST = 2**31 - 1


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

    What nobody can read any more is dropped, and the work goes on; then `is_abandoned`. `error` is
    another reason, such as a full disk. A character that the encoding lacks becomes `?`.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        self.error: OSError | None = None
        self.is_abandoned = False
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
            self.is_abandoned = True
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
        from commands.command_line.advice import line_about  # late: only when something went wrong

        line = getattr(error, "line", None) or line_about(str(error))
        if line is None:
            raise
    except MemoryError as error:
        line = f"out of memory ({error}); lower --batch-size or --img-size"
    except OSError as error:
        reason = error.strerror or (str(error).splitlines() or ["cannot be used"])[-1]
        from commands.command_line.advice import line_about

        line = line_about(reason) or f"{error.filename or 'a file'}: {reason}"
    except KeyboardInterrupt:
        return 130, "interrupted"
    return 2, f"error: {line}"
