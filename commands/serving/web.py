"""A static folder that segments photos in the visitor's own browser: `main.py web OUT --model …`.

The folder holds the page of `page/`, the networks, what they say of themselves (`model.json`), and
onnxruntime-web (Microsoft, MIT licence), fetched by npm in the version below. It runs below any
address, such as `python -m http.server` or GitHub Pages in a sub-path: all addresses in it are
relative, and it needs no headers. Without those for shared memory (COOP, COEP) a browser has one
thread for WebAssembly, so that is what the page uses.
"""

import base64
import hashlib
import json
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commands.command_line import as_shown
from commands.serving.serve import names_of
from deploy import OnnxSegmenter
from utils import LabError, python_command, write_json

PAGE = Path(__file__).parent / "page"
COPIED = ("index.html", "page.css", "page.js", "worker.js", "pixels.js")
PAGE_FILES = dict(zip(COPIED, COPIED, strict=True)) | {"browser.js": "backend.js"}
"""The files of the page and their names in the folder."""
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""The SHA-512 of the packed version, as npm lists it."""
WASM = "ort-wasm-simd-threaded.wasm"
RUNTIME_FILES = ("package.json", "dist/ort.wasm.bundle.min.mjs", f"dist/{WASM}")


def make_web_folder(output: Path, models: Sequence[Path], runtime: Path | None) -> None:
    """Writes the folder, or writes it anew; foreign files in it, such as `.git`, stay.

    Args:
        output: the folder.
        models: files as `train` writes them.
        runtime: the unpacked npm package; None has npm fetch it.

    Raises:
        LabError: for a folder that is another one, a file that is no model, and without npm.
    """
    require_own(output)
    segmenters = dict(zip(names_of(models), map(OnnxSegmenter, models), strict=True))
    with scratch_folder(output) as folder, unpacked(runtime) as package:
        for name, target in PAGE_FILES.items():
            shutil.copyfile(PAGE / name, folder / target)
        (folder / "ort").mkdir()
        for name in RUNTIME_FILES:
            shutil.copyfile(package / name, folder / "ort" / Path(name).name)
        entries = [copy_model(folder, *item) for item in enumerate(segmenters.items(), start=1)]
        wasm = {"version": VERSION} | file_entry(folder, f"ort/{WASM}")
        write_json(folder / "model.json", {"runtime": wasm, "models": entries})
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        put_in_place(folder, output)
    count = f"{len(entries)} networks" if len(entries) > 1 else "1 network"
    server = f"{python_command()} -m http.server --bind 127.0.0.1 --directory"
    print(f"{as_shown(str(output))}: the page with {count}, {size / 1e6:.1f} MB")
    print(f"look at it: {server} {shlex.quote(str(output))}")
    print("            and open http://127.0.0.1:8000; chapter 7 tells how to publish the folder")


def copy_model(folder: Path, number: int, item: tuple[str, OnnxSegmenter]) -> dict[str, Any]:
    """Copies a network; returns what the page has to know of it."""
    name, segmenter = item
    file = "model.onnx" if number == 1 else f"model-{number}.onnx"
    shutil.copyfile(segmenter.path, folder / file)
    return {
        "name": name,
        **file_entry(folder, file),
        "classes": segmenter.classes,
        "palette": segmenter.palette.tolist(),
        "mean": segmenter.mean.tolist(),
        "std": segmenter.std.tolist(),
        "size": segmenter.size,
        "stride": segmenter.stride,
    }


def file_entry(folder: Path, file: str) -> dict[str, Any]:
    """Where a file lies, and how long it is: a server that packs does not say so."""
    return {"file": file, "bytes": (folder / file).stat().st_size}


# ------------------------------------------------------------------ the folder


def own_files(output: Path) -> list[str]:
    """The files and folders that an earlier call put into `output`; none if that is another one."""
    try:
        found = json.loads((output / "model.json").read_text(encoding="utf-8"))
        models = [str(entry["file"]) for entry in found["models"]]
        if "version" not in found["runtime"] or not (output / "backend.js").is_file():
            return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    plain = [name for name in models if Path(name).name == name and name.endswith(".onnx")]
    return ["index.html", *plain, *PAGE_FILES.values(), "ort", "model.json"]


def require_own(output: Path) -> None:
    """Raises `LabError` unless `output` is new, empty, or a folder that this command wrote."""
    is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_free and not own_files(output):
        raise LabError(f"{output}: is there already, and no folder of this command; choose another")


@contextmanager
def scratch_folder(output: Path) -> Iterator[Path]:
    """A new folder beside `output`, gone afterwards if it is still there."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        folder.chmod(0o755)
    except OSError as error:
        raise LabError(f"{output}: cannot be made ({error.strerror})") from error
    try:
        yield folder
    except OSError as error:
        raise LabError(f"{output}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, output: Path) -> None:
    """Renames the whole folder, or file by file where `output` is there already."""
    old = own_files(output)
    if not old:
        if output.exists():
            output.rmdir()
        folder.replace(output)
        return
    shutil.rmtree(output / "ort", ignore_errors=True)
    new = sorted(path.name for path in folder.iterdir())
    for name in sorted(new, key=lambda name: name == "model.json"):  # by which it is known, last
        (folder / name).replace(output / name)
    for name in set(old) - set(new):
        (output / name).unlink(missing_ok=True)


# ------------------------------------------------------------------ the runtime


@contextmanager
def unpacked(runtime: Path | None) -> Iterator[Path]:
    """The folder of the unpacked npm package: the given one, or a temporary one."""
    if runtime is not None:
        require_package(runtime)
        yield runtime
        return
    with tempfile.TemporaryDirectory() as scratch:
        fetch(Path(scratch))
        yield Path(scratch) / "package"


def require_package(folder: Path) -> None:
    """Raises `LabError` unless a folder is the package in the right version."""
    missing = [name for name in RUNTIME_FILES if not (folder / name).is_file()]
    if missing:
        raise LabError(f"--runtime {folder}: has no {missing[0]}; unpack {PACKAGE} {VERSION}")
    try:
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        found = f"{about['name']} {about['version']}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabError(f"--runtime {folder}: has a damaged package.json; unpack it anew") from error
    if found != f"{PACKAGE} {VERSION}":
        raise LabError(f"--runtime {folder}: is {found}; the page needs {PACKAGE} {VERSION}")


def fetch(folder: Path) -> None:
    """Has npm fetch the package, checks it, and unpacks what is needed into `folder`/package."""
    npm = shutil.which("npm")
    if npm is None:
        raise LabError(
            f"npm is missing, which fetches {PACKAGE}: install Node.js, or give --runtime FOLDER "
            f"with {PACKAGE} {VERSION} unpacked"
        )
    print(f"fetching {PACKAGE} {VERSION} with npm (33 MB, kept by npm for the next time) …")
    words = [npm, "pack", f"{PACKAGE}@{VERSION}", "--prefer-offline", "--fetch-retries=1"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace")
    packed = folder / f"{PACKAGE}-{VERSION}.tgz"
    if done.returncode or not packed.is_file():
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise LabError(f"npm could not fetch {PACKAGE} {VERSION} ({reason}); is there a network?")
    if base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() != INTEGRITY:
        raise LabError(f"what npm fetched is not {PACKAGE} {VERSION}; nothing was written")
    with tarfile.open(packed) as archive:
        for name in RUNTIME_FILES:
            target = folder / "package" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.extractfile(f"package/{name}") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
