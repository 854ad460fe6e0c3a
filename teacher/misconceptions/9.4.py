# wrong: sorted_upwards
# says: sorted from the smallest up
# <answer 9.4b>
order = errors_k.argsort()
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: not_sorted
# says: the errors are not sorted
# <answer 9.4b>
found, i = is_k.cumsum(0), torch.arange(1, len(is_k) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
slopes_k = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
# </answer 9.4b>

# wrong: left_in_the_order_of_sorting
# says: in the order of sorting
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
slopes_k = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
# </answer 9.4b>

# wrong: gathered
# says: scatter, not gather
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
slopes_k = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)[order]
# </answer 9.4b>

# wrong: values_not_differences
# says: these are the values of 1 - IoU
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = (1 - (found[-1] - found) / (found[-1] + i - found)).to(errors.dtype)
slopes_k = torch.empty_like(losses)
slopes_k[order] = losses
# </answer 9.4b>

# wrong: differences_of_the_iou
# says: the sign is turned round
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
iou = (found[-1] - found) / (found[-1] + i - found)
steps = iou.diff(prepend=iou.new_ones(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: first_difference_lost
# says: the first slope is lost
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = (1 - (found[-1] - found) / (found[-1] + i - found)).to(errors.dtype)
slopes_k = torch.zeros_like(losses)
slopes_k[order[1:]] = losses.diff()
# </answer 9.4b>

# wrong: one_late
# says: one pixel late
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = (1 - (found[-1] - found) / (found[-1] + i - found)).to(errors.dtype)
slopes_k = torch.zeros_like(losses)
slopes_k[order[:-1]] = losses.diff()
# </answer 9.4b>

# wrong: classes_exchanged
# says: class and not class are exchanged
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = (~is_k[order]).cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: union_stays
# says: the union stays the size of the class
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found = is_k[order].cumsum(0)
losses = found / found[-1]
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: union_grows_always
# says: the union grows with every pixel
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: mean_over_pixels
# says: divided by the number of pixels
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities)
slopes = lovasz_slopes(errors.detach(), class_ids)
per_class = (errors * slopes).sum(dim=(0, 2, 3)) / (class_ids >= 0).sum().clamp(min=1)
loss = mean_over_classes(per_class, counts, self.weights)
# </answer 9.4a>

# wrong: slopes_forgotten
# says: the slopes take no part
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities) * (class_ids >= 0).unsqueeze(1)
loss = mean_over_classes(errors.sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: absent_are_perfect
# says: absent classes count as perfect
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities)
slopes = lovasz_slopes(errors.detach(), class_ids)
w = torch.ones(len(counts)) if self.weights is None else self.weights
loss = (w * (errors * slopes).sum(dim=(0, 2, 3))).sum() / w.sum()
# </answer 9.4a>

# wrong: sum_over_classes
# says: added up; their mean is wanted
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities)
slopes = lovasz_slopes(errors.detach(), class_ids)
w = 1 if self.weights is None else self.weights
loss = (w * (errors * slopes).sum(dim=(0, 2, 3))).sum()
# </answer 9.4a>

# wrong: signed_errors
# says: the errors have a sign
# <answer 9.4a>
errors = truth.to(probabilities.dtype) - probabilities
slopes = lovasz_slopes(errors.abs().detach(), class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: squared_errors
# says: the errors are squared
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities) ** 2
slopes = lovasz_slopes(errors.detach(), class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: class_weights_ignored
# says: the class weights take no part
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities)
slopes = lovasz_slopes(errors.detach(), class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, None)
# </answer 9.4a>

# wrong: errors_detached
# says: cut off from the logits
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities).detach()
slopes = lovasz_slopes(errors, class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: union_of_everything
# says: the union holds every pixel from the start
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found = is_k[order].cumsum(0)
losses = 1 - (found[-1] - found) / len(order)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: differences_of_dice
# says: these are the differences of 1 - Dice
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
rest = found[-1] - found
losses = 1 - 2 * rest / (2 * rest + i)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: signed_truth_minus_p
# says: sorted by target - p, with its sign
# <answer 9.4a>
errors = truth.to(logits.dtype) - probabilities
slopes = lovasz_slopes(errors.detach(), class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: signed_p_minus_truth
# says: sorted by p - target, with its sign
# <answer 9.4a>
errors = probabilities - truth.to(logits.dtype)
slopes = lovasz_slopes(errors.detach(), class_ids)
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights)
# </answer 9.4a>

# wrong: counted_from_zero
# says: the union counts the pixels from 0
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(len(order))
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: mean_over_all_pixels
# says: this is a mean over all pixels
# <answer 9.4a>
errors = torch.where(truth, 1 - probabilities, probabilities)
slopes = lovasz_slopes(errors.detach(), class_ids)
pixels = class_ids.numel()
loss = mean_over_classes((errors * slopes).sum(dim=(0, 2, 3)), counts, self.weights) / pixels
# </answer 9.4a>

# wrong: not_sorted_truth
# unlisted: sorted | order
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k.cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) / (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>

# wrong: whole_division
# unlisted: whole | division
# <answer 9.4b>
order = errors_k.argsort(descending=True)
found, i = is_k[order].cumsum(0), torch.arange(1, len(order) + 1)
losses = 1 - (found[-1] - found) // (found[-1] + i - found)
steps = losses.diff(prepend=losses.new_zeros(1)).to(errors.dtype)
slopes_k = torch.empty_like(steps)
slopes_k[order] = steps
# </answer 9.4b>
