"""Draws charts as SVG. Colours are the page's, by class; lines differ by dashes, too, for black and white paper."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from npuserve.migrate.report.numbers import shown, tick
from npuserve.migrate.report.scales import Scale

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 46
SERIES = 6
_MOST_STEMS = 80
_LEGEND_ROW = 18

Point = tuple[float, float]

X_ENDS = (LEFT, WIDTH - RIGHT)
Y_ENDS = (HEIGHT - BOTTOM, TOP)


@dataclass(slots=True, kw_only=True)
class Chart:
    """A frame with axes; `parts` are what is drawn in it, in order. title: for those who do not see it."""

    title: str
    x: Scale
    y: Scale
    x_label: str
    y_label: str
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)
    x_ticks: Sequence[tuple[float, str]] | None = None

    def line(self, name: str, points: Sequence[Point], series: int, *, markers: bool = True) -> None:
        """Join points in their order."""
        places = [(self.x(x), self.y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.parts.append(f'<polyline class="line s{series % SERIES}" points="{path}"/>')
        if markers:
            for (x, y), point in zip(places, points, strict=True):
                self.parts.append(_marker(x, y, series, f"{name}: {shown(point[0])}, {shown(point[1])}"))
        self.legend.append((name, series % SERIES))

    def stems(self, points: Sequence[tuple[float, float, str]], series: int, marked: int | None = None) -> None:
        """Raise a stem to each point if there is room; the text is what it is. marked: the one to be told apart."""
        ground, is_sparse = self.y(self.y.low), len(points) <= _MOST_STEMS
        for place, (x, y, text) in enumerate(points):
            kind = "bad" if place == marked else f"s{series % SERIES}"
            at, top = self.x(x), self.y(y)
            stem = f'<line class="stem" x1="{at:.1f}" y1="{ground:.1f}" x2="{at:.1f}" y2="{top:.1f}"/>'
            self.parts.append(
                f'<g class="{kind}"><title>{escape(text)}</title>{stem if is_sparse or place == marked else ""}'
                f'<circle cx="{at:.1f}" cy="{top:.1f}" r="{4 if is_sparse or place == marked else 2.5}"/></g>'
            )

    def texts(self, texts: Sequence[tuple[float, float, str]]) -> None:
        """Write beside points what they are."""
        for x, y, text in texts:
            self.parts.append(
                f'<text class="tick" x="{self.x(x) + 7:.1f}" y="{self.y(y) - 6:.1f}">{escape(text)}</text>'
            )

    def bars(self, bars: Sequence[tuple[float, float, float]], series: int) -> None:
        """Draw bars `(from, to, height)`."""
        ground = self.y(self.y.low)
        for low, high, height in bars:
            left, right, top = self.x(low), self.x(high), self.y(height)
            width = max(right - left - 1, 1)
            self.parts.append(
                f'<rect class="bar s{series % SERIES}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{ground - top:.1f}"><title>{shown(low)} to {shown(high)}: {shown(height)}</title></rect>'
            )

    def upright(self, value: float, text: str) -> None:
        """Draw a line from bottom to top."""
        at = self.x(value)
        self.parts.append(
            f'<line class="rule" x1="{at:.1f}" y1="{Y_ENDS[0]}" x2="{at:.1f}" y2="{Y_ENDS[1]}"/>'
            f'<text class="tick" x="{at:.1f}" y="{Y_ENDS[1] - 4}" text-anchor="middle">{escape(text)}</text>'
        )

    def level(self, value: float, text: str) -> None:
        """Draw a line from left to right."""
        at = self.y(value)
        self.parts.append(
            f'<line class="rule" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{WIDTH - RIGHT - 4}" y="{at - 4:.1f}" text-anchor="end">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """Return the element."""
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(self.title)}" '
                f'viewBox="0 {-self._above} {WIDTH} {HEIGHT + self._above}">',
                *self._grid(),
                *self.parts,
                *self._legend(),
                "</svg>",
            )
        )

    def _grid(self) -> list[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        drawn = []
        for value in self.y.ticks:
            at = self.y(value)
            drawn.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
            drawn.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick(value)}</text>')
        ticks = self.x_ticks if self.x_ticks is not None else [(value, tick(value)) for value in self.x.ticks]
        for value, text in ticks:
            at = self.x(value)
            drawn.append(f'<line class="grid" x1="{at:.1f}" y1="{bottom}" x2="{at:.1f}" y2="{bottom + 4}"/>')
            drawn.append(
                f'<text class="tick" x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>'
            )
        drawn.append(f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
        drawn.append(
            f'<text class="label" x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
        )
        middle = (TOP + bottom) / 2
        drawn.append(
            f'<text class="label" transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.y_label)}</text>"
        )
        return drawn

    def _legend(self) -> list[str]:
        """Draw the names in rows from the top, which is above 0 if there are several."""
        drawn = []
        for row, names in enumerate(self._legend_rows()):
            at, y = float(LEFT), 12 + row * _LEGEND_ROW - self._above
            for name, series in names:
                drawn.append(f'<line class="line s{series}" x1="{at:.0f}" y1="{y}" x2="{at + 22:.0f}" y2="{y}"/>')
                drawn.append(_marker(at + 11, y, series, name))
                drawn.append(f'<text class="label" x="{at + 28:.0f}" y="{y + 4}">{escape(name)}</text>')
                at += _legend_width(name)
        return drawn

    def _legend_rows(self) -> list[list[tuple[str, int]]]:
        """Return the names as they fit side by side; one alone needs none."""
        rows: list[list[tuple[str, int]]] = []
        left = 0.0
        for name, series in self.legend if len(self.legend) > 1 else ():
            if left < _legend_width(name):
                rows.append([])
                left = WIDTH - RIGHT - LEFT
            rows[-1].append((name, series))
            left -= _legend_width(name)
        return rows

    @property
    def _above(self) -> int:
        return max(len(self._legend_rows()) - 1, 0) * _LEGEND_ROW


def _legend_width(name: str) -> float:
    return 46 + sum(13 if ord(letter) > 0x2E80 else 7 for letter in name)


def _marker(x: float, y: float, series: int, text: str) -> str:
    kind = f'class="mark s{series % SERIES}"'
    title = f"<title>{escape(text)}</title>"
    match series % 3:
        case 0:
            return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'
        case 1:
            return f'<rect {kind} x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7">{title}</rect>'
        case _:
            return f'<path {kind} d="M{x:.1f} {y - 5:.1f}l5 9h-10z">{title}</path>'
