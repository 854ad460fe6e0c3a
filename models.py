"""The UNet, block by block.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (MICCAI 2015), figure 1. What differs here, and why:

* Convolutions are padded, so that the logits have the size of the input. The paper's shrink the
  picture at every step, and it crops the features before each concatenation.
* Batch normalisation (Ioffe and Szegedy 2015) makes training from scratch a matter of minutes. It
  follows the ReLU here, so that every layer's input is normalised; its authors put it before. The
  UNet's paper has none.
* The upward step is a fixed x2 upsampling followed by a 3x3 convolution. The transposed convolution
  that most implementations use can leave checkerboard patterns (Odena et al., "Deconvolution and
  Checkerboard Artifacts", Distill 2016).
* The two convolutions of the bottom belong to the encoder and the decoder, one each.
* Sizes that the poolings do not divide are padded at the bottom and right, and cropped back.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from utils import LabError, require_known

MAX_BLOCKS = 10
"""A stride of 1024, the height of the pictures of Cityscapes."""


def conv_relu_norm(cin: int, cout: int) -> nn.Sequential:
    """A 3x3 convolution, ReLU and batch normalisation: (B, cin, H, W) → (B, cout, H, W)."""
    # TODO 3.1: three layers in this order; the padding keeps the height and the width.
    # <solution 3.1>
    layers = nn.Sequential(
        nn.Conv2d(cin, cout, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(cout),
    )
    # <student>
    # layers = nn.Sequential(...)
    # </solution 3.1>
    return layers


class UNetConvBlock(nn.Module):
    """One step down: two convolutions, then 2x2 max pooling.

    Args:
        cin: channels of the input.
        cout: channels of both outputs.

    Shape:
        x: (B, cin, H, W) → pooled (B, cout, H/2, W/2), features (B, cout, H, W).
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        # TODO 3.2a: twice convolution, ReLU and batch normalisation; then the pooling.
        # <solution 3.2a>
        self.block1 = conv_relu_norm(cin, cout)
        self.block2 = conv_relu_norm(cout, cout)
        self.block3 = nn.MaxPool2d(kernel_size=2)
        # <student>
        # self.block1 = ...
        # self.block2 = ...
        # self.block3 = ...
        # </solution 3.2a>

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the pooled features, which go down, and the features, which go across."""
        # TODO 3.2b: features go ACROSS (before pooling), pooled goes DOWN.
        # <solution 3.2b>
        features = self.block2(self.block1(x))
        pooled = self.block3(features)
        # <student>
        # features = ...  # (B, cout, H, W)
        # pooled = ...  # (B, cout, H/2, W/2)
        # </solution 3.2b>
        return pooled, features


class UNetEncoder(nn.Module):
    """The way down: `num_blocks` conv blocks that halve the size and double the channels.

    Args:
        cin: channels of the picture.
        num_blocks: n, the number of poolings.
        base_channels: channels of the first block; block i has base * 2^i.

    Attributes:
        cout: channels of the bottom, base * 2^n.

    Shape:
        x: (B, cin, H, W), H and W multiples of 2^n → bottom (B, base * 2^n, H/2^n, W/2^n) and a
        list of n features, features[i] being (B, base * 2^i, H/2^i, W/2^i).
    """

    def __init__(self, cin: int, num_blocks: int, base_channels: int = 64) -> None:
        super().__init__()
        # TODO 3.3a: num_blocks blocks of base * 2^i channels, then the bottom with twice the last.
        # <solution 3.3a>
        widths = [base_channels * 2**i for i in range(num_blocks + 1)]
        self.blocks = nn.ModuleList(
            UNetConvBlock(above, below)
            for above, below in zip([cin, *widths[:-2]], widths[:-1], strict=True)
        )
        self.bottom = conv_relu_norm(widths[-2], widths[-1])
        self.cout = widths[-1]
        # <student>
        # self.blocks = nn.ModuleList(...)
        # self.bottom = conv_relu_norm(...)
        # self.cout = ...  # channels of the bottom
        # </solution 3.3a>

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the bottom and the features of every block, full resolution first."""
        # TODO 3.3b: down through the blocks, keeping what goes across; the bottom comes last.
        # <solution 3.3b>
        features = []
        for block in self.blocks:
            x, across = block(x)
            features.append(across)
        bottom = self.bottom(x)
        # <student>
        # features = []  # features[i]: (B, base * 2^i, H/2^i, W/2^i)
        # bottom = ...  # (B, base * 2^n, H/2^n, W/2^n)
        # </solution 3.3b>
        return bottom, features


class UNetUpConvBlock(nn.Module):
    """One step up: upsample, halve the channels, join the encoder's features, two convolutions.

    Args:
        cin: channels from below, 2 * cout.
        cout: channels of the encoder's features and of the output.

    Shape:
        x: (B, cin, H, W), encoder_features: (B, cout, 2H, 2W) → (B, cout, 2H, 2W).
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        # TODO 3.4a: upconv doubles the size and halves the channels; convblock joins two sources.
        # <solution 3.4a>
        self.upconv = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            conv_relu_norm(cin, cout),
        )
        self.convblock = nn.Sequential(
            conv_relu_norm(2 * cout, cout),
            conv_relu_norm(cout, cout),
        )
        # <student>
        # self.upconv = nn.Sequential(...)
        # self.convblock = nn.Sequential(...)
        # </solution 3.4a>

    def forward(self, x: Tensor, encoder_features: Tensor) -> Tensor:
        """Returns the features of this level, made of what is below and what came across."""
        # TODO 3.4b: upsample, concatenate the channels of both, convolve.
        # <solution 3.4b>
        x = self.upconv(x)  # (B, cout, 2H, 2W)
        x = torch.cat([encoder_features, x], dim=1)  # (B, 2 cout, 2H, 2W)
        x = self.convblock(x)
        # <student>
        # x = ...  # (B, cout, 2H, 2W)
        # </solution 3.4b>
        return x


class UNetDecoder(nn.Module):
    """The way up: `num_blocks` up blocks that double the size and halve the channels, and the head.

    Args:
        cin: channels of the bottom, a multiple of 2^n.
        num_blocks: n, as in the encoder.
        num_classes: K.

    Shape:
        bottom: (B, cin, H, W), features: the encoder's n, full resolution first
        → logits (B, K, H * 2^n, W * 2^n).
    """

    def __init__(self, cin: int, num_blocks: int, num_classes: int) -> None:
        super().__init__()
        # TODO 3.5a: the bottom keeps the channels, each up block halves them, the head gives K.
        # <solution 3.5a>
        self.bottom = conv_relu_norm(cin, cin)
        self.blocks = nn.ModuleList(
            UNetUpConvBlock(cin // 2**i, cin // 2 ** (i + 1)) for i in range(num_blocks)
        )
        self.head = nn.Conv2d(cin // 2**num_blocks, num_classes, kernel_size=1)
        # <student>
        # self.bottom = conv_relu_norm(...)
        # self.blocks = nn.ModuleList(...)
        # self.head = nn.Conv2d(...)  # 1x1
        # </solution 3.5a>

    def forward(self, bottom: Tensor, features: list[Tensor]) -> Tensor:
        """Returns the logits; the deepest features are joined first."""
        # TODO 3.5b: up through the blocks; the first one up takes the deepest features.
        # <solution 3.5b>
        x = self.bottom(bottom)
        for block, encoder_features in zip(self.blocks, reversed(features), strict=True):
            x = block(x, encoder_features)
        logits = self.head(x)
        # <student>
        # logits = ...  # (B, K, H * 2^n, W * 2^n), no softmax
        # </solution 3.5b>
        return logits


class UNet(nn.Module):
    """Encoder and decoder with skip connections between the levels of one size.

    Args:
        num_classes: K.
        num_blocks: n, the poolings; the network sees the picture at n + 1 sizes.
        base_channels: channels of the first block (64 in the paper; 16 trains on a laptop).
        cin: channels of the picture.

    Attributes:
        stride: 2^n. Other sizes are padded to its multiples inside, and the logits cropped.

    Shape:
        x: (B, cin, H, W) → logits (B, K, H, W), for any H, W ≥ 1.

    Raises:
        LabError: for a number of classes, blocks or channels below one, or too many blocks.
    """

    def __init__(
        self, num_classes: int, num_blocks: int = 4, base_channels: int = 64, cin: int = 3
    ) -> None:
        super().__init__()
        if min(num_classes, num_blocks, base_channels, cin) < 1:
            raise LabError(
                "a UNet needs at least one class, block and channel; got "
                f"{num_classes=}, {num_blocks=}, {base_channels=}, {cin=}"
            )
        if num_blocks > MAX_BLOCKS:
            raise LabError(
                f"a UNet of {num_blocks} blocks would see one pixel; at most {MAX_BLOCKS}"
            )
        self.stride = 2**num_blocks
        self.encoder = UNetEncoder(cin, num_blocks, base_channels)
        self.decoder = UNetDecoder(self.encoder.cout, num_blocks, num_classes)
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Returns one logit per class and pixel."""
        height, width = x.shape[-2:]
        bottom, features = self.encoder(pad_to_multiple(x, self.stride))
        logits = self.decoder(bottom, features)
        return logits[..., :height, :width]

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: the decoder."""
        return self.decoder.parameters()


def initialize(module: nn.Module) -> None:
    """Draws a convolution's weights as the UNet's paper does (section 3): normal, √(2 / fan-in).

    He et al., "Delving Deep into Rectifiers" (ICCV 2015, section 2.2). PyTorch's own default draws
    weights 2.4 times smaller, which one step of Adam changes too much at first.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column until both sizes divide by `multiple`.

    Shape:
        x: (B, C, H, W) → (B, C, H', W'), H' and W' the next multiples.
    """
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below == 0 and right == 0:
        return x
    return F.pad(x, (0, right, 0, below), mode="replicate")


MODELS = {"unet": UNet, **zoo.MODELS}


def build_model(name: str, num_classes: int, **options: object) -> nn.Module:
    """Builds a model by its name in `MODELS`, with its own options, as the UNet's `num_blocks`.

    Raises:
        LabError: for a name that is not there.
    """
    require_known("model", [name], MODELS)
    return MODELS[name](num_classes, **options)
