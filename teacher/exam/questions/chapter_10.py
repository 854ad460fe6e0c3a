"""Chapter 10, labels: minutes of annotators, sums over sources, frozen layers, seeds."""

import math

import numpy as np
import torch

from models import UNet
from support.formats.labels import IGNORE_INDEX
from support.formats.sparse import hide
from teacher.exam.questions.question import Draw, Question
from zoo.mapping import sum_over_sources

FINE, COARSE = 90, 7
"""Minutes for an image of Cityscapes (Cordts et al. 2016, section 2.2)."""


def coarse_images(draw: Draw) -> Question:
    """How many coarse images remain after some fine ones."""
    hours = draw.whole(30, 120)
    fine = draw.whole(4, int(hours * 60 / FINE) - 4)
    rest = hours * 60 - fine * FINE
    return Question(
        f"A team has {hours} hours of annotators and first labels {fine} images finely, {FINE} "
        f"minutes each. How many whole coarse images, {COARSE} minutes each, can be labelled in "
        "the time that is left?",
        rest // COARSE,
        "(60 · hours − 90 · fine images) / 7, rounded down.",
        {
            "the last of them is not finished in the time: round down": rest // COARSE + 1,
            "the fine images take time too": hours * 60 // COARSE,
            "these are images as half-labelled ones take, 45 minutes": rest // 45,
        },
        decimals=None,
    )


def probability_of_a_target(draw: Draw) -> Question:
    """The summed probability of the sources of a class."""
    shares = [draw.whole(5, 40) for _ in range(5)]
    p = [round(each / sum(shares), 3) for each in shares]
    p[4] = round(1 - sum(p[:4]), 3)
    target_of = [0, 0, 0, 1, -1]
    sums = sum_over_sources(np.array(p, dtype=np.float64)[:, None, None], target_of, 2)
    names = ["cat", "dog", "horse", "car", "boat"]
    return Question(
        "The table has the probabilities of a network's classes at a pixel. It is judged on data "
        "whose class animal is made up of cat, dog and horse, whose class vehicle of car; boat "
        "belongs to none. What is the probability of animal?",
        sums[0, 0, 0],
        "The sum over its sources. What belongs to no class is not shared out.",
        {
            "this is the most probable source alone; the probabilities are added": max(p[:3]),
            "this is the mean of the sources; they are added": sums[0, 0, 0] / 3,
            "the sums were divided by what has a target; boat keeps its probability": sums[0, 0, 0]
            / sums.sum(),
        },
        table=[["", *names], ["p", *p]],
    )


def share_of_the_last_layer(draw: Draw) -> Question:
    """Which share of the parameters the last layer has."""
    base, n, num_classes = draw.whole(4, 32, 2), draw.whole(2, 4), draw.whole(10, 150)
    with torch.device("meta"):
        model = UNet(num_classes, n, base)
    total = sum(each.numel() for each in model.parameters())
    last = sum(each.numel() for each in model.decoder.head.parameters())
    return Question(
        f"The UNet of {n} blocks, base {base} and {num_classes} classes has {total} learned "
        "numbers. Which share of them learns with --train last, in per mille (‰)?",
        1000 * last / total,
        "The last convolution is 1×1: base · K weights and K biases.",
        {
            "the biases of the last convolution are missing": 1000 * base * num_classes / total,
            "the last convolution is 1×1, not 3×3": 1000 * (9 * base + 1) * num_classes / total,
            "the last convolution gets the base channels, not those of the bottom": 1000
            * (base * 2**n + 1)
            * num_classes
            / total,
        },
        decimals=2,
        unit="‰",
    )


def seeds_for_a_difference(draw: Draw) -> Question:
    """How many seeds make a difference twice its standard error."""
    difference, deviation = draw.number(0.003, 0.009, 4), draw.number(0.006, 0.016, 4)
    ratio = (deviation / difference) ** 2
    needed = 8 * ratio
    is_tie = abs(needed - round(needed)) < 0.01
    return Question(
        f"Two settings differ by {difference}; the sample standard deviation over the seeds is "
        f"{deviation} for both. How many seeds does each need at least, so that the difference is "
        "twice its standard error?",
        math.nan if is_tie else math.ceil(needed),
        "The standard error of the difference is s · √(2/n); solve for n and round up.",
        {
            "this is with the standard error of one mean; the difference has two": math.ceil(
                4 * ratio
            ),
            "this makes it once its standard error, not twice": math.ceil(2 * ratio),
            "rounded down, the difference is less than twice its standard error": math.floor(
                needed
            ),
        },
        decimals=None,
    )


def labelled_pixels(draw: Draw) -> Question:
    """How many pixels are labelled with some rows of each image."""
    images, rows = draw.whole(20, 400), draw.whole(3, 40)
    height, width = draw.pick(((128, 256), (192, 384), (256, 512), (320, 640)))
    target = np.zeros((height, width), dtype=np.uint8)
    visible = int((hide(target, f"rows:{rows}", "street", IGNORE_INDEX) != IGNORE_INDEX).sum())
    return Question(
        f"How many labelled pixels do {images} images of {height}×{width} pixels have with "
        f"--sparse rows:{rows}, if none was void before?",
        images * visible,
        "Images × rows × width.",
        {
            "a row is as long as the image is wide, not high": images * rows * height,
            "these are the pixels of one image": visible,
            "these are the hidden pixels": images * (height * width - visible),
            "this is with points:N, single pixels": images * rows,
        },
        decimals=None,
    )


QUESTIONS = (
    coarse_images,
    probability_of_a_target,
    share_of_the_last_layer,
    seeds_for_a_difference,
    labelled_pixels,
)
