"""Several processes: joining those that `torchrun` has started, acting together, and parting.

They meet in the store of torchrun, a table of keys that all see. One that fails says so there; a
thread in each of the others looks for it and ends its process, whatever that is waiting for.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from support.engine.processes import Interrupted, Processes
from utils import LabError, python_command

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others; rank 0 may be writing, or making the toy data."""
FAILURE, LEAVING, GOODBYE = "lab/failure", "lab/leaving", "lab/goodbye"
WATCH = "watches for failures"
WATCH_SECONDS = 0.5
IS_LEAVING = threading.Event()
"""Ends the thread that watches."""


class JoinedProcesses(Processes):
    """As `Processes`, for several.

    Decisions go through the CPU's back end `gloo`, so that a GPU need not be waited for.
    """

    def command(self) -> str:
        """As `Processes.command`."""
        here = os.environ.get("LOCAL_WORLD_SIZE", self.count)
        return f"{python_command()} -m torch.distributed.run --nproc-per-node={here}"

    def sum(self, tensor: Tensor) -> Tensor:
        """As `Processes.sum`."""
        dist.all_reduce(tensor)
        return tensor

    def maximum(self, numbers: Sequence[int]) -> list[int]:
        """As `Processes.maximum`."""
        together = torch.tensor(numbers)  # on the CPU
        dist.all_reduce(together, dist.ReduceOp.MAX)
        return together.tolist()

    def broadcast(self, value: Any) -> Any:
        """As `Processes.broadcast`."""
        values = [value]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """As `Processes.gather`."""
        values = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def align_buffers(self, model: nn.Module) -> None:
        """As `Processes.align_buffers`."""
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


@contextmanager
def several() -> Iterator[Processes]:
    """Joins the processes that `torchrun` has started; at the end, all part together.

    One that fails tells the others, which end within a second without a word of their own.

    Raises:
        LabError: when the others cannot be reached.
    """
    processes = join_processes()
    try:
        yield processes
    except Exception as error:
        if tell_failure(processes, str(error)):
            raise
        raise SystemExit(1) from None
    except Interrupted as error:
        if error.is_shared:
            leave_processes(processes)
        else:  # the others may wait for this one, where no signal reaches them
            tell_failure(processes, "interrupted")
        raise
    leave_processes(processes)


def join_processes() -> Processes:
    """Joins the processes that `torchrun` has started, as its variables describe them.

    Raises:
        LabError: when the others cannot be reached.
    """
    variables = (os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ.get("LOCAL_RANK", "0"))
    processes = JoinedProcesses(*map(int, variables))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(processes.local_rank % torch.cuda.device_count())
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # torch has no narrower kinds here
        raise LabError(f"the processes of torchrun do not find each other: {error}") from error
    words = (_store(), IS_LEAVING)
    threading.Thread(target=_end_with_the_others, args=words, name=WATCH, daemon=True).start()
    return processes


def leave_processes(processes: Processes) -> None:
    """Parts from the others at the end of the work, all together.

    They meet in the store, not in a collective: a thread of gloo frees a collective's tensors some
    time after it, and would abort a Python that is ending by then.
    """
    with suppress(RuntimeError):  # the store has gone with the process that held it
        store = _store()
        if store.add(LEAVING, 1) == processes.count:
            store.set(GOODBYE, "")
        store.wait([GOODBYE], PATIENCE)
    IS_LEAVING.set()
    for thread in threading.enumerate():
        if thread.name == WATCH:  # Python, ending, would abort a process with one inside the store
            thread.join()
    dist.destroy_process_group()


def tell_failure(processes: Processes, message: str) -> bool:
    """Tells the other processes that this one fails; they end within a second.

    Returns:
        Whether this process is the first to fail, and so the one whose message matters.
    """
    try:
        found = _store().compare_set(FAILURE, "", f"{processes.rank}: {message}")
        return found.decode().startswith(f"{processes.rank}: ")
    except RuntimeError:  # the store has gone with the process that held it
        return True


def _store() -> dist.Store:
    """A connection of its own to the store in which the processes found each other."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=30))


def _end_with_the_others(store: dist.Store, is_leaving: threading.Event) -> None:
    """Ends this process when another one has failed, whatever it is waiting for."""
    while True:
        if is_leaving.wait(WATCH_SECONDS):
            return
        try:
            if store.check([FAILURE]):
                break
        except RuntimeError:  # the store has gone: so have the others, and this one will see
            return
    time.sleep(WATCH_SECONDS)  # the failing process has time for its message
    os._exit(1)
