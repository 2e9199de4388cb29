"""Worklist entries and documents in, HTML out. Pure; every value is escaped; no script, no external asset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from listener.web import trend
from listener.web.worklist import remarks

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #1b1f24; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d8dee4 }
th { font-weight: 600; background: #f6f8fa }
.p1 { background: #ffe3e0 } .p2 { background: #fff1d6 } .p3 { background: #eaf3ff }
.badge { font-weight: 600 } ul { margin: 0; padding-left: 1.1rem } img { max-width: 100% }
.note { color: #57606a }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } th { background: #161b22 } th, td { border-color: #30363d }
  .p1 { background: #5a1e1a } .p2 { background: #4d3a10 } .p3 { background: #12304f } a { color: #6cb6ff }
}
"""
CAUTION = "Triage aid, not a diagnosis. A study without a pattern is not a study without disease."
SHOWN_MEASUREMENTS = 400


def home(entries: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]) -> str:
    """The worklist; each entry with its newest document, if it has one."""
    rows = "".join(_row(entry, document) for entry, document in entries)
    head = "<tr><th>Priority<th>Study<th>Patient<th>Result<th>Reasons<th>Waiting<th>State</tr>"
    body = f"<table>{head}{rows}</table>" if rows else "<p>No study has arrived yet.</p>"
    return _page("Worklist", f"<h1>Worklist</h1><p class=note>{CAUTION}</p>{body}", refresh_s=10)


def study(document: Mapping[str, Any], *, has_picture: bool) -> str:
    """One study's newest decision with findings, measurements and picture."""
    facts, decision = document["study"], document["decision"]
    uid = escape(str(facts["study_instance_uid"]))
    picture = (
        f'<p><img src="/api/studies/{uid}/evidence.png" alt="baseline, follow-up, difference">' if has_picture else ""
    )
    days = "unknown" if facts["days_after_infusion"] is None else _text(facts["days_after_infusion"])
    body = [
        f'<p><a href="/">Worklist</a></p><h1>{_text(decision["category"])}</h1>',
        f'<p class="badge {_colour(decision["priority"])}">Priority {_text(decision["priority"])}</p>',
        _list(decision["reasons"]),
        _list(document.get("notices", ())),
        f"<p>Study of {_text(facts['study_date'])}, days after infusion: {days}</p>",
        f"<p>{_baseline(document['baseline'])}</p>",
        picture,
        _findings(document["findings"]),
        _course(document.get("evolution")),
        _section("What else could look like this", _list(document.get("look_alikes", ()))),
        _before(document.get("baseline_report")),
        _measurements(document["measurements"]),
        f'<p class=note>{CAUTION} {_text(document.get("disclaimer"))} <a href="/api/studies/{uid}">document (JSON)</a></p>',
    ]
    return _page("Study", "".join(body))


def _row(entry: Mapping[str, Any], document: Mapping[str, Any] | None) -> str:
    uid = escape(str(entry["study_instance_uid"]))
    date = _text(entry["study_date"])
    link = f'<a href="/studies/{uid}">{date}</a>' if document else date
    reasons = _list(document["decision"]["reasons"]) if document else ""
    state = _text(entry["state"])
    if entry["decided_revision"] is not None and entry["revision"] > entry["decided_revision"]:
        state += "<br><span class=note>newer images are being assessed</span>"
    if entry["failure"]:
        state += f"<br><span class=note>{_text(entry['failure'])}</span>"
    state += "".join(f"<br><span class=note>{_text(remark)}</span>" for remark in remarks(entry))
    cells = (
        f"<span class=badge>{_text(entry['priority'])}</span>",
        link,
        _text(entry["patient_id"]),
        _text(entry["category"] or "no decision yet"),
        reasons,
        f"{entry['waiting_minutes']:.0f} min",
        state,
    )
    return f'<tr class="{_colour(entry["priority"])}">' + "".join(f"<td>{cell}" for cell in cells) + "</tr>"


def _baseline(baseline: Mapping[str, Any] | None) -> str:
    if not baseline or not baseline.get("study_instance_uid"):
        return "Baseline: none" + (f" ({_text(baseline['reason'])})" if baseline else "")
    return f"Baseline of {_text(baseline['study_date'])}: {_text(baseline['reason'])}"


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{_text(f['pattern'])}<td>{_text(f['presence'])}<td>{_text(f['strength'])}"
        f"<td>{_text(f['explanation'])}{_list(f['evidence'])}</tr>"
        for f in findings
    )
    return (
        f"<h2>Patterns</h2><table><tr><th>Pattern<th>Presence<th>Strength<th>Explanation</tr>{rows}</table>"
        if rows
        else ""
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}" if body else ""


def _course(evolution: Mapping[str, Any] | None) -> str:
    """How each pattern went on since the earlier studies, and a small drawing per region. None: nothing earlier is known."""
    if not evolution:
        return ""
    rows = "".join(
        f"<tr><td>{_text(p['pattern'])}<td class=badge>{_text(p['state']).replace('_', ' ')}<td>{_text(p['since'])}"
        f"<td>{_text(p['reason'])}</tr>"
        for p in evolution["patterns"]
    )
    table = f"<table><tr><th>Pattern<th>Course<th>Since<th>Why</tr>{rows}</table>" if rows else ""
    drawn = "".join(
        f"<tr><td>{_text(series['region'])}<td>{_text(series['quantity'])}<td>{trend.svg(series)}"
        f"<td>{_list([trend.words(point) for point in series['points']])}</tr>"
        for series in evolution["trend"]
    )
    head = "<tr><th>Region<th>Quantity<th>Trend<th>Points</tr>"
    note = "<p class=note>Bars: one standard deviation. Hollow: other protocol than the baseline.</p>"
    later = evolution.get("later_loss")
    table += f"<p>{_text(later['explanation'])}</p>" if later else ""
    return _section("Course", table + (f"<table>{head}{drawn}</table>{note}" if drawn else ""))


def _before(report: Mapping[str, Any] | None) -> str:
    """What was abnormal before treatment."""
    if not report:
        return ""
    return _section(f"Before treatment ({_text(report['study_date'])})", _list(report["statements"]))


def _measurements(measurements: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{_text(m['region'])}<td>{_text(m['quantity'])}<td>{_figure(m)}<td>{_number(m['baseline_value'])}</tr>"
        for m in measurements[:SHOWN_MEASUREMENTS]
    )
    head = "<tr><th>Region<th>Quantity<th>Value<th>Baseline</tr>"
    return f"<h2>Measurements</h2><table>{head}{rows}</table>" if rows else ""


def _figure(m: Mapping[str, Any]) -> str:
    if not m["assessable"]:
        return f"not assessable: {_text(m['reason'])}"
    spread = f" ± {_number(m['uncertainty'])}" if m["uncertainty"] is not None else ""
    return f"{_number(m['value'])}{spread} {_text(m['unit'])}"


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):.4g}"


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else escape(str(value))


def _list(items: Sequence[Any]) -> str:
    return "<ul>" + "".join(f"<li>{_text(item)}" for item in items) + "</ul>" if items else ""


def _colour(priority: Any) -> str:
    return str(priority).lower() if priority in ("P1", "P2", "P3") else "plain"


def _page(title: str, body: str, *, refresh_s: int | None = None) -> str:
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ICANSee – {escape(title)}</title>{refresh}'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>'
        f"<body>{body}</body></html>"
    )
