"""The command line: train a network, test it on a split or on your own photos, look at data.

    python main.py train                                   (toy streets, the defaults)
    python main.py train --datadir cityscapes --cities-train hamburg --cities-val frankfurt
    python main.py test --modelpath runs/NAME/model.onnx --datadir cityscapes --split val
    python main.py test --modelpath model.onnx --image photo.jpg
    python main.py compare runs
    python main.py show | stats | augment | check | prepare --datadir cityscapes
    python main.py classes my_folder                       (drafts the classes of your own data)

Each command imports what it needs when it runs: `--help` answers at once, and inference with a
`model.onnx` needs no torch.
"""

import argparse
import itertools
import shlex
import sys
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from commands.command_line import CommandLine, run_command
from commands.train import add_train_arguments, model_sizes, opening_lines, training_options
from support.formats.labels import Reading, reading_of
from utils import seed_everything

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.data import DataLoader

    from data import SegmentationDataset
    from support.engine.hardware import Machine
    from support.engine.processes import Processes
    from support.engine.runs import Run
    from support.engine.schedules import Schedule
    from support.engine.session import StopRequest


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser with its commands, in two groups."""
    lines = ["Semantic segmentation of street scenes, or of your own images and masks.", ""]
    for title, group in COMMANDS.items():
        lines += [f"{title}:", *(f"  {name:<10}{text}" for name, text in group.items()), ""]
    parser = CommandLine(
        prog="main.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n".join(lines),
        epilog="Begin with: python main.py train    (toy streets; some minutes on two CPU cores)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help="one of those above")
    for group in COMMANDS.values():
        for name, text in group.items():
            commands.add_parser(name, description=text, describe=partial(describe, name))
    return parser


def describe(name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command that is called, and what runs it."""
    if name == "train":
        add_train_arguments(parser)
        parser.set_defaults(run=train)
        return
    from commands.arguments import ARGUMENTS
    from commands.running import RUN

    ARGUMENTS[name](parser)
    parser.set_defaults(run=RUN[name], command=name)


def train(args: argparse.Namespace) -> None:
    """The command `train`: from a data folder to a trained network and its model.onnx."""
    import support.engine.runs  # noqa: F401  matplotlib may die of a signal while it loads
    import zoo
    from data import get_dataloaders, open_datasets
    from deploy import export_onnx
    from losses import build_loss
    from support.engine.hardware import Machine, keep_freed_memory, pick_autocast_dtype, pick_device
    from support.engine.loading import count_steps, workers_of
    from support.engine.processes import joined_processes
    from support.engine.schedules import Schedule, build_optimizer
    from support.engine.session import StopRequest
    from training import fit

    scratch = TemporaryDirectory() if args.dry_run else nullcontext()
    with joined_processes() as processes, StopRequest(processes) as stop, scratch as folder:
        options, resumed = processes.broadcast(training_options(args, processes.count, folder))
        seed_everything(options.seed)
        keep_freed_memory()
        device = pick_device(options.device, processes.local_rank)
        machine = Machine(device, pick_autocast_dtype(options.precision, device), processes)
        with processes.first_of_node_first():  # the toy streets may have to be made
            train_set, val_set = open_datasets(
                options.datadir, options.img_size, options.cities_train, options.cities_val,
                options.limit, Reading(**reading_of(vars(options))), options.augment,
                options.split_train, options.sparse, options.limit_train)  # fmt: skip
        workers = machine.num_workers(options.num_workers, options.batch_size, options.img_size)
        train_loader, val_loader = get_dataloaders(
            train_set, val_set, options.batch_size, workers, options.seed, machine.has_gpu,
            options.accumulate, processes.rank, processes.count,
        )  # fmt: skip
        model = build_network(options, train_set.labels.names, machine, is_new=resumed is None)
        weights, labelled = weigh_classes(train_set, options.class_weights, processes)
        criterion = build_loss(options.loss, weights, options.gamma, train_set.labels.ignore_index)
        criterion = zoo.with_auxiliary(criterion, model, options.aux_weights).to(machine.device)
        optimizer = build_optimizer(
            options.optimizer, model, options.lr, options.weight_decay, options.backbone_lr_factor
        )
        steps = count_steps(train_loader, options.epochs, options.max_steps)
        scheduler = Schedule(
            options.scheduler, optimizer, steps, options.warm_up, options.small_share)  # fmt: skip
        run = open_run(
            options, resumed, machine, stop, model, optimizer, scheduler, train_set, val_set,
            train_loader, val_loader, labelled,
        )  # fmt: skip
        with workers_of(train_loader, val_loader), run:
            loop = model, train_loader, criterion, optimizer, scheduler
            if not run.sampler.division.is_whole:  # steps of several batches or processes
                from support.engine.accumulation import in_parts

                loop = in_parts(run, train_set.labels.ignore_index, *loop)
            model, train_loader, criterion, optimizer, scheduler = loop
            if options.compile:
                from support.engine.compiling import Compiled

                model = Compiled(model, run)
            fit(model, train_loader, val_loader, criterion, optimizer, scheduler, run)
            if processes.is_first:
                export_onnx(run.best_model(), run.onnx_path, options.img_size, run.about_model)
                print(closing_lines(run.finish(), options.datadir, args.dry_run))


def build_network(
    options: argparse.Namespace, classes: tuple[str, ...], machine: "Machine", is_new: bool
) -> "nn.Module":
    """The network on its device; a new run may begin with weights from elsewhere."""
    import torch

    from models import build_model
    from support.engine.hardware import place

    pretrained = {"pretrained": True} if is_new and options.pretrained else {}
    with machine.processes.first_of_node_first():  # which may fetch files
        sizes = model_sizes(vars(options)) | pretrained
        model = build_model(options.model, len(classes), **sizes)
    if machine.processes.count > 1 and machine.has_gpu and not options.fix_batchnorm:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    file = options.weights or options.finetune_from
    if file or options.train != "all" or options.fix_batchnorm:
        from commands.finetuning import prepare  # late: most runs begin with random weights

        lines = prepare(model, options, classes, is_new)
        if machine.processes.is_first and lines:
            print("\n".join(lines))
    if machine.processes.rank:  # the first one's random numbers are those of a single process
        seed_everything(options.seed + machine.processes.rank)
    return place(model, machine.device)


def weigh_classes(
    train_set: "SegmentationDataset", strategy: str, processes: "Processes"
) -> tuple["Tensor | None", int | None]:
    """The class weights and the labelled pixels of the training set; None where none are wanted."""
    from data import count_pixels
    from losses import class_weights

    if strategy == "none" and not train_set.sparse:
        return None, None
    counts = None
    if processes.is_first:
        counts = count_pixels(train_set.targets("counting pixels"), len(train_set.labels))
    counts = processes.broadcast(counts)
    weights = None if strategy == "none" else class_weights(counts, strategy)
    return weights, int(counts.sum())


def open_run(
    options: argparse.Namespace, resumed: Path | None, machine: "Machine",
    stop: "StopRequest", model: "nn.Module", optimizer: "Optimizer", scheduler: "Schedule",
    train_set: "SegmentationDataset", val_set: "SegmentationDataset", train_loader: "DataLoader",
    val_loader: "DataLoader", labelled: int | None,
) -> "Run":  # fmt: skip
    """Checks that the parts of a run fit together, and opens its folder, new or resumed."""
    from data import MEAN, STD, label_warnings
    from metrics import LossMeter
    from support.engine.folder import git_commit, versions
    from support.engine.hardware import require_trainable
    from support.engine.runs import Run
    from support.engine.session import Limits, TrainingState
    from support.plots import Panels

    scaler, sampler, size = machine.scaler(), train_loader.sampler, options.img_size
    labels = train_set.labels
    smallest = [side // 2 for side in size] if options.small_share else size
    for images, shape in itertools.product(sampler.batch_sizes(), (size, smallest)):
        require_trainable(model, (images, 3, *shape), machine.autocast_dtype)
    if options.clip_norm is not None:
        from support.engine.clipping import clip_gradients

        clip_gradients(model, optimizer, scaler, options.clip_norm)
    config = {
        "command": shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        "arguments": vars(options),
        "data_fingerprint": f"{train_set.source.fingerprint()} {val_set.source.fingerprint()}",
        "git_commit": git_commit(),
        "versions": versions(),
        "labels": labels.to_json(),
        "labelled_pixels": labelled,
    }
    state = TrainingState(
        model, optimizer, scheduler, scaler, sampler.division.images_per_step,
        config["labels"], average=deepcopy(model) if options.average else None,
        average_share=options.average, meter=LossMeter(machine.processes.sum),
    )  # fmt: skip
    limits = Limits(
        scheduler.horizon, options.evaluate_every, options.patience, options.max_minutes,
        options.save_minutes, export_seconds(model),
    )  # fmt: skip
    about_model = {"name": options.model, "options": model_sizes(vars(options))}
    about_model |= {"size": list(size), "mean": list(MEAN), "std": list(STD)}
    about_model |= {"reading": train_set.source.folder.reading._asdict()}
    about_model |= labels.about_classes()
    warnings = [*label_warnings(train_set), *label_warnings(val_set)]
    run = Run(
        config, resumed, state, limits, machine, stop, train_loader, val_loader, about_model,
        Panels(val_set, about_model),
    )  # fmt: skip
    run.opening_lines = opening_lines(run, train_set, val_set) + warnings
    return run


def export_seconds(model: "nn.Module") -> float:
    """What an export takes on a slow machine, by the number of layers and of scales."""
    layers = sum(1 for module in model.modules() if not any(module.children()))
    return 15 + 0.06 * layers * len(getattr(model, "eval_scales", (1.0,)))


def closing_lines(folder: Path, datadir: str | None, is_dry: bool) -> str:
    """What a finished run says, once its report is there: scores, folder, what comes next."""
    if is_dry:
        return "dry run passed: data, training, evaluation and export work; nothing was kept"
    from commands.command_line.advice import what_next
    from commands.report.run import write_report

    return what_next(folder, write_report(folder), datadir)


COMMANDS = {
    "networks": {
        "train": "train a network; its folder gets scores and a model.onnx",
        "test": "evaluate a network on a split, or segment your photos",
        "compare": "runs side by side: tables, curves, bars",
        "track": "runs replayed into MLflow, Trackio or Weights & Biases, offline",
        "export": "a model.onnx of a run, or of published weights",
        "errors": "where a network is wrong: worst images, pairs, edges, confidence",
        "quantize": "a smaller model.onnx, float16 and int8, compared",
        "serve": "a page and an API: drop a photo, see its mask",
        "web": "a static folder: that page, with the network in the visitor's browser",
    },
    "data folders": {
        "show": "a panel of images and their labels",
        "stats": "how many pixels each class has",
        "augment": "the random changes of training",
        "check": "faults of a data folder (exit code 1), and warnings (0)",
        "prepare": "a downsized copy that loads fast",
        "classes": "draft classes.json for a folder of your own",
    },
}
"""What the help says of each command, by group and name."""

if __name__ == "__main__":
    sys.exit(main())
