"""Label ids, pixel counts, transforms, data sets and loaders."""

import itertools
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import torch
import torchvision
from cityscapesscripts.helpers import labels as official
from PIL import Image
from street_files import SIZE, draw_pair, image_file, label_file, write_png, write_streets
from torch.utils.data import DataLoader, TensorDataset

import data
import main
from commands.prepare import prepare
from support.engine.accumulation import DividedSteps
from support.engine.augmentation import strengthened
from support.engine.loading import EpochSampler, SeededSamples, workers_of
from support.engine.room import start_worker
from support.formats.cityscapes import CITYSCAPES
from support.formats.files import open_folder, open_source
from support.plots import to_picture
from utils import LabError, resize_image, resize_labels

REPOSITORY = Path(data.__file__).parent


@pytest.fixture
def streets(tmp_path):
    return write_streets(tmp_path / "streets")


# ------------------------------------------------------------------------------ label ids, counts


def test_labels_equal_torchvision_and_cityscapesscripts():
    ours = {label.id: label for label in CITYSCAPES.labels}
    theirs = [label for label in official.labels if label.id >= 0]
    assert len(ours) == len(theirs) == 34
    for label in theirs:
        train_id = label.trainId if label.trainId < 19 and not label.ignoreInEval else 255
        expected = (label.name, label.id, train_id, label.category, label.color)
        assert tuple(ours[label.id]) == expected
    classes = [c for c in torchvision.datasets.Cityscapes.classes if 0 <= c.train_id < 19]
    assert [c.name for c in sorted(classes, key=lambda c: c.train_id)] == list(CITYSCAPES.names)
    assert CITYSCAPES.palette.tolist() == [
        list(c.color) for c in sorted(classes, key=lambda c: c.train_id)
    ]


def test_encode_train_ids_equals_official_table():
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    expected = [official.id2label[i].trainId for i in range(34)]
    encoded = data.encode_train_ids(ids)
    assert encoded.dtype == np.uint8 and encoded.shape == (2, 17)
    assert encoded.ravel().tolist() == expected
    assert ids.ravel().tolist() == list(range(34))
    assert not np.shares_memory(encoded, ids)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64", "uint64"])
def test_encode_train_ids_takes_any_integer_type(dtype):
    assert data.encode_train_ids(np.array([[7, 33, 0]], dtype=dtype)).tolist() == [[0, 18, 255]]


@pytest.mark.parametrize(
    ("ids", "fragment"),
    [
        (np.array([7, 34], dtype=np.uint8), "34"),
        (np.array([255, 7], dtype=np.uint8), "255 in 1 pixel"),
        (np.array([7, -1], dtype=np.int16), "-1"),
        (np.array([7, -128], dtype=np.int8), "-128"),
        (np.array([70000], dtype=np.int64), "70000"),
        (np.array([7.0]), "float64"),
    ],
)
def test_encode_train_ids_names_ids_outside_the_table(ids, fragment):
    with pytest.raises(LabError, match="label ids") as caught:
        data.encode_train_ids(ids)
    assert fragment in str(caught.value)


def test_encode_train_ids_is_undone_by_decode_label_ids():
    ids = np.array([label.id for label in CITYSCAPES.classes], dtype=np.uint8)
    assert CITYSCAPES.decode(data.encode_train_ids(ids)).tolist() == ids.tolist()


@pytest.mark.parametrize("kind", ["uint8", "int64", "uint16", "tensor"])
def test_count_pixels_counts_and_leaves_out_void(kind):
    first, second = np.array([[0, 2], [255, 2]]), np.array([[1, 255, 2]])
    targets = [first, second]
    make = torch.from_numpy if kind == "tensor" else lambda target: target.astype(kind)
    counts = data.count_pixels([(None, make(target)) for target in targets], 4)
    assert counts.dtype == torch.int64
    assert counts.tolist() == [1, 1, 3, 0]


@pytest.mark.parametrize("wrong", [4, 254, -1])
def test_count_pixels_names_a_wrong_id_and_its_sample(wrong):
    dataset = [(None, np.array([[0]])), (None, np.array([[wrong]]))]
    with pytest.raises(LabError, match=f"sample 1: class id {wrong} "):
        data.count_pixels(dataset, 4)


def test_count_pixels_of_all_void_is_zero():
    assert data.count_pixels([(None, np.full((2, 2), 255, np.uint8))], 3).tolist() == [0, 0, 0]


# ------------------------------------------------------------------------------------- transforms


def apply(transform, image, mask, seed=0):
    torch.manual_seed(seed)
    data.seed_transform(transform)
    result = transform(image=image, mask=mask)
    return result["image"], np.asarray(result["mask"])


@pytest.mark.parametrize("source", [(64, 128), (128, 256), (30, 41), (1, 1), (1, 50)])
@pytest.mark.parametrize("make", [data.train_transforms, data.eval_transforms])
def test_transforms_give_the_size_and_types(make, source):
    image, mask = draw_pair(0, source)
    for seed in range(8):
        changed, ids = apply(make((64, 128)), image, mask, seed)
        assert changed.shape == (3, 64, 128) and changed.dtype == torch.float32
        assert ids.shape == (64, 128) and ids.dtype == np.uint8


def test_train_transforms_move_image_and_mask_together():
    """White where the mask is 1: after any change the image still says what the mask says."""
    mask = np.zeros((64, 128), dtype=np.uint8)
    mask[10:40, 8:50] = mask[30:60, 70:90] = 1
    image = np.repeat(mask[..., None] * 255, 3, axis=2)
    transform = data.train_transforms((64, 128))
    agreements = []
    for seed in range(40):
        changed, ids = apply(transform, image, mask, seed)
        brightness = changed.mean(dim=0).numpy()
        white = brightness > brightness[ids != 255].mean()
        agreements.append((white == (ids == 1))[ids != 255].mean())
    assert min(agreements) > 0.95


def test_train_transforms_never_invent_ids_and_fill_with_void():
    _, mask = draw_pair(0, (64, 128))
    mask = np.where(mask % 2, 3, 18).astype(np.uint8)
    image = np.zeros((64, 128, 3), dtype=np.uint8)
    transform = data.train_transforms((64, 128))
    found = [set(np.unique(apply(transform, image, mask, seed)[1])) for seed in range(60)]
    assert set().union(*found) == {3, 18, 255}
    filled = sum(255 in ids for ids in found)
    assert 5 < filled < 40


def test_train_transforms_scale_about_the_evaluation_size():
    mask = np.zeros((128, 256), dtype=np.uint8)
    mask[60:68, 120:136] = 1
    image = np.zeros((128, 256, 3), dtype=np.uint8)
    transform = data.train_transforms((64, 128))
    areas = [(apply(transform, image, mask, seed)[1] == 1).sum() / 32 for seed in range(80)]
    scales = np.sqrt([area for area in areas if area])
    assert 0.8 < scales.min() < 0.98 and 1.05 < scales.max() < 1.3


def test_strong_changes_zoom_and_recolour_but_never_invent_ids():
    image = np.full((64, 128, 3), (60, 120, 180), dtype=np.uint8)
    mask = np.full((64, 128), 3, dtype=np.uint8)
    mask[28:36, 60:68] = 18
    usual = data.train_transforms((64, 128))
    strong = strengthened(usual, (64, 128), data.IGNORE_INDEX)
    spread, ids, largest = {}, set(), 0
    for name, transform in (("usual", usual), ("strong", strong)):
        changed = [apply(transform, image, mask, seed) for seed in range(40)]
        assert all(each.shape == (3, 64, 128) and t.shape == (64, 128) for each, t in changed)
        spread[name] = np.std([each.mean().item() for each, _ in changed])
        ids |= set(np.unique([t for _, t in changed]))
        largest = max((t == 18).sum() for _, t in changed)
    assert ids == {3, 18, 255} and spread["strong"] > 1.5 * spread["usual"] and largest > 128
    first, again = (apply(strong, image, mask, 7)[0] for _ in range(2))
    assert torch.equal(first, again)


def test_train_transforms_flip_half_of_the_time_and_change_colours():
    image = np.full((32, 64, 3), (60, 120, 180), dtype=np.uint8)
    mask = np.tile(np.arange(64, dtype=np.uint8), (32, 1))
    transform = data.train_transforms((32, 64))
    flips, means = [], []
    for seed in range(60):
        changed, ids = apply(transform, image, mask, seed)
        row = ids[16][ids[16] != 255].astype(int)
        flips.append(row[0] > row[-1])
        means.append(tuple(changed[:, ids != 255].mean(dim=1).round(decimals=2).tolist()))
    assert 15 < sum(flips) < 45
    assert len(set(means)) > 10


def test_random_changes_depend_on_seed_epoch_and_index_alone(streets):
    image = draw_pair(0, SIZE)[0]
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]

    def draw(seed, epoch, index):
        dataset = data.SegmentationDataset(streets, "train", transform=data.train_transforms(SIZE))
        dataset.source.read_image = lambda _: image  # the same for both indices
        return SeededSamples(dataset, seed)[epoch, index][0]

    first = [draw(*key) for key in keys]
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    again = [draw(*key) for key in reversed(keys)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({image.numpy().tobytes() for image in first}) == 4


def test_seed_transform_draws_nested_parts_independently():
    pipeline = A.Compose([A.HorizontalFlip(p=0.5), A.Sequential([A.VerticalFlip(p=0.5)], p=1)])
    mask = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    corners = [int(apply(pipeline, image, mask, seed)[1][0, 0]) for seed in range(60)]
    assert all(corners.count(corner) > 4 for corner in range(4))


def test_eval_transforms_equal_plain_arithmetic():
    image, mask = draw_pair(3, (96, 192))
    noise = np.random.default_rng(0).integers(-20, 20, image.shape)
    image = (image + noise).clip(0, 255).astype(np.uint8)
    changed, ids = apply(data.eval_transforms((32, 64)), image, mask)
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    means = torch.nn.functional.avg_pool2d(pixels, 3)
    expected = (means - torch.tensor(data.MEAN)[:, None, None]) / torch.tensor(data.STD)[
        :, None, None
    ]
    assert (changed - expected).abs().max() < 0.6 / 255 / min(data.STD)
    assert np.array_equal(ids, mask[1::3, 1::3])


@pytest.mark.parametrize(
    "size", [(96, 192), (32, 64), (31, 65), (200, 500), (40, 300), (150, 64), (96, 64), (1, 1)]
)
def test_eval_transforms_resize_by_the_labs_one_rule(size):
    image = np.random.default_rng(0).integers(0, 256, (96, 192, 3), dtype=np.uint8)
    mask = np.random.default_rng(1).integers(0, 256, (96, 192), dtype=np.uint8)
    changed, ids = apply(data.eval_transforms(size), image, mask)
    assert np.array_equal(to_picture(changed, data.MEAN, data.STD), resize_image(image, size))
    assert np.array_equal(ids, resize_labels(mask, size))


def test_eval_transforms_are_deterministic():
    image, mask = draw_pair(0)
    transform = data.eval_transforms((20, 30))
    results = [apply(transform, image, mask, seed) for seed in range(5)]
    assert all(torch.equal(results[0][0], changed) for changed, _ in results)
    assert all(np.array_equal(results[0][1], ids) for _, ids in results)


# -------------------------------------------------------------------------------------- data sets


def test_dataset_gives_image_and_train_ids(streets):
    dataset = data.SegmentationDataset(streets, "train")
    assert len(dataset) == 7 and dataset.cities == ["aachen", "bremen", "ulm"]
    assert dataset.pairs[0] == ("aachen", "aachen_000000_000019")
    assert dataset.pairs == sorted(dataset.pairs)
    image, target = dataset[3]
    expected_image, label_ids = draw_pair(3)
    assert isinstance(image, np.ndarray) and np.array_equal(image, expected_image)
    assert target.dtype == torch.int64 and tuple(target.shape) == SIZE == dataset.sizes[3]
    table = {i: official.id2label[i].trainId for i in range(34)}
    assert np.array_equal(target.numpy(), np.vectorize(table.get)(label_ids))


def test_dataset_takes_any_callable(streets):
    def transform(image, mask):
        assert image.dtype == mask.dtype == np.uint8
        return {"image": "seen", "mask": mask[:, ::-1]}

    plain = data.SegmentationDataset(streets, "val")
    image, target = data.SegmentationDataset(streets, "val", transform=transform)[1]
    assert image == "seen" and torch.equal(target, plain[1][1].flip(1))
    as_tensor = data.SegmentationDataset(
        streets, "val", transform=lambda image, mask: {"image": image, "mask": torch.tensor(mask)}
    )
    assert torch.equal(as_tensor[1][1], plain[1][1])


def test_seeded_samples_leave_the_generator_of_torch_where_it_was(streets):
    dataset = data.SegmentationDataset(streets, "train", transform=data.train_transforms(SIZE))
    samples, before = SeededSamples(dataset, seed=3), torch.get_rng_state()
    first, again, later = (samples[epoch, 2] for epoch in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], later[0])
    torch.manual_seed(0)
    without_key = [dataset[2][0] for _ in range(3)]
    assert not torch.equal(without_key[0], without_key[1])
    torch.manual_seed(0)
    assert torch.equal(without_key[0], dataset[2][0])


def test_dataset_targets_are_untransformed(streets):
    transform = data.eval_transforms((8, 8))
    dataset = data.SegmentationDataset(streets, "train", ["ulm"], transform=transform)
    plain = data.SegmentationDataset(streets, "train", ["ulm"])
    assert plain[0][0].shape == (*SIZE, 3) and dataset[0][0].shape == (3, 8, 8)
    targets = dataset.targets()
    assert len(targets) == 2 and targets[1][0] is None
    assert torch.equal(targets[1][1], plain[1][1])
    counts = data.count_pixels(targets, 19)
    assert torch.equal(counts, data.count_pixels(plain, 19)) and counts.sum() > 0


def test_dataset_limit_spreads_over_the_cities(streets):
    names = [sample.city for sample in data.SegmentationDataset(streets, "train", limit=4).pairs]
    assert names == ["aachen", "aachen", "bremen", "ulm"]
    chosen = [set(data.SegmentationDataset(streets, "train", limit=n).pairs) for n in range(1, 9)]
    assert [len(pairs) for pairs in chosen] == [1, 2, 3, 4, 5, 6, 7, 7]
    assert all(small <= large for small, large in itertools.pairwise(chosen))


def test_dataset_takes_chosen_cities(streets):
    dataset = data.SegmentationDataset(streets, "train", cities=["ulm", "aachen"], limit=3)
    assert [sample.name[:6] for sample in dataset.pairs] == ["aachen", "aachen", "ulm_00"]


def test_dataset_finds_folders_one_level_deeper(streets, tmp_path):
    expected = data.SegmentationDataset(streets, "train").pairs
    unpacked = tmp_path / "unpacked"
    for archive, layer in (("leftImg8bit_trainvaltest", "leftImg8bit"), ("anything", "gtFine")):
        (unpacked / archive).mkdir(parents=True)
        shutil.copytree(streets / layer, unpacked / archive / layer)
    assert data.SegmentationDataset(unpacked, "train").pairs == expected
    in_place = tmp_path / "in_place"
    for layer in ("leftImg8bit", "gtFine"):
        shutil.copytree(streets / layer, in_place / layer / layer)
    assert open_folder(in_place).splits() == ["train", "val"]
    assert data.SegmentationDataset(in_place, "train").pairs == expected


def test_dataset_takes_no_sample_from_one_of_several_folders(streets, tmp_path):
    around = tmp_path / "around"
    shutil.copytree(streets, around / "mine")
    assert len(data.SegmentationDataset(around, "train")) == 7
    shutil.copytree(streets, around / "a_strangers")
    with pytest.raises(LabError, match=r"several folders .*a_strangers, .*mine; name one of them"):
        data.SegmentationDataset(around, "train")


def test_dataset_takes_all_archives_together(streets, tmp_path):
    both = tmp_path / "both"
    for layer in ("leftImg8bit", "gtFine"):
        for archive, split in (("trainvaltest", "train"), ("trainextra", "val")):
            folder = both / f"{layer}_{archive}" / layer
            shutil.copytree(streets / layer / split, folder / split)
    for split in ("train", "val"):
        expected = data.SegmentationDataset(streets, split).pairs
        assert data.SegmentationDataset(both, split).pairs == expected


def test_dataset_prefers_the_folder_nearest_to_its_root(streets):
    shutil.copytree(streets / "gtFine", streets / "gtFine_old" / "gtFine")
    for path in (streets / "gtFine_old").rglob("*.png"):
        path.write_bytes(b"")
    assert len(data.SegmentationDataset(streets, "train")) == 7


def test_dataset_ignores_hidden_files(streets):
    image = image_file(streets, "train", "ulm", 0)
    image.with_name(f"._{image.name}").write_bytes(b"junk of another system")
    (streets / "leftImg8bit" / ".DS_Store").write_bytes(b"junk")
    assert len(data.SegmentationDataset(streets, "train")) == 7


def test_dataset_fingerprint_follows_names_sizes_and_selection(streets, tmp_path):
    first = data.SegmentationDataset(streets, "train").source.fingerprint()
    moved = streets.rename(tmp_path / "moved")
    assert data.SegmentationDataset(moved, "train").source.fingerprint() == first
    others = [
        data.SegmentationDataset(moved, "train", limit=3).source.fingerprint(),
        data.SegmentationDataset(moved, "val").source.fingerprint(),
    ]
    write_png(image_file(moved, "train", "ulm", 0), np.zeros((*SIZE, 3), np.uint8))
    others.append(data.SegmentationDataset(moved, "train").source.fingerprint())
    write_png(label_file(moved, "train", "ulm", 0), np.zeros(SIZE, np.uint8))
    others.append(data.SegmentationDataset(moved, "train").source.fingerprint())
    assert len({first, *others}) == 5


def spoil_nothing(root):
    pass


def spoil_images(root):
    shutil.rmtree(root / "leftImg8bit")


def spoil_targets(root):
    shutil.rmtree(root / "gtFine")


def spoil_everything(root):
    shutil.rmtree(root)


def empty(root):
    spoil_everything(root)
    root.mkdir()


def make_file(root):
    spoil_everything(root)
    root.write_text("not a folder")


def other_layout(root):
    empty(root)
    (root / "pictures").mkdir()
    (root / "labels").mkdir()


def lose_target(root):
    label_file(root, "train", "ulm", 1).unlink()
    label_file(root, "train", "aachen", 1).unlink()


def lose_image(root):
    image_file(root, "train", "bremen", 0).unlink()


def only_train_ids(root):
    for path in (root / "gtFine").rglob("*_labelIds.png"):
        path.rename(path.with_name(path.name.replace("labelIds", "labelTrainIds")))


def shrink_target(root):
    write_png(label_file(root, "train", "ulm", 0), np.zeros((10, 20), np.uint8))


def blank_target(root):
    label_file(root, "train", "ulm", 0).write_bytes(b"")


def no_pictures(root):
    for path in root.rglob("*.png"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "arguments", "fragments"),
    [
        (spoil_everything, {}, ["does not exist"]),
        (make_file, {}, ["is a file"]),
        (empty, {}, ["is empty", "images/ and masks/ belong in it"]),
        (other_layout, {}, ["leftImg8bit/", "gtFine/", "labels, pictures"]),
        (spoil_targets, {}, ["no gtFine/"]),
        (spoil_images, {}, ["no leftImg8bit/"]),
        (no_pictures, {}, ["holds no"]),
        (spoil_nothing, {"split": "trian"}, ["'trian'", "there are: train, val"]),
        (spoil_nothing, {"cities": ["berlin"]}, ["'berlin'", "there are: aachen, bremen, ulm"]),
        (spoil_nothing, {"limit": 0}, ["at least 1"]),
        (spoil_nothing, {"limit": -3}, ["-3"]),
        (lose_target, {}, ["aachen_000001", "without its target", "1 more", "main.py check"]),
        (lose_image, {}, ["bremen_000000", "target without its image"]),
        (only_train_ids, {}, ["labelTrainIds.png, but the lab reads *_gtFine_labelIds.png"]),
        (shrink_target, {}, ["ulm_000000", "20x10", "48x24"]),
        (blank_target, {}, ["ulm_000000", "empty"]),
    ],
)
def test_dataset_names_what_is_wrong(streets, spoil, arguments, fragments):
    spoil(streets)
    with pytest.raises(LabError) as caught:
        data.SegmentationDataset(streets, **{"split": "train", **arguments})
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message


def test_dataset_does_not_mind_faults_of_other_cities(streets):
    lose_target(streets)
    shrink_target(streets)
    assert len(data.SegmentationDataset(streets, "train", cities=["bremen"])) == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "fragment"),
    [
        (lambda image, label: truncate(image), "not a readable image"),
        (lambda image, label: truncate(label), "not a readable image"),
        (lambda image, label: write_png(label, np.full(SIZE, 77, np.uint8)), "labelTrainIds"),
        (lambda image, label: write_png(label, np.zeros((*SIZE, 3), np.uint8)), "mode RGB"),
        (lambda image, label: Image.new("P", SIZE[::-1]).save(label), "mode P"),
    ],
)
def test_dataset_reading_names_the_file(streets, spoil, fragment):
    image, label = (find(streets, "val", "munster", 1) for find in (image_file, label_file))
    spoil(image, label)
    dataset = data.SegmentationDataset(streets, "val")
    dataset[0]
    with pytest.raises(LabError, match="munster_000001") as caught:
        dataset[1]
    assert fragment in str(caught.value) and "\n" not in str(caught.value)


def test_dataset_error_is_one_line_from_a_worker_too(streets):
    truncate(label_file(streets, "val", "munster", 1))
    dataset = data.SegmentationDataset(streets, "val")
    with pytest.raises(LabError) as caught:
        dataset[1]
    options = {"num_workers": 1, "worker_init_fn": start_worker, "persistent_workers": True}
    loader = DataLoader(dataset, **options)
    with workers_of(loader), pytest.raises(LabError) as in_worker:  # it would outlive the tests
        list(loader)
    assert in_worker.value.line == str(caught.value)


def test_dataset_turns_unusual_images_into_rgb(streets):
    path = image_file(streets, "val", "munster", 0)
    Image.new("L", SIZE[::-1], 100).save(path)
    image, _ = data.SegmentationDataset(streets, "val")[0]
    assert image.shape == (*SIZE, 3) and np.all(image == 100)


# ---------------------------------------------------------------------------------------- loaders


def loaders(streets, num_workers, batch_size=3, seed=1):
    train_set = data.SegmentationDataset(streets, "train", transform=data.train_transforms(SIZE))
    val_set = data.SegmentationDataset(streets, "val", transform=data.eval_transforms(SIZE))
    return data.get_dataloaders(train_set, val_set, batch_size, num_workers, seed)


def collect(loader):
    return [(images.clone(), targets.clone()) for images, targets in loader]


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b)
        for pair, other in zip(first, second, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


def test_get_dataloaders_do_not_depend_on_the_number_of_workers(streets):
    runs = []
    for num_workers in (0, 1, 2):
        train_loader, val_loader = loaders(streets, num_workers)
        runs.append([collect(loader) for loader in (train_loader, val_loader) * 2])
    first = runs[0]
    assert all(same(a, b) for other in runs[1:] for a, b in zip(first, other, strict=True))
    assert not same(first[0], first[2])  # another epoch, other changes
    assert same(first[1], first[3])  # validation repeats
    assert [len(targets) for _, targets in first[0]] == [3, 3, 1]


def test_get_dataloaders_shuffle_training_and_not_validation(streets):
    train_loader, val_loader = loaders(streets, 0)
    orders = []
    for _ in range(6):
        orders.append([index for _, index in train_loader.sampler])
        assert list(val_loader.sampler) == [(0, 0), (0, 1)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 3


def test_get_dataloaders_depend_on_the_seed(streets):
    assert not same(
        collect(loaders(streets, 0, seed=1)[0]), collect(loaders(streets, 0, seed=2)[0])
    )


def test_get_dataloaders_work_with_spawned_workers(streets):
    expected = collect(loaders(streets, 0)[0])
    train_loader, _ = loaders(streets, 1)
    train_loader.multiprocessing_context = "spawn"
    assert same(expected, collect(train_loader))


def test_get_dataloaders_take_any_data_set():
    plain = TensorDataset(torch.arange(5), torch.arange(5))
    train_loader, val_loader = data.get_dataloaders(plain, plain, 2, 0, seed=0)
    assert sorted(torch.cat([x for x, _ in train_loader]).tolist()) == list(range(5))
    assert torch.cat([x for x, _ in val_loader]).tolist() == list(range(5))


@pytest.mark.parametrize(
    ("batch_size", "num_workers", "fragment"),
    [(0, 0, "batch size"), (-1, 0, "batch size"), (2, -1, "workers"), (8, 0, "lower --batch-size")],
)
def test_get_dataloaders_refuse_impossible_numbers(streets, batch_size, num_workers, fragment):
    with pytest.raises(LabError, match=fragment):
        loaders(streets, num_workers, batch_size)


def test_epoch_sampler_depends_on_seed_and_epoch_alone():
    sampler = EpochSampler(20, seed=4)
    passes = [list(sampler) for _ in range(3)]
    assert [passes[k][0][0] for k in range(3)] == [0, 1, 2]
    assert passes[0] != passes[1]
    other = EpochSampler(20, seed=4)
    other.set_epoch(2)
    assert list(other) == passes[2]
    assert list(EpochSampler(20, seed=5)) != passes[0]


def test_epoch_sampler_goes_on_in_the_middle():
    sampler = EpochSampler(10, seed=0)
    whole_pass = list(sampler)
    sampler.set_epoch(0, skip=4)
    assert len(sampler) == 6
    assert list(sampler) == whole_pass[4:]
    assert len(sampler) == 10 and len(list(sampler)) == 10


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 7, 12, 13, 29])
def test_epoch_samplers_of_all_processes_cover_every_image_once(length, processes, accumulate):
    whole = list(EpochSampler(length, seed=1))
    shares = [DividedSteps(2, accumulate, rank, processes) for rank in range(processes)]
    samplers = [iter(EpochSampler(length, 1, share)) for share in shares]
    images_per_step, seen = shares[0].images_per_step, []
    for start in range(0, length, images_per_step):
        count = min(images_per_step, length - start)
        own = [share.parts(count) for share in shares]
        assert len({len(parts) for parts in own}) == 1  # as many batches in every process
        assert own[0][0] > 0
        for images in zip(*own, strict=True):
            assert max(images) <= 2 and max(images) - min(images) <= 1
            for sampler, number in zip(samplers, images, strict=True):
                keys = [next(sampler) for _ in range(max(number, 1))]
                seen += keys[:number]
        assert sorted(seen[start:]) == sorted(whole[start : start + count])
    assert sorted(index for _, index in seen) == list(range(length))
    assert not any(list(sampler) for sampler in samplers)


def test_start_worker_leaves_stopping_to_the_parent():
    """What it ignores would be ignored by all later tests of this process, and its children."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]
    previous = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        start_worker(0)
        for name in names:
            assert signal.getsignal(getattr(signal, name)) == signal.SIG_IGN
    finally:
        for name, handler in previous.items():
            signal.signal(getattr(signal, name), handler)


def test_data_import_is_silent_and_asks_no_network():
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): sys.exit('network!')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "import data\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---------------------------------------------------------------------------------- prepared data


@pytest.fixture
def prepared(streets, tmp_path):
    sources = [open_source(streets, "train"), open_source(streets, "val")]
    prepare(sources, tmp_path / "prepared", (16, 32))
    return tmp_path / "prepared"


def test_prepared_samples_equal_the_evaluation_of_the_raw_files(streets, prepared):
    transform = data.eval_transforms((16, 32))
    raw = data.SegmentationDataset(streets, "train", transform=transform)
    fast = data.SegmentationDataset(prepared, "train", transform=transform)
    assert fast.pairs == raw.pairs and fast.sizes == [(16, 32)] * 7
    for index in range(7):
        assert torch.equal(fast[index][0], raw[index][0])
        assert torch.equal(fast[index][1], raw[index][1])
    assert fast.source.read_image(0).shape == (16, 32, 3)
    assert fast.source.fingerprint() != raw.source.fingerprint()


def test_prepared_data_keeps_void_and_official_ids(streets, prepared):
    ids = np.load(prepared / "train" / "label_ids.npy")
    assert ids.dtype == np.uint8 and ids.shape == (7, 16, 32)
    assert {0, 5, 9, 33} <= set(np.unique(ids)) and ids.max() == 33


def test_prepared_data_takes_cities_and_limits(prepared):
    dataset = data.SegmentationDataset(prepared, "train", cities=["bremen", "ulm"], limit=3)
    assert [sample.city for sample in dataset.pairs] == ["bremen", "bremen", "ulm"]
    everything = data.SegmentationDataset(prepared, "train")
    assert np.array_equal(dataset[2][0], everything[5][0])
    for arguments, fragment in (
        ({"split": "test"}, "there are: train, val"),
        ({"split": "val", "cities": ["ulm"]}, "there are: munster"),
        ({"split": "val", "limit": 0}, "at least 1"),
    ):
        with pytest.raises(LabError, match=fragment):
            data.SegmentationDataset(prepared, **arguments)


def test_prepared_data_is_mapped_and_not_read(prepared):
    dataset = data.SegmentationDataset(prepared, "train")
    with open(prepared / "train" / "images.npy", "r+b") as file:
        file.seek(-16 * 32 * 3, os.SEEK_END)
        file.write(bytes(16 * 32 * 3))
    assert dataset[6][0].max() == 0 < dataset[5][0].max()


def test_prepared_data_loads_in_workers(prepared):
    one, two = (collect(loaders(prepared, num_workers)[0]) for num_workers in (0, 2))
    assert same(one, two)
    dataset = data.SegmentationDataset(prepared, "train")
    dataset[0]
    assert len(pickle.dumps(dataset)) < 5000  # a worker gets the way to the arrays, not the arrays


@pytest.mark.parametrize("name", ["train/images.npy", "train/label_ids.npy", "prepared.json"])
def test_prepared_data_notices_damage(prepared, name):
    path = prepared / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LabError, match="damaged"):
        data.SegmentationDataset(prepared, "train")


@pytest.mark.parametrize("name", ["images.npy", "label_ids.npy"])
def test_prepared_data_notices_arrays_of_another_kind(prepared, name):
    path = prepared / "train" / name
    array = np.load(path)
    for other in (array.astype(np.int64), array[:-1]):
        np.save(path, other)
        with pytest.raises(LabError, match=rf"{name}: does not fit its prepared.json; prepare"):
            data.SegmentationDataset(prepared, "train")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format_version", 2, "prepared.json: version 2, this lab reads 3; prepare again"),
        ("size", [16, 32.0], "prepared.json: damaged"),
        ("splits", {"train": [["aachen", 7]]}, "prepared.json: damaged"),
        ("labels", {"classes": []}, "prepared.json: damaged"),
        ("reading", {"fold": "one"}, "prepared.json: damaged"),
        ("unscored", "val", "prepared.json: damaged"),
    ],
)
def test_prepared_data_notices_a_manifest_that_is_none(prepared, key, value, said):
    path = prepared / "prepared.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(LabError) as caught:
        open_folder(prepared)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_prepared_data_fingerprint_follows_the_copy_and_the_selection(streets, prepared, tmp_path):
    prepare([open_source(streets, "train")], tmp_path / "smaller", (8, 16))
    found = [
        data.SegmentationDataset(root, "train", limit=limit).source.fingerprint()
        for root, limit in ((prepared, None), (prepared, 3), (tmp_path / "smaller", None))
    ]
    assert len(set(found)) == 3


def test_check_reads_prepared_data(prepared, capsys):
    ids = np.load(prepared / "val/label_ids.npy")
    ids[1, 0, :3] = 99
    np.save(prepared / "val/label_ids.npy", ids)
    assert main.main(["check", "--datadir", str(prepared)]) == 1
    line = capsys.readouterr().out.splitlines()[0]
    assert "munster_000001_000019: label ids outside the set" in line
    assert line.endswith(": 99 in 3 pixels; prepare the data again")
