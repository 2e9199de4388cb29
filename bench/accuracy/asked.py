"""Records in, the table of the figures that were asked for out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.accuracy.cases import D_ALONE, KEY_STRENGTH, PROTOCOLS
from bench.accuracy.figures import rate
from bench.accuracy.records import (
    PATTERNS,
    THALAMI,
    Record,
    assessed,
    clean,
    figures,
    of,
    presence,
    sensitivity,
    smallest,
    specificity,
    value,
)
from bench.accuracy.table import NO, Table

Asked = tuple[str, str, str, str]  # figure, least, aim, reached


def issue_table(records: Sequence[Record]) -> Table:
    """Every figure that was asked for, with what was reached."""
    parts = (_a_rows, _specificity_rows, _b_rows, _c_rows, _d_rows, _volume_rows, _pair_rows, _gate_rows, _region_rows)
    rows = tuple(row for part in (*parts, _time_rows) for row in part(records))
    return Table("Figures asked for", ("figure", "at least", "aim", "reached (95 % interval; n)"), rows)


def _a_rows(records: Sequence[Record]) -> list[Asked]:
    rows = []
    for protocol, aim in (("same", "5 %"), ("different", "10 %")):
        strength = KEY_STRENGTH[protocol]
        found, change = sensitivity(records, "A", protocol, strength), smallest(records, "A", protocol)
        what = f"A, +{strength:g} % thalami and brain stem, 5 % swelling, {protocol} protocol: sensitivity"
        rows.append((what, "0.95", "", str(found)))
        reached = "none" if change is None else f"{change:.1f} %"
        rows.append((f"A: smallest change at 95/95, {protocol} protocol", "", aim, reached))
    return rows


def _specificity_rows(records: Sequence[Record]) -> list[Asked]:
    rows = []
    for protocol, least, aim in (("same", "0.95", "0.98"), ("different", "0.90", "0.95")):
        unseen = [p for p in PATTERNS if not specificity(records, p, protocol).total]
        but = f"; pattern {', '.join(unseen)} was measured in none of them" if unseen else ""
        what = f"specificity per scan over all patterns, {protocol} protocol"
        rows.append((what, least, aim, f"{clean(records, protocol)}{but}"))
    return rows


def _b_rows(records: Sequence[Record]) -> list[Asked]:
    scored = [r for r in of(records, "pair") if "found" in r]
    found, missed, false = (sum(r[key] for r in scored) for key in ("found", "missed", "false"))
    f1 = 2 * found / (2 * found + missed + false) if scored else 0.0
    lesion_wise = f"{f1:.2f} ({found} found, {missed} missed, {false} false)" if scored else NO
    dice = ", ".join(f"{r['overlap_dice']:.2f}" for r in scored) or NO
    scans = [r for r in of(records, "no_change") if assessed(r)]
    wrong = sum(len(r.get("lesions", [])) for r in scans)
    per_scan = f"{wrong / len(scans):.3f} ({len(scans)} scans)" if scans else NO
    put = of([r for r in records if r.get("option") != "enhancing"], "B")
    seen, unseen, extra = (sum(r.get(key, 0) for r in put) for key in ("found", "missed", "false"))
    lit = of([r for r in records if r.get("option") == "enhancing"], "B")
    enhancing = rate([presence(r, "B") == "present" for r in lit])
    masks = "B, real pairs, publishers' masks, lesions of 0.1 mL and more: lesion-wise F1"
    return [
        (masks, "0.60", "0.75", lesion_wise),
        ("B, real pairs: Dice of the masks", "", "", dice),
        ("B: false lesions per scan without change", "0.3", "0.05", per_scan),
        ("B, foci of 0.1 to 0.5 mL put in: found", "", "", f"{rate([True] * seen + [False] * unseen)}; {extra} false"),
        ("B, enhancing foci (simulated): pattern found", "0.90", "0.98", str(enhancing)),
    ]


def _c_rows(records: Sequence[Record]) -> list[Asked]:
    found = rate([presence(r, "C") == "present" for r in of(records, "C")])
    infarct = [f"{r['overlap_dice']:.2f}" for r in of(records, "infarct") if "overlap_dice" in r]
    return [
        ("C, 1 mL and more at ADC ratio 0.75: sensitivity", "0.95", "0.98", str(found)),
        ("C, real infarct without a baseline: Dice", "0.60", "0.75", infarct[0] if infarct else NO),
    ]


def _d_rows(records: Sequence[Record]) -> list[Asked]:
    found = {protocol: sensitivity(records, "D", protocol, 40.0) for protocol in PROTOCOLS}
    rows = [(f"D, -40 % sulcal fluid, {p} protocol: sensitivity", "0.95", "0.98", str(r)) for p, r in found.items()]
    alone = rate([assessed(r) and presence(r, "D") == "present" for r in of(records, D_ALONE)])
    rows.append(("D, -40 % sulcal fluid, same protocol, FLAIR alone: sensitivity", "0.90", "", str(alone)))
    errors = [abs(v) for v in figures(of(records, "no_change"), ("brain",), "volume_change_percent")]
    return [*rows, ("D, brain volume change error, pairs without change: mean", "0.6 %", "0.35 %", _percent(errors))]


def _volume_rows(records: Sequence[Record]) -> list[Asked]:
    errors = _volume_errors(records)
    return [("thalamus volume change error, pairs without change: mean", "2 %", "0.7 %", _percent(errors))]


def _pair_rows(records: Sequence[Record]) -> list[Asked]:
    rows = []
    for pair, least, aim in (("open_ms01", "0.5 mm", "0.3 mm"), ("open_ms03", "1.0 mm", "0.7 mm")):
        errors = [r["registration_error_mm"] for r in of(records, "pair") if r["head"].startswith(pair)]
        reached = f"{errors[0]:.2f} mm" if errors else NO
        rows.append((f"registration error, real pair {pair[-2:]}: mean over the brain", least, aim, reached))
    return rows


def _gate_rows(records: Sequence[Record]) -> list[Asked]:
    caught = rate([bool(r["caught"]) for r in of(records, "gate")])
    return [("deliberate faults caught by a gate", "all of 60", "", str(caught))]


def _region_rows(records: Sequence[Record]) -> list[Asked]:
    rows = []
    for region, least, aim in (("thalamus", "0.87", "0.90"), ("brain_stem", "0.88", "0.92")):
        dice = [v for r in of(records, "regions") for name, v in r["dice"].items() if name.startswith(region)]
        reached = f"{np.mean(dice):.3f} ({min(dice):.3f})" if dice else NO
        rows.append((f"region Dice with SAMSEG, {region.replace('_', ' ')}: mean (lowest)", least, aim, reached))
    return rows


def _time_rows(records: Sequence[Record]) -> list[Asked]:
    seconds = [r["timings_s"]["assess"] for r in records if r.get("timings_s") and r["kind"] != "gate"]
    reached = f"{np.median(seconds):.1f} s" if seconds else NO
    return [("time of one assessment (full), one thread beside another worker: median", "60 s", "30 s", reached)]


def _volume_errors(records: Sequence[Record]) -> list[float]:
    found = [value(r, t, "volume_change_percent") for r in of(records, "no_change") if assessed(r) for t in THALAMI]
    return [abs(v) for v in found if v is not None]


def _percent(values: Sequence[float]) -> str:
    return (
        f"{np.mean(values):.2f} % (95th percentile {np.quantile(values, 0.95):.2f} %, n {len(values)})"
        if values
        else NO
    )
