"""Segmenting at several scales, with mirror images, and window by window.

Both are wrappers around any `Segmenter`, with onnxruntime or PyTorch inside, and are segmenters
themselves. The network sees an image several times; the mean of the softmax probabilities decides,
as in mmsegmentation (`SegTTAModel.merge_preds`, github.com/open-mmlab/mmsegmentation, version 1):

    p = mean over scales s and mirror images m of m⁻¹(softmax(enlarge(network(m(resize(x, s))))))

`MultiScaleSegmenter` shows it the whole image. Scale 1 is the size at which the plain segmenter
works, not the image's own as in mmsegmentation: things are then as large as in training. The
logits are enlarged to the size of the largest view, at most the image's, and the mean goes on to
the image's size as a logarithm: a single view then gives exactly the plain segmenter's classes,
and a large image costs little. Where the image is no larger than that, it is mmsegmentation's mean.

`SlidingSegmenter` cuts the image into windows that overlap, at its own resolution. Where they
overlap it averages their probabilities; mmsegmentation's `slide_inference` averages the logits.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from deploy import (
    Segmenter,
    check_image,
    network_size,
    scaled_size,
    upsample_argmax,
)
from utils import MAX_SIDE, LabError

DEFAULT_OVERLAP = 1 / 3
MAX_OVERLAP = 0.9
MIN_SCALE, MAX_SCALE = 0.01, 100.0
MAX_BAND_BYTES = 2 * 1024**3
SMALLEST_PROBABILITY = np.finfo(np.float32).tiny


def extend_segmenter(
    segmenter: Segmenter,
    scales: Sequence[float] | None = None,
    flip: bool = False,
    window: Sequence[int] | None = None,
    overlap: float | None = None,
) -> Segmenter:
    """Wraps a segmenter in what is asked for; with the defaults it comes back as it is.

    Args:
        segmenter: an `OnnxSegmenter`, a `TorchSegmenter` or the like.
        scales: see the two classes; None for 1 alone.
        flip: whether the mirror image is seen too.
        window: (height, width) of sliding windows; None for the whole image.
        overlap: of the windows; None for a third.

    Raises:
        LabError: for values that are impossible or do not belong together.
    """
    scales = (1.0,) if scales is None else scales
    if window is not None:
        overlap = DEFAULT_OVERLAP if overlap is None else overlap
        return SlidingSegmenter(segmenter, window, overlap, scales, flip)
    if overlap is not None:
        raise LabError("--overlap goes with --window")
    wrapped = MultiScaleSegmenter(segmenter, scales, flip)
    return segmenter if wrapped.is_plain else wrapped


class MultiScaleSegmenter(Segmenter):
    """Averages what a network sees at several scales, and in the mirror.

    One image and one scale are in memory at a time, however many a batch has.

    Args:
        segmenter: runs the network.
        scales: factors of the size at which `segmenter` sees images; their order has no effect.
        flip: whether each scale is seen mirrored (left and right) as well.
        temperature: what the logits are divided by; it changes the confidence, and for a single
            view no prediction (Guo et al. 2017, section 4.2).

    Raises:
        LabError: for scales that are none, impossible, repeated or too large for the network.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        temperature: float = 1.0,
    ) -> None:
        names = ("classes", "palette", "mean", "std", "size", "stride")
        super().__init__({name: vars(segmenter)[name] for name in names})
        self.segmenter, self.temperature = segmenter, temperature
        self.scales = valid_scales(scales)
        self.flip = flip
        self.check_sizes()

    @property
    def is_plain(self) -> bool:
        """Whether this wrapper adds nothing."""
        return self.scales == (1.0,) and not self.flip

    def check_sizes(self) -> None:
        """Raises `LabError` when the largest scale makes more than the network is made for."""
        height, width = scaled_size(self.size, self.scales[-1])
        if max(height, width) > MAX_SIDE:
            raise LabError(
                f"scale {self.scales[-1]:g} makes images of about {height}x{width} pixels for the "
                f"network, above {MAX_SIDE} a side; choose a smaller one"
            )

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Runs the network: normalised images (B, 3, H, W) float32 → logits (B, K, H, W)."""
        return self.segmenter.run(batch)

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Segments several images, (H, W, 3) uint8 RGB each, one after the other."""
        return [self.predict(image) for image in images]

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Segments one image: (H, W, 3) uint8 RGB → (H, W) uint8 train ids.

        Raises:
            LabError: for an array of another kind.
        """
        if self.is_plain:
            return self.segmenter.predict(image)
        check_image(image)
        return decide(self.mean_probabilities(image), image.shape[:2])

    def mean_probabilities(self, image: np.ndarray) -> np.ndarray:
        """The mean over all views: (H, W, 3) uint8 → (K, H', W') float32, sum 1 over the classes.

        H' and W' are those of the largest view, or the image's where these are less.
        """
        sizes = [scaled_size(self.size, scale) for scale in self.scales]
        largest = network_size(image.shape[:2], sizes[-1])
        common = tuple(map(min, largest, image.shape[:2]))
        mean = np.zeros((len(self.classes), *common), dtype=np.float32)
        for size in sizes:
            for logits in self.views(image, size):
                mean += softmax(enlarge(logits, common) / np.float32(self.temperature))
        mean /= len(self.scales) * (1 + self.flip)
        return mean

    def views(self, image: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
        """Shows the network an image, and its mirror image where wanted.

        Args:
            image: (H, W, 3) uint8.
            size: (height, width) that takes the place of the training size.

        Returns:
            For each view the logits (K, H', W') without the padding, not mirrored any more.
        """
        seen = copy.copy(self.segmenter)
        seen.size = size
        height, width = network_size(image.shape[:2], size)
        shown = [image, image[:, ::-1]] if self.flip else [image]
        batch = np.stack([seen.preprocess(np.ascontiguousarray(each)) for each in shown])
        logits = seen.run(batch)[..., :height, :width]  # (1 or 2, K, H', W')
        return [logits[0], *logits[1:, ..., ::-1]]


class Grid(NamedTuple):
    """The windows of one scale, in pixels of the image."""

    scale: float
    """At which the network sees them."""
    height: int
    width: int
    tops: list[int]
    lefts: list[int]
    rows: np.ndarray
    columns: np.ndarray
    """What one view adds to a pixel's mean is multiplied by its row's and its column's number."""


class SlidingSegmenter(MultiScaleSegmenter):
    """Segments an image at its own resolution, window by window from top to bottom.

    Besides the image and the result, the memory holds the probabilities of a band of rows as high
    as a window. A window that would reach beyond the image moves inside.

    Args:
        segmenter: runs the network.
        window: (height, width) of what the network sees at once; None for the training size.
        overlap: the part of a window that it has in common with the next, 0 ... 0.9.
        scales: factors of the image's own resolution; 0.5 makes a window cover twice as many
            rows and columns of the image. A network that was trained on reduced images wants
            the factor by which they were reduced.
        flip: whether each window is seen mirrored (left and right) as well.

    Raises:
        LabError: for impossible values.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        window: Sequence[int] | None = None,
        overlap: float = DEFAULT_OVERLAP,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
    ) -> None:
        self.window = tuple(segmenter.size if window is None else window)
        self.overlap = overlap
        super().__init__(segmenter, scales, flip)

    @property
    def is_plain(self) -> bool:
        """Never: even a single window sees the image at another size than the plain segmenter."""
        return False

    def check_sizes(self) -> None:
        """Raises `LabError` for an impossible window or overlap."""
        if len(self.window) != 2 or not all(1 <= side <= MAX_SIDE for side in self.window):
            raise LabError(f"a window's height and width are 1 ... {MAX_SIDE}, not {self.window}")
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise LabError(f"the overlap of windows is 0 ... {MAX_OVERLAP}, not {self.overlap:g}")

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Segments one image: (H, W, 3) uint8 RGB → (H, W) uint8 train ids.

        Raises:
            LabError: for an array of another kind, or an image that is too wide for these windows.
        """
        check_image(image)
        grids = [self.grid(image.shape[:2], scale) for scale in self.scales]
        band = Band(len(self.classes), max(grid.height for grid in grids), image.shape[:2])
        starts = [(top, number) for number, grid in enumerate(grids) for top in grid.tops]
        for top, number in sorted(starts):
            band.advance(top)
            for left in grids[number].lefts:
                self.see_window(image, grids[number], top, left, band)
        band.advance(image.shape[0])
        return band.labels

    def see_window(self, image: np.ndarray, grid: Grid, top: int, left: int, band: "Band") -> None:
        """Adds to the band what the network says of one window of an image (H, W, 3)."""
        bottom, right = top + grid.height, left + grid.width
        part = image[top:bottom, left:right]
        for logits in self.views(part, scaled_size(part.shape[:2], grid.scale)):
            probabilities = softmax(enlarge(logits, part.shape[:2]))
            probabilities *= grid.rows[top:bottom, None]
            probabilities *= grid.columns[left:right]
            band.add(probabilities, top, left)

    def grid(self, size: tuple[int, int], scale: float) -> Grid:
        """Lays the windows of one scale over an image of `size` (height, width)."""
        height, width = map(min, scaled_size(self.window, 1 / scale), size)
        tops, rows = tile(size[0], height, self.overlap)
        lefts, columns = tile(size[1], width, self.overlap)
        views = len(self.scales) * (1 + self.flip)
        return Grid(scale, height, width, tops, lefts, rows / views, columns)


class Band:
    """Sums of probabilities for the rows of an image that are not finished yet.

    Args:
        num_classes: K.
        height: rows to keep.
        size: (height, width) of the image, H and W.

    Attributes:
        sums: (K, height, W) float32, of the rows from `top` on.
        top: the first row that is not finished.
        labels: (H, W) uint8, each row's best classes once it is finished.

    Raises:
        LabError: when the rows would take too much memory.
    """

    def __init__(self, num_classes: int, height: int, size: tuple[int, int]) -> None:
        shape = (num_classes, height, size[1])
        if 4 * np.prod(shape, dtype=np.int64) > MAX_BAND_BYTES:
            raise LabError(
                f"windows over {height} rows of an image {size[1]} pixels wide take more than "
                f"{MAX_BAND_BYTES / 1e9:.1f} GB; choose a lower window or larger scales"
            )
        self.sums = np.zeros(shape, dtype=np.float32)
        self.top = 0
        self.labels = np.zeros(size, dtype=np.uint8)

    def add(self, probabilities: np.ndarray, top: int, left: int) -> None:
        """Adds (K, height, width) at a place of the image; its rows must lie inside the band."""
        _, height, width = probabilities.shape
        first = top - self.top
        self.sums[:, first : first + height, left : left + width] += probabilities

    def advance(self, top: int) -> None:
        """Finishes the rows above `top`, which then is the band's first."""
        count = top - self.top
        if count == 0:
            return
        finished = self.sums[:, :count]
        self.labels[self.top : top] = upsample_argmax(finished, finished.shape[1:])
        for plane in self.sums:  # class by class: an overlapping copy takes a plane's memory
            plane[:-count] = plane[count:]
            plane[-count:] = 0
        self.top = top


# ------------------------------------------------------------------ parts


def valid_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """The scales in rising order, so that sums do not depend on the order that was given.

    Raises:
        LabError: when there is none, one is not in 0.01 ... 100, or one occurs twice.
    """
    ordered = tuple(sorted(map(float, scales)))
    are_possible = all(MIN_SCALE <= scale <= MAX_SCALE for scale in ordered)
    if not ordered or not are_possible or len(set(ordered)) < len(ordered):
        given = ", ".join(f"{scale:g}" for scale in scales) or "none"
        raise LabError(
            f"scales are different numbers from {MIN_SCALE:g} to {MAX_SCALE:g}, not {given}"
        )
    return ordered


def tile(length: int, window: int, overlap: float) -> tuple[list[int], np.ndarray]:
    """Lays windows along one side of an image.

    Args:
        length: of the side.
        window: length of a window, at most `length`.
        overlap: the part of a window that the next one covers again.

    Returns:
        Where they begin, the last one moved inside, and for each pixel, (length,) float32, one
        divided by the number of windows over it.
    """
    step = max(1, round(window * (1 - overlap)))
    starts = [*range(0, length - window, step), length - window]
    count = np.zeros(length, dtype=np.float32)
    for start in starts:
        count[start : start + window] += 1
    return starts, 1 / count


def decide(probabilities: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The classes at an image's `size` (H, W), of probabilities at another: (K, h, w) → (H, W)."""
    return upsample_argmax(np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)), size)


def enlarge(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes (K, h, w) bilinearly to (K, H, W) as PyTorch does with `align_corners=False`."""
    height, width = size
    if logits.shape[1:] == size:
        return logits
    planes = [cv2.resize(np.ascontiguousarray(plane), (width, height)) for plane in logits]
    return np.stack(planes)


def planes(probabilities: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """One class after another at `size` (H, W): all of a large photo's would fill the memory."""
    for plane in probabilities:
        yield enlarge(plane[None], size)[0]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the classes: (K, H, W) → (K, H, W), without overflow."""
    probabilities = logits - logits.max(axis=0)
    np.exp(probabilities, out=probabilities)
    probabilities /= probabilities.sum(axis=0)
    return probabilities
