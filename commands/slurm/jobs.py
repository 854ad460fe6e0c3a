"""A job: the snapshot of the code that it runs, its folder, and what passes between it and Slurm.

Standard library only, so that it runs with a login node's own Python too.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from commands.slurm.sweeps import LAB, JobError, Run, last_line

JOBS = LAB / "jobs"
ANSWER_SECONDS = 60
"""How long Slurm's controller may take to answer."""


class NoAnswerError(JobError):
    """Slurm's controller was silent: whether it took the job is not known."""


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
            "(git add, git commit), or take the changes along with --allow-dirty; data and results "
            "belong outside the lab or into .gitignore"
        )
    if changes:
        with tempfile.TemporaryDirectory() as scratch:
            index = Path(scratch) / "index"
            git("read-tree", "HEAD", index=index)
            git("add", "--all", "--", *files, index=index)
            tree = git("write-tree", index=index).strip()
        diff = folder / "changes.diff"
        # What a user has set for the eye (colours, another differ) would be no patch.
        form = [
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        ]
        git("diff", *form, "--binary", "--relative", f"--output={diff}", commit, tree)
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
    command = ["tar", "-xf", str(archive), "-C", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise JobError(f"the code cannot be unpacked ({last_line(done.stderr)})")
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


def read_record(folder: Path) -> dict:
    """What was handed in, from `job.json` of a job's folder."""
    return json.loads((folder / "job.json").read_text(encoding="utf-8"))


def read_records() -> list[tuple[Path, dict]]:
    """The folders of the jobs that this lab has handed in and their records, oldest first."""
    found = []
    for path in JOBS.glob("*/job.json"):
        try:
            record = read_record(path.parent)
            if record["job"] and elements(record) and record["submitted"]:
                found.append((path.parent, record))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # a job being handed in at this moment, or an edited file
    return sorted(found, key=lambda each: each[1]["submitted"])


def require_slurm() -> None:
    """Raises `JobError` where there is no Slurm."""
    if shutil.which("sbatch") is None:
        raise JobError(
            "sbatch was not found: Slurm is on a cluster's login node; elsewhere "
            "`submit --dry-run` shows the script, and `sweep --local` trains without it"
        )


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
        raise JobError(f"{command[0]} was not found: is this a cluster's login node?") from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(
            f"Slurm's controller gave no answer within {ANSWER_SECONDS} s; "
            "try again later, and look at `squeue --me` first"
        ) from None
    if done.returncode:
        reasons = dict.fromkeys(
            last_line(line) for line in done.stderr.splitlines() if line.strip()
        )
        raise JobError(f"{command[0]}: {'; '.join(reasons) or 'no reason given'}")
    return done.stdout + (done.stderr if "--test-only" in command else "")


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


def elements(record: dict) -> dict[str, Path]:
    """The run behind each number that Slurm knows, of a job or of an array's elements."""
    folders = [Path(run["folder"]) for run in record["runs"]]
    if not record["is_array"]:
        return {str(record["job"]): folders[0]}
    return {f"{record['job']}_{index}": folder for index, folder in enumerate(folders)}


def require_idle(runs: Sequence[Run]) -> None:
    """Raises `JobError` when a run belongs to a job in the queue: two would write one folder."""
    wanted = {run.folder for run in runs}
    jobs = {
        number: folder
        for _, record in read_records()
        for number, folder in elements(record).items()
        if folder in wanted
    }
    states = queue_states(ended=False) if jobs else {}
    for number, folder in jobs.items():
        if number in states:
            raise JobError(f"{folder} belongs to job {number} in the queue; cancel that first")
