"""FCN on ResNets against torchvision, and the small FCN with unpadded convolutions."""

from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from utils import LabError
from zoo import blocks, fcn, my_fcn
from zoo.fcn import FCN
from zoo.my_fcn import MyFCN, add_margin

pytestmark = pytest.mark.slow  # half a minute; tests/test_zoo.py has the quick look

SIZES = [(64, 96), (65, 47)]


def randomise(model: nn.Module) -> nn.Module:
    """Gives every normalisation statistics, scales and shifts of its own."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def without_dropout(model: nn.Module) -> nn.Module:
    """In training mode, but for the dropout, so that two models can be compared."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return model


def difference(ours: Tensor, reference: Tensor) -> float:
    """The largest difference, relative to the reference's largest value."""
    assert ours.shape == reference.shape
    return float((ours - reference).abs().max() / reference.abs().max())


def pair(name: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """torchvision's model with random weights, and ours with the same."""
    torch.manual_seed(0)
    options = {"weights": None, "weights_backbone": None, "num_classes": 7, "aux_loss": True}
    reference = torchvision.models.get_model(name, **options)
    randomise(reference)
    model = fcn.MODELS[name](7)
    model.load_state_dict(fcn.translate(reference.state_dict()), strict=True)
    return model.to(dtype), reference.to(dtype)


@pytest.mark.parametrize("name", ["fcn_resnet50", "fcn_resnet101"])
def test_fcn_equals_torchvision_in_evaluation(name):
    model, reference = pair(name, torch.float64)
    for size in SIZES:
        images = torch.randn(1, 3, *size, dtype=torch.float64)
        with torch.inference_mode():
            assert difference(model.eval()(images), reference.eval()(images)["out"]) < 1e-10


def test_fcn_equals_torchvision_in_training_with_auxiliary_logits():
    model, reference = (without_dropout(each) for each in pair("fcn_resnet50", torch.float64))
    images = torch.randn(2, 3, 65, 47, dtype=torch.float64)
    with torch.no_grad():
        logits, auxiliary = model(images)
        expected = reference(images)
    assert difference(logits, expected["out"]) < 1e-10
    assert len(auxiliary) == model.aux_count == len(model.default_aux_weights) == 1
    assert difference(auxiliary[0], expected["aux"]) < 1e-10


def test_fcn_equals_torchvision_in_float32():
    model, reference = pair("fcn_resnet50", torch.float32)
    images = torch.randn(1, 3, 65, 47)
    with torch.inference_mode():
        assert difference(model.eval()(images), reference.eval()(images)["out"]) < 1e-4


@pytest.mark.parametrize("name", list(fcn.MODELS))
def test_fcn_has_the_output_stride_that_its_blocks_allow(name):
    with torch.device("meta"):
        model = fcn.MODELS[name](7).eval()
        _, last = model.backbone(torch.randn(1, 3, 128, 192))
    stride = 32 if name in ("fcn_resnet18", "fcn_resnet34") else 8
    assert last.shape[-2:] == (128 // stride, 192 // stride)


@pytest.mark.parametrize("size", [(1, 1), (33, 70)])
def test_fcn_of_basic_blocks_gives_logits_at_the_size_of_the_input(size):
    model = FCN(4, backbone="resnet18").eval()
    assert model(torch.randn(2, 3, *size)).shape == (2, 4, *size)


def test_fcn_without_auxiliary_head_gives_logits_alone_in_training():
    model = FCN(4, backbone="resnet18", aux=False).train()
    assert model.aux_count == 0 and model.default_aux_weights == ()
    assert model(torch.randn(2, 3, 40, 50)).shape == (2, 4, 40, 50)


def test_fcn_says_what_is_wrong_with_a_single_small_image():
    model = FCN(4, backbone="resnet18").train()
    with pytest.raises(LabError, match="single image"):
        model(torch.randn(1, 3, 32, 20))
    model(torch.randn(1, 3, 33, 20))
    model(torch.randn(2, 3, 32, 20))
    model.eval()(torch.randn(1, 3, 32, 20))


def test_fcn_with_fixed_normalisation_trains_on_a_single_small_image():
    model = FCN(4, backbone="resnet18").train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    logits, _ = model(torch.randn(1, 3, 32, 20))
    logits.sum().backward()


def test_backbone_names_the_ones_there_are():
    with pytest.raises(LabError, match="resnet18, resnet34, resnet50"):
        FCN(4, backbone="resnet20")
    with pytest.raises(LabError, match="none of 8, 16 and 32"):
        blocks.ResNet("resnet50", keep=(4,), stride=7)
    with pytest.raises(LabError, match="32 only"):
        blocks.ResNet("resnet34", keep=(4,), stride=8)


def test_pretrained_takes_the_backbone_of_torchvision(monkeypatch):
    published = torchvision.models.resnet18()
    fetched = []

    def fetch(url, **_):
        fetched.append(url)
        return published.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    model = FCN(4, backbone="resnet18", pretrained=True)
    assert fetched == [torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url]
    ours, theirs = model.backbone.state_dict(), published.state_dict()
    assert set(theirs) - set(ours) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize(
    "error", [URLError("no route to host"), RuntimeError("invalid hash value")]
)
def test_pretrained_offline_is_an_error_of_one_line(monkeypatch, error):
    def fail(url, **_):
        raise error

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(LabError, match="cannot fetch") as caught:
        FCN(4, backbone="resnet18", pretrained=True)
    assert str(caught.value).count("\n") == 0
    assert "resnet18-" in str(caught.value) and "checkpoints" in str(caught.value)


# ------------------------------------------------------------------ the small one


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (32, 64), (33, 47)])
@pytest.mark.parametrize("num_blocks", [1, 3])
def test_my_fcn_gives_logits_at_the_size_of_the_input(size, num_blocks):
    model = MyFCN(4, num_blocks=num_blocks, base_channels=2).eval()
    assert model(torch.randn(2, 3, *size)).shape == (2, 4, *size)


@pytest.mark.parametrize("size", [(5, 7), (2, 3), (1, 4)])
def test_my_fcn_mirrors_the_picture_at_its_borders(size):
    picture = torch.randn(1, 3, *size)
    padded = add_margin(picture, margin=8, multiple=4)
    below, right = (8 + (4 - side) % 4 for side in size)
    widths = ((0, 0), (0, 0), (8, below), (8, right))
    assert np.array_equal(padded.numpy(), np.pad(picture.numpy(), widths, mode="symmetric"))


def test_my_fcn_without_margin_shrinks_as_in_figure_1_of_the_paper(monkeypatch):
    """Four poolings make logits of 388x388 pixels of a tile of 572x572."""
    monkeypatch.setattr(my_fcn, "add_margin", lambda x, *_: x)
    with torch.device("meta"):
        model = MyFCN(2, num_blocks=4, base_channels=64).eval()
        assert model.margin == (572 - 388) // 2
        assert model(torch.zeros(1, 3, 572, 572)).shape == (1, 2, 388, 388)


def test_my_fcn_looks_at_the_pixels_around_each_logit(monkeypatch):
    """With equal weights and averages for maxima, what a logit depends on has it at the centre."""
    monkeypatch.setattr(F, "max_pool2d", F.avg_pool2d)
    model = MyFCN(2, num_blocks=2, base_channels=2).double().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 0.1)
    for row, column in [(30, 31), (29, 34), (32, 28)]:
        image = torch.ones(1, 3, 62, 61, dtype=torch.float64, requires_grad=True)
        model(image)[..., row, column].sum().backward()
        weight = image.grad[0, 0].abs()
        centre = [
            float((weight.flatten() * at).sum() / weight.sum()) for at in torch.where(weight >= 0)
        ]
        assert centre == pytest.approx([row, column], abs=0.25)


def test_my_fcn_has_no_zeros_beyond_the_border():
    """A picture of one colour gives the same logits at every pixel with the same place in 2^n."""
    model = randomise(MyFCN(3, num_blocks=2, base_channels=4)).eval()
    logits = model(torch.full((1, 3, 24, 32), 0.7))
    assert torch.allclose(logits[..., :4, :4].tile(6, 8), logits, atol=1e-5)
    assert logits.std() > 1e-3


def test_my_fcn_crops_the_centre():
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert torch.equal(my_fcn.crop_to(x, torch.Size((2, 4))), x[..., 2:4, 1:5])


def test_my_fcn_is_smaller_than_the_default_unet():
    from models import UNet

    sizes = [sum(p.numel() for p in m.parameters()) for m in (MyFCN(19), UNet(19, 4, 16))]
    assert sizes[0] < sizes[1] / 10


@pytest.mark.parametrize(
    "wrong", [{"num_blocks": 0}, {"num_blocks": 7}, {"base_channels": 0}, {"num_classes": 0}]
)
def test_my_fcn_rejects_impossible_sizes(wrong):
    with pytest.raises(LabError, match="at least one"):
        MyFCN(**{"num_classes": 2, **wrong})
