"""Small helpers that know nothing about classes, losses or data sets.

Errors that a user can fix, files written whole or not at all, images read and resized, colours and
overlays, seeding. Neither torch nor OpenCV is imported at the top: `--help` answers at once, and
inference with a `model.onnx` does without torch.
"""

import csv
import io
import json
import os
import random
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

MAX_IMAGE_PIXELS, MAX_SIDE = 64_000_000, 4096
"""The largest image that is opened (8000 x 8000 pixels), and the longest side in a network."""

USUAL_WHITES = {"F": (1, 255), "I": (255,)}
"""White in Pillow's float and 32-bit images: the first that no pixel exceeds, else 65535."""

VOID_COLOR = (0, 0, 0)


class LabError(ValueError):
    """Anything that a user can cause and fix. Its message is the one line that they see."""

    @property
    def line(self) -> str:
        """The message alone, also when a DataLoader worker wrapped a traceback around it."""
        last = str(self).strip().splitlines()[-1] if str(self).strip() else "unknown error"
        return re.sub(r"^(\w+\.)*LabError: ", "", last)


def require_known(kind: str, wanted: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Raises `LabError` with the known names when a wanted one is not among them."""
    place = f" in {where}" if where else ""
    for name in wanted:
        if name not in known:
            there = ", ".join(known) or "none"
            raise LabError(f"unknown {kind} {name!r}{place}; there are: {there}")


class TooLargeError(LabError):
    """An image with more pixels than are allowed here."""


def python_command() -> str:
    """How this Python is called from the shell: by its path while its environment is not active."""
    executable, here = Path(sys.executable), Path.cwd()
    on_path = str(executable.parent) in os.environ.get("PATH", "").split(os.pathsep)
    if sys.prefix == sys.base_prefix or on_path:
        return "python"
    return str(executable.relative_to(here) if executable.is_relative_to(here) else executable)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it when the block ends without an error.

    Whatever happens, `path` is either the complete new file or what it was before. Errors of the
    block that are not about writing this file pass through.

    Raises:
        LabError: when the file cannot be written (read-only folder, full disk, ...).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if not _is_about_writing(error, temporary):
            raise
        reason = error.strerror if isinstance(error, OSError) else "the file was cut short"
        raise LabError(
            f"cannot write {path}: {reason or error}; free some space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):  # nothing was written where the folder itself is the trouble
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file in UTF-8, as `atomic_path` does; odd bytes of a path become escapes."""
    content = text.encode("utf-8", "backslashreplace")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, content: object) -> None:
    """Writes a JSON file, as `atomic_path` does."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping]) -> None:
    """Writes a table, each row by column, as CSV with a head line, as `atomic_path` does."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, file.getvalue())


def _is_about_writing(error: OSError | RuntimeError, path: Path) -> bool:
    """Whether an error says that `path` cannot be written: it names no file, or this one."""
    if isinstance(error, RuntimeError):  # torch.save on a full disk
        return "inline_container" in str(error) or "PytorchStreamWriter" in str(error)
    if not isinstance(error.filename, str):
        return True
    whole_path = path.absolute()
    return Path(error.filename).absolute() in (whole_path, *whole_path.parents)


def read_image(path: str | Path | bytes, most: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Reads an image of any common kind as (H, W, 3) uint8 RGB, upright as a viewer shows it.

    Grey, palette, transparent (on white), CMYK and 16-bit files are converted.

    Raises:
        LabError: as `opened_image`.
    """
    with opened_image(path, most=most) as image:
        return np.array(to_rgb(ImageOps.exif_transpose(image)))


@contextmanager
def opened_image(
    path: str | Path | bytes, kind: str | None = None, most: int = MAX_IMAGE_PIXELS
) -> Iterator[Image.Image]:
    """Opens an image file (or its bytes), such as one of the `kind` PNG, of at most `most` pixels.

    Its pixels are decoded when asked for.

    Raises:
        LabError: also from within the block, when the file is missing, not an image, of another
            kind, or truncated; `TooLargeError`, before they are decoded, for too many pixels.
    """
    file = io.BytesIO(path) if isinstance(path, bytes) else Path(path)
    path = "the photo" if isinstance(path, bytes) else file
    if isinstance(file, Path) and not file.is_file():
        raise LabError(f"{path}: {'a folder, not an' if file.is_dir() else 'no such'} image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own warning comes at another limit
            with Image.open(file) as image:
                if kind not in (None, image.format):
                    raise LabError(f"{path}: not a {kind} file, but {image.format}")
                if image.format in ("EPS", "WMF"):  # programs that other programs would run
                    raise LabError(f"{path}: a drawing ({image.format}); save it as JPEG or PNG")
                check_pixels(image.width, image.height, path, most)
                yield image
    except (LabError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{path}: absurdly large image; scale it down first") from error
    except UnidentifiedImageError as error:
        line = f"{path}: not an image, but an empty file; copy it again"
        if file.getvalue() if isinstance(file, io.BytesIO) else file.stat().st_size:
            cure = f"save it as {kind or 'JPEG or PNG'}"
            line = f"{path}: not an image, but of a kind that is not read here; {cure}"
        raise LabError(line) from error
    except Exception as error:  # on damaged files, Pillow's readers raise errors of any kind
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        line = f"{path}: not a readable image ({reason.splitlines()[0]}); copy it again"
        raise LabError(line) from error


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened image: 1 upright, 3 turned by 180°, 5 ... 8 by 90°.

    A PNG may have it behind its pixels; then it is known once those are decoded, and 1 before.
    """
    tag = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return tag if tag in range(1, 9) else 1


def check_pixels(width: int, height: int, source: str | Path, most: int = MAX_IMAGE_PIXELS) -> None:
    """Raises `TooLargeError`, naming `source`, for an image of more than `most` pixels."""
    if width * height > most:
        raise TooLargeError(
            f"{source}: {width}x{height} pixels are more than the limit of "
            f"{most // 10**6} million; scale the image down first"
        )


def check_image(image: np.ndarray) -> None:
    """Raises `LabError` unless `image` is (H, W, 3) uint8 and not too large."""
    is_photo = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if not is_photo or image.shape[2] != 3 or image.size == 0:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise LabError(f"a photo must be an RGB array (height, width, 3) of uint8, not {what}")
    check_pixels(image.shape[1], image.shape[0], "the photo")


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts any Pillow mode to RGB without cutting 16-bit values off at 255."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        white = next((w for w in USUAL_WHITES.get(image.mode, ()) if values.max() <= w), 65535)
        grey = (values.clip(0, white) * (255 / white)).round().astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes an image: averages areas when a side shrinks, so that a thin pole is not lost.

    This and `resize_labels` are the lab's one rule; `data.eval_transforms` states it once more, in
    albumentations' words. An image that has the size already comes back itself.

    Shape:
        image: (H, W, 3) uint8, `size` = (height, width) → (height, width, 3) uint8.
    """
    import cv2  # late: `--help` does without it

    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] or width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes ids, (H, W) uint8, to `size` = (height, width): each pixel takes its nearest one."""
    import cv2  # late: `--help` does without it

    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def colorize(class_ids: np.ndarray, palette: Sequence | np.ndarray) -> np.ndarray:
    """Paints class ids with their colours; every id outside the palette (void) becomes black.

    Shape:
        class_ids: (H, W) integer, palette: (K, 3) RGB 0 ... 255 → (H, W, 3) uint8 RGB.
    """
    colors = np.asarray(palette, dtype=np.uint8)
    table = np.tile(np.array(VOID_COLOR, dtype=np.uint8), (256, 1))
    table[: len(colors)] = colors
    return table.take(class_ids, axis=0)


def overlay(image: np.ndarray, colors: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lays a mask, as from `colorize`, over an image; opacity 1 shows the mask alone.

    Shape:
        image: (H, W, 3) uint8, colors: (H, W, 3) uint8 → (H, W, 3) uint8.
    """
    weight = round(opacity * 256)
    mixed = image.astype(np.uint16) * (256 - weight) + colors.astype(np.uint16) * weight
    return (mixed >> 8).astype(np.uint8)


def cut(text: str, most: int = 40) -> str:
    """A text of at most so many characters; "…" stands for what is cut off."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def add_legend(
    image: np.ndarray, names: Sequence[str], palette: Sequence | np.ndarray
) -> np.ndarray:
    """Puts a legend of coloured squares and names below an image; its pixels stay as they are.

    Names of more than 40 characters are cut. Of more than 30 names, all are smaller, and cut at 24.

    Shape:
        image: (H, W, 3) uint8, palette: (len(names), 3) RGB 0 ... 255 → (H + legend, W', 3) uint8;
        W' is W, or 160 (for many names 640) or what the longest name takes where that is more.
    """
    height, width = image.shape[:2]
    least, part, largest, most = (160, 45, 40, 40) if len(names) <= 30 else (640, 90, 24, 24)
    names = [cut(name, most) for name in names]
    size = int(np.clip(max(width, least) // part, 10, largest))
    # Pillow's own font has no letters beyond ASCII; matplotlib brings one that has.
    fonts = Path(find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf"
    font = ImageFont.truetype(fonts / "DejaVuSans.ttf", size)
    row_height = round(size * 1.6)
    column_width = round(max((font.getlength(name) for name in names), default=0) + 2.6 * size)
    canvas_width = max(width, least, column_width)
    columns = max(1, min(len(names), canvas_width // column_width))
    rows = -(-len(names) // columns)
    canvas = Image.new("RGB", (canvas_width, height + rows * row_height + size), (255, 255, 255))
    canvas.paste(Image.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for position, (name, color) in enumerate(zip(names, palette, strict=True)):
        left = (position % columns) * column_width + size // 2
        top = height + size // 2 + (position // columns) * row_height
        draw.rectangle((left, top, left + size, top + size), fill=tuple(int(c) for c in color))
        draw.text((left + 1.5 * size, top + size / 2), name, fill=(0, 0, 0), font=font, anchor="lm")
    return np.asarray(canvas)


def shortened(names: Sequence[object], most: int = 8) -> str:
    """The first names, and how many there are beyond."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Writes an 8-bit image, (H, W) grey or (H, W, 3) RGB, as `atomic_path` does.

    PNG files are compressed at level 3: three times as fast as Pillow's default, about 7 % larger.
    """
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, compress_level=3)


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch, and asks cuDNN for algorithms that repeat bit for bit."""
    import torch  # late: inference with onnxruntime does without it

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
