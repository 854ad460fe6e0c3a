"""What the commands share: the two readers of a run's folder."""

import json
import re
from pathlib import Path

import pytest

from commands.command_line import as_shown
from commands.command_line.run_folder import read_config, read_history
from support.engine.room import room_for_workers

LABELS = {"name": "leaves", "classes": [{"name": "soil"}, {"name": "leaf"}]}
CONFIG = {"arguments": {"lr": 0.001}, "data_fingerprint": "train val", "versions": {}}
CONFIG |= {"labels": LABELS}
COLUMNS = "epoch,step,train_loss,val_macro_f1,val_mean_iou"


def test_config_is_read_as_written(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"command": "ä"}), encoding="utf-8")
    assert read_config(tmp_path) == CONFIG | {"command": "ä"}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"arguments": {}}',
        b'{"arguments": [], "data_fingerprint": "a b"}',
        b'{"arguments": {}, "data_fingerprint": "a"}',
        b'{"arguments": {}, "data_fingerprint": 1}',
        b'{"arguments": {}, "data_fingerprint": "a b", "versions": []}',
        b'{"arguments": {}, "data_fingerprint": "a b"}',
        b'{"arguments": {}, "data_fingerprint": "a b", "labels": {"name": 1, "classes": []}}',
    ],
)  # fmt: skip
def test_damaged_config_is_an_error_of_one_line(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    line = re.escape(f"{tmp_path / 'config.json'}: no readable config.json (damaged")
    with pytest.raises(ValueError, match=f"^{line}.*; choose another run.*$"):
        read_config(tmp_path)


def test_missing_config_is_an_error_of_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"no readable config\.json \(No such file.*\); choose"):
        read_config(tmp_path / "nowhere")


def test_history_is_a_list_of_epochs(tmp_path):
    assert read_history(tmp_path) == []
    (tmp_path / "history.csv").write_text(f"{COLUMNS}\n1,5,0.9,0.25,0.2\n2,10,nan,0.5,0.3\n")
    first, second = read_history(tmp_path)
    assert first == {
        "epoch": 1, "step": 5, "train_loss": 0.9, "val_macro_f1": 0.25, "val_mean_iou": 0.2,
    }  # fmt: skip
    assert second["step"] == 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"epoch,step\n1,2\n", "damaged"),
        (COLUMNS.encode() + b"\n1,5,0.9,0.2\n", "damaged"),
        (COLUMNS.encode() + b"\n1,5,0.9,0.2,0.2,0.2\n", "damaged"),
        (COLUMNS.encode() + b"\n1,5,0.9,nan,0.2\n", "damaged"),
        (COLUMNS.encode() + b"\n1,5,0.9,x,0.2\n", "damaged"),
        (COLUMNS.encode() + b"\n1,5,.9,.2,.2\n1,5,.9,.2,.2\n", "damaged"),
        (b"\0\xff", "damaged"),
    ],
)
def test_damaged_history_is_an_error_of_one_line(tmp_path, content, reason):
    (tmp_path / "history.csv").write_bytes(content)
    line = re.escape(f"{tmp_path / 'history.csv'}: no readable history.csv ({reason}")
    with pytest.raises(ValueError, match=f"^{line}.*; choose another run.*$"):
        read_history(tmp_path)


def test_bytes_that_are_not_utf8_are_shown_as_escapes():
    assert as_shown("caf\udce9 é") == "caf\\xe9 é"


def test_room_for_workers_is_what_shared_memory_holds(monkeypatch):
    """A pixel of a batch takes 20 bytes; a worker has up to four batches under way."""
    usage = type("Usage", (), {"free": 64 * 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    monkeypatch.setattr("support.engine.room.SHARED_MEMORY", Path("/"))
    assert room_for_workers(4 * 128 * 256) == (5, "/ has 64 MB free; in a container: --shm-size 1g")
    assert room_for_workers(8 * 512 * 1024)[0] == 0
