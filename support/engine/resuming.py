"""A run that goes on: what must agree with what it began with, and what is read back."""

import json
import shlex
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from support.engine.folder import HISTORY_COLUMNS, load_best, load_checkpoint, put_best
from support.engine.processes import Processes
from support.engine.schedules import Schedule
from support.engine.session import TrainingState
from utils import LabError, write_csv, write_json

if TYPE_CHECKING:
    from support.engine.runs import Run

LENGTHS = ("epochs", "max_steps")
"""The arguments that make a run longer or shorter."""
THEN = ", then "
"""Between the commits of a run that went on with other code."""


def go_on(run: "Run", config: Mapping[str, Any]) -> int:
    """Loads the state, and makes the folder's files agree with it, whatever ended the run.

    The last row of a run that had ended where no evaluation was due is taken back if it goes on.

    Returns:
        The first step of which TensorBoard must forget what it was told.
    """
    folder, state = run.folder, run.state
    begun = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    require_same_labels(begun["labels"], config["labels"], folder)
    require_same_data(begun["data_fingerprint"], config["data_fingerprint"], folder)
    load_state(state, folder / "last.pt", run.processes)
    require_rate(state.scheduler, run.limits.total_steps, folder)
    is_inside = not run.is_due and state.step < run.limits.total_steps
    purge_step = state.step + (is_inside or state.is_evaluated)  # an evaluation comes again
    has_ended = run.limits.are_reached(state) or run.limits.leave_no_time(state)
    run.processes.wait()  # all have read what the first one now changes
    if state.is_evaluated and not run.is_due and not has_ended:
        state.history.pop()
        state.best_score = state.best_row["val_macro_f1"] if state.history else -1.0
        purge_step = state.step
        state.save(folder / "last.pt", run.processes)  # before its best weights come back
    if run.processes.is_first:
        put_best(folder, state.best_row)
        if state.history:
            load_best(folder, state.model)  # better now than after hours of training
        config = with_beginning(config, begun) | {"resolved": run.resolved()}
        write_json(folder / "config.json", config)
        if state.history or (folder / "history.csv").exists():
            write_csv(folder / "history.csv", HISTORY_COLUMNS, state.history)
        for leftover in folder.glob(".*.partial*"):  # of a process killed while writing
            leftover.unlink(missing_ok=True)
    return purge_step


def with_beginning(config: Mapping[str, Any], begun: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json to write, with the command and the commit that the run began with.

    A command that made the run longer or shorter, and a commit that differs, stand behind those.
    """
    command, commit = begun.get("command", config["command"]), config["git_commit"]
    if any(begun["arguments"].get(key) != config["arguments"].get(key) for key in LENGTHS):
        command = f"{command}\n{config['command']}"
    if commits := str(begun.get("git_commit") or ""):
        commit = commits if commits.split(THEN)[-1] == commit else f"{commits}{THEN}{commit}"
    return {**config, "command": command, "git_commit": commit}


def load_state(state: TrainingState, path: Path, processes: Processes) -> None:
    """Goes on where `last.pt` was written.

    A process that the interrupted run did not have keeps its own random states.

    Raises:
        LabError: when it is missing or damaged, of steps of another size, or of another model.
    """
    last = load_checkpoint(path, ("images_per_step", "random", "loss_sums"))
    if last["images_per_step"] != state.images_per_step:
        raise LabError(
            f"{path}: the run takes {last['images_per_step']} images a step; here --batch-size "
            f"x --accumulate x processes make {state.images_per_step}; change one of the three"
        )
    try:
        begun, now = (
            each["param_groups"][0].keys()
            for each in (last["optimizer"], state.optimizer.state_dict())
        )
        if begun != now:
            raise ValueError("another optimiser")
        state.model.load_state_dict(last["model"])
        weights = [*last["model"].values(), *(last["average"] or {}).values()]
        if not all(tensor.isfinite().all() for tensor in weights):
            raise ValueError("weights that are not numbers")
        if state.average is not None:
            state.average.load_state_dict(last["average"])
        state.optimizer.load_state_dict(last["optimizer"])
        state.scheduler.load_state_dict(last["scheduler"])
        state.scaler.load_state_dict(last["scaler"])
        state.step, state.best_score = last["step"], last["best_score"]
        state.history = last["history"]
        state.seconds, state.evaluation_seconds = last["seconds"], last["evaluation_seconds"]
        numbers = (state.step, state.best_score + 1, state.seconds, state.scheduler.horizon)
        if not (min(numbers) >= 0 and all("step" in row for row in state.history)):
            raise ValueError("impossible numbers")
        own = last["loss_sums"][processes.rank :: processes.count]
        state.meter.numerator = sum(numerator for numerator, _ in own)
        state.meter.denominator = sum(denominator for _, denominator in own)
        if processes.rank < len(last["random"]):
            restore_random_states(last["random"][processes.rank])
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise LabError(f"{path}: does not fit the run's config.json, or is damaged") from error


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Puts the generators where `random_states` found them."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])


def last_rate(scheduler: Schedule) -> float:
    """The learning rate at which a schedule ends."""
    return scheduler.base_lrs[0] * scheduler.factor(scheduler.horizon)


def require_rate(scheduler: Schedule, total_steps: int, run: Path) -> None:
    """Raises `LabError` when a run is to make steps after its rate has fallen to 0."""
    if total_steps > scheduler.horizon and not last_rate(scheduler):
        raise LabError(
            f"the learning rate of {run} is 0 from step {scheduler.horizon} on, so that more steps "
            "would learn nothing; leave out --epochs and --max-steps to finish it, or train longer "
            f"in a new run with its weights: --finetune-from {shlex.quote(str(run))} "
            f"--lr {scheduler.base_lrs[0] / 10:g}"
        )


def require_same_data(begun: str, now: str, run: Path) -> None:
    """Compares the fingerprints of the training and the validation data with those of a run.

    Raises:
        LabError: naming the part that differs.
    """
    pairs = zip(begun.split(), now.split(), ("training", "validation"), strict=False)
    differs = [part for before, after, part in pairs if before != after]
    if differs:
        raise LabError(
            f"the {' and '.join(differs)} images are not those that {run} began with (other files, "
            "names, sizes or colours of the masks); restore them, or start a new run"
        )


def require_same_labels(begun: Mapping[str, Any], now: Mapping[str, Any], run: Path) -> None:
    """Compares a label set, as JSON, with that of a run: names and ids of the classes in order.

    Raises:
        LabError: naming both, and the first class in which they differ.
    """

    before, after = (
        [(row["name"], row.get("id")) for row in each["classes"]] for each in (begun, now)
    )
    if before != after:
        pairs = zip_longest(before, after, fillvalue=("no class", "-"))
        old, new = next((old, new) for old, new in pairs if old != new)
        raise LabError(
            f"{run} learned the {len(before)} classes of {begun['name']}, the data now have the "
            f"{len(after)} of {now['name']} ({new[0]}, id {new[1]}, instead of {old[0]}, id "
            f"{old[1]}); restore the classes, or start a new run with --finetune-from {run}"
        )
