"""Data: from a pair of files to the two tensors that a network learns from.

An image and its target are read (`SegmentationDataset`), the label ids become train ids
(`encode_train_ids`), both are transformed with the same geometry (`train_transforms`,
`eval_transforms`), and loaders collect them in batches (`get_dataloaders`). Which ids there are,
the data folder's label set says. `python main.py show | stats | augment` look at all of it.
"""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network

import albumentations as A
import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from support.engine.loading import (
    EpochSampler,
    SeededSamples,
    StepDivision,
    TargetsOnly,
    require_batches,
)
from support.formats.cityscapes import CITYSCAPES
from support.formats.files import DataFolder, open_folder, open_source
from support.formats.labels import IGNORE_INDEX, USUAL, LabelSet, Reading, suspicious_labels
from utils import LabError

TOYDATA_DIR = Path(__file__).resolve().parent / "toydata"

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's images per RGB channel, for values in 0 ... 1.
From scratch, any fixed constants near the data's own would do; with these, weights that others
trained on ImageNet can be taken as they are.
"""


# ------------------------------------------------------------------------- label ids → train ids


def encode_train_ids(label_ids: np.ndarray, labels: LabelSet = CITYSCAPES) -> np.ndarray:
    """Turns the label ids of a mask into the train ids that the network learns.

    Args:
        label_ids: any shape, any integer dtype.
        labels: the set that they belong to.

    Returns:
        The train ids, a new uint8 array of the same shape: 0 ... K-1, or 255 for what is ignored.

    Raises:
        LabError: naming the ids that are not in the set.
    """
    labels.require_known(label_ids)
    # TODO 1.1: a look-up table from labels.labels, whose rows have `id` (gaps!) and `train_id`.
    # <solution 1.1>
    last_id = max(label.id for label in labels.labels)
    table = np.full(last_id + 1, IGNORE_INDEX, dtype=np.uint8)
    for label in labels.labels:
        table[label.id] = label.train_id
    train_ids = table[label_ids]
    # <student>
    # train_ids = ...  # uint8, the shape of label_ids
    # </solution 1.1>
    return train_ids


def count_pixels(dataset: Dataset, num_classes: int) -> torch.Tensor:
    """Counts the pixels of each of the K classes over a whole data set: (K,) int64, without void.

    Args:
        dataset: its items are (image, target); the target is (H, W), a numpy array or a tensor of
            any integer type, with class ids or `IGNORE_INDEX`.
        num_classes: K.

    Raises:
        LabError: when a target holds another id.
    """
    # TODO 1.2: add up every sample's target, which `read_class_ids` gives; leave out void pixels.
    # <solution 1.2>
    counts = torch.zeros(num_classes, dtype=torch.int64)
    for index in range(len(dataset)):
        target = torch.from_numpy(read_class_ids(dataset, index, num_classes))  # (H, W)
        counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
    # <student>
    # counts = ...  # (K,) int64
    # </solution 1.2>
    return counts


def read_class_ids(dataset: Dataset, index: int, num_classes: int) -> np.ndarray:
    """Takes the target of a sample as (H, W) int64: ids of the K classes or `IGNORE_INDEX`.

    Raises:
        LabError: when it holds another id.
    """
    target = np.asarray(dataset[index][1]).astype(np.int64)
    wrong = target[(target != IGNORE_INDEX) & ((target < 0) | (target >= num_classes))]
    if wrong.size:
        raise LabError(
            f"sample {index}: class id {wrong[0]} is not one of the {num_classes} classes "
            f"(0 ... {num_classes - 1})"
        )
    return target


# --------------------------------------------------------------------------------- transformations


def train_transforms(size: tuple[int, int]) -> A.Compose:
    """Random changes for training; image and target undergo the same geometry.

    Args:
        size: (height, width) of the result, in pixels.

    Returns:
        A callable `t(image=(H, W, 3) uint8, mask=(H, W) uint8)` that returns a dict: `image`,
        (3, height, width) float32, normalised, and `mask`, (height, width) uint8. Where the
        image does not reach, the mask is `IGNORE_INDEX`.
    """
    height, width = size
    resizing = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_NEAREST_EXACT}
    filling = {"fill": tuple(round(255 * mean) for mean in MEAN), "fill_mask": IGNORE_INDEX}
    # TODO 2.1: resize, random changes (geometry above all), normalise, to a tensor.
    # <solution 2.1>
    transform = A.Compose(
        [
            # One costly step from the photo's own size; all others work on few pixels.
            A.Resize(height, width, area_for_downscale="image", **resizing),
            # A group: padding and cropping mend the size. `augment` shows it as one change.
            A.Sequential(
                [
                    A.RandomScale((-0.1, 0.15), p=1, **resizing),  # 0.9 to 1.15 times the size
                    A.PadIfNeeded(height, width, position="random", **filling),
                    A.RandomCrop(height, width),
                ],
                p=1,
            ),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
            A.GaussianBlur(sigma_limit=(0.3, 1.0), p=0.1),
            A.Normalize(mean=MEAN, std=STD),
            A.ToTensorV2(),
        ]
    )
    # <student>
    # transform = A.Compose([...])
    # </solution 2.1>
    return transform


def eval_transforms(size: tuple[int, int]) -> A.Compose:
    """The deterministic transformation for evaluation: resize, normalise, nothing else.

    It is called, and returns, as that of `train_transforms`.
    """
    height, width = size
    # TODO 2.2: nothing random: the score must not depend on luck.
    # <solution 2.2>
    transform = A.Compose(
        [
            A.Resize(
                height,
                width,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST_EXACT,
                area_for_downscale="image",  # averaging keeps a thin pole, sampling loses it
            ),
            A.Normalize(mean=MEAN, std=STD),
            A.ToTensorV2(),
        ]
    )
    # <student>
    # transform = A.Compose([...])
    # </solution 2.2>
    return transform


# ----------------------------------------------------------------------------------- the data set


class SegmentationDataset(Dataset):
    """Images and targets of one split of a data folder, whatever its layout.

    Items are (image, target): the target is (H, W) int64 train ids with 255 where nothing is
    learned; the image is what the transform makes of it, without one (H, W, 3) uint8 RGB.

    Args:
        root: the data folder, or one that is open already.
        split: `train`, `val` or `test`; several joined by "+" are read as one.
        cities: the cities (sub-folders) to keep; None keeps all.
        limit: how many images to keep, at least 1, drawn evenly from the cities; None keeps all.
        transform: called `transform(image=..., mask=...)`, returns a dict with both.
        reading: how the folder is to be read where it leaves a choice.
        sparse, sparse_size: the visible part of each target, and the size whose rows are meant.

    Attributes:
        source: the opened split, which reads images and label ids.
        labels: the folder's label set, which names the K classes.
        pairs: (city, name) of every sample, sorted.
        cities: the cities that occur, sorted.
        sizes: (height, width) of every target as it is stored, in pixels.

    Raises:
        LabError: with one line, for anything that is wrong with the folder or the selection.
    """

    def __init__(
        self,
        root: str | Path | DataFolder,
        split: str,
        cities: Sequence[str] | None = None,
        limit: int | None = None,
        transform: Callable[..., dict] | None = None,
        reading: Reading = USUAL,
        sparse: str | None = None,
        sparse_size: tuple[int, int] | None = None,
    ) -> None:
        self.source = open_source(root, split, cities, limit, reading)
        self.labels, self.transform = self.source.labels, transform
        self.sparse, self.sparse_size = sparse, sparse_size
        self.pairs, self.cities = self.source.samples, self.source.cities
        self.sizes = self.source.sizes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray | torch.Tensor, torch.Tensor]:
        image, mask = self.source.read_image(index), self.read_train_ids(index)
        if self.transform is not None:
            seed_transform(self.transform)
            result = self.transform(image=image, mask=mask)
            image, mask = result["image"], result["mask"]
        # Conversions in numpy: torch would spread so little work over threads, at a loss.
        return image, torch.from_numpy(np.asarray(mask).astype(np.int64, order="C"))

    def read_train_ids(self, index: int) -> np.ndarray:
        """Reads a target alone, (H, W) uint8 train ids at its own size."""
        label_ids = self.source.read_label_ids(index)
        try:
            train_ids = encode_train_ids(label_ids, self.labels)
        except LabError as error:
            raise self.source.folder.blame(self.source.place(index), error) from error
        if self.sparse is not None:
            from support.formats.sparse import hide  # late: most targets are whole

            name = self.pairs[index].name
            train_ids = hide(train_ids, self.sparse, name, IGNORE_INDEX, self.sparse_size)
        return train_ids

    def targets(self, title: str | None = None) -> TargetsOnly:
        """The same untransformed targets without their images, for counting; see `TargetsOnly`."""
        return TargetsOnly(self, title)


def label_warnings(dataset: SegmentationDataset, most: int = 16) -> list[str]:
    """Lines to print where some targets, at most so many, look wrong; `check` reads them all."""
    source, labels = dataset.source, dataset.labels
    chosen = np.linspace(0, len(dataset) - 1, min(len(dataset), most)).round().astype(int)
    counts = {source.place(i): labels.count(source.read_label_ids(i)) for i in chosen}
    where, folder = f"split {source.split!r} of {source.root}", source.folder
    return [*folder.remarks, *suspicious_labels(where, counts, labels, folder.has_train_ids)]


def require_labels(dataset: SegmentationDataset) -> SegmentationDataset:
    """Returns the data set; `LabError` when all is void. Reads up to the first labelled pixel."""
    source, labels = dataset.source, dataset.labels
    if any(labels.has_class(labels.count(source.read_label_ids(i))) for i in range(len(dataset))):
        return dataset
    raise LabError(
        f"split {source.split!r} of {source.root}: every pixel is void, so that nothing can be "
        f"learned or scored; take other images, or {labels.cure}"
    )


def resolve_datadir(datadir: Path | None) -> Path:
    """Returns the data folder that was asked for, else the toy data, made when it is missing."""
    if datadir is not None:
        return datadir
    import toycity  # late: other data does without it

    return toycity.ensure_toycity(TOYDATA_DIR)


def open_datasets(
    datadir: Path | None,
    size: tuple[int, int],
    cities_train: Sequence[str] | None = None,
    cities_val: Sequence[str] | None = None,
    limit: int | None = None,
    reading: Reading = USUAL,
    augment: str = "usual",
    split_train: Sequence[str] = ("train",),
    sparse: str | None = None,
    limit_train: int | None = None,
) -> tuple[SegmentationDataset, SegmentationDataset]:
    """Opens the training set, augmented, and the validation set, each as `SegmentationDataset`.

    Args:
        datadir: the data folder; None for the toy streets.
        size: (height, width) that the network sees, in pixels.
        cities_train, cities_val, limit: of each of the two; None for all.
        reading: how the folder is to be read where it leaves a choice.
        augment, split_train: how training images are changed, and the splits that train.
        sparse, limit_train: of the training set alone; None for all, and for `limit`.
    """
    if "val" in split_train:
        raise LabError("--split-train val: what validates must not train")
    folder = open_folder(resolve_datadir(datadir), reading)
    changes = train_transforms(size)
    if augment == "strong":
        from support.engine.augmentation import strengthened  # late: most runs do without

        changes = strengthened(changes, size, IGNORE_INDEX)
    train_set = SegmentationDataset(
        folder, "+".join(split_train), cities_train, limit_train or limit, changes, sparse=sparse,
        sparse_size=tuple(size))  # fmt: skip
    val_set = SegmentationDataset(folder, "val", cities_val, limit, eval_transforms(size))
    folder.require_fair(val_set.source, train_set.cities)
    return require_labels(train_set), require_labels(val_set)


def seed_transform(transform: Callable[..., dict]) -> None:
    """Makes the draws of an albumentations pipeline follow from torch's generator.

    One pair of generators serves the whole pipeline, nested parts too; `set_random_seed` would
    give every part the same seed and so tie, say, the flip to the blur.
    """
    if isinstance(transform, A.BaseCompose | A.BasicTransform):
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        transform.set_random_state(generator, random.Random(int(generator.integers(2**62))))


# --------------------------------------------------------------------------------------- loaders


def get_dataloaders(
    train_set: Dataset,
    val_set: Dataset,
    batch_size: int,
    num_workers: int,
    seed: int,
    pin_memory: bool = False,
    accumulate: int = 1,
    rank: int = 0,
    processes: int = 1,
) -> tuple[DataLoader, DataLoader]:
    """Builds the loader for training, shuffled, and that for validation, always in order.

    What they yield depends on the seed and the epoch, never on the number of workers. The epoch
    of the training loader is that of its `sampler`, see `EpochSampler`. Several processes divide
    the images of every training step among them, and those of the validation.

    Args:
        train_set, val_set: items (image, target).
        batch_size: images per batch; the last batch of an epoch may be smaller.
        num_workers: how many workers load; 0 loads in this process.
        seed: of the order and of the random changes.
        pin_memory: whether batches lie in page-locked memory, which a CUDA device reads faster.
        accumulate: batches of one optimiser step, in each process.
        rank, processes: the number of this process, and how many there are.

    Raises:
        LabError: when a number is out of range or a step is larger than the training data.
    """
    division = StepDivision(batch_size, accumulate, rank, processes)
    if not division.is_whole:
        from support.engine.accumulation import DividedSteps  # late: most runs do without

        division = DividedSteps(batch_size, accumulate, rank, processes)
    require_batches(len(train_set), division, num_workers)
    cv2.setNumThreads(0)  # for small pictures threads cost more than they save

    start_worker = None
    if num_workers:
        from support.engine.room import start_worker  # late: most runs here have no worker

    def build(dataset: Dataset, sampler: Iterable[tuple[int, int]]) -> DataLoader:
        return DataLoader(
            SeededSamples(dataset, seed),
            batch_size,
            sampler=sampler,
            num_workers=num_workers,
            generator=torch.Generator().manual_seed(seed),
            worker_init_fn=start_worker,
            persistent_workers=num_workers > 0,
            pin_memory=pin_memory,
        )

    own_val = [(0, index) for index in range(rank, len(val_set), processes)]
    return build(train_set, EpochSampler(len(train_set), seed, division)), build(val_set, own_val)
