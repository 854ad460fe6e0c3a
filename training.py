"""The training loop: one epoch, the evaluation, and the fit that joins them.

The student's part is `train_one_epoch` and `evaluate`; `fit` calls them in turn. What a run saves
is in `support.engine.runs`, what steps of several batches need in `support.engine.accumulation`.

Mixed precision as in Micikevicius et al. (ICLR 2018): the forward pass runs in bfloat16 (or float16
with a scaled loss) where the hardware is made for it, weights and losses stay in float32.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from metrics import ConfusionMatrix, LossMeter, loss_denominator
from support.engine.hardware import to_device
from support.formats.labels import IGNORE_INDEX

if TYPE_CHECKING:
    from support.engine.runs import Run


def train_one_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    criterion: nn.Module,
    optimizer: Optimizer,
    device: torch.device | str,
    *,
    scheduler: LRScheduler | None = None,
    autocast_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    meter: LossMeter | None = None,
    after_step: Callable[[int], None] | None = None,
    ignore_index: int = 255,
) -> float:
    """Trains on every batch of the loader once.

    Args:
        model: its weights are changed.
        loader: batches of images (B, 3, H, W) float32 and targets (B, H, W) int64.
        criterion: the loss of logits (B, K, H, W) and target.
        optimizer: over the model's parameters.
        device: where the model lies and the batches are taken to.
        scheduler: stepped after every optimiser step.
        autocast_dtype: the type of the forward pass, None for float32 throughout.
        scaler: scales the loss for float16.
        meter: goes on counting where an interrupted epoch stopped; a new one by default.
        after_step: called with the number of images after every step.
        ignore_index: the target value of void pixels.

    Returns:
        The mean loss over the epoch's pixels (each batch weighted by its denominator).
    """
    device = torch.device(device)
    meter = meter or LossMeter()
    scaler = scaler or torch.amp.GradScaler(device.type, enabled=False)
    autocast = partial(
        torch.autocast, device.type, autocast_dtype, enabled=autocast_dtype is not None
    )
    # TODO 6.1: each batch: forward, loss, gradients, optimiser, schedule; then count the loss.
    # <solution 6.1>
    model.train()
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)  # (B, K, H, W)
        loss = criterion(logits, target)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None:
            scheduler.step()
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        if after_step is not None:
            after_step(len(images))
    # <student>
    # ...  # the mode of the model
    # for images, target in loader:
    #     images, target = to_device(images, target, device)
    #     with autocast():
    #         logits = ...  # (B, K, H, W)
    #     loss = ...
    #     ...  # gradients: scaler.scale(loss).backward(), scaler.step(optimizer), scaler.update()
    #     ...  # the scheduler, if there is one
    #     meter.add(loss, loss_denominator(criterion, target, ignore_index))
    #     if after_step is not None:
    #         after_step(len(images))
    # </solution 6.1>
    return meter.mean()


def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    criterion: nn.Module,
    device: torch.device | str,
    num_classes: int,
    *,
    autocast_dtype: torch.dtype | None = None,
    meter: LossMeter | None = None,
    ignore_index: int = 255,
) -> tuple[float, Tensor]:
    """Evaluates the model on every batch of the loader, changing nothing about it.

    Args:
        model: evaluated in evaluation mode, and left in the mode that it was in.
        loader, criterion, device, autocast_dtype, ignore_index: as in `train_one_epoch`.
        num_classes: K.
        meter: counts the loss, for a caller that needs its sums; a new one by default.

    Returns:
        The mean loss over all pixels, and the confusion matrix (K, K) int64 of the whole set.
    """
    device = torch.device(device)
    meter, confusion = meter or LossMeter(), ConfusionMatrix(num_classes, ignore_index)
    autocast = partial(
        torch.autocast, device.type, autocast_dtype, enabled=autocast_dtype is not None
    )
    # TODO 6.2: no gradients, nothing of the model changes, and it gets its mode back.
    # <solution 6.2>
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for images, target in loader:
                images, target = to_device(images, target, device)
                with autocast():
                    logits = model(images)  # (B, K, H, W)
                loss = criterion(logits, target)
                meter.add(loss, loss_denominator(criterion, target, ignore_index))
                confusion.update(logits.argmax(dim=1), target)
    finally:
        model.train(was_training)
    # <student>
    # ...  # the mode of the model, and what it was before
    # for images, target in loader:
    #     images, target = to_device(images, target, device)
    #     with autocast():
    #         logits = ...  # (B, K, H, W)
    #     loss = ...
    #     meter.add(loss, loss_denominator(criterion, target, ignore_index))
    #     confusion.update(..., target)
    # </solution 6.2>
    return meter.mean(), confusion.matrix


def fit(
    model: nn.Module,
    train_loader: Iterable[tuple[Tensor, Tensor]],
    val_loader: DataLoader,
    criterion: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    run: "Run",
) -> None:
    """Trains epoch after epoch until the run is over; evaluates and records when that is due.

    Raises:
        LabError: when the loss is no longer a number, or a file cannot be read or written.
        Interrupted: when a signal came.
    """
    device, dtype = run.machine.device, run.machine.autocast_dtype
    for epoch in run.epochs():
        train_loss = train_one_epoch(
            model, run.batches(train_loader, epoch), criterion, optimizer, device,
            scheduler=scheduler, autocast_dtype=dtype, scaler=run.scaler, meter=run.state.meter,
            after_step=run.after_step, ignore_index=IGNORE_INDEX,
        )  # fmt: skip
        if not run.wants_evaluation:
            continue
        val_loss, matrix = evaluate(  # `model` may be wrapped; this is it bare, or its average
            run.state.kept_model, run.watched(val_loader), criterion, device, run.num_classes,
            autocast_dtype=dtype, meter=LossMeter(run.processes.sum), ignore_index=IGNORE_INDEX,
        )  # fmt: skip
        run.record(epoch, train_loss, val_loss, matrix)
