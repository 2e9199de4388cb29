"""What the worklist filters and sorts by, as SQL: groups, deadlines, who has read. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from workers.index.answer_schema import order_priorities
from workers.index.escalations import covers, sequence_in
from workers.index.schema import acknowledgements, studies
from workers.index.search_text import Folded, folded
from workers.ports import StudyState
from workers.worklist_ports import URGENT_ORDERS, Deadlines, Group, ListOrder, Wanted

GONE = (StudyState.REMOVING.value, StudyState.REMOVED.value)
ESCAPE = "\\"  # of LIKE
PRIORITIES = ("P1", "P2", "P3")
UNKNOWN_DAY = date(1, 1, 1)
NEVER_S = 1e12  # seconds; behind every deadline

Key = Sequence[tuple[sa.ColumnElement[Any], bool]]  # (expression, whether it falls)
Conditions = Sequence[sa.ColumnElement[bool]]


class EpochS(FunctionElement[float]):
    """Seconds since 1970 of a time, with a thousandth as the finest step."""

    type = sa.Float()
    inherit_cache = True
    name = "epoch_s"


@compiles(EpochS, "sqlite")
def _epoch_of_sqlite(element: EpochS, compiler: Any, **kw: Any) -> str:
    return f"((julianday({compiler.process(element.clauses, **kw)}) - 2440587.5) * 86400.0)"


@compiles(EpochS, "postgresql")
def _epoch_of_postgresql(element: EpochS, compiler: Any, **kw: Any) -> str:
    return f"(extract(epoch from {compiler.process(element.clauses, **kw)})::double precision)"


def _conditions_of_groups() -> dict[Group, sa.ColumnElement[bool]]:
    """Of several that hold the first one counts; the last one holds always."""
    c = studies.c
    return {
        Group.P1: c.priority == "P1",
        Group.P2: c.priority == "P2",
        Group.P3: c.priority == "P3",
        Group.FAILED: c.state == StudyState.FAILED.value,
        Group.BASELINE: sa.and_(c.category == "not_assessable", c.before_treatment),
        Group.NOT_ASSESSABLE: c.category == "not_assessable",
        Group.NO_PATTERN: c.category == "no_pattern",
        Group.WAITING: sa.true(),
    }


HOLDS = _conditions_of_groups()


def _by_group(values: Mapping[Group, Any], *, otherwise: Any = None) -> sa.ColumnElement[Any]:
    """A value for each group."""
    *first, last = HOLDS
    return sa.case(
        *((HOLDS[group], values.get(group, otherwise)) for group in first), else_=values.get(last, otherwise)
    )


def in_group(group: Group) -> sa.ColumnElement[bool]:
    """An index finds a priority; the other groups are looked through."""
    if group.value.upper() in PRIORITIES:
        return HOLDS[group]
    return GROUP.in_([group.value])


GROUP = _by_group({group: group.value for group in Group})


def group_of(priority: str | None, state: str, category: str | None, *, before_treatment: bool) -> Group:
    """The same in Python."""
    if priority in PRIORITIES:
        return Group(priority.lower())
    if state == StudyState.FAILED.value:
        return Group.FAILED
    if category == "not_assessable" and before_treatment:
        return Group.BASELINE
    return {"not_assessable": Group.NOT_ASSESSABLE, "no_pattern": Group.NO_PATTERN}.get(category or "", Group.WAITING)


def _covers_shown(s: Any) -> sa.ColumnElement[bool]:
    """Whether an acknowledgement covers the decision that the row of the study shows."""
    return covers(sequence_in(s.decided_revision, s.stage), s.decided_at)


def _read_by() -> sa.ScalarSelect[Any]:
    """Who acknowledged the decision that is shown, the first one: what came before a decision is not about it."""
    a, c = acknowledgements.c, studies.c
    of_it = (a.study_instance_uid == c.study_instance_uid, _covers_shown(c))
    return sa.select(a.by).where(*of_it).order_by(a.number).limit(1).correlate(studies).scalar_subquery()


READ_BY = _read_by()


def _urgent() -> sa.ColumnElement[bool]:
    """A set that is made once for a query; looked up for each study it cost three times as much."""
    o = order_priorities.c
    return studies.c.study_instance_uid.in_(sa.select(o.study_instance_uid).where(o.priority.in_(URGENT_ORDERS)))


def _is_read() -> sa.ColumnElement[bool]:
    a, s = acknowledgements.c, studies.alias("s").c
    both = sa.and_(s.study_instance_uid == a.study_instance_uid, _covers_shown(s))
    return studies.c.study_instance_uid.in_(
        sa.select(a.study_instance_uid).select_from(acknowledgements.join(s.study_instance_uid.table, both))
    )


IS_READ = _is_read()
URGENT = _urgent()


def _deadline_s(deadlines: Deadlines) -> sa.ColumnElement[float]:
    """Seconds since 1970; NEVER_S of what was read or has none."""
    usual, urgent = (
        {group: 60.0 * limit for group in Group if (limit := deadlines.minutes(group, urgent=one)) is not None}
        for one in (False, True)
    )
    seconds = _by_group(usual, otherwise=NEVER_S)
    if urgent != usual:
        seconds = sa.case((URGENT, _by_group(urgent, otherwise=NEVER_S)), else_=seconds)
    if not urgent:
        return sa.literal(NEVER_S, sa.Float)
    return sa.case(
        (seconds == NEVER_S, NEVER_S), (IS_READ, NEVER_S), else_=EpochS(studies.c.first_received_at) + seconds
    )


def key_of(order: ListOrder, deadlines: Deadlines) -> Key:
    """What the order sorts by (of READING within a group). The UID makes it total."""
    c = studies.c
    keys: dict[ListOrder, Key] = {
        ListOrder.READING: [(_deadline_s(deadlines), False), (c.first_received_at, False)],
        ListOrder.NEWEST: [(c.first_received_at, True)],
        ListOrder.OLDEST: [(c.first_received_at, False)],
        ListOrder.STUDY_DATE: [(sa.func.coalesce(c.study_date, UNKNOWN_DAY), True), (c.study_time, True)],
        ListOrder.PATIENT: [(c.patient_id, False), (sa.func.coalesce(c.study_date, UNKNOWN_DAY), True)],
    }
    return [*keys[order], (c.study_instance_uid, False)]


def conditions_of(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c = studies.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.groups:
        found.append(GROUP.in_(sorted(wanted.groups)))
    if not wanted.gone:
        found.append(c.state.not_in(GONE))
    if wanted.unread:
        found.append(sa.not_(IS_READ))
    if wanted.since is not None:
        found.append(c.first_received_at >= wanted.since)
    for word in folded(wanted.find.replace("\0", " ")).split():  # PostgreSQL knows no NUL
        plain = word.replace(ESCAPE, ESCAPE * 2).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")
        # a name in characters is written without the "^" between family and given name
        columns = (c.patient_name, sa.func.replace(c.patient_name, "^", ""), c.patient_id, c.accession_number)
        found.append(sa.or_(*(Folded(column).like(f"%{plain}%", escape=ESCAPE) for column in columns)))
    return found
