"""Several processes that train one model together, as `torchrun` starts them.

Every process holds the whole model and computes the gradients of its share of a step's images;
DistributedDataParallel adds them up (Li et al., "PyTorch Distributed", VLDB 2020), so all take the
same step. Decisions (to stop, to save, to end in time) are made together after every step. Here
stands what a run asks of its processes, and the answer where there is one: each method returns what
it was given. `support/engine/torchrun.py` has the answers of several.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from utils import python_command


class Interrupted(SystemExit):
    """A signal asked the run to stop; the exit code is 128 + its number, as shells have it.

    It `is_shared` when all processes stop here, as they have decided together.
    """

    def __init__(self, signal_number: int, is_shared: bool = False) -> None:
        super().__init__(128 + signal_number)
        self.is_shared = is_shared


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them; here it is alone.

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
        return python_command()

    def sum(self, tensor: Tensor) -> Tensor:
        """Adds a tensor up over the processes, in place; on a GPU without waiting."""
        return tensor

    def maximum(self, numbers: Sequence[int]) -> list[int]:
        """The largest of every process's numbers, one by one."""
        return list(numbers)

    def broadcast(self, value: Any) -> Any:
        """Returns rank 0's value in every process."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Returns every process's value, by rank."""
        return [value]

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


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """This process alone, or joined with the others that `torchrun` has started, if it has."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    from support.engine.torchrun import several  # late: one process does without

    with several() as processes:
        yield processes
