"""What a tracking store is told, and what it must be able to do."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PROJECT = "segmentation-lab"
"""Under which name a store shows the lab's runs: MLflow's experiment, the others' project."""
PICTURE = "samples.png"


@dataclass(frozen=True)
class Addition:
    """What a store is to add.

    Attributes:
        key: of the run in this store, eight hexadecimal digits.
        name: of the run, unique in this store.
        is_new: whether the store does not know the run yet.
        is_finished: whether the run has ended.
        config: the run's arguments, its data, its commit.
        rows: (optimiser step, tag → finite number), the steps rising.
        scores: of the best weights, tag → number; empty while the run goes on.
        files: to be kept with the run.
        step: the run's last one.
    """

    key: str
    name: str
    is_new: bool
    is_finished: bool
    config: Mapping[str, Any]
    rows: Sequence[tuple[int, Mapping[str, float]]]
    scores: Mapping[str, float]
    files: Sequence[Path]
    step: int


class Store(Protocol):
    """A store in a folder of its own."""

    look: str
    """The command that shows it."""

    def has(self, key: str, name: str) -> bool:
        """Whether a run is there; a user may have deleted it."""

    def drop(self, key: str, name: str) -> None:
        """Deletes a run of which only a part may be there."""

    def add(self, addition: Addition) -> None:
        """Adds a run, or what is new of it."""


def take_no_orders(prefix: str, **values: str) -> None:
    """Replaces all environment variables of a library: they might name a server or a login."""
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]
    os.environ.update({prefix + name: value for name, value in values.items()})
