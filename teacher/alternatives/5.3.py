# right: as_the_formula
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
p = torch.exp(-cross_entropy)
loss = ratio((weights * (1 - p) ** self.gamma * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# right: softmax_for_the_factor
# <answer 5.3>
ids = target.long() * (target != self.ignore_index)
p = logits.softmax(1).gather(1, ids[:, None])[:, 0]
cross_entropy = F.cross_entropy(logits, ids, reduction="none")
focal = (1 - p).pow(self.gamma) * cross_entropy
total = weights.sum()
loss = (focal * weights).sum() / total if total > 0 else focal.sum() * 0
# </answer 5.3>

# right: ignored_pixels_of_pytorch
# <answer 5.3>
cross_entropy = F.cross_entropy(
    logits, target.long(), ignore_index=self.ignore_index, reduction="none"
)
p = (-cross_entropy).exp()
loss = ratio((weights * (1 - p) ** self.gamma * cross_entropy).sum(), weights.sum())
# </answer 5.3>

# right: one_hot
# <answer 5.3>
num_classes = logits.shape[1]
valid = target != self.ignore_index
hot = F.one_hot(torch.where(valid, target.long(), 0), num_classes).movedim(-1, 1)
log_p = logits.log_softmax(1)
focal = -((1 - log_p.exp()) ** self.gamma * log_p * hot).sum(1)
loss = ratio((weights * focal).sum(), weights.sum())
# </answer 5.3>

# right: valid_pixels_only
# <answer 5.3>
valid = target != self.ignore_index
flat = logits.permute(0, 2, 3, 1)[valid]
ids, w = target[valid].long(), weights[valid]
log_p = flat.log_softmax(1).gather(1, ids[:, None]).squeeze(1)
p = log_p.exp()
loss = ratio(-(w * (1 - p) ** self.gamma * log_p).sum(), w.sum())
# </answer 5.3>

# right: sum_of_the_other_probabilities
# <answer 5.3>
ids = torch.where(target == self.ignore_index, 0, target.long())[:, None]
log_p = logits.log_softmax(1)
others = log_p.exp().scatter(1, ids, 0.0).sum(1)
loss = ratio(-(weights * others**self.gamma * log_p.gather(1, ids)[:, 0]).sum(), weights.sum())
# </answer 5.3>

# right: class_by_class
# <answer 5.3>
log_p = F.log_softmax(logits, dim=1)
numerator, denominator = 0.0 * logits.sum(), torch.zeros((), dtype=logits.dtype)
for k in range(logits.shape[1]):
    mine = (target == k) & (target != self.ignore_index)
    factor = (1 - log_p[:, k][mine].exp()) ** self.gamma
    w = 1.0 if self.weights is None else float(self.weights[k])
    numerator = numerator - w * (factor * log_p[:, k][mine]).sum()
    denominator = denominator + w * mine.sum()
loss = ratio(numerator, denominator)
# </answer 5.3>

# right: logsumexp_of_the_others
# <answer 5.3>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
ids = class_ids[:, None]
everything = logits.logsumexp(1)
others = logits.scatter(1, ids, -1e30).logsumexp(1)
factor = torch.exp(self.gamma * (others - everything))  # 1 - p_t = Σ others / Σ all
cross_entropy = everything - logits.gather(1, ids)[:, 0]
loss = ratio((weights * factor * cross_entropy).sum(), weights.sum())
# </answer 5.3>
