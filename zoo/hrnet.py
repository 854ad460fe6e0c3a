"""HRNet: four resolutions side by side, which exchange what they have found again and again.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition" (TPAMI
2020), sections 3.1 to 3.4 and figure 2; the head is HRNetV2's (figure 4b). A UNet shrinks the
picture and has to win the detail back; this network never gives up its quarter-size stream. What is
to be known besides, and why:

* The residual blocks are torchvision's, which are the paper's (He et al., CVPR 2016).
* Sizes need not divide by anything: a stream is enlarged to the size of the one it is added to.
* `align_corners` of the enlargements is an option, as in the official code, where it belongs to the
  published weights: False for the ones of Cityscapes, LIP and PASCAL-Context, True for those of
  ADE20K and COCO-Stuff, and for every one with object context (`zoo/hrnet_ocr.py`).
* The convolutions start as those of HRNet's ImageNet code (He et al., "Delving Deep into
  Rectifiers", ICCV 2015). The segmentation code draws them smaller, as it loads weights next.

Equal to the official code (github.com/HRNet/HRNet-Semantic-Segmentation, branch HRNet-OCR), whose
key names it has, and to timm's `hrnet_w18` and `hrnet_w48` (`features_only`, `feature_location=""`)
once timm's fusion, which repeats the nearest value, is made bilinear: 1e-10 in float64.
"""

from collections.abc import Iterator
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from zoo.blocks import conv_norm_relu, require_several_values, resize

STEM_CHANNELS = 64
BLOCKS = 4  # residual blocks of a branch between two exchanges
MODULES = {2: 1, 3: 4, 4: 3}  # exchanges in the stage of 2, 3 and 4 streams
SHRINKING = 32  # the last stream has a 32nd of the picture's height and width


class HighResolutionModule(nn.Module):
    """Each stream passes through residual blocks of its own; then each receives the sum of all.

    Args:
        widths: channels of the streams, highest resolution first.
        align_corners: of the bilinear enlargements.

    Shape:
        streams: n tensors (B, widths[i], H/2^i, W/2^i), odd sizes rounded up → the same shapes.
    """

    def __init__(self, widths: list[int], align_corners: bool) -> None:
        super().__init__()
        self.resize = partial(resize, align_corners=align_corners)
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(BLOCKS))) for width in widths
        )
        indices = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(exchange(widths, source, target) for source in indices)
            for target in indices
        )

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Returns the streams after one exchange."""
        streams = [branch(x) for branch, x in zip(self.branches, streams, strict=True)]
        fused = (self.fuse(streams, target) for target in range(len(streams)))
        return [F.relu(total, inplace=True) for total in fused]

    def fuse(self, streams: list[Tensor], target: int) -> Tensor:
        """Brings every stream to the channels and the size of one, and adds them."""
        size = streams[target].shape[-2:]
        received = (layer(x) for layer, x in zip(self.fuse_layers[target], streams, strict=True))
        return reduce(
            torch.add,
            (self.resize(x, size) if i > target else x for i, x in enumerate(received)),
        )


class HighResolutionNet(nn.Module):
    """The network without a head: from a picture to the features of all four streams.

    Args:
        width: C, channels of the stream of highest resolution; stream i has 2^i C.
        align_corners: of the bilinear enlargements.

    Attributes:
        cout: channels of the features, 15 C.

    Shape:
        x: (B, 3, H, W) → features (B, 15 C, H/4, W/4), sizes rounded up.
    """

    def __init__(self, width: int, align_corners: bool) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        self.resize = partial(resize, align_corners=align_corners)
        self.cout = sum(widths)
        self.conv1, self.bn1 = conv_norm(3, STEM_CHANNELS, 3, stride=2)
        self.conv2, self.bn2 = conv_norm(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2)
        self.layer1 = bottlenecks()
        self.transition1 = transition([256], widths[:2])
        self.stage2 = stage(widths[:2], align_corners)
        self.transition2 = transition(widths[:2], widths[:3])
        self.stage3 = stage(widths[:3], align_corners)
        self.transition3 = transition(widths[:3], widths)
        self.stage4 = stage(widths, align_corners)
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the streams, enlarged to the largest and concatenated (HRNetV2)."""
        streams = self.streams(x)
        size = streams[0].shape[-2:]
        return torch.cat([self.resize(stream, size) for stream in streams], dim=1)

    def streams(self, x: Tensor) -> list[Tensor]:
        """Returns the four streams of the last stage: (B, 2^i C, H/2^(i+2), W/2^(i+2))."""
        if self.bn1.training:
            require_several_values(x, SHRINKING)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (B, 64, H/2, W/2)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)  # (B, 64, H/4, W/4)
        streams = [self.layer1(x)]  # (B, 256, H/4, W/4)
        streams = self.stage2(add_stream(self.transition1, streams))
        streams = self.stage3(add_stream(self.transition2, streams))
        return self.stage4(add_stream(self.transition3, streams))


class HRNet(HighResolutionNet):
    """The high-resolution network with HRNetV2's head: two 1x1 convolutions on all four streams.

    Args:
        num_classes: K.
        width: C, the channels of the stream of highest resolution; 18 and 48 are published.
        align_corners: of the bilinear enlargements; it belongs to the weights (see above).

    Attributes:
        stride: 1, sizes need not divide by anything.

    Shape:
        x: (B, 3, H, W) → logits (B, K, H, W), for any H, W ≥ 1.

    Raises:
        LabError: in training, for a batch of one picture of at most 32x32 pixels.
    """

    def __init__(self, num_classes: int, *, width: int = 18, align_corners: bool = False) -> None:
        super().__init__(width, align_corners)
        self.stride = 1
        self.last_layer = nn.Sequential(
            nn.Conv2d(self.cout, self.cout, kernel_size=1),
            nn.BatchNorm2d(self.cout),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.cout, num_classes, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns one logit per class and pixel."""
        logits = self.last_layer(super().forward(x))  # (B, K, H/4, W/4)
        return self.resize(logits, x.shape[-2:])

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What `--train head` moves: the last two convolutions."""
        return self.last_layer.parameters()


def conv_norm(cin: int, cout: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """A convolution and batch normalisation: (B, cin, H, W) → (B, cout, H / stride, W / stride)."""
    options = {"stride": stride, "padding": kernel_size // 2, "bias": False}
    return nn.Sequential(nn.Conv2d(cin, cout, kernel_size, **options), nn.BatchNorm2d(cout))


def halving(cin: int, cout: int) -> nn.Sequential:
    """A 3x3 convolution of stride 2 with ReLU: (B, cin, H, W) → (B, cout, H/2, W/2)."""
    return nn.Sequential(*conv_norm(cin, cout, 3, stride=2), nn.ReLU(inplace=True))


def bottlenecks() -> nn.Sequential:
    """The first stage, one stream: four bottleneck blocks, (B, 64, H, W) → (B, 256, H, W)."""
    cout = STEM_CHANNELS * Bottleneck.expansion
    first = Bottleneck(STEM_CHANNELS, STEM_CHANNELS, downsample=conv_norm(STEM_CHANNELS, cout, 1))
    return nn.Sequential(first, *(Bottleneck(cout, STEM_CHANNELS) for _ in range(BLOCKS - 1)))


def stage(widths: list[int], align_corners: bool) -> nn.Sequential:
    """The modules that keep the number of streams: n streams → n streams."""
    modules = MODULES[len(widths)]
    return nn.Sequential(*(HighResolutionModule(widths, align_corners) for _ in range(modules)))


def exchange(widths: list[int], source: int, target: int) -> nn.Module:
    """What brings a stream to the channels of another, and down to its size (figure 3).

    Upwards a 1x1 convolution, the enlargement being left to `fuse`; downwards a 3x3 convolution of
    stride 2 for every halving, all but the last with a ReLU and at the source's channels.
    """
    if source == target:
        return nn.Identity()
    cin, cout = widths[source], widths[target]
    if source > target:
        return conv_norm(cin, cout, 1)
    halvings = [halving(cin, cin) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, conv_norm(cin, cout, 3, stride=2))


def transition(widths: list[int], new_widths: list[int]) -> nn.ModuleList:
    """What begins a stage: the streams at their new channels, and one more of half the size."""
    kept = [
        nn.Identity() if cin == cout else conv_norm_relu(cin, cout)
        for cin, cout in zip(widths, new_widths[:-1], strict=True)
    ]
    added = nn.Sequential(halving(widths[-1], new_widths[-1]))
    return nn.ModuleList([*kept, added])


def add_stream(layers: nn.ModuleList, streams: list[Tensor]) -> list[Tensor]:
    """Applies a transition: n streams → n + 1, the new one made of the last."""
    return [layer(x) for layer, x in zip(layers, [*streams, streams[-1]], strict=True)]


def initialize(module: nn.Module) -> None:
    """Draws a convolution's weights normally, √(2 / fan-out)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Maps the published weights' key names to ours.

    The names are the same but for what the official training script wraps around the network:
    `module.` and `model.` before every name, and `loss.…` for the class weights of its loss, which
    are no part of the network and are left out. timm's names need no translation either.
    """
    return {
        unwrapped(name): value
        for name, value in state.items()
        if not name.removeprefix("module.").startswith("loss.")
    }


def unwrapped(name: str) -> str:
    """The key name inside the wrappers of the training script."""
    return name.removeprefix("module.").removeprefix("model.")


MODELS = {"hrnet_w18": partial(HRNet, width=18), "hrnet_w48": partial(HRNet, width=48)}
