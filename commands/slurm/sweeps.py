"""The runs of a sweep: a grid or a file of lines, seeds, and a name for each.

Standard library only.
"""

import itertools
import re
import shlex
import zlib
from collections.abc import Sequence
from pathlib import Path

from commands.command_line import CommandLine
from commands.slurm.trainings import LONGEST_NAME, PLACES, JobError, options_of, safe_name

SPEAKING = ("--loss", "--model", "--optimizer", "--scheduler")
"""Options whose value says by itself what it is; in a run's name others stand with theirs."""


def sweep_lines(
    grid: Sequence[str], file: Path | None, repeat: int, common: Sequence[str]
) -> list[list[str]]:
    """The options of each run, its name among them.

    Args:
        grid: options and their values, such as `lr=1,2`; every combination is a run.
        file: with a line of options for each run, instead of a grid.
        repeat: seeds for each.
        common: options that all runs have besides.

    Raises:
        JobError: for a grid, a file or options that make no sweep.
    """
    if bool(grid) == bool(file):
        raise JobError("say either --grid OPTION=A,B …, or --runs FILE, or --chain FILE")
    lines = grid_lines(grid) if grid else file_lines(file)
    require_apart(lines, common)
    return named(repeated(lines, repeat, common))


def require_apart(lines: list[list[str]], common: Sequence[str]) -> None:
    """Raises `JobError` for common options that belong to the runs, or stand there as well."""
    if {"--name", "--resume"} & {word.partition("=")[0] for word in common}:
        raise JobError("a sweep names its runs itself; leave out --name and --resume")
    both = {flag for line in lines for flag in options_of(line)} & options_of(common).keys()
    if both:
        raise JobError(
            f"{', '.join(sorted(both))} stands in the runs and behind -- train; leave one out"
        )


def grid_lines(grid: Sequence[str]) -> list[list[str]]:
    """Every combination of a grid.

    >>> grid_lines(["lr=1,2", "loss=ce"])
    [['--lr', '1', '--loss', 'ce'], ['--lr', '2', '--loss', 'ce']]
    """
    axes = {}
    for item in grid:
        key, equals, text = item.partition("=")
        flag = "--" + key.lstrip("-").replace("_", "-")
        try:
            values = [shlex.split(value) for value in text.split(",")]
        except ValueError as error:
            raise JobError(f"--grid {item}: {error}") from error
        if not equals or not key or not all(values):
            raise JobError(f"--grid {item}: write it as lr=1e-3,3e-4")
        if flag in axes:
            raise JobError(f"--grid names {flag} twice")
        axes[flag] = [[flag, *value] for value in values]
    return [list(itertools.chain(*choice)) for choice in itertools.product(*axes.values())]


def file_lines(path: Path) -> list[list[str]]:
    """The lines of a file of runs.

    Raises:
        JobError: for a line that is none, or when there is none.
    """
    lines = []
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobError(f"{path}: not a text file in UTF-8") from error
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            words = shlex.split(text, comments=True)
            if {"--resume", "--"} & options_of(words).keys():
                raise ValueError("a sweep names its runs itself; leave out --resume and --")
        except ValueError as error:
            raise JobError(f"{path}, line {number}: {error}") from error
        if words:
            lines.append(words)
    if not lines:
        raise JobError(f"{path}: no line describes a run")
    return lines


def repeated(lines: list[list[str]], count: int, common: Sequence[str]) -> list[list[str]]:
    """Each line with `count` seeds, from the common one on."""
    if count == 1:
        return lines
    if any("--seed" in options_of(line) for line in lines):
        raise JobError("--repeat chooses the seeds; leave --seed out of the runs")
    parser = CommandLine(prog="main.py train", add_help=False)
    parser.add_argument("--seed", type=int, default=0)
    first = parser.parse_known_args(list(common))[0].seed
    return [seeded(line, str(first + i)) for line in lines for i in range(count)]


def seeded(line: Sequence[str], seed: str) -> list[str]:
    """A line with a seed, which its name shows when it says one."""
    name = options_of(line).get("--name")
    return [*line, "--seed", seed, *(["--name", f"{' '.join(name)}-seed{seed}"] if name else [])]


def named(lines: list[list[str]]) -> list[list[str]]:
    """Gives every line a `--name` made of what differs, unless it says one.

    Raises:
        JobError: when two would be called the same.
    """
    options = [options_of(line) for line in lines]
    flags = dict.fromkeys(flag for each in options for flag in each if flag not in PLACES)
    differing = [flag for flag in flags if len({str(each.get(flag)) for each in options}) > 1]
    result: dict[str, list[str]] = {}
    for line, each in zip(lines, options, strict=True):
        parts = [name_part(flag, each[flag]) for flag in differing or flags if flag in each]
        name = " ".join(each.get("--name", ())) or short_name("-".join(parts) or "default")
        if name.casefold() in result:
            raise JobError(f"two runs would be called {name}; write a --name into their lines")
        result[name.casefold()] = line if "--name" in each else [*line, "--name", name]
    return list(result.values())


def short_name(text: str) -> str:
    """A safe name; one that is too long keeps its last part, the seed, and gets a checksum."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")
    if len(name) <= LONGEST_NAME:
        return safe_name(name)
    last = name.rpartition("-")[2][:12]
    end = f"-{zlib.crc32(text.encode()):08x}-{last}"
    return safe_name(name[: LONGEST_NAME - len(end)].rstrip("-.") + end)


def name_part(flag: str, values: Sequence[str]) -> str:
    """What an option contributes to a run's name.

    >>> name_part("--lr", ["1e-3"]), name_part("--loss", ["ce"]), name_part("--size", ["8", "9"])
    ('lr1e-3', 'ce', 'size8x9')
    """
    value = "x".join(values)
    if flag in SPEAKING:
        return value
    return flag.lstrip("-") + ("-" if value[:1].isalpha() else "") + value


def runs_text(lines: Sequence[Sequence[str]], common: Sequence[str]) -> str:
    """The file that describes the runs of a sweep, to be read by a person or `--runs`."""
    head = f"# Beside what all of them have: {shlex.join(['train', *common])}\n"
    return head + "".join(f"{shlex.join(line)}\n" for line in lines)
