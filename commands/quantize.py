"""A `model.onnx` made smaller: weights in 16 bits, and integers of 8 bits, both evaluated again.

The float16 file halves the weights. The int8 file is quantised statically (Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018): the ranges of all features are measured on training images, weights have a scale for each
channel. Whether either is faster depends on the processor; the table says what this one does.
"""

import platform
import shlex
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from tqdm import tqdm

from commands.evaluation import require_classes
from data import SegmentationDataset, resolve_datadir
from deploy import OnnxSegmenter
from metrics import ConfusionMatrix, macro_f1, mean_iou
from utils import LabError, atomic_path, python_command

KINDS = ("float32", "float16", "int8")
ROUNDS = 7
QUANTISED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "MaxPool", "Concat", "Relu", "Resize")
"""What is computed in 8 bits; batch normalisation, where it could not be fused, stays float32."""
INTEGER_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply integers of 8 bits; without one of them int8 is hardly faster."""


class Calibration(CalibrationDataReader):
    """Hands the quantiser images as the network sees them, one by one."""

    def __init__(self, segmenter: OnnxSegmenter, dataset: SegmentationDataset) -> None:
        self.images = self.inputs(segmenter, dataset)

    @staticmethod
    def inputs(segmenter: OnnxSegmenter, dataset: SegmentationDataset) -> Iterator[dict]:
        """The network's inputs, with a progress bar."""
        for index in tqdm(range(len(dataset)), "calibrating", unit="image"):
            yield {"image": segmenter.preprocess(dataset[index][0])[None]}

    def get_next(self) -> dict | None:
        """The next input; None after the last."""
        return next(self.images, None)


def quantize_model(
    model: Path, datadir: Path | None, split: str, images: int, limit: int | None, most: float
) -> int:
    """Writes `NAME.fp16.onnx` and `NAME.int8.onnx` beside a model, and compares all three.

    Args:
        model: a model.onnx.
        datadir: the data folder; None for the toy streets.
        split: on which they are compared.
        images: of the training split, on which the ranges are measured.
        limit: images to compare them on; None for all.
        most: what a score may fall by.

    Returns:
        The exit code: 1 when a score falls by more than that.

    Raises:
        LabError: for a file that is no model, and data of other classes.
    """
    if model.suffix != ".onnx":
        raise LabError(f"{model}: quantize takes a model.onnx; see `export`")
    segmenter, root = OnnxSegmenter(model), resolve_datadir(datadir)
    require_float32(model)
    train_set = SegmentationDataset(root, "train", limit=images, reading=segmenter.reading)
    dataset = SegmentationDataset(root, split, limit=limit, reading=segmenter.reading)
    dataset.source.folder.require_fair(dataset.source)
    require_classes(segmenter, dataset)
    paths = dict(zip(KINDS, (model, *(model.with_suffix(f".{k}.onnx") for k in ("fp16", "int8"))),
                     strict=True))  # fmt: skip
    write_int8(model, paths["int8"], Calibration(segmenter, train_set))  # first: it may fail
    write_float16(model, paths["float16"])
    results = compare({kind: OnnxSegmenter(path) for kind, path in paths.items()}, dataset)
    print(table(paths, results))
    print(remark())
    fallen = [
        f"{name} of {kind} by {results['float32'][name] - row[name]:.4f}"
        for kind, row in results.items()
        for name in ("macro F1", "mean IoU")
        if results["float32"][name] - row[name] > most
    ]
    if fallen:
        print(f"worse by more than {most}: {', '.join(fallen)}")
        return 1
    file = shlex.quote(str(paths["int8"]))
    print(f"next: {python_command()} main.py test --modelpath {file} --image photo.jpg")
    return 0


def require_float32(model: Path) -> None:
    """Raises `LabError` for a file that is quantised already."""
    graph = onnx.load(model).graph
    kinds = {each.data_type for each in graph.initializer}
    nodes = {node.op_type for node in graph.node}
    if onnx.TensorProto.FLOAT16 in kinds or "QuantizeLinear" in nodes:
        raise LabError(f"{model}: is quantised already; take the float32 file that it is made of")


def write_float16(model: Path, output: Path) -> None:
    """Writes the network with weights and features in float16; images and logits stay float32."""
    loaded = onnx.load(model)
    properties = {each.key: each.value for each in loaded.metadata_props}
    with atomic_path(output) as temporary:
        half = convert_float_to_float16(loaded, keep_io_types=True)
        onnx.helper.set_model_props(half, properties)
        onnx.save(half, temporary)


def write_int8(model: Path, output: Path, calibration: CalibrationDataReader) -> None:
    """Writes the network quantised: QDQ nodes, a scale for each channel of the weights."""
    properties = {each.key: each.value for each in onnx.load(model).metadata_props}
    with tempfile.TemporaryDirectory() as scratch, atomic_path(output) as temporary:
        ready = Path(scratch) / "ready.onnx"
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(temporary),
            calibration,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTISED,
        )
        quantised = onnx.load(temporary)
        onnx.helper.set_model_props(quantised, properties)
        onnx.save(quantised, temporary)


def compare(
    segmenters: dict[str, OnnxSegmenter], dataset: SegmentationDataset
) -> dict[str, dict[str, float]]:
    """Evaluates all kinds on the same images, and times them by turns on the first of these.

    Returns:
        kind → macro F1, mean IoU, the share of pixels on which it agrees with the first kind, and
        milliseconds for one image.
    """
    ignored = dataset.labels.ignore_index
    matrices = {kind: ConfusionMatrix(len(dataset.labels), ignored) for kind in segmenters}
    equal, pixels = dict.fromkeys(segmenters, 0), 0
    for index in tqdm(range(len(dataset)), "comparing", unit="image"):
        image, target = dataset[index]
        masks = {kind: each.predict(image) for kind, each in segmenters.items()}
        first = next(iter(masks.values()))
        pixels += first.size
        for kind, mask in masks.items():
            matrices[kind].update(torch.from_numpy(mask)[None], target[None])
            equal[kind] += int((mask == first).sum())
    if not any(matrix.matrix.any() for matrix in matrices.values()):
        raise LabError("every pixel of this split is void, so that there is nothing to compare")
    seconds = {kind: [] for kind in segmenters}
    batch = next(iter(segmenters.values())).preprocess(dataset[0][0])[None]
    for turn in range(ROUNDS + 1):
        for kind, segmenter in segmenters.items():
            start = time.perf_counter()
            segmenter.run(batch)
            if turn:  # the first warms up
                seconds[kind].append(time.perf_counter() - start)
    return {
        kind: {
            "macro F1": macro_f1(matrices[kind].matrix),
            "mean IoU": mean_iou(matrices[kind].matrix),
            "agreement": equal[kind] / pixels,
            "ms": 1000 * statistics.median(seconds[kind]),
        }
        for kind in segmenters
    }


def table(paths: dict[str, Path], results: dict[str, dict[str, float]]) -> str:
    """The comparison to print: a line for each kind."""
    lines = [f"{'':<10}{'MiB':>8}{'ms':>8}{'mean IoU':>10}{'macro F1':>10}{'agrees':>9}  file"]
    for kind, row in results.items():
        megabytes = paths[kind].stat().st_size / 2**20
        lines.append(
            f"{kind:<10}{megabytes:>8.2f}{row['ms']:>8.1f}{row['mean IoU']:>10.4f}"
            f"{row['macro F1']:>10.4f}{row['agreement']:>9.2%}  {paths[kind]}"
        )
    return "\n".join(lines)


def remark() -> str:
    """What this processor can do with such files, as far as it says."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    found = [flag for flag in INTEGER_FLAGS if flag in flags.split()]
    if found:
        return f"this processor ({platform.machine()}) has instructions for int8: {found[0]}"
    return (
        f"this processor ({platform.machine()}) shows no instructions for int8, and computes "
        "float16 as float32: smaller files, but hardly faster ones; a phone may differ"
    )
