"""Records of the cases in, shares and scores out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.accuracy.figures import Rate, rate, smallest_change

Record = Mapping[str, Any]
PATTERNS = ("A", "B", "C", "D")
THALAMI = ("thalamus_left", "thalamus_right")


def value(record: Record, region: str, quantity: str) -> float | None:
    """A measured figure of a record; None when it was not measured."""
    found = record.get("measured", {}).get(f"{region}/{quantity}")
    return None if not found or found[0] is None else float(found[0])


def presence(record: Record, pattern: str) -> str:
    return str(record.get("findings", {}).get(pattern, ["indeterminate"])[0])


def assessed(record: Record) -> bool:
    return not record.get("refused", True)


# region, quantity, sign of what is drawn for patterns but A, and its unit
DRAWN = {
    "B": ("brain", "largest_lesion_ml", 1, "mL"),
    "C": ("cortex", "restricted_volume_ml", 1, "mL"),
    "D": ("sulcal_csf", "volume_change_percent", -1, "% less"),
}


STRENGTHS = {"A": "%", "B": "mL", "C": "mL", "D": "% of sulcal fluid"}


def score(record: Record, pattern: str) -> float | None:
    """What the ROC of a pattern is drawn from: for A the smaller rise of both thalami, for the others see DRAWN."""
    if pattern != "A":
        region, quantity, sign, _ = DRAWN[pattern]
        found = value(record, region, quantity)
        return None if found is None else sign * found
    both = [value(record, region, "flair_change_percent") for region in THALAMI]
    return None if None in both else float(min(v for v in both if v is not None))


def of(
    records: Iterable[Record], kind: str, protocol: str | None = None, strength: float | None = None
) -> list[Record]:
    return [
        r
        for r in records
        if r["kind"] == kind
        and "failed" not in r
        and (protocol is None or r["protocol"] == protocol)
        and (strength is None or r["strength"] == strength)
    ]


def decided(records: Iterable[Record], pattern: str) -> list[Record]:
    """Those in which the pattern was called present or absent."""
    return [r for r in records if assessed(r) and presence(r, pattern) in ("present", "absent")]


def sensitivity(records: Sequence[Record], pattern: str, protocol: str, strength: float | None = None) -> Rate:
    """Called present among all cases made with the pattern; what could not be assessed counts as not found."""
    return rate([assessed(r) and presence(r, pattern) == "present" for r in of(records, pattern, protocol, strength)])


def specificity(records: Sequence[Record], pattern: str, protocol: str) -> Rate:
    return rate([presence(r, pattern) == "absent" for r in decided(of(records, "no_change", protocol), pattern)])


def clean(records: Sequence[Record], protocol: str) -> Rate:
    """No pattern called present, among assessed pairs without change."""
    scans = [r for r in of(records, "no_change", protocol) if assessed(r)]
    return rate([all(presence(r, p) != "present" for p in PATTERNS) for r in scans])


def smallest(records: Sequence[Record], pattern: str, protocol: str) -> float | None:
    """Smallest change found at 95 % while 95 % of the pairs without change stay clear, percent."""
    wrong = specificity(records, pattern, protocol)
    if not wrong.total or wrong.value < 0.95:
        return None
    strengths = sorted({r["strength"] for r in of(records, pattern, protocol)})
    return smallest_change({s: sensitivity(records, pattern, protocol, s) for s in strengths})


def figures(records: Iterable[Record], regions: Sequence[str], quantity: str) -> list[float]:
    found = [value(r, region, quantity) for r in records if assessed(r) for region in regions]
    return [v for v in found if v is not None and math.isfinite(v)]
