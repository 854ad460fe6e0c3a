"""Chapter 2, augmentation: normalised values, padding, probabilities, resized ids."""

import numpy as np

from data import MEAN, STD, eval_transforms
from support.formats.labels import IGNORE_INDEX
from teacher.exam.questions.question import Draw, Question
from utils import resize_labels


def normalised_value(draw: Draw) -> Question:
    """What a byte becomes."""
    value, channel = draw.whole(5, 250), draw.whole(0, 2)
    image = np.full((4, 4, 3), value, dtype=np.uint8)
    result = eval_transforms((4, 4))(image=image, mask=image[..., 0])["image"]
    mean, std = MEAN[channel], STD[channel]
    return Question(
        f"A pixel has the value {value} (of 0 … 255) in the {('red', 'green', 'blue')[channel]} "
        f"channel. What is it after normalisation with μ = {mean} and σ = {std}, which are for "
        "values in 0 … 1?",
        result[channel, 0, 0].item(),
        "(x / 255 − μ) / σ.",
        {
            "you did not divide by 255; μ and σ are for values in 0 … 1": (value - mean) / std,
            "you did not divide by σ": value / 255 - mean,
            "you did not take μ off": value / 255 / std,
        },
        decimals=2,
    )


def padded_share(draw: Draw) -> Question:
    """How much of a target is void after scaling down and padding."""
    height, width = draw.pick(((128, 256), (256, 512), (192, 384), (200, 400), (320, 480)))
    factor = draw.number(0.55, 0.95, 2)
    scaled = round(factor * height), round(factor * width)
    target = np.full((height, width), IGNORE_INDEX, dtype=np.uint8)
    target[: scaled[0], : scaled[1]] = 0
    return Question(
        f"A target of {height}×{width} pixels without void is scaled by {factor}, to "
        f"{scaled[0]}×{scaled[1]}, and padded to its old size with 255. What share of its pixels "
        "is void then, in percent?",
        100 * (target == IGNORE_INDEX).mean(),
        "1 minus the area that is left, height × width after over before.",
        {
            "this is for one side alone; both shrink, and areas multiply": 100
            * (1 - scaled[0] / height),
            "you added what is missing on both sides; the corner counts twice then": 100
            * (2 - scaled[0] / height - scaled[1] / width),
            "this is the share that is left, not the one that is void": 100
            * (target != IGNORE_INDEX).mean(),
        },
        decimals=1,
        unit="%",
    )


def nothing_happens(draw: Draw) -> Question:
    """The probability of an unchanged sample."""
    p, q, r = (draw.number(0.1, 0.7, 2) for _ in range(3))
    return Question(
        f"A flip happens with probability {p}, a change of colours with {q}, a blur with {r}, "
        "drawn independently. In what percentage of the draws does none of them happen?",
        100 * (1 - p) * (1 - q) * (1 - r),
        "The product of the three probabilities that it does not happen.",
        {
            "this is how often all three happen": 100 * p * q * r,
            "you took 1 minus the sum; draws with two changes are taken off twice": 100
            * (1 - p - q - r),
            "this is how often at least one happens": 100 * (1 - (1 - p) * (1 - q) * (1 - r)),
        },
        decimals=1,
        unit="%",
    )


def draws_with_padding(draw: Draw) -> Question:
    """How often a random scale leaves room for padding."""
    least, most = draw.number(0.5, 0.95, 2), draw.number(1.05, 1.9, 2)
    return Question(
        f"In training, images are scaled by a factor drawn uniformly from {least} to {most}, then "
        "padded or cropped to their old size. In what percentage of the draws is there padding?",
        100 * (1 - least) / (most - least),
        "There is padding below factor 1: the length from the least factor to 1, over the whole.",
        {
            "this is how often there is cropping: factors above 1": 100
            * (most - 1)
            / (most - least),
            "the factor is drawn from the whole interval; it is not half and half around 1": 50,
            "this is the length below 1; divide it by the length of the whole interval": 100
            * (1 - least),
        },
        decimals=1,
        unit="%",
    )


def resized_ids(draw: Draw) -> Question:
    """The sum of a row of ids that is resized by the nearest neighbour."""
    row = np.array([[draw.whole(0, 18) for _ in range(12)]], dtype=np.uint8)
    return Question(
        "A row of twelve class ids is resized to four by the nearest neighbour: each new pixel "
        "takes the id that lies under its centre. What do the four ids add up to?",
        int(resize_labels(row, (1, 4)).sum()),
        "Each new pixel covers three old ones, and takes the middle one.",
        {
            "you took the first of each three; under the centre lies the second": int(
                row[0, ::3].sum()
            ),
            "ids were averaged; the mean of two ids is a third class, or none": row.sum() / 3,
            "you took the last of each three; under the centre lies the second": int(
                row[0, 2::3].sum()
            ),
        },
        decimals=None,
        table=[["position", *range(1, 13)], ["id", *row[0].tolist()]],
    )


QUESTIONS = (normalised_value, padded_share, nothing_happens, draws_with_padding, resized_ids)
