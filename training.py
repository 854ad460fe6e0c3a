"""The training loop: one epoch, the evaluation, and the fit that joins them.

The student's part is `train_one_epoch` and `evaluate`. Where a step has several batches,
`support.parts` takes the place of the first. Around them, `fit` keeps the run's folder: the
history, the best weights, and a `last.pt` from which an interrupted run goes on. The position in
the data is `state.step` alone, as the sampler's order follows from seed and epoch.

Mixed precision as in Micikevicius et al. (ICLR 2018): the forward pass runs in bfloat16 (or float16
with a scaled loss) where the hardware is made for it, weights and losses stay in float32.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from metrics import ConfusionMatrix, LossMeter, f1_per_class, iou_per_class, macro_f1, mean_iou
from support.engine.processes import Processes
from support.engine.runs import (
    TensorBoardLog,
    forget_best_before,
    lay_best_aside,
    save_checkpoint,
    write_history,
)
from support.engine.session import Interrupted, Limits, Progress, StopRequest, TrainingState
from support.parts import loss_denominator, to_device, train_in_parts
from support.plots import confusion_picture, sample_panel, to_picture
from utils import LabError

PANEL_SAMPLES = 4


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
    """Judges the model on every batch of the loader, changing nothing about it.

    Args:
        model: evaluated in evaluation mode, and left in the mode that it was in.
        loader: batches of images (B, 3, H, W) float32 and targets (B, H, W) int64.
        criterion: the loss of logits (B, K, H, W) and target.
        device: where the model lies and the batches are taken to.
        num_classes: K.
        autocast_dtype: the type of the forward pass, None for float32 throughout.
        meter: counts the loss, for a caller that needs its sums; a new one by default.
        ignore_index: the target value of void pixels.

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


@dataclass
class Setup:
    """What stays the same throughout a run."""

    run: Path
    device: torch.device
    processes: Processes
    limits: Limits
    autocast_dtype: torch.dtype | None
    train_loader: DataLoader
    val_loader: DataLoader
    criterion: nn.Module
    log: TensorBoardLog | None
    """None in the processes that do not write."""
    panels: "Panels"
    about_model: dict[str, Any]
    """What `best.pt` holds beside the weights, so that it can be used on its own."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass over the training images."""
        sampler = self.train_loader.sampler
        return sampler.share.steps(sampler.length)


class Panels:
    """Paints image | truth | prediction for a few validation samples, the same ones every time.

    Args:
        val_set: items are (image (3, H, W) float32, target (H, W) int64).
        class_names: (K,).
        palette: (K, 3) RGB.
        mean: of the images' normalisation, for images in 0 ... 1.
        std: likewise.
    """

    def __init__(
        self,
        val_set: Dataset,
        class_names: Sequence[str],
        palette: np.ndarray,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        positions = np.linspace(0, len(val_set) - 1, min(PANEL_SAMPLES, len(val_set)))
        samples = [val_set[round(position)] for position in positions]
        self.images = torch.stack([image for image, _ in samples])  # (S, 3, H, W)
        self.truths = [target.numpy().astype(np.uint8) for _, target in samples]
        self.pictures = [to_picture(image, mean, std) for image in self.images]  # (H, W, 3)
        self.class_names, self.palette = class_names, palette

    @torch.no_grad()
    def paint(self, model: nn.Module, device: torch.device) -> np.ndarray:
        """Returns the panel, (H', W', 3) uint8, of what a model in evaluation mode predicts."""
        images = self.images.to(device, memory_format=torch.channels_last)
        predictions = model(images).argmax(dim=1).byte().cpu().numpy()  # (S, H, W)
        rows = list(zip(self.pictures, self.truths, predictions, strict=True))
        return sample_panel(rows, self.class_names, self.palette)


def current_epoch(state: TrainingState, steps_per_epoch: int) -> int:
    """Which epoch the run is in, counted from 0.

    A run that was stopped after an epoch's last step but before its evaluation is still in it.
    """
    if state.is_evaluated or state.step == 0:
        return state.step // steps_per_epoch
    return (state.step - 1) // steps_per_epoch


def is_over(limits: Limits, state: TrainingState) -> bool:
    """Whether the run has reached its last step, or has waited long enough for a better score."""
    has_waited = limits.patience is not None and state.epochs_without_progress >= limits.patience
    return state.is_evaluated and (state.step >= limits.total_steps or has_waited)


def fit(setup: Setup, state: TrainingState, stop: StopRequest) -> None:
    """Trains as far as `setup.limits` say, with an evaluation after each epoch and at the end.

    Raises:
        LabError: when the loss is no longer a number, or a file cannot be read or written.
        Interrupted: when a signal came; `last.pt` is saved then.
    """
    spe = setup.steps_per_epoch
    images = setup.panels.images[:1].repeat(2, 1, 1, 1)
    model = setup.processes.wrap(state.model, setup.device, images)
    progress = Progress(
        state, setup.limits, setup.device, setup.processes, stop, setup.log,
        write=partial(save_state, setup, state), evaluation_batches=len(setup.val_loader),
    )  # fmt: skip
    try:
        progress.decide()
        while not is_over(setup.limits, state) and not (progress.time_is_up and state.is_evaluated):
            epoch = current_epoch(state, spe)
            _train_epoch(setup, state, progress, model, epoch)
            with progress.timed_evaluation():
                _judge(setup, state, progress, epoch)
                if state.step % spe == 0:
                    state.scheduler.judge(state.history[-1]["val_macro_f1"])
                    state.meter = LossMeter()
            progress.save()
    except Interrupted:
        progress.save()
        raise
    finally:
        progress.bar.close()


def save_state(setup: Setup, state: TrainingState) -> None:
    """Writes `last.pt`, after everything that TensorBoard has been told so far."""
    if setup.log is not None:
        setup.log.flush()
    state.save(setup.run / "last.pt", setup.processes)
    if setup.processes.is_first and state.is_evaluated and state.step % setup.steps_per_epoch == 0:
        forget_best_before(setup.run)


def _train_epoch(
    setup: Setup, state: TrainingState, progress: Progress, model: nn.Module, epoch: int
) -> None:
    """Trains on what is left of an epoch, or up to the run's last step."""
    progress.start_epoch()
    sampler = setup.train_loader.sampler
    share, start = sampler.share, epoch * setup.steps_per_epoch
    positions = range(state.step, min(start + setup.steps_per_epoch, setup.limits.total_steps))
    if not positions:
        return
    sampler.set_epoch(epoch, skip=(state.step - start) * share.images_per_step)
    options = {
        "scheduler": state.scheduler,
        "autocast_dtype": setup.autocast_dtype,
        "scaler": state.scaler,
        "meter": state.meter,
        "after_step": progress.after_step,
    }
    common = (setup.criterion, state.optimizer, setup.device)
    positions = progress.until_time_is_up(positions)
    if share.accumulate == share.processes == 1:
        batches = (batch for _, batch in zip(positions, setup.train_loader))  # noqa: B905
        train_one_epoch(model, batches, *common, **options)
    else:
        images = (sampler.images_of_step(position - start) for position in positions)
        steps = ((count, share.parts(count)) for count in images)
        options |= {"steps": steps, "processes": setup.processes}
        train_in_parts(model, setup.train_loader, *common, **options)
    progress.look()


def _judge(setup: Setup, state: TrainingState, progress: Progress, epoch: int) -> None:
    """Evaluates, writes the epoch's row and pictures, and keeps the best weights."""
    val_loss, matrix = _evaluate_together(setup, state, progress)
    if not matrix.sum() or not state.meter.denominator:
        raise LabError("every pixel is void: there is nothing to learn from or to judge by")
    row = {
        "epoch": epoch + 1,
        "step": state.step,
        "train_loss": state.meter.mean(),
        "val_loss": val_loss,
        "val_macro_f1": macro_f1(matrix),
        "val_mean_iou": mean_iou(matrix),
        "lr": state.optimizer.param_groups[0]["lr"],
        "images_per_second": round(progress.rate(), 2),
    }
    is_best = row["val_macro_f1"] > state.best_score
    state.best_score = max(row["val_macro_f1"], state.best_score)
    state.history.append(row)
    if setup.processes.is_first:
        _record(setup, state, matrix.cpu(), is_best)
    progress.say(
        f"epoch {row['epoch']:>3}  step {row['step']:>5}  train loss {row['train_loss']:.4f}  "
        f"val loss {val_loss:.4f}  macro F1 {row['val_macro_f1']:.4f}  "
        f"mean IoU {row['val_mean_iou']:.4f}  {progress.rate():.1f} images/s"
        + ("  best" if is_best else "")
    )


def _evaluate_together(
    setup: Setup, state: TrainingState, progress: Progress
) -> tuple[float, Tensor]:
    """`evaluate` over the shares of all processes: the mean loss and the matrix (K, K)."""
    setup.processes.align_buffers(state.model)
    meter = LossMeter()
    _, matrix = evaluate(
        state.model,
        progress.watched(setup.val_loader),
        setup.criterion,
        setup.device,
        len(setup.panels.class_names),
        autocast_dtype=setup.autocast_dtype,
        meter=meter,
    )
    meter.settle()
    sums = torch.tensor([meter.numerator, meter.denominator], dtype=torch.float64)
    meter.numerator, meter.denominator = setup.processes.sum(sums).tolist()
    return meter.mean(), setup.processes.sum(matrix.to(setup.device))


def _record(setup: Setup, state: TrainingState, matrix: Tensor, is_best: bool) -> None:
    """Writes what the last row of the history tells: files, curves and pictures."""
    row, names = state.history[-1], setup.panels.class_names
    if is_best:
        best = {**setup.about_model, "model": state.model.state_dict(), "matrix": matrix}
        lay_best_aside(setup.run)
        best |= {"score": row["val_macro_f1"], "epoch": row["epoch"], "step": row["step"]}
        save_checkpoint(setup.run / "best.pt", best)
    write_history(setup.run, state.history)
    setup.log.epoch(row, f1_per_class(matrix), iou_per_class(matrix))
    setup.log.picture("confusion", confusion_picture(matrix.numpy(), names), state.step)
    state.model.eval()
    setup.log.picture("samples", setup.panels.paint(state.model, setup.device), state.step)
