"""What do the losses do for rare classes? Trains each with the defaults and several seeds.

    python -m benchmarks.losses

Runs that are there already are not repeated. The table gives the macro F1 over the 19 classes on
the validation cities, at the targets' own size, and the mean F1 of the five classes with the fewest
pixels in training.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from data import CityscapesDataset, count_pixels, resolve_datadir
from support.labels import CLASS_NAMES

LAB = Path(__file__).resolve().parent.parent
LOSSES = ("ce", "wce", "focal")
RAREST = 5


def train_and_test(loss: str, seed: int, logdir: Path) -> dict:
    """Runs `main.py train` and `main.py test` where needed, and reads metrics.json."""
    run = logdir / f"{loss}-{seed}"
    metrics = run / "whole_val" / "metrics.json"
    if not metrics.is_file():
        train = ["train", "--loss", loss, "--seed", seed, "--logdir", logdir, "--name", run.name]
        test = ["test", "--modelpath", run / "model.onnx", "--split", "val"]
        test += ["--output", metrics.parent]
        for words in (train, test):
            command = [sys.executable, "main.py", *map(str, words)]
            subprocess.run(command, cwd=LAB, check=True, stdout=sys.stderr)
    return json.loads(metrics.read_text())


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logdir", type=Path, default=LAB / "runs" / "losses")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=LOSSES)
    args = parser.parse_args()
    counts = count_pixels(
        CityscapesDataset(resolve_datadir(None), "train").targets(), len(CLASS_NAMES)
    )
    rarest = [CLASS_NAMES[index] for index in counts.argsort()[:RAREST]]
    print(f"the {RAREST} rarest classes: {', '.join(rarest)}\n")
    seeds = " | ".join(f"seed {seed}" for seed in args.seeds)
    print(f"| loss | {seeds} | macro F1 | F1 of the {RAREST} rarest |")
    print("|---" * (len(args.seeds) + 3) + "|")
    for loss in args.losses:
        results = [train_and_test(loss, seed, args.logdir.resolve()) for seed in args.seeds]
        scores = [result["macro_f1"] for result in results]
        rare = [
            statistics.mean(result["classes"][name]["f1"] or 0.0 for name in rarest)
            for result in results
        ]
        cells = [f"{score:.3f}" for score in scores]
        cells += [
            f"{statistics.mean(values):.3f} ± {spread(values):.3f}" for values in (scores, rare)
        ]
        print(f"| {loss} | {' | '.join(cells)} |", flush=True)


def spread(values: list[float]) -> float:
    """The standard deviation over the seeds; 0 for a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
