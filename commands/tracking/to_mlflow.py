"""Runs in MLflow's store: a SQLite file for the numbers, a folder for the files.

MLflow refuses its older store of plain files since version 3.7 or so. Its parameters cannot change:
a run that was resumed with other arguments keeps those that it began with, and the new config.json.
"""

import logging
import re
import shlex
import time
from pathlib import Path

from commands.tracking.store import PROJECT, Addition, take_no_orders

LONGEST_VALUE = 5000
"""MLflow takes parameters of at most 6000 characters."""
MOST_METRICS = 1000
"""MLflow takes so many numbers at a time."""


class MlflowStore:
    """A folder with `mlflow.db` and `artifacts/`."""

    def __init__(self, folder: Path) -> None:
        take_no_orders("MLFLOW_", DISABLE_TELEMETRY="true")
        logging.disable(logging.INFO)  # it tells of each table that it makes
        from mlflow import MlflowClient

        uri = f"sqlite:///{(folder.absolute() / 'mlflow.db').as_posix()}"
        self.look = f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        found = self.client.get_experiment_by_name(PROJECT)
        place = (folder.absolute() / "artifacts").as_uri()
        self.experiment = (
            found.experiment_id if found else self.client.create_experiment(PROJECT, place)
        )

    def _numbers(self, key: str) -> list[str]:
        """MLflow's own numbers of a run."""
        runs = self.client.search_runs([self.experiment], f"tags.lab_key = '{key}'")
        return [run.info.run_id for run in runs]

    def has(self, key: str, name: str) -> bool:
        """Whether a run is there and not in the bin."""
        return bool(self._numbers(key))

    def drop(self, key: str, name: str) -> None:
        """Puts a run into the bin."""
        for number in self._numbers(key):
            self.client.delete_run(number)

    def add(self, addition: Addition) -> None:
        """Adds a run, or what is new of it."""
        from mlflow.entities import Metric, Param

        if addition.is_new:
            tags = {"lab_key": addition.key}
            run = self.client.create_run(self.experiment, tags=tags, run_name=addition.name)
            number = run.info.run_id
            texts = {key: str(value)[:LONGEST_VALUE] for key, value in addition.config.items()}
            self.client.log_batch(number, params=[Param(*pair) for pair in texts.items()])
        else:
            (number,) = self._numbers(addition.key)
        now, rows = int(time.time() * 1000), [*addition.rows, (addition.step, addition.scores)]
        metrics = [
            Metric(allowed(tag), value, now, step)
            for step, values in rows
            for tag, value in values.items()
        ]
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(number, metrics=metrics[start : start + MOST_METRICS])
        for path in addition.files:
            self.client.log_artifact(number, str(path))
        if addition.is_finished:
            self.client.set_terminated(number)


def allowed(tag: str) -> str:
    """A tag in the characters that MLflow takes; classes may be called anything."""
    return re.sub(r"[^\w.\- /]", "_", tag)
