"""Rows are kept while nothing was written, and never longer; a page that has them gets no second copy."""

from __future__ import annotations

import threading
from pathlib import Path

from listener.web.kept_rows import MOST_KEPT, KeptRows
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from workers.access_ports import Role


class Counting:
    """Makes rows, and counts how often."""

    def __init__(self) -> None:
        self.version, self.made = 1, 0
        self.kept = KeptRows(lambda: self.version)

    def rows(self, key: object = "/") -> str:
        return self.kept.rows(key, self._make).html

    def _make(self) -> str:
        self.made += 1
        return f"<p>{self.made}</p>"


def test_rows_are_made_once_for_each_version() -> None:
    counting = Counting()
    assert [counting.rows() for _ in range(3)] == ["<p>1</p>"] * 3
    assert counting.rows("/?g=p1") == "<p>2</p>"
    counting.version = 2
    assert counting.rows() == "<p>3</p>"
    assert counting.kept.rows("/", str).tag == counting.kept.rows("/", str).tag


def test_what_changed_meanwhile_is_not_kept() -> None:
    counting = Counting()

    def make() -> str:
        counting.version = 2
        counting.rows("/other")
        return "old"

    assert counting.kept.rows("/", make).html == "old"
    assert counting.rows() != "old"


def test_few_windows_are_kept_and_threads_share_them() -> None:
    counting = Counting()
    threads = [threading.Thread(target=counting.rows, args=(number % 50,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counting.kept._rows) <= MOST_KEPT


def test_a_page_that_has_the_rows_gets_no_second_copy(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    store(secured.index, StoredStudy("1.1"), now=secured.clock.now())
    reader = secured.signed_in(Role.READER)
    first = reader.get("/rows")
    tag = first.headers["etag"]
    assert f'content="{tag.replace(chr(34), "&#34;")}"' in reader.page("/").text
    assert reader.get("/rows", headers={"If-None-Match": tag}).status_code == 304
    store(secured.index, StoredStudy("1.2"), now=secured.clock.now())
    changed = reader.get("/rows", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)
    assert "no-store" in changed.headers["cache-control"]
