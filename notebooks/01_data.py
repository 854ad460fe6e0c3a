# %% [markdown]
# # Notebook 1: data
#
# Look at the toy streets through your own functions. Needs TODO 1.1 and TODO 1.2 of [chapter
# 1](../subject/01_data.md). Change the numbers in capitals, and run a cell again.

# %%
import matplotlib.pyplot as plt
import numpy as np

from commands.data import colors_of
from data import SegmentationDataset, count_pixels, encode_train_ids, resolve_datadir
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import picture_grid
from utils import colorize

streets = SegmentationDataset(resolve_datadir(None), "train")
print(f"{len(streets)} scenes of {', '.join(streets.cities)}")

# %% [markdown]
# ## What the file holds, and what the network learns
#
# The first target shows the label ids as the file has them, in their official colours; the second
# the train ids that `encode_train_ids` makes of them. What has become black is void.

# %%
SCENE = 55  # @param {type:"slider", min:0, max:319, step:1}

image = streets.source.read_image(SCENE)
label_ids = streets.source.read_label_ids(SCENE)
train_ids = encode_train_ids(label_ids)
pictures = [image, colors_of(CITYSCAPES)[label_ids], colorize(train_ids, CITYSCAPES.palette)]
show(picture_grid([pictures], ("image", "label ids", "train ids")))

# %% [markdown]
# Every pair that occurs in this scene. Each label id leads to one train id, and several lead to
# 255.

# %%
names = {label.id: label.name for label in CITYSCAPES.labels}
both = np.stack([label_ids, train_ids], axis=-1).reshape(-1, 2)
pairs, pixels = np.unique(both, axis=0, return_counts=True)
for (label_id, train_id), number in zip(pairs.tolist(), pixels.tolist(), strict=True):
    print(f"{label_id:>3} {names[label_id]:<22} {train_id:>4} {number:>7,} pixels")

# %% [markdown]
# ## How rare is rare?
#
# Each bar is a class's share of the labelled pixels, on an axis where each line is ten times the
# one before it.

# %%
SCENES = 320  # @param {type:"slider", min:10, max:320, step:10}

some = SegmentationDataset(resolve_datadir(None), "train", limit=SCENES)
counts = count_pixels(some.targets(), len(CITYSCAPES)).numpy()
order = counts.argsort()[::-1]
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
axes.bar(
    range(len(order)), 100 * counts[order] / counts.sum(), color=CITYSCAPES.palette[order] / 255
)
axes.set_xticks(range(len(order)), [CITYSCAPES.names[k] for k in order], rotation=60, ha="right")
axes.set(yscale="log", ylabel="% of the labelled pixels", title=f"{SCENES} scenes")
plt.show()

# %% [markdown]
# ## Seldom, or small?
#
# A class can be rare in two ways. To the left: it is in few scenes. Below: it is small where it is.
# For which of them would more images help?

# %%
seen = np.zeros(len(CITYSCAPES), int)
for index in range(len(some)):
    seen[[k for k in np.unique(some.read_train_ids(index)) if k < len(CITYSCAPES)]] += 1
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for k, name in enumerate(CITYSCAPES.names):
    if seen[k]:
        place = 100 * seen[k] / len(some), counts[k] / seen[k]
        axes.plot(*place, "o", color=CITYSCAPES.palette[k] / 255, markeredgecolor="black")
        axes.annotate(name, place, xytext=(6, -3), textcoords="offset points", fontsize=8)
axes.set(yscale="log", xlabel="% of the scenes that show it", ylabel="pixels in such a scene")
plt.show()
