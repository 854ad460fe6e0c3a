"""The formats of KITTI, ACDC, BDD100K and Oxford-IIIT Pet, and the division into two splits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from data import encode_train_ids
from support.formats.acdc import AcdcFolder
from support.formats.bdd100k import Bdd100kFolder
from support.formats.files import Listing, Sample, open_folder, open_source
from support.formats.kitti import KittiFolder
from support.formats.labels import Reading
from support.formats.listing import split_off
from support.formats.oxford_pets import OxfordPetsFolder
from utils import LabError

IDS = {
    "kitti": [[7, 26, 255], [0, 33, 8]],
    "acdc": [[7, 26, 0], [4, 33, 8]],
    "bdd": [[0, 13, 255], [255, 18, 1]],
    "pets": [[1, 2, 3], [1, 3, 2]],
}
TRAIN_IDS = [[0, 13, 255], [255, 18, 1]]
NAMES = [f"{number:06d}_10" for number in range(10)]


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), (10, 20, 30)).save(path)


def write_mask(path: Path, ids: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(ids, dtype=np.uint8)).save(path)


def write_kitti(root: Path, names: list[str] = NAMES) -> Path:
    for name in names:
        write_image(root / f"training/image_2/{name}.png")
        write_mask(root / f"training/semantic/{name}.png", IDS["kitti"])
        write_image(root / f"testing/image_2/{name}.png")
    return root


def write_acdc(root: Path) -> Path:
    for condition in ("fog", "night"):
        for split in ("train", "val", "test"):
            place, name = f"{condition}/{split}/GOPR01", "GOPR01_frame_000041"
            write_image(root / f"rgb_anon/{place}/{name}_rgb_anon.png")
            write_image(root / f"rgb_anon/{condition}/{split}_ref/GOPR01/{name}_rgb_ref_anon.png")
            if split != "test":
                write_mask(root / f"gt/{place}/{name}_gt_labelIds.png", IDS["acdc"])
                write_mask(root / f"gt/{place}/{name}_gt_labelTrainIds.png", TRAIN_IDS)
    return root


def write_bdd(root: Path) -> Path:
    for split in ("train", "val", "test"):
        write_image(root / f"images/10k/{split}/0004a4c0-d4dff0ad.jpg")
        if split != "test":
            path = root / f"labels/sem_seg/masks/{split}/0004a4c0-d4dff0ad.png"
            write_mask(path, IDS["bdd"])
    return root


def write_pets(root: Path, names: list[str] = NAMES) -> Path:
    for name in [*names, "beagle_1", "unlisted_1"]:
        write_image(root / f"images/{name}.jpg")
        write_mask(root / f"annotations/trimaps/{name}.png", IDS["pets"])
    lines = "".join(f"{name} 1 1 1\n" for name in names)
    (root / "annotations/trainval.txt").write_text(lines)
    (root / "annotations/test.txt").write_text("beagle_1 5 2 1\n")
    (root / "annotations/trimaps/._beagle_1.png").write_bytes(b"no image")
    return root


def divided(root: Path) -> list[Listing]:
    folder = open_folder(root)
    return [folder.list_files(split) for split in ("train", "val")]


def read(root: Path, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """The train ids and the image of the first sample."""
    source = open_source(root, split)
    ids = source.read_label_ids(0)
    source.labels.require_known(ids)
    return encode_train_ids(ids, source.labels), source.read_image(0)


# ------------------------------------------------------------------------------------- all of them

FORMATS = [
    (write_kitti, KittiFolder, ["train", "val"]),
    (write_acdc, AcdcFolder, ["train", "val"]),
    (write_bdd, Bdd100kFolder, ["train", "val"]),
    (write_pets, OxfordPetsFolder, ["test", "train", "val"]),
]


@pytest.mark.parametrize(("write", "layout", "splits"), FORMATS)
def test_open_folder_recognises_the_format_and_its_splits(
    tmp_path: Path, write: object, layout: type, splits: list[str]
) -> None:
    folder = open_folder(write(tmp_path))
    assert type(folder) is layout
    assert folder.splits() == splits


@pytest.mark.parametrize("write", [write_kitti, write_bdd, write_pets])
def test_formats_without_cities_have_none_to_choose(tmp_path: Path, write: object) -> None:
    folder = open_folder(write(tmp_path))
    assert folder.cities("train") == []
    with pytest.raises(LabError, match="unknown city 'aachen'"):
        folder.open("train", ["aachen"], None)


@pytest.mark.parametrize("write", [write_kitti, write_acdc, write_bdd])
def test_street_formats_have_the_classes_of_cityscapes(tmp_path: Path, write: object) -> None:
    labels = open_folder(write(tmp_path)).labels
    assert len(labels) == 19
    assert (labels.names[0], labels.names[13], labels.names[18]) == ("road", "car", "bicycle")
    assert labels.palette[0].tolist() == [128, 64, 128]


@pytest.mark.parametrize("write", [write_kitti, write_acdc, write_bdd])
def test_street_formats_read_pairs_and_make_void_of_the_rest(tmp_path: Path, write: object) -> None:
    train_ids, image = read(write(tmp_path), "val")
    assert train_ids.tolist() == TRAIN_IDS
    assert image.shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("write", "folder"),
    [
        (write_kitti, "training/image_2"),
        (write_kitti, "training/semantic"),
        (write_acdc, "rgb_anon"),
        (write_acdc, "gt"),
        (write_bdd, "images/10k"),
        (write_bdd, "labels/sem_seg"),
        (write_pets, "images"),
        (write_pets, "annotations/trimaps"),
    ],
)
def test_splits_name_the_folder_that_lacks_a_part(
    tmp_path: Path, write: object, folder: str
) -> None:
    write(tmp_path)
    for path in [*(tmp_path / folder).rglob("*.jpg"), *(tmp_path / folder).rglob("*.png")]:
        path.unlink()
    with pytest.raises(LabError, match=r" holds no .*; unpack ") as caught:
        open_folder(tmp_path).splits()
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_kitti, write_pets])
def test_formats_without_a_validation_divide_by_the_share(tmp_path: Path, write: object) -> None:
    write(tmp_path)
    sizes = [
        len(open_folder(tmp_path, Reading(share)).list_files("val").samples)
        for share in (0.01, 0.99)
    ]
    assert sizes == [1, 9]


@pytest.mark.parametrize(
    ("write", "mask", "wrong", "cure"),
    [
        (write_kitti, "training/semantic/000003_10.png", 34, "save the label ids of this data set"),
        (write_acdc, "gt/fog/val/GOPR01/GOPR01_frame_000041_gt_labelIds.png", 255, "such as 7 for"),
        (write_bdd, "labels/sem_seg/masks/val/0004a4c0-d4dff0ad.png", 26, "such as 0 for road"),
        (write_pets, "annotations/trimaps/000003_10.png", 0, "save 1 for the pet, 2 for the back"),
    ],
)
def test_check_says_what_to_do_about_a_wrong_id(
    tmp_path: Path, capsys: pytest.CaptureFixture, write: object, mask: str, wrong: int, cure: str
) -> None:
    write(tmp_path)
    write_mask(tmp_path / mask, [[wrong] * 3] * 2)
    assert main.main(["check", "--datadir", str(tmp_path)]) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if mask in line)
    assert f": {wrong} in 6 pixels; " in line and cure in line


# --------------------------------------------------------------------------------------- one by one


def test_kitti_divides_its_images_without_losing_one(tmp_path: Path) -> None:
    train, val = divided(write_kitti(tmp_path))
    assert sorted(train.samples + val.samples) == [Sample("", name) for name in NAMES]
    assert train.masks.keys() == train.images.keys()
    assert train.samples and val.samples


def test_kitti_lists_a_missing_partner_in_one_of_the_splits(tmp_path: Path) -> None:
    write_kitti(tmp_path)
    (tmp_path / "training/semantic/000003_10.png").unlink()
    (tmp_path / "training/image_2/000004_10.png").unlink()
    faults = [fault for listing in divided(tmp_path) for fault in listing.faults.values()]
    assert [" without its " in fault for fault in faults] == [True, True]
    assert any("image_2/000003_10.png" in fault for fault in faults)
    assert any("semantic/000004_10.png" in fault for fault in faults)


def test_kitti_does_not_read_hidden_files(tmp_path: Path) -> None:
    write_kitti(tmp_path)
    (tmp_path / "training/semantic/._000003_10.png").write_bytes(b"no image")
    assert [listing.faults for listing in divided(tmp_path)] == [{}, {}]


def test_acdc_conditions_are_the_cities(tmp_path: Path) -> None:
    folder = open_folder(write_acdc(tmp_path))
    assert folder.cities("train") == ["fog", "night"]
    assert folder.list_files("train", ["fog"]).samples == [Sample("fog", "GOPR01_frame_000041")]
    assert folder.open("val", ["night"], None).cities == ["night"]


def test_acdc_lists_a_missing_partner(tmp_path: Path) -> None:
    write_acdc(tmp_path)
    (tmp_path / "gt/fog/val/GOPR01/GOPR01_frame_000041_gt_labelIds.png").unlink()
    faults = open_folder(tmp_path).list_files("val").faults
    assert list(faults) == [Sample("fog", "GOPR01_frame_000041")]
    assert "image without its mask" in faults["fog", "GOPR01_frame_000041"]


def test_acdc_test_is_a_split_once_it_has_targets(tmp_path: Path) -> None:
    write_acdc(tmp_path)
    mask = tmp_path / "gt/fog/test/GOPR01/GOPR01_frame_000041_gt_labelIds.png"
    write_mask(mask, IDS["acdc"])
    assert open_folder(tmp_path).splits() == ["test", "train", "val"]


def test_bdd100k_label_ids_are_train_ids(tmp_path: Path) -> None:
    labels = open_folder(write_bdd(tmp_path)).labels
    assert [label.id for label in labels.classes] == [*range(19)]
    assert labels.decode(np.array([0, 18, 255])).tolist() == [0, 18, 255]
    with pytest.raises(LabError, match="26"):
        labels.require_known(np.array([26]))


def test_bdd100k_reads_the_names_of_the_first_release(tmp_path: Path) -> None:
    write_bdd(tmp_path)
    masks = tmp_path / "labels/sem_seg/masks/train"
    (masks / "0004a4c0-d4dff0ad.png").rename(masks / "0004a4c0-d4dff0ad_train_id.png")
    listing = open_folder(tmp_path).list_files("train")
    assert listing.samples == [Sample("", "0004a4c0-d4dff0ad")]
    assert listing.faults == {}


def test_bdd100k_lists_a_missing_partner(tmp_path: Path) -> None:
    write_bdd(tmp_path)
    write_mask(tmp_path / "labels/sem_seg/masks/val/fee92217-63b3f87f.png", IDS["bdd"])
    faults = open_folder(tmp_path).list_files("val").faults
    assert list(faults) == [Sample("", "fee92217-63b3f87f")]


def test_pets_have_two_classes_and_a_void_border(tmp_path: Path) -> None:
    train_ids, image = read(write_pets(tmp_path), "test")
    assert train_ids.tolist() == [[0, 1, 255], [0, 255, 1]]
    assert image.shape == (2, 3, 3)
    assert open_folder(tmp_path).labels.names == ("pet", "background")


def test_pets_follow_the_official_lists(tmp_path: Path) -> None:
    train, val = divided(write_pets(tmp_path))
    assert sorted(train.samples + val.samples) == [Sample("", name) for name in NAMES]
    test = open_folder(tmp_path).list_files("test")
    assert test.samples == [Sample("", "beagle_1")]
    assert (train.faults, val.faults, test.faults) == ({}, {}, {})


def test_pets_list_every_fault_of_a_listed_name(tmp_path: Path) -> None:
    write_pets(tmp_path)
    (tmp_path / "images/000002_10.jpg").unlink()
    (tmp_path / "images/000003_10.jpg").unlink()
    (tmp_path / "annotations/trimaps/000003_10.png").unlink()
    train, val = (listing.faults for listing in divided(tmp_path))
    faults = {sample.name: fault for sample, fault in (train | val).items()}
    assert "mask without its image" in faults.pop("000002_10")
    assert "neither an image nor a mask" in faults.pop("000003_10")
    assert faults == {}


def test_pets_do_not_take_a_hidden_file_for_a_trimap(tmp_path: Path) -> None:
    write_pets(tmp_path)
    (tmp_path / "annotations/trimaps/beagle_1.png").unlink()
    (fault,) = open_folder(tmp_path).list_files("test").faults.values()
    assert "images/beagle_1.jpg: image without its mask" in fault
    assert "._" not in fault


def test_pets_without_a_list_say_which_and_what_to_do(tmp_path: Path) -> None:
    write_pets(tmp_path)
    (tmp_path / "annotations/test.txt").unlink()
    with pytest.raises(LabError, match=r"test\.txt is missing; unpack annotations\.tar\.gz"):
        open_folder(tmp_path).splits()


# ------------------------------------------------------------------------------------ the division

THOUSAND = [Sample("", f"{number:06d}") for number in range(1000)]


def test_split_off_takes_about_the_share() -> None:
    train, val = split_off(THOUSAND, 0.2)
    assert sorted(train + val) == THOUSAND
    assert 160 < len(val) < 240


def test_split_off_is_stable_when_samples_are_added() -> None:
    val = split_off(THOUSAND, 0.2)[1]
    half = split_off(THOUSAND[::-2], 0.2)[1]
    assert half == [sample for sample in val if sample in THOUSAND[::-2]]


def test_split_off_grows_with_the_share() -> None:
    assert set(split_off(THOUSAND, 0.2)[1]) < set(split_off(THOUSAND, 0.3)[1])


def test_split_off_goes_by_the_city_too() -> None:
    elsewhere = [sample._replace(city="fog") for sample in THOUSAND]
    names = [[s.name for s in split_off(samples, 0.2)[1]] for samples in (THOUSAND, elsewhere)]
    assert names[0] != names[1]


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_split_off_leaves_no_part_empty(share: float) -> None:
    for number in range(2, 8):
        train, val = split_off(THOUSAND[:number], share)
        assert min(len(train), len(val)) == 1
        assert len(train) + len(val) == number


def test_split_off_goes_by_the_order_of_the_hashes() -> None:
    names = [[sample.name for sample in part] for part in split_off(THOUSAND[:6], 0.3)]
    assert names == [["000000", "000001", "000002", "000003", "000004"], ["000005"]]  # 0.19
    assert split_off(THOUSAND[:6], 1e-9)[1] == [Sample("", "000005")]
    assert split_off(THOUSAND[:6], 1 - 1e-9)[0] == [Sample("", "000003")]  # 0.64, the largest


def test_split_off_of_one_sample_validates_it_and_of_none_is_empty() -> None:
    assert split_off(THOUSAND[:1], 0.2) == ([], THOUSAND[:1])
    assert split_off([], 0.2) == ([], [])


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_split_off_refuses_a_share_beyond_0_and_1(share: float) -> None:
    with pytest.raises(LabError, match="between 0 and 1"):
        split_off(THOUSAND, share)
