"""Textures: noise, plaster, bricks, facades, fences, all computed and none loaded from a file."""

from functools import lru_cache

import cv2
import numpy as np

from toycity.cities import City
from toycity.weather import Color

TEXELS_PER_METRE = 12
STOREY = 3.1
"""Height of a storey in metres."""

PANE, LAMPLIGHT = (60, 68, 78), (255, 206, 120)
BOARDS = (
    (168, 52, 44), (44, 76, 128), (58, 104, 66), (210, 190, 130), (60, 60, 64), (222, 222, 216),
)  # fmt: skip
DOORS = ((92, 60, 42), (54, 66, 60), (70, 72, 84), (120, 50, 44))
SPRAY = (
    (206, 60, 140),
    (60, 90, 200),
    (240, 236, 230),
    (60, 170, 150),
    (130, 70, 170),
    (40, 40, 48),
)
SLATE = ((100, 104, 146), (88, 96, 134), (112, 112, 152))
WOOD = ((178, 108, 54), (162, 96, 48), (190, 122, 68))
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
    """A colour near to another: brightness by up to `amount` (a fraction), hue by a third of it."""
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


def _storey(rng: np.random.Generator, city: City, texels: int) -> tuple[np.ndarray, np.ndarray]:
    """One bay of one storey: brightness of the wall (h, w, 1), and where glass is (h, w)."""
    h, w = round(STOREY * texels), round(city.bay * texels)
    brightness = np.ones((h, w, 1), dtype=np.float32)
    is_glass = np.zeros((h, w), dtype=bool)
    glass_w, glass_h = round(city.window[0] * texels), round(city.window[1] * texels)
    left, top, edge = (w - glass_w) // 2, round(0.6 * texels), max(1, texels // 6)
    bottom, right = top + glass_h, left + glass_w
    brightness[top - edge : bottom + edge, left - edge : right + edge] = rng.choice([0.55, 1.22])
    brightness[bottom + edge : bottom + 2 * edge, left - edge : right + edge] = 1.16  # the sill
    brightness[bottom + 2 * edge : bottom + 3 * edge, left - edge : right + edge] = 0.76
    is_glass[top:bottom, left:right] = True
    is_glass[top:bottom, left + glass_w // 2] = False
    is_glass[top + glass_h // 3, left:right] = False
    if rng.random() < 0.4:
        brightness[: edge + 1] *= 0.86  # a ledge between the storeys
    return brightness, is_glass


def _glaze(
    rng: np.random.Generator,
    image: np.ndarray,
    is_glass: np.ndarray,
    grid: tuple[int, int],
    lamps_lit: bool,
) -> None:
    """Puts panes, each of its own brightness, into a facade of `grid` (storeys, bays), in place."""
    h, w = is_glass.shape
    panes = rng.uniform(0.55, 1.5, (*grid, 1)) * np.array(PANE)
    if lamps_lit:
        panes[rng.random(grid) < 0.35] = LAMPLIGHT
    sheen = np.linspace(1.5, 0.8, h)[:, None, None]
    mask = np.tile(is_glass, (1, grid[1]))
    for storey, row in enumerate(panes):
        strip = (sheen * np.repeat(row, w, axis=0)[None]).astype(np.float32)
        image[storey * h : (storey + 1) * h][mask] = strip[mask]


def _shop(rng: np.random.Generator, ground_floor: np.ndarray, bay: int, texels: int) -> None:
    """Turns a ground floor, (h, w, 3), into shop windows below coloured boards, in place."""
    ground_floor[:] = np.array(varied(rng, (96, 90, 86), 0.3), dtype=np.float32)
    edge = max(1, texels // 4)
    for left in range(0, ground_floor.shape[1], 2 * bay):
        pane = ground_floor[texels : -texels // 2, left + edge : left + 2 * bay - edge]
        pane[:] = varied(rng, (70, 78, 84), 0.35)
        pane[: texels // 2] *= 1.35
        board = ground_floor[edge : texels - 1, left + edge : left + 2 * bay - edge]
        board[:] = varied(rng, pick(rng, BOARDS), 0.15)


def _door(rng: np.random.Generator, ground_floor: np.ndarray, texels: int) -> None:
    """Puts plinth and door into a ground floor, (h, w, 3), in place."""
    columns, edge = ground_floor.shape[1], max(1, texels // 6)
    ground_floor[-round(0.6 * texels) :] *= 0.82
    if columns < 3 * texels:
        return
    left = int(rng.integers(texels // 2, columns - 2 * texels))
    right = left + round(1.2 * texels)
    ground_floor[-round(2.5 * texels) :, left - edge : right + edge] *= 1.18
    ground_floor[-round(2.3 * texels) :, left:right] = varied(rng, pick(rng, DOORS), 0.2)


def facade(
    rng: np.random.Generator,
    city: City,
    width: float,
    storeys: int,
    lamps_lit: bool,
    texels: int = TEXELS_PER_METRE,
) -> np.ndarray:
    """The street side of a house, (h, w, 3) uint8, its top row being the eaves.

    Args:
        rng: draws colours, shops, doors.
        city: gives style and palette.
        width: of the house, in metres; rounded to whole bays.
        storeys: how many, the ground floor included.
        lamps_lit: whether some windows shine.
        texels: per metre.
    """
    color = varied(rng, pick(rng, city.walls), 0.08)
    brightness, is_glass = _storey(rng, city, texels)
    h, w = is_glass.shape
    bays = max(1, round(width / city.bay))
    if rng.random() < city.brick:
        image = bricks(rng, storeys * h, bays * w, color, (texels // 3, texels // 3 * 2))
    else:
        image = plaster(rng, storeys * h, bays * w, color)
    image *= np.tile(brightness, (storeys, bays, 1))
    _glaze(rng, image, is_glass, (storeys, bays), lamps_lit)
    eaves = texels // 3
    image[:eaves] *= 1.15
    image[eaves : eaves + max(1, texels // 6)] *= 0.7
    if rng.random() < city.shops:
        _shop(rng, image[-h:], w, texels)
    else:
        _door(rng, image[-h:], texels)
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
    """A free-standing wall of slate blocks with graffiti and a coping: (h, w, 3) uint8."""
    t = TEXELS_PER_METRE
    rows, columns = max(8, round(height * t)), max(8, round(width * t))
    image = bricks(rng, rows, columns, varied(rng, pick(rng, SLATE), 0.08), (6, 12))
    for _ in range(int(rng.integers(0, 3))):
        shape = noise(rng, rows, columns, 32) + noise(rng, rows, columns, 16)
        from_middle = np.abs(np.linspace(-1, 1, rows))[:, None]
        image[shape > 0.8 + 1.3 * from_middle] = varied(rng, pick(rng, SPRAY), 0.15)
    image[:3] = image[:3] * 0.3 + 160
    image[-4:] *= 0.7
    return as_texture(image)


def railing(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A fence of planks that one can see through: (h, w, 4) uint8, opacity last."""
    t = 2 * TEXELS_PER_METRE
    rows, columns = max(10, round(height * t)), max(10, round(width * t))
    color = varied(rng, pick(rng, WOOD), 0.1)
    pitch = int(rng.integers(5, 8))
    image = np.zeros((rows, columns, 4), dtype=np.float32)
    image[..., :3] = plaster(rng, rows, columns, color)
    across, down = np.arange(columns) % pitch, np.arange(rows)
    is_bar = (across < pitch - 2)[None] | ((down // 3) % max(rows // 7, 3) == 1)[:, None]
    is_bar |= (np.arange(columns) % (pitch * 9) < 4)[None]
    image[..., 3] = np.where(is_bar, 255, 50)
    return as_texture(image)
