"""`export`: runs and published weights as model.onnx, other opsets, class ids instead of logits."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from tiny_runs import train_tiny

import commands.export
import main
import models
from commands.export import add_argmax, label_set, published_network
from deploy import OnnxSegmenter
from support.engine.folder import load_checkpoint
from support.engine.weights import read_weights
from utils import LabError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("export"), "--max-steps", 2)[0]


def export(*words: object) -> int:
    return main.main(["export", *map(str, words)])


def ids_of(path: Path, images: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(None, {"image": images})[0]


def test_a_run_is_exported_as_after_its_training(run, tmp_path, capsys):
    output = tmp_path / "m.onnx"
    assert export("--run", run, "--output", output) == 0
    said = capsys.readouterr().out
    assert re.search(r"m.onnx: \d+\.\d MiB, checked against PyTorch; \d+ ms for one image", said)
    photo = np.random.default_rng(0).integers(0, 256, (50, 90, 3)).astype(np.uint8)
    ours, theirs = (OnnxSegmenter(path) for path in (output, run / "model.onnx"))
    assert np.array_equal(ours.predict(photo), theirs.predict(photo))
    assert ours.classes == theirs.classes and ours.size == theirs.size == (32, 64)


def test_another_checkpoint_of_the_run_and_another_size_are_taken(run, tmp_path):
    output = tmp_path / "m.onnx"
    assert export("--run", run, "--weights", "last.pt", "--size", 64, 96, "--output", output) == 0
    assert OnnxSegmenter(output).size == (64, 96)
    state = load_checkpoint(run / "best.pt")
    zeros, weights = {k: 0 * v for k, v in state["model"].items()}, tmp_path / "zero.pt"
    for checkpoint in ({"model": zeros}, {"model": state["model"], "average": zeros}):
        torch.save(checkpoint, weights)
        assert export("--run", run, "--weights", weights, "--output", output) == 0
        assert not ids_of(output, np.ones((1, 3, 32, 64), np.float32)).any()
        assert not any(value.any() for value in read_weights(weights).values())


def test_argmax_gives_ids_of_one_byte_for_any_size(run, tmp_path, capsys):
    logits, ids = tmp_path / "l ü.onnx", tmp_path / "i.onnx"
    assert export("--run", run, "--output", logits) == 0
    assert f"main.py test --modelpath '{logits}' --image" in capsys.readouterr().out
    assert export("--run", run, "--argmax", "--output", ids) == 0
    assert "next:" not in capsys.readouterr().out  # `test` takes logits
    for shape in ((1, 3, 32, 64), (2, 3, 48, 40)):
        images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        found = ids_of(ids, images)
        assert found.dtype == np.uint8 and found.shape == (shape[0], *shape[2:])
        assert (found == ids_of(logits, images).argmax(axis=1)).mean() > 0.999
    kept = {each.key for each in onnx.load(ids).metadata_props}
    assert {"classes", "palette", "mean", "std", "size", "label_ids", "reading"} <= kept
    with pytest.raises(LabError, match="without --argmax"):
        OnnxSegmenter(ids)


def test_a_changed_file_that_says_something_else_is_refused(run, tmp_path, capsys, monkeypatch):
    def least(model: onnx.ModelProto) -> None:
        add_argmax(model)
        next(node for node in model.graph.node if node.op_type == "ArgMax").op_type = "ArgMin"

    monkeypatch.setattr(commands.export, "add_argmax", least)
    assert export("--run", run, "--argmax", "--output", tmp_path / "m.onnx") == 2
    assert "does not agree with the network" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_an_opset_that_is_none_is_refused_in_one_line(run, tmp_path, capsys):
    assert export("--run", run, "--opset", 3, "--output", tmp_path / "m.onnx") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: --opset 3: ONNX cannot convert this network (")
    assert line.endswith("); leave --opset out") and "/" not in line  # of the place in ONNX's code
    assert not [*tmp_path.iterdir()]


def test_another_opset_says_the_same(run, tmp_path):
    logits, other = tmp_path / "l.onnx", tmp_path / "o.onnx"
    assert export("--run", run, "--output", logits) == 0
    usual = onnx.load(logits).opset_import[0].version
    assert export("--run", run, "--opset", usual + 1, "--output", other) == 0
    assert onnx.load(other).opset_import[0].version == usual + 1
    assert OnnxSegmenter(other).classes == OnnxSegmenter(logits).classes
    images = np.random.default_rng(1).normal(size=(1, 3, 32, 64)).astype(np.float32)
    assert np.allclose(ids_of(other, images), ids_of(logits, images), atol=1e-4)


def published(name: str, classes: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return models.build_model(name, classes).state_dict()


@pytest.mark.slow
def test_weights_are_read_wrapped_and_as_safetensors(tmp_path):
    state = published("my_fcn", 21)
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "w.pth")
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "w.safetensors")
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    found = []
    for weights in ("w.pth", "w.safetensors"):
        words = ["--model", "my_fcn", "--weights", tmp_path / weights, "--classes", "pascal_voc"]
        assert export(*words, "--size", 64, 64, "--output", tmp_path / "m.onnx") == 0
        segmenter = OnnxSegmenter(tmp_path / "m.onnx")
        assert segmenter.classes[0] == "background" and segmenter.classes[20] == "tvmonitor"
        found.append(segmenter.predict(photo))
    assert np.array_equal(*found)


def test_published_weights_may_lack_what_evaluation_does_without(tmp_path):
    state = published("fcn_resnet18", 11)
    needed = {k: v for k, v in state.items() if not k.startswith("aux_classifier.")}
    torch.save({k: v for k, v in needed.items() if "batches" not in k}, tmp_path / "w.pt")
    network, about = published_network("fcn_resnet18", tmp_path / "w.pt", "camvid")
    assert all(torch.equal(network.state_dict()[key], needed[key]) for key in needed)
    assert (about["mean"][0], about["std"][0], about["size"]) == (0.485, 0.229, [512, 512])


@pytest.mark.parametrize(
    ("of", "classes", "asked", "words"),
    [
        ("fcn_resnet18", 21, "deeplabv3plus_resnet50", "say --model fcn_resnet18"),
        ("fcn_resnet18", 19, "fcn_resnet18", "are they of another number of classes"),
        ("unet", 21, "segformer_b0", "fits no network of the zoo"),
    ],
)
def test_weights_that_do_not_fit_are_named_with_the_network_that_they_fit(
    tmp_path, capsys, of, classes, asked, words
):
    options = {"base_channels": 4} if of == "unet" else {}
    state = models.build_model(of, classes, **options).state_dict()
    torch.save(state, tmp_path / "w.pt")
    given = ["--model", asked, "--weights", tmp_path / "w.pt", "--classes", "pascal_voc"]
    assert export(*given, "--output", tmp_path / "m.onnx") == 2
    line = capsys.readouterr().err
    assert words in line and len(line.splitlines()) == 1
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--model", "fcn_resnet18"], "say either --run RUN"),
        (["--model", "my_fcn", "--weights", "x"], "say either --run RUN"),
        (["--run", "x", "--model", "unet"], "--run knows its model"),
        (["--run", "absent"], "no such checkpoint"),
        (["--model", "unet", "--weights", "x", "--classes", "camvid"], "no network of the zoo"),
        (["--run", "x", "--output", "m.pt"], "ends in .onnx"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(tmp_path, capsys, given, words):
    assert export("--output", tmp_path / "m.onnx", *given) == 2
    line = capsys.readouterr().err
    assert words in line and len(line.splitlines()) == 1


def test_label_sets_are_known_by_name_or_read_from_a_file(tmp_path):
    assert len(label_set("cityscapes")) == 19 and len(label_set("ade20k")) == 150
    rows = [{"name": "leaf", "id": 1}, {"name": "soil", "id": 2}]
    (tmp_path / "classes.json").write_text(json.dumps(rows))
    assert label_set(str(tmp_path)).names == ("leaf", "soil")
    with pytest.raises(LabError, match="the known sets are ade20k, camvid"):
        label_set("atlantis")
    (tmp_path / "classes.json").write_text("{")
    with pytest.raises(LabError, match=r"classes.json"):
        label_set(str(tmp_path))


def test_a_file_whose_keys_are_no_names_is_refused(tmp_path, capsys):
    torch.save({0: torch.zeros(2)}, tmp_path / "w.pt")
    words = ["--model", "my_fcn", "--weights", tmp_path / "w.pt", "--classes", "camvid"]
    assert export(*words, "--output", tmp_path / "m.onnx") == 2
    assert "holds no weights" in capsys.readouterr().err


def test_a_checkpoint_of_another_network_in_a_run_is_refused(run, tmp_path, capsys):
    torch.save({"model": published("my_fcn", 19)}, tmp_path / "other.pt")
    output = tmp_path / "m.onnx"
    assert export("--run", run, "--weights", tmp_path / "other.pt", "--output", output) == 2
    assert "not weights of the network" in capsys.readouterr().err
    assert load_checkpoint(run / "best.pt")["name"] == "unet"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["segformer", "deeplabv3plus", "fcn"])
def test_published_networks_give_what_their_own_programs_give(tmp_path, kind):
    """Random weights of the reference, its own forward pass beside the exported file."""
    torch.manual_seed(0)
    if kind == "segformer":
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        reference = SegformerForSemanticSegmentation(
            SegformerConfig(num_labels=21, decoder_hidden_size=256)
        ).eval()
        name = "segformer_b0"

        def logits_of(x):
            return torch.nn.functional.interpolate(
                reference(x).logits, x.shape[-2:], mode="bilinear", align_corners=False
            )
    elif kind == "fcn":
        from torchvision.models.segmentation import fcn_resnet50

        reference = fcn_resnet50(weights=None, weights_backbone=None, num_classes=21).eval()
        name, logits_of = "fcn_resnet50", lambda x: reference(x)["out"]
    else:
        import segmentation_models_pytorch as smp

        reference = smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=21).eval()
        name, logits_of = "deeplabv3plus_resnet50", reference
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    words = ["--model", name, "--weights", tmp_path / "w.pth", "--classes", "pascal_voc"]
    assert export(*words, "--size", 64, 96, "--output", tmp_path / "m.onnx") == 0
    images = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = logits_of(torch.from_numpy(images)).numpy()
    given = ids_of(tmp_path / "m.onnx", images)
    assert np.abs(given - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
