"""The options of `train`: flags, defaults, what goes together.

An option that is not given takes its default, or in a resumed run the value with which that began.
"""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.command_line import (
    below_one,
    folder_name,
    fraction,
    non_negative,
    plain_path,
    positive,
    whole,
)
from support.formats.labels import LABEL_KINDS, VAL_SHARE
from utils import MAX_SIDE, LabError

if TYPE_CHECKING:
    from data import SegmentationDataset
    from support.engine.runs import Run

MODEL_NAMES = (
    "unet",
    "my_fcn",
    *(f"fcn_resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"deeplabv3_resnet{depth}" for depth in (50, 101)),
    *(f"deeplabv3plus_resnet{depth}" for depth in (50, 101)),
    *(f"segformer_b{size}" for size in range(6)),
    *(f"hrnet_{kind}" for kind in ("w18", "w48", "ocr_w48", "ocr_aspp_w48", "ocr_ms_w48")),
)
LOSS_NAMES = ("ce", "wce", "focal", "topk", "dice", "dice_ce", "dice_topk", "tversky", "lovasz")
LOSS_NAMES += ("mcc", "rmi", "wrmi")
CLASS_WEIGHT_NAMES = ("none", "inverse", "sqrt", "median", "effective")
OPTIMIZER_NAMES = ("adam", "adamw", "sgd", "muon")
SCHEDULER_NAMES = ("constant", "poly", "cosine", "exponential", "plateau")
TRAINED_PARTS = ("all", "head", "last")
AUGMENT_NAMES = ("usual", "strong")
DEVICE_NAMES = ("auto", "cuda", "mps", "cpu")
PRECISION_NAMES = ("auto", "fp32", "bf16", "fp16")
MAX_WORKERS = 64

UNSET = ("limit_train", "datadir", "fold", "cities_train", "cities_val", "limit", "num_blocks")
UNSET += ("base_channels", "weights", "sparse")
UNSET += ("aux_weights", "class_weights", "gamma", "finetune_from", "epochs", "max_steps")
UNSET += ("max_minutes", "patience", "clip_norm", "warm_up", "num_workers", "name", "recipe")
RECIPES: dict[str, dict[str, Any]] = {
    "fast": {"optimizer": "muon", "scheduler": "poly", "small_share": 0.7, "average": 0.15},
    "plain": {"optimizer": "adamw", "scheduler": "cosine", "small_share": 0.0, "average": 0.0},
}
"""Defaults that go together."""
RECIPE_EPOCHS = {"fast": (4, 2), "plain": (11, 1)}
"""Unless a length is given: a recipe's epochs, and how many lie between two evaluations."""
LEAST_TO_HALVE = 128
"""Pixels that both sides of the images need for the recipe to begin with half of them."""
TRAIN_DEFAULTS: dict[str, Any] = dict.fromkeys(UNSET) | {
    **RECIPES["plain"],
    "evaluate_every": 1,
    "img_size": [128, 256],
    "model": "unet",
    "pretrained": False,
    "loss": "wce",
    "fix_batchnorm": False,
    "train": "all",
    "backbone_lr_factor": 1.0,
    "batch_size": 4,
    "accumulate": 1,
    "lr": 3e-3,
    "weight_decay": 1e-2,
    "split_train": ["train"],
    "val_share": VAL_SHARE,
    "with_background": False,
    "labels": "fine",
    "allow_shared_areas": False,
    "augment": "usual",
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "compile": False,
    "logdir": "runs",
    "save_minutes": 10.0,
}
DEFAULT_SIZES = {
    "unet": {"num_blocks": 4, "base_channels": 16},
    "my_fcn": {"num_blocks": 3, "base_channels": 8},
}
"""The models whose size can be chosen."""

COUNT, RATE = {"type": whole, "metavar": "N"}, {"type": positive, "metavar": "X"}
MINUTES, WEIGHT = {"type": positive, "metavar": "N"}, {"type": non_negative, "metavar": "X"}
SWITCH = {"action": "store_true"}
"""The kinds of several arguments."""


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `train`. Only what is given gets into args, so that a resumed run can compare."""
    parser.argument_default = argparse.SUPPRESS
    height, width = TRAIN_DEFAULTS["img_size"]
    add = partial(add_with_default, parser.add_argument_group("data"))
    folder_help = "folder of images and masks: your own, a data set as downloaded, or prepared"
    add("--datadir", folder_help, "toy streets", metavar="DIR")
    add("--cities-train", "cities to train on", "all", nargs="+", metavar="CITY")
    add("--cities-val", "cities to validate on", "all", nargs="+", metavar="CITY")
    add("--limit", "at most so many images of each split", "all", **COUNT)
    add("--limit-train", "at most so many to train on; validation keeps its own", "all", **COUNT)
    split_help = "splits to train on, such as train train_extra"
    add("--split-train", split_help, "train", nargs="+", metavar="SPLIT")
    add_reading_arguments(add, "{}")
    change_help = "random changes of training images; strong for streets unlike those trained on"
    add("--augment", change_help, choices=AUGMENT_NAMES)
    sparse_help = "labelled part of each training target, the rest is void: half (left or right), "
    sparse_help += "rows:N or points:N (N random rows or pixels), scribbles (a line a class)"
    add("--sparse", sparse_help, "all of it", type=sparse_kind, metavar="PART")
    size = {"nargs": 2, "type": partial(whole, least=2, most=MAX_SIDE), "metavar": ("H", "W")}
    add("--img-size", "height and width that the network sees, pixels", f"{height} {width}", **size)
    add = partial(add_with_default, parser.add_argument_group("model"))
    add("--model", f"architecture: {', '.join(MODEL_NAMES)}", choices=MODEL_NAMES, metavar="NAME")
    blocks, channels = (
        ", ".join(f"{name} {sizes[key]}" for name, sizes in DEFAULT_SIZES.items())
        for key in ("num_blocks", "base_channels")
    )
    add("--num-blocks", "number of poolings of unet and my_fcn", blocks, **COUNT)
    width_help = "channels of their first block; the paper's 64 want a GPU"
    add("--base-channels", width_help, channels, **COUNT)
    add("--pretrained", "begin with torchvision's ImageNet weights (ResNets)", "off", **SWITCH)
    weights_help = "begin with a published state dict of the reference implementation"
    add("--weights", weights_help, "random weights", metavar="FILE")
    aux_help = "what the losses of the auxiliary heads weigh; 0 for nothing"
    add("--aux-weights", aux_help, "the model's own", nargs="+", **WEIGHT)
    finetune_help = "begin with the weights of a best.pt, a run or a state dict, where they fit"
    add("--finetune-from", finetune_help, "random weights", metavar="PATH")
    fix_help = "batch normalisation keeps its statistics (fine-tuning, tiny batches)"
    add("--fix-batchnorm", fix_help, "off", **SWITCH)
    part_help = "what learns: the last layer, the head or all; the rest stays to the bit"
    add("--train", part_help, choices=TRAINED_PARTS)
    factor_help = "learning rate of all but the head, as a multiple of the head's"
    add("--backbone-lr-factor", factor_help, **RATE)
    add = partial(add_with_default, parser.add_argument_group("loss"))
    add("--loss", f"what is minimised: {', '.join(LOSS_NAMES)}", choices=LOSS_NAMES, metavar="NAME")
    weights_help = "how rare classes weigh more, by their pixels"
    weights_default = "sqrt for wce and wrmi, none for the others"
    add("--class-weights", weights_help, weights_default, choices=CLASS_WEIGHT_NAMES)
    add("--gamma", "exponent of the focal loss, 0 or more", 2.0, type=non_negative, metavar="G")
    add_loop_arguments(parser)


def sparse_kind(text: str) -> str:
    """An argparse type: which part of a target is visible."""
    if not re.fullmatch(r"half|scribbles|(rows|points):[1-9]\d{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text} is not half, rows:N, points:N or scribbles")
    return text


def add_reading_arguments(add: Callable[..., None], otherwise: str) -> None:
    """How a data folder is read where it leaves a choice; for `train` and all that read folders.

    Args:
        add: adds a flag, from its name, what its help says, what holds otherwise, and the rest.
        otherwise: what the help says of the defaults; {} is the default itself.
    """
    share_help = "part of the images that validates where the folder has no split for it"
    add("--val-share", share_help, otherwise.format(VAL_SHARE), type=fraction, metavar="X")
    background_help = "learn a set's background as a class too (Pascal Context: 60, Stanford: 14)"
    add("--with-background", background_help, otherwise.format("off"), **SWITCH)
    fold_help = "which of the official divisions of Stanford 2D-3D-S"
    add("--fold", fold_help, otherwise.format(1), type=whole, metavar="N")
    labels_help = "labels of the training split where Cityscapes has both; val has fine ones"
    add("--labels", labels_help, otherwise.format("fine"), choices=LABEL_KINDS)
    areas_help = "let training and validation share the rooms of an area (Stanford)"
    add("--allow-shared-areas", areas_help, otherwise.format("off"), **SWITCH)


def add_loop_arguments(parser: argparse.ArgumentParser) -> None:
    """The part of `train` about the loop, the machine and the run's folder."""
    add = partial(add_with_default, parser.add_argument_group("training"))
    recipe_help = "defaults: fast, or plain, as in the textbook"
    add("--recipe", recipe_help, "fast for a unet from random weights, else plain", choices=RECIPES)
    add("--epochs", "passes over the images", "fast 4, plain 11", **COUNT)
    add("--max-steps", "optimiser steps; with --epochs, whichever ends first", "no limit", **COUNT)
    minutes_help = "minutes within which the run ends, over all its sessions, export included"
    add("--max-minutes", minutes_help, "no limit", **MINUTES)
    patience_help = "end after so many evaluations without a better macro F1"
    add("--patience", patience_help, "train to the end", **COUNT)
    add("--batch-size", "images at once, in each process", **COUNT)
    add("--accumulate", "batches whose gradients are added up before each step", **COUNT)
    optimizer_help = "optimiser; sgd has momentum 0.9; muon moves convolutions by 10 times the rate"
    add("--optimizer", optimizer_help, "fast muon, plain adamw", choices=OPTIMIZER_NAMES)
    add("--lr", "highest learning rate", **RATE)
    add("--weight-decay", "pull of the weights towards 0", **WEIGHT)
    add("--clip-norm", "shorten gradients whose norm is larger than this", "never", **RATE)
    add("--scheduler", "how the rate falls", "fast poly, plain cosine", choices=SCHEDULER_NAMES)
    share = {"type": below_one, "metavar": "X"}
    warm_up_help = "fraction of the steps in which the rate first rises"
    add("--warm-up", warm_up_help, "0.05; none for constant", **share)
    share_help = "fraction of the steps, the first ones, on images of half the size"
    add("--small-share", share_help, "fast 0.7, from 128 pixels on; plain 0", **share)
    average_help = "evaluate and export a mean of the weights: this last fraction counts two thirds"
    add("--average", average_help, "fast 0.15; plain 0, the weights alone", **share)
    every_help = "epochs between two evaluations; one comes at the end in any case"
    every_default = "1; fast 2, if neither --epochs nor --max-steps is given"
    add("--evaluate-every", every_help, every_default, **COUNT)
    add("--seed", "seed of all random choices", type=partial(whole, least=0), metavar="N")
    add("--device", "where to train; auto takes a GPU if there is one", choices=DEVICE_NAMES)
    precision_help = "type of the forward pass; auto takes bf16 where the hardware is made for it"
    add("--precision", precision_help, choices=PRECISION_NAMES)
    compile_help = "faster steps on a GPU by torch.compile, after half a minute or more"
    add("--compile", compile_help, "off", action=argparse.BooleanOptionalAction)
    workers_help = "workers that load images, 0 for none; fewer where shared memory is short"
    workers = {"type": partial(whole, least=0, most=MAX_WORKERS), "metavar": "N"}
    add("--num-workers", workers_help, "by the machine", **workers)
    add = partial(add_with_default, parser.add_argument_group("run"))
    add("--logdir", "folder in which runs lie", type=plain_path, metavar="DIR")
    name = {"type": folder_name, "metavar": "NAME"}
    add("--name", "name of the run's folder", "date, time, model and loss", **name)
    add("--save-minutes", "minutes between two checkpoints inside an epoch, at most", **MINUTES)
    add("--resume", "continue the run of this folder", "a new run", type=plain_path, metavar="RUN")
    auto_help = "go on with the run of --name if it is there, else begin it (for batch jobs)"
    add("--auto-resume", auto_help, "off", default=False, **SWITCH)
    add("--dry-run", "two steps through everything; keeps nothing", "off", default=False, **SWITCH)


def add_with_default(
    group: argparse._ArgumentGroup, flag: str, text: str, otherwise: object = None, **options: Any
) -> None:
    """Adds a flag whose help ends with what holds otherwise, by default `TRAIN_DEFAULTS`' value."""
    if otherwise is None:
        otherwise = TRAIN_DEFAULTS[flag.removeprefix("--").replace("-", "_")]
    group.add_argument(flag, help=f"{text} (default: {otherwise})", **options)


def training_options(
    args: argparse.Namespace, processes: int = 1, scratch: str | None = None
) -> tuple[argparse.Namespace, Path | None]:
    """Joins what was given on the command line with the defaults, or with the resumed run's.

    Args:
        processes: that train together.
        scratch: a folder for a dry run; None for a real one.

    Returns:
        Every option by name, and the folder of the run to resume, or None.

    Raises:
        LabError: for options that contradict each other or the resumed run, or a name that is
            taken.
    """
    resumed = None
    if not scratch and ("resume" in args or vars(args).get("auto_resume")):
        from commands.resume import begun_with, run_to_resume  # late: a new run does without

        resumed = run_to_resume(vars(args))
    given = {key: value for key, value in vars(args).items() if key in TRAIN_DEFAULTS}
    for key in ("datadir", "finetune_from", "weights"):
        if given.get(key):
            given[key] = str(Path(given[key]).resolve())
    if resumed is None:
        is_fast = given.get("model", "unet") == "unet"  # with which it was measured
        is_fast &= not given.keys() & {"pretrained", "weights", "finetune_from"}
        is_fast &= given.get("train", "all") == "all" and given.get("backbone_lr_factor", 1) == 1
        recipe = given.setdefault("recipe", "fast" if is_fast else "plain")
        options = TRAIN_DEFAULTS | RECIPES[recipe]
        if not given.keys() & {"epochs", "max_steps"}:
            options["epochs"], options["evaluate_every"] = RECIPE_EPOCHS[recipe]
        is_small = min(given.get("img_size", options["img_size"])) < LEAST_TO_HALVE
        if is_small or given.get("sparse", "half") != "half":  # half-size images would lose them
            options["small_share"] = 0.0
        options |= given
        from losses import loss_options  # late: `--help` does without torch

        options |= complete_model_options(options)
        options |= loss_options(options["loss"], options["class_weights"], options["gamma"])
        if scratch:  # two steps, of as few images as fill them
            images = options["batch_size"] * options["accumulate"] * processes
            options |= {"logdir": scratch, "name": "dry-run", "epochs": None, "max_steps": 2}
            options |= {"limit": min(options["limit"] or images, images), "limit_train": None}
        require_new_name(Path(options["logdir"]), options["name"])
        return argparse.Namespace(**options), None
    return argparse.Namespace(**begun_with(resumed, given) | given), resumed


def require_new_name(logdir: Path, name: str | None) -> None:
    """Finds out, before any work, whether a run of this name can be made.

    Raises:
        LabError: when the name is taken, or `logdir` is not a folder.
    """
    if logdir.exists() and not logdir.is_dir():
        raise LabError(f"--logdir {logdir} is a file; choose a folder")
    if name is not None and (logdir / name).exists():
        can_resume = (logdir / name / "last.pt").is_file()
        hint = f", or go on with --resume {logdir / name}" if can_resume else ""
        raise LabError(f"{logdir / name} is there already; choose another --name{hint}")


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
    if options["pretrained"] or options["weights"] or options["finetune_from"]:
        from commands.finetuning import require_one_source  # late: most runs have none

        require_one_source(options)
    return {key: options[key] or default for key, default in sizes.items()}


def model_sizes(options: dict[str, Any]) -> dict[str, int]:
    """The sizes that the model's constructor takes."""
    return {key: options[key] for key in DEFAULT_SIZES.get(options["model"], {})}


def opening_lines(
    run: "Run", train_set: "SegmentationDataset", val_set: "SegmentationDataset"
) -> list[str]:
    """What is said before the first step: what will be done, and what may surprise."""
    state, limits, sampler, machine = run.state, run.limits, run.sampler, run.machine
    size, image_size = run.about_model["size"], train_set.sizes[0]  # (height, width) of each
    cost = run.cost()
    parameters = f"{cost['parameters'] / 1e6:.2f} million parameters"
    if cost["learning"] < cost["parameters"]:
        parameters += f", {cost['learning'] / 1e6:.2f} of which learn"
    lines = [
        f"{run.folder}: {limits.total_steps} steps of {sampler.division.in_words()} in "
        f"{machine.precision} on {machine.device}, {sampler.length} images to train on and "
        f"{len(val_set)} to validate, {parameters}"
    ]
    if not 0.9 < (size[1] / size[0]) / (image_size[1] / image_size[0]) < 1.1:
        from commands.command_line.advice import distortion  # late: mostly there is none

        lines.append(distortion(size, image_size))
    if not sampler.division.is_whole:
        from support.engine.accumulation import notes  # late: most runs do without

        lines += notes(run)
    if state.step:
        from commands.resume import resume_notes  # late: a new run does without

        lines += resume_notes(state, limits)
    return lines
