"""What a photo is answered with: made in the worker's thread, equal to `main.py test --image`."""

import gzip
import io
import time
from typing import Literal

import numpy as np
from fastapi.responses import JSONResponse, Response
from PIL import Image

from commands.command_line.advice import line_about
from commands.serving.worker import RefusalError
from commands.test import overlay_of, shares_of
from deploy import Segmenter
from utils import LabError, TooLargeError, read_image

Kind = Literal["png", "overlay", "json", "raw"]
"""Train ids as 8-bit grey, the photo below its mask, each class's share, ids a byte each."""


def answer(segmenter: Segmenter, photo: bytes, kind: Kind, pixels: int, may_zip: bool) -> Response:
    """Segments the file of a photo.

    Args:
        segmenter: the network.
        photo: an image file.
        kind: of answer.
        pixels: the most that a photo may have.
        may_zip: whether the client takes gzip, in which `raw` is some hundredths as large.

    Raises:
        RefusalError: 415 for what is no image, 422 for one that is too large, 500 where the network
            fails or the memory does not suffice.
    """
    begun = time.perf_counter()
    try:
        image = decoded(photo, pixels)
        train_ids = segmenter.predict(image)
    except LabError as error:
        raise RefusalError(500, error.line) from error
    except NotImplementedError as error:  # in an edition whose TODO 7.2 is open
        raise RefusalError(500, line_about(str(error)) or str(error)) from error
    except MemoryError as error:
        raise RefusalError(500, "the memory does not suffice for this photo") from error
    height, width = train_ids.shape
    milliseconds = 1000 * (time.perf_counter() - begun)
    headers = {"X-Size": f"{width}x{height}", "X-Milliseconds": f"{milliseconds:.1f}"}
    if kind == "json":
        shares = shares_of(segmenter, train_ids)
        values = {"width": width, "height": height, "milliseconds": round(milliseconds, 1)}
        return JSONResponse(values | {"classes": shares}, headers=headers)
    if kind == "raw":
        content = train_ids.tobytes()
        if may_zip:
            content, headers["Content-Encoding"] = gzip.compress(content, 1), "gzip"
        return Response(content, headers=headers, media_type="application/octet-stream")
    picture = train_ids if kind == "png" else overlay_of(segmenter, image, train_ids)
    return Response(png(picture), headers=headers, media_type="image/png")


def decoded(photo: bytes, pixels: int) -> np.ndarray:
    """The photo as (H, W, 3) uint8 RGB; `RefusalError` for what is none, or has too many pixels."""
    try:
        return read_image(photo, pixels)
    except LabError as error:
        status = 422 if isinstance(error, TooLargeError) else 415
        raise RefusalError(status, error.line) from error


def png(image: np.ndarray) -> bytes:
    """An image, (H, W) or (H, W, 3) uint8, as a PNG file in memory."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "png", compress_level=3)
    return file.getvalue()
