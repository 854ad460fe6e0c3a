"""Chapter 3, the UNet: parameters, sizes, receptive fields. Networks are built without memory."""

import torch
from torch import Tensor, nn

from models import UNetDecoder, UNetEncoder, conv_relu_norm, pad_to_multiple
from teacher.exam.questions.question import Draw, Question


def count_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def numbers_of_the_brick(draw: Draw) -> Question:
    """The parameters of convolution, ReLU and batch normalisation."""
    cin, cout = draw.whole(3, 96), draw.whole(8, 128, 4)
    with torch.device("meta"):
        answer = count_parameters(conv_relu_norm(cin, cout))
    weights = 9 * cin * cout
    return Question(
        f"How many learned numbers has the brick from {cin} to {cout} channels: a 3×3 convolution "
        "with a bias, ReLU, batch normalisation?",
        answer,
        "9 · cin · cout weights, cout biases, and 2 · cout of the normalisation: scale and shift.",
        {
            "the biases of the convolution are missing": weights + 2 * cout,
            "the scale and the shift of the batch normalisation are missing": weights + cout,
            "running mean and variance are no learned numbers": weights + 5 * cout,
            "the kernel has nine weights for each pair of channels": cin * cout + 3 * cout,
        },
        decimals=None,
    )


def padded_pixels(draw: Draw) -> Question:
    """The pixels of an image after padding to the stride."""
    height, width, n = draw.whole(60, 1100), draw.whole(60, 1900), draw.whole(3, 6)
    stride = 2**n
    padded = pad_to_multiple(torch.zeros(1, 1, height, width, device="meta"), stride)
    return Question(
        f"A UNet with {n} poolings gets an image of {height}×{width} pixels and pads it to the "
        "next sizes that fit. How many pixels has the padded image?",
        padded.shape[-2] * padded.shape[-1],
        "Height and width are rounded up to multiples of 2^n; then multiply.",
        {
            "the sizes were rounded down to multiples of 2^n; padding only adds": (
                height // stride * stride * (width // stride * stride)
            ),
            "this is the image without padding": height * width,
            "the sizes were rounded up to multiples of 2·n; each pooling halves, so it is 2^n": (
                -(-height // (2 * n)) * -(-width // (2 * n)) * 4 * n * n
            ),
        },
        decimals=None,
    )


def size_of_the_logits(draw: Draw) -> Question:
    """How many numbers a decoder gives."""
    n, base, num_classes = draw.whole(2, 5), draw.pick((8, 16, 32)), draw.whole(2, 30)
    height, width = draw.whole(3, 12), draw.whole(3, 16)
    with torch.device("meta"):
        decoder = UNetDecoder(base * 2**n, n, num_classes)
        features = [
            torch.zeros(2, base * 2**i, height * 2 ** (n - i), width * 2 ** (n - i))
            for i in range(n)
        ]
        logits = decoder(torch.zeros(2, base * 2**n, height, width), features)
    numbers = logits[0].numel()
    return Question(
        f"From the bottom, {base * 2**n} channels of {height}×{width} pixels go into a decoder "
        f"with {n} up blocks and {num_classes} classes. How many logits does one image get?",
        numbers,
        "Each up block doubles height and width: K · (h · 2^n) · (w · 2^n).",
        {
            "these are the pixels; each has one logit for every class": numbers // num_classes,
            "height and width were doubled once less than there are up blocks": numbers // 4,
            "the last convolution turns the base channels into one logit for each class": numbers
            // num_classes
            * base,
        },
        decimals=None,
    )


def receptive_field(layers: nn.Sequential) -> int:
    """How wide the region is that one output sees, by the kernels and strides of the layers."""
    width, step = 1, 1
    for layer in layers:
        width += (layer.kernel_size[0] - 1) * step
        step *= layer.stride[0]
    return width


def stack(kernel: int, convolutions: int, blocks: int) -> nn.Sequential:
    """Blocks of convolutions with a pooling behind each, and one convolution at the end."""
    layers: list[nn.Module] = []
    for _ in range(blocks):
        layers += [nn.Conv2d(1, 1, kernel) for _ in range(convolutions)]
        layers.append(nn.MaxPool2d((2, 2), stride=(2, 2)))
    return nn.Sequential(*layers, nn.Conv2d(1, 1, kernel))


def width_of_the_view(draw: Draw) -> Question:
    """The receptive field of an encoder."""
    kernel, count, blocks = draw.pick((3, 5, 7)), draw.whole(1, 4), draw.whole(2, 5)
    with torch.device("meta"):
        answer = receptive_field(stack(kernel, count, blocks))
    plain = 1 + (count * blocks + 1) * (kernel - 1)
    poolings = sum(2**i for i in range(blocks))
    return Question(
        f"An encoder has {blocks} blocks of {count} convolution{'s' * (count > 1)} "
        f"{kernel}×{kernel} and a 2×2 max pooling each, then one more convolution of that size. "
        "How many pixels wide is the receptive field of one position behind it?",
        answer,
        "Begin with 1. A convolution adds (k − 1) · j, a 2×2 pooling j, and then doubles j.",
        {
            "the poolings were left out: behind each, a step is twice as many pixels": plain,
            "the poolings see something themselves: each adds j, before j doubles": answer
            - poolings,
            "the last convolution is missing": answer - (kernel - 1) * 2**blocks,
        },
        decimals=None,
    )


def numbers_that_go_across(draw: Draw) -> Question:
    """The size of the features of one block."""
    base, n = draw.pick((8, 12, 16, 24, 32, 48, 64)), draw.whole(3, 5)
    level = draw.whole(1, n - 1)
    height, width = draw.whole(2, 8) * 2**n, draw.whole(2, 16) * 2**n
    with torch.device("meta"):
        features: list[Tensor] = UNetEncoder(3, n, base)(torch.zeros(2, 3, height, width))[1]
    numbers = features[level][0].numel()
    return Question(
        f"The lab's encoder with {n} blocks and base {base} gets an image of {height}×{width} "
        f"pixels. How many numbers has features[{level}], for one image?",
        numbers,
        "base · 2^i channels of (H / 2^i) × (W / 2^i) positions; features[0] has the full size.",
        {
            "this is after the pooling; features go across before it": numbers // 4,
            "features[0] comes from the first block, at full size; this is one level higher": (
                numbers * 2
            ),
            "this is one level deeper; features[0] comes from the first block, at full size": (
                numbers // 2
            ),
        },
        decimals=None,
    )


QUESTIONS = (
    numbers_of_the_brick,
    padded_pixels,
    size_of_the_logits,
    width_of_the_view,
    numbers_that_go_across,
)
