"""Further stories of patients, of an adversary: chains of merges, facts that move past a study, answers taken back."""

from __future__ import annotations

from tests.workers.histories.events import (
    Answered,
    Arrives,
    Confirmed,
    Corrected,
    History,
    Merged,
    Removed,
    Reported,
    Split,
)
from tests.workers.histories.scans import FLAIR, T1, Scan
from tests.workers.histories.table import (
    D5,
    D7,
    DISCARDED,
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
from tests.workers.histories.table import STORIES as FIRST_STORIES

PRE_8, PRE_9, D5_9 = (
    Scan("pre", -10, patient_id="P8"),
    Scan("pre", -10, patient_id="P9"),
    Scan("d5", 5, A, patient_id="P9"),
)
FIRST, SECOND, BACK = Merged("P8", "P9"), Merged("P9", "P1"), Merged("P1", "P9")
BOTH_SUSPECTED = {"d5": f"{SUSPECTED} pre", "d7": f"{SUSPECTED} pre"}


def strangers(*answers: object) -> Scan:
    return Scan("d5", 5, A, parts=(FLAIR, T1), wrong_id="P9", afterwards=answers)


MORE = [
    # chains of merges
    History("three IDs, the first link is taken back", (PRE_8, D5_9, D7), KNOWN,
        ((Reported(0),), (FIRST, SECOND, Split("P8", "P9"))), {"d5": POSSIBLE, "d7": f"{POSSIBLE} since:d5"},
        (SECOND,)),
    History("three IDs, the second link is taken back", (PRE_8, D5_9, D7), KNOWN,
        ((Reported(0),), (FIRST, SECOND, Split("P9", "P1"))), {"d5": f"{SUSPECTED} pre", "d7": POSSIBLE}, (FIRST,)),
    History("three IDs, the links come in the other order", (PRE_8, D5_9, D7), KNOWN,
        ((Reported(0),), (SECOND, FIRST)), BOTH_SUSPECTED, (FIRST, SECOND)),
    History("three IDs, each with a date of its own", (PRE_8, D5_9, D7), KNOWN,
        ((Reported(-30, patient_id="P8"), Reported(-20, patient_id="P9"), Reported(0)), (FIRST, SECOND)),
        BOTH_SUSPECTED, (FIRST, SECOND)),
    History("a merge in the wrong direction, corrected", (PRE_9, D5), KNOWN,
        ((Reported(0),), (BACK, Split("P1", "P9"), SECOND)), {"d5": f"{SUSPECTED} pre"}, (SECOND,)),
    History("a merge in the wrong direction, then in the right one", (PRE_9, D5), KNOWN,
        ((Reported(0),), (BACK, SECOND)), {"d5": f"{SUSPECTED} pre"}, (SECOND,)),
    History("merged to and fro", (PRE_9, D5, D7), KNOWN, ((Reported(0, patient_id="P9"),), (SECOND, BACK, SECOND)),
        BOTH_SUSPECTED, (SECOND,)),
    History("merged back, and split", (PRE_9, D5), KNOWN, ((Reported(0),), (BACK, SECOND, Split("P9", "P1"))),
        {"d5": POSSIBLE}),
    History("a merge with a stranger, taken back, and with the right one", (PRE_9,
        Scan("o2", 2, A, patient_id="P8"), D5), KNOWN, ((Reported(0),), (Merged("P8", "P1"), Split("P8", "P1"),
        SECOND)),
        {"d5": f"{SUSPECTED} pre", "o2": POSSIBLE},
        (SECOND,)),
    History("a date that came while two IDs were merged stays with its ID", (PRE_9, D5, D7), KNOWN,
        ((SECOND, Reported(0), Split("P9", "P1")),), {"d5": POSSIBLE, "d7": f"{POSSIBLE} since:d5"}),
    # infusions that move past a study
    History("the date moves past a positive study", (PRE, D5, D7), (("", 6),), ((Reported(0), Reported(6)),),
        {"d5": f"{SUSPECTED} pre", "d7": f"{NO} d5"}),
    History("the date moves past a positive study and back", (PRE, D5, D7), KNOWN,
        ((Reported(0), Reported(6), Reported(0)),), BOTH_SUSPECTED),
    History("the day before, by another zone", (Scan("pre", 0), D5), KNOWN, ((Reported(-1), Reported(0)),),
        {"d5": f"{SUSPECTED} pre"}),
    History("the day after, by another zone", (PRE, Scan("d1", 1, A)), KNOWN, ((Reported(1), Reported(0)),),
        {"d1": f"{SUSPECTED} pre"}),
    History("two infusions with studies between, the first withdrawn", (PRE, D5, Scan("d80", 80), Scan("d95", 95, A)),
        (("", 90),), ((Reported(0), Reported(90), Removed(0)),), {"d95": f"{SUSPECTED} d80"}),
    History("two infusions, a positive on the day of the second", (PRE, Scan("d90", 90, A), Scan("d95", 95, A)), TWO,
        expected={"d90": f"{SUSPECTED} pre", "d95": f"{SUSPECTED} pre"}),
    # identities that change more than once
    History("corrected twice", (Scan("pre", -10, patient_id="E1", corrected="E2", afterwards=(Corrected("pre", "P1"),
        Confirmed("P1"))), D5), KNOWN, expected={"d5": f"{SUSPECTED} pre"}),
    History("corrected to a stranger and back", (PRE, Scan("d5", 5, A, corrected="P9",
        afterwards=(Corrected("d5", "P1"),
        Confirmed("P1"))), D7), KNOWN, expected=BOTH_SUSPECTED),
    History("the message comes before the images under the right ID", (Scan("pre", -10, patient_id="E1",
        afterwards=(Confirmed("P1"), Corrected("pre", "P1"))), D5), KNOWN, expected={"d5": POSSIBLE}),
    # answers that are taken back
    History("discarded, then restored", (PRE, strangers(Answered("d5", "P9", DISCARDED),
        Answered("d5", "P9", RESTORED)), D7),
        KNOWN, expected=BOTH_SUSPECTED),
    History("restored, then discarded", (PRE, strangers(Answered("d5", "P9", RESTORED),
        Answered("d5", "P9", DISCARDED)), D7),
        KNOWN, expected={"d5": f"{OPEN} pre", "d7": f"{SUSPECTED} pre"}),
    History("the baseline discarded, then restored, in parts", (Scan("pre", -10, parts=(FLAIR, T1), wrong_id="P9",
        afterwards=(Answered("pre", "P9", DISCARDED), Answered("pre", "P9", RESTORED))), D5), KNOWN,
        expected={"d5": f"{SUSPECTED} pre"}),
    # more of a series
    History("re-sent with slices more", (Scan("pre", -10, parts=(FLAIR, FLAIR)), Scan("d5", 5, A, parts=(FLAIR,
        FLAIR))),
        KNOWN, ((Reported(0),), (Arrives("pre"),), (Arrives("d5"),)), {"d5": f"{SUSPECTED} pre"}),
    History("the positive between two decided ones, in three parts", (PRE, Scan("d5", 5, A, parts=(T1, FLAIR,
        FLAIR)), D7),
        (), expected=BOTH_SUSPECTED),
    History("blank slices of a prior that comes in parts, date not known", (Scan("pre", -10, blank=1, parts=(T1,
        FLAIR)), D5,
        Scan("d9", 9, FAINT)), expected={"d5": f"{SUSPECTED} pre", "d9": f"{POSSIBLE} pre"}),
]  # fmt: skip
STORIES = [*FIRST_STORIES, *MORE]
