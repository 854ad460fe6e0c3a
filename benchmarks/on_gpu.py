"""Everything that wants a GPU, one part after the other, in under ten minutes of device time.

    python -m benchmarks.on_gpu --camvid FOLDER
    python -m benchmarks.on_gpu --rehearse       on the CPU: that every part runs, no figures

As many toy streets as Cityscapes has images, the loop on them against the step alone, compilation
on and off, the zoo beside its references, a training on CamVid at 480x360 (or the toy streets
without the folder), and the default training. A part that fails or takes too long is reported, and
the next one begins.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent


def parts(camvid: Path | None, rehearse: bool, folder: str) -> dict[str, list[str]]:
    """What to run: a title → the words after `python`."""
    tiny = ["--device", "cpu", "--size", "64", "64", "--rounds", "1", "--batch-size", "2"]
    small = [*tiny, "--base-channels", "8"]
    train, val = ("8", "2") if rehearse else ("2975", "100")
    toys = ["-m", "toycity", "--output", f"{folder}/toys", "--train", train, "--val", val]
    loop = ["-m", "benchmarks.gpu_loop", "--datadir", f"{folder}/toys"]
    loop += [*small, "--steps", "3", "--num-workers", "0"] if rehearse else []
    zoo = ["--device", "cuda", "--size", "256", "256", "--rounds", "5"]
    zoo = [*tiny, "--models", "segformer_b0"] if rehearse else zoo
    default = ["main.py", "train", "--logdir", folder, "--name", "default"]
    short = ["--img-size", "64", "64", "--device", "cpu", "--max-steps", "3", "--limit", "8"]
    default += short if rehearse else []
    camvid_run = ["main.py", "train", "--logdir", folder, "--name", "camvid", "--recipe", "plain"]
    long = ["--img-size", "360", "480", "--base-channels", "64", "--batch-size", "8"]
    camvid_run += short if rehearse else [*long, "--epochs", "30", "--max-minutes", "4"]
    camvid_run += ["--datadir", str(camvid)] if camvid else []
    return {
        "toy streets": toys,
        "the loop against the step alone": loop,
        "compilation on and off": ["-m", "benchmarks.compiled", *(small if rehearse else [])],
        "the zoo beside its references": ["-m", "benchmarks.zoo", *zoo],
        "a training on CamVid": camvid_run,
        "the default training": default,
    }


def main() -> int:
    """Runs the parts; returns 1 when one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--camvid", type=Path, help="CamVid at 480x360 (default: toy streets)")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, a few steps each")
    parser.add_argument("--minutes", type=float, default=5, help="limit of each part")
    args = parser.parse_args()
    camvid = args.camvid.resolve() if args.camvid else None
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for title, words in parts(camvid, args.rehearse, folder).items():
            print(f"\n== {title}: python {' '.join(words)}", flush=True)
            start = time.perf_counter()
            try:
                code = subprocess.run(
                    [sys.executable, *words], cwd=LAB, timeout=60 * args.minutes
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
            took = f"{time.perf_counter() - start:.0f} s"
            print(f"== {took}" if code == 0 else f"== failed after {took} (exit status {code})")
            failed += [title] * (code != 0)
    print("\nfailed: " + ", ".join(failed) if failed else "\nall parts ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
