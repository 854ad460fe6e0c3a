"""A trained network in seconds, for the tests of what is done with one."""

from pathlib import Path

from street_files import write_streets

import main


def train_tiny(folder: Path, *words: object) -> tuple[Path, Path]:
    """Trains a UNet of 4 channels on made-up streets; the folders of the run and of the streets."""
    streets = write_streets(folder / "streets")
    usual = ["train", "--datadir", streets, "--img-size", 32, 64, "--base-channels", 4]
    usual += ["--num-blocks", 2, "--batch-size", 2, "--num-workers", 0]
    assert main.main([*map(str, [*usual, "--logdir", folder, "--name", "a", *words])]) == 0
    return folder / "a", streets
