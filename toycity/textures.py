"""Textures: noise, plaster, bricks, facades, fences, all computed and none loaded from a file."""

from functools import lru_cache

import cv2
import numpy as np

from toycity.cities import City
from toycity.weather import Color

TEXELS_PER_METRE = 12
_TILE = 512


@lru_cache(maxsize=4)
def noise_tile(coarsest: int = 8) -> np.ndarray:
    """Noise of several scales that repeats without a seam: (512, 512) float32, about -1 ... 1.

    Args:
        coarsest: cells across the tile in the roughest of the scales; each next scale doubles it.
    """
    rng = np.random.default_rng(coarsest)
    tile = np.zeros((_TILE, _TILE), dtype=np.float32)
    cells, strength = coarsest, 1.0
    while cells <= _TILE:
        grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        around = np.pad(grid, 2, mode="wrap")
        step = _TILE // cells
        smooth = cv2.resize(around, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        tile += strength * smooth[2 * step : 2 * step + _TILE, 2 * step : 2 * step + _TILE]
        cells, strength = cells * 2, strength * 0.75
    return tile / (2.0 * tile.std())


def noise(rng: np.random.Generator, height: int, width: int, coarsest: int = 8) -> np.ndarray:
    """Cuts a patch out of the tile, stretched where it is larger: (height, width) float32."""
    h, w = min(height, _TILE), min(width, _TILE)
    top, left = rng.integers(0, _TILE - h + 1), rng.integers(0, _TILE - w + 1)
    patch = noise_tile(coarsest)[top : top + h, left : left + w]
    if (h, w) != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    return patch


def varied(rng: np.random.Generator, color: Color, amount: float) -> Color:
    """A colour near to another: brightness by up to `amount` (share), hue by a third of it."""
    factors = 1 + rng.uniform(-amount, amount) + rng.uniform(-amount / 3, amount / 3, 3)
    red, green, blue = (float(min(max(c * f, 0), 255)) for c, f in zip(color, factors, strict=True))
    return red, green, blue


def pick(rng: np.random.Generator, options: tuple) -> Color:
    """Draws one of several colours."""
    return options[int(rng.integers(len(options)))]


def as_texture(values: np.ndarray) -> np.ndarray:
    """Rounds float colours to uint8, cutting off what is too bright or too dark."""
    return np.clip(values, 0, 255).astype(np.uint8)


def plaster(rng: np.random.Generator, height: int, width: int, color: Color) -> np.ndarray:
    """A weathered plain surface: (height, width, 3) float32."""
    stains = 1 + 0.07 * noise(rng, height, width)
    return stains[..., None] * np.array(color, dtype=np.float32)


def bricks(
    rng: np.random.Generator, height: int, width: int, color: Color, size: tuple[int, int]
) -> np.ndarray:
    """Courses of bricks or blocks of `size` (rows, columns) texels: (height, width, 3) float32."""
    rows, columns = np.arange(height), np.arange(width)
    course = rows // size[0]
    shifted = columns[None] + (course % 2 * (size[1] // 2))[:, None]
    tones = rng.uniform(0.84, 1.14, (course[-1] + 1, width // size[1] + 2)).astype(np.float32)
    tone = tones[course[:, None], shifted // size[1]]
    is_joint = (rows % size[0] == 0)[:, None] | (shifted % size[1] == 0)
    tone = np.where(is_joint, np.float32(0.78), tone)
    return plaster(rng, height, width, color) * tone[..., None]


def _storey(rng: np.random.Generator, city: City, color: Color) -> tuple[np.ndarray, np.ndarray]:
    """One bay of one storey: factors on the wall's colour (h, w, 3), and where glass is (h, w)."""
    t = TEXELS_PER_METRE
    h, w = round(3.1 * t), round(city.bay * t)
    factors = np.ones((h, w, 3), dtype=np.float32)
    is_glass = np.zeros((h, w), dtype=bool)
    glass_w, glass_h = round(city.window[0] * t), round(city.window[1] * t)
    left, top = (w - glass_w) // 2, round(0.6 * t)
    frame = rng.choice([0.55, 1.22])
    factors[top - 2 : top + glass_h + 2, left - 2 : left + glass_w + 2] = frame
    factors[top + glass_h + 2 : top + glass_h + 4, left - 3 : left + glass_w + 3] = 1.16
    factors[top + glass_h + 4 : top + glass_h + 6, left - 2 : left + glass_w + 2] = 0.76
    is_glass[top : top + glass_h, left : left + glass_w] = True
    middle = left + glass_w // 2
    is_glass[top : top + glass_h, middle : middle + 1] = False
    cross = top + glass_h // 3
    is_glass[cross : cross + 1, left : left + glass_w] = False
    if rng.random() < 0.4:
        factors[:3] *= 0.86  # a ledge between the storeys
    return factors, is_glass


def _shop(rng: np.random.Generator, image: np.ndarray, bay: int) -> None:
    """Turns the ground floor, the lowest rows of a facade, into shop windows, in place."""
    rows, columns = image.shape[:2]
    t = TEXELS_PER_METRE
    top = rows - round(3.1 * t)
    image[top:] = np.array(varied(rng, (96, 90, 86), 0.3), dtype=np.float32)
    for left in range(0, columns, 2 * bay):
        glass = varied(rng, (70, 78, 84), 0.35)
        image[top + t : rows - t // 2, left + 3 : left + 2 * bay - 3] = glass
        image[top + t : top + t + 6, left + 3 : left + 2 * bay - 3] *= 1.35
        board = varied(rng, pick(rng, ((168, 52, 44), (44, 76, 128), (58, 104, 66), (210, 190, 130),
                                       (60, 60, 64), (222, 222, 216))), 0.15)  # fmt: skip
        image[top + 2 : top + t - 1, left + 2 : left + 2 * bay - 2] = board


def _doors(rng: np.random.Generator, image: np.ndarray) -> None:
    """Puts a door into the ground floor, in place."""
    t = TEXELS_PER_METRE
    rows, columns = image.shape[:2]
    if columns < 3 * t:
        return
    left = int(rng.integers(t // 2, columns - 2 * t))
    image[rows - round(2.5 * t) :, left - 2 : left + round(1.2 * t) + 2] *= 1.18
    door = varied(rng, pick(rng, ((92, 60, 42), (54, 66, 60), (70, 72, 84), (120, 50, 44))), 0.2)
    image[rows - round(2.3 * t) :, left : left + round(1.2 * t)] = door


def facade(
    rng: np.random.Generator, city: City, width: float, storeys: int, lamps_lit: bool
) -> np.ndarray:
    """The street side of a house, (h, w, 3) uint8, its top row being the eaves.

    Args:
        rng: draws colours, shops, doors.
        city: gives style and palette.
        width: of the house, in metres; rounded to whole bays.
        storeys: how many, the ground floor included.
        lamps_lit: whether some windows shine.
    """
    color = varied(rng, pick(rng, city.walls), 0.08)
    factors, is_glass = _storey(rng, city, color)
    h, w = is_glass.shape
    bays = max(1, round(width / city.bay))
    height, columns = storeys * h, bays * w
    if rng.random() < city.brick:
        wall = bricks(rng, height, columns, color, (4, 8))
    else:
        wall = plaster(rng, height, columns, color)
    image = wall * np.tile(factors, (storeys, bays, 1))
    panes = rng.uniform(0.55, 1.5, (storeys, bays, 1)) * np.array([60, 68, 78])
    if lamps_lit:
        panes[rng.random((storeys, bays)) < 0.35] = (255, 206, 120)
    panes = np.repeat(np.repeat(panes, h, axis=0), w, axis=1).astype(np.float32)
    sheen = np.tile(np.linspace(1.5, 0.8, h, dtype=np.float32), storeys)[:, None, None]
    glass = np.tile(is_glass, (storeys, bays))
    image[glass] = (panes * sheen)[glass]
    image[:4] = image[:4] * 1.15
    image[4:6] *= 0.7  # the shadow of the eaves
    if rng.random() < city.shops:
        _shop(rng, image, w)
    else:
        image[-round(0.6 * TEXELS_PER_METRE) :] *= 0.82  # the plinth
        _doors(rng, image)
    return as_texture(image)


def blank_wall(rng: np.random.Generator, city: City, width: float, height: float) -> np.ndarray:
    """The side of a house that has hardly a window: (h, w, 3) uint8."""
    t = TEXELS_PER_METRE // 2
    rows, columns = max(4, round(height * t)), max(4, round(width * t))
    image = plaster(rng, rows, columns, varied(rng, pick(rng, city.walls), 0.15))
    for top in range(t, rows - 3 * t, 3 * t):
        if rng.random() < 0.5 and columns > 3 * t:
            left = int(rng.integers(t, columns - 2 * t))
            image[top : top + round(1.4 * t), left : left + t] = (62, 68, 76)
    return as_texture(image)


def masonry(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A free-standing wall of large blocks with a coping: (h, w, 3) uint8."""
    t = TEXELS_PER_METRE
    rows, columns = max(8, round(height * t)), max(8, round(width * t))
    stone = ((150, 140, 124), (132, 128, 124), (168, 150, 126), (156, 154, 150))
    image = bricks(rng, rows, columns, varied(rng, pick(rng, stone), 0.1), (6, 12))
    image *= (1 + 0.22 * noise(rng, rows, columns, 32))[..., None]
    image[:3] = image[:3] * 0.4 + 128
    image[-4:] *= 0.7
    return as_texture(image)


def railing(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A fence of bars or planks that one can see through: (h, w, 4) uint8, opacity last."""
    t = 2 * TEXELS_PER_METRE
    rows, columns = max(10, round(height * t)), max(10, round(width * t))
    metal = ((54, 66, 58), (46, 48, 52), (120, 126, 130), (142, 104, 70), (222, 220, 212))
    color = varied(rng, pick(rng, metal), 0.12)
    pitch = int(rng.integers(5, 8))
    image = np.zeros((rows, columns, 4), dtype=np.float32)
    image[..., :3] = plaster(rng, rows, columns, color)
    across, down = np.arange(columns) % pitch, np.arange(rows)
    is_bar = (across < 2 + pitch // 6)[None] | ((down // 3) % max(rows // 7, 3) == 1)[:, None]
    is_bar |= (np.arange(columns) % (pitch * 9) < 4)[None]
    image[..., 3] = np.where(is_bar, 255, 34)
    return as_texture(image)
