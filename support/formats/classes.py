"""`classes.json`: a label set as a user writes it, and the colours of classes that have none.

    [{"name": "soil", "id": 0}, {"name": "leaf", "id": 1, "color": [0, 128, 0]}]
    {"name": "leaves", "classes": [those], "ignore": [255]}

The order of the classes is that of their train ids. What is ignored is an id alone, or a row with a
name, an id and a colour. An id that is named is a class, even 255; one that is ignored is void; any
other is a fault of a mask.
"""

import json
from pathlib import Path
from typing import Any

from support.formats.colors import distinct_colors
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from utils import VOID_COLOR, LabError, write_text

CLASSES_NAME = "classes.json"
LARGEST_ID = 65535
"""What a pixel of 16 bits can hold."""


class ClassesError(LabError):
    """A set that cannot be used, such as a broken `classes.json`."""


def read_classes(root: Path) -> tuple[LabelSet, LabelSet | None]:
    """Reads the `classes.json` of a folder.

    Returns:
        The set, and those of its rows whose colours are written there, by which masks of colours
        are read; None where none is.

    Raises:
        ClassesError: naming the file and what is wrong with it.
    """
    path = root / CLASSES_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        labels = LabelSet.from_json(content, name_of(root))
        entries = (
            content
            if isinstance(content, list)
            else [*content["classes"], *content.get("ignore", [])]
        )
        ids = {row["id"] for row in entries if isinstance(row, dict) and row.get("color")}
        rows = tuple(label for label in labels.labels if label.id in ids)
        require_distinct("color", [label.color for label in labels.classes])
        return labels, LabelSet(labels.name, rows) if rows else None
    except ClassesError as error:
        raise ClassesError(f"{path}: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ClassesError(f"{path}: not readable as JSON ({error}); mend the file") from error


def name_of(root: Path) -> str:
    """What a set is called that has no name: as its folder, without what cannot be printed."""
    shown = (letter if letter.isprintable() else "?" for letter in root.resolve().name)
    return "".join(shown).strip() or "classes"


def write_classes(path: Path, content: dict[str, Any]) -> None:
    """Writes a `classes.json`, one class a line."""
    lines = [f'{{\n"name": {json.dumps(content["name"])}']
    for key in ("classes", "ignore"):
        rows = ",\n  ".join(json.dumps(row) for row in content[key])
        lines.append(f'"{key}": [\n  {rows}\n]' if rows else f'"{key}": []')
    write_text(path, ",\n".join(lines) + "\n}\n")


def parse_classes(content: object, name: str) -> tuple[str, tuple[Label, ...]]:
    """Makes the name and the rows of a set of what JSON holds; `name` is for one without.

    Raises:
        ClassesError: saying what is wrong.
    """
    content = {"classes": content} if isinstance(content, list) else content
    is_known = isinstance(content, dict) and {"name", "classes", "ignore"} >= content.keys()
    if not is_known or not isinstance(content.get("classes"), list):
        raise ClassesError('must be a list of classes, or {"classes": [...], "ignore": [ids]}')
    name = content.get("name", name)
    if not is_printable(name):
        raise ClassesError(f"its name {json.dumps(name)} cannot be printed in a line")
    ignored = content.get("ignore", [])
    if not isinstance(ignored, list):
        raise ClassesError('"ignore" must be a list of ids, such as [255]')
    rows = [_valid_row(row, "class") for row in content["classes"]]
    void = [_valid_row({"id": row} if type(row) is int else row, "ignore") for row in ignored]
    if not 2 <= len(rows) <= IGNORE_INDEX:
        many = "few" if len(rows) < 2 else "many"
        raise ClassesError(f"{len(rows)} classes are too {many}; a set needs 2 ... {IGNORE_INDEX}")
    require_distinct("name", [row["name"].strip() for row in rows])
    require_distinct("id", [row["id"] for row in rows + void])
    taken = [row["color"] for row in rows + void if row["color"]]
    chosen = iter(distinct_colors(len(rows), taken))
    labels = [
        Label(row["name"], row["id"], k, row["category"], row["color"] or next(chosen))
        for k, row in enumerate(rows)
    ]
    labels += [
        Label(row["name"], row["id"], IGNORE_INDEX, row["category"], row["color"] or VOID_COLOR)
        for row in void
    ]
    return name, tuple(sorted(labels, key=lambda label: label.id))


def require_distinct_colors(labels: LabelSet) -> None:
    """Raises `ClassesError` when a class has the colour of another row, as no mask may."""
    void = {label.color for label in labels.labels if label.train_id == labels.ignore_index}
    require_distinct("color", [*(label.color for label in labels.classes), *void])


def is_printable(name: object) -> bool:
    """Whether a name can stand in a line of text."""
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()


def require_distinct(kind: str, values: list[object]) -> None:
    """Raises `ClassesError` when a name, an id or a colour occurs twice."""
    for value in values:
        if values.count(value) > 1:
            raise ClassesError(f"the {kind} {value} occurs twice; give every row its own")


def _valid_row(row: object, kind: str) -> dict[str, Any]:
    """A row with all its keys; `ClassesError` when a value is missing or impossible."""
    known = {"name", "id", "color", "category"}
    if not isinstance(row, dict) or not known >= row.keys():
        raise ClassesError(
            f'{kind} {json.dumps(row)}: must look like {{"name": "leaf", "id": 1, '
            '"color": [0, 128, 0]}'
        )
    label_id, color = row.get("id"), row.get("color")
    name = row.get("name", f"void {label_id}" if kind == "ignore" else None)
    if not is_printable(name):
        raise ClassesError(f"{kind} {json.dumps(row)}: has no name that can be printed")
    if type(label_id) is not int or not 0 <= label_id <= LARGEST_ID:
        raise ClassesError(f"{kind} {name}: its id must be a whole number, 0 ... {LARGEST_ID}")
    if color is not None:
        is_triple = isinstance(color, list) and [*map(type, color)] == [int] * 3
        if not is_triple or not all(0 <= value <= 255 for value in color):
            raise ClassesError(f"{kind} {name}: its color must be three numbers, 0 ... 255")
        color = tuple(color)
    category = row.get("category", "void" if kind == "ignore" else "")
    return {"name": name, "id": label_id, "color": color, "category": str(category)}
