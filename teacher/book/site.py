"""Builds the book: gathers the pages, lets Sphinx make the site, puts it in place when whole."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from teacher.catalogue import LAB
from teacher.notebooks import write_notebooks
from utils import LabError

BOOK = LAB / "teacher" / "book"
MARK = "objects.inv"
"""The file by which a folder is known to be a site of Sphinx."""


def make_book(target: Path, run: bool = True) -> int:
    """Writes the site into a folder; a book that is there already is replaced.

    Args:
        target: the folder.
        run: whether the notebooks are run; else they are shown without outputs.

    Returns:
        How many pages it has.

    Raises:
        LabError: when the folder holds something else, a package is missing, a notebook fails, or
            Sphinx warns of anything (a link that leads nowhere, say).
    """
    if target.exists() and not (target / MARK).is_file() and any(_entries(target)):
        raise LabError(f"{target}: holds something that is no book; choose another folder")
    if find_spec("sphinx") is None or find_spec("myst_nb") is None:
        raise LabError("the book needs Sphinx: pip install -r requirements-dev.txt")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise LabError(f"{target}: cannot be made ({error.strerror})") from error
    try:
        gather(scratch / "pages", run)
        run_sphinx(scratch / "pages", scratch / "site")
        if target.exists():
            target.replace(scratch / "old")
        (scratch / "site").replace(target)
    except OSError as error:
        raise LabError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sum(1 for _ in target.rglob("*.html"))


def _entries(target: Path) -> list[Path]:
    """What is in a folder; a file stands for itself."""
    return list(target.iterdir()) if target.is_dir() else [target]


def gather(pages: Path, run: bool) -> None:
    """Puts the cover, the text with its figures, and the notebooks beside one another."""
    (pages / "subject").mkdir(parents=True)
    shutil.copy(BOOK / "index.md", pages)
    for path in sorted((LAB / "subject").glob("*.md")):
        shutil.copy(path, pages / "subject")
    shutil.copytree(LAB / "subject" / "figures", pages / "subject" / "figures")
    write_notebooks(pages / "notebooks", run=run)


def run_sphinx(pages: Path, site: Path) -> None:
    """Makes the site; `LabError` with Sphinx's first warning when there is one."""
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--nitpicky"]
    command += ["--fail-on-warning", "--keep-going", "--conf-dir", str(BOOK)]
    command += ["--doctree-dir", str(site.with_name("doctrees")), str(pages), str(site)]
    done = subprocess.run(command, cwd=LAB, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "WARNING" in line or "rror" in line]
        first = (lines or done.stderr.splitlines() or ["Sphinx failed"])[0]
        raise LabError(f"the book cannot be made: {first.replace(f'{pages}{os.sep}', '')}")
    (site / ".buildinfo").unlink(missing_ok=True)
