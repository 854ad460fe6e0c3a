"""The part of the solved lab that grading needs, as a zip: no text, no data, no catalogue.

The files are the same, and in the same order with the same dates, as long as the lab is the same.
"""

import io
import zipfile
from pathlib import Path

from teacher.catalogue import LAB, TEACHER
from teacher.sandbox import NEEDED
from utils import atomic_path

LONG_AGO = (2020, 1, 1, 0, 0, 0)


def files_to_grade() -> dict[str, Path]:
    """The files that grading needs: name with slashes → place."""
    paths = [LAB / "requirements.txt", LAB / "constraints.txt"]
    paths += sorted(LAB.glob("test_implementation*.py"))
    for name in NEEDED:
        path = LAB / name
        paths += [path] if path.is_file() else sorted(path.rglob("*.py"))
    apart = ("misconceptions", "alternatives")
    paths += [path for path in sorted(TEACHER.rglob("*.py")) if path.parent.name not in apart]
    return {path.relative_to(LAB).as_posix(): path for path in paths}


def zip_of(files: dict[str, bytes], programs: tuple[str, ...] = ()) -> bytes:
    """A zip of these files; those named as programs may be executed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (0o100755 if name in programs else 0o100644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
