"""The tables of what was answered to questions of the node: by humans about objects, by a worklist about orders, by
archives with studies."""

from __future__ import annotations

import sqlalchemy as sa

from workers.index.schema import UtcDateTime, metadata

# what humans said about objects that were set aside; columns: see workers.identities.GivenAnswer
object_answers = sa.Table(
    "object_answers",
    metadata,
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("answer", sa.String(16), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

# what the modality worklist says about the order of a study; an empty priority: nothing
order_priorities = sa.Table(
    "order_priorities",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
)

# studies that this node retrieved itself, and under which names their images came
fetched_from = sa.Table(
    "fetched_from",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("sender", sa.String(64), primary_key=True),
)
