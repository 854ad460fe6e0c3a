# wrong: no_factor
# says: the cross entropy without the factor
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: easy_pixels_count_more
# says: the factor is p_t^γ
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (-cross_entropy).exp() ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: gamma_as_a_factor
# says: γ is its power
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = self.gamma * (1 - (-cross_entropy).exp())
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: power_before_the_difference
# says: the factor is 1 - p_t^γ
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = 1 - (-cross_entropy).exp() ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: gamma_always_two
# says: γ is 2 whatever is asked for
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** 2
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: gamma_always_one
# says: γ is 1 whatever is asked for
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = 1 - (-cross_entropy).exp()
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: p_of_the_weighted_loss
# says: p_t is taken from the weighted cross entropy
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
weighted = weights * cross_entropy
factor = (1 - (-weighted).exp()) ** self.gamma
loss = ratio((factor * weighted).sum(), weights.sum())
# </answer 5.3>

# wrong: weight_inside_the_factor
# says: the factor has the weight inside it
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (weights * (1 - (-cross_entropy).exp())) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: focal_on_the_mean
# says: it was applied to the mean
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
mean = ratio((weights * cross_entropy).sum(), weights.sum())
loss = (1 - torch.exp(-mean)) ** self.gamma * mean
# </answer 5.3>

# wrong: focal_on_the_unweighted_mean
# says: it was applied to the mean
# <answer 5.3>
n = (target != self.ignore_index).sum()
mean = ratio(
    F.cross_entropy(logits, target.long(), ignore_index=self.ignore_index, reduction="sum"), n
)
loss = (1 - torch.exp(-mean)) ** self.gamma * mean
# </answer 5.3>

# wrong: focal_of_the_mean_probability
# says: it was applied to the mean
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = ratio(
    ((-cross_entropy).exp() * (target != self.ignore_index)).sum(),
    (target != self.ignore_index).sum(),
)
mean = ratio((weights * cross_entropy).sum(), weights.sum())
loss = (1 - p) ** self.gamma * mean
# </answer 5.3>

# wrong: factor_detached
# says: is detached
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()).detach() ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: factor_without_gradient
# says: is detached
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
with torch.no_grad():
    factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: divided_by_the_factor_too
# says: without the factor
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
w = weights * factor
loss = ratio((w * cross_entropy).sum(), w.sum())
# </answer 5.3>

# wrong: mean_over_valid_pixels
# says: the mean over the valid pixels
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), (target != self.ignore_index).sum())
# </answer 5.3>

# wrong: mean_over_all_pixels
# says: the mean over all pixels
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = (weights * factor * cross_entropy).mean()
# </answer 5.3>

# wrong: sum_of_the_pixels
# says: the sum over the pixels
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = (weights * factor * cross_entropy).sum()
# </answer 5.3>

# wrong: weights_forgotten
# says: the class weights do not take part
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
valid = target != self.ignore_index
loss = ratio((factor * cross_entropy * valid).sum(), valid.sum())
# </answer 5.3>

# wrong: weights_squared
# says: the weights are squared
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
weights = weights**2
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: weights_by_prediction
# says: not by the predicted one
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
if self.weights is not None:
    weights = self.weights[logits.argmax(1)] * (target != self.ignore_index)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: void_as_class_0
# says: void pixels are counted
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
weights = (torch.ones(logits.shape[1]) if self.weights is None else self.weights).to(logits.dtype)[
    class_ids
]
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: probability_of_the_prediction
# says: p_t is the true class's
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - logits.softmax(1).amax(1)) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: sigmoid_in_the_factor
# says: p_t is the softmax's
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = logits.sigmoid().gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - p) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: logits_in_the_factor
# says: the factor goes by the logit
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - logits.gather(1, class_ids.unsqueeze(1)).squeeze(1)) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: log_probability_in_the_factor
# says: the factor goes by log p_t
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 + cross_entropy) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: loss_as_the_factor
# says: the factor is of the cross entropy
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = cross_entropy**self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: factor_alone
# says: the factor stands without the cross entropy
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = ratio((weights * factor).sum(), weights.sum())
# </answer 5.3>

# wrong: power_on_the_loss_too
# says: power is on the cross entropy too
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio(
    (weights * ((1 - (-cross_entropy).exp()) * cross_entropy) ** self.gamma).sum(), weights.sum()
)
# </answer 5.3>

# wrong: factor_of_all_classes
# says: for each class and averaged
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = ((1 - logits.softmax(1)) ** self.gamma).mean(1)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: log_of_softmax
# says: log(softmax) is -inf
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio(
    (weights * (1 - p) ** self.gamma * torch.where(weights > 0, -p.log(), 0)).sum(), weights.sum()
)
# </answer 5.3>

# wrong: softmax_clamped
# says: kept away from 0
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
p = logits.softmax(1).gather(1, class_ids.unsqueeze(1)).squeeze(1).clamp(1e-7, 1 - 1e-7)
loss = ratio((weights * (1 - p) ** self.gamma * -p.log()).sum(), weights.sum())
# </answer 5.3>

# wrong: softmax_over_the_batch
# says: the softmax is over axis 0
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ce = -F.log_softmax(logits, dim=0).gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * (1 - torch.exp(-ce)) ** self.gamma * ce).sum(), weights.sum())
# </answer 5.3>

# wrong: view_without_permute
# says: without permute
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
flat = logits.reshape(-1, logits.shape[1])
ce = F.cross_entropy(flat, class_ids.flatten(), reduction="none").view_as(weights)
loss = ratio((weights * (1 - torch.exp(-ce)) ** self.gamma * ce).sum(), weights.sum())
# </answer 5.3>

# wrong: image_means
# says: the images' means
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
focal = weights * (1 - (-cross_entropy).exp()) ** self.gamma * cross_entropy
loss = torch.stack([ratio(f.sum(), w.sum()) for f, w in zip(focal, weights)]).mean()
# </answer 5.3>

# wrong: nothing_counted_is_nan
# says: 0 / 0: the sum of the weights is 0 here
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = (weights * factor * cross_entropy).sum() / weights.sum()
# </answer 5.3>

# wrong: target_changed_in_place
# says: writes into the caller's tensor
# <answer 5.3>
target[target == self.ignore_index] = 0
ce = F.cross_entropy(logits, target.long(), reduction="none")
loss = ratio((weights * (1 - torch.exp(-ce)) ** self.gamma * ce).sum(), weights.sum())
# </answer 5.3>

# wrong: squeezed_everything
# says: use squeeze(1)
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze()
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: divided_by_gamma_zero
# says: expected:
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma / max(self.gamma, 1)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: gamma_plus_one
# says: expected:
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** (self.gamma + 1)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: p_detached_in_the_loss
# says: the gradient for the logits
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
cross_entropy = cross_entropy.detach()
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: probability_rounded
# says: stay in float32
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp().half().to(logits.dtype)) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: gamma_as_an_integer
# says: expected:
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** int(self.gamma)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: sign_forgotten
# says: the sign is turned round
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = -ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: a_number
# says: leave .item() and float() out
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
factor = (1 - (-cross_entropy).exp()) ** self.gamma
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum()).item()
# </answer 5.3>

# wrong: means_multiplied
# says: applied to the mean
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = torch.exp(-cross_entropy)
factor = ratio((weights * (1 - p) ** self.gamma).sum(), weights.sum())
loss = factor * ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: hard_pixels_only
# unlisted: easy | hard
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = torch.exp(-cross_entropy)
factor = torch.where(p > 0.5, 0.0, (1 - p) ** self.gamma)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# wrong: exponential_of_gamma
# unlisted: exp | power
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = torch.exp(-cross_entropy)
factor = torch.exp(-self.gamma * p)
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>
