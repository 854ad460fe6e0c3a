"""How a data folder is to be read where its layout leaves a choice."""

from collections.abc import Mapping
from typing import Any, NamedTuple

VAL_SHARE = 0.2
"""Which part of the images validates where a folder has no split for it."""


class Reading(NamedTuple):
    """The choices; what a layout does not offer does not matter to it.

    Attributes:
        val_share: which part of the images validates where the folder itself does not say.
        with_background: whether what a set counts as background is learned as a class.
        fold: which of the official divisions, from 1 on; None for the first.
        labels: "fine", or "coarse" for the coarse labels of what trains.
        allow_shared_areas: whether training and validation may show the same rooms.
    """

    val_share: float = VAL_SHARE
    with_background: bool = False
    fold: int | None = None
    labels: str = "fine"
    allow_shared_areas: bool = False

    @classmethod
    def from_json(cls, values: object) -> "Reading":
        """Reads what `_asdict` gives, as manifests and model files keep it.

        Raises:
            ValueError: for anything else.
        """
        fault = ValueError(f"not a way to read a folder: {str(values)[:60]}")
        if not isinstance(values, dict) or not values.keys() <= set(cls._fields):
            raise fault
        reading = cls(**values)
        kinds = (float, bool, (int, type(None)), str, bool)
        if not all(map(isinstance, reading, kinds)) or not 0 < reading.val_share < 1:
            raise fault
        return reading


LABEL_KINDS = ("fine", "coarse")
USUAL = Reading()


def reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen among the options of a command, as the fields of a `Reading`."""
    chosen = {field: options.get(field) for field in Reading._fields}
    return {field: value for field, value in chosen.items() if value not in (None, False)}
