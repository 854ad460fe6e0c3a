"""FCN: a classifier of images, slid over the picture, made to answer at every pixel.

Source: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation" (CVPR
2015), sections 3 and 4, in torchvision's form. What differs from the paper, and why:

* A ResNet (2016) instead of VGG. In those with bottleneck blocks the last two stages are dilated,
  so that the features have an eighth of the picture's size and coarse skips are not needed; those
  with basic blocks, which torchvision does not dilate, answer at a thirty-second.
* The head is a 3x3 convolution, batch normalisation, ReLU, dropout and the 1x1 convolution that
  scores the classes. Its initial weights are PyTorch's, as in torchvision; the paper begins with
  scores of zero and reports that random ones do neither better nor worse.
* The logits are interpolated bilinearly (`align_corners=False`) to the picture's size, where the
  paper learns this step from a bilinear start.
* In training a second head on stage 3 gives auxiliary logits, as in Zhao et al., "Pyramid Scene
  Parsing Network" (CVPR 2017), section 4; torchvision weights their loss by 0.5.

Equal to `torchvision.models.segmentation.fcn_resnet50` and `fcn_resnet101`, with the same keys:
logits and auxiliary logits agree to 1e-10 in float64 and to 1e-4 in float32, relatively.
"""

from collections.abc import Iterator
from functools import partial

from torch import Tensor, nn

from zoo.blocks import BASIC_BLOCKS, FCNHead, ResNet, resize


class FCN(nn.Module):
    """A ResNet, a head that scores its last features, and in training one for the features before.

    Args:
        num_classes: K.
        backbone: a key of `zoo.blocks.RESNETS`.
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
        stride = 32 if backbone in BASIC_BLOCKS else 8
        self.backbone = ResNet(backbone, keep=(3, 4), stride=stride, pretrained=pretrained)
        middle, last = self.backbone.channels
        self.classifier = FCNHead(last, num_classes)
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
    """Takes a state dict of torchvision's FCN, whose keys are ours: nothing to change."""
    return dict(state)


MODELS = {
    "fcn_resnet18": partial(FCN, backbone="resnet18"),
    "fcn_resnet34": partial(FCN, backbone="resnet34"),
    "fcn_resnet50": partial(FCN, backbone="resnet50"),
    "fcn_resnet101": partial(FCN, backbone="resnet101"),
    "fcn_resnet152": partial(FCN, backbone="resnet152"),
}
