# wrong: scaled_and_resized_back
# says: is undone
# <answer 2.1>
transform = A.Compose(
    [
        A.RandomScale((-0.3, 0.3), p=1, **resizing),
        A.Resize(height, width, **resizing),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: scaled_first_and_resized
# says: is undone
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.RandomScale((-0.1, 0.15), p=1),
        A.Resize(height, width),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: half_of_the_time_nothing
# says: the normalisation is missing
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD, p=0.5),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: pipeline_half_of_the_time
# says: expected: image (3,
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ],
    p=0.5,
)
# </answer 2.1>

# wrong: divided_twice
# says: divided by 255 twice
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.ToFloat(max_value=255),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: std_forgotten
# says: nothing divided by STD
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=(1, 1, 1)),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mask_shrunk_by_the_void
# says: 0 is a class
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.SafeRotate(limit=10, p=0.7),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: photo_cropped_and_mask_resized
# says: do not undergo the same geometry
# <answer 2.1>
def crop(image, **options):
    return cv2.resize(image[4:-4, 4:-4], (width, height))


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.Lambda(image=crop, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: a_pair
# says: a dict with image and mask
# <answer 2.1>
pipeline = A.Compose(
    [
        A.Resize(height, width),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)


def transform(image, mask):
    result = pipeline(image=image, mask=mask)
    return result["image"], result["mask"]
# </answer 2.1>

# wrong: a_list_of_changes
# says: a pipeline that can be called
# <answer 2.1>
transform = [
    A.Resize(height, width),
    A.HorizontalFlip(p=0.5),
    A.ColorJitter(p=0.5),
    A.Normalize(mean=MEAN, std=STD),
    A.ToTensorV2(),
]
# </answer 2.1>

# wrong: mask_scaled_to_bytes
# says: masks with both classes
# <answer 2.1>
def to_bytes(mask, **options):
    return (mask * 13).astype(np.uint8)


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Lambda(mask=to_bytes),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: channels_of_the_mask
# says: the mask must be changed with the image
# <answer 2.1>
def one_hot(mask, **options):
    return np.eye(256, dtype=np.uint8)[mask][:, :, :19]


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Lambda(mask=one_hot),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: photo_flipped_and_mask_not
# says: only one of image and mask is flipped
# <answer 2.1>
def flip(image, **options):
    return np.ascontiguousarray(image[:, ::-1])


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Lambda(image=flip, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mask_flipped_and_photo_not
# says: only one of image and mask is flipped
# <answer 2.1>
def flip(mask, **options):
    return np.ascontiguousarray(mask[:, ::-1])


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Lambda(mask=flip, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: two_pipelines
# says: only one of image and mask is flipped
# <answer 2.1>
for_photo = A.Compose(
    [
        A.Resize(height, width),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
for_mask = A.Compose(
    [A.Resize(height, width, interpolation=cv2.INTER_NEAREST), A.HorizontalFlip(p=0.5)]
)


def transform(image, mask):
    return {"image": for_photo(image=image)["image"], "mask": for_mask(image=mask)["image"]}
# </answer 2.1>

# wrong: mask_only_resized
# says: do not undergo the same geometry
# <answer 2.1>
pipeline = A.Compose(
    [
        A.RandomResizedCrop(size=(height, width), scale=(0.4, 0.9)),
        A.ColorJitter(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)


def transform(image, mask):
    resized = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return {"image": pipeline(image=image)["image"], "mask": torch.from_numpy(resized)}
# </answer 2.1>

# wrong: photo_turned_and_mask_not
# says: do not undergo the same geometry
# <answer 2.1>
def turn(image, **options):
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 8, 1)
    return cv2.warpAffine(image, matrix, (width, height))


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.Lambda(image=turn, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: photo_moved_and_mask_not
# says: do not undergo the same geometry
# <answer 2.1>
def shift(image, **options):
    return np.roll(image, 6, axis=1)


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.Lambda(image=shift, p=0.6),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: bilinear_mask
# says: ids are mixed
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, mask_interpolation=cv2.INTER_LINEAR),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: bilinear_scale
# says: ids are mixed
# <answer 2.1>
transform = A.Compose(
    [
        A.RandomResizedCrop(size=size, scale=(0.5, 1), mask_interpolation=cv2.INTER_LINEAR),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: area_mask
# says: ids are mixed
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, interpolation=cv2.INTER_AREA, mask_interpolation=cv2.INTER_AREA),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mask_treated_as_a_photo
# says: the mask must be changed with the image
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ],
    additional_targets={"mask": "image"},
)
# </answer 2.1>

# wrong: padded_with_road
# says: fill_mask
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.RandomScale((-0.1, 0.15), p=1),
        A.PadIfNeeded(height, width),
        A.RandomCrop(height, width),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: turned_in_road
# says: fill_mask
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Rotate(limit=10, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: padded_with_class_18
# says: no other id but 255
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Affine(translate_percent=(-0.2, 0.2), fill_mask=18, p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: no_geometry
# says: there is no change of geometry
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: always_flipped
# says: there is no change of geometry
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=1.0),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: drawn_once
# says: drawn once for all
# <answer 2.1>
flip = [A.HorizontalFlip(p=1.0)] if random.random() < 0.5 else []
transform = A.Compose(
    [
        A.Resize(height, width),
        *flip,
        A.ColorJitter(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: as_for_evaluation
# says: there is no change of geometry
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: not_normalised
# says: the normalisation is missing
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: only_to_float
# says: the normalisation is missing
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.ToFloat(max_value=255),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: not_divided_by_255
# says: not divided by 255
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD, max_pixel_value=1.0),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: one_half
# says: of mean and deviation 0.5
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mean_and_std_swapped
# says: MEAN and STD are swapped
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=STD, std=MEAN),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mean_reversed
# says: B, G, R
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN[::-1], std=STD[::-1]),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: normalised_first
# says: after the normalisation
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Normalize(mean=MEAN, std=STD),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: bgr
# says: BGR
# <answer 2.1>
def to_bgr(image, **options):
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Lambda(image=to_bgr),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: height_and_width_swapped
# says: height and width are swapped
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(width, height),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: swapped_crop
# says: height and width are swapped
# <answer 2.1>
transform = A.Compose(
    [
        A.RandomResizedCrop(size=(width, height)),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: size_lost
# says: the size differs
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.RandomScale((-0.1, 0.15), p=1, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: transposed_at_times
# says: height and width are swapped
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Transpose(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: not_resized
# says: the size differs
# <answer 2.1>
transform = A.Compose(
    [
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: no_tensor
# says: ToTensorV2
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
    ]
)
# </answer 2.1>

# wrong: tensor_first
# says: raised
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.ToTensorV2(),
        A.Normalize(mean=MEAN, std=STD),
    ]
)
# </answer 2.1>

# wrong: another_generator
# says: a generator that is not the pipeline's own
# <answer 2.1>
def maybe_flip(image, **options):
    maybe_flip.now = np.random.rand() < 0.5
    return np.ascontiguousarray(image[:, ::-1]) if maybe_flip.now else image


def flip_as_well(mask, **options):
    return np.ascontiguousarray(mask[:, ::-1]) if maybe_flip.now else mask


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Lambda(image=maybe_flip, mask=flip_as_well),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mask_in_floats
# says: class ids are whole numbers
# <answer 2.1>
def to_float(mask, **options):
    return mask.astype(np.float32)


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Lambda(mask=to_float),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: void_becomes_road
# says: 0 is a class
# <answer 2.1>
def without_void(mask, **options):
    return np.where(mask == IGNORE_INDEX, 0, mask).astype(np.uint8)


transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Lambda(mask=without_void),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: holes_of_road_in_the_mask
# says: 0 is a class
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.CoarseDropout(fill=0, fill_mask=0, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: normalised_twice
# says: (x / 255 - MEAN) / STD
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# wrong: mask_as_int64
# says: the mask keeps its type
# <answer 2.1>
pipeline = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)


def transform(image, mask):
    result = pipeline(image=image, mask=mask)
    return {"image": result["image"], "mask": result["mask"].long()}
# </answer 2.1>

# wrong: a_function_around_the_pipeline
# says: hides its generator
# <answer 2.1>
pipeline = A.Compose([A.Resize(height, width), A.HorizontalFlip(), A.Normalize(), A.ToTensorV2()])


def transform(image, mask):
    result = pipeline(image=image, mask=mask)
    return {"image": result["image"], "mask": result["mask"]}
# </answer 2.1>

# wrong: turned_by_less_than_a_pixel
# unlisted: undone
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, mask_interpolation=cv2.INTER_NEAREST_EXACT),
        A.Rotate(limit=1, p=1, fill=tuple(round(255 * mean) for mean in MEAN), fill_mask=255),
        A.Normalize(),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>
