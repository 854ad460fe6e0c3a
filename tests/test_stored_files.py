"""Files as people have them: orientation tags, few bits a pixel, other endings, odd names."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from street_files import draw_pair, image_file, label_file, write_png, write_streets

import main
from data import SegmentationDataset
from support.formats.files import read_grey_ids
from utils import LabError

LAB = Path(__file__).resolve().parent.parent
TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
TURNS |= {6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
"""What a viewer does with an image of an orientation (EXIF 2.3, section 4.6.4, tag 274)."""
FEW = {"train": {"aachen": 2}, "val": {"ulm": 1}}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content)
    )  # fmt: skip


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    return np.array(Image.fromarray(array).transpose(Image.Transpose[TURNS[orientation]]))


def tag(path: Path, orientation: int, is_late: bool = False) -> None:
    """Gives a PNG an orientation tag, before or (as ImageMagick does) behind its pixels."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)
    if is_late:
        content = path.read_bytes()
        start = content.index(b"eXIf") - 4
        length = 12 + struct.unpack(">I", content[start : start + 4])[0]
        late, rest = content[start : start + length], content[:start] + content[start + length :]
        path.write_bytes(rest[:-12] + late + rest[-12:])


def streets_with(folder: Path, orientation: int, is_late: bool, target_is_turned: bool) -> Path:
    """Streets whose first image has a tag; its target lies as it is stored, or as it is shown."""
    root = write_streets(folder / "streets", FEW)
    path = image_file(root, "train", "aachen", 0)
    tag(path, orientation, is_late)
    if target_is_turned:
        target = label_file(root, "train", "aachen", 0)
        write_png(target, turned(np.array(Image.open(target)), orientation))
    return root


def check(root: Path, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    code = main.main(["check", "--datadir", str(root)])
    return code, capsys.readouterr().out


# ---------------------------------------------------------------------------- orientation tags


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_target_stored_as_its_image_is_shown(tmp_path, capsys, orientation, is_late):
    root = streets_with(tmp_path, orientation, is_late, target_is_turned=True)
    image, label_ids = draw_pair(0)
    dataset = SegmentationDataset(root, "train")
    assert np.array_equal(dataset[0][0], turned(image, orientation))
    assert np.array_equal(dataset.source.read_label_ids(0), turned(label_ids, orientation))
    assert check(root, capsys)[0] == 0


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_target_as_its_image_is_stored(tmp_path, capsys, orientation, is_late):
    root = streets_with(tmp_path, orientation, is_late, target_is_turned=False)
    dataset = SegmentationDataset(root, "train")
    assert np.array_equal(dataset[0][0], draw_pair(0)[0])
    assert check(root, capsys)[0] == 0


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("target_is_turned", [False, True])
def test_what_the_size_cannot_tell_is_refused(
    tmp_path, capsys, orientation, is_late, target_is_turned
):
    root = streets_with(tmp_path, orientation, is_late, target_is_turned)
    code, text = check(root, capsys)
    name = image_file(root, "train", "aachen", 0).name
    assert code == 1 and f"{name}: has the orientation tag {orientation}" in text
    assert "remove the tag" in text
    with pytest.raises(LabError, match=f"{name}: has the orientation tag {orientation}"):
        _ = SegmentationDataset(root, "train")[0]


def test_a_square_image_turned_by_90_degrees_is_refused(tmp_path, capsys):
    root = write_streets(tmp_path, FEW, size=(24, 24))
    tag(image_file(root, "train", "aachen", 0), 6)
    assert check(root, capsys)[0] == 1
    with pytest.raises(LabError, match="orientation tag 6"):
        SegmentationDataset(root, "train")


@pytest.mark.parametrize("number", [0, 1, 9])
def test_an_upright_or_unknown_tag_changes_nothing(tmp_path, capsys, number):
    root = streets_with(tmp_path, number, False, target_is_turned=False)
    assert np.array_equal(SegmentationDataset(root, "train")[0][0], draw_pair(0)[0])
    assert check(root, capsys)[0] == 0


def test_a_target_with_a_tag_of_its_own_is_refused(tmp_path, capsys):
    root = write_streets(tmp_path, FEW)
    path = label_file(root, "train", "aachen", 1)
    tag(path, 3, is_late=True)
    code, text = check(root, capsys)
    assert code == 1 and f"{path}: a target must have no orientation tag" in text


@pytest.mark.parametrize("command", [["train", "--dry-run"], ["show"], ["prepare"]])
def test_no_command_takes_what_cannot_be_told(tmp_path, capsys, command):
    root = streets_with(tmp_path, 3, False, target_is_turned=False)
    options = [] if command[0] == "train" else ["--output", str(tmp_path / "out.png")]
    assert main.main([*command, "--datadir", str(root), *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and "orientation tag 3" in error
    assert not (tmp_path / "out.png").exists()


def test_prepare_writes_the_pair_as_it_lies(tmp_path):
    root = streets_with(tmp_path, 6, True, target_is_turned=True)
    words = ["prepare", "--datadir", str(root), "--output", str(tmp_path / "out")]
    assert main.main([*words, "--size", "48", "24"]) == 0
    image, label_ids = (turned(array, 6) for array in draw_pair(0))
    assert np.array_equal(np.load(tmp_path / "out/train/images.npy")[0], image)
    assert np.array_equal(np.load(tmp_path / "out/train/label_ids.npy")[0], label_ids)


# ------------------------------------------------------------------------------ bits of a pixel


def grey_png(ids: np.ndarray, bits: int, is_interlaced: bool) -> bytes:
    """A grey PNG by the specification (W3C PNG, sections 7.2 and 8): libraries write 8 or 16."""
    starts = [(0, 0, 1, 1)]
    if is_interlaced:
        starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
        starts += [(1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, right, down in starts:
        for row in ids[y::down, x::right]:
            if row.size:
                places = np.unpackbits(row.astype(">u2").view(np.uint8)).reshape(-1, 16)
                rows += b"\0" + np.packbits(places[:, 16 - bits :]).tobytes()
    head = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, is_interlaced)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_ids_are_read_as_they_are_stored(tmp_path, bits, is_interlaced):
    ids = np.random.default_rng(bits).integers(0, min(2**bits, 34), (13, 21))
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(ids, bits, is_interlaced))
    found = read_grey_ids(path)
    assert found.dtype == np.uint8 and np.array_equal(found, ids)


def test_a_16_bit_id_outside_the_table_is_named(tmp_path, capsys):
    root = write_streets(tmp_path, FEW)
    path = label_file(root, "train", "aachen", 0)
    path.write_bytes(grey_png(np.full((24, 48), 7 + 256), 16, False))
    code, text = check(root, capsys)
    assert code == 1 and f"{path}: label ids outside the set Cityscapes" in text and "263" in text


# ------------------------------------------------------------------------------ other endings


@pytest.mark.parametrize("ending", [".PNG", ".jpg", ".JPEG", ".tif"])
def test_an_image_with_another_ending_is_named(tmp_path, capsys, ending):
    root = write_streets(tmp_path, FEW)
    path = image_file(root, "train", "aachen", 0)
    path.rename(path.with_suffix(ending))
    code, text = check(root, capsys)
    hint = f"(there is {path.stem}{ending}, but the lab reads *_leftImg8bit.png alone; save the"
    assert code == 1 and f"target without its image {hint}" in text
    with pytest.raises(LabError, match="but the lab reads"):
        SegmentationDataset(root, "train")


def test_a_target_with_another_ending_is_named(tmp_path, capsys):
    root = write_streets(tmp_path, FEW)
    path = label_file(root, "train", "aachen", 0)
    path.rename(path.with_suffix(".PNG"))
    code, text = check(root, capsys)
    hint = f"(there is {path.stem}.PNG, but the lab reads *_gtFine_labelIds.png alone; save label"
    assert code == 1 and f"image without its target {hint}" in text


def test_a_pair_with_other_endings_is_not_passed_over(tmp_path, capsys):
    root = write_streets(tmp_path, FEW)
    for path in (image_file(root, "train", "aachen", 0), label_file(root, "train", "aachen", 0)):
        path.rename(path.with_suffix(".PNG"))
    code, text = check(root, capsys)
    assert code == 1 and "leftImg8bit.PNG: the lab reads *_leftImg8bit.png alone" in text
    with pytest.raises(LabError, match=r"leftImg8bit\.PNG: the lab reads"):
        SegmentationDataset(root, "train")


def test_a_target_with_another_ending_is_named_without_its_image(tmp_path, capsys):
    root = write_streets(tmp_path, FEW)
    path = label_file(root, "train", "aachen", 0)
    path.rename(path.with_suffix(".PNG"))
    image_file(root, "train", "aachen", 0).unlink()
    code, text = check(root, capsys)
    assert (
        code == 1 and "labelIds.PNG: the lab reads *_gtFine_labelIds.png alone; save label" in text
    )


def test_a_target_without_pixels_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    png = grey_png(np.zeros((4, 4), np.uint8), 8, False)
    path.write_bytes(png[: png.index(b"IDAT") - 4] + png[-12:])
    with pytest.raises(LabError, match=r"a\.png: not a readable image \((?!list index)"):
        read_grey_ids(path)


# ---------------------------------------------------------------------- names that are not UTF-8


@pytest.fixture
def cafe(tmp_path):
    """Streets of an old disk, whose names are in Latin-1."""
    root = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        root.mkdir()
    except OSError:
        pytest.skip("the file system takes names in UTF-8 alone")
    write_streets(root, {"train": {os.fsdecode(b"k\xf6ln"): 3}, "val": {"ulm": 1}})
    return root


@pytest.mark.parametrize("command", ["check", "show", "stats", "augment", "prepare"])
def test_names_that_are_not_utf8_are_read_and_shown(cafe, tmp_path, capfd, command):
    words = [command, "--datadir", str(cafe)]
    output = tmp_path / os.fsdecode(b"\xe9.png")
    words += ["--output", str(output)] if command != "check" else []
    assert main.main(words) == 0
    out = capfd.readouterr().out
    assert r"caf\xe9" in out or r"k\xf6ln" in out
    assert output.exists() is (command != "check")


@pytest.mark.slow
def test_training_and_testing_on_names_that_are_not_utf8(cafe, tmp_path, capfd):
    runs = tmp_path / "runs"
    elsewhere = tmp_path / os.fsdecode(b"r\xfcns")
    words = ["train", "--datadir", str(cafe), "--logdir", str(runs), "--name", "a"]
    words += ["--img-size", "16", "32", "--num-blocks", "2", "--base-channels", "4"]
    assert main.main([*words, "--batch-size", "3", "--epochs", "1", "--device", "cpu"]) == 0
    run = runs / "a"
    assert main.main(["train", "--resume", str(run)]) == 0
    second = ["--name", "b", "--finetune-from", str(run), "--seed", "1"]
    assert main.main([*words, "--batch-size", "3", "--epochs", "1", *second]) == 0
    models = tmp_path / os.fsdecode(b"mod\xe8les")
    models.mkdir()
    for name in ("model.onnx", "best.pt"):
        model = shutil.copy(run / name, models)
        words = ["test", "--modelpath", str(model), "--output", str(models / "out")]
        photo = next(cafe.rglob("*_leftImg8bit.png"))
        assert main.main([*words, "--image", str(photo)]) == 0
        words += ["--datadir", str(cafe), "--split", "train", "--save-predictions"]
        assert main.main(words) == 0
        assert list((models / "out").glob("k*_labelIds.png"))
    shutil.copytree(runs, elsewhere)
    assert main.main(["compare", str(elsewhere), "--output", str(models / "compared")]) == 0
    assert r"caf\xe9" in capfd.readouterr().out and list((models / "compared").glob("*.png"))


def test_a_run_goes_where_tensorboard_can_write(cafe, capfd):
    with pytest.raises(SystemExit) as ended:
        main.main(["train", "--logdir", str(cafe)])
    line = capfd.readouterr().err
    assert ended.value.code == 2 and r"caf\xe9' is not in UTF-8; choose another folder" in line


def test_a_fault_of_a_name_that_is_not_utf8_is_told(cafe, capfd):
    label_file(cafe, "val", "ulm", 0).unlink()
    assert main.main(["train", "--datadir", str(cafe)]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ") and r"caf\xe9" in line
