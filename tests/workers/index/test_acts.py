"""What every implementation of act_ports.Acts must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.fakes import NOON
from tests.fakes_acts import FakeActs
from tests.listener.web.stored import StoredStudy, store
from workers.act_ports import Act, ActKind, Acts
from workers.delivery_ports import Decided
from workers.index.acts import SqlActs
from workers.index.sql import SqlIndex

ACT = Act("1.2.3", 2, "full", ActKind.OTHER_CAUSE, "mina", NOON, ("A", "B"), "ünd 'so'")


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def acts(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Acts:
    if request.param == "fake":
        return FakeActs()
    return SqlActs(engine_of(request.param))


def test_acts_are_kept_in_their_order(acts: Acts) -> None:
    assert (acts.all_acts(), acts.acts_of("1.2.3")) == ([], [])
    other = replace(ACT, study_instance_uid="1.2.4", kind=ActKind.ACCEPTED, patterns=("A",), note="")
    later = replace(ACT, kind=ActKind.AGREED, patterns=())
    for one in (ACT, other, later):
        acts.add_act(one)
    assert acts.all_acts() == [replace(one, number=n) for n, one in enumerate((ACT, other, later), start=1)]
    assert acts.acts_of("1.2.3") == [replace(ACT, number=1), replace(later, number=3)]


NOT_ASSESSED = StoredStudy("1.2.3", category="not_assessable", priority="unchanged", reasons=("no_flair: x",))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_words_about_decisions_that_could_not_be_assessed(database: str, engine_of: Callable[[str], Engine]) -> None:
    """The fake is told; see tests/fakes_acts.py."""
    engine = engine_of(database)
    index, acts = SqlIndex(engine), SqlActs(engine)
    store(index, NOT_ASSESSED, now=NOON)
    store(index, replace(NOT_ASSESSED, uid="1.2.4"), now=NOON)
    store(index, replace(NOT_ASSESSED, uid="1.2.5", category="no_pattern"), now=NOON)
    revision = index.assessments("1.2.3")[-1]["revision"]
    assert acts.not_assessed() == set(), "noop: nobody said anything"
    for uid, kind in (("1.2.3", ActKind.AGREED), ("1.2.3", ActKind.DISAGREED), ("1.2.5", ActKind.AGREED)):
        acts.add_act(Act(uid, revision, "full", kind, "mina", NOON))
    acts.add_act(Act("1.2.4", revision + 1, "full", ActKind.AGREED, "mina", NOON))
    assert acts.not_assessed() == {Decided("1.2.3", revision, "full")}
