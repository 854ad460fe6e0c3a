"""`--compile`: the same training with compiled kernels, resumed bit for bit, or one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from street_files import write_streets

from support.engine.folder import load_checkpoint

pytestmark = pytest.mark.slow
LAB = Path(__file__).resolve().parent.parent
SMALL = ["--img-size", "32", "64", "--num-blocks", "2", "--base-channels", "4", "--recipe", "plain"]
SMALL += ["--batch-size", "3", "--num-workers", "0", "--small-share", "0.5", "--device", "cpu"]
INTERRUPTED = """
import os, signal, sys, main
from support.engine.session import TrainingState

count = TrainingState.count_step

def count_and_stop(state):
    count(state)
    if state.step == 5:
        os.kill(os.getpid(), signal.SIGINT)

TrainingState.count_step = count_and_stop
sys.exit(main.main(sys.argv[1:]))
"""


def call(
    folder: Path, *words: object, code: str = "", **environment: str
) -> subprocess.CompletedProcess:
    """`main.py train`, with a compiler's cache of its own, from the file or from `code`."""
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else ["main.py"]), "train", *map(str, words)],
        cwd=LAB,
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_compiled_run_learns_alike_and_resumes_bit_for_bit(tmp_path):
    """Seven images, three a step: batches of three and of one, four steps at half the size.

    The resumed session begins with another shape than the whole run did.
    """
    words = ["--datadir", write_streets(tmp_path / "streets"), "--logdir", tmp_path, *SMALL]
    words += ["--max-steps", 9, "--name"]
    assert call(tmp_path, *words, "eager").returncode == 0
    whole = call(tmp_path, *words, "whole", "--compile")
    assert whole.returncode == 0 and "note: torch.compile" in whole.stdout, whole.stderr
    stopped = call(tmp_path, *words, "stopped", "--compile", code=INTERRUPTED)
    assert stopped.returncode == 130, stopped.stderr
    assert load_checkpoint(tmp_path / "stopped/last.pt")["step"] == 5
    resumed = call(tmp_path, "--resume", tmp_path / "stopped")
    assert resumed.returncode == 0 and "note: torch.compile" in resumed.stdout, resumed.stderr
    eager, whole, stopped = (
        load_checkpoint(tmp_path / name / "last.pt") for name in ("eager", "whole", "stopped")
    )
    assert all(torch.equal(whole["model"][key], stopped["model"][key]) for key in whole["model"])
    losses = [[row["train_loss"] for row in each["history"]] for each in (eager, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_without_a_compiler_it_ends_in_a_line(tmp_path):
    words = ["--datadir", write_streets(tmp_path / "streets"), "--logdir", tmp_path, *SMALL]
    words += ["--max-steps", 2, "--compile", "--name", "a"]
    nowhere = {"CXX": "/nowhere", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    done = call(tmp_path, *words, **nowhere)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: --compile: torch.compile has failed (InvalidCxxCompiler")
    assert last.endswith("or leave --compile out")
    assert not (tmp_path / "a").exists()
