"""What stands between a data set and those who read it: keys, their order, workers' seeds, views.

The random changes of a sample are drawn from seed, epoch and index alone, so that neither the
number of workers nor their timing can alter a training, and an epoch can be continued in the
middle.
"""

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

GRACE_SECONDS = 60
"""How long a worker outlives a SIGTERM (Slurm sends it to every process): its parent's step ends
first, and so the parent can save."""


class SampleKey(int):
    """An index that also knows its epoch and the seed, from which random changes are drawn.

    It is an `int`, so that every data set can be indexed with it, also one that ignores the rest.
    """

    def __new__(cls, seed: int, epoch: int, index: int) -> "SampleKey":
        key = super().__new__(cls, index)
        key.seed, key.epoch, key.index = seed, epoch, index
        return key

    def __getnewargs__(self) -> tuple[int, int, int]:
        return self.seed, self.epoch, self.index  # so that it can be sent to a worker


@dataclass(frozen=True)
class Share:
    """Which images of an optimiser step are this process's.

    A step takes `batch_size * accumulate * processes` images, `accumulate` parts one after another,
    each spread over the processes. So the images of a step depend on their number alone, whoever
    computes them. An epoch's last step may have fewer: its parts are spread evenly, and a process
    that would get none repeats one image, which counts nothing there (`parts` says 0).

    Args:
        batch_size: images that go through the network at once in one process.
        accumulate: parts of a step.
        rank: the number of this process.
        processes: how many there are.
    """

    batch_size: int
    accumulate: int = 1
    rank: int = 0
    processes: int = 1

    @property
    def images_per_step(self) -> int:
        """Images of one optimiser step, over all processes."""
        return self.batch_size * self.accumulate * self.processes

    def steps(self, length: int) -> int:
        """Optimiser steps that one pass over `length` images takes."""
        return -(-length // self.images_per_step)

    def parts(self, images: int) -> list[int]:
        """How many images of its own this process has in each part of a step of `images`."""
        return [own.stop - own.start for own in self._slices(images)]

    def of_step(self, keys: Sequence) -> list:
        """This process's keys among those of a step, part by part."""
        own_keys = []
        for own in self._slices(len(keys)):
            own_keys += keys[own] or keys[own.start - 1 : own.start]
        return own_keys

    def _slices(self, images: int) -> list[slice]:
        """Where in a step of `images` the own ones stand, part by part.

        Rank 0 has at least one of each part, so an empty slice never stands at the beginning.
        """
        slices, together = [], self.batch_size * self.processes
        for start in range(0, images, together):
            count = min(together, images - start)
            first, last = (-(-count * r // self.processes) for r in (self.rank, self.rank + 1))
            slices.append(slice(start + first, start + last))
        return slices


class EpochSampler(Sampler):
    """Yields a `SampleKey` for every sample, in an order drawn from seed and epoch alone.

    Each pass goes on to the next epoch by itself, beginning with 0; `set_epoch` chooses another,
    also one to be continued in the middle.

    Args:
        length: how many samples there are.
        seed: of the order and of the samples' random changes.
        share: what of each step is this process's; by default everything.
    """

    def __init__(self, length: int, seed: int, share: Share | None = None) -> None:
        self.length, self.seed, self.share = length, seed, share or Share(length)
        self.set_epoch(0)

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Chooses the epoch of the next pass and how many images, of all, were already seen."""
        self.epoch, self.skip = epoch, skip

    def images_of_step(self, step: int) -> int:
        """How many images, over all processes, the step at this position of an epoch has."""
        return min(self.share.images_per_step, self.length - step * self.share.images_per_step)

    def __len__(self) -> int:
        """How many samples the next pass yields in this process."""
        return len(self._positions())

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng([self.seed % 2**64, self.epoch]).permutation(self.length)
        keys = [SampleKey(self.seed, self.epoch, int(order[at])) for at in self._positions()]
        self.set_epoch(self.epoch + 1)
        return iter(keys)

    def _positions(self) -> list[int]:
        """Where in the epoch's order the samples of the next pass stand."""
        step = self.share.images_per_step
        positions = []
        for start in range(self.skip, self.length, step):
            positions += self.share.of_step(range(start, min(start + step, self.length)))
        return positions


class TargetsOnly(Dataset):
    """Items are (None, target): what `count_pixels` needs, without decoding a photo.

    Args:
        dataset: where the targets come from; it has `read_train_ids(index)`.
        title: of a progress bar that moves with every item; None shows no bar.
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


def start_worker(worker_id: int) -> None:
    """Prepares a loader's worker process: its seeds, its threads, and Ctrl-C.

    Ctrl-C reaches every process; only the parent may act on it, to save and to stop the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_SECONDS))
    cv2.setNumThreads(0)  # the workers are the parallel part
    seed = torch.initial_seed() % 2**32  # from the loader's generator, different in each worker
    random.seed(seed)
    np.random.seed(seed)
