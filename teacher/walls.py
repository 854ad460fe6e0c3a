"""Walls around the code under test, where the kernel has any: namespaces and capabilities of Linux.

All of it is best effort: what the kernel or a container refuses is left out. The numbers are those
of the kernel's interface (man pages unshare(2), mount(2), mount_setattr(2), prctl(2), capset(2)).
"""

import ctypes
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from commands.companion.markers import LAB_FILES
from teacher.catalogue import LAB

NEW_NAMESPACES = 0x20000000 | 0x00020000 | 0x40000000  # CLONE_NEWPID, NEWNS, NEWNET
NEW_USER = 0x10000000  # CLONE_NEWUSER
FIRST_USER, USERS = 61_300, 3_000
"""Numbers that no user of a usual system has."""
CHANGE_USER = (6, 7)  # CAP_SETGID, CAP_SETUID
KEPT_CAPABILITIES = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: reading what root may read
READ_ALONE = 0b100  # CAP_DAC_READ_SEARCH
STATUS = Path("/proc/self/status")
PASSABLE = 0o005  # others may read a folder and what is below it


def libc() -> ctypes.CDLL:
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def set_process_option(option: int, value: int) -> None:
    """Calls prctl."""
    with suppress(OSError, AttributeError):
        libc().prctl(option, int(value), 0, 0, 0)


class MountChange(ctypes.Structure):
    """The struct mount_attr of the kernel."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user"))


def raise_walls(folder: Path) -> bool:
    """Gives the processes forked from here on a world of their own, as far as the kernel allows.

    They see no other process, no network and no solved file, and write in `folder` alone.

    Returns:
        Whether there are walls at all.
    """
    user, group = os.getuid(), os.getgid()
    with suppress(OSError, AttributeError):
        library = libc()
        if library.unshare(NEW_NAMESPACES) != 0:
            if library.unshare(NEW_NAMESPACES | NEW_USER) != 0:
                return False
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        place = os.fsencode(folder)
        library.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE
        library.mount(place, place, None, 0x1000, None)  # MS_BIND
        change_mount(b"/", MountChange(set=1))  # MOUNT_ATTR_RDONLY, also all below
        change_mount(place, MountChange(clear=1))
        library.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=256m")
        for hidden in (folder.parent / "lab", LAB / "teacher", LAB / "tests", LAB / ".git"):
            library.mount(b"tmpfs", os.fsencode(hidden), b"tmpfs", 1, b"size=4k")  # MS_RDONLY
        for name in LAB_FILES:
            library.mount(b"/dev/null", os.fsencode(LAB / name), None, 0x1000, None)
        return True
    return False


def change_mount(place: bytes, change: MountChange) -> None:
    """Calls mount_setattr with AT_RECURSIVE."""
    size = ctypes.c_size_t(ctypes.sizeof(change))
    libc().syscall(442, -100, place, 0x8000, ctypes.byref(change), size)


def shut_walls(has_walls: bool, folder: Path) -> None:
    """Hides the other processes, and gives away the powers by which walls could be moved.

    The superuser becomes a user without a name, who can end no process of others, and whose
    processes are limited in number. Behind walls this user may read and write as before; where
    there are none, as in most containers, only `folder` is theirs, and what all may read.
    """
    library = libc()
    if has_walls:
        library.mount(b"proc", b"/proc", b"proc", 0, None)
    kept = kept_capabilities(has_walls)
    for capability in range(64):
        if not KEPT_CAPABILITIES >> capability & 1 and capability not in CHANGE_USER:
            set_process_option(24, capability)  # PR_CAPBSET_DROP
    if os.getuid() == 0:
        set_process_option(8, 1)  # PR_SET_KEEPCAPS
        user = FIRST_USER + secrets.randbelow(USERS)
        if not has_walls:
            give_away(folder, user)
        with suppress(OSError):  # not all users exist inside a container
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    library.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))
    set_process_option(38, 1)  # PR_SET_NO_NEW_PRIVS
    os.environ["LOGNAME"] = "student"


def kept_capabilities(has_walls: bool) -> int:
    """What a child may keep of the superuser's power to read and write, as a mask of bits.

    Without walls nothing, unless Python itself lies where only the superuser may look. What this
    process does not have it must not ask for: capset would then refuse all.
    """
    if not has_walls and all(is_open_to_all(Path(p)) for p in (sys.prefix, sys.base_prefix)):
        return 0
    permitted = 0
    with suppress(OSError, ValueError, IndexError):
        words = STATUS.read_text(encoding="utf-8").split()
        permitted = int(words[words.index("CapPrm:") + 1], 16)
    kept = KEPT_CAPABILITIES & permitted
    return kept if has_walls else kept & READ_ALONE or kept


def is_open_to_all(folder: Path) -> bool:
    """Whether any user may read a folder: it and all above it are passable."""
    with suppress(OSError):
        folder = folder.resolve()
        return all(each.stat().st_mode & PASSABLE == PASSABLE for each in (folder, *folder.parents))
    return False


def give_away(folder: Path, user: int) -> None:
    """Makes a folder the user's own; of the one that it lies in, they see nothing else."""
    with suppress(OSError):
        (folder.parent / "lab").chmod(0o700)
        folder.parent.chmod(0o755)  # pytest lists the folders above
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place) / name for name in files)):
            with suppress(OSError):
                os.chown(path, user, user, follow_symlinks=False)
