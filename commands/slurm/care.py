"""Jobs in the queue: what one prints, and its end.

A job is meant by its number or its folder's name, or by the folder or name of the run it trains.
Standard library only.
"""

import codecs
import os
import sys
import time
from pathlib import Path

from commands.slurm.jobs import queue_states, read_records, require_slurm, slurm
from commands.slurm.status import RESUMING, Entry, all_entries, known_states
from commands.slurm.trainings import JobError, shown

LOOK_SECONDS, ASK_SECONDS = 0.5, 10
"""Between two looks at a log, and between two questions to Slurm's controller, which all share."""
CHUNK = 2**16


def find_entries(word: str) -> list[Entry]:
    """What a word on the command line means: jobs, elements and tests, the oldest first.

    Raises:
        JobError: when it is no job or run of this lab, or the name of several runs.
    """
    entries, path = all_entries(), Path(os.path.abspath(word))
    tests = {each.folder: each for each in entries if each.is_test}
    of_job = [
        each
        for each in entries
        if word in (each.number, each.number.partition("_")[0], each.folder.name)
    ]
    if of_job:
        also = [tests[each.folder] for each in of_job if "_" not in word and each.folder in tests]
        return list(dict.fromkeys([*of_job, *also]))
    of_run = [each for each in entries if each.run == path]
    of_run = of_run or [each for each in entries if each.run.name == word]
    runs = sorted({shown(each.run) for each in of_run})
    if not runs:
        raise JobError(f"{word} is no job of this lab, nor a run of one; see: python job.py status")
    if len(runs) > 1:
        raise JobError(f"{word} is the name of {len(runs)} runs; say which: {', '.join(runs)}")
    return of_run


# ------------------------------------------------------------------------------------------- logs


def show_log(word: str, follow: bool) -> int:
    """Prints the newest log of the newest job that is meant; returns the exit code.

    Args:
        word: as for `find_entries`.
        follow: whether to go on until the job has ended, or with Ctrl-C.

    Raises:
        JobError: without `follow`, when it has printed nothing yet.
    """
    found = find_entries(word)
    newest = [each for each in found if each.number == word]
    newest = newest or [each for each in found if each.folder == found[-1].folder]
    entry = max((each for each in newest if each.log.is_file()), key=last_change, default=newest[0])
    if follow:
        require_slurm()
        try:
            return follow_log(entry)
        except KeyboardInterrupt:
            print(f"job {entry.number} goes on without you", file=sys.stderr)
            return 130
    if not entry.log.is_file():
        state = known_states([entry])[0]
        raise JobError(
            f"job {entry.number} ({state}) has printed nothing; -f waits for one in the queue"
        )
    copy_log(entry.log, 0)
    return 0


def last_change(entry: Entry) -> int:
    """When the log was last written, in nanoseconds."""
    return entry.log.stat().st_mtime_ns


def follow_log(entry: Entry) -> int:
    """Prints a log as it grows; returns 0 when the job has ended, or nobody reads on."""
    position, asked, is_queued = 0, -ASK_SECONDS, True
    if not entry.log.is_file():
        print(f"job {entry.number} has printed nothing yet; waiting", file=sys.stderr)
    while is_queued:
        if time.monotonic() - asked >= ASK_SECONDS:
            is_queued, asked = is_in_queue(entry.number), time.monotonic()
        if entry.log.is_file():  # looked at once more after the end: nothing is missed
            position = copy_log(entry.log, position)
        if is_queued:
            time.sleep(LOOK_SECONDS)
        is_queued = is_queued and not getattr(sys.stdout, "is_abandoned", False)
    print(f"job {entry.number}: {known_states([entry])[0]}", file=sys.stderr)
    return 0


def is_in_queue(number: str) -> bool:
    """Whether a job waits or runs; a controller that is silent for a while changes nothing."""
    try:
        return number in queue_states(ended=False)
    except JobError as error:
        print(f"note: {error}", file=sys.stderr)
        return True


def copy_log(path: Path, position: int) -> int:
    """Prints what a log has from a position on, in bytes; returns the position reached."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with path.open("rb") as file:
        file.seek(position)
        while chunk := file.read(CHUNK):
            sys.stdout.write(decoder.decode(chunk))
        end = file.tell()
    sys.stdout.flush()
    return end - len(decoder.getstate()[0])  # a character of which a part is written comes later


# ------------------------------------------------------------------------------------------ cancel


def cancel_jobs(words: list[str]) -> None:
    """Ends those of the jobs that wait or run, and says which.

    Raises:
        JobError: for a word that means none of them; then nothing is cancelled.
    """
    require_slurm()
    found = {word: find_entries(word) for word in words}
    queued = queue_states(ended=False)
    for word, entries in found.items():
        if not any(each.number in queued for each in entries):
            last = entries[-1]
            state = known_states([last])[0]
            raise JobError(f"{word} is not in the queue (job {last.number}: {state})")
    entries = [each for each in all_entries() if each.number in queued]
    meant = [each for each in entries if any(each in those for those in found.values())]
    slurm("scancel", *whole_arrays(meant))
    for each in meant:
        what = "the test of" if each.is_test else "the training of"
        print(f"cancelled: job {each.number}, {what} {shown(each.run)}")
    print(f"the trainings save themselves first; {RESUMING}")


def whole_arrays(entries: list[Entry]) -> list[str]:
    """The numbers for scancel: an array of which all elements are meant has one."""
    sizes = {
        record["job"]: len(record["runs"]) for _, record in read_records() if record["is_array"]
    }
    numbers = [each.number for each in entries]
    for array, size in sizes.items():
        elements = [number for number in numbers if number.startswith(f"{array}_")]
        if len(elements) == size > 0:
            numbers[numbers.index(elements[0])] = array
            numbers = [number for number in numbers if number not in elements]
    return numbers
