"""Reading any image, writing files whole, colours and legends, the line of an error."""

import errno
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

import utils
from utils import (
    MAX_IMAGE_PIXELS,
    LabError,
    TooLargeError,
    add_legend,
    atomic_path,
    colorize,
    overlay,
    read_image,
    save_image,
    seed_everything,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


# ------------------------------------------------------------------ read_image


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_read_image_returns_rgb(tmp_path, suffix):
    path = saved(tmp_path / f"x.{suffix}", Image.fromarray(RGB), lossless=True)
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, RGB)


def test_read_image_opens_jpeg_and_gif(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (1, 32, 3))
    smooth[..., 2] //= 2
    jpeg = read_image(saved(tmp_path / "x.jpg", Image.fromarray(smooth), quality=95))
    assert np.abs(jpeg.astype(int) - smooth).max() <= 6
    gif = read_image(saved(tmp_path / "x.gif", Image.fromarray(smooth)))
    assert np.abs(gif.astype(int) - smooth).max() <= 10


def test_read_image_widens_grey(tmp_path):
    image = read_image(saved(tmp_path / "x.png", Image.fromarray(GREY)))
    np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, axis=2))


def test_read_image_widens_one_bit(tmp_path):
    image = read_image(saved(tmp_path / "x.png", Image.fromarray(GREY > 127)))
    np.testing.assert_array_equal(image[..., 1], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_read_image_lays_transparency_on_white(tmp_path, mode):
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:, :3], alpha[:, 3:5] = 0, 128
    picture = Image.fromarray(RGB).convert(mode)
    picture.putalpha(Image.fromarray(alpha))
    image = read_image(saved(tmp_path / "x.png", picture))
    opaque = np.asarray(picture.convert("RGB")).astype(float)
    weight = alpha[..., None] / 255
    assert np.abs(image - (opaque * weight + 255 * (1 - weight))).max() <= 1
    assert (image[:, :3] == 255).all()


def test_read_image_lays_a_transparent_palette_on_white(tmp_path):
    picture = Image.fromarray((np.arange(54).reshape(6, 9) % 4).astype(np.uint8)).convert("P")
    picture.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    image = read_image(saved(tmp_path / "x.png", picture, transparency=0))
    assert image[0, :4].tolist() == [[255] * 3, [200, 0, 0], [0, 200, 0], [0, 0, 200]]


def test_read_image_converts_cmyk(tmp_path):
    color = Image.new("RGB", (8, 8), (200, 30, 60)).convert("CMYK")
    image = read_image(saved(tmp_path / "x.jpg", color, quality=95))
    assert image.shape == (8, 8, 3)
    assert np.abs(image.astype(int) - (200, 30, 60)).max() <= 8


def test_read_image_scales_sixteen_bits(tmp_path):
    values = (np.arange(54).reshape(6, 9) * 1200 + 100).astype(np.uint16)
    image = read_image(saved(tmp_path / "x.png", Image.fromarray(values)))
    assert np.abs(image[..., 0] - values / 257).max() <= 0.51
    dark = read_image(saved(tmp_path / "dark.png", Image.fromarray(values // 400)))
    assert dark.max() <= 1


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_read_image_scales_floats(tmp_path, white):
    values = np.linspace(0, white, 54).reshape(6, 9).astype(np.float32)
    image = read_image(saved(tmp_path / "x.tiff", Image.fromarray(values)))
    assert np.abs(image[..., 2] - values / white * 255).max() <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_stands_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "x.png", Image.fromarray(RGB), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    image = read_image(path)
    assert image.shape == ((9, 6, 3) if orientation >= 5 else (6, 9, 3))
    np.testing.assert_array_equal(image, expected)


def test_read_image_opens_a_single_pixel(tmp_path):
    path = saved(tmp_path / "x.png", Image.fromarray(RGB[:1, :1]))
    np.testing.assert_array_equal(read_image(path), RGB[:1, :1])


def assert_unreadable(path: Path, match: str) -> None:
    with pytest.raises(LabError, match=match) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert message.count(str(path)) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_read_image_refuses_truncated_files(tmp_path, kind):
    buffer = io.BytesIO()
    Image.fromarray(RGB.repeat(10, axis=0).repeat(10, axis=1)).save(buffer, kind)
    content, path = buffer.getvalue(), tmp_path / "x.img"
    for part in (0.05, 0.3, 0.6, 0.9):
        path.write_bytes(content[: int(part * len(content))])
        assert_unreadable(path, "image")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<svg></svg>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8"]
)
def test_read_image_refuses_what_is_no_image(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    assert_unreadable(path, "not an image|not a readable image")


@pytest.mark.parametrize("error", [struct.error("not an integer"), TypeError("bad"), KeyError(1)])
def test_read_image_reports_any_error_of_the_reader(tmp_path, error, monkeypatch):
    def fail(image):
        raise error  # damaged EXIF data do this

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    assert_unreadable(saved(tmp_path / "x.png", Image.fromarray(RGB)), "not a readable image")


def test_read_image_names_missing_files_and_folders(tmp_path):
    assert_unreadable(tmp_path / "missing.png", "no such image file")
    assert_unreadable(tmp_path, "folder")


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes of PNG whose header promises width x height grey pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8001, 12_000, 60_000])
def test_read_image_refuses_absurd_sizes_before_reading(tmp_path, side, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(side, side))
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("pixels were read"))
    assert_unreadable(path, "limit of 64 million|absurdly large")
    assert side**2 > MAX_IMAGE_PIXELS


def test_read_image_takes_the_bytes_of_a_file(tmp_path):
    path = saved(tmp_path / "x.png", Image.fromarray(RGB))
    np.testing.assert_array_equal(read_image(path.read_bytes()), RGB)
    for content, words in ((b"", "an empty file"), (b"text", "of a kind that is not read")):
        with pytest.raises(LabError, match=f"^the photo: not an image, but {words}"):
            read_image(content)


def test_read_image_refuses_more_pixels_than_are_allowed(tmp_path):
    path = saved(tmp_path / "x.png", Image.fromarray(RGB))  # 6 x 9
    assert read_image(path, most=54).shape == (6, 9, 3)
    with pytest.raises(TooLargeError, match="9x6 pixels are more than the limit"):
        read_image(path, most=53)
    with pytest.raises(TooLargeError, match="absurdly large"):
        read_image(png_claiming(60_000, 60_000))


def test_read_image_runs_no_drawing(tmp_path):
    path = saved(tmp_path / "x.eps", Image.fromarray(RGB))
    assert_unreadable(path, r"a drawing \(EPS\); save it as")


# ------------------------------------------------------------------ atomic_path, save_image


def test_atomic_path_replaces_the_file_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder" / "x.txt"
    for content in ("first", "second"):
        with atomic_path(path) as temporary:
            temporary.write_text(content)
            assert temporary.parent == path.parent and temporary.suffix == ".txt"
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [LabError("no"), MemoryError(), KeyboardInterrupt(), KeyError("k")]
)
def test_atomic_path_keeps_the_old_file_after_any_error(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(type(error)) as caught, atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert caught.value is error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_atomic_path_reports_a_full_disk(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    line = r"^cannot write .*x\.txt: No space left on device; free some space[^\n]*$"
    with pytest.raises(LabError, match=line), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_atomic_path_reports_a_failing_rename(tmp_path, monkeypatch):
    def fail(source, target):
        raise PermissionError(errno.EACCES, "Permission denied", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", fail)
    path = tmp_path / "x.txt"
    with pytest.raises(LabError, match="Permission denied"), atomic_path(path) as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's always full device")
def test_atomic_path_reports_a_full_disk_under_torch_save(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(LabError, match=r"^cannot write [^\n]*$"), atomic_path(path) as temporary:
        temporary.symlink_to("/dev/full")
        torch.save({"a": torch.zeros(100_000)}, temporary)
    assert list(tmp_path.iterdir()) == []


def test_atomic_path_passes_on_what_is_not_about_writing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.txt"):
        (tmp_path / "another.txt").read_text()
    with pytest.raises(RuntimeError, match="shapes"), atomic_path(tmp_path / "x.txt"):
        raise RuntimeError("shapes differ")
    assert list(tmp_path.iterdir()) == []


def test_atomic_path_reports_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.txt", tmp_path / "file" / "deeper" / "x.txt"):
        with pytest.raises(LabError, match="cannot write"), atomic_path(path) as temporary:
            temporary.write_text("new")


def test_atomic_path_reports_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "x.txt").mkdir()
    with (
        pytest.raises(LabError, match="cannot write"),
        atomic_path(tmp_path / "x.txt") as temporary,
    ):
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="permissions do not stop this user",
)
def test_atomic_path_reports_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(LabError, match="cannot write"),
            atomic_path(tmp_path / "x") as temporary,
        ):
            temporary.write_text("new")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("image", [RGB, GREY, RGB[::-1, :, ::-1]], ids=["rgb", "grey", "a view"])
def test_save_image_writes_exactly_the_pixels(tmp_path, image):
    save_image(tmp_path / "x.png", image)
    written = Image.open(tmp_path / "x.png")
    assert written.mode == ("L" if image.ndim == 2 else "RGB")
    np.testing.assert_array_equal(np.asarray(written), image)
    assert len(list(tmp_path.iterdir())) == 1


# ------------------------------------------------------------------ colours

PALETTE = np.array([[128, 64, 128], [70, 130, 180], [0, 0, 142]], dtype=np.uint8)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_colorize_paints_each_class_and_void_black(kind):
    colors = colorize(np.array([[0, 1, 2], [3, 200, 255]], dtype=kind), PALETTE)
    assert colors.dtype == np.uint8
    np.testing.assert_array_equal(colors, [PALETTE, np.zeros((3, 3))])


def test_overlay_mixes_image_and_mask():
    colors = np.full_like(RGB, 200)
    np.testing.assert_array_equal(overlay(RGB, colors, 0.0), RGB)
    np.testing.assert_array_equal(overlay(RGB, colors, 1.0), colors)
    quarter = overlay(RGB, colors, 0.25)
    assert np.abs(quarter - (0.75 * RGB + 0.25 * 200)).max() <= 1
    np.testing.assert_array_equal(overlay(RGB, colors), overlay(RGB, colors, 0.5))


NAMES = ("road", "traffic light", "a class with quite a long name, longer than a small image")


@pytest.mark.parametrize("size", [(1, 1), (128, 256), (5, 2000)])
def test_add_legend_keeps_the_image(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    before = image.copy()
    framed = add_legend(image, NAMES, PALETTE)
    assert framed.dtype == np.uint8
    np.testing.assert_array_equal(framed[: size[0], : size[1]], before)
    np.testing.assert_array_equal(image, before)
    assert (framed[: size[0], size[1] :] == 255).all()


@pytest.mark.parametrize("width", [1, 100, 256, 2048])
def test_add_legend_shows_every_square_and_name_whole(width):
    image = np.zeros((4, width, 3), dtype=np.uint8)
    legend = add_legend(image, NAMES, PALETTE)[4:]
    for color in PALETTE:
        rows, columns = np.nonzero((legend == color).all(axis=2))
        height, length = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height == length >= 10 and len(rows) == height * length
    for edge in (legend[:, -1], legend[0], legend[-1]):
        assert (edge == 255).all()
    ink = [(add_legend(image, [name], PALETTE[:1])[4:] < 128).any(axis=2).sum() for name in NAMES]
    assert ink[0] < ink[1] < ink[2]


def test_add_legend_writes_letters_that_the_usual_font_lacks():
    image = np.zeros((4, 300, 3), np.uint8)
    drawn = [add_legend(image, [name], PALETTE[:1]) for name in ("Büsche", "Bäsche", "Bésche")]
    assert not np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[1], drawn[2])


def test_add_legend_without_names_is_a_margin():
    framed = add_legend(np.zeros((200, 300, 3), np.uint8), [], [])
    assert framed.shape[1] == 300 and (framed[200:] == 255).all()


# ------------------------------------------------------------------ errors and seeds


class Failing(Dataset):
    """A dataset whose every item raises an error that a user can fix."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise LabError("street.png: truncated; download it again")


def test_lab_error_line_is_the_message():
    assert LabError("x.png: gone").line == "x.png: gone"
    assert LabError("").line == "unknown error"


def test_lab_error_line_survives_a_loader_worker():
    with pytest.raises(LabError) as caught:
        list(DataLoader(Failing(), num_workers=1))
    assert "Traceback" in str(caught.value)
    assert caught.value.line == "street.png: truncated; download it again"


def test_seed_everything_repeats_every_generator():
    drawn = []
    for _ in range(2):
        seed_everything(2**40 + 1)
        drawn.append((utils.random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    seed_everything(2)
    assert np.random.rand() != drawn[0][1]
