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
from functools import partial
from pathlib import Path

from commands.command_line import whole
from commands.slurm.trainings import (
    LAB,
    JobError,
    Training,
    begun_arguments,
    last_line,
    options_of,
)


@dataclass(frozen=True)
class Request:
    """What is asked of Slurm, for one job or for each element of an array.

    Attributes:
        time, mem: as Slurm writes them, or None for the cluster's default.
        gpus: per node, as "2" or "a100:2", or None.
        nodes: how many machines.
        processes: of the training, on each node.
        cpus: cores for each process.
        extra: further options of sbatch, as they are.
        grace: seconds before the time limit at which the training is told to save itself.
        max_restarts: how often the job may requeue itself.
        setup: shell commands that make the environment, or ""; they may set `python` too.
        python: the interpreter.
    """

    time: str | None
    mem: str | None
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


@dataclass(frozen=True)
class Job:
    """What is submitted: one training, or an array of them.

    Attributes:
        name: in the queue.
        request: what is asked of Slurm.
        trainings: the one, or an element of the array each.
        is_array: whether it is an array; one training may be an array too.
        at_most: how many elements train at a time, or None for any number.
        then_test: whether a second job tests the network when the training has succeeded.
        after: the number of a job that must have succeeded before this one begins.
    """

    name: str
    request: Request
    trainings: Sequence[Training]
    is_array: bool = False
    at_most: int | None = None
    then_test: bool = False
    after: str | None = None

    @property
    def options(self) -> list[str]:
        """The options of sbatch."""
        asked = self.request
        log = "slurm-%A_%a.out" if self.is_array else "slurm-%j.out"
        options = [f"--job-name={self.name}", f"--output={log}", "--open-mode=append"]
        if self.is_array:
            limit = f"%{self.at_most}" if self.at_most else ""
            options.append(f"--array=0-{len(self.trainings) - 1}{limit}")
        gpus = asked.gpus and f"gpu:{asked.gpus}"
        given = {"time": asked.time, "mem": asked.mem, "gres": gpus}
        options += [f"--{flag}={value}" for flag, value in given.items() if value]
        options += [f"--nodes={asked.nodes}", "--ntasks-per-node=1"]
        options.append(f"--cpus-per-task={asked.cpus * asked.processes}")
        if self.after:
            options += [f"--dependency=afterok:{self.after}", "--kill-on-invalid-dep=yes"]
        return [*options, f"--signal=B:USR1@{asked.grace}", "--requeue", *asked.extra]

    @property
    def test_options(self) -> list[str]:
        """The options of sbatch for the job that tests the network: on one node, without GPU."""
        asked = self.request
        options = [f"--job-name={self.name}-test", "--output=slurm-%j.out", "--open-mode=append"]
        options += [f"--mem={asked.mem}"] if asked.mem else []
        return [*options, "--nodes=1", "--ntasks=1", f"--cpus-per-task={asked.cpus}", *asked.extra]


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


FROM_CLUSTER = "as your cluster names it (the cluster's)"
REQUEST_OPTIONS = (
    ("--time", time_limit, None, "T", "limit: minutes, H:MM:SS or D-HH (the cluster's)"),
    ("--mem", memory_size, None, "M", "memory per node, as 32G (the cluster's)"),
    ("--gpus-per-node", gpu_count, None, "G", "GPUs, as 2 or a100:2 (none)"),
    ("--nodes", whole, 1, "N", "machines (1)"),
    ("--processes-per-node", whole, None, "N", "processes that train, on each node (1 per GPU)"),
    ("--cpus", whole, 2, "N", "cores for each process (2)"),
    ("--partition", plain_word, None, "NAME", FROM_CLUSTER),
    ("--account", plain_word, None, "NAME", FROM_CLUSTER),
    ("--qos", plain_word, None, "NAME", FROM_CLUSTER),
    ("--constraint", plain_word, None, "NAME", FROM_CLUSTER),
    ("--grace", partial(whole, least=5, most=LONGEST_GRACE), 120, "S",
     "seconds before the limit at which the training saves itself (120)"),
    ("--max-restarts", partial(whole, least=0), 20, "N",
     "how often a job may requeue itself and resume (20)"),
)  # fmt: skip
"""What submit and sweep ask of Slurm: the flag, its type, default, unit and help."""


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
echo "$(date '+%F %T') job $job stopped and saved; it resumes when Slurm starts it again"
for pause in 0 5 10 20; do
    sleep "$pause"
    scontrol requeue "$job" && exit 0
done
exit "$result"
"""


def training_script(job: Job, folder: Path, origin: str) -> str:
    """The batch script of a job.

    Args:
        job: what to train; an array's element takes the training of its number.
        folder: the job's.
        origin: which code runs, for the reader.

    Raises:
        JobError: for a `--setup` that is no shell command.
    """
    asked = job.request
    values = {"python": asked.python, "code": str(folder / "code")}
    values |= {"max_restarts": str(asked.max_restarts)}
    if asked.is_parallel:
        values |= {"processes": str(asked.processes), "grace": str(asked.grace)}
        values |= {"cpus_per_node": str(asked.cpus * asked.processes)}
    script = [
        script_head(job.options, f"Written by job.py. It trains with {origin}."),
        "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items()) + "\n",
        array_arguments(job.trainings) if job.is_array else arguments(job.trainings[0]) + "\n",
        WAITING,
        "train() {\n" + (TOGETHER if asked.is_parallel else ALONE) + ENDING,
        environment(asked),
        STARTING,
        (STOPPED_TOGETHER if asked.is_parallel else STOPPED_ALONE) + AGAIN,
    ]
    return checked("\n".join(script))


def test_script(job: Job, folder: Path) -> str:
    """The batch script of the job that tests the network when the training has succeeded."""
    training = job.trainings[0]
    words = ["--modelpath", str(training.folder / "model.onnx")]
    words += ["--datadir", str(training.datadir), "--split", "val"]
    given = options_of(training.arguments)
    cities, limit = given.get("--cities-val"), given.get("--limit")
    if (training.folder / "config.json").is_file():  # of --resume
        begun = begun_arguments(training.folder)
        cities = cities or begun.get("cities_val")
        limit = limit or ([begun["limit"]] if begun.get("limit") else None)
    words += ["--cities", *cities] if cities else []
    words += ["--limit", str(limit[-1])] if limit else []
    script = [
        script_head(job.test_options, "Written by job.py. It tests what the job before trained."),
        f"python={shlex.quote(job.request.python)}\n{environment(job.request)}",
        f"cd {shlex.quote(str(folder / 'code'))} || exit 1",
        f'exec "$python" main.py test {shlex.join(words)}\n',
    ]
    return "\n".join(script)


def script_head(options: Sequence[str], comment: str) -> str:
    """The first lines of a batch script."""
    asked = [f"#SBATCH {option}" for option in options]
    return "\n".join(["#!/bin/bash", *asked, "", f"# {comment}\n"])


def arguments(training: Training) -> str:
    """The line that holds the arguments of a training."""
    return f"arguments=({shlex.join(training.arguments)})"


def array_arguments(trainings: Sequence[Training]) -> str:
    """The lines by which an element of an array finds the arguments of its training."""
    lines = [f"{number}) {arguments(each)} ;;" for number, each in enumerate(trainings)]
    return "\n".join(["case $SLURM_ARRAY_TASK_ID in", *lines, "esac\n"])


def environment(request: Request) -> str:
    """The lines that make the environment."""
    setup = ""
    if request.setup:  # what it sets for itself, such as set -e, must not end this script
        setup = f"cd {shlex.quote(str(LAB))} || exit 1\n{request.setup}\n"
        setup += "[ $? -eq 0 ] || exit 1\nset +eu\n"
    return f"{setup}export PYTHONUNBUFFERED=1 OMP_NUM_THREADS={request.cpus}\n"


def checked(script: str) -> str:
    """Has bash read a script, where there is a bash, and returns it.

    Raises:
        JobError: when it cannot: only `--setup` can have brought a mistake in.
    """
    bash = shutil.which("bash")
    if bash is not None:
        text = {"encoding": "utf-8", "errors": "surrogateescape"}
        found = subprocess.run([bash, "-n"], input=script, capture_output=True, **text)
        if found.returncode:
            raise JobError(f"--setup is no valid shell command ({last_line(found.stderr)})")
    return script
