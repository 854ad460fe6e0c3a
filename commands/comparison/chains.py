"""Chains of runs, as `job.py sweep --chain` trains them: their later stages as repeats."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from commands.comparison.runs import RunRecord


def named_sources(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs, but that of a chain's stages `finetune_from` names the stage before, not its seed.

    Stages that differ in their seeds alone then are repeats of one setting, as other runs are.
    """
    stages = {run.folder.resolve(): re.sub(r"-seed\d+$", "", run.folder.name) for run in runs}

    def source(run: RunRecord) -> str | None:
        path = run.arguments.get("finetune_from")
        return path and stages.get(Path(path).resolve(), path)

    return [replace(run, arguments={**run.arguments, "finetune_from": source(run)}) for run in runs]
