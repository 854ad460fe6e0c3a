"""Networks trained on toy streets, judged on photographs that no training saw.

    python -m benchmarks.real_streets --datadir CAMVID --models pretrained/toystreets.onnx

The mean F1 is over the classes that occur in the targets: CamVid has 11 of the 19, and a mean over
the others, which are 0 as soon as they are predicted anywhere, would say little. `--output` draws
some photographs with each network's overlay beside them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from data import SegmentationDataset
from deploy import OnnxSegmenter
from metrics import ConfusionMatrix, f1_per_class
from support.plots import picture_grid
from utils import colorize, overlay, save_image


def class_scores(segmenter: OnnxSegmenter, dataset: SegmentationDataset) -> dict[str, float]:
    """The F1 of every class that occurs in the targets, over the whole split."""
    confusion = ConfusionMatrix(len(dataset.labels), dataset.labels.ignore_index)
    for index in tqdm(range(len(dataset)), unit="image"):
        image, target = dataset[index]
        confusion.update(torch.from_numpy(segmenter.predict(image))[None], target[None])
    occurs = confusion.matrix.sum(dim=1) > 0
    scores = f1_per_class(confusion.matrix)
    return {
        name: score.item()
        for name, score, has in zip(dataset.labels.names, scores, occurs, strict=True)
        if has
    }


def main() -> None:
    """Prints a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--datadir", type=Path, required=True, help="photographs with targets")
    parser.add_argument("--split", default="val")
    parser.add_argument("--models", nargs="+", type=Path, required=True, help="model.onnx files")
    parser.add_argument("--output", type=Path, help="a picture of some photographs")
    parser.add_argument("--samples", type=int, default=4)
    args = parser.parse_args()
    dataset = SegmentationDataset(args.datadir, args.split)
    segmenters = {str(path): OnnxSegmenter(path) for path in args.models}
    for name, segmenter in segmenters.items():
        scores = class_scores(segmenter, dataset)
        mean = sum(scores.values()) / len(scores)
        print(f"{name}: mean F1 {mean:.4f} over the {len(scores)} classes that occur")
        print("  " + ", ".join(f"{each} {score:.2f}" for each, score in scores.items()))
    if args.output:
        rows = []
        for index in np.linspace(0, len(dataset) - 1, args.samples).round().astype(int):
            image = dataset[index][0]
            drawn = (colorize(each.predict(image), each.palette) for each in segmenters.values())
            rows.append([image, *(overlay(image, colors) for colors in drawn)])
        save_image(args.output, picture_grid(rows, ["photograph", *map(str, args.models)]))


if __name__ == "__main__":
    main()
