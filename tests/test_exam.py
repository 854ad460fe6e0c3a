"""The questions of quiz and exam: hand-worked answers, well-posed draws, sheets, the key, marks."""

import json
import math
import re
import zipfile
from collections import Counter
from itertools import pairwise
from math import ceil, exp, log, pi, sqrt
from pathlib import Path

import pytest
from made_class import grade

from commands.companion.quiz import (
    KEPT,
    TITLES,
    Answers,
    all_numbers,
    digest_of,
    steps_near,
    variant_of,
)
from teacher.catalogue import solved_texts
from teacher.exam import pool, sheets
from teacher.exam.marking import check_answers, mark_quizzes
from teacher.exam.questions.question import Draw, Question, draw_question
from teacher.exam.sheets import choose, write_exam
from teacher.grade import Limits
from teacher.platforms.roster import Student, read_roster
from teacher.report.records import read_graded
from teacher.reports import Mark, as_html, as_text, write_gradescope, write_marks
from teacher.submissions import read_submission
from utils import LabError

ADA = "Ada Lovelace"
DISTANCES = ((0.687 - 2.098 / 3) ** 2, (0.687 - 2.098 / 3) ** 2, (0.724 - 2.098 / 3) ** 2)
FOCAL_P = exp(-0.5) / (exp(-0.5) + exp(-0.3) + exp(2.2))
RATES = (1069 / 790, 1069 / 260, 1069 / 19)
BY_HAND = {
    "1a": ("[9, 0, 33, 9, 26, 33, 7, 26, 26, 33]", 7 + 6 + 2 + 1 + 4 + 4 + 3),
    "1b": ("520, 780, 760, 470]", 100 * (780 + 37) / (520 + 780 + 760 + 540 + 37 + 660)),
    "1c": ("24 targets of 256×512", 24 * 256 * 512 * 8 / 1048576),
    "1d": ("192, 0, 0, 193, 72, 0, 102, 200]", (192 + 193 + 72 + 102 + 200) / 5),
    "1e": ("60 channels of float16", 60 * 2 / 8),
    "2a": ("83 (of 0 … 255) in the blue", (83 / 255 - 0.406) / 0.225),
    "2b": ("188×376", 100 * (1 - 188 * 376 / (200 * 400))),
    "2c": ("0.39, a change of colours with 0.4, a blur with 0.46", 100 * 0.61 * 0.6 * 0.54),
    "2d": ("from 0.73 to 1.28", 100 * 0.27 / 0.55),
    "2e": ("6, 0, 4, 16, 3, 13, 11, 13, 12, 5, 4, 1]", 0 + 3 + 13 + 4),
    "3a": ("from 67 to 36 channels", 9 * 67 * 36 + 36 + 2 * 36),
    "3b": ("5 poolings gets an image of 902×415", 928 * 416),
    "3c": ("12×16 pixels go into a decoder with 5 up blocks and 22", 22 * 12 * 32 * 16 * 32),
    "3d": ("2 blocks of 3 convolutions 5×5", 1 + 3 * 4 + 1 + 3 * 4 * 2 + 2 + 4 * 4),
    "3e": ("base 24 gets an image of 48×32 pixels. How many numbers has features[1]", 48 * 24 * 16),
    "4a": ("55, 6, 6]", (110 / (67 + 55) + 28 / (16 + 20) + 28 / (14 + 22)) / 3),
    "4b": ("were 48 void pixels", (46 / (89 + 30) + 56 / (34 + 37) + 38 / (24 + 80)) / 3),
    "4c": ("61, 6, 12]", (61 / (79 + 5) + 35 / (40 + 9) + 9 / (12 + 12)) / 3),
    "4d": ("56, 0, 1]", (56 / 57 + 33 / 40) / 2),
    "4e": ("6, 9, 11]", 2 * 173 / (2 * 173 + 15 + 23)),
    "5a": ("-0.5, -0.3 and 2.2", -((1 - FOCAL_P) ** 3) * log(FOCAL_P)),
    "5b": ("['rider', 1.9, 0.2]", -(0.2 * log(0.84 * 0.81 * 0.93) + 1.9 * log(0.2)) / 2.5),
    "5c": ("the weight of person with the strategy inverse", 3 * RATES[2] / sum(RATES)),
    "5d": ("each of 25 classes", log(25)),
    "5e": ("1302.9, 1301.0 and 1303.0; the true", 2 + log(1 + exp(-0.1) + exp(-2))),
    "6a": ("1165 images, --batch-size 2, --accumulate 2, 4 processes", ceil(1165 / 16)),
    "6b": ("[1, 4, 1440, 1.55]", (1440 * 1.55 + 3452 * 2.89 + 889 * 2.39) / (1440 + 3452 + 889)),
    "6c": ("first 32 steps", 4 * (1 + math.cos(pi * (219 - 32) / (640 - 32)))),
    "6d": ("5.6, 7.1 and 1.1", 0.1 * (5.6 * 0.81 + 7.1 * 0.9 + 1.1)),
    "6e": ("2306 images, --batch-size 9 and --accumulate 6", 2306 - 42 * 54),
    "7a": ("1140×2090", round(2090 * sqrt(256 * 512 / (1140 * 2090)))),
    "7b": ("11 classes take as float32", 11 * 1488 * 1912 / 262144),
    "7c": ("13493427 learned numbers", 13493427 / 262144),
    "7d": ("bias -1.6", 1.4 * (-1.6 - 1.4) / 0.5 - 0.8),
    "7e": ("the weight 1.971", round(1.971 / (3.34 / 127))),
    "8a": ("3520 images, trained at 20", 16 * (3520 / 20 + 890 / 60) / 60),
    "8b": ("--time 2-14, another --time 31:30", (2 * 24 + 14) * 60 + 31.5),
    "8c": ("84 hours", ceil(84 * 60 / (120 - 9 - 2))),
    "8d": ("--repeat 4 --at-most 7", 7 * 2.1),
    "8e": ("0.687, 0.687 and 0.724", sqrt(sum(DISTANCES) / 2)),
    "9a": ("rate 30 reads features of stride 4", 2 * 30 * 4),
    "9b": ("0.32, 0.72, 0.16, 0.59]", 1 - 2 * 0.91 / (1.79 + 2)),
    "9c": ("α = 0.4 and β = 0.6", 1 - 0.47 / (0.47 + 0.4 * 0.72 + 0.6 * 1.53)),
    "9d": ("0.49, 0.06, 0.58]", 0.51 / 2 + 0.42 / 2),
    "9e": ("96×192 pixels; its keys come from a reduction R = 2", 24 * 48 * 12 * 24 / 1e6),
    "10a": ("82 hours", (82 * 60 - 10 * 90) // 7),
    "10b": ("0.085, 0.287, 0.085, 0.149, 0.394]", 0.085 + 0.287 + 0.085),
    "10c": ("33159 learned numbers", 1000 * (8 * 15 + 15) / 33159),
    "10d": ("differ by 0.0071", ceil(2 * (2 * 0.0091 / 0.0071) ** 2)),
    "10e": ("353 images of 192×384 pixels have with --sparse rows:37", 353 * 37 * 384),
}  # fmt: skip
"""For Ada Lovelace: what her question says, and its answer by another way than the lab's."""


@pytest.fixture(scope="module")
def draws() -> dict[str, list[dict]]:
    return pool.quiz_questions()


def drawn(draws: dict[str, list[dict]], name: str, number: str) -> dict:
    return draws[number][variant_of(name, number, pool.VARIANTS)]


@pytest.mark.parametrize("number", all_numbers())
def test_answers_are_those_worked_by_hand(draws, number):
    fragment, answer = BY_HAND[number]
    question = drawn(draws, ADA, number)
    assert fragment in question["text"] + str(question["table"])
    step = 10 ** -(question["decimals"] or 0)
    assert question["answer"] == pytest.approx(answer, rel=1e-5, abs=0.01 * step)
    assert question["steps"][0] == round(answer / step)


def test_every_draw_is_well_posed_and_of_one_kind(draws):
    assert list(draws) == all_numbers() and len(draws) == 50
    for number, own in draws.items():
        assert len(own) == pool.VARIANTS >= 24
        assert len({(d["why"], tuple(d["mistakes"]), d["decimals"], d["unit"]) for d in own}) == 1
        for draw in own:
            apart = 1 if draw["decimals"] is None else 3
            assert min(b - a for a, b in pairwise(sorted(draw["steps"]))) >= apart
            scaled = draw["answer"] * 10 ** (draw["decimals"] or 0)
            is_exact = draw["decimals"] is None
            assert scaled == round(scaled) if is_exact else abs(scaled % 1 - 0.5) >= 0.049, number


def test_200_names_have_many_answers_and_no_favourite(draws):
    for number in all_numbers():
        found = Counter(drawn(draws, f"student {i}", number)["steps"][0] for i in range(200))
        assert found.most_common(1)[0][1] <= 50 and len(found) >= 8, (number, found)


def test_no_text_is_shared_by_many_draws(draws):
    for number, own in draws.items():
        texts = Counter(draw["text"] + str(draw["table"]) for draw in own)
        assert texts.most_common(1)[0][1] <= 8 and len(texts) >= 12, number


def test_a_draw_near_a_tie_or_a_mistake_is_not_well_posed():
    def well(answer: float, wrong: float, decimals: int | None) -> bool:
        return Question("?", answer, "", {"x": wrong}, decimals=decimals).is_well_posed

    assert well(0.123, 0.2, 3) and well(7, 8, None)
    assert not well(0.1235, 0.2, 3) and not well(0.123, 0.125, 3) and well(0.123, 0.126, 3)
    assert not well(7, 7, None) and not well(7.5, 9, None) and not well(math.nan, 1, 3)


def test_draws_are_the_same_in_every_python():
    draw = Draw("quiz 4a 0")
    assert [draw.whole(0, 99) for _ in range(4)] == [40, 61, 97, 60]
    assert Draw("x").number(0.1, 0.1, 1) == 0.1 and Draw("x").pick((5,)) == 5
    assert {Draw(str(i)).whole(2, 6, 2) for i in range(30)} == {2, 4, 6}


def test_a_maker_without_a_good_draw_is_found():
    with pytest.raises(RuntimeError, match="no well-posed draw"):
        draw_question(lambda draw: Question("?", 1, "", {"x": 1}), "seed")


# ------------------------------------------------------------------ the exam


@pytest.mark.parametrize(
    ("content", "students"),
    [
        (b"name,id\nAda,1\n\nBob  Ray,2\n", [Student("Ada", "1"), Student("Bob Ray", "2")]),
        (
            b"\xef\xbb\xbfNachname;Vorname\r\nM\xc3\xbcller;J\xc3\xb6rg\r\n",
            [Student("Jörg Müller")],
        ),
        ("id\tName\n7\tZoë\n".encode("utf-16"), [Student("Zoë", "7")]),
        (b"Ada\nBob\n", [Student("Ada"), Student("Bob")]),
        (b'name;id\n"Byron; Ada";1\n', [Student("Byron; Ada", "1")]),
        (b"name\nM\xfcller\n", [Student("Müller")]),
        (b"Student,ID\nAda,1\n", [Student("Ada", "1")]),
        (
            b"Student,ID,Section,Lab (7)\n,,,Muted\nPoints Possible,,,5\nA,1,,\nB,2\n"
            b'"Student, Test",9,,\n',
            [Student("A", "1"), Student("B", "2")],
        ),
        (
            "Nº,Prénom,État,Note,Max,Modifiable,Date,Commentaire\n"
            "P7,Zoë,x,,10,Oui,-,\nP8,Zoë,x,,10,Oui,-,\n".encode(),
            [Student("Zoë", "7"), Student("Zoë", "8")],
        ),
    ],
)
def test_rosters_are_read_as_spreadsheets_write_them(tmp_path, content, students):
    (tmp_path / "list.csv").write_bytes(content)
    assert read_roster(tmp_path / "list.csv") == students


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is empty"),
        (b"name,id\n", "no student"),
        (b"who,when\nAda,1\n", "first line must name the columns"),
        (b"first name,id\nAda,1\n", "first line must name the columns"),
        (b"name\nAda\n ADA \n", "there twice"),
        (b"name,id\n,4\n", "has no name"),
        (b"PK\x03\x04\0\0", "not a CSV file"),
    ],
)
def test_a_roster_that_is_none_is_an_error_of_one_line(tmp_path, content, line):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(LabError, match=line):
        read_roster(tmp_path / "list.csv")


def test_a_missing_roster_is_an_error(tmp_path):
    with pytest.raises(LabError, match="cannot be read"):
        read_roster(tmp_path / "nothing.csv")


STUDENTS = [
    Student("Ada Lovelace", "1"),
    Student("<b>Jürgen & Söhne", "2"),
    Student("Ada Lovelace", "3"),
]


QUESTION = {"number": "4a", "text": "?", "table": [], "decimals": 1, "unit": "", "why": "so"}
QUESTION |= {"mistakes": {"half": 1.0}, "steps": [20, 10]}


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """The folder of an exam, and its questions."""
    folder, made = tmp_path_factory.mktemp("exam") / "out é", []

    def make(wanted: list[tuple[str, str]]) -> list[dict]:
        made.extend(pool.make_questions(wanted))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "make_questions", make)
        assert write_exam(STUDENTS, folder, [4, 8, 1], 4, 7) == choose([1, 4, 8], 4, 7)
    return folder, made


def test_sheets_are_one_page_for_each_student_and_say_no_answer(exam):
    text = (exam[0] / "sheets.html").read_text(encoding="utf-8")
    sections = text.split('<section class="student">')[1:]
    assert text.count("<h1>") == 3 and "<h1>Key</h1>" in (exam[0] / "key.html").read_text()
    assert len(sections) == 3 and all(each.count('class="space"') == 4 for each in sections)
    assert "break-after: page" in text and "@page" in text and "http" not in text
    assert "&lt;b&gt;Jürgen &amp; Söhne" in text and "<b>Jürgen" not in text
    assert "more or less is right" in text and "<script" not in text
    assert len({re.sub("<span>.</span>", "", each) for each in sections}) == 3


def test_the_key_has_every_students_answer(exam, draws):
    folder, made = exam
    key = (folder / "key.html").read_text(encoding="utf-8")
    sheet = (folder / "sheets.html").read_text(encoding="utf-8")
    assert [q["number"] for q in made] == 3 * choose([1, 4, 8], 4, 7)
    for question in made:
        answer = question["steps"][0] / 10 ** (question["decimals"] or 0)
        assert f"<td>{answer:.{question['decimals'] or 0}f}</td>" in key
        assert sheets.escaped(question["text"]) in sheet
        own = drawn(draws, ADA, question["number"])
        assert (question["text"], question["table"]) != (own["text"], own["table"])


def test_an_exam_is_never_written_over(exam):
    before = (exam[0] / "key.html").read_bytes()
    with pytest.raises(LabError, match="choose another --output"):
        write_exam(STUDENTS, exam[0], [4], 1, 0)
    assert (exam[0] / "key.html").read_bytes() == before


def test_a_key_without_sheets_is_taken_away(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "make_questions", lambda wanted: [dict(QUESTION) for _ in wanted])
    monkeypatch.setattr(sheets, "sheet", lambda student, asked: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_exam(STUDENTS, tmp_path, [4], 1, 0)
    assert list(tmp_path.iterdir()) == []


def test_questions_are_spread_over_the_chapters_by_the_seed():
    assert len({number[:-1] for number in choose(list(TITLES), 10, 0)}) == 10
    assert len(choose([3, 3, 10], 7, 1)) == 7 and choose([3], 5, 1) == [f"3{c}" for c in "abcde"]
    assert len({tuple(choose(list(TITLES), 6, seed)) for seed in range(20)}) > 15
    with pytest.raises(LabError, match="these chapters have 5"):
        choose([3], 6, 0)


# ------------------------------------------------------------------ the marks


def answered(draws: dict, name: str, numbers: list[str], value: float | None = None) -> dict:
    """What a student's file holds after right answers, or another number."""
    entries = {}
    for number in numbers:
        draw = drawn(draws, name, number)
        right = draw["steps"][0] / 10 ** (draw["decimals"] or 0)
        given = [right] if value is None else [value]
        entries[number] = {"question": digest_of(draw["text"], draw["table"]), "tries": given}
    return {"name": name, "answers": entries}


def marked(kept: dict[str, dict]) -> dict[str, Mark]:
    files = {name: json.dumps(content).encode() for name, content in kept.items()}
    marks = [Mark(name) for name in [*kept, "without"]]
    done = mark_quizzes(marks, files, {"ada": "Ada", "ada again": "Ada"})
    assert [mark.submission for mark in done] == list(kept)
    return {mark.submission: mark for mark in marks}


def test_right_answers_count_and_wrong_ones_do_not(draws):
    content = answered(draws, ADA, ["4a", "4b"])
    content["answers"]["4a"]["tries"] = [0.5, 0.9, *content["answers"]["4a"]["tries"]]
    content["answers"]["4b"]["tries"].append(0.123)
    mark = marked({"ada": content})["ada"]
    assert mark.quiz == {"4a": 3} and mark.quiz_remarks == ["taken as Ada Lovelace"]


def test_forged_answers_count_nothing(draws):
    verdicts = answered(draws, ADA, ["4a", "5a"], value=0.001)
    verdicts["right"] = ["4a", "5a"]
    for entry in verdicts["answers"].values():
        entry |= {"state": "right", "right": True, "tags": ["x"]}
    other = answered(draws, "Somebody Else", ["4a", "4b", "4c"])
    other["name"] = ADA
    marks = marked({"verdicts": verdicts, "other": other})
    assert marks["verdicts"].quiz == {} and marks["other"].quiz == {}
    assert "not counted, 4a, 4b, 4c" in marks["other"].quiz_remarks[1]
    assert marks["other"].quiz_remarks[-1].startswith("another student's submission")


def test_a_copied_file_is_seen_by_its_name(draws):
    content = answered(draws, ADA, ["1a"])
    marks = marked({"ada": content, "bob": content | {"name": "ADA  lovelace"}})
    same = "another student's submission has the same name for the quiz"
    for mark in marks["ada"], marks["bob"]:
        assert mark.quiz_remarks[-1] == same and mark.quiz_name.casefold() == "ada lovelace"
        assert "bob" not in as_text(Mark("x", quiz_remarks=mark.quiz_remarks))


def test_two_submissions_of_one_student_are_no_copies(draws):
    content = answered(draws, ADA, ["1a"])
    marks = marked({"ada": content, "ada again": content})
    assert marks["ada again"].quiz_remarks == ["taken as Ada Lovelace"]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"name": 1, "answers": {}}',
     b'{"name": "A", "answers": {"4a": {"question": "x", "tries": [1e999]}}}',
     b'{"name": "A", "answers": {"4a": {"question": "x", "tries": ["nan"]}}}',
     b'{"name": "A", "answers": {"4a": {"question": "x", "tries": [1' + b"0" * 400 + b"]}}}",
     b'{"name": "A", "answers": {"4a": {"tries": [1]}}}', b'{"name": " ", "answers": {}}'],
)  # fmt: skip
def test_a_damaged_file_is_a_remark(data):
    mark = Mark("ada")
    mark_quizzes([mark], {"ada": data}, {})
    assert mark.quiz == {} and len(mark.quiz_remarks) == 1
    assert f"{KEPT} is damaged" in mark.quiz_remarks[0] or "say your name" in mark.quiz_remarks[0]


def test_unknown_questions_are_a_remark(draws):
    content = answered(draws, ADA, ["4a"])
    content["answers"]["99z"] = {"question": "x", "tries": [1]}
    mark = marked({"ada": content})["ada"]
    assert mark.quiz == {"4a": 1} and "1 answers to questions" in mark.quiz_remarks[1]


def test_reports_show_the_quiz_and_points_stay_as_they_are(tmp_path):
    mark = Mark("ada", quiz={"4a": 1, "4c": 3, "10b": 2}, quiz_remarks=["taken as <Ada>"])
    mark.quiz_name = "=1+1"
    text, page = as_text(mark), as_html(mark)
    assert "Quiz: 3 of 50 right" in text and " 4 Metrics: 4a at try 1, 4c at try 3" in text
    assert "taken as &lt;Ada&gt;" in page and "<Ada>" not in page and mark.total == 0
    write_gradescope(tmp_path, mark)
    assert "Quiz: 3 of 50" in (tmp_path / "results.json").read_text(encoding="utf-8")
    write_marks(tmp_path / "marks.csv", [mark, Mark("bob")], [])
    assert (tmp_path / "marks.csv").read_text().splitlines() == [
        "submission,total,max,remarks,quiz,quiz_name", "ada,0,0,,3,'=1+1", "bob,0,0,,0,"
    ]  # fmt: skip
    write_marks(tmp_path / "marks.csv", [Mark("bob")], [])
    assert "quiz" not in (tmp_path / "marks.csv").read_text() and "Quiz" not in as_text(Mark("bob"))


def submission_of(folder: Path, content: object) -> Path:
    """A submission with a quiz."""
    (folder / ".lab").mkdir(parents=True)
    (folder / "losses.py").write_text("")
    (folder / KEPT).write_text(json.dumps(content))
    return folder


def test_a_submissions_quiz_is_read_from_folder_and_zip(tmp_path):
    folder = submission_of(tmp_path / "ada", {"name": "x"})
    with zipfile.ZipFile(tmp_path / "bob.zip", "w") as archive:
        archive.writestr("lab/losses.py", "")
        archive.writestr(f"lab/{KEPT}", '{"name": "x"}')
    for path in (folder, tmp_path / "bob.zip"):
        assert json.loads(read_submission("ada", path, solved_texts()).quiz) == {"name": "x"}
    (folder / KEPT).unlink()
    (folder / KEPT).symlink_to(tmp_path / "bob.zip")
    assert read_submission("ada", folder, solved_texts()).quiz == b""


@pytest.mark.slow
def test_grade_reads_the_quiz_of_a_submission_again_each_time(draws, tmp_path):
    folder, out = submission_of(tmp_path / "all" / "ada", {}), tmp_path / "marks.csv"
    for numbers in (["4a", "4b"], ["4c"]):
        (folder / KEPT).write_text(json.dumps(answered(draws, ADA, numbers)))
        [mark] = grade([tmp_path / "all"], out, ["5.1"], 1, Limits(20))
        assert list(mark.quiz) == numbers and mark.total == 0
        report = (tmp_path / "reports" / "ada.txt").read_text(encoding="utf-8")
        assert f"Quiz: {len(numbers)} of 50 right" in report
        assert out.read_text().splitlines()[1].endswith(f",{len(numbers)},{ADA}")
        assert list(read_graded(out).marks[0].quiz) == numbers  # what the class's page shows
    (folder / KEPT).unlink()
    grade([tmp_path / "all"], out, ["5.1"], 1, Limits(20))
    assert read_graded(out).marks[0].quiz_name == "" and "quiz" not in out.read_text()


def test_numbers_near_the_answer_are_right_and_others_are_not():
    assert steps_near(0.6665, 3) == [666, 667] and steps_near(0.667, 3) == [666, 667, 668]
    assert steps_near(-0.3, 1) == [-4, -3, -2] and steps_near(12.0, None) == [12]
    assert steps_near(12.2, None) == [] and steps_near(12.4, 0) == [12, 13]


def test_answers_of_another_edition_are_not_counted(draws):
    content = answered(draws, ADA, ["4a"])
    content["answers"]["4a"]["question"] = "0" * 12
    right, remarks = check_answers(Answers.parse(json.dumps(content).encode()))
    assert right == {} and "not counted, 4a" in remarks[0]
