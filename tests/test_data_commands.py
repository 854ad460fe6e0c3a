"""The commands that look at data, and the pictures that they and the training draw."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from street_files import SIZE, image_file, label_file, write_png, write_streets

import data
import main as command_line
from commands.data import legend_of, single_changes, train_step
from support.formats import prepared as prepared_module
from support.formats.labels import CLASS_NAMES, PALETTE
from support.plots import (
    class_distribution,
    confusion_picture,
    picture_grid,
    sample_panel,
    to_picture,
)
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


def test_data_show_draws_photo_labels_and_overlay(tmp_path, monkeypatch):
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
    names = list(legend_of(range(34)).values())
    assert names.count("void") == 1 and "road" in names and "ego vehicle" not in names
    assert legend_of({17, 18}) == {(153, 153, 153): "pole, polegroup"}


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
    assert data.CityscapesDataset(tmp_path / "small", "train").cities == ["ulm"]
    assert data.CityscapesDataset(tmp_path / "small", "val").sizes == [(8, 16)] * 2


def test_data_prepare_takes_splits_and_limits(streets, tmp_path):
    arguments = ("prepare", "--datadir", streets, "--size", 8, 16, "--output", tmp_path / "small")
    assert run(*arguments, "--splits", "train", "--limit", 3) == 0
    assert len(data.CityscapesDataset(tmp_path / "small", "train")) == 3
    with pytest.raises(LabError, match="there are: train"):
        data.CityscapesDataset(tmp_path / "small", "val")


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

    resize = prepared_module.resize_pair
    monkeypatch.setattr(prepared_module, "resize_pair", fail_later)
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
        truth = np.zeros((height, width), np.uint8)
        panel = sample_panel([(image, truth, truth + 13)] * 2, CLASS_NAMES, PALETTE)
        assert panel.dtype == np.uint8 and 900 < panel.shape[1] < 2600
        area = (panel == PALETTE[0]).all(axis=2).sum(), (panel == PALETTE[13]).all(axis=2).sum()
        assert abs(area[0] / area[1] - 1) < 0.05 and area[0] > 2 * 300 * 150


def test_sample_panel_draws_void_black():
    image, void = np.full((8, 8, 3), 255, np.uint8), np.full((8, 8), 255, np.uint8)
    panel = sample_panel([(image, void, void)], CLASS_NAMES, PALETTE)
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
    assert confusion_picture(np.zeros((19, 19)), CLASS_NAMES).shape[2] == 3


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
