"""DeepLabV3+: the atrous pyramid as an encoder, and a decoder that brings sharp borders back.

Source: Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-Decoder with Atrous Separable Convolution for
Semantic Image Segmentation" (ECCV 2018, arXiv 1802.02611), section 3 and figure 2, in the form of
segmentation-models-pytorch with `encoder_output_stride=16`. What differs from the paper, and why:

* The rates of the pyramid are that library's 12, 24, 36; the paper takes 6, 12, 18 at this stride
  (option `rates`).
* There is one more separable convolution after the pyramid, and after the concatenation a single
  separable one, where the paper has two plain ones.
* A separable convolution has batch normalisation and ReLU after its second half only; the paper's
  have them after both halves.
* All 3x3 convolutions of stage 4 have the rate 2, where the paper's multi-grid has 2, 4, 8.
* New layers begin with PyTorch's initial weights; the paper names no rule.

Equal to `segmentation_models_pytorch.DeepLabV3Plus` with resnet50 and resnet101, with the same
keys: logits agree to 1e-10 in float64 and to 1e-4 in float32, relatively. That library takes
multiples of 16 only; here any other size is enlarged to what the decoder meets. All enlargements
are bilinear with `align_corners=True`. A training batch of one image works, where the library
raises an error: see `zoo.blocks.VectorNorm`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from zoo.blocks import ASPP, ResNet, conv_norm_relu, resize


class DeepLabV3Plus(nn.Module):
    """A ResNet at output stride 16, the separable pyramid, and a decoder at a fourth of the size.

    Args:
        num_classes: K.
        backbone: a key of `zoo.blocks.RESNETS` with bottleneck blocks.
        rates: of the pyramid, in pixels of the features.
        pretrained: begin with the backbone's ImageNet weights, which are fetched.

    Attributes:
        stride: 1, any size will do.
        aux_count: 0, training gives no auxiliary logits.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W).
    """

    stride = 1
    aux_count = 0
    default_aux_weights = ()

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet50",
        rates: Sequence[int] = (12, 24, 36),
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = ResNet(backbone, keep=(1, 4), stride=16, pretrained=pretrained)
        first_unit = self.encoder.layer4[0].conv2
        first_unit.dilation = first_unit.padding = (2, 2)  # torchvision leaves this one at rate 1
        self.decoder = Decoder(*self.encoder.channels, rates=rates)
        self.segmentation_head = nn.Sequential(nn.Conv2d(256, num_classes, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns one logit per class and pixel."""
        early, last = self.encoder(x)  # (B, C/8, H/4, W/4), (B, C, H/16, W/16)
        logits = self.segmentation_head(self.decoder(early, last))  # (B, K, H/4, W/4)
        return resize(logits, x.shape[-2:], align_corners=True)

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: all but the encoder."""
        return chain(self.decoder.parameters(), self.segmentation_head.parameters())


class Decoder(nn.Module):
    """The pyramid on the last features, enlarged and joined with the early ones.

    Args:
        early_channels: of the features of stage 1.
        last_channels: of the features of stage 4.
        rates: of the pyramid.
        cout: channels of the result.

    Shape:
        early: (B, early_channels, h, w), last: (B, last_channels, h/4, w/4) → (B, cout, h, w).
    """

    def __init__(
        self, early_channels: int, last_channels: int, *, rates: Sequence[int], cout: int = 256
    ) -> None:
        super().__init__()
        self.aspp = nn.Sequential(
            ASPP(last_channels, cout, rates=rates, separable=True),
            *conv_norm_relu(cout, cout, separable=True),
        )
        reduced = 48  # so few that the early features do not outweigh the pyramid's (section 4.1)
        self.block1 = conv_norm_relu(early_channels, reduced, kernel=1)
        self.block2 = conv_norm_relu(reduced + cout, cout, separable=True)

    def forward(self, early: Tensor, last: Tensor) -> Tensor:
        """Returns features that know what is there from `last` and where it ends from `early`."""
        meaning = resize(self.aspp(last), early.shape[-2:], align_corners=True)
        return self.block2(torch.cat([meaning, self.block1(early)], dim=1))


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes a state dict of segmentation-models-pytorch, whose keys are ours: nothing to change."""
    return dict(state)


MODELS = {
    "deeplabv3plus_resnet50": partial(DeepLabV3Plus, backbone="resnet50"),
    "deeplabv3plus_resnet101": partial(DeepLabV3Plus, backbone="resnet101"),
}
