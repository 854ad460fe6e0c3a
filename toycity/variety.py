"""Variety: streets that look far more different from each other than any real ones do.

A network that has seen one country learns its colours, and takes a real window for a car. Where
light, weather, camera, textures and the colours of everything change from scene to scene beyond
what is realistic, only shape and place are left to learn from, and a real street is one more
variation: domain randomisation (Tobin et al. 2017, "Domain Randomization for Transferring Deep
Neural Networks from Simulation to the Real World", section III; Tremblay et al. 2018, "Training
Deep Networks with Synthetic Data: Bridging the Reality Gap by Domain Randomization", section 3).

Deviations: nothing flies through the picture, as a street's things have their places, and what has
a colour for a reason keeps near to it: the sky is bright, asphalt dull, leaves seldom blue.
"""

import colorsys
from dataclasses import dataclass, replace

import cv2
import numpy as np

from toycity.camera import Camera
from toycity.cities import City
from toycity.textures import noise
from toycity.weather import Color, Weather


def any_color(
    rng: np.random.Generator,
    value: tuple[float, float],
    saturation: float,
    hue: tuple[float, float] = (0.0, 1.0),
) -> Color:
    """Draws a colour: brightness and hue between two fractions, dull ones more often."""
    dullness = saturation * rng.random() ** 1.5
    drawn = colorsys.hsv_to_rgb(rng.uniform(*hue), dullness, rng.uniform(*value))
    red, green, blue = (255 * part for part in drawn)
    return red, green, blue


def varied_city(rng: np.random.Generator, city: City) -> City:
    """The same city built, planted and paved as nobody would."""

    def some(count: int, low: float, high: float, saturation: float) -> tuple[Color, ...]:
        return tuple(any_color(rng, (low, high), saturation) for _ in range(count))

    leaves = (0.05, 0.4) if rng.random() < 0.85 else (0.0, 1.0)  # brown to green, seldom others
    window = rng.uniform(0.6, 2.2), rng.uniform(0.8, 2.1)
    return replace(
        city,
        walls=some(5, 0.1, 0.95, 0.9),
        roofs=some(2, 0.15, 0.8, 0.8),
        storeys=(int(rng.integers(1, 4)), int(rng.integers(4, 8))),
        window=window,
        bay=window[0] + rng.uniform(0.4, 2.0),
        brick=rng.random(),
        shops=rng.random(),
        greenery=rng.uniform(0.3, 2.0),
        leaves=tuple(any_color(rng, (0.1, 0.65), 0.75, leaves) for _ in range(3)),
        grass=any_color(rng, (0.15, 0.7), 0.7, leaves),
        asphalt=any_color(rng, (0.12, 0.65), 0.25),
        paving=any_color(rng, (0.12, 0.9), 0.4),
        bus=some(2, 0.1, 0.95, 1.0),
        tram=tuple(some(2, 0.1, 0.95, 1.0)),
        bonnet=any_color(rng, (0.05, 0.9), 0.8),
    )


def varied_weather(rng: np.random.Generator, weather: Weather) -> Weather:
    """Another light: from fog to glare, from a lamp's colour to the moon's."""
    top = any_color(rng, (0.35, 1.0), 0.7, (0.5, 0.68))
    white = np.array([255.0, 255.0, 255.0])
    bottom = tuple(np.array(top) + (white - top) * rng.uniform(0.2, 1.0))
    return replace(
        weather,
        sky_top=top,
        sky_bottom=bottom,
        cloud=any_color(rng, (0.5, 1.0), 0.15),
        cloudiness=rng.random(),
        sight=float(np.exp(rng.uniform(np.log(70), np.log(900)))),
        ambient=rng.uniform(0.3, 1.0),
        sun=rng.uniform(0.0, 1.0),
        tint=tuple(rng.uniform(0.82, 1.18, 3)),
        noise=rng.uniform(0.0, 10.0),
    )


def varied_camera(rng: np.random.Generator, camera: Camera, canvas_height: int) -> Camera:
    """Another lens on another car, which looks up or down."""
    return replace(
        camera,
        focal=camera.focal * float(np.exp(rng.uniform(-0.35, 0.5))),
        height=rng.uniform(1.0, 2.2),
        horizon=canvas_height * rng.uniform(0.28, 0.55),
    )


@dataclass(frozen=True)
class Brush:
    """Other paint for one thing: what it is stays, its colours and stains do not.

    Attributes:
        matrix: (3, 3), what becomes of red, green and blue.
        offset: (3,), added to them.
        stains: strength of the noise over a picture, a fraction of its brightness.
        bareness: the part of a tree's leaves that has fallen; its label stays, as in Cityscapes.
        rng: draws where stains and gaps are.
    """

    matrix: np.ndarray
    offset: np.ndarray
    stains: float
    bareness: float
    rng: np.random.Generator

    def color(self, color: Color) -> Color:
        """The paint instead of a colour."""
        red, green, blue = np.clip(self.matrix @ np.array(color) + self.offset, 0, 255).tolist()
        return red, green, blue

    def picture(self, picture: np.ndarray, label: str | None) -> np.ndarray:
        """The picture (h, w, 3) or (h, w, 4) uint8 in other paint, of the same kind."""
        height, width = picture.shape[:2]
        painted = picture[..., :3].astype(np.float32) @ self.matrix.T.astype(np.float32)
        painted += self.offset.astype(np.float32)
        painted *= 1 + self.stains * noise(self.rng, height, width, 16)[..., None]
        layers = [np.clip(painted, 0, 255).astype(np.uint8)]
        if picture.shape[2] == 4:
            layers.append(picture[..., 3:])
        elif label == "vegetation" and self.bareness > 0:
            twigs = noise(self.rng, height, width, 64) > 2.2 * self.bareness - 1.2
            layers.append(np.where(twigs, 255, 40).astype(np.uint8)[..., None])
        return np.concatenate(layers, axis=2)


def draw_brush(rng: np.random.Generator) -> Brush:
    """Draws the paint of one thing: a turn of its hues, more or less colour, brightness."""
    angle, saturation = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, 1.3)
    if rng.random() < 0.3:
        angle, saturation = rng.uniform(-0.2, 0.2), rng.uniform(0.6, 1.1)
    grey = np.full((3, 3), 1 / 3)
    along = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * along  # about the grey axis
    return Brush(
        matrix=float(np.exp(rng.normal(-0.15, 0.5))) * (grey + saturation * turn),
        offset=rng.normal(0, 10) + rng.normal(0, 4, 3),
        stains=rng.uniform(0, 0.3),
        bareness=rng.uniform(0.2, 1.0) if rng.random() < 0.5 else 0.0,
        rng=rng,
    )


def varied_lens(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Makes another camera's picture: tone curve, blotches of light, blur, a JPEG's blocks.

    Args:
        rng: draws all of it.
        image: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    bright = (image.astype(np.float32) / 255) ** np.float32(np.exp(rng.uniform(-0.6, 0.6)))
    light = noise(rng, 24, 32, 8)
    field = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    bright *= 1 + np.float32(rng.uniform(0, 0.3)) * field[..., None]
    contrast = rng.uniform(0.7, 1.5)
    bright = np.clip(bright.mean() + contrast * (bright - bright.mean()), 0, 1)
    if rng.random() < 0.4:
        bright = cv2.GaussianBlur(bright, (0, 0), rng.uniform(0.3, 1.0) * height / 128)
    result = np.rint(255 * bright).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        result = cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR)
    return result
