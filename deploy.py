"""From a trained model to a segmented photo: the ONNX export, and its use without PyTorch.

`export_onnx` writes one file (onnx.ai) that holds the network and all that is needed to use it.
`OnnxSegmenter` runs that file with onnxruntime, on any photo, without torch. The photo's way:

    resize to about the training size → normalise → pad → network → crop → upsample → argmax

The logits are upsampled, not the labels: borders between classes then stay smooth at any size.
"""

import copy
import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime

from support.formats.labels import IGNORE_INDEX, USUAL, Reading
from utils import MAX_SIDE, LabError, atomic_path, check_image, resize_image

if TYPE_CHECKING:  # torch is imported inside the functions that need it: the others do without
    from torch import nn

FORMAT_VERSION = 1
METADATA_KEYS = ("format_version", "classes", "palette", "mean", "std", "size", "stride")
OPTIONAL_KEYS = ("label_ids", "reading", "temperature")
MAX_LOGIT_DIFFERENCE, MIN_EQUAL_LABELS = 1e-4, 0.999
STRIP_PIXELS = 65_536  # a strip's logits of one class, 256 KiB, stay in a core's cache


def export_onnx(
    model: "nn.Module", path: str | Path, size: Sequence[int], metadata: dict[str, object]
) -> None:
    """Writes `model` as one self-contained ONNX file, checked against PyTorch.

    Args:
        model: a network with the attribute `stride`; it is left as it is.
        path: the file; an older one stays whole when the export fails.
        size: (height, width) of training.
        metadata: `classes` (K names), `palette` (K colours, RGB 0 ... 255), `mean` and `std` (RGB,
            of images in 0 ... 1); also, where they are not the usual ones, `label_ids` (what masks
            hold for the classes), `reading` (how the data were read) and `temperature`. With
            `size`, `stride` and `format_version` they become the file's properties, as JSON.

    Shape:
        image: (B, 3, H, W) float32, H and W multiples of the stride → logits: (B, K, H, W).

    Raises:
        LabError: when a weight is not a number, the metadata are not valid, the exported network
            does not agree with PyTorch, or the file cannot be written.
    """
    wrong = [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
    if wrong:
        raise LabError(f"the network's weights are not numbers ({wrong[0]}); nothing was exported")
    known = {"size": size, "stride": model.stride, "format_version": FORMAT_VERSION}
    metadata = valid_metadata({**metadata, **known})
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # no remarks about its own workings
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_onnx(model, temporary, metadata)
        check_export(model, temporary, metadata["size"])


def write_onnx(model: "nn.Module", path: Path, metadata: dict[str, object]) -> None:
    """Translates a copy of `model`, in float32 and in evaluation mode, and adds the metadata.

    In training mode, batch normalisation would go by the one batch that it is given.
    """
    import torch

    network = copy.deepcopy(model).to("cpu", torch.float32, memory_format=torch.contiguous_format)
    side = 64 + -64 % model.stride  # a smaller example leaves features of 1x1, taken for fixed
    image = torch.zeros(2, 3, 2 * side, 3 * side)  # (B, 3, H, W)
    # TODO 7.1: names "image" and "logits"; batch, height and width stay dynamic; evaluation mode.
    # <solution 7.1>
    with torch.no_grad():
        program = torch.onnx.export(
            network.eval(),
            (image,),
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            dynamo=True,
            verbose=False,
        )
    # <student>
    # program = torch.onnx.export(..., dynamo=True, verbose=False)
    # </solution 7.1>
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the exporter's traces: paths and lines of this machine
    for key, value in metadata.items():
        program.model.metadata_props[key] = json.dumps(value)
    program.save(path, external_data=False)


def check_export(model: "nn.Module", path: str | Path, size: Sequence[int]) -> None:
    """Raises `LabError` unless the file agrees with `model` at two sizes and two batch sizes.

    The logits may differ by 1e-4 (times the largest logit, where that is above 1: float32 keeps
    seven digits), and at least 99.9 % of the labels must be equal.
    """
    import torch

    segmenter = OnnxSegmenter(path)
    network = copy.deepcopy(model).to("cpu", torch.float32).eval()
    for images in example_images(size, segmenter.stride):
        with torch.inference_mode():
            expected = network(torch.from_numpy(images)).numpy()
        logits = segmenter.run(images)
        if logits.shape != expected.shape:
            raise LabError(f"the export gives logits {logits.shape}, PyTorch {expected.shape}")
        difference = np.abs(logits - expected).max() / max(1.0, np.abs(expected).max())
        equal = (logits.argmax(axis=1) == expected.argmax(axis=1)).mean()
        if not (difference <= MAX_LOGIT_DIFFERENCE and equal >= MIN_EQUAL_LABELS):
            raise LabError(
                f"the export does not agree with PyTorch on images {images.shape}: the logits "
                f"differ by {difference:.1e}, {equal:.2%} of the labels are equal"
            )


def example_images(size: Sequence[int], stride: int) -> Iterator[np.ndarray]:
    """Yields one image like the training's (at most 256x256 pixels), then two upright ones.

    They are patches and noise, always the same, (B, 3, H, W) float32 in the range of normalised
    images, H and W multiples of the stride.
    """
    random = np.random.default_rng(0)
    sides = scaled_size(size, min(1.0, math.sqrt(256 * 256 / math.prod(size))))
    wide = tuple(side + -side % stride for side in sides)
    for batch, height, width in ((1, *wide), (2, wide[1] + stride, wide[0])):
        coarse = random.normal(size=(batch, 3, -(-height // 16), -(-width // 16)))
        patches = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, :height, :width]
        noise = 0.2 * random.normal(size=patches.shape)
        yield (patches + noise).clip(-2.2, 2.6).astype(np.float32)


# ------------------------------------------------------------------ metadata


def valid_metadata(values: dict[str, object]) -> dict[str, object]:
    """The metadata as plain lists and numbers; `LabError` for impossible ones."""
    missing = [key for key in METADATA_KEYS if key not in values]
    if missing:
        raise LabError(f"the metadata lack {', '.join(missing)}")
    version, classes = values["format_version"], values["classes"]
    if version != FORMAT_VERSION:
        raise LabError(f"format_version is {version}, this lab's own is {FORMAT_VERSION}")
    is_list = isinstance(classes, list | tuple) and 1 <= len(classes) <= IGNORE_INDEX
    if not is_list or not all(isinstance(name, str) for name in classes):
        raise LabError(f"the metadata are impossible: classes {str(classes)[:60]}")
    usual = {"label_ids": range(len(classes)), "reading": USUAL._asdict(), "temperature": 1.0}
    values = usual | values
    try:
        reading = Reading.from_json(values["reading"])._asdict()
    except ValueError as error:
        raise LabError(f"the metadata are impossible: {error}") from error
    plain = {"format_version": version, "classes": list(classes), "reading": reading}
    for key, shape, kinds, least, most in (
        ("palette", (len(classes), 3), "iu", 0, 255),
        ("label_ids", (len(classes),), "iu", 0, 65535),
        ("mean", (3,), "iuf", -1e6, 1e6),
        ("std", (3,), "iuf", 1e-6, 1e6),
        ("size", (2,), "iu", 1, MAX_SIDE),
        ("stride", (), "iu", 1, MAX_SIDE),
        ("temperature", (), "iuf", 0.01, 100),
    ):
        try:
            array = np.array(values[key])
        except ValueError:  # lists of different lengths
            array = np.empty(0)
        is_right = array.shape == shape and array.dtype.kind in kinds
        if not is_right or not ((array >= least) & (array <= most)).all():
            raise LabError(f"the metadata are impossible: {key} {str(values[key])[:60]}")
        plain[key] = array.tolist()
    return plain


# ------------------------------------------------------------------ before and after the network


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, int]:
    """Returns (height, width) times `scale`, rounded, at least one pixel each."""
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))


def network_size(photo_size: Sequence[int], training_size: Sequence[int]) -> tuple[int, int]:
    """Chooses the (height, width) in which the network sees a photo: its aspect, training's area.

    So things are as large as in training, whatever the photo's resolution and shape. A side is at
    most four times the longer side of training, which only aspects beyond about 16:1 notice.
    """
    scale = math.sqrt(math.prod(training_size) / math.prod(photo_size))
    height, width = scaled_size(photo_size, scale)
    longest = 4 * max(training_size)
    return min(height, longest), min(width, longest)


def finite(logits: np.ndarray, model: str | Path) -> np.ndarray:
    """Returns logits of any shape; `LabError` when one is no number, whose argmax means nothing."""
    if not np.isfinite(logits).all():
        raise LabError(f"{model}: gives logits that are not numbers; its weights are damaged")
    return logits


def upsample_argmax(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges logits bilinearly to `size` (H, W) and takes the best class of every pixel.

    Equal to `torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)`
    and an argmax, but strip by strip: all classes at the size of a photo of 64 million pixels
    would take 5 GB. The first class wins a tie.

    Shape:
        (K, h, w) float32 → (H, W) uint8.
    """
    height, width = size
    classes, rows, columns = logits.shape
    # Pixel centres: row y of the photo lies at (y + 0.5) * rows / height - 0.5 of the logits.
    position = ((np.arange(height) + 0.5) * (rows / height) - 0.5).clip(0, rows - 1)
    above = position.astype(np.int64)
    below = np.minimum(above + 1, rows - 1)
    share = (position - above).astype(np.float32)[:, None]
    labels = np.zeros((height, width), dtype=np.uint8)
    strip_rows = max(1, STRIP_PIXELS // max(width, columns))
    for top in range(0, height, strip_rows):
        strip = slice(top, top + strip_rows)
        best = np.full(labels[strip].shape, -np.inf, dtype=np.float32)
        for k in range(classes):
            upper, lower = logits[k, above[strip]], logits[k, below[strip]]
            narrow = upper + (lower - upper) * share[strip]
            wide = cv2.resize(narrow, (width, len(narrow)), interpolation=cv2.INTER_LINEAR)
            is_better = wide > best
            np.maximum(best, wide, out=best)
            # k only grows: the larger id is the later winner. Quicker than writing through a mask.
            np.maximum(labels[strip], is_better * np.uint8(k), out=labels[strip])
    return labels


# ------------------------------------------------------------------ segmenters


class Segmenter:
    """What segmenting a photo needs, whatever runs the network.

    Its attributes are the metadata, as `valid_metadata` returns them: `classes`, `palette` (K, 3)
    uint8, `mean` and `std` (3,) float32 of images in 0 ... 1, `size` (height, width) of training,
    the `stride` that the network's heights and widths must divide by, and the `temperature` of its
    confidence.
    """

    def __init__(self, metadata: dict[str, object]) -> None:
        self.classes = tuple(metadata["classes"])
        self.palette = np.array(metadata["palette"], dtype=np.uint8)
        self.mean, self.std = (np.array(metadata[k], dtype=np.float32) for k in ("mean", "std"))
        self.size, self.stride = tuple(metadata["size"]), metadata["stride"]
        self.temperature = float(metadata.get("temperature", 1.0))
        self.reading = Reading(**metadata.get("reading", {}))

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        raise NotImplementedError

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Segments one photo of any size up to 64 million pixels.

        Shape:
            image: (H, W, 3) uint8 RGB → train ids: (H, W) uint8.

        Raises:
            LabError: for an array of another kind.
        """
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Segments several photos; those of one size go through the network together."""
        for image in images:
            check_image(image)
        results = [None] * len(images)
        for size in dict.fromkeys(image.shape[:2] for image in images):
            positions = [n for n, image in enumerate(images) if image.shape[:2] == size]
            batch = np.stack([self.preprocess(images[n]) for n in positions])  # (B, 3, H', W')
            for n, logits in zip(positions, self.run(batch), strict=True):  # (K, H', W')
                results[n] = self.postprocess(logits, size)
        return results

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """Makes the network's input of a photo: (H, W, 3) uint8 → (3, H', W') float32."""
        height, width = network_size(image.shape[:2], self.size)
        # TODO 7.2a: resize, normalise as in training, pad below and right to the stride, (C, H, W).
        # <solution 7.2a>
        small = resize_image(image, (height, width))
        normalised = (small / np.float32(255) - self.mean) / self.std
        below, right = -height % self.stride, -width % self.stride
        padded = np.pad(normalised, ((0, below), (0, right), (0, 0)), mode="edge")
        network_input = padded.transpose(2, 0, 1)
        # <student>
        # network_input = ...  # (3, H', W') float32, H' and W' multiples of self.stride
        # </solution 7.2a>
        return network_input

    def postprocess(self, logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Makes train ids of the network's output: (K, H', W') → (H, W) uint8, `size` = (H, W)."""
        height, width = network_size(size, self.size)
        # TODO 7.2b: crop the padding away, then enlarge the logits and take the best class.
        # <solution 7.2b>
        train_ids = upsample_argmax(logits[:, :height, :width], size)
        # <student>
        # train_ids = ...  # (H, W) uint8, at the photo's own size
        # </solution 7.2b>
        return train_ids


class OnnxSegmenter(Segmenter):
    """Runs a `model.onnx`, as `export_onnx` writes it, with onnxruntime on the CPU.

    Raises:
        LabError: when the file is missing, damaged, or not such a model.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.session = open_session(self.path)
            super().__init__(read_metadata(self.session))
            check_signature(self.session, len(self.classes))
        except LabError as error:
            cure = "give a model.onnx of `main.py train`, or of `export` without --argmax"
            raise LabError(f"{path}: {error}; {cure}") from error

    def run(self, batch: np.ndarray) -> np.ndarray:
        """As `Segmenter.run`."""
        try:
            logits = self.session.run(["logits"], {"image": batch})[0]
        except Exception as error:  # onnxruntime's own errors have no other common base class
            raise LabError(f"the network cannot run on images {batch.shape}") from error
        if logits.shape[2:] != batch.shape[2:]:
            raise LabError(f"the network makes logits {logits.shape} of images {batch.shape}")
        return finite(logits, self.path)


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Opens an ONNX file; its errors become `LabError`."""
    if not path.is_file():
        raise LabError("this is a folder, not a file" if path.is_dir() else "no such file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors arrive as exceptions; the log would print them again
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep
    model = path.read_bytes()  # onnxruntime opens no path that is not UTF-8
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no other common base class
        raise LabError("not an ONNX model, or a damaged one") from error


def read_metadata(session: onnxruntime.InferenceSession) -> dict[str, object]:
    """Reads the metadata of an opened file; `LabError` when they are not those of this lab."""
    properties = session.get_modelmeta().custom_metadata_map
    try:
        known = properties.keys() & {*METADATA_KEYS, *OPTIONAL_KEYS}
        values = {key: json.loads(properties[key]) for key in known}
    except (ValueError, RecursionError) as error:
        raise LabError("its metadata are not JSON") from error
    return valid_metadata(values)


def check_signature(session: onnxruntime.InferenceSession, num_classes: int) -> None:
    """Raises `LabError` unless the network maps images of any size to logits of that size."""
    values = [*session.get_inputs(), *session.get_outputs()]
    fixed = {v.name: [side if isinstance(side, int) else 0 for side in v.shape] for v in values}
    is_right = fixed == {"image": [0, 3, 0, 0], "logits": [0, num_classes, 0, 0]}
    if not is_right or any(value.type != "tensor(float)" for value in values):
        signature = ", ".join(f"{value.name} {value.shape}" for value in values)
        raise LabError(
            f"the network has {signature} instead of image [batch, 3, height, width], "
            f"logits [batch, {num_classes}, height, width]"
        )
