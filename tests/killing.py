"""Kills trainings at random moments and resumes them, until each has ended; prints what differs.

    python tests/killing.py DATADIR FOLDER --trials 30 --seed 0

A process of its own, which imports torch once and forks a child for every session of a run.
"""

import argparse
import csv
import faulthandler
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import deploy
import main as command_line
from support.engine.folder import load_checkpoint

SIGNALS = [signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
MOST_SESSIONS = 12


def session(words: list[str], log: Path) -> int:
    """Runs main.py in a forked child; returns its process id."""
    child = os.fork()
    if child:
        return child
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(output)
    deploy.export_onnx = lambda *_: None  # five seconds that have no part in this
    code = 1
    try:
        code = command_line.main(words)
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:  # os._exit prints none
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def run_with_kills(words: list[str], run: Path, chance: random.Random, seconds: float) -> list[str]:
    """One run, killed at random again and again; returns the names of the signals that hit it."""
    hits = []
    for number in range(MOST_SESSIONS):
        workers = ["--num-workers", str(chance.choice([0, 0, 1, 2]))]
        child = session([*words, *workers, "--auto-resume"], run.with_suffix(".log"))
        if number < MOST_SESSIONS - 1 and chance.random() < 0.8:
            time.sleep(chance.uniform(0, seconds))
            name = chance.choice(SIGNALS)
            os.kill(child, name)
            hits.append(name.name)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return hits
        if code not in (129, 130, 138, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1):
            end = run.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-4000:]
            raise SystemExit(f"{run}: exit code {code} after {hits}\n{end}")
    raise SystemExit(f"{run} never ended")


def what_remains(run: Path) -> dict[str, object]:
    """Everything of a run that must not depend on its interruptions."""
    last, best = load_checkpoint(run / "last.pt"), load_checkpoint(run / "best.pt")
    with (run / "history.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "images_per_second"}
                for row in csv.DictReader(file)]  # fmt: skip
    log = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = log.Tags()
    curves = {
        tag: [(event.step, event.value) for event in log.Scalars(tag)]
        for tag in tags["scalars"]
        if "images_per_second" not in tag
    }
    pictures = {tag: [event.step for event in log.Images(tag)] for tag in tags["images"]}
    return {
        "weights": last["model"],
        "average": last["average"],
        "optimizer": last["optimizer"]["state"],
        "best": best["model"],
        "history": rows,
        "curves": curves,
        "pictures": pictures,
        "files": sorted(path.name for path in run.iterdir() if "tfevents" not in path.name),
        "hidden files": [path.name for path in run.parent.glob(f".{run.name}*")]
        + [path.name for path in run.glob(".*")],
    }


def equal(first: object, second: object) -> bool:
    """Whether two nested structures of tensors and plain values are the same, bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[k], second[k]) for k in first)
    return first == second


def main() -> int:
    """Compares killed runs with an undisturbed one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("datadir")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    common = ["train", "--datadir", args.datadir, "--img-size", "16", "32", "--num-blocks", "2"]
    common += ["--base-channels", "4", "--batch-size", "3", "--epochs", "4", "--patience", "3"]
    common += ["--scheduler", "plateau", "--clip-norm", "1", "--save-minutes", "0.002"]
    common += ["--small-share", "0.5", "--evaluate-every", "2", "--device", "cpu"]
    common += ["--logdir", str(args.folder), "--name"]
    args.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    child = session([*common, "whole", "--num-workers", "0"], args.folder / "whole.log")
    assert os.waitpid(child, 0)[1] == 0, (args.folder / "whole.log").read_text()
    seconds, expected = time.monotonic() - start, what_remains(args.folder / "whole")
    chance, wrong, hits = random.Random(args.seed), 0, []
    for trial in range(args.trials):
        run = args.folder / f"trial-{trial}"
        hits += run_with_kills([*common, run.name], run, chance, seconds)
        found = what_remains(run)
        differs = [key for key in expected if not equal(expected[key], found[key])]
        wrong += bool(differs)
        if differs:
            print(f"{run}: {', '.join(differs)}")
    counts = {name: hits.count(name) for name in sorted(set(hits))}
    print(f"{args.trials} runs, {len(hits)} signals {counts}, {wrong} runs differ")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
