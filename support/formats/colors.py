"""Colours for classes that come without: far apart to the eye, and always the same.

The first 20 were found by a search, in steps of 15, for a large CIE 1976 L*a*b* distance between
any two of them, as seen with normal vision and with deuteranopia and protanopia (Machado, Oliveira
and Fernandes 2009; Viénot, Brettel and Mollon 1999). With normal vision the first 8 are at least 67
apart and all 20 at least 33; with either colour-blindness 35 and 18, with the rarer tritanopia 31
and 16. The further ones are far from each other for normal vision alone: 20 apart up to 60 colours,
13 up to 150, 10 up to 255.
"""

from collections.abc import Collection
from itertools import product

import numpy as np

Color = tuple[int, int, int]

FIRST: tuple[Color, ...] = (
    (195, 105, 0), (0, 0, 255), (0, 165, 255), (30, 105, 75), (240, 240, 15), (120, 0, 135),
    (255, 165, 195), (0, 255, 135), (135, 15, 15), (90, 60, 90), (150, 75, 255), (165, 150, 120),
    (255, 0, 165), (60, 90, 195), (150, 240, 255), (210, 240, 195), (120, 180, 90), (60, 135, 165),
    (180, 165, 225), (210, 180, 45),
)  # fmt: skip
FURTHER = tuple(color for color in product(range(0, 256, 30), repeat=3) if max(color) >= 150)
WHITE = (255, 255, 255)
NEAR = 15
"""A colour of `FIRST` nearer than this to one that is taken is passed over."""

TO_XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
"""Linear sRGB to CIE XYZ (IEC 61966-2-1)."""


def distinct_colors(count: int, taken: Collection[Color] = ()) -> list[Color]:
    """Chooses up to 255 colours, none of them `taken`, nearly black (that is void) or white.

    After `FIRST`, each is the one of `FURTHER` that is farthest from all before it, so that the
    first colours of a longer list are those of a shorter one.
    """
    pool = [*FIRST, *FURTHER]
    places = to_lab(pool)
    gaps = np.full(len(pool), np.inf)  # to the nearest colour that is in use
    chosen: list[Color] = []
    for used in to_lab([WHITE, *taken]):
        gaps = np.minimum(gaps, np.linalg.norm(places - used, axis=1))
    while len(chosen) < count:
        first = np.flatnonzero(gaps[: len(FIRST)] >= NEAR)
        k = first[0] if len(first) else gaps.argmax()
        chosen.append(pool[k])
        gaps = np.minimum(gaps, np.linalg.norm(places - places[k], axis=1))
    return chosen


def to_lab(colors: Collection[Color]) -> np.ndarray:
    """Turns sRGB colours, (N, 3) 0 ... 255, into CIE 1976 L*a*b* under D65, (N, 3) float64."""
    values = np.array(colors, dtype=np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
