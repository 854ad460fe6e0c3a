# %% [markdown]
# # Notebook 6: training
#
# Trainings of seconds, to see what the loop does. Needs the TODOs of chapters 1 to 6; see [chapter
# 6](../subject/06_training.md). Change the numbers in capitals, and run a cell again.

# %%
from copy import deepcopy

import matplotlib.pyplot as plt
import torch

from data import MEAN, STD, SegmentationDataset, eval_transforms, get_dataloaders, open_datasets
from losses import WeightedCrossEntropy
from metrics import macro_f1
from models import UNet
from support.formats.cityscapes import CITYSCAPES
from support.notebook import show
from support.plots import sample_panel, to_picture
from training import evaluate, train_one_epoch
from utils import seed_everything

SIZE = (48, 96)
train_set, val_set = open_datasets(None, SIZE, limit=12, limit_train=40)


def train(learning_rate, epochs, scenes=train_set):
    """A small training: the network, and for each epoch both losses and the macro F1."""
    seed_everything(0)
    network = UNet(len(CITYSCAPES), num_blocks=3, base_channels=8)
    loaders = get_dataloaders(scenes, val_set, batch_size=4, num_workers=0, seed=0)
    criterion = WeightedCrossEntropy()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    history = []
    for _ in range(epochs):
        train_loss = train_one_epoch(network, loaders[0], criterion, optimizer, "cpu")
        val_loss, matrix = evaluate(network, loaders[1], criterion, "cpu", len(CITYSCAPES))
        history.append((train_loss, val_loss, macro_f1(matrix)))
    return network, history


# %% [markdown]
# ## Three learning rates
#
# The same network, the same 40 scenes in the same order; only the rate differs. Which is too cold,
# which too hot, and where would you look first?

# %%
EPOCHS = 8  # @param {type:"slider", min:4, max:40, step:4}
RATES = (0.0001, 0.003, 0.1)

runs = {rate: train(rate, EPOCHS) for rate in RATES}
figure, panels = plt.subplots(1, 3, figsize=(12, 3), layout="constrained")
for rate, (_, history) in runs.items():
    for axes, values in zip(panels, zip(*history, strict=True), strict=True):
        axes.plot(range(1, EPOCHS + 1), values, ".-", label=f"rate {rate}")
for axes, name in zip(panels, ("loss of training", "loss of validation", "macro F1"), strict=True):
    axes.set(xlabel="epoch", title=name)
panels[0].legend()
panels[1].set_yscale("log")
plt.show()

# %% [markdown]
# ## What it predicts
#
# After so few steps: the large areas first.

# %%
network = runs[RATES[1]][0].eval()
rows = []
for index in (0, 4, 8):
    image, target = val_set[index]
    logits = network(image[None])
    prediction = logits.argmax(dim=1)[0]
    rows.append((to_picture(image, MEAN, STD), target.numpy(), prediction.numpy()))
show(sample_panel(rows, CITYSCAPES.names, CITYSCAPES.palette))

# %% [markdown]
# ## Four scenes by heart
#
# A network that cannot learn four scenes has a bug. Its loss of training must fall far; that of
# validation says what learning by heart is worth.

# %%
SCENES = 4  # @param {type:"slider", min:4, max:40, step:4}

few = SegmentationDataset(train_set.source.folder, "train", limit=SCENES)
few.transform = eval_transforms(SIZE)
_, history = train(0.003, 40, few)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
train_losses, val_losses, _ = zip(*history, strict=True)
axes.plot(train_losses, label="loss of training")
axes.plot(val_losses, label="loss of validation")
axes.set(xlabel="epoch", yscale="log")
axes.legend()
plt.show()

# %% [markdown]
# ## Two modes
#
# The same weights and the same scenes, the loss twice: as `evaluate` takes it, and with batch
# normalisation in training mode, by the batch at hand. Small batches make the second one worse.

# %%
criterion = WeightedCrossEntropy()
for batch_size in (1, 2, 4, 12):
    loader = get_dataloaders(val_set, val_set, batch_size, num_workers=0, seed=0)[1]
    loss, _ = evaluate(runs[RATES[1]][0], loader, criterion, "cpu", len(CITYSCAPES))
    network = deepcopy(runs[RATES[1]][0]).train()  # a copy: a pass in this mode changes it
    losses = [criterion(network(images), target).item() for images, target in loader]
    print(f"batches of {batch_size:>2}: {loss:.3f}, by the batch {sum(losses) / len(losses):.3f}")
