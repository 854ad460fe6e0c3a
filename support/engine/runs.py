"""A run: everything around the training loop that `training.fit` asks of it.

Its folder, its state, its bar and clock; when it is over, when it is saved, and what each epoch
leaves behind. The step alone says where in the data a run is: seed and epoch fix the order.
"""

import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from metrics import LossMeter, f1_per_class, iou_per_class, macro_f1, mean_iou, scores
from support.engine.folder import (
    HISTORY_COLUMNS,
    TensorBoardLog,
    alone_in,
    best_name,
    create_run,
    load_best,
    put_best,
    save_checkpoint,
)
from support.engine.hardware import Machine
from support.engine.loading import Part, halved
from support.engine.processes import Interrupted, Processes
from support.engine.session import Clock, Limits, StopRequest, TrainingState
from support.plots import Panels, confusion_picture
from utils import LabError, save_image, write_csv, write_json, write_text

CHECK_EVERY = 10
"""Steps between two looks at the loss: on a GPU each look waits for all the work under way."""


class Run:
    """A training under way, as one of its processes sees it; a context that ends in good order.

    A new folder holds its first `last.pt` from the beginning: whatever ends the run, it can go on.
    One that fails before anything else is saved is removed.

    Args:
        config: what `config.json` gets, but for what `auto` comes to on this machine.
        resumed: the folder of the run to go on with; None for a new one.
        state: fresh; that of the resumed run is loaded into it.
        stop: hears the signals; it waits for the loop from the moment when a folder is opened.
        train_loader: this process's batches; its sampler knows where in the epoch a step is.
        val_loader: likewise, for one evaluation.
        about_model: what `best.pt` holds beside the weights, so that it can be used on its own.

    Raises:
        LabError: when the folder cannot be made or used, or does not fit.
    """

    def __init__(
        self, config: dict[str, Any], resumed: Path | None, state: TrainingState,
        limits: Limits, machine: Machine, stop: StopRequest, train_loader: DataLoader,
        val_loader: DataLoader, about_model: Mapping[str, Any], panels: Panels,
    ) -> None:  # fmt: skip
        self.state, self.limits, self.machine, self.stop = state, limits, machine, stop
        self.processes, self.sampler = machine.processes, train_loader.sampler
        self.num_workers, self.val_batches = train_loader.num_workers, len(val_loader)
        self.about_model, self.panels, self.arguments = about_model, panels, config["arguments"]
        self.num_classes, self.part = len(about_model["classes"]), Part()
        self.scaler, self.is_new = state.scaler, resumed is None
        self.look_every = 1 if machine.device.type == "cpu" else CHECK_EVERY
        self.time_is_up, self.has_saved, self.opening_lines = False, False, []
        with ExitStack() as closing:
            stop.waits = self.is_new  # nothing interrupts what is written from here on
            self.folder = resumed or self.processes.broadcast(self._make_folder(config))
            if self.processes.is_first:
                closing.enter_context(alone_in(self.folder))
            stop.waits = True
            purge_step = 0
            if resumed is not None:
                from support.engine.resuming import go_on  # late: a new run does without

                purge_step = go_on(self, config)
            self.log = TensorBoardLog(self.folder, purge_step) if self.processes.is_first else None
            self.closing = closing.pop_all()
        self.onnx_path, self.clock = self.folder / "model.onnx", Clock(state, stop.started)
        seconds = 0.5 if sys.stderr.isatty() else 10.0
        self.bar = tqdm(
            total=limits.total_steps, initial=state.step, unit="step", desc="training",
            dynamic_ncols=True, mininterval=seconds, disable=not self.processes.is_first,
        )  # fmt: skip

    def _make_folder(self, config: dict[str, Any]) -> Path | None:
        """Makes the folder of a new run, with its config.json and its first last.pt."""
        if not self.processes.is_first:
            return None

        def fill(folder: Path) -> None:
            write_json(folder / "config.json", config | {"resolved": self.resolved()})
            self.state.save(folder / "last.pt", Processes())

        name = f"{self.arguments['model']}-{self.arguments['loss']}"
        return create_run(Path(self.arguments["logdir"]), self.arguments["name"], name, fill)

    def resolved(self) -> dict[str, Any]:
        """What `auto` came to on this machine, and the steps of the schedule."""
        found = {"device": str(self.machine.device), "precision": self.machine.precision}
        found |= {"processes": self.processes.count, "num_workers": self.num_workers}
        return found | {"horizon": self.state.scheduler.horizon}

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if self.stop.has_ended(error):
            if self.stop.waits:
                self.save()
            self.stop.message = (
                f"stopped at step {self.state.step} of {self.limits.total_steps}, saved in "
                f"{self.folder}\ngo on with: {self.processes.command()} main.py train --resume "
                f"{shlex.quote(str(self.folder))}"
            )
        self.stop.waits = True
        self.bar.close()
        if self.log is not None:
            self.log.close()
        self.closing.close()
        has_failed = isinstance(error, Exception) and self.is_new and not self.has_saved
        if has_failed and self.processes.is_first:  # nothing is lost, and the name stays free
            shutil.rmtree(self.folder, ignore_errors=True)

    def epochs(self) -> Iterator[int]:
        """Yields the epochs that are left, counted from 0; also the rest of one.

        A run that stopped after an epoch's last step, before an evaluation, is still in it.
        """
        state = self.state
        if self.log is not None:
            print("\n".join(self.opening_lines), flush=True)
            if state.step == 0:
                self.log.describe(state.model, self.panels.images[:1].to(self.machine.device))
        self.decide()
        while not (self.limits.are_reached(state) or (self.time_is_up and state.is_evaluated)):
            is_inside = state.step > 0 and self.wants_evaluation and not state.is_evaluated
            yield (state.step - is_inside) // self.sampler.steps_per_epoch
        self.bar.close()

    def batches(self, loader: Iterable, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the batches of what is left of an epoch, of the run, or of its time."""
        state, start = self.state, epoch * self.sampler.steps_per_epoch
        end = min(start + self.sampler.steps_per_epoch, self.limits.total_steps)
        self.clock.start_epoch()
        if state.step >= end:
            return
        self.sampler.set_epoch(epoch, skip=(state.step - start) * state.images_per_step)
        batches = iter(loader)
        while state.step < end and not self.time_is_up:
            yield halved(*next(batches)) if state.scheduler.is_small else next(batches)
        self.look()

    def after_step(self, images: int) -> None:
        """Counts a step, looks at the loss now and then, saves in time, and stops when asked to.

        `images` is the batch of this process; how many a step has in all, the sampler knows.

        Raises:
            LabError: when the loss is no longer a number.
            Interrupted: when a signal came.
        """
        if not self.part.is_last:
            return
        position = self.state.step % self.sampler.steps_per_epoch
        self.clock.images += self.sampler.images_of_step(position)
        self.state.count_step()
        if self.state.step % self.look_every == 0:
            self.look()
        self.bar.update()
        self.decide()

    def look(self) -> None:
        """Reads the loss from the device, shows it and logs it.

        Raises:
            LabError: when it is no longer a number.
        """
        meter = self.state.meter
        before = meter.sums()
        meter.settle()
        self.clock.settle()
        numerator, denominator = self.processes.sum(meter.sums() - before).tolist()
        if numerator == denominator == 0:
            return
        loss = numerator / denominator if denominator else math.nan
        if not math.isfinite(loss):
            raise LabError(
                f"the loss became {loss} within the {self.look_every} step(s) up to step "
                f"{self.state.step}; try a lower --lr"
            )
        if self.state.step % CHECK_EVERY == 0:
            self.bar.set_postfix_str(f"loss {loss:.3f}, {self.clock.rate():.1f} images/s", False)
            if self.log is not None:
                rate = self.state.optimizer.param_groups[0]["lr"]
                self.log.scalars({"step/loss": loss, "step/learning_rate": rate}, self.state.step)

    def decide(self) -> None:
        """Finds out, together with the other processes, what is to be done between two steps."""
        self.clock.tick()
        must_save = self.clock.ticked - self.clock.saved > 60 * self.limits.save_minutes
        wishes = (self.stop.signal_number, must_save, self.time_is_up or self._is_time_up())
        number, must_save, self.time_is_up = self.processes.maximum(wishes)
        if number:
            raise Interrupted(number, is_shared=True)
        if must_save:
            self.save()

    def _is_time_up(self) -> bool:
        """Whether there is no time for another step; of the first there always is."""
        next_step = self.clock.step_seconds
        if not self.state.evaluation_seconds:  # not known yet
            next_step += self.val_batches * self.clock.step_seconds
        return self.state.step > 0 and self.limits.leave_no_time(self.state, next_step)

    def watched(self, loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the batches of an evaluation, and stops between two of them when asked to.

        The processes decide together, so those with a batch less ask as often as the others.
        """
        self.processes.align_buffers(self.state.kept_model)
        self.evaluation_started = time.perf_counter()
        batches = iter(loader)
        for position in range(self.processes.maximum([len(loader)])[0]):
            self.decide()
            if position < len(loader):
                yield next(batches)

    def record(self, epoch: int, train_loss: float, val_loss: float, matrix: Tensor) -> None:
        """Keeps what an epoch led to: its row, its pictures, the best weights, `last.pt`.

        Epochs count from 0; `matrix` (K, K) is that of what this process has evaluated.

        Raises:
            LabError: when no pixel has a label, the loss is not a number, or a file cannot be
                written.
        """
        state, matrix = self.state, self.processes.sum(matrix.to(self.machine.device)).cpu()
        has_trained = self.processes.maximum([int(state.meter.denominator > 0)])[0]
        if not matrix.sum() or not has_trained:
            raise LabError("every pixel is void: there is nothing to learn from or to score")
        if not math.isfinite(val_loss):
            raise LabError(f"the validation loss became {val_loss}; try a lower --lr")
        row = {
            "epoch": epoch + 1,
            "step": state.step,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "val_macro_f1": macro_f1(matrix),
            "val_mean_iou": mean_iou(matrix),
            "lr": state.optimizer.param_groups[0]["lr"],
            "images_per_second": round(self.clock.rate(), 2),
        }
        before, is_best = state.best_row, row["val_macro_f1"] > state.best_score
        state.best_score = max(row["val_macro_f1"], state.best_score)
        state.history.append(row)
        if self.processes.is_first:
            if is_best:
                self._save_best(row, matrix, before)
            self._log(row, matrix)
            self._say(row, is_best)
        if self.is_due:
            state.scheduler.hear_score(row["val_macro_f1"])
            state.meter = LossMeter(self.processes.sum)
        state.evaluation_seconds = time.perf_counter() - self.evaluation_started
        self.save()

    @property
    def is_due(self) -> bool:
        """Whether the last step was the last of an epoch after which comes an evaluation."""
        return self.state.step % (self.limits.every * self.sampler.steps_per_epoch) == 0

    @property
    def wants_evaluation(self) -> bool:
        """Whether an evaluation is due, or the run ends here."""
        return self.is_due or self.time_is_up or self.state.step >= self.limits.total_steps

    def _save_best(
        self, row: Mapping[str, float], matrix: Tensor, before: Mapping[str, float] | None
    ) -> None:
        """Writes the best weights under the name of their step; `save` makes them `best.pt`.

        Inside an epoch, those before stay: a run that is given more steps takes this row back.
        """
        best = {**self.about_model, "model": self.state.kept_model.state_dict(), "matrix": matrix}
        best |= {"score": row["val_macro_f1"], "epoch": row["epoch"], "step": row["step"]}
        save_checkpoint(self.folder / best_name(row), best)
        if before is not None and not self.is_due:
            os.replace(self.folder / "best.pt", self.folder / best_name(before))

    def _log(self, row: Mapping[str, float], matrix: Tensor) -> None:
        """Writes an epoch into history.csv and TensorBoard."""
        write_csv(self.folder / "history.csv", HISTORY_COLUMNS, self.state.history)
        names = self.about_model["classes"]
        values = {f"epoch/{column}": row[column] for column in HISTORY_COLUMNS[2:]}
        for tag, scores_per_class in (("f1", f1_per_class(matrix)), ("iou", iou_per_class(matrix))):
            values |= {f"{tag}/{names[k]}": score for k, score in enumerate(scores_per_class)}
        self.log.scalars(values, row["step"])
        picture = confusion_picture(matrix.numpy(), names)
        self.log.picture("confusion", picture, row["step"])
        panel = self.panels.paint(self.state.kept_model.eval(), self.machine.device)
        self.log.picture("samples", panel, row["step"])

    def _say(self, row: Mapping[str, float], is_best: bool) -> None:
        """Prints an epoch's row above the bar."""
        line = (
            f"epoch {row['epoch']:>3}  step {row['step']:>5}  train loss {row['train_loss']:.4f}  "
            f"val loss {row['val_loss']:.4f}  macro F1 {row['val_macro_f1']:.4f}  "
            f"mean IoU {row['val_mean_iou']:.4f}  {self.clock.rate():.1f} images/s"
        )
        self.bar.clear()
        print(line + "  best" * is_best, flush=True)
        self.bar.refresh()

    def save(self) -> None:
        """Writes `last.pt`, after everything that TensorBoard has been told so far."""
        self.clock.tick()
        if self.log is not None:
            self.log.flush()
        self.state.save(self.folder / "last.pt", self.processes)
        self.clock.saved, self.has_saved = self.clock.ticked, True
        if self.processes.is_first and self.state.is_evaluated:
            put_best(self.folder, self.state.best_row)
            if self.is_due:
                for path in self.folder.glob(best_name({"step": "*"})):
                    path.unlink()

    def best_model(self) -> nn.Module:
        """Returns the network with its best weights; from here on a signal ends the run at once."""
        self.stop.waits = False  # an export may take longer than a job has left; it is done anew
        if self.stop.signal_number:
            raise Interrupted(self.stop.signal_number)
        self.state.model.load_state_dict(load_best(self.folder, self.state.model)["model"])
        return self.state.model.eval()

    def finish(self) -> Path:
        """Writes samples.png, metrics.json, cost.json and summary.txt; returns the folder."""
        arguments, state = self.arguments, self.state
        best = load_best(self.folder, state.model)
        result = scores(best["matrix"], self.about_model["classes"])
        save_image(self.folder / "samples.png", self.panels.paint(state.model, self.machine.device))
        result["confusion_matrix"] = best["matrix"].tolist()
        write_json(self.folder / "metrics.json", result)
        write_json(self.folder / "cost.json", self.cost())
        final = {f"best/val_{name}": result[name] for name in ("macro_f1", "mean_iou")}
        self.log.result(arguments, final, state.step + 1)  # a resume purges from there on
        write_text(
            self.folder / "summary.txt",
            f"best validation macro F1 {result['macro_f1']:.4f} (mean IoU "
            f"{result['mean_iou']:.4f}) after epoch {best['epoch']}, step {best['step']}\n"
            f"{state.step} steps in {state.history[-1]['epoch']} epochs{self.limits.cut(state)}; "
            f"model {arguments['model']}, loss {arguments['loss']}, class weights "
            f"{arguments['class_weights']}\n",
        )
        return self.folder

    def cost(self) -> dict[str, float | None]:
        """What the run took: parameters, those that learned, seconds in all and an epoch, GiB."""
        parameters = [*self.state.model.parameters()]
        rate = self.clock.rate()
        return {
            "parameters": sum(each.numel() for each in parameters),
            "learning": sum(each.numel() for each in parameters if each.requires_grad),
            "seconds": self.state.seconds,
            "epoch_seconds": self.sampler.length / rate if rate else None,
            "gibibytes": self.machine.peak_gibibytes(),
        }
