"""`python -m toycity`: writes a set of toy data."""

import argparse
import errno
import os
import signal
import sys
from pathlib import Path

from toycity.generate import DEFAULT_COUNTS, ensure_toycity
from toycity.scene import DEFAULT_SIZE


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m toycity",
        description="Makes the toy data: street scenes in the layout of Cityscapes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--output", type=Path, default=Path("toydata"), metavar="DIR", help="the data folder")
    add("--seed", type=int, default=0, metavar="N", help="every pixel follows from it")
    add("--size", type=int, nargs=2, default=DEFAULT_SIZE, metavar=("H", "W"),
        help="height and width in pixels")  # fmt: skip
    for split, count in DEFAULT_COUNTS.items():
        add(f"--{split}", type=int, default=count, metavar="N", help=f"scenes in the {split} split")
    add("--train-extra", type=int, default=0, metavar="N",
        help="further scenes with coarse labels alone; train then has coarse too")  # fmt: skip
    add(
        "--varied",
        type=float,
        default=0.0,
        metavar="X",
        help="part of the training scenes in which light, colours and camera change beyond what is "
        "realistic, 0 to 1; for networks that are to see real ones",
    )
    add("--num-workers", type=int, default=argparse.SUPPRESS, metavar="N",
        help="processes; the files do not depend on it (default: one per processor)")  # fmt: skip
    return parser.parse_args(arguments, argparse.Namespace(num_workers=None))


def main(arguments: list[str] | None = None) -> int:
    """Makes the set; returns the exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        if hasattr(getattr(sys, name), "reconfigure"):  # a path may not suit the console's encoding
            getattr(sys, name).reconfigure(errors="replace")
    for name in ("SIGTERM", "SIGHUP"):  # an end from outside, a closed terminal
        number = getattr(signal, name, signal.SIGTERM)
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    args = parse_arguments(arguments)
    counts = {split: getattr(args, split) for split in DEFAULT_COUNTS}
    counts |= {"train_extra": args.train_extra} if args.train_extra else {}
    try:
        root = ensure_toycity(
            args.output, args.seed, tuple(args.size), counts, args.num_workers, varied=args.varied
        )
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was kept", file=sys.stderr)
        return 130
    try:
        made = ", ".join(f"{count} {split}" for split, count in counts.items())
        print(f"{root}: {made} scenes", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in (errno.EPIPE, errno.EIO):  # nobody reads any more, such as `head`
            print(f"error: the output could not be written: {error.strerror}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
