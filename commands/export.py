"""Weights made into a `model.onnx` without training: of a run, or published ones.

Published state dicts of every network of the zoo are read as their authors' programs write them:
torchvision, transformers, timm and the official HRNet, NVIDIA's, segmentation-models-pytorch; as
`.pt`/`.pth`/`.bin` or `.safetensors`, wrapped or with `module.` before every name. The file that is
written is checked against PyTorch, as after a training.
"""

import json
import shlex
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, version_converter
from torch import Tensor, nn

import zoo
from data import MEAN, STD
from deploy import example_images, export_onnx, open_session
from models import MODELS, build_model
from support.engine.folder import load_checkpoint
from support.engine.weights import read_weights
from support.formats.labels import LabelSet
from utils import LabError, atomic_path, python_command

SET_NAMES = ("ade20k", "camvid", "cityscapes", "mapillary", "pascal_voc")
NEEDED_IN_RUN = ("model", "name", "options", "classes", "palette", "size")
UNUSED = ("aux_classifier.",)
"""Parts that evaluation does without, and that a published file may lack."""
TIMED = 5


def export_model(
    output: Path,
    run_folder: Path | None,
    model: str | None,
    weights: Path | None,
    classes: str | None,
    size: Sequence[int] | None,
    opset: int | None,
    argmax: bool,
) -> None:
    """Writes a network as ONNX and says what was written.

    Args:
        output: the file.
        run_folder: of a run; None for published weights.
        model, weights, classes: the name of the network, its state dict, and its label set; of a
            run, `weights` may name another checkpoint that lies in it.
        size: (height, width) at which images are to be seen; None for the run's, or 512x512.
        opset: of ONNX; None for the exporter's own.
        argmax: whether class ids (uint8) come out instead of logits.

    Raises:
        LabError: for options that do not belong together, and weights that do not fit.
    """
    if output.suffix != ".onnx":
        raise LabError(f"--output {output}: a network's file ends in .onnx")
    if run_folder is not None:
        if model or classes:
            raise LabError("--run knows its model and its classes; leave out --model and --classes")
        network, about = network_of_run(run_folder, weights)
    elif model and weights and classes:
        network, about = published_network(model, weights, classes)
    else:
        raise LabError("say either --run RUN, or --model NAME, --weights FILE and --classes SET")
    about["size"] = list(size or about["size"])
    with atomic_path(output) as temporary:
        export_onnx(network.eval(), temporary, about["size"], about)
        if opset is not None or argmax:
            change_file(temporary, opset, argmax, about["size"], network.stride)
    print(summary(output, about["size"], network.stride))
    if not argmax:
        file = shlex.quote(str(output))
        print(f"next: {python_command()} main.py test --modelpath {file} --image photo.jpg")


def network_of_run(run: Path, weights: Path | None) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a run's best weights, or of another checkpoint in its folder."""
    best = load_checkpoint(run / "best.pt", NEEDED_IN_RUN)
    path = run / "best.pt"
    if weights is not None:
        path = run / weights if (run / weights).is_file() else weights
    state = load_checkpoint(path, ("model",))
    state = state.get("average") or state["model"]
    try:
        network = build_model(best["name"], len(best["classes"]), **best["options"])
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise LabError(f"{path}: not weights of the network in {run}") from error
    kept = ("classes", "palette", "label_ids", "mean", "std", "size", "reading")
    return network, {key: best[key] for key in kept if key in best}


def published_network(name: str, weights: Path, classes: str) -> tuple[nn.Module, dict[str, Any]]:
    """A network of the zoo with published weights, all of which it needs.

    Raises:
        LabError: when the file does not fit; it names the network that fits best.
    """
    if name not in zoo.MODELS:
        raise LabError(
            f"--model {name}: no network of the zoo, which has {', '.join(zoo.MODELS)}; for a run "
            "of yours, say --run RUN"
        )
    labels, found = label_set(classes), read_weights(weights)
    network = build_model(name, len(labels))
    own, state = network.state_dict(), zoo.translate(name, found)
    fits = {key: value for key, value in state.items() if fits_in(own, key, value)}
    missing = [key for key in own if key not in fits and not key.startswith(UNUSED)]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing:
        raise LabError(misfit(name, weights, found, labels, missing[0], state))
    network.load_state_dict(fits, strict=False)
    about = {"mean": list(MEAN), "std": list(STD), "size": [512, 512], **labels.about_classes()}
    return network, about


def fits_in(own: dict[str, Tensor], key: str, value: Tensor) -> bool:
    """Whether a tensor of a file is one of the network's."""
    return key in own and own[key].shape == value.shape


def misfit(
    name: str, weights: Path, found: dict[str, Tensor], labels: LabelSet, key: str,
    state: dict[str, Tensor],
) -> str:  # fmt: skip
    """The line on weights that do not fit, with the network of the zoo that they fit best."""
    shares = {}
    for other in (each for each in MODELS if each not in ("unet", "my_fcn")):
        with torch.device("meta"):
            own = build_model(other, len(labels)).state_dict()
        translated = zoo.translate(other, found)
        shares[other] = sum(fits_in(own, k, v) for k, v in translated.items()) / len(own)
    best = max(shares, key=shares.__getitem__)
    said = "lacks it" if key not in state else f"has it as {tuple(state[key].shape)}"
    line = f"{weights}: not weights of {name} for {len(labels)} classes: {key} is needed, the file "
    line += said
    if shares[best] < 0.2:
        return f"{line}; it fits no network of the zoo"
    if best == name:
        return f"{line}; are they of another number of classes? See --classes"
    return f"{line}; {shares[best]:.0%} of {best} fits, say --model {best}"


def label_set(name: str) -> LabelSet:
    """A known set by its name, or one that a `classes.json` describes.

    Raises:
        LabError: for a name that is neither.
    """
    from support.formats.ade20k import ADE20K
    from support.formats.camvid import CAMVID_11
    from support.formats.cityscapes import CITYSCAPES
    from support.formats.mapillary import MAPILLARY
    from support.formats.pascal_voc import PASCAL_VOC

    known = (ADE20K, CAMVID_11, CITYSCAPES, MAPILLARY, PASCAL_VOC)
    if name in SET_NAMES:
        return dict(zip(SET_NAMES, known, strict=True))[name]
    path = Path(name)
    path = path / "classes.json" if path.is_dir() else path
    if not path.is_file():
        raise LabError(
            f"--classes {name}: no such file, and the known sets are {', '.join(SET_NAMES)}"
        )
    try:
        return LabelSet.from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise LabError(f"{path}: {error}") from error


def change_file(
    path: Path, opset: int | None, argmax: bool, size: Sequence[int], stride: int
) -> None:
    """Brings a file to another opset, or has it give class ids; compares it with what it was.

    Raises:
        LabError: when ONNX cannot convert the network, or the new file says something else.
    """
    before = onnx.load(path)
    images = next(example_images(size, stride))
    expected = open_session(path).run(None, {"image": images})[0]
    changed = before
    if opset is not None:
        try:
            changed = version_converter.convert_version(before, opset)
        except Exception as error:  # onnx raises its own kinds, without a common base class
            reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2][:160]
            raise LabError(
                f"--opset {opset}: ONNX cannot convert this network ({reason}); leave --opset out"
            ) from error
        onnx.helper.set_model_props(changed, {p.key: p.value for p in before.metadata_props})
    if argmax:
        add_argmax(changed)
    onnx.save(changed, path)
    given = open_session(path).run(None, {"image": images})[0]
    is_same = (given == expected.argmax(axis=1)).mean() > 0.999 if argmax else np.allclose(
        given, expected, atol=1e-4 * max(1.0, np.abs(expected).max())
    )  # fmt: skip
    if not is_same:
        raise LabError(f"{path}: the changed file does not agree with the network")


def add_argmax(model: onnx.ModelProto) -> None:
    """Puts the argmax over the classes behind the logits, in place: ids, (B, H, W) uint8."""
    graph, logits = model.graph, model.graph.output[0]
    batch, _, height, width = (
        each.dim_param or each.dim_value for each in logits.type.tensor_type.shape.dim
    )
    best = helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=0)
    graph.node.extend([best, helper.make_node("Cast", ["best"], ["ids"], to=TensorProto.UINT8)])
    ids = helper.make_tensor_value_info("ids", TensorProto.UINT8, [batch, height, width])
    del graph.output[:]
    graph.output.append(ids)


def summary(path: Path, size: Sequence[int], stride: int) -> str:
    """What was written: the file, its size, the time of one image, in a line."""
    session = open_session(path)
    images = next(example_images((256, 256), stride))
    height, width = (side + -side % stride for side in size)
    images = np.resize(images, (1, 3, height, width)).astype(np.float32)
    seconds = []
    for _ in range(TIMED + 1):  # the first warms up
        start = time.perf_counter()
        session.run(None, {"image": images})
        seconds.append(time.perf_counter() - start)
    milliseconds = 1000 * statistics.median(seconds[1:])
    megabytes = path.stat().st_size / 2**20
    return (
        f"{path}: {megabytes:.1f} MiB, checked against PyTorch; {milliseconds:.0f} ms for one "
        f"image of {height}x{width} on this machine"
    )
