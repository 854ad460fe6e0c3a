"""A run's page: whole in one file, true to the run's figures, safe with any names."""

import json
import re

import pytest
from chromium import Chromium, needs_chromium
from tiny_runs import train_tiny

import main
from commands.report.page import page, table
from commands.report.run import MOST_IN_MATRIX, confusion_part, duration, write_report
from utils import LabError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("report"), "--epochs", 2)[0]


def test_a_training_ends_with_a_page_that_needs_nothing_else(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "Run a" in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text) and "http" not in text
    assert text.count("data:image/png;base64,") == 1 and text.count("<svg") == 2


def test_the_page_has_the_figures_of_the_run(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((run / "metrics.json").read_text())
    for name, row in metrics["classes"].items():
        f1 = "–" if row["f1"] is None else f"{row['f1']:.4f}"
        assert f"<td>{name}</td><td>{f1}</td>" in text
    for line in (run / "summary.txt").read_text().splitlines():
        assert line in text
    assert "cpu, float32" in text.replace("bfloat16", "float32") and "torch" in text


def test_the_matrix_counts_each_pixel_once(run):
    metrics = json.loads((run / "metrics.json").read_text())
    rows = [sum(row) for row in metrics["confusion_matrix"]]
    assert rows == [row["pixels"] for row in metrics["classes"].values()]


def test_confused_pairs_are_named_with_their_shares():
    metrics = {"classes": {"a<b": {}, "c": {}}, "confusion_matrix": [[6, 2], [1, 11]]}
    text = confusion_part(metrics)
    assert "a&lt;b taken for c" in text and "a<b" not in text
    row = re.search(r"a&lt;b taken for c</td><td>2</td><td>25.0</td><td>66.7</td>", text)
    assert row and 'class="matrix"' in text


def test_the_matrix_has_whole_names():
    metrics = {
        "classes": {"traffic light": {}, "traffic sign": {}},
        "confusion_matrix": [[1, 1]] * 2,
    }
    text = confusion_part(metrics)
    assert '<th scope="col">traffic light</th><th scope="col">traffic sign</th>' in text


def test_the_page_says_how_long_the_training_took(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    seconds = json.loads((run / "cost.json").read_text())["seconds"]
    assert 0 < seconds < 600 and f"<td>training took</td><td>{duration(seconds)}</td>" in text
    assert re.search(r"<td>parameters that learned</td><td>([\d,]+) of \1</td>", text)
    assert re.search(r"<td>memory, at most</td><td>\d\.\d\d GiB</td>", text)
    lengths = [duration(each) for each in (None, 6.6, 725, 3600 + 20 * 60 + 29)]
    assert lengths == ["not recorded", "7 s", "12 min 5 s", "1 h 20 min"]


@needs_chromium
def test_a_phone_scrolls_pictures_and_tables_and_not_the_page(run):
    with Chromium() as browser:
        browser.look(390, 844, is_dark=True)
        browser.open((run / "report.html").as_uri())
        assert browser.run("document.documentElement.scrollWidth") == 390
        assert browser.run("document.querySelector('img').width") >= 600  # its legend is legible


@needs_chromium
def test_a_table_sorts_by_numbers_with_what_has_none_at_the_end(tmp_path):
    cells = ["3", "–", "1,000", "20", "–", "0.5"]
    names = [["2 wheels", "", "10 x", "b", "a", "4"][place] for place in range(6)]
    path = tmp_path / "page.html"
    rows = list(zip(names, cells, strict=True))
    path.write_text(page("t", [table(["name", "score"], rows)]), encoding="utf-8")
    read = "[...document.querySelectorAll('td:nth-child({0})')].map(cell => cell.textContent)"
    with Chromium() as browser:
        browser.open(path.as_uri())
        browser.run("document.querySelectorAll('th button')[1].click()")
        assert browser.run(read.format(2)) == ["1,000", "20", "3", "0.5", "–", "–"]
        browser.run("document.querySelectorAll('th button')[1].click()")
        assert browser.run(read.format(2)) == ["0.5", "3", "20", "1,000", "–", "–"]
        for _ in range(2):
            browser.run("document.querySelectorAll('th button')[0].click()")
        assert browser.run(read.format(1)) == ["4", "", "10 x", "2 wheels", "a", "b"]


def test_many_classes_have_pairs_and_no_matrix():
    count = MOST_IN_MATRIX + 1
    matrix = [[int(i == j) * 5 for j in range(count)] for i in range(count)]
    matrix[0][1] = 3
    text = confusion_part(
        {"classes": {f"k{i}": {} for i in range(count)}, "confusion_matrix": matrix}
    )
    assert "k0 taken for k1" in text and "matrix" not in text


def test_what_is_no_finished_run_is_said_in_one_line(run, tmp_path):
    with pytest.raises(LabError, match="no finished run") as error:
        write_report(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_compare_makes_a_page_that_links_to_those_of_its_runs(run, capsys):
    assert main.main(["compare", str(run), "--output", str(run.parent / "both")]) == 0
    assert "as one page: " in capsys.readouterr().out
    text = (run.parent / "both" / "compare.html").read_text(encoding="utf-8")
    assert '<a href="../a/report.html">a</a>' in text and "<td>unet</td>" in text
    assert text.count("data:image/png") >= 2 and "http" not in text
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"<td>{metrics['macro_f1']:.4f}</td>" in text
