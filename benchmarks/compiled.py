"""A training step of the UNet as it is and compiled by torch.compile, in one process, by turns.

The first step of the compiled network pays for the compilation, whose seconds stand below the
table; the number of steps after which it has paid off follows from both.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.timing import machine_of, print_table, take_turns
from losses import build_loss
from models import UNet
from support.engine.hardware import place
from support.engine.schedules import build_optimizer
from support.formats.cityscapes import CITYSCAPES
from utils import seed_everything

NUM_CLASSES = len(CITYSCAPES)


def step_of(model: nn.Module, args: argparse.Namespace) -> Callable[[], None]:
    """A training step on images that are there already."""
    machine = machine_of(args.device)
    model = place(model, machine.device)
    optimizer = build_optimizer("adamw", model, 1e-3, 1e-2)
    criterion = build_loss("wce", torch.ones(NUM_CLASSES)).to(machine.device)
    images = torch.rand(args.batch_size, 3, *args.size, device=machine.device)
    images = images.contiguous(memory_format=torch.channels_last)
    target = torch.randint(NUM_CLASSES, (args.batch_size, *args.size), device=machine.device)
    dtype = machine.autocast_dtype

    def step() -> None:
        with torch.autocast(machine.device.type, dtype, enabled=dtype is not None):
            logits = model(images)
        loss = criterion(logits.float(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Prints the rates and the seconds of the compilation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", nargs=2, type=int, default=[256, 256], help="height and width")
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    seed_everything(0)
    eager = step_of(UNet(NUM_CLASSES, 4, args.base_channels), args)
    compiled = step_of(torch.compile(UNet(NUM_CLASSES, 4, args.base_channels)), args)
    start = time.perf_counter()
    compiled()
    first = time.perf_counter() - start
    seconds = take_turns({"as it is": eager, "compiled": compiled}, args.rounds)
    title = f"UNet base {args.base_channels}, {args.batch_size} images of {args.size} a step"
    print_table(title, seconds, args.batch_size, "images", "as it is")
    saved = statistics.median(seconds["as it is"]) - statistics.median(seconds["compiled"])
    worth = f"paid off after {first / saved:,.0f} steps" if saved > 0 else "never paid off"
    print(f"  compilation: {first:.1f} s, {worth}")


if __name__ == "__main__":
    main()
