"""A document in, one line of a list out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from triage.measurements import evidence_line
from triage.model import Measurement
from triage.report.baseline_report import RISK
from triage.report.headline import (
    LONGEST_TEXT,
    NOT_MEASURED_YET,
    Headline,
    awaits_measuring,
    headline_of,
    is_before_treatment,
)


def figure(region: str, value: float | None, quantity: str = "flair_change_percent", sd: float | None = 1.0) -> Any:
    unit = "mL" if quantity.endswith("_ml") else "%"
    return {"region": region, "quantity": quantity, "value": value, "unit": unit, "uncertainty": sd}


def finding(*carried: tuple[str, str], pattern: str = "A", presence: str = "present") -> Any:
    evidence = [evidence_line(Measurement(region, quantity, 1.0, "%", 1.0)) for region, quantity in carried]
    return {"pattern": pattern, "presence": presence, "strength": "strong", "explanation": "said", "evidence": evidence}


FLAIR = "flair_change_percent"
THALAMI = (("thalamus_left", FLAIR), ("thalamus_right", FLAIR))
BOTH = [figure("thalamus_left", 23.9), figure("thalamus_right", 17.2)]


@pytest.mark.parametrize(
    ("measurements", "carried", "expected"),
    [
        pytest.param(BOTH, THALAMI, "both thalami +17 %", id="two sides: the one that changed less"),
        pytest.param(BOTH, THALAMI[:1], "thalamus L +24 %", id="one side carried it"),
        pytest.param(BOTH, (), "", id="noop: no figure carried it"),
        pytest.param([figure("pons", None)], (("pons", FLAIR),), "", id="not measured"),
        pytest.param(
            [*BOTH, figure("pons", 12.3), figure("medulla", 9.8)],
            (*THALAMI, ("pons", FLAIR), ("medulla", FLAIR)),
            "both thalami +17 %, pons +12 %",
            id="the two largest",
        ),
        pytest.param(
            [*BOTH, figure("pons", 12.3, sd=0.1), figure("pons", 30.0, "volume_change_percent")],
            (*THALAMI, ("pons", FLAIR), ("pons", "volume_change_percent")),
            "both thalami +17 %, pons +12 %",
            id="neither the most certain one nor another quantity comes before the largest change",
        ),
        pytest.param(
            [figure("pons", 12.0, sd=None), figure("medulla", 9.8)],
            (("pons", FLAIR), ("medulla", FLAIR)),
            "medulla +10 %, pons +12 %",
            id="without an uncertainty behind the others",
        ),
        pytest.param(
            [figure("brain", -3.2, "volume_change_percent")],
            (("brain", "volume_change_percent"),),
            "volume brain −3 %",
            id="a fall",
        ),
        pytest.param(
            [figure("white_matter_left", 0.84, "lesion_volume_ml")],
            (("white_matter_left", "lesion_volume_ml"),),
            "lesions white matter L 0.8 mL",
            id="a volume",
        ),
        pytest.param(
            [figure("pons", 2.0, "symmetry")], (("pons", "symmetry"),), "", id="a quantity that tells nothing"
        ),
    ],
)
def test_the_strongest_figures(measurements: list[Any], carried: tuple[tuple[str, str], ...], expected: str) -> None:
    assert headline_of({"measurements": measurements, "findings": [finding(*carried)]}).figure == expected


def by(used_as: str | None, **scanner: Any) -> dict[str, Any]:
    names = ("manufacturer", "model", "station", "field_strength_t")
    return {"used_as": used_as, "scanner": dict.fromkeys(names) | scanner if scanner else None}


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param([], "", id="noop: no series"),
        pytest.param([by("flair"), {"used_as": "t1"}], "", id="none is named, one by an older program"),
        pytest.param(
            [by("flair", manufacturer="SIEMENS", model="Prisma", field_strength_t=3.0)], "SIEMENS Prisma, 3 T"
        ),
        pytest.param([by("flair", manufacturer="GE", model="GE  SIGNA", station="MR2")], "GE SIGNA, MR2", id="twice"),
        pytest.param([by("t1", station="MR1"), by("flair", station="MR2")], "MR2", id="the FLAIR's"),
        pytest.param([by("t1", field_strength_t=1.5), by("flair")], "1.5 T", id="that of another series"),
    ],
)
def test_the_scanner_in_words(series: list[Any], expected: str) -> None:
    assert headline_of({"series": series}).scanner == expected


def decided(category: str, *reasons: str, **more: Any) -> dict[str, Any]:
    return {"decision": {"category": category, "priority": "P1", "reasons": list(reasons)}, **more}


NEW = {"patterns": [{"pattern": "A", "state": "not_comparable"}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            decided("possible", "pattern A", findings=[finding()], evolution=NEW),
            "bithalamic and brain stem FLAIR rise (strong, not comparable)",
            id="a pattern with its course",
        ),
        pytest.param(
            decided(
                "possible", "x", findings=[finding(), finding(pattern="Z"), finding(pattern="B", presence="absent")]
            ),
            "bithalamic and brain stem FLAIR rise (strong); pattern Z (strong)",
            id="two patterns, one of another site",
        ),
        pytest.param(
            decided("possible", "found on 2024-03-01"), "found on 2024-03-01", id="carried from an earlier study"
        ),
        pytest.param(decided("not_assessable", "no_flair: no FLAIR"), "no FLAIR", id="a reason without its code"),
        pytest.param(decided("no_pattern", "pattern A absent: x"), "no pattern found", id="noop: nothing"),
        pytest.param(
            decided("no_pattern", "not excluded: pattern D", "pattern A absent: x"),
            "no pattern found; not excluded: pattern D",
            id="one was not judged",
        ),
        pytest.param(decided("no_pattern", "no change since x; y"), "no change since x; y", id="under a condition"),
        pytest.param(decided("no_pattern"), "", id="no reason"),
        pytest.param({}, "", id="an empty document"),
    ],
)
def test_the_finding_in_words(document: dict[str, Any], expected: str) -> None:
    assert headline_of(document).finding == expected


def before(
    abnormal: bool | None, *statements: str, priority: str = "unchanged", clear: bool = True, found: Sequence[str] = ()
) -> dict[str, Any]:
    said = decided("not_assessable", "no_baseline: none", judged={"before_treatment": clear})
    said["decision"]["priority"] = priority
    return said | {"baseline_report": {"abnormal": abnormal, "statements": list(statements), "found": list(found)}}


FELL = "the category falls: possible in the version of this study before, not_assessable now"


def fallen(document: dict[str, Any]) -> dict[str, Any]:
    document["decision"]["reasons"].insert(0, FELL)
    return document


@pytest.mark.parametrize(
    ("document", "finding", "is_one"),
    [
        pytest.param(
            before(False, "No old bright lesion was found."),
            "no old lesions, cavities or wide fluid spaces beyond the limits",
            True,
            id="nothing old",
        ),
        pytest.param(
            before(True, "No old bright lesion was found.", "A cavity.", RISK, found=["A cavity."]),
            "abnormal: A cavity.",
            True,
            id="what makes it abnormal, and nothing else",
        ),
        pytest.param(before(None, "Cavities were not measured."), "Cavities were not measured.", True, id="unknown"),
        pytest.param(
            fallen(before(False)),
            f"{FELL}; no old lesions, cavities or wide fluid spaces beyond the limits",
            True,
            id="behind what fell",
        ),
        pytest.param(before(False, priority="P1"), "none", False, id="a priority of an earlier version is kept"),
        pytest.param(before(False, clear=False), "none", False, id="noop: not a clear scan before treatment"),
        pytest.param(decided("not_assessable", "no_baseline: none"), "none", False, id="of an older program"),
    ],
)
def test_a_scan_before_treatment(document: dict[str, Any], finding: str, is_one: bool) -> None:
    assert headline_of(document).finding == finding
    assert headline_of(document).before_treatment is is_one


def first_look(day: int | None = -10, *reasons: str, category: str = "not_assessable") -> dict[str, Any]:
    said = decided(category, *(reasons or ("no_baseline: study precedes the infusion",)), judged={})
    said["decision"]["priority"] = "unchanged"
    return said | {"stage": "first_look", "study": {"days_after_infusion": day}}


@pytest.mark.parametrize(
    ("document", "awaits"),
    [
        pytest.param(first_look(), True, id="before the infusion"),
        pytest.param(first_look() | {"stage": "full"}, False, id="noop: the full assessment has its own word"),
        pytest.param(first_look(7), False, id="after the infusion"),
        pytest.param(first_look(None), False, id="no infusion is known"),
        pytest.param(first_look(-10, "no_flair: no FLAIR"), False, id="not measurable for another reason"),
        pytest.param(first_look(-10, "the category falls: x", "no_baseline: x"), False, id="something fell"),
        pytest.param(first_look(-10, "same_acquisition: x", "no_baseline: x"), False, id="a copy"),
        pytest.param(first_look(-10, category="possible"), False, id="something was found"),
        pytest.param(decided("not_assessable", "no_baseline: x", stage="first_look"), False, id="a priority is kept"),
        pytest.param({}, False, id="not measured: an empty document"),
    ],
)
def test_the_first_look_of_a_scan_before_treatment_is_not_called_not_assessable(
    document: dict[str, Any], awaits: bool
) -> None:
    assert awaits_measuring(document) is awaits
    assert headline_of(document).before_treatment is awaits
    assert (headline_of(document).finding == NOT_MEASURED_YET) is awaits
    assert not is_before_treatment(document), "for what goes out it is not one yet"


def test_the_dates() -> None:
    document = {
        "study": {"days_after_infusion": 7},
        "baseline": {"study_instance_uid": "1.2", "study_date": "2026-02-20"},
    }
    assert headline_of(document) == Headline("", "", 7, date(2026, 2, 20))
    document["baseline"]["study_instance_uid"] = None  # type: ignore[assignment]
    assert headline_of(document).baseline_date is None


def test_a_line_is_one_line_and_not_longer_than_a_list_bears() -> None:
    said = headline_of(decided("not_assessable", "code: " + "long\n" * 200)).finding
    assert len(said) == LONGEST_TEXT
    assert "\n" not in said
