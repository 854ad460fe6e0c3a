"""The house: which room may import which, and what `python main.py train` makes its reader open."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from street_files import write_streets

LAB = Path(__file__).resolve().parent.parent
FLOORS = (
    {"main", "job", "lab"},
    {"commands"},
    {"training", "deploy", "data"},
    {"models", "losses"},
    {"zoo", "support", "toycity"},
    {"metrics", "utils"},
)
"""Every import points down, or stays inside its room."""
FRAME = {"commands.command_line", "utils"}
SOLVED = {
    *("data", "models", "losses", "metrics", "training", "deploy", "zoo", "support", "utils"),
    *("commands.slurm", "commands.comparison"),
}
"""What the quiz's questions, which run in a process of their own, take their answers from."""
NARROW = {
    "commands/slurm": {"commands.slurm", *FRAME},
    "commands/comparison": {"commands.comparison", *FRAME},
    "commands/companion": {"commands.companion", *FRAME},
    "commands/tracking": {"commands.tracking", *FRAME},
    "support/formats": {"support.formats", "utils"},
    "support/engine": {"support.engine", "support.plots", "metrics", "utils"},
    "toycity": {"toycity", "support.formats", "utils"},
    "teacher/exam/questions": {*SOLVED, "teacher.exam.questions"},
    "teacher": {"teacher", "commands.companion", *FRAME},
    "zoo": {"zoo", "metrics", "utils"},
}
"""Rooms that may import these alone, of all that is the lab's own."""
OUTSIDE = ("checks", "teacher", "tests", "benchmarks", "subject", "conftest", "relative")
"""What no room of the lab imports; nor does any import by a relative path."""
TORCH_FREE = ("commands/slurm", "commands/comparison", "commands/companion", "support/formats")
TORCH_FREE += ("commands/tracking",)
MOST_FILES, MOST_LINES = 26, 5520


def sources(lab: Path) -> list[Path]:
    """The lab's own files: the entrances, the lab, and its rooms."""
    rooms = {name for floor in FLOORS for name in floor} | {"teacher"}
    files = [lab / f"{name}.py" for name in rooms if (lab / f"{name}.py").is_file()]
    folders = [lab / name for name in rooms if (lab / name).is_dir()]
    kept = ("misconceptions", "alternatives")
    found = [path for folder in folders for path in folder.rglob("*.py")]
    return sorted(files + [path for path in found if path.parent.name not in kept])


def imports(path: Path) -> set[str]:
    """Every module that a file imports, inside functions and under TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                found.add("relative")
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def floor_of(room: str) -> int | None:
    return next((number for number, floor in enumerate(FLOORS) if room in floor), None)


def upward_imports(lab: Path) -> list[str]:
    """Each import that the rule of the house forbids."""
    found = []
    for path in sources(lab):
        name = path.relative_to(lab).as_posix()
        room = path.relative_to(lab).parts[0].removesuffix(".py")
        narrow = next((NARROW[key] for key in NARROW if name.startswith(f"{key}/")), None)
        for module in imports(path):
            other = module.split(".")[0]
            is_ours = floor_of(other) is not None or other in OUTSIDE
            if not is_ours or (other == room and narrow is None):
                continue
            if narrow is not None:
                is_allowed = any(f"{module}.".startswith(f"{each}.") for each in narrow)
                is_allowed = is_allowed or any(each.startswith(f"{module}.") for each in narrow)
            else:
                below = floor_of(other)
                is_allowed = below is not None and below > floor_of(room)
            if not is_allowed:
                found.append(f"{name} imports {module}")
    return found


def test_imports_point_down():
    assert upward_imports(LAB) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("support/engine/planted.py", "def late():\n    import training\n"),
        ("support/formats/planted.py", "from support.engine.loading import EpochSampler\n"),
        ("commands/slurm/planted.py", "from commands.comparison import runs\n"),
        ("data.py", "from commands.data import show\n"),
        ("metrics.py", "import losses\n"),
        ("data.py", "from benchmarks import timing\n"),
        ("support/formats/planted.py", "from ..engine import loading\n"),
        ("toycity/planted.py", "import data\n"),
        ("teacher/planted.py", "def late():\n    from main import train\n"),
        ("teacher/exam/planted.py", "import metrics\n"),
        ("teacher/exam/questions/planted.py", "from teacher.catalogue import LAB\n"),
        ("utils.py", "from support.formats.labels import LabelSet\n"),
    ],
)
def test_a_planted_upward_import_is_found(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(line)
    assert len(upward_imports(tmp_path)) >= 1 and upward_imports(tmp_path)[0].startswith(file)


def test_the_teachers_tools_run_the_questions_and_do_not_import_them():
    """They import the solved lab, torch and all."""
    for path in sources(LAB):
        if "questions" not in path.parts:
            assert not any(each.startswith("teacher.exam.questions") for each in imports(path)), (
                path
            )


def test_rooms_without_torch_import_none():
    for path in sources(LAB):
        name = path.relative_to(LAB).as_posix()
        if name.startswith(TORCH_FREE):
            assert not any(each.split(".")[0] in ("torch", "torchvision") for each in imports(path))


def test_no_file_of_the_lab_has_a_command_line():
    for name in ("data", "models", "losses", "metrics", "training", "deploy"):
        assert "argparse" not in imports(LAB / f"{name}.py")
        assert "__main__" not in (LAB / f"{name}.py").read_text(encoding="utf-8")


def test_every_room_says_what_it_is_for():
    for path in sources(LAB):
        if path.name == "__init__.py":
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert text and len(text.splitlines()) >= 2, path


def test_train_opens_few_files(tmp_path):
    """The local files that a default training imports, the toy city aside."""
    words = ["train", "--dry-run", "--datadir", str(write_streets(tmp_path / "streets"))]
    words += ["--img-size", "16", "32", "--num-blocks", "1", "--base-channels", "4"]
    code = (
        "import sys, main\n"
        f"main.main({[*words, '--batch-size', '2', '--num-workers', '0']})\n"
        "files = {getattr(module, '__file__', None) or '' for module in sys.modules.values()}\n"
        "print('\\n'.join(sorted(files)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LAB, capture_output=True, text=True, check=True
    )
    own = {path for path in sources(LAB) if "toycity" not in path.parts}
    files = {Path(line) for line in done.stdout.splitlines() if line.endswith(".py")} & own
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    for path, count in sorted(lines.items()):
        print(f"{count:>5} {path.relative_to(LAB)}")
    print(f"{sum(lines.values())} lines in {len(files)} files")
    assert LAB / "training.py" in files
    assert len(files) <= MOST_FILES and sum(lines.values()) <= MOST_LINES


def marked(path: Path) -> dict[str, list[ast.FunctionDef]]:
    """The tests of each TODO in a file of the students' tests."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for each in getattr(node, "decorator_list", []):
            if ast.unparse(each).startswith("pytest.mark.todo("):
                found.setdefault(each.args[0].value, []).append(node)
    return found


@pytest.mark.parametrize("name", ["test_implementation.py", "test_implementation_zoo.py"])
def test_students_tests_are_short_and_in_the_order_of_the_todos(name):
    text = (LAB / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 1300
    tests = marked(LAB / name)
    order = [[*map(int, number.split("."))] for number in tests]
    assert order == sorted(order) and {len(each) for each in tests.values()} <= {3, 4, 5, 6}
    every = [test for each in tests.values() for test in each]
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            most = 12 if node in every or node.name.startswith("test_") else 10
            assert node.end_lineno - node.lineno < most, node.name


@pytest.mark.parametrize("words", [["main.py"], ["main.py", "train"], ["main.py", "show"],
                                   ["main.py", "test"], ["main.py", "serve"], ["main.py", "web"],
                                   ["job.py"], ["job.py", "submit"], ["lab.py"],
                                   ["lab.py", "check"]])  # fmt: skip
def test_help_imports_nothing_heavy(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words, "--help"], cwd=LAB, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {"torch", "albumentations", "cv2", "matplotlib", "onnxruntime", "tensorboard"}
    assert "argparse" in modules and not modules & heavy
