"""Which images go where: as configured, by rules at arrival, by rules of a decision; once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import NOON, FakeClock
from tests.workers.deliveries.delivering import Site
from tests.workers.index.index_contract import STUDY, a_row
from triage.errors import Transient
from workers.config import parse
from workers.deliveries import forwarding
from workers.deliveries.forwarding import Forwarding, forward_decided, forward_new
from workers.deliveries.process import plan_new
from workers.delivery_ports import Decided, DeliveryState, Unplanned
from workers.image_ports import IMAGES
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.image_batches import SqlImageBatches
from workers.index.schema import open_engine
from workers.index.sql import SqlIndex
from workers.ports import InstanceRow
from workers.rules.facts import SeriesHead
from workers.rules.heads import HeadReader
from workers.rules.read import parse_rules
from workers.rules.site import SiteRules, known_of

NODE = {"kind": "dicom", "host": "127.0.0.1", "port": 104}
DESTINATIONS = [
    {**NODE, "name": "pacs", "ae_title": "PACS", "outputs": ["images", "sr"]},
    {**NODE, "name": "research", "ae_title": "RESEARCH", "outputs": ["sr"]},
]
RESULTS = parse({"results": {"destinations": DESTINATIONS}}).results
DOCUMENT: dict[str, Any] = {
    "stage": "full",
    "study": {"study_instance_uid": STUDY, "days_after_infusion": 7},
    "baseline": None,
    "series": [
        {"series_instance_uid": f"{STUDY}.flair", "kind": "flair", "used_as": "flair"},
        {"series_instance_uid": f"{STUDY}.scout", "kind": "localizer", "used_as": None},
    ],
    "findings": [],
    "decision": {"category": "possible", "priority": "P1", "reasons": []},
}


def heads(rows: Sequence[InstanceRow]) -> SeriesHead:
    kind = rows[0].series_instance_uid.rpartition(".")[2]
    return SeriesHead({"StationName": "MR1"}, kind if kind != "scout" else "localizer")


class Forwards:
    """A site with rules, and the images of one study."""

    def __init__(self, folder: Path, rules: str = "", *, since: datetime = NOON, **results: Any) -> None:
        engine = open_engine(f"sqlite:///{folder / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.index, self.batches, self.deliveries = SqlIndex(engine), SqlImageBatches(engine), SqlDeliveries(engine)
        self.clock = FakeClock()
        owner, own = results.pop("owner", "node"), results.pop("own", None)
        all_of_them = [{**one, "outputs": ["images"]} for one in DESTINATIONS] if own else DESTINATIONS
        mine = [one for one in all_of_them if own is None or one["name"] in own]
        wanted = parse({"results": {"destinations": mine, **results}}).results
        self.deliveries.register([one.name for one in wanted.destinations], since=since)
        found = parse_rules(rules.encode(), known_of(wanted), source="rules.yaml")
        self.site = SiteRules(
            found,
            self.index,
            self.clock.now,
            head=heads,
            tags=lambda uid: [one.tag for one in self.batches.tags([uid]).get(uid, [])],
        )
        asked = self.site.asked_at_arrival if rules else None
        self.parts = Forwarding(self.batches, self.deliveries, self.index, self.clock, wanted, asked, owner=owner)

    def receive(self, series: str, *numbers: int, **changes: Any) -> None:
        changes = {"series_instance_uid": f"{STUDY}.{series}", "received_at": self.clock.now(), **changes}
        self.index.record_instances([a_row(number, **changes) for number in numbers])
        self.clock.advance(3)
        forward_new(self.parts)

    def decide(self, document: dict[str, Any] = DOCUMENT) -> None:
        decision = Unplanned(Decided(STUDY, 1, "full"), self.clock.now(), "P1")
        known = {one.name: one for one in self.deliveries.all_known()}
        forward_decided(self.parts, decision, document, self.site.asked(document), known)

    def planned(self) -> set[tuple[str, str]]:
        """(destination, last digit of an image), without what is shadow."""
        found: list[tuple[str, str]] = []
        for one in self.deliveries.listed(shadow=False):
            if one.state is DeliveryState.UNPLANNED:
                continue
            assert (one.output, one.decided.stage) == (IMAGES, "arrival")
            rows = self.batches.batch_images(STUDY, one.decided.revision)
            found += [(one.destination, row.sop_instance_uid.rpartition(".")[2]) for row in rows]
        assert len(found) == len(set(found)), "an image is planned twice for a destination"
        return set(found)


AT_ONCE = """
rules:
  - {name: flair, at: arrival, when: '"flair" in kinds', forward: [{images: series, to: [research]}]}
"""
STUDIES = AT_ONCE.replace("images: series", "images: study")
TO_PACS = {("pacs", "1"), ("pacs", "2"), ("pacs", "3")}
TO_RESEARCH = {("research", "1"), ("research", "2"), ("research", "3")}
ARRIVALS = [
    pytest.param("", TO_PACS, id="no rules: as configured"),
    pytest.param("unmatched: forward", TO_PACS, id="nothing fits, forward"),
    pytest.param("unmatched: keep", set(), id="nothing fits, keep"),
    pytest.param("unmatched: {images: keep}", set(), id="nothing fits, keep images"),
    pytest.param("unmatched: {results: keep}", TO_PACS, id="nothing fits, keep results only"),
    pytest.param(AT_ONCE, {("pacs", "1"), ("pacs", "3"), ("research", "2")}, id="one series"),
    pytest.param(STUDIES, {("pacs", "1"), ("pacs", "3"), *TO_RESEARCH}, id="the study of a series"),
    pytest.param(f"unmatched: keep{STUDIES}", TO_RESEARCH, id="the study, nothing else"),
    pytest.param(
        "rules: [{name: no scouts, at: arrival, when: '\"localizer\" in kinds', drop: true}]",
        {("pacs", "2")},
        id="dropped",
    ),
    pytest.param(
        f"{AT_ONCE}    shadow: true".replace("}\n    shadow", ", shadow").replace(", shadow: true", ", shadow: true}"),
        TO_PACS,
        id="shadow",
    ),
    pytest.param(
        "unmatched: keep\nrules: [{name: a, at: arrival, when: 'senders[5] == \"\"', drop: true}]",
        TO_PACS,
        id="a rule without a value keeps nothing back",
    ),
    pytest.param(
        "match: all\nrules:\n"
        "- {name: a, at: arrival, when: 'true', tag: [seen]}\n"
        "- {name: b, at: arrival, when: '\"seen\" in tags', forward: [{images: series, to: [research]}]}\n"
        "- {name: c, at: arrival, when: 'dicom.StationName == \"MR1\"', forward: [{images: series, to: [pacs]}]}",
        TO_PACS | TO_RESEARCH,
        id="all, and tags",
    ),
    pytest.param("rules: [{name: a, at: decision, when: 'true', drop: true}]", TO_PACS, id="not its moment"),
]


@pytest.mark.parametrize(("rules", "expected"), ARRIVALS)
def test_at_arrival(tmp_path: Path, rules: str, expected: set[tuple[str, str]]) -> None:
    site = Forwards(tmp_path, rules)
    site.receive("scout", 1)
    site.receive("flair", 2)
    site.receive("scout", 3)
    assert site.planned() == expected


FURTHER = """
unmatched: keep
rules:
  - {name: a, at: arrival, when: '"flair" in kinds', forward: [{images: series, to: [pacs]}]}
  - {name: b, when: 'priority == "P1" && "late" in tags', forward: [{images: SCOPE, to: [pacs, research]}]}
  - {name: c, at: arrival, when: 'true', tag: [late]}
"""
DECIDED = [
    pytest.param("study", {("pacs", "1"), ("pacs", "2"), ("research", "1"), ("research", "2")}, id="study"),
    pytest.param("series", {("pacs", "2"), ("research", "2")}, id="series that it rests on"),
]


@pytest.mark.parametrize(("scope", "expected"), DECIDED)
def test_a_decision_sends_images_further_and_none_twice(
    tmp_path: Path, scope: str, expected: set[tuple[str, str]]
) -> None:
    site = Forwards(tmp_path, FURTHER.replace("SCOPE", scope))
    site.receive("scout", 1)
    site.receive("flair", 2)
    assert site.planned() == {("pacs", "2")}
    for _ in range(2):
        site.decide()
        assert site.planned() == expected
    assert [(one.tag, one.rule) for one in site.batches.tags([STUDY])[STUDY]] == [("late", "c")]


KEEP = "unmatched: keep\nrules: [{name: a, at: arrival, when: 'WHEN', drop: true}]"
UNREAD = [
    pytest.param(KEEP.replace("WHEN", 'sex == "F"'), 0, set(), id="no-op: no rule needs it"),
    pytest.param(KEEP.replace("WHEN", '"flair" in kinds'), 10, set(), id="it may come back"),
    pytest.param(KEEP.replace("WHEN", '"flair" in kinds'), 40, {("pacs", "1")}, id="kind: as configured"),
    pytest.param(KEEP.replace("WHEN", 'dicom.Modality == ""'), 40, {("pacs", "1")}, id="header: as configured"),
    pytest.param(KEEP.replace("WHEN", 'images > 0 || dicom.Modality == ""'), 40, set(), id="it decides without"),
]


@pytest.mark.parametrize(("rules", "after_s", "expected"), UNREAD)
def test_a_header_that_cannot_be_read_keeps_no_image_back(
    tmp_path: Path, rules: str, after_s: int, expected: set[tuple[str, str]]
) -> None:
    site = Forwards(tmp_path, rules)
    (tmp_path / "bad.dcm").symlink_to("/proc/self/mem")  # it can be opened and not be read, as on a bad sector
    reader = HeadReader(lambda _row: tmp_path / "bad.dcm", seconds=site.clock.elapsed_s)
    site.parts = replace(site.parts, asked=replace(site.site, head=reader.of).asked_at_arrival)
    site.receive("flair", 1)
    for _ in range(0, after_s, 5):
        site.clock.advance(5)
        forward_new(site.parts)
    assert site.planned() == expected
    assert (site.batches.oldest_without_plan() is None) is (after_s != 10)


def test_a_study_whose_images_cannot_be_planned_waits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "AT_ONCE", 3)
    site = Forwards(tmp_path)

    def asked(_row: object, rows: Sequence[InstanceRow], _tags: object) -> Any:
        if rows[0].study_instance_uid.startswith("1.1"):
            raise Transient("away")

    site.parts = replace(site.parts, asked=asked)
    for number in range(10, 15):
        site.receive("flair", number, study_instance_uid=f"1.1.{number}")
    site.receive("flair", 1)
    for _ in range(3):
        forward_new(site.parts)
    assert site.planned() == {("pacs", "1")}
    assert not site.deliveries.delivered("1.1.10", 1), "retention keeps them"


def test_nothing_goes_back_to_its_sender(tmp_path: Path) -> None:
    site = Forwards(tmp_path, "rules: []")
    site.receive("flair", 1, calling_ae="PACS")
    assert site.planned() == set()
    site.receive("scout", 2, calling_ae="MR1")
    assert site.planned() == {("pacs", "2")}


def test_what_came_before_a_destination_stays(tmp_path: Path) -> None:
    site = Forwards(tmp_path, since=NOON + timedelta(seconds=2))
    site.receive("flair", 1)
    assert site.planned() == set()
    site.receive("flair", 2)
    assert site.planned() == {("pacs", "2")}


def test_shadow_mode_of_the_site_plans_and_sends_nothing(tmp_path: Path) -> None:
    site = Forwards(tmp_path, shadow=True)
    site.receive("flair", 1)
    assert (site.planned(), len(site.deliveries.listed(shadow=True))) == (set(), 1)


def test_a_fault_of_the_rules_keeps_no_image_back(tmp_path: Path) -> None:
    site = Forwards(tmp_path)

    def fault(*_args: object) -> Any:
        raise RuntimeError("a fault")

    site.parts = replace(site.parts, asked=fault)
    site.receive("flair", 1)
    assert site.planned() == {("pacs", "1")}


FURTHER_SERIES = """
unmatched: keep
rules:
  - {name: b, when: 'priority == "P1" && "flair" in kinds', forward: [{images: series, to: [research]}]}
"""
USED = {"kind": "flair", "used_as": "flair"}
MEANT = [
    pytest.param(
        [{**USED, "series_instance_uid": f"{STUDY}.a", "objects": 2}], None, {"1", "2"}, id="no-op: an ordinary series"
    ),
    pytest.param(
        [{**USED, "series_instance_uid": f"{STUDY}.a", "objects": 2, "used_as": None}], None, set(), id="one ignored"
    ),
    pytest.param(
        [{**USED, "series_instance_uid": f"{STUDY}.a.2", "objects": 1}],
        [f"{STUDY}.a"],
        {"1", "2"},
        id="a part of a split series",
    ),
    pytest.param(
        [{**USED, "series_instance_uid": f"{STUDY}.c", "objects": 2}],
        [f"{STUDY}.c", f"{STUDY}.d"],
        {"3", "4"},
        id="a joined series",
    ),
    pytest.param(
        [{**USED, "series_instance_uid": f"{STUDY}.c", "objects": 2}], (), {"3"}, id="not measured: nobody knows"
    ),
]


@pytest.mark.parametrize(("series", "meant", "expected"), MEANT)
def test_the_series_that_a_decision_rests_on(
    tmp_path: Path, series: list[dict[str, Any]], meant: Sequence[str] | None, expected: set[str]
) -> None:
    """No image states the UID of a part; slices with a UID each are one series of the document."""
    site = Forwards(tmp_path, FURTHER_SERIES)
    site.receive("a", 1, 2)
    site.receive("c", 3)
    site.receive("d", 4)
    site.parts = replace(site.parts, meant=lambda _decided: meant)
    assert site.planned() == set()
    site.decide(DOCUMENT | {"series": series})
    assert site.planned() == {("research", number) for number in expected}


def test_a_decision_whose_images_are_not_known_yet_waits_alone(tmp_path: Path) -> None:
    """Another one is planned meanwhile."""
    images, site = Forwards(tmp_path, FURTHER_SERIES), Site(tmp_path)
    images.receive("c", 3)
    written: list[str] = []
    joined = DOCUMENT | {"series": [{**USED, "series_instance_uid": f"{STUDY}.c", "objects": 2}]}
    images.parts = replace(images.parts, meant=lambda _decided: written or None)
    site.parts = replace(
        site.parts,
        forwarding=images.parts,
        document=lambda decided: joined if decided.study_instance_uid == STUDY else DOCUMENT | {"series": []},
    )
    site.decide(Decided(STUDY, 1, "full"))
    site.decide(Decided("1.9", 1, "full"))
    assert [one.decided.study_instance_uid for one in site.deliveries.listed()] == ["1.9"]
    written.append(f"{STUDY}.c")
    site.clock.advance(1)
    plan_new(site.parts)
    assert {one.decided.study_instance_uid for one in site.deliveries.listed()} == {"1.9", STUDY}
