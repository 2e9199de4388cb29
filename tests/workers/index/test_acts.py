"""What every implementation of act_ports.Acts must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from tests.fakes import NOON
from tests.fakes_acts import FakeActs
from workers.act_ports import Act, ActKind, Acts
from workers.delivery_ports import NOTHING_SEEN, Acknowledgement
from workers.index.acts import SqlActs
from workers.index.deliveries import SqlDeliveries

ACT = Act("1.2.3", 2, "full", ActKind.OTHER_CAUSE, "mina", NOON, ("A", "B"), "ünd 'so'")
SEEN = [
    Acknowledgement("1.2.3", "mina", NOON, NOTHING_SEEN),
    Acknowledgement("1.2.4", "RIS", NOON, NOTHING_SEEN),
    Acknowledgement("1.2.3", "omar", NOON, NOTHING_SEEN),
]


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def acts(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Acts:
    if request.param == "fake":
        fake = FakeActs()
        fake.acknowledgements += SEEN
        return fake
    engine = engine_of(request.param)
    for one in SEEN:
        SqlDeliveries(engine).acknowledge(one)
    return SqlActs(engine)


def test_acts_are_kept_in_their_order(acts: Acts) -> None:
    assert (acts.all_acts(), acts.acts_of("1.2.3")) == ([], [])
    other = replace(ACT, study_instance_uid="1.2.4", kind=ActKind.ACCEPTED, patterns=("A",), note="")
    later = replace(ACT, kind=ActKind.AGREED, patterns=())
    for one in (ACT, other, later):
        acts.add_act(one)
    assert acts.all_acts() == [replace(one, number=n) for n, one in enumerate((ACT, other, later), start=1)]
    assert acts.acts_of("1.2.3") == [replace(ACT, number=1), replace(later, number=3)]


def test_the_newest_acknowledgement_of_each_study(acts: Acts) -> None:
    assert acts.acknowledged_among([]) == {}
    assert acts.acknowledged_among(["1.2.3", "9.9", "1.2.4"]) == {"1.2.3": SEEN[2], "1.2.4": SEEN[1]}
    assert acts.acknowledged_among([f"7.{n}" for n in range(1200)]) == {}
