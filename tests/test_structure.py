"""The direction of the imports, as the lab's design lays it down."""

import ast
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent.parent
LOCAL = {path.stem for path in LAB.glob("*.py")} | {"support", "toycity", "zoo", "teacher"}

ALLOWED = {
    "support.labels": set(),
    "utils": set(),
    "metrics": set(),
    "models": {"utils", "zoo"},
    "losses": {"utils", "zoo.losses"},
    "support.regions": {"utils"},
    "support.todos": set(),
    "support.checking": set(),
    "support.verdicts": {"support.regions"},
    "support.companion": {"support.regions", "support.todos", "support.verdicts", "utils"},
    "support.updates": {"support.companion", "support.regions", "utils"},
    "lab": {
        "support.companion",
        "support.regions",
        "support.todos",
        "support.updates",
        "support.verdicts",
        "utils",
    },
    "support.cityscapes": {"support.labels", "utils"},
    "support.prepared": {"support.cityscapes", "utils"},
    "support.loading": set(),
    "support.plots": {"utils"},
    "support.hardware": {"utils"},
    "support.schedules": {"utils"},
    "support.runs": {"utils"},
    "support.parallel": {"utils"},
    "support.parts": {"metrics", "support.parallel"},
    "support.weights": {"support.runs", "utils"},
    "support.compared": {"utils"},
    "support.comparison_text": {"support.compared", "utils"},
    "support.comparison_figures": {"support.compared", "support.comparison_text", "utils"},
    "support.comparison": {
        "support.compared",
        "support.comparison_figures",
        "support.comparison_text",
        "utils",
    },
    "support.sweeps": set(),
    "support.batch": {"support.sweeps"},
    "support.jobs": {"support.sweeps"},
    "job": {"support.batch", "support.jobs", "support.sweeps"},
    "support.session": {"metrics", "support.parallel", "support.runs", "utils"},
    "support.data_commands": {
        "support.cityscapes",
        "support.labels",
        "support.plots",
        "support.prepared",
        "utils",
    },
    "data": {
        "support.cityscapes",
        "support.data_commands",
        "support.labels",
        "support.loading",
        "support.plots",
        "support.prepared",
        "utils",
    },
    "deploy": {"support.labels", "utils"},
    "support.scales": {"deploy", "utils"},
    "training": {
        "metrics",
        "support.parallel",
        "support.parts",
        "support.plots",
        "support.runs",
        "support.session",
        "utils",
    },
    "support.options": {"utils"},
    "main": {"support.labels", "support.options", "utils"},
}


def local_imports(path: Path) -> set[str]:
    """The local modules that a file imports when it is imported itself, not inside functions."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in LOCAL}


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_point_one_way(module):
    path = LAB / f"{module.replace('.', '/')}.py"
    assert local_imports(path) <= ALLOWED[module]


def test_toycity_imports_labels_alone():
    for path in (LAB / "toycity").glob("*.py"):
        others = {name for name in local_imports(path) if not name.startswith("toycity")}
        assert others <= {"support.labels"}, path


def test_every_file_of_the_house_is_under_the_rule():
    tests = {"conftest", "test_implementation", "test_implementation_zoo"}
    files = {path.stem for path in LAB.glob("*.py")} - tests
    files |= {f"support.{path.stem}" for path in (LAB / "support").glob("*.py")}
    commands = {"support.assembly", "support.report", "support.__init__"}
    assert files - commands == set(ALLOWED)
