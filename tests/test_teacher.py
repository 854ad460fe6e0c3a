"""The student edition as it is built, and the proofs of its tests on small examples."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from apart import run_jobs_apart

from commands.companion.markers import (
    LAB_FILES,
    parse_answers,
    parse_solutions,
    read_source,
    todo_of,
)
from commands.companion.quiz import KEPT
from commands.companion.todos import BY_NUMBER, TODOS
from teacher import verify as verification
from teacher.build import build, copy_files
from teacher.catalogue import LAB, grafted, read_answers, solved_texts
from teacher.sandbox import Job, Outcome, TestResult
from teacher.submissions import read_submission
from utils import LabError

EVERY = [todo.number for todo in TODOS]


def run(folder: Path, *words: str, seconds: int = 120) -> subprocess.CompletedProcess:
    """Runs this Python in an edition."""
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=seconds, env=environment
    )


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "student edition é"
    build(folder, EVERY)
    return folder


def solution_of(part: str) -> str:
    """The code of a solution."""
    file = BY_NUMBER[todo_of(part)].file
    regions = parse_solutions(solved_texts()[file], file)
    return next(region.answer() for region in regions if region.part == part)


def test_edition_has_all_todos_open_and_parses(edition):
    parts = []
    for name in LAB_FILES:
        text = read_source(edition / name)
        ast.parse(text)
        regions = parse_answers(text, name)
        assert all(region.is_open for region in regions)
        parts += [region.todo for region in regions]
    assert set(parts) == set(EVERY)


def test_edition_lints(edition):
    result = run(edition, "-m", "ruff", "check", ".")
    assert result.returncode == 0, result.stdout


def test_edition_has_nothing_that_students_should_not_have(edition):
    names = {path.relative_to(edition).as_posix() for path in edition.rglob("*")}
    assert not any(
        name.startswith(("teacher", "tests", "benchmarks", ".git/", "runs")) for name in names
    )
    for path in edition.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".md", ".json"):
            text = path.read_text(encoding="utf-8")
            assert "<solution" not in text or path.name == "markers.py", path
    needed = {"README.md", "Makefile", "lab.py", "main.py", "conftest.py", "requirements.txt"}
    needed |= {"test_implementation.py", "subject/README.md", ".github/workflows/check.yml"}
    needed |= {"pretrained/toystreets.onnx", ".gitignore", ".lab/edition.json", "LICENSE"}
    needed |= {"job.py", "test_implementation_zoo.py", "AGENTS.md", "CLAUDE.md"}
    needed |= {".github/copilot-instructions.md", "commands/companion/quiz.json.gz"}
    needed |= {"requirements-serve.txt"}
    needed |= {f"commands/serving/page/{name}" for name in ("index.html", "page.js", "server.js")}
    needed |= {path.relative_to(LAB).as_posix() for path in LAB.glob("zoo/*.py")}
    needed |= {path.relative_to(LAB).as_posix() for path in LAB.glob("support/**/*.py")}
    assert needed <= names


def test_no_line_of_a_solution_is_in_the_edition(edition):
    solved = solved_texts()
    assert verification.leaks(solved) == []
    telling = ["F.log_softmax", "torch.bincount", ".gather(", "nn.MaxPool2d(kernel", "isnan()"]
    for word in telling:
        assert word in "".join(solved.values())
        for name in LAB_FILES:
            assert word not in (edition / name).read_text(encoding="utf-8"), (word, name)


def test_a_leak_is_found():
    solved = solved_texts()
    line = next(filter(verification.is_telling, solution_of("4.1").split("\n")))
    solved["metrics.py"] += f"\n\ndef f(*arguments):\n    {line}\n"
    assert any("4.1" in fault for fault in verification.leaks(solved))


def test_an_empty_edition_shows_help_and_samples(edition):
    toydata = Path(os.environ.get("LAB_TOYDATA", LAB / "toydata"))
    assert run(edition, "main.py", "train", "--help").returncode == 0
    help_text = run(edition, "main.py", "--help")
    assert help_text.returncode == 0 and "show" in help_text.stdout
    if toydata.is_dir():
        shown = run(edition, "main.py", "show", "--datadir", str(toydata), "--output", "show.png")
        assert shown.returncode == 0, shown.stderr
        assert (edition / "show.png").is_file()
        (edition / "show.png").unlink()
        unsolved = run(edition, "main.py", "stats", "--datadir", str(toydata))
        assert unsolved.returncode == 2
        assert unsolved.stderr.strip().splitlines()[-1].startswith("error: TODO 1.")
        assert "Traceback" not in unsolved.stderr


def test_every_test_of_an_empty_edition_is_red_with_its_own_number(edition):
    result = run(edition, "-m", "pytest", "-p", "no:cacheprovider")
    assert result.returncode == 1
    assert "passed" not in result.stdout and "Traceback" not in result.stdout
    for number in EVERY:
        assert f"TODO {number} (" in result.stdout, number
    assert "0 of 20 TODOs and 0 of 5 optional ones are solved" in result.stdout


def test_optional_todos_are_counted_apart(edition):
    shown = run(edition, "lab.py").stdout
    assert "9  Going further, optional" in shown
    assert "0 of 20 TODOs done, 0 of 43 points; and 0 of 5 optional ones, 0 of 12 extra" in shown


@pytest.mark.slow
def test_all_but_the_zoo_works_while_the_optional_todos_are_open(tmp_path):
    folder, toydata = tmp_path / "open", Path(os.environ.get("LAB_TOYDATA", LAB / "toydata"))
    build(folder, [todo.number for todo in TODOS if todo.is_optional])
    if not toydata.is_dir():
        pytest.skip("no toy data")
    train = ["main.py", "train", "--datadir", str(toydata), "--img-size", "32", "64", "--dry-run"]
    train += ["--num-workers", "0", "--limit", "4"]
    unet = run(folder, *train, "--base-channels", "4", "--loss", "focal", seconds=300)
    assert unet.returncode == 0, unet.stderr
    for number, choice in (
        ("9.1", ["--model", "deeplabv3_resnet50"]),
        ("9.2", ["--model", "segformer_b0"]),
        ("9.3", ["--loss", "dice_ce"]),
        ("9.4", ["--loss", "lovasz"]),
    ):
        result = run(folder, *train, *choice, seconds=300)
        assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
        assert result.stderr.strip().splitlines()[-1].startswith(f"error: TODO {number} is still")


def test_what_students_are_told_to_hand_in_is_all_that_is_graded(edition):
    lines = (edition / "README.md").read_text(encoding="utf-8").splitlines()
    (command,) = (line for line in lines if line.startswith("python -m zipfile"))
    (edition / KEPT).write_text("{}")
    try:
        assert run(edition, *command.split()[1:]).returncode == 0
        handed_in = read_submission("ada", edition / "lab.zip", solved_texts())
    finally:
        (edition / "lab.zip").unlink(missing_ok=True)
        (edition / KEPT).unlink()
    assert {todo_of(part) for part in handed_in.parts} == set(EVERY)
    assert handed_in.remarks == [] and handed_in.quiz == b"{}"


def test_an_edition_of_some_chapters_has_the_others_solved(tmp_path):
    folder = tmp_path / "short"
    build(folder, [n for n in EVERY if n[0] in "345"])
    found = {name: parse_answers(read_source(folder / name), name) for name in LAB_FILES}
    assert not found["data.py"] and not found["training.py"] and found["models.py"]
    assert "<solution" not in (folder / "data.py").read_text(encoding="utf-8")
    record = json.loads((folder / ".lab" / "edition.json").read_text(encoding="utf-8"))
    assert record["todos"] == [n for n in EVERY if n[0] in "345"]
    result = run(folder, "-m", "pytest", "test_implementation.py", "-q", "-k", "test_1_1")
    assert result.returncode == 0, result.stdout


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LabError, match="choose a new folder"):
        build(tmp_path, EVERY)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_leftovers_of_editors_stay_out_of_an_edition(tmp_path, monkeypatch):
    studies = tmp_path / "lab" / "docs" / "studies"
    studies.mkdir(parents=True)
    for name in ("a.txt", "b.tsv", "a.txt~", ".a.txt.swp", "#b.tsv#", "b.tsv.orig", "notes.md"):
        (studies / name).touch()
    for name, value in (("LAB", tmp_path / "lab"), ("COPIED", ()), ("THEIRS", {})):
        monkeypatch.setattr(f"teacher.build.{name}", value)
    copy_files(tmp_path / "edition")
    found = [path.name for path in (tmp_path / "edition" / "docs" / "studies").iterdir()]
    assert sorted(found) == ["a.txt", "b.tsv"]


def workflow(edition: Path) -> dict:
    """The one job of the edition's workflow."""
    text = (edition / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["jobs"]["check"]


def test_the_workflow_uses_githubs_own_actions_alone(edition):
    job = workflow(edition)
    names = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert names == ["actions/checkout", "actions/setup-python"]
    assert job["strategy"]["matrix"] == {"python": ["3.10", "3.14"]}


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's shell is bash")
def test_the_commands_of_the_workflow_run_in_an_empty_edition(edition, tmp_path):
    folder, summary = tmp_path / "repository", tmp_path / "summary.md"
    shutil.copytree(edition, folder)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "GITHUB_STEP_SUMMARY": str(summary)}
    install, *others = [step["run"] for step in workflow(edition)["steps"] if "run" in step]
    assert install.startswith("pip install -r requirements.txt")
    for line in others:
        subprocess.run(["bash", "-ec", line], cwd=folder, env=environment, check=True, timeout=300)
    table = summary.read_text(encoding="utf-8")
    for todo in TODOS:
        assert f"TODO {todo.number} | {todo.title} | {todo.points} | to do |" in table
    assert table.endswith("of 12 extra points\n")


def test_the_catalogue_is_rich_enough():
    wrong, right = read_answers("misconceptions"), read_answers("alternatives")
    assert len(wrong) >= 100
    for number in BY_NUMBER:
        assert sum(answer.todo == number for answer in wrong) >= 5, number
        assert sum(answer.todo == number for answer in right) >= 2, number


def outcome_of(todo: str, *verdicts: tuple[str, str, str]) -> Outcome:
    """An outcome with results (todo, verdict, message)."""
    results = [TestResult(number, "test", verdict, text) for number, verdict, text in verdicts]
    return Outcome(Job(todo, {}, (todo,)), results)


def test_a_misconception_must_fail_and_be_named():
    answer = next(each for each in read_answers("misconceptions") if each.todo == "3.1")

    def exposes(outcome, answer):
        return verification._exposes(outcome, answer, Counter())

    named = ("3.1", "wrong", f"because {answer.says} it is")
    assert exposes(outcome_of("3.1", named), answer) == []
    assert exposes(outcome_of("3.1", ("3.1", "passed", "")), answer)
    assert exposes(outcome_of("3.1", ("3.1", "wrong", "something else")), answer)
    assert exposes(outcome_of("3.1", named, ("4.1", "wrong", "x")), answer)
    assert exposes(outcome_of("3.1", named, ("3.2", "wrong", "x")), answer) == []


def test_an_empty_todo_must_fail_alone():
    isolates = verification._isolates
    own, blocked = ("3.1", "to do", ""), ("3.2", "blocked", "BLOCKED by TODO 3.1 (models.py:1)")
    assert isolates(outcome_of("3.1", own, blocked, ("4.1", "passed", "")), "3.1") == []
    assert isolates(outcome_of("3.1", ("3.1", "passed", "")), "3.1")
    assert isolates(outcome_of("3.1", own, ("4.1", "blocked", blocked[2])), "3.1")
    assert isolates(outcome_of("3.1", own, ("3.2", "wrong", "")), "3.1")


def test_the_sandbox_tells_right_from_wrong_and_survives_code_that_ends_the_process():
    solved, right = solved_texts(), solution_of("4.2a")
    assert right.count("2 * ") == 1
    code = {
        "right": right,
        "wrong": right.replace("2 * ", ""),
        "exit": "import os\nos._exit(0)",
        "loop": "while True:\n    pass",
    }
    jobs = [Job(name, grafted({"4.2a": text}, solved), ("4.2",)) for name, text in code.items()]
    found = {outcome.job.name: outcome for outcome in run_jobs_apart(jobs, 2, 12)}
    assert found["right"].passed("4.2") and not found["wrong"].passed("4.2")
    assert found["wrong"].trouble is None
    assert "ended the process" in found["exit"].trouble and "seconds" in found["loop"].trouble


def test_no_file_of_the_edition_tells_of_a_machine_or_a_solution(edition):
    for path in edition.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"site-packages" not in content and b"stack_trace" not in content, path
            assert str(LAB).encode() not in content, path
