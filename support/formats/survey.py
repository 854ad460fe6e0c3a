"""What the masks of a folder hold, while no `classes.json` says what that means."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from support.formats.classes import CLASSES_NAME, ClassesError, name_of
from support.formats.color_masks import require_opaque
from support.formats.colors import Color
from support.formats.faults import MANY_VALUES, require_mask_kind
from support.formats.files import COLOR_MODES, ID_MODES, read_grey_ids
from support.formats.labels import IGNORE_INDEX, LabelSet
from utils import VOID_COLOR, LabError, opened_image, python_command, shortened

RARE, THIN, ENDS = 0.001, 0.01, 0.8
"""Shares of pixels: a value is rare below the first, thin in its masks below the second; 0 and 255
are nearly all above the third."""


class Survey(NamedTuple):
    """The pixels of each label id, or of each colour; and files that cannot be read."""

    ids: Counter[int]
    colors: Counter[Color]
    palette: dict[int, Color]
    """The colours of ids, from the palette of a mask that has one."""
    first: dict[int | Color, Path]
    """A mask that holds an id or a colour."""
    faults: list[str]
    around: Counter[int | Color]
    """The pixels of all masks that hold an id or a colour."""

    @property
    def pixels(self) -> int:
        """All pixels that were counted."""
        return self.ids.total() + self.colors.total()

    def smoothed(self) -> set[int | Color]:
        """Values that smoothing has made; none where nothing speaks for it.

        That is what lies between 0 and 255 where these two hold most pixels; or many values, most
        of all, each with few pixels.
        """
        counts = self.ids | self.colors
        if self.ids[0] and self.ids[255] and self.ids[0] + self.ids[255] > ENDS * self.pixels:
            between = set(range(1, 255)) & self.ids.keys()
            return between if len(between) > 2 and max(between) > 127 else set()
        least = RARE * self.pixels
        rare = {
            value
            for value, number in counts.items()
            if number < min(least, THIN * self.around[value])
        }
        return rare if len(rare) > max(MANY_VALUES, len(counts) / 2) else set()

    def hint(self) -> list[str]:
        """A line on smoothing, where the masks look like it."""
        values = self.smoothed()
        if not values:
            return []
        value = min(values)
        return [
            f"{self.first[value]}: {len(values)} values, such as {value}, look like smoothed "
            f"edges; export the masks without anti-aliasing, or name all in {CLASSES_NAME}"
        ]


def survey_masks(paths: Sequence[Path], with_colors: bool = True) -> Survey:
    """Counts what masks hold, with a progress bar; without colours, up to the first mask of them.

    Raises:
        ClassesError: when not one of the masks can be read.
    """
    found = Survey(Counter(), Counter(), {}, {}, [], Counter())
    for path in tqdm(paths, "masks", unit="file"):
        try:
            with opened_image(path) as mask:
                require_mask_kind(mask, path)
                mode = mask.mode
                palette = mask.getpalette() or []
            if mode in COLOR_MODES:
                counts, values = found.colors, _colors_in(path)
            else:
                counts, values = found.ids, _ids_in(path)
                colors = zip(palette[::3], palette[1::3], palette[2::3], strict=True)
                found.palette.update(enumerate(colors))
        except LabError as error:
            found.faults.append(str(error))
            continue
        counts.update(values)
        found.around.update(dict.fromkeys(values, sum(values.values())))
        for value in values:
            found.first.setdefault(value, path)
        if found.colors and not with_colors:
            break
    if found.faults and not found.pixels:
        more = f" (and {len(found.faults) - 1} more)" if len(found.faults) > 1 else ""
        raise ClassesError(f"{found.faults[0]}{more}")
    return found


def _ids_in(path: Path) -> dict[int, int]:
    numbers = np.bincount(read_grey_ids(path, ID_MODES).ravel())
    return {label_id: int(numbers[label_id]) for label_id in np.flatnonzero(numbers).tolist()}


def _colors_in(path: Path) -> dict[Color, int]:
    with opened_image(path) as mask:
        require_opaque(mask, path)
        rgb = np.asarray(mask.convert("RGB")).reshape(-1, 3).astype(np.int64)
    codes, numbers = np.unique(rgb @ (65536, 256, 1), return_counts=True)
    colors = ((code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist())
    return dict(zip(colors, numbers.tolist(), strict=True))


def drafted(survey: Survey, name: str) -> dict[str, Any]:
    """The content of a `classes.json` for what the masks hold; the names are to be filled in.

    Ids are named by their numbers; 255 is ignored where two other ids or more are there. Colours
    come by their pixels. What looks like smoothing is left out.

    Raises:
        ClassesError: when there is one value alone.
    """
    smoothed = survey.smoothed()
    colors = [color for color, _ in survey.colors.most_common() if color not in smoothed]
    rows = [
        {"name": "#{:02x}{:02x}{:02x}".format(*color), "id": label_id, "color": list(color)}
        for label_id, color in enumerate(colors)
    ]
    ids = survey.ids.keys() - smoothed
    void = [IGNORE_INDEX] if IGNORE_INDEX in ids and len(ids) > 2 else []
    palette = Counter(survey.palette[each] for each in survey.ids if each in survey.palette)
    for label_id in sorted(ids - {*void}):
        row, color = {"name": str(label_id), "id": label_id}, survey.palette.get(label_id)
        is_own = palette[color] == 1 and color != VOID_COLOR
        rows.append(row | {"color": list(color)} if is_own else row)
    if not rows:
        raise ClassesError(
            f"{next(iter(survey.first.values()))}: of {len(survey.first):,} values in the masks "
            "none is frequent: are these photographs, or saved with smoothing? Export them anew"
        )
    if len(rows) == 1:
        raise ClassesError(
            f"the masks hold one value alone, {rows[0]['name']}: there is nothing to tell apart; "
            "label a second class, such as the background"
        )
    return {"name": name, "classes": rows, "ignore": void}


def set_of_ids(survey: Survey, root: Path) -> tuple[LabelSet, list[str]]:
    """Takes the ids that the masks of a folder hold for the classes, named by their numbers.

    Returns:
        The set, and a line on each thing that nobody can know without `classes.json`.

    Raises:
        ClassesError: when the masks hold colours, or too few or too many ids for a set.
    """
    draft = f"`{python_command()} main.py classes {shlex.quote(str(root))}` drafts one"
    if survey.colors:
        raise ClassesError(
            f"{survey.first[next(iter(survey.colors))]}: holds colours, and no {CLASSES_NAME} says "
            f"which of them is which class; {draft}"
        )
    try:
        labels = LabelSet.from_json(drafted(survey, name_of(root)))
    except ClassesError as error:
        raise ClassesError(f"the masks of {root}, without a {CLASSES_NAME}: {error}") from error
    faults = []
    if IGNORE_INDEX in survey.ids:
        others = shortened(sorted(survey.ids.keys() - {IGNORE_INDEX} - survey.smoothed()))
        faults.append(
            f"{survey.first[IGNORE_INDEX]}: is {IGNORE_INDEX} a class or void? The masks hold it "
            f"in {survey.ids[IGNORE_INDEX]:,} pixels, beside {others}, and no {CLASSES_NAME} says; "
            f"{draft}"
        )
    return labels, faults + survey.hint()
