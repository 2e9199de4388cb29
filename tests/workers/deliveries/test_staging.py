"""Shadow mode of the site, destinations, scanners, patterns and rules, and its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FULL, TOY, Site
from triage.errors import Misconfigured
from workers.config import parse
from workers.deliveries.escalation import AT_ONCE
from workers.deliveries.plan import PlanFacts, planned
from workers.deliveries.staging import ScannerFacts, shadow_of_patterns, shadow_of_scanner
from workers.delivery_ports import (
    Call,
    Decided,
    Delivery,
    DeliveryState,
    Known,
    Release,
    ShadowKind,
    Unplanned,
    released_by,
)
from workers.result_settings import ScannerStage
from workers.rules.rule import Send

FROM_MR2 = ScannerFacts({"MR2"}, device_serial="77", station="MR-RESEARCH", institution="HOSP")
SCANNERS = [
    pytest.param({"ae_title": "MR2"}, FROM_MR2, True, id="AE title"),
    pytest.param({"device_serial": "77"}, FROM_MR2, True, id="serial"),
    pytest.param({"station": "MR-RESEARCH", "institution": "HOSP"}, FROM_MR2, True, id="both"),
    pytest.param({"station": "MR-RESEARCH", "institution": "OTHER"}, FROM_MR2, False, id="one of two"),
    pytest.param({"device_serial": "77"}, ScannerFacts({"MR2"}), False, id="the images do not say"),
    pytest.param({"ae_title": "MR2"}, ScannerFacts(), False, id="noop"),
]
PATTERNS = [
    pytest.param(["B"], {"B": "present"}, ["pattern B"], id="it alone"),
    pytest.param(["B"], {"A": "present", "B": "present"}, [], id="another carries it"),
    pytest.param(["A", "B"], {"A": "present", "B": "present"}, ["pattern A", "pattern B"], id="both in shadow"),
    pytest.param(["B"], {"A": "absent", "B": "absent"}, [], id="noop"),
    pytest.param(["B"], {"B": "not_assessable"}, [], id="not measured"),
    pytest.param([], {"B": "present"}, [], id="none in shadow"),
]


@pytest.mark.parametrize(("stated", "scanner", "expected"), SCANNERS)
def test_which_scanner(stated: dict[str, Any], scanner: ScannerFacts, *, expected: bool) -> None:
    assert bool(shadow_of_scanner([ScannerStage(name="mr2", **stated)], scanner)) is expected


@pytest.mark.parametrize(("names", "presence", "expected"), PATTERNS)
def test_which_patterns(names: list[str], presence: dict[str, str], expected: list[str]) -> None:
    document = {"findings": [{"pattern": name, "presence": one} for name, one in presence.items()]}
    assert shadow_of_patterns(names, document) == expected


def released(site: Site, kind: ShadowKind, name: str = "", *, promoted: bool = True) -> None:
    at = site.clock.now()
    site.deliveries.release(Release(name, promoted=promoted, by="Dr. Ada", why="two weeks", at=at, kind=kind))


STAGED: list[Any] = [
    pytest.param({"shadow": True}, ShadowKind.SITE, "", "the site", id="site"),
    pytest.param({"own": {"shadow": True}}, ShadowKind.DESTINATION, "pacs", "destination pacs", id="destination"),
    pytest.param(
        {"shadow_scanners": [{"name": "mr2", "station": "MR-RESEARCH"}]}, ShadowKind.SCANNER, "mr2", "scanner mr2",
        id="scanner",
    ),
    pytest.param({"shadow_patterns": ["B"]}, ShadowKind.PATTERN, "B", "pattern B", id="pattern"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "kind", "name", "why"), STAGED)
def test_everything_is_computed_and_nothing_sent_until_it_is_promoted(
    tmp_path: Path, settings: dict[str, Any], kind: ShadowKind, name: str, why: str
) -> None:
    site = Site(tmp_path, **settings)
    document = {"decision": {"priority": "P1"}, "findings": [{"pattern": "B", "presence": "present"}]}
    site.parts = replace(site.parts, document=lambda _decided: document, scanner=lambda _uid: FROM_MR2)
    site.decide()
    site.step()
    row = site.row()
    assert (row.state, row.shadow_of, row.size_bytes) == (DeliveryState.SHADOW, why, 4)
    assert row.answer == f"not sent: shadow mode of {why}"
    assert site.got() == []
    released(site, kind, name)
    site.decide(Decided("1.2.4", 1, "full"))
    site.step()
    assert len(site.got()) == 1
    released(site, kind, name, promoted=False)
    site.decide(Decided("1.2.5", 1, "full"))
    site.step()
    assert len(site.got()) == 1


@pytest.mark.parametrize("own", [True, False], ids=["destination", "site"])
@pytest.mark.parametrize(
    ("output", "state"),
    [
        pytest.param("document", DeliveryState.HELD, id="a result"),
        pytest.param("retract", DeliveryState.DONE, id="no-op: what takes a result back goes"),
    ],
)
def test_what_waits_when_shadow_mode_begins_is_held(
    tmp_path: Path, output: str, state: DeliveryState, *, own: bool
) -> None:
    before = Site(tmp_path)
    before.deliveries.add([Delivery(FULL, output, "pacs", due_at=NOON)], now=before.clock.now())
    site = Site(tmp_path, **({"own": {"shadow": True}} if own else {"shadow": True}))
    site.parts.outputs["retract"] = replace(TOY, kind="retract")  # type: ignore[index]
    site.step()
    assert site.row().state is state
    if state is DeliveryState.HELD:
        assert site.row().answer == (
            f"held back: in shadow mode since this was planned: {'destination pacs' if own else 'the site'}"
        )
        site.deliveries.let_go([site.row().number], by="Ada", now=site.clock.now())
        site.step()
    assert site.got() == ["r1 full"], "a person decides"


def test_what_waits_goes_out_once_it_is_promoted(tmp_path: Path) -> None:
    Site(tmp_path).decide()
    site = Site(tmp_path, shadow=True)
    released(site, ShadowKind.SITE)
    site.step()
    assert site.got() == ["r1 full"]


def test_a_promotion_of_one_kind_releases_no_other_of_the_same_name() -> None:
    records = [Release("B", promoted=True, by="a", why="b", at=NOON, kind=ShadowKind.RULE)]
    assert released_by(records) == {(ShadowKind.RULE, "B")}


def test_a_decision_in_shadow_mode_hides_no_earlier_one_that_waits(tmp_path: Path) -> None:
    """The newer one is not sent, so the receiver still needs the older."""
    site = Site(tmp_path, shadow_patterns=["B"])
    site.decide()
    document = {"decision": {"priority": "P1"}, "findings": [{"pattern": "B", "presence": "present"}]}
    site.parts = replace(site.parts, document=lambda _decided: document)
    site.decide(replace(FULL, revision=2))
    site.step(times=3)
    assert site.got() == ["r1 full"]
    assert {one.state for one in site.deliveries.listed()} == {DeliveryState.DONE, DeliveryState.SHADOW}


def test_a_newer_decision_supersedes_what_waits_in_shadow_mode(tmp_path: Path) -> None:
    site = Site(tmp_path, own={"shadow": True})
    site.decide()
    site.decide(replace(FULL, revision=2))
    assert [one.state.value for one in site.deliveries.listed()] == ["planned", "superseded"]


def test_the_rule_that_would_send_is_named() -> None:
    results = parse(
        {"results": {"destinations": [{"name": "pacs", "kind": "folder", "path": "/x", "outputs": ["sr"]}]}}
    )
    facts = PlanFacts(
        {"pacs": Known("pacs", since=NOON)},
        sends=(),
        would=(Send(("sr",), ("pacs",)),),
        would_rule=lambda destination, output: f"rule {destination} {output}",
    )
    (one,) = planned(Unplanned(FULL, NOON, "P1"), results.results, facts)
    assert (one.shadow, one.shadow_of) == (True, "rule pacs sr")


def test_nobody_was_called_by_what_was_in_shadow_mode() -> None:
    """After the promotion the first real P1 waits for its time as every first one."""
    folder = {"name": "pager", "kind": "folder", "path": "/x", "outputs": ["document"], "escalate_after_s": 600}
    results = parse({"results": {"destinations": [folder]}}).results
    before = Delivery(FULL, "document", "pager", due_at=NOON, shadow=True, state=DeliveryState.SHADOW)
    facts = PlanFacts({"pager": Known("pager", since=NOON)}, earlier={"pager": [Call(before)]})
    (one,) = planned(Unplanned(replace(FULL, revision=2), NOON, "P1"), results, facts)
    assert one.due_at != AT_ONCE
    assert (one.due_at - NOON).total_seconds() == 600


@pytest.mark.parametrize(
    ("results", "said"),
    [
        pytest.param({"shadow_patterns": ["Z"]}, "Z is no pattern; there are A", id="pattern"),
        pytest.param({"shadow_scanners": [{"name": "mr2"}]}, "state one of ae_title", id="scanner of nothing"),
    ],
)
def test_settings_that_name_nothing_are_refused(results: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        parse({"results": results})
