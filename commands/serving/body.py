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
    """The bytes of all bodies that are in memory at a time.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def has(self, size: int) -> bool:
        """Whether there is room for so many more."""
        return self.held + size <= self.most


class Body:
    """The body of one request, as far as it has come; it must be closed.

    Args:
        room: what it shares with the bodies of other requests.
    """

    def __init__(self, room: Room) -> None:
        self.room, self.data = room, bytearray()

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *error: object) -> None:
        self.room.held -= len(self.data)

    async def read(self, request: Request, most: int) -> bytes | None:
        """Reads all of it: of one that is larger, `most + 1` bytes or more; None for lack of room.

        What is still to come then, the connection takes in and drops, so that the client hears the
        answer.
        """
        async for chunk in request.stream():
            if not self.room.has(len(chunk)):
                return None
            self.room.held += len(chunk)
            self.data += chunk
            if len(self.data) > most:
                break
        return bytes(self.data)


async def read_photo(request: Request, body: Body, limits: Limits) -> bytes | None:
    """The file in a request: the body itself, or a form's field `image`; None for lack of room.

    Raises:
        RefusalError: 408 for a body that is too slow, 413 for one that is too large, 415 for none.
    """
    is_form = request.headers.get("content-type", "").strip().lower().startswith(FORM)
    most = limits.body_bytes + AROUND_THE_FILE * is_form
    try:
        photo = await asyncio.wait_for(body.read(request, most), limits.body_seconds)
    except asyncio.TimeoutError as error:
        line = f"the photo did not come within {limits.body_seconds:g} s; send a smaller one"
        raise RefusalError(408, line, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise RefusalError(499, "the client has gone") from error
    if photo is None:
        return None
    if is_form and len(photo) <= most:
        photo = await image_of_form(request, photo)
    if len(photo) > limits.body_bytes:
        line = f"the photo has more than {limits.body_bytes / 1e6:g} MB; send a smaller one"
        raise RefusalError(413, line)
    if not photo:
        raise RefusalError(415, "no photo; send an image file as the body, or as a form's `image`")
    return photo


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
