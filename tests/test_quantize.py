"""`quantize`: smaller files that say the same, a table that is measured, an exit code."""

import json
import re
import shutil

import numpy as np
import onnx
import pytest
import torch
from street_files import write_png
from tiny_runs import train_tiny

import main
from commands import quantize
from deploy import OnnxSegmenter
from support.formats.labels import LabelSet
from utils import LabError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    words = ("--base-channels", 8, "--epochs", 4)
    run, streets = train_tiny(tmp_path_factory.mktemp("quantize"), *words)
    return run / "model.onnx", streets


def classes_of(path):
    return json.loads({p.key: p.value for p in onnx.load(path).metadata_props}["classes"])


def test_smaller_files_lie_beside_the_model_and_keep_what_it_says(trained, capsys):
    model, streets = trained
    assert main.main(["quantize", str(model), "--datadir", str(streets), "--most", "0.9"]) == 0
    said = capsys.readouterr().out
    rows = re.findall(r"^(float32|float16|int8) .* (\d+\.\d\d)%  (.*)$", said, re.MULTILINE)
    assert [kind for kind, _, _ in rows] == ["float32", "float16", "int8"]
    assert rows[0][1] == "100.00" and float(rows[1][1]) > 99 and float(rows[2][1]) > 80
    sizes = [model.parent.joinpath(path).stat().st_size for _, _, path in rows]
    assert sizes[1] < 0.65 * sizes[0] and sizes[2] < sizes[1] * 1.2
    kept = [classes_of(path) for _, _, path in rows]
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 19
    photo = np.random.default_rng(0).integers(0, 256, (50, 90, 3)).astype(np.uint8)
    for _, _, path in rows:
        assert OnnxSegmenter(path).predict(photo).shape == (50, 90)
    inside = {node.op_type for node in onnx.load(model.with_suffix(".int8.onnx")).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= inside
    graph = onnx.load(model.with_suffix(".int8.onnx")).graph
    scales = [each.dims for each in graph.initializer if each.name.endswith("_scale")]
    assert max(map(len, scales)) == 1  # a scale for each channel of the weights


class Fixed:
    """A network whose predictions are given; an image is its place, everywhere."""

    def __init__(self, *masks: list) -> None:
        self.masks = np.array(masks)

    def predict(self, image: np.ndarray) -> np.ndarray:
        return self.masks[image[0, 0, 0]]

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        return image[0, 0]

    def run(self, batch: np.ndarray) -> None:
        pass


class Pairs(list):
    labels = LabelSet.from_json([{"name": "a", "id": 0}, {"name": "b", "id": 1}])


TWO = Pairs(
    (np.full((1, 4, 3), k), torch.tensor([target]))
    for k, target in enumerate(([0, 0, 0, 1], [1, 1, 1, 0]))
)


def test_both_kinds_are_compared_by_hand():
    right, other = Fixed([[0, 0, 0, 1]], [[1, 1, 1, 0]]), Fixed([[0, 0, 1, 1]], [[1, 1, 1, 0]])
    results = quantize.compare({"float32": right, "int8": other}, TWO)
    assert all(results["float32"][key] == 1 for key in ("macro F1", "mean IoU", "agreement"))
    assert results["int8"]["macro F1"] == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert results["int8"]["mean IoU"] == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert results["int8"]["agreement"] == 7 / 8


def test_a_split_of_void_is_no_proof():
    void = Pairs([(np.zeros((1, 4, 3), int), torch.full((1, 4), 255))])
    with pytest.raises(LabError, match="void"):
        quantize.compare({"float32": Fixed([[0, 0, 0, 1]])}, void)


def test_calibration_hands_out_every_image_once():
    calibration = quantize.Calibration(Fixed(), TWO)
    found = [calibration.get_next() for _ in range(3)]
    assert [each["image"].tolist() for each in found[:2]] == [[[0, 0, 0]], [[1, 1, 1]]]
    assert found[2] is None


def test_the_table_has_sizes_times_and_scores(tmp_path):
    (tmp_path / "m").write_bytes(bytes(3 * 2**19))
    row = {"macro F1": 0.8, "mean IoU": 0.75, "agreement": 0.5, "ms": 12.34}
    line = quantize.table({"int8": tmp_path / "m"}, {"int8": row}).splitlines()[1]
    assert line.split() == ["int8", "1.50", "12.3", "0.7500", "0.8000", "50.00%", f"{tmp_path}/m"]


def test_data_of_other_classes_are_refused(trained, tmp_path, capsys):
    for split in ("train", "val"):
        write_png(tmp_path / "images" / split / f"{split}.png", np.zeros((8, 8, 3), np.uint8))
        write_png(tmp_path / "masks" / split / f"{split}.png", np.eye(8, dtype=np.uint8))
    assert main.main(["quantize", str(trained[0]), "--datadir", str(tmp_path)]) == 2
    assert "class" in capsys.readouterr().err.splitlines()[-1]


def test_a_score_that_falls_too_far_is_exit_code_1(trained, tmp_path, capsys, monkeypatch):
    model, streets = shutil.copy(trained[0], tmp_path / "my model.onnx"), trained[1]
    row = {"macro F1": 0.8, "mean IoU": 0.7, "agreement": 1.0, "ms": 5.0}
    found = {"float32": row, "float16": row, "int8": row | {"mean IoU": 0.65}}
    seen, calibration = [], quantize.Calibration
    monkeypatch.setattr(quantize, "compare", lambda _, dataset: seen.append(dataset) or found)
    monkeypatch.setattr(quantize, "Calibration", lambda *of: seen.append(of[1]) or calibration(*of))
    words = ["quantize", str(model), "--datadir", str(streets), "--images", "2", "--limit", "1"]
    assert main.main(words) == 1
    assert [(each.source.split, len(each)) for each in seen] == [("train", 2), ("val", 1)]
    assert "worse by more than 0.02: mean IoU of int8 by 0.0500" in capsys.readouterr().out
    assert main.main([*words, "--most", "0.1"]) == 0
    assert f"--modelpath '{tmp_path / 'my model.int8.onnx'}' --image" in capsys.readouterr().out


def test_what_is_no_model_is_refused_in_one_line(trained, tmp_path, capsys):
    model, streets = trained
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    assert main.main(["quantize", str(model), "--datadir", str(streets), "--most", "0.9"]) == 0
    capsys.readouterr()
    done = [model.with_suffix(".fp16.onnx"), model.with_suffix(".int8.onnx")]
    for path in (
        *done,
        model.with_name("best.pt"),
        tmp_path / "absent.onnx",
        tmp_path / "broken.onnx",
    ):
        assert main.main(["quantize", str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
