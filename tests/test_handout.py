"""What hands the lab out: the files of Classroom 50, Gradescope and GitLab."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from made_class import teacher
from test_grade import RIGHT, has_walls, lab_with, losses, needs_tests, submit

from commands.companion.todos import BY_NUMBER, TODOS
from teacher import walls
from teacher.catalogue import LAB, TEACHER
from teacher.handout import autograder
from teacher.handout.classroom50 import as_markdown, declarative_tests, result_of
from teacher.reports import Mark, TodoMark
from teacher.sandbox import Outcome, TestResult

EVERY = [todo.number for todo in TODOS]
RUNNER = {
    "CLASSROOM": "cs", "ASSIGNMENT": "lab", "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b",
    "COMMIT_URL": "https://x/c", "RELEASE_URL": "https://x/r", "REVIEW_URL": "https://x/v",
}  # fmt: skip
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="runs on Linux")


def stand_in(jobs, *_):
    """The sandbox's place: 5.1 is wrong, the others are right."""
    for job in jobs:
        verdict = "wrong" if job.todos == ("5.1",) else "passed"
        yield Outcome(job, [TestResult(job.todos[0], "test", verdict, "given: ```\n::error::")])


def follows_the_schema(result: dict) -> bool:
    """What Classroom 50 checks in a result, by its documentation and its runner."""
    texts = ("classroom", "assignment", "submission", "commit", "release", "review", "datetime")
    assert all(type(result[name]) is str and result[name] for name in texts)
    assert result["submission"].startswith("submit/")
    datetime.strptime(result["datetime"], "%Y-%m-%dT%H:%M:%SZ")
    for each in (result, *result["tests"]):
        assert type(each["score"]) is int and type(each["max-score"]) is int
        assert 0 <= each["score"] <= each["max-score"]
    for key in ("score", "max-score"):
        assert result[key] == sum(test[key] for test in result["tests"])
    assert all(type(t["passed"]) is bool and t["test-name"] for t in result["tests"])
    return result["schema"] == "classroom50/result/v1"


# ------------------------------------------------------------------ Classroom 50


def test_a_result_follows_the_schema_and_optional_points_stand_apart():
    todos = [TodoMark("5.1", 0, "to do"), TodoMark("5.2", 3, "passed")]
    todos += [TodoMark("9.3", 2, "passed"), TodoMark("9.4", 0, "wrong")]
    mark, now = Mark("anna", [], todos), datetime(2026, 6, 1, 14, 33, 11)
    result = result_of(mark, RUNNER, now)
    assert follows_the_schema(result) and (result["score"], result["max-score"]) == (3, 5)
    assert [test["passed"] for test in result["tests"]] == [False, True, True]
    assert result["tests"][2]["extra-points"] == 2
    assert result["review"] == "https://x/v" and result["datetime"] == "2026-06-01T14:33:11Z"
    assert result_of(mark, RUNNER | {"REVIEW_URL": ""}, now)["review"] == "https://x/c"
    assert follows_the_schema(result_of(Mark("empty", [], todos[:1]), {}, now))


def test_a_result_has_the_marks_of_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    checkout = submit(tmp_path / "checkout", lab_with(RIGHT))
    (checkout / ".github").mkdir()
    assert teacher("grade", checkout, "--output", tmp_path / "marks.csv") == 0
    assert teacher("grade", checkout, "--classroom50", tmp_path / "o" / "result.json") == 0
    result = json.loads((tmp_path / "o" / "result.json").read_text(encoding="utf-8"))
    head, row = (tmp_path / "marks.csv").read_text(encoding="utf-8").splitlines()
    marks = dict(zip(head.split(","), row.split(","), strict=True))
    assert follows_the_schema(result)
    assert (str(result["score"]), str(result["max-score"])) == (marks["total"], marks["max"])
    for todo in TODOS:
        test = next(t for t in result["tests"] if t["test-name"].startswith(f"TODO {todo.number}:"))
        assert str(test.get("extra-points", test["score"])) == marks[todo.number]
    body = (tmp_path / "o" / "release-body.md").read_text(encoding="utf-8")
    assert "\n    TODO 5.1  0/2  wrong      class weights\n" in body
    assert "\n        given: ```\n        ::error::\n" in body


def test_a_checkout_without_the_lab_is_graded_with_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    checkout = submit(tmp_path / "c", {"README.md": "x", ".github/a.yml": "", "src/a.py": ""})
    path = tmp_path / "result.json"
    assert teacher("grade", checkout, "--classroom50", path, "--todos", "5") == 0
    result = json.loads(path.read_text(encoding="utf-8"))
    assert follows_the_schema(result) and (result["score"], result["max-score"]) == (0, 8)
    assert teacher("grade", checkout, checkout, "--classroom50", path) == 2
    assert teacher("grade", checkout, "--classroom50", path, "--feedback", "f.zip") == 2
    assert "--feedback is for many submissions" in capsys.readouterr().err
    assert teacher("grade", checkout, "--classroom50", path, "--partial") == 2
    assert "Classroom 50 takes whole ones alone" in capsys.readouterr().err


def test_what_students_wrote_stays_text_in_the_report():
    mark = Mark("a", ["<b> ![x](y)"], [TodoMark("5.1", 0, "wrong", "x" * 70_000)])
    body = as_markdown(mark)
    assert "\n    note: <b> ![x](y)\n" in body and body.startswith("    a: 0 of 2 points\n")
    *lines, last = filter(None, body.split("\n"))
    assert all(line.startswith("    ") for line in lines) and last == "(cut)"
    assert len(body) < 61_000


def test_the_tests_for_feedback_are_as_classroom50_takes_them():
    tests = declarative_tests(EVERY)
    assert tests[0]["name"] == "setup" and tests[0]["points"] == 0
    assert tests[0]["timeout"] == 600 and "-r requirements.txt" in tests[0]["run"]
    assert {test["type"] for test in tests} == {"run"} and len(tests) == 21
    assert all(type(t["timeout"]) is int and 0 < t["timeout"] <= 600 for t in tests)
    assert all(len(test["name"].encode()) <= 100 for test in tests)
    assert len({test["name"] for test in tests}) == len(tests)
    assert sum(test["points"] for test in tests) == 43
    assert tests[1]["run"] == "python3 lab.py check 1.1"


def test_the_bundle_is_small_and_grades_away_from_the_repository(tmp_path):
    assert teacher("build", "--classroom50", tmp_path / "c") == 0
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == ["autograder.py", "lab.zip", "tests.json"]
    assert (tmp_path / "c" / "lab.zip").stat().st_size < 3 * 2**20
    with zipfile.ZipFile(tmp_path / "c" / "lab.zip") as archive:
        entries = archive.namelist()
        archive.extractall(tmp_path / "lab")
    assert {"losses.py", "teacher/grade.py", "checks/__init__.py", "requirements.txt"} <= set(
        entries
    )
    assert not any(name.startswith(("teacher/mis", "tests/", "subject/")) for name in entries)
    code = "import teacher.__main__, teacher.grade as g; g.digest_of_lab(); print(g.LAB)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "lab", capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == (tmp_path / "lab").resolve()
    assert teacher("build", "--classroom50", tmp_path / "c") == 2


def test_the_autograder_needs_nothing_but_python_3_10():
    text = (TEACHER / "handout" / "autograder.py").read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 10))
    found = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found and found <= sys.stdlib_module_names


PROGRAM = """import os, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--classroom50") + 1])
out.parent.mkdir()
pathlib.Path(sys.argv[2], "release-body.md").mkdir()  # as code under test might, without walls
out.write_text("ours")
out.with_name("release-body.md").write_text(" ".join([os.getcwd(), *sorted(os.environ)]))
sys.exit(int(os.environ.get("ASSIGNMENT", "0")))
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout in which the autograder runs, with a solved lab that only writes a result."""
    (tmp_path / "lab" / "teacher").mkdir(parents=True)
    (tmp_path / "lab" / "teacher" / "__main__.py").write_text(PROGRAM)
    folder = tmp_path / "checkout"
    (folder / "teacher").mkdir(parents=True)
    (folder / "teacher" / "__main__.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SOLVED_LAB", str(tmp_path / "lab"))
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("ACTIONS_RUNTIME_TOKEN", "secret")
    monkeypatch.delenv("ASSIGNMENT", raising=False)
    monkeypatch.setattr(autograder, "python_with_torch", lambda *_: sys.executable)
    monkeypatch.setattr(autograder, "allow_walls", lambda: None)
    return folder


def test_the_autograder_grades_in_the_solved_lab_and_passes_no_token_on(checkout):
    (checkout / "result.json").write_text("forged")
    assert autograder.main() == 0
    assert (checkout / "result.json").read_text() == "ours"
    body = (checkout / "release-body.md").read_text()
    assert body.startswith(str(checkout.parent / "lab")) and "TOKEN" not in body


@linux
def test_a_committed_result_is_never_the_result(checkout, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").write_text("theirs")
    (checkout / "result.json").symlink_to(tmp_path / "elsewhere")
    (checkout / "release-body.md").mkdir()
    (checkout / "release-body.md" / "x").write_text("")
    assert autograder.main() == 0
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert (checkout / "result.json").read_text() == "ours"
    assert not (checkout / "result.json").is_symlink()
    monkeypatch.setenv("ASSIGNMENT", "3")
    (checkout / "result.json").write_text("forged")
    assert autograder.main() == 3 and not (checkout / "result.json").exists()


def test_an_autograder_without_a_lab_says_so(checkout, monkeypatch, capsys):
    monkeypatch.setenv("SOLVED_LAB", str(checkout / "nowhere"))
    assert autograder.main() == 1 and "no solved lab" in capsys.readouterr().out
    monkeypatch.delenv("SOLVED_LAB")
    assert autograder.main() == 1


def test_the_lab_beside_the_autograder_is_unpacked_outside_the_checkout(checkout, monkeypatch):
    monkeypatch.delenv("SOLVED_LAB")
    bundle = checkout.parent / "bundle"
    bundle.mkdir()
    with zipfile.ZipFile(bundle / "lab.zip", "w") as archive:
        archive.writestr("teacher/__main__.py", PROGRAM)
    monkeypatch.setattr(autograder, "__file__", str(bundle / "autograder.py"))
    assert autograder.main() == 0
    place = Path((checkout / "release-body.md").read_text().split()[0])
    assert checkout not in place.parents and not place.exists()


# ------------------------------------------------------------------ Gradescope


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    """A folder laid out as Gradescope's /autograder, with a Python that says what it is told."""
    root = tmp_path_factory.mktemp("autograder é")
    for name in ("source", "submission", "results"):
        (root / name).mkdir()
    assert teacher("build", "--gradescope-zip", root / "a.zip") == 0
    with zipfile.ZipFile(root / "a.zip") as archive:
        for entry in archive.infolist():
            place = Path(archive.extract(entry, root / "source"))
            place.chmod(entry.external_attr >> 16 & 0o777)
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    return root


def test_the_zip_for_gradescope_is_whole(container, capsys):
    with zipfile.ZipFile(container / "a.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        assert b"\r" not in archive.read("setup.sh") + archive.read("run_autograder")
    assert modes["setup.sh"] & 0o111 and modes["run_autograder"] & 0o111
    assert not modes["lab/losses.py"] & 0o111 and "lab/teacher/__main__.py" in modes
    assert teacher("build", "--gradescope-zip", container / "a.zip") == 2
    assert teacher("build", "--gradescope-zip", container / "a.tar") == 2
    assert teacher("build") == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in said[:2]] == [
        "is there already; choose a new name", "must end in .zip",
    ]  # fmt: skip


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@linux
def test_run_autograder_grades_the_submission_in_the_solved_lab(container):
    python = container / "source" / "environment" / "bin" / "python"
    script(python, 'pwd; printf "%s\\n" "$0" "$@"')
    done = subprocess.run(["./run_autograder"], cwd=container, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines() == [
        str(container / "source" / "lab"), str(python), "-m", "teacher", "grade",
        str(container / "submission"), "--gradescope", str(container / "results"),
    ]  # fmt: skip


@linux
def test_setup_makes_an_environment_and_hides_the_solved_files(container, tmp_path):
    shutil.copytree(container / "source", tmp_path / "source")
    shutil.rmtree(tmp_path / "source" / "environment", ignore_errors=True)
    stub = 'case "$1 $2" in "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python";; esac\n'
    stub += f'echo "$@" >> "{tmp_path}/said"\nexit ${{FAULT:-0}}'
    script(tmp_path / "bin" / "python3", stub)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(tmp_path / "source" / "setup.sh")]
    subprocess.run(command, env=os.environ | {"PATH": path}, check=True)
    said = (tmp_path / "said").read_text()
    assert f"-m venv {tmp_path}/source/environment" in said
    assert f"-r {tmp_path}/source/lab/requirements.txt" in said
    assert (tmp_path / "source" / "lab").stat().st_mode & 0o777 == 0o700
    old = subprocess.run(
        command, env=os.environ | {"PATH": path, "FAULT": "1"}, capture_output=True, text=True
    )
    assert old.returncode == 1 and "Ubuntu 22.04 or newer" in old.stderr


HOSTILE = """import glob, os
done = []
for path in {paths!r} + ["../../lab/losses.py", "../../lab/conftest.py"]:
    try:
        open(path, "a").close()
        done.append("wrote")
    except OSError:
        pass
try:
    if open({solved!r}).read():
        done.append("read")
except OSError:
    pass
raise ValueError(done or "nothing worked")
"""


@needs_tests
@linux
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="as in a container")
@pytest.mark.parametrize("with_walls", [True, False])
def test_a_submission_cannot_write_its_own_result_on_gradescope(container, tmp_path, with_walls):
    """Once with the kernel's walls, once as root without, which is what Docker gives."""
    if with_walls and not has_walls():
        pytest.skip("no walls here")
    root = tmp_path / "autograder"
    shutil.copytree(container, root)
    (root / "source" / "lab").chmod(0o700)
    start = "import sys, teacher.child; sys.path.insert(0, '')\n"
    start += "" if with_walls else "teacher.child.raise_walls = lambda folder: False\n"
    start += "from teacher.__main__ import *; sys.exit(run_command(build_parser(), sys.argv[3:]))"
    python = f'exec "{sys.executable}" -c "{start}" "$@" --todos 5.1 5.2'
    script(root / "source" / "environment" / "bin" / "python", python)
    paths = [str(root / "results" / name) for name in ("results.json", "x")]
    paths += [str(root / "submission" / "x"), str(root / "source" / "lab" / "utils.py")]
    code = HOSTILE.format(paths=paths, solved=str(root / "source" / "lab" / "losses.py"))
    shutil.rmtree(root / "submission")
    submit(root / "submission", losses(code))
    (root / "results" / "results.json").write_text("{}")
    subprocess.run([str(root / "run_autograder")], cwd=root, check=True, timeout=300)
    results = json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))
    first, second = results["tests"]
    assert (first["score"], second["score"], results["score"]) == (0, 3, 3)
    assert "wrote" not in first["output"]
    is_open = all(walls.is_open_to_all(Path(p)) for p in (sys.prefix, sys.base_prefix))
    if with_walls or is_open:
        assert "ValueError: nothing worked" in first["output"]
    assert sorted(path.name for path in (root / "results").iterdir()) == ["results.json"]


# ------------------------------------------------------------------ the sandbox in a container


@linux
def test_without_walls_no_power_is_kept_but_what_python_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(walls, "is_open_to_all", lambda folder: True)
    assert walls.kept_capabilities(has_walls=False) == 0
    monkeypatch.setattr(walls, "is_open_to_all", lambda folder: False)
    status = tmp_path / "status"
    monkeypatch.setattr(walls, "STATUS", status)
    for permitted, behind, without in (
        ("000001ffffffffff", 0b110, 0b100),  # all
        ("00000000a80425fb", 0b010, 0b010),  # Docker's: no CAP_DAC_READ_SEARCH
        ("0000000000000000", 0, 0),
    ):
        status.write_text(f"Name:\tpython\nCapPrm:\t{permitted}\nCapEff:\t{permitted}\n")
        assert walls.kept_capabilities(has_walls=True) == behind
        assert walls.kept_capabilities(has_walls=False) == without


@linux
def test_a_folder_is_open_when_all_above_it_are(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == tmp_path or folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    assert walls.is_open_to_all(tmp_path / "a" / "b")
    (tmp_path / "a").chmod(0o750)
    assert not walls.is_open_to_all(tmp_path / "a" / "b")
    assert not walls.is_open_to_all(tmp_path / "none")


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_a_job_without_walls_owns_its_folder_alone(tmp_path):
    for name in ("lab/losses.py", "job-1/lab/losses.py", "job-2/lab/losses.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    walls.give_away(tmp_path / "job-1", 61_301)
    owners = {p.relative_to(tmp_path).as_posix(): p.stat().st_uid for p in tmp_path.rglob("*")}
    assert {name for name, owner in owners.items() if owner == 61_301} == {
        "job-1", "job-1/lab", "job-1/lab/losses.py",
    }  # fmt: skip
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755


# ------------------------------------------------------------------ GitLab


def test_gitlab_checks_what_github_checks():
    edition = TEACHER / "edition"
    ours = yaml.safe_load((edition / "gitlab-ci.yml").read_text(encoding="utf-8"))["check"]
    theirs = yaml.safe_load((edition / "check.yml").read_text(encoding="utf-8"))["jobs"]["check"]
    install, check, table = [step["run"] for step in theirs["steps"] if "run" in step]
    assert ours["script"] == [install, check]
    assert ours["after_script"][0] == table.replace('>> "$GITHUB_STEP_SUMMARY"', "> todos.md")
    assert ours["artifacts"]["paths"] == ["todos.md"] and ours["artifacts"]["when"] == "always"
    (row,) = ours["parallel"]["matrix"]
    assert row["PYTHON"] == theirs["strategy"]["matrix"]["python"]
    assert ours["image"] == "python:$PYTHON"
    assert ours["timeout"] == f"{theirs['timeout-minutes']} minutes"


def test_an_edition_has_both_workflows(tmp_path):
    assert teacher("build", tmp_path / "e", "--todos", "5") == 0
    text = (tmp_path / "e" / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert text == (LAB / "teacher" / "edition" / "gitlab-ci.yml").read_text(encoding="utf-8")
    assert (tmp_path / "e" / ".github" / "workflows" / "check.yml").is_file()
    record = json.loads((tmp_path / "e" / ".lab" / "edition.json").read_text(encoding="utf-8"))
    assert ".gitlab-ci.yml" in record["hashes"]
    ignored = (tmp_path / "e" / ".gitignore").read_text(encoding="utf-8").split()
    assert "/todos.md" in ignored and BY_NUMBER["5.1"].number in record["todos"]
