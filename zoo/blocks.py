"""Blocks that several architectures of the zoo share.

* `ResNet`: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), taken from
  torchvision and cut off before its classifier. Its last stages can be dilated: a convolution that
  would halve the size keeps it, and the later ones look as far as they did by leaving out pixels
  between their taps (Yu and Koltun, ICLR 2016).
* `ASPP`, atrous spatial pyramid pooling: Chen et al., "Rethinking Atrous Convolution for Semantic
  Image Segmentation" (2017), section 3.3 and figure 5.

Modules are named so that state dicts have the keys of torchvision and segmentation-models-pytorch.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum

from utils import LabError

RESNETS = {
    "resnet18": (models.resnet18, models.ResNet18_Weights.IMAGENET1K_V1),
    "resnet34": (models.resnet34, models.ResNet34_Weights.IMAGENET1K_V1),
    "resnet50": (models.resnet50, models.ResNet50_Weights.IMAGENET1K_V1),
    "resnet101": (models.resnet101, models.ResNet101_Weights.IMAGENET1K_V1),
    "resnet152": (models.resnet152, models.ResNet152_Weights.IMAGENET1K_V1),
}
"""Constructors, and the ImageNet weights that torchvision's own segmentation models begin with."""

BASIC_BLOCKS = ("resnet18", "resnet34")
"""The backbones that torchvision cannot dilate."""

DILATED_STAGES = {32: [False, False, False], 16: [False, False, True], 8: [False, True, True]}
"""Output stride: whether stages 2, 3 and 4 keep the size, dilated, instead of halving it."""


class ResNet(nn.Module):
    """The four stages of a ResNet.

    Args:
        name: a key of `RESNETS`.
        keep: the stages whose features are returned, of 1 ... 4.
        stride: 8, 16 or 32, the input's size over that of the last features; 32 only for
            `BASIC_BLOCKS`.
        pretrained: begin with torchvision's ImageNet weights, which are fetched.

    Attributes:
        channels: C of each returned stage.

    Shape:
        x: (B, 3, H, W) → a list of (B, C, H/s, W/s), rounded up; s is 4, 8, 16, 32 for stages
        1 ... 4, and at most `stride`.

    Raises:
        LabError: for a name or stride that is not there, weights that cannot be fetched, and in
            training for a single image so small that batch normalisation has one value to go by.
    """

    def __init__(
        self, name: str, keep: Sequence[int], *, stride: int = 32, pretrained: bool = False
    ) -> None:
        super().__init__()
        if name not in RESNETS:
            raise LabError(f"unknown backbone {name!r}; there are: {', '.join(RESNETS)}")
        if name in BASIC_BLOCKS and stride != 32:
            raise LabError(
                f"{name} has output stride 32 only; take resnet50 for a stride of {stride}"
            )
        if stride not in DILATED_STAGES:
            raise LabError(f"output stride {stride} is none of 8, 16 and 32")
        constructor, weights = RESNETS[name]
        network = constructor(replace_stride_with_dilation=DILATED_STAGES[stride])
        if pretrained:
            network.load_state_dict(fetch(weights))
        self.conv1, self.bn1, self.relu = network.conv1, network.bn1, network.relu
        self.maxpool = network.maxpool
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        self.stride, self.keep = stride, tuple(keep)
        self.channels = [network.fc.in_features // 2 ** (4 - stage) for stage in self.keep]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Returns the features of the stages in `keep`, the largest first."""
        if self.bn1.training:
            require_several_values(x, self.stride)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, 64, H/4, W/4)
        features = []
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        for number, stage in enumerate(stages, start=1):
            x = stage(x)
            if number in self.keep:
                features.append(x)
        return features


def fetch(weights: WeightsEnum) -> dict[str, Tensor]:
    """Downloads published weights, or reads them where an earlier download left them.

    Raises:
        LabError: without a connection, or when the file arrived damaged.
    """
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise LabError(
            f"cannot fetch the pretrained weights {weights.url} ({error}); "
            f"put that file into {folder}, or train without pretrained weights"
        ) from error


def require_several_values(x: Tensor, stride: int) -> None:
    """Raises the LabError that stands for batch normalisation's own error about one value."""
    batch, _, height, width = x.shape
    if batch == 1 and height <= stride and width <= stride:
        raise LabError(
            f"one image of {height}x{width} pixels is too little to train on: batch normalisation "
            f"needs more than one value; use images above {stride} pixels, or a batch size by "
            "which an epoch does not end with a single image"
        )


def convolution(
    cin: int, cout: int, kernel: int = 3, *, rate: int = 1, separable: bool = False
) -> nn.Module:
    """A convolution that keeps the size: (B, cin, H, W) → (B, cout, H, W).

    Args:
        kernel: its height and width, an odd number.
        rate: the distance between neighbouring taps, 1 for a plain convolution.
        separable: first within each channel, then 1x1 across the channels.
    """
    options = {"padding": rate * (kernel // 2), "dilation": rate, "bias": False}
    if not separable:
        return nn.Conv2d(cin, cout, kernel, **options)
    within = nn.Conv2d(cin, cin, kernel, groups=cin, **options)
    return nn.Sequential(within, nn.Conv2d(cin, cout, kernel_size=1, bias=False))


def conv_norm_relu(
    cin: int, cout: int, kernel: int = 3, *, rate: int = 1, separable: bool = False
) -> nn.Sequential:
    """`convolution`, batch normalisation and ReLU: (B, cin, H, W) → (B, cout, H, W)."""
    return nn.Sequential(
        convolution(cin, cout, kernel, rate=rate, separable=separable),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class FCNHead(nn.Sequential):
    """From features to logits at the features' size; torchvision's head, also for auxiliaries.

    Shape:
        x: (B, cin, H, W) → (B, K, H, W).
    """

    def __init__(self, cin: int, num_classes: int) -> None:
        super().__init__(
            *conv_norm_relu(cin, cin // 4),
            nn.Dropout(0.1),
            nn.Conv2d(cin // 4, num_classes, kernel_size=1),
        )


class ASPP(nn.Module):
    """Sees the same features at several scales at once: near, at three rates, and as a whole.

    Args:
        cin: channels of the features.
        cout: channels of each branch and of the result.
        rates: distances between the taps of the 3x3 branches, in pixels of the features.
        separable: whether the 3x3 branches are separable convolutions.
        dropout: share of the result's values that training sets to zero.

    Shape:
        x: (B, cin, H, W) → (B, cout, H, W).
    """

    def __init__(
        self,
        cin: int,
        cout: int = 256,
        *,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        # TODO 9.1a: the branches: 1x1, 3x3 for each rate (separable or not), the whole image.
        # <solution 9.1a>
        self.convs = nn.ModuleList(
            [
                conv_norm_relu(cin, cout, kernel=1),
                *(conv_norm_relu(cin, cout, rate=rate, separable=separable) for rate in rates),
                ImagePooling(cin, cout),
            ]
        )
        # <student>
        # self.convs = nn.ModuleList(...)
        # </solution 9.1a>
        branches = len(rates) + 2
        self.project = nn.Sequential(
            *conv_norm_relu(branches * cout, cout, kernel=1), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the branches saw, joined and projected to `cout` channels."""
        # TODO 9.1b: every branch sees the same x; what they saw stands side by side.
        # <solution 9.1b>
        seen = torch.cat([branch(x) for branch in self.convs], dim=1)
        # <student>
        # seen = ...  # (B, branches * cout, H, W)
        # </solution 9.1b>
        return self.project(seen)


class ImagePooling(nn.Sequential):
    """The image as a whole: its mean features, the same at every pixel.

    Shape:
        x: (B, cin, H, W) → (B, cout, H, W).
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(cin, cout, kernel_size=1, bias=False),
            VectorNorm(cout),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns one vector per image, spread over its pixels."""
        height, width = x.shape[-2:]
        vector = super().forward(x)  # (B, cout, 1, 1)
        # TODO 9.1c: the same vector at every pixel.
        # <solution 9.1c>
        spread = vector.expand(-1, -1, height, width)
        # <student>
        # spread = ...  # (B, cout, H, W)
        # </solution 9.1c>
        return spread


class VectorNorm(nn.BatchNorm2d):
    """Batch normalisation of one vector per image, which a batch of one survives.

    A single vector has no variance, and PyTorch refuses to train on it. The last batch of an epoch
    may well be that small: such a batch goes by the running statistics, and leaves them alone.

    Shape:
        x: (B, C, 1, 1) → (B, C, 1, 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns the vectors normalised by the batch's or the running statistics."""
        if self.training and len(x) == 1:
            statistics = (self.running_mean, self.running_var)
            return F.batch_norm(x, *statistics, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def resize(x: Tensor, size: Sequence[int], *, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation: (B, C, h, w) → (B, C, H, W), `size` being (H, W)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
