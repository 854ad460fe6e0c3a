"""Slurm jobs around `python main.py train …`, and sweeps of many runs, on a cluster or here.

    python job.py submit --time 4:00:00 --gpus-per-node 1 -- train --datadir cityscapes --name base
    python job.py sweep --grid lr=1e-3,3e-4 loss=ce,wce,focal --repeat 3 --at-most 4 -- train
    python job.py sweep --grid loss=ce,wce,focal --local -- train --epochs 5
    python job.py status
    python job.py logs -f runs/base
    python job.py cancel runs/base

A job runs the code as it was committed when the job was submitted. Before its time is up the
training saves itself; the job then requeues itself, and the training resumes where it was. All that
concerns a job lies in `jobs/NAME-TIME/`: `job.sh`, `job.json`, `code/` and the log.

It knows the training as a command line alone, and needs nothing but Python's standard library.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from commands.command_line import CommandLine, run_command, whole
from commands.slurm.care import cancel_jobs, show_log
from commands.slurm.chains import Chain, plan_chains
from commands.slurm.jobs import new_folder, preview, submit_job, write_text
from commands.slurm.script import REQUEST_OPTIONS, Job, Request, further_option, seconds_of
from commands.slurm.status import show_status
from commands.slurm.sweeps import runs_text, sweep_lines
from commands.slurm.trainings import (
    JobError,
    Training,
    is_finished,
    plan_training,
    require_same_options,
    safe_name,
    shown,
    train_here,
    training_command,
)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = build_parser()
    parser.set_defaults(words=argv[cut + 1 :], typed=shlex.join(["python", "job.py", *argv]))
    return run_command(parser, argv[:cut])


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands."""
    parser = CommandLine(
        prog="job.py",
        description="Long trainings on a cluster with Slurm, and sweeps of many.",
        epilog="Begin with: python job.py submit --dry-run -- train",
    )
    commands = parser.add_subparsers(required=True, metavar="{submit,sweep,status,logs,cancel}")

    def add(name: str, run: object, text: str, usage: str | None = None) -> CommandLine:
        command = commands.add_parser(name, help=text, description=f"{text}.", usage=usage)
        command.set_defaults(run=run)
        return command

    usage = "job.py {} [options] -- train [options of main.py train]"
    command = add("submit", submit, "submit one training as a job", usage.format("submit"))
    add_request(command)
    command.add_argument(
        "--then-test",
        action="store_true",
        help="a second job tests the network on val when the training has succeeded (default: no)",
    )
    command = add("sweep", sweep, "many trainings that differ", usage.format("sweep --grid …"))
    add_request(command)
    add_sweep(command)
    command = add("status", status, "the lab's jobs, their epochs and scores, and why one failed")
    command.add_argument("--logdir", metavar="DIR", help="only runs in this folder (default: all)")
    meant = "folder or name of a run; or number or folder name of a job"
    command = add("logs", logs, "what a job prints")
    command.add_argument("job", metavar="RUN", help=meant)
    follow_help = "go on until the job has ended, or with Ctrl-C (default: no)"
    command.add_argument("-f", "--follow", action="store_true", help=follow_help)
    command = add("cancel", cancel, "end jobs; the trainings save themselves first")
    command.add_argument("jobs", nargs="+", metavar="RUN", help=meant)
    return parser


def add_request(command: argparse.ArgumentParser) -> None:
    """Describes what submit and sweep share: what is asked of Slurm, and how."""
    add = command.add_argument_group("asked of Slurm").add_argument
    for flag, kind, default, unit, text in REQUEST_OPTIONS:
        add(flag, type=kind, default=default, metavar=unit, help=text)
    text = "a further option of sbatch, as --slurm-option=--exclude=n3; may be repeated"
    several = {"action": "append", "default": [], "metavar": "O"}
    add("--slurm-option", type=further_option, **several, help=text)
    add = command.add_argument_group("the job").add_argument
    add("--job-name", type=safe_name, metavar="NAME", help="name in the queue (the run's)")
    text = "shell command before the training, as 'module load cuda' (none)"
    add("--setup", default="", metavar="COMMAND", help=text)
    text = "the interpreter, as python for that of --setup (this one, by its whole path)"
    add("--python", metavar="PATH", help=text)
    text = "take uncommitted changes along, and keep them as changes.diff (refused)"
    add("--allow-dirty", action="store_true", help=text)
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
    chain_help = "as --runs, but each line begins with the best weights of the one before"
    add("--chain", type=Path, metavar="FILE", help=chain_help)
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


def make_request(args: argparse.Namespace) -> Request:
    """What is asked of Slurm.

    Raises:
        JobError: for a time limit that leaves no time to train, or an interpreter that is none.
    """
    limit = seconds_of(args.time) if args.time else None
    if limit and limit <= args.grace:
        raise JobError(
            f"--time {args.time} is {limit} s, and {args.grace} s before its end the training "
            "saves itself; ask for more, or lower --grace"
        )
    gpus = int(args.gpus_per_node.rpartition(":")[2]) if args.gpus_per_node else 1
    names = {flag: vars(args)[flag] for flag in ("partition", "account", "qos", "constraint")}
    extra = [f"--{flag}={value}" for flag, value in names.items() if value]
    python = args.python or sys.executable
    if os.sep in python:
        python = os.path.abspath(python)
        if not os.access(python, os.X_OK):
            raise JobError(f"--python {python}: no such program")
    return Request(
        **{key: vars(args)[key] for key in ("time", "mem", "nodes", "cpus", "grace", "setup")},
        gpus=args.gpus_per_node,
        processes=args.processes_per_node or gpus,
        extra=(*extra, *args.slurm_option),
        max_restarts=args.max_restarts,
        python=python,
    )


# -------------------------------------------------------------------------------------- commands


def submit(args: argparse.Namespace) -> int:
    """The command `submit`."""
    request, words = make_request(args), train_words(args)
    default = f"{args.job_name or 'train'}-{datetime.now():%Y%m%d-%H%M%S}"
    training = plan_training(words, default, needs_gpu=bool(request.gpus), may_exist=False)
    run = training.folder.name
    name = args.job_name or ("train" if run == default else safe_name(run))
    job = Job(name, request, [training], then_test=args.then_test)
    if args.dry_run or args.check:
        preview(job, is_dry_run=args.dry_run)
        return 0
    number, folder = submit_job(job, args.typed, allow_dirty=args.allow_dirty)
    run = shown(training.folder)
    print(f"job {number} trains {run}; its script and log are in {shown(folder)}")
    print("watch it with: python job.py status")
    return 0


def sweep(args: argparse.Namespace) -> int:
    """The command `sweep`."""
    request, common = make_request(args), train_words(args)
    if args.chain:
        return sweep_chains(args, request, common)
    lines = sweep_lines(args.grid, args.runs, args.repeat, common)
    plan = partial(plan_training, name="", needs_gpu=bool(request.gpus), may_exist=True)
    trainings = [plan([*common, *line]) for line in lines]
    require_same_options(trainings)
    do = sweep_here if args.local else submit_array
    code = do(args, request, trainings, runs_text(lines, common))
    if not (args.dry_run or args.check):
        folders = [each.folder for each in trainings]
        print(f"results: {' '.join(map(shown, sorted({folder.parent for folder in folders})))}")
        there = [folder for folder in folders if folder.is_dir() or not args.local]
        if there:
            print(f"then: python main.py compare {' '.join(map(shown, there))}")
    return code


def sweep_chains(args: argparse.Namespace, request: Request, common: Sequence[str]) -> int:
    """Trains chains of runs, here or as jobs that wait for each other."""
    if args.grid or args.runs or args.at_most:
        raise JobError("--chain stands alone; leave out --grid, --runs and --at-most")
    plan = partial(plan_training, name="", needs_gpu=bool(request.gpus), may_exist=True)
    chains = plan_chains(args.chain, args.repeat, common, plan)
    trainings = [each for chain in chains for each in chain]
    require_same_options(trainings)
    text = "".join(f"{shlex.join(each.arguments)}\n" for each in trainings)
    if args.local:
        code = sweep_here(args, request, trainings, text, chains)
    else:
        code = submit_chains(args, request, chains, text)
    if not (args.dry_run or args.check):
        print(f"then: python main.py compare {' '.join(shown(each.folder) for each in trainings)}")
    return code


def submit_chains(
    args: argparse.Namespace, request: Request, chains: Sequence[Chain], text: str
) -> int:
    """Submits the unfinished stages of every chain, each to begin after the one before."""
    for chain in chains:
        number = None
        for training in chain:
            if is_finished(training):
                print(f"finished already: {shown(training.folder)}", file=sys.stderr)
                continue
            name = safe_name(args.job_name or training.folder.name)
            job = Job(name, request, [training], after=number)
            if args.dry_run or args.check:
                preview(job, is_dry_run=args.dry_run)
                number = "JOB" if args.dry_run else None
                continue
            number, folder = submit_job(job, args.typed, allow_dirty=args.allow_dirty)
            write_text(folder / "runs.txt", text)
            print(f"job {number} trains {shown(training.folder)}; see {shown(folder)}")
    return 0


def submit_array(
    args: argparse.Namespace, request: Request, trainings: Sequence[Training], text: str
) -> int:
    """Submits those runs of a sweep that are not finished, as one job array.

    Args:
        args: of the command.
        request: what is asked of Slurm, for each run.
        trainings: all runs of the sweep.
        text: their description, for `runs.txt`.
    """
    unfinished = [each for each in trainings if not is_finished(each)]
    if len(unfinished) < len(trainings):
        done = len(trainings) - len(unfinished)
        print(f"finished already: {done} of {len(trainings)} runs", file=sys.stderr)
    if not unfinished:
        return 0
    job = Job(args.job_name or "sweep", request, unfinished, is_array=True, at_most=args.at_most)
    if args.dry_run or args.check:
        preview(job, is_dry_run=args.dry_run)
        return 0
    number, folder = submit_job(job, args.typed, allow_dirty=args.allow_dirty)
    write_text(folder / "runs.txt", text)
    place = shown(unfinished[0].folder.parent)
    print(f"job {number} trains {len(unfinished)} runs; its script and logs are in {shown(folder)}")
    print(f"watch them with: python job.py status --logdir {place}")
    return 0


def sweep_here(
    args: argparse.Namespace, request: Request, trainings: Sequence[Training], text: str,
    chains: Sequence[Chain] | None = None,
) -> int:  # fmt: skip
    """Trains the runs of a sweep on this machine, or only shows the commands that would.

    With chains, which hold the same trainings, a run that fails ends its chain.
    """
    if request.is_parallel:
        raise JobError(
            "--local trains in one process; leave out --nodes, --processes-per-node and "
            "--gpus-per-node, or see `torchrun` in the README"
        )
    if args.check:
        raise JobError("--check asks Slurm, and --local trains without it; leave one out")
    if args.dry_run:
        for each in trainings:
            print(shlex.join(["python", *training_command(each)[1:]]))
        return 0
    logs = new_folder(args.job_name or "sweep")
    write_text(logs / "runs.txt", text)
    if chains is None:
        return train_here(trainings, logs)
    code = 0
    for chain in chains:
        ended = train_here(chain, logs, is_chain=True)
        if ended > 1:
            return ended
        code |= ended
    return code


def status(args: argparse.Namespace) -> int:
    """The command `status`."""
    show_status(Path(os.path.abspath(args.logdir)) if args.logdir else None)
    return 0


def logs(args: argparse.Namespace) -> int:
    """The command `logs`."""
    return show_log(args.job, args.follow)


def cancel(args: argparse.Namespace) -> int:
    """The command `cancel`."""
    cancel_jobs(args.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
