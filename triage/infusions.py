"""Known infusions of one patient in, the infusion that a study belongs to out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

CORRECTION_DAYS = 28
"""A date this close to a known infusion corrects it. A second infusion needs lymphodepletion again and does not follow
within four weeks; a typing error or a postponed infusion usually moves a date by days."""


@dataclass(frozen=True, order=True)
class Infusion:
    """One cell infusion. kind: e.g. ``CAR-T``, ``retreatment``, ``bridging``. source: who said so, e.g. ``roster``."""

    day: date
    kind: str = "CAR-T"
    source: str = ""


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


def corrected(day: date, infusions: Iterable[Infusion]) -> Infusion | None:
    """The known infusion that a newly reported ``day`` corrects; None: it is a further infusion.

    The nearest one within CORRECTION_DAYS; of two equally near the earlier one.
    """
    near = [one for one in sorted(infusions) if abs((one.day - day).days) <= CORRECTION_DAYS]
    return min(near, key=lambda one: abs((one.day - day).days), default=None)
