"""What stands between a data set and those who read it: keys, their order, workers' seeds, views.

The random changes of a sample are drawn from seed, epoch and index alone, so that neither the
number of workers nor their timing can alter a training, and an epoch can be continued in the
middle.
"""

import random
import signal
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm


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


class EpochSampler(Sampler):
    """Yields a `SampleKey` for every sample, in an order drawn from seed and epoch alone.

    Each pass goes on to the next epoch by itself, beginning with 0; `set_epoch` chooses another,
    also one to be continued in the middle.

    Args:
        length: how many samples there are.
        seed: of the order and of the samples' random changes.
        shuffle: False keeps the order, and every pass is epoch 0.
    """

    def __init__(self, length: int, seed: int, shuffle: bool) -> None:
        self.length, self.seed, self.shuffle = length, seed, shuffle
        self.set_epoch(0)

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Chooses the epoch of the next pass and how many of its samples were already seen."""
        self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        """How many samples the next pass yields."""
        return max(self.length - self.skip, 0)

    def __iter__(self) -> Iterator[SampleKey]:
        epoch, skip = self.epoch, self.skip
        order = np.arange(self.length)
        if self.shuffle:
            order = np.random.default_rng([self.seed % 2**64, epoch]).permutation(self.length)
            self.set_epoch(epoch + 1)
        return iter([SampleKey(self.seed, epoch, int(index)) for index in order[skip:]])


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
    cv2.setNumThreads(0)  # the workers are the parallel part
    seed = torch.initial_seed() % 2**32  # from the loader's generator, different in each worker
    random.seed(seed)
    np.random.seed(seed)
