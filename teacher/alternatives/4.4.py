# right: trace
# <answer 4.4a>
total = int(matrix.sum())
accuracy = int(matrix.trace()) / total if total else 0.0
# </answer 4.4a>
# <answer 4.4b>
recall = true_positives / truth
accuracy = 0.0 if recall.isnan().all() else recall.nanmean().item()
# </answer 4.4b>

# right: loop
# <answer 4.4a>
right = everything = 0
for t, row in enumerate(matrix.tolist()):
    right, everything = right + row[t], everything + sum(row)
accuracy = right / everything if everything else 0.0
# </answer 4.4a>
# <answer 4.4b>
recalls = [row[t] / sum(row) for t, row in enumerate(matrix.tolist()) if sum(row)]
accuracy = sum(recalls) / len(recalls) if recalls else 0.0
# </answer 4.4b>

# right: max_of_one
# <answer 4.4a>
accuracy = float(true_positives.sum() / truth.sum().clamp(min=1))
# </answer 4.4a>
# <answer 4.4b>
number = (truth > 0).sum().clamp(min=1)
accuracy = float((true_positives / truth.clamp(min=1)).sum() / number)
# </answer 4.4b>

# right: weighted_recall
# <answer 4.4a>
recall = (true_positives / truth).nan_to_num()
accuracy = (recall * truth / truth.sum()).sum().item() if truth.sum() else 0.0
# </answer 4.4a>
# <answer 4.4b>
import numpy as np

values = (true_positives / truth).numpy()
accuracy = float(np.nanmean(values)) if truth.any() else 0.0
# </answer 4.4b>

# right: float32
# <answer 4.4a>
counts = matrix.float()
accuracy = (counts.diagonal().sum() / counts.sum()).item() if counts.sum() else 0.0
# </answer 4.4a>

# right: whole_numbers_divided
# <answer 4.4a>
accuracy = float(matrix.trace() / matrix.sum()) if matrix.sum() else 0.0
# </answer 4.4a>

# right: micro_f1_and_rows_of_shares
# <answer 4.4a>
_, _, predicted = _totals(matrix)
below = (truth + predicted).sum()
accuracy = (2 * true_positives.sum() / below).nan_to_num(nan=0.0).item()
# </answer 4.4a>
# <answer 4.4b>
counts = torch.as_tensor(matrix).cpu().double()
rows = counts[counts.any(dim=1)]
shares = torch.nn.functional.normalize(rows, p=1, dim=1)
diagonal = shares[torch.arange(len(rows)), truth.nonzero().flatten()]
accuracy = diagonal.mean().item() if len(rows) else 0.0
# </answer 4.4b>
