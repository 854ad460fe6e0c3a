# wrong: added_inside_as_well
# says: of this batch alone
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
counts = self.matrix + counts
# </answer 4.1>

# wrong: set_instead_of_added
# says: every pixel is counted twice
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
self.matrix = counts.view(self.num_classes, self.num_classes)
counts = self.matrix
# </answer 4.1>

# wrong: wrong_base
# says: expected: matrix
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * (self.num_classes - 1) + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: one_turned
# says: expected: matrix
# <answer 4.1>
t, p = truth.flatten(), guess.transpose(1, 2).flatten()
valid = (t != self.ignore_index) & (p < self.num_classes)
pairs = t[valid] * self.num_classes + p[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: weights_in_floats
# says: whole numbers
# <answer 4.1>
valid = (truth != self.ignore_index).flatten()
pairs = (truth * self.num_classes + guess).flatten() * valid
pairs = pairs.clamp(0, self.num_classes**2 - 1)
counts = torch.bincount(pairs, weights=valid.float(), minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: wrong_pixels_only
# says: only the pixels that are wrong
# <answer 4.1>
valid = (truth != self.ignore_index) & (truth != guess)
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: transposed
# says: rows and columns are swapped
# <answer 4.1>
valid = truth != self.ignore_index
pairs = guess[valid] * self.num_classes + truth[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: transposed_at_the_end
# says: rows and columns are swapped
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes).T
# </answer 4.1>

# wrong: repeated_indices
# says: each pair is counted once at most
# <answer 4.1>
valid = truth != self.ignore_index
counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
counts[truth[valid], guess[valid]] += 1
# </answer 4.1>

# wrong: void_not_left_out
# says: void pixels must be out of target and predictions
# <answer 4.1>
pairs = (truth * self.num_classes + guess).flatten()
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: void_cut_off_at_the_end
# says: void
# <answer 4.1>
pairs = (truth * self.num_classes + guess).flatten() % self.num_classes**2
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: void_by_the_prediction
# says: void
# <answer 4.1>
valid = guess != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts[: self.num_classes**2].view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: void_as_class_0
# says: void pixels are counted as class 0
# <answer 4.1>
t = torch.where(truth == self.ignore_index, 0, truth).clamp(0, self.num_classes - 1)
p = guess.clamp(0, self.num_classes - 1)
pairs = (t * self.num_classes + p).flatten()
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: void_as_last_class
# says: void pixels are counted as the last class
# <answer 4.1>
t = truth.clamp(0, self.num_classes - 1)
p = guess.clamp(0, self.num_classes - 1)
pairs = (t * self.num_classes + p).flatten()
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: always_255
# says: ignore_index
# <answer 4.1>
valid = truth != 255
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: by_the_number_of_classes
# says: is not asked
# <answer 4.1>
valid = (truth >= 0) & (truth < self.num_classes)
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: ignored_predictions_too
# says: not by the prediction
# <answer 4.1>
valid = (truth != self.ignore_index) & (guess != self.ignore_index)
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: minlength_missing
# says: minlength
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs).view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: minlength_k
# says: minlength
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: whole_matrix_again
# says: of this batch alone
# <answer 4.1>
counts = self.matrix.clone()
for t, p in zip(truth.flatten().tolist(), guess.flatten().tolist(), strict=True):
    if t != self.ignore_index:
        counts[t, p] += 1
# </answer 4.1>

# wrong: floats
# says: whole numbers
# <answer 4.1>
valid = truth != self.ignore_index
t = torch.nn.functional.one_hot(truth[valid], self.num_classes).float()
p = torch.nn.functional.one_hot(guess[valid], self.num_classes).float()
counts = t.T @ p
# </answer 4.1>

# wrong: shares_of_the_rows
# says: divided by their sums
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
counts = (counts / counts.sum(dim=1, keepdim=True)).nan_to_num()
# </answer 4.1>

# wrong: first_image_only
# says: the first image
# <answer 4.1>
valid = truth[0] != self.ignore_index
pairs = truth[0][valid] * self.num_classes + guess[0][valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: right_pixels_only
# says: only the pixels that are right
# <answer 4.1>
valid = (truth != self.ignore_index) & (truth == guess)
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: class_0_left_out
# says: class 0 is left out
# <answer 4.1>
valid = (truth != self.ignore_index) & (truth > 0)
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: writes_into_the_target
# says: writes into the tensors
# <answer 4.1>
valid = truth != self.ignore_index
truth[~valid] = 0
guess[~valid] = 0
pairs = (truth * self.num_classes + guess).flatten()
counts = torch.bincount(pairs, weights=valid.flatten().double(), minlength=self.num_classes**2)
counts = counts.long().view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: truth_against_itself
# says: the target against itself
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + truth[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: bytes
# says: uint8
# <answer 4.1>
valid = target != self.ignore_index
pairs = target[valid] * self.num_classes + predictions[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)[: self.num_classes**2]
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: per_image_mean
# says: divided by the number of images
# <answer 4.1>
valid = truth != self.ignore_index
pairs = truth[valid] * self.num_classes + guess[valid]
counts = torch.bincount(pairs, minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes) / len(truth)
# </answer 4.1>

# wrong: half_precision_in_between
# says: half precision cannot count so far
# <answer 4.1>
valid = truth != self.ignore_index
t = torch.nn.functional.one_hot(truth[valid], self.num_classes).bfloat16()
g = torch.nn.functional.one_hot(guess[valid], self.num_classes).bfloat16()
counts = (t.T @ g).long()
# </answer 4.1>

# wrong: last_image_only
# says: only the last image
# <answer 4.1>
for t, p in zip(truth, guess, strict=True):
    valid = t != self.ignore_index
    pairs = t[valid] * self.num_classes + p[valid]
    counts = torch.bincount(pairs, minlength=self.num_classes**2)
    counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: void_multiplied_away
# unlisted: class 0 | [0, 0]
# <answer 4.1>
valid = truth != self.ignore_index
pairs = (truth * self.num_classes + guess) * valid
counts = torch.bincount(pairs.flatten(), minlength=self.num_classes**2)
counts = counts.view(self.num_classes, self.num_classes)
# </answer 4.1>

# wrong: either_instead_of_both
# unlisted: both
# <answer 4.1>
valid = truth != self.ignore_index
t, p = truth[valid], guess[valid]
counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
for i in range(self.num_classes):
    for j in range(self.num_classes):
        counts[i, j] = ((t == i) | (p == j)).sum()
# </answer 4.1>

# wrong: both_ways
# unlisted: both ways | symmetric
# <answer 4.1>
counts = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
for t, p in zip(truth.flatten().tolist(), guess.flatten().tolist(), strict=True):
    if t != self.ignore_index:
        counts[t, p] += 1
        if t != p:
            counts[p, t] += 1
# </answer 4.1>
