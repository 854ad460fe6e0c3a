"""A Slurm of one's own for the tests: munged, slurmctld and slurmds, all on loopback.

It needs Debian's `slurmctld slurmd slurm-client munge`, neither systemd nor cgroups, and nothing of
a Slurm that the machine may have: key, sockets, ports, state and logs are private, in one folder.
The nodes are several slurmds of one machine. By hand, for trying job.py out:

    python tests/slurm/cluster.py          (a shell in which sbatch and job.py work, until it ends)
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
PROGRAMS = {
    "munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client",
    "setpriv": "util-linux",
}  # fmt: skip
"""What must be there → the Debian package that has it."""

START_SECONDS = 10
STOP_SECONDS = 10
COMMAND_SECONDS = 20
SLOWEST = 300
"""Seconds that a job of a few seconds may take on a machine that has other things to do."""
ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "TIMEOUT",
}  # fmt: skip

CONFIGURATION = """\
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldDebug=verbose
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=4000
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
"""
"""Without a NodeName: those follow. Without cgroups, slurmstepd measures a job's memory once a
second and kills one that has more than it asked for (OverMemoryKill). `cred_expire` shortens the
wait of a requeued job, which is otherwise two minutes. `config_overrides` lets the nodes have more
CPUs and memory than the machine."""

PARTITIONS = """\
PartitionName=normal Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 State=UP
PartitionName=patient Nodes=ALL MaxTime=60 PriorityTier=1 GraceTime=60 State=UP
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
"""
"""Jobs of `urgent` preempt the others: those of `normal` get SIGTERM and then SIGKILL after
KillWait; those of `patient` get their --signal first, and GraceTime."""


def missing_packages() -> list[str]:
    """The Debian packages that a cluster needs and that are not installed."""
    return [package for name, package in PROGRAMS.items() if not shutil.which(name, path=SBIN)]


def free_ports(count: int) -> list[int]:
    """TCP ports on loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Waits until the condition is true, and returns its value.

    Raises:
        TimeoutError: when it is not within that time.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.2)
    return value


class Cluster:
    """A running Slurm; a context manager.

    Args:
        folder: an empty folder for everything of the cluster's. Its path must be short (the sockets
            of munge take some 100 characters) and without blanks.
        nodes: how many slurmds, node1 ... nodeN.
        cpus: of each node, whatever the machine has.
    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 4) -> None:
        self.folder = folder
        self.node_names = [f"node{number}" for number in range(1, nodes + 1)]
        self.configuration = folder / "slurm.conf"
        self.daemons: list[subprocess.Popen] = []
        self.environment = os.environ | {"SLURM_CONF": str(self.configuration)}
        controller_port, *node_ports = free_ports(nodes + 1)
        text = CONFIGURATION.format(
            controller_port=controller_port, user=getpass.getuser(), folder=folder
        )
        for name, port in zip(self.node_names, node_ports, strict=True):
            text += f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} "
            text += f"CPUs={cpus} RealMemory={4000 * cpus} State=UNKNOWN\n"
        self.configuration.write_text(text + PARTITIONS)

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            print(self.logs(), file=sys.stderr)
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        munge_socket = self.folder / "munge.socket"
        self._daemon(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge_socket}",
            f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )  # fmt: skip
        wait_until(munge_socket.exists, START_SECONDS, "munged listens")
        self._daemon("slurmctld", "-D", "-i")
        for name in self.node_names:
            self._daemon("slurmd", "-D", "-N", name)
        wait_until(self._is_up, START_SECONDS, "the nodes are idle")

    def _daemon(self, name: str, *options: str) -> None:
        """Starts a daemon that dies with this process, should that be killed."""
        with (self.folder / "daemons.log").open("a") as log:
            self.daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", shutil.which(name, path=SBIN), *options],
                    env=self.environment, cwd=self.folder, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            )  # fmt: skip

    def _is_up(self) -> bool:
        dead = [daemon.args[3] for daemon in self.daemons if daemon.poll() is not None]
        if dead:
            raise RuntimeError(f"{dead[0]} has ended")
        states = self.ask("sinfo", "--noheader", "--Node", "--partition=normal", "--format=%T")
        return states.split() == ["idle"] * len(self.node_names)

    def ask(self, *command: object) -> str:
        """What a command of Slurm's prints; nothing when it fails or takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                [str(word) for word in command], env=self.environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=COMMAND_SECONDS,
            ).stdout  # fmt: skip
        return ""

    def job(self, number: int | str) -> dict[str, str]:
        """What the controller knows of a job (or of one element, as "7_2"), by its own names."""
        text = self.ask("scontrol", "show", "job", "--oneliner", number)
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def state(self, number: int | str) -> str:
        """For example RUNNING."""
        return self.job(number).get("JobState", "")

    def wait_for_state(self, number: int | str, *states: str, seconds: float = SLOWEST) -> str:
        """Waits until a job is in one of the states; returns it.

        Raises:
            TimeoutError: when it is not within that time, or has ended in another.
        """

        def reached() -> str:
            state = self.state(number)
            if state in ENDED and state not in states:
                raise TimeoutError(f"job {number} is {state}, not {' or '.join(states)}")
            return state if state in states else ""

        return wait_until(reached, seconds, f"job {number} is {' or '.join(states)}")

    def completed(self) -> list[dict[str, str]]:
        """The job completion log: a row for each time that a job ended or was requeued."""
        path = self.folder / "completed.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def logs(self) -> str:
        """The last lines of every daemon's log."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{f.name}:\n" + "\n".join(tail(f, 15)) for f in files)

    def cancel_all(self) -> None:
        """Ends every job, and waits until that is done."""
        self.ask("scancel", f"--user={getpass.getuser()}")
        with contextlib.suppress(TimeoutError):
            wait_until(
                lambda: not self.ask("squeue", "--noheader").strip(), STOP_SECONDS, "no jobs left"
            )

    def stop(self) -> None:
        """Ends the jobs, then the daemons, then whatever of theirs is left.

        Raises:
            TimeoutError: when something is left all the same.
        """
        if len(self.daemons) > 1 and self.daemons[1].poll() is None:
            self.cancel_all()
        for daemon in reversed(self.daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=3)
        wait_until(self._kill_rest, STOP_SECONDS, "every process of the cluster has ended")

    def _kill_rest(self) -> bool:
        """Kills what is left; returns whether nothing is."""
        rest = [*self.processes(), *(each.pid for each in self.daemons if each.poll() is None)]
        for process in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not rest

    def processes(self) -> list[int]:
        """The processes of this cluster: those with its SLURM_CONF, or a file of its folder open.

        A slurmstepd writes its title over its environment, but has its log open.
        """
        folder = f"{self.folder}/"
        setting = f"SLURM_CONF={self.configuration}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                files = [os.readlink(link) for link in (process / "fd").iterdir()]
                has_file = any(file.startswith(folder) for file in files)
                if has_file or setting in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return [process for process in found if process != os.getpid()]


def tail(path: Path, count: int) -> list[str]:
    """A file's last lines."""
    return path.read_text(errors="replace").splitlines()[-count:]


def main() -> None:
    """A shell inside a cluster."""
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        print("A Slurm of two nodes, partitions normal, patient and urgent. Ends with the shell.")
        subprocess.run([os.environ.get("SHELL", "bash")], env=cluster.environment)


if __name__ == "__main__":
    sys.exit(main())
