"""The likely causes of wrong answers of chapter 5: class weights and losses."""

import math
from collections.abc import Callable


def all_near(values: list[float], expected: list[float], tolerance: float) -> bool:
    """Whether all are right but for rounding, each by its own size."""
    pairs = zip(values, expected, strict=True)
    return all(math.isfinite(a) and abs(a - b) <= tolerance * abs(b) for a, b in pairs)


FORMULAS: dict[str, Callable[[float, float], float]] = {
    "inverse": lambda share, middle: 1 / share,
    "sqrt": lambda share, middle: 1 / math.sqrt(share),
    "median": lambda share, middle: middle / share,
}
IN_WORDS = {"inverse": "1 / f_k", "sqrt": "1 / √f_k", "median": "median(f) / f_k"}
OTHER_FORMULAS: dict[str, Callable[[float, float], float]] = {
    "these are 1 / f_k": lambda share, middle: 1 / share,
    "these are 1 / √f_k": lambda share, middle: 1 / math.sqrt(share),
    "these grow with the share f_k: upside down": lambda share, middle: share,
    "these grow with √f_k: the root without 1 /": lambda share, middle: math.sqrt(share),
    "these are 1 / f_k², a square for a root": lambda share, middle: 1 / share**2,
    "these are f_k²": lambda share, middle: share**2,
    "these are 1 - f_k": lambda share, middle: 1 - share,
    "these are √(1 - f_k)": lambda share, middle: math.sqrt(1 - share),
    "these are -log f_k": lambda share, middle: -math.log(share),
    "these are 1 / log(1.02 + f_k), another paper's": lambda s, m: 1 / math.log(1.02 + s),
    "these are exp(-f_k), a softmax of -f_k": lambda share, middle: math.exp(-share),
    "all the same: the share f_k of each class is missing": lambda share, middle: 1.0,
    "these are capped at 1": lambda share, middle: min(1.0, middle / share),
    "these are median(f) - f_k": lambda share, middle: middle - share,
    "these are |median(f) - f_k|": lambda share, middle: abs(middle - share),
}


def weights_by_hand(
    counts: list[int], formula: Callable[[float, float], float], scale: str = "mean"
) -> list[float]:
    """Class by class, in Python's own numbers; `scale` is "mean", "sum", "all" or "no"."""
    total = sum(counts)
    shares = sorted(n / total for n in counts if n)
    half = len(shares) // 2
    middle = shares[half] if len(shares) % 2 else (shares[half - 1] + shares[half]) / 2
    raw = [formula(n / total, middle) if n else 0.0 for n in counts]
    divisors = {"mean": sum(raw) / len(shares), "sum": sum(raw), "all": sum(raw) / len(raw)}
    divisor = divisors.get(scale, 1.0) or 1.0
    return [each / divisor for each in raw]


def likely_weights(got: list[float], counts: list[int], strategy: str) -> str | None:
    """Finds the formula, or the scaling, that gives these weights."""

    def same(other: list[float]) -> bool:
        return all_near(got, other, 1e-3)

    formula = FORMULAS[strategy]
    if any(not math.isfinite(each) for each in got):
        return "a division by 0: leave out the classes without pixels, also before the median"
    for name, other in OTHER_FORMULAS.items():
        if same(weights_by_hand(counts, other)):
            return f"{name}; {strategy} is {IN_WORDS[strategy]}"
    scales = {
        "sum": "scaled to sum 1; scale to mean 1",
        "all": "the mean is 1 over all classes; take it over those that have pixels",
        "no": "not scaled to mean 1",
    }
    for scale, text in scales.items():
        if same(weights_by_hand(counts, formula, scale)):
            return text
    if any(each and not n for each, n in zip(got, counts, strict=True)):
        return "a class without pixels must get the weight 0"
    present = [(n, each) for n, each in zip(counts, got, strict=True) if n]
    rarest, commonest = min(present), max(present)
    expected = weights_by_hand(counts, formula)
    ratio = max(expected) / min(each for each in expected if each)
    if 0 < rarest[1] < 0.95 * ratio * commonest[1]:
        return (
            "the rarest class weighs too little against the commonest: nothing is added to the "
            f"shares, and no weight is cut off; {strategy} is {IN_WORDS[strategy]}"
        )
    return f"{strategy} is {IN_WORDS[strategy]}, for each class on its own"
