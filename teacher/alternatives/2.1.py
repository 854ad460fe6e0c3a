# right: flip_only
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: random_resized_crop
# <answer 2.1>
transform = A.Compose(
    [
        A.RandomResizedCrop(size=(height, width), scale=(0.3, 1.0)),
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: affine
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Affine(scale=(0.9, 1.1), rotate=(-7, 7), translate_percent=(-0.05, 0.05), fill=0, fill_mask=IGNORE_INDEX, p=0.7),
        A.HueSaturationValue(p=0.5),
        A.RandomGamma(p=0.3),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: rotate_and_reflect
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.Rotate(limit=10, border_mode=cv2.BORDER_REFLECT_101, p=0.6),
        A.ColorJitter(p=0.8),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: crop_without_resizing
# <answer 2.1>
transform = A.Compose(
    [
        A.PadIfNeeded(height, width, **filling),
        A.RandomCrop(height, width),
        A.RandomBrightnessContrast(brightness_limit=0.3, contrast_limit=0.3, p=0.8),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: shift_scale_rotate
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.ShiftScaleRotate(shift_limit=0.06, scale_limit=0.1, rotate_limit=5, fill=0, fill_mask=255, p=0.5),
        A.HorizontalFlip(p=0.5),
        A.RGBShift(p=0.5),
        A.GaussNoise(p=0.2),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: scale_then_crop
# <answer 2.1>
transform = A.Compose(
    [
        A.SmallestMaxSize(max_size=max(height, width)),
        A.RandomCrop(height, width),
        A.HorizontalFlip(p=0.5),
        A.OneOf([A.RandomBrightnessContrast(p=1), A.HueSaturationValue(p=1), A.ToGray(p=1)], p=0.6),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: photo_as_float_first
# <answer 2.1>
transform = A.Compose(
    [
        A.ToFloat(max_value=255),
        A.Resize(height, width),
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(p=0.5),
        A.Normalize(mean=MEAN, std=STD, max_pixel_value=1.0),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: elastic_and_dropout
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.ElasticTransform(alpha=20, sigma=6, fill_mask=255, p=0.5),
        A.HorizontalFlip(p=0.5),
        A.CoarseDropout(num_holes_range=(1, 3), hole_height_range=(0.05, 0.15), hole_width_range=(0.05, 0.15), p=0.5),
        A.CLAHE(p=0.3),
        A.ColorJitter(p=0.7),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: vertical_flip_and_perspective
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.VerticalFlip(p=0.3),
        A.Perspective(scale=(0.02, 0.06), fill_mask=255, p=0.5),
        A.RandomToneCurve(p=0.5),
        A.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.9),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: normalised_then_flipped
# <answer 2.1>
transform = A.Compose(
    [
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Resize(height, width, **resizing),
        A.Normalize(mean=MEAN, std=STD),
        A.HorizontalFlip(p=0.5),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: nested
# <answer 2.1>
geometry = A.Sequential([A.HorizontalFlip(p=0.5), A.RandomCrop(height, width)], p=1)
colours = A.SomeOf([A.ColorJitter(p=1), A.GaussianBlur(p=1), A.ImageCompression(p=1)], n=1, p=0.8)
transform = A.Compose(
    [
        A.Resize(height + height // 8, width + width // 8, interpolation=cv2.INTER_AREA),
        geometry,
        colours,
        A.Normalize(),
        A.ToTensorV2(transpose_mask=True),
    ]
)
# </answer 2.1>

# right: grid_and_blur
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.GridDistortion(p=0.5, fill_mask=255),
        A.MotionBlur(p=0.3),
        A.ChannelShuffle(p=0.1),
        A.RandomShadow(p=0.2),
        A.ColorJitter(p=0.4),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: no_colours
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: scale_and_no_colours
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.RandomScale((-0.1, 0.15), p=1, **resizing),
        A.PadIfNeeded(height, width, **filling),
        A.RandomCrop(height, width),
        A.HorizontalFlip(p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: always_the_same_colours
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=(1.2, 1.2), contrast=(1, 1), saturation=(1, 1), hue=(0, 0), p=1),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>

# right: padded_after_normalising
# <answer 2.1>
transform = A.Compose(
    [
        A.Resize(height, width, **resizing),
        A.RandomScale((-0.2, 0.2), p=0.8, **resizing),
        A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5),
        A.Normalize(mean=MEAN, std=STD),
        A.PadIfNeeded(height, width, fill=0.0, fill_mask=IGNORE_INDEX),
        A.RandomCrop(height, width),
        A.ToTensorV2(),
    ]
)
# </answer 2.1>
