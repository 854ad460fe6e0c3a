"""The class at a glance: what is counted, which answers are shown, and partial credit."""

import json
import re
from dataclasses import asdict

import pytest
from chromium import Chromium, needs_chromium
from made_class import editions, files_with, grade, teacher

from teacher.grade import Limits
from teacher.partial import passed_tests, points_for
from teacher.report.causes import cause_of, rows_of
from teacher.report.records import read_graded
from teacher.report.show import class_page, distribution
from teacher.reports import Mark, TodoMark, write_marks
from teacher.sandbox import Job, Outcome, TestResult
from teacher.watching import name_of
from utils import LabError

VOID = "TODO 4.2 (F1) is wrong\ngiven:    a\nexpected: b\ngot:      c\nlikely:   void counts"
NUMBERS = "TODO 4.2 (F1) is wrong\ngiven:    2 pixels\nexpected: 1\ngot:      <2>"
RAISED = "TODO 4.2 (F1) is wrong: your code raised TypeError at metrics.py:{}\nnot a tensor"
ENDLESS = "TODO 4.2: stopped after 30 seconds: does a loop never end?"
SYNTAX = "TODO 4.2: syntax error in 4.2a (metrics.py:{}): invalid syntax"


def wrong(name, message, answer="f1 = 1\n", verdict="wrong", remarks=()):
    todos = [TodoMark("4.2", 0, verdict, message, answer), TodoMark("5.1", 2, "passed")]
    return Mark(name, list(remarks), todos)


CLASS = [
    wrong("Ada", VOID),
    wrong("Bo <b>", f"{VOID}\nnote: metrics.py:9 still has `...`"),
    wrong("Çelik", NUMBERS, "f1 = '</pre><i>'\n"),
    wrong("Dora", f"{NUMBERS}\n1 of 4 tests pass", "f1 = '</pre><i>'\n"),
    wrong("Eva", NUMBERS.replace("<2>", "7"), "f1 = 7\n"),
    wrong("Fynn", RAISED.format(118)),
    wrong("Gül", RAISED.format(7)),
    wrong("Ida", ENDLESS, verdict="stopped"),
    wrong("Jo", SYNTAX.format(120)),
    wrong("Kim", "TODO 4.2 is still to do", "", "to do", ["missing: data.py"]),
    Mark("Lu", [], [TodoMark("4.2", 2, "passed"), TodoMark("5.1", 2, "passed")]),
]


def write_grading(folder, marks, name="marks.csv"):
    """The table and the records of a grading, as `grade` writes them."""
    write_marks(folder / name, marks, ["4.2", "5.1"])
    for place, mark in enumerate(marks):
        path = folder / f"{name}.parts" / f"{place}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"digest": "", "mark": asdict(mark)}), encoding="utf-8")
    return folder


# ------------------------------------------------------------------ what is counted


def test_each_verdict_and_cause_is_counted_with_its_names():
    row, other = rows_of(CLASS)
    assert (row.number, other.number) == ("4.2", "5.1") and other.passed == 11
    counts = {verdict: len(names) for verdict, names in row.verdicts.items()}
    assert counts == {"wrong": 8, "stopped": 1, "to do": 1, "passed": 1}
    assert list(row.causes.items()) == [
        ("raises TypeError: not a tensor", ["Fynn", "Gül"]),
        ("void counts", ["Ada", "Bo <b>"]),
        ("stopped after 30 seconds: does a loop never end?", ["Ida"]),
        ("syntax error in 4.2a: invalid syntax", ["Jo"]),
    ]


def test_answers_without_a_cause_are_kept_with_their_code():
    row, other = rows_of(CLASS)
    groups = [(group.count, group.answers) for group in row.unexplained]
    assert groups == [(2, {"f1 = '</pre><i>'\n": ["Çelik", "Dora"]}), (1, {"f1 = 7\n": ["Eva"]})]
    assert row.unexplained[0].message == NUMBERS and other.unexplained == []


def test_a_cause_is_the_likely_one_before_the_error_that_was_raised():
    both = TodoMark("4.2", 0, "wrong", f"{RAISED.format(3)}\nlikely:   255 is void\nnote: x")
    assert cause_of(both) == "255 is void"
    region = "unreadable: the region 4.2a is never closed (metrics.py:129)"
    assert cause_of(TodoMark("4.2", 0, "unreadable", region)) == region.rpartition(" (")[0]


# ------------------------------------------------------------------ the page


def test_the_page_shows_counts_causes_and_code(tmp_path, capsys):
    folder = write_grading(tmp_path / "marks", CLASS)
    assert teacher("report", folder) == 0
    assert "class.html: 11 submissions" in capsys.readouterr().out
    text = (folder / "class.html").read_text(encoding="utf-8")
    assert "11 submissions; on average 2.2 of 4 points; the median is 2.0." in text
    assert "2 of 11: void counts" in text and "1 of 11</span>" in text
    assert '3 of 11: <a href="#read-4.2">no cause was named' in text and 'id="read-4.2"' in text
    assert "8 wrong, 1 stopped, 1 to do" in text and "Kim: missing: data.py" in text
    assert (
        "f1 = &#x27;&lt;/pre&gt;&lt;i&gt;&#x27;" in text
        and "<i>" not in text
        and "&lt;2&gt;" in text
        and "<2>" not in text
    )
    assert "Bo &lt;b&gt;" in text and "Dora, Çelik" in text
    assert not re.findall(r'(?:src|href)="(?!#)', text) and "2 answers: given:" in text
    assert teacher("report", write_grading(tmp_path / "one", CLASS[:1])) == 0
    assert "class.html: 1 submission at a glance" in capsys.readouterr().out


def test_the_page_shows_who_has_how_much_of_the_quiz_right(tmp_path):
    ada, bo = wrong("Ada", VOID), wrong("Bo <b>", VOID)
    ada.quiz, ada.quiz_remarks = {"4a": 1, "4c": 3, "10b": 1}, ["taken as <i>A"]
    bo.quiz_remarks = ["taken as Bo"]
    text = class_page(read_graded(write_grading(tmp_path, [ada, bo, *CLASS[2:]])))
    assert "2 of 11 have taken it" in text and "taken as &lt;i&gt;A" in text and "<i>" not in text
    rows = re.findall(r'<tr><th scope="row">(Ada|Bo[^<]*)</th>(.*taken as.*)</tr>', text)
    counts = [re.findall(r'<span class="number">(\d*)</span>', cells) for _, cells in rows]
    assert counts == [["", "", "", "2", "", "", "", "", "", "1"], [""] * 10]
    assert "The quiz" not in class_page(read_graded(write_grading(tmp_path, CLASS)))


@needs_chromium
def test_no_table_of_the_page_is_wider_than_a_phone(tmp_path):
    folder = write_grading(tmp_path / "marks", CLASS)
    assert teacher("report", folder) == 0
    with Chromium() as browser:
        browser.look(390, 800, is_dark=False)
        browser.open((folder / "class.html").as_uri())
        fits = "[...document.querySelectorAll('.wide')].map(each => each.scrollWidth <= 358)"
        assert browser.run(fits) == [True, True]


def test_marks_are_counted_in_few_rows_and_each_once():
    bins = re.compile(r'<th scope="row">(.*?)</th><td><span class="number">(\d+)')
    counts = bins.findall(distribution(CLASS))  # of 4 points: ten have 2, one has 4
    assert counts == [("0", "0"), ("1", "0"), ("2", "10"), ("3", "0"), ("4", "1")]
    large = [Mark(str(i), [], [TodoMark("2.1", i, "wrong")] * 20) for i in (0, 1, 3)]
    counts = bins.findall(distribution(large))  # of 60 points
    assert len(counts) <= 12 and sum(int(count) for _, count in counts) == 3
    assert counts[0] == ("0 to 5", "1") and counts[-1] == ("60", "1")


def test_a_class_without_unexplained_answers_says_so(tmp_path):
    text = class_page(read_graded(write_grading(tmp_path, CLASS[:2])))
    assert "Every wrong answer got a cause." in text and "no cause was named" not in text


# ------------------------------------------------------------------ the records


def test_only_what_the_table_lists_counts(tmp_path):
    write_grading(tmp_path, [*CLASS[:3], wrong("=formula", VOID)])
    write_marks(tmp_path / "marks.csv", [CLASS[0], wrong("=formula", VOID)], ["4.2", "5.1"])
    marks = read_graded(tmp_path).marks
    assert [mark.submission for mark in marks] == ["=formula", "Ada"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path, separator):
    write_grading(tmp_path, CLASS[:2])
    text = "submission,total\r\nAda,2\r\nBo <b>,2\r\n".replace(",", separator)
    (tmp_path / "marks.csv").write_bytes(text.encode("utf-8-sig"))
    assert len(read_graded(tmp_path / "marks.csv").marks) == 2


TODO = {"number": "4.2", "points": 1, "verdict": "wrong"}


@pytest.mark.parametrize("damaged", ["", "{", "[]", "\udcff", "[" * 100_000, '{"mark": 1}'])
def test_a_file_that_is_no_record_is_told_and_not_counted(tmp_path, damaged):
    write_grading(tmp_path, CLASS[:2])
    data = damaged.encode("utf-8", "surrogateescape")
    (tmp_path / "marks.csv.parts" / "0.json").write_bytes(data)
    graded = read_graded(tmp_path)
    assert [mark.submission for mark in graded.marks] == ["Bo <b>"] and graded.missing == ["Ada"]
    assert "1 submission (Ada)" in class_page(graded)


@pytest.mark.parametrize(
    "mark",
    [
        {"submission": 3, "todos": []},
        {"submission": "Ada", "todos": [TODO | {"number": "99.9"}]},
        {"submission": "Ada", "todos": [TODO | {"points": "1"}]},
        {"submission": "Ada", "todos": [TODO | {"verdict": 3}]},
        {"submission": "Ada", "todos": [TODO | {"more": 3}]},
        {"submission": "Ada", "todos": [], "remarks": [1]},
        {"submission": "Ada", "todos": [], "quiz": {"<b>": 1}},
        {"submission": "Ada", "todos": [], "quiz": 3},
        {"submission": "Ada", "todos": [], "quiz_name": 3},
    ],
)
def test_a_record_of_something_else_is_told_and_not_counted(tmp_path, mark):
    write_grading(tmp_path, CLASS[:2])
    (tmp_path / "marks.csv.parts" / "0.json").write_text(json.dumps({"mark": mark}))
    assert read_graded(tmp_path).missing == ["Ada"]


def test_a_folder_without_a_single_grading_is_an_error_of_one_line(tmp_path):
    with pytest.raises(LabError, match="no such folder"):
        read_graded(tmp_path / "nothing")
    with pytest.raises(LabError, match="holds no grading; first python -m teacher grade"):
        read_graded(tmp_path)
    write_grading(tmp_path, CLASS)
    write_grading(tmp_path, CLASS, "again.csv")
    with pytest.raises(LabError, match=r"several gradings \(again.csv, marks.csv\); name"):
        read_graded(tmp_path)
    assert len(read_graded(tmp_path / "again.csv").marks) == 11
    (tmp_path / "again.csv").write_text("name,total\nAda,3\n")
    with pytest.raises(LabError, match="first column is not 'submission'; grade again"):
        read_graded(tmp_path / "again.csv")
    (tmp_path / "again.csv").write_text("submission,total\nNobody,3\n")
    with pytest.raises(LabError, match="no record"):
        read_graded(tmp_path / "again.csv")


# ------------------------------------------------------------------ partial credit


def outcome(*results, trouble=None):
    found = [TestResult("4.2", test, verdict, "") for test, verdict in results]
    return Outcome(Job("a", {}, ("4.2",)), [*found, TestResult("5.1", "x", "wrong", "")], trouble)


def test_each_short_test_counts_once_and_all_further_cases_as_one():
    results = [
        ("test_implementation.py::test_a[1]", "passed"),
        ("test_implementation.py::test_a[2]", "wrong"),
        ("test_implementation.py::test_b", "passed"),
        ("test_implementation_zoo.py::test_c", "passed"),
        ("chapter_4.py::test_b", "passed"),
        ("chapter_4.py::test_d", "passed"),
    ]
    assert passed_tests(outcome(*results), "4.2") == (3, 4)
    assert passed_tests(outcome(*results, ("chapter_4.py::test_e", "wrong")), "4.2") == (2, 4)
    assert passed_tests(outcome(*results, trouble="ended"), "4.2")[0] == 0


def test_a_test_is_called_by_its_file_too():
    assert name_of("checks/cases/chapter_4.py::test_a[x/y]") == "chapter_4.py::test_a[x/y]"


def test_points_are_the_share_of_the_tests():
    assert points_for(2, 4, 3) == 1.5 and points_for(1, 3, 2) == 0.67
    assert points_for(0, 4, 3) == 0 and points_for(0, 0, 3) == 0
    mark = Mark("a", [], [TodoMark("4.2", 0.1, "wrong"), TodoMark("5.1", 0.2, "wrong")])
    assert mark.total == 0.3 and mark.sums == "0.3 of 4 points"


@pytest.fixture
def school(tmp_path):
    """Ada's answer to 5.1 is right for one strategy, Bo's for none."""
    empty, solved = editions()
    for name, answer in {"Ada": "weights = 1 / shares\n", "Bo": "weights = None\n"}.items():
        for file, text in files_with(empty, solved | {"5.1": answer}).items():
            (tmp_path / "all" / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "all" / name / file).write_text(text, encoding="utf-8")
    return tmp_path / "all"


def test_a_grading_keeps_what_the_page_needs(school, tmp_path, monkeypatch):
    def run_jobs(jobs, *limits):
        for job in jobs:
            verdicts = zip("abc", ("passed", "passed", "wrong"), strict=True)
            results = [
                TestResult(job.todos[0], f"test_implementation.py::{test}", verdict, "why")
                for test, verdict in verdicts
            ]
            yield Outcome(job, results, "ended" if job.name.startswith("5.2") else None)

    monkeypatch.setattr("teacher.grade.run_jobs", run_jobs)
    out, todos = tmp_path / "marks" / "marks.csv", ["3.2", "5.1", "5.2"]
    assert [mark.total for mark in grade([school], out, todos, 1, Limits())] == [0, 0]
    marks = grade([school], out, todos, 1, Limits(), is_partial=True)
    assert [[todo.points for todo in mark.todos] for mark in marks] == [[1.33, 1.33, 0]] * 2
    (first, second, third) = read_graded(out.parent).marks[0].todos
    assert first.answer.startswith("# 3.2a\n") and "\n# 3.2b\n" in first.answer
    assert second.answer == "weights = 1 / shares\n" and third.verdict == "stopped"
    assert second.message == "why\n2 of 3 tests pass" and "pass" not in third.message
    assert "Ada,2.66,7,,1.33,1.33,0" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_grading_gives_partial_credit(school, tmp_path):
    marks = grade([school], tmp_path / "marks.csv", ["5.1"], 1, Limits(), is_partial=True)
    assert [mark.total for mark in marks] == [1.2, 0]  # three of four short tests, not the cases
    report = (tmp_path / "reports" / "Ada.txt").read_text(encoding="utf-8")
    assert "1.2/2" in report and "3 of 5 tests pass" in report
