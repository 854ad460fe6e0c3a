"""Several scales, mirror images and sliding windows, against the plain way in PyTorch."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import commands.test_time
from commands.test_time import MultiScaleSegmenter, SlidingSegmenter, extend_segmenter, tile
from deploy import OnnxSegmenter, Segmenter, export_onnx, network_size
from models import UNet
from utils import LabError, resize_image

LAB = Path(__file__).resolve().parent.parent
SIZE = (24, 48)
METADATA = {
    "classes": ["road", "sky", "car", "person"],
    "palette": [[128, 64, 128], [70, 130, 180], [0, 0, 142], [220, 20, 60]],
    "mean": [0.3, 0.5, 0.4],
    "std": [0.2, 0.3, 0.25],
    "size": list(SIZE),
    "stride": 4,
}


class LopsidedSegmenter(Segmenter):
    """Its network is one convolution that no mirror leaves alone; it counts the images it sees."""

    def __init__(self) -> None:
        super().__init__(METADATA)
        random = torch.Generator().manual_seed(0)
        self.weight = torch.randn(4, 3, 5, 5, generator=random) * 0.4
        self.shapes = []

    def network(self, batch: Tensor) -> Tensor:
        return F.conv2d(batch, self.weight.to(batch), padding=2)

    def run(self, batch: np.ndarray) -> np.ndarray:
        assert batch.dtype == np.float32 and min(batch.strides) >= 0
        assert batch.shape[2] % self.stride == batch.shape[3] % self.stride == 0
        self.shapes.append(batch.shape)
        return self.network(torch.from_numpy(batch)).numpy()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured patches with noise, (height, width, 3) uint8."""
    random = np.random.default_rng(seed)
    patches = random.uniform(0, 255, (max(2, height // 6), max(2, width // 6), 3))
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR)
    return (smooth + random.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)


def logits_seen(segmenter: Segmenter, image: np.ndarray, size: tuple[int, int], flip: bool):
    """The logits (1, K, *size) float64 of a photo that is resized, or also turned, by hand."""
    small = torch.from_numpy(resize_image(image, size).astype(np.float64)) / 255
    x = (small - torch.tensor(METADATA["mean"])) / torch.tensor(METADATA["std"])
    x = x.permute(2, 0, 1)[None]
    x = x.flip(3) if flip else x
    below, right = -size[0] % 4, -size[1] % 4
    logits = segmenter.network(F.pad(x, (0, right, 0, below), mode="replicate"))
    logits = logits[..., : size[0], : size[1]]
    return logits.flip(3) if flip else logits


def interpolate(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)


def sizes_seen(photo_size: tuple[int, int], scales: list[float]) -> list[tuple[int, int]]:
    return [network_size(photo_size, [round(side * scale) for side in SIZE]) for scale in scales]


def mean_in_pytorch(segmenter, image, scales, flip, size) -> Tensor:
    """The mean of softmax(interpolate(logits, size)) over all views, (1, K, *size)."""
    views = [
        interpolate(logits_seen(segmenter, image, seen, mirrored), size).softmax(dim=1)
        for seen in sizes_seen(image.shape[:2], scales)
        for mirrored in ((False, True) if flip else (False,))
    ]
    return sum(views) / len(views)


SHAPES = [(24, 48), (48, 96), (31, 37), (96, 192), (9, 13), (70, 20), (1, 1)]


# ------------------------------------------------------------------ several scales


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("scales", "flip"), [([0.5, 1, 2], True), ([0.5, 1.75], False), ([1], True), ([0.7], False)]
)
def test_mean_probabilities_equal_pytorch(shape, scales, flip):
    segmenter, image = LopsidedSegmenter(), photo(*shape)
    mean = MultiScaleSegmenter(segmenter, scales, flip).mean_probabilities(image)
    largest = sizes_seen(shape, scales)[-1]
    size = min(largest[0], shape[0]), min(largest[1], shape[1])
    expected = mean_in_pytorch(segmenter, image, scales, flip, size)[0].numpy()
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, expected, atol=2e-5)


@pytest.mark.parametrize("shape", [(24, 48), (48, 96), (31, 37), (9, 13)])
def test_predict_equals_the_mean_at_the_photos_size(shape):
    segmenter, image, scales = LopsidedSegmenter(), photo(*shape), [0.5, 1, 2]
    labels = MultiScaleSegmenter(segmenter, scales, flip=True).predict(image)
    expected = mean_in_pytorch(segmenter, image, scales, True, shape)[0].argmax(dim=0)
    assert labels.dtype == np.uint8 and labels.shape == shape
    assert (labels == expected.numpy()).mean() >= 0.998


def test_predict_enlarges_the_logarithm_for_a_large_photo():
    segmenter, image, scales = LopsidedSegmenter(), photo(144, 288), [0.5, 1, 2]
    labels = MultiScaleSegmenter(segmenter, scales, flip=True).predict(image)
    mean = mean_in_pytorch(segmenter, image, scales, True, (48, 96))
    expected = interpolate(mean.log(), (144, 288))[0].argmax(dim=0)
    assert (labels == expected.numpy()).mean() >= 0.998
    at_its_size = mean_in_pytorch(segmenter, image, scales, True, (144, 288))[0].argmax(dim=0)
    assert (labels == at_its_size.numpy()).mean() >= 0.95


@pytest.mark.parametrize("shape", SHAPES)
def test_one_scale_is_exactly_the_plain_segmenter(shape):
    segmenter, image = LopsidedSegmenter(), photo(*shape)
    plain = segmenter.predict(image)
    np.testing.assert_array_equal(MultiScaleSegmenter(segmenter).predict(image), plain)


@pytest.mark.parametrize("shape", SHAPES)
def test_averaging_one_view_changes_no_class(shape, monkeypatch):
    segmenter, image = LopsidedSegmenter(), photo(*shape)
    monkeypatch.setattr(MultiScaleSegmenter, "is_plain", False)
    labels = MultiScaleSegmenter(segmenter).predict(image)
    assert (labels == segmenter.predict(image)).mean() >= 0.999


def test_the_order_of_the_scales_has_no_effect():
    segmenter, image = LopsidedSegmenter(), photo(40, 60)
    first, second = (
        MultiScaleSegmenter(segmenter, scales, flip=True).mean_probabilities(image)
        for scales in ([0.5, 1, 1.3, 2], [1.3, 2, 0.5, 1])
    )
    np.testing.assert_array_equal(first, second)


def test_flip_gives_a_mirrored_photo_the_mirrored_mean():
    segmenter, image = LopsidedSegmenter(), photo(24, 48)
    both = MultiScaleSegmenter(segmenter, flip=True)
    mean, mirrored = map(both.mean_probabilities, (image, image[:, ::-1]))
    np.testing.assert_allclose(mirrored[..., ::-1], mean, atol=1e-6)
    alone = MultiScaleSegmenter(segmenter).mean_probabilities(image)
    assert np.abs(alone - mean).max() > 0.1


def test_mean_survives_huge_logits():
    segmenter, image = LopsidedSegmenter(), photo(24, 48)
    segmenter.weight *= 1e4
    both = MultiScaleSegmenter(segmenter, [0.5, 1], flip=True)
    assert np.isfinite(both.mean_probabilities(image)).all()
    assert len(np.unique(both.predict(image))) > 1


@pytest.mark.parametrize("wrapper", [MultiScaleSegmenter, SlidingSegmenter])
def test_a_wrapper_is_a_segmenter(wrapper):
    segmenter = LopsidedSegmenter()
    wrapped = wrapper(segmenter, flip=True)
    assert isinstance(wrapped, Segmenter)
    for name in ("classes", "size", "stride"):
        assert vars(wrapped)[name] == vars(segmenter)[name]
    for name in ("palette", "mean", "std"):
        np.testing.assert_array_equal(vars(wrapped)[name], vars(segmenter)[name])
    images = [photo(24, 48), photo(30, 30, 1), photo(24, 48, 2)]
    for image, labels in zip(images, wrapped.predict_batch(images), strict=True):
        np.testing.assert_array_equal(labels, wrapped.predict(image))
    assert segmenter.size == SIZE
    batch = segmenter.preprocess(images[0])[None]
    np.testing.assert_array_equal(wrapped.run(batch), segmenter.run(batch))


@pytest.mark.parametrize("wrapper", [MultiScaleSegmenter, SlidingSegmenter])
def test_a_wrapper_rejects_what_is_no_photo(wrapper):
    with pytest.raises(LabError, match="RGB array"):
        wrapper(LopsidedSegmenter(), flip=True).predict(np.zeros((24, 48), dtype=np.uint8))


# ------------------------------------------------------------------ windows


def labels_of_windows(segmenter, image, window, overlap, scales, flip) -> tuple[Tensor, Tensor]:
    """Every window's softmax added up at the photo's size, and divided by their number."""
    mean = 0
    for scale in scales:
        total = torch.zeros(1, 4, *image.shape[:2], dtype=torch.float64)
        count = torch.zeros(image.shape[:2])
        cover = [min(round(window[i] / scale), image.shape[i]) for i in (0, 1)]
        step = [max(1, round(side * (1 - overlap))) for side in cover]
        number = [-(-(image.shape[i] - cover[i]) // step[i]) + 1 for i in (0, 1)]
        for row in range(number[0]):
            for column in range(number[1]):
                top = min(row * step[0], image.shape[0] - cover[0])
                left = min(column * step[1], image.shape[1] - cover[1])
                here = slice(top, top + cover[0]), slice(left, left + cover[1])
                wanted = [max(1, round(side * scale)) for side in cover]
                seen = network_size(cover, wanted)
                for mirrored in (False, True) if flip else (False,):
                    logits = logits_seen(segmenter, image[here], seen, mirrored)
                    total[(0, slice(None), *here)] += interpolate(logits, cover).softmax(dim=1)[0]
                    count[here] += 1
        assert count.min() >= 1
        mean = mean + total / count / len(scales)
    return mean[0]


@pytest.mark.parametrize("shape", [(24, 48), (61, 95), (20, 100), (50, 31), (7, 9), (1, 200)])
@pytest.mark.parametrize(
    ("scales", "flip", "overlap"),
    [([1], False, 1 / 3), ([0.5, 1, 2], True, 1 / 3), ([0.5], False, 0), ([1], True, 0.75)],
)
def test_sliding_equals_pytorch(shape, scales, flip, overlap):
    segmenter, image, window = LopsidedSegmenter(), photo(*shape), (16, 24)
    sliding = SlidingSegmenter(segmenter, window, overlap, scales, flip)
    mean = labels_of_windows(segmenter, image, window, overlap, scales, flip)
    labels = sliding.predict(image)
    assert labels.dtype == np.uint8 and labels.shape == shape
    wrong = torch.from_numpy(labels) != mean.argmax(dim=0)
    best = mean.sort(dim=0).values
    assert (best[-1] - best[-2])[wrong].numel() == 0 or (best[-1] - best[-2])[wrong].max() < 1e-4


def test_sliding_uses_windows_of_the_training_size():
    segmenter = LopsidedSegmenter()
    SlidingSegmenter(segmenter).predict(photo(60, 100))
    assert set(segmenter.shapes) == {(1, 3, 24, 48)}
    assert len(segmenter.shapes) == 4 * 3


@pytest.mark.parametrize(
    ("length", "window", "overlap", "starts"),
    [
        (10, 10, 0.5, [0]),
        (11, 10, 0.5, [0, 1]),
        (20, 10, 0.0, [0, 10]),
        (21, 10, 0.0, [0, 10, 11]),
        (30, 9, 1 / 3, [0, 6, 12, 18, 21]),
        (4, 1, 0.9, [0, 1, 2, 3]),
    ],
)
def test_tile_moves_the_last_window_inside(length, window, overlap, starts):
    found, shares = tile(length, window, overlap)
    assert found == starts
    total = np.zeros(length)
    for start in found:
        total[start : start + window] += shares[start : start + window]
    np.testing.assert_allclose(total, 1, atol=1e-6)


class CheapSegmenter(Segmenter):
    """19 classes, each of them a multiple of a colour."""

    def __init__(self) -> None:
        metadata = {"classes": [str(k) for k in range(19)], "palette": [[0, 0, 0]] * 19}
        super().__init__(METADATA | metadata)

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([batch] * 7, axis=1)[:, :19]


def peak_of(segmenter: Segmenter, image: np.ndarray) -> int:
    tracemalloc.start()
    segmenter.predict(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_sliding_needs_the_memory_of_a_band():
    sliding = SlidingSegmenter(CheapSegmenter(), (64, 256), overlap=0.25, flip=True)
    low, high = (peak_of(sliding, np.zeros((rows, 600, 3), np.uint8)) for rows in (200, 800))
    band = 4 * 19 * 64 * 600
    assert high < 4 * band  # all probabilities of the photo: 12 bands
    assert high - low < 1.5 * 600 * 600  # the labels, one byte a pixel


def test_scales_need_memory_for_the_network_and_not_for_the_photo():
    several = MultiScaleSegmenter(CheapSegmenter(), [0.5, 1, 2], flip=True)
    assert peak_of(several, np.zeros((1200, 1600, 3), np.uint8)) < 12e6  # at its size: 146 MB


def test_sliding_refuses_a_band_that_is_too_large(monkeypatch):
    monkeypatch.setattr(commands.test_time, "MAX_BAND_BYTES", 4 * 4 * 24 * 100)
    sliding = SlidingSegmenter(LopsidedSegmenter())
    sliding.predict(photo(30, 100))
    with pytest.raises(LabError, match="24 rows of an image 101 pixels wide"):
        sliding.predict(photo(30, 101))


# ------------------------------------------------------------------ asking for it


def test_extend_segmenter_returns_what_is_asked_for():
    segmenter = LopsidedSegmenter()
    assert extend_segmenter(segmenter) is segmenter
    assert extend_segmenter(segmenter, scales=[1.0]) is segmenter
    several = extend_segmenter(segmenter, [2, 0.5], flip=True)
    assert type(several) is MultiScaleSegmenter
    assert (several.scales, several.flip) == ((0.5, 2.0), True)
    sliding = extend_segmenter(segmenter, [0.5], window=[16, 32])
    assert type(sliding) is SlidingSegmenter
    assert (sliding.window, sliding.overlap, sliding.scales) == ((16, 32), 1 / 3, (0.5,))
    assert extend_segmenter(segmenter, window=[16, 32], overlap=0).overlap == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": []}, "not none"),
        ({"scales": [1, 0]}, "different numbers from 0.01 to 100, not 1, 0"),
        ({"scales": [1, -1]}, "not 1, -1"),
        ({"scales": [1, float("nan")]}, "not 1, nan"),
        ({"scales": [float("inf")]}, "not inf"),
        ({"scales": [0.5, 1, 0.5]}, "not 0.5, 1, 0.5"),
        ({"scales": [1, 100]}, "scale 100 makes images of about 2400x4800"),
        ({"overlap": 0.5}, "--overlap goes with --window"),
        ({"window": [0, 10]}, r"1 ... 4096, not \(0, 10\)"),
        ({"window": [10, 5000]}, r"not \(10, 5000\)"),
        ({"window": [10, 10], "overlap": 0.95}, "0 ... 0.9, not 0.95"),
        ({"window": [10, 10], "scales": [0]}, "not 0"),
    ],
)
def test_extend_segmenter_says_what_is_wrong(options, message):
    with pytest.raises(LabError, match=message):
        extend_segmenter(LopsidedSegmenter(), **options)


# ------------------------------------------------------------------ a real network


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[UNet, Path]:
    torch.manual_seed(0)
    model = UNet(4, num_blocks=2, base_channels=4).eval()
    with torch.no_grad():
        logits = model(torch.randn(1, 3, 64, 64))
        model.decoder.head.bias -= logits.mean(dim=(0, 2, 3))
        model.decoder.head.weight *= 3 / logits.std()
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(model, path, SIZE, METADATA)
    return model, path


def test_an_exported_unet_agrees_with_pytorch(exported):
    model, path = exported
    fake = LopsidedSegmenter()
    fake.network = model.double().forward
    image, scales = photo(48, 96), [0.5, 1, 2]
    with torch.no_grad():
        mean = mean_in_pytorch(fake, image, scales, True, (48, 96))[0]
        windows = labels_of_windows(fake, image, (24, 48), 0.5, [1], True)
    several = MultiScaleSegmenter(OnnxSegmenter(path), scales, flip=True)
    np.testing.assert_allclose(several.mean_probabilities(image), mean.numpy(), atol=1e-4)
    sliding = SlidingSegmenter(OnnxSegmenter(path), overlap=0.5, flip=True)
    for segmenter, expected in ((several, mean), (sliding, windows)):
        labels = segmenter.predict(image)
        assert len(np.unique(labels)) == 4
        assert (labels == expected.argmax(dim=0).numpy()).mean() > 0.998


def test_onnx_needs_no_torch(exported):
    script = (
        "import sys\nimport numpy as np\nfrom deploy import OnnxSegmenter\n"
        "from commands.test_time import extend_segmenter\n"
        "image = np.zeros((30, 50, 3), np.uint8)\n"
        f"segmenter = OnnxSegmenter({str(exported[1])!r})\n"
        "extend_segmenter(segmenter, [0.5, 1], True).predict(image)\n"
        "extend_segmenter(segmenter, None, True, (16, 16)).predict(image)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=LAB, check=True)
