"""job.py with a Slurm and a training that are played: small programs on the PATH, and a main.py.

The played training keeps to the contract of the real one: it resumes where it was, saves itself on
a signal, and ends with 128 and its number. The batch scripts are run by bash.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import main as command_line
from commands.slurm import jobs
from commands.slurm.script import seconds_of
from commands.slurm.sweeps import grid_lines, named, repeated
from commands.slurm.trainings import JobError, options_of, safe_name

HERE = Path(__file__).resolve().parent.parent
PARTS = ("job.py", "commands/__init__.py")
PARTS += tuple(f"commands/command_line/{name}.py" for name in ("__init__", "advice", "run_folder"))
PARTS += tuple(f"commands/slurm/{path.name}" for path in (HERE / "commands/slurm").glob("*.py"))

MAIN = """\
import argparse, json, pathlib, signal, sys, time

parser = argparse.ArgumentParser()
for flag in ("--datadir", "--logdir", "--name", "--note", "--lr", "--loss", "--device", "--split",
             "--finetune-from"):
    parser.add_argument(flag)
parser.add_argument("--seed", default="0")
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--code", type=int, default=0)
parser.add_argument("--auto-resume", action="store_true")
args = parser.parse_args(sys.argv[2:])
run = pathlib.Path(args.logdir, args.name)
run.mkdir(parents=True, exist_ok=True)
config = {"arguments": vars(args), "argv": sys.argv[1:], "data_fingerprint": "train val"}
config["labels"] = {"name": "streets", "classes": []}
(run / "config.json").write_text(json.dumps(config))
last = run / "last.pt"
step = int(last.read_text()) if last.exists() else 0
with (run / "starts.txt").open("a") as file:
    file.write(f"{step}\\n")
stop = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: stop.append(number))
(run / "ready").touch()
while step < args.epochs:
    time.sleep(0.02)
    step += 1
    if stop:
        last.write_text(str(step))
        if stop[0] == signal.SIGINT:
            time.sleep(0.3)
            (run / "signals.txt").write_text(str(len(stop)))
        raise SystemExit(128 + stop[0])
last.write_text(str(step))
if args.code:
    print("error: as asked", file=sys.stderr)
    raise SystemExit(args.code)
rows = "".join(f"{i + 1},{i + 1},0.{i % 10},0.1\\n" for i in range(step))
(run / "history.csv").write_text("epoch,step,val_macro_f1,val_mean_iou\\n" + rows)
(run / "summary.txt").write_text("done")
"""

SBATCH = """\
#!/bin/bash
for word in "$@"; do printf '%s\\0' "$word"; done >> "$PLAY/sbatch"
printf '\\0' >> "$PLAY/sbatch"
env > "$PLAY/environment"
for word in "$@"; do case $word in --chdir=*) ls "${word#--chdir=}" > "$PLAY/folder" ;; esac; done
[ -e "$PLAY/refuse" ] && { cat "$PLAY/refuse" >&2; exit 1; }
number=$(cat "$PLAY/number" 2>/dev/null || echo 41)
echo $((number + 1)) > "$PLAY/number"
echo "$number;cluster"
"""

PROGRAMS = {
    "sbatch": SBATCH,
    "squeue": '#!/bin/bash\ncat "$PLAY/queue"\n',
    "sacct": '#!/bin/bash\necho "Slurm accounting storage is disabled" >&2\nexit 1\n',
    "scancel": '#!/bin/bash\necho "$@" >> "$PLAY/scancel"\n',
    "scontrol": '#!/bin/bash\necho "$@" >> "$PLAY/scontrol"\n'
    '[ -e "$PLAY/busy" ] && rm "$PLAY/busy" && exit 1\nexit 0\n',
    "srun": '#!/bin/bash\nprintf "%s\\n" "$@" > "$PLAY/srun"\nexec bash "$PLAY/ranks"\n',
}
TOYCITY = "import pathlib, sys\npathlib.Path(sys.argv[2]).mkdir(exist_ok=True)\n"


class Lab:
    """A committed lab in a folder with blanks and quotes, and a played Slurm."""

    def __init__(self, folder: Path) -> None:
        self.play, self.folder = folder / "play", folder / """Ann's "own" $HOME lab"""
        self.play.mkdir()
        (self.play / "queue").touch()
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name, text in PROGRAMS.items():
            self.write_program(name, text)
        for name in PARTS:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / name, self.folder / name)
        (self.folder / "main.py").write_text(MAIN)
        (self.folder / "toycity").mkdir()
        (self.folder / "toycity" / "__main__.py").write_text(TOYCITY)
        (self.folder / ".gitignore").write_text("/runs/\n/toydata/\n__pycache__/\n")
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("SLURM")
        }
        self.environment |= {"PLAY": str(self.play)}
        self.environment |= {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        self.git("init", "--quiet")
        self.commit()

    def write_program(self, name: str, text: str) -> None:
        """Puts a program on the PATH."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def git(self, *words: str) -> str:
        """Runs git in the lab."""
        return subprocess.run(
            ["git", *words], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def commit(self) -> None:
        """Commits everything."""
        self.git("add", "--all")
        author = ("-c", "user.name=Ann", "-c", "user.email=ann@localhost")
        self.git(*author, "commit", "--quiet", "--message=lab")

    def start(
        self, *words: object, start_new_session: bool = False, shell: str = "", **variables: str
    ) -> subprocess.Popen:
        """Starts job.py, after some commands of the shell."""
        return subprocess.Popen(
            ["/bin/sh", "-c", f'{shell}\nexec "$0" job.py "$@"', sys.executable, *map(str, words)],
            cwd=self.folder, text=True, env=self.environment | variables,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=start_new_session,
        )  # fmt: skip

    def call(self, *words: object, **variables: str) -> tuple[int, str, str]:
        """Runs job.py; returns its exit code and what it printed."""
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def submit(self, *words: object, **variables: str) -> Path:
        """Runs job.py, which has to submit a job; returns the job's folder."""
        before = set(self.folder.glob("jobs/*/"))
        code, _, err = self.call(*words, **variables)
        assert (code, err) == (0, "")
        (folder,) = set(self.folder.glob("jobs/*/")) - before
        return folder

    def refused(self, *words: object, **variables: str) -> str:
        """Runs job.py, which has to refuse in one line without a trace; returns the line."""
        before = set(self.folder.glob("jobs/*/"))
        code, out, err = self.call(*words, **variables)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1 and err.startswith("error: ")
        assert set(self.folder.glob("jobs/*/")) == before
        return err

    def submissions(self) -> list[list[str]]:
        """The words of every call of sbatch."""
        path = self.play / "sbatch"
        calls = path.read_text().split("\0\0")[:-1] if path.exists() else []
        return [call.split("\0") for call in calls]

    def asked(self, program: str) -> list[str]:
        """What a program of Slurm was called with, a line for each call."""
        path = self.play / program
        return path.read_text().splitlines() if path.exists() else []

    def start_script(self, folder: Path, **variables: object) -> subprocess.Popen:
        """Starts a job's batch script, as Slurm would."""
        given = {key: str(value) for key, value in ({"SLURM_JOB_ID": 41} | variables).items()}
        return subprocess.Popen(
            ["bash", str(folder / "job.sh")], cwd=folder, env=self.environment | given, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait_for(self, path: Path) -> None:
        """Waits for a file."""
        end = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < end, f"{path} does not come"
            time.sleep(0.01)

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / name


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def kept(run: Path) -> dict:
    return json.loads((run / "config.json").read_text())


# ------------------------------------------------------------------------- what Slurm is asked for


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("30:10", 1810), ("4:00:00", 14400), ("30:00:00", 108000), ("1-12", 129600),
     ("1-12:30", 131400), ("2-0:0:30", 0), ("2-00:00:30", 172830), ("0", 0), ("4h", 0), ("", 0),
     ("-5", 0), ("1:75", 0), ("1-25", 0), ("1:2:3:4", 0), ("٣", 0), ("UNLIMITED", 0)],
)  # fmt: skip
def test_time_is_read_as_slurm_reads_it(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "option",
    ["--time=4h", "--time=0", "--time=1:75", "--mem=32", "--mem=32GB", "--mem=0G", "--nodes=0",
     "--gpus-per-node=0", "--gpus-per-node=two", "--gpus-per-node=a100:", "--partition=a b",
     "--slurm-option=--comment='x'", "--account=x\n#SBATCH --uid=0", "--grace=1", "--cpus=-1",
     "--time=2", "--grace=70000", "--slurm-option=--array=0-3", "--slurm-option=exclude=n3",
     "--slurm-option=--no-requeue", "--slurm-option=--gres=gpu:2"],
)  # fmt: skip
def test_wrong_values_never_reach_slurm(lab, option):
    line = lab.refused("submit", option, "--", "train")
    assert option.partition("=")[0] in line
    assert not lab.submissions()


def test_submission_is_a_list_of_words(lab):
    options = ["--time=4:00:00", "--mem=32g", "--gpus-per-node=a100:1", "--partition=gpu"]
    folder = lab.submit("submit", *options, "--slurm-option=--exclude=n3", "--", "train")
    (words,) = lab.submissions()
    assert words[0] == "--parsable" and words[1] == f"--chdir={folder}"
    assert words[-1] == str(folder / "job.sh")
    for word in ("--time=4:00:00", "--mem=32G", "--gres=gpu:a100:1", "--partition=gpu",
                 "--exclude=n3", "--open-mode=append", "--output=slurm-%j.out", "--requeue",
                 "--signal=B:USR1@120"):  # fmt: skip
        assert words.count(word) == 1
        assert f"#SBATCH {word}\n" in (folder / "job.sh").read_text()


def test_folder_is_complete_before_the_submission(lab):
    folder = lab.submit("submit", "--", "train", "--name", "b")
    assert {"code", "job.json", "job.sh"} <= set(lab.asked("folder"))
    assert (lab.folder / "runs").is_dir()
    record = json.loads((folder / "job.json").read_text())
    assert record["job"] == "41" and record["commit"] == lab.git("rev-parse", "HEAD").strip()
    assert record["runs"][0]["folder"] == str(lab.run("b"))


def test_variables_of_another_job_are_not_passed_on(lab):
    lab.submit("submit", "--", "train", SLURM_CPUS_PER_TASK="7", SLURM_CONF="/there", MINE="1")
    names = {line.partition("=")[0] for line in lab.asked("environment")}
    assert "SLURM_CPUS_PER_TASK" not in names and {"SLURM_CONF", "MINE"} <= names


def test_local_sweep_has_one_process(lab):
    words = ["--grid", "lr=1", "--local", "--processes-per-node", 2, "--", "train"]
    assert "--local trains in one process" in lab.refused("sweep", *words)


def test_names_are_made_safe(lab):
    folder = lab.submit("submit", "--", "train", "--name", "Ann's 100%j run")
    assert "--job-name=Ann-s-100-j-run" in lab.submissions()[0]
    assert folder.name.startswith("Ann-s-100-j-run-")
    assert safe_name("../..") == "lab" and safe_name("ä" * 9) == "lab"


@pytest.mark.parametrize("name", ["a/b", "..", ""])
def test_name_that_is_a_path_is_refused(lab, name):
    assert "must be a plain folder name" in lab.refused("submit", "--", "train", "--name", name)


@pytest.mark.parametrize("words", [(), ("--",), ("--", "test"), ("--", "--epochs", "3")])
def test_what_to_train_must_be_said(lab, words):
    assert "-- train" in lab.refused("submit", *words)


# ------------------------------------------------------------------------------- the code that runs


def test_later_changes_do_not_reach_the_job(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    (lab.folder / "main.py").write_text("raise SystemExit(9)")
    assert lab.start_script(folder).wait(20) == 0
    assert (lab.run("one") / "summary.txt").exists()


@pytest.mark.parametrize("name", ["main.py", "new.py"])
def test_uncommitted_code_is_refused(lab, name):
    (lab.folder / name).write_text(MAIN + "\n")
    line = lab.refused("submit", "--", "train")
    assert name in line and "--allow-dirty" in line
    assert not lab.submissions()


def test_uncommitted_code_is_taken_along_when_allowed(lab):
    (lab.folder / "notes.txt").write_text("old")
    lab.commit()
    (lab.folder / "notes.txt").unlink()
    (lab.folder / "main.py").write_text(MAIN + "\n# changed\n")
    (lab.folder / "new.bin").write_bytes(bytes(range(256)))
    index = lab.git("status", "--porcelain")
    folder = lab.submit("submit", "--allow-dirty", "--", "train")
    assert lab.git("status", "--porcelain") == index
    code = folder / "code"
    assert (code / "main.py").read_text().endswith("# changed\n")
    assert (code / "new.bin").read_bytes() == bytes(range(256))
    assert not (code / "notes.txt").exists()
    assert json.loads((folder / "job.json").read_text())["commit"].endswith("+changes")
    assert (code / "COMMIT").read_text() == lab.git("rev-parse", "HEAD").strip() + "+changes\n"
    again = lab.folder.parent / "again"
    lab.git("worktree", "add", "--quiet", str(again), "HEAD")
    subprocess.run(["git", "apply", str(folder / "changes.diff")], cwd=again, check=True)
    assert (again / "new.bin").read_bytes() == bytes(range(256))
    assert not (again / "notes.txt").exists()


def test_data_and_results_in_the_lab_are_no_changes(lab):
    for name in ("results", "my data"):
        (lab.folder / name).mkdir()
        (lab.folder / name / "file").write_text("large")
    words = ["train", "--datadir", "my data", "--logdir", "results"]
    folder = lab.submit("submit", "--", *words)
    assert not (folder / "code" / "my data").exists()
    lab.submit("submit", "--job-name", "second", "--", *words)
    (lab.folder / "main.py").write_text(MAIN + "\n")
    lab.submit("submit", "--allow-dirty", "--job-name", "third", "--", *words)


def test_lab_in_a_folder_of_a_repository_is_taken_alone(lab):
    outer = lab.folder.parent / "course"
    outer.mkdir()
    shutil.rmtree(lab.folder / ".git")
    (outer / "essay.txt").write_text("not the lab's")
    lab.folder = lab.folder.rename(outer / "lab")
    subprocess.run(["git", "init", "--quiet", str(outer)], check=True)
    lab.commit()
    folder = lab.submit("submit", "--", "train")
    assert (folder / "code" / "main.py").exists()


@pytest.mark.parametrize("is_repository", [True, False])
def test_lab_without_a_commit_is_told_what_to_do(lab, is_repository):
    shutil.rmtree(lab.folder / ".git")
    if is_repository:
        lab.git("init", "--quiet")
    line = lab.refused("submit", "--", "train", GIT_CEILING_DIRECTORIES=str(lab.folder.parent))
    assert "git init && git add -A && git commit" in line


# ---------------------------------------------------------------------------------- paths and words


def test_words_reach_the_training_as_they_were_typed(lab):
    note = """it's "$(touch bad)" `touch bad` $HOME ; * \\ ä"""
    data = lab.folder.parent / note.replace("/", "")
    data.mkdir()
    words = ["--note", note, "--datadir", f"../{data.name}", "--logdir=my 'runs'", "--name", note]
    folder = lab.submit("submit", "--", "train", *words)
    assert lab.start_script(folder).wait(20) == 0
    arguments = kept(lab.folder / "my 'runs'" / note)["arguments"]
    assert arguments["note"] == arguments["name"] == note
    assert arguments["datadir"] == str(data)
    assert arguments["logdir"] == str(lab.folder / "my 'runs'")
    assert not list(lab.folder.parent.rglob("bad"))


def test_missing_data_is_noticed_at_once(lab):
    assert "--datadir citiscapes" in lab.refused("submit", "--", "train", "--datadir", "citiscapes")


def test_toy_data_is_made_once_beside_the_lab(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    assert (lab.folder / "toydata").is_dir()
    lab.start_script(folder).wait(20)
    assert kept(lab.run("one"))["arguments"]["datadir"] == str(lab.folder / "toydata")


def test_gpu_that_is_asked_for_is_insisted_on(lab):
    code, out, _ = lab.call("submit", "--gpus-per-node", 1, "--dry-run", "--", "train")
    assert code == 0 and " --device cuda " in out
    words = ["train", "--device", "auto"]
    assert (
        " --device auto " in lab.call("submit", "--gpus-per-node=1", "--dry-run", "--", *words)[1]
    )
    assert "--device" not in lab.call("submit", "--dry-run", "--", "train")[1]


def test_existing_run_resumes_only_when_asked(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one", "--epochs", 2)
    lab.start_script(folder).wait(20)
    line = lab.refused("submit", "--", "train", "--name", "one")
    assert "-- train --resume" in line
    folder = lab.submit("submit", "--", "train", "--resume", "runs/one", "--epochs", 5)
    lab.start_script(folder).wait(20)
    assert (lab.run("one") / "starts.txt").read_text().split() == ["0", "2"]
    assert kept(lab.run("one"))["arguments"]["datadir"] == str(lab.folder / "toydata")
    assert "no such" in lab.refused("submit", "--", "train", "--resume", "runs/none")


def test_real_training_takes_the_arguments(lab):
    code, out, _ = lab.call("sweep", "--local", "--dry-run", "--grid", "lr=1e-3", "--", "train")
    assert code == 0
    args = command_line.build_parser().parse_args(shlex.split(out)[2:])
    assert args.auto_resume and args.lr == 1e-3 and args.name == "lr1e-3"


# --------------------------------------------------------------------------------- the batch script


def submit_long(lab: Lab, *options: object) -> Path:
    return lab.submit("submit", *options, "--", "train", "--name", "one", "--epochs", 300)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SLURM_JOB_ID": 57}, "57"),
        ({"SLURM_JOB_ID": 58, "SLURM_ARRAY_JOB_ID": 57, "SLURM_ARRAY_TASK_ID": 0}, "57_0"),
    ],
)
def test_time_limit_saves_and_requeues_under_the_right_name(lab, variables, name):
    if name == "57":
        folder = submit_long(lab)
    else:
        grid = ["--grid", "loss=one,two", "--", "train", "--epochs", 300]
        folder = lab.submit("sweep", *grid)
    script = lab.start_script(folder, **variables)
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == 0
    assert lab.asked("scontrol") == [f"requeue {name}"]
    step = int((lab.run("one") / "last.pt").read_text())
    assert 0 < step < 300
    script = lab.start_script(folder, SLURM_RESTART_COUNT=1, **variables)
    out, _ = script.communicate(timeout=30)
    assert script.returncode == 0 and f"job {name} " in out and "start 2" in out
    assert (lab.run("one") / "starts.txt").read_text().split() == ["0", str(step)]
    assert lab.asked("scontrol") == [f"requeue {name}"]


def test_several_signals_are_one(lab):
    folder = submit_long(lab)
    for start in range(1, 6):
        script = lab.start_script(folder)
        lab.wait_for(lab.run("one") / "ready")
        for _ in range(6):
            script.send_signal(signal.SIGUSR1)
            time.sleep(0.003)
        assert script.wait(20) == 0
        assert lab.asked("scontrol") == ["requeue 41"] * start
        (lab.run("one") / "ready").unlink()


def test_signal_before_the_training_is_not_lost(lab):
    begun = shlex.quote(str(lab.play / "begun"))
    script = lab.start_script(submit_long(lab, f"--setup=touch {begun}; sleep 0.5"))
    lab.wait_for(lab.play / "begun")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == 0
    assert lab.asked("scontrol") == ["requeue 41"]
    assert not lab.run("one").exists()


def test_end_before_the_training_is_no_restart(lab):
    begun = shlex.quote(str(lab.play / "begun"))
    script = lab.start_script(submit_long(lab, f"--setup=touch {begun}; sleep 0.5"))
    lab.wait_for(lab.play / "begun")
    script.send_signal(signal.SIGTERM)
    assert script.wait(20) == 143
    assert lab.asked("scontrol") == []


def test_signal_that_comes_too_late_changes_nothing(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one", "--epochs", 1)
    main = folder / "code" / "main.py"
    main.write_text(MAIN.replace("if stop:", "if False:").replace("0.02", "1"))
    script = lab.start_script(folder)
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == 0
    assert lab.asked("scontrol") == []


@pytest.mark.parametrize("code", [1, 2, 3, 137])
def test_failure_keeps_its_code_and_is_not_requeued(lab, code):
    folder = lab.submit("submit", "--", "train", "--name", "one", "--code", code)
    assert lab.start_script(folder).wait(20) == code
    assert lab.asked("scontrol") == []


def test_end_by_slurm_saves_and_is_not_requeued(lab):
    script = lab.start_script(submit_long(lab))
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGTERM)
    assert script.wait(20) == 143
    assert lab.asked("scontrol") == []
    assert int((lab.run("one") / "last.pt").read_text()) > 0


@pytest.mark.parametrize(("count", "expected"), [(2, ["requeue 41"]), (3, [])])
def test_restarts_are_limited(lab, count, expected):
    script = lab.start_script(submit_long(lab, "--max-restarts", 3), SLURM_RESTART_COUNT=count)
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == (0 if expected else 138)
    assert lab.asked("scontrol") == expected


def test_requeue_is_tried_again(lab):
    (lab.play / "busy").touch()
    lab.write_program("sleep", "#!/bin/bash\nexec /bin/sleep 0.1\n")
    script = lab.start_script(submit_long(lab))
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == 0
    assert lab.asked("scontrol") == ["requeue 41"] * 2


def test_variables_of_the_user_do_not_disturb_the_script(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    disturbing = {"signal": "USR1", "training": "1", "woken": "yes", "code": "138"}
    assert lab.start_script(folder, **disturbing).wait(20) == 0
    assert lab.asked("scontrol") == []


def test_environment_can_be_made_by_a_command(lab):
    folder = lab.submit("submit", "--setup=export A=1; python=echo", "--", "train")
    out, _ = lab.start_script(folder).communicate(timeout=20)
    assert "main.py train --auto-resume" in out
    folder = lab.submit("submit", "--setup=false", "--job-name=b", "--", "train")
    assert lab.start_script(folder).wait(20) == 1
    assert "--setup" in lab.refused("submit", "--setup=if true", "--", "train")


# ------------------------------------------------------------------------------- several processes

RANKS = 'trap "exit 1" USR1\ntouch "$PLAY/ready"\nwhile :; do sleep 0.05; done\n'
TORCHRUN = "-m torch.distributed.run"


def submit_parallel(lab: Lab, ranks: str) -> Path:
    (lab.play / "ranks").write_text(ranks)
    return lab.submit("submit", "--nodes", 2, "--processes-per-node", 4, "--cpus", 3, "--", "train")


def test_several_processes_are_started_by_srun_and_torchrun(lab):
    folder = submit_parallel(lab, "exit 0")
    (words,) = lab.submissions()
    assert {"--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=12"} <= set(words)
    assert lab.start_script(folder, SLURM_JOB_ID=45678, SLURM_JOB_NUM_NODES=2).wait(20) == 0
    text = " ".join(lab.asked("srun"))
    assert TORCHRUN in text and "--nnodes=2" in text and "--nproc-per-node=4" in text
    assert "--rdzv-backend=c10d" in text and "--cpus-per-task=12" in text
    assert "SIGUSR1" in text and ":15678 " in text
    assert TORCHRUN not in lab.call("submit", "--dry-run", "--", "train")[1]


@pytest.mark.parametrize("count", ["a100:4", "gpu:a100:4"])
def test_gpus_give_the_number_of_processes(lab, count):
    out = lab.call("submit", "--gpus-per-node", count, "--dry-run", "--", "train")[1]
    assert "#SBATCH --gres=gpu:a100:4\n" in out and "\nprocesses=4\n" in out


def test_several_processes_that_were_stopped_are_requeued(lab):
    script = lab.start_script(submit_parallel(lab, RANKS), SLURM_JOB_NUM_NODES=2)
    lab.wait_for(lab.play / "ready")
    script.send_signal(signal.SIGUSR1)
    assert script.wait(20) == 0
    assert lab.asked("scontrol") == ["requeue 41"]


def test_several_processes_that_failed_are_not_requeued(lab):
    assert lab.start_script(submit_parallel(lab, "exit 1"), SLURM_JOB_NUM_NODES=2).wait(20) == 1
    assert lab.asked("scontrol") == []


# ------------------------------------------------------------------------------ Slurm's own answers


def test_status_that_nobody_reads_is_no_error(lab):
    process = lab.start("status")
    process.stdout.close()  # as `head -0` does
    assert (process.wait(20), process.stderr.read()) == (0, "")


def test_missing_slurm_is_explained(lab):
    for program in lab.programs.iterdir():
        program.unlink()
    (lab.programs / "git").symlink_to(shutil.which("git"))
    line = lab.refused("submit", "--", "train", PATH=str(lab.programs))
    assert "sbatch was not found" in line and "--dry-run" in line


def test_silent_controller_is_an_error(lab):
    path = lab.folder / "commands" / "slurm" / "jobs.py"
    path.write_text(path.read_text().replace("ANSWER_SECONDS = 60", "ANSWER_SECONDS = 0.5"))
    lab.commit()
    lab.write_program("sbatch", "#!/bin/bash\nexec sleep 20\n")
    code, _, err = lab.call("submit", "--", "train")
    assert code == 2 and "no answer" in err and "squeue --me" in err
    assert lab.call("status")[1].startswith("no jobs")


def test_refusal_is_passed_on_and_leaves_nothing(lab):
    reason = "sbatch: error: invalid partition specified: nowhere\n"
    (lab.play / "refuse").write_text(reason + "sbatch: error: Batch job submission failed: No\n")
    line = lab.refused("submit", "--partition", "nowhere", "--", "train")
    assert "invalid partition specified: nowhere; Batch job submission failed" in line


def test_check_asks_without_submitting(lab):
    lab.write_program(
        "sbatch", SBATCH.replace('echo "$number', 'echo "sbatch: Job 7 to start" >&2 #')
    )
    code, out, _ = lab.call("submit", "--check", "--", "train")
    assert (code, out) == (0, "Job 7 to start\n")
    assert "--test-only" in lab.submissions()[0]
    assert not (lab.folder / "jobs").exists() and not (lab.folder / "toydata").exists()


def test_dry_run_needs_neither_slurm_nor_git(lab):
    shutil.rmtree(lab.programs)
    shutil.rmtree(lab.folder / ".git")
    words = ["--time=1-0", "--then-test", "--nodes=2", "--setup=module load x", "--", "train"]
    code, out, err = lab.call("submit", "--dry-run", *words)
    assert (code, err) == (0, "")
    scripts = out.split("#!/bin/bash\n")[1:]
    assert len(scripts) == 2
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert not (lab.folder / "jobs").exists()


def test_then_test_depends_on_success(lab):
    words = ["--then-test", "--", "train", "--name", "one", "--cities-val", "a", "b", "--lr", "1"]
    folder = lab.submit("submit", *words)
    first, second = lab.submissions()
    assert {"--dependency=afterok:41", "--kill-on-invalid-dep=yes"} <= set(second)
    assert not any(word.startswith("--dependency") for word in first)
    assert second[-1] == str(folder / "test.sh")
    command = shlex.split((folder / "test.sh").read_text().split("exec ")[1])
    args = command_line.build_parser().parse_args(command[2:])
    assert args.modelpath == lab.run("one") / "model.onnx" and args.cities == ["a", "b"]
    assert args.limit is None
    assert json.loads((folder / "job.json").read_text())["test_job"] == "42"
    lab.run("one").joinpath("test_val").mkdir(parents=True)
    lab.run("one").joinpath("test_val", "metrics.json").write_text('{"macro_f1": 0.25}')
    row = lab.call("status")[1].splitlines()[2].split()
    assert row[0] == "42" and {"test", "one", "0.2500", "finished"} <= set(row)


def test_then_test_looks_at_as_many_images_as_the_training(lab):
    out = lab.call("submit", "--then-test", "--dry-run", "--", "train", "--limit", "9")[1]
    assert "--limit 9" in out.split("exec ")[1]


def test_training_whose_test_is_refused_is_not_left_behind(lab):
    refusing = SBATCH.replace("[ -e", 'case "$*" in *afterok*) exit 1 ;; esac\n[ -e')
    lab.write_program("sbatch", refusing)
    lab.refused("submit", "--then-test", "--", "train")
    assert lab.asked("scancel") == ["41"]


# ------------------------------------------------------------------------------------------- sweeps

GRID = ["--grid", "lr=1e-3,3e-4", "loss=ce,wce,focal", "--repeat", "3"]


def test_grid_is_a_product_with_names_of_what_differs():
    lines = named(repeated(grid_lines(["lr=1e-3,3e-4", "loss=ce,wce,focal"]), 3, ["--epochs", "5"]))
    names = [options_of(line)["--name"][0] for line in lines]
    assert len(set(names)) == 18
    assert names[0] == "lr1e-3-ce-seed0" and names[-1] == "lr3e-4-focal-seed2"
    assert options_of(lines[5]) == {
        "--lr": ["1e-3"], "--loss": ["wce"], "--seed": ["2"], "--name": ["lr1e-3-wce-seed2"],
    }  # fmt: skip


def test_seeds_follow_the_common_one():
    lines = repeated([["--lr", "1"]], 2, ["--seed", "7"])
    assert lines == [["--lr", "1", "--seed", "7"], ["--lr", "1", "--seed", "8"]]
    with pytest.raises(JobError, match="--repeat"):
        repeated([["--seed", "1"]], 2, [])


@pytest.mark.parametrize(
    "lines",
    [[["--lr", "1"], ["--lr", "1"]], [["--data", "a/b"], ["--data", "a-b"]],
     [["--lr", "1", "--name", "x"], ["--lr", "2", "--name", "X"]]],
)  # fmt: skip
def test_names_that_collide_are_refused(lines):
    with pytest.raises(JobError, match="two runs"):
        named(lines)


@pytest.mark.parametrize("item", ["lr", "lr=", "=1", "lr=1,,2"])
def test_malformed_grid_is_refused(item):
    with pytest.raises(JobError, match="--grid"):
        grid_lines([item])


def test_given_names_show_the_seed():
    lines = named(repeated([["--lr", "1", "--name", "slow"], ["--lr", "2"]], 2, []))
    names = [options_of(line)["--name"][0] for line in lines]
    assert names == ["slow-seed0", "slow-seed1", "lr2-seed0", "lr2-seed1"]


@pytest.mark.parametrize("option", ["--name=x", "--resume=x"])
def test_sweep_names_its_runs_itself(lab, option):
    assert "names its runs" in lab.refused("sweep", *GRID, "--", "train", option)


def test_values_of_several_words():
    lines = grid_lines(["img-size=64 128,128 256"])
    assert lines == [["--img-size", "64", "128"], ["--img-size", "128", "256"]]
    assert [line[-1] for line in named(lines)] == ["img-size64x128", "img-size128x256"]


def test_sweep_is_one_array_limited_at_a_time(lab):
    folder = lab.submit("sweep", *GRID, "--at-most", 4, "--", "train", "--epochs", 1)
    (words,) = lab.submissions()
    assert "--array=0-17%4" in words and "--output=slurm-%A_%a.out" in words
    runs = json.loads((folder / "job.json").read_text())["runs"]
    for index in (0, 17):
        job = {"SLURM_JOB_ID": 59 + index, "SLURM_ARRAY_JOB_ID": 41, "SLURM_ARRAY_TASK_ID": index}
        assert lab.start_script(folder, **job).wait(20) == 0
        argv = kept(Path(runs[index]["folder"]))["argv"]
        assert argv == ["train", "--auto-resume", *runs[index]["arguments"]]
    assert {path.name for path in lab.run("").iterdir()} == {
        "lr1e-3-ce-seed0",
        "lr3e-4-focal-seed2",
    }


def test_array_and_this_machine_train_the_same_runs(lab):
    words = [*GRID, "--", "train", "--epochs", "5"]
    folder = lab.submit("sweep", *words)
    record = json.loads((folder / "job.json").read_text())
    lines = lab.call("sweep", "--local", "--dry-run", *words)[1].splitlines()
    assert [shlex.split(line)[4:] for line in lines] == [run["arguments"] for run in record["runs"]]
    runs_file = ["--runs", folder / "runs.txt", "--", "train", "--epochs", "5"]
    again = lab.call("sweep", "--local", "--dry-run", *runs_file)[1].splitlines()
    assert [options_of(shlex.split(line)[4:]) for line in again] == [
        options_of(run["arguments"]) for run in record["runs"]
    ]


def test_file_of_runs_may_be_written_by_hand(lab):
    text = "# a study\n\n--lr 1e-3  # slow\n--lr 1e-2 --note 'two words'\n--loss ce --name base\n"
    (lab.folder / "study.txt").write_text(text)
    lab.commit()
    words = ["--runs", "study.txt", "--local", "--", "train"]
    code, out, err = lab.call("sweep", *words)
    assert (code, err) == (0, "")
    names = {path.name for path in lab.run("").iterdir()}
    assert names == {"lr1e-3", "lr1e-2-note-two-words", "base"}
    assert kept(lab.run("lr1e-2-note-two-words"))["arguments"]["note"] == "two words"
    assert "python main.py compare runs/lr1e-3" in out


@pytest.mark.parametrize(
    ("text", "where"), [("--lr 'x\n", "line 1"), ("\nlr 1\n", "line 2"), ("# none\n", "no line")]
)
def test_damaged_file_of_runs_is_refused(lab, text, where):
    (lab.folder / "study.txt").write_text(text)
    assert where in lab.refused("sweep", "--runs", "study.txt", "--local", "--", "train")


CHAIN = "--lr 1\n--lr 2 --name coarse  # the second\n--lr 3\n"


def test_a_chain_hands_the_weights_on_and_has_a_run_for_each_stage_and_seed(lab):
    (lab.folder / "chain.txt").write_text(CHAIN)
    words = ["sweep", "--chain", "chain.txt", "--repeat", 2, "--local", "--", "train"]
    assert lab.call(*words)[0] == 0
    begun = {}
    for name in ("stage1", "coarse", "stage3"):
        for seed in ("0", "1"):
            run = lab.run(f"{name}-seed{seed}")
            begun[name, seed] = json.loads((run / "config.json").read_text())["arguments"]
    assert begun["stage1", "1"]["finetune_from"] is None
    assert begun["coarse", "1"]["finetune_from"] == str(lab.run("stage1-seed1"))
    assert begun["stage3", "0"]["finetune_from"] == str(lab.run("coarse-seed0"))
    assert [begun[name, "1"]["lr"] for name in ("stage1", "coarse", "stage3")] == ["1", "2", "3"]
    assert "finished before" in lab.call(*words)[1]


def test_a_stage_that_fails_ends_its_chain(lab):
    (lab.folder / "chain.txt").write_text("--name a\n--name b --code 3\n--name c\n")
    code, out, _ = lab.call("sweep", "--chain", "chain.txt", "--local", "--", "train")
    assert code == 1 and "FAILED (3)" in out
    assert lab.run("a").exists() and not lab.run("c").exists()


def test_the_stages_of_a_chain_are_jobs_that_wait_for_each_other(lab):
    (lab.folder / "chain.txt").write_text(CHAIN)
    words = ["sweep", "--chain", "chain.txt", "--allow-dirty", "--", "train"]
    assert lab.call(*words)[0] == 0
    sent = (lab.play / "sbatch").read_text().split("\0")
    waits = [word for word in sent if word.startswith("--dependency")]
    assert waits == ["--dependency=afterok:41", "--dependency=afterok:42"]
    assert sent.count("--kill-on-invalid-dep=yes") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--lr 1\n--finetune-from x\n", "stage 2 begins with the weights of the one before it"),
        ("--name a\n--name a\n", "two stages have one name"),
        ("--lr 1\n--lr 2 --name Stage1\n", "two stages have one name"),
        ("--lr 1\n--weights x\n", "stage 2 begins with the weights of the one before it, not"),
        ("", "no line describes a run"),
    ],
)
def test_a_chain_that_is_none_is_refused(lab, text, words):
    (lab.folder / "chain.txt").write_text(text)
    assert words in lab.refused("sweep", "--chain", "chain.txt", "--local", "--", "train")
    both = ["sweep", "--chain", "chain.txt", "--grid", "lr=1", "--local", "--", "train"]
    assert "--chain stands alone" in lab.refused(*both)


def test_either_grid_or_file():
    lines = [["sweep", "--local"], ["sweep", "--grid", "a=1", "--runs", "x"]]
    for words in lines:
        done = subprocess.run(
            [sys.executable, str(HERE / "job.py"), *words, "--", "train"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and "--grid" in done.stderr


def test_local_sweep_resumes_where_it_was_stopped(lab):
    words = ["sweep", "--local", "--grid", "loss=ce,wce,focal", "--", "train", "--epochs", 60]
    process = lab.start(*words)
    lab.wait_for(lab.run("wce") / "ready")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130 and "the same command resumes it" in out
    assert not lab.run("focal").exists()
    step = int((lab.run("wce") / "last.pt").read_text())
    assert 0 < step < 60
    code, out, _ = lab.call(*words)
    assert code == 0 and "finished before" in out and "resumes" in out
    starts = {name: (lab.run(name) / "starts.txt").read_text().split() for name in ("ce", "wce")}
    assert starts == {"ce": ["0"], "wce": ["0", str(step)]}
    assert (lab.run("focal") / "summary.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="groups of processes")
def test_ctrl_c_reaches_the_training_once(lab):
    words = ["sweep", "--local", "--grid", "loss=ce", "--", "train", "--epochs", 300]
    process = lab.start(*words, start_new_session=True)
    lab.wait_for(lab.run("ce") / "ready")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert (lab.run("ce") / "signals.txt").read_text() == "1"


@pytest.mark.parametrize("shell", ["", "trap '' INT"], ids=["in front", "in the background"])
def test_local_sweep_is_ended_by_its_scheduler_too(lab, shell):
    words = ["sweep", "--local", "--grid", "loss=ce", "--", "train", "--epochs", 300]
    process = lab.start(*words, shell=shell)
    lab.wait_for(lab.run("ce") / "ready")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_failed_run_does_not_end_a_local_sweep(lab):
    words = ["--local", "--grid", "code=0,3", "loss=ce,wce", "--", "train"]
    code, out, err = lab.call("sweep", *words)
    assert code == 1 and "2 of 4 runs failed" in err
    assert out.count("FAILED (3): as asked") == 2
    assert sum((run / "summary.txt").exists() for run in lab.run("").iterdir()) == 2
    code, out, _ = lab.call("sweep", *words)
    assert code == 1 and out.count("finished before") == 2


def test_finished_run_of_other_arguments_is_not_taken_for_this_one(lab):
    words = ["sweep", "--local", "--grid", "loss=ce,wce", "--", "train", "--epochs"]
    assert lab.call(*words, 2)[0] == 0
    assert "finished before" not in lab.call(*words, 3)[1]
    assert (lab.run("ce") / "last.pt").read_text() == "3"


def test_array_leaves_finished_runs_out(lab):
    words = ["--grid", "loss=ce,wce,focal", "--", "train"]
    folder = lab.submit("sweep", *words)
    job = {"SLURM_ARRAY_JOB_ID": 41, "SLURM_ARRAY_TASK_ID": 1}
    assert lab.start_script(folder, **job).wait(20) == 0
    code, _, err = lab.call("sweep", *words)
    assert code == 0 and "1 of 3" in err
    assert "--array=0-1" in lab.submissions()[1]


# ------------------------------------------------------------------------------- status and cancel


def test_status_shows_epochs_and_scores(lab):
    one = lab.submit("submit", "--", "train", "--name", "one", "--epochs", 4)
    lab.start_script(one).wait(20)
    lab.submit("sweep", "--grid", "loss=ce,wce", "--", "train", "--logdir", "elsewhere")
    (lab.play / "queue").write_text("42_0|RUNNING|None\n42_1|PENDING|JobArrayTaskLimit\n")
    code, out, _ = lab.call("status")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0 and rows[0][:2] == ["JOB", "STATE"]
    assert rows[1][:5] == ["41", "finished", "one", "4", "0.3000"]
    assert rows[2][:5] == ["42_0", "RUNNING", "ce", "-", "-"]
    assert rows[3][:4] == ["42_1", "PENDING", "(JobArrayTaskLimit)", "wce"]
    assert len(lab.call("status", "--logdir", "elsewhere")[1].splitlines()) == 3


FAILED = "FAILED|NonZeroExitCode"
STEP = "slurmstepd: error: *** JOB 41 ON n1 CANCELLED AT 2026-01-01T00:00:00"
START = "2026-01-01 00:00:00 job 41 on n1, start "
KILLED = "slurmstepd: error: Detected 1 oom_kill event in StepId=41.batch. Some of the step tasks"
OVER = "slurmstepd: error: StepId=41.batch exceeded memory limit (130 > 100), being killed"
BASH = '/spool/job41/slurm_script: line 61:  4711 Killed                  "$python" main.py'


def state_and_reason(lab: Lab, folder: Path, queue: str, log: str) -> tuple[str, str]:
    """What status says of job 41 with this line of squeue and this log."""
    (lab.play / "queue").write_text(f"41|{queue}\n" if queue else "")
    (folder / "slurm-41.out").write_text(log)
    code, out, err = lab.call("status")
    assert (code, err) == (0, "")
    _, row, _, why, resuming = out.splitlines()
    assert row.startswith("41 ") and why.startswith("41: ")
    assert "job.py submit … -- train --resume RUN" in resuming
    return row[5:].partition("  ")[0], why[4:]


@pytest.mark.parametrize(
    ("queue", "log", "state", "why"),
    [
        ("OUT_OF_MEMORY|OutOfMemory", "", "OUT_OF_MEMORY", "out of memory; .*--mem"),
        ("TIMEOUT|TimeLimit", "", "TIMEOUT", "time limit; .*--time"),
        ("NODE_FAIL|NodeDown", "", "NODE_FAIL", "node failure; submit again"),
        ("CANCELLED|None", "error: as asked", "CANCELLED", "cancelled"),
        ("PREEMPTED|None", "", "PREEMPTED", "preempted; submit again"),
        ("FAILED|JobLaunchFailure", f"{OVER}\n{STEP} ***\n", "FAILED (out of memory)", ".*--mem"),
        (FAILED, f"error: a worker\n{KILLED}", "FAILED (out of memory)", "out"),
        (FAILED, f"{BASH} train", "FAILED (out of memory)", ".*--mem"),
        ("", f"{STEP} DUE TO TIME LIMIT ***", "ended early (time limit)", "time limit; .*--grace"),
        ("", f"{STEP} DUE TO NODE FAILURE, SEE", "ended early (node failure)", "node failure; "),
        ("", f"epoch 1\n{STEP} ***\n", "ended early (cancelled)", "cancelled"),
        ("", f"error: first\n{START}2\nerror: second\n", "ended early (error)", "error: second$"),
        ("", f"{STEP} DUE TO PREEMPTION ***\n{START}2\nTypeError: no\n", "ended early",
         r"its last line: TypeError: no; see jobs/one-\S+/slurm-41\.out$"),
        (FAILED, "", "FAILED", "it printed nothing"),
    ],
)  # fmt: skip
def test_status_says_why_a_job_failed(lab, queue, log, state, why):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    found = state_and_reason(lab, folder, queue, log)
    assert found[0] == state and re.match(why, found[1])


def test_status_says_that_no_restart_is_left(lab):
    folder = submit_long(lab, "--max-restarts", 3)
    script = lab.start_script(folder, SLURM_RESTART_COUNT=3)
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    state, why = state_and_reason(lab, folder, FAILED, script.communicate(timeout=20)[0])
    assert state == "FAILED (time limit, no restart left)" and "--max-restarts" in why


def test_status_says_that_slurm_refused_to_requeue(lab):
    lab.write_program("scontrol", "#!/bin/bash\necho refused >&2\nexit 1\n")
    lab.write_program("sleep", "#!/bin/bash\nexec /bin/sleep 0.1\n")
    folder = submit_long(lab)
    script = lab.start_script(folder)
    lab.wait_for(lab.run("one") / "ready")
    script.send_signal(signal.SIGUSR1)
    state, why = state_and_reason(lab, folder, FAILED, script.communicate(timeout=20)[0])
    assert state == "FAILED (not requeued)" and "submit again" in why


def test_status_repeats_the_error_of_the_training(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one", "--code", 3)
    log = lab.start_script(folder).communicate(timeout=20)[0]
    assert state_and_reason(lab, folder, FAILED, log) == ("FAILED (error)", "error: as asked")


def test_status_asks_accounting_for_what_slurm_has_forgotten(lab):
    lab.write_program("sacct", '#!/bin/bash\necho "$@" >> "$PLAY/sacct"\ncat "$PLAY/accounts"\n')
    lab.submit("sweep", "--grid", "loss=ce,wce,focal,rmi", "--", "train")
    (lab.play / "queue").write_text("41_3|RUNNING|None\n")
    answer = "41_0|OUT_OF_MEMORY\n41_1|CANCELLED by 1000\n41_2|RUNNING\n41_[4-9]|PENDING\n\n"
    (lab.play / "accounts").write_text(answer)
    rows = [re.split("  +", line)[:3] for line in lab.call("status")[1].splitlines()[1:5]]
    assert rows == [
        ["41_0", "OUT_OF_MEMORY", "ce"], ["41_1", "CANCELLED", "wce"],
        ["41_2", "ended early", "focal"], ["41_3", "RUNNING", "rmi"],
    ]  # fmt: skip
    assert lab.asked("sacct")[0].endswith("--jobs=41_0,41_1,41_2")


def test_status_says_a_reason_once(lab):
    lab.submit("sweep", "--grid", "loss=ce,wce,focal", "--", "train")
    (lab.play / "queue").write_text("41_0|TIMEOUT|x\n41_1|COMPLETED|None\n41_2|TIMEOUT|x\n")
    notes = lab.call("status")[1].splitlines()[4:]
    assert len(notes) == 3 and notes[1].startswith("41_0, 41_2: time limit")
    (lab.play / "queue").write_text("41_0|RUNNING|x\n41_1|COMPLETED|None\n41_2|PENDING|None\n")
    assert len(lab.call("status")[1].splitlines()) == 4


def test_status_without_slurm_knows_the_runs(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    lab.write_program("squeue", "#!/bin/bash\necho 'squeue: error: no contact' >&2\nexit 1\n")
    code, out, err = lab.call("status")
    assert code == 0 and "no contact" in err and "unknown" in out
    lab.start_script(folder).wait(20)
    assert "finished" in lab.call("status")[1]


def test_run_in_the_queue_is_not_submitted_twice(lab):
    words = ["--grid", "loss=ce,wce", "--", "train"]
    lab.submit("sweep", *words)
    (lab.play / "queue").write_text("41_1|RUNNING|None\n")
    assert "belongs to job 41_1" in lab.refused("sweep", *words)
    (lab.play / "queue").write_text("")
    lab.submit("sweep", *words)


def test_the_owners_of_all_job_folders_are_asked_for(tmp_path, monkeypatch):
    asked, owner = [], tmp_path.stat().st_uid
    monkeypatch.setattr(jobs, "require_slurm", lambda: None)
    monkeypatch.setattr(jobs, "slurm", lambda *words: asked.append(words) or "7|RUNNING|None\n")
    monkeypatch.setattr(jobs.os, "getuid", lambda: owner + 1, raising=False)
    records = [(tmp_path / "removed by now", {}), (tmp_path, {})]
    monkeypatch.setattr(jobs, "read_records", lambda: records)
    assert jobs.queue_states(ended=False) == {"7": "RUNNING"}
    assert asked[0][:2] == ("squeue", f"--user={owner},{owner + 1}")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="gives a folder away")
def test_jobs_of_others_who_share_the_lab_are_asked_for(lab):
    os.chown(lab.submit("submit", "--", "train", "--name", "one"), 12345, -1)
    lab.write_program(
        "squeue", '#!/bin/bash\n[[ $* == *--user=0,12345\\ * ]] && echo "41|RUNNING|x"\n'
    )
    assert re.split("  +", lab.call("status")[1].splitlines()[1])[:2] == ["41", "RUNNING"]
    lab.write_program("scancel", '#!/bin/bash\necho "scancel: error: denied" >&2\nexit 1\n')
    code, out, err = lab.call("cancel", "one")
    assert (code, out, err) == (2, "", "error: scancel: denied\n")


def queue(lab: Lab, *numbers: str) -> None:
    """Has these jobs run."""
    (lab.play / "queue").write_text("".join(f"{number}|RUNNING|None\n" for number in numbers))


def test_cancel_ends_jobs_with_their_tests(lab):
    folder = lab.submit("submit", "--then-test", "--", "train", "--name", "one")
    lab.submit("sweep", "--grid", "loss=ce,wce", "--", "train")
    queue(lab, "41", "42", "43_0", "43_1")
    assert lab.call("cancel", "41")[0] == lab.call("cancel", "43_1")[0] == 0
    assert lab.call("cancel", folder.name, "43")[0] == 0
    assert lab.asked("scancel") == ["41 42", "43_1", "41 42 43"]
    assert "no job of this lab" in lab.refused("cancel", "7")


@pytest.mark.parametrize("word", ["runs/one", "one", "./runs/../runs/one"])
def test_cancel_takes_a_run_and_says_what_it_ended(lab, word):
    lab.submit("submit", "--then-test", "--", "train", "--name", "one")
    lab.submit("submit", "--", "train", "--name", "two")
    queue(lab, "41", "42", "43", "7")
    code, out, err = lab.call("cancel", word)
    assert (code, err) == (0, "") and lab.asked("scancel") == ["41 42"]
    assert out.splitlines()[:2] == [
        "cancelled: job 41, the training of runs/one", "cancelled: job 42, the test of runs/one"
    ]  # fmt: skip
    assert "--resume RUN" in out.splitlines()[2]


def test_cancel_leaves_alone_what_has_ended(lab):
    lab.submit("submit", "--then-test", "--", "train", "--name", "one")
    lab.submit("sweep", "--grid", "loss=ce,wce,focal", "--", "train")
    queue(lab, "42", "43_1", "43_2")
    assert lab.call("cancel", "one")[0] == lab.call("cancel", "43")[0] == 0
    assert lab.asked("scancel") == ["42", "43_1 43_2"]


def test_cancel_of_a_run_that_is_not_queued_cancels_nothing(lab):
    for name in ("one", "two"):
        lab.submit("submit", "--", "train", "--name", name)
    queue(lab, "42")
    line = lab.refused("cancel", "two", "one")
    assert line == "error: one is not in the queue (job 41: ended early)\n"
    assert lab.asked("scancel") == []


def test_name_of_several_runs_is_not_guessed(lab):
    for place in ("runs", "elsewhere"):
        lab.submit("submit", "--", "train", "--name", "one", "--logdir", place)
    queue(lab, "41", "42")
    assert "elsewhere/one, runs/one" in lab.refused("cancel", "one")
    assert lab.call("cancel", "elsewhere/one")[0] == 0 and lab.asked("scancel") == ["42"]


def test_logs_are_those_of_the_newest_job(lab):
    first = lab.submit("submit", "--", "train", "--name", "one")
    (first / "slurm-41.out").write_bytes("größe \xff\n".encode("latin-1") + "größe\n".encode())
    for word in ("runs/one", "one", "41", first.name):
        assert lab.call("logs", word) == (0, "gr\ufffd\ufffde \ufffd\ngröße\n", "")
    lab.start_script(first).wait(20)
    lab.submit("submit", "--then-test", "--", "train", "--resume", "runs/one")
    (lab.play / "queue").write_text("42|PENDING|Priority\n")
    assert "job 42 (PENDING) has printed nothing" in lab.refused("logs", "one")
    assert "no job of this lab" in lab.refused("logs", "runs/two")


def test_logs_of_a_tested_run_are_those_of_its_test(lab):
    folder = lab.submit("submit", "--then-test", "--", "train", "--name", "one")
    (folder / "slurm-41.out").write_text("training\n")
    assert lab.call("logs", "one")[1] == "training\n"
    (folder / "slurm-42.out").write_text("test\n")
    os.utime(folder / "slurm-41.out", (1, 1))
    assert lab.call("logs", "one")[1] == "test\n"
    assert [lab.call("logs", job)[1] for job in ("41", "42")] == ["training\n", "test\n"]


def test_logs_of_an_element_are_its_own(lab):
    folder = lab.submit("sweep", "--grid", "loss=ce,wce", "--", "train")
    for number in range(2):
        (folder / f"slurm-41_{number}.out").write_text(f"run {number}\n")
    assert lab.call("logs", "ce")[1] == "run 0\n" and lab.call("logs", "41_1")[1] == "run 1\n"


def patient(lab: Lab) -> None:
    """Has the played lab look, and ask, at short intervals."""
    path = lab.folder / "commands" / "slurm" / "care.py"
    text = path.read_text(encoding="utf-8")
    assert "= 0.5, 10\n" in text
    path.write_text(text.replace("= 0.5, 10\n", "= 0.02, 0.05\n"), encoding="utf-8")


def test_followed_log_goes_on_until_the_job_ends(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    patient(lab)
    queue(lab, "41")
    process, log = lab.start("logs", "-f", "one"), folder / "slurm-41.out"
    assert "waiting" in process.stderr.readline()
    whole = "größe\n".encode()
    log.write_bytes(whole[:3])
    time.sleep(0.1)
    log.write_bytes(whole)
    assert process.stdout.readline() == "größe\n"
    (lab.play / "queue").write_text("41|PENDING|BeginTime\n")  # it requeues itself
    time.sleep(0.2)
    assert process.poll() is None
    log.write_bytes(whole + b"the end\n")
    (lab.play / "queue").write_text("")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "the end\n", "job 41: ended early\n")


def test_following_ends_with_ctrl_c_and_the_job_goes_on(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    patient(lab)
    queue(lab, "41")
    (folder / "slurm-41.out").write_text("epoch 1\n")
    process = lab.start("logs", "-f", "one")
    assert process.stdout.readline() == "epoch 1\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "job 41 goes on without you\n")
    assert lab.asked("scancel") == []


def test_following_ends_when_nobody_reads_on(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    patient(lab)
    queue(lab, "41")
    (folder / "slurm-41.out").write_text("epoch 1\n")
    process = lab.start("logs", "-f", "one")
    assert process.stdout.readline() == "epoch 1\n"
    process.stdout.close()
    with (folder / "slurm-41.out").open("a") as file:
        file.write("epoch 2\n")
    assert process.wait(timeout=20) == 0


def test_silent_controller_does_not_end_the_following(lab):
    folder = lab.submit("submit", "--", "train", "--name", "one")
    patient(lab)
    (folder / "slurm-41.out").write_text("epoch 1\n")
    lab.write_program("squeue", "#!/bin/bash\necho 'squeue: error: no contact' >&2\nexit 1\n")
    process = lab.start("logs", "-f", "one")
    assert "no contact" in process.stderr.readline()
    assert process.stdout.readline() == "epoch 1\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    lab.write_program("squeue", PROGRAMS["squeue"])
    process.communicate(timeout=20)
    assert process.returncode == 0


# ----------------------------------------------------------------------------------------- chapter


def chapter_commands():
    text = (HERE / "subject" / "08_slurm.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("python job.py ")]


@pytest.mark.parametrize("line", chapter_commands())
def test_commands_of_the_chapter_are_taken(lab, line):
    (lab.folder / "prepared" / "cityscapes").mkdir(parents=True)
    words = [word.replace("NUMBER", "41") for word in shlex.split(line)[2:]]
    folder = lab.submit("submit", "--", "train", "--name", "unet64")
    (folder / "slurm-41.out").write_text("epoch 1\n")
    if "--" not in words:
        (lab.play / "queue").write_text("41|RUNNING|None\n" if "cancel" in words else "")
        assert lab.call(*words)[0] == 0
        return
    code, out, err = lab.call(words[0], "--dry-run", *words[1:])
    assert (code, err) == (0, "")
    array = out.partition("arguments=(")[2].partition(")")[0]
    arguments = shlex.split(array.replace("--device cuda", "--device cpu"))
    command_line.build_parser().parse_args(["train", "--auto-resume", *arguments])


def test_file_of_runs_in_the_chapter_is_one(lab):
    text = (HERE / "subject" / "08_slurm.md").read_text(encoding="utf-8")
    (lab.folder / "study.txt").write_text(
        "# study.txt" + text.split("# study.txt")[1].split("```")[0]
    )
    words = ["sweep", "--runs", "study.txt", "--local", "--dry-run", "--", "train"]
    code, out, err = lab.call(*words)
    assert (code, err, len(out.splitlines())) == (0, "", 4)
    for line in out.splitlines():
        command_line.build_parser().parse_args(shlex.split(line)[2:])


# ------------------------------------------------------------------------------------------- itself


@pytest.mark.parametrize("words", ["submit --dry-run -- train", "status", "sweep --help"])
def test_standard_library_is_enough(lab, words):
    done = subprocess.run(
        [sys.executable, "-S", "job.py", *words.split()],
        cwd=lab.folder, env=lab.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_a_console_cannot_encode_is_replaced(lab):
    words = ["submit", "--dry-run", "--", "train", "--name", "größe"]
    code, out, err = lab.call(*words, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "") and "--name 'gr??e'" in out
    code, out, err = lab.call("logs", "größe", PYTHONIOENCODING="ascii")
    assert (code, out) == (2, "") and err.startswith("error: gr??e is no job")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_path_of_any_bytes_reaches_the_training(lab):
    os.mkdir(os.fsencode(lab.folder) + b"/d\xff")
    name = os.fsdecode(b"d\xff")
    folder = lab.submit("submit", "--", "train", "--datadir", name, "--name", "one")
    assert lab.start_script(folder).wait(20) == 0
    assert kept(lab.run("one"))["arguments"]["datadir"] == str(lab.folder / name)


def test_import_has_no_side_effects(lab):
    before = sorted(lab.folder.rglob("*"))
    code = "import sys; sys.dont_write_bytecode = True; import job; print(list(job.__dict__) > [])"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=lab.folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert sorted(lab.folder.rglob("*")) == before


@pytest.mark.parametrize("words", ["", "submit", "sweep", "status", "logs", "cancel"])
def test_every_command_has_its_help_without_the_libraries(words):
    code = "import sys, job\ntry:\n    job.main()\nfinally:\n    print(*sys.modules)"
    command = [sys.executable, "-c", code, *words.split(), "--help"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    *text, modules = done.stdout.splitlines()
    assert done.returncode == 0 and text[0].startswith("usage: job.py")
    assert not {"torch", "numpy", "cv2", "albumentations"} & set(modules.split())
