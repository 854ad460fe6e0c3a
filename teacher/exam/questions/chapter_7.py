"""Chapter 7, deployment: sizes of photos, memory, files, folded layers, 8-bit weights."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deploy import network_size
from models import UNet
from teacher.exam.questions.question import Draw, Question


def width_of_a_photo(draw: Draw) -> Question:
    """The width that a photo is resized to."""
    photo = draw.whole(600, 4200, 10), draw.whole(600, 4200, 10)
    training = draw.pick(((128, 256), (192, 384), (256, 512), (192, 256), (320, 640)))
    area = math.prod(training) / math.prod(photo)
    return Question(
        f"A network was trained at {training[0]}×{training[1]} (height × width). A photo has "
        f"{photo[0]}×{photo[1]} pixels. To which width is it resized, so that it keeps its aspect "
        "and has the area of the training images?",
        network_size(photo, training)[1],
        "W · √(H_train · W_train / (H · W)), rounded.",
        {
            "the root is missing: areas grow with the square of the factor": photo[1] * area,
            "this makes the height that of training; the area should be": photo[1]
            * training[0]
            / photo[0],
            "this is the training's own width; the photo keeps its aspect": training[1],
            "this is the height": network_size(photo, training)[0],
        },
        decimals=0,
        unit="pixels",
    )


def memory_of_the_logits(draw: Draw) -> Question:
    """What logits at a photo's size take."""
    height, width = draw.whole(700, 4100, 4), draw.whole(700, 4100, 4)
    num_classes = draw.whole(3, 40)
    size = num_classes * height * width * np.dtype(np.float32).itemsize
    return Question(
        f"How many MiB (2^20 bytes) do the logits of {num_classes} classes take as float32, at the "
        f"size of a photo of {height}×{width} pixels?",
        size / 2**20,
        "K · H · W · 4 bytes, divided by 2^20.",
        {
            "these are numbers, not bytes; a float32 has 4": size / 2**22,
            "these are megabytes of 10^6 bytes; a MiB has 2^20": size / 1e6,
            "there are K logits for each pixel": size / num_classes / 2**20,
        },
        decimals=0,
        unit="MiB",
    )


def size_of_the_file(draw: Draw) -> Question:
    """What the weights take in a file."""
    base, n, num_classes = draw.whole(8, 48, 2), draw.whole(3, 5), draw.whole(2, 30)
    bits = draw.pick((32, 16))
    with torch.device("meta"):
        count = sum(each.numel() for each in UNet(num_classes, n, base).parameters())
    return Question(
        f"A UNet has {count} learned numbers. How many MiB (2^20 bytes) do they take in a "
        f"model.onnx in float{bits}?",
        count * bits / 8 / 2**20,
        "Numbers × bits / 8 bytes, divided by 2^20.",
        {
            "these are Mibit; a byte has eight bits": count * bits / 2**20,
            "this is the other one of float32 and float16": count * (48 - bits) / 8 / 2**20,
            "these are megabytes of 10^6 bytes; a MiB has 2^20": count * bits / 8e6,
        },
        decimals=2,
        unit="MiB",
    )


def folded_bias(draw: Draw) -> Question:
    """The bias of a convolution into which a batch normalisation was folded."""
    bias, mean = draw.number(-2, 2, 1), draw.number(-3, 3, 1)
    gamma, beta, deviation = draw.number(0.4, 2, 1), draw.number(-1, 1, 1), draw.pick((0.5, 2, 4))
    convolution = nn.Conv2d(1, 1, 1).eval()
    norm = nn.BatchNorm2d(1, eps=0).eval()
    with torch.no_grad():
        convolution.bias.fill_(bias)
        norm.weight.fill_(gamma), norm.bias.fill_(beta)
        norm.running_mean.fill_(mean), norm.running_var.fill_(deviation**2)
    return Question(
        f"A convolution has the bias {bias} for a channel, directly followed by a batch "
        f"normalisation with μ = {mean}, σ² = {deviation**2}, γ = {gamma} and β = {beta} (ε = 0). "
        "It is folded into the convolution. What is the new bias?",
        fuse_conv_bn_eval(convolution, norm).bias.item(),
        "γ · (b − μ) / σ + β.",
        {
            "divide by σ, the root of σ²": gamma * (bias - mean) / deviation**2 + beta,
            "the running mean was not taken off the bias": gamma * bias / deviation + beta,
            "the old bias is scaled as well: it stands before the normalisation": bias
            - gamma * mean / deviation
            + beta,
            "the shift β is missing": gamma * (bias - mean) / deviation,
        },
        decimals=2,
    )


def stored_integer(draw: Draw) -> Question:
    """The 8-bit integer of a weight."""
    largest = draw.number(0.5, 4, 2)
    weight = round(draw.number(0.2, 0.95, 2) * largest, 3)
    scaled = 127 * weight / largest
    is_tie = abs(scaled - math.floor(scaled) - 0.5) < 0.1
    return Question(
        f"The weights of a channel lie between −{largest} and {largest}. They are stored as "
        "integers from −127 to 127 with one scale, so that 0 stays 0 and the largest becomes 127. "
        f"Which integer stands for the weight {weight}?",
        math.nan if is_tie else int(np.round(np.float64(scaled))),
        "The scale is the largest weight / 127; divide by it and round.",
        {
            "this is with 255 in place of 127; the 255 steps are for both signs": 255
            * weight
            / largest,
            "the quotient was cut off, not rounded": math.floor(scaled),
            "this is the weight in percent of the largest": 100 * weight / largest,
        },
        decimals=None,
    )


QUESTIONS = (
    width_of_a_photo,
    memory_of_the_logits,
    size_of_the_file,
    folded_bias,
    stored_integer,
)
