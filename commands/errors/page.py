"""errors.html: the worst images, the confused pairs, edges, classes and confidence on one page.

A click on a class leaves the images with errors in it and its pairs; one on an image leaves the
pairs that occur in it.
"""

import base64
import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from commands.errors.measure import BOUNDARY_RATIO, SIZES
from commands.report.page import escaped, number, section, table
from commands.test_time import MultiScaleSegmenter, decide, planes
from data import SegmentationDataset
from support.formats.labels import LabelSet
from utils import colorize

LARGEST_PICTURE = 360
MOST_PAIRS = 20
SHOWN = ("image", "target", "prediction", "errors", "confidence")
STYLE = """
#worst figure { margin: 0 0 1rem; }
.strip { display: grid; gap: 2px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); }
.strip img { width: 100%; image-rendering: pixelated; }
.swatch { display: inline-block; width: .8em; height: .8em; border: 1px solid #888; }
"""
SIZES_TEXT = (
    f"A region is a connected part of the target: small up to {SIZES['small']:.1%} of the image, "
    f"medium up to {SIZES['medium']:.0%}. The boundary IoU counts what lies within "
    f"{BOUNDARY_RATIO:.1%} of the image's diagonal of an outline."
)
FILTER = """
const all = selector => [...document.querySelectorAll(selector)];
const figures = all("#worst figure"), pairs = all("tr[data-pair]");
let chosen = null;
function show() {
  const { classId, place } = chosen?.dataset ?? {};
  const own = place === undefined ? null : figures[place].dataset.pairs.split(" ");
  for (const button of all("button[data-class-id], button[data-place]"))
    button.setAttribute("aria-pressed", button === chosen);
  for (const figure of figures)
    figure.hidden = classId !== undefined && !figure.dataset.classes.split(" ").includes(classId);
  for (const row of pairs)
    row.hidden = own ? !own.includes(row.dataset.pair)
      : classId !== undefined ? !row.dataset.pair.split("-").includes(classId)
      : row.dataset.top === undefined;
  document.querySelector("#shown").textContent =
    chosen ? `Only ${own ? "the pairs of " : ""}${chosen.textContent}:` : "";
}
for (const button of all("button[data-class-id], button[data-place]"))
  button.onclick = () => { chosen = chosen === button ? null : button; show(); };
for (const button of all("button[data-key]"))
  button.onclick = () => {
    for (const other of all("button[data-key]"))
      other.setAttribute("aria-pressed", other === button);
    const key = figure => -figure.dataset[button.dataset.key];
    document.querySelector("#worst").append(...[...figures].sort((a, b) => key(a) - key(b)));
  };
"""


def html_parts(
    text: str, result: dict[str, Any], rows: Sequence[dict[str, Any]], worst: Sequence[int],
    segmenter: MultiScaleSegmenter, dataset: SegmentationDataset,
) -> list[str]:  # fmt: skip
    """The parts of errors.html; `rows` are those of `Counts`, `worst` places among them."""
    names = dataset.labels.names
    shares = ("share_of_pixels", "share_of_errors", "error_share")
    edges = [
        [row["pixels_from_edge"], *(percent(row[share]) for share in shares)]
        for row in result["distance_to_edge"]
    ]
    classes = [
        [name, number(iou, 3), *(number(r, 3) for r in result["recall_by_size"][name].values())]
        for name, iou in result["boundary_iou"].items()
    ]
    edge_head = ["pixels from a label edge", "% of the pixels", "% of the errors", "% wrong there"]
    class_head = ["class", "boundary IoU", *(f"recall, {size} regions" for size in SIZES)]
    return [
        f"<style>{STYLE}</style><p>{escaped(text)}: {result['error_share']:.2%} of "
        f"{result['pixels']:,} labelled pixels are wrong.</p>",
        section("The worst images", worst_part(segmenter, dataset, rows, worst)),
        section("What is taken for what", pair_part(result["confused_pairs"], names)),
        section("How near to an edge", table(edge_head, edges, "plain")),
        section("By class", table(class_head, classes) + f"<p>{SIZES_TEXT}</p>"),
        section("Is its confidence justified?", calibration_part(result["calibration"])),
        f"<script>{FILTER}</script>",
    ]


def percent(share: float | None) -> str:
    """A share in percent; a dash for none."""
    return "–" if share is None else f"{100 * share:.2f}"


def pair_part(pairs: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """The confused pairs in words; all but the first are hidden until something is chosen."""
    rows = []
    for place, pair in enumerate(pairs):
        code = f"{names.index(pair['target'])}-{names.index(pair['prediction'])}"
        state = " data-top" if place < MOST_PAIRS else " hidden"
        cells = f"<td>{escaped(in_words(pair))}</td><td>{pair['pixels']:,}</td>"
        rows.append(f'<tr data-pair="{code}"{state}>{cells}</tr>')
    return (
        '<p id="shown" aria-live="polite"></p><div class="wide"><table class="sortable"><thead>'
        '<tr><th scope="col">pair</th><th scope="col">pixels</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def in_words(pair: dict[str, Any]) -> str:
    """A confused pair as a sentence."""
    return (
        f"{pair['target']} predicted as {pair['prediction']}: {pair['share_of_target']:.1%} of "
        f"{pair['target']}, {pair['share_of_errors']:.1%} of all errors"
    )


def worst_part(
    segmenter: MultiScaleSegmenter, dataset: SegmentationDataset, rows: Sequence[dict[str, Any]],
    worst: Sequence[int],
) -> str:  # fmt: skip
    """Buttons for the order and the classes, and a row of pictures for each of the worst images."""
    names, figures, present = dataset.labels.names, [], set()
    for place, index in enumerate(worst):
        row, name = rows[index], escaped(rows[index]["name"])
        pairs = [divmod(code, len(names)) for code in row["pairs"].tolist()]
        classes = sorted({target for target, _ in pairs})
        present |= set(classes)
        share, loss = error_share(row), mean_loss(row)
        data = f'data-classes="{" ".join(map(str, classes))}" data-share="{share}" '
        data += f'data-loss="{loss}" data-pairs="{" ".join(f"{i}-{j}" for i, j in pairs)}"'
        text = f"{share:.1%} wrong, negative log likelihood {loss:.3f} "
        button = f'<button data-place="{place}" aria-pressed="false">{name}</button>'
        figures.append(
            f'<figure {data}><div class="strip">{pictures(segmenter, dataset, index)}</div>'
            f"<figcaption>{button} {text}</figcaption></figure>"
        )
    buttons = "".join(class_button(dataset.labels, k) for k in sorted(present))
    return (
        "<p>Image, target, prediction, errors (red), confidence (dark: unsure). First by "
        '<button data-key="share" aria-pressed="true">share of wrong pixels</button> '
        '<button data-key="loss" aria-pressed="false">negative log likelihood</button>. '
        f'Only errors in: {buttons}</p><div id="worst">{"".join(figures)}</div>'
    )


def class_button(labels: LabelSet, k: int) -> str:
    """A button that leaves the images with errors in a class, and shows the class's colour."""
    color = ",".join(map(str, labels.palette[k].tolist()))
    return (
        f'<button data-class-id="{k}" aria-pressed="false"><span class="swatch" '
        f'style="background:rgb({color})"></span> {escaped(labels.names[k])}</button> '
    )


def error_share(row: dict[str, Any]) -> float:
    """The share of an image's labelled pixels that are wrong; 0 where there are none."""
    return row["errors"] / (row["pixels"] or 1)


def mean_loss(row: dict[str, Any]) -> float:
    """The mean negative log likelihood of an image's labelled pixels; 0 where there are none."""
    return row["negative_log_likelihood"] / (row["pixels"] or 1)


def pictures(segmenter: MultiScaleSegmenter, dataset: SegmentationDataset, index: int) -> str:
    """Five small pictures of an image, side by side where there is room."""
    image, target = dataset[index][0], dataset[index][1].numpy()
    ignored, palette = dataset.labels.ignore_index, dataset.labels.palette
    seen = segmenter.mean_probabilities(image)
    prediction = decide(seen, target.shape)
    confidence = functools.reduce(np.maximum, planes(seen, target.shape))
    wrong = (target != ignored) & (target != prediction)
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    error_map = np.where(wrong[..., None], (230, 30, 30), 0.5 * grey + 100).astype(np.uint8)
    sure = np.repeat((255 * confidence)[..., None], 3, axis=2).astype(np.uint8)
    colors = [colorize(ids.astype(np.uint8), palette) for ids in (target, prediction)]
    name = escaped(dataset.pairs[index].name)
    return "".join(
        f'<img alt="{name}: {kind}" src="data:image/png;base64,{small_png(each)}">'
        for kind, each in zip(SHOWN, (image, *colors, error_map, sure), strict=True)
    )


def small_png(image: np.ndarray) -> str:
    """An image, (H, W, 3) uint8, at most `LARGEST_PICTURE` wide, as a PNG in base64."""
    height, width = image.shape[:2]
    scale = min(1.0, LARGEST_PICTURE / width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    return base64.b64encode(data).decode("ascii")


def calibration_part(calibration: dict[str, Any]) -> str:
    """The reliability diagram as SVG, its error, and the temperature."""
    side, bars = 260, []
    most = max(each["pixels"] for each in calibration["bins"])
    for each in calibration["bins"]:
        x, y = 20 + 220 * each["confidence"], 240 - 220 * each["right"]
        radius = 2 + 6 * (each["pixels"] / most) ** 0.5
        title = (
            f"says {each['confidence']:.2f}, right {each['right']:.2f}, pixels {each['pixels']:,}"
        )
        bars.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{title}</title></circle>'
        )
    svg = (
        f'<svg viewBox="0 0 {side} {side}" width="{side}" role="img" aria-label="reliability '
        'diagram"><style>circle{fill:#0072B2}line{stroke:currentColor;stroke-opacity:.4}'
        "text{font:11px system-ui;fill:currentColor}</style>"
        '<line x1="20" y1="240" x2="240" y2="20"/><line x1="20" y1="240" x2="240" y2="240"/>'
        '<line x1="20" y1="240" x2="20" y2="20"/>'
        f'{"".join(bars)}<text x="100" y="254">confidence</text><text x="24" y="16">right</text>'
        '<text x="16" y="254">0</text><text x="236" y="254">1</text>'
        '<text x="10" y="26">1</text></svg>'
    )
    text = f"<p>Expected calibration error: {calibration['expected_calibration_error']:.4f}. "
    if "temperature" in calibration:
        before, after = calibration["before"], calibration["after"]
        key = "expected_calibration_error"
        text += (
            f"The temperature {calibration['temperature']:.3f}, fitted on one half of the cities "
            f"(of the images, where all are of one), brings it from {before[key]:.4f} to "
            f"{after[key]:.4f} on the other half."
        )
    how = "Each point is a bin of confidence, the larger, the more pixels. Below the line, the "
    how += "network is surer than it is right."
    return f"{text}</p>{svg}<p>{how}</p>"
