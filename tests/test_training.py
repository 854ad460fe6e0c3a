"""The training loop: one epoch, the evaluation, and runs that are stopped and go on."""

import csv
import itertools
import math
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from data import get_dataloaders
from losses import FocalLoss, WeightedCrossEntropy
from metrics import macro_f1
from models import UNet
from support.assembly import forget_early_end, make_limits
from support.engine.loading import Share
from support.engine.processes import Processes
from support.engine.runs import TensorBoardLog, load_checkpoint
from support.engine.schedules import (
    PLATEAU_FACTOR,
    PLATEAU_PATIENCE,
    SCHEDULERS,
    build_optimizer,
    build_scheduler,
    clip_gradients,
)
from support.engine.session import Interrupted, Limits, Progress, StopRequest, TrainingState
from support.engine.weights import fix_batch_norm
from support.formats.labels import CLASS_NAMES, PALETTE
from training import Panels, Setup, evaluate, fit, train_in_parts, train_one_epoch
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
def test_evaluate_judges_the_whole_set_whatever_the_batches(batch_size):
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
    for truth, guess in zip(target.flatten(), logits.argmax(1).flatten(), strict=True):
        if truth != 255:
            expected[truth, guess] += 1
    assert torch.equal(matrix, expected)


def rates_of(name: str, steps: int, **options) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = build_scheduler(name, optimizer, horizon=100, **options)
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
        build_scheduler("step", optimizer, 10)
    with pytest.raises(LabError, match="share"):
        build_scheduler("poly", optimizer, 10, warm_up=1.0)
    with pytest.raises(LabError, match="adam, adamw, sgd"):
        build_optimizer("lion", nn.Linear(1, 1), 0.1, 0.0)


def make_setup(
    run: Path,
    total_steps: int,
    criterion=None,
    stop_at: int | None = None,
    in_training: bool = True,
    scheduler: str = "cosine",
    **limits,
) -> tuple[Setup, TrainingState]:
    """A small run of three steps per epoch; it gets a SIGTERM in step `stop_at`, or after it."""
    run.mkdir(exist_ok=True)
    seed_everything(3)
    model = UNet(len(CLASS_NAMES), num_blocks=2, base_channels=4)
    optimizer = build_optimizer("adamw", model, 0.01, 0.01)
    state = TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=build_scheduler(scheduler, optimizer, 9),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        horizon=9,
        images_per_step=4,
    )

    def stop_in_time(*_):
        if state.step + model.training == stop_at and model.training is in_training:
            signal.raise_signal(signal.SIGTERM)

    model.register_forward_pre_hook(stop_in_time)
    train_loader, val_loader = squares_batches()
    setup = Setup(
        run=run,
        device=torch.device("cpu"),
        processes=Processes(),
        limits=Limits(total_steps, **limits),
        autocast_dtype=None,
        train_loader=train_loader,
        val_loader=val_loader,
        criterion=criterion or WeightedCrossEntropy(),
        log=TensorBoardLog(run, CLASS_NAMES),
        panels=Panels(Squares(), CLASS_NAMES, PALETTE, (0.5,) * 3, (0.5,) * 3),
        about_model={"name": "unet"},
    )
    return setup, state


def train(setup: Setup, state: TrainingState) -> None:
    """`fit`, as main.py calls it: with an ear for signals."""
    stop = StopRequest()
    with stop.listening():
        stop.waits = True
        fit(setup, state, stop)


def go_on(run: Path, total_steps: int, **options) -> TrainingState:
    """Goes on with a run from its last.pt, in fresh objects."""
    setup, state = make_setup(run, total_steps, **options)
    state.load(load_checkpoint(run / "last.pt"))
    forget_early_end(state, setup.limits, setup.train_loader)
    train(setup, state)
    return state


def history_of(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["images_per_second"]
    return rows


def test_fit_writes_a_row_per_epoch_and_ends_at_the_step(tmp_path):
    train(*make_setup(tmp_path, 8))
    rows = history_of(tmp_path)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3"), ("2", "6"), ("3", "8")]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    best = load_checkpoint(tmp_path / "best.pt", ("model", "score", "name", "matrix"))
    assert best["score"] == max(float(row["val_macro_f1"]) for row in rows)
    assert macro_f1(best["matrix"]) == best["score"]


@pytest.mark.parametrize(
    ("stop_at", "in_training"),
    [(1, True), (2, True), (3, True), (4, True), (8, True), (3, False), (8, False)],
)
def test_fit_goes_on_bit_for_bit_after_a_signal(tmp_path, stop_at, in_training):
    setup, state = make_setup(tmp_path / "whole", 8)
    train(setup, state)
    setup, stopped = make_setup(tmp_path / "parts", 8, None, stop_at, in_training)
    with pytest.raises(Interrupted):
        train(setup, stopped)
    assert stopped.step == stop_at
    resumed = go_on(tmp_path / "parts", 8)
    assert torch.equal(weights_of(state.model), weights_of(resumed.model))
    assert history_of(tmp_path / "whole") == history_of(tmp_path / "parts")


def test_fit_with_more_steps_goes_on_inside_the_last_epoch(tmp_path):
    setup, state = make_setup(tmp_path / "whole", 8)
    train(setup, state)
    train(*make_setup(tmp_path / "parts", 4))
    longer = go_on(tmp_path / "parts", 8)
    assert torch.equal(weights_of(state.model), weights_of(longer.model))
    assert history_of(tmp_path / "whole") == history_of(tmp_path / "parts")


def test_fit_stops_where_the_loss_is_no_number_and_keeps_the_last_epoch(tmp_path):
    class Explodes(WeightedCrossEntropy):
        def forward(self, logits, target):
            loss = super().forward(logits, target)
            return loss * float("nan") if state.step == 4 and logits.requires_grad else loss

    setup, state = make_setup(tmp_path, 8, Explodes())
    with pytest.raises(LabError, match=r"nan.*step 5.*--lr"):
        train(setup, state)
    last = load_checkpoint(tmp_path / "last.pt")
    assert last["step"] == 3 and all(v.isfinite().all() for v in last["model"].values())


def test_fit_saves_inside_the_epoch_when_it_is_time(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("training.save_state", lambda setup, state: saved.append(state.step))
    train(*make_setup(tmp_path, 6, save_minutes=1e-9))
    assert set(saved) == {0, 1, 2, 3, 4, 5, 6}
    saved.clear()
    train(*make_setup(tmp_path, 6, save_minutes=60))
    assert saved == [3, 6]


def test_fit_ends_when_no_score_gets_better(tmp_path):
    setup, state = make_setup(tmp_path / "run", 100, patience=2)
    for group in state.optimizer.param_groups:
        group["lr"] = 0.0
    state.scheduler.base_lrs = [0.0]
    state.model.apply(lambda each: setattr(each, "momentum", 0.0))  # nothing changes at all
    train(setup, state)
    assert [row["epoch"] for row in state.history] == [1, 2, 3]
    resumed = go_on(tmp_path / "run", 100, patience=2)
    assert resumed.step == 9  # it had ended, and stays so
    resumed = go_on(tmp_path / "run", 12, patience=50)
    assert resumed.step == 12


def test_fit_ends_in_time_with_an_evaluation(tmp_path, monkeypatch):
    clock = itertools.count()  # every look at it takes a second
    monkeypatch.setattr("time.perf_counter", clock.__next__)
    setup, state = make_setup(tmp_path, 10**6, minutes=2, export_seconds=7, started=0.0)
    train(setup, state)
    assert 80 < next(clock) <= 120
    assert 3 < state.step < 10**6 and state.is_evaluated
    started = float(next(clock))
    resumed = go_on(tmp_path, 10**6, minutes=2, started=started)
    assert resumed.step == state.step  # the minutes are those of the whole run
    resumed = go_on(tmp_path, state.step + 5, minutes=60, started=started)
    assert resumed.step == state.step + 5


def test_time_that_is_up_stays_up(tmp_path):
    """The short steps of an evaluation make a lower guess of what is still needed."""
    setup, state = make_setup(tmp_path, 9, minutes=60, started=time.perf_counter())
    progress = Progress(
        state, setup.limits, setup.device, setup.processes, StopRequest(), None, list, 1
    )
    progress.decide()
    assert not progress.time_is_up
    progress.time_is_up = True
    progress.decide()
    assert progress.time_is_up


def test_fit_lowers_the_rate_on_a_plateau_and_remembers_it(tmp_path):
    def make(run, steps):
        setup, state = make_setup(run, steps, scheduler="plateau")
        state.model.apply(lambda each: setattr(each, "momentum", 0.0))
        state.scheduler.base_lrs = [1e-12]  # too small to change a score
        return setup, state

    train(*make(tmp_path / "whole", 30))
    train(*make(tmp_path / "parts", 12))
    setup, state = make(tmp_path / "parts", 30)
    state.load(load_checkpoint(tmp_path / "parts" / "last.pt"))
    train(setup, state)
    rates = [float(row["lr"]) for row in history_of(tmp_path / "parts")]
    assert rates == [float(row["lr"]) for row in history_of(tmp_path / "whole")]
    waited = PLATEAU_PATIENCE + 1
    assert rates[waited - 1] == pytest.approx(1e-12)
    assert rates[waited + 1] == pytest.approx(1e-12 * PLATEAU_FACTOR)
    assert rates[-1] == pytest.approx(1e-12 * PLATEAU_FACTOR**2)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("make", [WeightedCrossEntropy, FocalLoss])
def test_train_in_parts_does_what_one_large_batch_does(make, parts):
    """float32 sums in another order: the weights agree to 1e-5 after six steps."""
    models, losses = [], []
    for share in (Share(6), Share(6 // parts, accumulate=parts)):
        model = small_model().double()
        fix_batch_norm(model)  # its statistics would be those of the parts
        loader, _ = get_dataloaders(
            Squares(), Squares(), share.batch_size, 0, 1, accumulate=share.accumulate
        )
        loader = [(images.double(), target) for _ in range(3) for images, target in loader]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        steps = [(n, share.parts(n)) for _ in range(3) for n in (6, 5)]
        loss = train_in_parts(
            model, loader, make(weights=torch.tensor([1.0, 2.0, 5.0])), optimizer, "cpu",
            steps=steps, processes=Processes(),
        )  # fmt: skip
        models.append(model)
        losses.append(loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert torch.allclose(weights_of(models[0]), weights_of(models[1]), atol=1e-5)
    assert not torch.allclose(weights_of(models[0]), weights_of(small_model()), atol=1e-2)


def test_train_in_parts_of_one_is_train_one_epoch():
    results = []
    for in_parts in (False, True):
        model = small_model()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        arguments = (model, squares_batches()[0], WeightedCrossEntropy(), optimizer, "cpu")
        if in_parts:
            steps = [(n, [n]) for n in (4, 4, 3)]
            loss = train_in_parts(*arguments, steps=steps, processes=Processes())
        else:
            loss = train_one_epoch(*arguments)
        results.append((loss, weights_of(model)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)


def test_train_in_parts_weighs_other_losses_by_their_valid_pixels():
    class Dice(nn.Module):
        def forward(self, logits, target):
            return logits.mean() * (target != 255).float().mean()

    model = small_model().eval()
    fix_batch_norm(model)
    batches = list(squares_batches(batch_size=2)[0])[:2]
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    loss = train_in_parts(
        model, batches, Dice(), frozen, "cpu", steps=[(4, [2, 2])], processes=Processes()
    )
    pixels = [(target != 255).sum().item() for _, target in batches]
    values = [Dice()(model(images), target).item() for images, target in batches]
    expected = sum(n * v for n, v in zip(pixels, values, strict=True)) / sum(pixels)
    assert loss == pytest.approx(expected, rel=1e-4)


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
    panels = Panels(Squares(), CLASS_NAMES, PALETTE, (0.5,) * 3, (0.5,) * 3)
    image, _ = Squares()[0]
    expected = ((image * 0.5 + 0.5) * 255).round().clip(0, 255).permute(1, 2, 0).numpy()
    assert np.array_equal(panels.pictures[0], expected.astype(np.uint8))


def test_more_layers_and_scales_keep_back_more_time_for_the_export():
    options = {"patience": None, "max_minutes": 5.0, "save_minutes": 10.0}
    layers = [nn.Sequential(*(nn.ReLU() for _ in range(count))) for count in (10, 100, 100)]
    layers[2].eval_scales = (0.5, 1.0, 2.0)
    kept = [make_limits(options, 9, model, 0.0).export_seconds for model in layers]
    assert kept[2] - kept[0] > 2.5 * (kept[1] - kept[0]) > 0
