"""Whose images came again under known UIDs, and whether the image itself is the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for name, kind in (
        ("patient_id", sa.Text),
        ("issuer", sa.Text),
        ("birth_date", sa.Date),
        ("sex", sa.Text),
        ("same_images", sa.Boolean),
    ):
        op.add_column("conflicts", sa.Column(name, kind))
