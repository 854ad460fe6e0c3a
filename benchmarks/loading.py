"""Loading samples/s: a prepared folder against the PNG pairs that it was made from.

The pairs are made up, as large as those of Cityscapes (2048x1024) and with as much texture, so that
they take as long to decode.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.timing import print_table, take_turns
from commands.prepare import prepare
from data import SegmentationDataset, train_transforms
from support.formats.files import open_source

PAIRS = 6


def write_pairs(root: Path) -> None:
    """Writes pairs of 2048x1024: smooth areas with noise, label ids in patches."""
    random = np.random.default_rng(0)
    for number in range(PAIRS):
        coarse = random.integers(0, 256, (32, 64, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (2048, 1024), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        image = (smooth + random.normal(0, 3, smooth.shape)).clip(0, 255).astype(np.uint8)
        patches = random.integers(0, 34, (64, 128), dtype=np.uint8)
        ids = cv2.resize(patches, (2048, 1024), interpolation=cv2.INTER_NEAREST)
        name = f"city_{number:06d}_000019"
        for folder, array, suffix in (
            ("leftImg8bit", image, "leftImg8bit"),
            ("gtFine", ids, "gtFine_labelIds"),
        ):
            path = root / folder / "train" / "city" / f"{name}_{suffix}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs=2, type=int, default=[512, 1024], help="height and width")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    size = tuple(args.size)
    with tempfile.TemporaryDirectory() as folder:
        raw, prepared = Path(folder) / "raw", Path(folder) / "prepared"
        write_pairs(raw)
        prepare([open_source(raw, "train", None, None)], prepared, size)
        for what, transform in (("read", None), ("read and augmented", train_transforms(size))):
            sets = {
                "PNG pairs": SegmentationDataset(raw, "train", transform=transform),
                f"prepared at {size[0]}x{size[1]}": SegmentationDataset(
                    prepared, "train", transform=transform
                ),
            }
            contestants = {
                name: lambda dataset=dataset: [dataset[i] for i in range(PAIRS)]
                for name, dataset in sets.items()
            }
            title = f"samples {what}, from PNG pairs of 2048x1024"
            seconds = take_turns(contestants, args.rounds)
            print_table(title, seconds, PAIRS, "samples", "PNG pairs")


if __name__ == "__main__":
    main()
