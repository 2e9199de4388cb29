"""An infusion date under an issuer that no image names is not used, and the reader hears of it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import an_instance
from triage.errors import NotAssessable
from triage.infusions import Infusion
from workers.ports import PatientKey
from workers.studies.cohort import require_cohort
from workers.studies.person import infusions_of_person

NOW, DAY = datetime(2026, 5, 6, 12, tzinfo=UTC), date(2026, 5, 1)


@pytest.mark.parametrize(
    ("images", "key", "used", "words"),
    [
        pytest.param(["Hospital A"], None, False, "", id="not measured: nobody said anything"),
        pytest.param(["Hospital A"], PatientKey("P1", "Hospital A"), True, "", id="noop: the same issuer"),
        pytest.param(["Hospital A"], PatientKey("P1", "HOSPITAL A "), True, "", id="noop: the form of the issuer"),
        pytest.param(["Hospital A"], PatientKey("P1"), True, "", id="noop: the date states none"),
        pytest.param([""], PatientKey("P1", "HOSPA"), True, "", id="noop: the images state none"),
        pytest.param(["Hospital A"], PatientKey("P1", "HOSPA"), False, "of the issuer HOSPA", id="another name of it"),
        pytest.param(["Hospital A"], PatientKey("p1", "HOSPA"), False, "of the issuer HOSPA", id="and of the ID"),
        pytest.param(["Hospital A", "B"], PatientKey("P1", "HOSPA"), False, "of the issuer HOSPA", id="two issuers"),
        pytest.param(["Hospital A", "B"], PatientKey("P1", "B"), False, "", id="noop: somebody else has the ID"),
        pytest.param(["Hospital A", "B"], PatientKey("p1", "B"), False, "", id="noop: the same, spelled otherwise"),
        pytest.param(["Hospital A", "B"], PatientKey("P1"), False, "without an issuer", id="noop: whose is it"),
    ],
)
def test_a_date_under_an_issuer(images: list[str], key: PatientKey | None, used: bool, words: str) -> None:
    index = InMemoryIndex()
    for n, issuer in enumerate(images):
        index.record_instances([an_instance(f"1.{n}", 1, patient_id="P1", issuer=issuer)])
    if key is not None:
        index.add_infusion(key, Infusion(DAY), now=NOW)
    row = index.study("1.0")
    assert row is not None
    found, notices = infusions_of_person(row, index)
    assert bool(found) is used
    said = [one for one in notices if "is not used" in one]
    assert bool(said) is bool(words)
    assert words in "".join(said)
    if used:
        require_cohort(row, index, "roster")
        return
    with pytest.raises(NotAssessable) as refused:
        require_cohort(row, index, "roster")
    assert words in refused.value.message
    assert ("is not used" in refused.value.message) is bool(words)
