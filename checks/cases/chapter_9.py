"""Further cases of chapter 9: the optional TODOs of the zoo."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.diagnosis.chapter_9 import (
    EVERYWHERE,
    MIDDLE,
    RATES,
    SIDE,
    cause_of_shape,
    cause_of_taps,
    grid,
    jaccard_losses,
    recognise,
    wrong_slopes,
)
from commands.companion.checking import wrong
from zoo.losses import DiceLoss, TverskyLoss
from zoo.losses_region import LovaszLoss, lovasz_slopes

VOID = 255


def near(value: float, expected: float, tolerance: float = 1e-5) -> bool:
    """Whether a number is right but for rounding; NaN and infinities never are."""
    return math.isfinite(value) and abs(value - expected) <= tolerance * max(1.0, abs(expected))


def same(got: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether all numbers are right but for rounding, by the size of the largest."""
    size = float(np.abs(expected).max(initial=1e-30))
    return got.shape == expected.shape and bool(np.all(np.abs(got - expected) <= tolerance * size))


def few(values: object) -> str:
    """A few numbers in short."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return f"[{', '.join(f'{each:.4g}' for each in flat[:8])}{', …' if flat.size > 8 else ''}]"


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
        if "Sizes of tensors must match" in text:
            likely = (
                "the branches differ in size: a 3x3 convolution of rate r keeps the size with "
                "padding = r, and the vector of the image as a whole must be spread over the pixels"
            )
        if "channels, but got" in text:
            likely = (
                "a branch was given what another one made: they do not stand one after the other, "
                "each of them sees x"
            )
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


@pytest.mark.todo("9.1", points=3, needs=[])
@pytest.mark.parametrize("separable", [False, True])
def test_9_1_branches_see_at_their_rates(separable: bool) -> None:
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
            expected=f"branches that see it from {sorted(map(len, wanted))} places",
            got=f"from {sorted(map(len, taps))} places",
            likely=cause_of_taps(taps),
        )


@pytest.mark.todo("9.1", points=3, needs=[])
@pytest.mark.parametrize("size", [(7, 11), (1, 4), (16, 9)])
def test_9_1_channels_and_sizes(size: tuple[int, int]) -> None:
    for cin, cout in ((6, 2), (4, 4)):
        aspp = build_aspp(cin, cout).eval()
        given = f"features (2, {cin}, {size[0]}, {size[1]}), cout = {cout}"
        see(aspp, torch.rand(2, cin, *size), given)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_other_rates() -> None:
    for rates in ((1,), (2, 4), (1, 2, 3, 4)):
        aspp = build_aspp(2, 3, rates)
        given = f"rates {rates}"
        found = sorted(each.dilation[0] for each in convolutions(aspp) if each.kernel_size[0] == 3)
        if found != sorted(rates):
            likely = "one 3x3 branch for each of the rates, however many there are"
            wrong(given=given, expected=f"rates {list(rates)}", got=found, likely=likely)
        result = aspp.eval()(torch.rand(2, 2, 5, 6))
        if result.shape != (2, 3, 5, 6):
            wrong(given=given, expected="a tensor (2, 3, 5, 6)", got=describe(result))


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_image_as_a_whole() -> None:
    from zoo.blocks import ImagePooling

    pooling = ImagePooling(3, 2).eval()
    for each in pooling.modules():
        if isinstance(each, nn.Conv2d):
            nn.init.ones_(each.weight)
    random = np.random.default_rng(1)
    x = random.random((2, 3, 4, 6)) * np.array([1.0, 5.0])[:, None, None, None]
    given = "features (2, 3, 4, 6), the second image five times as bright, all weights 1"
    result = pooling(torch.from_numpy(x).float())
    if not isinstance(result, Tensor) or result.shape != (2, 2, 4, 6):
        likely = "the vector (B, cout, 1, 1) must be spread over all H x W pixels: expand"
        wrong(given=given, expected="a tensor (2, 2, 4, 6)", got=describe(result), likely=likely)
    got = result.double().detach().numpy()
    mean = x.sum(1).mean((1, 2)) / math.sqrt(1 + 1e-5)
    expected = np.broadcast_to(mean[:, None, None, None], got.shape)
    if same(got, expected):
        return
    likely = None
    if not same(got, np.broadcast_to(got[:, :, :1, :1], got.shape)):
        likely = "the vector must stand at every pixel, the same everywhere"
    elif same(got[0], got[1]):
        likely = "all images get one vector; each has its own"
    elif same(got / 24, expected) or same(got * 24, expected):
        likely = "the mean over the pixels is wanted, neither their sum nor a share of it"
    wrong(given=given, expected=few(expected[:, 0, 0, 0]), got=few(got[:, 0, 0, 0]), likely=likely)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_separable_convolutions() -> None:
    for separable, wanted in ((False, 0), (True, len(RATES))):
        found = convolutions(build_aspp(4, 3, separable=separable))
        count = sum(each.groups == 4 and each.kernel_size == (3, 3) for each in found)
        if count != wanted:
            likely = "`separable` is not passed on to the 3x3 branches"
            given = f"4 channels, separable={separable}"
            expected = f"{wanted} convolutions within each channel"
            wrong(given=given, expected=expected, got=count, likely=likely)


@pytest.mark.todo("9.1", points=3, needs=[])
def test_9_1_normalised_and_rectified() -> None:
    x = torch.rand(2, 1, 8, 9)
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
    aspp = build_aspp(3, 2).train()
    aspp(torch.rand(2, 3, 7, 8)).square().sum().backward()
    without = [name for name, each in aspp.named_parameters() if each.grad is None]
    if without:
        likely = "a branch takes no part: forward calls all of them"
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


def softmax(scores: np.ndarray, axis: int) -> np.ndarray:
    """In numpy."""
    shifted = np.exp(scores - scores.max(axis, keepdims=True))
    return shifted / shifted.sum(axis, keepdims=True)


class AttentionByHand:
    """softmax(Q Kᵀ / √d) V, and what the well-known mistakes give instead."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.module, self.heads, self.shape = module, module.heads, tuple(x.shape)
        self.depth = x.shape[-1] // module.heads
        with torch.no_grad():
            self.x, self.reduced = x.numpy(), module.reduction(x).numpy()
        self.query = self.project("q_proj", self.x)
        self.key, self.value = (self.project(n, self.reduced) for n in ("k_proj", "v_proj"))

    def project(self, name: str, x: np.ndarray) -> np.ndarray:
        """A linear layer of the module: (B, ..., C) → (B, N, C)."""
        layer = getattr(self.module, name)
        weight, bias = (each.detach().numpy() for each in (layer.weight, layer.bias))
        return x.reshape(len(x), -1, x.shape[-1]) @ weight.T + bias

    def split(self, x: np.ndarray, heads: int) -> np.ndarray:
        """(B, N, C) → (B, heads, N, d)."""
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    def cut(self, x: np.ndarray, heads: int) -> np.ndarray:
        """The same shape by a reshape alone, which mixes positions and channels."""
        return x.reshape(len(x), heads, x.shape[1], -1)

    def interleave(self, x: np.ndarray, heads: int) -> np.ndarray:
        """The same shape, a head taking every `heads`-th channel."""
        return np.moveaxis(x.reshape(*x.shape[:2], -1, heads), 3, 1)

    def attended(
        self,
        key: np.ndarray,
        value: np.ndarray,
        scale: float | None = None,
        weigh: Callable[[np.ndarray], np.ndarray] = lambda scores: softmax(scores, -1),
        split: Callable[[np.ndarray, int], np.ndarray] | None = None,
        heads: int | None = None,
    ) -> np.ndarray:
        """The heads' results: (B, heads, N, d)."""
        split, heads = split or self.split, heads or self.heads
        query, key, value = (split(each, heads) for each in (self.query, key, value))
        scale = scale or math.sqrt(query.shape[-1])
        return weigh(query @ key.swapaxes(-1, -2) / scale) @ value

    def joined(self, attended: np.ndarray) -> np.ndarray:
        """(B, heads, N, d) → what the last layer makes of it, (B, H, W, C)."""
        return self.out(attended.swapaxes(1, 2).reshape(self.shape))

    def out(self, joined: np.ndarray) -> np.ndarray:
        """The last linear layer."""
        return self.project("o_proj", joined).reshape(self.shape)

    def result(self) -> np.ndarray:
        """What is right."""
        return self.joined(self.attended(self.key, self.value))

    def mistakes(self) -> dict[str, np.ndarray]:
        """Likely cause → the result that it gives."""
        key, value, joined, attended = self.key, self.value, self.joined, self.attended
        everywhere = [self.project(name, self.x) for name in ("k_proj", "v_proj")]
        channels, positions = self.shape[-1], key.shape[1]
        whole = attended(key, value)
        causal = np.tril(np.ones((self.query.shape[1], positions), bool))
        found = {
            "keys and values are taken from x itself: the sequence is not reduced": (
                joined(attended(*everywhere))
            ),
            "the scores are divided by the root of all C channels; a head has d = C / heads": (
                joined(attended(key, value, math.sqrt(channels)))
            ),
            "the scores are divided by d; by its root": joined(attended(key, value, self.depth)),
            "the scores are divided by C; by the root of d": joined(attended(key, value, channels)),
            "the scores are not divided by √d": joined(attended(key, value, 1.0)),
            "the scores are multiplied by √d; divide": (
                joined(attended(key, value, 1 / math.sqrt(self.depth)))
            ),
            "the scores are divided by √heads; by the root of d = C / heads": (
                joined(attended(key, value, math.sqrt(self.heads)))
            ),
            "the scores are divided by the root of the number of positions": (
                joined(attended(key, value, math.sqrt(positions)))
            ),
            "the softmax is over the queries; each query's weights for the keys add up to 1": (
                joined(attended(key, value, weigh=lambda s: softmax(s, -2)))
            ),
            "the softmax is over the heads; over the keys": (
                joined(attended(key, value, weigh=lambda s: softmax(s, 1)))
            ),
            "there is no softmax": joined(attended(key, value, weigh=lambda s: s)),
            "a sigmoid stands for the softmax": (
                joined(attended(key, value, weigh=lambda s: 1 / (1 + np.exp(-s))))
            ),
            "heads and positions are mixed up by a reshape: transpose(1, 2) the result before it": (
                self.out(whole.reshape(self.shape))
            ),
            "heads and positions are mixed up by a reshape to (B, heads, N, d): self.split_heads": (
                joined(attended(key, value, split=self.cut))
            ),
            "the heads take every so many-th channel: self.split_heads takes d in a row": (
                joined(attended(key, value, split=self.interleave))
            ),
            "there is one head for all channels: self.split_heads": (
                joined(attended(key, value, heads=1))
            ),
            "keys and values are exchanged": joined(attended(value, key)),
            "the values are the keys": joined(attended(key, key)),
            "the keys are made by q_proj": (
                joined(attended(self.project("q_proj", self.reduced), value))
            ),
            "o_proj is applied twice: the line below does it": (self.out(joined(whole))),
            "x is added: the block around the attention does that": (
                self.out(whole.swapaxes(1, 2).reshape(self.shape) + self.x)
            ),
            "positions are hidden from those before them; every query sees all keys": (
                joined(
                    attended(key, value, weigh=lambda s: softmax(np.where(causal, s, -1e30), -1))
                )
            ),
        }
        mixed = whole.swapaxes(2, 3).reshape(self.shape)
        found["positions and channels are exchanged before the last reshape"] = self.out(mixed)
        return found


def attend(module: nn.Module, x: Tensor, given: str) -> Tensor:
    """Calls the student's attention; a mismatch of shapes is explained."""
    try:
        result = module(x)
    except RuntimeError as error:
        likely = (
            "the queries come from x, one for each of the N positions; keys and values both come "
            "from the reduced x, N / R² of them"
        )
        text = str(error).split("\n")[0][:200]
        expected = f"a tensor {tuple(x.shape)}"
        wrong(given=given, expected=expected, got=f"RuntimeError: {text}", likely=likely)
    if not isinstance(result, Tensor) or result.shape != x.shape:
        likely = "as many positions and channels come out as went in"
        wrong(
            given=given, expected=f"a tensor {tuple(x.shape)}", got=describe(result), likely=likely
        )
    return result


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
    module = build_attention(channels, heads, reduction)
    x = torch.randn(2, *size, channels, dtype=torch.float64)
    given = f"features {tuple(x.shape)}, {heads} heads, R = {reduction}"
    kept = x.clone()
    got = attend(module, x, given).detach().numpy()
    if not torch.equal(x, kept):
        wrong(given=given, expected="features that stay as they were", got="they were changed")
    hand = AttentionByHand(module, x)
    expected = hand.result()
    if not same(got, expected, 1e-4):
        likely = recognise(lambda each: same(got, each, 1e-4), hand.mistakes())
        wrong(given=given, expected=few(expected), got=few(got), likely=likely)


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_sequence_is_reduced() -> None:
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
        likely = None
        if seen.get("k_proj") == 48 or seen.get("v_proj") == 48:
            likely = (
                "keys and values are taken from x itself: the sequence is not reduced, and "
                "attention costs N² and not N² / R²"
            )
        wrong(given=given, expected=f"positions {expected}", got=seen, likely=likely)


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_large_scores_stay_finite() -> None:
    module = build_attention(4, 2, 1).float()
    x = 100 * torch.randn(1, 3, 4, 4)
    given = "features around 100, float32"
    got = attend(module, x, given)
    if not got.isfinite().all():
        likely = "exp overflows: subtract the largest score first, as torch.softmax does"
        wrong(given=given, expected="finite numbers", got="inf or nan", likely=likely)
    expected = AttentionByHand(module.double(), x.double()).result()
    if not same(got.double().detach().numpy(), expected, 1e-3):
        wrong(given=given, expected=few(expected), got=few(got.detach()))


@pytest.mark.todo("9.2", points=3, needs=[])
def test_9_2_every_weight_learns() -> None:
    module = build_attention(6, 3, 2)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    attend(module, x, "features (2, 4, 6, 6)").square().sum().backward()
    without = [name for name, each in module.named_parameters() if each.grad is None]
    if without or x.grad is None:
        got = f"none for {', '.join(without[:3]) or 'x'}"
        likely = "something is detached, or takes no part"
        wrong(given="a step of training", expected="gradients", got=got, likely=likely)


# ------------------------------------------------------------------ 9.3 and 9.4 the losses

WEIGHTS = [0.5, 3.0, 1.0, 0.25, 2.0]


def a_batch(
    sizes: tuple[int, int, int] = (2, 3, 5), num_classes: int = 5, seed: int = 1, void: int = VOID
) -> tuple[Tensor, Tensor]:
    """Logits and target; the last class but one is absent, and much of the second image is void."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (sizes[0], num_classes, *sizes[1:]))
    target = random.integers(0, num_classes - 1, sizes)
    target[target == num_classes - 2] = num_classes - 1
    is_void = random.random(sizes) < np.linspace(0.1, 0.5, sizes[0])[:, None, None]
    target[is_void] = void
    target.flat[:3] = [0, 1, num_classes - 1]
    return torch.from_numpy(logits), torch.from_numpy(target)


class LossByHand:
    """What Dice, Tversky and Lovász losses share, in numpy."""

    def __init__(
        self, logits: np.ndarray, target: Tensor, weights: list[float] | None, void: int = VOID
    ) -> None:
        self.p = softmax(logits, 1)
        self.ids = target.long().numpy()
        self.valid = self.ids != void
        self.num_classes = logits.shape[1]
        classes = np.arange(self.num_classes)[None, :, None, None]
        self.truth = (classes == self.ids[:, None]) & self.valid[:, None]
        self.present = self.truth.any((0, 2, 3))
        self.weights = np.array(weights or [1.0] * self.num_classes)

    def mean(self, values: np.ndarray) -> float:
        """Σ w·value / Σ w over the present classes."""
        w = self.weights * self.present
        return float((w * np.where(self.present, values, 0)).sum() / w.sum()) if w.any() else 0.0

    def wrong_means(self, values: np.ndarray, absent: float) -> dict[str, float]:
        """The mistakes of the mean over the classes; `absent` is the value of an absent class."""
        w, here = self.weights, self.present
        shown = values[here]
        with_absent = np.where(here, values, absent)
        return {
            "the class weights take no part": shown.mean(),
            "the weighted losses are divided by the number of classes; by the sum of weights": (
                (w * values)[here].sum() / here.sum()
            ),
            "absent classes count as perfect: the mean is over the present ones": (
                (w * values)[here].sum() / w.sum()
            ),
            "absent classes count as missed altogether: the mean is over the present ones": (
                (w * np.where(here, values, 1)).sum() / w.sum()
            ),
            "absent classes are in the mean; it is over the present ones": (
                (w * with_absent).sum() / w.sum()
            ),
            "the class weights take no part, and absent classes are in the mean": (
                with_absent.mean()
            ),
            "the classes' losses are added up; their mean is wanted": (w * values)[here].sum(),
            "class 0 is left out of the mean": (
                (w * values)[1:][here[1:]].sum() / max(w[1:][here[1:]].sum(), 1e-30)
            ),
        }


class TverskyByHand(LossByHand):
    """1 - TP / (TP + α·FP + β·FN); α = β = ½ is Dice."""

    def __init__(self, *arguments: object, alpha: float = 0.5, beta: float = 0.5) -> None:
        super().__init__(*arguments)
        self.alpha, self.beta = alpha, beta

    def counts(self, p: np.ndarray, axes: tuple[int, ...] = (0, 2, 3)) -> tuple[np.ndarray, ...]:
        """TP, FP and FN, soft."""
        valid = self.valid[:, None]
        hits = (p * self.truth).sum(axes)
        return hits, (p * valid * ~self.truth).sum(axes), self.truth.sum(axes) - hits

    def index(
        self, counts: tuple[np.ndarray, ...], alpha: float, beta: float, smooth: float = 0.0
    ) -> np.ndarray:
        """TP / (TP + α·FP + β·FN), 0 for 0 / 0."""
        hits, too_much, missed = counts
        below = hits + alpha * too_much + beta * missed + smooth
        return (hits + smooth) / np.where(below > 0, below, 1)

    def loss(self) -> float:
        """What is right."""
        return self.mean(1 - self.index(self.counts(self.p), self.alpha, self.beta))

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        alpha, beta = self.alpha, self.beta
        hits, too_much, missed = counts = self.counts(self.p)
        every, size = self.p.sum((0, 2, 3)), self.truth.sum((0, 2, 3))
        everywhere = self.valid.sum()
        valid_p, valid_squares = hits + too_much, (self.p**2 * self.valid[:, None]).sum((0, 2, 3))
        best = self.p.argmax(1)[:, None] == np.arange(self.num_classes)[None, :, None, None]
        right = 1 - self.index(counts, alpha, beta)
        images = self.counts(self.p, (2, 3))
        by_image = 1 - self.index(images, alpha, beta)
        shown = self.truth.any((2, 3))
        per_image = [self._mean_of(a, b) for a, b in zip(by_image, shown, strict=True) if b.any()]
        with np.errstate(all="ignore"):
            values = {
                "void pixels are counted in FP: what is predicted there must change nothing": (
                    1 - self.index((hits, every - hits, missed), alpha, beta)
                ),
                "α and β are ignored: this is Dice": 1 - self.index(counts, 0.5, 0.5),
                "α and β are exchanged: α is for FP, β for FN": 1 - self.index(counts, beta, alpha),
                "this is the IoU's, with FP and FN in full": 1 - self.index(counts, 1, 1),
                "the probabilities are squared in the denominator (V-Net); plain sums": (
                    1 - 2 * hits / (valid_squares + size)
                ),
                "the factor 2 is missing: TP / (2 TP + FP + FN)": 1 - hits / (valid_p + size),
                "2 TP is missing in the denominator": 1 - 2 * hits / (too_much + missed),
                "TP is missing in the denominator": (1 - hits / (alpha * too_much + beta * missed)),
                "TP counts twice in the denominator: Σ p and Σ truth have it already": (
                    1 - 2 * hits / (2 * hits + valid_p + size)
                ),
                "smoothing changes the value: 1 is added above and below": (
                    1 - self.index(counts, alpha, beta, 1.0)
                ),
                "smoothing changes the value: 1 is added above and below (of 2 TP)": (
                    1 - (2 * hits + 1) / (valid_p + size + 1)
                ),
                "smoothing changes the value: 1 is added below": 1
                - 2 * hits / (valid_p + size + 1),
                "this is the index; the loss is 1 - index": 1 - right,
                "the sign is turned round; the loss is 1 - index": right - 1,
                "the loss is -log of the index; 1 - index": -np.log(1 - right),
                "FP is Σ 1 - p over the other pixels; it is the p that they give to the class": (
                    1 - self.index((hits, (everywhere - size) - too_much, missed), alpha, beta)
                ),
                "FN is Σ 1 - p over all valid pixels; only those of the class can be missed": (
                    1 - self.index((hits, too_much, everywhere - valid_p), alpha, beta)
                ),
                "TP counts twice, but α and β stay as they are: Dice's α and β are ½ already": (
                    1 - 2 * hits / (2 * hits + alpha * too_much + beta * missed)
                ),
                "predictions are counted hard, by argmax: no gradient; the counts are soft": (
                    1 - self.index(self.counts(best.astype(float)), alpha, beta)
                ),
                "counted by means over the images, then one ratio for each class and image": (
                    by_image.mean(0)
                ),
            }
        found = {cause: self.mean(each) for cause, each in values.items()}
        sums = tuple(each.sum() for each in counts)
        images_cause = (
            "this is the mean of the images' losses: add up over the whole batch first, then divide"
        )
        found |= {
            images_cause: float(np.mean(per_image)),
            f"{images_cause} (absent classes left out image by image)": (
                float(by_image[shown].mean())
            ),
            f"{images_cause} (absent classes with them)": float(by_image.mean()),
            "all classes are counted together: each class has a ratio of its own": (
                float(1 - self.index(tuple(map(np.asarray, sums)), alpha, beta))
            ),
        }
        return found | self.wrong_means(right, 1.0)

    def _mean_of(self, values: np.ndarray, shown: np.ndarray) -> float:
        """Of one image."""
        w = self.weights * shown
        return float((w * values).sum() / w.sum())


class LovaszByHand(LossByHand):
    """Σ error·slope of each class, the slopes from the definition."""

    def loss(self) -> float:
        """What is right."""
        return self.mean(np.array([self.of_class(k) for k in range(self.num_classes)]))

    def errors(self, k: int) -> np.ndarray:
        """|truth - p| of the valid pixels of the batch, in a row."""
        return np.abs(self.truth[:, k] - self.p[:, k])[self.valid]

    def of_class(self, k: int, errors: np.ndarray | None = None) -> float:
        """The loss of one class."""
        if not self.present[k]:
            return 0.0
        errors = self.errors(k) if errors is None else errors
        return float((errors * slopes_by_hand(errors, self.truth[:, k][self.valid])).sum())

    def mistakes(self) -> dict[str, float]:
        """Likely cause → the value that it gives."""
        classes = range(self.num_classes)
        right = np.array([self.of_class(k) for k in classes])
        sizes = np.full(self.num_classes, self.valid.sum())
        plain = np.array([self.errors(k).sum() for k in classes])
        p = np.moveaxis(self.p, 1, 0)[:, self.valid]
        truth = np.moveaxis(self.truth, 1, 0)[:, self.valid]
        hard = p.argmax(0)[None] == np.arange(self.num_classes)[:, None]
        own = [slopes_by_hand(self.errors(k), truth[k]) for k in classes if self.present[k]]
        slopes = np.zeros_like(p)
        slopes[self.present] = own

        def with_slopes(errors: np.ndarray) -> np.ndarray:
            return (errors * slopes).sum(1)

        values = {
            "this is divided by the number of pixels: the slopes add up to 1 already": right
            / sizes,
            "this is a mean over all pixels: the slopes add up to 1 already": right / self.ids.size,
            "the slopes take no part: this is the mean error": plain / sizes,
            "the slopes take no part: these are the errors added up": plain,
            "the errors are 1 - p everywhere; p where the truth is another class": (
                with_slopes(1 - p)
            ),
            "the errors are p everywhere; 1 - p where the truth is this class": with_slopes(p),
            "the errors have a sign, truth - p: take what is wrong, |truth - p|": (
                with_slopes(truth - p)
            ),
            "the errors have a sign, p - truth: take what is wrong, |truth - p|": (
                with_slopes(p - truth)
            ),
            "the errors are sorted by truth - p, with its sign; take |truth - p|": np.array(
                [self.of_class(k, (self.truth[:, k] - self.p[:, k])[self.valid]) for k in classes]
            ),
            "the errors are sorted by p - truth, with its sign; take |truth - p|": np.array(
                [self.of_class(k, (self.p[:, k] - self.truth[:, k])[self.valid]) for k in classes]
            ),
            "the errors are squared": with_slopes((truth - p) ** 2),
            "the errors are cross entropies; they are |truth - p|": (
                with_slopes(-np.log(np.where(truth, p, 1 - p)))
            ),
            "predictions are taken hard, by argmax: no gradient": np.array(
                [self.of_class(k, (hard[k] != truth[k]).astype(float)) for k in classes]
            ),
            "this is 1 - the loss": 1 - right,
            "the sign is turned round": -right,
        }
        found = {cause: self.mean(each) for cause, each in values.items()}
        return found | self.wrong_means(right, 0.0)


def slopes_by_hand(errors: np.ndarray, is_class: np.ndarray) -> np.ndarray:
    """What each pixel adds to 1 - IoU, in the order of the errors."""
    order = np.argsort(-errors, kind="stable")
    slopes = np.empty(len(errors))
    slopes[order] = np.diff(jaccard_losses(is_class[order]))
    return slopes


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


def check_loss(
    criterion: nn.Module,
    by_hand: Callable[[np.ndarray], LossByHand],
    logits: Tensor,
    target: Tensor,
    given: str,
) -> None:
    """Compares value and gradient with those worked out by hand."""
    hand = by_hand(logits.numpy())
    expected = hand.loss()
    value = scalar_of(criterion, logits.clone(), target, given).item()
    if not near(value, expected):
        likely = recognise(lambda each: near(value, each), hand.mistakes())
        if not math.isfinite(value):
            likely = (
                "an absent class has nothing to divide by, and an index of 0: 0 / 0, or its "
                "logarithm; `ratio` divides safely, and no logarithm is taken"
            )
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}", likely=likely)
    _, gradient = value_and_gradient(criterion, logits, target, given)
    if np.abs(gradient * ~hand.valid[:, None]).max() > 0:
        likely = "void pixels have a gradient: they must change nothing"
        wrong(given=given, expected="0 at void pixels", got="a gradient", likely=likely)
    numeric = numeric_gradient(lambda z: by_hand(z).loss(), logits.numpy())
    if not same(gradient, numeric, 1e-3):
        likely = "a part of it is detached, or not made of the probabilities"
        got = few(gradient)
        wrong(given=f"{given}; the gradient", expected=few(numeric), got=got, likely=likely)


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
    logits, target = a_batch(seed=seed)
    criterion = DiceLoss(None if weights is None else torch.tensor(weights))
    given = f"Dice, logits (2, 5, 3, 5), class 3 absent, weights {weights}"
    check_loss(criterion, lambda z: TverskyByHand(z, target, weights), logits, target, given)


@pytest.mark.todo("9.3", points=2, needs=[])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (2.0, 0.5), (0.0, 1.0)])
def test_9_3_alpha_is_for_too_much_and_beta_for_missed(alpha: float, beta: float) -> None:
    logits, target = a_batch(seed=3)
    criterion = TverskyLoss(alpha=alpha, beta=beta)
    given = f"α = {alpha}, β = {beta}, class 3 absent"
    check_loss(
        criterion,
        lambda z: TverskyByHand(z, target, None, alpha=alpha, beta=beta),
        logits,
        target,
        given,
    )


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    for void in (0, 7):
        logits, target = a_batch(seed=4, void=void)
        check_loss(
            DiceLoss(ignore_index=void),
            lambda z, target=target, void=void: TverskyByHand(z, target, None, void),
            logits,
            target,
            f"Dice, ignore_index {void}",
        )


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_at_its_edges() -> None:
    check_edges(DiceLoss, "Dice")


@pytest.mark.todo("9.3", points=2, needs=[])
def test_9_3_dice_loss_of_small_classes_is_not_smoothed() -> None:
    logits = torch.tensor([0.0, 3.0, -2.0]).double().view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    target = torch.tensor([[[0, VOID], [VOID, VOID]]])
    given = "Dice, one valid pixel of class 0, to which 0.0471 is given"
    check_loss(DiceLoss(), lambda z: TverskyByHand(z, target, None), logits, target, given)


def slopes_of(errors: np.ndarray, is_class: np.ndarray, given: str) -> np.ndarray:
    """The student's slopes of one class, of a picture of one row."""
    maps = torch.from_numpy(np.stack([1 - errors, errors]))[None, :, None]  # (1, 2, 1, N)
    ids = torch.from_numpy(is_class.astype(np.int64))[None, None]
    result = lovasz_slopes(maps, ids)
    if not isinstance(result, Tensor) or result.shape != maps.shape:
        wrong(given=given, expected=f"a tensor {tuple(maps.shape)}", got=describe(result))
    return result[0, 1, 0].numpy()


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_slopes_are_what_each_pixel_adds() -> None:
    cases = [([0.2, 0.9, 0.5, 0.7, 0.1], [1, 0, 1, 0, 0]), ([0.3, 0.4, 0.8], [1, 1, 1])]
    random = np.random.default_rng(0)
    cases.append((random.permutation(12) / 12 + 0.01, random.integers(0, 2, 12)))
    for errors, flags in cases:
        errors, is_class = np.array(errors), np.array(flags, dtype=bool)
        given = f"errors {few(errors)} of one class, which the truth has at {few(is_class)}"
        got, expected = slopes_of(errors, is_class, given), slopes_by_hand(errors, is_class)
        if not same(got, expected):
            mistakes = wrong_slopes(errors, is_class)
            likely = recognise(lambda each, got=got: same(got, each), mistakes)
            wrong(given=given, expected=few(expected), got=few(got), likely=likely)


@pytest.mark.todo("9.4", points=3, needs=[])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", [1, 2])
def test_9_4_lovasz_loss_follows_the_formula(weights: list[float] | None, seed: int) -> None:
    logits, target = a_batch(seed=seed)
    criterion = LovaszLoss(None if weights is None else torch.tensor(weights))
    given = f"Lovász, logits (2, 5, 3, 5), class 3 absent, weights {weights}"
    check_loss(criterion, lambda z: LovaszByHand(z, target, weights), logits, target, given)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_hard_predictions_cost_one_minus_iou() -> None:
    target = torch.tensor([[[0, 0, 0, 1, 1, VOID]]])
    guess = torch.tensor([[[0, 0, 1, 1, 0, 1]]])
    logits = 1000.0 * nn.functional.one_hot(guess, 3).permute(0, 3, 1, 2).double()
    expected, given = 1 - (2 / 4 + 1 / 3) / 2, "certain logits, IoU 2/4 and 1/3, class 2 absent"
    value = LovaszLoss()(logits, target).item()
    if not near(value, expected):
        mistakes = {
            "absent classes count as perfect: the mean is over the present ones": 2 * expected / 3,
            "these are the classes' losses added up": 2 * expected,
            "this is the IoU; the loss is 1 - IoU": 1 - expected,
        }
        likely = recognise(lambda each: near(value, each), mistakes)
        wrong(given=given, expected=f"{expected:.6g}", got=f"{value:.6g}", likely=likely)


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_leaves_out_what_it_is_told_to_ignore() -> None:
    for void in (0, 7):
        logits, target = a_batch(seed=4, void=void)
        check_loss(
            LovaszLoss(ignore_index=void),
            lambda z, target=target, void=void: LovaszByHand(z, target, None, void),
            logits,
            target,
            f"Lovász, ignore_index {void}",
        )


@pytest.mark.todo("9.4", points=3, needs=[])
def test_9_4_lovasz_loss_at_its_edges() -> None:
    check_edges(LovaszLoss, "Lovász")
