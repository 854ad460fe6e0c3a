"""The zip that Gradescope takes as an autograder: set-up, program, and the solved lab.

Source: https://gradescope-autograders.readthedocs.io/en/latest/specs/ (`setup.sh` and
`run_autograder` at the top of the zip, which is unpacked to /autograder/source; the program is
copied to /autograder/run_autograder; /autograder/submission and /autograder/results/results.json).
Both scripts find these folders from where they lie, and not by an absolute path.
"""

from pathlib import Path

from teacher.catalogue import TEACHER
from teacher.handout.solved_lab import files_to_grade, write_bytes, zip_of
from utils import LabError

PROGRAMS = ("setup.sh", "run_autograder")


def build_gradescope(path: Path) -> int:
    """Writes the zip; returns how many files it has.

    Raises:
        LabError: when it is there already, has no ending `.zip`, or cannot be written.
    """
    if path.suffix.lower() != ".zip":
        raise LabError(f"{path}: must end in .zip")
    if path.exists():
        raise LabError(f"{path}: is there already; choose a new name")
    scripts = {name: (TEACHER / "handout" / name).read_bytes() for name in PROGRAMS}
    files = {name: script.replace(b"\r\n", b"\n") for name, script in scripts.items()}
    files |= {f"lab/{name}": place.read_bytes() for name, place in files_to_grade().items()}
    write_bytes(path, zip_of(files, PROGRAMS))
    return len(files)
