"""Pictures in, PNG out: nothing wider than its place, colours that mean what the bar says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from workers.outputs.evidence.picture import (
    MARGIN,
    PANEL,
    Paper,
    Picture,
    Pixels,
    Row,
    Words,
    coloured,
    render,
    size_px,
    texts,
    width_of,
    wrap,
)


def a_panel(value: float) -> Pixels:
    return np.full(PANEL[::-1], value, dtype=np.float32)


def a_row(*, compared: bool = True, words: tuple[Words, ...] = ()) -> Row:
    other = a_panel(0.5) if compared else None
    return Row("z 0 mm", other, a_panel(0.25), other, 0.5, (), words, {"difference": "not compared"})


def pixels(picture: Picture) -> Paper:
    return np.asarray(Image.open(io.BytesIO(render(picture))))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("short", id="noop: one line"),
        pytest.param("word " * 200, id="many words"),
        pytest.param("x" * 500, id="one endless word"),
        pytest.param("W $^$ \t\n \\frac é µ ± ×", id="odd characters"),
        pytest.param("", id="empty"),
    ],
)
@pytest.mark.parametrize("bold", [False, True])
def test_no_line_is_wider_than_its_place(text: str, bold: bool) -> None:
    lines = wrap(Words(text, size_px=15, bold=bold), 400)
    assert all(width_of(line, 15, bold) <= 400 for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(c if c.isprintable() else "?" for c in text).replace(" ", "")


def test_ink_stays_inside_the_margins() -> None:
    words = tuple(Words("m" * 300, size_px=15, bold=True) for _ in range(3))
    picture = Picture(words, [a_row(words=words)], words)
    drawn = pixels(picture).astype(int)
    background = drawn[0, 0]
    touched = np.argwhere(np.abs(drawn - background).sum(axis=2) > 0)
    assert touched[:, 1].min() >= MARGIN - 1
    assert touched[:, 1].max() < drawn.shape[1] - MARGIN + 1
    assert touched[:, 0].max() < drawn.shape[0] - MARGIN / 2


@pytest.mark.parametrize("lines", [0, 29])
def test_size_is_as_announced(lines: int) -> None:
    picture = Picture([Words("title", size_px=24)], [a_row()], [Words("note", size_px=13)] * lines)
    drawn = pixels(picture)
    assert (drawn.shape[1], drawn.shape[0]) == size_px(picture)


def test_beside_many_words_a_row_grows() -> None:
    many = tuple(Words(f"line {n}") for n in range(40))
    short, tall = Picture([], [a_row()], []), Picture([], [a_row(words=many)], [])
    assert size_px(tall)[1] > size_px(short)[1]


def test_without_a_baseline_there_is_one_column() -> None:
    assert size_px(Picture([], [a_row(compared=False)], []))[0] == size_px(Picture([], [a_row()], []))[0] - 2 * (
        PANEL[0] + 8
    )


@pytest.mark.parametrize(
    ("percent", "channels"),
    [
        pytest.param(25.0, "red", id="rise is warm"),
        pytest.param(-25.0, "blue", id="fall is cold"),
        pytest.param(0.0, "dark", id="noop: no change is dark"),
        pytest.param(float("nan"), "grey", id="not measured is grey"),
        pytest.param(float("inf"), "grey", id="not finite is grey"),
    ],
)
def test_colours(percent: float, channels: str) -> None:
    red, green, blue = coloured(np.array([[percent]], dtype=np.float32))[0, 0].astype(int)
    seen = {
        "red": red > blue + 60,
        "blue": blue > red + 60,
        "dark": max(red, green, blue) < 30,
        "grey": min(red, green, blue) > 50 and max(red, green, blue) - min(red, green, blue) < 20,
    }
    assert [name for name, holds in seen.items() if holds] == [channels]


def test_an_outline_is_drawn_where_the_mask_ends() -> None:
    mask = a_panel(0.0)
    mask[100:200, 50:150] = 1.0
    row = Row("", None, a_panel(0.0), None, 0.5, [("#ff0000", mask)])
    drawn = pixels(Picture([], [row], [])).astype(int)
    red = np.argwhere((drawn[..., 0] > 120) & (drawn[..., 1] < 60))
    top = MARGIN + 8 + 26
    assert red.min(axis=0) == pytest.approx([top + 99.5, MARGIN + 49.5], abs=1.5)
    assert red.max(axis=0) == pytest.approx([top + 199.5, MARGIN + 149.5], abs=1.5)


def test_texts_lists_all_words() -> None:
    picture = Picture([Words("head")], [a_row(words=(Words("beside"),))], [Words("foot")])
    assert {"head", "foot", "beside", "z 0 mm", "not compared"} <= set(texts(picture))
