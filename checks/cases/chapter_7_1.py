"""Further cases of TODO 7.1: the export."""

import functools
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import deploy
from checks.cases.readers import metadata
from checks.common import is_equal, random_tensor, randomized
from commands.companion.checking import wrong


class _HalvesInTraining(nn.Module):
    """Behaves otherwise in training mode, as networks with auxiliary heads or random depth do.

    Batch normalisation and dropout alone would not show the mode: the exporter translates them as
    in evaluation, whatever the mode.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        return 0.5 * x if self.training else x


class _TinyNetwork(nn.Module):
    """A network with everything that an export can get wrong, and a stride of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stride = 4
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.halves = _HalvesInTraining()
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 5, H, W)."""
        small = F.avg_pool2d(self.dropout(self.halves(self.norm(self.first(x).relu()))), 4)
        return self.last(F.interpolate(small, x.shape[-2:], mode="bilinear"))


class _Export(NamedTuple):
    """What one export gave: the file's bytes and its neighbours, and the model before and after."""

    content: bytes
    files: list[str]
    modes: tuple[dict[str, bool], dict[str, bool]]
    states: tuple[dict[str, Tensor], dict[str, Tensor]]
    model: nn.Module


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name or "model": module.training for name, module in model.named_modules()}


@functools.lru_cache(maxsize=1)
def _try_export() -> _Export | Exception:
    """Exports the tiny network, once for all tests, with the lab's own check switched off."""
    model = randomized(_TinyNetwork(), "", seed=3).train()
    model.dropout.eval()
    modes = _modes(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        if hasattr(deploy, "check_export"):
            patch.setattr(deploy, "check_export", lambda *args, **options: None)
        path = Path(scratch) / "model.onnx"
        try:
            deploy.export_onnx(model, path, (16, 24), metadata(5))
            content = path.read_bytes()
        except Exception as error:  # it is raised again in each test
            return error
        files = sorted(each.name for each in Path(scratch).iterdir())
    after = {name: value.clone() for name, value in model.state_dict().items()}
    return _Export(content, files, (modes, _modes(model)), (state, after), model)


def _export() -> _Export:
    """The one export, or the error that it ended with."""
    result = _try_export()
    if isinstance(result, Exception):
        raise result
    return result


def _open(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


_EXPORTED = "a network in training mode, exported"


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_names_and_dynamic_sizes() -> None:
    """image and logits, float32; batch, height and width may be anything."""
    session = _open(_export().content)
    for kind, values, name in (
        ("input", session.get_inputs(), "image"),
        ("output", session.get_outputs(), "logits"),
    ):
        names = [value.name for value in values]
        if names != [name]:
            every = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
            is_swapped = every == ["logits", "image"]
            wrong(
                given=_EXPORTED,
                expected=f"one {kind}, called {name}",
                got=names,
                likely="the names are swapped" if is_swapped else f"{kind}_names=[{name!r}]",
            )
        shape = values[0].shape
        fixed = {
            what: shape[axis]
            for axis, what in ((0, "batch"), (2, "height"), (3, "width"))
            if len(shape) == 4 and isinstance(shape[axis], int)
        }
        if len(shape) != 4 or fixed:
            wrong(
                given=_EXPORTED,
                expected=f"{name} [batch, {3 if name == 'image' else 5}, height, width]",
                got=f"{name} {shape}",
                likely=f"fixed {' and '.join(fixed)}: axes 0, 2 and 3 stand in dynamic_shapes"
                if fixed
                else None,
            )
        if shape[2] == shape[3]:
            expected = f"{name} [batch, {shape[1]}, height, width]: two sizes, two names"
            likely = "one name for height and width says that every image is square"
            wrong(given=_EXPORTED, expected=expected, got=f"{name} {shape}", likely=likely)
        if values[0].type != "tensor(float)":
            wrong(given=_EXPORTED, expected=f"{name} of float32", got=values[0].type)


def _run_export(shape: tuple[int, int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and what the exported network makes of it."""
    session = _open(_export().content)
    image = random_tensor(seed, *shape).numpy() * 2 + 0.7
    try:
        name = session.get_inputs()[0].name
        return image, session.run(None, {name: image})[0]
    except Exception as error:  # onnxruntime's own errors have no other common base class
        declared = session.get_inputs()[0].shape
        is_fixed = any(isinstance(declared[axis], int) for axis in (0, 2, 3))
        wrong(
            given=f"{_EXPORTED}, then run on images {shape}",
            expected="it runs on any batch and size",
            got=str(error).split("\n")[0][:200],
            likely="a fixed batch or size: axes 0, 2 and 3 must stand in dynamic_shapes"
            if is_fixed
            else None,
        )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_agrees_with_pytorch() -> None:
    """The file gives PyTorch's logits of evaluation mode, for other batches and sizes too."""
    model = _export().model
    for shape in ((1, 3, 8, 20), (3, 3, 12, 4), (2, 3, 8, 12), (2, 3, 24, 16)):
        image, got = _run_export(shape, seed=sum(shape))
        given = f"{_EXPORTED}, then run on images {shape}"
        with torch.no_grad():
            x = torch.from_numpy(image)
            expected = model.eval()(x).numpy()
            shifted = np.exp(expected - expected.max(axis=1, keepdims=True))
            softmax = shifted / shifted.sum(axis=1, keepdims=True)
            model.halves.train()
            causes = {
                "exported in training mode: call eval() on the network first": model(x).numpy(),
                "a softmax was added; the file gives logits": softmax,
                "a softmax was added (its logarithm); the file gives logits": np.log(softmax),
                "a sigmoid was added; the file gives logits": 1 / (1 + np.exp(-expected)),
            }
        if got.shape != expected.shape:
            is_chosen = np.array_equal(got, np.round(got))
            likely = "argmax was added: the file gives logits" if is_chosen else None
            wrong(given=given, expected=expected.shape, got=got.shape, likely=likely)
        difference = float(np.abs(got - expected).max())
        if not difference < 1e-3:
            found = [cause for cause, values in causes.items() if is_equal(got, values)]
            wrong(
                given=given,
                expected="PyTorch's logits in evaluation mode",
                got=f"logits that differ by up to {difference:.2g}",
                likely=found[0] if found else None,
            )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_model_stays_as_it_was() -> None:
    """The export changes neither the model's weights nor its mode."""
    export = _export()
    before, after = export.modes
    if before != after:
        name = next(name for name in before if before[name] != after.get(name))
        wrong(
            given="a model in training mode, its dropout in evaluation mode",
            expected="each part is in the same mode after the export",
            got=f"{name}: training={before[name]} before, {after.get(name)} after",
            likely="eval() was called on the model itself, not on the copy `network`",
        )
    for name, value in export.states[0].items():
        if not torch.equal(value, export.states[1][name]):
            wrong(
                given=_EXPORTED,
                expected="the model's weights and statistics stay as they are",
                got=f"{name} has changed",
                likely="the model itself ran in training mode",
            )


@pytest.mark.todo("7.1", points=2, needs=[])
def test_7_1_one_file_with_metadata() -> None:
    """The file holds the weights and the metadata, and is alone."""
    export = _export()
    if export.files != ["model.onnx"]:
        wrong(
            given=_EXPORTED,
            expected="one file, model.onnx",
            got=export.files,
            likely="the weights went into a file of their own (external_data)",
        )
    found = _open(export.content).get_modelmeta().custom_metadata_map
    expected = {**metadata(5), "size": [16, 24], "stride": 4, "format_version": 1}
    for key, value in expected.items():
        text = found.get(key)
        if text is None or json.loads(text) != value:
            wrong(given=_EXPORTED, expected=f"metadata {key} = {value}", got=text)
