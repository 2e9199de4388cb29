"""What an output may name as sent out: what somebody has, and nothing that was only decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, Site
from workers.deliveries.beside import may_have_arrived, what_went_out
from workers.deliveries.errors import DeliveryRejected
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.outputs.beside import SITE_ZONE, WENT_OUT, WentOut, site_zone, went_out, went_out_json
from workers.outputs.output import EvidenceFiles, Output

NEWER = Decided("1.2.3", 2, "full")
DONE = Delivery(FULL, "sr", "pacs", due_at=NOON, state=DeliveryState.DONE, size_bytes=9, attempts=1)


def but(**more: Any) -> Delivery:
    return replace(DONE, **more)


@pytest.mark.parametrize(
    ("found", "report"),
    [
        pytest.param([], None, id="no-op: nothing went out"),
        pytest.param([DONE], (1, "full"), id="it arrived"),
        pytest.param([but(destination="archive")], (1, "full"), id="it arrived elsewhere: an object is one"),
        pytest.param([but(decided=FIRST), DONE], (1, "full"), id="the newest"),
        pytest.param([but(decided=FIRST), but(state=DeliveryState.DEAD)], (1, "first_look"), id="the newest that came"),
        pytest.param([but(state=DeliveryState.SUPERSEDED)], None, id="it gave way to a newer one"),
        pytest.param([but(state=DeliveryState.SHADOW)], None, id="shadow"),
        pytest.param([but(size_bytes=0)], None, id="not measured: the decision has no report"),
        pytest.param([but(output="sc")], None, id="another kind"),
        pytest.param([but(decided=NEWER)], None, id="its own"),
        pytest.param([but(decided=replace(NEWER, revision=3))], None, id="a newer one"),
    ],
)
def test_which_report_comes_before(found: list[Delivery], report: tuple[int, str] | None) -> None:
    assert what_went_out(found, NEWER, "pacs").report == report


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(DONE, True, id="it arrived"),
        pytest.param(but(size_bytes=0), False, id="not measured: there was nothing to send"),
        pytest.param(but(state=DeliveryState.SENDING, size_bytes=None), True, id="on its way"),
        pytest.param(but(state=DeliveryState.DEAD, error_class="transient"), True, id="tried, without an answer"),
        pytest.param(but(state=DeliveryState.DISCARDED, error_class="transient"), True, id="tried, then given up"),
        pytest.param(but(state=DeliveryState.DEAD, error_class="permanent"), False, id="refused"),
        pytest.param(but(state=DeliveryState.DISCARDED, attempts=0), False, id="no-op: never tried"),
        pytest.param(but(state=DeliveryState.SHADOW, shadow=True), False, id="shadow"),
    ],
)
def test_what_a_receiver_may_have(one: Delivery, expected: bool) -> None:
    assert may_have_arrived(one) is expected
    kinds = what_went_out([one], FULL, "pacs").kinds
    assert kinds == ({"sr"} if expected else frozenset())
    assert what_went_out([one], FULL, "archive").kinds == frozenset()
    assert what_went_out([one], FULL, None).kinds is None


@pytest.mark.parametrize("said", [WentOut(), WentOut(frozenset(("sr",)), (1, "full")), WentOut(frozenset())])
def test_what_is_said_is_read_back(said: WentOut) -> None:
    assert went_out({WENT_OUT: went_out_json(said)}) == said
    assert went_out({}) == WentOut()


def telling(_document: Any, evidence: EvidenceFiles) -> bytes:
    said = went_out(evidence)
    return f"{sorted(said.kinds or ())} {said.report} {site_zone(evidence)}".encode()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(None, "['sr'] (1, 'first_look') Europe/Berlin", id="the first look went out"),
        pytest.param(DeliveryRejected("no"), "['sr'] None Europe/Berlin", id="it was refused"),
    ],
)
def test_a_renderer_is_told_what_went_out(tmp_path: Path, fault: Exception | None, said: str) -> None:
    site = Site(tmp_path, own={"outputs": ["sr"]})
    parts = replace(site.parts, outputs={"sr": Output("sr", "sr.dcm", "a/b", telling)}, zone="Europe/Berlin")
    for sender in site.senders.values():
        sender._parts = parts
    site.destinations["pacs"].fault = fault
    site.decide(FIRST)
    site.step()
    site.destinations["pacs"].fault = None
    site.decide(FULL)
    site.step()
    assert site.destinations["pacs"].got[-1][3].decode() == said
    assert SITE_ZONE not in list(parts.evidence(FULL))
