"""Comparing runs, on made folders whose means and deviations are computed by hand."""

import csv
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands.comparison import figures as comparison_figures
from commands.comparison import runs as compared
from commands.comparison import tables as comparison_text
from commands.comparison.beside import Beside, Other, read_beside
from commands.comparison.tables import compare_runs
from commands.train import TRAIN_DEFAULTS
from support.engine.folder import HISTORY_COLUMNS
from utils import LabError, read_image

LAB = Path(__file__).resolve().parent.parent
PIXELS = {"road": 800, "car": 120, "pole": 30, "rider": 4, "sign": 16, "train": 0, "fence": 30}
DATA = "trainhash valhash"


def make_run(folder, scores=(0.2, 0.4), finished=True, classes=None, config=None, **arguments):
    """Writes a run's folder whose validation macro F1 are `scores` and mean IoU half of them."""
    folder.mkdir(parents=True)
    content = {
        "arguments": {**TRAIN_DEFAULTS, "class_weights": "none", "epochs": 2, **arguments},
        "versions": {"torch": "2.13.0"},
        "git_commit": "c" * 40,
        "data_fingerprint": DATA,
        "labels": {"name": "streets", "classes": [{"name": "road", "id": 0}]},
        "resolved": {"precision": "float32", "processes": 1},
        **(config or {}),
    }
    (folder / "config.json").write_text(json.dumps(content))
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS, restval=0.5)
        writer.writeheader()
        for epoch, score in enumerate(scores, start=1):
            row = {"epoch": epoch, "step": 10 * epoch, "val_macro_f1": score}
            writer.writerow({**row, "val_mean_iou": score / 2})
    if classes is not None:
        rows = {
            name: {"f1": f1, "iou": None if f1 is None else f1 / 2, "pixels": PIXELS[name]}
            for name, f1 in classes.items()
        }
        metrics = {"macro_f1": max(scores, default=0.0), "mean_iou": 0.1, "classes": rows}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    if finished:
        (folder / "summary.txt").write_text("best validation macro F1\n")
    return folder


def f1_of_classes(rare, frequent=0.9):
    """F1 per class: `rare` for the rider, the sign, the fence and the pole."""
    many = dict.fromkeys(("road", "car"), frequent)
    return {**many, **dict.fromkeys(("rider", "sign", "fence", "pole"), rare), "train": None}


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def figures():
    """For the tests that need figures; the others go without, which saves most of the time."""


@pytest.fixture(autouse=True)
def draw_on_request(request, monkeypatch):
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(comparison_text, "write_figures", lambda *_: [])


@pytest.fixture
def sweep(tmp_path):
    """Three repeats of ce, of wce two and an unfinished one."""
    for seed, score in enumerate((0.50, 0.53, 0.47)):
        classes = f1_of_classes(0.1 + 0.01 * seed)
        make_run(tmp_path / f"ce-{seed}", (0.3, score), classes=classes, loss="ce", seed=seed)
    wce = {"loss": "wce", "class_weights": "sqrt"}
    for seed, score in enumerate((0.60, 0.64)):
        classes = f1_of_classes(0.5 + 0.02 * seed, frequent=0.8)
        make_run(tmp_path / f"wce-{seed}", (score, 0.35), classes=classes, seed=seed, **wce)
    make_run(tmp_path / "wce-2", (0.99,), finished=False, seed=2, **wce)
    return tmp_path


def test_compare_means_and_deviations_equal_numpy(sweep):
    compare_runs([sweep], sweep / "out")
    best, second = read_csv(sweep / "out" / "compare.csv")
    assert best["setting"] == "loss=wce, class_weights=sqrt" and second["setting"] == "loss=ce"
    assert (best["runs"], best["unfinished"], second["runs"]) == ("2", "1", "3")
    for row, scores in ((best, (0.60, 0.64)), (second, (0.50, 0.53, 0.47))):
        assert float(row["macro_f1_mean"]) == pytest.approx(np.mean(scores), abs=1e-12)
        assert float(row["macro_f1_deviation"]) == pytest.approx(np.std(scores, ddof=1), abs=1e-12)
        assert float(row["mean_iou_mean"]) == pytest.approx(np.mean(scores) / 2, abs=1e-12)


def test_compare_says_the_table_and_where_the_files_are(sweep, figures):
    text = compare_runs([sweep])
    assert "| 0.6200 ± 0.0283 | 0.3100 ± 0.0141 |" in text
    assert "| 0.5000 ± 0.0300 | 0.2500 ± 0.0150 |" in text
    assert f"the comparison is in {sweep / 'comparison'}: compare.md, compare.csv" in text
    written = {path.name for path in (sweep / "comparison").iterdir()}
    assert written == set(text.split("comparison: ")[1].split(", "))
    assert {"compare_runs.csv", "curves.png", "bars.png", "classes.png"} < written


def test_compare_shows_what_runs_cost(tmp_path):
    for seed, seconds in enumerate((10.0, 13.0)):
        cost = {"parameters": 2160000, "learning": 323, "seconds": 9.0, "gibibytes": None}
        cost["epoch_seconds"] = seconds
        run = make_run(tmp_path / f"last{seed}", train="last", seed=seed)
        (run / "cost.json").write_text(json.dumps(cost))
    make_run(tmp_path / "all", train="all")
    text = compare_runs([tmp_path], tmp_path / "out")
    header, _, *rows = text.splitlines()[:4]
    assert [cell.strip() for cell in header.split("|")][-3:-1] == [
        "parameters learned",
        "s an epoch",
    ]
    ends = {
        row.split("|")[2].strip(): [cell.strip() for cell in row.split("|")][-3:-1] for row in rows
    }
    assert ends == {"train=last": ["323", "11.5"], "train=all": ["–", "–"]}
    runs = read_csv(tmp_path / "out" / "compare_runs.csv")
    assert [row["epoch_seconds"] for row in runs if row["learning"]] == ["10.0", "13.0"]


def test_compare_lists_unfinished_runs_apart(sweep):
    text = compare_runs([sweep])
    row = next(line for line in text.splitlines() if line.startswith("| wce-2 "))
    assert [cell.strip() for cell in row.split("|")[3:6]] == ["1", "0.9900", "0.9900"]
    assert "2 (+ 1 unfinished)" in text and "0.6200" in text


def test_compare_scores_are_those_of_the_kept_weights(tmp_path):
    run = make_run(tmp_path / "a", ())
    columns = ",".join(HISTORY_COLUMNS)
    (run / "history.csv").write_text(f"{columns}\n1,5,1,1,0.6,0.3,1,1\n2,9,1,1,0.5,0.4,1,1\n")
    compare_runs([run], tmp_path / "out", "mean_iou")
    (row,) = read_csv(tmp_path / "out" / "compare_runs.csv")
    assert (row["best_epoch"], row["mean_iou"]) == ("1", "0.3")
    assert (row["last_epoch"], row["last_step"], row["last_mean_iou"]) == ("2", "9", "0.4")


def test_compare_classes_run_from_rare_to_frequent_with_differences(sweep):
    compare_runs([sweep], sweep / "out")
    rows = read_csv(sweep / "out" / "compare_classes.csv")
    wce = {row["class"]: row for row in rows if row["setting"].startswith("loss=wce")}
    assert list(wce) == [
        "mean of the 5 rarest", "rider", "sign", "fence", "pole", "car", "road", "mean of these 6",
    ]  # fmt: skip
    rare = [statistics.fmean([rare] * 4 + [0.8]) for rare in (0.50, 0.52)]
    base = [statistics.fmean([rare] * 4 + [0.9]) for rare in (0.10, 0.11, 0.12)]
    row = wce["mean of the 5 rarest"]
    assert float(row["f1_mean"]) == pytest.approx(np.mean(rare))
    assert float(row["f1_deviation"]) == pytest.approx(np.std(rare, ddof=1))
    assert float(row["f1_difference"]) == pytest.approx(np.mean(rare) - np.mean(base))
    assert float(row["iou_difference"]) == pytest.approx((np.mean(rare) - np.mean(base)) / 2)
    assert row["pixels"] == "200"
    assert float(wce["road"]["f1_difference"]) == pytest.approx(-0.1)
    assert {row["f1_difference"] for row in rows if row["setting"] == "loss=ce"} == {""}


def test_compare_answers_for_rare_classes_in_the_first_table(sweep):
    text = compare_runs([sweep])
    assert "F1, mean of the 5 rarest" in text and "0.5680 ± 0.0113 (+0.3000)" in text
    assert "rider, sign, fence, pole, car, 20 % of the labelled" in text
    assert "Not in the validation images, so not among the classes: train" in text


def test_compare_takes_the_first_run_given_as_baseline(sweep):
    compare_runs([sweep / "ce-0" / ".." / "wce-0", sweep], sweep / "out")
    rows = read_csv(sweep / "out" / "compare_classes.csv")
    road = next(row for row in rows if row["setting"] == "loss=ce" and row["class"] == "road")
    assert float(road["f1_difference"]) == pytest.approx(0.1)
    assert len(read_csv(sweep / "out" / "compare_runs.csv")) == 6


def test_settings_ignore_what_does_not_matter(tmp_path):
    whole = {"small_share": 0.0, "average": 0.0}
    make_run(tmp_path / "a", seed=0, device="cpu", num_workers=2, datadir="/here/city", **whole)
    there = {"logdir": "x", "name": "b", "save_minutes": 3, "datadir": "/there/city"}
    make_run(tmp_path / "b", seed=1, **there, **whole)
    older = make_run(tmp_path / "c", seed=2)
    config = json.loads((older / "config.json").read_text())
    for key in ("lr", "limit", *whole):
        del config["arguments"][key]
    (older / "config.json").write_text(json.dumps(config))
    compare_runs([tmp_path], tmp_path / "out", defaults=TRAIN_DEFAULTS)
    (row,) = read_csv(tmp_path / "out" / "compare.csv")
    assert row["runs"] == "3" and row["setting"] == "model=unet, loss=wce"


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"num_blocks": 1}, {"num_blocks": 4}, ("num_blocks=1", "num_blocks=4")),
        ({"lr": 1e-3}, {"lr": 0.0010000001}, ("lr=0.001", "lr=0.0010000001")),
        ({"limit": None}, {"limit": 50}, ("limit=none", "limit=50")),
        ({"img_size": [8, 16]}, {"img_size": [8, 32]}, ("img_size=8x16", "img_size=8x32")),
        (
            {"cities_train": list("abcd")},
            {"cities_train": ["a"]},
            ("a + b + 2 more", "cities_train=a"),
        ),
        ({"lr": 1.0, "loss": "ce"}, {"lr": 0.5}, ("loss=ce, lr=1", "loss=wce, lr=0.5")),
        ({"cities_val": list("abcd")}, {"cities_val": list("abxy")}, ("2 more (1)", "2 more (2)")),
    ],
)
def test_settings_are_named_by_what_differs(tmp_path, first, second, names):
    make_run(tmp_path / "a", (0.2,), **first)
    make_run(tmp_path / "b", (0.1,), **second)
    compare_runs([tmp_path], tmp_path / "out")
    rows = read_csv(tmp_path / "out" / "compare.csv")
    assert rows[0]["setting"].endswith(names[0]) and rows[1]["setting"].endswith(names[1])
    assert rows[0]["setting"] != rows[1]["setting"]


def test_compare_never_joins_or_silently_compares_other_data(tmp_path):
    make_run(tmp_path / "a", (0.2,), classes=f1_of_classes(0.1))
    other = {"data_fingerprint": "trainhash otherhash"}
    make_run(tmp_path / "b", (0.9,), classes=f1_of_classes(0.9), seed=1, config=other)
    third = {"data_fingerprint": "moretrain valhash"}
    make_run(tmp_path / "c", (0.3,), classes=f1_of_classes(0.2), seed=2, config=third)
    text = compare_runs([tmp_path], tmp_path / "out")
    rows = {row["setting"]: row for row in read_csv(tmp_path / "out" / "compare.csv")}
    assert [row["runs"] for row in rows.values()] == ["1", "1", "1"]
    assert [row["same_validation_data"] for row in rows.values()] == ["False", "True", "True"]
    (marked,) = (line for line in text.splitlines() if line.startswith("| 1 "))
    assert "†" in marked and "(+" not in marked
    assert "**Validated on other images** (marked †)" in text and "otherh" in text
    assert "**Trained on other images**" in text and "moretr" in text


def test_compare_says_what_else_differs(tmp_path):
    make_run(tmp_path / "a", (0.2, 0.3), loss="ce")
    other = {"git_commit": "d" * 40 + "+changes", "versions": {"torch": "2.14.0"}}
    other["resolved"] = {"precision": "bfloat16", "processes": 2}
    make_run(tmp_path / "b", (0.2, 0.3, 0.4), config=other)
    text = compare_runs([tmp_path])
    assert "cccccccccc (a)" in text and "dddddddddd with uncommitted changes (b)" in text
    assert "The exact code is not known (uncommitted changes, or no git): b." in text
    assert "Different PyTorch: 2.14.0 (b); 2.13.0 (a)." in text
    assert "Different precision: bfloat16 (b); float32 (a)." in text
    assert "Different processes: 2 (b); 1 (a)." in text
    assert "3 epochs, 30 steps (loss=wce); 2 epochs, 20 steps (loss=ce)" in text
    assert "One finished run only, so no deviation (–): loss=wce; loss=ce" in text
    assert "0.4000 ± –" in text and "No metrics.json" in text


def test_compare_says_when_repeats_ended_at_different_epochs(tmp_path):
    make_run(tmp_path / "a", (0.2, 0.3), seed=0)
    make_run(tmp_path / "b", (0.2, 0.3, 0.1), seed=1)
    assert "2–3 epochs, 20–30 steps" in compare_runs([tmp_path])


def test_compare_says_when_seeds_repeat(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_run(tmp_path / name, seed=seed)
    assert "Not independent repeats, as seeds occur twice: a, b, c (seeds 0, 0, 1)" in compare_runs(
        [tmp_path]
    )


def test_compare_says_nothing_where_all_compares(tmp_path):
    for seed in range(2):
        for loss in ("ce", "wce"):
            classes = {key: f1 for key, f1 in f1_of_classes(0.3).items() if key != "train"}
            make_run(tmp_path / f"{loss}-{seed}", classes=classes, seed=seed, loss=loss)
    assert "only with care" not in compare_runs([tmp_path])


def test_compare_says_when_metrics_are_of_another_epoch(tmp_path):
    run = make_run(tmp_path / "a", (0.2, 0.4), classes=f1_of_classes(0.1))
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "macro_f1": 0.2}))
    assert "have different macro F1" in compare_runs([run])


def test_markdown_has_each_command(tmp_path):
    typed = "python main.py train --name 'my run'"
    make_run(tmp_path / "a", config={"command": typed})
    resumed = {"command": "python main.py train --resume b"}
    make_run(tmp_path / "b", loss="ce", cities_train=["a b", "c"], config=resumed)
    compare_runs([tmp_path], tmp_path / "out")
    lines = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8").splitlines()
    assert f"    {typed}" in lines
    (made,) = (line for line in lines if line.startswith("    ") and "--loss ce" in line)
    assert "--cities-train 'a b' c" in made and "--img-size 128 256" in made
    assert "--resume" not in made and "--limit" not in made and "None" not in made


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", '{"arguments": {}}'),
        ("config.json", '{"arguments": [], "data_fingerprint": "a"}'),
        ("cost.json", '{"parameters": 1, "learning": "many", "seconds": 1, "epoch_seconds": 1}'),
        ("history.csv", "epoch,step\n1,2\n"),
        ("history.csv", "epoch,step,val_macro_f1,val_mean_iou\n1,2,0.5\n"),
        ("history.csv", "epoch,step,val_macro_f1,val_mean_iou\n1,2,nan,0.5\n"),
        ("history.csv", "epoch,step,val_macro_f1,val_mean_iou\n1,2,.5,.5\n1,2,.5,.5\n"),
        ("history.csv", ""),
        ("history.csv", "\0\udcff"),
        ("metrics.json", "[]"),
        ("metrics.json", '{"macro_f1": 0.5, "classes": {"road": {"f1": "x"}}}'),
        ("metrics.json", '{"classes": {}}'),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content):
    run = make_run(tmp_path / "a", classes=f1_of_classes(0.1))
    (run / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(LabError, match=name.replace(".", r"\.")) as caught:
        compare_runs([run])
    assert str(run) in caught.value.line and "\n" not in str(caught.value)


def test_find_runs_refuses_what_is_no_run(tmp_path):
    make_run(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing", tmp_path / "a" / "config.json"):
        with pytest.raises(LabError, match="not a run") as caught:
            compare_runs([tmp_path / "a", path])
        assert str(path) in str(caught.value)


def test_compare_again_passes_over_its_own_folder(tmp_path):
    make_run(tmp_path / "a")
    first = compare_runs([tmp_path])
    assert compare_runs(sorted(tmp_path.iterdir())) == first


def test_compare_needs_an_epoch(tmp_path):
    make_run(tmp_path / "a", (), finished=False)
    (tmp_path / "a" / "history.csv").unlink()
    with pytest.raises(LabError, match="no epoch"):
        compare_runs([tmp_path])


def test_compare_refuses_an_unknown_metric(tmp_path):
    with pytest.raises(LabError, match="macro_f1, mean_iou"):
        compare_runs([make_run(tmp_path / "a")], metric="accuracy")


def test_compare_works_with_unfinished_runs_alone(tmp_path, figures):
    make_run(tmp_path / "a", finished=False)
    make_run(tmp_path / "b", (), finished=False, loss="ce")
    text = compare_runs([tmp_path], tmp_path / "out")
    assert "none yet" in text
    assert (tmp_path / "out" / "curves.png").is_file()
    assert not (tmp_path / "out" / "bars.png").exists()


def test_compare_removes_what_no_longer_holds(sweep, figures):
    compare_runs([sweep], sweep / "out")
    for metrics in sweep.glob("*/metrics.json"):
        metrics.unlink()
    compare_runs([sweep], sweep / "out")
    assert not list((sweep / "out").glob("*classes*")) and (sweep / "out" / "bars.png").is_file()


def test_compare_is_deterministic(sweep, figures):
    outputs = [sweep / "out1", sweep / "out2"]
    for output in outputs:
        compare_runs([sweep], output)
    first, second = ({path.name: path.read_bytes() for path in out.iterdir()} for out in outputs)
    assert first == second


def test_compare_escapes_names(tmp_path, figures):
    make_run(tmp_path / "a|b", cities_train=["x|y"])
    make_run(tmp_path / "c$d$", cities_train=["$x_1$", "*"])
    head = compare_runs([tmp_path]).splitlines()
    rows = [line for line in head if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert r"cities_train=x\|y" in rows[2] + rows[1]


def test_mean_curve_ends_with_its_shortest_run(tmp_path):
    for seed, scores in enumerate(((0.1, 0.3, 0.5), (0.2, 0.5))):
        make_run(tmp_path / str(seed), scores, seed=seed)
    make_run(tmp_path / "2", (0.9, 0.9), finished=False, seed=2)
    runs = [compared.read_run(tmp_path / name, {}) for name in "012"]
    (setting,) = compared.group_runs(runs)
    epochs, mean, spread = comparison_figures.mean_curve(setting, "macro_f1")
    assert epochs == [1, 2]
    np.testing.assert_allclose(mean, [0.15, 0.4])
    np.testing.assert_allclose(spread, [np.std([0.1, 0.2], ddof=1), np.std([0.3, 0.5], ddof=1)])


@pytest.mark.filterwarnings("error")
def test_figures_hold_many_settings_with_long_names(tmp_path):
    cities = ["a-very-long-name-of-a-city", "another-one-that-is-long", "third"]
    for number in range(23):
        rare = f1_of_classes(0.01 * number)
        arguments = {"lr": 0.001 * (number + 1), "cities_train": cities[: number % 3 + 1]}
        make_run(tmp_path / f"{number}", (0.1, 0.02 * number), classes=rare, **arguments)
    runs = [compared.read_run(tmp_path / str(number), {}) for number in range(23)]
    made = compared.make_comparison(runs, "macro_f1")
    assert "The figures show the best 20 settings and the baseline." in comparison_text.notes(made)
    shown = comparison_figures.shown_in_figures(made)
    assert len(shown) == 21 and shown[-1] is made.baseline
    for figure in (
        comparison_figures.draw_curves(made, shown),
        comparison_figures.draw_bars(made, shown),
        comparison_figures.draw_classes(made, shown),
    ):
        assert texts_apart(figure)


def texts_apart(figure):
    """Whether no two upright texts of a figure overlap, and none leaves it."""
    figure.savefig(io.BytesIO())  # lays it out
    boxes = []
    for axes in figure.axes:
        texts = [*axes.texts, *axes.get_yticklabels(), axes.title, axes._left_title]
        visible = (text for text in texts if text.get_visible() and text.get_text())
        boxes += [text.get_window_extent() for text in visible if axes.axison]
    inside = all(
        figure.bbox.padded(1).contains(*corner) for box in boxes for corner in box.get_points()
    )
    pairs = ((a, b) for position, a in enumerate(boxes) for b in boxes[:position])
    return inside and not any(a.padded(-1).overlaps(b.padded(-1)) for a, b in pairs)


def test_classes_picture_is_blue_where_better_and_red_where_worse(sweep, figures):
    compare_runs([sweep], sweep / "out")
    picture = read_image(sweep / "out" / "classes.png").astype(int)
    red, blue = picture[..., 0], picture[..., 2]
    assert (blue > red + 80).mean() > 0.02 and (red > blue + 30).mean() > 0.005


def test_comparison_needs_neither_torch_nor_pyplot(sweep):
    code = (
        "import sys; from commands.comparison.tables import compare_runs\n"
        "compare_runs(sys.argv[1:])\n"
        "print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(sweep)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=LAB)
    assert result.stdout.strip() == "set()", result.stderr


def test_stages_of_a_chain_are_repeats_over_their_seeds(tmp_path):
    for seed in (0, 1):
        first = make_run(tmp_path / f"stage1-seed{seed}", (0.2 + seed / 10,), seed=seed)
        make_run(
            tmp_path / f"stage2-seed{seed}", (0.5 + seed / 10,), seed=seed, recipe="plain",
            finetune_from=str(first),
        )  # fmt: skip
    text = compare_runs([tmp_path])
    rows = read_csv(tmp_path / "comparison" / "compare.csv")
    assert [row["runs"] for row in rows] == ["2", "2"]
    assert float(rows[0]["macro_f1_mean"]) == pytest.approx(0.55)
    assert "finetune_from=stage1" in text and "One finished run only" not in text


BESIDE = "setting\tlabelled_pixels\tmacro_f1\tmean_iou\n"
OTHERS = f"# measured elsewhere\n{BESIDE}many a|b\t506880000\t\t0.249\nfew\t2e6\t0.3\t0.2\n"


def half_and_whole(folder):
    for name, pixels in (("half", 1_000_000), ("whole", 2_000_000)):
        sparse = "half" if name == "half" else None
        make_run(folder / name, config={"labelled_pixels": pixels}, sparse=sparse)
    return folder


def test_scores_of_others_stand_beside_ours(tmp_path):
    (tmp_path / "o.tsv").write_text(OTHERS)
    text = compare_runs([half_and_whole(tmp_path / "runs")], beside=tmp_path / "o.tsv")
    assert "Not measured here: measured elsewhere\n" in text
    assert r"| many a\|b   | 506.88 million  | –        | 0.249    |" in text
    assert "| few         | 2.00 million    | 0.300    | 0.200    |" in text
    assert text.split("the comparison is in")[0] in (
        tmp_path / "runs" / "comparison" / "compare.md"
    ).read_text(encoding="utf-8")
    assert read_csv(tmp_path / "runs" / "comparison" / "compare.csv")[0]["runs"] == "1"


@pytest.mark.filterwarnings("error")
def test_scores_of_others_are_drawn_with_hollow_markers_where_they_are_known(tmp_path):
    (tmp_path / "o.tsv").write_text(OTHERS)
    runs = half_and_whole(tmp_path / "runs")
    made = compared.make_comparison(
        [compared.read_run(runs / name, {}) for name in ("half", "whole")], "macro_f1"
    )
    for beside, numbers in ((None, (0, 0)), (read_beside(tmp_path / "o.tsv"), (1, 2))):
        figure = comparison_figures.draw_labels(made, made.settings, beside)
        figure.savefig(io.BytesIO())
        hollow = [
            [line for line in axes.lines if line.get_fillstyle() == "none"] for axes in figure.axes
        ]
        assert tuple(map(len, hollow)) == numbers
        assert [axes.get_xscale() for axes in figure.axes] == ["log" if beside else "linear"] * 2
        assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        assert words[:2] == [setting.name for setting in made.settings]
    assert [line.get_xydata().tolist() for line in hollow[1]] == [[[506.88, 0.249]], [[2.0, 0.2]]]
    assert words[-3:] == ["measured elsewhere", "many a|b", "few"]


def test_labelled_pixels_of_one_magnitude_are_plain_numbers(tmp_path):
    runs = half_and_whole(tmp_path)
    made = compared.make_comparison(
        [compared.read_run(runs / name, {}) for name in ("half", "whole")], "macro_f1"
    )
    near = Beside("near", [Other("a", 4e6, {"macro_f1": 0.5, "mean_iou": None})])
    figure = comparison_figures.draw_labels(made, made.settings, near)
    figure.savefig(io.BytesIO())
    for axes in figure.axes:
        words = [label.get_text() for label in axes.get_xticklabels(which="both")]
        assert {"1", "3"} <= set(words) and not any("10" in word for word in words if word != "10")


NO_LABELS = (
    "- labels.png is not drawn: the finished runs have the same number of labelled pixels, or it "
    "was not counted for all (of whole targets, with class weights only).\n"
)


def test_compare_says_why_there_is_no_figure_over_labelled_pixels(tmp_path, figures):
    text = compare_runs([half_and_whole(tmp_path)])
    assert "labels.png" in text and "is not drawn" not in text
    make_run(tmp_path / "third", finished=False, loss="ce")
    text = compare_runs([tmp_path])
    assert ", labels.png" in text and "is not drawn" not in text
    make_run(tmp_path / "fourth", loss="ce", seed=7)
    text = compare_runs([tmp_path])
    assert NO_LABELS in text and ", labels.png" not in text


@pytest.mark.parametrize(
    ("first", "second", "is_said"),
    [
        ({"loss": "ce"}, {"loss": "wce"}, False),
        ({"sparse": "half"}, {}, True),
        ({"limit_train": 40}, {"limit_train": 80}, True),
        ({"split_train": ["train"]}, {"split_train": ["train", "train_extra"]}, True),
        ({"loss": "ce"}, {"sparse": "half", "finished": False}, False),
    ],
)
def test_labelled_pixels_are_spoken_of_where_runs_differ_in_labels(
    tmp_path, first, second, is_said
):
    make_run(tmp_path / "first", **first)
    make_run(tmp_path / "second", **second)
    assert (NO_LABELS in compare_runs([tmp_path])) == is_said


def test_scores_of_others_that_are_not_drawn_are_spoken_of(tmp_path, figures):
    (tmp_path / "o.tsv").write_text(OTHERS)
    for loss in ("ce", "wce"):
        make_run(tmp_path / "runs" / loss, config={"labelled_pixels": 5}, loss=loss)
    assert "labels.png" not in compare_runs([tmp_path / "runs"])
    text = compare_runs([tmp_path / "runs"], beside=tmp_path / "o.tsv")
    assert "| few " in text and NO_LABELS in text and ", labels.png" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write a line"),
        (BESIDE + "a\t1\t\t0.2\n", "write a line"),
        ("# x\na\t1\t\t0.2\n", "write a line"),
        ("# x\n" + BESIDE, "write a line"),
        (f"# x\n{BESIDE}a\t1\t0.2\n", "line 3: needs setting, labelled_pixels, macro_f1, mean_iou"),
        (f"# x\n\n{BESIDE}a\tone\t\t0.2\n", "line 4: could not convert"),
        (f"# x\n{BESIDE}a\t\t\t0.2\n", "line 3: labelled_pixels must be a positive number"),
        (f"# x\n{BESIDE}a\t0\t\t0.2\n", "line 3: labelled_pixels must be a positive number"),
        (f"# x\n{BESIDE}a\tinf\t\t0.2\n", "line 3: labelled_pixels must be a positive number"),
        (f"# x\n{BESIDE}a\t1\t\t24.9\n", "line 3: scores lie between 0 and 1"),
        (f"# x\n{BESIDE}a\t1\t\tnan\n", "line 3: scores lie between 0 and 1"),
    ],
)
def test_a_file_of_scores_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "o.tsv").write_text(text)
    with pytest.raises(LabError, match=words) as error:
        compare_runs([half_and_whole(tmp_path / "runs")], beside=tmp_path / "o.tsv")
    assert str(tmp_path / "o.tsv") in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "runs" / "comparison").exists()
    with pytest.raises(LabError, match="no table of scores that can be read"):
        read_beside(tmp_path)


def test_the_published_scores_of_half_labels_can_be_read():
    beside = read_beside(LAB / "docs" / "studies" / "half_published.tsv")
    pixels = [images * 320 * 640 // part for images in (2475, 1237) for part in (1, 2)]
    assert [row.labelled for row in beside.rows] == pixels
    assert [row.scores["mean_iou"] for row in beside.rows] == [0.249, 0.243, 0.238, 0.229]
    assert "one seed each" in beside.title


def test_a_run_in_which_runs_lie_is_not_taken_for_them(tmp_path):
    make_run(tmp_path / "half")
    make_run(tmp_path / "half" / "a")
    with pytest.raises(LabError, match="is a run, and 1 runs lie in it"):
        compare_runs([tmp_path / "half"])
