"""Facts of a clinical system in, calls on the index out. Applying the same facts twice does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from triage.infusions import CORRECTION_DAYS, Infusion
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
from workers.identity_events import IdentityRefusedError
from workers.ports import PatientKey

OF_ONE_DAY = frozenset({Cancellation.NOT_GIVEN, Cancellation.DELETED})


class PatientFacts(Protocol):
    """What is needed of the index. Each call may be repeated, and may raise errors.Transient."""

    def add_infusion(self, patient: PatientKey, infusion: Infusion) -> None: ...

    def has_heard_of(self, patient: PatientKey, day: date) -> bool:
        """Whether anything was ever said of that day, whatever holds now."""

    def say_again(self, patient: PatientKey, day: date) -> None:
        """What holds of that day is the last word from now on."""

    def remove_infusion(self, patient: PatientKey, day: date) -> bool:
        """False: a person or a roster states that day, so it stays."""

    def merge_patients(self, *, old: PatientKey, new: PatientKey, source: str) -> None:
        """Raises IdentityRefusedError when it contradicts what is in force."""

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


class OtherNumberError(NotJudgedError):
    """A cancellation of an order that is not known here, on the day of another one: it may be that one, by its other
    number."""

    def __init__(self) -> None:
        super().__init__("it cancels an order that is not known here, and another order stands for its day")


class StatedByPersonError(NotJudgedError):
    """A day is taken back that a person or a roster states, too."""

    def __init__(self) -> None:
        super().__init__("it takes an infusion back that a person or a roster states: only a person removes it")


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
                try:
                    self._index.merge_patients(old=old, new=new, source=source)
                except IdentityRefusedError as error:  # its text names the patients
                    raise NotJudgedError("a merge contradicts one that is in force") from error
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
        not move it, and no other order that is near does."""
        stated = (fact.patient, *fact.also)
        before = self._orders.get(stated, fact.order) if fact.order else None
        if before is not None and before.given and not fact.given and before.day != fact.day:
            return
        patients = stated
        if before is not None:
            # the same resource of another patient: it is no longer that of the former one
            left = (one for one in before.patients if not is_same_patient(one, stated))
            patients += () if is_reference(fact.order) else tuple(left)
            if self._is_known(before, fact, patients):
                return
        near = [] if fact.given else self._orders.given_near(patients, fact.day, but=fact.order)
        for one in patients:
            self._index.add_infusion(one, Infusion(fact.day, kind=fact.kind, source=source))
        self._hold(near)
        stays = before is not None and self._moved_from(before, fact, patients)
        if fact.order:
            given = fact.given or (before is not None and before.given)
            now = Order(patients[0], fact.order, fact.day, given, patients[1:])
            if before is None or before.day != now.day or before.given != given or _has_others(patients, before):
                self._orders.put(now)
        if stays:
            raise StatedByPersonError

    def _is_known(self, before: Order, fact: InfusionReported, patients: Sequence[PatientKey]) -> bool:
        """Whether the very same was said before. Who repeats it does not contradict what a person has said since."""
        others = _has_others(patients, before) or any(not is_same_patient(one, patients) for one in before.patients)
        same = before.day == fact.day and (before.given or not fact.given) and not others
        return same and all(self._index.has_heard_of(one, fact.day) for one in patients)

    def _hold(self, given: Sequence[Order]) -> None:
        """What is planned close to an infusion that was given is that one: the later word must not replace it."""
        for one in given:
            for patient in one.patients:
                self._index.say_again(patient, one.day)

    def _moved_from(self, before: Order, fact: InfusionReported, patients: Sequence[PatientKey]) -> bool:
        """Take the former day of an order back, and that of a resource from whoever has it no more. True: it stays,
        since a person states it, and no day that is near replaces it."""
        other = [one for one in before.patients if is_reference(fact.order) and one not in patients]
        left = self._stays(before.patients if before.day != fact.day else other, before.day, fact.order)
        is_far = abs((before.day - fact.day).days) > CORRECTION_DAYS
        return any(is_far or one in other for one in left)

    def _cancelled(self, fact: InfusionCancelled) -> None:
        stated = (fact.patient, *fact.also)
        known = self._orders.get(stated, fact.order) if fact.order else None
        if known is None:
            # the end of an order that is not known here: perhaps the infusion of that day was given before
            if fact.day is None or fact.why is Cancellation.DISCONTINUED:
                raise UnknownOrderError
            if any(self._orders.others_on(one, fact.day, but=fact.order) for one in stated):
                raise OtherNumberError
            if self._stays(stated, fact.day, fact.order):
                raise StatedByPersonError
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
        deleted = fact.day if fact.why is Cancellation.DELETED else None
        if deleted is not None and self._stays(known.patients, deleted, known.number):
            raise StatedByPersonError

    def _take_back(self, known: Order) -> None:
        stays = self._stays(known.patients, known.day, known.number)
        self._orders.forget(known)  # at the end: what fails is taken back again
        if stays:
            raise StatedByPersonError

    def _stays(self, patients: Sequence[PatientKey], day: date, order: str) -> list[PatientKey]:
        """Take a day back, unless another order stands for it as well. Under which of the IDs a person states it, so
        that it stays."""
        return [
            one
            for one in patients
            if not self._orders.others_on(one, day, but=order) and not self._index.remove_infusion(one, day)
        ]


def _has_others(patients: Sequence[PatientKey], before: Order) -> bool:
    """Whether an ID was not known of the order, in any spelling."""
    return any(not is_same_patient(one, before.patients) for one in patients)
