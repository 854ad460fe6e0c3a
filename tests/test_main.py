"""The command line from end to end, on tiny streets: what it writes, and how it says no."""

import csv
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from street_files import draw_pair, image_file, label_file, write_png, write_streets
from torchmetrics.classification import MulticlassF1Score

import commands.train as options
import losses
import main as command_line
import models
from data import SegmentationDataset, encode_train_ids
from support.engine.folder import load_checkpoint
from support.engine.schedules import OPTIMIZERS, SCHEDULERS
from support.formats.cityscapes import CITYSCAPES

LAB = Path(__file__).resolve().parent.parent
SMALL = [
    "--img-size",
    "16",
    "32",
    "--num-blocks",
    "2",
    "--base-channels",
    "4",
    "--batch-size",
    "3",
    "--num-workers",
    "0",
    "--recipe",
    "plain",
]
RUN_FILES = {
    "config.json", "history.csv", "last.pt", "best.pt", "model.onnx", "metrics.json", "cost.json",
    "samples.png", "summary.txt", "report.html",
}  # fmt: skip


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
    """A whole run of two epochs."""
    logdir = tmp_path_factory.mktemp("runs")
    words = ["--datadir", streets, "--epochs", 2, "--logdir", logdir, "--name", "a"]
    assert call("train", *words, *SMALL) == 0
    return logdir / "a"


def test_choices_equal_the_registries():
    assert tuple(models.MODELS) == options.MODEL_NAMES
    assert tuple(losses.LOSSES) == options.LOSS_NAMES
    assert options.CLASS_WEIGHT_NAMES == losses.CLASS_WEIGHTS
    assert tuple(OPTIMIZERS) == options.OPTIMIZER_NAMES
    assert tuple(SCHEDULERS) == options.SCHEDULER_NAMES


def test_help_states_the_defaults_that_hold():
    text = subprocess.run(
        [sys.executable, "main.py", "train", "--help"],
        cwd=LAB, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"},
    ).stdout  # fmt: skip
    for key, value in options.TRAIN_DEFAULTS.items():
        if isinstance(value, int | float | str) and value is not False:
            flag = text[text.index(f"  --{key.replace('_', '-')}") :]
            assert float_or_text(value) in flag.partition(")")[0], key


def float_or_text(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_help_does_not_import_torch():
    script = "import sys, main\ntry: main.main(['--help'])\nexcept SystemExit: pass\n"
    script += "assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], cwd=LAB, check=True, capture_output=True)


# ------------------------------------------------------------------------------------------ train


def test_train_leaves_a_whole_run(run):
    files = {path.name for path in run.iterdir()}
    assert files >= RUN_FILES
    events = [name for name in files - RUN_FILES if name.startswith("events.out")]
    assert len(events) == len(files - RUN_FILES) >= 1
    config = json.loads((run / "config.json").read_text())
    assert config["arguments"]["epochs"] == 2 and config["arguments"]["class_weights"] == "sqrt"
    assert {"versions", "git_commit", "data_fingerprint"} <= config.keys()
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "6"]
    score = max(float(row["val_macro_f1"]) for row in rows)
    assert f"{score:.4f}" in (run / "summary.txt").read_text()
    assert load_checkpoint(run / "best.pt")["score"] == score


def test_train_logs_everything_to_tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0}).Reload()
    tags = log.Tags()
    wanted = {"epoch/train_loss", "epoch/val_loss", "epoch/val_macro_f1", "epoch/lr"}
    wanted |= {"epoch/images_per_second", "iou/road", "f1/bicycle", "best/val_macro_f1"}
    assert wanted <= set(tags["scalars"])
    assert {"confusion", "samples"} <= set(tags["images"])
    assert tags["graph"] and "arguments/text_summary" in tags["tensors"]
    assert [event.step for event in log.Scalars("epoch/val_loss")] == [3, 6]
    assert "_hparams_/session_start_info" in log.summary_metadata


def test_train_model_onnx_is_the_best_model(run, streets):
    from commands.test import TorchSegmenter
    from deploy import OnnxSegmenter

    best = load_checkpoint(run / "best.pt")
    model = models.build_model(best["name"], 19, **best["options"])
    model.load_state_dict(best["model"])
    segmenter = OnnxSegmenter(run / "model.onnx")
    image, _ = SegmentationDataset(streets, "val")[0]
    expected = TorchSegmenter(model, best).predict(image)
    assert (segmenter.predict(image) == expected).mean() > 0.999
    assert tuple(segmenter.classes) == CITYSCAPES.names and segmenter.size == (16, 32)
    onnx.checker.check_model(run / "model.onnx")


def test_train_repeats_bit_for_bit_with_the_seed(run, streets, tmp_path):
    words = ["--datadir", streets, "--epochs", 2, "--logdir", tmp_path, "--name", "b"]
    assert call("train", *words, *SMALL, "--num-workers", 1) == 0
    ours, theirs = (load_checkpoint(each / "last.pt") for each in (run, tmp_path / "b"))
    assert all(torch.equal(ours["model"][key], theirs["model"][key]) for key in ours["model"])


def test_train_dry_run_keeps_nothing(streets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("train", "--datadir", streets, "--dry-run", *SMALL) == 0
    assert "nothing was kept" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_train_refuses_steps_without_a_rate(run, tmp_path, capfd):
    copy = shutil.copytree(run, tmp_path / "a")
    before = {path: path.read_bytes() for path in copy.iterdir()}
    assert call("train", "--resume", copy, "--epochs", 3) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert "is 0 from step 6 on" in line and f"--finetune-from {copy} --lr 0.0003" in line
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


def test_train_resumes_with_more_epochs(streets, tmp_path):
    words = ["--datadir", streets, "--epochs", 2, "--logdir", tmp_path, "--name", "a"]
    assert call("train", *words, *SMALL, "--scheduler", "exponential") == 0
    copy = tmp_path / "a"
    assert call("train", "--resume", copy, "--epochs", 3) == 0
    with (copy / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    last = load_checkpoint(copy / "last.pt")
    assert last["scheduler"]["horizon"] == 6
    assert last["history"][-1]["lr"] == pytest.approx(3e-5)
    assert json.loads((copy / "config.json").read_text())["arguments"]["epochs"] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_train_stops_on_a_signal_and_goes_on(streets, tmp_path, number, code):
    words = ["--datadir", streets, "--max-steps", "100000", "--logdir", tmp_path, "--name", "a"]
    process = subprocess.Popen(
        [sys.executable, "main.py", "train", *map(str, words), *SMALL],
        cwd=LAB, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert f"main.py train --resume {tmp_path / 'a'}" in errors
    assert "Traceback" not in errors
    step = load_checkpoint(tmp_path / "a" / "last.pt")["step"]
    assert call("train", "--resume", tmp_path / "a", "--max-steps", step + 2) == 0
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] == step + 2


# ------------------------------------------------------------------------------------------- test


def test_test_evaluates_at_the_targets_own_size(run, streets, tmp_path):
    words = ["--modelpath", run / "model.onnx", "--datadir", streets, "--split", "val"]
    assert call("test", *words, "--output", tmp_path, "--save-predictions") == 0
    result = json.loads((tmp_path / "metrics.json").read_text())
    oracle = MulticlassF1Score(19, average="macro", ignore_index=255)
    dataset = SegmentationDataset(streets, "val")
    for index, (_, name) in enumerate(dataset.pairs):
        with Image.open(tmp_path / f"{name}_labelIds.png") as prediction:
            assert prediction.mode == "L"
            train_ids = encode_train_ids(np.array(prediction))
        _, target = dataset[index]
        assert train_ids.shape == tuple(target.shape)
        oracle.update(torch.from_numpy(train_ids).long(), target)
        assert (tmp_path / "overlays" / f"overlay_{name}.png").is_file()
    assert result["macro_f1"] == pytest.approx(oracle.compute().item(), abs=1e-6)
    assert list(result["classes"]) == list(CITYSCAPES.names)
    assert sum(row["pixels"] for row in result["classes"].values()) > 0


def test_test_agrees_with_the_official_evaluator(run, streets, tmp_path, monkeypatch):
    words = ["--modelpath", run / "model.onnx", "--datadir", streets, "--split", "val"]
    assert call("test", *words, "--output", tmp_path, "--save-predictions") == 0
    monkeypatch.setenv("CITYSCAPES_DATASET", str(streets))
    official = importlib.import_module(
        "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"
    )

    monkeypatch.setattr(official.args, "evalInstLevelScore", False)
    monkeypatch.setattr(official.args, "quiet", True)
    monkeypatch.setattr(official.args, "JSONOutput", False)
    truths = sorted(map(str, streets.glob("gtFine/val/*/*_gtFine_labelIds.png")))
    official.args.predictionPath, official.args.predictionWalk = str(tmp_path), None
    predictions = [official.getPrediction(official.args, truth) for truth in truths]
    scores = official.evaluateImgLists(predictions, truths, official.args)
    result = json.loads((tmp_path / "metrics.json").read_text())
    assert result["mean_iou"] == pytest.approx(scores["averageScoreClasses"], abs=1e-9)
    for name in CITYSCAPES.names:
        expected = scores["classScores"][name]
        assert result["classes"][name]["iou"] == pytest.approx(expected, abs=1e-9), name


@pytest.fixture
def void_val(tmp_path):
    """Streets whose validation split has no labelled pixel, as Cityscapes' own test split."""
    root = write_streets(tmp_path / "streets")
    for path in (root / "gtFine" / "val").rglob("*.png"):
        write_png(path, np.full_like(np.array(Image.open(path)), 3))
    return root


def test_test_gives_no_score_where_nothing_is_labelled(run, void_val, tmp_path, capsys):
    words = ["--modelpath", run / "model.onnx", "--datadir", void_val, "--split", "val"]
    assert call("test", *words, "--output", tmp_path / "out", "--save-predictions") == 0
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for name in ("macro_f1", "mean_iou", "pixel_accuracy", "mean_accuracy"):
        assert result[name] is None
    assert {tuple(row.values()) for row in result["classes"].values()} == {(None, None, 0)}
    assert len(list((tmp_path / "out").glob("*_labelIds.png"))) == 2
    text = capsys.readouterr().out
    assert "every pixel of split 'val' is void: there is nothing to score" in text
    assert "0.0000" not in text
    assert "macro f1               –" in text


@pytest.mark.parametrize("split", ["train", "val"])
def test_train_refuses_a_split_without_a_labelled_pixel(void_val, tmp_path, capsys, split):
    if split == "train":
        for layer in ("leftImg8bit", "gtFine"):
            (void_val / layer / "val").rename(void_val / layer / "aside")
            (void_val / layer / "train").rename(void_val / layer / "val")
            (void_val / layer / "aside").rename(void_val / layer / "train")
    words = ["--datadir", void_val, "--logdir", tmp_path / "runs", *SMALL, "--batch-size", 1]
    assert call("train", *words) == 2
    output = capsys.readouterr()
    line = output.err.splitlines()[-1]
    assert line.startswith("error: ") and f"split '{split}'" in line and "every pixel" in line
    assert "epoch" not in output.out and not (tmp_path / "runs").exists()


def test_test_gives_the_same_scores_from_best_pt(run, streets, tmp_path):
    scores = []
    for model in ("model.onnx", "best.pt"):
        words = [
            "--modelpath",
            run / model,
            "--datadir",
            streets,
            "--split",
            "val",
            "--batch-size",
            1,
        ]
        assert call("test", *words, "--output", tmp_path / model, "--device", "cpu") == 0
        scores.append(json.loads((tmp_path / model / "metrics.json").read_text()))
    assert scores[0]["pixel_accuracy"] == pytest.approx(scores[1]["pixel_accuracy"], abs=1e-3)


def test_test_averages_over_scales_and_mirror_images(run, streets, tmp_path):
    words = ["--modelpath", run / "model.onnx", "--datadir", streets, "--split", "val"]
    views = ["--scales", "0.5,1,2", "--flip"]
    assert call("test", *words, *views, "--output", tmp_path / "views") == 0
    assert call("test", *words, "--window", 16, 32, "--output", tmp_path / "windows") == 0
    about = json.loads((tmp_path / "views" / "metrics.json").read_text())["evaluated"]
    assert about["scales"] == [0.5, 1.0, 2.0] and about["flip"] is True
    assert about["split"] == "val" and about["images"] == len(SegmentationDataset(streets, "val"))
    pixels = [
        sum(row["pixels"] for row in json.loads(path.read_text())["classes"].values())
        for path in sorted(tmp_path.glob("*/metrics.json"))
    ]
    assert len(pixels) == 2 and pixels[0] == pixels[1] > 0


def test_test_segments_photos_without_torch(run, tmp_path):
    photo = tmp_path / "my photo.jpg"
    Image.fromarray(draw_pair(0, (50, 70))[0]).save(photo)
    script = (
        "import sys; sys.modules['torch'] = None; import main; "
        f"sys.exit(main.main(['test', '--modelpath', {str(run / 'model.onnx')!r}, "
        f"'--image', {str(photo)!r}, '--output', {str(tmp_path / 'out')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=LAB, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "%" in done.stdout and str(tmp_path / "out") in done.stdout
    with Image.open(tmp_path / "out" / "my photo_mask.png") as mask:
        assert mask.size == (70, 50)
        colors = {tuple(color) for color in np.array(mask).reshape(-1, 3)}
    assert colors <= {tuple(color) for color in CITYSCAPES.palette.tolist()}


def test_test_goes_on_where_the_console_has_no_arrow(run, tmp_path):
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, draw_pair(1)[0])
    words = ["--modelpath", run / "model.onnx", "--image", tmp_path, "--output", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "main.py", "test", *words],
        cwd=LAB, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ? ") == 2
    for name in ("a", "b"):
        assert (tmp_path / "out" / f"{name}_mask.png").is_file()


# ----------------------------------------------------------------------------------- bad arguments


TRAIN_FAULTS = {
    "no folder": (["--datadir", "{tmp}/none"], "none"),
    "empty folder": (["--datadir", "{tmp}/empty"], "empty"),
    "unknown city": (["--cities-train", "paris"], "aachen"),
    "limit 0": (["--limit", "0"], "--limit"),
    "batch 0": (["--batch-size", "0"], "--batch-size"),
    "batch too large": (["--batch-size", "50"], "--batch-size"),
    "negative rate": (["--lr", "-1"], "--lr"),
    "rate nan": (["--lr", "nan"], "--lr"),
    "epochs 0": (["--epochs", "0"], "--epochs"),
    "steps 0": (["--max-steps", "0"], "--max-steps"),
    "size 0": (["--img-size", "0", "32"], "--img-size"),
    "size absurd": (["--img-size", "4097", "64"], "at most 4096"),
    "one pixel at the bottom": (["--img-size", "4", "4", "--batch-size", "1"], "--batch-size"),
    "too many blocks": (["--num-blocks", "40", "--batch-size", "7"], "40 blocks"),
    "one size": (["--img-size", "32"], "--img-size"),
    "workers -1": (["--num-workers", "-1"], "--num-workers"),
    "workers without number": (["--num-workers", "100000"], "--num-workers"),
    "unknown model": (["--model", "resnet"], "unet"),
    "unknown loss": (["--loss", "huber"], "focal"),
    "blocks for a resnet": (["--model", "fcn_resnet18", "--num-blocks", "3"], "belongs to unet"),
    "pretrained unet": (["--pretrained"], "--weights"),
    "two beginnings": (
        ["--model", "my_fcn", "--weights", "{tmp}/a", "--finetune-from", "{tmp}/b"],
        "choose one",
    ),
    "weights for what has no reference": (
        ["--model", "my_fcn", "--weights", "{tmp}/none.pt"],
        "use --finetune-from",
    ),
    "finetune from nothing": (["--finetune-from", "{tmp}/none.pt"], "none.pt"),
    "auxiliary weights for a unet": (["--aux-weights", "0.4"], "--aux-weights takes 0"),
    "warm-up for ever": (["--warm-up", "1"], "--warm-up"),
    "patience 0": (["--patience", "0"], "--patience"),
    "accumulate 0": (["--accumulate", "0"], "--accumulate"),
    "step too large": (["--batch-size", "3", "--accumulate", "9"], "--accumulate"),
    "minutes 0": (["--max-minutes", "0"], "--max-minutes"),
    "clip 0": (["--clip-norm", "0"], "--clip-norm"),
    "weights for ce": (["--loss", "ce", "--class-weights", "inverse"], "ce"),
    "gamma for wce": (["--loss", "wce", "--gamma", "2"], "focal"),
    "negative gamma": (["--loss", "focal", "--gamma", "-2"], "--gamma"),
    "cuda without one": (["--device", "cuda"], "no such device"),
    "fp16 on the CPU": (["--device", "cpu", "--precision", "fp16"], "fp16"),
    "name taken": (["--name", "taken"], "another --name"),
    "name with folders": (["--name", "a/b"], "--name"),
    "logdir is a file": (["--logdir", "{tmp}/file"], "file"),
    "resume of nothing": (["--resume", "{tmp}/empty"], "config.json"),
}


@pytest.mark.parametrize(("words", "hint"), TRAIN_FAULTS.values(), ids=TRAIN_FAULTS)
def test_train_says_no_in_one_line(streets, tmp_path, capfd, words, hint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    words = [word.format(tmp=tmp_path) for word in words]
    base = (
        [] if "--resume" in words else ["--datadir", streets, "--logdir", tmp_path / "runs", *SMALL]
    )
    assert call("train", *base, *words) == 2
    errors = [
        line for line in capfd.readouterr().err.splitlines() if line and "counting" not in line
    ]
    assert len(errors) == 1 and errors[0].startswith("error: ") and hint in errors[0]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["taken"]
    assert not list((tmp_path / "runs" / "taken").iterdir())


def test_train_resume_names_a_contradiction(run, capfd):
    assert call("train", "--resume", run, "--lr", "0.5") == 2
    assert "--lr 0.5 contradicts 0.003" in capfd.readouterr().err


def test_train_resume_refuses_other_data(run, streets, tmp_path, capfd):
    other = shutil.copytree(streets, tmp_path / "streets")
    extra, ids = draw_pair(99)
    write_png(image_file(other, "train", "ulm", 9), extra)
    write_png(label_file(other, "train", "ulm", 9), ids)
    copy = shutil.copytree(run, tmp_path / "a")
    assert call("train", "--resume", copy, "--datadir", other, "--epochs", 3) == 2
    assert "not those" in capfd.readouterr().err
    assert (copy / "last.pt").read_bytes() == (run / "last.pt").read_bytes()


def test_train_with_a_damaged_target_leaves_its_name_free(streets, tmp_path, capfd):
    root = shutil.copytree(streets, tmp_path / "streets")
    broken = label_file(root, "train", "aachen", 1)
    broken.write_bytes(broken.read_bytes()[:60])
    words = ["--datadir", root, "--logdir", tmp_path / "runs", "--loss", "ce", "--name", "a"]
    assert call("train", *words, *SMALL) == 2
    assert broken.name in capfd.readouterr().err and not (tmp_path / "runs" / "a").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_train_names_a_damaged_file(streets, tmp_path, capfd, workers):
    root = shutil.copytree(streets, tmp_path / "streets")
    broken = image_file(root, "train", "aachen", 1)
    broken.write_bytes(broken.read_bytes()[:200])
    words = [
        "--datadir",
        root,
        "--logdir",
        tmp_path / "runs",
        "--loss",
        "ce",
        *SMALL,
        "--num-workers",
        workers,
    ]
    assert call("train", *words) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ") and broken.name in last


def test_train_keeps_the_files_of_a_run_when_the_disk_is_full(
    streets, tmp_path, capfd, monkeypatch
):
    words = ["--datadir", streets, "--epochs", 1, "--logdir", tmp_path, "--name", "a"]
    assert call("train", *words, *SMALL, "--scheduler", "constant") == 0
    copy = tmp_path / "a"
    before = {name: (copy / name).read_bytes() for name in ("best.pt", "last.pt", "model.onnx")}

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert call("train", "--resume", copy, "--epochs", 4) == 2
    assert "No space left" in capfd.readouterr().err
    assert all((copy / name).read_bytes() == content for name, content in before.items())
    assert not list(copy.glob("*partial*")) and not list(copy.glob(".*partial*"))


def test_train_says_what_to_lower_when_memory_runs_out(streets, tmp_path, capfd, monkeypatch):
    def hungry(*_args, **_kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(models.UNet, "forward", hungry)
    assert call("train", "--datadir", streets, "--logdir", tmp_path, "--loss", "ce", *SMALL) == 2
    errors = capfd.readouterr().err
    assert "error: out of memory" in errors and "--batch-size" in errors


ONE_PHOTO = ("--modelpath", "{run}/model.onnx", "--image", "{photo}")
TEST_FAULTS = {
    "no model": (["--modelpath", "{tmp}/none.onnx", "--image", "{photo}"], "none.onnx"),
    "not a model": (["--modelpath", "{photo}", "--image", "{photo}"], "photo.png"),
    "no checkpoint": (["--modelpath", "{tmp}/none.pt", "--image", "{photo}"], "none.pt"),
    "last.pt": (["--modelpath", "{run}/last.pt", "--image", "{photo}"], "last.pt"),
    "no image": (["--modelpath", "{run}/model.onnx", "--image", "{tmp}/none.jpg"], "none.jpg"),
    "not an image": (["--modelpath", "{run}/model.onnx", "--image", "{run}/config.json"], "config"),
    "nothing to do": (["--modelpath", "{run}/model.onnx"], "--image"),
    "both": (
        ["--modelpath", "{run}/model.onnx", "--image", "{photo}", "--split", "val"],
        "--split",
    ),
    "unknown split": (["--modelpath", "{run}/model.onnx", "--split", "dev"], "val"),
    "no modelpath": (["--image", "{photo}"], "--modelpath"),
    "scale 0": ([*ONE_PHOTO, "--scales", "0.5,0"], "--scales"),
    "scales in words": ([*ONE_PHOTO, "--scales", "half"], "--scales"),
    "overlap of nothing": ([*ONE_PHOTO, "--overlap", "0.5"], "--window"),
    "window 0": ([*ONE_PHOTO, "--window", "0", "32"], "--window"),
}


@pytest.mark.parametrize(("words", "hint"), TEST_FAULTS.values(), ids=TEST_FAULTS)
def test_test_says_no_in_one_line(run, streets, tmp_path, capfd, words, hint):
    photo = tmp_path / "photo.png"
    write_png(photo, draw_pair(1)[0])
    words = [word.format(tmp=tmp_path, photo=photo, run=run) for word in words]
    if "--split" in words:
        words += ["--datadir", str(streets)]
    assert call("test", *words, "--output", tmp_path / "out") == 2
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1 and errors[0].startswith("error: ") and hint in errors[0]


def spoil_shape(state):
    state["options"] = {"num_blocks": 2, "base_channels": 8}


def spoil_weights(state):
    state["model"] = "none"


def spoil_classes(state):
    state["classes"] = 3


def lose_mean(state):
    del state["mean"]


@pytest.mark.parametrize("spoil", [spoil_shape, spoil_weights, spoil_classes, lose_mean])
def test_test_refuses_a_spoilt_checkpoint(run, tmp_path, capfd, spoil):
    state = load_checkpoint(run / "best.pt")
    spoil(state)
    torch.save(state, tmp_path / "best.pt")
    write_png(tmp_path / "photo.png", draw_pair(1)[0])
    words = ["--modelpath", tmp_path / "best.pt", "--image", tmp_path / "photo.png"]
    assert call("test", *words, "--output", tmp_path / "out") == 2
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1 and "best.pt" in errors[0]


def test_train_resume_refuses_a_last_pt_that_lacks_something(run, tmp_path, capfd):
    copy = shutil.copytree(run, tmp_path / "a")
    state = load_checkpoint(copy / "last.pt")
    del state["optimizer"]
    torch.save(state, copy / "last.pt")
    assert call("train", "--resume", copy, "--epochs", 3) == 2
    assert "last.pt" in capfd.readouterr().err


def test_train_says_what_to_lower_before_the_kernel_kills_it(streets, tmp_path, capfd):
    words = ["--datadir", streets, "--logdir", tmp_path / "runs", "--loss", "ce"]
    huge = ["--img-size", 4096, 4096, "--base-channels", 256, "--num-blocks", 1]
    assert call("train", *words, *huge) == 2
    errors = capfd.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("error: out of memory") and "--batch-size" in errors[-1]


def test_train_leaves_no_run_without_a_checkpoint(streets, tmp_path, capfd):
    words = ["--datadir", streets, "--logdir", tmp_path, "--name", "a", "--loss", "ce"]
    assert call("train", *words, *SMALL, "--lr", "1e30", "--max-steps", 9) == 2
    assert "the loss became" in capfd.readouterr().err
    assert not (tmp_path / "a").exists() or (tmp_path / "a" / "last.pt").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (4, "muon", 2)),
        (["--epochs", "3"], (3, "muon", 1)),
        (["--max-steps", "9"], (None, "muon", 1)),
        (["--max-steps", "9", "--evaluate-every", "2"], (None, "muon", 2)),
        (["--recipe", "plain"], (11, "adamw", 1)),
        (["--finetune-from", "runs/a"], (11, "adamw", 1)),
        (["--model", "my_fcn"], (11, "adamw", 1)),
        (["--finetune-from", "runs/a", "--recipe", "fast", "--optimizer", "sgd"], (4, "sgd", 2)),
    ],
)
def test_a_recipe_gives_defaults_that_flags_change(words, expected):
    args = command_line.build_parser().parse_args(["train", *words])
    found, resumed = options.training_options(args)
    assert resumed is None
    assert (found.epochs, found.optimizer, found.evaluate_every) == expected
    is_plain = found.recipe == "plain"
    assert found.scheduler == ("cosine" if is_plain else "poly")
    assert found.small_share == options.RECIPES["plain" if is_plain else "fast"]["small_share"]


def test_the_fast_recipe_trains_evaluates_seldom_and_goes_on(streets, tmp_path):
    small = SMALL[: SMALL.index("--recipe")]
    words = ["--datadir", streets, "--logdir", tmp_path, "--epochs", 4, "--evaluate-every", 2]
    assert call("train", *words, "--name", "whole", *small) == 0
    rows = (tmp_path / "whole" / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["2", "4"]
    assert " steps in 4 epochs; model unet" in (tmp_path / "whole" / "summary.txt").read_text()
    assert json.loads((tmp_path / "whole/config.json").read_text())["arguments"]["recipe"] == "fast"
