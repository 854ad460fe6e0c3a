"""Which trainings: the arguments of one, made fit for any folder, and the runs of a sweep.

Standard library only. The training is known as a command line and by the folder that it fills.
"""

import argparse
import csv
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

LAB = Path(__file__).resolve().parents[2]
TOYDATA = LAB / "toydata"
SPEAKING = ("--loss", "--model", "--optimizer", "--scheduler")
"""Options whose value says by itself what it is; in a run's name others stand with theirs."""
USR1 = getattr(signal, "SIGUSR1", None)
STOPPED = {130: "Ctrl-C", 138: "USR1", 143: "SIGTERM"}
PLACES = ("--logdir", "--name", "--device", "--num-workers")
"""Options that do not change what a run learns."""
FILES = ("--finetune-from", "--weights")
"""Options whose value is a path beside those of the data and the run."""
LONGEST_NAME = 60


class JobError(ValueError):
    """Anything that a user can cause and mend. Its message is the one line that they see."""


class CommandLine(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Prints the line and exits."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


@dataclass(frozen=True)
class Run:
    """One training: the folder that it fills, its data, and the arguments of `main.py train`."""

    folder: Path
    datadir: Path
    arguments: list[str]

    @property
    def is_finished(self) -> bool:
        """Whether it has reached its end: `summary.txt` is the last that a run writes."""
        return (self.folder / "summary.txt").is_file()


def safe_name(text: str) -> str:
    """A name that is safe in paths, in Slurm's patterns and on the command line."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")[:LONGEST_NAME] or "lab"


def plan_run(words: Sequence[str], name: str, *, needs_gpu: bool, may_exist: bool) -> Run:
    """Makes the arguments of `main.py train` independent of the folder that it runs in.

    Args:
        words: as given behind `train`.
        name: of the run, unless the words say one.
        needs_gpu: whether to fail rather than train on a CPU.
        may_exist: whether a run of this name may be there, to go on with.

    Raises:
        JobError: for a path that is not there, a run that is, or a name that is none.
    """
    parser = CommandLine(prog="main.py train", add_help=False)
    for flag in ("--datadir", "--logdir", "--name", "--resume", *FILES, "--device"):
        parser.add_argument(flag)
    parser.add_argument("--auto-resume", action="store_true")
    known, rest = parser.parse_known_args(list(words))
    if known.resume:
        if known.name or known.logdir:
            raise JobError("--resume says which run; leave out --name and --logdir")
        folder = absolute("--resume", known.resume)
        known.datadir = known.datadir or read_arguments(folder).get("datadir")
    else:
        name = name if known.name is None else known.name
        if Path(name).name != name or name in ("", ".", "..") or not name.isprintable():
            raise JobError(f"--name {name!r} must be a plain folder name")
        folder = Path(os.path.abspath(known.logdir or "runs")) / name
        if folder.exists() and not may_exist:
            raise JobError(
                f"{folder} is there already; choose another --name, or go on with it: "
                f"-- train --resume {shlex.quote(str(folder))}"
            )
    datadir = absolute("--datadir", known.datadir) if known.datadir else TOYDATA
    arguments = ["--datadir", str(datadir)]
    for flag, path in zip(FILES, (known.finetune_from, known.weights), strict=True):
        arguments += [flag, str(absolute(flag, path))] if path else []
    if known.device or needs_gpu:
        arguments += ["--device", known.device or "cuda"]
    arguments += [*rest, "--logdir", str(folder.parent), "--name", folder.name]
    return Run(folder, datadir, arguments)


def absolute(flag: str, text: str) -> Path:
    """The absolute path of something that must be there."""
    path = Path(os.path.abspath(text))
    if not path.exists():
        raise JobError(f"{flag} {text}: no such file or folder")
    return path


def read_arguments(folder: Path) -> dict:
    """The arguments with which a run began, as its `config.json` keeps them.

    Raises:
        JobError: when it is no run.
    """
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8"))["arguments"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"{folder} is no run: it has no readable config.json") from error


def options_of(words: Sequence[str]) -> dict[str, list[str]]:
    """The options among words, each with its values.

    >>> options_of(["--lr", "1e-3", "--img-size", "64", "128"])
    {'--lr': ['1e-3'], '--img-size': ['64', '128']}
    """
    options: dict[str, list[str]] = {}
    values: list[str] | None = None
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            values = options[flag] = [value] if equals else []
        elif values is None:
            raise JobError(f"{word} stands before any option; options begin with two dashes")
        else:
            values.append(word)
    return options


# ------------------------------------------------------------------------------------- sweeps


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


def require_no_option_twice(lines: Sequence[Sequence[str]], common: Sequence[str]) -> None:
    """Raises `JobError` for an option of the runs that stands behind the two dashes too."""
    both = {flag for line in lines for flag in options_of(line)} & options_of(common).keys()
    if both:
        raise JobError(
            f"{', '.join(sorted(both))} stands in the runs and behind -- train; leave one out"
        )


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


def agrees(run: Run) -> bool:
    """Whether a run that is there was trained with these very arguments."""
    try:
        begun = read_arguments(run.folder)
    except JobError:
        return False
    for flag, values in options_of(run.arguments).items():
        value = begun.get(flag.lstrip("-").replace("-", "_"))
        kept = value if isinstance(value, list) else [] if value is True else [value]
        if flag not in PLACES and [plain(str(each)) for each in kept] != [*map(plain, values)]:
            return False
    return True


def require_same_options(runs: Sequence[Run]) -> None:
    """Raises `JobError` when a run that is there began with options that are not given now.

    Going on keeps every option of the beginning, so a first try with `--limit 8` would else stand
    for the real run. What is given and differs, the training itself refuses.
    """
    for run in runs:
        try:
            config = json.loads((run.folder / "config.json").read_text(encoding="utf-8"))
            words = shlex.split(config["command"].splitlines()[0])
            begun = options_of(words[words.index("train") + 1 :])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        now = {*options_of(run.arguments), *PLACES, "--datadir", "--resume", "--auto-resume"}
        dropped = [" ".join([flag, *begun[flag]]) for flag in begun if flag not in now]
        if dropped:
            raise JobError(
                f"{shown(run.folder)} began with {', '.join(dropped)}, which is not given now; "
                "give it again, choose another --logdir, or delete that run"
            )


def plain(text: str) -> str:
    """A number or a path in the one way of writing it."""
    try:
        return repr(float(text))
    except ValueError:
        return os.path.realpath(text)


def read_progress(run: Path) -> tuple[str, str]:
    """The latest epoch of a run and its best validation macro F1, as text; "-" for none yet."""
    try:
        with (run / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return rows[-1]["epoch"], f"{max(float(row['val_macro_f1']) for row in rows):.4f}"
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return "-", "-"


def read_score(metrics: Path) -> str:
    """The macro F1 of a metrics.json, as text; "-" for none."""
    try:
        return f"{json.loads(metrics.read_text(encoding='utf-8'))['macro_f1']:.4f}"
    except (OSError, ValueError, LookupError, TypeError):
        return "-"


# ----------------------------------------------------------------------------------- trained here


def train_here(runs: Sequence[Run], logs: Path) -> int:
    """Trains runs one after another on this machine, with a log for each; returns the exit code."""
    make_toy_data(runs)
    failed, width = 0, max(len(run.folder.name) for run in runs)
    for number, run in enumerate(runs, start=1):
        line = f"[{number:>{len(str(len(runs)))}}/{len(runs)}] {run.folder.name:<{width}}  "
        if run.is_finished and agrees(run):
            print(f"{line}finished before: {score_of(run)}", flush=True)
            continue
        print(f"{line}{'goes on' if run.folder.exists() else 'begins'}", flush=True)
        start, log = time.monotonic(), logs / f"{safe_name(run.folder.name)}.log"
        code, stop = train_one(run, log)
        if code in STOPPED:
            print(f"{line}stopped by {STOPPED[code]}; the same command goes on")
            return code
        failed += code != 0
        said = last_line(log.read_text(encoding="utf-8", errors="replace"))
        result = score_of(run) if code == 0 else f"FAILED ({code}): {said}; see {shown(log)}"
        print(f"{line}{result}, {time.monotonic() - start:.0f} s", flush=True)
        if stop is not None:  # it came when this run was at its end
            print(f"stopped by {STOPPED.get(stop, 'USR1')}; the same command goes on", flush=True)
            return stop
    if failed:
        print(f"{failed} of {len(runs)} runs failed", file=sys.stderr)
    return int(failed > 0)


def training_command(run: Run) -> list[str]:
    """What trains a run on this machine, or goes on with it."""
    return [sys.executable, str(LAB / "main.py"), "train", "--auto-resume", *run.arguments]


def train_one(run: Run, log: Path) -> tuple[int, int | None]:
    """Trains one run with its output in a file; returns its exit code, and that of a stop signal.

    It runs in a session of its own, so that a Ctrl-C reaches it once, passed on from here.
    """
    with log.open("ab") as file:
        training = subprocess.Popen(
            training_command(run), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )

    stops = []

    def pass_on(number: int, frame: object) -> None:
        number = signal.SIGTERM if number not in (signal.SIGINT, USR1) else number
        stops.append(128 + number)
        if os.name == "posix":  # elsewhere the console itself has told the training
            training.send_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix":  # a closed terminal too, unless nohup has it ignored
        numbers += [signal.SIGUSR1, signal.SIGHUP]
    numbers = [each for each in numbers if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        code = training.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return (128 - code if code < 0 else code), (stops[-1] if stops else None)


def score_of(run: Run) -> str:
    """The epoch and the score of a run, in words."""
    epoch, score = read_progress(run.folder)
    return f"best macro F1 {score}, {epoch} epochs"


def make_toy_data(runs: Sequence[Run]) -> None:
    """Makes the toy data once and here, where runs want it, so that no two jobs make it at a time.

    Raises:
        JobError: when that fails.
    """
    if all(run.datadir != TOYDATA for run in runs):
        return
    command = [sys.executable, "-m", "toycity", "--output", str(TOYDATA)]
    done = subprocess.run(
        command, cwd=LAB, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode and not TOYDATA.is_dir():
        raise JobError(f"the toy data cannot be made here ({last_line(done.stderr)})")


def shown(path: Path) -> str:
    """A path as it is typed here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def last_line(text: str) -> str:
    """The last line that says something, without the program's name."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason given"]
    return re.sub(r"^(s[a-z]+: )?((error|fatal|warning): )?", "", lines[-1].strip())
