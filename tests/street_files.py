"""Tiny folders in the Cityscapes layout for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 48)
CITIES = {"train": {"aachen": 3, "bremen": 2, "ulm": 2}, "val": {"munster": 2}}


def draw_pair(seed: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) and label ids (H, W), in blocks of 4 pixels, every label once or more."""
    generator = np.random.default_rng(seed)
    rows, columns = -(-size[0] // 4), -(-size[1] // 4)
    image = generator.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    ids = np.resize(generator.permutation(34), rows * columns).reshape(rows, columns)
    blocks = (array.repeat(4, axis=0).repeat(4, axis=1) for array in (image, ids.astype(np.uint8)))
    return tuple(array[: size[0], : size[1]] for array in blocks)


def image_file(root: Path, split: str, city: str, number: int) -> Path:
    name = f"{city}_{number:06d}_000019_leftImg8bit.png"
    return root / "leftImg8bit" / split / city / name


def label_file(root: Path, split: str, city: str, number: int) -> Path:
    name = f"{city}_{number:06d}_000019_gtFine_labelIds.png"
    return root / "gtFine" / split / city / name


def write_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_streets(root: Path, cities: dict = CITIES, size: tuple[int, int] = SIZE) -> Path:
    """Writes `split → city → number of pairs` and returns the folder."""
    seed = 0
    for split, counts in cities.items():
        for city, count in counts.items():
            for number in range(count):
                image, label_ids = draw_pair(seed, size)
                write_png(image_file(root, split, city, number), image)
                write_png(label_file(root, split, city, number), label_ids)
                seed += 1
    return root
