"""`main.py track`: what a store is given, once, whatever became of the run, the store or the call.

Most tests use a played store, which writes what it is given into a file. The real ones are tried
without a network, each in a process of its own, where their package is installed.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import main
from commands.arguments import STORE_NAMES
from commands.tracking.replay import NEEDS, STORES, read_run, track_runs
from commands.tracking.to_mlflow import allowed
from utils import LabError, save_image

LAB = Path(__file__).resolve().parent.parent
HEAD = "epoch,step,train_loss,val_loss,val_macro_f1,val_mean_iou,lr,images_per_second\n"
ROWS = ["1,4,0.9,1.5,0.1,0.05,0.01,98.5\n", "2,8,,nan,0.2,0.1,0.02,99.5\n",
        "3,12,0.7,1.1,0.3,0.2,0.0,97.5\n"]  # fmt: skip
ENDED = ["config.json", "history.csv", "metrics.json", "summary.txt", "samples.png", "model.onnx"]


def write_run(folder: Path, epochs: int, speed: str = "98.5", **arguments: object) -> Path:
    """A run that has got so far."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"command": "python main.py train", "arguments": {"lr": 0.01, **arguments}}
    config |= {"data_fingerprint": "abc def", "git_commit": None}
    config["labels"] = {"name": "streets", "classes": [{"name": "road"}, {"name": "Weg/Straße"}]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "history.csv").write_text(HEAD + "".join(ROWS[:epochs]).replace("98.5", speed))
    return folder


def end_run(folder: Path) -> None:
    """What a run writes at its end."""
    classes = {"road": {"f1": 0.4, "iou": 0.25}, "Weg/Straße": {"f1": None, "iou": None}}
    metrics = {"macro_f1": 0.4, "mean_iou": 0.25, "classes": classes}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "summary.txt").write_text("best")
    save_image(folder / "samples.png", np.zeros((8, 16, 3), np.uint8))
    (folder / "model.onnx").write_bytes(b"a network")


class PlayedStore:
    """A store that keeps what it is given in a file for each run."""

    look = "less store"
    broken = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.told"

    def has(self, key: str, name: str) -> bool:
        return self.path(key).is_file()

    def drop(self, key: str, name: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def add(self, addition) -> None:
        path = self.path(addition.key)
        assert path.is_file() != addition.is_new
        for step, values in addition.rows:
            with path.open("a") as file:
                file.write(f"{addition.name} {step} {json.dumps(values)}\n")
            if PlayedStore.broken:
                raise KeyError("the disk is gone")
        with path.open("a") as file:
            for name in [each.name for each in addition.files]:
                file.write(f"{addition.name} {name}\n")
            if addition.scores:
                file.write(f"{addition.name} scores {addition.step} {addition.scores}\n")


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Tracks runs into a played store, and returns what all its runs were told, by lines."""
    monkeypatch.setitem(STORES, "wandb", PlayedStore)
    monkeypatch.setitem(NEEDS, "wandb", ())

    def track(*runs: Path) -> list[str]:
        track_runs(runs, "wandb", tmp_path / "store")
        texts = [path.read_text() for path in sorted((tmp_path / "store").glob("*.told"))]
        return "".join(texts).splitlines()

    return track


def steps(lines: list[str]) -> list[str]:
    """Of the epochs, `NAME STEP`."""
    words = [line.split() for line in lines]
    return sorted(" ".join(each[:2]) for each in words if each[1].isdigit())


def test_running_run_is_told_once_and_then_what_is_new(tmp_path, told, capsys):
    run = write_run(tmp_path / "a", epochs=1)
    first = {"epoch": 1.0, "epoch/train_loss": 0.9, "epoch/val_loss": 1.5,
             "epoch/val_macro_f1": 0.1, "epoch/val_mean_iou": 0.05, "epoch/lr": 0.01,
             "epoch/images_per_second": 98.5}  # fmt: skip
    assert told(run) == [f"a 4 {json.dumps(first)}", "a config.json", "a history.csv"]
    write_run(run, epochs=3)
    assert steps(told(run)) == ["a 12", "a 4", "a 8"]
    end_run(run)
    lines = told(run)
    assert lines[-5:-1] == [f"a {name}" for name in ENDED[2:]]
    assert lines[-1] == "a scores 12 " + str(
        {"best/val_macro_f1": 0.4, "best/val_mean_iou": 0.25, "f1/road": 0.4, "iou/road": 0.25}
    )
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "a: added 1 epoch and config.json, history.csv"
    assert out[3] == "a: added 2 epochs and history.csv"
    assert told(run) == lines
    assert capsys.readouterr().out.startswith("a: nothing new; its 3 epochs are there\n")


def test_what_is_no_number_is_left_out(tmp_path):
    _, row, _ = read_run(write_run(tmp_path / "a", epochs=3)).rows
    assert row == (8, {"epoch": 2.0, "epoch/val_macro_f1": 0.2, "epoch/val_mean_iou": 0.1,
                       "epoch/lr": 0.02, "epoch/images_per_second": 99.5})  # fmt: skip


def test_copied_or_moved_folder_is_the_same_run(tmp_path, told):
    run = write_run(tmp_path / "a", epochs=2)
    lines = told(run)
    shutil.copytree(run, tmp_path / "elsewhere" / "copy")
    assert told(tmp_path / "elsewhere" / "copy") == lines
    write_run(run, epochs=3)
    ahead = told(run)
    assert told(tmp_path / "elsewhere" / "copy") == ahead and len(ahead) == len(lines) + 2


def test_two_runs_of_one_name_are_two(tmp_path, told, capsys):
    runs = [write_run(tmp_path / place / "a", 2, speed) for place, speed in ("x1", "y2")]
    assert steps(told(*runs)) == ["a 4", "a 8", "a-2 4", "a-2 8"]
    assert "a (there called a-2): added 2 epochs" in capsys.readouterr().out
    assert steps(told(*runs[::-1])) == ["a 4", "a 8", "a-2 4", "a-2 8"]


def test_run_that_went_on_in_two_ways_is_two(tmp_path, told):
    run = write_run(tmp_path / "a", epochs=3)
    told(run)
    (run / "history.csv").write_text(HEAD + "".join(ROWS[:2]) + ROWS[2].replace("0.3", "0.31"))
    assert steps(told(run)) == ["a 12", "a 4", "a 8", "a-2 12", "a-2 4", "a-2 8"]


def test_deleted_store_and_deleted_run_are_told_again(tmp_path, told):
    runs = [write_run(tmp_path / name, 2, speed) for name, speed in ("a1", "b2")]
    lines = told(*runs)
    (tmp_path / "store").rename(tmp_path / "gone")
    assert sorted(told(*runs)) == sorted(lines)
    next(path for path in (tmp_path / "store").glob("*.told")).unlink()
    assert sorted(told(*runs)) == sorted(lines)


def test_interrupted_replay_begins_anew(tmp_path, told, monkeypatch):
    run = write_run(tmp_path / "a", epochs=1)
    lines = told(run)
    write_run(run, epochs=3)
    monkeypatch.setattr(PlayedStore, "broken", True)
    with pytest.raises(LabError, match="no store that wandb can use") as error:
        told(run)
    assert "the disk is gone" in str(error.value) and "\n" not in str(error.value)
    monkeypatch.setattr(PlayedStore, "broken", False)
    assert steps(told(run)) == ["a 12", "a 4", "a 8"] and lines[0] in told(run)


def test_changed_file_of_a_resumed_run_is_told_again(tmp_path, told):
    run = write_run(tmp_path / "a", epochs=2)
    end_run(run)
    told(run)
    write_run(run, epochs=3, epochs_asked=3)
    (run / "model.onnx").write_bytes(b"a better network")
    new = told(run)[-4:]
    assert new[1:] == ["a config.json", "a history.csv", "a model.onnx"]
    assert new[0].startswith("a 12 ")


def test_folder_of_runs_is_each_of_them_and_a_young_run_waits(tmp_path, told, capsys):
    for name, epochs in (("a", 1), ("b", 0)):
        write_run(tmp_path / "runs" / name, epochs)
    (tmp_path / "runs" / "comparison").mkdir()
    (tmp_path / "runs" / "comparison" / "compare.md").write_text("| run |")
    lines = told(tmp_path / "runs")
    assert steps(lines) == ["a 4"]
    assert "\nb: no epoch has ended yet; track it later\n" in capsys.readouterr().out
    assert told(*sorted((tmp_path / "runs").iterdir())) == lines
    with pytest.raises(LabError, match=r"config\.json"):
        told(tmp_path / "runs", tmp_path)


def test_damaged_and_foreign_folders_are_said_in_one_line(tmp_path, told):
    def line_about(folder: Path) -> str:
        with pytest.raises(LabError) as error:
            told(write_run(tmp_path / "good", 1), folder)
        assert len(str(error.value).splitlines()) == 1 and not (tmp_path / "store").exists()
        return str(error.value)

    assert "config.json" in line_about(tmp_path / "nowhere")
    run = write_run(tmp_path / "a", 1)
    (run / "history.csv").write_text(HEAD + "1,4,0.9\n")
    assert "history.csv" in line_about(run)
    end_run(write_run(run, 1))
    (run / "samples.png").write_bytes(b"\x89PNG")
    assert "samples.png" in line_about(run)
    end_run(run)
    (run / "metrics.json").write_text('{"macro_f1": "high", "mean_iou": 1, "classes": {}}')
    assert "metrics.json: damaged" in line_about(run)
    (run / "metrics.json").write_text('{"macro_f1": null, "mean_iou": null, "classes": {}}')
    assert told(run)[-1] == "a model.onnx"


@pytest.mark.parametrize("key", ["0123abcd", "-0123abc", "0123abc"])
def test_damaged_record_is_named(tmp_path, told, key):
    run = write_run(tmp_path / "a", epochs=1)
    told(run)
    (record,) = (tmp_path / "store" / "tracked").iterdir()
    content = json.loads(record.read_text())
    record.unlink()
    name = "4567abcd" if key == "0123abcd" else key
    record = record.with_name(f"{name}.json")
    record.write_text(json.dumps(content | {"key": key}))
    with pytest.raises(LabError, match=r": damaged; delete it") as error:
        told(run)
    assert str(record) in str(error.value)
    record.write_text('{"key": "0123abcd"}')
    with pytest.raises(LabError, match=r": damaged; delete it"):
        told(run)


def test_store_that_is_a_file_is_an_error(tmp_path, told, capsys):
    run = write_run(tmp_path / "a", epochs=1)
    (tmp_path / "store").write_text("")
    words = ["track", str(run), "--to", "wandb", "--store", str(tmp_path / "store")]
    assert main.main(words) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'store'}: File exists\n"


def test_missing_package_names_the_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "nosuchstore").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(NEEDS, "mlflow", ("json", "nosuchstore"))
    assert main.main(["track", str(write_run(tmp_path / "a", 1)), "--to", "mlflow"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: nosuchstore is not installed; type: ")
    assert err.endswith("-m pip install -r requirements-track.txt\n")


def test_the_file_of_requirements_has_every_package():
    text = (LAB / "requirements-track.txt").read_text()
    names = {name for needs in NEEDS.values() for name in needs} - {"mlflow"}
    assert all(f"\n{name}>=" in text for name in names | {"mlflow-skinny"})
    assert tuple(STORES) == tuple(NEEDS) == STORE_NAMES


def test_tags_have_characters_that_mlflow_takes():
    assert allowed("f1/Straße (nass) + 1") == "f1/Straße _nass_ _ 1"


# ------------------------------------------------------------------------------- the real stores


def alone() -> list[str]:
    """What starts a program without any network, where the system lets us."""
    words = ["unshare", "--map-root-user", "--net"]
    has_it = shutil.which("unshare") and not subprocess.run([*words, "true"]).returncode
    return words if has_it else []


def track(run: Path, to: str, store: Path) -> str:
    """Calls the command with an environment that would lead elsewhere; returns what it said."""
    if any(find_spec(name) is None for name in NEEDS[to]):
        pytest.skip(f"no {to} here: pip install -r requirements-track.txt")
    traps = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_RUN_ID": "x",
             "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_RUN_ID": "x",
             "TRACKIO_SERVER_URL": "http://127.0.0.1:9", "TRACKIO_SPACE_ID": "a/b",
             "HOME": str(store.parent / "home")}  # fmt: skip
    words = [sys.executable, "main.py", "track", str(run), "--to", to, "--store", str(store)]
    done = subprocess.run(
        [*alone(), *words], cwd=LAB, env=os.environ | traps, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def query(path: Path, text: str) -> list[tuple]:
    """The rows that a SQLite file answers with."""
    with sqlite3.connect(path) as connection:
        return connection.execute(text).fetchall()


def mlflow_points(store: Path) -> list[tuple]:
    """(run, step, tag, value) of every number in a store of MLflow."""
    (folder,) = store.glob("artifacts/*/artifacts")
    assert (folder / "config.json").is_file()
    text = "select name, step, key, value from metrics join runs using (run_uuid)"
    return query(store / "mlflow.db", text)


def trackio_points(store: Path) -> list[tuple]:
    """The same of Trackio; the picture has its place as its value."""
    rows = query(store / "segmentation-lab.db", "select run_name, step, metrics from metrics")
    (runs,) = query(store / "segmentation-lab.db", "select count(distinct run_id) from metrics")
    assert runs == (1,)
    points = [
        (name, step, tag, value)
        for name, step, text in rows
        for tag, value in json.loads(text).items()
    ]
    pictures = [value["file_path"] for *_, value in points if isinstance(value, dict)]
    assert all((store / "media" / path).is_file() for path in pictures)
    return points


def wandb_points(store: Path) -> list[tuple]:
    """The same of Weights & Biases' files: records, in blocks of 32 KiB as in LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    points = []
    for path in sorted(store.glob("wandb/offline-run-*/run-*.wandb")):
        data, position, parts, name = path.read_bytes(), 7, b"", ""
        while position < len(data):
            if 2**15 - position % 2**15 < 7:
                position += 2**15 - position % 2**15
                continue
            length = int.from_bytes(data[position + 4 : position + 6], "little")
            kind = data[position + 6]  # 1 a whole record, 2 its first part, 3 a middle, 4 its last
            parts += data[position + 7 : position + 7 + length]
            position += 7 + length
            if kind in (1, 4):
                record, parts = Record.FromString(parts), b""
                name = record.run.display_name or name
                items = {each.key or "/".join(each.nested_key): json.loads(each.value_json)
                         for each in record.history.item}  # fmt: skip
                points += [(name, items["_step"], *pair) for pair in items.items()]
    return points


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "points_of"),
    [("mlflow", mlflow_points), ("trackio", trackio_points), ("wandb", wandb_points)],
)
def test_real_store_has_each_epoch_once_at_its_step(tmp_path, to, points_of):
    run, store = write_run(tmp_path / "ein Lauf", epochs=2), tmp_path / "Bücher 5%" / to
    assert "added 2 epochs" in track(run, to, store)
    end_run(write_run(run, epochs=3))
    assert "added 1 epoch and history.csv, metrics.json" in track(run, to, store)
    assert "nothing new" in track(run, to, store)
    told = [(row[0], row[1], row[3]) for row in points_of(store) if row[2] == "epoch/val_macro_f1"]
    assert told == [("ein Lauf", 4, 0.1), ("ein Lauf", 8, 0.2), ("ein Lauf", 12, 0.3)]
    losses = [(row[1], row[3]) for row in points_of(store) if row[2] == "epoch/train_loss"]
    assert losses == [(4, 0.9), (12, 0.7)]
    files = {path.name for path in store.rglob("*")} | {
        name.partition("-")[2] for (name,) in artifacts(store)
    }
    assert set(ENDED) <= files


def artifacts(store: Path) -> list[tuple]:
    """The names of what Trackio keeps of files."""
    path = store / "segmentation-lab.db"
    return query(path, "select name from artifacts") if path.is_file() else []


@pytest.mark.slow
def test_run_that_was_deleted_in_mlflow_is_told_again(tmp_path):
    run, store = write_run(tmp_path / "a", epochs=1), tmp_path / "store"
    track(run, "mlflow", store)
    with sqlite3.connect(store / "mlflow.db") as connection:
        connection.execute("update runs set lifecycle_stage = 'deleted'")
    assert "added 1 epoch" in track(run, "mlflow", store)
    assert query(store / "mlflow.db", "select count(*) from runs") == [(2,)]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["mlflow", "trackio"])
def test_file_that_is_no_store_is_said_in_one_line(tmp_path, to):
    run, store = write_run(tmp_path / "a", epochs=1), tmp_path / "store"
    track(run, to, store)
    for path in store.glob("*.db"):
        path.write_text("no database, but a letter\n" * 200)
    words = [sys.executable, "main.py", "track", str(run), "--to", to, "--store", str(store)]
    done = subprocess.run(words, cwd=LAB, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {store}: no store that {to}")
    assert len(done.stderr.splitlines()) == 1
