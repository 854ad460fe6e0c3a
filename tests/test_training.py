"""The training loop: one epoch, the evaluation, and runs that are stopped and go on."""

import copy
import csv
import itertools
import json
import math
import os
import pickle
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from commands.command_line.advice import distortion
from commands.finetuning import prepare
from data import get_dataloaders
from losses import FocalLoss, WeightedCrossEntropy
from main import export_seconds
from metrics import macro_f1
from models import UNet
from support.engine.accumulation import (
    PartLoader,
    PartLoss,
    PartOptimizer,
    PartScaler,
    notes,
)
from support.engine.clipping import clip_gradients
from support.engine.folder import load_checkpoint
from support.engine.hardware import Machine, place, require_trainable
from support.engine.loading import Part, StepDivision, halved
from support.engine.processes import Processes
from support.engine.runs import Run
from support.engine.schedules import (
    PLATEAU_FACTOR,
    PLATEAU_PATIENCE,
    SCHEDULERS,
    Schedule,
    build_optimizer,
    orthogonal,
)
from support.engine.session import Interrupted, Limits, StopRequest, TrainingState
from support.engine.weights import FixedBatchNorm, fix_batch_norm
from support.formats.cityscapes import CITYSCAPES
from support.plots import Panels
from training import evaluate, fit, train_one_epoch
from utils import LabError, seed_everything


class Squares(Dataset):
    """Eleven pictures whose class shows in the first channel; a growing part of each is void."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(int(index))
        target = torch.randint(0, 3, (16, 16), generator=generator)
        image = torch.randn(3, 16, 16, generator=generator)
        image[0] += 2 * target
        target[: int(index)] = 255
        return image, target


def squares_batches(batch_size=4):
    return get_dataloaders(Squares(), Squares(), batch_size, 0, seed=1)


def small_model():
    torch.manual_seed(0)
    return UNet(3, num_blocks=2, base_channels=4)


def weights_of(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def test_train_one_epoch_does_what_a_plain_loop_does():
    criterion = WeightedCrossEntropy(torch.tensor([1.0, 2.0, 5.0]))
    ours, plain = small_model(), small_model()
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    mean_loss = train_one_epoch(ours, squares_batches()[0], criterion, optimizer, "cpu")

    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    numerator = denominator = 0.0
    for images, target in squares_batches()[0]:
        logits = plain(images.contiguous(memory_format=torch.channels_last))
        loss = criterion(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        weight = criterion.weights[target[target != 255]].sum().item()
        numerator, denominator = numerator + loss.item() * weight, denominator + weight
    assert torch.equal(weights_of(ours), weights_of(plain))
    assert mean_loss == pytest.approx(numerator / denominator, rel=1e-4)


def test_train_one_epoch_trains_in_training_mode():
    model = small_model().eval()
    before = weights_of(model.encoder.blocks[0].block1[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    train_one_epoch(model, squares_batches()[0], WeightedCrossEntropy(), optimizer, "cpu")
    assert model.training
    assert not torch.equal(before, weights_of(model.encoder.blocks[0].block1[-1]))


def test_train_one_epoch_steps_the_schedule_after_every_step():
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    loader, seen = squares_batches()[0], []
    train_one_epoch(
        model, loader, WeightedCrossEntropy(), optimizer, "cpu",
        scheduler=scheduler, after_step=seen.append,
    )  # fmt: skip
    assert optimizer.param_groups[0]["lr"] == 0.5**3
    assert seen == [4, 4, 3]


def test_train_one_epoch_takes_any_criterion_and_weighs_by_valid_pixels():
    batches = list(squares_batches()[0])
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    model = small_model()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    mean_loss = train_one_epoch(model, batches, criterion, frozen, torch.device("cpu"))
    ours = train_one_epoch(small_model(), batches, WeightedCrossEntropy(), frozen, "cpu")
    assert mean_loss == pytest.approx(ours, rel=1e-5)


def test_train_one_epoch_survives_a_batch_of_void():
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    images, target = torch.randn(2, 3, 16, 16), torch.full((2, 16, 16), 255)
    assert train_one_epoch(model, [(images, target)], FocalLoss(), optimizer, "cpu") == 0.0
    assert torch.isfinite(weights_of(model)).all()


def test_train_one_epoch_in_bfloat16_keeps_weights_in_float32():
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    loss = train_one_epoch(
        model, squares_batches()[0], WeightedCrossEntropy(), optimizer, "cpu",
        autocast_dtype=torch.bfloat16,
    )  # fmt: skip
    assert math.isfinite(loss)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("mode", [True, False])
def test_evaluate_changes_nothing(mode):
    model = small_model().train(mode)
    before = weights_of(model).clone()
    evaluate(model, squares_batches()[1], WeightedCrossEntropy(), "cpu", 3)
    assert model.training is mode
    assert torch.equal(before, weights_of(model))


def test_evaluate_restores_the_mode_after_an_error():
    model = small_model().train()
    with pytest.raises(ValueError, match="class ids"):
        evaluate(model, squares_batches()[1], lambda logits, target: logits.mean(), "cpu", 2)
    assert model.training


@pytest.mark.parametrize("batch_size", [1, 4, 11])
def test_evaluate_counts_the_whole_set_whatever_the_batches(batch_size):
    model, criterion = small_model(), WeightedCrossEntropy(torch.tensor([1.0, 2.0, 5.0]))
    for _ in range(3):  # away from the first statistics of the batch normalisation
        model.train()(torch.randn(4, 3, 16, 16))
    loss, matrix = evaluate(model, squares_batches(batch_size)[1], criterion, "cpu", 3)
    images, target = (
        torch.stack(parts) for parts in zip(*map(Squares().__getitem__, range(11)), strict=True)
    )
    with torch.no_grad():
        logits = model.eval()(images)
    assert loss == pytest.approx(criterion(logits, target).item(), rel=1e-5)
    expected = torch.zeros(3, 3, dtype=torch.int64)
    for true, predicted in zip(target.flatten(), logits.argmax(1).flatten(), strict=True):
        if true != 255:
            expected[true, predicted] += 1
    assert torch.equal(matrix, expected)


@pytest.mark.parametrize("is_placed", [True, False])
def test_placed_batch_normalisation_gets_a_dense_gradient(is_placed):
    """Where outputs are concatenated it is a slice, with which a CPU takes ten times as long."""
    norm, x = nn.BatchNorm2d(4), torch.randn(2, 4, 6, 6)
    if is_placed:
        place(norm, torch.device("cpu"))
    output, seen = norm(x.contiguous(memory_format=torch.channels_last)), []
    output.grad_fn.register_prehook(lambda gradients: seen.append(gradients[0]))
    weights = torch.rand(2, 6, 6, 6)
    (torch.cat([torch.zeros(2, 2, 6, 6), output], dim=1) * weights).sum().backward()
    torch.testing.assert_close(seen[0], weights[:, 2:])
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == is_placed


def test_a_placed_network_without_gradients_is_as_it_was():
    network = place(nn.Sequential(nn.BatchNorm2d(3)), torch.device("cpu"))
    assert network(torch.zeros(1, 3, 4, 4))._backward_hooks
    with torch.no_grad():
        assert not network(torch.zeros(1, 3, 4, 4))._backward_hooks
    again = pickle.loads(pickle.dumps(network)).eval()
    assert torch.equal(again(torch.ones(1, 3, 4, 4)), network.eval()(torch.ones(1, 3, 4, 4)))


def test_synchronised_batch_norm_is_not_rehearsed_where_it_cannot_run():
    """On several GPUs; elsewhere its forward pass raises an error."""
    model = nn.SyncBatchNorm.convert_sync_batchnorm(small_model())
    require_trainable(model, (2, 3, 16, 16))
    with pytest.raises(LabError, match="cannot train on a batch of 1"):
        require_trainable(small_model(), (1, 3, 4, 4))


def rates_of(name: str, steps: int, **options) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = Schedule(name, optimizer, horizon=100, **options)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedules_warm_up_then_fall_to_their_end(name):
    rates = rates_of(name, 110)
    assert max(rates) == pytest.approx(2.0) and min(rates) >= 0.0
    if name == "constant":
        assert set(rates) == {2.0}
        return
    assert rates[0] < rates[3] < rates[5] == pytest.approx(2.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    end = {"exponential": 0.02, "plateau": 2.0}.get(name, 0.0)
    assert rates[100:] == pytest.approx([end] * 10)


def test_schedules_warm_up_as_long_as_they_are_told():
    rates = rates_of("constant", 30, warm_up=0.2)
    assert rates[:20] == pytest.approx([2.0 * (k + 1) / 21 for k in range(20)])
    assert set(rates[20:]) == {2.0}
    assert rates_of("cosine", 1, warm_up=0.0) == [2.0]


def test_schedules_follow_their_formulas():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    assert SCHEDULERS["cosine"](0.5) == pytest.approx(0.5)
    assert SCHEDULERS["poly"](0.5) == pytest.approx(0.5**0.9)
    assert SCHEDULERS["exponential"](0.5) == pytest.approx(0.1)
    with pytest.raises(LabError, match="constant, poly, cosine"):
        Schedule("step", optimizer, 10)
    with pytest.raises(LabError, match="fraction"):
        Schedule("poly", optimizer, 10, warm_up=1.0)
    with pytest.raises(LabError, match="adam, adamw, sgd"):
        build_optimizer("lion", nn.Linear(1, 1), 0.1, 0.0)


def begin(
    run: Path,
    total_steps: int,
    criterion=None,
    stop_at: int | None = None,
    in_training: bool = True,
    scheduler: str = "cosine",
    horizon: int = 9,
    started: float | None = None,
    average: float = 0.0,
    **limits,
) -> tuple[Callable[[], None], TrainingState]:
    """A small run of three steps per epoch, new or gone on with where its folder is there.

    It gets a SIGTERM in step `stop_at`, or after it. Returns what trains it, and its state.
    """
    seed_everything(3)
    model = UNet(len(CITYSCAPES), num_blocks=2, base_channels=4)
    optimizer = build_optimizer("adamw", model, 0.01, 0.01)
    schedule = Schedule(scheduler, optimizer, horizon)
    machine = Machine(torch.device("cpu"), None, Processes())
    state = TrainingState(
        model, optimizer, schedule, machine.scaler(), images_per_step=4, labels={},
        average=copy.deepcopy(model) if average else None, average_share=average,
    )  # fmt: skip

    def stop_in_time(network, _):
        if state.step + network.training == stop_at and network.training is in_training:
            signal.raise_signal(signal.SIGTERM)

    for each in {model, state.kept_model}:
        each.register_forward_pre_hook(stop_in_time)
    loaders = squares_batches()
    options = {"logdir": str(run.parent), "name": run.name, "model": "unet", "loss": "wce"}
    labels = {"name": "squares", "classes": []}
    config = {"command": "", "arguments": options, "data_fingerprint": "a b", "labels": labels}
    config["git_commit"] = None
    is_there = run.exists()
    about = {"name": "unet", "mean": (0.5,) * 3, "std": (0.5,) * 3, **CITYSCAPES.about_classes()}
    panels = Panels(Squares(), about)

    def train() -> None:
        with StopRequest(machine.processes) as stop:
            stop.started = stop.started if started is None else started
            opened = Run(
                config, run if is_there else None, state,
                Limits(total_steps, **limits), machine, stop, *loaders, about, panels,
            )  # fmt: skip
            loss = criterion or WeightedCrossEntropy()
            with opened:
                fit(model, *loaders, loss, optimizer, schedule, opened)

    return train, state


def train(run: Path, total_steps: int, **options) -> TrainingState:
    """Begins a run, or goes on with it, and trains it as far as it goes."""
    go, state = begin(run, total_steps, **options)
    go()
    return state


def history_of(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["images_per_second"]
    return rows


def test_fit_writes_a_row_per_epoch_and_ends_at_the_step(tmp_path):
    train(tmp_path / "run", 8)
    rows = history_of(tmp_path / "run")
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3"), ("2", "6"), ("3", "8")]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    best = load_checkpoint(tmp_path / "run" / "best.pt", ("model", "score", "name", "matrix"))
    assert best["score"] == max(float(row["val_macro_f1"]) for row in rows)
    assert macro_f1(best["matrix"]) == best["score"]


@pytest.mark.parametrize(
    ("stop_at", "in_training"),
    [(1, True), (2, True), (3, True), (4, True), (8, True), (3, False), (8, False)],
)
def test_fit_goes_on_bit_for_bit_after_a_signal(tmp_path, stop_at, in_training):
    state = train(tmp_path / "whole", 8, average=0.4)
    go, stopped = begin(tmp_path / "parts", 8, None, stop_at, in_training, average=0.4)
    with pytest.raises(Interrupted) as interrupted:
        go()
    assert stopped.step == stop_at and interrupted.value.code == 143
    resumed = train(tmp_path / "parts", 8, average=0.4)
    assert torch.equal(weights_of(state.model), weights_of(resumed.model))
    assert torch.equal(weights_of(state.average), weights_of(resumed.average))
    assert history_of(tmp_path / "whole") == history_of(tmp_path / "parts")


def test_fit_with_more_steps_goes_on_inside_the_last_epoch(tmp_path):
    state = train(tmp_path / "whole", 8)
    train(tmp_path / "parts", 4)
    longer = train(tmp_path / "parts", 8)
    assert torch.equal(weights_of(state.model), weights_of(longer.model))
    assert history_of(tmp_path / "whole") == history_of(tmp_path / "parts")


def test_fit_evaluates_paints_and_keeps_the_average(tmp_path, monkeypatch):
    used, paint = [], Panels.paint
    monkeypatch.setattr(
        Panels,
        "paint",
        lambda panels, model, *words: used.append(model) or paint(panels, model, *words),
    )
    monkeypatch.setattr(Processes, "align_buffers", lambda _, model: used.append(model))
    state = train(tmp_path / "run", 8, average=0.5)
    assert len(used) == 6 and all(model is state.average for model in used)
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert best["step"] == 8 and not torch.equal(*map(weights_of, (state.model, state.average)))
    assert all(map(torch.equal, best["model"].values(), state.average.state_dict().values()))
    _, matrix = evaluate(
        state.average, squares_batches()[1], WeightedCrossEntropy(), "cpu", len(CITYSCAPES)
    )
    assert torch.equal(matrix, best["matrix"])


def test_the_average_weighs_later_steps_more():
    """With a share of 1/k, step t of T has the weight C(t - 1, k - 1) / C(T, k)."""
    model, k, values = nn.BatchNorm2d(1), 4, [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0, 5.0]
    state = TrainingState(model, None, None, None, 1, {}, copy.deepcopy(model), 1 / k)
    for value in values:
        nn.init.constant_(model.weight, value)
        nn.init.constant_(model.running_mean, -value)
        model.num_batches_tracked += 1
        state.count_step()
    weights = [math.comb(t, k - 1) / math.comb(len(values), k) for t in range(len(values))]
    expected = sum(weight * value for weight, value in zip(weights, values, strict=True))
    assert sum(weights) == pytest.approx(1) and state.step == len(values)
    assert state.average.weight.item() == pytest.approx(expected)
    assert state.average.running_mean.item() == pytest.approx(-expected)
    assert state.average.num_batches_tracked == len(values)
    assert state.kept_model is state.average


def test_a_module_with_two_names_is_averaged_once():
    model = nn.Linear(1, 1, bias=False)
    model.again = model.weight
    twice = nn.Sequential(model, model)
    state = TrainingState(twice, None, None, None, 1, {}, copy.deepcopy(twice), 0.5)
    for value in (0.0, 0.0, 3.0):
        nn.init.constant_(model.weight, value)
        state.count_step()
    assert state.average[1].weight.item() == pytest.approx(2.0)


@pytest.mark.parametrize("damage", ["missing", "nan"])
def test_fit_does_not_go_on_with_a_damaged_average(tmp_path, damage):
    train(tmp_path / "run", 3, average=0.5)
    last = load_checkpoint(tmp_path / "run" / "last.pt")
    if damage == "missing":
        del last["average"]
    else:
        next(iter(last["average"].values())).fill_(math.nan)
    torch.save(last, tmp_path / "run" / "last.pt")
    with pytest.raises(LabError, match=r"last\.pt: does not fit"):
        train(tmp_path / "run", 6, average=0.5)


class Explodes(WeightedCrossEntropy):
    """No number from the step on that follows `after` calls in training."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def forward(self, logits, target):
        self.left -= logits.requires_grad
        loss = super().forward(logits, target)
        return loss * float("nan") if self.left < 0 else loss


def test_fit_stops_where_the_loss_is_no_number_and_keeps_the_last_epoch(tmp_path):
    with pytest.raises(LabError, match=r"nan.*step 5.*--lr"):
        train(tmp_path / "run", 8, criterion=Explodes(after=4))
    last = load_checkpoint(tmp_path / "run" / "last.pt")
    assert last["step"] == 3 and all(v.isfinite().all() for v in last["model"].values())


class FailsOnlyInEvaluation(WeightedCrossEntropy):
    """A number in training alone, as where only the running statistics have exploded."""

    def forward(self, logits, target):
        loss = super().forward(logits, target)
        return loss if logits.requires_grad else loss * float("nan")


def test_fit_stops_where_the_validation_loss_is_no_number(tmp_path):
    with pytest.raises(LabError, match=r"validation loss became nan; try a lower --lr"):
        train(tmp_path / "run", 8, criterion=FailsOnlyInEvaluation())
    assert not (tmp_path / "run").exists()


def test_fit_saves_inside_the_epoch_when_it_is_time(tmp_path, monkeypatch):
    saved, save = [], TrainingState.save
    monkeypatch.setattr(
        TrainingState, "save", lambda state, *words: saved.append(state.step) or save(state, *words)
    )
    train(tmp_path / "often", 6, save_minutes=1e-9)
    assert set(saved) == {0, 1, 2, 3, 4, 5, 6}
    saved.clear()
    train(tmp_path / "seldom", 6, save_minutes=60)
    assert saved == [0, 3, 6]


def stand_still(state: TrainingState) -> None:
    """Nothing changes at all from one epoch to the next."""
    state.scheduler.base_lrs = [0.0]
    for group in state.optimizer.param_groups:
        group["lr"] = 0.0
    state.model.apply(lambda each: setattr(each, "momentum", 0.0))


def test_fit_ends_when_no_score_gets_better(tmp_path):
    go, state = begin(tmp_path / "run", 100, patience=2, horizon=100)
    stand_still(state)
    go()
    assert [row["epoch"] for row in state.history] == [1, 2, 3]
    resumed = train(tmp_path / "run", 100, patience=2, horizon=100)
    assert resumed.step == 9  # it had ended, and stays so
    assert train(tmp_path / "run", 12, patience=50, horizon=100).step == 12


def test_fit_ends_in_time_with_an_evaluation(tmp_path, monkeypatch):
    clock = itertools.count()  # every look at it takes a second
    monkeypatch.setattr("time.perf_counter", clock.__next__)
    endless = {"total_steps": 10**6, "horizon": 10**6}
    state = train(tmp_path / "run", **endless, minutes=2, export_seconds=7, started=0.0)
    assert 80 < next(clock) <= 120
    assert 3 < state.step < 10**6 and state.is_evaluated
    started = float(next(clock))
    resumed = train(tmp_path / "run", **endless, minutes=2, started=started)
    assert resumed.step == state.step  # the minutes are those of the whole run
    resumed = train(tmp_path / "run", state.step + 5, minutes=60, started=started)
    assert resumed.step == state.step + 5


def test_fit_lowers_the_rate_on_a_plateau_and_remembers_it(tmp_path):
    def go_on(run, steps):
        go, state = begin(run, steps, scheduler="plateau")
        state.model.apply(lambda each: setattr(each, "momentum", 0.0))
        state.scheduler.base_lrs = [1e-12]  # too small to change a score
        go()

    go_on(tmp_path / "whole", 30)
    go_on(tmp_path / "parts", 12)
    go_on(tmp_path / "parts", 30)
    rates = [float(row["lr"]) for row in history_of(tmp_path / "parts")]
    assert rates == [float(row["lr"]) for row in history_of(tmp_path / "whole")]
    waited = PLATEAU_PATIENCE + 1
    assert rates[waited - 1] == pytest.approx(1e-12)
    assert rates[waited + 1] == pytest.approx(1e-12 * PLATEAU_FACTOR)
    assert rates[-1] == pytest.approx(1e-12 * PLATEAU_FACTOR**2)


def in_parts(model, share: StepDivision, criterion, optimizer) -> dict:
    """What `train_one_epoch` is handed for steps of several parts."""
    part, machine = Part(), Machine(torch.device("cpu"), None, Processes())
    batches, _ = get_dataloaders(
        Squares(), Squares(), share.batch_size, 0, 1, accumulate=share.accumulate
    )
    loader = PartLoader(batches, model, criterion, machine, part, 255)
    loss, optimizer = PartLoss(criterion, loader), PartOptimizer(optimizer, part)
    scaler = PartScaler(machine.scaler(), part)
    return {"loader": loader, "criterion": loss, "optimizer": optimizer, "scaler": scaler}


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("make", [WeightedCrossEntropy, FocalLoss])
def test_steps_in_parts_do_what_one_large_batch_does(make, parts):
    """float32 sums in another order: the weights agree to 1e-5 after six steps."""
    models, losses = [], []
    for share in (StepDivision(6), StepDivision(6 // parts, accumulate=parts)):
        model = small_model()
        fix_batch_norm(model)  # its statistics would be those of the parts
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        criterion = make(weights=torch.tensor([1.0, 2.0, 5.0]))
        handed = in_parts(model, share, criterion, optimizer)
        losses += [train_one_epoch(model, device="cpu", **handed) for _ in range(3)]
        models.append(model)
    assert losses[:3] == pytest.approx(losses[3:], rel=1e-5)
    assert torch.allclose(weights_of(models[0]), weights_of(models[1]), atol=1e-5)
    assert not torch.allclose(weights_of(models[0]), weights_of(small_model()), atol=1e-2)


def test_steps_in_one_part_are_plain_steps():
    results = []
    for handed in (None, in_parts):
        model, criterion = small_model(), WeightedCrossEntropy()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        plain = {"loader": squares_batches()[0], "criterion": criterion, "optimizer": optimizer}
        words = handed(model, StepDivision(4), criterion, optimizer) if handed else plain
        results.append((train_one_epoch(model, device="cpu", **words), weights_of(model)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)


def test_steps_in_parts_weigh_other_losses_by_their_valid_pixels():
    class Dice(nn.Module):
        def forward(self, logits, target):
            return logits.mean() * (target != 255).float().mean()

    model = small_model().eval()
    fix_batch_norm(model)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    share = StepDivision(2, accumulate=2)
    loss = train_one_epoch(model, device="cpu", **in_parts(model, share, Dice(), frozen))
    batches, _ = get_dataloaders(Squares(), Squares(), 2, 0, 1, accumulate=2)
    pixels, values = [], []
    for images, target in batches:
        pixels.append((target != 255).sum().item())
        values.append(Dice()(model(images), target).item())
    expected = sum(n * v for n, v in zip(pixels, values, strict=True)) / sum(pixels)
    assert loss == pytest.approx(expected, rel=1e-4)


def test_an_evaluation_after_steps_in_parts_has_the_plain_loss():
    model, criterion = small_model(), WeightedCrossEntropy()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    handed = in_parts(model, StepDivision(2, accumulate=2), criterion, frozen)
    for _ in zip(range(2), handed["loader"], strict=False):
        pass  # a step that the loop leaves in the middle of the epoch
    loss = evaluate(model, squares_batches()[1], handed["criterion"], "cpu", 3)[0]
    assert loss == evaluate(model, squares_batches()[1], criterion, "cpu", 3)[0]


def test_clip_gradients_shortens_long_ones_alone():
    weight = nn.Linear(2, 1, bias=False)
    optimizer = build_optimizer("sgd", weight, 1.0, 0.0)
    clip_gradients(weight, optimizer, torch.amp.GradScaler("cpu", enabled=False), 1.0)
    for gradient, moved in (([3.0, 4.0], [0.6, 0.8]), ([0.3, 0.4], [0.3, 0.4])):
        optimizer.state.clear()  # the momentum
        before = weight.weight.detach().clone()
        weight.weight.grad = torch.tensor([gradient])
        optimizer.step()
        assert (before - weight.weight).tolist()[0] == pytest.approx(moved, rel=1e-4)


def test_panels_show_the_photo_again(tmp_path):
    about = {"mean": (0.5,) * 3, "std": (0.5,) * 3, **CITYSCAPES.about_classes()}
    panels = Panels(Squares(), about)
    image, _ = Squares()[0]
    expected = ((image * 0.5 + 0.5) * 255).round().clip(0, 255).permute(1, 2, 0).numpy()
    assert np.array_equal(panels.pictures[0], expected.astype(np.uint8))


def test_more_layers_and_scales_keep_back_more_time_for_the_export():
    layers = [nn.Sequential(*(nn.ReLU() for _ in range(count))) for count in (10, 100, 100)]
    layers[2].eval_scales = (0.5, 1.0, 2.0)
    kept = [export_seconds(model) for model in layers]
    assert kept[2] - kept[0] > 2.5 * (kept[1] - kept[0]) > 0


def test_a_signal_that_comes_out_of_cpp_as_another_error_still_ends_the_run(capsys):
    with pytest.raises(Interrupted) as ended, StopRequest(Processes()):
        try:
            signal.raise_signal(signal.SIGTERM)
        except Interrupted as error:  # as pybind11 does of what its callbacks raise
            raise RuntimeError("Exception raised from read") from error
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "stopped before the first step; nothing was changed\n"
    with pytest.raises(RuntimeError, match="another"), StopRequest(Processes()):
        raise RuntimeError("another")


# ------------------------------------------------------------------------------ small images first


def test_half_of_a_batch_averages_pixels_and_takes_ids():
    image = torch.arange(8.0).view(1, 1, 2, 4)
    images, target = halved(image, torch.tensor([[[0, 1, 2, 3], [4, 5, 6, 255]]]))
    assert images.tolist() == [[[[2.5, 4.5]]]]  # (0 + 1 + 4 + 5) / 4, (2 + 3 + 6 + 7) / 4
    assert target.tolist() == [[[5, 255]]]
    odd = halved(torch.zeros(2, 3, 5, 7), torch.zeros(2, 5, 7, dtype=torch.int64))
    assert odd[0].shape[2:] == odd[1].shape[1:] == (2, 3)


def test_rate_falls_by_what_steps_cost():
    """Eight small steps cost as much as the two large ones after them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = Schedule("cosine", optimizer, 10, warm_up=0.0, small_share=0.8)
    rates, small = [], []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        small.append(schedule.is_small)
        optimizer.step()
        schedule.step()
    assert small == [True] * 8 + [False] * 2
    assert rates[0] == 1 and rates[8] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_evaluations_may_be_fewer_than_epochs(tmp_path):
    """Three steps an epoch: rows after the second epoch and at the end, in the third."""
    train(tmp_path / "run", 8, every=2)
    rows = history_of(tmp_path / "run")
    assert [(row["epoch"], row["step"]) for row in rows] == [("2", "6"), ("3", "8")]


@pytest.mark.parametrize("stop", [2, 3, 4, 6, 7])
def test_a_run_with_few_evaluations_goes_on_where_it_was(tmp_path, stop):
    train(tmp_path / "whole", 9, every=2)
    train(tmp_path / "run", stop, every=2)
    train(tmp_path / "run", 9, every=2)
    assert history_of(tmp_path / "run") == history_of(tmp_path / "whole")


# ------------------------------------------------------------------------------------------- muon


@pytest.mark.parametrize("shape", [(4, 27), (16, 9), (8, 8)])
def test_orthogonal_makes_all_singular_values_about_one(shape):
    """The iteration is made to end between 0.7 and 1.2, in the same directions."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonal(matrix) @ v.mT
    assert torch.allclose(found, found.diagonal().diag(), atol=1e-9)
    assert found.diagonal().min() > 0.6 and found.diagonal().max() < 1.3


def test_orthogonal_is_four_steps_from_the_largest_row_sum():
    """The bound is exact where all singular values are equal; each is then p(p(p(p(1))))."""
    rows = 7 * torch.linalg.qr(torch.randn(576, 64, dtype=torch.float64))[0].mT
    value = 1.0
    for _ in range(4):
        value *= 3.4445 - 4.7750 * value**2 + 2.0315 * value**4
    assert torch.allclose(orthogonal(rows), value * rows / 7, atol=1e-9)


def test_orthogonal_of_nothing_is_nothing():
    assert torch.equal(orthogonal(torch.zeros(4, 9)), torch.zeros(4, 9))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_keeps_a_momentum_and_looks_ahead_of_it(layout):
    """Two steps with gradients g and h: the second goes along h + 0.8 (0.8 g + h)."""
    first, second = torch.randn(2, 4, 3, 3, 3)
    start = torch.randn(4, 3, 3, 3)
    layer = nn.ParameterList([start.clone(memory_format=layout)])
    muon = build_optimizer("muon", layer, 0.01, 0.0)
    for gradient in (first, second):
        layer[0].grad = gradient.clone(memory_format=layout)
        muon.step()
    ways = orthogonal(first.flatten(1)) + orthogonal((1.8 * second + 0.64 * first).flatten(1))
    assert torch.allclose(layer[0], start - 0.1 * ways.view_as(start), atol=1e-5)


def test_muon_moves_convolutions_by_the_direction_alone_and_the_rest_as_adamw():
    weights = {
        "wide": torch.randn(4, 3, 3, 3),
        "head": torch.randn(5, 4, 1, 1),
        "bias": torch.ones(5),
    }
    moved = {}
    for factor in (1.0, 1000.0):  # of the gradients, which makes no difference
        layer = nn.ParameterDict({name: value.clone() for name, value in weights.items()})
        muon = build_optimizer("muon", layer, 0.01, 0.1)
        for weight in layer.values():
            weight.grad = factor * torch.arange(1.0, weight.numel() + 1).view_as(weight)
        muon.step()
        moved[factor] = {name: weight.detach() for name, weight in layer.items()}
    assert all(torch.allclose(moved[1.0][name], moved[1000.0][name], atol=1e-5) for name in weights)
    gradient = torch.arange(1.0, 109).view(4, 27)
    expected = weights["wide"] * (1 - 0.1 * 0.1) - 0.1 * orthogonal(gradient).view(4, 3, 3, 3)
    assert torch.allclose(moved[1.0]["wide"], expected, atol=1e-5)
    rest = nn.ParameterDict({name: weights[name].clone() for name in ("head", "bias")})
    adamw = build_optimizer("adamw", rest, 0.01, 0.1)
    for weight in rest.values():
        weight.grad = torch.arange(1.0, weight.numel() + 1).view_as(weight)
    adamw.step()
    assert all(torch.allclose(moved[1.0][name], rest[name], atol=1e-6) for name in rest)


def test_muon_goes_on_where_its_state_was_saved():
    def steps(layer: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            layer(torch.ones(1, 3, 4, 4)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    whole = nn.Conv2d(3, 4, 3)
    other = nn.Conv2d(3, 4, 3)
    other.load_state_dict(whole.state_dict())
    first = build_optimizer("muon", whole, 0.01, 0.1)
    steps(whole, first, 4)
    second, third = (build_optimizer("muon", other, 0.01, 0.1) for _ in range(2))
    steps(other, second, 2)
    third.load_state_dict(second.state_dict())
    steps(other, third, 2)
    assert torch.equal(whole.weight, other.weight) and torch.equal(whole.bias, other.bias)


def test_config_says_what_auto_came_to_also_after_a_resume(tmp_path):
    expected = {"device": "cpu", "precision": "float32", "processes": 1, "num_workers": 0}
    for total_steps in (3, 6):
        train(tmp_path / "run", total_steps, horizon=9)
        config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
        assert config["resolved"] == {**expected, "horizon": 9}
        assert config["data_fingerprint"] == "a b" and config["labels"]["name"] == "squares"


def test_fine_tuning_freezes_and_warns_of_random_weights():
    options = SimpleNamespace(weights=None, finetune_from=None, pretrained=False)
    for part, learning, fixed, is_new, count in (
        ("last", 2, True, True, 1), ("all", 30, False, True, 0), ("last", 2, True, False, 0)
    ):  # fmt: skip
        model = UNet(3, num_blocks=1, base_channels=4)
        options.train, options.fix_batchnorm = part, fixed
        assert len(prepare(model, options, ("a", "b", "c"), is_new)) == count
        assert sum(each.requires_grad for each in model.parameters()) == learning
        assert any(isinstance(each, FixedBatchNorm) for each in model.modules()) == fixed


def test_steps_of_several_batches_say_what_their_statistics_are():
    for model, processes, has_gpu, is_fixed, count in (
        (UNet(3, 1, 4), 1, True, False, 1), (UNet(3, 1, 4), 2, True, False, 0),
        (UNet(3, 1, 4), 2, False, False, 1), (UNet(3, 1, 4), 1, False, True, 0),
        (nn.Conv2d(3, 3, 1), 1, False, False, 0),
    ):  # fmt: skip
        run = SimpleNamespace(
            state=SimpleNamespace(model=model), machine=SimpleNamespace(has_gpu=has_gpu),
            processes=Processes(count=processes), arguments={"fix_batchnorm": is_fixed},
        )  # fmt: skip
        assert len(notes(run)) == count


def test_a_size_that_distorts_is_named_with_a_better_one():
    assert distortion((128, 256), (100, 300)) == (
        "note: --img-size 128 256 distorts images of 100x300; --img-size 128 384 would not"
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an option of glibc's")
@pytest.mark.parametrize("keeps", [True, False])
def test_freed_memory_is_kept_for_the_next_steps(keeps):
    """Counted are page faults: a new page, of 4 KB or of 2 MB, makes one when it is first used."""
    code = (
        "import resource, torch\n"
        "from torch import nn\n"
        "from support.engine.hardware import keep_freed_memory\n"
        f"{'keep_freed_memory()' if keeps else ''}\n"
        "net = nn.Sequential(*[nn.Conv2d(16, 16, 3, padding=1) for _ in range(3)])\n"
        "images = torch.rand(2, 16, 256, 512)\n"
        "def steps(number):\n"
        "    for _ in range(number):\n"
        "        net(images).sum().backward()\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "before = steps(20)\n"
        "print(steps(20) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parent.parent,
        env=os.environ | {"PYTHONPATH": ".", "GLIBC_TUNABLES": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (int(done.stdout) < 6000) == keeps  # either 2 or so, or 24,000 and more
