"""`quantize`: smaller files that say the same, a table that is measured, an exit code."""

import json
import re

import numpy as np
import onnx
import pytest
from tiny_runs import train_tiny

import main
from commands import quantize
from deploy import OnnxSegmenter


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


def test_a_score_that_falls_too_far_is_exit_code_1(trained, capsys, monkeypatch):
    model, streets = trained
    row = {"macro F1": 0.8, "mean IoU": 0.7, "agreement": 1.0, "ms": 5.0}
    found = {"float32": row, "float16": row, "int8": row | {"mean IoU": 0.65}}
    monkeypatch.setattr(quantize, "compare", lambda *_: found)
    words = ["quantize", str(model), "--datadir", str(streets), "--images", "2"]
    assert main.main(words) == 1
    assert "worse by more than 0.02: mean IoU of int8 by 0.0500" in capsys.readouterr().out
    assert main.main([*words, "--most", "0.1"]) == 0


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
