"""The street itself: its plan seen from above, and how sky and ground are painted.

The plan is a cross-section that holds all along the street (kerbs, sidewalks, verges, the line of
the houses, each an x in metres) and at most one side street.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from toycity.canvas import LABEL_IDS
from toycity.cities import City
from toycity.stage import Stage
from toycity.textures import noise, noise_tile, varied
from toycity.weather import Color

LANE_WIDTH = 3.3
PARKING_WIDTH = 2.2
FAR = 400.0


class Side(NamedTuple):
    """One side of the street; every x counts from the camera outwards and is positive.

    Attributes:
        road: where the lanes end.
        kerb: where the sidewalk begins; parked cars stand between road and kerb.
        walk: where the sidewalk ends.
        houses: where the houses begin; lawn lies between if it is farther out than `walk`.
        strip: width of a lawn between kerb and sidewalk, 0 for none.
    """

    road: float
    kerb: float
    walk: float
    houses: float
    strip: float

    @property
    def has_parking(self) -> bool:
        """Whether cars can park at the kerb."""
        return self.kerb > self.road + 1


@dataclass(frozen=True)
class Plan:
    """The street from above, in metres.

    Attributes:
        left: the left side (its x count to the left).
        right: the right side.
        lanes: the centres of the lanes with traffic, x, and whether it comes towards us.
        junction: where a side street crosses, (near z, far z), or None.
        end: distance at which the view is closed.
        tram: the x of the tram's track, or None.
        has_own_track: whether the track lies in grass or gravel of its own and not in the road.
    """

    left: Side
    right: Side
    lanes: tuple[tuple[float, bool], ...]
    junction: tuple[float, float] | None
    end: float
    tram: float | None
    has_own_track: bool

    def side(self, sign: int) -> Side:
        """The left side for -1, the right one for 1."""
        return self.left if sign < 0 else self.right

    def in_junction(self, z: float, margin: float = 0.0) -> bool:
        """Whether the side street crosses at z, or within `margin` metres of it."""
        return self.junction is not None and (
            self.junction[0] - margin < z < self.junction[1] + margin
        )


def draw_side(rng: np.random.Generator, road: float, city: City) -> Side:
    """Draws one side of the street, given where its lanes end."""
    kerb = road + (PARKING_WIDTH if rng.random() < 0.5 else 0.0)
    strip = rng.uniform(1.0, 1.8) if rng.random() < 0.12 * city.greenery else 0.0
    walk = kerb + strip + rng.uniform(2.5, 4.4)
    garden = rng.uniform(1.5, 4.5) if rng.random() < 0.36 * city.greenery else 0.0
    return Side(road, kerb, walk, walk + garden, strip)


def draw_plan(rng: np.random.Generator, city: City, wants_tram: bool) -> Plan:
    """Draws a street. We drive on the right, the oncoming traffic is on our left."""
    right = LANE_WIDTH / 2
    own = int(rng.random() < 0.3)  # a second lane of our direction, to our left
    lanes = [(0.0, False), *[(-LANE_WIDTH * (i + 1), False) for i in range(own)]]
    lanes.append((-LANE_WIDTH * (own + 1), True))
    left = LANE_WIDTH * (own + 1.5)
    tram, has_own_track = None, False
    if wants_tram:
        has_own_track = bool(rng.random() < 0.35)
        tram = -(left + LANE_WIDTH / 2) if has_own_track else lanes[-1][0]
        left += LANE_WIDTH if has_own_track else 0.0
    junction = None
    if rng.random() < 0.5:
        near = rng.uniform(9, 26)
        junction = (near, near + rng.uniform(6, 10))
    return Plan(
        left=draw_side(rng, left, city),
        right=draw_side(rng, right, city),
        lanes=tuple(lanes),
        junction=junction,
        end=rng.uniform(55, 110),
        tram=tram,
        has_own_track=has_own_track,
    )


def paint_sky(stage: Stage) -> None:
    """Fills everything above the horizon with a gradient and clouds."""
    canvas, weather, rng = stage.canvas, stage.weather, stage.rng
    rows = min(canvas.height, max(2, int(stage.camera.horizon) + 4))
    height = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None] ** 0.8
    top, bottom = np.array(weather.sky_top, np.float32), np.array(weather.sky_bottom, np.float32)
    sky = bottom + (top - bottom) * height
    clouds = cv2.resize(noise(rng, 100, 160), (canvas.width, rows), interpolation=cv2.INTER_LINEAR)
    cover = np.clip(0.55 * clouds + 1.4 * weather.cloudiness - 0.55, 0, 1)[..., None]
    sky = sky + (np.array(weather.cloud, np.float32) - sky) * (0.9 * cover)
    canvas.image[:rows] = np.clip(sky, 0, 255).astype(np.uint8)
    canvas.labels[:rows] = LABEL_IDS["sky"]


class Band(NamedTuple):
    """A strip of ground from the x of the band before to `until`."""

    until: float
    label: str
    color: Color
    roughness: float


def cross_section(plan: Plan, city: City, rng: np.random.Generator) -> list[Band]:
    """The strips of ground from left to right."""
    paving, grass = varied(rng, city.paving, 0.08), varied(rng, city.grass, 0.12)
    asphalt = varied(rng, city.asphalt, 0.1)
    is_paved = rng.random() < 0.2
    parking = varied(rng, paving, 0.12) if is_paved else asphalt
    parking_label = "parking" if is_paved else "road"
    kerb = tuple(min(c * 1.18, 225.0) for c in paving)

    def outwards(side: Side) -> list[tuple[float, str, Color, float]]:
        """From the lanes to behind the houses: where each strip begins, and what it is."""
        strips = []
        if side.has_parking:
            strips.append((side.road, parking_label, parking, 0.07))
        strips.append((side.kerb, "sidewalk", kerb, 0.03))
        if side.strip:
            strips.append((side.kerb + 0.2, "terrain", grass, 0.25))
        strips.append((side.kerb + 0.2 + side.strip, "sidewalk", paving, 0.06))
        if side.houses > side.walk:
            strips.append((side.walk, "terrain", grass, 0.25))
        strips.append((side.houses + 0.5, "terrain", grass, 0.25))
        return strips

    bands = [Band(-x, *strip) for x, *strip in reversed(outwards(plan.left))]
    if plan.has_own_track:
        bands.append(Band(plan.tram - 1.65, "road", asphalt, 0.05))
        gravel = varied(rng, (112, 104, 96), 0.1)
        bands.append(Band(plan.tram + 1.65, "rail track", gravel, 0.16))
    right = outwards(plan.right)
    bands.append(Band(right[0][0], "road", asphalt, 0.05))
    for (_, label, color, roughness), (x, *_) in pairwise(right):
        bands.append(Band(x, label, color, roughness))
    bands.append(Band(np.inf, *right[-1][1:]))
    return bands


def paint_ground(stage: Stage, plan: Plan, city: City) -> None:
    """Fills everything below the horizon: road, sidewalks, lawns, markings, shadows, air."""
    canvas, weather = stage.canvas, stage.weather
    first, x, z = stage.camera.ground(canvas.height, canvas.width)
    bands = cross_section(plan, city, stage.rng)
    edges = np.array([band.until for band in bands[:-1]], dtype=np.float32)
    strip = np.searchsorted(edges, x)
    road = next(i for i, band in enumerate(bands) if band.label == "road")
    if plan.junction is not None:
        rows = (z[:, 0] > plan.junction[0]) & (z[:, 0] < plan.junction[1])
        strip[rows] = road
    grain = _ground_noise(x, z, 37, 37) * np.clip(7 / z, 0.15, 1)
    stains = _ground_noise(x, z, 6, 3)
    roughness = np.array([band.roughness for band in bands], dtype=np.float32)[strip]
    colors = np.array([band.color for band in bands], dtype=np.float32)[strip]
    light = weather.ambient + 0.68 * weather.sun * _sunlit(stage, plan, x, z)
    light = light * (1 + roughness * grain + 0.045 * stains)
    markings = _markings(stage, plan, x, z)[..., None]
    colors += (np.array((222, 222, 216), np.float32) - colors) * markings
    colors *= light[..., None]
    if plan.tram is not None:
        rails = _stripe(x, plan.tram - 0.72, 0.09, z) + _stripe(x, plan.tram + 0.72, 0.09, z)
        colors *= 1 - 0.62 * rails[..., None]
    kept = np.exp(-z / weather.sight)[..., None]
    colors = colors * kept + np.array(weather.sky_bottom, np.float32) * (1 - kept)
    canvas.image[first:] = np.clip(colors, 0, 255).astype(np.uint8)
    canvas.labels[first:] = np.array([LABEL_IDS[b.label] for b in bands], dtype=np.uint8)[strip]


def _ground_noise(x: np.ndarray, z: np.ndarray, across: float, along: float) -> np.ndarray:
    """Lays the noise tile onto the ground, at texels per metre across and along the street."""
    columns = np.clip(x, -FAR, FAR) * np.float32(across)
    rows = np.broadcast_to(np.minimum(z, FAR) * np.float32(along), x.shape)
    tile = noise_tile(8)
    return cv2.remap(tile, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_WRAP)


def _sunlit(stage: Stage, plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Where the houses' shadow does not reach: (rows, width) float32, 0 ... 1, soft at its edge."""
    sign = stage.weather.sun_side
    profile = stage.rng.uniform(0.5, 1.0, 64) * stage.rng.uniform(3.0, 14.0)
    slanted = np.clip((z + 0.6 * sign * x) / 9, 0, 63).astype(np.uint8)
    edge = np.float32(plan.side(sign).houses) - profile.astype(np.float32)[slanted]
    return np.clip((edge - sign * x) / 0.5, 0, 1)


def _stripe(x: np.ndarray, centre: float, width: float, z: np.ndarray) -> np.ndarray:
    """How much of each pixel a line along the street covers, 0 ... 1; thin far lines fade."""
    texel = np.maximum(z / 300, 0.02)
    cover = (width / 2 - np.abs(x - centre)) / texel + 0.5
    return np.clip(cover, 0, np.minimum(1, width / texel))


def _markings(stage: Stage, plan: Plan, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """White paint on the road: lane lines, edge lines, stop line and zebra; 0 ... 1."""
    paint = np.zeros(np.broadcast_shapes(x.shape, z.shape), dtype=np.float32)
    phase = stage.rng.uniform(0, 9)
    is_dash = (((z + phase) % 9) < 4).astype(np.float32)
    centres = [lane for lane, _ in plan.lanes]
    for centre in centres[:-1]:
        paint = np.maximum(paint, _stripe(x, centre - LANE_WIDTH / 2, 0.14, z) * is_dash)
    for side, sign in ((plan.left, -1), (plan.right, 1)):
        if side.has_parking:
            paint = np.maximum(paint, 0.8 * _stripe(x, sign * side.road, 0.12, z))
    if plan.junction is not None:
        near, far = plan.junction
        paint = paint * ((z < near - 4) | (z > far + 4))
        on_road = (x < plan.right.road) & (x > -plan.left.road)
        bars = (x % 1.1 < 0.55) & on_road
        zebra = bars & (((z > near - 3.4) & (z < near - 0.4)) | ((z > far + 0.4) & (z < far + 3)))
        paint = np.maximum(paint, 0.9 * zebra)
        stop = (z > near - 4.3) & (z < near - 3.9) & on_road & (x > -LANE_WIDTH / 2)
        paint = np.maximum(paint, 0.9 * stop)
    wear = 0.85 + 0.15 * np.sin(x * 3 + z)
    return paint * wear * 0.9
