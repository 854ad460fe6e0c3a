"""SegFormer against transformers' and, for the encoder, against segmentation-models-pytorch's.

The latter's encoder has the names of NVlabs' code, so that it stands for the official weights.
"""

import math

import pytest
import torch
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from zoo.blocks import resize
from zoo.segformer import MIN_SIDE, MODELS, Block, SegFormer, translate

CLASSES = 5
WIDE = (64, 128, 320, 512)
PUBLISHED = {  # channels, blocks, the head's channels; million parameters (table 1, 150 classes)
    "segformer_b0": ((32, 64, 160, 256), (2, 2, 2, 2), 256, 3.8),
    "segformer_b1": (WIDE, (2, 2, 2, 2), 256, 13.7),
    "segformer_b2": (WIDE, (3, 4, 6, 3), 768, 27.5),
    "segformer_b3": (WIDE, (3, 4, 18, 3), 768, 47.3),
    "segformer_b4": (WIDE, (3, 8, 27, 3), 768, 64.1),
    "segformer_b5": (WIDE, (3, 6, 40, 3), 768, 84.7),
}
SIZES = [(64, 96), (61, 83), (MIN_SIDE, MIN_SIDE)]


def make_reference(name: str = "segformer_b0", **options) -> SegformerForSemanticSegmentation:
    """transformers' network of a published size."""
    widths, depths, head_width, _ = PUBLISHED[name]
    config = SegformerConfig(
        hidden_sizes=widths,
        depths=depths,
        decoder_hidden_size=head_width,
        num_labels=CLASSES,
        attn_implementation="sdpa",
        **options,
    )
    return SegformerForSemanticSegmentation(config)


def randomize(module: nn.Module) -> None:
    """Draws all weights and statistics, so that no two layers agree by chance."""
    for parameter in module.parameters():
        mean, std = (0.0, 0.1) if parameter.ndim > 1 else (0.5, 0.3)
        nn.init.normal_(parameter, mean, std)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 3.0)


@pytest.fixture
def pair() -> tuple[SegformerForSemanticSegmentation, SegFormer]:
    """Reference and ours with the same random weights, in float64 and without any dropout."""
    torch.manual_seed(0)
    reference = make_reference(drop_path_rate=0.0, classifier_dropout_prob=0.0).double()
    randomize(reference)
    model = SegFormer(CLASSES, drop_path=0.0).double()
    model.decode_head.dropout.p = 0.0
    model.load_state_dict(translate(reference.state_dict()))
    return reference, model


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_segformer_equals_transformers(pair, size, dtype, tolerance):
    reference, model = (network.to(dtype).eval() for network in pair)
    x = torch.randn(2, 3, *size, dtype=dtype)
    with torch.no_grad():
        expected = resize(reference(x).logits, size)
        assert relative_difference(model(x), expected) < tolerance


def test_segformer_trains_as_transformers(pair):
    reference, model = (network.train() for network in pair)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    expected, logits = resize(reference(x).logits, (64, 64)), model(x)
    assert relative_difference(logits, expected) < 1e-10
    for output in (expected, logits):
        output.square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in translate(gradients).items():
        assert (ours[name] - gradient).abs().max() < 1e-10 * largest, name
    statistics = translate(reference.state_dict())["decode_head.batch_norm.running_var"]
    torch.testing.assert_close(model.decode_head.batch_norm.running_var, statistics)


def test_translate_takes_the_names_of_published_files(pair, tmp_path):
    reference, model = pair
    reference.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert "segformer.encoder.block.0.0.attention.self.query.weight" in state
    translated = translate(state)
    assert translated.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(translated[name], value), name


@pytest.mark.parametrize("name", PUBLISHED)
def test_models_have_the_published_sizes(name):
    with torch.device("meta"):
        model, reference = MODELS[name](CLASSES), make_reference(name)
        parameters = sum(parameter.numel() for parameter in MODELS[name](150).parameters())
    shapes = {key: value.shape for key, value in translate(reference.state_dict()).items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes
    assert abs(parameters / 1e6 - PUBLISHED[name][-1]) <= 0.1


def official_state(name: str) -> dict[str, Tensor]:
    """A state dict with the names and shapes of NVlabs' code, its head's by hand."""
    widths, _, width, _ = PUBLISHED[name]
    encoder = get_encoder(name.replace("segformer", "mit"), weights=None)
    shapes = {
        "decode_head.conv_seg.weight": (CLASSES, 128, 1, 1),
        "decode_head.conv_seg.bias": (CLASSES,),
        **{f"decode_head.linear_c{k}.proj.weight": (width, widths[k - 1]) for k in (4, 3, 2, 1)},
        **{f"decode_head.linear_c{k}.proj.bias": (width,) for k in (4, 3, 2, 1)},
        "decode_head.linear_fuse.conv.weight": (width, 4 * width, 1, 1),
        **{f"decode_head.linear_fuse.bn.{part}": (width,) for part in ("weight", "bias")},
        **{f"decode_head.linear_fuse.bn.running_{part}": (width,) for part in ("mean", "var")},
        "decode_head.linear_fuse.bn.num_batches_tracked": (),
        "decode_head.linear_pred.weight": (CLASSES, width, 1, 1),
        "decode_head.linear_pred.bias": (CLASSES,),
    }
    backbone = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    return backbone | {key: torch.zeros(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("name", ["segformer_b0", "segformer_b2"])
def test_translate_takes_the_official_names(name):
    translated = translate(official_state(name))
    with torch.device("meta"):
        model = MODELS[name](CLASSES)
    ours = {key: value.shape for key, value in model.state_dict().items()}
    assert {key: value.shape for key, value in translated.items()} == ours


def test_encoder_equals_the_official_one():
    torch.manual_seed(0)
    encoder = get_encoder("mit_b0", weights=None).double().eval()
    randomize(encoder)
    for norm in encoder.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-5  # as transformers has it
    model = SegFormer(CLASSES).double().eval()
    backbone = {f"backbone.{name}": value for name, value in encoder.state_dict().items()}
    missing, unexpected = model.load_state_dict(translate(backbone), strict=False)
    assert not unexpected and all(name.startswith("decode_head.") for name in missing)
    x = torch.randn(2, 3, 61, 83, dtype=torch.float64)
    with torch.no_grad():
        for ours, theirs in zip(model.segformer(x), encoder(x)[-4:], strict=True):
            assert relative_difference(ours.permute(0, 3, 1, 2), theirs) < 1e-10


def test_translate_keeps_own_and_unknown_names():
    state = SegFormer(CLASSES).state_dict() | {"auxiliary.weight": torch.zeros(1)}
    assert list(translate(state)) == list(state)


@pytest.mark.parametrize("size", [(1, 1), (28, 40), (40, 3)])
def test_segformer_pads_small_pictures_with_zeros(size):
    model = SegFormer(CLASSES).eval()
    x = torch.randn(2, 3, *size)
    padded = torch.zeros(2, 3, max(MIN_SIDE, size[0]), max(MIN_SIDE, size[1]))
    padded[..., : size[0], : size[1]] = x
    with torch.no_grad():
        logits = model(x)
        assert logits.shape == (2, CLASSES, *size)
        assert torch.equal(logits, model(padded)[..., : size[0], : size[1]])


def test_segformer_trains_on_one_small_picture():
    logits = SegFormer(CLASSES).train()(torch.randn(1, 3, 2, 2))
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_stochastic_depth_grows_linearly(name):
    with torch.device("meta"):
        blocks = [m for m in MODELS[name](CLASSES).modules() if isinstance(m, Block)]
    rates = torch.tensor([block.drop_path for block in blocks], device="cpu")
    assert len(blocks) == sum(PUBLISHED[name][1])
    torch.testing.assert_close(rates, torch.linspace(0, 0.1, len(blocks)))


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    block, x = Block(8, 2, 1, drop_path=0.4), torch.ones(4000, 2, 2, 1)
    dropped = block.train().drop_samples(x)
    values = dropped.flatten(1)
    assert (values == values[:, :1]).all()
    assert values.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert abs(values.mean().item() - 1) < 0.05
    assert torch.equal(block.eval().drop_samples(x), x)


def test_block_drops_each_branch_by_itself():
    torch.manual_seed(0)
    block, x = Block(8, 2, 1, drop_path=0.5).train(), torch.randn(1, 3, 3, 8).expand(400, 3, 3, 8)
    with torch.no_grad():
        kinds = {tuple(sample.flatten().tolist()) for sample in block(x)}
    assert len(kinds) == 4  # none, attention, Mix-FFN, both


def test_dropout_of_the_head_drops_whole_channels():
    torch.manual_seed(0)
    dropped = SegFormer(CLASSES).decode_head.dropout.train()(torch.ones(4, 256, 3, 3)).flatten(2)
    assert (dropped == dropped[..., :1]).all()
    assert abs((dropped == 0).double().mean().item() - 0.1) < 0.04


def test_initial_weights_are_the_published_ones():
    torch.manual_seed(0)
    model = SegFormer(CLASSES)
    block, head = model.segformer.stages[3].blocks[0], model.decode_head
    patches = model.segformer.stages[1].patch_embeddings.proj
    stds = {
        block.attention.q_proj: 0.02,
        block.mlp.fc1: 0.02,
        block.mlp.dwconv: math.sqrt(2 / 9),
        patches: math.sqrt(2 / (9 * 64)),
        head.linear_fuse: math.sqrt(2 / 256),
        head.linear_projections[3]: 1 / math.sqrt(3 * 256),  # PyTorch's rule
        head.classifier: 1 / math.sqrt(3 * 256),
    }
    for layer, std in stds.items():
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05), layer
    for layer in (block.attention.q_proj, block.mlp.fc1, block.mlp.dwconv, patches):
        assert not layer.bias.any()
