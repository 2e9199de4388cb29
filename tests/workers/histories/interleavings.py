"""Any interleaving of what happens to a patient and what the node does, faults included: the end is always the same."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.workers.histories.clinic import STORIES
from tests.workers.histories.events import Arrives, Event, History
from tests.workers.histories.world import End, World, check_versions, known_from_the_start, world
from triage.report.headline import NOT_EXCLUDED
from workers.ports import ACUTE_CATEGORIES

MANY = st.integers(0, 10_000)  # which of several: modulo their number
IN_TESTS, AT_NIGHT = 150, 500  # interleavings for each of two files; at night for each of ten rounds
SET_BACK_S = 3600.0
NIGHT_S = 7200  # 500 of them beside other work; a limit that ends them looks like a find
SAID_FIRST = (
    "no_baseline",
    "the category falls",
    "assessed again",
    "no change since",
    "motion",
    "no_flair",
    "pattern A: not seen, but it may be hidden",
)


def profile() -> settings:
    """As many interleavings as the chore asks for."""
    return settings(max_examples=AT_NIGHT if settings.default.max_examples > 100 else IN_TESTS, stateful_step_count=20)


@cache
def _with_full_knowledge(name: str) -> dict[str, End]:
    return known_from_the_start(next(history for history in STORIES if history.name == name))


class Interleaving(RuleBasedStateMachine):
    """One history of ``stories``; every rule is one step of the patient, of the node, or a fault."""

    stories: list[History]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(number=MANY, last=MANY)
    def begin(self, number: int, last: int) -> None:
        self.history = self.stories[number % len(self.stories)]
        self.expected = _with_full_knowledge(self.history.name)  # before the world: they share the index
        self.one: World = self.stack.enter_context(world(self.history.scans))
        self.left: list[list[Event]] = [list(events) for events in self.history.all_chains()]
        self.sent: list[Arrives] = []
        self.last = last  # the order of what is left when the steps are used up, and whether the node keeps up with it

    # --- the patient

    @precondition(lambda self: any(self.left))
    @rule(number=MANY)
    def happens(self, number: int) -> None:
        waiting = [events for events in self.left if events]
        event = waiting[number % len(waiting)].pop(0)
        self.one.apply(event)
        if isinstance(event, Arrives):
            self.sent.append(event)

    @precondition(lambda self: self.sent)
    @rule(number=MANY)
    def is_sent_again(self, number: int) -> None:
        self.one.apply(self.sent[number % len(self.sent)])

    # --- the node

    @rule(number=MANY)
    def is_quiet(self, number: int) -> None:
        rows = self.one.index.receiving()
        if rows:
            self.one.quiet(rows[number % len(rows)].study_instance_uid)

    @rule(number=MANY)
    def works(self, number: int) -> None:
        rows = self.one.index.due(now=self.one.clock.now())
        if rows:
            self.one.work(rows[number % len(rows)].study_instance_uid)

    @rule()
    def compares(self) -> None:
        self.one.beat()

    @rule()
    def waits(self) -> None:
        self.one.wait()

    @rule()
    def everything_is_done(self) -> None:
        """Nothing heals what comes next but itself: any other decision would have the patient compared, too."""
        self.one.settle()

    # --- faults

    @rule(number=MANY, stage=st.sampled_from(["first_look", "full", "saved"]))
    def a_worker_dies(self, number: int, stage: str) -> None:
        rows = self.one.index.due(now=self.one.clock.now())
        if rows:
            self.one.dies(rows[number % len(rows)].study_instance_uid, stage)

    @precondition(lambda self: self.sent)
    @rule(number=MANY)
    def cannot_be_read(self, number: int) -> None:
        self.one.reader.away ^= {self.sent[number % len(self.sent)].uid}  # or can again

    @precondition(lambda self: self.sent)
    @rule(number=MANY)
    def is_cut_short(self, number: int) -> None:
        """A stored file lost a byte, until it is repaired."""
        faults, uid = self.one.files.faults, self.sent[number % len(self.sent)].uid
        faults.pop(uid) if uid in faults else faults.update({uid: 1})

    @precondition(lambda self: self.one.reader.notes)
    @rule(number=MANY)
    def a_note_cannot_be_read(self, number: int) -> None:
        names = sorted(self.one.reader.notes)
        self.one.reader.notes_away ^= {names[number % len(names)]}  # or can again

    @rule()
    def starts_again(self) -> None:
        self.one.restarts()

    @rule()
    def the_clock_is_set_back(self) -> None:
        self.one.clock.leap(-SET_BACK_S)

    # --- the end

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "one"):
                self._end()

    def _end(self) -> None:
        while any(self.left):
            self.happens(self.last)
            if self.last % 2:  # otherwise all at once
                self.one.settle()
        self.one.settle()
        assert self.one.ends() == self.expected
        check_versions(self.one)
        self._nothing_is_quiet()
        self.one.cleans()
        self.one.settle()
        assert self.one.ends() == self.expected, "deleting images changes no decision"

    def _nothing_is_quiet(self) -> None:
        """A study that shows more than the patient did before treatment is at least possible, or says why not first."""
        first = min((day for _, day in self.history.known), default=0)
        scans = self.one.scans.values()
        before = [scan for scan in scans if scan.day is not None and scan.day <= first]
        for scan in scans:
            decision = self.one.document(scan.uid)["decision"]
            more = [
                p for p, amount in scan.shows.items() if amount > max((b.shows.get(p, 0) for b in before), default=0)
            ]
            if more and decision["category"] not in ACUTE_CATEGORIES:
                first_line = decision["reasons"][0]
                named = set(first_line.removeprefix(NOT_EXCLUDED).replace(",", " ").split())
                open_too = first_line.startswith(NOT_EXCLUDED) and named.issuperset(more)
                assert open_too or first_line.startswith(SAID_FIRST), f"{scan.uid}: {decision['reasons']}"
