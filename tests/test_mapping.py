"""A network judged on data with other classes: tables, summed probabilities, both means."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import main
from commands.mapping import READY, MappedSegmenter, read_mapping
from commands.test_time import MultiScaleSegmenter, SlidingSegmenter
from deploy import Segmenter
from support.formats.ade20k import ADE20K
from support.formats.camvid import CAMVID_11
from support.formats.cityscapes import CITYSCAPES
from support.formats.labels import LabelSet
from support.formats.pascal_voc import PASCAL_VOC
from utils import LabError
from zoo.mapping import sum_over_sources

SOURCES = ("bg", "cat", "dog", "lorry", "car")
DATA = LabelSet.from_json(
    {
        "name": "few",
        "classes": [{"name": n, "id": i + 1} for i, n in enumerate(("animal", "car", "van"))],
    }
)


class Fixed(Segmenter):
    """A network whose logits are given, (K, H, W), whatever it sees."""

    def __init__(self, probabilities: np.ndarray) -> None:
        colors = [[k, k, k] for k in range(len(SOURCES))]
        about = {"classes": SOURCES, "palette": colors, "mean": [0.5] * 3, "std": [0.5] * 3}
        super().__init__(about | {"size": probabilities.shape[1:], "stride": 1})
        self.logits = np.log(probabilities.astype(np.float32))

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.repeat(self.logits[None], len(batch), axis=0)


def write_table(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def pixels(*rows: list[float]) -> np.ndarray:
    """Probabilities of the sources, pixel by pixel → (K, 1, W)."""
    return np.array(rows, dtype=np.float32).T[:, None]


def test_sum_over_sources_adds_up_the_sources_of_each_target():
    sums = sum_over_sources(pixels([0.1, 0.3, 0.3, 0.1, 0.2]), [-1, 0, 0, 1, 1], 2)
    assert sums[:, 0, 0] == pytest.approx([0.6, 0.3])


def test_two_small_sources_beat_one_that_is_larger_than_each(tmp_path):
    """The largest source is the car; cat and dog together are more."""
    path = write_table(tmp_path / "t.tsv", "cat\tanimal", "dog\tanimal", "car\tcar")
    table = read_mapping(path, SOURCES, DATA.names)
    probabilities = pixels([0.01, 0.3, 0.28, 0.01, 0.4], [0.01, 0.1, 0.08, 0.01, 0.8])
    segmenter = MappedSegmenter(Fixed(probabilities), table, DATA)
    predicted = segmenter.predict(np.zeros((1, 2, 3), np.uint8))
    assert [table.targets[k] for k in predicted[0]] == ["animal", "car"]


def test_nothing_wins_where_a_table_says_so_and_takes_no_part_where_it_does_not(tmp_path):
    lines = ["cat\tanimal", "car\tcar"]
    probabilities = pixels([0.6, 0.2, 0.05, 0.05, 0.1])
    for more, expected in (([], "animal"), (["bg\t-"], "-")):
        table = read_mapping(write_table(tmp_path / "t.tsv", *lines, *more), SOURCES, DATA.names)
        segmenter = MappedSegmenter(Fixed(probabilities), table, DATA)
        predicted = segmenter.predict(np.zeros((1, 1, 3), np.uint8))
        assert table.targets[predicted[0, 0]] == expected
    assert segmenter.label_ids(predicted).tolist() == [[0]]


def test_a_table_may_merge_classes_of_the_data(tmp_path):
    path = write_table(
        tmp_path / "t.tsv", "# vans are cars", "", "van\tcar", "lorry\tcar", "cat\tanimal"
    )
    table = read_mapping(path, SOURCES, DATA.names)
    assert table.targets == ("animal", "car") and table.of_data.tolist() == [0, 1, 1]
    assert table.of_sources.tolist() == [-1, 0, -1, 1, -1]


def test_both_means_are_given_and_say_what_they_leave_out(tmp_path):
    path = write_table(tmp_path / "t.tsv", "cat\tanimal", "bg\t-", "car\tcar")
    table = read_mapping(path, SOURCES, DATA.names)
    matrix = torch.tensor([[6, 2, 0, 2], [0, 8, 0, 0], [2, 2, 0, 1], [0, 0, 0, 0]])
    result = table.scores(matrix)
    animal, car = 2 * 6 / (10 + 8), 2 * 8 / (8 + 12)
    assert result["macro_f1_of_covered"] == pytest.approx((animal + car) / 2)
    assert result["macro_f1_of_all"] == pytest.approx((animal + car + 0) / 3)
    assert result["mean_iou_of_covered"] == pytest.approx((6 / 12 + 8 / 12) / 2)
    assert result["pixel_accuracy"] == pytest.approx(14 / 23)
    assert result["coverage"] == "coverage: 2 of 3 classes; without a source: van"
    assert set(result["classes"]) == {"animal", "car", "van"}


def test_covered_classes_that_do_not_occur_have_no_part_in_the_means(tmp_path):
    path = write_table(tmp_path / "t.tsv", "cat\tanimal", "car\tcar")
    table = read_mapping(path, SOURCES, DATA.names)
    result = table.scores(torch.tensor([[0, 0, 0], [0, 3, 0], [0, 1, 0]]))
    assert result["macro_f1_of_covered"] == pytest.approx(6 / 7)
    assert result["macro_f1_of_all"] == pytest.approx((6 / 7 + 0) / 2)
    nothing = table.scores(torch.zeros((3, 3), dtype=torch.int64))
    assert nothing["macro_f1_of_covered"] is nothing["mean_iou_of_all"] is None


def test_targets_stand_in_the_order_of_the_data_and_have_its_ids_and_colours(tmp_path):
    text = "\ufeff# a byte order mark, blanks\n  \nanimal \tvan\n car\t car \nlorry\tvan\nbg\t-\n"
    (tmp_path / "t.tsv").write_text(text, encoding="utf-8")
    assert read_mapping(tmp_path / "t.tsv", SOURCES, ("van", "animal", "car")).targets[0] == "van"
    table = read_mapping(tmp_path / "t.tsv", SOURCES, DATA.names)
    assert table.targets == ("car", "van", "-") and table.of_data.tolist() == [1, 0, 1]
    segmenter = MappedSegmenter(Fixed(pixels([0.2] * 5)), table, DATA)
    assert segmenter.label_ids(np.array([[0, 1]])).tolist() == [[2, 3]]
    assert segmenter.palette.tolist() == [*DATA.palette[1:].tolist(), [0, 0, 0]]


def test_a_table_keeps_the_scales_and_refuses_windows(tmp_path):
    path = write_table(tmp_path / "t.tsv", "cat\tanimal", "car\tcar")
    table, network = read_mapping(path, SOURCES, DATA.names), Fixed(np.full((5, 32, 64), 0.2))
    several = MappedSegmenter(MultiScaleSegmenter(network, (0.5, 2.0), flip=True), table, DATA)
    assert several.scales == (0.5, 2.0) and several.flip
    with pytest.raises(LabError, match="--mapping does not go with --window"):
        MappedSegmenter(SlidingSegmenter(network), table, DATA)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["cat\tanimal\t1"], "line 1: write it as source<TAB>target"),
        (["\tanimal"], "line 1: write it as source<TAB>target"),
        (["cat\t"], "line 1: write it as source<TAB>target"),
        (["cat animal"], "line 1: write it as source<TAB>target"),
        (["cat\tanimal", "cat\tcar"], "line 2: cat has a target already"),
        (["cat\tbeast"], "beast is not among the classes of the data"),
        (["horse\tanimal"], "no line begins with a class of the network"),
        (["van\t-", "cat\tanimal"], "van is a class of the data"),
        (["car\tanimal", "van\tcar"], "van becomes car, and car becomes animal"),
        (["car\tvan", "van\tcar"], "name the last one in both lines"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(tmp_path, lines, words):
    with pytest.raises(LabError) as error:
        read_mapping(write_table(tmp_path / "t.tsv", *lines), SOURCES, DATA.names)
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1
    with pytest.raises(LabError, match="ready ones are ade20k, coco, voc"):
        read_mapping(tmp_path / "absent", SOURCES, DATA.names)
    (tmp_path / "t.tsv").write_bytes("cat\tanimal".encode("utf-16"))
    with pytest.raises(LabError, match=r"t\.tsv: no table that can be read"):
        read_mapping(tmp_path / "t.tsv", SOURCES, DATA.names)


def ready(name: str) -> list[list[str]]:
    lines = (READY / f"{name}.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    ("name", "sources", "number"), [("voc", PASCAL_VOC, 6), ("ade20k", ADE20K, 17)]
)
def test_ready_tables_cover_what_they_say(name, sources, number):
    table = read_mapping(Path(name), sources.names, CITYSCAPES.names)
    assert sum(table.covered) == number and len(table.covered) == 19
    assert {source for source, _ in ready(name)} <= set(sources.names)


def test_the_ready_table_of_coco_covers_17_classes():
    lines = [
        line.split("\t") for line in (READY / "coco.tsv").read_text().splitlines() if line[0] != "#"
    ]
    targets = {target for _, target in lines}
    assert set(CITYSCAPES.names) - targets == {"pole", "rider"} and targets <= set(CITYSCAPES.names)


@pytest.mark.parametrize(("name", "sources"), [("to_camvid", 18), ("to_camvid_single", 11)])
def test_the_tables_of_the_study_cover_camvid(name, sources):
    path = READY.parents[1] / "docs" / "studies" / f"{name}.tsv"
    table = read_mapping(path, CITYSCAPES.names, CAMVID_11.names)
    assert table.covered == (True,) * 11 and (table.of_sources >= 0).sum() == sources
    assert table.targets[table.of_sources[CITYSCAPES.names.index("rider")]] == "Bicyclist"


def test_the_command_evaluates_a_network_of_other_classes(tmp_path, capsys):
    """Trained on two classes of one's own, judged on a folder with three others."""
    names = {"own": ("light", "dark"), "other": ("day", "night", "fog")}
    for folder, classes in names.items():
        rows = [{"name": name, "id": k + 1} for k, name in enumerate(classes)]
        for split in ("train", "val"):
            for layer in ("images", "masks"):
                (tmp_path / folder / layer / split).mkdir(parents=True)
            for number in range(2):
                mask = np.ones((16, 16), np.uint8)
                mask[:, 8:] = 2
                image = np.repeat(np.where(mask == 1, 250, 5).astype(np.uint8)[..., None], 3, 2)
                Image.fromarray(image).save(tmp_path / folder / f"images/{split}/{number}.png")
                Image.fromarray(mask).save(tmp_path / folder / f"masks/{split}/{number}.png")
        (tmp_path / folder / "classes.json").write_text(json.dumps(rows))
    words = ["train", "--datadir", tmp_path / "own", "--img-size", 16, 16, "--num-blocks", 2]
    words += ["--base-channels", 4, "--batch-size", 2, "--epochs", 30, "--num-workers", 0]
    assert main.main([*map(str, words), "--logdir", str(tmp_path), "--name", "a"]) == 0
    table = write_table(tmp_path / "t.tsv", "light\tday", "dark\tnight")
    words = ["test", "--modelpath", tmp_path / "a" / "model.onnx", "--datadir", tmp_path / "other"]
    words += ["--split", "val", "--output", tmp_path / "out", "--save-predictions"]
    assert main.main([*map(str, words)]) == 2  # other classes, and no table
    assert main.main([*map(str, [*words, "--mapping", table])]) == 0
    said = capsys.readouterr().out
    assert "coverage: 2 of 3 classes; without a source: fog" in said
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["macro_f1_of_covered"] > 0.9
    ids = np.asarray(Image.open(tmp_path / "out" / "0_labelIds.png"))
    assert (ids[:, :8] == 1).mean() > 0.9 and (ids[:, 8:] == 2).mean() > 0.9
