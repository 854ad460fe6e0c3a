"""`errors`: counts by hand and by other libraries, and the page that shows them."""

import csv
import json
import re
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
from chromium import Chromium, needs_chromium
from scipy import ndimage
from tiny_runs import train_tiny
from torchmetrics.classification import MulticlassCalibrationError

import main
from commands.errors.calibration import (
    BINS,
    Reliability,
    Sample,
    fit_temperature,
    halves,
    judged,
    mean_loss,
    scaled,
)
from commands.errors.measure import (
    EDGES,
    Counts,
    band,
    boundary_counts,
    confused_pairs,
    edge_distance,
)
from commands.errors.show import likelihoods, worst_images
from commands.test_time import MultiScaleSegmenter, enlarge
from data import SegmentationDataset, count_pixels
from deploy import OnnxSegmenter
from support.formats.cityscapes import CITYSCAPES
from utils import read_image

TARGET = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [2, 2, 2, 255]])
PREDICTION = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0], [2, 2, 0, 0]])


def counted(target: np.ndarray, prediction: np.ndarray, classes: int = 3) -> Counts:
    counts = Counts(classes)
    counts.add(target, prediction, np.full(target.shape, 0.5), 255)
    return counts


def test_an_image_of_4x4_counted_by_hand():
    counts = counted(TARGET, PREDICTION)
    assert counts.confusion.tolist() == [[8, 1, 0], [1, 2, 0], [1, 0, 2]]
    row = counts.rows[0]
    assert (row["pixels"], row["errors"], row["pairs"].tolist()) == (15, 3, [1, 3, 6])
    assert row["negative_log_likelihood"] == pytest.approx(15 * np.log(2))


def test_ids_of_one_byte_and_a_likelihood_of_zero_are_counted():
    ids = np.full((2, 2), 149, np.uint8)
    counts = Counts(150)
    row = counts.add(ids, ids, np.zeros((2, 2)), 255)
    assert counts.confusion[149, 149] == 4 and np.isfinite(row["negative_log_likelihood"])


def test_distance_to_an_edge_by_hand():
    distance = edge_distance(TARGET)
    assert distance[:, 2].tolist() == [1, 1, 1, 1] and distance[2].tolist() == [1, 1, 1, 1]
    assert distance[1, 1] == 2 and distance[0, 1] == 2
    assert distance[0, 0] == pytest.approx(1 + 2)
    assert np.isinf(edge_distance(np.zeros((3, 3), int))).all()
    counts = counted(TARGET, PREDICTION)
    assert counts.distance[0].tolist() == [11, 3, 1, 0, 0, 0, 0][: len(EDGES) + 1]
    assert counts.distance[1].tolist() == [3, 0, 0, 0, 0, 0, 0]  # at an edge, all of them


def test_distances_are_those_of_scipy():
    target = np.random.default_rng(0).integers(0, 3, (6, 7)).repeat(9, 0).repeat(9, 1)
    neighbours = np.pad(target, 1, mode="edge")
    edge = np.zeros(target.shape, bool)
    for dy, dx in ((0, 1), (1, 0), (1, 2), (2, 1)):
        edge |= neighbours[dy : dy + target.shape[0], dx : dx + target.shape[1]] != target
    expected = 1 + ndimage.distance_transform_edt(~edge)
    assert np.abs(edge_distance(target) - expected).max() < 0.02


def test_boundary_iou_is_that_of_the_paper_derived_anew():
    random = np.random.default_rng(1)
    coarse = random.integers(0, 3, (2, 8, 10)).repeat(30, 1).repeat(30, 2)
    target, prediction = coarse[0].copy(), coarse[1]
    target[100:140, 50:90] = 255
    valid = target != 255
    reach = round(0.005 * np.hypot(*target.shape))
    assert reach == 2
    counts = boundary_counts(target, prediction, valid, 3)
    for k in range(3):
        bands = []
        for ids in (target, prediction):
            mask = (ids == k) & valid
            square = np.ones((2 * reach + 1, 2 * reach + 1), bool)
            inner = ndimage.binary_erosion(mask, square, border_value=0)
            bands.append(mask & ~inner)
        assert counts[0, k] == (bands[0] & bands[1]).sum()
        assert counts[1, k] == (bands[0] | bands[1]).sum()


def test_boundary_counts_by_hand():
    assert boundary_counts(TARGET, TARGET, TARGET != 255, 3).tolist() == [[8, 3, 3]] * 2
    dot = np.zeros((3, 3), int)
    dot[0, 2] = 1  # a class that is predicted alone
    counts = boundary_counts(np.zeros((3, 3), int), dot, np.ones((3, 3), bool), 2)
    assert counts.tolist() == [[7, 0], [9, 1]]


def test_a_band_is_as_wide_as_it_should_be_and_reaches_the_border():
    mask = np.ones((6, 6), bool)
    assert band(mask, 1).sum() == 20 and band(mask, 2).sum() == 32 and band(mask, 9).all()


def test_regions_count_by_their_own_size():
    target = np.zeros((100, 100), int)
    target[:2, :4] = 1  # 8 pixels: small
    target[50:56, 50:56] = 1  # 36: medium
    prediction = target.copy()
    prediction[50:53, 50:56] = 0
    counts = counted(target, prediction, 2)
    assert counts.region[0, 1].tolist() == [8, 36, 0]
    assert counts.region[1, 1].tolist() == [8, 18, 0]
    assert counts.region[0, 0].sum() == 10_000 - 44


def test_regions_touch_at_corners_and_end_at_their_limits():
    target = np.zeros((100, 100), int)
    target[0, :10] = 1  # 10 pixels, the largest that is small
    target[10:12, 10:13], target[12:14, 13:16] = 1, 1  # 6 + 6 pixels: one of medium size
    target[50:60, 50:65] = 1  # 150: large
    assert counted(target, target, 2).region[0, 1].tolist() == [10, 12, 150]


def test_pairs_are_sorted_and_have_both_shares():
    pairs = confused_pairs(np.array([[8, 2, 0], [0, 5, 5], [1, 0, 9]]), ("a", "b", "c"))
    assert [(p["target"], p["prediction"], p["pixels"]) for p in pairs] == [
        ("b", "c", 5), ("a", "b", 2), ("c", "a", 1),
    ]  # fmt: skip
    assert pairs[0]["share_of_target"] == 0.5 and pairs[0]["share_of_errors"] == 5 / 8


def test_a_bin_has_its_upper_end():
    reliability = Reliability()
    assert reliability.expected_error() == 0 and reliability.bins() == []
    reliability.add(np.array([0.19, 0.2, 0.0, 1.0]), np.array([True, False, False, True]))
    bins = [(each["pixels"], each["right"]) for each in reliability.bins()]
    assert bins == [(1, 0), (2, 0.5), (1, 1)]
    assert reliability.bins()[1]["confidence"] == pytest.approx(0.195)
    assert reliability.expected_error() == pytest.approx((1 - 0.39) / 4)


def test_a_sample_takes_valid_pixels_evenly():
    probabilities = np.arange(1, 13, dtype=np.float32).reshape(2, 2, 3) / 13
    target = np.array([[0, 1, 0], [255, 1, 0]], np.uint8)
    sample = Sample()
    sample.add(probabilities, target, target != 255, 2)  # of 5 valid ones, every third
    sample.add(probabilities, target, target == 255, 9)
    logs, targets = sample.joined()
    assert targets.tolist() == [0, 1, 255] and logs.shape == (3, 2)
    assert np.allclose(13 * np.exp(logs), [[1, 7], [5, 11], [4, 10]])


def test_likelihoods_take_no_memory_for_all_classes_of_a_large_photo():
    random = np.random.default_rng(0)
    seen = random.random((40, 20, 30), np.float32)
    target, prediction = (random.integers(0, 41, (600, 900)) for _ in range(2))
    tracemalloc.start()
    found = likelihoods(seen, target, prediction)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * found[0].nbytes  # all classes at once are 40 of these
    everything = np.concatenate([enlarge(seen, target.shape), np.zeros((1, 600, 900))])
    for ids, likelihood in zip((target, prediction), found, strict=True):
        assert np.array_equal(likelihood, np.take_along_axis(everything, ids[None], 0)[0])


def test_scaling_many_equal_classes_stays_finite():
    logs = np.log(np.full((1, 150), 1 / 150, np.float32))
    assert scaled(logs, 0.05) == pytest.approx(-np.log(150))


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_torchmetrics(seed):
    random = np.random.default_rng(seed)
    logits = 3 * random.normal(size=(4000, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.where(
        random.random(4000) < 0.6, probabilities.argmax(1), random.integers(0, 5, 4000)
    )
    ours = Reliability()
    ours.add(probabilities.max(1), probabilities.argmax(1) == targets)
    theirs = MulticlassCalibrationError(num_classes=5, n_bins=BINS, norm="l1")
    expected = theirs(torch.from_numpy(probabilities), torch.from_numpy(targets)).item()
    assert ours.expected_error() == pytest.approx(expected, abs=1e-5)
    assert sum(each["pixels"] for each in ours.bins()) == 4000


def test_the_temperature_that_made_the_logits_too_sharp_is_found():
    random = np.random.default_rng(0)
    logits = random.normal(size=(60_000, 4)) * 2
    targets = (logits + random.gumbel(size=logits.shape)).argmax(1)
    assert fit_temperature(2.5 * logits, targets) == pytest.approx(2.5, rel=0.03)
    assert fit_temperature(0.4 * logits, targets) == pytest.approx(0.4, rel=0.03)
    sharp, mended = (judged(2.5 * logits, targets, t) for t in (1.0, 2.5))
    assert mended["expected_calibration_error"] < 0.01 < sharp["expected_calibration_error"]
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(targets)
    ).item()
    assert mean_loss(2.5 * logits, targets, 2.5) == pytest.approx(expected, abs=1e-9)


def test_cities_are_never_in_both_halves():
    assert halves(["ulm", "bonn", "ulm", "köln"]) == [0, 0, 0, 1]
    assert halves(["", "", ""]) == [0, 1, 0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("errors"), "--max-steps", 2)


def test_the_command_writes_three_files_that_agree(run, capsys):
    folder, streets = run
    assert main.main(["errors", str(folder), "--datadir", str(streets)]) == 0
    said, output = capsys.readouterr().out, folder / "errors_val"
    result = json.loads((output / "errors.json").read_text())
    rows = list(csv.DictReader((output / "errors.csv").open()))
    assert len(rows) == 2 and f"{result['error_share']:.2%} of the pixels are wrong" in said
    matrix = np.array(result["confusion_matrix"])
    assert sum(int(row["errors"]) for row in rows) == matrix.sum() - matrix.trace()
    assert sum(int(row["pixels"]) for row in rows) == matrix.sum() == result["pixels"]
    targets = SegmentationDataset(streets, "val").targets()
    assert matrix.sum(axis=1).tolist() == count_pixels(targets, 19).tolist()
    shares = [
        sum(e[k] for e in result["distance_to_edge"])
        for k in ("share_of_pixels", "share_of_errors")
    ]
    assert shares == pytest.approx([1, 1])
    text = (output / "errors.html").read_text(encoding="utf-8")
    assert "http" not in text and not re.findall(r'(?:src|href)="(?!data:)', text)
    assert text.count("<figure") == 2 and text.count("data:image/png") == 10


def test_the_counts_are_those_of_test(run, tmp_path):
    folder, streets = run
    words = ["--datadir", streets, "--split", "train", "--output"]
    model = folder / "model.onnx"
    assert main.main([*map(str, ["errors", model, *words, tmp_path / "e"])]) == 0
    assert main.main([*map(str, ["test", "--modelpath", model, *words, tmp_path / "t"])]) == 0
    matrix = np.array(json.loads((tmp_path / "e" / "errors.json").read_text())["confusion_matrix"])
    scores = json.loads((tmp_path / "t" / "metrics.json").read_text())
    assert matrix.trace() / matrix.sum() == pytest.approx(scores["pixel_accuracy"])


@pytest.mark.parametrize("given", ["absent.onnx", "."])
def test_what_is_no_model_is_refused_in_one_line(given, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["errors", given]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_click_needs_what_each_image_has(run, tmp_path):
    """Each figure says its classes, its pairs, its share and its loss; each pair its code."""
    folder, streets = run
    words = ["errors", str(folder), "--datadir", str(streets), "--output", str(tmp_path)]
    assert main.main(words) == 0
    text = (tmp_path / "errors.html").read_text(encoding="utf-8")
    rows = list(csv.DictReader((tmp_path / "errors.csv").open()))
    losses = {float(row["negative_log_likelihood"]) for row in rows}
    assert {float(each) for each in re.findall(r'data-loss="([^"]+)"', text)} == losses
    codes = set(re.findall(r'<tr data-pair="([^"]+)"', text))
    assert codes == set(" ".join(re.findall(r'data-pairs="([^"]+)"', text)).split())
    assert len(re.findall("<tr data-pair=[^>]* data-top>", text)) == min(20, len(codes))


def test_worst_images_are_those_of_both_orders():
    rows = [
        {"errors": e, "pixels": 10, "negative_log_likelihood": float(loss)}
        for e, loss in [(0, 90), *((k, k) for k in range(1, 13))]
    ]
    assert worst_images(rows) == [*range(12, 0, -1), 0]
    rows += [{"errors": 0.5, "pixels": 10, "negative_log_likelihood": 80.0}]
    assert worst_images(rows) == [*range(12, 0, -1), 13, 0]  # those by loss too, by their share


@needs_chromium
def test_a_click_on_a_class_or_an_image_filters(run, tmp_path):
    folder, streets = run
    words = ["errors", str(folder), "--datadir", str(streets), "--output", str(tmp_path)]
    assert main.main(words) == 0
    pairs = "[...document.querySelectorAll('tr[data-pair]:not([hidden])')].map(r => r.dataset.pair)"
    places = "[...document.querySelectorAll('#worst button')].map(b => b.dataset.place)"
    with Chromium() as browser:
        browser.open((tmp_path / "errors.html").as_uri())
        first = browser.run(pairs)
        kept = browser.run("document.querySelector('figure').dataset.pairs.split(' ')")
        browser.run("document.querySelector('button[data-place]').click()")
        assert sorted(browser.run(pairs)) == sorted(kept)
        browser.run("document.querySelector('button[data-place]').click()")
        assert browser.run(pairs) == first
        browser.run("document.querySelector('button[data-class-id]').click()")
        k = browser.run("document.querySelector('button[data-class-id]').dataset.classId")
        assert browser.run(pairs) and all(k in pair.split("-") for pair in browser.run(pairs))
        last = "[...document.querySelectorAll('button[data-class-id]')].at(-1)"
        color = f"getComputedStyle({last}.querySelector('.swatch')).backgroundColor"
        expected = CITYSCAPES.palette[int(browser.run(f"{last}.dataset.classId"))].tolist()
        assert browser.run(color) == f"rgb({', '.join(map(str, expected))})"
        browser.run("document.querySelector('button[data-key=loss]').click()")
        losses = browser.run("[...document.querySelectorAll('figure')].map(f => +f.dataset.loss)")
        assert losses == sorted(losses, reverse=True) and len(browser.run(places)) == 2


def test_two_models_of_a_run_have_folders_of_their_own(run, capsys):
    folder, streets = run
    shutil.copy(folder / "model.onnx", folder / "model.int8 ü.onnx")
    for model in ("", "best.pt", "model.int8 ü.onnx"):
        words = ["errors", str(folder / model), "--datadir", str(streets), "--limit", "1"]
        assert main.main(words) == 0
    evaluated = {
        path.parent.name: json.loads(path.read_text())["evaluated"]["model"]
        for path in folder.glob("errors_val*/errors.json")
    }
    assert evaluated == {
        "errors_val": str(folder / "model.onnx"),
        "errors_val_best": str(folder / "best.pt"),
        "errors_val_model.int8 ü": str(folder / "model.int8 ü.onnx"),
    }
    assert main.main([*words, "--calibrated"]) == 2
    assert f"errors '{folder / 'model.int8 ü.onnx'}' --keep" in capsys.readouterr().err


def test_a_temperature_is_kept_and_used_when_asked(run, tmp_path, capsys):
    folder, streets = run
    model = tmp_path / "model.onnx"
    shutil.copy(folder / "model.onnx", model)
    words = ["errors", str(model), "--datadir", str(streets), "--split", "train"]
    photo = next((streets / "leftImg8bit" / "val").rglob("*.png"))
    image = ["test", "--modelpath", str(model), "--image", str(photo), "--output", str(tmp_path)]
    assert main.main([*words, "--calibrated"]) == 2
    assert "--keep-temperature` first" in capsys.readouterr().err
    assert main.main([*words, "--keep-temperature"]) == 0
    before = json.loads((tmp_path / "errors_train" / "errors.json").read_text())
    kept = OnnxSegmenter(model).temperature
    assert kept == before["calibration"]["temperature"] != 1
    assert main.main([*words, "--calibrated"]) == 0
    after = json.loads((tmp_path / "errors_train" / "errors.json").read_text())
    assert after["confusion_matrix"] == before["confusion_matrix"]
    assert after["negative_log_likelihood"] < before["negative_log_likelihood"]
    means = []
    for more in ([], ["--calibrated"]):
        assert main.main([*image, "--confidence", *more]) == 0
        means.append(read_image(tmp_path / f"{photo.stem}_confidence.png").mean() / 255)
    ids = read_image(tmp_path / f"{photo.stem}_trainIds.png")[..., 0]
    sure = MultiScaleSegmenter(OnnxSegmenter(model), temperature=kept)
    probabilities = enlarge(sure.mean_probabilities(read_image(photo)), ids.shape)
    expected = np.take_along_axis(probabilities, ids[None].astype(int), 0).mean()
    assert means[1] == pytest.approx(expected, abs=0.002) and means[0] != pytest.approx(means[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--calibrated", "--image", "photo.png"], "--calibrated goes with --confidence"),
        (["--confidence", "--split", "val"], "--confidence goes with --image"),
        (["--confidence", "--image", "p.png", "--window", "32", "64"], "without --window"),
    ],
)
def test_confidence_is_for_photos(run, words, said, capsys):
    folder, _ = run
    assert main.main(["test", "--modelpath", str(folder / "model.onnx"), *words]) == 2
    assert said in capsys.readouterr().err
