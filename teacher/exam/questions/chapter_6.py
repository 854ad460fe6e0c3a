"""Chapter 6, training: steps, the loss of an epoch, the learning rate, running averages."""

import torch
from torch import nn

from metrics import LossMeter
from models import conv_relu_norm
from support.engine.accumulation import DividedSteps
from support.engine.loading import EpochSampler
from support.engine.schedules import Schedule
from teacher.exam.questions.question import Draw, Question


def steps_of_an_epoch(draw: Draw) -> Question:
    """The optimiser steps of an epoch with accumulation and several processes."""
    images, batch = draw.whole(300, 3000), draw.whole(2, 8)
    accumulate, processes = draw.whole(2, 4), draw.whole(2, 4)
    whole = batch * accumulate * processes
    division = DividedSteps(batch, accumulate, 0, processes)
    return Question(
        f"{images} images, --batch-size {batch}, --accumulate {accumulate}, {processes} processes: "
        "how many steps does the optimiser take in an epoch?",
        EpochSampler(images, 0, division).steps_per_epoch,
        "A step takes batch × accumulate × processes images; the last one takes what is left.",
        {
            "the images that are left at the end are a step too: round up": images // whole,
            "gradients are accumulated: a step takes several batches": -(
                -images // (batch * processes)
            ),
            "each process has a batch of its own in every step": -(-images // (batch * accumulate)),
            "these are batches; accumulation and processes make larger steps": -(-images // batch),
        },
        decimals=None,
    )


def loss_of_an_epoch(draw: Draw) -> Question:
    """The mean loss over batches of unlike size."""
    losses = [draw.number(0.2, 3, 2) for _ in range(3)]
    images = [4, 4, draw.whole(1, 3)]
    pixels = [draw.whole(100, 999) * count for count in images]
    meter = LossMeter()
    for loss, count in zip(losses, pixels, strict=True):
        meter.add(torch.tensor(loss), torch.tensor(count))
    return Question(
        "The table has the batches of an epoch, trained with the loss ce. What is the mean loss of "
        "the epoch?",
        meter.mean(),
        "Each batch's loss times its valid pixels, added up; over all valid pixels.",
        {
            "this is the mean of the batches' losses; each weighs by its valid pixels": sum(losses)
            / 3,
            "batches weigh by their valid pixels, not by their images": sum(
                loss * count for loss, count in zip(losses, images, strict=True)
            )
            / sum(images),
            "this is the loss of the last batch": losses[-1],
        },
        decimals=2,
        table=[
            ["batch", "images", "valid pixels", "loss"],
            *[[i + 1, images[i], pixels[i], losses[i]] for i in range(3)],
        ],
    )


def learning_rate(draw: Draw) -> Question:
    """The rate at a step of the cosine."""
    total, rate = draw.whole(400, 2000, 20), draw.whole(1, 9)
    warm_up = total // 20
    step = draw.whole(warm_up + 20, total - 20)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate / 1000)
    schedule = Schedule("cosine", optimizer, total, warm_up=0.05)
    plain = Schedule("cosine", optimizer, total, warm_up=0.0)
    progress = (step - warm_up) / (total - warm_up)
    return Question(
        f"A training has {total} steps, a highest rate of {rate}·10⁻³, a linear warm-up over the "
        f"first {warm_up} steps, and after it a cosine that reaches 0 at step {total}. What is the "
        f"rate at step {step}, in units of 10⁻³?",
        rate * schedule.factor(step),
        "η/2 · (1 + cos(π · (s − w) / (S − w))), with w steps of warm-up and S in all.",
        {
            "the cosine begins after the warm-up: take its steps off both": rate
            * plain.factor(step),
            "this is a straight line from the highest rate to 0": rate * (1 - progress),
            "this is what the rate has lost already, not what is left": rate
            * (1 - schedule.factor(step)),
        },
        decimals=2,
    )


def running_mean(draw: Draw) -> Question:
    """The running mean of a batch normalisation after three batches."""
    means = [draw.number(0.5, 9, 1) for _ in range(3)]
    norm = conv_relu_norm(1, 1)[2].train()
    for mean in means:
        norm(torch.full((1, 1, 2, 2), mean))
    plain = sum(means) / 3
    swapped = 0.0
    for mean in means:
        swapped = 0.1 * swapped + 0.9 * mean
    return Question(
        "A channel of a new batch normalisation has the running mean 0 and the momentum 0.1. Three "
        f"batches in training mode have the means {means[0]}, {means[1]} and {means[2]} there. "
        "What is its running mean then?",
        norm.running_mean.item(),
        "After each batch: 0.9 · running mean + 0.1 · mean of the batch.",
        {
            "0.1 is the share of the new batch, 0.9 of what was there": swapped,
            "this is the mean of the three; the running mean still remembers its 0": plain,
            "each batch also multiplies what came before by 0.9": (0.1 * sum(means)),
        },
    )


def images_of_the_last_step(draw: Draw) -> Question:
    """How many images are left for the last step of an epoch."""
    images, batch, accumulate = draw.whole(200, 3000), draw.whole(5, 16), draw.whole(2, 6)
    division = DividedSteps(batch, accumulate)
    sampler = EpochSampler(images, 0, division)
    whole = division.images_per_step
    return Question(
        f"{images} images, --batch-size {batch} and --accumulate {accumulate}, one process: how "
        "many images does the last step of an epoch take?",
        sampler.images_of_step(sampler.steps_per_epoch - 1),
        "What is left of the images after all whole steps of batch × accumulate.",
        {
            "the last step takes what is left, not as many as the others": whole,
            "this is the last batch; a step adds up several batches": images % batch,
            "this is what is missing for a whole step": whole - images % whole,
        },
        decimals=None,
    )


QUESTIONS = (
    steps_of_an_epoch,
    loss_of_an_epoch,
    learning_rate,
    running_mean,
    images_of_the_last_step,
)
