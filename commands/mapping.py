"""A network judged on data with other classes than its own: probabilities summed by a table.

A file of lines `source<TAB>target` says which of the network's classes (sources) make up which of
the data's (targets), many to one. For each pixel

    p(target) = Σ softmax(logits)[source]  over the sources of the target

and the largest sum wins. That is not the target of the largest source: two sources of 0.3 beat one
of 0.4. A source that no line names takes part in nothing; `-` for a target makes of its sources a
"none of them" that may win, and is then a pixel of no class. A line whose source is a class of the
data merges that class into the target, too (`rider<TAB>person`).
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from commands.test_time import MultiScaleSegmenter, SlidingSegmenter
from deploy import Segmenter, upsample_argmax
from metrics import scores
from support.formats.labels import LabelSet
from utils import LabError, shortened
from zoo.mapping import sum_over_sources

if TYPE_CHECKING:
    from torch import Tensor

NONE = "-"
READY = Path(__file__).parent / "mappings"


class Mapping(NamedTuple):
    """A table, made for one network and one data set.

    Attributes:
        targets: the names of the T targets, in the data's order; `-` is the last, if there is one.
        of_sources: the target of each of the network's K classes, -1 for none.
        of_data: the target of each of the data's classes.
        covered: whether a target has a source, for each of the data's targets.
    """

    targets: tuple[str, ...]
    of_sources: np.ndarray
    of_data: np.ndarray
    covered: tuple[bool, ...]

    def scores(self, matrix: "Tensor") -> dict[str, Any]:
        """As `metrics.scores`, with both means: of the covered classes, and of all.

        A class without a source that occurs has 0. The pixels of "none of them" are misses of
        their classes, and nothing else.
        """
        result = scores(matrix, self.targets)
        result["classes"].pop(NONE, None)
        covered = {name for name, has in zip(self.targets, self.covered, strict=False) if has}
        means: dict[str, Any] = {}
        for key, mean in (("f1", "macro_f1"), ("iou", "mean_iou")):
            rows = {n: row[key] for n, row in result["classes"].items() if row[key] is not None}
            for words, chosen in (("of_covered", covered & rows.keys()), ("of_all", rows.keys())):
                found = [rows[name] for name in chosen]
                means[f"{mean}_{words}"] = sum(found) / len(found) if found else None
        means |= {"pixel_accuracy": result["pixel_accuracy"], "classes": result["classes"]}
        return means | {"coverage": self.in_words()}

    def in_words(self) -> str:
        """How many of the data's classes the network can know."""
        missing = [name for name, has in zip(self.targets, self.covered, strict=False) if not has]
        without = f"; without a source: {shortened(missing)}" if missing else ""
        return f"coverage: {sum(self.covered)} of {len(self.covered)} classes{without}"


def read_mapping(path: Path, sources: Sequence[str], data: Sequence[str]) -> Mapping:
    """Reads a table for a network with the classes `sources`, on data with other classes.

    Args:
        path: a file, or the name of a ready one, such as `voc`.

    Raises:
        LabError: for a file that is none, a target that the data do not have, a source that is
            named twice, and a table of which no line fits.
    """
    if not path.is_file() and (READY / f"{path}.tsv").is_file():
        path = READY / f"{path}.tsv"
    target_of = read_lines(path)
    unknown = sorted(set(target_of.values()) - {*data, NONE})
    if unknown:
        raise LabError(
            f"{path}: {shortened(unknown)} is not among the classes of the data: {shortened(data)}"
        )
    for source, target in target_of.items():
        beyond = target_of.get(target, target)
        if target in data and beyond != target:
            raise LabError(
                f"{path}: {source} becomes {target}, and {target} becomes {beyond}; name the last "
                "one in both lines"
            )
    final = [target_of.get(name, name) for name in data]
    if NONE in final:
        name = data[final.index(NONE)]
        raise LabError(f"{path}: {name} is a class of the data, and cannot become {NONE}")
    targets = [name for name in data if name in final]
    chosen = [target_of.get(name) for name in sources]
    covered = tuple(name in chosen for name in targets)
    if not any(covered):
        raise LabError(f"{path}: no line begins with a class of the network: {shortened(sources)}")
    places = {name: place for place, name in enumerate([*targets, NONE])}
    return Mapping(
        (*targets, *([NONE] if NONE in chosen else [])),
        np.array([-1 if name is None else places[name] for name in chosen]),
        np.array([places[name] for name in final], dtype=np.uint8),
        covered,
    )


def read_lines(path: Path) -> dict[str, str]:
    """The target of each source; `#` begins a comment, empty lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        ready = ", ".join(sorted(file.stem for file in READY.glob("*.tsv")))
        raise LabError(f"{path}: no table that can be read; ready ones are {ready}") from error
    target_of: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        source, *rest = (part.strip() for part in line.split("\t"))
        if len(rest) != 1 or not source or not rest[0]:
            raise LabError(f"{path}, line {number}: write it as source<TAB>target")
        if target_of.setdefault(source, rest[0]) != rest[0]:
            raise LabError(f"{path}, line {number}: {source} has a target already")
    return target_of


class MappedSegmenter(MultiScaleSegmenter):
    """Segments into the targets of a table, whatever runs the network, at any scales.

    Args:
        segmenter: of the network, or one at several scales.
        mapping: the table.
        labels: the data's set, which has the targets' colours and ids.

    Raises:
        LabError: for a segmenter that goes over windows.
    """

    def __init__(self, segmenter: Segmenter, mapping: Mapping, labels: LabelSet) -> None:
        if isinstance(segmenter, SlidingSegmenter):
            raise LabError("--mapping does not go with --window")
        if isinstance(segmenter, MultiScaleSegmenter):
            super().__init__(segmenter.segmenter, segmenter.scales, segmenter.flip)
        else:
            super().__init__(segmenter)
        self.mapping, self.seen, self.labels = mapping, copy.copy(self), labels
        names = [name for name in mapping.targets if name != NONE]
        self.train_ids = np.array([*map(labels.names.index, names), labels.ignore_index], np.uint8)
        self.classes = mapping.targets
        self.palette = np.vstack([labels.palette[self.train_ids[:-1]], [(0, 0, 0)]])

    def label_ids(self, targets: np.ndarray) -> np.ndarray:
        """The data's own label ids of a prediction, (H, W)."""
        return self.labels.decode(self.train_ids[targets])

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Segments one image: (H, W, 3) uint8 RGB → (H, W) uint8, places among the targets."""
        probabilities = self.seen.mean_probabilities(image)
        target_of, number = self.mapping.of_sources.tolist(), len(self.mapping.targets)
        targets = sum_over_sources(probabilities, target_of, number)
        return upsample_argmax(targets, image.shape[:2])
