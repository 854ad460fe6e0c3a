"""Several processes that train one model together, as `torchrun` starts them.

Every process holds the whole model and computes the gradients of its share of a step's images;
DistributedDataParallel adds them up (Li et al., "PyTorch Distributed", VLDB 2020), so all take the
same step. Decisions (to stop, to save, to end in time) are made together after every step, through
the CPU's back end `gloo`, so that a GPU need not be waited for. Where there is one process, all of
this costs nothing: each method then returns what it was given.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from utils import python_command


class Interrupted(SystemExit):
    """A signal asked the run to stop; the exit code is 128 + its number, as shells have it.

    Args:
        signal_number: of the signal.
        is_shared: whether all processes stop here, as they have decided together.
    """

    def __init__(self, signal_number: int, is_shared: bool = False) -> None:
        super().__init__(128 + signal_number)
        self.is_shared = is_shared


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Args:
        rank: the number of this process among all; 0 alone writes.
        count: how many there are, on all nodes.
        local_rank: the number of this process on its node, and of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def command(self) -> str:
        """How the same number of processes is started from the shell."""
        if self.count == 1:
            return python_command()
        here = os.environ.get("LOCAL_WORLD_SIZE", self.count)
        return f"{python_command()} -m torch.distributed.run --nproc-per-node={here}"

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

    def broadcast(self, value: Any) -> Any:
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

    def align_buffers(self, model: nn.Module) -> None:
        """Gives every process rank 0's buffers: BatchNorm's running statistics differ on CPUs."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Joins the processes that `torchrun` has started, if it has; at the end, all part together.

    One that fails tells the others, which end within a second without a word of their own.

    Raises:
        LabError: when the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    from support.engine.torchrun import join_processes, leave_processes, tell_failure  # late

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
