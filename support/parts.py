"""A training step of several batches, one after another and in several processes.

What `training.train_one_epoch` does, where a step's images are too many to go through the network
at once, or are spread over processes; and what the two share.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from metrics import LossMeter
from support.engine.processes import Processes

TINY = torch.finfo(torch.float32).tiny


def train_in_parts(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device | str,
    *,
    steps: Iterable[tuple[int, list[int]]],
    processes: Processes,
    scheduler: LRScheduler | None = None,
    autocast_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    meter: LossMeter | None = None,
    after_step: Callable[[int], None] | None = None,
    ignore_index: int = 255,
) -> float:
    """`train_one_epoch` with steps of several batches, one after another and in several processes.

    A loss that is a ratio of sums gives the gradients that one large batch would give: each batch's
    numerator is divided by the denominator of the whole step (ce, wce, focal). Of any other loss,
    the mean over the batches is optimised, each weighted by its valid pixels (of topk by their
    class weights). Batch normalisation
    takes its statistics from each batch alone (synchronised over the processes on GPUs).

    Args:
        model: as `Processes.wrap` makes it.
        loader: this process's batches.
        criterion: as in `train_one_epoch`, like everything that is not named here.
        optimizer: likewise.
        device: likewise.
        steps: for each step, its images over all processes, and how many images of its own this
            process has in each batch; a batch without any is there, but counts nothing.
        processes: that train together.

    Returns:
        The mean loss over the pixels of all processes.
    """
    device, meter = torch.device(device), meter or LossMeter()
    scaler = scaler or torch.amp.GradScaler(device.type, enabled=False)
    autocast = partial(
        torch.autocast, device.type, autocast_dtype, enabled=autocast_dtype is not None
    )
    source = iter(loader)
    model.train()
    for images_of_step, own_images in steps:
        batches = [to_device(*next(source), device) for _ in own_images]
        for (_, target), own in zip(batches, own_images, strict=True):
            target[own:] = ignore_index  # all of it, where no image is this process's own
        denominators = [loss_denominator(criterion, target, ignore_index) for _, target in batches]
        total = processes.sum(torch.stack(denominators).sum().float())
        numerator = torch.zeros_like(total)
        optimizer.zero_grad(set_to_none=True)
        for (images, target), denominator in zip(batches, denominators, strict=True):
            with gradients_added_up(model, is_last=target is batches[-1][1]):
                with autocast():
                    logits = model(images)  # (B, K, H, W)
                share = criterion(logits, target) * denominator / total.clamp(min=TINY)
                scaler.scale(share * processes.count).backward()  # averaged over the processes
            numerator += share.detach()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None:
            scheduler.step()
        meter.add(processes.sum(numerator), total)
        if after_step is not None:
            after_step(images_of_step)
    return meter.mean()


def gradients_added_up(model: nn.Module, is_last: bool) -> AbstractContextManager:
    """The context of one batch of a step: the processes exchange gradients with the last alone."""
    waits = isinstance(model, DistributedDataParallel) and not is_last
    return model.no_sync() if waits else nullcontext()


def to_device(images: Tensor, target: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Takes a batch to the device; channels last, the layout in which convolutions are fastest."""
    images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
    return images, target.to(device, non_blocking=True)


def loss_denominator(criterion: nn.Module, target: Tensor, ignore_index: int) -> Tensor:
    """What the criterion divided by: Σ w if it says so, else the number of valid pixels."""
    if hasattr(criterion, "denominator"):
        return criterion.denominator(target)
    return (target != ignore_index).sum()
