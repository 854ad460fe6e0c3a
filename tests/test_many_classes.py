"""Pictures and tables for 2 ... 255 classes, with names short and long."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import commands.test
from commands.comparison.figures import MOST_CLASSES, class_rows_to_draw, draw_classes
from commands.comparison.runs import RunRecord, make_comparison
from commands.comparison.tables import class_notes, class_table
from commands.data import MOST_BARS, class_distribution
from commands.evaluation import score_table
from support.engine.folder import TensorBoardLog
from support.plots import confusion_picture, sample_panel
from utils import add_legend, cut

COUNTS = (2, 19, 60, 150, 255)
LONG = "chest of drawers, commode, bureau, dresser"  # of 42 characters


def long_names(count):
    return [f"{k} {LONG}" for k in range(count)]


def palette_of(count):
    """Colours that no grey of a letter's edge equals; the red tells the class."""
    return np.array([(k, 0, 200) for k in range(count)], dtype=np.uint8)


def classes_in(picture):
    """The classes whose colour of `palette_of` is in a picture."""
    return np.unique(picture[(picture[..., 1:] == (0, 200)).all(axis=2)][:, 0]).tolist()


def test_cut_shortens_what_is_longer():
    assert cut("wall") == "wall" and cut("a" * 40) == "a" * 40
    assert cut("a" * 41) == "a" * 39 + "…" and cut("abcd", 3) == "ab…"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("width", [200, 1200])
def test_legend_is_bounded_and_no_name_reaches_the_next_square(count, width):
    image = np.zeros((4, width, 3), np.uint8)
    legend = add_legend(image, long_names(count), palette_of(count))[4:]
    assert legend.shape[0] <= 1400 and legend.shape[1] <= max(width, 640)
    is_square = (legend[..., 1:] == (0, 200)).all(axis=2)
    squares = np.where(is_square, legend[..., 0], -1)  # the class, or -1
    for k in range(count):
        rows, columns = np.nonzero(squares == k)
        top, bottom, left = rows.min(), rows.max() + 1, columns.min()
        assert (bottom - top) * (np.ptp(columns) + 1) == len(rows)
        assert (legend[top:bottom, left - 3 : left] == 255).all()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["0", "W" * 50])
def test_confusion_picture_is_bounded(count, name):
    height, width, _ = confusion_picture(np.eye(count), [name] * count).shape
    assert 150 <= height <= 1500 and 150 <= width <= 1500


def test_confusion_picture_shows_the_classes_with_the_most_wrong_pixels():
    matrix = np.diag(np.arange(150))
    matrix[140, 7] = 9
    names = [str(k) for k in range(150)]
    picture = confusion_picture(matrix, names)
    for k, is_shown in ((140, True), (7, True), (0, True), (29, False), (149, False)):
        other = [*names[:k], "x", *names[k + 1 :]]
        assert np.array_equal(picture, confusion_picture(matrix, other)) != is_shown


def test_panel_names_the_classes_that_occur():
    image, target = np.zeros((8, 16, 3), np.uint8), np.full((8, 16), 140, np.uint8)
    rows = [(image, target, target - 20)]
    panel = sample_panel(rows, [str(k) for k in range(150)], palette_of(150))
    assert classes_in(panel[-60:]) == [120, 140]  # in the one row of the legend
    rows = [(image, target, target)]
    assert classes_in(sample_panel(rows, long_names(19), palette_of(19))) == [*range(19)]


@pytest.mark.parametrize("count", COUNTS)
def test_class_distribution_is_bounded_and_draws_the_commonest(count):
    counts = np.maximum(10**9 - np.arange(count) * 5 * 10**6, 0)
    plot = class_distribution(counts, long_names(count), palette_of(count))
    assert plot.shape[0] <= 1800 and plot.shape[1] <= 1200
    assert classes_in(plot) == [*range(min(count, MOST_BARS))]


def comparison_of(count, differs=()):
    """Two settings of `count` classes, rare to frequent, that differ in some by 0.2."""
    runs = []
    for loss in ("ce", "dice"):
        rows = {}
        for k, name in enumerate(long_names(count)):
            f1 = 0.7 if k in differs and loss == "dice" else 0.5
            rows[name] = {"f1": f1, "iou": f1 / 2, "pixels": 10 + k}
        config = {"data_fingerprint": "a b", "labels": {"name": "x", "classes": []}}
        history = [{"epoch": 1, "step": 1, "val_macro_f1": 0.5, "val_mean_iou": 0.3}]
        metrics = {"macro_f1": 0.5, "mean_iou": 0.3, "classes": rows}
        runs.append(RunRecord(Path(loss), {"loss": loss}, config, history, metrics, True, {}))
    return make_comparison(runs, "macro_f1")


@pytest.mark.parametrize("count", COUNTS)
def test_figure_of_classes_is_bounded(count):
    comparison = comparison_of(count)
    figure = draw_classes(comparison, comparison.settings)
    width, height = figure.get_size_inches()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert 5 <= width <= 20 and 2 <= height <= 6
    assert len(labels) == min(count, MOST_CLASSES) + 2 and max(map(len, labels)) <= 44
    assert all(" %)" in label for label in labels)
    assert (f"{MOST_CLASSES} of {count} classes" in figure.get_suptitle()) == (count > 30)


def test_figure_of_classes_shows_the_largest_differences_then_the_rarest():
    comparison = comparison_of(150, differs=(77, 149))
    labels = [label for label, _ in class_rows_to_draw(comparison, comparison.settings)]
    shown = [*range(28), 77, 149]
    names = long_names(150)
    assert labels[1:-1] == [names[k] for k in shown]
    assert labels[0] == "mean of the 5 rarest" and labels[-1] == "mean of these 150"


def test_comparison_in_words_is_bounded():
    comparison = comparison_of(150)
    assert max(map(len, class_table(comparison, "f1"))) <= 140
    comparison.pixels.update(dict.fromkeys(long_names(60), 0))
    (note,) = class_notes(comparison)
    assert note.endswith(", 7 chest of drawers, commode, bureau, dr… and 52 more.")


def test_score_table_lines_up():
    rows = {name: {"f1": 0.5, "iou": None, "pixels": 12} for name in ("0", LONG, "a" * 60)}
    totals = dict.fromkeys(("macro_f1", "mean_iou", "pixel_accuracy", "mean_accuracy"), 0.25)
    head, *lines = score_table({"classes": rows, **totals}).splitlines()
    assert {len(line) for line in [head, *lines[:4]]} == {40 + 8 + 8 + 14}
    assert lines[1].startswith(f"{LONG[:39]}…  0.5000") and lines[-1].index("0.2500") == 42


def test_shares_of_a_photo_line_up(monkeypatch, capsys, tmp_path):
    shares = {"0": 0.75, LONG: 0.25}
    photo = commands.test.SegmentedPhoto(Path("a.png"), Path("a_mask.png"), shares)
    monkeypatch.setattr(commands.test, "segment_files", lambda *given: [photo])
    commands.test.report_photos(SimpleNamespace(classes=tuple(shares)), [], tmp_path)
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert len(first) == len(second) and second.endswith("…  25.00%")


def test_tensorboard_keeps_odd_names(tmp_path):
    names = ["a/b", "/", "..", " x ", "ü, ß", "葉", "0"]
    log = TensorBoardLog(tmp_path)
    log.scalars({f"iou/{name}": k for k, name in enumerate(names)}, 1)
    log.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    assert [found.Scalars(f"iou/{name}")[0].value for name in names] == [*range(7)]
