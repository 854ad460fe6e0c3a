"""Trees, hedges, woods: vegetation grown from noise, dark below and ragged at its edge."""

import numpy as np

from toycity.cities import City
from toycity.stage import Stage
from toycity.textures import as_texture, noise, pick, varied
from toycity.weather import Color


def foliage(
    stage: Stage, top_left: np.ndarray, bottom_right: np.ndarray, shape: str, color: Color,
    depth: float,
) -> None:  # fmt: skip
    """Prints leaves into a box of the canvas.

    Args:
        stage: where to draw.
        top_left: (2,) canvas pixels.
        bottom_right: (2,) canvas pixels.
        shape: "crown" for an egg, "tuft" for a dome that stands on the ground.
        color: of the leaves.
        depth: metres to the viewer.
    """
    canvas, rng, weather = stage.canvas, stage.rng, stage.weather
    low = np.maximum(np.floor(top_left), 0).astype(int)
    high = np.minimum(np.ceil(bottom_right), (canvas.width, canvas.height)).astype(int)
    width, height = high - low
    if width < 1 or height < 1:
        return
    extent = np.maximum(bottom_right - top_left, 1.0)
    x = 2 * (np.arange(low[0], high[0], dtype=np.float32)[None] - top_left[0]) / extent[0] - 1
    y = 2 * (np.arange(low[1], high[1], dtype=np.float32)[:, None] - top_left[1]) / extent[1] - 1
    x, y = x.astype(np.float32), y.astype(np.float32)
    coarse, fine = noise(rng, height, width, 16), noise(rng, height, width, 64)
    if shape == "crown":
        inside = (1 - x**2) - (1.03 * y) ** 2 + 0.3 * coarse
    else:
        inside = 0.9 - x**4 - np.maximum(-y, 0) ** 3 + 0.4 * coarse
    tone = 0.22 * coarse + 0.2 * fine
    tone += 0.80 - (0.16 + 0.45 * weather.sun) * y + (0.35 * weather.sun * weather.sun_side) * x
    tone = np.clip(tone, 0.28, 1.7) * np.float32(weather.ambient + 0.25 * weather.sun)
    colors = tone[..., None] * np.array(color, np.float32)
    mask = (inside > 0).astype(np.uint8)
    canvas.stamp(int(low[1]), int(low[0]), as_texture(colors), mask, "vegetation", depth)


def tree(stage: Stage, city: City, x: float, z: float, height: float) -> None:
    """Draws a tree with its trunk; Cityscapes counts the trunk as vegetation, too."""
    rng = stage.rng
    bark = varied(rng, (86, 72, 58), 0.2)
    stage.limb([[x, 0, z], [x, 0.55 * height, z]], 0.05 * height, bark, "vegetation")
    color = varied(rng, pick(rng, city.leaves), 0.15)
    lean, spread = rng.uniform(-0.3, 0.3), height * rng.uniform(0.26, 0.34)
    crowns = [(0.0, 0.66, 1.0), (-0.45, 0.58, 0.62), (0.45, 0.6, 0.62)]
    for offset, level, size in crowns[: 1 + 2 * int(z < 30)]:
        centre = np.array([x + lean + offset * spread * 1.3, level * height, z])
        half = np.array([spread * size, -0.34 * height * size, 0])
        low, high = stage.camera.project(centre - half), stage.camera.project(centre + half)
        foliage(stage, low, high, "crown", varied(rng, color, 0.06), z)


def bush(stage: Stage, city: City, x: float, z: float, size: float) -> None:
    """Draws a bush of `size` metres on the ground."""
    centre, half = np.array([x, 0.4 * size, z]), np.array([0.6 * size, -0.5 * size, 0])
    color = varied(stage.rng, pick(stage.rng, city.leaves), 0.15)
    low, high = stage.camera.project(centre - half), stage.camera.project(centre + half)
    foliage(stage, low, high, "crown", color, z)


def hedge(
    stage: Stage, city: City, sign: int, x: float, near: float, far: float, height: float
) -> None:
    """Draws a hedge or shrubbery along the street as a row of overlapping tufts.

    Args:
        stage: where to draw.
        city: gives the leaves.
        sign: -1 on the left of the street, 1 on the right.
        x: its distance from the camera's line, positive metres.
        near: where it begins, in metres ahead.
        far: where it ends.
        height: in metres.
    """
    rng = stage.rng
    color = varied(rng, pick(rng, city.leaves), 0.12)
    step = max(1.2, 0.55 * height)
    for z in np.arange(far, max(near, 3.0), -step):
        top = height * rng.uniform(0.85, 1.1)
        inner, outer = sign * (x - 0.5), sign * (x + 1.5 * step + 0.3 * height)
        low = stage.camera.project(np.array([min(inner, outer), top, z]))
        high = stage.camera.project(np.array([max(inner, outer), 0.0, z]))
        foliage(stage, low, high, "tuft", varied(rng, color, 0.1), z)


def treeline(stage: Stage, city: City, z: float, height: float, reach: float) -> None:
    """Draws a wood across the view at distance z, `reach` metres to both sides."""
    color = varied(stage.rng, pick(stage.rng, city.leaves), 0.1)
    step = 1.6 * height
    for left in np.arange(-reach, reach, step):
        top = height * stage.rng.uniform(0.75, 1.2)
        low = stage.camera.project(np.array([left - 0.4 * step, top, z]))
        high = stage.camera.project(np.array([left + 1.4 * step, 0.0, z])) + 1
        foliage(stage, low, high, "tuft", varied(stage.rng, color, 0.08), z)
