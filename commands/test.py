"""What stands behind `main.py test`: a model opened, and photos segmented with it.

With a `model.onnx` no torch is needed; `commands/evaluation.py` evaluates a whole split.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from commands.test_time import MultiScaleSegmenter, enlarge, extend_segmenter
from deploy import FORMAT_VERSION, OnnxSegmenter, Segmenter, finite, valid_metadata
from utils import (
    LabError,
    add_legend,
    colorize,
    cut,
    overlay,
    python_command,
    read_image,
    save_image,
)

if TYPE_CHECKING:  # torch is imported inside the functions that need it: photos do without
    import torch
    from torch import nn

IMAGE_SUFFIXES = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jpx", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip
MAX_NAMED = 5  # files in one message
OUTPUT_KINDS = ("mask", "overlay", "trainIds", "confidence")


def test_model(
    modelpath: Path,
    image: Sequence[Path] | None,
    split: str | None,
    output: Path | None,
    batch_size: int | None,
    device: str,
    scales: Sequence[float] | None,
    flip: bool,
    window: Sequence[int] | None,
    overlap: float | None,
    confidence: bool,
    calibrated: bool,
    **of_split: Any,
) -> None:
    """Segments photos with a model, or evaluates it on a split.

    Args:
        modelpath: a model.onnx or a best.pt.
        image: photos, or folders of them; None for the split.
        split: such as val; None for photos.
        output: the folder for the results; None for that of the command's help.
        batch_size: images at once, with a split alone; None for 4.
        device: where a best.pt runs.
        scales, flip, window, overlap: as in `extend_segmenter`.
        confidence, calibrated: of photos, whether the probabilities are written too, and whether
            they are those at the temperature that the model keeps.
        of_split: what else belongs to a split, as in `report_split`.

    Raises:
        LabError: for options that do not belong together, and for files that are not what they
            should be.
    """
    reading = of_split.pop("reading")
    wrong = {**of_split, **reading, "batch_size": batch_size}
    for name, value in wrong.items() if image is not None else ():
        if value:
            raise LabError(f"--{name.replace('_', '-')} goes with --split, not with --image")
    model = open_segmenter(modelpath, device)
    views = {"scales": scales or [1.0], "flip": flip, "window": window, "overlap": overlap}
    segmenter = extend_segmenter(model, **views)
    if calibrated and not confidence:
        raise LabError("--calibrated goes with --confidence: no class depends on it")
    if confidence and (image is None or window):
        raise LabError("--confidence goes with --image, and without --window")
    if image is not None:
        sure = None
        if confidence:
            temperature = kept_temperature(model, modelpath) if calibrated else 1.0
            sure = MultiScaleSegmenter(model, views["scales"], flip, temperature)
        report_photos(segmenter, image, output or Path("predictions"), sure)
        return
    from commands.evaluation import report_split  # late: photos do without torch

    report_split(
        segmenter, split=split, batch_size=batch_size or 4,
        reading=model.reading._replace(**reading),
        output=output or modelpath.parent / f"test_{split}",
        about={"model": str(modelpath), **views}, **of_split,
    )  # fmt: skip


# ------------------------------------------------------------------ models


def open_segmenter(path: Path, device: str) -> Segmenter:
    """Opens a model.onnx with onnxruntime, or a best.pt with PyTorch on a device.

    Raises:
        LabError: for a file that is no such model.
    """
    if path.suffix != ".pt":
        return OnnxSegmenter(path)
    from models import build_model
    from support.engine.folder import load_checkpoint
    from support.engine.hardware import pick_device

    best = load_checkpoint(path, ("model", "name", "options", "classes", "palette", "size"))
    try:
        model = build_model(best["name"], len(best["classes"]), **best["options"])
        model.load_state_dict(best["model"])
        if not all(tensor.isfinite().all() for tensor in best["model"].values()):
            raise ValueError("its weights are not numbers")
        return TorchSegmenter(model, best, pick_device(device))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise LabError(f"{path}: not a best.pt of this lab ({reason})") from error


def kept_temperature(segmenter: Segmenter, path: Path) -> float:
    """The temperature in a model's metadata; `LabError` where `errors` has put none there."""
    if segmenter.temperature == 1.0:
        raise LabError(
            f"{path} keeps no temperature; run `{python_command()} main.py errors "
            f"{shlex.quote(str(path))} --keep-temperature` first"
        )
    return segmenter.temperature


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
        known = {"stride": model.stride, "format_version": FORMAT_VERSION}
        super().__init__(valid_metadata({**metadata, **known}))
        self.model = model.to(device).eval()
        self.device = device

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        import torch

        with torch.inference_mode():
            logits = self.model(torch.from_numpy(batch).to(self.device))  # (B, K, H, W)
        return finite(logits.float().cpu().numpy(), "the network")


# ------------------------------------------------------------------ photos


def report_photos(
    segmenter: Segmenter,
    paths: Sequence[Path],
    output: Path,
    sure: MultiScaleSegmenter | None = None,
) -> None:
    """Segments photos, and prints what share of each every class has; see `segment_files`."""
    if others := passed_over(paths, output):
        names = [name_in(path) for path in others]
        print(f"passed over, as no image file by its name: {listed(names)}")
    width = max([16, *(len(cut(name)) + 1 for name in segmenter.classes)])
    for photo in segment_files(segmenter, paths, output, sure):
        print(f"{photo.image} → {photo.mask}")
        for name, share in sorted(photo.shares.items(), key=lambda item: -item[1]):
            if share >= 0.0001:
                print(f"  {cut(name):<{width}}{share:>7.2%}")
    kinds = (
        "masks, overlays and train ids"
        if sure is None
        else "masks, overlays, train ids and confidences"
    )
    print(f"{kinds} are in {output}")


class SegmentedPhoto(NamedTuple):
    """One photo that `segment_files` has done."""

    image: Path
    """The photo."""
    mask: Path
    """Its coloured mask; the other files lie beside it."""
    shares: dict[str, float]
    """Each class's share of the photo's pixels, sum 1."""


def collect_images(paths: Sequence[str | Path]) -> list[Path]:
    """Expands folders into the images directly in them, sorted by name; files stay as given.

    A photo that is named twice is taken once, and hidden files are left out.

    Raises:
        LabError: for a path that does not exist, or a folder without an image.
    """
    found = {}
    for path in map(Path, paths):
        inside = sorted(filter(is_picture, path.iterdir())) if path.is_dir() else [path]
        if not inside:
            there = listed([name_in(entry) for entry in sorted(path.iterdir())]) or "it is empty"
            raise LabError(
                f"{path}: no image in this folder ({there}); save images as JPEG or PNG, and name "
                "sub-folders one by one"
            )
        if not path.exists():
            raise LabError(f"{path}: no such image file or folder")
        for picture in inside:
            found.setdefault(picture.resolve(), picture)
    return list(found.values())


def is_picture(path: Path) -> bool:
    """Whether `path` is a file with a picture's suffix, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.name[0] != "."


def passed_over(paths: Sequence[str | Path], output: Path) -> list[Path]:
    """What else lies in the folders among `paths`, but for hidden files and `output`."""
    folders = [path for path in map(Path, paths) if path.is_dir()]
    inside = (entry for folder in folders for entry in sorted(folder.iterdir()))
    others = (entry for entry in inside if not is_picture(entry) and entry.name[0] != ".")
    return [entry for entry in others if entry.resolve() != output.resolve()]


def name_in(path: Path) -> str:
    """The name of a file, or of a folder with a stroke."""
    return f"{path.name}{'/' * path.is_dir()}"


def listed(items: Sequence[str], between: str = ", ") -> str:
    """The first `MAX_NAMED` items, and how many there are beyond."""
    more = len(items) - MAX_NAMED
    return between.join([*items[:MAX_NAMED], *[f"and {more} more"] * (more > 0)])


def output_files(images: Sequence[Path], output: Path) -> list[dict[str, Path]]:
    """Names the files of each photo by its stem; one that is taken gets _2, _3, … in order.

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
    segmenter: Segmenter,
    images: Sequence[str | Path],
    output: str | Path,
    sure: MultiScaleSegmenter | None = None,
) -> list[SegmentedPhoto]:
    """Segments photos and writes PNG files for each, at the photo's size, into `output`.

    `<stem>_mask.png` has exactly the classes' colours, `<stem>_overlay.png` lays them over the
    photo, with a legend of the classes that occur, `<stem>_trainIds.png` is 8-bit grey, and so is
    `<stem>_confidence.png`: the probability of each pixel's class, 255 for 1.

    Args:
        segmenter: an `OnnxSegmenter` or a `TorchSegmenter`.
        images: files and folders, see `collect_images`.
        output: a folder; made when missing.
        sure: gives the probabilities; None for no confidences.

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
        shares = segment_photo(segmenter, image, files, sure)
        results.append(SegmentedPhoto(path, files["mask"], shares))
    if unreadable and len(images) == 1:
        raise LabError(unreadable[0])
    if unreadable:
        raise LabError(
            f"{len(unreadable)} of {len(images)} photos could not be read (the others are done): "
            + listed(unreadable, "; ")
        )
    return results


def segment_photo(
    segmenter: Segmenter,
    image: np.ndarray,
    files: dict[str, Path],
    sure: MultiScaleSegmenter | None = None,
) -> dict[str, float]:
    """Segments one photo, writes its files and returns each class's share of the pixels."""
    train_ids = segmenter.predict(image)
    save_image(files["mask"], colorize(train_ids, segmenter.palette))
    save_image(files["overlay"], overlay_of(segmenter, image, train_ids))
    save_image(files["trainIds"], train_ids)
    if sure is not None:
        save_image(files["confidence"], confidence_picture(sure, image, train_ids))
    return shares_of(segmenter, train_ids)


def overlay_of(segmenter: Segmenter, image: np.ndarray, train_ids: np.ndarray) -> np.ndarray:
    """The mask over its photo, with a legend of the classes that occur.

    Shape:
        image: (H, W, 3) uint8, train_ids: (H, W) uint8 → (H + legend, W', 3) uint8.
    """
    present = np.unique(train_ids)
    legend = [segmenter.classes[k] for k in present], segmenter.palette[present]
    return add_legend(overlay(image, colorize(train_ids, segmenter.palette)), *legend)


def shares_of(segmenter: Segmenter, train_ids: np.ndarray) -> dict[str, float]:
    """Each class's share of the pixels, by name, sum 1."""
    shares = np.bincount(train_ids.ravel(), minlength=len(segmenter.classes)) / train_ids.size
    return dict(zip(segmenter.classes, shares.tolist(), strict=True))


def confidence_picture(
    sure: MultiScaleSegmenter, image: np.ndarray, train_ids: np.ndarray
) -> np.ndarray:
    """The probability of each pixel's class: (H, W, 3) and (H, W) uint8 → (H, W) uint8.

    One class at a time is at the photo's size, so that memory stays bounded.
    """
    probabilities = sure.mean_probabilities(image)  # (K, h, w)
    confidence = np.zeros(train_ids.shape, dtype=np.uint8)
    for k in np.unique(train_ids):
        plane = enlarge(probabilities[k : k + 1], train_ids.shape)[0]
        confidence[train_ids == k] = (255 * plane[train_ids == k]).round()
    return confidence
