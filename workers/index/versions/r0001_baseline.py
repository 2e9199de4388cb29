"""The tables as they were when revisions began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("schema_version", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.execute("INSERT INTO schema_version VALUES (1)")
    _instances()
    _studies()
    _decisions()
    _announcements()


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _uid(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(64), nullable=False)


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        _uid("sop_class_uid"),
        _uid("transfer_syntax_uid"),
        _uid("series_instance_uid"),
        _uid("study_instance_uid"),
        _text("path", nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        _time("received_at", nullable=False),
        _text("calling_ae", nullable=False),
        _text("patient_id", nullable=False),
        _text("issuer", nullable=False),
        sa.Column("birth_date", sa.Date),
        _text("sex", nullable=False),
        sa.Column("study_date", sa.Date),
        _text("study_time", nullable=False),
        _text("accession_number", nullable=False),
        _text("modality", nullable=False),
        _text("series_description", nullable=False),
        _number("series_number"),
        _number("images_in_acquisition"),
        _number("frame_count", nullable=False),
    )
    op.create_index("ix_instances_study_instance_uid", "instances", ["study_instance_uid"])
    op.create_index("ix_instances_path", "instances", ["path"])
    op.create_table(
        "series",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("series_instance_uid", sa.String(64), primary_key=True),
    )


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        _text("patient_id", nullable=False),
        _text("issuer", nullable=False),
        sa.Column("birth_date", sa.Date),
        _text("sex", nullable=False),
        sa.Column("study_date", sa.Date),
        _text("study_time", nullable=False),
        _text("accession_number", nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        _number("revision", nullable=False),
        _number("instance_count", nullable=False),
        _number("series_count", nullable=False),
        _time("first_received_at", nullable=False),
        _time("last_received_at", nullable=False),
        _time("ready_at"),
        _text("ready_reason"),
        _time("due_at"),
        _number("attempts", nullable=False),
        _text("lease_owner"),
        _time("lease_until"),
        _number("lease_revision"),
        _number("lease_attempt"),
        _time("settled_at"),
        _text("failure"),
        _number("decided_revision"),
        _text("category"),
        _text("priority"),
    )
    op.create_index("ix_studies_last_received_at", "studies", ["last_received_at"])
    op.create_index("studies_by_state", "studies", ["state"])
    op.create_index("studies_by_patient", "studies", ["patient_id", "issuer"])


def _decisions() -> None:
    op.create_table(
        "assessments",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("stage", sa.String(32), primary_key=True),
        _number("stage_rank", nullable=False),
        _time("created_at", nullable=False),
        sa.Column("superseded", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "infusions",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("infusion_date", sa.Date, nullable=False),
    )


def _announcements() -> None:
    op.create_table(
        "announcements",
        sa.Column("source", sa.String(16), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
        _uid("study_instance_uid"),
        sa.Column("step", sa.String(16), nullable=False),
        _time("updated_at", nullable=False),
    )
    op.create_index("ix_announcements_study_instance_uid", "announcements", ["study_instance_uid"])
    op.create_table(
        "announced_series",
        sa.Column("source", sa.String(16), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("series_instance_uid", sa.String(64), primary_key=True),
        _number("images", nullable=False),
    )
    op.create_table(
        "conflicts",
        sa.Column("path", sa.String(128), primary_key=True),
        _uid("sop_instance_uid"),
        _uid("series_instance_uid"),
        _uid("study_instance_uid"),
        _time("received_at", nullable=False),
        _text("calling_ae", nullable=False),
    )
    op.create_index("ix_conflicts_study_instance_uid", "conflicts", ["study_instance_uid"])
