"""The scores that the lab promises; the README has those that the defaults reach.

Minutes long, so in `make test-all` only. Where the processor does not multiply bfloat16, they would
take an hour: there the first epochs must reach what they reach, and the photographs are left out.
"""

import json
from pathlib import Path

import pytest

import main as command_line
from support.engine.hardware import cpu_multiplies_bf16

IS_FAST = cpu_multiplies_bf16()
PHOTOS = Path(__file__).resolve().parent.parent.parent / "shared" / "camvid-as-cityscapes"


def train_and_test(words: list[object], folder: Path) -> dict:
    """Trains a run, judges it on its validation split, and returns metrics.json."""
    train = ["train", *words, "--logdir", folder, "--name", "run"]
    data = words[words.index("--datadir") :][:2] if "--datadir" in words else []
    model = folder / "run" / "model.onnx"
    test = ["test", "--modelpath", model, "--split", "val", *data, "--output", folder / "val"]
    for command in (train, test):
        assert command_line.main([str(word) for word in command]) == 0
    return json.loads((folder / "val" / "metrics.json").read_text())


@pytest.mark.slow
def test_defaults_learn_toy_streets(tmp_path):
    """All 11 epochs reach 0.83; the first two alone 0.57."""
    result = train_and_test([] if IS_FAST else ["--max-steps", 160], tmp_path)
    assert result["macro_f1"] >= (0.75 if IS_FAST else 0.45)
    assert all(row["f1"] > 0 for row in result["classes"].values()) or not IS_FAST


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs are not beside the project")
@pytest.mark.skipif(not IS_FAST, reason="three quarters of an hour without bfloat16")
def test_ce_learns_photographs(tmp_path):
    words = ["--datadir", PHOTOS, "--img-size", 192, 256, "--batch-size", 8, "--max-steps", 500]
    result = train_and_test([*words, "--loss", "ce"], tmp_path)
    assert result["macro_f1"] >= 0.45
