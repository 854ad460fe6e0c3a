# %% [markdown]
# # Notebook 2: augmentation
#
# What your transforms do to a scene. Needs TODO 1.1, TODO 2.1 and TODO 2.2; [chapter
# 2](../subject/02_augmentation.md) has the reasons. Change the numbers in capitals, and run a cell
# again.

# %%
import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch

from data import MEAN, STD, SegmentationDataset, eval_transforms, resolve_datadir, train_transforms
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import picture_grid, to_picture
from utils import colorize, overlay

SIZE = (128, 256)  # height and width, in pixels
folder = resolve_datadir(None)
augmented = SegmentationDataset(folder, "train", transform=train_transforms(SIZE))
plain = SegmentationDataset(folder, "train", transform=eval_transforms(SIZE))


def picture_of(image, target):
    """The target's colours, laid over the image."""
    return overlay(to_picture(image, MEAN, STD), colorize(target.numpy(), CITYSCAPES.palette), 0.35)


# %% [markdown]
# ## One scene, many draws
#
# First as the evaluation sees it, then as eight epochs of training would. The target's colours lie
# over the image: wherever they have not moved with it, an augmentation is broken. Black is void.

# %%
SCENE = 12  # @param {type:"slider", min:0, max:319, step:1}
SEED = 0  # @param {type:"slider", min:0, max:20, step:1}

torch.manual_seed(SEED)
cells = [picture_of(*plain[SCENE])] + [picture_of(*augmented[SCENE]) for _ in range(8)]
titles = ["evaluation"] + [f"draw {number}" for number in range(1, 9)]
rows = [slice(start, start + 3) for start in (0, 3, 6)]
show(picture_grid([cells[row] for row in rows], captions=[titles[row] for row in rows]))

# %% [markdown]
# ## How often, and how much?
#
# Over many draws of one scene: the share of void, and the mean brightness. Dotted is the scene as
# it is. A draw has less void when the bonnet of the car is cut off, and more where the image does
# not reach.

# %%
DRAWS = 300  # @param {type:"slider", min:50, max:1000, step:50}

draws = [plain[SCENE]] + [augmented[SCENE] for _ in range(DRAWS)]
void = [100 * (target == 255).float().mean().item() for _, target in draws]
brightness = [to_picture(image, MEAN, STD).mean() for image, _ in draws]
figure, panels = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
names = "% of the pixels that are void", "mean brightness"
for axes, values, name in zip(panels, (void, brightness), names, strict=True):
    axes.hist(values[1:], bins=40)
    axes.axvline(values[0], color="black", linestyle=":")
    axes.set(xlabel=name, ylabel="draws")
plt.show()

# %% [markdown]
# ## The numbers that the network sees
#
# Red, green and blue of 32 scenes, before and after the normalisation. Their means come near to 0,
# not onto it: the constants are those of other photographs, and they are the same for every image.

# %%
scenes = [plain.source.read_image(index) for index in range(32)]
bytes_seen = np.stack(scenes).reshape(-1, 3)
numbers_seen = torch.stack([plain[index][0] for index in range(32)]).transpose(0, 1).reshape(3, -1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for channel, color in enumerate(("red", "green", "blue")):
    left.hist(bytes_seen[:, channel], bins=64, histtype="step", color=color)
    right.hist(numbers_seen[channel].numpy(), bins=64, histtype="step", color=color)
left.set(xlabel="bytes of the files", yticks=[])
right.set(xlabel="after the normalisation", yticks=[])
plt.show()
print("means:", [round(number, 2) for number in numbers_seen.mean(dim=1).tolist()])

# %% [markdown]
# ## What a wrong resizing would do
#
# A target at a third of its size, once by the nearest neighbour, once by mixing neighbouring ids,
# as one does with colours. The second shows classes that nobody has drawn, along every border.

# %%
ids = plain.read_train_ids(SCENE)
small = (SIZE[1] // 3, SIZE[0] // 3)
nearest = cv2.resize(ids, small, interpolation=cv2.INTER_NEAREST_EXACT)
mixed = cv2.resize(ids, small, interpolation=cv2.INTER_LINEAR)
show(
    picture_grid(
        [[colorize(each, CITYSCAPES.palette) for each in (nearest, mixed)]],
        ("nearest neighbour", "mixed"),
    )
)
new = sorted(set(np.unique(mixed).tolist()) - set(np.unique(ids).tolist()))
print("ids that were not there before:", new)

# %% [markdown]
# ## Nothing random in the evaluation

# %%
once, again = plain[SCENE], plain[SCENE]
print(
    "evaluation, twice the same:", all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
)
once, again = augmented[SCENE], augmented[SCENE]
print("training, twice the same:", all(torch.equal(a, b) for a, b in zip(once, again, strict=True)))
