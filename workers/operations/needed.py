"""Stored studies in, those out that a study to come could be compared with. Pure.

It knows no rule of identity: studies that state the same patient ID, issuer, birth date and sex are looked at together,
and every person is made of whole such groups. The latest study of a person is the latest one of one of its groups, so
that what every group keeps is enough for each of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

from triage.identity import id_form, issuer_form
from triage.infusions import CORRECTION_DAYS, Infusion
from workers.ports import ACUTE_CATEGORIES, PatientKey, StudyRow

CORRECTION = timedelta(days=CORRECTION_DAYS)


class Fitness(StrEnum):
    """Whether a study can serve as baseline, as far as that is known."""

    FIT = "fit"  # prepared as a baseline
    LEFT_OPEN = "left_open"  # the same, but its own comparison did not exclude a pattern: it may give way to another
    UNFIT = "unfit"  # it has no FLAIR, or its preparation was refused
    UNKNOWN = "unknown"


def possible_baselines(
    rows: Sequence[StudyRow],
    infusions: Mapping[PatientKey, Sequence[Infusion]],
    fitness: Callable[[StudyRow], Fitness],
) -> set[str]:
    """Studies that a later one could be compared with, by their UIDs.

    Going back in time from each known infusion, from now (a further infusion, or a later study) and, among the studies
    without a finding, from now: every study that is not known to be unfit, until one is fit, and one of an earlier day
    than that. A date may be corrected: what lies within CORRECTION_DAYS of an infusion stays. While no infusion is
    known: every study before the first one with an acute finding, too.
    """
    groups: defaultdict[tuple[str, str, date | None, str], list[StudyRow]] = defaultdict(list)
    for row in rows:
        if row.patient_id and row.study_date:
            groups[row.patient_id, row.issuer.strip(), row.birth_date, row.sex].append(row)
    issuers: defaultdict[str, set[str]] = defaultdict(set)  # of studies
    for patient_id, issuer, *_ in groups:
        issuers[patient_id] |= {issuer_form(issuer)} - {""}
    said_by: defaultdict[str, set[str]] = defaultdict(set)  # issuers of infusions; "": none is stated
    of_form: defaultdict[str, set[date]] = defaultdict(set)  # an infusion may be another spelling's
    for patient, known in infusions.items():
        said_by[patient.patient_id] |= {issuer_form(patient.issuer)} if known else set()
        of_form[id_form(patient.patient_id)] |= {one.day for one in known}
    found: set[str] = set()
    for (patient_id, issuer, *_), group in groups.items():
        dated = _is_dated(issuer_form(issuer), issuers[patient_id], said_by[patient_id])
        found |= set(_of_group(group, of_form[id_form(patient_id)], dated, fitness))
    return found


def _is_dated(issuer: str, of_studies: Collection[str], of_infusions: Collection[str]) -> bool:
    """Whether an infusion under the patient ID counts for studies of this issuer (``workers.studies.person``)."""
    given = set(of_studies) or set(of_infusions) - {""}
    used = {issuer} if len(given) > 1 else {"", issuer, *given}
    return bool(used & set(of_infusions))


def _of_group(
    rows: Sequence[StudyRow], days: set[date], dated: bool, fitness: Callable[[StudyRow], Fitness]
) -> Iterator[str]:
    """days: of every infusion of the patient ID. dated: whether one of them is known to be of this group."""
    # of several with the same date and time the choice takes the first by UID
    by_uid = sorted(rows, key=lambda row: row.study_instance_uid, reverse=True)
    ordered = sorted(by_uid, key=lambda row: (_day(row), row.study_time or "000000"))
    some = [row for row in ordered if fitness(row) is not Fitness.UNFIT]
    yield from _until_fit(some, fitness)
    # an unjudged study stops nothing: it may show what a baseline must not show
    yield from _until_fit([row for row in some if row.category not in ACUTE_CATEGORIES], fitness, only=("no_pattern",))
    for day in days:
        yield from _until_fit([row for row in some if _day(row) <= day], fitness)
        yield from _until_fit([row for row in some if _day(row) < day - CORRECTION], fitness)
        yield from (row.study_instance_uid for row in some if abs(_day(row) - day) <= CORRECTION)
    if not dated:
        positive = min((_day(row) for row in ordered if row.category in ACUTE_CATEGORIES), default=date.max)
        yield from (row.study_instance_uid for row in some if _day(row) <= positive)


def _until_fit(
    rows: Sequence[StudyRow], fitness: Callable[[StudyRow], Fitness], *, only: Sequence[str] | None = None
) -> Iterator[str]:
    """The latest ones back to one that is fit, and to one of an earlier day: a study of that same day may be compared
    with the latter.

    Args:
        only: categories that count as fit when they leave nothing open; None: every one does.
    """
    latest: date | None = None
    for row in reversed(rows):
        yield row.study_instance_uid
        fit = (Fitness.FIT, Fitness.LEFT_OPEN) if only is None else (Fitness.FIT,)
        if fitness(row) in fit and (only is None or row.category in only):
            if latest is not None and _day(row) < latest:
                return
            latest = _day(row) if latest is None else latest


def _day(row: StudyRow) -> date:
    return row.study_date or date.min
