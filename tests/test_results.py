"""The scores that the lab promises; the README has those that the defaults reach.

Minutes long, so in `make test-all` only.
"""

import json
from pathlib import Path

import pytest

import main as command_line

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
    result = train_and_test([], tmp_path)
    assert result["macro_f1"] >= 0.75
    assert all(row["f1"] > 0 for row in result["classes"].values())


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs are not beside the project")
def test_ce_learns_photographs(tmp_path):
    words = ["--datadir", PHOTOS, "--img-size", 192, 256, "--batch-size", 8, "--max-steps", 500]
    result = train_and_test([*words, "--loss", "ce"], tmp_path)
    assert result["macro_f1"] >= 0.45
