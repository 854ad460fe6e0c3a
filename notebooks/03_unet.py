# %% [markdown]
# # Notebook 3: the UNet
#
# Shapes, sizes and what the levels see. Needs TODO 1.1, TODO 2.2 and TODO 3.1 to TODO 3.5; the
# reasons are in [chapter 3](../subject/03_unet.md). Change the numbers in capitals, and run a cell
# again.

# %%
import numpy as np
import onnx
import onnxruntime
import torch

from data import MEAN, STD, SegmentationDataset, eval_transforms, resolve_datadir
from models import UNet
from support.notebook import show
from support.plots import picture_grid, to_picture

streets = SegmentationDataset(resolve_datadir(None), "val", transform=eval_transforms((128, 256)))

# %% [markdown]
# ## Shapes and numbers
#
# Where the learned numbers of your UNet are, and what its encoder hands down and across.

# %%
BLOCKS = 4  # @param {type:"slider", min:1, max:6, step:1}
CHANNELS = 16  # @param {type:"slider", min:4, max:64, step:4}

torch.manual_seed(0)
model = UNet(19, num_blocks=BLOCKS, base_channels=CHANNELS).eval()
image = torch.rand(1, 3, 128, 256)
bottom, features = model.encoder(image)
for level, tensor in enumerate(features):
    print(f"level {level}: {tuple(tensor.shape)}, {tensor.numel():>9,} values across")
print(f"bottom:  {tuple(bottom.shape)}, {bottom.numel():>9,} values")
for name, part in model.named_children():
    print(f"{name}: {sum(each.numel() for each in part.parameters()):,} learned numbers")

# %% [markdown]
# ## Any size
#
# The weights do not depend on the size. Sizes that the stride does not divide are padded and
# cropped by `UNet` itself, so that the logits always have the size of the image.

# %%
for height, width in ((128, 256), (100, 100), (37, 250), (256, 512)):
    logits = model(torch.rand(1, 3, height, width))
    print(f"{height:>3} x {width:<3} -> {tuple(logits.shape)}")

# %% [markdown]
# ## What one position of the bottom sees
#
# The gradient of one value with respect to every pixel of the image: where it is not 0, the value
# depends on that pixel. The area is the receptive field, its width in pixels above it. It grows
# with each level.

# %%
picture = torch.rand(1, 3, 256, 256, requires_grad=True)
bottom, features = model.encoder(picture)
cells, titles = [], []
for name, tensor in [
    *((f"level {n}", each) for n, each in enumerate(features)),
    ("bottom", bottom),
]:
    value = tensor[0, :, tensor.shape[2] // 2, tensor.shape[3] // 2].sum()
    (slope,) = torch.autograd.grad(value, picture, retain_graph=True)
    slope = slope.abs().sum(dim=1)[0].numpy()
    brightness = (slope / slope.max()) ** 0.25  # so that small numbers are seen too
    cells.append(np.repeat((255 * brightness).astype(np.uint8)[..., None], 3, axis=2))
    titles.append(f"{name}: {(slope.sum(axis=0) > 0).sum()} pixels")
show(picture_grid([cells], captions=[titles]))

# %% [markdown]
# ## What a trained encoder hands across
#
# The small network that comes with the lab has such an encoder. Its file is opened, and what goes
# into its four concatenations becomes an output. Of each level, the four channels that vary most:
# fine borders on top, and further down areas in which single pixels no longer matter.

# %%
SCENE = 3  # @param {type:"slider", min:0, max:79, step:1}

graph = onnx.load("pretrained/toystreets.onnx")
joins = [node for node in graph.graph.node if node.op_type == "Concat"]
across = [name for node in joins for name in node.input]
graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in across)
session = onnxruntime.InferenceSession(graph.SerializeToString())
photo = streets[SCENE][0]
tensors = session.run(across, {"image": photo[None].numpy()})
rows, titles = [], []
for level, tensor in enumerate(sorted(tensors[::2], key=lambda each: each.shape[1])):
    channels = tensor[0, tensor[0].std(axis=(1, 2)).argsort()[::-1][:4]]
    low, high = channels.min(axis=(1, 2), keepdims=True), channels.max(axis=(1, 2), keepdims=True)
    grey = (255 * (channels - low) / (high - low)).astype(np.uint8)
    size = 128 // grey.shape[1]
    rows.append([np.repeat(each.repeat(size, 0).repeat(size, 1)[..., None], 3, 2) for each in grey])
    titles.append([f"level {level}, {tensor.shape[2]} x {tensor.shape[3]}"] * 4)
show(to_picture(photo, MEAN, STD))
show(picture_grid(rows, captions=titles))
