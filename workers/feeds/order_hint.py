"""Free texts of an order in, what they hint about an infusion out. Pure. A hint is shown and never used as a date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST_QUOTE = 80
LONGEST_TEXT = 10_240  # an LT value (PS3.5 6.2)
SAME_DAYS = 1  # "day 9" counts from 0 or from 1

CELLS = re.compile(
    r"\b(?:CD19[-\s])?CAR[-\s]?T(?:[-\s]?cells?)?\b"
    r"|\b(?:tisagenlecleucel|axicabtagene|brexucabtagene|lisocabtagene|obecabtagene)\b"
    r"|\b(?:axi|tisa|brexu|liso|obe)-cel\b",
    re.IGNORECASE,
)
DAYS = (
    re.compile(r"\b(?:day|days|tag|jour|d)\s*\+?\s*(\d{1,4})\b", re.IGNORECASE),
    re.compile(r"\+?\b(\d{1,4})\s*(?:d|days?|tage?n?|jours?)\s*(?:post|after|s/p|p\.?\s?i|nach|apr)", re.IGNORECASE),
)
# only writings that have one meaning everywhere; 03/04/2024 has two
DAY = re.compile(r"\b((?:19|20)\d{2})-?(\d{2})-?(\d{2})\b")


@dataclass(frozen=True)
class OrderHint:
    """What an order says. quote: the part of its text; days, day: None when it names none."""

    quote: str
    days: int | None = None
    day: date | None = None

    def agrees(self, study_day: date | None, infusion: date | None) -> bool:
        """Whether it says nothing beyond what is known already."""
        if infusion is None:
            return False
        said = self.day
        if said is None and self.days is not None and study_day is not None:
            said = study_day - timedelta(days=self.days)
        return said is None or abs((said - infusion).days) <= SAME_DAYS


def hint_in(texts: Iterable[str]) -> OrderHint | None:
    """The first text that speaks of CAR-T cells; None: none does."""
    found = [hint for text in texts if (hint := _hint(text[:LONGEST_TEXT])) is not None]
    dated = [hint for hint in found if hint.days is not None or hint.day is not None]
    return next(iter([*dated, *found]), None)


def sentence(hint: OrderHint) -> str:
    """For the notices of a result."""
    return f'the order says "{hint.quote}", not confirmed: no date and no baseline was taken from it'


def _hint(text: str) -> OrderHint | None:
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    cells = CELLS.search(text)
    if cells is None:
        return None
    near = max(0, cells.start() - LONGEST_QUOTE), cells.end() + LONGEST_QUOTE
    part, offset = text[near[0] : near[1]], near[0]
    counts = [match for pattern in DAYS if (match := pattern.search(part)) is not None]
    dates = [(match, day) for match in DAY.finditer(part) if (day := _day(match)) is not None]
    spans = [cells.span(), *((m.start() + offset, m.end() + offset) for m in counts[:1])]
    spans += [(match.start() + offset, match.end() + offset) for match, _ in dates[:1]]
    quote = text[min(start for start, _ in spans) : max(end for _, end in spans)]
    return OrderHint(
        quote if len(quote) <= LONGEST_QUOTE else f"{quote[: LONGEST_QUOTE - 3]}...",
        int(counts[0][1]) if counts else None,
        dates[0][1] if dates else None,
    )


def _day(match: re.Match[str]) -> date | None:
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
