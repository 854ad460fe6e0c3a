"""The tests of a TODO as they stand in test_implementation.py, for reading."""

import ast
from contextlib import suppress
from pathlib import Path

from commands.companion.report import uses_colors
from commands.companion.verdicts import TESTS
from utils import LabError


def tests_of(lab: Path, number: str) -> str:
    """The source of the short tests of a TODO, with the helpers that they use.

    Raises:
        LabError: when a file of tests is no Python.
    """
    parts = []
    for path in sorted(lab.glob(TESTS)):
        text = path.read_text(encoding="utf-8")
        try:
            nodes = ast.parse(text).body
        except SyntaxError as error:
            raise LabError(
                f"{path}:{error.lineno}: {error.msg}; copy it from your edition"
            ) from error
        tests = [node for node in nodes if is_test_of(node, number)]
        used = {each.id for test in tests for each in ast.walk(test) if isinstance(each, ast.Name)}
        helpers = [node for node in nodes if names_of(node) & used]
        parts += [source_of(node, text) for node in helpers + tests]
    return "\n\n\n".join(parts)


def is_test_of(node: ast.stmt, number: str) -> bool:
    """Whether a function has the marker of a TODO."""
    marker = f"pytest.mark.todo('{number}'"
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).startswith(marker) for each in decorators)


def names_of(node: ast.stmt) -> set[str]:
    """What a statement of a module defines, imports aside."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    }


def source_of(node: ast.stmt, text: str) -> str:
    """The lines of a statement, its decorators but that of the TODO included."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = text.split("\n")[first - 1 : node.end_lineno]
    return "\n".join(line for line in lines if not line.startswith("@pytest.mark.todo("))


def in_colors(source: str) -> str:
    """Python with colours where the terminal shows them; pytest brings pygments along."""
    with suppress(ImportError):
        from pygments import highlight
        from pygments.formatters import TerminalFormatter
        from pygments.lexers import PythonLexer

        if uses_colors():
            return highlight(source, PythonLexer(), TerminalFormatter()).rstrip("\n")
    return source
