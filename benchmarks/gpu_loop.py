"""The whole training loop on a GPU against the same step on data that is there already.

    python -m benchmarks.gpu_loop --datadir PREPARED

Reading, augmentation, collection in workers and the transfer should hide behind the GPU's work:
at least 90 % of the images/s of the step alone. UNet base 64 at 256x256 in bfloat16 by default.
Without a GPU, `--device cpu --base-channels 8 --steps 6` shows that the benchmark runs.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from benchmarks.timing import machine_of
from data import SegmentationDataset, get_dataloaders, resolve_datadir, train_transforms
from losses import build_loss
from models import UNet
from support.engine.hardware import place
from support.engine.schedules import build_optimizer
from support.formats.cityscapes import CITYSCAPES
from training import train_one_epoch
from utils import seed_everything

NUM_CLASSES = len(CITYSCAPES)


def endless(loader: Iterable) -> Iterator:
    """Hands out batches, one epoch after the other."""
    while True:
        yield from loader


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datadir", type=Path, help="a prepared folder (default: toy streets)")
    parser.add_argument("--size", nargs=2, type=int, default=[256, 256], help="height and width")
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-workers", type=int)
    parser.add_argument("--steps", type=int, default=40, help="steps of one turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    seed_everything(0)
    machine, size = machine_of(args.device), tuple(args.size)
    device, workers = machine.device, machine.num_workers(args.num_workers, args.batch_size, size)
    dataset = SegmentationDataset(
        resolve_datadir(args.datadir), "train", transform=train_transforms(size)
    )
    loader, _ = get_dataloaders(
        dataset, dataset, args.batch_size, workers, 0, pin_memory=device.type == "cuda"
    )
    model = place(UNet(NUM_CLASSES, 4, args.base_channels), device)
    optimizer = build_optimizer("adamw", model, 1e-3, 1e-2)
    criterion = build_loss("wce", torch.ones(NUM_CLASSES)).to(device)
    stream = endless(loader)
    there = [tuple(part.to(device) for part in next(stream)) for _ in range(2)]

    def train(batches: Iterable) -> float:
        start = time.perf_counter()
        train_one_epoch(
            model, batches, criterion, optimizer, device,
            autocast_dtype=machine.autocast_dtype,
        )  # fmt: skip
        return args.steps * args.batch_size / (time.perf_counter() - start)

    resident, whole = [], []
    for turn in range(args.rounds + 1):
        rates = [
            train(itertools.islice(itertools.cycle(there), args.steps)),
            train(itertools.islice(stream, args.steps)),
        ]
        if turn:  # the first turn warms up
            resident.append(rates[0])
            whole.append(rates[1])
    ratio = statistics.median(w / r for w, r in zip(whole, resident, strict=True))
    print(f"{device}, UNet base {args.base_channels}, {size[0]}x{size[1]}, {workers} workers")
    print(f"  data on the device {statistics.median(resident):>10,.1f} images/s")
    print(f"  the whole loop     {statistics.median(whole):>10,.1f} images/s, {ratio:.1%} of it")
    if device.type == "cuda":
        print(f"  peak memory        {torch.cuda.max_memory_allocated() / 2**30:>10.2f} GiB")


if __name__ == "__main__":
    main()
