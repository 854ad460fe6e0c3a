"""`errors`: measures a network on a split, and writes errors.html, errors.csv and errors.json."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
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
from commands.evaluation import require_classes
from commands.report.page import escaped, number, page, section, table
from commands.test import open_segmenter
from commands.test_time import MultiScaleSegmenter, decide, enlarge
from data import SegmentationDataset, resolve_datadir
from utils import LabError, colorize, write_csv, write_json, write_text

WORST = 12
LARGEST_PICTURE = 360
FILTER = """
const figures = [...document.querySelectorAll("figure[data-classes]")];
for (const button of document.querySelectorAll("button[data-class]"))
  button.onclick = () => {
    const chosen = button.getAttribute("aria-pressed") !== "true";
    for (const other of document.querySelectorAll("button[data-class]"))
      other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", chosen);
    for (const figure of figures) figure.hidden = chosen &&
      !figure.dataset.classes.split(" ").includes(button.dataset.class);
  };
"""


def show_errors(
    model: Path,
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    limit: int | None,
    reading: dict[str, Any],
    device: str,
    output: Path | None,
) -> None:
    """Measures where a network is wrong.

    Args:
        model: a model.onnx, a best.pt, or the folder of a run.
        datadir: the data folder; None for the toy streets.
        split, cities, limit: which images.
        reading: what was chosen of how the folder is read, beyond what the model says.
        device: where a best.pt runs.
        output: the folder for the files; None for `errors_SPLIT` beside the model.

    Raises:
        LabError: for a file that is no model, and data of other classes.
    """
    path = model / "model.onnx" if model.is_dir() else model
    segmenter = open_segmenter(path, device)
    chosen = segmenter.reading._replace(**reading)
    dataset = SegmentationDataset(resolve_datadir(datadir), split, cities, limit, reading=chosen)
    require_classes(segmenter, dataset)
    output = output or path.parent / f"errors_{split}"
    seen = MultiScaleSegmenter(segmenter)
    counts, reliability, temperature, worst = measure(seen, dataset)
    if not counts.confusion.sum():
        raise LabError(f"split {split!r} of {dataset.source.root}: every pixel is void")
    result = summed_up(counts, reliability, temperature, dataset.labels.names)
    result["evaluated"] = {"model": str(path), "split": split, "images": len(dataset)}
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
    print(f"look at {output / 'errors.html'}; errors.json and errors.csv have the figures")


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
        probabilities = enlarge(seen, target.shape)
        of_target = np.take_along_axis(probabilities, np.where(valid, target, 0)[None], 0)[0]
        row = counts.add(target, prediction, of_target, ignored)
        row |= {"name": dataset.pairs[index].name, "city": dataset.pairs[index].city}
        confidence = np.take_along_axis(probabilities, prediction[None], 0)[0]
        reliability.add(confidence[valid], (prediction == target)[valid])
        samples[half_of[index]].add(probabilities, target, valid, most)
    shares = [row["errors"] / row["pixels"] if row["pixels"] else 0.0 for row in counts.rows]
    worst = sorted(range(len(shares)), key=lambda index: -shares[index])[:WORST]
    return counts, reliability, temperature_of(samples), worst


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
    """A row of errors.csv: the loss is the mean over the image's pixels."""
    pixels = row["pixels"] or 1
    means = {"error_share": row["errors"] / pixels}
    means["negative_log_likelihood"] = row["negative_log_likelihood"] / pixels
    return {column: (row | means)[column] for column in columns}


def in_words(pair: dict[str, Any]) -> str:
    """A confused pair as a sentence."""
    return (
        f"{pair['target']} predicted as {pair['prediction']}: {pair['share_of_target']:.1%} of "
        f"{pair['target']}, {pair['share_of_errors']:.1%} of all errors"
    )


# ---------------------------------------------------------------------------------------- the page


def html_parts(
    text: str, result: dict[str, Any], rows: Sequence[dict[str, Any]], worst: Sequence[int],
    segmenter: MultiScaleSegmenter, dataset: SegmentationDataset,
) -> list[str]:  # fmt: skip
    """The parts of errors.html."""
    shares = ("share_of_pixels", "share_of_errors", "error_share")
    pairs = [[in_words(pair), f"{pair['pixels']:,}"] for pair in result["confused_pairs"][:20]]
    edges = [
        [row["pixels_from_edge"], *(percent(row[share]) for share in shares)]
        for row in result["distance_to_edge"]
    ]
    classes = [
        [name, number(iou, 3), *(number(r, 3) for r in result["recall_by_size"][name].values())]
        for name, iou in result["boundary_iou"].items()
    ]
    edge_head = ["pixels from a label edge", "% of the pixels", "% of the errors", "% wrong there"]
    class_head = ["class", "boundary IoU", *(f"recall, {size} regions" for size in SIZES)]
    return [
        f"<p>{escaped(text)}: {result['error_share']:.2%} of {result['pixels']:,} labelled pixels "
        "are wrong.</p>",
        section("The worst images", worst_part(segmenter, dataset, rows, worst)),
        section("What is taken for what", table(["", "pixels"], pairs)),
        section("How near to an edge", table(edge_head, edges, "plain")),
        section("By class", table(class_head, classes)),
        section("Is its confidence justified?", calibration_part(result["calibration"])),
        f"<script>{FILTER}</script>",
    ]


def percent(share: float | None) -> str:
    """A share in percent; a dash for none."""
    return "–" if share is None else f"{100 * share:.2f}"


def worst_part(
    segmenter: MultiScaleSegmenter, dataset: SegmentationDataset, rows: Sequence[dict[str, Any]],
    worst: Sequence[int],
) -> str:  # fmt: skip
    """Buttons for the classes, and a row of pictures for each of the worst images."""
    names, figures, present = dataset.labels.names, [], set()
    for index in worst:
        row = rows[index]
        wrong = {k for k, errors in enumerate(row["errors_by_class"]) if errors}
        present |= wrong
        share = row["errors"] / row["pixels"] if row["pixels"] else 0.0
        tags = " ".join(map(str, sorted(wrong)))
        figures.append(
            f'<figure data-classes="{tags}"><div class="wide">{pictures(segmenter, dataset, index)}'
            f"</div><figcaption>{escaped(row['name'])}: {share:.1%} wrong</figcaption></figure>"
        )
    buttons = "".join(
        f'<button data-class="{k}" aria-pressed="false">{escaped(names[k])}</button> '
        for k in sorted(present)
    )
    text = "Image, target, prediction, errors (red), confidence (dark: unsure). Only images with "
    return f"<p>{text}errors in: {buttons}</p>{''.join(figures)}"


def pictures(segmenter: MultiScaleSegmenter, dataset: SegmentationDataset, index: int) -> str:
    """Five small pictures of an image, side by side, as one inside the page."""
    image, target = dataset[index][0], dataset[index][1].numpy()
    ignored, palette = dataset.labels.ignore_index, dataset.labels.palette
    seen = segmenter.mean_probabilities(image)
    prediction, confidence = decide(seen, target.shape), enlarge(seen, target.shape).max(axis=0)
    wrong = (target != ignored) & (target != prediction)
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    error_map = np.where(wrong[..., None], (230, 30, 30), 0.5 * grey + 100).astype(np.uint8)
    sure = np.repeat((255 * confidence)[..., None], 3, axis=2).astype(np.uint8)
    colors = [colorize(ids.astype(np.uint8), palette) for ids in (target, prediction)]
    strip = np.hstack([image, *colors, error_map, sure])
    scale = min(1.0, LARGEST_PICTURE / image.shape[1])
    if scale < 1:
        size = round(strip.shape[1] * scale), round(strip.shape[0] * scale)
        strip = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".png", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))[1].tobytes()
    text = base64.b64encode(data).decode("ascii")
    name = escaped(dataset.pairs[index].name)
    return f'<img alt="{name}: image, target, prediction, errors, confidence" ' + (
        f'src="data:image/png;base64,{text}">'
    )


def calibration_part(calibration: dict[str, Any]) -> str:
    """The reliability diagram as SVG, its error, and the temperature."""
    side, bars = 260, []
    most = max(each["pixels"] for each in calibration["bins"])
    for each in calibration["bins"]:
        x, y = 20 + 220 * each["confidence"], 240 - 220 * each["right"]
        radius = 2 + 6 * (each["pixels"] / most) ** 0.5
        title = (
            f"says {each['confidence']:.2f}, right {each['right']:.2f}, pixels {each['pixels']:,}"
        )
        bars.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{title}</title></circle>'
        )
    svg = (
        f'<svg viewBox="0 0 {side} {side}" width="{side}" role="img" aria-label="reliability '
        'diagram"><style>circle{fill:#0072B2}line{stroke:currentColor;stroke-opacity:.4}'
        "text{font:11px system-ui;fill:currentColor}</style>"
        '<line x1="20" y1="240" x2="240" y2="20"/><line x1="20" y1="240" x2="240" y2="240"/>'
        '<line x1="20" y1="240" x2="20" y2="20"/>'
        f'{"".join(bars)}<text x="100" y="256">confidence</text>'
        '<text x="24" y="16">right</text></svg>'
    )
    text = f"<p>Expected calibration error: {calibration['expected_calibration_error']:.4f}. "
    if "temperature" in calibration:
        before, after = calibration["before"], calibration["after"]
        key = "expected_calibration_error"
        text += (
            f"The temperature {calibration['temperature']:.3f}, fitted on one half of the cities, "
            f"brings it from {before[key]:.4f} to {after[key]:.4f} on the other half."
        )
    return f"{text}</p>{svg}"
