"""What each command costs at the size of Cityscapes: CPU time and memory over the number of images.

The folder is made up: a few pairs of 2048x1024 (`benchmarks.loading`), linked under as many names
as asked for, an eighth of them to validate. Each command is a process of its own; the seconds are
those of the processor, in it and its workers, which other programs change little; the memory is the
largest that it, or one of its workers, held. The last column tells whether a command's seconds grow
faster than the images: seconds per image at the largest number over those at the smallest.
"""

import argparse
import csv
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.loading import PAIRS, write_pairs

LAB = Path(__file__).resolve().parent.parent


def link_pairs(made: Path, root: Path, count: int) -> None:
    """Fills a folder in the Cityscapes layout with links to the pairs that are there."""
    for file in sorted(made.rglob("*.png")):
        layer, name = file.relative_to(made).parts[0], file.name
        _, number, _, kind = name.split("_", 3)
        for copy in range(int(number), count, PAIRS):
            split = "val" if copy % 8 == 7 else "train"
            link = root / layer / split / "city" / f"city_{copy:06d}_000019_{kind}"
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, link)


def run(*words: object) -> tuple[float, float]:
    """Runs a command of main.py; returns its CPU seconds and the GiB that it held at most.

    Raises:
        SystemExit: when it fails, with what it said.
    """
    command = [sys.executable, "-m", "benchmarks.scale", "--one", *map(str, words)]
    done = subprocess.run(command, cwd=LAB, capture_output=True, text=True)
    if done.returncode > (words[0] == "check"):  # which finds the made-up masks odd
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr[-500:]}")
    seconds, gibibytes = map(float, done.stdout.split()[-2:])
    return seconds, gibibytes


def run_here(words: list[str]) -> int:
    """Runs the command in a child of this process, so that what it used is the child's alone."""
    code = subprocess.run([sys.executable, "main.py", *words], stdout=subprocess.DEVNULL).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)
    return code


def measure(made: Path, folder: Path, count: int, steps: int) -> dict[str, tuple[float, float]]:
    """Every command over a folder of so many images: name → seconds and GiB."""
    root, runs = folder / f"images-{count}", folder / "runs"
    link_pairs(made, root, count)
    data = ("--datadir", root)
    small = ("--logdir", runs, "--num-blocks", 2, "--base-channels", 4, "--limit", count)
    found = {name: run(name, *data) for name in ("check", "stats")}
    found["prepare"] = run("prepare", *data, "--output", folder / "prepared", "--size", 256, 512)
    for kind, where in (("", root), (" prepared", folder / "prepared")):
        for workers in (0, 1, 2):
            name = f"w{workers}{kind.strip()}"
            words = ("--datadir", where, *small, "--name", name, "--num-workers", workers)
            words += ("--evaluate-every", 10**6, "--max-steps", steps)
            found[f"{steps} steps{kind}, {workers} workers"] = run("train", *words)
            with (runs / name / "history.csv").open() as file:
                rate = float(next(csv.DictReader(file))["images_per_second"])
            print(f"  {count} images{kind}, {workers} workers: {rate:.1f} images/s", flush=True)
    found["resume"] = run("train", "--resume", runs / "w0")
    shutil.rmtree(root)
    shutil.rmtree(folder / "prepared")
    shutil.rmtree(runs)
    return found


def main() -> int:
    """Prints a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", nargs="+", type=int, default=[100, 1000, 3000])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return run_here(args.one)
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder) / "made")
        columns = {
            count: measure(Path(folder) / "made", Path(folder), count, args.steps)
            for count in args.images
        }
    first, last = columns[args.images[0]], columns[args.images[-1]]
    print(f"{'':<30}" + "".join(f"{count:>18} images" for count in columns) + f"{'growth':>10}")
    for name in first:
        cells = "".join(
            f"{found[name][0]:>13.1f} s {found[name][1]:>5.2f} GiB" for found in columns.values()
        )
        per_image = (last[name][0] / args.images[-1]) / (first[name][0] / args.images[0])
        print(f"{name:<30}{cells}{per_image:>10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
