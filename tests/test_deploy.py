"""The export and the segmenters, against PyTorch, albumentations and Pillow."""

import copy
import errno
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import commands.test
import deploy
from commands.test import TorchSegmenter, collect_images, report_photos, segment_files
from deploy import OnnxSegmenter, export_onnx, network_size, upsample_argmax, valid_metadata
from models import UNet
from utils import LabError, resize_image

SIZE = (24, 48)
METADATA = {
    "classes": ("road", "sky", "car", "person", "void"),
    "palette": np.array([[128, 64, 128], [70, 130, 180], [0, 0, 142], [220, 20, 60], [7, 8, 9]]),
    "mean": (0.3, 0.5, 0.4),
    "std": (0.2, 0.3, 0.25),
}


def make_model() -> UNet:
    """A small UNet whose two modes differ clearly, and all of whose classes occur."""
    torch.manual_seed(0)
    model = UNet(5, num_blocks=2, base_channels=4)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(1.0, 6.0)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
    with torch.no_grad():
        logits = model.eval()(torch.randn(1, 3, 64, 64))
        model.decoder.head.bias -= logits.mean(dim=(0, 2, 3))
    return model


def description(model: UNet) -> dict[str, object]:
    """All of a model that an export must leave as it was."""
    return {
        "modes": [module.training for module in model.modules()],
        "tensors": {name: value.clone() for name, value in model.state_dict().items()},
        "strides": [parameter.stride() for parameter in model.parameters()],
        "learns": [parameter.requires_grad for parameter in model.parameters()],
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """One export, of a model in unlikely states: train mode, channels_last, float64."""
    folder = tmp_path_factory.mktemp("export")
    model = make_model().to(torch.float64, memory_format=torch.channels_last).train()
    model.decoder.head.eval()
    model.encoder.bottom.requires_grad_(False)
    before = description(model)
    export_onnx(model, folder / "model.onnx", SIZE, METADATA)
    return {
        "path": folder / "model.onnx",
        "model": model,
        "before": before,
        "network": copy.deepcopy(model).float().eval(),
    }


@pytest.fixture
def segmenter(exported: dict[str, object]) -> OnnxSegmenter:
    return OnnxSegmenter(exported["path"])


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured patches with noise, (height, width, 3) uint8; its channels differ clearly."""
    random = np.random.default_rng(seed)
    patches = random.uniform(0, 255, (max(1, height // 8), max(1, width // 8), 3))
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR)
    noisy = smooth.reshape(height, width, 3) * (1.0, 0.8, 0.5) + random.normal(0, 8, (1, 1, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def share_of_equal(first: np.ndarray, second: np.ndarray) -> float:
    assert first.shape == second.shape
    return float((first == second).mean())


# ------------------------------------------------------------------ export


@pytest.mark.parametrize("shape", [(1, 3, 24, 48), (3, 3, 60, 20), (2, 3, 4, 4)])
def test_export_agrees_with_pytorch(exported, shape):
    images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    session = onnxruntime.InferenceSession(exported["path"])
    logits = session.run(["logits"], {"image": images})[0]
    with torch.inference_mode():
        expected = exported["network"](torch.from_numpy(images)).numpy()
    assert logits.dtype == np.float32
    tolerance = 1e-4 * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_export_refuses_weights_that_are_not_numbers(tmp_path, value):
    model = make_model()
    with torch.no_grad():
        model.decoder.head.bias[1] = value
    with pytest.raises(LabError, match=r"not numbers \(decoder\.head\.bias\)"):
        export_onnx(model, tmp_path / "model.onnx", SIZE, METADATA)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_logits_that_are_not_numbers_segment_nothing(exported, tmp_path, kind):
    if kind == "torch":
        model = copy.deepcopy(exported["network"])
        model.decoder.head.bias.data[1] = float("nan")
        segmenter = TorchSegmenter(model, {**METADATA, "size": SIZE})
    else:
        network = onnx.load(exported["path"])
        bias = next(each for each in network.graph.initializer if each.name.endswith("head.bias"))
        bias.raw_data = np.full(5, np.nan, np.float32).tobytes()
        onnx.save(network, tmp_path / "model.onnx")
        segmenter = OnnxSegmenter(tmp_path / "model.onnx")
    for predict in (segmenter.predict, lambda image: segmenter.predict_batch([image])):
        with pytest.raises(LabError, match="gives logits that are not numbers"):
            predict(photo(20, 30))


def test_export_names_its_sizes(exported):
    session = onnxruntime.InferenceSession(exported["path"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", 3, "height", "width"])
    assert (logits.name, logits.shape) == ("logits", ["batch", 5, "height", "width"])


def test_export_is_one_file(exported):
    assert list(exported["path"].parent.iterdir()) == [exported["path"]]
    model = onnx.load(exported["path"], load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_export_metadata_are_json(exported):
    properties = {p.key: p.value for p in onnx.load(exported["path"]).metadata_props}
    assert {key: json.loads(properties[key]) for key in deploy.METADATA_KEYS} == {
        "format_version": 1,
        "classes": list(METADATA["classes"]),
        "palette": METADATA["palette"].tolist(),
        "mean": [0.3, 0.5, 0.4],
        "std": [0.2, 0.3, 0.25],
        "size": [24, 48],
        "stride": 4,
    }


def test_export_leaves_the_model_as_it_was(exported):
    before, after = exported["before"], description(exported["model"])
    assert before["modes"] == after["modes"]
    assert before["strides"] == after["strides"]
    assert before["learns"] == after["learns"]
    for name, value in after["tensors"].items():
        assert value.dtype == before["tensors"][name].dtype
        assert torch.equal(value, before["tensors"][name]), name


def test_check_export_finds_another_model(exported):
    other = copy.deepcopy(exported["model"])
    deploy.check_export(other, exported["path"], SIZE)
    with torch.no_grad():
        other.decoder.head.bias[0] += 0.01
    with pytest.raises(LabError, match="does not agree"):
        deploy.check_export(other, exported["path"], SIZE)


def test_check_export_compares_the_shapes_first(exported):
    other = UNet(4, num_blocks=2, base_channels=4)
    with pytest.raises(LabError, match=r"gives logits \(1, 5"):
        deploy.check_export(other, exported["path"], SIZE)


@pytest.mark.parametrize("size", [(24, 48), (1, 1), (7, 300), (1024, 2048), (100, 100)])
def test_example_images_differ_in_size_aspect_and_batch(size):
    first, second = (images.shape for images in deploy.example_images(size, 16))
    assert first[0] != second[0] and first[2:] != second[2:]
    assert first[2] / first[3] != second[2] / second[3]
    assert all(side % 16 == 0 for side in (*first[2:], *second[2:]))
    assert first[2] * first[3] <= 100_000


def copying(source: Path):
    """Stands in for the exporter: the file is a copy of `source`."""
    return lambda model, path, metadata: shutil.copy(source, path)


def test_export_that_differs_writes_nothing(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "write_onnx", copying(exported["path"]))
    other = UNet(5, num_blocks=2, base_channels=4)
    with pytest.raises(LabError, match="does not agree"):
        export_onnx(other, tmp_path / "model.onnx", SIZE, METADATA)
    assert list(tmp_path.iterdir()) == []


def test_export_on_a_full_disk_keeps_the_old_file(exported, tmp_path, monkeypatch):
    def fail(model, path, metadata):
        path.write_bytes(b"half of a model")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(deploy, "write_onnx", fail)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(LabError, match=r"model\.onnx: No space left"):
        export_onnx(UNet(5, num_blocks=2, base_channels=4), path, SIZE, METADATA)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "key, value",
    [
        ("classes", []),
        ("classes", "road"),
        ("palette", METADATA["palette"][:4]),
        ("palette", METADATA["palette"] + 100),
        ("mean", (0.5, 0.5)),
        ("mean", (0.5, 0.5, float("nan"))),
        ("std", (0.2, 0.0, 0.2)),
        ("size", (0, 48)),
        ("size", (24.5, 48)),
    ],
)
def test_export_rejects_impossible_metadata(tmp_path, key, value):
    size = value if key == "size" else SIZE
    with pytest.raises(LabError, match=f"impossible: {key}"):
        export_onnx(
            UNet(5, num_blocks=2, base_channels=4),
            tmp_path / "model.onnx",
            size,
            {**METADATA, key: value},
        )
    assert list(tmp_path.iterdir()) == []


def test_export_names_missing_metadata(tmp_path):
    with pytest.raises(LabError, match="lack mean, std"):
        metadata = {key: METADATA[key] for key in ("classes", "palette")}
        export_onnx(UNet(5, num_blocks=2, base_channels=4), tmp_path / "model.onnx", SIZE, metadata)


# ------------------------------------------------------------------ steps around the network


@pytest.mark.parametrize("size", [(24, 48), (12, 24), (96, 192), (31, 17), (24, 100), (100, 48)])
def test_resize_image_equals_the_training_transform(size):
    image = photo(48, 96)
    transform = A.Resize(*size, interpolation=cv2.INTER_LINEAR, area_for_downscale="image")
    np.testing.assert_array_equal(resize_image(image, size), transform(image=image)["image"])


def test_resize_image_returns_the_photo_itself_at_its_size():
    image = photo(24, 48)
    assert resize_image(image, (24, 48)) is image


@pytest.mark.parametrize(
    "photo_size, expected",
    [
        ((128, 256), (128, 256)),
        ((512, 1024), (128, 256)),
        ((64, 128), (128, 256)),
        ((256, 128), (256, 128)),
        ((600, 600), (181, 181)),
        ((1024, 1820), (136, 241)),
    ],
)
def test_network_size_keeps_aspect_and_area(photo_size, expected):
    assert network_size(photo_size, (128, 256)) == expected


@pytest.mark.parametrize("photo_size", [(1, 1), (1, 5000), (5000, 1), (3, 3), (1, 60_000_000)])
def test_network_size_is_bounded_for_extreme_photos(photo_size):
    height, width = network_size(photo_size, (128, 256))
    assert 1 <= height <= 1024 and 1 <= width <= 1024
    assert height * width <= 1.5 * 128 * 256


@pytest.mark.parametrize("shape", [(8, 12), (9, 7), (1, 1), (1, 30), (40, 3)])
@pytest.mark.parametrize("size", [(8, 12), (32, 48), (37, 50), (5, 6), (1, 1), (200, 3)])
def test_upsample_argmax_equals_pytorch(shape, size, monkeypatch):
    logits = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    enlarged = F.interpolate(
        torch.from_numpy(logits)[None], size, mode="bilinear", align_corners=False
    )
    expected = enlarged[0].argmax(dim=0).numpy()
    for strip_pixels in (deploy.STRIP_PIXELS, 150, 1):
        monkeypatch.setattr(deploy, "STRIP_PIXELS", strip_pixels)
        labels = upsample_argmax(logits, size)
        assert labels.dtype == np.uint8
        assert share_of_equal(labels, expected) >= 0.999


def test_upsample_argmax_gives_ties_to_the_first_class():
    logits = np.zeros((4, 3, 3), dtype=np.float32)
    logits[[1, 3]] = 1.0
    assert (upsample_argmax(logits, (7, 7)) == 1).all()


def test_upsample_argmax_handles_large_logits():
    logits = np.random.default_rng(0).normal(size=(4, 5, 5)).astype(np.float32) * 1e30
    np.testing.assert_array_equal(upsample_argmax(logits, (5, 5)), logits.argmax(axis=0))


def test_upsample_argmax_needs_little_memory():
    logits = np.random.default_rng(0).normal(size=(19, 64, 64)).astype(np.float32)
    tracemalloc.start()
    upsample_argmax(logits, (1500, 1500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all logits at this size: 171 MB


# ------------------------------------------------------------------ segmenters


def steps_in_pytorch(network: UNet, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The way of a photo, with the training's transform and PyTorch alone."""
    transform = A.Compose(
        [
            A.Resize(*size, interpolation=cv2.INTER_LINEAR, area_for_downscale="image"),
            A.Normalize(METADATA["mean"], METADATA["std"]),
        ]
    )
    x = torch.from_numpy(transform(image=image)["image"]).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = network(x)  # the UNet pads and crops by itself
    logits = F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
    return logits[0].argmax(dim=0).numpy()


@pytest.mark.parametrize(
    "photo_size, seen_size",
    [((24, 48), (24, 48)), ((96, 192), (24, 48)), ((12, 24), (24, 48)), ((85, 60), (40, 29))],
)
def test_predict_equals_the_steps_in_pytorch(exported, segmenter, photo_size, seen_size):
    image = photo(*photo_size)
    labels = segmenter.predict(image)
    assert labels.dtype == np.uint8 and labels.shape == photo_size
    assert len(np.unique(labels)) >= 3
    expected = steps_in_pytorch(exported["network"], image, seen_size)
    assert share_of_equal(labels, expected) >= 0.999


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 3), (2, 700), (700, 501)])
def test_predict_takes_any_shape(segmenter, size):
    labels = segmenter.predict(photo(*size))
    assert labels.shape == size and labels.max() < 5


def test_predict_leaves_the_photo_as_it_was(segmenter):
    image = photo(24, 48)
    before = image.copy()
    segmenter.predict(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        [[1, 2, 3]],
        np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (8001, 8001, 3)),
    ],
    ids=["grey", "rgba", "channels first", "empty", "float", "list", "too large"],
)
def test_predict_rejects_what_is_no_photo(segmenter, image):
    for predict in (segmenter.predict, lambda photo: segmenter.predict_batch([photo])):
        with pytest.raises(LabError, match="photo") as caught:
            predict(image)
        assert "\n" not in str(caught.value)


def test_predict_batch_equals_predict(segmenter):
    images = [photo(24, 48, 1), photo(50, 30, 2), photo(24, 48, 3), photo(30, 50, 4)]
    labels = segmenter.predict_batch(images)
    for image, found in zip(images, labels, strict=True):
        assert share_of_equal(found, segmenter.predict(image)) >= 0.999
    assert segmenter.predict_batch([]) == []


def test_predict_batch_runs_photos_of_one_size_together(segmenter, monkeypatch):
    run, batches = segmenter.run, []
    monkeypatch.setattr(segmenter, "run", lambda batch: batches.append(len(batch)) or run(batch))
    segmenter.predict_batch([photo(24, 48), photo(50, 30), photo(24, 48), photo(24, 48)])
    assert batches == [3, 1]


def test_segmenter_attributes_come_from_the_file(segmenter):
    assert segmenter.classes == METADATA["classes"]
    assert segmenter.size == SIZE and segmenter.stride == 4
    np.testing.assert_array_equal(segmenter.palette, METADATA["palette"])
    np.testing.assert_allclose(segmenter.mean, METADATA["mean"])
    np.testing.assert_allclose(segmenter.std, METADATA["std"])


def test_torch_segmenter_equals_onnx_segmenter(exported, segmenter):
    metadata = {**METADATA, "size": SIZE, "weights": torch.zeros(3)}
    in_torch = TorchSegmenter(copy.deepcopy(exported["network"]).train(), metadata, "cpu")
    assert (in_torch.classes, in_torch.size) == (segmenter.classes, segmenter.size)
    images = [photo(50, 30), photo(24, 48)]
    pairs = zip(in_torch.predict_batch(images), segmenter.predict_batch(images), strict=True)
    for in_one, in_other in pairs:
        assert in_one.dtype == np.uint8
        assert share_of_equal(in_one, in_other) >= 0.999


def test_inference_does_without_torch(exported, tmp_path):
    Image.fromarray(photo(30, 40)).save(tmp_path / "street.png")
    program = """
import sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "onnx", "onnxscript", "albumentations"):
            raise AssertionError("imports " + name)

sys.meta_path.insert(0, Blocker())
from commands.test import open_segmenter, segment_files
segment_files(open_segmenter(Path(sys.argv[1]), "auto"), [sys.argv[2]], sys.argv[3])
"""
    subprocess.run(
        [sys.executable, "-c", program, exported["path"], tmp_path, tmp_path / "out"],
        check=True,
        cwd=Path(deploy.__file__).parent,
    )
    assert (tmp_path / "out" / "street_mask.png").is_file()


# ------------------------------------------------------------------ files that are no such model


def assert_refused(path: Path, match: str) -> None:
    """Opening `path` ends in one line that names the file, the reason and what to do."""
    with pytest.raises(LabError, match=match) as caught:
        OnnxSegmenter(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert "main.py train" in message


def test_onnx_segmenter_refuses_what_is_not_there(tmp_path):
    assert_refused(tmp_path / "model.onnx", "no such file")
    assert_refused(tmp_path, "folder")


def test_onnx_segmenter_refuses_what_is_not_onnx(tmp_path, capfd):
    path = tmp_path / "model.onnx"
    for content in (b"", b"hello", bytes(range(256)) * 40, b"\x89PNG\r\n"):
        path.write_bytes(content)
        assert_refused(path, "ONNX|metadata")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_onnx_segmenter_refuses_a_truncated_file(exported, tmp_path, share):
    content = exported["path"].read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: int(share * len(content))])
    assert_refused(path, "ONNX|metadata")


@pytest.mark.parametrize(
    "key, value, match",
    [
        ("mean", None, "lack mean"),
        ("mean", "[0.1, 0.2,", "not JSON"),
        ("mean", "[0.1, 0.2]", "impossible: mean"),
        ("std", "[1, 1, Infinity]", "impossible: std"),
        ("classes", '["road"]', "palette"),
        ("classes", "7", "impossible: classes"),
        ("classes", '["road", "sky", "car", "person", 5]', "impossible: classes"),
        ("classes", "[" * 100_000, "not JSON"),
        ("palette", "[[1, 2, 3], [4, 5]]", "impossible: palette"),
        ("palette", "null", "impossible: palette"),
        ("size", "[24]", "impossible: size"),
        ("size", "[1000000, 1000000]", "impossible: size"),
        ("stride", "0", "impossible: stride"),
        ("stride", "true", "impossible: stride"),
        ("format_version", "2", "format_version is 2, this"),
        ("format_version", "{}", "format_version"),
    ],
)
def test_onnx_segmenter_refuses_wrong_metadata(exported, tmp_path, key, value, match):
    model = onnx.load(exported["path"])
    kept = {p.key: p.value for p in model.metadata_props if p.key != key}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept if value is None else {**kept, key: value})
    onnx.save(model, tmp_path / "model.onnx")
    assert_refused(tmp_path / "model.onnx", match)


SIZES = ("batch", 3, "height", "width")
LOGITS = ("batch", 1, "height", "width")


def save_network(
    path: Path,
    num_classes: int,
    image: tuple[str | int, ...] = SIZES,
    logits: tuple[str | int, ...] = LOGITS,
    name: str = "image",
    kind: int = onnx.TensorProto.FLOAT,
) -> None:
    """Writes an ONNX model that only averages, with metadata for `num_classes`."""
    reduced = {"axes": [1], "keepdims": 1} if len(logits) == 4 else {"axes": [2, 3], "keepdims": 0}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceMean", [name], ["logits"], **reduced)],
        "other",
        [onnx.helper.make_tensor_value_info(name, kind, image)],
        [onnx.helper.make_tensor_value_info("logits", kind, logits)],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    metadata = {**METADATA, "size": SIZE, "stride": 4, "format_version": 1}
    metadata["classes"] = METADATA["classes"][:num_classes]
    metadata["palette"] = METADATA["palette"][:num_classes].tolist()
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.save(model, path)


@pytest.mark.parametrize(
    "num_classes, wrong",
    [
        (3, {"logits": ("batch", 3)}),
        (5, {}),
        (1, {"image": ("batch", 3, 24, 48)}),
        (1, {"image": (1, 3, "height", "width")}),
        (1, {"name": "pixels"}),
        (1, {"kind": onnx.TensorProto.DOUBLE}),
    ],
    ids=["classifier", "other classes", "fixed size", "fixed batch", "other name", "other type"],
)
def test_onnx_segmenter_refuses_another_network(tmp_path, num_classes, wrong):
    path = tmp_path / "model.onnx"
    save_network(path, num_classes, **wrong)
    assert_refused(path, "instead of")
    save_network(path, num_classes=1)
    assert OnnxSegmenter(path).classes == ("road",)


# ------------------------------------------------------------------ photos as files


def save_photo(path: Path, height: int = 20, width: int = 30, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(height, width)).save(path, **options)
    return path


def test_collect_images_expands_folders_in_order(tmp_path):
    for name in ("b.JPG", "a.png", "c.txt", "._a.png", "deeper/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "e.png").mkdir()
    single = tmp_path / "deeper" / "d.png"
    assert collect_images([single, tmp_path]) == [single, tmp_path / "a.png", tmp_path / "b.JPG"]
    assert collect_images([tmp_path / "c.txt"]) == [tmp_path / "c.txt"]


def test_collect_images_sorts_a_folder(tmp_path):
    for number in (5, 2, 8, 1, 9, 3):
        save_photo(tmp_path / f"{number}.png")
    assert [path.stem for path in collect_images([tmp_path])] == ["1", "2", "3", "5", "8", "9"]


def test_collect_images_takes_a_photo_once(tmp_path):
    first, second = save_photo(tmp_path / "a.png"), save_photo(tmp_path / "b.png")
    other_spelling = tmp_path / ".." / tmp_path.name / "a.png"
    assert collect_images([str(second), tmp_path, second, other_spelling]) == [second, first]


def test_collect_images_names_what_is_not_there(tmp_path):
    with pytest.raises(LabError, match=r"no image in this folder \(it is empty\)"):
        collect_images([tmp_path])
    (tmp_path / "a.HEIC").touch()
    with pytest.raises(LabError, match=r"no image in this folder \(a\.HEIC\); save images as JPEG"):
        collect_images([tmp_path])
    with pytest.raises(LabError, match=r"x\.png: no such"):
        collect_images([tmp_path / "x.png"])


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".jp2", ".avif", ".ppm"])
def test_report_photos_reads_what_the_libraries_can(segmenter, tmp_path, suffix):
    kind = {".jfif": "JPEG", ".JPE": "JPEG", ".jp2": "JPEG2000", ".avif": "AVIF", ".ppm": "PPM"}
    save_photo(tmp_path / f"a{suffix}", format=kind[suffix])
    report_photos(segmenter, [tmp_path], tmp_path / "out")
    assert (tmp_path / "out" / "a_mask.png").is_file()


def test_report_photos_names_what_it_passes_over(segmenter, tmp_path, capsys):
    save_photo(tmp_path / "a.png")
    save_photo(tmp_path / "deeper" / "b.png")
    for name in ("1.HEIC", "2.txt", ".hidden", "3.txt", "4.txt", "5.txt"):
        (tmp_path / name).touch()
    for _ in range(2):  # the second time, `out` lies there and is no file passed over
        report_photos(segmenter, [tmp_path], tmp_path / "out")
    report_photos(segmenter, [tmp_path / "a.png", tmp_path / "deeper"], tmp_path / "out")
    lines = [line for line in capsys.readouterr().out.splitlines() if "passed over" in line]
    line = (
        "passed over, as no image file by its name: 1.HEIC, 2.txt, 3.txt, 4.txt, 5.txt, and 1 more"
    )
    assert lines == [line, line]


def test_segment_files_writes_mask_overlay_and_train_ids(segmenter, tmp_path):
    path = save_photo(tmp_path / "street.png", 20, 200)
    (result,) = segment_files(segmenter, [path], tmp_path / "out")
    expected = segmenter.predict(np.asarray(Image.open(path)))
    mask, grey, overlay = (
        Image.open(tmp_path / "out" / f"street_{kind}.png")
        for kind in ("mask", "trainIds", "overlay")
    )
    assert (mask.mode, grey.mode, overlay.mode) == ("RGB", "L", "RGB")
    np.testing.assert_array_equal(np.asarray(grey), expected)
    np.testing.assert_array_equal(np.asarray(mask), METADATA["palette"][expected])
    assert overlay.width == 200 and overlay.height > 20
    half = (np.asarray(Image.open(path)) / 2 + METADATA["palette"][expected] / 2).round()
    assert np.abs(np.asarray(overlay)[:20] - half).max() <= 1
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert (result.image, result.mask) == (path, tmp_path / "out" / "street_mask.png")
    assert list(result.shares) == list(METADATA["classes"])
    assert sum(result.shares.values()) == pytest.approx(1)
    assert result.shares["sky"] == pytest.approx((expected == 1).mean())


def test_segment_files_legend_names_the_classes_that_occur(segmenter, tmp_path, monkeypatch):
    seen = []

    def add_legend(image, names, palette):
        seen.append((names, palette))
        return image

    monkeypatch.setattr(commands.test, "add_legend", add_legend)
    monkeypatch.setattr(segmenter, "predict", lambda image: np.full(image.shape[:2], 2, np.uint8))
    segment_files(segmenter, [save_photo(tmp_path / "a.png")], tmp_path / "out")
    ((names, palette),) = seen
    assert list(names) == ["car"] and palette.tolist() == [[0, 0, 142]]


def test_segment_files_writes_upright_without_exif(segmenter, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save_photo(tmp_path / "phone.jpg", 20, 30, exif=exif)
    segment_files(segmenter, [path], tmp_path)
    for kind in ("mask", "trainIds"):
        written = Image.open(tmp_path / f"phone_{kind}.png")
        assert written.size == (20, 30) and not written.getexif()


def test_segment_files_keeps_photos_of_one_stem_apart(segmenter, tmp_path):
    names = ("a/x.png", "b/x.jpg", "c/X.bmp", "d/x_2.png")
    photos = [save_photo(tmp_path / name, 10 + n, 12) for n, name in enumerate(names)]
    results = segment_files(segmenter, photos, tmp_path / "out")
    stems = [result.mask.name.removesuffix("_mask.png") for result in results]
    assert stems == ["x", "x_2", "X_3", "x_2_2"]
    for number, result in enumerate(results):
        assert Image.open(result.mask).height == 10 + number


def test_segment_files_expands_folders(segmenter, tmp_path):
    first, second = save_photo(tmp_path / "in" / "a.png"), save_photo(tmp_path / "in" / "b.jpg")
    results = segment_files(segmenter, [tmp_path / "in"], tmp_path / "out")
    assert [result.image for result in results] == [first, second]


def test_segment_files_never_replaces_a_photo(segmenter, tmp_path):
    first, second = save_photo(tmp_path / "x.png"), save_photo(tmp_path / "x_mask.png")
    before = second.read_bytes()
    with pytest.raises(LabError, match="would replace"):
        segment_files(segmenter, [first, second], tmp_path)
    assert second.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_segment_files_does_the_others_and_names_the_bad(segmenter, tmp_path):
    names = ("a.png", "b.png", "c.png", "d.png")
    photos = [save_photo(tmp_path / name) for name in names]
    photos[0].write_bytes(b"not an image")
    photos[2].write_bytes(photos[2].read_bytes()[:100])
    with pytest.raises(LabError, match=r"2 of 4 photos .*a\.png.*c\.png") as caught:
        segment_files(segmenter, photos, tmp_path / "out")
    assert "\n" not in str(caught.value) and "b.png" not in str(caught.value)
    stems = {path.name.split("_")[0] for path in (tmp_path / "out").iterdir()}
    assert stems == {"b", "d"}


def test_segment_files_stops_where_nothing_can_be_written(segmenter, tmp_path):
    path = save_photo(tmp_path / "a.png")
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(LabError, match="cannot write"):
        segment_files(segmenter, [path], tmp_path / "out")


def test_the_file_tells_nothing_of_the_machine_or_the_source(exported):
    content = exported["path"].read_bytes()
    for word in (b"stack_trace", b"site-packages", b"models.py", b"self.block"):
        assert word not in content


def test_metadata_that_are_left_out_have_their_usual_values():
    given = {**METADATA, "size": SIZE, "stride": 4, "format_version": 1}
    found = valid_metadata(given)
    assert found["label_ids"] == [0, 1, 2, 3, 4] and found["temperature"] == 1.0
    assert found["reading"]["labels"] == "fine"
    assert valid_metadata({**given, "label_ids": [7, 8, 9, 4, 5]})["label_ids"] == [7, 8, 9, 4, 5]
