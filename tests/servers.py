"""Servers for tests: in a thread, or as the command in a process of its own; and small networks."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from commands.serving import app, connection, serve
from commands.serving.body import Limits

LAB = Path(__file__).resolve().parent.parent
COLORS = {"red": [255, 0, 0], "green": [0, 128, 0], "blue": [0, 0, 255]}


def write_colors_model(path: Path) -> Path:
    """Writes a model.onnx that gives each pixel the class of its strongest channel."""
    sides = ("batch", 3, "height", "width")
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["image"], ["logits"])],
        "colors",
        [onnx.helper.make_tensor_value_info("image", kind, sides)],
        [onnx.helper.make_tensor_value_info("logits", kind, sides)],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    metadata = {"classes": [*COLORS], "palette": [*COLORS.values()], "mean": [0.5] * 3}
    metadata |= {"std": [0.25] * 3, "size": [32, 64], "stride": 4, "format_version": 1}
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.save(model, path)
    return path


class Slow:
    """A network that takes as long as one wants, and remembers its photos."""

    classes, palette, size = ("a", "b"), np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (4, 4)

    def __init__(self, seconds: float = 0) -> None:
        self.seconds, self.may_go, self.seen = seconds, threading.Event(), []
        if seconds:
            self.may_go.set()

    def predict(self, image: np.ndarray) -> np.ndarray:
        self.seen.append(image)
        assert self.may_go.wait(30)
        time.sleep(self.seconds)
        return image[..., 0] % 2


@contextlib.contextmanager
def served(models: dict, limits: Limits = app.LIMITS) -> Iterator[str]:
    """A real server in a thread; yields its address, as "127.0.0.1:4711"."""
    listener = serve.listening("127.0.0.1", 0)
    server = connection.server_of(app.build_app(models, limits=limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


def waiting(address: str) -> int:
    return get_json(address, "/health")["waiting"]


def get_json(address: str, path: str) -> dict:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as answer:
        return json.load(answer)


def post(address: str, content: bytes, path: str = "/segment") -> tuple[int, dict, bytes]:
    """Posts a body; returns status, headers and body of the answer."""
    link = http.client.HTTPConnection(address, timeout=60)
    link.request("POST", path, content)
    answer = link.getresponse()
    found = answer.status, dict(answer.headers), answer.read()
    link.close()
    return found


@contextlib.contextmanager
def serving(*words: object) -> Iterator[tuple[str, int]]:
    """`main.py serve` in a process of its own; yields address and process id, ends it by Ctrl-C."""
    command = [sys.executable, "main.py", "serve", *map(str, words), "--port", "0"]
    process = subprocess.Popen(
        command, cwd=LAB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        lines = iter(process.stdout.readline, "")
        found = next(filter(None, (re.search(r"http://(\S+)", line) for line in lines)))
        yield found[1], process.pid
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "stopped\n" and process.returncode == 0
    finally:
        process.kill()
