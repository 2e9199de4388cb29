"""icansee store: the commands about the stored files."""

from __future__ import annotations

import pytest

from tests.listener.commands.cli_runner import Icansee
from workers.files.store import SHARED_MARK


@pytest.mark.parametrize(
    ("folder", "shared", "code", "says"),
    [
        pytest.param(True, True, 0, "ready", id="marks it"),
        pytest.param(False, True, 2, "cannot be used", id="is not there"),
        pytest.param(True, False, 2, "not set", id="one host"),
    ],
)
def test_store_init(icansee: Icansee, folder: bool, shared: bool, code: int, says: str) -> None:
    if folder:
        (icansee.folder / "shared").mkdir()
    if shared:
        store = {"state_dir": str(icansee.folder / "own"), "shared_dir": str(icansee.folder / "shared")}
        index, queue = {"url": "postgresql+psycopg://icansee@db/icansee"}, {"url": "redis://redis:6379/0"}
        icansee.configure(store=store, index=index, queue=queue)
    answer = icansee("store", "init")
    assert (answer.code, says in answer.out + answer.err) == (code, True)
    assert (icansee.folder / "shared" / SHARED_MARK).exists() == (code == 0)
