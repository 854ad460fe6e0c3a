"""The stage: draws solid shapes, given in metres, onto the canvas through the camera.

It joins canvas, camera and weather, so that whoever draws a car or a house thinks in metres only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toycity.camera import Camera
from toycity.canvas import Canvas
from toycity.weather import Color, Weather


class Face(NamedTuple):
    """One flat side of a solid.

    Attributes:
        corners: (N, 3) in metres, N at least 3.
        color: RGB, 0 ... 255.
        decals: smaller polygons that lie on it, each (corners, colour).
    """

    corners: np.ndarray
    color: Color
    decals: tuple[tuple[np.ndarray, Color], ...] = ()


@dataclass(frozen=True)
class Stage:
    """Everything that drawing needs: where to, seen from where, in which light, by which chance."""

    canvas: Canvas
    camera: Camera
    weather: Weather
    rng: np.random.Generator

    def shaded(self, color: Color, factor: float) -> Color:
        """A colour made brighter or darker."""
        red, green, blue = (min(c * factor, 255.0) for c in color)
        return red, green, blue

    def polygon(
        self, corners: np.ndarray, color: Color, label: str | None, alpha: float = 1.0
    ) -> None:
        """Fills a flat polygon, (N, 3) metres, in its plain colour."""
        depth = float(corners[:, 2].mean())
        self.canvas.polygon(self.camera.project(corners), color, label, depth, alpha)

    def solid(
        self, faces: list[Face], label: str, x: float = 0.0, z: float = 0.0, yaw: float = 0.0
    ) -> None:
        """Draws the sides of a convex body that face the camera, lit by where they point.

        Args:
            faces: all of its sides, in the body's own coordinates.
            label: an official label name.
            x: where the body stands, see `placed`.
            z: likewise.
            yaw: likewise.
        """
        polygons = [(face.corners, face.color, i) for i, face in enumerate(faces)]
        polygons += [(*decal, i) for i, face in enumerate(faces) for decal in face.decals]
        ends = np.cumsum([len(corners) for corners, _, _ in polygons])
        points = placed(np.concatenate([corners for corners, _, _ in polygons]), x, z, yaw)
        pixels = np.split(self.camera.project(points), ends[:-1])
        corners = np.split(self.camera.bent(points), ends[:-1])[: len(faces)]
        middle, light = self._lit_sides(corners)
        owned: list[list[int]] = [[] for _ in faces]
        for number, (_, _, face) in enumerate(polygons):
            owned[face].append(number)
        for face in np.argsort(-middle[:, 2]):
            if light[face] > 0:
                for number in owned[face]:
                    color = self.shaded(polygons[number][1], light[face])
                    self.canvas.polygon(pixels[number], color, label, middle[face, 2])

    def _lit_sides(self, sides: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Middle (F, 3) and brightness (F,) of a convex body's sides; 0 for those turned away."""
        centre = np.concatenate(sides).mean(axis=0)
        triangles = np.stack([s[[0, len(s) // 3, 2 * len(s) // 3]] for s in sides])
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        middle = triangles.mean(axis=1)
        normals *= np.sign(((middle - centre) * normals).sum(axis=1, keepdims=True))
        eye = np.array([0.0, self.camera.height, 0.0])
        is_visible = ((middle - eye) * normals).sum(axis=1) < 0
        return middle, self.weather.light_on(normals) * is_visible

    def panel(
        self, corners: np.ndarray, texture: np.ndarray, label: str, normal: Color | None = None
    ) -> None:
        """Hangs a texture onto a rectangle of the street.

        Args:
            corners: (4, 3) metres: the texture's top left, top right, bottom right, bottom left.
            texture: (h, w, 3) or (h, w, 4) uint8.
            label: an official label name.
            normal: where the panel points, for its light; None leaves it as painted.
        """
        if normal is not None:
            factor = float(self.weather.light_on(np.array(normal)))
            lit = np.clip(texture[..., :3] * np.float32(factor), 0, 255).astype(np.uint8)
            texture = np.dstack([lit, texture[..., 3:]]) if texture.shape[2] == 4 else lit
        depth = float(corners[:, 2].mean())
        self.canvas.texture(self.camera.project(corners), texture, label, depth)

    def limb(
        self,
        points: np.ndarray | list,
        thickness: float,
        color: Color,
        label: str | None,
        closed: bool = False,
    ) -> None:
        """Draws a round bar through points, (N, 3) metres: arms, legs, tubes, poles."""
        points = np.asarray(points, dtype=float)
        depth = float(points[:, 2].mean())
        pixels = thickness * self.camera.pixels_per_metre(depth)
        self.canvas.stroke(self.camera.project(points), pixels, color, label, depth, closed)

    def ball(self, centre: np.ndarray | list, radius: float, color: Color, label: str) -> None:
        """Draws a ball, centre (3,) and radius in metres."""
        centre = np.asarray(centre, dtype=float)
        pixels = max(0.7, radius * self.camera.pixels_per_metre(centre[2]))
        self.canvas.disc(self.camera.project(centre), pixels, color, label, centre[2])

    def contact_shadow(self, x: float, z: float, width: float, length: float) -> None:
        """Darkens the ground below and beside a thing of this size, in metres."""
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        lean = -0.45 * self.weather.sun_side * self.weather.sun
        for grow, strength in ((1.25, 0.22), (1.0, 0.34)):
            outline = np.stack(
                [
                    x + lean + 0.5 * grow * width * _squared(np.cos(angles)),
                    np.zeros(16),
                    np.maximum(z + 0.5 * grow * length * _squared(np.sin(angles)), 1.0),
                ],
                axis=1,
            )
            self.canvas.shadow(self.camera.project(outline), strength)


def _squared(wave: np.ndarray) -> np.ndarray:
    """Turns a circle's coordinate into that of a rounded square."""
    return np.sign(wave) * np.abs(wave) ** 0.5


def placed(local: np.ndarray, x: float, z: float, yaw: float) -> np.ndarray:
    """Moves a body's own coordinates into the street.

    Args:
        local: (..., 3) metres: x to the body's right, y up, z to its front.
        x: where the body stands, to the right of the camera.
        z: where it stands, ahead.
        yaw: the direction of its front: 0 away from the camera, pi towards it.

    Returns:
        (..., 3) street coordinates.
    """
    local = np.asarray(local, dtype=float)
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned = np.empty_like(local)
    turned[..., 0] = x + cosine * local[..., 0] + sine * local[..., 2]
    turned[..., 1] = local[..., 1]
    turned[..., 2] = z - sine * local[..., 0] + cosine * local[..., 2]
    return turned


Thing = tuple[float, Callable[[Stage], None]]
"""What waits to be painted: its distance in metres, and how to paint it."""
