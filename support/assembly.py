"""Putting a run together from its options, and finishing it: data, model, loss, folder, log.

`main.py` decides what the options are; here they become the objects that `training.fit` works
with. Options are the arguments of `main.py train` by name, as in a run's `config.json`.
"""

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

import zoo
from commands.evaluation import scores, write_metrics
from data import (
    MEAN,
    STD,
    CityscapesDataset,
    count_pixels,
    eval_transforms,
    get_dataloaders,
    resolve_datadir,
    train_transforms,
    training_size,
)
from deploy import export_onnx
from losses import build_loss, class_weights
from models import build_model
from support.engine.hardware import (
    pick_autocast_dtype,
    pick_device,
    pick_num_workers,
    rehearse,
    require_memory,
)
from support.engine.processes import Processes
from support.engine.runs import (
    TensorBoardLog,
    bring_best_back,
    check_writable,
    create_run,
    load_checkpoint,
    read_config,
    remove_leftovers,
    write_config,
    write_history,
    write_text,
)
from support.engine.schedules import build_optimizer, build_scheduler, clip_gradients
from support.engine.session import Limits, StopRequest, TrainingState
from support.engine.weights import FixedBatchNorm, fix_batch_norm, load_weights
from support.formats.labels import CLASS_NAMES, IGNORE_INDEX, PALETTE
from training import Panels, Setup, is_over
from utils import MAX_IMAGE_PIXELS, LabError, save_image, seed_everything
from zoo.auxiliary import WithAuxiliary


def assemble(
    options: dict[str, Any],
    resumed: Path | None,
    processes: Processes,
    command: str,
    stop: StopRequest,
) -> tuple[Setup, TrainingState]:
    """Makes everything that a run needs, the folder last, so that an error leaves none behind.

    Args:
        options: every argument of `main.py train`.
        resumed: the folder of the run to go on with, or None for a new one.
        processes: that train together.
        command: the line that was typed, for the run's config.json.
        stop: hears the signals; it waits for the loop from the moment when the folder is opened.

    Returns:
        What stays the same during the run, and what changes.

    Raises:
        LabError: for data, sizes or a machine that the options do not fit.
    """
    started = time.perf_counter()
    device = pick_device(options["device"], processes.local_rank)
    autocast_dtype = pick_autocast_dtype(options["precision"], device)
    with processes.first_of_node_first():
        train_set, val_set = open_data(options)
    require_sensible_sizes(options, len(train_set))
    train_loader, val_loader = open_loaders(options, train_set, val_set, device, processes)
    criterion = make_criterion(options, train_set, processes)
    panels = Panels(val_set, CLASS_NAMES, PALETTE, MEAN, STD)
    total_steps = count_steps(options, train_loader)
    state = make_state(options, device, processes, total_steps, resumed)
    limits = make_limits(options, total_steps, state.model, started)
    criterion = with_auxiliary(criterion, state.model, options["aux_weights"]).to(device)
    require_fitting_batches(state.model, train_loader, options["img_size"], autocast_dtype)
    forget_early_end(state, limits, train_loader)
    resolved = {
        "device": str(device),
        "precision": precision_name(autocast_dtype),
        "num_workers": train_loader.num_workers,
        "processes": processes.count,
        "horizon": state.horizon,
    }
    fingerprint = f"{train_set.fingerprint()} {val_set.fingerprint()}"
    config = {"command": command, "arguments": options, "resolved": resolved}
    stop.waits = True  # nothing interrupts what is written from here on
    run = open_run(config | {"fingerprint": fingerprint}, state, resumed, processes)
    log = None
    if processes.is_first:
        log = TensorBoardLog(run, CLASS_NAMES, partial(logs_stay, state))
    setup = Setup(
        run, device, processes, limits, autocast_dtype, train_loader, val_loader, criterion,
        log, panels, about_model(options),
    )  # fmt: skip
    return setup, state


def make_limits(
    options: dict[str, Any], total_steps: int, model: nn.Module, started: float
) -> Limits:
    """When the run ends, and how often it is saved.

    An export takes 5 s for the UNet's 75 layers and 25 s for the 770 of HRNet, on a machine that is
    not the slowest; a network that looks at several scales is exported as often.
    """
    layers = sum(1 for module in model.modules() if not any(module.children()))
    layers *= len(getattr(model, "eval_scales", (1.0,)))
    return Limits(
        total_steps=total_steps,
        patience=options["patience"],
        minutes=options["max_minutes"],
        save_minutes=options["save_minutes"],
        export_seconds=15 + 0.06 * layers,
        started=started,
    )


def require_fitting_batches(
    model: nn.Module,
    train_loader: DataLoader,
    size: Sequence[int],
    autocast_dtype: torch.dtype | None,
) -> None:
    """Finds out before the first step whether every batch of an epoch can be trained on.

    Raises:
        LabError: when the memory is too small for the largest, or batch normalisation has nothing
            to go by in the smallest.
    """
    sampler = train_loader.sampler
    require_memory(model, (sampler.share.batch_size, 3, *size), autocast_dtype)
    last_step = sampler.images_of_step(sampler.share.steps(sampler.length) - 1)
    if min(sampler.share.parts(last_step)) <= 1:
        rehearse(model, (1, 3, *size))


def open_loaders(
    options: dict[str, Any],
    train_set: CityscapesDataset,
    val_set: CityscapesDataset,
    device: torch.device,
    processes: Processes,
) -> tuple[DataLoader, DataLoader]:
    """This process's loaders for training and for validation."""
    workers = options["num_workers"]
    return get_dataloaders(
        train_set,
        val_set,
        options["batch_size"],
        pick_num_workers(device) if workers is None else workers,
        options["seed"],
        pin_memory=device.type == "cuda",
        accumulate=options["accumulate"],
        rank=processes.rank,
        processes=processes.count,
    )


def forget_early_end(state: TrainingState, limits: Limits, train_loader: DataLoader) -> None:
    """Takes back the row of a run that had ended inside an epoch, and now goes on with it.

    Its weights are no longer the best either: `open_run` brings those of the epoch before back.
    """
    sampler = train_loader.sampler
    is_inside = state.step % sampler.share.steps(sampler.length)
    has_ended = is_over(limits, state) or limits.leave_no_time(state)
    if state.is_evaluated and is_inside and not has_ended:
        state.history.pop()
        state.best_score = max((row["val_macro_f1"] for row in state.history), default=-1.0)


def logs_stay(state: TrainingState, tag: str, step: int) -> bool:
    """Whether what TensorBoard was told of a step is still true for a run that goes on."""
    if tag == "file_version":
        return True
    if state.step == 0 or tag.startswith(("best/", "_hparams_")):
        return False  # the beginning, or the end, tells it once more
    is_of_epoch = not tag.startswith("step/")
    return step < state.step or (step == state.step and (state.is_evaluated or not is_of_epoch))


def describe_run(setup: Setup, state: TrainingState) -> None:
    """Writes what TensorBoard shows of a run from its beginning: its arguments and its graph."""
    if setup.log is not None and state.step == 0:
        setup.log.describe(read_config(setup.run))
        setup.log.graph(state.model, setup.panels.images[:1].to(setup.device))


def precision_name(autocast_dtype: torch.dtype | None) -> str:
    """The type of the forward pass in words, such as bfloat16."""
    return str(autocast_dtype or "float32").removeprefix("torch.")


def opening_lines(setup: Setup, state: TrainingState) -> list[str]:
    """What is said before the first step: what will be done, and what may surprise."""
    parameters = sum(each.numel() for each in state.model.parameters())
    train_loader, total_steps = setup.train_loader, setup.limits.total_steps
    lines = [
        f"{setup.run}: {total_steps} steps of {images_in_words(setup)} in "
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
    if setup.processes.count > 1 and setup.device.type == "cpu" and has_batch_norm(state.model):
        lines.append(
            "note: on CPUs, batch normalisation sees each process's own images alone; numbers that "
            "do not depend on the number of processes need --fix-batchnorm"
        )
    elif train_loader.sampler.share.accumulate > 1 and has_batch_norm(state.model):
        lines.append(
            "note: batch normalisation sees each batch of a step alone; numbers that do not depend "
            "on --accumulate need --fix-batchnorm"
        )
    if is_over(setup.limits, state):
        more = "--epochs or --max-steps"
        if state.step < total_steps:
            more = f"a --patience of more than {setup.limits.patience} evaluations"
        lines.append(f"note: the run ended at step {state.step}; to go on it needs {more}")
    elif setup.limits.leave_no_time(state):
        lines.append(
            f"note: the {setup.limits.minutes:g} minutes of the run are used up; to go on it needs "
            "more --max-minutes"
        )
    elif total_steps > state.horizon:
        lines.append(
            f"note: the learning-rate schedule ends at step {state.horizon}, with which the run "
            f"began; later steps keep its last rate, {last_rate(state):.2g}"
        )
    return lines


def last_rate(state: TrainingState) -> float:
    """The learning rate at which the run's schedule ends."""
    scheduler = state.scheduler
    return scheduler.base_lrs[0] * scheduler.lr_lambdas[0](state.horizon)


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
    blocks, batch_size = options["num_blocks"] or 0, options["batch_size"]
    if height * width > MAX_IMAGE_PIXELS:
        raise LabError(
            f"--img-size {height} {width}: more than {MAX_IMAGE_PIXELS // 10**6} million pixels"
        )
    stride = 2**blocks
    bottom = math.ceil(height / stride) * math.ceil(width / stride)
    if bottom == 1 and 1 in (batch_size, num_images % batch_size):
        raise LabError(
            f"a batch of 1 image of {height}x{width} is one pixel after {blocks} "
            "poolings, too little for batch normalisation; raise --img-size or --batch-size, or "
            "lower --num-blocks"
        )


def images_in_words(setup: Setup) -> str:
    """How many images a step takes, and how that number comes about."""
    share = setup.train_loader.sampler.share
    if share.images_per_step == share.batch_size:
        return f"{share.batch_size} images"
    factors = {"batch": share.batch_size, "accumulated": share.accumulate}
    factors["processes"] = share.processes
    words = " x ".join(f"{name} {number}" for name, number in factors.items() if number > 1)
    return f"{share.images_per_step} images ({words})"


def has_batch_norm(model: nn.Module) -> bool:
    """Whether a model's training depends on which images go through it together."""
    return any(
        isinstance(each, nn.modules.batchnorm._BatchNorm) and not isinstance(each, FixedBatchNorm)
        for each in model.modules()
    )


def count_steps(options: dict[str, Any], train_loader: DataLoader) -> int:
    """The step at which training ends: after the epochs or --max-steps, whichever comes first."""
    sampler = train_loader.sampler
    epochs, max_steps = options["epochs"], options["max_steps"]
    limits = [] if epochs is None else [epochs * sampler.share.steps(sampler.length)]
    return min([*limits, *([] if max_steps is None else [max_steps])])


def make_criterion(
    options: dict[str, Any], train_set: CityscapesDataset, processes: Processes
) -> nn.Module:
    """The loss, with the class weights counted on the untransformed training set."""
    weights = None
    if options["class_weights"] != "none":
        counts = None
        if processes.is_first:
            counts = count_pixels(train_set.targets("counting pixels"), len(CLASS_NAMES))
        weights = class_weights(processes.share(counts), options["class_weights"])
    gamma = {} if options["gamma"] is None else {"gamma": options["gamma"]}
    return build_loss(options["loss"], weights, ignore_index=IGNORE_INDEX, **gamma)


def with_auxiliary(
    criterion: nn.Module, model: nn.Module, aux_weights: list[float] | None
) -> nn.Module:
    """The criterion that also takes the auxiliary logits which a model gives in training.

    Raises:
        LabError: for weights of heads that the model does not have.
    """
    count = getattr(model, "aux_count", 0)
    if aux_weights is not None and len(aux_weights) != count:
        raise LabError(
            f"--aux-weights takes {count} numbers for this model, not {len(aux_weights)}"
        )
    if count == 0:
        return criterion
    return WithAuxiliary(criterion, aux_weights or model.default_aux_weights)


def make_state(
    options: dict[str, Any],
    device: torch.device,
    processes: Processes,
    total_steps: int,
    resumed: Path | None,
) -> TrainingState:
    """Model, optimiser and schedule: fresh, from other weights, or as the resumed run left them."""
    last = load_checkpoint(resumed / "last.pt", TrainingState.SAVED) if resumed else None
    model = make_model(options, device, processes, is_new=last is None)
    optimizer = build_optimizer(options["optimizer"], model, options["lr"], options["weight_decay"])
    horizon = last["horizon"] if last else total_steps
    if not isinstance(horizon, int):
        raise LabError(f"{resumed / 'last.pt'}: does not fit the run's config.json, or is damaged")
    half = pick_autocast_dtype(options["precision"], device) == torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    if options["clip_norm"] is not None:
        clip_gradients(model, optimizer, scaler, options["clip_norm"])
    state = TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=build_scheduler(options["scheduler"], optimizer, horizon, options["warm_up"]),
        scaler=scaler,
        horizon=horizon,
        images_per_step=options["batch_size"] * options["accumulate"] * processes.count,
    )
    if processes.rank:  # the first one stays where a single process would be
        seed_everything(options["seed"] + processes.rank)
    if last:
        take_over(state, last, resumed / "last.pt", processes)
    return state


def make_model(
    options: dict[str, Any], device: torch.device, processes: Processes, is_new: bool
) -> nn.Module:
    """The network on its device; a new run may begin with weights from elsewhere."""
    name, size = options["model"], model_options(options)
    begins_pretrained = {"pretrained": True} if is_new and options["pretrained"] else {}
    with processes.first_of_node_first():  # which may fetch files
        model = build_model(name, len(CLASS_NAMES), **size, **begins_pretrained)
    report = []
    if is_new and options["finetune_from"] is not None:
        report = load_weights(model, Path(options["finetune_from"]))
    if is_new and options["weights"] is not None:
        report = load_weights(model, Path(options["weights"]), partial(zoo.translate, name))
    if processes.is_first and report:
        print("\n".join(report))
    if options["fix_batchnorm"]:
        fix_batch_norm(model)
    elif processes.count > 1 and device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return model.to(device, memory_format=torch.channels_last)


def take_over(state: TrainingState, last: dict[str, Any], path: Path, processes: Processes) -> None:
    """Puts a fresh state where a checkpoint was.

    Raises:
        LabError: when the steps are of another size, or the checkpoint is of another model.
    """
    if last["images_per_step"] != state.images_per_step:
        raise LabError(
            f"{path}: the run takes {last['images_per_step']} images a step; here --batch-size x "
            f"--accumulate x processes make {state.images_per_step}; change one of the three"
        )
    try:
        begun, now = (
            each["param_groups"][0].keys()
            for each in (last["optimizer"], state.optimizer.state_dict())
        )
        if begun != now:
            raise ValueError("another optimiser")
        state.load(last, processes.rank)
        numbers = (state.step, state.best_score + 1, state.seconds)
        if not (min(numbers) >= 0 and all("step" in row for row in state.history)):
            raise ValueError("impossible numbers")
        if state.history:
            require_best(path.with_name("best.pt"), state.model)
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, LabError):
            raise
        raise LabError(f"{path}: does not fit the run's config.json, or is damaged") from error


def require_best(path: Path, model: nn.Module) -> None:
    """Finds out before hours of training whether the best weights so far are there and fit.

    Raises:
        LabError: when they do not.
    """
    best = load_checkpoint(path, ("model", "matrix", "score", "epoch", "step"))["model"]
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    if not isinstance(best, dict) or {key: value.shape for key, value in best.items()} != shapes:
        raise LabError(f"{path}: weights of another model; restore the run's own best.pt")


def model_options(options: dict[str, Any]) -> dict[str, int]:
    """The sizes that the model's constructor takes."""
    sizes = {key: options[key] for key in ("num_blocks", "base_channels")}
    return {key: value for key, value in sizes.items() if value is not None}


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
    config: dict[str, Any], state: TrainingState, resumed: Path | None, processes: Processes
) -> Path:
    """Opens the run's folder, new or resumed, and writes its config.json.

    A new folder holds its first `last.pt` from the beginning: whatever ends the run, it can go on.

    Raises:
        LabError: when the data are not those that the resumed run began with.
    """
    options = config["arguments"]

    def fill(folder: Path) -> None:
        write_config(folder, **config)
        state.save(folder / "last.pt", Processes())

    if resumed is None:
        run = None
        if processes.is_first:
            name = f"{options['model']}-{options['loss']}"
            run = create_run(Path(options["logdir"]), options["name"], name, fill)
        return processes.share(run)
    begun = read_config(resumed)
    require_same_data(begun["data_fingerprint"], config["fingerprint"], resumed)
    processes.wait()  # all have read what the first one now changes
    if processes.is_first:
        check_writable(resumed)
        remove_leftovers(resumed)
        command = begun.get("command", config["command"])
        if any(options[key] != begun["arguments"].get(key) for key in ("epochs", "max_steps")):
            command += "\n" + config["command"]  # both made the run, one after the other
        write_config(
            resumed, **config | {"command": command, "begun_with": begun.get("git_commit")}
        )
        if state.history or (resumed / "history.csv").exists():
            write_history(resumed, state.history)
        bring_best_back(resumed, state.history)
    return resumed


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
            "names or sizes); restore them, or start a new run"
        )


def ended_by(setup: Setup, state: TrainingState) -> str:
    """What ended a run before its last step, in words; nothing if nothing did."""
    total = setup.limits.total_steps
    if state.step >= total:
        return ""
    reason = "--patience" if is_over(setup.limits, state) else "--max-minutes"
    return f" of the {total} steps asked for, ended by {reason}"


def finish_run(setup: Setup, state: TrainingState, options: dict[str, Any]) -> None:
    """Exports the best weights, paints their samples, and writes scores and summary."""
    if not setup.processes.is_first:
        return
    best = load_checkpoint(setup.run / "best.pt", ("model", "matrix", "score", "epoch", "step"))
    state.model.load_state_dict(best["model"])
    state.model.eval()
    size = tuple(options["img_size"])
    metadata = {key: best[key] for key in ("classes", "palette", "mean", "std")}
    export_onnx(state.model, setup.run / "model.onnx", size, metadata)
    panel = setup.panels.paint(state.model, setup.device)
    save_image(setup.run / "samples.png", panel)
    result = scores(best["matrix"], CLASS_NAMES)
    write_metrics(setup.run, result)
    final_scores = {
        "best/val_macro_f1": result["macro_f1"],
        "best/val_mean_iou": result["mean_iou"],
    }
    setup.log.result(options, final_scores)
    write_text(
        setup.run / "summary.txt",
        f"best validation macro F1 {result['macro_f1']:.4f} (mean IoU {result['mean_iou']:.4f}) "
        f"after epoch {best['epoch']}, step {best['step']}\n"
        f"{state.step} steps in {len(state.history)} epochs{ended_by(setup, state)}; model "
        f"{options['model']}, "
        f"loss {options['loss']}, class weights {options['class_weights']}\n",
    )
