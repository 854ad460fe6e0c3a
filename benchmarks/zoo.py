"""The zoo beside the reference implementations, in one process and in turns.

    python -m benchmarks.zoo --rounds 5
    python -m benchmarks.zoo --models segformer_b0 hrnet_w18 --device cuda --size 512 1024

For each model: parameters, multiply-accumulates of one picture, images/s in training (forward,
loss, backward) and in inference, and memory (on the CPU the tensors that a training step keeps for
the gradients, on a GPU the peak). The ratio is the reference's time over ours: below 0.91 ours
would be more than 1.1 times as slow.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.requirements import development_packages
from benchmarks.timing import take_turns
from models import build_model
from support.engine.hardware import pick_autocast_dtype, pick_device, place
from support.formats.cityscapes import CITYSCAPES

with development_packages():
    import segmentation_models_pytorch as smp
    import timm
    import transformers

NUM_CLASSES = len(CITYSCAPES)
MI = 2**20


class TimmHRNet(nn.Module):
    """timm's HRNet, its fusion made bilinear, with the head of the official segmentation code."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = timm.create_model(name, features_only=True, feature_location="")
        for module in self.backbone.modules():
            if isinstance(module, nn.Upsample):
                module.mode = "bilinear"
        channels = sum(self.backbone.feature_info.channels()[1:])
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, NUM_CLASSES, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits, enlarged from a quarter of the size."""
        streams = self.backbone(x)[1:]  # the first is the stem's
        size = streams[0].shape[-2:]
        joined = torch.cat([F.interpolate(s, size, mode="bilinear") for s in streams], dim=1)
        return F.interpolate(self.head(joined), x.shape[-2:], mode="bilinear")


class Whole(nn.Module):
    """A reference whose output is a tensor of logits at the picture's size, like ours."""

    def __init__(self, model: nn.Module, logits: Callable[[object], list[Tensor]]) -> None:
        super().__init__()
        self.model, self.logits = model, logits

    def forward(self, x: Tensor) -> list[Tensor]:
        """Returns the logits, and the auxiliary ones in training."""
        found = self.logits(self.model(x))
        size = x.shape[-2:]
        return [
            each if each.shape[-2:] == size else F.interpolate(each, size, mode="bilinear")
            for each in found
        ]


def segformer(size: int) -> nn.Module:
    """transformers' SegFormer of a size, B0 ... B5."""
    widths = (32, 64, 160, 256) if size == 0 else (64, 128, 320, 512)
    depths = ((2, 2, 2, 2), (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 18, 3), (3, 8, 27, 3), (3, 6, 40, 3))
    config = transformers.SegformerConfig(
        num_labels=NUM_CLASSES,
        hidden_sizes=widths,
        depths=depths[size],
        decoder_hidden_size=256 if size < 2 else 768,
    )
    model = transformers.SegformerForSemanticSegmentation(config)
    return Whole(model, lambda output: [output.logits])


def torchvision_model(name: str) -> nn.Module:
    """torchvision's FCN or DeepLabV3 with its auxiliary head."""
    build = getattr(torchvision.models.segmentation, name)
    model = build(weights=None, weights_backbone=None, num_classes=NUM_CLASSES, aux_loss=True)
    return Whole(model, lambda output: list(output.values()))


def deeplabv3plus(backbone: str) -> nn.Module:
    """segmentation-models-pytorch's DeepLabV3+."""
    model = smp.DeepLabV3Plus(backbone, encoder_weights=None, classes=NUM_CLASSES)
    return Whole(model, lambda output: [output])


REFERENCES: dict[str, Callable[[], nn.Module]] = {
    **{name: (lambda name=name: torchvision_model(name))
       for name in ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")},
    "deeplabv3plus_resnet50": lambda: deeplabv3plus("resnet50"),
    "deeplabv3plus_resnet101": lambda: deeplabv3plus("resnet101"),
    **{f"segformer_b{size}": (lambda size=size: segformer(size)) for size in range(6)},
    "hrnet_w18": lambda: TimmHRNet("hrnet_w18"),
    "hrnet_w48": lambda: TimmHRNet("hrnet_w48"),
}  # fmt: skip
"""Whose speed ours is compared with; the models that are not here have no packaged reference."""
SHOWN = ("unet", "my_fcn", "fcn_resnet18", "fcn_resnet50", "deeplabv3_resnet50")
SHOWN += ("deeplabv3plus_resnet50", "segformer_b0", "segformer_b1", "hrnet_w18")


def outputs(output: Tensor | tuple | list) -> list[Tensor]:
    """The logits and the auxiliary logits of ours or of a reference, in one list."""
    if isinstance(output, Tensor):
        return [output]
    return [output[0], *output[1]] if isinstance(output, tuple) else list(output)


def steps_of(
    model: nn.Module, images: Tensor, target: Tensor, half: torch.dtype | None
) -> tuple[Callable[[], None], Callable[[], None]]:
    """One training step (without the optimiser) and one inference of a model."""

    def forward() -> list[Tensor]:
        with torch.autocast(images.device.type, half, enabled=half is not None):
            return outputs(model(images))

    def train() -> None:
        model.train().zero_grad(set_to_none=True)
        sum(F.cross_entropy(each.float(), target) for each in forward()).backward()

    def infer() -> None:
        model.eval()
        with torch.inference_mode():
            forward()

    return train, infer


def kept_memory(train: Callable[[], None], device: torch.device) -> float:
    """MiB that a training step takes: the peak on a GPU, else what it keeps for the gradients."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        train()
        return torch.cuda.max_memory_allocated() / MI
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        train()
    return sum(storages.values()) / MI


def count(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Parameters in millions, and multiply-accumulates of one picture in billions."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(images[:1])
    parameters = sum(each.numel() for each in model.parameters())
    return parameters / 1e6, counter.get_total_flops() / 2e9


def measure(name: str, args: argparse.Namespace) -> None:
    """Prints a line for our model, and one for the reference if there is one."""
    device = pick_device(args.device)
    half = pick_autocast_dtype(args.precision, device)
    torch.manual_seed(0)
    images = torch.randn(args.batch_size, 3, *args.size, device=device)
    images = images.to(memory_format=torch.channels_last)
    target = torch.randint(NUM_CLASSES, (args.batch_size, *args.size), device=device)
    contestants = {"ours": build_model(name, NUM_CLASSES)}
    if name in REFERENCES:
        contestants["reference"] = REFERENCES[name]()
    steps = {}
    for who, model in contestants.items():
        contestants[who] = place(model, device)
        steps[who] = steps_of(contestants[who], images, target, half)
    seconds = [
        take_turns({who: pair[mode] for who, pair in steps.items()}, args.rounds, warm_up=1)
        for mode in (0, 1)
    ]
    for who, model in contestants.items():
        parameters, macs = count(model, images)
        ratios = [
            statistics.median(r / o for r, o in zip(times["reference"], times["ours"], strict=True))
            for times in seconds
            if who == "ours" and "reference" in times
        ]
        rates = [args.batch_size / statistics.median(times[who]) for times in seconds]
        print(
            f"{name if who == 'ours' else '  reference':<26}{parameters:>8.2f}{macs:>8.2f}"
            f"{rates[0]:>9.2f}{rates[1]:>9.2f}{kept_memory(steps[who][0], device):>9.0f}"
            + "".join(f"{ratio:>8.2f}x" for ratio in ratios),
            flush=True,
        )


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=SHOWN, help="names of models")
    parser.add_argument("--size", nargs=2, type=int, default=[128, 256], help="height and width")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    args = parser.parse_args()
    print(f"{'':<26}{'M par.':>8}{'GMAC':>8}{'train/s':>9}{'infer/s':>9}{'MiB':>9}  ratios")
    for name in args.models:
        measure(name, args)


if __name__ == "__main__":
    main()
