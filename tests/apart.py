"""The sandbox as the teacher's commands use it: from a process that has computed nothing yet."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from teacher.sandbox import Job, Outcome, run_jobs


def run_jobs_apart(jobs: Sequence[Job], workers: int, seconds: float) -> list[Outcome]:
    """What came of jobs: autograd may refuse to run in the forks of a process that has used it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_outcomes, jobs, workers, seconds).result()


def _outcomes(jobs: Sequence[Job], workers: int, seconds: float) -> list[Outcome]:
    return list(run_jobs(jobs, workers, seconds))
