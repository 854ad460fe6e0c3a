# right: differences_of_one_minus_iou
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found).to(errors.dtype) / (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1))
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# right: as_algorithm_1
# <answer 9.4b>
sorted_errors, order = torch.sort(errors_k, dim=0, descending=True)
truth = is_k[order].to(errors.dtype)
intersection = truth.sum() - truth.cumsum(0)
union = truth.sum() + (1 - truth).cumsum(0)
jaccard = 1.0 - intersection / union
if len(jaccard) > 1:
    jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
slopes_k = jaccard[order.argsort()]
# </answer 9.4b>

# right: pixel_by_pixel
# <answer 9.4b>
n, m, before = int(is_k.sum()), 0, 0.0
slopes_k = torch.zeros_like(errors_k)
for i, j in enumerate(errors_k.argsort(descending=True).tolist(), start=1):
    m += int(is_k[j])
    now = 1 - (n - m) / (n + i - m)
    slopes_k[j] = now - before
    before = now
# </answer 9.4b>

# right: absolute_differences
# <answer 9.4a>
errors = (truth.to(probabilities.dtype) - probabilities).abs()
slopes = lovasz_slopes(errors.detach(), class_ids)
per_class = torch.einsum("bkhw,bkhw->k", errors, slopes)
loss = mean_over_classes(per_class, counts, self.weights)
# </answer 9.4a>
