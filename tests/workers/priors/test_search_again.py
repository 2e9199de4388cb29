"""Which searches are asked again, while their study needs a baseline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.ports import PatientKey
from workers.prior_ports import PriorSearch, SearchState
from workers.priors.search_again import GIVEN_UP_FOR, ask_again

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WANTED = PriorSearch("1.2.3", "pacs", 0, PatientKey("P1"), NOW, asked_for="2025-01-01/2026-01-01")
FOUND, NOTHING, GAVE_UP = SearchState.FOUND, SearchState.NOTHING, SearchState.GAVE_UP


@pytest.mark.parametrize(
    ("changes", "attempts"),
    [
        pytest.param({"state": NOTHING}, None, id="noop: the archive has none"),
        pytest.param({"state": SearchState.WAITING}, None, id="noop: it waits"),
        pytest.param({"state": NOTHING, "patient": PatientKey("NEW")}, 0, id="an emergency ID was merged"),
        pytest.param({"state": NOTHING, "patient": PatientKey("P1", "HOSP")}, 0, id="another issuer"),
        pytest.param({"state": FOUND, "asked_for": "2025-02-01/2026-02-01"}, 0, id="an infusion date came late"),
        pytest.param({"state": NOTHING, "asked_for": ""}, None, id="noop: of an earlier program"),
        pytest.param({"state": FOUND, "attempts": 1}, 1, id="what was found cannot be the baseline"),
        pytest.param({"state": SearchState.NOT_NEEDED, "attempts": 0}, 0, id="nor can what another archive had"),
        pytest.param({"state": FOUND, "attempts": 12}, None, id="its attempts are used up"),
        pytest.param({"state": GAVE_UP, "finished_at": NOW - GIVEN_UP_FOR}, 11, id="given up long ago"),
        pytest.param({"state": GAVE_UP, "finished_at": NOW - timedelta(hours=1)}, None, id="given up just now"),
        pytest.param({"state": GAVE_UP, "finished_at": NOW + timedelta(days=9)}, 11, id="the clock was set back"),
    ],
)
def test_what_is_asked_again(changes: dict[str, Any], attempts: int | None) -> None:
    again = ask_again(replace(WANTED, **changes), WANTED, most=12)
    assert (again and again.attempts) == attempts
    assert again is None or (again.patient, again.asked_for, again.due_at) == (WANTED.patient, WANTED.asked_for, NOW)


def test_a_new_archive_is_planned_by_itself() -> None:
    assert ask_again(None, WANTED, most=12) is None
