"""What every implementation of act_ports.Acts must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.fakes import NOON
from tests.fakes_acts import FakeActs
from workers.act_ports import Act, ActKind, Acts
from workers.index.acts import SqlActs

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
