"""Object context on HRNet: a pixel is described with the help of the objects of the whole picture.

Source: Yuan, Chen, Wang, "Object-Contextual Representations for Semantic Segmentation" (ECCV 2020),
section 3 and figure 3. A first, rough segmentation says which pixels belong to each class; the mean
of their features, weighted by it, describes the class in this picture; and every pixel looks up by
attention what the K descriptions mean for it. What is to be known besides, and why:

* The rough segmentation is learnt from the labels too, as auxiliary logits of weight 0.4. It is a
  part of the network, so that there is no option to leave it out.
* With `aspp=True` an atrous spatial pyramid (Chen et al., "Rethinking Atrous Convolution", 2017,
  section 3.3) stands between the backbone and the object context, as the code of Tao et al. does
  (github.com/NVIDIA/semantic-segmentation, OCRNetASPP), with the rates for features at 1/8.
* `align_corners` belongs to the published weights: True for those of Yuan et al., False for those
  of Tao et al., and so for the variant with ASPP.

Equal to the official code (github.com/HRNet/HRNet-Semantic-Segmentation, branch HRNet-OCR) and to
that of Tao et al.: 1e-10 in float64. `translate` takes the key names of both. Ours are of the
second, where backbone and head are kept apart.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain, pairwise

import torch
from torch import Tensor, nn

from utils import LabError
from zoo.blocks import VectorNorm, conv_norm_relu, resize
from zoo.hrnet import HighResolutionNet
from zoo.hrnet import translate as unwrap

PIXEL_CHANNELS = 512
KEY_CHANNELS = 256
ASPP_CHANNELS = 256
ASPP_RATES = (12, 24, 36)
DROPOUT = 0.05
AUX_WEIGHT = 0.4

SHIFTED = {
    "conv3x3_ocr.1.0.": "conv3x3_ocr.1.",
    "aux_head.1.0.": "aux_head.1.",
    "aux_head.2.": "aux_head.3.",
}
"""Key names of Tao et al. for the layers that have other names in the official weights."""


class ObjectAttention(nn.Module):
    """Every pixel's mean of the regions' descriptions, weighted by how alike the two are.

    Args:
        channels: of pixels and regions.
        key_channels: of the space in which they are compared.

    Shape:
        pixels: (B, C, H, W), regions: (B, C, K, 1) → context (B, C, H, W).
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.f_pixel = projection(channels, key_channels, key_channels)
        self.f_object = projection(channels, key_channels, key_channels)
        self.f_down = projection(channels, key_channels)
        self.f_up = projection(key_channels, channels)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Returns the object-contextual representations (equations 3 to 5)."""
        queries = self.f_pixel(pixels)  # (B, C', H, W)
        height, width = queries.shape[-2:]
        queries = queries.flatten(2).transpose(1, 2)  # (B, H W, C')
        keys = self.f_object(regions).flatten(2)  # (B, C', K)
        values = self.f_down(regions).flatten(2).transpose(1, 2)  # (B, K, C')
        likeness = queries @ keys * queries.shape[-1] ** -0.5  # (B, H W, K)
        context = likeness.softmax(dim=-1) @ values  # (B, H W, C')
        return self.f_up(context.transpose(1, 2).unflatten(2, (height, width)))


class ContextFusion(nn.Module):
    """Pixels and their object context, concatenated and mixed: (B, C, H, W) → (B, C, H, W)."""

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.object_context_block = ObjectAttention(channels, key_channels)
        self.conv_bn_dropout = nn.Sequential(
            *projection(2 * channels, channels), nn.Dropout2d(DROPOUT)
        )

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Returns the augmented representations (equation 6)."""
        context = self.object_context_block(pixels, regions)
        return self.conv_bn_dropout(torch.cat([context, pixels], dim=1))


class ObjectContextHead(nn.Module):
    """From the backbone's features to logits by way of soft object regions.

    Args:
        cin: channels of the features.
        num_classes: K.

    Shape:
        features: (B, cin, H, W) → logits (B, K, H, W), auxiliary logits (B, K, H, W) and the
        pixels' augmented representations (B, 512, H, W).
    """

    def __init__(self, cin: int, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise LabError(f"object context needs two classes or more; got {num_classes}")
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(cin, PIXEL_CHANNELS, kernel_size=3, padding=1),
            nn.BatchNorm2d(PIXEL_CHANNELS),
            nn.ReLU(inplace=True),
        )
        self.ocr_distri_head = ContextFusion(PIXEL_CHANNELS, KEY_CHANNELS)
        self.cls_head = nn.Conv2d(PIXEL_CHANNELS, num_classes, kernel_size=1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(cin, cin, kernel_size=1),
            nn.BatchNorm2d(cin),
            nn.ReLU(inplace=True),
            nn.Conv2d(cin, num_classes, kernel_size=1),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the logits, the rough ones, and what the logits were made of."""
        auxiliary = self.aux_head(features)  # (B, K, H, W)
        pixels = self.conv3x3_ocr(features)  # (B, 512, H, W)
        regions = gather_regions(pixels, auxiliary)  # (B, 512, K, 1)
        pixels = self.ocr_distri_head(pixels, regions)  # (B, 512, H, W)
        return self.cls_head(pixels), auxiliary, pixels


class AtrousPyramid(nn.Module):
    """ASPP: the whole picture's mean, a 1x1 and three 3x3 convolutions of growing rates.

    `blocks.ASPP` projects the five to one; this one hands on all their channels.

    Shape:
        x: (B, cin, H, W) → (B, 5 * 256, H, W).
    """

    def __init__(self, cin: int) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            [
                conv_norm_relu(cin, ASPP_CHANNELS, kernel=1),
                *(conv_norm_relu(cin, ASPP_CHANNELS, rate=rate) for rate in ASPP_RATES),
            ]
        )
        self.img_conv = nn.Sequential(
            nn.Conv2d(cin, ASPP_CHANNELS, kernel_size=1, bias=False),
            VectorNorm(ASPP_CHANNELS),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the five branches, concatenated."""
        height, width = x.shape[-2:]
        mean = self.img_conv(x.mean(dim=(2, 3), keepdim=True))  # (B, 256, 1, 1)
        mean = mean.expand(-1, -1, height, width)
        return torch.cat([mean, *(branch(x) for branch in self.features)], dim=1)


class HRNetOCR(nn.Module):
    """HRNet with object context, after an atrous spatial pyramid if wanted.

    Args:
        num_classes: K.
        width: channels of the backbone's stream of highest resolution.
        aspp: whether a pyramid stands between the backbone and the head.
        align_corners: of the bilinear enlargements; it belongs to the weights (see above).

    Attributes:
        stride: 1, sizes need not divide by anything.
        aux_count: 1, the rough segmentation.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W); in training mode these and a list of one tensor of
        auxiliary logits (B, K, H, W). For any H, W ≥ 1.

    Raises:
        LabError: for a single class; in training, for one picture of at most 32x32 pixels.
    """

    def __init__(
        self, num_classes: int, *, width: int = 48, aspp: bool = False, align_corners: bool = True
    ) -> None:
        super().__init__()
        self.stride = 1
        self.aux_count = 1
        self.default_aux_weights = (AUX_WEIGHT,)
        self.resize = partial(resize, align_corners=align_corners)
        self.backbone = HighResolutionNet(width, align_corners)
        self.aspp = AtrousPyramid(self.backbone.cout) if aspp else nn.Identity()
        channels = 5 * ASPP_CHANNELS if aspp else self.backbone.cout
        self.ocr = ObjectContextHead(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Returns one logit per class and pixel, in training mode the auxiliary ones too."""
        size = x.shape[-2:]
        logits, auxiliary, _ = self.ocr(self.aspp(self.backbone(x)))
        logits = self.resize(logits, size)
        if not self.training:
            return logits
        return logits, [self.resize(auxiliary, size)]

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: all but the backbone."""
        return chain(self.aspp.parameters(), self.ocr.parameters())


def gather_regions(pixels: Tensor, auxiliary: Tensor) -> Tensor:
    """Describes each class by the mean of the pixels' features, weighted by its soft region.

    The weights of a class are a softmax over the picture's pixels (section 3.2, equation 4).

    Shape:
        pixels: (B, C, H, W), auxiliary: (B, K, H, W) logits → (B, C, K, 1).
    """
    weights = auxiliary.flatten(2).softmax(dim=-1)  # (B, K, H W)
    return (pixels.flatten(2) @ weights.transpose(1, 2)).unsqueeze(-1)


def projection(*channels: int) -> nn.Sequential:
    """1x1 convolutions, each followed by a group of batch normalisation and ReLU.

    The grouping is that of the published key names: `0`, `1.0`, `2`, `3.0`.
    """
    layers: list[nn.Module] = []
    for cin, cout in pairwise(channels):
        layers.append(nn.Conv2d(cin, cout, kernel_size=1, bias=False))
        layers.append(nn.Sequential(nn.BatchNorm2d(cout), nn.ReLU(inplace=True)))
    return nn.Sequential(*layers)


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Maps the key names of the official weights, and of those of Tao et al., to ours.

    The first put backbone and head side by side; we know the head by its parts' names. The second
    group normalisation and ReLU, which shifts two of the names.
    """
    return {our_name(name): value for name, value in unwrap(state).items()}


def our_name(name: str) -> str:
    """The key name of the official weights in terms of this file."""
    part = name.split(".")[0]
    if part in ("conv3x3_ocr", "ocr_distri_head", "cls_head", "aux_head"):
        return f"ocr.{name}"
    if part not in ("backbone", "aspp", "ocr", "scale_attn"):
        return f"backbone.{name}"
    for theirs, ours in SHIFTED.items():
        name = name.replace(theirs, ours)
    return name


MODELS = {
    "hrnet_ocr_w48": partial(HRNetOCR, width=48),
    "hrnet_ocr_aspp_w48": partial(HRNetOCR, width=48, aspp=True, align_corners=False),
}
