"""The toy city: its scenes, its files, and that a set is whole or absent."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from support.formats.cityscapes import CITYSCAPES
from support.formats.files import open_folder, open_source
from support.formats.labels import IGNORE_INDEX
from toycity import (
    CITIES,
    MARKER,
    SPLITS,
    Recipe,
    cities_of,
    ensure_toycity,
    is_complete,
    render_scene,
)
from toycity.canvas import LABEL_IDS, Canvas
from toycity.coarse import draw_coarsely
from toycity.generate import class_shares
from toycity.variety import Brush
from toycity.weather import CONDITIONS

ROOT = Path(__file__).parent.parent
SMALL = (32, 64)
FEW = {"train": 5, "val": 2, "test": 1}
CITYSCAPES_SHARES = dict(
    zip(
        CITYSCAPES.names,
        (0.37, 0.06, 0.23, 0.007, 0.009, 0.012, 0.0021, 0.0055, 0.16, 0.012, 0.04, 0.012, 0.0013,
         0.07, 0.0027, 0.0024, 0.0023, 0.001, 0.004),
        strict=True,
    )
)  # fmt: skip
"""Roughly, of all pixels in the training set that are not void."""


def count(split: str, scenes: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels per label id, (34,), of a split's first scenes, and in how many each class is seen."""
    cities = cities_of(split)
    pixels, seen = np.zeros(34, dtype=np.int64), np.zeros(34, dtype=np.int64)
    for i in range(scenes):
        _, labels = render_scene(cities[i % len(cities)], 0, i // len(cities), size)
        counts = np.bincount(labels.ravel(), minlength=34)
        pixels += counts
        seen += counts > 0
    return pixels, seen


@pytest.fixture(scope="module")
def train_pixels() -> tuple[np.ndarray, np.ndarray]:
    """Counts of the first 160 training scenes."""
    return count("train", 160, (64, 128))


@pytest.fixture(scope="module")
def val_pixels() -> tuple[np.ndarray, np.ndarray]:
    """Counts of all 80 validation scenes."""
    return count("val", 80, (64, 128))


def small_set(root: Path, **options: object) -> Path:
    """Makes a set of a few small scenes."""
    given = {"size": SMALL, "counts": FEW, "num_workers": 1, "show_progress": False, **options}
    return ensure_toycity(root, **given)


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a folder by its relative path."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def command(*arguments: object) -> list[str]:
    """The command line of `python -m toycity`."""
    return [sys.executable, "-m", "toycity", *map(str, arguments)]


def test_render_scene_is_determined_by_city_seed_and_index() -> None:
    first, labels = render_scene("ahornau", 3, 1, SMALL)
    again, labels_again = render_scene("ahornau", 3, 1, SMALL)
    assert np.array_equal(first, again)
    assert np.array_equal(labels, labels_again)
    for other in (("ahornau", 4, 1), ("ahornau", 3, 2), ("birkenfurt", 3, 1)):
        assert not np.array_equal(first, render_scene(*other, SMALL)[0])


@pytest.mark.parametrize("size", [(128, 256), (16, 16), (97, 131)])
def test_render_scene_has_the_size_that_is_asked_for(size: tuple[int, int]) -> None:
    image, labels = render_scene("weidenthal", 0, 0, size)
    assert (image.shape, image.dtype) == ((*size, 3), np.uint8)
    assert (labels.shape, labels.dtype) == (size, np.uint8)


def test_render_scene_shows_one_street_at_every_size() -> None:
    _, small = render_scene("eschenhain", 0, 0, (64, 128))
    _, large = render_scene("eschenhain", 0, 0, (128, 256))
    agreement = (large[::2, ::2] == small)[4:-4, 4:-4].mean()
    assert agreement > 0.6  # tufts and clouds are drawn per pixel and may differ


def test_varied_scenes_differ_in_all_colours_and_keep_their_labels_sound() -> None:
    colors = {False: [], True: []}
    for is_varied, means in colors.items():
        for index in range(8):
            image, labels = render_scene("ahornau", 0, index, (64, 128), is_varied)
            assert set(np.unique(labels)) <= set(LABEL_IDS.values()) and (labels == 7).any()
            means.append(
                [image[labels == LABEL_IDS[name]].mean(axis=0) for name in ("road", "car")]
            )
    spread = {
        is_varied: np.nanstd(means, axis=0).mean(axis=1) for is_varied, means in colors.items()
    }
    assert (spread[True] > 1.3 * spread[False]).all()
    again, _ = render_scene("ahornau", 0, 7, (64, 128), True)
    assert np.array_equal(again, image)


def test_a_brush_leaves_the_label_and_the_shadow_as_they_are() -> None:
    canvas, square = Canvas((8, 8), CONDITIONS["sun"]), np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]])
    green = np.zeros((3, 3))
    canvas.brush = Brush(green, np.array([0.0, 200.0, 0.0]), 0.0, 0.0, np.random.default_rng(0))
    canvas.polygon(square, (250, 10, 10), "car")
    canvas.stamp(10, 0, np.full((4, 4, 3), 90, np.uint8), np.ones((4, 4), np.uint8), "sky")
    assert canvas.image[4, 4].tolist() == canvas.image[12, 2].tolist() == [0, 200, 0]
    assert canvas.labels[4, 4] == LABEL_IDS["car"] and canvas.labels[12, 2] == LABEL_IDS["sky"]
    canvas.shadow(square, 0.5)
    assert canvas.image[4, 4, 1] < 120 and canvas.brush is not None


def test_coarse_labels_lie_inside_the_objects_with_void_between() -> None:
    agreement, drawn = [], []
    for index in range(6):
        _, labels = render_scene("birkenfurt", 0, index)
        coarse = draw_coarsely(labels)
        is_drawn = coarse > 0
        assert (coarse[is_drawn] == labels[is_drawn]).all()
        agreement.append(len(set(np.unique(coarse)) - {0}))
        drawn.append(is_drawn.mean())
        edges = labels[:, 1:] != labels[:, :-1]
        both = is_drawn[:, 1:] & is_drawn[:, :-1]
        assert (edges & both).sum() == 0  # nobody draws up to an edge
    assert 0.5 < np.mean(drawn) < 0.9 and min(agreement) >= 4


def test_extra_scenes_have_coarse_labels_alone_and_train_has_both(tmp_path: Path) -> None:
    few = {"train": 5, "val": 2, "train_extra": 10}
    root = small_set(tmp_path / "toy", size=(64, 128), counts=few)
    assert is_complete(root)
    names = {"train": 5, "train_extra": 10, "val": 2}
    for split, count in names.items():
        found = {k: len([*root.glob(f"{k}/{split}/*/*.png")]) for k in ("gtFine", "gtCoarse")}
        assert found["gtFine"] == (0 if split == "train_extra" else count)
        assert found["gtCoarse"] == (0 if split == "val" else count)
    folder = open_folder(root)
    assert folder.splits() == ["train", "train_extra", "val"]
    assert len(open_source(root, "train+train_extra").samples) == 15
    next(root.glob("gtCoarse/train/*/*")).unlink()
    assert not is_complete(root)
    assert is_complete(small_set(root, size=(64, 128), counts={"train": 5, "val": 2}))


def test_a_set_is_varied_in_the_part_that_is_asked_for(tmp_path: Path) -> None:
    few = {"counts": {"train": 20, "val": 2}}
    plain = contents(small_set(tmp_path / "toy", **few))
    varied = contents(small_set(tmp_path / "toy", **few, varied=0.5))
    images = [name for name in plain if name.startswith("leftImg8bit/train")]
    assert sum(plain[name] != varied[name] for name in images) == 10
    for name in plain.keys() - set(images):
        assert plain[name] == varied[name] or name == MARKER or name.startswith("gtFine/train")
    assert not is_complete(tmp_path / "toy", Recipe.of(0, SMALL, few["counts"]))


@pytest.mark.parametrize(("part", "train", "number"), [(0.5, 7, 4), (0.2, 13, 3), (1.0, 6, 6)])
def test_small_sets_have_as_many_varied_scenes_too(part: float, train: int, number: int) -> None:
    recipe = Recipe.of(0, SMALL, {"train": train, "val": 3}, part)
    varied = [scene for scene in recipe.scenes() if recipe.is_varied(*scene)]
    assert len(varied) == number == recipe.marker()["varied"]
    assert {split for split, *_ in varied} == {"train"}


def test_sets_with_one_marker_have_the_same_varied_scenes() -> None:
    """The marker gives their number alone, and by it a folder counts as complete."""
    for train in (1, 2, 3, 7, 12, 13):
        places: dict[int, list] = {}
        for percent in range(101):
            recipe = Recipe.of(0, SMALL, {"train": train}, percent / 100)
            varied = [scene for scene in recipe.scenes() if recipe.is_varied(*scene)]
            assert places.setdefault(recipe.marker()["varied"], varied) == varied
        assert [len(varied) for varied in places.values()] == list(range(train + 1))


@pytest.mark.parametrize(
    ("train", "part", "first"),
    [(1200, 0.5, [1, 3, 5, 7, 9]), (1200, 0.75, [1, 2, 3, 5, 6, 7, 9]), (2000, 0.6, [1, 3, 4, 6])],
)
def test_every_city_has_its_part_of_the_varied_scenes(
    train: int, part: float, first: list[int]
) -> None:
    """In the sets of the documentation, whose scenes must stay what they are."""
    recipe = Recipe.of(0, SMALL, {"train": train}, part)
    varied = [
        (city.name, i) for _, city, i in recipe.scenes() if recipe.is_varied("train", city, i)
    ]
    for city in cities_of("train"):
        numbers = [index for name, index in varied if name == city.name]
        assert numbers[: len(first)] == first and len(numbers) == part * train / 5


def test_render_scene_rejects_an_unknown_city() -> None:
    with pytest.raises(ValueError, match="ahornau"):
        render_scene("atlantis", 0, 0, SMALL)


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_has_all_classes_about_as_often_as_cityscapes(
    split: str, request: pytest.FixtureRequest
) -> None:
    pixels, _ = request.getfixturevalue(f"{split}_pixels")
    for name, share in class_shares(pixels).items():
        target = CITYSCAPES_SHARES[name]
        factor = 1.4 if target > 0.05 else 2.5
        assert target / factor < share < target * factor, (name, share, target)


def test_val_has_every_class_in_ten_scenes(val_pixels: tuple[np.ndarray, np.ndarray]) -> None:
    _, seen = val_pixels
    for name in CITYSCAPES.names:
        assert seen[LABEL_IDS[name]] >= 10, name


def test_labels_stay_in_the_table_and_hold_void(train_pixels: tuple[np.ndarray, ...]) -> None:
    pixels, _ = train_pixels
    assert len(pixels) == len(CITYSCAPES.labels)  # bincount would be longer for an id of 34 or more
    void = [label.id for label in CITYSCAPES.labels if label.train_id == IGNORE_INDEX]
    assert 0.03 < pixels[void].sum() / pixels.sum() < 0.15
    for name in ("ego vehicle", "rectification border", "out of roi", "static", "parking"):
        assert pixels[LABEL_IDS[name]] > 0, name
    assert pixels[LABEL_IDS["unlabeled"]] == 0  # nothing was left unpainted


def test_cities_keep_validation_looks_out_of_training() -> None:
    assert {split: len(cities_of(split)) for split in SPLITS} == {"train": 5, "val": 2, "test": 1}
    assert all(city.name.isalpha() and city.name.islower() for city in CITIES)
    seen = {color for city in cities_of("train") for color in (*city.walls, *city.bus, city.grass)}
    for city in cities_of("val"):
        assert not seen & {*city.walls, *city.bus, city.grass}


def test_cities_differ_in_their_mean_colour() -> None:
    def look(name: str) -> np.ndarray:
        scenes = [render_scene(name, 0, i, SMALL) for i in range(12)]
        return np.mean(
            [image[labels == LABEL_IDS["building"]].mean(0) for image, labels in scenes], 0
        )

    assert np.abs(look("kastanienberg") - look("lindenstedt")).max() > 10


def test_canvas_paints_colour_and_label_together() -> None:
    canvas = Canvas((20, 20), CONDITIONS["overcast"])
    square = np.array([[8.0, 8.0], [32.0, 8.0], [32.0, 32.0], [8.0, 32.0]])
    canvas.polygon(square, (200, 10, 10), "car")
    is_car = canvas.labels == LABEL_IDS["car"]
    assert np.array_equal(is_car, canvas.image[..., 0] == 200)
    before = canvas.labels.copy()
    canvas.polygon(square, (0, 0, 250), None)
    assert np.array_equal(canvas.labels, before)
    assert canvas.image[20, 20, 2] == 250


def test_canvas_reduces_labels_by_vote_and_keeps_thin_poles() -> None:
    canvas = Canvas((4, 4), CONDITIONS["overcast"])
    canvas.labels[:] = LABEL_IDS["road"]
    canvas.labels[:, 2] = LABEL_IDS["pole"]
    canvas.labels[0, 6] = LABEL_IDS["car"]
    _, labels = canvas.reduced()
    assert (labels[:, 1] == LABEL_IDS["pole"]).all()
    assert (labels[:, [0, 2, 3]] == LABEL_IDS["road"]).all()


def test_ensure_toycity_writes_the_cityscapes_layout(tmp_path: Path) -> None:
    root = small_set(tmp_path / "toy")
    labels = sorted(root.glob("gtFine/*/*/*_gtFine_labelIds.png"))
    assert len(labels) == len(list(root.glob("leftImg8bit/*/*/*"))) == sum(FEW.values())
    for path in labels:
        split, city = path.parts[-3:-1]
        stem = path.name.removesuffix("_gtFine_labelIds.png")
        name, sequence, frame = stem.split("_")
        assert name == city
        assert city in {c.name for c in cities_of(split)}
        assert len(sequence) == len(frame) == 6
        target = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(
            str(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png"),
            cv2.IMREAD_UNCHANGED,
        )
        expected, expected_labels = render_scene(city, 0, int(sequence), SMALL)
        assert np.array_equal(target, expected_labels)
        assert np.array_equal(image[..., ::-1], expected)
    marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
    assert marker["counts"] == FEW
    assert set(marker["class_shares"]["train"]) == set(CITYSCAPES.names)


def test_ensure_toycity_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    alone = contents(small_set(tmp_path / "one"))
    assert contents(small_set(tmp_path / "two", num_workers=2)) == alone


def test_ensure_toycity_makes_a_set_once(tmp_path: Path) -> None:
    root = small_set(tmp_path / "toy")
    before = (root / MARKER).stat().st_mtime_ns
    small_set(root)
    assert (root / MARKER).stat().st_mtime_ns == before
    assert os.listdir(tmp_path) == ["toy"]


def test_ensure_toycity_replaces_what_does_not_match(tmp_path: Path) -> None:
    root = small_set(tmp_path / "toy")
    marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
    (root / MARKER).write_text(json.dumps({**marker, "version": 0}), encoding="utf-8")
    assert not is_complete(root)
    small_set(root)
    assert is_complete(root)
    before = contents(root)
    small_set(root, seed=1)
    assert contents(root).keys() == before.keys()
    assert contents(root) != before
    assert os.listdir(tmp_path) == ["toy"]


def test_is_complete_notices_what_is_missing(tmp_path: Path) -> None:
    root = small_set(tmp_path / "toy")
    assert is_complete(root)
    next(root.glob("gtFine/val/*/*")).unlink()
    assert not is_complete(root)
    small_set(root)
    (root / MARKER).unlink()
    assert not is_complete(root)
    assert is_complete(small_set(root))


def test_ensure_toycity_leaves_foreign_files_alone(tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "holiday.jpg"
    photo.parent.mkdir()
    photo.write_text("precious")
    with pytest.raises(OSError, match="other files"):
        small_set(photo.parent)
    assert photo.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_generation_is_not_complete(tmp_path: Path, number: int) -> None:
    root = tmp_path / "toy"
    process = subprocess.Popen(
        command("--output", root, "--train", 400, "--val", 0, "--test", 0, "--size", *SMALL,
                "--num-workers", 2),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".toy.partial-*/gtFine/*/*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(60)
    assert process.returncode != 0
    assert not root.exists()
    written = len(list(tmp_path.glob(".toy.partial-*/gtFine/*/*/*")))
    time.sleep(0.5)
    assert len(list(tmp_path.glob(".toy.partial-*/gtFine/*/*/*"))) <= written + 1  # no orphans
    assert number == signal.SIGKILL or os.listdir(tmp_path) == []
    small_set(root)
    assert is_complete(root)
    assert os.listdir(tmp_path) == ["toy"]


def test_two_generations_at_once_both_end_well(tmp_path: Path) -> None:
    root = tmp_path / "toy"
    arguments = command("--output", root, "--size", *SMALL, "--train", 8, "--val", 2, "--test", 0,
                        "--num-workers", 1)  # fmt: skip
    processes = [
        subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert is_complete(root)
    assert os.listdir(tmp_path) == ["toy"]


@pytest.mark.parametrize(
    "arguments",
    [("--size", 0, 64), ("--train", -1), ("--train", 0, "--val", 0, "--test", 0), ("--seed", -1),
     ("--varied", 1.5), ("--output", "file/below")],
)  # fmt: skip
def test_command_line_refuses_bad_input_in_one_line(tmp_path: Path, arguments: tuple) -> None:
    (tmp_path / "file").write_text("in the way")
    result = subprocess.run(
        command("--output", "toy", *arguments), cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names of files")
def test_command_line_takes_names_that_no_console_can_write(tmp_path: Path) -> None:
    few = ("--size", *SMALL, "--train", 1, "--val", 0, "--test", 0, "--num-workers", 1)
    for output, code in ((b"toy\xff", 0), (b"file\xff/below", 2)):
        (tmp_path / os.fsdecode(b"file\xff")).write_text("in the way")
        result = subprocess.run(
            [*command(*few), "--output", output], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        assert result.returncode == code and "Traceback" not in result.stderr
        assert "toy?: 1 train" in result.stdout or result.stderr.startswith("error: ")


def test_toycity_imports_only_labels_from_the_lab() -> None:
    for path in (ROOT / "toycity").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                package = name.split(".")[0]
                allowed = {"numpy", "cv2", "tqdm", "toycity", *sys.stdlib_module_names}
                assert package in allowed or name == "support.formats.cityscapes", (path.name, name)
