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

import ctypes
import gc
import json
import os
import random
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from support.regions import LAB_FILES

LAB = Path(__file__).resolve().parent.parent
NEEDED = (*LAB_FILES, "utils.py", "conftest.py", "support", "toycity")
CAN_FORK = hasattr(os, "fork") and sys.platform.startswith("linux")
MAX_PROCESSES = 64
MAX_REPORT_BYTES = 4_000_000
LOOK_EVERY = 0.05
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BUSY = 0.7
"""Share of its time limit in which a child must have computed, for its end to be its own fault."""

NEW_NAMESPACES = 0x20000000 | 0x00020000 | 0x40000000  # CLONE_NEWPID, NEWNS, NEWNET
NEW_USER = 0x10000000  # CLONE_NEWUSER
FIRST_USER, USERS = 61_300, 3_000
"""Numbers that no user of a usual system has."""
CHANGE_USER = (6, 7)  # CAP_SETGID, CAP_SETUID
KEPT_CAPABILITIES = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: reading what root may read


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
    """Runs jobs, several at a time, and hands out what came of each as it ends.

    A job that runs out of time without having computed all that time, as on a busy machine, runs
    once more at the end, alone.

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
    """Starts a child for each job, and hands each out when it has ended."""
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

    import teacher.watching  # noqa: F401  (behind the walls its file cannot be seen)

    torch.set_num_threads(1)


def warm_up(template: Path) -> None:
    """Collects the tests once in a child, so that compiled files are there to be copied."""
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
    gc.collect()
    gc.freeze()  # a forked child that collects garbage would copy every page


class Child:
    """A job under way in a process of its own."""

    def __init__(self, job: Job, template: Path, seconds: float, megabytes: int) -> None:
        self.job, self.seconds, self.megabytes = job, seconds * job.factor, megabytes
        self.folder = Path(tempfile.mkdtemp(prefix="job-", dir=template.parent))
        lab = self.folder / "lab"
        shutil.copytree(template, lab)
        for name, text in job.files.items():
            (lab / name).write_text(text, encoding="utf-8", errors="replace", newline="\n")
            for compiled in (lab / "__pycache__").glob(f"{Path(name).stem}.*.pyc"):
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

    def look(self, processes: list["Process"]) -> None:
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


# ------------------------------------------------------------------ the life of a child


def keeper_main(
    folder: Path, todos: tuple[str, ...], secret: str, writer: int, megabytes: int
) -> None:
    """The life of a forked process that raises the walls and forks the child behind them."""
    try:
        os.setsid()
        set_process_option(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the grader
        silence()
        keep_only(writer)
        has_walls = raise_walls(folder)
        child = os.fork()
        if child == 0:
            child_main(folder, todos, secret, writer, megabytes, has_walls)
        os.close(writer)
        os.waitpid(child, 0)
    finally:
        os._exit(0)


def child_main(
    folder: Path,
    todos: tuple[str, ...],
    secret: str,
    writer: int,
    megabytes: int,
    has_walls: bool,
) -> None:
    """The life of a forked child; it never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXFSZ, signal.SIGPIPE):
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        set_limits(megabytes)
        shut_walls(has_walls)
        set_process_option(1, signal.SIGKILL)  # again: another user begins without
        temporary = str(folder / "tmp")
        os.environ["TMPDIR"] = tempfile.tempdir = temporary
        run_tests(folder / "lab", todos, secret, writer)
    finally:
        os._exit(0)


def silence() -> None:
    """Connects the standard streams with nothing."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def keep_only(writer: int) -> None:
    """Closes what was open in the grader: other children's pipes above all."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != writer:
            with suppress(OSError):
                os.close(int(name))


def set_limits(megabytes: int) -> None:
    """Limits of the kernel that hold for anyone, as a second line behind looking from outside."""
    import resource

    with suppress(OSError, ValueError, IndexError):
        words = Path("/proc/self/status").read_text().split()
        data = int(words[words.index("VmData:") + 1]) * 2**10 + 2 * megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200 * 2**20, 200 * 2**20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.getuid() == 0:  # counts for the user of the child alone; see shut_walls
            resource.setrlimit(resource.RLIMIT_NPROC, (2 * MAX_PROCESSES, 2 * MAX_PROCESSES))
        os.nice(5)
        Path("/proc/self/oom_score_adj").write_text("1000")


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
    command = [sys.executable, "-c", script, LAB, lab, ",".join(todos), handle]
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        start_new_session=True,
        env=os.environ | dict.fromkeys(ONE_THREAD, "1") | {"NO_ALBUMENTATIONS_UPDATE": "1"},
    )
    with suppress(OSError):
        process.stdin.write(secret.encode())
        process.stdin.close()
    return process


def child_process(lab: str, todos: str, handle: str) -> None:
    """The life of a child that was not forked; the secret comes over its standard input."""
    secret = sys.stdin.read()
    writer = int(handle)
    if sys.platform == "win32":
        import msvcrt

        writer = msvcrt.open_osfhandle(writer, os.O_WRONLY)
    sys.argv[1:] = []
    run_tests(Path(lab), tuple(filter(None, todos.split(","))), secret, writer)
    os._exit(0)


def run_tests(lab: Path, todos: tuple[str, ...], secret: str, writer: int) -> None:
    """Runs the tests of some TODOs in the folder `lab` and reports each."""
    import pytest
    import torch

    from teacher.watching import Reporter, syntax_fault

    def send(entry: dict[str, object]) -> None:
        data = f"{secret} {json.dumps(entry)}\n".encode()
        while data:
            data = data[os.write(writer, data) :]

    fault = syntax_fault(lab)
    if fault:
        send({"plan": []})
        send({"end": fault})
        return
    torch.set_num_threads(1)
    reporter = Reporter(todos, send)
    finish = reporter.finish
    forget_local_modules()
    os.chdir(lab)
    sys.path[:] = [str(lab), *(each for each in sys.path if each not in ("", str(LAB)))]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.dont_write_bytecode = False
    random.seed(0)
    tests = sorted(path.name for path in lab.glob("test_implementation*.py"))
    options = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-s", "-q", "--tb=no"]
    options += [
        "--rootdir",
        str(lab),
        "-c",
        os.devnull,
        "--basetemp",
        str(lab.parent / "tmp" / "t"),
    ]
    pytest.main([*options, *tests], plugins=[reporter])
    finish()


def forget_local_modules() -> None:
    """Takes the lab's modules out of memory, so that the copy's are imported."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        is_local = bool(file) and Path(file).is_relative_to(LAB)
        if is_local and not {"site-packages", ".venv"} & set(Path(file).parts):
            del sys.modules[name]
    for name in [name for name in sys.modules if name.split(".")[0] == "teacher"]:
        del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")


# ------------------------------------------------------------------ processes, seen from outside


@dataclass(frozen=True)
class Process:
    """A process of this machine."""

    pid: int
    parent: int
    session: int
    is_dead: bool
    seconds: float
    megabytes: float


def all_processes() -> list[Process]:
    """Every process that can be seen; the dead are those whose parent has not asked yet."""
    page, tick = os.sysconf("SC_PAGE_SIZE") / 2**20, os.sysconf("SC_CLK_TCK")
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                text = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
                fields = text.rpartition(")")[2].split()
                seconds = sum(map(int, fields[11:15])) / tick  # with its ended children's
                values = int(entry), int(fields[1]), int(fields[3]), fields[0] in "ZX"
                found.append(Process(*values, seconds, int(fields[21]) * page))
    return found


def family_of(leader: int, processes: list[Process]) -> list[Process]:
    """A process, those of its session, and what they have started, as far as they live."""
    processes = [process for process in processes if not process.is_dead]
    members = {process.pid for process in processes if leader in (process.pid, process.session)}
    grows = True
    while grows:
        size = len(members)
        members |= {process.pid for process in processes if process.parent in members}
        grows = len(members) > size
    return [process for process in processes if process.pid in members]


def own_megabytes(pid: int) -> float:
    """The memory of a process in which every page that n processes share counts 1/n."""
    with suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
        return int(words[words.index("Pss:") + 1]) / 2**10
    return 0.0


def adopt_orphans() -> None:
    """Makes processes whose parent has died children of this one, so that none escapes."""
    set_process_option(36, 1)  # PR_SET_CHILD_SUBREAPER


def kill_strays(known: set[int], processes: list[Process]) -> None:
    """Ends processes that left their job's session, and clears away the dead."""
    here, home = os.getpid(), os.getsid(0)
    for process in processes:
        if process.parent == here and process.session not in known | {home}:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


# ------------------------------------------------------------------ walls, where the kernel has any


def libc() -> ctypes.CDLL:
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def set_process_option(option: int, value: int) -> None:
    """Calls prctl."""
    with suppress(OSError, AttributeError):
        libc().prctl(option, int(value), 0, 0, 0)


class MountChange(ctypes.Structure):
    """The struct mount_attr of the kernel."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user"))


def raise_walls(folder: Path) -> bool:
    """Gives the processes forked from here on a world of their own, as far as the kernel allows.

    They see no other process, no network and no solved file, and write in `folder` alone.

    Returns:
        Whether there are walls at all.
    """
    user, group = os.getuid(), os.getgid()
    with suppress(OSError, AttributeError):
        library = libc()
        if library.unshare(NEW_NAMESPACES) != 0:
            if library.unshare(NEW_NAMESPACES | NEW_USER) != 0:
                return False
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        place = os.fsencode(folder)
        library.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE
        library.mount(place, place, None, 0x1000, None)  # MS_BIND
        change_mount(b"/", MountChange(set=1))  # MOUNT_ATTR_RDONLY, also all below
        change_mount(place, MountChange(clear=1))
        library.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=256m")
        for hidden in (folder.parent / "lab", LAB / "teacher", LAB / "tests", LAB / ".git"):
            library.mount(b"tmpfs", os.fsencode(hidden), b"tmpfs", 1, b"size=4k")  # MS_RDONLY
        for name in LAB_FILES:
            library.mount(b"/dev/null", os.fsencode(LAB / name), None, 0x1000, None)
        return True
    return False


def change_mount(place: bytes, change: MountChange) -> None:
    """Calls mount_setattr with AT_RECURSIVE."""
    size = ctypes.c_size_t(ctypes.sizeof(change))
    libc().syscall(442, -100, place, 0x8000, ctypes.byref(change), size)


def shut_walls(has_walls: bool) -> None:
    """Hides the other processes, and gives away the powers by which walls could be moved.

    The superuser becomes a user without a name: one who may read and write as before where the
    walls allow it, but can end no process of others, and whose processes are limited in number.
    """
    library = libc()
    if has_walls:
        library.mount(b"proc", b"/proc", b"proc", 0, None)
    for capability in range(64):
        if not KEPT_CAPABILITIES >> capability & 1 and capability not in CHANGE_USER:
            set_process_option(24, capability)  # PR_CAPBSET_DROP
    if os.getuid() == 0:
        set_process_option(8, 1)  # PR_SET_KEEPCAPS
        user = FIRST_USER + secrets.randbelow(USERS)
        with suppress(OSError):  # not all users exist inside a container
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    kept = KEPT_CAPABILITIES
    library.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))
    set_process_option(38, 1)  # PR_SET_NO_NEW_PRIVS
    os.environ["LOGNAME"] = "student"
