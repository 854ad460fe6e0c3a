"""The command `serve`: opens the networks, takes the port and runs the server until Ctrl-C."""

import ipaddress
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from commands.command_line import as_shown
from deploy import OnnxSegmenter
from utils import LabError, python_command

PACKAGES = ("fastapi", "uvicorn", "python_multipart")


def serve_models(models: Sequence[Path], host: str, port: int) -> None:
    """Serves networks on a page and behind an API.

    Args:
        models: files `model.onnx`.
        host: name or address of this machine to listen at.
        port: to listen at; 0 for any that is free.

    Raises:
        LabError: for lack of a package, for a file that is no model, and for a port that is taken.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        cure = f"{python_command()} -m pip install -r requirements-serve.txt"
        raise LabError(f"serve needs {', '.join(missing)}: {cure}")
    from commands.serving.app import LOCAL_HOSTS, build_app
    from commands.serving.connection import server_of

    segmenters = dict(zip(names_of(models), map(OnnxSegmenter, models), strict=True))
    with listening(host, port) as listener:
        address, port = listener.getsockname()[:2]
        for (name, segmenter), path in zip(segmenters.items(), models, strict=True):
            print(as_shown(f"{name}: {len(segmenter.classes)} classes, {path}"))
        is_local = ipaddress.ip_address(address).is_loopback
        if not is_local:
            print("note: everybody in this network can send it photos; it has no password")
        shown = shown_host(address)
        print(f"open http://{shown}:{port} in a browser; Ctrl-C ends it", flush=True)
        app = build_app(segmenters, (*LOCAL_HOSTS, shown) if is_local else ("*",))
        with suppress(KeyboardInterrupt):
            server_of(app).run(sockets=[listener])
    print("stopped")


def shown_host(address: str) -> str:
    """An address as it stands in a URL; the machine's name where it means all of its own."""
    if ipaddress.ip_address(address).is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if ":" in address else address


def names_of(models: Sequence[Path]) -> list[str]:
    """A name for each file: its own without .onnx, or its folder's where that says no more."""
    names = []
    for path in models:
        stem = path.stem
        name = path.absolute().parent.name if stem == "model" else stem
        name = as_shown(name) or stem
        number, plain = 1, name
        while name in names:
            number += 1
            name = f"{plain} {number}"
        names.append(name)
    return names


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; `LabError` for a port that is taken or a host that is not here."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise LabError(f"--host {host}: {error.strerror or error}; give an address") from error
    try:
        if sys.platform != "win32":  # there, it would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = f"{error.strerror or error}; choose another --port or --host"
        raise LabError(f"cannot listen at {host} port {port}: {reason}") from error
    return listener
