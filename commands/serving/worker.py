"""One thread that segments, and a short queue before it.

A network uses all cores on one photo, so a second one at the same time would gain nothing. Whoever
finds the queue full is sent away with a time to come back, and the memory stays bounded.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

T = TypeVar("T")
LONGEST_WAIT = 60


class RefusalError(Exception):
    """A request that is not answered with a mask.

    Attributes:
        status: of HTTP.
        line: one sentence for people.
        headers: of the answer.
    """

    def __init__(self, status: int, line: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, line, headers


class Worker:
    """The thread and its queue.

    Args:
        waiting: how many photos may wait while one is segmented.
    """

    def __init__(self, waiting: int) -> None:
        self.pool = ThreadPoolExecutor(1, "segmenting")
        self.lock = threading.Lock()
        self.most, self.inside = waiting + 1, 0
        self.mean_seconds = 0.0
        self.done = 0

    def busy(self) -> RefusalError:
        """What somebody hears for whom there is no place: come back when the queue is through."""
        seconds = min(LONGEST_WAIT, max(1, math.ceil(self.most * self.mean_seconds)))
        line = f"the server is busy; try again in {seconds} s"
        return RefusalError(503, line, {"Retry-After": str(seconds)})

    async def run(self, work: Callable[[], T], request: Request) -> T:
        """Has the thread do some work for a request whose body has been read.

        Raises:
            RefusalError: when the queue is full, or the client has gone; its place in the queue is
                free then, and work that has not begun is not done.
        """
        if self.inside >= self.most:  # only the loop's own thread lets anybody in
            raise self.busy()
        self._count(1)
        future = self.pool.submit(self._timed, work)
        future.add_done_callback(lambda future: self._count(-1))  # in whichever thread
        result = asyncio.wrap_future(future)
        leaving = asyncio.ensure_future(request.receive())  # after the body: http.disconnect
        try:
            await asyncio.wait({result, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise RefusalError(499, "the client has gone")
            return result.result()
        finally:
            leaving.cancel()
            result.cancel()

    def _timed(self, work: Callable[[], T]) -> T:
        begun = time.perf_counter()
        try:
            return work()
        finally:
            seconds = time.perf_counter() - begun
            self.mean_seconds += (seconds - self.mean_seconds) / min(10, self.done + 1)
            self.done += 1

    def _count(self, change: int) -> None:
        with self.lock:
            self.inside += change
