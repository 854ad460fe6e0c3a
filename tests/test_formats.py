"""CamVid, Pascal VOC, ADE20K and Mapillary Vistas: tiny folders in their layouts; colour masks."""

import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from street_files import write_png

from support.formats.ade20k import ADE20K
from support.formats.archives import read_names
from support.formats.camvid import CAMVID_11, CAMVID_32, split_of
from support.formats.color_masks import read_color_mask, unknown_colors
from support.formats.files import Sample, open_folder, open_source
from support.formats.labels import IGNORE_INDEX, Label, LabelSet
from support.formats.mapillary import MAPILLARY
from support.formats.pascal_voc import PASCAL_VOC
from utils import LabError

PHOTO = np.full((2, 3, 3), 90, dtype=np.uint8)
LEAVES = LabelSet(
    "leaves",
    (
        Label("soil", 4, 0, "", (10, 20, 30)),
        Label("leaf", 7, 1, "", (0, 128, 0)),
        Label("moss", 8, 2, "", (0, 128, 0)),
        Label("void", 9, IGNORE_INDEX, "void", (255, 255, 255)),
    ),
)


def grey(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)


def write_palette(path: Path, ids: np.ndarray) -> None:
    """Writes a palette PNG in which position 1 is (128, 0, 0)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(ids)
    mask.putpalette([0, 0, 0, 128, 0, 0] + [7] * 762)
    mask.save(path)


def write_lines(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(names) + "\n")


def read_only_pair(root: Path, split: str) -> tuple[list, np.ndarray, np.ndarray]:
    """The sizes of a split's images, and the one image and ids that it has."""
    source = open_source(root, split)
    assert len(source.samples) == 1
    return source.sizes, source.read_image(0), source.read_label_ids(0)


def void_ids(labels: LabelSet) -> list[int]:
    return [label.id for label in labels.labels if label.train_id == labels.ignore_index]


# ------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize(
    ("labels", "number", "void"),
    [
        (CAMVID_11, 11, [11]),
        (CAMVID_32, 31, [30]),
        (PASCAL_VOC, 21, [255]),
        (ADE20K, 150, [0]),
        (MAPILLARY, 65, [65]),
    ],
)
def test_label_sets_have_the_official_number_of_classes(labels, number, void):
    assert len(labels) == number and void_ids(labels) == void
    assert [label.train_id for label in labels.classes] == list(range(number))
    assert len({label.id for label in labels.labels}) == number + 1
    assert len({label.name for label in labels.labels}) == number + 1
    assert sorted(labels.labels, key=lambda label: label.id) == list(labels.labels)


@pytest.mark.parametrize(
    ("labels", "place", "row"),
    [
        (CAMVID_11, 4, Label("Pavement", 4, 4, "", (60, 40, 222))),
        (CAMVID_32, 0, Label("Animal", 0, 0, "moving objects", (64, 128, 64))),
        (CAMVID_32, 31, Label("Wall", 31, 30, "fixed objects", (64, 192, 0))),
        (PASCAL_VOC, 15, Label("person", 15, 15, "person", (192, 128, 128))),
        (PASCAL_VOC, 20, Label("tvmonitor", 20, 20, "indoor", (0, 64, 128))),
        (ADE20K, 1, Label("wall", 1, 0, "stuff", (120, 120, 120))),
        (ADE20K, 13, Label("person", 13, 12, "object", (150, 5, 61))),
        (ADE20K, 45, Label("chest of drawers", 45, 44, "object", (6, 51, 255))),
        (ADE20K, 150, Label("flag", 150, 149, "object", (92, 0, 255))),
        (MAPILLARY, 13, Label("Road", 13, 13, "construction", (128, 64, 128))),
        (MAPILLARY, 55, Label("Car", 55, 55, "object", (0, 0, 142))),
        (MAPILLARY, 64, Label("Ego Vehicle", 64, 64, "void", (120, 10, 10))),
    ],
)
def test_label_sets_have_the_official_rows(labels, place, row):
    assert labels.labels[place] == row


@pytest.mark.parametrize(
    ("labels", "checksum"),
    [
        (CAMVID_11, 3934212583),
        (CAMVID_32, 4201652776),
        (PASCAL_VOC, 3567624589),
        (ADE20K, 2670296956),
        (MAPILLARY, 908355273),
    ],
)
def test_label_sets_are_as_when_compared_with_their_sources(labels, checksum):
    """Names, ids and colours; all were compared with the published tables, row by row."""
    rows = [(label.name, label.id, label.train_id, label.color) for label in labels.labels]
    assert zlib.crc32(repr(rows).encode()) == checksum


def test_pascal_voc_colors_are_bits_of_the_ids():
    for label in PASCAL_VOC.labels:
        bits = [label.id >> k & 1 for k in range(8)]
        color = (bits[0::3], bits[1::3], bits[2::3])
        assert label.color == tuple(sum(b << 7 - k for k, b in enumerate(c)) for c in color)


@pytest.mark.parametrize("name", ["camvid", "segnet", "voc", "ade"])
def test_folders_have_no_cities(name, request):
    folder = open_folder(request.getfixturevalue(name))
    assert folder.cities("train") == [] and len(folder.list_files("train").samples) == 1
    with pytest.raises(LabError, match="unknown city 'aachen'"):
        folder.open("train", ["aachen"], None)


# ------------------------------------------------------------------------------------------ CamVid


@pytest.fixture
def camvid(tmp_path):
    """The original archives, with one frame of each split."""
    for frame in ("0001TP_006690", "0016E5_07959", "Seq05VD_f00000"):
        write_png(tmp_path / "701_StillsRaw_full" / f"{frame}.png", PHOTO)
        mask = [[(128, 64, 128), (0, 0, 0), (64, 192, 0)], [(64, 128, 64)] * 3]
        path = tmp_path / "LabeledApproved_full" / f"{frame}_L.png"
        write_png(path, np.array(mask, dtype=np.uint8))
    return tmp_path


@pytest.fixture
def segnet(tmp_path):
    """The folders of the SegNet tutorial."""
    for split in ("train", "val", "test"):
        write_png(tmp_path / split / f"{split}_000030.png", PHOTO)
        write_png(tmp_path / f"{split}annot" / f"{split}_000030.png", grey([0, 3, 11], [8, 8, 10]))
    return tmp_path


@pytest.mark.parametrize(
    ("frame", "split"),
    [
        ("0001TP_008520", "train"),
        ("0001TP_008550", "test"),
        ("0001TP_010380", "test"),
        ("0006R0_f03930", "train"),
        ("0016E5_07920", "train"),
        ("0016E5_07959", "val"),
        ("0016E5_08159", "val"),
        ("0016E5_08190", "train"),
        ("Seq05VD_f05100", "test"),
    ],
)
def test_camvid_splits_its_frames_as_the_tutorial(frame, split):
    assert split_of(frame) == split


def test_camvid_archives_hold_colors(camvid):
    folder = open_folder(camvid)
    assert folder.splits() == ["test", "train", "val"] and folder.labels is CAMVID_32
    for split, name in (("train", "0001TP_006690"), ("val", "0016E5_07959")):
        assert folder.list_files(split).samples == [Sample("", name)]
    sizes, image, ids = read_only_pair(camvid, "val")
    assert sizes == [(2, 3)] and image.tolist() == PHOTO.tolist()
    assert ids.tolist() == [[17, 30, 31], [0, 0, 0]] and ids.dtype == np.uint8
    assert not CAMVID_32.is_class[ids][0, 1] and CAMVID_32.is_class[ids].sum() == 5


def test_camvid_reads_its_one_smudged_mask(camvid):
    masks = camvid / "LabeledApproved_full"
    smudged = np.array([[(26, 26, 26), (128, 128, 128)]], dtype=np.uint8)
    write_png(masks / "Seq05VD_f02610_L.png", smudged)
    write_png(masks / "Seq05VD_f02640_L.png", smudged)
    folder = open_folder(camvid)
    assert folder.read_label_ids(masks / "Seq05VD_f02610_L.png").tolist() == [[30, 21]]
    with pytest.raises(LabError, match=r"f02640_L.png: the colour \(26, 26, 26\) \(pixels: 1\)"):
        folder.read_label_ids(masks / "Seq05VD_f02640_L.png")


def test_camvid_of_the_tutorial_holds_ids(segnet):
    folder = open_folder(segnet)
    assert folder.splits() == ["test", "train", "val"] and folder.labels is CAMVID_11
    sizes, _, ids = read_only_pair(segnet, "val")
    assert sizes == [(2, 3)] and ids.tolist() == [[0, 3, 11], [8, 8, 10]]
    assert CAMVID_11.is_class[ids].tolist() == [[True, True, False], [True] * 3]


def test_camvid_without_its_test_has_two_splits(segnet):
    (segnet / "testannot").rename(segnet / "elsewhere")
    assert open_folder(segnet).splits() == ["train", "val"]


def test_camvid_without_a_part_says_what_to_do(camvid, segnet):
    (segnet / "valannot").rename(segnet / "elsewhere")
    (segnet / "LabeledApproved_full").rename(segnet / "masks")
    with pytest.raises(LabError, match=r" holds no Lab[^\n]+; unpack [^\n]+ into Lab[^\n]+ there$"):
        open_folder(segnet).splits()
    (segnet / "701_StillsRaw_full").rename(segnet / "stills")
    with pytest.raises(LabError, match=r" holds no valannot/\*\.png; unpack [^\n]+ there$"):
        open_folder(segnet).splits()


def test_camvid_frame_without_a_mask_is_a_fault(camvid):
    write_png(camvid / "701_StillsRaw_full" / "0016E5_07961.png", PHOTO)
    write_png(camvid / "701_StillsRaw_full" / "._0016E5_07963.png", PHOTO)
    assert open_folder(camvid).list_files("train").faults == {}
    faults = open_folder(camvid).list_files("val").faults
    assert list(faults) == [Sample("", "0016E5_07961")]
    assert "image without its mask" in faults[Sample("", "0016E5_07961")]


# ------------------------------------------------------------------------------------- Pascal VOC


@pytest.fixture
def voc(tmp_path):
    for name in ("2007_000032", "2007_000033", "2008_000001"):
        write_png(tmp_path / "JPEGImages" / f"{name}.jpg", PHOTO)
    for name in ("2007_000032", "2007_000033"):
        write_palette(tmp_path / "SegmentationClass" / f"{name}.png", grey([0, 1, 255], [15] * 3))
    lists = tmp_path / "ImageSets" / "Segmentation"
    write_lines(lists / "train.txt", "2007_000032")
    write_lines(lists / "val.txt", "2007_000033")
    write_lines(lists / "trainval.txt", "2007_000032", "2007_000033")
    return tmp_path


def test_pascal_voc_reads_positions_of_the_palette(voc):
    folder = open_folder(voc)
    assert folder.splits() == ["train", "val"] and folder.labels is PASCAL_VOC
    assert folder.list_files("val").samples == [Sample("", "2007_000033")]
    sizes, image, ids = read_only_pair(voc, "train")
    assert sizes == [(2, 3)] and image.shape == (2, 3, 3)
    assert ids.tolist() == [[0, 1, 255], [15, 15, 15]] and ids.dtype == np.uint8
    assert PASCAL_VOC.is_class[ids].tolist() == [[True, True, False], [True] * 3]


@pytest.mark.parametrize("inner", ["VOC2012", "VOCdevkit/VOC2012"])
def test_pascal_voc_may_lie_deeper(voc, inner, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / inner).parent.mkdir(exist_ok=True)
    voc.rename(root / inner)
    assert open_folder(root).splits() == ["train", "val"]
    assert len(open_folder(root).list_files("train").masks) == 1


def test_pascal_voc_tests_where_there_are_masks(voc):
    write_lines(voc / "ImageSets" / "Segmentation" / "test.txt", "2008_000001")
    assert open_folder(voc).splits() == ["train", "val"]
    write_palette(voc / "SegmentationClass" / "2008_000001.png", grey([0, 0, 0], [0, 0, 0]))
    assert open_folder(voc).splits() == ["test", "train", "val"]


def test_pascal_voc_faults_are_of_the_listed_names(voc):
    write_lines(voc / "ImageSets" / "Segmentation" / "val.txt", "2008_000001", "2009_000009")
    listing = open_folder(voc).list_files("val")
    assert "image without its mask" in listing.faults[Sample("", "2008_000001")]
    assert "neither an image nor a mask" in listing.faults[Sample("", "2009_000009")]
    assert len(listing.faults) == len(listing.samples) == 2


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("SegmentationClass", "holds no SegmentationClass/*.png; unpack VOC"),
        ("ImageSets/Segmentation/val.txt", "ImageSets/Segmentation/val.txt is missing; unpack all"),
    ],
)
def test_pascal_voc_without_a_part_says_what_to_do(voc, part, words):
    (voc / part).rename(voc / "elsewhere")
    with pytest.raises(LabError, match=rf"^[^\n]+{re.escape(words)}[^\n]+$"):
        open_folder(voc).splits()


def test_pascal_voc_refuses_masks_that_were_turned_into_colors(voc):
    mask = voc / "SegmentationClass" / "2007_000032.png"
    Image.open(mask).convert("RGB").save(mask)
    with pytest.raises(LabError, match="mode RGB"):
        open_folder(voc).read_label_ids(mask)


# ----------------------------------------------------------------------------------------- ADE20K


@pytest.fixture
def ade(tmp_path):
    for folder, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        write_png(tmp_path / "images" / folder / f"{name}.jpg", PHOTO)
        mask = tmp_path / "annotations" / folder / f"{name}.png"
        write_png(mask, grey([0, 1, 150], [13, 13, 13]))
    return tmp_path


def test_ade20k_ignores_zero(ade):
    folder = open_folder(ade)
    assert folder.splits() == ["train", "val"] and folder.labels is ADE20K
    assert folder.list_files("train").samples == [Sample("", "ADE_train_00000001")]
    _, _, ids = read_only_pair(ade, "val")
    assert ids.tolist() == [[0, 1, 150], [13, 13, 13]]
    assert ADE20K.is_class[ids].tolist() == [[False, True, True], [True] * 3]


def test_ade20k_mask_without_an_image_is_a_fault(ade):
    write_png(ade / "annotations" / "validation" / "ADE_val_00000002.png", grey([0]))
    write_png(ade / "annotations" / "validation" / "._ADE_val_00000003.png", grey([0]))
    faults = open_folder(ade).list_files("val").faults
    assert list(faults) == [Sample("", "ADE_val_00000002")]
    assert "mask without its image" in faults[Sample("", "ADE_val_00000002")]


@pytest.mark.parametrize("part", ["images/validation", "annotations/validation"])
def test_ade20k_without_a_part_says_what_to_do(ade, part):
    (ade / part).rename(ade / "elsewhere")
    with pytest.raises(LabError, match=rf"^[^\n]+ holds no {part}/\*\.(jpg|png); unpack [^\n]+$"):
        open_folder(ade).splits()


def test_ade20k_may_lack_a_split(ade):
    for part in ("images", "annotations"):
        shutil.rmtree(ade / part / "validation")
    assert open_folder(ade).splits() == ["train"]


def test_ade20k_of_empty_folders_says_what_to_do(ade):
    for path in [*ade.rglob("*.jpg"), *ade.rglob("*.png")]:
        path.unlink()
    with pytest.raises(LabError, match=r"holds no images/training/\*\.jpg; unpack [^\n]+$"):
        open_folder(ade).splits()


def test_lists_may_have_empty_lines_and_any_encoding(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"first 1\n\n  \nsecond\ncaf\xe9\n\n")
    names = [sample.name for sample in read_names(tmp_path / "train.txt")]
    assert names == ["first", "second", "caf\ufffd"]


def test_a_data_folder_may_lie_in_a_hidden_one(ade):
    assert open_folder(ade.rename(ade.with_name(".ade"))).splits() == ["train", "val"]


# ------------------------------------------------------------------------------- Mapillary Vistas


@pytest.fixture(params=["labels", "v1.2/labels"])
def vistas(request, tmp_path):
    """Both layouts; the test has images alone."""
    for folder in ("training", "validation", "testing"):
        write_png(tmp_path / folder / "images" / "a-Z_0.jpg", PHOTO)
        if folder != "testing":
            mask = tmp_path / folder / request.param / "a-Z_0.png"
            write_palette(mask, grey([13, 64, 65], [55, 55, 55]))
    return tmp_path


def test_mapillary_reads_positions_of_the_palette(vistas):
    folder = open_folder(vistas)
    assert folder.splits() == ["train", "val"] and folder.labels is MAPILLARY
    assert folder.list_files("train").samples == [Sample("", "a-Z_0")]
    _, _, ids = read_only_pair(vistas, "val")
    assert ids.tolist() == [[13, 64, 65], [55, 55, 55]]
    assert MAPILLARY.is_class[ids].tolist() == [[True, True, False], [True] * 3]


def test_mapillary_reads_grey_masks_too(vistas):
    write_png(vistas / "m.png", grey([13, 65]))
    assert open_folder(vistas).read_label_ids(vistas / "m.png").tolist() == [[13, 65]]


def test_mapillary_tests_where_there_are_masks(vistas):
    write_palette(vistas / "testing" / "labels" / "a-Z_0.png", grey([0, 0, 0], [0, 0, 0]))
    assert open_folder(vistas).splits() == ["test", "train", "val"]
    assert len(open_source(vistas, "test").samples) == 1


def test_mapillary_image_without_a_mask_is_a_fault(vistas):
    write_png(vistas / "training" / "images" / "b.jpg", PHOTO)
    write_png(vistas / "training" / "images" / "._b.jpg", PHOTO)
    faults = open_folder(vistas).list_files("train").faults
    assert list(faults) == [Sample("", "b")]
    assert "image without its mask" in faults[Sample("", "b")]


def test_mapillary_warns_of_masks_of_another_version(vistas):
    folder = open_folder(vistas)
    with pytest.raises(LabError, match=": 99 in") as caught:
        folder.labels.require_known(grey([0, 65, 99]))
    assert str(folder.blame("m.png", caught.value)).endswith("those of 2.0 have other labels")


@pytest.mark.parametrize("part", ["images", "labels"])
def test_mapillary_without_a_part_says_what_to_do(vistas, part):
    for path in vistas.glob(f"validation/**/{part}"):
        path.rename(vistas / "elsewhere")
    where = rf"validation/(v1\.2/)?{part}/"
    with pytest.raises(LabError, match=rf"^[^\n]+ holds no {where}\*\.(jpg|png); unpack [^\n]+$"):
        open_folder(vistas).splits()


def test_mapillary_prefers_the_config_of_its_folder(vistas):
    rows = [
        ("nature--sky", "Sky", [1, 2, 3], True),
        ("void--unlabeled", "Unlabeled", [0, 0, 0], False),
        ("construction--flat--road", "Road", [4, 5, 6], True),
    ]
    keys = ("name", "readable", "color", "evaluate")
    content = {"labels": [dict(zip(keys, row, strict=True)) for row in rows]}
    (vistas / "config_v1.2.json").write_text(json.dumps(content))
    (vistas / "config.json").write_text("of another version")
    assert open_folder(vistas).labels.labels == (
        Label("Sky", 0, 0, "nature", (1, 2, 3)),
        Label("Unlabeled", 1, IGNORE_INDEX, "void", (0, 0, 0)),
        Label("Road", 2, 1, "construction", (4, 5, 6)),
    )


NAMELESS = '{"labels": [{"evaluate": true, "readable": "Sky", "color": [1, 2, 3], "name": 4}]}'


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"labels": [{"evaluate": true}]}', '{"labels": []}', NAMELESS]
)
def test_mapillary_config_that_is_none_is_named(vistas, text):
    (vistas / "config.json").write_text(text)
    with pytest.raises(LabError, match=r"^[^\n]+config.json: not a list of labels \([^\n]+$"):
        _ = open_folder(vistas).labels


# ----------------------------------------------------------------------------------- colour masks


def write_colors(path: Path, *rows: list[tuple]) -> Path:
    write_png(path, np.array(rows, dtype=np.uint8))
    return path


def test_color_mask_gives_the_first_label_of_each_color(tmp_path):
    soil, leaf, void = (10, 20, 30), (0, 128, 0), (255, 255, 255)
    path = write_colors(tmp_path / "m.png", [soil, leaf, void], [leaf, leaf, soil])
    ids = read_color_mask(path, LEAVES)
    assert ids.tolist() == [[4, 7, 9], [7, 7, 4]] and ids.dtype == np.uint8


def test_color_mask_names_what_is_unknown(tmp_path):
    path = write_colors(tmp_path / "m.png", [(0, 127, 0), (0, 127, 0), (10, 20, 30), (0, 0, 255)])
    with pytest.raises(LabError) as caught:
        read_color_mask(path, LEAVES)
    assert str(caught.value) == (
        f"{path}: the colour (0, 127, 0) (pixels: 2) is not one of the set leaves; the nearest is "
        "(0, 128, 0) leaf; mend the mask, or give the colour to a row of the set; further unknown "
        "colours: 1"
    )
    assert read_color_mask(path, LEAVES, unknown_id=9).tolist() == [[9, 9, 4, 9]]


def test_color_mask_suspects_smoothed_edges(tmp_path):
    rgb = np.full((40, 40, 3), 255, dtype=np.uint8)
    rgb[0, :21, 0] = range(21)
    write_png(tmp_path / "smooth.png", rgb)
    with pytest.raises(LabError, match="colours: 20; anti-aliased edges"):
        read_color_mask(tmp_path / "smooth.png", LEAVES)
    rgb[1, :20, 1] = 7  # too many pixels for an edge
    write_png(tmp_path / "other.png", rgb)
    with pytest.raises(LabError, match=r"colours: 21$"):
        read_color_mask(tmp_path / "other.png", LEAVES)
    few = np.full((40, 40, 3), 255, dtype=np.uint8)
    few[0, 0] = 0, 0, 255
    write_png(tmp_path / "few.png", few)
    with pytest.raises(LabError, match=r"the nearest is \(10, 20, 30\) soil; mend .* of the set$"):
        read_color_mask(tmp_path / "few.png", LEAVES)


def test_unknown_colors_are_counted(tmp_path):
    rgb = np.array([[(255, 0, 1), (0, 128, 0), (2, 3, 4), (2, 3, 4)]], dtype=np.uint8)
    assert unknown_colors(rgb, LEAVES) == [((2, 3, 4), 2), ((255, 0, 1), 1)]


def test_color_mask_with_alpha_must_be_opaque(tmp_path):
    path = write_colors(tmp_path / "m.png", [(0, 128, 0, 255), (10, 20, 30, 255)])
    assert read_color_mask(path, LEAVES).tolist() == [[7, 4]]
    write_colors(path, [(0, 128, 0, 255), (10, 20, 30, 254)])
    with pytest.raises(LabError, match=r"m.png: has 1 transparent pixels"):
        read_color_mask(path, LEAVES)


def test_color_mask_may_mean_ids_of_16_bits(tmp_path):
    path = write_colors(tmp_path / "m.png", [(1, 1, 1), (2, 2, 2)])
    rows = [{"name": "a", "id": 300, "color": [1, 1, 1]}, {"name": "b", "id": 7, "color": [2] * 3}]
    assert read_color_mask(path, LabelSet.from_json(rows)).tolist() == [[300, 7]]


def test_color_mask_must_have_no_orientation_tag(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (3, 2), (0, 128, 0)).save(tmp_path / "m.png", exif=exif)
    with pytest.raises(LabError, match=r"m.png: a target must have no orientation tag"):
        read_color_mask(tmp_path / "m.png", LEAVES)


def test_color_mask_must_be_an_rgb_png(tmp_path):
    write_png(tmp_path / "m.jpg", PHOTO)
    with pytest.raises(LabError, match="not a PNG file, but JPEG"):
        read_color_mask(tmp_path / "m.jpg", LEAVES)
    write_png(tmp_path / "grey.png", grey([0, 1]))
    with pytest.raises(LabError, match="must be an RGB PNG; this one is of mode L"):
        read_color_mask(tmp_path / "grey.png", LEAVES)
