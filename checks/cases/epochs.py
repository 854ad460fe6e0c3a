"""Models and losses that note how an epoch uses them: what the cases of chapter 6 share."""

import inspect
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from checks.common import VOID, Batch, Elsewhere, describe, near, numbers, recognise
from checks.diagnosis.chapter_6 import (
    CHANNELS,
    CLASS_WEIGHTS,
    CLASSES,
    Epoch,
    make_batches,
    mean_question,
    start_weight,
)
from commands.companion.checking import wrong


class Pixelwise(nn.Module):
    """A 1×1 convolution without bias: logits that numpy can compute too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CLASSES, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(start_weight())[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, K, H, W)."""
        return self.conv(images)

    def weight(self) -> np.ndarray:
        """(K, C)."""
        return self.conv.weight.detach().double().numpy()[:, :, 0, 0]


class Log(list):
    """What happened during the forward passes; copies of a model write into the same one."""

    def __deepcopy__(self, memo: dict) -> "Log":
        return self


class Watched(nn.Module):
    """Has what behaves differently in training, and notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.pixelwise, self.log = Pixelwise(), Log()
        self.rest = nn.Sequential(nn.BatchNorm2d(CLASSES), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, K, H, W)."""
        logits = self.rest(self.pixelwise(images))
        modes = {each.training for each in self.modules()}
        self.log.append((modes, logits.requires_grad, logits.detach().clone()))
        return logits


class WeightedChannel(nn.Module):
    """No real loss: the true class's weighted mean of the first logit, divided by Σ w."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(CLASS_WEIGHTS))
        self.ignore_index = VOID

    def pixel_weights(self, target: Tensor) -> Tensor:
        """(B, H, W), 0 for void."""
        return torch.cat((self.weights, torch.zeros(252)))[target.long()]

    def denominator(self, target: Tensor) -> Tensor:
        """Σ w."""
        return self.pixel_weights(target).sum()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Σ w·logit / Σ w, 0 where nothing counts."""
        weights = self.pixel_weights(target)
        return (weights * logits[:, 0]).sum() / weights.sum().clamp(min=1e-6)


def has_parameter(function: Callable, name: str) -> bool:
    """Whether a function has this option; answers may replace functions by simpler ones."""
    return name in inspect.signature(function).parameters


def cross_entropy(void: int = VOID) -> nn.Module:
    """PyTorch's own loss."""
    return nn.CrossEntropyLoss(ignore_index=void)


def check_mean_loss(
    value: object, losses: list[float], counts: list[float], mistakes: dict[str, float], given: str
) -> None:
    """Compares a mean loss with the sum of numerators over the sum of denominators."""
    if not isinstance(value, float):
        likely = "leave the graph and the tensor behind: .item(), or the meter's mean()"
        wrong(given=given, expected="a float", got=describe(value), likely=likely)
    expected = float(np.dot(losses, counts) / sum(counts))
    if near(value, expected, 1e-4):
        return
    likely = recognise(value, mistakes, 1e-4)
    given = f"{given}, their losses {numbers(losses)} with denominators {numbers(counts)}"
    wrong(given=given, expected=f"{expected:.5g}", got=f"{value:.5g}", likely=likely)


class OnDevice(nn.Module):
    """Refuses what is still elsewhere: a model of images, or a loss of logits and target."""

    def __init__(self, inner: nn.Module, words: str) -> None:
        super().__init__()
        self.inner, self.words = inner, words

    def forward(self, *inputs: Tensor) -> Tensor:
        """As the inner module."""
        if any(isinstance(each, Elsewhere) for each in inputs):
            wrong(
                given="batches that do not lie on the device",
                expected=f"{self.words} taken to the device first",
                got=f"{self.words} as the loader gave them",
                likely="images, target = to_device(images, target, device)",
            )
        return self.inner(*inputs)


class Noted(nn.Module):
    """A loss that notes the logits that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.log = cross_entropy(), Log()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The cross entropy."""
        self.log.append(logits.detach().clone())
        return self.inner(logits, target)


def check_raw_logits(model: Watched, criterion: Noted, num_batches: int) -> None:
    """The loss was given what the model gave, batch by batch."""
    given = f"{num_batches} batches"
    if len(model.log) != num_batches or len(criterion.log) < num_batches:
        got = f"{len(model.log)} forward passes, {len(criterion.log)} losses"
        wrong(given=given, expected=f"{num_batches} of each", got=got)
    for (_, _, logits), seen in zip(model.log, criterion.log, strict=False):
        if logits.shape == seen.shape and torch.allclose(logits, seen.float(), atol=1e-5):
            continue
        likely = None
        if torch.allclose(seen.float(), logits.softmax(1), atol=1e-5):
            likely = "these are probabilities: the loss has its own softmax, give it the logits"
        elif torch.allclose(seen.float(), logits.log_softmax(1), atol=1e-5):
            likely = "these are log-probabilities: the loss has its own softmax; give it the logits"
        elif torch.allclose(seen.float(), logits.sigmoid(), atol=1e-5):
            likely = "these are sigmoids: the loss has its own softmax, give it the logits"
        expected = f"criterion(logits, target) with logits {numbers(logits.flatten()[:4])}"
        wrong(given=given, expected=expected, got=numbers(seen.flatten()[:4]), likely=likely)


def once(batches: list[Batch]) -> Iterator[Batch]:
    """A loader that can be run through once, and has no length, as in `fit`."""
    yield from batches


def loss_of(x: Epoch) -> nn.Module:
    """The loss that an epoch is for."""
    return WeightedChannel() if x.is_weighted else cross_entropy(x.void)


def check_means(run: Callable[[Epoch], object], can_ignore: bool, rate: float) -> None:
    """The mean loss with one ignore index and with another, where there is a choice."""
    for void in (VOID, 254) if can_ignore else (VOID,):
        mean_question(run, rate).check(Epoch(make_batches(void), void, rate))


def check_weighted_mean(run: Callable[[Epoch], object]) -> None:
    """The mean loss with class weights, and with a batch that is void altogether."""
    images, target = make_batches()[0]
    batches = [*make_batches(), (images, torch.full_like(target, VOID))]
    mean_question(run, 0.0, True).check(Epoch(batches, VOID, 0.0, True))
