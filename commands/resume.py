"""The run that `train` goes on with: which it is, and what must agree with its config.json."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.command_line.run_folder import read_config
from commands.train import TRAIN_DEFAULTS
from utils import LabError

if TYPE_CHECKING:
    from support.engine.session import Limits, TrainingState

CHANGEABLE_ON_RESUME = ("epochs", "max_steps", "max_minutes", "patience", "save_minutes", "device")
CHANGEABLE_ON_RESUME += ("batch_size", "accumulate", "num_workers", "datadir", "logdir", "name")
CHANGEABLE_ON_RESUME += ("compile",)
"""What a resumed run may do otherwise. Batch size and accumulation may change together alone: the
images of a step must stay as many as they were, over all processes."""


def run_to_resume(given: dict[str, Any]) -> Path | None:
    """The folder of the run to go on with, or None for a new run.

    Raises:
        LabError: for flags that contradict each other.
    """
    if "resume" in given and not given.get("auto_resume"):
        run = Path(given["resume"])
        place = run.resolve()
        place = Path(given.get("logdir", place.parent)) / given.get("name", place.name)
        if place.resolve() != run.resolve():
            raise LabError(f"--resume goes on in {run}; leave out --name and --logdir")
        return run
    if not given.get("auto_resume"):
        return None
    if "resume" in given or "name" not in given:
        raise LabError("--auto-resume goes with --name, and not with --resume")
    run = Path(given.get("logdir", TRAIN_DEFAULTS["logdir"])) / given["name"]
    return run if (run / "last.pt").is_file() else None


def begun_with(resumed: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Reads the arguments with which a run to resume began, out of its config.json.

    Raises:
        LabError: when it cannot be read, or an option that is given contradicts it.
    """
    try:
        config = read_config(resumed)
    except ValueError as error:
        raise LabError(f"{error}; {resumed} is not a run to resume") from error
    begun = TRAIN_DEFAULTS | config["arguments"]
    kinds = {key: type(value) for key, value in TRAIN_DEFAULTS.items() if value is not None}
    wrong = [key for key, kind in kinds.items() if type(begun[key]) is not kind]
    if not wrong and [*map(type, begun["img_size"])] != [int, int]:
        wrong = ["img_size"]
    if begun["epochs"] is begun["max_steps"] is None:
        wrong.append("neither epochs nor max_steps")
    if wrong:
        what = f"{resumed / 'config.json'}: damaged ({', '.join(wrong)})"
        raise LabError(f"{what}; restore the file, or start a new run")
    differs = [
        f"--{key.replace('_', '-')} {in_words(value)} contradicts {in_words(begun[key])}"
        for key, value in given.items()
        if key not in CHANGEABLE_ON_RESUME and value != begun[key]
    ]
    if differs:
        raise LabError(
            f"{'; '.join(differs)} in {resumed}; leave it out to go on, or start a new run "
            "without --resume"
        )
    return begun


def in_words(value: object) -> str:
    """An argument's value as it is typed."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def resume_notes(state: "TrainingState", limits: "Limits") -> list[str]:
    """What a resumed run should know about its end and its schedule."""
    from support.engine.resuming import last_rate  # late: it imports torch

    if limits.are_reached(state):
        way = "to continue, give a larger --epochs or --max-steps"
        if state.step < limits.total_steps:
            way = f"to continue, give a --patience of more than {limits.patience} evaluations"
        elif not last_rate(state.scheduler):
            way = "to train longer, start a new run with --finetune-from"
        return [f"note: the run ended at step {state.step}; {way}"]
    if limits.leave_no_time(state):
        used_up = f"the {limits.minutes:g} minutes of the run are used up"
        return [f"note: {used_up}; to continue, give a larger --max-minutes"]
    if limits.total_steps > state.scheduler.horizon:
        return [
            f"note: the learning-rate schedule ends at step {state.scheduler.horizon}, with which "
            f"the run began; later steps keep its last rate, {last_rate(state.scheduler):.2g}"
        ]
    return []
