"""Decided documents in; one current document per study out, and its decision in the row of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.index.schema import assessments, studies
from workers.ports import Claim

# planned_at of a decision that came back after the index was lost and has no plan yet
RESTORED = datetime(1970, 1, 1, tzinfo=UTC)
STAGE_RANK = {"first_look": 0, "full": 1}  # an unknown stage ranks with the full one


def put(
    connection: Connection,
    insert: Callable[[sa.Table], Any],
    claim: Claim,
    *,
    stage: str,
    document: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Store the document under (study, revision, stage); False: another one is there and was planned. The caller holds
    the lease of the claim."""
    key = (claim.study_instance_uid, claim.revision, stage)
    stored = insert_document(connection, insert, key, document=document, now=now)
    if stored:
        supersede(connection, claim.study_instance_uid)
    return stored


def insert_document(
    connection: Connection,
    insert: Callable[[sa.Table], Any],
    decided: tuple[str, int, str],
    *,
    document: Mapping[str, Any],
    now: datetime,
    planned_at: datetime | None = None,
) -> bool:
    """One version of a study's decision. decided: study, revision, stage. planned_at: of a new row. False: another one
    is there and was planned: what may have gone out is not replaced."""
    study_instance_uid, revision, stage = decided
    values = {
        "created_at": now,
        "superseded": False,
        "document": dict(document),
        "stage_rank": STAGE_RANK.get(stage, 1),
    }
    key = {"study_instance_uid": study_instance_uid, "revision": revision, "stage": stage}
    statement = insert(assessments)
    # the same task run twice after a crash writes the same key again: one document, not two
    done = connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key),
            set_={name: statement.excluded[name] for name in values},
            where=assessments.c.planned_at.is_(None),
        )
        .values(**key, **values, planned_at=planned_at)
        .returning(assessments.c.revision)
    )
    return done.first() is not None


def supersede(connection: Connection, study_instance_uid: str) -> None:
    """Leave one current document, and copy its decision and its headline into the study row."""
    # not at the top: the receiving processes import this file, and measure nothing
    from triage.report.headline import headline_of

    a, of_study = assessments.c, assessments.c.study_instance_uid == study_instance_uid
    current = connection.execute(
        sa.select(a.revision, a.stage, a.created_at, a.document)
        .where(of_study)
        .order_by(a.revision.desc(), a.stage_rank.desc())
        .limit(1)
    ).one()
    is_current = sa.and_(a.revision == current.revision, a.stage == current.stage)
    connection.execute(assessments.update().where(of_study).values(superseded=sa.not_(is_current)))
    decision = current.document.get("decision") or {}
    said = headline_of(current.document)
    connection.execute(
        studies.update()
        .where(studies.c.study_instance_uid == study_instance_uid)
        .values(
            decided_revision=current.revision,
            category=decision.get("category"),
            priority=decision.get("priority"),
            reasons=list(decision.get("reasons") or ()),
            stage=current.stage,
            decided_at=current.created_at,
            finding=said.finding,
            figure=said.figure,
            days_after_infusion=said.day,
            baseline_date=said.baseline_date,
            scanner=said.scanner or None,
            tissue_ratio=said.tissue_ratio,
            before_treatment=said.before_treatment,
        )
    )
