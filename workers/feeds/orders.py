"""Order numbers and the infusion days that they stand for, in one file: a cancellation often names the number alone."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from triage.identity import issuer_form, same_form
from triage.infusions import CORRECTION_DAYS
from workers.ports import PatientKey

MOST_ORDERS = 100_000  # the oldest are forgotten first
REFERENCE = re.compile(r"(?:Procedure|MedicationAdministration)/")


@dataclass(frozen=True)
class Order:
    """One order, as it was last reported. given: it was administered. also: further IDs that it was reported under."""

    patient: PatientKey
    number: str
    day: date
    given: bool = False
    also: tuple[PatientKey, ...] = ()

    @property
    def patients(self) -> tuple[PatientKey, ...]:
        return (self.patient, *self.also)


class KnownOrders:
    """The file of one node; one process writes it. A number means something only together with its patient, however the
    patient ID is spelled and whether the issuer is stated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._orders: dict[tuple[PatientKey, str], Order] | None = None
        self._by_number: dict[str, list[Order]] | None = None

    def get(self, patients: Sequence[PatientKey], number: str) -> Order | None:
        """Of exactly one of these IDs, else of the only one that may be the same."""
        same = self._numbered(number)
        if is_reference(number):
            return same[-1] if same else None
        exact = [one for one in same if set(one.patients) & set(patients)]
        like = exact or [one for one in same if any(is_same_patient(key, patients) for key in one.patients)]
        return like[0] if exact or len(like) == 1 else None

    def referred(self, number: str) -> Order | None:
        """Of a FHIR resource, whoever its patient is."""
        return self.get((), number)

    def put(self, order: Order) -> None:
        known, before = self._known(), self.get(order.patients, order.number)
        if before is not None:
            del known[before.patient, before.number]
        known[order.patient, order.number] = order
        while len(known) > MOST_ORDERS:
            del known[next(iter(known))]
        self._write()

    def forget(self, order: Order) -> None:
        if self._known().pop((order.patient, order.number), None) is not None:
            self._write()

    def others_on(self, patient: PatientKey, day: date, *, but: str) -> bool:
        """Whether another order of the patient stands for the same day."""
        orders = self._known().values()
        return any(one.day == day and one.number != but and is_same_patient(patient, one.patients) for one in orders)

    def given_near(self, patients: Sequence[PatientKey], day: date, *, but: str) -> list[Order]:
        """Other orders of the patient that were given within CORRECTION_DAYS of the day, and not on it, by day."""
        found = [
            one
            for one in self._known().values()
            if one.given
            and one.number != but
            and 0 < abs((one.day - day).days) <= CORRECTION_DAYS
            and any(is_same_patient(key, patients) for key in one.patients)
        ]
        return sorted(found, key=lambda one: one.day)

    def move(self, old: PatientKey, new: PatientKey) -> None:
        """The orders of ``old`` are those of ``new``; also those that were stored without the issuer."""
        moved = [one for one in self._known().values() if any(_is_of(key, old) for key in one.patients)]
        for one in moved:
            del self._known()[one.patient, one.number]
            keys = tuple(dict.fromkeys(new if _is_of(key, old) else key for key in one.patients))
            self._known()[keys[0], one.number] = replace(one, patient=keys[0], also=keys[1:])
        if moved:
            self._write()

    def _numbered(self, number: str) -> list[Order]:
        if self._by_number is None:
            self._by_number = defaultdict(list)
            for one in self._known().values():
                self._by_number[one.number].append(one)
        return self._by_number.get(number, [])

    def _known(self) -> dict[tuple[PatientKey, str], Order]:
        if self._orders is None:
            try:
                read = json.loads(self._path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                read = []
            self._orders = {(order.patient, order.number): order for order in map(_order, read)}
        return self._orders

    def _write(self) -> None:
        """The file is whole and on the disk when this returns. After a failure what is known is again what it says."""
        try:
            self._write_file()
        except OSError:
            self._orders = None
            raise
        finally:
            self._by_number = None

    def _write_file(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([asdict(one) | {"day": one.day.isoformat()} for one in self._known().values()], file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def is_reference(number: str) -> bool:
    """Whether it is that of a FHIR resource, which is one and the same whoever its patient is said to be."""
    return REFERENCE.match(number) is not None


def is_same_patient(one: PatientKey, others: Sequence[PatientKey]) -> bool:
    """Whether an ID may be one of the others, however it is spelled."""
    return any(_may_be_one(one, other) for other in others)


def _may_be_one(one: PatientKey, other: PatientKey) -> bool:
    """The same number under two IDs of one form is one order: a system counts its orders over all patients."""
    issuers = {issuer_form(one.issuer), issuer_form(other.issuer)} - {""}
    return one == other or (same_form(one.patient_id, other.patient_id) and len(issuers) < 2)


def _is_of(one: PatientKey, old: PatientKey) -> bool:
    """Whether an ID is the one that a merge names, as an index without its issuer has it."""
    return one.patient_id == old.patient_id and (not one.issuer or issuer_form(one.issuer) == issuer_form(old.issuer))


def _order(read: dict[str, Any]) -> Order:
    """given and also: a program before this one did not write them."""
    also = tuple(PatientKey(**one) for one in read.get("also", ()))
    day = date.fromisoformat(read["day"])
    return Order(PatientKey(**read["patient"]), read["number"], day, bool(read.get("given")), also)
