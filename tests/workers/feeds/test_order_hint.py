"""Texts of orders in, hints out; what is known already is not said again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.feeds.order_hint import LONGEST_QUOTE, OrderHint, hint_in, sentence

MARCH = date(2024, 3, 4)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("MRI brain, day 9 post CAR-T", OrderHint("day 9 post CAR-T", 9), id="days"),
        pytest.param("s/p CD19 CAR-T 2024-03-04", OrderHint("CD19 CAR-T 2024-03-04", None, MARCH), id="a date"),
        pytest.param("D+12 axicabtagene, confused", OrderHint("D+12 axicabtagene", 12), id="D+"),
        pytest.param("9 days after CAR T cells", OrderHint("9 days after CAR T cells", 9), id="days after"),
        pytest.param("CAR-T 20240304, ICANS?", OrderHint("CAR-T 20240304", None, MARCH), id="a DICOM date"),
        pytest.param("CAR-T 03/04/2024", OrderHint("CAR-T"), id="a date of two meanings is not read"),
        pytest.param("CAR-T 2024-13-04", OrderHint("CAR-T"), id="no date of the calendar"),
        pytest.param("history of CAR-T", OrderHint("CAR-T"), id="only that"),
        pytest.param("day\x1b9 post\u202eCAR-T", OrderHint("day 9 post CAR-T", 9), id="control characters"),
        pytest.param("headache for 9 days", None, id="noop"),
        pytest.param("CD19 positive lymphoma, day 9", None, id="no cells"),
        pytest.param("carotid stenosis, day 3", None, id="another word"),
        pytest.param("", None, id="empty"),
    ],
)
def test_what_a_text_hints(text: str, hint: OrderHint | None) -> None:
    assert hint_in([text]) == hint


def test_of_several_texts_one_with_a_date_counts() -> None:
    assert hint_in(["ICANS?", "after CAR-T", "day 9 post CAR-T"]) == OrderHint("day 9 post CAR-T", 9)


def test_it_is_said_as_a_hint() -> None:
    assert sentence(OrderHint("day 9 post CAR-T", 9)).startswith('the order says "day 9 post CAR-T", not confirmed')


@pytest.mark.parametrize(
    ("hint", "infusion", "agrees"),
    [
        pytest.param(OrderHint("", 9), MARCH, True, id="the same day"),
        pytest.param(OrderHint("", 10), MARCH, True, id="counted from one"),
        pytest.param(OrderHint("", 20), MARCH, False, id="another day"),
        pytest.param(OrderHint("", None, MARCH), MARCH, True, id="the same date"),
        pytest.param(OrderHint("", None, date(2023, 3, 4)), MARCH, False, id="another date"),
        pytest.param(OrderHint(""), MARCH, True, id="only that there was one"),
        pytest.param(OrderHint("", 9), None, False, id="nothing is known"),
    ],
)
def test_what_is_known_already(hint: OrderHint, infusion: date | None, agrees: bool) -> None:
    assert hint.agrees(date(2024, 3, 13), infusion) is agrees


@given(st.text())
def test_a_quote_is_short_and_printable(text: str) -> None:
    hint = hint_in([f"day 9 {text} CAR-T {text}"])
    assert hint is None or (len(hint.quote) <= LONGEST_QUOTE and hint.quote.isprintable())
