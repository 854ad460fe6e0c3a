"""The commands of data.py that look at a folder as it is: show, check, prepare.

They read official label ids and need none of the lab's own code. The two commands that show what
data.py does with a sample, stats and augment, stand there.
"""

import argparse
import shlex
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from support.formats.cityscapes import require_label_ids
from support.formats.labels import LABEL_PALETTE, LABELS
from support.formats.prepared import (
    audit_folder,
    is_prepared,
    open_split,
    open_splits,
    prepare,
    prepared_bytes,
)
from support.plots import picture_grid
from utils import (
    VOID_COLOR,
    LabError,
    add_legend,
    colorize,
    overlay,
    python_command,
    save_image,
    whole,
)

TOYDATA_DIR = Path(__file__).resolve().parents[1] / "toydata"


def resolve_datadir(datadir: Path | None) -> Path:
    """Returns the data folder that was asked for, else the toy data, made when it is missing."""
    if datadir is not None:
        return datadir
    import toycity  # late: other data does without it

    return toycity.ensure_toycity(TOYDATA_DIR)


def next_step(command: str, datadir: Path | None) -> str:
    """The line that ends a command: what to type next, on the same data."""
    folder = f" --datadir {shlex.quote(str(datadir))}" if datadir else ""
    return f"next: {python_command()} {command}{folder}"


def train_step(datadir: Path | None, size: tuple[int, int]) -> str:
    """As `next_step`, for the training: with a size that keeps the aspect of the data.

    Args:
        datadir: the data folder that was asked for.
        size: (height, width) of its pictures, in pixels.
    """
    line = next_step("main.py train", datadir)
    if datadir is not None and is_prepared(datadir):
        return f"{line} --img-size {size[0]} {size[1]}"
    if abs(size[1] / size[0] - 2) < 0.05:  # that of the training's own default
        return line
    height, width = training_size(size)
    return f"{line} --img-size {height} {width}"


def training_size(size: tuple[int, int]) -> tuple[int, int]:
    """The smallest size for training whose aspect is within 1 % of that of `size`, or the nearest.

    Args:
        size: (height, width) of the pictures as they are.

    Returns:
        (height, width), multiples of 16, the height 128 ... 256.
    """
    aspect = size[1] / size[0]
    sizes = [(h, max(16, 16 * round(h * aspect / 16))) for h in range(128, 257, 16)]
    errors = [abs(width / height / aspect - 1) for height, width in sizes]
    return next(
        (found for found, error in zip(sizes, errors, strict=True) if error < 0.01),
        sizes[errors.index(min(errors))],
    )


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Adds a command with the arguments that all of them share, `--datadir` and `--cities`."""
    command = commands.add_parser(name, help=text, description=f"Command {name}: {text}.")
    command.set_defaults(run=run)
    command.add_argument(
        "--datadir", type=Path, metavar="DIR", help="data folder, downloaded or prepared (toy data)"
    )
    command.add_argument("--cities", nargs="+", metavar="CITY", help="only these cities (all)")
    return command


def png_path(text: str) -> Path:
    """An argparse type: where a picture goes."""
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text} does not end in .png")
    return Path(text)


def add_split(command: argparse.ArgumentParser, picture: str) -> None:
    """Adds what the commands that draw share: one split, and where the picture goes."""
    command.add_argument("--split", default="train", help="which split (train)")
    command.add_argument(
        "--output", type=png_path, default=Path(picture), help=f"the picture to write ({picture})"
    )


def add_limit(command: argparse.ArgumentParser) -> None:
    """Adds the limit of images per split."""
    command.add_argument("--limit", type=whole, metavar="N", help="images per split, at most (all)")


def add_size(
    command: argparse.ArgumentParser, height: int, width: int, most: int = 2**31 - 1
) -> None:
    """Adds the size with its default; neither side may be above `most`."""
    command.add_argument(
        "--size",
        type=partial(whole, least=2, most=most),
        nargs=2,
        default=(height, width),
        metavar=("H", "W"),
        help=f"height and width in pixels ({height} {width})",
    )


def add_show(commands: Any) -> None:
    """Adds the command `show`."""
    show = add_command(commands, "show", show_command, "a panel of photos and their labels")
    add_split(show, "plots/show.png")
    add_limit(show)
    show.add_argument("--samples", type=whole, default=4, metavar="N", help="rows to draw (4)")


def add_check(commands: Any) -> None:
    """Adds the command `check`."""
    check = add_command(
        commands,
        "check",
        check_command,
        "every fault of a data folder; exit code 1 if any",
    )
    check.add_argument("--split", help="only this split (all)")


def add_prepare(commands: Any) -> None:
    """Adds the command `prepare`."""
    copy = add_command(commands, "prepare", prepare_command, "a downsized copy that loads fast")
    copy.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    copy.add_argument("--splits", nargs="+", metavar="SPLIT", help="only these splits (all)")
    add_limit(copy)
    add_size(copy, 256, 512)


def show_command(args: argparse.Namespace) -> int:
    """Puts photos beside their official labels, drawn evenly from the split."""
    source = open_split(resolve_datadir(args.datadir), args.split, args.cities, args.limit)
    count = min(args.samples, len(source.samples))
    rows, present = [], set()
    for index in np.linspace(0, len(source.samples) - 1, count).round().astype(int):
        image, label_ids = source.read_image(index), source.read_label_ids(index)
        try:
            require_label_ids(label_ids)
        except LabError as error:
            raise LabError(f"{source.place(index)}: {error}") from error
        colors = colorize(label_ids, LABEL_PALETTE)
        rows.append([image, colors, overlay(image, colors)])
        present |= set(np.unique(label_ids).tolist())
        print(f"{source.samples[index].name}: {len(np.unique(label_ids))} labels")
    legend = legend_of(present)
    picture = picture_grid(rows, ("image", "labels", "overlay"))
    save_image(args.output, add_legend(picture, list(legend.values()), list(legend)))
    print(f"{count} of {len(source.samples)} samples are drawn in {args.output}")
    print(next_step("data.py stats", args.datadir))
    return 0


def legend_of(label_ids: Collection[int]) -> dict[tuple[int, int, int], str]:
    """Names each colour of a picture once, in the order of the table; black is void."""
    names: dict[tuple[int, int, int], list[str]] = {}
    for label in LABELS:
        if label.id in label_ids:
            names.setdefault(label.color, []).append(label.name)
    return {
        color: "void" if color == VOID_COLOR else ", ".join(found) for color, found in names.items()
    }


def check_command(args: argparse.Namespace) -> int:
    """Reads every file of a data folder and names all faults in one go."""
    root = resolve_datadir(args.datadir)
    count, faults = audit_folder(root, [args.split] if args.split else None, args.cities)
    for fault in faults:
        print(fault)
    if faults:
        plural = "s" if len(faults) > 1 else ""
        print(f"{len(faults)} fault{plural} in {root} ({count} pairs read): mend or delete these")
        return 1
    print(f"no fault in {root} ({count} pairs read)")
    print(next_step("data.py show", args.datadir))
    return 0


def prepare_command(args: argparse.Namespace) -> int:
    """Writes a downsized copy of chosen cities, which is a data folder of its own."""
    size = tuple(args.size)
    sources = open_splits(resolve_datadir(args.datadir), args.splits, args.cities, args.limit)
    prepare(sources, args.output, size)
    for source in sources:
        print(f"{source.split}: {len(source.samples)} images of {', '.join(source.cities)}")
    megabytes = prepared_bytes(sources, size) / 1e6
    print(f"they are in {args.output}, {size[1]}x{size[0]} pixels each, {megabytes:.1f} MB in all")
    print(train_step(args.output, size))
    return 0
