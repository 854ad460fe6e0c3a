"""A model evaluated on a split: its predictions, `metrics.json`, the table per class."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data import SegmentationDataset, resolve_datadir
from deploy import Segmenter
from metrics import ConfusionMatrix, scores
from support.formats.labels import Reading
from utils import LabError, colorize, cut, overlay, save_image, write_json


def report_split(
    segmenter: Segmenter,
    datadir: Path | None,
    split: str,
    cities: Sequence[str] | None,
    limit: int | None,
    batch_size: int,
    output: Path,
    save_predictions: bool,
    reading: Reading,
    mapping: Path | None,
    about: dict[str, Any],
) -> None:
    """Evaluates a model on a split, writes `metrics.json` into `output` and prints the scores.

    Args:
        segmenter: the model.
        datadir: the data folder; None for the toy streets.
        split: such as val.
        cities: only these; None for all.
        limit: at most so many images; None for all.
        batch_size: images that the model sees at once.
        output: the folder for the results.
        save_predictions: whether each prediction is written too.
        reading: how the folder is to be read where it leaves a choice.
        mapping: a table from the model's classes to those of the data; None where they are the
            same.
        about: what else `metrics.json` says under `evaluated`: the model, the scales and so on.
    """
    root = resolve_datadir(datadir)
    dataset = SegmentationDataset(root, split, cities, limit, reading=reading)
    dataset.source.folder.require_fair(dataset.source)
    predictions, table, to_targets = output if save_predictions else None, None, None
    if mapping is None:
        require_classes(segmenter, dataset)
    else:
        from commands.mapping import MappedSegmenter, read_mapping  # late: mostly they are the same

        table = read_mapping(mapping, segmenter.classes, dataset.labels.names)
        segmenter, to_targets = MappedSegmenter(segmenter, table, dataset.labels), table.of_data
    matrix = evaluate_split(segmenter, dataset, batch_size, predictions, to_targets)
    result = scores(matrix, segmenter.classes) if table is None else table.scores(matrix)
    result["evaluated"] = {
        **about,
        "split": split,
        "cities": dataset.cities,
        "labels": dataset.labels.name,
        "images": len(dataset),
        "data_fingerprint": dataset.source.fingerprint(),
    }
    write_json(output / "metrics.json", result)
    print(score_table(result))
    what = "the scores are"
    if not matrix.sum():
        what = f"every pixel of split {split!r} is void: there is nothing to score; the counts are"
    print(f"{what} in {output / 'metrics.json'}")


def require_classes(segmenter: Segmenter, dataset: SegmentationDataset) -> None:
    """Raises `LabError` when a model predicts other classes than the targets have."""
    ours, theirs = segmenter.classes, dataset.labels.names
    if ours != theirs:
        pairs = enumerate(zip_longest(ours, theirs, fillvalue="none"))
        k, (own, other) = next((k, pair) for k, pair in pairs if pair[0] != pair[1])
        raise LabError(
            f"the model has {len(ours)} classes, {dataset.labels.name} {len(theirs)}: class {k} is "
            f"{own} for the model and {other} in {dataset.source.root}; evaluate it on data with "
            "the classes that it was trained on"
        )


def evaluate_split(
    segmenter: Segmenter,
    dataset: SegmentationDataset,
    batch_size: int,
    predictions: Path | None,
    to_targets: np.ndarray | None = None,
) -> Tensor:
    """Compares a model with every target of a data set, each at the target's own size.

    Args:
        segmenter: the model.
        dataset: without transform: items (image (H, W, 3) uint8, target (H, W) int64).
        batch_size: images that the model sees at once.
        predictions: a folder for each prediction as label ids of the set, `<name>_labelIds.png`, as
            a benchmark's server takes them, and in `overlays/` as a picture; None for neither.
        to_targets: the segmenter's class for each of the data's, where they differ.

    Returns:
        The confusion matrix, (K, K) int64.
    """
    confusion = ConfusionMatrix(len(segmenter.classes), dataset.labels.ignore_index)
    with tqdm(total=len(dataset), unit="image", desc="evaluating") as bar:
        for start in range(0, len(dataset), batch_size):
            indices = range(start, min(start + batch_size, len(dataset)))
            samples = [dataset[index] for index in indices]
            masks = segmenter.predict_batch([image for image, _ in samples])
            for index, (image, target), mask in zip(indices, samples, masks, strict=True):
                if to_targets is not None:
                    target = recoded(target, to_targets, dataset.labels.ignore_index)
                confusion.update(torch.from_numpy(mask)[None], target[None])
                if predictions is not None:
                    _, name = dataset.pairs[index]
                    if to_targets is None:
                        label_ids = dataset.labels.decode(mask)
                    else:
                        label_ids = segmenter.label_ids(mask)
                    save_image(predictions / f"{name}_labelIds.png", label_ids)
                    # the official evaluator takes any file that begins with the name
                    picture = overlay(image, colorize(mask, segmenter.palette))
                    file = predictions / "overlays" / f"{name}.png"
                    save_image(file.with_name(f"overlay_{file.name}"), picture)
            bar.update(len(samples))
    return confusion.matrix


def recoded(target: Tensor, to_targets: np.ndarray, ignore_index: int) -> Tensor:
    """Turns a target's train ids into other ids: (H, W) int64 → (H, W) int64; void stays void."""
    table = np.full(256, ignore_index, dtype=np.int64)
    table[: len(to_targets)] = to_targets
    return torch.from_numpy(table[target.numpy()])


def score_table(result: dict[str, Any]) -> str:
    """The scores as a table to print: a line per class, then the totals."""
    width = max([16, *(len(cut(name)) for name in result["classes"])])
    lines = [f"{'class':<{width}}{'F1':>8}{'IoU':>8}{'pixels':>14}"]
    for name, row in result["classes"].items():
        f1, iou = (score_text(row[key]) for key in ("f1", "iou"))
        lines.append(f"{cut(name):<{width}}{f1:>8}{iou:>8}{row['pixels']:>14,}")
    lines.append("-" * len(lines[0]))
    keys = [key for key in result if key not in ("classes", "evaluated", "coverage")]
    width = max([width, *map(len, keys)])
    for key in keys:
        lines.append(f"{key.replace('_', ' '):<{width}}{score_text(result[key]):>8}")
    return "\n".join(lines + ([result["coverage"]] if "coverage" in result else []))


def score_text(score: float | None) -> str:
    """A score with four digits; a dash where nothing was scored."""
    return "–" if score is None else f"{score:.4f}"
