"""The UNet: shapes at every level, the flow of information, and any image size."""

import itertools

import pytest
import torch

from models import (
    MODELS,
    UNet,
    UNetConvBlock,
    UNetDecoder,
    UNetEncoder,
    UNetUpConvBlock,
    build_model,
    pad_to_multiple,
)
from utils import LabError


def test_conv_block_returns_pooled_and_features_before_pooling():
    block = UNetConvBlock(3, 8).eval()
    pooled, features = block(torch.randn(2, 3, 16, 24))
    assert features.shape == (2, 8, 16, 24)
    assert torch.equal(pooled, torch.nn.functional.max_pool2d(features, 2))


def test_conv_block_order_is_conv_relu_norm():
    """A shift of -5 after the ReLU makes the output negative; a ReLU at the end would not."""
    block = UNetConvBlock(3, 4).eval()
    norm = block.block2[-1]
    torch.nn.init.constant_(norm.bias, -5.0)
    _, features = block(torch.randn(1, 3, 8, 8))
    assert features.min() < 0


@pytest.mark.parametrize("num_blocks", [1, 2, 4])
def test_encoder_halves_sizes_and_doubles_channels(num_blocks):
    encoder = UNetEncoder(3, num_blocks, base_channels=4).eval()
    bottom, features = encoder(torch.randn(2, 3, 32, 48))
    assert encoder.cout == 4 * 2**num_blocks
    assert bottom.shape == (2, encoder.cout, 32 // 2**num_blocks, 48 // 2**num_blocks)
    expected = [(2, 4 * 2**i, 32 // 2**i, 48 // 2**i) for i in range(num_blocks)]
    assert [tuple(each.shape) for each in features] == expected


def test_up_block_uses_both_inputs():
    block = UNetUpConvBlock(8, 4).eval()
    below = torch.randn(1, 8, 4, 6, requires_grad=True)
    across = torch.randn(1, 4, 8, 12, requires_grad=True)
    out = block(below, across)
    assert out.shape == (1, 4, 8, 12)
    out.square().sum().backward()
    assert below.grad.abs().sum() > 0 and across.grad.abs().sum() > 0


def test_decoder_joins_the_deepest_features_first():
    """A change in features[0] reaches the logits no further than the 3x3 convolutions allow."""
    decoder = UNetDecoder(16, 2, num_classes=5).eval()
    bottom = torch.randn(1, 16, 4, 4)
    features = [torch.randn(1, 4, 16, 16), torch.randn(1, 8, 8, 8)]
    logits = decoder(bottom, features)
    assert logits.shape == (1, 5, 16, 16)
    changed = decoder(bottom, [features[0].index_fill(3, torch.tensor([15]), 9.0), features[1]])
    assert torch.equal(logits[..., :12], changed[..., :12])
    assert not torch.equal(logits[..., 15], changed[..., 15])


def test_decoder_leaves_the_list_of_features_alone():
    decoder = UNetDecoder(16, 2, num_classes=5).eval()
    features = [torch.randn(1, 4, 16, 16), torch.randn(1, 8, 8, 8)]
    copies = list(features)
    decoder(torch.randn(1, 16, 4, 4), features)
    assert len(features) == 2 and all(a is b for a, b in zip(features, copies, strict=True))


@pytest.mark.parametrize("size", [(32, 64), (33, 47), (1, 1), (5, 100)])
def test_unet_gives_logits_at_the_size_of_the_input(size):
    model = UNet(num_classes=7, num_blocks=4, base_channels=2).eval()
    assert model(torch.randn(2, 3, *size)).shape == (2, 7, *size)


def test_unet_pads_only_what_the_stride_leaves_over():
    image = torch.randn(1, 3, 30, 17)
    padded = pad_to_multiple(image, 16)
    assert padded.shape == (1, 3, 32, 32)
    assert torch.equal(padded[..., :30, :17], image)
    assert torch.equal(padded[..., 31, :17], image[..., 29, :])
    assert pad_to_multiple(padded, 16) is padded


def test_unet_gives_logits_and_no_probabilities():
    torch.manual_seed(0)
    logits = UNet(4, num_blocks=2, base_channels=4).eval()(10 * torch.randn(1, 3, 16, 16))
    assert logits.min() < 0
    assert not torch.allclose(logits.sum(1), torch.ones(1, 16, 16))


def test_unet_gradient_reaches_every_parameter():
    model = UNet(5, num_blocks=3, base_channels=4)
    model(torch.randn(2, 3, 32, 32)).square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not silent


def test_unet_of_the_paper_has_its_number_of_parameters():
    """29 million by the blocks' formula: 9 (cin + 1/9) cout per convolution, 2 cout per norm."""
    model = UNet(19, num_blocks=4, base_channels=64)
    channels = [64, 128, 256, 512]
    layers = [(3, 64), (64, 64)]
    for above, below in itertools.pairwise(channels):
        layers += [(above, below), (below, below)]
    layers += [(512, 1024), (1024, 1024)]
    for width in reversed(channels):
        layers += [(2 * width, width), (2 * width, width), (width, width)]
    expected = sum(9 * cin * cout + 3 * cout for cin, cout in layers) + 64 * 19 + 19
    assert sum(p.numel() for p in model.parameters()) == expected


def test_unet_learns_one_batch_by_heart():
    torch.manual_seed(0)
    model = UNet(3, num_blocks=2, base_channels=8)
    images, target = torch.randn(2, 3, 16, 16), torch.randint(0, 3, (2, 16, 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("wrong", [{"num_blocks": 0}, {"base_channels": 0}, {"num_classes": 0}])
def test_unet_rejects_sizes_below_one(wrong):
    with pytest.raises(LabError, match="at least one"):
        UNet(**{"num_classes": 2, **wrong})


def test_build_model_names_the_models_there_are():
    with pytest.raises(LabError, match=", ".join(MODELS)):
        build_model("resnet", 19)


def test_build_model_passes_its_options_on():
    model = build_model("unet", 6, num_blocks=2, base_channels=8)
    assert model.stride == 4 and model.encoder.cout == 32
