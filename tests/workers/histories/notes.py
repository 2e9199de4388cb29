"""Stories of rejection notes (IHE IOCM), which come at any time: before the images, between parts, after decisions."""

from __future__ import annotations

from tests.workers.histories.events import Answered, Corrected, History, Merged, Rejected, Reported
from tests.workers.histories.further import STORIES as STORIES_BEFORE
from tests.workers.histories.scans import FLAIR, ME, T1, Scan
from tests.workers.histories.table import D5, D7, FAINT, KNOWN, NO, OPEN, POSSIBLE, PRE, RESTORED, SUSPECTED, A

QUALITY, SAFETY, WORKLIST, RETENTION = "113001", "113037", "113038", "113039"
SHOWN_IN_T1 = Scan("pre", -10, A, parts=(FLAIR, T1), seen_in={"A": "t1"})
BOTH = {"d5": f"{SUSPECTED} pre", "d7": f"{SUSPECTED} pre"}

NOTES = [
    History("no-op: a note that the PACS deletes what is old", (PRE, D5, D7), KNOWN, expected=BOTH,
        rejected=(Rejected("pre", RETENTION), Rejected("d5", RETENTION))),
    History("the baseline is rejected", (PRE, D5), KNOWN, expected={"pre": OPEN, "d5": POSSIBLE},
        rejected=(Rejected("pre"),)),
    History("the later of two baselines is rejected", (PRE, Scan("late", -2, A), D5), KNOWN,
        expected={"late": f"{OPEN} pre", "d5": f"{SUSPECTED} pre"}, rejected=(Rejected("late"),)),
    History("a positive is rejected", (PRE, D5, D7), KNOWN, expected={**BOTH, "d5": f"{OPEN} pre"},
        rejected=(Rejected("d5"),)),
    History("a positive is rejected, date not known", (PRE, D5, Scan("d9", 9, FAINT)),
        expected={"d5": f"{OPEN} pre", "d9": f"{POSSIBLE} pre"}, rejected=(Rejected("d5"),)),
    History("the only positive is rejected, and nothing else shows it", (PRE, D5, Scan("d9", 9)), KNOWN,
        expected={"d5": f"{OPEN} pre", "d9": f"{NO} pre"}, rejected=(Rejected("d5"),)),
    History("only T1 is rejected", (PRE, Scan("d5", 5, A, parts=(FLAIR, T1))), KNOWN,
        expected={"d5": f"{SUSPECTED} pre"}, rejected=(Rejected("d5", part=1),)),
    History("the FLAIR of a study in two parts is rejected", (PRE, Scan("d5", 5, A, parts=(T1, FLAIR))), KNOWN,
        expected={"d5": f"{OPEN} pre"}, rejected=(Rejected("d5", part=1),)),
    History("rejected for patient safety", (PRE, D5, D7), KNOWN, expected={**BOTH, "d5": f"{OPEN} pre"},
        rejected=(Rejected("d5", SAFETY),)),
    History("rejected twice, for two reasons", (PRE, D5, D7), KNOWN, expected={**BOTH, "d5": f"{OPEN} pre"},
        rejected=(Rejected("d5", WORKLIST), Rejected("d5", QUALITY))),
    History("a wrong worklist entry, and the images came again", (PRE, Scan("d3", 3, A,
        afterwards=(Corrected("d3", "P9"),)), D5), KNOWN, expected={"d3": POSSIBLE, "d5": f"{SUSPECTED} pre"},
        rejected=(Rejected("d3", WORKLIST),)),
    History("an emergency's baseline comes again under the patient's ID", (Scan("pre", -10, patient_id="E1",
        afterwards=(Corrected("pre", "P1"),)), D5, D7), KNOWN, expected=BOTH, rejected=(Rejected("pre", SAFETY),)),
    History("an emergency's baseline comes again, rejected for quality", (Scan("pre", -10, patient_id="E1",
        afterwards=(Corrected("pre", "P1"),)), D5), KNOWN, expected={"pre": OPEN, "d5": POSSIBLE},
        rejected=(Rejected("pre", QUALITY),)),
    History("a note of another patient in the study", (PRE, D5, D7), KNOWN, expected=BOTH,
        rejected=(Rejected("d5", patient_id="P9"),)),
    History("a note of another patient's study", (PRE, D5, Scan("o3", 3, patient_id="P9")), KNOWN,
        expected={"d5": f"{SUSPECTED} pre"}, rejected=(Rejected("d5", study="o3"),)),
    History("a note in another study of the patient", (PRE, Scan("late", -2, A), D5), KNOWN,
        expected={"late": OPEN, "d5": f"{SUSPECTED} pre"}, rejected=(Rejected("late", study="d5"),)),
    History("a note in a study of an ID that is merged", (Scan("o9", -20, patient_id="P9"), PRE, D5), KNOWN,
        ((Reported(0),), (Merged("P9", "P1"),)), {"pre": OPEN, "d5": f"{SUSPECTED} o9"}, (Merged("P9", "P1"),),
        rejected=(Rejected("pre", study="o9"),)),
    History("rejected, then restored by a human", (PRE, Scan("d5", 5, A,
        afterwards=(Rejected("d5"), Answered("d5", ME, RESTORED))), D7), KNOWN, expected=BOTH),
    History("restored by a human, then rejected", (PRE, Scan("d5", 5, A,
        afterwards=(Answered("d5", ME, RESTORED), Rejected("d5"))), D7), KNOWN,
        expected={**BOTH, "d5": f"{OPEN} pre"}),
    History("T1 of the baseline is rejected, which showed it before treatment", (SHOWN_IN_T1, D5), KNOWN,
        expected={"d5": f"{SUSPECTED} pre"}, rejected=(Rejected("pre", part=1),)),
    History("the same by a note in the follow-up", (SHOWN_IN_T1, D5), KNOWN,
        expected={"d5": f"{SUSPECTED} pre"}, rejected=(Rejected("pre", part=1, study="d5"),)),
    History("the date moves, and the baseline is rejected", (PRE, Scan("late", -2), D5), KNOWN,
        ((Reported(-20), Reported(0)),), {"d5": f"{SUSPECTED} pre"}, rejected=(Rejected("late"),)),
]  # fmt: skip
STORIES = [*STORIES_BEFORE, *NOTES]
