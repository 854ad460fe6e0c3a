"""The pytest plugin of the sandbox: which tests run, what they say, and whether to believe them."""

import ast
import builtins
import inspect
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from commands.companion.markers import LAB_FILES, parse_answers, read_source
from utils import LabError

WATCHED = (
    "_pytest",
    "pluggy",
    "commands",
    "support",
    "torch.testing",
    "numpy.testing",
    "numpy._core.numeric",
    "numpy._core.fromnumeric",
    "numpy.core.numeric",
    "numpy.core.fromnumeric",
)
"""Packages whose modules the tests go by, besides those that `places` names."""

OF_TESTS = ("test_implementation", "conftest", "checks", "commands.companion.checking")
"""What the names of our own modules begin with: the tests, and what words their verdicts."""

ANSWER = re.compile(r"^[ \t]*# <answer ", re.MULTILINE)


class Reporter:
    """Runs the tests of some TODOs and reports each result.

    Code under test could make every test pass by exchanging what the tests call: `torch.allclose`,
    parts of pytest, the tests themselves. Regions stand inside functions, so such code runs only
    after the tests have been collected; what the names meant then is compared with what they mean
    at the end. A test that is skipped, or that never ends, has shown nothing.

    Args:
        todos: numbers of the TODOs whose tests to run.
        send: takes an entry: {"plan": names of the tests}, a result, {"end": trouble or None}.
    """

    def __init__(self, todos: tuple[str, ...], send: Callable[[dict[str, object]], None]) -> None:
        self.todos, self.send = set(todos), send
        self.before: dict[str, dict[str, tuple[object, object]]] = {}
        self.trouble: str | None = "the tests could not be collected"
        self.has_looked = False

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
        self.send({"plan": [name_of(item.nodeid) for item in session.items]})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported ends everything."""
        if report.failed:
            text = str(report.longrepr).strip().splitlines() or ["no reason given"]
            self.send({"todo": "", "test": "import", "verdict": "wrong", "message": text[-1][:500]})

    def pytest_runtest_setup(self) -> None:
        """Lets chance begin anew, so that a test does not depend on those before it."""
        import numpy
        import torch

        random.seed(0)
        numpy.random.seed(0)
        torch.manual_seed(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Reports a test; its message is cut to a sensible length."""
        if not hasattr(report, "verdict"):
            return
        verdict, message = str(report.verdict), str(report.message)[:5000]
        if report.skipped or hasattr(report, "wasxfail"):
            verdict, message = "wrong", f"TODO {report.todo} is wrong: it leads to a skipped test"
        elif report.failed and verdict == "passed":
            verdict, message = "wrong", f"TODO {report.todo} is wrong: its test says nothing"
        test = name_of(report.nodeid)
        self.send({"todo": report.todo, "test": test, "verdict": verdict, "message": message})

    def finish(self) -> None:
        """Reports the end."""
        if self.trouble is None and not self.has_looked:
            self.trouble = "the code ended the tests"
        self.send({"end": self.trouble})

    def pytest_sessionfinish(self) -> None:
        """Looks whether something was exchanged, before pytest itself tidies up."""
        if self.trouble is not None:
            return
        self.has_looked = True
        after = meanings()
        for place, names in self.before.items():
            found = after.get(place, {})
            changed = [name for name in names if not is_same(names[name], found.get(name))]
            if is_closed(place):
                changed += sorted(set(found) - set(names))
            if changed:
                name = f"{place}.{changed[0]}"
                self.trouble = f"the code exchanges {name}, by which it is tested"


def name_of(nodeid: str) -> str:
    """The name of a test with its file, but not with that file's folder."""
    file, colons, test = nodeid.partition("::")
    return file.rpartition("/")[2] + colons + test


def meanings() -> dict[str, dict[str, tuple[object, object]]]:
    """What every name of the modules and classes that tests go by means, and its code."""
    return {
        name: {
            key: (value, getattr(value, "__code__", None))
            for key, value in list(vars(place).items())
            if is_fixed(value) or (is_of_tests(name) and not key.startswith("__"))
        }
        for name, place in places()
    }


def places() -> Iterator[tuple[str, ModuleType | type]]:
    """The modules and classes that tests go by, each under its name."""
    import math

    import numpy
    import torch

    for module in (builtins, math, torch, torch.nn, numpy, torch.nn.functional, pytest):
        yield module.__name__, module
    yield "torch.Tensor", torch.Tensor
    yield "torch.autograd", torch.autograd
    for name, module in list(sys.modules.items()):
        is_watched = any(name == each or name.startswith(f"{each}.") for each in WATCHED)
        if isinstance(module, ModuleType) and (is_watched or is_of_tests(name)):
            yield name, module
            for each in list(vars(module).values()):
                if inspect.isclass(each) and each.__module__ == name:
                    yield f"{name}.{each.__qualname__}", each


def is_of_tests(name: str) -> bool:
    """Whether a module is one of ours, whose every name counts."""
    return name.startswith(OF_TESTS)


def is_closed(name: str) -> bool:
    """Whether nothing may be added: a new name there would come before the one that is meant."""
    return is_of_tests(name) or name == "torch.Tensor"


def is_fixed(value: object) -> bool:
    """Whether nothing but mischief exchanges it: a function, a class, a method."""
    return callable(value) or isinstance(value, staticmethod | classmethod | property)


def is_same(before: tuple[object, object], after: tuple[object, object] | None) -> bool:
    """Whether a name still means the same object with the same code."""
    return after is not None and before[0] is after[0] and before[1] is after[1]


def syntax_fault(lab: Path) -> str | None:
    """What is wrong with the Python of the answers, or None.

    Each answer must be whole statements by itself: one that leaves a bracket or a string open would
    swallow what comes after it.
    """
    for file in LAB_FILES:
        try:
            text = read_source(lab / file)
            if not ANSWER.search(text):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for region in parse_answers(text, file):
                    code = "\n".join(region.code)
                    fault = fault_of(f"if True:\n{code}\n", f"{region.part}", 1)
                    if fault:
                        return fault
                compile(text, file, "exec")
        except LabError as error:
            return str(error)
        except SyntaxError as error:
            return f"syntax error: {error.msg} ({file}:{error.lineno} of the graded copy)"
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            return f"syntax error: {type(error).__name__} ({file})"
    return None


def fault_of(code: str, part: str, before: int) -> str | None:
    """What is wrong with the syntax of one answer, or None."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"syntax error in {part}, line {max((error.lineno or 1) - before, 1)}: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"syntax error in {part}: it cannot be read ({type(error).__name__})"
    return None
