"""What is held back, released by page and by API; destinations that the settings do not have any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from tests.listener.web.test_deliveries import ONE, Node
from tests.listener.web.visible import content, words
from workers.access_ports import Role
from workers.delivery_ports import DeliveryState
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import open_engine

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


def test_noop_what_a_removed_destination_has_is_none(node: Node) -> None:
    node.deliveries.add([replace(ONE, destination="old", state=DeliveryState.DONE)], now=NOON)
    assert not node.complains()
    assert "old" not in node.client.get("/healthz").json()["deliveries"]
