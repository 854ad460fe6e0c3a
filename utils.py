"""Small helpers that know nothing about classes, losses or data sets.

Errors that a user can mend, files written whole or not at all, reading any photo, colours and
overlays, seeding. Nothing here imports torch at the top, so that inference with a `model.onnx`
starts without it.
"""

import argparse
import os
import random
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

MAX_IMAGE_PIXELS = 64_000_000
"""The largest picture that is opened, in pixels (8000 x 8000); a fixed limit bounds the memory."""

VOID_COLOR = (0, 0, 0)


class LabError(ValueError):
    """Anything that a user can cause and mend. Its message is the one line that they see."""

    @property
    def line(self) -> str:
        """The message alone, also when a DataLoader worker wrapped a traceback around it."""
        last = str(self).strip().splitlines()[-1] if str(self).strip() else "unknown error"
        return re.sub(r"^(\w+\.)*LabError: ", "", last)


class CommandLine(argparse.ArgumentParser):
    """An argparse parser whose usage errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Prints the line and exits."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def whole(text: str, least: int = 1) -> int:
    """An argparse type: a whole number, `least` or more."""
    return int(_number(text, int, least, f"a whole number, {least} or more"))


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    return _number(text, float, np.nextafter(0, 1), "a number above 0")


def non_negative(text: str) -> float:
    """An argparse type: a finite number, 0 or more."""
    return _number(text, float, 0, "a number, 0 or more")


def _number(text: str, kind: type, least: float, wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value


def run_command(args: argparse.Namespace) -> int:
    """Calls `args.run(args)`, and turns what a user can mend into one line on stderr.

    Returns:
        The exit code: the command's own, 2 for an error, 130 after Ctrl-C.
    """
    try:
        return args.run(args) or 0
    except LabError as error:
        line = error.line
    except MemoryError as error:
        line = f"out of memory ({error}); lower --batch-size or --img-size"
    except RuntimeError as error:  # how torch says it, on the GPU and on the CPU
        if not re.search("out of memory|can't allocate memory", str(error)):
            raise
        line = "out of memory; lower --batch-size, --img-size or --base-channels"
    except OSError as error:
        line = f"{error.filename or 'a file'}: {error.strerror or error}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"error: {line}", file=sys.stderr)
    return 2


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it when the block ends without an error.

    Whatever happens, `path` is either the complete new file or what it was before.

    Raises:
        LabError: when the file cannot be written (read-only folder, full disk, ...).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabError(
            f"cannot write {path}: {reason}; free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_image(path: str | Path) -> np.ndarray:
    """Reads a photo of any common kind as RGB, upright as a viewer shows it.

    Grey, palette, transparent (on white), CMYK and 16-bit files are converted.

    Args:
        path: the image file.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        LabError: when the file is missing, not an image, truncated, or larger than
            `MAX_IMAGE_PIXELS`.
    """
    path = Path(path)
    if not path.is_file():
        raise LabError(f"{path}: no such image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own warning comes at another limit
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_IMAGE_PIXELS:
                    raise LabError(
                        f"{path}: {width}x{height} pixels are more than the limit of "
                        f"{MAX_IMAGE_PIXELS // 10**6} million; scale the picture down first"
                    )
                image = ImageOps.exif_transpose(image)
                return np.array(_to_rgb(image))
    except LabError:
        raise
    except Image.DecompressionBombError as error:
        raise LabError(f"{path}: absurdly large picture; scale it down first") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabError(f"{path}: not a readable image ({reason})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts any Pillow mode to RGB without cutting 16-bit values off at 255."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        grey = (values.clip(0, top) * (255.0 / top)).round().astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def colorize(class_ids: np.ndarray, palette: Sequence | np.ndarray) -> np.ndarray:
    """Paints class ids with their colours; every id outside the palette (void) becomes black.

    Args:
        class_ids: (H, W) integer.
        palette: (K, 3), RGB 0 ... 255.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colors = np.asarray(palette, dtype=np.uint8)
    table = np.tile(np.array(VOID_COLOR, dtype=np.uint8), (256, 1))
    table[: len(colors)] = colors
    return table[np.asarray(class_ids)]


def overlay(image: np.ndarray, colors: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lays a coloured mask over a photo.

    Args:
        image: (H, W, 3) uint8.
        colors: (H, W, 3) uint8, as from `colorize`.
        opacity: 0 shows the photo alone, 1 the mask alone.

    Returns:
        (H, W, 3) uint8.
    """
    share = round(opacity * 256)
    mixed = image.astype(np.uint16) * (256 - share) + colors.astype(np.uint16) * share
    return (mixed >> 8).astype(np.uint8)


def add_legend(
    image: np.ndarray, names: Sequence[str], palette: Sequence | np.ndarray
) -> np.ndarray:
    """Puts a legend of coloured squares and names below a picture; its pixels stay as they are.

    Args:
        image: (H, W, 3) uint8.
        names: what stands beside each square.
        palette: (len(names), 3), RGB 0 ... 255.

    Returns:
        (H + legend, max(W, 160), 3) uint8: the picture on top, left-aligned.
    """
    height, width = image.shape[:2]
    canvas_width = max(width, 160)
    size = int(np.clip(canvas_width // 45, 10, 40))
    font = ImageFont.load_default(size)
    row_height = round(size * 1.6)
    column_width = round(max((font.getlength(name) for name in names), default=0) + 2.6 * size)
    columns = max(1, min(len(names), canvas_width // max(column_width, 1)))
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


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Writes an 8-bit image, (H, W) grey or (H, W, 3) RGB, whole or not at all.

    Raises:
        LabError: when it cannot be written.
    """
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(image)).save(temporary)


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch, and asks cuDNN for algorithms that repeat bit for bit."""
    import torch  # late: inference with onnxruntime does without it

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
