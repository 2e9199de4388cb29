"""triage.cohort: studies of patients who are not on the roster say that they were not looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED
from tests.workers.studies.test_reconsider import BEFORE, INFUSION, LATE, ME, PRE, History
from triage.model import Basis
from triage.settings import TriageSettings
from workers.studies.cohort import MESSAGE


@pytest.fixture(params=["roster", "all"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    found = History(tmp_path)
    found.engine.first = found.engine.whole = SUSPECTED
    settings = found.settings.model_copy(update={"triage": TriageSettings(cohort=request.param)})
    found.deps = replace(found.deps, settings=settings)
    return found


def only(node: History) -> bool:
    return bool(node.deps.settings.triage.cohort == "roster")


def test_a_study_of_nobody_on_the_roster_says_that_it_was_not_looked_at(node: History) -> None:
    node.come(LATE)
    node.settle()
    decision = node.document("1.7")["decision"]
    if not only(node):
        assert decision["category"] == "neurotoxicity_suspected", "noop: all"
        assert node.index.not_looked_at() == 0
        return
    assert (decision["category"], decision["priority"]) == ("not_assessable", "unchanged")
    assert decision["reasons"] == [f"not_in_cohort: {MESSAGE}"]
    assert node.engine.calls == [], "nothing was measured"
    assert node.index.not_looked_at() == 1
    assert node.results.written, "it is a result like any other"


def test_an_infusion_that_becomes_known_decides_the_studies(node: History) -> None:
    node.come(PRE, LATE)
    node.settle()
    node.infusion(INFUSION)
    node.settle()
    decision = node.document("1.7")["decision"]
    assert decision["category"] == "neurotoxicity_suspected"
    assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
    assert decision["reasons"][0].startswith("assessed again: infusion of 2024-03-04 became known")
    assert node.index.not_looked_at() == 0


def test_an_infusion_that_is_withdrawn_says_what_fell(node: History) -> None:
    node.infusion(INFUSION)
    node.come(LATE)
    node.settle()
    assert node.document("1.7")["decision"]["category"] == "neurotoxicity_suspected"
    node.index.remove_infusion(ME, INFUSION, now=node.clock.now())
    node.settle()
    decision = node.document("1.7")["decision"]
    assert decision["priority"] == "P1"
    assert ("the category falls" in decision["reasons"][0]) is only(node)
