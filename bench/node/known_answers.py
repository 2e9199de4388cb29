"""What is right for each known input, and how it is told from what a node shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.node.known_node import LiveNode

Wanted = Callable[[str], bool]
POSITIVE = ("possible", "neurotoxicity_suspected")
FOLLOWUP, BASELINE = "2024-03-11", "2024-02-23"


@dataclass(frozen=True)
class Right:
    """judge: (whether it is right, what was found), from the node and what the script printed."""

    what: str
    judge: Callable[[LiveNode, str], tuple[bool, str]]


def _decided(
    what: str,
    patient_id: str,
    day: str = FOLLOWUP,
    *,
    categories: tuple[str, ...] = POSITIVE,
    priority: str = "",
    baseline: str | None = "any",
    word: str = "",
) -> Right:
    """priority: empty: any. baseline: its date; None: there must be none. word: in a reason or a notice."""

    def judge(node: LiveNode, _: str) -> tuple[bool, str]:
        row = node.row(patient_id, day)
        if row is None or not row["category"]:
            return False, "no decision"
        document = node.document(row["study_instance_uid"])
        decision, found = document["decision"], (document["baseline"] or {}).get("study_date")
        said = [*decision["reasons"], *document.get("notices", ())]
        is_right = (
            decision["category"] in categories
            and row["priority"].startswith(priority)
            and baseline in ("any", found)
            and any(word in one for one in said)
        )
        return is_right, f"{decision['category']} {row['priority']}, baseline {found}: {decision['reasons'][0][:110]}"

    return Right(what, judge)


def _printed(what: str, pattern: str) -> Right:
    """The script's last words hold the pattern."""

    def judge(_: LiveNode, said: str) -> tuple[bool, str]:
        found = re.search(pattern, said, re.DOTALL)
        return found is not None, " ".join(said.split())[-200:] if found is None else " ".join(found[0].split())[:200]

    return Right(what, judge)


def _judged(what: str, found: Callable[[LiveNode, str], tuple[bool, Any]]) -> Right:
    def judge(node: LiveNode, said: str) -> tuple[bool, str]:
        is_right, shown = found(node, said)
        return is_right, str(shown)

    return Right(what, judge)


def _urgent_first(node: LiveNode, _: str) -> tuple[bool, str]:
    shown = [one["priority"] for one in node.api("/api/studies")]
    count = shown.count("P1")
    return count >= 5 and set(shown[:count]) == {"P1"}, f"{count} P1 first of {len(shown)} rows"


def _seconds_to_ready(_: LiveNode, said: str) -> tuple[bool, str]:
    """The script prints when each state was seen first; the quiet period of the node is 5 s."""
    times = re.findall(r"'(?:ready|assessed)': ([\d.]+)", said)
    return bool(times) and min(map(float, times)) < 15.0, " ".join(said.split())[-160:]


RIGHT: Mapping[str, tuple[Right, ...]] = {
    "clinical": (
        _decided("S0 control", "C0", priority="P1", baseline=BASELINE),
        _decided("S3 the stray is set aside, the rest is assessed", "C0", priority="P1", word="another patient ID"),
        _decided("S2 the issuer is matched, and that is said", "C2", priority="P1", baseline=BASELINE, word="issuer"),
        _decided("S1 facts are merged over objects", "C1", priority="P1", baseline=BASELINE),
        _decided("S4 decided again with the late baseline", "C4", priority="P1", baseline=BASELINE),
        _decided("S5 day 5", "C5", "2024-03-09", baseline=None),
        _decided("S5 day 7: positive, and day 5 is no baseline", "C5", baseline=None),
        _decided("S5b day 5", "C6", "2024-03-09", priority="P1", baseline=BASELINE),
        _decided("S5b day 7: positive, and day 5 is no baseline", "C6", priority="P1", baseline=BASELINE),
        _decided("S6 another person's scan is not compared", "C7", word="registration_failed"),
    ),
    "clinical2": (
        _decided("S3b the stray is set aside, the rest is assessed", "D1", priority="P1", word="another patient ID"),
        _decided("S8 positive without the scan under the earlier ID", "D2"),
        _judged(
            "S8 the study under the earlier ID is marked",
            lambda node, _: (
                bool((node.row("EMERGENCY-1", BASELINE) or {}).get("correction")),
                (node.row("EMERGENCY-1", BASELINE) or {}).get("correction"),
            ),
        ),
        _decided("S9 forged slices do not hide a finding", "D3", categories=(*POSITIVE, "not_assessable")),
        _decided("S7 mirrored images", "D4"),
        _printed("markup never reaches a page raw", r"XSS page \"(?!.*<script>alert).*"),
    ),
    "stall": (_judged("another study is noticed within some seconds", _seconds_to_ready),),
    "flood": (
        _judged("all P1 come first", _urgent_first),
        _decided("after the flood", "I1"),
        _printed("a cut list says so", r"truncation said: True"),
    ),
    "G1": (
        _decided("day 5 of the first course", "G1", "2024-03-09", priority="P1", baseline=BASELINE),
        _decided("day 5 of the second course", "G1", "2024-04-15", baseline=BASELINE),
    ),
    "G2": (_decided("a copy is no prior", "G2", priority="P1", baseline=BASELINE),),
    "07": (
        _printed("the issuer of one study only: matched", r"neurotoxicity_suspected P1"),
        _decided("two issuers: no quiet negative", "I7", word="issuer"),
        _judged(
            "the other person has no infusion",
            lambda node, _: _days(node, "I7", "2024-03-20"),
        ),
    ),
    "cut file": (
        _printed(
            "P1 stays, the study waits for its file, which is named",
            r"P1 ready transient \(.*FilesDamaged.*instance \w+: \d+ bytes of the \d+",
        ),
        _decided("decided again when it is whole", "CUT", priority="P1", baseline=BASELINE),
    ),
    "cut pixels": (_decided("refused by name or positive", "T1", categories=(*POSITIVE, "not_assessable")),),
    "rejected": (
        _printed("decided against the baseline before", r"neurotoxicity_suspected P1"),
        _decided("the rejected baseline is none, and the finding stays", "RN", priority="P1", baseline=None),
    ),
    "faults": (
        _printed("a stopped worker: another takes over", r"SIGSTOP.*neurotoxicity_suspected"),
        _printed("the store is away: no empty result", r"store away(?!.*no_images\W.*one FLAIR file).*one FLAIR file"),
        _printed("restored", r"restored and replayed \{\"category\": \"neurotoxicity_suspected\""),
        _printed("all processes killed", r"all killed \{\"category\": \"neurotoxicity_suspected\""),
    ),
    "slope": (_printed("the other patient is decided", r"[\d.]+ \('Y2', '2024-03-11', 'assessed'"),),
    "bombs": (_printed("each header within limits", r"nest 10k.*series_kind"),),
    "manystudies": (_printed("P1 shown, 33,000 asked about", r"P1 shown: True.*study_counts ok"),),
}


def _days(node: LiveNode, patient_id: str, day: str) -> tuple[bool, str]:
    row = node.row(patient_id, day)
    if row is None:
        return False, "no decision"
    days = node.document(row["study_instance_uid"])["study"]["days_after_infusion"]
    return days is None, f"days after infusion: {days}"
