"""Which study a clinical system means, and who has acknowledged it: SQL on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.fakes import NOON
from workers.delivery_ports import NOTHING_SEEN, Acknowledgement, Decided
from workers.identities import PatientKey
from workers.index.deliveries import SqlDeliveries
from workers.index.list_terms import IS_READ, READ_BY
from workers.index.schema import studies

HOME, AWAY, BARE = PatientKey("P1", "HOME"), PatientKey("P1", "AWAY"), PatientKey("P1", "")
ROWS = [("1.1", "P1", "HOME", "A1"), ("1.2", "P1", "AWAY", "A1"), ("1.3", "P2", "", "A2"), ("1.4", "P3", "", "")]


def study_row(uid: str, **values: Any) -> dict[str, Any]:
    """A row of the table of studies."""
    return {
        "study_instance_uid": uid, "patient_id": "P7", "issuer": "HOSP", "sex": "", "study_time": "",
        "accession_number": "", "state": "assessed", "revision": 1, "instance_count": 1, "series_count": 1,
        "first_received_at": NOON, "last_received_at": NOON, "attempts": 0, **values,
    }  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def deliveries(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> SqlDeliveries:
    opened = SqlDeliveries(engine_of(request.param))
    with opened._engine.begin() as connection:
        for uid, patient_id, issuer, accession in ROWS:
            stated = "OLD" if uid == "1.3" else None
            row = study_row(
                uid, patient_id=patient_id, issuer=issuer, accession_number=accession, stated_patient_id=stated
            )
            connection.execute(sa.insert(studies).values(**row))
    return opened


MEANT = [
    pytest.param("1.1", (), (), ["1.1"], id="by UID"),
    pytest.param("1.1", ("A2",), (PatientKey("P2", ""),), ["1.1"], id="the UID comes first"),
    pytest.param("9.9", ("A1",), (HOME,), ["1.1"], id="an unknown UID; the number and the patient"),
    pytest.param("", ("A1",), (AWAY,), ["1.2"], id="the issuer tells two hospitals apart"),
    pytest.param("", ("A1",), (BARE,), ["1.1", "1.2"], id="without an issuer both fit"),
    pytest.param("", ("X", "A2"), (PatientKey("P2", "HOME"),), ["1.3"], id="one of the numbers"),
    pytest.param("", ("A2",), (PatientKey("OLD", ""),), ["1.3"], id="the ID that the images state"),
    pytest.param("", ("A1",), (PatientKey("P2", ""),), [], id="noop: the number of somebody else"),
    pytest.param("", ("A1",), (), [], id="noop: a number without a patient"),
    pytest.param("", ("",), (PatientKey("P3", ""),), [], id="noop: an empty number fits nothing"),
    pytest.param("", (), (), [], id="noop: nothing is stated"),
]


@pytest.mark.parametrize(("uid", "numbers", "patients", "expected"), MEANT)
def test_which_study_is_meant(
    deliveries: SqlDeliveries, uid: str, numbers: tuple[str, ...], patients: tuple[PatientKey, ...], expected: list[str]
) -> None:
    assert deliveries.studies_meant(uid, numbers, patients) == expected


def test_all_acknowledgements_of_a_study_are_kept(deliveries: SqlDeliveries) -> None:
    assert deliveries.acknowledged("1.1") == []
    first = Acknowledgement("1.1", "Dr Doe", NOON)
    second = Acknowledgement("1.1", "RIS", NOON - timedelta(days=1))
    for one in (first, second, Acknowledgement("1.2", "x", NOON)):
        deliveries.acknowledge(one)
    assert deliveries.acknowledged("1.1") == [replace(one, sequence=NOTHING_SEEN) for one in (first, second)]


@pytest.mark.parametrize(
    ("sequence", "read"),
    [
        pytest.param(Decided("1.9", 1, "first_look").sequence, False, id="of an older one"),
        pytest.param(NOTHING_SEEN, False, id="of none"),
        pytest.param(Decided("1.9", 1, "full").sequence, True, id="of it"),
        pytest.param(Decided("1.9", 2, "first_look").sequence, True, id="of a newer one, taken back since"),
    ],
)
def test_an_acknowledgement_is_about_what_was_seen_whenever_it_comes(
    deliveries: SqlDeliveries, sequence: int | None, *, read: bool
) -> None:
    """A decision gets its time before it is stored."""
    row = study_row("1.9", decided_revision=1, stage="full", decided_at=NOON)
    with deliveries._engine.begin() as connection:
        connection.execute(sa.insert(studies).values(**row))
    deliveries.acknowledge(Acknowledgement("1.9", "Dr. A", NOON + timedelta(seconds=3), sequence))
    shown = sa.select(READ_BY, IS_READ).select_from(studies).where(studies.c.study_instance_uid == "1.9")
    with deliveries._engine.begin() as connection:
        by, is_read = connection.execute(shown).one()
    assert (by, bool(is_read)) == ("Dr. A" if read else None, read)
