"""What all of the project's tests share."""

import signal
from collections.abc import Iterator

import pytest
import torch
from tensorboard.summary.writer import event_file_writer


@pytest.fixture(scope="session", autouse=True)
def _default_signals() -> None:
    """Has the programs that tests start be stopped by SIGINT and SIGHUP.

    A shell starts its background jobs, such as `make test &`, with SIGINT ignored, and `nohup` with
    SIGHUP ignored; children inherit that, a handler they do not.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)


@pytest.fixture(scope="session", autouse=True)
def _forks_may_compute() -> None:
    """Lets the grader's sandbox, which some tests start in this process, fork children that learn.

    The first backward pass decides by the devices there are whether forks are refused; an export to
    ONNX before it, by another test, makes a device known that no process has otherwise.
    """
    torch.ones(1, requires_grad=True).backward()


@pytest.fixture(scope="session", autouse=True)
def _freed_memory_goes_back() -> Iterator[None]:
    """Keeps trainings in this process from holding on to their memory until it ends.

    The grader's children would have their share in it: more than the limit that tests give them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.engine.hardware.keep_freed_memory", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _event_files_sort_by_age() -> None:
    """Has TensorBoard read the event files that this process writes in the order of their writing.

    It sorts them by name: time in whole seconds, then a counter without leading zeros, so that of
    two sessions within a second, as only tests have them, number 10 came before number 9.
    """
    event_file_writer._global_uid = event_file_writer.AtomicCounter(1_000_000)
