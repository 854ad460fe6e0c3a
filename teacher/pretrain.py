"""Trains the small network that comes with the student edition: on streets of all looks."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from teacher.catalogue import LAB
from utils import LabError, atomic_path

PRETRAINED = LAB / "pretrained" / "toystreets.onnx"
SCENES = ("--train", "2000", "--varied", "0.6")
OPTIONS = ("--epochs", "6", "--evaluate-every", "3", "--seed", "0")


def pretrain() -> str:
    """Draws varied toy streets, trains, keeps `model.onnx`; returns the summary of the run.

    Raises:
        LabError: when the drawing or the training fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        streets, run = Path(scratch) / "streets", Path(scratch) / "run"
        draw = ["-m", "toycity", "--output", str(streets), *SCENES]
        train = ["main.py", "train", "--datadir", str(streets), *OPTIONS, "--logdir", scratch]
        for words in (draw, [*train, "--name", run.name]):
            if subprocess.run([sys.executable, *words], cwd=LAB).returncode:
                raise LabError(f"python {words[0]} failed; see above")
        with atomic_path(PRETRAINED) as temporary:
            shutil.copy(run / "model.onnx", temporary)
        return (run / "summary.txt").read_text(encoding="utf-8").splitlines()[0]
