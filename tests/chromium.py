"""A headless Chromium, driven over its DevTools protocol through a pipe; it needs no package.

    with Chromium() as browser:
        browser.open("http://127.0.0.1:8000/")
        browser.wait_for("document.body.dataset.ready")
        browser.drop("#results", "photo.jpg")

Messages are JSON, each with a zero byte behind it; Chromium reads them from file descriptor 3 and
answers on 4 (its option --remote-debugging-pipe). See chromedevtools.github.io/devtools-protocol.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

FOUND = shutil.which("chromium") or shutil.which("chromium-browser")
HAS_CHROMIUM = FOUND is not None and os.name == "posix"
needs_chromium = pytest.mark.skipif(not HAS_CHROMIUM, reason="no chromium on PATH")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip


class Chromium:
    """One browser with one page.

    Args:
        size: width and height of the window.
        options: further ones of the command line.
    """

    def __init__(self, size: tuple[int, int] = (1000, 800), options: tuple[str, ...] = ()) -> None:
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self.send_to = os.pipe()
        self.receive_from, from_browser = os.pipe()
        # `bash` moves the pipes' ends to the numbers that Chromium wants
        command = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", FOUND]
        command += [*OPTIONS, f"--window-size={size[0]},{size[1]}", *options]
        self.process = subprocess.Popen(
            [*command, f"--user-data-dir={self.profile.name}", "about:blank"],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self.answers = os.fdopen(self.receive_from, "rb")
        self.rest, self.count, self.session = b"", 0, None
        page = next(
            each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        )
        attach = {"targetId": page["targetId"], "flatten": True}
        self.session = self.call("Target.attachToTarget", **attach)["sessionId"]
        for domain in ("Page", "Runtime", "DOM"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setFocusEmulationEnabled", enabled=True
        )  # as if its window were in front

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.answers.close()
        os.close(self.send_to)
        self.profile.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Calls a method of the protocol and returns its result; events are passed over."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send_to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            assert select.select([self.answers], [], [], 60)[0], "Chromium says nothing"
            part = self.answers.read1(1 << 16)
            assert part, "Chromium has ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """Goes to a page and waits until it is loaded."""
        result = self.call("Page.navigate", url=url)
        assert not result.get("errorText"), result
        self.wait_for("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        """Asks until an expression is true; returns its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script[:200]}"
            time.sleep(0.05)
        return value

    def drop(self, selector: str, file: str | Path) -> None:
        """Drags a file of this machine onto an element, as a person does."""
        box = self.run(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(Path(file).resolve())], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, data=data, **place)

    def press(self, key: str, code: int) -> None:
        """Presses a key, such as "ArrowRight" with its code 39."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **about)

    def screenshot(self, path: str | Path) -> None:
        """Writes a PNG of the whole page."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(picture))

    def look(self, width: int, height: int, is_dark: bool) -> None:
        """Sets the window's size and the colour scheme that its user prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])
