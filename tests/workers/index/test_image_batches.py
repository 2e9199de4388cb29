"""Images that came together, and tags, in both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.engine import Engine

from listener.web.worklist import open_worklist, remarks
from tests.workers.index.index_contract import NOW, STUDY, a_row, later
from workers.delivery_ports import Delivery, DeliveryState
from workers.image_ports import IMAGES, ImageBatch, Tag
from workers.index.deliveries import SqlDeliveries
from workers.index.image_batches import SqlImageBatches
from workers.index.sql import SqlIndex
from workers.studies.tag_notes import tagged

LONG_AGO = later(-100)
BACKENDS = ["sqlite", "postgresql"]


class Tables:
    def __init__(self, engine: Engine) -> None:
        self.index, self.images, self.deliveries = SqlIndex(engine), SqlImageBatches(engine), SqlDeliveries(engine)

    def receive(self, *numbers: int, series: str = "a", at: datetime = NOW) -> None:
        rows = [a_row(number, series_instance_uid=f"{STUDY}.{series}", received_at=at) for number in numbers]
        self.index.record_instances(rows)

    def ripe(self, *, quiet_since: datetime = NOW, older_than: datetime = LONG_AGO) -> list[str]:
        return self.images.to_batch(quiet_since=quiet_since, older_than=older_than, now=later(60))


@pytest.fixture(params=BACKENDS)
def tables(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Tables:
    return Tables(engine_of(request.param))


def test_one_batch_for_each_series_and_what_comes_later_is_another(tables: Tables) -> None:
    assert tables.ripe() == []
    tables.receive(1, 2)
    tables.receive(3, series="b")
    assert tables.ripe() == [STUDY]
    assert tables.images.make_batches(STUDY) == 2
    assert (tables.ripe(), tables.images.make_batches(STUDY)) == ([], 0)
    tables.receive(1, 4)  # the first is known already
    assert tables.images.make_batches(STUDY) == 1
    found = tables.images.batches(STUDY)
    assert [(one.number, one.series_instance_uid[-1], one.images, one.planned) for one in found] == [
        (1, "a", 2, False),
        (2, "b", 1, False),
        (3, "a", 1, False),
    ]
    assert found[0].received_at == NOW
    uids = [[row.sop_instance_uid[-1] for row in tables.images.batch_images(STUDY, number)] for number in (1, 2, 3)]
    assert uids == [["1", "2"], ["3"], ["4"]]


def test_when_images_are_a_batch(tables: Tables) -> None:
    tables.receive(1, at=NOW)
    tables.receive(2, at=later(50))
    assert tables.ripe(quiet_since=later(49)) == []
    assert tables.ripe(quiet_since=later(50)) == [STUDY]
    assert tables.ripe(quiet_since=later(49), older_than=NOW) == [STUDY], "it comes slowly"
    tables.receive(3, at=later(5000))
    assert tables.ripe(quiet_since=later(49)) == [STUDY], "the clock was set back"


def an_images_delivery(batch: ImageBatch, to: str = "pacs", *, shadow: bool = False) -> Delivery:
    return Delivery(batch.key, IMAGES, to, due_at=NOW, shadow=shadow)


def test_a_batch_goes_to_a_destination_once(tables: Tables) -> None:
    tables.receive(1)
    tables.images.make_batches(STUDY)
    assert tables.images.without_plan(limit=5) == [STUDY]
    (batch,) = tables.images.batches(STUDY)
    for _ in range(2):
        tables.images.plan_images([batch], [an_images_delivery(batch), an_images_delivery(batch, "archive")], now=NOW)
    assert tables.images.without_plan(limit=5) == []
    assert tables.images.batches(STUDY) == [replace(batch, planned=True)]
    rows = tables.deliveries.listed()
    assert sorted(one.destination for one in rows) == ["archive", "pacs"]


def test_what_was_only_shadow_is_sent_when_it_really_shall_be(tables: Tables) -> None:
    tables.receive(1)
    tables.images.make_batches(STUDY)
    (batch,) = tables.images.batches(STUDY)
    for shadow in (True, False, True):
        tables.images.plan_images([batch], [an_images_delivery(batch, shadow=shadow)], now=NOW)
    (row,) = tables.deliveries.listed()
    assert (row.shadow, row.state) == (False, DeliveryState.PLANNED)


def test_images_give_way_to_no_decision(tables: Tables) -> None:
    tables.receive(1)
    tables.images.make_batches(STUDY)
    (batch,) = tables.images.batches(STUDY)
    tables.images.plan_images([batch], [an_images_delivery(batch)], now=NOW)
    newer = replace(batch.key, revision=9, stage="full")
    tables.deliveries.plan(newer, [Delivery(newer, "sr", "pacs", due_at=NOW)], now=NOW)
    assert {one.output: one.state for one in tables.deliveries.listed()} == {
        "images": DeliveryState.PLANNED,
        "sr": DeliveryState.PLANNED,
    }


def test_what_is_held_waits_until_it_is_let_go(tables: Tables) -> None:
    decided = replace(ImageBatch(STUDY, 1, "", 1, NOW).key, stage="full")
    held = Delivery(decided, "sr", "pacs", due_at=NOW, state=DeliveryState.HELD)
    tables.deliveries.register(["pacs"], since=NOW)
    tables.deliveries.plan(decided, [held], now=NOW)
    assert tables.deliveries.take("pacs", owner="a", now=later(9), for_s=9, longest_s=9) is None
    (row,) = tables.deliveries.listed()
    assert tables.deliveries.let_go([row.number], by="Dr. Who: seen", now=later(9)) == 1
    assert tables.deliveries.let_go([row.number], by="again", now=later(9)) == 0
    taken = tables.deliveries.take("pacs", owner="a", now=later(9), for_s=9, longest_s=9)
    assert taken is not None
    assert (taken.number, taken.released_by) == (row.number, "Dr. Who: seen")


def test_tags(tables: Tables) -> None:
    first, second = Tag(STUDY, "urgent", "one", NOW), Tag(STUDY, "car-t", "two", later(1))
    tables.images.put_tags([first])
    tables.images.put_tags([second, Tag(STUDY, "urgent", "three", later(2))])
    tables.images.put_tags([])
    assert tables.images.tags([STUDY, "9.9"]) == {STUDY: [first, second]}
    assert tables.images.tags([]) == {}


def test_what_a_document_and_a_list_say_of_tags(tables: Tables) -> None:
    tables.receive(1)
    (entry,) = open_worklist(tables.index, now=NOW, images=tables.images)
    assert (entry["tags"], tagged({"stage": "full"}, tables.images, STUDY)) == ([], {"stage": "full"})
    tables.images.put_tags([Tag(STUDY, "urgent", "one", NOW)])
    (entry,) = open_worklist(tables.index, now=NOW, images=tables.images)
    assert (entry["tags"], remarks(entry)) == (["urgent"], ["tags: urgent"])
    document = tagged({"stage": "full"}, tables.images, STUDY)
    assert document["tags"] == [{"tag": "urgent", "rule": "one", "at": NOW.isoformat()}]
    assert tagged({"stage": "full"}, None, STUDY) == {"stage": "full"}
