"""What became of the jobs, and why one failed.

Slurm knows it for some minutes (squeue), its accounting for longer where there is one (sacct), and
the job's own log for good. Standard library only.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from commands.slurm.jobs import accounting_states, queue_states, read_records, runs_of
from commands.slurm.trainings import JobError, last_line, progress, shown


class Reason(NamedTuple):
    """Why a job failed: in a word, how Slurm's state or the job's log says it, and the cure."""

    word: str
    states: tuple[str, ...]
    pattern: str
    cure: str


MEMORY = (
    r"oom[-_]kill|[Oo]ut [Oo]f [Mm]emory|xceeded (job )?memory limit|: +\d+ Killed |"
    r"Signal 9 \(SIGKILL\)"
)
REASONS = (
    Reason("out of memory", ("OUT_OF_MEMORY",), MEMORY,
           "ask for more with --mem, or lower --batch-size or --num-workers"),
    Reason("time limit, no restart left", (), r"that was the last of \d+ restarts",
           "raise --time or --max-restarts"),
    Reason("time limit", ("TIMEOUT", "DEADLINE"), "DUE TO TIME LIMIT",
           "raise --time, or --grace where the training had too little time to save itself"),
    Reason("node failure", ("NODE_FAIL", "BOOT_FAIL"), "DUE TO NODE FAIL",
           "submit again; --slurm-option=--exclude=NODE avoids a node"),
    Reason("preempted", ("PREEMPTED",), "DUE TO PREEMPTION", "submit again"),
    Reason("cancelled", ("CANCELLED",), r"\*\*\* JOB \d+ ON \S+ CANCELLED AT \S+ \*\*\*", ""),
    Reason("not requeued", (), "it resumes when Slurm starts it again", "submit again"),
)  # fmt: skip
"""In the order in which a log is searched."""
ENDED_EARLY = "ended early"
FAILURES = {"FAILED", ENDED_EARLY, *(state for reason in REASONS for state in reason.states)}
RESUMING = "what was saved resumes with: python job.py submit … -- train --resume RUN"


@dataclass(frozen=True)
class Entry:
    """A job, or an element of an array: its number, its run, its folder, whether it is a test."""

    number: str
    run: Path
    folder: Path
    is_test: bool

    @property
    def last_file(self) -> Path:
        """What is there when it has succeeded."""
        return self.run / ("test_val/metrics.json" if self.is_test else "summary.txt")

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / f"slurm-{self.number}.out"

    def row(self, state: str) -> tuple[str, ...]:
        """Its line in the table."""
        title = f"test of {self.run.name}" if self.is_test else self.run.name
        result = ("-", test_score(self.last_file)) if self.is_test else progress(self.run)
        return (self.number, state, title, *result, shown(self.folder))


def show_status(only: Path | None) -> None:
    """Prints the lab's jobs with their runs, and below why the failed ones failed.

    Args:
        only: the folder of the runs that are wanted, or None for all.
    """
    entries = [each for each in all_entries() if only in (None, each.run.parent)]
    if not entries:
        print("no jobs; submit one with: python job.py submit -- train")
        return
    table, notes = [("JOB", "STATE", "RUN", "EPOCH", "MACRO F1", "FOLDER")], {}
    for entry, state in zip(entries, known_states(entries), strict=True):
        if state in FAILURES:
            word, note = why(entry, state)
            state = f"{state} ({word})" if word else state
            notes.setdefault(note, []).append(entry.number)
        table.append(entry.row(state))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    for note, numbers in notes.items():
        print(f"\n{', '.join(numbers)}: {note}", end="")
    if notes:
        print(f"\n{RESUMING} (a sweep with its own command)")


def all_entries() -> list[Entry]:
    """Every job of the lab, oldest first, each followed by the one that tests it."""
    entries = []
    for folder, record in read_records():
        for number, run in runs_of(record).items():
            entries.append(Entry(number, run, folder, is_test=False))
            if record.get("test_job"):
                entries.append(Entry(record["test_job"], run, folder, is_test=True))
    return entries


def known_states(entries: list[Entry]) -> list[str]:
    """The state of each: from Slurm as long as that remembers it, then from what it left."""
    try:
        states = queue_states(ended=True)
        otherwise = ENDED_EARLY
    except JobError as error:
        print(f"note: {error}", file=sys.stderr)
        states, otherwise = {}, "unknown"
    for entry in entries:
        if entry.number not in states:
            states[entry.number] = "finished" if entry.last_file.is_file() else otherwise
    forgotten = [each.number for each in entries if states[each.number] == ENDED_EARLY]
    for number, state in accounting_states(forgotten).items() if forgotten else ():
        states[number] = state if state in (*FAILURES, "COMPLETED") else ENDED_EARLY
    return [states[entry.number] for entry in entries]


def why(entry: Entry, state: str) -> tuple[str, str]:
    """Why a job failed: a word that its state does not say, or "", and a sentence."""
    log = entry.log.read_text(encoding="utf-8", errors="replace") if entry.log.is_file() else ""
    log = re.split(r"^.* job \S+ on \S+, start \d+$", log, flags=re.MULTILINE)[-1]
    by_state = next((each for each in REASONS if state in each.states), None)
    reason = by_state or next((each for each in REASONS if re.search(each.pattern, log)), None)
    if reason:
        return "" if by_state else reason.word, "; ".join(filter(None, (reason.word, reason.cure)))
    errors = re.findall("^error: .*", log, re.MULTILINE)
    if errors:
        return "error", errors[-1]
    if not log.strip():
        return "", "it printed nothing; cancelled while it waited, or its node could not start it"
    return "", f"its last line: {last_line(log)}; see {shown(entry.log)}"


def test_score(metrics: Path) -> str:
    """The macro F1 of a metrics.json, as text; "-" for none."""
    try:
        return f"{json.loads(metrics.read_text(encoding='utf-8'))['macro_f1']:.4f}"
    except (OSError, ValueError, LookupError, TypeError):
        return "-"
