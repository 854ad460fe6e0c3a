"""Inference images/s: the exported model in onnxruntime against the same UNet in eager PyTorch."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import print_table, take_turns
from commands.test import TorchSegmenter
from data import MEAN, STD
from deploy import OnnxSegmenter, export_onnx
from models import UNet
from support.formats.cityscapes import CITYSCAPES

RUNS = 5


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    size, random = tuple(args.size), np.random.default_rng(0)
    metadata = {**CITYSCAPES.about_classes(), "mean": MEAN, "std": STD}
    for base in (16, 32):
        torch.manual_seed(0)
        model = UNet(len(CITYSCAPES), 4, base).eval()
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model, Path(folder) / "model.onnx", size, metadata)
            onnx = OnnxSegmenter(Path(folder) / "model.onnx")
        eager = TorchSegmenter(model, metadata | {"size": size})
        batch = random.normal(size=(1, 3, *size)).astype(np.float32)
        photo = random.integers(0, 256, (512, 1024, 3), dtype=np.uint8)
        network = {
            "eager PyTorch": lambda eager=eager, batch=batch: [
                eager.run(batch) for _ in range(RUNS)
            ],
            "onnxruntime": lambda onnx=onnx, batch=batch: [onnx.run(batch) for _ in range(RUNS)],
        }
        where = f"UNet base {base}, float32, one image of {size[0]}x{size[1]}"
        print_table(where, take_turns(network, args.rounds), RUNS, "images", "eager PyTorch")
        whole = {
            "eager PyTorch": lambda eager=eager, photo=photo: eager.predict(photo),
            "onnxruntime": lambda onnx=onnx, photo=photo: onnx.predict(photo),
        }
        where = f"UNet base {base}, a photo of 512x1024 with resizing and argmax"
        print_table(where, take_turns(whole, args.rounds), 1, "images", "eager PyTorch")


if __name__ == "__main__":
    main()
