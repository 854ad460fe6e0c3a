"""DeepLabV3: atrous spatial pyramid pooling on dilated features.

Source: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image
Segmentation" (2017, arXiv 1706.05587), section 3.3 and figure 5, in torchvision's form. What a
pixel is depends on what is around it, near and far: `ASPP`, the heart of this network, looks at the
features through 3x3 convolutions whose taps lie ever farther apart. What differs from the paper,
and why:

* The output stride is 8, with the rates 12, 24, 36 that go with it; the paper trains at 16 with
  half these rates, and evaluates at both.
* The units of stage 4 all have the same rate, where the paper's multi-grid gives them 1, 2, 4 times
  it; the first unit of a dilated stage still has the rate of the stage before.
* There is one more 3x3 convolution between the pyramid and the scores, and in training an auxiliary
  head as in `zoo.fcn`. Neither is in the paper; torchvision has both.
* New layers begin with PyTorch's initial weights, as in torchvision; the paper names no rule.

Equal to `torchvision.models.segmentation.deeplabv3_resnet50` and `deeplabv3_resnet101`, with the
same keys: logits and auxiliary logits agree to 1e-10 in float64 and to 1e-4 in float32, relatively.
A training batch of one image works, where torchvision raises an error: see
`zoo.blocks.VectorNorm`.
"""

from collections.abc import Iterator
from functools import partial

from torch import Tensor, nn

from zoo.blocks import ASPP, FCNHead, ResNet, conv_norm_relu, resize


class DeepLabV3(nn.Module):
    """A dilated ResNet, the pyramid, and the scores; in training also an auxiliary head.

    Args:
        num_classes: K.
        backbone: a key of `zoo.blocks.RESNETS` with bottleneck blocks.
        aux: whether there is an auxiliary head.
        pretrained: begin with the backbone's ImageNet weights, which are fetched.

    Attributes:
        stride: 1, any size will do.
        aux_count: how many auxiliary logits training gives, 0 or 1.
        default_aux_weights: what their losses weigh unless told otherwise.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W); in training with auxiliary head a pair: logits, and a
        list of one (B, K, H, W).
    """

    stride = 1

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet50",
        aux: bool = True,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(backbone, keep=(3, 4), stride=8, pretrained=pretrained)
        middle, last = self.backbone.channels
        self.classifier = nn.Sequential(
            ASPP(last, 256, rates=(12, 24, 36)),
            *conv_norm_relu(256, 256),
            nn.Conv2d(256, num_classes, kernel_size=1),
        )
        self.aux_classifier = FCNHead(middle, num_classes) if aux else None
        self.aux_count = 1 if aux else 0
        self.default_aux_weights = (0.5,) * self.aux_count

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Returns one logit per class and pixel, in training with the auxiliary logits."""
        size = x.shape[-2:]
        middle, last = self.backbone(x)  # (B, C/2, H/8, W/8), (B, C, H/8, W/8)
        logits = resize(self.classifier(last), size)
        if self.training and self.aux_classifier is not None:
            return logits, [resize(self.aux_classifier(middle), size)]
        return logits

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: all but the backbone."""
        return (p for name, p in self.named_parameters() if not name.startswith("backbone."))


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes a state dict of torchvision's DeepLabV3, whose keys are ours: nothing to change."""
    return dict(state)


MODELS = {
    "deeplabv3_resnet50": partial(DeepLabV3, backbone="resnet50"),
    "deeplabv3_resnet101": partial(DeepLabV3, backbone="resnet101"),
}
