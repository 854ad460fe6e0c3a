"""Small networks in the format of model.onnx that show what a segmenter hands to them."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import deploy
from checks.common import kind_of
from checks.diagnosis.chapter_7 import LEVELS, MEAN, PIXELS, STD, Reader
from commands.companion.checking import wrong


def metadata(num_classes: int) -> dict[str, object]:
    """What a model.onnx of so many classes says of itself."""
    return {
        "classes": [f"class {k}" for k in range(num_classes)],
        "palette": [[k, 255 - k, 7] for k in range(num_classes)],
        "mean": list(MEAN),
        "std": list(STD),
    }


_SIZES = Reader(1.0, 1.0)


def read_out(graph_input: str, reader: Reader) -> tuple[list[onnx.NodeProto], list]:
    """Nodes that turn (B, 1, H, W) values into logits whose argmax is the reader's class.

    -(v - t)² = 2 t v - t² - v²: the last term is the same for every class, so the logits of the
    levels t are a 1x1 convolution.
    """
    levels = reader.low + reader.step * np.arange(LEVELS)
    weights = np.float32(2 * levels)[:, None, None, None]
    nodes = [helper.make_node("Conv", [graph_input, "weights", "bias"], ["logits"])]
    arrays = {"weights": weights, "bias": np.float32(-(levels**2))}
    return nodes, [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def open_segmenter(
    folder: Path,
    nodes: list[onnx.NodeProto],
    arrays: list,
    size: tuple[int, int],
    stride: int,
    num_classes: int = LEVELS,
) -> deploy.OnnxSegmenter:
    """Writes a network in the format of this lab's model.onnx and opens it."""
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["batch", 3, "height", "width"]
    )
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["batch", num_classes, "height", "width"]
    )
    graph = helper.make_graph(nodes, "reader", [image], [logits], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    values = {**metadata(num_classes), "size": list(size), "stride": stride, "format_version": 1}
    helper.set_model_props(model, {key: json.dumps(value) for key, value in values.items()})
    path = folder / f"reader{len(list(folder.iterdir()))}.onnx"
    onnx.save(model, path)
    return deploy.OnnxSegmenter(path)


def channel_reader(
    folder: Path, channel: int, size: tuple[int, int], stride: int, reader: Reader = PIXELS
) -> deploy.OnnxSegmenter:
    """A network whose classes are the levels of one channel of its input."""
    pick = np.zeros((1, 3, 1, 1), dtype=np.float32)
    pick[0, channel] = 1
    nodes, arrays = read_out("one", reader)
    nodes = [helper.make_node("Conv", ["image", "pick"], ["one"]), *nodes]
    arrays = [*arrays, numpy_helper.from_array(pick, "pick")]
    return open_segmenter(folder, nodes, arrays, size, stride)


def size_reader(
    folder: Path, axis: int, size: tuple[int, int], stride: int
) -> deploy.OnnxSegmenter:
    """A network whose class is the height (axis 2) or the width (axis 3) of its input."""
    nodes, arrays = read_out("everywhere", _SIZES)
    nodes = [
        helper.make_node("Conv", ["image", "nothing"], ["zeros"]),
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Gather", ["shape", "axis"], ["whole"], axis=0),
        helper.make_node("Cast", ["whole"], ["length"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["zeros", "length"], ["everywhere"]),
        *nodes,
    ]
    nothing = np.zeros((1, 3, 1, 1), dtype=np.float32)
    arrays = [
        *arrays,
        numpy_helper.from_array(nothing, "nothing"),
        numpy_helper.from_array(np.array(axis, dtype=np.int64), "axis"),
    ]
    return open_segmenter(folder, nodes, arrays, size, stride)


def predict(segmenter: deploy.OnnxSegmenter, photo: np.ndarray, given: str) -> np.ndarray:
    """Segments a photo and checks what every answer must have: type, shape, range."""
    copy = photo.copy()
    try:
        labels = segmenter.predict(copy)
    except Exception as error:
        _explain_crash(error, given, photo)
        raise
    if not isinstance(labels, np.ndarray):
        wrong(given=given, expected="a numpy array of uint8", got=kind_of(labels))
    if labels.shape != photo.shape[:2]:
        swapped = labels.shape == photo.shape[1::-1]
        likely = "height and width are swapped" if swapped else None
        if labels.ndim == 2 and not swapped:
            likely = "the result must have the photo's own size"
        wrong(given=given, expected=f"train ids {photo.shape[:2]}", got=labels.shape, likely=likely)
    if labels.dtype != np.uint8:
        wrong(given=given, expected="uint8", got=labels.dtype, likely="add .astype(np.uint8)")
    if not np.array_equal(copy, photo):
        wrong(given=given, expected="the photo stays as it is", got="other values afterwards")
    return labels


def _explain_crash(error: BaseException | None, given: str, photo: np.ndarray) -> None:
    """Fails with the cause where onnxruntime's error tells it."""
    while error is not None:
        text = str(error)
        if "tensor(" in text and "expected: (tensor(float))" in text:
            kind = text.split("tensor(")[1].split(")")[0]
            wrong(
                given=given,
                expected="the network's input is float32",
                got={"double": "float64"}.get(kind, kind),
                likely="divide by np.float32(255), or end with .astype(np.float32)",
            )
        if "Got invalid dimensions" in text or "Invalid rank" in text:
            is_last = f"index: 1 Got: {photo.shape[0]} " in text
            wrong(
                given=given,
                expected="the network's input is (batch, 3, height, width), float32",
                got=" ".join(text.split())[:300],
                likely="the channels must come first: transpose(2, 0, 1)" if is_last else None,
            )
        error = error.__cause__ or error.__context__


def normalised(photo: np.ndarray, channel: int) -> np.ndarray:
    """What one channel of a photo, (H, W), is for the network."""
    return (photo[..., channel] / 255 - MEAN[channel]) / STD[channel]
