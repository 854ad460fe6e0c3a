"""HRNet and its three heads against timm, the official codes' numbers and names, and slow loops."""

import itertools
import zlib
from functools import partial

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils import LabError
from zoo import hrnet, hrnet_ocr, hrnet_ocr_ms
from zoo.hrnet import HighResolutionModule, HighResolutionNet, HRNet
from zoo.hrnet_ocr import HRNetOCR, ObjectAttention, gather_regions
from zoo.hrnet_ocr_ms import HRNetOCRMultiScale

pytestmark = pytest.mark.slow  # half a minute; tests/test_zoo.py has the quick look

CLASSES, WIDTH, SIZE = 5, 8, (75, 53)  # of the recorded numbers; a small width is quick
PIXEL_CHANNELS, KEY_CHANNELS, ASPP_CHANNELS, ATTENTION_CHANNELS = 512, 256, 256, 256


SMALL_MODELS = {
    "hrnet": partial(HRNet, width=WIDTH),
    "hrnet aligned": partial(HRNet, width=WIDTH, align_corners=True),
    "ocr": partial(HRNetOCR, width=WIDTH, align_corners=False),
    "ocr aligned": partial(HRNetOCR, width=WIDTH),
    "aspp": partial(HRNetOCR, width=WIDTH, aspp=True, align_corners=False),
    "ms": partial(HRNetOCRMultiScale, width=WIDTH),
}


def small_model(name: str) -> nn.Module:
    return SMALL_MODELS[name](CLASSES)


# ------------------------------------------------------------------ timm


class Bilinear(nn.Module):
    """Stands in for timm's nearest upsampling: enlarges to the size of the target stream."""

    size: tuple[int, int]

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=self.size, mode="bilinear", align_corners=False)


def make_fusion_bilinear(network: nn.Module) -> None:
    for module in network.modules():
        if not hasattr(module, "fuse_layers"):
            continue
        for layers in module.fuse_layers:
            for layer in layers:
                if isinstance(layer, nn.Sequential) and isinstance(layer[-1], nn.Upsample):
                    layer[-1] = Bilinear()
        module.register_forward_pre_hook(tell_sizes)


def tell_sizes(module: nn.Module, arguments: tuple[list[Tensor]]) -> None:
    for layers, stream in zip(module.fuse_layers, arguments[0], strict=True):
        for layer in layers:
            if isinstance(layer, nn.Sequential) and isinstance(layer[-1], Bilinear):
                layer[-1].size = stream.shape[-2:]


def randomise(network: nn.Module) -> None:
    """Weights that keep activations near one, and statistics that differ between channels."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.2, 0.6)
            module.bias.data.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=str
)
def test_hrnet_streams_equal_timm_with_bilinear_fusion(dtype, tolerance):
    reference = timm.create_model("hrnet_w18", features_only=True, feature_location="")
    randomise(reference)
    make_fusion_bilinear(reference)
    reference = reference.to(dtype).eval()
    ours = HighResolutionNet(18, align_corners=False).to(dtype).eval()
    ours.load_state_dict(hrnet.translate(reference.state_dict()))
    for size in [(64, 96), SIZE]:
        x = torch.randn(2, 3, *size, dtype=dtype)
        with torch.inference_mode():
            expected = reference(x)[1:]  # the first is the stem's
            streams = ours.streams(x)
        assert [stream.shape for stream in streams] == [each.shape for each in expected]
        for stream, each in zip(streams, expected, strict=True):
            assert (stream - each).abs().max() <= tolerance * each.abs().max()


# ------------------------------------------------------------------ the official codes: numbers

# (logits · sine wave, length of logits) of the official codes, the main logits first, for the
# weights and the picture of `wave`. Both "hrnet" and "ocr aligned": HRNet-Semantic-Segmentation,
# branch HRNet-OCR, commit 0bbb288; the others: NVIDIA/semantic-segmentation, commit 7726b14,
# with the logits that it hands to its losses. Dropout off; the logits interpolated to SIZE.
RECORDED = {
    "hrnet": {
        "eval": [(135.6993247062, 251.2610130049)],
        "train": [(-101.0685698413, 72.66463875739)],
    },
    "hrnet aligned": {
        "eval": [(114.1348631788, 229.397960329)],
        "train": [(-18.65916554243, 71.97159503006)],
    },
    "ocr": {
        "eval": [(1329.039532988, 3426.028477453)],
        "train": [(87.83003884489, 120.1813133808), (-109.4182302389, 97.72663475091)],
    },
    "ocr aligned": {
        "eval": [(969.3666717968, 2725.731215752)],
        "train": [(45.50980185174, 110.363918976), (-77.8013434029, 96.94310932365)],
    },
    "aspp": {
        "eval": [(54.47479933669, 357.7862963338)],
        "train": [(-14.40428410889, 120.5476388515), (-357.9398184101, 301.3610851279)],
    },
    "ms": {
        "eval": [(700.2844602868, 3835.669741229)],
        "train": [
            (91.41345301843, 121.3533807307),
            (-48.03384133878, 97.3811772428),
            (97.88133970034, 126.312217621),
            (87.83003884489, 120.1813133808),
        ],
    },
}


def wave(shape: torch.Size, step: float, phase: float = 0.0) -> Tensor:
    """The same numbers on every machine, unlike a generator's."""
    return torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * step + phase).view(shape)


def known_value(name: str, value: Tensor) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(value)
    numbers = wave(value.shape, 0.7, zlib.crc32(name.encode()) % 1000)
    if value.ndim == 4:
        return numbers * (2 / value[0].numel()) ** 0.5
    if name.endswith("running_var"):
        return 1 + 0.5 * numbers
    return 0.3 + 0.1 * numbers if name.endswith("weight") else 0.1 * numbers


@pytest.mark.parametrize("name", RECORDED)
def test_logits_equal_the_official_codes(name):
    model = small_model(name).double()
    state = model.state_dict()
    model.load_state_dict({key: known_value(key, value) for key, value in state.items()})
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    x = wave(torch.Size((2, 3, *SIZE)), 0.37)
    for mode, expected in RECORDED[name].items():
        model.train(mode == "train")
        with torch.no_grad():
            logits, *auxiliary = as_list(model(x))
        for each, (product, length) in zip([logits, *auxiliary], expected, strict=True):
            assert each.shape == (2, CLASSES, *SIZE)
            assert abs(each.norm() - length) <= 1e-10 * length
            assert abs((each * wave(each.shape, 0.11)).sum() - product) <= 1e-10 * length


def as_list(output: Tensor | tuple[Tensor, list[Tensor]]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [output[0], *output[1]]


# ------------------------------------------------------------------ the official codes: names


def names_of_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{each}": (channels,) for each in vectors} | {f"{name}.num_batches_tracked": ()}


def names_of_conv(name: str, cout: int, cin: int, kernel: int, bias: bool = False):
    names = {f"{name}.weight": (cout, cin, kernel, kernel)}
    return names | ({f"{name}.bias": (cout,)} if bias else {})


def names_of_projection(name: str, channels: list[int]) -> dict[str, tuple[int, ...]]:
    names = {}
    for index, (cin, cout) in enumerate(itertools.pairwise(channels)):
        names |= names_of_conv(f"{name}.{2 * index}", cout, cin, 1)
        names |= names_of_norm(f"{name}.{2 * index + 1}.0", cout)
    return names


def names_of_backbone(width: int) -> dict[str, tuple[int, ...]]:
    """timm's names and shapes, which are the official ones."""
    with torch.device("meta"):
        network = timm.create_model(f"hrnet_w{width}", features_only=True, feature_location="")
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def names_of_last_layer(name: str, channels: int, grouped: bool) -> dict[str, tuple[int, ...]]:
    """`last_layer` and `aux_head`; NVIDIA's code groups normalisation and ReLU."""
    return {
        **names_of_conv(f"{name}.0", channels, channels, 1, bias=True),
        **names_of_norm(f"{name}.1.0" if grouped else f"{name}.1", channels),
        **names_of_conv(f"{name}.2" if grouped else f"{name}.3", 19, channels, 1, bias=True),
    }


def names_of_ocr(prefix: str, cin: int, grouped: bool) -> dict[str, tuple[int, ...]]:
    """The modules of seg_hrnet_ocr.py, or of OCR_block in NVIDIA's ocrnet.py (grouped)."""
    pixel, key = PIXEL_CHANNELS, KEY_CHANNELS
    block = f"{prefix}ocr_distri_head.object_context_block"
    norm = f"{prefix}conv3x3_ocr.1.0" if grouped else f"{prefix}conv3x3_ocr.1"
    return {
        **names_of_conv(f"{prefix}conv3x3_ocr.0", pixel, cin, 3, bias=True),
        **names_of_norm(norm, pixel),
        **names_of_projection(f"{block}.f_pixel", [pixel, key, key]),
        **names_of_projection(f"{block}.f_object", [pixel, key, key]),
        **names_of_projection(f"{block}.f_down", [pixel, key]),
        **names_of_projection(f"{block}.f_up", [key, pixel]),
        **names_of_projection(f"{prefix}ocr_distri_head.conv_bn_dropout", [2 * pixel, pixel]),
        **names_of_conv(f"{prefix}cls_head", 19, pixel, 1, bias=True),
        **names_of_last_layer(f"{prefix}aux_head", cin, grouped),
    }


def names_of_aspp(cin: int) -> dict[str, tuple[int, ...]]:
    names = names_of_conv("aspp.img_conv.0", ASPP_CHANNELS, cin, 1)
    names |= names_of_norm("aspp.img_conv.1", ASPP_CHANNELS)
    for branch, kernel in enumerate([1, 3, 3, 3]):
        names |= names_of_conv(f"aspp.features.{branch}.0", ASPP_CHANNELS, cin, kernel)
        names |= names_of_norm(f"aspp.features.{branch}.1", ASPP_CHANNELS)
    return names


def names_of_attention() -> dict[str, tuple[int, ...]]:
    return {
        **names_of_conv("scale_attn.conv0", ATTENTION_CHANNELS, PIXEL_CHANNELS, 3),
        **names_of_norm("scale_attn.bn0", ATTENTION_CHANNELS),
        **names_of_conv("scale_attn.conv1", ATTENTION_CHANNELS, ATTENTION_CHANNELS, 3),
        **names_of_norm("scale_attn.bn1", ATTENTION_CHANNELS),
        **names_of_conv("scale_attn.conv2", 1, ATTENTION_CHANNELS, 1),
    }


def prefixed(prefix: str, names: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": shape for name, shape in names.items()}


def published(name: str) -> dict[str, tuple[int, ...]]:
    """Key names and shapes as in the published files, for 19 classes."""
    width = 18 if "w18" in name else 48
    backbone, cin = names_of_backbone(width), 15 * width
    inside = prefixed("module.backbone.", backbone)
    grouped = prefixed("module.ocr.", names_of_ocr("", cin, grouped=True))
    return {
        "hrnet_w18": backbone | names_of_last_layer("last_layer", cin, grouped=False),
        "hrnet_w48": prefixed(
            "model.", backbone | names_of_last_layer("last_layer", cin, grouped=False)
        ),
        "hrnet_ocr_w48": prefixed("model.", backbone | names_of_ocr("", cin, grouped=False)),
        "hrnet_ocr_aspp_w48": inside
        | prefixed("module.", names_of_aspp(cin))
        | prefixed("module.ocr.", names_of_ocr("", 5 * ASPP_CHANNELS, grouped=True)),
        "hrnet_ocr_ms_w48": inside | grouped | prefixed("module.", names_of_attention()),
    }[name]


MODELS = hrnet.MODELS | hrnet_ocr.MODELS | hrnet_ocr_ms.MODELS
TRANSLATE = dict.fromkeys(hrnet.MODELS, hrnet.translate)
TRANSLATE |= dict.fromkeys(hrnet_ocr.MODELS, hrnet_ocr.translate)
TRANSLATE |= dict.fromkeys(hrnet_ocr_ms.MODELS, hrnet_ocr_ms.translate)


@pytest.mark.parametrize("name", MODELS)
def test_published_names_and_shapes_load(name):
    with torch.device("meta"):
        model = MODELS[name](19)
        state = {key: torch.empty(shape) for key, shape in published(name).items()}
        state["loss.criterion.weight"] = torch.empty(19)
    ours = {key: value.shape for key, value in model.state_dict().items()}
    theirs = {key: value.shape for key, value in TRANSLATE[name](state).items()}
    assert theirs == ours


def test_translate_keeps_names_that_have_no_place():
    """So that the loader can report them, as the classifier of ImageNet weights."""
    assert "classifier.weight" in hrnet.translate({"classifier.weight": torch.zeros(1)})
    assert "backbone.classifier.weight" in hrnet_ocr.translate(
        {"classifier.weight": torch.zeros(1)}
    )


# ------------------------------------------------------------------ slow loops


def test_gather_regions_equals_a_slow_loop():
    pixels, auxiliary = torch.randn(2, 6, 3, 4), torch.randn(2, 5, 3, 4)
    regions = gather_regions(pixels, auxiliary)
    for batch in range(2):
        for label in range(5):
            exponentials = auxiliary[batch, label].exp()
            mean = (pixels[batch] * exponentials).sum((1, 2)) / exponentials.sum()
            assert torch.allclose(regions[batch, :, label, 0], mean, atol=1e-6)


def test_object_attention_equals_a_slow_loop():
    torch.manual_seed(0)
    block = ObjectAttention(6, 4).eval()
    pixels, regions = torch.randn(1, 6, 3, 2), torch.randn(1, 6, 5, 1)
    queries, keys, values = block.f_pixel(pixels), block.f_object(regions), block.f_down(regions)
    context = torch.zeros(1, 4, 3, 2)
    for row in range(3):
        for column in range(2):
            query = queries[0, :, row, column]
            likeness = torch.stack([query @ keys[0, :, label, 0] / 2 for label in range(5)])
            for label, share in enumerate(likeness.softmax(0)):
                context[0, :, row, column] += share * values[0, :, label, 0]
    assert torch.allclose(block(pixels, regions), block.f_up(context), atol=1e-6)


def test_fusion_adds_every_stream_to_every_other():
    """Each stream's output depends on each stream's input."""
    module = HighResolutionModule([4, 8, 16], align_corners=False).eval()
    streams = [torch.randn(1, 4 * 2**i, 12 // 2**i, 12 // 2**i) for i in range(3)]
    before = module(list(streams))
    for source in range(3):
        changed = list(streams)
        changed[source] = changed[source] + 1
        for old, new in zip(before, module(changed), strict=True):
            assert not torch.equal(old, new)


def test_views_are_joined_from_the_largest_down():
    """Constant maps, which resizing does not change: p = a½ p½ + (1 - a½) (a1 p1 + (1 - a1) p2)."""
    model = small_model("ms")
    scales, views, attention = (0.5, 1.0, 2.0), (10.0, 20.0, 40.0), (0.25, 0.6, 0.9)
    sizes = [(4, 6), (9, 13), (18, 26)]
    maps = [torch.full((1, 2, *size), view) for size, view in zip(sizes, views, strict=True)]
    weights = [torch.full((1, 1, *size), a) for size, a in zip(sizes, attention, strict=True)]
    joined = model.join(scales, maps, weights)
    expected = 0.25 * 10 + 0.75 * (0.6 * 20 + 0.4 * 40)
    assert torch.allclose(joined, torch.full((1, 2, 9, 13), expected))


# ------------------------------------------------------------------ the contract


@pytest.mark.parametrize("name", RECORDED)
def test_training_reaches_every_parameter(name):
    model = small_model(name).train()
    aux_count = getattr(model, "aux_count", 0)
    output = model(torch.randn(2, 3, 70, 45))
    assert isinstance(output, Tensor) == (aux_count == 0)
    logits, *auxiliary = as_list(output)
    assert len(auxiliary) == aux_count == len(getattr(model, "default_aux_weights", ()))
    target = torch.randint(CLASSES, (2, 70, 45))
    sum(F.cross_entropy(each, target) for each in (logits, *auxiliary)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("size", [(1, 1), (33, 2), (65, 31)])
@pytest.mark.parametrize("name", ["hrnet", "ocr aligned", "aspp", "ms"])
def test_any_size_comes_back(name, size):
    model = small_model(name).eval()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, *size))
    assert logits.shape == (1, CLASSES, *size) and logits.isfinite().all()


@pytest.mark.parametrize(("name", "side"), [("hrnet", 32), ("ocr", 32), ("ms", 64)])
def test_a_batch_of_one_trains_or_says_what_to_do(name, side):
    model = small_model(name).train()
    with pytest.raises(LabError, match="batch"):
        model(torch.randn(1, 3, side, side))
    model(torch.randn(1, 3, side + 2, side))


def test_a_batch_of_one_trains_with_aspp():
    model = small_model("aspp").train()
    logits, _ = model(torch.randn(1, 3, 40, 40))
    assert logits.isfinite().all()


def test_impossible_options_are_named():
    with pytest.raises(LabError, match="two classes"):
        HRNetOCR(1, width=WIDTH)
    with pytest.raises(LabError, match="eval_scales"):
        HRNetOCRMultiScale(CLASSES, width=WIDTH, eval_scales=(0.5, 2.0))
