# right: class_by_class
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = read_class_ids(dataset, index, num_classes)
    for k in range(num_classes):
        counts[k] += int((target == k).sum())
# </answer 1.2>

# right: numpy_bincount
# <answer 1.2>
total = np.zeros(num_classes, dtype=np.int64)
for index in range(len(dataset)):
    target = read_class_ids(dataset, index, num_classes)
    total += np.bincount(target[target != IGNORE_INDEX].ravel(), minlength=num_classes)
counts = torch.from_numpy(total)
# </answer 1.2>

# right: all_bytes_then_cut
# <answer 1.2>
counts = torch.zeros(256, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target.flatten(), minlength=256)
counts = counts[:num_classes]
# </answer 1.2>

# right: one_hot
# <answer 1.2>
import torch.nn.functional as F

counts = torch.zeros(num_classes, dtype=torch.long)
for index in range(len(dataset)):
    ids = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    ids = ids.masked_fill(ids == IGNORE_INDEX, num_classes)
    counts += F.one_hot(ids, num_classes + 1).sum(dim=(0, 1))[:-1]
# </answer 1.2>

# right: unique_with_counts
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    ids, numbers = np.unique(read_class_ids(dataset, index, num_classes), return_counts=True)
    for k, n in zip(ids, numbers, strict=True):
        if k != IGNORE_INDEX:
            counts[k] += n
# </answer 1.2>

# right: stacked
# <answer 1.2>
def of(index):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    return torch.bincount(target[target < IGNORE_INDEX], minlength=num_classes)


counts = torch.stack([of(index) for index in range(len(dataset))]).sum(dim=0)
# </answer 1.2>

# right: index_add
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes)).flatten()
    target = target[target != IGNORE_INDEX]
    counts.index_add_(0, target, torch.ones_like(target))
# </answer 1.2>

# right: iterated
# <answer 1.2>
total = [0] * num_classes
for index, _ in enumerate(dataset):
    target = read_class_ids(dataset, index, num_classes)
    numbers = np.bincount(target.ravel(), minlength=256)
    total = [a + int(b) for a, b in zip(total, numbers, strict=False)]
counts = torch.tensor(total, dtype=torch.int64)
# </answer 1.2>

# right: histogram_with_edges
# <answer 1.2>
total = np.zeros(num_classes, dtype=np.int64)
for index in range(len(dataset)):
    target = read_class_ids(dataset, index, num_classes)
    valid = target[target != IGNORE_INDEX]
    total += np.histogram(valid, bins=np.arange(num_classes + 1) - 0.5)[0]
counts = torch.as_tensor(total)
# </answer 1.2>
