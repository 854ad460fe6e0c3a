"""The notebooks: made of their scripts, run, kind where a TODO is to do, and without a solution."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from commands.companion.markers import parse_solutions
from commands.companion.todos import BY_NUMBER
from data import resolve_datadir
from support.notebook import line_about
from teacher.__main__ import build_parser
from teacher.build import build
from teacher.catalogue import LAB, solved_texts
from teacher.notebooks import NOTEBOOKS, run_notebook, scripts, to_notebook, write_notebooks
from teacher.verify import is_telling
from utils import LabError

SCRIPTS = scripts()
BEGIN = (NOTEBOOKS / "begin.py").read_text(encoding="utf-8").removeprefix("# %%\n")
INSTALLED = "pip install -q -r requirements.txt\nTrue\n"


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    """A notebook of some code cells."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell printed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(each.get("text", "") for each in cell.outputs) for cell in cells]


def test_chapters_1_to_7_have_a_notebook_each():
    chapters = sorted(path.stem for path in (LAB / "subject").glob("0[1-7]_*.md"))
    assert [path.stem for path in SCRIPTS] == chapters and len(chapters) == 7


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_names_its_chapter_and_todos(script):
    text = script.read_text(encoding="utf-8")
    assert 60 <= len(text.splitlines()) <= 125
    head = to_notebook(script).cells[0]
    assert head.cell_type == "markdown" and f"(../subject/{script.stem}.md)" in head.source
    named = set(re.findall(r"TODO (\d+\.\d+)", head.source))
    assert named <= set(BY_NUMBER) and ("TODO" in head.source)
    assert not re.search(r"[<>]solution|NotImplementedError|TODO \d", text.split("# %%\n", 1)[1])
    assert text.count("# %% [markdown]\n# ##") >= 3


def test_no_notebook_shows_a_line_of_a_solution():
    lines = {}
    for name, text in solved_texts().items():
        for region in parse_solutions(text, name):
            answer = [line.strip() for line in region.answer().splitlines()]
            lines |= {line: region.part for line in answer if is_telling(line)}
    assert "pairs = truth[valid] * self.num_classes + guess[valid]" in {
        line.split("  #")[0] for line in lines
    }
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        assert [line for line in lines if line in text] == []
        for word in ("log_softmax", ".gather(", "bincount", "torch.onnx.export", ".backward("):
            assert word not in text, (script, word)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_begins_by_finding_the_lab_and_is_the_same_each_time(script):
    notebook = to_notebook(script)
    nbformat.validate(notebook)
    assert notebook == to_notebook(script)
    assert notebook.cells[1].source == BEGIN.strip()
    assert notebook.cells[1].metadata.tags == ["remove-cell"]
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 4 and not any(cell.outputs for cell in code)
    for cell in code:
        ast.parse(cell.source)
        assert cell.source.strip()


def test_the_edition_has_the_notebooks_not_run(tmp_path):
    build(tmp_path / "edition", ["1.1"])
    folder = tmp_path / "edition" / "notebooks"
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == [f"{script.stem}.ipynb" for script in SCRIPTS]
    for path in folder.iterdir():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    hashes = json.loads((tmp_path / "edition/.lab/edition.json").read_text("utf-8"))["hashes"]
    assert f"notebooks/{names[0]}" in hashes
    notebook = nbformat.read(folder / names[0], 4)
    assert notebook.cells[1].source == BEGIN.strip()
    notebook.cells[2].source = "import data, numpy\ndata.encode_train_ids(numpy.zeros(2, int))"
    with pytest.raises(LabError, match=r"begins 'import data, numpy' fails: NotImpl.*: TODO 1.1"):
        run_notebook(notebook, "data", folder)
    assert printed(notebook)[1].startswith("TODO 1.1 is still to do (data.py:")


def test_a_cell_that_fails_is_named(tmp_path):
    with pytest.raises(LabError, match=r"^odd: the cell that begins 'x = 1 / 0' fails: ZeroDiv"):
        run_notebook(notebook_of("y = 1", "x = 1 / 0\nz = 2", "w = 3"), "odd", tmp_path)


def test_a_cell_that_ends_python_or_takes_too_long_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(LabError, match=r"^odd: its Python ended"):
        run_notebook(notebook_of("import os\nos._exit(1)"), "odd", tmp_path)
    monkeypatch.setattr("teacher.notebooks.SECONDS", 1)
    with pytest.raises(LabError, match=r"^odd: a cell took more than 1 seconds"):
        run_notebook(notebook_of("while True:\n    pass"), "odd", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="nbclient takes no signals on Windows")
def test_ctrl_c_ends_the_notebook_and_its_kernel(tmp_path):
    cell = "import os, signal, time\nprint(os.getpid(), flush=True)\n"
    cell += "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"
    code = f"""
import os, pathlib, nbformat
from teacher.notebooks import run_notebook
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell({cell!r})])
try:
    run_notebook(notebook, "long", pathlib.Path({str(tmp_path)!r}))
except KeyboardInterrupt:
    print(notebook.cells[0].outputs[0].text)
"""
    done = subprocess.run(  # in a Python of its own: what nbclient leaves of its loop ends with it
        [sys.executable, "-c", code], cwd=LAB, capture_output=True, text=True, timeout=50
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_todo_or_an_error_of_the_lab_is_one_line_and_any_other_error_is_whole(tmp_path):
    """The notebook runs in the lab's folder, with errors allowed, as a reader would run it."""
    from nbclient import NotebookClient

    notebook = notebook_of(
        "from support.notebook import begin, show\nbegin()",
        "raise NotImplementedError('TODO 3.2b')",
        "from utils import LabError\nraise LabError('it is missing')",
        "1 / 0",
        "raise NotImplementedError('of another')",
        "import numpy\nshow(numpy.zeros((2, 3, 3), numpy.uint8))",
    )
    where = {"metadata": {"path": str(LAB)}}
    NotebookClient(notebook, allow_errors=True, kernel_name="python3", resources=where,
                   extra_arguments=["--log-level=ERROR"]).execute()  # fmt: skip
    _, todo, error, *_ = printed(notebook)
    assert todo.startswith("TODO 3.2b is still to do (") and todo.count("\n") == 1
    assert "python lab.py show 3.2." in todo
    assert error == "error: it is missing\n"
    kinds = [[each.output_type for each in cell.outputs] for cell in notebook.cells]
    assert kinds == [[], ["stream"], ["stream"], ["error"], ["error"], ["display_data"]]
    assert set(notebook.cells[-1].outputs[0].data) == {"image/png"}


def test_the_line_about_a_todo_says_where_it_is():
    def answer():
        raise NotImplementedError("TODO 4.1")

    try:
        answer()
    except NotImplementedError as error:
        line = answer.__code__.co_firstlineno + 1
        assert f"TODO 4.1 is still to do (test_notebooks.py:{line})" in line_about(error)
    assert line_about(NotImplementedError("not for this kind")) is None


def begin_in(folder: Path, copy: str) -> subprocess.CompletedProcess:
    """Runs the cell that finds the lab in a folder, as Colab would."""
    code = BEGIN.replace('COPY = ""', f"COPY = {copy!r}")
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copied_lab(tmp_path):
    """A lab as small as the first cell needs it, with a pip that says what it is told."""
    folder = tmp_path / "elsewhere" / "my lab ä"
    (folder / "support").mkdir(parents=True)
    (folder / "lab.py").write_text("")
    (folder / "pip.py").write_text("import sys\nprint('pip', *sys.argv[1:], flush=True)\n")
    (folder / "support" / "notebook.py").write_text(
        "import os\ndef begin():\n    print(os.path.isfile('lab.py'))\n"
    )
    return folder


def test_the_first_cell_fetches_the_lab_from_a_zip_or_a_repository(tmp_path, copied_lab):
    colab = tmp_path / "content"
    colab.mkdir()
    missing = begin_in(colab, "")
    assert missing.returncode == 1 and "say in COPY" in missing.stderr
    shutil.make_archive(str(colab / "upload"), "zip", copied_lab.parent)
    assert begin_in(colab, "upload.zip").stdout == INSTALLED
    assert begin_in(colab, "upload.zip").stdout == INSTALLED  # what is there is taken
    assert begin_in(copied_lab / "support", "").stdout == "True\n"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_first_cell_clones_a_repository(tmp_path, copied_lab):
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=copied_lab, check=True)
    assert begin_in(tmp_path, copied_lab.as_uri()).stdout == INSTALLED


def test_a_chapter_without_a_notebook_is_an_error(tmp_path):
    with pytest.raises(LabError, match=r"--only 8: .* there are 1, 2, 3, 4, 5, 6, 7"):
        write_notebooks(tmp_path / "new", 8)
    assert not (tmp_path / "new").exists()
    args = build_parser().parse_args(["notebooks", "--only", "3", "--output", "x"])
    assert (args.only, args.output) == (3, Path("x"))


def test_a_missing_package_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("teacher.notebooks.NEEDED", ("json", "no_such_package"))
    with pytest.raises(LabError, match=r"need no_such_package: pip install -r requirements-dev"):
        write_notebooks(tmp_path, 1, run=False)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"file.new: cannot be made"):
        write_notebooks(tmp_path / "file" / "new", 1, run=False)


def test_one_notebook_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(notebook, name, folder):
        raise LabError(name)

    monkeypatch.setattr("teacher.notebooks.run_notebook", fail)
    with pytest.raises(LabError, match="02_augmentation"):
        write_notebooks(tmp_path, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("chapter", "number"), [(2, "2.1"), (5, "5.3")])
def test_a_notebook_runs_up_to_the_first_todo_that_is_to_do(tmp_path, chapter, number):
    folder = tmp_path / "edition"
    build(folder, [each for each in BY_NUMBER if each.startswith(f"{chapter}.")])
    (folder / "toydata").symlink_to(resolve_datadir(None))
    path = sorted((folder / "notebooks").iterdir())[chapter - 1]
    notebook = nbformat.read(path, 4)
    with pytest.raises(LabError, match=rf"NotImplementedError: TODO {number}$"):
        run_notebook(notebook, path.stem, path.parent)
    said = [each for each in printed(notebook) if each]
    assert len(said) == 1 and said[0].startswith(f"TODO {number} is still to do (")
    assert said[0].count("\n") == 1
