"""Chapter 5, losses: single pixels, weighted means, class weights."""

import math

import torch
from torch import Tensor

from losses import FocalLoss, WeightedCrossEntropy, class_weights
from teacher.exam.questions.question import Draw, Question


def one_pixel(logits: list[float]) -> Tensor:
    """The logits of one pixel, (1, K, 1, 1) float64."""
    return torch.tensor(logits, dtype=torch.float64)[None, :, None, None]


def focal_loss_of_a_pixel(draw: Draw) -> Question:
    """The focal loss from logits."""
    logits = [draw.number(-1, 2.5, 1) for _ in range(3)]
    true, gamma = draw.whole(0, 2), draw.pick((1, 2, 3))
    target = torch.tensor([[[true]]])
    entropy = WeightedCrossEntropy()(one_pixel(logits), target).item()
    p = math.exp(-entropy)
    return Question(
        f"A pixel has the logits {logits[0]}, {logits[1]} and {logits[2]} for classes 0, 1 and 2; "
        f"its true class is {true}. What is its focal loss for γ = {gamma}, with natural "
        "logarithms and without class weights?",
        FocalLoss(gamma)(one_pixel(logits), target).item(),
        "p_t by the softmax; then (1 − p_t)^γ · (−ln p_t).",
        {
            "this is the cross entropy; the factor (1 − p_t)^γ is missing": entropy,
            "the factor is (1 − p_t)^γ, not p_t^γ: pixels that are right count less": p**gamma
            * entropy,
            "this is with the logarithm to base 10": (1 - p) ** gamma * entropy / math.log(10),
        },
    )


def weighted_mean(draw: Draw) -> Question:
    """The weighted cross entropy of four pixels."""
    weights = [draw.number(0.1, 0.6, 1), draw.number(1.2, 4, 1)]
    road = [draw.number(0.6, 0.98, 2) for _ in range(3)]
    rider = draw.number(0.05, 0.6, 2)
    p = torch.tensor([*road, rider], dtype=torch.float64)
    target = torch.tensor([[[0, 0, 0, 1]]])
    of_road = torch.where(target[0, 0] == 0, p, 1 - p)
    logits = torch.stack([of_road, 1 - of_road]).log()[None, :, None]
    loss = WeightedCrossEntropy(torch.tensor(weights))(logits, target).item()
    rows = [["road", weights[0], each] for each in road] + [["rider", weights[1], rider]]
    return Question(
        "The table has the true class of four pixels, its weight, and the probability p_t that the "
        "network gives it. What is the weighted cross entropy (natural logarithm)?",
        loss,
        "Σ w · (−ln p_t) / Σ w.",
        {
            "you divided by the number of pixels; the denominator is the sum of the weights": loss
            * (3 * weights[0] + weights[1])
            / 4,
            "this is the plain mean; each pixel counts with the weight of its true class": (
                -p.log().mean().item()
            ),
            "this is the sum; divide it by the sum of the weights": loss
            * (3 * weights[0] + weights[1]),
        },
        table=[["true class", "weight", "p_t"], *rows],
    )


def scaled_class_weight(draw: Draw) -> Question:
    """The weight of a class, one class being absent."""
    strategy = draw.pick(("inverse", "sqrt"))
    counts = [draw.whole(400, 990, 10), draw.whole(60, 300, 10), draw.whole(10, 50), 0]
    asked = draw.whole(0, 2)
    weight = class_weights(counts, strategy)[asked].item()
    share = counts[asked] / sum(counts)
    other = class_weights(counts, "sqrt" if strategy == "inverse" else "inverse")[asked].item()
    formula = {"inverse": "1 / f_k", "sqrt": "1 / √f_k"}[strategy]
    names = ("road", "car", "person", "train")
    return Question(
        f"The table counts pixels. What is the weight of {names[asked]} with the strategy "
        f"{strategy} ({formula}, scaled to mean 1 over the classes that have pixels)?",
        weight,
        "The formula for each class with pixels, divided by the mean of these three.",
        {
            "this is before the scaling to mean 1": 1 / share
            if strategy == "inverse"
            else share**-0.5,
            "train has no pixels: its 0 does not belong into the mean": weight * 4 / 3,
            "this is the other one of the strategies inverse and sqrt": other,
        },
        table=[["", *names], ["pixels", *counts]],
    )


def loss_of_knowing_nothing(draw: Draw) -> Question:
    """The cross entropy of equal logits."""
    num_classes, logit = draw.whole(3, 150), draw.number(-3, 3, 1)
    loss = WeightedCrossEntropy()(one_pixel([logit] * num_classes), torch.tensor([[[0]]])).item()
    return Question(
        f"A network gives the logit {logit} to each of {num_classes} classes at every pixel. What "
        "is its cross entropy (natural logarithm)?",
        loss,
        "Each class gets the probability 1/K, whatever the logit: ln K.",
        {
            "this is the logarithm to base 10": math.log10(num_classes),
            "this is the logarithm to base 2": math.log2(num_classes),
            "this is the probability 1/K; the loss is minus its logarithm": 1 / num_classes,
            "the logit itself does not matter, as it is the same for all classes": loss - logit,
        },
    )


def loss_at_large_logits(draw: Draw) -> Question:
    """The cross entropy where the exponential overflows."""
    offset = draw.whole(400, 3000, 100)
    steps = [draw.number(0, 3, 1) for _ in range(3)]
    logits = [offset + step for step in steps]
    true = min(range(3), key=steps.__getitem__)
    loss = WeightedCrossEntropy()(one_pixel(logits), torch.tensor([[[true]]])).item()
    return Question(
        f"A pixel has the logits {logits[0]}, {logits[1]} and {logits[2]}; the true class is the "
        f"{('first', 'second', 'third')[true]}. What is its cross entropy (natural logarithm)?",
        loss,
        "Take the largest logit m off all; then ln Σ e^(z − m) − (z_t − m).",
        {
            "this is m − z_t alone; ln Σ e^(z − m) is missing": max(steps) - min(steps),
            "ln Σ e^(z − m) alone: z_t − m is missing": loss - max(steps) + min(steps),
            "the true class's logit is not taken off: log Σ e^z at the smallest logit": loss
            + min(steps),
        },
    )


QUESTIONS = (
    focal_loss_of_a_pixel,
    weighted_mean,
    scaled_class_weight,
    loss_of_knowing_nothing,
    loss_at_large_logits,
)
