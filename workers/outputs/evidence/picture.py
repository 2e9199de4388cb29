"""A Picture (panels, outlines and words, all decided) in, PNG bytes out. Knows nothing about studies or patients."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.transforms import IdentityTransform
from PIL import Image

Pixels = npt.NDArray[np.float32]  # (row, column)
Paper = npt.NDArray[np.uint8]  # (row, column, rgb)

DPI = 100
FONT = "DejaVu Sans"  # ships with matplotlib
MARGIN, GAP = 24, 8
PANEL = (320, 384)  # columns, rows in pixels; the shape of an adult brain in axial view
SMALL = (100, 120)  # of the picture in a list
TEXT_WIDTH = 400
HEADING, BAR = 26, 46
COLUMN_TITLES = ("baseline", "follow-up", "difference")
OUTLINE_PX = 1.1

BACKGROUND, PLAIN, QUIET, WARNING = "#0b0d10", "#e8eaed", "#9aa3ad", "#ffb454"
NOT_MEASURED, EMPTY = "#3c4148", "#15181c"
CHANGE_LIMIT_PERCENT = 30
# No change is black, so that noise stays quiet; fall is blue, rise is orange to yellow (safe for colour-blind readers).
_STOPS = ("#b9e0ff", "#3b8fe8", "#153a66", "#050608", "#6b2c0c", "#ec7a1c", "#fff2a6")
CHANGE_COLOURS = LinearSegmentedColormap.from_list(
    "change", list(zip((0.0, 0.2, 0.36, 0.5, 0.64, 0.8, 1.0), _STOPS, strict=True))
)


@dataclass(frozen=True)
class Words:
    """One paragraph: text, colour, height in pixels, weight, and the empty space above it in pixels."""

    text: str
    colour: str = PLAIN
    size_px: int = 15
    bold: bool = False
    above_px: int = 0


@dataclass(frozen=True, eq=False)
class Row:
    """One slice: three panels of PANEL pixels (row, column) and the words beside them.

    titles: of the three panels when they show something else than the two dates; then the third is grey as well.

    baseline, followup: grey 0..1; change: percent, NaN where not measured. None: empty, ``missing`` says why by column
    title.
    outlines: colour and smooth mask 0..1, drawn at one half. pixel_mm: for the scale bar.
    """

    heading: str
    baseline: Pixels | None
    followup: Pixels
    change: Pixels | None
    pixel_mm: float
    outlines: Sequence[tuple[str, Pixels]] = ()
    words: Sequence[Words] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    titles: tuple[str, str, str] | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    header: Sequence[Words]
    rows: Sequence[Row]
    footer: Sequence[Words]


def texts(picture: Picture) -> list[str]:
    """Every text of the picture, without the headings of columns and scales."""
    out = [w.text for w in (*picture.header, *picture.footer)]
    for row in picture.rows:
        out += [row.heading, *(w.text for w in row.words), *row.missing.values()]
    return out


def size_px(picture: Picture) -> tuple[int, int]:
    """Width and height of the finished picture."""
    layout = _Layout.of(picture)
    return layout.width, layout.height


def parts_px(picture: Picture) -> dict[str, list[list[int]]]:
    """Where the finished picture may be cut: first and last line (exclusive) of its header, of each row, and of its
    footer with the bar of colours."""
    layout = _Layout.of(picture)
    ends = [*layout.row_tops, layout.bar_top]
    rows = [[top, bottom] for top, bottom in pairwise(ends)]
    return {"header": [[0, ends[0]]], "rows": rows, "footer": [[layout.bar_top, layout.height]]}


def render(picture: Picture) -> bytes:
    """PNG bytes on a dark background, ``size_px`` large."""
    layout = _Layout.of(picture)
    sheet = _Sheet.empty(layout.width, layout.height)
    sheet.paragraphs(picture.header, MARGIN, MARGIN, layout.width - 2 * MARGIN)
    for row, top in zip(picture.rows, layout.row_tops, strict=True):
        _draw_row(sheet, row, top, layout.columns)
    if _has_change(picture):
        _draw_bar(sheet, layout.bar_top)
    sheet.paragraphs(picture.footer, MARGIN, layout.footer_top, layout.width - 2 * MARGIN)
    return sheet.png()


def small(picture: Picture) -> bytes | None:
    """PNG bytes of the first slice for a list: the change, else the follow-up; None: there is no slice."""
    if not picture.rows:
        return None
    row = picture.rows[0]
    pixels = grey(row.followup) if row.change is None else coloured(row.change)
    out = io.BytesIO()
    Image.fromarray(pixels).resize(SMALL, Image.Resampling.LANCZOS).save(out, "png", optimize=True)
    return out.getvalue()


def _has_change(picture: Picture) -> bool:
    return any(row.change is not None and row.titles is None for row in picture.rows)


def _columns(picture: Picture) -> tuple[str, ...]:
    """Without a baseline there is only the follow-up to show."""
    compared = not picture.rows or any(row.baseline is not None for row in picture.rows)
    return COLUMN_TITLES if compared else COLUMN_TITLES[1:2]


@dataclass(frozen=True)
class _Layout:
    """Where the parts begin, pixels from the top."""

    columns: tuple[str, ...]
    row_tops: tuple[int, ...]
    bar_top: int
    footer_top: int
    width: int
    height: int

    @classmethod
    def of(cls, picture: Picture) -> _Layout:
        columns = _columns(picture)
        width = _column_left(len(columns)) - GAP + 2 * MARGIN + TEXT_WIDTH
        top = MARGIN + height_of(picture.header, width - 2 * MARGIN) + GAP
        tops = []
        for row in picture.rows:
            tops.append(top)
            top += HEADING + max(PANEL[1], height_of(row.words, TEXT_WIDTH)) + GAP
        bar = top
        top += (BAR if _has_change(picture) else 0) + GAP
        height = top + height_of(picture.footer, width - 2 * MARGIN) + MARGIN
        return cls(columns, tuple(tops), bar, top, width, height)


def line_height(words: Words) -> int:
    return round(1.4 * words.size_px)


def height_of(paragraphs: Sequence[Words], width_px: int) -> int:
    """Pixels that the wrapped paragraphs take."""
    return sum(w.above_px + line_height(w) * len(wrap(w, width_px)) for w in paragraphs)


@lru_cache(maxsize=8192)
def width_of(text: str, size_px: int, bold: bool) -> float:
    """Pixels a line takes; 3 % more than the outlines say, because hinting widens small letters."""
    font = FontProperties(family=FONT, weight="bold" if bold else "normal", size=size_px * 72 / DPI)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) * DPI / 72 * 1.03


@lru_cache(maxsize=1024)
def wrap(words: Words, width_px: int) -> tuple[str, ...]:
    """Lines no wider than ``width_px``; a word wider than a line is cut."""
    lines: list[str] = []
    line = ""
    for word in _pieces(words, width_px):
        longer = f"{line} {word}" if line else word
        if line and width_of(longer, words.size_px, words.bold) > width_px:
            lines.append(line)
            longer = word
        line = longer
    return (*lines, line)


def _pieces(words: Words, width_px: int) -> Iterator[str]:
    size, bold = words.size_px, words.bold
    for whole in words.text.split(" "):
        word = "".join(c if c.isprintable() else "?" for c in whole)
        while width_of(word, size, bold) > width_px:
            part = word[: width_px // 2]  # no letter is narrower than 2 pixels
            cut = max(1, bisect_right([width_of(part[:n], size, bold) for n in range(1, len(part) + 1)], width_px))
            yield word[:cut]
            word = word[cut:]
        yield word


@dataclass(frozen=True, eq=False)
class _Sheet:
    """One page in pixels from the top left corner: coloured pixels, lines and words over them."""

    paper: Paper
    figure: Figure
    lines: list[tuple[str, npt.NDArray[np.float64]]]

    @classmethod
    def empty(cls, width: int, height: int) -> _Sheet:
        # A tenth of a pixel more: inches times dpi is cut to whole pixels, and 4.07 in x 100 is less than 407.
        figure = Figure(figsize=((width + 0.1) / DPI, (height + 0.1) / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        return cls(np.full((height, width, 3), _rgb(BACKGROUND), dtype=np.uint8), figure, [])

    def box(self, left: int, top: int, width: int, height: int, colour: str) -> None:
        self.paper[top : top + height, left : left + width] = _rgb(colour)

    def paste(self, left: int, top: int, pixels: Paper) -> None:
        self.paper[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

    def text(self, left: float, top: float, words: Words, *, align: str = "left") -> None:
        height, width, _ = self.paper.shape
        self.figure.text(
            left / width, 1 - (top + line_height(words) / 2) / height, words.text,
            color=words.colour, fontsize=words.size_px * 72 / DPI, fontweight="bold" if words.bold else "normal",
            family=FONT, ha=align, va="center_baseline", parse_math=False,
        )  # fmt: skip

    def paragraphs(
        self, paragraphs: Sequence[Words], left: float, top: float, width_px: int, align: str = "left"
    ) -> None:
        for words in paragraphs:
            top += words.above_px
            for line in wrap(words, width_px):
                self.text(left, top, replace(words, text=line), align=align)
                top += line_height(words)

    def png(self) -> bytes:
        out = io.BytesIO()
        Image.fromarray(self._inked()).save(out, "png", compress_level=4)
        return out.getvalue()

    def _inked(self) -> Paper:
        """Draw lines and words over the paper. The drawing library gets no pixels: it would resample them all."""
        height, width, _ = self.paper.shape
        # No axes: lines are placed in display pixels, which count from the bottom and from pixel corners.
        placed = [np.stack([line[:, 0] + 0.5, height - line[:, 1] - 0.5], axis=1) for _, line in self.lines]
        colours = [colour for colour, _ in self.lines]
        thickness = OUTLINE_PX * 72 / DPI
        self.figure.add_artist(
            LineCollection(placed, colors=colours, linewidths=thickness, transform=IdentityTransform())
        )
        raw = io.BytesIO()
        self.figure.savefig(raw, format="rgba", dpi=DPI, transparent=True)
        ink = np.frombuffer(raw.getvalue(), dtype=np.uint8).reshape(height, width, 4)
        touched = ink[..., 3] > 0
        share = ink[touched, 3:].astype(np.float32) / 255
        paper = self.paper.copy()
        paper[touched] = np.round(share * ink[touched, :3] + (1 - share) * paper[touched]).astype(np.uint8)
        return paper


def _rgb(colour: str) -> Paper:
    return np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)


def _column_left(column: int) -> int:
    return MARGIN + column * (PANEL[0] + GAP)


def _draw_row(sheet: _Sheet, row: Row, top: int, columns: Sequence[str]) -> None:
    panels = dict(zip(COLUMN_TITLES, (row.baseline, row.followup, row.change), strict=True))
    for column, title in enumerate(columns):
        left, pixels = _column_left(column), panels[title]
        sheet.text(
            left, top + 2, Words(title if row.titles is None else row.titles[COLUMN_TITLES.index(title)], QUIET, 14)
        )
        if pixels is None:
            _draw_empty(sheet, left, top + HEADING, row.missing.get(title, "not available"))
            continue
        sheet.paste(
            left, top + HEADING, coloured(pixels) if pixels is row.change and row.titles is None else grey(pixels)
        )
        _draw_outlines(sheet, left, top + HEADING, row.outlines)
        middle = top + HEADING + PANEL[1] / 2 - 10
        sheet.text(left + 6, middle, Words("R"))  # the patient's right is on the left of the picture
        sheet.text(left + PANEL[0] - 6, middle, Words("L"), align="right")
        if pixels is row.followup:
            _draw_scale(sheet, left + 8, top + HEADING + PANEL[1] - 8, row.pixel_mm)
    beside = _column_left(len(columns)) - GAP + MARGIN
    sheet.text(beside, top + 2, Words(row.heading, QUIET, 14))
    sheet.paragraphs(row.words, beside, top + HEADING, TEXT_WIDTH)


def grey(values: Pixels) -> Paper:
    """0..1 as shades of grey."""
    shades = np.round(255 * np.clip(np.nan_to_num(values), 0, 1)).astype(np.uint8)
    return np.repeat(shades[..., None], 3, axis=2)


def coloured(percent: Pixels) -> Paper:
    """Percent change in the colours of the bar; NaN in the colour of what is not measured."""
    share = 0.5 + np.nan_to_num(percent) / (2 * CHANGE_LIMIT_PERCENT)
    pixels = np.asarray(CHANGE_COLOURS(np.clip(share, 0, 1), bytes=True))[..., :3].astype(np.uint8)
    pixels[~np.isfinite(percent)] = _rgb(NOT_MEASURED)
    return pixels


def _draw_outlines(sheet: _Sheet, left: int, top: int, outlines: Sequence[tuple[str, Pixels]]) -> None:
    for colour, mask in outlines:
        for line in contour_generator(z=mask).lines(0.5):
            sheet.lines.append((colour, np.asarray(line, dtype=np.float64) + np.array([left, top])))


def _draw_scale(sheet: _Sheet, left: int, bottom: int, pixel_mm: float) -> None:
    length = round(50 / pixel_mm)
    sheet.box(left, bottom - 2, length, 2, PLAIN)
    sheet.text(left, bottom - 22, Words("5 cm", PLAIN, 12))


def _draw_empty(sheet: _Sheet, left: int, top: int, why: str) -> None:
    sheet.box(left, top, *PANEL, EMPTY)
    words, width = Words(why, QUIET, 14), PANEL[0] - 2 * MARGIN
    middle = top + (PANEL[1] - height_of([words], width)) / 2
    sheet.paragraphs([words], left + PANEL[0] / 2, middle, width, align="center")


def _draw_bar(sheet: _Sheet, top: int) -> None:
    left, width = _column_left(2), PANEL[0]
    ramp = np.linspace(-CHANGE_LIMIT_PERCENT, CHANGE_LIMIT_PERCENT, width, dtype=np.float32)
    sheet.paste(left, top + 2, coloured(np.repeat(ramp[None], 12, axis=0)))
    limit = CHANGE_LIMIT_PERCENT
    for share, label, align in ((0.0, f"−{limit} %", "left"), (0.5, "0", "center"), (1.0, f"+{limit} %", "right")):
        sheet.text(left + share * width, top + 18, Words(label, QUIET, 13), align=align)
    sheet.box(left - 130, top + 2, 12, 12, NOT_MEASURED)
    sheet.text(left - 112, top - 1, Words("not measured", QUIET, 13))
