"""A destination whose kind changed between two runs, and what was planned for it before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FULL, TOY, Site
from workers.delivery_ports import Delivery, DeliveryState


@pytest.mark.parametrize(
    ("output", "state"),
    [
        pytest.param("webhook", DeliveryState.DONE, id="no-op: it takes that"),
        pytest.param("retract_webhook", DeliveryState.DONE, id="no-op: and what takes it back"),
        pytest.param("seg", DeliveryState.DEAD, id="an object for an alert"),
        pytest.param("outdated", DeliveryState.DEAD, id="a note for an alert"),
        pytest.param("retract_oru", DeliveryState.DEAD, id="a retraction of another kind"),
    ],
)
def test_what_was_planned_for_another_kind_is_refused_by_name(
    tmp_path: Path, output: str, state: DeliveryState
) -> None:
    """The settings gave the name to a destination of another kind meanwhile."""
    site = Site(tmp_path, alert=True)
    site.parts.outputs["retract_webhook"] = replace(TOY, kind="retract_webhook")  # type: ignore[index]
    site.deliveries.add([Delivery(FULL, output, "pacs", due_at=NOON)], now=site.clock.now())
    site.deliveries.pause("pacs", failures=2, until=None)
    site.step()
    known = site.deliveries.known("pacs")
    assert known is not None
    assert (site.row().state, known.failures) == (state, 0 if state is DeliveryState.DONE else 2)
    assert state is DeliveryState.DONE or "webhook takes no" in str(site.row().failure)
