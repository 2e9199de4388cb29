"""Facts of a clinical system in, calls on the index out. Applying the same facts twice does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from triage.infusions import Infusion
from workers.feeds.facts import (
    Cancellation,
    Fact,
    InfusionCancelled,
    InfusionReported,
    NeedsPerson,
    NoInfusion,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
    ReadingReported,
)
from workers.feeds.orders import KnownOrders, Order, is_reference, is_same_patient
from workers.ports import PatientKey

OF_ONE_DAY = frozenset({Cancellation.NOT_GIVEN, Cancellation.DELETED})


class PatientFacts(Protocol):
    """What is needed of the index. Each call is one transaction, may be repeated, and may raise errors.Transient."""

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None: ...

    def remove_infusion(self, patient: PatientKey, day: date) -> None: ...

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None: ...

    def correct_patient(self, patient: PatientKey, *, birth_date: date | None, sex: str, source: str) -> None: ...


class Readings(Protocol):
    """Who is told that a study was read. May be repeated, and may raise errors.Transient."""

    def __call__(self, reading: ReadingReported, source: str) -> None: ...


class NotJudgedError(Exception):
    """A message that no rule judges; the text names no patient. Applying it again gives the same."""


class UnknownOrderError(NotJudgedError):
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
            NotJudgedError: a human must say what is meant; what else the message states is applied.
        """
        left: NotJudgedError | None = None
        for fact in facts:
            try:
                self._apply(fact, source)
            except NotJudgedError as error:  # the rest of the message holds
                left = left or error
        if left is not None:
            raise left

    def _apply(self, fact: Fact, source: str) -> None:
        match fact:
            case InfusionReported():
                self._reported(fact, source)
            case InfusionCancelled():
                self._cancelled(fact)
            case NoInfusion(order=order):
                known = self._orders.referred(order)
                if known is not None:
                    self._take_back(known)
            case NeedsPerson(why=why):
                raise NotJudgedError(why)
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
        """An order with another date than before is moved, not a second infusion. Who plans what was given already does
        not move it."""
        stated = (fact.patient, *fact.also)
        before = self._orders.get(stated, fact.order) if fact.order else None
        if before is not None and before.given and not fact.given and before.day != fact.day:
            return
        patients = stated
        if before is not None:
            # the same resource of another patient: it is no longer that of the former one
            left = (one for one in before.patients if not is_same_patient(one, stated))
            patients += () if is_reference(fact.order) else tuple(left)
            for one in before.patients:
                if before.day != fact.day or (is_reference(fact.order) and one not in patients):
                    self._remove(one, before.day, fact.order)
        for one in patients:
            self._index.add_infusion(one, Infusion(fact.day, kind=fact.kind, source=source))
        if fact.order:
            given = fact.given or (before is not None and before.given)
            now = Order(patients[0], fact.order, fact.day, given, patients[1:])
            if before is None or before.day != now.day or before.given != given or _has_others(patients, before):
                self._orders.put(now)

    def _cancelled(self, fact: InfusionCancelled) -> None:
        stated = (fact.patient, *fact.also)
        known = self._orders.get(stated, fact.order) if fact.order else None
        if known is None:
            # the end of an order that is not known here: perhaps the infusion of that day was given before
            if fact.day is None or fact.why is Cancellation.DISCONTINUED:
                raise UnknownOrderError
            for one in stated:
                self._remove(one, fact.day, fact.order)
        elif fact.why in OF_ONE_DAY and fact.day not in (None, known.day):
            self._of_another_day(fact, known)
        elif not known.given or fact.why is Cancellation.DELETED:
            self._take_back(known)
        elif fact.why is not Cancellation.DISCONTINUED:
            raise NotJudgedError("it takes an infusion back that was reported as given")

    def _of_another_day(self, fact: InfusionCancelled, known: Order) -> None:
        """An administration on another day than that of the order: what holds of that day is not this one."""
        if fact.why is Cancellation.NOT_GIVEN and not known.given:
            raise NotJudgedError("it says that an infusion was not given on another day than that of its order")
        if fact.why is Cancellation.DELETED and fact.day is not None:
            for one in known.patients:
                self._remove(one, fact.day, known.number)

    def _take_back(self, known: Order) -> None:
        for one in known.patients:
            self._remove(one, known.day, known.number)
        self._orders.forget(known)

    def _remove(self, patient: PatientKey, day: date, order: str) -> None:
        """A day that another order stands for as well stays."""
        if not self._orders.others_on(patient, day, but=order):
            self._index.remove_infusion(patient, day)


def _has_others(patients: Sequence[PatientKey], before: Order) -> bool:
    """Whether an ID was not known of the order, in any spelling."""
    return any(not is_same_patient(one, before.patients) for one in patients)
