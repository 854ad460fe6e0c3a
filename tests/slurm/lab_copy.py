"""A copy of the lab for the tests against a real Slurm, in which job.py is called as students do.

The lab, its data and its runs lie in folders with spaces and quotes throughout.
"""

import getpass
import json
import shlex
import subprocess
import sys
from pathlib import Path

from cluster import ENDED, SLOWEST, Cluster, wait_until

from tests.street_files import write_streets

LAB = Path(__file__).resolve().parents[2]
TRAINING = shlex.split(
    "--img-size 16 32 --num-blocks 2 --base-channels 4 --batch-size 1 --num-workers 0 --device cpu"
)
SLOW_DISK = """\
import os, time

if not int(os.environ.get("SLURM_RESTART_COUNT") or 0):
    replace = os.replace

    def slowly(*paths, **options):
        time.sleep(1.5)
        replace(*paths, **options)

    os.replace = slowly
"""
"""Makes a run long, whatever the machine's speed: until its job is restarted, each file takes its
time to be renamed into place."""


class Job:
    """What was submitted: its folder, its number, the one that tests it, and its first run."""

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / "job.json").read_text())
        self.folder, self.number, self.test = folder, record["job"], record["test_job"]
        self.run = Path(record["runs"][0]["folder"])

    def log(self) -> str:
        """Everything that the job has written."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("slurm-*.out")))


class Lab:
    """A copy of the lab, in which job.py is called as a student calls it."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster = folder, cluster
        names = self._git(LAB, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in names.split("\0"):
            if name and (LAB / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((LAB / name).read_bytes())
        self._git(folder, "init", "--quiet")
        self._git(folder, "add", "--all")
        author = ["-c", f"user.name={getpass.getuser()}", "-c", "user.email=lab@localhost"]
        self._git(folder, *author, "commit", "--quiet", "--message=lab")
        self.data = write_streets(folder.parent / """Ann's "streets" """)
        self.runs = folder.parent / """Ann's "runs" """
        slow_disk = folder.parent / "slow disk"
        slow_disk.mkdir()
        (slow_disk / "sitecustomize.py").write_text(SLOW_DISK)
        setup = f"export PYTHONPATH={shlex.quote(str(slow_disk))}"
        self.slowly = ["--setup", setup, "--python", sys.executable]
        self.training = ["--datadir", self.data, "--logdir", self.runs, *TRAINING]

    @staticmethod
    def _git(folder: Path, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True
        ).stdout

    def call(self, *words: object, **environment: str) -> subprocess.CompletedProcess:
        """Runs job.py to its end."""
        return subprocess.run(
            [sys.executable, "job.py", *map(str, words)], cwd=self.folder, timeout=120,
            env=self.cluster.environment | environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def submitted(self, *words: object) -> Job:
        """Runs a command of job.py that submits a job."""
        (job,) = self.all_submitted(*words)
        return job

    def all_submitted(self, *words: object) -> list[Job]:
        """Runs a command of job.py that submits several jobs; they come in the order of numbers."""
        before = set(self.folder.glob("jobs/*/job.json"))
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        new = set(self.folder.glob("jobs/*/job.json")) - before
        return sorted((Job(path.parent) for path in new), key=lambda job: int(job.number))

    def chain(self, *stages: str) -> list[Job]:
        """Submits a chain of stages on the tiny streets."""
        file = self.folder.parent / "chain of stages.txt"
        file.write_text("".join(f"{stage}\n" for stage in stages))
        words = ["--chain", file, "--time", 10, "--cpus", 1, "--", "train", *self.training]
        return self.all_submitted("sweep", *words)

    def submit(self, *options: object, name: str, epochs: int) -> Job:
        """Submits a training on the tiny streets."""
        words = ["train", *self.training, "--name", name, "--epochs", epochs]
        return self.submitted("submit", "--time", 10, "--cpus", 1, *options, "--", *words)

    def wait(self, job: Job | str, *states: str) -> str:
        """Waits until a job, or that number, is in one of the states; otherwise shows why not."""
        number = job.number if isinstance(job, Job) else job
        try:
            return self.cluster.wait_for_state(number, *states)
        except TimeoutError as error:
            raise self._failure(error, job) from None

    def wait_for_epoch(self, job: Job, epoch: int) -> None:
        """Waits until the job's run has ended that epoch; otherwise shows why not."""
        history = job.run / "history.csv"

        def reached() -> bool:
            if self.cluster.state(job.number) in ENDED:
                raise TimeoutError(f"job {job.number} ended before epoch {epoch} did")
            return history.exists() and len(history.read_text().splitlines()) > epoch

        try:
            wait_until(reached, SLOWEST, f"epoch {epoch} of job {job.number} has ended")
        except TimeoutError as error:
            raise self._failure(error, job) from None

    def _failure(self, error: TimeoutError, job: Job | str) -> AssertionError:
        log = job.log()[-3000:] if isinstance(job, Job) else ""
        return AssertionError(f"{error}\n{log}\n{self.cluster.logs()}")
