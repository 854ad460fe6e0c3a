"""The confusion matrix against torchmetrics, and its share of a training step."""

import argparse
import statistics

import torch

from benchmarks.requirements import development_packages
from benchmarks.timing import print_table, take_turns
from benchmarks.training import NUM_CLASSES, STEPS, lab_loop
from metrics import ConfusionMatrix
from models import UNet
from support.engine.hardware import pick_device

with development_packages():
    from torchmetrics.classification import MulticlassConfusionMatrix


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    shape = (args.batch_size, *args.size)
    target = torch.randint(NUM_CLASSES, shape, device=device)
    target[torch.rand(shape, device=device) < 0.1] = 255
    predictions = torch.randint(NUM_CLASSES, shape, device=device)
    ours = ConfusionMatrix(NUM_CLASSES)
    theirs = MulticlassConfusionMatrix(NUM_CLASSES, ignore_index=255).to(device)
    batch = (torch.randn(args.batch_size, 3, *args.size), target.cpu())
    step = lab_loop(UNet(NUM_CLASSES, 4, 16), [batch] * STEPS, device)
    seconds = take_turns(
        {
            "torchmetrics": lambda: theirs.update(predictions, target),
            "ConfusionMatrix": lambda: ours.update(predictions, target),
            "a training step, UNet base 16": step,
        },
        args.rounds,
    )
    seconds["a training step, UNet base 16"] = [
        value / STEPS for value in seconds["a training step, UNet base 16"]
    ]
    title = f"updates with {args.batch_size} images of {args.size[0]}x{args.size[1]} on {device}"
    print_table(title, seconds, 1, "updates", "torchmetrics")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    share = medians["ConfusionMatrix"] / medians["a training step, UNet base 16"]
    print(f"  one update takes {share:.2%} of a training step")


if __name__ == "__main__":
    main()
