# wrong: resized_twice
# says: the mask as it is
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height // 2, width // 2),
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: pipeline_half_of_the_time
# says: there is a random change
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ],
    p=0.5,
)
# </answer 2.2>

# wrong: normalised_twice
# says: normalised twice
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: void_becomes_19
# says: the mask as it is
# <answer 2.2>
def without_void(mask, **options):
    return np.where(mask == IGNORE_INDEX, 19, mask).astype(np.uint8)


transform = A.Compose(
    [
        A.Resize(height, width),
        A.Lambda(mask=without_void),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mask_in_0_to_1
# says: class ids are whole numbers
# <answer 2.2>
def to_float(mask, **options):
    return mask.astype(np.float32) / 255


transform = A.Compose(
    [
        A.Resize(height, width),
        A.Lambda(mask=to_float),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: equalised
# says: expected:
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Equalize(p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: grey
# says: (x / 255 - MEAN) / STD
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ToGray(p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: as_in_training
# says: there is a random change
# <answer 2.2>
transform = train_transforms(size)
# </answer 2.2>

# wrong: flipped_at_random
# says: there is a random change
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.HorizontalFlip(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: random_crop
# says: there is a random change
# <answer 2.2>
transform = A.Compose(
    [
        A.RandomCrop(height, width, pad_if_needed=True),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: rarely_random
# says: there is a random change
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ColorJitter(p=0.2),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: seeded_chance
# says: there is a random change
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ColorJitter(p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ],
    seed=0,
)
# </answer 2.2>

# wrong: height_and_width_swapped
# says: height and width are swapped
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(width, height),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: bilinear_mask
# says: ids are mixed
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width, mask_interpolation=cv2.INTER_LINEAR),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: cubic_mask
# says: ids are mixed
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width, interpolation=cv2.INTER_CUBIC, mask_interpolation=cv2.INTER_CUBIC),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mask_treated_as_a_photo
# says: the mask must be changed with the image
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ],
    additional_targets={"mask": "image"},
)
# </answer 2.2>

# wrong: centre_crop
# says: a part is cut off
# <answer 2.2>
transform = A.Compose(
    [
        A.CenterCrop(height, width, pad_if_needed=True, fill_mask=255),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: short_side_then_crop
# says: a part is cut off
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height * 5 // 4, width * 5 // 4),
        A.CenterCrop(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: borders
# says: there are borders without image
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height * 3 // 4, width),
        A.PadIfNeeded(height, width, border_mode=cv2.BORDER_REPLICATE, fill_mask=255),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: letterbox
# says: one colour became several
# <answer 2.2>
transform = A.Compose(
    [
        A.LongestMaxSize(min(height, width)),
        A.PadIfNeeded(height, width, fill=0, fill_mask=255),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: always_flipped
# says: are flipped
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.HorizontalFlip(p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: upside_down
# says: are flipped
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.VerticalFlip(p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: transposed
# says: rows and columns are exchanged
# <answer 2.2>
transform = A.Compose(
    [
        A.Transpose(p=1),
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mask_flipped
# says: the mask is flipped
# <answer 2.2>
def flip(mask, **options):
    return np.ascontiguousarray(mask[:, ::-1])


transform = A.Compose(
    [
        A.Resize(height, width),
        A.Lambda(mask=flip),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mask_not_resized
# says: the mask must be changed with the image
# <answer 2.2>
pipeline = A.Compose([A.Resize(height, width), A.Normalize(mean=MEAN, std=STD), A.ToTensorV2()])


def transform(image, mask):
    return {"image": pipeline(image=image)["image"], "mask": torch.from_numpy(mask)}
# </answer 2.2>

# wrong: not_normalised
# says: the normalisation is missing
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: only_to_float
# says: the normalisation is missing
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ToFloat(max_value=255),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: not_divided_by_255
# says: not divided by 255
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD, max_pixel_value=1.0),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: divided_twice
# says: divided by 255 twice
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.ToFloat(max_value=255),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: one_half
# says: of mean and deviation 0.5
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mean_and_std_swapped
# says: MEAN and STD are swapped
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=STD, std=MEAN),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: std_forgotten
# says: nothing divided by STD
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=(1, 1, 1)),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mean_reversed
# says: MEAN and STD are in the order B, G, R
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN[::-1], std=STD[::-1]),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: bgr
# says: the image is in BGR order
# <answer 2.2>
def to_bgr(image, **options):
    return np.ascontiguousarray(image[:, :, ::-1])


transform = A.Compose(
    [
        A.Resize(height, width),
        A.Lambda(image=to_bgr),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: each_photo_by_itself
# says: float64
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD, normalization="image"),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: no_tensor
# says: ToTensorV2
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
    ]
)
# </answer 2.2>

# wrong: not_resized
# says: the size differs
# <answer 2.2>
transform = A.Compose(
    [
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: blurred
# says: nothing else is done
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.GaussianBlur(sigma_limit=(1, 1), blur_limit=(3, 3), p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: mask_as_int64
# says: the mask keeps its type
# <answer 2.2>
pipeline = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)


def transform(image, mask):
    result = pipeline(image=image, mask=mask)
    return {"image": result["image"], "mask": result["mask"].long()}
# </answer 2.2>

# wrong: one_mean_for_all_channels
# unlisted: channel
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=[sum(MEAN) / 3] * 3, std=[sum(STD) / 3] * 3),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# wrong: standardised_by_hand
# unlisted: constants | by itself
# <answer 2.2>
def standardise(image, **options):
    image = image.astype(np.float32)
    return (image - image.mean(axis=(0, 1))) / (image.std(axis=(0, 1)) + 1e-6)


transform = A.Compose([A.Resize(height, width), A.Lambda(image=standardise), A.ToTensorV2()])
# </answer 2.2>
