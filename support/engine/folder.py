"""A run's folder: its name and lock, config.json, checkpoints, history.csv and TensorBoard's log.

Every file is written to a temporary name and renamed, so that it is complete or absent; only
TensorBoard's event file grows as training goes on. Checkpoints hold tensors, numbers, strings,
lists and dicts alone, so that `torch.load(..., weights_only=True)` opens them.
"""

import glob
import os
import platform
import shutil
import subprocess
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from utils import LabError, atomic_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HISTORY_COLUMNS = ("epoch", "step", "train_loss", "val_loss", "val_macro_f1", "val_mean_iou")
HISTORY_COLUMNS += ("lr", "images_per_second")
PACKAGES = ("torch", "numpy", "albumentations", "opencv-python-headless", "pillow", "onnxruntime")
"""The numbers of a run depend on their versions."""


def create_run(
    logdir: Path, name: str | None, default_name: str, fill: Callable[[Path], None]
) -> Path:
    """Makes the folder of a new run; under its name it is never seen without its first files.

    Args:
        logdir: where the runs lie; made when missing.
        name: the folder's name, or None for the date, the time and `default_name`.
        fill: writes the first files into the folder that it is given.

    Raises:
        LabError: when the folder cannot be made.
    """
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


def versions() -> dict[str, str]:
    """The versions of Python, of the system and of `PACKAGES`."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    return found | {name: metadata.version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """The commit of the lab's code, with `+changes` when files differ from it; None without git."""
    here = Path(__file__).resolve().parents[2]
    kept = here / "COMMIT"  # in a job's copy of the code, which job.py made
    if kept.is_file():
        return kept.read_text(encoding="utf-8").strip()
    quiet = {"stderr": subprocess.DEVNULL, "text": True, "timeout": 10}
    git = partial(subprocess.check_output, cwd=here, **quiet)
    try:
        changes = git(["git", "status", "--porcelain", "--untracked-files=no"])
        return git(["git", "rev-parse", "HEAD"]).strip() + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return None


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all, also when the power fails meanwhile.

    Raises:
        LabError: when it cannot be written; the file that was there stays.
    """
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)
        with temporary.open("rb+") as file:  # the content must be on the disk before its name is
            os.fsync(file.fileno())


def load_checkpoint(path: Path, needs: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU.

    Raises:
        LabError: when it is missing, damaged, or lacks a key that it `needs`.
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
    """The states of torch's generators: nothing else draws in the training process."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def best_name(row: Mapping[str, float]) -> str:
    """The name under which the weights of a row wait to become `best.pt`."""
    return f"best-{row['step']}.pt"


def put_best(run: Path, row: Mapping[str, float] | None) -> None:
    """Makes the weights of a row the run's `best.pt`, if they wait under their own name.

    They are written under that name first, and renamed when `last.pt` knows of them: the two never
    disagree, whenever the run is killed.
    """
    if row is not None and (run / best_name(row)).exists():
        os.replace(run / best_name(row), run / "best.pt")


def load_best(run: Path, model: nn.Module) -> dict[str, Any]:
    """Reads `best.pt` of a run, and finds out whether its weights fit the model.

    Raises:
        LabError: when they do not, or the file is missing or damaged.
    """
    best = load_checkpoint(run / "best.pt", ("model", "matrix", "score", "epoch", "step"))
    weights, own = best["model"], model.state_dict()
    shapes = {key: value.shape for key, value in own.items()}
    fits = isinstance(weights, dict) and {key: weights[key].shape for key in weights} == shapes
    if not fits or not all(tensor.isfinite().all() for tensor in weights.values()):
        raise LabError(f"{run}/best.pt: damaged, or of another model; restore the run's own file")
    return best


class TensorBoardLog:
    """What TensorBoard shows of a run.

    Args:
        purge_step: from this step on, TensorBoard forgets what earlier sessions have logged.
    """

    def __init__(self, run: Path, purge_step: int = 0) -> None:
        self.run = run
        threading.excepthook = keep_writer_quiet
        with self._writing():
            self.writer = SummaryWriter(str(run), purge_step=purge_step)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns an error of the disk, here or in the writer's thread, into a `LabError`."""
        try:
            yield
        except OSError as error:
            raise LabError(
                f"cannot write TensorBoard's log in {self.run}: {error.strerror}; free some space"
            ) from error

    def describe(self, model: nn.Module, example: Tensor) -> None:
        """Logs config.json as text, and the model's graph, traced on an example (1, 3, H, W)."""
        with self._writing(), warnings.catch_warnings():
            text = (self.run / "config.json").read_text(encoding="utf-8")
            self.writer.add_text("arguments", textwrap.indent(text, "    "))  # Markdown's code
            warnings.simplefilter("ignore")  # tracing is deprecated, but all that it reads
            self.writer.add_graph(model.eval(), example)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Logs numbers by their tags, such as `epoch/val_loss`."""
        with self._writing():
            for tag, value in values.items():
                self.writer.add_scalar(tag, value, step)

    def picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """Logs a picture (H, W, 3) uint8."""
        with self._writing():
            self.writer.add_image(tag, picture, step, dataformats="HWC")

    def result(self, arguments: Mapping[str, Any], scores: Mapping[str, float], step: int) -> None:
        """Logs the arguments as hyperparameters, with the scores that they led to."""
        with self._writing():
            plain = {
                key: value
                if isinstance(value, int | float | bool)
                else str(value).encode("utf-8", "backslashreplace").decode()
                for key, value in arguments.items()
            }
            # add_hparams would open a second log in a sub-folder, as if it were another run
            for summary in hparams(plain, dict(scores)):
                self.writer.file_writer.add_summary(summary, step)
        self.scalars(scores, step)

    def flush(self) -> None:
        """Writes what is still in memory."""
        with self._writing():
            self.writer.flush()

    def close(self) -> None:
        """Writes what is still in memory, as far as the disk lets it, and ends the file."""
        with suppress(OSError):
            self.writer.close()


def keep_writer_quiet(failure: threading.ExceptHookArgs) -> None:
    """Prints what ended a thread, but for the log's writer: the training process says that."""
    is_writer = type(failure.thread).__module__.startswith("tensorboard.")
    if not (is_writer and issubclass(failure.exc_type, OSError)):
        threading.__excepthook__(failure)
