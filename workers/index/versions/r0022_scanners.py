"""The scanner of a study, and healthy grey over white matter in its FLAIR, so that scanners can be watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

a = sa.table(
    "assessments", sa.column("study_instance_uid"), sa.column("superseded", sa.Boolean), sa.column("document", sa.JSON)
)
studies = sa.table("studies", sa.column("study_instance_uid"), sa.column("scanner"), sa.column("tissue_ratio"))


LONGEST_TEXT = 300


def _scanner(document: Mapping[str, Any]) -> str:
    """As the program of this revision wrote it. What later ones write does not change what an upgrade does."""
    rows = sorted(document.get("series") or (), key=lambda one: one.get("used_as") != "flair")
    said: Mapping[str, Any] = next((scanner for one in rows if (scanner := one.get("scanner"))), {})
    maker, model = (" ".join((said.get(name) or "").split()) for name in ("manufacturer", "model"))
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    tesla = said.get("field_strength_t")
    words = ", ".join(part for part in (name, said.get("station") or "", f"{tesla:g} T" if tesla else "") if part)
    line = " ".join(words.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def upgrade() -> None:
    op.add_column("studies", sa.Column("scanner", sa.Text))
    op.add_column("studies", sa.Column("tissue_ratio", sa.Float))
    connection, current = op.get_bind(), sa.not_(a.c.superseded)
    for uid in connection.execute(sa.select(a.c.study_instance_uid).where(current)).scalars().all():
        of_study = sa.and_(a.c.study_instance_uid == uid, current)  # one document in memory at a time
        document = connection.execute(sa.select(a.c.document).where(of_study)).scalar_one()
        values = {"scanner": _scanner(document) or None, "tissue_ratio": document.get("tissue_ratio")}
        if any(value is not None for value in values.values()):
            connection.execute(studies.update().where(studies.c.study_instance_uid == uid).values(**values))
