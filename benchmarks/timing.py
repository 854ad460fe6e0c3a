"""Fair timing: contestants take turns, so that a slow minute of the machine hits all of them.

And the machine that they are timed on, as training finds it.
"""

import statistics
import time
from collections.abc import Callable

import torch

from support.engine.hardware import Machine, pick_autocast_dtype, pick_device
from support.engine.processes import Processes


def take_turns(
    contestants: dict[str, Callable[[], object]], rounds: int = 9, warm_up: int = 2
) -> dict[str, list[float]]:
    """Times each contestant once a round.

    Args:
        contestants: name → what to time; it must have finished its work when it returns.
        rounds: how often each is timed.
        warm_up: rounds before that are not counted.

    Returns:
        name → seconds of each round.
    """
    seconds = {name: [] for name in contestants}
    for turn in range(warm_up + rounds):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_table(
    title: str, seconds: dict[str, list[float]], amount: float, unit: str, baseline: str
) -> None:
    """Prints the median rate of each contestant, and how many times the baseline's it is.

    Args:
        title: above the table.
        seconds: as from `take_turns`.
        amount: what one turn does, in units.
        unit: as in `images`.
        baseline: whose rate counts as 1.
    """
    print(f"\n{title}")
    base = seconds[baseline]
    for name, values in seconds.items():
        # the ratio within each round, then its median: both had the same minute
        ratio = statistics.median(b / v for b, v in zip(base, values, strict=True))
        rate = amount / statistics.median(values)
        print(f"  {name:<44}{rate:>12,.1f} {unit}/s{ratio:>9.2f}x")


def machine_of(device: str) -> Machine:
    """What `main.py train --device` finds there, alone and with its usual precision."""
    found = pick_device(device)
    return Machine(found, pick_autocast_dtype("auto", found), Processes())
