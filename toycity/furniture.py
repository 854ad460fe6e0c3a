"""Street furniture: lamp posts, traffic lights, traffic signs, and things that are void."""

import numpy as np

from toycity.stage import Face, Stage
from toycity.textures import pick, varied
from toycity.weather import Color

STEEL = ((116, 120, 122), (92, 98, 96), (70, 76, 74), (146, 150, 150))
RED, BLUE, YELLOW, WHITE = (198, 32, 34), (30, 84, 170), (240, 196, 40), (238, 238, 234)


def pole(stage: Stage, x: float, z: float, height: float, thickness: float = 0.13) -> None:
    """Draws a bare pole, label "pole"."""
    stage.limb([[x, 0, z], [x, height, z]], thickness, pick(stage.rng, STEEL), "pole")


def lamp_post(stage: Stage, x: float, z: float, height: float) -> None:
    """Draws a street lamp whose arm reaches over the road."""
    color, reach = varied(stage.rng, pick(stage.rng, STEEL), 0.1), -np.sign(x) * 1.4
    stage.limb([[x, 0, z], [x, 1.1, z]], 0.24, color, "pole")
    stage.limb([[x, 0, z], [x, height, z], [x + reach, height + 0.25, z]], 0.15, color, "pole")
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


def _sign_face(stage: Stage, kind: str, x: float, y: float, z: float, size: float) -> None:
    """Draws the plate of a traffic sign of about `size` metres around (x, y)."""
    rng = stage.rng

    def shape(outline: np.ndarray, color: Color, dx: float = 0.0, dy: float = 0.0) -> None:
        stage.polygon(_flat(x + dx, y + dy, z, outline), color, "traffic sign")

    half = size / 2
    if kind == "limit":
        shape(_regular(16, half), RED)
        shape(_regular(16, 0.72 * half), WHITE)
        shape(_bar(0.5 * half, 0.7 * half), (40, 40, 44))
    elif kind == "stop":
        shape(_regular(8, half, np.pi / 8), RED)
        shape(_bar(1.3 * half, 0.36 * half), WHITE)
    elif kind == "no entry":
        shape(_regular(16, half), RED)
        shape(_bar(1.3 * half, 0.36 * half), WHITE)
    elif kind == "yield":
        shape(_regular(3, 1.15 * half, -np.pi / 2), RED)
        shape(_regular(3, 0.66 * half, -np.pi / 2), WHITE)
    elif kind == "warning":
        shape(_regular(3, 1.15 * half, np.pi / 2), RED)
        shape(_regular(3, 0.66 * half, np.pi / 2), WHITE)
        shape(_bar(0.16 * half, 0.5 * half), (40, 40, 44))
    elif kind == "arrow":
        shape(_regular(16, half), BLUE)
        shape(_bar(0.26 * half, 1.1 * half), WHITE)
        shape(_regular(3, 0.45 * half, np.pi / 2), WHITE, dy=0.35 * half)
    elif kind == "priority":
        shape(_regular(4, 1.1 * half, 0), WHITE)
        shape(_regular(4, 0.8 * half, 0), YELLOW)
    elif kind == "parking":
        shape(_bar(size, size), BLUE)
        shape(_bar(0.3 * half, 1.2 * half), WHITE, dx=-0.25 * half)
        shape(_regular(8, 0.4 * half), WHITE, dx=0.1 * half, dy=0.25 * half)
    else:
        color = pick(rng, (YELLOW, WHITE, BLUE))
        ink = (36, 36, 40) if color is not BLUE else WHITE
        shape(_bar(2.4 * size, 1.1 * size), ink)
        shape(_bar(2.3 * size, 1.0 * size), color)
        for row in (0.25, -0.2):
            shape(_bar(rng.uniform(0.9, 1.8) * size, 0.16 * size), ink, dy=row * size)


SIGN_KINDS = (
    "limit", "stop", "no entry", "yield", "warning", "arrow", "priority", "parking", "direction",
)  # fmt: skip


def traffic_sign(stage: Stage, x: float, z: float, height: float) -> None:
    """Draws a sign on its pole, sometimes two."""
    rng = stage.rng
    size = rng.uniform(0.65, 0.85)
    kind = SIGN_KINDS[int(rng.integers(len(SIGN_KINDS)))]
    stage.limb([[x, 0, z], [x, height + 0.35 * size, z]], 0.1, pick(rng, STEEL), "pole")
    _sign_face(stage, kind, x, height, z - 0.05, size)
    if rng.random() < 0.3:
        other = SIGN_KINDS[int(rng.integers(len(SIGN_KINDS) - 1))]
        _sign_face(stage, other, x, height - 1.05 * size, z - 0.05, size)


def _lamps(stage: Stage, x: float, y: float, z: float, lit: int) -> None:
    """Draws the housing of a traffic light, its lower edge at y, and its three lamps."""
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
    stage.limb([[x, 0, z], [x, top, z]], 0.15, color, "pole")
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
