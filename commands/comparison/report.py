"""Comparing runs: one table, three figures and the commands that made them, for a report.

What does not compare, such as other data, other code, or a run that has not ended, is said beside
the scores. Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from commands.comparison.figures import write_figures
from commands.comparison.runs import METRICS, find_runs, make_comparison, read_run
from commands.comparison.tables import body_lines, head_lines, write_tables, write_whole
from utils import LabError


def compare_runs(
    paths: Sequence[str | Path],
    output: str | Path | None = None,
    metric: str = "macro_f1",
    defaults: Mapping[str, Any] | None = None,
) -> str:
    """Compares runs, and writes tables and figures.

    Args:
        paths: folders of runs, or folders in which runs lie. The first run's setting is the
            baseline to which the classes are compared.
        output: the folder for the files; by default `comparison` beside the runs.
        metric: `macro_f1` or `mean_iou`, by which settings are sorted and drawn.
        defaults: what an argument was for a run of a version that did not have it yet.

    Returns:
        The table and the notes as Markdown, and where the files are.

    Raises:
        LabError: for a folder that is no run, a damaged file, or runs without a single epoch.
    """
    if metric not in METRICS:
        raise LabError(f"--metric {metric}: choose one of {', '.join(METRICS)}")
    runs = [read_run(folder, defaults or {}) for folder in find_runs(paths)]
    if not any(run.history for run in runs):
        raise LabError(f"no epoch in the history.csv of any of the {len(runs)} runs; wait for one")
    comparison = make_comparison(runs, metric)
    folder = Path(output) if output else runs[0].folder.parent / "comparison"
    written, drawn = write_tables(folder, comparison), write_figures(folder, comparison)
    head = head_lines(comparison)
    text = [f"# Comparison of {len(runs)} runs", "", *head, *body_lines(comparison, drawn)]
    write_whole(folder / "compare.md", "\n".join(text) + "\n")
    files = ", ".join(["compare.md", *written, *drawn])
    return "\n".join([*head, f"the comparison is in {folder}: {files}"])
