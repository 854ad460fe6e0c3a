"""What saving `last.pt` costs: its share of an epoch's time, as `main.py train` saves.

    python -m benchmarks.checkpoint --rounds 5

One epoch of the toy streets and one checkpoint take turns; the share is that of a checkpoint after
each epoch. Saving every ten minutes besides costs what is printed in the last column.
"""

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path

import torch

from data import SegmentationDataset, get_dataloaders, resolve_datadir, train_transforms
from losses import build_loss
from models import UNet
from support.engine.hardware import pick_autocast_dtype, place
from support.engine.processes import Processes
from support.engine.schedules import Schedule, build_optimizer
from support.engine.session import TrainingState
from support.formats.cityscapes import CITYSCAPES
from training import train_one_epoch
from utils import seed_everything

SAVE_SECONDS = 600


def make_state(base_channels: int) -> TrainingState:
    """A UNet with its optimiser, as `main.py train` builds them."""
    model = place(UNet(len(CITYSCAPES), 4, base_channels), torch.device("cpu"))
    optimizer = build_optimizer("adamw", model, 3e-3, 1e-2)
    return TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=Schedule("cosine", optimizer, 1000),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        images_per_step=4,
        labels=CITYSCAPES.to_json(),
        average=copy.deepcopy(model),
        average_share=0.15,
    )


def main() -> None:
    """Prints a line for each width of the UNet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs and checkpoints (default: 5)")
    parser.add_argument("--widths", nargs="+", type=int, default=[16, 32], help="base channels")
    parser.add_argument("--limit", type=int, help="images of an epoch (default: all 320)")
    args = parser.parse_args()
    seed_everything(0)
    device = torch.device("cpu")
    dataset = SegmentationDataset(
        resolve_datadir(None), "train", limit=args.limit, transform=train_transforms((128, 256))
    )
    loader, _ = get_dataloaders(dataset, dataset, 4, 0, 0)
    print(f"{'base':>4}{'epoch':>10}{'last.pt':>10}{'size':>10}{'per epoch':>11}{'per 10 min':>12}")
    for base_channels in args.widths:
        state, epochs, saves = make_state(base_channels), [], []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "last.pt"
            for _ in range(args.rounds):
                start = time.perf_counter()
                train_one_epoch(
                    state.model, loader, build_loss("ce"), state.optimizer, device,
                    autocast_dtype=pick_autocast_dtype("auto", device),
                )  # fmt: skip
                middle = time.perf_counter()
                state.save(path, Processes())
                epochs.append(middle - start)
                saves.append(time.perf_counter() - middle)
            size = path.stat().st_size / 2**20
        epoch, save = statistics.median(epochs), statistics.median(saves)
        print(
            f"{base_channels:>4}{epoch:>8.2f} s{1000 * save:>7.0f} ms{size:>6.1f} MiB"
            f"{save / epoch:>11.2%}{save / SAVE_SECONDS:>12.3%}"
        )


if __name__ == "__main__":
    main()
