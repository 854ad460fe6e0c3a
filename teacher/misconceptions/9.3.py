# wrong: void_counted
# says: void pixels are counted in FP
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = probabilities.sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: absent_are_perfect
# says: absent classes count as perfect
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
losses = torch.where(counts > 0, 1 - index, 0)
weights = torch.ones_like(losses) if class_weights is None else class_weights
loss = (weights * losses).sum() / weights.sum()
# </answer 9.3>

# wrong: absent_are_missed
# says: absent classes count as missed altogether
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
weights = torch.ones_like(index) if class_weights is None else class_weights
loss = (weights * (1 - index)).sum() / weights.sum()
# </answer 9.3>

# wrong: image_by_image
# says: the mean of the images' losses
# <answer 9.3>
losses = []
for p, y, is_valid in zip(probabilities, truth, valid, strict=True):
    n = y.sum(dim=(1, 2))
    hits = (p * y).sum(dim=(1, 2))
    too_much = (p * is_valid).sum(dim=(1, 2)) - hits
    index = ratio(hits, hits + alpha * too_much + beta * (n - hits))
    losses.append(mean_over_classes(1 - index, n, class_weights))
loss = torch.stack(losses).mean()
# </answer 9.3>

# wrong: image_and_class
# says: the mean of the images' losses
# <answer 9.3>
n = truth.sum(dim=(2, 3))
hits = (probabilities * truth).sum(dim=(2, 3))
too_much = (probabilities * valid).sum(dim=(2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (n - hits))
loss = (1 - index).mean()
# </answer 9.3>

# wrong: smoothed
# says: smoothing changes the value
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = (hits + 1) / (hits + alpha * too_much + beta * (counts - hits) + 1)
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: smoothed_dice
# says: smoothing changes the value
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
index = (2 * hits + 1) / ((probabilities * valid).sum(dim=(0, 2, 3)) + counts + 1)
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: squares_below
# says: squared in the denominator
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
below = (probabilities**2 * valid).sum(dim=(0, 2, 3)) + counts
loss = mean_over_classes(1 - ratio(2 * hits, below), counts, class_weights)
# </answer 9.3>

# wrong: alpha_and_beta_ignored
# says: α and β are ignored
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
predicted = (probabilities * valid).sum(dim=(0, 2, 3))
loss = mean_over_classes(1 - ratio(2 * hits, predicted + counts), counts, class_weights)
# </answer 9.3>

# wrong: alpha_and_beta_exchanged
# says: α and β are exchanged
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + beta * too_much + alpha * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: iou
# says: this is the IoU's
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
union = (probabilities * valid).sum(dim=(0, 2, 3)) + counts - hits
loss = mean_over_classes(1 - ratio(hits, union), counts, class_weights)
# </answer 9.3>

# wrong: factor_2_missing
# says: the factor 2 is missing
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
below = (probabilities * valid).sum(dim=(0, 2, 3)) + counts
loss = mean_over_classes(1 - ratio(hits, below), counts, class_weights)
# </answer 9.3>

# wrong: index_not_loss
# says: the loss is 1 - index
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(index, counts, class_weights)
# </answer 9.3>

# wrong: all_classes_together
# says: each class has a ratio of its own
# <answer 9.3>
hits = (probabilities * truth).sum()
too_much = (probabilities * valid).sum() - hits
loss = 1 - ratio(hits, hits + alpha * too_much + beta * (counts.sum() - hits))
# </answer 9.3>

# wrong: hard_predictions
# says: predictions are counted hard
# <answer 9.3>
guess = F.one_hot(probabilities.argmax(dim=1), probabilities.shape[1]).movedim(-1, 1)
hits = (guess * truth).sum(dim=(0, 2, 3)).to(logits.dtype)
too_much = (guess * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights) + 0 * logits.sum()
# </answer 9.3>

# wrong: class_weights_ignored
# says: the class weights take no part
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, None)
# </answer 9.3>

# wrong: background_left_out
# says: class 0 is left out
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
rest = None if class_weights is None else class_weights[1:]
loss = mean_over_classes(1 - index[1:], counts[1:], rest)
# </answer 9.3>

# wrong: nothing_over_nothing
# says: 0 / 0
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = hits / (hits + alpha * too_much + beta * (counts - hits))
weights = torch.ones_like(index) if class_weights is None else class_weights.to(index.dtype)
here = counts > 0
loss = (weights * (1 - index))[here].sum() / weights[here].sum()
# </answer 9.3>

# wrong: the_others_probability
# says: FP is Σ 1 - p over the other pixels
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = ((1 - probabilities) * (valid & ~truth)).sum(dim=(0, 2, 3))
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: twice_tp_and_half_the_rest
# says: TP counts twice, but α and β stay as they are
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(2 * hits, 2 * hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: logarithm_of_the_index
# says: no logarithm is taken
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(-index.log(), counts, class_weights)
# </answer 9.3>

# wrong: missed_everywhere
# says: FN is Σ 1 - p over all valid pixels
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
missed = ((1 - probabilities) * valid).sum(dim=(0, 2, 3))
index = ratio(hits, hits + alpha * too_much + beta * missed)
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: a_plain_number
# says: cut it off from the logits
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights).item()
# </answer 9.3>

# wrong: one_number_for_each_class
# says: the mean over the classes is missing
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
loss = 1 - ratio(hits, hits + alpha * too_much + beta * (counts - hits))
# </answer 9.3>

# wrong: plain_mean_of_all_classes
# says: absent classes
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
loss = (1 - ratio(hits, hits + alpha * too_much + beta * (counts - hits))).mean()
# </answer 9.3>

# wrong: only_decided_pixels
# unlisted: argmax | decided
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
is_largest = probabilities == probabilities.amax(dim=1, keepdim=True)
too_much = (probabilities * (valid & ~truth & is_largest)).sum(dim=(0, 2, 3))
index = ratio(hits, hits + alpha * too_much + beta * (counts - hits))
loss = mean_over_classes(1 - index, counts, class_weights)
# </answer 9.3>

# wrong: generalised_dice
# unlisted: weights | size of
# <answer 9.3>
hits = (probabilities * truth).sum(dim=(0, 2, 3))
too_much = (probabilities * valid).sum(dim=(0, 2, 3)) - hits
weights = ratio(torch.ones_like(hits), counts.to(hits.dtype) ** 2) * (counts > 0)
if class_weights is not None:
    weights = weights * class_weights
below = hits + alpha * too_much + beta * (counts - hits)
present = (counts > 0).any().to(hits.dtype)
loss = present - ratio((weights * hits).sum(), (weights * below).sum())
# </answer 9.3>
