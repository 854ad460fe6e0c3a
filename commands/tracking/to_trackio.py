"""Runs in Trackio's store: a SQLite file for the numbers, folders for pictures and files."""

import io
import shlex
import warnings
from contextlib import redirect_stdout
from pathlib import Path

from commands.tracking.store import PICTURE, PROJECT, Addition, take_no_orders


class TrackioStore:
    """A folder as Trackio's own, `~/.cache/huggingface/trackio`; a process can open one alone."""

    def __init__(self, folder: Path) -> None:
        place = str(folder.absolute())
        take_no_orders("TRACKIO_", DIR=place)
        self.look = f"TRACKIO_DIR={shlex.quote(place)} trackio show --project {PROJECT}"
        import trackio

        self.trackio = trackio

    def _runs(self, name: str) -> list:
        """Trackio's handles of a run."""
        try:
            runs = self.trackio.Api().runs(PROJECT)
        except ValueError:  # the first run makes the project
            return []
        return [run for run in runs if run.name == name]

    def has(self, key: str, name: str) -> bool:
        """Whether a run of this name is there."""
        return bool(self._runs(name))

    def drop(self, key: str, name: str) -> None:
        """Deletes a run."""
        for run in self._runs(name):
            run.delete()

    def add(self, addition: Addition) -> None:
        """Adds a run, or what is new of it."""
        said = io.StringIO()
        with redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it prints what it only would warn of
            run = self.trackio.init(
                PROJECT, addition.name, config=dict(addition.config), embed=False,
                resume="never" if addition.is_new else "must",
                auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip
            for step, values in [*addition.rows, (addition.step, addition.scores)]:
                if values:
                    run.log(dict(values), step=step)
            for path in addition.files:
                run.log_artifact(str(path), name=f"{addition.key}-{path.name}", type="run")
                if path.name == PICTURE:
                    run.log({path.stem: self.trackio.Image(str(path))}, step=addition.step)
            self.trackio.finish()  # which, unlike the run's own, forgets the run
        if "warning: " in said.getvalue():
            raise RuntimeError(said.getvalue().rpartition("warning: ")[2])
