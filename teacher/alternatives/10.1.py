# right: add_at
# <answer 10.1>
target_of = np.asarray(target_of)
belongs = target_of >= 0
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
np.add.at(sums, target_of[belongs], probabilities[belongs])
# </answer 10.1>

# right: matrix_product
# <answer 10.1>
matrix = np.array([[t == target for t in target_of] for target in range(num_targets)])
sums = np.tensordot(matrix.astype(probabilities.dtype), probabilities, axes=1)
# </answer 10.1>

# right: einsum
# <answer 10.1>
matrix = (np.arange(num_targets)[:, None] == np.asarray(target_of)).astype(probabilities.dtype)
sums = np.einsum("tk,khw->thw", matrix, probabilities)
# </answer 10.1>

# right: one_place_more
# <answer 10.1>
sums = np.zeros((num_targets + 1, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    sums[target] = sums[target] + probabilities[source]
sums = sums[:num_targets]
# </answer 10.1>

# right: target_by_target
# <answer 10.1>
places = np.array(target_of)
sums = np.stack([probabilities[places == t].sum(axis=0) for t in range(num_targets)])
# </answer 10.1>
