"""Builds the student edition from the solved lab."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from commands.companion.markers import to_edition
from commands.companion.quiz import POOL
from teacher.catalogue import LAB, TEACHER, all_parts, solved_texts
from teacher.exam.pool import pool_bytes
from teacher.notebooks import write_notebooks
from teacher.verify import leaks
from utils import LabError

COPIED = (
    "main.py",
    "utils.py",
    "lab.py",
    "job.py",
    "conftest.py",
    "test_implementation.py",
    "test_implementation_zoo.py",
    "requirements.txt",
    "requirements-serve.txt",
    "requirements-track.txt",
    "constraints.txt",
    "environment.yml",
    "LICENSE",
)
FOLDERS = dict.fromkeys(("commands", "support", "toycity", "zoo", "checks"), "*.py")
FOLDERS |= {
    "commands/mappings": "*.tsv",
    "commands/serving/page": "*",
    "docs/studies": "*.txt *.tsv",
    "subject": "*.md",
    "subject/figures": "*.png",
    "pretrained": "*",
}
THEIRS = {"check.yml": ".github/workflows/check.yml", "gitignore": ".gitignore"}
THEIRS |= {"gitlab-ci.yml": ".gitlab-ci.yml"}
THEIRS |= {"copilot-instructions.md": ".github/copilot-instructions.md"}
THEIRS |= {
    name: name for name in ("README.md", "AGENTS.md", "CLAUDE.md", "Makefile", "pyproject.toml")
}
"""The files of teacher/edition and their places in an edition."""


def build(target: Path, numbers: list[str]) -> list[str]:
    """Writes the student edition into a new folder.

    Args:
        target: the folder; it must not exist, or be empty.
        numbers: of the TODOs that are open; the others stay solved.

    Returns:
        The files that were written, sorted.

    Raises:
        LabError: when the folder is not empty or cannot be written, or a solution would leak.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LabError(f"{target}: is there already; choose a new folder")
    all_parts()
    solved = solved_texts()
    faults = leaks(solved)
    if faults:
        raise LabError(faults[0])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise LabError(f"{target}: cannot be made ({error.strerror})") from error
    try:
        files = {name: to_edition(text, name, set(numbers)) for name, text in solved.items()}
        copy_files(scratch)
        write_notebooks(scratch / "notebooks", run=False)
        for name, text in files.items():  # some of them among those of a folder that was copied
            (scratch / name).write_text(text, encoding="utf-8", newline="\n")
        (scratch / POOL).write_bytes(pool_bytes())
        write_record(scratch, files, numbers)
        scratch.chmod(0o755)
        if target.exists():
            target.rmdir()
        os.replace(scratch, target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def copy_files(folder: Path) -> None:
    """Copies what students get as it is, and their own README, Makefile, workflows and settings."""
    for name in COPIED:
        shutil.copy(LAB / name, folder / name)
    for name, patterns in FOLDERS.items():
        for path in sorted(path for each in patterns.split() for path in (LAB / name).rglob(each)):
            target = folder / path.relative_to(LAB)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    (folder / ".github" / "workflows").mkdir(parents=True)
    for name, place in THEIRS.items():
        shutil.copy(TEACHER / "edition" / name, folder / place)


def write_record(folder: Path, files: dict[str, str], numbers: list[str]) -> None:
    """Writes `.lab/edition.json`, by which the companion resets a TODO and carries out updates."""
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    whole = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    record = {"version": version(whole), "todos": numbers, "files": files, "hashes": hashes}
    (folder / ".lab").mkdir()
    path = folder / ".lab" / "edition.json"
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")


def version(content: str) -> str:
    """Names an edition by the date of the lab's last commit, if there is one, and its content."""
    command = ["git", "log", "-1", "--format=%cs"]
    try:
        found = subprocess.run(command, cwd=LAB, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return content[:8]
    return f"{found.stdout.strip()} {content[:8]}"
