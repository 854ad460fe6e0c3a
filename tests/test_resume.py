"""Runs that are stopped, killed, resumed and fine-tuned: nothing lost, nothing doubled."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from street_files import write_streets
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import main as command_line
import models
from support.engine import folder as folder_module
from support.engine.folder import (
    TensorBoardLog,
    create_run,
    load_checkpoint,
    put_best,
    save_checkpoint,
)
from support.engine.weights import FixedBatchNorm, fix_batch_norm, load_weights
from utils import LabError

LAB = Path(__file__).resolve().parent.parent
SMALL = ["--img-size", "16", "32", "--num-blocks", "2", "--base-channels", "4"]
SMALL += ["--recipe", "plain"]
SMALL += ["--batch-size", "3", "--num-workers", "0"]


def call(*words: object) -> int:
    """Runs main.py in this process; usage errors too come back as an exit code."""
    try:
        return command_line.main([str(word) for word in words])
    except SystemExit as exit_:
        return exit_.code


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"))


@pytest.fixture(scope="module")
def run(streets, tmp_path_factory):
    """A whole run of one epoch."""
    logdir = tmp_path_factory.mktemp("runs")
    words = ["--datadir", streets, "--epochs", 1, "--logdir", logdir, "--name", "a"]
    assert call("train", *words, *SMALL) == 0
    return logdir / "a"


# -------------------------------------------------------------------------------------- killed


def kill_runs(streets: Path, folder: Path, trials: int, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "tests/killing.py", streets, folder,
         "--trials", str(trials), "--seed", str(seed)],
        cwd=LAB, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the sessions of a run")
def test_killed_runs_end_as_if_nothing_had_happened(streets, tmp_path):
    """Twelve runs; `python tests/killing.py --trials 100` makes any number."""
    assert "12 runs, " in kill_runs(streets, tmp_path, trials=12, seed=0)


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_run_killed_between_its_files_goes_on_with_its_best(
    streets, tmp_path, monkeypatch, steps
):
    """Better weights are in best.pt, and last.pt does not know of them yet; then killed again.

    Seven images, three a step: the run had ended in the first epoch, after it, or in the second.
    """

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr("deploy.export_onnx", lambda *_: None)
    words = ["--datadir", streets, "--logdir", tmp_path, *SMALL, "--scheduler", "constant"]
    words += ["--lr", "0.05"]
    assert call("train", *words, "--name", "whole", "--max-steps", 6) == 0
    assert call("train", *words, "--name", "a", "--max-steps", steps) == 0
    longer = ["train", "--resume", tmp_path / "a", "--max-steps", 6]
    for what in ("runs.f1_per_class", "runs.Run.epochs", "runs.f1_per_class"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(f"support.engine.{what}", killed)
            call(*longer)
    assert call(*longer) == 0
    for name in ("best.pt", "last.pt"):
        ours, expected = (load_checkpoint(tmp_path / run / name) for run in ("a", "whole"))
        assert ours["step"] == expected["step"]
        assert all(torch.equal(ours["model"][key], expected["model"][key]) for key in ours["model"])
    assert not list((tmp_path / "a").glob("best-*.pt"))


def test_put_best_renames_what_waits_under_its_step(tmp_path):
    save_checkpoint(tmp_path / "best.pt", {"step": 3})
    save_checkpoint(tmp_path / "best-6.pt", {"step": 6})
    for row, expected in ((None, 3), ({"step": 3}, 3), ({"step": 6}, 6), ({"step": 6}, 6)):
        put_best(tmp_path, row)
        assert load_checkpoint(tmp_path / "best.pt")["step"] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("is_new", [True, False])
def test_save_checkpoint_keeps_the_last_one_when_the_disk_is_full(tmp_path, monkeypatch, is_new):
    path = tmp_path / "last.pt"
    if not is_new:
        save_checkpoint(path, {"step": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LabError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert [each.name for each in tmp_path.iterdir()] == ([] if is_new else ["last.pt"])
    if not is_new:
        assert load_checkpoint(path)["step"] == 1


def test_create_run_shows_no_folder_without_its_first_files(tmp_path):
    def dies(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_run(tmp_path, "a", "", dies)
    assert not list(tmp_path.iterdir())
    run = create_run(tmp_path, "a", "", lambda folder: (folder / "last.pt").touch())
    assert [path.name for path in run.iterdir()] == ["last.pt"]


# --------------------------------------------------------------------------------- what agrees


def test_resume_names_everything_that_differs(run, capsys):
    words = ["--resume", run, "--lr", "0.5", "--loss", "focal", "--epochs", "2"]
    assert call("train", *words) == 2
    error = capsys.readouterr().err
    assert "--lr 0.5 contradicts 0.003" in error and "--loss focal contradicts wce" in error
    assert "epochs" not in error and len(error.splitlines()) == 1


def test_resume_names_the_data_that_differ(run, streets, tmp_path, capsys):
    copy = shutil.copytree(streets, tmp_path / "streets")
    for path in (copy / "leftImg8bit" / "val").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("_000000_", "_000009_")))
    for path in (copy / "gtFine" / "val").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("_000000_", "_000009_")))
    own = shutil.copytree(run, tmp_path / "a")
    assert call("train", "--resume", own, "--datadir", copy, "--epochs", "2") == 2
    error = capsys.readouterr().err
    assert "the validation images are not those" in error and "training" not in error


def test_resume_refuses_steps_of_another_size(run, capsys):
    assert call("train", "--resume", run, "--batch-size", "2", "--epochs", "2") == 2
    assert "takes 3 images a step" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--name", "other"], ["--logdir", "elsewhere"]])
def test_resume_stays_in_its_folder(run, words, capsys):
    before = (run / "config.json").read_bytes()
    assert call("train", "--resume", run, *words) == 2
    assert "--resume goes on in" in capsys.readouterr().err
    assert (run / "config.json").read_bytes() == before
    assert call("train", "--resume", run, "--name", run.name, "--logdir", run.parent) == 0


@pytest.mark.slow
def test_dropout_goes_on_bit_for_bit_for_any_number_of_workers(streets, tmp_path):
    """Evaluations draw nothing from the generator that dropout goes by, here or in a worker."""
    words = ["--datadir", streets, "--logdir", tmp_path, "--model", "segformer_b0"]
    words += ["--img-size", "32", "64", "--batch-size", "2", "--scheduler", "constant"]
    words += ["--device", "cpu", "--loss", "dice_ce", "--accumulate", "2", "--recipe", "plain"]
    whole = ["--name", "whole", "--num-workers", "1", "--max-steps", "4"]
    assert call("train", *words, *whole) == 0
    assert call("train", *words, "--name", "a", "--num-workers", "0", "--max-steps", "2") == 0
    assert call("train", "--resume", tmp_path / "a", "--max-steps", "4") == 0
    ours, expected = (load_checkpoint(tmp_path / name / "last.pt") for name in ("a", "whole"))
    assert all(torch.equal(ours["model"][key], expected["model"][key]) for key in ours["model"])
    for rows in (ours["history"], expected["history"]):
        for row in rows:
            del row["images_per_second"]
    assert ours["history"] == expected["history"]


def test_auto_resume_begins_then_goes_on(streets, tmp_path, capsys):
    words = ["train", "--datadir", streets, "--logdir", tmp_path, *SMALL, "--auto-resume"]
    words += ["--scheduler", "constant"]
    assert call(*words, "--epochs", "1") == 2  # which run?
    assert "--name" in capsys.readouterr().err
    words += ["--name", "a"]
    assert call(*words, "--max-steps", "2") == 0
    begun = json.loads((tmp_path / "a" / "config.json").read_text())
    assert call(*words, "--max-steps", "4") == 0
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] == 4
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["command"].startswith(begun["command"])
    assert config["arguments"]["max_steps"] == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a second process holds the lock")
def test_a_run_is_trained_by_one_process_at_a_time(run, capsys):
    script = (
        "import sys, time; from pathlib import Path; from support.engine.folder import alone_in\n"
    )
    script += "with alone_in(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)\n"
    other = subprocess.Popen(
        [sys.executable, "-c", script, run], cwd=LAB, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "locked\n"
        assert call("train", "--resume", run, "--epochs", "1") == 2
        assert "another process is training this run" in capsys.readouterr().err
        assert call("train", "--resume", run, "--epochs", "99") == 2
        assert json.loads((run / "config.json").read_text())["arguments"]["epochs"] == 1
    finally:
        other.kill()
        other.wait()
    assert call("train", "--resume", run, "--epochs", "1") == 0  # a kill leaves no lock behind
    assert not (run / ".lock").exists()


def test_a_run_that_fails_at_once_leaves_its_name_free(streets, tmp_path, capsys):
    words = ["train", "--datadir", streets, "--logdir", tmp_path, "--name", "a", *SMALL]
    assert call(*words, "--lr", "1e30", "--optimizer", "sgd", "--max-steps", "9") == 2
    assert "--lr" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert call(*words, "--max-steps", "1") == 0


def spoil_config(run: Path, change) -> None:
    config = json.loads((run / "config.json").read_text())
    change(config)
    (run / "config.json").write_text(json.dumps(config))


def spoil_last(run: Path, **changes: object) -> None:
    torch.save(load_checkpoint(run / "last.pt") | changes, run / "last.pt")


MORE = ["--epochs", "2"]
SPOILT = {
    "no fingerprint": lambda run: spoil_config(run, lambda c: c.update(data_fingerprint="")),
    "other fingerprint": lambda run: spoil_config(run, lambda c: c.update(data_fingerprint=None)),
    "size": lambda run: spoil_config(run, lambda c: c["arguments"].update(img_size=5)),
    "batch size": lambda run: spoil_config(run, lambda c: c["arguments"].update(batch_size="x")),
    "seed": lambda run: spoil_config(run, lambda c: c["arguments"].update(seed=None)),
    "no end": lambda run: spoil_config(run, lambda c: c["arguments"].update(epochs=None)),
    "other optimiser": lambda run: spoil_config(run, lambda c: c["arguments"].update(
        optimizer="sgd")),
    "other model": lambda run: spoil_config(run, lambda c: c["arguments"].update(num_blocks=3)),
    "history": lambda run: spoil_last(run, history=3),
    "horizon": lambda run: spoil_last(run, scheduler={"horizon": "x"}),
    "step": lambda run: spoil_last(run, step=-5),
    "no numbers": lambda run: spoil_last(run, model={
        key: value / 0 for key, value in load_checkpoint(run / "last.pt")["model"].items()}),
    "score": lambda run: spoil_last(run, best_score=None),
    "no best.pt": lambda run: (run / "best.pt").unlink(),
    "cut off": lambda run: (run / "last.pt").write_bytes((run / "last.pt").read_bytes()[:999]),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_resume_of_a_spoilt_run_is_refused_in_one_line(run, tmp_path, capfd, spoil, request):
    copy = shutil.copytree(run, tmp_path / "a")
    spoil(copy)
    assert call("train", "--resume", copy, *([] if "end" in request.node.name else MORE)) == 2
    errors = capfd.readouterr().err.replace("\r", "\n").splitlines()
    lines = [line for line in errors if line and "image/s" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals a process group")
def test_a_signal_to_the_whole_group_saves_inside_the_epoch(streets, tmp_path):
    """As Slurm sends it: to the loader's workers too."""
    words = ["train", "--datadir", streets, "--logdir", tmp_path, "--name", "a", *SMALL]
    words += ["--num-workers", "2", "--max-steps", "100000"]
    process = subprocess.Popen(
        [sys.executable, "main.py", *map(str, words)], cwd=LAB, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not (tmp_path / "a" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert "saved in" in errors and "Traceback" not in errors


def test_auto_resume_finds_a_run_that_was_moved(run, tmp_path):
    shutil.copytree(run, tmp_path / "moved")
    words = ["--logdir", tmp_path, "--name", "moved", "--auto-resume"]
    assert call("train", *words, "--epochs", "1") == 0


def test_an_epoch_that_would_end_with_too_small_a_batch_is_refused_at_once(
    streets, tmp_path, capfd
):
    words = ["train", "--datadir", streets, "--model", "fcn_resnet18", "--img-size", "16", "32"]
    words += ["--batch-size", "2", "--num-workers", "0", "--logdir", tmp_path, "--name", "a"]
    assert call(*words) == 2  # seven images
    assert "one image" in capfd.readouterr().err and not (tmp_path / "a").exists()


def test_a_signal_during_the_export_ends_it_and_the_export_is_done_anew(
    streets, tmp_path, monkeypatch, capsys
):
    """An export may take longer than what is left of a job's time."""
    import deploy

    export, asked = deploy.export_onnx, []

    def slow(*arguments: object) -> None:
        if not asked:
            asked.append("once")
            signal.raise_signal(signal.SIGTERM)
        export(*arguments)

    monkeypatch.setattr(deploy, "export_onnx", slow)
    words = ["--datadir", streets, "--epochs", 1, "--logdir", tmp_path, "--name", "a", *SMALL]
    assert call("train", *words) == 143
    assert "saved in" in capsys.readouterr().err
    assert not (tmp_path / "a" / "model.onnx").exists()
    step = load_checkpoint(tmp_path / "a" / "last.pt")["step"]
    assert call("train", "--resume", tmp_path / "a") == 0
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] == step
    assert (tmp_path / "a" / "model.onnx").exists() and (tmp_path / "a" / "summary.txt").exists()


@pytest.mark.slow
def test_resume_with_other_code_is_noted_beside_the_first(streets, tmp_path, monkeypatch):
    words = ["--datadir", streets, "--logdir", tmp_path, "--name", "a", *SMALL]
    for commit in ("first", "first", "second", "second"):
        monkeypatch.setattr(folder_module, "git_commit", lambda commit=commit: commit)
        resumed = (tmp_path / "a").exists()
        assert call("train", *(["--resume", tmp_path / "a"] if resumed else words)) == 0
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["git_commit"] == "first, then second"


def test_a_signal_before_the_training_says_so(streets, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("data.open_datasets", interrupted)
    words = ["train", "--datadir", streets, "--logdir", tmp_path, "--name", "a", *SMALL]
    assert call(*words) == 143
    assert "stopped before the first step" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------ the curves


def logged(run: Path, tag: str) -> list[int]:
    """The steps of a curve, as TensorBoard shows it."""
    return [event.step for event in EventAccumulator(str(run)).Reload().Scalars(tag)]


def test_curves_of_a_run_that_went_on_inside_an_epoch_are_those_of_its_history(streets, tmp_path):
    """Seven images, three a step: the run ends in the second epoch, and is given more steps."""
    words = ["--datadir", streets, "--logdir", tmp_path, *SMALL, "--scheduler", "constant"]
    assert call("train", *words, "--name", "a", "--max-steps", 4) == 0
    assert call("train", "--resume", tmp_path / "a", "--max-steps", 9) == 0
    history = load_checkpoint(tmp_path / "a" / "last.pt")["history"]
    assert [row["step"] for row in history] == [3, 6, 9]
    assert (tmp_path / "a" / "history.csv").read_text().count("\n") == 4
    for tag in ("epoch/val_macro_f1", "epoch/lr", "f1/road"):
        assert logged(tmp_path / "a", tag) == [3, 6, 9]
    assert logged(tmp_path / "a", "best/val_macro_f1") == [10]


def test_tensorboard_log_forgets_what_comes_again(tmp_path):
    log = TensorBoardLog(tmp_path)
    for step in (10, 20, 30):
        log.scalars({"step/loss": 1.0}, step)
    log.close()
    log = TensorBoardLog(tmp_path, purge_step=21)
    log.scalars({"step/loss": 1.0}, 30)
    log.close()
    assert logged(tmp_path, "step/loss") == [10, 20, 30]


def test_tensorboard_log_survives_a_record_that_was_cut_off(tmp_path):
    log = TensorBoardLog(tmp_path)
    for step in range(5):
        log.scalars({"step/loss": 1.0, "step/learning_rate": 0.1}, step)
    log.close()
    (path,) = tmp_path.glob("events*")
    path.write_bytes(path.read_bytes()[:-9])
    log = TensorBoardLog(tmp_path, purge_step=9)
    log.scalars({"step/loss": 1.0}, 9)
    log.close()
    assert logged(tmp_path, "step/loss") == [0, 1, 2, 3, 4, 9]


# ---------------------------------------------------------------------------------- fine-tuning


def test_finetune_begins_with_the_weights_of_a_run(run, streets, tmp_path, capsys):
    words = ["train", "--datadir", streets, "--logdir", tmp_path, *SMALL, "--optimizer", "sgd"]
    words += ["--lr", "1e-30", "--max-steps", "1", "--fix-batchnorm", "--finetune-from", run]
    assert call(*words, "--name", "b") == 0
    assert "tensors taken over" in capsys.readouterr().out
    best, tuned = (load_checkpoint(each / "best.pt")["model"] for each in (run, tmp_path / "b"))
    assert best.keys() == tuned.keys()
    assert all(torch.equal(best[key], tuned[key]) for key in best)


def test_load_weights_refuses_what_is_not_a_number(tmp_path):
    model = models.UNet(3, 2, 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = before | {"decoder.head.bias": torch.tensor([0.0, float("nan"), 0.0])}
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(LabError, match=r"other\.pt: .* not numbers \(decoder\.head\.bias\)"):
        load_weights(model, tmp_path / "other.pt")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_load_weights_reports_what_did_not_fit(tmp_path):
    other = models.UNet(5, num_blocks=2, base_channels=4).state_dict()
    other["extra"] = torch.zeros(1)
    del other["encoder.bottom.0.weight"]
    torch.save({"model": other}, tmp_path / "other.pt")
    model = models.UNet(3, num_blocks=2, base_channels=4)
    text = "\n".join(load_weights(model, tmp_path / "other.pt"))
    assert "2 of another shape: decoder.head.weight (5, 4, 1, 1) instead of (3, 4, 1, 1)" in text
    assert "1 missing in the file, left as drawn: encoder.bottom.0.weight" in text
    assert "1 without a place in the model: extra" in text
    key = "decoder.bottom.0.weight"
    assert torch.equal(model.state_dict()[key], other[key])


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, {"a": 1}, [1, 2]])
def test_load_weights_refuses_what_fits_nowhere(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(LabError, match=r"other\.pt"):
        load_weights(models.UNet(3, 2, 4), tmp_path / "other.pt")


def test_fix_batch_norm_keeps_the_statistics(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    fix_batch_norm(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()(torch.randn(2, 3, 4, 4) + 5)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert isinstance(model[1][0], FixedBatchNorm) and model.training


def test_fix_batch_norm_reaches_those_after_global_pooling():
    model = models.build_model("deeplabv3_resnet50", 3, aux=False)
    fix_batch_norm(model)
    before = {key: value.clone() for key, value in model.named_buffers()}
    with torch.no_grad():
        model.train()(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(before[key], value) for key, value in model.named_buffers())
