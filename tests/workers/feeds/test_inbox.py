"""Messages in a folder: durable, in order, once; what cannot be applied costs only itself."""

from __future__ import annotations

import errno
import os
import time
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes import FakePatientFacts
from tests.unreadable import make_unreadable
from tests.workers.feeds.test_hl7_messages import PID, WORDS, message
from triage.errors import Transient
from workers.feeds.apply import Applier
from workers.feeds.facts import Fact, PatientsMerged
from workers.feeds.hl7_fields import MalformedMessageError
from workers.feeds.inbox import KEEP_DAYS, READ_TRIES, Inbox
from workers.feeds.orders import KnownOrders
from workers.ports import PatientKey


def merge(new: str, old: str) -> bytes:
    return message("ADT^A40", f"PID|1||{new}", f"MRG|{old}")


class Applied:
    """Remembers what was applied; fails as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.facts: list[Fact] = []
        self.error = error

    def __call__(self, facts: tuple[Fact, ...], source: str) -> None:
        if self.error is not None:
            raise self.error
        self.facts.extend(facts)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", WORDS)


def test_messages_are_applied_in_order_and_once(inbox: Inbox) -> None:
    for new, old in (("B", "A"), ("C", "B"), ("D", "C")):
        assert inbox.take(merge(new, old))[1] == "stored"
    applied = Applied()
    assert inbox.apply_waiting(applied) == 3
    assert applied.facts == [PatientsMerged(PatientKey(n), PatientKey(o)) for n, o in ("BA", "CB", "DC")]
    assert inbox.apply_waiting(applied) == 0


@pytest.mark.parametrize("folder", ["new", "failed"])
def test_a_folder_that_cannot_be_read_is_not_empty(inbox: Inbox, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """And a message is not acknowledged whose place in the order nobody knows."""
    inbox.take(merge("B", "A"))
    again, applied = Inbox(inbox._new.parent, WORDS), Applied()
    with monkeypatch.context() as patch:
        make_unreadable(patch, inbox._new.parent / folder)
        with pytest.raises(PermissionError):
            again.waiting()
        with pytest.raises(PermissionError):
            again.take(merge("C", "B"))
        if folder == "new":
            with pytest.raises(PermissionError):
                again.apply_waiting(applied)
    assert again.waiting() == (1, 0)
    assert again.apply_waiting(applied) == 1


def test_a_message_sent_again_is_applied_once(inbox: Inbox) -> None:
    applied = Applied()
    for _ in range(2):
        inbox.take(merge("B", "A"))
        inbox.apply_waiting(applied)
    assert len(applied.facts) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Transient("index: away"), id="the index is away"),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="the disk is full"),
        pytest.param(OSError(errno.EIO, "Input/output error"), id="the disk fails"),
    ],
)
def test_a_fault_of_the_node_keeps_what_waits(inbox: Inbox, fault: Exception) -> None:
    inbox.take(merge("B", "A"))
    inbox.take(merge("D", "C"))
    with pytest.raises(type(fault)):
        inbox.apply_waiting(Applied(fault))
    assert inbox.waiting() == (2, 0)
    applied = Applied()
    assert inbox.apply_waiting(applied) == 2
    assert [fact.new.patient_id for fact in applied.facts if isinstance(fact, PatientsMerged)] == ["B", "D"]


def test_a_file_that_stays_unreadable_costs_only_itself(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.take(merge("B", "A"))
    inbox.take(merge("D", "C"))
    real, bad = Path.read_bytes, min(inbox._new.glob("*.hl7"))

    def read(path: Path) -> bytes:
        if path.name == bad.name:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    applied = Applied()
    for _ in range(READ_TRIES - 1):
        with pytest.raises(OSError, match="Input/output"):
            inbox.apply_waiting(applied)
    assert (inbox.waiting(), applied.facts) == ((2, 0), []), "the order of arrival is kept for a while"
    assert inbox.apply_waiting(applied) == 1
    assert inbox.waiting() == (0, 1)


def test_a_cancellation_that_meets_a_full_disk_is_applied_afterwards(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = "ORC|{}|77", "OBR|1|77||CART1^CAR-T infusion|||20240304"
    facts = FakePatientFacts()
    apply = Applier(facts, KnownOrders(tmp_path / "orders.json"))
    inbox.take(message("OMI^O23", PID, order[0].format("NW"), order[1]))
    assert inbox.apply_waiting(apply) == 1
    assert facts.infusions

    def full(_orders: KnownOrders) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    inbox.take(message("OMI^O23", PID, order[0].format("CA"), order[1]))
    with monkeypatch.context() as patched:
        patched.setattr(KnownOrders, "_write_file", full)
        with pytest.raises(OSError, match="No space"):
            inbox.apply_waiting(apply)
    assert inbox.apply_waiting(apply) == 1
    assert (inbox.waiting(), facts.infusions) == ((0, 0), {})


def test_a_message_that_cannot_be_applied_costs_only_itself(inbox: Inbox) -> None:
    inbox.take(merge("B", "A"))
    assert inbox.apply_waiting(Applied(ValueError("bug"))) == 0
    inbox.take(merge("D", "C"))
    applied = Applied()
    assert inbox.apply_waiting(applied) == 1
    assert inbox.waiting() == (0, 1)
    assert inbox.retry_failed() == 1
    assert inbox.apply_waiting(applied) == 1


HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    "steps", [pytest.param([1, 2, 3], id="noop"), pytest.param([0, -HOUR_NS, -2 * HOUR_NS], id="set back"),
        pytest.param([0, 0, 0], id="not measured: it stands still")]
)  # fmt: skip
def test_a_clock_that_is_set_back_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int], restarted: bool
) -> None:
    began, inbox = time.time_ns(), Inbox(tmp_path / "inbox", WORDS)
    for step, (new, old) in zip(steps, ("BA", "CB", "DC"), strict=True):
        monkeypatch.setattr(time, "time_ns", lambda step=step: began + step)
        inbox.take(merge(new, old))
        inbox = Inbox(tmp_path / "inbox", WORDS) if restarted else inbox
    applied = Applied()
    assert inbox.apply_waiting(applied) == 3
    assert applied.facts == [PatientsMerged(PatientKey(n), PatientKey(o)) for n, o in ("BA", "CB", "DC")]


def test_what_was_set_aside_is_applied_again_in_the_order_of_its_arrival(inbox: Inbox) -> None:
    chain = [f"P{number}" for number in range(8)]
    for old, new in pairwise(chain):
        inbox.take(merge(new, old))
    inbox.apply_waiting(Applied(ValueError("bug")))
    inbox.take(merge("Z", chain[-1]))
    assert inbox.retry_failed() == 7
    applied = Applied()
    inbox.apply_waiting(applied)
    assert applied.facts == [PatientsMerged(PatientKey(n), PatientKey(o)) for o, n in pairwise([*chain, "Z"])]


def order(day: str, state: str = "NW", number: str = "77") -> bytes:
    return message("OMI^O23", PID, f"ORC|{state}|{number}", f"OBR|1|{number}||CART1^CAR-T infusion|||{day}")


@pytest.mark.parametrize(
    ("later", "days"),
    [
        pytest.param((), {date(2024, 3, 4)}, id="not measured: nothing came after it"),
        pytest.param((order("20240601", number="78"),), {date(2024, 3, 4), date(2024, 6, 1)}, id="noop: another order"),
        pytest.param((order("20240318"),), {date(2024, 3, 18)}, id="moved"),
        pytest.param((order("20240318"), order("20240402")), {date(2024, 4, 2)}, id="moved twice"),
        pytest.param((order("20240318"), order("20240318", "CA")), set(), id="moved and cancelled"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_message_that_is_tried_again_late_says_nothing_against_later_ones(
    tmp_path: Path, later: tuple[bytes, ...], days: set[date], restarted: bool
) -> None:
    inbox, facts = Inbox(tmp_path / "inbox", WORDS), FakePatientFacts()
    inbox.take(order("20240304"))
    inbox.apply_waiting(Applied(ValueError("bug")))
    for raw in later:
        inbox.take(raw)
    inbox.apply_waiting(Applier(facts, KnownOrders(tmp_path / "orders.json")))
    inbox = Inbox(tmp_path / "inbox", WORDS) if restarted else inbox
    inbox.forget_old(now_s=time.time() + (KEEP_DAYS + 1) * 86400)
    assert inbox.retry_failed() == 1
    assert inbox.apply_waiting(Applier(facts, KnownOrders(tmp_path / "orders.json"))) == 1
    assert ({day for _, day in facts.infusions}, inbox.waiting()) == (days, (0, 0))


def test_what_a_person_dismissed_replaces_nothing(inbox: Inbox, tmp_path: Path) -> None:
    for raw in (order("20240304"), order("20240318")):
        inbox.take(raw)
        inbox.apply_waiting(Applied(ValueError("bug")))
    first, second = sorted((tmp_path / "inbox" / "failed").iterdir())
    first.rename(tmp_path / first.name)
    assert inbox.dismiss_failed() == 1
    (tmp_path / first.name).rename(first)
    facts = FakePatientFacts()
    inbox.retry_failed()
    assert inbox.apply_waiting(Applier(facts, KnownOrders(tmp_path / "orders.json"))) == 1
    assert {day for _, day in facts.infusions} == {date(2024, 3, 4)}
    assert not second.exists()


def test_whether_a_late_message_still_holds_must_be_known(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.take(order("20240304"))
    inbox.apply_waiting(Applied(ValueError("bug")))
    inbox.take(order("20240318"))
    inbox.apply_waiting(Applied())
    inbox.retry_failed()
    (unreadable,), real = (tmp_path / "inbox" / "applied").iterdir(), Path.read_bytes

    def read(path: Path) -> bytes:
        if path == unreadable:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    applied = Applied()
    inbox.apply_waiting(applied)
    assert (inbox.waiting(), applied.facts) == ((0, 1), [])


def test_a_message_sent_again_is_set_aside_once(inbox: Inbox) -> None:
    for _ in range(2):
        inbox.take(merge("B", "A"))
        inbox.apply_waiting(Applied(ValueError("bug")))
    assert inbox.waiting() == (0, 1)
    assert inbox.dismiss_failed() == 1
    inbox.take(merge("B", "A"))
    assert inbox.waiting() == (0, 0)


def test_what_an_older_program_set_aside_is_applied_again(inbox: Inbox, tmp_path: Path) -> None:
    inbox.take(merge("B", "A"))
    inbox.apply_waiting(Applied(ValueError("bug")))
    (path,) = (tmp_path / "inbox" / "failed").iterdir()
    path.rename(path.with_name(path.name.split("-")[1]))
    inbox.take(merge("C", "B"))
    assert inbox.retry_failed() == 1
    applied = Applied()
    assert inbox.apply_waiting(applied) == 2
    assert applied.facts[0] == PatientsMerged(PatientKey("B"), PatientKey("A"))


def test_what_is_none_of_our_business_is_not_kept(inbox: Inbox) -> None:
    header, said = inbox.take(message("ORU^R01", PID))
    assert (header.control_id, said, inbox.waiting()) == ("42", "ORU messages are not read", (0, 0))


def test_what_no_rule_judges_is_kept_and_listed(inbox: Inbox, tmp_path: Path) -> None:
    said = inbox.take(message("ADT^A24", "PID|1||P7", "PID|2||P8"))[1]
    assert said == "stored; a person must judge it: ADT^A24: patients are linked"
    assert inbox.apply_waiting(Applier(FakePatientFacts(), KnownOrders(tmp_path / "orders.json"))) == 0
    assert inbox.waiting() == (0, 1)


def test_a_malformed_message_is_not_kept_and_its_header_is_known(inbox: Inbox) -> None:
    with pytest.raises(MalformedMessageError) as error:
        inbox.take(message("ADT^A40", PID))
    assert error.value.header is not None
    assert error.value.header.control_id == "42"
    assert inbox.waiting() == (0, 0)


def test_only_the_owner_reads_the_messages(inbox: Inbox, tmp_path: Path) -> None:
    inbox.take(merge("B", "A"))
    (path,) = (tmp_path / "inbox" / "new").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_applied_messages_are_forgotten_after_a_month(inbox: Inbox, tmp_path: Path) -> None:
    inbox.take(merge("B", "A"))
    inbox.apply_waiting(Applied())
    (path,) = (tmp_path / "inbox" / "applied").iterdir()
    inbox.forget_old(now_s=time.time())
    assert path.exists()
    os.utime(path, (0, time.time() - (KEEP_DAYS + 1) * 86400))
    inbox.forget_old(now_s=time.time())
    assert not path.exists()
