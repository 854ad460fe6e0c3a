"""Runs the tests on copies of the lab with other code in its regions, each copy in its own process.

Importing torch takes longer than most tests, so this process imports it once, never computes
anything with it (a child forked after threaded work would hang), and forks one child per job. Where
there is no fork, each job is a plain process. A child has a time limit and a memory limit; both are
kept by looking at it from outside, as limits of the kernel on address space or processes either do
not bind the superuser or count gigabytes that torch only reserves.

What a child reports comes over a pipe, signed with a secret of the job, so that files or lines that
the tested code writes are no results. See teacher/README.md for what this does not defend against.
"""

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.regions import LAB_FILES

LAB = Path(__file__).resolve().parent.parent
NEEDED = (*LAB_FILES, "utils.py", "conftest.py", "support", "toycity")
CAN_FORK = hasattr(os, "fork") and sys.platform.startswith("linux")
MAX_PROCESSES = 64
MAX_REPORT_BYTES = 4_000_000
LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Job:
    """A copy of the lab to test.

    Attributes:
        name: tells jobs apart.
        files: name → text of the lab's files that differ from the solved ones.
        todos: numbers of the TODOs whose tests to run.
    """

    name: str
    files: dict[str, str]
    todos: tuple[str, ...]


@dataclass(frozen=True)
class TestResult:
    """What one test said: its TODO, its name, its verdict as in conftest.py, and the message."""

    todo: str
    test: str
    verdict: str
    message: str


@dataclass
class Outcome:
    """What came of a job.

    Attributes:
        job: which one.
        results: of the tests that reported.
        trouble: why the job ended early or cannot be believed, in a sentence; None if all is well.
        seconds: how long it took.
    """

    job: Job
    results: list[TestResult] = field(default_factory=list)
    trouble: str | None = None
    seconds: float = 0.0

    def passed(self, todo: str) -> bool:
        """Whether all tests of a TODO passed, and there was at least one, and no trouble."""
        own = [result.verdict for result in self.results if result.todo == todo]
        return self.trouble is None and bool(own) and set(own) == {"passed"}


def run_jobs(
    jobs: Iterable[Job], workers: int = 2, seconds: float = 60.0, megabytes: int = 3000
) -> Iterator[Outcome]:
    """Runs jobs, several at a time, and hands out what came of each as it ends.

    Args:
        jobs: any number.
        workers: processes at a time.
        seconds: time limit of each.
        megabytes: limit of the resident memory of each, with all processes that it starts.
    """
    with lab_copy() as template:
        if CAN_FORK:
            import_heavy_modules()
            adopt_orphans()
        waiting, running = iter(jobs), []
        exhausted = False
        try:
            while running or not exhausted:
                while not exhausted and len(running) < workers:
                    job = next(waiting, None)
                    exhausted = job is None
                    if job is not None:
                        running.append(Child(job, template, seconds, megabytes))
                for child in list(running):
                    if child.has_ended():
                        running.remove(child)
                        yield child.outcome()
                if running:
                    select.select([], [], [], LOOK_EVERY / 5)
                    if CAN_FORK:
                        kill_strays({child.pid for child in running})
        finally:
            for child in running:
                child.stop()


@contextmanager
def lab_copy() -> Iterator[Path]:
    """A folder with what the tests need of the solved lab, and the tests."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "lab"
        folder.mkdir()
        for path in [LAB / name for name in NEEDED] + sorted(LAB.glob("test_implementation*.py")):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy(path, folder / path.name)
        yield folder


def import_heavy_modules() -> None:
    """Imports what every child would import, without computing anything."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations
    import albumentations.pytorch  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401
    import pytest  # noqa: F401
    import torch
    import torch.onnx._internal.exporter._core
    import torch.utils.data

    torch.set_num_threads(1)


class Child:
    """A job under way in a process of its own."""

    def __init__(self, job: Job, template: Path, seconds: float, megabytes: int) -> None:
        self.job, self.seconds, self.megabytes = job, seconds, megabytes
        self.folder = Path(tempfile.mkdtemp(prefix="job-", dir=template.parent))
        self.lab = self.folder / "lab"
        shutil.copytree(template, self.lab)
        for name, text in job.files.items():
            (self.lab / name).write_text(text, encoding="utf-8", newline="\n")
        self.secret = secrets.token_hex(16)
        self.started = self.looked = time.monotonic()
        self.report, self.trouble = b"", None
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.process = None
        if CAN_FORK:
            self.pid = os.fork()
            if self.pid == 0:
                os.close(self.reader)
                child_main(self.lab, job.todos, self.secret, writer)
            self.group = self.pid
        else:
            self.process = start_process(self.lab, job.todos, self.secret, writer)
            self.pid = self.process.pid
        os.close(writer)

    def has_ended(self) -> bool:
        """Reads what the child reports, holds it to its limits, and says whether it is done."""
        with suppress(BlockingIOError):
            while chunk := os.read(self.reader, 65536):
                self.report += chunk
                if len(self.report) > MAX_REPORT_BYTES:
                    break
        now = time.monotonic()
        if self._is_dead():
            return True
        if now - self.started > self.seconds:
            self.trouble = f"stopped after {self.seconds:.0f} seconds: does a loop never end?"
        elif len(self.report) > MAX_REPORT_BYTES:
            self.trouble = "stopped: it reports without end"
        elif CAN_FORK and now - self.looked > LOOK_EVERY:
            self.looked = now
            processes, megabytes = usage(self.pid)
            if megabytes > self.megabytes:
                self.trouble = f"stopped: it uses more than {self.megabytes} MB of memory"
            elif processes > MAX_PROCESSES:
                self.trouble = f"stopped: it starts more than {MAX_PROCESSES} processes"
        if self.trouble:
            self.stop()
            return True
        return False

    def _is_dead(self) -> bool:
        if self.process is not None:
            return self.process.poll() is not None
        pid, _ = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.pid = 0
        return bool(pid)

    def stop(self) -> None:
        """Ends the child with all that it started."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signal.SIGKILL)
        if self.pid:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            self.pid = 0

    def outcome(self) -> Outcome:
        """What came of the job; its folder is gone afterwards."""
        self.stop()
        with suppress(BlockingIOError):
            while chunk := os.read(self.reader, 65536):
                self.report += chunk
        os.close(self.reader)
        shutil.rmtree(self.folder, ignore_errors=True)
        outcome = Outcome(self.job, seconds=time.monotonic() - self.started, trouble=self.trouble)
        finished = False
        for line in self.report.decode("utf-8", "replace").splitlines():
            secret, _, rest = line.partition(" ")
            if secret != self.secret:
                continue
            with suppress(ValueError, TypeError, KeyError):
                entry = json.loads(rest)
                if "end" in entry:
                    finished = True
                    outcome.trouble = outcome.trouble or entry["end"]
                else:
                    outcome.results.append(TestResult(**entry))
        if not finished and outcome.trouble is None:
            outcome.trouble = "the tests did not come to their end: the code ended the process"
        return outcome


def start_process(
    lab: Path, todos: tuple[str, ...], secret: str, writer: int
) -> subprocess.Popen[bytes]:
    """Starts a job as a plain process, where there is no fork."""
    os.set_inheritable(writer, True)
    handle = writer
    if sys.platform == "win32":
        import msvcrt

        handle = msvcrt.get_osfhandle(writer)
        os.set_handle_inheritable(handle, True)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from teacher.sandbox import child_process; child_process(*sys.argv[2:])\n"
    )
    command = [sys.executable, "-c", script, LAB, lab, ",".join(todos), secret, handle]
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
    )


def child_process(lab: str, todos: str, secret: str, handle: str) -> None:
    """The life of a child that was not forked."""
    writer = int(handle)
    if sys.platform == "win32":
        import msvcrt

        writer = msvcrt.open_osfhandle(writer, os.O_WRONLY)
    run_tests(Path(lab), tuple(todos.split(",")), secret, writer)


def child_main(lab: Path, todos: tuple[str, ...], secret: str, writer: int) -> None:
    """The life of a forked child; it never returns."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (200 * 2**20, 200 * 2**20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        run_tests(lab, todos, secret, writer)
    finally:
        os._exit(0)


def run_tests(lab: Path, todos: tuple[str, ...], secret: str, writer: int) -> None:
    """Runs the tests of some TODOs in the folder `lab` and reports each."""
    import pytest

    from teacher.watching import Reporter

    def send(entry: dict[str, object]) -> None:
        os.write(writer, f"{secret} {json.dumps(entry)}\n".encode())

    forget_local_modules()
    os.chdir(lab)
    sys.path[:] = [str(lab), *(each for each in sys.path if each not in ("", str(LAB)))]
    tests = sorted(path.name for path in lab.glob("test_implementation*.py"))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    reporter = Reporter(todos, send)
    options = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-s", "-q", "--tb=no"]
    options += ["--rootdir", str(lab), "-c", os.devnull]
    pytest.main([*options, *tests], plugins=[reporter])
    reporter.finish()


def forget_local_modules() -> None:
    """Takes the lab's modules out of memory, so that the copy's are imported."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        is_local = bool(file) and Path(file).is_relative_to(LAB) and ".venv" not in file
        if is_local and name.split(".")[0] not in ("teacher", "__main__"):
            del sys.modules[name]


def usage(leader: int) -> tuple[int, float]:
    """The number of processes of a session and their resident memory in megabytes."""
    processes, pages = 0, 0
    for pid, session, _ in all_processes():
        if session == leader:
            processes += 1
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{pid}/statm").read_text().split()
                pages += int(fields[1]) - int(fields[2]) * (pid != leader)  # shared pages once
    return processes, pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def all_processes() -> Iterator[tuple[int, int, int]]:
    """(pid, session, parent) of every process of the machine."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                yield int(entry), int(fields[3]), int(fields[1])


def adopt_orphans() -> None:
    """Makes processes whose parent has died children of this one, so that none escapes."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def kill_strays(known: set[int]) -> None:
    """Ends processes that left their job's session, and clears away the dead."""
    for pid, session, parent in all_processes():
        if parent == os.getpid() and pid not in known and session not in known | {os.getsid(0)}:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
