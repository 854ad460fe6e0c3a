"""Which device, which precision and how many loader processes suit the machine."""

import copy
import os
from pathlib import Path

import torch
from torch import nn

from utils import LabError

PRECISIONS: dict[str, torch.dtype | None] = {
    "fp32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """Finds the device: `auto` takes cuda, else mps, else the CPU.

    Args:
        name: as on the command line.
        local_rank: of several processes on a node, each takes the GPU of its number.

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
    if device.type == "cpu" and cpu_multiplies_bf16():
        return torch.bfloat16
    return None


def cpu_multiplies_bf16() -> bool:
    """Whether the CPU has instructions that multiply bfloat16 (AMX, AVX512-BF16)."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def require_memory(
    model: nn.Module, shape: tuple[int, ...], autocast_dtype: torch.dtype | None
) -> None:
    """Finds out whether a training step on the CPU can fit: Linux kills what takes too much.

    The tensors that a forward pass keeps for the gradients are added up. A GPU says by itself when
    it is full.

    Args:
        model: where it will train.
        shape: of a batch, (B, 3, H, W).
        autocast_dtype: the type of the forward pass.

    Raises:
        LabError: when the kept tensors alone are more than the memory that is free.
    """
    meminfo = Path("/proc/meminfo")
    if next(model.parameters()).device.type != "cpu" or not meminfo.is_file():
        return
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * (2 if autocast_dtype else tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        rehearse(model, shape)
    free = next(
        int(line.split()[1]) * 1024
        for line in meminfo.read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    if kept > free:
        raise LabError(
            f"out of memory: a step would take more than {kept / 2**30:.0f} GB, and "
            f"{free / 2**30:.0f} GB are free; lower --batch-size, --img-size or --base-channels"
        )


def rehearse(model: nn.Module, shape: tuple[int, ...]) -> None:
    """A forward pass in training mode on torch's `meta` device: sizes, but no numbers.

    Args:
        model: is left as it is.
        shape: of a batch, (B, 3, H, W).

    Raises:
        LabError: when the model cannot train on such a batch.
    """
    network = copy.deepcopy(model).to("meta").train()
    try:
        network(torch.zeros(shape, device="meta"))
    except LabError:
        raise
    except ValueError as error:  # batch normalisation with a single value for each channel
        raise LabError(
            f"the model cannot train on a batch of {shape[0]} of {shape[2]}x{shape[3]} ({error}); "
            "choose a --batch-size that leaves no single image at an epoch's end, or a larger "
            "--img-size"
        ) from error


def pick_num_workers(device: torch.device) -> int:
    """How many loader processes to start: enough to feed a GPU, few where the CPU trains too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(12, cores or 1) if device.type == "cuda" else 0
