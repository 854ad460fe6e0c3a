"""The zoo's losses beside the libraries that define them alike: value and gradient, in turns.

    python -m benchmarks.zoo_losses --rounds 9

Every class is in the target and no pixel is void, as some of the references cannot do without.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.requirements import development_packages
from benchmarks.timing import print_table, take_turns
from losses import LOSSES
from support.engine.hardware import pick_device
from support.formats.cityscapes import CITYSCAPES

with development_packages():
    import monai.losses
    import segmentation_models_pytorch.losses as smp_losses

NUM_CLASSES = len(CITYSCAPES)
MULTICLASS = {"mode": "multiclass", "from_logits": True}


class Monai(nn.Module):
    """A loss of MONAI, which wants the target one-hot, or with a channel."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss."""
        return self.loss(logits, target.unsqueeze(1))


REFERENCES: dict[str, Callable[[], nn.Module]] = {
    "dice": lambda: smp_losses.DiceLoss(**MULTICLASS),
    "tversky": lambda: smp_losses.TverskyLoss(**MULTICLASS, alpha=0.3, beta=0.7),
    "dice_ce": lambda: Monai(
        monai.losses.DiceCELoss(
            to_onehot_y=True, softmax=True, batch=True, smooth_nr=0.0, smooth_dr=0.0
        )
    ),
    "lovasz": lambda: smp_losses.LovaszLoss("multiclass"),
}


def step_of(criterion: nn.Module, logits: Tensor, target: Tensor) -> Callable[[], None]:
    """The value of a loss, and its gradient."""

    def step() -> None:
        leaf = logits.detach().requires_grad_()
        criterion(leaf, target).backward()

    return step


def main() -> None:
    """Runs the benchmark and prints a table for each loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    logits = torch.randn(args.batch_size, NUM_CLASSES, *args.size, device=device)
    target = torch.randint(NUM_CLASSES, (args.batch_size, *args.size), device=device)
    for name, criterion in LOSSES.items():
        contestants = {"ours": step_of(criterion().to(device), logits, target)}
        if name in REFERENCES:
            contestants["reference"] = step_of(REFERENCES[name]().to(device), logits, target)
        baseline = "reference" if name in REFERENCES else "ours"
        seconds = take_turns(contestants, args.rounds)
        print_table(name, seconds, args.batch_size, "images", baseline)


if __name__ == "__main__":
    main()
