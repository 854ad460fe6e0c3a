"""Cars, trucks, buses, trams: convex bodies extruded from a profile, and boxes with painted sides.

Every vehicle is built in its own coordinates (x to its right, y up, z to its front, the origin on
the ground below its middle) and placed in the street by position and yaw.
"""

import numpy as np

from toycity.cities import City
from toycity.stage import Face, Stage, placed
from toycity.textures import as_texture, pick, plaster, varied
from toycity.weather import Color

CAR_COLORS = (
    (226, 226, 226), (198, 202, 206), (150, 154, 160), (92, 96, 102), (44, 46, 52), (30, 32, 36),
    (52, 74, 112), (84, 78, 110), (66, 92, 108), (168, 160, 140), (92, 62, 52), (70, 96, 74),
)  # fmt: skip
CARGO_COLORS = (
    (44, 100, 190), (60, 120, 204), (34, 84, 170),
)  # fmt: skip
CAB_COLORS = ((36, 84, 176), (24, 64, 150), (50, 104, 190))
PALE = (232, 232, 226)
GLASS = (42, 50, 58)
TYRE = (26, 26, 28)
RED_LAMP = (214, 34, 26)
AMBER = (255, 176, 40)
WHITE_LAMP = (244, 240, 220)
_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
RING = np.stack([np.zeros(12), np.sin(_ANGLES), np.cos(_ANGLES)], axis=1)
"""A circle of radius 1 m that stands along the street, (12, 3)."""

# Length, width, height in metres; profiles as (z, y), fractions of length and height, clockwise
# from the lower rear corner when the front is on the right.
CAR_SHAPES = {
    "hatchback": (
        (4.0, 1.76, 1.48),
        ((-0.5, 0.2), (-0.5, 0.48),
         (-0.49, 0.6), (0.2, 0.63), (0.45, 0.52), (0.5, 0.42), (0.5, 0.2)),
        ((-0.48, 0.6), (-0.42, 0.93), (-0.36, 1.0), (-0.02, 1.0), (0.06, 0.95), (0.26, 0.62)),
    ),
    "saloon": (
        (4.7, 1.82, 1.42),
        ((-0.5, 0.2), (-0.5, 0.52),
         (-0.48, 0.64), (0.18, 0.64), (0.45, 0.53), (0.5, 0.42), (0.5, 0.2)),
        ((-0.36, 0.62), (-0.22, 0.96), (-0.16, 1.0), (0.03, 1.0), (0.09, 0.95), (0.24, 0.62)),
    ),
    "estate": (
        (4.6, 1.85, 1.62),
        ((-0.5, 0.2), (-0.5, 0.5),
         (-0.49, 0.6), (0.2, 0.62), (0.45, 0.54), (0.5, 0.42), (0.5, 0.2)),
        ((-0.49, 0.6), (-0.45, 0.95), (-0.42, 1.0), (0.0, 1.0), (0.07, 0.95), (0.25, 0.62)),
    ),
    "van": (
        (4.9, 1.95, 2.0),
        ((-0.5, 0.15), (-0.5, 0.4),
         (-0.5, 0.52), (0.3, 0.52), (0.47, 0.44), (0.5, 0.36), (0.5, 0.15)),
        ((-0.5, 0.5), (-0.49, 0.95), (-0.47, 1.0), (0.12, 1.0), (0.18, 0.96), (0.36, 0.52)),
    ),
}  # fmt: skip


def _extruded(
    profile: np.ndarray, half_widths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Pulls a profile (N, 2) of (z, y) apart: its left and right side (N, 3), N strips (4, 3)."""
    z, y = profile.T
    left, right = np.stack([-half_widths, y, z], 1), np.stack([half_widths, y, z], 1)
    strips = np.stack([left, right, np.roll(right, -1, axis=0), np.roll(left, -1, axis=0)], axis=1)
    return left, right, list(strips)


def _on_strip(strip: np.ndarray, left: float, right: float, low: float, high: float) -> np.ndarray:
    """A rectangle on a strip (4, 3), by fractions of its width and height."""
    across, up = np.array([left, right, right, left]), np.array([low, low, high, high])
    weights = np.stack([(1 - across) * (1 - up), across * (1 - up), across * up, (1 - across) * up])
    return weights.T @ strip


def _wheel(x: float, z: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Tyre and rim as polygons at the side of a body."""
    centre = np.array([x, radius, z])
    return RING * radius + centre, RING * (0.58 * radius) + centre


def car(
    stage: Stage, shape: str, color: Color, x: float, z: float, yaw: float, brakes: bool = False
) -> None:
    """Draws a car, label "car".

    Args:
        stage: where to draw.
        shape: a key of `CAR_SHAPES`.
        color: of the paint.
        x: its middle, metres to the right.
        z: its middle, metres ahead.
        yaw: where its front points; 0 away from us, pi towards us.
        brakes: whether its brake lamps shine.
    """
    (length, width, height), lower, upper = CAR_SHAPES[shape]
    size = np.array([length, height])
    body, cabin = np.array(lower) * size, np.array(upper) * size
    stage.contact_shadow(x, z, *_footprint(width, length, yaw))

    under = np.array([[-0.47, 0.0], [-0.47, 0.3], [0.47, 0.3], [0.47, 0.0]]) * size
    *sides, strips = _extruded(under, np.full(4, 0.44 * width))
    stage.solid([Face(c, TYRE) for c in (*sides, *strips)], "car", x, z, yaw)
    shine = stage.weather.lamps_lit
    stage.solid(_body_faces(body, width, length, color, brakes, shine), "car", x, z, yaw)
    stage.solid(_cabin_faces(cabin, width, color), "car", x, z, yaw)


def _footprint(width: float, length: float, yaw: float) -> tuple[float, float]:
    """The room on the ground that a turned rectangle takes: across, along the street."""
    cosine, sine = abs(np.cos(yaw)), abs(np.sin(yaw))
    return width * cosine + length * sine, length * cosine + width * sine


def _body_faces(
    body: np.ndarray, width: float, length: float, color: Color, brakes: bool, shine: bool
) -> list[Face]:
    """The lower part of a car: bumpers, lamps, bonnet, doors, wheels."""
    left, right, strips = _extruded(body, np.full(len(body), 0.5 * width))
    red = (255, 60, 40) if brakes or shine else (168, 30, 28)
    white = (255, 250, 226) if shine else (206, 208, 204)
    plate, dark = (224, 222, 204), (44, 44, 48)
    rear, front = strips[0], strips[5][[3, 2, 1, 0]]
    decals = {
        0: (
            (_on_strip(rear, 0.02, 0.98, 0.0, 0.3), dark),
            (_on_strip(rear, 0.36, 0.64, 0.42, 0.68), plate),
            (_on_strip(rear, 0.02, 0.2, 0.6, 1.0), red),
            (_on_strip(rear, 0.8, 0.98, 0.6, 1.0), red),
        ),
        5: (
            (_on_strip(front, 0.2, 0.8, 0.05, 0.5), dark),
            (_on_strip(front, 0.38, 0.62, 0.4, 0.66), plate),
            (_on_strip(front, 0.02, 0.22, 0.62, 1.0), white),
            (_on_strip(front, 0.78, 0.98, 0.62, 1.0), white),
        ),
    }
    faces = [Face(strip, color, decals.get(i, ())) for i, strip in enumerate(strips)]
    for x, side in ((-0.51 * width, left), (0.51 * width, right)):
        wheels = [_wheel(x, place * length, 0.33) for place in (-0.31, 0.31)]
        paint = [(tyre, TYRE) for tyre, _ in wheels] + [(rim, (132, 134, 138)) for _, rim in wheels]
        faces.append(Face(side, color, tuple(paint)))
    return faces


def _cabin_faces(cabin: np.ndarray, width: float, color: Color) -> list[Face]:
    """The upper part of a car: roof, screens and side windows."""
    top = cabin[:, 1].max()
    rise = (cabin[:, 1] - cabin[0, 1]) / (top - cabin[0, 1])
    half_widths = width * (0.475 - 0.085 * rise)
    left, right, strips = _extruded(cabin, half_widths)
    paints = [GLASS, color, color, color, GLASS, color]
    faces = [
        Face(strip, color,
             ((_on_strip(strip, 0.07, 0.93, 0.08, 0.92), GLASS),) if paint is GLASS else ())
        for strip, paint in zip(strips, paints, strict=True)
    ]  # fmt: skip
    for side in (left, right):
        middle = side.mean(axis=0)
        window = middle + (side - middle) * (1, 0.72, 0.86)
        pillar = window.copy()
        centre = window[:, 2].mean()
        pillar[:, 2] = np.clip(pillar[:, 2], centre - 0.05, centre + 0.05)
        faces.append(Face(side, color, ((window, GLASS), (pillar, color))))
    return faces


def _box_panels(
    size: tuple[float, float, float], bottom: float, x: float, z: float, yaw: float
) -> dict[str, np.ndarray]:
    """The sides of a box as (4, 3) corners in texture order, by name; size is (w, h, length)."""
    w, h, length = size[0] / 2, size[1], size[2] / 2
    near, far = -length, length
    panels = {
        "rear": [[-w, h, near], [w, h, near], [w, bottom, near], [-w, bottom, near]],
        "front": [[w, h, far], [-w, h, far], [-w, bottom, far], [w, bottom, far]],
        "right": [[w, h, near], [w, h, far], [w, bottom, far], [w, bottom, near]],
        "left": [[-w, h, far], [-w, h, near], [-w, bottom, near], [-w, bottom, far]],
    }
    return {name: placed(corners, x, z, yaw) for name, corners in panels.items()}


def painted_box(
    stage: Stage, size: tuple[float, float, float], bottom: float, x: float, z: float, yaw: float,
    textures: dict[str, np.ndarray], label: str,
) -> None:  # fmt: skip
    """Draws an upright box whose sides are textures: "rear", "front", "left", "right".

    Args:
        stage: where to draw.
        size: width, top and length in metres.
        bottom: height of its lower edge.
        x: its middle, metres to the right.
        z: its middle, metres ahead.
        yaw: where its front points.
        textures: (h, w, 3) uint8 by side; "left" and "right" may both use "side".
        label: an official label name.
    """
    outward = {"rear": (0, 0, -1), "front": (0, 0, 1), "right": (1, 0, 0), "left": (-1, 0, 0)}
    panels = _box_panels(size, bottom, x, z, yaw)
    eye = np.array([0.0, stage.camera.height, 0.0])
    for name in sorted(panels, key=lambda name: -panels[name][:, 2].mean()):
        normal = placed(np.array(outward[name], dtype=float), 0, 0, yaw)
        middle = stage.camera.bent(panels[name]).mean(axis=0)
        if (middle - eye) @ normal < 0:
            texture = textures.get(name, textures.get("side"))
            stage.panel(panels[name], texture, label, normal=tuple(normal))


def _tyres(
    stage: Stage, width: float, axles: tuple[float, ...], radius: float,
    x: float, z: float, yaw: float, label: str,
) -> None:  # fmt: skip
    """Draws the wheels of a large vehicle; its body then hides their upper halves."""
    for axle in sorted(axles, key=lambda a: -a * np.cos(yaw)):
        for side in (-0.5, 0.5):
            tyre, rim = _wheel(side * width, axle, radius)
            stage.polygon(placed(tyre, x, z, yaw), TYRE, label)
            stage.polygon(placed(rim, x, z, yaw), (110, 110, 112), label)
        across = np.array([[-0.5, 0, axle], [-0.22, 0, axle], [-0.22, 2, axle], [-0.5, 2, axle]])
        for mirror in (1, -1):
            corners = across * (mirror * width, radius, 1)
            stage.polygon(placed(corners, x, z, yaw), TYRE, label)


def _blank(
    rng: np.random.Generator, width: float, height: float, color: Color, texels: int = 20
) -> np.ndarray:
    """A plain painted side of a vehicle to draw on: (h, w, 3) float32."""
    return plaster(rng, max(8, round(height * texels)), max(8, round(width * texels)), color)


def _fill(image: np.ndarray, box: tuple[float, float, float, float], color: Color) -> None:
    """Paints (left, top, right, bottom), fractions of the texture, in place."""
    rows, columns = image.shape[:2]
    left, top, right, bottom = box
    image[
        round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)
    ] = color


def _window_band(
    image: np.ndarray, top: float, bottom: float, panes: int, rng: np.random.Generator
) -> None:
    """Paints a row of windows over the whole length, in place."""
    for i in range(panes):
        glass = varied(rng, GLASS, 0.25)
        _fill(image, ((i + 0.06) / panes, top, (i + 0.94) / panes, bottom), glass)
        _fill(image, ((i + 0.06) / panes, top, (i + 0.94) / panes, top + 0.05), (96, 108, 118))


def bus(stage: Stage, city: City, x: float, z: float, yaw: float) -> None:
    """Draws a city bus of 11.5 m: a band of windows, doors on its right, amber destination."""
    rng, size = stage.rng, (2.55, 3.05, 11.5)
    color = varied(rng, pick(rng, city.bus), 0.06)
    stage.contact_shadow(x, z, *_footprint(size[0], size[2], yaw))
    _tyres(stage, 2.5, (-3.0, 3.4), 0.48, x, z, yaw, "bus")
    sides = {}
    for name in ("left", "right"):
        side = _blank(rng, size[2], 2.75, color)
        _window_band(side, 0.12, 0.56, 8, rng)
        _fill(side, (0, 0.93, 1, 1), (52, 52, 56))
        if name == "right":
            for door in (0.08, 0.5, 0.86):
                _fill(side, (door, 0.14, door + 0.08, 0.96), (34, 40, 46))
        sides[name] = as_texture(side)
    front = _blank(rng, 2.55, 2.75, color)
    _fill(front, (0.06, 0.2, 0.94, 0.66), GLASS)
    _fill(front, (0.12, 0.03, 0.88, 0.15), (24, 24, 26))
    _fill(front, (0.2, 0.06, 0.74, 0.12), AMBER)
    rear = _blank(rng, 2.55, 2.75, color)
    _fill(rear, (0.1, 0.1, 0.9, 0.42), GLASS)
    _fill(rear, (0.36, 0.03, 0.64, 0.08), AMBER)
    _fill(rear, (0.2, 0.66, 0.8, 0.86), (64, 64, 68))
    for image, lamp in ((front, WHITE_LAMP), (rear, RED_LAMP)):
        _fill(image, (0.03, 0.74, 0.16, 0.86), lamp)
        _fill(image, (0.84, 0.74, 0.97, 0.86), lamp)
        _fill(image, (0, 0.93, 1, 1), (48, 48, 52))
    textures = {**sides, "front": as_texture(front), "rear": as_texture(rear)}
    painted_box(stage, size, 0.3, x, z, yaw, textures, "bus")


def truck(stage: Stage, x: float, z: float, yaw: float) -> None:
    """Draws a lorry of 8.5 m: a high blue box with a pale band behind a lower blue cab."""
    rng = stage.rng
    stage.contact_shadow(x, z, *_footprint(2.5, 8.5, yaw))
    _tyres(stage, 2.4, (-2.6, -1.3, 3.1), 0.5, x, z, yaw, "truck")
    chassis = _blank(rng, 2.2, 0.5, (58, 58, 60))
    box_color = varied(rng, pick(rng, CARGO_COLORS), 0.08)
    side, rear = _blank(rng, 6.2, 2.6, box_color), _blank(rng, 2.5, 2.6, box_color)
    _fill(side, (0.1, 0.35, 0.9, 0.55), PALE)
    side[:, ::22] *= 0.86
    _fill(rear, (0, 0.35, 1, 0.55), PALE)
    _fill(rear, (0.485, 0.02, 0.515, 1), (70, 70, 74))
    for bar in (0.28, 0.72):
        _fill(rear, (bar - 0.015, 0.04, bar + 0.015, 0.96), (120, 120, 124))
    _fill(rear, (0, 0.94, 1, 1), (190, 44, 36))
    edged = [as_texture(image) for image in (side, rear)]
    cab_color = varied(rng, pick(rng, CAB_COLORS), 0.1)
    front, cab_side = _blank(rng, 2.4, 2.3, cab_color), _blank(rng, 2.0, 2.3, cab_color)
    _fill(front, (0.06, 0.1, 0.94, 0.5), GLASS)
    _fill(front, (0.14, 0.58, 0.86, 0.8), (54, 54, 58))
    _fill(front, (0.02, 0.84, 0.2, 0.96), WHITE_LAMP)
    _fill(front, (0.8, 0.84, 0.98, 0.96), WHITE_LAMP)
    _fill(cab_side, (0.25, 0.1, 0.85, 0.45), GLASS)
    cab = {"front": as_texture(front), "side": as_texture(cab_side), "rear": as_texture(cab_side)}
    cargo = {"side": edged[0], "rear": edged[1], "front": edged[0]}
    low = as_texture(chassis)
    low_box = {"side": low, "rear": _tail(rng), "front": low}
    painted_box(stage, (2.2, 0.95, 8.0), 0.5, x, z, yaw, low_box, "truck")
    ahead = placed(np.array([[0, 0, -1.05], [0, 0, 3.2]]), x, z, yaw)
    parts = [
        (ahead[0], lambda c: painted_box(stage, (2.5, 3.6, 6.2), 0.95, *c, yaw, cargo, "truck")),
        (ahead[1], lambda c: painted_box(stage, (2.4, 2.75, 2.0), 0.45, *c, yaw, cab, "truck")),
    ]
    for centre, draw in sorted(parts, key=lambda part: -part[0][2]):
        draw((centre[0], centre[2]))


def _tail(rng: np.random.Generator) -> np.ndarray:
    """The bar with lamps below a lorry's doors."""
    image = _blank(rng, 2.2, 0.45, (52, 52, 56))
    _fill(image, (0.02, 0.2, 0.2, 0.75), RED_LAMP)
    _fill(image, (0.8, 0.2, 0.98, 0.75), RED_LAMP)
    return as_texture(image)


def tram_section(
    stage: Stage,
    city: City,
    x: float,
    z: float,
    length: float,
    is_first: bool,
    has_pantograph: bool,
) -> None:
    """Draws one section of a tram on its track; `is_first` for the one with a face towards us.

    A tram is drawn in sections so that each takes its turn by its own distance. It is labelled
    "train", as in Cityscapes.
    """
    rng, size = stage.rng, (2.5, 3.4, length)
    stage.contact_shadow(x, z, size[0], length)
    face = _tram_face(rng, city)
    inner = as_texture(_blank(rng, size[0], size[1], (40, 40, 44)))
    textures = {"side": _tram_side(rng, city, length), "rear": face if is_first else inner}
    painted_box(stage, size, 0.2, x, z, 0.0, textures, "train")
    if has_pantograph:
        low, high, dark = size[1], size[1] + 1.5, (48, 50, 54)
        arm = [[x, low, z], [x, low + 0.7, z + 0.9], [x, high, z]]
        stage.limb(arm, 0.12, dark, "train")
        stage.limb([[x - 0.8, high, z], [x + 0.8, high, z]], 0.14, dark, "train")


def _tram_side(rng: np.random.Generator, city: City, length: float) -> np.ndarray:
    """The side of a tram's section: grey roof, windows, a stripe, doors in the middle."""
    body, stripe = city.tram
    side = _blank(rng, length, 3.2, body)
    _fill(side, (0, 0, 1, 0.1), (196, 198, 200))
    _fill(side, (0, 0.58, 1, 0.74), stripe)
    _window_band(side, 0.16, 0.5, max(2, round(length / 1.7)), rng)
    _fill(side, (0.42, 0.14, 0.58, 0.94), (40, 46, 52))
    for dark in ((0, 0.93, 1, 1), (0, 0, 0.03, 1), (0.97, 0, 1, 1)):
        _fill(side, dark, (40, 40, 44))
    return as_texture(side)


def _tram_face(rng: np.random.Generator, city: City) -> np.ndarray:
    """The end of a tram: windscreen, destination, stripe, two lamps and a third below."""
    body, stripe = city.tram
    face = _blank(rng, 2.5, 3.2, body)
    _fill(face, (0, 0, 1, 0.06), (196, 198, 200))
    _fill(face, (0.12, 0.2, 0.88, 0.58), GLASS)
    _fill(face, (0.25, 0.09, 0.75, 0.17), (28, 28, 30))
    _fill(face, (0.3, 0.11, 0.7, 0.15), AMBER)
    _fill(face, (0, 0.64, 1, 0.8), stripe)
    for lamp in ((0.46, 0.82, 0.54, 0.88), (0.08, 0.68, 0.22, 0.76), (0.78, 0.68, 0.92, 0.76)):
        _fill(face, lamp, WHITE_LAMP)
    _fill(face, (0, 0.93, 1, 1), (44, 44, 48))
    return as_texture(face)
