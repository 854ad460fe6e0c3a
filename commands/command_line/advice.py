"""What the user may do: about an error of torch or the system, about a size, after a training."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path


def line_about(text: str) -> str | None:
    """What the user can do about an error of torch or the system; None where it is not known."""
    if unsolved := re.search(r"TODO (\d+\.\d+)", text):
        from utils import python_command  # late: job.py's Python may have no numpy

        return f"{unsolved[0]} is still to do; see: {python_command()} lab.py hint {unsolved[1]}"
    if re.search("(allocate|open|mmap|out of) shared memory|Bus error", text):
        return "/dev/shm is full; add --num-workers 0, or enlarge it (docker run --shm-size 1g)"
    if re.search("Too many open files|ancdata", text):  # ancdata: what hands over a file's number
        return "too many files are open; lower --num-workers, or raise the limit (ulimit -n 4096)"
    if "No usable temporary directory" in text:
        return "no folder for temporary files can be written; set TMPDIR to one that can"
    if re.search("DataLoader worker .*(killed|exited)", text):
        return "a worker that loads images was killed (out of memory?); lower --num-workers"
    if re.search("out of memory|can't allocate memory|bad_alloc", text):
        return "out of memory; lower --batch-size, --img-size or --base-channels"
    return None


def training_size(size: tuple[int, int]) -> tuple[int, int]:
    """The smallest size for training whose aspect is within 1 % of that of `size`, or the nearest.

    Sizes are (height, width); the result has multiples of 16, the height 128 ... 256.
    """
    aspect = size[1] / size[0]
    sizes = [(h, max(16, 16 * round(h * aspect / 16))) for h in range(128, 257, 16)]
    errors = {(h, w): abs(w / h / aspect - 1) for h, w in sizes}
    return next((found for found in sizes if errors[found] < 0.01), min(sizes, key=errors.get))


def distortion(size: Sequence[int], image_size: Sequence[int]) -> str:
    """The note on a --img-size whose aspect is not that of the images; sizes (height, width)."""
    better = training_size(image_size)
    return (
        f"note: --img-size {size[0]} {size[1]} distorts images of "
        f"{image_size[0]}x{image_size[1]}; --img-size {better[0]} {better[1]} would not"
    )


def what_next(folder: Path, report: Path, datadir: str | None) -> str:
    """Lines for the terminal: what a run scored, where everything is, and what to type next."""
    from utils import python_command  # late: job.py's Python may have no numpy

    summary = (folder / "summary.txt").read_text(encoding="utf-8").strip()
    python, model = python_command(), shlex.quote(str(folder / "model.onnx"))
    datadir = "" if datadir is None else f" --datadir {shlex.quote(datadir)}"
    return (
        f"\n{summary}\n"
        f"everything is in {folder}; look at {report} first, then:\n"
        f"  curves      {python} -m tensorboard.main --logdir {shlex.quote(str(folder.parent))}\n"
        f"  evaluate    {python} main.py test --modelpath {model}{datadir} --split val\n"
        f"  your photo  {python} main.py test --modelpath {model} --image photo.jpg"
    )
