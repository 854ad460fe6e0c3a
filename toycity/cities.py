"""The cities: each a look of its own, and which split it belongs to.

All are of one family, as the cities of Cityscapes are. Validation has its own cities: facades,
roofs, trees, ground, camera and the mix of weather differ from those of training, so that a
validation score tells how a network does in a city it has never seen. The names are made up; each
holds a tree.

They lie in one country, and much of it looks the same in every city, those of validation too:
buses are yellow, trams red, lorries blue, motorcycles orange, bicycles teal; free-standing walls
are of blue-violet slate, fences of wood; pedestrians dress in pink and purple, riders wear neon
vests. So what is rare is hard because it is rare, not because nobody could know it. The price: a
network can tell these classes by their hue, and such a network does not transfer to real images.
"""

from dataclasses import dataclass, field

from toycity.weather import Color

SPLITS = ("train", "val", "test")
EXTRA = "train_extra"
"""A further split of the cities that train, with coarse labels alone; only where it is asked for.
"""


@dataclass(frozen=True)
class City:
    """The look of a city. Lengths are in metres, fractions and chances 0 ... 1, colours RGB.

    Attributes:
        name: as in file names, lower-case letters only.
        split: train, val or test.
        walls: colours of the facades.
        roofs: colours of the roofs.
        storeys: the fewest and most storeys of a house.
        window: width and height of a window.
        bay: distance from window to window.
        brick: chance that a facade is of bricks.
        shops: chance that a ground floor is a shop.
        greenery: how many trees, 1 being usual.
        leaves: colours of the trees.
        grass: colour of the lawns.
        asphalt: colour of the road.
        paving: colour of the sidewalks.
        bus: colours of its buses.
        tram: colours of its trams, the stripe last.
        camera_height: of the lens above the road.
        focal: focal length over the picture's width.
        bonnet: colour of the camera car.
        weather: chance of each kind of weather, at any scale.
    """

    name: str
    split: str
    walls: tuple[Color, ...]
    roofs: tuple[Color, ...]
    storeys: tuple[int, int]
    window: tuple[float, float]
    bay: float
    brick: float
    shops: float
    greenery: float
    leaves: tuple[Color, ...]
    grass: Color
    asphalt: Color
    paving: Color
    bus: tuple[Color, ...]
    tram: tuple[Color, Color]
    camera_height: float = 1.3
    focal: float = 1.05
    bonnet: Color = (40, 42, 48)
    weather: dict[str, float] = field(default_factory=lambda: {"sun": 1.0, "overcast": 1.0})


CITIES = (
    City(
        name="ahornau", split="train",  # plastered old town, sunny
        walls=((214, 196, 158), (222, 210, 186), (196, 164, 128), (206, 184, 176), (188, 190, 178)),
        roofs=((142, 78, 58), (126, 70, 56)),
        storeys=(3, 4), window=(1.1, 1.6), bay=2.4, brick=0.05, shops=0.6,
        greenery=0.9, leaves=((78, 104, 48), (92, 112, 52)), grass=(104, 124, 62),
        asphalt=(104, 102, 102), paving=(158, 150, 142),
        bus=((240, 188, 40), (232, 178, 52)), tram=((190, 38, 36), (240, 230, 204)),
        camera_height=1.25, focal=1.05, bonnet=(38, 40, 46),
        weather={"sun": 5, "overcast": 4, "dusk": 0.5, "rain": 0.5},
    ),
    City(
        name="birkenfurt", split="train",  # harbour town of brick, grey sky
        walls=((142, 78, 62), (158, 92, 72), (122, 70, 60), (176, 120, 96), (186, 178, 166)),
        roofs=((78, 76, 80), (96, 84, 80)),
        storeys=(3, 5), window=(1.3, 1.7), bay=2.6, brick=0.8, shops=0.5,
        greenery=1.0, leaves=((70, 92, 46), (88, 100, 58)), grass=(96, 116, 66),
        asphalt=(88, 90, 94), paving=(140, 136, 138),
        bus=((246, 200, 60), (236, 182, 36)), tram=((172, 30, 42), (232, 232, 228)),
        camera_height=1.35, focal=1.0, bonnet=(120, 122, 126),
        weather={"overcast": 5, "rain": 1, "fog": 1, "sun": 3},
    ),
    City(
        name="eschenhain", split="train",  # garden suburb
        walls=((232, 226, 212), (214, 206, 190), (226, 212, 176), (196, 206, 204), (206, 176, 150)),
        roofs=((120, 62, 48), (92, 88, 92), (150, 92, 66)),
        storeys=(2, 3), window=(1.5, 1.4), bay=3.0, brick=0.2, shops=0.15,
        greenery=1.5, leaves=((84, 116, 44), (72, 100, 56), (110, 122, 50)), grass=(112, 134, 60),
        asphalt=(116, 114, 110), paving=(170, 160, 148),
        bus=((232, 170, 34), (242, 196, 70)), tram=((204, 50, 38), (244, 236, 216)),
        camera_height=1.2, focal=1.1, bonnet=(96, 24, 26),
        weather={"sun": 5, "overcast": 4, "fog": 0.7},
    ),
    City(
        name="lindenstedt", split="train",  # modern slabs of concrete and glass
        walls=((172, 174, 174), (150, 154, 160), (196, 196, 190), (134, 136, 136), (204, 198, 186)),
        roofs=((104, 104, 108), (84, 86, 92)),
        storeys=(4, 6), window=(1.9, 1.5), bay=2.5, brick=0.08, shops=0.5,
        greenery=0.9, leaves=((76, 104, 58), (66, 92, 52)), grass=(98, 122, 70),
        asphalt=(96, 98, 104), paving=(164, 164, 162),
        bus=((250, 206, 50), (228, 176, 44)), tram=((182, 26, 34), (226, 226, 222)),
        camera_height=1.45, focal=1.05, bonnet=(22, 22, 26),
        weather={"overcast": 4, "sun": 4, "rain": 0.7, "dusk": 0.7},
    ),
    City(
        name="ulmenbruck", split="train",  # gaudy quarter in autumn
        walls=((204, 140, 108), (150, 172, 176), (218, 190, 118), (186, 120, 116), (160, 178, 146)),
        roofs=((110, 58, 48), (84, 72, 70)),
        storeys=(3, 5), window=(1.0, 1.8), bay=2.1, brick=0.25, shops=0.7,
        greenery=1.1, leaves=((140, 118, 46), (112, 112, 46), (156, 98, 44)), grass=(122, 122, 64),
        asphalt=(110, 108, 112), paving=(150, 142, 140),
        bus=((236, 184, 66), (244, 192, 30)), tram=((198, 44, 50), (240, 236, 224)),
        camera_height=1.3, focal=1.15, bonnet=(58, 62, 78),
        weather={"sun": 4, "overcast": 4, "fog": 0.5, "rain": 0.5, "dusk": 0.5},
    ),
    City(
        name="kastanienberg", split="val",  # sandstone on a hill
        walls=((200, 178, 136), (186, 156, 116), (212, 196, 164), (174, 158, 138), (222, 204, 168)),
        roofs=((98, 66, 60), (120, 84, 66)),
        storeys=(3, 5), window=(1.2, 1.9), bay=2.7, brick=0.3, shops=0.45,
        greenery=1.0, leaves=((82, 100, 42), (98, 112, 56)), grass=(108, 122, 58),
        asphalt=(100, 98, 96), paving=(166, 154, 138),
        bus=((238, 178, 28), (248, 204, 84)), tram=((208, 40, 30), (236, 226, 200)),
        camera_height=1.3, focal=1.08, bonnet=(70, 72, 70),
        weather={"sun": 4, "overcast": 4, "rain": 0.6, "fog": 0.6},
    ),
    City(
        name="weidenthal", split="val",  # pale town by the river
        walls=((184, 196, 204), (214, 218, 216), (168, 158, 160), (206, 184, 186), (158, 98, 80)),
        roofs=((82, 84, 92), (128, 80, 66)),
        storeys=(3, 5), window=(1.4, 1.5), bay=2.3, brick=0.3, shops=0.4,
        greenery=1.15, leaves=((90, 112, 60), (68, 98, 46)), grass=(104, 130, 70),
        asphalt=(92, 94, 96), paving=(150, 148, 150),
        bus=((228, 186, 48), (242, 176, 54)), tram=((176, 36, 50), (238, 238, 232)),
        camera_height=1.4, focal=1.03, bonnet=(30, 44, 40),
        weather={"overcast": 4, "sun": 4, "dusk": 0.6, "rain": 0.6},
    ),
    City(
        name="zedernburg", split="test",  # the south
        walls=((228, 206, 168), (216, 168, 126), (236, 226, 204), (198, 148, 118), (206, 196, 176)),
        roofs=((164, 96, 66), (148, 84, 62)),
        storeys=(2, 5), window=(1.1, 1.7), bay=2.5, brick=0.15, shops=0.55,
        greenery=0.9, leaves=((88, 106, 58), (74, 92, 40)), grass=(130, 132, 70),
        asphalt=(112, 108, 104), paving=(176, 164, 146),
        bus=((244, 194, 48), (234, 172, 40)), tram=((194, 52, 36), (240, 236, 226)),
        camera_height=1.28, focal=1.06, bonnet=(200, 198, 192),
        weather={"sun": 5, "overcast": 3, "dusk": 0.6},
    ),
)  # fmt: skip


def cities_of(split: str) -> tuple[City, ...]:
    """The cities of a split, in the order of the table."""
    return tuple(city for city in CITIES if city.split == split.removesuffix("_extra"))


def find_city(name: str) -> City:
    """Looks a city up by its name.

    Raises:
        ValueError: for an unknown name; the message lists those there are.
    """
    for city in CITIES:
        if city.name == name:
            return city
    raise ValueError(f"unknown city {name!r}; there are {', '.join(c.name for c in CITIES)}")
