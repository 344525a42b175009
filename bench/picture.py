"""The picture of a run of the benchmarks: ratios as bars, the aims as lines across them (SVG)."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

LEFT, WIDTH, BAR, GAP = 190, 480, 14, 12
"""Where bars begin, how long one of ratio 1 is, how high, and what lies between two calls."""

COLOURS = ("#2b6cb0", "#c05621")


def draw(
    path: Path, ratios: Mapping[str, Mapping[str, float]], aims: Mapping[str, Sequence[float]]
) -> None:
    """Write the picture: for each call one bar for each store."""
    stores = list(ratios)
    step = BAR * len(stores) + GAP
    height = 50 + step * len(aims)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for n, store in enumerate(stores):
        parts.append(_bar(LEFT + n * 140, 12, 20, COLOURS[n]))
        parts.append(_text(LEFT + n * 140 + 26, 23, store))
    parts.append(_text(LEFT + 300, 23, "to a no-op RPC; line: aim"))
    for row, (name, aim) in enumerate(aims.items()):
        top = 40 + row * step
        parts.append(_text(8, top + step / 2, name.strip()))
        for n, store in enumerate(stores):
            y, length = top + n * BAR, ratios[store][name] * WIDTH
            parts.append(_bar(LEFT, y, length, COLOURS[n]))
            parts.append(_text(LEFT + length + 5, y + BAR - 4, f"{ratios[store][name]:.2f}"))
            x = LEFT + aim[store == "PostgreSQL"] * WIDTH
            parts.append(
                f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{y}" y2="{y + BAR}" '
                'stroke="black" stroke-width="2"/>'
            )
    path.write_text("\n".join([*parts, "</svg>", ""]))


def _bar(x: float, y: float, length: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{length:.0f}" height="{BAR - 2}" fill="{colour}"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
