"""The tables of images on their way out. instances.batch: the batch of an image; null: forwarding has not seen it."""

from __future__ import annotations

import sqlalchemy as sa

from workers.index.schema import UtcDateTime, instances, metadata

without_batch = sa.Index(
    "instances_without_batch",
    instances.c.study_instance_uid,
    instances.c.received_at,
    sqlite_where=sa.text("batch IS NULL"),
    postgresql_where=sa.text("batch IS NULL"),
)

# images of one series that came together: what one delivery of images sends. number: within the study, from 1
image_batches = sa.Table(
    "image_batches",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("series_instance_uid", sa.String(64), nullable=False),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),  # of the newest of them
    sa.Column("planned_at", UtcDateTime),  # when it was decided where they go
    sa.Index(
        "image_batches_without_plan",
        "study_instance_uid",
        sqlite_where=sa.text("planned_at IS NULL"),
        postgresql_where=sa.text("planned_at IS NULL"),
    ),
)

# marks that rules put on studies
study_tags = sa.Table(
    "study_tags",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("tag", sa.String(32), primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
