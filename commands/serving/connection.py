"""A connection that is cut off when its client neither asks nor reads for too long.

uvicorn limits the time between two requests alone. A client that sends the head of a request byte
by byte, or never reads its answer, would hold the connection for ever.
"""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30


def server_of(app: FastAPI) -> uvicorn.Server:
    """A server for the application, which says nothing but what goes wrong."""
    return uvicorn.Server(
        uvicorn.Config(
            app, http=Connection, loop="asyncio", ws="none", lifespan="off", log_level="error",
            access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=5,
        )
    )  # fmt: skip


class Connection(H11Protocol):
    """An HTTP connection that may be without a request, or with an unread answer, 30 to 60 s."""

    seconds: float = SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begins to look every `seconds`."""
        super().connection_made(transport)
        self.last_idle: object = self
        self.look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends looking."""
        self.next_look.cancel()
        super().connection_lost(exc)

    def look(self) -> None:
        """Cuts the connection when nothing has come of it since the last look."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.last_idle is self.cycle:
            self.transport.abort()
        self.last_idle = self.cycle if is_idle else self
        self.next_look = self.loop.call_later(self.seconds, self.look)
