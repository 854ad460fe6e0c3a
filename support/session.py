"""What surrounds the training loop: its state, its progress bar, and the request to stop."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from metrics import LossMeter
from support.runs import TensorBoardLog, random_states, restore_random_states, save_checkpoint
from utils import LabError

CHECK_EVERY = 10
"""Steps between two looks at the loss: on a GPU each look waits for all the work under way."""


class Interrupted(Exception):  # noqa: N818
    """A signal asked the run to stop; what it had reached is saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class StopRequest:
    """Remembers that Ctrl-C or SIGTERM came, so that the loop stops between two steps."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def raise_if_set(self) -> None:
        """Raises `Interrupted` when a signal came."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catches the signals inside the block; a second one ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        caught = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in caught}

        def remember(number: int, frame: FrameType | None) -> None:
            self.signal_number = number
            for each in caught:
                signal.signal(each, before[each])

        for number in caught:
            signal.signal(number, remember)
        try:
            yield
        finally:
            for number in caught:
                signal.signal(number, before[number])


@dataclass
class TrainingState:
    """Everything that a run changes as it goes, and so everything that resuming needs.

    `horizon` is the number of steps for which the schedule was made; it stays when a resumed run
    is given more epochs.
    """

    SAVED: ClassVar = (
        "model",
        "optimizer",
        "scheduler",
        "scaler",
        "horizon",
        "step",
        "best_score",
        "history",
        "loss_sums",
        "random",
    )

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    scaler: torch.amp.GradScaler
    horizon: int
    step: int = 0
    best_score: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    meter: LossMeter = field(default_factory=LossMeter)

    @property
    def is_evaluated(self) -> bool:
        """Whether the weights of this very step have their row in the history."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    def save(self, path: Path) -> None:
        """Writes `last.pt`."""
        self.meter.settle()
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "horizon": self.horizon,
            "step": self.step,
            "best_score": self.best_score,
            "history": self.history,
            "loss_sums": [self.meter.numerator, self.meter.denominator],
            "random": random_states(),
        }
        save_checkpoint(path, state)

    def load(self, state: dict[str, Any]) -> None:
        """Takes over the content of `last.pt`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.best_score = state["step"], state["best_score"]
        self.history = state["history"]
        self.meter.numerator, self.meter.denominator = state["loss_sums"]
        restore_random_states(state["random"])


class Progress:
    """The bar of a run, the looks at its loss, and the ear for a request to stop.

    Args:
        state: of the run; its steps are counted here.
        log: TensorBoard.
        total_steps: the step at which training ends.
        device: where training runs.
    """

    def __init__(
        self, state: TrainingState, log: TensorBoardLog, total_steps: int, device: torch.device
    ) -> None:
        self.state, self.log, self.stop = state, log, StopRequest()
        self.look_every = 1 if device.type == "cpu" else CHECK_EVERY
        self.start_epoch()
        self.bar = tqdm(
            total=total_steps,
            initial=state.step,
            unit="step",
            desc="training",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10.0,
        )

    def start_epoch(self) -> None:
        """Starts the clock of the images per second."""
        self.images, self.seconds, self._clock = 0, 0.0, time.perf_counter()

    def rate(self) -> float:
        """Returns the images per second of this epoch's training."""
        return self.images / self.seconds if self.seconds else 0.0

    def after_step(self, images: int) -> None:
        """Counts a step, looks at the loss now and then, and stops when asked to.

        Raises:
            LabError: when the loss is no longer a number.
            Interrupted: when a signal came.
        """
        self.state.step += 1
        self.images += images
        if self.state.step % self.look_every == 0:
            self.look()
        self.bar.update()
        self.stop.raise_if_set()

    def look(self) -> None:
        """Reads the loss from the device, shows it and logs it.

        Raises:
            LabError: when it is no longer a number.
        """
        meter = self.state.meter
        numerator, denominator = meter.numerator, meter.denominator
        meter.settle()
        self.seconds = time.perf_counter() - self._clock  # what is settled has been computed
        if meter.denominator == denominator and meter.numerator == numerator:
            return
        loss = (meter.numerator - numerator) / (meter.denominator - denominator)
        if not math.isfinite(loss):
            raise LabError(
                f"the loss became {loss} within the {self.look_every} step(s) up to step "
                f"{self.state.step}; try a lower --lr"
            )
        if self.state.step % CHECK_EVERY == 0:
            self.bar.set_postfix_str(f"loss {loss:.3f}, {self.rate():.1f} images/s", refresh=False)
            self.log.step(self.state.step, loss, self.state.optimizer.param_groups[0]["lr"])

    def watched(self, loader: Iterable) -> Iterator:
        """Hands on the batches of an evaluation, and stops between two of them when asked to."""
        for batch in loader:
            self.stop.raise_if_set()
            yield batch

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self.bar.clear()
        print(line, flush=True)
        self.bar.refresh()
