"""Order numbers and the infusion days that they stand for, in one file: a cancellation often names the number alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from triage.identity import issuer_form, same_form
from workers.ports import PatientKey

MOST_ORDERS = 100_000  # the oldest are forgotten first


@dataclass(frozen=True)
class Order:
    """One order, as it was last reported."""

    patient: PatientKey
    number: str
    day: date


class KnownOrders:
    """The file of one node; one process writes it. A number means something only together with its patient, however the
    patient ID is spelled and whether the issuer is stated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._orders: dict[tuple[PatientKey, str], Order] | None = None

    def get(self, patient: PatientKey, number: str) -> Order | None:
        """Of exactly this ID, else of the only one that may be the same."""
        known = self._known()
        if (patient, number) in known:
            return known[patient, number]
        like = [one for one in known.values() if one.number == number and _may_be_one(one.patient, patient)]
        return like[0] if len(like) == 1 else None

    def put(self, order: Order) -> None:
        known, before = self._known(), self.get(order.patient, order.number)
        if before is not None:
            del known[before.patient, before.number]
        known[order.patient, order.number] = order
        while len(known) > MOST_ORDERS:
            del known[next(iter(known))]
        self._write()

    def forget(self, patient: PatientKey, number: str) -> None:
        if self._known().pop((patient, number), None) is not None:
            self._write()

    def others_on(self, patient: PatientKey, day: date, *, but: str) -> bool:
        """Whether another order of the patient stands for the same day."""
        orders = self._known().values()
        return any(_may_be_one(one.patient, patient) and one.day == day and one.number != but for one in orders)

    def move(self, old: PatientKey, new: PatientKey) -> None:
        """The orders of ``old`` are those of ``new``."""
        moved = [one for one in self._known().values() if one.patient == old]
        for one in moved:
            del self._known()[old, one.number]
            self._known()[new, one.number] = replace(one, patient=new)
        if moved:
            self._write()

    def _known(self) -> dict[tuple[PatientKey, str], Order]:
        if self._orders is None:
            try:
                read = json.loads(self._path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                read = []
            self._orders = {(order.patient, order.number): order for order in map(_order, read)}
        return self._orders

    def _write(self) -> None:
        """The file is whole and on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([asdict(one) | {"day": one.day.isoformat()} for one in self._known().values()], file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _may_be_one(one: PatientKey, other: PatientKey) -> bool:
    """The same number under two IDs of one form is one order: a system counts its orders over all patients."""
    issuers = {issuer_form(one.issuer), issuer_form(other.issuer)} - {""}
    return one == other or (same_form(one.patient_id, other.patient_id) and len(issuers) < 2)


def _order(read: dict[str, Any]) -> Order:
    return Order(PatientKey(**read["patient"]), read["number"], date.fromisoformat(read["day"]))
