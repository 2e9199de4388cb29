"""What is held back, released by page and by API; destinations that the settings do not have any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.fakes import NOON
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from tests.listener.web.test_deliveries import ONE, Node
from tests.listener.web.visible import content, words
from workers.access_ports import Role
from workers.deliveries.other_nodes import delivery_owner
from workers.delivery_ports import PLAN, DeliveryState
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import assessments, open_engine
from workers.settings import StoreSettings

HELD = replace(ONE, state=DeliveryState.HELD, answer="held back: 20 alerts within 24 hours are the budget")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_program_releases_one_and_then_nothing(node: Node) -> None:
    node.deliveries.add([HELD], now=NOON)
    (held,) = node.client.get("/api/deliveries?state=held").json()
    release = f"/api/deliveries/{held['number']}/release"
    assert node.client.post(release, json={"why": "read"}).json() == {"released": [held["number"]]}
    row = node.deliveries.one(held["number"])
    assert row is not None
    assert (row.state, row.released_by) == (DeliveryState.PLANNED, "this machine: read")
    assert node.client.post(release, json={}).status_code == 409
    assert node.client.post("/api/deliveries/99/release", json={}).status_code == 404
    assert node.client.post(release, json={"why": "x" * 501}).status_code == 422


def test_a_program_releases_a_study_and_no_other(node: Node) -> None:
    other = replace(HELD, decided=replace(HELD.decided, study_instance_uid="1.2.4"))
    node.deliveries.add([HELD, replace(HELD, output="sc"), other], now=NOON)
    released = node.client.post("/api/studies/1.2.3/deliveries/release", json={}).json()["released"]
    assert len(released) == 2
    assert [one.decided.study_instance_uid for one in node.deliveries.listed(states=[DeliveryState.HELD])] == ["1.2.4"]
    assert node.client.post("/api/studies/1.2.3/deliveries/release", json={}).status_code == 409


def secured(tmp_path: Path) -> tuple[Secured, SqlDeliveries]:
    engine = open_engine(f"sqlite:///{tmp_path / 'index.db'}")
    migrations.prepare(engine, upgrade=False)
    deliveries = SqlDeliveries(engine)
    site = Secured(tmp_path, deliveries=deliveries)
    store(site.index, StoredStudy("1.2.3"), now=NOON)
    deliveries.add([HELD], now=NOON)
    return site, deliveries


def test_a_reader_releases_a_study_by_its_page(tmp_path: Path) -> None:
    site, deliveries = secured(tmp_path)
    reader = site.signed_in(Role.READER)
    page = reader.page("/studies/1.2.3").text
    assert 'action="/studies/1.2.3/release"' in page
    assert reader.submit("/studies/1.2.3/release", {"why": "looked at it"}).status_code == 303
    (row,) = deliveries.listed()
    assert (row.state, row.released_by) == (DeliveryState.PLANNED, "reader: looked at it")
    assert "/release" not in reader.page("/studies/1.2.3").text
    assert reader.submit("/studies/1.2.3/release", {}).status_code == 409
    assert reader.submit("/operations/release", {"number": str(row.number)}).status_code == 403


def test_an_administrator_releases_by_the_page_of_the_node(tmp_path: Path) -> None:
    site, deliveries = secured(tmp_path)
    administrator = site.signed_in(Role.ADMINISTRATOR)
    (row,) = deliveries.listed()
    said = " ".join(words(content(administrator.page("/operations").text)))
    assert "20 alerts within 24 hours are the budget" in said
    answer = administrator.submit("/operations/release", {"number": str(row.number)})
    assert answer.headers["location"] == f"/operations?released={row.number}"
    assert deliveries.listed()[0].released_by == "administrator"
    for number in ("", "x", "9" * 40, "77"):
        assert administrator.submit("/operations/release", {"number": number}).status_code == 404


def test_the_service_releases_nothing(tmp_path: Path) -> None:
    site, deliveries = secured(tmp_path)
    service = site.signed_in(Role.SERVICE)
    (row,) = deliveries.listed()
    assert service.submit("/operations/release", {"number": str(row.number)}).status_code == 403
    assert service.submit("/studies/1.2.3/release", {}).status_code == 403
    assert "by an administrator" in " ".join(words(content(service.page("/operations").text)))


@pytest.mark.parametrize("state", [DeliveryState.PLANNED, DeliveryState.HELD, DeliveryState.DEAD])
def test_what_waits_for_a_removed_destination_is_a_problem(node: Node, state: DeliveryState) -> None:
    node.deliveries.register(["old"], since=NOON)
    node.deliveries.add([replace(ONE, destination="old", state=state)], now=NOON)
    assert node.complains()
    facts = node.client.get("/healthz").json()["deliveries"]["old"]
    assert (facts["removed"], facts["waiting"] + facts["held"] + facts["dead"]) == (True, 1)
    assert "not in the settings any more" in " ".join(words(content(node.client.get("/operations").text)))
    assert 'icansee_destination_removed{destination="old"} 1.0' in node.client.get("/metrics").text
    node.deliveries.discard([node.deliveries.listed()[0].number], why="gone", now=NOON)
    assert not node.complains()


@pytest.mark.parametrize(
    ("mine", "alone", "bad"),
    [
        pytest.param(False, False, True, id="another node has to plan it, and is away"),
        pytest.param(True, False, False, id="this node had the destination: it was removed"),
        pytest.param(False, True, False, id="a former name of this node, alone with its index"),
    ],
)
def test_what_another_node_has_to_plan(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, mine: bool, alone: bool, bad: bool
) -> None:
    if not alone:
        monkeypatch.setattr("listener.web.health.sqlite_path", lambda _url: None)
        monkeypatch.setattr("listener.web.health.index_note", lambda *_, **__: None)
    node.deliveries.register(["old"], since=NOON)
    owner = delivery_owner(StoreSettings(state_dir=tmp_path)) if mine else "host:/state"
    node.deliveries.hold("old", owner=owner, now=NOON - timedelta(days=1), for_s=60)
    node.deliveries.add([replace(ONE, destination="old", output=PLAN, state=DeliveryState.UNPLANNED)], now=NOON)
    facts = node.client.get("/healthz").json()["deliveries"]["old"]
    assert (facts["removed"], facts["unplanned"]) == (True, 1), "it is listed all the same"
    assert node.complains() is bad


@pytest.mark.parametrize(("age_s", "bad"), [(200, False), (301, True)])
def test_a_decision_that_nobody_plans_is_a_problem(node: Node, age_s: float, *, bad: bool) -> None:
    statement = sa.insert(assessments).values(
        study_instance_uid="1.2.3",
        revision=1,
        stage="full",
        stage_rank=1,
        created_at=NOON,
        superseded=False,
        document={},
    )
    with node.deliveries._engine.begin() as connection:
        connection.execute(statement)
    node.clock.advance(age_s)
    assert node.complains() is bad


def test_noop_what_a_removed_destination_has_is_none(node: Node) -> None:
    node.deliveries.add([replace(ONE, destination="old", state=DeliveryState.DONE)], now=NOON)
    assert not node.complains()
    assert "old" not in node.client.get("/healthz").json()["deliveries"]
