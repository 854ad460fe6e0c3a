"""DeepLabV3 against torchvision, DeepLabV3+ against segmentation-models-pytorch."""

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import Tensor, nn

from zoo import deeplabv3, deeplabv3plus
from zoo.blocks import ASPP, ImagePooling
from zoo.deeplabv3 import DeepLabV3
from zoo.deeplabv3plus import DeepLabV3Plus

pytestmark = pytest.mark.slow  # half a minute; tests/test_zoo.py has the quick look

SIZES = [(24, 312), (65, 47)]
"""The first is long enough for the rate 36 to find other features than itself."""

PLUS_SIZES = [(16, 608), (80, 48)]
"""Likewise, and multiples of 16, which segmentation-models-pytorch insists on."""


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
    model = deeplabv3.MODELS[name](7)
    model.load_state_dict(deeplabv3.translate(reference.state_dict()), strict=True)
    return model.to(dtype), reference.to(dtype)


def plus_pair(name: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """The library's model with random weights, and ours with the same."""
    torch.manual_seed(0)
    backbone = name.removeprefix("deeplabv3plus_")
    reference = randomise(smp.DeepLabV3Plus(backbone, encoder_weights=None, classes=7))
    model = deeplabv3plus.MODELS[name](7)
    model.load_state_dict(deeplabv3plus.translate(reference.state_dict()), strict=True)
    return model.to(dtype), reference.to(dtype)


# ------------------------------------------------------------------ DeepLabV3


@pytest.mark.parametrize("name", list(deeplabv3.MODELS))
def test_deeplabv3_equals_torchvision_in_evaluation(name):
    model, reference = pair(name, torch.float64)
    for size in SIZES:
        images = torch.randn(1, 3, *size, dtype=torch.float64)
        with torch.inference_mode():
            assert difference(model.eval()(images), reference.eval()(images)["out"]) < 1e-10


def test_deeplabv3_equals_torchvision_in_training_with_auxiliary_logits():
    model, reference = (without_dropout(each) for each in pair("deeplabv3_resnet50", torch.float64))
    images = torch.randn(2, 3, 65, 47, dtype=torch.float64)
    with torch.no_grad():
        logits, auxiliary = model(images)
        expected = reference(images)
    assert difference(logits, expected["out"]) < 1e-10
    assert len(auxiliary) == model.aux_count == len(model.default_aux_weights) == 1
    assert difference(auxiliary[0], expected["aux"]) < 1e-10


def test_deeplabv3_equals_torchvision_in_float32():
    model, reference = pair("deeplabv3_resnet50", torch.float32)
    images = torch.randn(1, 3, 65, 47)
    with torch.inference_mode():
        assert difference(model.eval()(images), reference.eval()(images)["out"]) < 1e-4


def test_deeplabv3_without_auxiliary_head_gives_logits_alone_in_training():
    with torch.device("meta"):
        model = DeepLabV3(4, aux=False).train()
        assert model.aux_count == 0 and model.default_aux_weights == ()
        assert model(torch.zeros(2, 3, 40, 50)).shape == (2, 4, 40, 50)


# ------------------------------------------------------------------ DeepLabV3+


@pytest.mark.parametrize("name", list(deeplabv3plus.MODELS))
def test_deeplabv3plus_equals_smp_in_evaluation(name):
    model, reference = plus_pair(name, torch.float64)
    for size in PLUS_SIZES:
        images = torch.randn(1, 3, *size, dtype=torch.float64)
        with torch.inference_mode():
            assert difference(model.eval()(images), reference.eval()(images)) < 1e-10


def test_deeplabv3plus_equals_smp_in_training():
    pairs = plus_pair("deeplabv3plus_resnet50", torch.float64)
    model, reference = (without_dropout(each) for each in pairs)
    images = torch.randn(2, 3, 80, 48, dtype=torch.float64)
    with torch.no_grad():
        assert difference(model(images), reference(images)) < 1e-10
    for key, value in reference.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value), key


def test_deeplabv3plus_equals_smp_in_float32():
    model, reference = plus_pair("deeplabv3plus_resnet50", torch.float32)
    images = torch.randn(1, 3, 80, 48)
    with torch.inference_mode():
        assert difference(model.eval()(images), reference.eval()(images)) < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (61, 47)])
def test_deeplabv3plus_takes_sizes_that_smp_refuses(size):
    model = DeepLabV3Plus(4).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, *size)).shape == (1, 4, *size)


# ------------------------------------------------------------------ the pyramid


def test_aspp_looks_at_its_rates_and_at_the_image():
    """The branches see 1 pixel, 9 pixels at the distance of their rate, or all of them."""
    aspp = ASPP(2, 3, rates=(1, 2, 4)).double().eval()
    seen = []
    for branch in aspp.convs:
        x = torch.randn(1, 2, 11, 11, dtype=torch.float64, requires_grad=True)
        conv_only = (
            branch[0](x) if not isinstance(branch, ImagePooling) else branch[1](branch[0](x))
        )
        middle = conv_only[0, :, conv_only.shape[-2] // 2, conv_only.shape[-1] // 2]
        middle.sum().backward()
        rows, columns = x.grad.abs().sum(dim=(0, 1)).nonzero(as_tuple=True)
        seen.append((len(rows), int(rows.max() - rows.min())))
        assert int(rows.max() - rows.min()) == int(columns.max() - columns.min())
    assert seen == [(1, 0), (9, 2), (9, 4), (9, 8), (121, 10)]


def test_image_pooling_trains_on_a_batch_of_one():
    """Such a batch goes by the running statistics, as in evaluation, and leaves them alone."""
    pooling = randomise(ImagePooling(4, 8)).train()
    before = {key: value.clone() for key, value in pooling.state_dict().items()}
    x = torch.randn(1, 4, 5, 6)
    features = pooling(x)
    features.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in pooling.parameters())
    assert all(torch.equal(value, before[key]) for key, value in pooling.state_dict().items())
    assert torch.equal(features, pooling.eval()(x))


def test_image_pooling_normalises_by_the_batch_in_training():
    torch.manual_seed(0)
    pooling = ImagePooling(4, 8).train()
    average, across, norm, _ = pooling
    features = norm(across(average(torch.randn(16, 4, 5, 6))))
    assert features.mean(dim=0).abs().max() < 1e-5
    assert (norm.running_mean != 0).all()


@pytest.mark.parametrize("model", [DeepLabV3, DeepLabV3Plus])
def test_deeplab_trains_on_a_batch_of_one(model):
    output = model(4).train()(torch.randn(1, 3, 33, 41))
    logits = output[0] if isinstance(output, tuple) else output
    assert logits.shape == (1, 4, 33, 41) and logits.isfinite().all()
