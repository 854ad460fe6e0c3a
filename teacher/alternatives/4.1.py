# right: loop
# <answer 4.1>
counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
for t, p in zip(truth.flatten().tolist(), guess.flatten().tolist(), strict=True):
    if t != self.ignore_index:
        counts[t, p] += 1
# </answer 4.1>

# right: one_hot
# <answer 4.1>
import torch.nn.functional as F

valid = truth != self.ignore_index
t = F.one_hot(truth[valid], self.num_classes)
p = F.one_hot(guess[valid], self.num_classes)
counts = torch.einsum("nt,np->tp", t, p)
# </answer 4.1>

# right: index_put
# <answer 4.1>
keep = truth.ne(self.ignore_index)
counts = torch.zeros_like(self.matrix, device=truth.device)
one = torch.ones((), dtype=torch.int64, device=truth.device)
counts.index_put_((truth[keep], guess[keep]), one, accumulate=True)
# </answer 4.1>

# right: masks
# <answer 4.1>
valid = truth != self.ignore_index
classes = range(self.num_classes)
rows = [
    [int((valid & (truth == t) & (guess == p)).sum()) for p in classes]
    if self.num_classes < 50
    else torch.bincount(guess[valid & (truth == t)], minlength=self.num_classes).tolist()
    for t in classes
]
counts = torch.tensor(rows, dtype=torch.int64)
# </answer 4.1>

# right: row_by_row
# <answer 4.1>
rows = []
for t in range(self.num_classes):
    of_class = guess[(truth == t) & (truth != self.ignore_index)]
    rows.append(torch.bincount(of_class, minlength=self.num_classes))
counts = torch.stack(rows)
# </answer 4.1>

# right: columns_first
# <answer 4.1>
valid = truth != self.ignore_index
pairs = guess[valid] * self.num_classes + truth[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.reshape(self.num_classes, self.num_classes).t()
# </answer 4.1>

# right: void_in_a_place_of_its_own
# <answer 4.1>
k = self.num_classes
pairs = torch.where(truth == self.ignore_index, k * k, truth * k + guess)
counts = torch.bincount(pairs.flatten(), minlength=k * k + 1)[:-1].unflatten(0, (k, k))
# </answer 4.1>

# right: numpy
# <answer 4.1>
import numpy as np

t, p = truth.cpu().numpy().ravel(), guess.cpu().numpy().ravel()
table = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)
valid = t != self.ignore_index
np.add.at(table, (t[valid], p[valid]), 1)
counts = torch.from_numpy(table)
# </answer 4.1>

# right: sparse
# <answer 4.1>
valid = truth != self.ignore_index
places = torch.stack((truth[valid], guess[valid]))
ones = torch.ones(places.shape[1], dtype=torch.int64, device=places.device)
shape = (self.num_classes, self.num_classes)
counts = torch.sparse_coo_tensor(places, ones, shape).to_dense()
# </answer 4.1>

# right: unique_pairs
# <answer 4.1>
valid = truth != self.ignore_index
pairs = torch.stack((truth[valid], guess[valid]), dim=1)
found, numbers = torch.unique(pairs, dim=0, return_counts=True)
counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64, device=truth.device)
counts[found[:, 0], found[:, 1]] = numbers
# </answer 4.1>
