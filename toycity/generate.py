"""Making the set: scenes rendered by several processes, written in the Cityscapes layout."""

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from support.formats.cityscapes import CITYSCAPES
from toycity import folder
from toycity.cities import EXTRA, SPLITS, City, cities_of
from toycity.coarse import draw_coarsely
from toycity.scene import DEFAULT_SIZE, render_scene

VERSION = 2
"""To be raised with every change that alters a picture; older sets are then made anew."""

DEFAULT_COUNTS = {"train": 320, "val": 80, "test": 20}
FIRST_EXTRA = 100_000
"""From here on the scenes of a city are extra ones."""
FRAME = 19
"""The frame number in every file name; in Cityscapes the 20th of each sequence is annotated."""

SMALLEST, LARGEST = 16, 4096


@dataclass(frozen=True)
class Recipe:
    """Everything that a set of files follows from.

    Attributes:
        seed: 0 or more.
        size: (height, width) in pixels.
        train: scenes in the training split.
        val: scenes in the validation split.
        test: scenes in the test split.
        extra: scenes with coarse labels alone; with any, the training split has coarse ones too.
        varied: the part of the training scenes in which everything looks different, 0 ... 1.
    """

    seed: int = 0
    size: tuple[int, int] = DEFAULT_SIZE
    train: int = DEFAULT_COUNTS["train"]
    val: int = DEFAULT_COUNTS["val"]
    test: int = DEFAULT_COUNTS["test"]
    extra: int = 0
    varied: float = 0.0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"the seed must be 0 or more, got {self.seed}")
        if len(self.size) != 2 or not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise ValueError(
                f"height and width must be {SMALLEST} ... {LARGEST} pixels, got {tuple(self.size)}"
            )
        if min(self.counts.values()) < 0 or sum(self.counts.values()) < 1:
            raise ValueError(f"scenes per split must be 0 or more, and one at least: {self.counts}")
        if not 0 <= self.varied <= 1:
            raise ValueError(f"the varied part must be between 0 and 1, got {self.varied}")

    @classmethod
    def of(
        cls,
        seed: int,
        size: tuple[int, int],
        counts: dict[str, int] | None = None,
        varied: float = 0.0,
    ) -> "Recipe":
        """A recipe from counts by split; a split that is left out has none, None means all usual.

        Raises:
            ValueError: for a split that does not exist, and for values out of range.
        """
        counts = DEFAULT_COUNTS if counts is None else counts
        unknown = set(counts) - {*SPLITS, EXTRA}
        if unknown:
            raise ValueError(f"unknown split {min(unknown)!r}; there are {', '.join(SPLITS)}")
        numbers = (counts.get(split, 0) for split in (*SPLITS, EXTRA))
        return cls(seed, tuple(size), *numbers, varied)

    @property
    def counts(self) -> dict[str, int]:
        """Scenes of each split."""
        extra = {EXTRA: self.extra} if self.extra else {}
        return {"train": self.train, "val": self.val, "test": self.test, **extra}

    def marker(self) -> dict:
        """What `toycity.json` must say for a folder to be this set."""
        return {
            "version": VERSION,
            "seed": self.seed,
            "size": list(self.size),
            "counts": self.counts,
            "varied": self.number_varied,
        }

    def scenes(self) -> list[tuple[str, City, int]]:
        """Split, city and index of every scene; a split's scenes go round its cities."""
        scenes = []
        for split, count in self.counts.items():
            cities = cities_of(split)
            first = FIRST_EXTRA if split == EXTRA else 0
            for i in range(count):
                scenes.append((split, cities[i % len(cities)], first + i // len(cities)))
        return scenes

    @property
    def number_varied(self) -> int:
        """How many training scenes are varied; with `train`, it says which ones."""
        return int(self.varied * self.train + 0.5)

    def is_varied(self, split: str, city: City, index: int) -> bool:
        """Whether a scene looks different; over the cities and in each, such are spread evenly."""
        total = self.number_varied
        if split != "train" or not total:
            return False
        cities = cities_of(split)
        sizes = [len(range(place, self.train, len(cities))) for place in range(len(cities))]
        place = cities.index(city)
        before, here = sum(sizes[:place]), sizes[place]
        number = total * (before + here) // self.train - total * before // self.train
        return (index + 1) * number // here > index * number // here


def is_complete(root: str | Path, recipe: Recipe | None = None) -> bool:
    """Whether a folder holds a whole set of this version: marker and all files.

    Args:
        root: the data folder.
        recipe: the set that is wanted; None accepts any seed, size and counts.
    """
    root = Path(root)
    marker = folder.read_marker(root)
    if marker is None or marker.get("version") != VERSION:
        return False
    if recipe is not None and any(marker.get(k) != v for k, v in recipe.marker().items()):
        return False
    counts = marker.get("counts")
    return isinstance(counts, dict) and folder.holds_all_files(root, counts)


def write_scene(root: Path, recipe: Recipe, split: str, city: City, index: int) -> np.ndarray:
    """Renders one scene, writes its two files, and returns its pixels per label id, (34,)."""
    is_varied = recipe.is_varied(split, city, index)
    image, labels = render_scene(city, recipe.seed, index, recipe.size, is_varied)
    stem = f"{city.name}_{index:06d}_{FRAME:06d}"
    layers = {folder.IMAGES: cv2.cvtColor(image, cv2.COLOR_RGB2BGR), folder.FINE: labels}
    if recipe.extra and split.startswith("train"):
        layers[folder.COARSE] = draw_coarsely(labels)
    if split == EXTRA:
        del layers[folder.FINE]
    for kind, pixels in layers.items():
        path = root / kind / split / city.name / f"{stem}_{folder.LAYOUT[kind]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return np.bincount(labels.ravel(), minlength=len(CITYSCAPES.labels))


def _write_task(task: tuple) -> tuple[str, np.ndarray]:
    """One call of `write_scene`, as the workers get it; returns the split with the counts."""
    return task[2], write_scene(*task)


def _prepare_worker() -> None:
    """Sets a worker up: one thread, no Ctrl-C of its own, and it never outlives its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)

    def follow_parent() -> None:
        wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Ignores Ctrl-C in the block; processes started in it ignore it from their first moment."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set this, and only it gets a Ctrl-C
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _write_all(root: Path, recipe: Recipe, num_workers: int, show_progress: bool) -> dict:
    """Writes all scenes of a set; returns pixels per split and label id."""
    tasks = [(root, recipe, *scene) for scene in recipe.scenes()]
    pixels = {split: np.zeros(len(CITYSCAPES.labels), dtype=np.int64) for split in recipe.counts}
    hidden = None if show_progress else True  # None: where no terminal shows it
    with tqdm(total=len(tasks), desc="toycity", unit="scene", disable=hidden) as bar:
        if num_workers <= 1:
            for split, counts in map(_write_task, tasks):
                pixels[split] += counts
                bar.update()
            return pixels
        executor = ProcessPoolExecutor(
            num_workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker
        )
        try:
            with _ctrl_c_ignored():
                results = executor.map(_write_task, tasks, chunksize=4)  # starts the workers
            for split, counts in results:
                pixels[split] += counts
                bar.update()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return pixels


def class_shares(pixels: np.ndarray) -> dict[str, float]:
    """Share of each train class among the pixels that are not void, from counts (34,)."""
    total = max(1, sum(int(pixels[label.id]) for label in CITYSCAPES.classes))
    return {label.name: round(int(pixels[label.id]) / total, 6) for label in CITYSCAPES.classes}


def _make(root: Path, recipe: Recipe, num_workers: int, show_progress: bool) -> None:
    """Writes a set beside `root` and puts it in place; leaves nothing behind when it fails."""
    fresh = folder.new_sibling(root, "partial")
    try:
        fresh.mkdir()
        pixels = _write_all(fresh, recipe, num_workers, show_progress)
        shares = {split: class_shares(pixels[split]) for split, n in recipe.counts.items() if n}
        marker = {**recipe.marker(), "class_shares": shares}
        (fresh / folder.MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        try:
            folder.put_in_place(fresh, root)
        except OSError:
            if not is_complete(root, recipe):  # else another process was first; its set is as good
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _make_alone(root: Path, recipe: Recipe, num_workers: int, show_progress: bool) -> None:
    """Makes a set when it is this process' turn, unless another one has made it meanwhile."""
    place = root.resolve()
    if place.exists() and not place.is_dir():
        raise OSError(f"{root} is a file")
    if place.exists() and not folder.is_ours(place):
        raise OSError(f"{root} holds other files; choose a new folder for the toy data")
    place.parent.mkdir(parents=True, exist_ok=True)
    with folder.turn(place) as is_alone:
        if is_complete(place, recipe):
            return
        if is_alone:
            folder.remove_leftovers(place)
        _make(place, recipe, num_workers, show_progress)


def ensure_toycity(
    root: str | Path,
    seed: int = 0,
    size: tuple[int, int] = DEFAULT_SIZE,
    counts: dict[str, int] | None = None,
    num_workers: int | None = None,
    show_progress: bool = True,
    varied: float = 0.0,
) -> Path:
    """Makes the toy data unless the folder holds exactly this set already.

    Scripts that call this need the usual `if __name__ == "__main__":`, because the workers are
    spawned.

    Args:
        root: the data folder; a set made in another way is replaced.
        seed: 0 or more; every pixel follows from it.
        size: (height, width) in pixels.
        counts: scenes per split, by "train", "val" and "test"; None for 320, 80 and 20.
        num_workers: processes; None for one per processor. The files do not depend on it.
        show_progress: whether to show a bar on stderr.
        varied: the part of the training scenes in which everything looks different, 0 ... 1.

    Returns:
        `root` as a Path.

    Raises:
        ValueError: for a negative seed, other numbers out of range, or no scenes at all.
        OSError: when the folder cannot be written, or holds something else.
    """
    recipe = Recipe.of(seed, size, counts, varied)
    root = Path(root)
    if is_complete(root, recipe):
        return root
    try:
        _make_alone(root, recipe, num_workers or os.cpu_count() or 1, show_progress)
    except BrokenProcessPool as error:
        raise OSError("cannot make the toy data: a worker was killed (out of memory?)") from error
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        raise OSError(f"cannot make the toy data: {reason}") from error
    return root
