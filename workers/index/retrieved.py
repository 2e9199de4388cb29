"""Study UIDs in, those that this node retrieved only to compare with them out."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.index.answer_schema import fetched_from
from workers.index.schema import instances

MARKED, SENT = fetched_from.c, instances.c


def fetched_among(connection: Connection, study_instance_uids: Sequence[str]) -> set[str]:
    """Not one of which an image also came from somebody else."""
    from_archive = sa.exists().where(
        MARKED.study_instance_uid == SENT.study_instance_uid, MARKED.sender == SENT.calling_ae
    )
    sent = sa.select(SENT.study_instance_uid).where(SENT.study_instance_uid.in_(study_instance_uids), ~from_archive)
    marked = sa.select(MARKED.study_instance_uid).where(MARKED.study_instance_uid.in_(study_instance_uids))
    return set(connection.execute(marked).scalars()) - set(connection.execute(sent.distinct()).scalars())
