"""Downloads and worksheets of Moodle and Canvas: read, filled, read back."""

import csv
import errno
import io
import os
import unicodedata
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from made_class import teacher

from commands.companion.markers import LAB_FILES
from teacher.__main__ import build_parser
from teacher.platforms.dates import days_late, parse_date
from teacher.platforms.handed_in import HandedIn, collect, have_common_word
from teacher.platforms.handing_back import hand_back, read_sheet
from teacher.platforms.people import name_key
from teacher.platforms.roster import missing_from
from teacher.platforms.table import read_table
from teacher.platforms.worksheet import Wishes, fill, in_words
from teacher.report.records import read_graded
from teacher.reports import Mark, TodoMark
from teacher.sandbox import Outcome, TestResult
from teacher.submissions import read_submission
from utils import LabError

GERMAN = (
    '\ufeffID,"Vollständiger Name",E-Mail-Adresse,Status,Bewertung,Bestwertung,'
    '"Bewertung kann geändert werden","Zuletzt geändert (Abgabe)",'
    '"Zuletzt geändert (Bewertung)","Feedback als Kommentar"\r\n'
    'Teilnehmer/in7,"Änne Berg",a@uni.de,Abgegeben,,"100,00",Ja,'
    '"Dienstag, 30. Juni 2026, 23:10",-,\r\n'
    'Teilnehmer/in8,"=Bob, ""B""",b@uni.de,Abgegeben,"50,00","100,00",Ja,'
    '"Donnerstag, 2. Juli 2026, 00:10","Freitag, 3. Juli 2026, 10:00","schon da"\r\n'
    'Teilnehmer/in9,"Dora Meer",d@uni.de,"Keine Abgabe",,"100,00",Ja,-,-,\r\n'
)
ENGLISH = (
    "Identifier,Full name,ID number,Email address,Status,Group,Grade,Maximum Grade,"
    "Marking workflow state,Grade can be changed,Last modified (submission),Online text,"
    "Last modified (grade),Feedback comments\n"
    'Participant 7,Änne Berg,,a@x,Submitted,,,10,Not marked,Yes,"Tuesday, 30 June 2026, 11:10 PM",'
    '"see 1999, 12:30",-,\n'
    'Participant 8,Bob,12,b@x,Submitted,,,10,Not marked,Yes,"Thursday, 2 July 2026, 12:10 AM",,-,\n'
)
CANVAS = (
    "Student,ID,SIS Login ID,Section,Lab (77),Other (78),Note,Current Score\r\n"
    ",,,,Manual Posting,,,\r\n"
    "    Points Possible,,,,50.00,10.00,,(read only)\r\n"
    '"Berg, Änne",4821,anne,S1,,3.00,,90.00\r\n'
    '"Bob, B",4822,bob,S1,EX,,,90.00\r\n'
    '"Zoe, Z",4823,,S1,N/A,,,\r\n'
    '"Student, Test",4999,,S1,,,,\r\n'
)
MOODLE_NAME = "Änne Berg_7_assignsubmission_file"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def packed(files: dict[str, str | bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def mark(name: str, points: int, platform: str = "", number: str = "", late: int | None = None):
    """A mark of 40 points: 5.2 for 3 of them; the rest is made up by its total."""
    todos = [TodoMark("5.1", min(points, 2), "passed" if points >= 2 else "wrong")]
    todos += [TodoMark("5.2", 3 if points >= 5 else 0, "passed" if points >= 5 else "to do")]
    return Mark(name, [], todos, platform=platform, id=number, late_days=late)


def rows_of(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def found(paths: list[Path], scratch: Path, **wishes: object) -> dict[str, tuple]:
    """Name → platform, number, names of the lab's files, remarks."""
    scratch.mkdir(exist_ok=True)
    handed = collect(paths, scratch, Wishes(**wishes))
    result = {}
    for name, place in handed.found:
        submission = read_submission(name, place, dict.fromkeys(LAB_FILES, ""))
        files = [r for r in submission.remarks if r.startswith("missing: ")]
        lacks = files[0].removeprefix("missing: ").split(", ") if files else []
        person = handed.people.get(name)
        known = (person.platform, person.id) if person else None
        result[name] = known, lacks, handed.remarks.get(name, []), submission.remarks
    return result


# ------------------------------------------------------------------ tables


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_changes_one_cell_and_no_other_byte(tmp_path, encoding, end):
    text = f'a;"b;1"; c{end}"é""x";;"2{end}3"{end}{end};;{end}z;;'
    text = "\ufeff" + text if encoding == "utf-16-le" else text
    table = read_table(write(tmp_path / "t.csv", text, encoding))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "b;1", " c"], ['é"x', "", f"2{end}3"], ["z", "", ""],
    ]  # fmt: skip
    assert table.replaced({}) == text.encode(encoding)
    changed = table.replaced({(1, 1): "4,5", (0, 1): 'q"'}).decode(encoding)
    assert changed.replace(";4,5;", ";;").replace('"q"""', '"b;1"') == text.encode(encoding).decode(
        encoding
    )


def test_a_new_text_is_quoted_where_it_must_be(tmp_path):
    table = read_table(write(tmp_path / "t.csv", "a,b\n,\n1,2\n"))
    assert table.replaced({(1, 0): "1,5"}) == b'a,b\n,\n"1,5",2\n'
    assert table.replaced({(0, 1): "x\ny"}) == b'a,"x\ny"\n,\n1,2\n'
    table = read_table(write(tmp_path / "q.csv", '"a",b\n'))
    assert table.replaced({(0, 0): "c", (0, 1): "d"}) == b'"c",d\n'


def test_the_delimiter_is_found_or_named(tmp_path):
    assert read_table(write(tmp_path / "t.csv", "a;b;c,d\n1;2;3\n")).delimiter == ";"
    table = read_table(write(tmp_path / "s.csv", "\ufeffsep=;\r\na,b,c;d\r\n"))
    assert table.texts(0) == ["a,b,c", "d"]
    assert table.replaced({(0, 1): "e"}) == "\ufeffsep=;\r\na,b,c;e\r\n".encode()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"PK\x03\x04 xlsx", b"a\0b"])
def test_what_is_no_table_is_an_error_of_one_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(LabError, match=r"t\.csv: "):
        read_table(tmp_path / "t.csv")
    with pytest.raises(LabError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


# ------------------------------------------------------------------ worksheets


def test_a_german_worksheet_is_filled_and_all_else_stays(tmp_path):
    path = write(tmp_path / "Bewertungen Lab.csv", GERMAN)
    marks = [mark("x", 5, "moodle", "7"), mark("y", 2, "moodle", "8"), mark("z", 2, "moodle", "6")]
    filled = fill(read_sheet(path), marks, again=False)
    assert filled.path == tmp_path / "Bewertungen Lab-filled.csv"
    assert path.read_bytes() == GERMAN.encode()
    expected = GERMAN.replace(
        'Abgegeben,,"100,00",Ja,"Dienstag, 30. Juni 2026, 23:10",-,',
        'Abgegeben,"100,00","100,00",Ja,"Dienstag, 30. Juni 2026, 23:10",-,5 of 5 points.',
    )
    assert filled.path.read_bytes() == expected.encode()
    assert (filled.written, filled.kept) == (1, ['=Bob, "B" (50,00)'])
    assert (filled.strangers, filled.missing) == (["z"], ["Dora Meer"])
    assert filled.scale == "5 points here are 100,00 there"


def test_marks_that_are_there_are_replaced_when_asked(tmp_path):
    sheet = read_sheet(write(tmp_path / "w.csv", GERMAN))
    filled = fill(sheet, [mark("y", 2, "moodle", "8", late=2)], again=True)
    row = rows_of(filled.path.read_bytes())[2]
    assert row[4:6] == ["40,00", "100,00"]
    assert row[-1] == "2 of 5 points. Late by 2 days. To do: 5.2."
    again = fill(read_sheet(filled.path), [mark("y", 2, "moodle", "8")], again=False)
    assert (again.written, again.kept) == (1, [])


def test_an_english_worksheet_with_more_columns_is_understood(tmp_path):
    sheet = read_sheet(write(tmp_path / "w.csv", ENGLISH))
    assert (sheet.grade, sheet.feedback, sheet.column_name) == (6, 13, "Grade")
    assert [row.submitted for row in sheet.rows] == [
        datetime(2026, 6, 30, 23, 10), datetime(2026, 7, 2, 0, 10),
    ]  # fmt: skip
    filled = fill(sheet, [mark("Berg Änne", 2), mark("BOB", 5)], again=False)
    rows = rows_of(filled.path.read_bytes())
    assert [row[6] for row in rows[1:]] == ["4", "10"] and filled.strangers == []
    assert rows[1][13] == "2 of 5 points. To do: 5.2."


def test_a_worksheet_of_anonymous_marking_has_no_names(tmp_path):
    text = "Identifier,Status,Grade,Maximum Grade,Changeable,Submitted,Graded,Comments\n"
    text += "Participant 41,Submitted,,20.0,Yes,-,-,\nParticipant 42,Submitted,,20.0,Yes,-,-,\n"
    sheet = read_sheet(write(tmp_path / "w.csv", text))
    assert [(row.id, row.name) for row in sheet.rows] == [("41", ""), ("42", "")]
    rows = rows_of(fill(sheet, [mark("p", 2, "moodle", "42")], False).path.read_bytes())
    assert [row[2] for row in rows] == ["Grade", "", "8.0"]


def test_a_worksheet_without_comments_gets_none(tmp_path):
    text = "".join(f"{line.rpartition(',')[0]}\r\n" for line in GERMAN.splitlines())
    sheet = read_sheet(write(tmp_path / "w.csv", text))
    assert (sheet.grade, sheet.feedback) == (4, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "neither Moodle"),
        ("Identifier,b,c,d,e\n", "neither Moodle"),
        (GERMAN.replace('"100,00",Ja', '"gut\nschlecht",Ja'), "points, not with a scale"),
        (GERMAN.replace(",-,-,", ",-,-"), "not every row"),
        (CANVAS.replace("Points Possible", "Punkte"), "no row 'Points Possible'"),
        (CANVAS.replace("Section", "Class"), "no row 'Points Possible'"),
        (CANVAS, "which assignment is it? --assignment one of: 'Lab (77)', 'Other (78)'"),
    ],
)
def test_a_worksheet_that_cannot_be_filled_is_an_error_of_one_line(tmp_path, text, words):
    with pytest.raises(LabError) as error:
        read_sheet(write(tmp_path / "w.csv", text))
    assert words in error.value.line and "\n" not in str(error.value)


def test_a_gradebook_of_canvas_is_filled(tmp_path):
    path = write(tmp_path / "grades.csv", CANVAS)
    for name in ("lab", "77", "Lab (77)"):
        assert read_sheet(path, name).grade == 4
    with pytest.raises(LabError, match="'Exam' is not one of them"):
        read_sheet(path, "Exam")
    marks = [mark("m", 2, "moodle", "4821"), mark("a", 5, "canvas", "4821")]
    marks += [mark("b", 2, "canvas", "4822"), mark("t", 2, "canvas", "4999")]
    marks += [mark("z", 2, "canvas", "4823")]
    filled = fill(read_sheet(path, "lab"), marks, again=True)
    expected = CANVAS.replace("anne,S1,,", "anne,S1,50.00,").replace(",EX,", ",20.00,")
    assert filled.path.read_bytes() == expected.encode()
    assert filled.kept == ["Zoe, Z (N/A)"] and filled.strangers == ["m", "t"]
    kept = fill(read_sheet(path, "lab"), marks, again=False).kept
    assert kept == ["Bob, B (EX)", "Zoe, Z (N/A)"]


def test_parts_of_points_are_written_to_two_digits(tmp_path):
    part = mark("x", 2, "moodle", "7")
    part.todos[0].points = 1.33
    row = rows_of(
        fill(read_sheet(write(tmp_path / "w.csv", ENGLISH)), [part], False).path.read_bytes()
    )
    assert row[1][6] == "2.66" and row[1][13].startswith("1.33 of 5 points.")


def test_a_gradebook_with_semicolons_and_two_names(tmp_path):
    text = "LastName;FirstName;ID;Section;Lab (77)\n    Points Possible;;;;5,0\nBerg;Änne;1;S;\n"
    sheet = read_sheet(write(tmp_path / "g.csv", text))
    assert sheet.rows[0].name == "Änne Berg"
    filled = fill(sheet, [mark("anne", 2, "canvas", "1")], again=False)
    assert filled.path.read_bytes() == text.replace("S;\n", "S;2,0\n").encode()


def test_the_test_student_of_canvas_is_left_out_of_a_gradebook_with_two_names(tmp_path):
    text = "LastName,FirstName,ID,Section,Lab (77)\n    Points Possible,,,,5\nB,Änne,1,S,\n"
    path = write(tmp_path / "g.csv", f"{text}Student,Test,9,S,\n")
    assert [row.name for row in read_sheet(path).rows] == ["Änne B"]


def test_two_assignments_of_one_title_are_told_apart_by_their_numbers(tmp_path):
    text = "Student,ID,Section,Lab (77),Lab (78)\n    Points Possible,,,5,9\nB,1,S,,\n"
    path = write(tmp_path / "g.csv", text)
    assert read_sheet(path, "78").grade == 4
    words = r"'lab' is the title of 2; --assignment one of: 'Lab \(77\)', 'Lab \(78\)'"
    with pytest.raises(LabError, match=words):
        read_sheet(path, "lab")
    path.write_text(text.replace(",5,9", ",5,(read only)"))
    with pytest.raises(
        LabError, match=r"'78' is not one of them; --assignment one of: 'Lab \(77\)'$"
    ):
        read_sheet(path, "78")


def test_words_to_a_mark_begin_with_a_digit():
    assert (
        in_words(mark("=x", 0, late=1)) == "0 of 5 points. Late by 1 day. Wrong: 5.1. To do: 5.2."
    )


# ------------------------------------------------------------------ downloads


def test_a_download_of_moodle_is_read_as_zip_and_as_folder(tmp_path):
    lab = packed({"my lab/data.py": "x = 1", "my lab/models.py": "", ".git/losses.py": ""})
    files = {f"{MOODLE_NAME}/Lab v2.zip": lab}
    files |= {f"Bob_8_assignsubmission_file_/deep/er/{n}": "" for n in ("data.py", "zoo/losses.py")}
    files |= {"Cy_9_assignsubmission_file_losses.py": "", "Cy_9_assignsubmission_file_data.py": ""}
    files |= {"Cy_9_assignsubmission_onlinetext": "", "Di_10_assignsubmission_file_/a.txt": ""}
    files["Di_10_assignsubmission_onlinetext/data.py"] = ""
    path = tmp_path / "course.zip"
    path.write_bytes(packed(files))
    expected = {
        "Bob": (("moodle", "8"), ["models.py", "metrics.py", "losses.py"]),
        "Cy": (("moodle", "9"), ["models.py", "metrics.py", "training.py"]),
        "Di": (("moodle", "10"), []),
        "Änne Berg": (("moodle", "7"), ["metrics.py", "losses.py", "training.py"]),
    }
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "dl" / "inside")
    parts = sorted((tmp_path / "dl" / "inside").iterdir())
    ways = ([path], [tmp_path / "dl" / "inside"], [tmp_path / "dl"], parts)
    for number, paths in enumerate(ways):
        result = found(paths, tmp_path / f"s{number}")
        assert {n: (each[0], each[1][:3]) for n, each in result.items()} == expected, paths
        assert result["Di"][3] == ["holds no file of the lab"]


def test_a_download_of_canvas_is_read(tmp_path):
    lab = packed({"data.py": "", "models.py": ""})
    path = tmp_path / "subs.zip"
    files = {"bergnne_LATE_4821_190233_lab-2.zip": lab, "bob_4822_5_losses-1.py": ""}
    files |= {
        "bob_4822_6_data.py": "",
        "bob_4822_7_old.zip": lab,
        "eve_66_4823_7_lab.zip": lab,
        "cy_4824_text.html": "<p>",
    }
    path.write_bytes(packed(files | {"anon_xY3_9_lab.zip": lab}))
    result = found([path], tmp_path / "s", sheet=read_sheet(write(tmp_path / "g", CANVAS), "lab"))
    assert {name: each[0][1] for name, each in result.items()} == {
        "Berg, Änne": "4821", "Bob, B": "4822", "eve": "66", "cy": "4824", "anonymous xY3": "xY3",
    }  # fmt: skip
    assert result["Berg, Änne"][2] == ["late, says Canvas"]
    assert result["Bob, B"][1] == ["models.py", "metrics.py", "training.py", "deploy.py"]
    assert result["Bob, B"][2] == ["the archives beside its files were not read"]
    assert "several numbers" in result["eve"][2][0]
    assert result["cy"][3] == ["holds no file of the lab"]


def test_the_answers_to_the_quiz_come_along(tmp_path):
    files = {f"{MOODLE_NAME}/x/data.py": "", f"{MOODLE_NAME}/x/.lab/quiz.json": "{}"}
    files |= {"Bob_8_assignsubmission_file_lab.zip": packed({"data.py": ""})}
    files |= {"Bob_8_assignsubmission_file_quiz.json": "{}"}
    (tmp_path / "d.zip").write_bytes(packed(files))
    (tmp_path / "s").mkdir()
    handed = collect([tmp_path / "d.zip"], tmp_path / "s", Wishes())
    solved = dict.fromkeys(LAB_FILES, "")
    bob, berg = (read_submission(name, place, solved) for name, place in handed.found)
    assert berg.quiz == b"{}" and "missing: data.py" not in berg.remarks[0]
    assert "missing: models.py" in bob.remarks[0]


def test_of_several_submissions_the_latest_counts_or_all_with_best(tmp_path):
    old, new = packed({"data.py": ""}), packed({"models.py": ""})
    for name, lab in (("1.zip", old), ("2.zip", new)):
        (tmp_path / name).write_bytes(packed({f"{MOODLE_NAME}/lab.zip": lab}))
    both = [tmp_path / "1.zip", tmp_path / "2.zip"]
    assert "data.py" in found(both, tmp_path / "s1")["Änne Berg"][1]
    assert "models.py" in found(both[::-1], tmp_path / "s2")["Änne Berg"][1]
    assert found(both, tmp_path / "s3")["Änne Berg"][2] == ["the latest of 2 submissions"]
    handed = collect(both, tmp_path / "s3", Wishes(best=True))
    names = ["Änne Berg, submission 01", "Änne Berg, submission 02"]
    assert [name for name, _ in handed.found] == names
    first, second = (mark(name, points) for name, points in zip(names, (5, 2), strict=True))
    (best,) = handed.chosen([first, second])
    assert best is first and best.submission == "Änne Berg"
    assert best.remarks == [f"the best of 2 submissions: {names[0]}"]
    assert handed.people["Änne Berg"].id == "7"


def test_zips_beside_each_other_are_attempts_by_date_and_number(tmp_path):
    folder = tmp_path / "dl" / MOODLE_NAME
    folder.mkdir(parents=True)
    (folder / "a.zip").write_bytes(packed({"models.py": ""}))
    (folder / "b.zip").write_bytes(packed({"data.py": ""}))
    os.utime(folder / "b.zip", (1, 1))
    assert "data.py" in found([tmp_path / "dl"], tmp_path / "s")["Änne Berg"][1]
    (tmp_path / "c.zip").write_bytes(
        packed({"a_1_20_x.zip": packed({"models.py": ""}), "a_1_9_y.zip": packed({"data.py": ""})})
    )
    assert "data.py" in found([tmp_path / "c.zip"], tmp_path / "t")["a"][1]


def test_two_students_of_one_name_keep_their_numbers(tmp_path):
    files = {f"Kim_{n}_assignsubmission_file/data.py": "" for n in (1, 2)}
    (tmp_path / "d.zip").write_bytes(packed(files))
    assert list(found([tmp_path / "d.zip"], tmp_path / "s")) == ["Kim (1)", "Kim (2)"]


def test_names_that_differ_in_their_bytes_alone_keep_their_numbers(tmp_path):
    names = [unicodedata.normalize(form, "Änne Berg") for form in ("NFC", "NFD")]
    files = {f"{n}_{i}_assignsubmission_file_data.py": "" for i, n in enumerate(names, start=7)}
    (tmp_path / "d.zip").write_bytes(packed(files))
    assert list(found([tmp_path / "d.zip"], tmp_path / "s")) == ["Änne Berg (7)", "Änne Berg (8)"]


def test_hostile_downloads_stay_in_their_folder(tmp_path):
    bomb = packed({"data.py": b"0" * 30_000_000})
    files = {
        "Eve_1_assignsubmission_file/../../../out.zip": packed({"data.py": ""}),
        "Eve_1_assignsubmission_file/../../data.py": "",
        "Eve_1_assignsubmission_file/big.zip": b"PK" + b"0" * 30_000_000,
        "Eve_1_assignsubmission_file_Bob_2_assignsubmission_file_x.zip": bomb,
        "/abs_3_assignsubmission_file/data.py": "",
    }
    path = tmp_path / "a" / "d.zip"
    path.parent.mkdir()
    path.write_bytes(packed(files))
    result = found([path], tmp_path / "s", best=True)
    assert {each[0][1] for each in result.values()} == {"1"}
    said = [remark for each in result.values() for remark in (*each[2], *each[3])]
    assert any("grows too much" in remark for remark in said)
    assert any("longer than 1 MB" in remark for remark in said)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and tmp_path / "s" not in p.parents]
    assert outside == [path]


def test_a_full_disk_is_the_teachers_trouble_and_no_students(tmp_path, monkeypatch):
    (tmp_path / "d.zip").write_bytes(packed({f"{MOODLE_NAME}/data.py": ""}))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("teacher.platforms.downloads.Unpacker.opened", full)
    with pytest.raises(LabError, match="no space left"):
        found([tmp_path / "d.zip"], tmp_path / "s")


def test_no_name_within_a_submission_becomes_a_path(tmp_path):
    deep = f"Eve_1_assignsubmission_file/{'x' * 300}/CON/zoo"
    files = {f"{deep}/losses.py": "", f"{deep[:-4]}/data.py": "", f"{deep[:-4]}/training.py": ""}
    (tmp_path / "d.zip").write_bytes(packed(files))
    result = found([tmp_path / "d.zip"], tmp_path / "s")["Eve"]
    assert result[1] == ["models.py", "metrics.py", "losses.py", "deploy.py"]
    names = {path.name for path in (tmp_path / "s").rglob("*")}
    assert "CON" not in names and {"data.py", "zoo", "losses.py"} <= names


def test_a_students_zip_among_others_is_no_download(tmp_path):
    (tmp_path / "eve.zip").write_bytes(packed({"Bob_2_assignsubmission_file/data.py": ""}))
    (tmp_path / "bob.zip").write_bytes(packed({"data.py": ""}))
    both = [tmp_path / "eve.zip", tmp_path / "bob.zip"]
    for paths in (both, [tmp_path]):
        assert {n: each[0] for n, each in found(paths, tmp_path.parent / "s").items()} == {
            "bob": None, "eve": None,
        }  # fmt: skip


def test_what_belongs_to_nobody_is_not_passed_over(tmp_path):
    files = {f"{MOODLE_NAME}/data.py": "", "marks.csv": "", ".hidden/data.py": ""}
    (tmp_path / "d.zip").write_bytes(packed(files))
    assert list(found([tmp_path / "d.zip"], tmp_path / "s")) == ["Änne Berg"]
    (tmp_path / "e.zip").write_bytes(packed(files | {"late/data.py": ""}))
    with pytest.raises(LabError, match=r"e\.zip: not named as Moodle names submissions: 'late'"):
        found([tmp_path / "e.zip"], tmp_path / "s")


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_in_a_download_are_not_followed(tmp_path):
    folder = tmp_path / "dl" / MOODLE_NAME
    folder.mkdir(parents=True)
    (tmp_path / "data.py").write_text("")
    (folder / "data.py").symlink_to(tmp_path / "data.py")
    (tmp_path / "dl" / "Bob_8_assignsubmission_file").mkdir()
    for paths in ([tmp_path / "dl"], sorted((tmp_path / "dl").iterdir())):
        result = found(paths, tmp_path / "s")
        said = [(name, each[2] + each[3]) for name, each in result.items()]
        nothing = ["holds no file of the lab"]
        assert said == [("Bob", nothing), ("Änne Berg", nothing)]


# ------------------------------------------------------------------ dates, names, rosters


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Wednesday, 1 July 2026, 12:05 AM", datetime(2026, 7, 1, 0, 5)),
        ("Wednesday, July 1, 2026, 12:05 PM", datetime(2026, 7, 1, 12, 5)),
        ("Dienstag, 3. März 2026, 09:05", datetime(2026, 3, 3, 9, 5)),
        ("mardi 3 février 2026, 21:05", datetime(2026, 2, 3, 21, 5)),
        ("martes, 31 de marzo de 2026, 07:00", datetime(2026, 3, 31, 7, 0)),
        ("2026-07-01 08:30:15", datetime(2026, 7, 1, 8, 30)),
        ("1.7.2026 08:30", datetime(2026, 7, 1, 8, 30)),
        ("1/7/2026 08:30", None), ("-", None), ("", None), ("31 June 2026, 10:00", None),
    ],
)  # fmt: skip
def test_dates_are_read_or_not_guessed(text, date):
    assert parse_date(text) == date


def test_days_late_are_days_begun():
    deadline = datetime(2026, 6, 30, 23, 59)
    late = [datetime(2026, 6, 30, 23, 59), datetime(2026, 7, 1, 0, 0), datetime(2026, 7, 2, 0, 0)]
    assert [days_late(each, deadline) for each in late] == [0, 1, 2]
    assert days_late(datetime(2026, 6, 1), deadline) == 0


def test_names_are_the_same_in_any_order():
    assert name_key("Berg, Änne") == name_key("änne_berg") == name_key("A\u0308nne  Berg")
    assert name_key("Änne Berg") != name_key("Anne Berg")


@pytest.mark.parametrize(
    ("text", "missing", "count"),
    [
        ("Änne Berg\nBob\n", ["Bob"], 2),
        ("Name\nÄnne Berg\nBob\n", ["Bob"], 2),
        ("Vorname;Nachname;Nr\nÄnne;Berg;1\nBo;B;2\n", ["Bo, B, 2"], 2),
        ("x,y\nq,7\nz,9\n", ["z, 9"], 2),
        ("who,mail\nq,gh-anne@uni.de\nz,z@uni.de\n", ["z, z@uni.de"], 2),
        ("Jméno,Pošta\nÄnne Berg,a@x\nBo,\nCy,c@x\n", ["Bo", "Cy, c@x"], 3),
        ("Bo,\nÄnne Berg,a@x\nCy,c@x\n", ["Bo", "Cy, c@x"], 3),
        ("Bo,x\nÄnne Berg,\n", ["Bo, x"], 2),
        ("Bo,A\nÄnne Berg,\nCy,b2\n", ["Bo, A", "Cy, b2"], 3),
        ("Bo,A,\nÄnne Berg,,\nCy,group 2,\n", ["Bo, A", "Cy, group 2"], 3),
        ("Bo,group A\nÄnne Berg,group 1\nCy,group 2\n", ["Bo, group A", "Cy, group 2"], 3),
        ("Jméno,Číslo\nÄnne Berg,12 34\nBo,\nCy,5\n", ["Bo", "Cy, 5"], 3),
    ],
)
def test_a_roster_says_who_is_missing(tmp_path, text, missing, count):
    marks = [mark("Berg, Änne", 5, "moodle", "7"), mark("gh-anne", 2)]
    assert missing_from(read_table(write(tmp_path / "r.csv", text)), marks) == (missing, count)


def test_a_platforms_list_knows_two_of_one_name_by_their_numbers(tmp_path):
    rows = GERMAN.splitlines(keepends=True)
    both = write(tmp_path / "g.csv", rows[0] + rows[1] + rows[1].replace("in7", "in8"))
    assert read_sheet(both).rows[1].id == "8"
    first, second = (mark(f"Änne Berg ({n})", 5, "moodle", n) for n in "78")
    assert missing_from(read_table(both), [first, second]) == ([], 2)
    assert missing_from(read_table(both), [second]) == (["Änne Berg, 7"], 2)
    gradebook = read_table(write(tmp_path / "c.csv", CANVAS))
    absent = ["Bob, B, 4822", "Zoe, Z, 4823"]
    assert missing_from(gradebook, [mark("berg", 5, "canvas", "4821")]) == (absent, 3)


def test_of_two_with_one_name_both_are_named_where_no_number_tells(tmp_path):
    roster = read_table(write(tmp_path / "r.csv", "name,mail\nÄnne Berg,a@x\nÄnne Berg,b@x\n"))
    one, two = (mark(f"Änne Berg{end}", 5, "moodle", "7") for end in ("", " (7)"))
    assert missing_from(roster, [one]) == (["Änne Berg, a@x", "Änne Berg, b@x"], 2)
    assert missing_from(roster, [one, two]) == ([], 2)


# ------------------------------------------------------------------ all of it


def stand_in(jobs, *_):
    """The sandbox's place: an answer is right unless it has the word `wrong`."""
    for job in jobs:
        verdict = "wrong" if "wrong" in "".join(job.files.values()) else "passed"
        yield Outcome(job, [TestResult(job.todos[0], "test", verdict, "a message <b>")])


def a_class(path: Path, count: int, name: str) -> Path:
    """A download of many students; every third has a wrong answer to 5.1."""
    region = "def f():\n    # <answer 5.1>\n    return 'right'\n    # </answer 5.1>\n"
    wrong = region.replace("right", "wrong")
    labs = {n: packed({"losses.py": wrong if n % 3 == 0 else region}) for n in range(count)}
    path.write_bytes(packed({name.format(n): lab for n, lab in labs.items()}))
    return path


def test_a_class_of_sixty_is_filled_and_read_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    path = a_class(tmp_path / "d.zip", 60, "Student {0:02}_{0}_assignsubmission_file/lab.zip")
    head, row, *_ = GERMAN.splitlines(keepends=True)
    student = row.replace("Änne Berg", "Student {0:02}").replace("in7", "in{0}")
    text = head + "".join(student.format(n) for n in range(61))
    sheet = write(tmp_path / "w.csv", text)
    words = ["grade", str(path), "--output", str(tmp_path / "m" / "marks.csv"), "--todos", "5.1"]
    words += ["--fill", str(sheet), "--feedback", str(tmp_path / "f.zip"), "--roster", str(sheet)]
    assert teacher(*words, "--deadline", "2026-06-29") == 0
    said = capsys.readouterr().out
    assert "w-filled.csv: 60 marks in the column 'Bewertung'" in said
    assert "1 of 61 have not handed in: Student 60, 60" in said
    back = rows_of((tmp_path / "w-filled.csv").read_bytes())
    assert [line[4] for line in back[1:]] == ["0,00", "100,00", "100,00"] * 20 + [""]
    assert back[1][-1] == "0 of 2 points. Late by 1 day. Wrong: 5.1."
    with (tmp_path / "m" / "marks.csv").open(encoding="utf-8", newline="") as file:
        marks = list(csv.DictReader(file))
    assert len(marks) == 60
    wanted = {"submission": "Student 00", "total": "0", "platform": "moodle", "id": "0"}
    assert wanted.items() <= marks[0].items() and marks[0]["late_days"] == "1"
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        names = archive.namelist()
        assert names[7] == "Student 07_7_assignsubmission_file/feedback.html" and len(names) == 60
        assert "a message &lt;b&gt;" in archive.read(names[0]).decode()
    assert (tmp_path / "m" / "missing.csv").read_text() == 'missing\n"Student 60, 60"\n'


SIXTY = {
    "German": (
        "Student {0:02}_{0}_assignsubmission_file/lab.zip", (), ("0,00", "100,00"),
        "\ufeffID;Name;Status;Bewertung;Bestwertung;Änderbar;Abgabe;Bewertet;Feedback\r\n",
        'Teilnehmer/in{0};"Student ""{0:02}""";Abgegeben;{1};100,00;Ja;-;-;{2}\r\n', "\r\n",
    ),
    "English": (
        "Student {0:02}_{0}_assignsubmission_file_lab.zip", (), ("0", "43"),
        'Identifier,"Full name",Status,Grade,"Maximum Grade",Changeable,Sent,Graded,Comments\n',
        '"Participant {0}","{0:02}, Student",Submitted,{1},43,Yes,-,-,{2}\n', "",
    ),
    "Canvas": (
        "{0:02}student_LATE_{0}_9{0}_lab-1.zip", ("--assignment", "Lab"), ("0,00", "50,00"),
        "\ufeffStudent;ID;SIS User ID;SIS Login ID;Section;Lab (77);Lab (late) (78);Final Score\n"
        ";;;;;Manual Posting;;\n    Points Possible;;;;;50,00;10,00;(read only)\n",
        '"{0:02}, Student";{0};00{0};;"Sem ""A""";{1};1,5;90,10\n', '"Student, Test";99;;;;;;\n',
    ),
}  # fmt: skip
"""Of each list: the names in its download, options, worst and best mark, then its text."""


@pytest.mark.parametrize("case", SIXTY)
def test_sixty_marks_come_back_from_each_list_and_no_other_byte_changes(
    tmp_path, monkeypatch, case
):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    name, options, (worst, best), head, row, end = SIXTY[case]
    path, out = a_class(tmp_path / "d.zip", 60, name), tmp_path / "marks.csv"
    sheet = write(
        tmp_path / "s.csv", head + "".join(row.format(n, "", "") for n in range(60)) + end
    )
    words = ["grade", path, "--output", out, "--todos", "5.1", "--fill", sheet]
    assert teacher(*words, *options) == 0
    marks = {line["id"]: line["total"] for line in csv.DictReader(out.open(encoding="utf-8"))}
    assert len(marks) == 60 and set(marks.values()) == {"0", "2"}
    cells = {"0": (worst, "0 of 2 points. Wrong: 5.1."), "2": (best, "2 of 2 points.")}
    rows = "".join(row.format(n, *cells[marks[str(n)]]) for n in range(60))
    assert (tmp_path / "s-filled.csv").read_bytes().decode() == head + rows + end


def test_canvas_gets_feedback_under_the_names_it_gave(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    path = a_class(tmp_path / "d.zip", 2, "berg_LATE_482{0}_9{0}_lab.zip")
    words = ["grade", str(path), "--output", str(tmp_path / "marks.csv"), "--todos", "5.1"]
    words += ["--fill", str(write(tmp_path / "g.csv", CANVAS)), "--assignment", "lab"]
    assert teacher(*words, "--feedback", str(tmp_path / "f.zip")) == 0
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        names = ["berg_LATE_4821_91_feedback.html", "berg_LATE_4820_90_feedback.html"]
        assert archive.namelist() == names
    said = capsys.readouterr().out
    assert "1 submission in no row of it: berg" in said
    assert rows_of((tmp_path / "g-filled.csv").read_bytes())[3][4] == "50.00"


@pytest.mark.parametrize(
    ("name", "numbers", "line"),
    [
        ("Somebody {0}", "in{0}", "'Student 00' is 'Somebody 0' there, and 3 of 3 likewise"),
        ("Student {0:02}", "in9{0}", "has no row for any submission"),
    ],
)
def test_the_worksheet_of_another_course_is_refused(tmp_path, capsys, name, numbers, line):
    path = a_class(tmp_path / "d.zip", 3, "Student {0:02}_{0}_assignsubmission_file/lab.zip")
    head, row, *_ = GERMAN.splitlines(keepends=True)
    student = row.replace("Änne Berg", name).replace("in7", numbers)
    sheet = write(tmp_path / "w.csv", head + "".join(student.format(n) for n in range(3)))
    out = tmp_path / "m.csv"
    words = ["grade", str(path), "--output", str(out), "--todos", "5.1", "--fill", str(sheet)]
    assert teacher(*words) == 2
    assert line in capsys.readouterr().err
    assert not out.exists() and not (tmp_path / "w-filled.csv").exists()


@pytest.mark.parametrize(
    ("name", "other", "is_same"),
    [("bergänne", "Berg, Änne", True), ("lina", "Li, Na", True), ("Bo Ray", "Bo B. Roy", True),
     ("Ada Lovelace", "Grace A. Hopper", False), ("A Li", "B Lima", False)],
)  # fmt: skip
def test_names_that_have_a_word_in_common(name, other, is_same):
    assert have_common_word(name, other) == is_same


def test_a_worksheet_with_a_few_other_names_is_filled(tmp_path):
    path = a_class(tmp_path / "d.zip", 2, "Bo {0}_{0}_assignsubmission_file/lab.zip")
    head, row, *_ = GERMAN.splitlines(keepends=True)
    rows = [row.replace("Änne Berg", n).replace("in7", f"in{i}") for i, n in enumerate(("Bo", "X"))]
    sheet = read_sheet(write(tmp_path / "w.csv", head + "".join(rows)))
    assert len(collect([path], tmp_path, Wishes(sheet=sheet)).found) == 2


def test_a_download_of_anonymous_marking_fits_a_worksheet_with_names(tmp_path):
    path = a_class(tmp_path / "d.zip", 2, "Participant_{0}_assignsubmission_file/lab.zip")
    head, row, *_ = GERMAN.splitlines(keepends=True)
    rows = [row.replace("Änne Berg", n).replace("in7", f"in{i}") for i, n in enumerate("XY")]
    sheet = read_sheet(write(tmp_path / "w.csv", head + "".join(rows)))
    found = collect([path], tmp_path, Wishes(sheet=sheet)).found
    assert [name for name, _ in found] == ["X", "Y"]


def test_the_best_of_several_has_its_report_and_its_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("teacher.grade.run_jobs", stand_in)
    early = a_class(tmp_path / "d.zip", 2, "Student {0}_{0}_assignsubmission_file/lab.zip")
    again = tmp_path / "again.zip"
    again.write_bytes(packed({"Student 1_1_assignsubmission_file/losses.py": "nothing"}))
    out = tmp_path / "m" / "marks.csv"
    words = ["grade", str(early), str(again), "--output", str(out), "--todos", "5.1", "--best"]
    assert teacher(*words) == 0
    assert "2 of 2 points" in (out.parent / "reports" / "Student 1.txt").read_text()
    assert [m.submission for m in read_graded(out.parent).marks] == ["Student 0", "Student 1"]


def test_what_is_graded_is_not_graded_again_under_the_name_in_the_gradebook(
    tmp_path, monkeypatch, capsys
):
    tested = []

    def counting(jobs, *_):
        jobs = list(jobs)
        tested.append(len(jobs))
        return stand_in(jobs)

    monkeypatch.setattr("teacher.grade.run_jobs", counting)
    path = a_class(tmp_path / "d.zip", 2, "bergänne_4821_9{0}_lab.zip")
    out = tmp_path / "m" / "marks.csv"
    words = ["grade", str(path), "--output", str(out), "--todos", "5.1"]
    assert teacher(*words) == 0
    fill_in = ["--assignment", "lab", "--fill", str(write(tmp_path / "g.csv", CANVAS))]
    assert teacher(*words, *fill_in) == 0
    assert tested == [1, 0]
    assert [m.submission for m in read_graded(out).marks] == ["Berg, Änne"]
    assert teacher(*words, *fill_in, "--best") == 0
    assert teacher(*words, *fill_in, "--best") == 0
    assert tested == [1, 0, 2, 0] and read_graded(out).marks[0].total == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--again"], "--again is about the marks of --fill"),
        (["--assignment", "Lab"], "--assignment is a column of the gradebook that --fill names"),
        (["--gradescope", "g", "--best"], "--best is for many submissions, with --output"),
        (["--feedback", "f.zip"], "--feedback is for a download of Moodle or Canvas"),
        (["--deadline", "2026-06-30"], "--deadline: only Moodle's worksheet"),
        (["--fill", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_wishes_that_cannot_be_met_are_told_before_the_grading(tmp_path, capsys, words, line):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "data.py").write_text("")
    out = tmp_path / "marks.csv"
    command = ["grade", str(tmp_path / "anna"), "--output", str(out), *words]
    assert teacher(*command) == 2
    assert line in capsys.readouterr().err and not out.exists()


def test_nothing_that_is_given_is_written_over(tmp_path, capsys):
    path = tmp_path / "d.zip"
    path.write_bytes(packed({f"{MOODLE_NAME}/data.py": ""}))
    sheet = write(tmp_path / "w.csv", GERMAN)
    for out, feedback in ((sheet, tmp_path / "f.zip"), (tmp_path / "m.csv", path)):
        words = ["grade", str(path), "--fill", str(sheet), "--output", str(out)]
        assert teacher(*words, "--feedback", str(feedback)) == 2
        assert "is one of the files that you give" in capsys.readouterr().err
    assert sheet.read_bytes() == GERMAN.encode()


def test_a_deadline_that_is_no_time_is_an_error(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["grade", "x", "--deadline", "tomorrow"])
    assert "tomorrow is not a day such as" in capsys.readouterr().err


def test_submissions_that_came_another_way_get_moodles_names(tmp_path):
    sheet = read_sheet(write(tmp_path / "w.csv", GERMAN))
    (tmp_path / "berg_änne").mkdir()
    (tmp_path / "berg_änne" / "data.py").write_text("")
    wishes = Wishes(sheet=sheet, feedback=tmp_path / "f.zip")
    handed = collect([tmp_path / "berg_änne"], tmp_path / "s", wishes)
    hand_back([mark("berg_änne", 2), mark("nobody", 2)], handed, wishes, None)
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        assert archive.namelist() == ["Änne Berg_7_assignsubmission_file/feedback.html"]


def test_names_in_a_list_are_no_formulas(tmp_path):
    roster = read_table(write(tmp_path / "r.txt", "Änne Berg\n=1+1\n+x\n@y\n-z\n"))
    handed = HandedIn([])
    said = hand_back([mark("änne berg", 2)], handed, Wishes(roster=roster), tmp_path / "m.csv")
    assert said[0] == "4 of 5 have not handed in: =1+1, +x, @y, -z"
    lines = (tmp_path / "missing.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["missing", "'=1+1", "'+x", "'@y", "'-z"]
