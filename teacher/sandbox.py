"""Runs the tests on copies of the lab with other code in its regions, each copy in its own process.

Importing torch takes longer than most tests, so this process imports it once, never computes
anything with it (a child forked after threaded work would hang), and forks one child per job. Where
there is no fork, each job is a plain process. A child has a time limit and a memory limit; both are
kept by looking at it from outside, as limits of the kernel on address space or processes either do
not bind the superuser or count gigabytes that torch only reserves. Where the kernel allows it, a
child also lives behind walls: it sees no other process, no network, and may write in its own folder
alone.

What a child reports comes over a pipe, signed with a secret of the job, so that files or lines that
the tested code writes are no results. See teacher/README.md for what this does not defend against.
"""

import gc
import json
import os
import secrets
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from commands.companion.markers import LAB_FILES
from teacher.catalogue import LAB
from teacher.child import ONE_THREAD, keeper_main, run_tests, silence, start_process
from teacher.processes import (
    MAX_PROCESSES,
    Process,
    adopt_orphans,
    all_processes,
    family_of,
    kill_strays,
    own_megabytes,
)

NEEDED = (
    *(name for name in LAB_FILES if "/" not in name),
    *("utils.py", "conftest.py", "commands", "support", "toycity", "zoo", "checks"),
)
CAN_FORK = hasattr(os, "fork") and sys.platform.startswith("linux")
MAX_REPORT_BYTES = 4_000_000
LOOK_EVERY = 0.05
BUSY = 0.7
"""Share of its time limit in which a child must have computed, for its end to be its own fault."""


@dataclass(frozen=True)
class Job:
    """A copy of the lab to test.

    Attributes:
        name: tells jobs apart.
        files: name → text of the lab's files that differ from the solved ones.
        todos: numbers of the TODOs whose tests to run.
        factor: how many times the usual time it has.
    """

    name: str
    files: dict[str, str]
    todos: tuple[str, ...]
    factor: float = 1.0


@dataclass(frozen=True)
class TestResult:
    """What one test said: its TODO, its name, its verdict as in conftest.py, and the message."""

    __test__ = False  # for pytest, where it is imported

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
    """Runs jobs, several at a time, and yields what came of each as it ends.

    A job that runs out of time without having computed all that time, as on a busy machine, runs
    once more at the end, alone.

    Args:
        jobs: any number.
        workers: processes at a time.
        seconds: time limit of each.
        megabytes: limit of the resident memory of each, with all processes that it starts.
    """
    jobs = iter(jobs)
    first = next(jobs, None)
    if first is None:  # all was done before: torch need not be imported for it
        return
    jobs = chain([first], jobs)
    with lab_copy() as template:
        if CAN_FORK:
            import_heavy_modules()
            adopt_orphans()
            warm_up(template)
        again: list[Job] = []
        try:
            for child in run_children(jobs, workers, template, seconds, megabytes):
                outcome = child.outcome()
                if child.starved:
                    again.append(child.job)
                else:
                    yield outcome
            for child in run_children(again, 1, template, seconds, megabytes):
                yield child.outcome()
        finally:
            gc.unfreeze()


def run_children(
    jobs: Iterable[Job], workers: int, template: Path, seconds: float, megabytes: int
) -> Iterator["Child"]:
    """Starts a child for each job, and yields each when it has ended."""
    waiting, running = iter(jobs), []
    exhausted, looked = False, 0.0
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
                    yield child
            if CAN_FORK and time.monotonic() - looked > LOOK_EVERY:
                looked, processes = time.monotonic(), all_processes()
                for child in running:
                    child.look(processes)
                kill_strays({child.leader for child in running}, processes)
            if running:
                wait_for_news(running)
    finally:
        for child in running:
            child.stop()
            child.clean()
        if CAN_FORK:
            kill_strays(set(), all_processes())


def wait_for_news(children: list["Child"]) -> None:
    """Waits until a child reports something or ends, but not long."""
    readers = [child.reader for child in children if not child.is_silent]
    if CAN_FORK:
        select.select(readers, [], [], LOOK_EVERY if len(readers) == len(children) else 0.01)
    else:
        time.sleep(0.02)


@contextmanager
def lab_copy() -> Iterator[Path]:
    """A folder with what the tests need of the solved lab, and the tests."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch).resolve() / "lab"
        folder.mkdir()
        for path in [LAB / name for name in NEEDED] + sorted(LAB.glob("test_implementation*.py")):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy2(path, folder / path.name)
        yield folder


def import_heavy_modules() -> None:
    """Imports what every child would import, without computing anything."""
    os.environ |= dict.fromkeys(ONE_THREAD, "1")
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations
    import albumentations.pytorch  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401
    import pytest  # noqa: F401
    import torch
    import torch._dynamo  # by every optimiser, seconds late otherwise
    import torch.onnx._internal.exporter._core
    import torch.utils.data
    import torchvision.models  # noqa: F401

    import teacher.watching  # noqa: F401  (behind the walls its file cannot be seen)

    torch.set_num_threads(1)


def warm_up(template: Path) -> None:
    """Collects the tests once in a child, so that compiled files are there to be copied.

    What is garbage goes before the first fork, and what is left no child collects: it would copy
    every page, and would wait for ever for the threads of a session of onnxruntime, which only its
    parent has.
    """
    gc.collect()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            silence()
            reader, writer = os.pipe()
            run_tests(template, (), "", writer)
            os.close(reader)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


class Child:
    """A job under way in a process of its own."""

    def __init__(self, job: Job, template: Path, seconds: float, megabytes: int) -> None:
        self.job, self.seconds, self.megabytes = job, seconds * job.factor, megabytes
        self.folder = Path(tempfile.mkdtemp(prefix="job-", dir=template.parent))
        lab = self.folder / "lab"
        shutil.copytree(template, lab)
        for name, text in job.files.items():
            (lab / name).write_text(text, encoding="utf-8", errors="replace", newline="\n")
            file = lab / name
            for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
                compiled.unlink()
        (self.folder / "tmp").mkdir()
        self.secret = secrets.token_hex(16)
        self.started = time.monotonic()
        self.computed = 0.0
        self.report, self.trouble = b"", None
        self.starved = self.is_silent = False
        self.reader, writer = os.pipe()
        self.process = None
        if CAN_FORK:
            os.set_blocking(self.reader, False)
            self.pid = os.fork()
            if self.pid == 0:
                os.close(self.reader)
                keeper_main(self.folder, job.todos, self.secret, writer, megabytes)
        else:
            self.process = start_process(lab, job.todos, self.secret, writer)
            self.pid = self.process.pid
        self.leader = self.pid
        os.close(writer)
        if not CAN_FORK:  # a pipe of Windows can only be read by waiting for it
            self.drain = threading.Thread(target=self.read, daemon=True)
            self.drain.start()

    def read(self) -> None:
        """Takes what the child has reported."""
        with suppress(BlockingIOError):
            while len(self.report) <= MAX_REPORT_BYTES:
                chunk = os.read(self.reader, 65536)
                if not chunk:
                    self.is_silent = True
                    break
                self.report += chunk

    def has_ended(self) -> bool:
        """Reads what the child reports, holds it to its limits, and says whether it is done."""
        if CAN_FORK:
            self.read()
        if self._is_dead():
            return True
        if time.monotonic() - self.started > self.seconds and not self.trouble:
            self.trouble = f"stopped after {self.seconds:g} seconds: does a loop never end?"
            self.starved = CAN_FORK and self.computed < BUSY * self.seconds
        elif len(self.report) > MAX_REPORT_BYTES:
            self.trouble = "stopped: it reports without end"
        if self.trouble:
            self.stop()
        return bool(self.trouble)

    def look(self, processes: list[Process]) -> None:
        """Counts processes, memory and time of the child with all that it has started."""
        family = family_of(self.leader, processes)
        self.computed = max(self.computed, sum(process.seconds for process in family))
        if len(family) > MAX_PROCESSES:
            self.trouble = f"stopped: it starts more than {MAX_PROCESSES} processes"
        elif (
            sum(process.megabytes for process in family) > self.megabytes
            # forked processes share most of their memory; a second, slower look counts it once
            and sum(own_megabytes(process.pid) for process in family) > self.megabytes
        ):
            self.trouble = f"stopped: it uses more than {self.megabytes} MB of memory"

    def _is_dead(self) -> bool:
        if self.process is not None:
            return self.process.poll() is not None
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return not self.pid

    def stop(self) -> None:
        """Ends the child with all that it started."""
        if self.process is not None:
            if sys.platform != "win32":
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.leader, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            self.drain.join(1)
            return
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            family = family_of(self.leader, all_processes())
            for process in family:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, signal.SIGKILL)
            if not family and self._is_dead():
                break
            time.sleep(0.002)

    def clean(self) -> None:
        """Closes the pipe and removes the folder."""
        with suppress(OSError):
            os.close(self.reader)
        shutil.rmtree(self.folder, ignore_errors=True)

    def outcome(self) -> Outcome:
        """What came of the job; its folder is gone afterwards."""
        self.stop()
        if CAN_FORK:
            self.read()
        self.clean()
        outcome = Outcome(self.job, seconds=time.monotonic() - self.started, trouble=self.trouble)
        planned: list[str] | None = None
        finished = False
        for entry in signed_entries(self.report, self.secret):
            with suppress(TypeError, KeyError):
                if "plan" in entry:
                    planned = entry["plan"]
                elif "end" in entry:
                    finished = True
                    outcome.trouble = outcome.trouble or entry["end"]
                else:
                    outcome.results.append(TestResult(**entry))
        if outcome.trouble is None and not finished:
            outcome.trouble = "the tests did not come to their end: the code ended the process"
        elif outcome.trouble is None:
            silent = set(planned or []) - {result.test for result in outcome.results}
            if planned is None or silent:
                outcome.trouble = "not all tests have reported: the code ended them"
        return outcome


def signed_entries(report: bytes, secret: str) -> Iterator[dict]:
    """The entries of a child's report that carry its secret."""
    for line in report[:MAX_REPORT_BYTES].decode("utf-8", "replace").split("\n"):
        signature, _, rest = line.partition(" ")
        with suppress(ValueError, RecursionError):
            if secrets.compare_digest(signature.encode(), secret.encode()):
                entry = json.loads(rest)
                if isinstance(entry, dict):
                    yield entry
