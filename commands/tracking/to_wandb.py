"""Runs in folders of Weights & Biases, written offline; `wandb sync` sends them, if you want that.

An offline run cannot be opened again: what is new of a run goes into a further folder with the same
key, and `wandb sync` puts the folders of one key together, oldest first.
"""

import shlex
import shutil
from pathlib import Path

from commands.tracking.store import PICTURE, PROJECT, Addition, take_no_orders


class WandbStore:
    """A folder with `wandb/offline-run-TIME-KEY/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        hidden = str(self.folder / "wandb" / ".own")
        take_no_orders(
            "WANDB_", ERROR_REPORTING="false", DATA_DIR=hidden, CACHE_DIR=hidden, CONFIG_DIR=hidden
        )
        self.look = f"wandb sync --dry-run {shlex.quote(str(folder / 'wandb'))}"

    def _folders(self, key: str) -> list[Path]:
        return sorted((self.folder / "wandb").glob(f"offline-run-*-{key}"))

    def has(self, key: str, name: str) -> bool:
        """Whether a folder of the run is there."""
        return bool(self._folders(key))

    def drop(self, key: str, name: str) -> None:
        """Deletes the folders of a run."""
        for folder in self._folders(key):
            shutil.rmtree(folder)

    def add(self, addition: Addition) -> None:
        """Writes a folder for a run, or for what is new of it."""
        import wandb

        settings = wandb.Settings(
            mode="offline", silent=True, console="off", disable_git=True, save_code=False,
            x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
        )  # fmt: skip
        run = wandb.init(
            project=PROJECT, id=addition.key, name=addition.name, config=dict(addition.config),
            dir=str(self.folder), resume=None if addition.is_new else "allow", settings=settings,
        )  # fmt: skip
        for step, values in addition.rows:
            run.log(dict(values), step=step)
        for path in addition.files:
            if path.name == PICTURE:
                run.log({path.stem: wandb.Image(str(path))}, step=addition.step)
            kept = shutil.copy(path, run.dir)  # wandb alone would keep a link, which breaks
            run.save(kept, base_path=run.dir, policy="now")
        run.summary.update(dict(addition.scores))
        run.finish()
