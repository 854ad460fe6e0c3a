"""Stronger random changes for training, for networks that are to see what no training showed."""

import albumentations as A
import cv2


def strengthened(usual: A.Compose, size: tuple[int, int], ignore_index: int) -> A.Compose:
    """Puts stronger changes before the usual ones: zoom and proportions, light, colours, blur.

    They follow the photometric distortions of Liu et al. 2016, "SSD: Single Shot MultiBox
    Detector", section 2.2, and go beyond them in strength.

    Args:
        usual: what `data.train_transforms` returns; it normalises at its end.
        size: (height, width) of the result, in pixels.
        ignore_index: of what no image reaches.
    """
    height, width = size
    whole = width / height
    zoom = A.RandomResizedCrop(
        size,
        scale=(0.25, 1.0),  # of the area, so that things are up to twice as large
        ratio=(0.6 * whole, 1.4 * whole),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_NEAREST_EXACT,
        area_for_downscale="image",
        p=0.8,
    )
    turn = A.Affine(rotate=(-4, 4), shear=(-4, 4), fill_mask=ignore_index, p=0.3)
    light = A.OneOf([A.RandomGamma((50, 200)), A.RandomToneCurve(0.3)], p=0.6)
    colors = A.ColorJitter(brightness=0.4, contrast=0.5, saturation=0.7, hue=0.1, p=0.7)
    lens = [
        A.GaussNoise(std_range=(0.01, 0.06), p=0.3),
        A.GaussianBlur(sigma_limit=(0.3, 1.5), p=0.2),
        A.ImageCompression(quality_range=(30, 90), p=0.2),
    ]
    gaudy = [A.ToGray(p=0.1), A.ChannelShuffle(p=0.1)]
    return A.Compose([zoom, turn, light, colors, *gaudy, *lens, *usual.transforms])
