"""The table of what humans said about objects that were set aside. Columns: see workers.identities.GivenAnswer."""

from __future__ import annotations

import sqlalchemy as sa

from workers.index.schema import UtcDateTime, metadata

object_answers = sa.Table(
    "object_answers",
    metadata,
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("answer", sa.String(16), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
