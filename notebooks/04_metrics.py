# %% [markdown]
# # Notebook 4: metrics
#
# Scores of a trained network, and how they mislead. Needs TODO 1.1, TODO 2.2 and TODO 4.1 to TODO
# 4.4; see [chapter 4](../subject/04_metrics.md). Change the numbers in capitals, and run a cell
# again.

# %%
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch

from data import SegmentationDataset, eval_transforms, resolve_datadir
from metrics import ConfusionMatrix, f1_per_class, macro_f1, mean_accuracy, mean_iou, pixel_accuracy
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import confusion_picture

streets = SegmentationDataset(resolve_datadir(None), "val", transform=eval_transforms((128, 256)))
session = onnxruntime.InferenceSession("pretrained/toystreets.onnx")
images = torch.stack([image for image, _ in streets])  # (80, 3, H, W)
target = torch.stack([target for _, target in streets])  # (80, H, W)
logits = [session.run(None, {"image": image[None].numpy()})[0] for image in images]
predictions = torch.from_numpy(np.concatenate(logits).argmax(axis=1))  # (80, H, W)
print("pixels:", target.numel(), "of which void:", (target == 255).sum().item())


def matrix_of(predictions, target):
    """Your confusion matrix of some images."""
    confusion = ConfusionMatrix(len(CITYSCAPES))
    confusion.update(predictions, target)
    return confusion.matrix


# %% [markdown]
# ## The confusion matrix
#
# Each row has the pixels of one true class, in percent. A number off the diagonal is a pair that
# the network confuses.

# %%
matrix = matrix_of(predictions, target)
show(confusion_picture(matrix.numpy(), CITYSCAPES.names))

# %%
print(f"macro F1       {macro_f1(matrix):.3f}")
print(f"mean IoU       {mean_iou(matrix):.3f}")
print(f"pixel accuracy {pixel_accuracy(matrix):.3f}")
print(f"mean accuracy  {mean_accuracy(matrix):.3f}")

# %% [markdown]
# ## Over the set, or averaged over batches?
#
# The same predictions, counted in batches: the mean of the batches' macro F1 depends on how many
# images a batch has, and on their order. The score of the whole set does not.

# %%
generator = torch.Generator().manual_seed(0)
sizes = (1, 2, 4, 8, 16, 40, 80)
means = []
for size in sizes:
    order = torch.randperm(len(target), generator=generator)
    batches = [macro_f1(matrix_of(predictions[part], target[part])) for part in order.split(size)]
    means.append(np.mean(batches))
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(sizes, means, "o-", label="mean over the batches")
axes.axhline(macro_f1(matrix), color="black", linestyle=":", label="over the set")
axes.set(xscale="log", xlabel="images in a batch", ylabel="macro F1", xticks=sizes)
axes.set_xticklabels(sizes)
axes.legend()
plt.show()

# %% [markdown]
# ## How many images does a score need?
#
# The score of some images drawn at random, fifty times for each number. A difference of two
# networks that is smaller than this spread says nothing.

# %%
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
each = torch.stack([matrix_of(a[None], b[None]) for a, b in zip(predictions, target, strict=True)])
for number in (5, 10, 20, 40, 60):
    draws = [torch.randperm(len(each), generator=generator)[:number] for _ in range(50)]
    axes.plot([number] * 50, [macro_f1(each[draw].sum(dim=0)) for draw in draws], ".", alpha=0.4)
axes.axhline(macro_f1(matrix), color="black", linestyle=":")
axes.set(xlabel="images", ylabel="macro F1")
plt.show()

# %% [markdown]
# ## The trap of accuracy
#
# Take perfect predictions, and call the rarest classes road. Four scores while more and more of the
# classes are lost.

# %%
rarest = matrix.sum(dim=1).argsort()  # a row has the pixels of a class
spoiled = target.clone()
curves = {"pixel accuracy": [], "macro F1": [], "mean IoU": []}
for k in [None, *rarest[:-1].tolist()]:
    if k is not None:
        spoiled[spoiled == k] = 0
    lost = matrix_of(spoiled, target)
    for name, score in zip(curves, (pixel_accuracy, macro_f1, mean_iou), strict=True):
        curves[name].append(score(lost))
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values in curves.items():
    axes.plot(values, ".-", label=name)
axes.set(xlabel="classes lost, rarest first", ylim=(0, 1.02))
axes.legend()
plt.show()

# %% [markdown]
# ## Which classes are hard?
#
# Against their number of pixels: rare is not the same as hard.

# %%
f1, pixels = f1_per_class(matrix).numpy(), matrix.sum(dim=1).numpy()
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for k, name in enumerate(CITYSCAPES.names):
    axes.plot(pixels[k], f1[k], "o", color=CITYSCAPES.palette[k] / 255, markeredgecolor="black")
    axes.annotate(name, (pixels[k], f1[k]), (5, -3), textcoords="offset points", fontsize=8)
axes.set(xscale="log", xlabel="pixels in the 80 scenes", ylabel="F1")
plt.show()
