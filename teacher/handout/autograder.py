#!/usr/bin/env python3
"""Grades one submission for Classroom 50, in the solved lab and not in the student's copy.

This program lies in the assignment's bundle. The runner calls it for each submission with the
student's checkout as working directory and wants `./result.json`; it may write `release-body.md`,
and ends with 0 unless the machine is at fault. Source:
https://github.com/foundation50/classroom50/wiki/Advanced-Autograding (August 2026).

The solved lab is the folder that SOLVED_LAB names on a runner of one's own, or else `lab.zip`
beside this file, which students can read. Nothing of the checkout is imported, and results that a
student committed are removed before the grading. Standard library alone; Python 3.10 to 3.14.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

WRITTEN = ("result.json", "release-body.md")
MODULES = (
    "torch, torchvision, albumentations, cv2, numpy, onnx, onnxruntime, onnxscript, pytest, tqdm"
)
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
IDENTITY = ("CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL", "REVIEW_URL")
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE")
USER_NAMESPACES = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


def main() -> int:
    """Grades the checkout; returns the exit code."""
    checkout = Path.cwd().resolve()
    for name in WRITTEN:
        remove(checkout / name)
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as scratch:
        work = Path(scratch).resolve()
        lab = solved_lab(work)
        if lab is None:
            print(
                "no solved lab: lab.zip must lie beside autograder.py, or SOLVED_LAB name a folder"
            )
            return 1
        python = python_with_torch(work, lab)
        allow_walls()
        result = work / "out" / WRITTEN[0]
        command = [python, "-m", "teacher", "grade", str(checkout), "--classroom50", str(result)]
        code = subprocess.run(command, cwd=lab, env=environment(), check=False).returncode
        if code != 0 or not result.is_file():
            return code or 1
        for name in WRITTEN:
            remove(checkout / name)
            shutil.copyfile(work / "out" / name, checkout / name)
    return 0


def remove(path: Path) -> None:
    """Removes what lies there, whatever it is; of a link, the link."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def solved_lab(work: Path) -> Path | None:
    """The folder of the solved lab, unpacked if it must be; None if there is none."""
    if os.environ.get("SOLVED_LAB"):
        folder = Path(os.environ["SOLVED_LAB"]).resolve()
        return folder if (folder / "teacher").is_dir() else None
    packed = Path(__file__).resolve().parent / "lab.zip"
    if not packed.is_file():
        return None
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(work / "lab")
    return work / "lab"


def python_with_torch(work: Path, lab: Path) -> str:
    """A Python that has what the lab needs: this one, or one of a new environment."""
    here = [sys.executable, "-c", f"import {MODULES}"]
    if subprocess.run(here, cwd=lab, capture_output=True, check=False).returncode == 0:
        return sys.executable
    venv.create(work / "environment", with_pip=True)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = str(work / "environment" / folder / "python")
    install = [python, "-m", "pip", "install", "-q", "-r", "requirements.txt"]
    subprocess.run([*install, "--extra-index-url", CPU_WHEELS], cwd=lab, check=True)
    return python


def allow_walls() -> None:
    """Has Ubuntu let processes put walls around themselves, as the sandbox does.

    Since 23.10 it keeps user namespaces from programs without a profile; on GitHub's machines the
    runner may change that. Where it may not, the grading goes on with the walls that it gets.
    """
    if USER_NAMESPACES.is_file() and shutil.which("sudo") and os.getuid() != 0:
        setting = "kernel.apparmor_restrict_unprivileged_userns=0"
        command = ["sudo", "-n", "sysctl", "-q", "-w", setting]
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def environment() -> dict[str, str]:
    """What the grading may know of the environment: no token, no place to write results."""
    return {name: os.environ[name] for name in (*KEPT, *IDENTITY) if name in os.environ}


if __name__ == "__main__":
    sys.exit(main())
