"""The student's side of the quiz: numbers as people write them, verdicts, what is kept."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from commands.companion import quizzing
from commands.companion.quiz import (
    KEPT,
    LETTERS,
    POOL,
    TITLES,
    Answers,
    Question,
    all_numbers,
    parse_number,
    plain_name,
    question_for,
    read_pool,
    tag_of,
    valid_name,
    variant_of,
)
from commands.companion.quizzing import as_columns, precision, quiz
from teacher.exam import pool as teachers_pool
from utils import LabError

MATRIX = [["target ↓", "road", "car"], ["road", 9, 10], ["car", 7, 800]]


def small_pool() -> dict:
    """Two variants of every question: answers 0.25 and 0.75; 0.5 is a mistake, 4b is whole."""
    questions = {}
    for number in all_numbers():
        decimals, unit = (None, "%") if number == "4b" else (2, "")
        steps = [(4, 9), (5, 9)] if number == "4b" else [(25, 50), (75, 50)]
        variants = [
            {"text": f"{number}, case {v}?", "table": MATRIX * (number == "4c"),
             "tags": [tag_of(number, v, step) for step in steps[v]]}
            for v in range(2)
        ]  # fmt: skip
        reasons = ["that is the way", "you halved it"]
        shared = {"decimals": decimals, "unit": unit, "reasons": reasons}
        questions[number] = {**shared, "variants": variants}
    return {"questions": questions}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with a small quiz."""
    path = tmp_path / "lab é" / POOL
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps(small_pool()).encode()))
    return tmp_path / "lab é"


def right_answer(lab: Path, name: str, number: str) -> str:
    return "0,25" if variant_of(name, number, 2) == 0 else "0.75"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.667", 0.667), ("0,667", 0.667), (" −1,5 ", -1.5), ("66,7 %", 66.7), ("1 234 567", 1234567),
     ("1.234.567", 1234567), ("1,234,567", 1234567), ("1.234,5", 1234.5), ("1,234.5", 1234.5),
     ("2’162’435", 2162435), ("1e-3", 0.001), ("+4", 4), ("1\u202f000", 1000), ("５", 5)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text, value):
    assert parse_number(text, "%") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e99", "1/2", "0.5 or 0.6", "%", "1-2"])
def test_what_is_no_number_is_an_error_of_one_line(text):
    with pytest.raises(LabError, match=r"is no number; write it as 0\.667 or 0,667"):
        parse_number(text, "%")


def test_names_are_compared_without_case_and_blanks():
    assert plain_name("  ADA   Lovelace ") == plain_name("Ada Lovelace") == "ada lovelace"
    assert plain_name("J\u0075\u0308rgen") == plain_name("Jürgen") != plain_name("Jurgen")
    for name in ("", "   ", "a\x1b[2J", None, 3):
        with pytest.raises(LabError, match="say your name"):
            valid_name(name)


def test_names_get_all_variants_about_alike():
    counts = [sum(variant_of(f"n{i}", "4a", 4) == v for i in range(400)) for v in range(4)]
    assert min(counts) > 70
    assert [variant_of("Ada Lovelace", f"4{c}", 40) for c in LETTERS] == [9, 3, 1, 26, 21]


def test_an_answer_is_recognised_by_its_hash_within_one_unit():
    tags = [tag_of("4a", 3, 667), tag_of("4a", 3, 500)]
    question = Question("4a", "?", [], "", 3, ["why", "half"], tags, 3)
    assert [question.recognise(v) for v in (0.667, 0.666, 0.668, 0.6673)] == [0, 0, 0, 0]
    assert [question.recognise(v) for v in (0.501, 0.4995, 0.665, 0.669)] == [1, 1, None, None]
    whole = Question("4a", "?", [], "", None, ["why"], [tag_of("4a", 3, 7)], 3)
    assert whole.is_right(7.0) and not whole.is_right(7.4) and not whole.is_right(8)


def test_a_wrong_answer_gets_its_reason_and_a_right_one_the_way(lab, capsys):
    quiz(lab, "4a", "0,5", "Ada")
    assert "not right: you halved it" in capsys.readouterr().out
    quiz(lab, "4a", "0.9", None)
    assert "none of the usual mistakes" in capsys.readouterr().out
    quiz(lab, "4a", right_answer(lab, "Ada", "4a"), None)
    assert "right. that is the way" in capsys.readouterr().out
    quiz(lab, "4", None, None)
    shown = capsys.readouterr().out
    assert "4a  right, 3 tries" in shown and "4c  open" in shown and "quiz 4a 0.667" in shown
    quiz(lab, None, None, None)
    assert " 4  Metrics                1 of 5 right  a" in capsys.readouterr().out


def test_what_is_kept_has_numbers_and_no_verdict(lab):
    quiz(lab, "4a", "0,5", "Ada  Lovelace")
    quiz(lab, "4b", "4", "ADA lovelace")
    kept = json.loads((lab / KEPT).read_text(encoding="utf-8"))
    assert set(kept) == {"name", "answers"} and set(kept["answers"]) == {"4a", "4b"}
    assert kept["answers"]["4a"]["tries"] == [0.5] and set(kept["answers"]["4a"]) == {
        "question",
        "tries",
    }
    kept["answers"]["4a"] |= {"right": True, "state": "right"}
    (lab / KEPT).write_text(json.dumps(kept), encoding="utf-8")
    question = question_for(read_pool(lab), "ada lovelace", "4a")
    assert not quizzing.is_right(question, Answers.read(lab))


def test_a_whole_number_is_asked_for_before_it_counts_as_a_try(lab):
    with pytest.raises(LabError, match="asks for a whole number"):
        quiz(lab, "4b", "4,5 %", "Ada")
    assert json.loads((lab / KEPT).read_text(encoding="utf-8"))["answers"] == {}


def test_another_name_does_not_lose_the_answers(lab):
    quiz(lab, "4a", "0,5", "Ada")
    with pytest.raises(LabError, match=r"begun as Ada, with other numbers; .* delete .lab/quiz"):
        quiz(lab, "4a", "0,5", "Bob")
    assert Answers.read(lab).name == "Ada"


@pytest.mark.parametrize(
    ("words", "line"),
    [(("11", None, "A"), "no question 11"), (("4f", None, "A"), "no question 4f"),
     (("x", None, "A"), "no question x"), (("4", "0.5", "A"), "belongs to one question"),
     ((None, "0.5", "A"), "belongs to one question"), (("4a", "0.5", None), "say your name")],
)  # fmt: skip
def test_wrong_words_are_errors_of_one_line(lab, words, line):
    with pytest.raises(LabError, match=line):
        quiz(lab, *words)


def test_a_question_of_another_edition_begins_anew(lab):
    quiz(lab, "4a", "0,5", "Ada")
    content = small_pool()
    for variant in content["questions"]["4a"]["variants"]:
        variant["text"] += " and more"
    (lab / POOL).write_bytes(gzip.compress(json.dumps(content).encode()))
    question = question_for(read_pool(lab), "Ada", "4a")
    assert Answers.read(lab).tries(question) == []
    quiz(lab, "4a", "0,6", None)
    assert Answers.read(lab).tries(question) == [0.6]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        gzip.compress(b"{}"),
        gzip.compress(b"[1]"),
        gzip.compress(b'{"questions": {"4a": 1}}'),
        gzip.compress(b"{}")[:-4],
    ],
    ids=["empty", "no gzip", "no keys", "a list", "no question", "cut off"],
)
def test_a_damaged_quiz_is_an_error_of_one_line(lab, data):
    (lab / POOL).write_bytes(data)
    with pytest.raises(LabError, match="is damaged; copy it from the edition"):
        read_pool(lab)
    (lab / POOL).unlink()
    with pytest.raises(LabError, match="is missing; copy it from the edition"):
        read_pool(lab)


def test_damaged_answers_are_not_written_over(lab):
    quiz(lab, "4a", "0,5", "Ada")
    (lab / KEPT).write_text("{", encoding="utf-8")
    with pytest.raises(LabError, match="is damaged; restore it, or delete it"):
        quiz(lab, "4a", "0,5", "Ada")
    assert (lab / KEPT).read_text(encoding="utf-8") == "{"


def test_tries_are_bounded(lab):
    answers, question = Answers("Ada"), question_for(read_pool(lab), "Ada", "4a")
    answers.given["4a"] = (question.digest, [0.1] * 99)
    answers.add(lab, question, 0.2)
    with pytest.raises(LabError, match="100 tries; ask your teacher"):
        answers.add(lab, question, 0.3)
    assert len(Answers.read(lab).tries(question)) == 100


def test_questions_are_asked_in_turn_until_right_or_later(lab, capsys, monkeypatch):
    lines = ["Ada", "x", "0,5", right_answer(lab, "Ada", "4a"), ""]

    def read(prompt: str) -> str:
        if not lines:
            raise EOFError
        return lines.pop(0)

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    quiz(lab, "4", None, None)
    shown = capsys.readouterr().out
    assert "'x' is no number" in shown and "you halved it" in shown and "right. that is" in shown
    assert "1 of 5 right; kept in .lab/quiz.json" in shown
    assert "    target ↓  road  car\n    road         9   10\n    car          7  800" in shown


def test_columns_are_aligned_and_empty_heads_left_out():
    assert as_columns([["", ""], [1, 20], [300, 4]]) == "    1    20\n    300   4"
    assert precision(None, "") == "a whole number, exactly"
    assert precision(1, "%") == "to one decimal in %; 0.1 more or less is right too"
    assert precision(3, "") == "to 3 decimals; 0.001 more or less is right too"
    assert precision(0, "MiB").startswith("to the nearest whole number in MiB; 1 more or less")


def test_every_chapter_of_the_text_has_five_questions():
    chapters = {int(path.name[:2]) for path in Path("subject").glob("[01][0-9]_*.md")}
    assert set(TITLES) == chapters and len(all_numbers()) == 5 * len(chapters)


def test_the_editions_file_names_no_answer(tmp_path):
    data = teachers_pool.pool_bytes()
    assert data == teachers_pool.pool_bytes() and len(data) < 300_000
    (tmp_path / POOL).parent.mkdir(parents=True)
    (tmp_path / POOL).write_bytes(data)
    pool = read_pool(tmp_path)
    for number, draws in teachers_pool.quiz_questions().items():
        for variant, draw in enumerate(draws):
            own = pool[number]["variants"][variant]
            assert set(own) == {"text", "table", "tags"}
            question = Question(
                number, own["text"], own["table"], pool[number]["unit"], pool[number]["decimals"],
                pool[number]["reasons"], own["tags"], variant,
            )  # fmt: skip
            assert question.recognise(draw["steps"][0] / 10 ** (draw["decimals"] or 0)) == 0
            for i, step in enumerate(draw["steps"][1:], start=1):
                assert question.recognise(step / 10 ** (draw["decimals"] or 0)) == i, number
        assert pool[number]["reasons"] == [draws[0]["why"], *draws[0]["mistakes"]]
        words = json.dumps(pool[number]["reasons"])
        assert not any(str(draw["answer"]) in words for draw in draws if draw["answer"] > 100)
