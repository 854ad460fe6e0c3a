"""A folder of one's own: found, read, checked, trained on; each fault with its sentence."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from street_files import write_png, write_streets

import main
from commands.audit import class_remarks
from commands.data import legend_of
from data import SegmentationDataset
from models import UNet
from support.engine.weights import load_weights
from support.formats.cityscapes import CITYSCAPES
from support.formats.files import open_folder, open_source
from support.formats.labels import LabelSet, Reading
from support.formats.survey import Survey, drafted
from toycity import ensure_toycity
from utils import LabError

SIZE = (24, 32)
LEAVES = [{"name": "soil", "id": 0}, {"name": "leaf", "id": 1, "color": [0, 128, 0]}]


def blob(seed, size=SIZE):
    """An image, and a mask of 0 and 1 that follows its brightness."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    top, left = generator.integers(0, 8, 2)
    mask[top : top + 12, left : left + 16] = 1
    image = generator.integers(0, 100, (*size, 3)) + 120 * mask[..., None]
    return image.astype(np.uint8), mask


def write_pair(root, name, mask=None, image=None, seed=0, ending=".png", split="train"):
    picture, ids = blob(seed)
    write_png(root / "images" / split / f"{name}{ending}", picture if image is None else image)
    write_png(root / "masks" / split / f"{name}.png", ids if mask is None else mask)


def write_classes(root, content):
    (root / "classes.json").write_text(json.dumps(content))


@pytest.fixture
def leaves(tmp_path):
    """Four images to train on and two to validate, of two classes."""
    root = tmp_path / "leaves"
    for number in range(4):
        write_pair(root, f"a{number}", seed=number)
    for number in range(2):
        write_pair(root, f"b{number}", seed=10 + number, split="val")
    write_classes(root, LEAVES)
    return root


def check(root, capsys, *more):
    capsys.readouterr()
    code = main.main(["check", "--datadir", str(root), *more])
    return code, capsys.readouterr().out


def only_fault(root, capsys):
    """The one fault that check finds, which a training must refuse too."""
    code, text = check(root, capsys)
    lines = [line for line in text.splitlines() if not line.startswith(("warning", "note"))]
    assert code == 1 and len(lines) == 2 and lines[1].startswith("1 fault in"), text
    return lines[0]


# ------------------------------------------------------------------------------- what is found


def test_splits_are_folders(leaves):
    folder = open_folder(leaves)
    assert folder.splits() == ["train", "val"] and folder.labels.names == ("soil", "leaf")
    source = open_source(leaves, "val")
    assert [sample.name for sample in source.samples] == ["b0", "b1"]
    assert source.read_label_ids(0).sum() == 12 * 16


@pytest.mark.parametrize("ending", ["_mask", "_gt", "_labelIds"])
@pytest.mark.parametrize("kind", [".jpg", ".JPEG", ".tif", ".webp", ".bmp"])
def test_images_of_any_kind_and_masks_with_an_ending(tmp_path, ending, kind):
    write_pair(tmp_path, "x", ending=kind)
    write_pair(tmp_path, "y")
    mask = tmp_path / "masks/train/x.png"
    mask.rename(mask.with_name(f"x{ending}.png"))
    write_classes(tmp_path, LEAVES)
    source = open_folder(tmp_path, Reading(0.5)).open("train", None, None)
    other = open_folder(tmp_path, Reading(0.5)).open("val", None, None)
    assert {source.samples[0].name, other.samples[0].name} == {"x", "y"}
    assert source.read_image(0).shape == (*SIZE, 3)


def test_a_mask_that_has_the_very_name_of_an_image_is_its_mask(leaves):
    write_pair(leaves, "a0_mask", seed=7)
    assert len(open_source(leaves, "train").samples) == 5


def test_sub_folders_are_cities_and_give_names(leaves):
    write_pair(leaves, "park/a0", seed=5)
    source = open_source(leaves, "train", ["park"])
    assert source.samples == [("park", "park/a0")] and source.cities == ["park"]
    assert len(open_source(leaves, "train").samples) == 5
    with pytest.raises(LabError, match=r"unknown city 'wood' .* there are: park"):
        open_source(leaves, "train", ["wood"])


def write_flat(root, count):
    for number in range(count):
        write_pair(root, f"n{number}", seed=number, split="")
    write_classes(root, LEAVES)


def test_lists_name_the_samples_of_a_split(tmp_path):
    write_flat(tmp_path, 4)
    (tmp_path / "train.txt").write_text("n0\nn2.png\n\n")
    (tmp_path / "val.txt").write_text("n1\r\n")
    folder = open_folder(tmp_path)
    names = [[s.name for s in folder.open(split, None, None).samples] for split in folder.splits()]
    assert names == [["n0", "n2"], ["n1"]]


def test_a_list_that_names_no_image_is_a_fault(tmp_path, capsys):
    write_flat(tmp_path, 4)
    (tmp_path / "train.txt").write_text("n0\nn2\nn33\n")
    (tmp_path / "val.txt").write_text("n1\n")
    fault = only_fault(tmp_path, capsys)
    assert "train.txt: n33 is no image of" in fault and "the nearest is n3; mend the" in fault
    with pytest.raises(LabError, match="n33 is no image"):
        open_source(tmp_path, "train")


def test_a_share_validates_by_name_and_stays_when_files_are_added(tmp_path):
    write_flat(tmp_path, 40)
    before = open_source(tmp_path, "val").samples
    assert (
        2 <= len(before) <= 16 and len(open_source(tmp_path, "train").samples) + len(before) == 40
    )
    write_flat(tmp_path, 60)
    after = open_source(tmp_path, "val").samples
    assert [s for s in after if int(s.name[1:]) < 40] == before
    assert len(open_source(tmp_path, "val", reading=Reading(0.5)).samples) > len(after)


def test_train_alone_is_divided_and_test_stays(leaves):
    for path in (leaves / "images/val", leaves / "masks/val"):
        path.rename(path.with_name("test"))
    folder = open_folder(leaves, Reading(0.4))
    assert folder.splits() == ["test", "train", "val"]
    assert sum(len(folder.open(split, None, None).samples) for split in ("train", "val")) == 4


def test_a_folder_beside_those_of_the_splits_is_named(leaves):
    (leaves / "images/validation").mkdir()
    with pytest.raises(LabError, match="validation: the folders of splits are called train, val"):
        open_folder(leaves)


def test_folders_without_any_file_say_how_files_are_called(tmp_path, capsys):
    for layer in ("images", "masks"):
        (tmp_path / layer).mkdir()
    with pytest.raises(LabError, match="no image below images/ and no mask below masks/; they"):
        open_folder(tmp_path)
    (tmp_path / "train.txt").write_text("n0\n")
    write_classes(tmp_path, LEAVES)
    assert "train.txt: n0 is no image of" in only_fault(tmp_path, capsys)


def test_hidden_files_and_folders_are_not_read(leaves):
    for layer in ("images", "masks"):
        (leaves / layer / "train/._a0.png").write_bytes(b"no image")
        write_png(leaves / layer / "train/.checkpoints/a0-copy.png", blob(3)[0])
    assert len(open_source(leaves, "train").samples) == 4


def test_lists_may_name_files_as_editors_and_programs_write_them(tmp_path):
    write_flat(tmp_path, 4)
    text = "./n0.png\nimages/n1.PNG\n  n2  \n"
    (tmp_path / "train.txt").write_text(text, encoding="utf-8-sig")
    (tmp_path / "val.txt").write_text("n3")
    assert [s.name for s in open_source(tmp_path, "train").samples] == ["n0", "n1", "n2"]


def test_two_images_of_one_name_are_a_fault(leaves, capsys):
    write_png(leaves / "images/train/a0.bmp", blob(0)[0])
    assert "a0.png: has the name of a0.bmp; rename or delete one" in only_fault(leaves, capsys)


# ------------------------------------------------------------------------------- what masks hold


def test_ids_keep_to_classes_json_even_255_and_300(tmp_path):
    mask = np.zeros(SIZE, np.uint16)
    mask[0], mask[1] = 255, 300
    write_pair(tmp_path, "x", mask=mask)
    classes = [{"name": "ground", "id": 300}, {"name": "leaf", "id": 255}]
    write_classes(tmp_path, {"classes": classes, "ignore": [0]})
    dataset = SegmentationDataset(tmp_path, "val")
    target = dataset[0][1]
    assert target[:3, 0].tolist() == [1, 0, 255]
    assert dataset.labels.decode(np.array([0, 1, 255], np.uint8)).tolist() == [300, 255, 0]


def test_a_palette_gives_positions_and_not_colours(leaves):
    image = Image.fromarray(blob(0)[1], mode="P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(leaves / "masks/train/a0.png")
    assert np.array_equal(open_source(leaves, "train").read_label_ids(0), blob(0)[1])


def test_0_255_masks_with_soft_edges_are_named(leaves, capsys):
    """A mask of 0 and 255, enlarged with smoothing: the values between are no classes."""
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        small = Image.fromarray(255 * np.asarray(Image.open(path))[::2, ::2])
        small.resize(SIZE[::-1], Image.BILINEAR).save(path)
    code, text = check(leaves, capsys)
    assert code == 1 and "look like smoothed edges" in text and "is 255 a class or void" in text
    assert main.main(["classes", str(leaves)]) == 0
    content = json.loads((leaves / "classes.json").read_text())
    assert [row["id"] for row in content["classes"]] == [0, 255] and content["ignore"] == []
    assert check(leaves, capsys)[0] == 1


def test_a_folder_with_an_odd_name_can_be_read(leaves, capsys):
    odd = leaves.rename(leaves.with_name("caf\udce9"))
    assert main.main(["check", "--datadir", str(odd)]) == 0
    (odd / "classes.json").unlink()
    assert main.main(["classes", str(odd)]) == 0 and open_folder(odd).labels.name == "caf?"


def write_many(root, count, values, size=(40, 60)):
    """Masks of 0 with a rectangle of another value each, in turn."""
    for number in range(count):
        mask = np.zeros(size, np.uint8)
        mask[5:15, 5:17] = values[number % len(values)]
        image = np.random.default_rng(number).integers(0, 255, (*size, 3)).astype(np.uint8)
        write_pair(root, f"n{number:03}", mask=mask, image=image, split="")


@pytest.mark.parametrize("values", [range(1, 51), range(3, 120)])
def test_many_rare_classes_are_no_smoothing(tmp_path, capsys, values):
    write_many(tmp_path, 120, values)
    code, text = check(tmp_path, capsys)
    assert code == 0 and "smoothed" not in text
    assert len(open_folder(tmp_path).labels) == 1 + len(values)


def test_trimaps_are_no_smoothing(leaves, capsys):
    """0, 128, 255 with a thin band of 128: three classes, or two and void."""
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        mask = 255 * np.asarray(Image.open(path))
        mask[:, 15][mask[:, 15] > 0] = 128
        write_png(path, mask)
    assert main.main(["classes", str(leaves)]) == 0
    content = json.loads((leaves / "classes.json").read_text())
    assert [row["id"] for row in content["classes"]] == [0, 128] and content["ignore"] == [255]


def test_photographs_are_no_masks(leaves, capsys):
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
        write_png(path, noise)
    capsys.readouterr()
    assert main.main(["classes", str(leaves)]) == 2
    assert "none is frequent: are these photographs" in capsys.readouterr().err


def test_ignored_first_ids_are_no_train_ids(leaves, capsys):
    classes = [{"name": name, "id": number} for number, name in enumerate("abc", 1)]
    write_classes(leaves, {"classes": classes, "ignore": [0]})
    code, text = check(leaves, capsys)
    assert code == 0 and "train ids" not in text


def test_images_on_no_list_are_a_note(tmp_path, capsys):
    write_flat(tmp_path, 4)
    (tmp_path / "train.txt").write_text("n0\nn2\nn3\n")
    code, text = check(tmp_path, capsys)
    assert code == 0 and "on no list, and so not read: 1 of 4 images, such as n1" in text


def test_masks_of_one_value_have_nothing_to_tell_apart(leaves, capsys):
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        write_png(path, np.zeros(SIZE, np.uint8))
    assert "the masks hold one value alone, 0" in only_fault(leaves, capsys)
    assert main.main(["classes", str(leaves)]) == 2 and not (leaves / "classes.json").exists()


def test_256_is_an_id_of_its_own(tmp_path):
    write_pair(tmp_path, "x", mask=256 * blob(0)[1].astype(np.uint16))
    write_classes(tmp_path, [{"name": "soil", "id": 0}, {"name": "leaf", "id": 256}])
    target = SegmentationDataset(tmp_path, "val")[0][1]
    assert np.array_equal(target.numpy(), blob(0)[1])


def test_opaque_colours_with_an_alpha_channel_are_read(leaves):
    write_classes(leaves, [LEAVES[0] | {"color": [90, 60, 30]}, LEAVES[1]])
    paint(leaves, [[90, 60, 30, 255], [0, 128, 0, 255]])
    assert np.array_equal(open_source(leaves, "train").read_label_ids(0), blob(0)[1])


def test_masks_of_another_kind_are_named(leaves, capsys):
    path = leaves / "masks/train/a0.png"
    Image.open(path).save(path, format="BMP")
    assert "a0.png: not a PNG file, but BMP; save the mask as PNG" in only_fault(leaves, capsys)


def test_colours_are_read_exactly(leaves):
    write_classes(leaves, [{"name": "soil", "id": 4, "color": [90, 60, 30]}, LEAVES[1]])
    for number in range(4):
        ids = blob(number)[1]
        colors = np.array([[90, 60, 30], [0, 128, 0]], np.uint8)[ids]
        write_png(leaves / f"masks/train/a{number}.png", colors)
    source = open_source(leaves, "train")
    assert np.array_equal(source.read_label_ids(2), np.where(blob(2)[1], 1, 4))


def test_without_classes_json_the_ids_are_the_classes(leaves, capsys):
    (leaves / "classes.json").unlink()
    code, text = check(leaves, capsys)
    assert code == 0 and "has no classes.json: the 2 ids in its masks are the classes, 0, 1" in text
    assert open_folder(leaves).labels.names == ("0", "1")


# ------------------------------------------------------------------------------- faults


def test_check_finds_nothing_wrong(leaves, capsys):
    assert check(leaves, capsys) == (
        0,
        f"no fault in {leaves} (6 pairs read)\n" + next_line(leaves),
    )


def next_line(root):
    from utils import python_command

    return f"next: {python_command()} main.py show --datadir {root}\n"


def test_0_and_255_without_classes_json_is_a_question(leaves, capsys):
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        write_png(path, 255 * np.asarray(Image.open(path)))
    fault = only_fault(leaves, capsys)
    assert (
        "masks/train/a0.png: is 255 a class or void? The masks hold it in 1,152 pixels, beside 0, "
        in fault
    )
    assert "main.py classes" in fault
    with pytest.raises(LabError, match="is 255 a class or void"):
        open_source(leaves, "train")


def test_an_id_outside_the_set_is_counted(leaves, capsys):
    mask = blob(0)[1]
    mask[0, :5], mask[1, :1] = 7, 255
    write_png(leaves / "masks/train/a0.png", mask)
    fault = only_fault(leaves, capsys)
    assert "a0.png: label ids outside the set leaves, which has 0 ... 1: 7 in 5 pixels, " in fault
    assert ", 255 in 1 pixel; " in fault
    assert 'name each in classes.json, as a class or under "ignore"' in fault


def test_an_unknown_colour_is_named_with_the_nearest(leaves, capsys):
    write_classes(leaves, [{"name": "soil", "id": 0, "color": [90, 60, 30]}, LEAVES[1]])
    for path in leaves.rglob("masks/*/*.png"):
        colors = np.array([[90, 60, 30], [0, 128, 0]], np.uint8)[np.asarray(Image.open(path))]
        if path.stem == "a1":
            colors[0, :3] = (0, 130, 0)
        write_png(path, colors)
    fault = only_fault(leaves, capsys)
    assert "a1.png: the colour (0, 130, 0) (pixels: 3) is not one of the set leaves" in fault
    assert "the nearest is (0, 128, 0) leaf" in fault


def test_smoothed_edges_are_recognised(leaves, capsys):
    smooth = np.linspace(0, 200, 32).astype(np.uint8)
    mask = blob(0)[1]
    mask[0] = smooth
    write_png(leaves / "masks/train/a0.png", mask)
    assert "smoothing" in only_fault(leaves, capsys)


def test_smoothed_colours_are_recognised(leaves, capsys):
    write_classes(leaves, [{"name": "soil", "id": 0, "color": [255, 255, 255]}, LEAVES[1]])
    for path in leaves.rglob("masks/*/*.png"):
        colors = np.array([[255] * 3, [0, 128, 0]], np.uint8)[np.asarray(Image.open(path))]
        if path.stem == "a1":
            colors[0, :, 0] = np.arange(32)
        write_png(path, colors)
    assert "anti-aliased edges? export without smoothing" in only_fault(leaves, capsys)


def test_colours_without_classes_json_are_refused(leaves, capsys):
    (leaves / "classes.json").unlink()
    write_png(leaves / "masks/train/a0.png", np.zeros((*SIZE, 3), np.uint8))
    fault = only_fault(leaves, capsys)
    assert "a0.png: holds colours, and no classes.json says which of them is which class" in fault


def test_colours_where_classes_json_gives_none_are_refused(leaves, capsys):
    write_classes(leaves, [{"name": "soil", "id": 0}, {"name": "leaf", "id": 1}])
    write_png(leaves / "masks/train/a0.png", np.zeros((*SIZE, 3), np.uint8))
    fault = only_fault(leaves, capsys)
    assert "a0.png: holds colours, and classes.json gives none to soil, leaf; add the" in fault
    assert "or save this mask as ids" in fault


def test_a_mask_of_another_size_is_named(leaves, capsys):
    write_png(leaves / "masks/train/a0.png", np.zeros((32, 24), np.uint8))
    fault = only_fault(leaves, capsys)
    assert "the target is 24x32, its image a0.png 32x24; save both at one size" in fault


def test_a_mask_turned_against_its_image_by_exif_is_named(leaves, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3
    path = leaves / "images/train/a0.png"
    Image.open(path).save(path.with_suffix(".jpg"), exif=exif)
    path.unlink()
    assert "has the orientation tag 3" in only_fault(leaves, capsys)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_an_image_turned_by_90_degrees_fits_its_upright_mask(leaves, capsys, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = leaves / "images/train/a0.png"
    image = np.asarray(Image.open(path))
    Image.fromarray(np.rot90(image)).save(path.with_suffix(f".{kind.lower()}"), exif=exif)
    path.unlink()
    assert check(leaves, capsys)[0] == 0
    read = open_source(leaves, "train").read_image(0)
    assert read.shape == image.shape and np.abs(read.astype(int) - image).mean() < 25


def test_a_stem_without_partner_names_the_nearest(leaves, capsys):
    path = leaves / "masks/train/a0.png"
    path.rename(path.with_name("a0x.png"))
    code, text = check(leaves, capsys)
    assert code == 1 and "a0.png: image without its mask (the nearest name is a0x.png)" in text
    assert "a0x.png: mask without its image (the nearest name is a0.png)" in text


def test_a_stem_in_upper_case_is_near(leaves, capsys):
    path = leaves / "images/train/a0.png"
    path.rename(path.with_name("A0.png"))
    code, text = check(leaves, capsys)
    assert code == 1 and "A0.png: image without its mask (the nearest name is a0.png)" in text
    assert "a0.png: mask without its image (the nearest name is A0.png)" in text


@pytest.mark.parametrize(("content", "said"), [(b"", "an empty file"), (None, "not a readable")])
def test_empty_and_truncated_masks_are_named(leaves, capsys, content, said):
    path = leaves / "masks/train/a0.png"
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half if content is None else content)
    fault = only_fault(leaves, capsys)
    assert said in fault and fault.count(str(path)) == 1


def test_jpeg_masks_are_refused_with_the_reason(leaves, capsys):
    path = leaves / "masks/train/a0.png"
    Image.open(path).convert("L").save(path.with_suffix(".jpg"))
    path.unlink()
    fault = only_fault(leaves, capsys)
    assert "a0.jpg: not a PNG file, but JPEG, which changes numbers and blurs borders" in fault


def test_one_image_in_two_splits_is_found_by_content(leaves, capsys):
    image, mask = blob(1)
    write_pair(leaves, "other", mask=mask, image=image, split="val")
    fault = only_fault(leaves, capsys)
    assert "val/other.png: the same image, pixel by pixel, as" in fault and "a1.png" in fault


def test_one_image_twice_in_one_split_is_no_fault(leaves, capsys):
    image, mask = blob(1)
    write_pair(leaves, "other", mask=mask, image=image)
    assert check(leaves, capsys)[0] == 0


def test_images_that_cannot_be_read_are_not_the_same_image(leaves, capsys):
    for name in ("images/train/a0.png", "masks/train/a0.png", "images/val/b0.png"):
        (leaves / name).write_bytes(b"")
    code, text = check(leaves, capsys)
    assert code == 1 and text.count("an empty file") == 3 and "3 faults" in text


def test_two_masks_of_one_image_are_named_and_not_read(leaves, capsys):
    write_png(leaves / "masks/train/a0_gt.png", np.full(SIZE, 7, np.uint8))
    assert "a0_gt.png: a second mask, beside a0.png; keep one" in only_fault(leaves, capsys)
    assert "(5 pairs read)" in check(leaves, capsys)[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([LEAVES[0], LEAVES[0]], "the name soil occurs twice"),
        ([LEAVES[0], {"name": "leaf", "id": 0}], "the id 0 occurs twice"),
        ([*LEAVES, {"name": "x", "id": 2, "color": [0, 128, 0]}], "the color (0, 128, 0) occurs"),
        ({"classes": LEAVES, "ignore": [1]}, "the id 1 occurs twice"),
        ([LEAVES[0]], "1 classes are too few"),
        ([LEAVES[0], {"name": "leaf", "id": -1}], "leaf: its id must be a whole number"),
        ([LEAVES[0], {"name": "leaf", "id": 1, "color": [0, 300, 0]}], "its color must be three"),
        ([LEAVES[0], {"id": 1}], "has no name"),
        ([LEAVES[0], {"name": "leaf", "id": 1, "colour": [0, 0, 0]}], "must look like"),
        (7, "must be a list of classes"),
        ({"classes": LEAVES, "ignored": [9]}, "must be a list of classes"),
        ({"name": "a\nb", "classes": LEAVES}, "cannot be printed in a line"),
        ([LEAVES[0], {"name": "soil ", "id": 1}], "the name soil occurs twice"),
        ({"classes": LEAVES, "ignore": 255}, '"ignore" must be a list of ids'),
        ({"classes": LEAVES, "ignore": [True]}, "ignore true: must look like"),
        ([LEAVES[0], {"name": "leaf", "id": True}], "leaf: its id must be a whole number"),
        ([LEAVES[0], {"name": "leaf", "id": 65536}], "leaf: its id must be a whole number"),
        ([LEAVES[0], {"name": "leaf", "id": 1, "color": [0, 0.5, 0]}], "its color must be three"),
        ([LEAVES[0], {"name": " ", "id": 1}], "has no name that can be printed"),
        ([{"name": f"n{k}", "id": k} for k in range(256)], "256 classes are too many"),
    ],
)
def test_broken_classes_json_is_a_fault(leaves, capsys, content, said):
    write_classes(leaves, content)
    fault = only_fault(leaves, capsys)
    assert said in fault and "classes.json" in fault
    assert main.main(["train", "--datadir", str(leaves), "--dry-run"]) == 2


def test_label_sets_may_be_as_large_as_they_can():
    rows = [{"name": f"n{k}", "id": k} for k in range(254)] + [{"name": "last", "id": 65535}]
    labels = LabelSet.from_json(rows)
    assert len(labels) == 255 and labels.id_type is np.uint16
    assert LabelSet.from_json([*rows[:2], {"name": "c", "id": 255}]).id_type is np.uint8
    assert LabelSet.from_json([*rows[:2], {"name": "c", "id": 256}]).id_type is np.uint16


def test_a_label_set_comes_back_from_json_with_what_it_ignores():
    void = {"name": "sky", "id": 9, "color": [195, 105, 0]}
    content = {"name": "few", "classes": LEAVES, "ignore": [255, void]}
    labels = LabelSet.from_json(content)
    assert LabelSet.from_json(labels.to_json()) == labels and labels.name == "few"
    assert [label.name for label in labels.labels] == ["soil", "leaf", "sky", "void 255"]
    assert labels.labels[3].category == "void" and labels.labels[2].color == (195, 105, 0)
    assert labels.decode(np.array([255], np.uint8)).tolist() == [9]  # the first id ignored


@pytest.mark.parametrize("ignore", [[], [{"id": 9, "color": [195, 105, 0]}]])
def test_chosen_colours_avoid_those_that_are_taken(ignore):
    rows = [{"name": "a", "id": 0}, {"name": "b", "id": 1, "color": [0, 0, 255]}]
    labels = LabelSet.from_json({"classes": rows, "ignore": ignore})
    first = (0, 165, 255) if ignore else (195, 105, 0)  # of colors.FIRST, what is left
    assert [label.color for label in labels.classes] == [first, (0, 0, 255)]


def test_classes_json_may_begin_with_a_byte_order_mark(leaves, capsys):
    (leaves / "classes.json").write_text(json.dumps(LEAVES), encoding="utf-8-sig")
    assert check(leaves, capsys)[0] == 0


@pytest.mark.parametrize("text", ["[{", "", "[" * 100_000])
def test_classes_json_that_is_no_json_is_a_fault(leaves, capsys, text):
    (leaves / "classes.json").write_text(text)
    assert "classes.json: not readable as JSON" in only_fault(leaves, capsys)


def paint(root, colors):
    """Turns the masks of 0 and 1 into masks of two colours."""
    for path in root.rglob("masks/*/*.png"):
        write_png(path, np.array(colors, np.uint8)[np.asarray(Image.open(path))])


def test_a_colour_that_nobody_wrote_is_unknown(leaves, capsys):
    """What is ignored without a colour is drawn black, but no black mask means it."""
    other = {"name": "x", "id": 2, "color": [1, 2, 3]}
    write_classes(leaves, {"classes": [LEAVES[1], other], "ignore": [0]})
    paint(leaves, [[0, 0, 0], [0, 128, 0]])
    code, text = check(leaves, capsys)
    assert code == 1 and text.count("the colour (0, 0, 0)") == 6
    assert "mend the mask, or give the colour to a row of the set" in text


def test_a_colour_that_the_lab_chose_is_in_no_mask(leaves, capsys):
    write_classes(leaves, [{"name": "color", "id": 0}, LEAVES[1]])
    paint(leaves, [open_folder(leaves).labels.labels[0].color, [0, 128, 0]])
    code, text = check(leaves, capsys)
    assert code == 1 and text.count("classes.json gives none to color; add") == 6


def test_a_class_and_what_is_ignored_have_two_colours(leaves, capsys):
    void = {"id": 9, "color": [0, 128, 0]}
    classes = [LEAVES[0] | {"color": [1, 1, 1]}, LEAVES[1]]
    write_classes(leaves, {"classes": classes, "ignore": [void]})
    paint(leaves, [[1, 1, 1], [0, 128, 0]])
    fault = only_fault(leaves, capsys)
    assert "classes.json: the color (0, 128, 0) occurs twice" in fault


def test_other_colours_are_other_data(leaves):
    colors = [[90, 60, 30], [0, 128, 0]]
    paint(leaves, colors)
    found = []
    for first, second in (colors, colors[::-1]):
        rows = [LEAVES[0] | {"color": first}, LEAVES[1] | {"color": second}]
        write_classes(leaves, rows)
        found.append(open_source(leaves, "train").fingerprint())
    assert found[0] != found[1]
    write_classes(leaves, rows[::-1])  # other train ids
    assert open_source(leaves, "train").fingerprint() not in found
    write_classes(leaves, {"name": "x", "classes": rows, "ignore": [9]})
    moved = leaves.rename(leaves.with_name("moved"))
    assert open_source(moved, "train").fingerprint() == found[1]


def test_smoothed_ids_without_classes_json_are_a_fault(leaves, capsys):
    (leaves / "classes.json").unlink()
    mask = 200 * blob(0, (64, 90))[1]
    mask[0, :60] = np.arange(60) * 3
    for split in ("train", "val"):
        for path in (leaves / "masks" / split).iterdir():
            write_png(path, mask)
            image = np.random.default_rng(path.stat().st_ino).integers(0, 255, (64, 90, 3))
            write_png(leaves / "images" / split / path.name, image.astype(np.uint8))
    code, text = check(leaves, capsys)
    assert code == 1 and "59 values, such as 3, look like smoothed edges; export the masks" in text
    with pytest.raises(LabError, match="look like smoothed edges"):
        open_source(leaves, "train")


@pytest.mark.parametrize("names", [("Train", "Val"), ("training", "validation")])
def test_misnamed_splits_are_not_cities(leaves, names):
    for layer in ("images", "masks"):
        for old, new in zip(("train", "val"), names, strict=True):
            (leaves / layer / old).rename(leaves / layer / new)
    with pytest.raises(LabError, match="the folders of splits are called train, val, test"):
        open_folder(leaves)


def test_a_split_with_masks_alone_is_not_passed_over(leaves, capsys):
    for path in (leaves / "images/val").iterdir():
        path.unlink()
    (leaves / "images/val").rmdir()
    code, text = check(leaves, capsys)
    assert code == 1 and text.count("mask without its image") == 2


def test_files_beside_the_folders_of_the_splits_are_named(leaves, capsys):
    write_png(leaves / "images/c.png", blob(0)[0])
    assert "images/c.png: is not read, as there are folders for train, val" in only_fault(
        leaves, capsys
    )
    (leaves / "images/c.png").rename(leaves / "masks/c.png")
    assert "masks/c.png: is not read, as there are folders" in only_fault(leaves, capsys)
    (leaves / "masks/c.png").rename(leaves / "train.txt")
    assert "train.txt: is not read" in only_fault(leaves, capsys)


def test_a_test_split_without_masks_is_left_out(leaves, capsys):
    write_png(leaves / "images/test/t.png", blob(9)[0])
    (leaves / "masks/test").mkdir()
    (leaves / "masks/test/README.txt").touch()
    assert check(leaves, capsys)[0] == 0 and open_folder(leaves).splits() == ["train", "val"]
    for layer in ("images", "masks"):
        shutil.rmtree(leaves / layer / "val")
    assert open_folder(leaves).splits() == ["train", "val"]  # a share of those that train


def test_a_test_split_alone_can_be_checked(leaves, capsys):
    for layer in ("images", "masks"):
        (leaves / layer / "train").rename(leaves / layer / "test")
        for path in (leaves / layer / "val").iterdir():
            path.unlink()
        (leaves / layer / "val").rmdir()
    code, text = check(leaves, capsys)
    assert code == 0 and "has nothing for 'train'; training needs it" in text


def test_folders_are_followed_through_links(leaves):
    write_pair(leaves, "park/p0", seed=20)
    (leaves / "images/train/park").rename(leaves / "elsewhere")
    (leaves / "images/train/park").symlink_to(leaves / "elsewhere")
    (leaves / "elsewhere/loop").symlink_to(leaves / "images/train")
    assert len(open_source(leaves, "train").samples) == 5


@pytest.mark.parametrize("text", ["n0\nn1\n.\n/\n", "n0\nn1\n", "n0\nn1\nn2.003\n"])
def test_lists_that_are_wrong_are_faults(tmp_path, capsys, text):
    write_flat(tmp_path, 4)
    (tmp_path / "train.txt").write_text(text)
    (tmp_path / "val.txt").write_text("n1\nn3\n")
    code, out = check(tmp_path, capsys)
    assert code == 1 and "train.txt and val.txt name n1 2 times; keep one of them" in out
    assert out.count("is no image of") == len(text.split()) - 2


def test_a_list_in_another_encoding_is_a_fault(tmp_path, capsys):
    write_flat(tmp_path, 4)
    (tmp_path / "train.txt").write_bytes("n0\nn1\n".encode("utf-16"))
    (tmp_path / "val.txt").write_text("images/n2.png\n")
    assert "train.txt: not a text in UTF-8; save it as that" in only_fault(tmp_path, capsys)


def test_masks_that_cannot_be_read_are_named_without_classes_json(leaves, capsys):
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        Image.open(path).save(path, format="JPEG")
    fault = only_fault(leaves, capsys)
    assert "not a PNG file, but JPEG, which changes numbers" in fault and "(and 5 more)" in fault


@pytest.mark.parametrize("other", [[0, 0, 0, 9, 9, 9], [0, 0, 0, 0, 128, 0, 7, 7, 7]])
def test_palettes_that_differ_are_one_warning(leaves, capsys, other):
    """Where they differ in what no mask holds, none."""
    write_classes(leaves, [*LEAVES, {"name": "stem", "id": 2}])
    for number, palette in enumerate(([0, 0, 0, 0, 128, 0], other, other)):
        image = Image.fromarray(blob(number)[1], mode="P")
        image.putpalette(palette)
        image.save(leaves / f"masks/train/a{number}.png")
    code, text = check(leaves, capsys)
    warned = text.count("the palette has the colour [9, 9, 9] for 1, that of")
    assert code == 0 and warned == text.count("the palette has") == (len(other) == 6)


def test_a_black_class_is_named_in_the_legend():
    labels = LabelSet.from_json([{"name": "night", "id": 0, "color": [0, 0, 0]}, LEAVES[1]])
    assert legend_of(labels, {0, 1}) == {(0, 0, 0): "night", (0, 128, 0): "leaf"}


# ------------------------------------------------------------------------------- remarks


def test_classes_that_never_or_hardly_occur_are_remarks(leaves, capsys):
    rare = np.zeros((40, 60), np.uint8)
    rare[0, 0] = 1
    for split in ("train", "val"):
        for path in (leaves / "masks" / split).iterdir():
            write_png(path, rare if split == "train" else 0 * rare)
            image = np.random.default_rng(path.stat().st_ino).integers(0, 255, (40, 60, 3))
            write_png(leaves / "images" / split / path.name, image.astype(np.uint8))
    code, text = check(leaves, capsys)
    assert code == 0 and "split 'val' of" in text and "no pixel of leaf" in text
    assert "less than 0.1% of the pixels is leaf 0.04%" in text


def test_a_class_is_rare_below_a_thousandth():
    labels = LabelSet.from_json(LEAVES)
    assert class_remarks("x", [np.array([9990, 10])], labels) == []
    rare = "warning: x: less than 0.1% of the pixels is leaf 0.09%"
    assert class_remarks("x", [np.array([9000, 9]), np.array([991, 0])], labels) == [rare]
    assert class_remarks("x", [np.array([5, 0])], labels) == ["warning: x: no pixel of leaf"]
    assert class_remarks("x", [], labels) == []


# ------------------------------------------------------------------------------- classes


def test_classes_drafts_ids_and_never_overwrites(leaves, capsys):
    (leaves / "classes.json").unlink()
    assert main.main(["classes", str(leaves)]) == 0
    assert "75.000%  class 0" in capsys.readouterr().out
    content = json.loads((leaves / "classes.json").read_text())
    assert [row["id"] for row in content["classes"]] == [0, 1] and content["ignore"] == []
    before = (leaves / "classes.json").read_bytes()
    assert main.main(["classes", str(leaves)]) == 2
    assert (leaves / "classes.json").read_bytes() == before
    assert check(leaves, capsys)[0] == 0


def test_classes_drafts_colours_by_their_pixels(leaves, capsys):
    (leaves / "classes.json").unlink()
    for path in leaves.rglob("masks/*/*.png"):
        colors = np.array([[90, 60, 30], [0, 128, 0]], np.uint8)[np.asarray(Image.open(path))]
        write_png(path, colors)
    assert main.main(["classes", str(leaves)]) == 0
    content = json.loads((leaves / "classes.json").read_text())
    assert [row["color"] for row in content["classes"]] == [[90, 60, 30], [0, 128, 0]]
    assert check(leaves, capsys)[0] == 0


def test_classes_puts_255_aside_where_there_are_other_ids(leaves):
    (leaves / "classes.json").unlink()
    mask = blob(0)[1]
    mask[0] = 255
    write_png(leaves / "masks/train/a0.png", mask)
    assert main.main(["classes", str(leaves)]) == 0
    content = json.loads((leaves / "classes.json").read_text())
    assert [row["id"] for row in content["classes"]] == [0, 1]
    assert content["ignore"] == [255]


def draft(root, capsys):
    """What `classes` prints, its exit code first."""
    (root / "classes.json").unlink(missing_ok=True)
    capsys.readouterr()
    code = main.main(["classes", str(root)])
    return code, "".join(capsys.readouterr())


def test_classes_says_what_it_has_drafted(leaves, capsys):
    mask = blob(0)[1]
    mask[0] = 255
    write_png(leaves / "masks/train/a0.png", mask)
    (leaves / "masks/train/a1.png").write_bytes(b"")
    code, text = draft(leaves, capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert code == 0 and "255 0.833% ignored" in lines and "0 74.167% class 0" in lines
    assert any("a1.png: not an image, but an empty file" in line for line in lines)
    assert "is 255 a class or void? See whether the draft is right" in lines


def test_classes_says_which_colours_it_has_drafted(leaves, capsys):
    paint(leaves, [[90, 60, 30], [0, 128, 0]])
    write_png(leaves / "masks/val/b1.png", np.full((*SIZE, 3), (1, 2, 3), np.uint8))
    code, text = draft(leaves, capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert code == 0 and "90 60 30 62.500% class #5a3c1e" in lines
    assert "0 128 0 20.833% class #008000" in lines and "1 2 3 16.667% class #010203" in lines


def test_classes_names_transparent_masks(leaves, capsys):
    paint(leaves, [[90, 60, 30, 255], [0, 128, 0, 255]])
    write_png(leaves / "masks/train/a1.png", np.zeros((*SIZE, 4), np.uint8))
    code, text = draft(leaves, capsys)
    assert code == 0 and "a1.png: has 768 transparent pixels" in text and "0 0 0" not in text


def test_classes_takes_the_colours_of_a_palette_where_each_has_its_own(leaves, capsys):
    for path in leaves.rglob("masks/*/*.png"):
        image = Image.fromarray(np.arange(24, dtype=np.uint8).repeat(32).reshape(SIZE) % 4, "P")
        image.putpalette([0, 0, 0, 0, 128, 64, 9, 9, 9, 9, 9, 9])
        image.save(path)
    assert draft(leaves, capsys)[0] == 0
    assert json.loads((leaves / "classes.json").read_text())["classes"] == [
        {"name": "0", "id": 0},  # black is the colour of void
        {"name": "1", "id": 1, "color": [0, 128, 64]},
        {"name": "2", "id": 2},
        {"name": "3", "id": 3},
    ]


MANY = range(1, 22)


@pytest.mark.parametrize(
    ("pixels", "around", "smoothed"),
    [
        ({0: 9000} | dict.fromkeys(MANY, 8), 9168, {*MANY}),
        ({0: 9000} | dict.fromkeys(MANY, 10), 9210, set()),  # a thousandth is not rare
        ({0: 9000} | dict.fromkeys(MANY, 8), 700, set()),  # nor a hundredth of its own masks
        ({0: 9000} | dict.fromkeys(range(1, 21), 8), 9160, set()),  # 20 are not many
        (dict.fromkeys(range(50, 80), 900) | dict.fromkeys(MANY, 8), 27_168, set()),  # not most
        ({0: 9000, 1: 2, 2: 2, 3: 2, 4: 2}, 9008, set()),
        ({0: 500, 255: 400, 10: 50, 20: 30, 200: 20}, 1000, {10, 20, 200}),
        ({0: 200, 255: 200, 100: 200, 150: 200, 160: 200}, 1000, set()),
        ({0: 500, 255: 480, 100: 10, 200: 10}, 1000, set()),
        ({0: 500, 255: 450, 1: 20, 2: 20, 3: 10}, 1000, set()),
    ],
)
def test_smoothing_is_many_rare_values_or_a_ramp_between_black_and_white(pixels, around, smoothed):
    masks = Counter(dict.fromkeys(pixels, around))
    assert Survey(Counter(pixels), Counter(), {}, {}, [], masks).smoothed() == smoothed


def test_smoothed_colours_are_not_drafted():
    colors = Counter({(9, 9, k): 8 for k in MANY}) | Counter({(0, 0, 0): 5000, (1, 1, 1): 4000})
    masks = Counter(dict.fromkeys(colors, 9168))
    rows = drafted(Survey(Counter(), colors, {}, {}, [], masks), "x")["classes"]
    assert [row["color"] for row in rows] == [[0, 0, 0], [1, 1, 1]]


def test_classes_refuses_ids_beside_colours(leaves, capsys):
    write_png(leaves / "masks/train/a1.png", np.zeros((*SIZE, 3), np.uint8))
    code, text = draft(leaves, capsys)
    assert code == 2 and "a0.png holds ids and " in text and "a1.png colours; save all" in text


def test_classes_that_are_too_many_are_not_written(leaves, capsys):
    ids = np.arange(400, dtype=np.uint16).repeat(30)
    write_png(leaves / "masks/train/a0.png", ids.reshape(100, 120))
    for path in leaves.rglob("masks/*/[!a]*.png"):
        path.unlink()
    code, text = draft(leaves, capsys)
    assert code == 2 and "399 classes are too many" in text
    assert not (leaves / "classes.json").exists()


def test_classes_of_no_mask_and_of_no_folder_say_so(leaves, capsys):
    for path in leaves.rglob("masks/*/*.png"):
        path.unlink()
    assert "no mask below" in draft(leaves, capsys)[1]
    assert "does not exist" in draft(leaves / "absent", capsys)[1]


# ------------------------------------------------------------------------------- the whole way

SMALL = ["--num-blocks", "2", "--base-channels", "8", "--batch-size", "4", "--num-workers", "0"]
SMALL += ["--img-size", "24", "32", "--device", "cpu", "--recipe", "plain"]


def train(root, *more):
    return main.main(["train", "--datadir", str(root), *SMALL, *map(str, more)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on two classes, shapes on noise."""
    root = tmp_path_factory.mktemp("own") / "leaves"
    for number in range(24):
        write_pair(root, f"n{number}", seed=number, split="")
    write_classes(root, LEAVES)
    logdir = tmp_path_factory.mktemp("runs")
    assert train(root, "--max-steps", 60, "--logdir", logdir, "--name", "a") == 0
    return root, logdir / "a"


def test_two_classes_are_learned(trained):
    """Shapes on noise: macro F1 of 0.95 within a minute."""
    metrics = json.loads((trained[1] / "metrics.json").read_text())
    assert list(metrics["classes"]) == ["soil", "leaf"] and metrics["macro_f1"] > 0.95


def test_predictions_hold_the_sets_own_ids(trained, tmp_path):
    root, run = trained
    output = tmp_path / "out"
    words = ["test", "--modelpath", run / "model.onnx", "--datadir", root, "--split", "val"]
    assert main.main([*map(str, words), "--save-predictions", "--output", str(output)]) == 0
    first = sorted(output.glob("*_labelIds.png"))[0]
    assert set(np.unique(np.asarray(Image.open(first)))) <= {0, 1}


def test_the_model_file_carries_the_set(trained):
    import onnx

    model = onnx.load(trained[1] / "model.onnx")
    metadata = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert metadata["classes"] == ["soil", "leaf"] and metadata["label_ids"] == [0, 1]
    assert metadata["palette"][1] == [0, 128, 0]
    config = json.loads((trained[1] / "config.json").read_text())
    assert [row["name"] for row in config["labels"]["classes"]] == ["soil", "leaf"]


def test_other_classes_are_refused_by_resume_and_by_test(trained, capsys):
    root, run = trained
    before = (root / "classes.json").read_text()
    write_classes(root, [LEAVES[0], {"name": "stem", "id": 1}])
    try:
        assert main.main(["train", "--resume", str(run), "--max-steps", "70"]) == 2
        error = capsys.readouterr().err
        assert "(stem, id 1, instead of leaf, id 1)" in error and "--finetune-from" in error
        words = ["test", "--modelpath", str(run / "model.onnx"), "--datadir", str(root)]
        assert main.main([*words, "--split", "val"]) == 2
        assert "class 1 is leaf for the model and stem in" in capsys.readouterr().err
    finally:
        (root / "classes.json").write_text(before)


def test_finetuning_begins_the_last_layer_anew(trained, tmp_path, capsys):
    run = trained[1]
    other = write_streets(tmp_path / "streets")
    words = ("--finetune-from", run, "--max-steps", 1, "--logdir", tmp_path, "--name", "b")
    assert train(other, *words) == 0
    assert "the last layer begins anew: 2 classes there, 19 here" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["best.pt", "last.pt"])
def test_finetuning_says_when_the_classes_are_others(trained, file):
    model = UNet(2, num_blocks=2, base_channels=8)
    assert len(load_weights(model, trained[1] / file, classes=("soil", "leaf"))) == 1
    report = load_weights(model, trained[1] / file, classes=("leaf", "soil"))
    assert report[-1] == "  the last layer has learned other classes: soil there, leaf here"


@pytest.mark.parametrize("classes", [19, None, {"a": 1}])
def test_finetuning_from_a_foreign_checkpoint_says_nothing_of_classes(tmp_path, classes):
    model = UNet(2, num_blocks=1, base_channels=4)
    torch.save({"classes": classes, "state_dict": model.state_dict()}, tmp_path / "x.pt")
    assert len(load_weights(model, tmp_path / "x.pt", classes=("soil", "leaf"))) == 1


def test_runs_of_different_classes_do_not_compare(trained, tmp_path, capsys):
    other = write_streets(tmp_path / "streets")
    assert train(other, "--max-steps", 1, "--logdir", tmp_path, "--name", "b") == 0
    assert main.main(["compare", str(trained[1]), str(tmp_path / "b")]) == 2
    assert (
        "runs that learned different classes do not compare (2 of leaves in"
        in capsys.readouterr().err
    )


def test_a_prepared_copy_keeps_the_set_and_16_bit_ids(tmp_path, capsys):
    mask = np.zeros(SIZE, np.uint16)
    mask[5:] = 300
    for name in ("x", "y"):
        write_pair(tmp_path / "own", name, mask=mask, seed=ord(name))
    write_classes(tmp_path / "own", [{"name": "sky", "id": 0}, {"name": "ground", "id": 300}])
    words = [
        "prepare",
        "--val-share",
        0.3,
        "--datadir",
        tmp_path / "own",
        "--size",
        24,
        32,
        "--output",
        tmp_path / "p",
    ]
    assert main.main([*map(str, words)]) == 0
    own, copy = (SegmentationDataset(tmp_path / name, "train") for name in ("own", "p"))
    assert copy.labels == own.labels and copy[0][1].equal(own[0][1])
    assert copy.source.folder.reading.val_share == 0.3
    assert copy.source.folder.cities("train") == []
    assert check(tmp_path / "p", capsys)[0] == 0


def laid_anew(streets, root):
    """The pairs of a folder in the Cityscapes layout, as a plain folder with the same labels."""
    for split in ("train", "val"):
        source = open_source(streets, split)
        for number, (city, name) in enumerate(source.samples):
            write_png(root / f"images/{split}/{city}/{name}.png", source.read_image(number))
            write_png(root / f"masks/{split}/{city}/{name}_gt.png", source.read_label_ids(number))
    write_classes(root, source.labels.to_json())
    return root


def test_the_toy_city_as_a_plain_folder_gives_the_same_metrics(tmp_path):
    counts = {"train": 8, "val": 8}
    streets = ensure_toycity(tmp_path / "toy", 0, (32, 64), counts, num_workers=1)
    plain = laid_anew(streets, tmp_path / "plain")
    words = ("--img-size", 32, 64, "--max-steps", 4, "--logdir", tmp_path / "runs")
    for root in (streets, plain):
        assert train(root, *words, "--name", root.name) == 0
    one, other = ((tmp_path / "runs" / r.name / "metrics.json") for r in (streets, plain))
    assert one.read_bytes() == other.read_bytes() and b'"road"' in one.read_bytes()


def test_test_takes_the_share_that_the_model_was_trained_with(tmp_path, capsys):
    for number in range(12):
        write_pair(tmp_path / "own", f"n{number}", seed=number, split="")
    write_classes(tmp_path / "own", LEAVES)
    words = ("--val-share", 0.5, "--max-steps", 1, "--logdir", tmp_path, "--name", "a")
    assert train(tmp_path / "own", *words) == 0
    number = len(open_source(tmp_path / "own", "val", reading=Reading(0.5)).samples)
    words = ["test", "--datadir", tmp_path / "own", "--split", "val", "--modelpath"]
    for model in ("model.onnx", "best.pt"):
        assert main.main([*map(str, [*words, tmp_path / "a" / model])]) == 0
        metrics = json.loads((tmp_path / "a/test_val/metrics.json").read_text())
        assert metrics["evaluated"]["images"] == number


def test_eleven_classes_score_as_in_the_cityscapes_layout(tmp_path):
    """One network, with all outputs and with those of eleven classes: the same figures."""
    streets = write_streets(tmp_path / "streets")
    kept = CITYSCAPES.classes[:11]
    for path in streets.rglob("*_labelIds.png"):
        label_ids = np.asarray(Image.open(path))
        write_png(
            path, label_ids * np.isin(label_ids, [label.id for label in kept]).astype(np.uint8)
        )
    plain = laid_anew(streets, tmp_path / "plain")
    rows = [{"name": label.name, "id": label.id, "color": list(label.color)} for label in kept]
    write_classes(plain, {"classes": rows, "ignore": [0]})
    about = {"name": "unet", "options": {"num_blocks": 2, "base_channels": 4}, "size": [24, 48]}
    about |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    torch.manual_seed(0)
    state = UNet(len(CITYSCAPES), num_blocks=2, base_channels=4).state_dict()
    state["decoder.head.bias"][11:] = -1e4  # the other classes are never predicted
    found = []
    for root, labels in ((streets, CITYSCAPES), (plain, open_folder(plain).labels)):
        heads = {key: state[key][: len(labels)] for key in state if "decoder.head" in key}
        torch.save({**about, **labels.about_classes(), "model": state | heads}, tmp_path / "b.pt")
        words = ["test", "--modelpath", tmp_path / "b.pt", "--datadir", root, "--split", "val"]
        assert main.main([*map(str, words), "--output", str(tmp_path / root.name)]) == 0
        found.append(json.loads((tmp_path / root.name / "metrics.json").read_text()))
    assert found[0]["macro_f1"] == found[1]["macro_f1"] > 0
    assert all(found[0]["classes"][label.name] == found[1]["classes"][label.name] for label in kept)
