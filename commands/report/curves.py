"""Curves as SVG, a few lines of text that every browser draws."""

from collections.abc import Mapping, Sequence

from commands.report.page import escaped

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito, "Color Universal Design" (2008)."""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 520, 240, 48, 28, 12


def curves(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], lowest: float | None = None
) -> str:
    """Draws lines over the epochs, each with its name.

    Args:
        title: what the vertical axis is.
        lines: name → points (epoch, value), at least one point in all.
        lowest: where the vertical axis begins; None for the least value.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    last = max(max(x for x, _ in points), 1)
    low = min(y for _, y in points) if lowest is None else lowest
    high = max(*(y for _, y in points), low + 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - 12) * x / last
        return across, TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low)

    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        _, y = place(0, value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="left">{value:.3g}</text>')
    for x in sorted({0, round(last / 2), round(last)}):
        parts.append(f'<text x="{place(x, low)[0]:.1f}" y="{HEIGHT - 8}">{x}</text>')
    for index, (name, line) in enumerate(lines.items()):
        color = COLORS[index % len(COLORS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        parts.append(f'<polyline points="{path}" style="stroke:{color}"/>')
        parts += [
            '<circle cx="{:.1f}" cy="{:.1f}" r="3" style="fill:{}"/>'.format(*place(x, y), color)
            for x, y in line
        ]
        parts.append(
            f'<text x="{LEFT + 10 + 150 * (index % 3)}" y="{TOP + 10 + 16 * (index // 3)}" '
            f'style="fill:{color}" class="name">{escaped(name)}</text>'
        )
    style = (
        "<style>text{font:11px system-ui,sans-serif;fill:currentColor;text-anchor:middle}"
        ".left{text-anchor:end}.name{text-anchor:start;font-weight:600}"
        ".grid{stroke:currentColor;stroke-opacity:.15}polyline{fill:none;stroke-width:2}</style>"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="{escaped(title)} by epoch">{style}{"".join(parts)}</svg>'
        f"<div>{escaped(title)} by epoch</div>"
    )
