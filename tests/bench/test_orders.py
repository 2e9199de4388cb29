"""The messages of bench.node.orders mean what it says of them: a bench that sends nonsense measures nothing."""

from __future__ import annotations

from datetime import date

import pytest

from bench.node.orders import MALFORMED, MERGE, NEW, OLD, order
from workers.feeds.facts import Fact, InfusionReported, PatientsMerged
from workers.feeds.hl7_fields import MalformedMessageError
from workers.feeds.hl7_messages import facts_of, parse
from workers.feeds.infusion_words import InfusionWords
from workers.ports import PatientKey

WORDS = InfusionWords(codes=(), words=("axicabtagene",))


def read(raw: bytes) -> tuple[Fact, ...]:
    header, parsed = parse(raw)
    return facts_of(header, parsed, WORDS)


@pytest.mark.parametrize("kind", ["ORM^O01", "RDE^O11"])
def test_an_order_states_an_infusion(kind: str) -> None:
    (fact,) = read(order(kind, "1", "K1", "20240304"))
    assert isinstance(fact, InfusionReported)
    assert (fact.patient.patient_id, fact.day, fact.order) == ("K1", date(2024, 3, 4), "77")


def test_the_merge() -> None:
    assert read(MERGE) == (PatientsMerged(PatientKey(NEW), PatientKey(OLD)),)


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed(name: str) -> None:
    with pytest.raises(MalformedMessageError):
        read(MALFORMED[name])
