"""Which device, which precision and how many workers suit the machine."""

import copy
import ctypes
import math
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from support.engine.processes import Processes
from utils import LabError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Where a run trains: the device, the type of the forward pass, and the processes."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    processes: Processes

    @property
    def has_gpu(self) -> bool:
        """Whether the device is one of NVIDIA's."""
        return self.device.type == "cuda"

    def num_workers(self, wanted: int | None, batch_size: int, size: tuple[int, int]) -> int:
        """How many processes load images: as wanted, else enough for a GPU and none beside a CPU.

        No more than have room to hand over batches of `batch_size` images of `size`.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        number = min(12, cores or 1) * self.has_gpu if wanted is None else wanted
        if not number:
            return 0
        from support.engine.room import room_for_workers  # late: most runs here have no worker

        most, scarce = room_for_workers(batch_size * math.prod(size) * self.processes.count)
        if number > most and self.processes.is_first:
            print(f"note: {most} loader workers instead of {number}, as {scarce}")
        return min(number, most)

    @property
    def precision(self) -> str:
        """The type of the forward pass in words, such as bfloat16."""
        return str(self.autocast_dtype or "float32").removeprefix("torch.")

    def peak_gibibytes(self) -> float | None:
        """The most memory that was in use: the GPU's, or else this process's; None if not known."""
        if self.has_gpu:
            return torch.cuda.max_memory_allocated(self.device) / 2**30
        try:
            import resource
        except ImportError:  # Windows
            return None
        unit = 2**30 if sys.platform == "darwin" else 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss where gradients in float16 would vanish; otherwise leaves it as it is."""
        return torch.amp.GradScaler(self.device.type, enabled=self.autocast_dtype == torch.float16)


def keep_freed_memory() -> None:
    """Has Linux's C library keep the blocks of up to 256 MB that a step frees for the next one.

    Else each page of the next ones is filled with zeros first: a third of a step on large images.
    """
    with suppress(AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 256 * 2**20)  # M_MMAP_THRESHOLD, see mallopt(3)
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """Finds the device: `auto` takes cuda, else mps, else the CPU.

    Of several processes on a node, each takes the GPU of its number, `local_rank`.

    Raises:
        LabError: for a device that this machine, or this build of torch, does not have.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((each for each, is_there in available.items() if is_there), "cpu")
    if not available.get(name, True):
        raise LabError(f"--device {name}: there is no such device here; use --device auto or cpu")
    if name == "cuda" and local_rank >= torch.cuda.device_count():
        raise LabError(
            f"process {local_rank} of this node has no GPU of its own: there are "
            f"{torch.cuda.device_count()}; lower --nproc-per-node, or use --device cpu"
        )
    return torch.device("cuda", local_rank) if name == "cuda" else torch.device(name)


def pick_autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Finds the type of the forward pass, None for float32.

    `auto` takes bfloat16 where the hardware multiplies it faster than float32 (CPUs with AMX or
    AVX512-BF16, GPUs from Ampere on), float16 on older NVIDIA GPUs, and float32 elsewhere.

    Raises:
        LabError: for float16 on a CPU, where nothing is made for it.
    """
    if precision == "fp16" and device.type == "cpu":
        raise LabError("--precision fp16 needs a GPU; use --precision auto, bf16 or fp32")
    if precision != "auto":
        return PRECISIONS[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    capabilities = torch.cpu.get_capabilities()
    has_bf16 = capabilities.get("amx_bf16") or capabilities.get("avx512_bf16")
    return torch.bfloat16 if device.type == "cpu" and has_bf16 else None


def require_trainable(
    model: nn.Module, shape: tuple[int, ...], autocast_dtype: torch.dtype | None = None
) -> None:
    """Finds out before the first step whether a model can train on a batch of this shape.

    A forward pass on torch's `meta` device, which knows sizes but no numbers, adds up the tensors
    that are kept for the gradients: on a CPU, Linux kills what takes too much. A GPU says by itself
    when it is full. `shape` is that of a batch, (B, 3, H, W).

    Raises:
        LabError: when batch normalisation has a single value for each channel, or the kept tensors
            alone are more than the memory that is free.
    """
    if any(isinstance(each, nn.SyncBatchNorm) for each in model.modules()):
        return  # on GPUs alone, and with the statistics of all processes
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * (2 if autocast_dtype else tensor.element_size())
        return tensor

    network = copy.deepcopy(model).to("meta").train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            network(torch.zeros(shape, device="meta"))
    except LabError:
        raise
    except ValueError as error:  # batch normalisation with a single value for each channel
        raise LabError(
            f"the model cannot train on a batch of {shape[0]} of {shape[2]}x{shape[3]} ({error}); "
            "choose a --batch-size that leaves no single image at an epoch's end, or a larger "
            "--img-size"
        ) from error
    meminfo = Path("/proc/meminfo")
    if next(model.parameters()).device.type != "cpu" or not meminfo.is_file():
        return
    free = int(re.search(r"MemAvailable:\s*(\d+)", meminfo.read_text())[1]) * 1024
    if kept > free:
        raise LabError(
            f"out of memory: a step would take more than {kept / 2**30:.0f} GB, and "
            f"{free / 2**30:.0f} GB are free; lower --batch-size, --img-size or --base-channels"
        )


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Takes a model to the device; channels last, the layout in which convolutions are fastest.

    A gradient that is a slice, as a concatenation's is, slows batch normalisation on a CPU down ten
    times; so each asks for a dense one.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and device.type == "cpu":
            layer.register_forward_hook(ask_for_dense_gradient)
    return model.to(device, memory_format=torch.channels_last)


def ask_for_dense_gradient(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    """A hook after the forward pass: a gradient will be copied if need be, channels last."""
    if output.requires_grad and not torch.compiler.is_compiling():
        output.register_hook(partial(torch.Tensor.contiguous, memory_format=torch.channels_last))


def to_device(
    images: torch.Tensor, target: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Takes a batch to the device, as `place` its model."""
    images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
    return images, target.to(device, non_blocking=True)
