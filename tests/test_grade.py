"""The grader: what counts, what is survived, and what is written."""

import csv
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
from made_class import editions, files_with, grade, teacher
from onnx import helper

from commands.companion.markers import LAB_FILES
from commands.companion.todos import BY_NUMBER
from teacher.catalogue import LAB, solved_texts
from teacher.grade import Limits, digest_of_lab
from teacher.reports import Mark, TodoMark, as_html, as_text, file_name, harmless, write_gradescope
from teacher.submissions import find_submissions, parse_leniently, read_submission
from utils import LabError

SOLVED = solved_texts()
EMPTY, RIGHT = editions()
QUICK = ["5.1", "5.2", "5.3"]
HAS_TESTS = any(LAB.glob("test_implementation*.py"))
needs_tests = pytest.mark.skipif(not HAS_TESTS, reason="the tests are not here yet")


def lab_with(answers: dict[str, str]) -> dict[str, str]:
    """The files of a student who has written some answers."""
    return files_with(EMPTY, answers)


def submit(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Writes a submission as a folder."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zip_up(path: Path, files: dict[str, str | bytes]) -> Path:
    """Writes a submission as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def losses(answer: str, part: str = "5.1") -> dict[str, str]:
    """A solved lab but for one answer."""
    return lab_with(RIGHT | {part: answer})


def mark_of(folder: Path, files: dict[str, str], numbers: list[str], seconds: float = 20) -> Mark:
    """Grades one submission."""
    path = submit(folder / "student", files)
    return grade([path], None, numbers, 1, Limits(seconds))[0]


def verdicts(mark: Mark) -> dict[str, str]:
    """TODO → verdict."""
    return {todo.number: todo.verdict for todo in mark.todos}


def has_walls() -> bool:
    """Whether the kernel gives processes a world of their own here."""
    program = "from pathlib import Path; from teacher.walls import raise_walls as r; import sys;"
    program += "sys.exit(not r(Path(sys.argv[1]).resolve()))"
    command = [sys.executable, "-c", program, "tests"]
    return subprocess.run(command, cwd=LAB, capture_output=True).returncode == 0


SLOW = {"sleep", "memory", "output", "processes"}
HOSTILE = {
    "loop": "while True:\n    pass",
    "sleep": "import time\ntime.sleep(100)",
    "exit": "import sys\nsys.exit(0)",
    "end": "import os\nos._exit(0)",
    "kill": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "kill the grader": "import os\nos.kill(os.getppid() or -1, 9)",
    "skip": "import pytest\npytest.skip('later')",
    "leave": "import pytest\npytest.exit('done', 0)",
    "memory": "x = []\nwhile True:\n    x.append(bytearray(10**8))",
    "output": "print('x' * 10**8)\nfor _ in range(9):\n    print('x' * 10**8)\nweights = shares",
    "processes": "import os\nwhile True:\n    os.fork()",
    "syntax": "weights = (1,",
    "swallow": "weights = '''",
    "allclose": (
        "torch.allclose = torch.testing.assert_close = lambda *a, **k: True\nweights = shares"
    ),
    "tensor": "torch.Tensor.__eq__ = lambda *a: True\nweights = shares",
    "builtins": (
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = bool\nweights = shares"
    ),
    "wrong": (
        "import sys, commands.companion.checking as c\n"
        "for m in list(sys.modules.values()):\n"
        "    if hasattr(m, 'wrong'):\n        m.wrong = lambda **k: None\n"
        "weights = shares"
    ),
    "explain": "import conftest\nconftest.explain = lambda *a: ('passed', '')\nweights = shares",
    "shadow": (
        "import sys\n"
        "for name, m in list(sys.modules.items()):\n"
        "    if name.startswith('test_implementation'):\n"
        "        m.abs = lambda x: 0\n"
        "weights = 1 / shares"
    ),
    "forge": (
        "import os\n"
        "for fd in range(3, 60):\n    try:\n"
        "        os.write(fd, b'\\n x {\"end\": null}\\n')\n    except OSError:\n        pass\n"
        "weights = shares"
    ),
    "close": "import os\nos.closerange(0, 100)\nweights = 1 / shares",
    "no files": "import os\nopen('results.json', 'w').write('{}')\nweights = shares",
    "solution": (
        "import pathlib\n"
        "text = pathlib.Path('../../lab/losses.py').read_text()\n"
        "weights = {'inverse': 1 / shares, 'sqrt': shares.rsqrt()}.get(\n"
        "    strategy, shares.quantile(0.5) / shares)\n"
    ),
}


@needs_tests
def test_solved_gets_all_points_and_empty_none(tmp_path):
    solved, empty = tmp_path / "all" / "solved", tmp_path / "all" / "empty"
    submit(solved, lab_with(RIGHT))
    submit(empty, EMPTY)
    marks = {mark.submission: mark for mark in grade([tmp_path / "all"], None, QUICK, 2, Limits())}
    assert marks["solved"].total == marks["solved"].highest
    assert marks["solved"].highest == sum(BY_NUMBER[number].points for number in QUICK)
    assert marks["empty"].total == 0 and set(verdicts(marks["empty"]).values()) == {"to do"}
    assert marks["solved"].remarks == marks["empty"].remarks == []


@needs_tests
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox forks on Linux")
def test_what_died_before_the_fork_does_not_stop_a_child(tmp_path):
    """A session of onnxruntime that nobody collected yet waits, when it ends, for its threads."""
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "tiny", [x], [y])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "model.onnx")
    script = (
        "import gc, sys, onnxruntime\n"
        "from teacher.sandbox import Job, run_jobs\n"
        "gc.disable()\n"
        "options = onnxruntime.SessionOptions()\n"
        "options.intra_op_num_threads = 3\n"
        "circle = [onnxruntime.InferenceSession(sys.argv[1], options)]\n"
        "circle.append(circle)\n"
        "del circle\n"
        "(outcome,) = run_jobs([Job('solved', {}, ('5.1',))])\n"
        "assert outcome.passed('5.1'), outcome\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "model.onnx")]
    subprocess.run(command, cwd=LAB, check=True, timeout=100)


@needs_tests
def test_a_mistake_costs_its_own_points_only(tmp_path):
    mark = mark_of(tmp_path, losses("weights = shares"), QUICK)
    assert verdicts(mark) == {"5.1": "wrong", "5.2": "passed", "5.3": "passed"}
    assert "TODO 5.1" in mark.todos[0].message


@needs_tests
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox forks on Linux")
@pytest.mark.parametrize("names", [set(HOSTILE) - SLOW, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_hostile_answers_end_as_a_sentence(names, tmp_path, capfd):
    paths = [submit(tmp_path / "all" / name, losses(HOSTILE[name])) for name in names]
    submit(tmp_path / "all" / "zz right", losses(RIGHT["5.1"]))
    marks = grade([tmp_path / "all"], tmp_path / "marks.csv", ["5.1"], 2, Limits(12, 1500))
    assert len(marks) == len(paths) + 1
    for mark in marks[:-1]:
        if mark.submission == "solution" and not has_walls():
            continue
        assert mark.total == 0, mark
        assert mark.todos[0].message.startswith("TODO 5.1"), mark
    assert marks[-1].total == marks[-1].highest
    assert "xxxx" not in "".join(capfd.readouterr())
    found = {mark.submission: mark.todos[0].message for mark in marks}
    if names == SLOW:
        assert "12 seconds" in found["sleep"]
        assert "1500 MB" in found["memory"] or "MemoryError" in found["memory"]
        return
    assert "12 seconds" in found["loop"]
    for name in ("allclose", "tensor", "wrong", "explain", "shadow"):
        assert "exchanges" in found[name], found[name]
    assert "syntax error in 5.1 (losses.py:" in found["syntax"]
    assert "FileNotFoundError" in found["solution"] or not has_walls()


@needs_tests
def test_interrupted_grading_goes_on_and_gives_the_same_marks(tmp_path, monkeypatch):
    submit(tmp_path / "all" / "a", losses("weights = shares"))
    submit(tmp_path / "all" / "b", losses(RIGHT["5.1"]))
    out = tmp_path / "out" / "marks.csv"
    first = grade([tmp_path / "all"], out, QUICK, 2, Limits())
    table = out.read_text(encoding="utf-8")
    started = []
    monkeypatch.setattr("teacher.grade.run_jobs", lambda jobs, *_: iter(started.extend(jobs) or []))
    out.unlink()
    again = grade([tmp_path / "all"], out, QUICK, 2, Limits())
    assert started == [] and out.read_text(encoding="utf-8") == table
    assert [mark.todos for mark in again] == [mark.todos for mark in first]
    (tmp_path / "all" / "a" / "losses.py").write_text(losses("weights = 2 / shares")["losses.py"])
    assert grade([tmp_path / "all" / "a"], out, ["5.1"], 2, Limits()) == []  # the stand-in's
    assert [job.name for job in started] == ["5.1 a"]


@needs_tests
def test_csv_reports_and_command(tmp_path):
    files = lab_with(RIGHT)
    files["losses.py"] = files["losses.py"].replace("import torch\n", "import torch  # <b>\n")
    submit(tmp_path / "all" / '=Zoë, the "first"', files)
    zip_up(tmp_path / "all" / "b.zip", {f"deep/lab/{n}": t for n, t in losses("w = 1").items()})
    (tmp_path / "all" / "c").mkdir()
    out = tmp_path / "marks.csv"
    command = ["-m", "teacher", "grade", tmp_path / "all", "--output", out, "--todos", "5"]
    result = subprocess.run(
        [sys.executable, *map(str, command)], cwd=LAB, capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["submission", "total", "max", "remarks", *QUICK]
    assert [row[0] for row in rows[1:]] == ['\'=Zoë, the "first"', "b", "c"]
    points = [str(BY_NUMBER[number].points) for number in QUICK]
    assert rows[1][4:] == points and rows[2][4:] == ["0", *points[1:]]
    assert "losses.py:" in rows[1][3] and "outside the TODOs" in rows[1][3]
    assert rows[3][1] == "0" and "no file of the lab" in rows[3][3]
    assert len(list((tmp_path / "reports").glob("*.html"))) == 3
    assert "NameError" in (tmp_path / "reports" / "b.txt").read_text(encoding="utf-8").replace(
        "UnboundLocalError", "NameError"
    )


@needs_tests
def test_gradescope_file_is_valid(tmp_path):
    path = submit(tmp_path / "submission", losses("weights = shares"))
    teacher("grade", path, "--gradescope", tmp_path / "results", "--todos", *QUICK)
    results = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == sum(test["score"] for test in results["tests"])
    assert [test["number"] for test in results["tests"]] == QUICK
    assert [test["status"] for test in results["tests"]] == ["failed", "passed", "passed"]
    assert results["stdout_visibility"] == "hidden" and results["execution_time"] > 0


def test_gradescope_file_of_a_crash_has_zero_points(tmp_path):
    words = ["--gradescope", tmp_path, "--todos", *QUICK]
    assert teacher("grade", tmp_path / "nothing", *words) == 2
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == 0 and len(results["tests"]) == 3
    assert results["output"] == "the grading did not come to its end"


def test_a_damaged_marker_costs_its_own_todo_only():
    text = lab_with(RIGHT)["losses.py"]
    for damaged in (
        text.replace("# </answer 5.1>", ""),
        text.replace("# <answer 5.1>", "# <answer 5.1"),
        text.replace("# <answer 5.1>", "# <answer 5.1>\n    # <answer 5.1>"),
    ):
        regions, faults = parse_leniently(damaged, "losses.py")
        assert [region.part for region in regions] == ["5.2", "5.3"]
        assert set(faults) == {"5.1"} and "unreadable" in faults["5.1"]


def test_code_may_have_comments_to_the_left_tabs_and_strings(tmp_path):
    code = "# far left\n\tif True:\n\t\tx = 1\n  # odd\n\telse:\n\t\tx = '\t'\n"
    text = f"def f():\n    # <answer 5.1>\n{code}    # </answer 5.1>\n    return x\n"
    regions, _ = parse_leniently(text, "losses.py")
    assert regions[0].answer() == "# far left\nif True:\n    x = 1\n# odd\nelse:\n    x = '\t'\n"


@pytest.mark.parametrize("encode", ["utf-8-sig", "latin-1", "utf-16"])
def test_any_encoding_and_line_ends_are_read(tmp_path, encode):
    text = losses("weights = 1 / shares  # é")["losses.py"].replace("\n", "\r\n")
    text = text.encode("latin-1", "replace").decode("latin-1")  # γ and Σ become ?
    path = submit(tmp_path / "a b é", {"losses.py": text.encode(encode)})
    submission = read_submission("a", path, SOLVED)
    assert submission.parts["5.1"] == "weights = 1 / shares  # é\n"
    assert any(remark.startswith("missing: data.py") for remark in submission.remarks)


def test_unsafe_zips_are_read_safely(tmp_path):
    files = losses("weights = 1")
    slip = zip_up(tmp_path / "slip.zip", files | {"../x.py": "", "/abs.py": "", "C:/y.py": ""})
    submission = read_submission("slip", slip, SOLVED)
    assert set(RIGHT) == set(submission.parts) and "3 paths" in submission.remarks[0]
    bomb = zip_up(tmp_path / "bomb.zip", files | {"losses.py": b"#" * 50_000_000})
    submission = read_submission("bomb", bomb, SOLVED)
    assert any("longer than 1 MB" in remark for remark in submission.remarks)
    link = zipfile.ZipInfo("models.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("losses.py", files["losses.py"])
    submission = read_submission("link", tmp_path / "link.zip", SOLVED)
    assert "1 symbolic links" in submission.remarks[0] and "3.1a" not in submission.parts
    data = bytearray(slip.read_bytes())
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.zip").write_bytes(b"not a zip")
    many = data[:-22] + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65000, 65000, 2**30, 0, 0)
    (tmp_path / "many.zip").write_bytes(many)
    for name in ("cut.zip", "text.zip", "many.zip"):
        submission = read_submission(name, tmp_path / name, SOLVED)
        assert submission.parts == {} and len(submission.remarks) == 1, name


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_and_pipes_in_folders_are_not_followed(tmp_path):
    outside = submit(tmp_path / "outside", lab_with(RIGHT))
    inside = submit(tmp_path / "all" / "a", {"losses.py": EMPTY["losses.py"]})
    (inside / "models.py").symlink_to(outside / "models.py")
    os.mkfifo(inside / "data.py")
    (tmp_path / "all" / "b").symlink_to(outside)
    found = dict(find_submissions([tmp_path / "all"]))
    first, second = (read_submission(name, found[name], SOLVED) for name in ("a", "b"))
    assert "3.1a" not in first.parts and any("symbolic link" in each for each in first.remarks)
    assert any("data.py is not a file" in each for each in first.remarks)
    assert second.parts == {} and "symbolic link" in second.remarks[0]


def test_submissions_are_found_and_have_distinct_names(tmp_path):
    submit(tmp_path / "x" / "anna", {"data.py": ""})
    submit(tmp_path / "x" / "bob" / "lab", {"data.py": ""})
    zip_up(tmp_path / "x" / "anna.zip", {"data.py": ""})
    (tmp_path / "x" / "carl.rar").write_bytes(b"Rar!")
    names = [name for name, _ in find_submissions([tmp_path / "x"])]
    assert names == ["anna", "anna (2)", "bob", "carl.rar"]
    each = [tmp_path / "x" / "anna", tmp_path / "x" / "bob"]
    assert [name for name, _ in find_submissions(each)] == ["anna", "bob"]
    with pytest.raises(LabError):
        find_submissions([tmp_path / "nothing"])
    bob = read_submission("bob", tmp_path / "x" / "bob", SOLVED)
    assert "missing" in bob.remarks[0] and "data.py" not in bob.remarks[0]


def test_changes_outside_the_regions_are_reported():
    assert harmless("=1+1") == "'=1+1" and harmless("@x") == "'@x" and harmless("anna") == "anna"
    assert file_name("../a/b") == "_a_b" and file_name("CON") == "_CON"


def test_reports_are_escaped():
    mark = Mark("<i>", ["<b>"], [TodoMark("5.1", 0, "wrong", "<script>\x1b[2J")])
    page, text = as_html(mark), as_text(mark)
    assert "<script>" not in page and "<i>" not in page and "<b>" not in page
    assert "\x1b" not in page + text


def test_a_report_has_optional_todos_under_a_heading_of_their_own():
    page = as_html(
        Mark("a", [], [TodoMark("5.1", 2, "passed"), TodoMark("9.3", 0, "wrong", "why")])
    )
    required, optional = page.split("<h2>Optional TODOs, for extra points</h2>")
    assert "5.1" in required and "9.3" not in required
    assert "9.3" in optional and "0 of 2" in optional and "<pre>why</pre>" in optional
    assert "Optional" not in as_html(Mark("a", [], [TodoMark("5.1", 2, "passed")]))


def test_optional_todos_give_extra_points_and_cost_none(tmp_path):
    numbers = ["5.1", "9.3", "9.4"]
    submit(tmp_path / "all" / "keen", lab_with({part: RIGHT[part] for part in ("5.1", "9.3")}))
    old = {name: text for name, text in lab_with(RIGHT).items() if "/" not in name}
    submit(tmp_path / "all" / "plain", old)
    out = tmp_path / "marks.csv"
    keen, plain = grade([tmp_path / "all"], out, numbers, 1, Limits(60))
    assert (keen.total, keen.highest, keen.extra) == (2, 2, 2) and not keen.remarks
    assert (plain.total, plain.highest, plain.extra) == (2, 2, 0) and not plain.remarks
    assert set(verdicts(plain).values()) == {"passed", "to do"}
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["submission", "total", "max", "remarks", "5.1", "extra", "9.3", "9.4"]
    assert rows[1] == ["keen", "2", "2", "", "2", "2", "2", "0"]
    text = as_text(keen)
    assert "keen: 2 of 2 points and 2 extra" in text and "Optional TODOs" in text
    write_gradescope(tmp_path, keen)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["score"] == 4


def test_files_of_a_folder_belong_to_the_folder_above_it(tmp_path):
    files = {f"anna/lab/{name}": text for name, text in lab_with(RIGHT).items()}
    submission = read_submission("anna", zip_up(tmp_path / "anna.zip", files), SOLVED)
    assert set(submission.parts) == set(RIGHT) and not submission.remarks
    folder = submit(tmp_path / "bert", lab_with(RIGHT))
    (folder / "zoo").rename(tmp_path / "elsewhere")
    (folder / "zoo").symlink_to(tmp_path / "elsewhere")
    submission = read_submission("bert", folder, SOLVED)
    assert not any(part.startswith("9") for part in submission.parts)


def test_the_same_lab_has_the_same_digest():
    assert digest_of_lab() == digest_of_lab()
    assert set(LAB_FILES) == set(EMPTY)
