"""job.py against a real Slurm: what it submits ends, is stopped, preempted, cancelled, and resumes.

Every run that was disturbed is compared with one that was not: same weights, same history.
"""

import contextlib
import csv
import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
import torch
from cluster import SLOWEST, wait_until
from lab_copy import Job

pytestmark = pytest.mark.slurm

EPOCHS = 20
"""Of the runs that are compared with each other."""

STOPPED = "stopped at step"
"""What a training says that has saved itself."""


def history(run):
    """A run's history without the speed."""
    with (run / "history.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key != "images_per_second"}
            for row in csv.DictReader(file)
        ]


def weights(run):
    return torch.load(run / "last.pt", weights_only=True)["model"]


def assert_same_run(run, reference):
    """Bit-identical weights and history."""
    assert (run / "summary.txt").exists()
    assert history(run) == history(reference)
    torch.testing.assert_close(weights(run), weights(reference), rtol=0, atol=0)


def starts(job: Job) -> int:
    """How often a job's script has begun, by its log."""
    return sum(", start " in line for line in job.log().splitlines())


@pytest.fixture(scope="session")
def limited(lab):
    """A job whose time is too short; it runs beside `plain`."""
    return lab.submit("--time", 1, "--grace", 10, *lab.slowly, name="limited", epochs=EPOCHS)


@pytest.fixture(scope="session")
def plain(cluster, lab, limited):
    """An undisturbed job with --then-test, waited for; main.py is another one meanwhile."""
    job = lab.submit("--then-test", name="plain", epochs=EPOCHS)
    main = lab.folder / "main.py"
    try:
        main.write_text("raise SystemExit('not the code that was submitted')\n")
        wait_until(lambda: STOPPED in limited.log(), SLOWEST, "the time limit stops a training")
        # once is enough, and a busy machine may need more than a minute for what is left
        cluster.ask("scontrol", "update", f"JobId={limited.number}", "TimeLimit=10")
        lab.wait(job, "COMPLETED")
        lab.wait(job.test, "COMPLETED")
    finally:
        shutil.copyfile(job.folder / "code" / "main.py", main)
    return job


def test_submitted_code_trains_to_its_end(lab, plain):
    assert len(history(plain.run)) == EPOCHS
    assert (plain.run / "summary.txt").exists() and starts(plain) == 1


def test_paths_with_spaces_and_quotes_arrive(lab, plain):
    config = json.loads((plain.run / "config.json").read_text())
    assert config["arguments"]["datadir"] == str(lab.data)
    assert all(mark in str(path) for mark in " '\"" for path in (lab.folder, lab.data, lab.runs))


def test_log_lies_in_the_job_folder(lab, plain):
    log = plain.folder / f"slurm-{plain.number}.out"
    assert f"epoch {EPOCHS:>3}" in log.read_text()
    assert not list(lab.folder.glob("slurm-*"))
    assert lab.call("logs", plain.number).stdout == log.read_text()


def test_then_test_tests_the_network(lab, plain):
    assert (plain.folder / f"slurm-{plain.test}.out").exists()
    result = json.loads((plain.run / "test_val" / "metrics.json").read_text())
    assert result["evaluated"]["images"] == 2


def test_status_shows_state_epoch_and_score(lab, plain):
    text = lab.call("status").stdout
    lines = {line.split()[0]: line for line in text.splitlines()}
    line, test = lines[plain.number], lines[plain.test]
    best = max(float(row["val_macro_f1"]) for row in history(plain.run))
    assert "COMPLETED" in line and str(EPOCHS) in line.split() and f"{best:.4f}" in line
    score = json.loads((plain.run / "test_val" / "metrics.json").read_text())["macro_f1"]
    assert "COMPLETED" in test and "test of plain" in test and f"{score:.4f}" in test


def test_time_limit_stops_and_the_run_goes_on(cluster, lab, plain, limited):
    lab.wait(limited, "COMPLETED")
    assert STOPPED in limited.log()
    assert starts(limited) == int(cluster.job(limited.number)["Restarts"]) + 1 >= 2
    assert_same_run(limited.run, plain.run)


@pytest.fixture(scope="session")
def preempted(cluster, lab, plain):
    """Jobs in two partitions that had to make room for an urgent one."""
    partitions = ["normal", "patient"]
    jobs = {
        name: lab.submit("--partition", name, *lab.slowly, name=name, epochs=EPOCHS)
        for name in partitions
    }
    for job in jobs.values():
        lab.wait_for_epoch(job, 2)
    urgent = ["--partition=urgent", "--exclusive", "--nodes=2", "--output=/dev/null"]
    cluster.ask("sbatch", *urgent, "--wrap=sleep 1")
    return jobs


@pytest.mark.parametrize("partition", ["normal", "patient"])
def test_preempted_run_goes_on(lab, plain, preempted, partition):
    job = preempted[partition]
    lab.wait(job, "COMPLETED")
    assert starts(job) == 2 and STOPPED in job.log()
    assert_same_run(job.run, plain.run)


def test_array_runs_two_at_a_time_and_one_fails_alone(cluster, lab):
    rates = "lr=1e-3,2e-3,1e30,4e-3,5e-3,6e-3"
    options = ["--grid", rates, "--at-most", 2, "--time", 10, "--cpus", 1]
    job = lab.submitted("sweep", *options, "--", "train", *lab.training, "--epochs", 1)
    elements = [f"{job.number}_{number}" for number in range(6)]
    states = [lab.wait(element, "COMPLETED", "FAILED") for element in elements]
    assert states == ["COMPLETED"] * 2 + ["FAILED"] + ["COMPLETED"] * 3
    assert len(list(lab.runs.glob("lr*/summary.txt"))) == 5
    assert all(cluster.job(element)["Restarts"] == "0" for element in elements)
    assert all((job.folder / f"slurm-{element}.out").exists() for element in elements)
    rows = [cluster.job(element) for element in elements]
    assert most_at_once(rows) == 2


def test_a_stage_of_a_chain_begins_when_the_one_before_has_succeeded(cluster, lab):
    stages = "--name first --epochs 3", "--name second --epochs 1 --train last"
    first, second = lab.chain(*stages)
    assert cluster.job(second.number)["Dependency"].startswith(f"afterok:{first.number}(")
    assert lab.wait(second, "COMPLETED") and cluster.state(first.number) == "COMPLETED"
    end, start = cluster.job(first.number)["EndTime"], cluster.job(second.number)["StartTime"]
    assert datetime.fromisoformat(start) >= datetime.fromisoformat(end)
    assert f"{first.run / 'best.pt'}: " in second.log() and "tensors taken over" in second.log()
    best = torch.load(first.run / "best.pt", weights_only=True)["model"]
    changed = [key for key, value in weights(second.run).items() if not value.equal(best[key])]
    assert changed and len(changed) <= 2  # weight and bias of the last layer; the rest is frozen


def test_nothing_of_a_chain_runs_behind_a_stage_that_fails(lab):
    stages = "--name wrong1 --epochs 1 --lr 1e30", "--name never2 --epochs 1", "--name never3"
    jobs = lab.chain(*stages)
    assert [lab.wait(job, "FAILED", "CANCELLED") for job in jobs] == ["FAILED"] + 2 * ["CANCELLED"]
    assert starts(jobs[0]) == 1
    for job in jobs[1:]:
        assert not job.log() and not job.run.exists()
        assert "CANCELLED" in status_line(lab.call("status").stdout, job.number)


def most_at_once(jobs):
    """How many jobs ran at the same time."""
    changes = [(datetime.fromisoformat(job["StartTime"]), 1) for job in jobs]
    changes += [(datetime.fromisoformat(job["EndTime"]), -1) for job in jobs]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def test_two_nodes_with_two_processes_each_stop_and_go_on(cluster, lab):
    options = ["--nodes", 2, "--processes-per-node", 2]
    job = lab.submit(*options, *lab.slowly, name="four-stopped", epochs=5)
    whole = lab.submit(*options, name="four", epochs=5)
    lab.wait_for_epoch(job, 1)
    cluster.ask("scancel", "--batch", "--signal=USR1", job.number)
    lab.wait(whole, "COMPLETED")
    lab.wait(job, "COMPLETED")
    assert starts(job) == 2 and job.log().count(STOPPED) == 1
    assert_same_run(job.run, whole.run)


def test_cancel_ends_a_job_and_its_test(cluster, lab):
    options = ["--then-test", *lab.slowly]
    job = lab.submit(*options, name="cancelled", epochs=EPOCHS)
    lab.wait_for_epoch(job, 1)
    done = lab.call("cancel", job.run)
    assert done.returncode == 0, done.stderr
    assert f"cancelled: job {job.number}, " in done.stdout
    assert f"cancelled: job {job.test}, the test of " in done.stdout
    followed = lab.call("logs", "-f", job.run)  # until it has saved itself
    lab.wait(job, "CANCELLED")
    lab.wait(job.test, "CANCELLED")
    assert STOPPED in followed.stdout and f"job {job.number}: CANCELLED" in followed.stderr
    again = lab.call("cancel", job.run)
    assert again.returncode == 2 and "is not in the queue" in again.stderr
    wait_until(lambda: not trainings(cluster), 30, "the training has ended")
    assert starts(job) == 1 and STOPPED in job.log()


def trainings(cluster):
    """The processes of the cluster that train."""
    found = []
    for process in cluster.processes():
        with contextlib.suppress(OSError):
            if b"main.py" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


def test_failure_is_not_requeued_and_not_tested(cluster, lab):
    job = lab.submit("--then-test", name="wrong", epochs=0)
    lab.wait(job, "FAILED")
    lab.wait(job.test, "CANCELLED")
    assert starts(job) == 1 and cluster.job(job.number)["Restarts"] == "0"
    text = lab.call("status").stdout
    assert "FAILED (error)" in status_line(text, job.number)
    assert "CANCELLED" in status_line(text, job.test)
    assert "--epochs" in status_line(text, f"{job.number}:")


def test_status_says_that_the_memory_was_too_small(cluster, lab):
    job = lab.submit("--mem", "100M", *lab.slowly, name="large", epochs=EPOCHS)
    lab.wait(job, "FAILED", "OUT_OF_MEMORY")
    line = status_line(lab.call("status").stdout, f"{job.number}:")
    assert "out of memory" in line and "--mem" in line
    wait_until(lambda: not trainings(cluster), 30, "the training has ended")


def status_line(text, word):
    """The line of `job.py status` that begins with a word."""
    return next(line for line in text.splitlines() if line.split()[:1] == [word])


@pytest.mark.parametrize("command", [("submit",), ("submit", "--check")])
def test_missing_partition_is_refused(cluster, lab, command):
    done = lab.call(*command, "--partition", "nowhere", "--", "train", *lab.training)
    assert done.returncode == 2 and "partition" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1


def test_check_says_when_it_would_start(lab):
    done = lab.call("submit", "--check", "--", "train", *lab.training)
    assert done.returncode == 0 and "start" in done.stdout.lower()


def test_wrong_time_is_refused(lab):
    done = lab.call("submit", "--time", "4h", "--", "train", *lab.training)
    assert done.returncode == 2 and "4h" in done.stderr


def test_silent_controller_is_an_error(cluster, lab, tmp_path):
    text = cluster.configuration.read_text().replace("SlurmctldPort=", "SlurmctldPort=1#")
    (tmp_path / "slurm.conf").write_text(text)
    environment = {"SLURM_CONF": str(tmp_path / "slurm.conf")}
    done = lab.call("submit", "--", "train", *lab.training, **environment)
    assert done.returncode == 2 and "controller" in done.stderr
