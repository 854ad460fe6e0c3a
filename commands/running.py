"""What main.py's commands run, `train` aside: each is imported when it is called."""

import argparse
from typing import Any

from commands.train import TRAIN_DEFAULTS
from support.formats.labels import Reading, reading_of


def test(args: argparse.Namespace) -> None:
    """The command `test`: photos, or a whole split."""
    from commands.test import test_model

    test_model(**options_of(args))


def export(args: argparse.Namespace) -> None:
    """The command `export`."""
    from commands.export import export_model

    export_model(**options_of(args))


def errors(args: argparse.Namespace) -> None:
    """The command `errors`."""
    from commands.errors.show import show_errors

    show_errors(**options_of(args))


def quantize(args: argparse.Namespace) -> int:
    """The command `quantize`."""
    from commands.quantize import quantize_model

    return quantize_model(**options_of(args))


def serve(args: argparse.Namespace) -> None:
    """The command `serve`."""
    from commands.serving.serve import serve_models

    serve_models(**options_of(args))


def web(args: argparse.Namespace) -> None:
    """The command `web`."""
    from commands.serving.web import make_web_folder

    make_web_folder(**options_of(args))


def compare(args: argparse.Namespace) -> None:
    """The command `compare`: tables and pictures of several runs."""
    from commands.comparison.runs import find_runs
    from commands.comparison.tables import compare_runs
    from commands.report.several import write_comparison

    folders = find_runs(args.runs)
    output = args.output or folders[0].parent / "comparison"
    print(compare_runs(args.runs, output, args.metric, TRAIN_DEFAULTS, args.beside))
    print(f"as one page: {write_comparison(folders, output)}")


def track(args: argparse.Namespace) -> None:
    """The command `track`."""
    from commands.tracking.replay import track_runs

    track_runs(**options_of(args))


def look_at_data(args: argparse.Namespace) -> int | None:
    """The commands that look at a data folder."""
    from commands.data import COMMANDS as DATA_COMMANDS

    options = options_of(args)
    if "reading" in options:
        options["reading"] = Reading(**options["reading"])
    return DATA_COMMANDS[args.command](**options)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a command by name, without what argparse keeps for itself."""
    options = {key: value for key, value in vars(args).items() if key not in ("run", "command")}
    if "val_share" not in options:
        return options
    reading = reading_of(options)
    others = {key: value for key, value in options.items() if key not in Reading._fields}
    return others | {"reading": reading}


RUN = {
    "test": test,
    "compare": compare,
    "track": track,
    "export": export,
    "errors": errors,
    "quantize": quantize,
    "serve": serve,
    "web": web,
    **dict.fromkeys(("show", "stats", "augment", "check", "prepare", "classes"), look_at_data),
}
"""By name: what runs a command."""
