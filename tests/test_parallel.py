"""Several processes, as torchrun starts them: the curve of one, one writer, one end for all."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from street_files import write_streets

from support.engine.folder import load_checkpoint

LAB = Path(__file__).resolve().parent.parent
SMALL = ["--img-size", "16", "32", "--num-blocks", "2", "--base-channels", "4"]
SMALL += ["--recipe", "plain"]
SMALL += ["--num-workers", "0", "--device", "cpu", "--precision", "fp32", "--fix-batchnorm"]
"""BatchNorm's statistics are fixed: on CPUs each process would normalise by its own images."""


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"))


def start(
    processes: int,
    words: list[object],
    launcher: tuple[str, ...] = (),
    small: tuple[str, ...] = tuple(SMALL),
) -> subprocess.Popen:
    """Starts main.py, under torchrun where there are several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", *launcher]
    command += [] if launcher else ["--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable] if processes == 1 else command
    return subprocess.Popen(
        [*command, "main.py", *map(str, words), *small],
        cwd=LAB, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def history_of(run: Path) -> list[dict[str, float]]:
    with (run / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        del row["images_per_second"]
    return rows


@pytest.fixture(scope="module")
def runs(streets, tmp_path_factory):
    """Four images a step in three ways: at once, accumulated, and by two processes."""
    logdir = tmp_path_factory.mktemp("runs")
    words = ["train", "--datadir", streets, "--epochs", 3, "--logdir", logdir]
    words += ["--loss", "wce", "--optimizer", "sgd", "--lr", "0.1", "--scheduler", "exponential"]
    outputs = {}
    for name, processes, batch_size, accumulate in (
        ("one", 1, 4, 1), ("parts", 1, 2, 2), ("two", 2, 2, 1), ("three", 3, 1, 1)
    ):  # fmt: skip
        own = ["--name", name, "--batch-size", batch_size, "--accumulate", accumulate]
        code, outputs[name], errors = finish(start(processes, [*words, *own]))
        assert code == 0, errors
    return logdir, outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parts", "two"])
def test_parallel_runs_have_the_curve_of_one_process(runs, name):
    """The same sums in another order: float32 keeps seven digits, training amplifies them a little.

    The counts of pixels, and so the scores, are the same to the last digit.
    """
    one, other = history_of(runs[0] / "one"), history_of(runs[0] / name)
    assert len(one) == len(other) == 3
    for row, expected in zip(other, one, strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
    weights, expected = (
        load_checkpoint(runs[0] / each / "last.pt")["model"] for each in (name, "one")
    )
    assert all(torch.allclose(weights[key], expected[key], atol=1e-5) for key in expected)


@pytest.mark.slow
def test_parallel_evaluation_counts_every_image_once(runs):
    """Two images for validation: of three processes one has none."""
    pixels = load_checkpoint(runs[0] / "one" / "best.pt")["matrix"].sum()
    assert load_checkpoint(runs[0] / "two" / "best.pt")["matrix"].sum() == pixels
    assert load_checkpoint(runs[0] / "three" / "best.pt")["matrix"].sum() == pixels


@pytest.mark.slow
def test_parallel_runs_are_written_by_one_process(runs):
    logdir, outputs = runs
    assert sorted(path.name for path in logdir.iterdir()) == ["one", "parts", "three", "two"]
    assert len(list((logdir / "two").glob("events*"))) == 1
    assert outputs["two"].count("epoch   1") == 1
    assert "4 images (batch 2 x processes 2)" in outputs["two"]
    assert "4 images (batch 2 x accumulated 2)" in outputs["parts"]
    assert outputs["three"].count("everything is in") == 1


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists(), process.communicate()


def ranks_of(process: subprocess.Popen) -> list[int]:
    """The process ids of torchrun's children, in the order of their ranks."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return sorted(map(int, children))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the ranks in /proc")
@pytest.mark.parametrize(("number", "count"), [(signal.SIGUSR1, 3), (signal.SIGTERM, 2)])
def test_parallel_runs_stop_together_and_go_on_bit_for_bit(streets, tmp_path, number, count):
    words = ["train", "--datadir", streets, "--logdir", tmp_path, "--batch-size", 2]
    process = start(
        count, [*words, "--max-steps", 100000, "--scheduler", "constant", "--name", "a"]
    )
    wait_for(tmp_path / "a" / "history.csv", process)
    os.kill(ranks_of(process)[1], number)  # to the one that does not write
    code, _, errors = finish(process)
    assert code != 0 and errors.count("stopped at step") == 1, errors
    step = load_checkpoint(tmp_path / "a" / "last.pt")["step"]
    assert f"stopped at step {step} of" in errors
    code, _, errors = finish(
        start(count, ["train", "--resume", tmp_path / "a", "--max-steps", step + 3])
    )
    assert code == 0, errors
    whole = [*words, "--max-steps", step + 3, "--scheduler", "constant", "--name", "whole"]
    code, _, errors = finish(start(count, whole))
    assert code == 0, errors
    ours, expected = (load_checkpoint(tmp_path / n / "last.pt")["model"] for n in ("a", "whole"))
    assert all(torch.equal(ours[key], expected[key]) for key in expected)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fcn_resnet18", "segformer_b0"])
def test_parallel_runs_of_the_zoo_go_on_bit_for_bit(streets, tmp_path, model):
    """With auxiliary logits, dropout, and a loss that is no ratio of sums."""
    words = ["train", "--datadir", streets, "--logdir", tmp_path, "--batch-size", 1]
    words += ["--accumulate", 2, "--model", model, "--loss", "dice_ce", "--clip-norm", 1]
    words += ["--scheduler", "constant", "--img-size", 40, 72, "--num-workers", 0]
    for name, steps in (("whole", 3), ("a", 1)):
        code, _, errors = finish(start(2, [*words, "--name", name, "--max-steps", steps], small=()))
        assert code == 0, errors
    words = ["train", "--resume", tmp_path / "a", "--max-steps", 3]
    code, _, errors = finish(start(2, words, small=()))
    assert code == 0, errors
    ours, expected = (load_checkpoint(tmp_path / n / "last.pt")["model"] for n in ("a", "whole"))
    assert all(torch.equal(ours[key], expected[key]) for key in expected)


@pytest.mark.slow
def test_parallel_run_is_resumed_by_one_process_with_as_many_images_a_step(runs, tmp_path):
    run = runs[0] / "two"
    code, _, errors = finish(start(1, ["train", "--resume", run, "--epochs", 4]))
    assert code == 2 and "takes 4 images a step" in errors
    words = ["train", "--resume", run, "--epochs", 4, "--accumulate", 2]
    code, _, errors = finish(start(1, words))
    assert code == 0, errors
    assert [row["epoch"] for row in history_of(run)] == [1, 2, 3, 4]


def test_parallel_failure_ends_all_within_seconds_and_says_why(streets, tmp_path):
    """Process 1 alone fails, in the middle of an epoch; process 0 waits for it."""
    script = tmp_path / "fails.py"
    script.write_text(
        f"import os, sys; sys.path.insert(0, {str(LAB)!r})\n"
        "import main, support.engine.runs\n"
        "from utils import LabError\n"
        "def look(self):\n"
        "    if os.environ['RANK'] == '1' and self.state.step == 2:\n"
        "        raise LabError('the disk of process 1 is gone')\n"
        "support.engine.runs.Run.look = look\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    )
    words = ["train", "--datadir", streets, "--epochs", 9, "--batch-size", 2]
    words += ["--logdir", tmp_path, "--name", "a"]
    begun = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(script), *map(str, words), *SMALL],
        capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.returncode != 0
    assert len(re.findall("error: the disk of process 1 is gone", process.stderr)) == 1
    assert time.monotonic() - begun < 120  # and not the two hours of the back end


def test_parallel_mistakes_of_the_user_are_said_once(streets, tmp_path):
    words = ["train", "--datadir", tmp_path / "nothing", "--logdir", tmp_path, "--name", "a"]
    code, _, errors = finish(start(2, words))
    assert code != 0
    assert errors.count("error: ") == 1 and "nothing" in errors
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_parallel_nodes_train_as_one(streets, tmp_path, runs):
    """Two nodes of two processes each, on one machine: the same images a step as one process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["train", "--datadir", streets, "--epochs", 3, "--logdir", tmp_path, "--name", "nodes"]
    words += ["--loss", "wce", "--optimizer", "sgd", "--lr", "0.1", "--batch-size", 1]
    words += ["--scheduler", "exponential"]
    nodes = [
        start(4, words, (
            "--nnodes=2", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-id=lab",
            f"--rdzv-endpoint=127.0.0.1:{port}", f"--local-addr=127.0.0.{1 + number}",
        )) for number in range(2)
    ]  # fmt: skip
    results = [finish(node) for node in nodes]
    assert [code for code, _, _ in results] == [0, 0], results
    one, ours = history_of(runs[0] / "one"), history_of(tmp_path / "nodes")
    for row, expected in zip(ours, one, strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
