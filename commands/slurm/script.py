"""What is asked of Slurm, checked before Slurm sees it, and the batch script that asks for it.

Standard library only, so that it runs with a login node's own Python too. The script follows
Slurm's manuals of sbatch (`--signal`, `--requeue`, "Job arrays") and scontrol (`requeue`), and
torchrun's of `torch.distributed.run` (elastic launch with the c10d rendezvous).
"""

import argparse
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.slurm.sweeps import LAB, JobError, Run, last_line, options_of, read_arguments


@dataclass(frozen=True)
class Order:
    """What is asked of Slurm, for one job or for each element of an array.

    Attributes:
        time, memory: as Slurm writes them, or None for the cluster's default.
        gpus: per node, as "2" or "a100:2", or None.
        nodes: how many machines.
        processes: of the training, on each node.
        cpus: cores for each process.
        extra: further options of sbatch, as they are.
        grace: seconds before the time limit at which the training is told to save itself.
        max_restarts: how often the job may hand itself in again.
        setup: shell commands that make the environment, or ""; they may set `python` too.
        python: the interpreter.
    """

    time: str | None
    memory: str | None
    gpus: str | None
    nodes: int
    processes: int
    cpus: int
    extra: tuple[str, ...]
    grace: int
    max_restarts: int
    setup: str
    python: str

    @property
    def is_parallel(self) -> bool:
        """Whether the training runs in several processes, and so under torchrun."""
        return self.nodes * self.processes > 1

    def options(self, name: str, count: int | None = None, at_most: int | None = None) -> list[str]:
        """The options of sbatch for a job, or for an array of `count`, `at_most` at a time."""
        log = "slurm-%j.out" if count is None else "slurm-%A_%a.out"
        options = [f"--job-name={name}", f"--output={log}", "--open-mode=append"]
        if count is not None:
            options.append(f"--array=0-{count - 1}" + (f"%{at_most}" if at_most else ""))
        if self.time:
            options.append(f"--time={self.time}")
        if self.memory:
            options.append(f"--mem={self.memory}")
        if self.gpus:
            options.append(f"--gres=gpu:{self.gpus}")
        options += [f"--nodes={self.nodes}", "--ntasks-per-node=1"]
        options.append(f"--cpus-per-task={self.cpus * self.processes}")
        return [*options, f"--signal=B:USR1@{self.grace}", "--requeue", *self.extra]

    def testing_options(self, name: str) -> list[str]:
        """The options of sbatch for the job that judges the network: on one node, without GPU."""
        options = [f"--job-name={name}", "--output=slurm-%j.out", "--open-mode=append"]
        if self.memory:
            options.append(f"--mem={self.memory}")
        return [*options, "--nodes=1", "--ntasks=1", f"--cpus-per-task={self.cpus}", *self.extra]


# ---------------------------------------------------------------- what Slurm would misunderstand

BUILT_UPON = {
    **dict.fromkeys(("--array", "-a"), "; for many runs see: python job.py sweep --help"),
    **dict.fromkeys(("--signal", "--time", "-t"), "; see --time and --grace"),
    **dict.fromkeys(("--nodes", "-N", "--ntasks", "-n", "--ntasks-per-node"), "; see --nodes"),
    **dict.fromkeys(("--gres", "--gpus", "-G", "--gpus-per-node"), "; see --gpus-per-node"),
    **dict.fromkeys(("--output", "-o", "--error", "-e", "--open-mode", "--chdir", "-D"), ""),
    **dict.fromkeys(("--requeue", "--no-requeue", "--job-name", "-J", "--wrap"), ""),
}
"""Options of sbatch that would break the batch script, and where to look instead."""
LONGEST_GRACE = 65535
"""Slurm's highest value for the seconds of `--signal`."""


def time_limit(text: str) -> str:
    """An argparse type: a time limit as Slurm writes it."""
    if not seconds_of(text):
        raise argparse.ArgumentTypeError(
            f"{text} is no time limit; write 90 (minutes), 4:00:00 (hours) or 1-12 (days-hours)"
        )
    return text


def seconds_of(limit: str) -> int:
    """The seconds of a time limit as Slurm reads it, 0 for what is none.

    >>> seconds_of("90"), seconds_of("4:00:00"), seconds_of("1-12"), seconds_of("4h")
    (5400, 14400, 129600, 0)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?", limit, re.ASCII)
    if found is None:
        return 0
    days, *parts = found.groups()
    first, *rest = (int(part) for part in parts if part is not None)
    if any(part > 59 for part in rest) or (days and first > 23):
        return 0
    # days-hours[:minutes[:seconds]], hours:minutes:seconds, or minutes[:seconds]
    units = (3600, 60, 1) if days is not None or len(rest) == 2 else (60, 1)
    total = sum(value * unit for value, unit in zip((first, *rest), units, strict=False))
    return int(days or 0) * 86400 + total


def memory_size(text: str) -> str:
    """An argparse type: memory with its unit. Slurm would take a bare 32 for 32 megabytes."""
    if not re.fullmatch(r"[1-9]\d*[KMGTkmgt]", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no memory size; write it as 32G or 500M")
    return text.upper()


def gpu_count(text: str) -> str:
    """An argparse type: GPUs per node, as 2 or a100:2."""
    text = text.removeprefix("gpu:")
    if not re.fullmatch(r"([A-Za-z][\w.-]*:)?[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no number of GPUs; write it as 2 or a100:2")
    return text


def further_option(text: str) -> str:
    """An argparse type: an option of sbatch, none of those on which the batch script builds."""
    flag = plain_word(text).partition("=")[0]
    if not flag.startswith("-"):
        raise argparse.ArgumentTypeError(f"{text} is no option; write --slurm-option=--{text}")
    if flag in BUILT_UPON:
        raise argparse.ArgumentTypeError(f"{flag} is set by job.py itself{BUILT_UPON[flag]}")
    return text


def plain_word(text: str) -> str:
    """An argparse type: a partition, account or the like, without spaces or quotes."""
    if not re.fullmatch(r"[\w.,:=@%+/&|*()\[\]-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} holds characters that Slurm does not take here")
    return text


def whole(text: str, least: int = 1, most: int = 10**9) -> int:
    """An argparse type: a whole number, `least` or more."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        limits = f"{least} or more" if most == 10**9 else f"{least} to {most}"
        raise argparse.ArgumentTypeError(f"{text} is not a whole number, {limits}")
    return int(text)


# ------------------------------------------------------------------------------ the batch script

WAITING = """\
# What scontrol calls this job. In an array that is one element; the bare number would be all of it.
job=$SLURM_JOB_ID
[ -n "$SLURM_ARRAY_TASK_ID" ] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
restarts=${SLURM_RESTART_COUNT:-0}
signal= training=

# Slurm sends USR1 to this script some time before the limit, and TERM when it ends the job itself.
# The training saves itself on either.
pass_on() {
    signal=$1
    [ -n "$training" ] && kill -s "$signal" "$training" 2>/dev/null
}
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM
"""

ALONE = """\
    "$python" main.py train --auto-resume "${arguments[@]}" &
"""

TOGETHER = """\
    # This script runs on the first of the nodes; there the processes find each other.
    export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=$grace
    srun --ntasks-per-node=1 --cpus-per-task="$cpus_per_node" --kill-on-bad-exit=1 \\
        "$python" -m torch.distributed.run --nnodes="$SLURM_JOB_NUM_NODES" \\
        --nproc-per-node="$processes" --rdzv-backend=c10d --rdzv-id="$job-$$" \\
        --rdzv-endpoint="$(hostname):$((10000 + SLURM_JOB_ID % 20000))" \\
        --signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \\
        main.py train --auto-resume "${arguments[@]}" &
"""

ENDING = """\
    training=$!
    # What came in that very moment is sent again, when there is someone to hear it.
    [ -n "$signal" ] && sleep 1 && kill -s "$signal" "$training" 2>/dev/null
    # Between short sleeps bash sees to signals. A `wait` that a signal interrupts may lose the code
    # of a training that ends in that moment (bash 5.2), so wait when it has ended.
    while kill -0 "$training" 2>/dev/null; do
        sleep 1
    done
    wait "$training"
    result=$?
}
"""

STARTING = """\
cd "$code" || exit 1
echo "$(date '+%F %T') job $job on $(hostname), start $((restarts + 1))"
[ "$signal" = TERM ] && exit 143
result=138
[ -z "$signal" ] && train
"""

STOPPED_ALONE = """\
# 138 is 128 + USR1: stopped in time and saved. Anything else is an end, good or bad.
[ "$result" -eq 138 ] || exit "$result"
"""

STOPPED_TOGETHER = """\
# torchrun ends with 1 whatever the processes said: stopped in time is what ends after USR1.
[ "$result" -ne 0 ] && [ "$signal" = USR1 ] || exit "$result"
"""

AGAIN = """\
if [ "$restarts" -ge "$max_restarts" ]; then
    echo "$(date '+%F %T') job $job stopped and saved; that was the last of $restarts restarts"
    exit "$result"
fi
echo "$(date '+%F %T') job $job stopped and saved; it goes on when Slurm starts it again"
for pause in 0 5 10 20; do
    sleep "$pause"
    scontrol requeue "$job" && exit 0
done
exit "$result"
"""


def training_script(
    order: Order, options: Sequence[str], folder: Path, runs: Sequence[Run], origin: str
) -> str:
    """The batch script of one run, or of an array of runs when `options` ask for one.

    Args:
        order: what is asked of Slurm.
        options: of sbatch.
        folder: the job's.
        runs: what to train; an array's element takes the run of its number.
        origin: which code runs, for the reader.
    """
    values = {"python": order.python, "code": str(folder / "code")}
    values |= {"max_restarts": str(order.max_restarts)}
    if order.is_parallel:
        values |= {"processes": str(order.processes), "grace": str(order.grace)}
        values |= {"cpus_per_node": str(order.cpus * order.processes)}
    is_array = any(option.startswith("--array=") for option in options)
    parts = [
        script_head(options, f"Written by job.py. It trains with {origin}."),
        "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items()) + "\n",
        array_arguments(runs) if is_array else f"arguments=({shlex.join(runs[0].arguments)})\n",
        WAITING,
        "train() {\n" + (TOGETHER if order.is_parallel else ALONE) + ENDING,
        environment(order),
        STARTING,
        (STOPPED_TOGETHER if order.is_parallel else STOPPED_ALONE) + AGAIN,
    ]
    return "\n".join(parts)


def script_head(options: Sequence[str], comment: str) -> str:
    """The first lines of a batch script."""
    orders = [f"#SBATCH {option}" for option in options]
    return "\n".join(["#!/bin/bash", *orders, "", f"# {comment}\n"])


def array_arguments(runs: Sequence[Run]) -> str:
    """The lines by which an element of an array finds the arguments of its run."""
    lines = [f"{i}) arguments=({shlex.join(run.arguments)}) ;;" for i, run in enumerate(runs)]
    return "\n".join(["case $SLURM_ARRAY_TASK_ID in", *lines, "esac\n"])


def environment(order: Order) -> str:
    """The lines that make the environment."""
    setup = ""
    if order.setup:  # what it sets for itself, such as set -e, must not end this script
        setup = f"cd {shlex.quote(str(LAB))} || exit 1\n{order.setup}\n"
        setup += "[ $? -eq 0 ] || exit 1\nset +eu\n"
    return f"{setup}export PYTHONUNBUFFERED=1 OMP_NUM_THREADS={order.cpus}\n"


def testing_script(order: Order, options: Sequence[str], folder: Path, words: list[str]) -> str:
    """The batch script of the job that judges a trained network."""
    return "\n".join(
        [
            script_head(options, "Written by job.py. It judges what the job before has trained."),
            f"python={shlex.quote(order.python)}\n{environment(order)}",
            f"cd {shlex.quote(str(folder / 'code'))} || exit 1",
            f'exec "$python" main.py test {shlex.join(words)}\n',
        ]
    )


def check_script(script: str) -> None:
    """Has bash read a script, where there is a bash.

    Raises:
        JobError: when it cannot: only `--setup` can have brought a mistake in.
    """
    bash = shutil.which("bash")
    if bash is None:
        return
    found = subprocess.run([bash, "-n"], input=script, capture_output=True, text=True)
    if found.returncode:
        raise JobError(f"--setup is no valid shell command ({last_line(found.stderr)})")


def test_script(order: Order, name: str, folder: Path, run: Run) -> tuple[str, list[str]]:
    """The script that judges a run's network, and its options for sbatch."""
    words = ["--modelpath", str(run.folder / "model.onnx"), "--datadir", str(run.datadir)]
    words += ["--split", "val"]
    given = options_of(run.arguments)
    cities, limit = given.get("--cities-val"), given.get("--limit")
    if (run.folder / "config.json").is_file():  # of --resume
        begun = read_arguments(run.folder)
        cities = cities or begun.get("cities_val")
        limit = limit or ([begun["limit"]] if begun.get("limit") else None)
    if cities:
        words += ["--cities", *cities]
    if limit:
        words += ["--limit", str(limit[-1])]
    options = order.testing_options(f"{name}-test")
    return testing_script(order, options, folder, words), options
