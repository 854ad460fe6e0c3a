"""What job.py is made of: the order to Slurm, the batch script, the snapshot of the code.

Standard library only, so that it runs with a login node's own Python too. The script follows
Slurm's manuals of sbatch (`--signal`, `--requeue`, "Job arrays") and scontrol (`requeue`), and
torchrun's of `torch.distributed.run` (elastic launch with the c10d rendezvous).
"""

import argparse
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
JOBS = LAB / "jobs"
ANSWER_SECONDS = 60
"""How long Slurm's controller may take to answer."""

LONGEST_NAME = 60


class JobError(ValueError):
    """Anything that a user can cause and mend. Its message is the one line that they see."""


class NoAnswerError(JobError):
    """Slurm's controller was silent: whether it took the job is not known."""


@dataclass(frozen=True)
class Run:
    """One training: the folder that it fills, and the arguments of `main.py train`."""

    folder: Path
    arguments: list[str]

    @property
    def is_finished(self) -> bool:
        """Whether it has reached its end: `summary.txt` is the last that a run writes."""
        return (self.folder / "summary.txt").is_file()


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
        setup: shell commands that make the environment, or "".
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
        options = [f"--job-name={name}", "--output=test-%j.out", "--open-mode=append"]
        if self.memory:
            options.append(f"--mem={self.memory}")
        return [*options, "--nodes=1", "--ntasks=1", f"--cpus-per-task={self.cpus}", *self.extra]


# ---------------------------------------------------------------- what Slurm would misunderstand


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
    if not re.fullmatch(r"([A-Za-z][\w.-]*:)?[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no number of GPUs; write it as 2 or a100:2")
    return text


def plain_word(text: str) -> str:
    """An argparse type: a partition, account or the like, without spaces or quotes."""
    if not re.fullmatch(r"[\w.,:=@%+/&|*()\[\]-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} holds characters that Slurm does not take here")
    return text


def whole(text: str, least: int = 1) -> int:
    """An argparse type: a whole number, `least` or more."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number, {least} or more")
    return int(text)


def safe_name(text: str) -> str:
    """A name that is safe in paths, in Slurm's patterns and on the command line."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")[:LONGEST_NAME] or "lab"


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
    signal=$1 woken=yes
    [ -n "$training" ] && kill -s "$signal" "$training" 2>/dev/null
}
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM
"""

STARTING = """\
cd "$code" || exit 1
echo "$(date '+%F %T') job $job on $(hostname), start $((restarts + 1))"
"""

ALONE = """\
"$python" main.py train --auto-resume "${arguments[@]}" &
"""

TOGETHER = """\
# The batch script runs on the first of the nodes; there the processes find each other.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=$grace
srun --ntasks-per-node=1 --cpus-per-task="$cpus_per_node" --kill-on-bad-exit=1 \\
    "$python" -m torch.distributed.run --nnodes="$SLURM_JOB_NUM_NODES" \\
    --nproc-per-node="$processes" --rdzv-backend=c10d --rdzv-id="$job" \\
    --rdzv-endpoint="$(hostname):$((10000 + SLURM_JOB_ID % 20000))" \\
    --signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \\
    main.py train --auto-resume "${arguments[@]}" &
"""

ENDING = """\
training=$!
[ -n "$signal" ] && kill -s "$signal" "$training"  # it came before there was a training

# A signal ends `wait` early. Only a wait that nothing disturbed gives the training's own code.
woken=yes
while [ -n "$woken" ]; do
    woken=
    wait "$training"
    code=$?
done
"""

STOPPED_ALONE = """\
# 138 is 128 + USR1: stopped in time and saved. Anything else is an end, good or bad.
[ "$code" -eq 138 ] || exit "$code"
"""

STOPPED_TOGETHER = """\
# torchrun ends with 1 whatever the processes said: stopped in time is what ends after USR1.
[ "$code" -ne 0 ] && [ "$signal" = USR1 ] || exit "$code"
"""

AGAIN = """\
if [ "$restarts" -ge "$max_restarts" ]; then
    echo "$(date '+%F %T') job $job stopped and saved; that was the last of $restarts restarts"
    exit "$code"
fi
echo "$(date '+%F %T') job $job stopped and saved; it goes on when Slurm starts it again"
for pause in 0 5 10 20; do
    sleep "$pause"
    scontrol requeue "$job" && exit 0
done
exit "$code"
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
        environment(order),
        STARTING + (TOGETHER if order.is_parallel else ALONE) + ENDING,
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
    setup = f"{order.setup}\n[ $? -eq 0 ] || exit 1\n" if order.setup else ""
    return f"{setup}export PYTHONUNBUFFERED=1 OMP_NUM_THREADS={order.cpus}\n"


def testing_script(order: Order, options: Sequence[str], folder: Path, words: list[str]) -> str:
    """The batch script of the job that judges a trained network."""
    command = shlex.join([order.python, "main.py", "test", *words])
    return "\n".join(
        [
            script_head(options, "Written by job.py. It judges what the job before has trained."),
            environment(order),
            f"cd {shlex.quote(str(folder / 'code'))} || exit 1\nexec {command}\n",
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


# ------------------------------------------------------------------------ the snapshot of the code


def git(*words: str, index: Path | None = None) -> str:
    """What a git command says in the lab's folder, with another index file when one is given.

    Raises:
        JobError: when it fails.
    """
    environment = dict(os.environ) | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        done = subprocess.run(
            ["git", *words], cwd=LAB, env=environment, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise JobError("git is not installed; job.py keeps with it the code that runs") from None
    if done.returncode:
        raise JobError(f"git {words[0]}: {last_line(done.stderr)}")
    return done.stdout


def require_commit() -> str:
    """The commit of the lab's folder.

    Raises:
        JobError: when the folder is no git repository, or holds no commit.
    """
    try:
        return git("rev-parse", "--verify", "HEAD^{commit}").strip()
    except JobError as error:
        if "not installed" in str(error):
            raise
        raise JobError(
            f"{LAB} has no commit, and a job runs committed code; "
            "type once: git init && git add -A && git commit -m lab"
        ) from error


def pathspecs(outside: Sequence[Path]) -> list[str]:
    """The lab's files for git, without the folders that hold data and results."""
    inside = [path.relative_to(LAB).as_posix() for path in outside if LAB in path.parents]
    return [".", *(f":(exclude,literal){path}" for path in inside if not is_ignored(path))]


def is_ignored(path: str) -> bool:
    """Whether git leaves a path alone anyway; to exclude it once more would be an error."""
    try:
        git("check-ignore", "--quiet", path)
    except JobError:
        return False
    return True


def take_snapshot(folder: Path, outside: Sequence[Path], allow_dirty: bool) -> str:
    """Unpacks the committed code, or with `allow_dirty` the code as it is, into `folder/code`.

    Args:
        folder: the job's; with uncommitted changes it gets `changes.diff` too.
        outside: folders whose content is not code: data, runs, jobs.
        allow_dirty: whether uncommitted changes and untracked files are taken along.

    Returns:
        The commit, followed by `+changes` when there were some.

    Raises:
        JobError: without a commit, or for changes that are not allowed.
    """
    commit = require_commit()
    tree, files = commit, pathspecs(outside)
    changes = git("status", "--porcelain", "--untracked-files=normal", "--", *files).splitlines()
    if changes and not allow_dirty:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise JobError(
            f"not committed: {', '.join(line[3:] for line in changes[:3])}{more}; commit first "
            "(git add -A && git commit), or take the changes along with --allow-dirty"
        )
    if changes:
        with tempfile.TemporaryDirectory() as scratch:
            index = Path(scratch) / "index"
            git("read-tree", "HEAD", index=index)
            git("add", "--all", "--", *files, index=index)
            tree = git("write-tree", index=index).strip()
        diff = folder / "changes.diff"
        git("diff", "--binary", "--relative", f"--output={diff}", commit, tree)
    unpack(tree, folder / "code")
    origin = commit + ("+changes" if changes else "")
    (folder / "code" / "COMMIT").write_text(f"{origin}\n")
    return origin


def unpack(tree: str, target: Path) -> None:
    """`git archive`, unpacked.

    Raises:
        JobError: when the lab is not in the commit.
    """
    archive = target.with_suffix(".tar")
    git("archive", "--format=tar", f"--output={archive}", tree)
    target.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(target)], check=True)
    archive.unlink()
    if not (target / "main.py").is_file():
        raise JobError(f"{LAB / 'main.py'} is not in the commit; git add it and commit")


# --------------------------------------------------------------------------------- jobs and Slurm


def new_folder(name: str) -> Path:
    """Makes the folder of a job, and keeps git's eyes off all of them."""
    JOBS.mkdir(exist_ok=True)
    (JOBS / ".gitignore").write_text("*\n")
    folder = planned_folder(name)
    folder.mkdir()
    return folder


def planned_folder(name: str) -> Path:
    """The folder that a job handed in now would get."""
    wanted = JOBS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    number, folder = 1, wanted
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def write_record(folder: Path, record: dict) -> None:
    """Writes `job.json`, whole or not at all."""
    temporary = folder / ".job.json.partial"
    temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / "job.json")


def read_records() -> list[tuple[Path, dict]]:
    """The folders of this lab's jobs and what was handed in, oldest first."""
    found = []
    for path in JOBS.glob("*/job.json"):
        try:
            found.append((path.parent, json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError):
            continue  # a job being handed in at this moment, or an edited file
    return sorted(found, key=lambda each: each[1]["submitted"])


def slurm(*command: str) -> str:
    """What one of Slurm's commands says.

    Raises:
        JobError: when it is missing or refuses.
        NoAnswerError: when the controller is silent.
    """
    # Inside another job its variables would be taken for options.
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
    except FileNotFoundError:
        raise JobError(
            f"{command[0]} was not found: Slurm is on a cluster's login node; "
            "elsewhere `submit --dry-run` shows the script and `sweep --local` trains here"
        ) from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(
            f"Slurm's controller gave no answer within {ANSWER_SECONDS} s; "
            "try again later, and look at `squeue --me` first"
        ) from None
    if done.returncode:
        raise JobError(f"{command[0]}: {last_line(done.stderr)}")
    return done.stdout + (done.stderr if "--test-only" in command else "")


def last_line(text: str) -> str:
    """The last line that says something, without the program's name."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason given"]
    return re.sub(r"^(\w+: )?(error|fatal): ", "", lines[-1]).strip()


def hand_in(script: Path, options: Sequence[str]) -> str:
    """Submits a script; returns the number of its job."""
    command = ["sbatch", "--parsable", f"--chdir={script.parent}", *options, str(script)]
    return slurm(*command).strip().splitlines()[-1].split(";")[0]


def queue_states(*, ended: bool) -> dict[str, str]:
    """The state of the user's jobs by their number (`12`, `34_5`), lately ended ones if asked."""
    states = ["--states=all"] if ended else []
    lines = slurm("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r", *states)
    found = {}
    for line in lines.splitlines():
        number, state, reason = line.split("|", 2)
        waits = state == "PENDING" and reason not in ("None", "Priority", "Resources")
        found[number.strip()] = f"{state} ({reason})" if waits else state
    return found


def read_progress(run: Path) -> tuple[str, str]:
    """The latest epoch of a run and its best validation macro F1, as text; "-" for none yet."""
    try:
        with (run / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return rows[-1]["epoch"], f"{max(float(row['val_macro_f1']) for row in rows):.4f}"
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return "-", "-"
