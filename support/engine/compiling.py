"""`--compile`: the network translated by `torch.compile` into fewer and larger kernels."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch._functorch import config
from tqdm import tqdm

from support.engine.loading import STOP_SIGNALS
from support.engine.runs import Run
from utils import LabError


class Compiled(nn.Module):
    """A network for the training loop alone, with the weights of `model`, which stays as it is.

    Each shape of batches is translated by itself when it first comes: so a resumed run, which may
    begin with another shape than the run did, computes with the same kernels. The time that this
    takes does not count into the run's images per second, nor into what `--max-minutes` takes for
    the time of a step.

    Shape:
        images: (B, 3, H, W) → what `model` returns.

    Raises:
        LabError: at the first batch of a shape, where nothing can be translated.
    """

    def __init__(self, model: nn.Module, run: Run) -> None:
        super().__init__()
        self.model, self.run = torch.compile(model, dynamic=False), run
        self.shapes: set[torch.Size] = set()

    def forward(self, images: Tensor) -> Tensor | tuple:
        """Returns the logits, and the auxiliary ones of a network that has them."""
        if images.shape in self.shapes:
            return self.model(images)
        if not self.shapes and self.run.processes.is_first:
            tqdm.write("note: torch.compile needs half a minute or more for each shape of batches")
        self.shapes.add(images.shape)
        start = time.perf_counter()
        # where torch.compile says on a CPU that there is no GPU
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        try:
            # the backward pass now too, not at the first gradient
            with unheard_by_compilers(), config.patch(force_non_lazy_backward_lowering=True):
                output = self.model(images)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise LabError(
                f"--compile: torch.compile has failed ({reason}); it needs a C++ compiler, and on "
                "a GPU Triton: install them, or go on with --no-compile"
            ) from error
        seconds = time.perf_counter() - start
        self.run.clock.ticked += seconds
        self.run.clock.epoch_started += seconds
        return output


@contextmanager
def unheard_by_compilers() -> Iterator[None]:
    """Blocks the signals that ask a run to stop for the programs that start in the block.

    A Ctrl-C goes to all programs of a terminal, and a compiler that it ends leaves broken files in
    torch's cache. This process hears the signal all the same, at the latest after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
