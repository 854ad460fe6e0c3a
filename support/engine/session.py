"""What a run changes as it goes, when it ends, and the signals that ask it to stop."""

import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from metrics import LossMeter
from support.engine.folder import random_states, save_checkpoint
from support.engine.loading import STOP_SIGNALS
from support.engine.processes import Interrupted, Processes
from support.engine.schedules import Schedule


class StopRequest:
    """Hears the signals that ask a run to stop: Ctrl-C, SIGTERM, SIGHUP, or Slurm's SIGUSR1.

    A context: inside it the signals are caught, but for those that were ignored before, as by
    nohup. When it ends by `Interrupted`, it says so on stderr.

    Args:
        processes: that train together. If there is one, a second Ctrl-C ends it at once. Under
            `torchrun` it does not: a terminal sends Ctrl-C to every process, and `torchrun` sends
            it on once more.

    Attributes:
        started: when this session began, by `time.perf_counter`.
        waits: whether the loop stops between two steps by itself; until then a signal interrupts
            whatever is under way.
        has_raised: whether one did.
        signal_number: of the signal that came, 0 for none.
        message: what is said at the end.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes, self.started = processes, time.perf_counter()
        self.waits, self.has_raised, self.signal_number = False, False, 0
        self.message = "stopped before the first step; nothing was changed"
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self.before = {each: signal.getsignal(each) or signal.SIG_DFL for each in STOP_SIGNALS}
            for number, handler in self.before.items():
                if handler != signal.SIG_IGN:
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.has_ended(error) and self.processes.is_first:
            print(self.message, file=sys.stderr)
        if self.has_ended(error) and not isinstance(error, Interrupted):
            raise Interrupted(self.signal_number) from error

    def has_ended(self, error: BaseException | None) -> bool:
        """Whether a signal ends the run by this error, or by what C++ code has made of its own."""
        return isinstance(error, Interrupted) or (self.has_raised and isinstance(error, Exception))

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        if self.processes.count == 1:
            signal.signal(signal.SIGINT, self.before[signal.SIGINT])
        if not self.waits:
            self.has_raised = True
            raise Interrupted(number)


@dataclass
class TrainingState:
    """Everything that a run changes as it goes, and so everything that resuming needs.

    `images_per_step` says what a step's position in the epoch means, `labels` is the label set as
    JSON, and `seconds` how long the run has taken so far, over all its sessions. `average` has the
    weights averaged over about the fraction `average_share` of the steps so far; None for none.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: Schedule
    scaler: torch.amp.GradScaler
    images_per_step: int
    labels: Mapping[str, Any]
    average: nn.Module | None = None
    average_share: float = 0.0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    step: int = 0
    best_score: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    meter: LossMeter = field(default_factory=LossMeter)

    @property
    def kept_model(self) -> nn.Module:
        """The network that is evaluated, kept and exported."""
        return self.model if self.average is None else self.average

    @torch.no_grad()
    def count_step(self) -> None:
        """Counts a step, and takes its weights (and BatchNorm's statistics) into the average.

        Those of step t get the share min(1, k / t), k = 1 / `average_share`, and count as t^(k - 1)
        in the end: "polynomial-decay averaging" (Shamir and Zhang, "Stochastic gradient descent for
        non-smooth optimization", ICML 2013, section 4), but for those before step k, which do not.
        """
        self.step += 1
        if self.average is None:
            return
        share = min(1.0, 1.0 / (self.average_share * self.step))
        means = *self.average.parameters(), *self.average.buffers()  # each once; names may share
        for mean, new in zip(means, (*self.model.parameters(), *self.model.buffers()), strict=True):
            if mean.is_floating_point():
                mean.lerp_(new, share)
            else:  # a count of batches
                mean.copy_(new)

    @property
    def is_evaluated(self) -> bool:
        """Whether the weights of this very step have their row in the history."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def best_row(self) -> dict[str, float] | None:
        """The row of the best weights so far; the first of equal ones."""
        return max(self.history, key=lambda row: row["val_macro_f1"], default=None)

    @property
    def epochs_without_progress(self) -> int:
        """Evaluations since the best one; a score that is only equalled is no progress."""
        best = self.best_row
        return len(self.history) - 1 - self.history.index(best) if best else 0

    def save(self, path: Path, processes: Processes) -> None:
        """Writes `last.pt`; every process takes part, the first one writes."""
        self.meter.settle()
        sums = [self.meter.numerator, self.meter.denominator]
        of_all = processes.gather((random_states(), sums))
        if not processes.is_first:
            return
        whole = {key: v for key, v in vars(self).items() if key not in ("meter", "average_share")}
        parts = ("model", "average", "optimizer", "scheduler", "scaler")
        whole |= {name: whole[name].state_dict() for name in parts if whole[name] is not None}
        whole |= {"random": [random for random, _ in of_all], "loss_sums": [x for _, x in of_all]}
        save_checkpoint(path, whole)


@dataclass(frozen=True)
class Limits:
    """When a run ends, and how often it is saved.

    Args:
        total_steps: the step after which training ends.
        every: after so many epochs comes an evaluation; one comes at the end in any case.
        patience: evaluations without a better score after which it ends earlier, or None.
        minutes: within which the run ends, with its last evaluation and its export, or None.
        save_minutes: at most so long after a checkpoint comes the next one.
        export_seconds: what is kept back of the minutes for the export and the pictures.
    """

    total_steps: int
    every: int = 1
    patience: int | None = None
    minutes: float | None = None
    save_minutes: float = 10.0
    export_seconds: float = 0.0

    def are_reached(self, state: TrainingState) -> bool:
        """Whether the run is at its last step, or has waited long enough for a better score."""
        is_patient = self.patience is None or state.epochs_without_progress < self.patience
        return state.is_evaluated and (state.step >= self.total_steps or not is_patient)

    def cut(self, state: TrainingState) -> str:
        """What ended a run before its last step, in words; nothing if nothing did."""
        if state.step >= self.total_steps:
            return ""
        reason = "--patience" if self.are_reached(state) else "--max-minutes"
        return f" of the {self.total_steps} steps asked for, ended by {reason}"

    def leave_no_time(self, state: TrainingState, next_step: float = 0.0) -> bool:
        """Whether the last evaluation and the export need the rest of the minutes.

        Before them, training goes on for `next_step` seconds.
        """
        if self.minutes is None:
            return False
        needed = next_step + 1.5 * state.evaluation_seconds + self.export_seconds
        return state.seconds + needed > 60 * self.minutes


class Clock:
    """The seconds of a run, kept up to date in its state, and its images per second."""

    def __init__(self, state: TrainingState, started: float) -> None:
        self.state, self.started, self.seconds_before = state, started, state.seconds
        self.saved = self.ticked = time.perf_counter()
        self.step_seconds = 0.0
        self.start_epoch()

    def tick(self) -> None:
        """Counts the time since the last tick: a step, or a batch of an evaluation."""
        now = time.perf_counter()
        self.step_seconds, self.ticked = now - self.ticked, now
        self.state.seconds = self.seconds_before + now - self.started

    def start_epoch(self) -> None:
        """Starts counting the images per second."""
        self.images, self.epoch_seconds, self.epoch_started = 0, 0.0, time.perf_counter()

    def settle(self) -> None:
        """Says that all images counted so far have been computed."""
        self.epoch_seconds = time.perf_counter() - self.epoch_started

    def rate(self) -> float:
        """Returns the images per second of this epoch's training, or of the one before."""
        if not self.epoch_seconds and self.state.history:  # resumed at the end of an epoch
            return self.state.history[-1]["images_per_second"]
        return self.images / self.epoch_seconds if self.epoch_seconds else 0.0
