"""Judging a model on a split: its predictions, `metrics.json`, the table per class."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from data import CityscapesDataset
from deploy import Segmenter
from metrics import (
    ConfusionMatrix,
    f1_per_class,
    iou_per_class,
    macro_f1,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from support.formats.labels import IGNORE_INDEX, decode_label_ids
from utils import atomic_path, colorize, overlay, save_image


def judge(
    segmenter: Segmenter, dataset: CityscapesDataset, batch_size: int, predictions: Path | None
) -> Tensor:
    """Compares a model with every target of a data set, each at the target's own size.

    Args:
        segmenter: the model.
        dataset: without transform: items (image (H, W, 3) uint8, target (H, W) int64).
        batch_size: images that the model sees at once.
        predictions: a folder for each prediction as official label ids, `<name>_labelIds.png`, as
            the Cityscapes server takes them, and in `overlays/` as a picture; None for neither.

    Returns:
        The confusion matrix, (K, K) int64.
    """
    confusion = ConfusionMatrix(len(segmenter.classes), IGNORE_INDEX)
    with tqdm(total=len(dataset), unit="image", desc="judging") as bar:
        for start in range(0, len(dataset), batch_size):
            indices = range(start, min(start + batch_size, len(dataset)))
            samples = [dataset[index] for index in indices]
            masks = segmenter.predict_batch([image for image, _ in samples])
            for index, (image, target), mask in zip(indices, samples, masks, strict=True):
                confusion.update(torch.from_numpy(mask)[None], target[None])
                if predictions is not None:
                    _, name = dataset.pairs[index]
                    save_image(predictions / f"{name}_labelIds.png", decode_label_ids(mask))
                    # the official evaluator takes any file that begins with the name
                    picture = overlay(image, colorize(mask, segmenter.palette))
                    save_image(predictions / "overlays" / f"overlay_{name}.png", picture)
            bar.update(len(samples))
    return confusion.matrix


def scores(matrix: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """Every score of a confusion matrix (K, K), as written into `metrics.json`.

    A class neither in the truth nor predicted has null for a score; `pixels` counts its truth.
    """
    f1, iou, pixels = f1_per_class(matrix), iou_per_class(matrix), matrix.sum(dim=1)
    return {
        "macro_f1": macro_f1(matrix),
        "mean_iou": mean_iou(matrix),
        "pixel_accuracy": pixel_accuracy(matrix),
        "mean_accuracy": mean_accuracy(matrix),
        "classes": {
            name: {
                "f1": _or_none(f1[index].item()),
                "iou": _or_none(iou[index].item()),
                "pixels": int(pixels[index]),
            }
            for index, name in enumerate(class_names)
        },
    }


def _or_none(score: float) -> float | None:
    return None if math.isnan(score) else score


def score_table(result: dict[str, Any]) -> str:
    """The scores as a table to print: a line per class, then the totals."""
    lines = [f"{'class':<16}{'F1':>8}{'IoU':>8}{'pixels':>14}"]
    for name, row in result["classes"].items():
        f1, iou = ("–" if row[key] is None else f"{row[key]:.4f}" for key in ("f1", "iou"))
        lines.append(f"{name:<16}{f1:>8}{iou:>8}{row['pixels']:>14,}")
    lines.append("-" * len(lines[0]))
    for key in ("macro_f1", "mean_iou", "pixel_accuracy", "mean_accuracy"):
        lines.append(f"{key.replace('_', ' '):<16}{result[key]:>8.4f}")
    return "\n".join(lines)


def write_metrics(folder: Path, result: dict[str, Any]) -> Path:
    """Writes `metrics.json` into a folder; returns its path.

    Raises:
        LabError: when it cannot be written.
    """
    path = folder / "metrics.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
