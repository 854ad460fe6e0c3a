"""Coarse labels, as if somebody had drawn them in seven minutes: polygons inside the objects.

The rules are those that Cityscapes gave its annotators (Cordts et al. 2016, section 2.2): as few
corners as possible, every polygon well inside one object, void where nobody drew. Small things are
left out. Deviations: each visible part of an object is drawn, and nothing is drawn wrongly.
"""

import cv2
import numpy as np

from toycity.canvas import LABEL_IDS

MARGIN, TOLERANCE = 0.016, 0.02
"""What is kept from an object's edge, and how far a polygon's side may leave it: of the height."""
SMALLEST = 0.0012
"""Of the picture: the part of an object that is worth a polygon."""


def draw_coarsely(labels: np.ndarray) -> np.ndarray:
    """Draws the coarse labels of a scene: (H, W) uint8 official ids → the same, 0 where void."""
    height = labels.shape[0]
    reach = 2 * max(1, round(MARGIN * height)) + 1
    shrink = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    coarse = np.zeros_like(labels)
    for label_id in np.unique(labels):
        if label_id <= LABEL_IDS["ground"]:
            continue  # void, the car with the camera and the border among it
        whole = (labels == label_id).astype(np.uint8)
        inside = cv2.erode(whole, shrink, borderType=cv2.BORDER_CONSTANT, borderValue=1)
        outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        drawn = np.zeros_like(whole)
        for outline in outlines:
            if cv2.contourArea(outline) >= SMALLEST * labels.size:
                polygon = cv2.approxPolyDP(outline, TOLERANCE * height, closed=True)
                cv2.fillPoly(drawn, [polygon], 1)
        coarse[(drawn & whole) > 0] = label_id
    return coarse
