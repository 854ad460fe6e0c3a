"""Seconds from the start of `main.py train` to a good network on the toy streets, by recipe.

Each run is a process of its own, as a newcomer starts it; recipes and seeds take turns. The clock
runs until the line of the first evaluation whose macro F1 reaches the goal; the columns beside it
say what the run ended with, and after how many seconds everything was written.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

LAB = Path(__file__).resolve().parent.parent
GOAL = 0.83
ROW = re.compile(r"macro F1 (\d\.\d+)\s+mean IoU (\d\.\d+)")


class Race(NamedTuple):
    """Seconds to the goal (None: never reached), to the end, and the best scores of a run."""

    to_goal: float | None
    to_end: float
    macro_f1: float
    mean_iou: float


def run(words: list[str], goal: float) -> Race:
    """Trains once in a folder that is gone afterwards; returns its times and scores.

    Raises:
        SystemExit: when the training fails, with what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "main.py", "train", "--logdir", folder, *words]
        start, to_goal, scores, said = time.perf_counter(), None, [(0.0, 0.0)], []
        with subprocess.Popen(
            command, cwd=LAB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout:
                said.append(line)
                if found := ROW.search(line):
                    scores.append((float(found[1]), float(found[2])))
                    if to_goal is None and scores[-1][0] >= goal:
                        to_goal = time.perf_counter() - start
        if process.returncode:
            raise SystemExit("".join(said[-5:]))
        return Race(to_goal, time.perf_counter() - start, *max(scores))


def in_words(races: list[Race]) -> list[str]:
    """The columns of several runs of one recipe: means, with the sample deviation of the score."""
    reached = [race.to_goal for race in races if race.to_goal is not None]
    scores = [race.macro_f1 for race in races]
    spread = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
    return [
        f"{statistics.mean(reached):.0f} s" if reached else "never",
        f"{len(reached)} of {len(races)}",
        f"{statistics.mean(race.to_end for race in races):.0f} s",
        f"{statistics.mean(scores):.4f}{spread}",
        f"{statistics.mean(race.mean_iou for race in races):.4f}",
    ]


def main() -> None:
    """Prints a row for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipes", nargs="+", default=["plain", "fast"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--goal", type=float, default=GOAL, help="macro F1 to reach")
    parser.add_argument("words", nargs="*", metavar="-- FLAG", help="more flags of `train`")
    args = parser.parse_args()
    races: dict[str, list[Race]] = {recipe: [] for recipe in args.recipes}
    for seed in args.seeds:
        for recipe in args.recipes:
            race = run(["--recipe", recipe, "--seed", str(seed), *args.words], args.goal)
            print(f"seed {seed}  {recipe}: {' '.join(in_words([race]))}", flush=True)
            races[recipe].append(race)
    columns = [f"to F1 {args.goal}", "reached", "to the end", "macro F1", "mean IoU"]
    table = {"recipe": columns} | {name: in_words(found) for name, found in races.items()}
    for name, cells in table.items():
        print(f"{name:<10}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
