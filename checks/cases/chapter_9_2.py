"""Further cases of TODO 9.2: efficient self-attention."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from checks.common import describe
from checks.diagnosis.chapter_9 import AttentionByHand, Features, attention_question, few, same
from commands.companion.checking import wrong


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
