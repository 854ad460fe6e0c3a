"""The command line: train a network, test it on a split or on your own photos.

    python main.py train                                   (toy streets, the defaults)
    python main.py train --datadir cityscapes --cities-train hamburg --cities-val frankfurt
    python main.py test --modelpath runs/NAME/model.onnx --datadir cityscapes --split val
    python main.py test --modelpath model.onnx --image photo.jpg

Each command imports what it needs when it runs: `--help` answers at once, and inference with a
`model.onnx` needs no torch.
"""

import argparse
import math
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.labels import CLASS_NAMES, IGNORE_INDEX, PALETTE
from utils import (
    MAX_IMAGE_PIXELS,
    CommandLine,
    LabError,
    non_negative,
    positive,
    python_command,
    run_command,
    whole,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from data import CityscapesDataset
    from deploy import Segmenter
    from support.session import TrainingState
    from training import Setup

MODEL_NAMES = ("unet",)
LOSS_NAMES = ("ce", "wce", "focal")
CLASS_WEIGHT_NAMES = ("none", "inverse", "sqrt", "median", "effective")
OPTIMIZER_NAMES = ("adam", "adamw", "sgd")
SCHEDULER_NAMES = ("constant", "poly", "cosine")
DEVICE_NAMES = ("auto", "cuda", "mps", "cpu")
PRECISION_NAMES = ("auto", "fp32", "bf16", "fp16")

TRAIN_DEFAULTS: dict[str, Any] = {
    "datadir": None,
    "cities_train": None,
    "cities_val": None,
    "limit": None,
    "img_size": [128, 256],
    "model": "unet",
    "num_blocks": 4,
    "base_channels": 16,
    "loss": "wce",
    "class_weights": None,
    "gamma": None,
    "epochs": None,
    "max_steps": None,
    "batch_size": 4,
    "optimizer": "adamw",
    "lr": 3e-3,
    "weight_decay": 1e-2,
    "scheduler": "cosine",
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "num_workers": None,
    "logdir": "runs",
    "name": None,
}
DEFAULT_EPOCHS = 11
DEFAULT_CLASS_WEIGHTS = {"ce": "none", "wce": "sqrt", "focal": "none"}
DEFAULT_GAMMA = 2.0
CHANGEABLE_ON_RESUME = ("epochs", "max_steps", "num_workers", "device", "datadir")
DRY_RUN_STEPS = 2
MAX_WORKERS = 64


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    return run_command(build_parser().parse_args(argv))


def build_parser() -> argparse.ArgumentParser:
    """The parser with its two commands."""
    parser = CommandLine(
        prog="main.py",
        description="Semantic segmentation of street scenes.",
        epilog="Begin with: python main.py train    (toy streets, about two minutes)",
    )
    commands = parser.add_subparsers(required=True, metavar="{train,test}")
    train_text = (
        "Train a network; its run's folder gets weights, scores, pictures and a model.onnx."
    )
    test_text = "Judge a trained network on a split of a data set, or segment your own photos."
    add_train_arguments(
        commands.add_parser("train", help="train a network", description=train_text)
    )
    add_test_arguments(commands.add_parser("test", help="use a network", description=test_text))
    return parser


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `train`. Only what is given gets into args, so that a resumed run can compare."""
    parser.set_defaults(run=train)
    parser.argument_default = argparse.SUPPRESS
    height, width = TRAIN_DEFAULTS["img_size"]
    data = parser.add_argument_group("data")
    add = partial(add_with_default, data)
    add("--datadir", "Cityscapes folder, as downloaded or prepared", "toy streets", metavar="DIR")
    add("--cities-train", "cities to train on", "all", nargs="+", metavar="CITY")
    add("--cities-val", "cities to validate on", "all", nargs="+", metavar="CITY")
    add("--limit", "at most so many images of each split", "all", type=whole, metavar="N")
    size_help = "height and width in pixels that the network sees"
    add(
        "--img-size",
        size_help,
        f"{height} {width}",
        nargs=2,
        type=partial(whole, least=2),
        metavar=("H", "W"),
    )
    add = partial(add_with_default, parser.add_argument_group("model"))
    add("--model", "architecture", choices=MODEL_NAMES)
    add("--num-blocks", "number of poolings", type=whole, metavar="N")
    width_help = "channels of the first block; the paper's 64 want a GPU"
    add("--base-channels", width_help, type=whole, metavar="N")
    add = partial(add_with_default, parser.add_argument_group("loss"))
    add("--loss", "cross entropy, weighted cross entropy or focal loss", choices=LOSS_NAMES)
    weights_help = "how rare classes weigh more, by their pixels"
    weights_default = "sqrt for wce, none for the others"
    add("--class-weights", weights_help, weights_default, choices=CLASS_WEIGHT_NAMES)
    gamma_help = "exponent of the focal loss, 0 or more"
    add("--gamma", gamma_help, DEFAULT_GAMMA, type=non_negative, metavar="G")
    add_loop_arguments(parser)


def add_loop_arguments(parser: argparse.ArgumentParser) -> None:
    """The part of `train` about the loop, the machine and the run's folder."""
    add = partial(add_with_default, parser.add_argument_group("training"))
    add("--epochs", "passes over the images", DEFAULT_EPOCHS, type=whole, metavar="N")
    steps_help = "optimiser steps; with --epochs, whichever ends first"
    add("--max-steps", steps_help, "no limit", type=whole, metavar="N")
    add("--batch-size", "images per step", type=whole, metavar="N")
    add("--optimizer", "optimiser; sgd has momentum 0.9", choices=OPTIMIZER_NAMES)
    add("--lr", "highest learning rate", type=positive, metavar="X")
    add("--weight-decay", "pull of the weights towards 0", type=non_negative, metavar="X")
    schedule_help = "how the rate falls, after a warm-up in the first 5 %% of the steps"
    add("--scheduler", schedule_help, choices=SCHEDULER_NAMES)
    add("--seed", "seed of all random choices", type=partial(whole, least=0), metavar="N")
    add("--device", "where to train; auto takes a GPU if there is one", choices=DEVICE_NAMES)
    precision_help = "type of the forward pass; auto takes bf16 where the hardware is made for it"
    add("--precision", precision_help, choices=PRECISION_NAMES)
    workers_help = "processes that load images, 0 for none"
    workers_type = partial(whole, least=0, most=MAX_WORKERS)
    add("--num-workers", workers_help, "by the machine", type=workers_type, metavar="N")
    add = partial(add_with_default, parser.add_argument_group("run"))
    add("--logdir", "folder in which runs lie", metavar="DIR")
    add("--name", "name of the run's folder", "date, time, model and loss", metavar="NAME")
    add("--resume", "go on with this run's folder", "a new run", metavar="RUN")
    dry_help = "two steps through everything; keeps nothing"
    add("--dry-run", dry_help, "off", action="store_true", default=False)


def add_with_default(
    group: argparse._ArgumentGroup, flag: str, text: str, otherwise: object = None, **options: Any
) -> None:
    """Adds a flag whose help ends with what holds otherwise, by default `TRAIN_DEFAULTS`' value."""
    if otherwise is None:
        otherwise = TRAIN_DEFAULTS[flag.removeprefix("--").replace("-", "_")]
    group.add_argument(flag, help=f"{text} (default: {otherwise})", **options)


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `test`."""
    parser.set_defaults(run=test)
    parser.add_argument(
        "--modelpath", type=Path, required=True, metavar="MODEL", help="a model.onnx or a best.pt"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--image",
        nargs="+",
        type=Path,
        metavar="FILE|DIR",
        help="segment photos, or folders of them",
    )
    what.add_argument("--split", metavar="SPLIT", help="judge the model on a split, such as val")
    split = parser.add_argument_group("with --split")
    split.add_argument(
        "--datadir", type=Path, metavar="DIR", help="Cityscapes folder (default: toy streets)"
    )
    split.add_argument("--cities", nargs="+", metavar="CITY", help="these cities (default: all)")
    split.add_argument(
        "--limit", type=whole, metavar="N", help="at most so many images (default: all)"
    )
    split.add_argument("--batch-size", type=whole, metavar="N", help="images at once (default: 4)")
    split.add_argument(
        "--save-predictions",
        action="store_true",
        help="write each prediction as official label ids, and as an overlay (default: off)",
    )
    parser.add_argument(
        "--device",
        choices=DEVICE_NAMES,
        default="auto",
        help="where a best.pt runs; a model.onnx runs on the CPU (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: predictions, or test_SPLIT beside the model)",
    )


def train(args: argparse.Namespace) -> int:
    """The command `train`: trains, and says where the results are and what comes next."""
    options, resumed = training_options(vars(args))
    if not args.dry_run:
        run = train_run(options, resumed)
        print(next_steps(run, options["datadir"]))
        return 0
    batch = options["batch_size"]
    with tempfile.TemporaryDirectory() as scratch:
        options |= {"logdir": scratch, "name": "dry-run", "epochs": None}
        options |= {"max_steps": DRY_RUN_STEPS, "limit": min(options["limit"] or batch, batch)}
        train_run(options, None)
    print("dry run passed: data, training, evaluation and export work; nothing was kept")
    return 0


def training_options(given: dict[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """Joins what was given on the command line with the defaults, or with the resumed run's.

    Returns:
        Every argument by name, and the folder of the run to resume or None.

    Raises:
        LabError: for arguments that contradict each other or the resumed run.
    """
    given = {key: value for key, value in given.items() if key in TRAIN_DEFAULTS or key == "resume"}
    resumed = Path(given.pop("resume")) if "resume" in given else None
    if given.get("datadir"):
        given["datadir"] = str(Path(given["datadir"]).resolve())
    if resumed is None:
        options = TRAIN_DEFAULTS | given
        if options["epochs"] is None and options["max_steps"] is None:
            options["epochs"] = DEFAULT_EPOCHS
        return options | complete_loss_options(options), None
    from support.runs import read_config

    begun = TRAIN_DEFAULTS | read_config(resumed)["arguments"]
    for key, value in given.items():
        if key not in CHANGEABLE_ON_RESUME and value != begun[key]:
            raise LabError(
                f"--{key.replace('_', '-')} {value} contradicts {begun[key]} in {resumed}; "
                "leave it out to go on, or start a new run without --resume"
            )
    return begun | given, resumed


def complete_loss_options(options: dict[str, Any]) -> dict[str, Any]:
    """The class weights and the gamma that the loss takes when none are given.

    Raises:
        LabError: for options that the loss does not take.
    """
    loss, strategy, gamma = options["loss"], options["class_weights"], options["gamma"]
    if loss == "ce" and strategy not in (None, "none"):
        raise LabError("--loss ce takes no --class-weights; use --loss wce")
    if loss != "focal" and gamma is not None:
        raise LabError(f"--gamma belongs to --loss focal, not to {loss}")
    return {
        "class_weights": strategy or DEFAULT_CLASS_WEIGHTS[loss],
        "gamma": DEFAULT_GAMMA if loss == "focal" and gamma is None else gamma,
    }


def train_run(options: dict[str, Any], resumed: Path | None) -> Path:
    """Trains one run, new or resumed, to its end; returns its folder."""
    from data import MEAN, STD, get_dataloaders
    from support.hardware import (
        pick_autocast_dtype,
        pick_device,
        pick_num_workers,
        require_memory,
    )
    from support.runs import (
        TensorBoardLog,
        check_writable,
        remove_without_checkpoint,
        require_new_name,
    )
    from support.session import Interrupted
    from training import Panels, Setup, fit
    from utils import seed_everything

    if resumed is None:
        require_new_name(Path(options["logdir"]), options["name"])
    device = pick_device(options["device"])
    autocast_dtype = pick_autocast_dtype(options["precision"], device)
    seed_everything(options["seed"])
    train_set, val_set = open_data(options)
    require_sensible_sizes(options, len(train_set))
    workers = options["num_workers"]
    train_loader, val_loader = get_dataloaders(
        train_set,
        val_set,
        options["batch_size"],
        pick_num_workers(device) if workers is None else workers,
        options["seed"],
        pin_memory=device.type == "cuda",
    )
    total_steps = count_steps(options, len(train_loader))
    criterion = make_criterion(options, train_set).to(device)
    panels = Panels(val_set, CLASS_NAMES, PALETTE, MEAN, STD)
    state = make_state(options, device, total_steps, resumed)
    require_memory(state.model, (options["batch_size"], 3, *options["img_size"]), autocast_dtype)
    fingerprint = f"{train_set.fingerprint()} {val_set.fingerprint()}"
    resolved = {
        "device": str(device),
        "precision": precision_name(autocast_dtype),
        "num_workers": train_loader.num_workers,
    }
    run, config = open_run(options, resolved, fingerprint, resumed)
    check_writable(run)
    log = TensorBoardLog(run, CLASS_NAMES, state.step + 1 if resumed else None)
    setup = Setup(
        run=run,
        device=device,
        autocast_dtype=autocast_dtype,
        train_loader=train_loader,
        val_loader=val_loader,
        criterion=criterion,
        log=log,
        panels=panels,
        about_model=about_model(options, MEAN, STD),
    )
    for line in opening_lines(setup, state, total_steps, train_set.sizes[0], options["img_size"]):
        print(line)
    try:
        if resumed is None:
            log.describe(config)
            log.graph(state.model, panels.images[:1].to(device))
        fit(setup, state, total_steps)
        finish_run(setup, state, options)
    except Interrupted as interrupted:
        print(f"stopped at step {state.step} of {total_steps}, saved in {run}", file=sys.stderr)
        print(f"go on with: {resume_command(run)}", file=sys.stderr)
        raise SystemExit(128 + interrupted.signal_number) from None
    finally:
        log.close()
        remove_without_checkpoint(run)
    return run


def precision_name(autocast_dtype: "torch.dtype | None") -> str:
    """The type of the forward pass in words, such as bfloat16."""
    return str(autocast_dtype or "float32").removeprefix("torch.")


def opening_lines(
    setup: "Setup",
    state: "TrainingState",
    total_steps: int,
    photo_size: tuple[int, int],
    img_size: list[int],
) -> list[str]:
    """What is said before the first step: what will be done, and what may surprise."""
    from support.data_commands import training_size

    parameters = sum(each.numel() for each in state.model.parameters())
    train_loader = setup.train_loader
    lines = [
        f"{setup.run}: {total_steps} steps of {train_loader.batch_size} images in "
        f"{precision_name(setup.autocast_dtype)} on {setup.device}, "
        f"{len(train_loader.dataset)} images to train on and {len(setup.val_loader.dataset)} to "
        f"validate, {parameters / 1e6:.2f} million parameters"
    ]
    stretch = (img_size[1] / img_size[0]) / (photo_size[1] / photo_size[0])
    if not 0.9 < stretch < 1.1:
        height, width = training_size(photo_size)
        lines.append(
            f"note: --img-size {img_size[0]} {img_size[1]} distorts photos of "
            f"{photo_size[0]}x{photo_size[1]}; --img-size {height} {width} would not"
        )
    if state.step >= total_steps and state.is_evaluated:
        lines.append(
            f"note: the run is at step {state.step} already; more needs --epochs or --max-steps"
        )
    elif total_steps > state.horizon:
        lines.append(
            f"note: the learning-rate schedule ends at step {state.horizon}, with which the run "
            "began; later steps keep its last rate"
        )
    return lines


def open_data(options: dict[str, Any]) -> tuple["CityscapesDataset", "CityscapesDataset"]:
    """The training set, augmented, and the validation set."""
    from data import CityscapesDataset, eval_transforms, resolve_datadir, train_transforms

    datadir = None if options["datadir"] is None else Path(options["datadir"])
    root, size = resolve_datadir(datadir), tuple(options["img_size"])
    limit = options["limit"]
    return (
        CityscapesDataset(root, "train", options["cities_train"], limit, train_transforms(size)),
        CityscapesDataset(root, "val", options["cities_val"], limit, eval_transforms(size)),
    )


def require_sensible_sizes(options: dict[str, Any], num_images: int) -> None:
    """Finds what would fail deep inside the network, and says it in the user's words.

    Raises:
        LabError: for pictures beyond the limit, or so small that batch normalisation would be left
            with a single value per channel.
    """
    height, width = options["img_size"]
    if height * width > MAX_IMAGE_PIXELS:
        raise LabError(
            f"--img-size {height} {width}: more than {MAX_IMAGE_PIXELS // 10**6} million pixels"
        )
    stride, batch_size = 2 ** options["num_blocks"], options["batch_size"]
    bottom = math.ceil(height / stride) * math.ceil(width / stride)
    if bottom == 1 and 1 in (batch_size, num_images % batch_size):
        raise LabError(
            f"a batch of 1 image of {height}x{width} is one pixel after {options['num_blocks']} "
            "poolings, too little for batch normalisation; raise --img-size or --batch-size, or "
            "lower --num-blocks"
        )


def count_steps(options: dict[str, Any], steps_per_epoch: int) -> int:
    """The step at which training ends: after the epochs or --max-steps, whichever comes first."""
    epochs, max_steps = options["epochs"], options["max_steps"]
    limits = [] if epochs is None else [epochs * steps_per_epoch]
    return min([*limits, *([] if max_steps is None else [max_steps])])


def make_criterion(options: dict[str, Any], train_set: "CityscapesDataset") -> "nn.Module":
    """The loss, with the class weights counted on the untransformed training set."""
    from data import count_pixels
    from losses import build_loss, class_weights

    weights = None
    if options["class_weights"] != "none":
        counts = count_pixels(train_set.targets("counting pixels"), len(CLASS_NAMES))
        weights = class_weights(counts, options["class_weights"])
    gamma = DEFAULT_GAMMA if options["gamma"] is None else options["gamma"]
    return build_loss(options["loss"], weights, gamma, IGNORE_INDEX)


def make_state(
    options: dict[str, Any], device: "torch.device", total_steps: int, resumed: Path | None
) -> "TrainingState":
    """Model, optimiser and schedule: fresh, or as the resumed run left them."""
    import torch

    from models import build_model
    from support.hardware import pick_autocast_dtype
    from support.runs import load_checkpoint
    from support.schedules import build_optimizer, build_scheduler
    from support.session import TrainingState

    last = load_checkpoint(resumed / "last.pt", TrainingState.SAVED) if resumed else None
    model = build_model(options["model"], len(CLASS_NAMES), **model_options(options))
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(options["optimizer"], model, options["lr"], options["weight_decay"])
    horizon = last["horizon"] if last else total_steps
    half = pick_autocast_dtype(options["precision"], device) == torch.float16
    state = TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=build_scheduler(options["scheduler"], optimizer, horizon),
        scaler=torch.amp.GradScaler(device.type, enabled=half),
        horizon=horizon,
    )
    if last:
        try:
            state.load(last)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise LabError(
                f"{resumed / 'last.pt'}: does not fit the run's config.json, or is damaged"
            ) from error
    return state


def model_options(options: dict[str, Any]) -> dict[str, int]:
    """The arguments that the model's constructor takes."""
    return {"num_blocks": options["num_blocks"], "base_channels": options["base_channels"]}


def about_model(
    options: dict[str, Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> dict[str, Any]:
    """What best.pt and model.onnx say about the model beside its weights."""
    return {
        "name": options["model"],
        "options": model_options(options),
        "classes": list(CLASS_NAMES),
        "palette": PALETTE.tolist(),
        "mean": list(mean),
        "std": list(std),
        "size": list(options["img_size"]),
    }


def open_run(
    options: dict[str, Any], resolved: dict[str, Any], fingerprint: str, resumed: Path | None
) -> tuple[Path, dict[str, Any]]:
    """The run's folder and its config.json: new, or the resumed one brought up to date.

    Raises:
        LabError: when the data are not those that the resumed run began with.
    """
    from support.runs import create_run, read_config, write_config

    if resumed is None:
        run = create_run(
            Path(options["logdir"]), options["name"], f"{options['model']}-{options['loss']}"
        )
    else:
        run = resumed
        if read_config(run)["data_fingerprint"] != fingerprint:
            raise LabError(
                f"the images are not those that {run} began with (other files, names or sizes); "
                "restore them, or start a new run"
            )
    return run, write_config(run, options, resolved, fingerprint)


def finish_run(setup: "Setup", state: "TrainingState", options: dict[str, Any]) -> None:
    """Exports the best weights, paints their samples, and writes the summary."""
    from deploy import export_onnx
    from support.runs import load_checkpoint, write_text
    from utils import save_image

    best = load_checkpoint(setup.run / "best.pt", ("model",))
    state.model.load_state_dict(best["model"])
    state.model.eval()
    size = tuple(options["img_size"])
    metadata = {key: best[key] for key in ("classes", "palette", "mean", "std")}
    export_onnx(state.model, setup.run / "model.onnx", size, metadata)
    panel = setup.panels.paint(state.model, setup.device)
    save_image(setup.run / "samples.png", panel)
    row = max(state.history, key=lambda each: each["val_macro_f1"])
    final_scores = {
        "best/val_macro_f1": row["val_macro_f1"],
        "best/val_mean_iou": row["val_mean_iou"],
    }
    setup.log.result(options, final_scores)
    write_text(
        setup.run / "summary.txt",
        f"best validation macro F1 {row['val_macro_f1']:.4f} (mean IoU {row['val_mean_iou']:.4f}) "
        f"after epoch {row['epoch']}, step {row['step']}\n"
        f"{state.step} steps in {len(state.history)} epochs; model {options['model']}, "
        f"loss {options['loss']}, class weights {options['class_weights']}\n",
    )


def resume_command(run: Path) -> str:
    """What to type to go on with a run."""
    return f"{python_command()} main.py train --resume {shlex.quote(str(run))}"


def next_steps(run: Path, datadir: str | None) -> str:
    """What a finished run says: its scores, its folder, and the commands that come next."""
    summary = (run / "summary.txt").read_text(encoding="utf-8").splitlines()[0]
    python, model = python_command(), shlex.quote(str(run / "model.onnx"))
    datadir = "" if datadir is None else f" --datadir {shlex.quote(datadir)}"
    return (
        f"\n{summary}\n"
        f"everything is in {run}; look at {run / 'samples.png'} first, then:\n"
        f"  curves      {python} -m tensorboard.main --logdir {shlex.quote(str(run.parent))}\n"
        f"  judge       {python} main.py test --modelpath {model}{datadir} --split val\n"
        f"  your photo  {python} main.py test --modelpath {model} --image photo.jpg"
    )


def test(args: argparse.Namespace) -> int:
    """The command `test`: photos, or a whole split."""
    if args.image is not None:
        for flag in ("datadir", "cities", "limit"):
            if vars(args)[flag]:
                raise LabError(f"--{flag} goes with --split, not with --image")
    segmenter = open_segmenter(args.modelpath, args.device)
    if args.image is not None:
        return test_images(segmenter, args.image, args.output or Path("predictions"))
    output = args.output or args.modelpath.parent / f"test_{args.split}"
    return test_split(segmenter, args, output)


def open_segmenter(path: Path, device: str) -> "Segmenter":
    """Opens a model.onnx with onnxruntime, or a best.pt with PyTorch on a device."""
    from deploy import OnnxSegmenter, TorchSegmenter

    if path.suffix != ".pt":
        return OnnxSegmenter(path)
    from models import build_model
    from support.hardware import pick_device
    from support.runs import load_checkpoint

    best = load_checkpoint(path, ("model", "name", "options", "classes", "palette", "size"))
    try:
        model = build_model(best["name"], len(best["classes"]), **best["options"])
        model.load_state_dict(best["model"])
        return TorchSegmenter(model, best, pick_device(device))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise LabError(f"{path}: not a best.pt of this lab ({reason})") from error


def test_images(segmenter: "Segmenter", paths: list[Path], output: Path) -> int:
    """Segments photos, and prints what share of each every class has."""
    from deploy import segment_files

    for photo in segment_files(segmenter, paths, output):
        print(f"{photo.image} → {photo.mask}")
        for name, share in sorted(photo.shares.items(), key=lambda item: -item[1]):
            if share >= 0.0001:
                print(f"  {name:<16}{share:>7.2%}")
    print(f"masks, overlays and train ids are in {output}")
    return 0


def test_split(segmenter: "Segmenter", args: argparse.Namespace, output: Path) -> int:
    """Judges on a split, each target at its own size, and writes metrics.json."""
    from data import CityscapesDataset, resolve_datadir
    from support.report import judge, score_table, scores, write_metrics

    dataset = CityscapesDataset(resolve_datadir(args.datadir), args.split, args.cities, args.limit)
    matrix = judge(
        segmenter, dataset, args.batch_size or 4, output if args.save_predictions else None
    )
    result = scores(matrix, segmenter.classes)
    result["judged"] = {
        "model": str(args.modelpath),
        "split": args.split,
        "cities": dataset.cities,
        "images": len(dataset),
        "data_fingerprint": dataset.fingerprint(),
    }
    path = write_metrics(output, result)
    print(score_table(result))
    print(f"the scores are in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
