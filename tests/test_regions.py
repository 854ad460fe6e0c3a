"""The marker parser: what it finds, what it refuses, and that its uses undo each other."""

import ast

import pytest

from commands.companion.markers import (
    LAB_FILES,
    Region,
    graft,
    parse_answers,
    parse_solutions,
    read_source,
    splice,
    to_edition,
    without_answers,
)
from commands.companion.todos import BY_NUMBER, CHAPTERS, TODOS, all_needs
from teacher.catalogue import LAB, all_parts, solved_texts
from utils import LabError

SOLVED = '''def area(width: int, height: int) -> int:
    """Of a rectangle."""
    # TODO 1.1: multiply.
    # <solution 1.1>
    result = width * height
    # <student>
    # result = ...  # an int
    # </solution 1.1>
    return result


def both(x: int) -> int:
    # <solution 1.2a>
    for i in range(3):
        x += i

    y = x
    # <student>
    # y = ...
    # for i in range(3):
    #     y
    # </solution 1.2a>
    return y
'''


def answered(text: str, code: str) -> str:
    """A file of the edition with an answer to 1.1."""
    return splice(text, "file.py", [Region("1.1", "", 0, 0, "", tuple(code.split("\n")))])


def test_solutions_and_skeletons_are_told_apart():
    first, second = parse_solutions(SOLVED, "file.py")
    assert (first.part, first.todo, first.start, first.end) == ("1.1", "1.1", 4, 8)
    assert first.code == ("    result = width * height",)
    assert first.skeleton == ("result = ...  # an int",)
    assert (second.part, second.todo) == ("1.2a", "1.2")
    assert second.skeleton == ("y = ...", "for i in range(3):", "    y")


def test_edition_raises_then_shows_the_skeleton():
    text = to_edition(SOLVED, "file.py", {"1.1", "1.2"})
    assert (
        "    # <answer 1.1>\n"
        '    raise NotImplementedError("TODO 1.1")  # delete this line\n'
        "    result = ...  # an int\n"
        "    # </answer 1.1>\n"
        "    return result\n"
    ) in text
    assert "width * height" not in text and "solution" not in text and "<student>" not in text
    assert "# TODO 1.1: multiply." in text
    ast.parse(text)
    assert all(region.is_open for region in parse_answers(text, "file.py"))


def test_todos_that_are_not_open_stay_solved():
    text = to_edition(SOLVED, "file.py", {"1.2"})
    assert "result = width * height" in text
    assert [region.part for region in parse_answers(text, "file.py")] == ["1.2a"]


def test_graft_of_the_answers_of_a_filled_edition_runs():
    edition = to_edition(SOLVED, "file.py", {"1.1", "1.2"})
    filled = answered(edition, "def f(a):\n\treturn a\nresult = f(width) * height")
    answers = {r.part: r.answer() for r in parse_answers(filled, "file.py") if not r.is_open}
    assert set(answers) == {"1.1"}
    scope = {}
    exec(graft(SOLVED, "file.py", answers), scope)
    assert scope["area"](3, 4) == 12 and scope["both"](0) == 3


def test_graft_of_an_empty_answer_is_still_python():
    text = graft(SOLVED, "file.py", {"1.1": "# nothing yet\n"})
    ast.parse(text)
    assert "width * height" not in text


def test_lines_outside_the_regions_can_be_compared():
    edition = to_edition(SOLVED, "file.py", {"1.1", "1.2"})
    filled = answered(edition, "result = 1")
    assert without_answers(filled, "file.py") == without_answers(edition, "file.py")
    changed = filled.replace("return result", "return result + 1")
    assert without_answers(changed, "file.py") != without_answers(edition, "file.py")


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_files_of_any_editor_are_read(tmp_path, ending, start):
    path = tmp_path / "file.py"
    path.write_bytes(start + SOLVED.replace("\n", ending).encode())
    assert read_source(path) == SOLVED


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "file.py"
    path.write_bytes("# é\n".encode("latin-1"))
    with pytest.raises(LabError, match=r"file\.py: not UTF-8"):
        read_source(path)


BROKEN = {
    "is closed here but was not opened": ("# <solution 1.1>", "# nothing"),
    "is never closed": ("# </solution 1.2a>", "#"),
    "opens inside 1.1": ("# <student>\n    # result", "# <solution 1.3>\n    # result"),
    "malformed marker": ("# <solution 1.1>", "# <solution 1.1 >x"),
    "occurs twice": ("1.2a", "1.1"),
    "needs one `# <student>`, not 0": ("    # <student>\n    # result", "    # result"),
    "after <student>": ("    # result = ...", "    result = ..."),
    "has no solution": ("    result = width * height\n", ""),
    "cuts the statement": (
        "    # <solution 1.2a>\n    for i in range(3):",
        "    for i in range(3):\n    # <solution 1.2a>",
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_malformed_regions_are_refused_with_their_line(message):
    old, new = BROKEN[message]
    assert old in SOLVED
    with pytest.raises(LabError, match=message) as caught:
        parse_solutions(SOLVED.replace(old, new), "file.py")
    assert str(caught.value).startswith("file.py:")


def test_a_region_outside_a_function_is_refused():
    text = "# <solution 1.1>\nx = 1\n# <student>\n# x = ...\n# </solution 1.1>\n"
    with pytest.raises(LabError, match="outside a function"):
        parse_solutions(text, "file.py")


def test_a_region_in_an_expression_is_refused():
    text = (
        "def f():\n    return [\n        # <solution 1.1>\n        1,\n        # <student>\n"
        "        # 2,\n        # </solution 1.1>\n    ]\n"
    )
    with pytest.raises(LabError, match="cuts the statement at line 2"):
        parse_solutions(text, "file.py")


def test_the_lab_has_every_todo_and_no_other():
    parts = all_parts()
    assert {part.rstrip("abc") for part in parts} == set(BY_NUMBER)
    assert set(parts.values()) == set(LAB_FILES)


def test_the_data_of_the_todos_are_complete():
    numbers = list(BY_NUMBER)
    assert len(numbers) == len(TODOS)
    assert numbers == sorted(numbers, key=lambda n: [int(x) for x in n.split(".")])
    for todo in TODOS:
        assert todo.chapter in CHAPTERS and todo.points > 0 and todo.statement
        assert len(todo.hints) >= 2 and todo.number not in all_needs(todo.number)


@pytest.mark.parametrize("name", LAB_FILES)
def test_the_comment_of_a_todo_stands_before_its_region(name):
    text = solved_texts()[name]
    lines = text.split("\n")
    for region in parse_solutions(text, name):
        assert lines[region.start - 2].strip().startswith(f"# TODO {region.part}: "), region


def test_the_optional_todos_are_those_of_the_zoo():
    assert len([todo for todo in TODOS if not todo.is_optional]) == 20
    for todo in TODOS:
        assert todo.is_optional == todo.file.startswith("zoo/")
        assert not any(BY_NUMBER[number].is_optional for number in todo.needs)


def test_no_marker_stands_in_another_file():
    for path in [*LAB.glob("*.py"), *LAB.glob("zoo/*.py")]:
        if path.relative_to(LAB).as_posix() not in LAB_FILES:
            assert "# <solution" not in path.read_text(encoding="utf-8"), path
