"""A run's folder: its arguments, checkpoints, history and TensorBoard logs.

Every file here is written to a temporary name and renamed, so that it is complete or absent; only
TensorBoard's event file grows as training goes on. Checkpoints hold tensors, numbers, strings,
lists and dicts alone, so that `torch.load(..., weights_only=True)` opens them.
"""

import csv
import glob
import json
import os
import platform
import random
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from utils import LabError, atomic_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HISTORY_COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "val_loss",
    "val_macro_f1",
    "val_mean_iou",
    "lr",
    "images_per_second",
)


def require_new_name(logdir: Path, name: str | None) -> None:
    """Finds out, before any work, whether a run of this name can be made.

    Raises:
        LabError: when the name is taken or no name, or `logdir` is not a folder.
    """
    if logdir.exists() and not logdir.is_dir():
        raise LabError(f"--logdir {logdir} is a file; choose a folder")
    if name is None:
        return
    if not name or Path(name).name != name or name in (".", ".."):
        raise LabError(f"--name {name!r} must be a plain folder name; --logdir says where it lies")
    if (logdir / name).exists():
        can_resume = (logdir / name / "last.pt").is_file()
        hint = f", or go on with --resume {logdir / name}" if can_resume else ""
        raise LabError(f"{logdir / name} is there already; choose another --name{hint}")


def create_run(
    logdir: Path, name: str | None, default_name: str, fill: Callable[[Path], None]
) -> Path:
    """Makes the folder of a new run; under its name it is never seen without its first files.

    Args:
        logdir: where the runs lie; made when missing.
        name: the folder's name, or None for the date, the time and `default_name`.
        default_name: what the run is about, as in `unet-wce`.
        fill: writes the first files into the folder that it is given.

    Raises:
        LabError: as `require_new_name`, or when the folder cannot be made.
    """
    require_new_name(logdir, name)
    wanted = name or f"{datetime.now():%Y%m%d-%H%M%S}-{default_name}"
    run, number = logdir / wanted, 1
    scratch = logdir / f".{wanted}.{os.getpid()}.partial"
    remove_abandoned(logdir, wanted)
    try:
        scratch.mkdir(parents=True)
        fill(scratch)
        while name is None and run.exists():
            number += 1
            run = logdir / f"{wanted}-{number}"
        scratch.rename(run)
    except OSError as error:
        raise LabError(f"cannot make the folder {run}: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return run


def remove_abandoned(logdir: Path, name: str) -> None:
    """Removes folders in the making whose process, on this machine, was killed."""
    for scratch in logdir.glob(f".{glob.escape(name)}.*.partial"):
        number = scratch.name.split(".")[-2]
        if number == str(os.getpid()) or not Path("/proc", number).exists():
            shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(run: Path) -> None:
    """Removes what a process that was killed while writing left in a run's folder."""
    for leftover in run.glob(".*.partial*"):
        leftover.unlink(missing_ok=True)


@contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Keeps a second process from going on with the same run meanwhile.

    The lock ends with its process, however that ends, and is not handed down to loader workers,
    which may outlive it by some seconds. File systems without locks go without.

    Raises:
        LabError: when another process is at it.
    """
    if fcntl is None:
        yield
        return
    path = run / ".lock"
    with path.open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise LabError(
                f"{run}: another process is training this run; wait for it, or stop it first"
            ) from error
        except OSError:
            pass
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def remove_if_unused(run: Path) -> None:
    """Removes a new run that failed before its first checkpoint: nothing is lost."""
    if load_checkpoint(run / "last.pt", ("step",))["step"] == 0:
        shutil.rmtree(run, ignore_errors=True)


def lay_best_aside(run: Path) -> None:
    """Keeps the best weights so far beside better ones, until `last.pt` knows of those."""
    if (run / "best.pt").exists():
        with atomic_path(run / BEST_BEFORE) as temporary:
            shutil.copyfile(run / "best.pt", temporary)
            _reach_disk(temporary)


def bring_best_back(run: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Puts `best.pt` where the history of a run that goes on has its best row.

    It is ahead of it after a kill between the writing of `best.pt` and of `last.pt`, or where a run
    had ended inside an epoch. Where nothing fits, it stays: the next evaluation replaces it.
    """
    best = max(history, key=lambda row: row["val_macro_f1"], default=None)
    before = run / BEST_BEFORE
    if best is None or not before.exists():
        return
    step, step_before = (
        load_checkpoint(path, ("step",))["step"] for path in (run / "best.pt", before)
    )
    if step != best["step"] and step_before == best["step"]:
        os.replace(before, run / "best.pt")


def forget_best_before(run: Path) -> None:
    """Removes what `lay_best_aside` has kept."""
    (run / BEST_BEFORE).unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Finds out, before hours of work, whether files can be written into a folder.

    Raises:
        LabError: when they cannot.
    """
    with atomic_path(folder / "writable.txt") as temporary:
        temporary.write_text("yes")
    (folder / "writable.txt").unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        LabError: when it cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


BEST_BEFORE = "best_before.pt"
"""The best weights before those of `best.pt`, while a run that goes on may need them."""
THEN = ", then "
"""Between the commits of a run that went on with other code."""


def write_config(
    run: Path,
    command: str,
    arguments: Mapping[str, Any],
    resolved: Mapping[str, Any],
    fingerprint: str,
    begun_with: str | None = None,
) -> None:
    """Writes `config.json`: what was asked for, with what code and on which data.

    Args:
        run: the run's folder.
        command: the line that began the run, and those that made it longer or shorter.
        arguments: every argument of the command.
        resolved: what `auto` came to on this machine.
        fingerprint: of the data.
        begun_with: the `git_commit` of a run that is resumed.
    """
    commit = git_commit()
    if begun_with:
        is_same = begun_with.rpartition(THEN)[2] == commit
        commit = begun_with if is_same else f"{begun_with}{THEN}{commit}"
    config = {
        "command": command,
        "arguments": dict(arguments),
        "resolved": dict(resolved),
        "data_fingerprint": fingerprint,
        "git_commit": commit,
        "versions": versions(),
    }
    write_text(run / "config.json", json.dumps(config, indent=2, default=str) + "\n")


def read_config(run: Path) -> dict[str, Any]:
    """Reads `config.json` of a run.

    Raises:
        LabError: when it is not there or not readable.
    """
    path = run / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        arguments, fingerprint = config["arguments"], config["data_fingerprint"]
        if not isinstance(arguments, dict) or len(fingerprint.split()) != 2:
            raise ValueError("incomplete")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{path}: no readable config.json; {run} is not a run to resume") from error
    return config


def git_commit() -> str | None:
    """The commit of the lab's code, with `+changes` when files differ from it; None without git."""
    here = Path(__file__).resolve().parents[2]
    kept = here / "COMMIT"  # in a job's copy of the code, which job.py made
    if kept.is_file():
        return kept.read_text(encoding="utf-8").strip()

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """The versions of what the numbers of a run depend on."""
    packages = (
        "torch",
        "numpy",
        "albumentations",
        "opencv-python-headless",
        "pillow",
        "onnxruntime",
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: metadata.version(name) for name in packages},
    }


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all, also when the power fails meanwhile.

    Raises:
        LabError: when it cannot be written; the file that was there stays.
    """
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)
        _reach_disk(temporary)


def _reach_disk(path: Path) -> None:
    """Waits until a file is on the disk, as it must be before its name is."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def load_checkpoint(path: Path, needs: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU.

    Args:
        path: the file.
        needs: keys that it must have.

    Raises:
        LabError: when it is missing, damaged, or lacks one of the keys.
    """
    if not path.is_file():
        raise LabError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise LabError(f"{path}: not a readable checkpoint (damaged, or another format)") from error
    missing = [key for key in needs if not isinstance(state, dict) or key not in state]
    if missing:
        raise LabError(f"{path}: not a checkpoint of this lab, it lacks {', '.join(missing)}")
    return state


def random_states() -> dict[str, Any]:
    """The states of every random generator, in types that a checkpoint may hold."""
    version, values, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    return {
        "python": [version, list(values), gauss],
        "numpy_key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
        "numpy_rest": [
            numpy_state["state"]["pos"],
            numpy_state["has_gauss"],
            numpy_state["gauss"],
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Puts every random generator where `random_states` found it."""
    version, values, gauss = states["python"]
    random.setstate((version, tuple(values), gauss))
    position, has_gauss, cached = states["numpy_rest"]
    key = states["numpy_key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])


def write_history(run: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes `history.csv`, a row per epoch.

    Raises:
        LabError: when it cannot be written.
    """
    with (
        atomic_path(run / "history.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, HISTORY_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


class TensorBoardLog:
    """What TensorBoard shows of a run.

    Args:
        run: the run's folder.
        class_names: (K,) names for the scores per class.
        keeps: tells by tag and step which events of an interrupted run stay; all of them by
            default.
    """

    def __init__(
        self,
        run: Path,
        class_names: Sequence[str],
        keeps: Callable[[str, int], bool] = lambda tag, step: True,
    ) -> None:
        self.run, self.class_names = run, class_names
        with self._writing():
            self._keep_events(keeps)
            self.writer = SummaryWriter(str(run))

    def _keep_events(self, keeps: Callable[[str, int], bool]) -> None:
        """Writes the events of earlier sessions into one file, without what will come again.

        What a kill cut off in the middle of a record is left out too.
        """
        old, seen = sorted(self.run.glob("events.out.tfevents.*")), set()
        if not old:
            return
        with atomic_path(old[0]) as temporary, temporary.open("wb") as file:
            writer = RecordWriter(file)
            for path in old:
                for record in RawEventFileLoader(str(path)).Load():
                    event = Event.FromString(record)
                    tags = [value.tag for value in event.summary.value]
                    marks = {(tag, event.step) for tag in tags or [event.WhichOneof("what")]}
                    if not marks & seen and all(keeps(*mark) for mark in marks):
                        writer.write(record)
                        seen |= marks
        for path in old[1:]:
            path.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns an error of the disk, here or in the writer's thread, into a `LabError`."""
        try:
            yield
        except OSError as error:
            raise LabError(
                f"cannot write TensorBoard's log in {self.run}: {error.strerror}; free some space"
            ) from error

    def describe(self, config: Mapping[str, Any]) -> None:
        """Logs the run's arguments as text."""
        with self._writing():
            text = "\n".join(
                f"    {line}" for line in json.dumps(config, indent=2, default=str).split("\n")
            )
            self.writer.add_text("arguments", text)

    def graph(self, model: nn.Module, example: Tensor) -> None:
        """Logs the model's graph in evaluation mode, traced on an example (1, 3, H, W)."""
        # tracing is deprecated, but all that TensorBoard reads
        with self._writing(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.writer.add_graph(model.eval(), example)

    def step(self, step: int, loss: float, learning_rate: float) -> None:
        """Logs one optimiser step."""
        with self._writing():
            self.writer.add_scalar("step/loss", loss, step)
            self.writer.add_scalar("step/learning_rate", learning_rate, step)

    def epoch(self, row: Mapping[str, float], f1: Tensor, iou: Tensor) -> None:
        """Logs one epoch: its row of the history, and F1 and IoU (K,) of each class."""
        with self._writing():
            for column in HISTORY_COLUMNS[2:]:
                self.writer.add_scalar(f"epoch/{column}", row[column], row["step"])
            for name, f1_score, iou_score in zip(self.class_names, f1, iou, strict=True):
                self.writer.add_scalar(f"f1/{name}", f1_score, row["step"])
                self.writer.add_scalar(f"iou/{name}", iou_score, row["step"])

    def picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """Logs a picture (H, W, 3) uint8."""
        with self._writing():
            self.writer.add_image(tag, picture, step, dataformats="HWC")

    def result(self, arguments: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Logs the arguments as hyperparameters, with the scores that they led to."""
        with self._writing():
            plain = {
                key: value if isinstance(value, int | float | bool | str) else str(value)
                for key, value in arguments.items()
            }
            # add_hparams would open a second log in a sub-folder, as if it were another run
            for summary in hparams(plain, dict(scores)):
                self.writer.file_writer.add_summary(summary)
            for name, score in scores.items():
                self.writer.add_scalar(name, score)

    def flush(self) -> None:
        """Writes what is still in memory."""
        with self._writing():
            self.writer.flush()

    def close(self) -> None:
        """Writes what is still in memory, and ends the file."""
        with self._writing():
            self.writer.close()
