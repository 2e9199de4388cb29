"""Schemas of older and newer programs: upgraded, refused by name, never passed silently."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.listener.web.stored import StoredStudy, store
from tests.patience import PATIENCE_S
from tests.workers.index.databases import load_before_revisions, on_both
from triage.errors import Misconfigured
from triage.infusions import Infusion
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.index import migrations
from workers.index.deliveries import delivery_values
from workers.index.migrations import BASELINE, REVISION, FoundSchema
from workers.index.schema import WRITES, metadata, open_engine
from workers.index.sql import SqlIndex, open_index, upgrade_schema
from workers.ports import PatientKey, StudyState

EMPTY = FoundSchema(None, stamped=False)


def stamps(url: str) -> list[str]:
    with sa.create_engine(url).connect() as connection:
        return list(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())


def drop_newer(connection: sa.Connection, *, than: str) -> None:
    """What the scripts from 0024 on add, as far as they come behind that revision."""
    newer = (
        ("0024", "ALTER TABLE deliveries DROP COLUMN escalates"),
        ("0025", "ALTER TABLE prior_searches DROP COLUMN asked_for"),
        ("0026", "ALTER TABLE assessments DROP COLUMN retracted_at"),
        ("0027", "DROP TABLE fetched_from"),
        ("0028", "ALTER TABLE acknowledgements DROP COLUMN sequence"),
        ("0029", "ALTER TABLE accounts DROP COLUMN keys"),
        ("0029", "ALTER TABLE web_devices RENAME COLUMN seen_at TO known_since"),
        ("0030", "ALTER TABLE infusions DROP COLUMN first_said_at"),
    )
    for revision, statement in newer:
        if revision > than:
            connection.execute(sa.text(statement))


def stamp(url: str, revision: str) -> None:
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def check_contents(index: SqlIndex) -> None:
    """What the older program wrote; see tests/workers/index/before_revisions."""
    found = {
        row.study_instance_uid: (
            row.patient_id,
            row.state,
            row.revision,
            row.instance_count,
            row.category,
            row.priority,
        )
        for row in index.studies()
    }
    assert found == {
        "1.2.1": ("P-1", StudyState.ASSESSED, 1, 2, "no_pattern", "unchanged"),
        "1.2.2": ("P-1", StudyState.ASSESSED, 1, 2, "A", "P1"),
        "1.2.3": ("P'2", StudyState.RECEIVING, 2, 3, "B", "P3"),
        "1.2.4": ("P'2", StudyState.FAILED, 1, 2, None, None),
        "1.2.5": ("P-3", StudyState.RECEIVING, 1, 2, None, None),
    }
    assert {row.study_instance_uid: row.reasons for row in index.studies() if row.reasons} == {
        "1.2.1": ("no baseline: the study is one itself",),
        "1.2.2": ("thalamus left +31 %", "größer & <b>hell</b>", "third"),
        "1.2.3": ("a new lesion",),
    }
    document = index.assessment("1.2.2")
    assert document is not None
    assert document["decision"]["reasons"] == ["thalamus left +31 %", "größer & <b>hell</b>", "third"]
    assert [(one["stage"], one["superseded"]) for one in index.assessments("1.2.2")] == [
        ("first_look", True),
        ("full", False),
    ]
    assert index.infusions() == {
        PatientKey("P'2"): (Infusion(date(2026, 1, 15), source="roster"),),
        PatientKey("P-1"): (Infusion(date(2026, 1, 10), source="roster"),),
    }
    assert index.marked_patients() == {}, "an upgrade decides nothing anew"
    assert [row.size_bytes for row in index.instances("1.2.5")] == [(1 << 33) + 1, (1 << 33) + 2]
    assert index.study_counts(["1.2.5"])["1.2.5"].missing == 2
    assert [row.study_instance_uid for row in index.conflicts()] == ["1.2.5"]


@on_both
def test_a_database_from_before_revisions_is_upgraded_with_all_it_holds(url: str) -> None:
    load_before_revisions(url)
    index = open_index(url, upgrade=True)
    check_contents(index)
    index.add_infusion(PatientKey("P-3"), Infusion(date(2026, 2, 2)), now=datetime.now(UTC))
    index.close()
    assert stamps(url) == [REVISION]
    again = open_index(url)
    assert again.infusions_of(PatientKey("P-3")) == (Infusion(date(2026, 2, 2)),)
    again.close()


@on_both
def test_programs_without_revisions_refuse_what_they_do_not_know(url: str) -> None:
    """They read a number, know 1 and refuse a higher one."""
    load_before_revisions(url)
    open_index(url, upgrade=True).close()
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.text("SELECT max(version) FROM schema_version")).scalar() == 2


@on_both
def test_the_command_upgrades(url: str) -> None:
    load_before_revisions(url)
    assert upgrade_schema(url) == (BASELINE, REVISION)
    assert upgrade_schema(url) == (REVISION, REVISION)
    index = open_index(url)
    check_contents(index)
    index.close()


@on_both
def test_the_command_does_not_create(url: str) -> None:
    with pytest.raises(Misconfigured, match="icansee store init"):
        upgrade_schema(url)


@on_both
def test_threads_upgrade_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_before_revisions(url)
    runs: list[FoundSchema] = []
    really = migrations.run_scripts

    def count(connection: sa.Connection, found: FoundSchema) -> None:
        runs.append(found)
        really(connection, found)

    monkeypatch.setattr(migrations, "run_scripts", count)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda one: open_index(one, upgrade=True), [url] * 6))
    assert runs == [FoundSchema(BASELINE, stamped=False)]
    for index in opened:
        check_contents(index)
        index.close()


_OPEN = """
import sys
from workers.index.sql import open_index
index = open_index(sys.argv[1], upgrade=True)
print(len(index.studies()), "alembic" in sys.modules)
"""


@on_both
def test_processes_upgrade_at_once(url: str) -> None:
    load_before_revisions(url)
    command = [sys.executable, "-c", _OPEN, url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=PATIENCE_S)[0].split()[-2:] for process in running]
    assert [number for number, _ in answers] == ["5"] * 3
    assert stamps(url) == [REVISION]


@on_both
def test_alembic_is_not_imported_unless_there_is_something_to_upgrade(url: str) -> None:
    command = [sys.executable, "-c", _OPEN, url]
    for _ in ("a new database", "one that is up to date"):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        assert done.stdout.split() == ["0", "False"]


@on_both
@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("revision", ["9999", "ae1027a6acf"])
def test_a_newer_schema_is_refused_by_name(url: str, upgrade: bool, revision: str) -> None:
    open_index(url).close()
    stamp(url, revision)
    with pytest.raises(Misconfigured, match=f"revision {revision}, this program knows {REVISION}"):
        open_index(url, upgrade=upgrade)
    with pytest.raises(Misconfigured, match=f"revision {revision}, this program knows {REVISION}"):
        upgrade_schema(url)
    assert stamps(url) == [revision]


@on_both
def test_an_older_schema_is_refused_by_name_when_it_is_not_to_be_upgraded(url: str) -> None:
    open_index(url).close()
    stamp(url, "0000")
    with pytest.raises(Misconfigured, match=f"revision 0000, this program needs {REVISION}.*icansee store upgrade"):
        open_index(url)
    assert stamps(url) == ["0000"]


@on_both
def test_a_failed_upgrade_leaves_the_old_schema_whole(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_before_revisions(url)

    def fail(connection: sa.Connection, _found: FoundSchema) -> None:
        connection.execute(sa.text("ALTER TABLE studies ADD COLUMN half TEXT"))
        connection.execute(sa.text("DELETE FROM infusions"))
        raise RuntimeError("in the middle")

    monkeypatch.setattr(migrations, "run_scripts", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        open_index(url, upgrade=True)
    monkeypatch.undo()
    index = open_index(url, upgrade=True)
    check_contents(index)
    index.close()


@on_both
@pytest.mark.parametrize("start", ["nothing", "before revisions"])
def test_the_scripts_lead_to_the_tables_of_the_program(url: str, start: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    if start == "before revisions":
        load_before_revisions(url)
    engine = open_engine(url)
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        migrations.run_scripts(connection, migrations.look(connection))
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert migrations.look(connection) == FoundSchema(REVISION, stamped=True)
        connection.rollback()
        connection.execute(sa.text("DROP TABLE infusions"))  # the comparison can fail
        assert [difference[0] for difference in compare_metadata(context, metadata)] == ["add_table"]
    engine.dispose()


@on_both
def test_the_scanner_is_filled_in_from_the_documents_and_no_study_counts_as_before_treatment(url: str) -> None:
    index = open_index(url)
    scanner = {"manufacturer": "GE", "model": "SIGNA", "station": "MR2", "field_strength_t": 3.0}
    for uid, series in (("1.1", [{"used_as": "flair", "scanner": scanner}]), ("1.2", [{"used_as": "flair"}])):
        changes = {"series": series, "tissue_ratio": 1.25 if uid == "1.1" else None}
        store(index, StoredStudy(uid, changes=changes), now=datetime(2026, 3, 10, tzinfo=UTC))
    index.close()
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("DROP INDEX studies_listed"))
        connection.execute(sa.text("CREATE INDEX studies_listed ON studies (priority, category)"))
        for name in ("scanner", "tissue_ratio", "before_treatment"):
            connection.execute(sa.text(f"ALTER TABLE studies DROP COLUMN {name}"))
        drop_newer(connection, than="0021")
    stamp(url, "0021")
    upgraded = open_index(url, upgrade=True)
    assert [row.before_treatment for row in upgraded.studies()] == [False, False]
    upgraded.close()
    (listed,) = [
        one for one in sa.inspect(sa.create_engine(url)).get_indexes("studies") if one["name"] == "studies_listed"
    ]
    assert "before_treatment" in listed["column_names"]
    with sa.create_engine(url).connect() as connection:
        found = connection.execute(sa.text("SELECT scanner, tissue_ratio FROM studies ORDER BY study_instance_uid"))
        assert [tuple(row) for row in found] == [("GE SIGNA, MR2, 3 T", 1.25), (None, None)]


# state, output, attempts, due this long after it was planned, answer -> whether it counts as an escalation
OLDER_DELIVERIES = [
    ("planned", "webhook", 0, 600, None, True),
    ("held", "webhook", 0, 600, None, True),
    ("planned", "webhook", 0, -1, None, False),
    ("planned", "webhook", 1, 600, None, False),
    ("planned", "images", 0, 600, None, False),
    ("planned", "retract_webhook", 0, 600, None, False),
    ("discarded", "webhook", 1, -1, "given up: acknowledged by Dr. Ada", True),
    ("discarded", "webhook", 0, 600, "given up: sent by hand", False),
]


@on_both
def test_waiting_and_acknowledged_escalations_are_known_as_such(url: str) -> None:
    open_index(url).close()
    at = datetime(2026, 3, 10, tzinfo=UTC)
    with sa.create_engine(url).begin() as connection:
        for number, (state, output, attempts, after_s, answer, _) in enumerate(OLDER_DELIVERIES):
            decided = Decided("1.2.3", number, "full")
            due = at + timedelta(seconds=after_s)
            one = Delivery(decided, output, "pager", due, attempts=attempts, state=DeliveryState(state), answer=answer)
            connection.execute(sa.insert(metadata.tables["deliveries"]).values(**delivery_values(one, at)))
        drop_newer(connection, than="0023")
    stamp(url, "0023")
    open_index(url, upgrade=True).close()
    with sa.create_engine(url).connect() as connection:
        found = connection.execute(sa.text("SELECT escalates FROM deliveries ORDER BY number")).scalars()
        assert [bool(one) for one in found] == [one[-1] for one in OLDER_DELIVERIES]


@on_both
def test_older_retractions_are_facts_of_their_decisions(url: str) -> None:
    index, at = open_index(url), datetime(2026, 3, 10, tzinfo=UTC)
    outputs = {"1.1": ("sr", None), "1.2": ("retract", None), "1.3": ("sr", "given up: retracted: wrong patient")}
    for uid in outputs:
        store(index, StoredStudy(uid), now=at)
    index.close()
    with sa.create_engine(url).begin() as connection:
        for uid, (output, answer) in outputs.items():
            one = Delivery(Decided(uid, 1, "full"), output, "pacs", at, answer=answer)
            connection.execute(sa.insert(metadata.tables["deliveries"]).values(**delivery_values(one, at)))
        drop_newer(connection, than="0025")
    stamp(url, "0025")
    open_index(url, upgrade=True).close()
    table = metadata.tables["assessments"].c
    with sa.create_engine(url).connect() as connection:
        found = connection.execute(sa.select(table.retracted_at).order_by(table.study_instance_uid)).scalars()
        assert list(found) == [None, at, at]


def test_the_newest_script_is_the_revision_of_the_program() -> None:
    from pathlib import Path

    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(Path(migrations.__file__).parent)
    assert scripts.get_heads() == [REVISION]
    names = [script.revision for script in scripts.walk_revisions()]
    assert names == sorted(names, reverse=True), "the order of the revisions is that of their names"
    assert all(len(name) == 4 and name.isdigit() for name in names)
    assert scripts.get_bases() == [BASELINE]
