"""Every way in which a run can end while processes load images: soon, in one line, nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from street_files import image_file, write_streets

from support.engine.folder import load_checkpoint

LAB = Path(__file__).resolve().parent.parent
SMALL = ["--img-size", "16", "32", "--num-blocks", "2", "--base-channels", "4"]
SMALL += ["--recipe", "plain"]
SMALL += ["--batch-size", "3", "--num-workers", "2", "--device", "cpu", "--name", "a"]
SOON = 120
"""Seconds that nothing may take on a busy machine; a worker that hangs took 60."""

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="looks for process groups")


class Training:
    """A run in a process group of its own, with two loader workers."""

    def __init__(self, streets: Path, logdir: Path, *words: str, code: str = "") -> None:
        self.run = logdir / "a"
        script = f"import sys\n{code}\nimport main\nsys.exit(main.main(sys.argv[1:]))"
        words = ("train", "--datadir", str(streets), "--logdir", str(logdir), *SMALL, *words)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *words], cwd=LAB, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_for_epoch(self) -> None:
        """Waits until the second epoch is written, and so the first is saved."""
        history, deadline = self.run / "history.csv", time.monotonic() + 240
        while time.monotonic() < deadline:
            if history.exists() and history.read_text().count("\n") > 2:
                break
            time.sleep(0.05)
        assert self.process.poll() is None, self.process.communicate()

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(number) for number in path.read_text().split()]

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns exit code and the last lines of stderr, without bars."""
        begun = time.monotonic()
        _, errors = self.process.communicate(timeout=240)
        assert "Traceback" not in errors and "killed by signal: Alarm" not in errors, errors
        with pytest.raises(ProcessLookupError):  # nobody is left of the whole group
            os.killpg(self.process.pid, 0)
        assert time.monotonic() - begun < SOON
        lines = errors.replace("\r", "\n").splitlines()
        return self.process.returncode, "\n".join(
            line for line in lines if line.strip() and not line.startswith(("training", "counting"))
        )


@pytest.fixture
def streets(tmp_path):
    return write_streets(tmp_path / "streets")


ENDLESS = ("--max-steps", "100000")


def test_a_truncated_image_ends_in_one_line(streets, tmp_path):
    broken = image_file(streets, "train", "aachen", 1)
    broken.write_bytes(broken.read_bytes()[:200])
    code, line = Training(streets, tmp_path, "--loss", "ce").end()
    assert code == 2 and line.startswith("error: ") and broken.name in line
    assert len(line.splitlines()) == 1 and not (tmp_path / "a").exists()


def test_a_loss_that_is_no_number_ends_in_one_line(streets, tmp_path):
    code, line = Training(streets, tmp_path, "--lr", "1e30", "--optimizer", "sgd").end()
    assert code == 2 and "try a lower --lr" in line and len(line.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_saves(streets, tmp_path, number):
    training = Training(streets, tmp_path, *ENDLESS)
    training.wait_for_epoch()
    os.killpg(training.process.pid, number)
    code, lines = training.end()
    assert code == 128 + number and lines.startswith("stopped at step")
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] >= 3


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_killed_worker_ends_in_one_line(streets, tmp_path):
    training = Training(streets, tmp_path, *ENDLESS)
    training.wait_for_epoch()
    os.kill(training.workers()[0], signal.SIGKILL)
    code, line = training.end()
    assert code == 2 and "was killed" in line and len(line.splitlines()) == 1
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] >= 3


def test_a_full_disk_ends_in_one_line(streets, tmp_path):
    """After the first epoch nothing can be written any more, TensorBoard's log neither."""
    code = (
        "import builtins, os, support.engine.session as session\n"
        "from tensorboard.summary.writer.record_writer import RecordWriter\n"
        "save, count = session.save_checkpoint, []\n"
        "def full(*words, **options): raise OSError(28, 'No space left on device')\n"
        "def saved(path, state):\n"
        "    save(path, state)\n"
        "    if state['step'] >= 3: os.fsync = RecordWriter.write = RecordWriter.flush = full\n"
        "session.save_checkpoint = saved\n"
    )
    training = Training(streets, tmp_path, *ENDLESS, code=code)
    status, line = training.end()
    assert status == 2 and "No space left" in line and len(line.splitlines()) == 1, line
    assert load_checkpoint(tmp_path / "a" / "last.pt")["step"] == 3


def test_a_run_that_ignores_ctrl_c_ends_on_sigterm(streets, tmp_path):
    """As in the background of a script, whose children inherit an ignored SIGINT."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    training = Training(streets, tmp_path, *ENDLESS, code=code)
    training.wait_for_epoch()
    os.killpg(training.process.pid, signal.SIGINT)
    time.sleep(1)
    assert training.process.poll() is None
    training.process.terminate()
    status, lines = training.end()
    assert status == 143 and "saved in" in lines


SHARED = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
LIMITS = {"ulimit -n 24": "as only 24 files may be open", SHARED: "as /dev/shm has 0 MB free"}
NO_LOOK = "import support.engine.room as r; r.room_for_workers = lambda pixels: (99, '')"
"""As if nothing told beforehand how many workers have room."""


def train_under(limit: str, streets: Path, logdir: Path, code: str = "") -> tuple[int, str, str]:
    """Trains with two workers under a limit of the system; returns exit code, stdout, stderr."""
    script = f"import sys\n{code}\nimport main\nsys.exit(main.main(sys.argv[1:]))"
    words = ["train", "--datadir", str(streets), "--logdir", str(logdir), *SMALL, "--epochs", "1"]
    line = [*["unshare", "-m"] * limit.startswith("mount"), "sh", "-c", f'{limit} && exec "$@"']
    done = subprocess.run(
        [*line, "sh", sys.executable, "-c", script, *words],
        cwd=LAB, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode == 1 and "mount" in limit and "unshare:" in done.stderr:
        pytest.skip("only root can have a /dev/shm of its own")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system as Linux does")
@pytest.mark.parametrize("limit", LIMITS)
def test_little_room_means_fewer_workers(streets, tmp_path, limit):
    code, text, _ = train_under(limit, streets, tmp_path / "runs")
    assert code == 0 and f"0 loader workers instead of 2, {LIMITS[limit]}" in text


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system as Linux does")
def test_no_room_for_workers_ends_in_one_line(streets, tmp_path):
    code, _, errors = train_under(SHARED, streets, tmp_path / "runs", NO_LOOK)
    line = errors.splitlines()[-1]
    assert code == 2 and line.startswith("error: /dev/shm is full; add --num-workers 0")
    assert not (tmp_path / "runs" / "a").exists()


SECOND_FAILS = """
import multiprocessing.process as process
start, started = process.BaseProcess.start, []
def start_or_fail(self):
    started.append(self)
    if len(started) == 2: raise OSError(24, "Too many open files")
    start(self)
process.BaseProcess.start = start_or_fail
"""
"""The second worker cannot be started, when the first one runs already."""


def test_a_worker_that_cannot_be_started_leaves_none_behind(streets, tmp_path):
    code, _, errors = train_under("true", streets, tmp_path / "runs", SECOND_FAILS)
    assert code == 2 and errors.splitlines()[-1].startswith("error: too many files are open")


@pytest.mark.parametrize("name", ["\udcff", "a\nb", ".."])
def test_a_name_that_no_file_system_holds_is_refused(streets, tmp_path, name):
    words = ["train", "--datadir", str(streets), "--logdir", str(tmp_path / "runs"), "--name", name]
    done = subprocess.run(
        [sys.executable, "main.py", *words], cwd=LAB, capture_output=True, check=False
    )
    assert done.returncode == 2 and b"must be a plain folder name" in done.stderr
    assert done.stderr.count(b"\n") == 1 and not (tmp_path / "runs").exists()
