"""Putting a run together from its options, and finishing it: data, model, loss, folder, log.

`main.py` decides what the options are; here they become the objects that `training.fit` works
with. Options are the arguments of `main.py train` by name, as in a run's `config.json`.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data import (
    MEAN,
    STD,
    CityscapesDataset,
    count_pixels,
    eval_transforms,
    get_dataloaders,
    resolve_datadir,
    train_transforms,
)
from deploy import export_onnx
from losses import build_loss, class_weights
from models import build_model
from support.data_commands import training_size
from support.hardware import pick_autocast_dtype, pick_device, pick_num_workers, require_memory
from support.labels import CLASS_NAMES, IGNORE_INDEX, PALETTE
from support.runs import (
    TensorBoardLog,
    check_writable,
    create_run,
    load_checkpoint,
    read_config,
    write_config,
    write_text,
)
from support.schedules import build_optimizer, build_scheduler
from support.session import TrainingState
from training import Panels, Setup
from utils import MAX_IMAGE_PIXELS, LabError, save_image


def assemble(options: dict[str, Any], resumed: Path | None) -> tuple[Setup, TrainingState, int]:
    """Makes everything that a run needs, the folder last, so that an error leaves none behind.

    Args:
        options: every argument of `main.py train`.
        resumed: the folder of the run to go on with, or None for a new one.

    Returns:
        What stays the same during the run, what changes, and the step at which training ends.

    Raises:
        LabError: for data, sizes or a machine that the options do not fit.
    """
    device = pick_device(options["device"])
    autocast_dtype = pick_autocast_dtype(options["precision"], device)
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
    resolved = {
        "device": str(device),
        "precision": precision_name(autocast_dtype),
        "num_workers": train_loader.num_workers,
    }
    fingerprint = f"{train_set.fingerprint()} {val_set.fingerprint()}"
    run = open_run(options, resolved, fingerprint, resumed)
    check_writable(run)
    setup = Setup(
        run=run,
        device=device,
        autocast_dtype=autocast_dtype,
        train_loader=train_loader,
        val_loader=val_loader,
        criterion=criterion,
        log=TensorBoardLog(run, CLASS_NAMES, state.step + 1 if resumed else None),
        panels=panels,
        about_model=about_model(options),
    )
    return setup, state, total_steps


def describe_run(setup: Setup, state: TrainingState) -> None:
    """Writes what TensorBoard shows of a run from its beginning: its arguments and its graph."""
    setup.log.describe(read_config(setup.run))
    setup.log.graph(state.model, setup.panels.images[:1].to(setup.device))


def precision_name(autocast_dtype: torch.dtype | None) -> str:
    """The type of the forward pass in words, such as bfloat16."""
    return str(autocast_dtype or "float32").removeprefix("torch.")


def opening_lines(setup: Setup, state: TrainingState, total_steps: int) -> list[str]:
    """What is said before the first step: what will be done, and what may surprise."""
    parameters = sum(each.numel() for each in state.model.parameters())
    train_loader = setup.train_loader
    lines = [
        f"{setup.run}: {total_steps} steps of {train_loader.batch_size} images in "
        f"{precision_name(setup.autocast_dtype)} on {setup.device}, "
        f"{len(train_loader.dataset)} images to train on and {len(setup.val_loader.dataset)} to "
        f"validate, {parameters / 1e6:.2f} million parameters"
    ]
    img_size, photo_size = setup.about_model["size"], train_loader.dataset.sizes[0]
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


def open_data(options: dict[str, Any]) -> tuple[CityscapesDataset, CityscapesDataset]:
    """The training set, augmented, and the validation set."""
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


def make_criterion(options: dict[str, Any], train_set: CityscapesDataset) -> nn.Module:
    """The loss, with the class weights counted on the untransformed training set."""
    weights = None
    if options["class_weights"] != "none":
        counts = count_pixels(train_set.targets("counting pixels"), len(CLASS_NAMES))
        weights = class_weights(counts, options["class_weights"])
    gamma = {} if options["gamma"] is None else {"gamma": options["gamma"]}
    return build_loss(options["loss"], weights, ignore_index=IGNORE_INDEX, **gamma)


def make_state(
    options: dict[str, Any], device: torch.device, total_steps: int, resumed: Path | None
) -> TrainingState:
    """Model, optimiser and schedule: fresh, or as the resumed run left them."""
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


def about_model(options: dict[str, Any]) -> dict[str, Any]:
    """What best.pt and model.onnx say about the model beside its weights."""
    return {
        "name": options["model"],
        "options": model_options(options),
        "classes": list(CLASS_NAMES),
        "palette": PALETTE.tolist(),
        "mean": list(MEAN),
        "std": list(STD),
        "size": list(options["img_size"]),
    }


def open_run(
    options: dict[str, Any], resolved: dict[str, Any], fingerprint: str, resumed: Path | None
) -> Path:
    """Opens the run's folder, new or resumed, and writes its config.json.

    Raises:
        LabError: when the data are not those that the resumed run began with.
    """
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
    write_config(run, options, resolved, fingerprint)
    return run


def finish_run(setup: Setup, state: TrainingState, options: dict[str, Any]) -> None:
    """Exports the best weights, paints their samples, and writes the summary."""
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
