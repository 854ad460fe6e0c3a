"""The lab text: its commands run, its numbers follow, and its questions have answers."""

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import deploy
import lab
import main as command_line
from commands.companion.todos import BY_NUMBER
from losses import FocalLoss, class_weights
from metrics import (
    f1_per_class,
    iou_per_class,
    macro_f1,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from models import MODELS, UNet
from subject import figures, zoo_figures
from support.formats.cityscapes import CITYSCAPES
from teacher.__main__ import build_parser as teacher_parser
from teacher.__main__ import chosen
from teacher.build import COPIED
from zoo.losses_region import lovasz_slopes
from zoo.segformer import REDUCTIONS

LAB = Path(__file__).resolve().parent.parent
SUBJECT, ANSWERS = LAB / "subject", LAB / "teacher" / "answers"
PAGES = sorted(SUBJECT.glob("*.md"))
CHAPTERS = sorted(SUBJECT.glob("[01][0-9]_*.md"))
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUESTION = re.compile(r"^\*\*Question (\d+\.\d+)\.\*\*", re.MULTILINE)
TINY = ["--limit", "4", "--max-steps", "1", "--base-channels", "4", "--num-workers", "0"]
MAX_FIGURE_BYTES = 200_000
DATA_COMMANDS = ("show", "stats", "augment", "check", "prepare")


def blocks(tag: str) -> list[str]:
    """The fenced blocks of a kind in all pages."""
    return [body for text in TEXT.values() for found, body in BLOCK.findall(text) if found == tag]


def python_lines(text: str) -> list[str]:
    """The calls of Python in a shell script, the shell's variables replaced by 1."""
    found = re.findall(r"^(?:exec )?(python .*)$", text, re.MULTILINE)
    return [re.sub(r"\$\w+", "1", line) for line in found]


COMMANDS = sorted({line for block in blocks("sh") for line in block.splitlines()})


# ---------------------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder as a student has it who has trained: runs, a photo, the pretrained network."""
    folder = tmp_path_factory.mktemp("scratch")
    arguments = ["train", "--logdir", str(folder / "runs"), "--name", "base16", *TINY]
    assert command_line.main(arguments) == 0
    for name in ("ce", "wce", "focal", "leaves"):
        (folder / "runs" / name).mkdir()
        shutil.copy(folder / "runs" / "base16" / "model.onnx", folder / "runs" / name)
    shutil.copytree(LAB / "pretrained", folder / "pretrained")
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photo.jpg")
    return folder


def test_runnable_blocks_hold_python_commands_alone():
    assert len(COMMANDS) > 30
    assert all(line.startswith("python ") for line in COMMANDS)
    assert {tag for text in TEXT.values() for tag, _ in BLOCK.findall(text)} <= {
        "sh", "text", "python", "bash",
    }  # fmt: skip
    assert all(text.count("```") == 2 * len(BLOCK.findall(text)) for text in TEXT.values())


@pytest.mark.parametrize("line", COMMANDS)
def test_command_works(line, scratch, monkeypatch, capsys):
    monkeypatch.chdir(scratch)
    program, *words = shlex.split(line)[1:]
    if program == "main.py" and words[0] in DATA_COMMANDS:
        check_data_command(words, scratch)
    elif program == "main.py" and words[0] == "classes":
        assert command_line.main([words[0], str(write_leaves(scratch / words[1]))]) == 0
    elif program == "main.py" and "leaves" in words and words[0] == "test":
        assert callable(command_line.build_parser().parse_args(words).run)
    elif program == "main.py" and words[0] == "train":
        check_training(words, monkeypatch)
    elif program == "main.py":
        limit = ["--limit", "2"] if "--split" in words else []
        assert command_line.main([*words, *limit]) == 0
    elif program == "lab.py":
        args = lab.build_parser().parse_args(words)
        assert callable(args.run)
    else:
        assert program == "-m"
        check_module(*words)


def write_leaves(root: Path) -> Path:
    """A folder of one's own with two photographs and their masks."""
    for name in ("a", "b"):
        for layer in ("images", "masks"):
            (root / layer / "train").mkdir(parents=True, exist_ok=True)
            picture = np.random.default_rng(ord(name)).integers(0, 2, (32, 48), dtype=np.uint8)
            Image.fromarray(picture).save(root / layer / "train" / f"{name}.png")
    return root


def check_data_command(words: list[str], scratch: Path) -> None:
    """Looks at the toy streets; a command for Cityscapes is parsed alone."""
    args = command_line.build_parser().parse_args(words)
    if args.datadir is not None:
        return
    assert command_line.main(words) == 0
    assert (scratch / args.output).stat().st_size > 0


def check_training(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries a training with two steps; one for Cityscapes, or of a run to resume, is parsed."""
    args = command_line.build_parser().parse_args(words)
    if "resume" in args:
        return
    options, _ = command_line.training_options(args, scratch="nowhere")
    assert options.model in MODELS
    if options.datadir is None:
        # The export takes longer than all the rest, and `scratch` has made one.
        monkeypatch.setattr("deploy.export_onnx", lambda *arguments: None)
        quick = ["--img-size", "32", "64", "--num-workers", "0", "--dry-run"]
        assert command_line.main([*words, *quick]) == 0


def check_module(module: str, *words: str) -> None:
    """Checks a call of `python -m`."""
    if module == "pytest":
        assert set(words) <= set(COPIED), "the student edition has no such file"
    elif module == "teacher":
        args = teacher_parser().parse_args(words)
        assert chosen(args.todos)
    else:
        assert module == "tensorboard.main"
        assert words == ("--logdir", "runs")
        assert importlib.util.find_spec(module)


@pytest.mark.parametrize("script", blocks("bash"))
def test_batch_script_is_valid(script):
    if shutil.which("bash"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    assert len(python_lines(script)) == 1
    for line in python_lines(script):
        args = command_line.build_parser().parse_args(shlex.split(line)[2:])
        assert command_line.training_options(args)[0].base_channels == 64


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_prints_what_it_says(code, scratch, monkeypatch):
    monkeypatch.chdir(scratch)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "subject", "exec"), {})
    expected = re.findall(r"^print\(.*\)  # (.+)$", code, re.MULTILINE)
    assert printed.getvalue().splitlines() == expected


def test_flags_and_commands_in_running_text_exist():
    parsers = {"main.py": command_line, "lab.py": lab}
    inline = {
        line
        for text in TEXT.values()
        for line in re.findall(r"`(python [a-z]+\.py[^`]*)`", BLOCK.sub("", text))
    }
    assert len(inline) >= 5
    for line in inline:
        program, *words = shlex.split(line)[1:]
        with pytest.raises(SystemExit) as leaving:
            parsers[program].build_parser().parse_args([*words[:1], "--help"])
        assert leaving.value.code == 0, line
    files = ("commands/train.py", "commands/arguments.py", "lab.py")
    known = " ".join(Path(LAB / name).read_text() for name in files)
    for line in [*COMMANDS, *(line for script in blocks("bash") for line in python_lines(script))]:
        if "-m teacher" not in line and "tensorboard" not in line:
            assert all(f'"{flag}"' in known for flag in re.findall(r"--[a-z-]+", line)), line


# -------------------------------------------------------------------------- questions, TODOs, links


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_question_has_an_answer_under_its_number(chapter):
    questions = QUESTION.findall(TEXT[chapter.name])
    answers = QUESTION.findall((ANSWERS / chapter.name).read_text(encoding="utf-8"))
    number = int(chapter.name[:2])
    assert questions == [f"{number}.{i}" for i in range(1, len(questions) + 1)]
    assert answers == questions
    assert 4 <= len(questions) <= 9


def test_answers_are_of_chapters_that_exist():
    assert {path.name for path in ANSWERS.glob("[01][0-9]_*.md")} == {
        path.name for path in CHAPTERS
    }
    for page in ("README.md", "syllabus.md"):
        assert not QUESTION.search(TEXT[page])


def test_questions_that_are_referred_to_exist():
    asked = {number for text in TEXT.values() for number in QUESTION.findall(text)}
    texts = [*TEXT.values(), *(path.read_text(encoding="utf-8") for path in ANSWERS.glob("*.md"))]
    for text in texts:
        for numbers in re.findall(r"[Qq]uestions?[^.|:\d]*:? ((?:\d+\.\d+(?:, | and )?)+)", text):
            assert set(re.findall(r"\d+\.\d+", numbers)) <= asked


def test_every_todo_is_set_in_its_chapter():
    named = {n for text in TEXT.values() for n in re.findall(r"TODOs? (\d+\.\d+)", text)}
    assert named <= set(BY_NUMBER)
    set_in = {
        number: name
        for name, text in TEXT.items()
        for number in re.findall(r"\*\*TODO (\d+\.\d+)", text)
    }
    assert set(set_in) == set(BY_NUMBER)
    rows = re.findall(r"^\| \[.*?\]\((\w+\.md)\) \| ([^|]*) \| ", TEXT["README.md"], re.MULTILINE)
    table = {number: page for page, numbers in rows for number in re.findall(r"\d+\.\d+", numbers)}
    assert table == set_in
    assert [page for page, _ in rows] == [chapter.name for chapter in CHAPTERS]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", TEXT[page.name]):
        assert (SUBJECT / target).is_file(), target


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted(ANSWERS.glob("*.md"))], ids=lambda path: path.stem
)
def test_formulas_survive_markdown(page):
    text = re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text(encoding="utf-8")))
    assert text.count("$") % 2 == 0
    for block in re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL):
        assert f"\n\n$${block}$$\n\n" in text, "a formula of its own stands between empty lines"
    for formula in re.findall(r"\$\$?([^$]+)\$\$?", text):
        assert formula.count("{") == formula.count("}")
        assert not re.search(r"\\[^a-zA-Z ]", formula), "Markdown takes the backslash away"


# ----------------------------------------------------------------------------------------- numbers


def in_one_line(page: str) -> str:
    """A page without its line breaks."""
    return " ".join(TEXT[page].split())


def has_row(page: str, *cells: str) -> bool:
    return f"| {' | '.join(cells)} |" in TEXT[page]


def test_always_road_follows_from_the_shares():
    published = figures.CITYSCAPES_SHARES
    assert tuple(published) == CITYSCAPES.names
    assert sum(published.values()) == pytest.approx(100, abs=0.1)
    counts = figures.toy_counts("val").double()
    toy = (counts[0] / counts.sum()).item()
    for name, share in (
        ("Cityscapes, train", published["road"] / 100),
        ("toy streets, validation", toy),
    ):
        f1, k = 2 * share / (1 + share), len(CITYSCAPES)
        scores = f"{share:.3f}", f"{f1:.3f}", f"{f1 / k:.4f}", f"{share / k:.4f}", f"{1 / k:.4f}"
        assert has_row("04_metrics.md", name, *scores)


def test_always_road_agrees_with_the_metrics_of_the_lab():
    matrix = torch.zeros(19, 19, dtype=torch.int64)
    matrix[:, 0] = torch.tensor([round(1e6 * x) for x in figures.CITYSCAPES_SHARES.values()])
    scores = pixel_accuracy(matrix), f1_per_class(matrix)[0], macro_f1(matrix), mean_iou(matrix)
    cells = [f"{x:.{digits}f}" for x, digits in zip(scores, (3, 3, 4, 4), strict=True)]
    assert has_row("04_metrics.md", "Cityscapes, train", *cells, f"{mean_accuracy(matrix):.4f}")


def test_predictors_are_as_described():
    random, road, position, erased = figures.predictor_scores().values()
    text = in_one_line("04_metrics.md")
    assert f"It is {position[0]:.0%} right".replace("%", " %") in text
    assert f"with an accuracy of {erased[0]:.1%}.".replace("%", " %") in text
    assert f"Macro F1 says {erased[1]:.3f}." in text
    assert len(figures.commonest_per_position().unique()) == 6
    assert "knows only six of the 19 classes" in text
    assert f"its macro F1 {erased[1]:.3f}?" in text
    rarest = figures.toy_counts("train").argsort()[: figures.RAREST]
    named = re.search(r"five rarest classes road \(([^)]+)\)", text)[1]
    assert set(named.split(", ")) == {CITYSCAPES.names[k] for k in rarest}
    assert max(random) < 0.06 and road[0] > road[1]


def test_worked_confusion_matrix():
    text = TEXT["04_metrics.md"]
    rows = re.findall(r"^\| (?:road|car|person) \| (\d+) \| (\d+) \| (\d+) \| \d+ \|$", text, re.M)
    matrix = torch.tensor([[int(cell) for cell in row] for row in rows])
    recall = matrix.diagonal() / matrix.sum(dim=1)
    for name, values, mean in (
        ("recall", recall, mean_accuracy(matrix)),
        ("$F_1$", f1_per_class(matrix), macro_f1(matrix)),
        ("IoU", iou_per_class(matrix), mean_iou(matrix)),
    ):
        assert has_row("04_metrics.md", name, *(f"{x:.3f}" for x in [*values, mean]))
    assert f"{pixel_accuracy(matrix):.3f}. Means over" in in_one_line("04_metrics.md")


def test_answer_to_the_confusion_matrix():
    rows = re.search(r"rows \((.*?)\), \((.*?)\), \((.*?)\), compute", TEXT["04_metrics.md"])
    matrix = torch.tensor([[int(x) for x in row.split(", ")] for row in rows.groups()])
    answer = (ANSWERS / "04_metrics.md").read_text(encoding="utf-8")
    assert f"macro F1 {macro_f1(matrix):.3f}" in answer
    assert f"mean IoU {mean_iou(matrix):.3f}" in answer
    assert f"mean accuracy {mean_accuracy(matrix):.3f}" in answer
    assert f"Pixel accuracy 78/100 = {pixel_accuracy(matrix):.3f}" in answer


def test_data_chapter_counts_right():
    text = in_one_line("01_data.md")
    counts = figures.toy_counts("train")
    motorcycle, pole = CITYSCAPES.names.index("motorcycle"), CITYSCAPES.names.index("pole")
    for number in (counts[0], counts.sum(), counts[motorcycle], counts[pole]):
        assert f"{number.item():,}" in text
    assert f"a ratio of {counts[0] / counts[motorcycle]:.0f}." in text
    shares = sorted(figures.CITYSCAPES_SHARES.values())
    assert f"there are {shares[-1] / shares[0]:.0f} pixels of road" in text
    assert f"make up {sum(shares[-3:]):.1f} % of Cityscapes" in text
    assert f"make up {sum(shares[:10]):.2f} %" in text
    train = figures.toy_split("train")
    targets = [train.read_train_ids(index) for index in range(len(train))]
    for k, words in ((motorcycle, "motorcycles occur in {} scenes"), (pole, "poles in {} scenes")):
        assert words.format(sum(bool((target == k).any()) for target in targets)) in text
    void = np.mean([target == 255 for target in targets])
    assert f"it takes {void:.1%}".replace("%", " %") in text


def test_label_table_is_the_official_one():
    by_name = {label.name: label for label in CITYSCAPES.labels}
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) \| (\d+) \|$", TEXT["01_data.md"], re.M)
    assert len(rows) == 11
    for name, label_id, train_id in rows:
        assert (by_name[name].id, by_name[name].train_id) == (int(label_id), int(train_id))


def test_unet_chapter_has_the_shapes_of_the_model():
    shapes = figures.tensor_shapes(UNet(19, 4, 16), (128, 256))
    for level in range(4):
        channels, height, width = shapes[f"encoder.blocks.{level}.block2"]
        cells = f"{height} × {width}", str(channels), str(4 * channels)
        assert has_row("03_unet.md", str(level), *cells)
    assert shapes["encoder.bottom"] == (256, 8, 16)
    assert has_row("03_unet.md", "bottom", "8 × 16", "256", "1024")
    text = TEXT["03_unet.md"]
    with torch.device("meta"):
        small, middle, large = (UNet(19, 4, base) for base in (16, 32, 64))
    for part in (small, small.encoder, small.decoder, middle, large):
        assert f"{sum(each.numel() for each in part.parameters()):,}" in text


def test_loss_chapter_tables():
    counts = figures.toy_counts("train")
    shown = [CITYSCAPES.names.index(name) for name in ("road", "sidewalk", "car", "pole", "rider")]
    shown.append(CITYSCAPES.names.index("motorcycle"))
    for strategy in ("inverse", "sqrt"):
        weights = class_weights(counts, strategy)
        assert has_row("05_losses.md", f"`{strategy}`", *(f"{weights[k]:.3f}" for k in shown))
        ratio = (weights.max() / weights.min()).item()
        assert f"{ratio:.3g} with `{strategy}`" in TEXT["05_losses.md"]
    for p, digits in ((0.1, 3), (0.5, 3), (0.9, 4)):
        logits = torch.tensor([p, 1 - p]).log().view(1, 2, 1, 1)
        focal = FocalLoss(gamma=2.0)(logits, torch.zeros(1, 1, 1, dtype=torch.int64)).item()
        cross_entropy, factor = -np.log(p), (1 - p) ** 2
        cells = f"{p}", f"{cross_entropy:.3f}", f"{factor:.2f}", f"{focal:.{digits}f}"
        assert has_row(
            "05_losses.md", *cells, f"{cross_entropy / focal:.2g}".replace("1e+02", "100")
        )


def test_last_chapter_counts_pairs_and_bounds_the_iou():
    text = in_one_line("09_going_further.md")
    positions, keys = 512 * 1024 // 16, 512 * 1024 // (4 * REDUCTIONS[0]) ** 2
    assert f"{positions:,} positions" in text and f"leaves {keys} of them" in text
    assert positions**2 > 1e9 and f"{positions // keys} times fewer" in text
    errors = torch.tensor([0.9, 0.5, 0.2]).view(1, 1, 1, 3)
    slopes = lovasz_slopes(torch.cat([errors, errors], dim=1), torch.tensor([[[0, 1, 1]]]))[:, 1:]
    assert torch.allclose(slopes, torch.tensor(1 / 3))
    assert f"1.6 / 3 = {(errors * slopes).sum():.3f}" in text


def test_sizes_at_inference():
    answer = (ANSWERS / "07_deployment.md").read_text(encoding="utf-8")
    for photo in ((1080, 1920), (4032, 3024)):
        height, width = deploy.network_size(photo, (128, 256))
        padded = height + -height % 16, width + -width % 16
        assert f"{height}×{width}" in answer
        assert f"padded to {padded[0]}×{padded[1]}" in answer.lower()


# ----------------------------------------------------------------------------------------- figures


def test_figures_are_there_and_small():
    for name in (*figures.FIGURES, *zoo_figures.FIGURES):
        path = SUBJECT / "figures" / f"{name}.png"
        assert 1000 < path.stat().st_size < MAX_FIGURE_BYTES
        assert any(f"(figures/{name}.png)" in text for text in TEXT.values())


def test_figures_are_drawn_anew(tmp_path, capsys):
    args = figures.build_parser().parse_args(["--output", str(tmp_path)])
    assert args.run(args) == 0
    for name in figures.FIGURES:
        fresh, kept = tmp_path / f"{name}.png", SUBJECT / "figures" / f"{name}.png"
        assert np.allclose(Image.open(fresh).size, Image.open(kept).size, rtol=0.05)
        assert fresh.stat().st_size < MAX_FIGURE_BYTES


def test_results_figure_reads_histories(scratch, tmp_path, capsys):
    words = ["results", str(scratch / "runs" / "base16"), "--output", str(tmp_path)]
    args = figures.build_parser().parse_args(words)
    assert args.run(args) == 0
    assert (tmp_path / "results.png").stat().st_size > 1000


def test_results_figure_names_a_folder_that_is_no_run(tmp_path):
    args = figures.build_parser().parse_args(["results", str(tmp_path)])
    with pytest.raises(figures.LabError, match=r"no run with a readable history\.csv"):
        args.run(args)
