"""icansee store: the commands about what a node keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.listener.commands.cli_runner import Icansee
from tests.workers.index import postgres
from tests.workers.index.databases import load_before_revisions
from workers.files.store import SHARED_MARK
from workers.index.migrations import BASELINE, REVISION


@pytest.fixture(scope="module")
def postgres_socket() -> Iterator[str]:
    with postgres.cluster() as folder:
        yield folder


@pytest.fixture
def database(postgres_socket: str) -> str:
    return postgres.empty_database(postgres_socket)


def on_several_hosts(icansee: Icansee, database: str) -> None:
    store = {"state_dir": str(icansee.folder / "own"), "shared_dir": str(icansee.folder / "shared")}
    icansee.configure(store=store, index={"url": database}, queue={"url": "redis://redis:6379/0"})


@pytest.mark.parametrize(
    ("folder", "code", "says"),
    [
        pytest.param(True, 0, "ready", id="marks it"),
        pytest.param(False, 2, "cannot be used", id="is not there"),
    ],
)
def test_store_init_of_a_shared_store(icansee: Icansee, database: str, folder: bool, code: int, says: str) -> None:
    if folder:
        (icansee.folder / "shared").mkdir()
    on_several_hosts(icansee, database)
    answer = icansee("store", "init")
    assert (answer.code, says in answer.out + answer.err) == (code, True)
    assert (icansee.folder / "shared" / SHARED_MARK).exists() == (code == 0)
    if code == 0:
        assert icansee("studies", "--json").out.strip() == "[]"


def test_store_init_on_one_host_creates_the_index(icansee: Icansee) -> None:
    assert icansee("studies").code == 2
    for _ in ("the first time", "again"):
        answer = icansee("store", "init")
        assert (answer.code, answer.out) == (0, "ready: the index\n")
    assert icansee("studies", "--json").out.strip() == "[]"


def test_an_older_shared_index_is_upgraded_only_by_command(icansee: Icansee, database: str) -> None:
    (icansee.folder / "shared").mkdir()
    load_before_revisions(database)
    on_several_hosts(icansee, database)
    answer = icansee("studies")
    assert (answer.code, "icansee store upgrade" in answer.err) == (2, True)
    answer = icansee("store", "upgrade")
    assert (answer.code, answer.err) == (0, "")
    assert f"revision {REVISION}" in answer.out
    assert '"study_instance_uid": "1.2.2"' in icansee("studies", "--json").out


def test_an_older_index_of_one_host_is_upgraded_unasked(icansee: Icansee) -> None:
    load_before_revisions(f"sqlite:///{icansee.folder / 'state' / 'index.db'}")
    assert '"study_instance_uid": "1.2.2"' in icansee("studies", "--json").out
    assert icansee("store", "upgrade").out == f"the index has revision {REVISION}\n"


def test_store_upgrade_says_what_it_did(icansee: Icansee) -> None:
    load_before_revisions(f"sqlite:///{icansee.folder / 'state' / 'index.db'}")
    answer = icansee("store", "upgrade")
    assert f"revision {REVISION}" in answer.out
    assert f"before it had {BASELINE}" in answer.out


def test_store_upgrade_needs_an_index(icansee: Icansee, database: str) -> None:
    answer = icansee("store", "upgrade")
    assert (answer.code, "no node has run" in answer.err) == (2, True)
    icansee.configure(index={"url": database})
    answer = icansee("store", "upgrade")
    assert (answer.code, "icansee store init" in answer.err) == (2, True)
