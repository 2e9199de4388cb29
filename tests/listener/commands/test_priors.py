"""icansee priors, and retry."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.fakes import an_instance
from tests.listener.commands.cli_runner import Icansee
from workers.config import load
from workers.container import open_searches
from workers.index.sql import open_index
from workers.ports import PatientKey
from workers.prior_ports import PriorSearch, PriorSearches, SearchState

NOW = datetime.now(UTC)


@pytest.fixture
def searches(icansee: Icansee) -> PriorSearches:
    """One archive was given up, one has nothing."""
    (icansee.folder / "state").mkdir()
    settings = load(icansee.folder / "config.yaml")
    open_index(settings.index_url).record_instances([an_instance("1.2.3", patient_id="P1")])
    found = open_searches(settings)
    given_up, asked = (
        PriorSearch("1.2.3", name, position, PatientKey("P1"), NOW) for position, name in enumerate(("pacs", "vna"))
    )
    found.plan([given_up, asked])
    found.give_up(given_up, failure="away", answer={}, now=NOW)
    found.finish(asked, SearchState.NOTHING, {"studies": 1}, now=NOW)
    return found


@pytest.mark.parametrize(
    ("words", "code", "waits"),
    [
        pytest.param(("1.2.3",), 0, [True, True], id="a study"),
        pytest.param(("--all",), 0, [True, False], id="all that failed"),
        pytest.param(("1.9",), 2, [False, False], id="a study that was not asked for"),
        pytest.param((), 2, [False, False], id="neither"),
    ],
)
def test_asked_again(
    icansee: Icansee, searches: PriorSearches, words: tuple[str, ...], code: int, waits: list[bool]
) -> None:
    assert icansee("priors", "retry", *words).code == code
    assert [one.state is SearchState.WAITING for one in searches.of_study("1.2.3")] == waits


def test_the_process_needs_something_configured(icansee: Icansee) -> None:
    answer = icansee("priors")
    assert answer.code == 2
    assert "priors.sources" in answer.err
