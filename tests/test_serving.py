"""A network on a page and behind an API: the answers, what is refused, many and slow clients."""

import contextlib
import io
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from servers import Slow, get_json, post, served, serving, waiting, write_colors_model
from starlette.testclient import TestClient

import main
from commands.serving import app, connection, serve
from commands.serving.body import Limits
from commands.test import segment_files
from deploy import OnnxSegmenter
from utils import LabError, read_image

LAB = Path(__file__).resolve().parent.parent
MODEL = LAB / "pretrained" / "toystreets.onnx"
RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY16 = (np.arange(40 * 60, dtype=np.uint16) * 27).reshape(40, 60)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(RGB), "jpeg", exif=exif)


PHOTOS = {
    "png": encoded(Image.fromarray(RGB), "png"),
    "jpeg": encoded(Image.fromarray(RGB), "jpeg"),
    "turned by 90": turned(6),
    "mirrored": turned(5),
    "RGBA": encoded(Image.fromarray(np.dstack([RGB, RGB[..., :1]])), "png"),
    "palette": encoded(Image.fromarray(RGB).quantize(16), "png", transparency=0),
    "CMYK": encoded(Image.fromarray(RGB).convert("CMYK"), "jpeg"),
    "16 bit": encoded(Image.fromarray(GREY16), "png"),
    "grey": encoded(Image.fromarray(RGB[..., 0]), "tiff"),
    "webp": encoded(Image.fromarray(RGB), "webp"),
}
PHOTO = PHOTOS["png"]


@pytest.fixture(scope="module")
def segmenter() -> OnnxSegmenter:
    return OnnxSegmenter(MODEL)


@pytest.fixture(scope="module")
def client(segmenter) -> TestClient:
    return client_of({"street": segmenter, "same": segmenter})


def client_of(models: dict, limits: Limits = app.LIMITS) -> TestClient:
    application = app.build_app(models, limits=limits)
    return TestClient(application, "http://localhost", raise_server_exceptions=False)


def connected(address: str, text: str = "") -> socket.socket:
    host, port = address.split(":")
    found = socket.create_connection((host, int(port)), timeout=20)
    found.sendall(text.encode().replace(b"\n", b"\r\n"))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


def error_of(response: httpx2.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    return response.json()["error"]


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize("kind", PHOTOS)
def test_answers_are_those_of_the_command_line(kind, client, segmenter, tmp_path):
    photo = tmp_path / "photo.img"
    photo.write_bytes(PHOTOS[kind])
    (done,) = segment_files(segmenter, [photo], tmp_path)
    ids = segmenter.predict(read_image(photo))
    assert ids.shape == ((60, 40) if kind in ("turned by 90", "mirrored") else (40, 60))
    answers = {
        name: client.post("/segment", params={"as": name}, content=PHOTOS[kind])
        for name in ("png", "overlay", "json", "raw")
    }
    assert answers["png"].content == (tmp_path / "photo_trainIds.png").read_bytes()
    assert answers["overlay"].content == (tmp_path / "photo_overlay.png").read_bytes()
    assert answers["json"].json()["classes"] == done.shares
    assert answers["raw"].content == ids.tobytes()
    for answer in answers.values():
        assert answer.headers["x-size"] == f"{ids.shape[1]}x{ids.shape[0]}"


def test_png_is_the_default_and_a_form_is_as_good_as_a_body(client):
    plain = client.post("/segment", content=PHOTO)
    form = client.post("/segment", files={"image": ("ä b.jpg", PHOTO, "text/plain")})
    assert plain.headers["content-type"] == "image/png"
    assert form.content == plain.content == client.post("/segment?as=png", content=PHOTO).content


def test_json_has_size_time_and_shares(client):
    values = client.post("/segment?as=json", content=PHOTO).json()
    assert (values["width"], values["height"]) == (60, 40) and values["milliseconds"] > 0
    assert len(values["classes"]) == 19 and sum(values["classes"].values()) == pytest.approx(1)


def test_raw_ids_are_zipped_for_who_takes_it(client):
    zipped = client.post("/segment?as=raw", content=PHOTO)
    plain = client.post("/segment?as=raw", content=PHOTO, headers={"accept-encoding": "identity"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers and len(plain.content) == 2400
    assert zipped.content == plain.content


def test_models_are_described_and_chosen_by_name():
    client = client_of({"slow": Slow(0.01), "none": Slow(0.01)})
    about = client.get("/model.json").json()
    first = {"name": "slow", "classes": ["a", "b"], "palette": [[255, 0, 0], [0, 0, 255]]}
    assert about == {
        "models": [first | {"size": [4, 4]}, first | {"name": "none", "size": [4, 4]}],
        "most_bytes": 20_000_000,
    }
    assert client.get("/health").json() == {
        "status": "ok", "models": ["slow", "none"], "waiting": 0, "segmented": 0,
    }  # fmt: skip


def test_model_is_picked_by_its_name():
    models = {"one": Slow(0.01), "two words ä": Slow(0.01)}
    client = client_of(models)
    client.post("/segment", params={"model": "two words ä"}, content=PHOTO)
    assert [len(each.seen) for each in models.values()] == [0, 1]
    client.post("/segment", content=PHOTO)
    assert [len(each.seen) for each in models.values()] == [1, 1]
    line = error_of(client.post("/segment?model=three", content=PHOTO), 404)
    assert line == "no model 'three'; there are: one, two words ä"


# ------------------------------------------------------------------ what is refused


def header_of_png(width: int, height: int) -> bytes:
    """A PNG that ends behind its header."""
    return PHOTO[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + PHOTO[24:26]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "no photo; send an image file"),
        (b"x" * 1000, 415, "not an image"),
        (PHOTO[:200], 415, "not a readable image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", 415, "a drawing"),
        (b"\0" * 20_000_000, 415, "not an image"),
        (b"\0" * 20_000_001, 413, "more than 20 MB"),
    ],
)
def test_what_is_no_photo_is_refused(content, status, words, client):
    assert words in error_of(client.post("/segment", content=content), status)


@pytest.mark.parametrize(("width", "height"), [(8000, 5001), (40_000_001, 1), (60_000, 60_000)])
def test_too_many_pixels_are_refused_by_the_header(width, height, client):
    photo = bytearray(encoded(Image.new("L", (1, 1)), "bmp"))  # whose header nothing protects
    photo[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    line = error_of(client.post("/segment", content=bytes(photo)), 422)
    assert "limit of 40 million" in line or "absurdly large" in line
    photo[18:26] = (8000).to_bytes(4, "little") + (5000).to_bytes(4, "little")
    error_of(client.post("/segment", content=bytes(photo)), 415)  # allowed, but cut off


@pytest.mark.parametrize(
    ("files", "data", "words"),
    [
        ({"photo": PHOTO}, {}, "no file named image"),
        ({}, {"image": "text"}, "no photo"),
        ({"image": b""}, {}, "no photo"),
        ({"image": b"text"}, {}, "not an image"),
        ({"image": PHOTO, "more": PHOTO}, {}, "a form that cannot be read (Too many files"),
    ],
)
def test_forms_without_a_photo_are_refused(files, data, words, client):
    answer = client.post("/segment", files=files, data=data)
    if data:  # without a file it is no multipart form, and its body no image
        words = "not an image"
    assert words in error_of(answer, 415)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_damaged_form_is_refused(kind, client):
    answer = client.post("/segment", content=PHOTO, headers={"content-type": kind})
    assert "a form that cannot be read" in error_of(answer, 415)


def test_photo_in_a_form_may_be_as_large_as_in_a_body(client):
    limits = Limits(body_bytes=len(PHOTO))
    client = client_of({"slow": Slow(0.01)}, limits=limits)
    assert client.post("/segment", files={"image": PHOTO}).status_code == 200
    error_of(client.post("/segment", files={"image": PHOTO + b"\0"}), 413)
    error_of(client.post("/segment", files={"image": PHOTO + b"\0" * 100_000}), 413)


def test_body_without_a_length_is_limited_while_it_comes():
    sent = []

    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            sent.append(1)
            yield b"\0" * 100

    client = client_of({"slow": Slow(0.01)}, limits=Limits(body_bytes=1000))
    assert "more than 0.001 MB" in error_of(client.post("/segment", content=chunks()), 413)


def test_unknown_addresses_methods_and_parameters_have_a_sentence(client):
    assert "GET /nowhere" in error_of(client.get("/nowhere"), 404)
    assert "GET /segment" in error_of(client.get("/segment"), 405)
    assert "GET /docs" in error_of(client.get("/docs"), 404)  # that page would need a CDN
    assert "'overlay'" in error_of(client.post("/segment?as=gif", content=PHOTO), 400)


def test_network_that_fails_is_an_error_of_one_sentence():
    class Broken(Slow):
        def predict(self, image: np.ndarray) -> np.ndarray:
            raise self.error

    broken = Broken()
    client = client_of({"broken": broken})
    broken.error = LabError("its weights are damaged")
    assert error_of(client.post("/segment", content=PHOTO), 500) == "its weights are damaged"
    broken.error = MemoryError()
    assert "memory" in error_of(client.post("/segment", content=PHOTO), 500)
    broken.error = NotImplementedError("TODO 7.2a")
    line = error_of(client.post("/segment", content=PHOTO), 500)
    assert line.startswith("TODO 7.2 is still to do; see: ")
    broken.error = RuntimeError("unforeseen")
    assert "has failed" in error_of(client.post("/segment", content=PHOTO), 500)
    assert client.get("/health").json()["segmented"] == 4


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:8000", 200), ("evil.example", 400),
     ("127.0.0.1.evil.example:8000", 400), ("", 400)],
)  # fmt: skip
def test_foreign_host_names_are_refused_on_this_machine_alone(host, status, segmenter):
    headers = {"host": host}
    assert client_of({"m": segmenter}).get("/", headers=headers).status_code == status
    anywhere = TestClient(app.build_app({"m": segmenter}, hosts=("*",)))
    assert anywhere.get("/health", headers={"host": "lab-pc:8000"}).status_code == 200


def test_no_page_of_another_site_may_read_an_answer(client):
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for answer in (
        client.post("/segment", content=PHOTO, headers=headers),
        client.options("/segment", headers=headers),
        client.get("/model.json", headers=headers),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_nothing_is_written_to_disk(client, monkeypatch):
    def refuse(*words: object, **options: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", refuse)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    large = encoded(Image.new("RGB", (1000, 800), (9, 90, 200)), "bmp")
    assert len(large) > 2 * 2**20
    assert client.post("/segment", files={"image": large}).status_code == 200


# ------------------------------------------------------------------ many, slow and absent clients


def test_full_queue_says_when_to_come_back():
    slow = Slow()
    with served({"slow": slow}, Limits(waiting=1)) as address, ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, address, PHOTO)
        wait_for(lambda: slow.seen)
        second = pool.submit(post, address, PHOTO)
        wait_for(lambda: waiting(address) == 1)
        status, headers, body = post(address, PHOTO)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body) == {"error": "the server is busy; try again in 1 s"}
        slow.may_go.set()
        assert first.result()[0] == second.result()[0] == 200 and len(slow.seen) == 2
        assert post(address, PHOTO)[0] == 200


def test_time_to_come_back_is_that_of_the_queue():
    from commands.serving.worker import Worker

    worker = Worker(waiting=3)
    worker.mean_seconds = 1.2
    assert worker.busy().headers == {"Retry-After": "5"}
    worker.mean_seconds = 1000
    assert worker.busy().headers == {"Retry-After": "60"}


def test_bodies_together_are_limited_and_make_room_again():
    limits = Limits(held_bytes=len(PHOTO) - 1)
    client = client_of({"slow": Slow(0.01)}, limits=limits)
    assert "busy" in error_of(client.post("/segment", content=PHOTO), 503)
    client = client_of({"slow": Slow(0.01)}, limits=Limits(held_bytes=len(PHOTO)))
    for _ in range(3):
        assert client.post("/segment", content=PHOTO).status_code == 200
        error_of(client.post("/segment", content=b"x"), 415)


def test_photo_of_a_client_that_has_gone_is_not_segmented():
    slow = Slow()
    with served({"slow": slow}, Limits(waiting=2)) as address:
        head = f"POST /segment HTTP/1.1\nHost: localhost\nContent-Length: {len(PHOTO)}\n\n"
        links = [connected(address, head) for _ in range(4)]
        for number, link in enumerate(links[:3]):
            link.sendall(PHOTO)
            wait_for(lambda number=number: slow.seen and waiting(address) == number)
        links[1].close(), links[2].close()
        wait_for(lambda: waiting(address) == 0)
        links[3].sendall(PHOTO)
        wait_for(lambda: waiting(address) == 1)
        slow.may_go.set()
        assert links[0].recv(12) == links[3].recv(12) == b"HTTP/1.1 200"
        links[0].close(), links[3].close()
        assert len(slow.seen) == 2


def test_client_that_goes_while_it_sends_makes_room():
    limits = Limits(held_bytes=len(PHOTO) + 100)
    with served({"slow": Slow(0.01)}, limits) as address:
        link = connected(
            address, "POST /segment HTTP/1.1\nHost: localhost\nContent-Length: 999\n\n"
        )
        link.sendall(b"x" * 200)
        wait_for(lambda: post(address, PHOTO)[0] == 503)
        link.close()
        wait_for(lambda: post(address, PHOTO)[0] == 200)


def test_slow_bodies_are_cut_off_and_stop_nobody():
    head = "POST /segment HTTP/1.1\nHost: localhost\nContent-Length: 1000\n\nx"
    with served({"slow": Slow(0.01)}, Limits(body_seconds=1.5, waiting=1)) as address:
        slow = [connected(address, head) for _ in range(20)]
        assert post(address, PHOTO)[0] == 200
        for each in slow:
            text = b"".join(iter(lambda each=each: each.recv(4096), b""))  # up to its end
            assert text.startswith(b"HTTP/1.1 408") and b"did not come within 1.5 s" in text


def test_slow_heads_are_cut_off(monkeypatch):
    monkeypatch.setattr(connection.Connection, "seconds", 0.5)
    with served({"slow": Slow(0.01)}) as address:
        slow = connected(address, "POST /segment HTTP/1.1\nHost: localh")
        with pytest.raises(OSError):
            for _ in range(100):
                slow.sendall(b"o")
                time.sleep(0.05)
        assert waiting(address) == 0


def test_answer_that_nobody_reads_is_cut_off(monkeypatch):
    monkeypatch.setattr(connection.Connection, "seconds", 0.5)
    photo = encoded(Image.new("L", (5000, 4000)), "png")
    with served({"slow": Slow(0.01)}) as address:
        link = connected(
            address,
            f"POST /segment?as=raw HTTP/1.1\nHost: localhost\nContent-Length: {len(photo)}\n\n",
        )
        link.sendall(photo)
        wait_for(lambda: get_json(address, "/health")["segmented"])
        time.sleep(2)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := link.recv(1 << 20):
                received += len(part)
        link.close()
        assert received < 5000 * 4000


def test_connection_may_wait_for_its_photo(monkeypatch):
    """A request that is in the queue for longer than a connection may be idle is answered."""
    monkeypatch.setattr(connection.Connection, "seconds", 0.2)
    with served({"slow": Slow(1)}) as address:
        assert post(address, PHOTO)[0] == 200


def test_too_large_body_is_answered_though_it_is_still_coming():
    with served({"slow": Slow(0.01)}, Limits(body_bytes=1000)) as address:
        status, _, body = post(address, b"\0" * 5_000_000)
        assert status == 413 and b"more than" in body
        head = "POST /segment HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n"
        endless = connected(address, f"{head}7d0\n")  # 2000 bytes, and no end
        endless.sendall(b"\0" * 2000)
        assert endless.recv(12) == b"HTTP/1.1 413"
        endless.close()
        lying = connected(
            address, "POST /segment HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n"
        )
        lying.sendall(b"\0" * 5000)
        assert lying.recv(12) == b"HTTP/1.1 415"
        lying.close()


def ask_for_a_while(address: str, seconds: float, photo: bytes) -> tuple[int, int, set[bytes]]:
    """One client, coming back when told to: counts of answers and refusals, and the masks."""
    end, answers, refusals, masks = time.monotonic() + seconds, 0, 0, set()
    while time.monotonic() < end:
        status, headers, body = post(address, photo)
        while status == 503:
            refusals += 1
            time.sleep(int(headers["retry-after"]))
            status, headers, body = post(address, photo)
        assert status == 200
        answers += 1
        masks.add(body)
    return answers, refusals, masks


def megabytes(process: int) -> float:
    """The most memory that a process has had in use."""
    status = Path(f"/proc/{process}/status")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("seconds", "side", "most"),
    [(1, 64, 100), pytest.param(60, 1500, 300, marks=pytest.mark.slow)],
)
def test_many_clients_at_once_lose_no_request(seconds, side, most, tmp_path):
    """Of 32 clients all are answered, each with its own photo's mask; memory in MiB."""
    images = [RGB, RGB.transpose(1, 0, 2), RGB[:30], np.resize(RGB, (side, 4 * side // 3, 3))]
    photos = [encoded(Image.fromarray(image), "png", compress_level=1) for image in images]
    model = MODEL if seconds > 1 else write_colors_model(tmp_path / "colors.onnx")
    with serving(model) as (address, process), ThreadPoolExecutor(32) as pool:
        for photo in photos:
            post(address, photo)
        before = megabytes(process)
        asked = [pool.submit(ask_for_a_while, address, seconds, photos[n % 4]) for n in range(32)]
        results = [each.result() for each in asked]
        grown = megabytes(process) - before
        done = get_json(address, "/health")["segmented"]
    answers, refusals, masks = zip(*results, strict=True)
    print(f"{sum(answers)} answers, {sum(refusals)} times busy, {before:.0f} MiB {grown:+.0f}")
    assert min(answers) >= 1 and done == sum(answers) + 4
    segmenter = OnnxSegmenter(model)
    for n, image in enumerate(images):
        (mask,) = set.union(*masks[n::4])
        ids = np.asarray(Image.open(io.BytesIO(mask)))
        np.testing.assert_array_equal(ids, segmenter.predict(image))
    assert grown < most


# ------------------------------------------------------------------ the command


def said_by(capsys: pytest.CaptureFixture, *words: object) -> str:
    """The one line of a command that fails."""
    assert main.main(["serve", *map(str, words)]) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("error: ") and error.count("\n") == 1
    return error


def test_taken_port_is_one_line(capsys):
    with serve.listening("127.0.0.1", 0) as taken:
        line = said_by(capsys, MODEL, "--port", taken.getsockname()[1])
    assert "cannot listen at 127.0.0.1 port" in line and "choose another --port" in line


def test_foreign_address_is_one_line(capsys):
    assert "cannot listen at 192.0.2.1" in said_by(capsys, MODEL, "--host", "192.0.2.1")
    assert "--host no.such.host.invalid:" in said_by(
        capsys, MODEL, "--host", "no.such.host.invalid"
    )


def test_what_is_no_model_is_one_line(capsys, tmp_path):
    (tmp_path / "ü model.onnx").write_bytes(b"no model")
    assert "not an ONNX model" in said_by(capsys, MODEL, tmp_path / "ü model.onnx")
    assert "no such file" in said_by(capsys, tmp_path / "nowhere.onnx")


def test_missing_packages_are_named_with_their_file(capsys, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    line = said_by(capsys, MODEL)
    assert "serve needs uvicorn: " in line
    assert line.endswith("pip install -r requirements-serve.txt\n")


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_impossible_port_is_one_line(port, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(["serve", str(MODEL), "--port", port])
    assert capsys.readouterr().err.startswith("error: argument --port")


def test_files_are_named_so_that_one_can_tell_them_apart(tmp_path):
    paths = ["a/model.onnx", "b/model.onnx", "x.int8.onnx", "c/a/model.onnx", "model.onnx"]
    names = serve.names_of([tmp_path / path for path in paths])
    assert names == ["a", "b", "x.int8", "a 2", tmp_path.name]


def test_command_says_what_it_serves_and_whom(capsys, monkeypatch):
    """With a server that ends at once, as by Ctrl-C."""

    def run(server: object, sockets: list[socket.socket]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", run)
    monkeypatch.setattr("socket.gethostname", lambda: "lab-pc")
    assert main.main(["serve", str(MODEL), "--port", "0"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == f"toystreets: 19 classes, {MODEL}"
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+ in a browser; Ctrl-C ends it", second)
    assert last == "stopped"
    assert main.main(["serve", str(MODEL), "--port", "0", "--host", "0.0.0.0"]) == 0
    output = capsys.readouterr().out
    assert "everybody in this network can send it photos" in output and "http://lab-pc:" in output


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address")
def test_every_address_of_this_machine_answers_under_its_name():
    with serving(MODEL, "--host", "127.0.0.2") as (address, _):
        assert address.startswith("127.0.0.2:") and waiting(address) == 0
