"""The likely causes of wrong answers of chapter 6: training and evaluation."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from checks.common import VOID, Batch, describe, log_softmax_by_hand, near, numbers
from checks.diagnosis.search import NoValue, Question

# ---- 6.1 and 6.2 training and evaluation ---------------------------------------------------------

CHANNELS, CLASSES = 3, 4
RATE, MOMENTUM = 0.2, 0.9
CLASS_WEIGHTS = (0.5, 4.0, 1.0, 0.125)


class Epoch(NamedTuple):
    """The batches of an epoch, the void value, the rate of descent, and whether classes weigh."""

    batches: list[Batch]
    void: int = VOID
    rate: float = RATE
    is_weighted: bool = False


def make_batches(void: int = VOID, seed: int = 11) -> list[Batch]:
    """Batches of 3, 1 and 2 images, with unequal sizes and unequal shares of void."""
    random = np.random.default_rng(seed)
    batches = []
    for images, height, width, share in ((3, 4, 5, 0.1), (1, 4, 5, 0.8), (2, 2, 3, 0.5)):
        pictures = random.normal(0.3, 1.5, (images, CHANNELS, height, width))
        target = random.integers(0, CLASSES, (images, height, width))
        is_void = random.random(target.shape) < share
        is_void.flat[:2] = False, True
        target[is_void] = void
        batches.append((torch.from_numpy(pictures).float(), torch.from_numpy(target)))
    return batches


def further_batches(seed: int) -> list[Batch]:
    """From two to five batches, drawn by the seed."""
    return [*make_batches(seed=seed), *make_batches(seed=seed + 100)][: 2 + seed % 4]


def small_batches(void: int = VOID) -> Iterator[list[Batch]]:
    """Two batches and fewer of one pixel or two, the smallest first."""
    dark, bright = [[[1.0]], [[0.0]], [[0.0]]], [[[0.0]], [[1.0]], [[0.0]]]
    one = (torch.tensor([dark]), torch.tensor([[[0]]]))
    other = (torch.tensor([bright]), torch.tensor([[[2]]]))
    half_void = (torch.tensor([dark, bright]), torch.tensor([[[1]], [[void]]]))
    two = (torch.tensor([bright, dark]), torch.tensor([[[1]], [[3]]]))
    yield from ([one], [half_void], [one, other], [one, half_void], [one, two], [half_void, two])


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


def weights_question(answer: Callable[[Epoch], np.ndarray]) -> Question:
    """The weights (K, C) after an epoch of descent with momentum."""

    def rates(x: Epoch) -> list[float]:
        return [x.rate] * len(x.batches)

    def given(x: Epoch) -> str:
        _, slope, _ = step_by_hand(start_weight(), *x.batches[0])
        many = f"{len(x.batches)} batches" if len(x.batches) > 1 else "one batch"
        return (
            f"{many}, SGD with rate {x.rate:g} and momentum {MOMENTUM:g}; class 0 begins with "
            f"weights {numbers(start_weight()[0])}, their first gradient is {numbers(slope[0])}"
        )

    return Question(
        answer=answer,
        right=lambda x: weights_after(x.batches, rates(x)),
        mistakes=lambda x: mistakes_of_training(x.batches),
        more=lambda seed: Epoch(further_batches(seed)),
        small=lambda: map(Epoch, small_batches()),
        given=given,
        shown=lambda weights: f"weights {numbers(weights[0])} for class 0",
        same=lambda got, other: np.allclose(got, other, rtol=1e-3, atol=1e-4),
    )


def parts_of(x: Epoch) -> tuple[list[float], list[float], np.ndarray]:
    """The losses of the batches, their denominators, and the weights at the end."""
    weight, losses, counts = start_weight().astype(np.float64), [], []
    for images, target in x.batches:
        if x.is_weighted:
            weights = np.array([*CLASS_WEIGHTS, *[0.0] * 252])[target.numpy()]
            first = np.einsum("bchw,c->bhw", images.double().numpy(), weight[0])
            counts.append(float(weights.sum()))
            losses.append(float((weights * first).sum() / max(counts[-1], 1e-6)))
        else:
            loss, slope, count = step_by_hand(weight, images, target, x.void)
            weight = weight - x.rate * slope
            losses.append(loss)
            counts.append(count)
    return losses, counts, weight


def _mean_of(x: Epoch) -> float:
    losses, counts, _ = parts_of(x)
    return float(np.dot(losses, counts) / sum(counts))


def _mistakes_of_epoch(x: Epoch) -> dict[str, object]:
    """Likely cause → the mean loss that it gives."""
    losses, counts, weight = parts_of(x)
    found = mistakes_of_mean(x.batches, losses, x.is_weighted)
    if x.rate and not x.is_weighted:
        after = [step_by_hand(weight, *batch, x.void)[0] for batch in x.batches]
        again = "this is the loss after the epoch; add up each batch's loss as it is trained on"
        found[again] = np.dot(after, counts) / sum(counts)
    if not x.is_weighted:
        pixels = [float((target != VOID).sum()) for _, target in x.batches]
        always = "void is what ignore_index says, not always 255"
        found[always] = np.dot(losses, pixels) / sum(pixels)
    return found | mistakes_of_counting(losses, counts)


def mistakes_of_counting(losses: list[float], counts: list[float]) -> dict[str, object]:
    """Likely cause → the mean that comes of the batches' losses and denominators."""
    return {
        "this is the mean of the batches' losses; each weighs by its denominator": np.mean(losses),
        "this is the last batch's loss": losses[-1],
        "this is the first batch's loss": losses[0],
        "this is the sum of the batches' losses": sum(losses),
        "this is the sum of the losses of all pixels; divide by their number": (
            np.dot(losses, counts)
        ),
        "each loss is multiplied by its denominator, and by it once more in the meter": (
            np.dot(losses, np.square(counts)) / sum(counts)
        ),
        "nothing was counted: each batch goes to the meter": 0.0,
        "the last batch is missing": np.dot(losses[:-1], counts[:-1]) / max(sum(counts[:-1]), 1),
        "the first batch is missing": np.dot(losses[1:], counts[1:]) / max(sum(counts[1:]), 1),
        "0 / 0: nothing was counted": np.isnan,
    }


def mean_question(
    answer: Callable[[Epoch], object], rate: float, is_weighted: bool = False
) -> Question:
    """The mean loss of an epoch: the sum of numerators over the sum of denominators."""

    def value(x: Epoch) -> object:
        got = answer(x)
        if isinstance(got, float):
            return got
        return NoValue(f"{describe(got)}: leave the graph and the tensor behind")

    def given(x: Epoch) -> str:
        losses, counts, _ = parts_of(x)
        kind = "a loss with class weights, " if x.is_weighted else f"{x.void} void, "
        images = ", ".join(str(len(target)) for _, target in x.batches)
        text = f"batches of {images} image{'s' * (images != '1')}, {kind}"
        return text + f"their losses {numbers(losses)} with denominators {numbers(counts)}"

    def epoch(batches: list[Batch]) -> Epoch:
        return Epoch(batches, VOID, rate, is_weighted)

    return Question(
        answer=value,
        right=_mean_of,
        mistakes=_mistakes_of_epoch,
        more=lambda seed: epoch(further_batches(seed)),
        small=lambda: map(epoch, small_batches()),
        given=given,
        shown=lambda value: f"a float {value:.5g}",
        same=lambda got, other: near(got, other, 1e-4),
    )


def matrix_by_hand(batches: list[Batch]) -> np.ndarray:
    """Pixel by pixel: rows are the target's classes, columns the predicted ones."""
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    for images, target in batches:
        for true, predicted in zip(target.numpy().ravel(), predictions(images), strict=True):
            if true != VOID:
                matrix[true, predicted] += 1
    return matrix


def predictions(images: Tensor) -> list[int]:
    """The class that each pixel of a batch gets, one after the other."""
    weight = start_weight().astype(np.float64)
    scores = np.einsum("bchw,kc->bhwk", images.double().numpy(), weight)
    return scores.argmax(-1).ravel().tolist()


def _mistakes_of_evaluation(x: Epoch) -> dict[str, object]:
    """Likely cause → the confusion matrix that it gives, or a test of it."""
    expected, batches = matrix_by_hand(x.batches), x.batches
    parts = [matrix_by_hand([batch]) for batch in batches]
    pixels = sum(target.numel() for _, target in batches)
    first = matrix_by_hand([(images[:1], target[:1]) for images, target in batches])
    return {
        "rows and columns are swapped: update(predictions, target)": expected.T,
        "nothing was counted: confusion.update for every batch": np.zeros_like(expected),
        "the matrix is divided; it holds counts": expected / expected.sum(),
        "each row is divided by its sum; the matrix holds counts": (
            expected / expected.sum(1, keepdims=True)
        ),
        "the matrix was averaged over the batches; it adds up": expected / len(batches),
        "the prediction is the target itself: logits.argmax(dim=1)": np.diag(expected.sum(1)),
        "every batch was counted twice": 2 * expected,
        "every batch was counted once for each of its images": sum(
            part * len(target) for part, (_, target) in zip(parts, batches, strict=True)
        ),
        "only the first image of each batch was counted": first,
        "only the last batch was counted; the matrix adds up": parts[-1],
        "only the first batch was counted; the matrix adds up": parts[0],
        "the last batch is missing": sum(parts[:-1], np.zeros_like(expected)),
        "the targets are right, the predictions are wrong": (
            lambda got: np.array_equal(got.sum(1), expected.sum(1)) and got.dtype.kind in "iu"
        ),
        "void pixels are counted": lambda got: got.sum() == pixels,
    }


def evaluation_question(answer: Callable[[Epoch], object], can_repeat: bool = True) -> Question:
    """The confusion matrix of an evaluation; of a loader that can be run through once, or often."""

    def value(x: Epoch) -> object:
        got = answer(x)
        is_fine = isinstance(got, Tensor) and got.shape == (CLASSES, CLASSES)
        return got.cpu().numpy() if is_fine else NoValue(describe(got))

    def given(x: Epoch) -> str:
        if sum(target.numel() for _, target in x.batches) > 4:
            return f"{len(x.batches)} batches; rows are the target's classes"
        pairs = [
            f"target {target.ravel().tolist()}, predictions {predictions(images)}"
            for images, target in x.batches
        ]
        return f"{'; then '.join(pairs)}; rows are the target's classes"

    def same(got: np.ndarray, other: np.ndarray) -> bool:
        is_right = other.dtype == np.int64
        return np.allclose(got, other) and (got.dtype.kind in "iu" or not is_right)

    def mistakes(x: Epoch) -> dict[str, object]:
        found = _mistakes_of_evaluation(x)
        expected = matrix_by_hand(x.batches)
        if not can_repeat:  # a list was right
            found = {"the loader can be run through only once": np.zeros_like(expected)}
        return {"the matrix holds counts, int64": lambda got: np.array_equal(got, expected)} | {
            cause: each if callable(each) else each.astype(float) for cause, each in found.items()
        }

    return Question(
        answer=value,
        right=lambda x: matrix_by_hand(x.batches),
        mistakes=mistakes,
        more=lambda seed: Epoch(further_batches(seed)),
        small=lambda: map(Epoch, small_batches()),
        given=given,
        shown=lambda matrix: f"{np.round(matrix, 3).tolist()}, {matrix.dtype}",
        same=same,
    )
