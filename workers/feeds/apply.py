"""Facts of a clinical system in, calls on the index out. Applying the same facts twice does no harm."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from triage.infusions import Infusion
from workers.feeds.facts import (
    Fact,
    InfusionCancelled,
    InfusionReported,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
    ReadingReported,
)
from workers.feeds.orders import KnownOrders, Order
from workers.ports import PatientKey


class PatientFacts(Protocol):
    """What is needed of the index. Each call is one transaction, may be repeated, and may raise errors.Transient."""

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None: ...

    def remove_infusion(self, patient: PatientKey, day: date) -> None: ...

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None: ...

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None: ...


class Readings(Protocol):
    """Who is told that a study was read. May be repeated, and may raise errors.Transient."""

    def __call__(self, reading: ReadingReported, source: str) -> None: ...


class UnknownOrderError(Exception):
    """A cancellation names an order that was never reported here, and no date."""

    def __init__(self) -> None:
        super().__init__("it cancels an order that is not known here, and names no date")


class Applier:
    """What every feed states, for one index."""

    def __init__(self, index: PatientFacts, orders: KnownOrders, readings: Readings | None = None) -> None:
        self._index, self._orders, self._readings = index, orders, readings

    def __call__(self, facts: tuple[Fact, ...], source: str) -> None:
        """Apply what one message states.

        Raises:
            Transient: the index is away; all of it is to be applied again.
            UnknownOrderError: a human must say which infusion is meant.
        """
        for fact in facts:
            self._apply(fact, source)

    def _apply(self, fact: Fact, source: str) -> None:
        match fact:
            case InfusionReported():
                self._reported(fact, source)
            case InfusionCancelled():
                self._cancelled(fact)
            case PatientsMerged(new=new, old=old):
                self._index.merge_patients(old=old, new=new, source=source)
                self._orders.move(old, new)
            case PatientUpdated():
                self._index.correct_patient(fact.patient, birth_date=fact.birth_date, sex=fact.sex, source=source)
            case ReadingReported():
                if self._readings is not None:
                    self._readings(fact, source)
            case NothingToDo():
                pass

    def _reported(self, fact: InfusionReported, source: str) -> None:
        """An order with another date than before is moved, not a second infusion."""
        before = self._orders.get(fact.patient, fact.order) if fact.order else None
        if before is not None and before.day != fact.day:
            self._remove(before.patient, before.day, fact.order)
        self._index.add_infusion(fact.patient, Infusion(fact.day, kind=fact.kind, source=source))
        if fact.order and (before is None or before.day != fact.day):
            self._orders.put(Order(fact.patient, fact.order, fact.day))

    def _cancelled(self, fact: InfusionCancelled) -> None:
        known = self._orders.get(fact.patient, fact.order) if fact.order else None
        day = known.day if known is not None else fact.day
        if day is None:
            raise UnknownOrderError
        self._remove(fact.patient if known is None else known.patient, day, fact.order)
        if known is not None:
            self._orders.forget(known.patient, fact.order)

    def _remove(self, patient: PatientKey, day: date, order: str) -> None:
        """A day that another order stands for as well stays."""
        if not self._orders.others_on(patient, day, but=order):
            self._index.remove_infusion(patient, day)
