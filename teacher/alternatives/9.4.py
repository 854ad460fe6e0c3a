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

# right: numpy
# <answer 9.4b>
import numpy as np

errors_np, is_np = errors_k.cpu().double().numpy(), is_k.cpu().numpy()
order = np.lexsort((np.arange(len(errors_np)), -errors_np))
rest = is_np.sum() - np.cumsum(is_np[order])
union = is_np.sum() + np.cumsum(~is_np[order])
slopes_np = np.empty(len(order))
slopes_np[order] = np.diff(1 - rest / union, prepend=0.0)
slopes_k = torch.from_numpy(slopes_np).to(errors_k)
# </answer 9.4b>

# right: upwards_from_the_end
# <answer 9.4b>
order = errors_k.argsort()
is_sorted = is_k[order].to(errors.dtype)
still_right = torch.cat([is_sorted.new_zeros(1), is_sorted.cumsum(dim=0)])  # of the class
others = torch.cat([is_sorted.new_zeros(1), (1 - is_sorted).cumsum(dim=0)])
union = still_right[-1] + others[-1] - others
iou = still_right / union
slopes_k = torch.empty_like(iou[1:]).index_copy_(0, order, iou[1:] - iou[:-1])
# </answer 9.4b>
