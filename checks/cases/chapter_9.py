"""Further cases of chapter 9: the optional TODOs of the zoo."""

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from checks.common import VOID, near, random_tensor
from checks.diagnosis.chapter_9 import (
    EVERYWHERE,
    MIDDLE,
    RATES,
    SIDE,
    WEIGHTS,
    AttentionByHand,
    Errors,
    Features,
    LovaszByHand,
    Pixels,
    TverskyByHand,
    a_batch,
    attention_question,
    cause_of_shape,
    cause_of_taps,
    few,
    grid,
    pixels_question,
    same,
    slopes_question,
)
from commands.companion.checking import wrong
from commands.companion.verdicts import SMALLEST
from zoo.losses import DiceLoss, TverskyLoss
from zoo.losses_region import LovaszLoss, lovasz_slopes


def describe(value: object) -> str:
    """What kind of thing came."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    return f"{type(value).__name__} {str(value)[:60]}"


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


# ------------------------------------------------------------------ 9.2 efficient self-attention


def build_attention(channels: int, heads: int, reduction: int, seed: int = 0) -> nn.Module:
    """The student's attention with weights of a size that tells the heads apart, in float64."""
    from zoo.segformer import EfficientSelfAttention

    torch.manual_seed(seed)
    attention = EfficientSelfAttention(channels, heads, reduction).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.7)
    watch_lengths(attention)
    return attention


def watch_lengths(attention: nn.Module) -> None:
    """Fails a test before keys and values of different number meet: PyTorch may crash on them."""
    found: dict[str, int] = {}

    def note(name: str, output: Tensor) -> None:
        found[name] = output.numel() // output.shape[-1]
        if len(found) == 2:
            key, value = found.pop("k_proj"), found.pop("v_proj")
            if key != value:
                likely = "keys and values both come from the reduced x; one is taken from x itself"
                expected, got = "as many values as keys", f"{key} keys, {value} values"
                wrong(given="a batch of features", expected=expected, got=got, likely=likely)

    for name in ("k_proj", "v_proj"):
        getattr(attention, name).register_forward_hook(
            lambda layer, inputs, output, name=name: note(name, output)
        )


def attend(module: nn.Module, x: Tensor, given: str) -> Tensor:
    """Calls the student's attention, and checks the shape of the result."""
    expected = f"a tensor {tuple(x.shape)}: queries from x, keys and values from the reduced x"
    try:
        result = module(x)
    except RuntimeError as error:
        text = str(error).split("\n")[0][:200]
        wrong(given=given, expected=expected, got=f"RuntimeError: {text}")
    if not isinstance(result, Tensor) or result.shape != x.shape:
        likely = "as many positions and channels come out as went in"
        wrong(given=given, expected=expected, got=describe(result), likely=likely)
    return result


def attended(x: Features) -> np.ndarray:
    """What the student's attention makes of features."""
    return attend(x.module(build_attention), x.values(), x.given()).detach().numpy()


@pytest.mark.todo("9.2", points=3, needs=[])
@pytest.mark.parametrize(
    ("channels", "heads", "reduction", "size"),
    [
        (6, 3, 2, (4, 6)),
        (8, 2, 3, (7, 9)),
        (12, 4, 1, (3, 2)),
        (5, 1, 2, (4, 4)),
        (6, 2, 4, (4, 5)),
    ],
)
def test_9_2_attention_follows_the_formula(
    channels: int, heads: int, reduction: int, size: tuple[int, int]
) -> None:
    """softmax(q k / √d) v of each head, with and without a fused kernel."""
    x = Features(channels, heads, reduction, size)
    question = attention_question(attended, build_attention)
    question.check(x)
    with sdpa_kernel(SDPBackend.MATH):  # as on a machine without a fused kernel
        question.check(x)
    values = x.values()
    module, kept = x.module(build_attention), values.clone()
    first, second = module(values), module(values)
    if not torch.equal(values, kept):
        wrong(given=x.given(), expected="features that stay as they were", got="they were changed")
    if not torch.equal(first, second):
        wrong(given=x.given(), expected="the same result twice", got="two", likely="dropout")


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_sequence_is_reduced() -> None:
    """Keys and values come from R² times as few positions, queries from all."""
    module = build_attention(4, 2, 2)
    seen: dict[str, int] = {}
    for name in ("q_proj", "k_proj", "v_proj"):
        getattr(module, name).register_forward_hook(
            lambda layer, inputs, output, name=name: seen.update({name: output[0].numel() // 4})
        )
    given = "features (1, 6, 8, 4), R = 2"
    attend(module, torch.randn(1, 6, 8, 4, dtype=torch.float64), given)
    expected = {"q_proj": 48, "k_proj": 12, "v_proj": 12}
    if any(seen[name] != expected[name] for name in seen):
        words = f"positions {expected}: k_proj and v_proj take the reduced x, R² times as few"
        wrong(given=given, expected=words, got=seen)


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_large_scores_stay_finite() -> None:
    """Large scores overflow nowhere."""
    module = build_attention(4, 2, 1).float()
    x = 100 * torch.randn(1, 3, 4, 4)
    given = "features around 100, float32"
    got = attend(module, x, given)
    if not got.isfinite().all():
        expected = "finite numbers: the largest score is subtracted first, as torch.softmax does"
        wrong(given=given, expected=expected, got="inf or nan")
    expected = AttentionByHand(module.double(), x.double()).result()
    if not same(got.double().detach().numpy(), expected, 1e-3):
        wrong(given=given, expected=few(expected), got=few(got.detach()))


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_every_weight_learns() -> None:
    """Gradients reach the features and all weights."""
    module = build_attention(6, 3, 2)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    attend(module, x, "features (2, 4, 6, 6)").square().sum().backward()
    without = [name for name, each in module.named_parameters() if each.grad is None]
    if without or x.grad is None:
        got = f"none for {', '.join(without[:3]) or 'x'}"
        expected = "gradients: nothing is detached, and everything takes part"
        wrong(given="a step of training", expected=expected, got=got)


# ------------------------------------------------------------------ 9.3 and 9.4 the losses


def numeric_gradient(loss_of: Callable[[np.ndarray], float], logits: np.ndarray) -> np.ndarray:
    """By central differences."""
    gradient, step = np.zeros_like(logits), 1e-6
    for place in np.ndindex(logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        gradient[place] = (loss_of(moved[0]) - loss_of(moved[1])) / (2 * step)
    return gradient


A_SCALAR = "a scalar tensor, from which backward() goes back to the logits"


def scalar_of(criterion: nn.Module, logits: Tensor, target: Tensor, given: str) -> Tensor:
    """The loss, when it is a tensor of one number."""
    loss = criterion(logits, target)
    if not isinstance(loss, Tensor):
        likely = "item(), float() and numpy() cut it off from the logits: keep the tensor"
        wrong(given=given, expected=A_SCALAR, got=describe(loss), likely=likely)
    if loss.shape != ():
        likely = "one number for the whole batch: the mean over the classes is missing"
        wrong(given=given, expected=A_SCALAR, got=describe(loss), likely=likely)
    return loss


def value_and_gradient(
    criterion: nn.Module, logits: Tensor, target: Tensor, given: str
) -> tuple[float, np.ndarray]:
    """The loss as a number, and its gradient for the logits."""
    leaf = logits.detach().clone().requires_grad_()
    loss = scalar_of(criterion, leaf, target, given)
    if loss.requires_grad:
        loss.backward()
    if leaf.grad is None:
        likely = "the loss is cut off from the logits: detach(), argmax, no_grad(), a new tensor"
        got = f"{loss.item():.4g} without a gradient"
        wrong(given=given, expected=A_SCALAR, got=got, likely=likely)
    return loss.item(), leaf.grad.double().numpy()


def check_loss(criterion_of: Callable[[Pixels], nn.Module], x: Pixels, kind: type) -> None:
    """Compares value and gradient with those worked out by hand."""

    def value(x: Pixels) -> float:
        return scalar_of(criterion_of(x), x.logits.clone(), x.target, "a batch").item()

    pixels_question(value, kind, x).check(x)
    given = pixels_question(value, kind, x).given(x)
    hand, criterion = x.by_hand(kind), criterion_of(x)
    _, gradient = value_and_gradient(criterion, x.logits, x.target, given)
    if np.abs(gradient * ~hand.valid[:, None]).max() > 0:
        likely = "void pixels have a gradient: they must change nothing"
        wrong(given=given, expected="0 at void pixels", got="a gradient", likely=likely)
    numeric = numeric_gradient(
        lambda z: x._replace(logits=torch.from_numpy(z)).by_hand(kind).loss(), x.logits.numpy()
    )
    if not same(gradient, numeric, 1e-3):
        likely = "a part of it is detached, or not made of the probabilities"
        likely = likely if np.isfinite(gradient).all() else None
        got = few(gradient)
        wrong(given=f"{given}; the gradient", expected=few(numeric), got=got, likely=likely)


def dice(x: Pixels) -> nn.Module:
    """The student's Dice loss."""
    return DiceLoss(x.class_weights(), ignore_index=x.void)


def tversky(x: Pixels) -> nn.Module:
    """The student's Tversky loss."""
    return TverskyLoss(x.class_weights(), alpha=x.alpha, beta=x.beta, ignore_index=x.void)


def lovasz(x: Pixels) -> nn.Module:
    """The student's Lovász loss."""
    return LovaszLoss(x.class_weights(), ignore_index=x.void)


def check_edges(make: Callable[[], nn.Module], what: str) -> None:
    """All void, logits without bounds, half precision, another ignore index."""
    criterion = make()
    logits, target = a_batch()
    given = f"{what}, all pixels void"
    value, gradient = value_and_gradient(criterion, logits, torch.full_like(target, VOID), given)
    if value != 0 or np.abs(gradient).max() > 0 or not np.isfinite(gradient).all():
        likely = "0 / 0: `ratio` divides safely"
        if math.isfinite(value):
            likely = "no class is present, so the mean over the present ones has nothing to add up"
        got = f"{value:.4g} with a gradient up to {np.abs(gradient).max():.4g}"
        wrong(given=given, expected="0 with zero gradients", got=got, likely=likely)
    given = f"{what}, logits of ±1000"
    value, gradient = value_and_gradient(criterion, 1000 * logits.sign(), target, given)
    if not math.isfinite(value) or not np.isfinite(gradient).all():
        wrong(given=given, expected="finite numbers", got=f"{value:.4g}, or nan in the gradient")
    given = f"{what}, uint8 target"
    results = [criterion(logits, each).item() for each in (target, target.to(torch.uint8))]
    if results[0] != results[1]:
        wrong(given=given, expected=f"{results[0]:.6g} as for int64", got=f"{results[1]:.6g}")


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", [1, 2])
def test_9_3_dice_loss_follows_the_formula(weights: list[float] | None, seed: int) -> None:
    """Loss and gradient of the Dice loss, with class weights and without."""
    check_loss(dice, Pixels(*a_batch(seed=seed), weights), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (2.0, 0.5), (0.0, 1.0)])
def test_9_3_alpha_is_for_too_much_and_beta_for_missed(alpha: float, beta: float) -> None:
    """alpha weighs false positives, beta false negatives."""
    check_loss(tversky, Pixels(*a_batch(seed=3), None, VOID, alpha, beta), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    for void in (0, 7):
        check_loss(dice, Pixels(*a_batch(seed=4, void=void), None, void), TverskyByHand)


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_at_its_edges() -> None:
    """All void gives 0; logits of ±1000 and uint8 targets are no trouble."""
    check_edges(DiceLoss, "Dice")


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_of_small_classes_is_not_smoothed() -> None:
    """A class of one pixel has its own ratio: no constant is added."""
    logits = torch.tensor([0.0, 3.0, -2.0]).double().view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    target = torch.tensor([[[0, VOID], [VOID, VOID]]])
    check_loss(dice, Pixels(logits, target), TverskyByHand)


def slopes_of(x: Errors) -> np.ndarray:
    """The student's slopes of one class, of a picture of one row."""
    errors, is_class = x.arrays()
    maps = torch.from_numpy(np.stack([1 - errors, errors]))[None, :, None]  # (1, 2, 1, N)
    ids = torch.from_numpy(is_class.astype(np.int64))[None, None]
    result = lovasz_slopes(maps, ids)
    if not isinstance(result, Tensor) or result.shape != maps.shape:
        wrong(given="a picture", expected=f"a tensor {tuple(maps.shape)}", got=describe(result))
    return result[0, 1, 0].numpy()


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_slopes_are_what_each_pixel_adds() -> None:
    """The slope of an error is what it adds to the Jaccard loss."""
    random = np.random.default_rng(0)
    some = random.permutation(12) / 12 + 0.01, random.integers(0, 2, 12)
    for errors, flags in (
        ([0.2, 0.9, 0.5, 0.7, 0.1], [1, 0, 1, 0, 0]),
        ([0.3, 0.4, 0.8], [1, 1, 1]),
        (some[0].tolist(), some[1].tolist()),
    ):
        slopes_question(slopes_of).check(Errors(errors, flags))


@pytest.mark.todo("9.4", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", [1, 2])
def test_9_4_lovasz_loss_follows_the_formula(weights: list[float] | None, seed: int) -> None:
    """Loss and gradient of the Lovász loss, with class weights and without."""
    check_loss(lovasz, Pixels(*a_batch(seed=seed), weights), LovaszByHand)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_hard_predictions_cost_one_minus_iou() -> None:
    """For certain predictions the loss is 1 - mean IoU."""
    target = torch.tensor([[[0, 0, 0, 1, 1, VOID]]])
    guess = torch.tensor([[[0, 0, 1, 1, 0, 1]]])
    logits = 1000.0 * nn.functional.one_hot(guess, 3).permute(0, 3, 1, 2).double()
    expected, given = 1 - (2 / 4 + 1 / 3) / 2, "certain logits, IoU 2/4 and 1/3, class 2 absent"
    value = LovaszLoss()(logits, target).item()
    if not near(value, expected):
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}")


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    """The ignore index may be another than 255."""
    for void in (0, 7):
        check_loss(lovasz, Pixels(*a_batch(seed=4, void=void), None, void), LovaszByHand)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_at_its_edges() -> None:
    """All void gives 0; logits of ±1000 and uint8 targets are no trouble."""
    check_edges(LovaszLoss, "Lovász")
