"""What was said of patients and objects in, the facts that are kept of it in files out, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from triage.infusions import Infusion, StatedInfusion
from workers.files.facts import KeptFact
from workers.identities import GivenAnswer, ObjectAnswer
from workers.identity_events import IdentityEvent, to_json
from workers.log import get_logger
from workers.ports import PatientKey

log = get_logger(__name__)

INFUSION, IDENTITY, OBJECT = "infusion", "identity", "object"  # kinds of facts


@contextmanager
def costs_itself(fact: KeptFact) -> Iterator[None]:
    """A file that says what no fact says is named and costs only itself."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        log.error("facts.not_restored", kind=fact.kind, error=type(error).__name__)


def identity_fact(event: IdentityEvent) -> KeptFact:
    said = to_json(event)
    key = (
        said["change"],
        event.old.patient_id,
        event.old.issuer,
        event.new.patient_id,
        event.new.issuer,
        event.study_instance_uid,
        said["at"],
    )
    return KeptFact(IDENTITY, key, said)


def answer_fact(study_instance_uid: str, uid: str, given: GivenAnswer) -> KeptFact:
    said = {"answer": given.answer.value, "by": given.by, "at": given.at.isoformat()}
    return KeptFact(OBJECT, (study_instance_uid, uid), said)


def answer_of_fact(fact: KeptFact) -> GivenAnswer:
    said = fact.value
    return GivenAnswer(ObjectAnswer(said["answer"]), str(said["by"]), datetime.fromisoformat(said["at"]))


def infusion_fact(patient: PatientKey, said: StatedInfusion) -> KeptFact:
    infusion = said.infusion
    key = (patient.patient_id, patient.issuer, infusion.day.isoformat())
    times = {"said_at": said.said_at, "withdrawn_at": said.withdrawn_at, "first_said_at": said.first_said_at}
    value = {name: at.isoformat() for name, at in times.items() if at is not None}
    value |= {"kind": infusion.kind, "source": infusion.source}
    return KeptFact(INFUSION, key, value, said.withdrawn_at is not None)


def infusion_of_fact(fact: KeptFact) -> tuple[PatientKey, StatedInfusion]:
    patient_id, issuer, day = fact.key
    kind, source = str(fact.value.get("kind", "")), str(fact.value.get("source", ""))
    times = [fact.value.get(name) for name in ("said_at", "withdrawn_at", "first_said_at")]
    said = StatedInfusion(
        Infusion(date.fromisoformat(day), kind, source),
        *(None if at is None else datetime.fromisoformat(at) for at in times),
    )
    return PatientKey(patient_id, issuer), said
