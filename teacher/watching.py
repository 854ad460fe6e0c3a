"""The pytest plugin of the sandbox: which tests run, what they say, and whether to believe them."""

import builtins
import inspect
import sys
from collections.abc import Callable
from types import ModuleType

import pytest


class Reporter:
    """Runs the tests of some TODOs and reports each result.

    Code under test could make every test pass by exchanging what the tests call: `torch.allclose`,
    parts of pytest, the tests themselves. Regions stand inside functions, so such code runs only
    after the tests have been collected; what the names meant then is compared with what they mean
    at the end.

    Args:
        todos: numbers of the TODOs whose tests to run.
        send: takes an entry: a result, or {"end": trouble or None}.
    """

    def __init__(self, todos: tuple[str, ...], send: Callable[[dict[str, object]], None]) -> None:
        self.todos, self.send = set(todos), send
        self.before: dict[str, dict[str, tuple[int, ...]]] = {}
        self.trouble: str | None = "the tests could not be collected"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keeps the tests that were asked for."""
        items[:] = [
            item
            for item in items
            if (marker := item.get_closest_marker("todo")) and marker.args[0] in self.todos
        ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remembers what every name means before any code under test runs."""
        self.trouble = None
        self.before = meanings()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported ends everything."""
        if report.failed:
            text = str(report.longrepr).strip().splitlines()
            self.send({"todo": "", "test": "import", "verdict": "wrong", "message": text[-1][:500]})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Reports a test; its message is cut to a sensible length."""
        if hasattr(report, "verdict"):
            self.send(
                {
                    "todo": report.todo,
                    "test": report.nodeid.rpartition("::")[2],
                    "verdict": report.verdict,
                    "message": str(report.message)[:5000],
                }
            )

    def finish(self) -> None:
        """Reports the end, and whether something was exchanged."""
        after = meanings()
        for module, names in self.before.items():
            for name, meaning in names.items():
                if after.get(module, {}).get(name) != meaning:
                    self.trouble = f"the code exchanges {module}.{name}, by which it is tested"
        self.send({"end": self.trouble})


def meanings() -> dict[str, dict[str, tuple[int, ...]]]:
    """The identity of every name of the modules and classes that tests go by."""
    import numpy
    import torch

    places: list[ModuleType | type] = [builtins, torch, torch.testing, torch.nn, numpy]
    places += [numpy.testing, torch.nn.functional, torch.Tensor, torch.autograd, pytest]
    for name, module in list(sys.modules.items()):
        first = name.split(".")[0]
        is_test = first == "conftest" or first.startswith("test_implementation")
        if is_test or first in ("_pytest", "pluggy", "support") or name == "teacher.watching":
            places.append(module)
            places += [
                each
                for each in vars(module).values()
                if inspect.isclass(each) and each.__module__ == name
            ]
    return {
        getattr(place, "__qualname__", place.__name__): {
            name: (id(value), id(getattr(value, "__code__", None)))
            for name, value in list(vars(place).items())
            if is_fixed(value)
        }
        for place in places
    }


def is_fixed(value: object) -> bool:
    """Whether nothing but mischief exchanges it: a function, a class, a method."""
    return callable(value) or isinstance(value, staticmethod | classmethod | property)
