"""Stories that no one had shown: orders of infusions, dates that move, patients that share an ID, studies in pieces."""

from __future__ import annotations

from datetime import date

from tests.workers.histories.events import Cancelled, History, Merged, Ordered, Removed, Renamed, Reported
from tests.workers.histories.more import BOTH_SUSPECTED, D5_9, PRE_8, PRE_9
from tests.workers.histories.more import STORIES as STORIES_BEFORE
from tests.workers.histories.scans import FLAIR, T1, Scan
from tests.workers.histories.table import (
    BORN,
    D5,
    D7,
    FAINT,
    KNOWN,
    NO,
    OPEN,
    OTHER_BORN,
    POSSIBLE,
    PRE,
    SUSPECTED,
    A,
)

C = {"C": 2}
DWI, ADC = ("dwi",), ("adc",)
BY_DWI = {"C": "dwi"}
ANON = "ANON"
MORNING, EVENING = Scan("m0", 0, at="080000"), Scan("e0", 0, A, at="200000")

FURTHER = [
    # orders of infusions
    History("ordered, cancelled, ordered again under another number", (PRE, D5, D7), KNOWN,
        ((Ordered("O1", -3), Cancelled("O1"), Ordered("O2", 0)),), BOTH_SUSPECTED),
    History("ordered twice for one day, one of them cancelled", (PRE, D5), KNOWN,
        ((Ordered("O1", 0), Ordered("O2", 0), Cancelled("O1")),), {"d5": f"{SUSPECTED} pre"}),
    History("an order moved past a positive study and back", (PRE, D5, D7), KNOWN,
        ((Ordered("O1", 0), Ordered("O1", 45), Ordered("O1", 0)),), BOTH_SUSPECTED),
    History("a second order by mistake, cancelled", (PRE, D5, D7), KNOWN,
        ((Ordered("O1", 0), Ordered("O2", 12), Cancelled("O2")),), BOTH_SUSPECTED),
    History("an order cancelled for good", (PRE, D5, D7), (), ((Ordered("O1", 0), Cancelled("O1")),), BOTH_SUSPECTED),
    History("ordered under another ID, renamed, cancelled, ordered again", (PRE_9, D5, D7), KNOWN,
        ((Ordered("O1", -2, "P9"), Renamed("P9", "P1"), Cancelled("O1"), Ordered("O2", 0)),), BOTH_SUSPECTED,
        (Renamed("P9", "P1"),)),
    History("a retreatment ordered before the first infusion is known", (PRE, D5, Scan("d80", 80),
        Scan("d95", 95, A)), (("", 0), ("", 90)), ((Ordered("O2", 90),), (Ordered("O1", 0),)),
        {"d5": f"{SUSPECTED} pre", "d95": f"{SUSPECTED} d80"}),
    # patients that are merged
    History("A40: each of two IDs has an infusion", (Scan("pre9", -130, patient_id="P9"),
        Scan("m110", -110, A, patient_id="P9"), PRE, D5), (("", 0),),
        ((Reported(-120, patient_id="P9"), Reported(0)), (Renamed("P9", "P1"),)),
        {"m110": f"{SUSPECTED} pre9", "pre": f"{NO} pre9", "d5": f"{SUSPECTED} pre"}, (Renamed("P9", "P1"),),
        (Reported(-120, patient_id="P9"),)),
    History("A40: the other ID's infusion lies after a positive one of this", (PRE, D5, Scan("d95", 95, A,
        patient_id="P9")), KNOWN, ((Reported(0), Reported(90, patient_id="P9")), (Renamed("P9", "P1"),)),
        {"d5": f"{SUSPECTED} pre", "d95": f"{POSSIBLE} d5"}, (Renamed("P9", "P1"),), (Reported(90, patient_id="P9"),)),
    History("A47, then A40", (PRE_8, D5_9, D7), KNOWN,
        ((Reported(0),), (Renamed("P8", "P9"), Renamed("P9", "P1"))), BOTH_SUSPECTED,
        (Renamed("P8", "P9"), Renamed("P9", "P1"))),
    History("A40, then A47 to an ID without images", (PRE_9, D5, D7), KNOWN,
        ((Reported(0, patient_id="P7"),), (Renamed("P9", "P1"), Renamed("P1", "P7"))), BOTH_SUSPECTED,
        (Renamed("P9", "P1"), Renamed("P1", "P7"))),
    History("only the messages state an issuer", (PRE_9, D5, D7), KNOWN,
        ((Reported(0, issuer="H"),), (Renamed("P9", "P1", "H"),)), BOTH_SUSPECTED, (Renamed("P9", "P1", "H"),)),
    # studies of one day, and on the day of the infusion
    History("two studies of a day, the first positive", (PRE, Scan("m5", 5, A, at="080000"),
        Scan("e5", 5, A, at="160000")), KNOWN, expected={"m5": f"{SUSPECTED} pre", "e5": f"{SUSPECTED} pre"}),
    History("two studies of a day, the first positive, date not known", (PRE, Scan("m5", 5, A, at="080000"),
        Scan("e5", 5, A, at="160000")), expected={"m5": f"{SUSPECTED} pre", "e5": f"{SUSPECTED} pre"}),
    History("before and after the infusion of one day", (MORNING, EVENING, D5), KNOWN,
        expected={"e0": f"{SUSPECTED} m0", "d5": f"{SUSPECTED} m0"}),
    History("a positive on the day of the infusion, and one before", (PRE, EVENING, D5), KNOWN,
        expected={"e0": f"{SUSPECTED} pre", "d5": f"{SUSPECTED} pre"}),
    History("only a positive of the day of the infusion", (EVENING, D5), KNOWN,
        expected={"e0": POSSIBLE, "d5": f"{POSSIBLE} since:e0"}),
    History("a study of the day of the infusion that nobody could judge, and no other", (Scan("d0", 0, A, broken=True),
        D5), KNOWN, expected={"d0": OPEN, "d5": f"{POSSIBLE} since:d0"}),
    History("a study of the day of the infusion that nobody could judge, and one before", (PRE,
        Scan("d0", 0, A, broken=True), D5), KNOWN, expected={"d0": f"{OPEN} pre", "d5": f"{SUSPECTED} pre"}),
    # dates of studies
    History("the date of a positive is corrected across the infusion", (PRE, Scan("d5", 5, A, parts=(FLAIR, T1),
        part_days=(-3, 5)), D7), KNOWN, expected=BOTH_SUSPECTED),
    History("the date of the baseline is corrected across the infusion", (Scan("pre", -10, parts=(FLAIR, T1),
        part_days=(6, -10)), D5, D7), KNOWN, expected=BOTH_SUSPECTED),
    History("a map made days later", (PRE, Scan("d5", 5, A, parts=(FLAIR, ADC), part_days=(5, 10), counts=(8, 2)),
        D7), KNOWN, expected=BOTH_SUSPECTED),
    History("a map made days later, date not known", (PRE, Scan("d5", 5, A, parts=(FLAIR, ADC), part_days=(5, 10),
        counts=(8, 2)), D7), expected=BOTH_SUSPECTED),
    History("the baseline has no date", (Scan("pre", None), D5, D7), KNOWN,
        expected={"d5": POSSIBLE, "d7": f"{POSSIBLE} since:d5"}),
    History("a study of the future", (PRE, Scan("d5", 20000, A)), KNOWN, expected={"d5": f"{SUSPECTED} pre"}),
    History("a baseline of the future", (Scan("pre", 20000), D5), KNOWN, expected={"d5": POSSIBLE}),
    # what a study shows comes in pieces
    History("the baseline's diffusion comes late and shows it too", (Scan("pre", -10, C, parts=(FLAIR, DWI),
        seen_in=BY_DWI), Scan("d5", 5, C, parts=(("flair", "dwi"),), seen_in=BY_DWI)), KNOWN,
        expected={"pre": POSSIBLE, "d5": f"{NO} pre"}),
    History("the baseline's diffusion comes late and shows it too, date not known", (Scan("pre", -10, C,
        parts=(FLAIR, DWI), seen_in=BY_DWI), Scan("d5", 5, C, parts=(("flair", "dwi"),), seen_in=BY_DWI)),
        expected={"pre": POSSIBLE, "d5": f"{POSSIBLE} since:pre"}),
    History("the follow-up's diffusion comes late", (Scan("pre", -10, parts=(("flair", "dwi"),)), Scan("d5", 5, C,
        parts=(FLAIR, DWI), seen_in=BY_DWI)), KNOWN, expected={"d5": f"{SUSPECTED} pre"}),
    History("two visits under one UID and one date", (Scan("two", -10, FAINT, visit=5), Scan("pre", -3)), KNOWN,
        expected={"two": f"{POSSIBLE} pre"}),
    History("an emergency ID with a birth date of its own, merged", (Scan("pre", -10, birth_date=date(1970, 1, 2)),
        Scan("d5", 5, A, patient_id="E1", birth_date=date(1900, 1, 1)), D7), KNOWN,
        ((Reported(0),), (Merged("E1", "P1"),)), BOTH_SUSPECTED, (Merged("E1", "P1"),)),
    # copies
    History("a positive under new UIDs after the date is withdrawn", (PRE, D5, Scan("copy", 5, A, copies="d5"), D7), (),
        ((Reported(0), Removed(0)),), {**BOTH_SUSPECTED, "copy": f"{SUSPECTED} pre"}),
    History("a prior of two archives under two IDs", (PRE, Scan("pre9", -10, patient_id="P9", copies="pre"), D5),
        KNOWN, expected={"d5": f"{SUSPECTED} pre"}),
    History("a prior of two archives under two IDs, merged", (PRE, Scan("pre9", -10, patient_id="P9", copies="pre"),
        D5), KNOWN, ((Reported(0),), (Merged("P9", "P1"),)), {"d5": f"{SUSPECTED} pre9"}, (Merged("P9", "P1"),)),
    # who else may have the ID
    History("twins", (Scan("pre", -10, birth_date=BORN), Scan("o2", 2, A, patient_id="P2", birth_date=BORN),
        Scan("d5", 5, A, birth_date=BORN)), KNOWN, expected={"o2": POSSIBLE, "d5": f"{SUSPECTED} pre"}),
    History("an ID that is given to somebody else later", (Scan("pre", -10, birth_date=BORN),
        Scan("d5", 5, A, birth_date=BORN), Scan("o400", 400, birth_date=OTHER_BORN),
        Scan("o410", 410, A, birth_date=OTHER_BORN)), KNOWN,
        expected={"d5": f"{SUSPECTED} pre", "o410": f"{SUSPECTED} since:o400"}),
    History("an ID of two people, and a study without a birth date", (Scan("pre", -10, birth_date=BORN),
        Scan("o2", -2, A, birth_date=OTHER_BORN), Scan("d5", 5, A)), KNOWN, expected={"d5": POSSIBLE}),
    History("an ID of two people, and a baseline without a birth date", (Scan("pre", -10, A),
        Scan("o2", -2, birth_date=OTHER_BORN), Scan("d5", 5, A, birth_date=BORN)), KNOWN, expected={"d5": POSSIBLE}),
    History("one name for all that are anonymous", (Scan("x", -10, patient_id=ANON), Scan("y", -5, A, patient_id=ANON),
        Scan("z", 5, A, patient_id=ANON)), (), ((Reported(0, patient_id=ANON),),), {"z": POSSIBLE}),
    History("0 for all that are anonymous", (Scan("x", -10, patient_id="0"), Scan("y", -5, A, patient_id="000"),
        Scan("z", 5, A, patient_id="0")), expected={"z": POSSIBLE}),
    History("no ID at all", (Scan("x", -10, patient_id=""), Scan("y", -5, A, patient_id=""),
        Scan("z", 5, A, patient_id="")), expected={"z": POSSIBLE}),
    History("one name for all, and birth dates that agree", (Scan("pre", -10, patient_id=ANON, birth_date=BORN),
        Scan("o2", -5, A, patient_id=ANON, birth_date=OTHER_BORN), Scan("d5", 5, A, patient_id=ANON,
        birth_date=BORN)), expected={"d5": f"{SUSPECTED} pre"}),
    History("a placeholder is merged into somebody", (PRE, Scan("y", -5, A, patient_id=ANON), D5), KNOWN,
        ((Reported(0),), (Merged(ANON, "P1"),)), {"d5": f"{SUSPECTED} pre"}),
    # several infusions close to each other
    History("bridging, then the cells", (Scan("pre", -30), Scan("m10", -10, A), D5), (("", 0),),
        ((Reported(-15, kind="bridging"), Reported(0)),), {"m10": f"{SUSPECTED} pre", "d5": f"{POSSIBLE} m10"}, (),
        (Reported(-15, kind="bridging"),)),
    History("faint until the date is known", (Scan("d5", 5, FAINT), Scan("d9", 9, FAINT)), KNOWN,
        ((Reported(60), Reported(0), Removed(60)),), {"d5": OPEN, "d9": f"{OPEN} since:d5"}),
]  # fmt: skip
STORIES = [*STORIES_BEFORE, *FURTHER]
