"""Chapter 1, data: from label ids to train ids, shares of classes, bytes."""

import numpy as np
import torch
import torch.nn.functional as F

from data import count_pixels, encode_train_ids
from support.formats.labels import IGNORE_INDEX
from teacher.exam.questions.question import Draw, Question

MAPPING = {0: "unlabeled", 7: "road", 9: "parking", 26: "car", 29: "caravan", 33: "bicycle"}
SIZES = ((128, 256), (192, 384), (256, 512), (360, 640), (384, 768), (512, 1024))


def targets_with(counts: list[list[int]]) -> list[tuple[None, np.ndarray]]:
    """A data set in which image i has counts[i][k] pixels of class k, the last ones void."""
    ids = [*range(len(counts[0]) - 1), IGNORE_INDEX]
    return [(None, np.repeat(ids, row).astype(np.uint8)[None]) for row in counts]


def labelled_pixels(draw: Draw) -> Question:
    """How many pixels are not void after the mapping."""
    mask = np.array([[draw.pick(list(MAPPING)) for _ in range(10)] for _ in range(6)])
    train_ids = encode_train_ids(mask)
    learned = encode_train_ids(np.array(list(MAPPING)))
    names = ", ".join(
        f"{label_id} {name} → {train_id}"
        for (label_id, name), train_id in zip(MAPPING.items(), learned, strict=True)
    )
    return Question(
        "A piece of a mask holds these label ids. Their train ids are: "
        f"{names}. How many pixels of the piece count in the loss?",
        (train_ids != IGNORE_INDEX).sum(),
        "A pixel counts if its train id is not 255, the ignore index; train id 0 is a class.",
        {
            "these are all pixels; those with train id 255 are void and do not count": mask.size,
            "only label id 0 was left out; every label whose train id is 255 is void": (
                mask != 0
            ).sum(),
            "road was left out too; its train id is 0, and 0 is a class like the others": (
                (train_ids != IGNORE_INDEX) & (train_ids != 0)
            ).sum(),
        },
        decimals=None,
        table=[[""] * 10, *mask.tolist()],
    )


def share_of_a_class(draw: Draw) -> Question:
    """The share of a class over two images, void left out."""
    counts = [[draw.whole(100, 900, 10) for _ in range(4)] for _ in range(2)]
    counts[1][1] = draw.whole(10, 90)
    total = count_pixels(targets_with(counts), 3).double()
    shares = [count_pixels([each], 3).double() for each in targets_with(counts)]
    head = ["", "road", "car", "person", "void"]
    rows = [[f"image {i + 1}", *row] for i, row in enumerate(counts)]
    return Question(
        "The table counts the pixels of two images. What is the share of car in this data set, in "
        "percent?",
        (100 * total[1] / total.sum()).item(),
        "Add up the car pixels of both images; divide by all labelled ones, without void.",
        {
            "void is among the pixels that you divided by; shares are of labelled pixels": (
                100 * total[1] / np.sum(counts)
            ).item(),
            "this is the mean of the two images' shares; add the counts up first, then divide": (
                50 * sum(each[1] / each.sum() for each in shares)
            ).item(),
            "this is car over all the others; a share has car in the denominator too": (
                100 * total[1] / (total[0] + total[2])
            ).item(),
        },
        decimals=1,
        unit="%",
        table=[head, *rows],
    )


def bytes_of_a_batch(draw: Draw) -> Question:
    """The memory of a batch of targets as int64."""
    height, width = draw.pick(SIZES)
    batch = draw.whole(4, 40, 2)
    stored = encode_train_ids(np.zeros((height, width), dtype=np.uint8))
    size = batch * torch.from_numpy(stored).long().nbytes
    return Question(
        f"A batch has {batch} targets of {height}×{width} pixels, as the loss takes them: int64. "
        "How many MiB (2^20 bytes) do the targets take?",
        size / 2**20,
        "Batch × height × width × 8 bytes, divided by 2^20.",
        {
            "this is one byte for each pixel, as on disk; an int64 has 8": batch
            * stored.nbytes
            / 2**20,
            "this is 4 bytes for each pixel, as of float32 or int32; an int64 has 8": size / 2**21,
            "these are megabytes of 10^6 bytes; a MiB has 2^20": size / 1e6,
        },
        decimals=1,
        unit="MiB",
    )


def pixels_where_it_occurs(draw: Draw) -> Question:
    """The mean pixels of a class over the images that show it."""
    counts = [draw.whole(20, 400) if draw.random() < 0.6 else 0 for _ in range(8)]
    found = [int(count_pixels(targets_with([[500, n, 10]]), 2)[1]) for n in counts]
    shown = [n for n in found if n] or [0]
    return Question(
        "The table has the pixels of class motorcycle in eight images. How many pixels does it "
        "have, on average, in the images in which it occurs?",
        sum(found) / len(shown),
        "The sum over the number of images with at least one such pixel.",
        {
            "you divided by all images, those without a motorcycle too": sum(found) / len(found),
            "this is the sum; divide it by the images in which the class occurs": sum(found),
            "this is the median of the images in which it occurs, not the mean": float(
                np.median(shown)
            ),
        },
        decimals=1,
        table=[["image", *range(1, 9)], ["pixels", *found]],
    )


def memory_of_one_hot(draw: Draw) -> Question:
    """How many times as large a one-hot target is."""
    num_classes = draw.whole(5, 60)
    name, dtype = draw.pick((("float32", torch.float32), ("float16", torch.float16)))
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    one_hot = F.one_hot(target, num_classes).to(dtype)
    return Question(
        f"A target with int64 class ids is turned into one-hot form, {num_classes} channels of "
        f"{name}. How many times as much memory does it take?",
        one_hot.nbytes / target.nbytes,
        "Classes × bytes of a channel's number, over the 8 bytes of an int64.",
        {
            "this is the number of channels; their numbers have fewer bytes than an int64": (
                num_classes
            ),
            "this is against a uint8 target of one byte; an int64 has 8": one_hot.nbytes
            / target.to(torch.uint8).nbytes,
        },
        decimals=2,
    )


QUESTIONS = (
    labelled_pixels,
    share_of_a_class,
    bytes_of_a_batch,
    pixels_where_it_occurs,
    memory_of_one_hot,
)
