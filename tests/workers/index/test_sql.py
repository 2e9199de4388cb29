"""The index over SQLite and PostgreSQL: the contract, and what only real databases can get wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.patience import PATIENCE_S
from tests.workers.index.databases import on_both, on_sqlite
from tests.workers.index.identity_contract import IdentityContract
from tests.workers.index.index_answers import AnswersContract
from tests.workers.index.index_contract import LEASE_S, NOW, STUDY, IndexContract, a_document, a_row, make_ready
from tests.workers.index.object_contract import ObjectContract
from triage.errors import Misconfigured, Transient
from workers.index.migrations import REVISION
from workers.index.sql import SqlIndex, open_index
from workers.ports import InstanceRow, StudyIndex

_CLAIM_PROGRAM = """
import sys
from datetime import datetime
from workers.index.sql import open_index
url, owner, now, *uids = sys.argv[1:]
index = open_index(url)
print("ready", flush=True)
sys.stdin.readline()
won = [uid for uid in uids if index.claim(uid, owner=owner, now=datetime.fromisoformat(now), lease_s=30.0)]
print(" ".join(won), flush=True)
"""


@on_both
class TestSqlIndex(IndexContract, AnswersContract, IdentityContract, ObjectContract):
    @pytest.fixture
    def index(self, url: str) -> Iterator[StudyIndex]:
        opened = open_index(url)
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        pytest.param([0], 0, id="noop: no rows"),
        pytest.param([1, 1, 1], 1, id="one by one"),
        pytest.param(range(1, 65), 7, id="batches of every size: one statement for each power of two"),
    ],
)
@on_sqlite
def test_few_different_statements_are_kept_prepared(index: SqlIndex, sizes: Iterable[int], most: int) -> None:
    seen: set[str] = set()

    @sa.event.listens_for(index._engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "INTO instances" in statement:
            seen.add(statement)

    total = 0
    for size in sizes:
        index.record_instances([a_row(total + number) for number in range(size)])
        total += size
    assert len(seen) == most
    assert sum(study.instance_count for study in index.studies()) == total


@on_both
def test_many_open_an_empty_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_index, [url] * 8))
    for one in opened:
        assert one.studies() == []
        one.close()
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [REVISION]


@on_both
def test_processes_claim_each_study_exactly_once(index: SqlIndex, url: str) -> None:
    uids = [f"1.5.{n}" for n in range(40)]
    index.record_instances([a_row(n, study_instance_uid=uid) for n, uid in enumerate(uids)])
    for uid in uids:
        index.mark_ready(uid, now=NOW, reason="x")
    command = [sys.executable, "-c", _CLAIM_PROGRAM, url]
    workers = [
        subprocess.Popen(
            [*command, f"w{n}", NOW.isoformat(), *uids], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    won: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        for out, _ in pool.map(lambda worker: worker.communicate("go\n", timeout=PATIENCE_S), workers):
            won += out.split()
    assert sorted(won) == sorted(uids)


@on_both
def test_writers_of_one_study_do_not_lose_counts(url: str) -> None:
    def write(part: int) -> None:
        mine = open_index(url)
        for number in range(0, 60, 3):
            mine.record_instances([a_row(60 * part + number + k) for k in range(3)])
        mine.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    row = open_index(url).study(STUDY)
    assert row is not None
    assert (row.instance_count, row.series_count) == (240, 1)


@on_both
def test_only_new_rows_are_reported_as_new(index: SqlIndex) -> None:
    assert index.record_new_instances([]) == []
    assert index.record_new_instances([a_row(1)]) == [a_row(1)]
    assert index.record_new_instances([a_row(1), a_row(2)]) == [a_row(2)]


@on_both
@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        pytest.param("ab/", {"ab/1.dcm": 1001, "ab/2.dcm": 1002}, id="a folder"),
        pytest.param("a", {"ab/1.dcm": 1001, "ab/2.dcm": 1002, "a0/3.dcm": 1003}, id="a letter"),
        pytest.param("zz/", {}, id="nothing"),
    ],
)
def test_paths_under(index: SqlIndex, prefix: str, found: dict[str, int]) -> None:
    rows: list[InstanceRow] = [
        a_row(1, path="ab/1.dcm"),
        a_row(2, path="ab/2.dcm"),
        a_row(3, path="a0/3.dcm"),
        a_row(4, path="b0/4.dcm"),
    ]
    index.record_instances(rows)
    assert index.paths_under(prefix) == found


@on_both
def test_a_forked_child_gets_connections_of_its_own(index: SqlIndex) -> None:
    make_ready(index)
    child = os.fork()
    if child == 0:
        saved = False
        try:
            claim = index.claim(STUDY, owner="child", now=NOW, lease_s=LEASE_S)
            saved = claim is not None and index.save_assessment(claim, stage="full", document=a_document(), now=NOW)
        finally:
            os._exit(0 if saved else 1)  # never go on as a second process of tests
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert index.assessment(STUDY) == a_document()


@on_sqlite
def test_a_locked_database_is_transient(index: SqlIndex, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.index.schema.BUSY_TIMEOUT_MS", 50)
    impatient = open_index(url)
    blocker = sa.create_engine(url, isolation_level=None).raw_connection()
    blocker.cursor().execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="locked"):
        impatient.record_instances([a_row()])
    blocker.cursor().execute("ROLLBACK")
    impatient.record_instances([a_row()])
    assert impatient.study(STUDY) is not None


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        pytest.param("mysql://u:secret@h/d", Misconfigured, "sqlite, postgresql", id="another database"),
        pytest.param("no url with secret", Misconfigured, "not a database URL", id="not a URL"),
        pytest.param("postgresql+psycopg://u:secret@/d?host=/nonexistent", Transient, "index", id="server away"),
    ],
)
def test_urls_that_do_not_work(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        open_index(url)
    assert "secret" not in str(caught.value)
