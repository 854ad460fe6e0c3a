"""`--compile`: the network translated by `torch.compile` into fewer and larger kernels."""

import logging

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from support.engine.processes import Processes
from utils import LabError


class Compiled(nn.Module):
    """A network for the training loop alone, with the weights of `model`, which stays as it is.

    Each size of images is translated by itself at its first step: so a resumed run, which may begin
    with another size than the run did, computes with the same kernels.

    Shape:
        images: (B, 3, H, W) → what `model` returns.

    Raises:
        LabError: in the first step, where nothing can be translated.
    """

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        super().__init__()
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # no GPU
        if processes.is_first:
            print("note: torch.compile takes half a minute and more at each size of images first")
        self.model = torch.compile(model, dynamic=False)

    def forward(self, images: Tensor) -> Tensor | tuple:
        """Returns the logits, and the auxiliary ones of a network that has them."""
        try:
            return self.model(images)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise LabError(
                f"--compile: torch.compile has failed ({reason}); it needs a C++ compiler, and on "
                "a GPU Triton: install them, or leave --compile out"
            ) from error
