"""Further cases of TODO 6.1: an epoch of training."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.cases.epochs import (
    Noted,
    OnDevice,
    Pixelwise,
    Watched,
    check_mean_loss,
    check_means,
    check_raw_logits,
    check_weighted_mean,
    cross_entropy,
    has_parameter,
    loss_of,
    once,
)
from checks.common import VOID, Batch, elsewhere, near, numbers
from checks.diagnosis.chapter_6 import (
    CHANNELS,
    CLASSES,
    MOMENTUM,
    RATE,
    Epoch,
    make_batches,
    mistakes_of_training,
    start_weight,
    step_by_hand,
    weights_after,
    weights_question,
)
from commands.companion.checking import wrong
from metrics import LossMeter
from training import train_one_epoch


def sgd(model: nn.Module, rate: float = RATE, momentum: float = MOMENTUM) -> torch.optim.Optimizer:
    """Descent over all parameters."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)


def check_weight(got: np.ndarray, expected: np.ndarray, mistakes: dict, given: str) -> None:
    """Compares trained weights with those trained by hand."""
    if np.allclose(got, expected, rtol=1e-3, atol=1e-4):
        return
    found = [
        each for each, value in mistakes.items() if np.allclose(got, value, rtol=1e-3, atol=1e-4)
    ]
    likely = found[0] if found else None
    wrong(
        given=given,
        expected=f"weights {numbers(expected[0])} for class 0",
        got=numbers(got[0]),
        likely=likely,
    )


def trained(x: Epoch) -> np.ndarray:
    """The weights after an epoch."""
    model = Pixelwise()
    train_one_epoch(model, x.batches, cross_entropy(), sgd(model, x.rate), "cpu")
    return model.weight()


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_every_batch_makes_a_step_of_its_own() -> None:
    """After an epoch the weights are those of a step for each batch."""
    weights_question(trained).check(Epoch(make_batches()))


def two_layers() -> nn.Module:
    """A model with four parameters, the same each time."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Conv2d(CHANNELS, 5, 1), nn.Tanh(), nn.Conv2d(5, CLASSES, 1))


def descended(batches: list[Batch], kept: set[int]) -> list[Tensor]:
    """The four parameters after an epoch; those in `kept` never forget a gradient."""
    model = two_layers()
    names = [name for name, _ in model.named_parameters()]
    values = [parameter.detach().clone() for parameter in model.parameters()]
    sums = [torch.zeros_like(value) for value in values]
    for images, target in batches:
        given = dict(zip(names, (each.requires_grad_() for each in values), strict=True))
        logits = torch.func.functional_call(model, given, (images,))
        slopes = torch.autograd.grad(cross_entropy()(logits, target), list(given.values()))
        sums = [
            slope + (old if i in kept else 0)
            for i, (old, slope) in enumerate(zip(sums, slopes, strict=True))
        ]
        values = [(a - RATE * b).detach() for a, b in zip(values, sums, strict=True)]
    return values


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_every_parameter_forgets_the_batch_before() -> None:
    """The gradients of all parameters are cleared before each step."""
    model, batches = two_layers(), make_batches()
    train_one_epoch(model, batches, cross_entropy(), sgd(model, momentum=0.0), "cpu")
    got = [parameter.detach() for parameter in model.parameters()]

    def is_near(kept: set[int]) -> bool:
        pairs = zip(got, descended(batches, kept), strict=True)
        return all(torch.allclose(a, b, atol=1e-4) for a, b in pairs)

    if is_near(set()):
        return
    subsets = (set(each) for n in range(1, 5) for each in itertools.combinations(range(4), n))
    likely = None
    if any(map(is_near, subsets)):
        likely = "gradients of earlier batches are left in some parameters: optimizer.zero_grad() "
        likely += "clears them all"
    wrong(
        given="three batches, a model of two layers with biases, SGD",
        expected=f"the last bias becomes {numbers(descended(batches, set())[-1])}",
        got=numbers(got[-1]),
        likely=likely,
    )


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_epochs_go_on_from_each_other() -> None:
    """A second epoch begins with the weights and momentum of the first."""
    model, batches = Pixelwise(), make_batches()
    optimizer = sgd(model)
    for _ in range(2):
        train_one_epoch(model, once(batches), cross_entropy(), optimizer, torch.device("cpu"))
    expected = weights_after(batches * 2, [RATE] * 6)
    mistakes = {
        "gradients add up from batch to batch: zero_grad() is missing": (
            weights_after(batches * 2, [RATE] * 6, "accumulate")
        ),
    }
    check_weight(model.weight(), expected, mistakes, "two epochs of three batches")


def mean_while_training(x: Epoch) -> object:
    """What `train_one_epoch` returns."""
    model = Pixelwise()
    options = {"ignore_index": x.void} if has_parameter(train_one_epoch, "ignore_index") else {}
    optimizer = sgd(model, x.rate, 0.0)
    return train_one_epoch(model, once(x.batches), loss_of(x), optimizer, "cpu", **options)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_mean_loss_weighs_the_batches_by_their_valid_pixels() -> None:
    """A small batch, or one full of void, counts for less."""
    check_means(mean_while_training, has_parameter(train_one_epoch, "ignore_index"), 0.1)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_mean_loss_weighs_by_the_denominators_of_a_weighted_loss() -> None:
    """With class weights, a batch counts by its Σ w."""
    check_weighted_mean(mean_while_training)


@pytest.mark.todo("6.1", points=3, needs=[])
@pytest.mark.parametrize("mode", [True, False])
def test_6_1_model_trains_in_training_mode(mode: bool) -> None:
    """All layers are in training mode at each batch."""
    model = Watched().train(mode)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    train_one_epoch(model, make_batches(), cross_entropy(), sgd(model, 0.01), "cpu")
    given = f"a model in {'training' if mode else 'evaluation'} mode"
    for number, (modes, _, _) in enumerate(model.log):
        if modes != {True}:
            got = "evaluation mode" if modes == {False} else "training mode for some layers only"
            likely = "model.train() before the first batch, and no model.eval()"
            where = f"training mode in all layers at batch {number}"
            wrong(given=given, expected=where, got=got, likely=likely)
    moved = not torch.equal(state["rest.0.running_mean"], model.rest[0].running_mean)
    if len(model.log) != 3 or not moved:
        expected = "a forward pass per batch, which the batch normalisation follows"
        wrong(given=given, expected=expected, got=f"{len(model.log)} passes, statistics {moved}")


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_loss_is_given_the_logits() -> None:
    """The criterion gets the model's output as it is, and the target."""
    model, criterion, batches = Watched(), Noted(), make_batches()
    train_one_epoch(model, batches, criterion, sgd(model, 0.01), "cpu")
    check_raw_logits(model, criterion, len(batches))


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_batches_are_taken_to_the_device() -> None:
    """Images and target go to the device before they are used."""
    model = OnDevice(Pixelwise(), "images")
    criterion = OnDevice(cross_entropy(), "the target")
    optimizer = sgd(model)
    train_one_epoch(model, elsewhere(make_batches()), criterion, optimizer, torch.device("cpu"))


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_schedule_goes_on_after_every_step() -> None:
    """The learning rate changes after each step of the optimiser."""
    model, batches = Pixelwise(), make_batches()
    optimizer = sgd(model)
    options = {}
    factors = [1.0, 0.5, 0.1, 0.0]
    if has_parameter(train_one_epoch, "scheduler"):
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[min(step, 3)])
        options["scheduler"] = schedule
    else:
        factors = [1.0] * 4
    train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    rates = [RATE * each for each in factors]
    steps = schedule.last_epoch if options else 3
    if steps == 1:
        likely = "it was stepped once, after all batches; step it after every step of the optimiser"
        wrong(given="3 batches", expected="3 steps of the scheduler", got=steps, likely=likely)
    mistakes = {
        "the learning rate never changed: the scheduler was not stepped after each batch": (
            weights_after(batches, [RATE] * 3)
        ),
        "the scheduler was stepped before the optimiser": weights_after(batches, rates[1:]),
        "the scheduler was stepped twice": (weights_after(batches, [rates[0], rates[2], rates[3]])),
        "the weights are as before: no step(), or zero_grad() between backward() and step()": (
            start_weight()
        ),
    }
    given = f"learning rates {numbers(rates)} by the scheduler"
    check_weight(model.weight(), weights_after(batches, rates[:3]), mistakes, given)
    if steps != 3:
        likely = "step it once after every step of the optimiser"
        wrong(given="3 batches", expected="3 steps of the scheduler", got=steps, likely=likely)


class NotedScaler(torch.amp.GradScaler):
    """Counts its steps."""

    steps = 0

    def step(self, *arguments: object, **options: object) -> float | None:
        """As always."""
        self.steps += 1
        return super().step(*arguments, **options)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_scaled_losses_give_the_same_step() -> None:
    """A gradient scaler changes neither the step nor the mean loss."""
    model, batches = Pixelwise(), make_batches()
    optimizer, options = sgd(model), {}
    if has_parameter(train_one_epoch, "scaler"):
        options["scaler"] = NotedScaler("cpu", init_scale=256.0, growth_interval=1)
    value = train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    expected = weights_after(batches, [RATE] * 3)
    if np.abs(model.weight() - start_weight()).max() > 20:
        likely = "the gradients are still scaled: scaler.step(optimizer), not optimizer.step()"
        likely = likely if options and not options["scaler"].steps else None
        got = numbers(model.weight()[0])
        given = "a scaler of 256"
        wrong(given=given, expected=numbers(expected[0]), got=got, likely=likely)
    check_weight(model.weight(), expected, mistakes_of_training(batches), "a scaler of 256")
    weights = [weights_after(batches[:n], [RATE] * n) for n in range(3)]
    parts = [step_by_hand(each, *batch) for each, batch in zip(weights, batches, strict=True)]
    losses, counts = [part[0] for part in parts], [float(part[2]) for part in parts]
    check_mean_loss(value, losses, counts, {}, "a scaler of 256: it scales the gradients alone")


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_meter_goes_on_counting() -> None:
    """The mean includes what the given meter had counted before."""
    model, batches = Pixelwise(), make_batches()
    weight = start_weight().astype(np.float64)
    parts = [step_by_hand(weight, images, target) for images, target in batches]
    losses, counts = [part[0] for part in parts], [float(part[2]) for part in parts]
    options = {}
    if has_parameter(train_one_epoch, "meter"):
        meter = options["meter"] = LossMeter()
        meter.add(torch.tensor(7.0), torch.tensor(40))
        losses, counts = [7.0, *losses], [40.0, *counts]
    optimizer = sgd(model, 0.0, 0.0)
    value = train_one_epoch(model, batches, cross_entropy(), optimizer, "cpu", **options)
    here = float(np.dot(losses[1:], counts[1:]) / sum(counts[1:]))
    words = "this leaves out what the meter had counted before; count with the meter given"
    given = "a meter that has counted 40 pixels of loss 7" if options else "three batches"
    check_mean_loss(value, losses, counts, {words: here} if options else {}, given)
    if options and not near(meter.mean(), value, 1e-4):
        likely = "an interrupted epoch goes on with this meter: meter.add for every batch"
        got = f"{meter.mean():.5g}"
        wrong(given=given, expected=f"its mean is {value:.5g}", got=got, likely=likely)


@pytest.mark.todo("6.1", points=3, needs=[])
def test_6_1_after_step_is_called_after_every_step() -> None:
    """after_step comes after optimiser and meter, with the batch's size."""
    model, batches = Pixelwise(), make_batches()
    calls, options, meter = [], {}, LossMeter()

    def after_step(images: int) -> None:
        meter.settle()
        calls.append((images, model.weight().copy(), meter.denominator))

    if has_parameter(train_one_epoch, "after_step"):
        options["after_step"] = after_step
    if has_parameter(train_one_epoch, "meter"):
        options["meter"] = meter
    train_one_epoch(model, batches, cross_entropy(), sgd(model), "cpu", **options)
    weights = [weights_after(batches[:n], [RATE] * n) for n in range(4)]
    check_weight(model.weight(), weights[-1], mistakes_of_training(batches), "three batches")
    if "after_step" not in options:
        return
    given, got = "batches of 3, 1 and 2 images", [images for images, _, _ in calls]
    if got != [3, 1, 2]:
        likely = "after_step(len(images)) at the end of every batch"
        wrong(given=given, expected="after_step with 3, 1, 2", got=got, likely=likely)
    for number, (_, weight, _) in enumerate(calls):
        if not np.allclose(weight, weights[number + 1], atol=1e-3):
            likely = "after_step comes after the optimiser's step: a run may be stopped there"
            where = f"after_step of batch {number}"
            wrong(given=where, expected="weights after it", got="other weights", likely=likely)
    counted = np.cumsum([float((target != VOID).sum()) for _, target in batches]).tolist()
    if "meter" in options and [each for _, _, each in calls] != counted:
        is_late = [each for _, _, each in calls] == [0, *counted[:-1]]
        likely = (
            "meter.add comes before after_step: a run may be stopped there" if is_late else None
        )
        got = [each for _, _, each in calls]
        wrong(given=given, expected=f"{counted} pixels counted then", got=got, likely=likely)
