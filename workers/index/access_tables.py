"""The tables of the web application: accounts, sessions, known devices. Columns: see workers/access_ports.py."""

from __future__ import annotations

import sqlalchemy as sa

from workers.index.schema import UtcDateTime, metadata

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("password_hash", sa.Text),
    sa.Column("subject", sa.Text, unique=True),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("keys", sa.String(8), nullable=False, default="on", server_default="on"),
)

web_sessions = sa.Table(
    "web_sessions",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
)

web_devices = sa.Table(
    "web_devices",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

web_tokens = sa.Table(
    "web_tokens",
    metadata,
    sa.Column("key", sa.String(16), primary_key=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("account", sa.String(64), nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),
)

# lists that somebody looks at again and again
web_views = sa.Table(
    "web_views",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("words", sa.String(64), nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.UniqueConstraint("account", "words", name="web_views_key"),
)

# what readers said about decisions (workers/act_ports.py); nothing is changed or removed
acts = sa.Table(
    "acts",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("patterns", sa.JSON, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
