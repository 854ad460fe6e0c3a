"""What all of the project's tests share."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _default_sigint() -> None:
    """Has the programs that tests start be stopped by SIGINT.

    A shell starts its background jobs, such as `make test &`, with SIGINT ignored, and children
    inherit that; a handler they do not.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
