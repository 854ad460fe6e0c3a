"""Coarse labels of Cityscapes, Pascal Context, Stanford 2D-3D-S; splits joined, ways to read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from street_files import write_streets

import main
from data import MEAN, STD, SegmentationDataset, count_pixels, encode_train_ids, open_datasets
from deploy import export_onnx
from models import UNet
from support.formats.cityscapes import CITYSCAPES, COARSE, FINE
from support.formats.files import open_folder, open_source, select
from support.formats.labels import Reading
from support.formats.pascal_context import CLASSES, PascalContextFolder, context_labels
from support.formats.published import published_shares
from support.formats.sparse import hide
from support.formats.stanford import StanfordFolder, stanford_labels
from utils import LabError, resize_labels

# as mmsegmentation lists them (mmseg/datasets/pascal_context.py), the first, the middle, the last
MMSEG_60 = {0: "background", 1: "aeroplane", 2: "bag", 30: "ground", 37: "person", 59: "wood"}
IDS = [0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105]
IDS += [113, 115, 144, 158, 159, 162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308]
IDS += [324, 326, 347, 349, 354, 355, 360, 366, 368, 397, 415, 416, 420, 424, 427, 440, 445, 454]
IDS += [458]


def write(path: Path, pixels: list, kind: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, dtype=kind)).save(path)


def write_image(path: Path, size: tuple = (3, 2), color: tuple = (10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def ids_of(root: Path, split: str, index: int = 0, **reading: object) -> np.ndarray:
    """Train ids of a sample."""
    source = open_source(root, split, reading=Reading(**reading))
    return encode_train_ids(source.read_label_ids(index), source.labels)


# ---------------------------------------------------------------------------- Cityscapes, coarse


@pytest.fixture
def cityscapes(tmp_path):
    """Fine and coarse labels as the archives unpack them; every mask has one id."""
    names = {"train": "aachen_000000_000019", "val": "ulm_000000_000019"}
    names |= {"train_extra": "bad-honnef_000000_000000"}
    for split, name in names.items():
        city = name.split("_")[0]
        layer = "leftImg8bit_trainextra" if split == "train_extra" else "leftImg8bit_trainvaltest"
        place = tmp_path / layer / "leftImg8bit" / split / city
        write_image(place / f"{name}_leftImg8bit.png")
        coarse = tmp_path / "gtCoarse" / "gtCoarse" / split / city
        write(coarse / f"{name}_gtCoarse_labelIds.png", [[7, 7, 0], [0, 0, 26]])
        if split != "train_extra":
            fine = tmp_path / "gtFine_trainvaltest" / "gtFine" / split / city
            write(fine / f"{name}_gtFine_labelIds.png", [[7, 7, 8], [8, 26, 26]])
    broken = tmp_path / "leftImg8bit_trainextra/leftImg8bit/train_extra/troisdorf"
    write_image(broken / "troisdorf_000000_000073_leftImg8bit.png", (1, 1))
    coarse = tmp_path / "gtCoarse/gtCoarse/train_extra/troisdorf"
    write(coarse / "troisdorf_000000_000073_gtCoarse_labelIds.png", [[0]])
    return tmp_path


FINE_IDS, COARSE_IDS = [[0, 0, 1], [1, 13, 13]], [[0, 0, 255], [255, 255, 13]]


def test_fine_labels_are_read_where_there_are_any(cityscapes):
    assert open_folder(cityscapes).splits() == ["train", "train_extra", "val"]
    assert ids_of(cityscapes, "train").tolist() == FINE_IDS
    assert ids_of(cityscapes, "train_extra").tolist() == COARSE_IDS


def test_coarse_labels_train_and_fine_ones_validate(cityscapes):
    assert ids_of(cityscapes, "train", labels="coarse").tolist() == COARSE_IDS
    assert ids_of(cityscapes, "val", labels="coarse").tolist() == FINE_IDS


def test_archives_may_lie_in_folders_of_the_layers_own_name(cityscapes):
    (cityscapes / "leftImg8bit_trainvaltest").rename(cityscapes / "leftImg8bit")
    (cityscapes / "gtFine_trainvaltest").rename(cityscapes / "gtFine")
    assert open_folder(cityscapes).splits() == ["train", "train_extra", "val"]
    assert ids_of(cityscapes, "train").tolist() == FINE_IDS


def test_coarse_labels_do_not_validate(cityscapes):
    shutil.rmtree(cityscapes / "gtFine_trainvaltest")
    assert ids_of(cityscapes, "train").tolist() == COARSE_IDS
    with pytest.raises(LabError, match=r"coarse labels do not validate; add gtFine/val/"):
        open_datasets(cityscapes, (2, 3))


def test_coarse_labels_of_val_can_be_looked_at_and_prepared(cityscapes, tmp_path, capsys):
    shutil.rmtree(cityscapes / "gtFine_trainvaltest")
    assert ids_of(cityscapes, "val").tolist() == COARSE_IDS
    write_image(next(cityscapes.rglob("ulm*_leftImg8bit.png")), (3, 2), (90, 20, 30))
    write_image(next(cityscapes.rglob("bad*_leftImg8bit.png")), (3, 2), (10, 90, 30))
    of_val = ["--split", "val", "--output", str(tmp_path / "out.png")]
    for command, *more in (["show", *of_val], ["stats", *of_val], ["check"]):
        assert main.main([command, "--datadir", str(cityscapes), *more]) == 0
    assert "(3 pairs read)" in capsys.readouterr().out
    copy = ["--output", str(tmp_path / "copy"), "--size", "2", "3"]
    assert main.main(["prepare", "--datadir", str(cityscapes), *copy]) == 0
    assert ids_of(tmp_path / "copy", "val").tolist() == COARSE_IDS
    copy_of_copy = ["--output", str(tmp_path / "second"), "--size", "2", "3"]
    assert main.main(["prepare", "--datadir", str(tmp_path / "copy"), *copy_of_copy]) == 0
    for folder in (tmp_path / "copy", tmp_path / "second"):
        with pytest.raises(LabError, match="'val' was prepared from labels that do not validate"):
            open_datasets(folder, (2, 3))


def test_a_copy_whose_manifest_does_not_say_what_is_unscored_is_read(cityscapes, tmp_path):
    words = ["prepare", "--datadir", cityscapes, "--output", tmp_path / "copy", "--size", 2, 3]
    assert main.main([*map(str, words)]) == 0
    manifest = json.loads((tmp_path / "copy/prepared.json").read_text())
    assert manifest.pop("unscored") == []
    (tmp_path / "copy/prepared.json").write_text(json.dumps(manifest))
    assert len(open_datasets(tmp_path / "copy", (2, 3))[1]) == 1


def test_no_network_is_scored_on_coarse_labels(cityscapes, tmp_path, capsys):
    """Those of splits that train aside, where a score shows what was learned by heart."""
    shutil.rmtree(cityscapes / "gtFine_trainvaltest")
    path, about = tmp_path / "model.onnx", CITYSCAPES.about_classes()
    export_onnx(UNet(19, 1, 4), path, (4, 4), {**about, "mean": MEAN, "std": STD})
    words = ["--datadir", str(cityscapes), "--split"]
    for command in (["test", "--modelpath", path], ["errors", path], ["quantize", path]):
        assert main.main([*map(str, command), *words, "val"]) == 2
        assert "coarse labels do not validate; add gtFine/val/" in capsys.readouterr().err
    command = ["test", "--modelpath", str(path), *words]
    assert main.main([*command, "train+val"]) == 2
    assert main.main([*command, "train"]) == 0


def test_the_broken_image_of_cityscapes_is_left_out_by_name(cityscapes, capsys):
    folder = open_folder(cityscapes)
    listing = folder.list_files("train_extra")
    assert [sample.name for sample in listing.samples] == ["bad-honnef_000000_000000"]
    assert "troisdorf_000000_000073" in folder.remarks[0] and not listing.faults
    main.main(["check", "--datadir", str(cityscapes)])
    lines = capsys.readouterr().out.splitlines()
    (note,) = [line for line in lines if "troisdorf" in line]
    assert note.startswith("note: ") and "_000073_leftImg8bit.png is left out" in note
    assert "(3 pairs read)" in lines[-1]


def test_fine_and_coarse_splits_train_together(cityscapes):
    splits = ("train", "train_extra")
    train_set, val_set = open_datasets(cityscapes, (2, 3), split_train=splits)
    assert [pair.city for pair in train_set.pairs] == ["aachen", "bad-honnef"]
    assert train_set.read_train_ids(0).tolist() == FINE_IDS
    assert train_set.read_train_ids(1).tolist() == COARSE_IDS
    assert len(val_set) == 1 and train_set.source.fingerprint() != val_set.source.fingerprint()


def test_coarse_labels_that_are_missing_are_named(cityscapes):
    shutil.rmtree(cityscapes / "gtCoarse")
    with pytest.raises(LabError, match=r"no gtCoarse/train/; unpack gtCoarse.zip"):
        ids_of(cityscapes, "train", labels="coarse")


def test_joined_splits_take_each_city_where_it_is(cityscapes):
    both = "train+train_extra"
    only = SegmentationDataset(cityscapes, both, ["bad-honnef"])
    assert [sample.city for sample in only.pairs] == ["bad-honnef"]
    assert len(SegmentationDataset(cityscapes, both, limit=1)) == 1
    for split, cities in (("train+train", None), ("train+other", None), (both, ["rome"])):
        with pytest.raises(LabError):
            SegmentationDataset(cityscapes, split, cities)


def test_joined_splits_open_no_more_files_than_the_limit_asks_for(tmp_path):
    """Any limit takes what it would take of all files together, those of one split among them."""
    names = {
        "train": ("aa_1 aa_4 bb_2 cc_1 cc_2", FINE),
        "train_extra": ("aa_0 aa_2 aa_3 dd_1 dd_2 dd_3", COARSE),
    }
    for split, (stems, layer) in names.items():
        for stem in stems.split():
            city = stem[:2]
            write_image(tmp_path / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
            write(tmp_path / f"{layer}/{split}/{city}/{stem}_{layer}_labelIds.png", [[7] * 3] * 2)
    every = open_source(tmp_path, "train+train_extra").samples
    for limit in range(1, 13):
        chosen = open_source(tmp_path, "train+train_extra", limit=limit).samples
        assert chosen == select(every, limit)
    for stem in ("cc_2", "dd_2", "dd_3"):  # garbage, but far behind
        (path,) = tmp_path.glob(f"leftImg8bit/*/*/{stem}_*")
        path.write_bytes(b"garbage")
    chosen = open_source(tmp_path, "train+train_extra", limit=3).samples
    assert [sample.name for sample in chosen] == ["aa_0", "bb_2", "cc_1"]
    with pytest.raises(LabError):
        open_source(tmp_path, "train+train_extra")


# --------------------------------------------------------------------------------- Pascal Context


def write_context(root: Path, as_png: bool = False) -> Path:
    base = root / "VOC2010"
    for name in ("2008_000001", "2008_000002", "2008_000003"):
        write_image(base / "JPEGImages" / f"{name}.jpg")
        if name == "2008_000003":
            continue  # VOC lists it, Context has no labels
        if as_png:
            write(base / "SegmentationClassContext" / f"{name}.png", [[0, 1, 59], [30, 0, 37]])
            continue
        labels = np.array([[0, 2, 458], [189, 1, 284]], dtype=np.uint16)
        (base / "trainval").mkdir(exist_ok=True)
        savemat(base / "trainval" / f"{name}.mat", {"LabelMap": labels})
    lists = base / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2008_000001\n2008_000003\n")
    (lists / "val.txt").write_text("2008_000002\n")
    return root


def test_context_has_the_classes_and_the_order_of_mmsegmentation():
    assert list(CLASSES) == IDS
    labels = context_labels(with_background=True)
    assert len(labels) == 60 and len(context_labels(with_background=False)) == 59
    assert {k: labels.names[k] for k in MMSEG_60} == MMSEG_60
    assert len({label.color for label in labels.classes}) == 60


@pytest.mark.parametrize("as_png", [False, True])
def test_context_reads_59_classes_or_60_from_either_kind_of_mask(tmp_path, as_png):
    root = write_context(tmp_path, as_png)
    assert type(open_folder(root)) is PascalContextFolder
    assert ids_of(root, "train").tolist() == [[255, 0, 58], [29, 255, 36]]
    assert ids_of(root, "train", with_background=True).tolist() == [[0, 1, 59], [30, 0, 37]]
    assert ids_of(root / "VOC2010", "val").shape == (2, 3)
    (root / "VOCdevkit").mkdir()
    (root / "VOC2010").rename(root / "VOCdevkit" / "VOC2010")
    assert ids_of(root, "val").shape == (2, 3)


def test_check_reads_the_masks_of_context(tmp_path, capsys):
    root = write_context(tmp_path)
    words = ["check", "--datadir", str(root), "--split", "train"]
    assert main.main(words) == 0
    (root / "VOC2010/trainval/2008_000001.mat").write_bytes(b"garbage")
    assert main.main(words) == 1
    assert "2008_000001.mat: no MATLAB file with a LabelMap" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--with-background"]])
def test_a_prepared_copy_of_context_keeps_the_ids_beyond_a_byte(tmp_path, more):
    root, copy = write_context(tmp_path / "voc"), tmp_path / "copy"
    words = ["prepare", "--datadir", root, "--output", copy, "--size", 2, 3, *more]
    assert main.main([*map(str, words)]) == 0
    expected = ids_of(root, "train", with_background=bool(more)).tolist()
    assert ids_of(copy, "train").tolist() == expected


def test_context_takes_the_images_that_have_labels_and_prefers_a_toolkits_list(tmp_path):
    root = write_context(tmp_path)
    assert [sample.name for sample in open_source(root, "train").samples] == ["2008_000001"]
    lists = root / "VOC2010" / "ImageSets" / "SegmentationContext"
    lists.mkdir()
    (lists / "train.txt").write_text("2008_000002\n")
    assert [sample.name for sample in open_source(root, "train").samples] == ["2008_000002"]


def test_context_names_what_a_toolkits_list_has_without_labels(tmp_path):
    root = write_context(tmp_path)
    lists = root / "VOC2010" / "ImageSets" / "SegmentationContext"
    lists.mkdir()
    (lists / "val.txt").write_text("2008_000003\n2009_000001\n")
    fault, absent = open_folder(root).list_files("val").faults.values()
    assert "2008_000003.jpg: image without its mask" in fault
    assert "val.txt: names 2009_000001, which has neither an image nor a mask" in absent
    assert [s.name for s in open_source(root, "train").samples] == ["2008_000001"]  # VOC's list


def test_context_without_a_list_says_which_and_what_to_do(tmp_path):
    root = write_context(tmp_path)
    (root / "VOC2010/ImageSets/Main/val.txt").unlink()
    with pytest.raises(LabError, match=r"Main.val\.txt is missing; unpack all of VOCtrainval_03"):
        open_folder(root).splits()


def test_context_names_places_beyond_its_list(tmp_path):
    root = write_context(tmp_path, as_png=True)
    path = root / "VOC2010" / "SegmentationClassContext" / "2008_000001.png"
    write(path, [[0, 1, 60], [30, 0, 37]])
    with pytest.raises(LabError, match=r"2008_000001.png: holds 60, and places .* end at 59"):
        ids_of(root, "train")


def test_context_reads_the_label_map_wherever_it_stands_in_its_file(tmp_path):
    root = write_context(tmp_path)
    path = root / "VOC2010" / "trainval" / "2008_000001.mat"
    labels = np.array([[459, 2, 458], [0, 2, 0]], dtype=np.uint16)
    savemat(path, {"Author": np.zeros((7, 9)), "LabelMap": labels})
    assert open_source(root, "train").sizes == [(2, 3)]
    assert ids_of(root, "train").tolist() == [[255, 0, 58], [255, 0, 255]]


@pytest.mark.parametrize(
    "labels",
    [
        np.full((2, 3), 460, dtype=np.uint16),
        np.full((2, 3), -1, dtype=np.int16),
        np.zeros((2, 3, 2), dtype=np.uint16),
    ],
)
def test_context_names_files_that_are_broken(tmp_path, labels):
    root = write_context(tmp_path)
    path = root / "VOC2010" / "trainval" / "2008_000001.mat"
    savemat(path, {"LabelMap": labels})
    with pytest.raises(LabError, match=r"2008_000001.mat: its LabelMap"):
        open_folder(root).read_label_ids(path)
    path.write_bytes(b"garbage")
    with pytest.raises(LabError, match=r"2008_000001.mat: no MATLAB file"):
        open_source(root, "train")


# ------------------------------------------------------------------------------- Stanford 2D-3D-S

AREAS = ("1", "2", "3", "4", "5a", "5b", "6")


def color(number: int) -> tuple[int, int, int]:
    return number >> 16, number >> 8 & 255, number & 255


@pytest.fixture
def stanford(tmp_path):
    """A frame in every area: an object above 256, one below, `<UNK>`, and nothing."""
    names = ["<UNK>_0_<UNK>_0_0", *(f"wall_{n}_office_1_1" for n in range(600))]
    names[300], names[44] = "chair_3_office_12_4", "beam_1_hallway_1_1"  # 300 = 256 + 44
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "semantic_labels.json").write_text(json.dumps(names))
    for area in AREAS:
        place, stem = tmp_path / f"area_{area}" / "data", f"camera_1f_office_1_frame_0_{area}"
        write_image(place / "rgb" / f"{stem}_domain_rgb.png")
        pixels = [[color(300), color(44), color(1)], [color(0), color(0x0D0D0D), color(601)]]
        write(place / "semantic" / f"{stem}_domain_semantic.png", pixels)
    return tmp_path


def test_stanford_numbers_are_wider_than_a_byte(stanford):
    assert type(open_folder(stanford)) is StanfordFolder
    chair, beam, wall = (stanford_labels(False).names.index(n) for n in ("chair", "beam", "wall"))
    assert ids_of(stanford, "train").tolist() == [[chair, beam, wall], [255, 255, 255]]


def test_stanford_has_13_classes_or_14(stanford):
    assert len(stanford_labels(False)) == 13 and list(stanford_labels(False).names) == sorted(
        stanford_labels(False).names
    )
    assert stanford_labels(True).names[0] == "<UNK>" and len(stanford_labels(True)) == 14
    ids = ids_of(stanford, "train", with_background=True)
    assert ids[1].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("fold", "val"),
    [(None, ["5a", "5b"]), (1, ["5a", "5b"]), (2, ["2", "4"]), (3, ["1", "3", "6"])],
)
def test_stanford_has_the_official_folds(stanford, fold, val):
    train_set, val_set = open_datasets(stanford, (2, 3), reading=Reading(fold=fold))
    assert val_set.cities == [f"area_{area}" for area in val]
    assert train_set.cities == [f"area_{area}" for area in AREAS if area not in val]


def test_stanford_refuses_rooms_that_train_and_validate(stanford):
    chosen = {"cities_train": ["area_1", "area_5a"], "cities_val": ["area_5b"]}
    with pytest.raises(LabError, match=r"area_5a, area_5b both train and validate"):
        open_datasets(stanford, (2, 3), **chosen)
    allowed = Reading(allow_shared_areas=True)
    assert len(open_datasets(stanford, (2, 3), reading=allowed, **chosen)[0]) == 2
    with pytest.raises(LabError, match="--fold 4"):
        open_datasets(stanford, (2, 3), reading=Reading(fold=4))


@pytest.mark.parametrize(("more", "wall"), [([], "34.10%"), (["--with-background"], "33.67%")])
def test_stats_prints_the_published_shares_of_stanford_beside_ours(
    stanford, tmp_path, more, wall, capsys
):
    """Of 14 labels, or of 13 without the unknown; of a prepared copy too."""
    words = ["stats", "--datadir", stanford, "--output", tmp_path / "s.png", *more]
    assert main.main([*map(str, words)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "pixels", "share", "published"]
    (row,) = [line.split() for line in lines if line.startswith("wall ")]
    assert row == ["wall", "5", "25.000%" if more else "33.333%", wall]
    copy = tmp_path / "copy"
    words = ["prepare", "--datadir", stanford, "--output", copy, "--size", 2, 3]
    assert main.main([*map(str, words)]) == 0
    words = ["stats", "--datadir", copy, "--output", tmp_path / "s.png"]
    assert main.main([*map(str, words)]) == 0
    assert "34.10%" in capsys.readouterr().out
    assert sum(published_shares(stanford_labels(bool(more))).values()) == pytest.approx(1)


def test_stats_has_no_such_column_where_nobody_has_counted(cityscapes, tmp_path, capsys):
    words = ["stats", "--datadir", cityscapes, "--output", tmp_path / "s.png"]
    assert main.main([*map(str, words)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["class", "pixels", "share"]


def test_stanford_masks_must_be_rgb(stanford):
    path = next(stanford.glob("area_1/data/semantic/*.png"))
    write(path, [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(LabError, match=rf"{path.name}: a mask must be an RGB PNG, .* of mode L$"):
        open_folder(stanford).read_label_ids(path)


@pytest.mark.parametrize("text", [None, "{}", '["door_1", 3]', '["spoon_1_a_1_1"]', "nonsense"])
def test_stanford_names_a_list_that_is_none(stanford, text):
    path = stanford / "assets" / "semantic_labels.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(LabError, match=r"semantic_labels.json") as error:
        ids_of(stanford, "train")
    assert len(str(error.value).splitlines()) == 1


def test_stanford_cities_do_not_leave_their_fold_in_prepare_and_check(stanford, tmp_path, capsys):
    copy = tmp_path / "copy"
    words = ["--datadir", stanford, "--cities", "area_1", "area_5a"]
    assert main.main([*map(str, ["prepare", *words, "--output", copy, "--size", 2, 3])]) == 0
    splits = json.loads((copy / "prepared.json").read_text())["splits"]
    assert {k: [city for city, _ in v] for k, v in splits.items()} == {
        "train": ["area_1"], "val": ["area_5a"],
    }  # fmt: skip
    words = ["check", "--datadir", stanford, "--cities", "area_1"]  # which trains alone
    assert main.main([*map(str, words)]) == 0
    assert "1 pairs read" in capsys.readouterr().out


def test_a_prepared_copy_refuses_to_be_read_in_another_way(stanford, tmp_path):
    words = ["prepare", "--datadir", stanford, "--fold", 2, "--output", tmp_path / "copy"]
    assert main.main([*map(str, [*words, "--size", 2, 3])]) == 0
    assert open_folder(tmp_path / "copy").reading.fold == 2
    assert len(open_folder(tmp_path / "copy", Reading(fold=2)).splits()) == 2
    with pytest.raises(LabError, match="was prepared with --fold 2, not with --fold 1;"):
        open_folder(tmp_path / "copy", Reading(fold=1))
    with pytest.raises(LabError, match="with no --with-background, not with --with-background;"):
        open_folder(tmp_path / "copy", Reading(with_background=True))


def test_a_copy_prepared_without_a_fold_is_of_the_first(stanford, tmp_path):
    words = ["prepare", "--datadir", stanford, "--output", tmp_path / "copy", "--size", 2, 3]
    assert main.main([*map(str, words)]) == 0
    assert open_folder(tmp_path / "copy", Reading(fold=1)).splits() == ["train", "val"]
    with pytest.raises(LabError, match="was prepared with --fold 1, not with --fold 3;"):
        open_folder(tmp_path / "copy", Reading(fold=3))


@pytest.mark.parametrize("prepared_with", [[], ["--fold", "2"]])
def test_a_prepared_copy_of_a_set_without_folds_knows_none(cityscapes, tmp_path, prepared_with):
    words = ["prepare", "--datadir", cityscapes, "--output", tmp_path / "copy", "--size", 2, 3]
    assert main.main([*map(str, words), *prepared_with]) == 0
    assert open_folder(tmp_path / "copy").reading.fold is None
    with pytest.raises(LabError, match=r"--fold 1 is for Stanford 2D-3D-S, .* Cityscapes; leave"):
        open_folder(tmp_path / "copy", Reading(fold=1))
    with pytest.raises(LabError, match="--fold 2 is for Stanford 2D-3D-S"):
        open_folder(tmp_path / "copy", Reading(fold=2))


# ----------------------------------------------------------------------------- the ways of reading


@pytest.mark.parametrize("values", [3, {"val_share": 2.0}, {"fold": "a"}, {"other": 1}])
def test_a_reading_that_is_none_is_refused(values):
    with pytest.raises(ValueError, match="not a way to read a folder"):
        Reading.from_json(values)
    assert Reading.from_json(Reading(0.3, fold=2)._asdict()) == Reading(0.3, fold=2)


# ----------------------------------------------------------------------------------- sparse labels

WHOLE = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16) // 48  # four classes, three rows each


@pytest.mark.parametrize(
    ("kind", "visible"), [("half", 96), ("rows:3", 48), ("points:7", 7), ("points:999", 192)]
)
def test_a_sparse_target_shows_as_much_as_is_asked_for(kind, visible):
    hidden = hide(WHOLE, kind, "ulm_000001", 255)
    assert (hidden != 255).sum() == visible
    assert (hidden[hidden != 255] == WHOLE[hidden != 255]).all()


@pytest.mark.parametrize(("kind", "visible"), [("points:9", 9), ("rows:2", 32)])
def test_what_is_visible_survives_the_way_to_the_networks_size(kind, visible):
    whole = WHOLE.repeat(7, 0).repeat(5, 1)
    hidden = hide(whole, kind, "ulm_000001", 255, size=WHOLE.shape)
    assert (resize_labels(hidden, WHOLE.shape) != 255).sum() == visible


def test_what_validates_must_not_train(cityscapes):
    with pytest.raises(LabError, match="what validates must not train"):
        open_datasets(cityscapes, (2, 3), split_train=("train", "val"))


def test_coarse_labels_without_their_images_are_no_split(cityscapes):
    shutil.rmtree(cityscapes / "leftImg8bit_trainextra")
    assert open_folder(cityscapes).splits() == ["train", "val"]


def test_what_a_sparse_target_shows_follows_from_its_name_alone():
    names = [f"image{number}" for number in range(12)]
    for kind in ("half", "rows:4", "points:9", "scribbles"):
        first = [hide(WHOLE, kind, name, 255).tobytes() for name in names]
        assert first == [hide(WHOLE, kind, name, 255).tobytes() for name in names]
        assert len(set(first)) > 1
    halves = [hide(WHOLE, "half", name, 255) != 255 for name in names]
    assert {tuple(np.flatnonzero(each.any(axis=0))) for each in halves} == {
        tuple(range(8)),
        tuple(range(8, 16)),
    }


def test_which_half_is_visible_is_the_same_in_every_process():
    halves = {"image0": "right", "image1": "left", "image2": "right", "image3": "right"}
    halves |= {"straße": "left", "ulm_000001": "right", "b": "right"}
    for name, side in halves.items():
        is_left = bool((hide(WHOLE, "half", name, 255) != 255)[0, 0])
        assert is_left == (side == "left"), name


def test_a_scribble_runs_through_every_class_and_leaves_none():
    target = np.full((60, 80), 255, dtype=np.uint8)
    target[:20], target[30:50, :40], target[30:50, 60:] = 0, 1, 2
    hidden = hide(target, "scribbles", "a", 255)
    assert set(np.unique(hidden)) == {0, 1, 2, 255}
    assert (hidden[hidden != 255] == target[hidden != 255]).all()
    assert (hidden != 255).sum() < 0.2 * (target != 255).sum()


def test_a_scribble_of_one_class_labels_no_other_that_lies_between():
    between = np.full((60, 80), 255, dtype=np.uint8)
    between[:, 10:70] = 0
    both = np.where(between == 0, between, np.uint8(1))  # class 1 on the left and on the right
    for name in ("a", "b", "c"):
        alone = hide(between, "scribbles", name, 255)
        assert ((hide(both, "scribbles", name, 255) == 0) == (alone == 0)).all()


def test_sparse_targets_train_and_whole_ones_validate(cityscapes):
    train_set, val_set = open_datasets(cityscapes, (2, 3), sparse="points:2")
    assert (train_set.read_train_ids(0) != 255).sum() == 2
    assert (val_set.read_train_ids(0) != 255).sum() == 6
    assert count_pixels(train_set.targets(), 19).sum() == 2  # class weights see the visible part


def test_points_are_those_of_the_networks_size_and_drawn_before_any_transform(tmp_path):
    for split in ("train", "val"):
        write_image(tmp_path / f"leftImg8bit/{split}/aa/aa_1_leftImg8bit.png", (64, 48))
        path = tmp_path / f"{FINE}/{split}/aa/aa_1_{FINE}_labelIds.png"
        write(path, np.full((48, 64), 7))
    train_set, _ = open_datasets(tmp_path, (12, 16), sparse="points:9")
    seen = []
    train_set.transform = lambda image, mask: seen.append(mask) or {"image": image, "mask": mask}
    train_set[0]
    assert seen[0].shape == (48, 64)
    assert (resize_labels(seen[0], (12, 16)) == 0).sum() == 9


@pytest.mark.parametrize("kind", ["third", "rows", "rows:0", "points:-1", "half:2"])
def test_a_part_that_is_none_is_refused(kind, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(["train", "--sparse", kind])
    assert "is not half, rows:N, points:N or scribbles" in capsys.readouterr().err


def test_the_training_images_alone_may_be_limited(tmp_path):
    streets = write_streets(tmp_path / "streets")
    train_set, val_set = open_datasets(streets, (32, 64), limit_train=1)
    _, whole = open_datasets(streets, (32, 64))
    assert len(train_set) == 1 and len(val_set) == len(whole) == 2
    assert val_set.source.fingerprint() == whole.source.fingerprint()
