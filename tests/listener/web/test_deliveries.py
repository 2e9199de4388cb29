"""What the page of health, the metrics and the API say about results on their way out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from listener.web.app import create_app
from listener.web.site import Site
from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, FakeClock
from tests.workers.deliveries.test_forwarding import Forwards
from tests.workers.index.index_contract import STUDY, a_row
from workers.config import parse
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.image_ports import ImageBatches
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import open_engine
from workers.outputs.results import ResultFolder

ONE = Delivery(Decided("1.2.3", 1, "full"), "sr", "pacs", due_at=NOON)
PACS = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "10.1.2.3", "outputs": ["sr"]}


class Node:
    def __init__(self, folder: Path, *, destinations: bool = True, images: ImageBatches | None = None) -> None:
        results = {"destinations": [PACS]} if destinations else {}
        settings = parse({"store": {"state_dir": str(folder), "min_free_bytes": 0}, "results": results})
        engine = open_engine(f"sqlite:///{folder / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.deliveries, self.clock = SqlDeliveries(engine), FakeClock()
        self.deliveries.register(["pacs"], since=NOON)
        site = Site(
            settings, InMemoryIndex(), ResultFolder(folder), lambda: "run", now=self.clock.now,
            deliveries=self.deliveries if destinations else None, images=images,
        )  # fmt: skip
        self.client = TestClient(create_app(site), base_url="http://127.0.0.1")

    def complains(self) -> bool:
        return "deliveries" in self.client.get("/healthz").json()["problems"]


def test_noop_nobody_gets_results(tmp_path: Path) -> None:
    node = Node(tmp_path, destinations=False)
    assert not node.complains()
    assert node.client.get("/healthz").json()["deliveries"] == {}
    assert node.client.get("/api/studies/1.2.3/deliveries").json() == []


def test_what_waits_for_long_is_a_problem(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.deliveries.add([ONE], now=NOON)
    assert not node.complains()
    node.clock.advance(301)
    assert node.complains()
    facts = node.client.get("/healthz").json()["deliveries"]
    numbers = {"waiting": 1, "dead": 0, "held": 0, "unplanned": 0, "oldest_s": 301.0}
    assert facts == {"pacs": {**numbers, "paused": False, "removed": False}}


@pytest.mark.parametrize("away", [False, True], ids=["they are planned", "they are not"])
def test_images_without_a_plan_are_a_problem(tmp_path: Path, away: bool) -> None:
    images = Forwards(tmp_path)
    images.receive("flair", 1)
    if away:
        images.index.record_instances([a_row(2, received_at=images.clock.now())])
        images.batches.make_batches(STUDY)
    node = Node(tmp_path, images=images.batches)
    node.clock.advance(304)
    images.deliveries.discard([one.number for one in images.deliveries.listed()], why="known", now=NOON)
    assert node.complains() is away


def test_what_is_dead_is_a_problem_until_it_is_given_up(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.deliveries.add([ONE], now=NOON)
    taken = node.deliveries.take("pacs", owner="me", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    node.deliveries.settle(replace(taken, state=DeliveryState.DEAD, failure="no"), now=NOON)
    node.deliveries.pause("pacs", failures=5, until=NOON + timedelta(seconds=30))
    assert node.complains()
    text = node.client.get("/metrics").text
    assert 'icansee_deliveries_dead{destination="pacs"} 1.0' in text
    assert 'icansee_destination_paused{destination="pacs"} 1.0' in text
    assert 'icansee_up{part="deliveries"} 0.0' in text
    (row,) = node.client.get("/api/studies/1.2.3/deliveries").json()
    assert (row["state"], row["failure"], row["destination"], row["output"]) == ("dead", "no", "pacs", "sr")
    node.deliveries.discard([row["number"]], why="known", now=NOON)
    assert not node.complains()


def test_a_program_retries_what_is_dead_and_nothing_else(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.deliveries.add([ONE], now=NOON)
    taken = node.deliveries.take("pacs", owner="me", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    node.deliveries.settle(replace(taken, state=DeliveryState.DEAD, failure="no"), now=NOON)
    (dead,) = node.client.get("/api/deliveries?state=dead").json()
    assert (dead["failure"], dead["destination"]) == ("no", "pacs")
    retry = f"/api/deliveries/{dead['number']}/retry"
    assert node.client.post(retry).json() == {"number": dead["number"]}
    assert node.client.get("/api/deliveries?state=dead").json() == []
    taken = node.deliveries.take("pacs", owner="me", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    assert node.client.post(retry).status_code == 409, "it waits for nobody any more"
    assert node.client.post("/api/deliveries/99/retry").status_code == 404
    assert node.client.get("/api/deliveries?state=lost").status_code == 422


def test_the_node_as_json(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.deliveries.add([ONE], now=NOON)
    facts = node.client.get("/api/node").json()
    assert facts["today"] == [{"destination": "pacs", "output": "sr", "state": "planned", "number": 1}]
    assert (facts["weeks"], facts["rules"], facts["conflicts"]) == ([], [], 0)
    assert facts["health"]["problems"] == node.client.get("/healthz").json()["problems"]
