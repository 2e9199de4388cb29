"""Releases from shadow mode, acknowledgements and acts of readers: known again after the index was lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from workers.act_ports import Act, ActKind
from workers.config import Settings
from workers.delivery_ports import Acknowledgement, Release, ShadowKind, released_by
from workers.files.facts import FactFolder, KeptFact
from workers.index.acts import open_act_table
from workers.index.deliveries import open_delivery_table
from workers.index.node_index import open_node_index
from workers.index.node_words import ACKNOWLEDGEMENT, ACT, RELEASE, open_node_acts, open_node_deliveries
from workers.settings import StoreSettings

NOW = datetime(2026, 5, 6, 7, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=2))


def later(hours: int) -> datetime:
    return NOW + timedelta(hours=hours)


def moved(hours: int, *, promoted: bool, name: str = "ris", kind: ShadowKind = ShadowKind.DESTINATION) -> Release:
    return Release(name, promoted, "Dr. Größe", "two weeks", later(hours), kind)


def an_act(hours: int, kind: ActKind = ActKind.AGREED, **changes: Any) -> Act:
    return Act("1.2.3", 1, "full", kind, "Dr. A", later(hours).astimezone(BERLIN), ("bithalamic",), **changes)


def settings_of(folder: Path) -> Settings:
    return Settings(store=StoreSettings(state_dir=folder))


def everything(settings: Settings) -> tuple[Any, ...]:
    table, acts = open_node_deliveries(settings), open_node_acts(settings)
    said = table.releases(), table.acknowledged("1.2.3"), [(a.kind, a.by, a.at, a.note) for a in acts.all_acts()]
    table.close()
    acts.close()
    return said


def lose(settings: Settings) -> None:
    for path in settings.store.state_dir.glob("index.db*"):
        path.unlink()


Say = Callable[[Settings], object]


def release(one: Release) -> Say:
    return lambda settings: open_node_deliveries(settings).release(one)


def acknowledge(hours: int) -> Say:
    return lambda settings: open_node_deliveries(settings).acknowledge(Acknowledgement("1.2.3", "RIS", later(hours)))


def act(one: Act) -> Say:
    return lambda settings: open_node_acts(settings).add_act(one)


SAID = [
    pytest.param([], id="noop: nothing was said"),
    pytest.param([release(moved(1, promoted=True))], id="promoted"),
    pytest.param([release(moved(1, promoted=True)), release(moved(2, promoted=False))], id="and taken back"),
    pytest.param([release(moved(1, promoted=True, kind=ShadowKind.PATTERN, name="sulcal"))], id="a pattern"),
    pytest.param([acknowledge(1), acknowledge(2)], id="acknowledged twice"),
    pytest.param([act(an_act(1)), act(an_act(2, ActKind.REJECTED, note="motion, Ω"))], id="what readers said"),
]


@pytest.mark.parametrize("says", SAID)
@pytest.mark.parametrize("lost", [False, True], ids=["noop: the index is there", "the index is lost"])
def test_what_people_said_comes_back(tmp_path: Path, says: list[Say], *, lost: bool) -> None:
    settings = settings_of(tmp_path)
    open_node_index(settings).close()
    for say in says:
        say(settings)
    before = everything(settings)
    if lost:
        lose(settings)
    index = open_node_index(settings)
    assert everything(settings) == before, "already before the scan of the images"
    assert index.restore_facts(now=NOW) == 0
    assert everything(settings) == before
    index.close()


def test_the_last_word_stays_the_last_one(tmp_path: Path) -> None:
    """A stage is taken back while the older word is not there yet."""
    settings = settings_of(tmp_path)
    open_node_index(settings).close()
    kept = FactFolder(tmp_path)
    release(moved(1, promoted=True))(settings)
    [older] = list(kept.all(RELEASE))
    lose(settings)
    (path,) = (tmp_path / "facts").iterdir()
    path.unlink()
    index = open_node_index(settings)
    release(moved(2, promoted=False))(settings)
    kept.put(older)
    assert index.restore_facts(now=NOW) == 1
    table = open_node_deliveries(settings)
    assert [one.promoted for one in table.releases()] == [True, False]
    assert released_by(table.releases()) == frozenset()
    table.close()
    index.close()


def test_rows_of_an_older_program_get_their_files(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    index = open_node_index(settings)
    open_delivery_table(settings.index_url).release(moved(1, promoted=True))
    open_act_table(settings.index_url).add_act(an_act(1))
    before = everything(settings)
    assert index.restore_facts(now=NOW) == 0
    index.close()
    lose(settings)
    open_node_index(settings).close()
    assert everything(settings) == before


def test_a_file_of_an_older_program_does_not_name_what_was_seen(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    open_node_index(settings).close()
    acknowledge(1)(settings)
    kept = FactFolder(tmp_path)
    (fact,) = kept.all(ACKNOWLEDGEMENT)
    kept.put(KeptFact(fact.kind, fact.key, {name: fact.value[name] for name in fact.value if name != "sequence"}))
    lose(settings)
    for _ in range(2):
        open_node_index(settings).close()
        assert everything(settings)[1] == [Acknowledgement("1.2.3", "RIS", later(1))]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty"),
        pytest.param({"at": "yesterday"}, id="no time"),
        pytest.param({"at": NOW.isoformat(), "kind": "agree"}, id="columns are missing"),
    ],
)
def test_a_file_that_says_something_else_costs_only_itself(tmp_path: Path, value: dict[str, Any]) -> None:
    settings = settings_of(tmp_path)
    open_node_index(settings).close()
    act(an_act(1))(settings)
    FactFolder(tmp_path).put(KeptFact(ACT, ("x",), value))
    lose(settings)
    open_node_index(settings).close()
    assert len(everything(settings)[2]) == 1
