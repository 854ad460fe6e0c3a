"""Optimiser steps of several batches, one after another and in several processes.

`training.train_one_epoch` does not know of them: it is handed a loader, a criterion, an optimizer
and so on that act for the whole step. A loss that is a ratio of sums (ce, wce, focal) gives the
gradients of one large batch: each part's numerator is divided by the mean denominator of the parts,
and the gradients are averaged over the parts, as DistributedDataParallel averages them over the
processes. Of any other loss, the mean over the parts is optimised, each weighted by its valid
pixels (of topk by their class weights). Batch normalisation takes its statistics from each part
alone (synchronised over the processes on GPUs).
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from metrics import loss_denominator
from support.engine.hardware import Machine, to_device
from support.engine.loading import Part, StepDivision
from support.engine.processes import Processes
from support.engine.runs import Run

TINY = torch.finfo(torch.float32).tiny


class DividedSteps(StepDivision):
    """Steps of `accumulate` parts one after another, each spread over the processes.

    The images of a step depend on their number alone, whoever computes them. An epoch's last step
    may have fewer: its parts are spread evenly, and a process that would get none repeats one
    image, which counts nothing there (`parts` says 0).
    """

    def in_words(self) -> str:
        """As `StepDivision.in_words`."""
        factors = {"batch": self.batch_size, "accumulated": self.accumulate}
        factors["processes"] = self.processes
        words = [f"{name} {number}" for name, number in factors.items() if number > 1]
        return f"{self.images_per_step} images ({' x '.join(words)})"

    def parts(self, images: int) -> list[int]:
        """As `StepDivision.parts`."""
        return [own.stop - own.start for own in self._slices(images)]

    def of_step(self, keys: Sequence) -> list:
        """As `StepDivision.of_step`."""
        own_keys = []
        for own in self._slices(len(keys)):
            own_keys += keys[own] or keys[own.start - 1 : own.start]
        return own_keys

    def _slices(self, images: int) -> list[slice]:
        """Where in a step of `images` the own ones stand, part by part.

        Rank 0 has at least one of each part, so an empty slice never stands at the beginning.
        """
        slices, together = [], self.batch_size * self.processes
        for start in range(0, images, together):
            count = min(together, images - start)
            first, last = (-(-count * r // self.processes) for r in (self.rank, self.rank + 1))
            slices.append(slice(start + first, start + last))
        return slices


class PartLoader:
    """Yields the batches of each step; says which part of it they are, and how much they count.

    Args:
        loader: of one process.
        model: as the loop trains it; the processes exchange gradients in a step's last part alone.
        criterion: the loss, by whose denominators the parts count.
        machine: where the run trains, and in how many processes.
        part: is kept up to date.
        ignore_index: the target value of void pixels.

    Attributes:
        count: parts of the step at hand.
        mean_denominator: over its parts and processes; None outside of a step.
    """

    def __init__(
        self,
        loader: DataLoader,
        model: nn.Module,
        criterion: nn.Module,
        machine: Machine,
        part: Part,
        ignore_index: int,
    ) -> None:
        self.loader, self.model, self.criterion = loader, model, criterion
        self.machine, self.part, self.ignore_index = machine, part, ignore_index
        self.count, self.mean_denominator = 1, None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        sampler = self.loader.sampler
        first = sampler.skip // sampler.division.images_per_step
        batches = iter(self.loader)
        try:
            for position in range(first, sampler.steps_per_epoch):
                own_images = sampler.division.parts(sampler.images_of_step(position))
                yield from self._step([(*next(batches), own) for own in own_images])
        finally:  # also when the loop stops early
            self.mean_denominator = None

    def _step(self, batches: list[tuple[Tensor, Tensor, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the parts of one step, of (images, target, how many of them count)."""
        parts, denominators = [], []
        for images, target, own in batches:
            images, target = to_device(images, target, self.machine.device)
            target[own:] = self.ignore_index  # all of it, where no image is this process's own
            parts.append((images, target))
            denominators.append(loss_denominator(self.criterion, target, self.ignore_index))
        total = self.machine.processes.sum(torch.stack(denominators).sum().float())
        self.count = len(parts)
        self.mean_denominator = total / (self.count * self.machine.processes.count)
        for number, (images, target) in enumerate(parts, start=1):
            self.part.is_first, self.part.is_last = number == 1, number == self.count
            waits = isinstance(self.model, DistributedDataParallel) and not self.part.is_last
            with self.model.no_sync() if waits else nullcontext():
                yield images, target


class PartLoss(nn.Module):
    """A loss divided by the mean denominator of its step's parts; outside of a step, the loss.

    Args:
        criterion: the loss.
        loader: knows the step.
    """

    def __init__(self, criterion: nn.Module, loader: PartLoader) -> None:
        super().__init__()
        self.criterion, self.loader = criterion, loader

    def forward(self, output: Any, target: Tensor) -> Tensor:
        """Returns the loss, a scalar; its gradients are those of the mean over the parts."""
        loss, mean = self.criterion(output, target), self.loader.mean_denominator
        if mean is None:
            return loss
        own = loss_denominator(self.criterion, target, self.loader.ignore_index)
        loss = loss * own / mean.clamp(min=TINY)
        loss.register_hook(lambda gradient: gradient / self.loader.count)
        return loss

    def denominator(self, target: Tensor) -> Tensor:
        """Returns the scalar that the loss of this target is divided by."""
        if self.loader.mean_denominator is None:
            return loss_denominator(self.criterion, target, self.loader.ignore_index)
        return self.loader.mean_denominator


class PartOptimizer:
    """An optimizer whose gradients begin in a step's first part; it steps in the last alone."""

    def __init__(self, optimizer: Optimizer, part: Part) -> None:
        self.optimizer, self.part = optimizer, part

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of the step before."""
        if self.part.is_first:
            self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """Changes the weights."""
        if self.part.is_last:
            self.optimizer.step()


class PartScheduler:
    """A scheduler that steps in a step's last part alone."""

    def __init__(self, scheduler: LRScheduler, part: Part) -> None:
        self.scheduler, self.part = scheduler, part

    def step(self) -> None:
        """Goes on to the rate of the next step."""
        if self.part.is_last:
            self.scheduler.step()


class PartScaler:
    """A scaler of the loss that steps and adapts in a step's last part alone."""

    def __init__(self, scaler: torch.amp.GradScaler, part: Part) -> None:
        self.scaler, self.part = scaler, part

    def scale(self, loss: Tensor) -> Tensor:
        """Returns the loss times the scale."""
        return self.scaler.scale(loss)

    def step(self, optimizer: PartOptimizer) -> None:
        """Steps the optimizer, unless gradients of the whole step are not finite."""
        if self.part.is_last:
            self.scaler.step(optimizer.optimizer)

    def update(self) -> None:
        """Adapts the scale."""
        if self.part.is_last:
            self.scaler.update()


def in_parts(
    run: Run,
    ignore_index: int,
    model: nn.Module,
    train_loader: DataLoader,
    criterion: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
) -> tuple[nn.Module, PartLoader, PartLoss, PartOptimizer, PartScheduler]:
    """Makes what `training.fit` is handed act for steps of several batches or processes."""
    machine, part = run.machine, run.part
    images = run.panels.images[:1].repeat(2, 1, 1, 1)
    model = averaging(model, machine.processes, machine.device, images)
    loader = PartLoader(train_loader, model, criterion, machine, part, ignore_index)
    run.scaler = PartScaler(run.state.scaler, part)
    return (
        model, loader, PartLoss(criterion, loader), PartOptimizer(optimizer, part),
        PartScheduler(scheduler, part),
    )  # fmt: skip


def notes(run: Run) -> list[str]:
    """What may surprise: statistics of parts, unless GPUs synchronise them or they are fixed."""
    has_statistics = "running_mean" in " ".join(run.state.model.state_dict())
    are_synced = run.processes.count > 1 and run.machine.has_gpu
    if not has_statistics or are_synced or run.arguments["fix_batchnorm"]:
        return []
    return [
        "note: batch normalisation sees each batch of a step alone; add --fix-batchnorm if "
        "results must not depend on --accumulate or the number of processes"
    ]


def averaging(
    model: nn.Module, processes: Processes, device: torch.device, images: Tensor
) -> nn.Module:
    """The model whose backward pass averages the gradients over the processes.

    Args:
        model: on its device; it is left as it is.
        processes: that train together.
        device: where it trains.
        images: (B, 3, H, W), two or more, for the rehearsal.
    """
    if processes.count == 1:
        return model
    wrapped = DistributedDataParallel(
        model, device_ids=[device.index] if device.type == "cuda" else None
    )
    _rehearse(wrapped, images.to(device))
    return wrapped


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
