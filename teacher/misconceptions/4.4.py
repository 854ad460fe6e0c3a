# wrong: percent
# says: in percent
# <answer 4.4a>
accuracy = 100 * (true_positives.sum() / truth.sum()).item() if truth.sum() else 0.0
# </answer 4.4a>

# wrong: integer_division
# says: expected:
# <answer 4.4a>
total = int(matrix.sum())
accuracy = float(int(matrix.trace()) // total) if total else 0.0
# </answer 4.4a>

# wrong: rounded
# says: rounding is for printing
# <answer 4.4a>
accuracy = round((true_positives.sum() / truth.sum()).item(), 4) if truth.sum() else 0.0
# </answer 4.4a>

# wrong: an_int_for_nothing
# says: 0.0, a Python float
# <answer 4.4a>
accuracy = (true_positives.sum() / truth.sum()).item() if truth.sum() else 0
# </answer 4.4a>

# wrong: mean_recall_for_pixels
# says: this is the mean recall
# <answer 4.4a>
accuracy = mean_accuracy(matrix)
# </answer 4.4a>

# wrong: pixels_for_mean_recall
# says: the share of all pixels
# <answer 4.4b>
accuracy = pixel_accuracy(matrix)
# </answer 4.4b>

# wrong: precision
# says: this is the mean precision
# <answer 4.4b>
predicted = matrix.sum(dim=0).double()
present = predicted > 0
precision = true_positives[present] / predicted[present]
accuracy = precision.mean().item() if len(precision) else 0.0
# </answer 4.4b>

# wrong: absent_counts_as_0
# says: classes without target pixels count as 0
# <answer 4.4b>
accuracy = (true_positives / truth).nan_to_num().mean().item()
# </answer 4.4b>

# wrong: absent_counts_as_1
# says: classes without target pixels count as 1
# <answer 4.4b>
recall = (true_positives / truth).nan_to_num(1.0)
accuracy = recall.mean().item() if truth.sum() else 0.0
# </answer 4.4b>

# wrong: clamped
# says: classes without target pixels count as 0
# <answer 4.4b>
accuracy = (true_positives / truth.clamp(min=1)).mean().item()
# </answer 4.4b>

# wrong: only_predicted_counts_as_0
# says: only predicted count as 0
# <answer 4.4b>
predicted = matrix.sum(dim=0)
present = (truth + predicted) > 0
recall = true_positives[present] / truth[present].clamp(min=1)
accuracy = recall.mean().item() if len(recall) else 0.0
# </answer 4.4b>

# wrong: never_predicted_left_out
# says: never predicted are left out
# <answer 4.4b>
present = (truth > 0) & (matrix.sum(dim=0) > 0)
recall = true_positives[present] / truth[present]
accuracy = recall.mean().item() if len(recall) else 0.0
# </answer 4.4b>

# wrong: never_right_left_out
# says: without a right pixel are left out
# <answer 4.4b>
present = true_positives > 0
recall = true_positives[present] / truth[present]
accuracy = recall.mean().item() if len(recall) else 0.0
# </answer 4.4b>

# wrong: nan
# says: is NaN
# <answer 4.4b>
accuracy = (true_positives / truth).mean().item() if truth.sum() else 0.0
# </answer 4.4b>

# wrong: nanmean_of_nothing
# says: a mean of nothing is NaN
# <answer 4.4b>
accuracy = (true_positives / truth).nanmean().item()
# </answer 4.4b>

# wrong: pixels_of_nothing
# says: 0 / 0
# <answer 4.4a>
accuracy = (true_positives.sum() / truth.sum()).item()
# </answer 4.4a>

# wrong: epsilon
# says: add nothing to a denominator
# <answer 4.4a>
accuracy = (true_positives.sum() / (truth.sum() + 1e-6)).item()
# </answer 4.4a>

# wrong: true_negatives
# says: true negatives
# <answer 4.4b>
predicted = matrix.sum(dim=0).double()
total = truth.sum()
right = total - truth - predicted + 2 * true_positives
accuracy = (right / total).mean().item() if total else 0.0
# </answer 4.4b>

# wrong: true_negatives_in_pixels
# says: true negatives
# <answer 4.4a>
predicted = matrix.sum(dim=0).double()
total = truth.sum()
right = total - truth - predicted + 2 * true_positives
accuracy = (right / total).mean().item() if total else 0.0
# </answer 4.4a>

# wrong: entries_not_pixels
# says: the number of entries
# <answer 4.4a>
accuracy = true_positives.sum().item() / matrix.numel()
# </answer 4.4a>

# wrong: mean_of_the_diagonal
# says: the mean of the diagonal
# <answer 4.4a>
accuracy = true_positives.mean().item()
# </answer 4.4a>

# wrong: averaged_shares
# says: averaged over the classes
# <answer 4.4a>
accuracy = (true_positives / truth.sum()).mean().item() if truth.sum() else 0.0
# </answer 4.4a>

# wrong: errors
# says: the pixels that are wrong
# <answer 4.4a>
accuracy = 1 - (true_positives.sum() / truth.sum()).item() if truth.sum() else 0.0
# </answer 4.4a>

# wrong: sum_of_recalls
# says: a sum over the classes
# <answer 4.4b>
accuracy = (true_positives / truth).nansum().item()
# </answer 4.4b>

# wrong: union
# says: TP / (TP + FP + FN)
# <answer 4.4a>
total = truth.sum()
right = true_positives.sum()
accuracy = (right / (2 * total - right)).item() if total else 0.0
# </answer 4.4a>

# wrong: tensors
# says: .item()
# <answer 4.4a>
accuracy = true_positives.sum() / truth.sum() if truth.sum() else 0.0
# </answer 4.4a>

# wrong: tensor_of_mean
# says: .item()
# <answer 4.4b>
present = truth > 0
accuracy = (true_positives[present] / truth[present]).mean() if present.any() else 0.0
# </answer 4.4b>

# wrong: with_the_specificity
# unlisted: specificity | true negatives
# <answer 4.4b>
predicted, total = matrix.sum(dim=0).double(), truth.sum()
true_negatives = total - truth - predicted + true_positives
present = truth > 0
recall = true_positives[present] / truth[present]
specificity = (true_negatives / (total - truth))[present].nan_to_num(1.0)
accuracy = ((recall + specificity) / 2).mean().item() if len(recall) else 0.0
# </answer 4.4b>

# wrong: classes_not_pixels
# unlisted: classes
# <answer 4.4a>
right = (matrix.argmax(dim=1) == torch.arange(len(matrix)))[truth > 0]
accuracy = right.double().mean().item() if len(right) else 0.0
# </answer 4.4a>
