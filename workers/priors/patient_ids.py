"""A follow-up and the settings of an archive in, the patient ID that the archive knows the patient by out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from triage.identity import issuer_form
from workers.ports import PatientKey, StudyRow
from workers.prior_settings import PatientIdRule, PriorSource


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


def _by_rule(rule: PatientIdRule, here: PatientKey) -> PatientKey | None:
    if rule.issuer is not None and issuer_form(rule.issuer) != issuer_form(here.issuer):
        return None
    rest = here.patient_id.strip().removeprefix(rule.strip)
    if not here.patient_id.strip().startswith(rule.strip) or not rest:
        return None
    return PatientKey(rule.prefix + rest, rule.archive_issuer or "")
