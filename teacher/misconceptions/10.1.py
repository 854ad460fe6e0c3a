# wrong: overwritten
# says: only the last source of each target counts
# <answer 10.1>
target_of = np.asarray(target_of)
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
sums[target_of[target_of >= 0]] += probabilities[target_of >= 0]
# </answer 10.1>

# wrong: assigned
# says: only the last source of each target counts
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] = probabilities[source]
# </answer 10.1>

# wrong: minus_one_is_the_last
# says: -1 is the last place in numpy
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    sums[target] += probabilities[source]
# </answer 10.1>

# wrong: largest
# says: the largest source is taken
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] = np.maximum(sums[target], probabilities[source])
# </answer 10.1>

# wrong: mean
# says: this is the mean of the sources
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += probabilities[source] / list(target_of).count(target)
# </answer 10.1>

# wrong: argmax_first
# says: the argmax comes first here
# <answer 10.1>
best = probabilities.argmax(axis=0)
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += best == source
# </answer 10.1>

# wrong: argmax_first_with_its_probability
# says: the argmax comes first here
# <answer 10.1>
best = probabilities.argmax(axis=0)
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += np.where(best == source, probabilities[source], 0)
# </answer 10.1>

# wrong: normalised
# says: the sources of -1 keep their share
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += probabilities[source]
total = sums.sum(axis=0)
sums = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
# </answer 10.1>

# wrong: decided_already
# says: the class is decided here already
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += probabilities[source]
sums = sums.argmax(axis=0)
# </answer 10.1>

# wrong: double
# says: np.zeros makes float64 unless told otherwise
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]))
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += probabilities[source]
# </answer 10.1>

# wrong: float32_always
# says: the sums have the type of the probabilities
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), np.float32)
for source, target in enumerate(target_of):
    if target >= 0:
        sums[target] += probabilities[source]
# </answer 10.1>

# wrong: writes_into_what_it_was_given
# unlisted: writes into
# <answer 10.1>
first = {}
for source, target in enumerate(target_of):
    if target >= 0 and target in first:
        probabilities[first[target]] += probabilities[source]
    elif target >= 0:
        first[target] = source
empty = np.zeros_like(probabilities[0])
sums = np.stack([probabilities[first[t]] if t in first else empty for t in range(num_targets)])
# </answer 10.1>

# wrong: first_source_alone
# unlisted: first source
# <answer 10.1>
sums = np.zeros((num_targets, *probabilities.shape[1:]), probabilities.dtype)
for target in range(num_targets):
    if target in target_of:
        sums[target] = probabilities[list(target_of).index(target)]
# </answer 10.1>
