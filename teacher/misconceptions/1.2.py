# wrong: every_other_sample
# says: expected: [
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(0, len(dataset), 2):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: stops_at_a_void_sample
# says: expected:
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    valid = target[target != IGNORE_INDEX]
    if len(valid) == 0:
        break
    counts += torch.bincount(valid, minlength=num_classes)
# </answer 1.2>

# wrong: one_size_presupposed
# says: must have the same shape
# <answer 1.2>
targets = [read_class_ids(dataset, index, num_classes) for index in range(len(dataset))]
target = torch.from_numpy(np.stack(targets))
counts = torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: first_row_only
# says: expected: [
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))[0]
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: sixteen_bits
# says: modulo 65536
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int16)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    valid = target[target != IGNORE_INDEX]
    counts += torch.bincount(valid, minlength=num_classes).to(torch.int16)
counts = counts.long()
# </answer 1.2>

# wrong: nineteen_classes
# says: (19,)
# <answer 1.2>
counts = torch.zeros(19, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=19)
# </answer 1.2>

# wrong: last_sample_only
# says: the last sample alone
# <answer 1.2>
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts = torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: first_sample_only
# says: the first sample alone
# <answer 1.2>
target = torch.from_numpy(read_class_ids(dataset, 0, num_classes))
counts = torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: last_sample_missing
# says: the last sample is missing
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset) - 1):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: first_sample_missing
# says: the first sample is missing
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(1, len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: minlength_missing
# says: minlength
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX])
# </answer 1.2>

# wrong: too_few_classes
# says: minlength
# <answer 1.2>
targets = [read_class_ids(dataset, index, num_classes).ravel() for index in range(len(dataset))]
target = torch.from_numpy(np.concatenate(targets))
counts = torch.bincount(target[target != IGNORE_INDEX])
# </answer 1.2>

# wrong: void_not_left_out
# says: void
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target.flatten(), minlength=num_classes)
# </answer 1.2>

# wrong: void_as_a_class_more
# says: void is no class
# <answer 1.2>
counts = torch.zeros(num_classes + 1, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    target = target.clamp(max=num_classes).flatten()
    counts += torch.bincount(target, minlength=num_classes + 1)
# </answer 1.2>

# wrong: all_bytes_counted
# says: void is no class
# <answer 1.2>
counts = torch.zeros(256, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target.flatten(), minlength=256)
# </answer 1.2>

# wrong: void_as_class_0
# says: void pixels are counted as class 0
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    target[target == IGNORE_INDEX] = 0
    counts += torch.bincount(target.flatten(), minlength=num_classes)
# </answer 1.2>

# wrong: void_as_last_class
# says: void pixels are counted as the last class
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    target = target.clamp(0, num_classes - 1)
    counts += torch.bincount(target.flatten(), minlength=num_classes)
# </answer 1.2>

# wrong: floats
# says: whole numbers
# <answer 1.2>
counts = torch.zeros(num_classes)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    for k in range(num_classes):
        counts[k] += (target == k).sum()
# </answer 1.2>

# wrong: shares
# says: these are shares
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
counts = counts / counts.sum()
# </answer 1.2>

# wrong: mean_over_samples
# says: means over the samples
# <answer 1.2>
counts = torch.zeros(num_classes)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
counts /= len(dataset)
# </answer 1.2>

# wrong: images_not_pixels
# says: the images in which a class occurs
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = read_class_ids(dataset, index, num_classes)
    for k in np.unique(target):
        if k != IGNORE_INDEX:
            counts[int(k)] += 1
# </answer 1.2>

# wrong: indexed_increment
# says: the images in which a class occurs
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts[target[target != IGNORE_INDEX]] += 1
# </answer 1.2>

# wrong: bytes_overflow
# says: modulo 256
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.uint8)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    for k in range(num_classes):
        counts[k] += (target == k).sum().to(torch.uint8)
counts = counts.long()
# </answer 1.2>

# wrong: unknown_ids_dropped
# says: read_class_ids
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.as_tensor(dataset[index][1]).long()
    counts += torch.bincount(target[target < num_classes], minlength=num_classes)
# </answer 1.2>

# wrong: a_numpy_array
# says: an array
# <answer 1.2>
counts = np.zeros(num_classes, dtype=np.int64)
for index in range(len(dataset)):
    target = read_class_ids(dataset, index, num_classes)
    counts += np.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
# </answer 1.2>

# wrong: class_0_left_out
# says: class 0 is left out
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    for k in range(1, num_classes):
        counts[k] += (target == k).sum()
# </answer 1.2>

# wrong: float32_in_between
# says: float32 cannot count beyond
# <answer 1.2>
counts = torch.zeros(num_classes)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts += torch.bincount(target[target != IGNORE_INDEX], minlength=num_classes)
counts = counts.long()
# </answer 1.2>

# wrong: sum_of_the_ids
# says: the sums of the ids
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    for k in range(num_classes):
        counts[k] += target[target == k].sum()
# </answer 1.2>

# wrong: last_class_left_out
# says: the last class is left out
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    for k in range(num_classes - 1):
        counts[k] += (target == k).sum()
# </answer 1.2>

# wrong: counts_of_unique_at_the_front
# unlisted: place | front
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    _, numbers = target[target != IGNORE_INDEX].unique(return_counts=True)
    counts[: len(numbers)] += numbers
# </answer 1.2>

# wrong: scatter_sets
# unlisted: adds | set
# <answer 1.2>
counts = torch.zeros(num_classes, dtype=torch.int64)
for index in range(len(dataset)):
    target = torch.from_numpy(read_class_ids(dataset, index, num_classes))
    counts.scatter_(0, target[target != IGNORE_INDEX], 1)
# </answer 1.2>

# wrong: edges_not_bins
# unlisted: edges | bins
# <answer 1.2>
targets = [read_class_ids(dataset, index, num_classes).ravel() for index in range(len(dataset))]
numbers, _ = np.histogram(np.concatenate(targets), bins=np.arange(num_classes))
counts = torch.from_numpy(numbers)
# </answer 1.2>
