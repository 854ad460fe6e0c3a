"""People, and what they ride: figures of thick limbs, seen from any side.

A *rider* is the human on a two-wheeler; the two-wheeler below keeps its own label, so that every
rider stands for two classes at once.
"""

from collections.abc import Callable

import numpy as np

from toycity.stage import Stage, placed
from toycity.textures import pick, varied
from toycity.weather import Color

SKIN = ((232, 190, 160), (204, 156, 124), (150, 104, 76), (104, 72, 54))
HAIR = ((44, 34, 28), (88, 62, 40), (156, 122, 78), (132, 128, 124), (30, 28, 28))
TOPS = (
    (196, 40, 60), (170, 50, 130), (214, 90, 140), (120, 60, 150), (190, 70, 170), (226, 140, 160),
    (150, 30, 60), (236, 226, 222), (60, 40, 80),
)  # fmt: skip
TROUSERS = ((40, 48, 88), (36, 38, 52), (52, 58, 96), (60, 56, 70))
BICYCLE_COLORS = (
    (60, 170, 180), (40, 120, 170), (120, 200, 200), (200, 226, 224), (60, 150, 130),
)  # fmt: skip
MOTORCYCLE_COLORS = (
    (244, 120, 16), (236, 100, 12), (250, 140, 30),
)  # fmt: skip
VESTS = ((206, 240, 50), (226, 244, 60), (190, 228, 40))
HELMETS = ((240, 240, 236), (226, 230, 236), (244, 232, 210))
METAL = (38, 40, 44)
CHROME = (178, 180, 184)


def person(stage: Stage, x: float, z: float, yaw: float, height: float) -> None:
    """Draws someone who stands or walks, label "person".

    Args:
        stage: where to draw.
        x: where they stand, metres to the right.
        z: metres ahead.
        yaw: where they look; 0 away from us.
        height: in metres; children are people, too.
    """
    rng, unit = stage.rng, height / 1.75
    top, legs = varied(rng, pick(rng, TOPS), 0.15), varied(rng, pick(rng, TROUSERS), 0.2)
    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    stride, swing = rng.uniform(0.0, 0.32), rng.uniform(-0.25, 0.25)
    shoe = varied(rng, (48, 44, 44), 0.3)
    stage.contact_shadow(x, z, 0.7 * unit, 0.6 * unit)

    def at(points: list) -> np.ndarray:
        return placed(np.array(points) * unit, x, z, yaw)

    for side in (-1, 1):
        knee, foot = (0.1 * side, 0.46, 0.55 * stride * side), (0.1 * side, 0.05, stride * side)
        stage.limb(at([(0.09 * side, 0.88, 0), knee, foot]), 0.15 * unit, legs, "person")
        stage.limb(at([foot, (foot[0], 0.05, foot[2] + 0.14)]), 0.1 * unit, shoe, "person")
    _torso(stage, at, top, legs if rng.random() < 0.2 else top, "person")
    for side in (-1, 1):
        elbow, hand = (
            (0.27 * side, 1.15, -swing * side * 0.6),
            (0.27 * side, 0.88, 0.1 - swing * side),
        )
        stage.limb(at([(0.21 * side, 1.4, 0), elbow, hand]), 0.1 * unit, top, "person")
        stage.ball(at([hand])[0], 0.05 * unit, skin, "person")
    if rng.random() < 0.25:
        bag = varied(rng, pick(rng, TOPS), 0.2)
        stage.limb(at([(0.3, 0.8, 0), (0.3, 0.62, 0)]), 0.24 * unit, bag, "person")
    _head(stage, at, skin, hair, 1.64, "person")


def _torso(stage: Stage, at: Callable, top: Color, hem: Color, label: str) -> None:
    """Draws shoulders to hips of an upright figure; `at` places its points."""
    stage.limb(at([(-0.14, 1.38, 0), (0.14, 1.38, 0), (0.1, 0.95, 0), (-0.1, 0.95, 0)]), 0.16, top,
               label, closed=True)  # fmt: skip
    stage.limb(at([(0, 1.38, 0), (0, 0.98, 0)]), 0.26, top, label)
    stage.limb(at([(-0.1, 0.9, 0), (0.1, 0.9, 0)]), 0.18, hem, label)


def _head(stage: Stage, at: Callable, skin: Color, hair: Color, level: float, label: str) -> None:
    """Draws neck, face and hair of a figure, the head's middle at `level`."""
    stage.limb(at([(0, level - 0.2, 0), (0, level - 0.08, 0)]), 0.1, skin, label)
    stage.ball(at([(0, level + 0.03, -0.03)])[0], 0.125, hair, label)
    stage.ball(at([(0, level - 0.03, 0.06)])[0], 0.095, skin, label)


def _rings(
    stage: Stage, at: Callable, axles: tuple, radius: float, tyre: float, label: str
) -> None:
    """Draws wheels, labelled whole as in Cityscapes: bicycles' can be seen through, others not."""
    spokes, opacity = ((150, 154, 158), 0.4) if label == "bicycle" else ((92, 92, 96), 0.95)
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for axle in axles:
        ring = [(0, radius + radius * np.sin(a), axle + radius * np.cos(a)) for a in angles]
        stage.polygon(at(ring), spokes, label, alpha=opacity)
        stage.limb(at(ring), tyre, METAL, label, closed=True)


def bicycle(stage: Stage, x: float, z: float, yaw: float, is_ridden: bool = False) -> None:
    """Draws a bicycle, label "bicycle", and who rides it, label "rider"."""
    rng = stage.rng
    color = varied(rng, pick(rng, BICYCLE_COLORS), 0.1)
    stage.contact_shadow(x, z, 0.4 + 1.5 * abs(np.sin(yaw)), 0.4 + 1.5 * abs(np.cos(yaw)))

    def at(points: list) -> np.ndarray:
        return placed(np.array(points, dtype=float), x, z, yaw)

    _rings(stage, at, (-0.53, 0.53), 0.34, 0.07, "bicycle")
    hub, crank, saddle, head = (0, 0.34, -0.53), (0, 0.3, -0.05), (0, 0.9, -0.2), (0, 0.85, 0.38)
    stage.limb(at([hub, crank, saddle, hub]), 0.08, color, "bicycle")
    stage.limb(at([saddle, head, crank]), 0.085, color, "bicycle")
    stage.limb(at([(0, 0.34, 0.53), head, (0, 1.02, 0.36)]), 0.06, color, "bicycle")
    stage.limb(at([(-0.28, 1.04, 0.3), (0, 1.04, 0.4), (0.28, 1.04, 0.3)]), 0.07, METAL, "bicycle")
    stage.limb(at([(0, 0.96, -0.3), (0, 0.96, -0.1)]), 0.11, METAL, "bicycle")
    if np.cos(yaw) > 0.3:
        stage.ball(at([(0, 0.62, -0.62)])[0], 0.06, (220, 40, 30), "bicycle")
    else:
        stage.ball(at([(0, 0.85, 0.5)])[0], 0.06, (240, 238, 220), "bicycle")
    if is_ridden:
        _rider(stage, at, (1.0, 0.28), (0.42, 1.06), helmet=bool(rng.random() < 0.8))


def _rider(
    stage: Stage, at: Callable, seat: tuple[float, float], grip: tuple[float, float], helmet: bool
) -> None:
    """Draws the human on a two-wheeler.

    Args:
        stage: where to draw.
        at: places points of the two-wheeler's coordinates.
        seat: height of the hips, and of the feet.
        grip: z and height of the handlebar.
        helmet: whether a helmet hides the hair.
    """
    rng = stage.rng
    top, legs = varied(rng, pick(rng, VESTS), 0.08), varied(rng, pick(rng, TROUSERS), 0.2)
    skin = pick(rng, SKIN)
    hair = pick(rng, HELMETS) if helmet else pick(rng, HAIR)
    hip, foot = seat
    shoulder = hip + 0.52
    for side in (-1, 1):
        pedal = foot + 0.08 * side
        leg = [(0.1 * side, hip, -0.2), (0.16 * side, hip - 0.22, 0.2), (0.13 * side, pedal, 0.02)]
        stage.limb(at(leg), 0.16, legs, "rider")
        arm = [(0.2 * side, shoulder, 0.08), (0.27 * side, shoulder - 0.26, 0.16),
               (0.25 * side, grip[1], grip[0] - 0.08)]  # fmt: skip
        stage.limb(at(arm), 0.11, top, "rider")
    back = [(-0.12, shoulder - 0.04, 0.06), (0.12, shoulder - 0.04, 0.06), (0.09, hip, -0.2),
            (-0.09, hip, -0.2)]  # fmt: skip
    stage.limb(at(back), 0.2, top, "rider", closed=True)
    stage.limb(at([(0, shoulder, 0.06), (0, hip, -0.2)]), 0.28, top, "rider")
    stage.ball(at([(0, shoulder + 0.26, 0.12)])[0], 0.135 if helmet else 0.12, hair, "rider")
    stage.ball(at([(0, shoulder + 0.2, 0.2)])[0], 0.08, skin, "rider")


def motorcycle(stage: Stage, x: float, z: float, yaw: float, is_ridden: bool = False) -> None:
    """Draws a motorcycle, label "motorcycle": fat wheels, tank, engine, headlamp; and its rider."""
    color = varied(stage.rng, pick(stage.rng, MOTORCYCLE_COLORS), 0.1)
    stage.contact_shadow(x, z, 0.7 + 1.6 * abs(np.sin(yaw)), 0.6 + 1.6 * abs(np.cos(yaw)))

    def at(points: list) -> np.ndarray:
        return placed(np.array(points, dtype=float), x, z, yaw)

    looks_away = np.cos(yaw) > 0
    parts = [_motorcycle_front, _motorcycle_middle, _motorcycle_rear]
    for part in parts if looks_away else reversed(parts):
        part(stage, at, color, looks_away)
    if is_ridden:
        _rider(stage, at, (0.86, 0.34), (0.38, 1.04), helmet=True)


def _motorcycle_front(stage: Stage, at: Callable, color: Color, looks_away: bool) -> None:
    """Draws fork, handlebar, mirrors and headlamp."""
    label = "motorcycle"
    _rings(stage, at, (0.72,), 0.33, 0.17, label)
    stage.limb(at([(0, 0.33, 0.72), (0, 0.95, 0.45)]), 0.17, CHROME, label)
    stage.limb(at([(-0.36, 1.06, 0.34), (0, 1.0, 0.45), (0.36, 1.06, 0.34)]), 0.09, METAL, label)
    for mirror in (-0.36, 0.36):
        stage.ball(at([(mirror, 1.18, 0.36)])[0], 0.07, METAL, label)
    stage.limb(at([(-0.12, 0.92, 0.52), (0.12, 0.92, 0.52)]), 0.26, color, label)
    if not looks_away:
        stage.ball(at([(0, 0.92, 0.6)])[0], 0.13, (255, 250, 224), label)


def _motorcycle_middle(stage: Stage, at: Callable, color: Color, looks_away: bool) -> None:
    """Draws engine, exhaust, tank and seat."""
    label = "motorcycle"
    stage.limb(at([(0, 0.42, -0.25), (0, 0.45, 0.25)]), 0.46, (66, 66, 70), label)
    stage.limb(at([(0.2, 0.35, -0.8), (0.2, 0.32, 0.1)]), 0.12, CHROME, label)
    stage.limb(at([(0, 0.82, 0.0), (0, 0.8, 0.42)]), 0.4, color, label)
    stage.limb(at([(0, 0.62, 0.1), (0, 0.7, 0.5)]), 0.3, color, label)
    stage.limb(at([(0, 0.8, -0.65), (0, 0.78, -0.05)]), 0.2, METAL, label)


def _motorcycle_rear(stage: Stage, at: Callable, color: Color, looks_away: bool) -> None:
    """Draws the rear wheel, the tail, its lamp and the plate."""
    label = "motorcycle"
    _rings(stage, at, (-0.68,), 0.33, 0.19, label)
    stage.limb(at([(-0.1, 0.74, -0.75), (0.1, 0.74, -0.75)]), 0.22, color, label)
    if looks_away:
        stage.ball(at([(0, 0.74, -0.92)])[0], 0.1, (236, 40, 30), label)
        stage.limb(at([(-0.09, 0.5, -0.95), (0.09, 0.5, -0.95)]), 0.16, (226, 224, 206), label)
