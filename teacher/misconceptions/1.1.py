# wrong: table_too_short
# says: raised
# <answer 1.1>
table = np.full(len(labels.labels) - 1, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels[:-1]:
    table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: type_of_the_input
# says: dtype=np.uint8
# <answer 1.1>
table = np.full(len(labels.labels), IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[label_ids].astype(label_ids.dtype)
# </answer 1.1>

# wrong: squeezed
# says: the shape of the label ids must be kept
# <answer 1.1>
table = np.array([label.train_id for label in labels.labels], dtype=np.uint8)
train_ids = table[label_ids].squeeze()
# </answer 1.1>

# wrong: signed_bytes
# says: dtype=np.uint8
# <answer 1.1>
table = np.full(len(labels.labels), -1, dtype=np.int8)
for label in labels.labels:
    if label.train_id != IGNORE_INDEX:
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: pictures_only
# says: ids have gaps
# <answer 1.1>
height, width = label_ids.shape if label_ids.ndim == 2 else (1, len(label_ids))
table = np.array([label.train_id for label in labels.labels], dtype=np.uint8)
rows = [[table[i] for i in row] for row in label_ids.reshape(height, width)]
train_ids = np.array(rows, dtype=np.uint8).reshape(label_ids.shape)
# </answer 1.1>

# wrong: by_category
# says: in another order
# <answer 1.1>
learned = sorted((x for x in labels.labels if x.train_id != IGNORE_INDEX), key=lambda x: x.category)
table = np.full(len(labels.labels), IGNORE_INDEX, dtype=np.uint8)
for number, label in enumerate(learned):
    table[label.id] = number
train_ids = table[label_ids]
# </answer 1.1>

# wrong: type_of_table_forgotten
# says: dtype=np.uint8
# <answer 1.1>
table = np.full(len(labels.labels), IGNORE_INDEX)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: void_becomes_0
# says: must become 255
# <answer 1.1>
table = np.zeros(len(labels.labels), dtype=np.uint8)
for label in labels.labels:
    if label.train_id != IGNORE_INDEX:
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: void_becomes_K
# says: must become 255
# <answer 1.1>
table = np.full(len(labels.labels), len(labels), dtype=np.uint8)
for label in labels.labels:
    if label.train_id < len(labels):
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: void_keeps_its_label_id
# says: those that are not learned must all become 255
# <answer 1.1>
table = np.arange(len(labels.labels), dtype=np.uint8)
for label in labels.labels:
    if label.train_id != IGNORE_INDEX:
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: table_the_wrong_way_round
# says: the wrong way round
# <answer 1.1>
table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.train_id] = label.id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: decoded_instead
# says: expected:
# <answer 1.1>
train_ids = labels.decode(label_ids)
# </answer 1.1>

# wrong: replaced_one_after_the_other
# says: replaced again
# <answer 1.1>
train_ids = label_ids.astype(np.uint8)
for label in labels.labels:
    if label.train_id != IGNORE_INDEX:
        train_ids[train_ids == label.id] = label.train_id
for label in labels.labels:
    if label.train_id == IGNORE_INDEX:
        train_ids[train_ids == label.id] = IGNORE_INDEX
# </answer 1.1>

# wrong: replaced_from_the_end
# says: replaced again
# <answer 1.1>
train_ids = label_ids.astype(np.uint8)
for label in reversed(labels.labels):
    train_ids[train_ids == label.id] = label.train_id
# </answer 1.1>

# wrong: written_into_the_input
# says: writes into the array that it was given
# <answer 1.1>
original = label_ids.copy()
for label in labels.labels:
    label_ids[original == label.id] = label.train_id
train_ids = label_ids.astype(np.uint8)
# </answer 1.1>

# wrong: input_itself_returned
# says: writes into the array that it was given
# <answer 1.1>
train_ids = label_ids.astype(np.uint8, copy=False)
for label in labels.labels:
    train_ids[train_ids == label.id] = label.train_id
# </answer 1.1>

# wrong: road_counts_as_false
# says: road, train id 0, is lost
# <answer 1.1>
table = np.full(len(labels.labels), IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id or IGNORE_INDEX
train_ids = table[label_ids]
# </answer 1.1>

# wrong: train_ids_from_1
# says: +1 off
# <answer 1.1>
table = np.full(len(labels.labels), IGNORE_INDEX, dtype=np.uint8)
learned = [label for label in labels.labels if label.train_id != IGNORE_INDEX]
for number, label in enumerate(learned, start=1):
    table[label.id] = number
train_ids = table[label_ids]
# </answer 1.1>

# wrong: alphabetical
# says: in another order
# <answer 1.1>
table = np.full(len(labels.labels), IGNORE_INDEX, dtype=np.uint8)
learned = [label for label in labels.labels if label.train_id != IGNORE_INDEX]
for number, label in enumerate(sorted(learned, key=lambda label: label.name)):
    table[label.id] = number
train_ids = table[label_ids]
# </answer 1.1>

# wrong: flat
# says: the shape of the label ids must be kept
# <answer 1.1>
table = np.array([label.train_id for label in labels.labels], dtype=np.uint8)
train_ids = table[label_ids.ravel()]
# </answer 1.1>

# wrong: unchanged
# says: unchanged
# <answer 1.1>
train_ids = label_ids.astype(np.uint8)
# </answer 1.1>

# wrong: bytes_only
# says: in any integer type
# <answer 1.1>
table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = cv2.LUT(label_ids, table)
# </answer 1.1>

# wrong: table_from_the_input
# says: raised
# <answer 1.1>
table = np.full(label_ids.max(), IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    if label.id < len(table):
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: a_list
# says: a numpy array
# <answer 1.1>
table = {label.id: label.train_id for label in labels.labels}
train_ids = [table[int(i)] for i in label_ids.ravel()]
# </answer 1.1>

# wrong: a_tensor
# says: a numpy array
# <answer 1.1>
table = torch.full((len(labels.labels),), IGNORE_INDEX, dtype=torch.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[torch.from_numpy(label_ids.astype(np.int64))]
# </answer 1.1>

# wrong: the_place_in_the_set_for_the_id
# says: ids have gaps
# <answer 1.1>
train_ids = np.array([label.train_id for label in labels.labels], dtype=np.uint8)[label_ids]
# </answer 1.1>

# wrong: cityscapes_whatever_the_set
# says: not Cityscapes'
# <answer 1.1>
table = np.full(65536, IGNORE_INDEX, dtype=np.uint8)
for label in CITYSCAPES.labels:
    table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: ids_cut_to_bytes
# says: may be larger than 255
# <answer 1.1>
table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id % 256] = label.train_id
train_ids = table[label_ids.astype(np.uint8)]
# </answer 1.1>

# wrong: numbers_of_what_occurs
# says: ranks among the ids
# <answer 1.1>
_, numbers = np.unique(label_ids, return_inverse=True)
train_ids = numbers.reshape(label_ids.shape).astype(np.uint8)
# </answer 1.1>

# wrong: table_of_256
# says: out of bounds
# <answer 1.1>
table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: largest_id_as_the_length
# says: out of bounds
# <answer 1.1>
table = np.full(max(label.id for label in labels.labels), IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>

# wrong: label_id_0_is_always_void
# unlisted: id 0
# <answer 1.1>
table = np.full(65536, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
table[0] = IGNORE_INDEX
train_ids = table[label_ids]
# </answer 1.1>

# wrong: nineteen_classes
# unlisted: 19 | nineteen
# <answer 1.1>
table = np.full(65536, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    if label.train_id < 19:
        table[label.id] = label.train_id
train_ids = table[label_ids]
# </answer 1.1>
