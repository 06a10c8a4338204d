"""A picture of the errors by depth, as SVG: one file that a browser shows and a report can take in."""

import math
from collections.abc import Sequence
from html import escape

from npuserve.migrate.compare.layerwise import LayerError
from npuserve.migrate.compare.precision import Target

_WIDTH, _HEIGHT = 900, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 34, 44
_LOWEST = 1e-9
"""What is drawn for an error of 0."""
_LINE, _MARK, _NOISE, _TEXT, _GRID = "#2563a8", "#c0392b", "#8a8a8a", "#333333", "#e4e4e4"


def errors_svg(errors: Sequence[LayerError], target: Target, bad: LayerError | None) -> str:
    """Draw the relative error of every layer over its depth; a ring marks the first bad layer."""
    deepest = max((each.layer.depth for each in errors), default=1) or 1
    values = [max(each.difference.relative, _LOWEST) for each in errors]
    low = math.floor(math.log10(min([*values, target.noise])))
    high = max(math.ceil(math.log10(max([*values, target.noise]))), low + 1)

    def x(depth: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * depth / deepest

    def y(value: float) -> float:
        share = (math.log10(max(value, _LOWEST)) - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(max(share, 0.0), 1.0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="{_TEXT}">',
        "<title>Relative error of each layer, OM against ONNX Runtime</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *(_grid_line(y(10.0**power), power) for power in range(low, high + 1)),
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(target.noise):.1f}" y2="{y(target.noise):.1f}" '
        f'stroke="{_NOISE}" stroke-dasharray="5 4"/>',
        f'<text x="{_LEFT + 4}" y="{y(target.noise) - 5:.1f}">noise of one {target.type} operator</text>',
        f'<polyline fill="none" stroke="{_LINE}" points="'
        + " ".join(f"{x(each.layer.depth):.1f},{y(each.difference.relative):.1f}" for each in errors)
        + '"/>',
        *(_point(each, x(each.layer.depth), y(each.difference.relative)) for each in errors),
    ]
    if bad is not None:
        parts += _ring(bad, x(bad.layer.depth), y(bad.difference.relative))
    parts += [
        f'<text x="{_LEFT}" y="20">Relative error (RMS), OM against ONNX Runtime</text>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">layer, in the order of '
        "execution</text>",
        f'<text x="{_LEFT}" y="{_HEIGHT - 26}" text-anchor="middle">0</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 26}" text-anchor="middle">{deepest}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid_line(y: float, power: int) -> str:
    label = f"1e{power}" if 10.0**power > _LOWEST else "0"
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _point(error: LayerError, x: float, y: float) -> str:
    text = escape(f"{error.layer.name} ({error.layer.kind}): {error.difference.relative:.3g}")
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_LINE}"><title>{text}</title></circle>'


def _ring(bad: LayerError, x: float, y: float) -> list[str]:
    left = x > _WIDTH / 2
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="{_MARK}" stroke-width="2"/>',
        f'<text x="{x - 12 if left else x + 12:.1f}" y="{max(y - 8, _TOP + 8):.1f}" fill="{_MARK}" '
        f'text-anchor="{"end" if left else "start"}">{escape(bad.layer.name)}</text>',
    ]
