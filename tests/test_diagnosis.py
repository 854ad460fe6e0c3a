"""A cause is named only if it holds on further inputs; else the smallest example is shown."""

import math

import pytest

from checks.diagnosis.search import RAISES, Either, NoValue, Question
from commands.companion.checking import WrongAnswer
from commands.companion.verdicts import SMALLEST, sum_up
from teacher.catalogue import Answer
from teacher.verify import help_in, misleads

pytestmark = pytest.mark.filterwarnings("error")


def doubled(answer, mistakes):
    """What a question about 2·x says of an answer; "" for nothing."""
    question = Question(
        answer=answer,
        right=lambda x: 2 * x,
        mistakes=mistakes,
        more=lambda seed: 10 + seed,
        small=lambda: range(5),
        given=lambda x: f"x = {x}",
        shown=str,
        same=lambda got, other: got == other,
    )
    try:
        question.check(2)
    except WrongAnswer as error:
        return str(error)
    return ""


def test_right_answers_pass():
    assert doubled(lambda x: x + x, lambda x: {"the square": x * x}) == ""


def test_a_cause_that_holds_everywhere_is_named_with_the_smallest_example():
    said = doubled(lambda x: x**3, lambda x: {"the square": x * x, "the cube": x**3})
    lines = [f"given:    {SMALLEST}x = 1", "expected: 2", "got:      1", "likely:   the cube"]
    assert said.split("\n") == lines
    said = doubled(lambda x: x**3, lambda x: {"the cube": x**3 if x > 1 else 7})
    assert said.startswith(f"given:    {SMALLEST}x = 2")  # the smallest that shows the cause


def test_a_cause_that_holds_once_is_not_named():
    said = doubled(lambda x: x + 3, lambda x: {"one more": 2 * x + 1})  # 5 is both
    assert "likely" not in said
    assert said.split("\n")[:3] == [f"given:    {SMALLEST}x = 0", "expected: 0", "got:      3"]


def test_a_mistake_may_be_silent_or_have_several_values():
    said = doubled(lambda x: 3 * x, lambda x: {"three times": None if x > 12 else 3 * x})
    assert said.endswith("three times")
    said = doubled(lambda x: x + 9 * (x > 12), lambda x: {"x": Either((x, x + 9))})
    assert said.endswith("likely:   x")


def test_a_mistake_may_be_a_test_of_the_value():
    said = doubled(lambda x: math.nan, lambda x: {"not a number": math.isnan})
    assert said.endswith("likely:   not a number")


def test_what_an_answer_raises_is_shown_and_can_be_a_cause():
    def answer(x):
        return [4, 5, 6][x] if x else 0

    said = doubled(answer, lambda x: {"too short a list": RAISES if x > 2 else x + 4})
    assert "got:      5" in said and said.endswith("too short a list")
    said = doubled(lambda x: [0, 2][x], lambda x: {})
    assert said.split("\n")[::2] == [
        f"given:    {SMALLEST}x = 2",
        "got:      IndexError: list index out of range",
    ]


def test_a_value_of_another_kind_is_no_value():
    said = doubled(lambda x: NoValue("a list of 1"), lambda x: {"the square": x * x})
    assert "got:      a list of 1" in said and "likely" not in said


def test_a_todo_still_to_do_is_not_judged():
    def answer(x):
        raise NotImplementedError("TODO 1.1")

    with pytest.raises(NotImplementedError):
        doubled(answer, lambda x: {})


def verdict(message):
    return {"verdict": "wrong", "test": "t.py::test_x", "message": message, "output": ""}


def test_the_message_with_the_cause_is_chosen_then_the_smallest_example():
    plain = "TODO 1.1 (x) is wrong\ngiven:    1\nexpected: 2\ngot:      3" + " and more" * 60
    small = f"TODO 1.1 (x) is wrong\ngiven:    {SMALLEST}1\nexpected: 2\ngot:      3"
    cause = "TODO 1.1 (x) is wrong\ngiven:    9\nexpected: 2\ngot:      3\nlikely:   void"
    assert sum_up([verdict(each) for each in (plain, small, cause)]).message == cause
    assert sum_up([verdict(each) for each in (plain, small)]).message == small
    short = "TODO 1.1 (x) is wrong: test_1_1_x\n  assert f(1) == 2\n  assert 3 == 2"
    assert sum_up([verdict(each) for each in (short, plain)]).message == short
    shown = sum_up([verdict(each) for each in (short, plain, cause)]).message
    assert shown == f"{short}\n{cause.partition(chr(10))[2]}"
    helped = [help_in(each) for each in (cause, small, short, plain)]
    examples = ["show a small example"] * 2
    assert helped == ["name the cause", *examples, "show numbers alone"]


def test_a_cause_outside_the_list_must_not_mislead():
    answer = Answer("4.1", "x", None, ("void", "ignore"), {})
    named = "TODO 4.1 (x) is wrong\ngiven:    9\nlikely:   {}\nnote: …"
    assert misleads(named.format("void is counted"), answer) == []
    assert misleads("TODO 4.1 (x) is wrong\ngiven:    9", answer) == []
    assert "rows" in misleads(named.format("rows and columns are swapped"), answer)[0]
