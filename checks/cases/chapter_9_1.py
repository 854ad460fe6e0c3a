"""Further cases of TODO 9.1: atrous spatial pyramid pooling."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.common import describe, random_tensor
from checks.diagnosis.chapter_9 import (
    EVERYWHERE,
    MIDDLE,
    RATES,
    SIDE,
    cause_of_shape,
    cause_of_taps,
    few,
    grid,
    same,
)
from commands.companion.checking import wrong
from commands.companion.verdicts import SMALLEST


def build_aspp(
    cin: int = 1, cout: int = 1, rates: tuple[int, ...] = RATES, separable: bool = False
) -> nn.Module:
    """The student's pyramid; every convolution outside the projection adds up its taps."""
    from zoo.blocks import ASPP

    given = f"ASPP({cin}, {cout}, rates={rates}, separable={separable})"
    aspp = ASPP(cin, cout, rates=rates, separable=separable)
    found = convolutions(aspp)
    if not found:
        likely = "modules in a plain list are invisible to PyTorch: self.convs = nn.ModuleList(...)"
        wrong(given=given, expected="the branches' weights", got="none", likely=likely)
    large = [each for each in found if max(each.kernel_size) > 1]
    if 0 < len(large) < len(rates):
        likely = "one 3x3 branch for each of the rates, however many there are"
        if len(large) == 1:
            likely = "the branches share one convolution: make a new one for each rate"
        got = f"{len(large)} of them"
        wrong(given=given, expected=f"{len(rates)} 3x3 convolutions", got=got, likely=likely)
    for each in found:
        nn.init.ones_(each.weight)
        if each.bias is not None:
            nn.init.zeros_(each.bias)
    return aspp


def convolutions(aspp: nn.Module) -> list[nn.Conv2d]:
    """Those of the branches."""
    projection = set(aspp.project.modules())
    found = [each for each in aspp.modules() if each not in projection]
    return [each for each in found if isinstance(each, nn.Conv2d)]


def see(aspp: nn.Module, x: Tensor, given: str) -> Tensor:
    """What is handed to the projection."""
    aspp.project = nn.Identity()
    branches = len(RATES) + 2
    try:
        seen = aspp(x)
    except RuntimeError as error:
        text = str(error).split("\n")[0]
        likely = None
        large = [each for each in convolutions(aspp) if each.kernel_size == (3, 3)]
        if "Sizes of tensors must match" in text and any(c.padding != c.dilation for c in large):
            likely = "a 3x3 convolution of rate r keeps the size with padding = r"
        elif "Sizes of tensors must match" in text:
            likely = "the vector of the image as a whole must be spread over the H x W pixels"
        elif f"got {convolutions(aspp)[0].out_channels} channels" in text:
            likely = "a branch was given what another one made: each of them sees x"
        expected = f"{branches} branches side by side"
        wrong(given=given, expected=expected, got=f"RuntimeError: {text[:200]}", likely=likely)
    cout = convolutions(aspp)[0].out_channels
    expected = (len(x), branches * cout, *x.shape[2:])
    if not isinstance(seen, Tensor) or seen.shape != expected:
        wrong(
            given=given,
            expected=f"a tensor {expected}",
            got=describe(seen),
            likely=cause_of_shape(seen, expected, cout),
        )
    return seen


def in_words(taps: Sequence[Collection[tuple[int, int]]]) -> str:
    """From how many places each branch sees the bright pixel, and how far away they are."""
    reach = [max((max(map(abs, place)) for place in tap), default=0) for tap in taps]
    reaches = sorted(zip(map(len, taps), reach, strict=True))
    places, pixels = [count for count, _ in reaches], [reach for _, reach in reaches]
    return f"from {places} places, up to {pixels} pixels away"


@pytest.mark.todo("9.1", points=3, needs=[])
@pytest.mark.parametrize("separable", [False, True])
def test_9_1_branches_see_at_their_rates(separable: bool) -> None:
    """Each branch sees as far as its rate says, the last one everywhere."""
    aspp = build_aspp(separable=separable).eval()
    x = torch.zeros(1, 1, SIDE, SIDE)
    x[..., MIDDLE, MIDDLE] = 1.0
    given = f"one bright pixel in the middle, rates {RATES}, all weights 1"
    seen = see(aspp, x, given)[0].detach()
    taps = [
        frozenset((int(i) - MIDDLE, int(j) - MIDDLE) for i, j in (channel != 0).nonzero())
        for channel in seen
    ]
    wanted = [grid(0), *(grid(rate) for rate in RATES), EVERYWHERE]
    if sorted(taps, key=sorted) != sorted(wanted, key=sorted):
        wrong(
            given=given,
            expected=f"branches that see it {in_words(wanted)}",
            got=in_words(taps),
            likely=cause_of_taps(taps),
        )


@pytest.mark.todo("9.1", points=3, needs=[])
@pytest.mark.parametrize("size", [(7, 11), (1, 4), (16, 9)])
def test_9_1_channels_and_sizes(size: tuple[int, int]) -> None:
    """Each branch has cout channels and the size of the features, however small."""
    for cin, cout in ((6, 2), (4, 4)):
        aspp = build_aspp(cin, cout).eval()
        given = f"features (2, {cin}, {size[0]}, {size[1]}), cout = {cout}"
        see(aspp, torch.rand(2, cin, *size), given)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_other_rates() -> None:
    """There is one 3x3 branch for each rate, however many there are."""
    for rates in ((1,), (2, 4), (1, 2, 3, 4)):
        aspp = build_aspp(2, 3, rates)
        given = f"rates {rates}"
        found = sorted(each.dilation[0] for each in convolutions(aspp) if each.kernel_size[0] == 3)
        if found != sorted(rates):
            likely = "one 3x3 branch for each of the rates, however many there are"
            likely = likely if len(found) != len(rates) else None
            wrong(given=given, expected=f"rates {list(rates)}", got=found, likely=likely)
        result = aspp.eval()(torch.rand(2, 2, 5, 6))
        if result.shape != (2, 3, 5, 6):
            wrong(given=given, expected="a tensor (2, 3, 5, 6)", got=describe(result))


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_image_as_a_whole() -> None:
    """The pooled branch has each image's own mean, at every pixel."""
    from zoo.blocks import ImagePooling

    random = np.random.default_rng(1).random((2, 2, 4, 6))
    bright = random * np.array([1.0, 5.0])[:, None, None, None]
    small = np.array([[[[0.0, 2.0]], [[4.0, 8.0]]], [[[1.0, 1.0]], [[0.0, 0.0]]]])
    pooling = ImagePooling(2, 2).eval()
    for each in pooling.modules():
        if isinstance(each, nn.Conv2d):
            with torch.no_grad():
                each.weight.copy_(torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 2, 1, 1))
    weights = "the weights of output channel 0 are 1, those of channel 1 are 2"
    as_text = f"{SMALLEST}features {small.astype(int).tolist()}; {weights}"
    for x, given in ((small, as_text), (bright, f"features (2, 2, 4, 6); {weights}")):
        check_pooled(pooling(torch.from_numpy(x).float()), x, given)


def check_pooled(result: object, x: np.ndarray, given: str) -> None:
    """What `ImagePooling` makes of features, where it adds up channels, and twice that."""
    if not isinstance(result, Tensor) or result.shape != x.shape:
        likely = "the vector (B, cout, 1, 1) must be spread over all H x W pixels: expand"
        got = describe(result)
        wrong(given=given, expected=f"a tensor {x.shape}", got=got, likely=likely)
    got = result.double().detach().numpy()
    mean = x.sum(1).mean((1, 2)) / math.sqrt(1 + 1e-5)
    expected = np.broadcast_to((mean[:, None] * [1.0, 2.0])[..., None, None], got.shape)
    if same(got, expected):
        return
    pixels, likely = x.shape[2] * x.shape[3], None
    if not same(got, np.broadcast_to(got[:, :, :1, :1], got.shape)):
        likely = "the vector must stand at every pixel, the same everywhere"
    elif same(got[0], got[1]):
        likely = "all images get one vector; each has its own"
    elif same(got / pixels, expected) or same(got * pixels, expected):
        likely = "the mean over the pixels is wanted, neither their sum nor a share of it"
    wrong(
        given=f"{given}; the first pixel of each channel, image by image",
        expected=few(expected[:, :, 0, 0]),
        got=few(got[:, :, 0, 0]),
        likely=likely,
    )


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_separable_convolutions() -> None:
    """`separable` makes the 3x3 branches work within channels, and no other."""
    for separable, wanted in ((False, 0), (True, len(RATES))):
        found = convolutions(build_aspp(4, 3, separable=separable))
        count = sum(each.groups == 4 and each.kernel_size == (3, 3) for each in found)
        if count != wanted:
            likely = "`separable` is not passed on to the 3x3 branches" if separable else None
            given = f"4 channels, separable={separable}"
            expected = f"{wanted} convolutions within each channel"
            wrong(given=given, expected=expected, got=count, likely=likely)
        small = sum(each.groups > 1 and each.kernel_size == (1, 1) for each in found)
        if small:
            given, expected = f"separable={separable}", "whole 1x1 convolutions"
            likely = "`separable` is for the 3x3 branches alone"
            got = f"{small} within each channel"
            wrong(given=given, expected=expected, got=got, likely=likely)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_normalised_and_rectified() -> None:
    """Every branch ends with batch normalisation and ReLU."""
    x = random_tensor(3, 2, 1, 8, 9).abs()
    x[1] *= 3  # the images' means differ by far more than the epsilon of batch normalisation
    aspp = build_aspp().eval()
    for each in convolutions(aspp):
        nn.init.constant_(each.weight, -1.0)
    given = "features above 0, all weights -1"
    least = see(aspp, x, given).min().item()
    if least < 0:
        likely = "a branch has no ReLU at its end"
        wrong(given=given, expected="nothing below 0", got=f"{least:.4g}", likely=likely)
    first, second = (see(build_aspp().train(), factor * x, given) for factor in (10, 1000))
    if not same(second.detach().numpy(), first.detach().numpy(), 1e-2):
        likely = "a branch has no batch normalisation after its convolution"
        given = "in training, the same features 10 and 1000 times as large"
        wrong(given=given, expected="the same", got="other values", likely=likely)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_every_weight_learns() -> None:
    """Gradients reach all weights; a batch of one works in training."""
    aspp = build_aspp(3, 2).train()
    ran = []
    for module in aspp.modules():
        module.register_forward_hook(lambda module, *_: ran.append(module))
    aspp(torch.rand(2, 3, 7, 8)).square().sum().backward()
    without = [name for name, each in aspp.named_parameters() if each.grad is None]
    if without:
        has_run = aspp.get_submodule(without[0].rpartition(".")[0]) in ran
        likely = "a branch takes no part: forward calls all of them"
        likely = "what the branch gives is cut off: detach(), .data" if has_run else likely
        got = f"none for {', '.join(without[:3])}"
        wrong(given="a step of training", expected="gradients", got=got, likely=likely)
    single = aspp(torch.rand(1, 3, 7, 8))
    if single.shape != (1, 2, 7, 8):
        wrong(given="a batch of one", expected="a tensor (1, 2, 7, 8)", got=describe(single))
