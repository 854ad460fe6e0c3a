"""The likely causes of wrong answers of chapter 9: the optional TODOs of the zoo."""

import itertools
from collections.abc import Callable

import numpy as np
from torch import Tensor


def recognise(matches: Callable[[object], bool], mistakes: dict[str, object]) -> str | None:
    """The first mistake whose outcome matches."""
    return next((cause for cause, outcome in mistakes.items() if matches(outcome)), None)


# ------------------------------------------------------------------ 9.1 atrous pyramid

RATES = (2, 3, 5)
SIDE = 23
MIDDLE = SIDE // 2
Taps = frozenset[tuple[int, int]]


def cause_of_shape(seen: Tensor, expected: tuple[int, ...], cout: int) -> str | None:
    """The mistake that gives another shape."""
    if not isinstance(seen, Tensor) or seen.ndim != 4:
        return None
    branches = expected[1] // cout
    if len(seen) == branches * expected[0]:
        return "torch.cat joins along the batch unless told otherwise; the channels are dim=1"
    if seen.shape[2:] != expected[2:]:
        return "the branches change the size: a 3x3 convolution of rate r needs padding = r"
    if seen.shape[1] == cout:
        return "what the branches saw is added up; it stands side by side: torch.cat"
    if seen.shape[1] % cout == 0:
        return (
            f"there are {seen.shape[1] // cout} branches for {branches}: one of 1x1, one for each "
            "rate, and one that sees the image as a whole"
        )
    return None


def grid(rate: int) -> Taps:
    """Where a 3x3 convolution of this rate sees the middle."""
    return frozenset(itertools.product((-rate, 0, rate), repeat=2))


def square(radius: int) -> Taps:
    """All pixels up to this far."""
    return frozenset(itertools.product(range(-radius, radius + 1), repeat=2))


EVERYWHERE = square(MIDDLE)


def cause_of_taps(taps: list[Taps]) -> str | None:
    """The mistake by which the branches see these places."""
    wanted = [grid(0), *(grid(rate) for rate in RATES), EVERYWHERE]
    if sum(each == grid(1) for each in taps) == len(RATES):
        return "the rates are ignored: the taps of every 3x3 convolution lie side by side"
    if any(square(rate) in taps for rate in RATES):
        return "a rate is taken for the kernel's size; it is the distance of a 3x3 kernel's taps"
    if taps.count(grid(0)) == 1 + len(RATES):
        return "the rates are other ones than `rates` says: 12, 24, 36 whatever is asked for?"
    for rate in RATES:
        if taps.count(grid(rate)) == len(RATES):
            return f"all 3x3 branches have the rate {rate}: one for each of the rates"
    if EVERYWHERE not in taps:
        return "no branch sees the image as a whole: its mean, the same at every pixel"
    if grid(0) not in taps:
        return "the 1x1 branch is missing, which sees each pixel by itself"
    if any(each not in wanted for each in taps):
        return "a branch was given what another one made; each of them sees x"
    return "a branch is there twice, and another one is missing"


def jaccard_losses(is_class: np.ndarray) -> np.ndarray:
    """1 - IoU with the first i of the sorted pixels wrong, for i = 0 ... N, from counting."""
    size = int(is_class.sum())
    found = []
    for i in range(len(is_class) + 1):
        missed = int(is_class[:i].sum())
        union = size + i - missed
        found.append(1 - (size - missed) / union)
    return np.array(found)


def wrong_slopes(errors: np.ndarray, is_class: np.ndarray) -> dict[str, np.ndarray]:
    """Likely cause → the slopes that it gives."""
    order = np.argsort(-errors, kind="stable")
    back, rising = np.argsort(order), order[::-1]
    losses = jaccard_losses(is_class[order])
    steps = np.diff(losses)
    up = np.empty(len(errors))
    up[rising] = np.diff(jaccard_losses(is_class[rising]))
    others = np.diff(jaccard_losses(~is_class[order]))
    shifted = np.append(np.diff(losses[1:]), 0.0)
    late = np.concatenate([[0.0], np.diff(losses[1:])])
    size, count = is_class.sum(), np.arange(1, len(errors) + 1)
    found = is_class[order].cumsum()
    no_union = np.diff(np.concatenate([[0.0], found / size]))
    all_union = np.diff(np.concatenate([[0.0], 1 - (size - found) / (size + count)]))
    union_of_all = np.diff(np.concatenate([[0.0], 1 - (size - found) / len(errors)]))
    from_zero = np.append(1 - (size - found) / (size + count - 1 - found), 0.0)[:-1]
    from_zero = np.diff(np.concatenate([[0.0], from_zero]))
    dice = np.diff(np.concatenate([[0.0], 1 - 2 * (size - found) / (2 * size - 2 * found + count)]))
    return {
        "the errors are sorted from the smallest up; the largest comes first": up,
        "the errors are not sorted: the slopes go from the largest error down": (
            np.diff(jaccard_losses(is_class))
        ),
        "the slopes stand in the order of sorting: each belongs to the pixel of its error": steps,
        "the slopes go to the wrong pixels: pixel order[i] gets the i-th (scatter, not gather)": (
            steps[order]
        ),
        "these are the values of 1 - IoU; the slope is by how much it grows at each pixel": (
            losses[1:][back]
        ),
        "these are the values of IoU; the slope is by how much 1 - IoU grows at each pixel": (
            1 - losses[1:][back]
        ),
        "the sign is turned round: 1 - IoU grows when a pixel turns wrong": -steps[back],
        "the first slope is lost: 1 - IoU begins at 0, with nothing wrong": late[back],
        "the slopes are one pixel late: the i-th is loss i minus loss i - 1": shifted[back],
        "the first slope is the only one that is right: the others are values, not differences": (
            np.concatenate([losses[1:2], losses[2:] - losses[1]])[back]
        ),
        "class and not class are exchanged": others[back],
        "the union stays the size of the class; each false alarm makes it larger": no_union[back],
        "the union grows with every pixel; a missed one is in it already": all_union[back],
        "the union holds every pixel from the start; those of other classes join when wrong": (
            union_of_all[back]
        ),
        "the union counts the pixels from 0: with the first one wrong, i is 1": from_zero[back],
        "these are the differences of 1 - Dice; the IoU is wanted": dice[back],
        "the slopes are divided by the number of pixels": steps[back] / len(errors),
        "all pixels count the same": np.full(len(errors), 1 / len(errors)),
        "all slopes are 1": np.ones(len(errors)),
    }
