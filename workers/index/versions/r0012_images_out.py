"""Images on their way out in batches, tags of studies, and who released what a rule held back.

Images of before are nobody's news: they count as planned, in one batch for each series.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("instances", sa.Column("batch", sa.Integer))
    op.add_column("deliveries", sa.Column("released_by", sa.Text))
    op.create_table(
        "image_batches",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("received_at", WHEN, nullable=False),
        sa.Column("planned_at", WHEN),
    )
    op.create_table(
        "study_tags",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("tag", sa.String(32), primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
    )
    op.execute(
        "INSERT INTO image_batches (study_instance_uid, number, series_instance_uid, images, received_at, planned_at) "
        "SELECT study_instance_uid, ROW_NUMBER() OVER (PARTITION BY study_instance_uid ORDER BY series_instance_uid), "
        "series_instance_uid, COUNT(*), MAX(received_at), MAX(received_at) "
        "FROM instances GROUP BY study_instance_uid, series_instance_uid"
    )
    op.execute(
        "UPDATE instances SET batch = (SELECT number FROM image_batches WHERE "
        "image_batches.study_instance_uid = instances.study_instance_uid "
        "AND image_batches.series_instance_uid = instances.series_instance_uid)"
    )
    for name, table, columns, empty in (
        ("instances_without_batch", "instances", ["study_instance_uid", "received_at"], "batch IS NULL"),
        ("image_batches_without_plan", "image_batches", ["study_instance_uid"], "planned_at IS NULL"),
    ):
        op.create_index(name, table, columns, sqlite_where=sa.text(empty), postgresql_where=sa.text(empty))
