"""Where the time of a training step goes, beside what the processor can compute at most.

The limit is what a matrix product of 2048x2048 reaches, in the type that training
takes (bfloat16 where the hardware is made for it). A step's floating-point operations are counted,
not estimated; the share of the limit says how much a faster step could still gain by arithmetic.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import machine_of
from losses import build_loss
from models import UNet
from support.engine.hardware import place
from support.engine.schedules import build_optimizer
from support.formats.cityscapes import CITYSCAPES
from utils import seed_everything

SIDE = 2048
GROUPS = {
    "convolutions": ("convolution", "mkldnn", "slow_conv", "thnn"),
    "batch normalisation": ("batch_norm",),
    "ReLU, pooling": ("relu", "threshold", "max_pool"),
    "optimiser": ("optimizer", "adam", "_foreach"),
    "loss": ("log_softmax", "nll_loss", "cross_entropy"),
    "copies": ("copy_", "cat", "contiguous", "clone", "to_copy", "fill_", "zero_"),
}
"""What belongs together, by pieces of the names that PyTorch's profiler gives."""


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """The median time of some work, after it has been done once."""
    work()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def product_rate(dtype: torch.dtype, rounds: int) -> float:
    """Billions of floating-point operations a second in a matrix product."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / seconds_of(lambda: a @ b, rounds) / 1e9


def grouped(step: Callable[[], object]) -> dict[str, float]:
    """The share of a step's time in each group of operations."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    times: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        name = event.key.lower()
        group = next((g for g, parts in GROUPS.items() if any(p in name for p in parts)), "others")
        times[group] += event.self_cpu_time_total
    total = sum(times.values())
    return {group: times[group] / total for group in [*GROUPS, "others"] if group in times}


def main() -> None:
    """Prints the limit, the step, and where its time goes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base-channels", nargs="+", type=int, default=[16, 32])
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    seed_everything(0)
    machine = machine_of("cpu")
    dtype = machine.autocast_dtype
    limit = product_rate(dtype or torch.float32, args.rounds)
    print(f"threads: {torch.get_num_threads()}; a matrix product of {machine.precision} reaches "
          f"{limit:.0f} GFLOP/s")  # fmt: skip
    for base in args.base_channels:
        model = place(UNet(len(CITYSCAPES), 4, base), machine.device).train()
        optimizer = build_optimizer("adamw", model, 1e-3, 1e-2)
        criterion = build_loss("wce", torch.ones(len(CITYSCAPES)))
        images = torch.rand(args.batch_size, 3, *args.size)
        images = images.contiguous(memory_format=torch.channels_last)
        target = torch.randint(len(CITYSCAPES), (args.batch_size, *args.size))

        def step(model=model, optimizer=optimizer, criterion=criterion, x=images, y=target) -> None:
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                logits = model(x)
            loss = criterion(logits.float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        with FlopCounterMode(display=False) as counter:
            step()
        operations, seconds = counter.get_total_flops() / 1e9, seconds_of(step, args.rounds)
        rate = operations / seconds
        took = f"{operations:.1f} GFLOP in {1000 * seconds:.0f} ms"
        print(f"base {base}: {took}, {rate:.0f} GFLOP/s, {rate / limit:.0%} of that")
        for group, share in sorted(grouped(step).items(), key=lambda pair: -pair[1]):
            print(f"  {group:<22}{share:>5.0%}")


if __name__ == "__main__":
    main()
