"""`--compile`: the same training with compiled kernels, resumed bit for bit, or one clear line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from street_files import write_streets
from torch import nn

from support.engine.compiling import Compiled
from support.engine.folder import load_checkpoint
from support.engine.processes import Processes
from support.engine.session import Clock

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


def command_of(*words: object, code: str = "") -> list[str]:
    """`main.py train`, from the file or from `code`."""
    return [sys.executable, *(["-c", code] if code else ["main.py"]), "train", *map(str, words)]


def call(
    folder: Path, *words: object, code: str = "", **environment: str
) -> subprocess.CompletedProcess:
    """Runs it with a compiler's cache of its own."""
    return subprocess.run(
        command_of(*words, code=code),
        cwd=LAB,
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
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
    resumed = call(tmp_path, "--resume", tmp_path / "stopped")  # it is in config.json
    assert resumed.returncode == 0 and "note: torch.compile" in resumed.stdout, resumed.stderr
    eager, whole, stopped = (
        load_checkpoint(tmp_path / name / "last.pt") for name in ("eager", "whole", "stopped")
    )
    assert all(torch.equal(whole["model"][key], stopped["model"][key]) for key in whole["model"])
    losses = [[row["train_loss"] for row in each["history"]] for each in (eager, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.slow
def test_without_a_compiler_it_ends_in_a_line(tmp_path):
    words = ["--datadir", write_streets(tmp_path / "streets"), "--logdir", tmp_path, *SMALL]
    words += ["--max-steps", 2, "--compile", "--name", "a"]
    nowhere = {"CXX": "/nowhere", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    done = call(tmp_path, *words, **nowhere)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: --compile: torch.compile has failed (InvalidCxxCompiler")
    assert last.endswith("or go on with --no-compile")
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for compilers with ps")
def test_a_ctrl_c_ends_no_compiler(tmp_path):
    """It goes to all programs of a terminal: the run ends after its step, the cache is whole."""
    words = ["--datadir", write_streets(tmp_path / "streets"), "--logdir", tmp_path, *SMALL]
    words += ["--max-steps", 4, "--compile", "--name", "a"]
    child = subprocess.Popen(
        command_of(*words), cwd=LAB, start_new_session=True, text=True,
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip

    compilers: set[str] = set()
    while len(compilers) < 6 and child.poll() is None:  # the first ones only try the processor out
        words = ["ps", "-o", "pid=,comm=", "-g", str(child.pid)]
        listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        compilers |= {line for line in listed.splitlines() if "cc1plus" in line}
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    said = child.communicate()[1]
    assert child.returncode == 130 and "stopped at step 1 of 4, saved in" in said, said
    assert all(path.stat().st_size for path in (tmp_path / "cache").rglob("*.so"))
    resumed = call(tmp_path, "--resume", tmp_path / "a")
    assert resumed.returncode == 0, resumed.stderr


def test_the_time_to_compile_is_no_time_of_a_step(monkeypatch):
    """Each shape takes 100 s at first, and each step 1 s."""
    now, seen = [0.0], set()

    def compiled(model: nn.Module, dynamic: bool) -> nn.Module:
        def forward(images: torch.Tensor) -> torch.Tensor:
            now[0] += 1 if images.shape in seen else 100
            seen.add(images.shape)
            return model(images)

        return forward

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock(SimpleNamespace(seconds=0.0, history=[]), started=0.0)
    model = Compiled(nn.Identity(), SimpleNamespace(processes=Processes(), clock=clock))
    seconds = []
    for number in (3, 3, 1, 3, 1):
        model(torch.zeros(number, 3, 2, 2))
        clock.tick()
        clock.images += number
        seconds.append(clock.step_seconds)
    clock.settle()
    assert seconds == [0, 1, 0, 1, 1] and clock.rate() == 11 / 3
    assert clock.state.seconds == 203
