# wrong: percent
# says: in percent
# <answer 4.3b>
iou = iou_per_class(matrix)
valid = 100 * iou[~iou.isnan()]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.3b>

# wrong: iou_of_mean_f1
# says: expected:
# <answer 4.3b>
f1 = macro_f1(matrix)
score = f1 / (2 - f1)
# </answer 4.3b>

# wrong: distance
# says: 1 minus the score
# <answer 4.3a>
iou = 1 - true_positives / (truth + predicted - true_positives)
# </answer 4.3a>

# wrong: crash_without_classes
# says: ask first whether anything is left
# <answer 4.3b>
values = [value for value in iou_per_class(matrix).tolist() if value == value]
score = sum(values) / len(values)
# </answer 4.3b>

# wrong: f1
# says: these are F1
# <answer 4.3a>
iou = 2 * true_positives / (truth + predicted)
# </answer 4.3a>

# wrong: union_counts_twice
# says: the factor 2 is missing
# <answer 4.3a>
iou = true_positives / (truth + predicted)
# </answer 4.3a>

# wrong: precision
# says: these are the precisions
# <answer 4.3a>
iou = true_positives / predicted
# </answer 4.3a>

# wrong: recall
# says: these are the recalls
# <answer 4.3a>
iou = true_positives / truth
# </answer 4.3a>

# wrong: tp_not_in_the_union
# says: TP belongs into the union
# <answer 4.3a>
iou = true_positives / (truth + predicted - 2 * true_positives)
# </answer 4.3a>

# wrong: tp_three_times
# says: three times
# <answer 4.3a>
iou = true_positives / (true_positives + truth + predicted)
# </answer 4.3a>

# wrong: absent_is_0
# says: a class that occurs nowhere has no score
# <answer 4.3a>
union = truth + predicted - true_positives
iou = torch.where(union > 0, true_positives / union, 0.0)
# </answer 4.3a>

# wrong: absent_is_1
# says: a class that occurs nowhere has no score
# <answer 4.3a>
union = truth + predicted - true_positives
iou = torch.where(union > 0, true_positives / union, 1.0)
# </answer 4.3a>

# wrong: epsilon
# says: a small number is added
# <answer 4.3a>
iou = true_positives / (truth + predicted - true_positives + 1e-8)
# </answer 4.3a>

# wrong: smoothing
# says: a small number is added
# <answer 4.3a>
iou = (true_positives + 1e-6) / (truth + predicted - true_positives + 1e-6)
# </answer 4.3a>

# wrong: only_predicted_has_no_score
# says: the score 0
# <answer 4.3a>
iou = true_positives / (truth + predicted - true_positives)
iou = torch.where(truth > 0, iou, torch.nan)
# </answer 4.3a>

# wrong: absent_ones_cut_out
# says: a score for each class
# <answer 4.3a>
iou = true_positives / (truth + predicted - true_positives)
iou = iou[~iou.isnan()]
# </answer 4.3a>

# wrong: float32
# says: float32
# <answer 4.3a>
counts = torch.as_tensor(matrix).float()
both = counts.diagonal()
iou = both / (counts.sum(dim=0) + counts.sum(dim=1) - both)
# </answer 4.3a>

# wrong: micro
# says: micro average
# <answer 4.3b>
true_positives, truth, predicted = _totals(matrix)
union = (truth + predicted - true_positives).sum()
score = (true_positives.sum() / union).item() if union else 0.0
# </answer 4.3b>

# wrong: pixel_accuracy
# says: micro average
# <answer 4.3b>
score = pixel_accuracy(matrix)
# </answer 4.3b>

# wrong: frequency_weighted
# says: weighted by their pixels
# <answer 4.3b>
truth = matrix.sum(dim=1).double()
iou = iou_per_class(matrix).nan_to_num()
score = ((iou * truth).sum() / truth.sum()).item() if truth.sum() else 0.0
# </answer 4.3b>

# wrong: absent_counts_as_0
# says: counts as 0 here
# <answer 4.3b>
score = iou_per_class(matrix).nan_to_num().mean().item()
# </answer 4.3b>

# wrong: absent_counts_as_1
# says: counts as 1 here
# <answer 4.3b>
iou = iou_per_class(matrix)
score = iou.nan_to_num(1.0).mean().item() if matrix.sum() else 0.0
# </answer 4.3b>

# wrong: nan_in_the_mean
# says: is NaN
# <answer 4.3b>
iou = iou_per_class(matrix)
score = iou.mean().item() if matrix.sum() else 0.0
# </answer 4.3b>

# wrong: nanmean_of_nothing
# says: a mean of nothing is NaN
# <answer 4.3b>
score = iou_per_class(matrix).nanmean().item()
# </answer 4.3b>

# wrong: zeros_left_out
# says: with the score 0 are left out
# <answer 4.3b>
iou = iou_per_class(matrix)
valid = iou[iou > 0]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.3b>

# wrong: classes_of_the_truth_only
# says: only predicted is left out
# <answer 4.3b>
valid = iou_per_class(matrix)[matrix.sum(dim=1) > 0]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.3b>

# wrong: mean_f1_instead
# says: mean F1, not the mean IoU
# <answer 4.3b>
score = macro_f1(matrix)
# </answer 4.3b>

# wrong: a_tensor
# says: .item()
# <answer 4.3b>
iou = iou_per_class(matrix)
valid = iou[~iou.isnan()]
score = valid.mean() if len(valid) else 0.0
# </answer 4.3b>

# wrong: background_left_out
# says: class 0 is left out
# <answer 4.3b>
iou = iou_per_class(matrix)[1:]
valid = iou[~iou.isnan()]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.3b>

# wrong: over_all_pixels
# unlisted: all pixels
# <answer 4.3a>
iou = true_positives / truth.sum()
iou[truth + predicted == 0] = float("nan")
# </answer 4.3a>

# wrong: larger_for_the_union
# unlisted: larger
# <answer 4.3a>
iou = true_positives / torch.maximum(truth, predicted)
# </answer 4.3a>
