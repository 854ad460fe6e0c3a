"""The command line: train a network, test it on a split or on your own photos.

    python main.py train                                   (toy streets, the defaults)
    python main.py train --datadir cityscapes --cities-train hamburg --cities-val frankfurt
    python main.py test --modelpath runs/NAME/model.onnx --datadir cityscapes --split val
    python main.py test --modelpath model.onnx --image photo.jpg

Each command imports what it needs when it runs: `--help` answers at once, and inference with a
`model.onnx` needs no torch.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import CommandLine, LabError, non_negative, positive, run_command, whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from data import CityscapesDataset
    from deploy import Segmenter
    from training import Setup, TrainingState

MODEL_NAMES = ("unet",)
LOSS_NAMES = ("ce", "wce", "focal")
CLASS_WEIGHT_NAMES = ("none", "inverse", "sqrt", "median", "effective")
OPTIMIZER_NAMES = ("adam", "adamw", "sgd")
SCHEDULER_NAMES = ("constant", "poly", "cosine")

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
    "batch_size": 8,
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
DEFAULT_EPOCHS = 14
DEFAULT_CLASS_WEIGHTS = {"ce": "none", "wce": "sqrt", "focal": "none"}
DEFAULT_GAMMA = 2.0
CHANGEABLE_ON_RESUME = ("epochs", "max_steps", "num_workers", "device", "datadir")
DRY_RUN_STEPS = 2


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    return run_command(build_parser().parse_args(argv))


def build_parser() -> argparse.ArgumentParser:
    """The parser with its two commands."""
    parser = CommandLine(prog="main.py", description="Semantic segmentation of street scenes.")
    commands = parser.add_subparsers(required=True, metavar="{train,test}")
    add_train_arguments(commands.add_parser("train", help="train a network"))
    add_test_arguments(commands.add_parser("test", help="judge a network, or segment photos"))
    return parser


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `train`. Only what is given gets into args, so that a resumed run can compare."""
    parser.set_defaults(run=train)
    parser.argument_default = argparse.SUPPRESS
    data = parser.add_argument_group("data")
    data.add_argument("--datadir", metavar="DIR", help="Cityscapes folder (default: toy streets)")
    data.add_argument("--cities-train", nargs="+", metavar="CITY", help="(default: all)")
    data.add_argument("--cities-val", nargs="+", metavar="CITY", help="(default: all)")
    data.add_argument("--limit", type=whole, metavar="N", help="images per split (default: all)")
    data.add_argument(
        "--img-size",
        nargs=2,
        type=whole,
        metavar=("H", "W"),
        help="pixels that the network sees (default: 128 256)",
    )
    model = parser.add_argument_group("model")
    model.add_argument("--model", choices=MODEL_NAMES, help="(default: unet)")
    model.add_argument("--num-blocks", type=whole, metavar="N", help="poolings (default: 4)")
    model.add_argument(
        "--base-channels",
        type=whole,
        metavar="N",
        help="channels of the first block (default: 16; the paper's 64 wants a GPU)",
    )
    loss = parser.add_argument_group("loss")
    loss.add_argument("--loss", choices=LOSS_NAMES, help="(default: wce)")
    loss.add_argument(
        "--class-weights",
        choices=CLASS_WEIGHT_NAMES,
        help="from the pixels of each class (default: sqrt for wce, none for the others)",
    )
    loss.add_argument(
        "--gamma", type=non_negative, metavar="G", help="of the focal loss (default: 2.0)"
    )
    add_loop_arguments(parser)


def add_loop_arguments(parser: argparse.ArgumentParser) -> None:
    """The part of `train` about the loop, the machine and the run's folder."""
    loop = parser.add_argument_group("training")
    loop.add_argument("--epochs", type=whole, metavar="N", help=f"(default: {DEFAULT_EPOCHS})")
    loop.add_argument(
        "--max-steps",
        type=whole,
        metavar="N",
        help="optimiser steps; with --epochs whichever ends first (default: no limit)",
    )
    loop.add_argument("--batch-size", type=whole, metavar="N", help="images (default: 8)")
    loop.add_argument("--optimizer", choices=OPTIMIZER_NAMES, help="(default: adamw)")
    loop.add_argument(
        "--lr", type=positive, metavar="X", help="highest learning rate (default: 0.003)"
    )
    loop.add_argument("--weight-decay", type=non_negative, metavar="X", help="(default: 0.01)")
    loop.add_argument("--scheduler", choices=SCHEDULER_NAMES, help="(default: cosine)")
    loop.add_argument("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    loop.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), help="(default: auto)")
    loop.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="of the forward pass (default: auto, bf16 where the hardware is made for it)",
    )
    loop.add_argument(
        "--num-workers",
        type=lambda text: whole(text, least=0),
        metavar="N",
        help="processes that load data, 0 for none (default: by the machine)",
    )
    run = parser.add_argument_group("run")
    run.add_argument("--logdir", metavar="DIR", help="where runs lie (default: runs)")
    run.add_argument("--name", help="the run's folder (default: date, time, model and loss)")
    run.add_argument("--resume", metavar="RUN", help="go on with this run's folder")
    run.add_argument(
        "--dry-run", action="store_true", help="two steps through everything; keeps nothing"
    )


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes `test`."""
    parser.set_defaults(run=test)
    parser.add_argument("--modelpath", type=Path, required=True, help="a model.onnx or a best.pt")
    parser.add_argument("--image", nargs="+", type=Path, metavar="FILE|DIR", help="photos")
    parser.add_argument("--datadir", metavar="DIR", help="Cityscapes folder (default: toy streets)")
    parser.add_argument("--split", metavar="SPLIT", help="as val: judge on this split")
    parser.add_argument("--cities", nargs="+", metavar="CITY", help="(default: all)")
    parser.add_argument("--limit", type=whole, metavar="N", help="images (default: all)")
    parser.add_argument(
        "--batch-size", type=whole, default=4, metavar="N", help="images (default: %(default)s)"
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cuda", "mps", "cpu"),
        default="auto",
        help="for a best.pt (default: %(default)s); a model.onnx runs on the CPU",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="for results (default: predictions/, or test_SPLIT/ beside the model)",
    )
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="write each prediction as official label ids, and as an overlay",
    )


def train(args: argparse.Namespace) -> int:
    """The command `train`: data, model, loop, and what a finished run leaves behind."""
    options, resumed_run = training_options(args)
    with tempfile.TemporaryDirectory() as scratch:
        if args_dry_run(args):
            batch = options["batch_size"]
            options |= {"logdir": scratch, "name": "dry-run", "epochs": None}
            options |= {"max_steps": DRY_RUN_STEPS, "limit": min(options["limit"] or batch, batch)}
        return train_with(options, resumed_run)
