"""The scores that docs/results.md promises, and the pages around it: commands, links, the tree.

The trainings take minutes, so they run in `make test-all` only. Without native bfloat16 they would
take an hour: there the first two epochs are enough, and the real images are left out.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

import job
import main as command_line
from support.engine.hardware import pick_autocast_dtype
from teacher.__main__ import build_parser as teacher_parser

LAB = Path(__file__).resolve().parent.parent
README = (LAB / "README.md").read_text(encoding="utf-8")
RESULTS = (LAB / "docs" / "results.md").read_text(encoding="utf-8")
HALLS = ("commands", "support")
"""The folders whose inner folders the tree of the README names too."""
IS_FAST = pick_autocast_dtype("auto", torch.device("cpu")) is not None
CAMVID = LAB.parent / "shared" / "camvid-as-cityscapes"


def published(pattern: str) -> float:
    """A score of docs/results.md: the number in the pattern's group."""
    found = re.findall(pattern, RESULTS)
    assert len(found) == 1, f"{pattern!r} occurs {len(found)} times"
    return float(found[0])


DEFAULTS = published(r"best validation macro F1 is (0\.\d+)")
TWO_EPOCHS = published(r"reached a macro\s+F1 of (0\.\d+)")
CAMVID_CE = published(r"\| ce \| (0\.\d+) \| 0\.\d+ \| 8, ")


def train_and_test(words: list[object], folder: Path) -> dict:
    """Trains a run, evaluates it on its validation split, and returns metrics.json."""
    train = ["train", *words, "--logdir", folder, "--name", "run"]
    data = words[words.index("--datadir") :][:2] if "--datadir" in words else []
    model = folder / "run" / "model.onnx"
    test = ["test", "--modelpath", model, "--split", "val", *data, "--output", folder / "val"]
    for command in (train, test):
        assert command_line.main([str(word) for word in command]) == 0
    return json.loads((folder / "val" / "metrics.json").read_text())


@pytest.mark.slow
def test_defaults_learn_toy_streets(tmp_path):
    first = ["--recipe", "plain", "--max-steps", 160]
    result = train_and_test([] if IS_FAST else first, tmp_path)
    assert result["macro_f1"] >= (DEFAULTS - 0.08 if IS_FAST else TWO_EPOCHS - 0.12)
    assert all(row["f1"] > 0 for row in result["classes"].values()) or not IS_FAST


@pytest.mark.slow
@pytest.mark.skipif(not CAMVID.is_dir(), reason="the CamVid images are not beside the project")
@pytest.mark.skipif(not IS_FAST, reason="three quarters of an hour without bfloat16")
def test_ce_learns_camvid(tmp_path):
    words = ["--datadir", CAMVID, "--img-size", 192, 256, "--batch-size", 8, "--max-steps", 500]
    words += ["--recipe", "plain"]
    result = train_and_test([*words, "--loss", "ce"], tmp_path)
    assert result["macro_f1"] >= CAMVID_CE - 0.035


# ------------------------------------------------------------------------------------------- pages


def commands(text: str) -> list[str]:
    """The calls of the lab in the code blocks of a page, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"python (main|job)\.py |python -m teacher ", line)]


@pytest.mark.parametrize("line", sorted({*commands(README), *commands(RESULTS)}))
def test_command_is_taken(line):
    words = shlex.split(line)[1:]
    if words[0] == "-m":
        assert teacher_parser().parse_args(words[2:]).run
        return
    cut = words.index("--") if "--" in words else len(words)
    parser = (job if words[0] == "job.py" else command_line).build_parser()
    assert parser.parse_args(words[1:cut]).run
    if cut < len(words):
        assert command_line.build_parser().parse_args(words[cut + 1 :]).run


def test_pages_name_many_commands():
    assert len(commands(README)) >= 15 and len(commands(RESULTS)) >= 6


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "teacher/README.md"])
def test_links_lead_somewhere(page):
    text = (LAB / page).read_text(encoding="utf-8")
    headings = [title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)]
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (LAB / page).parent.joinpath(target).is_file(), target


@pytest.mark.parametrize("section", re.split(r"^##+ ", RESULTS, flags=re.MULTILINE)[1:])
def test_every_result_names_its_command(section):
    has_figures = re.search(r"\d\.\d", section) is not None
    assert not has_figures or re.search(r"make train|python (main|job)\.py|python -m", section)


@pytest.mark.parametrize("module", sorted(set(re.findall(r"-m (benchmarks\.\w+)", RESULTS))))
def test_benchmark_is_there(module):
    assert (LAB / module.replace(".", "/")).with_suffix(".py").is_file()


def test_tree_of_the_readme_is_the_house():
    """Every file and folder of the top level, every room, and no other."""
    tree = README.split("## The files")[1].split("```")[1]
    named = {
        name.rstrip(",") for line in tree.splitlines() for name in line.split("   ")[0].split()
    }
    rooms = {f"{name}/" for name in re.findall(r"^  (\w+)/ ", tree, re.MULTILINE)}
    done = subprocess.run(["git", "ls-files"], cwd=LAB, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git repository: its own files cannot be told from others")
    paths = [line.split("/") for line in done.stdout.splitlines() if line[0].isalpha()]
    top = {path[0] + "/" * (len(path) > 1) for path in paths}
    assert named - rooms == {name for name in top if name.endswith(("/", ".py"))}
    assert rooms == {f"{path[1]}/" for path in paths if path[0] in HALLS and len(path) > 2}


def test_answer_has_the_published_scores_of_the_losses():
    answer = (LAB / "teacher" / "answers" / "05_losses.md").read_text(encoding="utf-8")
    measured = " ".join(answer.split("Measured on the toy streets")[1].split())
    for loss in ("ce", "wce", "focal"):
        score, rarest = (rf"\| {loss} \| {first} ± " for first in (r"(0\.\d+)", r"0.*\| (0\.\d+)"))
        assert f"{published(score)} for `{loss}`" in measured
        assert f"{published(rarest)}" in measured


def test_readme_is_short():
    assert len(README.splitlines()) <= 170
