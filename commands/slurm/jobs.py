"""Jobs: the snapshot of the code that each runs, its folder, and what passes to Slurm and back.

Standard library only, so that it runs with a login node's own Python too.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from commands.slurm.script import Job, test_script, training_script
from commands.slurm.trainings import LAB, JobError, Training, last_line, make_toy_data

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
        form = ["--no-ext-diff", "--no-textconv", "--no-color"]
        form += ["--src-prefix=a/", "--dst-prefix=b/"]
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


# ----------------------------------------------------------------------------- the folders of jobs


def new_folder(name: str) -> Path:
    """Makes the folder of a job, and keeps git's eyes off all of them."""
    JOBS.mkdir(exist_ok=True)
    (JOBS / ".gitignore").write_text("*\n")
    folder = planned_folder(name)
    folder.mkdir()
    return folder


def planned_folder(name: str) -> Path:
    """The folder that a job submitted now would get."""
    wanted = JOBS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    number, folder = 1, wanted
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def write_record(folder: Path, record: dict) -> None:
    """Writes `job.json`, what was submitted, whole or not at all."""
    temporary = folder / ".job.json.partial"
    write_text(temporary, json.dumps(record, indent=2) + "\n")
    temporary.replace(folder / "job.json")


def read_records() -> list[tuple[Path, dict]]:
    """The folders of the jobs that this lab has submitted and their records, oldest first."""
    found = []
    for path in JOBS.glob("*/job.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["job"] and runs_of(record) and record["submitted"]:
                found.append((path.parent, record))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # a job being submitted at this moment, or an edited file
    # Jobs of one second stand in the order of their numbers.
    return sorted(found, key=lambda each: (each[1]["submitted"], str(each[1]["job"]).zfill(12)))


def runs_of(record: dict) -> dict[str, Path]:
    """The run behind each number that Slurm knows, of a job or of an array's elements."""
    folders = [Path(run["folder"]) for run in record["runs"]]
    if not record["is_array"]:
        return {str(record["job"]): folders[0]}
    return {f"{record['job']}_{index}": folder for index, folder in enumerate(folders)}


# ------------------------------------------------------------------------------------------ Slurm


def require_slurm() -> None:
    """Raises `JobError` where there is no Slurm."""
    if shutil.which("sbatch") is None:
        raise not_found("sbatch")


def not_found(program: str) -> JobError:
    """The error for a program of Slurm's that is missing."""
    return JobError(
        f"{program} was not found: Slurm is on a cluster's login node; elsewhere "
        "`submit --dry-run` shows the script, and `sweep --local` trains without it"
    )


def slurm(*command: str, seconds: float = ANSWER_SECONDS) -> str:
    """What one of Slurm's commands says within some seconds.

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
            command, env=variables, capture_output=True, text=True, timeout=seconds
        )
    except FileNotFoundError:
        raise not_found(command[0]) from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(
            f"Slurm's controller gave no answer within {seconds} s; "
            "try again later, and look at `squeue --me` first"
        ) from None
    if done.returncode:
        reasons = dict.fromkeys(
            last_line(line) for line in done.stderr.splitlines() if line.strip()
        )
        raise JobError(f"{command[0]}: {'; '.join(reasons) or 'no reason given'}")
    return done.stdout + (done.stderr if "--test-only" in command else "")


def submit_script(script: Path, options: Sequence[str]) -> str:
    """Submits a script; returns the number of its job."""
    command = ["sbatch", "--parsable", f"--chdir={script.parent}", *options, str(script)]
    return slurm(*command).strip().splitlines()[-1].split(";")[0]


def queue_states(*, ended: bool) -> dict[str, str]:
    """The state of jobs by their number (`12`, `34_5`), lately ended ones if asked.

    They are those of the user, and of whoever else has submitted from this folder.
    """
    require_slurm()
    users = {os.getuid()}
    for folder, _ in read_records():
        with suppress(OSError):  # removed since
            users.add(folder.stat().st_uid)
    whose = f"--user={','.join(map(str, sorted(users)))}"
    states = ["--states=all"] if ended else []
    lines = slurm("squeue", whose, "--noheader", "--array", "--format=%i|%T|%r", *states)
    found = {}
    for line in lines.splitlines():
        number, state, reason = line.split("|", 2)
        waits = state == "PENDING" and reason not in ("None", "Priority", "Resources")
        found[number.strip()] = f"{state} ({reason})" if waits else state
    return found


def accounting_states(numbers: Sequence[str]) -> dict[str, str]:
    """What Slurm's accounting says of jobs; nothing where there is none, as on many clusters."""
    form = ["--allocations", "--noheader", "--parsable2", "--format=JobID,State"]
    try:
        lines = slurm("sacct", *form, f"--jobs={','.join(numbers)}", seconds=10).splitlines()
    except JobError:
        return {}
    rows = [line.split("|") for line in lines]
    return {row[0]: row[1].split()[0] for row in rows if len(row) == 2 and row[0] in numbers}


def require_idle(trainings: Sequence[Training]) -> None:
    """Raises `JobError` when a run belongs to a job in the queue: two would write one folder."""
    wanted = {training.folder for training in trainings}
    jobs = {
        number: folder
        for _, record in read_records()
        for number, folder in runs_of(record).items()
        if folder in wanted
    }
    states = queue_states(ended=False) if jobs else {}
    for number, folder in jobs.items():
        if number in states:
            raise JobError(f"{folder} belongs to job {number} in the queue; cancel that first")


# --------------------------------------------------------------------------------------- submitting


def preview(job: Job, *, is_dry_run: bool) -> None:
    """Prints what would be submitted, or what Slurm thinks of it."""
    folder = planned_folder(job.name)
    script = training_script(job, folder, "the committed code")
    if is_dry_run:
        print(script, end="")
        if job.then_test:
            print("\n# Submitted with --dependency=afterok:JOB --kill-on-invalid-dep=yes:")
            print(test_script(job, folder), end="")
        return
    require_slurm()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "job.sh"
        write_text(path, script)
        print(last_line(slurm("sbatch", "--test-only", *job.options, str(path))))


def submit_job(job: Job, command: str, *, allow_dirty: bool) -> tuple[str, Path]:
    """Writes a job's folder and submits the job; returns its number and the folder.

    Args:
        job: what is submitted.
        command: the line that was typed, for `job.json`.
        allow_dirty: whether uncommitted changes are taken along.
    """
    require_slurm()
    require_idle(job.trainings)
    make_toy_data(job.trainings)
    folder = new_folder(job.name)
    try:
        record = fill(folder, job, command, allow_dirty)
        record["job"] = submit_script(folder / "job.sh", job.options)
        write_record(folder, record)
        if job.then_test:
            record["test_job"] = submit_test(folder, job, record["job"])
            write_record(folder, record)
    except (NoAnswerError, KeyboardInterrupt):
        raise  # Slurm may have taken it nevertheless
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return record["job"], folder


def fill(folder: Path, job: Job, command: str, allow_dirty: bool) -> dict:
    """Puts the code, the script and the description into a job's folder; returns the latter."""
    outside = {JOBS, *(each.folder.parent for each in job.trainings)}
    outside |= {each.datadir for each in job.trainings}
    origin = take_snapshot(folder, sorted(outside), allow_dirty)
    write_text(folder / "job.sh", training_script(job, folder, f"the code of commit {origin}"))
    for each in job.trainings:
        each.folder.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "submitted": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "command": command,
        "commit": origin,
        "job": None,
        "test_job": None,
        "is_array": job.is_array,
        "runs": [
            {"folder": str(each.folder), "arguments": each.arguments} for each in job.trainings
        ],
    }
    write_record(folder, record)
    return record


def submit_test(folder: Path, job: Job, number: str) -> str:
    """Submits the job that tests the network after job `number`, or cancels that; the number."""
    write_text(folder / "test.sh", test_script(job, folder))
    after = [f"--dependency=afterok:{number}", "--kill-on-invalid-dep=yes"]
    try:
        return submit_script(folder / "test.sh", [*job.test_options, *after])
    except (JobError, KeyboardInterrupt):
        slurm("scancel", number)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a file for Linux, with bytes that are no UTF-8 as they were in a path."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
