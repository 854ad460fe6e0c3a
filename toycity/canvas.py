"""The canvas: one painted surface that carries the picture and its labels together.

Every visible thing is painted with one call that changes colours and label ids in the same place,
so the two can never disagree. A call without a label is decoration: it changes how something looks,
not what it is (lane markings stay road, a shadow changes nothing but brightness).

The canvas is `SUPERSAMPLING` times larger than the finished picture. `reduced` averages the
colours, as the pixels of a camera do, and lets the label ids of each block vote, so that ids stay
ids.
"""

import cv2
import numpy as np

from support.formats.cityscapes import CITYSCAPES
from toycity.variety import Brush
from toycity.weather import Color, Weather

SUPERSAMPLING = 2
LABEL_IDS = {label.name: label.id for label in CITYSCAPES.labels}
THIN_LABELS = ("pole", "traffic light", "traffic sign", "bicycle", "motorcycle", "rider", "person")
"""What wins a block of 2x2 with two votes against two; a thin pole would vanish otherwise."""

_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_FARTHEST = 16_000.0  # corners beyond this many pixels are pulled in; OpenCV's integers are finite


class Canvas:
    """Picture and labels of one scene, painted from far to near.

    Args:
        size: (height, width) of the finished picture in pixels.
        weather: its air, which tints whatever is far away.

    Attributes:
        image: (S H, S W, 3) uint8 RGB, S being `SUPERSAMPLING`.
        labels: (S H, S W) uint8, official label ids; 0 (unlabeled) where nothing was painted.
        brush: the paint of the thing that is being painted; None for its own colours.
    """

    def __init__(self, size: tuple[int, int], weather: Weather) -> None:
        height, width = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
        self.image = np.zeros((height, width, 3), dtype=np.uint8)
        self.labels = np.zeros((height, width), dtype=np.uint8)
        self.weather = weather
        self.brush: Brush | None = None

    @property
    def height(self) -> int:
        """Rows of the supersampled canvas."""
        return self.labels.shape[0]

    @property
    def width(self) -> int:
        """Columns of the supersampled canvas."""
        return self.labels.shape[1]

    def polygon(
        self,
        points: np.ndarray,
        color: Color,
        label: str | None,
        depth: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """Fills a polygon; the label is set everywhere in it, also where the paint is thin.

        Args:
            points: (N, 2) float, x and y in canvas pixels.
            color: RGB, 0 ... 255.
            label: an official label name, or None for decoration.
            depth: metres to the viewer, for the air in between.
            alpha: opacity of the paint, 0 ... 1.
        """
        corners = _fixed_point(points)
        color = self._paint(color, depth)
        if alpha >= 1:
            cv2.fillPoly(self.image, [corners], color, shift=_FRACTION_BITS)
        else:
            rows, columns = self._window(points)
            part = self.image[rows, columns]
            if part.size:
                painted = part.copy()
                offset = (-columns.start, -rows.start)
                cv2.fillPoly(painted, [corners], color, shift=_FRACTION_BITS, offset=offset)
                cv2.addWeighted(painted, alpha, part, 1 - alpha, 0, dst=painted)
                self.image[rows, columns] = painted
        if label is not None:
            cv2.fillPoly(self.labels, [corners], LABEL_IDS[label], shift=_FRACTION_BITS)

    def stroke(
        self,
        points: np.ndarray,
        thickness: float,
        color: Color,
        label: str | None,
        depth: float = 0.0,
        closed: bool = False,
    ) -> None:
        """Draws a line with round ends through (N, 2) points, at least one canvas pixel thick."""
        corners = _fixed_point(points)
        pixels = max(1, round(thickness))
        color = self._paint(color, depth)
        cv2.polylines(
            self.image, [corners], closed, color, pixels, cv2.LINE_8, shift=_FRACTION_BITS
        )
        if label is not None:
            label_id = LABEL_IDS[label]
            cv2.polylines(
                self.labels, [corners], closed, label_id, pixels, cv2.LINE_8, shift=_FRACTION_BITS
            )

    def disc(
        self,
        centre: np.ndarray,
        radius: float,
        color: Color,
        label: str | None,
        depth: float = 0.0,
    ) -> None:
        """Fills a circle; centre (2,) and radius in canvas pixels."""
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self.polygon(centre + radius * around, color, label, depth)

    def texture(
        self, quad: np.ndarray, texture: np.ndarray, label: str | None, depth: float = 0.0
    ) -> None:
        """Hangs a flat picture into a quadrilateral, in perspective.

        Args:
            quad: (4, 2) float, where the texture's top left, top right, bottom right and bottom
                left corners go.
            texture: (h, w, 3) uint8 RGB, or (h, w, 4) with opacity as the fourth channel.
            label: an official label name, or None for decoration; set in the whole quadrilateral.
            depth: metres to the viewer.
        """
        rows, columns = self._window(quad)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height <= 0 or width <= 0:
            return
        texture = _shrunk_to(texture, quad)
        h, w = texture.shape[:2]
        source = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float32)
        target = (quad - (columns.start, rows.start)).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        warped = cv2.warpPerspective(
            texture,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask = np.zeros((height, width), dtype=np.uint8)
        cv2.fillPoly(mask, [_fixed_point(target)], 255, shift=_FRACTION_BITS)
        self.stamp(rows.start, columns.start, warped, mask, label, depth)

    def stamp(
        self,
        top: int,
        left: int,
        colors: np.ndarray,
        mask: np.ndarray,
        label: str | None,
        depth: float = 0.0,
    ) -> None:
        """Prints colours through a mask; what lies outside of the canvas is cut off.

        Args:
            top: the row where the print begins; may be negative, as may `left`.
            left: its column.
            colors: (h, w, 3) uint8 RGB, or (h, w, 4) with opacity.
            mask: (h, w) uint8, non-zero where to print.
            label: an official label name, or None for decoration.
            depth: metres to the viewer.
        """
        height, width = mask.shape
        rows = slice(max(top, 0), min(top + height, self.height))
        columns = slice(max(left, 0), min(left + width, self.width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        inner = (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        colors, mask = colors[inner], np.ascontiguousarray(mask[inner])
        if self.brush is not None:
            colors = self.brush.picture(colors, label)
        printed = self.weather.picture_through_air(np.ascontiguousarray(colors[..., :3]), depth)
        part = self.image[rows, columns]
        if colors.shape[2] == 4:
            opacity = colors[..., 3:].astype(np.float32) / 255
            printed = (part + (printed.astype(np.float32) - part) * opacity).astype(np.uint8)
        cv2.copyTo(printed, mask, part)
        if label is not None:
            self.labels[rows, columns][mask > 0] = LABEL_IDS[label]

    def shadow(self, points: np.ndarray, strength: float) -> None:
        """Darkens a polygon, (N, 2) canvas pixels, by a fraction of its brightness, 0 ... 1."""
        brush, self.brush = self.brush, None  # a shadow is dark, whatever throws it
        if strength > 0:
            self.polygon(points, (12, 14, 20), None, alpha=strength)
        self.brush = brush

    def reduced(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the picture, (H, W, 3) uint8, and its label ids, (H, W) uint8, at their size."""
        height, width = self.height // SUPERSAMPLING, self.width // SUPERSAMPLING
        softened = cv2.GaussianBlur(self.image, (3, 3), 0.7)
        image = cv2.resize(softened, (width, height), interpolation=cv2.INTER_AREA)
        return image, _vote(self.labels)

    def _paint(self, color: Color, depth: float) -> Color:
        """A colour as it comes from the brush, through `depth` metres of air."""
        if self.brush is not None:
            color = self.brush.color(color)
        return self.weather.through_air(color, depth)

    def _window(self, points: np.ndarray) -> tuple[slice, slice]:
        """The rows and columns of the canvas that hold (N, 2) points."""
        low = np.floor(points.min(axis=0)).astype(int)
        high = np.ceil(points.max(axis=0)).astype(int) + 1
        rows = slice(min(max(low[1], 0), self.height), min(max(high[1], 0), self.height))
        columns = slice(min(max(low[0], 0), self.width), min(max(high[0], 0), self.width))
        return rows, columns


def _fixed_point(points: np.ndarray) -> np.ndarray:
    """Turns pixel coordinates into OpenCV's fixed-point integers: (N, 2) float → (N, 2) int32.

    OpenCV counts from the centres of the pixels, we from their corners, hence the half.
    """
    pixels = np.minimum(np.maximum(points - 0.5, -_FARTHEST), _FARTHEST)
    return np.rint(pixels * 2**_FRACTION_BITS).astype(np.int32)


def _shrunk_to(texture: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Averages a texture down to about the size at which it is seen, against flickering edges."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    width = int(min(max(sides[0], sides[2], 1), texture.shape[1]))
    height = int(min(max(sides[1], sides[3], 1), texture.shape[0]))
    if (height, width) == texture.shape[:2]:
        return texture
    return cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)


def _vote(labels: np.ndarray) -> np.ndarray:
    """Reduces label ids by blocks: most votes win, a thin thing against one other wins a tie."""
    s = SUPERSAMPLING
    voters = np.stack([labels[row::s, column::s] for row in range(s) for column in range(s)])
    bonus = np.zeros(256, dtype=np.int8)
    bonus[[LABEL_IDS[name] for name in THIN_LABELS]] = 1
    votes = 2 * (voters[:, None] == voters[None]).sum(axis=1, dtype=np.int8) + bonus[voters]
    winner = votes.argmax(axis=0)
    return np.take_along_axis(voters, winner[None], axis=0)[0]
