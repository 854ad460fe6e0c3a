"""What some of the benchmarks need beyond the lab's own packages: those of requirements-dev.txt."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from utils import python_command


@contextmanager
def development_packages() -> Iterator[None]:
    """Around their imports: where one is missing, the program ends and says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        cure = f"{python_command()} -m pip install -r requirements-dev.txt"
        print(f"error: {package} is not installed; type: {cure}", file=sys.stderr)
        sys.exit(2)
