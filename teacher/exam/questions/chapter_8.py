"""Chapter 8, Slurm: time limits, requeued jobs, sweeps, repeats."""

import math

from commands.comparison.runs import Score
from commands.slurm.script import seconds_of
from commands.slurm.sweeps import sweep_lines
from teacher.exam.questions.question import Draw, Question


def minutes_of_a_training(draw: Draw) -> Question:
    """How long epochs with validations take."""
    images, validation = draw.whole(1000, 4000, 5), draw.whole(200, 900, 10)
    speed, epochs = draw.whole(20, 120, 5), draw.whole(10, 80)
    seconds = epochs * (images / speed + validation / (3 * speed))
    return Question(
        f"An epoch has {images} images, trained at {speed} images a second; after each of {epochs} "
        f"epochs, {validation} images are evaluated three times as fast. How many minutes does it "
        "all take?",
        seconds / 60,
        "Epochs × (images / speed + validation / (3 · speed)) / 60.",
        {
            "the evaluation after each epoch is missing": epochs * images / speed / 60,
            "the evaluation is three times as fast as the training": epochs
            * (images + validation)
            / speed
            / 60,
            "there is an evaluation after every epoch, not one at the end": (
                epochs * images / speed + validation / (3 * speed)
            )
            / 60,
        },
        decimals=1,
        unit="minutes",
    )


def minutes_of_two_limits(draw: Draw) -> Question:
    """What time limits mean."""
    days, hours = draw.whole(1, 5), draw.whole(2, 22)
    minutes, seconds = draw.whole(20, 55), draw.pick((15, 30, 45))
    first, second = f"{days}-{hours:02}", f"{minutes}:{seconds}"
    total = (seconds_of(first) + seconds_of(second)) / 60
    return Question(
        f"One job has --time {first}, another --time {second}. How many minutes may both of them "
        "run, taken together?",
        total,
        "D-HH is days and hours; with one colon Slurm reads minutes:seconds.",
        {
            "with one colon Slurm reads minutes and seconds, not hours and minutes": seconds_of(
                first
            )
            / 60
            + 60 * minutes
            + seconds,
            "behind the dash stand hours, not minutes": days * 1440
            + hours
            + seconds_of(second) / 60,
            "the number behind the colon is one of seconds, not of minutes": seconds_of(first) / 60
            + minutes
            + seconds,
        },
        decimals=1,
        unit="minutes",
    )


def starts_of_a_job(draw: Draw) -> Question:
    """How often a job that requeues itself starts."""
    need, limit = draw.whole(20, 90), draw.pick(("2:00:00", "3:00:00", "4:00:00"))
    warm, saved = draw.whole(6, 20), draw.whole(2, 5)
    minutes = seconds_of(limit) / 60
    starts = math.ceil(need * 60 / (minutes - warm - saved))
    last = need * 60 - (starts - 1) * (minutes - warm - saved)
    ends_early = last < minutes - warm - 2 * saved  # else the last start might do without saving
    plain = math.ceil(need * 60 / minutes)
    return Question(
        f"A training needs {need} hours of computing. Its job has --time {limit}; each start "
        f"spends {warm} minutes before the first step, and {saved} minutes before the limit it "
        "saves itself, ends and is requeued. How many times does the job start in all?",
        starts if ends_early else math.nan,
        "Hours of computing over the minutes that a start really computes, rounded up.",
        {
            "not all of the limit is spent computing: take both times off": plain,
            "these are the restarts; the first start counts too": starts - 1,
            "each start loses its first minutes, and not only those before the limit": math.ceil(
                need * 60 / (minutes - saved)
            ),
        },
        decimals=None,
    )


def hours_of_a_sweep(draw: Draw) -> Question:
    """How long an array of runs takes."""
    rates, losses = draw.whole(2, 4), draw.whole(2, 5)
    repeat, at_most, hours = draw.whole(2, 5), draw.whole(3, 8), draw.number(0.5, 4, 1)
    grid = [
        "lr=" + ",".join(f"{i + 1}e-3" for i in range(rates)),
        "loss=" + ",".join(("ce", "wce", "focal", "dice", "lovasz")[:losses]),
    ]
    runs = len(sweep_lines(grid, None, repeat, []))
    return Question(
        f"job.py sweep --grid {' '.join(grid)} --repeat {repeat} --at-most {at_most}: each run "
        f"takes {hours} hours, and there is room for as many as are allowed. After how many hours "
        "is the last one done?",
        math.ceil(runs / at_most) * hours,
        "Runs = product of the grid × repeats; rounds = runs / at most, rounded up; × hours.",
        {
            "the last round takes as long as the others, however few its runs": runs
            * hours
            / at_most,
            "each setting runs once for every seed": math.ceil(rates * losses / at_most) * hours,
            "several runs go on at a time": runs * hours,
            "the grid has every combination: multiply, do not add": math.ceil(
                (rates + losses) * repeat / at_most
            )
            * hours,
        },
        decimals=1,
        unit="hours",
    )


def spread_over_seeds(draw: Draw) -> Question:
    """The sample standard deviation of three scores."""
    scores = [draw.number(0.68, 0.78, 3) for _ in range(3)]
    deviation = Score(scores).deviation
    return Question(
        "Three seeds of a setting give the macro F1 "
        f"{scores[0]:.3f}, {scores[1]:.3f} and {scores[2]:.3f}. "
        "What is their sample standard deviation?",
        deviation,
        "√(Σ (x − mean)² / (n − 1)).",
        {
            "you divided by n; the sample standard deviation divides by n − 1": deviation
            * math.sqrt(2 / 3),
            "this is the standard error of the mean": deviation / math.sqrt(3),
            "this is the largest minus the smallest": max(scores) - min(scores),
            "this is the variance; take its root": deviation**2,
        },
        decimals=4,
    )


QUESTIONS = (
    minutes_of_a_training,
    minutes_of_two_limits,
    starts_of_a_job,
    hours_of_a_sweep,
    spread_over_seeds,
)
