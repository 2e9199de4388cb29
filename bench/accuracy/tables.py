"""Records in, tables out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.accuracy.cases import KEY_STRENGTH, PROTOCOLS
from bench.accuracy.figures import Rate, proposed_limit, rate, smallest_change

Record = Mapping[str, Any]
PATTERNS = ("A", "B", "C", "D")
THALAMI = ("thalamus_left", "thalamus_right")
NO = "-"


@dataclass(frozen=True)
class Table:
    """Rows of text under headings."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


# -- reading records -------------------------------------------------------------------------------


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


# -- the tables ------------------------------------------------------------------------------------


def issue_table(records: Sequence[Record]) -> Table:
    """Every figure that was asked for, with what was reached."""
    rows: list[tuple[str, ...]] = []

    def add(what: str, least: str, aim: str, reached: str) -> None:
        rows.append((what, least, aim, reached))

    for protocol in PROTOCOLS:
        strength = KEY_STRENGTH[protocol]
        found = sensitivity(records, "A", protocol, strength)
        add(
            f"A, +{strength:g} % thalami and brain stem, 5 % swelling, {protocol} protocol: sensitivity",
            "0.95",
            "",
            str(found),
        )
        change = smallest(records, "A", protocol)
        aim = "5 %" if protocol == "same" else "10 %"
        add(
            f"A: smallest change at 95/95, {protocol} protocol",
            "",
            aim,
            "none" if change is None else f"{change:.1f} %",
        )
    for protocol, least, aim in (("same", "0.95", "0.98"), ("different", "0.90", "0.95")):
        unseen = [p for p in PATTERNS if not specificity(records, p, protocol).total]
        but = f"; pattern {', '.join(unseen)} was measured in none of them" if unseen else ""
        add(
            f"specificity per scan over all patterns, {protocol} protocol",
            least,
            aim,
            f"{clean(records, protocol)}{but}",
        )
    for what, least, aim, reached in (*_b_rows(records), *_c_rows(records), *_d_rows(records)):
        add(what, least, aim, reached)
    add("thalamus volume change error, pairs without change: mean", "2 %", "0.7 %", _percent(_volume_errors(records)))
    for pair, least, aim in (("open_ms01", "0.5 mm", "0.3 mm"), ("open_ms03", "1.0 mm", "0.7 mm")):
        errors = [r["registration_error_mm"] for r in of(records, "pair") if r["head"].startswith(pair)]
        add(
            f"registration error, real pair {pair[-2:]}: mean over the brain",
            least,
            aim,
            f"{errors[0]:.2f} mm" if errors else NO,
        )
    gates = of(records, "gate")
    add("deliberate faults caught by a gate", "all of 60", "", str(rate([bool(r["caught"]) for r in gates])))
    for region, least, aim in (("thalamus", "0.87", "0.90"), ("brain_stem", "0.88", "0.92")):
        dice = [v for r in of(records, "regions") for name, v in r["dice"].items() if name.startswith(region)]
        add(f"region Dice with SAMSEG, {region.replace('_', ' ')}: mean (lowest)", least, aim,
            f"{np.mean(dice):.3f} ({min(dice):.3f})" if dice else NO)  # fmt: skip
    for stage, least, aim in (("full", "60 s", "30 s"),):
        seconds = [r["timings_s"]["assess"] for r in records if r.get("timings_s") and r["kind"] != "gate"]
        add(
            f"time of one assessment ({stage}), one thread beside another worker: median",
            least,
            aim,
            f"{np.median(seconds):.1f} s" if seconds else NO,
        )
    return Table("Figures asked for", ("figure", "at least", "aim", "reached (95 % interval; n)"), tuple(rows))


def _b_rows(records: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    scored = [r for r in of(records, "pair") if "found" in r]
    found, missed, false = (sum(r[key] for r in scored) for key in ("found", "missed", "false"))
    f1 = (
        f"{2 * found / (2 * found + missed + false):.2f} ({found} found, {missed} missed, {false} false)"
        if scored
        else NO
    )
    dice = ", ".join(f"{r['overlap_dice']:.2f}" for r in scored) or NO
    scans = [r for r in of(records, "no_change") if assessed(r)]
    wrong = sum(len(r.get("lesions", [])) for r in scans)
    lit = of([r for r in records if r.get("option") == "enhancing"], "B")
    put = of([r for r in records if r.get("option") != "enhancing"], "B")
    seen, unseen, extra = (sum(r.get(key, 0) for r in put) for key in ("found", "missed", "false"))
    return [
        ("B, real pairs, publishers' masks, lesions of 0.1 mL and more: lesion-wise F1", "0.60", "0.75", f1),
        ("B, real pairs: Dice of the masks", "", "", dice),
        (
            "B: false lesions per scan without change",
            "0.3",
            "0.05",
            f"{wrong / len(scans):.3f} ({len(scans)} scans)" if scans else NO,
        ),
        ("B, foci of 0.1 to 0.5 mL put in: found", "", "", f"{rate([True] * seen + [False] * unseen)}; {extra} false"),
        (
            "B, enhancing foci (simulated): pattern found",
            "0.90",
            "0.98",
            str(rate([presence(r, "B") == "present" for r in lit])),
        ),
    ]


def _c_rows(records: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    found = rate([presence(r, "C") == "present" for r in of(records, "C")])
    infarct = [f"{r['overlap_dice']:.2f}" for r in of(records, "infarct") if "overlap_dice" in r]
    return [
        ("C, 1 mL and more at ADC ratio 0.75: sensitivity", "0.95", "0.98", str(found)),
        ("C, real infarct without a baseline: Dice", "0.60", "0.75", infarct[0] if infarct else NO),
    ]


def _d_rows(records: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    rows = [
        (
            f"D, -40 % sulcal fluid, {protocol} protocol: sensitivity",
            "0.95",
            "0.98",
            str(sensitivity(records, "D", protocol, 40.0)),
        )
        for protocol in PROTOCOLS
    ]
    errors = [abs(v) for v in figures(of(records, "no_change"), ("brain",), "volume_change_percent")]
    return [*rows, ("D, brain volume change error, pairs without change: mean", "0.6 %", "0.35 %", _percent(errors))]


def _volume_errors(records: Sequence[Record]) -> list[float]:
    found = [value(r, t, "volume_change_percent") for r in of(records, "no_change") if assessed(r) for t in THALAMI]
    return [abs(v) for v in found if v is not None]


def _percent(values: Sequence[float]) -> str:
    return (
        f"{np.mean(values):.2f} % (95th percentile {np.quantile(values, 0.95):.2f} %, n {len(values)})"
        if values
        else NO
    )


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


def figures(records: Iterable[Record], regions: Sequence[str], quantity: str) -> list[float]:
    found = [value(r, region, quantity) for r in records if assessed(r) for region in regions]
    return [v for v in found if v is not None and math.isfinite(v)]


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
    """Limits that the calibration split proposes; config.yaml takes the larger of these and of what medicine asks for."""
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


# -- output ----------------------------------------------------------------------------------------


def tables(records: Sequence[Record], split: str) -> list[Table]:
    found = [issue_table(records)] if split == "test" else [calibration_table(records)]
    found += [detection_table(records, p) for p in PATTERNS if of(records, p)]
    found += [specificity_table(records), drift_table(records)]
    if split == "test":
        found += [pair_table(records), gate_table(records)]
    return [*found, registration_table(records), seconds_table(records)]
