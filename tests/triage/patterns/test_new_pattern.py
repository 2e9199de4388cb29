"""A pattern that is one file and one line goes through settings, detection, decision, course, document and page."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from listener.web import pages
from tests.builders import a_measurement, a_study
from tests.triage.patterns.cerebellar_rise import CEREBELLAR_RISE, CerebellarRiseLimits
from triage.detection import before_infusion, detect, detect_alone, diffusion_only, indeterminate
from triage.draft import Context, Draft
from triage.judging import judge_again
from triage.model import BaselineChoice, Presence, Priority, ProtocolMatch, SequenceKind, Stage, StudyImages
from triage.patterns.all import PATTERNS
from triage.report.contents import Assessment, JudgedFrom
from triage.report.document import to_document
from triage.report.evolution import EvolutionLimits, evolution, visit_of
from triage.report.stored import from_document
from triage.settings import TriageSettings, limits_of, settings_with

WITH_TOY = (*PATTERNS, CEREBELLAR_RISE)  # the line that triage/patterns/all.py would get
SettingsWithToy: Any = settings_with(WITH_TOY)
SETTINGS = SettingsWithToy()
INFUSION = date(2026, 3, 1)
BASELINE = BaselineChoice("1.2.1", date(2026, 2, 20), "latest before the infusion")
PREPARED: Any = SimpleNamespace(study_instance_uid="1.2.1")


def assessed(day: int, rise: float, *earlier: dict[str, Any], settings: Any = SETTINGS) -> Assessment:
    """A follow-up ``day`` days after the infusion whose cerebellum rose by ``rise`` percent."""
    measured = (a_measurement("cerebellum", rise),)
    study = a_study(SequenceKind.FLAIR, uid=f"1.{100 + day}", day=INFUSION + timedelta(days=day))
    draft = Draft(
        StudyImages(study, {}, {}),
        Context(INFUSION, BASELINE, {"icansee": "test"}, earlier),
        Stage.FULL,
        measurements=measured,
        findings=detect(measured, ProtocolMatch.SAME, settings, WITH_TOY),
        judged_from=JudgedFrom.COMPARISON,
        protocol=ProtocolMatch.SAME,
        patterns=WITH_TOY,
    )
    return draft.finish({}, PREPARED, settings)


# -- settings --------------------------------------------------------------------------------------


def test_its_limits_are_a_section_of_the_settings() -> None:
    adapter = TypeAdapter(SettingsWithToy)
    found = adapter.validate_python({"cerebellar_rise": {"rise": 9.0}, "bithalamic": {"thalami_same": 7.0}})
    assert limits_of(found, WITH_TOY)[CEREBELLAR_RISE] == CerebellarRiseLimits(rise=9.0)
    assert found.bithalamic.thalami_same == 7.0
    with pytest.raises(ValidationError, match=r"cerebellar_rise\.zz"):
        adapter.validate_python({"cerebellar_rise": {"zz": 9.0}})


def test_its_limits_are_in_what_the_digest_covers() -> None:
    adapter = TypeAdapter(SettingsWithToy)
    other = replace(SETTINGS, cerebellar_rise=CerebellarRiseLimits(rise=9.0))
    assert adapter.dump_python(SETTINGS)["cerebellar_rise"] == {"rise": 6.0, "alone": 20.0}
    assert adapter.dump_python(SETTINGS) != adapter.dump_python(other)


def test_every_pattern_of_the_program_has_its_section() -> None:
    common = {field.name for field in fields(settings_with(()))}
    assert {field.name for field in fields(TriageSettings)} - common == {pattern.key for pattern in PATTERNS}


def test_settings_without_its_section_are_refused() -> None:
    with pytest.raises(AttributeError, match="cerebellar_rise"):
        CEREBELLAR_RISE.limits_in(TriageSettings())
    with pytest.raises(TypeError, match=r"triage\.bithalamic is BithalamicLimits, not CerebellarRiseLimits"):
        replace(CEREBELLAR_RISE, key="bithalamic").limits_in(SETTINGS)


# -- detection and decision ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rise", "limit", "presence", "priority"),
    [
        pytest.param(8.0, 6.0, Presence.PRESENT, Priority.P1, id="by its own rule"),
        pytest.param(8.0, 9.0, Presence.ABSENT, Priority.UNCHANGED, id="below its limit"),
    ],
)
def test_it_decides_by_its_own_limits_and_rule(
    rise: float, limit: float, presence: Presence, priority: Priority
) -> None:
    settings = replace(SETTINGS, cerebellar_rise=CerebellarRiseLimits(rise=limit))
    assessment = assessed(7, rise, settings=settings)
    assert [f.pattern for f in assessment.findings] == [pattern.name for pattern in WITH_TOY]
    assert assessment.findings[-1].presence is presence
    assert assessment.decision.priority is priority


def test_without_a_baseline_a_flair_or_an_infusion() -> None:
    measured = (a_measurement("cerebellum", 25.0, "flair_excess_percent"),)
    alone = detect_alone(measured, SETTINGS, WITH_TOY)
    assert alone[-1].presence is Presence.PRESENT
    assert before_infusion(alone, WITH_TOY)[-1].presence is Presence.INDETERMINATE, "it belongs to the baseline"
    for findings in (indeterminate("cut", WITH_TOY), diffusion_only(measured, "cut", SETTINGS, WITH_TOY)):
        assert findings[-1].explanation == "cerebellar FLAIR rise: cut"


# -- document, course and page ---------------------------------------------------------------------


def test_it_is_in_the_document_and_on_the_page() -> None:
    before = to_document(assessed(3, 8.0))
    document = to_document(assessed(7, 14.0, before))
    course = {c["pattern"]: (c["state"], c["since"]) for c in document["evolution"]["patterns"]}
    assert course == {"Z": ("worse", "2026-03-04")}
    assert [(t["region"], len(t["points"])) for t in document["evolution"]["trend"]] == [("cerebellum", 2)]
    assert document["evolution"]["later_loss"]["pattern"] == "Z"
    assert to_document(from_document(document)) == document
    page = pages.study(document, has_picture=False)
    for words in ("pattern Z suspected", "cerebellar FLAIR rise: +14.0 %", "Priority P1", "worse", "not looked for"):
        assert words in page


def test_its_stored_figures_are_judged_again() -> None:
    stored = from_document(to_document(assessed(7, 8.0)))
    assert judge_again(stored, SETTINGS, WITH_TOY) == (stored.findings, stored.decision)
    higher = replace(SETTINGS, cerebellar_rise=CerebellarRiseLimits(rise=9.0))
    findings, decision = judge_again(stored, higher, WITH_TOY)
    assert (findings[-1].presence, decision.priority) == (Presence.ABSENT, Priority.UNCHANGED)


def test_a_program_that_does_not_know_it_does_not_drop_it() -> None:
    """A document of a newer version names it; the course says that it cannot be compared."""
    before, now = to_document(assessed(3, 8.0)), to_document(assessed(7, 14.0))
    found = evolution(visit_of(now), [before], EvolutionLimits())
    assert found is not None
    assert [(c.pattern, c.state.value) for c in found.patterns] == [("Z", "not_comparable")]


# -- the list --------------------------------------------------------------------------------------


def test_names_and_keys_are_unique_and_one_pattern_at_most_speaks_of_later_loss() -> None:
    assert CEREBELLAR_RISE not in PATTERNS, "the toy is not in the list"
    assert len({pattern.name for pattern in PATTERNS}) == len({pattern.key for pattern in PATTERNS}) == len(PATTERNS)
    assert [pattern.name for pattern in PATTERNS if pattern.later_loss is not None] == ["C"]
