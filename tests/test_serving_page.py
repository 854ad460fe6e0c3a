"""The page in a real Chromium: from a dropped photo to a mask that one can look at and keep."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, needs_chromium
from PIL import Image
from servers import COLORS, Slow, served, write_colors_model

from commands.serving import app
from commands.serving.app import PAGE
from deploy import OnnxSegmenter
from utils import LabError, colorize, read_image

pytestmark = needs_chromium
RED, GREEN, BLUE = (220, 40, 30), (40, 200, 90), (10, 20, 240)
READ = """(({{ width, height }}, context) => [...context.getImageData(0, 0, width, height).data])
  (document.querySelector("{0}"), document.querySelector("{0}").getContext("2d"))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a photo, 30 x 20: half of it red, a quarter green, a quarter blue."""
    folder = tmp_path_factory.mktemp("photos with ü")
    photo = Image.new("RGB", (30, 20), RED)
    photo.paste(GREEN, (15, 0, 30, 10))
    photo.paste(BLUE, (15, 10, 30, 20))
    photo.save(folder / "a photo.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.resize((300, 200)).save(folder / "turned.jpg", exif=exif, quality=95)
    (folder / "text.txt").write_text("no image")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(folder / "float.tiff")
    return folder


@pytest.fixture(scope="module")
def segmenter(folder) -> OnnxSegmenter:
    return OnnxSegmenter(write_colors_model(folder / "colors.onnx"))


@pytest.fixture(scope="module")
def started(segmenter) -> Iterator[tuple[Chromium, str]]:
    with served({"colors": segmenter, "<b>same</b>": segmenter}) as address, Chromium() as browser:
        yield browser, f"http://{address}/"


@pytest.fixture
def browser(started) -> Chromium:
    browser, url = started
    browser.look(1400, 1000, is_dark=False)
    browser.open(url)
    browser.wait_for("document.body.dataset.ready")
    return browser


def drop(browser: Chromium, photo: Path) -> None:
    browser.drop("h1", photo)
    browser.wait_for("document.body.dataset.done === 'yes'")


def status(browser: Chromium) -> str:
    return browser.run("document.querySelector('#status').textContent").replace("\u00a0", " ")


def pixels(browser: Chromium, canvas: str, shape: tuple[int, int]) -> np.ndarray:
    """What a canvas shows, (H, W, 4)."""
    return np.array(browser.run(READ.format(canvas)), np.uint8).reshape(*shape, 4)


def test_dropped_photo_gets_the_mask_of_the_segmenter(browser, folder, segmenter):
    assert browser.run("document.querySelector('#controls').hidden") is True
    drop(browser, folder / "a photo.png")
    image = read_image(folder / "a photo.png")
    expected = colorize(segmenter.predict(image), segmenter.palette)
    mask = pixels(browser, ".mask", (20, 30))
    np.testing.assert_array_equal(mask[..., :3], expected)
    assert {tuple(color) for color in expected[2:-2, 2:-2].reshape(-1, 3).tolist()} == {
        tuple(color) for color in COLORS.values()
    }
    assert (mask[..., 3] == 255).all()
    np.testing.assert_array_equal(pixels(browser, ".photo", (20, 30))[..., :3], image)
    assert re.fullmatch(r"Done\. The largest class is red \(5\d\.\d %\)\.", status(browser))
    legend = browser.run("[...document.querySelectorAll('.legend button')].map(b => b.innerText)")
    assert [line.split()[0] for line in legend] == ["red", "green", "blue"]
    assert browser.run("document.querySelector('#empty').hidden") is True


def test_turned_photo_stands_upright_below_its_mask(browser, folder, segmenter):
    drop(browser, folder / "turned.jpg")
    image = read_image(folder / "turned.jpg")
    assert image.shape == (300, 200, 3)
    expected = colorize(segmenter.predict(image), segmenter.palette)
    np.testing.assert_array_equal(pixels(browser, ".mask", (300, 200))[..., :3], expected)
    difference = pixels(browser, ".photo", (300, 200))[..., :3].astype(int) - image
    assert abs(difference).max() <= 4  # two decoders


def test_slider_goes_by_keyboard_and_by_dragging(browser, folder):
    drop(browser, folder / "a photo.png")
    clip = "document.querySelector('.mask').style.clipPath"
    assert browser.run(clip) == "inset(0px 0px 0px 50%)"
    browser.run("document.querySelector('#split').focus()")
    browser.press("ArrowRight", 39)
    assert browser.run(clip) == "inset(0px 0px 0px 51%)"
    text = "document.querySelector('#split').getAttribute('aria-valuetext')"
    assert "51 %" in browser.run(text)
    box = browser.run("document.querySelector('.stage').getBoundingClientRect().toJSON()")
    place = {"x": box["x"] + box["width"] / 4, "y": box["y"] + 20, "button": "left"}
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, clickCount=1, **place)
    assert browser.run(clip) == "inset(0px 0px 0px 25%)"


def test_pointer_names_the_class_below_it(browser, folder):
    drop(browser, folder / "a photo.png")
    box = browser.run("document.querySelector('.stage').getBoundingClientRect().toJSON()")
    here = "document.querySelector('.here').textContent"
    for x, y, name in ((0.2, 0.5, "red"), (0.8, 0.2, "green"), (0.8, 0.8, "blue")):
        place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        assert browser.run(here) == name


def test_opacity_changes_the_mask(browser, folder):
    drop(browser, folder / "a photo.png")
    browser.run("document.querySelector('#opacity').focus()")
    browser.press("Home", 36)
    assert browser.run("document.querySelector('.mask').style.opacity") == "0"


def test_class_lights_up_by_focus_and_stays_by_a_click(browser, folder):
    drop(browser, folder / "a photo.png")
    green = "document.querySelector('.legend [data-name=green]')"
    alphas = lambda: pixels(browser, ".mask", (20, 30))[[5, 5, 15], [5, 25, 25], 3].tolist()  # noqa: E731
    browser.run(f"{green}.focus()")
    assert alphas() == [30, 255, 30]
    assert browser.run("document.querySelector('.mask').style.clipPath") == "none"
    browser.run(f"{green}.blur()")
    assert alphas() == [255, 255, 255]
    browser.run(f"{green}.click()")
    assert alphas() == [30, 255, 30]
    assert browser.run(f"{green}.getAttribute('aria-pressed')") == "true"
    browser.run(f"{green}.click()")
    assert alphas() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["mask", "overlay"])
def test_downloads_have_the_size_of_the_photo(kind, browser, folder, segmenter, tmp_path):
    drop(browser, folder / "a photo.png")
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.call("Page.setDownloadBehavior", **behaviour)
    browser.run(f"document.querySelector('.save-{kind}').click()")
    path = tmp_path / f"a photo_colors_{kind}.png"
    for _ in range(100):
        browser.run("new Promise(done => setTimeout(done, 50))")
        if path.is_file():
            break
    image = read_image(folder / "a photo.png")
    expected = colorize(segmenter.predict(image), segmenter.palette)
    if kind == "overlay":
        expected = (0.3 * image + 0.7 * expected).round()
    difference = read_image(path).astype(int) - expected
    assert abs(difference).max() <= (1 if kind == "overlay" else 0)


def test_photo_may_be_chosen_or_pasted(browser, folder):
    document = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(folder / "a photo.png")])
    browser.wait_for("document.body.dataset.done === 'yes'")
    browser.run("""(async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [8, 6];
      canvas.getContext("2d").fillStyle = "#00f";
      canvas.getContext("2d").fillRect(0, 0, 8, 6);
      const blob = await new Promise(done => canvas.toBlob(done)), data = new DataTransfer();
      data.items.add(new File([blob], "image.png", { type: "image/png" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
    })()""")
    browser.wait_for("document.querySelector('.facts').textContent.startsWith('8 × 6')")
    assert status(browser) == "Done. The largest class is blue (100.0 %)."


def test_what_is_no_photo_is_said_and_clears_the_old_mask(browser, folder):
    drop(browser, folder / "a photo.png")
    browser.drop("h1", folder / "text.txt")
    browser.wait_for("document.querySelector('#status').className === 'wrong'")
    assert "not an image" in status(browser)
    assert browser.run("document.querySelectorAll('figure').length") == 0
    assert browser.run("document.querySelector('#controls').hidden") is True
    drop(browser, folder / "a photo.png")
    assert browser.run("document.querySelector('#status').className") == ""


def test_photo_that_the_browser_cannot_show_has_its_mask(browser, folder):
    drop(browser, folder / "float.tiff")
    assert status(browser).endswith("This browser cannot show the photo itself.")
    assert pixels(browser, ".mask", (8, 8))[0, 0].tolist() == [255, 0, 0, 255]


def test_models_stand_side_by_side_under_their_names(browser, folder):
    drop(browser, folder / "a photo.png")
    names = "[...document.querySelectorAll('figure .name')].map(name => name.textContent)"
    assert browser.run(names) == ["colors"]
    box = "document.querySelectorAll('#models input')"
    browser.run(f"{box}[1].click()")
    browser.wait_for(f"{names}.length === 2")
    assert browser.run(names) == ["colors", "<b>same</b>"]
    lefts = browser.run("[...document.querySelectorAll('figure')].map(each => each.offsetLeft)")
    assert lefts[0] < lefts[1]
    browser.run("document.querySelectorAll('.legend')[1].querySelector('button').focus()")
    assert browser.run("document.querySelectorAll('.legend .lit').length") == 2
    for number in (0, 1):
        browser.run(f"{box}[{number}].click()")
    browser.wait_for("document.querySelectorAll('figure').length === 0")
    assert status(browser) == "No model is chosen."


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("is_dark", [False, True])
def test_page_fits_and_follows_the_colour_scheme(width, is_dark, browser, folder):
    browser.look(width, 844, is_dark)
    drop(browser, folder / "turned.jpg")
    assert browser.run("document.documentElement.scrollWidth") <= width
    ink, paper = (
        sum(
            map(int, re.findall(r"\d+", browser.run(f"getComputedStyle(document.body).{name}"))[:3])
        )
        for name in ("color", "backgroundColor")
    )
    assert (ink > 600 and paper < 150) if is_dark else (ink < 150 and paper > 600)


def test_everything_that_one_can_use_has_a_name(browser, folder):
    drop(browser, folder / "a photo.png")
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in ("button", "slider", "checkbox", "image", "status", "list"):
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    assert named.pop("status")
    assert set(named) == {"button", "slider", "checkbox", "image", "list"}
    assert all(name for names in named.values() for name in names), named
    assert named["slider"] == ["Photo | mask", "Opacity of the mask"]


def test_page_asks_nobody_else():
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"//[a-z]+\.|url\(|@import", text), path


def test_webcam_is_hidden_where_frames_are_too_slow(browser):
    assert browser.run("document.querySelector('#webcam').hidden") is True


def test_webcam_shows_frame_after_frame(segmenter, tmp_path, monkeypatch):
    """With a backend that is fast enough, and Chromium's own moving picture as the camera."""
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("live = false", "live = true")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(app, "PAGE", tmp_path)
    options = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with served({"colors": segmenter}) as address, Chromium(options=options) as browser:
        browser.open(f"http://{address}/")
        browser.wait_for("document.body.dataset.ready")
        browser.run("document.querySelector('#webcam').click()")
        rate = r"/640 × 480 pixels, \d+ ms, \d+\.\d frames a second/"
        browser.wait_for(f"{rate}.test(document.querySelector('.facts')?.textContent)")
        browser.run("document.querySelector('.legend button').click()")
        shown = "document.querySelector('.photo').toDataURL()"
        first = browser.run(shown)
        browser.wait_for(f"{shown} !== {first!r}")
        kept = "document.querySelectorAll('.legend [aria-pressed=true]').length"
        assert browser.run(kept) == 1
        browser.run("document.querySelector('#webcam').click()")
        assert status(browser) == "The webcam is off."
        last = browser.run(shown)
        browser.run("new Promise(done => setTimeout(done, 500))")
        assert browser.run(shown) == last


class Failing(Slow):
    """A network that fails on every photo."""

    def predict(self, image: np.ndarray) -> np.ndarray:
        raise LabError("its weights are damaged")


def test_a_model_that_fails_leaves_what_the_others_have_done(folder, segmenter):
    models = {"colors": segmenter, "plain": Slow(0.001), "broken": Failing()}
    with served(models) as address, Chromium((1050, 900)) as browser:
        browser.open(f"http://{address}/")
        browser.wait_for("document.body.dataset.ready")
        for place in (1, 2):
            browser.run(f"document.querySelectorAll('#models input')[{place}].click()")
        browser.drop("h1", folder / "a photo.png")
        said = browser.wait_for("document.querySelector('#status.wrong')?.textContent")
        assert said == "its weights are damaged"
        names = "[...document.querySelectorAll('figure .name')].map(name => name.textContent)"
        assert browser.run(names) == ["colors", "plain"]
        tops = "[...document.querySelectorAll('.stage')].map(s => s.getBoundingClientRect().top)"
        assert len({round(top) for top in browser.run(tops)}) == 1  # whatever lies below them
