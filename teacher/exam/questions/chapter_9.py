"""Chapter 9, going further: atrous convolutions, soft Dice, Tversky, Lovász, attention."""

import torch
from torch import Tensor

from teacher.exam.questions.question import Draw, Question
from zoo.blocks import ASPP
from zoo.losses import DiceLoss, TverskyLoss
from zoo.losses_region import LovaszLoss
from zoo.segformer import EfficientSelfAttention

ONE_CLASS = torch.tensor([0.0, 1.0])
"""Weights by which a loss of the zoo is that of class 1 alone."""


def pixels_of_a_class(draw: Draw, count: int) -> tuple[Tensor, Tensor, list[list[object]]]:
    """Probabilities of class 1 and its target, as logits, as target, and as a table."""
    p = [draw.number(0.05, 0.95, 2) for _ in range(count)]
    y = [1, 0, *(draw.whole(0, 1) for _ in range(count - 2))]
    q = torch.tensor(p, dtype=torch.float64)
    logits = torch.stack([1 - q, q]).log()[None, :, None]
    table = [["pixel", *range(1, count + 1)], ["is of the class", *y], ["p", *p]]
    return logits, torch.tensor(y)[None, None], table


def soft_counts(logits: Tensor, target: Tensor) -> tuple[float, float, float]:
    """TP, FP and FN of class 1 with probabilities."""
    p, y = logits[0, 1, 0].exp(), target[0, 0]
    return (p * y).sum().item(), (p * (1 - y)).sum().item(), ((1 - p) * y).sum().item()


def span_of_a_rate(draw: Draw) -> Question:
    """How far apart the outer taps of an atrous convolution are."""
    rate, stride = draw.whole(2, 40), draw.pick((4, 8, 16))
    with torch.device("meta"):
        convolution = ASPP(8, 8, rates=(rate,)).convs[1][0]
    dilation, kernel = convolution.dilation[0], convolution.kernel_size[0]
    span = (kernel - 1) * dilation * stride
    return Question(
        f"A 3×3 convolution of rate {rate} reads features of stride {stride}. How many pixels of "
        "the image lie between its leftmost and its rightmost tap, from centre to centre?",
        span,
        "Two steps of the rate, each so many features: 2 · r · stride pixels.",
        {
            "this is from the middle tap to an outer one": span // 2,
            "these are features, not pixels of the image: a feature is stride pixels further on": (
                2 * rate
            ),
            "r − 1 features are skipped, so the next tap is r features away": 2
            * (rate - 1)
            * stride,
            "this counts 2·r + 1 features; from centre to centre they are 2·r": (
                (2 * rate + 1) * stride
            ),
        },
        decimals=None,
    )


def soft_dice(draw: Draw) -> Question:
    """The soft Dice loss of a class."""
    logits, target, table = pixels_of_a_class(draw, 4)
    tp, fp, fn = soft_counts(logits, target)
    p = logits[0, 1, 0].exp()
    return Question(
        "The table has the probabilities p of a class at four pixels. What is the soft Dice loss "
        "of this class, with plain sums?",
        DiceLoss(ONE_CLASS)(logits, target).item(),
        "1 − 2 Σ p·y / Σ (p + y).",
        {
            "this is with the IoU in place of the F1: TP counts twice": 1 - tp / (tp + fp + fn),
            "this is the score; the loss is 1 minus it": 2 * tp / (2 * tp + fp + fn),
            "this is with p² in the denominator, as in the paper; the lab has plain sums": 1
            - 2 * tp / ((p**2).sum().item() + target.sum().item()),
        },
        table=table,
    )


def tversky_loss(draw: Draw) -> Question:
    """Tversky's loss of a class."""
    logits, target, table = pixels_of_a_class(draw, 4)
    alpha = draw.pick((0.1, 0.2, 0.3, 0.4))
    beta = round(1 - alpha, 1)
    tp, fp, fn = soft_counts(logits, target)
    return Question(
        "The table has the probabilities p of a class at four pixels. What is its Tversky loss "
        f"1 − TP / (TP + α·FP + β·FN) with soft counts, α = {alpha} and β = {beta}?",
        TverskyLoss(ONE_CLASS, alpha=alpha, beta=beta)(logits, target).item(),
        "TP = Σ p over its own pixels, FP = Σ p over the others, FN = Σ (1 − p) over its own.",
        {
            "α and β are swapped, or FP and FN: FP is p at the pixels of other classes": 1
            - tp / (tp + beta * fp + alpha * fn),
            "this is the Dice loss, α = β = 1/2": 1 - tp / (tp + (fp + fn) / 2),
            "this is with α = β = 1, from the IoU": 1 - tp / (tp + fp + fn),
        },
        table=table,
    )


def lovasz_loss(draw: Draw) -> Question:
    """The Lovász loss of a class."""
    logits, target, table = pixels_of_a_class(draw, 3)
    p, y = logits[0, 1, 0].exp(), target[0, 0]
    errors = (y - p).abs()
    tp, fp, fn = soft_counts(logits, target)
    return Question(
        "The table has the probabilities p of a class at three pixels. What is its Lovász loss?",
        LovaszLoss(ONE_CLASS)(logits, target).item(),
        "Sort the errors |y − p|, largest first; each weighs what 1 − IoU grows by at its pixel.",
        {
            "this is the mean of the errors; their weights come from the IoU": errors.mean().item(),
            "this is the largest error alone": errors.max().item(),
            "this is 1 − IoU with soft counts, without the sorting": 1 - tp / (tp + fp + fn),
        },
        table=table,
    )


def pairs_of_attention(draw: Draw) -> Question:
    """How many pairs an attention with reduced keys compares."""
    reduction, stride = draw.pick((2, 4, 8)), 4
    height, width = (draw.whole(2, 16) * stride * 8 for _ in range(2))
    with torch.device("meta"):
        attention = EfficientSelfAttention(8, 1, reduction)
        keys = attention.reduction(torch.zeros(1, height // stride, width // stride, 8))
    queries, keys = height * width // stride**2, keys.shape[1] * keys.shape[2]
    return Question(
        f"A self-attention works at stride {stride} on an image of {height}×{width} pixels; its "
        f"keys come from a reduction R = {reduction}. How many millions (10^6) of pairs of a query "
        "and a key does one head compare?",
        queries * keys / 1e6,
        "N = H/4 · W/4 queries, N / R² keys; pairs N² / R².",
        {
            "the reduction is missing: only N / R² keys are left": queries**2 / 1e6,
            "height and width of the keys are both divided by R: N / R²": queries**2
            / reduction
            / 1e6,
            "only the keys are reduced; every position keeps its query": keys**2 / 1e6,
        },
        decimals=2,
        unit="million",
    )


QUESTIONS = (span_of_a_rate, soft_dice, tversky_loss, lovasz_loss, pairs_of_attention)
