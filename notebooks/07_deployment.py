# %% [markdown]
# # Notebook 7: deployment
#
# A `model.onnx` at other sizes than in training. Needs the TODOs of chapters 1, 3 and 7; see
# [chapter 7](../subject/07_deployment.md). Change the numbers in capitals, and run a cell again.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from data import MEAN, STD, SegmentationDataset, resolve_datadir
from deploy import OnnxSegmenter, export_onnx, network_size
from models import UNet
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import picture_grid
from utils import colorize, overlay, resize_image

streets = SegmentationDataset(resolve_datadir(None), "val")
segmenter = OnnxSegmenter("pretrained/toystreets.onnx")
print(f"trained at {segmenter.size}, sides must divide by {segmenter.stride}")

# %% [markdown]
# ## A photo of any size
#
# One scene, made smaller and larger. In which size does the network see it, and what does it
# answer? The mask always has the size of the photo. The last photo is upright.

# %%
SCENE = 21  # @param {type:"slider", min:0, max:79, step:1}

image, target = streets[SCENE]
sizes = [(32, 64), (128, 256), (512, 1024), (300, 180)]
masks, titles = [], []
for size in sizes:
    photo = resize_image(image, size)
    mask = segmenter.predict(photo)
    colors = overlay(photo, colorize(mask, segmenter.palette), 0.6)
    masks.append(resize_image(colors, (128, 256 if size[1] > size[0] else 77)))
    titles.append(f"{size[0]} x {size[1]}, seen at {network_size(size, segmenter.size)}")
    print(f"{size[0]:>4} x {size[1]:<4} -> mask {mask.shape}")
show(picture_grid([masks[:2], masks[2:]], captions=[titles[:2], titles[2:]]))

# %% [markdown]
# ## What if it saw the photo at another size?
#
# The file takes any size. Here the network is told that it was trained at another one, so that cars
# come out smaller or larger than those that it knows. The score of eight scenes is best near the
# true size.

# %%
FACTORS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3)

shares = []
for factor in FACTORS:
    other = OnnxSegmenter("pretrained/toystreets.onnx")
    other.size = tuple(round(side * factor) for side in segmenter.size)
    right = valid = 0
    for index in range(0, 80, 10):
        photo, truth = streets[index]
        mask, truth = other.predict(photo), truth.numpy()
        right += ((mask == truth) & (truth != 255)).sum()
        valid += (truth != 255).sum()
    shares.append(right / valid)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(FACTORS, shares, "o-")
axes.set(xscale="log", xlabel="size, as a multiple of the training's", ylabel="pixels right")
axes.set_xticks(FACTORS, FACTORS)
axes.minorticks_off()
plt.show()

# %% [markdown]
# ## Enlarged logits, or enlarged classes?
#
# The same answer at eight times the size of a small photo: your way, and with the class ids
# repeated.

# %%
tiny = resize_image(image, (64, 128))
large = resize_image(tiny, (512, 1024))
smooth = segmenter.predict(large)
stairs = segmenter.predict(tiny).repeat(8, axis=0).repeat(8, axis=1)
part = np.s_[200:400, 300:700]
cells = [colorize(each[part], segmenter.palette) for each in (smooth, stairs)]
show(picture_grid([cells], ("logits enlarged", "classes enlarged")))

# %% [markdown]
# ## A file of your own
#
# Your UNet, untrained, through your export: how large the file is, and what it says about itself.

# %%
CHANNELS = 8  # @param {type:"slider", min:4, max:64, step:4}

model = UNet(len(CITYSCAPES), num_blocks=4, base_channels=CHANNELS).eval()
about = {"classes": CITYSCAPES.names, "palette": CITYSCAPES.palette, "mean": MEAN, "std": STD}
with tempfile.TemporaryDirectory() as scratch:
    path = Path(scratch) / "model.onnx"
    export_onnx(model, path, (128, 256), about)
    numbers = sum(each.numel() for each in model.parameters())
    print(f"{numbers:,} learned numbers, {path.stat().st_size / 2**20:.2f} MiB")
    own = OnnxSegmenter(path)
    properties = own.session.get_modelmeta().custom_metadata_map
    values = own.run(torch.rand(2, 3, 64, 96).numpy())
print(f"logits of two images of 64 x 96: {values.shape}")
for name in ("size", "stride", "mean"):
    print(f"{name}: {json.loads(properties[name])}")
