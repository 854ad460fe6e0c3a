"""What the notebooks share: pictures, and errors of one line where a reader can mend them."""

import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from utils import LabError


def begin() -> None:
    """Has the running notebook show a TODO that is to do, and a `LabError`, as one line."""
    from IPython import get_ipython  # late: only notebooks have it

    get_ipython().set_custom_exc((NotImplementedError, LabError), _show_error)
    warnings.filterwarnings("ignore", message="IProgress not found")  # bars of text do as well


def show(picture: np.ndarray) -> None:
    """Shows a picture, (H, W, 3) uint8 RGB, below the cell."""
    from IPython.display import display  # late: only notebooks have it
    from PIL import Image

    display(Image.fromarray(picture), include=["image/png"])


def line_about(error: BaseException) -> str | None:
    """The line for an error that the reader can mend; None for any other."""
    if isinstance(error, LabError):
        return f"error: {error.line}"
    if not str(error).startswith("TODO "):
        return None
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    todo = str(error).split()[1].rstrip("abcdefgh")
    return (
        f"{error} is still to do ({where}); this notebook plays with your answer to it. "
        f"In a terminal: python lab.py show {todo}. Afterwards, restart the kernel."
    )


def _show_error(
    shell: Any, kind: type, error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> None:
    """Called by IPython; `shell` is its own."""
    line = line_about(error)
    if line is None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    else:
        print(line)
