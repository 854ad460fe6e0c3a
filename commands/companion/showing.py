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
        helpers = [node for node in nodes if names_of(node) & used_by(tests)]
        used = used_by(helpers + tests)
        lines = sorted(line for node in nodes for line in imports_of(node) if set(line[1]) & used)
        parts += ["\n".join(line for line, _ in lines)] * bool(lines)
        parts += [source_of(node, text) for node in helpers + tests if not imports_of(node)]
    return "\n\n\n".join(parts)


def used_by(nodes: list[ast.stmt]) -> set[str]:
    """The names that occur in statements."""
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}


def imports_of(node: ast.stmt) -> list[tuple[str, list[str]]]:
    """What a statement imports, `WhenUsed` too: each import as a line, and the names it brings."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        words = f"from {node.module} import" if isinstance(node, ast.ImportFrom) else "import"
        return [(f"{words} {ast.unparse(each)}", [each.asname or each.name]) for each in node.names]
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("WhenUsed("):
        return [(f"import {node.value.args[0].value}", [node.targets[0].id])]
    return []


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
