"""A follow-up and the settings of an archive in, the patient ID that the archive knows the patient by out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from triage.identity import SameId, compare_identity, id_form, issuer_form
from triage.model import Patient
from workers.ports import InstanceRow, PatientKey, StudyRow
from workers.prior_settings import PatientIdRule, PriorSource
from workers.priors.archive import FoundStudy
from workers.remote.find import LEAST_FOR_WILDCARD, WILDCARDS

_BEFORE_NUMBER = re.compile(r"(?<![0-9])(?=[0-9])")


@dataclass(frozen=True)
class AskedAs:
    """One patient, as the node and as an archive write the ID. An empty issuer there is not compared."""

    here: PatientKey
    there: PatientKey

    @property
    def mapped(self) -> bool:
        return self.here.patient_id != self.there.patient_id or bool(self.there.issuer)

    def is_there(self, patient_id: str, issuer: str) -> bool:
        """Whether the archive means this patient by an ID."""
        same_issuer = (
            not self.there.issuer or not issuer.strip() or issuer_form(issuer) == issuer_form(self.there.issuer)
        )
        return self.mapped and patient_id.strip() == self.there.patient_id and same_issuer


def asked_as(source: PriorSource, row: StudyRow) -> AskedAs:
    """By the first rule of ``patient_ids`` that fits; without one the ID is the same there."""
    here = PatientKey(row.patient_id, row.issuer)
    there = next((found for rule in source.patient_ids if (found := _by_rule(rule, here)) is not None), None)
    return AskedAs(here, PatientKey(here.patient_id) if there is None else there)


def other_spellings(patient_id: str, same_id: SameId) -> tuple[str, ...]:
    """Queries for an ID in the spellings that ``triage.identity`` takes for the same: other leading zeros (wildcard
    matching, PS3.4 section C.2.2.2.4), capitals, small letters. Empty when one spelling is all there is to ask.

    The answers hold IDs of others too: compare their form.
    """
    form = id_form(patient_id)
    if same_id is SameId.EXACT or not form or WILDCARDS & set(form) or not form.isascii():
        return ()
    asked = _BEFORE_NUMBER.sub("*", form) if len(form) >= LEAST_FOR_WILDCARD else form
    return tuple(one for one in dict.fromkeys((asked.upper(), asked)) if one != patient_id.strip())


def identity_mismatch(
    patient_id: str, said: FoundStudy | InstanceRow, row: StudyRow, source: PriorSource, same_id: SameId
) -> str | None:
    """How a study or an object of an archive contradicts the patient of the follow-up; None: it does not."""
    issuer = source.issuers.get(said.issuer.strip(), said.issuer.strip())
    if asked_as(source, row).is_there(patient_id, said.issuer):
        patient_id, issuer = row.patient_id, row.issuer
    theirs = Patient(patient_id, issuer, said.birth_date, said.sex)
    return compare_identity(theirs, row, same_id).mismatch


def _by_rule(rule: PatientIdRule, here: PatientKey) -> PatientKey | None:
    if rule.issuer is not None and issuer_form(rule.issuer) != issuer_form(here.issuer):
        return None
    rest = here.patient_id.strip().removeprefix(rule.strip)
    if not here.patient_id.strip().startswith(rule.strip) or not rest:
        return None
    return PatientKey(rule.prefix + rest, rule.archive_issuer or "")
