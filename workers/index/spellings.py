"""Patient IDs in, every spelling of them that was ever seen out (``triage.identity.id_form``)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from triage.identity import SameId, id_form
from workers.index.schema import metadata

id_spellings = sa.Table(
    "id_spellings",
    metadata,
    sa.Column("patient_id", sa.Text, primary_key=True),
    sa.Column("form", sa.Text, nullable=False, index=True),
)

SAME_ID = "icansee_same_id"  # execution option of an engine: triage.identity.SameId


_OF_FORMS = sa.select(id_spellings.c.patient_id).where(id_spellings.c.form.in_(sa.bindparam("forms", expanding=True)))


def remember(connection: Connection, insert: Callable[[sa.Table], Any], patient_ids: Collection[str]) -> None:
    """Before or with the row that is found by it."""
    rows = [{"patient_id": one, "form": id_form(one)} for one in sorted(set(patient_ids)) if one]
    if rows:
        connection.execute(insert(id_spellings).on_conflict_do_nothing(), rows)


def spellings(connection: Connection, patient_ids: Collection[str]) -> set[str]:
    """These IDs, and every other one with a form of theirs."""
    forms = {form for one in patient_ids if (form := id_form(one))}
    if not forms:
        return {one for one in patient_ids if one}
    found = connection.execute(_OF_FORMS, {"forms": sorted(forms)})
    return {one for one in patient_ids if one} | set(found.scalars())


def spelled_as(form: sa.BindParameter[str]) -> sa.Select[tuple[str]]:
    """The same as a subquery, for the form of one ID; the empty form is that of none."""
    return sa.select(id_spellings.c.patient_id).where(id_spellings.c.form == form, id_spellings.c.form != "")


def tolerance(connection: Connection) -> SameId:
    """What the site has set."""
    found: SameId = connection.get_execution_options().get(SAME_ID, SameId.CONFIRMED)
    return found
