"""The options of `train`: their defaults, what goes together, and what a resumed run may change.

An option that is not given takes its default, or in a resumed run the value with which that began.
"""

from pathlib import Path
from typing import Any

from utils import LabError

TRAIN_DEFAULTS: dict[str, Any] = {
    "datadir": None,
    "cities_train": None,
    "cities_val": None,
    "limit": None,
    "img_size": [128, 256],
    "model": "unet",
    "num_blocks": None,
    "base_channels": None,
    "pretrained": False,
    "weights": None,
    "aux_weights": None,
    "loss": "wce",
    "class_weights": None,
    "gamma": None,
    "finetune_from": None,
    "fix_batchnorm": False,
    "epochs": None,
    "max_steps": None,
    "max_minutes": None,
    "patience": None,
    "batch_size": 4,
    "accumulate": 1,
    "optimizer": "adamw",
    "lr": 3e-3,
    "weight_decay": 1e-2,
    "clip_norm": None,
    "scheduler": "cosine",
    "warm_up": None,
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "num_workers": None,
    "logdir": "runs",
    "name": None,
    "save_minutes": 10.0,
}
DEFAULT_EPOCHS = 11
DEFAULT_SIZES = {
    "unet": {"num_blocks": 4, "base_channels": 16},
    "my_fcn": {"num_blocks": 3, "base_channels": 8},
}
"""The models whose size can be chosen."""
DEFAULT_CLASS_WEIGHTS = {"wce": "sqrt", "wrmi": "sqrt"}
"""The losses that weigh the classes by themselves."""
DEFAULT_GAMMA = 2.0
CHANGEABLE_ON_RESUME = (
    "epochs",
    "max_steps",
    "max_minutes",
    "patience",
    "save_minutes",
    "batch_size",
    "accumulate",
    "num_workers",
    "device",
    "datadir",
    "logdir",
    "name",
)
"""What a resumed run may do otherwise. Batch size and accumulation may change together alone: the
images of a step must stay as many as they were, over all processes."""


def training_options(given: dict[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """Joins what was given on the command line with the defaults, or with the resumed run's.

    Returns:
        Every argument by name, and the folder of the run to resume or None.

    Raises:
        LabError: for arguments that contradict each other or the resumed run.
    """
    resumed = run_to_resume(given)
    given = {key: value for key, value in given.items() if key in TRAIN_DEFAULTS}
    for key in ("datadir", "finetune_from", "weights"):
        if given.get(key):
            given[key] = str(Path(given[key]).resolve())
    if resumed is None:
        options = TRAIN_DEFAULTS | given
        if options["epochs"] is None and options["max_steps"] is None:
            options["epochs"] = DEFAULT_EPOCHS
        return options | complete_model_options(options) | complete_loss_options(options), None
    from support.engine.runs import read_config

    begun = TRAIN_DEFAULTS | read_config(resumed)["arguments"]
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
    return begun | given, resumed


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


def in_words(value: object) -> str:
    """An argument's value as it is typed."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def complete_model_options(options: dict[str, Any]) -> dict[str, Any]:
    """The sizes that the model takes when none are given.

    Raises:
        LabError: for options that the model does not take, or that exclude each other.
    """
    model, sizes = options["model"], DEFAULT_SIZES.get(options["model"], {})
    for key in ("num_blocks", "base_channels"):
        if key not in sizes and options[key] is not None:
            flag = key.replace("_", "-")
            raise LabError(f"--{flag} belongs to {' and '.join(DEFAULT_SIZES)}, not to {model}")
    if sum(map(bool, (options["pretrained"], options["weights"], options["finetune_from"]))) > 1:
        raise LabError("--pretrained, --weights and --finetune-from exclude each other: choose one")
    if options["pretrained"] and "resnet" not in model:
        raise LabError(f"--pretrained is for models on a ResNet, not for {model}; see --weights")
    if options["weights"] and model in DEFAULT_SIZES:
        raise LabError(
            f"--weights is for models with a reference; for a {model} use --finetune-from"
        )
    return {key: options[key] or default for key, default in sizes.items()}


def complete_loss_options(options: dict[str, Any]) -> dict[str, Any]:
    """The class weights and the gamma that the loss takes when none are given.

    Raises:
        LabError: for options that the loss does not take.
    """
    loss, strategy, gamma = options["loss"], options["class_weights"], options["gamma"]
    if loss in ("ce", "rmi") and strategy not in (None, "none"):
        raise LabError(f"--loss {loss} takes no --class-weights; use --loss w{loss}")
    if loss != "focal" and gamma is not None:
        raise LabError(f"--gamma belongs to --loss focal, not to {loss}")
    return {
        "class_weights": strategy or DEFAULT_CLASS_WEIGHTS.get(loss, "none"),
        "gamma": DEFAULT_GAMMA if loss == "focal" and gamma is None else gamma,
    }


def sizes_in_words(key: str) -> str:
    """The defaults of a size of the models that have it, such as `unet 4, my_fcn 3`."""
    return ", ".join(f"{name} {sizes[key]}" for name, sizes in DEFAULT_SIZES.items())
