"""Street furniture: lamp posts, traffic lights, traffic signs, and things that are void."""

import numpy as np

from toycity.stage import Face, Stage
from toycity.textures import pick, varied
from toycity.weather import Color

STEEL = ((92, 100, 98), (80, 88, 88), (104, 110, 108))
RED, BLUE, YELLOW, WHITE = (198, 32, 34), (30, 84, 170), (240, 196, 40), (238, 238, 234)


def pole(stage: Stage, x: float, z: float, height: float, thickness: float = 0.15) -> None:
    """Draws a bare pole, label "pole"."""
    stage.limb([[x, 0, z], [x, height, z]], thickness, pick(stage.rng, STEEL), "pole")


def lamp_post(stage: Stage, x: float, z: float, height: float) -> None:
    """Draws a street lamp whose arm reaches over the road."""
    color, reach = varied(stage.rng, pick(stage.rng, STEEL), 0.1), -np.sign(x) * 1.4
    stage.limb([[x, 0, z], [x, 1.1, z]], 0.22, color, "pole")
    stage.limb([[x, 0, z], [x, height, z], [x + reach, height + 0.25, z]], 0.16, color, "pole")
    glow = (255, 226, 160) if stage.weather.lamps_lit else (206, 208, 206)
    head = [[x + 0.7 * reach, height + 0.2, z], [x + reach, height + 0.24, z]]
    stage.limb(head, 0.2, glow, "pole")


def _flat(x: float, y: float, z: float, outline: np.ndarray) -> np.ndarray:
    """A flat shape that faces us: outline (N, 2) in metres around (x, y)."""
    return np.column_stack([x + outline[:, 0], y + outline[:, 1], np.full(len(outline), z)])


def _regular(corners: int, radius: float, turn: float = 0.0) -> np.ndarray:
    """A regular polygon around the origin, (N, 2)."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turn
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _bar(width: float, height: float) -> np.ndarray:
    """A rectangle around the origin, (4, 2)."""
    return np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * (width / 2, height / 2)


INK = (38, 38, 42)
DISC, OCTAGON = _regular(16, 0.5), _regular(8, 0.54, np.pi / 8)
UP, DOWN = _regular(3, 0.58, np.pi / 2), _regular(3, 0.58, -np.pi / 2)

SIGNS = {
    "limit": ((DISC, RED), (0.72 * DISC, WHITE), (_bar(0.25, 0.35), INK)),
    "no entry": ((DISC, RED), (_bar(0.65, 0.18), WHITE)),
    "stop": ((OCTAGON, RED), (_bar(0.7, 0.2), WHITE)),
    "yield": ((DOWN, RED), (0.57 * DOWN, WHITE)),
    "warning": ((UP, RED), (0.57 * UP, WHITE), (_bar(0.08, 0.25), INK)),
    "arrow": ((DISC, BLUE), (_bar(0.13, 0.55), WHITE), (0.4 * UP + (0, 0.18), WHITE)),
    "priority": ((_regular(4, 0.56), WHITE), (_regular(4, 0.42), YELLOW)),
    "parking": (
        (_bar(1, 1), BLUE), (_bar(0.15, 0.6) - (0.12, 0), WHITE),
        (0.4 * DISC + (0.05, 0.12), WHITE),
    ),
}  # fmt: skip
"""What each kind of sign is painted of, from the ground up: (outline, colour), the size being 1."""


def _direction_sign(rng: np.random.Generator) -> tuple[tuple[np.ndarray, Color], ...]:
    """A wide board with two lines of writing, painted as those of `SIGNS`."""
    color = pick(rng, (YELLOW, WHITE, BLUE))
    ink = WHITE if color is BLUE else INK
    lines = [(np.add(_bar(rng.uniform(0.9, 1.8), 0.16), (0, y)), ink) for y in (0.25, -0.2)]
    return ((_bar(2.4, 1.1), ink), (_bar(2.3, 1.0), color), *lines)


def _sign_face(stage: Stage, x: float, y: float, z: float, size: float) -> None:
    """Draws the plate of some traffic sign of about `size` metres around (x, y)."""
    kind = int(stage.rng.integers(len(SIGNS) + 1))
    layers = [*SIGNS.values(), None][kind] or _direction_sign(stage.rng)
    for outline, color in layers:
        stage.polygon(_flat(x, y, z, size * outline), color, "traffic sign")


def traffic_sign(stage: Stage, x: float, z: float, height: float) -> None:
    """Draws a sign on its pole, sometimes two."""
    rng = stage.rng
    size = rng.uniform(0.65, 0.85)
    stage.limb([[x, 0, z], [x, height + 0.35 * size, z]], 0.13, pick(rng, STEEL), "pole")
    _sign_face(stage, x, height, z - 0.05, size)
    if rng.random() < 0.3:
        _sign_face(stage, x, height - 1.05 * size, z - 0.05, size)


def _lamps(stage: Stage, x: float, y: float, z: float, lit: int) -> None:
    """Draws the housing of a traffic light, its lower edge at y, and its three lamps."""
    stage.polygon(_flat(x, y + 0.5, z + 0.02, _bar(0.58, 1.22)), WHITE, "traffic light")
    stage.polygon(_flat(x, y + 0.5, z, _bar(0.46, 1.1)), (22, 24, 24), "traffic light")
    for i, color in enumerate(((255, 52, 36), (255, 190, 40), (60, 240, 130))):
        shade = color if i == lit else tuple(0.22 * c for c in color)
        stage.ball([x, y + 0.84 - 0.34 * i, z - 0.05], 0.15, shade, "traffic light")


def traffic_light(stage: Stage, x: float, z: float, lit: int, has_arm: bool) -> None:
    """Draws a traffic light at the kerb, with a second one on an arm over the road if wanted.

    Args:
        stage: where to draw.
        x: metres to the right.
        z: metres ahead.
        lit: 0 for red, 1 for amber, 2 for green.
        has_arm: whether a mast reaches over the road.
    """
    color = pick(stage.rng, STEEL)
    top = 5.6 if has_arm else 3.3
    stage.limb([[x, 0, z], [x, top, z]], 0.16, color, "pole")
    if has_arm:
        reach = x - np.sign(x) * min(3.4, abs(x) - 0.4)
        stage.limb([[x, top, z], [reach, top, z]], 0.12, color, "pole")
        _lamps(stage, reach, top - 0.95, z - 0.1, lit)
    _lamps(stage, x, 2.3, z - 0.1, lit)


def clutter(stage: Stage, x: float, z: float) -> None:
    """Draws a bin, a bollard or a switch box, label "static", or a pram, label "dynamic"."""
    rng = stage.rng
    kind = rng.random()
    width, height = (0.55, 0.95) if kind < 0.5 else (0.9, 1.25) if kind < 0.8 else (0.22, 0.9)
    label = "dynamic" if kind < 0.15 else "static"
    color = varied(rng, pick(rng, ((70, 96, 76), (96, 98, 100), (60, 62, 66), (150, 120, 60))), 0.2)
    stage.contact_shadow(x, z, width, width)
    w = width / 2
    corners = np.array([[x - w, z - w], [x + w, z - w], [x + w, z + w], [x - w, z + w]])

    def wall(a: int, b: int) -> np.ndarray:
        (x0, z0), (x1, z1) = corners[a], corners[b]
        return np.array([[x0, 0, z0], [x1, 0, z1], [x1, height, z1], [x0, height, z0]])

    lid = np.column_stack([corners[:, 0], np.full(4, height), corners[:, 1]])
    faces = [Face(wall(i, (i + 1) % 4), color) for i in range(4)]
    stage.solid([*faces, Face(lid, varied(rng, color, 0.2))], label)
