"""Likeness of answers: what makes them alike, what does not, and what the page shows."""

import re
import shutil
import zipfile

import pytest
from made_class import editions, files_with, teacher

from teacher.catalogue import read_answers
from teacher.similar.compare import LEAST_OWN, Answer, Author, alike
from teacher.similar.gather import compare_class, known_codes
from teacher.similar.show import lit_code, show_answers
from teacher.similar.tokens import tokens_of
from teacher.similar.winnowing import LENGTH, WINDOW, passages, winnow
from utils import LabError

EMPTY, SOLVED = editions()
OWN = """pool, seen = {}, 0
while seen < 3 and not pool.get(seen):
    pool[seen] = max(truth[seen], 1) ** 2  # mine
    seen += 1
f1 = sum(v for v in pool.values()) if pool else None
"""
RENAMED = """# all by myself
bag, nr = {}, 7
while nr < 30 and not bag.get(nr):

    bag[nr] = max(y[nr],
                  8) ** 9; nr += 4
score = sum(z for z in bag.values()) if bag else None
"""
OTHER = """import math
def ratio(a, b):
    try:
        return a / b
    except ZeroDivisionError:
        return math.nan
f1 = torch.stack([ratio(2 * t, u) for t, u in zip(true_positives, truth + predicted)])
"""
NAMED = {Author(name): name for name in "ABCD"}


def words(code):
    return [token.text for token in tokens_of(code)]


def answers(*codes, archived=()):
    return [Answer(Author(f"s{i}", i in archived), code) for i, code in enumerate(codes)]


def names(found):
    return [tuple(answer.author.name for answer in each.answers) for each in found]


# ------------------------------------------------------------------ tokens


def test_names_numbers_comments_and_layout_make_no_difference():
    assert words(OWN) == words(RENAMED)
    assert words("x = a[0]  # b\n\n\ny = 'x'") == words("foo=bar [ 17 ]; z = f'{1} {z}'\n")
    assert words("x = self.block(3)") == words("y = self.other(4)")


def test_keywords_signs_and_what_libraries_call_theirs_make_one():
    assert words("x = a.sum(0)") == ["n", "=", "n", ".", "sum", "(", "0", ")", "\n"]
    assert words("x = a.sum(0)") != words("x = a.mean(0)")
    assert words("if x: y") != words("while x: y") and words("x + y") != words("x - y")


def test_a_token_knows_its_place_and_an_f_string_is_one():
    code = "α = 'ß'\nx = (f'{a:{b}} c',\n     12)\n"
    shown = [code[token.start : token.end] for token in tokens_of(code)]
    assert shown == ["α", "=", "'ß'", "\n", "x", "=", "(", "f'{a:{b}} c'", ",", "12", ")", "\n"]


@pytest.mark.parametrize(
    "broken", ["x = (1,\n", "if:\n  y\n z\n", "'''open\n", "$ ? !\n", "\tx\n  y\n", "x = 0777 1a\n"]
)
def test_broken_python_has_tokens_too(broken):
    after = "found = x.later\n"
    assert {"later", "."} <= set(words(broken + after)) and words("") == []
    assert len(words(broken * 9999)) <= 20_000  # and it ends


# ------------------------------------------------------------------ fingerprints


def test_winnowing_keeps_what_the_paper_keeps():
    hashes = [77, 74, 42, 17, 98, 50, 17, 98, 8, 88, 67, 39, 77, 74, 42, 17, 98]
    assert winnow(hashes, ()) == {17: [3, 6, 15], 8: [8], 39: [11]}
    assert winnow([5, 5, 5, 5, 5], ()) == {5: [3, 4]}  # the last of equals in each window
    assert winnow([7, 3], ()) == {3: [1]} and winnow([], ()) == {}


def test_a_passage_without_weight_is_not_kept_and_hides_none():
    assert winnow([9, 1, 8, 7, 6], {1}) == {7: [3], 6: [4]}
    assert winnow([1, 1, 1], {1}) == {}


def test_a_shared_passage_has_a_shared_fingerprint_wherever_it_stands():
    shared = [f"w{i}" for i in range(LENGTH + WINDOW - 1)]
    for before, after in ((0, 9), (3, 2), (11, 0)):
        first = [f"a{i}" for i in range(before)] + shared + [f"b{i}" for i in range(after)]
        second = [f"c{i}" for i in range(after)] + shared + [f"d{i}" for i in range(before)]
        one, two = (winnow(passages(each), ()) for each in (first, second))
        assert one.keys() & two.keys()
    assert passages(["x"] * (LENGTH - 1)) == [] and len(passages(["x"] * LENGTH)) == 1


# ------------------------------------------------------------------ likeness


def test_a_renamed_copy_is_found_and_another_answer_is_not():
    (found,) = alike("4.2", answers(OWN, OTHER, RENAMED), [])
    assert names([found]) == [("s0", "s2")]
    assert found.shares == (1.0, 1.0) and found.tokens == len(words(OWN))


def test_a_copy_inside_a_longer_answer_is_found():
    (found,) = alike("4.2", answers(OWN, OTHER + RENAMED + "f1 = f1.abs()\n"), [])
    assert found.shares[0] > 0.9 and found.shares[1] < 0.6


def test_half_of_an_answer_must_be_in_common():
    piece = "".join(OWN.splitlines(keepends=True)[:2])
    assert alike("4.2", answers(OTHER + piece, piece + "raise" + " [x, 1]" * 30), []) == []


def test_what_is_known_weighs_nothing():
    assert alike("4.2", answers(OWN, RENAMED), [OWN]) == []
    more = (
        "while pool or seen is not None and truth @ predicted:\n    del pool[-seen], truth.grad\n"
    )
    more += "assert (yield pool), seen | truth\n"
    (found,) = alike("4.2", answers(OWN + more, RENAMED + more), [OWN])
    assert found.tokens < len(words(more)) + LENGTH
    assert found.answers[0].own.isdisjoint(range(len(words(OWN)) - LENGTH))


def test_what_is_own_in_one_answer_alone_is_no_likeness(monkeypatch):
    before, piece, after = "del a, b, c\n", "pool[seen] = max(y[n], 1) ** 2\n", "assert (x), -y\n"
    tokens = tokens_of(piece)
    start, rest = piece[: tokens[8].end], piece[tokens[8].start :]
    known = [before + start, rest + after]
    pair = piece + "x = -y @ z | w\n", before + piece + after + OTHER
    assert alike("4.2", answers(*pair), known) == []
    monkeypatch.setattr("teacher.similar.compare.LEAST_COMMON", 0)
    assert [found.tokens for found in alike("4.2", answers(*pair), known)] == [0]


def test_what_a_fifth_of_the_class_has_weighs_nothing():
    others = [f"f1 = {'-' * i}x\n" for i in range(20)]
    four = alike("4.2", answers(OWN, OWN, OWN, OWN, *others), [])
    assert len(four) == 6  # every two of four
    assert alike("4.2", answers(OWN, OWN, OWN, OWN, OWN, *others), []) == []
    many = [f"f1 = {'-' * i}x\n" for i in range(25)]
    assert len(alike("4.2", answers(OWN, OWN, OWN, OWN, OWN, *many), [])) == 10


def test_short_answers_are_neither_alike_nor_unlike():
    line = "f1 = 2 * true_positives / (truth + predicted)\n"
    assert alike("4.2", answers(line, line), []) == []
    almost, enough = "x, y = (a @ b) | (c % d[e], f)\n", "x, y = (a @ b) | (c % d[e], f, -g, h)\n"
    assert len(words(almost)) < LEAST_OWN <= len(words(enough))
    assert alike("4.2", answers(almost, almost), []) == []
    assert len(alike("4.2", answers(enough, enough), [])) == 1


def test_older_answers_are_compared_with_those_of_the_class_alone():
    found = alike("4.2", answers(OWN, RENAMED, OWN, archived=(1, 2)), [])
    assert names(found) == [("s0", "s1"), ("s0", "s2")]


def test_what_a_fifth_of_a_class_has_is_counted_in_each_class():
    others = [f"f1 = {'-' * i}x\n" for i in range(20)]
    four_and_four = [*[OWN] * 8, *others]
    assert len(alike("4.2", answers(*four_and_four, archived=range(4)), [])) == 6 + 16
    assert alike("4.2", answers(OWN, *[OWN] * 5, OTHER, archived=range(1, 6)), []) == []


def test_lit_is_what_both_have_and_never_a_comment():
    (found,) = alike("4.2", answers(OWN, OTHER + OWN), [])
    first, second = (lit_code(found.answers[i], found.lit[i], False) for i in (0, 1))
    assert "<mark>seen += 1</mark>" in first and "<mark>seen += 1</mark>" in second
    assert "** 2</mark>  # mine" in first and "<mark>import" not in second
    assert re.sub("</?mark>", "", first).replace("&lt;", "<") == OWN.rstrip("\n")


# ------------------------------------------------------------------ a class


@pytest.fixture
def school(tmp_path):
    """Two who share an answer, one of them in a zip; one with a damaged marker; an older class."""
    folder, old = tmp_path / "class", tmp_path / "old"
    mine = files_with(EMPTY, {"4.2a": OWN + "# <b>Zoë Öztürk</b>\n"})
    copied = files_with(EMPTY, {"4.2a": RENAMED})
    damaged = files_with(EMPTY, {"4.2a": OWN, "4.2b": RENAMED, "4.3a": OTHER})
    damaged["metrics.py"] = damaged["metrics.py"].replace("# </answer 4.2a>", "")
    solved = files_with(EMPTY, SOLVED)
    trees = (folder / "Zoë <i>Ö", mine), (folder / "damaged", damaged), (old / "Max", copied)
    for place, files in (*trees, (folder / "solved", solved), (folder / "too", solved)):
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8")
    (folder / "broken.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(folder / "Bo.zip", "w") as archive:
        for name, text in copied.items():
            archive.writestr(f"deep/{name}", text)
    return folder, old


def test_a_class_is_compared_from_folders_and_zips(school):
    found = compare_class(*school, ["4.2", "4.3"])
    pairs = [[author.name for author in pair.authors] for pair in found.pairs]
    assert pairs == [["Bo", "Zoë <i>Ö"], ["Bo", "Max"], ["Zoë <i>Ö", "Max"]]
    assert found.counts == {"4.2": (5, 3), "4.3": (3, 1)}
    told = [(author.name, text) for author, text in found.remarks]
    assert any(name == "damaged" and "4.2a is never closed" in text for name, text in told)
    assert any(name == "broken" and "damaged zip" in text for name, text in told)


def test_the_names_of_a_download_are_those_of_the_students(tmp_path):
    for name, answer in {"Zoë Öz_12": OWN, "Bo Lu_7": RENAMED}.items():
        place = tmp_path / f"{name}_assignsubmission_file_" / "metrics.py"
        place.parent.mkdir()
        text = files_with(EMPTY, {"4.2a": answer})["metrics.py"]
        place.write_text(text, encoding="utf-8")
    (pair,) = compare_class(tmp_path, None, ["4.2"]).pairs
    assert [author.name for author in pair.authors] == ["Bo Lu", "Zoë Öz"]


def test_the_most_alike_come_first_and_what_is_known_is_left_out(tmp_path):
    three = [each.parts["4.3a"] for each in read_answers("alternatives") if "4.3a" in each.parts]
    known = max(three, key=lambda code: len(words(code)))
    assert len(words(known)) >= LEAST_OWN
    for name, answer in {"A": OTHER, "B": OTHER, "C": OWN + OTHER, "D": OWN + OTHER}.items():
        text = files_with(EMPTY, {"4.2a": answer, "4.3a": known})["metrics.py"]
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.py").write_text(text, encoding="utf-8")
    found = compare_class(tmp_path, None, ["4.2", "4.3"]).pairs
    pairs = ["".join(author.name for author in pair.authors) for pair in found]
    assert pairs == ["CD", "AB", "AC", "AD", "BC", "BD"]
    assert {each.number for pair in found for each in pair.found} == {"4.2"}
    assert "same to the letter" in show_answers(found[0].found[0], NAMED, False)
    assert "same to the letter" not in show_answers(found[2].found[0], NAMED, False)


def test_what_students_start_from_weighs_nothing():
    codes = known_codes()
    assert any("raise NotImplementedError" in code for code in codes["3.2"])
    assert any(SOLVED["3.2a"] in code and SOLVED["3.2b"] in code for code in codes["3.2"])


def test_the_page_says_first_that_likeness_is_no_proof(school, tmp_path, capsys):
    path = tmp_path / "a" / "page.html"
    assert teacher("similar", school[0], "--archive", school[1], "--output", path) == 0
    said = capsys.readouterr().out
    assert (
        "page.html: 6 submissions, compared with each other and with 1 older one; 3 pairs" in said
    )
    text = path.read_text(encoding="utf-8")
    assert re.search(r"</h1>\s*<p[^>]*>Likeness is no proof: read both\.", text)
    assert "Zoë &lt;i&gt;Ö" in text and "<i>" not in text and "&lt;b&gt;Zoë" in text
    assert "Max (archive)" in text and 'id="pair-3"' in text and text.count("<mark>") > 10
    assert "4.2a is never closed" in text and not re.findall(r'(?:src|href)="(?!#)', text)


def test_without_names_no_name_is_on_the_page(school, tmp_path):
    page = tmp_path / "page.html"
    teacher("similar", school[0], "--archive", school[1], "--anonymous", "--output", page)
    text = page.read_text(encoding="utf-8")
    assert not re.search("Zoë|Öztürk|Bo\\b|Max|damaged|broken|mine|myself", text)
    assert {"student 1", "student 2", "student 3 (archive)"} <= set(
        re.findall(r"student \d(?: \(archive\))?", text)
    )


def test_an_archive_that_is_the_class_is_an_error(school, tmp_path):
    shutil.copytree(school[0], tmp_path / "copy")
    line = "has 5 of 5 submissions to the letter; is it the same class"
    with pytest.raises(LabError, match=line):
        compare_class(school[0], tmp_path / "copy", ["4.2", "4.3"])
    shutil.copytree(school[0] / "damaged", school[1] / "damaged")  # one who repeats the course
    assert len(compare_class(*school, ["4.3"]).authors) == 8


def test_a_single_submission_is_no_class(school):
    with pytest.raises(LabError, match=r"Bo.zip: is one submission alone; a zip of many must be"):
        compare_class(school[0] / "Bo.zip", None, ["4.2"])
    assert len(compare_class(school[0] / "Bo.zip", school[1], ["4.2"]).pairs) == 1


def test_a_class_that_is_not_there_is_an_error_of_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError, match="no such folder or zip"):
        compare_class(tmp_path / "nothing", None, ["4.2"])
    with pytest.raises(LabError, match="is the folder that is to be compared"):
        compare_class(tmp_path, tmp_path, ["4.2"])
    with pytest.raises(LabError, match=r"empty: holds no answer.*is it the folder"):
        compare_class(tmp_path / "empty", None, ["4.2"])
