# right: three_steps
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: defaults
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height=size[0], width=size[1], mask_interpolation=0),
        A.Normalize(),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: cubic_photo
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(*size, interpolation=cv2.INTER_CUBIC),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: nearest_photo
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width, interpolation=cv2.INTER_NEAREST),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: area_photo
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width, interpolation=cv2.INTER_AREA, mask_interpolation=cv2.INTER_NEAREST),
        A.Normalize(mean=MEAN, std=STD),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: float_first
# <answer 2.2>
transform = A.Compose(
    [
        A.ToFloat(max_value=255),
        A.Resize(height, width),
        A.Normalize(mean=MEAN, std=STD, max_pixel_value=1),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: normalised_then_resized
# <answer 2.2>
transform = A.Compose(
    [
        A.Normalize(mean=MEAN, std=STD),
        A.Resize(height, width),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>

# right: without_albumentations
# <answer 2.2>
def transform(image, mask):
    photo = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    normalised = (photo.astype(np.float32) / 255 - MEAN) / STD
    ids = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return {
        "image": torch.from_numpy(normalised.astype(np.float32)).permute(2, 0, 1),
        "mask": torch.from_numpy(ids),
    }
# </answer 2.2>

# right: constants_of_bytes
# <answer 2.2>
transform = A.Compose(
    [
        A.Resize(height, width),
        A.Normalize([255 * m for m in MEAN], [255 * s for s in STD], max_pixel_value=1),
        A.ToTensorV2(),
    ]
)
# </answer 2.2>
