"""SegFormer: a Mix Transformer that looks at the whole picture, and a head of linear layers.

Source: Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers" (NeurIPS 2021), section 3; initial weights, dropout and stochastic depth as in its
released code (NVlabs). The way of a picture:

    four stages, each: overlapping patch embedding → n × (self-attention, Mix-FFN) → normalisation
    all-MLP head: a linear layer per stage → upsample to stride 4 → concatenate → linear → logits

Features are (B, H, W, C) all through the encoder, as linear layers and normalisation act on the
last axis. No position is encoded: the zero padding of the 3×3 convolutions tells where borders are.

Equal to transformers' `SegformerForSemanticSegmentation`, its logits upsampled to the input's size:
1e-10 in float64 with its "sdpa" attention (its "eager" one takes the softmax in float32), 1e-4 in
float32. Where implementations differ, this is the published weights':

* Bilinear upsampling has `align_corners=False`, in the head and for the last ×4 alike, as NVlabs'
  and transformers' has (the last one of segmentation-models-pytorch has True).
* The Mix-FFN is four times as wide as its input in every stage; the paper's table 6 says 8 for two.
* Dropout before the classifier drops whole channels, as NVlabs'; transformers' drops single values.
* Layer normalisation adds 1e-5 to the variance, as in transformers; NVlabs' blocks add 1e-6.
* Sides below 29 pixels, 8 positions at stride 4, are padded inside. The references fail there.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks import resize

PATCH_SIZES, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)
HEADS, REDUCTIONS = (1, 2, 5, 8), (8, 4, 2, 1)
MIN_SIDE = STRIDES[0] * (REDUCTIONS[0] - 1) + 1


def sequence(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, under names of their own."""
    return nn.Sequential(OrderedDict(layers))


class Convolution(nn.Conv2d):
    """A convolution with the channels last: (B, H, W, cin) → (B, H', W', cout)."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved features."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def embed_patches(cin: int, cout: int, size: int, stride: int) -> nn.Sequential:
    """A normalised vector for each patch: (B, H, W, cin) → (B, H / stride, W / stride, cout)."""
    padding = size // 2 if size > stride else 0  # patches overlap, or tile the features
    convolution = Convolution(cin, cout, size, stride, padding)
    return sequence(proj=convolution, layer_norm=nn.LayerNorm(cout))


def mix_ffn(channels: int) -> nn.Sequential:
    """Two linear layers, and between them a 3×3 convolution of each channel: (B, H, W, C) stays."""
    hidden = 4 * channels
    return sequence(
        fc1=nn.Linear(channels, hidden),
        dwconv=Convolution(hidden, hidden, kernel_size=3, padding=1, groups=hidden),
        activation=nn.GELU(),
        fc2=nn.Linear(hidden, channels),
    )


class EfficientSelfAttention(nn.Module):
    """Every position asks the whole picture, which a strided convolution has made smaller.

    N queries meet N / R² keys (section 3.1): 32768 meet 512 in the first stage of 512×1024 pixels.

    Args:
        channels: C, a multiple of `heads`.
        heads: attentions side by side, each on d = C / heads channels.
        reduction: R, for height and width each; 1 for none.

    Shape:
        x: (B, H, W, C) → (B, H, W, C).
    """

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = nn.Identity()
        if reduction > 1:
            self.reduction = embed_patches(channels, channels, reduction, reduction)
        self.q_proj, self.k_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.v_proj, self.o_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def split_heads(self, x: Tensor) -> Tensor:
        """The positions in a row, the heads apart: (B, H, W, C) → (B, heads, H·W, d)."""
        return x.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns softmax(Q Kᵀ / √d) V, the heads joined."""
        # TODO 9.2: queries from x, keys and values from the reduced x; attention in each head.
        # <solution 9.2>
        reduced = self.reduction(x)  # (B, H/R, W/R, C)
        query = self.split_heads(self.q_proj(x))  # (B, heads, N, d)
        key = self.split_heads(self.k_proj(reduced))  # (B, heads, N/R², d)
        value = self.split_heads(self.v_proj(reduced))
        attended = F.scaled_dot_product_attention(query, key, value)
        joined = attended.transpose(1, 2).reshape(x.shape)
        # <student>
        # joined = ...  # (B, H, W, C)
        # </solution 9.2>
        return self.o_proj(joined)


class Block(nn.Module):
    """Attention, then Mix-FFN, each on normalised features and added to what came in.

    In training a sample loses a branch with probability `drop_path`, and what stays grows, to keep
    the mean (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016).

    Shape:
        x: (B, H, W, C) → (B, H, W, C).
    """

    def __init__(self, channels: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.layernorm_before = nn.LayerNorm(channels)
        self.attention = EfficientSelfAttention(channels, heads, reduction)
        self.layernorm_after = nn.LayerNorm(channels)
        self.mlp = mix_ffn(channels)

    def drop_samples(self, x: Tensor) -> Tensor:
        """Zeros for the samples that lose this branch."""
        if not self.training:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, 1, 1), self.drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the features with both branches added."""
        x = x + self.drop_samples(self.attention(self.layernorm_before(x)))
        return x + self.drop_samples(self.mlp(self.layernorm_after(x)))


def build_stage(index: int, cin: int, cout: int, drop_paths: list[float]) -> nn.Sequential:
    """One resolution, a block per rate: (B, H, W, cin) → (B, H / stride, W / stride, cout)."""
    heads, reduction = HEADS[index], REDUCTIONS[index]
    return sequence(
        patch_embeddings=embed_patches(cin, cout, PATCH_SIZES[index], STRIDES[index]),
        blocks=nn.Sequential(*(Block(cout, heads, reduction, rate) for rate in drop_paths)),
        layer_norm=nn.LayerNorm(cout),
    )


class MixTransformer(nn.Module):
    """The encoder: four stages of `depths` blocks and `widths` channels.

    Stochastic depth grows linearly from 0 in the first block to `drop_path` in the last.

    Shape:
        x: (B, 3, H, W) → (B, H/4, W/4, C1) … (B, H/32, W/32, C4), sizes rounded up.
    """

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], drop_path: float) -> None:
        super().__init__()
        rates = torch.linspace(0, drop_path, sum(depths), device="cpu").split(depths)
        channels = zip((3, *widths[:-1]), widths, strict=True)
        self.stages = nn.ModuleList(
            build_stage(index, cin, cout, rates[index].tolist())
            for index, (cin, cout) in enumerate(channels)
        )
        self.apply(initialize)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Returns the features of every stage, the finest first."""
        features = [x.permute(0, 2, 3, 1)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]


class MLPHead(nn.Module):
    """The decoder: linear layers suffice, as the encoder has looked everywhere (section 3.2).

    Shape:
        features: the encoder's → logits (B, K, H/4, W/4).
    """

    def __init__(self, num_classes: int, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.linear_projections = nn.ModuleList(nn.Linear(cin, width) for cin in widths)
        self.linear_fuse = nn.Conv2d(width * len(widths), width, kernel_size=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)
        nn.init.kaiming_normal_(self.linear_fuse.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: list[Tensor]) -> Tensor:
        """Returns the logits at stride 4."""
        size = features[0].shape[1:3]
        pairs = zip(self.linear_projections, features, strict=True)
        levels = [resize(linear(x).permute(0, 3, 1, 2), size) for linear, x in pairs]
        fused = self.linear_fuse(torch.cat(levels[::-1], dim=1))  # (B, width, H/4, W/4)
        return self.classifier(self.dropout(F.relu(self.batch_norm(fused))))


class SegFormer(nn.Module):
    """Mix Transformer and all-MLP head.

    Args:
        num_classes: K.
        widths, depths: channels (multiples of `HEADS`) and number of blocks of each stage.
        head_width: channels of the head.
        drop_path: the last block's rate of stochastic depth.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W), for any H, W ≥ 1 (exported: multiples of `stride`).
    """

    stride = math.prod(STRIDES)

    def __init__(
        self, num_classes: int, *, widths: tuple[int, ...] = (32, 64, 160, 256),
        depths: tuple[int, ...] = (2, 2, 2, 2), head_width: int = 256, drop_path: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.segformer = MixTransformer(widths, depths, drop_path)
        self.decode_head = MLPHead(num_classes, widths, head_width)

    def forward(self, x: Tensor) -> Tensor:
        """Returns one logit per class and pixel."""
        height, width = x.shape[-2:]
        if not torch.compiler.is_exporting():  # which takes most of its time to reason about sizes
            x = F.pad(x, (0, max(0, MIN_SIDE - width), 0, max(0, MIN_SIDE - height)))
        logits = self.decode_head(self.segformer(x))  # (B, K, H/4, W/4)
        return resize(logits, x.shape[-2:])[..., :height, :width]

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: the decoder of linear layers."""
        return self.decode_head.parameters()


def initialize(module: nn.Module) -> None:
    """The encoder's weights; the head's linear layers and classifier keep PyTorch's own rule."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        nn.init.zeros_(module.bias)


NUMBERED = r"^(backbone\.[a-z_]+|decode_head\.linear_c)(\d)\."  # NVlabs' stages, from 1
NAMES = (
    (r"^(segformer\.encoder|backbone)\.(\w+)\.(\d)\.", r"segformer.stages.\3.\2."),
    (r"\.patch_embed\.", ".patch_embeddings."),
    (r"\.block\.", ".blocks."),
    (r"\.norm\.", ".layer_norm."),
    (r"\.(layer_norm_|norm)1\.", ".layernorm_before."),
    (r"\.(layer_norm_|norm)2\.", ".layernorm_after."),
    (r"\.(attn|attention\.self|attention\.output)\.", ".attention."),
    (r"attention\.(q|k|v)(uery|ey|alue)?\.", r"attention.\1_proj."),
    (r"attention\.(dense|proj)\.", "attention.o_proj."),
    (r"attention\.(sr|sequence_reduction\.sequence_reduction)\.", "attention.reduction.proj."),
    (r"attention\.(sequence_reduction\.)?layer_norm\.", "attention.reduction.layer_norm."),
    (r"mlp\.dense", "mlp.fc"),
    (r"dwconv\.dwconv", "dwconv"),
    (r"linear_(c|projections)\.(\d)\.proj", r"linear_projections.\2"),
    (r"linear_fuse\.conv", "linear_fuse"),
    (r"linear_fuse\.bn", "batch_norm"),
    (r"linear_pred", "classifier"),
)


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Brings transformers' names (of its files or modules) or NVlabs' under this file's."""
    translated = {}  # NVlabs has keys and values in one matrix, and a `conv_seg` without use
    for name, value in state.items():
        name = re.sub(NUMBERED, lambda found: f"{found[1]}.{int(found[2]) - 1}.", name)
        for old, new in NAMES:
            name = re.sub(old, new, name)
        if ".kv." in name:
            for part, half in zip(("k_proj", "v_proj"), value.chunk(2), strict=True):
                translated[name.replace("kv", part)] = half
        elif not name.startswith("decode_head.conv_seg."):
            translated[name] = value
    return translated


WIDE = (64, 128, 320, 512)
MODELS = {
    "segformer_b0": SegFormer,
    "segformer_b1": partial(SegFormer, widths=WIDE),
    "segformer_b2": partial(SegFormer, widths=WIDE, depths=(3, 4, 6, 3), head_width=768),
    "segformer_b3": partial(SegFormer, widths=WIDE, depths=(3, 4, 18, 3), head_width=768),
    "segformer_b4": partial(SegFormer, widths=WIDE, depths=(3, 8, 27, 3), head_width=768),
    "segformer_b5": partial(SegFormer, widths=WIDE, depths=(3, 6, 40, 3), head_width=768),
}
