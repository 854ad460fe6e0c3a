"""Training images/s: the lab's loop against a plain loop, and against other libraries' models.

The plain loop has the same UNet, loss and batches in float32, with PyTorch's default memory layout
and optimiser. Batches lie in memory; loading is another benchmark's.
"""

import argparse

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from benchmarks.requirements import development_packages
from benchmarks.timing import print_table, take_turns
from losses import build_loss
from models import UNet
from support.engine.hardware import pick_autocast_dtype, pick_device, place
from support.engine.schedules import build_optimizer
from support.formats.cityscapes import CITYSCAPES
from training import train_one_epoch

with development_packages():
    import segmentation_models_pytorch as smp

NUM_CLASSES = len(CITYSCAPES)
STEPS = 3


class OnlyLogits(nn.Module):
    """torchvision's models return a dict; this takes its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)["out"]


def peers() -> dict[str, nn.Module]:
    """Models of other libraries, without pretrained weights."""
    vision = torchvision.models.segmentation
    bare = {"weights": None, "weights_backbone": None, "num_classes": NUM_CLASSES}
    return {
        "smp Unet mobilenet_v2": smp.Unet(
            "mobilenet_v2", encoder_weights=None, classes=NUM_CLASSES
        ),
        "smp Unet resnet18": smp.Unet("resnet18", encoder_weights=None, classes=NUM_CLASSES),
        "torchvision lraspp_mobilenet_v3": OnlyLogits(vision.lraspp_mobilenet_v3_large(**bare)),
        "torchvision deeplabv3_mobilenet_v3": OnlyLogits(
            vision.deeplabv3_mobilenet_v3_large(**bare)
        ),
    }


def plain_loop(model: nn.Module, batches: list, device: torch.device) -> callable:
    """A training loop as one writes it first: float32, no memory layout, the default optimiser."""
    model = model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=False, foreach=False)

    def train() -> None:
        for images, target in batches:
            images, target = images.to(device), target.to(device)
            loss = F.cross_entropy(model(images), target, ignore_index=255)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return train


def lab_loop(model: nn.Module, batches: list, device: torch.device) -> callable:
    """The lab's `train_one_epoch` with the settings that main.py gives it."""
    model = place(model, device)
    optimizer = build_optimizer("adamw", model, 1e-3, 1e-2)
    criterion = build_loss("wce", torch.ones(NUM_CLASSES)).to(device)
    dtype = pick_autocast_dtype("auto", device)
    return lambda: train_one_epoch(
        model, batches, criterion, optimizer, device, autocast_dtype=dtype
    )


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    shape = (args.batch_size, 3, *args.size)
    batches = [
        (torch.randn(shape), torch.randint(NUM_CLASSES, (args.batch_size, *args.size)))
        for _ in range(STEPS)
    ]
    images = STEPS * args.batch_size
    where = f"{args.batch_size} images of {args.size[0]}x{args.size[1]} on {device}"
    for base in (16, 32):
        contestants = {
            "plain loop, float32": plain_loop(UNet(NUM_CLASSES, 4, base), batches, device),
            "the lab's loop": lab_loop(UNet(NUM_CLASSES, 4, base), batches, device),
        }
        seconds = take_turns(contestants, args.rounds)
        title = f"training, UNet base {base}, {where}"
        print_table(title, seconds, images, "images", "plain loop, float32")

    unets = {f"UNet base {base}": UNet(NUM_CLASSES, 4, base) for base in (16, 32)}
    contestants = {}
    for name, model in (unets | peers()).items():
        millions = sum(p.numel() for p in model.parameters()) / 1e6
        contestants[f"{name} ({millions:.1f} M)"] = lab_loop(model, batches, device)
    seconds = take_turns(contestants, args.rounds)
    title = f"training in the lab's loop, {where}, parameters in millions"
    print_table(title, seconds, images, "images", next(iter(contestants)))


if __name__ == "__main__":
    main()
