"""What surrounds the training loop: its state, its progress bar, and the request to stop."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from metrics import LossMeter
from support.engine.processes import Processes
from support.engine.runs import (
    TensorBoardLog,
    random_states,
    restore_random_states,
    save_checkpoint,
)
from utils import LabError

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")
CHECK_EVERY = 10
"""Steps between two looks at the loss: on a GPU each look waits for all the work under way."""


class Interrupted(BaseException):  # no Exception, as KeyboardInterrupt is none
    """A signal asked the run to stop; what it had reached is saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class StopRequest:
    """Remembers the signal that asks the run to stop: Ctrl-C, SIGTERM, or Slurm's SIGUSR1.

    Args:
        is_alone: a second Ctrl-C ends the process at once. Under `torchrun` it does not: a terminal
            sends Ctrl-C to every process, and `torchrun` sends it on once more.

    Attributes:
        waits: whether the loop stops between two steps by itself; until then a signal interrupts
            whatever is under way.
    """

    def __init__(self, is_alone: bool = True) -> None:
        self.is_alone, self.waits = is_alone, False
        self.signal_number = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catches the signals inside the block.

        Raises:
            Interrupted: when one comes while the run is still being put together.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        caught = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in caught}

        def remember(number: int, frame: FrameType | None) -> None:
            self.signal_number = number
            if self.is_alone:
                signal.signal(signal.SIGINT, before[signal.SIGINT])
            if not self.waits:
                raise Interrupted(number)

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
    is given more epochs. `images_per_step` says what a step's position in the epoch means, and
    `seconds` how long the run has taken so far.
    """

    SAVED: ClassVar = (
        "model",
        "optimizer",
        "scheduler",
        "scaler",
        "horizon",
        "images_per_step",
        "seconds",
        "evaluation_seconds",
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
    images_per_step: int
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    step: int = 0
    best_score: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    meter: LossMeter = field(default_factory=LossMeter)

    @property
    def is_evaluated(self) -> bool:
        """Whether the weights of this very step have their row in the history."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def epochs_without_progress(self) -> int:
        """Evaluations since the best one; a score that is only equalled is no progress."""
        scores = [row["val_macro_f1"] for row in self.history]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def save(self, path: Path, processes: Processes) -> None:
        """Writes `last.pt`; every process takes part, the first one writes."""
        self.meter.settle()
        random = processes.gather(random_states())
        if not processes.is_first:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "horizon": self.horizon,
            "images_per_step": self.images_per_step,
            "seconds": self.seconds,
            "evaluation_seconds": self.evaluation_seconds,
            "step": self.step,
            "best_score": self.best_score,
            "history": self.history,
            "loss_sums": [self.meter.numerator, self.meter.denominator],
            "random": random,
        }
        save_checkpoint(path, state)

    def load(self, state: dict[str, Any], rank: int = 0) -> None:
        """Takes over the content of `last.pt`.

        A process that the interrupted run did not have keeps its own random states.
        """
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.best_score = state["step"], state["best_score"]
        self.history = state["history"]
        self.seconds, self.evaluation_seconds = state["seconds"], state["evaluation_seconds"]
        self.meter.numerator, self.meter.denominator = state["loss_sums"]
        if rank < len(state["random"]):
            restore_random_states(state["random"][rank])


@dataclass(frozen=True)
class Limits:
    """When a run ends, and how often it is saved.

    Args:
        total_steps: the step after which training ends.
        patience: evaluations without a better score after which it ends earlier, or None.
        minutes: within which the run ends, with its last evaluation and its export, or None.
        save_minutes: at most so long after a checkpoint comes the next one.
        export_seconds: what is kept back of the minutes for the export and the pictures.
        started: the clock (`time.perf_counter`) when this session began.
    """

    total_steps: int
    patience: int | None = None
    minutes: float | None = None
    save_minutes: float = 10.0
    export_seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def leave_no_time(self, state: "TrainingState", next_step: float = 0.0) -> bool:
        """Whether the rest of the minutes is needed for the last evaluation and the export.

        Args:
            state: of the run; `state.seconds` is how long it has taken so far.
            next_step: seconds that training goes on before that.
        """
        if self.minutes is None:
            return False
        needed = next_step + 1.5 * state.evaluation_seconds + self.export_seconds
        return state.seconds + needed > 60 * self.minutes


class Progress:
    """The bar of a run, the looks at its loss and the clock, and the ear for a request to stop.

    Args:
        state: of the run; its steps are counted here.
        limits: when it ends.
        device: where training runs.
        processes: that train together.
        stop: hears the signals.
        log: TensorBoard; None in the processes that do not write.
        write: writes `last.pt`; every process calls it.
        evaluation_batches: of one evaluation, in this process.
    """

    def __init__(
        self,
        state: TrainingState,
        limits: Limits,
        device: torch.device,
        processes: Processes,
        stop: StopRequest,
        log: TensorBoardLog | None,
        write: Callable[[], None],
        evaluation_batches: int,
    ) -> None:
        self.state, self.limits, self.processes = state, limits, processes
        self.stop, self.log, self.write = stop, log, write
        self.evaluation_batches = evaluation_batches
        self.look_every = 1 if device.type == "cpu" else CHECK_EVERY
        self.seconds_before = state.seconds
        self._saved = self._decided = time.perf_counter()
        self._step_seconds = 0.0
        self.time_is_up = False
        self.start_epoch()
        self.bar = tqdm(
            total=limits.total_steps,
            initial=state.step,
            unit="step",
            desc="training",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10.0,
            disable=not processes.is_first,
        )

    def start_epoch(self) -> None:
        """Starts the clock of the images per second."""
        self.images, self.seconds, self._clock = 0, 0.0, time.perf_counter()

    def rate(self) -> float:
        """Returns the images per second of this epoch's training, or of the one before."""
        if not self.seconds and self.state.history:  # resumed at the end of an epoch
            return self.state.history[-1]["images_per_second"]
        return self.images / self.seconds if self.seconds else 0.0

    def after_step(self, images: int) -> None:
        """Counts a step, looks at the loss now and then, saves in time, and stops when asked to.

        Raises:
            LabError: when the loss is no longer a number.
            Interrupted: when a signal came.
        """
        self.state.step += 1
        self.images += images
        if self.state.step % self.look_every == 0:
            self.look()
        self.bar.update()
        self.decide()

    def decide(self) -> None:
        """Finds out, together with the other processes, what is to be done between two steps.

        Raises:
            Interrupted: when a signal came to any of them.
        """
        now = time.perf_counter()
        self._step_seconds, self._decided = now - self._decided, now
        self.state.seconds = self.seconds_before + now - self.limits.started
        must_save = now - self._saved > 60 * self.limits.save_minutes
        demands = (self.stop.signal_number, must_save, self.time_is_up or self._is_time_up())
        signal_number, must_save, self.time_is_up = self.processes.maximum(demands)
        if signal_number:
            raise Interrupted(signal_number)
        if must_save:
            self.save()

    def save(self) -> None:
        """Writes `last.pt`; the next one is due after `Limits.save_minutes`."""
        self.state.seconds = self.seconds_before + time.perf_counter() - self.limits.started
        self.write()
        self._saved = time.perf_counter()

    def _is_time_up(self) -> bool:
        """Whether there is no time for another step; of the first there always is."""
        next_step = self._step_seconds
        if not self.state.evaluation_seconds:  # a first guess
            next_step += self.evaluation_batches * self._step_seconds
        return self.state.step > 0 and self.limits.leave_no_time(self.state, next_step)

    def until_time_is_up(self, steps: Iterable) -> Iterator:
        """Hands on what the loop's steps need, one by one, as long as there is time."""
        for step in steps:
            if self.time_is_up:
                return
            yield step

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
            if self.log is not None:
                rate = self.state.optimizer.param_groups[0]["lr"]
                self.log.step(self.state.step, loss, rate)

    def watched(self, loader: DataLoader) -> Iterator:
        """Hands on the batches of an evaluation, and stops between two of them when asked to.

        The processes decide together, so those with a batch less ask as often as the others.
        """
        batches = iter(loader)
        rounds = self.processes.maximum([len(loader)])[0]
        for position in range(rounds):
            self.decide()
            if position < len(loader):
                yield next(batches)

    @contextmanager
    def timed_evaluation(self) -> Iterator[None]:
        """Measures what the block takes, for `--max-minutes`."""
        start = time.perf_counter()
        yield
        self.state.evaluation_seconds = time.perf_counter() - start

    def say(self, line: str) -> None:
        """Prints a line above the bar, once for all processes."""
        if not self.processes.is_first:
            return
        self.bar.clear()
        print(line, flush=True)
        self.bar.refresh()
