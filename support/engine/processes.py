"""Several processes that train one model together, as `torchrun` starts them.

Every process holds the whole model and computes the gradients of its share of a step's images;
DistributedDataParallel adds them up (Li et al., "PyTorch Distributed", VLDB 2020), so all take the
same step. Decisions (to stop, to save, to end in time) are made together after every step, through
the CPU's back end `gloo`, so that a GPU need not be waited for. Where there is one process, all of
this costs nothing: each method then returns what it was given.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from utils import LabError

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others; rank 0 may be writing, or making the toy data."""
FAILURE, LEAVING, GOODBYE = "lab/failure", "lab/leaving", "lab/goodbye"
WATCH = "watches for failures"
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Args:
        rank: the number of this process among all; 0 alone writes.
        count: how many there are, on all nodes.
        local_rank: the number of this process on its node, and of its GPU.
        is_leaving: ends the thread that watches for another's failure.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    is_leaving: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Adds a tensor up over the processes, in place; on a GPU without waiting."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def maximum(self, numbers: Sequence[int]) -> list[int]:
        """The largest of every process's numbers, one by one."""
        if self.count == 1:
            return list(numbers)
        together = torch.tensor(numbers)  # on the CPU
        dist.all_reduce(together, dist.ReduceOp.MAX)
        return together.tolist()

    def share(self, value: Any) -> Any:
        """Returns rank 0's value in every process."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """Returns every process's value, by rank."""
        if self.count == 1:
            return [value]
        values = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Waits until all processes are here."""
        self.maximum([0])

    @contextmanager
    def first_of_node_first(self) -> Iterator[None]:
        """Lets one process of each node do what makes files (the toy data) before the others."""
        if self.local_rank != 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()

    def wrap(self, model: nn.Module, device: torch.device, images: Tensor) -> nn.Module:
        """The model whose backward pass averages the gradients over the processes.

        Args:
            model: on its device; it is left as it is.
            device: where it trains.
            images: (B, 3, H, W), two or more, for the rehearsal.
        """
        if self.count == 1:
            return model
        wrapped = DistributedDataParallel(
            model, device_ids=[device.index] if device.type == "cuda" else None
        )
        _rehearse(wrapped, images.to(device))
        return wrapped

    def align_buffers(self, model: nn.Module) -> None:
        """Gives every process rank 0's buffers: BatchNorm's running statistics differ on CPUs."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


def _rehearse(model: DistributedDataParallel, images: Tensor) -> None:
    """Takes one step for nothing, and undoes its traces: weights, statistics, random numbers.

    In its first step DistributedDataParallel finds out in which order the gradients are ready, and
    adds them up in that order from the second one on. Without the rehearsal, the first step after a
    resume would differ in its last digits from the same step of an undisturbed run.
    """
    kept = {key: value.clone() for key, value in model.module.state_dict().items()}
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        output = model.train()(images)
        logits = [output] if isinstance(output, Tensor) else [output[0], *output[1]]
        (0.0 * sum(each.sum() for each in logits)).backward()
    model.zero_grad(set_to_none=True)
    model.module.load_state_dict(kept)


def join_processes() -> Processes:
    """Joins the processes that `torchrun` has started, if it has.

    Raises:
        LabError: when the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not dist.is_available():
        return Processes()
    processes = Processes(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(processes.local_rank % torch.cuda.device_count())
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # torch has no narrower kinds here
        raise LabError(f"the processes of torchrun do not find each other: {error}") from error
    words = (_store(), processes.is_leaving)
    threading.Thread(target=_end_with_the_others, args=words, name=WATCH, daemon=True).start()
    return processes


def leave_processes(processes: Processes) -> None:
    """Parts from the others at the end of the work, all together.

    They meet in the store, not in a collective: a thread of gloo frees a collective's tensors some
    time after it, and would abort a Python that is ending by then.
    """
    if processes.count > 1:
        with suppress(RuntimeError):  # the store has gone with the process that held it
            store = _store()
            if store.add(LEAVING, 1) == processes.count:
                store.set(GOODBYE, "")
            store.wait([GOODBYE], PATIENCE)
        _stop_watching(processes)
        dist.destroy_process_group()


def _stop_watching(processes: Processes) -> None:
    """Ends the watching thread: Python, ending, would abort a process with one inside the store."""
    processes.is_leaving.set()
    for thread in threading.enumerate():
        if thread.name == WATCH:
            thread.join()


def tell_failure(processes: Processes, message: str) -> bool:
    """Tells the other processes that this one fails; they end within a second.

    Returns:
        Whether this process is the first to fail, and so the one whose message matters.
    """
    if processes.count == 1:
        return True
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
