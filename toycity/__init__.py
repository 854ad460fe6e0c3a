"""toycity: procedural street scenes in the layout of Cityscapes, the lab's embedded data set.

Every scene is computed: a street is planned from above, houses, trees, vehicles and people are
placed in it by the metre, and everything is painted from far to near onto a canvas that carries
picture and labels together. All 19 classes occur, with a long tail like Cityscapes' own, the rarest
classes about twice as frequent. Rare classes have colours of their own throughout the country
(`cities.py` lists them): a network can use hue, and does then not transfer to real images.
Read it in this order:

    cities.py     eight made-up cities: palettes, habits, weather; two are kept for validation
    scene.py      one scene: what is where; `render_scene`
    street.py     the street from above; sky and ground
    houses.py nature.py vehicles.py people.py furniture.py     what stands in it
    stage.py camera.py canvas.py textures.py weather.py        how it is painted
    variety.py                                                 the same streets beyond realism
    coarse.py                                                  labels drawn in minutes
    generate.py folder.py                                      files, and folders that are whole

Deviations from Cityscapes: pictures of 128x256 pixels unless another size is asked for, no video
frames around the annotated one, no instance ids.
"""

from toycity.cities import CITIES, SPLITS, City, cities_of
from toycity.folder import MARKER
from toycity.generate import DEFAULT_COUNTS, VERSION, Recipe, ensure_toycity, is_complete
from toycity.scene import DEFAULT_SIZE, render_scene

__all__ = [
    "CITIES",
    "DEFAULT_COUNTS",
    "DEFAULT_SIZE",
    "MARKER",
    "SPLITS",
    "VERSION",
    "City",
    "Recipe",
    "cities_of",
    "ensure_toycity",
    "is_complete",
    "render_scene",
]
