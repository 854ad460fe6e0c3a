"""Carrying a student's answers into a newer edition, and installing it.

First a plan, which is shown, then a backup, then the files: copies of what the student changed,
the new files, at last the new description. Every step may be interrupted: what has been done is
recognised when the update runs again. A file counts as changed by the student when it is neither
as the old edition had it nor as the new one has it, line ends apart.
"""

import ast
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from commands.companion.edition import EDITION, Edition, is_same, read_edition
from commands.companion.folder import (
    BACKUPS,
    RESULTS,
    encode_as,
    free_path,
    timestamp,
    write_bytes,
)
from commands.companion.markers import Region, parts_of, read_source, splice, without_answers
from utils import LabError

LEFT_OVER = ".lab/left_over.py"
STAGED = ".lab/staged"
NOT_BACKED_UP = {".venv", "runs", "toydata", ".git", "__pycache__", ".pytest_cache", ".ruff_cache"}
LARGE = 64 * 2**20
"""Bytes above which a file that is no part of the edition is left out of a backup."""
MOST_NAMES = 30

# ------------------------------------------------------------------ the plan


@dataclass
class Plan:
    """What an update will do.

    Attributes:
        old: description of the edition here; an empty one when it is missing.
        new: description of the newer edition.
        write: path → bytes of the files to write.
        added: those of them that are not there yet.
        yours: paths of files of which the student's version is kept beside.
        remove: paths to remove: of the old edition, not of the new, and as they were handed out.
        kept: paths no longer in the edition that stay, since the student changed them.
        carried: part → the student's answer, of which the new edition has a region.
        left_over: the student's answers of which it has none.
        notes: TODO number → what changes about it.
    """

    old: Edition
    new: Edition
    write: dict[str, bytes] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    yours: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    carried: dict[str, Region] = field(default_factory=dict)
    left_over: list[Region] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the folder is as the newer edition wants it already."""
        return not (self.write or self.yours or self.remove) and self.old == self.new


def plan_update(lab: Path, new: Edition, contents: dict[str, bytes]) -> Plan:
    """Compares a student's folder with its own edition and with a newer one; changes nothing.

    Args:
        lab: the student's folder.
        new: description of the newer edition.
        contents: path → bytes of its files.

    Raises:
        LabError: naming file and line, for malformed markers; or when a folder is in the way.
    """
    plan = Plan(read_edition(lab) or Edition("unknown", {}, {}), new)
    names = [name for name in {**plan.old.files, **new.files} if (lab / name).is_file()]
    texts = {name: read_source(lab / name) for name in names}
    sort_answers(plan, parts_of(texts))
    for name, text in new.files.items():
        if name in texts and plan.old.files.get(name) == text:
            continue  # nothing new in it: whatever the student made of it stays
        merged = splice(text, name, [plan.carried[part] for part in sorted(plan.carried)])
        if name not in texts:
            plan.added.append(name)
            plan.write[name] = merged.encode()
        elif texts[name] != merged:
            plan.write[name] = encode_as(merged, lab / name)
        if name in texts and is_edited_outside(texts[name], name, plan):
            plan.yours.append(name)
    for name in sorted(set(contents) - set(new.files)):
        is_old = name in new.hashes and plan.old.hashes.get(name) == new.hashes[name]
        if is_old and (lab / name).is_file():
            continue
        plan_file(plan, lab / name, name, contents[name])
    plan_removals(plan, lab, texts)
    require_places(lab, plan)
    describe_todos(plan, lab, contents)
    return plan


def sort_answers(plan: Plan, mine: dict[str, Region]) -> None:
    """Tells the answers that the new edition has a place for from those left over."""
    before, after = parts_of(plan.old.files), parts_of(plan.new.files)
    for part, region in mine.items():
        handed_out = {each[part].answer() for each in (before, after) if part in each}
        if region.answer() in handed_out or (not handed_out and region.is_open):
            continue
        if part in after:
            plan.carried[part] = region
        else:
            plan.left_over.append(region)


def is_edited_outside(text: str, name: str, plan: Plan) -> bool:
    """Whether a lab file differs from both editions outside its regions."""
    editions = [files[name] for files in (plan.old.files, plan.new.files) if name in files]
    outside = [without_answers(each, name) for each in editions]
    return without_answers(text, name) not in outside


def plan_file(plan: Plan, path: Path, name: str, data: bytes) -> None:
    """Decides about a file without regions."""
    if not path.is_file():
        plan.added.append(name)
        plan.write[name] = data
        return
    current = path.read_bytes()
    if is_same(current, plan.new.hashes[name]):
        return
    plan.write[name] = data
    if not is_same(current, plan.old.hashes.get(name)):
        plan.yours.append(name)


def plan_removals(plan: Plan, lab: Path, texts: dict[str, str]) -> None:
    """Decides about the files of the old edition that the new one does not have."""
    for name in sorted(set(plan.old.hashes) - set(plan.new.hashes)):
        if not (lab / name).is_file() or PurePosixPath(name).parts[0] == ".lab":
            continue
        unchanged = is_same((lab / name).read_bytes(), plan.old.hashes[name])
        if name in texts:  # its answers are carried or left over, whichever they are
            unchanged = name in plan.old.files and not is_edited_outside(texts[name], name, plan)
        (plan.remove if unchanged else plan.kept).append(name)


def require_places(lab: Path, plan: Plan) -> None:
    """Raises `LabError` when a folder lies where a file is to go, or a file where a folder is."""
    for name in plan.write:
        path = lab / name
        inside = [each for each in path.parents if lab in each.parents]
        wrong = [each for each in inside if each.exists() and not each.is_dir()]
        if path.is_dir() or wrong:
            what = (wrong or [path])[0].relative_to(lab).as_posix()
            raise LabError(f"{what} is in the way of the new edition's {name}; rename it first")


def describe_todos(plan: Plan, lab: Path, contents: dict[str, bytes]) -> None:
    """Notes the TODOs that are new or gone, or whose skeleton or statement changed."""
    before, after = parts_of(plan.old.files), parts_of(plan.new.files)
    here = lab / "commands/companion/todos.py"
    old_texts = statements(here.read_bytes() if here.is_file() else b"")
    new_texts = statements(contents.get("commands/companion/todos.py", b""))
    answered = {region.todo for region in plan.carried.values()}
    for number in sorted({each.todo for each in (*before.values(), *after.values())}, key=order):
        old = {part: each.answer() for part, each in before.items() if each.todo == number}
        new = {part: each.answer() for part, each in after.items() if each.todo == number}
        changes = []
        if old and new and old != new:
            changes.append("its skeleton changed")
        if old and new and old_texts.get(number, "") not in ("", new_texts.get(number)):
            changes.append("its statement changed")
        if changes and number in answered:
            changes.append("your answer is kept: look at it again")
        if not plan.old.files or not (changes or not old or not new):
            continue
        plan.notes[number] = "; ".join(changes) or ("new" if new else "gone")
    for region in plan.left_over:
        note = plan.notes.get(region.todo, "")
        if LEFT_OVER not in note:
            note = f"{note}; " if note else ""
            plan.notes[region.todo] = f"{note}your answer goes to {LEFT_OVER}"


def order(number: str) -> tuple[int, ...]:
    """Sorts 3.10 after 3.9."""
    return tuple(int(each) for each in number.split("."))


def statements(source: bytes) -> dict[str, str]:
    """Number → statement of the TODOs in the text of a todos.py, which is not run."""
    found = {}
    with suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Todo":
                values = {each.arg: each.value for each in node.keywords}
                number = ast.literal_eval(values.get("number", ast.Constant("")))
                found[number] = ast.literal_eval(values.get("statement", ast.Constant("")))
    return found


def describe(plan: Plan) -> list[str]:
    """What an update will do, in lines."""
    lines = [f"edition {plan.old.version} -> edition {plan.new.version}"]
    changed = [name for name in plan.write if name not in plan.added]
    for title, names in (("new", plan.added), ("changed", changed), ("removed", plan.remove)):
        lines += [f"  {title:<9} {name}" for name in sorted(names)[:MOST_NAMES]]
        if len(names) > MOST_NAMES:
            lines.append(f"  {title:<9} and {len(names) - MOST_NAMES} more")
    for number, note in plan.notes.items():
        lines.append(f"  TODO {number:<4} {note}")
    for name in plan.yours:
        what = "outside its regions" if name in plan.new.files else "yourself"
        lines.append(f"  {name}: you changed it {what}; your version is kept as {name}.yours")
    for name in plan.kept:
        lines.append(f"  {name}: no longer in the edition; it stays, since you changed it")
    carried = sorted({region.todo for region in plan.carried.values()}, key=order)
    lines.append(f"  answers carried over: {', '.join(carried) or 'none'}")
    return lines


# ------------------------------------------------------------------ carrying it out


def apply_update(lab: Path, plan: Plan) -> tuple[Path, list[str], list[Path]]:
    """Installs the newer edition.

    Returns:
        The folder of the backup, the paths that were left out of it, and the student's versions
        of the files that were changed on both sides.
    """
    backup, left_out = back_up(lab, {*plan.write, *plan.remove})
    add_left_over(lab / LEFT_OVER, plan)
    copies = [keep_beside(lab / name) for name in plan.yours]
    staged = lab / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    for name, data in plan.write.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_bytes(data)
    for name in sorted(plan.write, key=is_of_companion):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        replace(staged / name, lab / name)
    for name in plan.remove:
        (lab / name).unlink(missing_ok=True)
    for name in set(plan.old.hashes) - set(plan.new.hashes):
        remove_empty_folders((lab / name).parent, lab)
    (lab / RESULTS).unlink(missing_ok=True)  # other tests, perhaps
    write_bytes(lab / EDITION, plan.new.data)
    shutil.rmtree(staged, ignore_errors=True)
    return backup, left_out, copies


def remove_empty_folders(folder: Path, lab: Path) -> None:
    """Removes a folder of the lab, and those around it, that hold nothing but compiled files."""
    while folder != lab:
        with suppress(OSError):  # gone already, or in use
            if {path.name for path in folder.iterdir()} - {"__pycache__"}:
                return
            shutil.rmtree(folder)
        folder = folder.parent


def is_of_companion(name: str) -> bool:
    """Whether the companion itself needs a file: these are exchanged last, close together."""
    return name.startswith("commands/") or name in ("lab.py", "utils.py")


def replace(source: Path, target: Path) -> None:
    """Moves a file into its place.

    Raises:
        LabError: when another program holds the target.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        raise LabError(
            f"cannot write {target} ({error.strerror or error}); close the programs that use it "
            "and run the update again: it goes on where it stopped"
        ) from error


def back_up(lab: Path, touched: set[str]) -> tuple[Path, list[str]]:
    """Copies the student's folder, without environments, runs, data sets and large files.

    Returns:
        The folder of the copy, and what else was left out of it.
    """
    backup = free_path(lab / BACKUPS / f"update-{timestamp()}")
    left_out = []
    for folder, folders, files in os.walk(lab):
        here = Path(folder)
        keep = []
        for name in sorted(folders):
            path = here / name
            if name in NOT_BACKED_UP or path in (lab / BACKUPS, lab / STAGED):
                continue
            if (path / "pyvenv.cfg").is_file() or (path / "leftImg8bit").is_dir():
                left_out.append(path.relative_to(lab).as_posix())
            elif not path.is_symlink():
                keep.append(name)
        folders[:] = keep
        for name in files:
            path, relative = here / name, (here / name).relative_to(lab)
            if not path.is_file():  # a socket, a link to nowhere
                continue
            if path.stat().st_size > LARGE and relative.as_posix() not in touched:
                left_out.append(relative.as_posix())
                continue
            (backup / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, backup / relative)
    for name in sorted(touched):  # in one of the folders that were left out, perhaps
        if (lab / name).is_file() and not (backup / name).exists():
            (backup / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(lab / name, backup / name)
    return backup, left_out


def keep_beside(path: Path) -> Path:
    """Copies a file to `<name>.yours`, unless that copy is there already."""
    data, copy = path.read_bytes(), path.with_name(f"{path.name}.yours")
    number = 2
    while copy.is_dir() or (copy.exists() and copy.read_bytes() != data):
        copy = path.with_name(f"{path.name}.yours-{number}")
        number += 1
    if not copy.exists():
        write_bytes(copy, data)
    return copy


def add_left_over(path: Path, plan: Plan) -> None:
    """Keeps the answers that the new edition has no region for; none of them twice."""
    text = read_source(path) if path.is_file() else ""
    for region in plan.left_over:
        code = "\n".join(region.code)
        block = f"# TODO {region.part} of {region.file}, edition {plan.old.version}\n{code}\n"
        if block not in text:
            text = f"{text.rstrip()}\n\n{block}".lstrip("\n")
    if plan.left_over:
        write_bytes(path, text.encode())
