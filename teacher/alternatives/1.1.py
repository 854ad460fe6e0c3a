# right: table_in_one_line
# <answer 1.1>
train_ids = np.array([label.train_id for label in LABELS], dtype=np.uint8)[label_ids]
# </answer 1.1>

# right: take
# <answer 1.1>
table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
for label in LABELS:
    if label.train_id != IGNORE_INDEX:
        table[label.id] = label.train_id
train_ids = np.take(table, label_ids.astype(np.int64))
# </answer 1.1>

# right: mask_per_label
# <answer 1.1>
train_ids = np.full(label_ids.shape, IGNORE_INDEX, dtype=np.uint8)
for label in LABELS:
    train_ids[label_ids == label.id] = label.train_id
# </answer 1.1>

# right: only_what_occurs
# <answer 1.1>
train_ids = np.full_like(label_ids, IGNORE_INDEX, dtype=np.uint8)
learned = {label.id: label.train_id for label in LABELS}
for label_id in np.unique(label_ids):
    train_ids[label_ids == label_id] = learned[int(label_id)]
# </answer 1.1>

# right: select
# <answer 1.1>
conditions = [label_ids == label.id for label in LABELS]
values = [np.uint8(label.train_id) for label in LABELS]
train_ids = np.select(conditions, values, default=np.uint8(IGNORE_INDEX))
# </answer 1.1>

# right: look_up_in_bytes
# <answer 1.1>
def look_up(ids):
    table = np.full((256, 1), IGNORE_INDEX, dtype=np.uint8)
    for label in LABELS:
        table[label.id] = label.train_id
    flat = cv2.LUT(np.ascontiguousarray(ids, dtype=np.uint8).reshape(-1, 1), table)
    return flat.reshape(ids.shape)


train_ids = look_up(label_ids)
# </answer 1.1>

# right: torch_inside
# <answer 1.1>
table = torch.tensor([label.train_id for label in LABELS], dtype=torch.uint8)
train_ids = table[torch.from_numpy(label_ids.astype(np.int64))].numpy()
# </answer 1.1>

# right: vectorize
# <answer 1.1>
look_up = {label.id: label.train_id for label in LABELS}
train_ids = np.vectorize(look_up.get, otypes=[np.uint8])(label_ids)
# </answer 1.1>

# right: learned_only
# <answer 1.1>
from support.formats.labels import TRAIN_CLASSES

table = np.repeat(np.uint8(IGNORE_INDEX), 34)
table[[label.id for label in TRAIN_CLASSES]] = np.arange(19)
train_ids = table[label_ids]
# </answer 1.1>
