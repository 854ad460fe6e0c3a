"""`errors`: measures a network on a split, and writes errors.html, errors.csv and errors.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tqdm import tqdm

from commands.errors.calibration import (
    MOST_PIXELS,
    Reliability,
    Sample,
    fit_temperature,
    halves,
    judged,
)
from commands.errors.measure import EDGES, SIZES, Counts, confused_pairs
from commands.errors.page import error_share, html_parts, in_words, mean_loss
from commands.evaluation import require_classes
from commands.report.page import page
from commands.test import kept_temperature, open_segmenter
from commands.test_time import MultiScaleSegmenter, decide, planes
from data import SegmentationDataset, resolve_datadir
from utils import LabError, atomic_path, write_csv, write_json, write_text

WORST = 12


def show_errors(
    model: Path,
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    output: Path | None,
    keep_temperature: bool,
    calibrated: bool,
) -> None:
    """Measures where a network is wrong.

    Args:
        model: a model.onnx, a best.pt, or the folder of a run.
        datadir: the data folder; None for the toy streets.
        split, cities, limit: which images.
        reading: what was chosen of how the folder is read, beyond what the model says.
        device: where a best.pt runs.
        output: the folder for the files; None for `errors_SPLIT` beside a model.onnx, and for
            `errors_SPLIT_STEM` beside a file of another name.
        keep_temperature: whether the temperature that is found goes into the model's metadata.
        calibrated: whether the confidence is that at the temperature that the model keeps.

    Raises:
        LabError: for a file that is no model, and data of other classes.
    """
    path = model / "model.onnx" if model.is_dir() else model
    segmenter = open_segmenter(path, device)
    if keep_temperature and (path.suffix != ".onnx" or calibrated):
        raise LabError("--keep-temperature goes with a model.onnx, and without --calibrated")
    divisor = kept_temperature(segmenter, path) if calibrated else 1.0
    chosen = segmenter.reading._replace(**reading)
    dataset = SegmentationDataset(resolve_datadir(datadir), split, cities, limit, reading=chosen)
    dataset.source.folder.require_fair(dataset.source)
    require_classes(segmenter, dataset)
    of_model = "" if path.name == "model.onnx" else f"_{path.stem}"
    output = output or path.parent / f"errors_{split}{of_model}"
    seen = MultiScaleSegmenter(segmenter, temperature=divisor)
    counts, reliability, temperature, worst = measure(seen, dataset)
    if not counts.confusion.sum():
        raise LabError(f"split {split!r} of {dataset.source.root}: every pixel is void")
    result = summed_up(counts, reliability, temperature, dataset.labels.names)
    result["evaluated"] = {"model": str(path), "split": split, "images": len(dataset)}
    result["evaluated"]["temperature"] = divisor
    write_json(output / "errors.json", result)
    columns = ["name", "city", "pixels", "errors", "error_share", "negative_log_likelihood"]
    write_csv(output / "errors.csv", columns, [csv_row(row, columns) for row in counts.rows])
    title = f"Errors of {path.resolve().parent.name or path.name}"
    text = f"{path} on {split}"
    parts = html_parts(text, result, counts.rows, worst, seen, dataset)
    write_text(output / "errors.html", page(title, parts))
    share = result["error_share"]
    print(f"{share:.2%} of the pixels are wrong; the expected calibration error is "
          f"{result['calibration']['expected_calibration_error']:.4f}")  # fmt: skip
    for pair in result["confused_pairs"][:3]:
        print("  " + in_words(pair))
    if keep_temperature:
        print(write_temperature(path, temperature))
    print(f"look at {output / 'errors.html'}; errors.json and errors.csv have the figures")


def write_temperature(path: Path, found: dict[str, Any]) -> str:
    """Puts a temperature that helps into the metadata of a model.onnx; says in a line what it did.

    Args:
        path: the file.
        found: as from `temperature_of`.
    """
    key = "negative_log_likelihood"
    if not found:
        return "no temperature was kept: it needs labelled pixels in both halves of the images"
    if found["after"][key] >= found["before"][key]:
        return "no temperature was kept: on the other half of the cities it does not help"
    model = onnx.load(path)
    properties = {each.key: each.value for each in model.metadata_props}
    properties["temperature"] = json.dumps(found["temperature"])
    onnx.helper.set_model_props(model, properties)
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
    return f"{path} keeps the temperature {found['temperature']:.3f}; --calibrated uses it"


def measure(
    segmenter: MultiScaleSegmenter, dataset: SegmentationDataset
) -> tuple[Counts, Reliability, dict[str, Any], list[int]]:
    """Goes once over the images; returns the counts, and the places of the worst images."""
    counts, reliability = Counts(len(dataset.labels)), Reliability()
    ignored, samples = dataset.labels.ignore_index, (Sample(), Sample())
    half_of = halves([pair.city for pair in dataset.pairs])
    most = max(1, MOST_PIXELS // max(1, len(dataset) // 2))
    for index in tqdm(range(len(dataset)), "measuring", unit="image"):
        image, target = dataset[index][0], dataset[index][1].numpy()
        valid = target != ignored
        seen = segmenter.mean_probabilities(image)
        prediction = decide(seen, target.shape).astype(np.int64)
        of_target, confidence = likelihoods(seen, target, prediction)
        row = counts.add(target, prediction, of_target, ignored)
        row |= {"name": dataset.pairs[index].name, "city": dataset.pairs[index].city}
        reliability.add(confidence[valid], (prediction == target)[valid])
        samples[half_of[index]].add(planes(seen, target.shape), target, valid, most)
    return counts, reliability, temperature_of(samples), worst_images(counts.rows)


def likelihoods(
    seen: np.ndarray, target: np.ndarray, prediction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of each pixel's target and of its prediction, the latter its confidence.

    Shape:
        seen: (K, h, w) float32; target, prediction: (H, W) integers → (H, W) float32 each, 0 at
        void pixels of the first.
    """
    found = np.zeros((2, *target.shape), dtype=np.float32)
    for k, plane in enumerate(planes(seen, target.shape)):
        for place, ids in enumerate((target, prediction)):
            np.copyto(found[place], plane, where=ids == k)
    return found[0], found[1]


def worst_images(rows: Sequence[dict[str, Any]]) -> list[int]:
    """The places of the worst images by their share of errors, and of those by their loss."""
    places = range(len(rows))
    by_share = sorted(places, key=lambda place: -error_share(rows[place]))[:WORST]
    by_loss = sorted(places, key=lambda place: -mean_loss(rows[place]))[:WORST]
    return sorted({*by_share, *by_loss}, key=lambda place: (-error_share(rows[place]), place))


def temperature_of(samples: tuple[Sample, Sample]) -> dict[str, Any]:
    """The temperature of one half, and what it does for the other; nothing without two halves."""
    if not all(sample.logs and sum(map(len, sample.targets)) for sample in samples):
        return {}
    temperature = fit_temperature(*samples[0].joined())
    logs, targets = samples[1].joined()
    return {
        "temperature": temperature,
        "before": judged(logs, targets, 1.0),
        "after": judged(logs, targets, temperature),
    }


def summed_up(
    counts: Counts, reliability: Reliability, temperature: dict[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    """Every figure, as errors.json holds it."""
    pixels = counts.confusion.sum()
    errors = pixels - counts.confusion.trace()
    ends = [*(f"up to {end}" for end in EDGES), f"more than {EDGES[-1]}"]
    intersection, union = counts.boundary
    return {
        "pixels": int(pixels),
        "error_share": float(errors / pixels),
        "negative_log_likelihood": sum(r["negative_log_likelihood"] for r in counts.rows) / pixels,
        "confusion_matrix": counts.confusion.tolist(),
        "confused_pairs": confused_pairs(counts.confusion, names),
        "distance_to_edge": [
            {
                "pixels_from_edge": end,
                "share_of_pixels": float(here / pixels),
                "share_of_errors": float(wrong / errors) if errors else 0.0,
                "error_share": float(wrong / here) if here else None,
            }
            for end, here, wrong in zip(ends, *counts.distance, strict=True)
        ],
        "boundary_iou": {
            name: float(i / u) if u else None
            for name, i, u in zip(names, intersection, union, strict=True)
        },
        "recall_by_size": {
            name: {
                size: float(counts.region[1, k, s] / counts.region[0, k, s])
                if counts.region[0, k, s]
                else None
                for s, size in enumerate(SIZES)
            }
            for k, name in enumerate(names)
        },
        "calibration": {
            "expected_calibration_error": reliability.expected_error(),
            "bins": reliability.bins(),
            **temperature,
        },
    }


def csv_row(row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row of errors.csv; its share and its loss are those of the image."""
    means = {"error_share": error_share(row), "negative_log_likelihood": mean_loss(row)}
    return {column: (row | means)[column] for column in columns}
