# right: false_ones_by_name
# <answer 4.2a>
false_negatives = truth - true_positives
false_positives = predicted - true_positives
f1 = 2 * true_positives / (2 * true_positives + false_positives + false_negatives)
# </answer 4.2a>
# <answer 4.2b>
f1 = f1_per_class(matrix)
score = 0.0 if f1.isnan().all() else f1.nanmean().item()
# </answer 4.2b>

# right: from_iou
# <answer 4.2a>
iou = true_positives / (truth + predicted - true_positives)
f1 = 2 * iou / (1 + iou)
# </answer 4.2a>

# right: precision_and_recall
# <answer 4.2a>
precision, recall = true_positives / predicted, true_positives / truth
f1 = 2 * precision * recall / (precision + recall)
f1 = torch.where(true_positives > 0, f1, 0.0)
f1 = torch.where(truth + predicted > 0, f1, torch.nan)
# </answer 4.2a>

# right: loop
# <answer 4.2a>
f1 = torch.full_like(truth, float("nan"))
for k in range(len(f1)):
    if truth[k] + predicted[k] > 0:
        f1[k] = 2 * true_positives[k] / (truth[k] + predicted[k])
# </answer 4.2a>
# <answer 4.2b>
total, number = 0.0, 0
for value in f1_per_class(matrix).tolist():
    if value == value:
        total, number = total + value, number + 1
score = total / number if number else 0.0
# </answer 4.2b>

# right: list
# <answer 4.2a>
import math

counts = zip(true_positives.tolist(), truth.tolist(), predicted.tolist(), strict=True)
f1 = torch.tensor([2 * tp / (t + p) if t + p else math.nan for tp, t, p in counts]).double()
f1 = torch.where(f1.isnan(), f1, 2 * true_positives / (truth + predicted))
# </answer 4.2a>
# <answer 4.2b>
import numpy as np

values = f1_per_class(matrix).numpy()
values = values[~np.isnan(values)]
score = float(values.mean()) if values.size else 0.0
# </answer 4.2b>

# right: without_the_other_function
# <answer 4.2b>
true_positives, truth, predicted = _totals(matrix)
occurs = truth + predicted > 0
score = 0.0
if occurs.any():
    score = (2 * true_positives / (truth + predicted))[occurs].mean().item()
# </answer 4.2b>

# right: sum_over_number
# <answer 4.2a>
f1 = torch.div(true_positives, (truth + predicted) / 2)
# </answer 4.2a>
# <answer 4.2b>
f1 = f1_per_class(matrix)
number = (~torch.isnan(f1)).sum().item()
score = torch.nansum(f1).item() / max(number, 1)
# </answer 4.2b>

# right: errors_over_hits
# <answer 4.2a>
errors = truth + predicted - 2 * true_positives
f1 = 1 / (1 + errors / (2 * true_positives))
# </answer 4.2a>
# <answer 4.2b>
import statistics

values = [value for value in f1_per_class(matrix).tolist() if not math.isnan(value)]
score = statistics.fmean(values) if values else 0.0
# </answer 4.2b>
