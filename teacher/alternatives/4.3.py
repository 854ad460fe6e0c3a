# right: false_ones_by_name
# <answer 4.3a>
false_negatives = truth - true_positives
false_positives = predicted - true_positives
iou = true_positives / (true_positives + false_positives + false_negatives)
# </answer 4.3a>
# <answer 4.3b>
iou = iou_per_class(matrix)
score = 0.0 if iou.isnan().all() else iou.nanmean().item()
# </answer 4.3b>

# right: from_f1
# <answer 4.3a>
f1 = 2 * true_positives / (truth + predicted)
iou = f1 / (2 - f1)
# </answer 4.3a>

# right: from_the_other_todo
# <answer 4.3a>
f1 = f1_per_class(matrix)
iou = f1 / (2 - f1)
# </answer 4.3a>
# <answer 4.3b>
iou = iou_per_class(matrix)
kept = torch.masked_select(iou, torch.isfinite(iou))
score = float(kept.sum() / len(kept)) if kept.numel() > 0 else 0.0
# </answer 4.3b>

# right: loop
# <answer 4.3a>
counts = torch.as_tensor(matrix).cpu().double()
iou = torch.empty(len(counts), dtype=torch.float64)
for k in range(len(counts)):
    union = counts[k].sum() + counts[:, k].sum() - counts[k, k]
    iou[k] = counts[k, k] / union if union > 0 else torch.nan
# </answer 4.3a>
# <answer 4.3b>
values = [value for value in iou_per_class(matrix).tolist() if value == value]
score = sum(values) / len(values) if values else 0.0
# </answer 4.3b>

# right: where
# <answer 4.3a>
union = truth + predicted - true_positives
iou = torch.where(union > 0, true_positives / union.clamp(min=1), torch.nan)
# </answer 4.3a>
# <answer 4.3b>
import math

score = iou_per_class(matrix).nanmean().item()
score = 0.0 if math.isnan(score) else score
# </answer 4.3b>

# right: one_minus_the_errors
# <answer 4.3a>
both, either = true_positives, truth + predicted - true_positives
iou = 1 - (either - both) / either
# </answer 4.3a>
# <answer 4.3b>
import statistics

values = [value for value in iou_per_class(matrix).tolist() if not math.isnan(value)]
score = statistics.fmean(values) if values else 0.0
# </answer 4.3b>
