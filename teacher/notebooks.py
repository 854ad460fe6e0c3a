"""Makes the notebooks: percent scripts in notebooks/ become .ipynb, run on the toy streets or not.

A script holds its text and its cells; the cell that finds the lab (notebooks/begin.py) is put
behind the first text of each. jupytext reads the scripts, nbclient runs them with this Python.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from teacher.catalogue import LAB
from utils import LabError, write_text

NOTEBOOKS = LAB / "notebooks"
NEEDED = ("jupytext", "nbformat", "nbclient", "ipykernel")
"""Packages that grading does without: imported late."""
SECONDS = 300
"""The most that a cell may take."""


def scripts(only: int | None = None) -> list[Path]:
    """The percent scripts in order, or the one of a chapter.

    Raises:
        LabError: for a chapter without one.
    """
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
    if only is not None:
        there = ", ".join(str(int(path.name[:2])) for path in found)
        found = [path for path in found if int(path.name[:2]) == only]
        if not found:
            raise LabError(f"--only {only}: that chapter has no notebook; there are {there}")
    return found


def to_notebook(script: Path) -> Any:
    """The notebook of a percent script, not run; always the same, names of cells included."""
    import jupytext

    files = script, NOTEBOOKS / "begin.py"
    notebook, begin = (jupytext.read(path, fmt="py:percent") for path in files)
    for cell in begin.cells:
        cell.metadata["tags"] = ["remove-cell"]  # the book leaves it out
    notebook.cells[1:1] = begin.cells
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return notebook


def run_notebook(notebook: Any, name: str, folder: Path) -> None:
    """Runs all cells in a folder, and keeps their outputs in the notebook.

    Raises:
        LabError: naming the cell that failed, and its error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources=where,
        record_timing=False,  # the files of two runs are equal
        coalesce_streams=True,
        extra_arguments=["--log-level=CRITICAL"],  # of the kernel, which talks of itself
    )
    try:
        client.execute()
    except CellExecutionError as error:
        cell = [cell for cell in notebook.cells if cell.get("execution_count")][-1]
        what = f"the cell that begins {cell.source.splitlines()[0]!r} fails"
        raise LabError(f"{name}: {what}: {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        raise LabError(f"{name}: a cell took more than {SECONDS} seconds") from error
    except DeadKernelError as error:
        raise LabError(f"{name}: its Python ended; is there too little memory?") from error
    except AssertionError as error:  # after Ctrl-C, which nbclient takes as its own
        raise KeyboardInterrupt from error


def write_notebooks(target: Path, only: int | None = None, run: bool = True) -> list[Path]:
    """Writes the notebooks into a folder, each when it is whole; returns their paths.

    Raises:
        LabError: when a package is missing, a cell fails, or the folder cannot be written.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise LabError(f"notebooks need {missing[0]}: pip install -r requirements-dev.txt")
    import nbformat

    chosen, written = scripts(only), []
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{target}: cannot be made ({error.strerror})") from error
    for script in tqdm(chosen, "notebooks", disable=not run, leave=False):
        notebook = to_notebook(script)
        if run:
            run_notebook(notebook, script.stem, NOTEBOOKS)
        path = target / f"{script.stem}.ipynb"
        write_text(path, nbformat.writes(notebook) + "\n")
        written.append(path)
    return written
