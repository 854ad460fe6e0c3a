"""A scene: decides what is where, then paints it from far to near.

A scene depends on nothing but seed, city, index and size. Rare classes do not come by pure chance:
`wants` deals them out evenly over the index, so that every split has enough of each, however small.
"""

import zlib
from collections.abc import Callable

import numpy as np

from toycity.camera import Camera
from toycity.canvas import LABEL_IDS, SUPERSAMPLING, Canvas
from toycity.cities import City, find_city
from toycity.furniture import clutter, lamp_post, pole, traffic_light, traffic_sign
from toycity.houses import guard_rail, line_street, street_end
from toycity.nature import bush, tree
from toycity.people import bicycle, motorcycle, person
from toycity.stage import Stage, Thing
from toycity.street import PARKING_WIDTH, Plan, draw_plan, paint_ground, paint_sky
from toycity.textures import pick, varied
from toycity.variety import draw_brush, varied_camera, varied_city, varied_lens, varied_weather
from toycity.vehicles import CAR_COLORS, CAR_SHAPES, bus, car, tram_section, truck
from toycity.weather import draw_weather, expose, mirror_in_road

DEFAULT_SIZE = (128, 256)

FREQUENCIES = {
    "train": 0.14, "bus": 0.15, "truck": 0.15, "motorcycle": 0.18, "cyclist": 0.16,
    "bicycles": 0.26, "traffic light": 0.38, "wall": 0.3, "fence": 0.42, "crossing car": 0.3,
}  # fmt: skip
"""In which fraction of the scenes a thing occurs."""

WIDEST = 0.42
"""How far beside the camera, as a fraction of the distance, a rare thing is surely to be seen."""


def wants(kind: str, city: City, seed: int, index: int) -> bool:
    """Whether scene `index` of a city gets a `kind` of rare thing.

    Every kind turns its own wheel by an irrational step from scene to scene: over any run of scenes
    it comes up as often as `FREQUENCIES` says, and independently of the other kinds.
    """
    step = np.sqrt((2, 3, 5, 7, 11, 13, 17, 19, 23, 29)[list(FREQUENCIES).index(kind)]) % 1
    start = zlib.crc32(f"{seed} {city.name} {kind}".encode()) / 2**32
    return (start + step * index) % 1 < FREQUENCIES[kind]


class Room:
    """The ground that is taken already, so that no two things stand in each other."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, float, float, float]] = []

    def claim(self, x: float, z: float, width: float, length: float) -> bool:
        """Takes a rectangle around (x, z), all in metres; says whether it was free."""
        for other_x, other_z, other_width, other_length in self.taken:
            if (
                abs(x - other_x) < (width + other_width) / 2
                and abs(z - other_z) < (length + other_length) / 2
            ):
                return False
        self.taken.append((x, z, width, length))
        return True


def large_vehicles(
    rng: np.random.Generator, plan: Plan, city: City, room: Room, wanted: set[str]
) -> list[Thing]:
    """Places the tram, the bus and the truck."""
    things: list[Thing] = []
    if plan.tram is not None:
        wire = [[plan.tram, 5.6, z] for z in (4.0, 20.0, 40.0, 60.0)]
        things.append((61.0, lambda stage: stage.limb(wire, 0.03, (60, 62, 66), None)))
    if "train" in wanted:
        z, length = rng.uniform(23, 38), 8.0
        sections = int(rng.integers(2, 4))
        room.claim(plan.tram, z + sections * length / 2 - 3, 3.0, sections * length + 12)
        for i in range(sections):
            middle = z + (i + 0.5) * length
            things.append((middle, _tram(city, plan.tram, middle, length, i == 0, i % 2 == 0)))
    for kind, length in (("bus", 11.5), ("truck", 8.5)):
        if kind not in wanted:
            continue
        for _ in range(8):
            x, is_oncoming = plan.lanes[int(rng.integers(len(plan.lanes)))]
            yaw = np.pi if is_oncoming else 0.0
            if kind == "truck" and plan.right.has_parking and rng.random() < 0.3:
                x, yaw = plan.right.road + 1.25, 0.0
            z = rng.uniform(19, 35) + length / 2
            if plan.in_junction(z) or not room.claim(x, z - 3, 3.0, length + 12):
                continue
            yaw += rng.normal(0, 0.015)
            if kind == "bus":
                things.append((z, lambda s, x=x, z=z, yaw=yaw: bus(s, city, x, z, yaw)))
            else:
                things.append((z, lambda s, x=x, z=z, yaw=yaw: truck(s, x, z, yaw)))
            break
    return things


def _tram(city: City, x: float, z: float, length: float, first: bool, arm: bool) -> Callable:
    """A section of a tram, to be drawn later."""
    return lambda stage: tram_section(stage, city, x, z, length, first, arm)


def two_wheelers(rng: np.random.Generator, plan: Plan, room: Room, wanted: set[str]) -> list[Thing]:
    """Places bicycles and motorcycles, ridden in the road or parked on the sidewalk."""
    things: list[Thing] = []
    for kind, draw in (("motorcycle", motorcycle), ("cyclist", bicycle)):
        if kind not in wanted:
            continue
        is_ridden = kind == "cyclist" or rng.random() < 0.4
        for _ in range(12):
            x, z, yaw = _two_wheeler_spot(rng, plan, is_ridden)
            if room.claim(x, z, 1.1 + abs(np.sin(yaw)), 2.2):
                things.append((z, lambda s, d=draw, a=(x, z, yaw, is_ridden): d(s, *a)))
                break
    if "bicycles" in wanted:
        sign = int(rng.choice([-1, 1]))
        side = plan.side(sign)
        z = max(rng.uniform(8, 14), (side.kerb + side.strip + 0.8) / WIDEST)
        for _ in range(int(rng.integers(2, 5))):
            x = sign * (side.kerb + side.strip + 0.8)
            yaw = sign * np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.45)
            if room.claim(x, z, 1.8, 0.7):
                things.append((z, lambda s, a=(x, z, yaw): bicycle(s, *a)))
            z += rng.uniform(0.8, 1.5)
    return things


def _two_wheeler_spot(
    rng: np.random.Generator, plan: Plan, is_ridden: bool
) -> tuple[float, float, float]:
    """Where a two-wheeler is, and where it looks: x, z, yaw."""
    if not is_ridden:
        sign = int(rng.choice([-1, 1]))
        x = sign * (plan.side(sign).kerb + plan.side(sign).strip + rng.uniform(0.6, 1.0))
        z = max(rng.uniform(12, 18), abs(x) / WIDEST)
        return x, z, rng.uniform(-1.0, 1.0) + rng.choice([0, np.pi])
    if rng.random() < 0.35:
        z = rng.uniform(10, 18) if plan.junction is None else plan.junction[0] - rng.uniform(0.6, 3)
        return rng.uniform(-4, 2), min(z, 20), rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.3)
    lane, is_oncoming = plan.lanes[int(rng.integers(len(plan.lanes)))]
    edge = -0.9 if is_oncoming else 0.9
    yaw = (np.pi if is_oncoming else 0.0) + rng.normal(0, 0.25)
    return lane + edge * rng.uniform(0.4, 1.2), rng.uniform(9.5, 17), yaw


def cars(rng: np.random.Generator, plan: Plan, room: Room, wanted: set[str]) -> list[Thing]:
    """Places moving, parked and crossing cars."""
    spots: list[tuple[float, float, float]] = []
    for x, is_oncoming in plan.lanes:
        z = rng.uniform(14, 40) if x == 0 else rng.uniform(10, 30)
        while z < 75:
            spots.append((x + rng.normal(0, 0.15), z, np.pi if is_oncoming else 0.0))
            z += rng.uniform(9, 38)
    for sign in (-1, 1):
        side = plan.side(sign)
        if side.has_parking:
            density, z = rng.uniform(0.1, 0.5), rng.uniform(7.5, 15)
            while z < 60:
                if rng.random() < density and not plan.in_junction(z, margin=5):
                    x = sign * (side.road + PARKING_WIDTH / 2 + rng.normal(0, 0.08))
                    spots.append((x, z, 0.0 if sign > 0 or rng.random() < 0.2 else np.pi))
                z += rng.uniform(5.3, 6.5)
    if plan.junction is not None and "crossing car" in wanted:
        near, far = plan.junction
        for z, yaw in ((near + 1.8, np.pi / 2), (far - 1.8, -np.pi / 2)):
            if z > 11 and rng.random() < 0.6:
                spots.append((rng.uniform(-9, 9), z, yaw))
    things: list[Thing] = []
    shapes = list(CAR_SHAPES)
    for x, z, yaw in spots:
        shape = shapes[rng.choice(len(shapes), p=(0.35, 0.25, 0.25, 0.15))]
        color, brakes = varied(rng, pick(rng, CAR_COLORS), 0.15), bool(rng.random() < 0.35)
        yaw += rng.normal(0, 0.025)
        across = 4.6 if abs(np.sin(yaw)) > 0.7 else 2.2
        if room.claim(x, z, across, 6.6 - across + 0.6):
            arguments = (shape, color, x, z, yaw, brakes)
            things.append((z, lambda stage, a=arguments: car(stage, *a)))
    return things


def people(rng: np.random.Generator, plan: Plan, room: Room) -> list[Thing]:
    """Places pedestrians on the sidewalks, some in groups, and some on the crossing."""
    things: list[Thing] = []
    for _ in range(int(rng.poisson(2.7))):
        sign = int(rng.choice([-1, 1]))
        side = plan.side(sign)
        x = sign * rng.uniform(side.kerb + side.strip + 0.5, side.walk - 0.2)
        z = rng.uniform(6, 20)
        if plan.junction is not None and rng.random() < 0.25:
            x, z = rng.uniform(-6, 4), plan.junction[0] - rng.uniform(0.8, 3.0)
            yaw = rng.choice([-1, 1]) * np.pi / 2
        else:
            yaw = rng.choice([0.0, np.pi]) + rng.normal(0, 0.4)
        for _ in range(1 + int(rng.random() < 0.35)):
            height = rng.uniform(1.05, 1.4) if rng.random() < 0.12 else rng.normal(1.72, 0.09)
            if room.claim(x, z, 0.6, 0.5):
                things.append((z, lambda s, a=(x, z, yaw, height): person(s, *a)))
            x, z = x + rng.choice([-1, 1]) * rng.uniform(0.6, 0.8), z + rng.uniform(-0.3, 0.6)
    return things


def furniture(rng: np.random.Generator, plan: Plan, room: Room, wanted: set[str]) -> list[Thing]:
    """Places lamp posts, traffic lights, signs, poles and void clutter along the kerbs."""
    things: list[Thing] = []
    if "traffic light" in wanted:
        z = plan.junction[0] - 0.5 if plan.junction is not None else rng.uniform(9, 20)
        lit, has_arm = int(rng.choice([0, 1, 2], p=(0.45, 0.1, 0.45))), bool(rng.random() < 0.5)
        for sign in (1, -1):
            x = sign * (plan.side(sign).kerb + 0.4)
            room.claim(x, z, 0.6, 0.6)
            arm = has_arm and sign > 0
            things.append((z, lambda s, a=(x, z, lit, arm): traffic_light(s, *a)))
    for sign in (-1, 1):
        x = sign * (plan.side(sign).kerb + 0.45)
        for z in np.arange(rng.uniform(7, 22), 45, rng.uniform(30, 46)):
            if room.claim(x, z, 0.5, 0.5):
                height = rng.uniform(5.5, 7.5)
                things.append((z, lambda s, a=(x, z, height): lamp_post(s, *a)))
        for _ in range(int(rng.poisson(0.8))):
            z, height = rng.uniform(5.5, 17), rng.uniform(2.1, 2.9)
            if room.claim(x, z, 0.8, 0.5):
                things.append((z, lambda s, a=(x, z, height): traffic_sign(s, *a)))
        if rng.random() < 0.1:
            z, height = rng.uniform(6, 20), rng.uniform(2.5, 6)
            if room.claim(x, z, 0.5, 0.5):
                things.append((z, lambda s, a=(x, z, height): pole(s, *a)))
        if rng.random() < 0.3:
            beside, z = sign * (plan.side(sign).walk - 0.5), rng.uniform(6, 25)
            if room.claim(beside, z, 1.0, 1.0):
                things.append((z, lambda s, a=(beside, z): clutter(s, *a)))
    return things


def trees(rng: np.random.Generator, plan: Plan, city: City, room: Room) -> list[Thing]:
    """Places trees along the kerbs, and bushes on the lawns."""
    things: list[Thing] = []
    for sign in (-1, 1):
        side = plan.side(sign)
        if rng.random() < 0.55 * city.greenery:
            x = sign * (side.kerb + max(0.6 * side.strip, 0.7))
            for z in np.arange(rng.uniform(8, 18), plan.end, rng.uniform(7, 14)):
                if not plan.in_junction(z, margin=1) and room.claim(x, z, 0.8, 0.8):
                    height = rng.uniform(5, 9)
                    things.append((z, lambda s, a=(x, z, height): tree(s, city, *a)))
        if side.houses > side.walk + 1:
            for z in rng.uniform(6, 40, 5):
                x, size = sign * rng.uniform(side.walk + 0.5, side.houses), rng.uniform(0.6, 1.6)
                if not plan.in_junction(z, margin=1) and room.claim(x, z, 1, 1):
                    things.append((z, lambda s, a=(x, z, size): bush(s, city, *a)))
    return things


def ego_vehicle(stage: Stage, city: City) -> None:
    """Paints the bonnet of the camera car, label "ego vehicle", and the border of the image."""
    canvas = stage.canvas
    height, width = canvas.height, canvas.width
    x = np.linspace(0.06, 0.94, 24)
    rise = stage.rng.uniform(0.05, 0.075)
    arch = height * (1 - rise * (1 - np.abs(2 * x - 1) ** 3))
    outline = np.column_stack([x * width, arch])
    bottom = np.array([[0.94 * width, height + 2], [0.06 * width, height + 2]])
    canvas.polygon(np.vstack([outline, bottom]), city.bonnet, "ego vehicle")
    shift = np.array([0, height])
    gloss = np.vstack([outline + 0.012 * shift, (outline + 0.03 * shift)[::-1]])
    canvas.polygon(gloss, stage.weather.sky_bottom, None, alpha=0.3)
    edge = SUPERSAMPLING * max(1, height // (SUPERSAMPLING * 128))
    canvas.labels[:, : 2 * edge] = LABEL_IDS["rectification border"]
    canvas.image[:, :edge] //= 3
    for border in (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:]):
        canvas.labels[border] = LABEL_IDS["out of roi"]


def _set_up(
    rng: np.random.Generator,
    city: City,
    size: tuple[int, int],
    variety: np.random.Generator | None,
) -> Stage:
    """Draws weather and camera, and lays out an empty canvas."""
    weather = draw_weather(rng, city.weather)
    if variety is not None:
        weather = varied_weather(variety, weather)
    canvas = Canvas(size, weather)
    camera = Camera(
        focal=city.focal * canvas.width * rng.uniform(0.95, 1.05),
        height=city.camera_height * rng.uniform(0.96, 1.04),
        centre_x=canvas.width * rng.uniform(0.42, 0.58),
        horizon=canvas.height * rng.uniform(0.38, 0.44),
        bend=rng.uniform(-0.0035, 0.0035) if rng.random() < 0.5 else 0.0,
    )
    if variety is not None:
        camera = varied_camera(variety, camera, canvas.height)
    return Stage(canvas, camera, weather, rng)


def _compose(stage: Stage, city: City, plan: Plan, wanted: set[str]) -> list[Thing]:
    """Places everything that stands on the ground."""
    rng, room = stage.rng, Room()
    things = large_vehicles(rng, plan, city, room, wanted)
    things += two_wheelers(rng, plan, room, wanted)
    things += furniture(rng, plan, room, wanted)
    things += people(rng, plan, room)
    things += cars(rng, plan, room, wanted)
    things += trees(rng, plan, city, room)
    things += line_street(rng, plan, city, "wall" in wanted, "fence" in wanted)
    if rng.random() < 0.06:
        x = plan.left.kerb + 0.2
        things.append((31.0, lambda s: guard_rail(s, -1, x, 8, 30)))
    return things


def render_scene(
    city: City | str,
    seed: int,
    index: int,
    size: tuple[int, int] = DEFAULT_SIZE,
    is_varied: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Renders one scene.

    Args:
        city: a city or its name; a name that is unknown raises ValueError.
        seed: of the whole set, 0 or more.
        index: of the scene within its city, 0 or more.
        size: (height, width) in pixels.
        is_varied: whether everything looks different in each scene, see `variety`.

    Returns:
        The picture, (H, W, 3) uint8 RGB, and its official label ids, (H, W) uint8.
    """
    city = find_city(city) if isinstance(city, str) else city
    scene = [seed, zlib.crc32(city.name.encode()), index]
    rng, variety = np.random.default_rng(scene), None
    if is_varied:
        variety = np.random.default_rng([*scene, 1])
        city = varied_city(variety, city)
    wanted = {kind for kind in FREQUENCIES if wants(kind, city, seed, index)}
    stage = _set_up(rng, city, size, variety)
    plan = draw_plan(rng, city, "train" in wanted)
    things = _compose(stage, city, plan, wanted)
    paint_sky(stage)
    paint_ground(stage, plan, city)
    street_end(stage, plan, city)
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        if variety is not None:
            stage.canvas.brush = draw_brush(variety)
        draw(stage)
    stage.canvas.brush = None
    is_road = stage.canvas.labels == LABEL_IDS["road"]
    mirror_in_road(stage.canvas.image, is_road, int(stage.camera.horizon), stage.weather.wetness)
    if variety is None or variety.random() < 0.4:
        ego_vehicle(stage, city)
    image, labels = stage.canvas.reduced()
    image = expose(image, stage.weather, rng)
    return image if variety is None else varied_lens(variety, image), labels
