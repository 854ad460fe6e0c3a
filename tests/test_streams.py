"""Whatever stdout and stderr are: closed, full, unread, hung up, of another encoding."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from street_files import write_streets

LAB = Path(__file__).resolve().parent.parent
SMALL = ["--img-size", "16", "32", "--num-blocks", "2", "--base-channels", "4"]
SMALL += ["--recipe", "plain"]
SMALL += ["--batch-size", "3", "--num-workers", "0", "--device", "cpu", "--name", "a"]
PYTHON = shlex.quote(sys.executable)


@pytest.fixture
def streets(tmp_path):
    return write_streets(tmp_path / "streets")


def shell(line: str, *words: object, **options: object) -> subprocess.CompletedProcess:
    """Runs a line of bash in the lab, in which "$@" are words; `$lab` is `python main.py`."""
    script = f'set -o pipefail\nlab() {{ {PYTHON} main.py "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", script, "bash", *map(str, words)],
        cwd=LAB, capture_output=True, text=True, timeout=240, check=False, **options,
    )  # fmt: skip


def training(streets: Path, logdir: Path, epochs: int = 2) -> list[object]:
    return ["train", "--datadir", streets, "--logdir", logdir, "--epochs", epochs, *SMALL]


@pytest.mark.parametrize(
    "line",
    [
        'lab "$@" | head -1',
        *(
            pytest.param(line, marks=pytest.mark.slow)
            for line in ('lab "$@" >&-', 'lab "$@" <&- >&- 2>&-', 'lab "$@" 2>&1 | true')
        ),
    ],
)
def test_a_training_that_nobody_reads_goes_on(streets, tmp_path, line):
    done = shell(line, *training(streets, tmp_path / "runs"))
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "runs" / "a" / "summary.txt").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_onto_a_full_disk_is_told_at_the_end(streets, tmp_path):
    done = shell('lab "$@" > /dev/full', *training(streets, tmp_path / "runs"))
    assert done.returncode == 2 and (tmp_path / "runs" / "a" / "summary.txt").is_file()
    last = done.stderr.splitlines()[-1]
    assert last == "error: the output could not be written: No space left on device"


@pytest.mark.parametrize("command", ["--help", "check", "prepare"])
@pytest.mark.parametrize("end", [">&-", "2>&-", "| true"])
def test_a_command_that_nobody_reads_ends_quietly(streets, tmp_path, command, end):
    output = tmp_path / "out.png"
    words = [] if "help" in command else ["--datadir", streets]
    words += ["--output", output] if command == "prepare" else []
    done = shell(f'lab {command} "$@" {end}', *words)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert output.exists() is ("--output" in words)


def test_no_file_takes_the_place_of_a_closed_stream():
    code = (
        "import argparse, os, sys\n"
        "from commands.command_line import run_command\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.set_defaults(run=lambda args: os.open('main.py', os.O_RDONLY))\n"
        "sys.exit(run_command(parser, []))"
    )
    assert shell(f'{PYTHON} -c "$1" <&- >&- 2>&-', code).returncode > 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_toy_streets_onto_a_full_disk_say_so(tmp_path):
    words = f"-m toycity --output {tmp_path / 'toy'} --train 1 --val 0 --test 0 --num-workers 1"
    done = shell(f"{PYTHON} {words} > /dev/full")
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: the output")


def test_an_error_that_nobody_reads_keeps_its_exit_code():
    assert shell("lab show --datadir nowhere 2>&-").returncode == 2
    assert shell("lab frobnicate 2>&-").returncode == 2


def test_a_training_whose_terminal_hangs_up_is_saved(streets, tmp_path):
    leader, follower = pytest.importorskip("pty").openpty()
    words = map(str, training(streets, tmp_path / "runs", 100_000))
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *words], cwd=LAB, stdin=follower, stdout=follower,
        stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    history, end = tmp_path / "runs" / "a" / "history.csv", time.monotonic() + 240
    os.set_blocking(leader, False)
    while not history.exists() and time.monotonic() < end:
        time.sleep(0.05)
        try:
            os.read(leader, 2**16)  # a terminal that is full would make the training wait
        except BlockingIOError:
            continue
    os.close(leader)  # the kernel sends SIGHUP, and writing fails from now on
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert (tmp_path / "runs" / "a" / "last.pt").is_file()


TERMINAL = """
import fcntl, sys, termios, main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(main.main(sys.argv[1:]))
"""
"""A training whose controlling terminal is its stdin, as in a shell behind ssh."""


SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.mark.parametrize("number", SIGNALS)
def test_prepare_that_is_ended_leaves_nothing(tmp_path, number):
    streets = write_streets(tmp_path / "streets", {"train": {"ulm": 40}}, size=(300, 600))
    words = ["prepare", "--datadir", streets, "--output", tmp_path / "out", "--size", "300", "600"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, words)], cwd=LAB, stderr=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob(".out.*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in text
    assert text.splitlines()[-1] == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["streets"]


SLOW = """
import sys, time, main
import commands.prepare as prepare
read = prepare.read_known_ids
prepare.read_known_ids = lambda source, index: time.sleep(0.2) or read(source, index)
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("end", [">&- 2>&-", "| true", "2>&1 | true"])
def test_toy_streets_that_nobody_reads_are_made(tmp_path, end):
    words = f"-m toycity --output {tmp_path / 'toy'} --train 4 --val 2 --test 0 --num-workers 1"
    done = shell(f"{PYTHON} {words} {end}")
    assert done.returncode == 0 and done.stderr == ""
    assert len(list((tmp_path / "toy").rglob("*_labelIds.png"))) == 6


@pytest.mark.parametrize("number", SIGNALS)
def test_toy_streets_that_are_ended_leave_nothing(tmp_path, number):
    words = ["-m", "toycity", "--output", str(tmp_path / "toy"), "--train", "4000"]
    process = subprocess.Popen([sys.executable, *words, "--num-workers", "2"], cwd=LAB)
    while not list(tmp_path.glob("*partial*/*/*/*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
