"""Documents of earlier studies and one visit in, the course of each pattern out; uncertainty decides what is a
difference."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.report.contents import Course
from triage.report.document import to_document
from triage.report.evolution import EvolutionLimits, evolution, visit_of

LIMITS = EvolutionLimits()
INFUSION = date(2026, 3, 1)
PRESENT, ABSENT, UNKNOWN = "present", "absent", "indeterminate"


def a_document(
    day: int,
    thalami: float | None = 0.0,
    presence: str = ABSENT,
    *,
    sd: float = 1.0,
    baseline: str | None = "1.1",
    protocol: str = "same",
    pattern: str = "A",
    **more: Any,
) -> dict[str, Any]:
    """A follow-up ``day`` days after the infusion, of the keys the course is read from."""
    figures = [
        {"region": region, "quantity": "flair_change_percent", "value": thalami, "uncertainty": sd, "unit": "%"}
        for region in ("thalamus_left", "thalamus_right")
    ]
    return {
        "study": {
            "study_instance_uid": f"1.{100 + day}",
            "study_date": (INFUSION + timedelta(days=day)).isoformat(),
            "days_after_infusion": day,
        },
        "stage": "full",
        "baseline": {"study_instance_uid": baseline},
        "notices": [f"protocol: {protocol} (because)"],
        "measurements": figures,
        "findings": [{"pattern": pattern, "presence": presence}],
        "lesions": [],
        **more,
    }


def course(*documents: dict[str, Any], pattern: str = "A") -> tuple[str, date | None] | None:
    """State and since of the last document's study; None: nothing is said of the pattern."""
    found = evolution(visit_of(documents[-1]), documents[:-1], LIMITS)
    assert found is not None
    return next(((c.state.value, c.since) for c in found.patterns if c.pattern == pattern), None)


def on(day: int) -> date:
    return INFUSION + timedelta(days=day)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param([a_document(3), a_document(7)], None, id="noop: never seen"),
        pytest.param([a_document(3), a_document(7, 12, PRESENT)], ("new", on(7)), id="first seen"),
        pytest.param([a_document(3, 12, PRESENT), a_document(7, 18, PRESENT)], ("worse", on(3)), id="rises on"),
        pytest.param([a_document(3, 12, PRESENT), a_document(7, 13, PRESENT)], ("stable", on(3)), id="alike"),
        pytest.param([a_document(3, 18, PRESENT), a_document(7, 12, PRESENT)], ("resolving", on(3)), id="less"),
        pytest.param([a_document(3, 18, PRESENT), a_document(7, 2)], ("resolved", on(7)), id="gone"),
        pytest.param([a_document(3, 18, PRESENT), a_document(7, 2), a_document(9, 1)], ("resolved", on(7)),
            id="still gone"),
        pytest.param([a_document(3, 8.5, PRESENT), a_document(7, 7.5)], ("stable", on(3)), id="just below the limit"),
        pytest.param(
            [a_document(3, 18, PRESENT), a_document(7, 2), a_document(9, 14, PRESENT)], ("new", on(9)), id="seen again"
        ),
        pytest.param(
            [a_document(3, 12, PRESENT, sd=3.0), a_document(7, 18, PRESENT, sd=3.0)], ("stable", on(3)),
            id="too uncertain"
        ),
        pytest.param(
            [a_document(3, 12, PRESENT), a_document(7, 16, PRESENT, protocol="different")],
            ("stable", on(3)),
            id="another protocol widens the uncertainty",
        ),
        pytest.param([a_document(3, 12, PRESENT), a_document(7, presence=UNKNOWN)], ("not_comparable", None),
            id="not judged now"),
        pytest.param([a_document(3, presence=UNKNOWN), a_document(7, presence=UNKNOWN)], None, id="never judged"),
        pytest.param([a_document(3, None, UNKNOWN), a_document(7, 12, PRESENT)], ("new", on(7)),
            id="not judged before"),
        pytest.param(
            [a_document(3, 12, PRESENT, baseline="1.2"), a_document(7, 18, PRESENT)], ("not_comparable", on(3)),
            id="other baseline"
        ),
        pytest.param([a_document(3, 12, PRESENT), a_document(7, None, PRESENT)], ("not_comparable", on(3)),
            id="no common figure"),
        pytest.param([a_document(3, 12, PRESENT), a_document(7, None)], ("not_comparable", None),
            id="gone, but not by figures"),
        pytest.param(
            [a_document(3, 12, PRESENT), a_document(5, None, UNKNOWN), a_document(7, 18, PRESENT)],
            ("worse", on(3)),
            id="a study that could not judge is passed over",
        ),
    ],
)  # fmt: skip
def test_course(documents: list[dict[str, Any]], expected: tuple[str, date | None] | None) -> None:
    assert course(*documents) == expected
    assert course(*reversed(documents[:-1]), documents[-1]) == expected, "the order given does not matter"


@pytest.mark.parametrize(
    ("earlier", "now", "patterns"),
    [
        pytest.param([a_document(-9, 20, PRESENT)], a_document(7, 20, PRESENT), ["new"], id="before the infusion"),
        pytest.param([a_document(9, 30, PRESENT)], a_document(7, 20, PRESENT), ["new"], id="taken later"),
        pytest.param([a_document(3, 30, PRESENT)], a_document(7, 5, baseline="1.103"), [], id="it is the baseline"),
    ],
)
def test_what_is_no_earlier_followup(earlier: list[dict[str, Any]], now: dict[str, Any], patterns: list[str]) -> None:
    found = evolution(visit_of(now), earlier, LIMITS)
    assert found is not None
    assert [c.state.value for c in found.patterns] == patterns


def test_without_earlier_documents_there_is_no_course() -> None:
    assert evolution(visit_of(a_document(7, 20, PRESENT)), [], LIMITS) is None
    assert evolution(visit_of(a_document(-2)), [a_document(-9)], LIMITS) is None, "a study before the infusion"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(1.0, 2.0, "worse", id="grown"),
        pytest.param(2.0, 1.0, "resolving", id="shrunk"),
        pytest.param(1.0, 1.1, "stable", id="noop"),
    ],
)
def test_lesions_are_followed_by_their_volume(before: float, now: float, expected: str) -> None:
    def one(day: int, volume: float) -> dict[str, Any]:
        lesions = [{"volume_ml": volume / 2, "enhancing_volume_ml": None}] * 2
        return a_document(day, presence=PRESENT, pattern="B", lesions=lesions)

    assert course(one(3, before), one(7, now), pattern="B") == (expected, on(3))


def test_less_fluid_is_worse() -> None:
    def one(day: int, change: float) -> dict[str, Any]:
        figure = {
            "region": "sulcal_csf",
            "quantity": "volume_change_percent",
            "value": change,
            "uncertainty": 3.0,
            "unit": "%",
        }
        return a_document(day, presence=PRESENT, pattern="D", measurements=[figure])

    assert course(one(3, -30.0), one(5, -55.0), pattern="D") == ("worse", on(3))
    assert course(one(3, -55.0), one(5, -30.0), pattern="D") == ("resolving", on(3))


def test_the_trend_holds_every_date_with_what_it_was_measured_by() -> None:
    found = evolution(visit_of(a_document(7, 4.0)), [a_document(3, 12.0, PRESENT, protocol="different")], LIMITS)
    assert found is not None
    (series,) = [t for t in found.trend if (t.region, t.quantity) == ("thalamus_left", "flair_change_percent")]
    points = [(p.study_date, p.days_after_infusion, p.value, p.uncertainty, p.stage, p.protocol) for p in series.points]
    assert points == [(on(3), 3, 12.0, 1.0, "full", "different"), (on(7), 7, 4.0, 1.0, "full", "same")]


def test_a_date_without_the_figure_is_a_gap_and_no_zero() -> None:
    found = evolution(visit_of(a_document(7, None, UNKNOWN)), [a_document(3, 12.0, PRESENT)], LIMITS)
    assert found is not None
    assert [p.value for p in found.trend[0].points] == [12.0, None]


def test_a_document_of_the_program_can_be_read_back() -> None:
    from tests.triage.report.documents import an_assessment

    visit = visit_of(to_document(an_assessment()))
    assert visit.protocol == "same"
    assert visit.baseline_uid == "1.2.1"
    assert visit.figures["thalamus_left", "flair_change_percent"] == (17.25, 1.5, "%")
    assert visit.figures["medulla", "flair_change_percent"][0] is None
    assert visit.presence["A"] == PRESENT


changes = st.floats(-50, 100)


@given(before=changes, now=changes, sd=st.floats(0.5, 8))
def test_back_and_forth_are_opposites(before: float, now: float, sd: float) -> None:
    there = course(a_document(3, before, PRESENT, sd=sd), a_document(7, now, PRESENT, sd=sd))
    back = course(a_document(3, now, PRESENT, sd=sd), a_document(7, before, PRESENT, sd=sd))
    opposite = {Course.WORSE: Course.RESOLVING, Course.RESOLVING: Course.WORSE, Course.STABLE: Course.STABLE}
    assert there is not None
    assert back == (opposite[Course(there[0])].value, on(3))


@given(before=changes, now=changes, sd=st.floats(0.5, 8), more=st.floats(0, 20))
def test_more_uncertainty_never_makes_a_difference(before: float, now: float, sd: float, more: float) -> None:
    def state(spread: float) -> str:
        found = course(a_document(3, before, PRESENT, sd=spread), a_document(7, now, PRESENT, sd=spread))
        assert found is not None
        return found[0]

    assert state(sd + more) in (state(sd), "stable")


# -- cortical loss after restriction ---------------------------------------------------------------

LOBE = "cortex_occipital_right"
OTHER = "cortex_frontal_left"


def a_restricted_study(day: int, ml: float = 2.0, presence: str = PRESENT, **more: Any) -> dict[str, Any]:
    return a_document(
        day, None, presence, pattern="C",
        measurements=[{"region": LOBE, "quantity": "restricted_volume_ml", "value": ml, "uncertainty": 0.3,
            "unit": "mL"}], **more,
    )  # fmt: skip


def a_study_of_volume(day: int, percent: float | None, sd: float = 1.5, **more: Any) -> dict[str, Any]:
    figure = {"region": LOBE, "quantity": "volume_change_percent", "value": percent, "uncertainty": sd, "unit": "%"}
    return a_document(
        day, None, ABSENT, pattern="C", measurements=[figure, {**figure, "region": OTHER, "value": 0.5}], **more
    )


@pytest.mark.parametrize(
    ("documents", "presence", "says"),
    [
        pytest.param([a_restricted_study(7), a_study_of_volume(40, -9.0)], PRESENT, "right occipital -9 %", id="lost"),
        pytest.param([a_restricted_study(7), a_study_of_volume(40, -1.0)], ABSENT, "no loss", id="noop: kept"),
        pytest.param([a_restricted_study(7), a_study_of_volume(40, -9.0, 5.0)], UNKNOWN, "too uncertain",
            id="too uncertain"),
        pytest.param([a_restricted_study(7), a_study_of_volume(12, -9.0)], UNKNOWN, "5 days since", id="too early"),
        pytest.param([a_restricted_study(7), a_study_of_volume(40, None)], UNKNOWN, "not measured", id="not measured"),
        pytest.param([a_restricted_study(7), a_document(40)], UNKNOWN, "no other lobe", id="no such figure"),
        pytest.param(
            [a_restricted_study(7), a_restricted_study(30), a_study_of_volume(40, -9.0)], PRESENT, "-9 %",
            id="counted from the first"
        ),
        pytest.param(
            [a_restricted_study(7, ml=0.1), a_study_of_volume(40, -9.0)], UNKNOWN, "no single lobe",
            id="too little in each lobe"
        ),
        pytest.param(
            [a_restricted_study(7), a_study_of_volume(40, -9.0, baseline="1.107")], UNKNOWN, "later than",
            id="it is the baseline"
        ),
    ],
)  # fmt: skip
def test_later_loss_at_the_site(documents: list[dict[str, Any]], presence: str, says: str) -> None:
    found = evolution(visit_of(documents[-1]), documents[:-1], LIMITS)
    assert found is not None
    assert found.later_loss is not None
    assert found.later_loss.presence.value == presence
    assert says in found.later_loss.explanation


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(a_restricted_study(7, presence=ABSENT), id="the pattern was absent"),
        pytest.param(a_restricted_study(-5), id="before the infusion"),
        pytest.param(a_document(7, pattern="C", presence=UNKNOWN), id="not judged before"),
    ],
)
def test_no_later_loss_without_earlier_restriction(before: dict[str, Any]) -> None:
    found = evolution(visit_of(a_study_of_volume(40, -9.0)), [before], LIMITS)
    assert found is not None
    assert found.later_loss is None


@pytest.mark.parametrize(
    ("of_earlier", "of_now", "expected"),
    [
        pytest.param("same", "same", "worse", id="noop: both alike"),
        pytest.param("different", "same", "stable", id="the earlier one by another protocol"),
        pytest.param("same", "different", "stable", id="the present one by another protocol"),
    ],
)
@pytest.mark.parametrize(
    "by_field", [pytest.param(True, id="field"), pytest.param(False, id="notice of earlier versions")]
)
def test_the_protocol_class_comes_from_its_field_or_from_an_old_notice(
    by_field: bool, of_earlier: str, of_now: str, expected: str
) -> None:
    def one(day: int, thalami: float, protocol: str) -> dict[str, Any]:
        if not by_field:
            return a_document(day, thalami, PRESENT, protocol=protocol)
        return a_document(
            day, thalami, PRESENT, notices=[], judged={"from": "comparison", "protocol": protocol, "refusal": None}
        )

    assert course(one(3, 12, of_earlier), one(7, 15.5, of_now)) == (expected, on(3))
