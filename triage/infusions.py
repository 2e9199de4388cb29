"""Known infusions of one patient in, the infusion that a study belongs to out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

CORRECTION_DAYS = 28
"""A date this close to a known infusion corrects it. A second infusion needs lymphodepletion again and does not follow
within four weeks; a typing error or a postponed infusion usually moves a date by days."""
BRIDGING = "bridg"  # in the kind of what is given between the collection of the cells and their infusion


@dataclass(frozen=True, order=True)
class Infusion:
    """One cell infusion. kind: e.g. ``CAR-T``, ``retreatment``, ``bridging``. source: who said so, e.g. ``roster``."""

    day: date
    kind: str = "CAR-T"
    source: str = ""


@dataclass(frozen=True)
class StatedInfusion:
    """What was last said about one day under one patient ID. said_at: None: by a program that did not record it.
    withdrawn_at: when it was taken back; None: it was not. first_said_at: of a day that was said more than once, when
    it was said first; None: it was said once."""

    infusion: Infusion
    said_at: datetime | None = None
    withdrawn_at: datetime | None = None
    first_said_at: datetime | None = None


_FIRST = datetime.min.replace(tzinfo=UTC)


def standing(statements: Iterable[StatedInfusion]) -> tuple[Infusion, ...]:
    """The infusions of one person that are in force, by day, under all IDs and spellings.

    A day that was withdrawn is gone until it is stated again, and corrects nothing: to withdraw an infusion that was
    entered by mistake does not mean that another one was wrong. Of the rest the latest statement counts: a date within
    CORRECTION_DAYS of one that was said before replaces it (``corrected``). Dates of unknown age replace nothing.
    A day that is said again counts at both times: what came between was said beside it, and corrected it or another.
    """
    every = tuple(statements)
    said = [(one.said_at or _FIRST, one) for one in every]
    said += [(one.first_said_at, one) for one in every if one.first_said_at is not None]
    gone: dict[date, datetime] = {}
    for _, one in said:
        if one.withdrawn_at is not None:
            gone[one.infusion.day] = max(one.withdrawn_at, gone.get(one.infusion.day, _FIRST))
    left = [(at, one.infusion) for at, one in said if one.infusion.day not in gone or at > gone[one.infusion.day]]
    found: dict[date, Infusion] = {}
    for at, infusion in sorted(left):
        wrong = None if at == _FIRST or infusion.day in found else corrected(infusion, found.values())
        if wrong is not None:
            del found[wrong.day]
        found[infusion.day] = infusion
    return tuple(found[day] for day in sorted(found))


def said_again(before: StatedInfusion | None, infusion: Infusion, at: datetime) -> StatedInfusion:
    """What is said about a day now. before: what was last said about it; a day that was withdrawn begins anew."""
    if before is None or before.withdrawn_at is not None:
        return StatedInfusion(infusion, at)
    return StatedInfusion(infusion, at, first_said_at=before.first_said_at or before.said_at)


def infusion_of(study_date: date | None, infusions: Iterable[Infusion]) -> Infusion | None:
    """The infusion that a study belongs to.

    The latest one on or before the day of the study. For a study before all of them the earliest one, so that its days
    are negative. None when no infusion is known, or the study has no date and there are several.
    """
    known = sorted(infusions)
    if study_date is None:
        return known[0] if len(known) == 1 else None
    past = [one for one in known if one.day <= study_date]
    return past[-1] if past else next(iter(known), None)


def earlier_infusion(infusion: Infusion, infusions: Iterable[Infusion]) -> Infusion | None:
    """The infusion before this one; None when it is the first."""
    return max((one for one in infusions if one.day < infusion.day), default=None)


def corrected(said: Infusion, infusions: Iterable[Infusion]) -> Infusion | None:
    """The known infusion that a newly reported one corrects; None: it is a further infusion.

    The nearest one within CORRECTION_DAYS; of two equally near the earlier one. Bridging therapy is given days before
    the cells: neither corrects the other, unless both are said of one day.
    """
    near = [
        one
        for one in sorted(infusions)
        if one.day == said.day or (_distance(one, said) <= CORRECTION_DAYS and _is_bridging(one) is _is_bridging(said))
    ]
    return min(near, key=lambda one: _distance(one, said), default=None)


def _distance(one: Infusion, other: Infusion) -> int:
    """In days."""
    return abs((one.day - other.day).days)


def _is_bridging(infusion: Infusion) -> bool:
    return BRIDGING in infusion.kind.casefold()
