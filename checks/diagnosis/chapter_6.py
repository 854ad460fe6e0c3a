"""The likely causes of wrong answers of chapter 6: training and evaluation."""

import numpy as np
from torch import Tensor

from checks.common import VOID, Batch, log_softmax_by_hand

# ---- 6.1 and 6.2 training and evaluation ---------------------------------------------------------

CHANNELS, CLASSES = 3, 4
RATE, MOMENTUM = 0.2, 0.9


def start_weight() -> np.ndarray:
    """The weights (K, C) that every model here begins with."""
    return np.random.default_rng(12).normal(0, 0.7, (CLASSES, CHANNELS)).astype(np.float32)


def step_by_hand(
    weight: np.ndarray, images: Tensor, target: Tensor, void: int = VOID
) -> tuple[float, np.ndarray, int]:
    """The mean cross entropy of a batch, its slope for the weights (K, C), and its pixels."""
    pixels = images.double().numpy().transpose(0, 2, 3, 1).reshape(-1, CHANNELS)
    truth = target.numpy().ravel()
    pixels, truth = pixels[truth != void], truth[truth != void]
    log_p = log_softmax_by_hand(pixels @ weight.T, 1)
    excess = np.exp(log_p) - np.eye(CLASSES)[truth]
    loss = -log_p[np.arange(len(truth)), truth].mean()
    return float(loss), excess.T @ pixels / len(truth), len(truth)


def weights_after(batches: list[Batch], rates: list[float], mistake: str = "") -> np.ndarray:
    """The weights after an epoch of descent with momentum, as it should be, or with a mistake."""
    weight, velocity, kept = start_weight().astype(np.float64), 0.0, 0.0
    for (images, target), rate in zip(batches, rates, strict=True):
        _, slope, _ = step_by_hand(weight, images, target)
        if mistake == "accumulate":
            kept = slope = kept + slope
        elif mistake == "share":
            slope = slope / len(batches)
        elif mistake == "clip":
            slope = slope * min(1.0, 1.0 / np.linalg.norm(slope))
        for _ in range(2 if mistake == "twice" else 1):
            velocity = MOMENTUM * velocity + slope
            weight = weight - rate * velocity
    return weight


def one_step_for_all(batches: list[Batch], mean: bool) -> np.ndarray:
    """The weights after one step by the gradients of all batches."""
    weight = start_weight().astype(np.float64)
    slopes = [step_by_hand(weight, *batch)[1] for batch in batches]
    return weight - RATE * sum(slopes) / (len(batches) if mean else 1)


def mistakes_of_training(batches: list[Batch]) -> dict[str, np.ndarray]:
    """Likely cause → the weights that it leaves behind."""
    rates = [RATE] * len(batches)
    return {
        "the weights are as before: no step(), or zero_grad() between backward() and step()": (
            start_weight()
        ),
        "gradients add up from batch to batch: zero_grad() is missing": (
            weights_after(batches, rates, "accumulate")
        ),
        "one step for all batches; make a step after every batch": one_step_for_all(batches, False),
        "one step for the mean of all batches; make a step after every batch": (
            one_step_for_all(batches, True)
        ),
        "only the last batch was learned": weights_after(batches[-1:], [RATE]),
        "only the first batch was learned": weights_after(batches[:1], [RATE]),
        "the last batch was left out, or step() comes before backward()": weights_after(
            batches[:-1], rates[1:]
        ),
        "the first batch was left out": weights_after(batches[1:], rates[1:]),
        "the loss was divided by the number of batches before backward()": (
            weights_after(batches, rates, "share")
        ),
        "two steps for each batch": weights_after(batches, rates, "twice"),
        "the loader was run through twice": weights_after(batches * 2, rates * 2),
        "the loss was made larger, not smaller: its sign": (
            weights_after(batches, [-each for each in rates])
        ),
        "the gradients were clipped": weights_after(batches, rates, "clip"),
    }


def mistakes_of_mean(
    batches: list[Batch], losses: list[float], is_weighted: bool = False
) -> dict[str, float]:
    """Likely cause → the mean loss that it gives."""
    images = [len(target) for _, target in batches]
    pixels = [target.numel() for _, target in batches]
    valid = [float((target != VOID).sum()) for _, target in batches]
    found = {
        "the batches weigh by their images; each weighs by its denominator": (
            np.dot(losses, images) / sum(images)
        ),
        "the batches weigh by all their pixels, void ones too; each weighs by its denominator": (
            np.dot(losses, pixels) / sum(pixels)
        ),
        "the sum over the batches is divided by the number of images": sum(losses) / sum(images),
    }
    if is_weighted:
        found["the batches weigh by their valid pixels; with class weights it is by Σ w"] = np.dot(
            losses, valid
        ) / sum(valid)
    return found
