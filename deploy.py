"""From a trained model to coloured photos: the ONNX export, and segmentation without PyTorch.

`export_onnx` writes one file (onnx.ai) that holds the network and all that is needed to use it.
`OnnxSegmenter` runs that file with onnxruntime, on any photo, and never imports torch;
`TorchSegmenter` does the same for a model that is still in PyTorch. The way of a photo:

    resize to about the training size → normalise → pad → network → crop → upsample → argmax

The logits are upsampled, not the labels: borders between classes then stay smooth at any size.
"""

import copy
import gc
import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import onnxruntime
from tqdm import tqdm

from support.formats.labels import IGNORE_INDEX
from utils import (
    LabError,
    add_legend,
    atomic_path,
    check_pixels,
    colorize,
    overlay,
    read_image,
    save_image,
)

if TYPE_CHECKING:  # torch is imported inside the functions that need it: the others do without
    import torch
    from torch import nn

FORMAT_VERSION = 1
METADATA_KEYS = ("format_version", "classes", "palette", "mean", "std", "size", "stride")
MAX_SIDE = 4096
MAX_STRIDE = 1024
MAX_LOGIT_DIFFERENCE = 1e-4
MIN_EQUAL_LABELS = 0.999
STRIP_PIXELS = 65_536  # a strip's logits of one class, 256 KiB, stay in a core's cache
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MAX_NAMED = 5  # unreadable photos in one message
OUTPUT_KINDS = ("mask", "overlay", "trainIds")


# ------------------------------------------------------------------ export


def export_onnx(
    model: "nn.Module", path: str | Path, size: Sequence[int], metadata: dict[str, object]
) -> None:
    """Writes `model` as one self-contained ONNX file, checked against PyTorch.

    The file's metadata has one property per key, whose value is JSON: `format_version` (1),
    `classes` (K names), `palette` (K colours, RGB 0 ... 255), `mean` and `std` (RGB, of images in
    0 ... 1), `size` (of training, [height, width]), `stride` (that sizes must divide by).

    Args:
        model: a network with the attribute `stride`; it is left as it is.
        path: the file; an older one stays whole when the export fails.
        size: (height, width) of training.
        metadata: `classes`, `palette`, `mean` and `std`; the other keys are filled in here.

    Shape:
        image: (B, 3, H, W) float32, H and W multiples of the stride → logits: (B, K, H, W).

    Raises:
        LabError: when the metadata are not valid, the exported network does not agree with
            PyTorch, or the file cannot be written.
    """
    metadata = complete_metadata(model, {**metadata, "size": size})
    with atomic_path(path) as temporary:
        with quiet_exporter():
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


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keeps the exporter's remarks about its own workings away from the user.

    Python's garbage collector pauses meanwhile: it takes a sixth of an export's five seconds.
    """
    logger = logging.getLogger("torch.onnx")
    level, collects = logger.level, gc.isenabled()
    logger.setLevel(logging.ERROR)
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if collects:
            gc.enable()


def check_export(model: "nn.Module", path: str | Path, size: Sequence[int]) -> None:
    """Compares the file with `model` at two sizes and two batch sizes.

    The logits may differ by 1e-4 (times the largest logit, where that is above 1: float32 keeps
    seven digits), and at least 99.9 % of the labels must be equal.

    Raises:
        LabError: when they differ by more, or the file is not as `OnnxSegmenter` expects it.
    """
    import torch

    segmenter = OnnxSegmenter(path)
    network = copy.deepcopy(model).to("cpu", torch.float32).eval()
    for shape in check_shapes(size, segmenter.stride):
        images = look_alike_images(shape)
        with torch.inference_mode():
            expected = network(torch.from_numpy(images)).numpy()
        logits = segmenter.run(images)
        if logits.shape != expected.shape:
            raise LabError(
                f"the exported network gives logits {logits.shape} for images {images.shape}, "
                f"PyTorch {expected.shape}; nothing was written"
            )
        difference = np.abs(logits - expected).max() / max(1.0, np.abs(expected).max())
        equal = (logits.argmax(axis=1) == expected.argmax(axis=1)).mean()
        if not (difference <= MAX_LOGIT_DIFFERENCE and equal >= MIN_EQUAL_LABELS):
            raise LabError(
                f"the exported network does not agree with PyTorch on images {images.shape}: "
                f"the logits differ by {difference:.1e}, {equal:.2%} of the labels are equal; "
                "nothing was written"
            )


def check_shapes(size: Sequence[int], stride: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes to try: one like the training size (at most 256x256 pixels), one upright."""
    height, width = scaled_size(size, min(1.0, math.sqrt(256 * 256 / math.prod(size))))
    height, width = height + -height % stride, width + -width % stride
    return (1, 3, height, width), (2, 3, width + stride, height)


def look_alike_images(shape: tuple[int, ...]) -> np.ndarray:
    """Random patches and noise with the range of normalised photos, always the same.

    Shape:
        (B, 3, H, W) float32, about -2.2 ... 2.6.
    """
    random = np.random.default_rng(0)
    batch, channels, height, width = shape
    coarse = random.normal(size=(batch * channels, -(-height // 16), -(-width // 16)))
    patches = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width].reshape(shape)
    return (patches + 0.2 * random.normal(size=shape)).clip(-2.2, 2.6).astype(np.float32)


# ------------------------------------------------------------------ metadata


def complete_metadata(model: "nn.Module", metadata: dict[str, object]) -> dict[str, object]:
    """Adds what the model and this module know to the metadata, and checks them."""
    return valid_metadata({**metadata, "stride": model.stride, "format_version": FORMAT_VERSION})


def valid_metadata(values: dict[str, object]) -> dict[str, object]:
    """Returns the values of `METADATA_KEYS` as plain lists and numbers.

    Raises:
        LabError: when one is missing or has an impossible value.
    """
    missing = [key for key in METADATA_KEYS if key not in values]
    if missing:
        raise LabError(f"the metadata lack {', '.join(missing)}")
    plain = {key: values[key] for key in METADATA_KEYS}
    plain = json.loads(json.dumps(plain, default=lambda array: array.tolist()))
    version, classes, palette = plain["format_version"], plain["classes"], plain["palette"]
    if version != FORMAT_VERSION:
        raise LabError(
            f"format_version is {version}, this version of the lab knows {FORMAT_VERSION}"
        )
    has_classes = isinstance(classes, list) and 1 <= len(classes) <= IGNORE_INDEX
    rules = {
        "classes": has_classes and all(isinstance(name, str) for name in classes),
        "palette": has_classes
        and isinstance(palette, list)
        and len(palette) == len(classes)
        and all(are_numbers(color, 3, int, 0, 255) for color in palette),
        "mean": are_numbers(plain["mean"], 3, (int, float), -1e6, 1e6),
        "std": are_numbers(plain["std"], 3, (int, float), 1e-6, 1e6),
        "size": are_numbers(plain["size"], 2, int, 1, MAX_SIDE),
        "stride": are_numbers([plain["stride"]], 1, int, 1, MAX_STRIDE),
    }
    wrong = [f"{key} {str(plain[key])[:60]}" for key, is_right in rules.items() if not is_right]
    if wrong:
        raise LabError(f"the metadata are impossible: {', '.join(wrong)}")
    return plain


def are_numbers(
    values: object, count: int, kind: type | tuple[type, ...], low: float, high: float
) -> bool:
    """Whether `values` is a list of `count` numbers of this kind in [low, high] (so not NaN)."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(
            isinstance(v, kind) and not isinstance(v, bool) and low <= v <= high for v in values
        )
    )


# ------------------------------------------------------------------ before and after the network


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, int]:
    """Returns (height, width) times `scale`, rounded, at least one pixel each."""
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))


def network_size(photo_size: Sequence[int], training_size: Sequence[int]) -> tuple[int, int]:
    """Chooses the size at which the network sees a photo: its aspect, the training's area.

    So things are as large as in training, whatever the photo's resolution and shape. A side is at
    most four times the longer side of training, which only aspects beyond some 16:1 notice.

    Returns:
        (height, width); the photo's own size if that has the training's area.
    """
    scale = math.sqrt(math.prod(training_size) / math.prod(photo_size))
    height, width = scaled_size(photo_size, scale)
    longest = 4 * max(training_size)
    return min(height, longest), min(width, longest)


def resize_photo(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a photo as the evaluation in training does: averages areas when a side shrinks.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) to make.

    Returns:
        (height, width, 3) uint8; the image itself where nothing changes.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] or width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def upsample_argmax(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges logits bilinearly to `size` and returns the best class of every pixel.

    Equal to `torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)`
    and an argmax, but strip by strip: all classes at the size of a photo of 64 million pixels
    would take 5 GB.

    Args:
        logits: (K, h, w) float32.
        size: (height, width) of the result, H and W.

    Returns:
        (H, W) uint8; the first class wins a tie.
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

    Args:
        metadata: as `valid_metadata` returns them.

    Attributes:
        classes: K names.
        palette: (K, 3) uint8, RGB.
        mean, std: (3,) float32, of images in 0 ... 1.
        size: (height, width) of training.
        stride: what the network's heights and widths must divide by.
    """

    def __init__(self, metadata: dict[str, object]) -> None:
        self.classes = tuple(metadata["classes"])
        self.palette = np.array(metadata["palette"], dtype=np.uint8)
        self.mean = np.array(metadata["mean"], dtype=np.float32)
        self.std = np.array(metadata["std"], dtype=np.float32)
        self.size = tuple(metadata["size"])
        self.stride = metadata["stride"]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        raise NotImplementedError

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Segments one photo.

        Args:
            image: (H, W, 3) uint8 RGB, of any size up to 64 million pixels.

        Returns:
            (H, W) uint8 train ids, at the photo's own size.

        Raises:
            LabError: for an array of another kind.
        """
        check_image(image)
        batch = self.preprocess(image)[None]  # (1, 3, H', W')
        logits = self.run(batch)[0]  # (K, H', W')
        return self.postprocess(logits, image.shape[:2])

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Segments several photos; those of one size go through the network together.

        Args:
            images: each (H, W, 3) uint8 RGB.

        Returns:
            For each photo its train ids, (H, W) uint8.
        """
        groups = {}
        for position, image in enumerate(images):
            check_image(image)
            groups.setdefault(image.shape[:2], []).append(position)
        results = [None] * len(images)
        for size, positions in groups.items():
            batch = np.stack([self.preprocess(images[position]) for position in positions])
            for position, logits in zip(positions, self.run(batch), strict=True):
                results[position] = self.postprocess(logits, size)
        return results

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """Makes the network's input of a photo: (H, W, 3) uint8 → (3, H', W') float32."""
        height, width = network_size(image.shape[:2], self.size)
        # TODO 7.2a: resize, normalise as in training, pad below and right to the stride, (C, H, W).
        # <solution 7.2a>
        small = resize_photo(image, (height, width))
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
    """Runs a `model.onnx` of this lab with onnxruntime, on the CPU.

    Args:
        path: the file, as `export_onnx` writes it.

    Raises:
        LabError: when the file is missing, damaged, or not such a model.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self.session = open_session(Path(path))
            super().__init__(read_metadata(self.session))
            check_signature(self.session, len(self.classes))
        except LabError as error:
            raise LabError(
                f"{path}: {error}; give a model.onnx that `python main.py train` wrote"
            ) from error

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        try:
            logits = self.session.run(["logits"], {"image": batch})[0]
        except Exception as error:  # onnxruntime's own errors have no other common base class
            raise LabError(
                f"the network cannot run on images {batch.shape}: wrong model?"
            ) from error
        if logits.shape[2:] != batch.shape[2:]:
            raise LabError(f"the network makes logits {logits.shape} of images {batch.shape}")
        return logits


class TorchSegmenter(Segmenter):
    """Runs a PyTorch model, which it moves to `device` and sets to evaluation mode.

    Args:
        model: with the attribute `stride`.
        metadata: `classes`, `palette`, `mean`, `std` and `size`, as in the file of `export_onnx`;
            other keys are left alone.
        device: where to run it, as "cpu" or "cuda".
    """

    def __init__(
        self,
        model: "nn.Module",
        metadata: dict[str, object],
        device: "str | torch.device" = "cpu",
    ) -> None:
        super().__init__(complete_metadata(model, metadata))
        self.model = model.to(device).eval()
        self.device = device

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(batch).to(self.device)).float().cpu().numpy()


def check_image(image: np.ndarray) -> None:
    """Raises `LabError` unless `image` is (H, W, 3) uint8 and not too large."""
    is_photo = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if not is_photo or image.shape[2] != 3 or image.size == 0:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise LabError(f"a photo must be an RGB array (height, width, 3) of uint8, not {what}")
    check_pixels(image.shape[1], image.shape[0], "the photo")


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Opens an ONNX file; its errors become `LabError`."""
    if path.is_dir():
        raise LabError("this is a folder, not a file")
    if not path.is_file():
        raise LabError("no such file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors arrive as exceptions; the log would print them again
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no other common base class
        raise LabError("not an ONNX model, or a damaged one") from error


def read_metadata(session: onnxruntime.InferenceSession) -> dict[str, object]:
    """Reads the metadata properties of an opened file.

    Raises:
        LabError: when they are not JSON, or not those of this lab.
    """
    properties = session.get_modelmeta().custom_metadata_map
    try:
        return valid_metadata(
            {key: json.loads(properties[key]) for key in METADATA_KEYS if key in properties}
        )
    except json.JSONDecodeError as error:
        raise LabError("its metadata are not JSON") from error


def check_signature(session: onnxruntime.InferenceSession, num_classes: int) -> None:
    """Raises `LabError` unless the network maps images of any size to logits of that size."""
    wanted = {"image": 3, "logits": num_classes}
    found = [*session.get_inputs(), *session.get_outputs()]
    is_right = [value.name for value in found] == list(wanted) and all(
        value.type == "tensor(float)"
        and len(value.shape) == 4
        and value.shape[1] == wanted[value.name]
        and not any(isinstance(value.shape[axis], int) for axis in (0, 2, 3))
        for value in found
    )
    if not is_right:
        signature = ", ".join(f"{value.name} {value.shape}" for value in found)
        raise LabError(
            f"the network has {signature} instead of image [batch, 3, height, width], "
            f"logits [batch, {num_classes}, height, width]"
        )


# ------------------------------------------------------------------ files


class SegmentedPhoto(NamedTuple):
    """One photo that `segment_files` has done."""

    image: Path
    """The photo."""
    mask: Path
    """Its coloured mask; the other files lie beside it."""
    shares: dict[str, float]
    """Each class's share of the photo's pixels, sum 1."""


def collect_images(paths: Sequence[str | Path]) -> list[Path]:
    """Expands folders into the pictures directly in them, sorted by name; files stay as given.

    A photo that is named twice is taken once, and hidden files are left out.

    Raises:
        LabError: for a path that does not exist, or a folder without a picture.
    """
    found = {}
    for path in map(Path, paths):
        inside = sorted(filter(is_picture, path.iterdir())) if path.is_dir() else [path]
        if not inside:
            raise LabError(f"{path}: no picture in this folder ({', '.join(IMAGE_SUFFIXES)})")
        if not path.exists():
            raise LabError(f"{path}: no such image file or folder")
        for picture in inside:
            found.setdefault(picture.resolve(), picture)
    return list(found.values())


def is_picture(path: Path) -> bool:
    """Whether `path` is a file with a picture's suffix, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.name[0] != "."


def output_files(images: Sequence[Path], output: Path) -> list[dict[str, Path]]:
    """Names the three files of each photo by its stem; one that is taken gets _2, _3, … in order.

    Upper and lower case count as equal, as they do on many disks.

    Raises:
        LabError: when a file would replace one of the photos.
    """
    targets, taken = [], set()
    photos = {image.resolve() for image in images}
    for image in images:
        stem, number = image.stem, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{image.stem}_{number}"
        taken.add(stem.casefold())
        targets.append({kind: output / f"{stem}_{kind}.png" for kind in OUTPUT_KINDS})
        for path in targets[-1].values():
            if path.resolve() in photos:
                raise LabError(f"{path}: would replace this photo; choose another --output")
    return targets


def segment_files(
    segmenter: Segmenter, images: Sequence[str | Path], output: str | Path
) -> list[SegmentedPhoto]:
    """Segments photos and writes three PNG files for each, at the photo's size, into `output`.

    `<stem>_mask.png` has exactly the classes' colours, `<stem>_overlay.png` lays them over the
    photo, with a legend of the classes that occur, `<stem>_trainIds.png` is 8-bit grey.

    Args:
        segmenter: an `OnnxSegmenter` or a `TorchSegmenter`.
        images: files and folders, see `collect_images`.
        output: a folder; made when missing.

    Raises:
        LabError: after all others are done, when photos could not be read; at once, when a file
            cannot be written or would replace one of the photos.
    """
    images = collect_images(images)
    targets = output_files(images, Path(output))
    results, unreadable = [], []
    pairs = zip(images, targets, strict=True)
    for path, files in tqdm(pairs, "photos", len(images), disable=len(images) == 1):
        try:
            image = read_image(path)
        except LabError as error:
            unreadable.append(str(error))
            continue
        shares = segment_photo(segmenter, image, files)
        results.append(SegmentedPhoto(path, files["mask"], shares))
    if unreadable and len(images) == 1:
        raise LabError(unreadable[0])
    if unreadable:
        more = len(unreadable) - MAX_NAMED
        raise LabError(
            f"{len(unreadable)} of {len(images)} photos could not be read (the others are done): "
            + "; ".join(unreadable[:MAX_NAMED] + [f"and {more} more"] * (more > 0))
        )
    return results


def segment_photo(
    segmenter: Segmenter, image: np.ndarray, files: dict[str, Path]
) -> dict[str, float]:
    """Segments one photo, writes its three files and returns each class's share of the pixels."""
    train_ids = segmenter.predict(image)
    colors = colorize(train_ids, segmenter.palette)
    shares = np.bincount(train_ids.ravel(), minlength=len(segmenter.classes)) / train_ids.size
    present = np.flatnonzero(shares)
    legend = [segmenter.classes[k] for k in present], segmenter.palette[present]
    save_image(files["mask"], colors)
    save_image(files["overlay"], add_legend(overlay(image, colors), *legend))
    save_image(files["trainIds"], train_ids)
    return dict(zip(segmenter.classes, shares.tolist(), strict=True))
