# wrong: mean_over_valid_pixels
# says: the mean over the valid pixels
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
valid = target != self.ignore_index
loss = ratio((weights * cross_entropy).sum(), valid.sum())
# </answer 5.2>

# wrong: mean_over_all_pixels
# says: the mean over all pixels
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = (weights * cross_entropy).mean()
# </answer 5.2>

# wrong: sum_of_the_pixels
# says: the sum over the pixels
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = (weights * cross_entropy).sum()
# </answer 5.2>

# wrong: sum_over_images
# says: the number of images
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = (weights * cross_entropy).sum() / len(target)
# </answer 5.2>

# wrong: weights_forgotten
# says: the class weights do not take part
# <answer 5.2>
loss = F.cross_entropy(logits, target.long(), ignore_index=self.ignore_index, reduction="sum")
loss = ratio(loss, (target != self.ignore_index).sum())
# </answer 5.2>

# wrong: weights_in_the_denominator_only
# says: in the denominator alone
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((cross_entropy * (weights > 0)).sum(), weights.sum())
# </answer 5.2>

# wrong: weights_by_prediction
# says: not by the predicted one
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
if self.weights is not None:
    weights = self.weights[logits.argmax(1)] * (target != self.ignore_index)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: weights_twice
# says: every pixel has its weight twice
# <answer 5.2>
sum_ = F.cross_entropy(
    logits,
    target.long(),
    None if self.weights is None else self.weights.to(logits.dtype),
    ignore_index=self.ignore_index,
    reduction="none",
)
loss = ratio((weights * sum_).sum(), weights.sum())
# </answer 5.2>

# wrong: weights_squared
# says: the weights are squared
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
weights = weights**2
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: weights_on_logits
# says: the weights multiply the logits
# <answer 5.2>
if self.weights is not None:
    logits = logits * self.weights[None, :, None, None]
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: divided_by_class_weights
# says: the sum of the K class weights
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio(
    (weights * cross_entropy).sum(),
    (torch.ones(logits.shape[1]) if self.weights is None else self.weights).sum(),
)
# </answer 5.2>

# wrong: void_as_class_0
# says: void pixels are counted as class 0
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
weights = (torch.ones(logits.shape[1]) if self.weights is None else self.weights).to(logits.dtype)[
    class_ids
]
loss = (weights * cross_entropy).sum() / weights.sum()
# </answer 5.2>

# wrong: void_in_the_denominator
# says: void ones too
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
all_weights = (torch.ones(logits.shape[1]) if self.weights is None else self.weights).to(
    logits.dtype
)[class_ids]
loss = (weights * cross_entropy).sum() / all_weights.sum()
# </answer 5.2>

# wrong: void_is_always_255
# says: ignore_index=1
# <answer 5.2>
class_ids = torch.where(target == 255, 0, target.long()).clamp(max=logits.shape[1] - 1)
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
w = torch.ones(logits.shape[1]) if self.weights is None else self.weights
weights = w.to(logits.dtype)[class_ids] * (target != 255)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: image_means
# says: the images' means
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
sums = (weights * cross_entropy).sum((1, 2))
loss = torch.stack([ratio(n, d) for n, d in zip(sums, weights.sum((1, 2)))]).mean()
# </answer 5.2>

# wrong: class_means
# says: the classes' means
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
means = []
for k in range(logits.shape[1]):
    if (target == k).any():
        means.append(cross_entropy[target == k].mean())
loss = torch.stack(means).mean() if means else (logits * 0).sum()
# </answer 5.2>

# wrong: log_of_softmax
# says: log(softmax) is -inf
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1).gather(1, class_ids.unsqueeze(1)).squeeze(1)
ce = torch.where(weights > 0, -p.log(), 0.0)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: softmax_clamped
# says: kept away from 0
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * -p.clamp(min=1e-7).log()).sum(), weights.sum())
# </answer 5.2>

# wrong: softmax_plus_epsilon
# says: kept away from 0
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * -(p + 1e-12).log()).sum(), weights.sum())
# </answer 5.2>

# wrong: exponentials_overflow
# says: log(softmax) is -inf
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
true = logits.gather(1, class_ids.unsqueeze(1)).squeeze(1)
ce = logits.exp().sum(1).log() - true
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: softmax_twice
# says: the softmax is taken twice
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ce = F.cross_entropy(logits.softmax(1), class_ids, reduction="none")
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: softmax_over_the_batch
# says: the softmax is over axis 0
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=0)
ce = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: softmax_over_the_row
# says: the softmax is over axis 3
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=-1)
ce = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: view_without_permute
# says: without permute
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
flat = logits.reshape(-1, logits.shape[1])
ce = F.cross_entropy(flat, class_ids.flatten(), reduction="none").view_as(weights)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: sigmoid
# says: a sigmoid stands for the softmax
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ce = -F.logsigmoid(logits).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: binary_cross_entropy
# says: a sigmoid for each class
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
hot = F.one_hot(class_ids, logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
ce = F.binary_cross_entropy_with_logits(logits, hot, reduction="none").sum(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: without_a_logarithm
# says: without a logarithm
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1)
loss = ratio((weights * F.nll_loss(p, class_ids, reduction="none")).sum(), weights.sum())
# </answer 5.2>

# wrong: without_a_softmax
# says: without a softmax
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ce = F.nll_loss(logits, class_ids, reduction="none")
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: sign_forgotten
# says: the sign is turned round
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, 1).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * log_p).sum(), weights.sum())
# </answer 5.2>

# wrong: logarithm_of_base_two
# says: not the natural one
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum()) / np.log(2)
# </answer 5.2>

# wrong: cut_off_from_the_logits
# says: cut off from the logits
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits.detach(), dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: a_number
# says: leave .item() and float() out
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum()).item()
# </answer 5.2>

# wrong: a_new_tensor
# says: cut off from the logits
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = torch.tensor(ratio((weights * cross_entropy).sum(), weights.sum()).item())
# </answer 5.2>

# wrong: not_reduced
# says: one number for the whole batch
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = weights * cross_entropy / weights.sum().clamp(min=1e-9)
# </answer 5.2>

# wrong: nothing_counted_is_nan
# says: 0 / 0: the sum of the weights is 0 here
# <answer 5.2>
weight = None if self.weights is None else self.weights.to(logits.dtype)
loss = F.cross_entropy(logits, target.long(), weight, ignore_index=self.ignore_index)
# </answer 5.2>

# wrong: nothing_counted_is_a_constant
# says: cut off from the logits
# <answer 5.2>
if weights.sum() == 0:
    return torch.tensor(0.0)
weight = None if self.weights is None else self.weights.to(logits.dtype)
loss = F.cross_entropy(logits, target.long(), weight, ignore_index=self.ignore_index)
# </answer 5.2>

# wrong: nothing_counted_only_void
# says: 0 / 0: the sum of the weights is 0 here
# <answer 5.2>
if (target == self.ignore_index).all():
    return (logits * 0).sum()
weight = None if self.weights is None else self.weights.to(logits.dtype)
loss = F.cross_entropy(logits, target.long(), weight, ignore_index=self.ignore_index)
# </answer 5.2>

# wrong: denominator_at_least_one
# says: the factor falls out
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = (weights * cross_entropy).sum() / weights.sum().clamp(min=1.0)
# </answer 5.2>

# wrong: target_changed_in_place
# says: writes into the caller's tensor
# <answer 5.2>
target[target == self.ignore_index] = 0
log_p = F.log_softmax(logits, dim=1)
ce = -log_p.gather(1, target.long().unsqueeze(1)).squeeze(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: squeezed_everything
# says: use squeeze(1)
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze()
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: half_precision
# says: stay in float32
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits.half().float(), dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: void_as_the_last_class
# says: void pixels are counted as class K - 1
# <answer 5.2>
class_ids = target.long().clamp(max=logits.shape[1] - 1)
w = torch.ones(logits.shape[1]) if self.weights is None else self.weights
weights = w.to(logits.dtype)[class_ids]
ce = F.cross_entropy(logits, class_ids, reduction="none")
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: class_0_left_out
# says: class 0 is left out
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
weights = weights * (target > 0)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: normalised_class_weights
# says: times the mean of the K class weights
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
w = (torch.ones(logits.shape[1]) if self.weights is None else self.weights).mean()
loss = ratio((weights / w * cross_entropy).sum(), (target != self.ignore_index).sum())
# </answer 5.2>

# wrong: logits_clamped
# says: kept away from 0
# <answer 5.2>
logits = logits.clamp(-50, 50)
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: not_a_number_hidden
# says: expected:
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = logits.softmax(1).log().nan_to_num()
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: smoothed_labels
# says: the labels are smoothed
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ce = F.cross_entropy(logits, class_ids, reduction="none", label_smoothing=0.1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: predicted_class
# says: this is the predicted class's cross entropy
# <answer 5.2>
ce = -F.log_softmax(logits, dim=1).amax(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: all_classes
# says: not the true one alone
# <answer 5.2>
ce = -F.log_softmax(logits, dim=1).sum(1)
loss = ratio((weights * ce).sum(), weights.sum())
# </answer 5.2>

# wrong: one_maximum_for_all_pixels
# says: one maximum was subtracted
# <answer 5.2>
z = logits - logits.max()
ids = torch.where(target == self.ignore_index, 0, target.long())
cross_entropy = z.exp().sum(1).log() - z.gather(1, ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: weighted_class_means
# says: the classes' means
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
means, total = logits.sum() * 0, 0.0
for k in range(logits.shape[1]):
    mine = target == k
    if k != self.ignore_index and mine.any():
        w = 1.0 if self.weights is None else self.weights[k].item()
        means = means + w * cross_entropy[mine].mean()
        total += w
loss = means / total if total > 0 else means
# </answer 5.2>

# wrong: log_p_viewed_without_permute
# unlisted: permute | mixed
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1).reshape(-1, logits.shape[1])
cross_entropy = -log_p[torch.arange(len(log_p)), class_ids.flatten()].view_as(weights)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# wrong: maximum_subtracted_once
# unlisted: maximum
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
top = logits.amax(dim=1, keepdim=True)
true = logits.gather(1, class_ids.unsqueeze(1)).squeeze(1)
cross_entropy = (logits - top).exp().sum(1).log() - true
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>
