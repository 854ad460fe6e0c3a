# right: table_from_a_dict
# <answer 1.1>
train_ids = np.array(
    [{label.id: label.train_id for label in labels.labels}.get(i, 255) for i in range(65536)],
    dtype=np.uint8,
)[label_ids]
# </answer 1.1>

# right: take
# <answer 1.1>
table = np.full(65536, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    if label.train_id != IGNORE_INDEX:
        table[label.id] = label.train_id
train_ids = np.take(table, label_ids.astype(np.int64))
# </answer 1.1>

# right: mask_per_label
# <answer 1.1>
train_ids = np.full(label_ids.shape, IGNORE_INDEX, dtype=np.uint8)
for label in labels.labels:
    train_ids[label_ids == label.id] = label.train_id
# </answer 1.1>

# right: only_what_occurs
# <answer 1.1>
train_ids = np.full_like(label_ids, IGNORE_INDEX, dtype=np.uint8)
learned = {label.id: label.train_id for label in labels.labels}
for label_id in np.unique(label_ids):
    train_ids[label_ids == label_id] = learned[int(label_id)]
# </answer 1.1>

# right: select
# <answer 1.1>
conditions = [label_ids == label.id for label in labels.labels]
values = [np.uint8(label.train_id) for label in labels.labels]
train_ids = np.select(conditions, values, default=np.uint8(IGNORE_INDEX))
# </answer 1.1>

# right: search_in_sorted_ids
# <answer 1.1>
def look_up(ids):
    rows = sorted(labels.labels, key=lambda label: label.id)
    places = np.searchsorted([label.id for label in rows], ids.ravel())
    return np.array([label.train_id for label in rows], dtype=np.uint8)[places]


train_ids = look_up(label_ids).reshape(label_ids.shape)
# </answer 1.1>

# right: torch_inside
# <answer 1.1>
table = torch.full((max(label.id for label in labels.labels) + 1,), 255, dtype=torch.uint8)
for label in labels.labels:
    table[label.id] = label.train_id
train_ids = table[torch.from_numpy(label_ids.astype(np.int64))].numpy()
# </answer 1.1>

# right: vectorize
# <answer 1.1>
look_up = {label.id: label.train_id for label in labels.labels}
train_ids = np.vectorize(look_up.get, otypes=[np.uint8])(label_ids)
# </answer 1.1>

# right: learned_only
# <answer 1.1>
table = np.repeat(np.uint8(IGNORE_INDEX), 2**16)
table[[label.id for label in labels.classes]] = np.arange(len(labels))
train_ids = table[label_ids]
# </answer 1.1>

# right: compared_with_all_ids
# <answer 1.1>
ids, values = zip(*[(label.id, label.train_id) for label in labels.labels])
train_ids = np.empty(label_ids.shape, dtype=np.uint8)
places = (label_ids[..., None] == np.array(ids)).argmax(axis=-1)
train_ids[...] = np.array(values, dtype=np.uint8)[places]
# </answer 1.1>
