"""What every model of the registry keeps, whatever is inside; parity stands in files of its own."""

import ast
import copy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from street_files import write_streets
from torchvision.models.segmentation import fcn_resnet50

import main as command_line
import models
import zoo
from deploy import OnnxSegmenter, export_onnx
from losses import build_loss
from support.engine.folder import load_checkpoint
from support.engine.schedules import Schedule, build_optimizer
from support.engine.weights import freeze, is_scoring, load_weights
from support.formats.cityscapes import CITYSCAPES
from utils import LabError
from zoo.auxiliary import WithAuxiliary

ZOO = Path(zoo.__file__).parent
SMALLEST = ("unet", "my_fcn", "fcn_resnet18", "deeplabv3plus_resnet50", "segformer_b0", "hrnet_w18")
"""One of each architecture, and the deep ones only in the slow tests."""
DEEP = tuple(name for name in models.MODELS if name not in SMALLEST)
NAMES = [*SMALLEST, *(pytest.param(name, marks=pytest.mark.slow) for name in DEEP)]
EXPORTED = (*SMALLEST, "deeplabv3_resnet50", "hrnet_ocr_aspp_w48", "hrnet_ocr_ms_w48")
"""One of each kind of layer; the others hold more of the same, and take minutes each."""
SIZES = {"unet": {"base_channels": 4}}
"""As large as the paper's, it would take minutes."""
METADATA = {"classes": list(CITYSCAPES.names[:5]), "palette": CITYSCAPES.palette[:5].tolist()}
METADATA |= {"mean": [0.5] * 3, "std": [0.25] * 3}


def build(name: str, num_classes: int = 5) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.build_model(name, num_classes, **SIZES.get(name, {}))


def criterion_of(model: torch.nn.Module) -> torch.nn.Module:
    return WithAuxiliary(build_loss("ce"), getattr(model, "default_aux_weights", ()))


def test_registry_knows_every_file_of_the_zoo():
    assert [*models.MODELS] == ["unet", *(name for names in zoo.FILES.values() for name in names)]
    others = {"__init__", "auxiliary", "blocks", "losses", "losses_region", "mapping"}
    assert {path.stem for path in ZOO.glob("*.py")} - others == set(zoo.FILES)
    for file, names in zoo.FILES.items():
        assert tuple(import_module(f"zoo.{file}").MODELS) == names


def test_zoo_files_are_short_and_import_each_other_one_way():
    for path in ZOO.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 300, path
        imported = {
            node.module
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        local = {name for name in imported if name.split(".")[0] in ("zoo", "support", "models")}
        backbone = {"zoo.blocks", "zoo.losses_region"}
        if path.stem.startswith("hrnet_"):
            backbone |= {"zoo.hrnet", "zoo.hrnet_ocr"}
        assert local <= backbone, path


def test_build_model_names_the_known_ones():
    with pytest.raises(LabError, match="segformer_b0"):
        models.build_model("segformer", 5)


@pytest.mark.parametrize("name", NAMES)
def test_model_gives_logits_at_the_size_of_the_picture(name):
    model = build(name).eval()
    with torch.no_grad():
        for batch, height, width in ((1, 65, 97), (2, 64, 48)):
            logits = model(torch.randn(batch, 3, height, width))
            assert logits.shape == (batch, 5, height, width) and logits.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_model_in_evaluation_repeats_itself_and_sees_each_picture_alone(name):
    model = build(name).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        logits = model(images)
        assert torch.equal(logits, model(images))
        difference = (logits[:1] - model(images[:1])).abs().max()
        assert difference <= 5e-3 * logits.abs().max()  # untrained, some answer in millions


@pytest.mark.parametrize("name", NAMES)
def test_model_learns_with_every_parameter(name):
    """A few steps on one batch lower its loss, and no parameter is left without a gradient."""
    model = build(name).train()
    criterion = criterion_of(model)
    images, target = torch.randn(2, 3, 64, 96), torch.randint(0, 5, (2, 64, 96))
    target[images[:, 0] > 0] = 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    losses, reached = [], set()
    for _ in range(4):
        loss = criterion(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        reached |= {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
        losses.append(loss.item())
    assert {name for name, _ in model.named_parameters()} == reached
    assert min(losses[1:]) < losses[0]  # depth and channels are dropped at random


@pytest.mark.parametrize("name", NAMES)
def test_model_keeps_the_contract_of_auxiliary_heads(name):
    model, images = build(name).train(), torch.randn(2, 3, 64, 64)
    output, count = model(images), getattr(model, "aux_count", 0)
    if count == 0:
        assert isinstance(output, torch.Tensor)
    else:
        logits, auxiliary = output
        assert len(auxiliary) == count == len(model.default_aux_weights)
        assert all(each.shape == logits.shape == (2, 5, 64, 64) for each in auxiliary)
    assert isinstance(model.eval()(images), torch.Tensor)


@pytest.mark.parametrize("name", NAMES)
def test_model_comes_back_from_its_state_dict(name):
    model, other = build(name), models.build_model(name, 5, **SIZES.get(name, {}))
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), other.eval()(images))


@pytest.mark.parametrize("name", NAMES)
def test_model_runs_in_bfloat16(name):
    model, images = build(name).train(), torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images)
    loss = criterion_of(model)(output, torch.randint(0, 5, (2, 64, 64)))
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_model_holds_its_tensors_where_it_lies(name):
    """On the `meta` device, a tensor made on the CPU inside `forward` would not fit."""
    model = build(name).eval().to("meta")
    assert model(torch.zeros(1, 3, 64, 64, device="meta")).device.type == "meta"


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_model_exports_with_dynamic_sizes(name, tmp_path):
    """`export_onnx` itself compares the logits with PyTorch's, at two sizes and batch sizes."""
    model = build(name).eval()
    export_onnx(model, tmp_path / "model.onnx", (64, 96), METADATA)
    photo = np.random.default_rng(0).integers(0, 256, (100, 210, 3)).astype(np.uint8)
    assert OnnxSegmenter(tmp_path / "model.onnx").predict(photo).shape == (100, 210)


def test_model_trains_resumes_and_is_tested_by_the_command_line(tmp_path):
    streets = write_streets(tmp_path / "streets")
    words = ["train", "--datadir", streets, "--img-size", 32, 64, "--batch-size", 2]
    words += ["--model", "fcn_resnet18", "--loss", "dice_ce", "--num-workers", 0]
    words += ["--logdir", tmp_path, "--name", "a", "--auto-resume"]
    words += ["--scheduler", "constant"]
    for steps in (1, 2):
        assert command_line.main([*map(str, words), "--max-steps", str(steps)]) == 0
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] == 2
    for file in ("model.onnx", "best.pt"):
        words = ["test", "--modelpath", tmp_path / "a" / file, "--datadir", streets]
        words += ["--split", "val", "--output", tmp_path / file]
        assert command_line.main([*map(str, words)]) == 0
    first, second = ((tmp_path / each / "metrics.json").read_text().split('"evaluated"')[0]
                     for each in ("model.onnx", "best.pt"))  # fmt: skip
    assert first == second


def test_weights_of_a_reference_are_taken_over(tmp_path):
    reference = fcn_resnet50(weights=None, weights_backbone=None, num_classes=19, aux_loss=True)
    torch.save(reference.state_dict(), tmp_path / "published.pth")
    model = models.build_model("fcn_resnet50", 19)
    report = load_weights(
        model, tmp_path / "published.pth", lambda state: zoo.translate("fcn_resnet50", state)
    )
    count = len(model.state_dict())
    assert report == [
        f"{tmp_path / 'published.pth'}: {count} of the model's {count} tensors taken over"
    ]
    images = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        expected = reference.eval()(images)["out"]
        assert torch.allclose(model.eval()(images), expected, atol=1e-5)


def test_auxiliary_losses_are_weighed_in_training_alone():
    torch.manual_seed(0)
    logits, first, second = torch.randn(3, 2, 5, 4, 6)
    target = torch.randint(0, 5, (2, 4, 6))
    criterion = WithAuxiliary(build_loss("ce"), (0.25, 3.0))
    parts = [torch.nn.functional.cross_entropy(each, target) for each in (logits, first, second)]
    loss = criterion((logits, [first, second]), target)
    expected = parts[0] + 0.25 * parts[1] + 3 * parts[2]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert criterion(logits, target).item() == pytest.approx(parts[0].item(), rel=1e-5)
    assert criterion.denominator(target) == 48
    with pytest.raises(ValueError, match="shorter"):
        criterion((logits, [first]), target)


@pytest.mark.slow
def test_auxiliary_weights_and_published_weights_of_the_command_line(tmp_path, capsys):
    state = models.build_model("fcn_resnet18", 19).state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("aux_classifier.")}
    state["classifier.4.weight"] = torch.zeros(3, 128, 1, 1)
    torch.save(state | {"fc.bias": torch.zeros(4)}, tmp_path / "published.pth")
    words = ["train", "--datadir", write_streets(tmp_path / "streets"), "--img-size", 33, 64]
    words += ["--model", "fcn_resnet18", "--batch-size", 2, "--num-workers", 0, "--max-steps", 1]
    words += ["--logdir", tmp_path, "--weights", tmp_path / "published.pth"]
    losses = []
    for weight in (0, 0.5, 2):
        name = f"aux{weight}"
        own = ["--name", name, "--aux-weights", weight]
        assert command_line.main([*map(str, [*words, *own])]) == 0
        losses.append(load_checkpoint(tmp_path / name / "last.pt")["history"][0]["train_loss"])
    said = capsys.readouterr().out
    assert "1 of another shape: classifier.4.weight (3, 128, 1, 1) instead of (19, 128, 1" in said
    assert "aux_classifier.4.weight" in said and "1 without a place in the model: fc.bias" in said
    assert losses[2] - losses[0] == pytest.approx(4 * (losses[1] - losses[0]), rel=1e-3)
    assert losses[1] > losses[0]


def test_models_of_the_zoo_are_imported_when_they_are_built():
    """The UNet does not wait for torchvision."""
    script = "import sys, models; assert 'torchvision' not in sys.modules, 'torchvision'"
    subprocess.run([sys.executable, "-c", script], cwd=ZOO.parent, check=True)


# ------------------------------------------------------------------------------- parts that learn


@pytest.mark.parametrize("part", ["last", "head"])
@pytest.mark.parametrize("name", [*SMALLEST, "deeplabv3_resnet50"])
def test_what_is_frozen_stays_to_the_bit_and_the_rest_moves(name, part):
    model = build(name)
    freeze(model, part, 5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = build_optimizer("adamw", model, 1e-2, 1e-2)
    images, target = torch.randn(2, 3, 64, 64), torch.randint(0, 5, (2, 64, 64))
    model.train()
    criterion_of(model)(model(images), target).backward()
    optimizer.step()
    learning = {key for key, each in model.named_parameters() if each.requires_grad}
    frozen = [each for each in model.parameters() if not each.requires_grad]
    in_optimizer = {id(each) for group in optimizer.param_groups for each in group["params"]}
    assert learning and all(each.grad is None for each in frozen)
    assert in_optimizer == {id(each) for each in model.parameters()} - set(map(id, frozen))
    moved = {key for key, value in model.state_dict().items() if not value.equal(before[key])}
    assert learning <= moved
    if part == "last":
        assert moved == learning and len(learning) in (2, 4)  # weight and bias, of an auxiliary too
        assert all(value.shape[0] == 5 for key, value in before.items() if key in learning)
    head = {id(each) for each in model.head_parameters()}
    assert {key for key, each in model.named_parameters() if id(each) in head} >= learning


def test_frozen_statistics_stay_with_synchronised_batch_normalisation_too():
    model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(build("fcn_resnet18"))
    freeze(model, "head", 5)
    model.train()
    kinds = {
        type(each).__name__ for each in model.backbone.modules() if "BatchNorm" in str(type(each))
    }
    assert kinds == {"FixedBatchNorm"} and not model.backbone.bn1.training


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_says_what_its_head_is(name):
    with torch.device("meta"):
        model = models.build_model(name, 5, **SIZES.get(name, {}))
    head = {id(each) for each in model.head_parameters()}
    everything = {id(each) for each in model.parameters()}
    assert head < everything
    scoring = [each for each in model.modules() if is_scoring(each, 5)]
    assert 1 <= len(scoring) <= 2
    assert {id(p) for each in scoring for p in each.parameters()} <= head


def test_the_backbone_has_a_rate_of_its_own():
    model = build("fcn_resnet18")
    optimizer = build_optimizer("sgd", model, 0.1, 0.0, backbone_factor=0.1)
    head, rest = optimizer.param_groups
    assert head["lr"] == 0.1 and rest["lr"] == pytest.approx(0.01)
    assert len(head["params"]) == len([*model.head_parameters()])
    scheduler = Schedule("poly", optimizer, 10, 0.0)
    optimizer.step()
    scheduler.step()
    assert rest["lr"] == pytest.approx(0.1 * head["lr"]) and head["lr"] < 0.1
    with pytest.raises(LabError, match="--optimizer adamw"):
        build_optimizer("muon", model, 0.1, 0.0, backbone_factor=0.1)


def test_a_run_that_trains_the_head_keeps_the_backbone_of_the_run_before(tmp_path, capsys):
    streets = write_streets(tmp_path / "streets")
    words = ["train", "--datadir", streets, "--img-size", 32, 64, "--batch-size", 2, "--max-steps"]
    words += [2, "--model", "fcn_resnet18", "--num-workers", 0, "--logdir", tmp_path, "--name"]
    assert command_line.main([*map(str, [*words, "a"])]) == 0
    more = ["b", "--finetune-from", tmp_path / "a", "--train", "head"]
    assert command_line.main([*map(str, [*words, *more])]) == 0
    assert "of which learn" in capsys.readouterr().out
    source, after = (load_checkpoint(tmp_path / name / "best.pt")["model"] for name in "ab")
    for key, value in after.items():
        assert value.equal(source[key]) == key.startswith("backbone.") or "num_batches" in key, key
