"""The commands that look at data, and the pictures that they and the training draw."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from street_files import SIZE, image_file, label_file, write_png, write_streets

import commands.prepare
import data
import main as command_line
from commands.data import class_distribution, legend_of, single_changes, train_step
from support.formats.cityscapes import CITYSCAPES
from support.formats.labels import IGNORE_INDEX, look_like_train_ids, suspicious_labels
from support.plots import (
    confusion_picture,
    picture_grid,
    sample_panel,
    to_picture,
)
from toycity import render_scene
from utils import LabError, python_command


@pytest.fixture
def streets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_streets(tmp_path / "streets")


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


def picture(path):
    return np.asarray(Image.open(path))


# -------------------------------------------------------------------------- show, stats, augment


@pytest.mark.parametrize("command", ["show", "stats", "augment"])
def test_data_pictures_are_written_and_named(streets, tmp_path, capsys, command):
    assert run(command, "--datadir", streets) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(f"next: {python_command()} ") and str(streets) in lines[-1]
    assert f"plots/{command}.png" in lines[-2]
    assert picture(tmp_path / "plots" / f"{command}.png").shape[2] == 3
    chosen = tmp_path / "elsewhere" / "a.png"
    assert run(command, "--datadir", streets, "--cities", "ulm", "--output", chosen) == 0
    assert str(chosen) in capsys.readouterr().out
    assert chosen.exists() and sorted(p.name for p in chosen.parent.iterdir()) == ["a.png"]


@pytest.mark.parametrize(
    ("size", "ending"),
    [
        ((1024, 2048), ""),
        ((960, 1280), " --img-size 144 192"),
        ((1080, 1920), " --img-size 144 256"),
    ],
)
def test_data_train_step_keeps_the_aspect(tmp_path, size, ending):
    folder = tmp_path / "my photos"
    line = f"next: {python_command()} main.py train --datadir '{folder}'"
    assert train_step(folder, size) == line + ending


def test_data_show_needs_none_of_the_labs_own_code(streets, monkeypatch):
    def unsolved(*arguments):
        raise NotImplementedError

    for name in ("encode_train_ids", "count_pixels", "train_transforms", "eval_transforms"):
        monkeypatch.setattr(data, name, unsolved)
    assert run("show", "--datadir", streets, "--samples", 2) == 0
    with pytest.raises(NotImplementedError):
        run("stats", "--datadir", streets)


def test_data_show_draws_image_labels_and_overlay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_png(image_file(tmp_path, "train", "ulm", 0), np.full((*SIZE, 3), 200, np.uint8))
    write_png(label_file(tmp_path, "train", "ulm", 0), np.full(SIZE, 7, np.uint8))
    assert run("show", "--datadir", tmp_path) == 0
    colors = {tuple(color) for color in picture("plots/show.png").reshape(-1, 3).tolist()}
    assert {(200, 200, 200), (128, 64, 128), (164, 132, 164)} <= colors


def test_data_stats_prints_shares_of_labelled_pixels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ids = np.zeros(SIZE, dtype=np.uint8)  # a half is void, three eighths road, one eighth car
    ids[:, : SIZE[1] // 2] = 7
    ids[:, : SIZE[1] // 8] = 26
    write_png(image_file(tmp_path, "train", "ulm", 0), np.zeros((*SIZE, 3), np.uint8))
    write_png(label_file(tmp_path, "train", "ulm", 0), ids)
    assert run("stats", "--datadir", tmp_path) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    shares = {" ".join(row[:-2]): row[-2:] for row in rows[1:20]}
    assert shares["road"] == ["432", "75.000%"] and shares["car"] == ["144", "25.000%"]
    assert shares["traffic light"] == ["0", "0.000%"]
    assert rows[20][:3] == ["void", "576", "50.000%"]
    assert len(shares) == 19


def test_data_augment_repeats_itself_and_follows_the_seed(streets):
    pictures = []
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert run("augment", "--datadir", streets, "--seed", seed, "--output", name) == 0
        pictures.append(picture(name))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_data_augment_shows_every_change_alone():
    names = [name for name, _ in single_changes(data.train_transforms((16, 32)))]
    assert "horizontal flip" in names and "scale, pad, crop" in names
    flip = dict(single_changes(data.train_transforms((16, 32))))["horizontal flip"]
    mask = np.tile(np.arange(32, dtype=np.uint8), (16, 1))
    for _ in range(8):
        result = flip(image=np.zeros((16, 32, 3), np.uint8), mask=mask)
        assert np.array_equal(result["mask"], mask[:, ::-1])
    assert single_changes(lambda image, mask: {}) == []


def test_data_show_names_equal_colours_once():
    names = list(legend_of(CITYSCAPES, range(34)).values())
    assert names.count("void") == 1 and "road" in names and "ego vehicle" not in names
    assert legend_of(CITYSCAPES, {17, 18}) == {(153, 153, 153): "pole, polegroup"}


# ----------------------------------------------------------------------------------------- check


def test_data_check_finds_nothing_in_sound_data(streets, capsys):
    assert run("check", "--datadir", streets) == 0
    assert "no fault" in capsys.readouterr().out


def test_data_check_reports_all_faults_in_one_go(streets, capsys):
    label_file(streets, "train", "aachen", 0).unlink()
    image_file(streets, "train", "aachen", 1).unlink()
    broken = image_file(streets, "train", "aachen", 2)
    broken.write_bytes(broken.read_bytes()[:-30])
    write_png(label_file(streets, "train", "bremen", 0), np.zeros((8, 8), np.uint8))
    write_png(label_file(streets, "train", "bremen", 1), np.full(SIZE, 99, np.uint8))
    write_png(label_file(streets, "train", "ulm", 0), np.zeros((*SIZE, 3), np.uint8))
    label_file(streets, "train", "ulm", 1).write_bytes(b"")
    label_file(streets, "val", "munster", 0).rename(
        streets / "gtFine/val/munster/munster_000000_000019_gtFine_labelTrainIds.png"
    )
    assert run("check", "--datadir", streets) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    expected = (
        ("aachen_000000", "without its target"),
        ("aachen_000001", "target without its image"),
        ("aachen_000002", "not a readable image"),
        ("bremen_000000", "8x8"),
        ("bremen_000001", "99"),
        ("ulm_000000", "mode RGB"),
        ("ulm_000001", "empty"),
        ("munster_000000", "labelTrainIds"),
    )
    assert len(lines) == len(expected) + 1 and lines[-1].startswith("8 faults")
    for name, fault in expected:
        assert any(name in line and fault in line for line in lines)


def spoil_labels(streets, split, change):
    """Rewrites the targets of a split: `change` gets label ids and returns what is saved."""
    for path in streets.glob(f"gtFine/{split}/*/*_labelIds.png"):
        write_png(path, change(picture(path)))


def as_train_ids(label_ids):
    train_ids = data.encode_train_ids(label_ids)
    return np.where(train_ids == IGNORE_INDEX, 0, train_ids).astype(np.uint8)


def test_data_check_warns_of_train_ids_and_of_a_split_without_labels(streets, tmp_path, capsys):
    spoil_labels(streets, "train", as_train_ids)
    spoil_labels(streets, "val", lambda label_ids: label_ids % 4)
    arguments = ("prepare", "--datadir", streets, "--size", 24, 48, "--output", tmp_path / "small")
    assert run(*arguments) == 0
    for folder in (streets, tmp_path / "small"):
        capsys.readouterr()
        assert run("check", "--datadir", folder) == 0
        first, second, last, _ = capsys.readouterr().out.splitlines()
        assert first.startswith(
            f"warning: split 'train' of {folder}: 7 of the 7 targets read look "
        )
        assert "aachen_000000_000019" in first and "such as 7 for road" in first
        assert second.startswith(f"warning: split 'val' of {folder}: every pixel of the 2 targets ")
        assert last == f"no fault in {folder} (9 pairs read), 2 warnings"
    assert run("check", "--datadir", streets, "--cities", "aachen") == 0
    assert "3 of the 3 targets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layer", "fault"),
    [("leftImg8bit", "target without its image"), ("gtFine", "image without its target")],
)
def test_data_check_does_not_pass_over_half_a_split(streets, capsys, layer, fault):
    shutil.rmtree(streets / layer / "val")
    assert run("check", "--datadir", streets) == 1
    assert capsys.readouterr().out.count(fault) == 2


def test_data_check_counts_faults_and_warnings_apart(streets, capsys):
    spoil_labels(streets, "train", as_train_ids)
    write_png(label_file(streets, "train", "ulm", 0), np.full(SIZE, 99, np.uint8))
    assert run("check", "--datadir", streets) == 1
    fault, warning, last = capsys.readouterr().out.splitlines()
    assert "outside the set" in fault and "6 of the 6 targets read" in warning
    assert last == f"1 fault in {streets} (9 pairs read), 1 warning: mend these, then check again"


def test_data_check_names_the_one_city_of_train_ids(streets, capsys):
    path = label_file(streets, "train", "bremen", 1)
    write_png(path, as_train_ids(picture(path)))
    assert run("check", "--datadir", streets) == 0
    out = capsys.readouterr().out
    assert "1 of the 7 targets read look like train ids" in out and str(path) in out


CAMVID_LABELS = (7, 8, 11, 13, 17, 20, 21, 23, 24, 25, 26)


@pytest.mark.parametrize(
    "label_ids",
    [
        *(render_scene("ahornau", 0, number, (64, 128))[1] for number in range(3)),
        np.resize([0, *CAMVID_LABELS], (12, 24)),
        np.resize([0, 0, 0, 7], (12, 24)),  # nothing but the road is labelled
        np.resize([0, 0, 0, 0, 1, 7, 7, 8], (12, 24)),  # and the car's bonnet
        np.resize([7, 11, 8], (12, 24)),
        np.zeros((0, 0)),
    ],
)
def test_suspicious_labels_has_nothing_against_label_ids(label_ids):
    counts = CITYSCAPES.count(label_ids.astype(np.uint8))
    assert not look_like_train_ids(counts, CITYSCAPES)
    assert not label_ids.any() or suspicious_labels("train", {"x.png": counts}, CITYSCAPES) == []


@pytest.mark.parametrize(
    "label_ids",
    [
        *(as_train_ids(render_scene("ahornau", 0, number, (64, 128))[1]) for number in range(3)),
        as_train_ids(np.resize([0, *CAMVID_LABELS], (12, 24))),
        np.arange(19),
        np.resize([10, 13], (12, 24)),  # exactly a half is void
    ],
)
def test_suspicious_labels_finds_train_ids(label_ids):
    assert look_like_train_ids(CITYSCAPES.count(label_ids), CITYSCAPES)
    above = CITYSCAPES.count(np.append(label_ids.ravel(), len(CITYSCAPES)))
    assert not look_like_train_ids(above, CITYSCAPES)


def test_label_warnings_reads_a_few_targets_of_all_cities(tmp_path):
    streets = write_streets(tmp_path, {"train": {"aachen": 12, "ulm": 8}})
    dataset = data.SegmentationDataset(streets, "train")
    assert data.label_warnings(dataset) == []
    spoil_labels(streets, "train", lambda label_ids: label_ids * 0)
    read, original = [], dataset.source.read_label_ids
    dataset.source.read_label_ids = lambda index: read.append(index) or original(index)
    (line,) = data.label_warnings(dataset)
    assert line.startswith(f"warning: split 'train' of {streets}: every pixel of the 16 targets ")
    assert len(set(read)) == 16 and {0, 19} <= set(read)
    assert len(data.label_warnings(dataset, most=1)) == 1


def test_a_split_that_is_all_void_is_refused_with_the_cure(streets):
    spoil_labels(streets, "val", lambda label_ids: label_ids * 0)
    with pytest.raises(LabError, match=r"split 'val' .*every pixel is void.* such as 7 for road$"):
        data.open_datasets(streets, (16, 32))


def test_label_warnings_of_any_number_of_targets(streets):
    spoil_labels(streets, "train", as_train_ids)
    for limit in (1, 2, 7):
        (line,) = data.label_warnings(data.SegmentationDataset(streets, "train", limit=limit))
        assert f"{limit} of the {limit} targets read look like train ids" in line


def test_data_check_looks_where_it_is_told(streets, capsys):
    label_file(streets, "train", "aachen", 0).unlink()
    assert run("check", "--datadir", streets, "--split", "val") == 0
    assert run("check", "--datadir", streets, "--cities", "ulm", "munster") == 0
    assert run("check", "--datadir", streets, "--cities", "aachen") == 1
    assert "1 fault " in capsys.readouterr().out


# --------------------------------------------------------------------------------------- prepare


def test_data_prepare_makes_a_folder_like_any_other(streets, tmp_path, capsys):
    arguments = ("prepare", "--datadir", streets, "--size", 8, 16, "--output", tmp_path / "small")
    assert run(*arguments, "--cities", "ulm", "munster") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        f"next: {python_command()} main.py train --datadir {tmp_path / 'small'} --img-size 8 16"
    )
    for command in ("show", "stats", "augment", "check"):
        assert run(command, "--datadir", tmp_path / "small") == 0
    assert data.SegmentationDataset(tmp_path / "small", "train").cities == ["ulm"]
    assert data.SegmentationDataset(tmp_path / "small", "val").sizes == [(8, 16)] * 2


def test_data_prepare_takes_splits_and_limits(streets, tmp_path):
    arguments = ("prepare", "--datadir", streets, "--size", 8, 16, "--output", tmp_path / "small")
    assert run(*arguments, "--splits", "train", "--limit", 3) == 0
    assert len(data.SegmentationDataset(tmp_path / "small", "train")) == 3
    with pytest.raises(LabError, match="there are: train"):
        data.SegmentationDataset(tmp_path / "small", "val")


def test_data_prepare_does_not_touch_a_folder_in_use(streets, tmp_path, capsys):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("years of work")
    assert run("prepare", "--datadir", streets, "--output", tmp_path / "used") == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_data_prepare_interrupted_leaves_nothing(streets, tmp_path, monkeypatch, capsys, error):
    calls = []

    def fail_later(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise error
        return resize(*arguments)

    resize = commands.prepare.resize_image
    monkeypatch.setattr(commands.prepare, "resize_image", fail_later)
    before = sorted(path.name for path in tmp_path.iterdir())
    code = run("prepare", "--datadir", streets, "--output", tmp_path / "small")
    assert code == (130 if error is KeyboardInterrupt else 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    last = capsys.readouterr().err.splitlines()[-1]
    assert ("interrupted" if code == 130 else "No space left") in last


def test_data_prepare_names_what_would_not_fit(streets, tmp_path, capsys):
    size = ("--size", 30_000_000, 10_000)
    assert run("prepare", "--datadir", streets, "--output", tmp_path / "small", *size) == 2
    assert "GB" in capsys.readouterr().err and not (tmp_path / "small").exists()


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["show", "--datadir", "missing"], "does not exist"),
        (["show", "--datadir", "streets", "--split", "test"], "there are: train, val"),
        (["stats", "--datadir", "streets", "--cities", "berlin"], "there are: aachen"),
        (["check", "--datadir", "streets", "--split", "test"], "there are: train, val"),
        (["check", "--datadir", "streets", "--cities", "berlin"], "there are: aachen"),
        (["prepare", "--datadir", "streets", "--output", "x", "--cities", "berlin"], "'berlin'"),
        (["prepare", "--datadir", "streets", "--output", "x", "--splits", "dev"], "'dev'"),
        (["augment", "--datadir", "streets", "--index", "7"], "0 ... 6"),
        (["augment", "--datadir", "streets", "--index", "-1"], "0 ... 6"),
        (["show", "--datadir", "streets", "--output", "streets/gtFine"], ".png"),
        (["show", "--datadir", "streets", "--output", "file.txt/show.png"], "cannot write"),
    ],
)
def test_data_commands_end_with_one_line_and_code_2(streets, capsys, arguments, fragment):
    (streets.parent / "file.txt").write_text("not a folder")
    try:
        code = run(*arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and fragment in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["show", "--limit", "0"], ["prepare"], ["augment", "--size", "0", "5"], ["paint"]],
)
def test_data_usage_errors_are_one_line_and_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names of files")
def test_commands_take_names_that_no_console_can_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    odd = os.fsdecode(b"\xff")
    streets = write_streets(tmp_path / f"data{odd}", {f"train{odd}": {f"ulm{odd}": 2, "aachen": 1}})
    for folder in (streets, tmp_path / f"small{odd}"):
        for command in ("show", "stats", "augment"):
            picture_file = tmp_path / f"{command}{odd}.png"
            arguments = ("--datadir", folder, "--split", f"train{odd}", "--output", picture_file)
            assert run(command, *arguments) == 0
            assert picture(picture_file).shape[2] == 3
        assert run("check", "--datadir", folder) == 0
        if folder == streets:
            assert run("prepare", "--datadir", folder, "--output", f"small{odd}") == 0
    names = [path.name for path in (tmp_path / f"data{odd}").rglob(f"ulm{odd}*.png")]
    dataset = data.SegmentationDataset(tmp_path / f"small{odd}", f"train{odd}", [f"ulm{odd}"])
    assert {f"{name}_leftImg8bit.png" for _, name in dataset.pairs} < set(names)
    assert (
        data.SegmentationDataset(streets, f"train{odd}").source.fingerprint()
        != dataset.source.fingerprint()
    )
    write_png(label_file(streets, f"train{odd}", f"ulm{odd}", 0), np.full(SIZE, 99, np.uint8))
    assert run("check", "--datadir", streets) == 1
    assert run("show", "--datadir", streets, "--split", f"train{odd}", "--cities", odd) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names of files")
def test_test_takes_an_image_whose_name_no_console_can_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    odd = os.fsdecode(b"\xff")
    write_png(tmp_path / f"{odd}.png", np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / f"{odd}_2.png").write_bytes(b"not an image")
    model = Path(data.__file__).parent / "pretrained" / "toystreets.onnx"
    assert run("test", "--modelpath", model, "--image", f"{odd}.png", "--output", odd) == 0
    assert {f"{odd}_{kind}.png" for kind in ("mask", "overlay", "trainIds")} == set(os.listdir(odd))
    assert run("test", "--modelpath", model, "--image", f"{odd}_2.png") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(r"error: \xff_2.png: not an image")


def test_data_flags_all_have_a_help():
    commands = command_line.build_parser()._subparsers._group_actions[0].choices
    assert set(commands) >= {"show", "stats", "augment", "check", "prepare"}
    for command in commands.values():
        assert all(action.help for action in command._actions)


def test_resolve_datadir_makes_the_toy_data_only_when_none_is_given(tmp_path, monkeypatch):
    made = []
    toycity = ModuleType("toycity")
    toycity.ensure_toycity = lambda root: made.append(root) or root
    monkeypatch.setitem(sys.modules, "toycity", toycity)
    assert data.resolve_datadir(tmp_path) == tmp_path and not made
    root = data.resolve_datadir(None)
    assert made == [root] and root.name == "toydata"


# -------------------------------------------------------------------------------------- pictures


def test_sample_panel_enlarges_small_and_reduces_large_pictures():
    for height, width in ((16, 32), (128, 256), (1024, 2048)):
        image = np.full((height, width, 3), 255, np.uint8)
        target = np.zeros((height, width), np.uint8)
        panel = sample_panel(
            [(image, target, target + 13)] * 2, CITYSCAPES.names, CITYSCAPES.palette
        )
        assert panel.dtype == np.uint8 and 900 < panel.shape[1] < 2600
        area = (
            (panel == CITYSCAPES.palette[0]).all(axis=2).sum(),
            (panel == CITYSCAPES.palette[13]).all(axis=2).sum(),
        )
        assert abs(area[0] / area[1] - 1) < 0.05 and area[0] > 2 * 300 * 150


def test_sample_panel_draws_void_black():
    image, void = np.full((8, 8, 3), 255, np.uint8), np.full((8, 8), 255, np.uint8)
    panel = sample_panel([(image, void, void)], CITYSCAPES.names, CITYSCAPES.palette)
    assert (panel == 0).all(axis=2).sum() > 2 * 350 * 350


def test_picture_grid_takes_rows_and_sizes_of_any_kind():
    rows = [[np.zeros((4, 9, 3), np.uint8)] * 3, [np.zeros((9, 4, 3), np.uint8)]]
    captions = [["a", "b", "c"], ["d"]]
    assert picture_grid(rows).shape[2] == 3
    assert picture_grid(rows, None, captions).shape[0] > picture_grid(rows).shape[0]


def test_confusion_picture_normalises_rows():
    matrix = np.array([[0, 10, 0], [0, 10, 10], [0, 0, 0]])
    first = confusion_picture(matrix, ["a", "b", "c"])
    scaled = confusion_picture(matrix * [[700], [3], [1]], ["a", "b", "c"])
    assert np.array_equal(first, scaled)
    transposed = confusion_picture(matrix.T, ["a", "b", "c"])
    assert first.shape == transposed.shape and not np.array_equal(first, transposed)
    assert confusion_picture(np.zeros((19, 19)), CITYSCAPES.names).shape[2] == 3


def test_class_distribution_draws_longer_bars_for_commoner_classes():
    def area(plot, color):
        return (plot == color).all(axis=2).sum()

    colors = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], dtype=np.uint8)
    plot = class_distribution(np.array([1000, 10, 0]), ["a", "b", "c"], colors, "title")
    assert area(plot, colors[0]) > 2 * area(plot, colors[1]) > 0
    assert area(plot, colors[2]) == 0
    for counts in (np.zeros(3), np.array([5, 0, 0]), np.array([10**12, 1, 0])):
        assert class_distribution(counts, ["a", "b", "c"], colors).shape[2] == 3


def test_to_picture_undoes_the_normalisation():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    mask = np.zeros((8, 8), np.uint8)
    normalised = data.eval_transforms((8, 8))(image=image, mask=mask)["image"]
    assert np.array_equal(to_picture(normalised, data.MEAN, data.STD), image)
