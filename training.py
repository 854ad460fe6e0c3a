"""The training loop: one epoch, the evaluation, and the fit that joins them.

The student's part is `train_one_epoch` and `evaluate`. Around them, `fit` keeps the run's folder:
the history, the best weights, and a `last.pt` from which an interrupted run goes on. The position
in the data is `state.step` alone, as the sampler's order follows from seed and epoch.

Mixed precision as in Micikevicius et al. (ICLR 2018): the forward pass runs in bfloat16 (or float16
with a scaled loss) where the hardware is made for it, weights and losses stay in float32.
"""

import itertools
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
from support.plots import confusion_picture, sample_panel, to_picture
from support.runs import TensorBoardLog, save_checkpoint, write_history
from support.session import Interrupted, Progress, TrainingState
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
        ignore_index: the target value of void pixels.

    Returns:
        The mean loss over all pixels, and the confusion matrix (K, K) int64 of the whole set.
    """
    device = torch.device(device)
    meter, confusion = LossMeter(), ConfusionMatrix(num_classes, ignore_index)
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


def to_device(images: Tensor, target: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Takes a batch to the device; channels last, the layout in which convolutions are fastest."""
    images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
    return images, target.to(device, non_blocking=True)


def loss_denominator(criterion: nn.Module, target: Tensor, ignore_index: int) -> Tensor:
    """What the criterion divided by: Σ w if it says so, else the number of valid pixels."""
    if hasattr(criterion, "denominator"):
        return criterion.denominator(target)
    return (target != ignore_index).sum()


@dataclass
class Setup:
    """What stays the same throughout a run."""

    run: Path
    device: torch.device
    autocast_dtype: torch.dtype | None
    train_loader: DataLoader
    val_loader: DataLoader
    criterion: nn.Module
    log: TensorBoardLog
    panels: "Panels"
    about_model: dict[str, Any]
    """What `best.pt` holds beside the weights, so that it can be used on its own."""


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


def fit(setup: Setup, state: TrainingState, total_steps: int) -> None:
    """Trains up to step `total_steps`, with an evaluation after each epoch and at the end.

    Raises:
        LabError: when the loss is no longer a number, or a file cannot be read or written.
        Interrupted: when Ctrl-C or SIGTERM came; `last.pt` is saved then.
    """
    steps_per_epoch = len(setup.train_loader)
    if state.is_evaluated and state.step % steps_per_epoch and state.step < total_steps:
        state.history.pop()  # the run had ended inside this epoch, and now goes on with it
    progress = Progress(state, setup.log, total_steps, setup.device)
    with progress.stop.listening():
        try:
            while state.step < total_steps or not state.is_evaluated:
                epoch = current_epoch(state, steps_per_epoch)
                end = min((epoch + 1) * steps_per_epoch, total_steps)
                _train_until(setup, state, progress, epoch, epoch * steps_per_epoch, end)
                _judge(setup, state, progress, epoch)
                if state.step % steps_per_epoch == 0:
                    state.meter = LossMeter()
                state.save(setup.run / "last.pt")
        except Interrupted:
            state.save(setup.run / "last.pt")
            raise
        finally:
            progress.bar.close()


def _train_until(
    setup: Setup, state: TrainingState, progress: Progress, epoch: int, start: int, end: int
) -> None:
    """Trains on what is left of an epoch that began with step `start`, up to step `end`."""
    progress.start_epoch()
    if state.step == end:
        return
    images_done = (state.step - start) * setup.train_loader.batch_size
    setup.train_loader.sampler.set_epoch(epoch, skip=images_done)
    train_one_epoch(
        state.model,
        itertools.islice(setup.train_loader, end - state.step),
        setup.criterion,
        state.optimizer,
        setup.device,
        scheduler=state.scheduler,
        autocast_dtype=setup.autocast_dtype,
        scaler=state.scaler,
        meter=state.meter,
        after_step=progress.after_step,
    )
    progress.look()


def _judge(setup: Setup, state: TrainingState, progress: Progress, epoch: int) -> None:
    """Evaluates, writes the epoch's row and pictures, and keeps the best weights."""
    val_loss, matrix = evaluate(
        state.model,
        progress.watched(setup.val_loader),
        setup.criterion,
        setup.device,
        len(setup.panels.class_names),
        autocast_dtype=setup.autocast_dtype,
    )
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
    if is_best:
        state.best_score = row["val_macro_f1"]
        save_checkpoint(
            setup.run / "best.pt",
            {**setup.about_model, "model": state.model.state_dict(), "score": state.best_score},
        )
    state.history.append(row)
    write_history(setup.run, state.history)
    setup.log.epoch(row, f1_per_class(matrix), iou_per_class(matrix))
    names = setup.panels.class_names
    setup.log.picture("confusion", confusion_picture(matrix.cpu().numpy(), names), state.step)
    state.model.eval()
    setup.log.picture("samples", setup.panels.paint(state.model, setup.device), state.step)
    progress.say(
        f"epoch {row['epoch']:>3}  step {row['step']:>5}  train loss {row['train_loss']:.4f}  "
        f"val loss {val_loss:.4f}  macro F1 {row['val_macro_f1']:.4f}  "
        f"mean IoU {row['val_mean_iou']:.4f}  {progress.rate():.1f} images/s"
        + ("  best" if is_best else "")
    )
