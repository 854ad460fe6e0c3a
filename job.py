"""Slurm jobs around `python main.py train …`, and sweeps of many runs, on a cluster or here.

    python job.py submit --time 4:00:00 --gpus-per-node 1 -- train --datadir cityscapes --name base
    python job.py sweep --grid lr=1e-3,3e-4 loss=ce,wce,focal --repeat 3 --at-most 4 -- train
    python job.py sweep --grid loss=ce,wce,focal --local -- train --epochs 5
    python job.py status
    python job.py cancel 1234

A job runs the code as it was committed when the job was handed in. Before its time is up the
training saves itself; the job then hands itself in again, and the training goes on where it was.
All that concerns a job lies in `jobs/NAME-TIME/`: `job.sh`, `job.json`, `code/` and the log.

It knows the training as a command line alone, and needs nothing but Python's standard library.
"""

import argparse
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from support.jobs import (
    JOBS,
    LAB,
    JobError,
    NoAnswerError,
    Order,
    Run,
    check_script,
    gpu_count,
    hand_in,
    last_line,
    memory_size,
    new_folder,
    plain_word,
    planned_folder,
    queue_states,
    read_progress,
    read_records,
    safe_name,
    seconds_of,
    slurm,
    take_snapshot,
    testing_script,
    time_limit,
    training_script,
    whole,
    write_record,
)

TOYDATA = LAB / "toydata"
STOPPED = {130: "Ctrl-C", 138: "USR1", 143: "SIGTERM"}
SPEAKING = ("--loss", "--model", "--optimizer", "--scheduler")
"""Options whose value says by itself what it is; in a run's name others stand with theirs."""
PLACES = ("--logdir", "--name", "--device", "--num-workers")
"""Options that do not change what a run learns."""


class CommandLine(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Prints the line and exits."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    args = build_parser().parse_args(argv[:cut])
    args.words = argv[cut + 1 :]
    try:
        return args.run(args)
    except JobError as error:
        line = str(error)
    except OSError as error:
        line = f"{error.filename or 'a file'}: {error.strerror or error}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"error: {line}", file=sys.stderr)
    return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands."""
    parser = CommandLine(
        prog="job.py",
        description="Long trainings on a cluster with Slurm, and sweeps of many.",
        epilog="Begin with: python job.py submit --dry-run -- train",
    )
    commands = parser.add_subparsers(required=True, metavar="{submit,sweep,status,cancel}")

    def add(name: str, run: object, text: str, usage: str | None = None) -> CommandLine:
        command = commands.add_parser(name, help=text, description=f"{text}.", usage=usage)
        command.set_defaults(run=run)
        return command

    usage = "job.py {} [options] -- train [options of main.py train]"
    command = add("submit", submit, "hand in one training as a job", usage.format("submit"))
    add_order(command)
    command.add_argument(
        "--then-test",
        action="store_true",
        help="a second job judges the network on val when the training has succeeded (default: no)",
    )
    command = add("sweep", sweep, "many trainings that differ", usage.format("sweep --grid …"))
    add_order(command)
    add_sweep(command)
    command = add("status", status, "this lab's jobs, their latest epochs and best scores")
    command.add_argument("--logdir", metavar="DIR", help="only runs in this folder (default: all)")
    command = add("cancel", cancel, "end jobs; the trainings save themselves first")
    command.add_argument("jobs", nargs="+", metavar="JOB", help="number or folder name of a job")
    return parser


def add_order(command: argparse.ArgumentParser) -> None:
    """Describes what submit and sweep share: what is asked of Slurm, and how."""
    add = command.add_argument_group("asked of Slurm").add_argument
    add("--time", type=time_limit, metavar="T", help="limit: minutes, H:MM:SS or D-HH (cluster's)")
    add("--mem", type=memory_size, metavar="M", help="memory per node, as 32G (the cluster's)")
    add("--gpus-per-node", type=gpu_count, metavar="G", help="GPUs, as 2 or a100:2 (none)")
    add("--nodes", type=whole, default=1, metavar="N", help="machines (1)")
    processes_help = "processes of the training on each node (one per GPU, or 1)"
    add("--processes-per-node", type=whole, metavar="N", help=processes_help)
    add("--cpus", type=whole, default=2, metavar="N", help="cores for each process (2)")
    for flag in ("--partition", "--account", "--qos", "--constraint"):
        add(flag, type=plain_word, metavar="NAME", help="as your cluster names it (the cluster's)")
    option_help = "a further option of sbatch, as --slurm-option=--exclude=n3; may be repeated"
    add(
        "--slurm-option",
        type=plain_word,
        action="append",
        default=[],
        metavar="O",
        help=option_help,
    )
    grace_help = "seconds before the limit at which the training saves itself (120)"
    add("--grace", type=partial(whole, least=5), default=120, metavar="S", help=grace_help)
    restarts_help = "how often a job may go on in another time slot (20)"
    add("--max-restarts", type=partial(whole, least=0), default=20, metavar="N", help=restarts_help)
    add = command.add_argument_group("the job").add_argument
    add("--job-name", type=safe_name, metavar="NAME", help="name in the queue (the run's)")
    setup_help = "shell command before the training, as 'module load python'; python is then its"
    add("--setup", default="", metavar="COMMAND", help=setup_help)
    add("--python", metavar="PATH", help="the interpreter (this one, or that of --setup)")
    dirty_help = "take uncommitted changes along, and keep them as changes.diff (refused)"
    add("--allow-dirty", action="store_true", help=dirty_help)
    add("--dry-run", action="store_true", help="print the script and do nothing; needs no Slurm")
    add("--check", action="store_true", help="ask Slurm whether it would take the job; no more")


def add_sweep(command: argparse.ArgumentParser) -> None:
    """Describes what sweep has beside that."""
    add = command.add_argument_group("the runs").add_argument
    grid_help = "options and their values; every combination is a run"
    add("--grid", nargs="+", default=[], metavar="OPTION=A,B", help=grid_help)
    runs_help = "a file with the options of one run in each line; # begins a comment"
    add("--runs", type=Path, metavar="FILE", help=runs_help)
    add("--repeat", type=whole, default=1, metavar="N", help="seeds for each (1)")
    add("--at-most", type=whole, metavar="N", help="runs at a time (as many as there is room for)")
    add("--local", action="store_true", help="train here, one after another, without Slurm")


# ------------------------------------------------------------------------------------ what to run


def train_words(args: argparse.Namespace) -> list[str]:
    """What stands behind `-- train`.

    Raises:
        JobError: when that is not there.
    """
    if not args.words or args.words[0] != "train":
        raise JobError("what to train goes behind two dashes, as in: -- train --epochs 20")
    return args.words[1:]


def plan_run(words: Sequence[str], name: str, *, needs_gpu: bool, may_exist: bool) -> Run:
    """Makes the arguments of `main.py train` independent of the folder that it runs in.

    Args:
        words: as given behind `train`.
        name: of the run, unless the words say one.
        needs_gpu: whether to fail rather than train on a CPU.
        may_exist: whether a run of this name may be there, to go on with.

    Raises:
        JobError: for a path that is not there, or a run that is.
    """
    parser = CommandLine(prog="main.py train", add_help=False)
    for flag in ("--datadir", "--logdir", "--name", "--resume", "--finetune-from", "--device"):
        parser.add_argument(flag)
    parser.add_argument("--auto-resume", action="store_true")
    known, rest = parser.parse_known_args(list(words))
    if known.resume:
        if known.name or known.logdir:
            raise JobError("--resume says which run; leave out --name and --logdir")
        folder = absolute("--resume", known.resume)
        known.datadir = known.datadir or read_arguments(folder).get("datadir")
    else:
        folder = Path(os.path.abspath(known.logdir or "runs")) / (known.name or name)
        if folder.exists() and not may_exist:
            raise JobError(
                f"{folder} is there already; choose another --name, or go on with it: "
                f"-- train --resume {shlex.quote(str(folder))}"
            )
    datadir = absolute("--datadir", known.datadir) if known.datadir else TOYDATA
    arguments = ["--datadir", str(datadir)]
    if known.finetune_from:
        arguments += ["--finetune-from", str(absolute("--finetune-from", known.finetune_from))]
    if known.device or needs_gpu:
        arguments += ["--device", known.device or "cuda"]
    return Run(folder, [*arguments, *rest, "--logdir", str(folder.parent), "--name", folder.name])


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


def make_order(args: argparse.Namespace) -> Order:
    """What is asked of Slurm.

    Raises:
        JobError: for a time limit that leaves no time to train.
    """
    if args.time and seconds_of(args.time) <= args.grace:
        raise JobError(
            f"--time {args.time} is {seconds_of(args.time)} s, and {args.grace} s before its end "
            "the training saves itself; ask for more, or lower --grace"
        )
    gpus = int(args.gpus_per_node.rpartition(":")[2]) if args.gpus_per_node else 1
    names = {flag: vars(args)[flag] for flag in ("partition", "account", "qos", "constraint")}
    return Order(
        time=args.time,
        memory=args.mem,
        gpus=args.gpus_per_node,
        nodes=args.nodes,
        processes=args.processes_per_node or gpus,
        cpus=args.cpus,
        extra=(
            *(f"--{flag}={value}" for flag, value in names.items() if value),
            *args.slurm_option,
        ),
        grace=args.grace,
        max_restarts=args.max_restarts,
        setup=args.setup,
        python=args.python or ("python" if args.setup else sys.executable),
    )


# ---------------------------------------------------------------------------------------- submit


def submit(args: argparse.Namespace) -> int:
    """The command `submit`."""
    order, words = make_order(args), train_words(args)
    default = f"{args.job_name or 'train'}-{datetime.now():%Y%m%d-%H%M%S}"
    run = plan_run(words, default, needs_gpu=bool(order.gpus), may_exist=False)
    title = "train" if run.folder.name == default else safe_name(run.folder.name)
    number = launch(args, order, args.job_name or title, [run], is_array=False)
    if number:
        print(f"job {number} trains {shown(run.folder)}; watch it with: python job.py status")
    return 0


def launch(
    args: argparse.Namespace, order: Order, name: str, runs: list[Run], *, is_array: bool
) -> str | None:
    """Writes a job's folder and hands it in, or only shows or checks it, as asked.

    Returns:
        The number of the job, or None when it was not handed in.
    """
    options = order.options(name, *((len(runs), args.at_most) if is_array else ()))
    if args.dry_run or args.check:
        folder = planned_folder(name)
        script = training_script(order, options, folder, runs, "the committed code")
        check_script(script)
        if args.dry_run:
            print(script, end="")
            if vars(args).get("then_test"):
                print("\n" + test_script(order, name, folder, runs[0])[0], end="")
        else:
            print(ask_slurm(script, options))
        return None
    require_idle(runs)
    make_toy_data(runs)
    folder = new_folder(name)
    try:
        return fill_and_hand_in(args, order, options, folder, runs, is_array)
    except NoAnswerError:
        raise  # it may have been taken nevertheless
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def fill_and_hand_in(
    args: argparse.Namespace,
    order: Order,
    options: list[str],
    folder: Path,
    runs: list[Run],
    is_array: bool,
) -> str:
    """Fills a job's folder and hands the job in; returns its number."""
    outside = [JOBS, *(run.folder.parent for run in runs)]
    outside += [Path(options_of(run.arguments)["--datadir"][0]) for run in runs]
    origin = take_snapshot(folder, sorted(set(outside)), args.allow_dirty)
    script = training_script(order, options, folder, runs, f"the code of commit {origin}")
    check_script(script)
    (folder / "job.sh").write_text(script, encoding="utf-8", newline="\n")
    for run in runs:
        run.folder.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "submitted": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "command": shlex.join(["python", "job.py", *sys.argv[1:]]),
        "commit": origin,
        "is_array": is_array,
        "id": None,
        "test_id": None,
        "runs": [{"folder": str(run.folder), "arguments": run.arguments} for run in runs],
    }
    write_record(folder, record)
    record["id"] = hand_in(folder / "job.sh", options)
    write_record(folder, record)
    if vars(args).get("then_test"):
        try:
            record["test_id"] = hand_in_test(order, folder, runs[0], record["id"])
        except JobError:
            slurm("scancel", record["id"])
            raise
        write_record(folder, record)
    return record["id"]


def test_script(order: Order, name: str, folder: Path, run: Run) -> tuple[str, list[str]]:
    """The script that judges a run's network, and its options for sbatch."""
    given = options_of(run.arguments)
    words = ["--modelpath", str(run.folder / "model.onnx"), "--datadir", given["--datadir"][0]]
    words += ["--split", "val"]
    if "--cities-val" in given:
        words += ["--cities", *given["--cities-val"]]
    options = order.testing_options(f"{name}-test")
    return testing_script(order, options, folder, words), options


def hand_in_test(order: Order, folder: Path, run: Run, number: str) -> str:
    """Hands in the job that waits for the training's success; returns its number."""
    script, options = test_script(order, safe_name(folder.name), folder, run)
    (folder / "test.sh").write_text(script, encoding="utf-8", newline="\n")
    after = [f"--dependency=afterok:{number}", "--kill-on-invalid-dep=yes"]
    return hand_in(folder / "test.sh", [*options, *after])


def ask_slurm(script: str, options: Sequence[str]) -> str:
    """What Slurm says to a script without taking it."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "job.sh"
        path.write_text(script, encoding="utf-8", newline="\n")
        return last_line(slurm("sbatch", "--test-only", *options, str(path)))


def make_toy_data(runs: Sequence[Run]) -> None:
    """Makes the toy data once and here, where runs want it, so that no two jobs make it at a time.

    Raises:
        JobError: when that fails.
    """
    if not any(str(TOYDATA) in run.arguments for run in runs):
        return
    command = [sys.executable, "-m", "toycity", "--output", str(TOYDATA)]
    done = subprocess.run(
        command, cwd=LAB, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode and not TOYDATA.is_dir():
        raise JobError(f"the toy data cannot be made here ({last_line(done.stderr)})")


def elements(record: dict) -> dict[str, Path]:
    """The run behind each number that Slurm knows, of a job or of an array's elements."""
    folders = [Path(run["folder"]) for run in record["runs"]]
    if not record["is_array"]:
        return {str(record["id"]): folders[0]}
    return {f"{record['id']}_{index}": folder for index, folder in enumerate(folders)}


def require_idle(runs: Sequence[Run]) -> None:
    """Raises `JobError` when a run belongs to a job in the queue: two would write one folder."""
    wanted = {run.folder for run in runs}
    try:
        states = queue_states(ended=False)
    except JobError:
        return  # handing in will say what is wrong with Slurm
    for _, record in read_records():
        for number, folder in elements(record).items():
            if number in states and folder in wanted:
                raise JobError(f"{folder} belongs to job {number} in the queue; cancel it first")


def shown(path: Path) -> str:
    """A path as it is typed here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


# ----------------------------------------------------------------------------------------- sweep


def sweep(args: argparse.Namespace) -> int:
    """The command `sweep`."""
    order, common = make_order(args), train_words(args)
    lines = named(repeated(lines_of(args), args.repeat, common))
    runs = [
        plan_run([*common, *line], "", needs_gpu=bool(order.gpus), may_exist=True) for line in lines
    ]
    waiting = [run for run in runs if not (run.is_finished and agrees(run))]
    if len(waiting) < len(runs):
        print(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished already")
    code = 0
    if waiting and args.local:
        code = train_here(args, runs, lines)
    elif waiting:
        number = launch(args, order, args.job_name or "sweep", waiting, is_array=True)
        if number is None:
            return 0
        folder = next(path for path, record in read_records() if record["id"] == number)
        (folder / "runs.txt").write_text(runs_text(lines, common), encoding="utf-8")
        print(f"job {number}: {len(waiting)} runs, described in {shown(folder / 'runs.txt')}")
        print("watch them with: python job.py status")
    places = sorted({run.folder.parent for run in runs})
    print(f"results: {' '.join(shown(place) for place in places)}")
    print(f"then: python main.py compare {' '.join(shown(run.folder) for run in runs)}")
    return code


def lines_of(args: argparse.Namespace) -> list[list[str]]:
    """The options of each run, from the grid or from the file.

    Raises:
        JobError: for both or neither, or a file that cannot be read.
    """
    if bool(args.grid) == bool(args.runs):
        raise JobError("say either --grid OPTION=A,B … or --runs FILE")
    return grid_lines(args.grid) if args.grid else file_lines(args.runs)


def grid_lines(grid: Sequence[str]) -> list[list[str]]:
    """Every combination of a grid.

    >>> grid_lines(["lr=1,2", "loss=ce"])
    [['--lr', '1', '--loss', 'ce'], ['--lr', '2', '--loss', 'ce']]
    """
    axes = {}
    for item in grid:
        key, equals, text = item.partition("=")
        flag, values = "--" + key.lstrip("-"), [shlex.split(value) for value in text.split(",")]
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
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            words = shlex.split(text, comments=True)
            options_of(words)
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
    return [[*line, "--seed", str(first + i)] for line in lines for i in range(count)]


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
        if "--name" in each:
            seed = [part for part in parts if part.startswith("seed")]
            name = "-".join([*each["--name"], *seed])
        else:
            name = safe_name("-".join(parts) or "default")
        if name.casefold() in result:
            raise JobError(f"two runs would be called {name}; write a --name into their lines")
        result[name.casefold()] = [*line, "--name", name]
    return list(result.values())


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


def plain(text: str) -> str:
    """A number or a path in the one way of writing it."""
    try:
        return repr(float(text))
    except ValueError:
        return os.path.realpath(text)


def train_here(args: argparse.Namespace, runs: Sequence[Run], lines: Sequence[list[str]]) -> int:
    """Trains the runs one after another on this machine; returns the exit code."""
    make_toy_data(runs)
    logs = new_folder(args.job_name or "sweep")
    (logs / "runs.txt").write_text(runs_text(lines, train_words(args)), encoding="utf-8")
    failed, width = 0, max(len(run.folder.name) for run in runs)
    for number, run in enumerate(runs, start=1):
        line = f"[{number:>{len(str(len(runs)))}}/{len(runs)}] {run.folder.name:<{width}}  "
        if run.is_finished and agrees(run):
            print(f"{line}finished before: {score_of(run)}", flush=True)
            continue
        print(f"{line}{'goes on' if run.folder.exists() else 'begins'}", flush=True)
        start, log = time.monotonic(), logs / f"{safe_name(run.folder.name)}.log"
        code = train_one(run, log)
        seconds = time.monotonic() - start
        if code in STOPPED:
            print(f"{line}stopped by {STOPPED[code]} and saved; the same command goes on")
            return code
        failed += code != 0
        said = last_line(log.read_text(encoding="utf-8", errors="replace"))
        result = score_of(run) if code == 0 else f"FAILED ({code}): {said}; see {shown(log)}"
        print(f"{line}{result}, {seconds:.0f} s", flush=True)
    if failed:
        print(f"{failed} of {len(runs)} runs failed", file=sys.stderr)
    return int(failed > 0)


def train_one(run: Run, log: Path) -> int:
    """Trains one run with its output in a file, and passes on what asks this process to stop."""
    command = [sys.executable, str(LAB / "main.py"), "train", "--auto-resume", *run.arguments]
    with log.open("ab") as file:
        training = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    def pass_on(number: int, frame: object) -> None:
        training.send_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if os.name == "posix" else [])]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        code = training.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def score_of(run: Run) -> str:
    """The epoch and the score of a run, in words."""
    epoch, score = read_progress(run.folder)
    return f"macro F1 {score} after epoch {epoch}"


# ------------------------------------------------------------------------------ status and cancel


def status(args: argparse.Namespace) -> int:
    """The command `status`."""
    try:
        states = queue_states(ended=True)
    except JobError as error:
        print(f"note: {error}", file=sys.stderr)
        states = None
    only = Path(os.path.abspath(args.logdir)) if args.logdir else None
    rows = [
        (number, state_of(number, run, states), run.name, *read_progress(run), shown(folder))
        for folder, record in read_records()
        if record["id"]
        for number, run in elements(record).items()
        if only in (None, run.parent)
    ]
    if not rows:
        print("no jobs; hand one in with: python job.py submit -- train")
        return 0
    table = [("JOB", "STATE", "RUN", "EPOCH", "MACRO F1", "FOLDER"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0


def state_of(number: str, run: Path, states: dict[str, str] | None) -> str:
    """What is known of a job: from Slurm as long as that remembers it, then from its run."""
    if (run / "summary.txt").is_file():
        return "finished"
    if states is None:
        return "unknown"
    return states.get(number, "ended early, see its log")


def cancel(args: argparse.Namespace) -> int:
    """The command `cancel`."""
    records = read_records()
    numbers = []
    for job in args.jobs:
        base = job.partition("_")[0]
        found = [record for folder, record in records if folder.name == job or record["id"] == base]
        if not found:
            raise JobError(f"{job} is no job of this lab; see: python job.py status")
        numbers.append(found[-1]["id"] if job == found[-1]["id"] or "_" not in job else job)
        if found[-1]["test_id"] and "_" not in job:
            numbers.append(found[-1]["test_id"])
    slurm("scancel", *numbers)
    print(f"cancelled: {' '.join(numbers)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
