"""The camera: where a point of the street lands on the canvas.

A pinhole camera (Hartley and Zisserman, "Multiple View Geometry", chapter 6) that looks along the
street. Street coordinates are metres: x to the right of the camera, y up from the ground, z ahead.
Everything that runs along z meets in one vanishing point on the horizon, unless the street bends.
"""

from dataclasses import dataclass

import numpy as np

NEAREST = 0.6
"""Metres; whatever is nearer is drawn as if it stood here, so that nothing is divided by zero."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera over a street that may bend.

    Attributes:
        focal: focal length in canvas pixels; an object of 1 m at 1 m has this size.
        height: of the lens over the road, in metres.
        centre_x: column of the vanishing point, in canvas pixels.
        horizon: row of the vanishing point.
        bend: the street moves sideways by `bend * z^2` metres at distance z.
    """

    focal: float
    height: float
    centre_x: float
    horizon: float
    bend: float = 0.0

    def bent(self, points: np.ndarray) -> np.ndarray:
        """Bends street coordinates into the world that the camera sees: (..., 3) → (..., 3)."""
        world = np.array(points, dtype=np.float64)
        world[..., 0] += self.bend * world[..., 2] ** 2
        return world

    def project(self, points: np.ndarray) -> np.ndarray:
        """Projects street coordinates (..., 3) to canvas pixels (..., 2)."""
        world = self.bent(points)
        scale = self.focal / np.maximum(world[..., 2], NEAREST)
        pixels = np.empty((*world.shape[:-1], 2))
        pixels[..., 0] = self.centre_x + world[..., 0] * scale
        pixels[..., 1] = self.horizon + (self.height - world[..., 1]) * scale
        return pixels

    def pixels_per_metre(self, depth: float) -> float:
        """How large one metre is at a distance of `depth` metres, in canvas pixels."""
        return self.focal / max(depth, NEAREST)

    def ground(self, height: int, width: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Finds the point of the ground that each canvas pixel below the horizon shows.

        Args:
            height: rows of the canvas.
            width: its columns.

        Returns:
            The first row that shows ground; x (rows, width) in street coordinates and
            z (rows, 1), both float32 metres.
        """
        first = min(max(int(np.ceil(self.horizon + 1)), 0), height - 1)
        rows = np.arange(first, height, dtype=np.float32)[:, None] + 0.5
        columns = np.arange(width, dtype=np.float32)[None] + 0.5
        z = np.float32(self.focal * self.height) / np.maximum(rows - self.horizon, 0.5)
        x = (columns - self.centre_x) * (z / self.focal) - np.float32(self.bend) * z**2
        return first, x.astype(np.float32), z.astype(np.float32)
