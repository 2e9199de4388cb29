"""The tables of the index and their engine: a URL in, a ready SQLAlchemy engine out. SQLite (WAL) and PostgreSQL.

The instance files are the record. SQLite therefore runs with ``synchronous=NORMAL``: a power cut may cost the last
rows, never a file, and the scan at start writes the rows again.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from triage.errors import Misconfigured
from workers.index.following import follow, sqlite_path
from workers.index.utc_time import UtcDateTime as UtcDateTime  # noqa: PLC0414 - named from here everywhere

BUSY_PAUSE_S = 0.02
BUSY_TIMEOUT_MS = 15_000  # longest wait for SQLite's single writer before the caller hears Transient
# libpq: a server that does not answer is away after half a minute, not when TCP gives up; the URL may say otherwise
POSTGRESQL_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
AT_ONCE = 500  # values of one IN; SQLite takes 32,766, PostgreSQL 65,535
WRITES = "icansee_writes"  # execution option: this transaction will write

metadata = sa.MetaData()

# read by programs older than the revisions of workers.index.migrations; they refuse a number above 1
schema_version = sa.Table(
    "schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
    sa.Column("series_instance_uid", sa.String(64), nullable=False),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("path", sa.Text, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False, default=""),
    sa.Column("patient_id", sa.Text, nullable=False, default=""),
    sa.Column("issuer", sa.Text, nullable=False, default=""),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.Text, nullable=False, default=""),
    sa.Column("study_date", sa.Date),
    sa.Column("study_time", sa.Text, nullable=False, default=""),
    sa.Column("accession_number", sa.Text, nullable=False, default=""),
    sa.Column("modality", sa.Text, nullable=False, default=""),
    sa.Column("series_description", sa.Text, nullable=False, default=""),
    sa.Column("series_number", sa.Integer),
    sa.Column("images_in_acquisition", sa.Integer),
    sa.Column("frame_count", sa.Integer, nullable=False, default=1),
    sa.Column("batch", sa.Integer),  # see workers.index.image_schema
    sa.Column("patient_name", sa.Text, nullable=False, default="", server_default=sa.text("''")),
)

# one row per series of a study: what series_count counts
series = sa.Table(
    "series",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("series_instance_uid", sa.String(64), primary_key=True),
)

studies = sa.Table(
    "studies",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("patient_id", sa.Text, nullable=False),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.Text, nullable=False),
    sa.Column("study_date", sa.Date),
    sa.Column("study_time", sa.Text, nullable=False),
    sa.Column("accession_number", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("instance_count", sa.Integer, nullable=False),
    sa.Column("series_count", sa.Integer, nullable=False),
    sa.Column("first_received_at", UtcDateTime, nullable=False),
    sa.Column("last_received_at", UtcDateTime, nullable=False, index=True),
    sa.Column("ready_at", UtcDateTime),
    sa.Column("ready_reason", sa.Text),
    sa.Column("due_at", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    # which claim holds the lease: an owner may come back for a later revision or attempt
    sa.Column("lease_revision", sa.Integer),
    sa.Column("lease_attempt", sa.Integer),
    sa.Column("settled_at", UtcDateTime),  # last time an attempt ended: assessed, to be retried or given up
    sa.Column("failure", sa.Text),
    sa.Column("decided_revision", sa.Integer),
    sa.Column("category", sa.Text),
    sa.Column("priority", sa.Text),
    sa.Column("reasons", sa.JSON(none_as_null=True)),  # a list of texts, so that no list of studies needs documents
    # what a list says of the study (triage.report.headline), so that it needs no document
    sa.Column("stage", sa.String(32)),
    sa.Column("decided_at", UtcDateTime),
    sa.Column("finding", sa.Text),
    sa.Column("figure", sa.Text),
    sa.Column("days_after_infusion", sa.Integer),
    sa.Column("baseline_date", sa.Date),
    sa.Column("scanner", sa.Text),
    sa.Column("tissue_ratio", sa.Float),
    sa.Column("before_treatment", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column(
        "patient_name", sa.Text, nullable=False, default="", server_default=sa.text("''")
    ),  # as the first image states it
    # what the images state, when another identity is in force; otherwise null
    sa.Column("stated_patient_id", sa.Text, index=True),
    sa.Column("stated_issuer", sa.Text),
    sa.Column("stated_birth_date", sa.Date),
    sa.Column("stated_sex", sa.Text),
    sa.Index("studies_by_state", "state"),
    sa.Index("studies_by_patient", "patient_id", "issuer"),
    sa.Index("studies_by_accession", "accession_number"),
    # holds all that the worklist groups and sorts by: it is read instead of the rows, which are long
    sa.Index(
        "studies_listed",
        *("priority", "category", "before_treatment", "state", "first_received_at", "decided_at"),
        "study_instance_uid",
    ),
)

assessments = sa.Table(
    "assessments",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stage", sa.String(32), primary_key=True),
    sa.Column("stage_rank", sa.Integer, nullable=False),  # within a revision the higher rank is the newer word
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("superseded", sa.Boolean, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("planned_at", UtcDateTime),  # when its deliveries were planned
    sa.Column("retracted_at", UtcDateTime),
    sa.Index("assessments_by_plan", "planned_at", "created_at"),
)

infusions = sa.Table(
    "infusions",
    metadata,
    sa.Column("patient_id", sa.Text, primary_key=True),
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("said_at", UtcDateTime),  # NULL: of a program that did not record it
    sa.Column("withdrawn_at", UtcDateTime),
    sa.Column("first_said_at", UtcDateTime),  # NULL: it was said once
)

# who is who: merges, splits and corrections in the order in which they were stated (workers.identity_events)
identity_events = sa.Table(
    "identity_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("change", sa.String(16), nullable=False),
    sa.Column("old_id", sa.Text, nullable=False, index=True),
    sa.Column("old_issuer", sa.Text, nullable=False),
    sa.Column("new_id", sa.Text, nullable=False, index=True),
    sa.Column("new_issuer", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("study_instance_uid", sa.String(64), nullable=False),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.Text, nullable=False),
)

# patients of whom something changed that a decision rests on: the beat compares and forgets the mark
reconsider = sa.Table(
    "reconsider",
    metadata,
    sa.Column("patient_id", sa.Text, primary_key=True),
    sa.Column("marked_at", UtcDateTime, nullable=False),
)

# what others said about studies: performed procedure steps, availability notices, answers of the PACS
announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("source", sa.String(16), primary_key=True),
    sa.Column("uid", sa.String(64), primary_key=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("step", sa.String(16), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

announced_series = sa.Table(
    "announced_series",
    metadata,
    sa.Column("source", sa.String(16), primary_key=True),
    sa.Column("uid", sa.String(64), primary_key=True),
    sa.Column("series_instance_uid", sa.String(64), primary_key=True),
    sa.Column("images", sa.Integer, nullable=False),
)

# other content that came under a known SOP Instance UID; the files lie in the conflicts folder
conflicts = sa.Table(
    "conflicts",
    metadata,
    sa.Column("path", sa.String(128), primary_key=True),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("series_instance_uid", sa.String(64), nullable=False),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("patient_id", sa.Text),
    sa.Column("issuer", sa.Text),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.Text),
    sa.Column("same_images", sa.Boolean),
    sa.Column("fills_blank", sa.Boolean),
)

# one row for each output of a decision and its destination; workers/delivery_ports.py says what the columns mean
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("output", sa.String(64), nullable=False),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),  # of the decision within its study
    sa.Column("urgency", sa.Integer, nullable=False),
    sa.Column("shadow", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("failure", sa.Text),
    sa.Column("error_class", sa.String(16)),
    sa.Column("answer", sa.Text),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("planned_at", UtcDateTime, nullable=False),
    sa.Column("done_at", UtcDateTime),
    sa.Column("released_by", sa.Text),  # who let it go that a rule held back, and why
    sa.Column("shadow_of", sa.Text),  # what is in shadow mode, so that it is not sent
    sa.Column("escalates", sa.Boolean, nullable=False, server_default=sa.false()),  # an acknowledgement stops it
    sa.UniqueConstraint("study_instance_uid", "revision", "stage", "output", "destination", name="deliveries_key"),
    sa.Index("deliveries_waiting", "destination", "state", "urgency", "number"),
    sa.Index("deliveries_by_state", "state", "destination", "planned_at"),
)

# whoever gets results: its circuit breaker, and which process serves it
destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("paused_until", UtcDateTime),
    sa.Column("owner", sa.Text),
    sa.Column("owner_until", UtcDateTime),
)

# who took something out of shadow mode, or back into it, and why
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False, server_default="destination"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("promoted", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

# who has acknowledged a study, and when: what was decided by then is escalated no further
acknowledgements = sa.Table(
    "acknowledgements",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("sequence", sa.Integer),  # of the newest decision that was seen; NULL: of an older program
)

# one row for each follow-up without a baseline and each archive that is asked for one
prior_searches = sa.Table(
    "prior_searches",
    metadata,
    sa.Column("study_instance_uid", sa.String(64), primary_key=True),
    sa.Column("source", sa.String(32), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("patient_id", sa.Text, nullable=False),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("leased_by", sa.Text),
    sa.Column("leased_until", UtcDateTime),
    sa.Column("asked_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("failure", sa.Text),
    sa.Column("answer", sa.JSON, nullable=False),
    sa.Column("asked_for", sa.String(32), nullable=False, server_default=sa.text("''")),
    sa.Index("prior_searches_by_due", "state", "due_at"),
)


def open_engine(url: str) -> Engine:
    """An engine that has not connected yet. The tables are the business of workers.index.migrations.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite_engine(parsed)
    else:
        patience = {name: value for name, value in POSTGRESQL_PATIENCE.items() if name not in parsed.query}
        engine = sa.create_engine(parsed, pool_pre_ping=True, pool_size=4, max_overflow=16, connect_args=patience)
    _forget_connections_after_fork(engine)
    return engine


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        # the text of the error would repeat the URL, which may hold a password
        raise Misconfigured(
            "index.url: not a database URL; accepted: sqlite:///FILE, postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise Misconfigured(f"index.url: {backend} is not supported; accepted: sqlite, postgresql")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _sqlite_engine(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
    follow(engine, sqlite_path(url.render_as_string(hide_password=False)), _sqlite_pragmas)
    sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: _sqlite_begin decides how
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        _execute_patiently(cursor, f"PRAGMA {pragma}")
    cursor.close()


def _execute_patiently(cursor: Any, statement: str) -> None:
    """The change to WAL of a new database fails at once, busy_timeout or not, when another process is at it."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once with SQLITE_BUSY when another one wrote in between
    # (busy_timeout does not help there), so writers take the write lock before they read.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _forget_connections_after_fork(engine: Engine) -> None:
    """A forked child (Celery's pool) must not use its parent's connections: two processes would talk on one socket."""
    reference = weakref.ref(engine)

    def forget() -> None:
        alive = reference()
        if alive is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
