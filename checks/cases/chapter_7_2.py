"""Further cases of TODO 7.2: a single image."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

import deploy
from checks.cases.readers import (
    channel_reader,
    normalised,
    open_segmenter,
    predict,
    read_out,
    size_reader,
)
from checks.diagnosis.chapter_7 import (
    LEVELS,
    MEAN,
    PIXELS,
    STD,
    Reader,
    cause_of_place,
    cause_of_slope,
    padded_size,
    wrong_normalisations,
    wrong_sizes,
)
from commands.companion.checking import wrong
from utils import LabError


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_normalisation_and_colours(tmp_path: Path) -> None:
    """Each channel is (value / 255 - mean) / std, in the order red, green, blue."""
    colors = ((90, 140, 215), (200, 60, 120))
    seen = {}
    for color in colors:
        photo = np.empty((8, 12, 3), dtype=np.uint8)
        photo[:] = color
        given = f"a photo of the one colour RGB {color}, mean {MEAN}, std {STD}"
        readers = [channel_reader(tmp_path, channel, (8, 12), 4) for channel in range(3)]
        seen[color] = [int(np.median(predict(each, photo, given))) for each in readers]
    right = {color: (np.array(color) / 255 - MEAN) / STD for color in colors}

    def is_near(values: dict[tuple, np.ndarray]) -> bool:
        labels = {color: PIXELS.label(value) for color, value in values.items()}
        return all(np.abs(labels[color] - seen[color]).max() <= 1.01 for color in colors)

    if is_near(right):
        return
    color = next(c for c in colors if np.abs(PIXELS.label(right[c]) - seen[c]).max() > 1.01)
    got = PIXELS.low + np.array(seen[color]) * PIXELS.step
    causes = {color: wrong_normalisations(np.array(color) / 255) for color in colors}
    found = [name for name in causes[color] if is_near({c: causes[c][name] for c in colors})]
    beyond = ", or beyond" * bool({0, LEVELS - 1} & set(seen[color]))
    wrong(
        given=f"a photo of the one colour RGB {color}, mean {MEAN}, std {STD}",
        expected=f"the network gets {np.round(right[color], 2).tolist()} in its channels",
        got=f"about {np.round(got, 2).tolist()}{beyond}",
        likely=found[0] if found else None,
    )


def _reads_colors(tmp_path: Path) -> bool:
    """Whether a photo of one colour is normalised and read as it should be."""
    readers = [channel_reader(tmp_path, channel, (8, 12), 4) for channel in range(3)]
    for color in ((90, 140, 215), (0, 0, 0), (255, 255, 255), (200, 60, 120)):
        photo = np.broadcast_to(np.array(color, np.uint8), (8, 12, 3)).copy()
        right = PIXELS.label((np.array(color) / 255 - MEAN) / STD)
        labels = [predict(reader, photo, "a photo of one colour") for reader in readers]
        if any(np.abs(a - b).max() > 1.01 for a, b in zip(labels, right, strict=True)):
            return False
    return True


def _cause_of_slope(tmp_path: Path, *arguments: object) -> str | None:
    """Places are read off the colours: where those are wrong, nothing can be said."""
    return cause_of_slope(*arguments) if _reads_colors(tmp_path) else None


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_white_is_one(tmp_path: Path) -> None:
    """255 becomes exactly 1 before the normalisation."""
    white, less = (1 - MEAN[0]) / STD[0], (255 / 256 - MEAN[0]) / STD[0]
    fine = Reader(white - 0.06, 0.001)
    photo = np.full((8, 12, 3), 255, dtype=np.uint8)
    given = f"a white photo, mean {MEAN}, std {STD}"
    labels = predict(channel_reader(tmp_path, 0, (8, 12), 4, fine), photo, given)
    got = fine.low + int(np.median(labels)) * fine.step
    if abs(got - white) > 0.0021:
        wrong(
            given=given,
            expected=f"the network gets {white:.4f} in channel 0",
            got=f"about {got:.4f}",
            likely="divided by 256, not by 255" if abs(got - less) <= 0.0021 else None,
        )


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_every_pixel_in_its_place(tmp_path: Path) -> None:
    """At the training size nothing is resized: each pixel's class is exactly its own."""
    random = np.random.default_rng(1)
    for height, width, stride in ((12, 20, 4), (13, 22, 8), (21, 10, 8)):
        photo = random.integers(40, 215, (height, width, 3), dtype=np.uint8)
        for channel in (0, 2):
            given = f"a photo {photo.shape} of noise, training size {(height, width)}, stride "
            given += f"{stride}, so that nothing is resized"
            segmenter = channel_reader(tmp_path, channel, (height, width), stride)
            labels = predict(segmenter, photo, given)
            level = PIXELS.label(normalised(photo, channel))
            if np.abs(labels - level).max() <= 1.01:
                continue
            row, column = np.argwhere(np.abs(labels - level) > 1.01)[0]
            wrong(
                given=given,
                expected=f"pixel ({row}, {column}) gets class {level[row, column]:.0f}, by its "
                "own value",
                got=int(labels[row, column]),
                likely=cause_of_place(labels, photo, channel, stride),
            )


def _slopes(height: int, width: int) -> np.ndarray:
    """A photo that grows redder from left to right and bluer from top to bottom."""
    photo = np.full((height, width, 3), 127, dtype=np.uint8)
    photo[..., 0] = np.round(20 + 200 * (np.arange(width) + 0.5) / width)
    photo[..., 2] = np.round(20 + 200 * (np.arange(height) + 0.5) / height)[:, None]
    return photo


@pytest.mark.todo("7.2", points=3, needs=[])
@pytest.mark.parametrize(
    ("photo_size", "size", "stride"),
    [
        ((60, 90), (20, 32), 8),
        ((75, 41), (24, 40), 16),
        ((11, 17), (30, 44), 8),
        ((64, 64), (16, 48), 1),
    ],
)
def test_7_2_photos_of_any_size(
    tmp_path: Path, photo_size: tuple[int, int], size: tuple[int, int], stride: int
) -> None:
    """Larger, smaller and other shapes than in training: things stay where they are."""
    height, width = photo_size
    photo = _slopes(height, width)
    given = f"a photo {photo.shape} that is redder to the right and bluer below; training size "
    given += f"{size}, stride {stride}"
    for channel, axis in ((0, 1), (2, 0)):
        labels = predict(channel_reader(tmp_path, channel, size, stride), photo, given)
        level = PIXELS.label(normalised(photo, channel))
        per_pixel = 200 / 255 / STD[channel] / PIXELS.step / photo_size[axis]
        coarse = (photo_size[0] * photo_size[1] / (size[0] * size[1])) ** 0.5
        allowed = 2 + 1.2 * per_pixel * max(1.0, coarse)
        off = np.abs(labels - level)
        if off.max() <= allowed:
            continue
        row, column = np.unravel_index(np.argmax(off), off.shape)
        wrong(
            given=given,
            expected=f"pixel ({row}, {column}) gets about class {level[row, column]:.0f}",
            got=int(labels[row, column]),
            likely=_cause_of_sizes(tmp_path, (photo_size, size, stride))
            or _cause_of_slope(tmp_path, labels, channel, photo_size, size, stride),
        )


@pytest.mark.todo("7.2", points=3, needs=[])
@pytest.mark.parametrize(
    ("photo_size", "size", "stride"),
    [((90, 60), (40, 40), 8), ((50, 200), (48, 64), 16), ((10, 16), (33, 52), 4)],
)
def test_7_2_size_that_the_network_sees(
    tmp_path: Path, photo_size: tuple[int, int], size: tuple[int, int], stride: int
) -> None:
    """About the training size, in the photo's aspect, padded to multiples of the stride."""
    seen, given = _seen_size(tmp_path, photo_size, size, stride)
    expected = padded_size(photo_size, size, stride)
    is_divisible = all(each % stride == 0 for each in seen)
    aspect = (seen[0] / seen[1]) / (photo_size[0] / photo_size[1])
    tolerance = 1.15 * (1 + stride / min(seen))
    has_aspect = 1 / tolerance < aspect < tolerance
    area = seen[0] * seen[1] / (size[0] * size[1])
    if seen == expected or (is_divisible and has_aspect and 0.3 < area < 4 and seen != photo_size):
        return
    expected_text = f"about {expected[0]}x{expected[1]}: the training's area, the photo's aspect, "
    wrong(
        given=given,
        expected=expected_text + "multiples of the stride",
        got=f"{seen[0]}x{seen[1]} (height x width)",
        likely=_cause_of_sizes(tmp_path, (photo_size, size, stride)),
    )


def _cause_of_sizes(tmp_path: Path, first: tuple) -> str | None:
    """The mistake that gives the sizes which the network sees of several photos."""
    if not _reads_colors(tmp_path):
        return None
    others = ((70, 110), (36, 52), 8), ((33, 95), (48, 40), 16), ((120, 50), (30, 62), 4)
    cases = (first, *others)
    seen = [_seen_size(tmp_path, *case)[0] for case in cases]
    if all(sizes == padded_size(*case) for sizes, case in zip(seen, cases, strict=True)):
        return None
    causes = [wrong_sizes(*case) for case in cases]
    pairs = list(zip(seen, causes, strict=True))
    return next((c for c in causes[0] if all(sizes in found[c] for sizes, found in pairs)), None)


def _seen_size(
    tmp_path: Path, photo_size: tuple[int, int], size: tuple[int, int], stride: int
) -> tuple[tuple[int, int], str]:
    """The height and width that the network sees of a photo; and what it was given, in words."""
    photo = np.full((*photo_size, 3), 99, dtype=np.uint8)
    given = f"a photo {photo.shape}, training size {size}, stride {stride}"
    readers = [size_reader(tmp_path, axis, size, stride) for axis in (2, 3)]
    height, width = (int(np.median(predict(each, photo, given))) + 1 for each in readers)
    return (height, width), given


def _two_classes(tmp_path: Path, size: tuple[int, int]) -> deploy.OnnxSegmenter:
    """Logits 0 and 30 v - 10, where v is -1 on dark and 1 / 1.5 on bright pixels (red only)."""
    weights = np.zeros((2, 3, 1, 1), dtype=np.float32)
    weights[1, 0] = 30
    arrays = {"weights": weights, "bias": np.float32([0, -10])}
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["logits"])]
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return open_segmenter(tmp_path, nodes, tensors, size, 1, num_classes=2)


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_logits_are_enlarged_not_labels(tmp_path: Path) -> None:
    """The border between two classes lies where their enlarged logits cross."""
    zoom, size = 16, (6, 8)
    photo = np.zeros((size[0] * zoom, size[1] * zoom, 3), dtype=np.uint8)
    bright = round(255 * (MEAN[0] + 2 / 3 * STD[0]))  # normalised 0.67: 10 for class 1
    dark = round(255 * (MEAN[0] - 0.5 * STD[0]))  # -0.5: -25
    middle = photo.shape[1] // 2
    photo[:, :middle, 0], photo[:, middle:, 0] = dark, bright
    given = f"a photo {photo.shape}, left half class 0 (logits 0, -25), right half class 1 "
    given += f"(logits 0, 10), training size {size}"
    labels = predict(_two_classes(tmp_path, size), photo, given)
    rows = labels[zoom:-zoom].astype(int)
    borders = (rows == 0).sum(axis=1)
    # Linear between the centres of two pixels, 16 apart: -25 + 35 t = 0 at t = 0.71, which is
    # 3.4 pixels right of the middle; a cubic curve crosses a little earlier.
    if ((rows[:, 1:] >= rows[:, :-1]).all()) and (abs(borders - middle - 3.5) <= 2.2).all():
        return
    got = float(np.median(borders)) - middle
    likely = None
    if abs(got) < 1.3 and _reads_colors(tmp_path):
        likely = "the labels are resized, or probabilities, or logits by nearest neighbour: "
        likely += "enlarge the logits, then take the argmax"
    wrong(
        given=given,
        expected="the border lies 3 to 4 pixels right of the middle, where the logits cross",
        got=f"{got:+.0f} pixels",
        likely=likely,
    )


@pytest.mark.todo("7.2", points=3, needs=[])
def test_7_2_network_that_looks_around(tmp_path: Path) -> None:
    """A network with a real stride runs on odd sizes, and answers about the right place."""
    stride, size = 8, (29, 51)
    nodes, arrays = read_out("large", PIXELS)
    pick = np.zeros((1, 3, 1, 1), dtype=np.float32)
    pick[0, 0] = 1
    nodes = [
        helper.make_node("Conv", ["image", "pick"], ["one"]),
        helper.make_node(
            "AveragePool", ["one"], ["small"], kernel_shape=[stride, stride], strides=[stride] * 2
        ),
        helper.make_node("Resize", ["small", "", "scales"], ["large"], mode="nearest"),
        *nodes,
    ]
    arrays += [
        numpy_helper.from_array(pick, "pick"),
        numpy_helper.from_array(np.float32([1, 1, stride, stride]), "scales"),
    ]
    segmenter = open_segmenter(tmp_path, nodes, arrays, size, stride)
    photo = _slopes(*size)
    given = f"a photo {photo.shape} at the training size, a network of stride {stride}"
    try:
        labels = predict(segmenter, photo, given)
    except LabError as error:
        wrong(
            given=given,
            expected="the network gets a height and width that divide by its stride",
            got=str(error)[:200],
        )
    level = PIXELS.label(normalised(photo, 0))
    inside = np.abs(labels - level)[:24, :48]
    allowed = 200 / 255 / STD[0] / PIXELS.step / size[1] * stride
    if inside.max() > allowed:
        row, column = np.unravel_index(np.argmax(inside), inside.shape)
        wrong(
            given=given,
            expected=f"pixel ({row}, {column}) gets about class {level[row, column]:.0f}",
            got=int(labels[row, column]),
            likely=_cause_of_slope(tmp_path, labels, 0, size, size, stride),
        )
