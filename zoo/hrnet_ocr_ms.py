"""Hierarchical multi-scale attention: the network says itself at which size to look where.

Source: Tao, Sapra, Catanzaro, "Hierarchical Multi-Scale Attention for Semantic Segmentation" (arXiv
2005.10821, 2020), section 3 and figure 2. Small or thin things are seen better in an enlarged
picture, large areas in a reduced one. One network (HRNet with object context) sees the picture at
several sizes and gives, beside its logits, a map of attention in 0 ... 1: how much the logits at
this size are to be trusted against those of the next larger size. Training at two sizes is enough
to chain any number of them afterwards. What is to be known besides, and why:

* Training looks at 0.5 and 1 times the size, evaluation at 0.5, 1 and 2 (an option).
* The auxiliary logits are three: the rough segmentations, joined like the logits themselves (weight
  0.4), and the logits at each of the two sizes alone (0.05 each), as the published recipe has it.
  The paper uses region mutual information as the loss of the joined logits alone; here the chosen
  loss is every head's.
* Evaluation at twice the size needs four times the memory; `eval_scales=(0.5, 1.0)` does without.

Equal to the official code (github.com/NVIDIA/semantic-segmentation, MscaleOCR), whose key names it
has, with the `align_corners` of its weights, False: 1e-10 in float64.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import chain

from torch import Tensor, nn

from utils import LabError
from zoo.blocks import conv_norm_relu, resize
from zoo.hrnet import HighResolutionNet
from zoo.hrnet_ocr import AUX_WEIGHT, PIXEL_CHANNELS, ObjectContextHead, translate

__all__ = ["MODELS", "HRNetOCRMultiScale", "translate"]

TRAIN_SCALES = (0.5, 1.0)
EVAL_SCALES = (0.5, 1.0, 2.0)
ATTENTION_CHANNELS = 256
SINGLE_SCALE_WEIGHT = 0.05
MAX_DENOMINATOR = 100


class ScaleAttention(nn.Sequential):
    """From the pixels' representations to a map in 0 ... 1: (B, 512, H, W) → (B, 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.bn0, self.re0 = conv_norm_relu(PIXEL_CHANNELS, ATTENTION_CHANNELS)
        self.conv1, self.bn1, self.re1 = conv_norm_relu(ATTENTION_CHANNELS, ATTENTION_CHANNELS)
        self.conv2 = nn.Conv2d(ATTENTION_CHANNELS, 1, kernel_size=1, bias=False)
        self.sig = nn.Sigmoid()


class HRNetOCRMultiScale(nn.Module):
    """HRNet with object context at several sizes of the picture, joined by attention.

    Args:
        num_classes: K.
        width: channels of the backbone's stream of highest resolution.
        eval_scales: the sizes of evaluation, as multiples of the picture's; 1 among them.
        align_corners: of all bilinear interpolations; it belongs to the weights.

    Attributes:
        stride: 1, sizes need not divide by anything.
        aux_count: 3, see above.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W); in training mode these and a list of three tensors of
        auxiliary logits (B, K, H, W). For any H, W ≥ 1.

    Raises:
        LabError: for scales without 1, or not positive; in training, for a batch of one picture of
            at most 64x64 pixels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        width: int = 48,
        eval_scales: Sequence[float] = EVAL_SCALES,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if 1.0 not in eval_scales or min(eval_scales) <= 0:
            raise LabError(f"eval_scales are positive, and 1 is one of them; got {eval_scales}")
        self.stride = 1
        self.aux_count = 3
        self.default_aux_weights = (AUX_WEIGHT, SINGLE_SCALE_WEIGHT, SINGLE_SCALE_WEIGHT)
        self.eval_scales = tuple(sorted(map(float, eval_scales)))
        self.resize = partial(resize, align_corners=align_corners)
        self.backbone = HighResolutionNet(width, align_corners)
        self.ocr = ObjectContextHead(self.backbone.cout, num_classes)
        self.scale_attn = ScaleAttention()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Returns one logit per class and pixel, in training mode the auxiliary ones too."""
        scales = TRAIN_SCALES if self.training else self.eval_scales
        views = [self.view(x, scale) for scale in scales]
        logits, auxiliary, attention = zip(*views, strict=True)
        joined = self.join(scales, logits, attention)
        if not self.training:
            return joined
        single = [self.resize(each, x.shape[-2:]) for each in logits]
        return joined, [self.join(scales, auxiliary, attention), *single]

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: all but the backbone."""
        return chain(self.ocr.parameters(), self.scale_attn.parameters())

    def view(self, x: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Looks at the picture at one size.

        Shape:
            x: (B, 3, H, W) → logits and auxiliary logits (B, K, sH, sW), attention (B, 1, sH, sW).
        """
        ratio = Fraction(scale).limit_denominator(MAX_DENOMINATOR)  # exact for symbolic sizes too
        size = [max(side * ratio.numerator // ratio.denominator, 1) for side in x.shape[-2:]]
        features = self.backbone(self.resize(x, size))
        logits, auxiliary, pixels = self.ocr(features)
        maps = (logits, auxiliary, self.scale_attn(pixels))
        return tuple(self.resize(each, size) for each in maps)

    def join(
        self, scales: Sequence[float], views: Sequence[Tensor], attention: Sequence[Tensor]
    ) -> Tensor:
        """Joins the views from the largest to the smallest (figure 2, right).

        Each step takes a of the smaller view and 1 - a of what was joined before, a being the
        smaller view's attention. Below the picture's own size they meet at the larger size, from it
        on at the smaller one, so that the result has the picture's size.

        Shape:
            views: (B, K, sH, sW) for every scale s, ascending; attention likewise (B, 1, sH, sW)
            → (B, K, H, W).
        """
        *smaller, joined = views
        for scale, view, weight in reversed(list(zip(scales, smaller, attention, strict=False))):
            if scale >= 1:
                joined = self.resize(joined, view.shape[-2:])
                joined = weight * view + (1 - weight) * joined
            else:
                size = joined.shape[-2:]
                view = self.resize(weight * view, size)
                joined = view + (1 - self.resize(weight, size)) * joined
        return joined


MODELS = {"hrnet_ocr_ms_w48": partial(HRNetOCRMultiScale, width=48)}
