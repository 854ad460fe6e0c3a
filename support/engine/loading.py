"""The order of the samples, their random seeds, and the workers that load them.

The random changes of a sample are drawn from seed, epoch and index alone, so that neither the
number of workers nor their timing can alter a training, and an epoch can be continued in the
middle.
"""

import multiprocessing
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from utils import LabError

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
STOP_SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
"""What asks a run to stop: Ctrl-C, an end from outside, a closed terminal, Slurm."""


class SeededSamples(Dataset):
    """A data set indexed by (epoch, index), each item with random numbers of its own.

    All generators are seeded from seed, epoch and index before the data set makes an item; torch's
    then goes on where it was, so that the network's own draws (dropout) do not depend on it.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        sequence = np.random.SeedSequence([self.seed % 2**64, epoch, index])
        number = int(sequence.generate_state(1, np.uint64)[0])
        random.seed(number)
        np.random.seed(number % 2**32)
        state = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(number)
            return self.dataset[index]
        finally:
            torch.set_rng_state(state)


@dataclass(frozen=True)
class StepDivision:
    """Which images of an optimiser step this process computes; here all of them, as one batch.

    A step takes `batch_size * accumulate * processes` images. `support/engine/accumulation.py` has
    steps of several batches, and of several processes, of which this one has the number `rank`.
    """

    batch_size: int
    accumulate: int = 1
    rank: int = 0
    processes: int = 1

    @property
    def images_per_step(self) -> int:
        """Images of one optimiser step, over all processes."""
        return self.batch_size * self.accumulate * self.processes

    @property
    def is_whole(self) -> bool:
        """Whether a step is one batch of one process."""
        return self.images_per_step == self.batch_size

    def in_words(self) -> str:
        """How many images a step takes."""
        return f"{self.images_per_step} images"

    def parts(self, images: int) -> list[int]:
        """How many images of its own this process has in each part of a step of `images`."""
        return [images]

    def of_step(self, keys: Sequence) -> list:
        """This process's keys among those of a step, part by part."""
        return list(keys)


@dataclass
class Part:
    """The part of an optimiser step that the loop is at; a step of one batch has one alone."""

    is_first: bool = True
    is_last: bool = True


class EpochSampler(Sampler):
    """Yields (epoch, index) for every sample, in an order drawn from seed and epoch alone.

    Each pass goes on to the next epoch by itself, beginning with 0; `set_epoch` chooses another,
    also one to be continued in the middle.

    `division` says what of each step this process computes; by default everything.
    """

    def __init__(self, length: int, seed: int, division: StepDivision | None = None) -> None:
        self.length, self.seed, self.division = length, seed, division or StepDivision(length)
        self.set_epoch(0)

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Chooses the epoch of the next pass and how many images, of all, were already seen."""
        self.epoch, self.skip = epoch, skip

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one whole pass."""
        return -(-self.length // self.division.images_per_step)

    def batch_sizes(self) -> tuple[int, int]:
        """The largest and the smallest batch of an epoch, in this process."""
        last = min(self.division.parts(self.images_of_step(self.steps_per_epoch - 1)))
        return min(self.division.batch_size, self.length), max(1, last)

    def images_of_step(self, step: int) -> int:
        """How many images, over all processes, the step at this position of an epoch has."""
        whole = self.division.images_per_step
        return min(whole, self.length - step * whole)

    def __len__(self) -> int:
        """How many samples the next pass yields in this process."""
        return len(self._positions())

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed % 2**64, self.epoch]).permutation(self.length)
        keys = [(self.epoch, int(order[at])) for at in self._positions()]
        self.set_epoch(self.epoch + 1)
        return iter(keys)

    def _positions(self) -> list[int]:
        """Where in the epoch's order the samples of the next pass stand."""
        step = self.division.images_per_step
        positions = []
        for start in range(self.skip, self.length, step):
            positions += self.division.of_step(range(start, min(start + step, self.length)))
        return positions


class TargetsOnly(Dataset):
    """Items are (None, target): what `count_pixels` needs, without decoding an image.

    A progress bar with a title moves along.
    """

    def __init__(self, dataset: Any, title: str | None = None) -> None:
        self.dataset = dataset
        self.bar = tqdm(desc=title, total=len(dataset), unit="image", disable=title is None)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[None, torch.Tensor]:
        target = torch.from_numpy(self.dataset.read_train_ids(index).astype(np.int64))
        self.bar.update()
        if self.bar.n == len(self):
            self.bar.close()
        return None, target


def halved(images: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch at half its height and width, a step of which costs a quarter.

    Shape:
        images: (B, 3, H, W) → (B, 3, H/2, W/2), target: (B, H, W) → (B, H/2, W/2).
    """
    return F.avg_pool2d(images, 2), target[:, 1::2, 1::2]


def require_batches(num_images: int, division: StepDivision, num_workers: int) -> None:
    """Raises `LabError` when numbers for a loader are out of range, or no step can be filled."""
    if division.batch_size < 1:
        raise LabError(f"the batch size must be at least 1 image, not {division.batch_size}")
    if division.accumulate < 1:
        raise LabError(f"a step must accumulate at least 1 batch, not {division.accumulate}")
    if num_workers < 0:
        raise LabError(f"the number of workers must be at least 0, not {num_workers}")
    if division.images_per_step > num_images:
        several = "" if division.images_per_step == division.batch_size else " or --accumulate"
        raise LabError(
            f"a step of {division.images_per_step} images is larger than the training data "
            f"({num_images} images): lower --batch-size{several}, or take more data (--limit, "
            "--cities-train)"
        )


def count_steps(loader: DataLoader, epochs: int | None, max_steps: int | None) -> int:
    """The step at which training ends: after the epochs or `max_steps`, whichever comes first."""
    limits = (epochs and epochs * loader.sampler.steps_per_epoch, max_steps)
    return min(limit for limit in limits if limit is not None)


@contextmanager
def workers_of(*loaders: DataLoader) -> Iterator[None]:
    """Ends the worker processes of loaders when the block ends, also in the middle of an epoch.

    DataLoader has no public way: it waits for its iterator to be garbage, which a traceback keeps
    alive, and sends a SIGTERM that the workers ignore. It tells of a dead worker from a signal
    handler; where Python has to ignore that, silently here, it tells again at the next batch.
    """
    others, hook = multiprocessing.active_children(), sys.unraisablehook
    sys.unraisablehook = lambda each: "DataLoader worker" in str(each.exc_value) or hook(each)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for loader in loaders:
            iterator, loader._iterator = loader._iterator, None
            if iterator is not None:
                iterator._shutdown_workers()
        for worker in multiprocessing.active_children():  # of an iterator that was never complete
            if worker not in others:
                worker.kill()
