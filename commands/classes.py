"""What `classes` writes: the `classes.json` of a folder of one's own, drafted from its masks."""

import shlex
from pathlib import Path

from support.formats.classes import CLASSES_NAME, name_of, write_classes
from support.formats.files import require_folder
from support.formats.image_folder import files_below
from support.formats.labels import IGNORE_INDEX, LabelSet
from support.formats.survey import Survey, drafted, survey_masks
from utils import LabError, python_command


def draft_classes(folder: Path) -> None:
    """Drafts `classes.json` from what the masks hold, and prints the pixels of each value.

    Raises:
        LabError: when there is a `classes.json`, no mask, or both ids and colours.
    """
    path = folder / CLASSES_NAME
    require_folder(folder)
    if path.exists():
        raise LabError(f"{path}: is there already, and is never overwritten; move it away first")
    masks = files_below(folder / "masks")
    if not masks:
        raise LabError(f"{folder}: no mask below {folder / 'masks'}; they belong there, as PNG")
    survey = survey_masks(masks)
    if survey.ids and survey.colors:
        pair = [str(next(survey.first[value] for value in part)) for part in survey[:2]]
        raise LabError(f"{pair[0]} holds ids and {pair[1]} colours; save all masks in one way")
    content = drafted(survey, name_of(folder))
    labels = LabelSet.from_json(content)
    write_classes(path, content)
    print(*survey.faults, *table(survey, labels), *questions(survey), sep="\n")
    print(f'{path} is a draft: give the classes their names, and move what is void to "ignore"')
    where = shlex.quote(str(folder))
    print(f"next: {python_command()} main.py check --datadir {where}")


def table(survey: Survey, labels: LabelSet) -> list[str]:
    """A line for each id or colour: its share of the pixels, and what it is drafted as."""
    rows = {label.color if survey.colors else label.id: label for label in labels.labels}
    lines, pixels = [f"{'value':<18}{'pixels':>10}  drafted as"], survey.pixels
    for value, number in (survey.ids | survey.colors).most_common():
        if value in rows:
            label = rows[value]
            what = "ignored" if label.train_id == IGNORE_INDEX else f"class {label.name}"
            text = " ".join(map(str, value)) if survey.colors else str(value)
            lines.append(f"{text:<18}{number / pixels:>10.3%}  {what}")
    return lines


def questions(survey: Survey) -> list[str]:
    """What only the user can know of the values."""
    lines = []
    if IGNORE_INDEX in survey.ids:
        lines.append(f"is {IGNORE_INDEX} a class or void? See whether the draft is right")
    return lines + survey.hint()
