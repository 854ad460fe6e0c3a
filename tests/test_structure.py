"""The direction of the imports, as the lab's design lays it down."""

import ast
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
LOCAL = {path.stem for path in LAB.glob("*.py")} | {"support", "toycity", "zoo", "teacher"}


def local_imports(path: Path) -> set[str]:
    """The local modules that a file imports when it is imported itself, not inside functions."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in LOCAL}


def test_toycity_imports_labels_alone():
    for path in (LAB / "toycity").glob("*.py"):
        others = {name for name in local_imports(path) if not name.startswith("toycity")}
        assert others <= {"support.formats.labels"}, path
