"""A training: its arguments made fit for any folder, what its folder says, and training it here.

Standard library only. The training is known as a command line and by the folder that it fills.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands.command_line import CommandLine, folder_name
from commands.command_line.run_folder import read_config, read_history

LAB = Path(__file__).resolve().parents[2]
TOYDATA = LAB / "toydata"
USR1 = getattr(signal, "SIGUSR1", None)
STOPPED = {130: "Ctrl-C", 138: "USR1", 143: "SIGTERM"}
PLACES = ("--logdir", "--name", "--device", "--num-workers")
"""Options that do not change what a run learns."""
FILES = ("--finetune-from", "--weights")
"""Options whose value is a path beside those of the data and the run."""
LONGEST_NAME = 60


class JobError(ValueError):
    """Anything that a user can cause and fix. Its message is the one line that they see."""

    @property
    def line(self) -> str:
        """The message."""
        return str(self)


@dataclass(frozen=True)
class Training:
    """The folder that one run of `main.py train` fills, its data, and its arguments."""

    folder: Path
    datadir: Path
    arguments: list[str]


def plan_training(words: Sequence[str], name: str, *, needs_gpu: bool, may_exist: bool) -> Training:
    """Makes the arguments of `main.py train` independent of the folder that it runs in.

    Args:
        words: as given behind `train`.
        name: of the run, unless the words say one.
        needs_gpu: whether to fail rather than train on a CPU.
        may_exist: whether a run of this name may be there, to be resumed.

    Raises:
        JobError: for a path that is not there, or a run that is.
    """
    parser = CommandLine(prog="main.py train", add_help=False)
    for flag in ("--datadir", "--logdir", "--resume", *FILES, "--device"):
        parser.add_argument(flag)
    parser.add_argument("--name", type=folder_name)
    parser.add_argument("--auto-resume", action="store_true")
    known, rest = parser.parse_known_args(list(words))
    if known.resume:
        if known.name or known.logdir:
            raise JobError("--resume says which run; leave out --name and --logdir")
        folder = absolute("--resume", known.resume)
        known.datadir = known.datadir or begun_arguments(folder).get("datadir")
    else:
        folder = Path(os.path.abspath(known.logdir or "runs"), known.name or name)
        if folder.exists() and not may_exist:
            raise JobError(
                f"{folder} is there already; choose another --name, or resume it: "
                f"-- train --resume {shlex.quote(str(folder))}"
            )
    datadir = absolute("--datadir", known.datadir) if known.datadir else TOYDATA
    arguments = ["--datadir", str(datadir)]
    for flag, path in zip(FILES, (known.finetune_from, known.weights), strict=True):
        arguments += [flag, str(absolute(flag, path))] if path else []
    if known.device or needs_gpu:
        arguments += ["--device", known.device or "cuda"]
    arguments += [*rest, "--logdir", str(folder.parent), "--name", folder.name]
    return Training(folder, datadir, arguments)


def absolute(flag: str, text: str) -> Path:
    """The absolute path of something that must be there."""
    path = Path(os.path.abspath(text))
    if not path.exists():
        raise JobError(f"{flag} {text}: no such file or folder")
    return path


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


# ------------------------------------------------------------------------- what a run's folder says


def begun_arguments(folder: Path) -> dict[str, Any]:
    """The arguments with which a run began.

    Raises:
        JobError: when it is no run.
    """
    try:
        return read_config(folder)["arguments"]
    except ValueError as error:
        raise JobError(str(error)) from error


def is_finished(training: Training) -> bool:
    """Whether a run of these very arguments has written its last file, `summary.txt`."""
    if not (training.folder / "summary.txt").is_file():
        return False
    try:
        begun = begun_arguments(training.folder)
    except JobError:
        return False
    for flag, values in options_of(training.arguments).items():
        value = begun.get(flag.lstrip("-").replace("-", "_"))
        kept = value if isinstance(value, list) else [] if value is True else [value]
        if flag not in PLACES and [plain(str(each)) for each in kept] != [*map(plain, values)]:
            return False
    return True


def plain(text: str) -> str:
    """A number or a path in the one way of writing it."""
    try:
        return repr(float(text))
    except ValueError:
        return os.path.realpath(text)


def require_same_options(trainings: Sequence[Training]) -> None:
    """Raises `JobError` when a run that is there began with options that are not given now.

    A resumed run keeps every option that it began with, so a first try with `--limit 8` would else
    stand for the real run. What is given and differs, the training itself refuses.
    """
    for training in trainings:
        try:
            words = shlex.split(read_config(training.folder)["command"].splitlines()[0])
            begun = options_of(words[words.index("train") + 1 :])
        except (ValueError, LookupError, AttributeError):
            continue
        now = {*options_of(training.arguments), *PLACES, "--datadir", "--resume", "--auto-resume"}
        dropped = [" ".join([flag, *begun[flag]]) for flag in begun if flag not in now]
        if dropped:
            raise JobError(
                f"{shown(training.folder)} began with {', '.join(dropped)}, which is not given "
                "now; give it again, choose another --logdir, or delete that run"
            )


def progress(folder: Path) -> tuple[str, str]:
    """The latest epoch of a run and its best validation macro F1, as text; "-" for none yet."""
    try:
        history = read_history(folder)
    except ValueError:
        history = []
    if not history:
        return "-", "-"
    return f"{history[-1]['epoch']:.0f}", f"{max(row['val_macro_f1'] for row in history):.4f}"


# ----------------------------------------------------------------------------------- trained here


def train_here(trainings: Sequence[Training], logs: Path, is_chain: bool = False) -> int:
    """Trains one run after another on this machine, with a log for each; returns the exit code.

    In a chain, a run that fails is the last one.
    """
    make_toy_data(trainings)
    failed, width = 0, max(len(each.folder.name) for each in trainings)
    for number, training in enumerate(trainings, start=1):
        folder, count = training.folder, f"{number:>{len(str(len(trainings)))}}/{len(trainings)}"
        line = f"[{count}] {folder.name:<{width}}  "
        if is_finished(training):
            print(f"{line}finished before: {score_of(folder)}", flush=True)
            continue
        print(f"{line}{'resumes' if folder.exists() else 'begins'}", flush=True)
        start, log = time.monotonic(), logs / f"{safe_name(folder.name)}.log"
        code, stop = train_one(training, log)
        if code in STOPPED:
            print(f"{line}stopped by {STOPPED[code]}; the same command resumes it")
            return code
        failed += code != 0
        said = last_line(log.read_text(encoding="utf-8", errors="replace"))
        result = score_of(folder) if code == 0 else f"FAILED ({code}): {said}; see {shown(log)}"
        print(f"{line}{result}, {time.monotonic() - start:.0f} s", flush=True)
        if is_chain and code:
            return 1
        if stop is not None:  # it came when this run was at its end
            print(f"stopped by {STOPPED.get(stop, 'USR1')}; the same command resumes", flush=True)
            return stop
    if failed:
        print(f"{failed} of {len(trainings)} runs failed", file=sys.stderr)
    return int(failed > 0)


def training_command(training: Training) -> list[str]:
    """What trains a run on this machine, or resumes it."""
    return [sys.executable, str(LAB / "main.py"), "train", "--auto-resume", *training.arguments]


def train_one(training: Training, log: Path) -> tuple[int, int | None]:
    """Trains one run with its output in a file; returns its exit code, and that of a stop signal.

    It runs in a session of its own, so that a Ctrl-C reaches it once, passed on from here.
    """
    command = training_command(training)
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )

    stops = []

    def pass_on(number: int, frame: object) -> None:
        number = signal.SIGTERM if number not in (signal.SIGINT, USR1) else number
        stops.append(128 + number)
        if os.name == "posix":  # elsewhere the console itself has told the training
            process.send_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix":  # a closed terminal too, unless nohup has it ignored
        numbers += [signal.SIGUSR1, signal.SIGHUP]
    numbers = [each for each in numbers if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return (128 - code if code < 0 else code), (stops[-1] if stops else None)


def score_of(folder: Path) -> str:
    """The epoch and the score of a run, in words."""
    epoch, score = progress(folder)
    return f"best macro F1 {score}, {epoch} epochs"


def make_toy_data(trainings: Sequence[Training]) -> None:
    """Makes the toy data once and here, where runs want it, so that no two jobs make it at a time.

    Raises:
        JobError: when that fails.
    """
    if all(each.datadir != TOYDATA for each in trainings):
        return
    command = [sys.executable, "-m", "toycity", "--output", str(TOYDATA)]
    done = subprocess.run(
        command, cwd=LAB, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode and not TOYDATA.is_dir():
        raise JobError(f"the toy data cannot be made here ({last_line(done.stderr)})")


# ------------------------------------------------------------------------------------------ words


def safe_name(text: str) -> str:
    """A name that is safe in paths, in Slurm's patterns and on the command line."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")[:LONGEST_NAME] or "lab"


def shown(path: Path) -> str:
    """A path as it is typed here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def last_line(text: str) -> str:
    """The last line that says something, without the program's name."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason given"]
    return re.sub(r"^(s[a-z]+: )?((error|fatal|warning): )?", "", lines[-1].strip())
