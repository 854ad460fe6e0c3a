# right: as_the_formula
# <answer 9.3>
axes = (0, 2, 3)
others = valid & ~truth
true_positives = (probabilities * truth).sum(axes)
false_positives = (probabilities * others).sum(axes)
false_negatives = ((1 - probabilities) * truth).sum(axes)
below = true_positives + alpha * false_positives + beta * false_negatives
loss = mean_over_classes(1 - ratio(true_positives, below), counts, class_weights)
# </answer 9.3>

# right: class_by_class
# <answer 9.3>
numerator, denominator = 0 * logits.sum(), torch.zeros((), dtype=logits.dtype)
for k in range(logits.shape[1]):
    if counts[k] == 0:
        continue
    p, y = probabilities[:, k][valid[:, 0]], truth[:, k][valid[:, 0]]
    tp, fp, fn = p[y].sum(), p[~y].sum(), (1 - p[y]).sum()
    w = 1.0 if class_weights is None else class_weights[k].item()
    numerator = numerator + w * (1 - ratio(tp, tp + alpha * fp + beta * fn))
    denominator = denominator + w
loss = ratio(numerator, denominator)
# </answer 9.3>

# right: masked_and_smoothed_a_little
# <answer 9.3>
p, y = probabilities.masked_fill(~valid, 0).transpose(0, 1).flatten(1), truth.transpose(0, 1)
y = y.flatten(1).to(p.dtype)
hits = (p * y).sum(1)
index = hits / (hits + alpha * (p.sum(1) - hits) + beta * (y.sum(1) - hits)).clamp(min=1e-12)
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# right: einsum
# <answer 9.3>
p, y = probabilities * valid, truth.to(probabilities.dtype)
hits = torch.einsum("bkhw,bkhw->k", p, y)
over = ratio(hits, (1 - alpha - beta) * hits + alpha * p.sum((0, 2, 3)) + beta * counts)
loss = mean_over_classes(1 - over, counts, class_weights)
# </answer 9.3>

# right: soft_confusion_matrix
# <answer 9.3>
y, p = truth.movedim(1, 0).flatten(1), probabilities.movedim(1, 0).flatten(1)
matrix = y.to(p.dtype) @ p.T  # (K, K): truth in rows
hits = matrix.diagonal()
below = hits + alpha * (matrix.sum(dim=0) - hits) + beta * (matrix.sum(dim=1) - hits)
loss = mean_over_classes(1 - ratio(hits, below), counts, class_weights)
# </answer 9.3>
