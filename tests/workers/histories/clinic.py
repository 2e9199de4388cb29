"""Stories of a ward: infusions that are given, planned and cancelled, two infusions close to each other, studies around
midnight, emergency IDs that change twice, answers that are taken back."""

from __future__ import annotations

from tests.workers.histories.events import (
    Answered,
    Cancelled,
    History,
    Merged,
    Ordered,
    Rejected,
    Removed,
    Reported,
    Split,
)
from tests.workers.histories.more import BOTH_SUSPECTED
from tests.workers.histories.notes import STORIES as STORIES_BEFORE
from tests.workers.histories.scans import ME, Scan
from tests.workers.histories.table import (
    D5,
    D7,
    FAINT,
    KNOWN,
    NO,
    OPEN,
    POSSIBLE,
    PRE,
    RESTORED,
    SUSPECTED,
    TWO,
    A,
)

EMERGENCY = Scan("d5", 5, A, patient_id="E1", corrected="E2")

CLINIC = [
    # what is given, planned and cancelled
    History("given, and another order is planned three weeks later", (PRE, D5, D7), KNOWN,
        ((Ordered("O1", 0, given=True), Ordered("O2", 20)),), BOTH_SUSPECTED),
    History("planned, given under another number, and the plan is sent again", (PRE, D5, D7), KNOWN,
        ((Ordered("O2", 6), Ordered("O1", 0, given=True), Ordered("O2", 6)),), BOTH_SUSPECTED),
    History("noop: given, and a retreatment is planned", (PRE, D5, Scan("d95", 95, A)), TWO,
        ((Ordered("O1", 0, given=True), Ordered("O2", 90)),), {"d5": f"{SUSPECTED} pre", "d95": f"{POSSIBLE} d5"}),
    History("on the roster, and an order of that day is cancelled", (PRE, D5, D7), KNOWN,
        ((Reported(0),), (Ordered("O1", 0), Cancelled("O1"))), BOTH_SUSPECTED),
    History("a person corrects an order, which is sent again", (PRE, D5, D7), KNOWN,
        ((Ordered("O1", 6), Reported(0), Ordered("O1", 6)),), BOTH_SUSPECTED),
    History("a person removes the day of an order, which is sent again", (PRE, D5, D7), (),
        ((Ordered("O1", 6), Removed(6), Ordered("O1", 6)),), BOTH_SUSPECTED),
    # infusions close to each other
    History("two infusions 40 days apart", (PRE, D5, Scan("d35", 35, FAINT), Scan("d45", 45, A)), (("", 0), ("", 40)),
        expected={"d5": f"{SUSPECTED} pre", "d35": f"{POSSIBLE} pre", "d45": f"{POSSIBLE} d35"}),
    History("two infusions 40 days apart, and no study between", (PRE, Scan("d45", 45, A)), (("", 0), ("", 40)),
        expected={"d45": f"{SUSPECTED} pre"}),
    History("three infusions, ill since the first", (PRE, D5, Scan("d95", 95, A), Scan("d195", 195, A)),
        (*TWO, ("", 190)), expected={"d95": f"{POSSIBLE} d5", "d195": f"{POSSIBLE} d95"}),
    History("retreated, and what lies between is rejected", (PRE, D5, Scan("d80", 80), Scan("d95", 95, A)), TWO,
        expected={"d80": f"{OPEN} pre", "d95": f"{POSSIBLE} d5"}, rejected=(Rejected("d80"),)),
    History("retreated, and a copy of the positive has a later date", (PRE, D5, Scan("copy", 80, A, copies="d5"),
        Scan("d95", 95, A)), TWO, expected={"copy": f"{SUSPECTED} pre", "d95": f"{POSSIBLE} d5"}),
    # around midnight, and before treatment
    History("a study before midnight and one after", (PRE, Scan("n5", 5, at="235900"), Scan("n6", 6, A, at="000100")),
        KNOWN, expected={"n5": f"{NO} pre", "n6": f"{SUSPECTED} pre"}),
    History("on the day of the infusion at night, and after midnight", (PRE, Scan("d0", 0, A, at="230000"),
        Scan("d1", 1, A, at="003000")), KNOWN, expected={"d0": f"{SUSPECTED} pre", "d1": f"{SUSPECTED} pre"}),
    History("found before treatment, and more and less after", (Scan("pre", -10, A), Scan("d5", 5, {"A": 4}),
        Scan("d9", 9, {"A": 3})), KNOWN, expected={"d5": f"{SUSPECTED} pre", "d9": f"{POSSIBLE} pre"}),
    # emergency IDs
    History("an emergency ID is corrected, and the correct one is merged", (PRE, EMERGENCY, D7), KNOWN,
        ((Reported(0),), (Merged("E2", "P1"),)), BOTH_SUSPECTED, (Merged("E2", "P1"),)),
    History("an emergency ID is corrected, merged and split", (PRE, EMERGENCY, D7), KNOWN,
        ((Reported(0),), (Merged("E2", "P1"), Split("E2", "P1"))), {"d5": POSSIBLE, "d7": f"{SUSPECTED} pre"}),
    History("an emergency ID is corrected and merged as well", (PRE, Scan("d5", 5, A, patient_id="E1", corrected="P1"),
        D7), KNOWN, ((Reported(0),), (Merged("E1", "P1"),)), BOTH_SUSPECTED, (Merged("E1", "P1"),)),
    # answers that are taken back
    History("the baseline is rejected, restored and rejected again", (Scan("pre", -10, afterwards=(
        Rejected("pre"), Answered("pre", ME, RESTORED), Rejected("pre", "113038"))), D5), KNOWN,
        expected={"d5": POSSIBLE}),
]  # fmt: skip
STORIES = [*STORIES_BEFORE, *CLINIC]
