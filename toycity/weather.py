"""Weather and lens: the light on a scene, the air in it, and what the camera does to both."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

Color = tuple[float, float, float]
"""Red, green and blue, 0 ... 255."""


@dataclass(frozen=True)
class Weather:
    """One state of sky, air, light and lens.

    Attributes:
        sky_top: colour of the sky overhead.
        sky_bottom: colour of the sky at the horizon, and of the air.
        cloud: colour of the clouds.
        cloudiness: fraction of the sky that they cover, 0 ... 1.
        sight: metres after which 63 % of a thing's colour is lost in the air.
        ambient: light that comes from everywhere.
        sun: strength of the direct light; shadows are as deep as it is strong.
        sun_side: -1 when the sun stands on the left, 1 on the right.
        exposure: brightness of the finished picture.
        tint: colour of the light, about 1 each.
        wetness: how much the road mirrors, 0 ... 1.
        noise: standard deviation of the sensor's noise, in grey levels.
        lamps_lit: whether windows and headlamps shine.
    """

    sky_top: Color
    sky_bottom: Color
    cloud: Color
    cloudiness: float
    sight: float
    ambient: float
    sun: float
    sun_side: int = 1
    exposure: float = 1.0
    tint: Color = (1.0, 1.0, 1.0)
    wetness: float = 0.0
    noise: float = 3.0
    lamps_lit: bool = False

    def through_air(self, color: Color, depth: float) -> Color:
        """What remains of a colour after `depth` metres of air."""
        kept = float(np.exp(-depth / self.sight))
        red, green, blue = (
            min(max(kept * c + (1 - kept) * a, 0.0), 255.0)
            for c, a in zip(color, self.sky_bottom, strict=True)
        )
        return red, green, blue

    def picture_through_air(self, picture: np.ndarray, depth: float) -> np.ndarray:
        """The same for a picture, (H, W, 3) uint8."""
        kept = float(np.exp(-depth / self.sight))
        if kept > 0.97:
            return picture
        air = np.empty_like(picture)
        air[:] = np.array(self.sky_bottom)
        return cv2.addWeighted(picture, kept, air, 1 - kept, 0)

    def light_on(self, normals: np.ndarray) -> np.ndarray:
        """How bright surfaces are: unit normals (..., 3), pointing outwards → factors (...)."""
        towards_sun = np.array([0.62 * self.sun_side, 0.68, -0.39])
        direct = np.clip(normals @ towards_sun, 0, None)
        return self.ambient * (0.88 + 0.12 * normals[..., 1]) + self.sun * direct


CONDITIONS = {
    "sun": Weather(
        (78, 128, 196), (190, 212, 232), (246, 246, 244), 0.25, 420, 0.62, 0.62,
        tint=(1.03, 1.0, 0.95),
    ),
    "overcast": Weather((158, 168, 180), (206, 210, 214), (226, 228, 230), 0.7, 260, 0.92, 0.06),
    "fog": Weather(
        (186, 190, 194), (196, 200, 203), (200, 203, 206), 0.1, 75, 0.9, 0.0, noise=3.5
    ),
    "rain": Weather(
        (118, 126, 138), (164, 170, 178), (140, 146, 156), 0.8, 110, 0.8, 0.0,
        exposure=0.9, wetness=0.45, noise=4.0, tint=(0.97, 1.0, 1.03),
    ),
    "dusk": Weather(
        (66, 78, 128), (232, 168, 128), (168, 118, 126), 0.4, 240, 0.68, 0.12,
        exposure=0.86, tint=(1.06, 0.97, 0.98), noise=5.5, lamps_lit=True,
    ),
}  # fmt: skip
"""The five kinds of weather; every scene varies one of them."""


def draw_weather(rng: np.random.Generator, chances: dict[str, float]) -> Weather:
    """Draws a kind of weather by its chance (any scale), and varies it."""
    names = list(chances)
    weights = np.array([chances[name] for name in names])
    base = CONDITIONS[names[rng.choice(len(names), p=weights / weights.sum())]]
    return replace(
        base,
        sight=base.sight * rng.uniform(0.8, 1.3),
        cloudiness=float(np.clip(base.cloudiness + rng.uniform(-0.25, 0.25), 0, 1)),
        sun=base.sun * rng.uniform(0.7, 1.15),
        sun_side=int(rng.choice([-1, 1])),
        exposure=base.exposure * rng.uniform(0.9, 1.1),
        noise=base.noise * rng.uniform(0.4, 1.0),
    )


def mirror_in_road(image: np.ndarray, is_road: np.ndarray, horizon: int, wetness: float) -> None:
    """Lets a wet road show a blurred mirror image of what stands above the horizon, in place.

    Shape:
        image: (H, W, 3) uint8, is_road: (H, W) bool.
    """
    if wetness <= 0 or not 2 <= horizon <= image.shape[0] - 2:
        return
    below = image[horizon:]
    height, width = below.shape[:2]
    mirrored = cv2.resize(image[:horizon][::-1], (width, height), interpolation=cv2.INTER_LINEAR)
    smeared = cv2.blur(mirrored, (5, max(3, height // 4)))
    mixed = cv2.addWeighted(below, 1 - wetness, smeared, wetness, 0)
    cv2.copyTo(mixed, is_road[horizon:].astype(np.uint8), below)


def expose(image: np.ndarray, weather: Weather, rng: np.random.Generator) -> np.ndarray:
    """Makes the camera's image: exposure, colour of the light, vignetting, sensor noise.

    Args:
        image: (H, W, 3) uint8, what is in front of the lens.
        weather: gives light and noise.
        rng: draws the lens' and the sensor's accidents.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    vignette = 1 - np.float32(rng.uniform(0.04, 0.16)) * (x**2 + 0.6 * y**2)
    gain = weather.exposure * np.array(weather.tint) * rng.uniform(0.97, 1.03, 3)
    exposed = image * (vignette[..., None] * gain.astype(np.float32))
    if rng.random() < 0.15:
        exposed = cv2.GaussianBlur(exposed, (0, 0), rng.uniform(0.3, 0.6) * height / 128)
    grain = rng.standard_normal((height, width, 3), dtype=np.float32)
    grain = 0.6 * grain + 0.4 * grain[..., :1]  # part of the noise is common to the three colours
    exposed += weather.noise * grain
    return np.clip(exposed, 0, 255).astype(np.uint8)
