"""A small encoder-decoder for a laptop, with the unpadded convolutions of the UNet's paper.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (MICCAI 2015), section 2, figures 1 and 2. `models.UNet` pads its convolutions; this
network is built the paper's way, for comparison: every 3x3 convolution takes a pixel from each
border, the features that go across are cropped, and the upward step is a transposed convolution.
The logits would then be smaller than the picture. As in the paper's overlap-tile strategy, the
picture is mirrored at its borders first, by as much as the network takes away: every pixel gets its
logits, and no features are made of the zeros that padded convolutions see beyond the border.

What differs from the paper, and why:

* Three poolings and 8 channels instead of four and 64, for a laptop.
* Batch normalisation before each ReLU, so that training from scratch takes minutes.
* The mirrored margin lies around the whole picture, which is not cut into tiles. With three
  poolings it is 44 pixels on every side; this cost is why networks came to pad.
"""

from collections.abc import Iterator
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils import LabError

MAX_BLOCKS = 6
"""With more, the margin of 6 * 2^n - 4 pixels on every side would outgrow most pictures."""


def two_convolutions(cin: int, cout: int) -> nn.Sequential:
    """Twice an unpadded 3x3 convolution, batch normalisation and ReLU.

    Shape:
        (B, cin, H, W) → (B, cout, H - 4, W - 4).
    """
    layers = []
    for channels in (cin, cout):
        convolution = nn.Conv2d(channels, cout, kernel_size=3, bias=False)
        layers += [convolution, nn.BatchNorm2d(cout), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class MyFCN(nn.Module):
    """Encoder, decoder, and the mirrored margin that makes up for the unpadded convolutions.

    Args:
        num_classes: K.
        num_blocks: n, the poolings.
        base_channels: channels of the first level; level i has base * 2^i.

    Attributes:
        stride: 1, any size will do.
        margin: pixels that the convolutions take from each side of the picture.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W), for any H, W ≥ 1.

    Raises:
        LabError: for a number of classes, blocks or channels below one, or too many blocks.
    """

    stride = 1

    def __init__(self, num_classes: int, *, num_blocks: int = 3, base_channels: int = 8) -> None:
        super().__init__()
        if min(num_classes, num_blocks, base_channels) < 1 or num_blocks > MAX_BLOCKS:
            raise LabError(
                f"my_fcn needs at least one class, block and channel, and at most {MAX_BLOCKS} "
                f"blocks; got num_classes={num_classes}, num_blocks={num_blocks}, "
                f"base_channels={base_channels}"
            )
        widths = [base_channels * 2**i for i in range(num_blocks + 1)]
        self.multiple, self.margin = 2**num_blocks, 6 * 2**num_blocks - 4
        self.down = nn.ModuleList(
            two_convolutions(cin, cout) for cin, cout in zip([3, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(UpBlock(2 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(base_channels, num_classes, kernel_size=1)
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Returns one logit per class and pixel."""
        height, width = x.shape[-2:]
        *levels, bottom = self.down
        x = add_margin(x, self.margin, self.multiple)
        features = []
        for level in levels:
            x = level(x)
            features.append(x)
            x = F.max_pool2d(x, kernel_size=2)
        x = bottom(x)
        for block, across in zip(self.up, reversed(features), strict=True):
            x = block(x, across)
        return self.head(x)[..., :height, :width]

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: the way up, and the scores."""
        return chain(self.up.parameters(), self.head.parameters())


class UpBlock(nn.Module):
    """One step up: enlarge, join with the centre of the encoder's features, two convolutions.

    Shape:
        x: (B, cin, h, w), across: (B, cout, H, W), H ≥ 2h → (B, cout, 2h - 4, 2w - 4).
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.upward = nn.ConvTranspose2d(cin, cout, kernel_size=2, stride=2)
        self.convolutions = two_convolutions(2 * cout, cout)

    def forward(self, x: Tensor, across: Tensor) -> Tensor:
        """Returns the features of this level, made of what is below and what came across."""
        x = self.upward(x)  # (B, cout, 2h, 2w)
        return self.convolutions(torch.cat([crop_to(across, x.shape[-2:]), x], dim=1))


def crop_to(x: Tensor, size: torch.Size) -> Tensor:
    """Cuts the centre out: (B, C, H, W) → (B, C, h, w), `size` being (h, w)."""
    top, left = (x.shape[-2] - size[0]) // 2, (x.shape[-1] - size[1]) // 2
    return x[..., top : top + size[0], left : left + size[1]]


def add_margin(x: Tensor, margin: int, multiple: int) -> Tensor:
    """Mirrors the picture at its borders, so that the network's output covers it.

    The network maps sizes to sizes less two margins, and each output size is 4 more than a multiple
    of 2^n; at the bottom and right there is therefore a little more.

    Shape:
        x: (B, C, H, W) → (B, C, H', W') with H' ≥ H + 2 * margin.
    """
    rows, columns = (mirrored(size, margin, (4 - size) % multiple, x) for size in x.shape[-2:])
    return x[..., rows[:, None], columns]


def mirrored(size: int, margin: int, extra: int, x: Tensor) -> Tensor:
    """Which pixel of a line of `size` stands at each place of the longer, mirrored line.

    The places run forth and back: 0 ... size-1, size-1 ... 0, 0 ... size-1, and so on, so that a
    margin may be longer than the line.

    Shape:
        (margin + size + margin + extra,) int64 on the device of `x`.
    """
    period = torch.full((1,), 2 * size, device=x.device)  # a tensor, for the sake of the export
    places = torch.arange(-margin, size + margin + extra, device=x.device) % period
    return torch.minimum(places, period - 1 - places)


def initialize(module: nn.Module) -> None:
    """Draws a convolution's weights as the paper does (section 3): normal, √(2 / fan-in).

    The transposed convolutions, which no ReLU follows, keep PyTorch's.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes a state dict of this very model, which has no reference: nothing to change."""
    return dict(state)


MODELS = {"my_fcn": MyFCN}
