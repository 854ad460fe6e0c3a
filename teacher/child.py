"""The life of a process of the sandbox: from the fork to the report of its tests."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from teacher.catalogue import LAB
from teacher.processes import MAX_PROCESSES
from teacher.walls import raise_walls, set_process_option, shut_walls

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
        shut_walls(has_walls, folder)
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
        "from teacher.child import child_process; child_process(*sys.argv[2:])\n"
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

    from commands.companion.verdicts import test_files
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
    tests = test_files(lab, todos)
    options = ["-s", "-q", "--tb=no"]
    for plugin in ("cacheprovider", "faulthandler", "logging", "doctest", "junitxml"):
        options += ["-p", f"no:{plugin}"]
    options += ["--rootdir", str(lab), "-c", os.devnull, "--basetemp", str(lab.parent / "tmp/t")]
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
