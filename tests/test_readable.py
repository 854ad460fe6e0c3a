"""What a student reads: messages in the chapters are real, and tests can be pasted."""

import re

import pytest
from apart import run_jobs_apart

from commands.companion import showing
from commands.companion.verdicts import sum_up
from teacher.catalogue import LAB, grafted, read_answers, solved_texts
from teacher.sandbox import Job

SHOWN = {
    "01_data.md": ("1.1", "void_becomes_0"),
    "02_augmentation.md": ("2.1", "bilinear_mask"),
    "03_unet.md": ("3.2", "features_after_pooling"),
    "04_metrics.md": ("4.2", "absent_counts_as_0"),
    "05_losses.md": ("5.2", "mean_over_all_pixels"),
    "06_training.md": ("6.1", "mean_of_the_batches"),
    "07_deployment.md": ("7.2", "not_cropped"),
    "09_going_further.md": ("9.3", "void_counted"),
}


@pytest.mark.skipif(not (LAB / "subject").is_dir(), reason="needs the chapters")
def test_each_chapter_shows_a_message_as_it_is(monkeypatch):
    monkeypatch.setenv("CI", "true")  # which makes no difference
    answers = {(each.todo, each.name): each for each in read_answers("misconceptions")}
    solved, jobs = solved_texts(), []
    for file, key in SHOWN.items():
        jobs.append(Job(file, grafted(answers[key].parts, solved), (key[0],)))
    for outcome in run_jobs_apart(jobs, 2, 120.0):
        said = sum_up([vars(result) for result in outcome.results]).message.split("\n")
        text = (LAB / "subject" / outcome.job.name).read_text(encoding="utf-8")
        block = next(b for b in re.findall(r"```text\n(.*?)```", text, re.S) if "TODO" in b)
        assert block.strip().split("\n") == said, outcome.job.name


@pytest.mark.parametrize("number", ["4.2", "5.3", "7.2", "9.3"])
def test_what_show_prints_can_be_pasted(number):
    pasted: dict[str, object] = {}
    exec(showing.tests_of(LAB, number), pasted)
    tests = [each for name, each in pasted.items() if name.startswith("test_")]
    callable_as_they_are = [each for each in tests if not each.__code__.co_argcount]
    assert callable_as_they_are
    for test in callable_as_they_are:
        test()
