"""`web`: the folder that is written, the page's arithmetic, and a browser that segments alone."""

import base64
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, needs_chromium
from PIL import Image, ImageCms

import main
from commands.serving import web
from deploy import OnnxSegmenter, network_size, upsample_argmax
from toycity import render_scene
from utils import read_image, resize_image

LAB = Path(__file__).resolve().parent.parent
MODEL = LAB / "pretrained" / "toystreets.onnx"
PIXELS = LAB / "commands" / "serving" / "page" / "pixels.js"
PAGE = {"index.html", "page.css", "page.js", "backend.js", "worker.js", "pixels.js", "model.json"}
PACKED = f"onnxruntime-web-{web.VERSION}.tgz"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node on PATH")


@pytest.fixture
def runtime(tmp_path) -> Path:
    """What looks like the unpacked package, a few bytes large."""
    folder = tmp_path / "runtime"
    (folder / "dist").mkdir(parents=True)
    about = {"name": "onnxruntime-web", "version": web.VERSION, "license": "MIT"}
    (folder / "package.json").write_text(json.dumps(about))
    (folder / "dist" / "ort.wasm.bundle.min.mjs").write_text("export const env = {};")
    (folder / "dist" / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm")
    (folder / "dist" / "ort.all.js").write_text("not needed")
    return folder


def make(output, *words, runtime=None):
    given = ("--runtime", runtime) if runtime else ()
    return main.main([*map(str, ["web", output, *words, *given])])


def test_folder_holds_the_page_the_network_and_what_is_needed_of_the_runtime(
    tmp_path, runtime, capsys
):
    output = tmp_path / "mein Netz ä"
    assert make(output, "--model", MODEL, runtime=runtime) == 0
    assert {path.name for path in output.iterdir()} == PAGE | {"model.onnx", "ort"}
    names = ["ort-wasm-simd-threaded.wasm", "ort.wasm.bundle.min.mjs", "package.json"]
    assert sorted(path.name for path in (output / "ort").iterdir()) == names
    assert (output / "model.onnx").read_bytes() == MODEL.read_bytes()
    assert (output / "backend.js").read_bytes() == PIXELS.with_name("browser.js").read_bytes()
    about = json.loads((output / "model.json").read_text())
    assert about["runtime"] == {
        "version": web.VERSION, "file": "ort/ort-wasm-simd-threaded.wasm", "bytes": 4,
    }  # fmt: skip
    (model,) = about["models"]
    assert (model["name"], model["file"], model["bytes"]) == ("toystreets", "model.onnx", 8740685)
    assert model["classes"][:2] == ["road", "sidewalk"] and model["palette"][0] == [128, 64, 128]
    assert (model["size"], model["stride"]) == ([128, 256], 16)
    assert np.float32(model["mean"]).tolist() == np.float32([0.485, 0.456, 0.406]).tolist()
    assert np.float32(model["std"]).tolist() == np.float32([0.229, 0.224, 0.225]).tolist()
    said = capsys.readouterr().out
    assert f"--directory '{output}'" in said and "1 network, 8.8 MB" in said
    assert not list(tmp_path.glob(".*"))


def test_page_names_no_address_outside_the_folder(tmp_path, runtime):
    make(tmp_path / "out", "--model", MODEL, runtime=runtime)
    for name in PAGE - {"model.json"}:
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|[\"'(]/[\w/]", text), name


def test_folder_written_anew_keeps_what_is_not_its_own(tmp_path, runtime):
    output, other = tmp_path / "out", tmp_path / "run" / "model.onnx"
    other.parent.mkdir()
    shutil.copy(MODEL, other)
    assert make(output, "--model", MODEL, other, runtime=runtime) == 0
    about = json.loads((output / "model.json").read_text())
    assert [model["name"] for model in about["models"]] == ["toystreets", "run"]
    assert [model["file"] for model in about["models"]] == ["model.onnx", "model-2.onnx"]
    (output / ".git").mkdir()
    (output / "CNAME").write_text("streets")
    (output / "ort" / "old.js").write_text("of an earlier version")
    (output / "page.js").write_text("of an earlier version")
    assert make(output, "--model", other, runtime=runtime) == 0
    names = {path.name for path in output.iterdir()}
    assert names == PAGE | {"model.onnx", "ort", ".git", "CNAME"}
    assert not (output / "ort" / "old.js").exists()
    assert "earlier" not in (output / "page.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("about", ["", "[]", "{}", '{"models": [], "runtime": {}}', "[" * 99_999])
def test_other_folders_are_refused_and_stay(tmp_path, runtime, capsys, about):
    output = tmp_path / "out"
    output.mkdir()
    (output / "backend.js").write_text("mine")
    (output / "model.json").write_text(about)
    assert make(output, "--model", MODEL, runtime=runtime) == 2
    assert "no folder of this command; choose another" in capsys.readouterr().err
    assert (output / "backend.js").read_text() == "mine" and len(list(output.iterdir())) == 2


def test_empty_folder_is_taken_and_a_file_refused(tmp_path, runtime, capsys):
    (tmp_path / "empty").mkdir()
    assert make(tmp_path / "empty", "--model", MODEL, runtime=runtime) == 0
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "out"):
        assert make(output, "--model", MODEL, runtime=runtime) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_no_model_is_refused_and_nothing_written(tmp_path, runtime, capsys):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    for path in (tmp_path / "model.onnx", tmp_path / "absent.onnx", tmp_path):
        assert make(tmp_path / "out", "--model", MODEL, path, runtime=runtime) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "runtime"]


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("package.json", '{"name": "onnxruntime-web", "version": "1.0.0"}', "is onnxruntime-web 1"),
        ("package.json", '{"name": "left-pad", "version": "1.30.0"}', "is left-pad 1.30.0; the"),
        ("package.json", "[]", "has a damaged package.json"),
        ("package.json", "\xff", "has a damaged package.json"),
        ("dist/ort-wasm-simd-threaded.wasm", None, "has no dist/ort-wasm-simd-threaded.wasm"),
    ],
)
def test_another_runtime_is_refused(tmp_path, runtime, capsys, file, content, words):
    if content is None:
        (runtime / file).unlink()
    else:
        (runtime / file).write_text(content, encoding="latin-1")
    assert make(tmp_path / "out", "--model", MODEL, runtime=runtime) == 2
    assert capsys.readouterr().err.startswith(f"error: --runtime {runtime}: {words}")
    assert [path.name for path in tmp_path.iterdir()] == ["runtime"]


def test_without_npm_one_line_says_what_helps(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make(tmp_path / "out", "--model", MODEL) == 2
    line = (
        "error: npm is missing, which fetches onnxruntime-web: install Node.js, or give --runtime"
    )
    assert capsys.readouterr().err.startswith(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("sh") is None, reason="no sh for a made-up npm")
@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            f"echo half > {PACKED}; echo 'npm error code E404' >&2; exit 1",
            "npm could not fetch .* (npm error code E404)",
        ),
        ("exit 0", "npm could not fetch .* (exit code 0)"),
        (f"echo forged > {PACKED}", "what npm fetched is not onnxruntime-web 1"),
    ],
)
def test_what_npm_does_not_fetch_is_refused(tmp_path, capsys, monkeypatch, script, words):
    (tmp_path / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make(tmp_path / "out", "--model", MODEL) == 2
    error = capsys.readouterr().err
    assert re.match(f"error: {words.replace('(', '[(]').replace(')', '[)]')}", error), error
    assert [path.name for path in tmp_path.iterdir()] == ["npm"]


# ------------------------------------------------------------------ the page's arithmetic


def in_node(expression: str, given: object) -> object:
    """The value of an expression of `pixels` (the module) and `given`, as JSON."""
    code = (
        f"const pixels = await import({json.dumps(PIXELS.as_uri())});\n"
        "let text = ''; for await (const part of process.stdin) text += part;\n"
        "const given = JSON.parse(text); const bytes = text => Buffer.from(text, 'base64');\n"
        f"console.log(JSON.stringify({expression}));\n"
    )
    words = ["node", "--input-type=module", "--eval", code]
    done = subprocess.run(
        words, input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


@needs_node
def test_sizes_round_as_in_python():
    photos = [[1, 1], [3024, 4032], [720, 960], [5, 3], [1, 9000], [5, 8], [1080, 1920]]
    trainings = [[128, 256], [512, 512], [33, 7], [2, 5]]  # 5 x 8 is halved for 2 x 5
    found = in_node(
        "given.photos.map(p => given.trainings.map(t => pixels.networkSize(p, t)))",
        {"photos": photos, "trainings": trainings},
    )
    assert found == [[list(network_size(p, t)) for t in trainings] for p in photos]


SHAPES = [
    ((50, 90), (128, 231)), ((24, 48), (24, 48)), ((1, 40), (30, 100)),  # grows, stays, grows
    ((500, 3), (104, 7)), ((2, 500), (4, 102)),  # one side shrinks, the other grows
    ((72, 96), (36, 48)), ((72, 96), (24, 48)), ((72, 96), (24, 32)),  # whole factors
    ((99, 133), (31, 42)), ((30, 31), (29, 30)), ((30, 9), (11, 9)),
]  # fmt: skip


@needs_node
def test_images_are_resized_as_in_python_to_the_bit():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size, _ in SHAPES]
    opaque = [np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]) for image in images]
    given = [
        {"rgba": packed(image), "from": size, "to": to}
        for image, (size, to) in zip(opaque, SHAPES, strict=True)
    ]
    found = in_node(
        "given.map(each => { const rgba = bytes(each.rgba), line = 4 * each.from[1];\n"
        "const row = y => rgba.subarray(y * line, (y + 1) * line);\n"
        "return Buffer.from(pixels.resizeImage(row, each.from, each.to)).toString('base64'); })",
        given,
    )
    for image, (_, to), text in zip(images, SHAPES, found, strict=True):
        assert text == packed(resize_image(image, to)), (image.shape, to)


@needs_node
def test_input_is_normalised_and_padded_as_in_python():
    segmenter = OnnxSegmenter(MODEL)
    image = np.random.default_rng(0).integers(0, 256, (157, 209, 3), dtype=np.uint8)
    assert network_size((157, 209), segmenter.size) == (157, 209)
    about = {"mean": segmenter.mean.tolist(), "std": segmenter.std.tolist(), "stride": 16}
    found = in_node(
        "(({ data, dims }) => ({ data: Buffer.from(data.buffer).toString('base64'), dims }))("
        "pixels.networkInput(bytes(given.rgb), [157, 209], given.about))",
        {"rgb": packed(image), "about": about},
    )
    expected = segmenter.preprocess(image)
    assert found["dims"] == [1, 3, 160, 224] and expected.dtype == np.float32
    assert found["data"] == packed(expected)


@needs_node
def test_logits_are_enlarged_and_the_best_class_taken_as_in_python():
    random = np.random.default_rng(0)
    shapes = [((12, 13), (90, 70)), ((1, 16), (1, 5)), ((16, 1), (3, 40)), ((9, 9), (9, 9))]
    for inner, size in shapes:
        logits = random.normal(size=(5, 16, 16)).astype(np.float32)
        given = {"data": packed(logits), "inner": inner, "size": size}
        found = in_node(
            "Array.from(pixels.upsampleArgmax(new Float32Array(Uint8Array.from(bytes(given.data))"
            ".buffer), [1, 5, 16, 16], given.inner, given.size))",
            given,
        )
        expected = upsample_argmax(logits[:, : inner[0], : inner[1]], size)
        assert (np.reshape(found, size) != expected).mean() < 0.001, (inner, size)


# ------------------------------------------------------------------ in a browser


class Recorded(SimpleHTTPRequestHandler):
    """A plain server that remembers what was asked for, and its answers."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.asked.append((self.path, str(int(code))))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A real folder: its address, in a sub-path of a plain server, and where it lies."""
    root = tmp_path_factory.mktemp("site")
    output = root / "people" / "my lab"
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH")
    assert make(output, "--model", MODEL) == 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recorded, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/people/my%20lab/", output
    server.shutdown()
    server.server_close()


def mask_of(browser: Chromium, palette: np.ndarray) -> np.ndarray:
    """The class ids that the page shows, read from the colours of its mask."""
    text = browser.run(
        "(canvas => { const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width,"
        " canvas.height); let text = ''; for (let at = 0; at < data.length; at += 4)"
        " text += String.fromCharCode(data[at], data[at + 1], data[at + 2]);"
        " return `${canvas.width} ${canvas.height} ${btoa(text)}`; })"
        "(document.querySelector('canvas.mask'))"
    )
    width, height, pixels = text.split()
    colors = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(int(height), int(width), 3)
    is_class = (colors[:, :, None] == palette).all(axis=-1)  # (H, W, K)
    assert is_class.any(axis=-1).all()
    return is_class.argmax(axis=-1)


def write_photos(folder: Path) -> dict[Path, float]:
    """Photos, and the share of their pixels that must get the same class as in Python."""
    street = Image.fromarray(render_scene("ahornau", 0, 3, (128, 256))[0])
    large = Image.fromarray(render_scene("ahornau", 0, 5, (300, 500))[0])
    clear = np.random.default_rng(0).integers(0, 256, (300, 500), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = wide.replace(b"rXYZ", b"!XYZ").replace(b"bXYZ", b"rXYZ").replace(b"!XYZ", b"bXYZ")
    street.save(folder / "street.png")
    large.save(folder / "turned.jpg", quality=90, exif=turned)
    large.save(folder / "turned ü.png", exif=turned)
    large.convert("L").save(folder / "grey.png")
    large.save(folder / "profile.png", icc_profile=swapped)
    Image.merge("RGBA", [*large.split(), Image.fromarray(clear)]).save(folder / "clear.png")
    Image.new("RGB", (1, 1), (70, 70, 70)).save(folder / "one.png")
    large.resize((1500, 900)).save(folder / "strips.png")  # which is read in several strips
    return {path: 0.999 if path.suffix == ".jpg" else 0.9999 for path in sorted(folder.iterdir())}


@pytest.mark.slow
@needs_chromium
def test_browser_segments_dropped_photos_as_python_does(site, tmp_path):
    segmenter = OnnxSegmenter(MODEL)
    Recorded.asked.clear()
    with Chromium() as browser:
        browser.open(site[0])
        browser.wait_for("document.body.dataset.ready")
        for path, least in write_photos(tmp_path).items():
            browser.run("document.body.dataset.done = ''")
            browser.drop("main", path)
            browser.wait_for("document.body.dataset.done", seconds=120)
            expected = segmenter.predict(read_image(path))
            found = mask_of(browser, segmenter.palette)
            assert found.shape == expected.shape, path.name
            assert (found == expected).mean() >= least, path.name
        (tmp_path / "not.jpg").write_text("no image")
        browser.drop("main", tmp_path / "not.jpg")
        said = browser.wait_for("document.querySelector('#status.wrong')?.innerText")
        assert said == "This is no image that the browser can read; save it as JPEG or PNG."
    paths = {path for path, _ in Recorded.asked}
    assert all(path.startswith("/people/my%20lab/") for path in paths) and len(paths) == 10
    assert {code for _, code in Recorded.asked} <= {"200", "304"}


@pytest.mark.slow
@needs_chromium
def test_page_says_what_is_missing(site, tmp_path):
    address, folder = site
    Image.new("RGB", (20, 10)).save(tmp_path / "photo.png")
    wrong = "document.querySelector('#status.wrong')?.innerText"
    for name, words in {
        "model.json": "model.json did not arrive; reload the page.",
        "worker.js": "The segmentation stopped: a file of the page is missing.",
        "model.onnx": "model.onnx did not arrive: status 404; reload the page.",
    }.items():
        (folder / name).rename(tmp_path / name)
        with Chromium() as browser:
            browser.open(address)
            if name != "model.json":
                browser.wait_for("document.body.dataset.ready")
                browser.drop("main", tmp_path / "photo.png")
            assert browser.wait_for(wrong) == words
        (tmp_path / name).rename(folder / name)
    with Chromium() as browser:
        browser.open(f"{(folder / 'index.html').as_uri()}")
        hint = "document.querySelector('#unserved')"
        browser.wait_for(f"getComputedStyle({hint}).visibility === 'visible'")
        assert "must come from a web server" in browser.run(f"{hint}.innerText")
        browser.open(address)
        browser.wait_for("document.body.dataset.ready")
        assert browser.run(f"{hint}.offsetHeight") == 0


@pytest.mark.slow
@needs_chromium
def test_webcam_is_segmented_frame_by_frame(site, tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "photo.png")
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with Chromium(options=fake) as browser:
        browser.open(site[0])
        browser.wait_for("document.body.dataset.ready")
        browser.run(
            "(devices => { const ask = devices.getUserMedia.bind(devices); window.streams = [];"
            " devices.getUserMedia = async what => { const stream = await ask(what);"
            " streams.push(stream); return stream; }; })(navigator.mediaDevices)"
        )
        cameras = "streams.map(stream => stream.getTracks()[0].readyState).join()"
        click = "document.querySelector('#webcam').click()"
        browser.run(f"{click}; {click}")  # before the browser has asked
        facts = "document.querySelector('.facts')?.textContent"
        first = browser.wait_for(f"/frames a second/.test({facts}) && {facts}", seconds=120)
        assert re.fullmatch(r"640 × 480 pixels, \d+ ms, \d+\.\d frames a second", first)
        assert browser.run(cameras) == "ended,live"
        pixels = "document.querySelector('canvas.photo').toDataURL()"
        before = browser.run(pixels)
        browser.wait_for(f"{pixels} !== {json.dumps(before)}")  # the picture goes on
        assert browser.run("document.querySelectorAll('.legend li:not([hidden])').length") > 0
        browser.run(click)
        browser.wait_for("document.querySelector('#status').innerText === 'The webcam is off.'")
        browser.run(click)
        browser.wait_for(f"{cameras} === 'ended,ended,live'")
        browser.drop("main", tmp_path / "photo.png")  # a photo ends it too
        browser.wait_for("document.body.dataset.done", seconds=60)
        assert browser.run(cameras) == "ended,ended,ended"
        assert browser.run(facts).startswith("20 × 10 pixels, ")
