"""The processes of this machine as /proc shows them (Linux)."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from teacher.walls import set_process_option

MAX_PROCESSES = 64
"""How many a job may have at a time."""


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
