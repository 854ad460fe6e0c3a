"""The photo in a request: read into memory and nowhere else, within limits of size and of time."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from commands.serving.worker import RefusalError

FORM = "multipart/form-data"
AROUND_THE_FILE = 65_536  # bytes of a form beyond its photo


class Limits(NamedTuple):
    """What a request may cost."""

    body_bytes: int = 20_000_000
    """Of a photo's file."""
    pixels: int = 40_000_000
    """Of a photo."""
    waiting: int = 16
    """Photos that may wait while one is segmented."""
    held_bytes: int = 400_000_000
    """Of all bodies that are in memory, half received or waiting."""
    body_seconds: float = 60
    """For a whole body: who sends more slowly is cut off."""


class Room:
    """The bytes of all bodies together; a request gives its share back when it is answered."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0


class Share:
    """What one request holds of a `Room`."""

    def __init__(self, room: Room) -> None:
        self.room, self.size = room, 0

    def take(self, size: int) -> bool:
        """Takes more bytes, if there is room."""
        if self.room.held + size > self.room.most:
            return False
        self.size += size
        self.room.held += size
        return True

    def give_back(self) -> None:
        """Gives all of it back."""
        self.room.held -= self.size
        self.size = 0


async def read_photo(request: Request, limits: Limits, share: Share) -> bytes | None:
    """The file in a request: the body itself, or a form's field `image`; None for lack of room.

    Raises:
        RefusalError: 408 for a body that is too slow, 413 for one that is too large, 415 for none.
    """
    is_form = request.headers.get("content-type", "").strip().lower().startswith(FORM)
    most = limits.body_bytes + AROUND_THE_FILE * is_form
    too_large = RefusalError(
        413, f"more than {limits.body_bytes // 10**6} MB; send a smaller photo"
    )
    try:
        body = await asyncio.wait_for(read_body(request, most, share), limits.body_seconds)
    except asyncio.TimeoutError as error:
        line = f"the photo did not come within {limits.body_seconds:g} s; send it faster or smaller"
        raise RefusalError(408, line, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise RefusalError(499, "the client has gone") from error
    if body is None:
        return None
    photo = await image_of_form(request, body) if is_form and len(body) <= most else body
    if len(photo) > limits.body_bytes:
        raise too_large
    if not photo:
        raise RefusalError(415, "no photo; send an image file as the body, or as a form's `image`")
    return photo


async def read_body(request: Request, most: int, share: Share) -> bytes | None:
    """The body, or None for lack of room; of one that is too large, `most + 1` bytes.

    What nobody wants is read all the same, up to four times as much: a client that is still sending
    would not hear the answer.
    """
    body, size, has_room = bytearray(), 0, True
    async for chunk in request.stream():
        size += len(chunk)
        if size > 4 * most:
            break
        if size > most or not has_room:
            body.clear()
        elif share.take(len(chunk)):
            body += chunk
        else:
            has_room = False
    if size > most:
        return bytes(most + 1)
    return bytes(body) if has_room else None


async def image_of_form(request: Request, body: bytes) -> bytes:
    """The file (or text) `image` of a form whose body has been read."""

    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=10)
    parser.spool_max_size = len(body) + 1  # larger than any file in it, so that none goes to disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(415, f"a form that cannot be read ({error.message})") from error
    image = form.get("image")
    if image is None or isinstance(image, str):
        raise RefusalError(415, "the form has no file named image")
    return await image.read()
