"""What closes the street on both sides and at its end: houses, walls, fences, hedges, woods."""

from collections.abc import Callable

import numpy as np

from toycity.cities import City
from toycity.nature import hedge, treeline
from toycity.stage import Face, Stage, Thing
from toycity.street import Plan
from toycity.textures import (
    STOREY,
    TEXELS_PER_METRE,
    blank_wall,
    facade,
    masonry,
    pick,
    railing,
    varied,
)

NEAREST_WALL = 2.2
"""Where panels beside the camera begin, in metres; nearer ones would be out of sight."""


def _rectangle(x: float, near: float, far: float, top: float, bottom: float = 0.0) -> np.ndarray:
    """An upright rectangle along the street, (4, 3), texture order as seen from the street."""
    first, last = (far, near) if x > 0 else (near, far)
    return np.array([[x, top, first], [x, top, last], [x, bottom, last], [x, bottom, first]])


def house(
    stage: Stage, city: City, sign: int, x: float, near: float, far: float, storeys: int
) -> None:
    """Draws a house: the gable towards us, the street front, the roof.

    Args:
        stage: where to draw.
        city: its style.
        sign: -1 on the left of the street, 1 on the right.
        x: distance of its front from the camera's line, positive metres.
        near: where its front begins, in metres ahead.
        far: where it ends.
        storeys: its height.
    """
    rng, height = stage.rng, STOREY * storeys
    near = max(near, NEAREST_WALL)
    front, back = sign * x, sign * (x + 11)
    gable = np.array(
        [[front, height, near], [back, height, near], [back, 0, near], [front, 0, near]]
    )
    if sign < 0:
        gable = gable[[1, 0, 3, 2]]
    roof = varied(rng, pick(rng, city.roofs), 0.1)
    ridge = height + rng.uniform(1.8, 3.4) if rng.random() < 0.75 else height + 0.5
    setback = sign * (x + (3.0 if ridge > height + 1 else 0.2))
    slope = [
        [front, height, near],
        [front, height, far],
        [setback, ridge, far],
        [setback, ridge, near],
    ]
    end = [[front, height, near], [setback, ridge, near], [back, ridge, near], [back, height, near]]
    faces = [Face(np.array(slope), roof), Face(np.array(end), varied(rng, roof, 0.1))]
    stage.panel(gable, blank_wall(rng, city, 11, height), "building", normal=(0, 0, -1))
    for face in faces:
        light = float(stage.weather.light_on(np.array([-0.5 * sign, 0.86, 0.0])))
        stage.polygon(face.corners, stage.shaded(face.color, light), "building")
    texels = TEXELS_PER_METRE if near < 22 else TEXELS_PER_METRE // 2
    texture = facade(rng, city, far - near, storeys, stage.weather.lamps_lit, texels)
    stage.panel(_rectangle(front, near, far, height), texture, "building", normal=(-sign, 0, 0))


def wall(stage: Stage, sign: int, x: float, near: float, far: float, height: float) -> None:
    """Draws a free-standing wall along the sidewalk."""
    near = max(near, NEAREST_WALL)
    texture = masonry(stage.rng, far - near, height)
    corners = _rectangle(sign * x, near, far, height)
    stage.panel(corners, texture, "wall", normal=(-sign, 0, 0))
    end = np.array([[0, height], [0.35, height], [0.35, 0], [0, 0]])
    points = np.stack([sign * (x + end[:, 0]), end[:, 1], np.full(4, near)], axis=1)
    stage.polygon(points, stage.shaded((96, 100, 136), 0.8), "wall")


def fence(stage: Stage, sign: int, x: float, near: float, far: float, height: float) -> None:
    """Draws a fence along the street."""
    near = max(near, NEAREST_WALL)
    texture = railing(stage.rng, far - near, height)
    stage.panel(_rectangle(sign * x, near, far, height), texture, "fence", normal=(-sign, 0, 0))


def guard_rail(stage: Stage, sign: int, x: float, near: float, far: float) -> None:
    """Draws a crash barrier, which Cityscapes labels but does not score."""
    corners = _rectangle(sign * x, max(near, NEAREST_WALL), far, 0.75, 0.35)
    light = float(stage.weather.light_on(np.array([-sign, 0.0, 0.0])))
    stage.polygon(corners, stage.shaded((168, 172, 176), light), "guard rail")


def street_end(stage: Stage, plan: Plan, city: City) -> None:
    """Closes the view at the end of the street: woods, and houses that face us."""
    rng, z = stage.rng, plan.end
    treeline(stage, city, z + 60, height=rng.uniform(8, 14), reach=70)
    if rng.random() < 0.55:
        left = -rng.uniform(25, 40)
        while left < 36:
            width = rng.uniform(8, 15)
            storeys = int(rng.integers(city.storeys[0], city.storeys[1] + 1))
            texture = facade(
                rng, city, width, storeys, stage.weather.lamps_lit, TEXELS_PER_METRE // 2
            )
            top, right = STOREY * storeys, left + width
            corners = [[left, top, z], [right, top, z], [right, 0, z], [left, 0, z]]
            roof = [
                [left, top, z],
                [left + 1, top + 2.5, z],
                [right - 1, top + 2.5, z],
                [right, top, z],
            ]
            stage.polygon(np.array(roof), varied(rng, pick(rng, city.roofs), 0.1), "building")
            stage.panel(np.array(corners), texture, "building", normal=(0, 0, -1))
            left = right + (rng.uniform(3, 8) if rng.random() < 0.25 else 0)
    else:
        treeline(stage, city, z, height=rng.uniform(4, 9), reach=45)


def _plots(rng: np.random.Generator, plan: Plan) -> list[tuple[float, float]]:
    """Cuts one side of the street into plots, (near z, far z), leaving the side street open."""
    plots, z = [], rng.uniform(-6, 1)
    while z < plan.end:
        far = z + rng.uniform(9, 19)
        if plan.junction is not None and z < plan.junction[1] and far > plan.junction[0]:
            if plan.junction[0] - z > 4:
                plots.append((z, plan.junction[0]))
            z = plan.junction[1]
            continue
        if far > NEAREST_WALL + 1:
            plots.append((z, far))
        z = far
    return plots


def line_street(
    rng: np.random.Generator, plan: Plan, city: City, wants_wall: bool, wants_fence: bool
) -> list[Thing]:
    """Chooses what stands on each plot of both sides.

    Returns:
        (depth, draw) pairs, side by side and not by depth: `draw(stage)` paints the thing, and the
        caller paints those with the greatest depth first.
    """
    things: list[Thing] = []
    barriers = {-1: "", 1: ""}
    wall_side = int(rng.choice([-1, 1]))
    if wants_wall:
        barriers[wall_side] = "wall"
    if wants_fence:
        barriers[-wall_side] = "fence"
    for sign in (-1, 1):
        side = plan.side(sign)
        wooded = rng.random() < 0.1 * city.greenery
        for near, far in _plots(rng, plan):
            is_open = rng.random() < (0.75 if wooded else 0.12 * city.greenery)
            storeys = int(rng.integers(city.storeys[0], city.storeys[1] + 1))
            setback = 3.0 if barriers[sign] else 0.0
            if is_open:
                height = rng.uniform(2.5, 7)
                x = side.houses + 1.2
                things.append((far, _later(hedge, city, sign, x, near, far, height)))
            else:
                x = side.houses + setback
                things.append((far, _later(house, city, sign, x, near, far, storeys)))
            things.extend(_barrier(rng, barriers[sign], sign, side.houses, near, far, city))
    return things


def _barrier(
    rng: np.random.Generator, kind: str, sign: int, x: float, near: float, far: float, city: City
) -> list[Thing]:
    """What stands between a plot and the sidewalk: a wall, a fence, a low hedge, or nothing."""
    if kind == "wall" and rng.random() < 0.8:
        return [(far - 0.1, _later(wall, sign, x, near, far, rng.uniform(1.6, 2.6)))]
    if kind == "fence" and rng.random() < 0.85:
        return [(far - 0.1, _later(fence, sign, x, near, far, rng.uniform(1.1, 1.9)))]
    if not kind and rng.random() < 0.1 * city.greenery:
        return [(far - 0.1, _later(hedge, city, sign, x, near, far, rng.uniform(0.8, 1.4)))]
    return []


def _later(draw: Callable[..., None], *arguments: object) -> Callable[[Stage], None]:
    """Keeps a drawing for its turn: draws get the stage first."""
    return lambda stage: draw(stage, *arguments)
