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
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from commands.slurm.jobs import (
    JOBS,
    NoAnswerError,
    elements,
    hand_in,
    new_folder,
    planned_folder,
    queue_states,
    read_record,
    read_records,
    require_idle,
    require_slurm,
    slurm,
    take_snapshot,
    write_record,
)
from commands.slurm.script import (
    LONGEST_GRACE,
    Order,
    check_script,
    further_option,
    gpu_count,
    memory_size,
    plain_word,
    seconds_of,
    test_script,
    time_limit,
    training_script,
    whole,
)
from commands.slurm.sweeps import (
    CommandLine,
    JobError,
    Run,
    agrees,
    file_lines,
    grid_lines,
    last_line,
    make_toy_data,
    named,
    plan_run,
    read_progress,
    read_score,
    repeated,
    require_no_option_twice,
    require_same_options,
    runs_text,
    safe_name,
    shown,
    train_here,
    training_command,
)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    args = build_parser().parse_args(argv[:cut])
    args.words, args.typed = argv[cut + 1 :], argv
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
        type=further_option,
        action="append",
        default=[],
        metavar="O",
        help=option_help,
    )
    grace_help = "seconds before the limit at which the training saves itself (120)"
    grace = partial(whole, least=5, most=LONGEST_GRACE)
    add("--grace", type=grace, default=120, metavar="S", help=grace_help)
    restarts_help = "how often a job may go on in another time slot (20)"
    add("--max-restarts", type=partial(whole, least=0), default=20, metavar="N", help=restarts_help)
    add = command.add_argument_group("the job").add_argument
    add("--job-name", type=safe_name, metavar="NAME", help="name in the queue (the run's)")
    setup_help = "shell command before the training, as 'module load cuda' (none)"
    add("--setup", default="", metavar="COMMAND", help=setup_help)
    python_help = "the interpreter, as python for that of --setup (this one, by its whole path)"
    add("--python", metavar="PATH", help=python_help)
    dirty_help = "take uncommitted changes along, and keep them as changes.diff (refused)"
    add("--allow-dirty", action="store_true", help=dirty_help)
    add("--dry-run", action="store_true", help="print the script and do nothing; needs no Slurm")
    add("--check", action="store_true", help="ask Slurm whether it would take the job; no more")


def add_sweep(command: argparse.ArgumentParser) -> None:
    """Describes what sweep has beside that."""
    add = command.add_argument_group("the runs").add_argument
    grid_help = "options and their values; every combination is a run"
    grid = {"nargs": "+", "action": "extend", "default": []}
    add("--grid", **grid, metavar="OPTION=A,B", help=grid_help)
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
    for word in ("--dry-run", "--help", "-h"):
        if word in args.words:
            raise JobError(f"{word} trains nothing; job.py's own stands before the two dashes")
    return args.words[1:]


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
    python = args.python or sys.executable
    if os.sep in python:
        python = os.path.abspath(python)
        if not os.access(python, os.X_OK):
            raise JobError(f"--python {python}: no such program")
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
        python=python,
    )


# ---------------------------------------------------------------------------------------- submit


def submit(args: argparse.Namespace) -> int:
    """The command `submit`."""
    order, words = make_order(args), train_words(args)
    default = f"{args.job_name or 'train'}-{datetime.now():%Y%m%d-%H%M%S}"
    run = plan_run(words, default, needs_gpu=bool(order.gpus), may_exist=False)
    name = args.job_name or ("train" if run.folder.name == default else safe_name(run.folder.name))
    options = order.options(name)
    if args.dry_run or args.check:
        return preview(args, order, options, name, [run])
    folder = launch(args, order, options, name, [run])
    number = read_record(folder)["job"]
    print(f"job {number} trains {shown(run.folder)}; its script and log are in {shown(folder)}")
    print("watch it with: python job.py status")
    return 0


def preview(
    args: argparse.Namespace, order: Order, options: list[str], name: str, runs: Sequence[Run]
) -> int:
    """Shows what would be handed in, or asks Slurm what it thinks of it."""
    folder = planned_folder(name)
    script = training_script(order, options, folder, runs, "the committed code")
    check_script(script)
    if args.dry_run:
        print(script, end="")
        if vars(args).get("then_test"):
            print("\n# Handed in with --dependency=afterok:JOB --kill-on-invalid-dep=yes:")
            print(test_script(order, name, folder, runs[0])[0], end="")
        return 0
    require_slurm()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "job.sh"
        path.write_text(script, encoding="utf-8", newline="\n")
        print(last_line(slurm("sbatch", "--test-only", *options, str(path))))
    return 0


def launch(
    args: argparse.Namespace, order: Order, options: list[str], name: str, runs: Sequence[Run]
) -> Path:
    """Writes a job's folder and hands the job in; returns the folder."""
    require_slurm()
    require_idle(runs)
    make_toy_data(runs)
    folder = new_folder(name)
    try:
        fill(folder, args, order, options, runs)
        hand_over(folder, args, order, options, name, runs)
    except (NoAnswerError, KeyboardInterrupt):
        raise  # Slurm may have taken it nevertheless
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def fill(
    folder: Path, args: argparse.Namespace, order: Order, options: list[str], runs: Sequence[Run]
) -> None:
    """Puts the code, the script and the description into a job's folder."""
    outside = {JOBS, *(run.folder.parent for run in runs), *(run.datadir for run in runs)}
    origin = take_snapshot(folder, sorted(outside), args.allow_dirty)
    script = training_script(order, options, folder, runs, f"the code of commit {origin}")
    check_script(script)
    (folder / "job.sh").write_text(script, encoding="utf-8", newline="\n")
    for run in runs:
        run.folder.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "submitted": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "command": shlex.join(["python", "job.py", *args.typed]),
        "commit": origin,
        "job": None,
        "test_job": None,
        "is_array": any(option.startswith("--array=") for option in options),
        "runs": [{"folder": str(run.folder), "arguments": run.arguments} for run in runs],
    }
    write_record(folder, record)


def hand_over(
    folder: Path,
    args: argparse.Namespace,
    order: Order,
    options: list[str],
    name: str,
    runs: Sequence[Run],
) -> None:
    """Submits what lies in a job's folder, and notes the numbers that Slurm gives."""
    record = read_record(folder)
    record["job"] = hand_in(folder / "job.sh", options)
    write_record(folder, record)
    if not vars(args).get("then_test"):
        return
    script, test_options = test_script(order, name, folder, runs[0])
    (folder / "test.sh").write_text(script, encoding="utf-8", newline="\n")
    after = [f"--dependency=afterok:{record['job']}", "--kill-on-invalid-dep=yes"]
    try:
        record["test_job"] = hand_in(folder / "test.sh", [*test_options, *after])
    except (JobError, KeyboardInterrupt):
        slurm("scancel", record["job"])
        raise
    write_record(folder, record)


# ----------------------------------------------------------------------------------------- sweep


def sweep(args: argparse.Namespace) -> int:
    """The command `sweep`."""
    order, common = make_order(args), train_words(args)
    if bool(args.grid) == bool(args.runs):
        raise JobError("say either --grid OPTION=A,B … or --runs FILE")
    if {"--name", "--resume"} & {word.partition("=")[0] for word in common}:
        raise JobError("a sweep names its runs itself; leave out --name and --resume")
    lines = grid_lines(args.grid) if args.grid else file_lines(args.runs)
    require_no_option_twice(lines, common)
    lines = named(repeated(lines, args.repeat, common))
    plan = partial(plan_run, name="", needs_gpu=bool(order.gpus), may_exist=True)
    runs = [plan([*common, *line]) for line in lines]
    require_same_options(runs)
    if args.local and order.is_parallel:
        raise JobError(
            "--local trains in one process; leave out --nodes, --processes-per-node and "
            "--gpus-per-node, or see `torchrun` in the README"
        )
    if args.local and args.check:
        raise JobError("--check asks Slurm, and --local trains without it; leave one out")
    if args.local:
        code = sweep_here(args, runs, runs_text(lines, common))
    else:
        code = hand_in_array(args, order, runs, runs_text(lines, common))
    if not (args.dry_run or args.check):
        places = sorted({run.folder.parent for run in runs})
        print(f"results: {' '.join(map(shown, places))}")
        there = [run for run in runs if run.folder.is_dir() or not args.local]
        if there:
            print(f"then: python main.py compare {' '.join(shown(run.folder) for run in there)}")
    return code


def hand_in_array(args: argparse.Namespace, order: Order, runs: Sequence[Run], text: str) -> int:
    """Hands in those runs of a sweep that are not finished, as one job array.

    Args:
        args: of the command.
        order: what is asked of Slurm, for each run.
        runs: all runs of the sweep.
        text: their description, for `runs.txt`.
    """
    open_runs = [run for run in runs if not (run.is_finished and agrees(run))]
    if len(open_runs) < len(runs):
        done = len(runs) - len(open_runs)
        print(f"finished already: {done} of {len(runs)} runs", file=sys.stderr)
    if not open_runs:
        return 0
    name = args.job_name or "sweep"
    options = order.options(name, len(open_runs), args.at_most)
    if args.dry_run or args.check:
        return preview(args, order, options, name, open_runs)
    folder = launch(args, order, options, name, open_runs)
    (folder / "runs.txt").write_text(text, encoding="utf-8")
    number = read_record(folder)["job"]
    print(f"job {number} trains {len(open_runs)} runs; its script and logs are in {shown(folder)}")
    print(f"watch them with: python job.py status --logdir {shown(open_runs[0].folder.parent)}")
    return 0


def sweep_here(args: argparse.Namespace, runs: Sequence[Run], text: str) -> int:
    """Trains the runs of a sweep on this machine, or only shows the commands that would."""
    if args.dry_run:
        print("\n".join(shlex.join(["python", *training_command(run)[1:]]) for run in runs))
        return 0
    logs = new_folder(args.job_name or "sweep")
    (logs / "runs.txt").write_text(text, encoding="utf-8")
    return train_here(runs, logs)


# ------------------------------------------------------------------------------ status and cancel


def status(args: argparse.Namespace) -> int:
    """The command `status`."""
    try:
        states = queue_states(ended=True)
    except JobError as error:
        print(f"note: {error}", file=sys.stderr)
        states = None
    only = Path(os.path.abspath(args.logdir)) if args.logdir else None
    rows = []
    for folder, record in read_records():
        for number, run in elements(record).items():
            if only not in (None, run.parent):
                continue
            state = state_of(number, states, run / "summary.txt")
            rows.append((number, state, run.name, *read_progress(run), shown(folder)))
            if record.get("test_job"):
                number, metrics = record["test_job"], run / "test_val" / "metrics.json"
                state, score = state_of(number, states, metrics), read_score(metrics)
                rows.append((number, state, f"test of {run.name}", "-", score, shown(folder)))
    if not rows:
        print("no jobs; hand one in with: python job.py submit -- train")
        return 0
    table = [("JOB", "STATE", "RUN", "EPOCH", "MACRO F1", "FOLDER"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    return 0


def state_of(number: str, states: dict[str, str] | None, last_file: Path) -> str:
    """What is known of a job: from Slurm as long as that remembers it, then from what it left."""
    if states and number in states:
        return states[number]
    if last_file.is_file():
        return "finished"
    return "unknown" if states is None else "ended early, see its log"


def cancel(args: argparse.Namespace) -> int:
    """The command `cancel`."""
    records = read_records()
    numbers = []
    for job in args.jobs:
        number, _, element = job.partition("_")
        found = [
            record for folder, record in records if folder.name == job or record["job"] == number
        ]
        if not found:
            raise JobError(f"{job} is no job of this lab; see: python job.py status")
        if element and found[-1]["job"] == number:
            numbers.append(job)
        else:
            numbers += [found[-1]["job"], *filter(None, [found[-1]["test_job"]])]
    slurm("scancel", *numbers)
    print(f"cancelled: {' '.join(numbers)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
