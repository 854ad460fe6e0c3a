# right: cross_entropy_of_pytorch
# <answer 5.2>
weight = None if self.weights is None else self.weights.to(logits.dtype)
total = F.cross_entropy(
    logits, target.long(), weight, ignore_index=self.ignore_index, reduction="sum"
)
loss = ratio(total, weights.sum())
# </answer 5.2>

# right: cross_entropy_in_float32
# <answer 5.2>
if weights.sum() == 0:
    return 0.0 * logits.sum()
loss = F.cross_entropy(logits, target.long(), self.weights, ignore_index=self.ignore_index)
# </answer 5.2>

# right: means_over_all_pixels
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits, dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).mean(), weights.mean())
# </answer 5.2>

# right: in_double_precision
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
log_p = F.log_softmax(logits.double(), dim=1)
cross_entropy = -log_p.gather(1, class_ids.unsqueeze(1)).squeeze(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum()).float()
# </answer 5.2>

# right: cross_entropy_per_pixel
# <answer 5.2>
void = target == self.ignore_index
per_pixel = F.cross_entropy(logits, target.long().masked_fill(void, 0), reduction="none")
loss = ratio(torch.sum(per_pixel * weights), torch.sum(weights))
# </answer 5.2>

# right: one_hot
# <answer 5.2>
num_classes = logits.shape[1]
void = target == self.ignore_index
hot = F.one_hot(target.long().masked_fill(void, 0), num_classes).permute(0, 3, 1, 2)
cross_entropy = -(hot * logits.log_softmax(1)).sum(1)
loss = ratio((weights * cross_entropy).sum(), weights.sum())
# </answer 5.2>

# right: logsumexp
# <answer 5.2>
void = target == self.ignore_index
ids = target.long().masked_fill(void, 0)
true_logits = torch.take_along_dim(logits, ids[:, None], dim=1)[:, 0]
cross_entropy = torch.logsumexp(logits, dim=1) - true_logits
total = weights.sum()
if total > 0:
    loss = (weights * cross_entropy).sum() / total
else:
    loss = (logits * 0.0).sum()
# </answer 5.2>

# right: flat_and_valid_only
# <answer 5.2>
valid = (target != self.ignore_index).flatten()
flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])[valid]
ids = target.flatten()[valid].long()
w = weights.flatten()[valid]
log_p = F.log_softmax(flat, dim=1)[torch.arange(len(ids)), ids]
loss = -(w * log_p).sum() / w.sum().clamp(min=torch.finfo(w.dtype).tiny)
# </answer 5.2>

# right: class_by_class
# <answer 5.2>
log_p = torch.log_softmax(logits, dim=1)
numerator, denominator = logits.sum() * 0, 0.0
for k in range(logits.shape[1]):
    mask = (target == k) & (target != self.ignore_index)
    w = 1.0 if self.weights is None else self.weights[k].item()
    numerator = numerator - w * log_p[:, k][mask].sum()
    denominator += w * mask.sum().item()
loss = numerator / denominator if denominator > 0 else numerator
# </answer 5.2>


# right: image_by_image
# <answer 5.2>
def numerator(scores, ids, w):
    log_p = F.log_softmax(scores, dim=0)
    ids = ids.long() * (ids != self.ignore_index)
    return -(w * log_p.gather(0, ids[None])[0]).sum()


parts = [numerator(*each) for each in zip(logits, target, weights, strict=True)]
loss = ratio(torch.stack(parts).sum(), weights.sum())
# </answer 5.2>

# right: nll_loss
# <answer 5.2>
w = torch.ones(logits.shape[1], device=logits.device) if self.weights is None else self.weights
log_p = F.log_softmax(logits, dim=1)
if weights.sum() == 0:
    loss = 0.0 * log_p.sum()
else:
    loss = F.nll_loss(log_p, target.long(), w.to(log_p.dtype), ignore_index=self.ignore_index)
# </answer 5.2>

# right: shifted_by_hand
# <answer 5.2>
shifted = logits - logits.amax(dim=1, keepdim=True).detach()
log_p = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
ids = torch.where(target == self.ignore_index, torch.zeros_like(target), target).long()
picked = torch.einsum("bkhw,bhwk->bhw", log_p, F.one_hot(ids, logits.shape[1]).to(log_p.dtype))
loss = ratio(-(weights * picked).sum(), weights.sum())
# </answer 5.2>

# right: soft_targets
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
hot = F.one_hot(class_ids, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
total = F.cross_entropy(logits, hot * weights.unsqueeze(1), reduction="sum")
loss = ratio(total, weights.sum())
# </answer 5.2>

# right: differences_of_logits
# <answer 5.2>
class_ids = torch.where(target == self.ignore_index, 0, target.long())
true = logits.gather(1, class_ids[:, None])
cross_entropy = torch.logsumexp(logits - true, dim=1)  # log Σ exp(z_k - z_t)
loss = ratio(torch.sum(weights * cross_entropy), torch.sum(weights))
# </answer 5.2>
