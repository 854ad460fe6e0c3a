"""What loader workers need: shared memory for their batches, open files, and a good beginning."""

import os
import shutil
import signal
import sys
from pathlib import Path

import cv2

from support.engine.loading import STOP_SIGNALS

SHARED_MEMORY = Path("/dev/shm")
BYTES_PER_PIXEL = 20
"""Of a batch: three channels in float32, and the target in int64."""
BATCHES_PER_WORKER = 4
"""That are under way at a time: two for training and two for the evaluation."""
FILES_PER_WORKER, SPARE_FILES = 12, 20
"""Open files: 9 were counted for a worker of the training and one of the evaluation."""


def room_for_workers(pixels: int) -> tuple[int, str]:
    """How many loader workers find room for batches of so many pixels, and what is scarce."""
    rooms = [(sys.maxsize, "")]
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        batches = free // (pixels * BYTES_PER_PIXEL)
        hint = f"{SHARED_MEMORY} has {free // 2**20} MB free; in a container: --shm-size 1g"
        rooms.append(((batches - 2) // BATCHES_PER_WORKER, hint))
    if sys.platform == "linux":
        import resource  # late: not everywhere

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = limit - len(os.listdir("/proc/self/fd")) - SPARE_FILES
        hint = f"only {limit} files may be open; ulimit -n 4096 allows more"
        rooms.append((free // FILES_PER_WORKER, hint))
    most, scarce = min(rooms)
    return max(0, most), scarce


def start_worker(worker_id: int) -> None:
    """Prepares a loader's worker process: its threads, and its signals.

    A terminal and Slurm send their signals to every process; only the parent acts on them, to save
    and then to stop the workers (`workers_of`). A worker whose parent is gone ends by itself.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)  # the workers are the parallel part
