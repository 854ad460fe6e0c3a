"""Further cases of TODO 6.2: the evaluation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from checks.cases.epochs import (
    Noted,
    OnDevice,
    Pixelwise,
    Watched,
    check_means,
    check_raw_logits,
    check_weighted_mean,
    cross_entropy,
    has_parameter,
    loss_of,
    once,
)
from checks.common import describe, elsewhere, near
from checks.diagnosis.chapter_6 import CLASSES, Epoch, evaluation_question, make_batches
from commands.companion.checking import wrong
from training import evaluate


def mean_while_evaluating(x: Epoch) -> object:
    """The loss that `evaluate` returns."""
    options = {"ignore_index": x.void} if has_parameter(evaluate, "ignore_index") else {}
    return run_evaluate(Pixelwise(), once(x.batches), loss_of(x), **options)[0]


def run_evaluate(
    model: nn.Module, batches: object, criterion: nn.Module, **options: object
) -> tuple[float, Tensor]:
    """What `evaluate` returns, after a look at whether it is a loss and a matrix."""
    was_enabled = torch.is_grad_enabled()
    try:
        result = evaluate(model, batches, criterion, torch.device("cpu"), CLASSES, **options)
        is_enabled = torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(was_enabled)
    given = "three batches"
    if is_enabled is not was_enabled:
        likely = "set_grad_enabled(False) stays; `with torch.no_grad():` ends with its block"
        expected, got = "gradients possible again afterwards", "they stay switched off"
        wrong(given=given, expected=expected, got=got, likely=likely)
    expected = "(mean loss, confusion matrix)"
    if not isinstance(result, tuple) or len(result) != 2:
        wrong(given=given, expected=expected, got=describe(result))
    if isinstance(result[1], float):
        is_swapped = isinstance(result[0], Tensor) and result[0].shape == (CLASSES, CLASSES)
        likely = "the order is swapped" if is_swapped else None
        got = f"({describe(result[0])}, {describe(result[1])})"
        wrong(given=given, expected=expected, got=got, likely=likely)
    return result


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_confusion_matrix_of_the_whole_set() -> None:
    """The matrix counts all batches, of a list or of a generator."""
    for kind in (list, once):

        def matrix(x: Epoch, kind: Callable = kind) -> object:
            return run_evaluate(Pixelwise(), kind(x.batches), cross_entropy())[1]

        evaluation_question(matrix, kind is list).check(Epoch(make_batches()))


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_mean_loss_weighs_the_batches_by_their_valid_pixels() -> None:
    """A small batch, or one full of void, counts for less."""
    check_means(mean_while_evaluating, has_parameter(evaluate, "ignore_index"), 0.0)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_mean_loss_weighs_by_the_denominators_of_a_weighted_loss() -> None:
    """With class weights, a batch counts by its Σ w."""
    check_weighted_mean(mean_while_evaluating)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
@pytest.mark.parametrize("mode", [True, False])
def test_6_2_model_is_judged_in_evaluation_mode_and_gets_its_mode_back(mode: bool) -> None:
    """All layers are in evaluation mode, and afterwards as before."""
    model = Watched().train(mode)
    run_evaluate(model, make_batches(), cross_entropy())
    given = f"a model in {'training' if mode else 'evaluation'} mode"
    for number, (modes, _, _) in enumerate(model.log):
        if modes != {False}:
            got = "training mode" if modes == {True} else "training mode for some layers"
            likely = "model.eval() before the first batch: no dropout, and statistics that stand"
            where = f"evaluation mode in all layers at batch {number}"
            wrong(given=given, expected=where, got=got, likely=likely)
    modes = {each.training for each in model.modules()}
    if modes != {mode}:
        got = "evaluation mode" if mode else "training mode"
        likely = "was_training = model.training; model.eval(); ...; model.train(was_training)"
        wrong(given=given, expected="that mode afterwards", got=got, likely=likely)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
@pytest.mark.parametrize("mode", [True, False])
def test_6_2_nothing_of_the_model_changes(mode: bool) -> None:
    """Weights, running statistics and gradients stay as they were."""
    model, batches = Watched().train(mode), make_batches()
    model.rest[0].running_mean.fill_(0.3)
    model.rest[0].running_var.fill_(1.7)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    run_evaluate(model, batches, cross_entropy())
    given, expected = f"a model, training mode {mode}", "the same model afterwards"
    for key, value in model.state_dict().items():
        if not torch.equal(value, state[key]):
            name = key.removeprefix("pixelwise.").removeprefix("rest.0.")
            likely = "only training steps change weights"
            if "running" in key or "batches" in key:
                likely = "the batch normalisation learned from the validation pictures: eval()"
            wrong(given=given, expected=expected, got=f"{name} has changed", likely=likely)
    for parameter in model.parameters():
        likely = "evaluation needs no backward(), no zero_grad() and no requires_grad_()"
        if not parameter.requires_grad:
            got = "parameters that can no longer be trained"
            wrong(given=given, expected=expected, got=got, likely=likely)
        if parameter.grad is None or not torch.equal(
            parameter.grad, torch.full_like(parameter, 0.25)
        ):
            got = "other gradients in the parameters"
            wrong(given=given, expected=expected, got=got, likely=likely)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_no_gradients_are_recorded() -> None:
    """The forward pass builds no graph."""
    model = Watched()
    _, matrix = run_evaluate(model, make_batches(), cross_entropy())
    for number, (_, has_gradient, _) in enumerate(model.log):
        if has_gradient:
            likely = "with torch.no_grad(): around the forward pass; else memory is spent for it"
            got = "logits with a graph"
            wrong(given=f"batch {number}", expected="no graph of gradients", got=got, likely=likely)
    if len(model.log) != 3 or matrix.requires_grad:
        wrong(given="3 batches", expected="3 forward passes", got=len(model.log))


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_loss_is_given_the_logits() -> None:
    """The criterion gets the model's output as it is, and the target."""
    model, criterion, batches = Watched(), Noted(), make_batches()
    run_evaluate(model, batches, criterion)
    check_raw_logits(model, criterion, len(batches))


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_evaluations_do_not_know_of_each_other() -> None:
    """A second evaluation gives the same loss and matrix."""
    model, batches = Pixelwise(), make_batches()
    first = run_evaluate(model, batches, cross_entropy())
    second = run_evaluate(model, batches, cross_entropy())
    if not near(second[0], first[0]) or not torch.equal(first[1], second[1]):
        expected = f"loss {first[0]:.5g}, {int(first[1].sum())} pixels, twice"
        got = f"then loss {second[0]:.5g}, {int(second[1].sum())} pixels"
        wrong(given="the same set twice", expected=expected, got=got)


@pytest.mark.todo("6.2", points=3, needs=["4.1"])
def test_6_2_batches_are_taken_to_the_device() -> None:
    """Images and target go to the device before they are used."""
    model = OnDevice(Pixelwise(), "images")
    criterion = OnDevice(cross_entropy(), "the target")
    evaluate(model, elsewhere(make_batches()), criterion, torch.device("cpu"), CLASSES)
