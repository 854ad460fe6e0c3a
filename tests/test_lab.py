"""The companion: progress, check, hint, watch, reset and update, in a small edition of its own."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import commands.companion.folder
import commands.companion.update
from commands.companion.edition import Edition, parse_edition, read_new_edition
from commands.companion.folder import Lab, find_syntax_errors
from commands.companion.markers import (
    LAB_FILES,
    parse_answers,
    parse_solutions,
    splice,
    to_edition,
)
from commands.companion.update import (
    add_left_over,
    apply_update,
    keep_beside,
    plan_update,
)
from commands.companion.verdicts import Finding, run_todos
from commands.companion.verdicts import test_files as list_test_files
from utils import LabError

ROOT = Path(__file__).resolve().parent.parent
NO_CACHE = shutil.ignore_patterns("__pycache__")
NUMBERS = {"4.1", "4.2", "4.3", "4.4"}

METRICS = '''"""Tiny scores."""

from utils import LabError  # nothing of torch: the tests are about the companion


def double(x):
    """Twice."""
    # TODO 4.1: twice x.
    # <solution 4.1>
    y = 2 * x
    # <student>
    # y = ...
    # </solution 4.1>
    return y


def both(x):
    """Two parts."""
    # <solution 4.2a>
    y = x + 1
    # <student>
    # y = ...  # one more
    # </solution 4.2a>
    # <solution 4.2b>
    y = double(y)
    # <student>
    # y = ...
    # </solution 4.2b>
    return y


class Scores:
    """Another indent."""

    def third(self, x):
        """A third."""
        # <solution 4.3>
        y = x / 3
        # <student>
        # y = ...
        # </solution 4.3>
        return y
'''

TESTS = """
import os
import time

import pytest

import metrics
from commands.companion.checking import wrong


@pytest.mark.todo("4.1", points=2, needs=[])
@pytest.mark.parametrize("x", [1, 2])
def test_4_1_doubles(x):
    print("seen", x)
    if metrics.double(x) != 2 * x:
        wrong(given=x, expected=2 * x, got=metrics.double(x), likely="you forgot to double")


@pytest.mark.todo("4.2", points=2, needs=["4.1"])
def test_4_2_both():
    assert metrics.both(1) == 4


@pytest.mark.todo("4.3", points=2, needs=[])
def test_4_3_third():
    assert metrics.Scores().third(3) == 1
"""

ANSWERS = {"4.1": "y = 2 * x", "4.2a": "y = x + 1", "4.2b": "y = double(y)", "4.3": "y = x / 3"}


def make_edition(folder: Path, version: str = "1", metrics: str = METRICS, **others: str) -> Path:
    """A student edition as the teacher builds it, its six files nearly empty."""
    files = {name: f'"""{name}"""\n' for name in LAB_FILES} | {"metrics.py": metrics}
    files = {name: to_edition(text, name, NUMBERS) for name, text in files.items()}
    (folder / "zoo").mkdir(parents=True)
    for name, text in (files | {"test_implementation.py": TESTS, "notes.md": "notes\n"}).items():
        (folder / name).write_bytes(text.encode())
    for name in ("lab.py", "utils.py", "conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    companion = folder / "commands" / "companion"
    shutil.copytree(ROOT / "commands" / "companion", companion, ignore=NO_CACHE)
    shutil.copy(ROOT / "commands/__init__.py", folder / "commands/__init__.py")
    frame = "commands/command_line"
    shutil.copytree(ROOT / frame, folder / frame, ignore=NO_CACHE)
    for name, text in others.items():
        path = folder / name.replace("__", "/").replace("_md", ".md")
        path.write_bytes(text.encode())
    describe_edition(folder, version, files)
    return folder


def describe_edition(folder: Path, version: str, files: dict[str, str]) -> None:
    """Writes `.lab/edition.json` for a folder as it is."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".lab" not in path.parts]
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }
    (folder / ".lab").mkdir(exist_ok=True)
    record = {"version": version, "files": files, "hashes": hashes}
    (folder / ".lab/edition.json").write_text(json.dumps(record), encoding="utf-8")


def fill(folder: Path, answers: dict[str, str], name: str = "metrics.py") -> None:
    """Writes answers as a student would, between the markers."""
    lines = (folder / name).read_bytes().decode().split("\n")
    for region in reversed(parse_answers("\n".join(lines), name)):
        if region.part in answers:
            code = [region.indent + line for line in answers[region.part].split("\n")]
            lines[region.start : region.end - 1] = code
    (folder / name).write_bytes("\n".join(lines).encode())


def answers_in(folder: Path, name: str = "metrics.py") -> dict[str, str]:
    text = (folder / name).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    return {region.part: region.answer().strip() for region in parse_answers(text, name)}


def lab(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """Runs the companion of a folder."""
    return subprocess.run(
        [sys.executable, "lab.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=100,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | variables,
    )


@pytest.fixture
def edition(tmp_path):
    return make_edition(tmp_path / "my lab é")


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A folder with a right, a wrong and an empty answer, after one check; and what it printed."""
    folder = make_edition(tmp_path_factory.mktemp("checked") / "lab")
    fill(folder, {"4.1": "y = 3 * x", "4.2a": "y = x + 1", "4.3": "y = x / 3"})
    return folder, lab(folder, "check")


# ------------------------------------------------------------------ check and progress


def test_check_shows_the_first_thing_to_fix(checked):
    _, result = checked
    assert result.returncode == 1, result.stderr
    lines = result.stdout.split("\n")
    assert lines[0] == "TODO 4.1 (confusion matrix) is wrong"
    assert "expected: 2" in result.stdout and "you forgot to double" in result.stdout
    assert "printed: seen 1" in result.stdout and "and 1 more" in result.stdout
    assert "4.1 wrong   4.2 to do   4.3 done" in result.stdout
    assert "1 of 3 TODOs done, 2 of 6 points" in result.stdout
    assert "\033" not in result.stdout


def test_progress_shows_the_last_results_and_what_changed(checked, tmp_path):
    folder = tmp_path / "lab"
    shutil.copytree(checked[0], folder)
    result = lab(folder)
    assert result.returncode == 0 and result.stderr == ""
    rows = [line.split() for line in result.stdout.split("\n")]
    states = {row[0]: row[-1] for row in rows if row and row[0] in NUMBERS}
    assert states == {"4.1": "wrong", "4.2": "do", "4.3": "done"}
    fill(folder, {"4.3": "y = x / 4", "4.2b": "y = 2 * y"})
    assert Lab(folder).states() == {
        "4.1": "wrong",
        "4.2": "changed, not checked yet",
        "4.3": "changed, not checked yet",
    }
    fill(folder, {"4.3": "y = x / 3\n"})  # as it was when it passed
    assert Lab(folder).states()["4.3"] == "done"


CASES = """
import pytest

import metrics
from commands.companion.checking import wrong


@pytest.mark.todo("4.2", points=2, needs=["4.1"])
@pytest.mark.parametrize("x", [5, 6])
def test_4_2_further_numbers(x):
    if metrics.both(x) != 2 * x + 2:
        likely = "the parts are in the wrong order" if metrics.both(x) == 2 * x + 1 else None
        wrong(given=x, expected=2 * x + 2, got=metrics.both(x), likely=likely)
"""


@pytest.fixture
def edition_with_cases(edition):
    (edition / "checks" / "cases").mkdir(parents=True)
    for name in ("checks", "checks/cases"):
        (edition / name / "__init__.py").touch()
    (edition / "checks" / "cases" / "chapter_4.py").write_text(CASES)
    fill(edition, {each: ANSWERS[each] for each in ("4.1", "4.2a", "4.2b")})
    return edition


def test_check_runs_the_cases_after_the_tests(edition_with_cases):
    path = edition_with_cases / "metrics.py"
    path.write_text(path.read_text().replace("y = x + 1", "y = x + 1 if x != 5 else 9"))
    findings, problem = run_todos(edition_with_cases, ["4.2", "4.3"])
    assert problem == "" and findings["4.3"].state == "to do"
    assert findings["4.2"].test == "test_4_2_further_numbers[5]" and findings["4.2"].failed == 1
    assert "given:    5\nexpected: 12\ngot:      18" in findings["4.2"].message


def test_check_shows_the_test_to_read_and_the_cause_that_a_case_knows(edition_with_cases):
    path = edition_with_cases / "metrics.py"
    wrong_order = (
        path.read_text().replace("y = x + 1", "y = x").replace("y = double(y)", "y = 2 * y + 1")
    )
    path.write_text(wrong_order)
    result = lab(edition_with_cases, "check", "4.2")
    said = result.stdout.splitlines()
    assert said[0].endswith("is wrong: test_4_2_both")
    assert said[1:3] == ["  assert metrics.both(1) == 4", "  assert 3 == 4"]
    assert said[3] == "given:    5" and said[6] == "likely:   the parts are in the wrong order"


def test_test_files_are_those_of_the_chapters_that_are_wanted(tmp_path):
    names = ["chapter_1.py", "chapter_10.py", "chapter_4.py", "chapter_9_1.py", "chapter_9_4.py"]
    names = [f"checks/cases/{name}" for name in names]
    names = ["test_implementation.py", "test_implementation_zoo.py", *names]
    (tmp_path / "checks" / "cases").mkdir(parents=True)
    for name in names:
        (tmp_path / name).touch()
    assert list_test_files(tmp_path) == names
    assert list_test_files(tmp_path, ["4.1", "4.2"]) == [names[0], names[4]]
    assert list_test_files(tmp_path, ["9.4"]) == [names[1], *names[5:]]


def test_show_prints_the_statement_the_tests_and_the_place(edition):
    said = lab(edition, "show", "4.1").stdout
    assert "TODO 4.1" in said and "def test_4_1_doubles(x):" in said and "parametrize" in said
    assert "test_4_2_both" not in said and "pytest.mark.todo" not in said
    assert "your answer stands in metrics.py:" in said and "lab.py check 4.1" in said


def test_progress_without_results_says_what_to_do(edition):
    fill(edition, {"4.2a": "y = x + 1", "4.3": "y = x / 3"})
    assert Lab(edition).states()["4.2"] == "to do"  # one of its two parts
    result = lab(edition)
    assert "lab.py check" in result.stdout and "not checked yet" in result.stdout
    assert "next: TODO 4.1 (metrics.py:" in result.stdout
    assert not (edition / ".lab/results.json").exists()


def test_results_that_are_damaged_count_as_unknown(edition):
    for text in ("{", "[]", '{"todos": []}', '{"todos": {"4.1": {}}}'):
        (edition / ".lab/results.json").write_text(text)
        assert Lab(edition).results() == {}


def test_check_of_one_todo_passes_and_runs_nothing_else(edition):
    fill(edition, ANSWERS)
    fill(edition, {"4.1": "import os\n_ = os._exit(3) if x == 1 else 0\ny = 2 * x"})
    result = lab(edition, "check", "4.3")
    assert result.returncode == 0, result.stdout
    assert "4.3 done" in result.stdout
    of_another = [line for line in result.stdout.split("\n") if "4.1" in line]
    assert len(of_another) == 1 and of_another[0].startswith("next: TODO 4.1 (metrics.py:")


def test_check_may_allow_what_is_still_to_do_but_nothing_wrong(edition):
    fill(edition, {"4.1": ANSWERS["4.1"], "4.3": ANSWERS["4.3"]})
    assert lab(edition, "check").returncode == 1
    result = lab(edition, "check", "--allow-todo")
    assert result.returncode == 0 and "4.2 to do" in result.stdout
    fill(edition, {"4.3": "y = x / 4"})
    assert lab(edition, "check", "--allow-todo").returncode == 1
    table = lab(edition, "progress", "--markdown").stdout.split("\n")
    assert table[2:5] == [
        "| TODO 4.1 | confusion matrix | 2 | done |",
        "| TODO 4.2 | F1 and macro F1 | 2 | to do |",
        "| TODO 4.3 | IoU and mean IoU | 2 | wrong |",
    ]
    assert table[6] == "1 of 3 TODOs done, 2 of 6 points"
    fill(edition, {"4.3": "y = (x"})
    assert lab(edition, "check", "--allow-todo").returncode == 1


def test_check_survives_what_ends_python(edition):
    fill(edition, ANSWERS)
    fill(edition, {"4.1": "import os\nos._exit(0)\ny = 1", "4.2b": "y = 2 * y"})
    result = lab(edition, "check", "4")
    assert result.returncode == 1
    assert "TODO 4.1: test_4_1_doubles[1] ended Python itself (exit code 0)" in result.stdout
    assert "4.1 wrong   4.2 done   4.3 done" in result.stdout


def test_run_todos_gives_up_on_an_endless_loop(edition):
    fill(edition, ANSWERS)
    fill(edition, {"4.1": "y = 2 * x\nwhile True:\n    pass"})
    findings, problem = run_todos(edition, ["4.1"], seconds=1)
    assert problem == "" and findings["4.1"].state == "wrong"
    assert "a loop without end?" in findings["4.1"].message


def test_check_tells_syntax_errors_by_file_and_line(edition):
    fill(edition, {"4.1": "y = (2 *"})
    result = lab(edition, "check", "4.3")
    line = (edition / "metrics.py").read_text().split("\n").index("    y = (2 *") + 1
    assert result.returncode == 1
    assert f"metrics.py:{line}: " in result.stdout and "Traceback" not in result.stdout


def test_check_tells_what_only_the_compiler_sees(edition):
    path = edition / "metrics.py"
    path.write_text(path.read_text() + "return 1\n")
    assert "metrics.py:" in find_syntax_errors(edition)[0]
    path.write_text("'\\d'\n")
    assert find_syntax_errors(edition) == []
    path.write_bytes(b"\x00")
    assert find_syntax_errors(edition)[0].startswith("metrics.py:1: ")


def test_run_todos_tests_what_was_saved_last(edition, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    path = edition / "metrics.py"
    states = []
    for answer in ("y = 2 * x", "y = 3 * x"):  # of the same size, in the same second
        fill(edition, {"4.1": answer})
        os.utime(path, (1_000_000_000, 1_000_000_000))
        states.append(run_todos(edition, ["4.1"])[0]["4.1"].state)
    assert states == ["done", "wrong"]


def test_check_tells_errors_of_import_by_file_and_line(edition):
    path = edition / "metrics.py"
    path.write_text(path.read_text() + "\nscore = nothing\n")
    result = lab(edition, "check")
    count = len(path.read_text().split("\n")) - 1
    assert result.returncode == 1
    assert f"metrics.py:{count}: NameError: name 'nothing' is not defined" in result.stdout


def test_check_knows_the_todos_of_the_edition(edition):
    for word in ("4.4", "5", "x"):
        result = lab(edition, "check", word)
        assert result.returncode == 2
        assert result.stderr == f"error: no TODO {word} in this edition; there are 4.1 4.2 4.3\n"


def test_blocked_todos_are_stale_after_their_needs_change(edition, monkeypatch):
    needs = {"4.2": {"4.1"}}
    monkeypatch.setattr(
        commands.companion.folder, "all_needs", lambda number: needs.get(number, set())
    )
    fill(edition, {**ANSWERS, "4.1": "y = 5"})
    Lab(edition).remember({"4.2": Finding("blocked"), "4.3": Finding("done")})
    assert Lab(edition).states()["4.2"] == "blocked"
    fill(edition, {"4.1": "y = 2 * x"})
    assert Lab(edition).states() == {
        "4.1": "not checked yet",
        "4.2": "check again",
        "4.3": "done",
    }


def test_markers_that_are_lost_are_told(edition):
    path = edition / "metrics.py"
    path.write_text(path.read_text().replace("# <answer 4.2a>", "").replace("# </answer 4.2a>", ""))
    assert Lab(edition).states()["4.2"] == "its markers are missing"
    path.write_text(path.read_text().replace("# </answer 4.1>", ""))
    result = lab(edition)
    assert result.returncode == 0 and "metrics.py:" in result.stdout


def test_solved_lab_is_told_from_an_edition(tmp_path):
    folder = make_edition(tmp_path / "lab")
    (folder / "metrics.py").write_text(METRICS)
    for words in ((), ("hint", "4.1"), ("watch",), ("reset", "4.1"), ("update", ".")):
        result = lab(folder, *words)
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert "solved lab" in result.stderr and "teacher build" in result.stderr


# ------------------------------------------------------------------ hint and reset


def test_hint_goes_one_step_further_at_each_call(edition):
    texts = [lab(edition, "hint", "4.1").stdout for _ in range(4)]
    for number, text in enumerate(texts[:3], start=1):
        assert "`ConfusionMatrix.update`: count" in text
        assert f"hint {number} of 3: " in text and f"hint {number + 1} of 3" not in text
    assert "these are all the hints" in texts[3] and "hint 1 of 3" in texts[3]
    assert "these are all" not in texts[2]


def test_output_survives_a_console_of_few_letters(edition):
    (edition / "metrics.py").write_text(METRICS.replace("4.3", "5.3"))
    text = to_edition((edition / "metrics.py").read_text(), "metrics.py", {"4.1", "4.2", "5.3"})
    (edition / "metrics.py").write_text(text)
    result = lab(edition, "hint", "5.3", PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_student_prints_survives_a_file_of_few_letters(edition, encoding):
    fill(edition, {"4.1": "print('→ é \\udc80')\ny = 3 * x"})
    result = lab(edition, "check", "4.1", PYTHONIOENCODING=encoding)
    assert result.returncode == 1 and result.stderr == ""
    assert "printed: seen 1\n? " in result.stdout and "4.1 wrong" in result.stdout


def test_reset_puts_all_parts_back_and_keeps_a_backup(edition):
    handed_out = (edition / "metrics.py").read_bytes()
    fill(edition, {part: ANSWERS[part] for part in ("4.1", "4.2a", "4.2b")})
    before = (edition / "metrics.py").read_bytes()
    result = lab(edition, "reset", "4.2")
    assert result.returncode == 0, result.stderr
    (backup,) = (edition / ".lab/backups").iterdir()
    assert backup.name.startswith("metrics.py.") and backup.read_bytes() == before
    assert str(backup.relative_to(edition)) in result.stdout
    fill(edition, {"4.2a": "z", "4.2b": "z"})
    assert answers_in(edition)["4.1"] == ANSWERS["4.1"]
    lab(edition, "reset", "4.2")
    lab(edition, "reset", "4.1")
    assert (edition / "metrics.py").read_bytes() == handed_out


def test_reset_of_a_file_fixes_broken_markers(edition):
    handed_out = (edition / "metrics.py").read_bytes()
    broken = handed_out.replace(b"# </answer 4.1>", b"")
    (edition / "metrics.py").write_bytes(broken)
    assert lab(edition, "reset", "4.1").returncode == 2
    assert (edition / "metrics.py").read_bytes() == broken
    assert lab(edition, "reset", "metrics.py").returncode == 0
    assert (edition / "metrics.py").read_bytes() == handed_out


def test_reset_keeps_line_ends_and_byte_order_mark(edition):
    windows = b"\xef\xbb\xbf" + (edition / "metrics.py").read_bytes().replace(b"\n", b"\r\n")
    (edition / "metrics.py").write_bytes(windows.replace(b"y = ...\r\n", b"y = 7\r\n"))
    assert lab(edition, "reset", "4.1").returncode == 0
    for number in ("4.2", "4.3"):
        lab(edition, "reset", number)
    assert (edition / "metrics.py").read_bytes() == windows


# ------------------------------------------------------------------ watch


def test_watch_checks_again_after_a_save_and_ends_quietly(edition):
    fill(edition, {"4.1": "print('→')\ny = 3 * x"})
    log = edition.parent / "watch.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "lab.py", "watch"],
            cwd=edition,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            wait_for(log, "printed: seen 1\n?\n")
            (edition / "metrics.py").write_text("def half(")
            wait_for(log, "not Python yet")
            make_edition(edition.parent / "other")
            shutil.copy(edition.parent / "other/metrics.py", edition / "metrics.py")
            wait_for(log, "is still to do")
            fill(edition, {"4.1": "y = 2 * x"})
            wait_for(log, "TODO 4.1 is done. Next: TODO 4.2")
            fill(edition, {"4.3": "y = x / 4"})
            wait_for(log, "TODO 4.3 (IoU and mean IoU) is wrong")
            time.sleep(1)  # it waits for a save by now
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()


def wait_for(log: Path, text: str) -> None:
    """Returns when a text has been printed."""
    end = time.monotonic() + 60
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


# ------------------------------------------------------------------ update

NEWER = METRICS.replace('"""Tiny scores."""', '"""Tiny scores, explained better."""')


def carried(folder: Path, newer: Path) -> commands.companion.update.Plan:
    """Updates without the command line."""
    plan = plan_update(folder, *read_new_edition(newer))
    apply_update(folder, plan)
    return plan


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "backups" not in path.parts and "__pycache__" not in path.parts
    }


def test_update_carries_answers_and_keeps_a_backup(edition, tmp_path):
    newer = make_edition(tmp_path / "new", "2", NEWER, more_md="more")
    (edition / "mine.txt").write_text("mine")
    fill(edition, {"4.1": "y = x + x  # ü\n\n\nz = '''\n  a\n'''", "4.3": "y = x / 3"})
    before, answers = contents(edition), answers_in(edition)
    refused = lab(edition, "update", str(newer))
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert contents(edition) == before
    result = lab(edition, "update", str(newer), "--yes")
    assert result.returncode == 0, result.stderr
    assert "changed   metrics.py" in result.stdout and "new       more.md" in result.stdout
    assert "edition 1 -> edition 2" in result.stdout and "carried over: 4.1, 4.3" in result.stdout
    assert answers_in(edition) == answers
    assert "explained better" in (edition / "metrics.py").read_text(encoding="utf-8")
    assert (edition / "mine.txt").read_text() == "mine" and (edition / "more.md").exists()
    (backup,) = (edition / ".lab/backups").iterdir()
    assert contents_of_backup(backup) == before
    assert not list(edition.rglob("*.yours*")) and not (edition / ".lab/staged").exists()
    again = lab(edition, "update", str(newer))
    assert again.returncode == 0 and again.stdout == "this is edition 2 already\n"


def contents_of_backup(backup: Path) -> dict[str, bytes]:
    paths = [path for path in backup.rglob("*") if path.is_file()]
    return {path.relative_to(backup).as_posix(): path.read_bytes() for path in paths}


def test_update_keeps_both_versions_of_what_the_student_changed(edition, tmp_path):
    newer = make_edition(tmp_path / "new", "2", NEWER, notes_md="better notes\n")
    fill(edition, {"4.1": "y = helper(x)"})
    path = edition / "metrics.py"
    path.write_text(path.read_text() + "\n\ndef helper(x):\n    return 2 * x\n")
    (edition / "notes.md").write_text("my notes")
    (edition / "lab.py").write_bytes((edition / "lab.py").read_bytes().replace(b"\n", b"\r\n"))
    mine = path.read_bytes()
    plan = carried(edition, newer)
    assert sorted(plan.yours) == ["metrics.py", "notes.md"]
    assert (edition / "metrics.py.yours").read_bytes() == mine
    assert (edition / "notes.md.yours").read_text() == "my notes"
    assert (edition / "notes.md").read_text() == "better notes\n"
    assert answers_in(edition)["4.1"] == "y = helper(x)"
    assert "def helper" not in path.read_text()


def test_keep_beside_overwrites_no_earlier_version(tmp_path):
    path = tmp_path / "notes.md"
    names = []
    for text in ("one", "two", "two", "one", "three"):
        path.write_text(text)
        names.append(keep_beside(path).name)
    assert names == [
        "notes.md.yours",
        "notes.md.yours-2",
        "notes.md.yours-2",
        "notes.md.yours",
        "notes.md.yours-3",
    ]


def test_update_shows_new_gone_and_changed_todos(edition, tmp_path):
    text = METRICS.replace("4.3>", "4.4>").replace("# y = ...  # one more", "# y = ...  # changed")
    newer = make_edition(tmp_path / "new", "2", text)
    todos = (newer / "commands/companion/todos.py").read_text(encoding="utf-8")
    todos = todos.replace("count, for this batch,", "count, for this one batch,")
    (newer / "commands/companion/todos.py").write_bytes(todos.encode())
    files = {name: (newer / name).read_text() for name in LAB_FILES}
    describe_edition(newer, "2", files)
    fill(edition, {"4.1": "y = 1", "4.2a": "y = 2", "4.3": "y = 'lost?'"})
    plan = carried(edition, newer)
    assert plan.notes == {
        "4.1": "its statement changed; your answer is kept: look at it again",
        "4.2": "its skeleton changed; your answer is kept: look at it again",
        "4.3": "gone; your answer goes to .lab/left_over.py",
        "4.4": "new",
    }
    assert "y = 'lost?'" in (edition / ".lab/left_over.py").read_text()
    answers = answers_in(edition)
    assert answers["4.2a"] == "y = 2" and "NotImplementedError" in answers["4.2b"]
    before = (edition / ".lab/left_over.py").read_text()
    add_left_over(edition / ".lab/left_over.py", plan)
    assert (edition / ".lab/left_over.py").read_text() == before


def test_update_brings_new_skeletons_of_what_is_untouched(edition, tmp_path):
    newer = make_edition(tmp_path / "new", "2", METRICS.replace("# one more", "# x + 1"))
    plan = carried(edition, newer)
    assert not plan.carried and "# x + 1" in answers_in(edition)["4.2a"]


def test_update_removes_what_is_gone_but_for_the_students_changes(tmp_path):
    folder = make_edition(tmp_path / "lab", a_md="a", b_md="b")
    newer = make_edition(tmp_path / "new", "2")
    (folder / "b.md").write_text("mine")
    plan = carried(folder, newer)
    assert plan.remove == ["a.md"] and plan.kept == ["b.md"]
    assert not (folder / "a.md").exists() and (folder / "b.md").read_text() == "mine"


@pytest.mark.parametrize("as_zip", [False, True])
def test_update_of_an_older_layout_leaves_nothing_of_it(edition, tmp_path, as_zip):
    newer = make_edition(tmp_path / "new", "2", NEWER)
    (newer / "support" / "formats").mkdir(parents=True)
    (newer / "support" / "formats" / "labels.py").write_text("NEW = True\n")
    files = {name: (newer / name).read_text() for name in LAB_FILES}
    describe_edition(newer, "2", files)
    old = ("support/companion.py", "support/deep/er/parts.py", "support/deep/parts.py", "gone/a.py")
    for name in old:
        (edition / name).parent.mkdir(parents=True, exist_ok=True)
        (edition / name).write_text("OLD = True\n")
    shutil.move(edition / "commands/companion/todos.py", edition / "support/todos.py")
    describe_edition(edition, "1", {name: (edition / name).read_text() for name in LAB_FILES})
    for folder in {(edition / name).parent for name in old}:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "old.cpython-311.pyc").write_bytes(b"old")
    fill(edition, {"4.1": ANSWERS["4.1"]})
    archive = shutil.make_archive(str(tmp_path / "new"), "zip", newer) if as_zip else newer
    plan = carried(edition, Path(archive))
    assert sorted(plan.remove) == sorted([*old, "support/todos.py"]) and not plan.notes
    assert not (edition / "gone").exists() and not (edition / "support/deep").exists()
    assert (edition / "support/formats/labels.py").read_text() == "NEW = True\n"
    result = lab(edition, "check", "4.1")
    assert result.returncode == 0, result.stderr
    assert plan_update(edition, *read_new_edition(newer)).is_empty


def test_update_takes_windows_files(edition, tmp_path):
    fill(edition, {"4.1": "y = 2 * x", "4.2a": "y = 1 + x"})
    for path in edition.glob("*.py"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    plan = carried(edition, make_edition(tmp_path / "new", "2", NEWER))
    assert not plan.yours and list(plan.write) == ["metrics.py"]
    data = (edition / "metrics.py").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\n") == data.count(b"\r\n")
    assert answers_in(edition)["4.2a"] == "y = 1 + x"


def test_update_refuses_malformed_markers_before_touching_anything(edition, tmp_path):
    newer = make_edition(tmp_path / "new", "2", NEWER)
    path = edition / "metrics.py"
    path.write_text(path.read_text().replace("# </answer 4.3>", "# </answer 4.2>"))
    before = contents(edition)
    result = lab(edition, "update", str(newer), "--yes")
    assert result.returncode == 2 and result.stderr.startswith("error: metrics.py:")
    assert result.stderr.count("\n") == 1 and contents(edition) == before


@pytest.mark.parametrize("moment", range(1, 8))
def test_update_completes_after_an_interruption(edition, tmp_path, monkeypatch, moment):
    newer = make_edition(tmp_path / "new", "2", NEWER, notes_md="better", more_md="more")
    todos = newer / "commands/companion/todos.py"
    todos.write_bytes(todos.read_bytes() + b"\n# newer\n")
    describe_edition(
        newer, "2", parse_edition((newer / ".lab/edition.json").read_bytes(), "").files
    )
    fill(edition, {"4.1": "y = 2 * x"})
    (edition / "notes.md").write_text("mine")
    expected = tmp_path / "expected"
    shutil.copytree(edition, expected)
    carried(expected, newer)
    real, calls = os.replace, []

    def interrupted(source, target):
        calls.append(target)
        if len(calls) == moment:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    try:
        carried(edition, newer)
        assert moment > len(calls)
    except KeyboardInterrupt:
        monkeypatch.setattr(os, "replace", real)
        carried(edition, newer)
    assert contents(edition) == contents(expected)


def test_update_takes_a_zip_with_one_folder(edition, tmp_path):
    make_edition(tmp_path / "out/lab-2", "2", NEWER)
    archive = Path(shutil.make_archive(str(tmp_path / "new"), "zip", tmp_path / "out"))
    assert lab(edition, "update", str(archive), "--yes").returncode == 0
    assert "explained better" in (edition / "metrics.py").read_text()


@pytest.mark.parametrize("name", ["../x.py", "/x.py", "a/../../x.py", "C:/x.py", "a\\..\\x.py"])
def test_zip_with_a_path_outside_is_refused(tmp_path, name):
    archive = tmp_path / "new.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(".lab/edition.json", "{}")
        file.writestr(zipfile.ZipInfo(name), "x")
    with pytest.raises(LabError, match="not a safe zip"):
        read_new_edition(archive)


def test_links_are_refused(tmp_path):
    newer = make_edition(tmp_path / "new", "2")
    archive = Path(shutil.make_archive(str(tmp_path / "good"), "zip", newer))
    assert read_new_edition(archive)[0].version == "2"
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(LabError, match="not a safe zip"):
        read_new_edition(archive)
    (newer / "notes.md").unlink()
    (tmp_path / "notes.md").write_text("notes\n")
    (newer / "notes.md").symlink_to(tmp_path / "notes.md")
    with pytest.raises(LabError, match=r"notes\.md is a link"):
        read_new_edition(newer)


def test_what_is_no_whole_edition_is_refused(tmp_path, edition):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04nothing")
    for name in ("empty", "broken.zip", "missing"):
        with pytest.raises(LabError, match=r"not a student edition|no such|not a zip"):
            read_new_edition(tmp_path / name)
    (edition / "notes.md").write_text("changed")
    with pytest.raises(LabError, match=r"notes\.md is not as it was built"):
        read_new_edition(edition)
    for record in ("[]", "{", '{"version": 1, "files": [], "hashes": {"a": 1}}'):
        with pytest.raises(LabError, match="is damaged"):
            parse_edition(record.encode(), "x")
    for name in ("../x", "/x", "a\\b", "C:x", ""):
        record = {"version": "1", "files": {}, "hashes": {name: "0"}}
        with pytest.raises(LabError, match="holds the path"):
            parse_edition(json.dumps(record).encode(), "x")


def test_a_folder_in_the_way_is_told_before_anything_happens(edition, tmp_path):
    newer = make_edition(tmp_path / "new", "2", NEWER, more_md="more")
    (edition / "more.md").mkdir()
    with pytest.raises(LabError, match=r"more\.md is in the way"):
        plan_update(edition, *read_new_edition(newer))


def test_backup_leaves_out_data_sets_and_environments(edition, tmp_path):
    for name in (".venv/a", "runs/a", "toydata/a", "env/pyvenv.cfg", "city/leftImg8bit/a", "n/a"):
        (edition / name).parent.mkdir(parents=True)
        (edition / name).write_text("x")
    plan = plan_update(edition, *read_new_edition(make_edition(tmp_path / "new", "2", NEWER)))
    backup, left_out, _ = apply_update(edition, plan)
    assert sorted(left_out) == ["city", "env"]
    kept = {path.name for path in backup.iterdir()}
    assert "n" in kept and not kept & {".venv", "runs", "toydata", "env", "city"}


def test_update_without_a_description_here_loses_nothing(edition, tmp_path):
    (edition / ".lab/edition.json").unlink()
    fill(edition, {"4.1": "y = 2 * x"})
    plan = carried(edition, make_edition(tmp_path / "new", "2", NEWER))
    assert answers_in(edition)["4.1"] == "y = 2 * x" and plan.yours == ["metrics.py"]


def test_splice_follows_the_indent_of_the_new_place():
    code = "        if x:\n            y = 1\n\n"
    old = f"if True:\n        # <answer 4.1>\n{code}        # </answer 4.1>\n"
    new = "    # <answer 4.1>\n    pass\n    # </answer 4.1>\n"
    spliced = splice(new, "metrics.py", parse_answers(old, "metrics.py"))
    assert spliced == "    # <answer 4.1>\n    if x:\n        y = 1\n    # </answer 4.1>\n"


def test_edition_of_tests_is_sound():
    assert {region.todo for region in parse_solutions(METRICS, "metrics.py")} < NUMBERS
    assert Edition("1", {}, {}) == Edition("1", {}, {})
