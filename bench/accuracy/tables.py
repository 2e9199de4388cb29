"""Records in, tables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.accuracy.asked import issue_table
from bench.accuracy.cases import PROTOCOLS
from bench.accuracy.figures import proposed_limit, rate
from bench.accuracy.records import (
    DRAWN,
    PATTERNS,
    STRENGTHS,
    THALAMI,
    Record,
    assessed,
    clean,
    figures,
    of,
    presence,
    score,
    sensitivity,
    specificity,
    value,
)
from bench.accuracy.table import NO, Table


def detection_table(records: Sequence[Record], pattern: str) -> Table:
    strengths = sorted({r["strength"] for r in of(records, pattern)})
    rows = [
        (f"{s:g}", *(str(sensitivity(records, pattern, p, s)) for p in PROTOCOLS), _measured(records, pattern, s))
        for s in strengths
    ]
    return Table(
        f"Pattern {pattern}: found, by strength of the change",
        (f"strength, {STRENGTHS[pattern]}", "same protocol", "different protocol", "measured (median, both protocols)"),
        tuple(rows),
        "What could not be assessed counts as not found.",
    )


def _measured(records: Sequence[Record], pattern: str, strength: float) -> str:
    found = [s for r in of(records, pattern, None, strength) if (s := score(r, pattern)) is not None]
    unit = DRAWN[pattern][3] if pattern in DRAWN else "%"
    return f"{np.median(found):+.1f} {unit}" if found else NO


def specificity_table(records: Sequence[Record]) -> Table:
    rows = [(f"pattern {p}", *(str(specificity(records, p, c)) for c in PROTOCOLS)) for p in PATTERNS]
    rows.append(("no pattern at all", *(str(clean(records, c)) for c in PROTOCOLS)))
    for what, simulated in (("no pattern at all, real heads", False), ("no pattern at all, simulated heads", True)):
        part = [r for r in records if r.get("simulated") is simulated]
        rows.append((what, *(str(clean(part, c)) for c in PROTOCOLS)))
    return Table(
        "Pairs without change: called absent",
        ("", "same protocol", "different protocol"),
        tuple(rows),
        "A pattern that could not be measured (indeterminate) counts neither way in its own row.",
    )


DRIFTS = (
    ("thalami, FLAIR", THALAMI, "flair_change_percent"),
    ("pons, FLAIR", ("pons",), "flair_change_percent"),
    ("medulla, FLAIR", ("medulla",), "flair_change_percent"),
    ("capsules, FLAIR", ("external_extreme_capsule_left", "external_extreme_capsule_right"), "flair_change_percent"),
    ("white matter raised", ("white_matter_left", "white_matter_right"), "raised_fraction_percent"),
    ("thalami, volume", THALAMI, "volume_change_percent"),
    ("pons, volume", ("pons",), "volume_change_percent"),
    ("third ventricle, volume", ("third_ventricle",), "volume_change_percent"),
)


def drift_table(records: Sequence[Record]) -> Table:
    """What pairs without change measure: the yardstick of every limit."""
    rows = []
    for what, regions, quantity in DRIFTS:
        for protocol in PROTOCOLS:
            found = figures(of(records, "no_change", protocol), regions, quantity)
            if found:
                low, mid, high = np.quantile(found, [0.025, 0.5, 0.975])
                rows.append(
                    (
                        what,
                        protocol,
                        f"{mid:+.2f}",
                        f"{low:+.2f}",
                        f"{high:+.2f}",
                        f"{max(found):+.2f}",
                        str(len(found)),
                    )
                )
    return Table(
        "Pairs without change: what is measured, %",
        ("", "protocol", "median", "2.5 %", "97.5 %", "largest", "n"),
        tuple(rows),
    )


def gate_table(records: Sequence[Record]) -> Table:
    groups: dict[str, list[Record]] = {}
    for r in of(records, "gate"):
        groups.setdefault(r["option"].split(":")[0], []).append(r)
    rows = []
    for group, found in groups.items():
        codes: dict[str, int] = {}
        for r in found:
            if r["caught"]:
                code = str(r.get("reason") or "registered correctly nevertheless").split(":")[0]
                codes[code] = codes.get(code, 0) + 1
        slipped = ", ".join(r["name"] for r in found if not r["caught"])
        rows.append((group.replace("_", " "), str(rate([r["caught"] for r in found])), _counts(codes), slipped or NO))
    good = [*of(records, "no_change"), *of(records, "A"), *of(records, "pair")]
    reasons: dict[str, int] = {}
    for r in good:
        if r.get("refused"):
            code = str(r.get("reason")).split(":")[0]
            reasons[code] = reasons.get(code, 0) + 1
    rows.append(("good pairs (must pass)", str(rate([assessed(r) for r in good])), _counts(reasons) or NO, NO))
    return Table(
        "Gates: faults caught, good pairs let through", ("fault", "share", "reasons", "slipped through"), tuple(rows)
    )


def _counts(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {n}" for code, n in sorted(codes.items()))


def registration_table(records: Sequence[Record]) -> Table:
    rows = []
    for what, chosen in (
        ("real pairs, publishers' transforms", of(records, "pair")),
        ("real heads scanned again, same", [r for r in of(records, "no_change", "same") if not r["simulated"]]),
        (
            "real heads scanned again, different",
            [r for r in of(records, "no_change", "different") if not r["simulated"]],
        ),
        ("simulated heads, same", [r for r in of(records, "no_change", "same") if r["simulated"]]),
        ("simulated heads, different", [r for r in of(records, "no_change", "different") if r["simulated"]]),
        ("with pattern A", of(records, "A")),
    ):
        errors = [r["registration_error_mm"] for r in chosen if r.get("registration_error_mm") is not None]
        if errors:
            similar = [r["quality"]["similarity"] for r in chosen if r.get("quality")]
            rows.append((what, f"{np.mean(errors):.2f}", f"{max(errors):.2f}", f"{min(similar):.2f}", str(len(errors))))
    return Table(
        "Registration, mean error over the brain, mm", ("", "mean", "largest", "lowest similarity", "n"), tuple(rows)
    )


def pair_table(records: Sequence[Record]) -> Table:
    rows = []
    for r in of(records, "pair"):
        called = ", ".join(f"{p} {presence(r, p)}" for p in PATTERNS)
        figures = [value(r, region, "flair_change_percent") for region in (*THALAMI, "pons", "medulla")]
        shown = " ".join(NO if v is None else f"{v:+.1f}" for v in figures)
        rows.append((r["name"], f"{r['registration_error_mm']:.2f}", str(r.get("said_protocol")), called, shown))
    return Table(
        "Real pairs (both have real focal lesions; A, C and D must be absent)",
        ("pair", "error, mm", "protocol", "called", "thalami L, R, pons, medulla, %"),
        tuple(rows),
    )


def seconds_table(records: Sequence[Record]) -> Table:
    parts: dict[str, list[float]] = {}
    for r in records:
        for part, seconds in r.get("timings_s", {}).items():
            parts.setdefault(part, []).append(seconds)
    rows = [(part, f"{np.median(s):.1f}", f"{np.quantile(s, 0.95):.1f}") for part, s in parts.items()]
    return Table("Seconds per part, one thread per worker", ("part", "median", "95 %"), tuple(rows))


def calibration_table(records: Sequence[Record]) -> Table:
    """Limits that the calibration split proposes; a default is the larger of these and of the clinical limit."""
    rows = []
    for what, regions, quantity in DRIFTS:
        for protocol in PROTOCOLS:
            found = figures(of(records, "no_change", protocol), regions, quantity)
            rows.append(
                (
                    what,
                    protocol,
                    f"{proposed_limit(found):.2f}",
                    f"{-proposed_limit([-v for v in found]):.2f}",
                    str(len(found)),
                )
            )
    return Table(
        "Proposed limits (98 % of pairs without change, with margin), %",
        ("figure", "protocol", "upper", "lower", "n"),
        tuple(rows),
    )


def tables(records: Sequence[Record], split: str) -> list[Table]:
    found = [issue_table(records)] if split == "test" else [calibration_table(records)]
    found += [detection_table(records, p) for p in PATTERNS if of(records, p)]
    found += [specificity_table(records), drift_table(records)]
    if split == "test":
        found += [pair_table(records), gate_table(records)]
    return [*found, registration_table(records), seconds_table(records)]
