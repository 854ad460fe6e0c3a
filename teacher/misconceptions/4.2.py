# wrong: f2
# says: expected: [
# <answer 4.2a>
fn, fp = truth - true_positives, predicted - true_positives
f1 = 5 * true_positives / (5 * true_positives + 4 * fn + fp)
# </answer 4.2a>

# wrong: percent
# says: in percent
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = 100 * f1[~f1.isnan()]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.2b>

# wrong: rounded
# says: rounding is for printing
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = f1[~f1.isnan()]
score = round(valid.mean().item(), 3) if len(valid) else 0.0
# </answer 4.2b>

# wrong: crash_without_classes
# says: ask first whether anything is left
# <answer 4.2b>
values = [value for value in f1_per_class(matrix).tolist() if value == value]
score = sum(values) / len(values)
# </answer 4.2b>

# wrong: minus_one_for_absent
# says: a class that occurs nowhere has no score
# <answer 4.2a>
f1 = torch.where(truth + predicted > 0, 2 * true_positives / (truth + predicted), -1.0)
# </answer 4.2a>

# wrong: iou
# says: these are IoU
# <answer 4.2a>
f1 = true_positives / (truth + predicted - true_positives)
# </answer 4.2a>

# wrong: precision
# says: these are the precisions
# <answer 4.2a>
f1 = true_positives / predicted
# </answer 4.2a>

# wrong: recall
# says: these are the recalls
# <answer 4.2a>
f1 = true_positives / truth
# </answer 4.2a>

# wrong: factor_2_missing
# says: the factor 2 is missing
# <answer 4.2a>
f1 = true_positives / (truth + predicted)
# </answer 4.2a>

# wrong: tp_counted_again
# says: include TP already
# <answer 4.2a>
f1 = 2 * true_positives / (2 * true_positives + truth + predicted)
# </answer 4.2a>

# wrong: tp_missing_below
# says: 2 TP belongs into the denominator
# <answer 4.2a>
false_negatives = truth - true_positives
false_positives = predicted - true_positives
f1 = 2 * true_positives / (false_negatives + false_positives)
# </answer 4.2a>

# wrong: one_tp_below
# says: the denominator needs 2 TP
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted - true_positives)
# </answer 4.2a>

# wrong: absent_is_0
# says: a class that occurs nowhere has no score
# <answer 4.2a>
f1 = (2 * true_positives / (truth + predicted)).nan_to_num()
# </answer 4.2a>

# wrong: absent_is_1
# says: a class that occurs nowhere has no score
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted)
f1[f1.isnan()] = 1.0
# </answer 4.2a>

# wrong: epsilon
# says: a small number is added
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted + 1e-7)
# </answer 4.2a>

# wrong: smoothing
# says: a small number is added
# <answer 4.2a>
f1 = (2 * true_positives + 1e-6) / (truth + predicted + 1e-6)
# </answer 4.2a>

# wrong: clamped
# says: a class that occurs nowhere has no score
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted).clamp(min=1)
# </answer 4.2a>

# wrong: precision_and_recall
# says: the score 0
# <answer 4.2a>
precision, recall = true_positives / predicted, true_positives / truth
f1 = 2 * precision * recall / (precision + recall)
# </answer 4.2a>

# wrong: arithmetic_mean
# says: harmonic mean
# <answer 4.2a>
f1 = (true_positives / predicted + true_positives / truth) / 2
# </answer 4.2a>

# wrong: without_truth_no_score
# says: the score 0
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted)
f1[truth == 0] = float("nan")
# </answer 4.2a>

# wrong: zero_is_no_score
# says: the score 0
# <answer 4.2a>
f1 = 2 * true_positives / (truth + predicted)
f1[true_positives == 0] = float("nan")
# </answer 4.2a>

# wrong: absent_ones_cut_out
# says: a score for each class
# <answer 4.2a>
occurs = truth + predicted > 0
f1 = 2 * true_positives[occurs] / (truth + predicted)[occurs]
# </answer 4.2a>

# wrong: float32
# says: float32
# <answer 4.2a>
f1 = 2 * true_positives.float() / (truth.float() + predicted.float())
# </answer 4.2a>

# wrong: micro
# says: micro average
# <answer 4.2b>
true_positives, truth, predicted = _totals(matrix)
total = (truth + predicted).sum()
score = (2 * true_positives.sum() / total).item() if total else 0.0
# </answer 4.2b>

# wrong: weighted_by_pixels
# says: weighted by their pixels
# <answer 4.2b>
f1 = f1_per_class(matrix).nan_to_num()
truth = matrix.sum(dim=1).double()
score = ((f1 * truth).sum() / truth.sum()).item() if truth.sum() else 0.0
# </answer 4.2b>

# wrong: f1_of_the_means
# says: F1 of the mean precision
# <answer 4.2b>
true_positives, truth, predicted = _totals(matrix)
precision = (true_positives / predicted)[predicted > 0].mean()
recall = (true_positives / truth)[truth > 0].mean()
total = precision + recall
score = (2 * precision * recall / total).item() if total > 0 else 0.0
# </answer 4.2b>

# wrong: f1_of_the_means_with_zeros
# says: F1 of the mean precision
# <answer 4.2b>
true_positives, truth, predicted = _totals(matrix)
precision = (true_positives / predicted).nan_to_num().mean().item()
recall = (true_positives / truth).nan_to_num().mean().item()
score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
# </answer 4.2b>

# wrong: absent_counts_as_0
# says: counts as 0 here
# <answer 4.2b>
score = f1_per_class(matrix).nan_to_num().mean().item()
# </answer 4.2b>

# wrong: nan_in_the_mean
# says: is NaN
# <answer 4.2b>
f1 = f1_per_class(matrix)
score = f1.mean().item() if matrix.sum() else 0.0
# </answer 4.2b>

# wrong: nanmean_of_nothing
# says: 0.0
# <answer 4.2b>
score = f1_per_class(matrix).nanmean().item()
# </answer 4.2b>

# wrong: sum_over_k
# says: counts as 0 here
# <answer 4.2b>
score = f1_per_class(matrix).nansum().item() / len(matrix)
# </answer 4.2b>

# wrong: zeros_left_out
# says: with the score 0 are left out
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = f1[f1 > 0]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.2b>

# wrong: classes_of_the_truth_only
# says: only predicted is left out
# <answer 4.2b>
valid = f1_per_class(matrix)[matrix.sum(dim=1) > 0]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.2b>

# wrong: never_predicted_left_out
# says: never predicted is left out
# <answer 4.2b>
valid = f1_per_class(matrix)[matrix.sum(dim=0) > 0]
score = valid.mean().item() if len(valid) else 0.0
# </answer 4.2b>

# wrong: a_tensor
# says: .item()
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = f1[~f1.isnan()]
score = valid.mean() if len(valid) else 0.0
# </answer 4.2b>

# wrong: mean_iou_instead
# says: mean IoU, not the mean F1
# <answer 4.2b>
score = mean_iou(matrix)
# </answer 4.2b>

# wrong: median
# says: the median
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = f1[~f1.isnan()]
score = valid.median().item() if len(valid) else 0.0
# </answer 4.2b>

# wrong: sum
# says: this is the sum
# <answer 4.2b>
score = f1_per_class(matrix).nansum().item()
# </answer 4.2b>

# wrong: nothing_is_1
# says: 0.0, a Python float
# <answer 4.2b>
f1 = f1_per_class(matrix)
valid = f1[~f1.isnan()]
score = valid.mean().item() if len(valid) else 1.0
# </answer 4.2b>

# wrong: one_class_is_none
# says: expected: 1
# <answer 4.2b>
f1 = f1_per_class(matrix)
f1 = f1[~f1.isnan()]
score = f1.mean().item() if len(f1) > 1 else 0.0
# </answer 4.2b>

# wrong: geometric_mean
# unlisted: root | geometric
# <answer 4.2a>
f1 = torch.sqrt(true_positives / predicted * true_positives / truth)
f1 = torch.where((truth > 0) & (predicted > 0), f1, 0.0)
f1 = torch.where(truth + predicted > 0, f1, torch.nan)
# </answer 4.2a>

# wrong: true_negatives_too
# unlisted: true negatives
# <answer 4.2a>
total = truth.sum()
wrong = truth + predicted - 2 * true_positives
f1 = (total - wrong) / total
f1[truth + predicted == 0] = float("nan")
# </answer 4.2a>

# wrong: a_set_of_scores
# unlisted: equal scores | set
# <answer 4.2b>
values = {value for value in f1_per_class(matrix).tolist() if not math.isnan(value)}
score = sum(values) / len(values) if values else 0.0
# </answer 4.2b>
