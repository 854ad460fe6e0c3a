# %% [markdown]
# # Notebook 5: losses
#
# What a pixel costs, and which pixels a loss cares about. Needs TODO 1.1, TODO 1.2, TODO 2.2 and
# TODO 5.1 to TODO 5.3; see [chapter 5](../subject/05_losses.md). Change the numbers in capitals,
# and run a cell again.

# %%
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch

from data import MEAN, STD, SegmentationDataset, count_pixels, eval_transforms, resolve_datadir
from losses import FocalLoss, WeightedCrossEntropy, class_weights
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import to_picture

folder = resolve_datadir(None)
GAMMAS = (0, 0.5, 1, 2, 5)

# %% [markdown]
# ## The loss of one pixel
#
# Of two classes, the true one has the probability $p$. On the right, how strongly the pixel pulls
# at the logit of its class: an easy pixel is left alone the more, the larger $\gamma$ is.

# %%
probabilities = torch.linspace(0.01, 0.99, 99)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
true_class = torch.zeros(1, 1, 1, dtype=torch.int64)
for gamma in GAMMAS:
    losses, slopes = [], []
    for p in probabilities:
        logits = torch.stack([p, 1 - p]).log().view(1, 2, 1, 1).requires_grad_()
        loss = FocalLoss(gamma=gamma)(logits, true_class)
        losses.append(loss.item())
        slopes.append(torch.autograd.grad(loss, logits)[0][0, 0].abs().item())
    left.plot(probabilities, losses, label=f"gamma {gamma}")
    right.plot(probabilities, slopes)
left.set(xlabel="p of the true class", ylabel="loss", ylim=(0, 3))
right.set(xlabel="p of the true class", ylabel="size of the slope")
left.legend()
plt.show()

# %% [markdown]
# ## Weights for the classes of the toy streets
#
# Commonest class on the left. A smaller $\beta$ leads `effective` from `inverse` towards no weights
# at all: here it is 1 - 1/N.

# %%
N = 100000  # @param {type:"slider", min:1000, max:1000000, step:1000}

counts = count_pixels(SegmentationDataset(folder, "train").targets(), len(CITYSCAPES))
order = counts.argsort(descending=True)
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
for strategy in ("none", "sqrt", "inverse"):
    axes.plot(class_weights(counts, strategy)[order], ".-", label=strategy)
axes.plot(
    class_weights(counts, "effective", 1 - 1 / N)[order], ".--", label=f"effective, N = {N:,}"
)
axes.set_xticks(range(len(order)), [CITYSCAPES.names[k] for k in order], rotation=60, ha="right")
axes.set(yscale="log", ylabel="weight")
axes.legend()
plt.show()

# %% [markdown]
# ## Where in a scene does the loss come from?
#
# The network that comes with the lab looks at a scene of the validation split. Every fourth pixel,
# by three losses: bright is much. Below each, the share of the whole loss that its dearest tenth of
# the pixels has.

# %%
SCENE = 24  # @param {type:"slider", min:0, max:79, step:1}
GAMMA = 2.0  # @param {type:"slider", min:0, max:5, step:0.5}

scene = SegmentationDataset(folder, "val", transform=eval_transforms((128, 256)))[SCENE]
session = onnxruntime.InferenceSession("pretrained/toystreets.onnx")
logits = torch.from_numpy(session.run(None, {"image": scene[0][None].numpy()})[0])[..., ::4, ::4]
target = scene[1][None, ::4, ::4]


def cost_of_each_pixel(criterion, class_weight):
    """What each pixel adds to the sum, (H, W): your loss of it alone, times its weight."""
    costs = np.zeros(target.shape[1:])
    for y, x in np.ndindex(costs.shape):
        if target[0, y, x] != 255:
            logit, truth = logits[:, :, y : y + 1, x : x + 1], target[:, y : y + 1, x : x + 1]
            costs[y, x] = criterion(logit, truth) * class_weight[truth.item()]
    return costs


weights = class_weights(counts, "sqrt")
same = torch.ones(len(CITYSCAPES))
maps = {
    "cross entropy": cost_of_each_pixel(WeightedCrossEntropy(), same),
    "cross entropy, weights sqrt": cost_of_each_pixel(WeightedCrossEntropy(weights), weights),
    f"focal, gamma {GAMMA}": cost_of_each_pixel(FocalLoss(gamma=GAMMA), same),
}
show(to_picture(scene[0], MEAN, STD).repeat(2, axis=0).repeat(2, axis=1))
figure, panels = plt.subplots(1, 3, figsize=(12, 2.6), layout="constrained")
for axes, (name, costs) in zip(panels, maps.items(), strict=True):
    dearest = np.sort(costs.ravel())[::-1][: costs.size // 10].sum() / costs.sum()
    axes.imshow(costs**0.5, cmap="magma")
    axes.set(title=name, xlabel=f"dearest tenth: {dearest:.0%}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Far out
#
# Logits of a network that is very sure, and wrong. Your loss must stay a number, and so must its
# slope.

# %%
for size in (1, 10, 100, 1000, 10000):
    logits = torch.tensor([-size, size], dtype=torch.float32).view(1, 2, 1, 1).requires_grad_()
    loss = WeightedCrossEntropy()(logits, true_class)
    (slope,) = torch.autograd.grad(loss, logits)
    print(f"logits -{size}, {size}: loss {loss.item():g}, slope {slope[0, 0].item():g}")
